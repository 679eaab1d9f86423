//! What one FROM item, common table expression or query hands on.

use std::collections::BTreeSet;

use crate::sql::slices::Slices;
use crate::sql::slices::graph::Column;
use crate::sql::slices::graph::SIDES;
use crate::sql::slices::graph::Side;

/// A column of a query around: the place of its SELECT on the stack, and the column there.
pub(super) type Around = (usize, Column);

/// An open part.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    /// The output columns that close it.
    pub(super) keys: BTreeSet<usize>,
    /// The columns of queries around that do.
    pub(super) around: BTreeSet<Around>,
}

/// One direction of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Direction {
    pub(super) open: BTreeSet<Part>,
    /// The output columns whose values are on this side of the interval's end, or missing.
    pub(super) within: BTreeSet<usize>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Relation {
    /// Names of columns; `None` for those that nobody can name.
    pub(super) columns: Vec<Option<String>>,
    /// Whether it may have others besides.
    pub(super) more: bool,
    /// Whether the columns stand in their order, with none between.
    pub(super) ordered: bool,
    /// Whether any column is a key of all parts.
    pub(super) any_column: bool,
    pub(super) directions: [Direction; 2],
}

/// Above this, parts become one that nothing closes.
const MOST_PARTS: usize = 64;

impl Relation {
    /// One whose columns nobody knows, made of nothing that lies in slices.
    pub(super) fn unknown() -> Self {
        Self {
            more: true,
            ..Self::default()
        }
    }

    pub(super) fn of_table(slices: &Slices) -> Self {
        let mut columns = slices.columns.clone().unwrap_or_default();
        let known = slices.columns.is_some();
        let given = columns.len();
        for key in slices.back.iter().chain(&slices.ahead).flatten() {
            if !columns.contains(key) {
                columns.push(key.clone());
            }
        }
        let columns_given = columns.len() == given;
        let directions = [&slices.back, &slices.ahead].map(|parts| {
            let keys = |part: &BTreeSet<String>| {
                let places = columns.iter().enumerate();
                let places = places.filter(|(_, name)| part.contains(*name));
                Part {
                    keys: places.map(|(place, _)| place).collect(),
                    around: BTreeSet::new(),
                }
            };
            Direction {
                open: parts.iter().map(keys).collect(),
                within: BTreeSet::new(),
            }
        });
        Self {
            columns: columns.into_iter().map(Some).collect(),
            more: !known,
            ordered: known && columns_given,
            any_column: slices.any_column,
            directions,
        }
    }

    pub(super) fn into_slices(self, by_day: bool) -> Slices {
        let names = |side: Side| {
            let parts = &self.directions[side as usize].open;
            let name = |place: &usize| {
                let name = self.columns[*place].clone()?;
                let same = self
                    .columns
                    .iter()
                    .filter(|other| other.as_ref() == Some(&name));
                (same.count() == 1).then_some(name)
            };
            let parts = parts.iter();
            parts
                .map(|part| part.keys.iter().filter_map(name).collect())
                .collect()
        };
        Slices {
            columns: None,
            back: names(Side::Back),
            ahead: names(Side::Ahead),
            any_column: false,
            by_day,
        }
    }

    /// Takes all keys away: which rows come out may depend on all there are.
    pub(super) fn loosen(&mut self) {
        for direction in &mut self.directions {
            let parts = std::mem::take(&mut direction.open);
            direction.open = parts
                .into_iter()
                .map(|part| Part {
                    keys: BTreeSet::new(),
                    ..part
                })
                .collect();
        }
        self.any_column = false;
    }

    /// The same as seen through `AS name(columns)`.
    pub(super) fn renamed(mut self, names: &[String]) -> Self {
        if names.is_empty() {
            return self;
        }
        if !self.ordered {
            let columns = names.iter().cloned().map(Some).collect();
            self.forget_columns();
            self.columns = columns;
            return self;
        }
        for (column, name) in self.columns.iter_mut().zip(names) {
            *column = Some(name.clone());
        }
        self
    }

    /// Loses all that is known of its columns.
    pub(super) fn forget_columns(&mut self) {
        self.loosen();
        self.columns = Vec::new();
        self.more = true;
        self.ordered = false;
        for direction in &mut self.directions {
            direction.within.clear();
        }
    }

    /// The rows of both, or what a set operation takes of them.
    pub(super) fn combined(mut self, mut other: Self) -> Self {
        let fits = self.ordered && other.ordered && self.columns.len() == other.columns.len();
        if !fits {
            self.forget_columns();
            other.forget_columns();
        }
        self.any_column = false;
        for side in SIDES {
            let mine = &mut self.directions[side as usize];
            let theirs = std::mem::take(&mut other.directions[side as usize]);
            mine.open.extend(theirs.open);
            mine.within.retain(|place| theirs.within.contains(place));
            if mine.open.len() > MOST_PARTS {
                mine.open = BTreeSet::from([Part::default()]);
            }
        }
        self
    }

    /// Sets the parts that are open on `side`.
    pub(super) fn set_open(&mut self, side: Side, parts: BTreeSet<Part>) {
        self.directions[side as usize].open = if parts.len() > MOST_PARTS {
            BTreeSet::from([Part::default()])
        } else {
            parts
        };
    }
}
