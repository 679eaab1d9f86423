//! What filling did, model by model.

use std::time::Duration;

use crate::model::ModelName;
use crate::scheduler::Wait;
use crate::snapshot::Interval;

/// How the filling went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Models that are filled, in the order they finished.
    pub filled: Vec<ModelName>,
    /// Models that failed, with the cause.
    pub failed: Vec<(ModelName, anyhow::Error)>,
    /// Models that were not tried, with the failed model that they read.
    pub skipped: Vec<(ModelName, ModelName)>,
    /// Models that are not done because the work was stopped or the environment changed.
    pub left: Vec<ModelName>,
    /// Audits that found rows but do not block, one sentence each.
    pub warnings: Vec<String>,
    /// What was done for each model that was tried, in the order they ended.
    pub models: Vec<ModelOutcome>,
    /// Why it ended before everything was tried.
    pub cut_short: Option<CutShort>,
}

/// Why filling ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutShort {
    /// Somebody wanted it to end.
    Stopped,
    /// Another plan has changed the environment.
    EnvironmentChanged,
}

/// What was done for one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelOutcome {
    /// Whose.
    pub name: ModelName,
    /// How it ended.
    pub status: ModelStatus,
    /// The batches that are in the table and recorded, in the order they finished.
    pub batches: Vec<Interval>,
    /// Batches that another process has done meanwhile.
    pub elsewhere: usize,
    /// Rows written; `None` where the engine did not say.
    pub rows: Option<u64>,
    /// Time from the first statement to the last, without waiting for others.
    pub took: Duration,
    /// Audits that passed.
    pub audits_passed: usize,
    /// Audits that found rows but do not block, one sentence each.
    pub warnings: Vec<String>,
    /// What is not filled, because it waits.
    pub waits: Vec<Wait>,
}

/// How a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelStatus {
    /// Nothing of it is missing.
    Filled,
    /// Some of it, or all, waits for a signal.
    Waiting,
    /// A batch failed.
    Failed,
    /// It was stopped; the batches before are recorded.
    Stopped,
}

impl ModelOutcome {
    /// Adds what was done `later` for the same model.
    fn go_on(&mut self, later: Self) {
        self.status = later.status;
        self.batches.extend(later.batches);
        self.elsewhere += later.elsewhere;
        self.rows = match (self.rows, later.rows) {
            (Some(rows), Some(more)) => Some(rows.saturating_add(more)),
            (rows, more) => rows.or(more),
        };
        self.took += later.took;
        self.audits_passed += later.audits_passed;
        self.warnings.extend(later.warnings);
        self.waits = later.waits;
    }
}

impl ModelStatus {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl Outcome {
    /// What both did, of which this came after `earlier` and counts where they differ.
    #[must_use]
    pub fn after(mut self, earlier: Self) -> Self {
        let mut models = earlier.models;
        for model in &mut models {
            // Nothing of it is missing any more, or it is gone.
            if model.status == ModelStatus::Stopped && !self.left.contains(&model.name) {
                model.status = ModelStatus::Filled;
            }
        }
        for model in self.models {
            match models.iter_mut().find(|known| known.name == model.name) {
                Some(known) => known.go_on(model),
                None => models.push(model),
            }
        }
        let mut filled = earlier.filled;
        filled.retain(|name| !self.left.contains(name));
        filled.retain(|name| self.failed.iter().all(|(failed, _)| failed != name));
        filled.retain(|name| !self.filled.contains(name));
        filled.append(&mut self.filled);
        let waits = |name: &ModelName| {
            let mut models = models.iter();
            models.any(|model| model.name == *name && model.status == ModelStatus::Waiting)
        };
        let is_settled = |name: &ModelName| {
            filled.contains(name)
                || waits(name)
                || self.left.contains(name)
                || self.failed.iter().any(|(failed, _)| failed == name)
                || self.skipped.iter().any(|(skipped, _)| skipped == name)
        };
        let failed: Vec<_> = earlier
            .failed
            .into_iter()
            .filter(|(name, _)| !is_settled(name))
            .collect();
        let skipped: Vec<_> = earlier
            .skipped
            .into_iter()
            .filter(|(name, _)| !is_settled(name))
            .collect();
        let mut warnings = earlier.warnings;
        warnings.append(&mut self.warnings);
        Self {
            failed: failed.into_iter().chain(self.failed).collect(),
            skipped: skipped.into_iter().chain(self.skipped).collect(),
            filled,
            left: self.left,
            warnings,
            models,
            cut_short: self.cut_short,
        }
    }

    /// What waits, model by model.
    pub fn waiting(&self) -> impl Iterator<Item = (&ModelName, &Wait)> {
        let models = self.models.iter();
        models.flat_map(|model| model.waits.iter().map(|wait| (&model.name, wait)))
    }

    /// Whether everything that was asked for is there, or waits for a signal.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty() && self.cut_short.is_none()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn model(name: &str, status: ModelStatus, hours: &[i64]) -> ModelOutcome {
        let at = |hour| DateTime::from_timestamp(hour * 3_600, 0).unwrap();
        let hours = hours.iter();
        ModelOutcome {
            name: name.parse().unwrap(),
            status,
            batches: hours
                .clone()
                .map(|hour| Interval::new(at(*hour), at(hour + 1)).unwrap())
                .collect(),
            elsewhere: 0,
            rows: Some(hours.len() as u64),
            took: Duration::from_secs(1),
            audits_passed: 1,
            warnings: Vec::new(),
            waits: Vec::new(),
        }
    }

    #[test]
    fn what_came_before_a_restart_is_part_of_what_was_done() {
        let [a, b, c] = ["db.a", "db.b", "db.c"].map(|name| name.parse::<ModelName>().unwrap());
        let earlier = Outcome {
            filled: vec![c.clone()],
            failed: vec![(b.clone(), anyhow::anyhow!("no"))],
            left: vec![a.clone()],
            models: vec![
                model("db.c", ModelStatus::Filled, &[0]),
                model("db.b", ModelStatus::Failed, &[]),
                model("db.a", ModelStatus::Stopped, &[0, 1, 2]),
            ],
            cut_short: Some(CutShort::EnvironmentChanged),
            ..Outcome::default()
        };
        let later = Outcome {
            filled: vec![a.clone(), b.clone()],
            models: vec![
                model("db.a", ModelStatus::Filled, &[3]),
                model("db.b", ModelStatus::Filled, &[0]),
            ],
            ..Outcome::default()
        };

        let both = later.after(earlier);
        assert!(both.is_complete(), "{:?}", both.failed);
        assert_eq!(both.filled, [c, a, b]);
        assert_eq!(both.models.len(), 3);
        let [_, second, first] = &both.models[..] else {
            panic!("three models")
        };
        assert_eq!(second.status, ModelStatus::Filled);
        assert_eq!((first.batches.len(), first.rows), (4, Some(4)));
        assert_eq!(first.status, ModelStatus::Filled);
        assert_eq!(first.took, Duration::from_secs(2));
    }
}
