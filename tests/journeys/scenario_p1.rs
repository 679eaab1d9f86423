//! Golden scenario P1: one change after another to four models, and what is built for each.
//!
//! Where the reference edits a view in place (its `v` keeps the version when `a` gains a column), Siding gives
//! the view a version of its own, so that the deployment is a switch and nothing else.

use crate::engines::columns;
use crate::engines::on_both_engines;
use crate::workspace::Workspace;
use crate::workspace::map;

on_both_engines! {
    the_first_plan_builds_everything,
    a_second_plan_finds_nothing_to_do,
    reformatting_builds_nothing,
    a_new_column_rebuilds_its_model_and_who_selects_everything,
    deploying_what_dev_built_executes_nothing,
    reverting_and_applying_again_reuses_every_table,
    a_changed_value_rebuilds_everything_below,
    a_harmless_edit_does_not_hide_a_breaking_one_above_it,
    one_change_after_the_other_is_what_readers_see,
}

const NOW: &str = "2024-01-10";

fn p1() -> Workspace {
    Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x, 'b' AS y\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT x, y FROM db.a\n",
        ),
        (
            "models/s.sql",
            "MODEL (name db.s, kind FULL);\nSELECT * FROM db.a\n",
        ),
        (
            "models/v.sql",
            "MODEL (name db.v, kind VIEW);\nSELECT x FROM db.b\n",
        ),
    ])
}

fn add_z(workspace: &Workspace) {
    workspace.edit("models/a.sql", "'b' AS y", "'b' AS y, 3 AS z");
}

fn the_first_plan_builds_everything() {
    let workspace = p1();

    let plan = workspace.apply("prod", NOW);

    let added = "added/breaking";
    assert_eq!(
        plan.changes(),
        map([
            ("db.a", added),
            ("db.b", added),
            ("db.s", added),
            ("db.v", added)
        ])
    );
    assert_eq!(plan.backfilled(), ["db.a", "db.b", "db.s", "db.v"]);
    let all = serde_json::json!([["2024-01-01T00:00:00Z", "2024-01-10T00:00:00Z"]]);
    assert_eq!(plan.model("db.a")["backfill"], all);
    assert!(plan.table("db.a").starts_with("siding__db.db__a__"));
    assert_eq!(workspace.rows("SELECT * FROM db.v"), [["1"]]);
    assert_eq!(workspace.rows("SELECT * FROM db.s"), [["1", "b"]]);
    assert!(
        workspace
            .objects("BASE TABLE")
            .iter()
            .all(|table| table.starts_with("siding__db."))
    );
}

fn a_second_plan_finds_nothing_to_do() {
    let workspace = p1();
    workspace.apply("prod", NOW);

    let plan = workspace.plan("prod", NOW);

    assert!(
        plan.changes()
            .values()
            .all(|change| change == "unchanged/-")
    );
    assert_eq!(plan.backfilled(), Vec::<String>::new());
    assert!(!plan.is_virtual_only());
}

fn reformatting_builds_nothing() {
    let workspace = p1();
    let prod = workspace.apply("prod", NOW);

    workspace.write(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nselect\n  1 as X, -- one\n  'b' AS y\n",
    );
    let plan = workspace.apply("dev", NOW);

    let metadata = "metadata/metadata";
    assert_eq!(
        plan.changes(),
        map([
            ("db.a", metadata),
            ("db.b", metadata),
            ("db.s", metadata),
            ("db.v", metadata)
        ])
    );
    assert_eq!(plan.backfilled(), Vec::<String>::new());
    assert!(plan.is_virtual_only());
    assert_eq!(plan.table("db.a"), prod.table("db.a"));
    assert_eq!(plan.table("db.v"), prod.table("db.v"));
}

fn a_new_column_rebuilds_its_model_and_who_selects_everything() {
    let workspace = p1();
    let prod = workspace.apply("prod", NOW);

    add_z(&workspace);
    let dev = workspace.apply("dev", NOW);

    assert_eq!(
        dev.changes(),
        map([
            ("db.a", "direct/non_breaking"),
            ("db.b", "indirect/indirect_non_breaking"),
            ("db.s", "direct/non_breaking"),
            ("db.v", "indirect/indirect_non_breaking"),
        ])
    );
    assert_eq!(dev.table("db.b"), prod.table("db.b"));
    assert_eq!(dev.model("db.b")["reused"], true);
    assert_eq!(
        dev.model("db.a")["columns"]["added"],
        serde_json::json!(["z"])
    );
    assert_eq!(dev.backfilled(), ["db.a", "db.s", "db.v"]);
    assert_eq!(workspace.rows("SELECT z FROM db__dev.s"), [["3"]]);
    assert_eq!(
        workspace.rows("SELECT * FROM db.s"),
        [["1", "b"]],
        "production must not show the column yet"
    );
}

fn deploying_what_dev_built_executes_nothing() {
    let workspace = p1();
    workspace.apply("prod", NOW);
    add_z(&workspace);
    let dev = workspace.apply("dev", NOW);
    let tables = workspace.objects("BASE TABLE");

    let prod = workspace.apply("prod", NOW);

    assert!(prod.is_virtual_only());
    assert_eq!(prod.backfilled(), Vec::<String>::new());
    for model in ["db.a", "db.b", "db.s", "db.v"] {
        assert_eq!(prod.table(model), dev.table(model));
        assert_eq!(prod.model(model)["reused"], true);
    }
    assert_eq!(
        workspace.objects("BASE TABLE"),
        tables,
        "no table may be created or replaced"
    );
    assert_eq!(workspace.rows("SELECT z FROM db.a"), [["3"]]);
}

fn reverting_and_applying_again_reuses_every_table() {
    let workspace = p1();
    let first = workspace.apply("prod", NOW);
    add_z(&workspace);
    let second = workspace.apply("prod", NOW);

    workspace.edit("models/a.sql", ", 3 AS z", "");
    let reverted = workspace.apply("prod", NOW);
    assert!(reverted.is_virtual_only());
    assert_eq!(reverted.table("db.a"), first.table("db.a"));
    assert_eq!(workspace.rows("SELECT * FROM db.s"), [["1", "b"]]);

    add_z(&workspace);
    let again = workspace.apply("prod", NOW);
    assert!(again.is_virtual_only());
    assert_eq!(again.table("db.a"), second.table("db.a"));
    assert_eq!(workspace.rows("SELECT * FROM db.s"), [["1", "b", "3"]]);
}

fn a_changed_value_rebuilds_everything_below() {
    let workspace = p1();
    workspace.apply("prod", NOW);

    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    let plan = workspace.apply("dev", NOW);

    let indirect = "indirect/indirect_breaking";
    assert_eq!(
        plan.changes(),
        map([
            ("db.a", "direct/breaking"),
            ("db.b", indirect),
            ("db.s", indirect),
            ("db.v", indirect)
        ])
    );
    assert_eq!(plan.backfilled(), ["db.a", "db.b", "db.s", "db.v"]);
    assert_eq!(
        plan.model("db.a")["columns"]["changed"],
        serde_json::json!(["x"])
    );
    assert_eq!(workspace.rows("SELECT * FROM db__dev.v"), [["2"]]);
    assert_eq!(workspace.rows("SELECT * FROM db.v"), [["1"]]);
}

fn a_harmless_edit_does_not_hide_a_breaking_one_above_it() {
    let workspace = p1();
    workspace.apply("prod", NOW);

    // `b` gains a column and `a` changes a value in the same plan: `v`, below `b`, must be rebuilt.
    workspace.edit("models/a.sql", "1 AS x", "5 AS x");
    workspace.edit("models/b.sql", "x, y", "x, y, 7 AS w");
    workspace.write(
        "models/t.sql",
        "MODEL (name db.t, kind FULL);\nSELECT x FROM db.b\n",
    );
    let plan = workspace.apply("prod", NOW);

    assert_eq!(plan.changes()["db.b"], "direct/breaking");
    assert_eq!(plan.changes()["db.v"], "indirect/indirect_breaking");
    assert_eq!(
        workspace.rows("SELECT x FROM db.v UNION ALL SELECT x FROM db.t"),
        [["5"], ["5"]]
    );
}

/// All steps of the table, one after the other, as the rows show them.
fn one_change_after_the_other_is_what_readers_see() {
    let workspace = p1();
    let shown = |schema: &str| -> Vec<String> {
        let rows = ["a", "b", "s", "v"].into_iter().flat_map(|name| {
            let rows = workspace.rows(&format!("FROM {schema}.{name}"));
            rows.into_iter()
                .map(move |row| format!("{name} {}", row.join(" ")))
        });
        rows.collect()
    };
    let old = ["a 1 b", "b 1 b", "s 1 b", "v 1"];
    let with_z = ["a 1 b 3", "b 1 b", "s 1 b 3", "v 1"];
    workspace.apply("prod", NOW);
    assert_eq!(shown("db"), old);

    workspace.edit(
        "models/a.sql",
        "SELECT 1 AS x,",
        "select\n  1 as X, -- one\n ",
    );
    workspace.apply("dev", NOW);
    assert_eq!(shown("db__dev"), old);
    workspace.edit(
        "models/a.sql",
        "select\n  1 as X, -- one\n ",
        "SELECT 1 AS x,",
    );

    add_z(&workspace);
    workspace.apply("dev", NOW);
    assert_eq!(
        (shown("db__dev"), shown("db")),
        (
            with_z.map(str::to_owned).to_vec(),
            old.map(str::to_owned).to_vec()
        )
    );
    assert_eq!(columns(&workspace, "db__dev.s"), ["x", "y", "z"]);
    workspace.apply("prod", NOW);
    assert_eq!(shown("db"), with_z);

    workspace.edit("models/a.sql", ", 3 AS z", "");
    workspace.apply("prod", NOW);
    assert_eq!(shown("db"), old);
    assert_eq!(columns(&workspace, "db.s"), ["x", "y"]);
    assert_eq!(shown("db__dev"), with_z, "dev stays where it was");
    add_z(&workspace);
    workspace.apply("prod", NOW);
    assert_eq!(shown("db"), with_z);

    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("dev", NOW);
    assert_eq!(shown("db__dev"), ["a 2 b 3", "b 2 b", "s 2 b 3", "v 2"]);
    assert_eq!(shown("db"), with_z);
}
