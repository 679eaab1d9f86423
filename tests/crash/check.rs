//! What must be so after a kill, and after the command that was repeated.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::project::OF_DAYS;
use crate::project::UNIQUE;
use crate::world::Look;
use crate::world::Rows;

/// The tables that each view of an environment shows, by view.
type Views = BTreeMap<String, String>;

const DAY: i64 = 24 * 60 * 60 * 1000;
/// 2024-01-01.
const FIRST: i64 = 1_704_067_200_000;

/// `schema.name` of what an environment shows, with the name of its version's table.
pub(crate) fn views(look: &mut Look) -> Views {
    let own = own_tables(look);
    let former = former_views(look);
    let mut shown = environment_views(look);
    // PostgreSQL shows what a view reads by the name that it has now.
    for table in shown.values_mut() {
        while let Some(read) = former.get(table) {
            table.clone_from(read);
        }
        if let Some(version) = own.get(table) {
            table.clone_from(version);
        }
    }
    shown.extend(own);
    shown
}

/// The views that stood in for a table and were renamed when it came back, with what they read.
fn former_views(look: &mut Look) -> Views {
    if look.is_duckdb() {
        return Views::new();
    }
    let sql = "SELECT schemaname || '.' || viewname, definition FROM pg_views WHERE viewname LIKE 'siding_former_%'";
    let rows = look.rows(sql).into_iter();
    rows.map(|row| (row[0].clone(), table_in(&row[1])))
        .collect()
}

/// The tables that stand under their models' own names, with the views that have the names of their versions.
fn own_tables(look: &mut Look) -> Views {
    let sql = if look.is_duckdb() {
        "SELECT schema_name || '.' || view_name, sql FROM duckdb_views() WHERE schema_name = 'siding__db'"
    } else {
        "SELECT schemaname || '.' || viewname, definition FROM pg_views WHERE schemaname = 'siding__db'
         AND viewname NOT LIKE 'siding_former_%'"
    };
    let mut shown = Views::new();
    for row in look.rows(sql) {
        let plain = row[1].replace('"', "");
        let Some((_, table)) = plain.rsplit_once("FROM db.") else {
            continue;
        };
        let name = table.trim_end().trim_end_matches(';');
        // A VIEW model's own view may read tables under these names, too.
        if !row[0].starts_with(&format!("siding__db.db__{name}__")) {
            continue;
        }
        let other = shown.insert(format!("db.{name}"), row[0].clone());
        assert!(other.is_none(), "two versions are shown as `db.{name}`");
    }
    shown
}

fn environment_views(look: &mut Look) -> Views {
    let sql = if look.is_duckdb() {
        "SELECT schema_name || '.' || view_name, sql FROM duckdb_views() WHERE schema_name = 'db' OR schema_name LIKE 'db\\_\\_%' ESCAPE '\\'"
    } else {
        "SELECT schemaname || '.' || viewname, definition FROM pg_views WHERE schemaname = 'db' OR schemaname LIKE 'db\\_\\_%'"
    };
    let rows = look.rows(sql).into_iter();
    rows.map(|row| (row[0].clone(), table_in(&row[1])))
        .collect()
}

/// `schema.name` of the physical table that a view's text names.
fn table_in(text: &str) -> String {
    let plain = text.replace('"', "");
    let own = || plain.rfind("FROM db.").map(|from| from + "FROM ".len());
    let from = plain.rfind("siding__").or_else(own);
    let from = from.unwrap_or_else(|| panic!("no table in {text}"));
    plain[from..]
        .chars()
        .take_while(|c| c.is_alphanumeric() || "_.".contains(*c))
        .collect()
}

/// What each promotion of each environment shows.
fn promotions(look: &mut Look) -> BTreeMap<String, Vec<Views>> {
    let mut all: BTreeMap<String, Vec<Views>> = BTreeMap::new();
    for row in look.state("SELECT environment, snapshots FROM siding_promotions ORDER BY id") {
        let schema = match row[0].as_str() {
            "prod" => "db".to_owned(),
            other => format!("db__{other}"),
        };
        let entries: Value = serde_json::from_str(&row[1]).unwrap();
        let shown = entries
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["view"] == true);
        let views = shown.map(|entry| {
            let name = entry["id"]["name"].as_str().unwrap().replace('"', "");
            let name = name.rsplit('.').next().unwrap().to_owned();
            let [of, table] = ["schema", "name"].map(|part| entry["table"][part].as_str().unwrap());
            (format!("{schema}.{name}"), format!("{of}.{table}"))
        });
        let views = views.collect();
        all.entry(schema).or_default().push(views);
    }
    all
}

/// All views of an environment are of one promotion. While `removed` goes, some of its views may be gone.
pub(crate) fn one_promotion(look: &mut Look, removed: Option<&str>) -> Result<(), String> {
    let promotions = promotions(look);
    let mut shown: BTreeMap<String, Views> = BTreeMap::new();
    for (view, table) in views(look) {
        let schema = view.split('.').next().unwrap().to_owned();
        shown.entry(schema).or_default().insert(view, table);
    }
    for (schema, views) in shown {
        let known = promotions.get(&schema).cloned().unwrap_or_default();
        let goes = removed.is_some_and(|name| schema == format!("db__{name}"));
        let is_of = |promotion: &Views| {
            views == *promotion
                || (goes
                    && views
                        .iter()
                        .all(|(view, table)| promotion.get(view) == Some(table)))
        };
        if !known.iter().any(is_of) {
            return Err(format!(
                "the views of `{schema}` are of no promotion: {views:#?}"
            ));
        }
    }
    Ok(())
}

/// Each day that counts as filled has rows, and no row is there twice, in any table. Comes back: whether days have rows
/// that do not count as filled.
pub(crate) fn claims(look: &mut Look) -> Result<bool, String> {
    let mut unrecorded = false;
    let intervals = look
        .state("SELECT name, version, start_at, end_at, removed FROM siding_intervals ORDER BY id");
    let mut filled: BTreeMap<(String, String), BTreeSet<i64>> = BTreeMap::new();
    for row in intervals {
        let [start, end] = [&row[2], &row[3]].map(|text| text.parse::<i64>().unwrap());
        let days = filled.entry((row[0].clone(), row[1].clone())).or_default();
        for day in (start - FIRST) / DAY..(end - FIRST) / DAY {
            if ["1", "t", "true"].contains(&row[4].as_str()) {
                days.remove(&day);
            } else {
                days.insert(day);
            }
        }
    }
    let there: BTreeSet<String> = objects(look).into_iter().map(|(name, _)| name).collect();
    let tables = look.state(
        "SELECT name, version, table_schema || '.' || table_name FROM siding_objects
         WHERE dropped_at IS NULL AND table_name NOT LIKE 'siding_batch_%' AND table_name NOT LIKE 'siding_former_%'",
    );
    for row in tables {
        let model = row[0]
            .replace('"', "")
            .rsplit('.')
            .next()
            .unwrap()
            .to_owned();
        let table = quoted(&row[2]);
        let claimed = filled
            .remove(&(row[0].clone(), row[1].clone()))
            .unwrap_or_default();
        if !there.contains(&row[2]) {
            if claimed.is_empty() {
                continue;
            }
            return Err(format!("`{}` counts as filled and is not there", row[2]));
        }
        if let Some((_, key)) = UNIQUE.iter().find(|(name, _)| *name == model) {
            let counted = look.rows(&format!(
                "SELECT count(*), count(DISTINCT {key}) FROM {table}"
            ));
            if counted[0][0] != counted[0][1] {
                return Err(format!(
                    "`{}` has {} rows with {} keys",
                    row[2], counted[0][0], counted[0][1]
                ));
            }
        }
        if OF_DAYS.contains(&model.as_str()) {
            let days = look.rows(&format!(
                "SELECT DISTINCT day - DATE '2024-01-01' FROM {table}"
            ));
            let days: BTreeSet<i64> = days.iter().map(|row| row[0].parse().unwrap()).collect();
            unrecorded |= !days.is_subset(&claimed);
            let hollow: Vec<&i64> = claimed.difference(&days).collect();
            if !hollow.is_empty() {
                return Err(format!(
                    "`{}` counts as filled and has no rows of the days {hollow:?}",
                    row[2]
                ));
            }
        }
    }
    Ok(unrecorded)
}

fn quoted(table: &str) -> String {
    let (schema, name) = table.split_once('.').unwrap();
    format!("\"{schema}\".\"{name}\"")
}

/// Every table and view of the warehouse that is not the source's or the state's, with its kind.
pub(crate) fn objects(look: &mut Look) -> BTreeSet<(String, String)> {
    let rows = if look.is_duckdb() {
        look.rows(
            "SELECT table_schema || '.' || table_name, CASE table_type WHEN 'VIEW' THEN 'v' ELSE 'r' END
             FROM information_schema.tables WHERE table_schema NOT IN ('raw', 'information_schema', 'pg_catalog')",
        )
    } else {
        look.rows(
            "SELECT nspname || '.' || relname, relkind FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
             WHERE relkind IN ('r', 'v', 'm') AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'siding', 'raw')",
        )
    };
    rows.into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect()
}

/// Every schema that is not the source's, the state's or the engine's.
pub(crate) fn schemas(look: &mut Look) -> Rows {
    look.rows(
        "SELECT DISTINCT schema_name FROM information_schema.schemata
         WHERE schema_name LIKE 'db%' OR schema_name LIKE 'siding\\_\\_%' ESCAPE '\\' ORDER BY 1",
    )
}

/// Whatever is in the warehouse is in the ledger. What an earlier release made is in its history at least.
pub(crate) fn ledger(look: &mut Look) -> Result<(), String> {
    let known = look.state(
        "SELECT table_schema || '.' || table_name FROM siding_ledger WHERE dropped_at IS NULL",
    );
    let mut known: BTreeSet<String> = known.into_iter().map(|row| row[0].clone()).collect();
    for views in promotions(look).into_values().flatten() {
        known.extend(views.into_keys());
    }
    let lost: Vec<String> = objects(look)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !known.contains(name))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(format!("the ledger lacks {lost:?}"))
}

/// The rows of every view of every environment, sorted.
pub(crate) fn contents(look: &mut Look) -> BTreeMap<String, Rows> {
    let names: Vec<String> = views(look).into_keys().collect();
    names
        .into_iter()
        .map(|name| {
            let mut rows = look.rows(&format!("SELECT * FROM {name}"));
            rows.sort();
            (name, rows)
        })
        .collect()
}

/// What differs between two, in words; nothing when they are equal.
pub(crate) fn difference(
    calm: &BTreeMap<String, Rows>,
    killed: &BTreeMap<String, Rows>,
) -> Option<String> {
    let names: BTreeSet<&String> = calm.keys().chain(killed.keys()).collect();
    let differing = names
        .into_iter()
        .filter(|name| calm.get(*name) != killed.get(*name));
    let words = differing.map(|name| {
        let show = |rows: Option<&Rows>, other: Option<&Rows>| match rows {
            None => "no such view".to_owned(),
            Some(rows) => {
                let only = rows
                    .iter()
                    .filter(|row| other.is_none_or(|other| !other.contains(row)));
                let only: Vec<String> = only.take(8).map(|row| row.join(" ")).collect();
                format!("{} rows, of its own {only:?}", rows.len())
            }
        };
        let (one, other) = (calm.get(name), killed.get(name));
        format!(
            "  {name}: never killed {}; killed {}",
            show(one, other),
            show(other, one)
        )
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join("\n"))
}
