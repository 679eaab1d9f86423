//! What is about to be shown is not dropped meanwhile, and what was counted on is still there.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;

use crate::environment::Environment;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::ops::Planned;
use crate::scheduler::Control;
use crate::scheduler::Progress;
use crate::scheduler::Reporter;
use crate::scheduler::Stopped;
use crate::scheduler::time_to_live;
use crate::snapshot::Intervals;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::StateStore;

const BETWEEN_LOOKS: Duration = Duration::from_millis(125);

/// Says that `record` is about to be shown: no janitor drops any of its tables from then on.
///
/// # Errors
/// When the state does not answer.
pub(super) async fn open(
    state: &StateStore,
    record: &Environment,
    control: &Control,
) -> anyhow::Result<()> {
    let ttl = time_to_live(control);
    let opened = state.open_plan(&control.holder, record, ttl, control.now());
    opened.await.context("recording that the plan is applied")
}

/// Waits for janitors that were dropping one of the tables of `entries` before the caller said that it needs them.
///
/// # Errors
/// [`Stopped`] when asked to stop while waiting; other errors when the state does not answer or the wait was too long.
pub(super) async fn await_drops(
    state: &StateStore,
    entries: &[PromotedSnapshot],
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<()> {
    let since = Instant::now();
    let mut told = false;
    loop {
        let going = state.condemned(entries, control.now()).await;
        let going = going.context("looking whether a table is being dropped")?;
        let Some((name, by)) = going.into_iter().next() else {
            return Ok(());
        };
        anyhow::ensure!(
            since.elapsed() < control.longest_wait,
            "the table of `{name}` is still being dropped by {}, after {} seconds; nothing was changed",
            by.label,
            since.elapsed().as_secs()
        );
        if !told {
            report(Progress::Waiting {
                what: format!("the table of `{name}`"),
                holder: by.label,
            });
            told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN_LOOKS) => {}
            () = control.stop.asked() => return Err(Stopped.into()),
        }
    }
}

/// Fails when a table that the plan shows as it is was forgotten after the plan was made: nobody knows any more what it
/// holds, and what builds on its own past would begin anew.
///
/// # Errors
/// Then, and when the state does not answer.
pub(super) async fn check_known(planned: &Planned, state: &StateStore) -> anyhow::Result<()> {
    let plan = &planned.plan;
    let is_built =
        |entry: &PromotedSnapshot| plan.work.iter().any(|work| work.name == entry.id.name);
    let key = |entry: &PromotedSnapshot| (entry.id.name.clone(), entry.version.clone());
    let counted_on: BTreeMap<(ModelName, Version), SnapshotId> = plan
        .promoted
        .snapshots
        .iter()
        .filter(|entry| !is_built(entry))
        .map(|entry| (key(entry), entry.id.clone()))
        .filter(|(table, _)| {
            let filled = planned.current.filled.get(table);
            filled.is_some_and(|filled| !filled.is_empty())
        })
        .collect();
    let tables: Vec<(ModelName, Version)> = counted_on.keys().cloned().collect();
    let filled = state.filled(&tables).await;
    let filled = filled.context("reading the intervals")?;
    let empty = counted_on.iter().filter(|(table, _)| {
        let filled = filled.get(*table);
        filled.is_none_or(Intervals::is_empty)
    });
    let empty: Vec<SnapshotId> = empty.map(|(_, id)| id.clone()).collect();
    if empty.is_empty() {
        return Ok(());
    }
    // What a restatement has cleared is known, and is filled again before the switch.
    let known = state.snapshots(&empty).await;
    let known = known.context("reading the snapshots")?;
    let is_known = |id: &SnapshotId| known.iter().any(|snapshot| snapshot.id == *id);
    let gone = empty.iter().find(|id| !is_known(id));
    anyhow::ensure!(
        gone.is_none(),
        "the table of `{}` was forgotten after this plan was made; plan again",
        gone.map(|id| id.name.to_string()).unwrap_or_default()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;
    use std::sync::Arc;
    use std::sync::Mutex;

    use chrono::DateTime;
    use chrono::TimeDelta;
    use chrono::Utc;

    use crate::engine::EngineAdapter;
    use crate::environment::EnvironmentName;
    use crate::ops;
    use crate::ops::PlanExtra;
    use crate::ops::PlanRequest;
    use crate::ops::Planned;
    use crate::ops::Session;
    use crate::ops::SessionOptions;
    use crate::plan::Choices;
    use crate::scheduler::Control;
    use crate::scheduler::Progress;
    use crate::state::Holder;
    use crate::state::Lease;

    const CONFIG: &str = "gateways: {local: {connection: {type: duckdb, database: wh.duckdb},
    state_connection: {type: sqlite, database: state.db}}}
model_defaults: {dialect: duckdb, start: 2024-01-01}\n";

    fn now() -> DateTime<Utc> {
        "2024-01-05T00:00:00Z".parse().unwrap()
    }

    fn control(name: &str) -> Control {
        let holder = Holder {
            id: name.to_owned(),
            label: format!("{name}'s command"),
        };
        Control::new(holder, Arc::new(now))
    }

    /// A project whose environment `dev` has been built and removed: nobody needs its table.
    struct Left {
        folder: tempfile::TempDir,
        session: Session,
        engine: Arc<dyn EngineAdapter>,
    }

    impl Left {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("models")).unwrap();
            std::fs::write(folder.path().join("config.yaml"), CONFIG).unwrap();
            let session = open(folder.path(), "").await;
            let engine = session.engine().await.unwrap();
            let left = Self {
                folder,
                session,
                engine,
            };
            let planned = left.plan().await;
            left.apply(&planned, &control("ada")).await.unwrap();
            let (engine, state) = (left.engine.as_ref(), left.session.state());
            let dev = EnvironmentName::from("dev".to_owned());
            let bob = control("bob");
            let removed = ops::drop_environment(engine, state, &dev, now(), &bob, &|_| {});
            assert_eq!(removed.await.unwrap().len(), 1);
            left
        }

        async fn plan(&self) -> Planned {
            let request = PlanRequest {
                environment: EnvironmentName::from("dev".to_owned()),
                start: None,
                end: None,
                execution_time: now(),
                include_unmodified: false,
                against_prod: false,
                expires_at: None,
                naming: self
                    .session
                    .naming(&EnvironmentName::from("dev".to_owned())),
                actor: "ada".to_owned(),
                choices: Choices::default(),
                extra: PlanExtra::default(),
            };
            let (models, candidates) = (self.session.models(), self.session.candidates());
            let state = self.session.state();
            ops::plan(models, candidates, state, &request, Vec::new())
                .await
                .unwrap()
        }

        async fn apply(
            &self,
            planned: &Planned,
            control: &Control,
        ) -> Result<ops::Applied, ops::ApplyError> {
            let (engine, state) = (self.engine.as_ref(), self.session.state());
            ops::apply(planned, engine, state, now(), control, &|_| {}).await
        }

        /// Does what a janitor does until just before the drop.
        async fn stand_before_the_drop(&self, janitor: &Control) -> Lease {
            let state = self.session.state();
            let old = state.expired_snapshots(now(), TimeDelta::zero()).await;
            let old: Vec<_> = old.unwrap().into_iter().map(|it| it.id).collect();
            state.forget_unused(&old, now()).await.unwrap();
            let [object] = &state.orphaned_objects().await.unwrap()[..] else {
                panic!("one table");
            };
            let minute = TimeDelta::minutes(1);
            let condemned = state.condemn(object, &janitor.holder, minute, now());
            condemned.await.unwrap().unwrap()
        }

        async fn rows(&self) -> u64 {
            let rows = self.engine.query("SELECT count(*) FROM db__dev.a");
            rows.await.unwrap().single_u64().unwrap()
        }
    }

    async fn open(folder: &std::path::Path, description: &str) -> Session {
        let text = format!("MODEL (name db.a, kind FULL{description});\nSELECT 1 AS x\n");
        std::fs::write(folder.join("models/a.sql"), text).unwrap();
        Session::open(&SessionOptions::in_folder(folder))
            .await
            .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plan_that_changes_no_rows_waits_for_a_janitor_that_has_chosen_its_table() {
        let mut left = Left::new().await;
        // Another snapshot of the same table, which is filled: nothing is to be built.
        left.session = open(left.folder.path(), ", description 'one'").await;
        let planned = left.plan().await;
        assert!(planned.plan.work.is_empty() && !planned.plan.is_empty());
        let (state, engine) = (left.session.state(), left.engine.as_ref());
        let table = planned.plan.promoted.snapshots[0].table.clone().unwrap();

        let lease = left.stand_before_the_drop(&control("janitor")).await;
        let said = Mutex::new(Vec::new());
        let ada = control("ada");
        let report = |progress: Progress| {
            if let Progress::Waiting { what, holder } = progress {
                said.lock().unwrap().push(format!("{what}: {holder}"));
            }
        };
        let applying = ops::apply(&planned, engine, state, now(), &ada, &report);
        let sweeping = async {
            while said.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            engine.execute(&engine.drop_table(&table)).await.unwrap();
            state.mark_gone(from_ref(&table), now()).await.unwrap();
            state.release(&lease).await.unwrap();
        };
        let (applied, ()) = tokio::join!(applying, sweeping);

        let error = applied.unwrap_err().to_string();
        assert!(error.contains("plan again"), "{error}");
        assert_eq!(
            *said.lock().unwrap(),
            ["the table of `db.a`: janitor's command"]
        );
        let dev = EnvironmentName::from("dev".to_owned());
        assert_eq!(state.environment(&dev).await.unwrap(), None);

        let again = left.plan().await;
        left.apply(&again, &ada).await.unwrap();
        assert_eq!(left.rows().await, 1);
        assert_eq!(state.every_object().await.unwrap()[0].table, table);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_plan_builds_while_it_is_dropped_is_built_after_that_and_stays_in_the_ledger() {
        let left = Left::new().await;
        let (state, engine) = (left.session.state(), left.engine.as_ref());
        let lease = left.stand_before_the_drop(&control("janitor")).await;
        let planned = left.plan().await;
        let table = planned.plan.work[0].table.clone();
        let ada = control("ada");
        let sweeping = async {
            while state.open_plans(now()).await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            engine.execute(&engine.drop_table(&table)).await.unwrap();
            state.mark_gone(from_ref(&table), now()).await.unwrap();
            state.release(&lease).await.unwrap();
        };
        let (applied, ()) = tokio::join!(left.apply(&planned, &ada), sweeping);
        applied.unwrap();
        assert_eq!(left.rows().await, 1);
        assert_eq!(state.every_object().await.unwrap()[0].table, table);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_janitor_leaves_what_a_plan_has_said_that_it_shows() {
        let left = Left::new().await;
        let state = left.session.state();
        let planned = left.plan().await;
        let ada = control("ada");
        super::open(state, &planned.plan.promoted, &ada)
            .await
            .unwrap();
        let request = ops::SweepRequest {
            time_to_live: TimeDelta::zero(),
            environment: None,
            now: now(),
        };
        let engine = left.engine.as_ref();
        let swept = ops::sweep(engine, state, &request, &control("janitor"), &|_| {}).await;
        assert_eq!(swept.unwrap().tables, []);
        left.apply(&planned, &ada).await.unwrap();
        assert_eq!(left.rows().await, 1);
    }
}
