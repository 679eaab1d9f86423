//! The FROM of one SELECT: its relations with their names, and what is known about their columns.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::sql::slices::graph::Column;
use crate::sql::slices::graph::Graph;
use crate::sql::slices::graph::SIDES;
use crate::sql::slices::graph::Side;
use crate::sql::slices::graph::State;
use crate::sql::slices::relation::Around;
use crate::sql::slices::relation::Relation;

/// A relation in FROM.
pub(super) struct Binding {
    /// Its name, as far as it may be written; empty if nobody can name it.
    pub(super) name: Vec<String>,
    pub(super) columns: Vec<(Option<String>, Column)>,
    pub(super) more: bool,
    pub(super) ordered: bool,
    pub(super) any_column: bool,
    /// Whether its columns can be named.
    pub(super) visible: bool,
    /// Its open parts: side and place among `parts`.
    parts: Vec<(Side, usize)>,
}

/// An open part of what is joined.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenPart {
    /// One of them needed closes it.
    pub(super) keys: BTreeSet<Column>,
    /// Columns of queries around, as columns here: one of them within closes it.
    pub(super) around: BTreeSet<Column>,
}

#[derive(Default)]
pub(super) struct Frame {
    pub(super) graph: Graph,
    pub(super) count: usize,
    pub(super) bindings: Vec<Binding>,
    /// The columns of USING; `None` where it is not clear what they are.
    pub(super) merged: Vec<(String, Option<Column>)>,
    pub(super) parts: [Vec<OpenPart>; 2],
    /// The columns of queries around that stand here.
    pub(super) around: BTreeMap<Around, Column>,
    /// The names that SELECT gives.
    pub(super) aliases: BTreeSet<String>,
    /// Whether rows meet in a way that is not known.
    pub(super) is_broken: bool,
}

/// What a name is in one frame.
pub(super) enum Found {
    Column(Column),
    /// It may be here.
    Unclear,
    Nothing,
}

impl Frame {
    pub(super) fn column(&mut self) -> Column {
        self.count += 1;
        self.count - 1
    }

    /// Adds a relation; `around` gives the column here of one of a query around.
    pub(super) fn bind(
        &mut self,
        name: Vec<String>,
        relation: &Relation,
        around: &mut dyn FnMut(&mut Self, Around) -> Column,
    ) {
        let columns: Vec<(Option<String>, Column)> = relation
            .columns
            .iter()
            .map(|name| (name.clone(), self.column()))
            .collect();
        let mut parts = Vec::new();
        for side in SIDES {
            let direction = &relation.directions[side as usize];
            for place in &direction.within {
                self.graph.within(columns[*place].1, side);
            }
            for part in &direction.open {
                let keys = part.keys.iter().map(|place| columns[*place].1).collect();
                let pins = part.around.iter().map(|place| around(self, *place));
                let around = pins.collect();
                let open = &mut self.parts[side as usize];
                parts.push((side, open.len()));
                open.push(OpenPart { keys, around });
            }
        }
        self.bindings.push(Binding {
            name,
            columns,
            more: relation.more,
            ordered: relation.ordered,
            any_column: relation.any_column,
            visible: true,
            parts,
        });
    }

    /// The columns of the bindings from `first` on.
    pub(super) fn columns_from(&self, first: usize) -> BTreeSet<Column> {
        let bindings = self.bindings[first..].iter();
        bindings
            .flat_map(|binding| binding.columns.iter().map(|(_, column)| *column))
            .collect()
    }

    /// What `name` is here; `is_only_here` says that no query around has such a column.
    pub(super) fn find(&mut self, prefix: &[String], name: &str, is_only_here: bool) -> Found {
        if prefix.is_empty() {
            return self.find_bare(name, is_only_here);
        }
        let fits = |binding: &Binding| binding.visible && binding.name.ends_with(prefix);
        let mut fitting = (0..self.bindings.len()).filter(|at| fits(&self.bindings[*at]));
        match (fitting.next(), fitting.next()) {
            (Some(at), None) => self.column_of(at, name),
            (Some(_), Some(_)) => Found::Unclear,
            (None, _) if self.has(&prefix[0]) => Found::Unclear,
            (None, _) => Found::Nothing,
        }
    }

    /// The column of the binding at `at` with this name.
    pub(super) fn column_of(&mut self, at: usize, name: &str) -> Found {
        let binding = &self.bindings[at];
        let mut same = binding.columns.iter();
        let mut same = same
            .by_ref()
            .filter(|(known, _)| known.as_deref() == Some(name));
        match (same.next(), same.next()) {
            (Some((_, column)), None) => return Found::Column(*column),
            (None, _) if binding.more => {}
            _ => return Found::Unclear,
        }
        let column = self.column();
        let binding = &mut self.bindings[at];
        binding.columns.push((Some(name.to_owned()), column));
        if binding.any_column {
            for (side, place) in binding.parts.clone() {
                self.parts[side as usize][place].keys.insert(column);
            }
        }
        Found::Column(column)
    }

    /// Whether a column of this name may be here.
    pub(super) fn may_have(&self, name: &str) -> bool {
        let mut visible = self.bindings.iter().filter(|binding| binding.visible);
        visible.any(|binding| binding.more) || self.has(name)
    }

    fn has(&self, name: &str) -> bool {
        let mut visible = self.bindings.iter().filter(|binding| binding.visible);
        visible.any(|binding| {
            let mut names = binding.columns.iter();
            names.any(|(known, _)| known.as_deref() == Some(name))
        })
    }

    fn find_bare(&mut self, name: &str, is_only_here: bool) -> Found {
        if let Some((_, merged)) = self.merged.iter().rev().find(|(known, _)| known == name) {
            return merged.map_or(Found::Unclear, Found::Column);
        }
        let visible = |binding: &&Binding| binding.visible;
        let columns = self.bindings.iter().filter(visible);
        let mut columns = columns.flat_map(|binding| &binding.columns);
        let mut same = columns
            .by_ref()
            .filter(|(known, _)| known.as_deref() == Some(name));
        match (same.next(), same.next()) {
            (Some((_, column)), None) => return Found::Column(*column),
            (Some(_), Some(_)) => return Found::Unclear,
            (None, _) => {}
        }
        let wide = |at: &usize| self.bindings[*at].visible && self.bindings[*at].more;
        let mut wide = (0..self.bindings.len()).filter(wide);
        match (wide.next(), wide.next()) {
            (None, _) => Found::Nothing,
            (Some(at), None) if is_only_here && !self.aliases.contains(name) => {
                self.column_of(at, name)
            }
            _ => Found::Unclear,
        }
    }

    /// The states of its columns, if `assumed` is sure.
    pub(super) fn solve(&self, side: Side, assumed: Option<Column>) -> Vec<State> {
        if self.is_broken {
            return vec![State::Open; self.count];
        }
        self.graph.solve(side, self.count, assumed)
    }
}

impl OpenPart {
    pub(super) fn is_closed(&self, states: &[State]) -> bool {
        let needed = |column: &Column| states[*column] >= State::Needed;
        let within = |column: &Column| states[*column] >= State::Within;
        self.keys.iter().any(needed) || self.around.iter().any(within)
    }
}
