//! The kinds that a table is filled by, each as its rows show.

use crate::workspace::Workspace;

/// Five days of events; a key is seen again on later days.
const EVENTS: &str = "CREATE SCHEMA raw;
CREATE TABLE raw.events (id INT, region TEXT, v INT, day DATE);
INSERT INTO raw.events VALUES
  (1, 'n', 10, '2024-01-01'), (2, 's', 20, '2024-01-01'),
  (1, 'n', 11, '2024-01-02'), (NULL, 'n', 90, '2024-01-02'),
  (3, NULL, 30, '2024-01-03'), (NULL, 'n', 91, '2024-01-03'),
  (2, 's', 21, '2024-01-04'),
  (1, 'n', 12, '2024-01-05'), (3, NULL, 31, '2024-01-05');";

const QUERY: &str =
    "SELECT id, region, v, day FROM raw.events WHERE day BETWEEN @start_ds AND @end_ds\n";

fn with(kind: &str, others: &str) -> Workspace {
    let model = format!("MODEL (name db.m, kind {kind}{others});\n{QUERY}");
    let workspace = Workspace::new(&[("models/m.sql", &model)]);
    workspace.execute(EVENTS);
    workspace
}

#[track_caller]
fn run(workspace: &Workspace, now: &str) {
    workspace.run(&["run", "--execution-time", now]).fine();
}

/// The rows as `id region v day of month`, sorted.
#[track_caller]
fn rows(workspace: &Workspace) -> Vec<String> {
    let sql = "SELECT coalesce(id::TEXT, '-') || ' ' || coalesce(region, '-') || ' ' || v || ' ' || extract(day FROM day) AS r
               FROM db.m ORDER BY r";
    let rows = workspace.rows(sql).into_iter();
    rows.map(|row| row[0].clone()).collect()
}

const LATEST: [&str; 4] = ["- n 91 3", "1 n 12 5", "2 s 21 4", "3 - 31 5"];

#[test]
pub(crate) fn rows_of_one_key_replace_each_other_in_order_of_time() {
    let workspace = with(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1)",
        "",
    );
    let plan = workspace.apply("prod", "2024-01-04");
    assert_eq!(plan.model("db.m")["batches"], 3);
    assert_eq!(
        rows(&workspace),
        ["- n 91 3", "1 n 11 2", "2 s 20 1", "3 - 30 3"]
    );
    run(&workspace, "2024-01-06");
    assert_eq!(rows(&workspace), LATEST);
    run(&workspace, "2024-01-06");
    assert_eq!(rows(&workspace), LATEST, "a second run changes nothing");
}

#[test]
pub(crate) fn day_by_day_and_in_batches_give_the_same_rows() {
    let workspace = with(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key (id, coalesce(region, '-')), batch_size 1)",
        "",
    );
    workspace.apply("prod", "2024-01-02");
    for day in 3..7 {
        run(&workspace, &format!("2024-01-0{day}"));
    }
    assert_eq!(rows(&workspace), LATEST);
}

#[test]
pub(crate) fn a_key_that_is_not_unique_in_a_batch_is_one_clear_message() {
    let workspace = with("INCREMENTAL_BY_UNIQUE_KEY (unique_key id)", "");
    let ended = workspace
        .run(&["plan", "--execution-time", "2024-01-06", "--auto-apply"])
        .failed();
    let advice = match workspace.is_postgres() {
        true => "SELECT DISTINCT ON",
        false => "QUALIFY",
    };
    for part in [
        "the key (\"id\") of `db.m` is not unique",
        "4 keys have",
        advice,
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
}

#[test]
pub(crate) fn a_key_column_that_the_query_lacks_is_one_clear_message() {
    for kind in [
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key idd)",
        "SCD_TYPE_2_BY_TIME (unique_key idd, updated_at_name day)",
        "SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name idd)",
        "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v, idd])",
    ] {
        let workspace = with(kind, "");
        let ended = workspace
            .run(&["plan", "--execution-time", "2024-01-02", "--auto-apply"])
            .failed();
        assert!(ended.stderr.contains("`idd`"), "{kind}: {}", ended.stderr);
        assert!(ended.stderr.contains("db.m"), "{kind}: {}", ended.stderr);
    }
}

#[test]
pub(crate) fn matched_rows_become_what_the_model_says() {
    let workspace = with(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1,
           when_matched (WHEN MATCHED AND source.v = 21 THEN DELETE
                         WHEN MATCHED THEN UPDATE SET target.v = target.v + source.v, day = source.day))",
        "",
    );
    workspace.apply("prod", "2024-01-06");
    assert_eq!(
        rows(&workspace),
        ["- n 181 3", "1 n 33 5", "3 - 61 5"],
        "values are added up, and 21 takes its row away"
    );
}

#[test]
pub(crate) fn a_merge_filter_is_part_of_the_match() {
    let workspace = with(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1, merge_filter target.region = 'n')",
        "",
    );
    workspace.apply("prod", "2024-01-06");
    assert_eq!(
        rows(&workspace),
        [
            "- n 91 3", "1 n 12 5", "2 s 20 1", "2 s 21 4", "3 - 30 3", "3 - 31 5"
        ]
    );
}

#[test]
pub(crate) fn the_first_branch_that_holds_acts_on_rows_as_they_were() {
    let workspace = with(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1,
           when_matched (WHEN MATCHED AND source.v = 11 THEN UPDATE SET v = CASE WHEN source.region = 'n' THEN 21 END
                         WHEN MATCHED AND target.v = 21 THEN DELETE
                         WHEN MATCHED AND source.v = 91 THEN DO NOTHING
                         WHEN MATCHED AND target.v > 0 THEN UPDATE SET v = target.v + source.v
                         WHEN MATCHED THEN DELETE))",
        "",
    );
    workspace.apply("prod", "2024-01-05");
    assert_eq!(
        rows(&workspace),
        ["- n 90 2", "1 n 21 1", "2 s 41 1", "3 - 30 3"],
        "what the first branch made of a row is nothing that the second one sees"
    );
    run(&workspace, "2024-01-06");
    assert_eq!(rows(&workspace), ["- n 90 2", "2 s 41 1", "3 - 61 3"]);
}

/// Told on PostgreSQL 13 and 14 only.
pub(crate) fn a_clause_that_only_merge_knows_is_refused_before_the_first_row_is_written() {
    let workspace = with(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1,
           when_matched (WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND source.v = 20 THEN DO NOTHING))",
        "",
    );
    let table = workspace.plan("prod", "2024-01-06").table("db.m");
    let plan = ["plan", "--auto-apply", "--execution-time", "2024-01-06"];
    let said = workspace.run(&plan).failed().stderr;
    assert!(
        said.contains(
            "`WHEN NOT MATCHED AND \"source\".v = 20 THEN DO NOTHING` cannot be done without"
        ),
        "{said}"
    );
    assert!(said.contains("PostgreSQL 15 or later"), "{said}");
    let there = format!("SELECT to_regclass('{table}')");
    let rows = match &*workspace.rows(&there)[0][0] {
        "NULL" => "0".to_owned(),
        _ => workspace.rows(&format!("SELECT count(*) FROM {table}"))[0][0].clone(),
    };
    assert_eq!(rows, "0");
    let missing = workspace.plan("prod", "2024-01-06");
    assert_eq!(missing.model("db.m")["batches"], 5, "no day is claimed");
}

/// Told on PostgreSQL 13 and 14 only: elsewhere it is the engine that says so.
pub(crate) fn a_row_that_several_rows_match_is_refused() {
    let kind =
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1, on_destructive_change ignore,
                when_matched (WHEN MATCHED THEN UPDATE SET v = source.v))";
    let workspace = with(kind, "");
    workspace.edit("models/m.sql", "SELECT id, region, v, day", "SELECT *");
    workspace.execute("ALTER TABLE raw.events ALTER COLUMN id TYPE DOUBLE PRECISION USING 9007199254740992 + coalesce(id, 0) * 2");
    workspace.apply("prod", "2024-01-05");
    let before = rows(&workspace);
    // In numbers of the table's type, which has no odd ones that large, both are the same.
    workspace.execute(
        "ALTER TABLE raw.events ALTER COLUMN id TYPE BIGINT;
         UPDATE raw.events SET id = 9007199254740992 + (v - 12) / 19 WHERE day = '2024-01-05'",
    );
    let ended = workspace.run(&["run", "--execution-time", "2024-01-06"]);
    let said = ended.failed().stderr;
    assert!(
        said.contains("a row of `db.m` matches several rows of the batch"),
        "{said}"
    );
    assert_eq!(rows(&workspace), before);
}

#[test]
pub(crate) fn lookback_reads_the_days_before_again() {
    let workspace = with(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1, lookback 2)",
        "",
    );
    workspace.apply("prod", "2024-01-05");
    workspace.execute("INSERT INTO raw.events VALUES (7, 'late', 70, '2024-01-03'), (8, 'later', 80, '2024-01-02')");
    run(&workspace, "2024-01-06");
    let rows = rows(&workspace);
    assert!(rows.contains(&"7 late 70 3".to_owned()), "{rows:?}");
    assert!(!rows.contains(&"8 later 80 2".to_owned()), "{rows:?}");
}

#[test]
pub(crate) fn a_batch_replaces_the_partitions_that_it_has_rows_of() {
    for kind in [
        "INCREMENTAL_BY_PARTITION",
        "INCREMENTAL_UNMANAGED (insert_overwrite true)",
    ] {
        let workspace = with(kind, ", partitioned_by region");
        workspace.apply("prod", "2024-01-04");
        assert_eq!(rows(&workspace).len(), 6, "the first batch is all there is");
        run(&workspace, "2024-01-05");
        assert_eq!(
            rows(&workspace),
            [
                "- n 90 2", "- n 91 3", "1 n 10 1", "1 n 11 2", "2 s 21 4", "3 - 30 3"
            ]
        );
        run(&workspace, "2024-01-06");
        assert_eq!(
            rows(&workspace),
            ["1 n 12 5", "2 s 21 4", "3 - 31 5"],
            "NULL is a partition too"
        );
    }
}

#[test]
pub(crate) fn unmanaged_rows_are_added_and_never_twice() {
    let workspace = with("INCREMENTAL_UNMANAGED", "");
    workspace.apply("prod", "2024-01-03");
    run(&workspace, "2024-01-05");
    run(&workspace, "2024-01-06");
    run(&workspace, "2024-01-06");
    assert_eq!(rows(&workspace).len(), 9);
    assert_eq!(
        workspace.rows("SELECT count(DISTINCT (id, v)) FROM db.m"),
        [["9"]]
    );
}

#[test]
pub(crate) fn a_start_that_is_moved_back_does_not_write_old_rows_over_new_ones() {
    let workspace = with(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1)",
        ", start '2024-01-03'",
    );
    workspace.apply("prod", "2024-01-06");
    let before = rows(&workspace);
    workspace.edit("models/m.sql", "2024-01-03", "2024-01-01");
    workspace.apply("prod", "2024-01-06");
    run(&workspace, "2024-01-06");
    assert_eq!(rows(&workspace), before);
}

#[test]
pub(crate) fn a_materialized_view_holds_the_rows_of_its_last_run() {
    let workspace = Workspace::new(&[(
        "models/m.sql",
        "MODEL (name db.m, kind VIEW (materialized true));\nSELECT count(*) AS n FROM raw.events\n",
    )]);
    workspace.execute(EVENTS);
    workspace.apply("prod", "2024-01-03");
    workspace.execute("INSERT INTO raw.events VALUES (9, 'x', 1, '2024-01-01')");
    assert_eq!(workspace.rows("SELECT n FROM db.m"), [["9"]]);
    run(&workspace, "2024-01-04");
    assert_eq!(workspace.rows("SELECT n FROM db.m"), [["10"]]);
}

#[test]
pub(crate) fn a_blocking_audit_leaves_no_bad_row_whatever_the_kind() {
    let kinds = [
        ("INCREMENTAL_BY_UNIQUE_KEY (unique_key (id, v))", ""),
        ("INCREMENTAL_BY_PARTITION", ", partitioned_by region"),
        ("INCREMENTAL_UNMANAGED", ""),
        ("SCD_TYPE_2_BY_COLUMN (unique_key (id, v), columns [v])", ""),
        ("INCREMENTAL_BY_TIME_RANGE (time_column day)", ""),
    ];
    for (kind, others) in kinds {
        let audits = format!("{others}, audits (accepted_range(column := v, max_v := 80))");
        let workspace = with(kind, &audits);
        workspace.apply("prod", "2024-01-02");
        let before = rows(&workspace);
        workspace
            .run(&["run", "--execution-time", "2024-01-04"])
            .failed();
        assert_eq!(rows(&workspace), before, "{kind}");
        workspace.execute("UPDATE raw.events SET v = v - 80 WHERE v >= 90");
        run(&workspace, "2024-01-04");
        assert!(
            rows(&workspace).contains(&"- n 11 3".to_owned()),
            "{kind}: {:?}",
            rows(&workspace)
        );
    }
}

/// A running total: each day is made of the day before.
fn running(workspace: &Workspace, more: &str) {
    let model = format!(
        "MODEL (name db.m, kind INCREMENTAL_BY_TIME_RANGE (time_column day{more}), columns (day DATE, total INT));
         SELECT day, (sum(v) + coalesce((SELECT total FROM db.m ORDER BY day DESC LIMIT 1), 0))::INT AS total
         FROM raw.events WHERE day BETWEEN @start_ds AND @end_ds GROUP BY day\n"
    );
    workspace.write("models/m.sql", &model);
}

#[test]
pub(crate) fn a_model_that_reads_itself_is_filled_one_interval_after_the_other() {
    let workspace = Workspace::new(&[]);
    running(&workspace, "");
    workspace.execute(EVENTS);
    let plan = workspace.apply("prod", "2024-01-04");
    assert_eq!(plan.model("db.m")["batches"], 3);
    run(&workspace, "2024-01-06");
    assert_eq!(
        workspace.rows("SELECT day, total FROM db.m ORDER BY day"),
        [
            ["2024-01-01", "30"],
            ["2024-01-02", "131"],
            ["2024-01-03", "252"],
            ["2024-01-04", "273"],
            ["2024-01-05", "316"]
        ]
    );
}

#[test]
pub(crate) fn a_day_that_comes_before_the_others_makes_all_behind_it_anew() {
    let workspace = Workspace::new(&[]);
    running(&workspace, "");
    workspace.edit("models/m.sql", "columns", "start '2024-01-03', columns");
    workspace.execute(EVENTS);
    workspace.apply("prod", "2024-01-06");
    assert_eq!(workspace.rows("SELECT max(total) FROM db.m"), [["185"]]);
    workspace.edit("models/m.sql", "2024-01-03", "2024-01-01");
    workspace.apply("prod", "2024-01-06");
    assert_eq!(
        workspace.rows("SELECT count(*), min(total), max(total) FROM db.m"),
        [["5", "30", "316"]]
    );
}

#[test]
pub(crate) fn a_model_that_reads_itself_says_its_columns() {
    let workspace = Workspace::new(&[(
        "models/m.sql",
        "MODEL (name db.m, kind FULL);\nSELECT coalesce(max(n), 0) + 1 AS n FROM db.m\n",
    )]);
    let ended = workspace
        .run(&["plan", "--execution-time", "2024-01-03", "--auto-apply"])
        .failed();
    assert!(ended.stderr.contains("`columns`"), "{}", ended.stderr);
    workspace.edit("models/m.sql", "kind FULL", "kind FULL, columns (n INT)");
    workspace.apply("prod", "2024-01-03");
    run(&workspace, "2024-01-04");
    run(&workspace, "2024-01-04");
    run(&workspace, "2024-01-05");
    assert_eq!(workspace.rows("SELECT n FROM db.m"), [["3"]]);
}

#[test]
pub(crate) fn a_view_cannot_read_itself() {
    let workspace = Workspace::new(&[(
        "models/m.sql",
        "MODEL (name db.m, kind VIEW);\nSELECT n FROM db.m\n",
    )]);
    let ended = workspace
        .run(&["plan", "--execution-time", "2024-01-03"])
        .failed();
    assert!(
        ended.stderr.contains("a VIEW cannot read itself"),
        "{}",
        ended.stderr
    );
}
