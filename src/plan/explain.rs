//! What applying a plan would do, step by step, in words.

use serde::Deserialize;
use serde::Serialize;

use crate::model::ModelKind;
use crate::plan::Plan;
use crate::plan::Work;
use crate::snapshot::Interval;
use crate::sql::TableName;

/// One stage of applying a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What happens, in a few words.
    pub title: String,
    /// Its steps in order, one sentence each.
    pub steps: Vec<String>,
}

impl Plan {
    /// The stages of applying it, in order; none when there is nothing to do. `stored` gives a table or view the name that
    /// the warehouse keeps it by.
    pub fn stages(&self, stored: &dyn Fn(&TableName) -> TableName) -> Vec<Stage> {
        if self.is_empty() {
            return Vec::new();
        }
        let plain = |name: &TableName| stored(name).plain();
        let environment = &self.promoted.name;
        let snapshots = self.draft.new.iter().map(|name| {
            let snapshot = &self.draft.snapshots[name];
            format!("`{name}` at version `{}`", snapshot.version)
        });
        let cleared = self
            .restated
            .iter()
            .map(|restated| format!("`{}`: {}", restated.name, range(restated.range)));
        let audits = self.audits.iter().map(|name| format!("`{name}`"));
        let create = self.views.create.iter();
        let create =
            create.map(|(view, table)| format!("`{}` shows `{}`", plain(view), plain(table)));
        let drop = self.views.drop.iter();
        let drop = drop.map(|view| format!("`{}` is dropped", plain(view)));
        let mut stages = Vec::new();
        let mut stage = |title: String, steps: Vec<String>| {
            if !steps.is_empty() {
                stages.push(Stage { title, steps });
            }
        };
        stage(
            "Write down the new snapshots".to_owned(),
            snapshots.collect(),
        );
        stage(
            "Clear what is filled again, here and wherever it was used".to_owned(),
            cleared.collect(),
        );
        stage(
            "Fill tables, each batch audited before it can be seen".to_owned(),
            self.work
                .iter()
                .flat_map(|work| self.filling(work, &plain))
                .collect(),
        );
        stage(
            "Run changed audits on the rows that are there".to_owned(),
            audits.collect(),
        );
        stage(
            format!("Switch the views of `{environment}` in one transaction"),
            create.chain(drop).collect(),
        );
        stages
    }

    /// Whether nothing is kept of what the table holds.
    fn is_begun_anew(&self, work: &Work) -> bool {
        let is_restated = self
            .restated
            .iter()
            .any(|restated| restated.name == work.name);
        let is_first = self.draft.new.contains(&work.name) && work.base.is_none();
        is_restated || is_first
    }

    fn filling(&self, work: &Work, plain: &dyn Fn(&TableName) -> String) -> Vec<String> {
        let name = &work.name;
        let mut steps = Vec::new();
        if let Some(base) = &work.base {
            let altered = if base.alter.is_some() {
                ", with those columns altered that differ"
            } else {
                ""
            };
            steps.push(format!(
                "`{name}`: copy the rows of `{}`{altered}",
                plain(&base.table)
            ));
        }
        let kind = &self.draft.snapshots[name].model.kind;
        let filled = match kind {
            _ if work.hollow => format!("`{name}`: make the empty table and count it as filled"),
            _ if work.ranges.is_empty() && work.base.is_some() => return steps,
            _ if work.ranges.is_empty() => format!("`{name}`: make the empty table"),
            ModelKind::View => format!("`{name}`: create the view"),
            ModelKind::Seed(_) => format!("`{name}`: load the seed"),
            ModelKind::IncrementalByTimeRange { .. } => {
                let ranges: Vec<String> = work.ranges.iter().map(|part| range(*part)).collect();
                format!("`{name}`: insert {}{}", ranges.join(", "), batches(work))
            }
            kind if kind.is_incremental() && !self.is_begun_anew(work) => {
                let ranges: Vec<String> = work.ranges.iter().map(|part| range(*part)).collect();
                let what = match kind {
                    ModelKind::IncrementalByUniqueKey(_) | ModelKind::ScdType2(_) => "merge",
                    ModelKind::IncrementalByPartition => "replace the partitions of",
                    _ => "add",
                };
                format!("`{name}`: {what} {}{}", ranges.join(", "), batches(work))
            }
            _ => format!("`{name}`: build the table"),
        };
        steps.push(filled);
        steps
    }
}

/// ` in 3 batches`; nothing for one.
fn batches(work: &Work) -> String {
    match work.batches.len() {
        0 | 1 => String::new(),
        batches => format!(" in {batches} batches"),
    }
}

fn range(range: Interval) -> String {
    let format = "%Y-%m-%d %H:%M";
    format!(
        "{} to {}",
        range.start().format(format),
        range.end().format(format)
    )
}
