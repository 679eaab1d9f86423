//! Whatever was planned, kept and switched on the way: production shows what the same project gives when it is
//! built from scratch in another folder.

mod changes;
mod environments;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::workspace::CONFIG;
use crate::workspace::Workspace;

const MONDAY: &str = "2024-01-08 00:05:00";
const FRIDAY: &str = "2024-01-12 00:05:00";

/// A file and its text; an empty text removes the file.
type File = (&'static str, &'static str);

/// What happens to a project.
enum Step {
    Edit(&'static [File]),
    Plan(&'static str),
    PlanWith(&'static [&'static str]),
    /// Any other command.
    Command(&'static [&'static str]),
    /// The time of everything from here on.
    Clock(&'static str),
    /// By hand, in the warehouse.
    Sql(&'static str),
}
use Step::Clock;
use Step::Command;
use Step::Edit;
use Step::Plan;
use Step::PlanWith;
use Step::Sql;

const SEED: File = (
    "models/o.sql",
    "MODEL (name db.o, kind SEED (path '../seeds/o.csv'), columns (id INT, k INT, v INT, ds DATE));",
);
const ROWS: File = (
    "seeds/o.csv",
    "id,k,v,ds\n1,1,5,2024-01-01\n2,1,,2024-01-02\n3,2,7,2024-01-03\n4,2,7,2024-01-05\n5,,9,2024-01-06\n\
     6,3,1,2024-01-07\n7,3,2,2024-01-08\n8,1,4,2024-01-09\n9,2,8,2024-01-10\n10,1,3,2024-01-11\n",
);

/// A parent in three versions: the first, one with a column more, one with other rows.
const A: File = (
    "models/a.sql",
    "MODEL (name db.a, kind FULL);\nSELECT id, k, v, ds FROM db.o",
);
const A_WIDER: File = (
    "models/a.sql",
    "MODEL (name db.a, kind FULL);\nSELECT id, k, v, v * 2 AS z, ds FROM db.o",
);
const A_OTHER: File = (
    "models/a.sql",
    "MODEL (name db.a, kind FULL);\nSELECT id, k, v + 1 AS v, ds FROM db.o WHERE id <> 3",
);

/// What fresh builds of projects show: by day, files and what was done by hand.
#[derive(Default)]
struct Fresh(BTreeMap<String, Shown>);

/// The columns and rows of each view.
type Shown = BTreeMap<String, Vec<Vec<String>>>;

impl Fresh {
    /// What another folder with the same files shows, built from nothing.
    fn build(&mut self, workspace: &Workspace, by_hand: &[&str], now: &str) -> &Shown {
        let files = project_files(workspace);
        let key = format!("{now} {files:?} {by_hand:?}");
        self.0.entry(key).or_insert_with(|| {
            let other = Workspace::empty();
            for (path, text) in &files {
                other.write(path, text);
            }
            for sql in by_hand {
                other.execute(sql);
            }
            other.apply("prod", now);
            shown(&other)
        })
    }
}

fn project_files(workspace: &Workspace) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for folder in ["", "models/", "seeds/"] {
        let Ok(entries) = std::fs::read_dir(workspace.path().join(folder)) else {
            continue;
        };
        for entry in entries.map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if [".sql", ".csv", ".yaml"]
                .iter()
                .any(|end| name.ends_with(end))
            {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                files.insert(format!("{folder}{name}"), text);
            }
        }
    }
    files
}

/// Each view of production with its columns and its rows, sorted.
fn shown(workspace: &Workspace) -> Shown {
    let views: BTreeSet<String> = workspace
        .objects("VIEW")
        .into_iter()
        .filter(|view| !view.starts_with("siding__") && !view.contains("__d"))
        .collect();
    views
        .into_iter()
        .map(|view| {
            let (schema, name) = view.split_once('.').unwrap();
            let mut rows = workspace.rows(&format!("FROM {schema}.{name}"));
            rows.sort();
            let columns = workspace.rows(&format!(
                "SELECT column_name, data_type FROM information_schema.columns \
                 WHERE table_schema = '{schema}' AND table_name = '{name}' ORDER BY ordinal_position"
            ));
            rows.insert(0, columns.concat());
            (view, rows)
        })
        .collect()
}

/// Plays the steps; after each plan of production its rows must be those of a fresh build, on Monday and on Friday.
fn play(title: &str, steps: &[Step], fresh: &mut Fresh) -> Vec<String> {
    let workspace = Workspace::new(&[SEED, ROWS]);
    workspace.write("config.yaml", CONFIG);
    let mut by_hand = Vec::new();
    let mut wrong = Vec::new();
    let mut compare = |workspace: &Workspace, by_hand: &[&str], now: &str, place: &str| {
        let (found, expected) = (shown(workspace), fresh.build(workspace, by_hand, now));
        for (view, rows) in expected {
            if found.get(view) != Some(rows) {
                wrong.push(format!(
                    "{title}, {place}: {view}\n  shows   {:?}\n  instead {rows:?}",
                    found.get(view)
                ));
            }
        }
        for view in found.keys().filter(|view| !expected.contains_key(*view)) {
            wrong.push(format!("{title}, {place}: {view} is still there"));
        }
    };
    let mut clock = MONDAY;
    for (index, step) in steps.iter().enumerate() {
        let place = format!("step {index}");
        match step {
            Edit(edits) => {
                for (path, text) in *edits {
                    if text.is_empty() {
                        workspace.remove(path);
                    } else {
                        workspace.write(path, text);
                    }
                }
            }
            Plan(environment) => {
                let ended = workspace.run(&[
                    "plan",
                    environment,
                    "--execution-time",
                    clock,
                    "--format",
                    "json",
                    "--auto-apply",
                ]);
                assert_eq!(
                    ended.code, 0,
                    "{title}, {place}: {} {}",
                    ended.stdout, ended.stderr
                );
                // A plan does not catch up with the clock: later only a run makes production complete.
                if *environment == "prod" && clock == MONDAY {
                    compare(&workspace, &by_hand, MONDAY, &place);
                }
            }
            PlanWith(options) => {
                let mut arguments = vec![
                    "plan",
                    "--execution-time",
                    MONDAY,
                    "--format",
                    "json",
                    "--auto-apply",
                ];
                arguments.extend(*options);
                workspace.run(&arguments).fine();
            }
            Command(arguments) => {
                workspace.run(arguments).fine();
            }
            Clock(time) => clock = time,
            Sql(sql) => {
                workspace.execute(sql);
                by_hand.push(*sql);
            }
        }
    }
    workspace.run(&["run", "--execution-time", FRIDAY]).fine();
    compare(&workspace, &by_hand, FRIDAY, "on Friday");
    wrong
}

/// Two ways of a project's versions into production: each through `dev`, and all of them through one `dev` that
/// production gets at the end.
fn every_way(title: &str, versions: &[&'static [File]]) -> Vec<String> {
    let mut one_by_one = Vec::new();
    let mut at_once = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        one_by_one.extend([Edit(version), Plan("dev"), Plan("prod")]);
        at_once.extend([Edit(version), Plan(if index == 0 { "prod" } else { "dev" })]);
    }
    at_once.push(Plan("prod"));
    let mut fresh = Fresh::default();
    [("through dev", one_by_one), ("at once", at_once)]
        .into_iter()
        .flat_map(|(way, steps)| play(&format!("{title}, {way}"), &steps, &mut fresh))
        .collect()
}

#[track_caller]
fn like_fresh(title: &str, versions: &[&'static [File]]) {
    let wrong = every_way(title, versions);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The versions straight into production, one after another.
#[track_caller]
fn straight_like_fresh(title: &str, versions: &[&'static [File]]) {
    let steps: Vec<Step> = versions
        .iter()
        .flat_map(|version| [Edit(version), Plan("prod")])
        .collect();
    let wrong = play(title, &steps, &mut Fresh::default());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
