//! Why each object of the ledger stays or goes. Changes nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::ops::SweepRequest;
use crate::snapshot::Version;
use crate::sql::TableName;
use crate::state::LedgerKind;
use crate::state::LedgerRecord;
use crate::state::StateStore;

/// What becomes of an object when the janitor runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The object, with what made it.
    pub record: LedgerRecord,
    /// Whether it goes.
    pub goes: bool,
    /// Why, one sentence.
    pub because: String,
}

/// What the janitor would do with each object, sorted by name.
///
/// # Errors
/// When the state does not answer.
pub async fn explain(
    state: &StateStore,
    request: &SweepRequest,
    real_now: DateTime<Utc>,
) -> anyhow::Result<Vec<Fate>> {
    let reasons = Reasons::read(state, request, real_now).await?;
    let ledger = state.ledger().await.context("reading the ledger")?;
    let versions = versions(state, &ledger).await?;
    let mut fates: Vec<Fate> = Vec::with_capacity(ledger.len());
    let mut staying: BTreeSet<&TableName> = BTreeSet::new();
    // What is in a schema before the schema.
    let is_place = |record: &&LedgerRecord| {
        matches!(record.entry.kind, LedgerKind::Schema | LedgerKind::Catalog)
    };
    let (places, objects): (Vec<_>, Vec<_>) = ledger.iter().partition(is_place);
    for record in objects.into_iter().chain(places) {
        let table = &record.entry.table;
        let (goes, mut because) = match record.entry.kind {
            LedgerKind::EnvironmentView | LedgerKind::OwnTable => reasons.of_view(record),
            LedgerKind::Table | LedgerKind::View | LedgerKind::Temporary => {
                reasons.of_table(versions.get(table))
            }
            LedgerKind::Schema | LedgerKind::Catalog => reasons.of_place(record, &ledger, &staying),
        };
        if !goes {
            staying.insert(table);
        }
        if let Some((at, error)) = &record.drop_failed {
            because = format!(
                "{because}; it could not be dropped at {}: {error}",
                at.format("%Y-%m-%d %H:%M")
            );
        }
        fates.push(Fate {
            record: record.clone(),
            goes,
            because,
        });
    }
    fates.sort_by(|one, other| one.record.cmp(&other.record));
    Ok(fates)
}

/// Which version each physical object holds.
async fn versions(
    state: &StateStore,
    ledger: &[LedgerRecord],
) -> anyhow::Result<BTreeMap<TableName, (ModelName, Version)>> {
    let objects = state
        .every_object()
        .await
        .context("reading the physical tables")?;
    let known: BTreeSet<&TableName> = ledger.iter().map(|record| &record.entry.table).collect();
    Ok(objects
        .into_iter()
        .filter(|object| known.contains(&object.table))
        .map(|object| (object.table, (object.name, object.version)))
        .collect())
}

type Shown = (Option<DateTime<Utc>>, Option<BTreeSet<TableName>>);

struct Reasons {
    now: DateTime<Utc>,
    request: SweepRequest,
    /// When each environment ends, and the views that it shows; `None` where any may be shown.
    environments: BTreeMap<EnvironmentName, Shown>,
    /// The environments that have a version.
    users: BTreeMap<(ModelName, Version), BTreeSet<EnvironmentName>>,
    /// The plans that use a version while they are applied.
    open: BTreeMap<(ModelName, Version), String>,
    /// When a snapshot with a version was used last.
    last_used: BTreeMap<(ModelName, Version), DateTime<Utc>>,
}

impl Reasons {
    async fn read(
        state: &StateStore,
        request: &SweepRequest,
        real_now: DateTime<Utc>,
    ) -> anyhow::Result<Self> {
        let mut environments = BTreeMap::new();
        let mut users: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for environment in state
            .environments()
            .await
            .context("reading the environments")?
        {
            let shown = environment.snapshots.iter().filter(|entry| entry.view);
            let shown = shown.map(|entry| environment.view(&entry.id.name));
            let shown = environment.finalized_at.map(|_| shown.collect());
            for entry in &environment.snapshots {
                let key = (entry.id.name.clone(), entry.version.clone());
                users
                    .entry(key)
                    .or_default()
                    .insert(environment.name.clone());
            }
            environments.insert(environment.name, (environment.expires_at, shown));
        }
        let mut open = BTreeMap::new();
        for plan in state.open_plans(real_now).await? {
            for entry in plan.snapshots {
                open.insert((entry.id.name, entry.version), plan.label.clone());
            }
        }
        let last_used = state.last_used().await.context("reading the snapshots")?;
        Ok(Self {
            now: request.now,
            request: request.clone(),
            environments,
            users,
            open,
            last_used: last_used
                .into_iter()
                .map(|(name, version, at)| ((name, version), at))
                .collect(),
        })
    }

    fn is_expired(&self, name: &EnvironmentName) -> bool {
        let only = self.request.environment.as_ref();
        let ends = self.environments.get(name).and_then(|(ends, _)| *ends);
        only.is_none_or(|only| only == name)
            && !name.is_prod()
            && ends.is_some_and(|ends| ends <= self.now)
    }

    fn of_view(&self, record: &LedgerRecord) -> (bool, String) {
        let name = EnvironmentName::from(record.entry.environment.clone());
        let Some((ends, shown)) = self.environments.get(&name) else {
            return (true, format!("`{name}` is gone"));
        };
        let until = match ends {
            Some(ends) if self.is_expired(&name) => {
                let because = format!("`{name}` has expired at {}", day(*ends));
                return (true, because);
            }
            Some(ends) => format!("until {}", day(*ends)),
            None => "for good".to_owned(),
        };
        match shown {
            Some(shown) if !shown.contains(&record.entry.table) => {
                (true, format!("`{name}` does not show it any more"))
            }
            Some(_) => (false, format!("`{name}` shows it, {until}")),
            None => (
                false,
                format!("the switch of `{name}` is not known to be done"),
            ),
        }
    }

    fn of_place(
        &self,
        record: &LedgerRecord,
        ledger: &[LedgerRecord],
        staying: &BTreeSet<&TableName>,
    ) -> (bool, String) {
        let schema = &record.entry.table;
        let within = ledger.iter().filter(|other| {
            let table = &other.entry.table;
            let is_catalog = schema.schema.is_none();
            !table.name.is_empty()
                && table.catalog == schema.catalog
                && (is_catalog || table.schema == schema.schema)
        });
        let name = EnvironmentName::from(record.entry.environment.clone());
        let (mut count, mut stays) = (0, 0);
        for other in within {
            count += 1;
            stays += usize::from(staying.contains(&other.entry.table));
        }
        if self.is_expired(&name) && stays == 0 {
            let because =
                format!("it goes with `{name}`, unless somebody has put something into it");
            return (true, because);
        }
        let objects = if count == 1 { "object" } else { "objects" };
        let because = format!(
            "a {} goes with its environment, or with everything: {count} {objects} of ours in it",
            record.entry.kind.name()
        );
        (false, because)
    }

    fn of_table(&self, version: Option<&(ModelName, Version)>) -> (bool, String) {
        let Some(key) = version else {
            return (true, "whatever made it has ended".to_owned());
        };
        let users = self.users.get(key).into_iter().flatten();
        let mut living = users.filter(|name| !self.is_expired(name)).peekable();
        if living.peek().is_some() {
            let names: Vec<String> = living.map(|name| format!("`{name}`")).collect();
            return (false, format!("{} stands on it", names.join(", ")));
        }
        if let Some(label) = self.open.get(key) {
            return (false, format!("{label} uses it"));
        }
        let of_snapshot = (key.0.clone(), Version(key.1.0.replace("__dev", "")));
        let Some(last) = self.last_used.get(&of_snapshot) else {
            return (true, "no snapshot has its version any more".to_owned());
        };
        // What an expired environment leaves counts from when it goes, which is now.
        let kept_until = last.checked_add_signed(self.request.time_to_live);
        match kept_until {
            Some(until) if until <= self.now => {
                (true, format!("nobody has used it since {}", day(*last)))
            }
            Some(until) => (
                false,
                format!(
                    "used last at {}, kept until {} for a plan that goes back",
                    day(*last),
                    day(until)
                ),
            ),
            None => (false, "it is kept for good".to_owned()),
        }
    }
}

fn day(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M").to_string()
}
