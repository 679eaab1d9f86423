//! Comparisons read the same from both sides: `a = b` is `b = a`, `a > b` is `b < a`, for every type and with
//! NULLs (both are NULL when either side is). Which side is converted to which type does not depend on the order.
//!
//! `a <> b` is `NOT a = b`, by the standard's definition. `a <= b` is `NOT b < a` where the values of a type are in one
//! total order: DuckDB, Postgres, Redshift, Snowflake and Spark promise one, NaN included; for BigQuery, Trino and
//! ClickHouse both `NaN <= 1` and `1 < NaN` are false, so there it stays what it is.
//!
//! A comparison of two whole numbers has its value at once: see `constants.rs`.

use sqlparser::ast::BinaryOperator;

use crate::sql::Dialect;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;
use crate::sql::meaning::rewrites::constants;
use crate::sql::meaning::rewrites::not;

/// The six comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sql::meaning) enum Comparison {
    Equal,
    Different,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Comparison {
    pub(in crate::sql::meaning) fn of(operator: &BinaryOperator) -> Option<Self> {
        match operator {
            BinaryOperator::Eq => Some(Self::Equal),
            BinaryOperator::NotEq => Some(Self::Different),
            BinaryOperator::Lt => Some(Self::Less),
            BinaryOperator::LtEq => Some(Self::AtMost),
            BinaryOperator::Gt => Some(Self::More),
            BinaryOperator::GtEq => Some(Self::AtLeast),
            _ => None,
        }
    }
}

pub(in crate::sql::meaning) fn compare(
    left: Scalar,
    comparison: Comparison,
    right: Scalar,
    dialect: Dialect,
) -> Scalar {
    if let (Shape::Integer(left), Shape::Integer(right)) = (&left.shape, &right.shape) {
        return constants::boolean(constants::holds(*left, comparison, *right));
    }
    let shape = cut(&left, comparison, &right);
    let total = is_total_order(dialect);
    let (tag, swap, negate) = match comparison {
        Comparison::Equal => ("=", right.digest < left.digest, false),
        Comparison::Different => ("=", right.digest < left.digest, true),
        Comparison::Less => ("<", false, false),
        Comparison::More => ("<", true, false),
        Comparison::AtMost if total => ("<", true, true),
        Comparison::AtLeast if total => ("<", false, true),
        Comparison::AtMost => ("<=", false, false),
        Comparison::AtLeast => ("<=", true, false),
    };
    let (first, second) = if swap { (right, left) } else { (left, right) };
    let value = Scalar::over(Node::new(tag), [&first, &second]).truth();
    let mut value = if negate { not(value) } else { value };
    if let Some(shape) = shape {
        value.shape = shape;
    }
    value
}

fn is_total_order(dialect: Dialect) -> bool {
    match dialect {
        Dialect::DuckDb
        | Dialect::Postgres
        | Dialect::Redshift
        | Dialect::Snowflake
        | Dialect::Databricks
        | Dialect::Spark => true,
        Dialect::BigQuery
        | Dialect::Trino
        | Dialect::Athena
        | Dialect::ClickHouse
        | Dialect::MySql
        | Dialect::Tsql => false,
    }
}

/// `a IS NOT DISTINCT FROM b`, which is its own mirror.
pub(in crate::sql::meaning) fn not_distinct(left: Scalar, right: Scalar) -> Scalar {
    let (first, second) = if right.digest < left.digest {
        (right, left)
    } else {
        (left, right)
    };
    Scalar::over(Node::new("is not distinct"), [&first, &second]).truth()
}

/// A row number against a literal cuts the rows of each partition off.
fn cut(left: &Scalar, comparison: Comparison, right: &Scalar) -> Option<Shape> {
    let (ties, upper) = match (&left.shape, &right.shape) {
        (Shape::RowNumber(ties), Shape::Integer(_)) => (
            ties,
            matches!(
                comparison,
                Comparison::Equal | Comparison::Less | Comparison::AtMost
            ),
        ),
        (Shape::Integer(_), Shape::RowNumber(ties)) => (
            ties,
            matches!(
                comparison,
                Comparison::Equal | Comparison::More | Comparison::AtLeast
            ),
        ),
        _ => return None,
    };
    upper.then(|| Shape::Cut(ties.clone()))
}
