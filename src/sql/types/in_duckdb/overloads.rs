//! Which overload of a function DuckDB takes, and what that gives.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::OnceLock;

use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_duckdb::common;
use crate::sql::types::in_duckdb::common::Force;
use crate::sql::types::in_duckdb::implicit;
use crate::sql::types::in_duckdb::pattern;
use crate::sql::types::in_duckdb::pattern::Family;
use crate::sql::types::in_duckdb::pattern::Overload;
use crate::sql::types::in_duckdb::pattern::Pattern;

/// The overloads by name, read from their text when a name is first used.
static OVERLOADS: LazyLock<HashMap<&str, Entry>> = LazyLock::new(|| {
    include_str!("signatures.tsv")
        .lines()
        .filter(|line| !line.starts_with("# "))
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, text)| {
            (
                name,
                Entry {
                    text,
                    overloads: OnceLock::new(),
                },
            )
        })
        .collect()
});

struct Entry {
    text: &'static str,
    overloads: OnceLock<Vec<Overload>>,
}

/// The ways to call `name`; empty when DuckDB has no such function.
pub(super) fn overloads(name: &str) -> &'static [Overload] {
    let Some(entry) = OVERLOADS.get(name) else {
        return &[];
    };
    entry.overloads.get_or_init(|| {
        entry
            .text
            .split(" | ")
            .map(|text| pattern::overload(text).expect("the table is checked by a test"))
            .collect()
    })
}

/// Every name in the table, with the text of its overloads.
#[cfg(test)]
pub(super) fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    OVERLOADS.iter().map(|(name, entry)| (*name, entry.text))
}

/// The type that `name(arguments)` has; `None` when it is unknown, or when only the function knows.
pub(super) fn resolve(name: &str, arguments: &[Option<Operand>]) -> Option<DataType> {
    let overloads = overloads(name);
    if arguments.iter().any(Option::is_none) {
        return whatever_comes(overloads, arguments);
    }
    let known: Vec<&Operand> = arguments.iter().flatten().collect();
    let best = cheapest(overloads, &known)?;
    result(best, &known)
}

/// The result if it is the same with every type that the unknown arguments may have.
fn whatever_comes(overloads: &[Overload], arguments: &[Option<Operand>]) -> Option<DataType> {
    let mut possible = overloads
        .iter()
        .filter(|overload| fits(overload, arguments))
        .map(|overload| &overload.result);
    let Pattern::Exactly(first) = possible.next()? else {
        return None;
    };
    possible
        .all(|other| matches!(other, Pattern::Exactly(other) if other == first))
        .then(|| first.clone())
}

fn fits(overload: &Overload, arguments: &[Option<Operand>]) -> bool {
    let parameters = overload.parameters.len();
    arguments.len() >= parameters
        && (arguments.len() == parameters || overload.rest.is_some())
        && arguments.iter().enumerate().all(|(at, argument)| {
            let parameter = overload.parameters.get(at).or(overload.rest.as_ref());
            match (argument, parameter) {
                (Some(argument), Some(parameter)) => implicit::cost(argument, parameter).is_some(),
                (None, Some(_)) => true,
                (_, None) => false,
            }
        })
}

/// The overload with the least cost; `None` when there are several or none.
fn cheapest<'a>(overloads: &'a [Overload], arguments: &[&Operand]) -> Option<&'a Overload> {
    let mut least = u32::MAX;
    let mut best = None;
    for overload in overloads {
        let Some(cost) = cost(overload, arguments) else {
            continue;
        };
        if cost < least {
            least = cost;
            best = Some(overload);
        } else if cost == least {
            best = None;
        }
    }
    best
}

fn cost(overload: &Overload, arguments: &[&Operand]) -> Option<u32> {
    let parameters = overload.parameters.len();
    if arguments.len() < parameters || (arguments.len() > parameters && overload.rest.is_none()) {
        return None;
    }
    let mut sum = 0;
    for (at, argument) in arguments.iter().enumerate() {
        let parameter = overload.parameters.get(at).or(overload.rest.as_ref())?;
        sum += implicit::cost(argument, parameter)?;
    }
    Some(sum)
}

/// What the overload gives for these arguments.
fn result(overload: &Overload, arguments: &[&Operand]) -> Option<DataType> {
    if let Pattern::Exactly(data_type) = &overload.result {
        return Some(data_type.clone());
    }
    let mut letters = Letters(Vec::new());
    let is_null = |(at, argument): (usize, &&Operand)| {
        let parameter = overload.parameters.get(at).or(overload.rest.as_ref());
        **argument == Operand::Null && !matches!(parameter, Some(Pattern::Letter(_)))
    };
    // Some functions are NULL without a type then, some are not.
    if arguments.iter().enumerate().any(is_null) {
        return None;
    }
    for (at, argument) in arguments.iter().enumerate() {
        let parameter = overload.parameters.get(at).or(overload.rest.as_ref())?;
        letters.learn(parameter, argument)?;
    }
    letters.fill(&overload.result)
}

/// What each letter of an overload stands for.
struct Letters(Vec<(char, Operand)>);

impl Letters {
    fn learn(&mut self, pattern: &Pattern, operand: &Operand) -> Option<()> {
        match (pattern, operand) {
            (Pattern::Letter(letter), _) => {
                let known = self.0.iter_mut().find(|(known, _)| known == letter);
                match known {
                    Some((_, known)) => *known = common::common(known, operand, Force::No)?,
                    None => self.0.push((*letter, operand.clone())),
                }
            }
            (Pattern::List(pattern), Operand::Typed(DataType::List(element)))
            | (Pattern::List(pattern), Operand::Typed(DataType::Array(element, _))) => {
                self.learn(pattern, &element.as_ref().clone().into())?;
            }
            (Pattern::Map(key, value), Operand::Typed(DataType::Map(map))) => {
                self.learn(key, &map.0.clone().into())?;
                self.learn(value, &map.1.clone().into())?;
            }
            (Pattern::Entries(key, value), Operand::Typed(DataType::List(entry))) => {
                let DataType::Struct(fields) = entry.as_ref() else {
                    return None;
                };
                let [(_, first), (_, second)] = fields.as_ref() else {
                    return None;
                };
                self.learn(key, &first.clone().into())?;
                self.learn(value, &second.clone().into())?;
            }
            _ => {}
        }
        Some(())
    }

    fn fill(&self, pattern: &Pattern) -> Option<DataType> {
        Some(match pattern {
            Pattern::Exactly(data_type) => data_type.clone(),
            Pattern::Letter(letter) => {
                let (_, operand) = self.0.iter().find(|(known, _)| known == letter)?;
                common::settle(operand)
            }
            Pattern::List(element) => DataType::list(self.fill(element)?),
            Pattern::Map(key, value) => DataType::map(self.fill(key)?, self.fill(value)?),
            Pattern::Entries(key, value) => {
                let fields = [
                    ("key".to_owned(), self.fill(key)?),
                    ("value".to_owned(), self.fill(value)?),
                ];
                DataType::list(DataType::Struct(fields.into()))
            }
            Pattern::Any | Pattern::Decimal | Pattern::Array(_) => return None,
            Pattern::Family(
                Family::Struct
                | Family::Union
                | Family::Map
                | Family::List
                | Family::Array
                | Family::Lambda,
            ) => return None,
        })
    }
}
