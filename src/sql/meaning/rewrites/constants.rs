//! Constants that are folded: only where the result is TRUE or FALSE, which every engine has as one value.
//!
//! `1 + 1` stays: in DuckDB the literal `2` takes the type of what stands beside it, `1 + 1` is an INTEGER.

use crate::sql::meaning::digest::Node;
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Set;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;
use crate::sql::meaning::rewrites::Comparison;
use crate::sql::types;

/// TRUE or FALSE.
pub(super) fn boolean(truth: bool) -> Scalar {
    let node = Node::new(if truth { "true" } else { "false" });
    let mut value = Scalar::new(node.finish(), Reads::default(), Set::default());
    value.shape = Shape::Boolean(truth);
    value.typed(Some(types::comparison()))
}

/// Whether two whole numbers compare so. All engines compare literals of whole numbers as numbers.
pub(super) fn holds(left: i128, comparison: Comparison, right: i128) -> bool {
    match comparison {
        Comparison::Equal => left == right,
        Comparison::Different => left != right,
        Comparison::Less => left < right,
        Comparison::AtMost => left <= right,
        Comparison::More => left > right,
        Comparison::AtLeast => left >= right,
    }
}
