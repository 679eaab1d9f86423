//! SQL text and its tree. The only module that names the parser crate.
#![warn(missing_docs)]

mod additions;
mod canonical;
mod casts;
mod columns;
mod compare;
mod conditions;
mod depth;
mod dialect;
mod differences;
mod fold;
mod functions;
mod hazards;
mod items;
mod parse;
mod query;
mod rewrite;
mod scan;
mod scope;
mod shields;
mod splice;
mod table_name;
mod tables;
pub mod tokens;
mod volatile;
mod walk;

pub use casts::name_casts;
pub use columns::ColumnsOf;
pub use compare::ChangedColumns;
pub use compare::QueryChange;
pub use compare::compare;
pub use dialect::Dialect;
pub use dialect::UnknownDialect;
pub use fold::fold;
pub use query::Query;
pub use rewrite::Replacement;
pub use rewrite::replace_tables;
pub use table_name::TableName;
pub use table_name::quote_identifier;
pub use table_name::quote_string;
