//! Tables that somebody else fills: `external_models.yaml` and `external_models/**/*.yaml`.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::model::ChangePolicy;
use crate::model::Column;
use crate::model::DateExpr;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::Placement;
use crate::model::Statements;
use crate::model::Storage;
use crate::project::Settings;
use crate::project::config::Reader;
use crate::project::config::Unsupported;
use crate::project::model_file::Draft;
use crate::project::value::Value;
use crate::project::value::model_name;
use crate::project::value::normalize;
use crate::project::words::suggestion;
use crate::project::yaml;
use crate::project::yaml::Data;
use crate::project::yaml::Node;
use crate::sql::Dialect;
use crate::sql::tokens;

const KNOWN: [&str; 12] = [
    "name",
    "columns",
    "description",
    "column_descriptions",
    "tags",
    "start",
    "owner",
    "dialect",
    "cron",
    "stamp",
    "kind",
    "project",
];
const UNSUPPORTED: [(&str, Unsupported); 9] = [
    ("gateway", Unsupported::Error),
    ("audits", Unsupported::Error),
    ("end", Unsupported::Error),
    ("interval_unit", Unsupported::Error),
    ("cron_tz", Unsupported::Error),
    ("grain", Unsupported::Harmless),
    ("grains", Unsupported::Harmless),
    ("references", Unsupported::Harmless),
    ("depends_on", Unsupported::Error),
];

/// The models that the file at `path` declares, and what is wrong with it.
pub(super) fn read(
    path: &str,
    text: &Arc<str>,
    settings: &Settings<'_>,
) -> (Vec<Draft>, Vec<Diagnostic>) {
    let root = match yaml::parse(path, text) {
        Ok(Some(root)) => root,
        Ok(None) => return (Vec::new(), Vec::new()),
        Err(diagnostic) => return (Vec::new(), vec![*diagnostic]),
    };
    let mut reader = Reader::new(path, text);
    let mut drafts = Vec::new();
    match &root.data {
        Data::Null => {}
        Data::List(items) => {
            for item in items {
                drafts.extend(entry(&mut reader, item, settings, text));
            }
        }
        _ => {
            let message = format!("the file must be a list of tables, not {}", root.what());
            let diagnostic = Diagnostic::error("wrong-type", message)
                .help("Begin each table with `- name: schema.table`.");
            reader.report(diagnostic, root.place);
        }
    }
    (drafts, reader.diagnostics)
}

fn entry(
    reader: &mut Reader<'_>,
    node: &Node,
    settings: &Settings<'_>,
    text: &Arc<str>,
) -> Option<Draft> {
    let node = reader.section(node, "", &KNOWN, &UNSUPPORTED)?;
    let defaults = &settings.config.model_defaults;
    let mut dialect = defaults.dialect;
    if let Some(name) = reader.text(node, "", "dialect") {
        match Dialect::from_str(&name) {
            Ok(known) => dialect = known,
            Err(error) => {
                let known = Dialect::ALL.iter().map(|(name, _)| *name);
                let diagnostic = Diagnostic::error("unknown-dialect", error.to_string())
                    .help(suggestion(&name, known));
                reader.report(diagnostic, Reader::place(node, "dialect"));
            }
        }
    }
    reader.choice(node, "", "kind", &[("external", ())]);
    let Some(written) = reader.text(node, "", "name") else {
        let message = "an external table has no `name`";
        reader.report(Diagnostic::error("missing-key", message), node.place);
        return None;
    };
    let place = Reader::place(node, "name");
    let tokens: Vec<_> = tokens::tokenize(&written, dialect)
        .into_iter()
        .filter(|token| !token.is_trivia())
        .collect();
    let value = Value {
        text: &written,
        tokens: &tokens,
        dialect,
    };
    let Some(table) = value.table() else {
        let message = format!("`{written}` is no name of a table");
        reader.report(Diagnostic::error("wrong-value", message), place);
        return None;
    };
    let start = reader.text(node, "", "start");
    if let Some(Err(error)) = start.as_deref().map(DateExpr::parse) {
        let diagnostic = Diagnostic::error("wrong-value", error.to_string()).help(error.help());
        reader.report(diagnostic, Reader::place(node, "start"));
    }
    let columns = texts_by_name(reader, node, "columns", dialect).map(|columns| {
        let columns = columns.into_iter().map(|(name, data_type)| Column {
            name,
            data_type: Some(data_type),
        });
        columns.collect()
    });
    let descriptions = texts_by_name(reader, node, "column_descriptions", dialect);
    let tags = reader.texts(node, "", "tags");
    let catalog = settings.default_catalog.as_deref();
    let model = Model {
        name: model_name(&table, catalog),
        kind: ModelKind::External,
        storage: Storage::default(),
        statements: Statements::default(),
        reads_itself: false,
        allow_partials: false,
        dialect,
        query: None,
        description: reader.text(node, "", "description"),
        owner: reader.text(node, "", "owner"),
        tags: tags
            .into_iter()
            .map(|(tag, _)| tag.to_lowercase())
            .collect(),
        cron: reader
            .text(node, "", "cron")
            .unwrap_or_else(|| "@daily".to_owned()),
        cron_tz: None,
        interval_unit: None,
        start,
        end: None,
        grains: Vec::new(),
        columns,
        column_descriptions: descriptions
            .map(|entries| entries.into_iter().collect::<BTreeMap<_, _>>())
            .unwrap_or_default(),
        audits: Vec::new(),
        signals: Vec::new(),
        depends_on: std::collections::BTreeSet::new(),
        default_catalog: settings.default_catalog.clone(),
        placement: Placement::default(),
        project: reader
            .text(node, "", "project")
            .unwrap_or_else(|| settings.config.project.clone()),
        stamp: reader.text(node, "", "stamp"),
        policy: ChangePolicy::default(),
        file: reader.file.to_owned(),
    };
    let span = yaml::at(Diagnostic::error("", ""), reader.file, text, place).span;
    Some(Draft {
        model: Arc::new(model),
        name_span: span,
        calls: Vec::new(),
        signal_calls: Vec::new(),
        inline_audits: Vec::new(),
        text: Arc::clone(text),
        query_span: 0..0,
        has_errors: false,
        is_resolved: false,
        known: None,
    })
}

/// The map under `key`, in order: names in the dialect's case, values as texts.
fn texts_by_name(
    reader: &mut Reader<'_>,
    node: &Node,
    key: &str,
    dialect: Dialect,
) -> Option<Vec<(String, String)>> {
    let value = node.get(key)?;
    let Data::Map(entries) = &value.data else {
        if !matches!(value.data, Data::Null) {
            let message = format!("`{key}` must be a map, not {}", value.what());
            reader.report(Diagnostic::error("wrong-type", message), value.place);
        }
        return None;
    };
    let mut texts = Vec::new();
    for (name, value) in entries {
        match value.scalar() {
            Some(text) => texts.push((normalize(&name.name, dialect), text)),
            None => {
                let message = format!("`{key}.{}` must be a text", name.name);
                reader.report(Diagnostic::error("wrong-type", message), name.place);
            }
        }
    }
    Some(texts)
}
