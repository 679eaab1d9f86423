//! Relations and values while a query is lowered.

use std::rc::Rc;

use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Rows;
use crate::sql::meaning::part::Set;
use crate::sql::types::Operand;

/// The value of an expression.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    /// What it means for one row of the relation around it.
    pub(super) digest: Digest,
    /// Everything that it depends on.
    pub(super) reads: Reads,
    /// The source columns that its value is made of.
    pub(super) lineage: Set,
    /// Its type, as far as known.
    pub(super) operand: Option<Operand>,
    /// What rewrites look at.
    pub(super) shape: Shape,
}

/// The outermost form of an expression.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A column as it is.
    Column,
    /// A whole number.
    Integer(i128),
    /// TRUE or FALSE.
    Boolean(bool),
    /// Whatever else; `truth` when it is certain that the type is BOOLEAN.
    Other { truth: bool },
    /// A conjunction, in order of digest, without duplicates.
    And(Vec<Scalar>),
    /// A disjunction, in order of digest, without duplicates.
    Or(Vec<Scalar>),
    /// A negation of what is no negation itself.
    Not(Box<Scalar>),
    /// A row number over ties: what stands in the keys is certain, the rest is not.
    RowNumber(Ties),
    /// A condition on such a row number and literals alone.
    Cut(Ties),
}

/// What is certain about rows that were numbered although some tie.
#[derive(Clone, Debug)]
pub(super) struct Ties {
    /// The partition and the order.
    pub(super) keys: Rc<[Digest]>,
    /// The rows that were numbered: another filter on them may hit one of those that tie and not the other.
    pub(super) rows: Digest,
}

impl Scalar {
    pub(super) fn new(digest: Digest, reads: Reads, lineage: Set) -> Self {
        Self {
            digest,
            reads,
            lineage,
            operand: None,
            shape: Shape::Other { truth: false },
        }
    }

    /// A node over `parts`, which all add to its value.
    pub(super) fn over<'a>(node: Node, parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let parts: Vec<&Self> = parts.into_iter().collect();
        let digest = node.digests(parts.iter().map(|part| part.digest)).finish();
        let reads = Reads::all(parts.iter().map(|part| &part.reads));
        let lineage = parts
            .iter()
            .fold(Set::default(), |all, part| all.union(&part.lineage));
        Self::new(digest, reads, lineage)
    }

    #[must_use]
    pub(super) fn truth(mut self) -> Self {
        self.shape = Shape::Other { truth: true };
        self.operand = Some(crate::sql::types::comparison());
        self
    }

    #[must_use]
    pub(super) fn typed(mut self, operand: Option<Operand>) -> Self {
        self.operand = operand;
        self
    }

    /// Whether it is certain that the value is TRUE, FALSE or NULL.
    pub(super) fn is_truth(&self) -> bool {
        match &self.shape {
            Shape::Boolean(_) | Shape::And(_) | Shape::Or(_) | Shape::Not(_) | Shape::Cut(_) => {
                true
            }
            Shape::Other { truth } => {
                *truth || self.operand == Some(crate::sql::types::comparison())
            }
            Shape::Column => self.operand == Some(crate::sql::types::comparison()),
            Shape::Integer(_) | Shape::RowNumber(_) => false,
        }
    }
}

/// A column of a relation.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// As the dialect stores it; `None` when the engine makes one up.
    pub(super) name: Option<String>,
    pub(super) value: Scalar,
}

/// Which columns a relation has.
#[derive(Clone, Debug)]
pub(super) enum Columns {
    /// These.
    Listed(Rc<Vec<Field>>),
    /// Those of the table with this number, known or not.
    Table(u32),
    /// Nobody knows; what all of them together are made of.
    Unknown(Box<Scalar>),
    /// These, and others that nobody knows at places that nobody knows.
    Partly(Rc<Vec<Field>>, Box<Scalar>),
}

/// What a FROM or a query gives.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) rows: Rows,
    pub(super) columns: Columns,
    /// Sets of columns of which no two rows have the same values.
    pub(super) keys: Vec<Rc<[Digest]>>,
}

impl Relation {
    /// The same where rows that were chosen among ties are no longer certain, but for the columns in `certain`.
    pub(super) fn unsettle(&mut self, certain: &[Digest]) {
        match &mut self.columns {
            Columns::Listed(fields) => {
                for field in Rc::make_mut(fields) {
                    if !certain.contains(&field.value.digest) {
                        field.value.reads.unstable = true;
                    }
                }
            }
            Columns::Unknown(whole) => whole.reads.unstable = true,
            Columns::Partly(fields, whole) => {
                whole.reads.unstable = true;
                for field in Rc::make_mut(fields) {
                    if !certain.contains(&field.value.digest) {
                        field.value.reads.unstable = true;
                    }
                }
            }
            Columns::Table(_) => self.rows.reads.unstable = true,
        }
    }
}
