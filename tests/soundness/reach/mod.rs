//! How far a restatement reaches, measured: queries by chance over parents of which one day changes.
//!
//! All days of a model are computed one by one, before and after the change; those that differ must be among those that
//! Siding would fill again. Of how many it would fill more than needed is counted.

mod queries;

use std::collections::BTreeSet;
use std::sync::Arc;

use duckdb::Connection;
use siding::model::Model;
use siding::model::ModelName;
use siding::model::RuntimeValues;
use siding::model::topological;
use siding::plan::Changed;
use siding::plan::Reach;
use siding::project::FileTree;
use siding::project::LoadOptions;
use siding::project::Project;
use siding::project::load;

use crate::random::Random;
use crate::reach::queries::query;

const SHORT: u64 = 80;
const LONG: u64 = 6_000;
const SEED: u64 = 20_240_201;
const DAYS: usize = 5;
/// How often something else changes for one query.
const CHANGES: usize = 5;

/// The tables that change day by day: name, columns, and the type of the time.
const PARENTS: [(&str, &str, &str); 3] = [
    ("t", "ds, id, x", "DATE"),
    ("u", "ds, id, y", "DATE"),
    ("e", "ts, id, z", "TIMESTAMP"),
];

/// What else there is to read, as models: name, kind and query.
const OTHERS: [(&str, &str, &str); 5] = [
    (
        "v",
        "VIEW",
        "SELECT ds AS day, id, x AS v FROM db.t WHERE x > 1 OR x IS NULL",
    ),
    ("w", "VIEW", "SELECT ds + 1 AS ds, id, x FROM db.t"),
    (
        "s",
        "VIEW",
        "SELECT ds, id, sum(x) AS x, (SELECT max(u.y) FROM db.u AS u WHERE u.ds = t.ds) AS y FROM db.t AS t GROUP BY ds, id",
    ),
    ("b", "VIEW", "SELECT id, max(x) AS x FROM db.t GROUP BY id"),
    ("d", "FULL", "SELECT since, id, name FROM raw.d"),
];

#[derive(Default)]
struct Found {
    cases: usize,
    refused: usize,
    why: Vec<String>,
    /// By what Siding said of the changes that could be compared: how often, and how often another day differed.
    near: usize,
    far: usize,
    far_and_differs: usize,
    stale: Vec<String>,
}

impl Found {
    fn text(&self) -> String {
        format!(
            "reach: {} queries ({} refused by DuckDB), near {}, far {} of which {} made a difference elsewhere, {} stale",
            self.cases,
            self.refused,
            self.near,
            self.far,
            self.far_and_differs,
            self.stale.len()
        )
    }
}

#[test]
fn no_day_is_stale_after_a_restatement() {
    check(crate::setting("SOUNDNESS_CASES", SHORT));
}

#[test]
#[ignore = "long: `make soundness`"]
fn no_day_is_stale_after_thousands_of_restatements() {
    check(crate::setting("SOUNDNESS_CASES", LONG));
}

fn check(cases: u64) {
    let seed = crate::setting("SOUNDNESS_SEED", SEED);
    let mut found = Found::default();
    for case in 0..cases {
        one(seed.wrapping_add(case), &mut found);
    }
    println!("{}", found.text());
    assert!(found.stale.is_empty(), "{}", found.stale.join("\n\n"));
    assert!(
        found.refused * 4 < found.cases,
        "{}\n{}",
        found.text(),
        found.why.join("\n\n")
    );
    assert!(found.near * 5 > found.near + found.far, "{}", found.text());
    assert!(found.far_and_differs * 20 > found.far, "{}", found.text());
}

fn one(seed: u64, found: &mut Found) {
    let mut random = Random::new(seed);
    let text = query(&mut random);
    let project = project(&text);
    let model = &project.models[&name("m")];
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("SET threads = 1; CREATE SCHEMA db; CREATE SCHEMA raw;")
        .unwrap();
    fill(&connection, &mut random);
    found.cases += 1;
    let before = match days(&connection, model) {
        Ok(before) => before,
        Err(error) => {
            found.refused += 1;
            found.why.push(format!("{error}\n{text}"));
            return;
        }
    };
    for _ in 0..CHANGES {
        let (parent, columns, _) = *random.pick(&PARENTS);
        if !model.depends_on.iter().any(|read| is_below(read, parent)) {
            continue;
        }
        let day = random.below(DAYS);
        connection.execute_batch("BEGIN").unwrap();
        let time = columns.split(',').next().unwrap();
        let date = date(day);
        connection
            .execute_batch(&format!(
                "DELETE FROM db.{parent} WHERE CAST({time} AS DATE) = '{date}'"
            ))
            .unwrap();
        insert(&connection, parent, day, &mut random);
        let after = days(&connection, model);
        connection.execute_batch("ROLLBACK").unwrap();
        let Ok(after) = after else { continue };
        let differs: BTreeSet<usize> = (0..DAYS).filter(|at| before[*at] != after[*at]).collect();
        let reach = reach(&project, parent);
        let again = |at: &usize| *at == day || reach.back && *at > day || reach.ahead && *at < day;
        if reach.is_far() {
            found.far += 1;
            found.far_and_differs += usize::from(differs.iter().any(|at| *at != day));
        } else {
            found.near += 1;
        }
        if let Some(stale) = differs.iter().find(|at| !again(at)) {
            found.stale.push(format!(
                "case {seed}: day {stale} is made of day {day} of db.{parent}, but {reach:?} is said of\n{text}\n\
                 before: {:?}\nafter:  {:?}",
                before[*stale], after[*stale]
            ));
            return;
        }
    }
}

fn name(table: &str) -> ModelName {
    format!("db.{table}").parse().unwrap()
}

/// Whether `read` is a table or made of it.
fn is_below(read: &ModelName, table: &str) -> bool {
    let views = OTHERS.iter().filter(|(view, _, query)| {
        name(view) == *read && format!("{query} ").contains(&format!("db.{table} "))
    });
    *read == name(table) || views.count() > 0
}

/// What Siding says of the model if one table changed, and all views of it.
fn reach(project: &Project, table: &str) -> Reach {
    let columns = |name: &ModelName| {
        let schema = project.readings.get(name)?.schema.as_ref()?;
        Some(schema.names().map(str::to_owned).collect())
    };
    let mut changed = Changed::default();
    for name in topological(&project.models) {
        if is_below(&name, table) {
            changed.add(&project.models[&name], &columns);
        }
    }
    changed.reach(&project.models[&name("m")], &columns)
}

fn project(query: &str) -> Project {
    let mut files = FileTree::default();
    let mut add = |path: String, text: String| files.insert(path, Arc::from(text));
    add(
        "config.yaml".to_owned(),
        "model_defaults: {dialect: duckdb, start: 2024-01-01}".to_owned(),
    );
    let sliced = |time: &str| format!("kind INCREMENTAL_BY_TIME_RANGE (time_column {time})");
    for (table, columns, _) in PARENTS {
        let time = columns.split(',').next().unwrap();
        let head = format!("MODEL (name db.{table}, {});", sliced(time));
        let text =
            format!("SELECT {columns} FROM raw.{table} WHERE {time} BETWEEN @start_ts AND @end_ts");
        add(format!("models/{table}.sql"), format!("{head}\n{text}"));
    }
    for (table, kind, text) in OTHERS {
        add(
            format!("models/{table}.sql"),
            format!("MODEL (name db.{table}, kind {kind});\n{text}"),
        );
    }
    add(
        "models/m.sql".to_owned(),
        format!("MODEL (name db.m, {});\n{query}", sliced("ds")),
    );
    let (project, diagnostics) = load(&files, &LoadOptions::default());
    assert!(
        project.models.contains_key(&name("m")),
        "{query}\n{diagnostics:?}"
    );
    project
}

fn date(day: usize) -> String {
    format!("2024-01-{:02}", day + 1)
}

fn fill(connection: &Connection, random: &mut Random) {
    for (table, columns, kind) in PARENTS {
        let columns: Vec<&str> = columns.split(", ").collect();
        let sql = format!(
            "CREATE TABLE db.{table} ({} {kind}, {} INT, {} INT)",
            columns[0], columns[1], columns[2]
        );
        connection.execute_batch(&sql).unwrap();
        for day in 0..DAYS {
            insert(connection, table, day, random);
        }
    }
    connection
        .execute_batch("CREATE TABLE raw.d (since DATE, id INT, name INT)")
        .unwrap();
    for day in 0..DAYS {
        let sql = format!(
            "INSERT INTO raw.d VALUES ('{}', {}, {})",
            date(day),
            random.below(3),
            random.below(4)
        );
        connection.execute_batch(&sql).unwrap();
    }
    for (table, kind, query) in OTHERS {
        let what = if kind == "VIEW" { "VIEW" } else { "TABLE" };
        let sql = format!("CREATE {what} db.{table} AS {query}");
        connection.execute_batch(&sql).unwrap();
    }
}

/// Adds some rows of one day.
fn insert(connection: &Connection, table: &str, day: usize, random: &mut Random) {
    for _ in 0..random.below(4) {
        let hour = if table == "e" {
            format!(" {:02}:30:00", random.below(24))
        } else {
            String::new()
        };
        let mut value = || match random.below(6) {
            0 => "NULL".to_owned(),
            value => value.to_string(),
        };
        let sql = format!(
            "INSERT INTO db.{table} VALUES ('{}{hour}', {}, {})",
            date(day),
            value(),
            value()
        );
        connection.execute_batch(&sql).unwrap();
    }
}

/// What each day's batch writes; `Err` where DuckDB does not take the query.
fn days(connection: &Connection, model: &Model) -> duckdb::Result<Vec<String>> {
    let query = model.query.as_ref().expect("it has a query");
    let mut rows = Vec::new();
    for day in 0..DAYS {
        let start = format!("{}T00:00:00Z", date(day)).parse().unwrap();
        let end = format!("{}T00:00:00Z", date(day + 1)).parse().unwrap();
        let values = RuntimeValues {
            range: Some((start, end)),
            execution_time: "2024-02-01T00:00:00Z".parse().unwrap(),
            this_model: None,
            runtime_stage: "evaluating",
        };
        let text = query.render(&values, model.dialect).unwrap();
        let date = date(day);
        let sql = format!(
            "SELECT coalesce(string_agg(line, ' ' ORDER BY line), '') FROM (SELECT o::VARCHAR AS line \
             FROM ({text}) AS o WHERE ds BETWEEN TIMESTAMP '{date}' AND TIMESTAMP '{date} 23:59:59.999999')"
        );
        rows.push(connection.query_row(&sql, [], |row| row.get(0))?);
    }
    Ok(rows)
}
