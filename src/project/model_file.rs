//! A file of `models/`: the `MODEL` block, the query and what stands around them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::model::ChangePolicy;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::Statements;
use crate::model::Template;
use crate::project::Settings;
use crate::project::audits;
use crate::project::audits::AuditCall;
use crate::project::audits::AuditDefinition;
use crate::project::block::SqlFile;
use crate::project::comments::column_comments;
use crate::project::config::not_supported;
use crate::project::header;
use crate::project::header::Header;
use crate::project::kind::DeclaredKind;
use crate::project::known::KnownReading;
use crate::project::seeds;
use crate::project::statements;
use crate::project::statements::Statement;
use crate::project::statements::StatementKind;
use crate::project::storage;
use crate::project::substitute::Runtime;
use crate::project::substitute::substitute;
use crate::project::value::Call;
use crate::project::value::model_name;
use crate::sql::Query;
use crate::sql::tokens::TokenKind;

/// A model before what it reads and its audits are resolved.
pub(super) struct Draft {
    pub(super) model: Arc<Model>,
    pub(super) name_span: Range<usize>,
    pub(super) calls: Vec<AuditCall>,
    pub(super) signal_calls: Vec<Call>,
    pub(super) inline_audits: Vec<AuditDefinition>,
    pub(super) text: Arc<str>,
    /// The query's first word, or the block without one.
    pub(super) query_span: Range<usize>,
    /// Whether something is wrong with the file.
    pub(super) has_errors: bool,
    /// Whether what its query reads is among `depends_on`.
    pub(super) is_resolved: bool,
    /// What is remembered of it; its audits are resolved, and what there is to say of it is said.
    pub(super) known: Option<Box<KnownReading>>,
}

/// What a file of `models/` gives.
pub(super) struct ModelFile {
    /// `None` when there is no usable or no enabled model in it.
    pub(super) draft: Option<Draft>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Reads the file at `path`.
pub(super) fn read(path: &str, text: &Arc<str>, settings: &Settings<'_>) -> ModelFile {
    let mut file = SqlFile::new(path, text, settings);
    let mut enabled = true;
    let draft = read_file(&mut file, text, &mut enabled);
    if !enabled {
        // Nobody needs a model that is switched off.
        return ModelFile {
            draft: None,
            diagnostics: Vec::new(),
        };
    }
    ModelFile {
        draft,
        diagnostics: file.diagnostics,
    }
}

fn read_file(file: &mut SqlFile<'_>, text: &Arc<str>, enabled: &mut bool) -> Option<Draft> {
    let statements = statements::split(file.text, &file.tokens);
    let Some(first) = statements.first() else {
        let diagnostic = Diagnostic::warning("empty-file", "the file is empty, so it is no model");
        file.report(diagnostic, 0..0);
        return None;
    };
    if first.kind != StatementKind::Model {
        let span = file.tokens[first.tokens.start].span.clone();
        let diagnostic = Diagnostic::error("no-model-block", "the file has no `MODEL (…)` block")
            .help("Begin it with `MODEL (name schema.table, kind VIEW);`.");
        file.report(diagnostic, span);
        return None;
    }
    let word = first.tokens.start;
    let place = file.tokens[word].span.clone();
    let raw = ["audits", "signals"];
    let (properties, close) = file.properties(word, first.tokens.end, &raw);
    let header = header::read(file, &properties, &place);
    *enabled = header.enabled;
    if !header.enabled {
        return None;
    }
    let mut body = audits::after_block(file, close, first.tokens.end, "MODEL");
    let inline_audits = audits::read(file, text, &statements[1..], false);
    let mut last = 0;
    if let Some(body) = &body {
        last = body.end;
    }
    let kind = header.kind.as_ref();
    let range = runtime(kind);
    let mut defined = defined_names(file, &statements);
    defined.extend(file.defined.iter().cloned());
    let mut after_audit = false;
    let mut extra = Statements::default();
    for statement in &statements[1..] {
        let is_audit_query = after_audit && statement.kind == StatementKind::Query;
        after_audit = statement.kind == StatementKind::Audit;
        if is_audit_query {
            continue;
        }
        let start = file.tokens[statement.tokens.start].span.clone();
        match statement.kind {
            StatementKind::Query if body.is_none() => {
                body = Some(statement.tokens.clone());
                last = statement.tokens.end;
            }
            StatementKind::Query => {
                let diagnostic = Diagnostic::error("two-queries", "the model has a second query")
                    .help("Only one query is allowed per model; put the other in its own file.");
                file.report(diagnostic, start);
            }
            StatementKind::Audit => {}
            StatementKind::Signal => {
                let message = "a SIGNAL block stands in a file of its own";
                let diagnostic = Diagnostic::error("syntax", message)
                    .help("Put it with its query into a file of `signals/`.");
                file.report(diagnostic, start);
            }
            StatementKind::Model => {
                let message = "the file has a second MODEL block";
                let diagnostic = Diagnostic::error("two-models", message)
                    .help("Put every model in its own file.");
                file.report(diagnostic, start);
            }
            StatementKind::Metric => file.report(not_supported("a METRIC block"), start),
            StatementKind::Jinja => {
                if body.is_none() {
                    body = Some(0..0);
                }
                file.report(not_supported("a Jinja block"), start);
            }
            StatementKind::OnVirtualUpdate => {
                let inside = virtual_update(file, &statement.tokens);
                for tokens in inside {
                    let sql = statement_sql(file, &tokens, kind, &defined);
                    extra.on_virtual_update.push(sql);
                }
            }
            StatementKind::Macro => {
                let alone = body.is_none() && statement == statements.last().expect("not empty");
                if alone {
                    body = Some(0..0);
                }
                macro_statement(file, statement, &defined);
            }
            StatementKind::Other => {
                let sql = statement_sql(file, &statement.tokens, kind, &defined);
                if body.is_none() {
                    extra.before.push(sql);
                } else {
                    extra.after.push(sql);
                }
            }
        }
    }
    // A comment behind the query's last line still belongs to it.
    let comments_end = (last..file.tokens.len())
        .find(|at| !file.tokens[*at].is_trivia())
        .unwrap_or(file.tokens.len());
    let query = match (&body, kind) {
        (Some(body), Some(DeclaredKind::Seed { .. })) if !body.is_empty() => {
            let span = file.tokens[body.start].span.clone();
            file.report(Diagnostic::error("seed-query", "a seed has no query"), span);
            None
        }
        (None, Some(DeclaredKind::Seed { .. })) | (Some(_), Some(DeclaredKind::Seed { .. })) => {
            None
        }
        (None, _) => {
            let diagnostic = Diagnostic::error("no-query", "the model has no query")
                .help("Write a SELECT behind the MODEL block.");
            file.report(diagnostic, place.clone());
            None
        }
        (Some(body), _) if body.is_empty() => None,
        (Some(body), _) => Some(query(file, body, kind, range, &defined)),
    };
    let comments = body
        .as_ref()
        .filter(|body| !body.is_empty() && header.column_descriptions.is_none())
        .map(|body| {
            let tokens = &file.tokens[body.start..comments_end.max(body.end)];
            column_comments(file.text, tokens, file.dialect)
        });
    let query_place = body.as_ref().filter(|body| !body.is_empty()).map_or_else(
        || place.clone(),
        |body| file.tokens[body.start].span.clone(),
    );
    let before = &file.tokens[first.leading..word];
    let description = statements::comments(file.text, before);
    build(
        file,
        text,
        header,
        Parts {
            query,
            query_place,
            comments: comments.unwrap_or_default(),
            description,
            place,
            inline_audits,
            statements: extra,
        },
    )
}

fn runtime(kind: Option<&DeclaredKind>) -> Runtime {
    match kind {
        Some(DeclaredKind::Ready(kind)) if kind.only_execution_time() => {
            Runtime::WithoutRange(kind.name())
        }
        _ => Runtime::All,
    }
}

/// Names from `@DEF(name, …)`, lower case.
fn defined_names(file: &SqlFile<'_>, statements: &[Statement]) -> Vec<String> {
    let macros = statements
        .iter()
        .filter(|statement| statement.kind == StatementKind::Macro);
    macros
        .filter_map(|statement| {
            let tokens = &file.tokens[statement.tokens.clone()];
            let words: Vec<&str> = tokens
                .iter()
                .filter(|token| token.kind == TokenKind::Word)
                .take(2)
                .map(|token| token.text(file.text))
                .collect();
            match words.as_slice() {
                [def, name] if def.eq_ignore_ascii_case("def") => Some(name.to_ascii_lowercase()),
                _ => None,
            }
        })
        .collect()
}

fn macro_statement(file: &mut SqlFile<'_>, statement: &Statement, defined: &[String]) {
    let start = file.tokens[statement.tokens.start].span.start;
    let end = file.tokens[statement.tokens.end - 1].span.end;
    let mut scope = file.scope(Runtime::All);
    scope.defined = defined;
    let (_, problems) = substitute(&file.text[start..end], &scope);
    if problems.is_empty() {
        file.report(not_supported("a macro as a statement"), start..end);
    }
    file.report_shifted(problems, start);
}

fn query(
    file: &mut SqlFile<'_>,
    body: &Range<usize>,
    kind: Option<&DeclaredKind>,
    runtime: Runtime,
    defined: &[String],
) -> Template {
    let start = file.tokens[body.start].span.start;
    let end = file.tokens[body.end - 1].span.end;
    let mut scope = file.scope(runtime);
    scope.kind = kind.map(DeclaredKind::name);
    scope.defined = defined;
    let (text, problems) = substitute(&file.text[start..end], &scope);
    file.report_shifted(problems, start);
    let open = file.tokens[body.clone()]
        .iter()
        .find(|token| !token.terminated);
    if let Some(open) = open {
        let span = open.span.start..open.span.start + 1;
        let message = "a quote or comment that begins here is never closed";
        file.report(Diagnostic::error("syntax", message), span);
    }
    Template::new(text)
}

/// A statement besides the query; all macros of time have values in it, whatever the kind.
fn statement_sql(
    file: &mut SqlFile<'_>,
    tokens: &Range<usize>,
    kind: Option<&DeclaredKind>,
    defined: &[String],
) -> Template {
    query(file, tokens, kind, Runtime::All, defined)
}

/// The statements between `ON_VIRTUAL_UPDATE_BEGIN;` and `ON_VIRTUAL_UPDATE_END;`.
fn virtual_update(file: &mut SqlFile<'_>, block: &Range<usize>) -> Vec<Range<usize>> {
    let closed = file.tokens[block.end - 1].is_word(file.text, "ON_VIRTUAL_UPDATE_END");
    let inside = block.start + 1..if closed { block.end - 1 } else { block.end };
    if !closed {
        let span = file.tokens[block.start].span.clone();
        let message = "the block that begins here is never closed";
        let diagnostic =
            Diagnostic::error("syntax", message).help("Close it with `ON_VIRTUAL_UPDATE_END;`.");
        file.report(diagnostic, span);
    }
    let statements = statements::split(file.text, &file.tokens[inside.clone()]);
    let mut found = Vec::new();
    for statement in statements {
        let tokens = inside.start + statement.tokens.start..inside.start + statement.tokens.end;
        if matches!(statement.kind, StatementKind::Jinja | StatementKind::Macro) {
            let span = file.tokens[tokens.start].span.clone();
            file.report(not_supported("a macro in an ON_VIRTUAL_UPDATE block"), span);
            continue;
        }
        found.push(tokens);
    }
    found
}

struct Parts {
    query: Option<Template>,
    /// Its first word, or the block without one.
    query_place: Range<usize>,
    comments: BTreeMap<String, String>,
    description: Option<String>,
    place: Range<usize>,
    inline_audits: Vec<AuditDefinition>,
    statements: Statements,
}

/// The model, once everything that it needs is there.
fn build(file: &mut SqlFile<'_>, text: &Arc<str>, header: Header, parts: Parts) -> Option<Draft> {
    let settings = file.settings;
    let catalog = settings.default_catalog.as_deref();
    let name = header.name.as_ref().map(|name| model_name(name, catalog));
    let mut columns = header.columns;
    let kind = match header.kind? {
        DeclaredKind::Ready(kind) => Some(kind),
        DeclaredKind::Seed { path, csv } => {
            seeds::read(file, &path, csv, &header.kind_span, &mut columns).map(ModelKind::Seed)
        }
    };
    let mut depends_on: BTreeSet<ModelName> = header
        .depends_on
        .iter()
        .map(|table| model_name(table, catalog))
        .collect();
    for statement in parts
        .statements
        .before
        .iter()
        .chain(&parts.statements.after)
    {
        let text = statement.for_analysis(file.dialect);
        let tables = Query::scan_tables(&text, file.dialect);
        let tables = tables.iter().filter(|table| table.schema.is_some());
        depends_on.extend(tables.map(|table| model_name(table, catalog)));
    }
    let name = name?;
    let mut kind = kind?;
    let needs_query = !matches!(kind, ModelKind::Seed(_));
    if needs_query && parts.query.is_none() {
        return None;
    }
    if let ModelKind::IncrementalByTimeRange { time_column, .. } = &kind
        && let Some(columns) = &columns
        && !columns
            .iter()
            .any(|column| column.name == time_column.column)
    {
        let message = format!("`columns` has no time column `{}`", time_column.column);
        file.report(
            Diagnostic::error("wrong-value", message),
            header.kind_span.clone(),
        );
    }
    storage::check(
        file,
        &kind,
        &header.storage,
        &header.storage_places,
        columns.as_deref(),
        &header.kind_span,
    );
    if kind.is_symbolic() && !parts.statements.is_empty() {
        let message = format!("a model of kind {} runs no statements", kind.name());
        file.report(
            Diagnostic::error("wrong-value", message).help("Only its query is used; remove them."),
            header.kind_span.clone(),
        );
    }
    if kind == ModelKind::Embedded && !header.calls.is_empty() {
        let span = header.calls[0].span.clone().unwrap_or_default();
        let message = "an embedded model has no rows of its own to audit";
        file.report(Diagnostic::error("wrong-value", message), span);
    }
    if matches!(kind, ModelKind::Embedded | ModelKind::Seed(_))
        && let Some(call) = header.signals.first()
    {
        let message = format!(
            "a model of kind {} waits for no signal: it is not filled by intervals",
            kind.name()
        );
        let diagnostic = Diagnostic::error("wrong-value", message).help("Remove `signals`.");
        file.report(diagnostic, call.span.clone());
    }
    let asks = header.policy.auto_restatement_cron.is_some();
    let never = matches!(
        kind,
        ModelKind::IncrementalUnmanaged { .. } | ModelKind::ScdType2(_)
    );
    if asks && never && header.policy.disable_restatement != Some(false) {
        let message = format!(
            "`auto_restatement_cron` has no effect: kind {} is never filled again",
            kind.name()
        );
        let diagnostic = Diagnostic::warning("no-effect", message)
            .help("`disable_restatement false` allows it; what the history holds and today's data does not is lost then.");
        file.report(diagnostic, header.kind_span.clone());
    }
    let defaults = &settings.config.model_defaults;
    if let ModelKind::IncrementalByTimeRange {
        batch_concurrency: batches @ None,
        ..
    } = &mut kind
    {
        *batches = defaults.batch_concurrency;
    }
    let mut policy = header.policy;
    if !kind.is_incremental() {
        // Built anew whenever its columns change, whatever the defaults say.
        let usual = ChangePolicy::default();
        policy.on_destructive_change = usual.on_destructive_change;
        policy.on_additive_change = usual.on_additive_change;
    }
    let mut calls = Vec::new();
    if kind != ModelKind::Embedded {
        calls.extend(settings.default_audits.iter().cloned());
        calls.extend(header.calls);
    }
    let model = Model {
        placement: settings.config.placement(name.schema()),
        name,
        kind,
        storage: header.storage,
        statements: parts.statements,
        // Known once all queries are read.
        reads_itself: false,
        allow_partials: header.allow_partials.unwrap_or(defaults.allow_partials),
        dialect: file.dialect,
        query: parts.query,
        description: header.description.or(parts.description),
        owner: header.owner.or_else(|| defaults.owner.clone()),
        tags: header.tags,
        cron: header
            .cron
            .or_else(|| defaults.cron.clone())
            .unwrap_or_else(|| "@daily".to_owned()),
        cron_tz: header.cron_tz,
        interval_unit: header
            .interval_unit
            .or_else(|| defaults.interval_unit.clone()),
        start: header.start.or_else(|| defaults.start.clone()),
        end: header.end,
        grains: header.grains,
        columns,
        column_descriptions: header.column_descriptions.unwrap_or(parts.comments),
        audits: Vec::new(),
        signals: Vec::new(),
        depends_on,
        default_catalog: settings.default_catalog.clone(),
        project: header
            .project
            .unwrap_or_else(|| settings.config.project.clone()),
        stamp: header.stamp,
        policy,
        file: file.path.to_owned(),
    };
    Some(Draft {
        model: Arc::new(model),
        name_span: header.name_span.unwrap_or(parts.place),
        calls,
        signal_calls: header.signals,
        inline_audits: parts.inline_audits,
        text: Arc::clone(text),
        query_span: parts.query_place,
        has_errors: file.diagnostics.iter().any(Diagnostic::is_error),
        is_resolved: false,
        known: None,
    })
}
