//! Which model reads which.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use crate::model::Model;
use crate::model::ModelName;

/// The models' names, each after everything of the project that it reads; ties in order of name.
///
/// Models on a cycle, and what reads them, are left out: loading has reported the cycle.
pub fn topological(models: &BTreeMap<ModelName, Arc<Model>>) -> Vec<ModelName> {
    let order = ordered(&parents_of(models));
    order.into_iter().cloned().collect()
}

/// The models in layers: each layer reads only from layers before it. Models on a cycle are left out.
pub fn layers(models: &BTreeMap<ModelName, Arc<Model>>) -> Vec<Vec<ModelName>> {
    layers_of(&parents_of(models))
}

fn parents_of(
    models: &BTreeMap<ModelName, Arc<Model>>,
) -> BTreeMap<&ModelName, &BTreeSet<ModelName>> {
    let models = models.iter();
    models
        .map(|(name, model)| (name, &model.depends_on))
        .collect()
}

/// The names in layers, where each comes with those of its parents.
pub fn layers_of(parents: &BTreeMap<&ModelName, &BTreeSet<ModelName>>) -> Vec<Vec<ModelName>> {
    let mut depth: HashMap<&ModelName, usize> = HashMap::new();
    let mut layers: Vec<Vec<ModelName>> = Vec::new();
    for name in ordered(parents) {
        let above = parents[name].iter().filter_map(|parent| depth.get(parent));
        let own = above.max().map_or(0, |deepest| deepest + 1);
        if layers.len() == own {
            layers.push(Vec::new());
        }
        layers[own].push(name.clone());
        depth.insert(name, own);
    }
    layers
}

fn ordered<'a>(parents: &BTreeMap<&'a ModelName, &BTreeSet<ModelName>>) -> Vec<&'a ModelName> {
    let mut waiting: HashMap<&ModelName, usize> = HashMap::new();
    let mut readers: HashMap<&ModelName, Vec<&'a ModelName>> = HashMap::new();
    let mut ready = BTreeSet::new();
    for (name, above) in parents {
        let mut count = 0;
        for parent in above.iter().filter(|parent| parents.contains_key(parent)) {
            readers.entry(parent).or_default().push(name);
            count += 1;
        }
        if count == 0 {
            ready.insert(*name);
        }
        waiting.insert(name, count);
    }
    let mut order = Vec::with_capacity(parents.len());
    while let Some(name) = ready.pop_first() {
        order.push(name);
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
