//! Where a project wants the tables of a model.

use serde::Deserialize;
use serde::Serialize;

/// How physical tables are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableNaming {
    /// `<schema>__<table>__<version>`.
    #[default]
    SchemaAndTable,
    /// `<table>__<version>`.
    TableOnly,
    /// `siding_md5__` and a hash of the whole name: as short for every model.
    HashMd5,
}

/// Where new tables of a model are made. Those that are there stay where they are, so it is no part of what the model is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Placement {
    /// The schema; `None` means the usual one, made of the model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// How they are named.
    pub naming: TableNaming,
}

impl Placement {
    /// Whether it is the usual one.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
