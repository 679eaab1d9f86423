//! What physical tables get besides rows: descriptions, and storage parameters of PostgreSQL.

use crate::workspace::Workspace;
use crate::workspace::on_postgres;

const FULL: &str = "MODEL (name db.f, kind FULL, description 'all of it', column_descriptions (x = 'the number', gone = 'not there'));\nSELECT 1 AS x\n";
const DAYS: &str =
    "MODEL (name db.d, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key x), description 'it''s by key',
    column_descriptions (x = 'the key'));\nSELECT 1 AS x, 'a' AS v\n";
const VIEW: &str = "MODEL (name db.v, kind VIEW, description 'a view');\nSELECT x FROM db.f\n";

fn project() -> Workspace {
    Workspace::new(&[
        ("models/f.sql", FULL),
        ("models/d.sql", DAYS),
        ("models/v.sql", VIEW),
    ])
}

/// The descriptions of all tables and views in schema `siding__db`, without versions.
fn described(workspace: &Workspace, sql: &str) -> Vec<String> {
    let rows = workspace.rows(sql);
    rows.into_iter().flatten().collect()
}

#[test]
fn physical_tables_say_what_they_are() {
    let workspace = project();
    let all = "SELECT table_name[:5] || ': ' || comment FROM duckdb_tables() WHERE comment IS NOT NULL
               UNION ALL SELECT view_name[:5] || ': ' || comment FROM duckdb_views() WHERE comment IS NOT NULL AND schema_name = 'siding__db'
               UNION ALL SELECT table_name[:5] || '.' || column_name || ': ' || comment FROM duckdb_columns()
                   WHERE comment IS NOT NULL AND schema_name = 'siding__db'
               ORDER BY 1";
    let expected = [
        "db__d.x: the key",
        "db__d: it's by key",
        "db__f.x: the number",
        "db__f: all of it",
        "db__v: a view",
    ];
    workspace.apply("prod", "2024-01-03");
    assert_eq!(described(&workspace, all), expected);
    workspace
        .run(&["run", "--execution-time", "2024-01-05"])
        .fine();
    assert_eq!(
        described(&workspace, all),
        expected,
        "a table that is built anew says it again"
    );

    // Whoever wants none gets none.
    workspace.edit(
        "config.yaml",
        "database: wh.duckdb",
        "database: wh.duckdb\n      register_comments: false",
    );
    workspace.edit("models/f.sql", "1 AS x", "2 AS x");
    workspace.apply("dev", "2024-01-05");
    assert_eq!(described(&workspace, all), expected);
}

#[test]
fn tables_in_postgres_get_descriptions_and_storage_parameters() {
    on_postgres(|| {
        let workspace = project();
        let properties = "description 'all of it', physical_properties (fillfactor = 70, autovacuum_enabled = 'false', tablespace = 'pg_default', creatable_type = TRANSIENT)";
        workspace.edit("models/f.sql", "description 'all of it'", properties);
        workspace.edit(
            "models/d.sql",
            "description 'it",
            "physical_properties (fillfactor = 80), description 'it",
        );
        let ended = workspace
            .run(&["plan", "--auto-apply", "--execution-time", "2024-01-03"])
            .fine();
        assert!(
            ended.stderr.contains("`physical_properties`")
                && ended.stderr.contains("has no effect"),
            "{}",
            ended.stderr
        );
        let stored = "SELECT left(relname, 5), array_to_string(reloptions, ' '), obj_description(oid, 'pg_class'),
                             col_description(oid, 1)
                      FROM pg_class WHERE relnamespace = 'siding__db'::regnamespace AND relkind IN ('r', 'v')
                        AND relname LIKE 'db\\_\\_%' AND obj_description(oid, 'pg_class') IS NOT NULL ORDER BY 1";
        let expected = [
            ["db__d", "fillfactor=80", "it's by key", "the key"],
            [
                "db__f",
                "autovacuum_enabled=false fillfactor=70",
                "all of it",
                "the number",
            ],
            ["db__v", "NULL", "a view", "NULL"],
        ];
        assert_eq!(workspace.rows(stored), expected);
        workspace
            .run(&["run", "--execution-time", "2024-01-05"])
            .fine();
        assert_eq!(workspace.rows(stored), expected);

        workspace.edit("models/f.sql", "fillfactor = 70", "fillfactor = '7) , (x'");
        let ended = workspace.run(&["plan"]).failed();
        assert!(
            ended.stderr.contains("is no parameter of a table"),
            "{}",
            ended.stderr
        );
        workspace.edit("models/f.sql", "fillfactor = '7) , (x'", "fillfactor = 7");
        let ended = workspace
            .run(&[
                "plan",
                "dev",
                "--auto-apply",
                "--execution-time",
                "2024-01-05",
            ])
            .failed();
        assert!(
            ended
                .stderr
                .contains("applying `physical_properties` of `db.f`"),
            "{}",
            ended.stderr
        );
    });
}
