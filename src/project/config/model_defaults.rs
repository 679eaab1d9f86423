//! `model_defaults`: what models say that say nothing.

use std::num::NonZeroU32;
use std::str::FromStr;

use crate::diagnostic::Diagnostic;
use crate::model::ChangePolicy;
use crate::model::Cron;
use crate::model::IntervalUnit;
use crate::model::OnChange;
use crate::project::config::ModelDefaults;
use crate::project::config::read::check_date;
use crate::project::config::reader::Reader;
use crate::project::config::reader::Unsupported;
use crate::project::words::suggestion;
use crate::project::yaml::Node;
use crate::sql::Dialect;

const WHAT: &str = "model_defaults";

const KEYS: [&str; 11] = [
    "dialect",
    "kind",
    "owner",
    "cron",
    "interval_unit",
    "start",
    "audits",
    "allow_partials",
    "batch_concurrency",
    "on_destructive_change",
    "on_additive_change",
];
const UNSUPPORTED: [(&str, Unsupported); 11] = [
    ("table_format", Unsupported::Error),
    ("storage_format", Unsupported::Error),
    ("physical_properties", Unsupported::Error),
    ("virtual_properties", Unsupported::Error),
    ("session_properties", Unsupported::Error),
    ("optimize_query", Unsupported::OnlyBool(true)),
    ("enabled", Unsupported::OnlyBool(true)),
    ("formatting", Unsupported::Harmless),
    ("pre_statements", Unsupported::Error),
    ("post_statements", Unsupported::Error),
    ("on_virtual_update", Unsupported::Error),
];

/// `model_defaults`, with duckdb as the dialect after an error.
pub(super) fn read(reader: &mut Reader<'_>, root: &Node) -> ModelDefaults {
    let missing = || {
        Diagnostic::error("missing-key", "`model_defaults.dialect` is missing")
            .help("Write `model_defaults: {dialect: duckdb}`.")
    };
    let Some(node) = root.get(WHAT) else {
        let diagnostic = missing().in_file(reader.file);
        reader.diagnostics.push(diagnostic);
        return ModelDefaults::default();
    };
    if reader.section(node, WHAT, &KEYS, &UNSUPPORTED).is_none() {
        return ModelDefaults::default();
    }
    let dialect = reader.text(node, WHAT, "dialect");
    let dialect = match dialect.as_deref().map(Dialect::from_str) {
        Some(Ok(dialect)) => dialect,
        Some(Err(error)) => {
            let known = Dialect::ALL.iter().map(|(name, _)| *name);
            let diagnostic = Diagnostic::error("unknown-dialect", error.to_string())
                .help(suggestion(&error.0, known));
            reader.report(diagnostic, Reader::place(node, "dialect"));
            Dialect::default()
        }
        None => {
            if node
                .get("dialect")
                .is_none_or(|node| node.scalar().is_none())
            {
                reader.report(missing(), node.place);
            }
            Dialect::default()
        }
    };
    let cron = reader.text(node, WHAT, "cron");
    let read = |text| Cron::parse(text)?.interval_unit();
    if let Some(Err(error)) = cron.as_deref().map(read) {
        let diagnostic =
            Diagnostic::error("wrong-value", format!("`{WHAT}.cron`: {error}")).help(error.help());
        reader.report(diagnostic, Reader::place(node, "cron"));
    }
    let interval_unit = reader.text(node, WHAT, "interval_unit");
    if let Some(Err(error)) = interval_unit.as_deref().map(IntervalUnit::from_str) {
        let diagnostic = Diagnostic::error("wrong-value", error.to_string()).help(error.help());
        reader.report(diagnostic, Reader::place(node, "interval_unit"));
    }
    let start = reader.text(node, WHAT, "start");
    if let Some(start) = &start {
        check_date(reader, node, WHAT, "start", start);
    }
    let audits = reader.texts(node, WHAT, "audits");
    let policy = policy(reader, node);
    ModelDefaults {
        dialect,
        kind: reader.text(node, WHAT, "kind"),
        owner: reader.text(node, WHAT, "owner"),
        cron,
        interval_unit,
        start,
        audits: audits.into_iter().map(|(call, _)| call).collect(),
        allow_partials: reader.bool(node, WHAT, "allow_partials").unwrap_or(false),
        batch_concurrency: reader
            .positive(node, WHAT, "batch_concurrency")
            .and_then(NonZeroU32::new),
        policy,
    }
}

fn policy(reader: &mut Reader<'_>, node: &Node) -> ChangePolicy {
    let mut policy = ChangePolicy::default();
    for (key, choice) in [
        ("on_destructive_change", &mut policy.on_destructive_change),
        ("on_additive_change", &mut policy.on_additive_change),
    ] {
        match reader
            .text(node, WHAT, key)
            .as_deref()
            .map(OnChange::from_str)
        {
            Some(Ok(given)) => *choice = given,
            Some(Err(error)) => {
                let message = format!("`{WHAT}.{key}`: {error}");
                let diagnostic = Diagnostic::error("wrong-value", message);
                reader.report(diagnostic, Reader::place(node, key));
            }
            None => {}
        }
    }
    policy
}
