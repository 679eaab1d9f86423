//! The values of a project's variables.

use crate::project::yaml::Data;
use crate::project::yaml::Node;
use crate::sql::Dialect;
use crate::sql::tokens;

/// The value of a variable from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Variable {
    /// `NULL`.
    Null,
    /// `TRUE` or `FALSE`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text; a string literal in SQL.
    Text(String),
    /// Several values; `(…, …)` in SQL.
    List(Vec<Self>),
    /// A map, which is not supported yet: using one is an error.
    Map,
}

impl Variable {
    /// The value of `node`.
    pub(super) fn from_node(node: &Node) -> Self {
        match &node.data {
            Data::Null => Self::Null,
            Data::Bool(value) => Self::Bool(*value),
            Data::Integer(value) => Self::Integer(*value),
            Data::Float(value) => Self::Float(*value),
            Data::Text(text) => Self::Text(text.clone()),
            Data::List(items) => Self::List(items.iter().map(Self::from_node).collect()),
            Data::Map(_) => Self::Map,
        }
    }

    /// Whether it is a map or has one in it.
    pub(super) fn has_map(&self) -> bool {
        match self {
            Self::Map => true,
            Self::List(items) => items.iter().any(Self::has_map),
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Float(_) | Self::Text(_) => false,
        }
    }

    /// The value as SQL.
    pub fn to_sql(&self, dialect: Dialect) -> String {
        match self {
            Self::Text(text) => tokens::string_literal(text, dialect),
            Self::Null | Self::Map => "NULL".to_owned(),
            Self::Bool(true) => "TRUE".to_owned(),
            Self::Bool(false) => "FALSE".to_owned(),
            Self::Integer(_) | Self::Float(_) => self.to_text(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.to_sql(dialect)).collect();
                format!("({})", items.join(", "))
            }
        }
    }

    /// The value inside a name or a string template.
    pub fn to_text(&self) -> String {
        match self {
            Self::Null | Self::Map => "None".to_owned(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => format!("{value:?}"),
            Self::Text(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_text).collect();
                items.join(", ")
            }
        }
    }
}
