//! Names that mean nothing.

use serde::Deserialize;
use serde::Serialize;
use sqlparser::ast::Ident;

use crate::sql::meaning::lowering::Lowering;

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProblemKind {
    /// Nothing in reach has it.
    Unknown,
    /// Several relations in reach have it, and the engine will not choose.
    Ambiguous,
}

/// A name in a query that means nothing, or too much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// In which way.
    pub kind: ProblemKind,
    /// What is wrong, in words.
    pub message: String,
    /// A name that was probably meant.
    pub suggestion: Option<String>,
    /// Line and column in the query's text, from 1.
    pub place: (u64, u64),
}

fn place(ident: &Ident) -> (u64, u64) {
    (ident.span.start.line, ident.span.start.column)
}

/// `name` is no column of any relation in reach, all of which are known.
pub(super) fn unknown_column(lowering: &mut Lowering<'_, '_>, ident: &Ident) -> Problem {
    let name = lowering.name(ident);
    let names = lowering.names_in_reach(None);
    Problem {
        kind: ProblemKind::Unknown,
        message: format!(
            "no table that the query reads has a column `{}`",
            ident.value
        ),
        suggestion: nearest(&name, &names),
        place: place(ident),
    }
}

/// `name` is a column of each of `relations`.
pub(super) fn ambiguous_column(ident: &Ident, relations: &[Vec<String>]) -> Problem {
    let names: Vec<String> = relations.iter().map(|path| path.join(".")).collect();
    let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Problem {
        kind: ProblemKind::Ambiguous,
        message: format!(
            "`{}` may be a column of {}",
            ident.value,
            listed.join(" or of ")
        ),
        suggestion: names
            .iter()
            .find(|name| !name.is_empty())
            .map(|name| format!("{name}.{}", ident.value)),
        place: place(ident),
    }
}

/// `a.b` where `a` is no relation, or has no column `b`.
pub(super) fn unknown_path(lowering: &mut Lowering<'_, '_>, parts: &[Ident]) -> Problem {
    let names: Vec<String> = parts.iter().map(|part| lowering.name(part)).collect();
    let (column, qualifier) = (names.len() - 1, &names[..names.len() - 1]);
    let written: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    let relations = lowering.relations_in_reach();
    let is_relation = relations.iter().any(|path| path.ends_with(qualifier));
    if is_relation {
        let known = lowering.names_in_reach(Some(qualifier));
        return Problem {
            kind: ProblemKind::Unknown,
            message: format!(
                "`{}` has no column `{}`",
                written[..column].join("."),
                written[column]
            ),
            suggestion: nearest(&names[column], &known),
            place: place(&parts[column]),
        };
    }
    let known: Vec<String> = relations
        .iter()
        .filter_map(|path| path.last().cloned())
        .collect();
    Problem {
        kind: ProblemKind::Unknown,
        message: format!(
            "nothing in FROM is called `{}`",
            written[..column].join(".")
        ),
        suggestion: nearest(&names[0], &known),
        place: place(&parts[0]),
    }
}

/// The name that is most alike, if it is alike at all.
fn nearest(name: &str, known: &[String]) -> Option<String> {
    let ratio = |other: &String| similar::TextDiff::from_chars(name, other.as_str()).ratio();
    known
        .iter()
        .map(|other| (ratio(other), other))
        .filter(|(ratio, _)| *ratio >= 0.6)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, other)| other.clone())
}
