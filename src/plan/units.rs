//! How many intervals of a model a slice of time holds.

use crate::model::Cron;
use crate::model::IntervalUnit;
use crate::model::Model;
use crate::model::ModelKind;
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

/// Whether `model` is built at once, however long its history is.
pub(super) fn is_built_whole(model: &Model) -> bool {
    model.kind.only_execution_time() || matches!(model.kind, ModelKind::Seed(_))
}

/// Counts how many intervals a range of `model` holds, at least 1; always 1 for a model that is built whole.
///
/// To read a cron takes as long as a small statement: many ranges of one model are counted by one counter.
pub fn unit_counter(model: &Model) -> impl Fn(Interval) -> u64 + use<> {
    let unit = (!is_built_whole(model)).then(|| interval_unit(model));
    move |range| unit.map_or(1, |unit| unit.cells(range.start(), range.end()).max(1))
}
