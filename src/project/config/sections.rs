//! The parts of a configuration.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::project::LoadOptions;
use crate::project::config::AutoCategorize;
use crate::project::config::BotConfig;
use crate::project::config::BotMergeMethod;
use crate::project::config::CategorizeMode;
use crate::project::config::Connection;
use crate::project::config::Gateway;
use crate::project::config::PlanConfig;
use crate::project::config::User;
use crate::project::config::catalogs;
use crate::project::config::postgres;
use crate::project::config::read;
use crate::project::config::reader::Reader;
use crate::project::config::reader::Unsupported;
use crate::project::config::reader::not_supported;
use crate::project::variable::Variable;
use crate::project::words::suggestion;
use crate::project::yaml::Data;
use crate::project::yaml::Node;

/// A gateway with its variables, which only count when it is selected.
pub(super) struct ReadGateway {
    pub(super) gateway: Gateway,
    pub(super) variables: BTreeMap<String, Variable>,
}

const GATEWAY_KEYS: [&str; 4] = [
    "connection",
    "state_connection",
    "state_schema",
    "variables",
];
const GATEWAY_UNSUPPORTED: [(&str, Unsupported); 3] = [
    ("test_connection", Unsupported::Harmless),
    ("scheduler", Unsupported::Error),
    ("model_defaults", Unsupported::Error),
];

/// The gateways that Siding can use, and the name of the selected one.
pub(super) fn gateways(
    reader: &mut Reader<'_>,
    root: &Node,
    options: &LoadOptions,
) -> (BTreeMap<String, ReadGateway>, String) {
    let declared = root.get("gateways").or_else(|| root.get("gateway"));
    let mut nodes: Vec<(String, &Node)> = Vec::new();
    match declared.map(|node| (node, &node.data)) {
        None | Some((_, Data::Null)) => {}
        Some((node, Data::Map(entries))) => {
            let inline = entries
                .iter()
                .any(|(key, _)| GATEWAY_KEYS.contains(&key.name.as_str()));
            if inline {
                nodes.push((String::new(), node));
            } else {
                let entries = entries.iter();
                nodes.extend(entries.map(|(key, node)| (key.name.to_lowercase(), node)));
            }
        }
        Some((node, _)) => {
            let message = format!("`gateways` must be a map, not {}", node.what());
            reader.report(Diagnostic::error("wrong-type", message), node.place);
        }
    }
    let names: Vec<&str> = nodes.iter().map(|(name, _)| name.as_str()).collect();
    let selected = select(reader, root, options, &names);
    let default = root.get("default_connection");
    let mut gateways = BTreeMap::new();
    if nodes.is_empty() {
        let connection = match default {
            Some(node) => connection(reader, node, "default_connection", true, false),
            None => Some(in_memory()),
        };
        if let Some(connection) = connection {
            let gateway = Gateway {
                connection,
                state: None,
                state_schema: None,
            };
            let variables = BTreeMap::new();
            gateways.insert(String::new(), ReadGateway { gateway, variables });
        }
    }
    for (name, node) in &nodes {
        let what = if name.is_empty() {
            "gateways".to_owned()
        } else {
            format!("gateways.{name}")
        };
        let section = reader.section(node, &what, &GATEWAY_KEYS, &GATEWAY_UNSUPPORTED);
        if section.is_none() {
            continue;
        }
        let used = *name == selected;
        let warehouse = match node.get("connection").or(default) {
            Some(node) => connection(reader, node, &format!("{what}.connection"), used, false),
            None => Some(in_memory()),
        };
        let state = node.get("state_connection").map(|node| {
            connection(
                reader,
                node,
                &format!("{what}.state_connection"),
                used,
                true,
            )
        });
        let variables = node
            .get("variables")
            .map(|node| read::read_variables(reader, node, &format!("{what}.variables")));
        let (Some(warehouse), Some(state)) = (warehouse, state.map_or(Some(None), |s| s.map(Some)))
        else {
            continue;
        };
        if let (
            Some(Connection::Sqlite { database: of_state }),
            Connection::DuckDb {
                database: Some(of_rows),
                ..
            },
        ) = (&state, &warehouse)
            && of_state == of_rows
        {
            let message = format!("the state and the warehouse of `{what}` are the same file");
            let diagnostic = Diagnostic::error("wrong-value", message)
                .help("The state is a SQLite file of its own, such as `state.db`.");
            reader.report(diagnostic, Reader::place(node, "state_connection"));
        }
        let state_schema = reader.text(node, &what, "state_schema");
        if state_schema.is_some()
            && !matches!(
                state.as_ref().unwrap_or(&warehouse),
                Connection::Postgres(_)
            )
        {
            let message = format!("`{what}.state_schema` needs a state in PostgreSQL");
            let diagnostic = Diagnostic::error("wrong-value", message)
                .help("Files have no schemas: remove the key, or give the `state_connection` the `type: postgres`.");
            reader.report(diagnostic, Reader::place(node, "state_schema"));
        }
        let gateway = Gateway {
            connection: warehouse,
            state,
            state_schema,
        };
        let variables = variables.unwrap_or_default();
        gateways.insert(name.clone(), ReadGateway { gateway, variables });
    }
    (gateways, selected)
}

fn in_memory() -> Connection {
    Connection::DuckDb {
        database: None,
        catalogs: Vec::new(),
        concurrent_tasks: None,
        register_comments: true,
    }
}

fn select(reader: &mut Reader<'_>, root: &Node, options: &LoadOptions, names: &[&str]) -> String {
    let chosen = options.gateway.as_ref().map(|name| name.to_lowercase());
    let configured = reader
        .text(root, "", "default_gateway")
        .map(|name| name.to_lowercase());
    let unknown = |name: &str| {
        Diagnostic::error("unknown-gateway", format!("there is no gateway `{name}`"))
            .help(suggestion(name, names.iter().copied()))
    };
    if let Some(name) = chosen {
        let is_there = names.contains(&name.as_str()) || (names.is_empty() && name.is_empty());
        if !is_there {
            let diagnostic = unknown(&name).in_file(reader.file);
            reader.diagnostics.push(diagnostic);
        }
        return name;
    }
    if let Some(name) = configured.filter(|name| !name.is_empty()) {
        if !names.contains(&name.as_str()) {
            reader.report(unknown(&name), Reader::place(root, "default_gateway"));
        }
        return name;
    }
    if names.contains(&"") {
        return String::new();
    }
    names.first().copied().unwrap_or_default().to_owned()
}

const DUCKDB_KEYS: [&str; 5] = [
    "type",
    "database",
    "catalogs",
    "concurrent_tasks",
    "register_comments",
];
const DUCKDB_UNSUPPORTED: [(&str, Unsupported); 11] = [
    ("extensions", Unsupported::Error),
    ("connector_config", Unsupported::Error),
    ("secrets", Unsupported::Error),
    ("filesystems", Unsupported::Error),
    ("token", Unsupported::Error),
    ("pre_ping", Unsupported::Harmless),
    ("pretty_sql", Unsupported::Harmless),
    ("schema_differ_overrides", Unsupported::Error),
    ("catalog_type_overrides", Unsupported::Error),
    ("check_import", Unsupported::Harmless),
    ("shared_connection", Unsupported::Harmless),
];
const OTHER_ENGINES: [&str; 15] = [
    "motherduck",
    "gcp_postgres",
    "redshift",
    "snowflake",
    "bigquery",
    "databricks",
    "spark",
    "trino",
    "athena",
    "clickhouse",
    "mysql",
    "mssql",
    "azuresql",
    "fabric",
    "risingwave",
];

/// The connection at `node`; `None` when Siding cannot use it, which is an error only when `used`.
fn connection(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    used: bool,
    for_state: bool,
) -> Option<Connection> {
    if !matches!(node.data, Data::Map(_)) {
        let message = format!("`{what}` must be a map, not {}", node.what());
        reader.report(Diagnostic::error("wrong-type", message), node.place);
        return None;
    }
    let Some(kind) = reader.text(node, what, "type") else {
        let message = format!("`{what}` has no `type`");
        let diagnostic = Diagnostic::error("missing-key", message)
            .help("Write `type: duckdb` and the path as `database`.");
        reader.report(diagnostic, node.place);
        return None;
    };
    let kind = kind.to_lowercase();
    match kind.as_str() {
        "duckdb" => {
            reader.section(node, what, &DUCKDB_KEYS, &DUCKDB_UNSUPPORTED)?;
            let database = reader.text(node, what, "database");
            let database = database.filter(|path| path != ":memory:" && !path.is_empty());
            if for_state {
                let file = database.as_deref().unwrap_or("siding_state.db");
                let message = format!("`{what}` is DuckDB, but the state is kept in SQLite");
                let diagnostic = Diagnostic::warning("state-in-sqlite", message).help(format!(
                    "It is beside that file, in `{}`; write `type: sqlite` to choose the place.",
                    if database.is_some() {
                        format!("{file}.siding.db")
                    } else {
                        file.to_owned()
                    }
                ));
                reader.report(diagnostic, node.place);
            }
            if for_state && node.get("catalogs").is_some() {
                let message = format!("`{what}` has `catalogs`, but the state is in one file");
                let diagnostic = Diagnostic::error("wrong-value", message)
                    .help("Write `type: sqlite` and the path as `database`.");
                reader.report(diagnostic, Reader::place(node, "catalogs"));
            }
            Some(Connection::DuckDb {
                database,
                catalogs: catalogs::read(reader, node, what),
                concurrent_tasks: reader.positive(node, what, "concurrent_tasks"),
                register_comments: reader.bool(node, what, "register_comments").unwrap_or(true),
            })
        }
        "postgres" => postgres::connection(reader, node, what),
        "sqlite" if for_state => {
            reader.section(node, what, &["type", "database"], &[])?;
            let database = reader.text(node, what, "database");
            if database.is_none() {
                let message = format!("`{what}` has no `database`");
                let diagnostic = Diagnostic::error("missing-key", message)
                    .help("Write the path of the file as `database`.");
                reader.report(diagnostic, node.place);
            }
            Some(Connection::Sqlite {
                database: database?,
            })
        }
        "sqlite" => {
            let message = "SQLite can only hold the state, not the warehouse";
            let diagnostic = Diagnostic::error("wrong-value", message)
                .help("Use `type: duckdb` or `type: postgres` for `connection`.");
            reader.report(diagnostic, Reader::place(node, "type"));
            None
        }
        known if OTHER_ENGINES.contains(&known) => {
            let mut diagnostic = not_supported(&format!("`{what}` of type `{known}`"));
            if used {
                diagnostic = diagnostic.help("Use `type: duckdb` or `type: postgres`.");
            } else {
                diagnostic.severity = Severity::Warning;
                diagnostic =
                    diagnostic.help("The gateway is not selected, so nothing depends on it.");
            }
            reader.report(diagnostic, Reader::place(node, "type"));
            None
        }
        _ => {
            let message = format!("unknown connection type `{kind}`");
            let mut known = vec!["duckdb", "postgres"];
            if for_state {
                known.push("sqlite");
            }
            known.extend(OTHER_ENGINES);
            let diagnostic =
                Diagnostic::error("wrong-value", message).help(suggestion(&kind, known));
            reader.report(diagnostic, Reader::place(node, "type"));
            None
        }
    }
}

const PLAN_KEYS: [&str; 9] = [
    "auto_categorize_changes",
    "forward_only",
    "include_unmodified",
    "no_diff",
    "no_prompts",
    "auto_apply",
    "use_finalized_state",
    "always_recreate_environment",
    "enable_preview",
];

/// `plan`.
pub(super) fn plan(reader: &mut Reader<'_>, root: &Node) -> PlanConfig {
    const WHAT: &str = "plan";
    let Some(node) = root.get(WHAT) else {
        return PlanConfig::default();
    };
    let Some(node) = reader.section(node, WHAT, &PLAN_KEYS, &[]) else {
        return PlanConfig::default();
    };
    let auto_categorize = node
        .get("auto_categorize_changes")
        .map(|node| auto_categorize(reader, node, "plan.auto_categorize_changes"));
    let no_prompts = reader.bool(node, WHAT, "no_prompts");
    if no_prompts == Some(false) {
        let message = format!("`{WHAT}.no_prompts: false` is not supported yet");
        let diagnostic = Diagnostic::warning("not-supported-yet", message)
            .help("Only the final confirmation is asked; dates are options of `siding plan`.");
        reader.report(diagnostic, Reader::place(node, "no_prompts"));
    }
    PlanConfig {
        auto_categorize: auto_categorize.unwrap_or_default(),
        include_unmodified: reader
            .bool(node, WHAT, "include_unmodified")
            .unwrap_or(false),
        no_diff: reader.bool(node, WHAT, "no_diff").unwrap_or(false),
        forward_only: reader.bool(node, WHAT, "forward_only").unwrap_or(false),
        no_prompts,
        auto_apply: reader.bool(node, WHAT, "auto_apply").unwrap_or(false),
        use_finalized_state: reader
            .bool(node, WHAT, "use_finalized_state")
            .unwrap_or(false),
        always_recreate_environment: reader
            .bool(node, WHAT, "always_recreate_environment")
            .unwrap_or(false),
        enable_preview: reader.bool(node, WHAT, "enable_preview"),
    }
}

fn auto_categorize(reader: &mut Reader<'_>, node: &Node, what: &str) -> AutoCategorize {
    const MODES: [(&str, CategorizeMode); 3] = [
        ("full", CategorizeMode::Full),
        ("semi", CategorizeMode::Semi),
        ("off", CategorizeMode::Off),
    ];
    let unsupported = [("python", Unsupported::Harmless)];
    // `python` is silent when it is what everybody writes: there are no Python models to categorize.
    let python_default = node
        .get("python")
        .and_then(Node::scalar)
        .is_some_and(|mode| mode == "full" || mode == "off" || mode == "semi");
    let mut known = vec!["sql", "seed", "external"];
    if python_default {
        known.push("python");
    }
    let Some(node) = reader.section(node, what, &known, &unsupported) else {
        return AutoCategorize::default();
    };
    let mut mode = |key| reader.choice(node, what, key, &MODES).unwrap_or_default();
    AutoCategorize {
        sql: mode("sql"),
        seed: mode("seed"),
        external: mode("external"),
    }
}

const USER_KEYS: [&str; 6] = [
    "username",
    "github_username",
    "slack_username",
    "email",
    "roles",
    "type",
];

/// `users`.
pub(super) fn users(reader: &mut Reader<'_>, root: &Node) -> Vec<User> {
    let Some(node) = root.get("users") else {
        return Vec::new();
    };
    let Data::List(items) = &node.data else {
        if !matches!(node.data, Data::Null) {
            let message = format!("`users` must be a list, not {}", node.what());
            reader.report(Diagnostic::error("wrong-type", message), node.place);
        }
        return Vec::new();
    };
    let mut users = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let what = format!("users[{index}]");
        let unsupported = [("notification_targets", Unsupported::Harmless)];
        let Some(item) = reader.section(item, &what, &USER_KEYS, &unsupported) else {
            continue;
        };
        let Some(username) = reader.text(item, &what, "username") else {
            let message = format!("`{what}` has no `username`");
            reader.report(Diagnostic::error("missing-key", message), item.place);
            continue;
        };
        let mut user = User {
            username,
            github_username: reader.text(item, &what, "github_username"),
            slack_username: reader.text(item, &what, "slack_username"),
            email: reader.text(item, &what, "email"),
            ..User::default()
        };
        for (role, place) in reader.texts(item, &what, "roles") {
            if role == "required_approver" {
                user.roles.insert(role);
            } else {
                // A misspelt role would silently drop the rule that a pull request needs approval.
                let message = format!("unknown role `{role}`");
                let diagnostic = Diagnostic::error("wrong-value", message)
                    .help(suggestion(&role, ["required_approver"]));
                reader.report(diagnostic, place);
            }
        }
        users.push(user);
    }
    users
}

const BOT_KEYS: [&str; 7] = [
    "type",
    "invalidate_environment_after_deploy",
    "enable_deploy_command",
    "merge_method",
    "command_namespace",
    "pr_environment_name",
    "prod_branch_name",
];
const BOT_UNSUPPORTED: [(&str, Unsupported); 8] = [
    ("auto_categorize_changes", Unsupported::Harmless),
    ("default_pr_start", Unsupported::Harmless),
    ("skip_pr_backfill", Unsupported::Harmless),
    ("pr_include_unmodified", Unsupported::Harmless),
    ("run_on_deploy_to_prod", Unsupported::Harmless),
    ("pr_min_intervals", Unsupported::Harmless),
    ("forward_only_branch_suffix", Unsupported::Harmless),
    ("check_if_blocked_on_deploy_to_prod", Unsupported::Harmless),
];
/// Values that say what the bot does anyway.
const BOT_SILENT: [(&str, &str); 4] = [
    ("skip_pr_backfill", "false"),
    ("pr_include_unmodified", "false"),
    ("run_on_deploy_to_prod", "false"),
    ("check_if_blocked_on_deploy_to_prod", "true"),
];

/// `cicd_bot`.
pub(super) fn bot(reader: &mut Reader<'_>, root: &Node) -> Option<BotConfig> {
    const WHAT: &str = "cicd_bot";
    let node = root
        .get(WHAT)
        .filter(|node| !matches!(node.data, Data::Null))?;
    let mut known = BOT_KEYS.to_vec();
    let silent = BOT_SILENT.iter().filter(|(key, value)| {
        let given = node.get(key).and_then(Node::scalar);
        given.is_some_and(|given| given == *value)
    });
    known.extend(silent.map(|(key, _)| *key));
    if let Some(modes) = node.get("auto_categorize_changes")
        && auto_categorize(reader, modes, "cicd_bot.auto_categorize_changes")
            == AutoCategorize::default()
    {
        known.push("auto_categorize_changes");
    }
    let node = reader.section(node, WHAT, &known, &BOT_UNSUPPORTED)?;
    reader.choice(node, WHAT, "type", &[("github", ())]);
    let methods = [
        ("merge", BotMergeMethod::Merge),
        ("squash", BotMergeMethod::Squash),
        ("rebase", BotMergeMethod::Rebase),
    ];
    let defaults = BotConfig::default();
    let branches = reader.texts(node, WHAT, "prod_branch_name");
    let branches: Vec<String> = branches.into_iter().map(|(name, _)| name).collect();
    let bot = BotConfig {
        invalidate_environment_after_deploy: reader
            .bool(node, WHAT, "invalidate_environment_after_deploy")
            .unwrap_or(defaults.invalidate_environment_after_deploy),
        enable_deploy_command: reader
            .bool(node, WHAT, "enable_deploy_command")
            .unwrap_or(false),
        merge_method: reader.choice(node, WHAT, "merge_method", &methods),
        command_namespace: reader.text(node, WHAT, "command_namespace"),
        pr_environment_name: reader.text(node, WHAT, "pr_environment_name"),
        prod_branches: if branches.is_empty() {
            defaults.prod_branches
        } else {
            branches
        },
    };
    if bot.enable_deploy_command && node.get("merge_method").is_none() {
        let diagnostic = Diagnostic::error(
            "missing-key",
            "`cicd_bot.enable_deploy_command` needs a `merge_method`",
        )
        .help("Write `merge_method: squash`, `merge` or `rebase`.");
        reader.report(diagnostic, Reader::place(node, "enable_deploy_command"));
    }
    if bot.command_namespace.is_some() && !bot.enable_deploy_command {
        let diagnostic = Diagnostic::error(
            "missing-key",
            "`cicd_bot.command_namespace` needs `enable_deploy_command: true`",
        );
        reader.report(diagnostic, Reader::place(node, "command_namespace"));
    }
    Some(bot)
}
