//! A word that tells whether anything was written since.

use std::hash::BuildHasher;
use std::hash::RandomState;

use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::Transaction;
use crate::state::database::query;

impl StateStore {
    /// What every write makes another one, and none makes the same: while it is what it was, so is all that can be read.
    pub async fn stamp(&self) -> Result<String, StateError> {
        let mut transaction = self.read().await?;
        let stamps: Vec<String> = query("SELECT stamp FROM siding_state")
            .fetch_column(&mut transaction)
            .await?;
        Ok(stamps.into_iter().next().unwrap_or_default())
    }
}

/// Gives the state a stamp that it never had; it counts when the transaction is committed.
pub(super) async fn renew(transaction: &mut Transaction) -> Result<(), StateError> {
    // The keys of both are random.
    let word = || RandomState::new().hash_one(std::process::id());
    let stamp = format!("{:016x}{:016x}", word(), word());
    query("UPDATE siding_state SET stamp = $1")
        .bind(stamp)
        .execute(transaction)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::state::samples;
    use crate::state::samples::at;

    #[tokio::test]
    async fn a_stamp_lasts_until_something_is_written_and_never_comes_back() {
        samples::on_both(async |store| {
            let mut seen = std::collections::BTreeSet::from([store.stamp().await.unwrap()]);
            for second in 0..20 {
                store.record_objects(&[], at(second)).await.unwrap();
                let stamp = store.stamp().await.unwrap();
                assert_eq!(store.stamp().await.unwrap(), stamp);
                assert!(seen.insert(stamp), "every write has its own");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_taken_back_leaves_the_stamp() {
        samples::on_both(async |store| {
            store.record_objects(&[], at(0)).await.unwrap();
            let before = store.stamp().await.unwrap();
            drop(store.write().await.unwrap());
            assert_eq!(store.stamp().await.unwrap(), before);
        })
        .await;
    }
}
