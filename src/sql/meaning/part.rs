//! A piece of a query: what it means, and what it reads.

use std::rc::Rc;

use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;

/// A sorted set of small numbers that is cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(Option<Rc<[u32]>>);

impl Set {
    pub(super) fn of(item: u32) -> Self {
        Self(Some(Rc::new([item])))
    }

    pub(super) fn from_unsorted(mut items: Vec<u32>) -> Self {
        items.sort_unstable();
        items.dedup();
        Self((!items.is_empty()).then(|| items.into()))
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (_, None) => self.clone(),
            (None, _) => other.clone(),
            (Some(left), Some(right)) => {
                if Rc::ptr_eq(left, right) || right.iter().all(|item| left.contains(item)) {
                    return self.clone();
                }
                let mut items = left.to_vec();
                items.extend_from_slice(right);
                Self::from_unsorted(items)
            }
        }
    }
}

/// What a piece reads, whatever it does with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// Columns of tables.
    pub(super) columns: Set,
    /// Tables of which it matters how many rows there are.
    pub(super) tables: Set,
    /// The SELECTs around it whose rows it looks at, one bit each, the outermost first.
    pub(super) levels: u64,
    /// Whether it may come out differently when it is computed again over the same rows.
    pub(super) unstable: bool,
}

impl Reads {
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            columns: self.columns.union(&other.columns),
            tables: self.tables.union(&other.tables),
            levels: self.levels | other.levels,
            unstable: self.unstable || other.unstable,
        }
    }

    pub(super) fn all<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut columns, mut tables) = (Vec::new(), Vec::new());
        let mut all = Self::default();
        for part in parts {
            columns.extend_from_slice(part.columns.as_slice());
            tables.extend_from_slice(part.tables.as_slice());
            all.levels |= part.levels;
            all.unstable |= part.unstable;
        }
        all.columns = Set::from_unsorted(columns);
        all.tables = Set::from_unsorted(tables);
        all
    }

    pub(super) fn unstable() -> Self {
        Self {
            unstable: true,
            ..Self::default()
        }
    }
}

/// Which rows a relation has: those of `base` that pass all filters.
///
/// Filters are kept as a set, because a filter over a filter is the AND of both, in any order.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    base: Digest,
    filters: Vec<Digest>,
    pub(super) reads: Reads,
}

impl Rows {
    pub(super) fn new(base: Digest, reads: Reads) -> Self {
        Self {
            base,
            filters: Vec::new(),
            reads,
        }
    }

    pub(super) fn filter(&mut self, condition: Digest, reads: &Reads) {
        if let Err(place) = self.filters.binary_search(&condition) {
            self.filters.insert(place, condition);
        }
        self.reads = self.reads.and(reads);
    }

    pub(super) fn filters(&self) -> &[Digest] {
        &self.filters
    }

    pub(super) fn digest(&self) -> Digest {
        if self.filters.is_empty() {
            return self.base;
        }
        Node::new("filter")
            .digest(self.base)
            .digests(self.filters.iter().copied())
            .finish()
    }
}
