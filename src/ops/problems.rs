//! Names in queries that mean nothing, as diagnostics.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::output_schema;
use crate::model::parse;
use crate::project::FileTree;
use crate::project::place_of_name;
use crate::snapshot::Candidate;
use crate::sql::Meaning;
use crate::sql::Problem;
use crate::sql::ProblemKind;
use crate::sql::Schema;

/// Columns that a model's query names and that are unknown or ambiguous, in order of the models.
///
/// They are errors where nothing but models of the project decides; where the declared columns of an external
/// table do, they are warnings: the declaration may be old.
pub(super) fn unresolved_names(
    candidates: &BTreeMap<ModelName, Candidate>,
    files: &FileTree,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for found in unresolved(candidates) {
        let diagnostic = diagnostic(found.problem, found.certain);
        let diagnostic = placed(diagnostic, found.problem, found.candidate, files);
        // An expression that two clauses share is read twice.
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }
    diagnostics
}

/// A name in a query that means nothing.
pub(super) struct Unresolved<'a> {
    /// Whose query.
    pub(super) candidate: &'a Candidate,
    /// What and where.
    pub(super) problem: &'a Problem,
    /// Whether nothing but models of the project decides.
    pub(super) certain: bool,
}

/// Columns that queries name and that are unknown or ambiguous, in order of the models.
pub(super) fn unresolved(candidates: &BTreeMap<ModelName, Candidate>) -> Vec<Unresolved<'_>> {
    let mut firm = Firm {
        candidates,
        schemas: BTreeMap::new(),
    };
    let mut found = Vec::new();
    for candidate in candidates.values() {
        let Some(meaning) = &candidate.meaning else {
            continue;
        };
        if meaning.problems.is_empty() {
            continue;
        }
        let certain = firm.meaning(candidate);
        found.extend(meaning.problems.iter().map(|problem| {
            let certain = certain
                .iter()
                .flat_map(|meaning| &meaning.problems)
                .any(|other| other.place == problem.place && other.kind == problem.kind);
            Unresolved {
                candidate,
                problem,
                certain,
            }
        }));
    }
    found
}

/// The name of the rule that `problem` breaks.
pub(super) fn rule(problem: &Problem) -> &'static str {
    match problem.kind {
        ProblemKind::Unknown => "unknown-column",
        ProblemKind::Ambiguous => "ambiguous-column",
    }
}

fn diagnostic(problem: &Problem, is_certain: bool) -> Diagnostic {
    let rule = rule(problem);
    let suggestion = problem.suggestion.as_ref().map(|name| match problem.kind {
        ProblemKind::Unknown => format!("Did you mean `{name}`?"),
        ProblemKind::Ambiguous => {
            format!("Say whose column it is: write `{name}`, if that is meant.")
        }
    });
    let old = "The columns of external tables are those that the project declares; \
               the declaration may be old.";
    let (diagnostic, help) = if is_certain {
        (Diagnostic::error(rule, &problem.message), suggestion)
    } else {
        let help = suggestion.map_or_else(|| old.to_owned(), |help| format!("{help} {old}"));
        (Diagnostic::warning(rule, &problem.message), Some(help))
    };
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn placed(
    diagnostic: Diagnostic,
    problem: &Problem,
    candidate: &Candidate,
    files: &FileTree,
) -> Diagnostic {
    let model = &candidate.model;
    let (Some(text), Some(query)) = (files.get(&model.file), &model.query) else {
        return diagnostic.in_file(&model.file);
    };
    let span = place_of_name(text, query, model.dialect, problem.place);
    diagnostic.at(&model.file, text, span)
}

/// Columns that follow from the project's own queries and seeds, whatever is declared of external tables.
struct Firm<'a> {
    candidates: &'a BTreeMap<ModelName, Candidate>,
    schemas: BTreeMap<&'a ModelName, Option<Arc<Schema>>>,
}

impl<'a> Firm<'a> {
    /// What the query of `candidate` means when nothing is believed about external tables.
    fn meaning(&mut self, candidate: &'a Candidate) -> Option<Meaning> {
        for parent in &candidate.parents {
            self.learn(&parent.name);
        }
        self.read(candidate)
    }

    fn read(&self, candidate: &Candidate) -> Option<Meaning> {
        let query = parse(&candidate.model)?;
        Some(query.meaning(&|table| {
            let name = candidate.model.resolve(table);
            self.schemas.get(&name).cloned().flatten()
        }))
    }

    /// Reads `name` and everything above it, parents first.
    fn learn(&mut self, name: &'a ModelName) {
        let mut stack = vec![name];
        while let Some(name) = stack.last().copied() {
            let candidate = self.candidates.get(name);
            let waiting: Vec<&ModelName> = candidate
                .filter(|_| !self.schemas.contains_key(name))
                .iter()
                .flat_map(|candidate| &candidate.parents)
                .map(|parent| &parent.name)
                .filter(|parent| !self.schemas.contains_key(parent))
                .collect();
            if !waiting.is_empty() {
                stack.extend(waiting);
                continue;
            }
            stack.pop();
            if !self.schemas.contains_key(name) {
                let schema = candidate.and_then(|candidate| self.schema(candidate));
                self.schemas.insert(name, schema);
            }
        }
    }

    fn schema(&self, candidate: &Candidate) -> Option<Arc<Schema>> {
        if candidate.model.kind == ModelKind::External {
            return None;
        }
        let meaning = self.read(candidate);
        output_schema(&candidate.model, meaning.as_ref()).map(Arc::new)
    }
}
