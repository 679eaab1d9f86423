//! SCD_TYPE_2: what a table remembers of rows that change, go and come back.

use crate::workspace::Workspace;

const BY_TIME: &str = "MODEL (
  name db.h,
  kind SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name upd, invalidate_hard_deletes true)
);
SELECT id, name, upd FROM raw.src
";
const BY_COLUMN: &str = "MODEL (
  name db.h,
  kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [name], invalidate_hard_deletes true)
);
SELECT id, name, upd FROM raw.src
";

fn january(day: u32) -> String {
    format!("2024-01-{day:02}")
}

fn with(model: &str) -> Workspace {
    let workspace = Workspace::new(&[("models/h.sql", model)]);
    workspace.execute("CREATE SCHEMA raw; CREATE TABLE raw.src (id INT, name TEXT, upd TIMESTAMP)");
    workspace
}

/// `raw.src` holds exactly these rows: key, name, day of January that they are from.
fn source(workspace: &Workspace, rows: &[(&str, &str, &str)]) {
    let mut sql = "DELETE FROM raw.src;".to_owned();
    for (id, name, day) in rows {
        let time = if *day == "NULL" {
            "NULL".to_owned()
        } else {
            format!("'2024-01-{day:0>2}'")
        };
        sql += &format!("INSERT INTO raw.src VALUES ({id}, {name}, {time});");
    }
    workspace.execute(&sql);
}

#[track_caller]
fn run(workspace: &Workspace, day: u32) {
    workspace
        .run(&["run", "--execution-time", &january(day)])
        .fine();
}

/// The versions, sorted: `id name upd from to`, times as days of January, `E` for 1970 and `-` for none.
#[track_caller]
fn versions(workspace: &Workspace) -> Vec<String> {
    let day = |column: &str| {
        format!(
            "CASE WHEN {column} IS NULL THEN '-' WHEN extract(year FROM {column}) = 1970 THEN 'E'
             ELSE extract(day FROM {column})::TEXT END"
        )
    };
    let sql = format!(
        "SELECT coalesce(id::TEXT, 'NULL') || ' ' || coalesce(name, 'NULL') || ' ' || {} || ' ' || {} || ' ' || {} AS v
         FROM db.h ORDER BY id, valid_from, valid_to, name",
        day("upd"),
        day("valid_from"),
        day("valid_to")
    );
    let rows = workspace.rows(&sql).into_iter();
    rows.map(|row| row[0].clone()).collect()
}

/// The example of the specification, 6.4.
fn worked_example(model: &str, expected: [&[&str]; 4]) {
    let workspace = with(model);
    let mut found = Vec::new();
    source(&workspace, &[("1", "'a'", "1")]);
    workspace.apply("prod", &january(3));
    found.push(versions(&workspace));
    source(&workspace, &[("1", "'b'", "5"), ("2", "'c'", "7")]);
    run(&workspace, 10);
    found.push(versions(&workspace));
    source(&workspace, &[("2", "'c'", "7")]);
    run(&workspace, 20);
    found.push(versions(&workspace));
    source(&workspace, &[("1", "'b'", "6"), ("2", "'c'", "7")]);
    run(&workspace, 30);
    found.push(versions(&workspace));
    assert_eq!(found, expected);
}

#[test]
pub(crate) fn the_worked_example_by_time() {
    worked_example(
        BY_TIME,
        [
            &["1 a 1 E -"],
            &["1 a 1 E 5", "1 b 5 5 -", "2 c 7 E -"],
            &["1 a 1 E 5", "1 b 5 5 20", "2 c 7 E -"],
            &["1 a 1 E 5", "1 b 5 5 20", "1 b 6 20 -", "2 c 7 E -"],
        ],
    );
}

#[test]
pub(crate) fn the_worked_example_by_column() {
    worked_example(
        BY_COLUMN,
        [
            &["1 a 1 E -"],
            &["1 a 1 E 10", "1 b 5 10 -", "2 c 7 10 -"],
            &["1 a 1 E 10", "1 b 5 10 20", "2 c 7 10 -"],
            &["1 a 1 E 10", "1 b 5 10 20", "1 b 6 30 -", "2 c 7 10 -"],
        ],
    );
}

#[test]
pub(crate) fn a_row_that_did_not_change_has_one_version_however_often_it_is_seen() {
    for model in [BY_TIME, BY_COLUMN] {
        let workspace = with(model);
        source(&workspace, &[("1", "'a'", "1"), ("NULL", "'n'", "2")]);
        workspace.apply("prod", &january(3));
        for day in 4..8 {
            run(&workspace, day);
        }
        assert_eq!(versions(&workspace), ["1 a 1 E -", "NULL n 2 E -"]);
    }
}

#[test]
pub(crate) fn a_late_row_is_no_new_version_but_says_that_the_key_is_there() {
    let workspace = with(BY_TIME);
    source(&workspace, &[("1", "'new'", "5")]);
    workspace.apply("prod", &january(7));
    source(&workspace, &[("1", "'late'", "2")]);
    run(&workspace, 8);
    assert_eq!(versions(&workspace), ["1 new 5 E -"]);
}

#[test]
pub(crate) fn several_changes_in_one_batch_are_versions_one_after_the_other() {
    let workspace = with(BY_TIME);
    source(&workspace, &[("1", "'a'", "1")]);
    workspace.apply("prod", &january(3));
    source(
        &workspace,
        &[
            ("1", "'c'", "6"),
            ("1", "'b'", "4"),
            ("2", "'y'", "8"),
            ("2", "'x'", "7"),
        ],
    );
    run(&workspace, 10);
    assert_eq!(
        versions(&workspace),
        [
            "1 a 1 E 4",
            "1 b 4 4 6",
            "1 c 6 6 -",
            "2 x 7 E 8",
            "2 y 8 8 -"
        ]
    );
}

#[test]
pub(crate) fn two_rows_of_a_key_with_one_time_are_refused_and_nothing_changes() {
    let workspace = with(BY_TIME);
    source(&workspace, &[("1", "'a'", "1")]);
    workspace.apply("prod", &january(3));
    source(&workspace, &[("1", "'b'", "5"), ("1", "'c'", "5")]);
    let ended = workspace
        .run(&["run", "--execution-time", &january(10)])
        .failed();
    assert!(ended.stderr.contains("is not unique"), "{}", ended.stderr);
    assert!(ended.stderr.contains("db.h"), "{}", ended.stderr);
    assert_eq!(versions(&workspace), ["1 a 1 E -"]);

    // The same row twice is one row.
    source(&workspace, &[("1", "'b'", "5"), ("1", "'b'", "5")]);
    run(&workspace, 10);
    assert_eq!(versions(&workspace), ["1 a 1 E 5", "1 b 5 5 -"]);
}

#[test]
pub(crate) fn without_hard_deletes_a_key_that_goes_stays_open() {
    let model = BY_COLUMN.replace(", invalidate_hard_deletes true", "");
    let workspace = with(&model);
    source(&workspace, &[("1", "'a'", "1"), ("2", "'b'", "1")]);
    workspace.apply("prod", &january(3));
    source(&workspace, &[("2", "'b'", "1")]);
    run(&workspace, 10);
    assert_eq!(versions(&workspace), ["1 a 1 E -", "2 b 1 E -"]);
}

#[test]
pub(crate) fn null_is_another_value_than_any_other_and_than_itself_it_is_not() {
    let workspace = with(BY_COLUMN);
    source(&workspace, &[("1", "NULL", "1"), ("2", "'b'", "1")]);
    workspace.apply("prod", &january(3));
    source(&workspace, &[("1", "NULL", "2"), ("2", "NULL", "2")]);
    run(&workspace, 10);
    source(&workspace, &[("1", "'a'", "3"), ("2", "NULL", "3")]);
    run(&workspace, 12);
    assert_eq!(
        versions(&workspace),
        ["1 NULL 1 E 12", "1 a 3 12 -", "2 b 1 E 10", "2 NULL 2 10 -"]
    );
}

#[test]
pub(crate) fn all_columns_count_with_a_star() {
    let workspace = with(&BY_COLUMN.replace("[name]", "*"));
    source(&workspace, &[("1", "'a'", "1")]);
    workspace.apply("prod", &january(3));
    source(&workspace, &[("1", "'a'", "2")]);
    run(&workspace, 10);
    assert_eq!(versions(&workspace), ["1 a 1 E 10", "1 a 2 10 -"]);
}

#[test]
pub(crate) fn a_column_may_say_when_instead_of_the_clock() {
    let model = BY_COLUMN.replace("columns [name]", "columns [name], updated_at_name upd");
    let workspace = with(&model);
    source(&workspace, &[("1", "'a'", "1"), ("2", "'z'", "1")]);
    workspace.apply("prod", &january(3));
    source(
        &workspace,
        &[("1", "'b'", "5"), ("1", "'b'", "6"), ("1", "'c'", "7")],
    );
    run(&workspace, 10);
    assert_eq!(
        versions(&workspace),
        ["1 a 1 E 5", "1 b 5 5 7", "1 c 7 7 -", "2 z 1 E 10"]
    );
}

#[test]
pub(crate) fn first_versions_may_begin_when_they_were_seen() {
    let by_time = BY_TIME.replace(
        "updated_at_name upd",
        "updated_at_name upd, updated_at_as_valid_from true",
    );
    let by_column = BY_COLUMN.replace(
        "columns [name]",
        "columns [name], execution_time_as_valid_from true",
    );
    for (model, expected) in [(by_time, "1 a 1 1 -"), (by_column, "1 a 1 3 -")] {
        let workspace = with(&model);
        source(&workspace, &[("1", "'a'", "1")]);
        workspace.apply("prod", &january(3));
        assert_eq!(versions(&workspace), [expected]);
    }
}

#[test]
pub(crate) fn a_row_without_a_time_is_there_from_the_beginning() {
    let workspace = with(BY_TIME);
    source(&workspace, &[("1", "'a'", "NULL")]);
    workspace.apply("prod", &january(3));
    source(&workspace, &[("1", "'b'", "NULL")]);
    run(&workspace, 5);
    source(&workspace, &[("1", "'c'", "4")]);
    run(&workspace, 6);
    assert_eq!(versions(&workspace), ["1 a - E 4", "1 c 4 4 -"]);
}

#[test]
pub(crate) fn names_and_type_of_the_times_are_the_models() {
    let workspace = with(
        "MODEL (
  name db.h,
  kind SCD_TYPE_2 (unique_key (id, lower(name)), updated_at_name upd, valid_from_name since, valid_to_name until,
    time_data_type DATE)
);
SELECT id, name, upd FROM raw.src
",
    );
    source(&workspace, &[("1", "'A'", "1")]);
    workspace.apply("prod", &january(3));
    source(&workspace, &[("1", "'a'", "2")]);
    run(&workspace, 4);
    assert_eq!(
        workspace.rows("SELECT name, upd, since, until FROM db.h ORDER BY since"),
        [
            ["A", "2024-01-01", "1970-01-01", "2024-01-02"],
            ["a", "2024-01-02", "2024-01-02", "NULL"]
        ]
    );
}

#[test]
pub(crate) fn what_a_history_reads_may_be_filled_in_batches() {
    let workspace = Workspace::new(&[(
        "models/h.sql",
        "MODEL (
  name db.h,
  kind SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name upd, batch_size 1)
);
SELECT id, name, upd FROM raw.src WHERE upd BETWEEN @start_dt AND @end_dt
",
    )]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.src (id INT, name TEXT, upd TIMESTAMP);
         INSERT INTO raw.src VALUES (1, 'a', '2024-01-01'), (1, 'b', '2024-01-02'), (1, 'c', '2024-01-04'), (2, 'x', '2024-01-03')",
    );
    let plan = workspace.apply("prod", &january(6));
    assert_eq!(plan.model("db.h")["batches"], 5);
    assert_eq!(
        versions(&workspace),
        ["1 a 1 E 2", "1 b 2 2 4", "1 c 4 4 -", "2 x 3 E -"]
    );
}
