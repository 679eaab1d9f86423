//! The properties of a `MODEL` block.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;
use std::str::FromStr;

use crate::diagnostic::Diagnostic;
use crate::model::ChangePolicy;
use crate::model::Column;
use crate::model::Cron;
use crate::model::DateExpr;
use crate::model::IntervalUnit;
use crate::model::ModelKind;
use crate::model::Storage;
use crate::project::audits::AuditCall;
use crate::project::block::Property;
use crate::project::block::SqlFile;
use crate::project::config::not_supported;
use crate::project::kind;
use crate::project::kind::DeclaredKind;
use crate::project::policy;
use crate::project::storage;
use crate::project::value::Call;
use crate::project::value::Value;
use crate::project::words::nearest;
use crate::project::words::suggestion;
use crate::project::zone::read_zone;
use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::tokens;
use crate::sql::tokens::Token;

/// A `MODEL` block as declared.
#[derive(Default)]
pub(super) struct Header {
    pub(super) name: Option<TableName>,
    pub(super) name_span: Option<Range<usize>>,
    /// `None` after an error.
    pub(super) kind: Option<DeclaredKind>,
    pub(super) storage: Storage,
    /// Where its properties stand, by name.
    pub(super) storage_places: BTreeMap<&'static str, Range<usize>>,
    pub(super) allow_partials: Option<bool>,
    pub(super) kind_span: Range<usize>,
    pub(super) description: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) tags: BTreeSet<String>,
    pub(super) cron: Option<String>,
    pub(super) cron_tz: Option<String>,
    pub(super) interval_unit: Option<String>,
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
    pub(super) grains: Vec<Vec<String>>,
    pub(super) columns: Option<Vec<Column>>,
    pub(super) column_descriptions: Option<BTreeMap<String, String>>,
    pub(super) calls: Vec<AuditCall>,
    pub(super) signals: Vec<Call>,
    pub(super) depends_on: Vec<TableName>,
    pub(super) project: Option<String>,
    pub(super) stamp: Option<String>,
    pub(super) policy: ChangePolicy,
    pub(super) enabled: bool,
}

const KNOWN: [&str; 31] = [
    "name",
    "kind",
    "dialect",
    "description",
    "owner",
    "tags",
    "cron",
    "cron_tz",
    "interval_unit",
    "start",
    "end",
    "grain",
    "grains",
    "columns",
    "column_descriptions",
    "audits",
    "signals",
    "depends_on",
    "project",
    "stamp",
    "enabled",
    "formatting",
    "ignored_rules",
    "allow_partials",
    "partitioned_by",
    "clustered_by",
    "table_format",
    "storage_format",
    "physical_properties",
    "table_properties",
    "virtual_properties",
];

/// Properties of the format that Siding does not support yet, with the value that says what it
/// does anyway.
pub(super) const UNSUPPORTED: [(&str, Option<&str>); 11] = [
    ("references", None),
    ("session_properties", None),
    ("physical_version", None),
    ("gateway", None),
    ("optimize_query", Some("true")),
    ("virtual_environment_mode", Some("full")),
    ("grants", None),
    ("grants_target_layer", Some("virtual")),
    ("blueprints", None),
    ("retention", None),
    ("default_catalog", None),
];

/// Reads `properties`; `place` is where the block begins.
pub(super) fn read(
    file: &mut SqlFile<'_>,
    properties: &[Property],
    place: &Range<usize>,
) -> Header {
    let mut reader = HeaderReader {
        header: Header {
            enabled: true,
            kind_span: place.clone(),
            ..Header::default()
        },
        kind_given: false,
        failed_name: false,
    };
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for property in properties {
        // Some properties have two spellings.
        let key = match property.key.as_str() {
            "grain" => "grains",
            "table_properties" => "physical_properties",
            key => key,
        };
        if !seen.insert(key) {
            let message = format!("`{}` is given twice", property.key);
            file.report(
                Diagnostic::error("duplicate-key", message),
                property.key_span.clone(),
            );
            continue;
        }
        reader.property(file, property);
    }
    if reader.header.name.is_none() && !reader.failed_name {
        let diagnostic = Diagnostic::error("missing-value", "the MODEL block has no `name`")
            .help("Write `name schema.table`.");
        file.report(diagnostic, place.clone());
    }
    if !reader.kind_given {
        reader.default_kind(file, place);
    }
    let header = reader.header;
    if header.end.is_some() && header.start.is_none() {
        let default = file.settings.config.model_defaults.start.is_some();
        if !default {
            let end = properties.iter().find(|property| property.key == "end");
            let span = end.map_or(place.clone(), |end| end.key_span.clone());
            let message = "`end` needs a `start`";
            file.report(Diagnostic::error("missing-value", message), span);
        }
    }
    if let (Some(start), Some(end)) = (&header.start, &header.end)
        && let (Ok(first), Ok(last)) = (DateExpr::parse(start), DateExpr::parse(end))
        && !first.is_relative()
        && !last.is_relative()
    {
        // Neither depends on the clock, so any moment will do.
        let now = chrono::DateTime::UNIX_EPOCH;
        if first.resolve(now).as_start() >= last.resolve(now).as_end() {
            let property = properties.iter().find(|property| property.key == "end");
            let span = property.map_or(place.clone(), |property| property.span.clone());
            file.report(wrong("the model ends before it starts"), span);
        }
    }
    header
}

struct HeaderReader {
    header: Header,
    kind_given: bool,
    failed_name: bool,
}

impl HeaderReader {
    fn property(&mut self, file: &mut SqlFile<'_>, property: &Property) {
        let value = property.value(file.text);
        let key = property.key.as_str();
        let supported = KNOWN.contains(&key);
        if supported && value.tokens.is_empty() {
            let message = format!("`{key}` has no value");
            file.report(
                Diagnostic::error("missing-value", message),
                property.span.clone(),
            );
            self.failed_name |= key == "name";
            self.kind_given |= key == "kind";
            return;
        }
        match key {
            "name" => self.name(file, property, value),
            "kind" => self.kind(file, property, value),
            "dialect" => dialect(file, property, value),
            "description" => self.header.description = text(file, property, value),
            "owner" => self.header.owner = text(file, property, value),
            "project" => self.header.project = text(file, property, value),
            "stamp" => self.header.stamp = text(file, property, value),
            "tags" => {
                for item in value.items() {
                    if let Some(tag) = text(file, property, item) {
                        self.header.tags.insert(tag.to_lowercase());
                    }
                }
            }
            "cron" => {
                let cron = text(file, property, value);
                let read = |text| Cron::parse(text)?.interval_unit();
                if let Some(Err(error)) = cron.as_deref().map(read) {
                    let help = error.help();
                    let diagnostic = wrong(&error.to_string()).help(help);
                    file.report(diagnostic, property.span.clone());
                } else {
                    self.header.cron = cron;
                }
            }
            "cron_tz" => {
                if let Some(zone) = text(file, property, value) {
                    match read_zone(&zone) {
                        Ok(zone) => self.header.cron_tz = zone,
                        Err(diagnostic) => file.report(*diagnostic, property.span.clone()),
                    }
                }
            }
            "interval_unit" => {
                let unit = text(file, property, value).map(|unit| unit.to_lowercase());
                if let Some(Err(error)) = unit.as_deref().map(IntervalUnit::from_str) {
                    let diagnostic = wrong(&error.to_string()).help(error.help());
                    file.report(diagnostic, property.span.clone());
                } else {
                    self.header.interval_unit = unit;
                }
            }
            "start" => self.header.start = date(file, property, value),
            "end" => self.header.end = date(file, property, value),
            "grain" => self.header.grains = grain(file, property, value).into_iter().collect(),
            "grains" => {
                let items = value.items();
                let grains = items.into_iter().map(|item| grain(file, property, item));
                self.header.grains = grains.collect::<Vec<_>>().into_iter().flatten().collect();
            }
            "columns" => match value.columns() {
                Ok(columns) => self.columns(file, property, columns),
                Err(part) => {
                    let place = property.place(&part);
                    let diagnostic = wrong(&format!("`{}` is no column with its type", part.raw()))
                        .help("Write `columns (id INT, name TEXT)`.");
                    file.report(diagnostic, place);
                }
            },
            "column_descriptions" => match value.entries() {
                Ok(entries) => {
                    let mut descriptions = BTreeMap::new();
                    for (column, description) in entries {
                        let column = crate::project::value::normalize(&column, file.dialect);
                        if let Some(description) = text(file, property, description) {
                            descriptions.insert(column, description);
                        }
                    }
                    self.header.column_descriptions = Some(descriptions);
                }
                Err(part) => {
                    let place = property.place(&part);
                    let diagnostic = wrong(&format!("`{}` is no entry of a map", part.raw()))
                        .help("Write `column_descriptions (id = 'the id')`.");
                    file.report(diagnostic, place);
                }
            },
            "audits" => match value.calls() {
                Ok(calls) => {
                    self.header.calls = calls
                        .into_iter()
                        .map(|call| AuditCall {
                            span: Some(call.span.clone()),
                            call,
                        })
                        .collect();
                }
                Err(part) => {
                    let place = property.place(&part);
                    let diagnostic = wrong(&format!("`{}` is no call of an audit", part.raw()))
                        .help("Write `audits (not_null(columns := (a, b)))`.");
                    file.report(diagnostic, place);
                }
            },
            "signals" => match value.calls() {
                Ok(calls) => self.header.signals = calls,
                Err(part) => {
                    let place = property.place(&part);
                    let diagnostic = wrong(&format!("`{}` is no call of a signal", part.raw()))
                        .help("Write `signals (landed(min_rows := 5))`.");
                    file.report(diagnostic, place);
                }
            },
            "depends_on" => {
                for item in value.items() {
                    // A name in quotes is one text with dots.
                    let table = item.table().or_else(|| {
                        let tokens = tokens_of(&item.scalar()?, file.dialect);
                        let text = item.scalar()?;
                        let value = Value {
                            text: &text,
                            tokens: &tokens,
                            dialect: file.dialect,
                        };
                        value.table()
                    });
                    match table {
                        Some(table) => self.header.depends_on.push(table),
                        None => {
                            let place = property.place(&item);
                            let message = format!("`{}` is no name of a table", item.raw());
                            file.report(wrong(&message), place);
                        }
                    }
                }
            }
            "enabled" => match value.boolean() {
                Some(enabled) => self.header.enabled = enabled,
                None => file.report(
                    wrong("`enabled` must be `true` or `false`"),
                    property.span.clone(),
                ),
            },
            "allow_partials" => match value.boolean() {
                Some(allow) => self.header.allow_partials = Some(allow),
                None => file.report(
                    wrong("`allow_partials` must be `true` or `false`"),
                    property.span.clone(),
                ),
            },
            "partitioned_by"
            | "clustered_by"
            | "table_format"
            | "storage_format"
            | "physical_properties"
            | "table_properties"
            | "virtual_properties" => {
                self.header.storage_places.extend(storage::placed(property));
                storage::read(file, property, value, &mut self.header.storage);
            }
            "formatting" | "ignored_rules" => {}
            _ => unsupported(file, property, value),
        }
    }

    fn name(&mut self, file: &mut SqlFile<'_>, property: &Property, value: Value<'_>) {
        self.header.name_span = Some(property.span.clone());
        if let Some(table) = value.table() {
            let parts = [&table.catalog, &table.schema];
            let has_empty =
                table.name.is_empty() || parts.into_iter().flatten().any(String::is_empty);
            if has_empty {
                let diagnostic = wrong(&format!("a part of the name `{}` is empty", value.raw()));
                file.report(diagnostic, property.span.clone());
            }
            self.header.name = Some(table);
            return;
        }
        self.failed_name = true;
        let mut diagnostic = wrong(&format!("`{}` is no name of a model", value.raw()));
        if value.tokens.len() == 1 {
            diagnostic = diagnostic.help("Write the name without quotes: `name schema.table`.");
        } else if let Some(word) = value
            .tokens
            .iter()
            .skip(1)
            .find(|token| KNOWN.contains(&&*token.text(value.text).to_ascii_lowercase()))
        {
            let word = word.text(value.text);
            diagnostic = diagnostic.help(format!("Is a comma missing before `{word}`?"));
        } else {
            diagnostic = diagnostic.help("Write `name schema.table`.");
        }
        // What was found of `@undefined.x` has its own diagnostic.
        let has_own = file
            .diagnostics
            .iter()
            .any(|known| property.span.contains(&known.span.start) && known.is_error());
        let of_blueprint = !file.defined.is_empty() && value.raw().contains('@');
        if !has_own && !of_blueprint {
            file.report(diagnostic, property.span.clone());
        }
    }

    fn kind(&mut self, file: &mut SqlFile<'_>, property: &Property, value: Value<'_>) {
        self.kind_given = true;
        self.header.kind_span = property.span.clone();
        let has_own = file
            .diagnostics
            .iter()
            .any(|known| property.span.contains(&known.span.start) && known.is_error());
        let (kind, mut problems) = kind::read(value, &file.settings.config.time_column_format);
        self.header.kind = kind;
        let (policy, found) = policy::read(value, &file.settings.config.model_defaults.policy);
        self.header.policy = policy;
        problems.extend(found);
        if has_own {
            return;
        }
        for (problem, place) in problems {
            let in_file = std::ptr::eq(value.text, file.text);
            let place = place.filter(|_| in_file);
            file.report(problem, place.unwrap_or_else(|| property.span.clone()));
        }
    }

    fn default_kind(&mut self, file: &mut SqlFile<'_>, place: &Range<usize>) {
        let Some(text) = &file.settings.config.model_defaults.kind else {
            self.header.kind = Some(DeclaredKind::Ready(ModelKind::View));
            return;
        };
        let tokens = tokens_of(text, file.dialect);
        let value = Value {
            text,
            tokens: &tokens,
            dialect: file.dialect,
        };
        let (kind, mut problems) = kind::read(value, &file.settings.config.time_column_format);
        self.header.kind = kind;
        let (policy, found) = policy::read(value, &file.settings.config.model_defaults.policy);
        self.header.policy = policy;
        problems.extend(found);
        for (problem, _) in problems {
            file.report(problem, place.clone());
        }
    }

    fn columns(
        &mut self,
        file: &mut SqlFile<'_>,
        property: &Property,
        columns: Vec<(String, String)>,
    ) {
        let mut names = BTreeSet::new();
        for (name, _) in &columns {
            if !names.insert(name) {
                let message = format!("`columns` has `{name}` twice");
                file.report(
                    Diagnostic::error("duplicate-key", message),
                    property.key_span.clone(),
                );
            }
        }
        let columns = columns.into_iter().map(|(name, data_type)| Column {
            name,
            data_type: Some(data_type),
        });
        self.header.columns = Some(columns.collect());
    }
}

fn tokens_of(text: &str, dialect: Dialect) -> Vec<Token> {
    tokens::tokenize(text, dialect)
        .into_iter()
        .filter(|token| !token.is_trivia())
        .collect()
}

fn wrong(message: &str) -> Diagnostic {
    Diagnostic::error("wrong-value", message)
}

fn text(file: &mut SqlFile<'_>, property: &Property, value: Value<'_>) -> Option<String> {
    let text = value.scalar();
    if text.is_none() {
        let has_own = file
            .diagnostics
            .iter()
            .any(|known| property.span.contains(&known.span.start) && known.is_error());
        if !has_own {
            let message = format!("`{}` must be one text, not `{}`", property.key, value.raw());
            let diagnostic = wrong(&message).help("Put it in quotes.");
            file.report(diagnostic, property.place(&value));
        }
    }
    text
}

fn date(file: &mut SqlFile<'_>, property: &Property, value: Value<'_>) -> Option<String> {
    let text = text(file, property, value)?;
    match DateExpr::parse(&text) {
        Ok(_) => Some(text),
        Err(error) => {
            let help = error.help();
            let diagnostic = wrong(&error.to_string()).help(help);
            file.report(diagnostic, property.span.clone());
            None
        }
    }
}

/// One key: a column, or several in brackets.
fn grain(file: &mut SqlFile<'_>, property: &Property, value: Value<'_>) -> Option<Vec<String>> {
    let columns: Option<Vec<String>> = value.items().into_iter().map(Value::column).collect();
    if columns.is_none() {
        let message = format!("`{}` is no column and no list of columns", value.raw());
        file.report(wrong(&message), property.place(&value));
    }
    columns
}

/// The file was read in the dialect already, if it is a known one.
fn dialect(file: &mut SqlFile<'_>, property: &Property, value: Value<'_>) {
    let name = value.scalar().unwrap_or_else(|| value.raw().to_owned());
    if name.contains(',') {
        let diagnostic = not_supported("a dialect with settings");
        file.report(diagnostic, property.span.clone());
    } else if let Err(error) = Dialect::from_str(&name) {
        let known = Dialect::ALL.iter().map(|(name, _)| *name);
        let diagnostic =
            Diagnostic::error("unknown-dialect", error.to_string()).help(suggestion(&name, known));
        file.report(diagnostic, property.span.clone());
    }
}

fn unsupported(file: &mut SqlFile<'_>, property: &Property, value: Value<'_>) {
    let key = property.key.as_str();
    let Some((_, default)) = UNSUPPORTED.iter().find(|(known, _)| *known == key) else {
        let all = KNOWN
            .into_iter()
            .chain(UNSUPPORTED.iter().map(|(key, _)| *key));
        let message = format!("a MODEL block has no property `{key}`");
        let diagnostic = Diagnostic::error("unknown-property", message);
        let help = match nearest(key, all) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "Remove it, or check whether a comma is missing before it.".to_owned(),
        };
        file.report(diagnostic.help(help), property.key_span.clone());
        return;
    };
    let given = value.scalar().unwrap_or_default().to_lowercase();
    if default.is_some_and(|default| default == given) {
        return;
    }
    if key == "gateway" && given == file.settings.config.selected_gateway {
        return;
    }
    let diagnostic = not_supported(&format!("the property `{key}`"));
    let diagnostic = match default {
        Some(default) => diagnostic.help(format!("Only `{default}` is supported.")),
        None => diagnostic.help("Remove it."),
    };
    file.report(diagnostic, property.key_span.clone());
}
