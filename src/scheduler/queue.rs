//! Fill what is missing, parents before children, as many models at once as the engine takes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Instant;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::engine::EngineAdapter;
use crate::model::ModelName;
use crate::plan::Work;
use crate::scheduler::Progress;
use crate::scheduler::Reporter;
use crate::scheduler::Scope;
use crate::scheduler::materialize;
use crate::scheduler::materialize::Batch;
use crate::scheduler::past::Past;
use crate::snapshot::Interval;
use crate::state::StateStore;

/// How the filling went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Models that are filled, in the order they finished.
    pub filled: Vec<ModelName>,
    /// Models that failed, with the cause.
    pub failed: Vec<(ModelName, anyhow::Error)>,
    /// Models that were not tried, with the failed model that they read.
    pub skipped: Vec<(ModelName, ModelName)>,
    /// Audits that found rows but do not block, one sentence each.
    pub warnings: Vec<String>,
}

/// Fills `work`, whose models come parents first.
///
/// A model that fails stops its descendants, nothing else. Each batch is recorded in the state after its
/// transaction is committed, so a kill at any moment repeats at most the batches in flight.
pub async fn fill(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    scope: &Scope<'_>,
    work: &[Work],
    now: DateTime<Utc>,
    report: Reporter<'_>,
) -> Outcome {
    report(Progress::Started {
        models: work.len(),
        batches: work.iter().map(|work| work.batches.len()).sum(),
    });
    let upstream = upstream(scope, work);
    let mut outcome = Outcome::default();
    let mut waiting: Vec<&Work> = work.iter().collect();
    let mut done: BTreeSet<&ModelName> = BTreeSet::new();
    let mut broken: BTreeMap<&ModelName, ModelName> = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        let mut held_back = Vec::new();
        for item in std::mem::take(&mut waiting) {
            let parents = &upstream[&item.name];
            if let Some(cause) = parents
                .iter()
                .find_map(|parent| broken.get(parent).cloned())
            {
                report(Progress::Skipped {
                    name: item.name.clone(),
                    because: cause.clone(),
                });
                outcome.skipped.push((item.name.clone(), cause.clone()));
                broken.insert(&item.name, cause);
            } else if running.len() < engine.concurrency().max(1)
                && parents.iter().all(|parent| done.contains(parent))
            {
                running.push(async move {
                    (
                        item,
                        fill_model(engine, state, scope, item, now, report).await,
                    )
                });
            } else {
                held_back.push(item);
            }
        }
        waiting = held_back;
        let Some((item, result)) = running.next().await else {
            break;
        };
        match result {
            Ok(warnings) => {
                done.insert(&item.name);
                outcome.filled.push(item.name.clone());
                outcome.warnings.extend(warnings);
            }
            Err(error) => {
                report(Progress::Failed {
                    name: item.name.clone(),
                    message: format!("{error:#}"),
                });
                broken.insert(&item.name, item.name.clone());
                outcome.failed.push((item.name.clone(), error));
            }
        }
    }
    outcome
}

/// For each model with work, the models with work that it reads, directly or through others.
fn upstream<'a>(
    scope: &Scope<'_>,
    work: &'a [Work],
) -> BTreeMap<&'a ModelName, BTreeSet<&'a ModelName>> {
    let busy: BTreeMap<&ModelName, &'a ModelName> =
        work.iter().map(|work| (&work.name, &work.name)).collect();
    let mut upstream = BTreeMap::new();
    for item in work {
        let mut found = BTreeSet::new();
        let mut seen: BTreeSet<&ModelName> = BTreeSet::new();
        let mut next: Vec<&ModelName> = vec![&item.name];
        while let Some(name) = next.pop() {
            let Some(snapshot) = scope.snapshots.get(name) else {
                continue;
            };
            for parent in snapshot
                .model
                .depends_on
                .iter()
                .filter(|parent| *parent != &item.name)
            {
                // Beyond a busy parent its own upstream counts, and that waits by itself.
                if let Some(parent) = busy.get(parent) {
                    found.insert(*parent);
                } else if seen.insert(parent) {
                    next.push(parent);
                }
            }
        }
        upstream.insert(&item.name, found);
    }
    upstream
}

async fn fill_model(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    scope: &Scope<'_>,
    work: &Work,
    now: DateTime<Utc>,
    report: Reporter<'_>,
) -> anyhow::Result<Vec<String>> {
    let model = &scope.snapshots[&work.name].model;
    let mut warnings = Vec::new();
    if work.batches.is_empty() {
        // Its macros need some time; a table without rows depends on none.
        let day = Interval::new(
            scope.execution_time - TimeDelta::days(1),
            scope.execution_time,
        );
        materialize::make(&Batch {
            engine,
            scope,
            model,
            table: &work.table,
            range: day.expect("a day is not empty"),
            first: false,
            marker: None,
        })
        .await?;
    }
    let mut past = Past::of(engine, state, model, work, now).await?;
    for range in &past.remaining(work) {
        report(Progress::Batch {
            name: work.name.clone(),
            range: *range,
        });
        let started = Instant::now();
        let batch = Batch {
            engine,
            scope,
            model,
            table: &work.table,
            range: *range,
            first: past.is_empty(),
            marker: past.marker.as_ref(),
        };
        let written = materialize::write(&batch).await?;
        past.record(state, work, *range, now).await?;
        for message in &written.audited.warnings {
            report(Progress::AuditWarning {
                name: work.name.clone(),
                message: message.clone(),
            });
        }
        warnings.extend(written.audited.warnings);
        report(Progress::Filled {
            name: work.name.clone(),
            range: *range,
            rows: written.rows,
            audits: written.audited.passed,
            took: started.elapsed(),
        });
    }
    Ok(warnings)
}
