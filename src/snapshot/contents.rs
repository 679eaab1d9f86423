//! What the table of a model holds when its query gives these rows: what its kind, its statements and its own past make
//! of them.

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::Template;
use crate::snapshot::Surface;
use crate::snapshot::fingerprint::properties;
use crate::snapshot::surface::whole_of;
use crate::sql::Digest;
use crate::sql::Node;
use crate::sql::TableName;
use crate::sql::quote_identifier;

/// The pieces of a surface.
pub(super) struct Contents {
    /// Which rows there are.
    pub(super) rows: Digest,
    /// The columns in order with their values; `None` when they are not known.
    pub(super) columns: Option<Vec<(String, Digest)>>,
    /// All columns as one, where they are not known.
    pub(super) whole: Option<Digest>,
}

impl Contents {
    /// What the table holds when `self` is what the query gives and `around` what else decides about it.
    pub(super) fn of_kind(
        mut self,
        model: &Model,
        interval_unit: &str,
        around: Option<Digest>,
    ) -> Self {
        if let Some(around) = around {
            self.mix(around);
        }
        let query = self.whole();
        match &model.kind {
            // Evaluated interval by interval, each cut to its time.
            ModelKind::IncrementalByTimeRange {
                time_column,
                lookback_intervals,
                batch_size_intervals: _,
                batch_concurrency: _,
            } => {
                self.rows = Node::new("by time range")
                    .digest(self.rows)
                    .digest(self.column(&time_column.column))
                    .text(&time_column.column)
                    .text(&time_column.format)
                    .number(*lookback_intervals as usize)
                    .text(interval_unit)
                    .finish();
            }
            // Of the rows with one key the last batch's stays.
            ModelKind::IncrementalByUniqueKey(key) => {
                let parts = key.unique_key.iter().map(|part| self.part(part));
                self.rows = Node::new("by unique key")
                    .digests(parts.collect::<Vec<_>>())
                    .digest(self.rows)
                    .number(key.lookback_intervals as usize)
                    .text(interval_unit)
                    .finish();
            }
            ModelKind::ScdType2(scd) => {
                let properties = properties(model, interval_unit);
                let time = |what: &str| {
                    let node = Node::new(what).digest(self.rows).digest(query);
                    node.text(&properties).finish()
                };
                let times = [
                    (scd.valid_from.clone(), time("valid from")),
                    (scd.valid_to.clone(), time("valid to")),
                ];
                let rows = time("versions");
                if let Some(columns) = &mut self.columns {
                    columns.extend(times);
                }
                self.rows = rows;
            }
            ModelKind::IncrementalByPartition | ModelKind::IncrementalUnmanaged { .. } => {
                let properties = properties(model, interval_unit);
                let node = Node::new("batch by batch").digest(self.rows).digest(query);
                self.rows = node.text(&properties).finish();
            }
            ModelKind::View
            | ModelKind::MaterializedView
            | ModelKind::Full
            | ModelKind::Embedded
            | ModelKind::Seed(_)
            | ModelKind::External => {}
        }
        if model.reads_itself {
            // Each row may be made of any value of the batches before.
            let all = Node::new("over its own past")
                .digest(self.rows)
                .digest(self.whole())
                .text(&properties(model, interval_unit))
                .finish();
            self.mix(all);
        }
        self
    }

    fn whole(&self) -> Digest {
        self.whole
            .unwrap_or_else(|| whole_of(self.columns.as_deref(), self.rows))
    }

    /// What column `name` holds; all of them where it is not known.
    fn column(&self, name: &str) -> Digest {
        let columns = self.columns.iter().flatten();
        columns
            .filter(|(known, _)| known == name)
            .map(|(_, digest)| *digest)
            .next()
            .unwrap_or_else(|| self.whole())
    }

    /// What a part of a key holds: a quoted column, or something over any of them.
    fn part(&self, key: &str) -> Digest {
        let columns = self.columns.iter().flatten();
        columns
            .filter(|(known, _)| quote_identifier(known) == key)
            .map(|(_, digest)| *digest)
            .next()
            .unwrap_or_else(|| Node::new("key").text(key).digest(self.whole()).finish())
    }

    /// Makes everything another value whenever `other` is another one.
    fn mix(&mut self, other: Digest) {
        let mixed = |digest: Digest| Node::new("and").digest(digest).digest(other).finish();
        self.rows = mixed(self.rows);
        for (_, digest) in self.columns.iter_mut().flatten() {
            *digest = mixed(*digest);
        }
        self.whole = self.whole.map(mixed);
    }
}

/// What decides about a table besides its query: the statements around it, and whatever those may read.
pub(super) fn around<'s>(
    model: &Model,
    parent: &dyn Fn(&TableName) -> Option<&'s Surface>,
) -> Option<Digest> {
    let statements = &model.statements;
    if !statements.surround_query() {
        return None;
    }
    let mut node = Node::new("statements");
    for (what, statements) in [("before", &statements.before), ("after", &statements.after)] {
        node = node.text(what).number(statements.len());
        node = statements.iter().map(Template::text).fold(node, Node::text);
    }
    for name in &model.depends_on {
        let surface = parent(&name.table_name());
        node = match surface {
            Some(surface) => node.digest(surface.rows).digest(surface.whole),
            None => node.text(&name.to_string()),
        };
    }
    Some(node.finish())
}
