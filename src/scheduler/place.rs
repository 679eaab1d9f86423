//! Where the table of a version is while it is filled: under its own name, or under its model's.

use anyhow::Context;
use tokio::sync::OnceCell;

use crate::engine::ObjectKind;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::Work;
use crate::scheduler::Filling;
use crate::snapshot::Version;
use crate::sql::TableName;

/// Whether tables stand under their models' own names anywhere; asked once, when the first table is filled.
#[derive(Debug, Default)]
pub(super) struct Places {
    any: OnceCell<bool>,
}

impl Places {
    /// Where the table of `work` is, if that is its model's own name. The caller has the right to write it, so nobody
    /// moves it meanwhile.
    pub(super) async fn of(
        &self,
        filling: &Filling<'_>,
        work: &Work,
    ) -> anyhow::Result<Option<TableName>> {
        let model = &filling.scope.snapshots[&work.name].model;
        if matches!(model.kind, ModelKind::View) {
            return Ok(None);
        }
        let any = self
            .any
            .get_or_try_init(|| filling.state.has_own_tables())
            .await;
        if !*any.context("reading whether tables have their models' names")? {
            return Ok(None);
        }
        standing(filling, &work.name, &work.version, &work.table).await
    }
}

/// The model's own name if the table of that version stands there. Where the caller has the right to write it, nobody moves
/// it meanwhile.
pub(super) async fn standing(
    filling: &Filling<'_>,
    name: &ModelName,
    version: &Version,
    table: &TableName,
) -> anyhow::Result<Option<TableName>> {
    let shown = filling.state.in_production(name).await;
    let Some(shown) = shown.context("reading what production shows")? else {
        return Ok(None);
    };
    if shown.is_settled {
        let is_here = shown.own_tables && shown.version.as_ref() == Some(version);
        return Ok(is_here.then_some(shown.name));
    }
    // What a switch has done that is not known to be done, the warehouse tells.
    let schemas: Vec<String> = table.schema.iter().cloned().collect();
    let catalog = table.catalog.as_deref();
    let objects = filling.engine.objects_in(catalog, &schemas).await?;
    let listed = filling.engine.listed(table);
    let found = objects.iter().find(|object| object.table == listed);
    let is_elsewhere = found.is_some_and(|object| object.kind == ObjectKind::View);
    Ok(is_elsewhere.then_some(shown.name))
}
