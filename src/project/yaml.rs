//! YAML with the place of every key and value.

use std::ops::Range;

use saphyr::LoadableYamlNode;
use saphyr::MarkedYaml;
use saphyr::Scalar;
use saphyr::YamlData;

use crate::diagnostic::Diagnostic;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) data: Data,
}

/// A line and column, both from 1; line 0 means that it came from an environment variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) place: Place,
}

impl Node {
    /// What the value is, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Integer(_) | Data::Float(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// A scalar as text; `None` for null, lists and maps.
    pub(super) fn scalar(&self) -> Option<String> {
        match &self.data {
            Data::Bool(value) => Some(value.to_string()),
            Data::Integer(value) => Some(value.to_string()),
            Data::Float(value) => Some(format!("{value:?}")),
            Data::Text(text) => Some(text.clone()),
            Data::Null | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// The value under `key`, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.data {
            Data::Map(entries) => entries
                .iter()
                .find(|(known, _)| known.name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Puts `value` under the keys of `path`, making maps on the way.
    pub(super) fn set(&mut self, path: &[String], value: Self) {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self.data, Data::Map(_)) {
            self.data = Data::Map(Vec::new());
        }
        let Data::Map(entries) = &mut self.data else {
            return;
        };
        let index = entries
            .iter()
            .position(|(known, _)| known.name.eq_ignore_ascii_case(first));
        let index = index.unwrap_or_else(|| {
            let key = Key {
                name: first.clone(),
                place: Place::default(),
            };
            entries.push((key, Self::null(Place::default())));
            entries.len() - 1
        });
        entries[index].1.set(rest, value);
    }

    pub(super) fn null(place: Place) -> Self {
        Self {
            place,
            data: Data::Null,
        }
    }
}

/// The first document of `text`, from `file`; `None` if there is none.
pub(super) fn parse(file: &str, text: &str) -> Result<Option<Node>, Box<Diagnostic>> {
    if nesting(text) > MOST_NESTING {
        let message = "the file is nested too deeply";
        return Err(Box::new(
            Diagnostic::error("yaml-syntax", message).in_file(file),
        ));
    }
    let mut documents = MarkedYaml::load_from_str(text).map_err(|error| {
        let marker = error.marker();
        let place = Place {
            line: marker.line(),
            column: marker.col() + 1,
        };
        let duplicate = error.info().contains("duplicated key");
        let (rule, message) = if duplicate {
            let line = text.lines().nth(marker.line().saturating_sub(1));
            let key = line.and_then(|line| line.split(':').next());
            let key = key.unwrap_or_default().trim();
            ("duplicate-key", format!("the key `{key}` is given twice"))
        } else {
            ("yaml-syntax", format!("this is no YAML: {}", error.info()))
        };
        Box::new(at(Diagnostic::error(rule, message), file, text, place))
    })?;
    if documents.len() > 1 {
        let message = "the file has more than one document";
        return Err(Box::new(
            Diagnostic::error("yaml-syntax", message).in_file(file),
        ));
    }
    Ok(documents.pop().map(|document| convert(&document)))
}

/// `diagnostic` at `place` of `text`, the content of `file`.
pub(super) fn at(mut diagnostic: Diagnostic, file: &str, text: &str, place: Place) -> Diagnostic {
    file.clone_into(&mut diagnostic.file);
    diagnostic.line = place.line;
    diagnostic.column = place.column;
    diagnostic.span = span(text, place);
    diagnostic
}

/// The bytes from `place` to the end of its word.
fn span(text: &str, place: Place) -> Range<usize> {
    if place.line == 0 {
        return 0..0;
    }
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if index + 1 == place.line {
            let column = line
                .char_indices()
                .nth(place.column.saturating_sub(1))
                .map_or(line.trim_end().len(), |(offset, _)| offset);
            let rest = line.get(column..).unwrap_or_default();
            let length = rest
                .find(|c: char| c.is_whitespace() || c == ':' || c == ',')
                .unwrap_or(rest.len());
            return start + column..start + column + length;
        }
        start += line.len();
    }
    0..0
}

const MOST_NESTING: usize = 100;

/// An upper bound of how deep collections stand in each other: indentation and open brackets.
fn nesting(text: &str) -> usize {
    let brackets = text.bytes().filter(|b| matches!(b, b'[' | b'{')).count();
    let mut indents: Vec<usize> = Vec::new();
    let mut deepest = 0;
    for line in text.lines() {
        let indent = line.len() - line.trim_start_matches([' ', '-', '?', '\t']).len();
        if line.trim().is_empty() {
            continue;
        }
        while indents.last().is_some_and(|last| *last >= indent) {
            indents.pop();
        }
        indents.push(indent);
        let dashes = line[..indent].bytes().filter(|b| *b != b' ').count();
        deepest = deepest.max(indents.len() + dashes);
    }
    if brackets > MOST_NESTING {
        deepest += deepest_brackets(text);
    }
    deepest
}

fn deepest_brackets(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn convert(node: &MarkedYaml<'_>) -> Node {
    let place = place_of(node);
    let data = match &node.data {
        YamlData::Value(scalar) => convert_scalar(scalar),
        YamlData::Representation(text, _, _) => Data::Text(text.to_string()),
        YamlData::Sequence(items) => Data::List(items.iter().map(convert).collect()),
        YamlData::Mapping(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let node = convert(key);
                let name = node.scalar().unwrap_or_default();
                (
                    Key {
                        name,
                        place: node.place,
                    },
                    convert(value),
                )
            });
            Data::Map(entries.collect())
        }
        YamlData::Tagged(_, inner) => return convert(inner),
        YamlData::Alias(_) | YamlData::BadValue => Data::Null,
    };
    Node { place, data }
}

fn place_of(node: &MarkedYaml<'_>) -> Place {
    Place {
        line: node.span.start.line(),
        column: node.span.start.col() + 1,
    }
}

fn convert_scalar(scalar: &Scalar<'_>) -> Data {
    match scalar {
        Scalar::Null => Data::Null,
        Scalar::Boolean(value) => Data::Bool(*value),
        Scalar::Integer(value) => Data::Integer(*value),
        Scalar::FloatingPoint(value) => Data::Float(value.into_inner()),
        Scalar::String(text) => Data::Text(text.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_know_their_lines() {
        let node = parse("a.yaml", "a: 1\nb:\n  c: [x, '2']\n")
            .unwrap()
            .unwrap();
        let c = node.get("b").unwrap().get("c").unwrap();
        assert_eq!(c.place, Place { line: 3, column: 6 });
        let Data::List(items) = &c.data else {
            panic!("a list")
        };
        assert_eq!(items[1].scalar().as_deref(), Some("2"));
        assert!(matches!(items[1].data, Data::Text(_)));
    }

    #[test]
    fn a_key_given_twice_is_an_error_with_its_line() {
        let error = parse("a.yaml", "a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(error.to_string(), "a.yaml:3:1: the key `a` is given twice");
    }

    #[test]
    fn brackets_without_end_are_refused() {
        assert!(parse("a.yaml", &"[".repeat(100_000)).is_err());
        assert!(parse("a.yaml", &"- ".repeat(100_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_much(text in "[-a-c:\\[\\]{}'\"&*#|> \n\t]{0,60}") {
            let _ = parse("a.yaml", &text);
        }
    }
}
