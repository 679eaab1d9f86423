//! Finds the configuration file and reads its root.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::model::DateExpr;
use crate::model::Ttl;
use crate::project::FileTree;
use crate::project::LoadOptions;
use crate::project::config::Config;
use crate::project::config::environments;
use crate::project::config::jinja;
use crate::project::config::lifecycle;
use crate::project::config::mapping;
use crate::project::config::model_defaults;
use crate::project::config::reader::Reader;
use crate::project::config::reader::Unsupported;
use crate::project::config::reader::not_supported;
use crate::project::config::sections;
use crate::project::variable::Variable;
use crate::project::yaml;
use crate::project::yaml::Data;
use crate::project::yaml::Node;
use crate::project::yaml::Place;

/// The names that a configuration file may have.
pub const CONFIG_FILES: [&str; 6] = [
    "config.yaml",
    "config.yml",
    "siding.yaml",
    "siding.yml",
    "sqlmesh.yaml",
    "sqlmesh.yml",
];

const KNOWN: [&str; 26] = [
    "gateways",
    "gateway",
    "default_gateway",
    "default_connection",
    "model_defaults",
    "variables",
    "project",
    "plan",
    "snapshot_ttl",
    "environment_ttl",
    "pinned_environments",
    "default_target_environment",
    "users",
    "cicd_bot",
    "time_column_format",
    "ignore_patterns",
    "environment_suffix_target",
    "environment_catalog_mapping",
    "virtual_environment_mode",
    "physical_schema_mapping",
    "physical_schema_override",
    "physical_table_naming_convention",
    "run",
    "estimates",
    "before_all",
    "after_all",
];

const UNSUPPORTED: [(&str, Unsupported); 25] = [
    ("default_test_connection", Unsupported::Harmless),
    ("default_scheduler", Unsupported::Error),
    ("env_vars", Unsupported::Error),
    (
        "gateway_managed_virtual_layer",
        Unsupported::OnlyBool(false),
    ),
    ("model_naming", Unsupported::Error),
    ("infer_python_dependencies", Unsupported::Harmless),
    ("log_limit", Unsupported::Harmless),
    ("cache_dir", Unsupported::Harmless),
    ("disable_anonymized_analytics", Unsupported::Harmless),
    ("username", Unsupported::Harmless),
    ("notification_targets", Unsupported::Harmless),
    ("format", Unsupported::Harmless),
    ("linter", Unsupported::Harmless),
    ("janitor", Unsupported::Harmless),
    ("ui", Unsupported::Harmless),
    ("migration", Unsupported::Harmless),
    ("dbt", Unsupported::Error),
    ("loader", Unsupported::Error),
    ("loader_kwargs", Unsupported::Error),
    ("auto_categorize_changes", Unsupported::Error),
    ("include_unmodified", Unsupported::Error),
    ("airflow", Unsupported::Error),
    ("log_file_dir", Unsupported::Harmless),
    ("disable_state_migration", Unsupported::Harmless),
    ("conversions", Unsupported::Harmless),
];

/// The path of the configuration file, if there is exactly one.
pub(in crate::project) fn find(files: &FileTree) -> Result<&'static str, Box<Diagnostic>> {
    let there = |name: &&&str| files.get(name).is_some() || files.unreadable_reason(name).is_some();
    let found: Vec<&'static str> = CONFIG_FILES.iter().filter(there).copied().collect();
    let diagnostic = match found.as_slice() {
        [one] => return Ok(one),
        [] if files.get("config.py").is_some() => not_supported("`config.py`")
            .in_file("config.py")
            .help("Write the configuration as `config.yaml`."),
        [] if files.get("dbt_project.yml").is_some() => {
            not_supported("a dbt project").in_file("dbt_project.yml")
        }
        [] => Diagnostic::error("no-config", "the folder has no `config.yaml`")
            .help("Name the project's folder with `--project`, or run `siding init` to start one."),
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` are both configuration files");
            Diagnostic::error("two-configs", message)
                .in_file(second)
                .help("Keep one of them.")
        }
    };
    Err(Box::new(diagnostic))
}

/// Reads the configuration at `file`. `None` only when the file cannot be read at all.
pub(in crate::project) fn read(
    files: &FileTree,
    file: &str,
    options: &LoadOptions,
) -> (Option<Config>, Vec<Diagnostic>) {
    let Some(text) = files.get(file) else {
        let reason = files.unreadable_reason(file).unwrap_or("not there");
        let message = format!("the file cannot be read: {reason}");
        return (
            None,
            vec![Diagnostic::error("unreadable-file", message).in_file(file)],
        );
    };
    let rendered = match jinja::render(file, text, options) {
        Ok(rendered) => rendered,
        Err(diagnostic) => return (None, vec![*diagnostic]),
    };
    let mut root = match yaml::parse(file, &rendered) {
        Ok(Some(root)) if !matches!(root.data, Data::Null) => root,
        Ok(_) => {
            let diagnostic = Diagnostic::error("empty-config", "the configuration is empty")
                .in_file(file)
                .help("At least `model_defaults` with a `dialect` must be there.");
            return (None, vec![diagnostic]);
        }
        Err(diagnostic) => return (None, vec![*diagnostic]),
    };
    override_from_environment(&mut root, &options.environment);
    // A template may have moved things within their lines; the lines are what counts.
    let mut reader = Reader::new(file, &rendered);
    let config = root_of(&mut reader, &root, options);
    (config, reader.diagnostics)
}

/// `SIDING__A__B=v` and `SQLMESH__A__B=v` stand for the key `a.b`.
fn override_from_environment(root: &mut Node, environment: &BTreeMap<String, String>) {
    for prefix in ["SQLMESH__", "SIDING__"] {
        for (name, value) in environment {
            let Some(path) = name.strip_prefix(prefix) else {
                continue;
            };
            let path: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
            let known = path.first().is_some_and(|first| {
                KNOWN.contains(&first.as_str()) && path.iter().all(|part| !part.is_empty())
            });
            // Other settings of the process share the prefix; a typo in one must not stop the load.
            if !known {
                continue;
            }
            let looks_structured = value.starts_with('[') || value.starts_with('{');
            let parsed = looks_structured
                .then(|| yaml::parse("", value).ok().flatten())
                .flatten();
            let mut node = parsed.unwrap_or_else(|| Node {
                place: Place::default(),
                data: Data::Text(value.clone()),
            });
            node.place = Place::default();
            root.set(&path, node);
        }
    }
}

fn root_of(reader: &mut Reader<'_>, root: &Node, options: &LoadOptions) -> Option<Config> {
    reader.section(root, "", &KNOWN, &UNSUPPORTED)?;
    let suffix_target = environments::suffix_target(reader, root);
    let environment_catalogs = mapping::read(reader, root, "environment_catalog_mapping", false);
    let model_defaults = model_defaults::read(reader, root);
    let (gateways, selected_gateway) = sections::gateways(reader, root, options);
    let mut variables = BTreeMap::new();
    if let Some(node) = root.get("variables") {
        variables = read_variables(reader, node, "variables");
    }
    let mut ready = BTreeMap::new();
    for (name, gateway) in gateways {
        if name == selected_gateway {
            variables.extend(gateway.variables);
        }
        ready.insert(name, gateway.gateway);
    }
    let snapshot_ttl = reader
        .text(root, "", "snapshot_ttl")
        .unwrap_or_else(|| "in 1 week".to_owned());
    check_ttl(reader, root, "snapshot_ttl", &snapshot_ttl);
    let environment_ttl = match root.get("environment_ttl") {
        Some(node) if matches!(node.data, Data::Null) => None,
        Some(_) => reader.text(root, "", "environment_ttl"),
        None => Some("in 1 week".to_owned()),
    };
    if let Some(ttl) = &environment_ttl {
        check_ttl(reader, root, "environment_ttl", ttl);
    }
    let mut ignore_patterns = vec![".ipynb_checkpoints/*".to_owned()];
    let patterns = reader.texts(root, "", "ignore_patterns");
    ignore_patterns.extend(patterns.into_iter().map(|(pattern, _)| pattern));
    let pinned = reader.texts(root, "", "pinned_environments");
    let config = Config {
        file: reader.file.to_owned(),
        project: reader.text(root, "", "project").unwrap_or_default(),
        gateways: ready,
        selected_gateway,
        variables,
        plan: sections::plan(reader, root),
        run: lifecycle::run(reader, root),
        suffix_target,
        mode: environments::mode(reader, root),
        environment_catalogs,
        physical_schemas: environments::physical_schemas(reader, root),
        table_naming: environments::table_naming(reader, root),
        before_all: lifecycle::statements(reader, root, "before_all", model_defaults.dialect),
        after_all: lifecycle::statements(reader, root, "after_all", model_defaults.dialect),
        model_defaults,
        estimates: lifecycle::estimates(reader, root),
        snapshot_ttl,
        environment_ttl,
        pinned_environments: pinned.into_iter().map(|(name, _)| name).collect(),
        default_target_environment: reader
            .text(root, "", "default_target_environment")
            .unwrap_or_else(|| "prod".to_owned()),
        time_column_format: reader
            .text(root, "", "time_column_format")
            .unwrap_or_else(|| "%Y-%m-%d".to_owned()),
        ignore_patterns,
        users: sections::users(reader, root),
        bot: sections::bot(reader, root),
    };
    environments::check_catalogs(reader, root, &config);
    Some(config)
}

fn check_ttl(reader: &mut Reader<'_>, root: &Node, key: &str, ttl: &str) {
    if let Err(error) = Ttl::parse(ttl) {
        let diagnostic = Diagnostic::error("wrong-value", format!("`{key}`: {error}"))
            .help("Write a time in the future, such as `in 1 week`.");
        reader.report(diagnostic, Reader::place(root, key));
    }
}

/// Reports a `start` or `end` that is no date.
pub(super) fn check_date(reader: &mut Reader<'_>, node: &Node, what: &str, key: &str, text: &str) {
    if let Err(error) = DateExpr::parse(text) {
        let help = error.help();
        let diagnostic =
            Diagnostic::error("wrong-value", format!("`{what}.{key}`: {error}")).help(help);
        reader.report(diagnostic, Reader::place(node, key));
    }
}

/// The variables under `node`, by name in lower case.
pub(super) fn read_variables(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
) -> BTreeMap<String, Variable> {
    let mut variables = BTreeMap::new();
    let entries = match &node.data {
        Data::Map(entries) => entries.as_slice(),
        Data::Null => &[],
        _ => {
            let message = format!("`{what}` must be a map, not {}", node.what());
            reader.report(Diagnostic::error("wrong-type", message), node.place);
            &[]
        }
    };
    for (key, value) in entries {
        variables.insert(key.name.to_lowercase(), Variable::from_node(value));
    }
    variables
}
