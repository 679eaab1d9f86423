//! What production restates, filled again where production has nothing of it: in tables of other environments.

use serde_json::Value;

use crate::engines::on_both_engines;
use crate::workspace::Plan;
use crate::workspace::Workspace;

on_both_engines! {
    an_external_table_restated_in_production_clears_what_only_dev_makes_of_it,
    what_only_dev_reads_of_production_is_restated_with_it,
    a_view_restated_in_production_clears_what_only_dev_makes_of_it,
    a_restatement_of_all_reaches_what_dev_has_of_the_time_before_productions_start,
    an_external_table_that_only_dev_reads_is_restated_in_production_or_in_dev,
    a_model_that_is_never_restated_stays_in_dev_when_its_external_table_is_restated,
}

const NOW: &str = "2024-01-06";
const DAY: [&str; 4] = ["-s", "2024-01-03", "-e", "2024-01-03"];

/// `raw.t`, a row a day, and `raw.u`, the same; production makes `db.inc` of `raw.t` and nothing of `raw.u`.
fn days() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "external_models.yaml",
            "- name: raw.t\n  columns:\n    ds: DATE\n    x: INT\n- name: raw.u\n  columns:\n    ds: DATE\n    x: INT\n",
        ),
        ("models/inc.sql", &by_day("inc", "x FROM raw.t")),
        (
            "models/shown.sql",
            "MODEL (name db.shown, kind VIEW);\nSELECT ds, x FROM raw.t\n",
        ),
    ]);
    workspace.execute("CREATE SCHEMA raw");
    for table in ["raw.t", "raw.u"] {
        workspace.execute(&format!(
            "CREATE TABLE {table} AS SELECT CAST('2024-01-01' AS DATE) + CAST(n AS INT) AS ds, CAST(n + 1 AS INT) AS x
             FROM generate_series(0, 4) AS r(n)"
        ));
    }
    workspace.apply("prod", NOW);
    workspace
}

fn by_day(name: &str, rest: &str) -> String {
    format!(
        "MODEL (name db.{name}, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\n\
         SELECT ds, {rest} WHERE ds BETWEEN CAST(@start_ds AS DATE) AND CAST(@end_ds AS DATE)\n"
    )
}

/// Adds models that read `table`: by day, and their sum.
fn add_readers(workspace: &Workspace, table: &str) {
    let own = by_day("own", &format!("x * 10 AS x FROM {table}"));
    workspace.write("models/own.sql", &own);
    workspace.write(
        "models/sums.sql",
        &format!(
            "MODEL (name db.sums, kind FULL);\nSELECT CAST(sum(x) AS INT) AS x FROM {table}\n"
        ),
    );
    workspace.apply("dev", NOW);
}

fn change(workspace: &Workspace, table: &str) {
    workspace.execute(&format!(
        "UPDATE {table} SET x = x + 100 WHERE ds >= CAST('2024-01-03' AS DATE)"
    ));
}

#[track_caller]
fn restate(workspace: &Workspace, environment: &str, model: &str, range: &[&str]) -> Plan {
    let mut arguments = vec!["plan", environment, "-r", model];
    arguments.extend(range);
    arguments.extend(["--execution-time", NOW, "--format", "json", "--auto-apply"]);
    let ended = workspace.run(&arguments).fine();
    Plan(serde_json::from_str(&ended.stdout).unwrap())
}

fn third() -> Value {
    serde_json::json!([["2024-01-03T00:00:00Z", "2024-01-04T00:00:00Z"]])
}

fn xs(workspace: &Workspace, table: &str) -> Vec<String> {
    let rows = workspace.rows(&format!("SELECT x FROM {table} ORDER BY ds"));
    rows.concat()
}

fn an_external_table_restated_in_production_clears_what_only_dev_makes_of_it() {
    let workspace = days();
    // One that production lacks, and another version of one that it has.
    workspace.edit("models/inc.sql", "x FROM", "x + 1000 AS x FROM");
    add_readers(&workspace, "raw.t");
    assert_eq!(
        xs(&workspace, "db__dev.own"),
        ["10", "20", "30", "40", "50"]
    );
    change(&workspace, "raw.t");

    let plan = restate(&workspace, "prod", "raw.t", &DAY);
    assert_eq!(plan.backfilled(), ["db.inc"]);
    assert_eq!(xs(&workspace, "db.inc"), ["1", "2", "103", "4", "5"]);

    let plan = workspace.apply("dev", NOW);
    assert_eq!(plan.backfilled(), ["db.inc", "db.own", "db.sums"]);
    assert_eq!(plan.model("db.own")["backfill"], third());
    assert_eq!(plan.model("db.inc")["backfill"], third());
    assert_eq!(
        xs(&workspace, "db__dev.own"),
        ["10", "20", "1030", "40", "50"]
    );
    assert_eq!(
        xs(&workspace, "db__dev.inc"),
        ["1001", "1002", "1103", "1004", "1005"]
    );
    assert_eq!(workspace.rows("FROM db__dev.sums"), [["315"]]);
    let again = workspace.apply("dev", NOW);
    assert_eq!(again.backfilled(), Vec::<String>::new());
}

fn what_only_dev_reads_of_production_is_restated_with_it() {
    let workspace = days();
    add_readers(&workspace, "db.inc");
    change(&workspace, "raw.t");

    restate(&workspace, "prod", "db.inc", &DAY);

    let plan = workspace.apply("dev", NOW);
    assert_eq!(plan.backfilled(), ["db.own", "db.sums"]);
    assert_eq!(plan.model("db.own")["backfill"], third());
    assert_eq!(
        xs(&workspace, "db__dev.own"),
        ["10", "20", "1030", "40", "50"]
    );
    assert_eq!(workspace.rows("FROM db__dev.sums"), [["115"]]);
}

fn a_view_restated_in_production_clears_what_only_dev_makes_of_it() {
    let workspace = days();
    add_readers(&workspace, "db.shown");
    change(&workspace, "raw.t");

    let plan = restate(&workspace, "prod", "db.shown", &DAY);
    assert_eq!(plan.backfilled(), Vec::<String>::new());

    let plan = workspace.apply("dev", NOW);
    assert_eq!(plan.backfilled(), ["db.own", "db.sums"]);
    assert_eq!(plan.model("db.own")["backfill"], third());
    assert_eq!(
        xs(&workspace, "db__dev.own"),
        ["10", "20", "1030", "40", "50"]
    );
}

fn a_restatement_of_all_reaches_what_dev_has_of_the_time_before_productions_start() {
    let workspace = days();
    for table in ["raw.t", "raw.u"] {
        workspace.execute(&format!(
            "INSERT INTO {table} VALUES (CAST('2023-12-31' AS DATE), 7)"
        ));
    }
    for model in ["inc", "own"] {
        let text = by_day(model, "x * 10 AS x FROM raw.t");
        let text = text.replace("kind", "start '2023-12-31', kind");
        workspace.write(&format!("models/{model}.sql"), &text);
    }
    workspace.apply("dev", NOW);
    workspace.execute("UPDATE raw.t SET x = 9");

    restate(&workspace, "prod", "raw.t", &[]);

    workspace.apply("dev", NOW);
    let all = ["90", "90", "90", "90", "90", "90"];
    assert_eq!(xs(&workspace, "db__dev.own"), all);
    assert_eq!(xs(&workspace, "db__dev.inc"), all);
    assert_eq!(xs(&workspace, "db.inc"), ["9", "9", "9", "9", "9"]);
}

fn an_external_table_that_only_dev_reads_is_restated_in_production_or_in_dev() {
    let workspace = days();
    let nothing = restate(&workspace, "prod", "raw.u", &DAY);
    assert_eq!(nothing.0["diagnostics"], serde_json::json!([]));
    add_readers(&workspace, "raw.u");
    change(&workspace, "raw.u");

    let shown = workspace.run(&["plan", "prod", "-r", "raw.u", "--execution-time", NOW]);
    let shown = shown.fine();
    let told = "No model runs; what other environments made of it is cleared.";
    assert!(shown.stdout.contains(told), "{}", shown.stdout);
    let told = "filled again by their next plan or run";
    assert!(shown.stderr.contains(told), "{}", shown.stderr);

    let plan = restate(&workspace, "prod", "raw.u", &DAY);
    assert_eq!(plan.backfilled(), Vec::<String>::new());
    let said = plan.0["diagnostics"].to_string();
    assert!(
        said.contains("What other environments made of it"),
        "{said}"
    );
    let plan = workspace.apply("dev", NOW);
    assert_eq!(plan.backfilled(), ["db.own", "db.sums"]);
    assert_eq!(
        xs(&workspace, "db__dev.own"),
        ["10", "20", "1030", "40", "50"]
    );

    let range = ["-s", "2024-01-04", "-e", "2024-01-04"];
    let plan = restate(&workspace, "dev", "raw.u", &range);
    assert_eq!(plan.backfilled(), ["db.own", "db.sums"]);
    assert_eq!(
        xs(&workspace, "db__dev.own"),
        ["10", "20", "1030", "1040", "50"]
    );
}

fn a_model_that_is_never_restated_stays_in_dev_when_its_external_table_is_restated() {
    let workspace = days();
    workspace.write(
        "models/own.sql",
        &by_day("own", "x * 10 AS x FROM raw.t")
            .replace("time_column ds", "time_column ds, disable_restatement true"),
    );
    workspace.apply("dev", NOW);
    change(&workspace, "raw.t");

    restate(&workspace, "prod", "raw.t", &DAY);

    let plan = workspace.apply("dev", NOW);
    assert_eq!(plan.backfilled(), Vec::<String>::new());
    assert_eq!(
        xs(&workspace, "db__dev.own"),
        ["10", "20", "30", "40", "50"]
    );
}
