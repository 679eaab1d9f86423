//! What can only be seen when all models are known: names given twice, cycles.

use std::collections::BTreeMap;

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use petgraph::graph::NodeIndex;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::line_and_column;
use crate::model::ModelName;
use crate::project::model_file::Draft;

/// The drafts by name; of several with one name only the first is kept, and the others reported.
pub(super) fn by_name(
    drafts: Vec<Draft>,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<ModelName, Draft> {
    let mut unique: BTreeMap<ModelName, Draft> = BTreeMap::new();
    for draft in drafts {
        match unique.get(&draft.model.name) {
            None => {
                unique.insert(draft.model.name.clone(), draft);
            }
            Some(first) => {
                let (line, _) = line_and_column(&first.text, first.name_span.start);
                let message = format!(
                    "the model `{}` is declared twice: here and in `{}:{line}`",
                    draft.model.name, first.model.file
                );
                let diagnostic = Diagnostic::error("duplicate-model", message)
                    .at(&draft.model.file, &draft.text, draft.name_span.clone())
                    .help("Give one of them another name, or remove it.");
                diagnostics.push(diagnostic);
            }
        }
    }
    unique
}

/// One diagnostic for each set of models that read each other, with a way around.
pub(super) fn cycles(drafts: &BTreeMap<ModelName, Draft>, diagnostics: &mut Vec<Diagnostic>) {
    let mut graph: DiGraph<&ModelName, ()> = DiGraph::new();
    let nodes: BTreeMap<&ModelName, NodeIndex> = drafts
        .keys()
        .map(|name| (name, graph.add_node(name)))
        .collect();
    for (name, draft) in drafts {
        for parent in &draft.model.depends_on {
            if let Some(parent) = nodes.get(parent) {
                graph.add_edge(nodes[name], *parent, ());
            }
        }
    }
    for component in tarjan_scc(&graph) {
        if component.len() < 2 {
            continue;
        }
        let first = component
            .iter()
            .min_by_key(|node| graph[**node])
            .copied()
            .expect("a component has a node");
        let path = way_around(&graph, &component, first);
        let names: Vec<String> = path
            .iter()
            .map(|node| format!("`{}`", graph[*node]))
            .collect();
        let message = format!("models read each other: {}", names.join(" → "));
        let draft = &drafts[graph[first]];
        let diagnostic = Diagnostic::error("cycle", message)
            .at(&draft.model.file, &draft.text, draft.name_span.clone())
            .help("Take one of these references away.");
        diagnostics.push(diagnostic);
    }
}

/// A shortest way from `first` back to it inside `component`.
fn way_around(
    graph: &DiGraph<&ModelName, ()>,
    component: &[NodeIndex],
    first: NodeIndex,
) -> Vec<NodeIndex> {
    let inside: std::collections::HashSet<NodeIndex> = component.iter().copied().collect();
    let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([first]);
    while let Some(node) = queue.pop_front() {
        let mut next: Vec<NodeIndex> = graph
            .neighbors(node)
            .filter(|n| inside.contains(n))
            .collect();
        next.sort_by_key(|node| graph[*node]);
        for neighbor in next {
            if neighbor == first {
                let mut path = vec![first, node];
                let mut at = node;
                while at != first {
                    at = came_from[&at];
                    path.push(at);
                }
                path.reverse();
                return path;
            }
            if neighbor != first && !came_from.contains_key(&neighbor) {
                came_from.insert(neighbor, node);
                queue.push_back(neighbor);
            }
        }
    }
    vec![first]
}
