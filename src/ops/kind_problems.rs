//! Columns that a model's kind names and that its query does not give.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::ScdChange;
use crate::project::FileTree;
use crate::snapshot::Candidate;
use crate::sql::tokens;
use crate::sql::tokens::TokenKind;

/// One diagnostic for each such column, in order of the models.
///
/// Where the declared columns of an external table decide, it is a warning: the declaration may be old.
pub(super) fn missing_columns(
    candidates: &BTreeMap<ModelName, Candidate>,
    files: &FileTree,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for candidate in candidates.values() {
        let Some(columns) = candidate.columns() else {
            continue;
        };
        let reads_external = candidate.parents.iter().any(|parent| {
            let parent = candidates.get(&parent.name);
            parent.is_some_and(|parent| parent.model.kind == ModelKind::External)
        });
        for (property, name) in named(candidate) {
            let is_known = columns
                .iter()
                .any(|known| known.eq_ignore_ascii_case(&name));
            if is_known {
                continue;
            }
            let message = format!(
                "`{property}` names `{name}`, which the query of `{}` does not give",
                candidate.id.name
            );
            let help = format!("It gives {}.", listed(&columns));
            let diagnostic = if reads_external {
                Diagnostic::warning("unknown-column", message)
            } else {
                Diagnostic::error("unknown-column", message)
            };
            diagnostics.push(placed(diagnostic.help(help), &name, candidate, files));
        }
        diagnostics.extend(taken(candidate, files));
    }
    diagnostics
}

/// The columns that the kind and the table's layout name, each with the property that does.
fn named(candidate: &Candidate) -> Vec<(&'static str, String)> {
    let model = &candidate.model;
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let mut expressions = |property, parts: &[String]| {
        let columns = parts.iter().filter_map(|part| alone(part));
        found.extend(columns.map(|column| (property, column)));
    };
    expressions("partitioned_by", &model.storage.partitioned_by);
    expressions("clustered_by", &model.storage.clustered_by);
    match &model.kind {
        ModelKind::IncrementalByTimeRange { time_column, .. } => {
            found.push(("time_column", time_column.column.clone()));
        }
        ModelKind::IncrementalByUniqueKey(key) => expressions("unique_key", &key.unique_key),
        ModelKind::ScdType2(scd) => {
            expressions("unique_key", &scd.unique_key);
            let updated_at = scd.updated_at().map(str::to_owned);
            found.extend(updated_at.map(|name| ("updated_at_name", name)));
            if let ScdChange::Column {
                columns: Some(columns),
                ..
            } = &scd.change
            {
                found.extend(columns.iter().map(|name| ("columns", name.clone())));
            }
        }
        ModelKind::View
        | ModelKind::MaterializedView
        | ModelKind::Full
        | ModelKind::IncrementalByPartition
        | ModelKind::IncrementalUnmanaged { .. }
        | ModelKind::Seed(_)
        | ModelKind::Embedded
        | ModelKind::External => {}
    }
    found
}

/// The column that an expression is, if it is one alone.
fn alone(expression: &str) -> Option<String> {
    let name = expression.strip_prefix('"')?.strip_suffix('"')?;
    let name = name.replace("\"\"", "\u{1}");
    (!name.contains('"')).then(|| name.replace('\u{1}', "\""))
}

/// Columns of the query with the names of those that an SCD_TYPE_2 table has besides.
fn taken(candidate: &Candidate, files: &FileTree) -> Vec<Diagnostic> {
    let ModelKind::ScdType2(scd) = &candidate.model.kind else {
        return Vec::new();
    };
    let given = candidate
        .meaning
        .as_ref()
        .and_then(|meaning| meaning.column_names());
    let given = given.unwrap_or_default();
    [
        ("valid_from_name", &scd.valid_from),
        ("valid_to_name", &scd.valid_to),
    ]
    .into_iter()
    .filter(|(_, name)| given.contains(name))
    .map(|(property, name)| {
        let message = format!(
            "the query of `{}` gives a column `{name}`, which its kind writes itself",
            candidate.id.name
        );
        let diagnostic = Diagnostic::error("duplicate-column", message)
            .help(format!("Rename it, or set `{property}` to another name."));
        placed(diagnostic, name, candidate, files)
    })
    .collect()
}

fn listed(columns: &[String]) -> String {
    let shown: Vec<String> = columns
        .iter()
        .take(12)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if columns.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", shown.join(", "))
}

/// Where the model's file first says `name`.
fn placed(
    diagnostic: Diagnostic,
    name: &str,
    candidate: &Candidate,
    files: &FileTree,
) -> Diagnostic {
    let model = &candidate.model;
    let Some(text) = files.get(&model.file) else {
        return diagnostic.in_file(&model.file);
    };
    let tokens = tokens::tokenize(text, model.dialect);
    let word = tokens.iter().find(|token| match token.kind {
        TokenKind::Word => token.text(text).eq_ignore_ascii_case(name),
        TokenKind::QuotedIdentifier => tokens::unquote(token.text(text), model.dialect) == name,
        _ => false,
    });
    match word {
        Some(word) => diagnostic.at(&model.file, text, word.span.clone()),
        None => diagnostic.in_file(&model.file),
    }
}
