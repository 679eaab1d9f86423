//! `siding lineage`, and what is said of columns that mean nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::workspace::Workspace;

const RECORDS: &str = include_str!("../../fixtures/conformance/lineage.jsonl");
const CONFIG: &str = include_str!("../../fixtures/conformance/lineage_common/config.yaml");
const EXTERNAL: &str =
    include_str!("../../fixtures/conformance/lineage_common/external_models.yaml");

/// Cases that we answer in another way than the record, the columns that differ, and the reason.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("c3", "cust", USING),
    ("f_pivot", "*", PIVOT),
    ("f_pivot", "id", PIVOT),
    ("f_pivot", "x", PIVOT),
    ("f_pivot", "y", PIVOT),
    ("f_using", "id", USING),
];

const PIVOT: &str =
    "the engine names the columns that a PIVOT makes; all that it reads stands below all of them";

const USING: &str = "an inner join USING shows the left side's value; that the right side has the same one decides \
                     which rows there are";

/// Cases that cannot be asked yet, by what we answer.
const NOT_SUPPORTED: &[(&str, &str)] = &[("f_star_macro", "`@STAR` is not supported yet")];

/// Columns of tables, `table.column`, by the column that is made of them.
type Sources = BTreeMap<String, BTreeSet<String>>;

#[test]
fn recorded_lineage_is_ours() {
    let workspace = Workspace::empty();
    workspace.write("config.yaml", CONFIG);
    workspace.write("external_models.yaml", EXTERNAL);
    let cases: Vec<Value> = RECORDS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(cases.len(), 27);
    let refused: BTreeMap<&str, &str> = NOT_SUPPORTED.iter().copied().collect();
    for case in &cases {
        let (id, file) = (case["id"].as_str().unwrap(), case["file"].as_str().unwrap());
        workspace.write(file, case["model_sql"].as_str().unwrap());
        if let Some(words) = refused.get(id) {
            let ended = workspace.run(&["lineage", "m.c1"]).failed();
            assert!(ended.stderr.contains(words), "{id}: {}", ended.stderr);
            workspace.remove(file);
        }
    }

    let mut wrong = Vec::new();
    let mut different: Vec<(&str, &str)> = DIFFERENT
        .iter()
        .map(|(id, column, _)| (*id, *column))
        .collect();
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        if refused.contains_key(id) {
            continue;
        }
        let model = case["model"].as_str().unwrap();
        let lineage = ask(&workspace, &[model]);
        let mine = (one_step(&lineage, model), ultimate(&lineage, model));
        let recorded = recorded(case);
        let better = case.get("better").map(self::recorded);
        if mine == recorded || better.as_ref() == Some(&mine) {
            continue;
        }
        let names: BTreeSet<&String> = recorded.0.keys().chain(mine.0.keys()).collect();
        for name in names {
            let ours = (mine.0.get(name), mine.1.get(name));
            let theirs = (recorded.0.get(name), recorded.1.get(name));
            let listed = |known: &(&str, &str)| known.0 == id && known.1 == name;
            if ours == theirs {
                continue;
            }
            if let Some(place) = different.iter().position(listed) {
                different.remove(place);
            } else {
                wrong.push(format!("{id}.{name}: {ours:?}\n    recorded {theirs:?}"));
            }
        }
    }
    wrong.extend(
        different
            .iter()
            .map(|(id, column)| format!("{id}.{column} is as recorded: take it off the list")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One step up, and through the models.
fn recorded(case: &Value) -> (Sources, Sources) {
    let sources = |key: &str| -> Sources {
        let columns = case[key].as_object().unwrap().iter();
        columns
            .map(|(column, sources)| {
                let sources = sources.as_array().unwrap().iter();
                let sources = sources.map(|source| {
                    let part = |place: usize| source[place].as_str().unwrap().to_owned();
                    format!("{}.{}", part(0), part(1))
                });
                (column.clone(), sources.collect())
            })
            .collect()
    };
    (sources("columns"), sources("ultimate"))
}

fn ask(workspace: &Workspace, arguments: &[&str]) -> Value {
    let mut all = vec!["lineage", "--format", "json"];
    all.extend(arguments);
    serde_json::from_str(&workspace.run(&all).fine().stdout).unwrap()
}

fn list<'a>(lineage: &'a Value, key: &str) -> Vec<&'a Value> {
    lineage[key].as_array().unwrap().iter().collect()
}

/// The columns of `model`, and for each the ids of what its value reads directly.
fn one_step(lineage: &Value, model: &str) -> Sources {
    columns_of(lineage, model)
        .into_iter()
        .map(|(column, id)| (column, read_by(lineage, &id)))
        .collect()
}

/// The same down to what is made of nothing.
fn ultimate(lineage: &Value, model: &str) -> Sources {
    columns_of(lineage, model)
        .into_iter()
        .map(|(column, id)| {
            let mut ends = BTreeSet::new();
            let mut waiting = read_by(lineage, &id);
            while let Some(id) = waiting.pop_first() {
                let above = read_by(lineage, &id);
                let node = list(lineage, "nodes")
                    .into_iter()
                    .find(|node| node["id"] == id.as_str())
                    .unwrap();
                if node["kind"] == "EXTERNAL" {
                    ends.insert(id);
                }
                waiting.extend(above);
            }
            (column, ends)
        })
        .collect()
}

fn columns_of(lineage: &Value, model: &str) -> Vec<(String, String)> {
    list(lineage, "nodes")
        .into_iter()
        .filter(|node| node["model"] == model && !node["column"].is_null())
        .map(|node| {
            let text = |key: &str| node[key].as_str().unwrap().to_owned();
            (text("column"), text("id"))
        })
        .collect()
}

fn read_by(lineage: &Value, id: &str) -> BTreeSet<String> {
    edges(lineage, "value", |edge| edge["to"] == id, "from")
}

/// One end of all edges of a kind that `wanted` chooses.
fn edges(
    lineage: &Value,
    kind: &str,
    wanted: impl Fn(&Value) -> bool,
    end: &str,
) -> BTreeSet<String> {
    list(lineage, "edges")
        .into_iter()
        .filter(|edge| edge["kind"] == kind && wanted(edge))
        .map(|edge| edge[end].as_str().unwrap().to_owned())
        .collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn a_column_is_followed_through_views_and_embedded_models_to_the_files() {
    let workspace = Workspace::copy_of("projects/flights");
    let ended = workspace
        .run(&["lineage", "mart.weather_delays.average_delay"])
        .fine();
    insta::assert_snapshot!(ended.stdout, @r#"
    mart.weather_delays.average_delay
    └── fct.flights.departure_delay
        └── fct.flown.departure_delay
            └── stg.flights.departure_delay
    "#);
    assert!(
        !workspace.path().join("state.db").exists(),
        "lineage needs no state"
    );

    let diagram = workspace
        .run(&["lineage", "MART.routes.Carriers", "--format", "mermaid"])
        .fine();
    insta::assert_snapshot!(diagram.stdout, @r#"
    flowchart LR
      n0["fct.flights.carrier"]
      n1["fct.flown.carrier"]
      n2["mart.routes.carriers"]
      n3["stg.flights.carrier"]
      n0 --> n2
      n1 --> n0
      n3 --> n1
    "#);
}

#[test]
fn a_model_shows_its_columns_and_what_decides_its_rows() {
    let workspace = Workspace::copy_of("projects/flights");
    let ended = workspace.run(&["lineage", "fct.flown"]).fine();
    insta::assert_snapshot!(ended.stdout, @r#"
    fct.flown EMBEDDED
    ├── air_minutes
    │   └── stg.flights.air_minutes
    ├── arrival_delay
    │   └── stg.flights.arrival_delay
    ├── carrier
    │   └── stg.flights.carrier
    ├── departure_delay
    │   └── stg.flights.departure_delay
    ├── destination
    │   └── stg.flights.destination
    ├── distance
    │   └── stg.flights.distance
    ├── flight_date DATE
    │   └── stg.flights.flight_date
    ├── flight_number
    │   └── stg.flights.flight_number
    ├── origin
    │   └── stg.flights.origin
    ├── scheduled_hour TIMESTAMP
    │   └── stg.flights.scheduled_hour
    ├── tail_number
    │   └── stg.flights.tail_number
    └── which rows
        ├── stg.flights (which rows)
        ├── stg.flights.arrival_delay
        └── stg.flights.cancelled
    "#);
}

#[test]
fn readers_of_a_value_and_readers_for_rows_are_told_apart() {
    let workspace = Workspace::copy_of("projects/flights");
    let ended = workspace
        .run(&["lineage", "stg.flights.arrival_delay", "--downstream"])
        .fine();
    insta::assert_snapshot!(ended.stdout, @r#"
    stg.flights.arrival_delay
    ├── fct.flown.arrival_delay
    │   └── fct.flights.arrival_delay
    │       ├── fct.daily_delays.delay_minutes
    │       │   ├── mart.airport_days.average_delay
    │       │   └── mart.carrier_punctuality.average_delay
    │       ├── fct.daily_delays.longest_delay
    │       ├── fct.daily_delays.on_time_flights
    │       │   └── mart.carrier_punctuality.on_time_percent
    │       ├── mart.routes.average_delay
    │       └── mart.delay_bands (which rows)
    └── fct.flown (which rows)
        └── fct.flights (which rows)
            ├── fct.daily_delays (which rows)
            │   ├── mart.airport_days (which rows)
            │   └── mart.carrier_punctuality (which rows)
            ├── mart.delay_bands (which rows)
            ├── mart.routes (which rows)
            └── mart.weather_delays (which rows)
    "#);

    let lineage = ask(&workspace, &["stg.flights.arrival_delay", "--downstream"]);
    assert_eq!(lineage["version"], 1);
    assert_eq!(lineage["direction"], "downstream");
    let read = |kind: &str| {
        edges(
            &lineage,
            kind,
            |edge| edge["from"] == "stg.flights.arrival_delay",
            "to",
        )
    };
    assert_eq!(read("value"), set(["fct.flown.arrival_delay"]));
    assert_eq!(read("rows"), set(["rows of fct.flown"]));
}

#[test]
fn a_table_that_nobody_declares_is_shown_by_name_and_its_star_as_a_star() {
    let workspace = Workspace::new(&[
        (
            "models/named.sql",
            "MODEL (name db.named, kind VIEW);\nSELECT o.amount * 2 AS twice FROM raw.orders AS o\n",
        ),
        (
            "models/all.sql",
            "MODEL (name db.all_orders, kind VIEW);\nSELECT * FROM raw.orders\n",
        ),
        (
            "models/child.sql",
            "MODEL (name db.child, kind VIEW);\nSELECT a.amount FROM db.all_orders AS a\n",
        ),
    ]);

    let named = ask(&workspace, &["db.named.twice"]);
    assert_eq!(
        read_by(&named, "db.named.twice"),
        set(["raw.orders.amount"])
    );
    let child = ask(&workspace, &["db.child.amount"]);
    assert_eq!(
        read_by(&child, "db.child.amount"),
        set(["db.all_orders.amount"])
    );
    assert_eq!(
        read_by(&child, "db.all_orders.amount"),
        set(["raw.orders.*"])
    );

    // Whoever asks about the table's column hears of everything that may read it.
    let readers = ask(&workspace, &["raw.orders.amount", "--downstream"]);
    let reached: BTreeSet<String> = list(&readers, "nodes")
        .iter()
        .map(|node| node["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        reached,
        set([
            "db.all_orders.*",
            "db.child.amount",
            "db.named.twice",
            "raw.orders.amount"
        ])
    );
}

#[test]
fn names_that_do_not_exist_are_answered_with_the_nearest() {
    let workspace = Workspace::copy_of("projects/flights");
    let error = |arguments: &[&str]| workspace.run(arguments).failed().stderr;
    assert_eq!(
        error(&["lineage", "mart.rout"]),
        "error: there is no model `mart.rout`; did you mean `mart.routes`?\n"
    );
    assert_eq!(
        error(&["lineage", "mart.routes.carrier"]),
        "error: `mart.routes` has no column `carrier`; did you mean `carriers`?\n"
    );
    let ended = workspace.run(&["plan", "--format", "mermaid"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
}

const ORDERS: (&str, &str) = (
    "models/orders.sql",
    "MODEL (name db.orders, kind FULL);\nSELECT 1 AS id, 2.5 AS amount\n",
);

#[test]
fn a_misspelt_column_of_a_model_is_an_error_and_nothing_is_built() {
    let workspace = Workspace::new(&[
        ORDERS,
        (
            "models/revenue.sql",
            "MODEL (name db.revenue, kind INCREMENTAL_BY_TIME_RANGE (time_column day));\n\n\
             SELECT\n  @start_date AS day, SUM(o.amout) AS revenue -- o.amout\nFROM db.orders AS o\n",
        ),
    ]);

    let ended = workspace
        .run(&["plan", "--auto-apply", "--execution-time", "2024-01-03"])
        .failed();

    insta::assert_snapshot!(ended.stderr, @r#"
    error[unknown-column]: `o` has no column `amout`
     --> models/revenue.sql:4:29
      |
    4 |   @start_date AS day, SUM(o.amout) AS revenue -- o.amout
      |                             ^^^^^
      |
      = help: Did you mean `amount`?

    1 error, 0 warnings
    "#);
    assert!(!workspace.path().join("wh.duckdb").exists());
    let json = workspace
        .run(&["plan", "--format", "json", "--execution-time", "2024-01-03"])
        .failed();
    let plan: Value = serde_json::from_str(&json.stdout).unwrap();
    let found = &plan["diagnostics"][0];
    assert_eq!(found["rule"], "unknown-column");
    assert_eq!(found["file"], "models/revenue.sql");
    assert_eq!((&found["line"], &found["column"]), (&4.into(), &29.into()));
    for command in [["lineage", "db.orders"], ["render", "db.orders"]] {
        let ended = workspace.run(&command).failed();
        assert!(ended.stderr.contains("amout"), "{}", ended.stderr);
    }
}

#[test]
fn a_column_that_the_declaration_lacks_is_a_warning_since_the_table_may_have_it() {
    let workspace = Workspace::new(&[
        (
            "external_models.yaml",
            "- name: raw.orders\n  columns:\n    id: INT\n    amount: INT\n",
        ),
        (
            "models/all_orders.sql",
            "MODEL (name db.all_orders, kind VIEW);\nSELECT * FROM raw.orders\n",
        ),
        (
            "models/revenue.sql",
            "MODEL (name db.revenue, kind FULL);\nSELECT id, amont FROM db.all_orders\n",
        ),
    ]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.orders AS SELECT 1 AS id, 2 AS amount, 3 AS amont",
    );

    let plan = workspace.plan("prod", "2024-01-03").0;

    let found = &plan["diagnostics"][0];
    assert_eq!(found["severity"], "warning");
    assert_eq!(found["rule"], "unknown-column");
    assert_eq!((&found["line"], &found["column"]), (&2.into(), &12.into()));
    insta::assert_snapshot!(found["help"].as_str().unwrap(), @"Did you mean `amount`? The columns of external tables are those that the project declares; the declaration may be old.");
    workspace.apply("prod", "2024-01-03");
    assert_eq!(
        workspace.rows("SELECT * FROM db.revenue"),
        [["1".to_owned(), "3".to_owned()]],
        "the table did have it"
    );
}

#[test]
fn a_column_of_two_tables_is_refused_where_the_engine_refuses_it_and_only_there() {
    let lines = [
        // The engine refuses these.
        (
            "SELECT id FROM db.orders AS o JOIN db.more AS m ON o.id = m.id",
            false,
        ),
        (
            "SELECT 1 AS x FROM db.orders AS o, db.more AS m WHERE id = 1",
            false,
        ),
        (
            "SELECT 1 AS x FROM db.orders AS o JOIN db.more AS m ON id = 1",
            false,
        ),
        (
            "SELECT o.id FROM db.orders AS o, db.more AS m GROUP BY id",
            false,
        ),
        ("SELECT sum(id) FROM db.orders AS o, db.more AS m", false),
        (
            "SELECT o.id AS id FROM db.orders AS o, db.more AS m WHERE id = 1",
            false,
        ),
        (
            "SELECT o.id AS id, count(*) AS n FROM db.orders AS o, db.more AS m GROUP BY id",
            false,
        ),
        (
            "SELECT o.id AS id, id + 1 AS next FROM db.orders AS o, db.more AS m",
            false,
        ),
        ("SELECT o.nothing FROM db.orders AS o", false),
        // And takes these.
        (
            "SELECT o.id AS id, count(*) AS n FROM db.orders AS o, db.more AS m GROUP BY o.id HAVING o.id = 1",
            true,
        ),
        ("SELECT o FROM db.orders AS o", true),
        (
            "WITH c AS (SELECT nothing FROM db.orders) SELECT id FROM db.orders",
            true,
        ),
        (
            "WITH c AS (SELECT nothing FROM db.orders), d AS (FROM c) SELECT id FROM d",
            false,
        ),
        ("SELECT id FROM db.orders JOIN db.more USING (id)", true),
        ("SELECT id FROM db.orders NATURAL JOIN db.more", true),
        (
            "SELECT o.id FROM db.orders AS o, db.more AS m ORDER BY id",
            true,
        ),
        (
            "SELECT id FROM db.orders AS o SEMI JOIN db.more AS m ON o.id = m.id",
            true,
        ),
        (
            "SELECT id FROM db.orders AS o WHERE EXISTS (SELECT id FROM db.more WHERE o.id = 1)",
            true,
        ),
        (
            "SELECT o.id, x FROM db.orders AS o, LATERAL (SELECT id AS x) AS m",
            true,
        ),
    ];
    let warehouse = duckdb::Connection::open_in_memory().unwrap();
    warehouse
        .execute_batch("CREATE SCHEMA db; CREATE TABLE db.orders AS SELECT 1 AS id, 2.5 AS amount; CREATE TABLE db.more AS SELECT 1 AS id, 3 AS other")
        .unwrap();
    let workspace = Workspace::new(&[
        ORDERS,
        (
            "models/more.sql",
            "MODEL (name db.more, kind FULL);\nSELECT 1 AS id, 3 AS other\n",
        ),
    ]);
    let mut wrong = Vec::new();
    for (sql, is_fine) in lines {
        let engine = warehouse.prepare(sql).map(drop);
        workspace.write(
            "models/reader.sql",
            &format!("MODEL (name db.reader, kind VIEW);\n{sql}\n"),
        );
        let ended = workspace.run(&["render", "db.reader"]);
        if engine.is_ok() != is_fine || (ended.code == 0) != is_fine {
            wrong.push(format!("{sql}\n  {engine:?}\n  {}", ended.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_plan_says_the_types_of_columns_and_how_they_change() {
    let workspace = Workspace::new(&[
        ORDERS,
        (
            "models/totals.sql",
            "MODEL (name db.totals, kind FULL);\nSELECT id, sum(id) AS total FROM db.orders GROUP BY id\n",
        ),
    ]);
    workspace.apply("prod", "2024-01-03");
    workspace.edit("models/orders.sql", "1 AS id", "1::BIGINT AS id");
    workspace.edit(
        "models/totals.sql",
        "sum(id) AS total",
        "sum(id) AS total, sum(id * 1.5) AS more",
    );

    let plan = workspace.plan("dev", "2024-01-03");

    let reasons = |name: &str| plan.model(name)["reasons"].to_string();
    let words = "the type of column `id` changes: INTEGER → BIGINT";
    assert!(
        reasons("db.orders").contains(words),
        "{}",
        reasons("db.orders")
    );
    assert!(
        reasons("db.totals").contains(words),
        "{}",
        reasons("db.totals")
    );
    assert_eq!(
        plan.model("db.orders")["schema"],
        serde_json::json!([
            { "name": "id", "type": "BIGINT" },
            { "name": "amount", "type": "DECIMAL(2,1)" },
        ])
    );
    let text = workspace
        .run(&[
            "plan",
            "dev",
            "--execution-time",
            "2024-01-03",
            "--no-prompts",
        ])
        .fine()
        .stdout;
    let more = text.lines().find(|line| line.contains("+ more")).unwrap();
    assert!(more.ends_with("+ more DECIMAL(38,1)"), "{text}");

    // What is as before has no types to talk about.
    workspace.apply("dev", "2024-01-03");
    let again = workspace.plan("dev", "2024-01-03");
    assert!(again.model("db.orders")["schema"].is_null());
}
