//! The types of DuckDB's expressions, by the rules that DuckDB itself binds them with.

mod aggregates;
mod common;
mod functions;
mod implicit;
mod nested;
mod operators;
mod overloads;
mod pattern;
#[cfg(test)]
mod tests;

use crate::sql::types::Call;
use crate::sql::types::Context;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_duckdb::common::Force;

/// The type that a literal has alone.
pub(super) fn settle(operand: &Operand) -> DataType {
    common::settle(operand)
}

/// The type of `left symbol right`, or of `symbol left`.
pub(super) fn operator(symbol: &str, operands: &[Option<Operand>]) -> Option<Operand> {
    operators::operator(symbol, operands)
}

/// The type that `call` gives.
pub(super) fn function(call: &Call<'_>) -> Option<Operand> {
    functions::function(call)
}

/// One type for all of `operands`.
pub(super) fn common(context: Context, operands: &[Option<Operand>]) -> Option<Operand> {
    match context {
        Context::Choice | Context::List => functions::choice(operands),
        Context::Case => {
            // ELSE counts first.
            let mut operands = operands.to_vec();
            if !operands.is_empty() {
                operands.rotate_right(1);
            }
            functions::choice(&operands)
        }
        Context::Union | Context::Values => {
            let (first, others) = operands.split_first()?;
            let literal = |operand: &Operand| match context {
                // A branch of a set operation is a query, and its columns have types.
                Context::Union => Operand::from(settle(operand)),
                _ => operand.clone(),
            };
            let mut all = Operand::from(settle(first.as_ref()?));
            for operand in others {
                all = common::common(&all, &literal(operand.as_ref()?), Force::Yes)?;
            }
            Some(settle(&all).into())
        }
    }
}
