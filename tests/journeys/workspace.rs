//! A project in a temporary folder, driven with the real binary; its warehouse is DuckDB, or PostgreSQL for stories that
//! are told [`on_postgres`].

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::Database;
use crate::postgres;

thread_local! {
    static ON_POSTGRES: Cell<bool> = const { Cell::new(false) };
}

/// Tells a story again with PostgreSQL as the warehouse. The state stays in its SQLite file.
pub(crate) fn on_postgres(story: fn()) {
    ON_POSTGRES.set(true);
    story();
}

/// A folder with a project; gone when dropped.
pub(crate) struct Workspace {
    folder: TempDir,
    /// The warehouse if it is not DuckDB's file in the folder.
    postgres: Option<Database>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The same, after checking that the command succeeded.
    #[track_caller]
    pub(crate) fn fine(self) -> Self {
        assert_eq!(
            self.code, 0,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// The same, after checking that the command failed with exit code 1.
    #[track_caller]
    pub(crate) fn failed(self) -> Self {
        assert_eq!(
            self.code, 1,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }
}

pub(crate) const CONFIG: &str = "gateways:
  local:
    connection:
      type: duckdb
      database: wh.duckdb
    state_connection:
      type: sqlite
      database: state.db
default_gateway: local
model_defaults:
  dialect: duckdb
  start: 2024-01-01
";

impl Workspace {
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            postgres: ON_POSTGRES.get().then(|| wait(Database::new())),
        }
    }

    /// A project with the usual configuration and these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let workspace = Self::empty();
        let config = match &workspace.postgres {
            None => CONFIG.to_owned(),
            Some(database) => {
                let state = "    state_connection:\n      type: sqlite\n      database: state.db\n";
                postgres::config(database, state)
            }
        };
        workspace.write("config.yaml", &config);
        for (path, text) in files {
            workspace.write(path, text);
        }
        workspace
    }

    /// A copy of a folder under `fixtures/`.
    pub(crate) fn copy_of(fixture: &str) -> Self {
        let workspace = Self::empty();
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fixtures")
                .join(fixture),
            workspace.path(),
        );
        workspace
    }

    /// Whether the story is told on PostgreSQL.
    pub(crate) fn is_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let target = self.path().join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap();
    }

    /// Replaces `from`, which must be there, in a file.
    #[track_caller]
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path().join(path)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {path}");
        self.write(path, &text.replace(from, to));
    }

    /// The command with the project's folder set and nothing inherited that changes what it prints.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siding"));
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
            .env_remove("RUST_LOG")
            .env_remove("SIDING_GATEWAY")
            .env("XDG_CACHE_HOME", self.path().join(".cache"))
            .env("USER", "tester");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        Ended {
            code: output.status.code().expect("the command was not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// `siding plan … --format json` as JSON; the plan is not applied.
    #[track_caller]
    pub(crate) fn plan(&self, environment: &str, now: &str) -> Plan {
        let ended = self
            .run(&[
                "plan",
                environment,
                "--execution-time",
                now,
                "--format",
                "json",
            ])
            .fine();
        Plan(serde_json::from_str(&ended.stdout).unwrap())
    }

    /// Plans and applies; returns the plan that was applied.
    #[track_caller]
    pub(crate) fn apply(&self, environment: &str, now: &str) -> Plan {
        let ended = self
            .run(&[
                "plan",
                environment,
                "--execution-time",
                now,
                "--format",
                "json",
                "--auto-apply",
            ])
            .fine();
        Plan(serde_json::from_str(&ended.stdout).unwrap())
    }

    /// Goes back to what a rollback has taken out of sight.
    #[track_caller]
    pub(crate) fn forward(&self, environment: &str) -> Ended {
        let all = ["environments", "--history", environment, "--format", "json"];
        let history: Value = serde_json::from_str(&self.run(&all).fine().stdout).unwrap();
        let latest = &history["promotions"][0];
        assert!(latest["rollback_to"].is_string(), "{latest:#}");
        let before = latest["previous_plan_id"].as_str().unwrap();
        self.run(&["rollback", environment, "--to", before]).fine()
    }

    fn database(&self) -> PathBuf {
        self.path().join("wh.duckdb")
    }

    /// The rows of a query, each value as text, `NULL` for null.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        if let Some(database) = &self.postgres {
            // DuckDB's short form of a query.
            let all = sql
                .strip_prefix("FROM ")
                .map(|rest| format!("SELECT * FROM {rest}"));
            return wait(postgres::rows(database, all.as_deref().unwrap_or(sql)));
        }
        let connection = duckdb::Connection::open(self.database()).unwrap();
        rows(&connection, sql)
    }

    /// Runs statements in the warehouse by hand.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        match &self.postgres {
            Some(database) => wait(database.execute(sql)),
            None => self.execute_in("wh.duckdb", sql),
        }
    }

    /// The same in a database with another name.
    #[track_caller]
    pub(crate) fn execute_in(&self, database: &str, sql: &str) {
        duckdb::Connection::open(self.path().join(database))
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }

    /// The views and tables of the warehouse, `schema.name`, sorted.
    pub(crate) fn objects(&self, kind: &str) -> Vec<String> {
        let sql = format!(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables
             WHERE table_type = '{kind}' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        );
        self.rows(&sql)
            .into_iter()
            .map(|row| row[0].clone())
            .collect()
    }
}

#[track_caller]
pub(crate) fn rows(connection: &duckdb::Connection, sql: &str) -> Vec<Vec<String>> {
    let wrapped = format!("SELECT COLUMNS(*)::VARCHAR FROM ({sql})");
    let mut statement = connection.prepare(&wrapped).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut result = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let columns = row.as_ref().column_count();
        let value = |index| {
            row.get::<_, Option<String>>(index)
                .unwrap()
                .unwrap_or_else(|| "NULL".to_owned())
        };
        result.push((0..columns).map(value).collect());
    }
    result
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A plan as `--format json` prints it.
pub(crate) struct Plan(pub(crate) Value);

impl Plan {
    #[track_caller]
    pub(crate) fn model(&self, name: &str) -> &Value {
        let models = self.0["models"].as_array().unwrap();
        models
            .iter()
            .find(|model| model["name"] == name)
            .unwrap_or_else(|| panic!("no `{name}` in {:#}", self.0))
    }

    /// `change/category` of each model, by name; `-` without a category.
    pub(crate) fn changes(&self) -> BTreeMap<String, String> {
        let models = self.0["models"].as_array().unwrap();
        let change = |model: &Value| {
            let category = model["category"].as_str().unwrap_or("-");
            format!("{}/{category}", model["change"].as_str().unwrap())
        };
        models
            .iter()
            .map(|model| (model["name"].as_str().unwrap().to_owned(), change(model)))
            .collect()
    }

    /// The models that something is filled for.
    pub(crate) fn backfilled(&self) -> Vec<String> {
        let models = self.0["models"].as_array().unwrap();
        let missing = models
            .iter()
            .filter(|model| !model["backfill"].as_array().unwrap().is_empty());
        missing
            .map(|model| model["name"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn is_virtual_only(&self) -> bool {
        self.0["virtual_update_only"].as_bool().unwrap()
    }

    #[track_caller]
    pub(crate) fn table(&self, name: &str) -> String {
        self.model(name)["table"].as_str().unwrap().to_owned()
    }
}

/// A map literal of texts.
pub(crate) fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
