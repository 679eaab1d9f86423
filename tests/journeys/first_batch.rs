//! Mistakes that only a second batch would meet: the first one meets them, and nothing is published.

use crate::engines::on_both_engines;
use crate::workspace::Workspace;
use crate::workspace::on_postgres;

on_both_engines! {
    keys_and_merges_that_the_engine_cannot_compute_fail_before_anything_is_published,
    a_merge_that_is_right_is_tried_out_without_a_trace,
}

fn source(kind: &str) -> Workspace {
    let model = format!("MODEL (name db.m, kind {kind});\nSELECT * FROM raw.s\n");
    let workspace = Workspace::new(&[("models/m.sql", &model)]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.s (id INT, v INT, day DATE);
         INSERT INTO raw.s VALUES (1, 10, DATE '2024-01-01'), (2, 20, DATE '2024-01-02')",
    );
    workspace
}

pub(crate) fn keys_and_merges_that_the_engine_cannot_compute_fail_before_anything_is_published() {
    for (kind, wanted) in [
        ("INCREMENTAL_BY_PARTITION, partitioned_by (zz)", "zz"),
        (
            "INCREMENTAL_BY_PARTITION, partitioned_by (date_trunc('day', zz))",
            "computing the `partitioned_by`",
        ),
        (
            "INCREMENTAL_BY_UNIQUE_KEY (unique_key (id, coalesce(zz, 1)))",
            "computing the `unique_key`",
        ),
        (
            "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, when_matched (WHEN MATCHED THEN UPDATE SET v = source.zz))",
            "merging by the `when_matched`",
        ),
        (
            "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, merge_filter target.v > source.zz)",
            "merging by the `when_matched` and `merge_filter`",
        ),
    ] {
        let workspace = source(kind);
        let ended = workspace
            .run(&["plan", "--execution-time", "2024-01-03", "--auto-apply"])
            .failed();
        assert!(ended.stderr.contains(wanted), "{kind}:\n{}", ended.stderr);
        assert_eq!(workspace.objects("VIEW"), Vec::<String>::new(), "{kind}");
    }
}

pub(crate) fn a_merge_that_is_right_is_tried_out_without_a_trace() {
    let workspace = source(
        "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, when_matched (WHEN MATCHED THEN UPDATE SET v = target.v + source.v))",
    );
    workspace.apply("prod", "2024-01-03");
    let rows = || workspace.rows("SELECT id, v FROM db.m ORDER BY id");
    assert_eq!(rows(), [["1", "10"], ["2", "20"]]);
    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    assert_eq!(rows(), [["1", "20"], ["2", "40"]]);
}

#[test]
fn equal_rows_with_a_json_are_one_row_on_postgres() {
    on_postgres(|| {
        let model = "MODEL (name db.m, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id));
SELECT id, doc, at FROM raw.docs
";
        let workspace = Workspace::new(&[("models/m.sql", model)]);
        workspace.execute(
            "CREATE SCHEMA raw; CREATE TABLE raw.docs (id INT, doc JSON, at POINT);
             INSERT INTO raw.docs VALUES (1, '{\"a\": 1}', '(1,2)'), (1, '{\"a\": 1}', '(1,2)'), (2, '{}', '(0,0)')",
        );
        workspace.apply("prod", "2024-01-03");
        let rows = workspace.rows("SELECT id, CAST(doc AS TEXT) FROM db.m ORDER BY id");
        assert_eq!(rows, [["1", "{\"a\": 1}"], ["2", "{}"]]);

        workspace.execute("INSERT INTO raw.docs VALUES (2, '{\"b\": 2}', '(0,0)')");
        let ended = workspace
            .run(&["run", "--execution-time", "2024-01-04"])
            .failed();
        assert!(ended.stderr.contains("is not unique"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("SELECT DISTINCT ON"),
            "{}",
            ended.stderr
        );
    });
}
