//! Case of identifiers: which names are the same name.

use sqlparser::ast::Ident;
use sqlparser::ast::ObjectName;
use sqlparser::ast::ObjectNamePart;

use crate::sql::Dialect;
use crate::sql::TableName;

/// `value` as the dialect's engine compares it.
///
/// Engines that ignore case even between quotes get lower case for both; Snowflake stores an
/// unquoted name in upper case, everybody else in lower case.
pub fn fold(dialect: Dialect, value: &str, quoted: bool) -> String {
    match dialect {
        Dialect::Snowflake if quoted => value.to_owned(),
        Dialect::Snowflake => value.to_ascii_uppercase(),
        Dialect::DuckDb
        | Dialect::Redshift
        | Dialect::Databricks
        | Dialect::Spark
        | Dialect::Trino
        | Dialect::Athena
        | Dialect::Tsql => value.to_ascii_lowercase(),
        Dialect::Postgres | Dialect::BigQuery | Dialect::ClickHouse | Dialect::MySql => {
            if quoted {
                value.to_owned()
            } else {
                value.to_ascii_lowercase()
            }
        }
    }
}

/// Whether two spellings of a column that differ in case are one column. Where they may be two
/// (ClickHouse), or where a dotted path may reach into case-sensitive data (BigQuery), the
/// canonical form keeps the case.
pub(super) fn folds_columns(dialect: Dialect) -> bool {
    match dialect {
        Dialect::BigQuery | Dialect::ClickHouse | Dialect::MySql => false,
        Dialect::DuckDb
        | Dialect::Postgres
        | Dialect::Redshift
        | Dialect::Snowflake
        | Dialect::Databricks
        | Dialect::Spark
        | Dialect::Trino
        | Dialect::Athena
        | Dialect::Tsql => true,
    }
}

/// Whether a column that was named without quotes shows the case in which it was written.
pub(super) fn keeps_spelling(dialect: Dialect) -> bool {
    match dialect {
        Dialect::DuckDb
        | Dialect::Databricks
        | Dialect::Spark
        | Dialect::BigQuery
        | Dialect::ClickHouse
        | Dialect::MySql
        | Dialect::Tsql => true,
        Dialect::Postgres
        | Dialect::Redshift
        | Dialect::Snowflake
        | Dialect::Trino
        | Dialect::Athena => false,
    }
}

/// The identifier as the engine compares it.
pub(super) fn fold_ident(dialect: Dialect, ident: &Ident) -> String {
    fold(dialect, &ident.value, ident.quote_style.is_some())
}

/// The parts of a name as the engine compares them; `None` when a part is computed.
pub(super) fn fold_parts(dialect: Dialect, name: &ObjectName) -> Option<Vec<String>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Some(fold_ident(dialect, ident)),
            ObjectNamePart::Function(_) => None,
        })
        .collect()
}

/// A name of one to three parts as a table; of a longer one the last three count.
pub(super) fn table_from_parts(mut parts: Vec<String>) -> Option<TableName> {
    let name = parts.pop()?;
    let schema = parts.pop();
    let catalog = parts.pop();
    Some(TableName {
        catalog,
        schema,
        name,
    })
}

/// Whether the name is a quoted text (`FROM 'data.parquet'`): a file, no table.
pub(super) fn is_file(name: &ObjectName) -> bool {
    name.0.iter().any(|part| match part {
        ObjectNamePart::Identifier(ident) => ident.quote_style == Some('\''),
        ObjectNamePart::Function(_) => false,
    })
}

/// `name` between the quotes of the dialect.
pub(super) fn quote(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::BigQuery
        | Dialect::Databricks
        | Dialect::Spark
        | Dialect::MySql
        | Dialect::ClickHouse => format!("`{}`", name.replace('`', "``")),
        Dialect::DuckDb
        | Dialect::Postgres
        | Dialect::Redshift
        | Dialect::Snowflake
        | Dialect::Trino
        | Dialect::Athena
        | Dialect::Tsql => crate::sql::quote_identifier(name),
    }
}

/// The table between the quotes of the dialect.
pub(super) fn quote_table(dialect: Dialect, table: &TableName) -> String {
    let parts: Vec<String> = table.parts().map(|part| quote(dialect, part)).collect();
    parts.join(".")
}
