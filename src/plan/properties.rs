//! The properties of a kind and of a table, as people write them: for diffs and for reasons.

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ScdChange;
use crate::model::ScdType2;
use crate::model::Template;

/// Each property that is not what it is by default, with its value. Statements come one by one.
pub(super) fn described(model: &Model) -> Vec<(&'static str, String)> {
    let mut found = Properties(Vec::new());
    match &model.kind {
        ModelKind::MaterializedView => found.text("materialized", "true"),
        ModelKind::IncrementalByUniqueKey(key) => {
            found.list("unique_key", &key.unique_key);
            found.maybe("when_matched", key.when_matched.as_deref());
            found.maybe("merge_filter", key.merge_filter.as_deref());
        }
        ModelKind::IncrementalUnmanaged { insert_overwrite } => {
            found.flag("insert_overwrite", *insert_overwrite);
        }
        ModelKind::ScdType2(scd) => history(&mut found, scd),
        ModelKind::View
        | ModelKind::Full
        | ModelKind::IncrementalByTimeRange { .. }
        | ModelKind::IncrementalByPartition
        | ModelKind::Seed(_)
        | ModelKind::Embedded
        | ModelKind::External => {}
    }
    if !matches!(model.kind, ModelKind::IncrementalByTimeRange { .. }) {
        let lookback = model.kind.lookback_intervals();
        found.maybe(
            "lookback",
            (lookback > 0).then(|| lookback.to_string()).as_deref(),
        );
    }
    let storage = &model.storage;
    found.list("partitioned_by", &storage.partitioned_by);
    found.list("clustered_by", &storage.clustered_by);
    found.maybe("table_format", storage.table_format.as_deref());
    found.maybe("storage_format", storage.storage_format.as_deref());
    found.pairs("physical_properties", &storage.physical_properties);
    for (what, statements) in [
        ("the statement before the query", &model.statements.before),
        ("the statement after the query", &model.statements.after),
    ] {
        for statement in statements {
            found.text(what, Template::text(statement));
        }
    }
    found.0
}

fn history(found: &mut Properties, scd: &ScdType2) {
    found.list("unique_key", &scd.unique_key);
    found.text("valid_from_name", &scd.valid_from);
    found.text("valid_to_name", &scd.valid_to);
    found.text("time_data_type", &scd.time_data_type);
    found.flag("invalidate_hard_deletes", scd.invalidate_hard_deletes);
    match &scd.change {
        ScdChange::Time {
            updated_at,
            updated_at_as_valid_from,
        } => {
            found.text("updated_at_name", updated_at);
            found.flag("updated_at_as_valid_from", *updated_at_as_valid_from);
        }
        ScdChange::Column {
            columns,
            execution_time_as_valid_from,
            updated_at,
        } => {
            match columns {
                None => found.text("columns", "*"),
                Some(columns) => found.list("columns", columns),
            }
            found.flag(
                "execution_time_as_valid_from",
                *execution_time_as_valid_from,
            );
            found.maybe("updated_at_name", updated_at.as_deref());
        }
    }
}

struct Properties(Vec<(&'static str, String)>);

impl Properties {
    fn text(&mut self, name: &'static str, value: &str) {
        self.0.push((name, value.to_owned()));
    }

    fn maybe(&mut self, name: &'static str, value: Option<&str>) {
        self.0.extend(value.map(|value| (name, value.to_owned())));
    }

    fn flag(&mut self, name: &'static str, value: bool) {
        self.maybe(name, value.then_some("true"));
    }

    fn list(&mut self, name: &'static str, values: &[String]) {
        self.maybe(
            name,
            (!values.is_empty())
                .then(|| format!("({})", values.join(", ")))
                .as_deref(),
        );
    }

    fn pairs(&mut self, name: &'static str, values: &[(String, String)]) {
        let values: Vec<String> = values
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        self.list(name, &values);
    }
}
