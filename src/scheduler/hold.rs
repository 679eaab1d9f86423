//! Holding leases while work goes on: waiting for those of others, renewing one's own.

use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use chrono::TimeDelta;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::scheduler::Control;
use crate::scheduler::Progress;
use crate::scheduler::Reporter;
use crate::scheduler::Stopped;
use crate::state::Claim;
use crate::state::Lease;
use crate::state::StateStore;
use crate::state::Subject;

/// Between the first two looks whether somebody else is done; later ones are up to 16 times as far apart.
const FIRST_LOOK: Duration = Duration::from_millis(125);

/// Renews every lease of a command until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    task: JoinHandle<()>,
    lost: watch::Receiver<bool>,
}

impl Keeper {
    /// Starts renewing what the holder of `control` has and will have.
    pub fn start(state: &StateStore, control: &Control) -> Self {
        let (sender, lost) = watch::channel(false);
        let (state, control) = (state.clone(), control.clone());
        let task = tokio::spawn(async move {
            let mut renewed = Instant::now();
            loop {
                tokio::time::sleep(control.lease / 4).await;
                let until = control.now() + time_to_live(&control);
                match state.renew(&control.holder, until).await {
                    Ok(()) => renewed = Instant::now(),
                    Err(error) => tracing::warn!("renewing leases: {error}"),
                }
                if renewed.elapsed() > control.lease {
                    sender.send_replace(true);
                }
            }
        });
        Self { task, lost }
    }

    /// Returns once leases could not be renewed for so long that others may have them.
    pub(super) async fn lost(&self) {
        let mut lost = self.lost.clone();
        if lost.wait_for(|lost| *lost).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Gives back whatever the holder still has.
    pub async fn finish(self, state: &StateStore, control: &Control) {
        self.task.abort();
        if let Err(error) = state.release_all(&control.holder).await {
            // They end by themselves.
            tracing::warn!("giving leases back: {error}");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How long a lease lasts that is not renewed.
pub fn time_to_live(control: &Control) -> TimeDelta {
    TimeDelta::from_std(control.lease).unwrap_or(TimeDelta::MAX)
}

/// Takes `subject`; while somebody else has it, waits and says for whom.
///
/// # Errors
/// [`Stopped`] when asked to stop while waiting; other errors when the state does not answer or the wait was too long.
pub async fn hold(
    state: &StateStore,
    control: &Control,
    subject: &Subject,
    what: &str,
    report: Reporter<'_>,
) -> anyhow::Result<Lease> {
    let since = Instant::now();
    let mut pause = FIRST_LOOK;
    let mut told = None;
    loop {
        let claim = state
            .claim(
                subject,
                &control.holder,
                time_to_live(control),
                control.now(),
            )
            .await
            .with_context(|| format!("asking for {what}"))?;
        let held = match claim {
            Claim::Given(lease) => return Ok(lease),
            Claim::Held(held) => held,
        };
        anyhow::ensure!(
            since.elapsed() < control.longest_wait,
            "{what} is still taken by {}, after {} seconds; nothing was changed",
            held.label,
            since.elapsed().as_secs()
        );
        if told.as_ref() != Some(&held.label) {
            report(Progress::Waiting {
                what: what.to_owned(),
                holder: held.label.clone(),
            });
            told = Some(held.label);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = control.stop.asked() => return Err(Stopped.into()),
        }
        pause = (pause * 2).min(FIRST_LOOK * 16);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicI64;
    use std::sync::atomic::Ordering;

    use chrono::DateTime;

    use super::*;
    use crate::environment::EnvironmentName;
    use crate::state::Holder;

    fn control(name: &str, clock: &Arc<AtomicI64>) -> Control {
        let clock = Arc::clone(clock);
        let holder = Holder {
            id: name.to_owned(),
            label: format!("{name}'s run"),
        };
        Control::new(
            holder,
            Arc::new(move || {
                DateTime::from_timestamp_millis(clock.load(Ordering::Relaxed)).unwrap()
            }),
        )
    }

    #[tokio::test]
    async fn who_waits_is_told_for_whom_once_and_goes_on_when_the_clock_says_the_lease_ended() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateStore::open(&folder.path().join("s.db")).await.unwrap();
        let clock = Arc::new(AtomicI64::new(0));
        let subject = Subject::environment(&EnvironmentName::prod());
        let [ada, bob] = ["ada", "bob"].map(|name| control(name, &clock));
        let late = hold(&state, &ada, &subject, "`prod`", &|_| {})
            .await
            .unwrap();

        let told = Mutex::new(Vec::new());
        let report = |progress: Progress| {
            let Progress::Waiting { what, holder } = progress else {
                panic!("{progress:?}")
            };
            told.lock().unwrap().push(format!("{what}: {holder}"));
            clock.store(60_001, Ordering::Relaxed);
        };
        let lease = hold(&state, &bob, &subject, "`prod`", &report)
            .await
            .unwrap();

        assert_eq!(*told.lock().unwrap(), ["`prod`: ada's run"]);
        state.check_lease(&lease).await.unwrap();
        state.check_lease(&late).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_keeper_keeps_leases_alive_and_gives_them_back_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateStore::open(&folder.path().join("s.db")).await.unwrap();
        let clock = Arc::new(AtomicI64::new(0));
        let subject = Subject::environment(&EnvironmentName::prod());
        let mut ada = control("ada", &clock);
        ada.lease = Duration::from_millis(40);
        let keeper = Keeper::start(&state, &ada);
        hold(&state, &ada, &subject, "`prod`", &|_| {})
            .await
            .unwrap();
        clock.store(30, Ordering::Relaxed);
        let at = |millis| DateTime::from_timestamp_millis(millis).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while state.holder_of(&subject, at(69)).await.unwrap().is_none() {
            assert!(Instant::now() < deadline, "the lease is not renewed");
            tokio::task::yield_now().await;
        }
        keeper.finish(&state, &ada).await;
        assert_eq!(state.holder_of(&subject, at(31)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn who_is_asked_to_stop_waits_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateStore::open(&folder.path().join("s.db")).await.unwrap();
        let clock = Arc::new(AtomicI64::new(0));
        let subject = Subject::environment(&EnvironmentName::prod());
        let [ada, mut bob] = ["ada", "bob"].map(|name| control(name, &clock));
        hold(&state, &ada, &subject, "`prod`", &|_| {})
            .await
            .unwrap();
        let (switch, stop) = crate::scheduler::Stop::with_switch();
        bob.stop = stop;
        let error = hold(&state, &bob, &subject, "`prod`", &|_| switch.ask()).await;
        assert!(error.unwrap_err().is::<Stopped>());
    }
}
