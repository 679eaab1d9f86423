//! Which models of an environment a run fills.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::Model;
use crate::model::ModelName;
use crate::model::Selector;

/// The models that a run fills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Any of these; empty means all models.
    pub selectors: Vec<Selector>,
    /// Whether whatever the selected models read is filled as well.
    pub with_upstream: bool,
}

impl Selection {
    /// The selected models; `None` when nothing is selected, which means all.
    ///
    /// # Errors
    /// When a selector fits no model.
    pub fn among(
        &self,
        models: &BTreeMap<ModelName, Arc<Model>>,
    ) -> anyhow::Result<Option<BTreeSet<ModelName>>> {
        if self.selectors.is_empty() {
            return Ok(None);
        }
        let mut selected = BTreeSet::new();
        for selector in &self.selectors {
            let found = selector.select(models);
            anyhow::ensure!(
                !found.is_empty(),
                "no model of the environment fits `{}`; write names such as `sales.orders`, `sales.*` or `tag:nightly`",
                selector.text()
            );
            selected.extend(found);
        }
        if self.with_upstream {
            selected = with_upstream(selected, models);
        }
        Ok(Some(selected))
    }
}

/// `names` and whatever they read, directly or through others.
fn with_upstream(
    names: BTreeSet<ModelName>,
    models: &BTreeMap<ModelName, Arc<Model>>,
) -> BTreeSet<ModelName> {
    let mut next: Vec<ModelName> = names.iter().cloned().collect();
    let mut found = names;
    while let Some(name) = next.pop() {
        let parents = models.get(&name).map(|model| &model.depends_on);
        for parent in parents.into_iter().flatten() {
            if models.contains_key(parent) && found.insert(parent.clone()) {
                next.push(parent.clone());
            }
        }
    }
    found
}
