//! Several processes on one project: started, watched, frozen and killed.

use std::io::BufRead;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use crate::workspace::Ended;
use crate::workspace::Workspace;

/// Longest wait for something that is bound to happen.
const LONGEST: Duration = Duration::from_secs(120);

/// A command that runs by itself; killed when dropped.
pub(crate) struct Background {
    child: Option<Child>,
    notes: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Background {
    pub(crate) fn start(workspace: &Workspace, arguments: &[&str]) -> Self {
        let mut command = workspace.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let notes = Arc::new(Mutex::new(String::new()));
        let (stderr, written) = (child.stderr.take().unwrap(), Arc::clone(&notes));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let line = line.unwrap();
                written.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self {
            child: Some(child),
            notes,
            reader: Some(reader),
        }
    }

    /// Returns once it has said so on standard error.
    #[track_caller]
    pub(crate) fn wait_for_note(&self, text: &str) {
        let since = Instant::now();
        while !self.notes.lock().unwrap().contains(text) {
            let notes = self.notes.lock().unwrap().clone();
            assert!(since.elapsed() < LONGEST, "never said `{text}`: {notes}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal, such as `INT`, `STOP` or `KILL`.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Returns once it has computed for so many hundredths of a second from now on.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub(crate) fn wait_for_work(&self, hundredths: u64) {
        let stat = format!("/proc/{}/stat", self.child.as_ref().unwrap().id());
        // Ticks of a hundredth, in the program and in the system for it.
        let used = || -> u64 {
            let text = std::fs::read_to_string(&stat).unwrap();
            let fields = text.rsplit_once(") ").unwrap().1.split(' ').skip(11);
            fields
                .take(2)
                .map(|field| field.parse::<u64>().unwrap())
                .sum()
        };
        let (since, before) = (Instant::now(), used());
        while used() < before + hundredths {
            assert!(since.elapsed() < LONGEST, "it does not work");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How it ended; the code of a killed process is 128 and the signal's number.
    pub(crate) fn ended(mut self) -> Ended {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        Ended {
            code: output.status.code().unwrap_or(128 + signal.unwrap_or(0)),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: self.notes.lock().unwrap().clone(),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The state's file, read and changed by hand.
pub(crate) struct StateFile(PathBuf);

impl StateFile {
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self(workspace.path().join("state.db"))
    }

    /// Runs one statement.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        self.with(async |pool| {
            let sql = sqlx::AssertSqlSafe(sql.to_owned());
            sqlx::query(sql).execute(pool).await.unwrap();
        });
    }

    /// The one number that a query gives; 0 while its table is not there.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.with(async |pool| {
            let sql = sqlx::AssertSqlSafe(sql.to_owned());
            let number = sqlx::query_scalar(sql).fetch_one(pool).await;
            number.unwrap_or_default()
        })
    }

    /// Returns once the query gives at least `least`.
    #[track_caller]
    pub(crate) fn wait_for(&self, sql: &str, least: i64) {
        let since = Instant::now();
        while !self.0.exists() || self.number(sql) < least {
            assert!(since.elapsed() < LONGEST, "never {least}: {sql}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn with<T>(&self, work: impl AsyncFnOnce(&sqlx::SqlitePool) -> T) -> T {
        let url = format!("sqlite://{}", self.0.display());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
            let result = work(&pool).await;
            pool.close().await;
            result
        })
    }
}

/// How many tables are being written now.
pub(crate) const TABLES_HELD: &str =
    "SELECT count(*) FROM siding_leases WHERE subject LIKE 'table %'";
