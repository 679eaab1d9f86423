//! Edits every property of a model, one at a time: which part of its fingerprint moves, and what the plan says of the
//! model and of one that reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use siding::environment::EnvironmentName;
use siding::model::ModelName;
use siding::model::topological;
use siding::plan::Choices;
use siding::plan::Draft;
use siding::plan::draft;
use siding::project::FileTree;
use siding::project::LoadOptions;
use siding::project::load;
use siding::snapshot::Fingerprint;
use siding::snapshot::candidates;

const CONFIG: &str = "gateways:\n  local:\n    connection:\n      type: duckdb\n      database: wh.duckdb\n\
    default_gateway: local\nmodel_defaults:\n  dialect: duckdb\n  start: '2024-01-01'\n";
const EXTERNAL: &str = "- name: raw.src\n  columns:\n    id: INT\n    v: INT\n    ds: DATE\n";
const MODEL: &str = "MODEL (\n  name db.a,\n  kind FULL,\n  owner ada,\n  description 'one',\n  tags [x],\n  cron '@daily',\n  \
    interval_unit 'day',\n  start '2024-01-01',\n  end '2030-01-01',\n  stamp 'one',\n  grain id,\n  audits (not_null(columns := (id))),\n  \
    column_descriptions (id = 'the key'),\n  columns (id INT, v INT)\n);\nSELECT id, v FROM raw.src WHERE id > 0 AND v > 0\n";
const INCREMENTAL: &str = "MODEL (\n  name db.i,\n  kind INCREMENTAL_BY_TIME_RANGE (time_column (ds, '%Y-%m-%d'), lookback 1, batch_size 5),\n  \
    start '2024-01-01',\n  signals (ready(least := 1))\n);\nSELECT id, v, ds FROM raw.src WHERE ds BETWEEN @start_ds AND @end_ds\n";
const KEYED: &str = "MODEL (\n  name db.k,\n  kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id, lookback 1, batch_size 5),\n  \
    clustered_by id,\n  storage_format parquet,\n  physical_properties (a = 1),\n  virtual_properties (b = 1),\n  allow_partials true\n);\n\
    SELECT id, v FROM raw.src;\nINSERT INTO raw.log SELECT 1;\nON_VIRTUAL_UPDATE_BEGIN;\nINSERT INTO raw.log SELECT 2;\nON_VIRTUAL_UPDATE_END;\n";
const HISTORY: &str = "MODEL (\n  name db.h,\n  kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v], batch_size 5, time_data_type TIMESTAMP)\n);\n\
    SELECT id, v, ds FROM raw.src\n";
const SIGNAL: &str = "SIGNAL (name ready);\nSELECT count(*) >= @least FROM raw.src WHERE ds BETWEEN @start_ds AND @end_ds\n";
const SEED: &str = "MODEL (\n  name db.s,\n  kind SEED (path '../seeds/s.csv', csv_settings (delimiter = ';')),\n  columns (id INT, v INT)\n);\n";
const SEED_ROWS: &str = "id;v\n1;10\n2;20\n";
const READER: &str = "MODEL (name db.c, kind FULL);\nSELECT a.id, i.v AS w, s.v AS x, k.v AS y, h.v AS z FROM db.a AS a JOIN db.i AS i USING (id) JOIN db.s AS s ON s.id = a.id JOIN db.k AS k ON k.id = a.id JOIN db.h AS h ON h.id = a.id\n";

fn project() -> BTreeMap<&'static str, String> {
    [
        ("config.yaml", CONFIG),
        ("external_models.yaml", EXTERNAL),
        ("models/a.sql", MODEL),
        ("models/i.sql", INCREMENTAL),
        ("models/k.sql", KEYED),
        ("models/h.sql", HISTORY),
        ("models/s.sql", SEED),
        ("models/c.sql", READER),
        ("seeds/s.csv", SEED_ROWS),
        ("signals/ready.sql", SIGNAL),
    ]
    .map(|(path, text)| (path, text.to_owned()))
    .into_iter()
    .collect()
}

fn planned(files: &BTreeMap<&'static str, String>, before: Option<&Draft>) -> Draft {
    let tree: FileTree = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), Arc::<str>::from(text.as_str())))
        .collect();
    let (project, diagnostics) = load(&tree, &LoadOptions::default());
    let errors: Vec<_> = diagnostics.iter().filter(|it| it.is_error()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let previous = before
        .map(|draft| draft.snapshots.clone())
        .unwrap_or_default();
    let stored = previous
        .values()
        .map(|snapshot| (snapshot.id.clone(), snapshot.clone()))
        .collect();
    let order = topological(&project.models);
    let now = "2024-01-08T00:05:00Z".parse().unwrap();
    let (draft, diagnostics) = draft(
        &candidates(&project.models, &project.readings),
        order,
        previous,
        &stored,
        EnvironmentName::prod(),
        &Choices::default(),
        now,
    );
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    draft
}

/// The parts that differ: d, m, pd, pm.
fn moved(old: &Fingerprint, new: &Fingerprint) -> String {
    let parts = [
        ("d", &old.data, &new.data),
        ("m", &old.metadata, &new.metadata),
        ("pd", &old.parent_data, &new.parent_data),
        ("pm", &old.parent_metadata, &new.parent_metadata),
    ];
    let moved = parts.iter().filter(|(_, old, new)| old != new);
    let names: Vec<&str> = moved.map(|(name, ..)| *name).collect();
    names.join(" ")
}

/// What the edit does to one model: the parts that moved, and the category.
fn outcome(old: &Draft, new: &Draft, name: &str) -> String {
    let name: ModelName = name.parse().unwrap();
    let (before, after) = (&old.snapshots[&name], &new.snapshots[&name]);
    let category = new.changes[&name]
        .category
        .map_or("Unchanged".to_owned(), |category| category.to_string());
    let table = if before.version == after.version {
        "kept"
    } else {
        "built"
    };
    format!(
        "{} | {category}, {table}",
        moved(&before.fingerprint, &after.fingerprint)
    )
    .trim()
    .to_owned()
}

/// File, text, its replacement, what it does to the edited model, what it does to the reader.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const META: &str = "m | Metadata, kept";
const META_BELOW: &str = "pm | Metadata, kept";
const OWN_TABLE: &str = "d | Non-breaking, built";
const NOT_BELOW: &str = "pd | Indirect Non-breaking, kept";
const OTHER_ROWS: &str = "d | Breaking, built";
const FORWARD: &str = "d | Forward-only, built";
const BELOW: &str = "pd | Indirect Breaking, built";
const NOTHING: &str = "| Unchanged, kept";

#[rustfmt::skip]
const CASES: &[Case] = &[
    // How it is written is nothing at all.
    ("models/a.sql", "SELECT id, v FROM raw.src", "select\n  ID, src.v -- note\nfrom raw.src as src", NOTHING, NOTHING),
    ("models/a.sql", "id > 0 AND v > 0", "0 < v AND NOT id <= 0", NOTHING, NOTHING),
    ("models/a.sql", "SELECT id, v FROM raw.src WHERE", "WITH s AS (SELECT * FROM raw.src) SELECT id, v FROM s WHERE", NOTHING, NOTHING),
    // The query.
    ("models/a.sql", "id > 0 AND", "id > 1 AND", OTHER_ROWS, BELOW),
    ("models/a.sql", "SELECT id, v", "SELECT id, v + 1 AS v", OTHER_ROWS, NOT_BELOW),
    ("models/a.sql", "SELECT id, v", "SELECT id + 1 AS id, v", OTHER_ROWS, BELOW),
    ("models/a.sql", "SELECT id, v", "SELECT v, id", OWN_TABLE, NOT_BELOW),
    ("models/a.sql", "v > 0\n", "v > 0 ORDER BY id\n", OWN_TABLE, NOT_BELOW),
    // Properties that rows depend on.
    ("models/a.sql", "kind FULL", "kind VIEW", "d | Breaking, built", "pd | Indirect Non-breaking, kept"),
    ("models/a.sql", "stamp 'one'", "stamp 'two'", OWN_TABLE, NOT_BELOW),
    ("models/a.sql", "interval_unit 'day'", "interval_unit 'hour'", OWN_TABLE, NOT_BELOW),
    ("models/a.sql", "columns (id INT, v INT)", "columns (id INT, v BIGINT)", OTHER_ROWS, NOT_BELOW),
    ("models/a.sql", "columns (id INT, v INT)", "columns (id BIGINT, v INT)", OTHER_ROWS, BELOW),
    ("models/i.sql", "time_column (ds, '%Y-%m-%d')", "time_column (ds, '%Y%m%d')", OTHER_ROWS, BELOW),
    ("models/i.sql", "lookback 1", "lookback 2", OTHER_ROWS, BELOW),
    ("models/i.sql", "kind INCREMENTAL_BY_TIME_RANGE (time_column (ds, '%Y-%m-%d'), lookback 1, batch_size 5)", "kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id)", "d m | Breaking, built", "pd pm | Indirect Breaking, built"),
    ("models/a.sql", "kind FULL", "kind VIEW (materialized true)", OTHER_ROWS, NOT_BELOW),
    ("models/k.sql", "unique_key id", "unique_key (id, v)", OTHER_ROWS, BELOW),
    ("models/k.sql", "unique_key id", "unique_key abs(id)", OTHER_ROWS, BELOW),
    ("models/k.sql", "lookback 1", "lookback 2", OTHER_ROWS, BELOW),
    ("models/k.sql", "unique_key id", "unique_key id, when_matched (WHEN MATCHED THEN UPDATE SET v = source.v)", OTHER_ROWS, BELOW),
    ("models/k.sql", "unique_key id", "unique_key id, merge_filter source.v > 0", OTHER_ROWS, BELOW),
    ("models/k.sql", "INSERT INTO raw.log SELECT 1", "INSERT INTO raw.log SELECT 3", OTHER_ROWS, BELOW),
    ("models/k.sql", "clustered_by id", "clustered_by v", OWN_TABLE, NOT_BELOW),
    ("models/k.sql", "storage_format parquet", "storage_format orc", OWN_TABLE, NOT_BELOW),
    ("models/k.sql", "physical_properties (a = 1)", "physical_properties (a = 2)", OWN_TABLE, NOT_BELOW),
    ("models/h.sql", "unique_key id", "unique_key (id, ds)", OTHER_ROWS, BELOW),
    ("models/h.sql", "columns [v]", "columns *", OTHER_ROWS, BELOW),
    ("models/h.sql", "columns [v]", "columns [v], invalidate_hard_deletes true", FORWARD, BELOW),
    ("models/h.sql", "columns [v]", "columns [v], execution_time_as_valid_from true", OTHER_ROWS, BELOW),
    ("models/h.sql", "columns [v]", "columns [v], updated_at_name ds", OTHER_ROWS, BELOW),
    ("models/h.sql", "columns [v]", "columns [v], valid_to_name until", OTHER_ROWS, BELOW),
    ("models/h.sql", "TIMESTAMP", "DATE", OTHER_ROWS, BELOW),
    ("models/h.sql", "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v]", "SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name ds", OTHER_ROWS, BELOW),
    ("models/s.sql", "columns (id INT, v INT)", "columns (id INT, v TEXT)", OTHER_ROWS, BELOW),
    ("seeds/s.csv", "2;20", "2;21", OTHER_ROWS, BELOW),
    ("seeds/s.csv", "2;20\n", "2;20\n3;30\n", OTHER_ROWS, BELOW),
    // Everything else.
    ("models/a.sql", "owner ada", "owner bob", META, META_BELOW),
    ("models/a.sql", "description 'one'", "description 'two'", META, META_BELOW),
    ("models/a.sql", "tags [x]", "tags [y]", META, META_BELOW),
    ("models/a.sql", "cron '@daily'", "cron '5 0 * * *'", META, META_BELOW),
    ("models/a.sql", "cron '@daily'", "cron '@daily', cron_tz 'Asia/Tokyo'", META, META_BELOW),
    ("models/a.sql", "start '2024-01-01'", "start '2024-01-02'", META, META_BELOW),
    ("models/a.sql", "end '2030-01-01'", "end '2031-01-01'", META, META_BELOW),
    ("models/a.sql", "grain id", "grain (id, v)", META, META_BELOW),
    ("models/a.sql", "not_null(columns := (id))", "not_null(columns := (id, v))", META, META_BELOW),
    ("models/a.sql", "'the key'", "'the other key'", META, META_BELOW),
    ("models/i.sql", "batch_size 5", "batch_size 6", META, META_BELOW),
    ("models/i.sql", "least := 1", "least := 2", META, META_BELOW),
    ("models/i.sql", "ready(least := 1)", "ready(least := 1), freshness()", META, META_BELOW),
    ("models/i.sql", ",\n  signals (ready(least := 1))", "", META, META_BELOW),
    ("signals/ready.sql", ">=", ">", META, META_BELOW),
    ("signals/ready.sql", "\nSELECT", "\n\n\nSELECT", NOTHING, NOTHING),
    ("models/i.sql", "batch_size 5", "batch_size 5, batch_concurrency 2", META, META_BELOW),
    ("models/k.sql", "batch_size 5", "batch_size 6", META, META_BELOW),
    ("models/k.sql", "virtual_properties (b = 1)", "virtual_properties (b = 2)", META, META_BELOW),
    ("models/k.sql", "allow_partials true", "allow_partials false", META, META_BELOW),
    ("models/k.sql", "INSERT INTO raw.log SELECT 2", "INSERT INTO raw.log SELECT 4", META, META_BELOW),
    ("models/i.sql", "batch_size 5", "batch_size 5, forward_only true", META, META_BELOW),
    ("models/i.sql", "batch_size 5", "batch_size 5, disable_restatement true", META, META_BELOW),
    ("models/i.sql", "batch_size 5", "batch_size 5, on_destructive_change warn", META, META_BELOW),
    ("models/i.sql", "batch_size 5", "batch_size 5, on_additive_change ignore", META, META_BELOW),
    ("config.yaml", "default_gateway", "project: shop\ndefault_gateway", "m pm | Metadata, kept", "m pm | Metadata, kept"),
];

#[test]
fn every_property_moves_its_part_and_no_other() {
    let old = planned(&project(), None);
    let mut wrong = Vec::new();
    for (path, text, replacement, own, below) in CASES {
        let mut files = project();
        let file = files.get_mut(path).unwrap();
        assert!(file.contains(text), "{path} has no `{text}`");
        *file = file.replacen(text, replacement, 1);
        let new = planned(&files, Some(&old));
        let edited = match *path {
            "models/i.sql" | "signals/ready.sql" => "db.i",
            "models/k.sql" => "db.k",
            "models/h.sql" => "db.h",
            "models/s.sql" | "seeds/s.csv" => "db.s",
            _ => "db.a",
        };
        let found = (outcome(&old, &new, edited), outcome(&old, &new, "db.c"));
        if found != ((*own).to_owned(), (*below).to_owned()) {
            wrong.push(format!(
                "{path}: `{text}` → `{replacement}`: {found:?}, not {own:?}, {below:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_place_of_the_file_and_the_name_of_the_macro_are_nothing() {
    let old = planned(&project(), None);
    let mut files = project();
    let text = files.remove("models/a.sql").unwrap();
    files.insert("models/other.sql", text);
    let new = planned(&files, Some(&old));
    for name in ["db.a", "db.c", "db.i", "db.s"] {
        assert_eq!(outcome(&old, &new, name), NOTHING, "{name}");
    }
}
