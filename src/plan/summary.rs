//! A plan as people, programs and GitHub read it. Stable: `siding plan --format json` prints it.

use std::collections::BTreeMap;

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::model::Signal;
use crate::plan::Plan;
use crate::plan::PlanEstimate;
use crate::plan::Stage;
use crate::plan::Work;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::snapshot::Version;
use crate::sql::Schema;
use crate::sql::TableName;

/// Version of the JSON forms in this module.
pub const SUMMARY_VERSION: u32 = 1;

/// What a plan would do, for one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// [`SUMMARY_VERSION`].
    pub version: u32,
    /// The environment that it would change.
    pub environment: String,
    /// The environment that the project was compared with.
    pub compared_with: String,
    /// Same project, same state, same arguments: same id.
    pub plan_id: String,
    /// Whether no model runs: only views change.
    pub virtual_update_only: bool,
    /// Every model of the project and every removed one, sorted by name.
    pub models: Vec<ModelSummary>,
    /// What filling takes, as far as it was estimated.
    #[serde(default)]
    pub estimate: Option<PlanEstimate>,
    /// Models that are filled again on request, sorted as they are filled; where the environment has nothing to fill, those
    /// that were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restated: Vec<String>,
    /// What applying it would do, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
    /// What a user should know or fix.
    pub diagnostics: Vec<Diagnostic>,
}

impl PlanSummary {
    /// The models that differ, sorted by name.
    pub fn changed(&self) -> impl Iterator<Item = &ModelSummary> {
        self.models
            .iter()
            .filter(|model| model.change != ModelChange::Unchanged)
    }

    /// Whether nothing differs and nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.changed().next().is_none() && self.models.iter().all(|model| model.backfill.is_empty())
    }
}

/// How a model differs from the environment compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelChange {
    /// Only the project has it.
    Added,
    /// Only the environment has it.
    Removed,
    /// Its own definition differs.
    Direct,
    /// Only what it reads differs.
    Indirect,
    /// Nothing that rows depend on differs.
    Metadata,
    /// The same.
    Unchanged,
}

/// Columns by how they differ, each list in the order of the query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnChanges {
    /// Only in the new version.
    pub added: Vec<String>,
    /// Only in the old version.
    pub removed: Vec<String>,
    /// In both, computed differently.
    pub changed: Vec<String>,
}

/// A column with its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnType {
    /// In the case that the dialect stores.
    pub name: String,
    /// As DuckDB writes it; `None` when it is not known.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
}

/// One model of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// The model's name.
    pub name: String,
    /// As in a `MODEL` block.
    pub kind: String,
    /// How it differs.
    pub change: ModelChange,
    /// What the change means; `None` when unchanged or removed.
    pub category: Option<ChangeCategory>,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
    /// Which columns differ, as far as the queries tell.
    pub columns: ColumnChanges,
    /// The columns of the new version in order, where it differs; `None` when they are not known.
    #[serde(default)]
    pub schema: Option<Vec<ColumnType>>,
    /// The snapshot's identifier; of the old one when removed.
    pub snapshot: String,
    /// The physical table, dotted, without quotes; `None` for embedded models.
    pub table: Option<String>,
    /// Whether the physical version exists already, so that nothing is built for it.
    pub reused: bool,
    /// Missing intervals that the plan would fill, merged, earliest first: `[start, end)` in UTC.
    pub backfill: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// How many statements fill them.
    pub batches: u32,
    /// Whether its table keeps rows of the definition before it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forward_only: bool,
    /// Whether this environment shows a preview of it that is never promoted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub preview: bool,
    /// The table whose rows the plan copies first, dotted, without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<String>,
    /// Whether the missing intervals are declared filled, and the table stays empty.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hollow: bool,
    /// The signals that decide which of the missing intervals are filled, as the model calls them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
    /// Unified text diff of the definition; shown on terminals, not part of the JSON.
    #[serde(skip, default)]
    pub diff: Option<String>,
}

impl ModelSummary {
    /// `column` with its type in the new version, as far as that is known: `total DECIMAL(38,2)`.
    pub fn typed(&self, column: &str) -> String {
        let mut known = self.schema.iter().flatten();
        let data_type = known
            .find(|known| known.name == column)
            .and_then(|known| known.data_type.as_deref());
        match data_type {
            Some(data_type) => format!("{column} {data_type}"),
            None => column.to_owned(),
        }
    }
}

impl PlanSummary {
    /// Names the tables of `plan`, which this is the summary of, as the warehouse keeps them: `stored` says how.
    pub fn name_tables(&mut self, plan: &Plan, stored: &dyn Fn(&TableName) -> TableName) {
        let work = plan.work.iter();
        let bases = work.filter_map(|work| work.base.as_ref().map(|base| &base.table));
        let targets = plan.promoted.snapshots.iter();
        let targets = targets.filter_map(|target| target.table.clone());
        let snapshots = plan
            .draft
            .snapshots
            .values()
            .chain(plan.draft.previous.values());
        let tables = snapshots.filter_map(Snapshot::table);
        let tables: BTreeMap<String, TableName> = tables
            .chain(targets)
            .chain(bases.cloned())
            .map(|table| (table.plain(), table))
            .collect();
        for model in &mut self.models {
            for name in [&mut model.table, &mut model.copied_from]
                .into_iter()
                .flatten()
            {
                if let Some(table) = tables.get(name) {
                    *name = stored(table).plain();
                }
            }
        }
    }

    /// How people, programs and GitHub read `plan`.
    pub fn new(
        plan: &Plan,
        filled: &BTreeMap<(ModelName, Version), Intervals>,
        diagnostics: Vec<Diagnostic>,
    ) -> Self {
        let work: BTreeMap<&ModelName, &Work> =
            plan.work.iter().map(|work| (&work.name, work)).collect();
        let targets: BTreeMap<&ModelName, &PromotedSnapshot> = plan
            .promoted
            .snapshots
            .iter()
            .map(|entry| (&entry.id.name, entry))
            .collect();
        let models = plan.draft.changes.iter().map(|(name, change)| {
            let snapshot = plan
                .draft
                .snapshots
                .get(name)
                .or_else(|| plan.draft.previous.get(name));
            let snapshot = snapshot.expect("a change is of one side or the other");
            let target = targets.get(name);
            let work = work.get(name);
            let has_rows = target.is_some_and(|target| {
                let key = (name.clone(), target.version.clone());
                filled.get(&key).is_some_and(|filled| !filled.is_empty())
            });
            ModelSummary {
                name: name.to_string(),
                kind: snapshot.model.kind.name().to_owned(),
                change: change.change,
                category: change.category,
                reasons: change.reasons.clone(),
                columns: change.columns.clone(),
                schema: change.schema.as_deref().map(column_types),
                snapshot: snapshot.id.identifier.clone(),
                table: target
                    .map_or_else(|| snapshot.table(), |target| target.table.clone())
                    .map(|table| table.plain()),
                reused: target.is_some()
                    && (snapshot.model.kind.is_symbolic() || (has_rows && work.is_none())),
                backfill: work
                    .iter()
                    .flat_map(|work| &work.ranges)
                    .map(|range| (range.start(), range.end()))
                    .collect(),
                batches: work.map_or(0, |work| {
                    u32::try_from(work.batches.len()).unwrap_or(u32::MAX)
                }),
                forward_only: target.is_some() && snapshot.forward_only.is_some(),
                preview: plan.previews.contains(name),
                copied_from: work
                    .and_then(|work| work.base.as_ref())
                    .map(|base| base.table.plain()),
                hollow: work.is_some_and(|work| work.hollow),
                signals: match work {
                    Some(work) if !work.hollow => {
                        snapshot.model.asked().map(Signal::call).collect()
                    }
                    _ => Vec::new(),
                },
                diff: change.diff.clone(),
            }
        });
        Self {
            version: SUMMARY_VERSION,
            environment: plan.promoted.name.to_string(),
            compared_with: plan.draft.compared_with.to_string(),
            plan_id: plan.id.clone(),
            virtual_update_only: plan.work.is_empty() && !plan.is_empty(),
            models: models.collect(),
            estimate: None,
            restated: restated(plan),
            stages: Vec::new(),
            diagnostics,
        }
    }
}

fn restated(plan: &Plan) -> Vec<String> {
    if plan.restated.is_empty() {
        let asked = plan.asked.iter();
        return asked.map(|asked| asked.name.to_string()).collect();
    }
    let restated = plan.restated.iter();
    restated.map(|table| table.name.to_string()).collect()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

fn column_types(schema: &Schema) -> Vec<ColumnType> {
    let columns = schema.columns().iter();
    columns
        .map(|(name, data_type)| ColumnType {
            name: name.clone(),
            data_type: data_type.as_ref().map(ToString::to_string),
        })
        .collect()
}
