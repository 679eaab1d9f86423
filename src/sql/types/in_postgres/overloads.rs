//! Which function or operator PostgreSQL takes, and what that gives.
//!
//! The steps are those of PostgreSQL's manual, chapter 10, "Type Conversion"; that they come out
//! right is what the recorded answers test.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::OnceLock;

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_postgres::catalog;
use crate::sql::types::in_postgres::catalog::Category;
use crate::sql::types::in_postgres::common;
use crate::sql::types::parse_type;

/// What a parameter accepts, or what a function gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// `any`: everything.
    Any,
    /// `anyelement`, `anynonarray`: one type wherever it stands.
    Element {
        is_array_allowed: bool,
    },
    /// `anyarray`: an array of that type.
    Array,
    /// `anycompatible`, `anycompatiblenonarray`: what all of them can be cast to.
    Compatible {
        is_array_allowed: bool,
    },
    /// `anycompatiblearray`.
    CompatibleArray,
    /// A family that we do not follow, such as `anyrange`.
    Unknown,
    Exactly(DataType),
}

/// One of the forms in which a function can be called.
#[derive(Clone, Debug)]
pub(super) struct Overload {
    parameters: Vec<Slot>,
    /// How many of them have no default.
    required: usize,
    /// What all further arguments must fit, of which there must be one.
    rest: Option<Slot>,
    result: Slot,
}

static OVERLOADS: LazyLock<HashMap<&str, Entry>> = LazyLock::new(|| {
    include_str!("signatures.tsv")
        .lines()
        .filter(|line| !line.starts_with("# "))
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, text)| {
            let overloads = OnceLock::new();
            (name, Entry { text, overloads })
        })
        .collect()
});

struct Entry {
    text: &'static str,
    overloads: OnceLock<Vec<Overload>>,
}

pub(super) fn overloads(name: &str) -> &'static [Overload] {
    let Some(entry) = OVERLOADS.get(name) else {
        return &[];
    };
    entry
        .overloads
        .get_or_init(|| entry.text.split(" | ").filter_map(overload).collect())
}

/// Reads `text, [integer], any... -> text`.
fn overload(text: &str) -> Option<Overload> {
    let (parameters, result) = text.split_once("-> ")?;
    let mut overload = Overload {
        parameters: Vec::new(),
        required: 0,
        rest: None,
        result: slot(result),
    };
    for text in parameters
        .trim()
        .split(", ")
        .filter(|text| !text.is_empty())
    {
        if let Some(text) = text.strip_suffix("...") {
            overload.rest = Some(slot(text));
        } else if let Some(text) = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
        {
            overload.parameters.push(slot(text));
        } else {
            overload.parameters.push(slot(text));
            overload.required += 1;
        }
    }
    Some(overload)
}

fn slot(text: &str) -> Slot {
    match text.trim() {
        "any" | "\"any\"" => Slot::Any,
        "anyelement" => Slot::Element {
            is_array_allowed: true,
        },
        "anynonarray" => Slot::Element {
            is_array_allowed: false,
        },
        "anyarray" => Slot::Array,
        "anycompatible" => Slot::Compatible {
            is_array_allowed: true,
        },
        "anycompatiblenonarray" => Slot::Compatible {
            is_array_allowed: false,
        },
        "anycompatiblearray" => Slot::CompatibleArray,
        "character" => Slot::Exactly(DataType::Other("BPCHAR".into())),
        "\"char\"" => Slot::Exactly(DataType::Other("\"CHAR\"".into())),
        text if text.starts_with("any") => Slot::Unknown,
        text => match parse_type(text, Dialect::Postgres) {
            Some(data_type) => Slot::Exactly(data_type),
            None => Slot::Unknown,
        },
    }
}

impl Overload {
    fn accepts(&self, count: usize) -> bool {
        match self.rest {
            Some(_) => count > self.parameters.len(),
            None => count >= self.required && count <= self.parameters.len(),
        }
    }

    fn slot(&self, at: usize) -> &Slot {
        self.parameters
            .get(at)
            .or(self.rest.as_ref())
            .unwrap_or(&Slot::Unknown)
    }
}

/// The types of the arguments; `None` for a text or a NULL that has none yet.
type Inputs = [Option<DataType>];

/// The type that `name(arguments)` has.
pub(super) fn function(name: &str, arguments: &[Option<Operand>]) -> Option<DataType> {
    resolve(name, arguments, false)
}

/// The type of `left symbol right`, or of `symbol left`.
pub(super) fn operator(symbol: &str, operands: &[Option<Operand>]) -> Option<DataType> {
    resolve(symbol, operands, true)
}

/// The type that `left` is compared as in `left = right`.
pub(super) fn compared(left: &Operand, right: &Operand) -> Option<DataType> {
    let inputs = inputs(&[Some(left.clone()), Some(right.clone())])?;
    match best("=", &inputs, true)?.slot(0) {
        Slot::Exactly(data_type) => Some(data_type.clone()),
        _ => inputs.into_iter().next()?,
    }
}

fn resolve(name: &str, arguments: &[Option<Operand>], is_operator: bool) -> Option<DataType> {
    let Some(inputs) = inputs(arguments) else {
        return whatever_comes(overloads(name), arguments.len());
    };
    result(best(name, &inputs, is_operator)?, &inputs)
}

/// The types of the arguments; `None` when one of them is unknown.
fn inputs(arguments: &[Option<Operand>]) -> Option<Vec<Option<DataType>>> {
    let input = |argument: &Option<Operand>| match argument {
        Some(Operand::Typed(data_type)) if catalog::is_known(data_type) => {
            Some(Some(catalog::bare(data_type)))
        }
        Some(Operand::Null | Operand::String(_)) => Some(None),
        Some(Operand::Typed(_) | Operand::Integer(_)) | None => None,
    };
    arguments.iter().map(input).collect()
}

/// The overload that PostgreSQL takes.
fn best(name: &str, inputs: &Inputs, is_operator: bool) -> Option<&'static Overload> {
    let overloads = overloads(name);
    let candidates: Vec<&'static Overload> = overloads
        .iter()
        .filter(|overload| overload.accepts(inputs.len()) && fits(overload, inputs))
        .collect();
    let exact = candidates
        .iter()
        .copied()
        .find(|overload| is_exact(overload, inputs));
    let assumed = || {
        if is_operator {
            exact_with_assumption(&candidates, inputs)
        } else {
            None
        }
    };
    exact
        .or_else(assumed)
        .or_else(|| select(candidates.clone(), inputs))
}

/// The result if all overloads with so many arguments have the same.
fn whatever_comes(overloads: &[Overload], count: usize) -> Option<DataType> {
    let mut possible = overloads.iter().filter(|overload| overload.accepts(count));
    let Slot::Exactly(first) = &possible.next()?.result else {
        return None;
    };
    possible
        .all(|other| matches!(&other.result, Slot::Exactly(other) if other == first))
        .then(|| first.clone())
}

fn is_exact(overload: &Overload, inputs: &Inputs) -> bool {
    inputs
        .iter()
        .enumerate()
        .all(|(at, input)| matches!((overload.slot(at), input), (Slot::Exactly(wanted), Some(input)) if wanted == input))
}

/// An operator with one untyped side is first looked for with the type of the other.
fn exact_with_assumption<'a>(candidates: &[&'a Overload], inputs: &Inputs) -> Option<&'a Overload> {
    let assumed = match inputs {
        [Some(known), None] | [None, Some(known)] => [Some(known.clone()), Some(known.clone())],
        _ => return None,
    };
    candidates
        .iter()
        .copied()
        .find(|overload| is_exact(overload, &assumed))
}

fn fits(overload: &Overload, inputs: &Inputs) -> bool {
    let each = inputs.iter().enumerate().all(|(at, input)| {
        let Some(input) = input else {
            return *overload.slot(at) != Slot::Unknown;
        };
        let is_array = matches!(input, DataType::List(_));
        match overload.slot(at) {
            Slot::Any => true,
            Slot::Element { is_array_allowed } | Slot::Compatible { is_array_allowed } => {
                *is_array_allowed || !is_array
            }
            Slot::Array | Slot::CompatibleArray => is_array,
            Slot::Unknown => false,
            Slot::Exactly(wanted) => catalog::casts(input, wanted),
        }
    });
    each && Letters::of(overload, inputs).is_some()
}

/// The one that PostgreSQL prefers among several.
fn select<'a>(candidates: Vec<&'a Overload>, inputs: &Inputs) -> Option<&'a Overload> {
    let known = |at: usize| inputs[at].as_ref();
    let exact = |overload: &Overload, at: usize| matches!((overload.slot(at), known(at)), (Slot::Exactly(wanted), Some(input)) if wanted == input);
    let candidates = most(candidates, inputs.len(), exact);
    let preferred = |overload: &Overload, at: usize| {
        let (Slot::Exactly(wanted), Some(input)) = (overload.slot(at), known(at)) else {
            return false;
        };
        let (category, is_preferred) = catalog::category(wanted);
        wanted == input || is_preferred && category == catalog::category(input).0
    };
    let candidates = most(candidates, inputs.len(), preferred);
    if let [one] = candidates[..] {
        return Some(one);
    }
    if inputs.iter().all(Option::is_some) {
        return None;
    }
    let candidates = by_category(candidates, inputs);
    if let [one] = candidates[..] {
        return Some(one);
    }
    let mut types = inputs.iter().flatten();
    let first = types.next()?;
    if !types.all(|other| other == first) {
        return None;
    }
    let assumed = vec![Some(first.clone()); inputs.len()];
    let mut possible = candidates
        .into_iter()
        .filter(|overload| fits(overload, &assumed));
    let one = possible.next()?;
    possible.next().is_none().then_some(one)
}

/// The candidates for which `counts` holds at most places; all, if it holds nowhere.
fn most(
    candidates: Vec<&Overload>,
    places: usize,
    counts: impl Fn(&Overload, usize) -> bool,
) -> Vec<&Overload> {
    if candidates.len() < 2 {
        return candidates;
    }
    let count = |overload: &Overload| (0..places).filter(|at| counts(overload, *at)).count();
    let best = candidates
        .iter()
        .map(|overload| count(overload))
        .max()
        .unwrap_or(0);
    candidates
        .into_iter()
        .filter(|overload| count(overload) == best)
        .collect()
}

/// What a slot is to an untyped argument.
fn slot_category(slot: &Slot) -> (Category, bool) {
    match slot {
        Slot::Exactly(data_type) => catalog::category(data_type),
        _ => (Category::Pseudo, false),
    }
}

/// The candidates whose parameters are of the category that each untyped argument gets: text if
/// that is possible.
fn by_category<'a>(candidates: Vec<&'a Overload>, inputs: &Inputs) -> Vec<&'a Overload> {
    let mut wanted = Vec::new();
    for (at, _) in inputs
        .iter()
        .enumerate()
        .filter(|(_, input)| input.is_none())
    {
        let mut slots = candidates
            .iter()
            .map(|overload| slot_category(overload.slot(at)));
        let Some((mut category, mut has_preferred)) = slots.next() else {
            return candidates;
        };
        let mut is_conflict = false;
        for (other, is_preferred) in slots {
            if other == category {
                has_preferred |= is_preferred;
            } else if other == Category::String {
                (category, has_preferred) = (other, is_preferred);
            } else {
                is_conflict = true;
            }
        }
        if is_conflict && category != Category::String {
            return candidates;
        }
        wanted.push((at, category, has_preferred));
    }
    let kept: Vec<&Overload> = candidates
        .iter()
        .copied()
        .filter(|overload| {
            wanted.iter().all(|(at, category, has_preferred)| {
                let (own, is_preferred) = slot_category(overload.slot(*at));
                own == *category && (is_preferred || !has_preferred)
            })
        })
        .collect();
    if kept.is_empty() { candidates } else { kept }
}

/// What the polymorphic parameters stand for.
struct Letters {
    element: Option<DataType>,
    compatible: Option<DataType>,
}

impl Letters {
    /// `None` when the arguments contradict each other.
    fn of(overload: &Overload, inputs: &Inputs) -> Option<Self> {
        let mut element: Option<DataType> = None;
        let mut compatible = Vec::new();
        let mut has_compatible = false;
        for (at, input) in inputs.iter().enumerate() {
            let inner = match (overload.slot(at), input) {
                (Slot::Compatible { .. } | Slot::CompatibleArray, None) => {
                    has_compatible = true;
                    continue;
                }
                (Slot::Element { .. } | Slot::Compatible { .. }, Some(input)) => input,
                (Slot::Array | Slot::CompatibleArray, Some(DataType::List(inner))) => inner,
                _ => continue,
            };
            match overload.slot(at) {
                Slot::Element { .. } | Slot::Array => match &element {
                    Some(known) if known != inner => return None,
                    _ => element = Some(inner.clone()),
                },
                _ => compatible.push(Operand::Typed(inner.clone())),
            }
        }
        let all: Vec<&Operand> = compatible.iter().collect();
        let compatible = match common::common(&all) {
            _ if all.is_empty() => has_compatible.then_some(DataType::Varchar),
            Some(Operand::Typed(all)) => Some(all),
            _ => return None,
        };
        Some(Self {
            element,
            compatible,
        })
    }
}

fn result(overload: &Overload, inputs: &Inputs) -> Option<DataType> {
    let letters = Letters::of(overload, inputs)?;
    let data_type = match &overload.result {
        Slot::Exactly(data_type) => data_type.clone(),
        Slot::Element { .. } => letters.element?,
        Slot::Array => DataType::list(letters.element?),
        Slot::Compatible { .. } => letters.compatible?,
        Slot::CompatibleArray => DataType::list(letters.compatible?),
        Slot::Any | Slot::Unknown => return None,
    };
    // Its length is known to nobody.
    let is_bits = matches!(&data_type, DataType::Other(name) if name.starts_with("BIT("));
    (!is_bits).then_some(data_type)
}

/// Every name in the table, with the text of its overloads.
#[cfg(test)]
pub(super) fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    OVERLOADS.iter().map(|(name, entry)| (*name, entry.text))
}
