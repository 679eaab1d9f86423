//! A table of somebody else gets other columns: what is built anew takes them, whoever stands on it.

use crate::engines::columns;
use crate::engines::on_both_engines;
use crate::workspace::Workspace;
use crate::workspace::on_postgres;

on_both_engines! {
    a_full_model_takes_the_columns_that_an_external_table_gets,
}

const FULL: &str = "MODEL (name db.fu, kind FULL);\nSELECT * FROM raw.s\n";
const STORED: &str = "MODEL (name db.mv, kind VIEW (materialized true));\nSELECT * FROM raw.s\n";
const VIEW: &str = "MODEL (name db.vw, kind VIEW);\nSELECT id FROM db.fu\n";

fn deployed() -> Workspace {
    let workspace = Workspace::new(&[
        ("models/fu.sql", FULL),
        ("models/mv.sql", STORED),
        ("models/vw.sql", VIEW),
    ]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.s (id INT, v INT); INSERT INTO raw.s VALUES (1, 10)",
    );
    workspace.apply("prod", "2024-01-02");
    workspace
        .run(&[
            "plan",
            "dev",
            "--execution-time",
            "2024-01-02",
            "--auto-apply",
        ])
        .fine();
    workspace
}

fn add_column(workspace: &Workspace) {
    workspace.execute("ALTER TABLE raw.s ADD COLUMN w INT");
    workspace.execute("INSERT INTO raw.s VALUES (2, 20, 200)");
}

fn a_full_model_takes_the_columns_that_an_external_table_gets() {
    let workspace = deployed();
    add_column(&workspace);

    workspace
        .run(&["run", "--execution-time", "2024-01-03"])
        .fine();

    for name in ["db.fu", "db.mv"] {
        let rows = workspace.rows(&format!("SELECT * FROM {name} ORDER BY id"));
        assert_eq!(rows, [["1", "10", "NULL"], ["2", "20", "200"]], "{name}");
    }
    assert_eq!(
        workspace.rows("SELECT id FROM db.vw ORDER BY id"),
        [["1"], ["2"]]
    );

    // A column that goes, too.
    workspace.execute("ALTER TABLE raw.s DROP COLUMN v");
    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    let rows = workspace.rows("SELECT * FROM db.fu ORDER BY id");
    assert_eq!(rows, [["1", "NULL"], ["2", "200"]]);
}

#[test]
fn rights_on_the_views_stay_on_postgres() {
    on_postgres(|| {
        let workspace = deployed();
        workspace.execute("GRANT SELECT ON db.fu TO PUBLIC");
        let rights =
            || workspace.rows("SELECT relacl::text FROM pg_class WHERE oid = 'db.fu'::regclass");
        let before = rights();
        add_column(&workspace);
        workspace
            .run(&["run", "--execution-time", "2024-01-03"])
            .fine();
        assert_eq!(rights(), before);
    });
}

#[test]
fn a_view_of_somebody_else_is_named_and_stays_on_postgres() {
    on_postgres(|| {
        let workspace = deployed();
        workspace.execute("CREATE VIEW raw.theirs AS SELECT id FROM db.fu");
        add_column(&workspace);

        let ended = workspace
            .run(&["run", "--execution-time", "2024-01-03"])
            .failed();

        assert!(
            ended.stderr.contains("`raw.theirs` stands on its table"),
            "{}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains("CREATE OR REPLACE TABLE"),
            "{}",
            ended.stderr
        );
        assert_eq!(workspace.rows("SELECT id FROM raw.theirs"), [["1"]]);
        assert_eq!(workspace.rows("SELECT id, v FROM db.fu"), [["1", "10"]]);

        workspace.execute("DROP VIEW raw.theirs");
        workspace
            .run(&["run", "--execution-time", "2024-01-03"])
            .fine();
        assert_eq!(columns(&workspace, "db.fu"), ["id", "v", "w"]);
    });
}
