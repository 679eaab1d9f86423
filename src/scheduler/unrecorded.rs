//! Batches that are in their table and not yet in the record.
//!
//! Several small ones are recorded in one transaction of the state: on its own, each would cost as much as a statement that
//! writes rows. Until then they are as if this process had been killed between a batch's commit and its record: whoever
//! looks finds them missing, and writes them again. So only those wait that may run twice, and not for long.

use tokio::time::Instant;

use crate::plan::Work;
use crate::scheduler::Filling;
use crate::scheduler::ModelOutcome;
use crate::scheduler::Progress;
use crate::scheduler::batch::Done;
use crate::scheduler::believed::MOMENT;
use crate::scheduler::past::Past;
use crate::state::Lease;

/// Batches of one table, in the order in which they were written.
#[derive(Default)]
pub(super) struct Unrecorded {
    batches: Vec<Done>,
    due: Option<Instant>,
}

impl Unrecorded {
    pub(super) fn add(&mut self, done: Done) {
        self.batches.push(done);
        self.due.get_or_insert_with(|| Instant::now() + MOMENT);
    }

    /// Returns when it is time to record them; never while there are none.
    pub(super) async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Records all of them, and says so.
    ///
    /// # Errors
    /// When the table is no longer ours, or the state does not answer: then they are not filled.
    pub(super) async fn record(
        &mut self,
        filling: &Filling<'_>,
        work: &Work,
        lease: &Lease,
        past: &mut Past,
        outcome: &mut ModelOutcome,
    ) -> anyhow::Result<()> {
        let batches = std::mem::take(&mut self.batches);
        self.due = None;
        if batches.is_empty() {
            return Ok(());
        }
        let records = batches.iter().map(|done| done.record.clone());
        past.record(filling, work, lease, records).await?;
        for done in batches {
            (filling.report)(Progress::Filled {
                name: work.name.clone(),
                range: done.record.range,
                rows: done.record.rows,
                audits: done.audits_passed,
                took: done.record.took,
            });
            outcome.add(done);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;
    use crate::environment::EnvironmentName;
    use crate::snapshot::Interval;
    use crate::snapshot::Version;
    use crate::state::BatchRecord;

    fn done() -> Done {
        let hour = DateTime::from_timestamp(3_600, 0).unwrap();
        Done {
            record: BatchRecord {
                name: "db.a".parse().unwrap(),
                version: Version("v".to_owned()),
                range: Interval::new(DateTime::UNIX_EPOCH, hour).unwrap(),
                environment: EnvironmentName::prod(),
                units: 1,
                rows: None,
                bytes: None,
                took: Duration::ZERO,
                finished_at: hour,
            },
            audits_passed: 0,
            warnings: Vec::new(),
        }
    }

    #[tokio::test]
    async fn the_first_that_waits_says_when_all_are_recorded() {
        let mut batches = Unrecorded::default();
        let due = tokio::time::timeout(Duration::from_millis(10), batches.due()).await;
        assert!(due.is_err(), "there is nothing to record");

        batches.add(done());
        let due = batches.due.unwrap();
        assert!(due <= Instant::now() + MOMENT);
        tokio::time::sleep(Duration::from_millis(2)).await;
        batches.add(done());
        assert_eq!(
            batches.due,
            Some(due),
            "the second waits no longer than the first"
        );
        batches.due().await;
        assert!(due <= Instant::now());
    }
}
