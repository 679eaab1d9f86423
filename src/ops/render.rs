//! Render: the SQL that a model's query becomes.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::scheduler::Scope;
use crate::snapshot::Candidate;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Interval;
use crate::snapshot::Snapshot;
use crate::snapshot::Surface;
use crate::snapshot::Version;

/// The query of the model called `name` over `[start, end)`, with the tables that a plan would read.
///
/// # Errors
/// When there is no such model, it has no query, or a macro has no value.
pub fn render(
    candidates: &BTreeMap<ModelName, Candidate>,
    name: &str,
    range: (DateTime<Utc>, DateTime<Utc>),
    execution_time: DateTime<Utc>,
) -> anyhow::Result<String> {
    // The quotes that the name needs in SQL make no difference.
    let plain = name.replace('"', "");
    let wanted = candidates
        .keys()
        .find(|known| known.to_string().eq_ignore_ascii_case(&plain));
    let wanted = wanted.with_context(|| {
        let near = candidates
            .keys()
            .map(ToString::to_string)
            .max_by(|left, right| similarity(left, name).total_cmp(&similarity(right, name)));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("there is no model `{name}`{hint}")
    })?;
    let model = &candidates[wanted].model;
    anyhow::ensure!(
        model.query.is_some(),
        "`{wanted}` is of kind {}, which has no query",
        model.kind.name()
    );
    let mut snapshots = BTreeMap::new();
    let mut entries = BTreeMap::new();
    for (name, candidate) in candidates.clone() {
        let snapshot = Snapshot {
            version: Version(candidate.fingerprint.data.chars().take(16).collect()),
            columns: candidate.columns(),
            surface: std::sync::Arc::new(Surface::unknown(
                &name.to_string(),
                &candidate.id.identifier,
            )),
            choice: None,
            forward_only: None,
            id: candidate.id,
            fingerprint: candidate.fingerprint,
            category: ChangeCategory::Breaking,
            model: candidate.model,
            parents: candidate.parents,
            created_at: execution_time,
        };
        let entry = PromotedSnapshot {
            id: snapshot.id.clone(),
            version: snapshot.version.clone(),
            table: snapshot.table(),
            view: false,
        };
        entries.insert(name.clone(), entry);
        snapshots.insert(name, snapshot);
    }
    let scope = Scope {
        snapshots: &snapshots,
        entries: &entries,
        execution_time,
        elsewhere: None,
    };
    let sql = scope.query(model, Interval::new(range.0, range.1));
    Ok(sql
        .with_context(|| format!("rendering `{wanted}`"))?
        .trim()
        .to_owned())
}

pub(super) fn similarity(left: &str, right: &str) -> f32 {
    similar::TextDiff::from_chars(left, right).ratio()
}
