//! Which model reads which.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::BinaryHeap;
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
    let graph = Graph::new(parents);
    let mut depth: Vec<Option<usize>> = vec![None; graph.names.len()];
    let mut layers: Vec<Vec<ModelName>> = Vec::new();
    for node in graph.order() {
        let above = graph.parents[node]
            .iter()
            .filter_map(|parent| depth[*parent]);
        let own = above.max().map_or(0, |deepest| deepest + 1);
        if layers.len() == own {
            layers.push(Vec::new());
        }
        layers[own].push(graph.names[node].clone());
        depth[node] = Some(own);
    }
    layers
}

fn ordered<'a>(parents: &BTreeMap<&'a ModelName, &BTreeSet<ModelName>>) -> Vec<&'a ModelName> {
    let graph = Graph::new(parents);
    let order = graph.order().into_iter();
    order.map(|node| graph.names[node]).collect()
}

/// Names as numbers, in order: comparing those takes no time.
struct Graph<'a> {
    names: Vec<&'a ModelName>,
    parents: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    fn new(parents: &BTreeMap<&'a ModelName, &BTreeSet<ModelName>>) -> Self {
        let names: Vec<&ModelName> = parents.keys().copied().collect();
        let nodes = names.iter().enumerate();
        let nodes: HashMap<&ModelName, usize> = nodes.map(|(node, name)| (*name, node)).collect();
        let known = |above: &&BTreeSet<ModelName>| -> Vec<usize> {
            let above = above.iter();
            above
                .filter_map(|parent| nodes.get(parent).copied())
                .collect()
        };
        Self {
            parents: parents.values().map(known).collect(),
            names,
        }
    }

    /// Each node after its parents; ties in order of number. Nodes on a cycle are left out.
    fn order(&self) -> Vec<usize> {
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.names.len()];
        let mut waiting: Vec<usize> = Vec::with_capacity(self.names.len());
        let mut ready = BinaryHeap::new();
        for (node, above) in self.parents.iter().enumerate() {
            for parent in above {
                readers[*parent].push(node);
            }
            waiting.push(above.len());
            if above.is_empty() {
                ready.push(Reverse(node));
            }
        }
        let mut order = Vec::with_capacity(self.names.len());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for reader in &readers[node] {
                waiting[*reader] -= 1;
                if waiting[*reader] == 0 {
                    ready.push(Reverse(*reader));
                }
            }
        }
        order
    }
}
