//! The law of the cache: a load that remembers another one finds what a load that remembers nothing does.

use std::collections::BTreeMap;

use siding::model::ModelName;
use siding::project::FileTree;
use siding::project::KnownFile;
use siding::project::KnownModel;
use siding::project::LoadOptions;
use siding::project::Memory;
use siding::project::Project;
use siding::project::load_with;
use siding::project::schema_digests;
use siding::project::text_digest;
use siding::snapshot::Candidate;
use siding::snapshot::Identity;
use siding::snapshot::candidates_knowing;
use siding::sql::Digest;

/// What loads of earlier projects found, of each path the last.
#[derive(Default)]
pub(crate) struct Remembered {
    files: BTreeMap<String, (Digest, Digest, Vec<u8>)>,
    identities: BTreeMap<ModelName, Identity>,
}

impl Memory for Remembered {
    fn file(&self, settings: Digest, path: &str, text: &str) -> Option<KnownFile> {
        let (then, of, bytes) = self.files.get(path)?;
        let holds = *then == settings && *of == text_digest(text);
        holds.then(|| postcard::from_bytes(bytes).expect("it was written so"))
    }
}

impl Remembered {
    /// Loads `files` knowing what is remembered, compares with `cold`, and remembers that.
    pub(crate) fn check(
        &mut self,
        files: &FileTree,
        cold: &Project,
        candidates: &BTreeMap<ModelName, Candidate>,
    ) {
        let (warm, _) = load_with(files, &LoadOptions::default(), self);
        assert_eq!(warm.models, cold.models);
        assert_eq!(warm.readings, cold.readings);
        let known = candidates_knowing(&warm.models, &warm.readings, &|name| {
            let is_same = !warm.renewed.contains(name);
            self.identities.get(name).filter(|_| is_same)
        });
        let identities = |of: &BTreeMap<ModelName, Candidate>| -> BTreeMap<ModelName, Identity> {
            of.iter()
                .map(|(name, candidate)| (name.clone(), candidate.identity()))
                .collect()
        };
        assert_eq!(identities(&known), identities(candidates));
        self.remember(files, cold);
        self.identities = identities(candidates);
    }

    fn remember(&mut self, files: &FileTree, project: &Project) {
        let schemas = schema_digests(&project.readings);
        let mut by_file: BTreeMap<&str, Vec<KnownModel>> = BTreeMap::new();
        for model in project.models.values() {
            let known = KnownModel::new(model, &project.readings, &schemas);
            let of_file = by_file.entry(&model.file).or_default();
            of_file.push(known.expect("every model has a reading"));
        }
        for (path, models) in by_file {
            let text = text_digest(files.get(path).expect("models are of files"));
            let file = KnownFile::new(models, path, &[]);
            let bytes = postcard::to_stdvec(&file).expect("it can be written");
            let entry = (project.settings, text, bytes);
            self.files.insert(path.to_owned(), entry);
        }
    }
}
