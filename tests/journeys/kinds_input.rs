//! Kinds that cannot be filled as they are declared: one clear message each, nothing lost.

use crate::workspace::Workspace;

const TYPED: &str =
    "SELECT 1 AS id, 2 AS v, TRUE AS flag, DATE '2024-01-01' AS day, 20240101 AS number\n";

#[track_caller]
fn refused(kind: &str, wanted: &[&str]) {
    let model = format!("MODEL (\n  name db.m,\n  kind {kind}\n);\n{TYPED}");
    let workspace = Workspace::new(&[("models/m.sql", &model)]);
    let ended = workspace
        .run(&["plan", "--execution-time", "2024-01-03", "--auto-apply"])
        .failed();
    for part in wanted {
        assert!(
            ended.stderr.contains(part),
            "{kind}: `{part}` is not in:\n{}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert_eq!(workspace.objects("VIEW"), Vec::<String>::new());
}

#[test]
pub(crate) fn columns_that_the_query_does_not_give_are_found_with_their_line() {
    refused(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key idd)",
        &["models/m.sql:3", "`unique_key` names `idd`", "`id`"],
    );
    refused(
        "INCREMENTAL_BY_TIME_RANGE (time_column ds)",
        &["models/m.sql:3", "`time_column` names `ds`"],
    );
    refused(
        "SCD_TYPE_2_BY_TIME (unique_key id)",
        &["models/m.sql", "`updated_at_name` names `updated_at`"],
    );
    refused(
        "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [w])",
        &["models/m.sql:3", "`columns` names `w`"],
    );
    refused(
        "INCREMENTAL_BY_PARTITION, partitioned_by (region)",
        &["models/m.sql:3", "`partitioned_by` names `region`"],
    );
    refused(
        "SCD_TYPE_2_BY_COLUMN (unique_key id, columns *, valid_from_name day)",
        &[
            "models/m.sql:3",
            "gives a column `day`, which its kind writes itself",
        ],
    );
}

#[test]
pub(crate) fn columns_within_expressions_and_merges_are_looked_for_too() {
    refused(
        "INCREMENTAL_BY_PARTITION, partitioned_by (date_trunc('day', zz))",
        &["models/m.sql:3", "`partitioned_by` names `zz`"],
    );
    refused(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key (id, coalesce(zz, 1)))",
        &["models/m.sql:3", "`unique_key` names `zz`"],
    );
    refused(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, when_matched (WHEN MATCHED THEN UPDATE SET v = source.zz))",
        &["models/m.sql:3", "`when_matched` names `zz`"],
    );
    refused(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, merge_filter target.zz > 1)",
        &["models/m.sql:3", "`merge_filter` names `zz`"],
    );
}

#[test]
pub(crate) fn a_time_column_of_a_type_without_time_is_refused() {
    refused(
        "INCREMENTAL_BY_TIME_RANGE (time_column flag)",
        &["`flag`", "BOOLEAN, which says no time"],
    );
    refused(
        "INCREMENTAL_BY_TIME_RANGE (time_column number)",
        &["`number`", "gives no number", "'%Y%m%d'"],
    );
}

#[test]
pub(crate) fn options_that_a_kind_lacks_or_does_not_have_name_the_line() {
    refused(
        "INCREMENTAL_BY_UNIQUE_KEY",
        &["models/m.sql:3", "needs a `unique_key`"],
    );
    refused(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, when_match x)",
        &[
            "models/m.sql:3",
            "has no property `when_match`",
            "when_matched",
        ],
    );
    refused(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, when_matched (UPDATE SET v = 1))",
        &["models/m.sql:3", "WHEN MATCHED"],
    );
    refused(
        "INCREMENTAL_BY_PARTITION",
        &["models/m.sql:3", "needs `partitioned_by`"],
    );
    refused(
        "INCREMENTAL_BY_PARTITION (forward_only true)",
        &["models/m.sql:3", "has no property `forward_only`"],
    );
    refused(
        "SCD_TYPE_2_BY_COLUMN (unique_key id)",
        &["models/m.sql:3", "needs a `columns`"],
    );
    refused(
        "SCD_TYPE_2_BY_TIME (unique_key id, columns [v])",
        &["models/m.sql:3", "`columns`", "SCD_TYPE_2_BY_COLUMN"],
    );
    refused(
        "SCD_TYPE_2 (unique_key id, updated_at_name day, valid_to_name valid_from)",
        &["are both `valid_from`"],
    );
    refused(
        "CUSTOM (materialization 'x')",
        &["models/m.sql:3", "kind `CUSTOM` is not supported yet"],
    );
    refused(
        "MANAGED",
        &["models/m.sql:3", "kind `MANAGED` is not supported yet"],
    );
}
