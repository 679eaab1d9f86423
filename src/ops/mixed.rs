//! Whether models of the project and models of an environment fit together, where a plan takes only some from the project.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::environment::EnvironmentName;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::ops::problems::rule;
use crate::ops::problems::unresolved;
use crate::snapshot::Candidate;

type Models = BTreeMap<ModelName, Arc<Model>>;

/// What would fail in the warehouse: a model that is read and left out, and columns that one side has and the other reads.
///
/// `mixed` has the selected models as `local` has them, all others as `environment` has them; `candidates` and `order` are
/// of these.
pub(super) fn misfits(
    local: &Models,
    mixed: &Models,
    candidates: &BTreeMap<ModelName, Candidate>,
    order: &[ModelName],
    environment: &EnvironmentName,
) -> Vec<Diagnostic> {
    let mix = Mix {
        local,
        mixed,
        environment,
    };
    let mut found = mix.left_out();
    let touched = mix.touched(order);
    for unresolved in unresolved(candidates) {
        let name = &unresolved.candidate.id.name;
        if !touched.contains(name) {
            continue;
        }
        let others = mix.others(name);
        if others.is_empty() {
            continue;
        }
        let message = format!("in `{name}`: {}", unresolved.problem.message);
        let rule = rule(unresolved.problem);
        let told = if unresolved.certain {
            Diagnostic::error(rule, message)
        } else {
            Diagnostic::warning(rule, message)
        };
        let told = told.help(mix.way_out(name, &others));
        let told = told.in_file(&unresolved.candidate.model.file);
        if !found.contains(&told) {
            found.push(told);
        }
    }
    found
}

struct Mix<'a> {
    local: &'a Models,
    mixed: &'a Models,
    environment: &'a EnvironmentName,
}

impl Mix<'_> {
    fn is_selected(&self, name: &ModelName) -> bool {
        let sides = (self.local.get(name), self.mixed.get(name));
        matches!(sides, (Some(local), Some(mixed)) if Arc::ptr_eq(local, mixed))
    }

    /// Models of the project that selected ones read, and that are not here.
    fn left_out(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let selected = self.mixed.iter().filter(|(name, _)| self.is_selected(name));
        for (name, model) in selected {
            let is_new = |parent: &&ModelName| {
                let known = self
                    .local
                    .get(*parent)
                    .filter(|_| !self.mixed.contains_key(*parent));
                known.is_some_and(|known| !matches!(known.kind, ModelKind::External))
            };
            let new: Vec<&ModelName> = model.depends_on.iter().filter(is_new).collect();
            for parent in &new {
                let environment = self.environment;
                let message = format!(
                    "`{name}` reads `{parent}`, which is not selected and which `{environment}` does not have"
                );
                let told = Diagnostic::error("model-not-selected", message);
                found.push(told.help(self.way_out(name, &new)).in_file(&model.file));
            }
        }
        found
    }

    /// The selected models and all that reads them.
    fn touched<'b>(&self, order: &'b [ModelName]) -> BTreeSet<&'b ModelName> {
        let mut touched = BTreeSet::new();
        for name in order {
            let Some(model) = self.mixed.get(name) else {
                continue;
            };
            let mut parents = model.depends_on.iter();
            if self.is_selected(name) || parents.any(|parent| touched.contains(parent)) {
                touched.insert(name);
            }
        }
        touched
    }

    /// The models that `name` needs as the project has them, or itself.
    fn others<'b>(&'b self, name: &'b ModelName) -> Vec<&'b ModelName> {
        let differs = |name: &ModelName| {
            !self.is_selected(name) && self.local.get(name) != self.mixed.get(name)
        };
        if !self.is_selected(name) {
            return vec![name];
        }
        let mut seen: BTreeSet<&ModelName> = BTreeSet::new();
        let mut open = vec![name];
        while let Some(model) = open.pop().and_then(|name| self.mixed.get(name)) {
            open.extend(model.depends_on.iter().filter(|parent| seen.insert(parent)));
        }
        seen.into_iter().filter(|name| differs(name)).collect()
    }

    fn way_out(&self, name: &ModelName, others: &[&ModelName]) -> String {
        let options = |names: &[&ModelName]| {
            let options = names.iter().map(|name| format!("-m {name}"));
            options.collect::<Vec<_>>().join(" ")
        };
        let environment = self.environment;
        if others.contains(&name) {
            return format!(
                "`{name}` is taken as `{environment}` has it; select it, too (`{}`), or leave out what it reads.",
                options(others)
            );
        }
        format!(
            "Select what it reads, too: `{} {}`, or `-m +{name}` for all of it.",
            options(&[name]),
            options(others)
        )
    }
}
