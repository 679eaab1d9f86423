//! What the parameters of a function accept, and what a function gives.

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::parse_type;

/// A type with holes, as `duckdb_functions()` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// `ANY`: as a result, the function decides by itself.
    Any,
    /// `T`, `K`, `V`: the same type wherever the letter stands.
    Letter(char),
    /// `DECIMAL` of any size.
    Decimal,
    /// A list of something.
    List(Box<Self>),
    /// `FLOAT[ANY]`: an array of any length.
    Array(Box<Self>),
    Map(Box<Self>, Box<Self>),
    /// The rows that a map consists of.
    Entries(Box<Self>, Box<Self>),
    /// `STRUCT`, `UNION`, `LAMBDA`, … without more.
    Family(Family),
    Exactly(DataType),
}

/// A kind of types of which only the kind is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Struct,
    Union,
    Map,
    List,
    Array,
    Lambda,
}

/// One of the forms in which a function can be called.
#[derive(Clone, Debug)]
pub(super) struct Overload {
    pub(super) parameters: Vec<Pattern>,
    /// What all further arguments must fit.
    pub(super) rest: Option<Pattern>,
    pub(super) result: Pattern,
}

/// Reads `INTEGER, ANY... -> VARCHAR`.
pub(super) fn overload(text: &str) -> Option<Overload> {
    let (parameters, result) = text.split_once("-> ")?;
    let mut overload = Overload {
        parameters: Vec::new(),
        rest: None,
        result: pattern(result)?,
    };
    for text in parts(parameters.trim()) {
        match text.strip_suffix("...") {
            Some(text) => overload.rest = Some(pattern(text)?),
            None => overload.parameters.push(pattern(text)?),
        }
    }
    Some(overload)
}

fn pattern(text: &str) -> Option<Pattern> {
    let text = text.trim();
    if let Some(element) = text.strip_suffix("[]") {
        return Some(match element {
            r#"STRUCT(K, V)"# | r#"STRUCT("key" K, "value" V)"# => Pattern::Entries(
                Box::new(Pattern::Letter('K')),
                Box::new(Pattern::Letter('V')),
            ),
            _ => match pattern(element)? {
                Pattern::Exactly(element) => Pattern::Exactly(DataType::list(element)),
                element => Pattern::List(Box::new(element)),
            },
        });
    }
    if let Some(element) = text.strip_suffix("[ANY]") {
        return Some(Pattern::Array(Box::new(pattern(element)?)));
    }
    Some(match text {
        "ANY" => Pattern::Any,
        "T" => Pattern::Letter('T'),
        "K" => Pattern::Letter('K'),
        "V" => Pattern::Letter('V'),
        "DECIMAL" => Pattern::Decimal,
        "MAP(K, V)" => Pattern::Map(
            Box::new(Pattern::Letter('K')),
            Box::new(Pattern::Letter('V')),
        ),
        "STRUCT" | "STRUCT()" => Pattern::Family(Family::Struct),
        "UNION" => Pattern::Family(Family::Union),
        "MAP" => Pattern::Family(Family::Map),
        "LIST" => Pattern::Family(Family::List),
        "ARRAY" => Pattern::Family(Family::Array),
        "LAMBDA" => Pattern::Family(Family::Lambda),
        _ => Pattern::Exactly(parse_type(text, Dialect::DuckDb)?),
    })
}

/// The parts of `text` between the commas that stand in no parentheses.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() {
        parts.push(&text[start..]);
    }
    parts
}
