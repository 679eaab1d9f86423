//! `git:branch` selects what differs from a branch in a real repository.

use std::fs;
use std::process::Command;

use crate::workspace::Workspace;

const NOW: &str = "2024-01-05";

fn git(workspace: &Workspace, arguments: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(arguments)
        .current_dir(workspace.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "git {arguments:?}: {said}");
}

/// `db.a` → `db.b` → `db.c`, a seed and `db.z` aside; production is built, `main` has all of it.
fn repository() -> Workspace {
    let view = |name: &str, query: &str| format!("MODEL (name db.{name}, kind FULL);\n{query}\n");
    let workspace = Workspace::new(&[
        ("models/a.sql", &view("a", "SELECT 1 AS x")),
        ("models/b.sql", &view("b", "SELECT x FROM db.a")),
        ("models/c.sql", &view("c", "SELECT x FROM db.b")),
        ("models/z.sql", &view("z", "SELECT 1 AS z")),
        (
            "models/s.sql",
            "MODEL (name db.s, kind SEED (path '../seeds/s.csv'));",
        ),
        ("seeds/s.csv", "id\n1\n"),
        (
            ".gitignore",
            "*.db\n*.duckdb\n*.wal\n.cache\nmodels/ignored.sql\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    git(&workspace, &["init", "-q", "-b", "main"]);
    git(&workspace, &["add", "."]);
    git(&workspace, &["commit", "-q", "-m", "all"]);
    workspace
}

fn plan(workspace: &Workspace, more: &[&str]) -> serde_json::Value {
    let arguments = ["plan", "dev", "--format", "json", "--execution-time", NOW];
    let ended = workspace.run(&[&arguments[..], more].concat()).fine();
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The models that are taken from the project, and are not as production has them.
#[track_caller]
fn changed(workspace: &Workspace, selector: &str) -> Vec<String> {
    let plan = plan(workspace, &["--select-model", selector]);
    let models = plan["models"].as_array().unwrap().iter();
    models
        .filter(|model| {
            let change = model["change"].as_str().unwrap();
            ["direct", "added", "removed"].contains(&change)
        })
        .map(|model| model["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_committed_edited_new_or_gone_since_the_branch_is_selected() {
    let workspace = repository();
    git(&workspace, &["checkout", "-q", "-b", "Feature/x"]);
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    git(&workspace, &["commit", "-q", "-am", "a"]);
    // What others do on the branch since is no difference of ours.
    git(&workspace, &["checkout", "-q", "main"]);
    workspace.edit("models/z.sql", "1 AS z", "2 AS z");
    git(&workspace, &["commit", "-q", "-am", "z"]);
    git(&workspace, &["checkout", "-q", "Feature/x"]);
    workspace.edit("models/z.sql", "1 AS z", "3 AS z");
    assert_eq!(changed(&workspace, "git:main"), ["db.a", "db.z"]);
    assert_eq!(changed(&workspace, "git:main & ^db.z"), ["db.a"]);
    workspace.edit("models/z.sql", "3 AS z", "1 AS z");
    assert_eq!(changed(&workspace, "git:main"), ["db.a"]);

    workspace.edit("seeds/s.csv", "1", "2");
    workspace.write(
        "models/n.sql",
        "MODEL (name db.n, kind FULL);\nSELECT 1 AS n",
    );
    workspace.write(
        "models/ignored.sql",
        "MODEL (name db.i, kind FULL);\nSELECT 1 AS n",
    );
    workspace.remove("models/c.sql");
    git(&workspace, &["add", "models/n.sql"]);
    assert_eq!(
        changed(&workspace, "git:main"),
        ["db.a", "db.c", "db.n", "db.s"]
    );
    assert_eq!(
        changed(&workspace, "git:Feature/x"),
        ["db.c", "db.n", "db.s"]
    );
}

#[test]
fn a_project_in_a_folder_of_its_repository_knows_its_own_files() {
    let workspace = repository();
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    let inner = workspace.path().join("inner");
    fs::create_dir_all(inner.join("models")).unwrap();
    for file in ["config.yaml", "models/a.sql", "models/b.sql"] {
        fs::copy(workspace.path().join(file), inner.join(file)).unwrap();
    }
    let select = ["--select-model", "git:main", "--no-prompts"];
    let arguments = ["plan", "dev", "-p", "inner", "--execution-time", NOW];
    let ended = workspace.run(&[&arguments[..], &select].concat()).fine();
    assert!(ended.stdout.contains("db.a") && ended.stdout.contains("db.b"));
    assert!(!ended.stdout.contains("db.c"));
}

#[test]
fn what_git_does_not_know_is_said_with_the_way_out() {
    let workspace = repository();
    for (selector, said) in [
        ("git:nowhere", "there is no branch `nowhere` here; fetch it"),
        (
            "git:--output=stolen",
            "there is no branch `--output=stolen` here",
        ),
        ("git:main", "`git:main` selects no model"),
    ] {
        let ended = workspace.run(&["plan", "dev", "--select-model", selector]);
        assert_eq!(ended.code, 2, "{selector}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{selector}: {}", ended.stderr);
    }
    assert!(!workspace.path().join("stolen").exists());

    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    let run = [
        "run",
        "prod",
        "--execution-time",
        "2024-01-06",
        "--select-model",
        "git:main",
    ];
    let ended = workspace.run(&run).fine();
    assert!(
        ended.stdout.contains("db.a") && !ended.stdout.contains("db.z"),
        "{}",
        ended.stdout
    );
}
