//! The types of expressions, from the types of their parts.
//!
//! The lowering of a query calls these functions bottom up. DuckDB and PostgreSQL are answered;
//! where another dialect differs from what is known, the answer is `None`: unknown, never a guess.

mod access;
mod common;
mod data_type;
mod display;
mod function;
mod in_duckdb;
mod in_postgres;
mod names;
mod operand;
mod operator;
mod parse;

pub use access::element;
pub use access::field;
pub use access::slice;
pub use access::subscript;
pub use common::Context;
pub use common::common;
pub use common::list_of;
pub use common::map_of;
pub use common::struct_of;
pub use data_type::DataType;
pub use display::InDialect;
pub use function::Call;
pub use function::function;
pub use function::lambda_parameters;
pub use operand::Operand;
pub use operand::literal;
pub use operator::binary;
pub use operator::comparison;
pub use operator::unary;
pub use parse::NotAType;
pub use parse::of_ast;
pub use parse::parse_type;
