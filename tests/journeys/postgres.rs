//! Projects whose warehouse is PostgreSQL, with the state in the same database.

use std::time::Duration;
use std::time::Instant;

use sqlx::Row;
use sqlx::ValueRef;

use crate::cluster;
use crate::cluster::Database;
use crate::workspace::Workspace;

/// A project on a database of its own.
pub(crate) struct Team {
    pub(crate) workspace: Workspace,
    pub(crate) database: Database,
}

/// `config.yaml` of a project on `database`, with `more` lines about the connection.
pub(crate) fn config(database: &Database, more: &str) -> String {
    let Database { host, name } = database;
    let user = cluster::USER;
    format!(
        "gateways:
  local:
    connection:
      type: postgres
      host: {host}
      user: {user}
      database: {name}
{more}default_gateway: local
model_defaults:
  dialect: postgres
  start: 2024-01-01
"
    )
}

/// The rows of a query, each value as the server shows it, `NULL` for null.
pub(crate) async fn rows(database: &Database, sql: &str) -> Vec<Vec<String>> {
    let mut connection = database.connect().await;
    let text = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    let rows = sqlx::Executor::fetch_all(&mut connection, text).await;
    let rows = rows.unwrap_or_else(|error| panic!("{error}: {sql}"));
    let value = |row: &sqlx::postgres::PgRow, index| {
        let value = row.try_get_raw(index).unwrap();
        if value.is_null() {
            "NULL".to_owned()
        } else {
            value.as_str().unwrap().to_owned()
        }
    };
    let rows = rows.iter();
    rows.map(|row| (0..row.len()).map(|index| value(row, index)).collect())
        .collect()
}

impl Team {
    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        let database = Database::new().await;
        let workspace = Workspace::new(files);
        workspace.write("config.yaml", &config(&database, ""));
        Self {
            workspace,
            database,
        }
    }

    /// As [`rows`].
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        rows(&self.database, sql).await
    }

    /// `schema.name` of every view (`v`) or table (`r`) that is not the state's or the server's.
    pub(crate) async fn objects(&self, kind: &str) -> Vec<String> {
        let sql = format!(
            "SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
             WHERE relkind = '{kind}' AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'siding')
             ORDER BY 1"
        );
        let rows = self.rows(&sql).await.into_iter();
        rows.map(|row| row[0].clone()).collect()
    }

    /// Waits until the query gives a row.
    pub(crate) async fn wait_for(&self, sql: &str) {
        let since = Instant::now();
        while self.rows(sql).await.is_empty() {
            assert!(since.elapsed() < Duration::from_secs(60), "never: {sql}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A role that the cluster asks for a password.
const LOCKED: &str = "locked";

const SEED: &str = "MODEL (name shop.raw, kind SEED (path '../seeds/raw.csv'), columns (id INT, day DATE, amount DECIMAL(9, 2), note TEXT));\n";
const RAW: &str =
    "id,day,amount,note\n1,2024-01-01,1.50,it's\n2,2024-01-02,2.25,\n3,2024-01-03,4.00,\"a, b\"\n";
const SALES: &str = "MODEL (name shop.sales, kind INCREMENTAL_BY_TIME_RANGE (time_column day), audits (not_null(columns := (id))));
SELECT id, day, amount FROM shop.raw WHERE day BETWEEN @start_date AND @end_date
";
const TOTALS: &str = "MODEL (name shop.totals, kind FULL);
SELECT count(*) AS sales, sum(amount) AS amount FROM shop.sales
";
const LATEST: &str =
    "MODEL (name shop.latest, kind VIEW);\nSELECT max(day) AS day FROM shop.sales\n";

pub(crate) async fn shop() -> Team {
    Team::new(&[
        ("models/raw.sql", SEED),
        ("seeds/raw.csv", RAW),
        ("models/sales.sql", SALES),
        ("models/totals.sql", TOTALS),
        ("models/latest.sql", LATEST),
    ])
    .await
}

#[tokio::test]
pub(crate) async fn a_change_goes_from_dev_to_production_and_back() {
    let shop = shop().await;
    let workspace = &shop.workspace;
    let totals = async |schema: &str| shop.rows(&format!("SELECT * FROM {schema}.totals")).await;

    workspace.apply("prod", "2024-01-03");
    assert_eq!(totals("shop").await, [["2", "3.75"]]);
    assert_eq!(
        shop.rows("SELECT * FROM shop.raw ORDER BY id").await[2],
        ["3", "2024-01-03", "4.00", "a, b"]
    );
    assert_eq!(
        shop.rows("SELECT * FROM shop.latest").await,
        [["2024-01-02"]]
    );

    // A column more, in the middle: the view of production gets other columns.
    workspace.edit(
        "models/totals.sql",
        "AS sales,",
        "AS sales, max(id) AS last,",
    );
    let plan = workspace.apply("dev", "2024-01-03");
    assert_eq!(plan.backfilled(), ["shop.totals"]);
    assert_eq!(totals("shop__dev").await, [["2", "2", "3.75"]]);
    assert_eq!(totals("shop").await, [["2", "3.75"]]);

    let plan = workspace.apply("prod", "2024-01-03");
    assert!(plan.is_virtual_only());
    assert_eq!(totals("shop").await, [["2", "2", "3.75"]]);

    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    assert_eq!(totals("shop").await, [["3", "3", "7.75"]]);
    assert_eq!(
        shop.rows("SELECT * FROM shop.latest").await,
        [["2024-01-03"]]
    );
    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    assert_eq!(
        shop.rows("SELECT count(*) FROM shop.sales").await,
        [["3"]],
        "a second run adds nothing"
    );

    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(totals("shop").await[0].len(), 2, "the old columns are back");

    workspace.run(&["invalidate", "dev", "--sync"]);
    workspace.run(&["janitor"]).fine();
    let views = shop.objects("v").await;
    assert!(
        views.iter().all(|view| !view.starts_with("shop__dev.")),
        "{views:?}"
    );
    assert_eq!(shop.rows("SELECT count(*) FROM shop.sales").await, [["3"]]);
}

#[tokio::test]
pub(crate) async fn a_wrong_password_is_told_with_host_port_and_user() {
    let shop = shop().await;
    let user = LOCKED;
    shop.database
        .execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'right'"))
        .await;
    let with = |password: &str| {
        let text = config(&shop.database, &format!("      password: {password}\n"));
        text.replace(
            &format!("user: {}", cluster::USER),
            &format!("user: {user}"),
        )
    };
    shop.workspace.write("config.yaml", &with("wr0ng-5ecret"));
    let ended = shop.workspace.run(&["plan", "--no-prompts"]).failed();
    let at = format!("{user}@{}:5432/{}", shop.database.host, shop.database.name);
    assert!(ended.stderr.contains(&at), "{}", ended.stderr);
    assert!(ended.stderr.contains("Check `user` and `password`"));
    assert!(!format!("{ended:?}").contains("5ecret"), "{ended:?}");

    // With the right one it is the role that may not do much.
    shop.workspace.write("config.yaml", &with("right"));
    let ended = shop.workspace.run(&["plan", "--no-prompts"]).failed();
    assert!(
        ended.stderr.contains("permission denied for database"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
pub(crate) async fn a_state_from_a_newer_version_is_left_as_it_is() {
    let shop = shop().await;
    shop.workspace.apply("prod", "2024-01-03");
    let version =
        |change: &str| format!("UPDATE siding.siding_state SET version = version {change}");
    shop.database.execute(&version("+ 1")).await;
    let run = ["run", "--execution-time", "2024-01-04"];
    let ended = shop.workspace.run(&run).failed();
    assert!(
        ended.stderr.contains("Install the release"),
        "{}",
        ended.stderr
    );
    assert_eq!(shop.rows("SELECT count(*) FROM shop.sales").await, [["2"]]);
    shop.database.execute(&version("- 1")).await;
    shop.workspace.run(&run).fine();
    assert_eq!(shop.rows("SELECT count(*) FROM shop.sales").await, [["3"]]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once() {
    let shop = shop().await;
    let text = config(&shop.database, "      port: 5433\n");
    shop.workspace.write("config.yaml", &text);
    let begin = Instant::now();
    let ended = shop.workspace.run(&["plan", "--no-prompts"]).failed();
    assert!(ended.stderr.contains(":5433/"), "{}", ended.stderr);
    assert!(ended.stderr.contains("Check `host` and `port`"));
    assert!(begin.elapsed() < Duration::from_secs(8));
}

/// A model that takes as long as a lock on the table `gate` is held.
const GATED: &str =
    "MODEL (name shop.gated, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1));
SELECT CAST(@start_ds AS DATE) AS day, (SELECT count(*) FROM gate) AS n
";

#[tokio::test]
pub(crate) async fn a_connection_that_is_lost_in_the_middle_of_a_batch_loses_nothing() {
    let shop = Team::new(&[("models/gated.sql", GATED)]).await;
    shop.database.execute("CREATE TABLE gate (x INT)").await;
    let workspace = &shop.workspace;
    workspace.apply("prod", "2024-01-03");
    let rows = async || {
        shop.rows("SELECT day, n FROM shop.gated ORDER BY day")
            .await
    };
    let before = [["2024-01-01", "0"], ["2024-01-02", "0"]];
    assert_eq!(rows().await, before);

    // What is tried again would wait at the gate again.
    let once = format!("{}run:\n  retries: 0\n", config(&shop.database, ""));
    workspace.write("config.yaml", &once);
    let mut gate = shop.database.connect().await;
    let lock = "BEGIN; LOCK TABLE gate IN ACCESS EXCLUSIVE MODE";
    sqlx::Executor::execute(&mut gate, lock).await.unwrap();
    let run = ["run", "--execution-time", "2024-01-05"];
    let child = workspace
        .command(&run)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let waits = "FROM pg_stat_activity WHERE datname = current_database()
                 AND wait_event_type = 'Lock' AND query LIKE '%gate%'";
    shop.wait_for(&format!("SELECT 1 {waits}")).await;
    shop.rows(&format!("SELECT pg_terminate_backend(pid) {waits}"))
        .await;
    let ended = tokio::task::spawn_blocking(|| child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("the connection to"), "{said}");
    assert!(said.contains("was lost"), "{said}");
    assert_eq!(rows().await, before);

    sqlx::Executor::execute(&mut gate, "ROLLBACK")
        .await
        .unwrap();
    workspace.run(&run).fine();
    let after = rows().await;
    assert_eq!(after.len(), 4, "{after:?}");
    workspace.run(&run).fine();
    assert_eq!(rows().await, after, "each day is there once");
}

#[tokio::test]
async fn of_two_plans_of_one_environment_one_wins_and_the_other_is_told_by_whom() {
    let shop = shop().await;
    let other = Workspace::new(&[]);
    for (path, text) in [
        ("config.yaml", config(&shop.database, "").as_str()),
        ("models/raw.sql", SEED),
        ("seeds/raw.csv", RAW),
        ("models/sales.sql", SALES),
        ("models/latest.sql", LATEST),
        ("models/totals.sql", TOTALS),
    ] {
        other.write(path, text);
    }
    shop.workspace.apply("prod", "2024-01-03");
    for round in 0..10 {
        let (mine, theirs) = (round * 2 + 1, round * 2 + 2);
        let start = |workspace: &Workspace, number: u32, user: &str| {
            let text = TOTALS.replace("count(*)", &format!("{number} + count(*)"));
            workspace.write("models/totals.sql", &text);
            workspace
                .command(&[
                    "plan",
                    "prod",
                    "--auto-apply",
                    "--execution-time",
                    "2024-01-03",
                ])
                .env("USER", user)
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        };
        let children = [
            start(&shop.workspace, mine, "ada"),
            start(&other, theirs, "bob"),
        ];
        let [ada, bob] = children.map(|child| {
            let ended = child.wait_with_output().unwrap();
            (
                ended.status.code(),
                String::from_utf8_lossy(&ended.stderr).into_owned(),
            )
        });
        let shown = shop.rows("SELECT sales FROM shop.totals").await;
        let shown: u32 = shown[0][0].parse::<u32>().unwrap() - 2;
        match (ada.0, bob.0) {
            // One after the other: the second planned from what the first had made.
            (Some(0), Some(0)) => assert!([mine, theirs].contains(&shown), "{shown}"),
            (Some(0), Some(1)) => {
                assert_eq!(shown, mine);
                assert!(bob.1.contains("ada"), "{}", bob.1);
            }
            (Some(1), Some(0)) => {
                assert_eq!(shown, theirs);
                assert!(ada.1.contains("bob"), "{}", ada.1);
            }
            _ => panic!("{ada:?} {bob:?}"),
        }
    }
}

#[tokio::test]
async fn readers_see_all_of_a_switch_or_nothing() {
    let pair = |number: u32| {
        ["a", "b"].map(|name| {
            let text = format!("MODEL (name shop.{name}, kind FULL);\nSELECT {number} AS n\n");
            (format!("models/{name}.sql"), text)
        })
    };
    let shop = Team::new(&[]).await;
    let write = |number: u32| {
        for (path, text) in pair(number) {
            shop.workspace.write(&path, &text);
        }
    };
    write(0);
    shop.workspace.apply("prod", "2024-01-03");
    let done = std::sync::atomic::AtomicBool::new(false);
    let reading = async {
        let mut seen = std::collections::BTreeSet::new();
        let mut connection = shop.database.connect().await;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            let row = sqlx::query("SELECT a.n, b.n FROM shop.a AS a, shop.b AS b")
                .persistent(false)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            let (a, b): (i32, i32) = (row.get(0), row.get(1));
            assert_eq!(a, b, "one view is old and the other new");
            seen.insert(a);
        }
        seen.len()
    };
    let switching = async {
        for number in 1..=3 {
            write(number);
            let plan = ["plan", "--auto-apply", "--execution-time", "2024-01-03"];
            let mut command = shop.workspace.command(&plan);
            let ended = tokio::task::spawn_blocking(move || command.output());
            let ended = ended.await.unwrap().unwrap();
            assert!(ended.status.success(), "{ended:?}");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(reading, switching);
    assert!(seen > 1, "the reader saw no switch");
}
