//! A folder of files becomes models and a configuration. A function of path→text pairs: no IO here.
#![warn(missing_docs)]

mod audits;
mod block;
mod builtin_audits;
mod checks;
mod comments;
mod config;
mod dependencies;
mod external;
mod files;
mod header;
mod keyed_kinds;
mod kind;
mod known;
mod model_file;
mod others;
mod place;
mod policy;
mod question;
mod seeds;
mod signals;
mod statements;
mod storage;
mod substitute;
#[cfg(test)]
mod tests;
mod value;
mod variable;
mod words;
mod yaml;
mod zone;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

pub use config::AutoCategorize;
pub use config::BotConfig;
pub use config::BotMergeMethod;
pub use config::CONFIG_FILES;
pub use config::CategorizeMode;
pub use config::Config;
pub use config::Connection;
pub use config::DuckDbAttachment;
pub use config::EstimateConfig;
pub use config::Gateway;
pub use config::ModelDefaults;
pub use config::NameMapping;
pub use config::PlacedStatement;
pub use config::PlanConfig;
pub use config::PostgresConnection;
pub use config::RunConfig;
pub use config::Secret;
pub use config::SslMode;
pub use config::SuffixTarget;
pub use config::User;
pub use config::VirtualEnvironmentMode;
pub use files::FileTree;
pub use known::KnownFile;
pub use known::KnownModel;
pub use known::KnownReading;
pub use known::Memory;
pub use known::Said;
pub use known::schema_digests;
pub use known::text_digest;
pub use place::place_of_name;
pub use variable::Variable;

use crate::diagnostic::Diagnostic;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::Readings;
use crate::project::audits::AuditCall;
use crate::project::audits::AuditDefinition;
use crate::project::audits::Caller;
use crate::project::block::SqlFile;
use crate::project::known::NoMemory;
use crate::project::model_file::Draft;
use crate::project::signals::SignalDefinition;
use crate::project::value::Value;
use crate::sql::Digest;
use crate::sql::tokens;

/// What decides about loading besides the files.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The gateway to use; `None` means what the configuration says.
    pub gateway: Option<String>,
    /// Environment variables, for `env_var(…)` and `SIDING__…` overrides.
    pub environment: BTreeMap<String, String>,
    /// Login name, for `user()`.
    pub user: String,
}

/// A loaded project. Partial when there were errors.
#[derive(Clone, Debug)]
pub struct Project {
    /// Name of the project; empty when the configuration gives none.
    pub name: String,
    /// The configuration.
    pub config: Config,
    /// Every enabled model, external ones included.
    pub models: BTreeMap<ModelName, Arc<Model>>,
    /// What they mean; those on a cycle have none.
    pub readings: Readings,
    /// What decided about its models besides their files.
    pub settings: Digest,
    /// The models that are not, or do not mean, what was remembered.
    pub renewed: BTreeSet<ModelName>,
}

/// What reading a file needs to know about the project.
pub(crate) struct Settings<'a> {
    files: &'a FileTree,
    config: &'a Config,
    /// In the dialect's case.
    default_catalog: Option<String>,
    /// From `model_defaults`.
    default_audits: Vec<AuditCall>,
}

/// The rule of a project without models.
pub const NO_MODELS: &str = "no-models";

/// The configuration alone, and everything that is wrong with it. `None` when it cannot be read.
pub fn load_config(files: &FileTree, options: &LoadOptions) -> (Option<Config>, Vec<Diagnostic>) {
    match config::find(files) {
        Ok(file) => {
            let (config, mut diagnostics) = config::read(files, file, options);
            sort(&mut diagnostics);
            (config, diagnostics)
        }
        Err(diagnostic) => (None, vec![*diagnostic]),
    }
}

/// The project in `files`, and everything that is wrong with it, sorted by file and line.
///
/// A project with an error in its diagnostics is not fit to be planned.
pub fn load(files: &FileTree, options: &LoadOptions) -> (Project, Vec<Diagnostic>) {
    load_remembering(files, options, &NoMemory)
}

/// As [`load`], where files that `memory` knows are not read again.
pub fn load_with(
    files: &FileTree,
    options: &LoadOptions,
    memory: &dyn Memory,
) -> (Project, Vec<Diagnostic>) {
    let (project, diagnostics) = load_remembering(files, options, memory);
    // Only what was read now knows the places of what is wrong.
    if diagnostics.iter().any(Diagnostic::is_error) {
        return load_remembering(files, options, &NoMemory);
    }
    (project, diagnostics)
}

fn load_remembering(
    files: &FileTree,
    options: &LoadOptions,
    memory: &dyn Memory,
) -> (Project, Vec<Diagnostic>) {
    let (config, mut diagnostics) = load_config(files, options);
    let Some(config) = config else {
        let config = Config::default();
        let project = Project {
            name: String::new(),
            config,
            models: BTreeMap::new(),
            readings: Readings::new(),
            settings: text_digest(""),
            renewed: BTreeSet::new(),
        };
        return (project, diagnostics);
    };
    let dialect = config.model_defaults.dialect;
    let catalog = config.default_catalog();
    let mut settings = Settings {
        files,
        config: &config,
        default_catalog: catalog.map(|catalog| value::normalize(&catalog, dialect)),
        default_audits: Vec::new(),
    };
    settings.default_audits = default_audits(&config, &mut diagnostics);

    let ignored = |path: &str| {
        let mut patterns = config.ignore_patterns.iter();
        patterns.any(|pattern| files::matches(pattern, path))
    };
    let decided = known::settings_digest(&settings);
    let remembered = |path: &str, text: &Arc<str>| {
        let file = memory.file(decided, path, text)?;
        ReadFiles::remembered(file, text, files)
    };
    let mut read = read_files(&settings, &ignored, &remembered);
    diagnostics.append(&mut read.diagnostics);
    let has_models = !read.drafts.is_empty();
    let project_audits = audits_by_name(read.audits, &mut diagnostics);
    let project_signals = signals::by_name(read.signals, &mut diagnostics);
    let mut drafts = checks::by_name(read.drafts, &mut diagnostics);
    let new: Vec<ModelName> = drafts
        .iter()
        .filter(|(_, draft)| draft.known.is_none())
        .map(|(name, _)| name.clone())
        .collect();
    let dependencies::Resolved {
        readings,
        mut renewed,
    } = dependencies::resolve(&mut drafts, &mut diagnostics);
    renewed.extend(new);
    // Models that were remembered together read each other in no circle.
    if !renewed.is_empty() {
        checks::cycles(&drafts, &mut diagnostics);
    }

    let finished: Vec<(Arc<Model>, Vec<Diagnostic>)> = drafts
        .into_par_iter()
        .map(|(_, draft)| finish(draft, &settings, &project_audits, &project_signals))
        .collect();
    let mut models = BTreeMap::new();
    for (model, mut found) in finished {
        diagnostics.append(&mut found);
        models.insert(model.name.clone(), model);
    }
    signals::check_freshness(&models, &mut diagnostics);
    if !has_models && diagnostics.iter().all(|diagnostic| !diagnostic.is_error()) {
        let diagnostic = Diagnostic::error(NO_MODELS, "the project has no models")
            .help("Put `.sql` files with a MODEL block into `models/`, or run `siding init`.");
        diagnostics.push(diagnostic);
    }
    sort(&mut diagnostics);
    let project = Project {
        name: config.project.clone(),
        config,
        models,
        readings,
        settings: decided,
        renewed,
    };
    (project, diagnostics)
}

/// By file, line and column; the same thing is said once.
fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| (d.line, d.column, d.span.start);
        (&a.file, key(a), &a.message).cmp(&(&b.file, key(b), &b.message))
    });
    diagnostics.dedup();
}

#[derive(Default)]
struct ReadFiles {
    drafts: Vec<Draft>,
    audits: Vec<AuditDefinition>,
    signals: Vec<SignalDefinition>,
    diagnostics: Vec<Diagnostic>,
}

impl ReadFiles {
    fn remembered(file: KnownFile, text: &Arc<str>, files: &FileTree) -> Option<Self> {
        let diagnostics = file.diagnostics();
        Some(Self {
            drafts: file.drafts(text, files)?,
            audits: Vec::new(),
            signals: Vec::new(),
            diagnostics,
        })
    }
}

/// What is remembered of the file at a path with a text.
type Remembered<'a> = &'a (dyn Fn(&str, &Arc<str>) -> Option<ReadFiles> + Sync);

/// Every file of the project but the configuration, in parallel.
fn read_files(
    settings: &Settings<'_>,
    ignored: &(dyn Fn(&str) -> bool + Sync),
    remembered: Remembered<'_>,
) -> ReadFiles {
    let files = settings.files;
    let mut all = ReadFiles::default();
    for (path, reason) in files.unreadable() {
        let folder = path.split('/').next().unwrap_or_default();
        let is_ours = path.ends_with(".sql") || path.ends_with('/');
        let read_by_us = (matches!(folder, "models" | "audits" | "signals") && is_ours)
            || is_external(files, path);
        if read_by_us && !ignored(path) {
            let what = if path.ends_with('/') {
                "folder"
            } else {
                "file"
            };
            let message = format!("the {what} cannot be read: {reason}");
            let diagnostic = Diagnostic::error("unreadable-file", message).in_file(path);
            all.diagnostics.push(diagnostic);
        }
    }
    let paths: Vec<(&str, &Arc<str>)> = files.iter().collect();
    let read: Vec<ReadFiles> = paths
        .into_par_iter()
        .map(|(path, text)| read_file(path, text, settings, ignored, remembered))
        .collect();
    for mut file in read {
        all.drafts.append(&mut file.drafts);
        all.audits.append(&mut file.audits);
        all.signals.append(&mut file.signals);
        all.diagnostics.append(&mut file.diagnostics);
    }
    all
}

fn is_external(files: &FileTree, path: &str) -> bool {
    let yaml = path.ends_with(".yaml") || path.ends_with(".yml");
    match path {
        "external_models.yaml" => true,
        // The old name counts only when the new one is not there.
        "schema.yaml" => files.get("external_models.yaml").is_none(),
        _ => yaml && path.starts_with("external_models/"),
    }
}

fn read_file(
    path: &str,
    text: &Arc<str>,
    settings: &Settings<'_>,
    ignored: &(dyn Fn(&str) -> bool + Sync),
    remembered: Remembered<'_>,
) -> ReadFiles {
    let mut read = ReadFiles::default();
    let is_external = is_external(settings.files, path);
    let may_be_known = is_external || path.starts_with("models/");
    if may_be_known && let Some(known) = remembered(path, text) {
        return known;
    }
    if is_external {
        (read.drafts, read.diagnostics) = external::read(path, text, settings);
        return read;
    }
    let sql = path.ends_with(".sql");
    let model = sql && path.starts_with("models/");
    let audit = sql && path.starts_with("audits/");
    let signal = sql && path.starts_with("signals/");
    if !model && !audit && !signal {
        let diagnostic = others::check(path, text);
        read.diagnostics
            .extend(diagnostic.filter(|_| !ignored(path)));
        return read;
    }
    if ignored(path) {
        return read;
    }
    if model {
        let file = model_file::read(path, text, settings);
        read.drafts.extend(file.draft);
        read.diagnostics = file.diagnostics;
    } else {
        let mut file = SqlFile::new(path, text, settings);
        let statements = statements::split(file.text, &file.tokens);
        if signal {
            read.signals = signals::read(&mut file, text, &statements);
        } else {
            read.audits = audits::read(&mut file, text, &statements, true);
        }
        read.diagnostics = file.diagnostics;
    }
    read
}

fn audits_by_name(
    audits: Vec<AuditDefinition>,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<String, AuditDefinition> {
    let mut by_name: BTreeMap<String, AuditDefinition> = BTreeMap::new();
    for audit in audits {
        if let Some(first) = by_name.get(&audit.name) {
            let message = format!(
                "the audit `{}` is declared twice: here and in `{}`",
                audit.name, first.file
            );
            let span = audit.name_span.clone();
            let diagnostic = Diagnostic::error("duplicate-audit", message);
            diagnostics.push(diagnostic.at(&audit.file, &audit.text, span));
        } else {
            by_name.insert(audit.name.clone(), audit);
        }
    }
    by_name
}

fn default_audits(config: &Config, diagnostics: &mut Vec<Diagnostic>) -> Vec<AuditCall> {
    let dialect = config.model_defaults.dialect;
    let mut calls = Vec::new();
    for text in &config.model_defaults.audits {
        let tokens = tokens::tokenize(text, dialect);
        let tokens: Vec<_> = tokens.into_iter().filter(|t| !t.is_trivia()).collect();
        let value = Value {
            text,
            tokens: &tokens,
            dialect,
        };
        match value.calls() {
            Ok(found) => {
                calls.extend(found.into_iter().map(|call| AuditCall { call, span: None }));
            }
            Err(_) => {
                let message = format!("`{text}` in `model_defaults.audits` is no call of an audit");
                let diagnostic = Diagnostic::error("wrong-value", message);
                diagnostics.push(diagnostic.in_file(&config.file));
            }
        }
    }
    calls
}

/// The model with its audits and signals.
fn finish(
    draft: Draft,
    settings: &Settings<'_>,
    project: &BTreeMap<String, AuditDefinition>,
    signals: &BTreeMap<String, SignalDefinition>,
) -> (Arc<Model>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut model = draft.model;
    if draft.known.is_some() {
        return (model, diagnostics);
    }
    let caller = Caller {
        settings,
        project,
        inline: &draft.inline_audits,
        dialect: model.dialect,
        kind: model.kind.name(),
        has_range: !model.kind.only_execution_time(),
        file: &model.file,
        text: &draft.text,
    };
    let audits = draft
        .calls
        .iter()
        .filter_map(|call| caller.resolve(call, &mut diagnostics))
        .collect();
    let caller = signals::Caller {
        settings,
        project: signals,
        dialect: model.dialect,
        kind: model.kind.name(),
        file: &model.file,
        text: &draft.text,
    };
    let calls = draft.signal_calls.iter();
    let signals = calls
        .filter_map(|call| caller.resolve(call, &mut diagnostics))
        .collect();
    let finished = Arc::make_mut(&mut model);
    finished.audits = audits;
    finished.signals = signals;
    (model, diagnostics)
}
