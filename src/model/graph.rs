//! Which model reads which.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::Model;
use crate::model::ModelName;

/// The models' names, each after everything of the project that it reads; ties in order of name.
///
/// Models on a cycle, and what reads them, are left out: loading has reported the cycle.
pub fn topological(models: &BTreeMap<ModelName, Arc<Model>>) -> Vec<ModelName> {
    let mut waiting: BTreeMap<&ModelName, usize> = BTreeMap::new();
    let mut readers: BTreeMap<&ModelName, Vec<&ModelName>> = BTreeMap::new();
    for (name, model) in models {
        let parents = model
            .depends_on
            .iter()
            .filter(|parent| models.contains_key(*parent));
        let mut count = 0;
        for parent in parents {
            readers.entry(parent).or_default().push(name);
            count += 1;
        }
        waiting.insert(name, count);
    }
    let mut ready: BTreeSet<&ModelName> = waiting
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(name, _)| *name)
        .collect();
    let mut order = Vec::with_capacity(models.len());
    while let Some(name) = ready.pop_first() {
        order.push(name.clone());
        for reader in readers.get(name).into_iter().flatten() {
            let count = waiting.get_mut(reader).expect("every reader is a model");
            *count -= 1;
            if *count == 0 {
                ready.insert(reader);
            }
        }
    }
    order
}

/// The models in layers: each layer reads only from layers before it. Models on a cycle are left out.
pub fn layers(models: &BTreeMap<ModelName, Arc<Model>>) -> Vec<Vec<ModelName>> {
    let mut depth: BTreeMap<ModelName, usize> = BTreeMap::new();
    let mut layers: Vec<Vec<ModelName>> = Vec::new();
    for name in topological(models) {
        let parents = models[&name]
            .depends_on
            .iter()
            .filter_map(|parent| depth.get(parent));
        let own = parents.max().map_or(0, |deepest| deepest + 1);
        if layers.len() == own {
            layers.push(Vec::new());
        }
        layers[own].push(name.clone());
        depth.insert(name, own);
    }
    layers
}
