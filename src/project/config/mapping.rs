//! Names that are found by what other names look like: `environment_catalog_mapping`, `physical_schema_mapping`.

use regex::Regex;

use crate::diagnostic::Diagnostic;
use crate::project::config::reader::Reader;
use crate::project::yaml::Data;
use crate::project::yaml::Node;

/// Regular expressions with names, in the order written.
#[derive(Clone, Debug, Default)]
pub struct NameMapping(Vec<(Regex, String)>);

impl PartialEq for NameMapping {
    fn eq(&self, other: &Self) -> bool {
        let entries = |of: &Self| -> Vec<(String, String)> {
            let entries = of.0.iter();
            entries
                .map(|(expression, name)| (expression.as_str().to_owned(), name.clone()))
                .collect()
        };
        entries(self) == entries(other)
    }
}

impl NameMapping {
    /// The name of the first expression that fits the beginning of `text`.
    pub fn of(&self, text: &str) -> Option<&str> {
        let mut fitting = self.0.iter();
        fitting
            .find(|(expression, _)| expression.is_match(text))
            .map(|(_, name)| name.as_str())
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, name)| name.as_str())
    }
}

/// The map under `key` of the root. With `exact`, keys are texts that must be the whole name.
pub(super) fn read(reader: &mut Reader<'_>, root: &Node, key: &str, exact: bool) -> NameMapping {
    let Some(node) = root.get(key) else {
        return NameMapping::default();
    };
    let entries = match &node.data {
        Data::Map(entries) => entries.as_slice(),
        Data::Null => &[],
        _ => {
            let message = format!("`{key}` must be a map, not {}", node.what());
            reader.report(Diagnostic::error("wrong-type", message), node.place);
            &[]
        }
    };
    let mut mapping = Vec::new();
    for (pattern, value) in entries {
        let Some(name) = value.scalar().filter(|name| !name.trim().is_empty()) else {
            let message = format!(
                "`{key}.{}` must be a name, not {}",
                pattern.name,
                value.what()
            );
            reader.report(Diagnostic::error("wrong-type", message), value.place);
            continue;
        };
        // As the format has it: from the beginning, but not necessarily to the end.
        let expression = if exact {
            Regex::new(&format!("^(?:{})$", regex::escape(&pattern.name)))
        } else {
            Regex::new(&format!("^(?:{})", pattern.name))
        };
        match expression {
            Ok(expression) => mapping.push((expression, name)),
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                let message = format!("`{}` is no regular expression: {reason}", pattern.name);
                let diagnostic = Diagnostic::error("wrong-value", message)
                    .help("Look-around and back-references are not part of it.");
                reader.report(diagnostic, pattern.place);
            }
        }
    }
    NameMapping(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_expression_that_fits_the_beginning_decides() {
        let entries = [("^(?:pr_\\d+)", "a"), ("^(?:p)", "b")];
        let mapping = NameMapping(
            entries
                .map(|(text, name)| (Regex::new(text).unwrap(), name.to_owned()))
                .to_vec(),
        );
        assert_eq!(mapping.of("pr_12_b"), Some("a"));
        assert_eq!(mapping.of("prod"), Some("b"));
        assert_eq!(mapping.of("a_pr_1"), None);
    }
}
