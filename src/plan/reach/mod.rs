//! How far a batch looks: into its own interval only, or also at what its parents have before or behind it.
//!
//! A query stays within its interval if each mention of what changed is tied to it, by a comparison with the plain start
//! and end or by way of other mentions; `sql/slices` says how that is found. Everything else (`@start_ds - 6`,
//! `date_trunc('week', @start_date)`, a window over all there is, yesterday's row beside today's) may look further. What
//! did not change ties nothing and needs no tie: a dimension may be joined in any way.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::RuntimeVariable;
use crate::model::TimeColumn;
use crate::model::TimeForm;
use crate::model::TimeMoment;
use crate::model::TimePart;
use crate::model::parse;
use crate::sql::Edge;
use crate::sql::Query;
use crate::sql::SliceNames;
use crate::sql::Slices;
use crate::sql::TableName;

/// Which rows of its parents may come into a batch besides those of its own interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Those from before it: rows of a parent may show in intervals behind their own.
    pub back: bool,
    /// Those from behind it.
    pub ahead: bool,
    /// Those of the rest of its day, if it is shorter.
    pub day: bool,
}

impl Reach {
    const FAR: Self = Self {
        back: true,
        ahead: true,
        day: true,
    };

    /// Whether it is more than the batch's own interval.
    pub fn is_far(self) -> bool {
        self.back || self.ahead
    }
}

/// The columns of a model's parents; `None` where they are not known.
pub type ColumnsOf<'a> = &'a dyn Fn(&ModelName) -> Option<Vec<String>>;

/// What changed for some slices of time, in tables and in what shows them.
#[derive(Default)]
pub struct Changed {
    slices: BTreeMap<ModelName, Slices>,
}

impl Changed {
    /// Adds that rows of `model` changed: after what it reads. One model may be added in several versions.
    pub fn add(&mut self, model: &Model, columns: ColumnsOf<'_>) {
        let mut slices = self.slices(model, columns);
        if let Some(other) = self.slices.remove(&model.name) {
            slices.back.extend(other.back);
            slices.ahead.extend(other.ahead);
            slices.any_column &= other.any_column;
            slices.by_day |= other.by_day;
        }
        self.slices.insert(model.name.clone(), slices);
    }

    /// That of the query of `model`, as far as it reads what changed; both ways where there is no telling.
    pub fn reach(&self, model: &Model, columns: ColumnsOf<'_>) -> Reach {
        let Some(query) = parse(model).filter(|query| self.is_all_seen(model, query)) else {
            return Reach::FAR;
        };
        let Some(slices) = self.read(model, &query, columns) else {
            return Reach::FAR;
        };
        // Of what the query gives, only rows of the batch's own time are written.
        let own = model.kind.time_column().filter(|column| is_fine(column));
        let is_open = |parts: &[BTreeSet<String>]| {
            let kept = |part: &BTreeSet<String>| own.is_some_and(|own| part.contains(&own.column));
            !parts.iter().all(kept)
        };
        Reach {
            back: is_open(&slices.back),
            ahead: is_open(&slices.ahead),
            day: slices.by_day || !slices.back.is_empty() || !slices.ahead.is_empty(),
        }
    }

    /// Whether all of what changed that the model reads is named in its query.
    fn is_all_seen(&self, model: &Model, query: &Query) -> bool {
        let named = |table: &TableName| model.resolve(table);
        let seen: BTreeSet<ModelName> = query.tables().iter().map(named).collect();
        let is_changed = |name: &ModelName| self.slices.contains_key(name);
        let mut unseen = model.depends_on.difference(&seen);
        let mut before = model.statements.before.iter().flat_map(|statement| {
            let text = statement.for_analysis(model.dialect);
            Query::scan_tables(&text, model.dialect)
        });
        !unseen.any(is_changed) && !before.any(|table| is_changed(&named(&table)))
    }

    fn read(&self, model: &Model, query: &Query, columns: ColumnsOf<'_>) -> Option<Slices> {
        query.slices(SliceNames {
            table: &|table| {
                let name = model.resolve(table);
                if name == model.name {
                    return None;
                }
                let columns = columns(&name);
                let changed = self.slices.get(&name).cloned();
                Some(match changed {
                    Some(slices) => Slices { columns, ..slices },
                    None => Slices {
                        columns: Some(columns?),
                        ..Slices::default()
                    },
                })
            },
            edge: &edge,
        })
    }

    /// Which rows of `model` changed, as its readers see it.
    fn slices(&self, model: &Model, columns: ColumnsOf<'_>) -> Slices {
        let any = |keys: BTreeSet<String>| Slices {
            back: vec![keys.clone()],
            ahead: vec![keys],
            ..Slices::default()
        };
        match &model.kind {
            ModelKind::IncrementalByTimeRange { time_column, .. } if is_fine(time_column) => {
                any(BTreeSet::from([time_column.column.clone()]))
            }
            ModelKind::View | ModelKind::Embedded => {
                let query = parse(model).filter(|query| self.is_all_seen(model, query));
                let slices = query.and_then(|query| self.read(model, &query, columns));
                slices.unwrap_or_else(|| any(BTreeSet::new()))
            }
            // Whoever says that days of it changed means the column that is compared with days.
            ModelKind::External => Slices {
                any_column: true,
                ..any(columns(&model.name).into_iter().flatten().collect())
            },
            ModelKind::IncrementalByTimeRange { .. }
            | ModelKind::MaterializedView
            | ModelKind::Full
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_)
            | ModelKind::Seed(_) => any(BTreeSet::new()),
        }
    }
}

/// Whether the column's values are no longer than days; rows of a whole month are written again with any of its days.
fn is_fine(column: &TimeColumn) -> bool {
    !matches!(column.finest(), Some(TimePart::Month | TimePart::Year))
}

/// The end of the interval that a marker stands for.
fn edge(marker: &str) -> Option<Edge> {
    let (variable, rest) = RuntimeVariable::from_marker(marker)?;
    let RuntimeVariable::Time(TimeMoment::Start | TimeMoment::End, form) = variable else {
        return None;
    };
    let by_day = match form {
        TimeForm::Date | TimeForm::Ds => true,
        TimeForm::Dt
        | TimeForm::Dtntz
        | TimeForm::Ts
        | TimeForm::Tstz
        | TimeForm::Epoch
        | TimeForm::Millis => false,
        TimeForm::Hour => return None,
    };
    // A time of the day behind it stays within the day.
    let is_end = rest.is_empty() || by_day && rest.starts_with([' ', 'T']);
    is_end.then_some(Edge { by_day })
}

#[cfg(test)]
mod tests;
