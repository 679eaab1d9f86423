//! `x IN (a, b)`: the order of the list and doublings in it change nothing. The list has one common type, whatever
//! its order. A list of one stays a list: what `=` and IN convert to which type differs.

use crate::sql::meaning::digest::Node;
use crate::sql::meaning::relation::Scalar;

pub(in crate::sql::meaning) fn in_list(value: &Scalar, mut list: Vec<Scalar>) -> Scalar {
    list.sort_by_key(|item| item.digest);
    list.dedup_by_key(|item| item.digest);
    let parts = std::iter::once(value).chain(&list);
    Scalar::over(Node::new("in list"), parts).truth()
}
