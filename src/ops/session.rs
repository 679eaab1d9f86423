//! Open a project: its files, its state, its warehouse.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::diagnostic::Diagnostic;
use crate::engine::EngineAdapter;
use crate::environment::EnvironmentName;
use crate::environment::Naming;
use crate::environment::Suffix;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::Ttl;
use crate::ops::cache::Cache;
use crate::ops::cache::CachePlace;
use crate::ops::connections;
use crate::ops::environment_catalogs;
use crate::ops::environment_catalogs::EnvironmentCatalogs;
use crate::ops::kind_problems::missing_columns;
use crate::ops::problems::unresolved_names;
use crate::ops::read_files;
use crate::plan::Ask;
use crate::plan::Choices;
use crate::plan::Prices;
use crate::project::CONFIG_FILES;
use crate::project::CategorizeMode;
use crate::project::Config;
use crate::project::FileTree;
use crate::project::LoadOptions;
use crate::project::load;
use crate::project::load_config;
use crate::project::load_with;
use crate::snapshot::Candidate;
use crate::snapshot::ChangeCategory;
use crate::snapshot::candidates_knowing;
use crate::state::StateStore;

/// Where a project is and what it may see.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Folder with the models.
    pub project: PathBuf,
    /// Folder whose configuration counts; that of the models unless they are a pull request's.
    pub config: PathBuf,
    /// Folder that relative database paths start from.
    pub data: PathBuf,
    /// Gateway to use instead of the default one.
    pub gateway: Option<String>,
    /// Environment variables that the configuration may read.
    pub environment: BTreeMap<String, String>,
    /// The login name, for `user()` in a configuration.
    pub user: String,
    /// Whether SQL may touch no file outside the project's folder: for code that nobody has reviewed.
    pub sandboxed: bool,
    /// Where what loading finds out is remembered; `None` means nowhere.
    pub cache: Option<CachePlace>,
}

impl SessionOptions {
    /// A project of one's own in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            project: folder.to_owned(),
            config: folder.to_owned(),
            data: folder.to_owned(),
            gateway: None,
            environment: BTreeMap::new(),
            user: String::new(),
            sandboxed: false,
            cache: None,
        }
    }
}

/// Why a project cannot be opened: everything that is wrong with it, at once.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", summary(diagnostics))]
pub struct OpenError {
    /// What is wrong, with warnings; at least one is an error.
    pub diagnostics: Vec<Diagnostic>,
    /// The files, to show the lines.
    pub files: FileTree,
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors: Vec<String> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .map(ToString::to_string)
        .collect();
    errors.join("\n")
}

/// A project with its state; the warehouse is opened on demand.
pub struct Session {
    options: SessionOptions,
    files: FileTree,
    config: Config,
    models: BTreeMap<ModelName, Arc<Model>>,
    candidates: BTreeMap<ModelName, Candidate>,
    warnings: Vec<Diagnostic>,
    state: StateStore,
}

impl Session {
    /// Opens the project with its models.
    ///
    /// # Errors
    /// [`OpenError`] when the project has mistakes; other errors when the files or the state cannot be read.
    pub async fn open(options: &SessionOptions) -> anyhow::Result<Self> {
        let checked = read_project(options)?;
        Self::with(options, checked).await
    }

    /// Opens the configuration and the state only: for what concerns the state and the warehouse, so that a
    /// broken model does not stop it.
    ///
    /// # Errors
    /// [`OpenError`] when the configuration has mistakes; other errors when it or the state cannot be read.
    pub async fn open_config(options: &SessionOptions) -> anyhow::Result<Self> {
        let files = read_files(&options.config)?;
        let (config, diagnostics) = load_config(&files, &load_options(options));
        match config {
            Some(config) if !diagnostics.iter().any(Diagnostic::is_error) => {
                let checked = CheckedProject::unread(files, config, diagnostics);
                Self::with(options, checked).await
            }
            _ => Err(OpenError { diagnostics, files }.into()),
        }
    }

    /// What the session was opened with.
    pub(super) fn options(&self) -> &SessionOptions {
        &self.options
    }

    /// The same over the same state, with a project that was read now.
    pub(super) fn with_project(self, checked: CheckedProject) -> Self {
        Self {
            files: checked.files,
            config: checked.config,
            models: checked.models,
            candidates: checked.candidates,
            warnings: checked.warnings,
            ..self
        }
    }

    pub(super) async fn with(
        options: &SessionOptions,
        checked: CheckedProject,
    ) -> anyhow::Result<Self> {
        let state = connections::state(&checked.config, &options.data).await?;
        Ok(Self {
            options: options.clone(),
            files: checked.files,
            config: checked.config,
            models: checked.models,
            candidates: checked.candidates,
            warnings: checked.warnings,
            state,
        })
    }

    /// The folder with the models.
    pub fn folder(&self) -> &Path {
        &self.options.project
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What `by` decides about categories, and when the project wants people to decide.
    pub fn choices(&self, chosen: BTreeMap<ModelName, ChangeCategory>, by: &str) -> Choices {
        let ask = |mode: CategorizeMode| match mode {
            CategorizeMode::Full => Ask::Never,
            CategorizeMode::Semi => Ask::WhenBreaking,
            CategorizeMode::Off => Ask::Always,
        };
        let modes = self.config.plan.auto_categorize;
        Choices {
            by: by.to_owned(),
            chosen,
            sql: ask(modes.sql),
            seed: ask(modes.seed),
            external: ask(modes.external),
        }
    }

    /// The models; empty when only the configuration was opened.
    pub fn models(&self) -> &BTreeMap<ModelName, Arc<Model>> {
        &self.models
    }

    /// The models with what identifies them and what their queries mean; empty as [`Self::models`] is.
    pub fn candidates(&self) -> &BTreeMap<ModelName, Candidate> {
        &self.candidates
    }

    /// The files that were read.
    pub fn files(&self) -> &FileTree {
        &self.files
    }

    /// What loading warned of.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The record of what exists.
    pub fn state(&self) -> &StateStore {
        &self.state
    }

    /// The environment that a command without one means.
    pub fn default_environment(&self) -> EnvironmentName {
        let name = self.config.default_target_environment.parse();
        name.unwrap_or_else(|_| EnvironmentName::prod())
    }

    /// The warehouse, for people.
    pub fn warehouse(&self) -> String {
        connections::describe(&self.config, &self.options.data)
    }

    /// Opens the warehouse, with the catalogs that environments have.
    ///
    /// # Errors
    /// When it does not answer, or another process holds it.
    pub async fn engine(&self) -> anyhow::Result<Arc<dyn EngineAdapter>> {
        let catalogs = EnvironmentCatalogs::of(&self.config, &self.options.data);
        let recorded = catalogs.recorded(&self.state).await?;
        let config = connections::warehouse(&self.config, &self.options, recorded)?;
        let engine = crate::engine::connect(&config).await?;
        Ok(engine)
    }

    /// Opens the warehouse to make views of `environment`: a catalog that they need is written down, then made.
    ///
    /// # Errors
    /// As [`engine`](Self::engine), and when the state does not answer or a catalog cannot be made.
    pub async fn engine_for(
        &self,
        environment: &EnvironmentName,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Arc<dyn EngineAdapter>> {
        if self.naming(environment).suffix == Suffix::Catalog && !environment.is_prod() {
            let bases = self.models.values();
            let bases = bases.filter(|model| !model.kind.is_symbolic());
            let bases = bases.map(|model| model.name.catalog()).collect();
            let catalogs = EnvironmentCatalogs::of(&self.config, &self.options.data);
            let wanted = catalogs.wanted(bases, environment);
            wanted.write_down(&self.state, now).await?;
        }
        self.engine().await
    }

    /// What the views of `environment` are called.
    pub fn naming(&self, environment: &EnvironmentName) -> Naming {
        environment_catalogs::naming(&self.config, environment)
    }

    /// When `environment`, promoted `now`, may be removed; `None` means never.
    pub fn expires_at(
        &self,
        environment: &EnvironmentName,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let pinned = self
            .config
            .pinned_environments
            .iter()
            .any(|name| EnvironmentName::from(name.clone()) == *environment);
        if environment.is_prod() || pinned {
            return None;
        }
        let ttl = Ttl::parse(self.config.environment_ttl.as_deref()?).ok()?;
        Some(ttl.expires_at(now))
    }

    /// What things cost.
    pub fn prices(&self) -> Prices {
        let configured = &self.config.estimates;
        Prices {
            per_second: configured.price_per_second,
            per_gigabyte: None,
            currency: configured.currency.clone(),
        }
    }

    /// How long a snapshot that no environment has stays, counted from `now`.
    pub fn snapshot_time_to_live(&self, now: DateTime<Utc>) -> TimeDelta {
        let ttl = Ttl::parse(&self.config.snapshot_ttl).ok();
        ttl.map_or(TimeDelta::weeks(1), |ttl| ttl.expires_at(now) - now)
    }
}

/// A project without mistakes; its state and its warehouse are not touched.
pub struct CheckedProject {
    /// The files that were read.
    pub files: FileTree,
    /// The configuration.
    pub config: Config,
    /// The models.
    pub models: BTreeMap<ModelName, Arc<Model>>,
    /// The models with what identifies them and what their queries mean.
    pub candidates: BTreeMap<ModelName, Candidate>,
    /// What is worth knowing.
    pub warnings: Vec<Diagnostic>,
}

impl CheckedProject {
    /// A project of which only the configuration was read, with what was said of that.
    pub(super) fn unread(files: FileTree, config: Config, warnings: Vec<Diagnostic>) -> Self {
        Self {
            files,
            config,
            models: BTreeMap::new(),
            candidates: BTreeMap::new(),
            warnings,
        }
    }
}

/// Reads the project's files and the meaning of its queries.
///
/// # Errors
/// [`OpenError`] when the project has mistakes; other errors when the files cannot be read.
pub fn read_project(options: &SessionOptions) -> anyhow::Result<CheckedProject> {
    check_project(options, project_files(options)?)
}

/// As [`read_project`], of files that are read.
pub(super) fn check_project(
    options: &SessionOptions,
    files: FileTree,
) -> anyhow::Result<CheckedProject> {
    let cache = options
        .cache
        .as_ref()
        .map(|place| Cache::open(place, &options.project, &options.config));
    let (project, mut diagnostics) = match &cache {
        Some(cache) => load_with(&files, &load_options(options), cache),
        None => load(&files, &load_options(options)),
    };
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(OpenError { diagnostics, files }.into());
    }
    let identities = cache.as_ref().map(|cache| cache.identities(&project));
    let identities = identities.unwrap_or_default();
    let candidates = candidates_knowing(&project.models, &project.readings, &|name| {
        identities.get(name)
    });
    if let Some(cache) = cache {
        cache.store(&files, &project, &diagnostics, &candidates);
    }
    diagnostics.extend(unresolved_names(&candidates, &files));
    diagnostics.extend(missing_columns(&candidates, &files));
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(OpenError { diagnostics, files }.into());
    }
    Ok(CheckedProject {
        files,
        config: project.config,
        models: project.models,
        candidates,
        warnings: diagnostics,
    })
}

pub(super) fn load_options(options: &SessionOptions) -> LoadOptions {
    LoadOptions {
        gateway: options.gateway.clone(),
        environment: options.environment.clone(),
        user: options.user.clone(),
    }
}

/// The project's files; if another folder's configuration counts, with that one in place of their own.
pub(super) fn project_files(options: &SessionOptions) -> anyhow::Result<FileTree> {
    let mut files = read_files(&options.project)?;
    if options.config != options.project {
        let base = read_files(&options.config)?;
        for name in CONFIG_FILES {
            files.remove(name);
            if let Some(text) = base.get(name) {
                files.insert(name, Arc::clone(text));
            }
        }
    }
    Ok(files)
}
