//! What can be read of each dialect: every statement of `fixtures/sql` is parsed, printed and read
//! again. A comment `-- opaque: reason` in front of a statement says that it is not, and why.

use std::path::Path;
use std::path::PathBuf;

use siding::sql::Dialect;
use siding::sql::Query;

struct Statement {
    text: String,
    opaque: Option<String>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sql")
}

fn statements(folder: &str) -> Vec<Statement> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(fixtures().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().flat_map(|file| statements_of(file)).collect()
}

fn statements_of(file: &Path) -> Vec<Statement> {
    let text = std::fs::read_to_string(file).unwrap();
    text.split(";\n")
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            let marked = text
                .strip_prefix("-- opaque: ")
                .and_then(|rest| rest.split_once('\n'));
            let (reason, text) = marked.map_or((None, text), |(reason, text)| (Some(reason), text));
            Statement {
                text: text.to_owned(),
                opaque: reason.map(str::to_owned),
            }
        })
        .collect()
}

/// What is wrong with how a statement is read; `None` when nothing is.
fn mistake(statement: &Statement, dialect: Dialect) -> Option<String> {
    let query = Query::parse(&statement.text, dialect);
    match (query.opaque_reason(), &statement.opaque) {
        (Some(reason), Some(expected)) if reason.contains(expected.as_str()) => return None,
        (Some(reason), _) => return Some(format!("opaque: {reason}")),
        (None, Some(expected)) => return Some(format!("is read, though marked `{expected}`")),
        (None, None) => {}
    }
    let printed = query.printed()?;
    let again = Query::parse(&printed, dialect);
    if let Some(reason) = again.opaque_reason() {
        return Some(format!("prints as {printed}, where {reason}"));
    }
    if again.printed().as_ref() != Some(&printed)
        || again.canonical(&|_| None) != query.canonical(&|_| None)
        || again.tables() != query.tables()
    {
        return Some(format!("prints as {printed}, which is another query"));
    }
    None
}

fn round_trips(folder: &str, dialect: Dialect, at_least: usize, opaque: usize) {
    let statements = statements(folder);
    let mistakes: Vec<String> = statements
        .iter()
        .filter_map(|statement| {
            let mistake = mistake(statement, dialect)?;
            Some(format!("{}\n  {mistake}", statement.text))
        })
        .collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(statements.len() >= at_least, "{}", statements.len());
    let marked = statements
        .iter()
        .filter(|statement| statement.opaque.is_some());
    assert_eq!(marked.count(), opaque);
}

/// Runs EXPLAIN over empty tables: names and types must fit as well.
fn duckdb_binds(schema: &str, folder: &str) {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let schema = std::fs::read_to_string(fixtures().join(schema)).unwrap();
    connection.execute_batch(&schema).unwrap();
    for statement in statements(folder) {
        connection
            .execute_batch(&format!("EXPLAIN {}", statement.text))
            .unwrap_or_else(|error| panic!("{}\n{error}", statement.text));
    }
}

/// Whether DuckDB's parser takes a statement, whatever its tables are.
fn duckdb_parses(connection: &duckdb::Connection, text: &str) -> Result<(), String> {
    let error: Option<String> = connection
        .query_row(
            "SELECT json_serialize_sql(?::VARCHAR) ->> '$.error_message'",
            [text],
            |row| row.get(0),
        )
        .unwrap();
    match error {
        // It was parsed, but is no SELECT for its tools.
        Some(error) if !error.starts_with("Only SELECT") => Err(error),
        Some(_) | None => Ok(()),
    }
}

#[test]
fn duckdb_statements_round_trip() {
    round_trips("duckdb", Dialect::DuckDb, 400, 18);
}

#[test]
fn duckdb_takes_every_duckdb_statement() {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    for statement in statements("duckdb") {
        let answer = duckdb_parses(&connection, &statement.text);
        assert_eq!(answer, Ok(()), "{}", statement.text);
    }
}

#[test]
fn common_statements_round_trip_in_every_dialect() {
    for (_, dialect) in Dialect::ALL {
        if !matches!(
            dialect,
            Dialect::Tsql | Dialect::MySql | Dialect::ClickHouse
        ) {
            round_trips("common", dialect, 100, 0);
        }
    }
}

#[test]
fn postgres_statements_round_trip() {
    round_trips("postgres", Dialect::Postgres, 100, 5);
}

#[test]
fn snowflake_statements_round_trip() {
    round_trips("snowflake", Dialect::Snowflake, 100, 3);
}

#[test]
fn bigquery_statements_round_trip() {
    round_trips("bigquery", Dialect::BigQuery, 100, 5);
}

#[test]
fn spark_statements_round_trip() {
    round_trips("spark", Dialect::Spark, 100, 5);
    round_trips("spark", Dialect::Databricks, 100, 5);
}

#[test]
fn redshift_statements_round_trip() {
    round_trips("redshift", Dialect::Redshift, 100, 5);
}

#[test]
fn trino_statements_round_trip() {
    round_trips("trino", Dialect::Trino, 100, 7);
}

/// Our transcription; where a query repeats a column for every weekday or month, for some.
#[test]
fn every_query_of_tpch_and_tpcds_is_read_and_binds_in_duckdb() {
    round_trips("tpch", Dialect::DuckDb, 22, 0);
    duckdb_binds("tpch.schema.sql", "tpch");
    round_trips("tpcds", Dialect::DuckDb, 99, 0);
    duckdb_binds("tpcds.schema.sql", "tpcds");
}
