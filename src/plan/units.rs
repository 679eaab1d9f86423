//! How many intervals of a model a slice of time holds.

use crate::model::Cron;
use crate::model::IntervalUnit;
use crate::model::Model;
use crate::snapshot::Interval;

/// The length of one interval of `model`: declared, or that of its cron. Days where neither can be read.
pub fn interval_unit(model: &Model) -> IntervalUnit {
    let declared = model
        .interval_unit
        .as_deref()
        .and_then(|text| text.parse().ok());
    declared
        .or_else(|| Cron::parse(&model.cron).ok()?.interval_unit().ok())
        .unwrap_or(IntervalUnit::Day)
}

/// How many intervals `range` holds, at least 1; always 1 for a model that is built whole.
pub fn units_in(model: &Model, range: Interval) -> u64 {
    if model.kind.only_execution_time() {
        return 1;
    }
    interval_unit(model)
        .cells(range.start(), range.end())
        .max(1)
}
