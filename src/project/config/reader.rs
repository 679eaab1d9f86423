//! Walks a YAML tree and collects everything that is wrong with it.

use crate::diagnostic::Diagnostic;
use crate::project::words::suggestion;
use crate::project::yaml;
use crate::project::yaml::Data;
use crate::project::yaml::Node;
use crate::project::yaml::Place;

/// What is said about a key that the format knows and Siding does not support yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::project) enum Unsupported {
    /// Leaving it out could change data or behaviour.
    Error,
    /// Nothing depends on it here.
    Harmless,
    /// Only this value, which is what Siding does anyway, or else an error.
    OnlyBool(bool),
}

/// Reads the nodes of one file.
pub(in crate::project) struct Reader<'a> {
    pub(in crate::project) file: &'a str,
    pub(in crate::project) text: &'a str,
    pub(in crate::project) diagnostics: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(in crate::project) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            text,
            diagnostics: Vec::new(),
        }
    }

    pub(in crate::project) fn report(&mut self, diagnostic: Diagnostic, place: Place) {
        let diagnostic = yaml::at(diagnostic, self.file, self.text, place);
        self.diagnostics.push(diagnostic);
    }

    /// Checks the keys of `node`, which is `what` (a path such as `plan`, empty for the root).
    /// `None` when it is no map; null counts as an empty one.
    pub(in crate::project) fn section<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
        unsupported: &[(&str, Unsupported)],
    ) -> Option<&'n Node> {
        let entries = match &node.data {
            Data::Map(entries) => entries,
            Data::Null => return Some(node),
            _ => {
                self.wrong_type(node, what, "a map");
                return None;
            }
        };
        for (key, value) in entries {
            let name = key.name.as_str();
            let path = if what.is_empty() {
                name.to_owned()
            } else {
                format!("{what}.{name}")
            };
            if known.contains(&name) {
                continue;
            }
            if let Some((_, how)) = unsupported.iter().find(|(known, _)| *known == name) {
                self.unsupported(&path, value, key.place, *how);
                continue;
            }
            let all = known.iter().chain(unsupported.iter().map(|(name, _)| name));
            let diagnostic = Diagnostic::error("unknown-key", format!("unknown key `{path}`"))
                .help(suggestion(name, all.copied()));
            self.report(diagnostic, key.place);
        }
        Some(node)
    }

    fn unsupported(&mut self, path: &str, value: &Node, place: Place, how: Unsupported) {
        let empty = match &value.data {
            Data::Null => true,
            Data::List(items) => items.is_empty(),
            Data::Map(entries) => entries.is_empty(),
            Data::Bool(_) | Data::Integer(_) | Data::Float(_) | Data::Text(_) => false,
        };
        let diagnostic = match how {
            _ if empty => return,
            Unsupported::OnlyBool(only) if value.scalar() == Some(only.to_string()) => return,
            Unsupported::Error => not_supported(&format!("`{path}`")),
            Unsupported::OnlyBool(only) => not_supported(&format!("`{path}`"))
                .help(format!("Only `{only}` is supported; remove the key.")),
            Unsupported::Harmless => {
                let mut diagnostic = not_supported(&format!("`{path}`"));
                diagnostic.severity = crate::diagnostic::Severity::Warning;
                diagnostic.help("The key has no effect; everything else works.")
            }
        };
        self.report(diagnostic, place);
    }

    fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        let what = if what.is_empty() {
            "the file"
        } else {
            &format!("`{what}`")
        };
        let message = format!("{what} must be {expected}, not {}", node.what());
        self.report(Diagnostic::error("wrong-type", message), node.place);
    }

    /// The text under `key`; numbers and booleans count as text. `None` when it is not there.
    pub(in crate::project) fn text(
        &mut self,
        node: &Node,
        what: &str,
        key: &str,
    ) -> Option<String> {
        let value = node.get(key).filter(|value| !is_null(value))?;
        let text = value.scalar();
        if text.is_none() {
            self.wrong_type(value, &join(what, key), "a text");
        }
        text
    }

    /// The boolean under `key`.
    pub(in crate::project) fn bool(&mut self, node: &Node, what: &str, key: &str) -> Option<bool> {
        let value = node.get(key).filter(|value| !is_null(value))?;
        match &value.data {
            Data::Bool(value) => Some(*value),
            Data::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Data::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => {
                self.wrong_type(value, &join(what, key), "`true` or `false`");
                None
            }
        }
    }

    /// The number under `key`, at least 1.
    pub(in crate::project) fn positive(
        &mut self,
        node: &Node,
        what: &str,
        key: &str,
    ) -> Option<u32> {
        let value = node.get(key).filter(|value| !is_null(value))?;
        let number = value.scalar().and_then(|text| text.parse::<u32>().ok());
        let number = number.filter(|number| *number > 0);
        if number.is_none() {
            self.wrong_type(value, &join(what, key), "a whole number above 0");
        }
        number
    }

    /// The number under `key`, 0 or more.
    pub(in crate::project) fn whole(&mut self, node: &Node, what: &str, key: &str) -> Option<u32> {
        let value = node.get(key).filter(|value| !is_null(value))?;
        let number = value.scalar().and_then(|text| text.parse::<u32>().ok());
        if number.is_none() {
            self.wrong_type(value, &join(what, key), "a whole number");
        }
        number
    }

    /// The texts under `key`: a list, or one text. Each with its place.
    pub(in crate::project) fn texts(
        &mut self,
        node: &Node,
        what: &str,
        key: &str,
    ) -> Vec<(String, Place)> {
        let Some(value) = node.get(key).filter(|value| !is_null(value)) else {
            return Vec::new();
        };
        let items = match &value.data {
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        let mut texts = Vec::new();
        for item in items {
            match item.scalar() {
                Some(text) => texts.push((text, item.place)),
                None => self.wrong_type(item, &join(what, key), "a list of texts"),
            }
        }
        texts
    }

    /// The one of `choices` under `key`, in any case.
    pub(in crate::project) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        key: &str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let value = node.get(key).filter(|value| !is_null(value))?;
        let text = value.scalar().unwrap_or_default();
        let chosen = choices
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&text));
        if chosen.is_none() {
            let path = join(what, key);
            let message = format!("`{text}` is no value of `{path}`");
            let names = choices.iter().map(|(name, _)| *name);
            let diagnostic =
                Diagnostic::error("wrong-value", message).help(suggestion(&text, names));
            self.report(diagnostic, value.place);
        }
        chosen.map(|(_, value)| *value)
    }

    /// Place of the value under `key`.
    pub(in crate::project) fn place(node: &Node, key: &str) -> Place {
        node.get(key).map_or(node.place, |value| value.place)
    }
}

/// `what is not supported yet`, an error without a place.
pub(in crate::project) fn not_supported(what: &str) -> Diagnostic {
    Diagnostic::error("not-supported-yet", format!("{what} is not supported yet"))
}

fn is_null(node: &Node) -> bool {
    matches!(node.data, Data::Null)
}

fn join(what: &str, key: &str) -> String {
    if what.is_empty() {
        key.to_owned()
    } else {
        format!("{what}.{key}")
    }
}
