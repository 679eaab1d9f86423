//! Whole projects, loaded from texts.

use super::*;
use crate::model::ModelKind;
use crate::model::OnChange;
use crate::sql::Dialect;

const CONFIG: &str = "\
gateways:
  local:
    connection:
      type: duckdb
      database: db.db
default_gateway: local
model_defaults:
  dialect: duckdb
  start: 2024-01-01
  cron: '@daily'
";

fn load_files(files: &[(&str, &str)]) -> (Project, Vec<Diagnostic>) {
    let tree: FileTree = files.iter().map(|(path, text)| (*path, *text)).collect();
    load(&tree, &LoadOptions::default())
}

/// One line per diagnostic: severity, place, rule, message.
fn lines(diagnostics: &[Diagnostic]) -> Vec<String> {
    let line = |diagnostic: &Diagnostic| {
        format!(
            "{:?} {}:{} {}: {}",
            diagnostic.severity,
            diagnostic.file,
            diagnostic.line,
            diagnostic.rule,
            diagnostic.message
        )
    };
    diagnostics.iter().map(line).collect()
}

/// What is wrong with one model file beside a good configuration.
fn wrong(model: &str) -> Vec<String> {
    let (_, diagnostics) = load_files(&[("config.yaml", CONFIG), ("models/m.sql", model)]);
    lines(&diagnostics)
}

fn model(text: &str) -> Model {
    let (project, diagnostics) = load_files(&[("config.yaml", CONFIG), ("models/m.sql", text)]);
    assert_eq!(lines(&diagnostics), Vec::<String>::new());
    Model::clone(project.models.values().next().unwrap())
}

fn sample() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "config.yaml",
            "gateways:\n  duckdb:\n    connection:\n      # settings\n      type: duckdb\n      \
             database: db.db\n      # concurrent_tasks: 1\n\ndefault_gateway: duckdb\n\n\
             model_defaults:\n  dialect: duckdb\n  start: 2024-01-01\n  cron: '@daily'\n\n\
             linter:\n  enabled: true\n  rules:\n    - ambiguousorinvalidcolumn\n",
        ),
        ("models/.gitkeep", ""),
        ("macros/__init__.py", ""),
        (
            "models/full_model.sql",
            "MODEL (\n  name sqlmesh_example.full_model,\n  kind FULL,\n  cron '@daily',\n  grain item_id,\n  \
             audits (assert_positive_order_ids),\n);\n\nSELECT\n  item_id,\n  COUNT(DISTINCT id) AS num_orders,\nFROM\n  \
             sqlmesh_example.incremental_model\nGROUP BY item_id\n",
        ),
        (
            "models/incremental_model.sql",
            "MODEL (\n  name sqlmesh_example.incremental_model,\n  kind INCREMENTAL_BY_TIME_RANGE (\n    \
             time_column event_date\n  ),\n  start '2020-01-01',\n  cron '@daily',\n  grain (id, event_date)\n);\n\n\
             SELECT\n  id,\n  item_id,\n  event_date,\nFROM\n  sqlmesh_example.seed_model\nWHERE\n  \
             event_date BETWEEN @start_date AND @end_date\n",
        ),
        (
            "models/seed_model.sql",
            "MODEL (\n  name sqlmesh_example.seed_model,\n  kind SEED (\n    path '../seeds/seed_data.csv'\n  ),\n  \
             columns (\n    id INTEGER,\n    item_id INTEGER,\n    event_date DATE\n  ),\n  grain (id, event_date)\n);\n",
        ),
        (
            "seeds/seed_data.csv",
            "id,item_id,event_date\n1,2,2020-01-01\n2,1,2020-01-01\n",
        ),
        (
            "audits/assert_positive_order_ids.sql",
            "AUDIT (\n  name assert_positive_order_ids,\n);\n\nSELECT *\nFROM @this_model\nWHERE\n  item_id < 0\n",
        ),
        (
            "tests/test_full_model.yaml",
            "test_example_full_model:\n  model: x\n",
        ),
    ]
}

#[test]
fn the_sample_project_loads_clean() {
    let (project, diagnostics) = load_files(&sample());
    assert_eq!(
        lines(&diagnostics),
        [
            "Warning config.yaml:16 not-supported-yet: `linter` is not supported yet",
            "Warning tests/test_full_model.yaml:0 not-supported-yet: a unit test is not supported yet",
        ]
    );
    let names: Vec<String> = project.models.keys().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "sqlmesh_example.full_model",
            "sqlmesh_example.incremental_model",
            "sqlmesh_example.seed_model"
        ]
    );
    let full = &project.models[&"sqlmesh_example.full_model".parse().unwrap()];
    assert_eq!(full.kind, ModelKind::Full);
    assert_eq!(full.grains, [["item_id"]]);
    assert_eq!(full.start.as_deref(), Some("2024-01-01"));
    assert_eq!(full.default_catalog.as_deref(), Some("db"));
    assert_eq!(full.audits[0].name, "assert_positive_order_ids");
    assert!(full.audits[0].blocking);
    assert_eq!(
        full.depends_on
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["sqlmesh_example.incremental_model"]
    );
    let incremental = &project.models[&"sqlmesh_example.incremental_model".parse().unwrap()];
    assert_eq!(incremental.grains, [["id", "event_date"]]);
    let ModelKind::IncrementalByTimeRange { time_column, .. } = &incremental.kind else {
        panic!("incremental");
    };
    assert_eq!(
        (time_column.column.as_str(), time_column.format.as_str()),
        ("event_date", "%Y-%m-%d")
    );
    let seed = &project.models[&"sqlmesh_example.seed_model".parse().unwrap()];
    let ModelKind::Seed(rows) = &seed.kind else {
        panic!("seed");
    };
    assert_eq!(rows.path, "seeds/seed_data.csv");
    let queries = rows
        .insert_values(seed.columns.as_deref().unwrap())
        .unwrap();
    assert_eq!(queries.len(), 1);
}

#[test]
fn ten_mistakes_are_ten_diagnostics() {
    let config = CONFIG.replace("start: 2024-01-01", "strat: 2024-01-01");
    let (_, diagnostics) = load_files(&[
        ("config.yaml", &config),
        (
            "models/a.sql",
            "MODEL (\n  name db.a,\n  ownr me,\n  kind FUL\n);\nSELECT 1 AS x",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\n\nSELECT @flor AS x",
        ),
        (
            "models/c.sql",
            "MODEL (\n  name db.c,\n  kind SEED (path '../seeds/none.csv')\n);",
        ),
        (
            "models/d.sql",
            "MODEL (name db.d, audits (\n  not_nul(columns := a)\n));\nSELECT 1 AS a; SELECT 2 AS b",
        ),
        ("models/e.sql", "MODEL (name db.e);\nSELECT * FROM db.f"),
        (
            "models/f.sql",
            "MODEL (\n  name db.f\n);\nSELECT * FROM db.e",
        ),
        (
            "models/g.sql",
            "MODEL (name DB.D, cron @daily);\nSELECT 1 AS x",
        ),
    ]);
    assert_eq!(
        lines(&diagnostics),
        [
            "Error config.yaml:9 unknown-key: unknown key `model_defaults.strat`",
            "Error models/a.sql:3 unknown-property: a MODEL block has no property `ownr`",
            "Error models/a.sql:4 unknown-kind: unknown kind `FUL`",
            "Error models/b.sql:3 unknown-variable: unknown variable `@flor`",
            "Error models/c.sql:3 missing-seed: there is no file `seeds/none.csv` for the seed",
            "Error models/d.sql:2 unknown-audit: unknown audit `not_nul`",
            "Error models/d.sql:4 two-queries: the model has a second query",
            "Error models/e.sql:1 cycle: models read each other: `db.e` → `db.f` → `db.e`",
            "Error models/g.sql:1 duplicate-model: the model `db.d` is declared twice: here and in `models/d.sql:1`",
            "Error models/g.sql:1 wrong-value: `@daily` without quotes is a macro variable",
        ]
    );
    let helps: Vec<&str> = diagnostics
        .iter()
        .filter_map(|d| d.help.as_deref())
        .collect();
    assert!(helps.contains(&"Did you mean `start`?"), "{helps:?}");
    assert!(helps.contains(&"Did you mean `owner`?"), "{helps:?}");
    assert!(helps.contains(&"Did you mean `FULL`?"), "{helps:?}");
    assert!(helps.contains(&"Did you mean `not_null`?"), "{helps:?}");
    assert!(helps.contains(&"Write `cron '@daily'`."), "{helps:?}");
}

#[test]
fn every_property_of_the_format_is_supported_or_reported() {
    for (key, default) in header::UNSUPPORTED {
        let found = wrong(&format!(
            "MODEL (\n  name db.m,\n  {key} something\n);\nSELECT 1 AS x"
        ));
        assert_eq!(
            found,
            [format!(
                "Error models/m.sql:3 not-supported-yet: the property `{key}` is not supported yet"
            )]
        );
        if let Some(default) = default {
            let found = wrong(&format!(
                "MODEL (name db.m, {key} {default});\nSELECT 1 AS x"
            ));
            assert_eq!(found, Vec::<String>::new(), "{key}");
        }
    }
    for kind in ["MANAGED", "CUSTOM (materialization 'x')", "DBT_CUSTOM"] {
        let found = wrong(&format!("MODEL (name db.m, kind {kind});\nSELECT 1 AS x"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("not-supported-yet"), "{found:?}");
    }
}

#[test]
fn macros_as_statements_are_reported() {
    let found = wrong(
        "MODEL (name db.m);\n@DEF(f, 1);\nCREATE SCHEMA x;\nSELECT @f + @EACH([1], n -> @n) AS x FROM t;\n\
         DROP TABLE y;\nON_VIRTUAL_UPDATE_BEGIN;\nGRANT a;\nON_VIRTUAL_UPDATE_END;",
    );
    assert_eq!(
        found,
        [
            "Error models/m.sql:2 not-supported-yet: the macro function `@DEF` is not supported yet",
            "Error models/m.sql:4 not-supported-yet: the macro function `@EACH` is not supported yet",
        ]
    );
    assert_eq!(
        wrong("MODEL (name db.m);\nJINJA_QUERY_BEGIN;\nSELECT {{ x }}\nJINJA_END;"),
        ["Error models/m.sql:2 not-supported-yet: a Jinja block is not supported yet"]
    );
    assert_eq!(
        wrong("MODEL (name db.m);\n@UNION(a, b)"),
        [
            "Error models/m.sql:2 not-supported-yet: the macro function `@UNION` is not supported yet"
        ]
    );
}

#[test]
fn broken_blocks_are_said_plainly() {
    assert_eq!(
        wrong("MODEL (name db.m)\nSELECT 1 AS x"),
        ["Error models/m.sql:1 syntax: `;` is missing after the MODEL block"]
    );
    assert_eq!(
        wrong("MODEL (name db.m);"),
        ["Error models/m.sql:1 no-query: the model has no query"]
    );
    assert_eq!(
        wrong("SELECT 1"),
        ["Error models/m.sql:1 no-model-block: the file has no `MODEL (…)` block"]
    );
    assert_eq!(
        wrong("MODEL (kind FULL);\nSELECT 1 AS x"),
        ["Error models/m.sql:1 missing-value: the MODEL block has no `name`"]
    );
    assert_eq!(
        wrong("MODEL (name db.m kind FULL);\nSELECT 1 AS x"),
        ["Error models/m.sql:1 wrong-value: `db.m kind FULL` is no name of a model"]
    );
    assert_eq!(
        wrong("MODEL (name db.m, kind VIEW (materialized maybe));\nSELECT 1 AS x"),
        ["Error models/m.sql:1 wrong-value: `materialized` must be `true` or `false`"]
    );
    assert_eq!(
        wrong("MODEL (name db.m, cron '* * *', start 'soon');\nSELECT 1 AS x").len(),
        2
    );
    assert_eq!(
        wrong("MODEL (name db.m, start '2024-02-01', end '2024-01-31');\nSELECT 1 AS x"),
        ["Error models/m.sql:1 wrong-value: the model ends before it starts"]
    );
    assert_eq!(
        wrong("MODEL (name db.m, kind FULL);\nSELECT @start_ds AS x"),
        ["Error models/m.sql:2 no-time-range: `@start_ds` has no value in a model of kind FULL"]
    );
    assert_eq!(
        wrong("MODEL (name db.m);\nSELECT 'x"),
        ["Error models/m.sql:2 syntax: a quote or comment that begins here is never closed"]
    );
    assert_eq!(
        wrong("MODEL (name db.m);\nSELECT a FROM db.m"),
        ["Error models/m.sql:1 wrong-value: a VIEW cannot read itself"]
    );
}

#[test]
fn a_block_is_read_whole() {
    let model = model(
        "-- what it is\n/* and more */\nMODEL (\n  NAME db.\"Sch\".m, -- the db catalog goes\n  \
         kind INCREMENTAL_BY_TIME_RANGE (time_column (ds, '%Y%m%d'), batch_size 30, lookback 2, forward_only false),\n  \
         owner 'me@x.y', tags [a, 'B c'], cron '0 5 * * *', cron_tz 'europe/berlin', interval_unit 'hour', start '2020-01-01', end '2021-01-01',\n  \
         grains (id, (a, b)), columns (ds TEXT, id INT, a DECIMAL(10, 2), b STRUCT<x INT>),\n  \
         depends_on (raw.other, 'db.raw.x'), stamp 'v2', formatting false, audits (\n    \
         not_null(columns := (id, a)), number_of_rows(threshold := 5, blocking := false), unique_values_non_blocking(columns = id)\n  ),\n);\n\
         SELECT id, -- the id\n  a FROM Raw.Orders WHERE ds BETWEEN @start_ds AND @end_ds;",
    );
    assert_eq!(model.name.to_string(), "sch.m");
    assert_eq!(model.description.as_deref(), Some("what it is\nand more"));
    assert_eq!(model.owner.as_deref(), Some("me@x.y"));
    assert_eq!(model.tags.iter().collect::<Vec<_>>(), ["a", "b c"]);
    assert_eq!(model.cron, "0 5 * * *");
    assert_eq!(model.cron_tz.as_deref(), Some("Europe/Berlin"));
    assert_eq!(model.grains, [vec!["id"], vec!["a", "b"]]);
    let columns = model.columns.as_ref().unwrap();
    assert_eq!(columns[2].data_type.as_deref(), Some("DECIMAL(10, 2)"));
    assert_eq!(columns[3].data_type.as_deref(), Some("STRUCT<x INT>"));
    assert_eq!(model.column_descriptions["id"], "the id");
    let depends: Vec<String> = model.depends_on.iter().map(ToString::to_string).collect();
    assert_eq!(depends, ["raw.orders", "raw.other", "raw.x"]);
    let ModelKind::IncrementalByTimeRange {
        time_column,
        lookback_intervals,
        batch_size_intervals,
        batch_concurrency: _,
    } = &model.kind
    else {
        panic!("incremental");
    };
    assert_eq!(time_column.format, "%Y%m%d");
    assert_eq!(
        (*lookback_intervals, batch_size_intervals.unwrap().get()),
        (2, 30)
    );
    let audits: Vec<_> = model
        .audits
        .iter()
        .map(|a| (a.name.as_str(), a.blocking))
        .collect();
    assert_eq!(
        audits,
        [
            ("not_null", true),
            ("number_of_rows", false),
            ("unique_values_non_blocking", false)
        ]
    );
    assert_eq!(
        model.audits[0].query.text(),
        "SELECT * FROM @this_model WHERE id IS NULL OR a IS NULL"
    );
    assert_eq!(
        model.query.unwrap().text(),
        "SELECT id, -- the id\n  a FROM Raw.Orders WHERE ds BETWEEN @start_ds AND @end_ds"
    );
}

#[test]
fn variables_reach_blocks_queries_and_audits() {
    let config = format!("{CONFIG}variables:\n  Sch: shop\n  floor: 15\n  envs: [dev, test]\n");
    let config = config.replace(
        "      database: db.db\n",
        "      database: db.db\n    variables:\n      floor: 20\n",
    );
    let (project, diagnostics) = load_files(&[
        ("config.yaml", &config),
        (
            "audits/a.sql",
            "AUDIT (name above, defaults (least = 1), blocking false);\nSELECT * FROM @this_model WHERE @column < @least OR x < @floor",
        ),
        (
            "models/m.sql",
            "MODEL (name @{sch}.@{sch}_m, kind FULL, description @'in @sch', enabled @gateway, audits (above(column := id)))\n;\nSELECT @floor AS x, @{sch}_id AS y, 'a' IN @envs AS z FROM @sch.t",
        ),
    ]);
    assert_eq!(
        lines(&diagnostics),
        ["Error models/m.sql:1 wrong-value: `enabled` must be `true` or `false`"]
    );
    let model = &project.models[&"shop.shop_m".parse().unwrap()];
    assert_eq!(model.description.as_deref(), Some("in shop"));
    assert_eq!(
        model.query.as_ref().unwrap().text(),
        "SELECT 20 AS x, shop_id AS y, 'a' IN ('dev', 'test') AS z FROM \"shop\".t"
    );
    assert_eq!(
        model.audits[0].query.text(),
        "SELECT * FROM @this_model WHERE id < 1 OR x < 20"
    );
    assert!(!model.audits[0].blocking);
    assert_eq!(
        model.audits[0].arguments,
        [("column".to_owned(), "id".to_owned())]
    );
}

#[test]
fn external_models_and_disabled_ones() {
    let (project, diagnostics) = load_files(&[
        ("config.yaml", CONFIG),
        (
            "external_models.yaml",
            "- name: '\"db\".\"raw\".\"orders\"'\n  description: all orders\n  columns:\n    id: INT\n    Total: DECIMAL(10, 2)\n- name: raw.x\n  audits:\n  - name: not_null\n",
        ),
        (
            "models/off.sql",
            "MODEL (name db.off, enabled false, kind WHATEVER);\nSELECT @no",
        ),
        (
            "models/on.sql",
            "MODEL (name one_part);\nSELECT * FROM db.raw.orders",
        ),
    ]);
    assert_eq!(
        lines(&diagnostics),
        ["Error external_models.yaml:7 not-supported-yet: `audits` is not supported yet"]
    );
    let names: Vec<String> = project.models.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["one_part", "raw.orders", "raw.x"]);
    let orders = &project.models[&"raw.orders".parse().unwrap()];
    assert_eq!(orders.kind, ModelKind::External);
    assert_eq!(orders.columns.as_ref().unwrap()[1].name, "total");
    let one = &project.models[&"one_part".parse().unwrap()];
    assert!(one.depends_on.contains(&orders.name));
}

#[test]
fn a_missing_or_doubled_configuration_is_one_message() {
    assert_eq!(
        lines(&load_files(&[("models/a.sql", "MODEL (name a);\nSELECT 1 AS x")]).1),
        ["Error :0 no-config: the folder has no `config.yaml`"]
    );
    assert_eq!(
        lines(&load_files(&[("config.yaml", CONFIG), ("config.yml", CONFIG)]).1),
        [
            "Error config.yml:0 two-configs: `config.yaml` and `config.yml` are both configuration files"
        ]
    );
    assert_eq!(
        lines(&load_files(&[("config.yaml", "\n# nothing\n")]).1),
        ["Error config.yaml:0 empty-config: the configuration is empty"]
    );
    assert_eq!(
        lines(&load_files(&[("config.yaml", CONFIG)]).1),
        ["Error :0 no-models: the project has no models"]
    );
    assert_eq!(
        lines(
            &load_files(&[(
                "config.yaml",
                "model_defaults:\n  dialect: duckdb\nproject: a\nproject: b\n"
            )])
            .1
        ),
        ["Error config.yaml:4 duplicate-key: the key `project` is given twice"]
    );
}

#[test]
fn defaults_stand_for_what_models_do_not_say() {
    let config = "model_defaults:\n  dialect: duckdb\n  allow_partials: true\n  batch_concurrency: 2\n  \
                  on_destructive_change: warn\n  on_additive_change: error\n";
    let (project, diagnostics) = load_files(&[
        ("config.yaml", config),
        (
            "models/a.sql",
            "MODEL (name a.silent, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT 1 AS x, ds FROM raw.t",
        ),
        (
            "models/b.sql",
            "MODEL (name b.loud, allow_partials false,\n  \
             kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_concurrency 3, on_destructive_change allow));\n\
             SELECT 1 AS x, ds FROM raw.t",
        ),
        (
            "models/c.sql",
            "MODEL (name c.whole, kind FULL);\nSELECT 1 AS x",
        ),
    ]);
    assert_eq!(lines(&diagnostics), Vec::<String>::new());
    let said = |name: &str| {
        let model = &project.models[&name.parse::<ModelName>().unwrap()];
        let batches = match &model.kind {
            ModelKind::IncrementalByTimeRange {
                batch_concurrency, ..
            } => batch_concurrency.map(std::num::NonZeroU32::get),
            _ => None,
        };
        let policy = &model.policy;
        let changes = (policy.on_destructive_change, policy.on_additive_change);
        (model.allow_partials, batches, changes)
    };
    let (warn, error, allow) = (OnChange::Warn, OnChange::Error, OnChange::Allow);
    assert_eq!(said("a.silent"), (true, Some(2), (warn, error)));
    assert_eq!(said("b.loud"), (false, Some(3), (allow, error)));
    // It is built anew whenever its columns change.
    assert_eq!(said("c.whole"), (true, None, (error, allow)));
}

#[test]
fn a_time_zone_is_one_of_the_worlds_list() {
    let model =
        |zone: &str| format!("MODEL (name db.m, kind FULL,\n  cron_tz '{zone}');\nSELECT 1 AS x");
    assert_eq!(wrong(&model("utc")), Vec::<String>::new());
    let (_, diagnostics) = load_files(&[
        ("config.yaml", CONFIG),
        ("models/m.sql", &model("Europe/Berln")),
    ]);
    assert_eq!(
        lines(&diagnostics),
        ["Error models/m.sql:2 wrong-value: `Europe/Berln` is not a time zone"]
    );
    let help = diagnostics[0].help.as_deref();
    assert_eq!(help, Some("Did you mean `Europe/Berlin`?"));
}

#[test]
fn the_configuration_is_checked_key_by_key() {
    let (_, diagnostics) = load_files(&[
        (
            "config.yaml",
            "gateways:\n  a:\n    connection:\n      type: snowflake\n  b:\n    connection:\n      type: duckdb\n      databse: x.db\n\
         default_gateway: b\nmodel_defaults:\n  dialect: duckbd\nplan:\n  no_diff: 3\n  use_finalized_state: 1\n\
         environment_suffix_target: catalog\nsnapshot_ttl: 1 week\nbefore_all:\n- SELECT 1\nusers:\n- username: a\n  roles: [required_aprover]\n\
         cicd_bot:\n  type: github\n  enable_deploy_command: true\n  skip_pr_backfill: true\nui:\n  format_on_save: false\nvariables:\n  m:\n    a: 1\n",
        ),
        ("models/a.sql", "MODEL (name a);\nSELECT 1 AS x"),
    ]);
    assert_eq!(
        lines(&diagnostics),
        [
            "Warning config.yaml:4 not-supported-yet: `gateways.a.connection` of type `snowflake` is not supported yet",
            "Error config.yaml:8 unknown-key: unknown key `gateways.b.connection.databse`",
            "Error config.yaml:11 unknown-dialect: unknown dialect `duckbd`",
            "Error config.yaml:13 wrong-type: `plan.no_diff` must be `true` or `false`, not a number",
            "Error config.yaml:14 wrong-type: `plan.use_finalized_state` must be `true` or `false`, not a number",
            "Error config.yaml:16 wrong-value: `snapshot_ttl`: `1 week` does not lie in the future",
            "Error config.yaml:21 wrong-value: unknown role `required_aprover`",
            "Error config.yaml:24 missing-key: `cicd_bot.enable_deploy_command` needs a `merge_method`",
            "Warning config.yaml:25 not-supported-yet: `cicd_bot.skip_pr_backfill` is not supported yet",
            "Warning config.yaml:26 not-supported-yet: `ui` is not supported yet",
        ]
    );
}

#[test]
fn what_is_read_but_would_not_act_is_said() {
    let text = "gateways:\n  local:\n    connection:\n      type: duckdb\n      database: wh.db\n    state_connection:\n      type: duckdb\n      database: state.db\n\
         default_gateway: local\nmodel_defaults:\n  dialect: duckdb\nplan:\n  no_prompts: false\n";
    let tree: FileTree = [("config.yaml", text)].into_iter().collect();
    let (_, diagnostics) = load_config(&tree, &LoadOptions::default());
    assert_eq!(
        lines(&diagnostics),
        [
            "Warning config.yaml:7 state-in-sqlite: `gateways.local.state_connection` is DuckDB, but the state is kept in SQLite",
            "Warning config.yaml:13 not-supported-yet: `plan.no_prompts: false` is not supported yet",
        ]
    );
}

#[test]
fn the_configuration_says_what_it_means() {
    let text = format!(
        "{CONFIG}project: {{{{ env_var('PROJECT') }}}}\ndefault_target_environment: dev_{{{{ user() }}}}\n\
         environment_ttl: null\npinned_environments: [prod, stage]\nusers:\n- username: al\n  github_username: Al\n  roles: [required_approver]\n\
         cicd_bot:\n  type: github\n  enable_deploy_command: true\n  merge_method: squash\n  command_namespace: duck\n  prod_branch_name: trunk\n  auto_categorize_changes:\n    sql: full\n\
         plan:\n  auto_categorize_changes:\n    sql: full\n    python: off\n"
    );
    let tree: FileTree = [("config.yaml", text.as_str())].into_iter().collect();
    let environment = BTreeMap::from([
        ("PROJECT".to_owned(), "shop".to_owned()),
        ("SQLMESH__DEFAULT_GATEWAY".to_owned(), "local".to_owned()),
        (
            "SIDING__GATEWAYS__LOCAL__CONNECTION__DATABASE".to_owned(),
            "/data/wh.duckdb".to_owned(),
        ),
        (
            "SIDING__GATEWAYS__LOCAL__STATE_CONNECTION".to_owned(),
            "{\"type\": \"sqlite\", \"database\": \"s.db\"}".to_owned(),
        ),
    ]);
    let options = LoadOptions {
        environment,
        user: "ann".to_owned(),
        gateway: None,
    };
    let (config, diagnostics) = load_config(&tree, &options);
    assert_eq!(lines(&diagnostics), Vec::<String>::new());
    let config = config.unwrap();
    assert_eq!(config.project, "shop");
    assert_eq!(config.default_target_environment, "dev_ann");
    assert_eq!(config.environment_ttl, None);
    assert_eq!(config.default_catalog().as_deref(), Some("wh"));
    assert_eq!(
        config.gateway().unwrap().state,
        Some(Connection::Sqlite {
            database: "s.db".to_owned()
        })
    );
    assert_eq!(config.required_approvers(), ["Al"]);
    let bot = config.bot.unwrap();
    assert_eq!(bot.merge_method, Some(BotMergeMethod::Squash));
    assert_eq!(bot.prod_branches, ["trunk"]);
    assert_eq!(config.plan.auto_categorize.sql, CategorizeMode::Full);
}

#[test]
fn a_map_is_an_error_only_where_it_is_used() {
    let config = format!("{CONFIG}variables:\n  m:\n    a: 1\n");
    let (_, diagnostics) = load_files(&[
        ("config.yaml", &config),
        ("models/a.sql", "MODEL (name a);\nSELECT 1 AS x"),
        ("models/b.sql", "MODEL (name b);\nSELECT @m AS x"),
    ]);
    assert_eq!(
        lines(&diagnostics),
        [
            "Error models/b.sql:2 not-supported-yet: a map as a variable, as in `@m`, is not supported yet"
        ]
    );
}

#[test]
fn blueprints_are_one_message() {
    assert_eq!(
        wrong(
            "MODEL (name @s.m,\n blueprints ((s := a, lo := 1), (s := b, lo := 2)));\nSELECT @lo AS x"
        ),
        ["Error models/m.sql:2 not-supported-yet: the property `blueprints` is not supported yet"]
    );
}

#[test]
fn dialects_come_from_the_block() {
    let model = model(
        "MODEL (\n  name `My`.T, /* x */\n  dialect 'bigquery'\n);\nSELECT `a` FROM `p`.`d`.t # it's\n",
    );
    assert_eq!(model.dialect, Dialect::BigQuery);
    assert_eq!(model.name.to_string(), "My.t");
}

#[test]
fn an_unreadable_query_is_opaque_and_said_once() {
    let found = wrong("MODEL (name db.m);\n\nSELECT FROM WHERE ((((");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("Warning models/m.sql:3 opaque-query"),
        "{found:?}"
    );
}

#[test]
fn files_that_are_no_text_are_reported() {
    let mut tree: FileTree = [
        ("config.yaml", CONFIG),
        ("models/a.sql", "MODEL (name a);\nSELECT 1 AS x"),
    ]
    .into_iter()
    .collect();
    tree.insert_unreadable("models/b.sql", "not UTF-8");
    tree.insert_unreadable("docs/picture.png", "not UTF-8");
    let (_, diagnostics) = load(&tree, &LoadOptions::default());
    assert_eq!(
        lines(&diagnostics),
        ["Error models/b.sql:0 unreadable-file: the file cannot be read: not UTF-8"]
    );
}

#[test]
fn comments_in_the_database_are_a_matter_of_taste() {
    for (wish, wanted) in [
        ("true", vec![]),
        ("false", vec![]),
        (
            "maybe",
            vec![
                "Error config.yaml:6 wrong-type: `gateways.local.connection.register_comments` must be `true` or `false`, not a text",
            ],
        ),
    ] {
        let config = CONFIG.replace(
            "default_gateway",
            &format!("      register_comments: {wish}\ndefault_gateway"),
        );
        let (_, diagnostics) = load_files(&[
            ("config.yaml", &config),
            (
                "models/a.sql",
                "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
            ),
        ]);
        assert_eq!(lines(&diagnostics), wanted, "{wish}");
    }
}

#[test]
fn state_and_warehouse_are_two_files() {
    let config = CONFIG.replace(
        "default_gateway",
        "    state_connection: {type: sqlite, database: db.db}\ndefault_gateway",
    );
    let (_, diagnostics) = load_files(&[("config.yaml", &config)]);
    assert_eq!(
        lines(&diagnostics),
        [
            "Error config.yaml:6 wrong-value: the state and the warehouse of `gateways.local` are the same file"
        ]
    );
}

mod laws {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "-- d\nMODEL (name db.m, kind INCREMENTAL_BY_TIME_RANGE (time_column (ds, '%Y'), lookback 2), \
        columns (ds TEXT, a STRUCT<x INT>), audits (not_null(columns := (a))), tags [a], csv (a = 'b'));\n\
        SELECT a, -- c\n @{x}_y, @'t @start_ds', @VAR('n', 1) FROM t WHERE ds BETWEEN @start_ds AND @end_ds; \
        AUDIT (name q); SELECT 1; ON_VIRTUAL_UPDATE_BEGIN; x; ON_VIRTUAL_UPDATE_END;";

    proptest! {
        #[test]
        fn no_text_crashes_the_loader(text in any::<String>()) {
            load_files(&[("config.yaml", CONFIG), ("models/m.sql", &text), ("audits/m.sql", &text), ("external_models.yaml", &text)]);
            load_files(&[("config.yaml", &text)]);
        }

        #[test]
        fn no_change_of_a_good_file_crashes_the_loader(
            from in 0..VALID.len(), length in 0_usize..30, with in r"[()\[\]{}@;,.'\x22a:=\-\n é<>$]{0,6}"
        ) {
            let to = (from + length).min(VALID.len());
            let text = format!("{}{with}{}", &VALID[..from], &VALID[to..]);
            load_files(&[("config.yaml", CONFIG), ("models/m.sql", &text), ("audits/m.sql", &text)]);
        }

        #[test]
        fn no_change_of_a_good_configuration_crashes_the_loader(
            from in 0..CONFIG.len(), length in 0_usize..20, with in r"[{}%\[\]:,'a\-\n &*#]{0,6}"
        ) {
            let to = (from + length).min(CONFIG.len());
            let text = format!("{}{with}{}", &CONFIG[..from], &CONFIG[to..]);
            load_files(&[("config.yaml", &text)]);
        }
    }
}

/// The diagnostics of a configuration whose only connection has these lines.
fn postgres(lines_of_connection: &str) -> (Option<Config>, Vec<String>) {
    let text = format!(
        "gateways:\n  wh:\n    connection:\n      type: postgres\n{lines_of_connection}model_defaults:\n  dialect: postgres\n"
    );
    let tree: FileTree = [("config.yaml", text.as_str())].into_iter().collect();
    let (config, diagnostics) = load_config(&tree, &LoadOptions::default());
    (config, lines(&diagnostics))
}

const SERVER: &str = "      host: db\n      user: me\n      database: dwh\n";

#[test]
fn a_postgres_connection_needs_little_and_knows_the_rest() {
    let (config, found) = postgres(SERVER);
    assert_eq!(found, Vec::<String>::new());
    let config = config.unwrap();
    assert_eq!(config.default_catalog().as_deref(), Some("dwh"));
    let Connection::Postgres(connection) = &config.gateway().unwrap().connection else {
        panic!("{config:?}");
    };
    let given = (
        connection.port,
        connection.ssl_mode,
        connection.connect_timeout_seconds,
    );
    assert_eq!(given, (5432, SslMode::Prefer, 10));

    let (config, found) = postgres(&format!(
        "{SERVER}      password: s3cret\n      port: 6543\n      sslmode: verify-full\n      sslrootcert: ca.pem\n      sslcert: me.pem\n      sslkey: me.key\n      role: builder\n\
         \x20     keepalives_idle: 30\n      connect_timeout: 3\n      statement_timeout: 60\n      application_name: x\n      concurrent_tasks: 8\n\
         \x20   state_schema: ours\n"
    ));
    assert_eq!(found, Vec::<String>::new());
    let config = config.unwrap();
    let gateway = config.gateway().unwrap();
    assert_eq!(gateway.state_schema.as_deref(), Some("ours"));
    let Connection::Postgres(connection) = &gateway.connection else {
        panic!("{config:?}");
    };
    assert_eq!(
        **connection,
        PostgresConnection {
            host: "db".to_owned(),
            port: 6543,
            user: "me".to_owned(),
            password: Some(Secret::from("s3cret")),
            database: "dwh".to_owned(),
            connect_timeout_seconds: 3,
            keepalives_idle_seconds: Some(30),
            statement_timeout_seconds: Some(60),
            role: Some("builder".to_owned()),
            ssl_mode: SslMode::VerifyFull,
            ssl_root_cert: Some("ca.pem".to_owned()),
            ssl_client: Some(["me.pem".to_owned(), "me.key".to_owned()]),
            application_name: "x".to_owned(),
            concurrent_tasks: Some(8),
        }
    );
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_postgres_connection_says_everything_that_is_wrong_with_it() {
    let (_, found) = postgres(
        "      user: me\n      sslmode: on\n      hots: db\n      role: [a]\n      sslrootcert: ca.pem\n      sslkey: me.key\n",
    );
    for part in [
        "unknown key `gateways.wh.connection.hots`",
        "`gateways.wh.connection` has no `host`",
        "`gateways.wh.connection` has no `database`",
        "no value of `gateways.wh.connection.sslmode`",
        "`gateways.wh.connection.role` must be a text",
        "`gateways.wh.connection.sslrootcert` has no effect",
        "`gateways.wh.connection` has `sslkey` and no `sslcert`",
    ] {
        assert!(
            found.iter().any(|line| line.contains(part)),
            "{part}: {found:#?}"
        );
    }
    let (_, found) = postgres(&format!("{SERVER}      port: 70000\n"));
    assert!(found[0].contains("at most 65535"), "{found:?}");
    let text = CONFIG.replace(
        "gateways:\n  local:\n",
        "gateways:\n  local:\n    state_schema: s\n",
    );
    let tree: FileTree = [("config.yaml", text.as_str())].into_iter().collect();
    let (_, diagnostics) = load_config(&tree, &LoadOptions::default());
    let found = lines(&diagnostics);
    assert!(
        found[0].contains("state_schema` needs a state in PostgreSQL"),
        "{found:?}"
    );
}
