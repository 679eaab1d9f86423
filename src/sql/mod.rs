//! SQL text and its tree. The only module that names the parser crate.
#![warn(missing_docs)]

mod casts;
mod depth;
mod dialect;
mod differences;
mod fold;
mod grammar;
mod meaning;
mod names;
mod parse;
mod query;
mod rewrite;
mod scan;
mod scope;
mod splice;
mod table_name;
mod tables;
pub mod tokens;
pub mod types;
mod walk;

pub use casts::name_casts;
pub use dialect::Dialect;
pub use dialect::UnknownDialect;
pub use differences::Edit;
pub use differences::differences;
pub use fold::fold;
pub use meaning::Digest;
pub use meaning::Meaning;
pub use meaning::Node;
pub use meaning::OutputColumn;
pub use meaning::Part;
pub use meaning::Problem;
pub use meaning::ProblemKind;
pub use meaning::Schema;
pub use meaning::SchemaOf;
pub use meaning::Source;
pub use query::Query;
pub use rewrite::Replacement;
pub use rewrite::replace_tables;
pub use table_name::TableName;
pub use table_name::quote_identifier;
pub use table_name::quote_string;
pub use types::DataType;
pub use types::parse_type;
