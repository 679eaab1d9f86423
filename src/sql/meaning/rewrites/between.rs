//! `x BETWEEN a AND b` is `x >= a AND x <= b`: so the standard defines it, NULLs included, and so engines plan it.
//! A volatile `x` is computed once in one spelling and twice in the other, but then its value is unstable anyway.

use crate::sql::Dialect;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::rewrites::Comparison;
use crate::sql::meaning::rewrites::and;
use crate::sql::meaning::rewrites::compare;

pub(in crate::sql::meaning) fn between(
    value: &Scalar,
    low: Scalar,
    high: Scalar,
    dialect: Dialect,
) -> Scalar {
    let from = compare(value.clone(), Comparison::AtLeast, low, dialect);
    let to = compare(value.clone(), Comparison::AtMost, high, dialect);
    and(vec![from, to])
}
