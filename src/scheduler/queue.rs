//! Fill what is missing, parents before children, as many models at once as the engine takes.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Context;
use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::engine::EngineAdapter;
use crate::environment::EnvironmentName;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::HeldBack;
use crate::plan::Unready;
use crate::plan::Work;
use crate::plan::unit_counter;
use crate::scheduler::Control;
use crate::scheduler::CutShort;
use crate::scheduler::Keeper;
use crate::scheduler::ModelOutcome;
use crate::scheduler::ModelStatus;
use crate::scheduler::Outcome;
use crate::scheduler::Progress;
use crate::scheduler::Reporter;
use crate::scheduler::Scope;
use crate::scheduler::Stopped;
use crate::scheduler::Turns;
use crate::scheduler::batch;
use crate::scheduler::batch::Done;
use crate::scheduler::batch::EnvironmentChanged;
use crate::scheduler::copy;
use crate::scheduler::failures::Failures;
use crate::scheduler::failures::is_of_its_batch;
use crate::scheduler::hold::hold;
use crate::scheduler::materialize;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::Known;
use crate::scheduler::past::Past;
use crate::scheduler::place::Places;
use crate::scheduler::ready::Ready;
use crate::scheduler::signals;
use crate::scheduler::unrecorded::Unrecorded;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Version;
use crate::sql::TableName;
use crate::state::Lease;
use crate::state::StateStore;
use crate::state::Subject;

/// Everything that filling takes besides the work.
pub struct Filling<'a> {
    /// The warehouse.
    pub engine: &'a dyn EngineAdapter,
    /// The record.
    pub state: &'a StateStore,
    /// What names mean.
    pub scope: &'a Scope<'a>,
    /// For which environment.
    pub environment: &'a EnvironmentName,
    /// How the environment must still be, or the filling ends.
    pub bound_to: BoundTo<'a>,
    /// What was filled when the work was found.
    pub filled: &'a BTreeMap<(ModelName, Version), Intervals>,
    /// What signals of models said then that it is not ready: that counts until the filling ends.
    pub withheld: &'a BTreeMap<ModelName, Intervals>,
    /// "Now", for the record.
    pub now: DateTime<Utc>,
    /// Who this is, and whether it goes on.
    pub control: &'a Control,
    /// Renews the leases.
    pub keeper: &'a Keeper,
    /// As many as transactions may do work at once.
    pub turns: Turns,
    /// Who is told.
    pub report: Reporter<'a>,
}

/// How an environment was when work for it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundTo<'a> {
    /// The plan that made it; `None` if it was not there.
    pub plan_id: Option<&'a str>,
    /// Whether its views must be known to be switched.
    pub finished: bool,
}

/// Fills `work`, whose models come parents first.
///
/// A model that fails stops its descendants, nothing else. Each batch is recorded in the state after its
/// transaction is committed, so a kill at any moment repeats at most the batches in flight and those of the last tenth of a
/// second. Of several processes, one
/// writes a table; the others wait for it and then do only what is still missing.
pub async fn fill(filling: &Filling<'_>, work: &[Work]) -> Outcome {
    (filling.report)(Progress::Started {
        models: work.len(),
        batches: work.iter().map(|work| work.batches.len()).sum(),
    });
    let graph = filling.scope.snapshots.iter();
    let graph = graph.map(|(name, snapshot)| (name, &snapshot.model.depends_on));
    let mut ready = Ready::new(graph, work.iter().map(|work| &work.name));
    let mut outcome = Outcome::default();
    let places = Places::default();
    let mut held = HeldBack::default();
    let mut running = FuturesUnordered::new();
    loop {
        if filling.control.stop.is_asked() {
            outcome.cut_short.get_or_insert(CutShort::Stopped);
        }
        while outcome.cut_short.is_none()
            && running.len() < filling.engine.concurrency().max(1)
            && let Some(place) = ready.start()
        {
            let places = &places;
            // All that it reads has been looked at.
            let above = held.above(&work[place].name, filling.scope.snapshots);
            running.push(async move {
                let mut model = ModelOutcome::new(&work[place].name);
                let result = fill_model(filling, places, (&work[place], above), &mut model).await;
                (place, model, result)
            });
        }
        let Some((place, mut model, result)) = running.next().await else {
            break;
        };
        let name = &work[place].name;
        outcome.warnings.extend(model.warnings.iter().cloned());
        match result {
            Ok(unready) => {
                ready.done(place);
                held.add(name, unready);
                if !model.waits.is_empty() {
                    model.status = ModelStatus::Waiting;
                }
                if model.waits.is_empty() || !model.batches.is_empty() {
                    outcome.filled.push(name.clone());
                }
            }
            Err(error) => match cut_short(&error) {
                Some(why) => {
                    outcome.cut_short.get_or_insert(why);
                    outcome.left.push(name.clone());
                    model.status = ModelStatus::Stopped;
                }
                None => {
                    (filling.report)(Progress::Failed {
                        name: name.clone(),
                        message: format!("{error:#}"),
                    });
                    for skipped in ready.failed(place) {
                        let (reader, because) = (work[skipped].name.clone(), name.clone());
                        (filling.report)(Progress::Skipped {
                            name: reader.clone(),
                            because: because.clone(),
                        });
                        outcome.skipped.push((reader, because));
                    }
                    outcome.failed.push((name.clone(), error));
                    model.status = ModelStatus::Failed;
                }
            },
        }
        outcome.models.push(model);
    }
    let rest = ready.rest().map(|place| work[place].name.clone());
    outcome.left.extend(rest);
    outcome
}

fn cut_short(error: &anyhow::Error) -> Option<CutShort> {
    if error.is::<Stopped>() {
        Some(CutShort::Stopped)
    } else if error.is::<EnvironmentChanged>() {
        Some(CutShort::EnvironmentChanged)
    } else {
        None
    }
}

async fn fill_model(
    filling: &Filling<'_>,
    places: &Places,
    (work, above): (&Work, Unready),
    outcome: &mut ModelOutcome,
) -> anyhow::Result<Unready> {
    let subject = Subject::table(&work.name, &work.version);
    let what = format!("the table of `{}`", work.name);
    let lease = hold(
        filling.state,
        filling.control,
        &subject,
        &what,
        filling.report,
    )
    .await?;
    // The janitor may have had it, and dropped what was left there.
    let kept = filling.state.keep(&work.table).await;
    kept.context("writing down the table")?;
    let started = Instant::now();
    let result = async {
        // Only now is it certain to stay where it is.
        let elsewhere = places.of(filling, work).await?;
        let scope = Scope {
            elsewhere: elsewhere.as_ref().map(|table| (&work.name, table)),
            ..*filling.scope
        };
        let table = Table {
            scope: &scope,
            name: elsewhere.as_ref().unwrap_or(&work.table),
            stand_in: elsewhere.as_ref().map(|_| &work.table),
            lease: &lease,
            is_given_back: AtomicBool::new(false),
        };
        let unready = fill_table(filling, (work, above), &table, outcome).await?;
        anyhow::Ok((unready, table.is_given_back.into_inner()))
    }
    .await;
    outcome.took = started.elapsed();
    if let Ok((unready, true)) = result {
        return Ok(unready);
    }
    let released = filling.state.release(&lease).await;
    let (unready, _) = result?;
    released.context("giving the table back")?;
    Ok(unready)
}

/// Whether somebody else has made the table since the work was found, and filled something of it: starting it again
/// from the other one would take that back.
async fn is_begun(filling: &Filling<'_>, work: &Work) -> anyhow::Result<bool> {
    let key = (work.name.clone(), work.version.clone());
    let now = filling.state.filled(std::slice::from_ref(&key)).await;
    let now = now.context("reading what is filled")?;
    let before = filling.filled.get(&key).cloned().unwrap_or_default();
    let since = now.get(&key).map(|now| now.difference(&before));
    Ok(since.is_some_and(|since| !since.is_empty()))
}

/// The table that is filled.
struct Table<'a> {
    /// What names mean in its model's SQL.
    scope: &'a Scope<'a>,
    /// Where it is.
    name: &'a TableName,
    /// The view that has the name of its version, where the table has another one.
    stand_in: Option<&'a TableName>,
    lease: &'a Lease,
    /// Whether the lease went with the last record, which saves a transaction of the state for each model.
    is_given_back: AtomicBool,
}

async fn fill_table(
    filling: &Filling<'_>,
    (work, above): (&Work, Unready),
    table: &Table<'_>,
    outcome: &mut ModelOutcome,
) -> anyhow::Result<Unready> {
    let lease = table.lease;
    let model = &filling.scope.snapshots[&work.name].model;
    if let Some(base) = &work.base
        && !is_begun(filling, work).await?
    {
        let warnings = copy::begin(filling, work, base, lease).await?;
        outcome.warnings.extend(warnings);
    }
    let found = signals::ask_before(filling, table.scope, work, above).await?;
    outcome.waits = found.waits;
    let whole = work;
    let work = found.rest.as_ref().unwrap_or(whole);
    if work.batches.is_empty() {
        if work.base.is_none() {
            make(filling, table, model).await?;
        }
        declare_filled(filling, work, lease).await?;
        return Ok(found.unready);
    }
    fill_batches(filling, (work, whole), table, outcome).await?;
    Ok(found.unready)
}

/// Fills what of the `whole` work does not wait.
async fn fill_batches(
    filling: &Filling<'_>,
    (work, whole): (&Work, &Work),
    table: &Table<'_>,
    outcome: &mut ModelOutcome,
) -> anyhow::Result<()> {
    let lease = table.lease;
    let model = &filling.scope.snapshots[&work.name].model;
    let mut past = Past::of(filling, model, whole, lease).await?;
    let remaining = past.remaining(work);
    let before = remaining.len();
    let batches = still_missing(filling, work, remaining).await?;
    outcome.elsewhere = before - batches.len();
    if outcome.elsewhere > 0 {
        (filling.report)(Progress::Elsewhere {
            name: work.name.clone(),
            batches: outcome.elsewhere,
        });
    }
    let units = unit_counter(model);
    let (all, known) = (batches.clone(), Known::default());
    let mut batches = batches.into_iter();
    let mut written = Unrecorded::new(filling.state, lease, filling.now);
    let mut running = FuturesUnordered::new();
    // The first one makes the table, which two cannot do at once.
    let (mut most, mut is_made, mut failures) = (1, false, Failures::default());
    loop {
        // What runs is never dropped half way for the failure of another batch.
        while !failures.is_over && running.len() < most {
            let Some(range) = batches.next() else {
                break;
            };
            let (first, marker) = (past.is_empty(), past.marker.clone());
            let batch = Batch {
                engine: filling.engine,
                scope: table.scope,
                model,
                table: table.name,
                stand_in: table.stand_in,
                known: &known,
                range,
                first,
                marker,
                held: Some((filling.state, lease)),
            };
            running.push(batch::run(filling, work, batch, units(range)));
        }
        // What runs goes on while others are recorded: a batch that nobody polls keeps its connection to the state, and all of
        // them together would keep the record waiting for one.
        let ended = tokio::select! {
            ended = running.next() => ended,
            recorded = written.recorded() => {
                match recorded {
                    Ok(batches) => outcome.tell(filling, batches),
                    Err(error) => failures.add(error, true),
                }
                continue;
            }
        };
        let Some(ended) = ended else {
            break;
        };
        match ended {
            Ok(done) => {
                if !is_made {
                    is_made = true;
                    most = batches_at_once(filling, model, &known, &all);
                }
                if past.may_wait() {
                    written.add(done);
                    continue;
                }
                match past.record(filling, work, lease, done.record.clone()).await {
                    Ok(()) => outcome.tell(filling, [done]),
                    Err(error) => failures.add(error, true),
                }
            }
            Err(error) => {
                let is_over = model.depends_on_its_past() || !is_of_its_batch(&error);
                failures.add(error, is_over);
            }
        }
    }
    match written.rest().await {
        Ok((batches, is_given_back)) => {
            table.is_given_back.store(is_given_back, Ordering::Relaxed);
            outcome.tell(filling, batches);
        }
        Err(error) => failures.add(error, true),
    }
    failures.result(all.len(), batches.len())
}

/// How many of `batches` of one model may be written at the same time.
fn batches_at_once(
    filling: &Filling<'_>,
    model: &Model,
    known: &Known,
    batches: &[Interval],
) -> usize {
    // What statements beside the query do is not ours to know.
    if model.depends_on_its_past() || model.statements.surround_query() {
        return 1;
    }
    let most = filling.engine.concurrency().max(1);
    match &model.kind {
        ModelKind::IncrementalByTimeRange { time_column, .. }
            if !known.tells_apart(time_column, batches) =>
        {
            1
        }
        ModelKind::IncrementalByTimeRange {
            batch_concurrency, ..
        } => batch_concurrency.map_or(most, |wanted| {
            usize::try_from(wanted.get()).map_or(most, |wanted| wanted.min(most))
        }),
        _ => 1,
    }
}

/// The batches that nobody has written since the work was found.
///
/// One that was filled before counts only where something of it was recorded since: a plan that fills the same time
/// again means it.
async fn still_missing(
    filling: &Filling<'_>,
    work: &Work,
    mut batches: Vec<Interval>,
) -> anyhow::Result<Vec<Interval>> {
    let key = (work.name.clone(), work.version.clone());
    let mut now = filling
        .state
        .filled(std::slice::from_ref(&key))
        .await
        .context("reading what is filled")?;
    let now = now.remove(&key).unwrap_or_default();
    let before = filling.filled.get(&key).cloned().unwrap_or_default();
    let since = now.difference(&before);
    let is_done = |batch: &Interval| {
        let touched = || since.iter().any(|range| range.intersect(*batch).is_some());
        !since.is_empty() && now.contains(*batch) && touched()
    };
    batches.retain(|batch| !is_done(batch));
    Ok(batches)
}

/// Records the ranges of a table that is to count as filled although it is empty; nothing for any other.
async fn declare_filled(filling: &Filling<'_>, work: &Work, lease: &Lease) -> anyhow::Result<()> {
    for range in work.ranges.iter().filter(|_| work.hollow) {
        let (state, now) = (filling.state, filling.now);
        state
            .record_filled_under(lease, &work.name, &work.version, *range, now)
            .await?;
    }
    Ok(())
}

/// Makes the empty table: nothing is due yet.
async fn make(filling: &Filling<'_>, table: &Table<'_>, model: &Model) -> anyhow::Result<()> {
    // Its macros need some time; a table without rows depends on none.
    let day = Interval::new(
        filling.scope.execution_time - TimeDelta::days(1),
        filling.scope.execution_time,
    );
    materialize::make(&Batch {
        engine: filling.engine,
        scope: table.scope,
        model,
        table: table.name,
        stand_in: table.stand_in,
        known: &Known::default(),
        range: day.expect("a day is not empty"),
        first: false,
        marker: None,
        held: None,
    })
    .await
}

impl ModelOutcome {
    fn new(name: &ModelName) -> Self {
        Self {
            name: name.clone(),
            status: ModelStatus::Filled,
            batches: Vec::new(),
            elsewhere: 0,
            rows: None,
            took: std::time::Duration::ZERO,
            audits_passed: 0,
            warnings: Vec::new(),
            waits: Vec::new(),
        }
    }

    /// Adds batches that are recorded, and says so.
    fn tell(&mut self, filling: &Filling<'_>, batches: impl IntoIterator<Item = Done>) {
        for done in batches {
            (filling.report)(Progress::Filled {
                name: self.name.clone(),
                range: done.record.range,
                rows: done.record.rows,
                audits: done.audits_passed,
                took: done.record.took,
            });
            self.add(done);
        }
    }

    fn add(&mut self, done: Done) {
        self.batches.push(done.record.range);
        if let Some(rows) = done.record.rows {
            self.rows = Some(self.rows.unwrap_or(0).saturating_add(rows));
        }
        self.audits_passed += done.audits_passed;
        self.warnings.extend(done.warnings);
    }
}
