//! People decide about categories: what a plan does with it, and who is remembered.

use crate::workspace::Ended;
use crate::workspace::Workspace;
use crate::workspace::map;

const NOW: &str = "2024-01-10";

fn workspace() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT x FROM db.a\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace
}

fn decided(workspace: &Workspace, environment: &str, categories: &[&str]) -> Ended {
    let mut arguments = vec![
        "plan",
        environment,
        "--execution-time",
        NOW,
        "--auto-apply",
        "--format",
        "json",
    ];
    for category in categories {
        arguments.extend(["--category", category]);
    }
    workspace.run(&arguments)
}

#[test]
fn a_person_may_say_that_a_change_does_not_concern_the_readers() {
    let workspace = workspace();

    let plan = decided(&workspace, "dev", &["db.a=non-breaking"]).fine();

    assert!(
        plan.stdout
            .contains("tester says that this is Non-breaking")
    );
    assert_eq!(workspace.rows("FROM db__dev.a"), [["2"]]);
    // The reader keeps the table that was built from the old `x`: that is what they asked for.
    let plan = workspace.apply("prod", NOW);
    assert!(plan.is_virtual_only());
    let reasons = plan.model("db.a")["reasons"].to_string();
    assert!(
        reasons.contains("tester says that this is Non-breaking"),
        "{reasons}"
    );
    assert_eq!(workspace.rows("FROM db.a"), [["2"]]);
    assert_eq!(workspace.rows("FROM db.b"), [["1"]]);
}

#[test]
fn a_person_may_say_that_a_change_concerns_all_readers() {
    let workspace = workspace();
    workspace.edit("models/a.sql", "2 AS x", "1 AS x, 5 AS z");

    let plan = decided(&workspace, "dev", &["db.a=breaking"]).fine();

    assert!(plan.stdout.contains("says that this is Breaking"));
    let summary: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let category = |name: &str| {
        let models = summary["models"].as_array().unwrap();
        let model = models.iter().find(|model| model["name"] == name).unwrap();
        model["category"].as_str().unwrap().to_owned()
    };
    assert_eq!(category("db.a"), "breaking");
    assert_eq!(category("db.b"), "indirect_breaking");
}

#[test]
fn where_people_want_to_decide_nothing_is_built_until_they_do() {
    for (mode, edit, asks) in [
        ("semi", "2 AS x", true),
        ("semi", "1 AS x, 5 AS z", false),
        ("off", "1 AS x, 5 AS z", true),
        ("full", "2 AS x", false),
    ] {
        let workspace = workspace();
        workspace.edit("models/a.sql", "2 AS x", edit);
        workspace.edit(
            "config.yaml",
            "model_defaults:",
            &format!("plan:\n  auto_categorize_changes:\n    sql: {mode}\nmodel_defaults:"),
        );

        let ended = decided(&workspace, "dev", &[]);

        assert_eq!(
            ended.code,
            i32::from(asks),
            "{mode} {edit}: {}",
            ended.stderr
        );
        if asks {
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(said.contains("category-needed"), "{said}");
            assert!(said.contains("--category db.a=breaking"), "{said}");
            assert!(
                workspace
                    .objects("VIEW")
                    .iter()
                    .all(|view| !view.contains("__dev"))
            );
            decided(&workspace, "dev", &["db.a=breaking"]).fine();
        }
        assert_eq!(workspace.rows("SELECT count(*) FROM db__dev.a"), [["1"]]);
    }
}

#[test]
fn a_decision_about_what_was_not_edited_is_refused() {
    let workspace = workspace();
    for (category, words) in [
        ("db.b=breaking", "was not edited"),
        ("db.c=breaking", "no model of the project"),
    ] {
        let ended = decided(&workspace, "dev", &[category]).failed();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains(words), "{said}");
    }
    let ended = decided(&workspace, "dev", &["db.a=harmless"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("neither `breaking` nor `non-breaking`")
    );
    assert_eq!(
        workspace.apply("dev", NOW).changes(),
        map([
            ("db.a", "direct/breaking"),
            ("db.b", "indirect/indirect_breaking")
        ])
    );
}
