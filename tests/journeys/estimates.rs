//! What a plan says about time and money is taken from what the batches before it took.

use serde_json::Value;

use crate::processes::StateFile;
use crate::workspace::CONFIG;
use crate::workspace::Plan;
use crate::workspace::Workspace;

/// A daily model of 24 rows a day; `value` is what it shows.
fn daily(value: u32) -> String {
    format!(
        "MODEL (name db.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 2));\n\
         SELECT h::DATE AS day, {value} AS v FROM generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-31', INTERVAL 1 HOUR) AS t(h)\n\
         WHERE h >= @start_dt AND h < @end_dt\n"
    )
}

const TOTAL: &str = "MODEL (name db.total, kind FULL);\nSELECT count(*) AS n FROM db.daily\n";
const NOW: &str = "2024-01-09";

fn project(config: &str) -> Workspace {
    let workspace = Workspace::new(&[("models/daily.sql", &daily(1)), ("models/total.sql", TOTAL)]);
    workspace.write("config.yaml", &format!("{CONFIG}{config}"));
    workspace
}

fn estimate<'a>(plan: &'a Plan, model: &str) -> &'a Value {
    &plan.0["estimate"]["models"][model]
}

#[test]
fn a_backfill_is_estimated_from_what_each_interval_took_before() {
    let workspace = project("");
    let first = workspace.plan("prod", NOW);
    assert_eq!(first.0["estimate"]["unknown"], 2, "nothing is known yet");
    workspace.apply("prod", NOW);
    // Four batches of two days are recorded; from now on each took a second a day.
    let state = StateFile::of(&workspace);
    let rows = "SELECT sum(row_count) FROM siding_batches WHERE name LIKE '%daily%'";
    assert_eq!(state.number(rows), 8 * 24);
    assert_eq!(
        state.number("SELECT sum(units) FROM siding_batches WHERE name LIKE '%daily%'"),
        8
    );
    state.execute("UPDATE siding_batches SET milliseconds = 1000 * units");

    workspace.write("models/daily.sql", &daily(2));
    let plan = workspace.plan("prod", NOW);
    let daily = estimate(&plan, "db.daily");
    assert_eq!(daily["units"], 8);
    assert_eq!(daily["rows"], 8 * 24);
    assert_eq!(daily["milliseconds"]["likely"], 8_000);
    assert_eq!(daily["basis"], "8 days × 1.0 s, from 4 runs");
    let text = workspace
        .run(&["plan", "--no-prompts", "--execution-time", NOW])
        .fine()
        .stdout;
    assert!(
        text.contains("about 8.0 s (8 days × 1.0 s, from 4 runs)"),
        "{text}"
    );
    assert!(
        text.contains("Work of about 8.0 s (8.0 s to 8.0 s)"),
        "{text}"
    );
}

#[test]
pub(crate) fn a_new_model_is_estimated_by_the_engines_plan_and_else_by_what_it_reads() {
    let workspace = project("");
    workspace.apply("prod", NOW);
    let state = StateFile::of(&workspace);
    state
        .execute("UPDATE siding_batches SET milliseconds = 1000 * units, row_count = 1000 * units");
    workspace.write(
        "models/new.sql",
        "MODEL (name db.new, kind FULL);\nSELECT day, v + 1 AS w FROM db.daily\n",
    );
    workspace.write(
        "models/after.sql",
        "MODEL (name db.after, kind FULL);\nSELECT w FROM db.new\n",
    );
    let looked_at = workspace.plan("prod", NOW);
    assert_eq!(
        estimate(&looked_at, "db.new")["basis"],
        "once × 1.0 s, as `db.daily` takes, which it reads",
        "who only looks keeps nobody out of the file"
    );
    assert_eq!(
        estimate(&looked_at, "db.after")["basis"],
        "nothing like it was filled before, and the warehouse was not asked"
    );
    let plan = workspace.apply("prod", NOW);
    let new = estimate(&plan, "db.new");
    assert_eq!(
        new["basis"], "192 rows by the engine's plan × 16.7 min for a million",
        "DuckDB knows the rows of the table"
    );
    assert_eq!(new["milliseconds"]["likely"], 192);
    let after = estimate(&plan, "db.after");
    assert_eq!(
        after["milliseconds"],
        Value::Null,
        "what it reads is not there, and has no history"
    );
    assert_eq!(plan.0["estimate"]["unknown"], 1);
}

#[test]
fn an_aggregate_is_estimated_by_the_rows_that_it_reads_and_by_what_others_took() {
    let workspace = project("estimates: {price_per_second: 1}\n");
    workspace.apply("prod", NOW);
    workspace
        .execute("CREATE SCHEMA raw; CREATE TABLE raw.t AS SELECT range AS n FROM range(345600)");
    workspace.write("external_models.yaml", "- name: raw.t\n");
    workspace.write(
        "models/new.sql",
        "MODEL (name db.new, kind FULL);\nSELECT count(*) AS n, sum(n) AS m FROM raw.t\n",
    );
    let state = StateFile::of(&workspace);
    state.execute("UPDATE siding_batches SET milliseconds = 600, row_count = 1");
    let text = |arguments: &[&str]| {
        let usual = ["plan", "--no-prompts", "--execution-time", NOW];
        workspace
            .run(&[&usual[..], arguments].concat())
            .fine()
            .stdout
    };
    let unknown = workspace.plan("prod", NOW);
    assert_eq!(unknown.0["estimate"]["unknown"], 1);
    assert_eq!(unknown.0["estimate"]["price_millionths"], Value::Null);
    let said = text(&[]);
    assert!(
        said.contains("How long that takes is not known: nothing like it"),
        "{said}"
    );

    state.execute("UPDATE siding_batches SET milliseconds = 500, row_count = 100000 WHERE name LIKE '%daily%'");
    let plan = workspace.apply("prod", NOW);
    let new = estimate(&plan, "db.new");
    assert_eq!(
        new["basis"],
        "345600 rows by the engine's plan × 5.0 s for a million"
    );
    assert_eq!(new["milliseconds"]["likely"], 1_728);
}

#[test]
fn a_price_is_told_where_one_is_configured() {
    let workspace = project("estimates: {price_per_second: 0.25, currency: EUR}\n");
    workspace.apply("prod", NOW);
    let state = StateFile::of(&workspace);
    state.execute("UPDATE siding_batches SET milliseconds = 1000 * units");
    workspace.write("models/daily.sql", &daily(2));
    let text = workspace
        .run(&["plan", "--no-prompts", "--execution-time", NOW])
        .fine()
        .stdout;
    assert!(text.contains("2.00 EUR (2.00 EUR to 2.00 EUR)"), "{text}");

    workspace.write(
        "config.yaml",
        &format!("{CONFIG}estimates: {{price_per_second: cheap}}\n"),
    );
    let ended = workspace.run(&["plan"]).failed();
    assert!(
        ended
            .stderr
            .contains("`estimates.price_per_second: cheap` is no price"),
        "{}",
        ended.stderr
    );
}
