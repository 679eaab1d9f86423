//! What the views of an environment are called.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::sql::TableName;

/// Which part of a view's name says what environment it is of. Production's views have the models' own names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suffix {
    /// `schema__env.table`.
    #[default]
    Schema,
    /// `schema.table__env`.
    Table,
    /// `catalog__env.schema.table`.
    Catalog,
}

/// How the views of one environment are named, and what stands under the names.
///
/// As text: `schema`, `table`, `catalog in wh`, and with a catalog for all views `schema in dev_wh`; before all of that
/// `tables, ` where tables have the names instead of views.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Naming {
    /// Where the environment's name stands.
    pub suffix: Suffix,
    /// The catalog of all its views, production's too; of [`Suffix::Catalog`] the one that gets the suffix for models that
    /// name none. `None` means each model's own, an empty one the default catalog.
    pub catalog: Option<String>,
    /// Whether the tables themselves have the models' names, and only what has no table is shown by a view. For `prod`.
    pub own_tables: bool,
}

/// Begins the text where tables have the names.
const OWN_TABLES: &str = "tables, ";

/// A text that names no naming.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no way to name views")]
pub struct UnknownNaming(pub String);

impl Naming {
    /// The usual names with this suffix.
    pub fn with_suffix(suffix: Suffix) -> Self {
        Self {
            suffix,
            ..Self::default()
        }
    }

    /// The name of the view that shows `model` in `environment`.
    pub fn view(&self, model: &ModelName, environment: &EnvironmentName) -> TableName {
        let mut table = model.table_name();
        if let (Suffix::Schema | Suffix::Table, Some(catalog)) = (self.suffix, &self.catalog) {
            table.catalog = Some(catalog.clone()).filter(|catalog| !catalog.is_empty());
        }
        if environment.is_prod() {
            return table;
        }
        match self.suffix {
            Suffix::Schema => table.schema = Some(format!("{}__{environment}", model.schema())),
            Suffix::Table => table.name = format!("{}__{environment}", table.name),
            Suffix::Catalog => {
                let own = model.catalog().or(self.catalog.as_deref());
                table.catalog = own.map(|catalog| format!("{catalog}__{environment}"));
            }
        }
        table
    }
}

impl fmt::Display for Naming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.own_tables {
            formatter.write_str(OWN_TABLES)?;
        }
        formatter.write_str(match self.suffix {
            Suffix::Schema => "schema",
            Suffix::Table => "table",
            Suffix::Catalog => "catalog",
        })?;
        match &self.catalog {
            Some(catalog) => write!(formatter, " in {catalog}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Naming {
    type Err = UnknownNaming;

    fn from_str(text: &str) -> Result<Self, UnknownNaming> {
        let rest = text.strip_prefix(OWN_TABLES);
        let own_tables = rest.is_some();
        let (suffix, catalog) = match rest.unwrap_or(text).split_once(" in ") {
            Some((suffix, catalog)) => (suffix, Some(catalog.to_owned())),
            None => (rest.unwrap_or(text), None),
        };
        let suffix = match suffix {
            "schema" => Suffix::Schema,
            "table" => Suffix::Table,
            "catalog" => Suffix::Catalog,
            _ => return Err(UnknownNaming(text.to_owned())),
        };
        Ok(Self {
            suffix,
            catalog,
            own_tables,
        })
    }
}

impl TryFrom<String> for Naming {
    type Error = UnknownNaming;

    fn try_from(text: String) -> Result<Self, UnknownNaming> {
        text.parse()
    }
}

impl From<Naming> for String {
    fn from(naming: Naming) -> Self {
        naming.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(text: &str) -> Naming {
        let naming: Naming = text.parse().unwrap();
        assert_eq!(naming.to_string(), text, "it reads back");
        naming
    }

    #[test]
    fn the_suffix_is_in_one_part_and_never_in_production() {
        let dev: EnvironmentName = "dev".parse().unwrap();
        let prod = EnvironmentName::prod();
        let view = |text: &str, model: &str, name: &EnvironmentName| {
            naming(text).view(&model.parse().unwrap(), name).plain()
        };
        assert_eq!(view("schema", "other.db.t", &dev), "other.db__dev.t");
        assert_eq!(view("table", "other.db.t", &dev), "other.db.t__dev");
        assert_eq!(view("table", "other.db.t", &prod), "other.db.t");
        assert_eq!(view("catalog in wh", "db.t", &dev), "wh__dev.db.t");
        assert_eq!(view("catalog in wh", "other.db.t", &dev), "other__dev.db.t");
        assert_eq!(view("catalog in wh", "db.t", &prod), "db.t");
        assert!(naming("tables, catalog in wh").own_tables);
        assert_eq!(view("tables, table", "db.t", &prod), "db.t");
    }

    #[test]
    fn a_mapped_catalog_holds_the_views_of_all_models_in_production_too() {
        let dev: EnvironmentName = "dev".parse().unwrap();
        let mapped = naming("table in a in b");
        assert_eq!(mapped.catalog.as_deref(), Some("a in b"));
        let view = |name: &EnvironmentName| mapped.view(&"other.db.t".parse().unwrap(), name);
        assert_eq!(view(&dev).plain(), "a in b.db.t__dev");
        assert_eq!(view(&EnvironmentName::prod()).plain(), "a in b.db.t");
        assert!("database".parse::<Naming>().is_err());
    }
}
