//! A project that loses its models: what is shown goes when somebody means it, and not because a folder is wrong.

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    the_last_views_go_when_somebody_says_so,
    an_empty_project_without_anything_to_remove_is_a_mistake,
}

const NOW: &str = "2024-01-03";
const PLAN: [&str; 4] = ["plan", "prod", "--execution-time", NOW];

fn project() -> Workspace {
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
    workspace.remove("models/b.sql");
    workspace
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&PLAN[..], more].concat()
}

fn the_last_views_go_when_somebody_says_so() {
    let workspace = project();
    // One of two is a plan as any other.
    workspace.run(&with(&["--auto-apply"])).fine();
    assert_eq!(workspace.objects("VIEW"), ["db.a"]);
    workspace.remove("models/a.sql");

    let plan = workspace.plan("prod", NOW);
    assert_eq!(plan.changes()["db.a"], "removed/-");
    let ended = workspace.run(&with(&["--auto-apply"])).failed();
    assert!(
        ended.stderr.contains(
            "this plan removes every view that `prod` has; add --remove-all if that is meant"
        ),
        "{}",
        ended.stderr
    );
    assert_eq!(workspace.rows("FROM db.a"), [["1"]]);

    workspace
        .run(&with(&["--auto-apply", "--remove-all"]))
        .fine();
    assert_eq!(workspace.objects("VIEW"), Vec::<String>::new());
    let ended = workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    assert!(ended.stdout.contains("Nothing is due"), "{}", ended.stdout);

    // It was a switch: the tables are there for whoever goes back.
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
    workspace
        .run(&with(&["--auto-apply", "--remove-all"]))
        .fine();
    workspace.write(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
    );
    assert!(workspace.apply("prod", NOW).is_virtual_only());
    assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
}

fn an_empty_project_without_anything_to_remove_is_a_mistake() {
    let workspace = Workspace::new(&[]);
    for more in [
        &[][..],
        &["--auto-apply", "--remove-all"],
        &["--format", "json"],
    ] {
        let ended = workspace.run(&with(more)).failed();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains("the project has no models"), "{said}");
    }
    // Nor is a development environment that is not there yet made of nothing.
    let workspace = project();
    workspace.remove("models/a.sql");
    let ended = workspace.run(&["plan", "dev", "--auto-apply"]).failed();
    assert!(
        ended.stderr.contains("the project has no models"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        workspace.rows("SELECT b.x FROM db.a AS a, db.b AS b"),
        [["1"]]
    );
}
