//! A check on a model's rows.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Template;

/// A check on a model's rows with its arguments filled in: it fails when its query returns a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Lower case; built-in or declared by an `AUDIT` block.
    pub name: String,
    /// The arguments as written, `name := value`, sorted; for messages and the fingerprint.
    pub arguments: Vec<(String, String)>,
    /// The rows that are wrong; reads `@this_model`.
    pub query: Template,
    /// Whether a failure stops the plan or run before anything is shown.
    pub blocking: bool,
}
