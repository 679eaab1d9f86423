//! Several databases at once.

use std::path::Path;

use super::opened;
use super::run;
use crate::engine::EngineAdapter;
use crate::engine::duckdb::DuckDbCatalog;
use crate::engine::duckdb::DuckDbConfig;
use crate::engine::duckdb::DuckDbDatabase;
use crate::engine::duckdb::Sandbox;
use crate::sql::TableName;

fn catalog(folder: &Path, name: &str) -> DuckDbCatalog {
    DuckDbCatalog {
        name: name.to_owned(),
        database: DuckDbDatabase::File(folder.join(format!("{name}.duckdb"))),
        read_only: false,
    }
}

async fn number(engine: &dyn EngineAdapter, sql: &str) -> u64 {
    let rows = engine.query(sql).await.unwrap();
    rows.single_u64().unwrap()
}

#[tokio::test]
async fn every_connection_has_the_first_catalog_as_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let config = DuckDbConfig {
        catalogs: ["one", "two"]
            .map(|name| catalog(folder.path(), name))
            .to_vec(),
        default_catalog: Some("one".to_owned()),
        ..DuckDbConfig::new(DuckDbDatabase::Memory)
    };
    let engine = opened(config.clone()).await.unwrap();
    assert_eq!(engine.default_catalog().as_deref(), Some("one"));
    run(
        &*engine,
        &["CREATE SCHEMA s", "CREATE TABLE s.t AS SELECT 7 AS n"],
    )
    .await;
    let mut other = engine.begin().await.unwrap();
    let mut third = engine.begin().await.unwrap();
    for connection in [&mut other, &mut third] {
        let rows = connection.query("SELECT n FROM s.t").await.unwrap();
        assert_eq!(rows.single_u64().unwrap(), 7);
    }
    let objects = engine.objects_in(Some("one"), &["s".to_owned()]).await;
    let objects = objects.unwrap();
    assert_eq!(objects[0].table.plain(), "one.s.t");
    let none = engine.objects_in(Some("two"), &["s".to_owned()]).await;
    assert!(none.unwrap().is_empty());
    let table = TableName {
        catalog: Some("ONE".to_owned()),
        ..TableName::new("s", "t")
    };
    assert_eq!(engine.columns(&table).await.unwrap().unwrap().len(), 1);

    // An attached file is as open as any other: a second instance would write over it.
    let two = DuckDbDatabase::File(folder.path().join("two.duckdb"));
    let error = opened(DuckDbConfig::new(two)).await.err().unwrap();
    assert!(error.to_string().contains("other settings"), "{error}");
    let again = opened(config).await.unwrap();
    assert_eq!(number(&*again, "SELECT n FROM s.t").await, 7);
}

#[tokio::test]
async fn a_sandbox_closes_behind_what_is_attached() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let secret = DuckDbDatabase::File(folder.path().join("secret.duckdb"));
    drop(opened(DuckDbConfig::new(secret)).await.unwrap());
    let config = DuckDbConfig {
        catalogs: vec![catalog(folder.path(), "far")],
        sandbox: Some(Sandbox {
            allowed_directories: vec![inside],
        }),
        ..DuckDbConfig::new(DuckDbDatabase::File(folder.path().join("w.duckdb")))
    };
    for _ in 0..2 {
        let engine = opened(config.clone()).await.unwrap();
        run(
            &*engine,
            &[
                "CREATE OR REPLACE TABLE far.t AS SELECT range AS n FROM range(10000)",
                "CHECKPOINT far",
            ],
        )
        .await;
        assert_eq!(number(&*engine, "SELECT count(*) FROM far.t").await, 10_000);
        for sql in [
            format!("ATTACH '{}'", folder.path().join("secret.duckdb").display()),
            format!("ATTACH '{}'", folder.path().join("new.duckdb").display()),
        ] {
            engine.query(&sql).await.expect_err(&sql);
        }
    }
}

#[tokio::test]
async fn a_catalog_goes_only_when_nothing_is_left_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = DuckDbConfig {
        catalogs: vec![catalog(folder.path(), "far")],
        ..DuckDbConfig::new(DuckDbDatabase::Memory)
    };
    let engine = opened(config).await.unwrap();
    for (make, unmake) in [
        ("CREATE TABLE far.t (x INT)", "DROP TABLE far.t"),
        ("CREATE VIEW far.v AS SELECT 1", "DROP VIEW far.v"),
        ("CREATE SCHEMA far.s", "DROP SCHEMA far.s"),
        ("CREATE MACRO far.m(x) AS x + 1", "DROP MACRO far.m"),
        ("CREATE SEQUENCE far.q", "DROP SEQUENCE far.q"),
        ("CREATE TYPE far.y AS ENUM ('a')", "DROP TYPE far.y"),
    ] {
        run(&*engine, &[make]).await;
        let error = engine.drop_catalog("far").await.expect_err(make);
        assert!(error.to_string().contains("something is left"), "{error}");
        run(&*engine, &[unmake]).await;
    }
    engine.drop_catalog("FAR").await.unwrap();
    engine.drop_catalog("far").await.unwrap();
    assert!(!folder.path().join("far.duckdb").exists());
}
