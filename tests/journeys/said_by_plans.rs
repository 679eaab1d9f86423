//! What planning finds is said to people, not to programs only: by name, with the place, the reason and the way out.

use crate::restatement::days;
use crate::scenario_p10::p10;
use crate::workspace::Ended;
use crate::workspace::Workspace;

const NOW: &str = "2024-01-06";

/// A plan as people get it; it is not applied.
fn plan(workspace: &Workspace, arguments: &[&str]) -> Ended {
    let usual = ["--no-prompts", "--execution-time", NOW];
    workspace.run(&[&["plan"], arguments, &usual].concat())
}

#[track_caller]
fn says(ended: &Ended, parts: &[&str]) {
    for part in parts {
        assert!(ended.stderr.contains(part), "{part}:\n{}", ended.stderr);
    }
}

#[test]
fn a_column_that_is_dropped_with_a_warning_is_said_with_its_place() {
    let workspace = days();
    workspace.edit(
        "models/inc.sql",
        "(time_column ds)",
        "(time_column ds, forward_only true, on_destructive_change warn, on_additive_change warn)",
    );
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, 1 AS n FROM",
    );
    workspace.remove("models/total.sql");
    workspace.remove("models/daily.sql");

    let ended = plan(&workspace, &["prod"]).fine();

    says(
        &ended,
        &[
            "warning[destructive-change]: the forward-only change of `db.inc` drops column `x`",
            "warning[additive-change]: the forward-only change of `db.inc` adds column `n`",
            "models/inc.sql:1:13",
        ],
    );
    assert!(
        ended.stdout.contains("db.inc (Forward-only)"),
        "{}",
        ended.stdout
    );
}

#[test]
fn an_environment_to_start_from_that_is_not_there_is_said() {
    let workspace = p10();
    let ended = plan(&workspace, &["dev", "--create-from", "nope"]).fine();
    says(
        &ended,
        &["there is no environment `nope` to start from; production counts"],
    );
}

#[test]
fn tables_that_stay_empty_are_named() {
    let workspace = days();
    workspace.write(
        "models/v.sql",
        "MODEL (name db.v, kind VIEW);\nSELECT total FROM db.total\n",
    );
    let ended = plan(&workspace, &["dev", "--skip-backfill"]).fine();
    says(
        &ended,
        &[
            "--skip-backfill: in `dev`, tables that are new stay empty, with all that reads them: `db.daily`, `db.inc`",
            "The next plan without it fills them.",
        ],
    );

    workspace.write(
        "models/monthly.sql",
        "MODEL (name db.monthly, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), cron '@monthly');\n\
         SELECT ds, x FROM raw.t WHERE ds BETWEEN @start_ds AND @end_ds\n",
    );
    let ended = plan(&workspace, &["dev", "-s", "2024-01-03"]).fine();
    says(
        &ended,
        &[
            "tables that `dev` shows stay empty: `db.monthly`",
            "No interval of theirs is whole between --start and --end",
        ],
    );
    assert!(!ended.stderr.contains("db.daily"), "{}", ended.stderr);
}

#[test]
fn a_model_that_is_not_restated_is_named_with_the_reason_and_the_way_out() {
    let workspace = days();
    workspace.write(
        "models/un.sql",
        "MODEL (name db.un, kind INCREMENTAL_UNMANAGED);\nSELECT ds, x FROM raw.t\n",
    );
    workspace.write(
        "models/off.sql",
        "MODEL (name db.off, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, disable_restatement true));\n\
         SELECT ds, x FROM raw.t WHERE ds BETWEEN @start_ds AND @end_ds\n",
    );
    workspace.write(
        "models/v.sql",
        "MODEL (name db.v, kind VIEW);\nSELECT total FROM db.total\n",
    );
    workspace.apply("prod", NOW);

    for (model, parts) in [
        (
            "db.un",
            &[
                "`db.un` is not restated: rows of INCREMENTAL_UNMANAGED models stay",
                "write `disable_restatement false` into its kind",
                "models/un.sql:1:13",
            ][..],
        ),
        (
            "db.off",
            &["`db.off` is not restated: it has `disable_restatement`"],
        ),
        (
            "db.v",
            &[
                "`db.v` keeps no rows, so nothing of it is filled again",
                "Name the tables that it reads",
            ],
        ),
    ] {
        let ended = plan(&workspace, &["prod", "-r", model]).fine();
        says(&ended, parts);
        assert!(
            ended.stdout.contains("Nothing of `prod` is filled again."),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn a_range_that_a_model_has_nothing_in_restates_neither_it_nor_what_reads_it() {
    let workspace = days();
    workspace.apply("prod", NOW);
    let early = [
        "prod",
        "-r",
        "db.inc",
        "-s",
        "2023-12-01",
        "-e",
        "2023-12-05",
    ];

    let ended = plan(&workspace, &early).fine();

    says(
        &ended,
        &[
            "`db.inc` is not restated: it has nothing from 2023-12-01 to 2023-12-06",
            "It is filled from 2024-01-01 to 2024-01-06",
        ],
    );
    assert!(!ended.stdout.contains("db.total"), "{}", ended.stdout);
    assert!(ended.stdout.contains("Nothing of `prod` is filled again."));

    let into = [
        "prod",
        "-r",
        "db.inc",
        "-s",
        "2023-12-01",
        "-e",
        "2024-01-02",
    ];
    let ended = plan(&workspace, &into).fine();
    assert!(
        ended.stdout.contains("db.inc: [2024-01-01 - 2024-01-02]"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("db.total: [full refresh]"));
    assert!(!ended.stderr.contains("not restated"), "{}", ended.stderr);
}

#[test]
fn a_warning_is_said_again_when_an_earlier_answer_counts() {
    let workspace = days();
    workspace.write(
        "models/monthly.sql",
        "MODEL (name db.monthly, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), cron '@monthly');\n\
         SELECT ds, x FROM raw.t WHERE ds BETWEEN @start_ds AND @end_ds\n",
    );
    workspace.apply("prod", NOW);
    for _ in 0..2 {
        let ended = plan(&workspace, &["prod"]).fine();
        assert!(
            ended.stdout.contains("No changes to plan"),
            "{}",
            ended.stdout
        );
        says(
            &ended,
            &["tables that `prod` shows stay empty: `db.monthly`"],
        );
    }
}

/// `a` ← `b` in production; then `a` gains `y`, which `b` reads, and `b` reads the new `n`, too.
fn mixed() -> Workspace {
    let workspace = p10();
    workspace.edit("models/a.sql", "2 AS x", "2 AS x, 3 AS y");
    workspace
}

fn select(workspace: &Workspace, selectors: &[&str]) -> Ended {
    let selectors: Vec<&str> = selectors.iter().flat_map(|name| ["-m", *name]).collect();
    plan(workspace, &[&["dev"], &selectors[..]].concat())
}

#[test]
fn a_selected_model_that_reads_a_new_one_which_is_not_selected_is_refused_before_anything_runs() {
    let workspace = mixed();
    workspace.edit("models/b.sql", "FROM db.a", "FROM db.a, db.n");
    let ended = select(&workspace, &["db.b"]).failed();
    says(
        &ended,
        &[
            "error[model-not-selected]: `db.b` reads `db.n`, which is not selected and which `prod` does not have",
            "`-m db.b -m db.n`, or `-m +db.b` for all of it",
        ],
    );
    select(&workspace, &["db.b", "db.n"]).fine();
    select(&workspace, &["+db.b"]).fine();
}

#[test]
fn a_model_that_is_not_selected_may_read_a_table_for_which_there_is_a_new_model() {
    let workspace = days();
    workspace.remove("external_models.yaml");
    workspace.apply("prod", "2024-01-04");
    workspace.write(
        "models/t.sql",
        "MODEL (name raw.t, kind VIEW);\nSELECT DATE '2024-01-01' AS ds, 1 AS x\n",
    );
    workspace.write(
        "models/more.sql",
        "MODEL (name db.more, kind VIEW);\nSELECT 7 AS x\n",
    );
    select(&workspace, &["db.more"]).fine();
    workspace.write(
        "models/more.sql",
        "MODEL (name db.more, kind VIEW);\nSELECT x FROM raw.t\n",
    );
    let ended = select(&workspace, &["db.more"]).failed();
    says(&ended, &["`db.more` reads `raw.t`, which is not selected"]);
    assert!(!ended.stderr.contains("`db.inc`"), "{}", ended.stderr);
}

#[test]
fn a_column_that_only_the_unselected_file_has_names_the_model_to_select() {
    let workspace = mixed();
    workspace.edit("models/b.sql", "SELECT x", "SELECT y");
    let ended = select(&workspace, &["db.b"]).failed();
    says(
        &ended,
        &[
            "error[unknown-column]: in `db.b`:",
            "`y`",
            "`-m db.b -m db.a`",
        ],
    );
    select(&workspace, &["db.b", "db.a"]).fine();
}

#[test]
fn a_selected_model_that_loses_a_column_names_who_still_reads_it() {
    let workspace = mixed();
    workspace.edit("models/a.sql", "2 AS x, 3 AS y", "3 AS y");
    workspace.edit("models/b.sql", "SELECT x", "SELECT y");
    let ended = select(&workspace, &["db.a"]).failed();
    says(
        &ended,
        &[
            "error[unknown-column]: in `db.b`:",
            "`x`",
            "`db.b` is taken as `prod` has it",
            "`-m db.b`",
        ],
    );
    assert_eq!(workspace.rows("FROM db.b"), [["1"]]);
    select(&workspace, &["db.a+"]).fine();
}

#[test]
fn what_was_done_is_counted_by_what_ran_and_a_failure_is_told_once() {
    let workspace = days();
    workspace.write(
        "models/monthly.sql",
        "MODEL (name db.monthly, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), cron '@monthly');\n\
         SELECT ds, x FROM raw.t WHERE ds BETWEEN @start_ds AND @end_ds\n",
    );
    let apply = ["plan", "--auto-apply", "--execution-time", NOW];
    let ended = workspace.run(&apply).fine();
    assert!(
        ended.stdout.contains("4 models were executed"),
        "{}",
        ended.stdout
    );

    workspace.edit(
        "models/total.sql",
        "sum(x)::INT",
        "sum(x)::INT + error('no luck')::INT",
    );
    let ended = workspace.run(&apply).failed();
    assert_eq!(
        ended.stderr.matches("Invalid Input Error").count(),
        1,
        "{}",
        ended.stderr
    );
    says(
        &ended,
        &["`db.total` failed; readers see what they saw before"],
    );
}

#[test]
fn explaining_says_what_is_merged_and_counts_batches_as_people_do() {
    let workspace = days();
    workspace.write(
        "models/keyed.sql",
        "MODEL (name db.keyed, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key ds));\nSELECT ds, x FROM raw.t\n",
    );
    workspace.apply("prod", "2024-01-04");
    let ended = plan(&workspace, &["prod", "--run", "--explain"]).fine();
    let told = &ended.stdout;
    assert!(
        told.contains("`db.keyed`: merge 2024-01-04 00:00 to 2024-01-06 00:00"),
        "{told}"
    );
    assert!(
        told.contains("`db.inc`: insert 2024-01-04 00:00 to 2024-01-06 00:00"),
        "{told}"
    );
    assert!(!told.contains("1 batches"), "{told}");
}

#[test]
fn tables_that_end_before_those_that_they_replace_are_said_with_the_way_out() {
    let workspace = days();
    workspace.apply("prod", "2024-01-04");
    workspace.edit("models/inc.sql", "SELECT ds, x", "SELECT ds, x + 0.5 AS x");
    let at = |environment: &str, now: &str| {
        workspace.run(&["plan", environment, "--no-prompts", "--execution-time", now])
    };
    for (environment, way_out) in [
        ("dev", "or with 2024-01-04, to fill as much"),
        ("prod", "--no-gaps refuses such plans"),
    ] {
        let ended = at(environment, "2024-01-03").fine();
        says(
            &ended,
            &[
                "warning[ends-earlier]: at 2024-01-03 tables of",
                "`db.inc` at 2024-01-03 instead of 2024-01-04",
                way_out,
            ],
        );
        let ended = at(environment, "2024-01-04").fine();
        assert!(!ended.stderr.contains("ends-earlier"), "{}", ended.stderr);
    }
    let end = [
        "plan",
        "dev",
        "--end",
        "2024-01-01",
        "--no-prompts",
        "--execution-time",
        "2024-01-03",
    ];
    let ended = workspace.run(&end).fine();
    assert!(!ended.stderr.contains("ends-earlier"), "{}", ended.stderr);
}
