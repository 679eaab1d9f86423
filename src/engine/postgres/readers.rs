//! Who reads a table by its name: rights on it and rules for them, and views of others that stand on it.
//!
//! PostgreSQL ties both to the table itself. Where another table gets the name, they would stay with the former one.

use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::engine::Reader;
use crate::engine::Readers;
use crate::engine::Rows;
use crate::engine::postgres::Postgres;
use crate::engine::postgres::belongings::add_rules;
use crate::engine::postgres::belongings::bare;
use crate::engine::postgres::belongings::grant;
use crate::engine::postgres::names::shortened;
use crate::sql::TableName;
use crate::sql::quote_string;

/// The tables asked for, each with its place in the question.
fn names(tables: &[TableName]) -> String {
    let names: Vec<String> = tables
        .iter()
        .map(|table| quote_string(&shortened(&table.to_string())))
        .collect();
    format!(
        "WITH asked AS (
             SELECT place - 1 AS place, to_regclass(name) AS oid
             FROM unnest(ARRAY[{}]::text[]) WITH ORDINALITY AS listed(name, place))",
        names.join(", ")
    )
}

/// The rights that others have on a table and on its columns.
const RIGHTS: &str = "
    SELECT place, privilege_type AS privilege, column_name,
           CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role,
           is_grantable AS may_grant
    FROM (
        SELECT place, '' AS column_name, relowner, (aclexplode(relacl)).*
        FROM asked JOIN pg_catalog.pg_class AS class ON class.oid = asked.oid
        UNION ALL
        SELECT place, quote_ident(attname), relowner, (aclexplode(attacl)).*
        FROM asked JOIN pg_catalog.pg_class AS class ON class.oid = asked.oid
        JOIN pg_catalog.pg_attribute AS attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
    ) AS rights
    WHERE grantee <> relowner
    ORDER BY place, column_name, role, privilege";

/// The views and other things with a query that stand on a table.
const STANDING_ON: &str = "
    SELECT DISTINCT place, namespace.nspname::text AS schema, view.relname::text AS name,
           view.relkind = 'v' AS is_view, pg_has_role(view.relowner, 'USAGE') AS is_ours,
           pg_get_viewdef(view.oid) AS query, coalesce(array_to_string(view.reloptions, ', '), '') AS options
    FROM asked
    JOIN pg_catalog.pg_depend AS depend ON refobjid = asked.oid AND refclassid = 'pg_class'::regclass
         AND classid = 'pg_rewrite'::regclass
    JOIN pg_catalog.pg_rewrite AS rule ON rule.oid = depend.objid
    JOIN pg_catalog.pg_class AS view ON view.oid = rule.ev_class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = view.relnamespace
    WHERE view.oid <> asked.oid
    ORDER BY place, schema, name";

/// The texts of a column; nothing is told apart from an empty text.
pub(super) fn texts(rows: &Rows, column: &str) -> Result<Vec<String>, EngineError> {
    let texts = rows.strings(column)?.into_iter();
    Ok(texts.map(Option::unwrap_or_default).collect())
}

/// What others have on each of `tables`, in that order.
pub(super) async fn of(
    engine: &Postgres,
    tables: &[TableName],
) -> Result<Vec<Readers>, EngineError> {
    let mut readers = vec![Readers::default(); tables.len()];
    if tables.is_empty() {
        return Ok(readers);
    }
    let asked = names(tables);
    for (place, table) in tables.iter().enumerate() {
        readers[place].rights.push(bare(table));
    }
    let rows = engine.query(&format!("{asked}{RIGHTS}")).await?;
    let (places, privileges) = (texts(&rows, "place")?, texts(&rows, "privilege")?);
    let (columns, roles) = (texts(&rows, "column_name")?, texts(&rows, "role")?);
    let may_grant = texts(&rows, "may_grant")?;
    for (index, place) in places.iter().enumerate() {
        let Some(place) = at(place, tables) else {
            continue;
        };
        let (privilege, column, role) = (&privileges[index], &columns[index], &roles[index]);
        let may_grant = is_true(&may_grant[index]);
        let grant = grant(&tables[place], privilege, column, role, may_grant);
        readers[place].rights.push(grant);
    }
    add_rules(engine, &asked, tables, &mut readers).await?;
    let rows = engine.query(&format!("{asked}{STANDING_ON}")).await?;
    let (places, schemas) = (texts(&rows, "place")?, texts(&rows, "schema")?);
    let (names, queries) = (texts(&rows, "name")?, texts(&rows, "query")?);
    let (is_view, is_ours) = (texts(&rows, "is_view")?, texts(&rows, "is_ours")?);
    let options = texts(&rows, "options")?;
    for (index, place) in places.iter().enumerate() {
        let Some(place) = at(place, tables) else {
            continue;
        };
        let view = TableName::new(&schemas[index], &names[index]);
        let may = is_true(&is_view[index]) && is_true(&is_ours[index]);
        let with = match &*options[index] {
            "" => String::new(),
            options => format!(" WITH ({options})"),
        };
        let query = queries[index].trim_end().trim_end_matches(';');
        readers[place].views.push(Reader {
            again: may.then(|| format!("CREATE OR REPLACE VIEW {view}{with} AS {query}")),
            view,
        });
    }
    Ok(readers)
}

pub(super) fn at(place: &str, tables: &[TableName]) -> Option<usize> {
    let place: usize = place.parse().ok()?;
    (place < tables.len()).then_some(place)
}

pub(super) fn is_true(text: &str) -> bool {
    text == "true" || text == "t"
}
