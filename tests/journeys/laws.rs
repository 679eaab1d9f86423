//! What holds for whole lives of a project, whatever its data and whenever it runs; every kind of model is in it.

use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest::test_runner::TestRunner;

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    often_or_once_the_rows_are_the_same_and_nothing_is_missing,
    built_in_dev_and_promoted_is_built_in_production_and_back_and_forth_is_nothing,
}

const DAYS: u32 = 5;
const CONDITION: &str = "day BETWEEN @start_ds AND @end_ds";

/// Key, value and day of January; no two have the same key and day.
type Event = (Option<u8>, Option<u8>, u32);

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (
        proptest::option::weighted(0.8, 0u8..3),
        proptest::option::weighted(0.8, 0u8..3),
        1..=DAYS,
    );
    proptest::collection::vec(event, 0..12).prop_map(|events| {
        let mut events: Vec<Event> = events;
        events.sort_by_key(|(id, _, day)| (*id, *day));
        events.dedup_by_key(|(id, _, day)| (*id, *day));
        events
    })
}

/// The mornings on which something runs, the last one after all days; and the most days of a batch.
fn mornings() -> impl Strategy<Value = (Vec<u32>, u32)> {
    let some = proptest::collection::btree_set(2..=DAYS, 0..3);
    (some, 1u32..4).prop_map(|(some, batch)| {
        let mut mornings: Vec<u32> = some.into_iter().collect();
        mornings.push(DAYS + 1);
        (mornings, batch)
    })
}

fn date(day: u32) -> String {
    format!("2024-01-{day:02}")
}

/// One model of each kind over `raw.events`, and readers of some.
fn models(batch_size: u32) -> Vec<(&'static str, String)> {
    let all = format!("SELECT id, v, day FROM raw.events WHERE {CONDITION}");
    let latest = format!(
        "SELECT id, v, day FROM (SELECT id, v, day, row_number() OVER (PARTITION BY id ORDER BY day DESC) AS nth
         FROM raw.events WHERE {CONDITION}) AS e WHERE nth = 1"
    );
    let size = format!("batch_size {batch_size}");
    let model = |name, kind: String, query: &str| {
        (
            name,
            format!("MODEL (name db.{name}, kind {kind});\n{query}\n"),
        )
    };
    let history = "updated_at_name day, time_data_type DATE, ";
    vec![
        model("plain", "FULL".to_owned(), "SELECT id, v, day FROM raw.events"),
        model("times", format!("INCREMENTAL_BY_TIME_RANGE (time_column day, {size})"), &all),
        model("keyed", format!("INCREMENTAL_BY_UNIQUE_KEY (unique_key id, {size})"), &latest),
        model(
            "matched",
            format!(
                "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, {size}, when_matched (WHEN MATCHED AND source.day >= target.day
                 THEN UPDATE SET v = source.v, day = source.day))"
            ),
            &latest,
        ),
        model("parts", "INCREMENTAL_BY_PARTITION, partitioned_by day".to_owned(), &all),
        model("added", "INCREMENTAL_UNMANAGED".to_owned(), &all),
        model(
            "by_time",
            format!("SCD_TYPE_2_BY_TIME (unique_key id, {history}{size})"),
            &all,
        ),
        model(
            "by_column",
            format!("SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v], execution_time_as_valid_from true, {history}{size})"),
            &all,
        ),
        model(
            "held",
            "VIEW (materialized true)".to_owned(),
            "SELECT t.id, t.day, k.v FROM db.times AS t LEFT JOIN db.keyed AS k ON k.id = t.id",
        ),
        model("shown", "VIEW".to_owned(), "SELECT id, v FROM db.held WHERE v IS NOT NULL"),
    ]
}

struct Life {
    workspace: Workspace,
    names: Vec<&'static str>,
}

impl Life {
    fn new(events: &[Event], models: &[(&'static str, String)]) -> Self {
        let workspace = Workspace::new(&[(
            "external_models.yaml",
            "- name: raw.events\n  columns:\n    id: INT\n    v: INT\n    day: DATE\n",
        )]);
        let mut sql =
            "CREATE SCHEMA raw; CREATE TABLE raw.events (id INT, v INT, day DATE);".to_owned();
        let value = |value: &Option<u8>| value.map_or("NULL".to_owned(), |it| it.to_string());
        for (id, v, day) in events {
            let (id, v, day) = (value(id), value(v), date(*day));
            sql += &format!("INSERT INTO raw.events VALUES ({id}, {v}, '{day}');");
        }
        workspace.execute(&sql);
        let life = Self {
            workspace,
            names: models.iter().map(|(name, _)| *name).collect(),
        };
        life.write(models);
        life
    }

    fn write(&self, models: &[(&'static str, String)]) {
        for (name, text) in models {
            self.workspace.write(&format!("models/{name}.sql"), text);
        }
    }

    fn run(&self, now: &str) -> String {
        let run = ["run", "--execution-time", now];
        self.workspace.run(&run).fine().stdout
    }

    /// The rows that an environment's schema shows, by model.
    fn rows(&self, schema: &str) -> Vec<(&'static str, Vec<String>)> {
        let rows = |name: &&'static str| {
            let rows = self.workspace.rows(&format!("FROM {schema}.{name}"));
            let mut rows: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
            rows.sort();
            (*name, rows)
        };
        self.names.iter().map(rows).collect()
    }
}

fn check<S: Strategy>(strategy: &S, law: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: 3,
        max_shrink_iters: 12,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config).run(strategy, law).unwrap();
}

fn often_or_once_the_rows_are_the_same_and_nothing_is_missing() {
    check(
        &(events(), mornings()),
        |(events, (mornings, batch_size))| {
            let end = date(DAYS + 1);
            let once = Life::new(&events, &models(31));
            once.workspace.apply("prod", &end);
            let often = Life::new(&events, &models(batch_size));
            often.workspace.apply("prod", &date(mornings[0]));
            for morning in &mornings {
                often.run(&date(*morning));
            }
            prop_assert_eq!(once.rows("db"), often.rows("db"), "mornings {:?}", mornings);

            for life in [&once, &often] {
                let before = life.rows("db");
                let said = life.run(&end);
                prop_assert!(said.contains("Nothing is due"), "{}", said);
                let plan = life.workspace.plan("prod", &end);
                prop_assert_eq!(plan.backfilled(), Vec::<String>::new());
                prop_assert_eq!(life.rows("db"), before, "a second time changes nothing");
            }
            Ok(())
        },
    );
}

fn built_in_dev_and_promoted_is_built_in_production_and_back_and_forth_is_nothing() {
    // Of histories and of what is only added, rows are kept over a change: they are left as they are.
    let edits = proptest::sample::subsequence(vec!["plain", "times", "keyed", "held"], 1..=4);
    check(&(events(), edits), |(events, edits)| {
        let end = date(DAYS + 1);
        let old = models(2);
        let new: Vec<(&str, String)> = old
            .iter()
            .map(|(name, text)| {
                let text = match *name {
                    "held" if edits.contains(name) => text.replace("k.v FROM", "k.v + 1 AS v FROM"),
                    _ if edits.contains(name) => text.replacen("id, v,", "id, v + 1 AS v,", 1),
                    _ => text.clone(),
                };
                (*name, text)
            })
            .collect();
        let life = Life::new(&events, &old);
        life.workspace.apply("prod", &end);
        let before = life.rows("db");
        life.write(&new);
        let all = [
            "plan",
            "dev",
            "--auto-apply",
            "--include-unmodified",
            "--execution-time",
            &end,
        ];
        life.workspace.run(&all).fine();
        prop_assert_eq!(life.rows("db"), before.clone(), "production waits");
        let in_dev = life.rows("db__dev");
        let plan = life.workspace.apply("prod", &end);
        prop_assert!(plan.is_virtual_only(), "{:?}", plan.backfilled());

        let direct = Life::new(&events, &new);
        direct.workspace.apply("prod", &end);
        let after = life.rows("db");
        prop_assert_eq!(&after, &direct.rows("db"));
        prop_assert_eq!(&after, &in_dev);

        life.workspace.run(&["rollback", "prod"]).fine();
        prop_assert_eq!(life.rows("db"), before);
        life.workspace.forward("prod");
        prop_assert_eq!(life.rows("db"), after);
        let plan = life.workspace.plan("prod", &end);
        prop_assert!(
            plan.changes()
                .values()
                .all(|change| change == "unchanged/-")
        );
        Ok(())
    });
}
