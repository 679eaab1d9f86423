//! `virtual_environment_mode: dev_only` beyond the golden scenario: going back, changing the mode, what is in the way, and
//! what else tables have besides rows.

use crate::engines::on_both_engines;
use crate::forward_only::job;
use crate::workspace::Workspace;

on_both_engines! {
    a_rollback_lets_the_tables_change_places_again,
    a_project_changes_its_mode_and_back_and_computes_nothing_again,
    a_table_of_somebody_else_stays_and_stops_the_plan,
    destroy_removes_tables_under_models_names_and_nothing_else,
    every_kind_of_table_carries_on_under_its_own_name,
    descriptions_and_statements_reach_the_table_itself,
    a_restatement_fills_the_table_that_readers_see,
    what_a_table_was_moved_for_is_undone_when_its_model_becomes_a_view,
    a_suffix_in_the_table_keeps_environments_beside_production,
}

const NOW: &str = "2024-01-04";
pub(crate) const MODE: &str = "virtual_environment_mode: dev_only\n";

/// A project in this mode.
pub(crate) fn workspace(files: &[(&str, &str)]) -> Workspace {
    let workspace = Workspace::new(files);
    set_mode(&workspace, true);
    workspace
}

pub(crate) fn set_mode(workspace: &Workspace, dev_only: bool) {
    let config = std::fs::read_to_string(workspace.path().join("config.yaml")).unwrap();
    let mode = if dev_only { MODE } else { "" };
    let config = config.replace(MODE, "") + mode;
    workspace.write("config.yaml", &config);
}

/// A row a day, and their sum.
const DAYS: &str = "MODEL (
  name db.days,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1)
);
SELECT CAST(@start_ds AS DATE) AS day, 1 AS x
";
const SUM: &str = "MODEL (name db.sum, kind FULL);
SELECT CAST(sum(x) AS INT) AS total FROM db.days
";

fn days() -> Workspace {
    let workspace = workspace(&[("models/days.sql", DAYS), ("models/sum.sql", SUM)]);
    workspace.apply("prod", NOW);
    workspace
}

fn run(workspace: &Workspace, day: u32) {
    let now = format!("2024-01-{day:02} 00:10:00");
    workspace.run(&["run", "--execution-time", &now]).fine();
}

/// What readers find under the models' names: `table name` or `view name`.
pub(crate) fn shown(workspace: &Workspace) -> Vec<String> {
    let of = |kind: &str, word: &str| {
        let mut names = workspace.objects(kind);
        names.retain(|name| !name.starts_with("siding__"));
        let named = names.into_iter().map(|name| format!("{word} {name}"));
        named.collect::<Vec<_>>()
    };
    [of("BASE TABLE", "table"), of("VIEW", "view")].concat()
}

fn total(workspace: &Workspace) -> String {
    workspace.rows("FROM db.sum")[0][0].clone()
}

fn a_rollback_lets_the_tables_change_places_again() {
    let workspace = days();
    workspace.edit("models/days.sql", "1 AS x", "100 AS x");
    workspace.edit("models/sum.sql", "sum(x)", "sum(x) + 1000");
    workspace.apply("prod", NOW);
    run(&workspace, 5);
    assert_eq!(total(&workspace), "1103");

    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(total(&workspace), "3");
    assert_eq!(workspace.rows("FROM db.days").len(), 3);
    assert_eq!(shown(&workspace), ["table db.days", "table db.sum"]);
    // What is shown again goes on by its own definition.
    run(&workspace, 5);
    assert_eq!(total(&workspace), "4");

    let forward = workspace.forward("prod");
    assert_eq!(total(&workspace), "1103", "{}", forward.stdout);
    run(&workspace, 6);
    assert_eq!(total(&workspace), "1203");
    assert_eq!(shown(&workspace), ["table db.days", "table db.sum"]);
}

fn a_project_changes_its_mode_and_back_and_computes_nothing_again() {
    let workspace = days();
    for (dev_only, word) in [(false, "view"), (true, "table"), (false, "view")] {
        set_mode(&workspace, dev_only);
        let plan = workspace.apply("prod", NOW);
        assert_eq!(plan.backfilled(), Vec::<String>::new());
        assert_eq!(
            shown(&workspace),
            [format!("{word} db.days"), format!("{word} db.sum")]
        );
        assert_eq!(total(&workspace), "3");
    }
    run(&workspace, 5);
    assert_eq!(total(&workspace), "4");
    assert_eq!(workspace.objects("BASE TABLE").len(), 2);
    set_mode(&workspace, true);
    workspace.apply("prod", "2024-01-05 00:20:00");
    run(&workspace, 6);
    assert_eq!(total(&workspace), "5");
    // In the mode before, what was promoted comes back as it is shown now.
    workspace.edit("models/sum.sql", "sum(x)", "sum(x) + 1000");
    workspace.apply("prod", "2024-01-06 00:20:00");
    assert_eq!(total(&workspace), "1005");
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(total(&workspace), "5");
    assert_eq!(shown(&workspace), ["table db.days", "table db.sum"]);
}

fn a_table_of_somebody_else_stays_and_stops_the_plan() {
    let workspace = workspace(&[("models/days.sql", DAYS), ("models/sum.sql", SUM)]);
    workspace.execute("CREATE SCHEMA db");
    workspace.execute("CREATE TABLE db.sum AS SELECT 'mine' AS total");
    let plan = ["plan", "--execution-time", NOW, "--auto-apply"];
    let ended = workspace.run(&plan).failed();
    assert!(
        ended
            .stderr
            .contains("there is a table `db.sum` already, which Siding has not made"),
        "{}",
        ended.stderr
    );
    assert_eq!(total(&workspace), "mine");
    assert_eq!(shown(&workspace), ["table db.sum"]);

    workspace.execute("DROP TABLE db.sum");
    workspace.run(&plan).fine();
    assert_eq!(total(&workspace), "3");
}

fn destroy_removes_tables_under_models_names_and_nothing_else() {
    let workspace = days();
    workspace.execute("CREATE TABLE db.mine AS SELECT 1 AS x");
    workspace.edit("models/sum.sql", "sum(x)", "sum(x) + 1000");
    workspace.apply("dev", NOW);
    workspace.apply("prod", NOW);
    workspace.run(&["destroy", "--yes"]).fine();
    assert_eq!(workspace.objects("BASE TABLE"), ["db.mine"]);
    assert_eq!(workspace.objects("VIEW"), Vec::<String>::new());
}

fn every_kind_of_table_carries_on_under_its_own_name() {
    let workspace = workspace(&[
        ("models/days.sql", DAYS),
        (
            "models/s.sql",
            "MODEL (name db.s, kind SEED (path '../seeds/s.csv'), columns (id INT, name TEXT));\n",
        ),
        ("seeds/s.csv", "id,name\n1,a\n2,b\n"),
        (
            "models/k.sql",
            "MODEL (name db.k, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key day));\nSELECT day, x FROM db.days WHERE day BETWEEN @start_ds AND @end_ds\n",
        ),
        (
            "models/h.sql",
            "MODEL (name db.h, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [name]));\nSELECT id, name FROM db.s\n",
        ),
        (
            "models/e.sql",
            "MODEL (name db.e, kind EMBEDDED);\nSELECT count(*) AS n FROM db.k\n",
        ),
        (
            "models/v.sql",
            "MODEL (name db.v, kind VIEW);\nSELECT n FROM db.e\n",
        ),
        (
            "models/own.sql",
            "MODEL (name db.own, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1), columns (day DATE, n INT));\n\
             SELECT CAST(@start_ds AS DATE) AS day, CAST((SELECT count(*) FROM db.own) AS INT) AS n\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    let all = [
        "table db.days",
        "table db.h",
        "table db.k",
        "table db.own",
        "table db.s",
        "view db.v",
    ];
    assert_eq!(shown(&workspace), all);
    run(&workspace, 5);
    assert_eq!(workspace.rows("FROM db.v"), [["4"]]);
    let own = "SELECT n FROM db.own ORDER BY day";
    assert_eq!(workspace.rows(own), [["0"], ["1"], ["2"], ["3"]]);

    workspace.write("seeds/s.csv", "id,name\n1,a\n2,c\n3,d\n");
    workspace.edit("models/k.sql", "day, x FROM", "day, x + 1 AS x FROM");
    workspace.apply("dev", "2024-01-05 00:20:00");
    assert_eq!(workspace.rows("FROM db.s").len(), 2);
    workspace.apply("prod", "2024-01-05 00:20:00");
    run(&workspace, 6);
    assert_eq!(shown(&workspace)[..6], all);
    assert_eq!(workspace.rows("FROM db.s").len(), 3);
    assert_eq!(workspace.rows("FROM db.v"), [["5"]]);
    // Forward-only: what was counted before stays as it was.
    let sum = workspace.rows("SELECT CAST(sum(x) AS INT) FROM db.k");
    assert_eq!(sum, [["6"]]);
}

fn descriptions_and_statements_reach_the_table_itself() {
    let workspace = workspace(&[(
        "models/days.sql",
        "MODEL (
  name db.days,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1),
  description 'a row a day',
  column_descriptions (x = 'one')
);
SELECT CAST(@start_ds AS DATE) AS day, 1 AS x;
DELETE FROM @this_model WHERE x > 1;
ON_VIRTUAL_UPDATE_BEGIN;
CREATE TABLE IF NOT EXISTS db.updates (name TEXT);
INSERT INTO db.updates SELECT @'@{this_model}';
ON_VIRTUAL_UPDATE_END;
",
    )]);
    workspace.apply("prod", NOW);
    run(&workspace, 5);
    assert_eq!(workspace.rows("FROM db.days").len(), 4);
    assert_eq!(shown(&workspace), ["table db.days", "table db.updates"]);
    let comment = if workspace.is_postgres() {
        "SELECT obj_description('db.days'::regclass)"
    } else {
        "SELECT comment FROM duckdb_tables() WHERE schema_name = 'db' AND table_name = 'days'"
    };
    assert_eq!(workspace.rows(comment), [["a row a day"]]);
    workspace.edit("models/days.sql", "a row a day", "each day");
    workspace.apply("prod", "2024-01-05 00:20:00");
    assert_eq!(workspace.rows(comment), [["each day"]]);
    assert_eq!(workspace.rows("FROM db.days").len(), 4);
}

fn a_restatement_fills_the_table_that_readers_see() {
    let workspace = days();
    workspace.edit("models/days.sql", "1 AS x", "100 AS x");
    workspace.apply("prod", NOW);
    assert_eq!(total(&workspace), "3");
    workspace
        .run(&[
            "plan",
            "--restate-model",
            "db.days",
            "--start",
            "2024-01-02",
            "--end",
            "2024-01-02",
            "--execution-time",
            NOW,
            "--auto-apply",
        ])
        .fine();
    assert_eq!(total(&workspace), "102");
    assert_eq!(
        workspace.rows("SELECT x FROM db.days ORDER BY day"),
        [["1"], ["100"], ["1"]]
    );
    assert_eq!(shown(&workspace), ["table db.days", "table db.sum"]);
}

fn what_a_table_was_moved_for_is_undone_when_its_model_becomes_a_view() {
    let workspace = days();
    workspace.edit("models/sum.sql", "kind FULL", "kind VIEW");
    workspace.apply("dev", NOW);
    workspace.apply("prod", NOW);
    assert_eq!(shown(&workspace)[0], "table db.days");
    assert!(shown(&workspace).contains(&"view db.sum".to_owned()));
    assert_eq!(total(&workspace), "3");
    run(&workspace, 5);
    assert_eq!(total(&workspace), "4");

    workspace.edit("models/sum.sql", "kind VIEW", "kind FULL");
    workspace.apply("prod", "2024-01-05 00:20:00");
    assert!(shown(&workspace).contains(&"table db.sum".to_owned()));
    assert_eq!(total(&workspace), "4");
}

fn a_suffix_in_the_table_keeps_environments_beside_production() {
    let workspace = workspace(&[("models/days.sql", DAYS), ("models/sum.sql", SUM)]);
    let config = std::fs::read_to_string(workspace.path().join("config.yaml")).unwrap();
    workspace.write(
        "config.yaml",
        &(config + "environment_suffix_target: table\n"),
    );
    workspace.apply("prod", NOW);
    workspace.edit("models/sum.sql", "sum(x)", "sum(x) + 1000");
    workspace.apply("dev", NOW);
    let beside = ["table db.days", "table db.sum", "view db.sum__dev"];
    assert_eq!(shown(&workspace), beside);
    assert_eq!(workspace.rows("FROM db.sum__dev"), [["1003"]]);
    assert_eq!(total(&workspace), "3");
    workspace.apply("prod", NOW);
    assert_eq!(shown(&workspace), beside);
    assert_eq!(total(&workspace), "1003");
    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    assert_eq!(shown(&workspace), ["table db.days", "table db.sum"]);
}

#[test]
fn a_pull_request_is_deployed_by_moves_alone() {
    let workspace = days();
    workspace.edit("models/days.sql", "1 AS x", "100 AS x");
    workspace.edit("models/sum.sql", "sum(x)", "sum(x) + 1000");
    let prepared = job(
        &workspace,
        &serde_json::json!({"do": "prepare", "environment": "pr_1"}),
    );
    assert_eq!(
        prepared["missing_for_prod"],
        serde_json::json!({}),
        "{prepared:#}"
    );
    assert_eq!(workspace.rows("FROM db__pr_1.sum"), [["1102"]]);
    assert_eq!(total(&workspace), "3");

    let promoted = job(
        &workspace,
        &serde_json::json!({
            "do": "promote", "expected_prod_plan": null, "expected_project": null, "build": false,
        }),
    );
    assert_eq!(promoted["answer"], "promoted", "{promoted:#}");
    assert_eq!(total(&workspace), "1003");
    assert!(shown(&workspace).contains(&"table db.sum".to_owned()));
    assert_eq!(workspace.rows("FROM db__pr_1.sum"), [["1102"]]);
}

#[test]
fn a_mode_that_cannot_be_is_said_when_loading() {
    let workspace = workspace(&[("models/days.sql", DAYS)]);
    let config = std::fs::read_to_string(workspace.path().join("config.yaml")).unwrap();
    for (text, expected) in [
        (
            config.replace("dev_only", "sometimes"),
            "`virtual_environment_mode`",
        ),
        (
            config.clone() + "environment_catalog_mapping: {dev: wh}\n",
            "keeps production's tables where their models are",
        ),
    ] {
        workspace.write("config.yaml", &text);
        let ended = workspace.run(&["plan"]).failed();
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}
