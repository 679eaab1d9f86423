//! A project's models with their fingerprints, before a plan gives them versions.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::model::Cron;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::layers;
use crate::snapshot::Fingerprint;
use crate::snapshot::SnapshotId;
use crate::sql::Query;
use crate::sql::TableName;
use crate::sql::name_casts;

/// A model of the project with what identifies it; a plan decides its version.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its key.
    pub id: SnapshotId,
    /// What makes it this version.
    pub fingerprint: Fingerprint,
    /// The definition.
    pub model: Arc<Model>,
    /// Direct parents in the project, sorted by name.
    pub parents: Vec<SnapshotId>,
    /// Output columns in order; `None` means unknown.
    pub columns: Option<Vec<String>>,
}

/// One candidate per model, by name. Models on a cycle are left out: loading has reported it.
///
/// Queries are read one layer of the graph after the other and let go again: the trees of a large project
/// would take more room than all the rest.
pub fn candidates(models: &BTreeMap<ModelName, Arc<Model>>) -> BTreeMap<ModelName, Candidate> {
    let units = Units::of_all(models);
    let mut candidates: BTreeMap<ModelName, Candidate> = BTreeMap::new();
    for layer in layers(models) {
        let read: Vec<Candidate> = layer
            .par_iter()
            .map(|name| candidate(&models[name], &candidates, &units))
            .collect();
        candidates.extend(
            read.into_iter()
                .map(|candidate| (candidate.id.name.clone(), candidate)),
        );
    }
    candidates
}

/// The candidate of `model`, whose parents are among `known`.
fn candidate(
    model: &Arc<Model>,
    known: &BTreeMap<ModelName, Candidate>,
    units: &Units,
) -> Candidate {
    let query = parse(model);
    let columns_of = |table: &TableName| {
        known
            .get(&model.resolve(table))
            .and_then(|parent| parent.columns.clone())
    };
    let canonical = query.as_ref().map(|query| query.canonical(&columns_of));
    let columns = output_columns(model, query.as_ref(), &columns_of);
    let parents: Vec<&Candidate> = model
        .depends_on
        .iter()
        .filter_map(|parent| known.get(parent))
        .collect();
    let parent_fingerprints: Vec<_> = parents
        .iter()
        .map(|parent| (&parent.id.name, &parent.fingerprint))
        .collect();
    let fingerprint = Fingerprint::new(
        model,
        canonical.as_deref(),
        units.of(model),
        &parent_fingerprints,
    );
    Candidate {
        id: SnapshotId {
            name: model.name.clone(),
            identifier: fingerprint.identifier(),
        },
        fingerprint,
        model: Arc::clone(model),
        parents: parents.iter().map(|parent| parent.id.clone()).collect(),
        columns,
    }
}

/// The interval units of a project's models. Most models share a few crons, and reading one is not cheap.
struct Units(HashMap<(String, Option<String>), String>);

impl Units {
    fn of_all(models: &BTreeMap<ModelName, Arc<Model>>) -> Self {
        let mut units = HashMap::new();
        for model in models.values() {
            units
                .entry(Self::key(model))
                .or_insert_with(|| interval_unit(model));
        }
        Self(units)
    }

    fn of(&self, model: &Model) -> &str {
        self.0
            .get(&Self::key(model))
            .expect("the units are those of all models")
    }

    fn key(model: &Model) -> (String, Option<String>) {
        (model.cron.clone(), model.interval_unit.clone())
    }
}

/// The model's query, read; run-time macros stand as markers. `None` for seeds and external models.
pub fn parse(model: &Model) -> Option<Query> {
    let query = model.query.as_ref()?;
    let text = name_casts(&query.for_analysis(model.dialect), model.dialect);
    Some(Query::parse(&text, model.dialect))
}

/// Output columns in order: declared, else the seed's header, else what the query tells.
fn output_columns(
    model: &Model,
    query: Option<&Query>,
    columns_of: &dyn Fn(&TableName) -> Option<Vec<String>>,
) -> Option<Vec<String>> {
    if let Some(columns) = &model.columns {
        return Some(columns.iter().map(|column| column.name.clone()).collect());
    }
    match &model.kind {
        ModelKind::Seed(seed) => Some(
            seed.column_hashes
                .iter()
                .map(|(name, _)| name.clone())
                .collect(),
        ),
        ModelKind::External => None,
        ModelKind::View
        | ModelKind::Full
        | ModelKind::IncrementalByTimeRange { .. }
        | ModelKind::Embedded => query?.output_columns(columns_of),
    }
}

/// The interval unit as text: declared, else from the cron.
pub fn interval_unit(model: &Model) -> String {
    if let Some(unit) = &model.interval_unit {
        return unit.clone();
    }
    // Loading has reported a cron that cannot be read; its text still tells two of them apart.
    Cron::parse(&model.cron)
        .and_then(|cron| cron.interval_unit())
        .map_or_else(|_| model.cron.clone(), |unit| unit.to_string())
}
