//! Leases: of several processes, one writes a table, and one promotes an environment.
//!
//! A lease ends when its holder gives it back, when the holder is known to have died, or when it was not renewed in
//! time. Each comes with a number that is higher than any before. Whatever a holder records, it records in the same
//! transaction that finds its number still there: a holder that was thought dead and comes back late records nothing.

use std::collections::BTreeMap;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::snapshot::Version;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::keys::instant;
use crate::state::keys::millis;
use crate::state::process::is_gone;
use crate::state::process::this_process;

/// What only one process may do at a time, as it stands in the state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject(String);

impl Subject {
    /// Writing one version's table.
    pub fn table(name: &ModelName, version: &Version) -> Self {
        Self(format!("table {version} {name}"))
    }

    /// Promoting an environment: its record and its views.
    pub fn environment(name: &EnvironmentName) -> Self {
        Self(format!("environment {name}"))
    }

    /// Dropping one version's table, which nobody needs.
    pub fn drop_of(name: &ModelName, version: &Version) -> Self {
        Self(format!("drop {version} {name}"))
    }

    /// Removing what nobody needs.
    pub fn janitor() -> Self {
        Self("janitor".to_owned())
    }
}

/// Who holds leases: one command of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Nobody else's.
    pub id: String,
    /// For people: `siding run of ada, process 12`.
    pub label: String,
}

/// The right to do something until somebody else has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    subject: Subject,
    holder: String,
    fence: i64,
}

/// What came of asking for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours.
    Given(Lease),
    /// Somebody has it.
    Held(HeldBy),
}

/// Somebody else with a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBy {
    /// Who, for people.
    pub label: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it ends unless it is renewed.
    pub until: DateTime<Utc>,
}

impl StateStore {
    /// Asks for `subject` until `now + time_to_live`. Asking again for what one holds gives a new number.
    pub async fn claim(
        &self,
        subject: &Subject,
        holder: &Holder,
        time_to_live: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Claim, StateError> {
        let mut transaction = self.write().await?;
        let claim = claim(&mut transaction, subject, holder, time_to_live, now).await?;
        if let Claim::Given(_) = claim {
            transaction.commit().await?;
        }
        Ok(claim)
    }

    /// Who holds `subject` at `now`, as far as is known.
    pub async fn holder_of(
        &self,
        subject: &Subject,
        now: DateTime<Utc>,
    ) -> Result<Option<HeldBy>, StateError> {
        let mut transaction = self.read().await?;
        let row: Option<LeaseRow> = query(
            "SELECT holder, label, process, taken_at, expires_at FROM siding_leases
             WHERE subject = $1",
        )
        .bind(&subject.0)
        .fetch_optional(&mut transaction)
        .await?;
        row.filter(|row| row.expires_at > millis(now) && !is_gone(&row.process))
            .map(LeaseRow::held_by)
            .transpose()
    }

    /// Lets everything that `holder` has last until `until`.
    pub async fn renew(&self, holder: &Holder, until: DateTime<Utc>) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for sql in [
            "UPDATE siding_leases SET expires_at = $1 WHERE holder = $2",
            "UPDATE siding_open_plans SET expires_at = $1 WHERE holder = $2",
        ] {
            query(sql)
                .bind(millis(until))
                .bind(&holder.id)
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Gives a lease back. One that somebody else has meanwhile stays theirs.
    pub async fn release(&self, lease: &Lease) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        give_back(&mut transaction, lease).await?;
        transaction.commit().await
    }

    /// Gives back everything that `holder` has.
    pub async fn release_all(&self, holder: &Holder) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for sql in [
            "DELETE FROM siding_leases WHERE holder = $1",
            "DELETE FROM siding_open_plans WHERE holder = $1",
        ] {
            query(sql)
                .bind(&holder.id)
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Whether `lease` is ours at this moment.
    pub async fn still_holds(&self, lease: &Lease) -> Result<bool, StateError> {
        let fences: Vec<(i64,)> = query("SELECT fence FROM siding_leases WHERE subject = $1")
            .bind(&lease.subject.0)
            .fetch_alone(self.pool())
            .await?;
        Ok(fences.contains(&(lease.fence,)))
    }

    /// Whether nobody has taken `lease` over.
    ///
    /// # Errors
    /// [`StateError::Overtaken`] if somebody has, [`StateError::Cleared`] if it was asked to start over.
    pub async fn check_lease(&self, lease: &Lease) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        check(&mut transaction, lease).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Ends `lease`, if it is still its holder's.
pub(super) async fn give_back(
    connection: &mut Connection,
    lease: &Lease,
) -> Result<(), StateError> {
    query("DELETE FROM siding_leases WHERE subject = $1 AND holder = $2")
        .bind(&lease.subject.0)
        .bind(&lease.holder)
        .execute(connection)
        .await?;
    Ok(())
}

/// As [`StateStore::claim`], inside a transaction.
pub(super) async fn claim(
    connection: &mut Connection,
    subject: &Subject,
    holder: &Holder,
    time_to_live: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Claim, StateError> {
    // First, because it also makes two that ask at once come one after the other.
    let fence = next_fence(connection).await?;
    let row: Option<LeaseRow> = query(
        "SELECT holder, label, process, taken_at, expires_at FROM siding_leases
         WHERE subject = $1",
    )
    .bind(&subject.0)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = row
        && row.holder != holder.id
        && row.expires_at > millis(now)
        && !is_gone(&row.process)
    {
        return Ok(Claim::Held(row.held_by()?));
    }
    query(
        "INSERT INTO siding_leases (subject, fence, holder, label, process, taken_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (subject) DO UPDATE SET
             fence = excluded.fence, holder = excluded.holder, label = excluded.label,
             process = excluded.process, taken_at = excluded.taken_at,
             expires_at = excluded.expires_at",
    )
    .bind(&subject.0)
    .bind(fence)
    .bind(&holder.id)
    .bind(&holder.label)
    .bind(this_process())
    .bind(millis(now))
    .bind(millis(now + time_to_live))
    .execute(&mut *connection)
    .await?;
    Ok(Claim::Given(Lease {
        subject: subject.clone(),
        holder: holder.id.clone(),
        fence,
    }))
}

/// The subjects that somebody holds at `now`, as far as is known, with who it is.
pub(super) async fn held(
    connection: &mut Connection,
    now: DateTime<Utc>,
) -> Result<BTreeMap<Subject, HeldBy>, StateError> {
    let rows: Vec<(String, String, String, i64, i64)> = query(
        "SELECT subject, label, process, taken_at, expires_at FROM siding_leases WHERE expires_at > $1",
    )
    .bind(millis(now))
    .fetch_all(connection)
    .await?;
    let alive = rows.into_iter().filter(|row| !is_gone(&row.2));
    alive
        .map(|(subject, label, _, since, until)| {
            let held_by = HeldBy {
                label,
                since: instant(since)?,
                until: instant(until)?,
            };
            Ok((Subject(subject), held_by))
        })
        .collect()
}

/// Fails when somebody has taken `lease` over; nobody can until the transaction ends.
pub(super) async fn check(connection: &mut Connection, lease: &Lease) -> Result<(), StateError> {
    let kept = query("UPDATE siding_leases SET fence = fence WHERE subject = $1 AND fence = $2")
        .bind(&lease.subject.0)
        .bind(lease.fence)
        .execute(&mut *connection)
        .await?;
    if kept == 1 {
        return Ok(());
    }
    let found: Option<(String, String)> =
        query("SELECT holder, label FROM siding_leases WHERE subject = $1")
            .bind(&lease.subject.0)
            .fetch_optional(&mut *connection)
            .await?;
    Err(match found {
        Some((holder, _)) if holder == lease.holder => StateError::Cleared,
        found => StateError::Overtaken {
            by: found.map(|(_, label)| label),
        },
    })
}

/// Makes whoever writes these tables now record nothing of what is under way: it is to be filled again.
pub(super) async fn outdate(
    connection: &mut Connection,
    tables: impl Iterator<Item = Subject>,
) -> Result<(), StateError> {
    let fence: i64 = next_fence(connection).await?;
    for subject in tables {
        query("UPDATE siding_leases SET fence = $1 WHERE subject = $2")
            .bind(fence)
            .bind(&subject.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// A number that is higher than any before. Others that want one wait for the end of the transaction.
async fn next_fence(connection: &mut Connection) -> Result<i64, StateError> {
    let given: Vec<i64> = query("UPDATE siding_state SET fence = fence + 1 RETURNING fence")
        .fetch_column(connection)
        .await?;
    let given = given.into_iter().max();
    given.ok_or_else(|| StateError::unreadable("version of the tables", "it is not there"))
}

#[derive(sqlx::FromRow)]
struct LeaseRow {
    holder: String,
    label: String,
    process: String,
    taken_at: i64,
    expires_at: i64,
}

impl LeaseRow {
    fn held_by(self) -> Result<HeldBy, StateError> {
        Ok(HeldBy {
            label: self.label,
            since: instant(self.taken_at)?,
            until: instant(self.expires_at)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::samples;
    use crate::state::samples::at;

    fn holder(id: &str) -> Holder {
        Holder {
            id: id.to_owned(),
            label: format!("{id}'s plan"),
        }
    }

    fn table() -> Subject {
        Subject::table(&"db.a".parse().unwrap(), &Version("v".to_owned()))
    }

    fn second() -> TimeDelta {
        TimeDelta::seconds(1)
    }

    async fn given(store: &StateStore, by: &str, now: i64) -> Lease {
        let claim = store.claim(&table(), &holder(by), second(), at(now)).await;
        match claim.unwrap() {
            Claim::Given(lease) => lease,
            Claim::Held(by) => panic!("held by {by:?}"),
        }
    }

    async fn held(store: &StateStore, by: &str, now: i64) -> HeldBy {
        let claim = store.claim(&table(), &holder(by), second(), at(now)).await;
        match claim.unwrap() {
            Claim::Given(lease) => panic!("given: {lease:?}"),
            Claim::Held(by) => by,
        }
    }

    #[tokio::test]
    async fn of_two_that_ask_one_gets_it_and_the_other_is_told_who() {
        samples::on_both(async |store| {
            let lease = given(&store, "ada", 0).await;
            let found = held(&store, "bob", 999).await;
            assert_eq!(
                (found.label.as_str(), found.since, found.until),
                ("ada's plan", at(0), at(1_000))
            );
            store.release(&lease).await.unwrap();
            given(&store, "bob", 999).await;
        })
        .await;
    }

    #[tokio::test]
    async fn a_holder_that_renews_keeps_it_and_one_that_does_not_loses_it() {
        samples::on_both(async |store| {
            given(&store, "ada", 0).await;
            store.renew(&holder("ada"), at(5_000)).await.unwrap();
            held(&store, "bob", 4_999).await;
            given(&store, "bob", 5_000).await;
        })
        .await;
    }

    #[tokio::test]
    async fn a_holder_that_comes_back_late_is_refused_and_leaves_the_others_lease_alone() {
        samples::on_both(async |store| {
            let late = given(&store, "ada", 0).await;
            let current = given(&store, "bob", 2_000).await;
            let error = store.check_lease(&late).await.unwrap_err();
            assert!(
                matches!(&error, StateError::Overtaken { by: Some(by) } if by == "bob's plan"),
                "{error}"
            );
            store.release(&late).await.unwrap();
            store.renew(&holder("ada"), at(9_000)).await.unwrap();
            store.check_lease(&current).await.unwrap();
            assert!(store.still_holds(&current).await.unwrap());
            assert!(!store.still_holds(&late).await.unwrap());
            assert_eq!(held(&store, "ada", 2_500).await.until, at(3_000));
        })
        .await;
    }

    #[tokio::test]
    async fn a_number_is_never_given_again() {
        samples::on_both(async |store| {
            let mut last = 0;
            for round in 0..4 {
                let lease = given(&store, "ada", round).await;
                assert!(lease.fence > last);
                last = lease.fence;
                store.release(&lease).await.unwrap();
                store.check_lease(&lease).await.unwrap_err();
            }
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_cleared_while_it_is_written_cannot_be_recorded() {
        samples::on_both(async |store| {
            let lease = given(&store, "ada", 0).await;
            let key = ("db.a".parse().unwrap(), Version("v".to_owned()));
            store
                .remove_intervals(&[samples::filled(&key, 0, 10)], at(1))
                .await
                .unwrap();
            let error = store.check_lease(&lease).await.unwrap_err();
            assert!(matches!(error, StateError::Cleared), "{error}");
            held(&store, "bob", 2).await;
            store.release(&lease).await.unwrap();
            given(&store, "bob", 2).await;
        })
        .await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_holder_whose_process_is_gone_does_not_keep_others_waiting() {
        samples::on_both(async |store| {
            given(&store, "ada", 0).await;
            let began_otherwise = format!("{}1", this_process());
            let sql = format!("UPDATE siding_leases SET process = '{began_otherwise}'");
            store.tamper(&sql).await;
            given(&store, "bob", 1).await;
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_that_ask_at_once_exactly_one_gets_it() {
        samples::twins_on_both(async |stores| {
            let tasks: Vec<_> = (0..16)
                .map(|n: usize| {
                    let store = stores[n % 2].clone();
                    tokio::spawn(async move {
                        let claim = store
                            .claim(&table(), &holder(&format!("h{n}")), second(), at(0))
                            .await;
                        matches!(claim.unwrap(), Claim::Given(_))
                    })
                })
                .collect();
            let given = futures::future::join_all(tasks).await;
            let given = given.into_iter().filter(|given| *given.as_ref().unwrap());
            assert_eq!(given.count(), 1);
        })
        .await;
    }
}
