//! What processes leave in the state that end without giving back what they held.

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::keys::millis;
use crate::state::process::is_gone;

/// How long something stays that ended without a word from a process of which nothing is known: it may be frozen, and
/// goes on where nobody took over.
const KEPT: TimeDelta = TimeDelta::days(1);

impl StateStore {
    /// Forgets leases and open plans of processes that are gone, or that were not heard of for a day before `now`.
    pub async fn forget_leftovers(&self, now: DateTime<Utc>) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for table in ["siding_leases", "siding_open_plans"] {
            forget(&mut transaction, table, now).await?;
        }
        transaction.commit().await
    }
}

/// The same for one of the two tables.
pub(super) async fn forget(
    connection: &mut Connection,
    table: &str,
    now: DateTime<Utc>,
) -> Result<(), StateError> {
    query(&format!("DELETE FROM {table} WHERE expires_at <= $1"))
        .bind(millis(now - KEPT))
        .execute(connection)
        .await?;
    let processes: Vec<String> = query(&format!("SELECT DISTINCT process FROM {table}"))
        .fetch_column(connection)
        .await?;
    for process in processes.iter().filter(|process| is_gone(process)) {
        query(&format!("DELETE FROM {table} WHERE process = $1"))
            .bind(process)
            .execute(connection)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::EnvironmentName;
    use crate::state::Holder;
    use crate::state::Subject;
    use crate::state::samples;
    use crate::state::samples::at;

    #[tokio::test]
    async fn what_a_dead_process_held_is_forgotten_and_what_a_frozen_one_holds_is_not() {
        samples::on_both(async |store| {
            let minute = TimeDelta::minutes(1);
            for name in ["alive", "dead", "silent"] {
                let holder = Holder {
                    id: name.to_owned(),
                    label: name.to_owned(),
                };
                let environment: EnvironmentName = name.parse().unwrap();
                let subject = Subject::environment(&environment);
                store.claim(&subject, &holder, minute, at(0)).await.unwrap();
                let plan = samples::environment(name, name, None, &[]);
                store
                    .open_plan(&holder, &plan, minute, at(0))
                    .await
                    .unwrap();
            }
            for table in ["siding_leases", "siding_open_plans"] {
                // This process, with a number that no process has.
                store
                    .tamper(&format!(
                        "UPDATE {table} SET process = replace(process, '|', '|9') WHERE holder = 'dead';
                         UPDATE {table} SET process = '' WHERE holder = 'silent'"
                    ))
                    .await;
            }
            let left = async || {
                let mut transaction = store.read().await.unwrap();
                let sql = "SELECT 'lease ' || holder FROM siding_leases UNION ALL
                           SELECT 'plan ' || holder FROM siding_open_plans ORDER BY 1";
                let left: Vec<String> = query(sql).fetch_column(&mut transaction).await.unwrap();
                left
            };
            let later = at(0) + TimeDelta::hours(2);
            store.forget_leftovers(later).await.unwrap();
            assert_eq!(left().await, ["lease alive", "lease silent", "plan alive", "plan silent"]);
            store.forget_leftovers(later + KEPT).await.unwrap();
            assert_eq!(left().await, [""; 0]);
        })
        .await;
    }
}
