//! Columns that somebody adds to a table by hand, beside those of the query.

use crate::engines::on_both_engines;
use crate::workspace::Workspace;
use crate::workspace::on_postgres;

on_both_engines! {
    a_column_that_was_added_by_hand_is_named_with_the_ways_out,
}

const DAYS: &str = "CREATE SCHEMA raw; CREATE TABLE raw.days (ds DATE, x INT);
INSERT INTO raw.days VALUES ('2024-01-01', 1), ('2024-01-02', 2), ('2024-01-03', 3), ('2024-01-04', 4)";

fn days(kind: &str) -> Workspace {
    let model = format!(
        "MODEL (name db.inc, kind INCREMENTAL_BY_TIME_RANGE (time_column ds{kind}));\n\
         SELECT ds, x FROM raw.days WHERE ds BETWEEN @start_ds AND @end_ds\n"
    );
    let workspace = Workspace::new(&[("models/inc.sql", &model)]);
    workspace.execute(DAYS);
    workspace
}

fn a_column_that_was_added_by_hand_is_named_with_the_ways_out() {
    let workspace = days("");
    let table = workspace.apply("prod", "2024-01-03").table("db.inc");
    workspace.execute(&format!("ALTER TABLE {table} ADD COLUMN note TEXT"));
    let run = ["run", "--execution-time", "2024-01-04"];
    let said = workspace.run(&run).failed().stderr;
    assert!(
        said.contains("`db.inc` has a column `note` that the query does not give"),
        "{said}"
    );
    assert!(!said.contains("in the statement"), "{said}");
    let rows = || workspace.rows("SELECT x FROM db.inc ORDER BY x");
    assert_eq!(rows(), [["1"], ["2"]]);

    workspace.execute(&format!("ALTER TABLE {table} DROP COLUMN note"));
    workspace.run(&run).fine();
    assert_eq!(rows(), [["1"], ["2"], ["3"]]);
}

#[test]
fn a_copy_keeps_the_values_of_a_column_that_was_generated() {
    on_postgres(|| {
        let workspace = days(", forward_only true, on_destructive_change ignore");
        let table = workspace.apply("prod", "2024-01-03").table("db.inc");
        workspace.execute(&format!(
            "ALTER TABLE {table} ADD COLUMN twice INT GENERATED ALWAYS AS (x * 2) STORED,
                                 ADD COLUMN id INT GENERATED ALWAYS AS IDENTITY"
        ));
        let run = |now: &str| workspace.run(&["run", "--execution-time", now]).fine();
        run("2024-01-04");
        workspace.edit("models/inc.sql", "SELECT ds, x", "SELECT ds, x, 7 AS y");
        let changed = workspace.apply("prod", "2024-01-04").table("db.inc");
        assert_ne!(changed, table);
        run("2024-01-05");
        let rows = workspace.rows(&format!("SELECT x, twice, y FROM {changed} ORDER BY x"));
        assert_eq!(
            rows,
            [
                ["1", "2", "NULL"],
                ["2", "4", "NULL"],
                ["3", "6", "NULL"],
                ["4", "NULL", "7"]
            ]
        );
        let ids = format!("SELECT count(DISTINCT id), count(id) FROM {changed}");
        assert_eq!(workspace.rows(&ids), [["4", "4"]]);
    });
}
