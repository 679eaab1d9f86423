//! List environments; let one expire.

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::environment::EnvironmentName;
use crate::state::StateStore;

/// Lets an environment expire now; the janitor removes it.
///
/// # Errors
/// For `prod`, and for an environment that does not exist.
pub async fn invalidate(
    state: &StateStore,
    name: &EnvironmentName,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    anyhow::ensure!(!name.is_prod(), "`prod` cannot be invalidated");
    let environment = state
        .environment(name)
        .await
        .context("reading the environment")?;
    anyhow::ensure!(
        environment.is_some(),
        "there is no environment `{name}`; `siding environments` lists them"
    );
    state
        .expire(name, now)
        .await
        .context("recording the expiry")?;
    Ok(())
}
