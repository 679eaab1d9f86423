//! Which models may be filled now: those of which everything that they read is done.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::model::ModelName;

/// The models of a graph, some of which have work; the others pass on what they wait for.
///
/// Starting, ending and failing all models takes time in proportion to the graph.
pub(super) struct Ready {
    nodes: Vec<Node>,
    /// The node of each piece of work.
    places: Vec<usize>,
    /// The pieces of work that may start.
    ready: BTreeSet<usize>,
}

#[derive(Default)]
struct Node {
    /// Its place among the work.
    work: Option<usize>,
    /// How many of its parents are not done.
    waits_for: usize,
    readers: Vec<usize>,
    /// Whether it waits no longer: it is done, runs, or never will.
    is_settled: bool,
}

impl Ready {
    /// `parents` are the names that each model reads; `work` names those that have something to do.
    pub(super) fn new<'a>(
        parents: impl Iterator<Item = (&'a ModelName, &'a BTreeSet<ModelName>)>,
        work: impl Iterator<Item = &'a ModelName>,
    ) -> Self {
        let parents: BTreeMap<_, _> = parents.collect();
        let index: HashMap<&ModelName, usize> = parents.keys().copied().zip(0..).collect();
        let mut nodes: Vec<Node> = Vec::new();
        nodes.resize_with(parents.len(), Node::default);
        for (name, above) in &parents {
            let own = index[name];
            for parent in above.iter().filter_map(|parent| index.get(parent)) {
                if *parent != own {
                    nodes[*parent].readers.push(own);
                    nodes[own].waits_for += 1;
                }
            }
        }
        let places: Vec<usize> = work.map(|name| index[name]).collect();
        for (work, place) in places.iter().enumerate() {
            nodes[*place].work = Some(work);
        }
        let free: Vec<usize> = (0..nodes.len())
            .filter(|node| nodes[*node].waits_for == 0)
            .collect();
        let mut ready = Self {
            nodes,
            places,
            ready: BTreeSet::new(),
        };
        ready.free(free);
        ready
    }

    /// The first piece of work that may start; it counts as started.
    pub(super) fn start(&mut self) -> Option<usize> {
        let work = self.ready.pop_first()?;
        self.nodes[self.places[work]].is_settled = true;
        Some(work)
    }

    /// A piece of work is done: what reads it may start.
    pub(super) fn done(&mut self, work: usize) {
        let freed = self.count_down(self.places[work]);
        self.free(freed);
    }

    /// A piece of work has failed. Gives those that read it, directly or through others: they never start.
    pub(super) fn failed(&mut self, work: usize) -> Vec<usize> {
        let mut skipped = Vec::new();
        let mut next = vec![self.places[work]];
        while let Some(node) = next.pop() {
            for reader in std::mem::take(&mut self.nodes[node].readers) {
                let reading = &mut self.nodes[reader];
                if !std::mem::replace(&mut reading.is_settled, true) {
                    skipped.extend(reading.work);
                    next.push(reader);
                }
            }
        }
        skipped.sort_unstable();
        skipped
    }

    /// What has neither started nor been given up.
    pub(super) fn rest(&self) -> impl Iterator<Item = usize> {
        let waits = |work: &usize| !self.nodes[self.places[*work]].is_settled;
        (0..self.places.len()).filter(waits)
    }

    /// The nodes that nothing waits for; those without work are done at once.
    fn free(&mut self, mut nodes: Vec<usize>) {
        while let Some(node) = nodes.pop() {
            match self.nodes[node].work {
                Some(work) => {
                    self.ready.insert(work);
                }
                None => {
                    self.nodes[node].is_settled = true;
                    nodes.extend(self.count_down(node));
                }
            }
        }
    }

    /// `node` is done. Gives its readers that wait for nothing else.
    fn count_down(&mut self, node: usize) -> Vec<usize> {
        let mut freed = Vec::new();
        for reader in std::mem::take(&mut self.nodes[node].readers) {
            let reading = &mut self.nodes[reader];
            reading.waits_for -= 1;
            if reading.waits_for == 0 && !reading.is_settled {
                freed.push(reader);
            }
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph as `reader: parents`, and its models with work.
    fn ready(graph: &[(&str, &[&str])], work: &[&str]) -> Ready {
        let name = |text: &&str| text.parse::<ModelName>().unwrap();
        let graph: Vec<(ModelName, BTreeSet<ModelName>)> = graph
            .iter()
            .map(|(reader, parents)| (name(reader), parents.iter().map(name).collect()))
            .collect();
        let work: Vec<ModelName> = work.iter().map(name).collect();
        Ready::new(
            graph.iter().map(|(name, parents)| (name, parents)),
            work.iter(),
        )
    }

    const DIAMOND: &[(&str, &[&str])] =
        &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])];

    #[test]
    fn a_model_starts_when_all_that_it_reads_is_done() {
        let mut ready = ready(DIAMOND, &["a", "b", "c", "d"]);
        assert_eq!((ready.start(), ready.start()), (Some(0), None));
        ready.done(0);
        assert_eq!((ready.start(), ready.start()), (Some(1), Some(2)));
        ready.done(2);
        assert_eq!(ready.start(), None);
        ready.done(1);
        assert_eq!(ready.start(), Some(3));
    }

    #[test]
    fn what_has_nothing_to_do_passes_on_what_it_waits_for() {
        let mut ready = ready(DIAMOND, &["a", "d"]);
        assert_eq!((ready.start(), ready.start()), (Some(0), None));
        ready.done(0);
        assert_eq!(ready.start(), Some(1));
    }

    #[test]
    fn a_failure_stops_its_descendants_and_nothing_else() {
        let graph: &[(&str, &[&str])] = &[
            ("a", &[]),
            ("b", &["a"]),
            ("c", &["b"]),
            ("x", &[]),
            ("y", &["x"]),
            ("both", &["c", "x"]),
        ];
        let mut ready = ready(graph, &["a", "c", "x", "y", "both"]);
        assert_eq!((ready.start(), ready.start()), (Some(0), Some(2)));
        assert_eq!(ready.failed(0), [1, 4]);
        ready.done(2);
        assert_eq!((ready.start(), ready.start()), (Some(3), None));
        assert_eq!(ready.rest().count(), 0);
    }

    #[test]
    fn what_was_never_started_is_left() {
        let mut ready = ready(DIAMOND, &["a", "b", "c", "d"]);
        ready.start();
        assert_eq!(ready.rest().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
