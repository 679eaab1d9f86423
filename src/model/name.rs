//! The name of a model.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::Visitor;

use crate::sql::TableName;

/// A model's name, normalised to the dialect's case: `schema.table`, or `catalog.schema.table`
/// when the catalog is not the default one. A name of one part is in schema `default`.
///
/// Cheap to clone: a plan holds each name a few dozen times.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct ModelName(Arc<Parts>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    /// Stands first, so that most comparisons are of two numbers.
    beginning: u128,
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
            beginning: beginning([catalog.as_deref(), schema.as_deref(), Some(&table)]),
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

/// The first bytes of a name as a number. Of two names it is the smaller one's that is smaller, unless both begin alike:
/// a part that is missing comes before any other, and the end of a part before anything that goes on.
fn beginning(parts: [Option<&str>; 3]) -> u128 {
    let bytes = parts.into_iter().flat_map(|part| {
        let mark = u8::from(part.is_some());
        // No byte of UTF-8 is 255, and only the end of a part is 0.
        let text = part.unwrap_or_default().bytes().map(|byte| byte + 1);
        let end = part.is_some().then_some(0);
        std::iter::once(mark).chain(text).chain(end)
    });
    let mut beginning = [0; 16];
    for (place, byte) in beginning.iter_mut().zip(bytes) {
        *place = byte;
    }
    u128::from_be_bytes(beginning)
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
        if let Some(name) = plain(text) {
            return Ok(name);
        }
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

/// The name that `text` is when it is written without quotes and blanks, as nearly all are.
fn plain(text: &str) -> Option<ModelName> {
    if text.contains(|c: char| c == '"' || c.is_whitespace()) {
        return None;
    }
    let mut parts = text.rsplit('.');
    let table = parts.next()?;
    let (schema, catalog) = (parts.next(), parts.next());
    let rest = [Some(table), schema, catalog, parts.next()];
    let is_name = rest[3].is_none() && rest.into_iter().flatten().all(|part| !part.is_empty());
    let owned = |part: Option<&str>| part.map(str::to_owned);
    is_name.then(|| ModelName::new(owned(catalog), owned(schema), table.to_owned()))
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = ModelName;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a model")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ModelName, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Name)
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

    proptest::proptest! {
        #[test]
        fn names_are_in_order_of_their_parts(
            one in proptest::array::uniform3(proptest::option::of("[ab\0]{0,3}")),
            other in proptest::array::uniform3(proptest::option::of("[ab\0]{0,3}")),
        ) {
            let parts = |[catalog, schema, table]: [Option<String>; 3]| (catalog, schema, table.unwrap_or_default());
            let (one, other) = (parts(one), parts(other));
            let name = |parts: &(Option<String>, Option<String>, String)| {
                ModelName::new(parts.0.clone(), parts.1.clone(), parts.2.clone())
            };
            proptest::prop_assert_eq!(name(&one).cmp(&name(&other)), one.cmp(&other));
        }
    }

    #[test]
    fn four_parts_are_too_many() {
        assert!("a.b.c.d".parse::<ModelName>().is_err());
    }
}
