//! Models that production fills again by themselves.

use crate::workspace::Workspace;

const INC: &str = "MODEL (name db.inc, kind INCREMENTAL_BY_TIME_RANGE (
     time_column ds, auto_restatement_cron '@weekly', auto_restatement_intervals 3));
 SELECT ds, x FROM raw.t WHERE ds BETWEEN @start_ds AND @end_ds\n";
const TOTAL: &str = "MODEL (name db.total, kind FULL);\nSELECT sum(x)::INT AS total FROM db.inc\n";
const ALL: &str = "MODEL (name db.all_of_it, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, auto_restatement_cron '@weekly'));
 SELECT ds, x FROM raw.t WHERE ds BETWEEN @start_ds AND @end_ds\n";
const PLAIN: &str = "MODEL (name db.plain, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));
 SELECT ds, x FROM raw.t WHERE ds BETWEEN @start_ds AND @end_ds\n";

/// Ten days of one each, from the first of January, a Monday; `@weekly` fires on the 7th.
fn ten_days() -> Workspace {
    let workspace = Workspace::new(&[
        ("models/inc.sql", INC),
        ("models/total.sql", TOTAL),
        ("models/all.sql", ALL),
        ("models/plain.sql", PLAIN),
    ]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.t AS
         SELECT DATE '2024-01-01' + CAST(n AS INTEGER) AS ds, 1 AS x FROM range(10) AS r(n)",
    );
    workspace.apply("prod", "2024-01-06");
    workspace
}

fn run(workspace: &Workspace, now: &str) -> String {
    workspace
        .run(&["run", "--execution-time", now])
        .fine()
        .stderr
}

const SUMS: &str = "SELECT (SELECT sum(x) FROM db.inc), (SELECT total FROM db.total),
                           (SELECT sum(x) FROM db.all_of_it), (SELECT sum(x) FROM db.plain)";

#[test]
fn a_model_is_filled_again_when_its_cron_fires_and_what_reads_it_too() {
    let workspace = ten_days();
    assert_eq!(workspace.rows(SUMS), [["5", "5", "5", "5"]]);
    workspace.execute("UPDATE raw.t SET x = 10");

    let told = run(&workspace, "2024-01-06T12:00:00");
    assert!(!told.contains("auto_restatement_cron"), "not yet: {told}");
    assert_eq!(workspace.rows(SUMS), [["5", "5", "5", "5"]]);

    // Of three days before Monday the 8th, one is new; the other model is filled again whole.
    let told = run(&workspace, "2024-01-08T01:00:00");
    assert!(told.contains("db.all_of_it, db.inc."), "{told}");
    assert_eq!(
        workspace.rows(SUMS),
        [["34", "34", "70", "25"]],
        "days 1 to 4, then 5 to 7"
    );
    let twice = "SELECT count(*) - count(DISTINCT ds) FROM db.inc";
    assert_eq!(workspace.rows(twice), [["0"]]);

    // Once a week.
    workspace.execute("UPDATE raw.t SET x = 100");
    let told = run(&workspace, "2024-01-09T01:00:00");
    assert!(!told.contains("auto_restatement_cron"), "{told}");
    assert_eq!(workspace.rows(SUMS), [["134", "134", "170", "125"]]);
    let told = run(&workspace, "2024-01-16T01:00:00");
    assert!(told.contains("auto_restatement_cron"), "{told}");
    assert_eq!(
        workspace.rows("SELECT sum(x) FROM db.all_of_it"),
        [["1000"]]
    );
}

#[test]
fn only_production_fills_itself_again_and_not_for_a_selection() {
    let workspace = ten_days();
    workspace.edit("models/inc.sql", "SELECT ds, x", "SELECT ds, x, x + 1 AS y");
    workspace.apply("dev", "2024-01-06");
    workspace.execute("UPDATE raw.t SET x = 10");
    let now = "2024-01-08T01:00:00";
    workspace
        .run(&["run", "dev", "--execution-time", now])
        .fine();
    assert_eq!(
        workspace.rows("SELECT count(*) FROM db__dev.inc WHERE x = 1"),
        [["5"]]
    );
    let some = ["run", "--select-model", "db.plain", "--execution-time", now];
    workspace.run(&some).fine();
    // Tables that `dev` shares got the two days that were missing, and nothing was filled again.
    assert_eq!(workspace.rows(SUMS), [["5", "25", "25", "25"]]);

    // Production's own turn; dev's table of the same data has a hole then, and its next run fills it.
    run(&workspace, now);
    workspace
        .run(&["run", "dev", "--execution-time", now])
        .fine();
    assert_eq!(workspace.rows("SELECT sum(x) FROM db__dev.inc"), [["34"]]);
}

#[test]
fn what_cannot_be_filled_again_by_itself_is_said() {
    let workspace = ten_days();
    let refused = |from: &str, to: &str, expected: &str| {
        workspace.edit("models/inc.sql", from, to);
        let ended = workspace.run(&["plan"]).failed();
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        workspace.write("models/inc.sql", INC);
    };
    refused("'@weekly'", "'@monthy'", "`auto_restatement_cron`");
    refused(
        "auto_restatement_cron '@weekly', ",
        "",
        "needs an `auto_restatement_cron`",
    );
    refused(
        "intervals 3",
        "intervals 0",
        "must be a whole number above 0",
    );
    refused(
        "intervals 3",
        "intervals 3, disable_restatement true",
        "is never filled again",
    );
    workspace.write(
        "models/h.sql",
        "MODEL (name db.h, kind SCD_TYPE_2_BY_COLUMN (unique_key ds, columns [x], auto_restatement_cron '@daily'));\nSELECT ds, x FROM raw.t\n",
    );
    let ended = workspace
        .run(&["plan", "--execution-time", "2024-01-06"])
        .fine();
    assert!(
        ended
            .stderr
            .contains("`auto_restatement_cron` has no effect"),
        "{}",
        ended.stderr
    );
}
