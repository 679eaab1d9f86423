//! A server whose disk is full: as warehouse and as state store.

use std::collections::BTreeSet;

use crate::cluster::Setup;
use crate::own_server::OwnServer;
use crate::postgres::config;
use crate::postgres::rows;
use crate::workspace::Workspace;

/// Each day is 500 rows of 1 KB: half a megabyte.
const WIDE: &str = "MODEL (name shop.wide, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1));
SELECT CAST(@start_ds AS DATE) AS day, i AS number, repeat(md5(i::TEXT), 30) AS text FROM generate_series(1, 500) AS r(i)
";

const PLAN: [&str; 4] = ["plan", "--auto-apply", "--execution-time", "2024-01-21"];

/// The state of a project whose warehouse is another database.
const SQLITE: &str = "    state_connection:\n      type: sqlite\n      database: state.db\n";

/// A server of which no file may become larger than 4 MB. That is no whole number of pages, so that one is written in
/// part, as on a disk that is full.
fn small() -> OwnServer {
    OwnServer::start(&["max_wal_size=8MB", "min_wal_size=2MB"], |setup| {
        let script = "ulimit -f 8199; exec \"$@\"";
        setup.under = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        // What is written ahead must not be what is full: the server would stop.
        setup.made_with = vec!["--wal-segsize=1".to_owned()];
    })
}

/// Makes room.
fn grow(setup: &mut Setup) {
    setup.under.clear();
}

/// The message about a failed model: what, and one way out.
#[track_caller]
fn says_that_it_is_full(said: &str) {
    assert!(said.contains("no room left"), "{said}");
    assert_eq!(said.matches("help: Make room").count(), 1, "{said}");
    assert!(!said.contains("trying again"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
pub(crate) async fn a_full_disk_in_the_middle_of_a_backfill_keeps_what_was_done() {
    let mut server = small();
    let database = server.database().await;
    let workspace = Workspace::new(&[("models/wide.sql", WIDE)]);
    workspace.write("config.yaml", &config(&database, SQLITE));
    let table = workspace.plan("prod", "2024-01-21").table("shop.wide");

    for _ in 0..2 {
        says_that_it_is_full(&workspace.run(&PLAN).failed().stderr);
        // Whole days, and just those that are not to be filled any more.
        let days = rows(
            &database,
            &format!("SELECT day, count(*) FROM {table} GROUP BY day"),
        )
        .await;
        assert!((1..20).contains(&days.len()), "{days:?}");
        assert!(days.iter().all(|day| day[1] == "500"), "{days:?}");
        let there: BTreeSet<String> = days.into_iter().map(|day| day[0].clone()).collect();
        let plan = workspace.plan("prod", "2024-01-21");
        let missing = plan.model("shop.wide")["backfill"].as_array().unwrap();
        let is_missing = |day: &String| {
            missing.iter().any(|range| {
                let [from, to] = [&range[0], &range[1]].map(|it| &it.as_str().unwrap()[..10]);
                (from..to).contains(&day.as_str())
            })
        };
        let all: BTreeSet<String> = (1..=20).map(|day| format!("2024-01-{day:02}")).collect();
        let filled: BTreeSet<String> = all.into_iter().filter(|day| !is_missing(day)).collect();
        assert_eq!(there, filled);
    }

    server.crash();
    server.start_again(grow);
    workspace.run(&PLAN).fine();
    let undisturbed = "SELECT CAST('2024-01-01' AS DATE) + d AS day, i AS number, repeat(md5(i::TEXT), 30) AS text
        FROM generate_series(0, 19) AS days(d), generate_series(1, 500) AS r(i)";
    for (one, other) in [("shop.wide", undisturbed), (undisturbed, "shop.wide")] {
        let all = |what: &str| match what.split_once(' ') {
            None => format!("SELECT * FROM {what}"),
            Some(_) => what.to_owned(),
        };
        let sql = format!("({}) EXCEPT ALL ({})", all(one), all(other));
        assert_eq!(rows(&database, &sql).await, [[""; 0]; 0]);
    }
}

#[tokio::test]
pub(crate) async fn a_disk_that_is_full_while_sorting_is_told_so() {
    let mut server = small();
    let database = server.database().await;
    let sorted = "MODEL (name shop.sorted, kind FULL);
SELECT count(DISTINCT text) AS n FROM (SELECT repeat(md5(i::TEXT), 30) AS text FROM generate_series(1, 20000) AS r(i)) AS t
";
    let workspace = Workspace::new(&[("models/sorted.sql", sorted)]);
    workspace.write("config.yaml", &config(&database, ""));
    database
        .execute(&format!(
            "ALTER DATABASE {} SET work_mem = '64kB'",
            database.name
        ))
        .await;
    let said = workspace.run(&PLAN).failed().stderr;
    says_that_it_is_full(&said);
    assert!(said.contains("pgsql_tmp"), "{said}");
    server.crash();
    server.start_again(grow);
    workspace.run(&PLAN).fine();
    assert_eq!(
        rows(&database, "SELECT n FROM shop.sorted").await,
        [["20000"]]
    );
}

#[tokio::test]
pub(crate) async fn a_full_disk_under_the_state_doubles_and_loses_nothing() {
    let mut server = small();
    let (state, warehouse) = (server.database().await, server.database().await);
    let daily = "MODEL (name shop.days_of_which_each_is_a_batch_with_a_long_name, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1));
SELECT CAST(@start_ds AS DATE) AS day, i AS number FROM generate_series(1, 3) AS r(i)
";
    // A batch of this kind that runs twice would add its rows twice.
    let added = "MODEL (name shop.rows_that_are_added_once_and_have_a_long_name_too, kind INCREMENTAL_UNMANAGED, cron '@daily');
SELECT @start_ds AS day, i AS number FROM generate_series(1, 3) AS r(i)
";
    let workspace = Workspace::new(&[("models/daily.sql", daily), ("models/added.sql", added)]);
    let of_state = format!(
        "    state_connection:\n      type: postgres\n      host: {}\n      user: {}\n      database: {}\n",
        state.host,
        crate::cluster::USER,
        state.name
    );
    workspace.write("config.yaml", &config(&warehouse, &of_state));
    workspace.apply("prod", "2024-01-03");
    let counted = async || {
        let sql = "SELECT count(*), count(DISTINCT (day, number)) FROM shop.days_of_which_each_is_a_batch_with_a_long_name
                   UNION ALL
                   SELECT count(*), count(DISTINCT (day, number)) FROM shop.rows_that_are_added_once_and_have_a_long_name_too";
        rows(&warehouse, sql).await.concat()
    };
    let before = counted().await;

    // As records of many years would: until not one more has room, also where one was taken back. Those to come have longer
    // names, and fit nowhere.
    for rows_at_once in [500, 10, 1] {
        let fill = format!(
            "DO $$ DECLARE i INT := 0; BEGIN
                LOOP
                    i := i + 1;
                    INSERT INTO siding.siding_batches
                    SELECT '{rows_at_once}-' || i || '-' || j, '', 0, 1, 2, 'prod', 1, 1, 1, 1
                    FROM generate_series(1, {rows_at_once}) AS r(j);
                    COMMIT;
                END LOOP;
            END $$"
        );
        let mut connection = state.connect().await;
        let fill = sqlx::raw_sql(sqlx::AssertSqlSafe(fill));
        let full = sqlx::Executor::execute(&mut connection, fill).await;
        let full = full.unwrap_err().to_string();
        assert!(full.contains("could not extend file"), "{full}");
        rows(&state, "SELECT count(*) FROM siding.siding_batches").await;
    }

    let run = ["run", "--execution-time", "2024-01-09"];
    for _ in 0..2 {
        let ended = workspace.run(&run).failed();
        let said = &ended.stderr;
        assert!(
            said.contains("the state database has no room left"),
            "{said}"
        );
        assert_eq!(said.matches("help: Make room").count(), 1, "{said}");
    }
    server.crash();
    server.start_again(grow);
    workspace.run(&run).fine();
    let after = counted().await;
    assert_eq!(after[..2], ["24", "24"], "{before:?}");
    assert_eq!(after[2], after[3], "{before:?}");
    workspace.run(&run).fine();
    assert_eq!(counted().await, after);
}

#[tokio::test]
pub(crate) async fn a_server_that_goes_down_because_its_log_has_no_room_loses_nothing() {
    // What is written ahead fills a file of 16 MB, and no file becomes larger than 12 MB.
    let mut server = OwnServer::start(&[], |setup| {
        let script = "ulimit -f 24000; exec \"$@\"";
        setup.under = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
    });
    let database = server.database().await;
    let workspace = Workspace::new(&[("models/wide.sql", WIDE)]);
    workspace.write("config.yaml", &config(&database, SQLITE));

    let said = workspace.run(&PLAN).failed().stderr;
    // Unless a process of the server's own met it first: then nobody is told why the connections end.
    let causes = [
        "no room left: could not write",
        "was lost",
        "the server runs and is reachable",
    ];
    assert!(causes.iter().any(|cause| said.contains(cause)), "{said}");
    assert_eq!(said.matches("help: ").count(), 1, "{said}");
    assert!(!said.contains("WARN"), "{said}");
    let down = server.folder().join("data/postmaster.pid");
    for _ in 0..6_000 {
        if !down.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let said = workspace.run(&PLAN).failed().stderr;
    assert!(said.contains("the server runs and is reachable"), "{said}");

    server.start_again(grow);
    workspace.run(&PLAN).fine();
    let days = "SELECT count(*), count(DISTINCT (day, number)) FROM shop.wide";
    assert_eq!(rows(&database, days).await, [["10000", "10000"]]);
}
