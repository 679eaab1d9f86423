//! The `kind` of a model.

use std::num::NonZeroU32;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::model::CsvSettings;
use crate::model::ModelKind;
use crate::model::TimeColumn;
use crate::project::config::not_supported;
use crate::project::policy;
use crate::project::value::Value;
use crate::project::words::suggestion;
use crate::sql::Dialect;
use crate::sql::tokens::TokenKind;

/// A kind as declared; a seed's file is not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeclaredKind {
    Ready(ModelKind),
    Seed { path: String, csv: CsvSettings },
}

impl DeclaredKind {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ready(kind) => kind.name(),
            Self::Seed { .. } => "SEED",
        }
    }
}

/// Diagnostics without a file, each with its place in the value.
pub(super) type Problems = Vec<(Diagnostic, Option<Range<usize>>)>;

const SUPPORTED: [&str; 12] = [
    "VIEW",
    "FULL",
    "INCREMENTAL_BY_TIME_RANGE",
    "INCREMENTAL_BY_UNIQUE_KEY",
    "INCREMENTAL_BY_PARTITION",
    "INCREMENTAL_UNMANAGED",
    "SCD_TYPE_2",
    "SCD_TYPE_2_BY_TIME",
    "SCD_TYPE_2_BY_COLUMN",
    "SEED",
    "EMBEDDED",
    "EXTERNAL",
];
const UNSUPPORTED: [&str; 3] = ["MANAGED", "CUSTOM", "DBT_CUSTOM"];

/// Reads `NAME` or `NAME (key value, …)`. `None` when there is no kind to go on with.
pub(super) fn read(value: Value<'_>, time_format: &str) -> (Option<DeclaredKind>, Problems) {
    let mut problems = Problems::new();
    let Some((first, rest)) = value.tokens.split_first() else {
        problems.push((
            Diagnostic::error("missing-value", "`kind` has no value"),
            None,
        ));
        return (None, problems);
    };
    let written = first.text(value.text);
    let name = written.to_ascii_uppercase();
    if UNSUPPORTED.contains(&name.as_str()) {
        let problem = not_supported(&format!("kind `{name}`"));
        problems.push((problem, Some(first.span.clone())));
        return (None, problems);
    }
    if first.kind != TokenKind::Word || !SUPPORTED.contains(&name.as_str()) {
        let problem = Diagnostic::error("unknown-kind", format!("unknown kind `{written}`")).help(
            suggestion(written, SUPPORTED.into_iter().chain(UNSUPPORTED)),
        );
        problems.push((problem, Some(first.span.clone())));
        return (None, problems);
    }
    let rest = Value {
        tokens: rest,
        ..value
    };
    let properties = if rest.tokens.is_empty() {
        Vec::new()
    } else if let Some(inside) = rest.inside() {
        inside.split()
    } else {
        let problem = Diagnostic::error("syntax", format!("`{}` after the kind", rest.raw()))
            .help("Is a comma missing before it?");
        problems.push((problem, rest.span()));
        Vec::new()
    };
    let mut reader = KindReader {
        name: SUPPORTED
            .into_iter()
            .find(|known| *known == name)
            .expect("the kind is a supported one"),
        properties: Vec::new(),
        problems,
    };
    reader.collect(properties);
    let kind = match name.as_str() {
        "VIEW" => reader.view(),
        "FULL" => reader.plain(ModelKind::Full),
        "EMBEDDED" => reader.plain(ModelKind::Embedded),
        "EXTERNAL" => {
            let problem = Diagnostic::error(
                "wrong-value",
                "an external model cannot be declared in a SQL file",
            )
            .help("Declare it in `external_models.yaml`.");
            reader.problems.push((problem, Some(first.span.clone())));
            None
        }
        "SEED" => reader.seed(value.span()),
        "INCREMENTAL_BY_UNIQUE_KEY" => reader.by_unique_key(&first.span),
        "INCREMENTAL_BY_PARTITION" => {
            reader.check(&DISABLE, &[], &[]);
            Some(DeclaredKind::Ready(ModelKind::IncrementalByPartition))
        }
        "INCREMENTAL_UNMANAGED" => reader.unmanaged(),
        "SCD_TYPE_2" | "SCD_TYPE_2_BY_TIME" => reader.history_by_time(&first.span),
        "SCD_TYPE_2_BY_COLUMN" => reader.history_by_column(&first.span),
        _ => reader.incremental(time_format, first.span.clone()),
    };
    (kind, reader.problems)
}

/// Those of a kind that is forward-only anyway.
const DISABLE: [&str; 4] = [
    "disable_restatement",
    "on_destructive_change",
    "on_additive_change",
    "auto_restatement_cron",
];

pub(super) struct KindReader<'a> {
    name: &'static str,
    properties: Vec<(String, Range<usize>, Value<'a>)>,
    problems: Problems,
}

impl<'a> KindReader<'a> {
    fn collect(&mut self, parts: Vec<Value<'a>>) {
        for part in parts {
            let Some((key, value)) = part.tokens.split_first() else {
                continue;
            };
            let name = key.text(part.text).to_ascii_lowercase();
            if self.properties.iter().any(|(known, _, _)| *known == name) {
                let message = format!("`{name}` is given twice");
                let problem = Diagnostic::error("duplicate-key", message);
                self.problems.push((problem, Some(key.span.clone())));
                continue;
            }
            // `key = value` is read like `key value`.
            let value = match value {
                [equals, rest @ ..] if equals.is_mark(part.text, "=") => rest,
                _ => value,
            };
            let value = Value {
                tokens: value,
                ..part
            };
            self.properties.push((name, key.span.clone(), value));
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        let found = self.properties.iter().find(|(name, _, _)| name == key);
        found.map(|(_, _, value)| *value)
    }

    /// Reports every property that is none of `known`, nor one of `only` with its only value.
    pub(super) fn check(&mut self, known: &[&str], only: &[(&str, &str)], unsupported: &[&str]) {
        for (key, span, value) in &self.properties {
            if known.contains(&key.as_str()) {
                continue;
            }
            let given = value.scalar().unwrap_or_default();
            let problem = if let Some((_, default)) = only.iter().find(|(name, _)| name == key) {
                if given.eq_ignore_ascii_case(default) {
                    continue;
                }
                not_supported(&format!("`{key} {}`", value.raw()))
                    .help(format!("Only `{default}` is supported."))
            } else if unsupported.contains(&key.as_str()) {
                not_supported(&format!("the property `{key}`"))
            } else {
                let names = known.iter().chain(only.iter().map(|(name, _)| name));
                let names = names.chain(unsupported).copied();
                let message = format!("kind {} has no property `{key}`", self.name);
                let problem = Diagnostic::error("unknown-property", message);
                if known.is_empty() && only.is_empty() && unsupported.is_empty() {
                    problem.help(format!("{} takes no properties.", self.name))
                } else {
                    problem.help(suggestion(key, names))
                }
            };
            self.problems.push((problem, Some(span.clone())));
        }
    }

    pub(super) fn wrong(&mut self, key: &str, expected: &str) {
        let span = self.get(key).and_then(Value::span);
        let message = format!("`{key}` must be {expected}");
        self.problems
            .push((Diagnostic::error("wrong-value", message), span));
    }

    pub(super) fn positive(&mut self, key: &str) -> Option<NonZeroU32> {
        let value = self.get(key)?;
        let number = value.scalar().and_then(|text| text.parse().ok());
        if number.is_none() {
            self.wrong(key, "a whole number above 0");
        }
        number
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        let Some(value) = self.get(key) else {
            return default;
        };
        value.boolean().unwrap_or_else(|| {
            self.wrong(key, "`true` or `false`");
            default
        })
    }

    /// Reports that `kind` lacks `key`, at its name.
    pub(super) fn lacks(&mut self, key: &str, example: &str, place: &Range<usize>) {
        let message = format!("kind {} needs a `{key}`", self.name);
        let problem = Diagnostic::error("missing-value", message)
            .help(format!("Write `kind {} ({key} {example})`.", self.name));
        self.problems.push((problem, Some(place.clone())));
    }

    pub(super) fn problem(&mut self, key: &str, problem: Diagnostic) {
        let span = self.get(key).and_then(Value::span);
        self.problems.push((problem, span));
    }

    fn view(&mut self) -> Option<DeclaredKind> {
        self.check(&["materialized"], &[], &[]);
        let kind = if self.flag("materialized", false) {
            ModelKind::MaterializedView
        } else {
            ModelKind::View
        };
        Some(DeclaredKind::Ready(kind))
    }

    fn plain(&mut self, kind: ModelKind) -> Option<DeclaredKind> {
        self.check(&[], &[], &[]);
        Some(DeclaredKind::Ready(kind))
    }

    fn seed(&mut self, place: Option<Range<usize>>) -> Option<DeclaredKind> {
        self.check(&["path", "batch_size", "csv_settings"], &[], &[]);
        let _ = self.positive("batch_size");
        let csv = self.csv_settings();
        match self.get("path").map(Value::scalar) {
            Some(Some(path)) => Some(DeclaredKind::Seed { path, csv }),
            Some(None) => {
                self.wrong("path", "a path in quotes");
                None
            }
            None => {
                let problem = Diagnostic::error("missing-value", "kind SEED needs a `path`")
                    .help("Write `kind SEED (path '../seeds/file.csv')`.");
                self.problems.push((problem, place));
                None
            }
        }
    }

    fn csv_settings(&mut self) -> CsvSettings {
        let mut csv = CsvSettings::default();
        let Some(value) = self.get("csv_settings") else {
            return csv;
        };
        let Ok(entries) = value.entries() else {
            self.wrong("csv_settings", "a map such as `(delimiter = ';')`");
            return csv;
        };
        let mut problems = Vec::new();
        for (key, value) in entries {
            let key = key.to_ascii_lowercase();
            let character = || {
                let text = value.scalar().unwrap_or_default();
                let text = if text == "\\t" { "\t".to_owned() } else { text };
                let mut characters = text.chars();
                let first = characters.next().filter(char::is_ascii);
                first.filter(|_| characters.next().is_none())
            };
            let mut must = |expected: &str| {
                let message = format!("`{key}` must be {expected}");
                problems.push((Diagnostic::error("wrong-value", message), value.span()));
            };
            match key.as_str() {
                "delimiter" | "quotechar" | "escapechar" => match (character(), key.as_str()) {
                    (Some(character), "delimiter") => csv.delimiter = character,
                    (Some(character), "quotechar") => csv.quote = character,
                    (Some(character), _) => csv.escape = Some(character),
                    (None, _) => must("one ASCII character"),
                },
                "keep_default_na" => match value.boolean() {
                    Some(keep) => csv.keep_default_na = keep,
                    None => must("`true` or `false`"),
                },
                "na_values" if value.entries().is_ok_and(|entries| !entries.is_empty()) => {
                    let problem = not_supported("`na_values` by column");
                    problems.push((problem, value.span()));
                }
                "na_values" => {
                    let items: Option<Vec<String>> =
                        value.items().into_iter().map(Value::scalar).collect();
                    match items {
                        Some(items) => csv.na_values = items,
                        None => must("a list of texts"),
                    }
                }
                "doublequote" if value.boolean() == Some(true) => {}
                "skipinitialspace" if value.boolean() == Some(false) => {}
                "encoding"
                    if value.scalar().is_some_and(|encoding| {
                        matches!(encoding.to_lowercase().as_str(), "utf-8" | "utf8")
                    }) => {}
                "doublequote" | "skipinitialspace" | "encoding" | "lineterminator" => {
                    let what = format!("`{key} = {}` of `csv_settings`", value.raw());
                    problems.push((not_supported(&what), value.span()));
                }
                _ => {
                    let known = [
                        "delimiter",
                        "quotechar",
                        "doublequote",
                        "escapechar",
                        "skipinitialspace",
                        "lineterminator",
                        "encoding",
                        "na_values",
                        "keep_default_na",
                    ];
                    let message = format!("`csv_settings` has no `{key}`");
                    let problem = Diagnostic::error("unknown-property", message)
                        .help(suggestion(&key, known));
                    problems.push((problem, value.span()));
                }
            }
        }
        self.problems.extend(problems);
        csv
    }

    fn incremental(&mut self, time_format: &str, place: Range<usize>) -> Option<DeclaredKind> {
        let own = [
            "time_column",
            "batch_size",
            "lookback",
            "batch_concurrency",
            "auto_restatement_intervals",
        ];
        let known: Vec<&str> = own.into_iter().chain(policy::PROPERTIES).collect();
        self.check(
            &known,
            // No engine that there is has partitions of ours.
            &[("partition_by_time_column", "true")],
            &[],
        );
        let batch_concurrency = self.positive("batch_concurrency");
        let lookback = self.positive("lookback");
        let batch_size = self.positive("batch_size");
        let Some(value) = self.get("time_column") else {
            let problem = Diagnostic::error(
                "missing-value",
                "kind INCREMENTAL_BY_TIME_RANGE needs a `time_column`",
            )
            .help("Write `kind INCREMENTAL_BY_TIME_RANGE (time_column the_column)`.");
            self.problems.push((problem, Some(place)));
            return None;
        };
        let items = value.items();
        let column = items.first().and_then(|column| column.column());
        let format = match items.get(1) {
            Some(format) => format.scalar(),
            None => Some(time_format.to_owned()),
        };
        let (Some(column), Some(format), true) = (column, format, items.len() <= 2) else {
            self.wrong("time_column", "a column, or `(column, 'format')`");
            return None;
        };
        if value.dialect != Dialect::DuckDb && !format.contains('%') {
            let problem = not_supported(&format!("the time format `{format}`"))
                .help("Write it in the notation of `strftime`, such as `%Y-%m-%d`.");
            self.problems.push((problem, value.span()));
        }
        let time_column = TimeColumn { column, format };
        if let Some(part) = time_column.unknown_part() {
            let message = format!(
                "the time format `{}` has the unknown part `{part}`",
                time_column.format
            );
            let problem = Diagnostic::error("wrong-value", message)
                .help("Write it in the notation of `strftime`, such as `%Y-%m-%d %H:%M:%S`.");
            self.problems.push((problem, value.span()));
        }
        Some(DeclaredKind::Ready(ModelKind::IncrementalByTimeRange {
            time_column,
            lookback_intervals: lookback.map_or(0, NonZeroU32::get),
            batch_size_intervals: batch_size,
            batch_concurrency,
        }))
    }
}
