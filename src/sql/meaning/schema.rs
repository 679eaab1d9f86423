//! The columns of tables that a query may read.

use std::collections::HashMap;
use std::sync::Arc;

use crate::sql::TableName;
use crate::sql::types::DataType;

/// Where columns of tables come from; `None` means that nobody knows them.
pub type SchemaOf<'a> = &'a dyn Fn(&TableName) -> Option<Arc<Schema>>;

/// The columns of a table in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    columns: Vec<(String, Option<DataType>)>,
    places: HashMap<String, usize>,
}

impl Schema {
    /// A schema of these columns, in the case that the dialect stores, with their types as far as known.
    pub fn new(columns: impl IntoIterator<Item = (String, Option<DataType>)>) -> Self {
        let columns: Vec<_> = columns.into_iter().collect();
        let places = columns
            .iter()
            .enumerate()
            .map(|(place, (name, _))| (name.clone(), place))
            .collect();
        Self { columns, places }
    }

    /// The columns with their types.
    pub fn columns(&self) -> &[(String, Option<DataType>)] {
        &self.columns
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is a column of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The type of a column, as far as known.
    pub fn data_type(&self, name: &str) -> Option<DataType> {
        let place = self.places.get(name)?;
        self.columns[*place].1.clone()
    }
}
