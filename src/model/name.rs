//! The name of a model.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::sql::TableName;

/// A model's name, normalised to the dialect's case: `schema.table`, or `catalog.schema.table`
/// when the catalog is not the default one. A name of one part is in schema `default`.
///
/// Cheap to clone: a plan holds each name a few dozen times.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(Arc<Parts>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    catalog: Option<String>,
    schema: Option<String>,
    table: String,
}

/// Why a text is no model name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no model name")]
pub struct InvalidModelName(pub String);

impl ModelName {
    /// Builds a name from parts that are normalised already.
    pub fn new(catalog: Option<String>, schema: Option<String>, table: String) -> Self {
        Self(Arc::new(Parts {
            catalog,
            schema,
            table,
        }))
    }

    /// The catalog, when it is not the default one.
    pub fn catalog(&self) -> Option<&str> {
        self.0.catalog.as_deref()
    }

    /// The schema; `default` for a name of one part.
    pub fn schema(&self) -> &str {
        self.0.schema.as_deref().unwrap_or("default")
    }

    /// The last part.
    pub fn table(&self) -> &str {
        &self.0.table
    }

    /// The name as a table of the warehouse.
    pub fn table_name(&self) -> TableName {
        TableName {
            catalog: self.0.catalog.clone(),
            schema: self.0.schema.clone(),
            name: self.0.table.clone(),
        }
    }
}

impl Ord for ModelName {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for ModelName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ModelName({self})")
    }
}

impl From<&TableName> for ModelName {
    fn from(table: &TableName) -> Self {
        Self::new(
            table.catalog.clone(),
            table.schema.clone(),
            table.name.clone(),
        )
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.0.catalog.as_deref(),
            self.0.schema.as_deref(),
            Some(self.0.table.as_str()),
        ];
        for (index, part) in parts.into_iter().flatten().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            // A part with a dot or a quote would read back as something else.
            if part.is_empty() || part.contains(['.', '"']) {
                write!(formatter, "\"{}\"", part.replace('"', "\"\""))?;
            } else {
                formatter.write_str(part)?;
            }
        }
        Ok(())
    }
}

impl FromStr for ModelName {
    type Err = InvalidModelName;

    /// Reads what `Display` writes; does not change case.
    fn from_str(text: &str) -> Result<Self, InvalidModelName> {
        let invalid = || InvalidModelName(text.to_owned());
        let mut parts = Vec::new();
        let mut rest = text.trim();
        loop {
            let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
                let mut part = String::new();
                let mut characters = quoted.char_indices().peekable();
                let mut after = None;
                while let Some((index, character)) = characters.next() {
                    if character != '"' {
                        part.push(character);
                    } else if characters.next_if(|(_, next)| *next == '"').is_some() {
                        part.push('"');
                    } else {
                        after = Some(&quoted[index + 1..]);
                        break;
                    }
                }
                (part, after.ok_or_else(invalid)?)
            } else {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            };
            if part.is_empty() && !rest.starts_with("\"\"") {
                return Err(invalid());
            }
            parts.push(part);
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None if after.is_empty() => break,
                None => return Err(invalid()),
            }
        }
        let mut parts = parts.into_iter().rev();
        let table = parts.next().ok_or_else(invalid)?;
        let schema = parts.next();
        let catalog = parts.next();
        if parts.next().is_some() {
            return Err(invalid());
        }
        Ok(Self::new(catalog, schema, table))
    }
}

impl TryFrom<String> for ModelName {
    type Error = InvalidModelName;

    fn try_from(text: String) -> Result<Self, InvalidModelName> {
        text.parse()
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn every_name_reads_back(catalog in proptest::option::of(".{0,5}"), schema in ".{0,5}", table in ".{0,5}") {
            // Spaces at the ends are trimmed by the reader; nobody names a table so.
            let trim = |text: String| text.trim().to_owned();
            let name = ModelName::new(catalog.map(trim), Some(trim(schema)), trim(table));
            proptest::prop_assert_eq!(name.to_string().parse::<ModelName>(), Ok(name));
        }
    }

    #[test]
    fn four_parts_are_too_many() {
        assert!("a.b.c.d".parse::<ModelName>().is_err());
    }
}
