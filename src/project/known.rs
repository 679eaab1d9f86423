//! What an earlier load found out: a file that did not change need not be read again.
//!
//! A model follows from the text of its file, the seed's rows, the configuration and the project's audits and signals; what its
//! query means follows from the model and the columns of the models that it reads. What is remembered carries digests
//! of all that, and is passed over where one differs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::Reading;
use crate::model::Readings;
use crate::project::FileTree;
use crate::project::Settings;
use crate::project::model_file::Draft;
use crate::sql::Digest;
use crate::sql::Node;

/// Where files are remembered between loads.
pub trait Memory: Sync {
    /// What was found in the file at `path` with this text, under the same settings; `None` when nothing is known.
    fn file(&self, settings: Digest, path: &str, text: &str) -> Option<KnownFile>;
}

/// Remembers nothing.
pub(super) struct NoMemory;

impl Memory for NoMemory {
    fn file(&self, _: Digest, _: &str, _: &str) -> Option<KnownFile> {
        None
    }
}

/// What was found in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFile {
    /// Its models; several in a file of external models.
    pub models: Vec<KnownModel>,
    /// What was said about it.
    pub diagnostics: Vec<Said>,
}

/// A diagnostic with the bytes of the file that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    #[serde(with = "as_json")]
    diagnostic: Diagnostic,
    span: Range<usize>,
}

impl Said {
    /// `diagnostic`, to be remembered.
    pub fn of(diagnostic: &Diagnostic) -> Self {
        Self {
            diagnostic: diagnostic.clone(),
            span: diagnostic.span.clone(),
        }
    }

    /// What was said.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            span: self.span.clone(),
            ..self.diagnostic.clone()
        }
    }
}

/// As text inside of a form that has no names of fields: what is written as JSON may leave fields out.
mod as_json {
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serialize;
    use serde::Serializer;
    use serde::de::DeserializeOwned;
    use serde::de::Error as _;
    use serde::ser::Error as _;

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(value).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        serde_json::from_str(text).map_err(D::Error::custom)
    }
}

/// A model with what its query means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownModel {
    /// The definition; a seed has no text.
    #[serde(with = "as_json")]
    pub model: Arc<Model>,
    /// The text of its seed.
    pub seed: Option<Digest>,
    /// What the query means.
    pub reading: KnownReading,
}

/// A reading with what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownReading {
    /// What the query means.
    pub reading: Reading,
    /// The columns that it gives.
    pub schema: Option<Digest>,
    /// The columns of what it reads; `None` where they were not known.
    pub reads: Vec<(ModelName, Option<Digest>)>,
}

impl KnownFile {
    /// What is to be remembered of the file at `path`, of which `diagnostics` speak.
    pub fn new(models: Vec<KnownModel>, path: &str, diagnostics: &[Diagnostic]) -> Self {
        let own = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.file == path);
        Self {
            models,
            diagnostics: own.map(Said::of).collect(),
        }
    }

    /// What was said about it.
    pub(super) fn diagnostics(&self) -> Vec<Diagnostic> {
        self.diagnostics.iter().map(Said::diagnostic).collect()
    }

    /// Its models as drafts; `None` when the rows of a seed are others.
    pub(super) fn drafts(self, text: &Arc<str>, files: &FileTree) -> Option<Vec<Draft>> {
        self.models
            .into_iter()
            .map(|known| known.draft(text, files))
            .collect()
    }
}

impl KnownModel {
    /// What is to be remembered of `model`; `readings` and `schemas` are those of the whole project.
    pub fn new(
        model: &Arc<Model>,
        readings: &Readings,
        schemas: &BTreeMap<ModelName, Option<Digest>>,
    ) -> Option<Self> {
        let reading = readings.get(&model.name)?;
        let mut reads = model.depends_on.clone();
        let tables = reading.meaning.iter().flat_map(|meaning| &meaning.tables);
        reads.extend(tables.map(|table| model.resolve(table)));
        reads.remove(&model.name);
        let columns = |name: &ModelName| schemas.get(name).copied().flatten();
        let mut seed = None;
        let mut model = Arc::clone(model);
        if matches!(model.kind, ModelKind::Seed(_))
            && let ModelKind::Seed(rows) = &mut Arc::make_mut(&mut model).kind
        {
            seed = Some(text_digest(&std::mem::take(&mut rows.text)));
        }
        Some(Self {
            reading: KnownReading {
                reading: reading.clone(),
                schema: columns(&model.name),
                reads: reads
                    .into_iter()
                    .map(|name| (name.clone(), columns(&name)))
                    .collect(),
            },
            model,
            seed,
        })
    }

    fn draft(mut self, text: &Arc<str>, files: &FileTree) -> Option<Draft> {
        if let ModelKind::Seed(seed) = &mut Arc::make_mut(&mut self.model).kind {
            let rows = files.get(&seed.path)?;
            if self.seed != Some(text_digest(rows)) {
                return None;
            }
            rows.as_ref().clone_into(&mut seed.text);
        }
        Some(Draft {
            model: self.model,
            name_span: 0..0,
            calls: Vec::new(),
            signal_calls: Vec::new(),
            inline_audits: Vec::new(),
            text: Arc::clone(text),
            query_span: 0..0,
            has_errors: false,
            is_resolved: true,
            known: Some(Box::new(self.reading)),
        })
    }
}

impl KnownReading {
    /// Whether what it reads has the same columns as then.
    pub(super) fn holds(&self, schema: &dyn Fn(&ModelName) -> Option<Digest>) -> bool {
        let mut reads = self.reads.iter();
        reads.all(|(name, then)| schema(name) == *then)
    }
}

/// The columns of each model as a digest; `None` where they are not known.
pub fn schema_digests(readings: &Readings) -> BTreeMap<ModelName, Option<Digest>> {
    let schema = |reading: &Reading| reading.schema.as_ref().map(|schema| schema.digest());
    let readings = readings.iter();
    readings
        .map(|(name, reading)| (name.clone(), schema(reading)))
        .collect()
}

/// A text as a digest.
pub fn text_digest(text: &str) -> Digest {
    Node::new("file").text(text).finish()
}

/// Everything that decides what a file of models says, besides its own text.
pub(super) fn settings_digest(settings: &Settings<'_>) -> Digest {
    let mut node = Node::new("settings")
        .text(&format!("{:?}", settings.config))
        .maybe_text(settings.default_catalog.as_deref());
    for (path, text) in settings.files.iter() {
        if path.starts_with("audits/") || path.starts_with("signals/") {
            node = node.text(path).text(text);
        }
    }
    node.finish()
}
