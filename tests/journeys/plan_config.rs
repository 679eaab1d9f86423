//! What a project says about its plans: with what environments are compared, and whether they show previews.

use crate::restatement::days;
use crate::workspace::Workspace;

const NOW: &str = "2024-01-06";

fn configure(workspace: &Workspace, plan: &str) {
    workspace.edit(
        "config.yaml",
        "default_gateway",
        &format!("plan: {{{plan}}}\ndefault_gateway"),
    );
}

fn one_model() -> Workspace {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
    )]);
    workspace.apply("prod", NOW);
    workspace
}

#[test]
fn an_environment_that_is_always_made_anew_is_compared_with_production() {
    let workspace = one_model();
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("dev", NOW);
    assert_eq!(workspace.plan("dev", NOW).changes()["db.a"], "unchanged/-");

    configure(&workspace, "always_recreate_environment: true");
    let plan = workspace.apply("dev", NOW);
    assert_eq!(plan.0["compared_with"], "prod");
    assert_eq!(plan.changes()["db.a"], "direct/breaking");
    assert!(plan.backfilled().is_empty(), "the table is there");
    workspace.edit("models/a.sql", "2 AS x", "1 AS x");
    let back = [
        "plan",
        "dev",
        "--remove-all",
        "--auto-apply",
        "--execution-time",
        NOW,
    ];
    workspace.run(&back).fine();
    assert_eq!(
        workspace.objects("VIEW"),
        ["db.a"],
        "it shows only what differs"
    );
}

#[test]
fn an_unfinished_switch_is_compared_as_it_was_before() {
    let workspace = one_model();
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("prod", NOW);
    // As a kill between the record and the views leaves it.
    let url = format!("sqlite://{}", workspace.path().join("state.db").display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        for sql in [
            "UPDATE siding_environments SET finalized_at = NULL",
            "UPDATE siding_promotions SET finalized_at = NULL WHERE id = (SELECT max(id) FROM siding_promotions)",
        ] {
            sqlx::query(sql).execute(&pool).await.unwrap();
        }
        pool.close().await;
    });
    assert_eq!(workspace.plan("prod", NOW).changes()["db.a"], "unchanged/-");

    configure(&workspace, "use_finalized_state: true");
    let plan = workspace.apply("prod", NOW);
    assert_eq!(plan.changes()["db.a"], "direct/breaking");
    assert!(plan.backfilled().is_empty());
    assert_eq!(workspace.rows("FROM db.a"), [["2"]]);
    assert_eq!(workspace.plan("prod", NOW).changes()["db.a"], "unchanged/-");
}

#[test]
fn without_previews_a_forward_only_model_shows_the_rows_of_production() {
    let workspace = days();
    workspace.edit("models/inc.sql", "tags [nightly]", "forward_only true");
    workspace.edit(
        "models/inc.sql",
        "kind INCREMENTAL_BY_TIME_RANGE (time_column ds), forward_only true",
        "kind INCREMENTAL_BY_TIME_RANGE (time_column ds, forward_only true)",
    );
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x, x + 1000 AS k FROM",
    );
    configure(&workspace, "enable_preview: false");
    let dev = workspace.apply("dev", NOW);
    assert_eq!(dev.changes()["db.inc"], "direct/forward_only");
    assert!(dev.backfilled().is_empty(), "nothing is computed");
    let shown = "SELECT count(*), count(k), sum(x) FROM db__dev.inc";
    assert_eq!(workspace.rows(shown), [["5", "0", "15"]]);
    assert!(workspace.plan("dev", NOW).backfilled().is_empty());

    // One plan may ask for it all the same.
    let asked = [
        "plan",
        "dev",
        "--enable-preview",
        "--auto-apply",
        "--execution-time",
        NOW,
    ];
    workspace.run(&asked).fine();
    assert_eq!(workspace.rows(shown), [["5", "1", "15"]]);
    workspace.apply("prod", NOW);
    assert_eq!(
        workspace.rows("SELECT count(*), count(k) FROM db.inc"),
        [["5", "0"]]
    );
}
