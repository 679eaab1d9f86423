//! Which models a command means, out of the project and of what an environment has.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::ChangedFiles;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::Selector;
use crate::model::select_any;
use crate::ops::PlanRequest;
use crate::plan::PlanError;
use crate::plan::Wishes;
use crate::snapshot::Snapshot;

/// The selectors of an option.
///
/// # Errors
/// [`PlanError::Selection`] for one that cannot be read.
fn selectors(
    option: &'static str,
    texts: &[String],
    changed: &ChangedFiles,
) -> Result<Vec<Selector>, PlanError> {
    let parsed = texts.iter().map(|text| {
        let selector = Selector::parse(text).map_err(|error| PlanError::Selection {
            option,
            reason: error.to_string(),
        })?;
        Ok(selector.with_changed(changed))
    });
    parsed.collect()
}

/// The models that an option means; at least one.
///
/// # Errors
/// [`PlanError::Selection`] for a selector that cannot be read, or that means none of `models`.
pub(super) fn named(
    option: &'static str,
    texts: &[String],
    changed: &ChangedFiles,
    models: &BTreeMap<ModelName, Arc<Model>>,
) -> Result<BTreeSet<ModelName>, PlanError> {
    let selectors = selectors(option, texts, changed)?;
    for selector in &selectors {
        if selector.select(models).is_empty() {
            return Err(PlanError::Selection {
                option,
                reason: format!("`{}` selects no model", selector.text()),
            });
        }
    }
    Ok(select_any(&selectors, models))
}

/// The models of a plan when only some are taken from the project: the selected ones as the project has them, all
/// others as the environment has them. `None` when nothing is selected.
///
/// # Errors
/// [`PlanError::Selection`] when a selector cannot be read, or nothing on either side fits.
pub(super) fn taken(
    local: &BTreeMap<ModelName, Arc<Model>>,
    environment: &BTreeMap<ModelName, Snapshot>,
    texts: &[String],
    changed: &ChangedFiles,
) -> Result<Option<BTreeMap<ModelName, Arc<Model>>>, PlanError> {
    const OPTION: &str = "--select-model";
    if texts.is_empty() {
        return Ok(None);
    }
    let selectors = selectors(OPTION, texts, changed)?;
    let there: BTreeMap<ModelName, Arc<Model>> = environment
        .iter()
        .map(|(name, snapshot)| (name.clone(), Arc::clone(&snapshot.model)))
        .collect();
    // What is gone from the project can be selected by what it was.
    let mut both = there.clone();
    both.extend(
        local
            .iter()
            .map(|(name, model)| (name.clone(), Arc::clone(model))),
    );
    let mut selected = select_any(&selectors, local);
    let gone = select_any(&selectors, &both);
    selected.extend(gone.into_iter().filter(|name| !local.contains_key(name)));
    if selected.is_empty() {
        return Err(PlanError::Selection {
            option: OPTION,
            reason: format!("`{}` selects no model", texts.join("` and `")),
        });
    }
    let mut taken: BTreeMap<ModelName, Arc<Model>> = there
        .into_iter()
        .filter(|(name, _)| !selected.contains(name))
        .collect();
    for (name, model) in local {
        if selected.contains(name) {
            taken.insert(name.clone(), Arc::clone(model));
        }
    }
    Ok(Some(taken))
}

/// The request's wishes with the models that they mean.
///
/// # Errors
/// [`PlanError::Selection`].
pub(super) fn wishes(
    models: &BTreeMap<ModelName, Arc<Model>>,
    request: &PlanRequest,
) -> Result<Wishes, PlanError> {
    let extra = &request.extra;
    let some = |option, texts: &[String]| match texts {
        [] => Ok(None),
        _ => named(option, texts, &extra.changed, models).map(Some),
    };
    let mut backfill = some("--backfill-model", &extra.backfill)?;
    if backfill.is_none() && !extra.select.is_empty() && !request.environment.is_prod() {
        let selectors = selectors("--select-model", &extra.select, &extra.changed)?;
        backfill = Some(select_any(&selectors, models));
    }
    Ok(Wishes {
        backfill,
        allow_destructive: some("--allow-destructive-model", &extra.allow_destructive)?
            .unwrap_or_default(),
        allow_additive: some("--allow-additive-model", &extra.allow_additive)?.unwrap_or_default(),
        ..extra.wishes.clone()
    })
}
