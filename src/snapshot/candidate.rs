//! A project's models with their fingerprints, before a plan gives them versions.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;
use serde::Deserialize;
use serde::Serialize;

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
    pub fingerprint: Arc<Fingerprint>,
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

/// What identifies a model, without the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its key.
    pub id: SnapshotId,
    /// What makes it this version.
    pub fingerprint: Arc<Fingerprint>,
    /// Direct parents in the project, sorted by name.
    pub parents: Vec<SnapshotId>,
    /// Length of one interval as text.
    pub interval_unit: String,
}

impl Identity {
    /// Whether `model` has the same parents in the same versions as then.
    fn holds<'a>(
        &self,
        model: &Model,
        is_there: &dyn Fn(&ModelName) -> bool,
        id: &dyn Fn(&ModelName) -> Option<&'a SnapshotId>,
    ) -> bool {
        let mut above = model.depends_on.iter().filter(|parent| is_there(parent));
        let mut then = self.parents.iter();
        let is_same = |parent: &ModelName| id(parent).is_some_and(|id| then.next() == Some(id));
        above.all(is_same) && then.next().is_none()
    }

    fn candidate(&self, model: &Arc<Model>, reading: Reading) -> Candidate {
        let Reading { meaning, schema } = reading;
        Candidate {
            id: self.id.clone(),
            fingerprint: Arc::clone(&self.fingerprint),
            model: Arc::clone(model),
            parents: self.parents.clone(),
            schema,
            meaning,
            interval_unit: self.interval_unit.clone(),
        }
    }
}

/// The identity of a model that is, and means, the same as when it got it.
pub type Identities<'a> = &'a (dyn Fn(&ModelName) -> Option<&'a Identity> + Sync);

impl Candidate {
    /// What identifies it.
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.id.clone(),
            fingerprint: Arc::clone(&self.fingerprint),
            parents: self.parents.clone(),
            interval_unit: self.interval_unit.clone(),
        }
    }

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
    candidates_knowing(models, readings, &|_| None)
}

/// As [`candidates`], where some identities are known; one whose parents are others now is passed over.
pub fn candidates_knowing(
    models: &BTreeMap<ModelName, Arc<Model>>,
    readings: &Readings,
    known: Identities<'_>,
) -> BTreeMap<ModelName, Candidate> {
    if let Some(candidates) = as_known(models, readings, known) {
        return candidates;
    }
    let units = Units::of_all(models);
    let mut candidates: BTreeMap<ModelName, Candidate> = BTreeMap::new();
    for layer in layers(models) {
        let read: Vec<Candidate> = layer
            .par_iter()
            .map(|name| {
                let (model, reading) = (&models[name], readings.get(name));
                if let (Some(identity), Some(reading)) = (known(name), reading) {
                    let is_there = |parent: &ModelName| candidates.contains_key(parent);
                    let id = |parent: &ModelName| Some(&candidates.get(parent)?.id);
                    if identity.holds(model, &is_there, &id) {
                        return identity.candidate(model, reading.clone());
                    }
                }
                candidate(model, reading, &candidates, &units)
            })
            .collect();
        candidates.extend(
            read.into_iter()
                .map(|candidate| (candidate.id.name.clone(), candidate)),
        );
    }
    candidates
}

/// The candidates, when all identities are known and fit each other. Each then follows from its model and the others, in
/// whatever order they are looked at.
fn as_known(
    models: &BTreeMap<ModelName, Arc<Model>>,
    readings: &Readings,
    known: Identities<'_>,
) -> Option<BTreeMap<ModelName, Candidate>> {
    let candidate = |(name, model): (&ModelName, &Arc<Model>)| {
        let is_there = |parent: &ModelName| models.contains_key(parent);
        let id = |parent: &ModelName| Some(&known(parent)?.id);
        let identity = known(name)?;
        let reading = readings.get(name)?;
        identity
            .holds(model, &is_there, &id)
            .then(|| (name.clone(), identity.candidate(model, reading.clone())))
    };
    let all: Option<Vec<_>> = models.par_iter().map(candidate).collect();
    Some(all?.into_iter().collect())
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
        .map(|parent| (&parent.id.name, &*parent.fingerprint))
        .collect();
    let interval_unit = units.of(model);
    let digest = meaning.as_ref().map(|meaning| meaning.digest());
    let fingerprint = Fingerprint::new(model, digest, interval_unit, &parent_fingerprints);
    Candidate {
        id: SnapshotId {
            name: model.name.clone(),
            identifier: fingerprint.identifier(),
        },
        fingerprint: Arc::new(fingerprint),
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
