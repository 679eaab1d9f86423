//! Batches that are in their table and not yet in the record.
//!
//! Several small ones are recorded in one transaction of the state, while others are written: on its own, each would cost as
//! much as a statement that writes rows. Until then they are as if this process had been killed between a batch's commit and
//! its record: whoever looks finds them missing, and writes them again. So only those wait that may run twice, and not for
//! long.

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::scheduler::batch::Done;
use crate::scheduler::believed::MOMENT;
use crate::state::Lease;
use crate::state::StateStore;

/// Batches of one table, in the order in which they were written.
pub(super) struct Unrecorded<'a> {
    state: &'a StateStore,
    lease: &'a Lease,
    now: DateTime<Utc>,
    batches: Vec<Done>,
    due: Option<Instant>,
    /// Those that are being recorded.
    recording: Option<BoxFuture<'a, anyhow::Result<Vec<Done>>>>,
}

/// Whether other batches of the table may come.
enum Then {
    Go,
    End,
}

impl<'a> Unrecorded<'a> {
    pub(super) fn new(state: &'a StateStore, lease: &'a Lease, now: DateTime<Utc>) -> Self {
        Self {
            state,
            lease,
            now,
            batches: Vec::new(),
            due: None,
            recording: None,
        }
    }

    pub(super) fn add(&mut self, done: Done) {
        self.batches.push(done);
        self.due.get_or_insert_with(|| Instant::now() + MOMENT);
    }

    /// Records what has waited long enough and returns it; never while there is nothing. Whoever drops this half way and
    /// calls it again loses nothing.
    ///
    /// # Errors
    /// When the table is no longer ours, or the state does not answer: then what was to be recorded is not filled.
    pub(super) async fn recorded(&mut self) -> anyhow::Result<Vec<Done>> {
        if self.recording.is_none() {
            match self.due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
        self.record(Then::Go).await
    }

    /// Records all that is left, however long it has waited, and returns what was recorded. Comes back as well: whether the
    /// lease was given back with it.
    ///
    /// # Errors
    /// As [`Self::recorded`].
    pub(super) async fn rest(&mut self) -> anyhow::Result<(Vec<Done>, bool)> {
        let mut recorded = match self.recording.is_some() {
            true => self.record(Then::Go).await?,
            false => Vec::new(),
        };
        let is_left = !self.batches.is_empty();
        if is_left {
            recorded.extend(self.record(Then::End).await?);
        }
        Ok((recorded, is_left))
    }

    async fn record(&mut self, then: Then) -> anyhow::Result<Vec<Done>> {
        let recording = self.recording.get_or_insert_with(|| {
            let batches = std::mem::take(&mut self.batches);
            self.due = None;
            let (state, lease, now) = (self.state, self.lease, self.now);
            let recorded = async move {
                let records: Vec<_> = batches.iter().map(|done| done.record.clone()).collect();
                let recorded = match then {
                    Then::Go => state.record_batches(lease, &records, now).await,
                    Then::End => state.record_last_batches(lease, &records, now).await,
                };
                recorded.context("recording the batch")?;
                Ok(batches)
            };
            recorded.boxed()
        });
        let recorded = recording.await;
        self.recording = None;
        recorded
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::*;
    use crate::environment::EnvironmentName;
    use crate::snapshot::Interval;
    use crate::snapshot::Version;
    use crate::state::BatchRecord;
    use crate::state::Claim;
    use crate::state::Holder;
    use crate::state::Subject;

    /// A batch of an hour of the first day.
    fn done(hour: i64) -> Done {
        let at = |hour: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hour);
        Done {
            record: BatchRecord {
                name: "db.a".parse().unwrap(),
                version: Version("v".to_owned()),
                range: Interval::new(at(hour), at(hour + 1)).unwrap(),
                environment: EnvironmentName::prod(),
                units: 1,
                rows: None,
                bytes: None,
                took: Duration::ZERO,
                finished_at: at(hour + 1),
            },
            audits_passed: 0,
            warnings: Vec::new(),
        }
    }

    /// The state of a process that holds the table of [`done`].
    async fn held() -> (tempfile::TempDir, StateStore, Lease) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateStore::open(&folder.path().join("s.db")).await.unwrap();
        let record = done(0).record;
        let subject = Subject::table(&record.name, &record.version);
        let ada = Holder {
            id: "a".to_owned(),
            label: "ada's run".to_owned(),
        };
        let (now, hour) = (DateTime::UNIX_EPOCH, TimeDelta::hours(1));
        let claim = state.claim(&subject, &ada, hour, now).await.unwrap();
        let Claim::Given(lease) = claim else {
            panic!("{claim:?}")
        };
        (folder, state, lease)
    }

    #[tokio::test]
    async fn the_first_that_waits_says_when_all_are_recorded() {
        let (_folder, state, lease) = held().await;
        let mut batches = Unrecorded::new(&state, &lease, DateTime::UNIX_EPOCH);
        let moment = Duration::from_millis(10);
        let none = tokio::time::timeout(moment, batches.recorded()).await;
        assert!(none.is_err(), "there is nothing to record");

        batches.add(done(0));
        let due = batches.due.unwrap();
        assert!(due <= Instant::now() + MOMENT);
        tokio::time::sleep(Duration::from_millis(2)).await;
        batches.add(done(1));
        assert_eq!(
            batches.due,
            Some(due),
            "the second waits no longer than the first"
        );
        assert_eq!(batches.recorded().await.unwrap().len(), 2);
        assert!(due <= Instant::now());
        assert_eq!(batches.due, None);
    }

    #[tokio::test]
    async fn what_is_being_recorded_when_others_end_is_recorded_once_and_told_of() {
        let (_folder, state, lease) = held().await;
        let mut batches = Unrecorded::new(&state, &lease, DateTime::UNIX_EPOCH);
        batches.add(done(0));
        tokio::time::sleep(MOMENT).await;
        // Another batch ends just after the record was begun.
        assert!(batches.recorded().now_or_never().is_none());
        assert!(batches.recording.is_some());
        batches.add(done(1));

        let (rest, is_given_back) = batches.rest().await.unwrap();
        assert!(is_given_back && !state.still_holds(&lease).await.unwrap());
        let ranges: Vec<Interval> = rest.iter().map(|done| done.record.range).collect();
        assert_eq!(ranges, [0, 1].map(|hour| done(hour).record.range));
        let key = (done(0).record.name, done(0).record.version);
        let filled = state.filled(std::slice::from_ref(&key)).await.unwrap();
        assert_eq!(filled[&key], ranges.into_iter().collect());
        let (rest, is_given_back) = batches.rest().await.unwrap();
        assert!(rest.is_empty() && !is_given_back);
    }
}
