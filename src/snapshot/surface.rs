//! What a table shows to its readers, as digests over everything that it is made of, down to external tables.
//!
//! A meaning ([`Meaning`]) speaks of the names of tables and columns; a surface puts the surfaces of those tables in
//! their places. So the rows and each column of a model have one digest, whatever chain of models is between them
//! and the data: equal digests, equal contents. Comparing two projects is comparing digests, change travels exactly
//! to those that read it, and a chain of edits cannot hide one another (engine.md 11, L1).
//!
//! What may come out differently when a table is built again (ties under LIMIT, `random()`, unknown functions) gets
//! the digest of its whole table mixed in: it counts as another value whenever the table is built anew.

use std::collections::HashMap;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Model;
use crate::model::ModelKind;
use crate::snapshot::contents::Contents;
use crate::snapshot::contents::around;
use crate::snapshot::fingerprint::properties;
use crate::sql::Digest;
use crate::sql::Meaning;
use crate::sql::Node;
use crate::sql::Part;
use crate::sql::TableName;

/// What a table shows to its readers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surface {
    /// Which rows there are.
    pub rows: Digest,
    /// The columns in order with their values; `None` when they are not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub columns: Option<Vec<(String, Digest)>>,
    /// All columns as one.
    pub whole: Digest,
    /// Everything that decides what is in the table and how: another one, another table.
    pub table: Digest,
    /// How the rows lie in it.
    pub layout: Digest,
}

/// How two versions of a surface differ, as readers see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SurfaceChange {
    /// Whether other rows come out.
    pub rows: bool,
    /// Only in the new version, in its order.
    pub added: Vec<String>,
    /// Only in the old version, in its order.
    pub removed: Vec<String>,
    /// The values of those that were added.
    pub added_values: Vec<(String, Digest)>,
    /// In both, with another value.
    pub changed: Vec<String>,
    /// Whether the columns that both have stand in another order.
    pub reordered: bool,
    /// Whether the columns of a side are not known, and something of them differs.
    pub unknown: bool,
}

impl SurfaceChange {
    /// The difference between two versions.
    pub fn between(old: &Surface, new: &Surface) -> Self {
        let mut change = Self {
            rows: old.rows != new.rows,
            ..Self::default()
        };
        let (Some(before), Some(after)) = (&old.columns, &new.columns) else {
            change.unknown = old.whole != new.whole;
            return change;
        };
        if before == after {
            return change;
        }
        let (was, is) = (by_name(before), by_name(after));
        for (name, digest) in after {
            match was.get(name.as_str()) {
                None => {
                    change.added.push(name.clone());
                    change.added_values.push((name.clone(), *digest));
                }
                Some(then) if then != digest => change.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        let gone = before
            .iter()
            .filter(|(name, _)| !is.contains_key(name.as_str()));
        change.removed = gone.map(|(name, _)| name.clone()).collect();
        let kept_before = before
            .iter()
            .map(|(name, _)| name)
            .filter(|name| is.contains_key(name.as_str()));
        let kept_after = after
            .iter()
            .map(|(name, _)| name)
            .filter(|name| was.contains_key(name.as_str()));
        change.reordered = !kept_before.eq(kept_after);
        change
    }

    /// Whether what somebody may read of the old version is no longer the same.
    pub fn breaks_readers(&self) -> bool {
        self.rows || self.unknown || !self.removed.is_empty() || !self.changed.is_empty()
    }
}

fn by_name(columns: &[(String, Digest)]) -> HashMap<&str, Digest> {
    let columns = columns.iter();
    columns
        .map(|(name, digest)| (name.as_str(), *digest))
        .collect()
}

impl Surface {
    /// What readers of column `name` see; something of the whole table where it is not known.
    pub fn column(&self, name: &str) -> Digest {
        let known = self
            .columns
            .iter()
            .flatten()
            .find(|(known, _)| known == name);
        match known {
            Some((_, digest)) => *digest,
            None => Node::new("unknown column")
                .digest(self.whole)
                .text(name)
                .finish(),
        }
    }

    /// The surface of a snapshot that was stored without one: like no other.
    pub fn unknown(name: &str, identifier: &str) -> Self {
        let digest = Node::new("unknown surface")
            .text(name)
            .text(identifier)
            .finish();
        Self {
            rows: digest,
            columns: None,
            whole: digest,
            table: digest,
            layout: digest,
        }
    }

    /// Whether it is one that [`Self::unknown`] gives.
    pub fn is_unknown(&self) -> bool {
        self.rows == self.table
    }

    /// The surface of a seed or an external model.
    pub fn of_data(model: &Model, interval_unit: &str) -> Self {
        let name = model.name.to_string();
        let (rows, columns) = match &model.kind {
            ModelKind::Seed(seed) => {
                let settings = format!("{:?}", seed.csv);
                let declared = |column: &str| {
                    model
                        .columns
                        .iter()
                        .flatten()
                        .find(|known| known.name == column)
                        .and_then(|known| known.data_type.as_deref())
                };
                let rows = Node::new("seed")
                    .text(&name)
                    .text(&settings)
                    .number(seed.row_count);
                let columns = seed.column_hashes.iter().map(|(column, hash)| {
                    let value = Node::new("seed column")
                        .text(&settings)
                        .text(hash)
                        .maybe_text(declared(column));
                    (column.clone(), value.finish())
                });
                (rows.finish(), Some(columns.collect::<Vec<_>>()))
            }
            _ => {
                let columns = model.columns.as_ref().map(|columns| {
                    let columns = columns.iter().map(|column| {
                        let value = Node::new("external column")
                            .text(&name)
                            .text(&column.name)
                            .maybe_text(column.data_type.as_deref());
                        (column.name.clone(), value.finish())
                    });
                    columns.collect()
                });
                (Node::new("external").text(&name).finish(), columns)
            }
        };
        let layout = Node::new("layout").finish();
        Self::assembled(model, interval_unit, rows, columns, None, layout)
    }

    /// The surface of a model with a query, where `parent` gives the surfaces of the tables that it reads; `None`
    /// stands for a table that is not of the project.
    pub fn of_query<'s>(
        model: &Model,
        interval_unit: &str,
        meaning: &Meaning,
        parent: &dyn Fn(&TableName) -> Option<&'s Self>,
    ) -> Self {
        let parents: Vec<Option<&Self>> = meaning.tables.iter().map(parent).collect();
        let seen = Seen {
            meaning,
            parents: &parents,
        };
        let layout = seen.layout(&model.kind);
        let declared = |name: &str| {
            model
                .columns
                .iter()
                .flatten()
                .find(|column| column.name == name)
                .and_then(|column| column.data_type.as_deref())
        };
        let names = meaning.column_names();
        let columns = meaning.columns.as_ref().map(|columns| {
            let columns = columns.iter().map(|column| {
                let value = seen.part(&column.value);
                let name = column.name.clone().unwrap_or_default();
                let value = match declared(&name) {
                    Some(data_type) => Node::new("declared").digest(value).text(data_type).finish(),
                    None => value,
                };
                (name, value)
            });
            columns.collect::<Vec<_>>()
        });
        let whole = match &columns {
            Some(_) => None,
            None => Some(seen.part(&meaning.whole)),
        };
        let contents = Contents {
            rows: seen.part(&meaning.rows),
            columns,
            whole,
        };
        let around = around(model, parent);
        let contents = contents.of_kind(model, interval_unit, around);
        let is_unstable = meaning.rows.unstable
            || meaning.whole.unstable
            || model.kind.has_history_of_its_own()
            || meaning
                .columns
                .iter()
                .flatten()
                .any(|column| column.value.unstable);
        let Contents {
            rows,
            columns,
            whole,
        } = contents;
        let mut surface = Self::assembled(model, interval_unit, rows, columns, whole, layout);
        if is_unstable {
            // What is chosen among ties follows from how the rows lie in the tables below.
            let below = parents.iter().flatten().map(|parent| parent.layout);
            surface.table = Node::new("unstable table")
                .digest(surface.table)
                .digests(below)
                .finish();
        }
        surface.mix_in_chance(meaning, model.kind.has_history_of_its_own());
        if names.is_none() {
            surface.columns = None;
        }
        surface
    }

    fn assembled(
        model: &Model,
        interval_unit: &str,
        rows: Digest,
        columns: Option<Vec<(String, Digest)>>,
        whole: Option<Digest>,
        layout: Digest,
    ) -> Self {
        let whole = whole.unwrap_or_else(|| whole_of(columns.as_deref(), rows));
        let table = Node::new("table")
            .text(&properties(model, interval_unit))
            .digest(rows)
            .digest(whole)
            .digest(layout)
            .finish();
        Self {
            rows,
            columns,
            whole,
            table,
            layout,
        }
    }

    /// Whatever may come out differently is another value in every other table; so is all of a table with a history of
    /// its own.
    fn mix_in_chance(&mut self, meaning: &Meaning, has_history: bool) {
        let table = self.table;
        let mix = |digest: Digest| Node::new("unstable").digest(digest).digest(table).finish();
        let all = meaning.rows.unstable || has_history;
        if all {
            self.rows = mix(self.rows);
        }
        match (&mut self.columns, &meaning.columns) {
            (Some(columns), Some(parts)) => {
                // The times that the kind adds stand behind those of the query.
                let parts = parts.iter().map(|part| part.value.unstable);
                for ((_, digest), unstable) in columns.iter_mut().zip(parts.chain([true, true])) {
                    if all || unstable {
                        *digest = mix(*digest);
                    }
                }
                self.whole = whole_of(self.columns.as_deref(), self.rows);
            }
            _ => {
                if all || meaning.whole.unstable {
                    self.whole = mix(self.whole);
                }
            }
        }
    }

    /// The same table as readers of `previous` see it, because a user says that the change does not concern them.
    #[must_use]
    pub fn shown_as(mut self, previous: &Self) -> Self {
        self.rows = previous.rows;
        if let Some(columns) = &mut self.columns {
            for (name, digest) in columns.iter_mut() {
                *digest = previous
                    .columns
                    .iter()
                    .flatten()
                    .find(|(known, _)| known == name)
                    .map_or(*digest, |(_, then)| *then);
            }
        }
        self.whole = previous.whole;
        self.layout = previous.layout;
        self
    }

    /// The same table as something that nobody has read yet, because a user says that the change concerns all.
    #[must_use]
    pub fn shown_as_new(mut self) -> Self {
        let table = self.table;
        let fresh = |digest: Digest| Node::new("breaking").digest(digest).digest(table).finish();
        self.rows = fresh(self.rows);
        for (_, digest) in self.columns.iter_mut().flatten() {
            *digest = fresh(*digest);
        }
        self.whole = fresh(self.whole);
        self
    }
}

pub(super) fn whole_of(columns: Option<&[(String, Digest)]>, rows: Digest) -> Digest {
    let Some(columns) = columns else {
        return Node::new("whole").digest(rows).finish();
    };
    columns
        .iter()
        .fold(Node::new("whole"), |node, (name, digest)| {
            node.text(name).digest(*digest)
        })
        .finish()
}

/// A meaning over the surfaces of what it reads.
struct Seen<'a, 's> {
    meaning: &'a Meaning,
    parents: &'a [Option<&'s Surface>],
}

impl Seen<'_, '_> {
    fn part(&self, part: &Part) -> Digest {
        let tables = part.tables.iter().map(|table| {
            let place = *table as usize;
            match self.parents[place] {
                Some(parent) => parent.rows,
                None => foreign(&self.meaning.tables[place]),
            }
        });
        let columns = part.columns.iter().map(|source| {
            let source = &self.meaning.sources[*source as usize];
            let place = source.table as usize;
            match (self.parents[place], &source.column) {
                (Some(parent), Some(column)) => parent.column(column),
                (Some(parent), None) => parent.whole,
                (None, _) => foreign(&self.meaning.tables[place]),
            }
        });
        Node::new("piece")
            .digest(part.digest)
            .digests(tables)
            .digests(columns)
            .finish()
    }

    /// How the rows lie: a view shows them as they lie below it.
    fn layout(&self, kind: &ModelKind) -> Digest {
        let node = Node::new("layout").digest(self.meaning.layout);
        match kind {
            ModelKind::View | ModelKind::Embedded => {
                let below = self.parents.iter().flatten().map(|parent| parent.layout);
                node.digests(below).finish()
            }
            ModelKind::MaterializedView
            | ModelKind::Full
            | ModelKind::IncrementalByTimeRange { .. }
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_)
            | ModelKind::Seed(_)
            | ModelKind::External => node.finish(),
        }
    }
}

/// A table that is not of the project: its name is all that is known.
fn foreign(table: &TableName) -> Digest {
    Node::new("foreign").text(&table.plain()).finish()
}
