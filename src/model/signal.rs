//! A question that is asked before intervals of a model are filled.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Template;

/// A question about a slice of time, with its arguments filled in: whether what the model reads is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Lower case.
    pub name: String,
    /// The arguments as written, sorted by name; for messages and the fingerprint.
    pub arguments: Vec<(String, String)>,
    /// One column: whether all of the slice is ready, or times in the intervals that are. `None` for a signal that is always
    /// ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Template>,
    /// Where the query stands, such as `signals/landed.sql:3`; not part of the fingerprint.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
}

impl Signal {
    /// As a model calls it: `landed(min_rows := 5)`.
    pub fn call(&self) -> String {
        let arguments = self.arguments.iter();
        let arguments: Vec<String> = arguments
            .map(|(name, value)| format!("{name} := {value}"))
            .collect();
        format!("{}({})", self.name, arguments.join(", "))
    }
}
