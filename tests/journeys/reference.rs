//! What the README promises: the help texts, the JSON of a plan.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::workspace::Workspace;

const COMMANDS: [&str; 12] = [
    "init",
    "plan",
    "run",
    "render",
    "lineage",
    "environments",
    "rollback",
    "invalidate",
    "janitor",
    "info",
    "serve",
    "job",
];

#[test]
fn every_command_explains_itself() {
    let workspace = Workspace::empty();
    let mut text = workspace.run(&["--help"]).fine().stdout;
    for command in COMMANDS {
        let help = workspace.run(&[command, "--help"]).fine().stdout;
        // Options that every command takes are shown once, above.
        let own: Vec<&str> = help
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        text.push_str(&format!(
            "\n\n$ siding {command} --help\n{}",
            own.join("\n")
        ));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_readme_lists_every_command() {
    let readme = readme();
    for command in COMMANDS.iter().filter(|command| **command != "job") {
        assert!(
            readme.contains(&format!("| `{command}")),
            "the README does not list `{command}`"
        );
    }
}

#[test]
fn a_plan_has_the_keys_that_the_readme_documents() {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL, cron '@daily');\nSELECT 1 AS x\n",
        ),
        // A warning, so that there is a diagnostic to look at.
        ("tests/test_a.yaml", "test_a:\n  model: db.a\n"),
    ]);

    let plan = workspace.plan("dev", "2024-01-03").0;

    let documented = documented();
    assert_eq!(keys(&plan), keys(&documented));
    assert_eq!(keys(&plan["models"][0]), keys(&documented["models"][0]));
    assert_eq!(
        keys(&plan["models"][0]["columns"]),
        keys(&documented["models"][0]["columns"])
    );
    let diagnostic = keys(&plan["diagnostics"][0]);
    assert!(
        diagnostic.is_superset(&keys(&documented["diagnostics"][0])),
        "{diagnostic:?}"
    );
    assert_eq!(plan["version"], 1);
    let end = plan["models"][0]["backfill"][0][1].as_str().unwrap();
    assert_eq!(end, "2024-01-03T00:00:00Z", "times are UTC, ends exclusive");
}

#[test]
fn the_same_plan_has_the_same_id_and_json_is_alone_on_standard_output() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
    )]);
    let first = workspace.plan("prod", "2024-01-03").0;
    let second = workspace.plan("prod", "2024-01-03").0;
    assert_eq!(first, second);

    let applied = workspace.apply("prod", "2024-01-03").0;
    assert_eq!(
        applied["plan_id"], first["plan_id"],
        "what is applied is what was shown"
    );
}

fn readme() -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))
        .unwrap()
}

/// The JSON of a plan as the README shows it.
fn documented() -> Value {
    let readme = readme();
    let block = readme
        .split("```json")
        .nth(1)
        .expect("the README shows the JSON of a plan");
    serde_json::from_str(block.split("```").next().unwrap()).expect("the README's JSON is JSON")
}

fn keys(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}
