//! The parts of a configuration that say where environments and their tables are.

use crate::diagnostic::Diagnostic;
use crate::model::TableNaming;
use crate::project::config::Config;
use crate::project::config::Connection;
use crate::project::config::NameMapping;
use crate::project::config::mapping;
use crate::project::config::reader::Reader;
use crate::project::words::suggestion;
use crate::project::yaml::Node;

const SUFFIX: &str = "environment_suffix_target";
const MAPPING: &str = "environment_catalog_mapping";
const MODE: &str = "virtual_environment_mode";

/// `environment_suffix_target`: which part of a view's name says what environment it is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SuffixTarget {
    /// `schema__env.table`.
    #[default]
    Schema,
    /// `schema.table__env`.
    Table,
    /// `catalog__env.schema.table`.
    Catalog,
}

/// `virtual_environment_mode`: where views stand between readers and tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VirtualEnvironmentMode {
    /// In every environment.
    #[default]
    Full,
    /// In development environments; production's tables have the models' own names.
    DevOnly,
}

/// `virtual_environment_mode`.
pub(super) fn mode(reader: &mut Reader<'_>, root: &Node) -> VirtualEnvironmentMode {
    let modes = [
        ("full", VirtualEnvironmentMode::Full),
        ("dev_only", VirtualEnvironmentMode::DevOnly),
    ];
    reader.choice(root, "", MODE, &modes).unwrap_or_default()
}

/// `environment_suffix_target`.
pub(super) fn suffix_target(reader: &mut Reader<'_>, root: &Node) -> SuffixTarget {
    let targets = [
        ("schema", SuffixTarget::Schema),
        ("table", SuffixTarget::Table),
        ("catalog", SuffixTarget::Catalog),
    ];
    reader
        .choice(root, "", SUFFIX, &targets)
        .unwrap_or_default()
}

/// `physical_schema_mapping`, or `physical_schema_override` of older projects, whose keys are whole names.
pub(super) fn physical_schemas(reader: &mut Reader<'_>, root: &Node) -> NameMapping {
    const KEY: &str = "physical_schema_mapping";
    const OLDER: &str = "physical_schema_override";
    if root.get(KEY).is_some() && root.get(OLDER).is_some() {
        let message = format!("`{KEY}` and `{OLDER}` both decide about the schemas of tables");
        let diagnostic = Diagnostic::error("wrong-value", message).help(format!(
            "Write the entries of `{OLDER}` into `{KEY}`, as `^name$`."
        ));
        reader.report(diagnostic, Reader::place(root, OLDER));
    }
    if root.get(OLDER).is_some() {
        return mapping::read(reader, root, OLDER, true);
    }
    mapping::read(reader, root, KEY, false)
}

/// `physical_table_naming_convention`.
pub(super) fn table_naming(reader: &mut Reader<'_>, root: &Node) -> TableNaming {
    let conventions = [
        ("schema_and_table", TableNaming::SchemaAndTable),
        ("table_only", TableNaming::TableOnly),
        ("hash_md5", TableNaming::HashMd5),
    ];
    reader
        .choice(root, "", "physical_table_naming_convention", &conventions)
        .unwrap_or_default()
}

/// Reports catalogs of environments that the selected gateway cannot have.
pub(super) fn check_catalogs(reader: &mut Reader<'_>, root: &Node, config: &Config) {
    let in_catalogs = config.suffix_target == SuffixTarget::Catalog;
    let mapped = !config.environment_catalogs.is_empty();
    if in_catalogs && mapped {
        let message = format!("`{SUFFIX}: catalog` and `{MAPPING}` both decide about the catalog");
        let diagnostic = Diagnostic::error("wrong-value", message).help(format!(
            "Remove one of them; with `{MAPPING}` the suffix is `schema` or `table`."
        ));
        reader.report(diagnostic, Reader::place(root, MAPPING));
        return;
    }
    if config.mode == VirtualEnvironmentMode::DevOnly && mapped {
        let message = format!(
            "`{MODE}: dev_only` keeps production's tables where their models are, and `{MAPPING}` would have them elsewhere"
        );
        let diagnostic =
            Diagnostic::error("wrong-value", message).help("Remove one of them.".to_owned());
        reader.report(diagnostic, Reader::place(root, MAPPING));
    }
    let Some(connection) = config.gateway().map(|gateway| &gateway.connection) else {
        return;
    };
    if let Connection::Postgres(_) = connection
        && (in_catalogs || mapped)
    {
        let (key, what) = if in_catalogs {
            (SUFFIX, format!("`{SUFFIX}: catalog`"))
        } else {
            (MAPPING, format!("`{MAPPING}`"))
        };
        let message =
            format!("{what} is nothing for PostgreSQL, where a view cannot read another database");
        let diagnostic = Diagnostic::error("wrong-value", message)
            .help("Use the suffix target `schema` or `table`.");
        reader.report(diagnostic, Reader::place(root, key));
    }
    let Connection::DuckDb { catalogs, .. } = connection else {
        return;
    };
    let default = connection.default_catalog().unwrap_or_default();
    let mut known: Vec<&str> = catalogs
        .iter()
        .map(|catalog| catalog.name.as_str())
        .collect();
    known.push(&default);
    let unknown = config
        .environment_catalogs
        .names()
        .find(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name)));
    if let Some(name) = unknown {
        let message =
            format!("`{MAPPING}` names the catalog `{name}`, which the connection does not have");
        let diagnostic = Diagnostic::error("wrong-value", message).help(format!(
            "{} List it under `catalogs` of the connection, with the path of its file.",
            suggestion(name, known)
        ));
        reader.report(diagnostic, Reader::place(root, MAPPING));
    }
}
