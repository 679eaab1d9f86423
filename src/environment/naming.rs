//! What the views of an environment are called.

use serde::Deserialize;
use serde::Serialize;

use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::sql::TableName;

/// Which part of a view's name says what environment it is of. Production's views have the models' own names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// `schema__env.table`.
    #[default]
    Schema,
    /// `schema.table__env`.
    Table,
}

impl Naming {
    /// The name of the view that shows `model` in `environment`.
    pub fn view(self, model: &ModelName, environment: &EnvironmentName) -> TableName {
        let mut table = model.table_name();
        if environment.is_prod() {
            return table;
        }
        match self {
            Self::Schema => table.schema = Some(format!("{}__{environment}", model.schema())),
            Self::Table => table.name = format!("{}__{environment}", table.name),
        }
        table
    }

    /// As the state keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Table => "table",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_is_in_one_part_and_never_in_production() {
        let model: ModelName = "wh.db.t".parse().unwrap();
        let dev: EnvironmentName = "dev".parse().unwrap();
        let view = |naming: Naming, name: &EnvironmentName| naming.view(&model, name).plain();
        assert_eq!(view(Naming::Schema, &dev), "wh.db__dev.t");
        assert_eq!(view(Naming::Table, &dev), "wh.db.t__dev");
        assert_eq!(view(Naming::Table, &EnvironmentName::prod()), "wh.db.t");
    }
}
