//! Columns that a model's kind names and that its query does not give.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::ScdChange;
use crate::model::parse;
use crate::project::FileTree;
use crate::snapshot::Candidate;
use crate::sql::ProblemKind;
use crate::sql::Query;
use crate::sql::Schema;
use crate::sql::fold;
use crate::sql::tokens;
use crate::sql::tokens::Token;
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
        let is_known = |name: &str| {
            let mut columns = columns.iter();
            columns.any(|known| known.eq_ignore_ascii_case(name))
        };
        let mut unknown = named(candidate);
        unknown.retain(|(_, name)| !is_known(name));
        unknown.extend(in_expressions(candidate, &columns));
        unknown.extend(in_merges(candidate, &columns));
        if unknown.is_empty() {
            diagnostics.extend(taken(candidate, files));
            continue;
        }
        let reads_external = candidate.parents.iter().any(|parent| {
            let parent = candidates.get(&parent.name);
            parent.is_some_and(|parent| parent.model.kind == ModelKind::External)
        });
        let reads_external = reads_external && !names_its_columns(candidate);
        for (property, name) in unknown {
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

/// Whether the query itself says what columns it gives, whatever others have.
fn names_its_columns(candidate: &Candidate) -> bool {
    let query = parse(&candidate.model);
    query.is_some_and(|query| query.meaning(&|_| None).column_names().is_some())
}

/// The columns within expressions of the keys that are not among `columns`, each with the property that names it.
fn in_expressions(candidate: &Candidate, columns: &[String]) -> Vec<(&'static str, String)> {
    let (model, schema) = (
        &candidate.model,
        columns.iter().map(|name| (name.clone(), None)),
    );
    let schema = Arc::new(Schema::new(schema));
    let keys: &[String] = match &model.kind {
        ModelKind::IncrementalByUniqueKey(key) => &key.unique_key,
        ModelKind::ScdType2(scd) => &scd.unique_key,
        _ => &[],
    };
    let partitions = model.storage.partitioned_by.iter();
    let parts = partitions.map(|part| ("partitioned_by", part));
    let parts = parts.chain(keys.iter().map(|part| ("unique_key", part)));
    let mut found = Vec::new();
    for (property, part) in parts.filter(|(_, part)| alone(part).is_none()) {
        let sql = format!("SELECT {part} AS part FROM siding_rows");
        let meaning = Query::parse(&sql, model.dialect).meaning(&|_| Some(Arc::clone(&schema)));
        let unknown = meaning.problems.iter();
        let unknown = unknown.filter(|problem| problem.kind == ProblemKind::Unknown);
        found.extend(unknown.filter_map(|problem| {
            let place = usize::try_from(problem.place.1).ok()?.checked_sub(1)?;
            let (start, _) = sql.char_indices().nth(place)?;
            let name = tokens::tokenize(&sql[start..], model.dialect);
            let name = name.first()?.text(&sql[start..]);
            Some((property, alone(name).unwrap_or_else(|| name.to_owned())))
        }));
    }
    found
}

/// The columns of `source` and `target` in the clauses of a merge that are not among `columns`.
fn in_merges(candidate: &Candidate, columns: &[String]) -> Vec<(&'static str, String)> {
    let model = &candidate.model;
    let ModelKind::IncrementalByUniqueKey(key) = &model.kind else {
        return Vec::new();
    };
    let clauses = [
        ("when_matched", key.when_matched.as_deref()),
        ("merge_filter", key.merge_filter.as_deref()),
    ];
    let mut found = Vec::new();
    for (property, text) in clauses {
        let text = text.unwrap_or_default();
        let tokens = tokens::tokenize(text, model.dialect);
        let name = |token: &Token| match token.kind {
            TokenKind::Word => Some(fold(model.dialect, token.text(text), false)),
            TokenKind::QuotedIdentifier => Some(tokens::unquote(token.text(text), model.dialect)),
            _ => None,
        };
        for parts in tokens.windows(3) {
            let side = name(&parts[0]);
            let is_side = side.is_some_and(|side| {
                side.eq_ignore_ascii_case("source") || side.eq_ignore_ascii_case("target")
            });
            let column = name(&parts[2]).filter(|_| is_side && parts[1].is_mark(text, "."));
            let unknown = column.filter(|column| {
                let mut columns = columns.iter();
                !columns.any(|known| known.eq_ignore_ascii_case(column))
            });
            found.extend(unknown.map(|column| (property, column)));
        }
    }
    found.dedup();
    found
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
