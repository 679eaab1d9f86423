//! Golden scenario P9: a model becomes EMBEDDED, and a table again.
//!
//! Where the reference leaves the old view in place, frozen on the old table (L13), here it goes with the switch.

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    a_model_that_becomes_embedded_loses_its_view,
    a_model_that_becomes_embedded_in_dev_is_still_in_production,
}

const NOW: &str = "2024-01-06";

fn p9() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT x, x + 10 AS y FROM db.a\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    workspace.edit("models/a.sql", "kind FULL", "kind EMBEDDED");
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace
}

fn a_model_that_becomes_embedded_loses_its_view() {
    let workspace = p9();

    let plan = workspace.apply("prod", NOW);

    assert_eq!(plan.changes()["db.a"], "direct/breaking");
    assert_eq!(plan.backfilled(), ["db.b"]);
    assert_eq!(workspace.objects("VIEW"), ["db.b"]);
    assert_eq!(workspace.rows("FROM db.b"), [["2", "12"]]);

    // What is inlined counts as if its readers had it themselves.
    workspace.edit("models/a.sql", "2 AS x", "3 AS x");
    let plan = workspace.apply("prod", NOW);
    assert_eq!(plan.changes()["db.b"], "indirect/indirect_breaking");
    assert_eq!(workspace.rows("FROM db.b"), [["3", "13"]]);

    workspace.edit("models/a.sql", "kind EMBEDDED", "kind FULL");
    let plan = workspace.apply("prod", NOW);
    assert_eq!(plan.model("db.a")["backfill"].as_array().unwrap().len(), 1);
    assert_eq!(workspace.objects("VIEW"), ["db.a", "db.b"]);
    assert_eq!(
        workspace.rows("SELECT a.x, b.y FROM db.a AS a, db.b AS b"),
        [["3", "13"]]
    );

    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(workspace.objects("VIEW"), ["db.b"]);
    assert_eq!(workspace.rows("FROM db.b"), [["3", "13"]]);
}

fn a_model_that_becomes_embedded_in_dev_is_still_in_production() {
    let workspace = p9();

    workspace.apply("dev", NOW);

    assert_eq!(workspace.objects("VIEW"), ["db.a", "db.b", "db__dev.b"]);
    assert_eq!(workspace.rows("FROM db__dev.b"), [["2", "12"]]);
    assert_eq!(
        workspace.rows("SELECT a.x, b.y FROM db.a AS a, db.b AS b"),
        [["1", "11"]]
    );
}
