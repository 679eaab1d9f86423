//! Asks every question of `fixtures/conformance/categorization.jsonl`: an old project is in production, the new
//! one is planned, and no table may be kept whose rows the new project would not give.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::Value;

use crate::workspace::Workspace;

const RECORDS: &str = include_str!("../../fixtures/conformance/categorization.jsonl");
const NOW: &str = "2024-01-08 00:05:00";

/// Cases that cannot be asked yet, or that are mistakes, by what we answer. Each must still be refused with these words.
const NOT_SUPPORTED: &[(&str, &[&str])] = &[
    ("the property `blueprints`", &["macro/blueprint_added"]),
    ("the macro function `@IF`", &["macro/if_condition_flips"]),
    (
        "a Jinja block",
        &[
            "macro/jinja_filter_value",
            "macro/jinja_macro_value",
            "macro/jinja_same_text",
        ],
    ),
    // Written in Python.
    (
        "unknown macro function `@extra`",
        &["macro/python_macro_column"],
    ),
    (
        "the property `references`",
        &["metadata/references_added/FULL"],
    ),
    (
        "the property `session_properties`",
        &["metadata/session_properties/FULL"],
    ),
    (
        "no table that the query reads has a column `amount`",
        &["projection/drop_used/FULL", "projection/drop_used/VIEW"],
    ),
];

/// Cases where we rebuild a model that the reference keeps, and why.
const NEEDLESS: &[(&str, &[&str])] = &[
    (
        "the declared type of a column changed, and column by column is for later; the reference keeps \
         two tables with columns of the old type",
        &["metadata/column_type_declared_other/FULL"],
    ),
    (
        "a column was added below DISTINCT, where it may split rows; it does not on these data",
        &[
            "trap/distinct_plus_constant/FULL",
            "trap/distinct_plus_dependent/FULL",
            "trap/window_over_distinct/FULL",
        ],
    ),
    (
        "the new column has a name that HAVING uses already; engines differ in which of the two they mean there",
        &["trap/having_alias_capture/FULL"],
    ),
    (
        "what such a table holds follows from when and in which batches it was filled: another table is another one \
         to whoever reads it",
        &[
            "kind/inc_to_partition",
            "kind/scd_column_add_column",
            "kind/scd_column_add_column_allow",
            "kind/scd_column_list",
            "kind/scd_time_add_column",
            "projection/add_end/PART",
            "projection/add_end/UNM",
        ],
    ),
    (
        "a statement around the query may change what the query gives",
        &[
            "statement/post_statement_added",
            "statement/post_statement_removed",
            "statement/pre_statement_added",
            "statement/pre_statement_and_column",
        ],
    ),
    (
        "the engine names the column that the recursive part adds",
        &["trap/recursive_cte_column/FULL"],
    ),
];

/// Models that a plan keeps although the record says "rebuild", and why that is right.
const KEPT: &[(&str, &[(&str, &str)])] = &[(
    "a column whose cast fails is added to the model above it: the plan fails as a whole, and production \
     stays as it is",
    &[("trap/failing_projection/FULL", "m.reader")],
)];

/// Models that the reference rebuilt for nothing, in the cases that we can ask, and those that we do.
const NEEDLESS_THERE: usize = 207;
const NEEDLESS_HERE: usize = 138;

/// A command's plan, or why there is none.
enum Answer {
    Plan(BTreeMap<String, Planned>),
    Refused(String),
}

/// What a plan says of one model.
struct Planned {
    table: Option<String>,
    category: Option<String>,
    kind: String,
    reused: bool,
    reasons: String,
}

/// Our answer to one case, judged.
#[derive(Default)]
struct Verdict {
    id: String,
    /// Why there was no plan.
    refused: Option<String>,
    /// Models whose old table is kept although it is wrong.
    unsound: Vec<String>,
    /// Models that are rebuilt although nothing changes for them, and our reasons.
    needless: Vec<(String, String)>,
    /// The same for the reference.
    needless_there: Vec<String>,
}

#[test]
fn no_recorded_change_leaves_a_stale_table() {
    let verdicts = verdicts();
    assert_eq!(verdicts.len(), 211);
    let mut wrong = Vec::new();

    let unsound: BTreeSet<(&str, &str)> = verdicts
        .iter()
        .flat_map(|verdict| {
            let names = verdict.unsound.iter();
            names.map(|name| (verdict.id.as_str(), name.as_str()))
        })
        .collect();
    let kept: BTreeSet<(&str, &str)> = KEPT.iter().flat_map(|(_, cases)| *cases).copied().collect();
    if unsound != kept {
        wrong.push(format!(
            "tables kept: {unsound:?}, of which right are {kept:?}"
        ));
    }

    let refused: BTreeMap<&str, &str> = verdicts
        .iter()
        .filter_map(|verdict| Some((verdict.id.as_str(), verdict.refused.as_deref()?)))
        .collect();
    let mut expected = by_case(NOT_SUPPORTED);
    for (id, reason) in &refused {
        match expected.remove(id) {
            Some(words) if reason.contains(words) => {}
            words => wrong.push(format!("{id} is refused: {reason}; listed: {words:?}")),
        }
    }
    wrong.extend(
        expected
            .keys()
            .map(|id| format!("{id} is supported now: take it off the list")),
    );

    let mut expected = by_case(NEEDLESS);
    for verdict in &verdicts {
        let there = |name: &&(String, String)| verdict.needless_there.contains(&name.0);
        let more: Vec<_> = verdict
            .needless
            .iter()
            .filter(|name| !there(name))
            .collect();
        if !more.is_empty() && expected.remove(verdict.id.as_str()).is_none() {
            wrong.push(format!(
                "{} rebuilds more than the reference: {more:?}",
                verdict.id
            ));
        }
    }
    wrong.extend(
        expected
            .keys()
            .map(|id| format!("{id} rebuilds no more than needed: take it off the list")),
    );

    let here: usize = verdicts.iter().map(|verdict| verdict.needless.len()).sum();
    let there: usize = verdicts
        .iter()
        .map(|verdict| verdict.needless_there.len())
        .sum();
    if (here, there) != (NEEDLESS_HERE, NEEDLESS_THERE) {
        wrong.push(format!(
            "rebuilt for nothing: {here}, by the reference {there}"
        ));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The reason for each case of a list.
fn by_case(list: &[(&'static str, &[&'static str])]) -> BTreeMap<&'static str, &'static str> {
    list.iter()
        .flat_map(|(reason, cases)| cases.iter().map(|case| (*case, *reason)))
        .collect()
}

/// All cases, two at a time. Cases that share their old project share its production, which plans do not change.
fn verdicts() -> Vec<Verdict> {
    let cases: Vec<Value> = RECORDS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for case in cases {
        let key = serde_json::json!([old_files(&case), case["setup_sql"]]).to_string();
        groups.entry(key).or_default().push(case);
    }
    let queue: Mutex<VecDeque<Vec<Value>>> = Mutex::new(groups.into_values().collect());
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(group) = queue.lock().unwrap().pop_front() else {
                        break;
                    };
                    let judged = judge_group(&group);
                    verdicts.lock().unwrap().extend(judged);
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().unwrap();
    verdicts.sort_by(|a, b| a.id.cmp(&b.id));
    verdicts
}

fn judge_group(cases: &[Value]) -> Vec<Verdict> {
    let workspace = Workspace::empty();
    let old = old_files(&cases[0]);
    for (path, text) in &old {
        workspace.write(path, text);
    }
    if let Some(setup) = cases[0]["setup_sql"].as_array() {
        for statement in setup {
            workspace.execute_in("db.duckdb", statement.as_str().unwrap());
        }
    }
    let before = answer(&workspace, &["--auto-apply".to_owned()]);
    let mut present: BTreeSet<String> = old.into_keys().collect();
    let mut verdicts = Vec::new();
    for case in cases {
        let mut verdict = Verdict {
            id: case["id"].as_str().unwrap().to_owned(),
            ..Verdict::default()
        };
        let before = match &before {
            Answer::Plan(before) => before,
            Answer::Refused(reason) => {
                verdict.refused = Some(reason.clone());
                verdicts.push(verdict);
                continue;
            }
        };
        let new = new_files(case);
        for path in &present {
            workspace.remove(path);
        }
        for (path, text) in &new {
            workspace.write(path, text);
        }
        present = new.into_keys().collect();
        let options = options(case);
        match options.map_or_else(Answer::Refused, |options| answer(&workspace, &options)) {
            Answer::Plan(after) => judge(case, before, &after, &mut verdict),
            Answer::Refused(reason) => verdict.refused = Some(reason),
        }
        verdicts.push(verdict);
    }
    verdicts
}

fn judge(
    case: &Value,
    before: &BTreeMap<String, Planned>,
    after: &BTreeMap<String, Planned>,
    verdict: &mut Verdict,
) {
    let by_design = case["judgement"]["history_kept_by_design"] == true;
    let by_chance = case["column_level"]["equality_is_data_dependent"] == true;
    for (name, truth) in case["column_level"]["models"].as_object().unwrap() {
        let (Some(old), Some(new)) = (before.get(name), after.get(name)) else {
            continue;
        };
        let stored = !is_symbolic(&new.kind);
        let kept = stored && (new.reused || (new.table.is_some() && new.table == old.table));
        if truth["needs"] == "rebuild" && kept && !by_design {
            verdict.unsound.push(name.clone());
        }
        if truth["needs"] != "nothing" || by_chance || !stored {
            continue;
        }
        // To point a view at other tables is no rebuild.
        let category = new.category.as_deref().unwrap_or_default();
        if if new.kind == "VIEW" {
            is_rebuilt(category)
        } else {
            !kept
        } {
            verdict.needless.push((name.clone(), new.reasons.clone()));
        }
        let there = &case["sqlmesh"]["models"][name];
        let category = there["category"].as_str().unwrap_or_default();
        let rebuilt = if there["kind"] == "VIEW" {
            is_rebuilt(&category.to_lowercase())
        } else {
            there["reuses_old_table"] == false
        };
        if rebuilt && there["change"] != "added" {
            verdict.needless_there.push(name.clone());
        }
    }
}

fn is_rebuilt(category: &str) -> bool {
    matches!(category, "breaking" | "non_breaking" | "indirect_breaking")
}

fn is_symbolic(kind: &str) -> bool {
    matches!(kind, "EMBEDDED" | "EXTERNAL")
}

fn answer(workspace: &Workspace, options: &[String]) -> Answer {
    let mut arguments = vec!["plan", "--execution-time", NOW, "--format", "json"];
    arguments.extend(options.iter().map(String::as_str));
    let ended = workspace.run(&arguments);
    let plan: Value = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|_| panic!("stdout:\n{}\nstderr:\n{}", ended.stdout, ended.stderr));
    if ended.code == 0 {
        let models = plan["models"].as_array().unwrap().iter();
        return Answer::Plan(
            models
                .map(|model| (model["name"].as_str().unwrap().to_owned(), planned(model)))
                .collect(),
        );
    }
    let errors = plan["diagnostics"].as_array().unwrap().iter();
    let messages: Vec<&str> = errors
        .filter(|diagnostic| diagnostic["severity"] == "error")
        .map(|diagnostic| diagnostic["message"].as_str().unwrap())
        .collect();
    Answer::Refused(messages.join("; "))
}

fn planned(model: &Value) -> Planned {
    let text = |key: &str| model[key].as_str().map(str::to_owned);
    let reasons: Vec<&str> = model["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    Planned {
        table: text("table"),
        category: text("category"),
        kind: text("kind").unwrap(),
        reused: model["reused"] == true,
        reasons: reasons.join("; "),
    }
}

/// The arguments for a case's `plan_options`, or the option that we do not have.
fn options(case: &Value) -> Result<Vec<String>, String> {
    let mut arguments = Vec::new();
    for (option, value) in case["plan_options"].as_object().into_iter().flatten() {
        match option.as_str() {
            "environment" => arguments.insert(0, value.as_str().unwrap().to_owned()),
            "forward_only" => arguments.push("--forward-only".to_owned()),
            "effective_from" => {
                arguments.extend([
                    "--effective-from".to_owned(),
                    value.as_str().unwrap().to_owned(),
                ]);
            }
            "include_unmodified" => arguments.push("--include-unmodified".to_owned()),
            "start" | "end" => {
                arguments.extend([format!("--{option}"), value.as_str().unwrap().to_owned()]);
            }
            other => return Err(format!("the plan option `{other}`")),
        }
    }
    Ok(arguments)
}

fn old_files(case: &Value) -> BTreeMap<String, String> {
    files(case, "files_old")
}

fn new_files(case: &Value) -> BTreeMap<String, String> {
    files(case, "files_new")
}

fn files(case: &Value, own: &str) -> BTreeMap<String, String> {
    [&case["files_common"], &case[own]]
        .into_iter()
        .flat_map(|files| files.as_object().into_iter().flatten())
        .map(|(path, text)| (path.clone(), text.as_str().unwrap().to_owned()))
        .collect()
}
