//! `SIGNAL` blocks, and calls of signals turned into questions.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::line_and_column;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::RuntimeVariable;
use crate::model::Signal;
use crate::model::Template;
use crate::model::macro_use::macro_uses;
use crate::project::Settings;
use crate::project::audits::after_block;
use crate::project::block::SqlFile;
use crate::project::config::not_supported;
use crate::project::question::Question;
use crate::project::question::check_dialect;
use crate::project::question::defaults;
use crate::project::statements::Statement;
use crate::project::statements::StatementKind;
use crate::project::substitute::Runtime;
use crate::project::substitute::Scope;
use crate::project::substitute::substitute;
use crate::project::value::Call;
use crate::project::words::nearest;
use crate::project::words::suggestion;
use crate::sql::Dialect;
use crate::sql::tokens;

/// The signal that asks the engine when tables changed.
const FRESHNESS: &str = "freshness";

const KNOWN: [&str; 6] = [
    "name",
    "dialect",
    "defaults",
    "owner",
    "description",
    "tags",
];

/// A `SIGNAL` block with its query.
#[derive(Clone, Debug)]
pub(super) struct SignalDefinition {
    /// Lower case.
    pub(super) name: String,
    dialect: Dialect,
    /// SQL by argument, in lower case.
    defaults: Vec<(String, String)>,
    /// As written, with all its macros.
    query: String,
    pub(super) file: String,
    /// Text of the file, for places.
    pub(super) text: Arc<str>,
    /// Where the query stands in the file.
    query_start: usize,
    pub(super) name_span: Range<usize>,
}

/// The signals that the file declares.
pub(super) fn read(
    file: &mut SqlFile<'_>,
    text: &Arc<str>,
    statements: &[Statement],
) -> Vec<SignalDefinition> {
    let mut definitions = Vec::new();
    let mut index = 0;
    while let Some(statement) = statements.get(index) {
        index += 1;
        let word = file.tokens[statement.tokens.start].span.clone();
        if statement.kind != StatementKind::Signal {
            let diagnostic = Diagnostic::error("syntax", "this is no `SIGNAL (…)` block")
                .help("Files in `signals/` hold `SIGNAL (name …);` followed by a query.");
            file.report(diagnostic, word);
            continue;
        }
        let (header, body) = header(file, statement);
        let next = || Some((statements.get(index)?, file.text));
        let query = match (body, next()) {
            (Some(body), _) => Some(body),
            (None, Some((next, _))) if next.kind == StatementKind::Query => {
                index += 1;
                Some(next.tokens.clone())
            }
            (None, Some((next, _)))
                if matches!(
                    next.kind,
                    StatementKind::Jinja | StatementKind::Macro | StatementKind::Other
                ) =>
            {
                index += 1;
                let span = file.tokens[next.tokens.start].span.clone();
                let what = match next.kind {
                    StatementKind::Jinja => "a Jinja block",
                    _ => "a statement before a signal's query",
                };
                file.report(not_supported(what), span);
                continue;
            }
            _ => None,
        };
        let Some(query) = query else {
            let diagnostic = Diagnostic::error("no-query", "the signal has no query")
                .help("Write a SELECT behind the SIGNAL block.");
            file.report(diagnostic, word);
            continue;
        };
        let start = file.tokens[query.start].span.start;
        let end = file.tokens[query.end - 1].span.end;
        let sql = file.text[start..end].to_owned();
        if names_of(&sql, file.dialect).contains("this_model") {
            let message = "`@this_model` has no value in a signal: it is asked before the model has rows of that time";
            let diagnostic =
                Diagnostic::error("no-value-yet", message).help("Ask about what the model reads.");
            file.report(diagnostic, start..end);
            continue;
        }
        if let Some(header) = header {
            definitions.push(SignalDefinition {
                query: sql,
                query_start: start,
                file: file.path.to_owned(),
                text: Arc::clone(text),
                ..header
            });
        }
    }
    definitions
}

/// The block, and the query when it follows without a semicolon.
fn header(
    file: &mut SqlFile<'_>,
    statement: &Statement,
) -> (Option<SignalDefinition>, Option<Range<usize>>) {
    let word = statement.tokens.start;
    let (properties, close) = file.properties(word, statement.tokens.end, &["defaults"]);
    let body = after_block(file, close, statement.tokens.end, "SIGNAL");
    let place = file.tokens[word].span.clone();
    let mut definition = SignalDefinition {
        name: String::new(),
        dialect: file.dialect,
        defaults: Vec::new(),
        query: String::new(),
        file: String::new(),
        text: "".into(),
        query_start: 0,
        name_span: place.clone(),
    };
    let mut has_name = false;
    for property in &properties {
        let value = property.value(file.text);
        let span = property.span.clone();
        let mut wrong = |expected: &str| {
            let message = format!("`{}` must be {expected}", property.key);
            file.report(Diagnostic::error("wrong-value", message), span.clone());
        };
        match property.key.as_str() {
            "name" => {
                has_name = true;
                match value.scalar() {
                    Some(name) => {
                        definition.name = name.to_lowercase();
                        definition.name_span = span;
                    }
                    None => wrong("one name"),
                }
            }
            "defaults" => match defaults(&value) {
                Some(defaults) => definition.defaults = defaults,
                None => wrong("a map such as `(min_rows = 1)`"),
            },
            "dialect" => check_dialect(file, property),
            "owner" | "description" | "tags" => {}
            key => {
                let message = format!("a SIGNAL block has no property `{key}`");
                let diagnostic =
                    Diagnostic::error("unknown-property", message).help(suggestion(key, KNOWN));
                file.report(diagnostic, property.key_span.clone());
            }
        }
    }
    if !has_name {
        let message = "the SIGNAL block has no `name`";
        file.report(Diagnostic::error("missing-value", message), place);
    }
    let is_usable = !definition.name.is_empty();
    (is_usable.then_some(definition), body)
}

/// The names behind `@` in `sql`, lower case.
fn names_of(sql: &str, dialect: Dialect) -> BTreeSet<String> {
    let tokens = tokens::tokenize(sql, dialect);
    let uses = macro_uses(sql, &tokens);
    uses.into_iter()
        .flat_map(|(_, used)| {
            used.names()
                .map(str::to_ascii_lowercase)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The signals by name; one that is declared twice is reported.
pub(super) fn by_name(
    signals: Vec<SignalDefinition>,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<String, SignalDefinition> {
    let mut by_name: BTreeMap<String, SignalDefinition> = BTreeMap::new();
    for signal in signals {
        if let Some(first) = by_name.get(&signal.name) {
            let message = format!(
                "the signal `{}` is declared twice: here and in `{}`",
                signal.name, first.file
            );
            let diagnostic = Diagnostic::error("duplicate-signal", message);
            let span = signal.name_span.clone();
            diagnostics.push(diagnostic.at(&signal.file, &signal.text, span));
        } else {
            by_name.insert(signal.name.clone(), signal);
        }
    }
    by_name
}

/// Says once, at the first model, that `freshness()` holds nothing back.
pub(super) fn check_freshness(
    models: &BTreeMap<ModelName, Arc<Model>>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let asks = |model: &&Arc<Model>| model.signals.iter().any(|signal| signal.query.is_none());
    if let Some(model) = models.values().find(asks) {
        let message = "the signal `freshness` is always ready: neither DuckDB nor PostgreSQL says when a table changed";
        let help = "Write a query that tells in a file of `signals/`, such as one that counts the rows of the interval.";
        let diagnostic = Diagnostic::warning("freshness", message).help(help);
        diagnostics.push(diagnostic.in_file(&model.file));
    }
}

/// Where calls of signals are resolved.
pub(super) struct Caller<'a> {
    pub(super) settings: &'a Settings<'a>,
    pub(super) project: &'a BTreeMap<String, SignalDefinition>,
    pub(super) dialect: Dialect,
    /// As in a `MODEL` block.
    pub(super) kind: &'static str,
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Caller<'_> {
    /// The signal that `call` means, or `None` when it is wrong.
    pub(super) fn resolve(&self, call: &Call, diagnostics: &mut Vec<Diagnostic>) -> Option<Signal> {
        let mut arguments = Vec::new();
        for (name, value, span) in &call.arguments {
            let (value, problems) = substitute(value, &self.scope());
            for problem in problems {
                let place = problem.span.start + span.start..problem.span.end + span.start;
                diagnostics.push(problem.at(self.file, self.text, place));
            }
            if arguments.iter().any(|(known, _)| known == name) {
                let message = format!("`{name}` is given twice");
                let diagnostic = Diagnostic::error("duplicate-key", message);
                diagnostics.push(diagnostic.at(self.file, self.text, span.clone()));
                return None;
            }
            arguments.push((name.clone(), value));
        }
        arguments.sort();
        match self.project.get(&call.name) {
            Some(definition) => self.defined(definition, call, arguments, diagnostics),
            None if call.name == FRESHNESS => {
                if let Some((name, _, span)) = call.arguments.first() {
                    let message = format!("the signal `{FRESHNESS}` has no argument `{name}`");
                    let diagnostic = Diagnostic::error("signal-argument", message);
                    diagnostics.push(diagnostic.at(self.file, self.text, span.clone()));
                    return None;
                }
                Some(Signal {
                    name: FRESHNESS.to_owned(),
                    arguments,
                    query: None,
                    place: String::new(),
                })
            }
            None => {
                let diagnostic = self.unknown(&call.name);
                diagnostics.push(diagnostic.at(self.file, self.text, call.span.clone()));
                None
            }
        }
    }

    fn defined(
        &self,
        definition: &SignalDefinition,
        call: &Call,
        arguments: Vec<(String, String)>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Signal> {
        if definition.dialect != self.dialect {
            let what = format!(
                "a signal in {} on a model in {}",
                definition.dialect, self.dialect
            );
            let span = definition.name_span.clone();
            diagnostics.push(not_supported(&what).at(&definition.file, &definition.text, span));
            return None;
        }
        let used = names_of(&definition.query, definition.dialect);
        let is_known = |name: &str| {
            let mut defaults = definition.defaults.iter();
            used.contains(name) || defaults.any(|(known, _)| known == name)
        };
        if let Some((name, _, span)) = call.arguments.iter().find(|(name, ..)| !is_known(name)) {
            let message = format!("the signal `{}` has no argument `{name}`", definition.name);
            let has_meaning = |name: &&String| RuntimeVariable::from_name(name).is_none();
            let known = used.iter().filter(has_meaning).map(String::as_str);
            let known = known.chain(definition.defaults.iter().map(|(name, _)| name.as_str()));
            let diagnostic = match nearest(name, known) {
                Some(near) => Diagnostic::error("signal-argument", message)
                    .help(format!("Did you mean `{near}`?")),
                None => Diagnostic::error("signal-argument", message)
                    .help("Remove it, or use it in the signal's query."),
            };
            diagnostics.push(diagnostic.at(self.file, self.text, span.clone()));
            return None;
        }
        let question = Question {
            query: &definition.query,
            defaults: &definition.defaults,
            file: &definition.file,
            text: &definition.text,
            start: definition.query_start,
        };
        let query = question.with(&arguments, &self.scope(), diagnostics);
        let (line, _) = line_and_column(&definition.text, definition.query_start);
        Some(Signal {
            name: definition.name.clone(),
            arguments,
            query: Some(Template::new(query)),
            place: format!("{}:{line}", definition.file),
        })
    }

    fn unknown(&self, name: &str) -> Diagnostic {
        let function = format!("def {name}(");
        let mut files = self.settings.files.iter();
        let python = files.find(|(path, text)| {
            path.starts_with("signals/") && path.ends_with(".py") && text.contains(&function)
        });
        if let Some((path, _)) = python {
            let what = format!("a signal written in Python, `{name}` of `{path}`,");
            return not_supported(&what).help(format!(
                "Write it as a query in `signals/{name}.sql`: `SIGNAL (name {name}); SELECT …`."
            ));
        }
        let diagnostic = Diagnostic::error("unknown-signal", format!("unknown signal `{name}`"));
        let known = self.project.keys().map(String::as_str);
        match nearest(name, known.chain([FRESHNESS])) {
            Some(near) => diagnostic.help(format!(
                "Did you mean `{near}`? Signals are `SIGNAL (name …)` blocks with a query in files of `signals/`."
            )),
            None => diagnostic.help(format!(
                "Define it in `signals/{name}.sql`: `SIGNAL (name {name});` followed by a query."
            )),
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            dialect: self.dialect,
            locals: &[],
            variables: &self.settings.config.variables,
            gateway: &self.settings.config.selected_gateway,
            default_catalog: self.settings.default_catalog.as_deref(),
            kind: Some(self.kind),
            runtime: Runtime::All,
            defined: &[],
        }
    }
}
