//! What a pull request may bring and must not reach: `siding job` on content that means harm.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::workspace::CONFIG;
use crate::workspace::Workspace;
use crate::workspace::rows;

const NOW: &str = "2024-01-03T00:00:00Z";

/// A server's folders: the warehouse and its state, the base branch, and the pull request.
struct Server {
    workspace: Workspace,
}

impl Server {
    /// Production has the model `db.a`; `models/evil.sql` of the pull request holds `sql`.
    fn with(sql: &str) -> Self {
        let workspace = Workspace::empty();
        let model = "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n";
        for branch in ["base", "head"] {
            workspace.write(&format!("{branch}/config.yaml"), CONFIG);
            workspace.write(&format!("{branch}/models/a.sql"), model);
        }
        workspace
            .run(&[
                "-p",
                "base",
                "plan",
                "--auto-apply",
                "--execution-time",
                NOW,
            ])
            .fine();
        fs::create_dir(workspace.path().join("data")).unwrap();
        // SQLite's journal belongs to its database.
        for file in ["wh.duckdb", "state.db", "state.db-wal", "state.db-shm"] {
            let from = workspace.path().join("base").join(file);
            if from.exists() {
                fs::rename(from, workspace.path().join("data").join(file)).unwrap();
            }
        }
        workspace.write("head/models/evil.sql", sql);
        Self { workspace }
    }

    fn prepare(&self) -> Value {
        let folder = |name: &str| self.workspace.path().join(name);
        let request = json!({
            "version": 1,
            "project": folder("head"),
            "config": folder("base"),
            "data": folder("data"),
            "actor": "github:eve#12",
            "execution_time": NOW,
            "task": {"do": "prepare", "environment": "pr_12"},
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_siding"))
            .arg("job")
            .env_remove("RUST_LOG")
            .env_remove("SIDING_GATEWAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        write!(input, "{request}").unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", output.status);
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }

    /// Prepares, and checks that the answer is no, for `reason`.
    #[track_caller]
    fn refuses(&self, reason: &str) {
        let answer = self.prepare();
        assert_eq!(answer["answer"], "failed", "{answer:#}");
        assert!(answer.to_string().contains(reason), "{answer:#}");
        let folder = self.workspace.path().to_str().unwrap();
        assert!(!answer.to_string().contains(folder), "{answer:#}");
        let file = self.workspace.path().join("data").join("wh.duckdb");
        let connection = duckdb::Connection::open(file).unwrap();
        assert_eq!(rows(&connection, "FROM db.a"), [["1"]], "production stands");
    }
}

fn model(query: &str) -> String {
    format!("MODEL (name db.evil, kind FULL);\n{query}\n")
}

#[test]
fn sql_of_a_pull_request_reads_no_file_of_the_server() {
    for file in [
        "/etc/passwd",
        "../data/state.db",
        "models/../../base/config.yaml",
    ] {
        let server = Server::with(&model(&format!("SELECT * FROM read_text('{file}')")));
        server.refuses("Permission Error");
    }
    Server::with(&model(
        "SELECT * FROM sqlite_scan('../data/state.db', 'siding_state')",
    ))
    .refuses("sqlite_scan");
}

#[test]
fn a_seed_of_a_pull_request_is_a_file_of_the_project() {
    for path in [
        "/etc/passwd",
        "../../base/config.yaml",
        "$root/../data/state.db",
    ] {
        let seed = format!("MODEL (name db.evil, kind SEED (path '{path}'));\n");
        Server::with(&seed).refuses("seed-outside");
    }
}

#[test]
fn a_model_of_a_pull_request_is_one_query_and_nothing_else() {
    for sql in [
        "ATTACH '../data/state.db' AS state",
        "COPY db.a TO 'a.csv'",
        "SET GLOBAL enable_external_access = true",
    ] {
        Server::with(&model(sql)).refuses("no-query");
    }
    for sql in [
        "SET GLOBAL enable_external_access = true; SELECT 1 AS x",
        "SELECT 1 AS x; DROP SCHEMA db CASCADE",
        "SELECT 1 AS x; ON_VIRTUAL_UPDATE_BEGIN; DROP SCHEMA db CASCADE; ON_VIRTUAL_UPDATE_END;",
        "SELECT 1 AS 🚂$b$; DROP SCHEMA db CASCADE; --🚂$b$",
        "SELECT $🚂$ ' $🚂$ AS x; DROP SCHEMA db CASCADE; --'",
    ] {
        Server::with(&model(sql)).refuses("statements-brought");
    }
    Server::with(&model("SELECT * FROM query('DROP SCHEMA db CASCADE')")).refuses("Parser Error");
}

#[test]
fn what_stands_for_a_type_or_an_audit_cannot_leave_its_place() {
    Server::with(
        "MODEL (name db.evil, kind FULL, columns (x \"INT) AS x); DROP SCHEMA db CASCADE; --\"));\n\
         SELECT 1 AS x\n",
    )
    .refuses("db.evil");
    Server::with(
        "MODEL (name db.evil, kind FULL, audits (accepted_values(column := x, is_in := ('a'') OR (1=1'))));\n\
         SELECT 'c' AS x\n",
    )
    .refuses("1 bad row");
}

#[test]
fn aliases_of_yaml_are_not_unfolded_without_end() {
    let server = Server::with(&model("SELECT 1 AS x"));
    let mut bomb = "- &b0 [a,a,a,a,a,a,a,a,a,a]\n".to_owned();
    for level in 1..10 {
        let alias = format!("*b{}", level - 1);
        let list = vec![alias; 10].join(",");
        bomb.push_str(&format!("- &b{level} [{list}]\n"));
    }
    server.workspace.write("head/external_models.yaml", &bomb);
    server.refuses("yaml-syntax");
}

#[test]
fn the_answer_says_neither_where_the_warehouse_is_nor_who_has_it() {
    let server = Server::with(&model("SELECT 1 AS x"));
    let file = server.workspace.path().join("data").join("wh.duckdb");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let answer = server.prepare();
    assert_eq!(answer["answer"], "failed", "{answer:#}");
    let folder = server.workspace.path().to_str().unwrap();
    assert!(!answer.to_string().contains(folder), "{answer:#}");
}
