//! NOT in SQL's logic of three values: `NOT NOT x` is `x` where `x` is a truth value; NOT over AND is OR over NOTs
//! (De Morgan), and the other way; NULL stays NULL in both.
//!
//! Negated predicates (`NOT IN`, `NOT LIKE`, `IS NOT NULL`, `NOT EXISTS`, …) are NOT over the predicate, by
//! definition; `comparison.rs` says what becomes of `<>` and its like.

use crate::sql::meaning::digest::Node;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;
use crate::sql::meaning::rewrites::and;
use crate::sql::meaning::rewrites::constants;
use crate::sql::meaning::rewrites::or;

pub(in crate::sql::meaning) fn not(value: Scalar) -> Scalar {
    match value.shape {
        Shape::Boolean(truth) => constants::boolean(!truth),
        Shape::Not(inner) if inner.is_truth() => *inner,
        Shape::And(operands) => or(operands.into_iter().map(not).collect()),
        Shape::Or(operands) => and(operands.into_iter().map(not).collect()),
        _ => {
            let mut negated = Scalar::over(Node::new("not"), [&value]).truth();
            negated.shape = Shape::Not(Box::new(value));
            negated
        }
    }
}
