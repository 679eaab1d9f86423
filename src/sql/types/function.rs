//! What calls of functions give.

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::access;
use crate::sql::types::in_duckdb;
use crate::sql::types::in_postgres;

/// One call of a function, an aggregate or a window function.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// In lower case, without schema: `date_trunc`.
    pub name: &'a str,
    /// The arguments in order; `COUNT(*)` has none. A lambda stands here as the type of its body.
    pub arguments: &'a [Option<Operand>],
    /// The names of the arguments where they have one (`struct_pack(a := 1)`); else empty.
    pub names: &'a [Option<&'a str>],
    /// What `WITHIN GROUP (ORDER BY …)` orders by.
    pub within_group: &'a [Option<Operand>],
}

/// The type that `call` gives; `None` for a function that is not known, or not with these arguments.
pub fn function(call: &Call<'_>, dialect: Dialect) -> Option<Operand> {
    match dialect {
        Dialect::DuckDb => in_duckdb::function(call),
        Dialect::Postgres => in_postgres::function(call),
        _ => None,
    }
}

/// The types of the parameters of a lambda that is an argument of `name`.
///
/// `arguments` are the types of the other arguments, with `None` where the lambda stands. There are
/// as many as a lambda can have: one that takes fewer leaves the last ones out.
pub fn lambda_parameters(
    name: &str,
    arguments: &[Option<Operand>],
    dialect: Dialect,
) -> Option<Vec<DataType>> {
    let Some(Some(Operand::Typed(list))) = arguments.first() else {
        return None;
    };
    let element = access::element(list)?;
    match (name, dialect) {
        (
            "list_transform" | "array_transform" | "list_apply" | "array_apply" | "apply"
            | "list_filter" | "array_filter" | "filter",
            Dialect::DuckDb,
        ) => Some(vec![element, DataType::BigInt]),
        (
            "transform" | "filter" | "any_match" | "all_match" | "none_match" | "exists" | "forall",
            Dialect::Trino | Dialect::Athena | Dialect::Spark | Dialect::Databricks,
        ) => Some(vec![element]),
        _ => None,
    }
}
