//! What earlier loads of a project found out, in a file of the user's own.
//!
//! It never lies in the project: a pull request could bring one that says of its models whatever it likes. Everything
//! in it carries the digests of what it follows from ([`crate::project::KnownFile`]), so that what is stale is passed over
//! file by file; one of another program, or with a byte that is not as it was written, counts as not there. Without it
//! everything works, only slower, so no failure here is an error.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use serde::Deserialize;
use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::model::Model;
use crate::model::ModelName;
use crate::project::FileTree;
use crate::project::KnownFile;
use crate::project::KnownModel;
use crate::project::Memory;
use crate::project::Project;
use crate::project::schema_digests;
use crate::project::text_digest;
use crate::snapshot::Candidate;
use crate::snapshot::Identity;
use crate::sql::Digest;

const MAGIC: &[u8] = b"siding cache 1\n";

/// Caches of projects that nobody has changed for so long are removed.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);

/// Where caches are kept.
#[derive(Clone, Debug)]
pub struct CachePlace {
    /// A folder that nobody else may write to.
    pub folder: PathBuf,
    /// What tells this program from any other that may write there.
    pub program: String,
}

impl CachePlace {
    /// Where something is kept of the project in this folder with the configuration of that one.
    pub(super) fn file(&self, project: &Path, config: &Path, what: &str) -> PathBuf {
        let absolute = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let key = format!("{:?} {:?}", absolute(project), absolute(config));
        self.folder
            .join(format!("{}{what}.cache", text_digest(&key)))
    }

    /// The digest that everything in a file begins with.
    pub(super) fn program(&self) -> [u8; 32] {
        *blake3::hash(self.program.as_bytes()).as_bytes()
    }
}

/// The cache of one project.
pub(super) struct Cache {
    file: PathBuf,
    program: [u8; 32],
    content: Option<Content>,
}

/// A cache as it was read.
struct Content {
    index: Index,
    /// What the entries of the index point into.
    blobs: Vec<u8>,
    /// Where in it the first blob begins.
    start: usize,
}

#[derive(Serialize, Deserialize)]
struct Index {
    settings: Digest,
    models: usize,
    /// Sorted by path.
    files: Vec<Entry>,
}

/// A file's two blobs, one behind the other: [`KnownFile`], and the [`Identity`] of each of its models.
#[derive(Serialize, Deserialize)]
struct Entry(String, Digest, usize, usize, usize);

impl Cache {
    /// The cache of the project in this folder with the configuration of that one, if it is there and whole.
    pub(super) fn open(place: &CachePlace, project: &Path, config: &Path) -> Self {
        let file = place.file(project, config, "");
        let program = place.program();
        let content = fs::read(&file)
            .ok()
            .and_then(|bytes| Content::read(bytes, program));
        Self {
            file,
            program,
            content,
        }
    }

    /// What identified the project's models.
    pub(super) fn identities(&self, project: &Project) -> HashMap<ModelName, Identity> {
        let Some(content) = &self.content else {
            return HashMap::new();
        };
        if content.index.settings != project.settings {
            return HashMap::new();
        }
        let entries = content.index.files.par_iter();
        let identities = entries.flat_map_iter(|entry| {
            let known: Vec<Identity> = content.identities(entry).unwrap_or_default();
            known.into_iter()
        });
        identities
            .filter(|identity| !project.renewed.contains(&identity.id.name))
            .map(|identity| (identity.id.name.clone(), identity))
            .collect()
    }

    /// Remembers `project`, of which loading said `diagnostics`, unless all of that is known.
    pub(super) fn store(
        self,
        files: &FileTree,
        project: &Project,
        diagnostics: &[Diagnostic],
        candidates: &BTreeMap<ModelName, Candidate>,
    ) {
        let known = self.content.as_ref().map(|content| &content.index);
        let is_known = known.is_some_and(|index| {
            project.renewed.is_empty()
                && index.settings == project.settings
                && index.models == project.models.len()
        });
        if is_known {
            return;
        }
        let written = self.encode(files, project, diagnostics, candidates);
        let written = written.and_then(|bytes| replace(&self.file, &bytes));
        if let Err(error) = written {
            tracing::debug!(
                "the cache {} was not written: {error:#}",
                self.file.display()
            );
        }
    }

    fn encode(
        &self,
        files: &FileTree,
        project: &Project,
        diagnostics: &[Diagnostic],
        candidates: &BTreeMap<ModelName, Candidate>,
    ) -> anyhow::Result<Vec<u8>> {
        let mut by_file: BTreeMap<&str, Vec<&Arc<Model>>> = BTreeMap::new();
        for model in project.models.values() {
            by_file.entry(&model.file).or_default().push(model);
        }
        let schemas = schema_digests(&project.readings);
        let encode = |(path, models): (&str, Vec<&Arc<Model>>)| {
            let text = text_digest(files.get(path)?);
            let identities = models
                .iter()
                .map(|model| Some(candidates.get(&model.name)?.identity()));
            let identities: Vec<Identity> = identities.collect::<Option<_>>()?;
            let identities = postcard::to_stdvec(&identities).ok()?;
            let kept = self.kept(project, path, text, &models);
            let known = kept.map(<[u8]>::to_vec).or_else(|| {
                let models = models.iter();
                let models =
                    models.map(|model| KnownModel::new(model, &project.readings, &schemas));
                let file = KnownFile::new(models.collect::<Option<_>>()?, path, diagnostics);
                postcard::to_stdvec(&file).ok()
            })?;
            Some((path.to_owned(), text, known, identities))
        };
        let encoded: Vec<_> = by_file.into_par_iter().filter_map(encode).collect();
        let mut index = Index {
            settings: project.settings,
            models: project.models.len(),
            files: Vec::with_capacity(encoded.len()),
        };
        let mut start = 0;
        for (path, text, known, identities) in &encoded {
            let entry = Entry(path.clone(), *text, start, known.len(), identities.len());
            start += known.len() + identities.len();
            index.files.push(entry);
        }
        let index = postcard::to_stdvec(&index)?;
        let mut content = Vec::with_capacity(8 + index.len() + start);
        content.extend((index.len() as u64).to_le_bytes());
        content.extend(index);
        for (_, _, known, identities) in encoded {
            content.extend(known);
            content.extend(identities);
        }
        Ok(closed(&content, self.program))
    }

    /// What is written of a file already, if it still holds.
    fn kept(
        &self,
        project: &Project,
        path: &str,
        text: Digest,
        models: &[&Arc<Model>],
    ) -> Option<&[u8]> {
        let content = self.content.as_ref()?;
        let is_old = models
            .iter()
            .all(|model| !project.renewed.contains(&model.name));
        let is_same = is_old && content.index.settings == project.settings;
        let entry = content
            .entry(path)
            .filter(|entry| is_same && entry.1 == text)?;
        content.blob(entry.2, entry.3)
    }
}

impl Memory for Cache {
    fn file(&self, settings: Digest, path: &str, text: &str) -> Option<KnownFile> {
        let content = self.content.as_ref()?;
        if content.index.settings != settings {
            return None;
        }
        let entry = content.entry(path)?;
        if entry.1 != text_digest(text) {
            return None;
        }
        postcard::from_bytes(content.blob(entry.2, entry.3)?).ok()
    }
}

impl Content {
    fn read(bytes: Vec<u8>, program: [u8; 32]) -> Option<Self> {
        let content = opened(&bytes, program)?;
        let (length, rest) = content.split_at_checked(8)?;
        let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
        let index = postcard::from_bytes(rest.get(..length)?).ok()?;
        let start = bytes.len() - rest.len() + length;
        Some(Self {
            index,
            blobs: bytes,
            start,
        })
    }

    fn entry(&self, path: &str) -> Option<&Entry> {
        let files = &self.index.files;
        let place = files
            .binary_search_by(|entry| entry.0.as_str().cmp(path))
            .ok()?;
        Some(&files[place])
    }

    fn blob(&self, start: usize, length: usize) -> Option<&[u8]> {
        self.blobs.get(self.start + start..)?.get(..length)
    }

    fn identities(&self, entry: &Entry) -> Option<Vec<Identity>> {
        postcard::from_bytes(self.blob(entry.2 + entry.3, entry.4)?).ok()
    }
}

/// `content` with what tells whether it is whole, and of which program.
pub(super) fn closed(content: &[u8], program: [u8; 32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAGIC.len() + 64 + content.len());
    bytes.extend(MAGIC);
    bytes.extend(program);
    bytes.extend(blake3::hash(content).as_bytes());
    bytes.extend(content);
    bytes
}

/// What [`closed`] was given, if it is whole and of this program.
pub(super) fn opened(bytes: &[u8], program: [u8; 32]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(&program)?;
    let (hash, content) = rest.split_at_checked(32)?;
    (blake3::hash(content).as_bytes() == hash).then_some(content)
}

/// Puts `bytes` in the place of `file` at once, readable for nobody else, and removes what is too old beside it.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(bytes)?;
    new.persist(file)?;
    for entry in fs::read_dir(folder)?.flatten() {
        let age = entry.metadata().and_then(|data| data.modified());
        let is_old = age.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > KEPT_FOR));
        if is_old
            && entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "cache")
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::project::LoadOptions;
    use crate::project::load;
    use crate::snapshot::candidates;

    fn place(folder: &Path, program: &str) -> CachePlace {
        CachePlace {
            folder: folder.to_owned(),
            program: program.to_owned(),
        }
    }

    /// Loads a project of one model, and keeps what was found out of it as `program` does.
    fn keep(folder: &Path, program: &str) -> PathBuf {
        let mut files = FileTree::default();
        files.insert(
            "models/a.sql",
            Arc::from("MODEL (name db.a); SELECT 1 AS x"),
        );
        let (project, diagnostics) = load(&files, &LoadOptions::default());
        let cache = Cache::open(&place(folder, program), Path::new("p"), Path::new("c"));
        let file = cache.file.clone();
        let candidates = candidates(&project.models, &project.readings);
        cache.store(&files, &project, &diagnostics, &candidates);
        file
    }

    fn is_known(folder: &Path, program: &str) -> bool {
        let cache = Cache::open(&place(folder, program), Path::new("p"), Path::new("c"));
        cache.content.is_some()
    }

    #[test]
    fn what_another_program_wrote_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), "this");
        assert!(is_known(folder.path(), "this"));
        assert!(!is_known(folder.path(), "that"));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_what_is_kept() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let mode = fs::metadata(keep(folder.path(), "this")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn caches_that_nobody_has_written_for_a_month_go_and_what_is_no_cache_stays() {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_hours(24);
        let made = |name: &str, days: u32| {
            let path = folder.path().join(name);
            let file = File::create(&path).unwrap();
            let now = file.metadata().unwrap().modified().unwrap();
            file.set_modified(now - day * days).unwrap();
            path
        };
        let (old, new) = (made("old.cache", 31), made("new.cache", 29));
        let other = made("old.txt", 31);
        keep(folder.path(), "this");
        assert!(!old.exists());
        assert!(new.exists() && other.exists());
    }
}
