//! AND and OR: associative, commutative and idempotent in SQL's logic of three values (they are the minimum and the
//! maximum of FALSE < NULL < TRUE), so a chain is a set. TRUE adds nothing to an AND, FALSE decides it; OR likewise.
//!
//! Operands that fail for some rows may be tried in another order, but SQL promises none in the first place.
//! An operand that is no truth value for certain keeps its AND around it: DuckDB turns `5 AND TRUE` into TRUE.

use crate::sql::meaning::digest::Node;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;
use crate::sql::meaning::rewrites::constants;

pub(in crate::sql::meaning) fn and(operands: Vec<Scalar>) -> Scalar {
    chain(operands, "and", true)
}

pub(in crate::sql::meaning) fn or(operands: Vec<Scalar>) -> Scalar {
    chain(operands, "or", false)
}

/// The operands of the AND that `value` is; of anything else, itself. Nothing where it is always true.
pub(in crate::sql::meaning) fn conjuncts(value: Scalar) -> Vec<Scalar> {
    match value.shape {
        Shape::And(operands) => operands,
        Shape::Boolean(true) => Vec::new(),
        _ => vec![value],
    }
}

/// `value` where only TRUE counts (WHERE, ON, HAVING, QUALIFY, FILTER, the WHEN of a CASE): there the truth value of
/// something is as good as the thing itself.
pub(in crate::sql::meaning) fn condition(value: Scalar) -> Scalar {
    match value.shape {
        Shape::And(operands) if operands.len() == 1 => {
            operands.into_iter().next().expect("there is one")
        }
        Shape::Or(operands) if operands.len() == 1 => {
            operands.into_iter().next().expect("there is one")
        }
        _ => value,
    }
}

fn chain(operands: Vec<Scalar>, tag: &str, neutral: bool) -> Scalar {
    let mut flat: Vec<Scalar> = Vec::with_capacity(operands.len());
    for operand in operands {
        match operand.shape {
            Shape::And(inner) if neutral => flat.extend(inner),
            Shape::Or(inner) if !neutral => flat.extend(inner),
            Shape::Boolean(truth) if truth == neutral => {}
            Shape::Boolean(truth) => return constants::boolean(truth),
            _ => flat.push(operand),
        }
    }
    flat.sort_by_key(|operand| operand.digest);
    flat.dedup_by_key(|operand| operand.digest);
    if flat.is_empty() {
        return constants::boolean(neutral);
    }
    if flat.len() == 1 && flat[0].is_truth() {
        return flat.remove(0);
    }
    let mut value = Scalar::over(Node::new(tag), &flat).truth();
    value.shape = if neutral {
        Shape::And(flat)
    } else {
        Shape::Or(flat)
    };
    value
}
