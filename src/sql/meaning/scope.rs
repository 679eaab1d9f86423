//! Which column a name means.

use std::rc::Rc;

use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Field;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;

/// What a join does to the columns of one of its sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrap {
    /// The relation at this place of a product.
    At(usize),
    /// The side of an outer join, a lateral join, …
    Side(&'static str),
}

pub(super) fn wrapped(mut value: Scalar, wraps: &[Wrap]) -> Scalar {
    for wrap in wraps {
        value.digest = wrap_digest(value.digest, *wrap);
    }
    let keeps_shape = wraps.is_empty()
        && matches!(
            value.shape,
            Shape::And(_) | Shape::Or(_) | Shape::Not(_) | Shape::Boolean(_) | Shape::RowNumber(_)
        );
    if !keeps_shape {
        value.shape = Shape::Column;
    }
    value
}

pub(super) fn wrap_digest(digest: Digest, wrap: Wrap) -> Digest {
    match wrap {
        Wrap::At(place) => Node::new("at").number(place).digest(digest).finish(),
        Wrap::Side(side) => Node::new(side).digest(digest).finish(),
    }
}

/// A relation in a FROM under its name.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    /// Its alias, or the parts of the table's name, innermost last. Empty when nothing names it.
    pub(super) path: Vec<String>,
    pub(super) columns: Columns,
    pub(super) wraps: Vec<Wrap>,
    /// Columns that USING merged into those of an earlier relation.
    pub(super) hidden: Vec<String>,
}

/// A column that USING or NATURAL made of two.
#[derive(Clone, Debug)]
pub(super) struct Merged {
    pub(super) name: String,
    pub(super) value: Scalar,
    pub(super) wraps: Vec<Wrap>,
    /// The binding at whose place a star shows it.
    pub(super) binding: usize,
}

/// What an alias of the SELECT stands for.
#[derive(Clone, Debug)]
pub(super) enum Alias {
    /// Not lowered yet: the place among the items.
    Waiting(usize),
    /// Being lowered: it cannot mean itself.
    Busy,
    Done(Rc<Scalar>),
}

/// Where names are looked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    /// FROM and ON: no aliases.
    From,
    /// SELECT, WHERE, GROUP BY: columns, then aliases.
    ColumnsFirst,
    /// HAVING, QUALIFY, ORDER BY: engines differ.
    Either,
}

/// One SELECT while it is lowered.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bindings: Vec<Binding>,
    pub(super) merged: Vec<Merged>,
    pub(super) aliases: Vec<(String, Alias)>,
    pub(super) clause: Clause,
    /// The rows that its items are computed for, once they are known.
    pub(super) rows: Option<Digest>,
    /// The same as a digest of the rows alone.
    pub(super) numbered: Option<Digest>,
    /// Sets of columns of which no two of these rows have the same values.
    pub(super) keys: Vec<Rc<[Digest]>>,
    /// Whether a call folds its rows.
    pub(super) aggregates: bool,
    /// Calls that may give several rows, or fold them: they help to decide which rows come out.
    pub(super) expanders: Vec<Scalar>,
    /// Names that stand for something inside of an expression: parameters of lambdas.
    pub(super) parameters: Vec<(String, Scalar)>,
}

impl Frame {
    pub(super) fn new() -> Self {
        Self {
            bindings: Vec::new(),
            merged: Vec::new(),
            aliases: Vec::new(),
            clause: Clause::From,
            rows: None,
            numbered: None,
            keys: Vec::new(),
            aggregates: false,
            expanders: Vec::new(),
            parameters: Vec::new(),
        }
    }

    /// Puts `wrap` around every column that there is so far.
    pub(super) fn wrap(&mut self, wrap: Wrap) {
        for binding in &mut self.bindings {
            binding.wraps.push(wrap);
        }
        for merged in &mut self.merged {
            merged.wraps.push(wrap);
        }
    }

    pub(super) fn merged(&self, name: &str) -> Option<Scalar> {
        let merged = self.merged.iter().find(|merged| merged.name == name)?;
        Some(wrapped(merged.value.clone(), &merged.wraps))
    }
}

/// The fields with this name.
pub(super) fn named<'f>(fields: &'f [Field], name: &'f str) -> impl Iterator<Item = &'f Field> {
    fields
        .iter()
        .filter(move |field| field.name.as_deref() == Some(name))
}
