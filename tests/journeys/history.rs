//! What an environment showed, and going back step by step.

use serde_json::Value;

use crate::workspace::Workspace;

const NOW: &str = "2024-01-06";

/// `db.a` is 1, then 2, then 3 in production, each with its plan's id.
fn three() -> (Workspace, Vec<String>) {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT 7 AS y\n",
        ),
    ]);
    let mut plans = Vec::new();
    for (from, to) in [("1 AS", "1 AS"), ("1 AS", "2 AS"), ("2 AS", "3 AS")] {
        workspace.edit("models/a.sql", from, to);
        let plan = workspace.apply("prod", NOW);
        plans.push(plan.0["plan_id"].as_str().unwrap().to_owned());
    }
    (workspace, plans)
}

fn history(workspace: &Workspace) -> Vec<Value> {
    let all = ["environments", "--history", "prod", "--format", "json"];
    let history: Value = serde_json::from_str(&workspace.run(&all).fine().stdout).unwrap();
    history["promotions"].as_array().unwrap().clone()
}

#[test]
fn rolling_back_twice_goes_two_steps_back_and_never_forward_again() {
    let (workspace, _) = three();
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(workspace.rows("FROM db.a"), [["2"]]);
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
    let ended = workspace.run(&["rollback", "prod"]).failed();
    let said = "`prod` showed nothing before what it shows now";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    workspace.forward("prod");
    assert_eq!(workspace.rows("FROM db.a"), [["2"]]);

    // The rollback itself is what was shown before the next plan.
    workspace.edit("models/a.sql", "3 AS", "4 AS");
    workspace.apply("prod", NOW);
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(workspace.rows("FROM db.a"), [["2"]]);
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
}

#[test]
fn the_history_says_what_each_promotion_changed_and_which_was_a_rollback() {
    let (workspace, plans) = three();
    workspace.run(&["rollback", "prod"]).fine();

    let told = history(&workspace);
    let changed = |index: usize| told[index]["changes"].as_array().unwrap();
    assert_eq!(told[0]["rollback_to"], plans[1].as_str());
    assert_eq!(changed(0).len(), 1);
    assert_eq!(changed(0)[0]["model"], "db.a");
    assert_eq!(told[1]["rollback_to"], Value::Null);
    assert_eq!(changed(1)[0]["change"], "changed");
    assert_eq!(changed(3).len(), 2, "both are new in the first");
    assert!(told.iter().all(|past| past["took_effect"] == true));

    let text = workspace.run(&["environments", "--history", "prod"]);
    let text = text.fine().stdout;
    let rollback = format!("rollback to {}; changed db.a", &plans[1][..12]);
    assert!(text.contains(&rollback), "{text}");
    assert!(text.contains("added db.a, db.b"), "{text}");
}

#[test]
fn a_promotion_whose_virtual_update_failed_is_marked_and_the_way_out_is_said() {
    let (workspace, plans) = three();
    workspace.write(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 4 AS x;\n\
         ON_VIRTUAL_UPDATE_BEGIN;\nINSERT INTO db.gone VALUES (1);\nON_VIRTUAL_UPDATE_END;\n",
    );
    let apply = ["plan", "--auto-apply", "--execution-time", NOW];
    let ended = workspace.run(&apply).failed();
    for part in [
        "`prod` is recorded as planned, but its views show what they showed before",
        "`siding plan prod`",
        "`siding rollback prod`",
        "the virtual update of `db.a` (models/a.sql)",
        "no view has changed",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert_eq!(workspace.rows("FROM db.a"), [["3"]]);
    let text = workspace.run(&["environments", "--history", "prod"]);
    assert!(text.stdout.contains("switch unfinished"), "{}", text.stdout);

    workspace.edit("models/a.sql", "INSERT INTO db.gone VALUES (1)", "SELECT 1");
    workspace.run(&apply).fine();
    assert_eq!(workspace.rows("FROM db.a"), [["4"]]);
    let told = history(&workspace);
    assert_eq!(told[1]["took_effect"], false);
    let text = workspace.run(&["environments", "--history", "prod"]);
    assert!(text.stdout.contains("never took effect"), "{}", text.stdout);
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(
        workspace.rows("FROM db.a"),
        [["3"]],
        "what was never shown is no step"
    );
    assert_eq!(history(&workspace)[0]["rollback_to"], plans[2].as_str());
}
