//! What a model asks of the engine besides rows: partitions, clusters, formats, properties.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::model::Column;
use crate::model::ModelKind;
use crate::model::Storage;
use crate::model::is_plain;
use crate::model::is_postgres_parameter;
use crate::project::block::Property;
use crate::project::block::SqlFile;
use crate::project::config::Connection;
use crate::project::value::Value;
use crate::sql::quote_identifier;

/// What a property is called where it is said to have no effect.
const NAMES: [(&str, &str); 7] = [
    ("partitioned_by", "partitioned_by"),
    ("clustered_by", "clustered_by"),
    ("table_format", "table_format"),
    ("storage_format", "storage_format"),
    ("physical_properties", "physical_properties"),
    ("table_properties", "physical_properties"),
    ("virtual_properties", "virtual_properties"),
];

/// The property's name in messages, and where it stands.
pub(super) fn placed(property: &Property) -> Option<(&'static str, Range<usize>)> {
    let found = NAMES.iter().find(|(key, _)| *key == property.key);
    found.map(|(_, name)| (*name, property.span.clone()))
}

/// Reads one of these properties into `storage`.
pub(super) fn read(
    file: &mut SqlFile<'_>,
    property: &Property,
    value: Value<'_>,
    storage: &mut Storage,
) {
    let key = property.key.as_str();
    match key {
        "partitioned_by" | "clustered_by" => {
            let Some(expressions) = value.expressions() else {
                let message = format!("`{key}` must be a column, or a list of columns");
                file.report(wrong(&message), property.span.clone());
                return;
            };
            let distinct: BTreeSet<&String> = expressions.iter().collect();
            if distinct.len() < expressions.len() {
                let message = format!("`{key}` has the same expression twice");
                file.report(
                    Diagnostic::error("duplicate-key", message),
                    property.key_span.clone(),
                );
            }
            if key == "partitioned_by" {
                storage.partitioned_by = expressions;
            } else {
                storage.clustered_by = expressions;
            }
        }
        "table_format" | "storage_format" => {
            let format = value.scalar().map(|format| format.to_lowercase());
            if format.is_none() {
                let message = format!("`{key}` must be one word");
                file.report(wrong(&message), property.place(&value));
            }
            if key == "table_format" {
                storage.table_format = format;
            } else {
                storage.storage_format = format;
            }
        }
        _ => match pairs(value) {
            Ok(pairs) if key == "virtual_properties" => storage.virtual_properties = pairs,
            Ok(pairs) => storage.physical_properties = pairs,
            Err(part) => {
                let message = format!("`{}` is no entry of a map", part.raw());
                let diagnostic =
                    wrong(&message).help(format!("Write `{key} (name = 'value', another = 1)`."));
                file.report(diagnostic, property.place(&part));
            }
        },
    }
}

/// Sorted by name; an entry whose value is NULL is none.
fn pairs(value: Value<'_>) -> Result<Vec<(String, String)>, Value<'_>> {
    let entries = value.entries()?.into_iter();
    let mut pairs: Vec<(String, String)> = entries
        .map(|(name, value)| (name.to_lowercase(), value.raw().to_owned()))
        .filter(|(_, value)| !matches!(value.to_ascii_lowercase().as_str(), "null" | "none"))
        .collect();
    pairs.sort();
    Ok(pairs)
}

/// Reports what does not fit the model's kind and columns, and what the engine has no such thing as.
pub(super) fn check(
    file: &mut SqlFile<'_>,
    kind: &ModelKind,
    storage: &Storage,
    storage_places: &BTreeMap<&'static str, Range<usize>>,
    columns: Option<&[Column]>,
    place: &Range<usize>,
) {
    let needs_partitions = matches!(
        kind,
        ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged {
                insert_overwrite: true
            }
    );
    if needs_partitions && storage.partitioned_by.is_empty() {
        let message = format!("kind {} needs `partitioned_by`", kind.name());
        let diagnostic = Diagnostic::error("missing-value", message)
            .help("Write `partitioned_by (a_column)` in the MODEL block.");
        file.report(diagnostic, place.clone());
    }
    for (key, expressions) in [
        ("partitioned_by", &storage.partitioned_by),
        ("clustered_by", &storage.clustered_by),
    ] {
        if !expressions.is_empty() && !kind.is_materialized() {
            let message = format!("a {} has no `{key}`: it stores no rows", kind.name());
            file.report(wrong(&message), place.clone());
        }
        let unknown = expressions.iter().filter(|expression| {
            let is_column = expression.starts_with('"');
            let mut columns = columns.unwrap_or_default().iter();
            is_column && !columns.any(|column| quote_identifier(&column.name) == **expression)
        });
        for expression in unknown.filter(|_| columns.is_some()) {
            let message = format!("`columns` has no {expression}, which `{key}` names");
            file.report(wrong(&message), place.clone());
        }
    }
    let mut without_effect: Vec<(&str, String)> = Vec::new();
    let mut nothing = |key: &'static str| without_effect.push((key, format!("`{key}` has")));
    if !needs_partitions && !storage.partitioned_by.is_empty() {
        nothing("partitioned_by");
    }
    if !storage.clustered_by.is_empty() {
        nothing("clustered_by");
    }
    if storage.table_format.is_some() {
        nothing("table_format");
    }
    if storage.storage_format.is_some() {
        nothing("storage_format");
    }
    let connection = file.settings.config.gateway();
    let in_postgres = connection
        .is_some_and(|gateway| matches!(gateway.connection, Connection::Postgres(_)))
        && kind.is_materialized();
    let properties = storage.physical_properties.iter();
    let (taken, others): (Vec<_>, Vec<_>) =
        properties.partition(|(name, _)| in_postgres && is_postgres_parameter(name));
    for (name, value) in taken.iter().filter(|(_, value)| !is_plain(value)) {
        let message =
            format!("`physical_properties`: `{name} = {value}` is no parameter of a table");
        let diagnostic =
            wrong(&message).help("Write a number, a word or a text, such as `fillfactor = 70`.");
        file.report(diagnostic, place.clone());
    }
    if !storage.virtual_properties.is_empty() {
        nothing("virtual_properties");
    }
    if taken.is_empty() && !others.is_empty() {
        nothing("physical_properties");
    } else {
        for (name, _) in others {
            let what = format!("`{name}` of `physical_properties` has");
            without_effect.push(("physical_properties", what));
        }
    }
    for (key, what) in without_effect {
        let message = format!("{what} no effect: the engine has no such thing");
        let diagnostic = Diagnostic::warning("no-effect", message)
            .help("It is kept, and counts when the model is compared; the rows are the same.");
        let place = storage_places.get(key).unwrap_or(place);
        file.report(diagnostic, place.clone());
    }
}

fn wrong(message: &str) -> Diagnostic {
    Diagnostic::error("wrong-value", message)
}
