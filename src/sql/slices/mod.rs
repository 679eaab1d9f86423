//! Which slices of time a query reads of what it names.
//!
//! A query that fills one slice of time, the *interval*, should read nothing of its parents but what belongs to the same
//! slice. It does if each mention of a parent is tied to the interval: the column that says when is compared with the
//! interval's ends, or is equal to a column that is tied, of another mention, a common table expression or a query around.
//!
//! Every mention whose rows lie in slices is an *open* part. A SELECT closes it where its filters and joins leave it no
//! rows but those of the interval. `graph` has the argument: what follows from which comparison, in inner and outer
//! joins. What stays open is handed on, with those columns of the output that would close it if somebody bounded them:
//! a window or a GROUP BY keeps only those that it divides by, LIMIT keeps none. Both directions of time are looked at
//! by themselves, so that `b.ds <= a.ds` closes one of them.
//!
//! Where a name may mean several things, or a construct is not known, nothing is closed.

mod facts;
mod frame;
mod from;
mod graph;
mod names;
mod output;
mod query;
mod relation;
mod select;

use std::collections::BTreeSet;

use sqlparser::ast;

use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::slices::query::Reader;

/// What a table or the result of a query is made of, by slices of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slices {
    /// The names of its columns in order; `None` means unknown.
    pub columns: Option<Vec<String>>,
    /// Parts that may be made of rows from before the interval. Each has the columns that keep them out if any one of
    /// them is bounded by the interval.
    pub back: Vec<BTreeSet<String>>,
    /// The same for rows from behind it.
    pub ahead: Vec<BTreeSet<String>>,
    /// Whether any column keeps them out, known or not: nobody said which one says when.
    pub any_column: bool,
    /// Whether days count as a whole, so that an interval of an hour means its day.
    pub by_day: bool,
}

/// An end of the interval, as a query names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Whether only its day is named.
    pub by_day: bool,
}

/// What the query is told about what it names.
#[derive(Clone, Copy)]
pub struct SliceNames<'a> {
    /// A table; `None` where nothing is known.
    pub table: &'a dyn Fn(&TableName) -> Option<Slices>,
    /// The end of the interval that a text, or the name of a function without arguments, stands for.
    pub edge: &'a dyn Fn(&str) -> Option<Edge>,
}

/// What the result is made of; `None` when a part of the query is not understood.
pub(super) fn slices(
    query: &ast::Query,
    dialect: Dialect,
    names: SliceNames<'_>,
) -> Option<Slices> {
    let mut reader = Reader::new(dialect, names);
    let relation = reader.query(query);
    if reader.is_lost {
        return None;
    }
    let by_day = reader.by_day;
    Some(relation.into_slices(by_day))
}
