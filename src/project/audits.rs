//! `AUDIT` blocks, and calls of audits turned into queries.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::model::Audit;
use crate::model::Template;
use crate::project::Settings;
use crate::project::block::SqlFile;
use crate::project::builtin_audits;
use crate::project::config::not_supported;
use crate::project::question::Question;
use crate::project::question::check_dialect;
use crate::project::question::defaults;
use crate::project::statements::Statement;
use crate::project::statements::StatementKind;
use crate::project::statements::kind_of;
use crate::project::substitute::Runtime;
use crate::project::substitute::Scope;
use crate::project::substitute::substitute;
use crate::project::value::Call;
use crate::project::words::nearest;
use crate::project::words::suggestion;
use crate::sql::Dialect;

/// An `AUDIT` block with its query.
#[derive(Clone, Debug)]
pub(super) struct AuditDefinition {
    /// Lower case.
    pub(super) name: String,
    pub(super) dialect: Dialect,
    pub(super) skip: bool,
    pub(super) blocking: bool,
    /// SQL by argument, in lower case.
    pub(super) defaults: Vec<(String, String)>,
    /// As written, with all its macros.
    pub(super) query: String,
    pub(super) file: String,
    /// Text of the file, for places.
    pub(super) text: std::sync::Arc<str>,
    /// Where the query stands in the file.
    pub(super) query_start: usize,
    pub(super) name_span: Range<usize>,
}

/// A call of an audit and where it stands.
#[derive(Clone, Debug)]
pub(super) struct AuditCall {
    pub(super) call: Call,
    /// In the model's file; `None` for one from `model_defaults`.
    pub(super) span: Option<Range<usize>>,
}

const KNOWN: [&str; 9] = [
    "name",
    "dialect",
    "skip",
    "blocking",
    "defaults",
    "owner",
    "description",
    "tags",
    "standalone",
];
const STANDALONE_ONLY: [&str; 8] = [
    "depends_on",
    "cron",
    "cron_tz",
    "interval_unit",
    "start",
    "end",
    "project",
    "stamp",
];

/// The audits that `statements` of a file declare. Reports what else is there, when `alone`:
/// a model's file has other statements too.
pub(super) fn read(
    file: &mut SqlFile<'_>,
    text: &std::sync::Arc<str>,
    statements: &[Statement],
    alone: bool,
) -> Vec<AuditDefinition> {
    let mut definitions = Vec::new();
    let mut index = 0;
    while index < statements.len() {
        let statement = &statements[index];
        index += 1;
        if statement.kind != StatementKind::Audit {
            if alone {
                let span = file.tokens[statement.tokens.start].span.clone();
                let diagnostic = Diagnostic::error("syntax", "this is no `AUDIT (…)` block")
                    .help("Files in `audits/` hold `AUDIT (name …);` followed by a query.");
                file.report(diagnostic, span);
            }
            continue;
        }
        let (header, body) = header(file, statement);
        let query = body.or_else(|| {
            let next = statements.get(index)?;
            match next.kind {
                StatementKind::Query => {
                    index += 1;
                    Some(next.tokens.clone())
                }
                StatementKind::Jinja => {
                    index += 1;
                    let span = file.tokens[next.tokens.start].span.clone();
                    file.report(not_supported("a Jinja block"), span);
                    None
                }
                StatementKind::Other | StatementKind::Macro => {
                    index += 1;
                    let span = file.tokens[next.tokens.start].span.clone();
                    file.report(not_supported("a statement before an audit's query"), span);
                    None
                }
                StatementKind::Model
                | StatementKind::Audit
                | StatementKind::Signal
                | StatementKind::Metric
                | StatementKind::OnVirtualUpdate => {
                    let span = file.tokens[statement.tokens.start].span.clone();
                    let message = "the audit has no query";
                    file.report(Diagnostic::error("no-query", message), span);
                    None
                }
            }
        });
        if query.is_none() && index >= statements.len() {
            let already = file.diagnostics.iter().any(|diagnostic| {
                diagnostic.span.start >= file.tokens[statement.tokens.start].span.start
            });
            if !already {
                let span = file.tokens[statement.tokens.start].span.clone();
                file.report(
                    Diagnostic::error("no-query", "the audit has no query"),
                    span,
                );
            }
        }
        let (Some(header), Some(query)) = (header, query) else {
            continue;
        };
        let start = file.tokens[query.start].span.start;
        let end = file.tokens[query.end - 1].span.end;
        definitions.push(AuditDefinition {
            query: file.text[start..end].to_owned(),
            query_start: start,
            file: file.path.to_owned(),
            text: std::sync::Arc::clone(text),
            ..header
        });
    }
    definitions
}

/// The block, and the query when it follows without a semicolon.
fn header(
    file: &mut SqlFile<'_>,
    statement: &Statement,
) -> (Option<AuditDefinition>, Option<Range<usize>>) {
    let word = statement.tokens.start;
    let (properties, close) = file.properties(word, statement.tokens.end, &["defaults"]);
    let body = after_block(file, close, statement.tokens.end, "AUDIT");
    let mut definition = AuditDefinition {
        name: String::new(),
        dialect: file.dialect,
        skip: false,
        blocking: true,
        defaults: Vec::new(),
        query: String::new(),
        file: String::new(),
        text: "".into(),
        query_start: 0,
        name_span: file.tokens[word].span.clone(),
    };
    let mut usable = true;
    for property in &properties {
        let value = property.value(file.text);
        let span = property.span.clone();
        let mut wrong = |expected: &str| {
            let message = format!("`{}` must be {expected}", property.key);
            file.report(Diagnostic::error("wrong-value", message), span.clone());
        };
        match property.key.as_str() {
            "name" => match value.scalar() {
                Some(name) => {
                    definition.name = name.to_lowercase();
                    definition.name_span = span;
                }
                None => {
                    wrong("one name");
                    usable = false;
                }
            },
            "skip" => match value.boolean() {
                Some(skip) => definition.skip = skip,
                None => wrong("`true` or `false`"),
            },
            "blocking" => match value.boolean() {
                Some(blocking) => definition.blocking = blocking,
                None => wrong("`true` or `false`"),
            },
            "standalone" => match value.boolean() {
                Some(false) => {}
                Some(true) => {
                    file.report(
                        not_supported("a standalone audit"),
                        property.key_span.clone(),
                    );
                    usable = false;
                }
                None => wrong("`true` or `false`"),
            },
            "defaults" => match defaults(&value) {
                Some(defaults) => definition.defaults = defaults,
                None => wrong("a map such as `(threshold = 1)`"),
            },
            "dialect" => check_dialect(file, property),
            "owner" | "description" | "tags" => {}
            key if STANDALONE_ONLY.contains(&key) => {
                file.report(
                    not_supported(&format!("`{key}` in an AUDIT block")),
                    property.key_span.clone(),
                );
            }
            key => {
                let message = format!("an AUDIT block has no property `{key}`");
                let known = KNOWN.into_iter().chain(STANDALONE_ONLY);
                let diagnostic =
                    Diagnostic::error("unknown-property", message).help(suggestion(key, known));
                file.report(diagnostic, property.key_span.clone());
            }
        }
    }
    if definition.name.is_empty() && usable {
        let span = file.tokens[word].span.clone();
        file.report(
            Diagnostic::error("missing-value", "the AUDIT block has no `name`"),
            span,
        );
        usable = false;
    }
    (usable.then_some(definition), body)
}

/// What stands between the closing bracket at `close` and `end`: an error, but usable.
pub(super) fn after_block(
    file: &mut SqlFile<'_>,
    close: usize,
    end: usize,
    block: &str,
) -> Option<Range<usize>> {
    let next = (close + 1..end).find(|at| !file.tokens[*at].is_trivia())?;
    let span = file.tokens[close.min(file.tokens.len() - 1)].span.clone();
    let message = format!("`;` is missing after the {block} block");
    file.report(Diagnostic::error("syntax", message), span);
    let is_query = kind_of(file.text, &file.tokens[next..end]) == StatementKind::Query;
    is_query.then_some(next..end)
}

/// Where calls of audits are resolved.
pub(super) struct Caller<'a> {
    pub(super) settings: &'a Settings<'a>,
    pub(super) project: &'a BTreeMap<String, AuditDefinition>,
    /// Audits of the model's own file.
    pub(super) inline: &'a [AuditDefinition],
    pub(super) dialect: Dialect,
    /// As in a `MODEL` block.
    pub(super) kind: &'static str,
    pub(super) has_range: bool,
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Caller<'_> {
    /// The audit that `call` means, or `None` when it is skipped or wrong.
    pub(super) fn resolve(
        &self,
        call: &AuditCall,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Audit> {
        let report = |diagnostics: &mut Vec<Diagnostic>, diagnostic: Diagnostic| {
            diagnostics.push(match &call.span {
                Some(span) => diagnostic.at(self.file, self.text, span.clone()),
                None => diagnostic.in_file(&self.settings.config.file),
            });
        };
        let mut blocking = None;
        let mut arguments = Vec::new();
        for (name, value, span) in &call.call.arguments {
            let scope = self.scope();
            let (value, problems) = substitute(value, &scope);
            for problem in problems {
                let place = problem.span.start + span.start..problem.span.end + span.start;
                diagnostics.push(match &call.span {
                    Some(_) => problem.at(self.file, self.text, place),
                    None => problem.in_file(&self.settings.config.file),
                });
            }
            if name == "blocking" {
                match value.to_ascii_lowercase().as_str() {
                    "true" => blocking = Some(true),
                    "false" => blocking = Some(false),
                    _ => {
                        let message = "`blocking` must be `true` or `false`";
                        report(diagnostics, Diagnostic::error("wrong-value", message));
                    }
                }
            } else {
                arguments.push((name.clone(), value));
            }
        }
        arguments.sort();
        let name = call.call.name.as_str();
        let own = self.inline.iter().find(|audit| audit.name == name);
        if let Some(definition) = own.or_else(|| self.project.get(name)) {
            if definition.skip {
                return None;
            }
            let query = self.user_query(definition, &arguments, diagnostics)?;
            return Some(Audit {
                name: name.to_owned(),
                arguments,
                query: Template::new(query),
                blocking: blocking.unwrap_or(definition.blocking),
            });
        }
        let plain = name.strip_suffix("_non_blocking");
        let base = plain.unwrap_or(name);
        let built_in = builtin_audits::ALL.iter().find(|audit| audit.name == base);
        if let Some(built_in) = built_in {
            match built_in.query(&arguments, self.dialect) {
                Ok(query) => {
                    return Some(Audit {
                        name: name.to_owned(),
                        arguments,
                        query: Template::new(query),
                        blocking: blocking.unwrap_or(plain.is_none()),
                    });
                }
                Err(message) => {
                    report(diagnostics, Diagnostic::error("audit-argument", message));
                    return None;
                }
            }
        }
        if builtin_audits::UNSUPPORTED.contains(&base) {
            report(diagnostics, not_supported(&format!("the audit `{name}`")));
            return None;
        }
        let diagnostic = Diagnostic::error("unknown-audit", format!("unknown audit `{name}`"));
        let known = builtin_audits::ALL.iter().map(|audit| audit.name);
        let known = known.chain(self.project.keys().map(String::as_str));
        let known = known.chain(self.inline.iter().map(|audit| audit.name.as_str()));
        let help = match nearest(name, known) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "Declare it with an `AUDIT (…)` block in a file of `audits/`.".to_owned(),
        };
        report(diagnostics, diagnostic.help(help));
        None
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            dialect: self.dialect,
            locals: &[],
            variables: &self.settings.config.variables,
            gateway: &self.settings.config.selected_gateway,
            default_catalog: self.settings.default_catalog.as_deref(),
            kind: Some(self.kind),
            runtime: if self.has_range {
                Runtime::All
            } else {
                Runtime::WithoutRange(self.kind)
            },
            defined: &[],
        }
    }

    fn user_query(
        &self,
        definition: &AuditDefinition,
        arguments: &[(String, String)],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<String> {
        if definition.dialect != self.dialect {
            let what = format!(
                "an audit in {} on a model in {}",
                definition.dialect, self.dialect
            );
            let span = definition.name_span.clone();
            diagnostics.push(not_supported(&what).at(&definition.file, &definition.text, span));
            return None;
        }
        let question = Question {
            query: &definition.query,
            defaults: &definition.defaults,
            file: &definition.file,
            text: &definition.text,
            start: definition.query_start,
        };
        Some(question.with(arguments, &self.scope(), diagnostics))
    }
}
