//! Tables and views of other people where Siding wants to put its own, and above what it has made: nothing of theirs is
//! lost, the message says what to do, and then it goes.

use crate::engines::on_both_engines;
use crate::workspace::Ended;
use crate::workspace::Workspace;

on_both_engines! {
    a_table_in_the_way_of_a_view_is_found_before_anything_is_built,
    a_view_in_the_way_is_not_replaced,
    views_that_are_left_of_a_lost_state_are_taken_over,
    a_view_that_somebody_built_on_ours_keeps_its_columns,
    a_drop_that_the_warehouse_refuses_is_recorded_and_tried_again,
}

const NOW: &str = "2024-01-03";

fn two_models() -> Workspace {
    Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT x FROM db.a\n",
        ),
    ])
}

fn plan(workspace: &Workspace) -> Ended {
    workspace.run(&["plan", "--execution-time", NOW, "--auto-apply"])
}

#[track_caller]
fn refused(ended: Ended, wanted: &[&str]) {
    let ended = ended.failed();
    for part in wanted {
        assert!(
            ended.stderr.contains(part),
            "`{part}` is not in:\n{}",
            ended.stderr
        );
    }
}

fn a_table_in_the_way_of_a_view_is_found_before_anything_is_built() {
    let workspace = two_models();
    workspace.execute("CREATE SCHEMA db; CREATE TABLE db.b AS SELECT 'mine' AS x");

    refused(
        plan(&workspace),
        &["there is a table `db.b` already, which Siding has not made; rename or drop it"],
    );

    assert_eq!(workspace.rows("FROM db.b"), [["mine"]]);
    assert_eq!(workspace.objects("BASE TABLE"), ["db.b"]);
    assert_eq!(workspace.objects("VIEW"), Vec::<String>::new());
    let environments = workspace.run(&["environments"]).fine();
    assert!(
        environments.stdout.contains("no environments"),
        "{}",
        environments.stdout
    );
    workspace.execute("ALTER TABLE db.b RENAME TO theirs");
    plan(&workspace).fine();
    assert_eq!(
        workspace.rows("SELECT b.x, theirs.x FROM db.b AS b, db.theirs AS theirs"),
        [["1", "mine"]]
    );
}

fn a_view_in_the_way_is_not_replaced() {
    let workspace = two_models();
    workspace.apply("prod", NOW);
    workspace.execute("CREATE VIEW db.c AS SELECT 'mine' AS x");
    workspace.write(
        "models/c.sql",
        "MODEL (name db.c, kind FULL);\nSELECT x FROM db.b\n",
    );

    refused(
        plan(&workspace),
        &["there is a view `db.c` already, which Siding has not made; rename or drop it"],
    );

    assert_eq!(workspace.rows("FROM db.c"), [["mine"]]);
    assert_eq!(workspace.rows("FROM db.b"), [["1"]]);
    // Another environment has another schema.
    workspace.apply("dev", NOW);
    assert_eq!(workspace.rows("FROM db__dev.c"), [["1"]]);
    workspace.execute("DROP VIEW db.c");
    plan(&workspace).fine();
    assert_eq!(workspace.rows("FROM db.c"), [["1"]]);
}

fn views_that_are_left_of_a_lost_state_are_taken_over() {
    let workspace = two_models();
    workspace.apply("prod", NOW);
    workspace.remove("state.db");
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");

    plan(&workspace).fine();

    assert_eq!(workspace.rows("FROM db.b"), [["2"]]);
    assert_eq!(workspace.rows("FROM db.a"), [["2"]]);
}

fn a_view_that_somebody_built_on_ours_keeps_its_columns() {
    let workspace = two_models();
    workspace.apply("prod", NOW);
    workspace.execute("CREATE SCHEMA own; CREATE VIEW own.report AS SELECT x FROM db.b");

    // Other rows, the same columns: the view stays where it is.
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    plan(&workspace).fine();
    assert_eq!(workspace.rows("FROM own.report"), [["2"]]);

    // PostgreSQL does not let go of a column that somebody's view reads; DuckDB looks it up when it is asked.
    workspace.edit("models/b.sql", "SELECT x", "SELECT 'text' AS x");
    let ended = plan(&workspace);
    if workspace.is_postgres() {
        refused(ended, &["own.report", "db.b"]);
        assert_eq!(workspace.rows("FROM own.report"), [["2"]]);
        assert_eq!(workspace.rows("FROM db.b"), [["2"]], "no view has changed");
        workspace.execute("DROP VIEW own.report");
        plan(&workspace).fine();
    } else {
        ended.fine();
        workspace.execute("DROP VIEW own.report");
    }
    assert_eq!(workspace.rows("FROM db.b"), [["text"]]);
    assert_eq!(
        workspace
            .run(&["run", "--execution-time", NOW])
            .fine()
            .stdout
            .trim()
            .split('.')
            .next(),
        Some("Nothing is due in `prod`")
    );
}

fn a_drop_that_the_warehouse_refuses_is_recorded_and_tried_again() {
    let workspace = two_models();
    let old = workspace.apply("prod", NOW).table("db.b");
    workspace.edit("models/b.sql", "SELECT x", "SELECT x + 1 AS x");
    workspace.apply("prod", NOW);
    // Neither engine drops what stands on it: a view there, a schema that is not empty here.
    let janitor = ["janitor", "--ignore-ttl"];
    if workspace.is_postgres() {
        workspace.execute(&format!(
            "CREATE SCHEMA own; CREATE VIEW own.report AS SELECT x FROM {old}"
        ));
        let ended = workspace.run(&janitor);
        assert!(
            ended.stdout.contains(&old) || ended.stderr.contains(&old),
            "{ended:?}"
        );
        assert_eq!(
            workspace.rows("FROM own.report"),
            [["1"]],
            "nothing with CASCADE"
        );
        let told = workspace.run(&["janitor", "--explain"]).fine().stdout;
        let line = told
            .lines()
            .find(|line| line.contains(&old))
            .unwrap_or_default()
            .to_owned();
        assert!(
            line.contains("own.report") || line.contains("depend"),
            "{told}"
        );
        workspace.execute("DROP VIEW own.report");
    }
    workspace.run(&janitor).fine();
    assert!(!workspace.objects("BASE TABLE").contains(&old));
    assert_eq!(workspace.rows("FROM db.b"), [["2"]]);
    assert_eq!(
        workspace.run(&janitor).fine().stdout.trim(),
        "Nothing to remove."
    );
}
