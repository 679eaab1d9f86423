//! Cleaning up: what nobody needs goes, everything else stays, and what is not Siding's is never touched.

use serde_json::Value;

use crate::processes::Background;
use crate::processes::StateFile;
use crate::processes::TABLES_HELD;
use crate::workspace::Workspace;

const A: &str = "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n";
const B: &str = "MODEL (name db.b, kind VIEW);\nSELECT x FROM db.a\n";
const NOW: &str = "2024-01-03";
/// Eight days later; what nobody has used since then is old.
const LATER: &str = "2024-01-11T00:00:01";

fn project() -> Workspace {
    Workspace::new(&[("models/a.sql", A), ("models/b.sql", B)])
}

fn everything(workspace: &Workspace) -> Vec<String> {
    let mut objects = workspace.objects("BASE TABLE");
    objects.extend(workspace.objects("VIEW"));
    let schemas = workspace.rows(
        "SELECT schema_name FROM information_schema.schemata
         WHERE catalog_name = 'wh' AND schema_name NOT IN ('main', 'information_schema', 'pg_catalog')",
    );
    objects.extend(schemas.into_iter().flatten());
    objects.sort();
    objects
}

/// `goes` or `stays`, and why, by object.
fn explained(workspace: &Workspace, more: &[&str]) -> Vec<(String, bool, String)> {
    let mut arguments = vec!["janitor", "--explain", "--format", "json"];
    arguments.extend(more);
    let ended = workspace.run(&arguments).fine();
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    let objects = told["objects"].as_array().unwrap().iter();
    objects
        .map(|object| {
            (
                object["object"].as_str().unwrap().to_owned(),
                object["goes"].as_bool().unwrap(),
                object["because"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[test]
fn destroy_removes_what_siding_made_and_nothing_else() {
    let workspace = project();
    workspace.execute(
        "CREATE SCHEMA db; CREATE TABLE db.mine AS SELECT 1 AS x; CREATE SCHEMA own;
         CREATE SCHEMA siding__own; CREATE TABLE siding__own.own__t__1 AS SELECT 1 AS x",
    );
    let before = everything(&workspace);
    workspace.apply("prod", NOW);
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("dev", NOW);
    assert!(everything(&workspace).len() > before.len() + 6);

    let asked = workspace.run(&["destroy"]);
    assert_eq!(asked.code, 2, "nobody is there to say yes");
    assert_eq!(workspace.rows("SELECT x FROM db.a"), [["1"]]);
    workspace.run(&["destroy", "--yes"]).fine();

    assert_eq!(everything(&workspace), before);
    let list = workspace.run(&["environments"]).fine();
    assert!(list.stdout.contains("no environments"), "{}", list.stdout);
    workspace.apply("prod", NOW);
    assert_eq!(workspace.rows("SELECT x FROM db.b"), [["2"]]);
}

#[test]
fn the_janitor_says_why_each_object_stays_or_goes_and_then_does_so() {
    let workspace = project();
    let old = workspace.apply("prod", NOW).table("db.a");
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    let new = workspace.apply("prod", NOW).table("db.a");
    workspace.edit("models/a.sql", "2 AS x", "3 AS x");
    let dev = workspace.apply("dev", NOW).table("db.a");

    let told = explained(&workspace, &["--execution-time", NOW]);
    let fate = |told: &[(String, bool, String)], name: &str| {
        let found = told.iter().find(|(object, ..)| object == name);
        let (_, goes, because) = found.unwrap_or_else(|| panic!("no {name} in {told:?}"));
        format!("{}: {because}", if *goes { "goes" } else { "stays" })
    };
    assert!(told.iter().all(|(_, goes, _)| !goes), "{told:?}");
    assert_eq!(fate(&told, &new), "stays: `prod` stands on it");
    assert_eq!(fate(&told, &dev), "stays: `dev` stands on it");
    assert_eq!(
        fate(&told, &old),
        "stays: used last at 2024-01-03 00:00, kept until 2024-01-10 00:00 for a plan that goes back"
    );
    assert_eq!(fate(&told, "db.a"), "stays: `prod` shows it, for good");

    let told = explained(&workspace, &["--execution-time", LATER]);
    assert_eq!(
        fate(&told, "db__dev.a"),
        "goes: `dev` has expired at 2024-01-10 00:00"
    );
    assert_eq!(
        fate(&told, &old),
        "goes: nobody has used it since 2024-01-03 00:00"
    );
    let goes: Vec<&String> = told
        .iter()
        .filter(|(_, goes, _)| *goes)
        .map(|(name, ..)| name)
        .collect();
    let before = everything(&workspace);
    workspace
        .run(&["janitor", "--execution-time", LATER])
        .fine();
    let after = everything(&workspace);
    for name in &before {
        let is_left = after.contains(name);
        let went = goes.contains(&name) || name == "db__dev";
        assert_eq!(is_left, !went, "{name}");
    }
    let told = explained(&workspace, &["--execution-time", LATER]);
    assert!(told.iter().all(|(_, goes, _)| !goes), "{told:?}");
    let again = workspace
        .run(&["janitor", "--execution-time", LATER])
        .fine();
    assert_eq!(again.stdout.trim(), "Nothing to remove.");
}

#[test]
pub(crate) fn a_janitor_for_one_environment_touches_no_other() {
    let workspace = project();
    workspace.apply("prod", NOW);
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("one", NOW);
    workspace.apply("two", NOW);
    workspace
        .run(&["janitor", "--environment", "one", "--execution-time", LATER])
        .fine();
    let views = workspace.objects("VIEW");
    assert!(
        !views.iter().any(|view| view.starts_with("db__one")),
        "{views:?}"
    );
    assert!(views.contains(&"db__two.a".to_owned()), "{views:?}");
    workspace
        .run(&["janitor", "--environment", "three"])
        .failed();
}

#[test]
fn what_somebody_put_in_the_place_of_a_view_is_theirs() {
    let workspace = project();
    workspace.apply("prod", NOW);
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("dev", NOW);
    workspace.execute("DROP VIEW db__dev.a; CREATE TABLE db__dev.a AS SELECT 7 AS x");
    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    assert_eq!(workspace.rows("SELECT x FROM db__dev.a"), [["7"]]);
    assert!(!workspace.objects("VIEW").contains(&"db__dev.b".to_owned()));
}

#[test]
fn the_janitor_leaves_alone_what_a_plan_uses_that_is_being_applied() {
    let slow = "MODEL (name db.a, kind FULL);
SELECT (SELECT count(*) FROM range(400000000) AS r(i) WHERE hash(i) = 0) + 2 AS x\n";
    let config = "gateways:
  one:
    connection: {type: duckdb, database: wh.duckdb}
    state_connection: {type: sqlite, database: state.db}
  two:
    connection: {type: duckdb, database: two.duckdb}
    state_connection: {type: sqlite, database: state.db}
default_gateway: one
model_defaults: {dialect: duckdb, start: 2024-01-01}
";
    let workspace = project();
    workspace.write("config.yaml", config);
    workspace.apply("prod", NOW);
    workspace.write("models/a.sql", slow);
    let state = StateFile::of(&workspace);
    let plan = ["plan", "--auto-apply", "--execution-time", NOW];
    let planning = Background::start(&workspace, &plan);
    state.wait_for(TABLES_HELD, 1);
    planning.signal("STOP");

    // Another warehouse, because a DuckDB file admits one process; the record is the same.
    workspace
        .run(&[
            "janitor",
            "--ignore-ttl",
            "--gateway",
            "two",
            "--execution-time",
            LATER,
        ])
        .fine();
    planning.signal("CONT");
    planning.ended().fine();

    assert_eq!(workspace.rows("SELECT x FROM db.b"), [["3"]]);
}
