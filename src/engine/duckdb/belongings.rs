//! What a table has besides rows, for a copy of it. DuckDB can add to a table what Siding's tables can have got: defaults,
//! NOT NULLs, a primary key, indexes and comments.

use std::collections::BTreeSet;

use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::engine::Heir;
use crate::engine::Rows;
use crate::engine::duckdb::DuckDb;
use crate::engine::statement::token_length;
use crate::sql::TableName;
use crate::sql::quote_identifier;
use crate::sql::quote_string;

/// The statements that give `heir.to` what `heir.from` has.
pub(super) async fn copy(engine: &DuckDb, heir: Heir<'_>) -> Result<Vec<String>, EngineError> {
    let to = heir.to;
    let lacks = |name: &str| heir.lacks.iter().any(|it| it.eq_ignore_ascii_case(name));
    let mut statements = Vec::new();
    let mut comments = Vec::new();
    let of = is_of(engine, heir.from);
    let sql = format!("SELECT comment FROM duckdb_tables() WHERE {of} AND comment IS NOT NULL");
    for comment in texts(&engine.query(&sql).await?, "comment")? {
        comments.push(format!(
            "COMMENT ON TABLE {to} IS {}",
            quote_string(&comment)
        ));
    }
    let sql = format!(
        "SELECT column_name AS name, coalesce(column_default, '') AS usual, is_nullable, coalesce(comment, '') AS comment
         FROM duckdb_columns() WHERE {of} ORDER BY column_index"
    );
    let rows = engine.query(&sql).await?;
    let (usual, is_nullable) = (texts(&rows, "usual")?, texts(&rows, "is_nullable")?);
    let said = texts(&rows, "comment")?;
    for (index, name) in texts(&rows, "name")?.iter().enumerate() {
        if lacks(name) {
            continue;
        }
        let column = quote_identifier(name);
        let mut alter =
            |what: &str| statements.push(format!("ALTER TABLE {to} ALTER {column} {what}"));
        if !usual[index].is_empty() && usual[index] != "NULL" {
            alter(&format!("SET DEFAULT {}", usual[index]));
        }
        if is_nullable[index] == "false" {
            alter("SET NOT NULL");
        }
        if !said[index].is_empty() {
            let text = quote_string(&said[index]);
            comments.push(format!("COMMENT ON COLUMN {to}.{column} IS {text}"));
        }
    }
    statements.append(&mut comments);
    if let Some(key) = primary_key(engine, heir.from).await?
        && !key.iter().any(|column| lacks(column))
    {
        let columns: Vec<String> = key.iter().map(|column| quote_identifier(column)).collect();
        statements.push(format!(
            "ALTER TABLE {to} ADD PRIMARY KEY ({})",
            columns.join(", ")
        ));
    }
    // Last: nothing of a table can be altered on which an index stands.
    statements.extend(indexes(engine, heir).await?);
    Ok(statements)
}

async fn primary_key(
    engine: &DuckDb,
    table: &TableName,
) -> Result<Option<Vec<String>>, EngineError> {
    let sql = format!(
        "SELECT unnest(constraint_column_names) AS name FROM duckdb_constraints()
         WHERE {} AND constraint_type = 'PRIMARY KEY'",
        is_of(engine, table)
    );
    let names = texts(&engine.query(&sql).await?, "name")?;
    Ok((!names.is_empty()).then_some(names))
}

async fn indexes(engine: &DuckDb, heir: Heir<'_>) -> Result<Vec<String>, EngineError> {
    let sql = format!(
        "SELECT index_name AS name, is_unique, sql AS text, expressions AS columns FROM duckdb_indexes()
         WHERE {} AND sql IS NOT NULL ORDER BY length(index_name), index_name",
        is_of(engine, heir.from)
    );
    let rows = engine.query(&sql).await?;
    let (names, is_unique) = (texts(&rows, "name")?, texts(&rows, "is_unique")?);
    let (defined, columns) = (texts(&rows, "text")?, texts(&rows, "columns")?);
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let taken = taken(engine, heir).await?;
    let mut known = BTreeSet::new();
    let mut statements = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let Some(tail) = tail(&defined[index]) else {
            continue;
        };
        let stands_on = |column: &String| mentions(&columns[index], column);
        if heir.lacks.iter().any(stands_on) || !known.insert(tail.to_owned()) {
            continue;
        }
        let name = if taken.contains(&name.to_lowercase()) {
            let hash = blake3::hash(heir.to.to_string().as_bytes()).to_hex();
            format!("{name}_{}", &hash[..8])
        } else {
            name.clone()
        };
        let unique = if is_unique[index] == "true" {
            "UNIQUE "
        } else {
            ""
        };
        statements.push(format!(
            "CREATE {unique}INDEX IF NOT EXISTS {} ON {}{tail}",
            quote_identifier(&name),
            heir.to
        ));
    }
    Ok(statements)
}

/// The names of indexes, in small letters, that the schema has and will have.
async fn taken(engine: &DuckDb, heir: Heir<'_>) -> Result<BTreeSet<String>, EngineError> {
    let gone: Vec<String> = heir
        .gone
        .iter()
        .map(|table| format!("NOT ({})", is_of(engine, table)))
        .collect();
    let gone = gone.join(" AND ");
    let schema = heir.to.schema.as_deref().unwrap_or("main");
    let sql = format!(
        "SELECT lower(index_name) AS name FROM duckdb_indexes()
         WHERE lower(schema_name) = lower({}) AND {}",
        quote_string(schema),
        if gone.is_empty() { "true" } else { &gone }
    );
    Ok(texts(&engine.query(&sql).await?, "name")?
        .into_iter()
        .collect())
}

/// The condition that a row of DuckDB's catalog is about `table`.
fn is_of(engine: &DuckDb, table: &TableName) -> String {
    let catalog = table
        .catalog
        .clone()
        .or_else(|| engine.default_catalog())
        .unwrap_or_default();
    format!(
        "lower(database_name) = lower({}) AND lower(schema_name) = lower({}) AND lower(table_name) = lower({})",
        quote_string(&catalog),
        quote_string(table.schema.as_deref().unwrap_or("main")),
        quote_string(&table.name),
    )
}

fn texts(rows: &Rows, column: &str) -> Result<Vec<String>, EngineError> {
    let texts = rows.strings(column)?.into_iter();
    Ok(texts.map(Option::unwrap_or_default).collect())
}

/// What comes behind the table's name in `CREATE INDEX name ON table (…)`.
fn tail(sql: &str) -> Option<&str> {
    let mut rest = sql.trim().trim_end_matches(';');
    let mut is_behind_on = false;
    loop {
        rest = rest.trim_start();
        if is_behind_on
            && (rest.starts_with('(') || rest.to_ascii_uppercase().starts_with("USING "))
        {
            return Some(rest);
        }
        let length = token_length(rest)?;
        if length >= rest.len() {
            return None;
        }
        is_behind_on |= rest[..length].eq_ignore_ascii_case("on");
        rest = &rest[length..];
    }
}

/// Whether the text of an index's expressions has `column` as a word.
fn mentions(expressions: &str, column: &str) -> bool {
    let expressions = expressions.to_lowercase();
    let column = column.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    expressions.match_indices(&column).any(|(start, found)| {
        let before = expressions[..start].chars().next_back();
        let behind = expressions[start + found.len()..].chars().next();
        !before.is_some_and(is_word) && !behind.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_index_stands_on_is_found_behind_any_name() {
        for (sql, found) in [
            ("CREATE INDEX i ON db.a(x);", Some("(x)")),
            (
                "CREATE UNIQUE INDEX \"on (\" ON \"my db\".\"a(b\" (x, y)",
                Some("(x, y)"),
            ),
            (
                "CREATE INDEX \"on\" ON wh.db.a USING RTREE (g);",
                Some("USING RTREE (g)"),
            ),
            ("CREATE INDEX i", None),
        ] {
            assert_eq!(tail(sql), found, "{sql}");
        }
    }

    #[test]
    fn a_column_is_a_whole_word_of_an_index() {
        assert!(mentions("[x, (lower(NAME))]", "name"));
        assert!(!mentions("[names, x_name]", "name"));
    }
}
