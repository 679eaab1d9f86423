//! What `AUDIT` and `SIGNAL` blocks have in common: a dialect, defaults of arguments, and a query that gets them.

use crate::diagnostic::Diagnostic;
use crate::project::block::Property;
use crate::project::block::SqlFile;
use crate::project::substitute::Scope;
use crate::project::substitute::substitute;
use crate::project::value::Value;
use crate::project::words::suggestion;
use crate::sql::Dialect;

/// The query of a block, as written with all its macros.
pub(super) struct Question<'a> {
    pub(super) query: &'a str,
    /// SQL by argument, in lower case.
    pub(super) defaults: &'a [(String, String)],
    pub(super) file: &'a str,
    /// Text of the file, for places.
    pub(super) text: &'a str,
    /// Where the query stands in the file.
    pub(super) start: usize,
}

impl Question<'_> {
    /// The query with `arguments`, and with the defaults of those that are not among them; `scope` has no locals.
    pub(super) fn with(
        &self,
        arguments: &[(String, String)],
        scope: &Scope<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> String {
        let mut locals = arguments.to_vec();
        for (name, default) in self.defaults {
            if !locals.iter().any(|(known, _)| known == name) {
                let (default, _) = substitute(default, scope);
                locals.push((name.clone(), default));
            }
        }
        let scope = Scope {
            locals: &locals,
            ..*scope
        };
        let (query, problems) = substitute(self.query, &scope);
        for problem in problems {
            let span = problem.span.start + self.start..problem.span.end + self.start;
            diagnostics.push(problem.at(self.file, self.text, span));
        }
        query
    }
}

/// The property `defaults`: SQL by argument, in lower case; `None` if it is no map.
pub(super) fn defaults(value: &Value<'_>) -> Option<Vec<(String, String)>> {
    let entries = value.entries().ok()?.into_iter();
    let lower = entries.map(|(key, value)| (key.to_lowercase(), value.raw().to_owned()));
    Some(lower.collect())
}

/// Reports the property `dialect` when nothing is called so; the file's tokens are of the one that it names.
pub(super) fn check_dialect(file: &mut SqlFile<'_>, property: &Property) {
    let name = property.value(file.text).scalar().unwrap_or_default();
    if let Err(error) = name.parse::<Dialect>() {
        let known = Dialect::ALL.iter().map(|(name, _)| *name);
        let diagnostic =
            Diagnostic::error("unknown-dialect", error.to_string()).help(suggestion(&name, known));
        file.report(diagnostic, property.span.clone());
    }
}
