//! `virtual_environment_mode: dev_only` on PostgreSQL, where rights, views and indexes are those of a table, not of its name;
//! and where several processes work at once.

use std::process::Stdio;

use crate::dev_only::set_mode;
use crate::dev_only::shown;
use crate::dev_only::workspace;
use crate::workspace::Workspace;
use crate::workspace::on_postgres;

const NOW: &str = "2024-01-04";

fn two() -> Workspace {
    let workspace = workspace(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x;\nCREATE INDEX IF NOT EXISTS a_of_x ON @this_model (x)\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT x + 10 AS y FROM db.a\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    workspace
}

#[test]
pub(crate) fn rights_views_and_indexes_are_those_of_the_table_that_readers_see() {
    on_postgres(|| {
        let workspace = two();
        workspace.execute("CREATE SCHEMA bi");
        workspace.execute("CREATE VIEW bi.report AS SELECT x * 100 AS x FROM db.a");
        workspace.execute("CREATE VIEW bi.again AS SELECT x + 1 AS x FROM bi.report");
        workspace.execute("GRANT SELECT ON db.a TO pg_monitor");
        workspace.execute("GRANT SELECT (y) ON db.b TO pg_monitor WITH GRANT OPTION");
        let indexes = "SELECT indexname FROM pg_indexes WHERE schemaname = 'db' ORDER BY 1";
        let check = |x: u32| {
            let rows = [[x.to_string()]];
            assert_eq!(workspace.rows("FROM db.a"), rows);
            assert_eq!(workspace.rows("FROM bi.report"), [[(x * 100).to_string()]]);
            let again = [[(x * 100 + 1).to_string()]];
            assert_eq!(workspace.rows("FROM bi.again"), again);
            for right in [
                "has_table_privilege('pg_monitor', 'db.a', 'SELECT')",
                "has_column_privilege('pg_monitor', 'db.b', 'y', 'SELECT WITH GRANT OPTION')",
            ] {
                let rows = workspace.rows(&format!("SELECT {right}"));
                assert_eq!(rows, [["t"]], "{right}");
            }
            assert_eq!(workspace.rows(indexes), [["a_of_x"]]);
        };
        check(1);
        workspace.edit("models/a.sql", "1 AS x", "2 AS x");
        workspace.apply("dev", NOW);
        workspace.apply("prod", NOW);
        check(2);
        workspace.edit("models/a.sql", "2 AS x", "3 AS x");
        workspace.apply("prod", NOW);
        check(3);
        workspace.run(&["rollback", "prod"]).fine();
        workspace.execute("DROP INDEX IF EXISTS db.a_of_x");
        assert_eq!(workspace.rows("FROM bi.again"), [["201"]]);
        assert_eq!(workspace.rows("FROM db.b"), [["12"]]);
    });
}

#[test]
fn what_cannot_be_made_again_stops_the_plan_before_anything_changes() {
    on_postgres(|| {
        let workspace = two();
        workspace.execute("CREATE MATERIALIZED VIEW db.kept AS SELECT x FROM db.a");
        workspace.edit("models/a.sql", "1 AS x", "2 AS x");
        let plan = ["plan", "--execution-time", NOW, "--auto-apply"];
        let ended = workspace.run(&plan).failed();
        let told = "`db.kept` reads `db.a` and would go on reading the table that is there now";
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
        assert_eq!(workspace.rows("FROM db.b"), [["11"]]);

        workspace.execute("DROP MATERIALIZED VIEW db.kept");
        workspace.run(&plan).fine();
        assert_eq!(workspace.rows("FROM db.b"), [["12"]]);
    });
}

#[test]
fn who_reads_a_version_while_another_takes_its_place_reads_that_version() {
    on_postgres(|| {
        let workspace = two();
        // A plan of `dev` that reads production's table of `db.a` after some seconds.
        workspace.write(
            "models/slow.sql",
            "MODEL (name db.slow, kind FULL);\nSELECT 0 AS zero, CAST(pg_sleep(4) AS TEXT) AS slept\n",
        );
        workspace.write(
            "models/late.sql",
            "MODEL (name db.late, kind FULL);\nSELECT a.x AS x FROM db.a AS a CROSS JOIN db.slow AS s\n",
        );
        workspace.write(
            "models/seen.sql",
            "MODEL (name db.seen, kind VIEW);\nSELECT a.x AS x FROM db.a AS a CROSS JOIN db.slow AS s\n",
        );
        let slow = workspace
            .command(&["plan", "dev", "--execution-time", NOW, "--auto-apply"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(4)%' AND state = 'active'
                       AND pid <> pg_backend_pid()";
        while workspace.rows(running) == [["0"]] {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        for model in ["slow", "late", "seen"] {
            workspace.remove(&format!("models/{model}.sql"));
        }
        workspace.edit("models/a.sql", "1 AS x", "2 AS x");
        workspace.apply("prod", NOW);
        assert_eq!(workspace.rows("FROM db.a"), [["2"]]);

        let ended = slow.wait_with_output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(workspace.rows("FROM db__dev.late"), [["1"]]);
        assert_eq!(workspace.rows("FROM db__dev.seen"), [["1"]]);
        // Also once the former version is shown again, and gone again.
        workspace.run(&["rollback", "prod"]).fine();
        assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
        assert_eq!(workspace.rows("FROM db__dev.seen"), [["1"]]);
        workspace.forward("prod");
        assert_eq!(workspace.rows("FROM db.a"), [["2"]]);
        assert_eq!(workspace.rows("FROM db__dev.seen"), [["1"]]);
        assert_eq!(shown(&workspace)[..2], ["table db.a", "table db.b"]);

        // What stood in for the table goes with its version.
        workspace.run(&["invalidate", "dev"]).fine();
        workspace.run(&["janitor", "--ignore-ttl"]).fine();
        assert_eq!(workspace.objects("BASE TABLE"), ["db.a", "db.b"]);
        assert_eq!(workspace.objects("VIEW").len(), 2);
    });
}

#[test]
fn a_plan_waits_for_a_run_that_writes_the_table_that_is_to_leave() {
    on_postgres(|| {
        let workspace = workspace(&[(
            "models/days.sql",
            "MODEL (name db.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1));\n\
             SELECT CAST(@start_ds AS DATE) AS day, 1 AS x, CAST(pg_sleep(CASE WHEN @start_ds = '2024-01-04' THEN 3 ELSE 0 END) AS TEXT) AS slept\n",
        )]);
        workspace.apply("prod", NOW);
        let run = workspace
            .command(&["run", "--execution-time", "2024-01-05 00:10:00"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%THEN 3 ELSE%' AND state = 'active'
                       AND pid <> pg_backend_pid()";
        while workspace.rows(running) == [["0"]] {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        workspace.edit("models/days.sql", "1 AS x", "100 AS x");
        workspace.apply("prod", NOW);
        let ended = run.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{told}");
        workspace
            .run(&["run", "--execution-time", "2024-01-05 00:20:00"])
            .fine();
        let days = workspace
            .rows("SELECT CAST(day AS TEXT), count(*) FROM db.days GROUP BY day ORDER BY 1");
        assert_eq!(days.len(), 4, "{days:?}");
        assert!(days.iter().all(|row| row[1] == "1"), "{days:?}");
    });
}

#[test]
pub(crate) fn what_others_have_on_a_table_they_have_on_the_view_in_its_place() {
    on_postgres(|| {
        let workspace = two();
        workspace.execute("CREATE SCHEMA bi");
        workspace.execute("CREATE VIEW bi.report AS SELECT x * 100 AS x FROM db.a");
        workspace.execute("GRANT SELECT ON db.a TO pg_monitor");
        let may_read = "SELECT has_table_privilege('pg_monitor', 'db.a', 'SELECT')";
        set_mode(&workspace, false);
        workspace.edit("models/a.sql", "1 AS x", "2 AS x");
        workspace.apply("prod", NOW);
        assert_eq!(
            shown(&workspace),
            ["view bi.report", "view db.a", "view db.b"]
        );
        assert_eq!(workspace.rows("FROM bi.report"), [["200"]]);
        assert_eq!(workspace.rows(may_read), [["t"]]);

        // The other way it stands on a view that has to go.
        set_mode(&workspace, true);
        let plan = ["plan", "--execution-time", NOW, "--auto-apply"];
        let ended = workspace.run(&plan).failed();
        let told = "`bi.report` reads the view `db.a`, in whose place a table is to be";
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert_eq!(workspace.rows("FROM bi.report"), [["200"]]);
        workspace.execute("DROP VIEW bi.report");
        workspace.run(&plan).fine();
        assert_eq!(shown(&workspace), ["table db.a", "table db.b"]);
        assert_eq!(workspace.rows("FROM db.b"), [["12"]]);
        assert_eq!(workspace.rows(may_read), [["t"]]);
    });
}
