//! The types of columns, before and after a change.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::ModelName;
use crate::model::output_schema;
use crate::model::parse;
use crate::snapshot::Candidate;
use crate::snapshot::Snapshot;
use crate::sql::Schema;

/// The most changes of types that are told of one model.
const MOST_CHANGES: usize = 6;

/// The types that the compared environment's models have.
///
/// They are not recorded: what differs is read again, over the types of what it read then. Models must be asked for
/// in order, each after everything that it reads.
#[derive(Default)]
pub(super) struct TypesBefore {
    schemas: BTreeMap<ModelName, Option<Arc<Schema>>>,
    /// The models whose columns and types are what they were.
    same: BTreeSet<ModelName>,
}

impl TypesBefore {
    /// The columns that both versions have, with another type, in words.
    pub(super) fn changes(
        &mut self,
        candidate: &Candidate,
        before: Option<&Snapshot>,
    ) -> Vec<String> {
        let name = &candidate.id.name;
        let Some(before) = before else {
            return Vec::new();
        };
        let reads_the_same = || {
            let mut parents = candidate.parents.iter();
            parents.all(|parent| self.same.contains(&parent.name))
        };
        let is_same = before.id == candidate.id
            || (before.fingerprint.data == candidate.fingerprint.data && reads_the_same());
        let schema = if is_same {
            candidate.schema.clone()
        } else {
            self.read(before).map(Arc::new)
        };
        let changes = match (&schema, &candidate.schema) {
            (Some(old), Some(new)) if old != new => type_changes(candidate, old, new),
            _ => Vec::new(),
        };
        if schema == candidate.schema {
            self.same.insert(name.clone());
        }
        self.schemas.insert(name.clone(), schema);
        changes
    }

    /// The columns that the compared environment has of a model that was asked for.
    pub(super) fn schema(&self, name: &ModelName) -> Option<Arc<Schema>> {
        self.schemas.get(name).cloned().flatten()
    }

    fn read(&self, before: &Snapshot) -> Option<Schema> {
        let meaning = parse(&before.model).map(|query| {
            query.meaning(&|table| {
                let parent = before.model.resolve(table);
                self.schemas.get(&parent).cloned().flatten()
            })
        });
        output_schema(&before.model, meaning.as_ref())
    }
}

fn type_changes(candidate: &Candidate, old: &Schema, new: &Schema) -> Vec<String> {
    // A type that the model declares is one of its properties, and told as such.
    let is_declared = |name: &str| {
        let mut declared = candidate.model.columns.iter().flatten();
        declared.any(|column| column.name == name && column.data_type.is_some())
    };
    let changes = new.columns().iter().filter_map(|(name, is)| {
        let (was, is) = (old.data_type(name)?, is.as_ref()?);
        (was != *is && !is_declared(name))
            .then(|| format!("the type of column `{name}` changes: {was} → {is}"))
    });
    changes.take(MOST_CHANGES).collect()
}
