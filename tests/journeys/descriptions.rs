//! What people write about a model stands in the warehouse, and follows what they write: on views, and on the tables that they
//! show.

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    what_is_said_in_another_way_is_said_so_by_views_and_tables,
    what_dev_says_of_a_table_of_production_stands_on_its_own_view_only,
    what_dev_says_of_a_table_of_its_own_stands_on_it,
}

const NOW: &str = "2024-01-04";

/// `db.a`, a table, and `db.v`, a view of it, each with these words before its end.
fn write(workspace: &Workspace, words: &str) {
    workspace.write(
        "models/a.sql",
        &format!("MODEL (name db.a, kind FULL{words});\nSELECT 1 AS x\n"),
    );
    workspace.write(
        "models/v.sql",
        &format!("MODEL (name db.v, kind VIEW{words});\nSELECT x FROM db.a\n"),
    );
}

fn words(table: &str, column: &str) -> String {
    format!(", description '{table}', column_descriptions (x = '{column}')")
}

/// What a table or view says of itself and of `x`.
#[track_caller]
fn said(workspace: &Workspace, name: &str) -> [String; 2] {
    let (schema, table) = name.split_once('.').unwrap();
    let sql = if workspace.is_postgres() {
        format!(
            "SELECT obj_description(attrelid, 'pg_class'), col_description(attrelid, attnum) FROM pg_attribute
             WHERE attrelid = '\"{schema}\".\"{table}\"'::regclass AND attname = 'x'"
        )
    } else {
        format!(
            "SELECT whole.comment, part.comment
             FROM (SELECT schema_name, table_name, comment FROM duckdb_tables()
                   UNION ALL SELECT schema_name, view_name, comment FROM duckdb_views()) AS whole
             JOIN duckdb_columns() AS part USING (schema_name, table_name)
             WHERE schema_name = '{schema}' AND table_name = '{table}' AND column_name = 'x'"
        )
    };
    let rows = workspace.rows(&sql);
    [rows[0][0].clone(), rows[0][1].clone()]
}

fn what_is_said_in_another_way_is_said_so_by_views_and_tables() {
    let workspace = Workspace::new(&[]);
    write(&workspace, &words("one", "first"));
    let plan = workspace.apply("prod", NOW);
    let all = [
        "db.a".to_owned(),
        "db.v".to_owned(),
        plan.table("db.a"),
        plan.table("db.v"),
    ];
    for (text, expected) in [
        (words("one", "first"), ["one", "first"]),
        (words("two", "second"), ["two", "second"]),
        (words("it''s", "second"), ["it's", "second"]),
        (String::new(), ["NULL", "NULL"]),
        (words("three", "third"), ["three", "third"]),
    ] {
        write(&workspace, &text);
        let plan = workspace.apply("prod", NOW);
        assert_eq!(plan.table("db.a"), all[2], "the table stays");
        for name in &all {
            assert_eq!(said(&workspace, name), expected, "{name}");
        }
    }
}

fn what_dev_says_of_a_table_of_production_stands_on_its_own_view_only() {
    let workspace = Workspace::new(&[]);
    write(&workspace, &words("one", "first"));
    let table = workspace.apply("prod", NOW).table("db.a");
    write(&workspace, &words("two", "second"));
    workspace.apply("dev", NOW);
    assert_eq!(said(&workspace, "db__dev.a"), ["two", "second"]);
    for name in ["db.a", "db.v", &table] {
        assert_eq!(said(&workspace, name), ["one", "first"], "{name}");
    }

    workspace.apply("prod", NOW);
    for name in ["db.a", "db.v", &table] {
        assert_eq!(said(&workspace, name), ["two", "second"], "{name}");
    }
    // Also back again.
    workspace.run(&["rollback", "prod"]).fine();
    for name in ["db.a", "db.v", &table] {
        assert_eq!(said(&workspace, name), ["one", "first"], "{name}");
    }
    assert_eq!(said(&workspace, "db__dev.a"), ["two", "second"]);
}

fn what_dev_says_of_a_table_of_its_own_stands_on_it() {
    let workspace = Workspace::new(&[]);
    write(&workspace, &words("one", "first"));
    workspace.apply("prod", NOW);
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    let table = workspace.apply("dev", NOW).table("db.a");
    workspace.edit("models/a.sql", "'one'", "'two'");
    assert!(workspace.apply("dev", NOW).is_virtual_only());
    assert_eq!(said(&workspace, &table), ["two", "first"]);
    assert_eq!(said(&workspace, "db.a"), ["one", "first"]);

    workspace.edit("models/a.sql", "'two'", "'three'");
    workspace.apply("prod", NOW);
    assert_eq!(said(&workspace, &table), ["three", "first"]);
    assert_eq!(said(&workspace, "db.a"), ["three", "first"]);
    assert_eq!(said(&workspace, "db__dev.a"), ["two", "first"]);
}
