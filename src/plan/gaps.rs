//! `--no-gaps`: a table that takes another's place covers all that the other one has.

use std::collections::BTreeMap;

use crate::environment::PromotedSnapshot;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::Current;
use crate::plan::Draft;
use crate::plan::PlanError;
use crate::plan::Work;
use crate::snapshot::Intervals;

/// Fails when a model would have less after the plan than what the environment shows of it now.
///
/// # Errors
/// [`PlanError::Gap`] for the first model by name.
pub(super) fn check(
    targets: &BTreeMap<ModelName, PromotedSnapshot>,
    work: &[Work],
    draft: &Draft,
    current: &Current,
) -> Result<(), PlanError> {
    let work: BTreeMap<&ModelName, &Work> = work.iter().map(|work| (&work.name, work)).collect();
    let before = current.target.iter().flat_map(|target| &target.snapshots);
    for entry in before {
        let name = &entry.id.name;
        let (Some(target), Some(snapshot)) = (targets.get(name), draft.snapshots.get(name)) else {
            continue;
        };
        let has_history = !matches!(
            snapshot.model.kind,
            ModelKind::View | ModelKind::Seed(_) | ModelKind::Embedded | ModelKind::External
        );
        let key = |entry: &PromotedSnapshot| (entry.id.name.clone(), entry.version.clone());
        let Some(old) = current.filled.get(&key(entry)) else {
            continue;
        };
        if target.version == entry.version || !has_history {
            continue;
        }
        let mut new = current
            .filled
            .get(&key(target))
            .cloned()
            .unwrap_or_default();
        if let Some(item) = work.get(name) {
            let kept = item.base.iter().flat_map(|base| &base.keep);
            let all: Intervals = kept.chain(&item.ranges).copied().collect();
            new = new.merge(&all);
        }
        let gap = old.difference(&new);
        if let Some(first) = gap.as_slice().first() {
            return Err(PlanError::Gap {
                model: name.clone(),
                missing: format!(
                    "{} to {}",
                    first.start().format("%Y-%m-%d %H:%M"),
                    first.end().format("%Y-%m-%d %H:%M")
                ),
            });
        }
    }
    Ok(())
}
