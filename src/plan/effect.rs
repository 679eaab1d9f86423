//! What a change of one model does to the models that read it.

use crate::snapshot::ChangeCategory;

/// What readers of a model notice when it changes from its old to its new version.
///
/// This travels through the graph instead of the category of the nearest edited model: an edit that is
/// harmless by itself must not hide a breaking change further up (engine.md 11, L1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The same rows and the same columns.
    None,
    /// The same rows with these columns more.
    Added(Vec<String>),
    /// Other rows, other values or fewer columns, for all we know.
    Breaking,
}

/// A change of one model, judged: what it means for its own table and for its readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// For its own table.
    pub category: ChangeCategory,
    /// For its readers.
    pub effect: Effect,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
}
