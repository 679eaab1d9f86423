//! `config.yaml` as checked: gateways, defaults, variables, the bot's policy.

mod catalogs;
mod environments;
mod jinja;
mod lifecycle;
mod mapping;
mod model_defaults;
mod postgres;
mod read;
mod reader;
mod sections;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

use crate::model::ChangePolicy;
use crate::model::Placement;
use crate::model::TableNaming;
use crate::project::variable::Variable;
use crate::sql::Dialect;

pub use catalogs::DuckDbAttachment;
pub use environments::SuffixTarget;
pub use environments::VirtualEnvironmentMode;
pub use lifecycle::EstimateConfig;
pub use lifecycle::PlacedStatement;
pub use lifecycle::RunConfig;
pub use mapping::NameMapping;
pub use postgres::PostgresConnection;
pub use postgres::Secret;
pub use postgres::SslMode;
pub use read::CONFIG_FILES;
pub(super) use read::find;
pub(super) use read::read;
pub(super) use reader::Reader;
pub(super) use reader::Unsupported;
pub(super) use reader::not_supported;

/// The configuration of a project.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it was read from, relative to the project folder.
    pub file: String,
    /// Name of the project; empty when not given.
    pub project: String,
    /// By name, lower case. Gateways of engines that Siding does not know yet are left out.
    pub gateways: BTreeMap<String, Gateway>,
    /// The gateway to use; one of `gateways` unless there was an error.
    pub selected_gateway: String,
    /// What models get that do not say otherwise.
    pub model_defaults: ModelDefaults,
    /// By name, lower case; those of the selected gateway win over those of the root.
    pub variables: BTreeMap<String, Variable>,
    /// How plans behave.
    pub plan: PlanConfig,
    /// How work is carried out.
    pub run: RunConfig,
    /// `before_all`: statements before everything else that a plan or a run does.
    pub before_all: Vec<PlacedStatement>,
    /// `after_all`: statements after everything else.
    pub after_all: Vec<PlacedStatement>,
    /// Which part of a view's name says what environment it is of.
    pub suffix_target: SuffixTarget,
    /// Where views stand between readers and tables.
    pub mode: VirtualEnvironmentMode,
    /// `environment_catalog_mapping`: the catalog of an environment's views, by its name.
    pub environment_catalogs: NameMapping,
    /// `physical_schema_mapping`: the schema of a model's tables, by the model's.
    pub physical_schemas: NameMapping,
    /// `physical_table_naming_convention`.
    pub table_naming: TableNaming,
    /// What things cost.
    pub estimates: EstimateConfig,
    /// How long a snapshot that no environment shows is kept: `in 1 week`.
    pub snapshot_ttl: String,
    /// How long an environment that nobody plans is kept; `None` means for ever.
    pub environment_ttl: Option<String>,
    /// Environments that never go away.
    pub pinned_environments: BTreeSet<String>,
    /// What `plan` and `run` mean without an environment; `prod` unless set.
    pub default_target_environment: String,
    /// `strftime` format of a time column that does not say its own.
    pub time_column_format: String,
    /// Paths that are not part of the project.
    pub ignore_patterns: Vec<String>,
    /// People.
    pub users: Vec<User>,
    /// `cicd_bot`; `None` when the key is not there.
    pub bot: Option<BotConfig>,
}

impl Default for Config {
    /// An in-memory DuckDB and nothing else: what stands in when there is no configuration.
    fn default() -> Self {
        Self {
            file: String::new(),
            project: String::new(),
            gateways: BTreeMap::new(),
            selected_gateway: String::new(),
            model_defaults: ModelDefaults::default(),
            variables: BTreeMap::new(),
            plan: PlanConfig::default(),
            run: RunConfig::default(),
            before_all: Vec::new(),
            after_all: Vec::new(),
            suffix_target: SuffixTarget::default(),
            mode: VirtualEnvironmentMode::default(),
            environment_catalogs: NameMapping::default(),
            physical_schemas: NameMapping::default(),
            table_naming: TableNaming::default(),
            estimates: EstimateConfig::default(),
            snapshot_ttl: "in 1 week".to_owned(),
            environment_ttl: Some("in 1 week".to_owned()),
            pinned_environments: BTreeSet::new(),
            default_target_environment: "prod".to_owned(),
            time_column_format: "%Y-%m-%d".to_owned(),
            ignore_patterns: Vec::new(),
            users: Vec::new(),
            bot: None,
        }
    }
}

impl Config {
    /// The selected gateway; `None` when it is of an engine that Siding does not know yet.
    pub fn gateway(&self) -> Option<&Gateway> {
        self.gateways.get(&self.selected_gateway)
    }

    /// The catalog that names without one are in; `None` where the engine has no catalogs.
    pub fn default_catalog(&self) -> Option<String> {
        self.gateway()?.connection.default_catalog()
    }

    /// Whether production's tables carry on whatever changes, so that every change is forward-only that can be.
    pub fn tables_carry_on(&self) -> bool {
        self.mode == VirtualEnvironmentMode::DevOnly
    }

    /// Where tables of models in `schema` are made.
    pub fn placement(&self, schema: &str) -> Placement {
        Placement {
            schema: self.physical_schemas.of(schema).map(str::to_owned),
            naming: self.table_naming,
        }
    }

    /// GitHub logins of users who must approve, one of them for each pull request, as written.
    pub fn required_approvers(&self) -> Vec<String> {
        let required = |user: &&User| user.roles.contains("required_approver");
        let users = self.users.iter().filter(required);
        users
            .filter_map(|user| user.github_username.clone())
            .collect()
    }
}

/// A named set of connections.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// The warehouse.
    pub connection: Connection,
    /// Where the record is kept; `None` means the default place.
    pub state: Option<Connection>,
    /// The schema of the state's tables where the state is in PostgreSQL; `None` means `siding`.
    pub state_schema: Option<String>,
}

/// How to reach a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// A DuckDB file.
    DuckDb {
        /// Path of the file, as written; `None` means in memory.
        database: Option<String>,
        /// Further databases, or all of them; then names without a catalog are in the first.
        catalogs: Vec<DuckDbAttachment>,
        /// Most transactions at once; `None` means the usual number.
        concurrent_tasks: Option<u32>,
        /// Whether descriptions of models go into the warehouse.
        register_comments: bool,
    },
    /// An SQLite file; only for state.
    Sqlite {
        /// Path of the file, as written.
        database: String,
    },
    /// A PostgreSQL database.
    Postgres(Box<PostgresConnection>),
}

impl Connection {
    /// The catalog that names without one are in.
    pub fn default_catalog(&self) -> Option<String> {
        match self {
            Self::DuckDb { catalogs, .. } if !catalogs.is_empty() => {
                catalogs.first().map(|first| first.name.clone())
            }
            Self::DuckDb { database: None, .. } => Some("memory".to_owned()),
            Self::DuckDb {
                database: Some(path),
                ..
            } => {
                let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
                let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
                Some(if stem.is_empty() { name } else { stem }.to_owned())
            }
            Self::Sqlite { .. } => None,
            Self::Postgres(connection) => Some(connection.database.clone()),
        }
    }
}

/// What models get that do not say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelDefaults {
    /// Dialect of the files.
    pub dialect: Dialect,
    /// The kind, as in a `MODEL` block.
    pub kind: Option<String>,
    /// Who answers for models.
    pub owner: Option<String>,
    /// When models are due.
    pub cron: Option<String>,
    /// Length of one interval.
    pub interval_unit: Option<String>,
    /// First day.
    pub start: Option<String>,
    /// Calls of audits, as in a `MODEL` block; come before the model's own.
    pub audits: Vec<String>,
    /// Whether an interval may be filled before it is over.
    pub allow_partials: bool,
    /// Most batches of one model at once.
    pub batch_concurrency: Option<NonZeroU32>,
    /// What happens when a forward-only change removes or adds columns.
    pub policy: ChangePolicy,
}

/// How plans behave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanConfig {
    /// Which changes are categorized without asking.
    pub auto_categorize: AutoCategorize,
    /// Whether development environments get views of unmodified models too.
    pub include_unmodified: bool,
    /// Whether text diffs are left out.
    pub no_diff: bool,
    /// Whether changes keep the rows that are there, where they can.
    pub forward_only: bool,
    /// Whether only the final confirmation is asked; `None` means the default of the command.
    pub no_prompts: Option<bool>,
    /// Whether plans are applied without confirmation.
    pub auto_apply: bool,
    /// Whether an environment whose last switch is not known to be done counts as what it was before.
    pub use_finalized_state: bool,
    /// Whether development environments are compared with production at every plan.
    pub always_recreate_environment: bool,
    /// Whether forward-only models show a preview in development environments; `None` means yes.
    pub enable_preview: Option<bool>,
}

/// How far changes are categorized without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CategorizeMode {
    /// Always; breaking when in doubt.
    #[default]
    Full,
    /// Only when the answer is certain.
    Semi,
    /// Never.
    Off,
}

/// How far changes are categorized without asking, by what the model is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AutoCategorize {
    /// SQL models.
    pub sql: CategorizeMode,
    /// Seeds.
    pub seed: CategorizeMode,
    /// External models.
    pub external: CategorizeMode,
}

/// A person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Name in this project.
    pub username: String,
    /// Login at GitHub.
    pub github_username: Option<String>,
    /// Name at Slack.
    pub slack_username: Option<String>,
    /// Address.
    pub email: Option<String>,
    /// Such as `required_approver`.
    pub roles: BTreeSet<String>,
}

/// How a pull request is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "GitHub's names")]
pub enum BotMergeMethod {
    Merge,
    Squash,
    Rebase,
}

/// `cicd_bot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotConfig {
    /// Whether the environment goes away after the deployment; yes unless set.
    pub invalidate_environment_after_deploy: bool,
    /// Whether `/deploy` is accepted.
    pub enable_deploy_command: bool,
    /// How the bot merges; `None` means that people do.
    pub merge_method: Option<BotMergeMethod>,
    /// Word after the slash, as in `/duck deploy`.
    pub command_namespace: Option<String>,
    /// Prefix of the environments' names; `None` means the repository's name.
    pub pr_environment_name: Option<String>,
    /// Branches that deploy to production; `main` and `master` unless set.
    pub prod_branches: Vec<String>,
}

impl Default for BotConfig {
    fn default() -> Self {
        Self {
            invalidate_environment_after_deploy: true,
            enable_deploy_command: false,
            merge_method: None,
            command_namespace: None,
            pr_environment_name: None,
            prod_branches: vec!["main".to_owned(), "master".to_owned()],
        }
    }
}
