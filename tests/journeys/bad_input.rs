//! Bad input: one clear message each, the right exit code, nothing lost.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Stdio;

use crate::workspace::CONFIG;
use crate::workspace::Workspace;

fn one_model(sql: &str) -> Workspace {
    Workspace::new(&[("models/a.sql", sql)])
}

#[track_caller]
fn refused(workspace: &Workspace, wanted: &[&str]) {
    let ended = workspace
        .run(&["plan", "--execution-time", "2024-01-03", "--auto-apply"])
        .failed();
    for part in wanted {
        assert!(
            ended.stderr.contains(part),
            "`{part}` is not in:\n{}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn a_folder_without_a_configuration() {
    refused(&Workspace::empty(), &["config.yaml", "siding init"]);
}

#[test]
fn an_unknown_kind_names_the_line() {
    let workspace = one_model("MODEL (\n  name db.a,\n  kind FUL\n);\nSELECT 1 AS x\n");
    refused(&workspace, &["models/a.sql:3", "FUL", "FULL"]);
}

#[test]
fn sql_that_nobody_accepts() {
    let workspace = one_model("MODEL (name db.a, kind FULL);\nSELECT 1 AS x FROM WHERE GROUP\n");
    refused(&workspace, &["db.a"]);
}

#[test]
fn a_cycle_names_its_path() {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT * FROM db.b\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT * FROM db.a\n",
        ),
    ]);
    refused(&workspace, &["db.a", "db.b", "cycle"]);
}

#[test]
fn a_duplicate_name_names_both_places() {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.A, kind FULL);\nSELECT 1 AS x\n",
        ),
    ]);
    refused(&workspace, &["models/a.sql", "models/b.sql"]);
}

#[test]
fn a_missing_seed_names_the_file() {
    let workspace = one_model("MODEL (name db.a, kind SEED (path '../seeds/none.csv'));\n");
    refused(&workspace, &["models/a.sql", "seeds/none.csv"]);
}

#[test]
fn ten_mistakes_are_ten_messages() {
    let workspace = Workspace::new(&[]);
    for index in 0..10 {
        let sql = format!("MODEL (name db.m{index}, kind FULL, ownr me);\nSELECT 1 AS x\n");
        workspace.write(&format!("models/m{index}.sql"), &sql);
    }
    let ended = workspace.run(&["plan", "--format", "json"]).failed();
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let diagnostics = plan["diagnostics"].as_array().unwrap();
    assert_eq!(
        diagnostics
            .iter()
            .filter(|found| found["severity"] == "error")
            .count(),
        10,
        "{plan:#}"
    );
    assert!(diagnostics.iter().all(|found| found["line"] == 1));
}

#[test]
fn wrong_usage_exits_with_2() {
    let workspace = one_model("MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n");
    assert_eq!(workspace.run(&["plan", "--no-such-option"]).code, 2);
    assert_eq!(
        workspace
            .run(&["plan", "--execution-time", "nonsense"])
            .code,
        2
    );
    assert_eq!(
        workspace
            .run(&["plan", "prod", "--start", "2024-01-01"])
            .code,
        2
    );
    assert_eq!(
        workspace
            .run(&[
                "plan",
                "dev",
                "--start",
                "2024-01-05",
                "--end",
                "2024-01-02"
            ])
            .code,
        2
    );
}

#[test]
fn a_warehouse_that_another_process_holds() {
    let workspace = one_model("MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n");
    workspace.apply("prod", "2024-01-03");
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    let mut holder = Holder::of(&workspace);

    refused(&workspace, &["wh.duckdb", "is in use by", "PID", "help:"]);

    holder.let_go();
    assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
}

#[test]
fn a_state_from_a_newer_version() {
    let workspace = one_model("MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n");
    workspace.apply("prod", "2024-01-03");
    make_state_newer(&workspace);

    refused(
        &workspace,
        &["state.db", "has version 99", "Install the release"],
    );
}

#[test]
fn a_warehouse_that_was_replaced_behind_the_state() {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT 1 AS x\n",
        ),
    ]);
    workspace.apply("prod", "2024-01-03");
    workspace.remove("wh.duckdb");
    workspace.edit("models/b.sql", "1 AS x", "2 AS x");

    refused(&workspace, &["siding__db.db__a__", "state's file"]);
}

#[test]
fn a_missing_environment_is_said() {
    let workspace = one_model("MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n");
    let ended = workspace.run(&["run", "nowhere"]).failed();
    assert!(
        ended.stderr.contains("no environment `nowhere`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_table_in_the_way_of_a_view_changes_nothing() {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT 1 AS x\n",
        ),
    ]);
    workspace.execute("CREATE SCHEMA db; CREATE TABLE db.b AS SELECT 'mine' AS x");

    refused(&workspace, &["db.b"]);

    assert_eq!(workspace.rows("FROM db.b"), [["mine"]]);
    assert_eq!(
        workspace.objects("VIEW"),
        Vec::<String>::new(),
        "no view of a switch that failed"
    );
    workspace.execute("DROP TABLE db.b");
    workspace
        .run(&["plan", "--execution-time", "2024-01-03", "--auto-apply"])
        .fine();
    assert_eq!(workspace.objects("VIEW"), ["db.a", "db.b"]);
}

#[test]
fn an_unknown_key_of_the_configuration_names_its_line() {
    let workspace = one_model("MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n");
    workspace.write("config.yaml", &format!("{CONFIG}defalt_gateway: local\n"));
    refused(
        &workspace,
        &["config.yaml:13", "defalt_gateway", "default_gateway"],
    );
}

/// Another process that holds the warehouse: this test binary, started again.
struct Holder(std::process::Child);

impl Holder {
    fn of(workspace: &Workspace) -> Self {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "bad_input::hold_the_warehouse",
                "--nocapture",
                "--include-ignored",
            ])
            .env("SIDING_TEST_HOLD", workspace.path().join("wh.duckdb"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines
            .find(|line| line.as_ref().unwrap().contains("holding"))
            .expect("the holder starts")
            .unwrap();
        Self(child)
    }

    fn let_go(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Not a story: the other process of [`Holder`]. Does nothing when started as a test.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a process that plays a part is told by its environment"
)]
fn hold_the_warehouse() {
    let Some(path) = std::env::var_os("SIDING_TEST_HOLD") else {
        return;
    };
    let _connection = duckdb::Connection::open(path).unwrap();
    println!("holding");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

fn make_state_newer(workspace: &Workspace) {
    let url = format!("sqlite://{}", workspace.path().join("state.db").display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        sqlx::query("UPDATE siding_state SET version = 99")
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
    });
}
