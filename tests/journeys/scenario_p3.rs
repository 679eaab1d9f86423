//! Golden scenario P3: `a` and `b` meet in `c`, which `d` reads; several changes at once, in several environments.

use crate::engines::on_both_engines;
use crate::restatement::with;
use crate::workspace::Workspace;
use crate::workspace::map;

on_both_engines! {
    the_worse_of_two_parents_decides,
    a_harmless_edit_in_between_does_not_hide_the_change_above_it,
    changes_of_two_environments_meet_in_production_without_a_rebuild,
    what_dev_made_of_restated_data_is_missing_there,
    after_the_environments_only_productions_tables_are_left,
}

const NOW: &str = "2024-01-06";

fn p3() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "external_models.yaml",
            "- name: raw.t\n  columns:\n    y: INT\n",
        ),
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT y FROM raw.t\n",
        ),
        (
            "models/c.sql",
            "MODEL (name db.c, kind FULL);\nSELECT a.x, b.y FROM db.a AS a CROSS JOIN db.b AS b\n",
        ),
        (
            "models/d.sql",
            "MODEL (name db.d, kind FULL);\nSELECT x, y FROM db.c\n",
        ),
    ]);
    workspace.execute("CREATE SCHEMA raw; CREATE TABLE raw.t AS SELECT 2 AS y");
    workspace.apply("prod", NOW);
    workspace
}

fn the_worse_of_two_parents_decides() {
    let workspace = p3();
    workspace.edit("models/a.sql", "1 AS x", "1 AS x, 9 AS w");
    workspace.edit("models/b.sql", "SELECT y", "SELECT y + 1 AS y");

    let plan = workspace.apply("dev", NOW);

    let indirect = "indirect/indirect_breaking";
    assert_eq!(
        plan.changes(),
        map([
            ("db.a", "direct/non_breaking"),
            ("db.b", "direct/breaking"),
            ("db.c", indirect),
            ("db.d", indirect),
            ("raw.t", "unchanged/-"),
        ])
    );
    assert_eq!(workspace.rows("FROM db__dev.d"), [["1", "3"]]);
}

fn a_harmless_edit_in_between_does_not_hide_the_change_above_it() {
    let workspace = p3();
    workspace.edit("models/a.sql", "1 AS x", "5 AS x");
    workspace.edit("models/c.sql", "b.y FROM", "b.y, 0 AS z FROM");

    let plan = workspace.apply("prod", NOW);

    assert_eq!(plan.changes()["db.d"], "indirect/indirect_breaking");
    assert_eq!(workspace.rows("FROM db.d"), [["5", "2"]]);
}

fn changes_of_two_environments_meet_in_production_without_a_rebuild() {
    let workspace = p3();
    workspace.edit("models/a.sql", "1 AS x", "1 AS x, 9 AS w");
    let d1 = workspace.apply("d1", NOW);
    workspace.edit("models/a.sql", ", 9 AS w", "");
    workspace.edit("models/b.sql", "SELECT y", "SELECT y, 8 AS v");
    let d2 = workspace.apply("d2", NOW);
    workspace.edit("models/a.sql", "1 AS x", "1 AS x, 9 AS w");

    let prod = workspace.apply("prod", NOW);

    assert!(prod.is_virtual_only());
    assert_eq!(prod.table("db.a"), d1.table("db.a"));
    assert_eq!(prod.table("db.b"), d2.table("db.b"));
    assert_eq!(prod.changes()["db.c"], "indirect/indirect_non_breaking");
    assert_eq!(prod.changes()["db.d"], "indirect/indirect_non_breaking");
    assert_eq!(workspace.rows("SELECT w, v FROM db.a, db.b"), [["9", "8"]]);
}

fn what_dev_made_of_restated_data_is_missing_there() {
    let workspace = p3();
    workspace.edit("models/a.sql", "1 AS x", "4 AS x");
    workspace.apply("d3", NOW);
    workspace.execute("UPDATE raw.t SET y = 20");

    let plan = with(&workspace, &["prod", "-r", "db.b", "--auto-apply"]);

    assert_eq!(plan.backfilled(), ["db.b", "db.c", "db.d"]);
    assert_eq!(workspace.rows("FROM db.d"), [["1", "20"]]);
    let dev = workspace.apply("d3", NOW);
    assert_eq!(dev.backfilled(), ["db.c", "db.d"]);
    assert_eq!(workspace.rows("FROM db__d3.d"), [["4", "20"]]);
}

fn after_the_environments_only_productions_tables_are_left() {
    let workspace = p3();
    let tables = ["db.a", "db.b", "db.c", "db.d"];
    let prod = workspace.plan("prod", NOW);
    let mut expected: Vec<String> = tables.iter().map(|name| prod.table(name)).collect();
    expected.push("raw.t".to_owned());
    expected.sort();
    workspace.edit("models/a.sql", "1 AS x", "4 AS x");
    workspace.apply("d1", NOW);
    workspace.edit("models/c.sql", "b.y FROM", "b.y + 1 AS y FROM");
    workspace.apply("d2", NOW);
    assert_eq!(workspace.rows("FROM db__d1.d"), [["4", "2"]]);
    assert_eq!(workspace.rows("FROM db__d2.d"), [["4", "3"]]);

    for name in ["d1", "d2"] {
        workspace.run(&["invalidate", name]).fine();
    }
    workspace.run(&["janitor", "--ignore-ttl"]).fine();

    assert_eq!(workspace.objects("BASE TABLE"), expected);
    assert_eq!(workspace.objects("VIEW"), tables);
    let schemas = workspace.rows(
        "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'db\\_\\_d%' ESCAPE '\\'",
    );
    assert!(schemas.is_empty(), "{schemas:?}");
    assert_eq!(workspace.rows("FROM db.d"), [["1", "2"]]);
    // What is gone can be made again.
    workspace.apply("d1", NOW);
    assert_eq!(workspace.rows("FROM db__d1.d"), [["4", "3"]]);
}
