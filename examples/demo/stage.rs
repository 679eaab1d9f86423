//! What the demo needs around it: a folder, the binary, the server, and claims that are checked.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use siding::github::PrNumber;

use crate::fake_github::FakeGitHub;

/// Longest wait for the server to finish something.
const PATIENCE: Duration = Duration::from_secs(100);

pub(crate) struct Stage {
    folder: PathBuf,
    siding: PathBuf,
}

/// A batch in the state's log: model, version, number.
pub(crate) type Batch = (String, String, i64);

/// The running server; stopped when dropped.
pub(crate) struct Server(Child);

impl Stage {
    /// An empty folder with a copy of the flights project, as a repository and as a place to work in.
    pub(crate) fn set() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("demo-output");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("the last demo's folder can be removed");
        }
        let project = root.join("fixtures/projects/flights");
        copy(&project, &folder.join("repository"));
        copy(&project, &folder.join("warehouse"));
        // Cargo puts examples beside the binaries.
        let here = std::env::current_exe().expect("this program has a path");
        let directory = here
            .parent()
            .and_then(Path::parent)
            .expect("examples have a folder of their own");
        let siding = directory.join("siding");
        assert!(
            siding.exists(),
            "`{}` is missing; `make demo` builds it first",
            siding.display()
        );
        Self { folder, siding }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn title(&self, text: &str) {
        println!("\n\n=== {text}\n");
    }

    pub(crate) fn say(&self, text: &str) {
        println!("{text}");
    }

    /// Prints a claim after checking it; a claim that is not true ends the demo.
    pub(crate) fn claim(&self, text: &str, is_true: bool) {
        assert!(is_true, "this is not true: {text}");
        println!("  [checked] {text}");
    }

    pub(crate) fn claim_rows(&self, table: &str, rows: u64) {
        let found = self.count(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(found, rows, "`{table}` has another number of rows");
        println!("  [checked] {table} has {rows} rows");
    }

    /// The text of a changed model.
    pub(crate) fn change(&self, path: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/projects/flights-changes")
            .join(path);
        fs::read_to_string(path).expect("the change is in the fixtures")
    }

    /// Runs the binary in the warehouse's folder and shows what it prints.
    pub(crate) fn siding(&self, arguments: &[&str]) {
        println!("$ siding {}", arguments.join(" "));
        let status = self.command(arguments).status().expect("the binary starts");
        assert!(status.success(), "`siding {}` failed", arguments.join(" "));
    }

    /// The same, returning what it printed.
    pub(crate) fn siding_quietly(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the binary starts");
        assert!(
            output.status.success(),
            "`siding {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.siding);
        command
            .args(arguments)
            .current_dir(self.path("warehouse"))
            .stdin(Stdio::null());
        command
    }

    /// Starts the server against the stand-in and waits until it answers.
    pub(crate) fn serve(&self, github: &FakeGitHub, now: &str) -> Server {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port is free");
        let secret = self.path("webhook-secret");
        fs::write(&secret, github.hook_secret()).expect("the demo's folder can be written");
        let log =
            fs::File::create(self.path("server.log")).expect("the demo's folder can be written");
        let git = format!(
            "file://{}/{{owner}}/{{name}}.git",
            self.path("github").display()
        );
        let child = Command::new(&self.siding)
            .arg("serve")
            .args([
                "--listen",
                &port.to_string(),
                "--git-url",
                &git,
                "--api-url",
                &github.api_url(),
            ])
            .args([
                "--app-id",
                &github.app_id().to_string(),
                "--execution-time",
                now,
            ])
            .arg("--private-key-file")
            .arg(github.private_key_file())
            .arg("--webhook-secret-file")
            .arg(&secret)
            .arg("--database")
            .arg(self.path("server.db"))
            .arg("--work")
            .arg(self.path("work"))
            .arg("--data")
            .arg(self.path("warehouse"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let server = Server(child);
        let since = Instant::now();
        while std::net::TcpStream::connect(port).is_err() {
            assert!(
                since.elapsed() < PATIENCE,
                "the server does not answer; see demo-output/server.log"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        github.set_hook_url(&format!("http://{port}/github/webhook"));
        server
    }

    async fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        let since = Instant::now();
        while !done() {
            assert!(
                since.elapsed() < PATIENCE,
                "{what} did not happen; see demo-output/server.log"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn wait_for_gate(&self, github: &FakeGitHub, pr: PrNumber) {
        let since = Instant::now();
        self.wait("the gate", || {
            check(github, pr, "gate").is_some_and(|(_, conclusion)| conclusion.is_some())
        })
        .await;
        self.say(&format!(
            "Planned, built, audited and answered in {:.1} seconds.",
            since.elapsed().as_secs_f64()
        ));
    }

    pub(crate) async fn wait_for_check(
        &self,
        github: &FakeGitHub,
        pr: PrNumber,
        name: &str,
        wanted: &str,
    ) {
        self.wait("the check", || {
            check(github, pr, name)
                .is_some_and(|(_, conclusion)| conclusion.as_deref() == Some(wanted))
        })
        .await;
    }

    pub(crate) async fn wait_for_merge(&self, github: &FakeGitHub, pr: PrNumber) {
        self.wait("the merge", || github.merges() > 0).await;
        self.wait("the deployment", || {
            let text = github
                .comments(pr)
                .into_iter()
                .map(|comment| comment.body)
                .collect::<String>()
                .to_lowercase();
            text.contains("deployed")
                && !self.locked()
                && !self.has_column_if_free("fct__flights_1", "flights", "minutes_made_up")
        })
        .await;
    }

    /// Prints the pull request's comment and checks.
    pub(crate) fn show(&self, github: &FakeGitHub, pr: PrNumber) {
        println!("\n--- the comment on pull request #{pr}\n");
        println!("{}", self.comment(github, pr).trim());
        println!("\n--- its checks\n");
        let newest: BTreeMap<_, _> = github
            .check_runs(pr)
            .into_iter()
            .map(|run| (run.name.clone(), run))
            .collect();
        for run in newest.values() {
            println!(
                "  {}: {} ({})",
                run.name,
                run.conclusion.as_deref().unwrap_or("running"),
                run.title.as_deref().unwrap_or("")
            );
        }
        println!();
    }

    /// The bot's comment.
    pub(crate) fn comment(&self, github: &FakeGitHub, pr: PrNumber) -> String {
        let comments = github.comments(pr);
        let own: Vec<_> = comments
            .iter()
            .filter(|comment| comment.author.ends_with("[bot]") && comment.body.contains("<!--"))
            .collect();
        assert_eq!(own.len(), 1, "there must be exactly one sticky comment");
        own[0].body.clone()
    }

    fn database(&self) -> PathBuf {
        self.path("warehouse").join("flights.duckdb")
    }

    fn locked(&self) -> bool {
        duckdb::Connection::open(self.database()).is_err()
    }

    fn open(&self) -> duckdb::Connection {
        let since = Instant::now();
        loop {
            match duckdb::Connection::open(self.database()) {
                Ok(connection) => return connection,
                // A job of the server has it for a moment.
                Err(error) => assert!(
                    since.elapsed() < PATIENCE,
                    "the warehouse cannot be opened: {error}"
                ),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn count(&self, sql: &str) -> u64 {
        self.open()
            .query_row(sql, [], |row| row.get(0))
            .expect("the query is right")
    }

    pub(crate) fn has_column(&self, schema: &str, table: &str, column: &str) -> bool {
        has_column(&self.open(), schema, table, column)
    }

    fn has_column_if_free(&self, schema: &str, table: &str, column: &str) -> bool {
        duckdb::Connection::open(self.database())
            .is_ok_and(|connection| has_column(&connection, schema, table, column))
    }

    /// The batches that were ever written, as the state's log has them.
    pub(crate) async fn batches(&self) -> BTreeSet<Batch> {
        self.log("SELECT name, version, id FROM siding_intervals")
            .await
    }

    /// The batches of the tables that production shows.
    pub(crate) async fn batches_of_production(&self) -> BTreeSet<Batch> {
        self.log(
            "SELECT log.name, log.version, log.id FROM siding_intervals AS log
             JOIN siding_environment_snapshots AS shown ON shown.name = log.name AND shown.version = log.version
             WHERE shown.environment = 'prod'",
        )
        .await
    }

    async fn log(&self, sql: &'static str) -> BTreeSet<Batch> {
        let url = format!(
            "sqlite://{}",
            self.path("warehouse").join("siding_state.db").display()
        );
        let pool = sqlx::SqlitePool::connect(&url)
            .await
            .expect("the state opens");
        let rows: Vec<Batch> = sqlx::query_as(sql)
            .fetch_all(&pool)
            .await
            .expect("the query is right");
        pool.close().await;
        rows.into_iter().collect()
    }

    pub(crate) fn leave_a_list_of_commands(&self) {
        let folder = self.path("warehouse");
        println!("\nThe folder is yours: {}", folder.display());
        println!("Try:\n  cd {}", folder.display());
        for command in [
            "plan --execution-time 2013-02-02          # the rollback is seen: the project would switch back",
            "environments",
            "environments --history prod",
            "render fct.daily_delays --start 2013-01-01 --end 2013-01-01",
            "plan dev --execution-time 2013-02-02      # after an edit of models/",
            "run --execution-time 2013-03-01",
        ] {
            println!("  {} {command}", self.siding.display());
        }
    }
}

fn has_column(connection: &duckdb::Connection, schema: &str, table: &str, column: &str) -> bool {
    let sql = "SELECT count(*) FROM information_schema.columns WHERE table_schema = ? AND table_name = ? AND column_name = ?";
    connection
        .query_row(sql, [schema, table, column], |row| row.get::<_, i64>(0))
        .expect("the query is right")
        > 0
}

/// Status and conclusion of the newest check of that name.
fn check(github: &FakeGitHub, pr: PrNumber, name: &str) -> Option<(String, Option<String>)> {
    let runs = github.check_runs(pr);
    let run = runs.iter().rev().find(|run| run.name.ends_with(name))?;
    Some((run.status.clone(), run.conclusion.clone()))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the demo's folder can be made");
    for entry in fs::read_dir(from).expect("the fixture can be read") {
        let entry = entry.expect("the fixture can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("entries have a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the fixture can be copied");
        }
    }
}
