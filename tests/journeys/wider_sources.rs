//! Tables that somebody else fills get other types: no value changes on its way into a table that was made before.

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    values_that_the_table_would_change_stop_every_incremental_kind,
    a_column_that_holds_every_value_goes_on,
}

/// Each kind over `raw.s`: (id, v, day) for some days, and a number v that is an INTEGER at first.
const KINDS: [(&str, &str); 5] = [
    ("tr", "INCREMENTAL_BY_TIME_RANGE (time_column day)"),
    ("uk", "INCREMENTAL_BY_UNIQUE_KEY (unique_key id)"),
    ("sc", "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v])"),
    ("un", "INCREMENTAL_UNMANAGED"),
    ("pt", "INCREMENTAL_BY_PARTITION, partitioned_by (day)"),
];

fn filled(data_type: &str) -> Workspace {
    let workspace = Workspace::new(&[]);
    workspace.execute(&format!(
        "CREATE SCHEMA raw; CREATE TABLE raw.s (id INT, v {data_type}, day DATE);
         INSERT INTO raw.s VALUES (1, 10, DATE '2024-01-01'), (2, 20, DATE '2024-01-02')"
    ));
    for (name, kind) in KINDS {
        let text = format!(
            "MODEL (name db.{name}, kind {kind});
SELECT id, v, day FROM raw.s WHERE day BETWEEN @start_date AND @end_date
"
        );
        workspace.write(&format!("models/{name}.sql"), &text);
    }
    workspace.apply("prod", "2024-01-03");
    workspace
}

/// The source gets another type for `v`, and a row of the third day.
fn becomes(workspace: &Workspace, data_type: &str, value: &str) {
    workspace.execute(&format!(
        "DROP TABLE raw.s; CREATE TABLE raw.s (id INT, v {data_type}, day DATE);
         INSERT INTO raw.s VALUES (1, 10, DATE '2024-01-01'), (2, 20, DATE '2024-01-02'), (3, {value}, DATE '2024-01-03')"
    ));
}

fn third(workspace: &Workspace, name: &str) -> Vec<Vec<String>> {
    workspace.rows(&format!("SELECT v FROM db.{name} WHERE id = 3"))
}

fn values_that_the_table_would_change_stop_every_incremental_kind() {
    let workspace = filled("INT");
    becomes(&workspace, "DECIMAL(10,1)", "1.7");

    let ended = workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .failed();

    for (name, _) in KINDS {
        let wanted = format!("the query of `db.{name}` gives `v` as ");
        assert!(
            ended.stderr.contains(&wanted),
            "{wanted}:\n{}",
            ended.stderr
        );
        assert_eq!(third(&workspace, name), Vec::<Vec<String>>::new(), "{name}");
    }
    assert!(
        ended.stderr.contains("the column of its table is INTEGER"),
        "{}",
        ended.stderr
    );

    // The way out that the message names; some kinds keep the rows of such a column only if they are told to lose them.
    let mut plan = vec!["plan", "--execution-time", "2024-01-04", "--auto-apply"];
    for (name, kind) in KINDS {
        let path = format!("models/{name}.sql");
        let typed = format!("kind {kind}, columns (id INT, v DECIMAL(10,1), day DATE));");
        workspace.edit(&path, &format!("kind {kind});"), &typed);
    }
    for name in ["db.sc", "db.un", "db.pt"] {
        plan.extend(["--allow-destructive-model", name]);
    }
    workspace.run(&plan).fine();
    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    for (name, _) in KINDS {
        assert_eq!(third(&workspace, name), [["1.7"]], "{name}");
    }
}

fn a_column_that_holds_every_value_goes_on() {
    let workspace = filled("BIGINT");
    becomes(&workspace, "SMALLINT", "7");

    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();

    for (name, _) in KINDS {
        assert_eq!(third(&workspace, name), [["7"]], "{name}");
    }
}
