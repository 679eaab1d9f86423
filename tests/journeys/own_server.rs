//! A PostgreSQL of one story's own, for what cannot be tried on the one that all share.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::cluster;
use crate::cluster::Cluster;
use crate::cluster::Database;
use crate::cluster::Setup;

/// A server that one story may break.
pub(crate) struct OwnServer {
    setup: Setup,
    /// Each time that it was started; the last one runs. What keeps an earlier one would take the folder away.
    started: Vec<Cluster>,
}

impl OwnServer {
    /// Of the thread's release, with these settings; `change` says what else is special.
    pub(crate) fn start(settings: &[&str], change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::of(cluster::RELEASE.get());
        setup.settings = settings.iter().map(|it| (*it).to_owned()).collect();
        change(&mut setup);
        let started = vec![cluster::start(&setup).unwrap()];
        Self { setup, started }
    }

    /// Where its socket is.
    pub(crate) fn folder(&self) -> PathBuf {
        self.started[0].folder.clone()
    }

    /// A new database on it.
    pub(crate) async fn database(&self) -> Database {
        Database::on(&self.folder()).await
    }

    /// Ends the server at once, as a crash does: `pg_ctl stop -m immediate`.
    pub(crate) fn crash(&self) {
        let file = self.folder().join("data/postmaster.pid");
        let text = fs::read_to_string(&file).unwrap();
        let process = text.lines().next().unwrap();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-QUIT", process]).status().unwrap().success());
        let since = Instant::now();
        while file.exists() {
            assert!(since.elapsed() < Duration::from_secs(60), "it never ended");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it again, with what `change` makes of how it was started.
    pub(crate) fn start_again(&mut self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup);
        let again = cluster::run(&self.setup, self.folder()).unwrap();
        self.started.push(again);
    }
}
