//! The columns of tables that a query may read.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::sql::Digest;
use crate::sql::Node;
use crate::sql::TableName;
use crate::sql::types::DataType;

/// Where columns of tables come from; `None` means that nobody knows them.
pub type SchemaOf<'a> = &'a dyn Fn(&TableName) -> Option<Arc<Schema>>;

/// The columns of a table in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Columns", into = "Columns")]
pub struct Schema {
    columns: Vec<(String, Option<DataType>)>,
    places: HashMap<String, usize>,
}

/// As it is written down.
#[derive(Serialize, Deserialize)]
struct Columns(Vec<(String, Option<DataType>)>);

impl From<Columns> for Schema {
    fn from(Columns(columns): Columns) -> Self {
        Self::new(columns)
    }
}

impl From<Schema> for Columns {
    fn from(schema: Schema) -> Self {
        Self(schema.columns)
    }
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

    /// What it says, as a digest: equal for equal schemas only.
    pub fn digest(&self) -> Digest {
        let mut node = Node::new("schema");
        for (name, data_type) in &self.columns {
            let data_type = data_type.as_ref().map(ToString::to_string);
            node = node.text(name).maybe_text(data_type.as_deref());
        }
        node.finish()
    }

    /// The type of a column, as far as known.
    pub fn data_type(&self, name: &str) -> Option<DataType> {
        let place = self.places.get(name)?;
        self.columns[*place].1.clone()
    }
}
