//! What a user declares: models, their kinds, schedules and audits.
#![warn(missing_docs)]

mod audit;
mod cron;
mod cron_fields;
mod date;
mod graph;
mod interval_unit;
mod keyed;
mod kind;
pub(crate) mod macro_use;
mod name;
mod offset;
mod placement;
mod policy;
mod reading;
mod seed;
mod selector;
mod signal;
mod storage;
mod template;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

pub use audit::Audit;
pub use cron::Cron;
pub use cron::CronError;
pub use date::DateError;
pub use date::DateExpr;
pub use date::Moment;
pub use date::Ttl;
pub use graph::layers;
pub use graph::layers_of;
pub use graph::topological;
pub use interval_unit::IntervalUnit;
pub use interval_unit::UnknownIntervalUnit;
pub use keyed::ScdChange;
pub use keyed::ScdType2;
pub use keyed::UniqueKey;
pub use kind::ModelKind;
pub use kind::TimeColumn;
pub use kind::TimePart;
pub use name::ModelName;
pub use offset::Offset;
pub use placement::Placement;
pub use placement::TableNaming;
pub use policy::ChangePolicy;
pub use policy::OnChange;
pub use policy::UnknownOnChange;
pub use reading::Reading;
pub use reading::Readings;
pub use reading::output_schema;
pub use reading::parse;
pub use seed::CsvSettings;
pub use seed::Seed;
pub use seed::SeedError;
pub use seed::SeedQuery;
pub use seed::SeedRows;
pub use selector::ChangedFiles;
pub use selector::Selector;
pub use selector::SelectorError;
pub use selector::select_any;
pub use signal::Signal;
pub use storage::Storage;
pub use storage::is_plain;
pub use storage::is_postgres_parameter;
pub use template::Moment as TimeMoment;
pub use template::RenderError;
pub use template::RuntimeValues;
pub use template::RuntimeVariable;
pub use template::Template;
pub use template::TimeForm;

use crate::sql::Dialect;
use crate::sql::TableName;

/// A column with its type as written; the type is `None` where nobody said it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Column {
    /// Normalised to the dialect's case.
    pub name: String,
    /// As written, in the model's dialect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_type: Option<String>,
}

/// Statements of a model besides its query, in the order written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statements {
    /// Before the query.
    pub before: Vec<Template>,
    /// After it.
    pub after: Vec<Template>,
    /// After a view of an environment was pointed at the model's table; `@this_model` is that view.
    pub on_virtual_update: Vec<Template>,
}

impl Statements {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        !self.surround_query() && self.on_virtual_update.is_empty()
    }

    /// Whether a batch runs some besides its query.
    pub fn surround_query(&self) -> bool {
        !self.before.is_empty() || !self.after.is_empty()
    }
}

/// A model as declared, with everything resolved that does not need a warehouse or a clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Unique in a project.
    pub name: ModelName,
    /// How its table is filled.
    pub kind: ModelKind,
    /// What is asked of the engine besides rows.
    #[serde(default, skip_serializing_if = "Storage::is_default")]
    pub storage: Storage,
    /// Dialect of its query.
    pub dialect: Dialect,
    /// The query; `None` for seeds and external models.
    pub query: Option<Template>,
    /// What runs around the query, in the transaction of the batch.
    #[serde(default, skip_serializing_if = "Statements::is_empty")]
    pub statements: Statements,
    /// Whether the query reads the model's own table, as the batches before left it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads_itself: bool,
    /// Whether an interval may be filled before it is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_partials: bool,
    /// What it is, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Labels, lower case.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// When it is due: five cron fields or `@daily` and its like, as written.
    pub cron: String,
    /// On whose clocks that is, a name such as `Europe/Berlin`; `None` means UTC. Intervals are in UTC in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron_tz: Option<String>,
    /// Length of one interval, as written; `None` means that the cron decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_unit: Option<String>,
    /// First day, as written (may be relative); `None` means as early as its parents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Last day, as written; inclusive if a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Keys that identify a row, each a list of columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grains: Vec<Vec<String>>,
    /// Columns as declared; `None` means that the query decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Column>>,
    /// What each column is, by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub column_descriptions: BTreeMap<String, String>,
    /// Checks, in the order declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audits: Vec<Audit>,
    /// What is asked before its intervals are filled, in the order declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<Signal>,
    /// Everything that its query reads, and what `depends_on` adds; never itself.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<ModelName>,
    /// The catalog that names without one are in, when the engine has several; not part of the fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_catalog: Option<String>,
    /// Name of the project that declares it.
    pub project: String,
    /// Free text that makes a new version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
    /// How its rows are treated when its definition changes.
    #[serde(default, skip_serializing_if = "ChangePolicy::is_default")]
    pub policy: ChangePolicy,
    /// Where new tables of it are made; not part of the fingerprint.
    #[serde(default, skip_serializing_if = "Placement::is_default")]
    pub placement: Placement,
    /// Where it is declared, relative to the project folder.
    pub file: String,
}

impl Model {
    /// Whether a change of it leaves the rows that are there as they are.
    pub fn is_forward_only(&self) -> bool {
        // Their rows cannot be computed again from what is read today.
        let of_kind = || {
            matches!(
                self.kind,
                ModelKind::IncrementalByPartition
                    | ModelKind::IncrementalUnmanaged { .. }
                    | ModelKind::ScdType2(_)
            )
        };
        self.policy.forward_only.unwrap_or_else(of_kind)
    }

    /// Whether its rows are never filled again on request.
    pub fn is_never_restated(&self) -> bool {
        let of_kind = || {
            matches!(
                self.kind,
                ModelKind::IncrementalUnmanaged { .. } | ModelKind::ScdType2(_)
            )
        };
        self.policy.disable_restatement.unwrap_or_else(of_kind)
    }

    /// Whether batches that are in its table may be written again, in order of time, and give the same rows.
    pub fn may_be_written_again(&self) -> bool {
        let keeps_versions = matches!(self.kind, ModelKind::ScdType2(_));
        !self.reads_itself && !self.kind.adds_to_its_rows() && !keeps_versions
    }

    /// Whether its batches run one after the other, in order of time, and stop at the first that fails.
    pub fn depends_on_its_past(&self) -> bool {
        self.reads_itself || self.kind.builds_on_its_past()
    }

    /// Whether something is asked before its intervals are filled.
    pub fn asks(&self) -> bool {
        self.asked().next().is_some()
    }

    /// The signals that are asked, in order.
    pub fn asked(&self) -> impl Iterator<Item = &Signal> {
        self.signals.iter().filter(|signal| signal.query.is_some())
    }

    /// Whether it is filled in order of time without leaving anything out: at once, or each batch on those before it.
    pub fn is_filled_in_order(&self) -> bool {
        !matches!(self.kind, ModelKind::IncrementalByTimeRange { .. }) || self.reads_itself
    }

    /// The model that `table`, as this model's SQL names it, would be.
    pub fn resolve(&self, table: &TableName) -> ModelName {
        let catalog = table
            .catalog
            .clone()
            .filter(|catalog| Some(catalog) != self.default_catalog.as_ref());
        ModelName::new(catalog, table.schema.clone(), table.name.clone())
    }
}
