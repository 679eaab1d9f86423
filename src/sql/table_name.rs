//! The name of a table or view in a warehouse, which quotes itself.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// A table or view: up to three parts, each as the warehouse stores it (unquoted).
///
/// `Display` quotes every part, so a name from outside can stand in SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// Database, where the engine has several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub catalog: Option<String>,
    /// Schema; `None` means the connection's default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema: Option<String>,
    /// The table's own name.
    pub name: String,
}

/// Tables with all their parts, for forms that have no names of fields and so cannot leave any out.
pub(super) mod in_full {
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;

    use crate::sql::TableName;

    type Parts<T> = (Option<T>, Option<T>, T);

    pub(in crate::sql) fn serialize<S: Serializer>(
        tables: &[TableName],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(tables.iter().map(|table| -> Parts<&str> {
            let (catalog, schema) = (table.catalog.as_deref(), table.schema.as_deref());
            (catalog, schema, table.name.as_str())
        }))
    }

    pub(in crate::sql) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<TableName>, D::Error> {
        let tables = Vec::<Parts<String>>::deserialize(deserializer)?.into_iter();
        let tables = tables.map(|(catalog, schema, name)| TableName {
            catalog,
            schema,
            name,
        });
        Ok(tables.collect())
    }
}

impl TableName {
    /// `schema.name` in the connection's default catalog.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            catalog: None,
            schema: Some(schema.into()),
            name: name.into(),
        }
    }

    /// The parts joined by dots without quotes, for people.
    pub fn plain(&self) -> String {
        self.parts().collect::<Vec<_>>().join(".")
    }

    /// The name as it can stand in SQL, with quotes where a part needs them; a schema's has no last part.
    pub fn in_sql(&self) -> String {
        let parts = self.parts().filter(|part| !part.is_empty());
        let parts: Vec<String> = parts
            .map(|part| match needs_quotes(part) {
                true => quote_identifier(part),
                false => part.to_owned(),
            })
            .collect();
        parts.join(".")
    }

    /// The parts that are there, outermost first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        [
            self.catalog.as_deref(),
            self.schema.as_deref(),
            Some(self.name.as_str()),
        ]
        .into_iter()
        .flatten()
    }
}

/// Whether DuckDB or PostgreSQL would read `name` as something else without quotes.
fn needs_quotes(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let is_word = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    !begins || !is_word || RESERVED.split_ascii_whitespace().any(|word| word == name)
}

/// The words that are no names in PostgreSQL, with those of DuckDB.
const RESERVED: &str = "all analyse analyze and anti any array as asc asof asymmetric authorization binary both case cast \
    check collate collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user default deferrable desc describe distinct do else end except \
    false fetch for foreign freeze from full glob grant group having ilike in initially inner intersect into is isnull join \
    lambda lateral leading left like limit localtime localtimestamp map natural not notnull null offset on only or order \
    outer overlaps pivot placing positional primary qualify references returning right select semi session_user show similar \
    some summarize symmetric table tablesample then to trailing true union unique unpivot user using variadic verbose when \
    where window with";

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            formatter.write_str(&quote_identifier(part))?;
        }
        Ok(())
    }
}

/// `text` as a quoted SQL identifier.
pub fn quote_identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// `text` as a SQL string literal.
pub fn quote_string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_one_identifier() {
        let table = TableName::new("a\"; DROP TABLE x; --", "b");
        assert_eq!(table.to_string(), "\"a\"\"; DROP TABLE x; --\".\"b\"");
    }

    #[test]
    fn a_name_in_sql_has_quotes_where_it_needs_them() {
        assert_eq!(
            TableName::new("siding__db", "a_1").in_sql(),
            "siding__db.a_1"
        );
        assert_eq!(TableName::new("order", "A b").in_sql(), "\"order\".\"A b\"");
        assert_eq!(TableName::new("1st", "x\"y").in_sql(), "\"1st\".\"x\"\"y\"");
        assert_eq!(TableName::new("db__dev", "").in_sql(), "db__dev");
    }
}
