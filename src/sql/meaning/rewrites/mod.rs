//! Spellings that mean the same: each file holds one family, with the argument why it holds.
//!
//! Every rewrite here must hold with NULLs, duplicates and every type of the dialect. `tests.rs` runs both
//! spellings of each in DuckDB.

mod between;
mod comparison;
mod conjunction;
mod constants;
mod membership;
mod negation;
#[cfg(test)]
mod tests;

pub(super) use between::between;
pub(super) use comparison::Comparison;
pub(super) use comparison::compare;
pub(super) use comparison::not_distinct;
pub(super) use conjunction::and;
pub(super) use conjunction::condition;
pub(super) use conjunction::conjuncts;
pub(super) use conjunction::or;
pub(super) use membership::in_list;
pub(super) use negation::not;
