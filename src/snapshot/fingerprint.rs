//! What makes a snapshot this version.
//!
//! | Input | Part |
//! |---|---|
//! | what the query means, over the names of the tables and columns that it reads (`sql::meaning`): no layout, no comments, no aliases, no order of AND … | data |
//! | kind; time column and its format; lookback | data |
//! | key, `when_matched`, `merge_filter`, `insert_overwrite`, `materialized`; all options of SCD_TYPE_2, also its batch size | data |
//! | partitions, clusters, table and storage format, physical properties | data |
//! | statements before and after the query, and whether the query reads its own table | data |
//! | seed: CSV settings, each column's name and content | data |
//! | declared columns with their types | data |
//! | dialect | data |
//! | interval unit | data |
//! | stamp | data |
//! | description, owner, tags, column descriptions | metadata |
//! | cron and its time zone, start, end, batch size, batch concurrency, partial intervals | metadata |
//! | `forward_only`, `disable_restatement`, `on_destructive_change`, `on_additive_change`, `auto_restatement_cron`, `auto_restatement_intervals` | metadata |
//! | virtual properties, statements of a virtual update | metadata |
//! | grains | metadata |
//! | audits: name, arguments, query, blocking | metadata |
//! | signals: name, arguments, query, in their order | metadata |
//! | project name | metadata |
//! | each parent's name, data and parents' data | parents' data |
//! | each parent's name, metadata and parents' metadata | parents' metadata |
//! | the query's text as written, the model's own name, its file, where its tables are made, `enabled`, `formatting`, `ignored_rules` | none |
//!
//! Every input is written with its length before it, so that no two inputs run into each other.

use serde::Deserialize;
use serde::Serialize;

use crate::model::ChangePolicy;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::ScdChange;
use crate::model::ScdType2;
use crate::model::Storage;
use crate::model::Template;
use crate::snapshot::Version;
use crate::sql::Digest;

/// Four BLAKE3 hashes (hex) over a canonical, length-prefixed encoding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// What the model's own rows depend on.
    pub data: String,
    /// Everything else that the model declares.
    pub metadata: String,
    /// The data side of its parents, and theirs.
    pub parent_data: String,
    /// The metadata side of its parents, and theirs.
    pub parent_metadata: String,
}

impl Fingerprint {
    /// The fingerprint of `model`, whose query has this meaning and interval unit, and whose parents
    /// have these fingerprints (sorted by name).
    pub fn new(
        model: &Model,
        meaning: Option<Digest>,
        interval_unit: &str,
        parents: &[(&ModelName, &Self)],
    ) -> Self {
        let mut parent_data = Encoder::new("parent data");
        let mut parent_metadata = Encoder::new("parent metadata");
        for (name, parent) in parents {
            let name = name.to_string();
            parent_data
                .text(&name)
                .text(&parent.data)
                .text(&parent.parent_data);
            parent_metadata
                .text(&name)
                .text(&parent.metadata)
                .text(&parent.parent_metadata);
        }
        Self {
            data: data(model, meaning, interval_unit),
            metadata: metadata(model),
            parent_data: parent_data.finish(),
            parent_metadata: parent_metadata.finish(),
        }
    }

    /// Hex hash over all four parts: the identifier of a snapshot.
    pub fn identifier(&self) -> String {
        let mut encoder = Encoder::new("identifier");
        encoder
            .text(&self.data)
            .text(&self.metadata)
            .text(&self.parent_data)
            .text(&self.parent_metadata);
        encoder.finish()
    }

    /// The version of a view over tables of these versions, the parents by name.
    pub fn version_over<'a>(
        &self,
        parents: impl Iterator<Item = (&'a ModelName, &'a Version)>,
    ) -> Version {
        let mut encoder = Encoder::new("view");
        encoder.text(&self.data).text(&self.parent_data);
        for (name, version) in parents {
            encoder.text(&name.to_string()).text(&version.0);
        }
        let mut hash = encoder.finish();
        hash.truncate(16);
        Version(hash)
    }
}

fn data(model: &Model, meaning: Option<Digest>, interval_unit: &str) -> String {
    let mut encoder = Encoder::new("data");
    encoder.text(&properties(model, interval_unit));
    encoder.optional(meaning.map(|meaning| meaning.to_string()).as_deref());
    encoder.finish()
}

/// A hash over everything but the query that a model's own rows depend on.
pub(super) fn properties(model: &Model, interval_unit: &str) -> String {
    let mut encoder = Encoder::new("properties");
    encoder.text(model.kind.name());
    match &model.kind {
        ModelKind::IncrementalByTimeRange {
            time_column,
            lookback_intervals,
            batch_size_intervals: _,
            batch_concurrency: _,
        } => {
            encoder
                .text(&time_column.column)
                .text(&time_column.format)
                .number(u64::from(*lookback_intervals));
        }
        ModelKind::Seed(seed) => {
            encoder.text(&format!("{:?}", seed.csv));
            encoder.number(seed.column_hashes.len() as u64);
            for (name, hash) in &seed.column_hashes {
                encoder.text(name).text(hash);
            }
        }
        ModelKind::MaterializedView => {
            encoder.text("materialized");
        }
        ModelKind::IncrementalByUniqueKey(key) => {
            encoder.number(u64::from(key.lookback_intervals));
            encoder.list(key.unique_key.iter().map(String::as_str));
            encoder
                .optional(key.when_matched.as_deref())
                .optional(key.merge_filter.as_deref());
        }
        ModelKind::IncrementalUnmanaged { insert_overwrite } => {
            encoder.number(u64::from(*insert_overwrite));
        }
        ModelKind::ScdType2(scd) => history(&mut encoder, scd),
        ModelKind::View
        | ModelKind::Full
        | ModelKind::IncrementalByPartition
        | ModelKind::Embedded
        | ModelKind::External => {}
    }
    storage(&mut encoder, &model.storage);
    statements(&mut encoder, model);
    encoder
        .text(&model.dialect.to_string())
        .text(interval_unit)
        .optional(model.stamp.as_deref());
    match &model.columns {
        None => encoder.number(0),
        Some(columns) => {
            encoder.number(columns.len() as u64 + 1);
            for column in columns {
                encoder
                    .text(&column.name)
                    .optional(column.data_type.as_deref());
            }
            &mut encoder
        }
    };
    encoder.finish()
}

fn history(encoder: &mut Encoder, scd: &ScdType2) {
    encoder.list(scd.unique_key.iter().map(String::as_str));
    encoder
        .text(&scd.valid_from)
        .text(&scd.valid_to)
        .number(u64::from(scd.invalidate_hard_deletes))
        .text(&scd.time_data_type)
        .number(
            scd.batch_size_intervals
                .map_or(0, |size| u64::from(size.get())),
        );
    match &scd.change {
        ScdChange::Time {
            updated_at,
            updated_at_as_valid_from,
        } => encoder
            .text(updated_at)
            .number(u64::from(*updated_at_as_valid_from)),
        ScdChange::Column {
            columns,
            execution_time_as_valid_from,
            updated_at,
        } => {
            match columns {
                None => encoder.list(["*"].into_iter()),
                Some(columns) => encoder.list(columns.iter().map(String::as_str)),
            }
            encoder
                .number(u64::from(*execution_time_as_valid_from))
                .optional(updated_at.as_deref())
        }
    };
}

/// What is not asked for leaves no trace: the fingerprints of models that ask for nothing stay what they were.
fn storage(encoder: &mut Encoder, storage: &Storage) {
    let Storage {
        partitioned_by,
        clustered_by,
        table_format,
        storage_format,
        physical_properties,
        virtual_properties: _,
    } = storage;
    for (what, expressions) in [
        ("partitioned by", partitioned_by),
        ("clustered by", clustered_by),
    ] {
        if !expressions.is_empty() {
            encoder.text(what);
            encoder.list(expressions.iter().map(String::as_str));
        }
    }
    for (what, format) in [
        ("table format", table_format),
        ("storage format", storage_format),
    ] {
        if let Some(format) = format {
            encoder.text(what).text(format);
        }
    }
    if !physical_properties.is_empty() {
        encoder.text("physical properties");
        encoder.list(pairs(physical_properties));
    }
}

fn pairs(properties: &[(String, String)]) -> impl Iterator<Item = &str> {
    properties
        .iter()
        .flat_map(|(name, value)| [name.as_str(), value.as_str()])
}

fn statements(encoder: &mut Encoder, model: &Model) {
    for (what, statements) in [
        ("before", &model.statements.before),
        ("after", &model.statements.after),
    ] {
        if !statements.is_empty() {
            encoder.text(what);
            encoder.list(statements.iter().map(Template::text));
        }
    }
    if model.reads_itself {
        encoder.text("reads itself");
    }
}

fn metadata(model: &Model) -> String {
    let mut encoder = Encoder::new("metadata");
    encoder
        .optional(model.description.as_deref())
        .optional(model.owner.as_deref())
        .text(&model.project);
    encoder.list(model.tags.iter().map(String::as_str));
    encoder.list(
        model
            .column_descriptions
            .iter()
            .flat_map(|(column, text)| [column.as_str(), text.as_str()]),
    );
    encoder
        .text(&model.cron)
        .optional(model.start.as_deref())
        .optional(model.end.as_deref());
    if let Some(size) = model.kind.batch_size_intervals() {
        encoder.number(u64::from(size.get()));
    }
    metadata_of_filling(&mut encoder, model);
    encoder.number(model.grains.len() as u64);
    for grain in &model.grains {
        encoder.list(grain.iter().map(String::as_str));
    }
    encoder.text(&audits_key(model));
    // Models that say nothing keep the hash that they had before there was anything to say.
    if model.policy != ChangePolicy::default() {
        let yes_or_no =
            |known: Option<bool>| known.map(|known| if known { "true" } else { "false" });
        encoder
            .text("policy")
            .optional(yes_or_no(model.policy.forward_only))
            .optional(yes_or_no(model.policy.disable_restatement))
            .text(model.policy.on_destructive_change.name())
            .text(model.policy.on_additive_change.name());
        if let Some(cron) = &model.policy.auto_restatement_cron {
            let intervals = model.policy.auto_restatement_intervals;
            encoder
                .text("auto restatement")
                .text(cron)
                .number(intervals.map_or(0, |intervals| u64::from(intervals.get())));
        }
    }
    encoder.finish()
}

/// Models that say nothing of these keep the hash that they had before there was anything to say.
fn metadata_of_filling(encoder: &mut Encoder, model: &Model) {
    if let ModelKind::IncrementalByTimeRange {
        batch_concurrency: Some(batches),
        ..
    } = &model.kind
    {
        encoder.text("batch concurrency");
        encoder.number(u64::from(batches.get()));
    }
    if !model.signals.is_empty() {
        encoder.text("signals").number(model.signals.len() as u64);
        for signal in &model.signals {
            encoder
                .text(&signal.name)
                .optional(signal.query.as_ref().map(Template::text));
            encoder.list(pairs(&signal.arguments));
        }
    }
    if model.allow_partials {
        encoder.text("partials");
    }
    if let Some(zone) = &model.cron_tz {
        encoder.text("time zone").text(zone);
    }
    if !model.storage.virtual_properties.is_empty() {
        encoder.text("virtual properties");
        encoder.list(pairs(&model.storage.virtual_properties));
    }
    if !model.statements.on_virtual_update.is_empty() {
        encoder.text("on virtual update");
        encoder.list(
            model
                .statements
                .on_virtual_update
                .iter()
                .map(Template::text),
        );
    }
}

/// A hash over the audits alone: when only it differs, the audits must run on the rows that are there.
pub fn audits_key(model: &Model) -> String {
    let mut encoder = Encoder::new("audits");
    encoder.number(model.audits.len() as u64);
    for audit in &model.audits {
        encoder
            .text(&audit.name)
            .text(audit.query.text())
            .number(u64::from(audit.blocking));
        encoder.list(
            audit
                .arguments
                .iter()
                .flat_map(|(name, value)| [name.as_str(), value.as_str()]),
        );
    }
    encoder.finish()
}

/// Hashes values with their lengths.
struct Encoder(blake3::Hasher);

impl Encoder {
    fn new(part: &str) -> Self {
        let mut encoder = Self(blake3::Hasher::new());
        encoder.text("siding 1").text(part);
        encoder
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
        self
    }

    fn optional(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            None => self.number(0),
            Some(text) => self.number(1).text(text),
        }
    }

    fn list<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        let mut count = 0;
        for text in texts {
            self.number(1).text(text);
            count += 1;
        }
        self.number(0).number(count);
    }

    fn finish(&self) -> String {
        let hash = self.0.finalize();
        hex::encode(&hash.as_bytes()[..16])
    }
}
