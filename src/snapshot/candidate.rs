//! A project's models with their fingerprints, before a plan gives them versions.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::model::Cron;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::Reading;
use crate::model::Readings;
use crate::model::layers;
use crate::model::parse;
use crate::snapshot::Fingerprint;
use crate::snapshot::SnapshotId;
use crate::snapshot::Surface;
use crate::sql::Meaning;
use crate::sql::Schema;
use crate::sql::TableName;

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
    /// Its output columns with their types; `None` means unknown.
    pub schema: Option<Arc<Schema>>,
    /// What its query means; `None` for seeds and external models.
    pub meaning: Option<Arc<Meaning>>,
    /// Length of one interval as text: declared, else from the cron.
    pub interval_unit: String,
}

impl Candidate {
    /// Output columns in order; `None` means unknown.
    pub fn columns(&self) -> Option<Vec<String>> {
        let schema = self.schema.as_ref()?;
        Some(schema.names().map(str::to_owned).collect())
    }

    /// What its readers see, where `parent` gives what it sees of the models that it reads.
    pub fn surface<'s>(&self, parent: &dyn Fn(&ModelName) -> Option<&'s Surface>) -> Surface {
        match &self.meaning {
            Some(meaning) => {
                Surface::of_query(&self.model, &self.interval_unit, meaning, &|table| {
                    parent(&self.model.resolve(table))
                })
            }
            None => Surface::of_data(&self.model, &self.interval_unit),
        }
    }
}

/// One candidate per model, by name. Models on a cycle are left out: loading has reported it.
///
/// `readings` are what loading knows already; the others are read here.
pub fn candidates(
    models: &BTreeMap<ModelName, Arc<Model>>,
    readings: &Readings,
) -> BTreeMap<ModelName, Candidate> {
    let units = Units::of_all(models);
    let mut candidates: BTreeMap<ModelName, Candidate> = BTreeMap::new();
    for layer in layers(models) {
        let read: Vec<Candidate> = layer
            .par_iter()
            .map(|name| candidate(&models[name], readings.get(name), &candidates, &units))
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
    reading: Option<&Reading>,
    known: &BTreeMap<ModelName, Candidate>,
    units: &Units,
) -> Candidate {
    let schema_of = |table: &TableName| {
        known
            .get(&model.resolve(table))
            .and_then(|parent| parent.schema.clone())
    };
    let Reading { meaning, schema } = match reading {
        Some(reading) => reading.clone(),
        None => Reading::new(model, parse(model).as_ref(), &schema_of),
    };
    let parents: Vec<&Candidate> = model
        .depends_on
        .iter()
        .filter_map(|parent| known.get(parent))
        .collect();
    let parent_fingerprints: Vec<_> = parents
        .iter()
        .map(|parent| (&parent.id.name, &parent.fingerprint))
        .collect();
    let interval_unit = units.of(model);
    let digest = meaning.as_ref().map(|meaning| meaning.digest());
    let fingerprint = Fingerprint::new(model, digest, interval_unit, &parent_fingerprints);
    Candidate {
        id: SnapshotId {
            name: model.name.clone(),
            identifier: fingerprint.identifier(),
        },
        fingerprint,
        model: Arc::clone(model),
        parents: parents.iter().map(|parent| parent.id.clone()).collect(),
        schema,
        meaning,
        interval_unit: interval_unit.to_owned(),
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
