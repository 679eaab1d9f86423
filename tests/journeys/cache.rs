//! What earlier loads found out is used, and never when it is stale.

use std::fs;
use std::path::PathBuf;

use crate::workspace::Workspace;

const NOW: &str = "2024-01-05";

fn project() -> Workspace {
    Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL, audits (small));\nSELECT 1 AS x, 2 AS y",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL, partitioned_by x);\nSELECT * FROM db.a WHERE x < @limit_of_b",
        ),
        (
            "models/s.sql",
            "MODEL (name db.s, kind SEED (path '../seeds/s.csv'));",
        ),
        ("seeds/s.csv", "id,name\n1,one\n"),
        (
            "audits/small.sql",
            "AUDIT (name small);\nSELECT * FROM @this_model WHERE x > 10",
        ),
    ])
}

fn with_variable(workspace: &Workspace) {
    let text = fs::read_to_string(workspace.path().join("config.yaml")).unwrap();
    workspace.write(
        "config.yaml",
        &format!("{text}\nvariables:\n  limit_of_b: 5\n"),
    );
}

fn cache_file(workspace: &Workspace) -> PathBuf {
    let folder = workspace.path().join(".cache").join("siding");
    let files = fs::read_dir(folder).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let mut models = files.filter(|file| !file.to_str().unwrap().ends_with("-answers.cache"));
    let file = models.next().unwrap();
    assert!(models.next().is_none(), "one project has one cache");
    file
}

/// So that the models are looked at again.
fn forget_answers(workspace: &Workspace) {
    let Ok(files) = fs::read_dir(workspace.path().join(".cache").join("siding")) else {
        return;
    };
    for file in files.map(|entry| entry.unwrap().path()) {
        if file.to_str().unwrap().ends_with("-answers.cache") {
            fs::remove_file(file).unwrap();
        }
    }
}

/// What a plan says that remembers the models, after making sure that one that reads everything says the same.
#[track_caller]
fn plan(workspace: &Workspace) -> String {
    forget_answers(workspace);
    let arguments = ["plan", "dev", "--format", "json", "--execution-time", NOW];
    let warm = workspace.run(&arguments);
    let cold = workspace.run(&[&arguments[..], &["--no-cache"]].concat());
    assert_eq!(warm.code, cold.code);
    assert_eq!(warm.stdout, cold.stdout);
    assert_eq!(warm.stderr, cold.stderr);
    warm.stdout
}

#[track_caller]
fn changes(workspace: &Workspace) -> Vec<String> {
    let plan: serde_json::Value = serde_json::from_str(&plan(workspace)).unwrap();
    let models = plan["models"].as_array().unwrap().iter();
    models
        .filter(|model| model["change"] != "unchanged")
        .map(|model| {
            format!(
                "{} {}",
                model["name"].as_str().unwrap(),
                model["change"].as_str().unwrap()
            )
        })
        .collect()
}

fn planned() -> Workspace {
    let workspace = project();
    with_variable(&workspace);
    workspace.apply("prod", NOW);
    assert!(changes(&workspace).is_empty());
    workspace
}

#[test]
pub(crate) fn an_edit_of_anything_that_a_model_follows_from_is_seen() {
    let workspace = planned();
    // A column more of what `SELECT *` reads.
    workspace.edit("models/a.sql", "2 AS y", "2 AS y, 3 AS z");
    assert_eq!(changes(&workspace), ["db.a direct", "db.b direct"]);
    workspace.edit("models/a.sql", ", 3 AS z", "");
    assert!(changes(&workspace).is_empty());

    workspace.edit("config.yaml", "limit_of_b: 5", "limit_of_b: 6");
    assert_eq!(changes(&workspace), ["db.b direct"]);
    workspace.edit("config.yaml", "limit_of_b: 6", "limit_of_b: 5");

    workspace.edit("audits/small.sql", "x > 10", "x > 11");
    assert_eq!(changes(&workspace), ["db.a metadata", "db.b metadata"]);
    workspace.edit("audits/small.sql", "x > 11", "x > 10");

    workspace.edit("seeds/s.csv", "one", "uno");
    assert_eq!(changes(&workspace), ["db.s direct"]);
    workspace.edit("seeds/s.csv", "uno", "one");

    workspace.write(
        "models/c.sql",
        "MODEL (name db.c, kind VIEW);\nSELECT x FROM db.b",
    );
    assert_eq!(changes(&workspace), ["db.c added"]);
    workspace.remove("models/c.sql");
    assert!(changes(&workspace).is_empty());
}

#[test]
pub(crate) fn mistakes_have_their_places_and_warnings_are_said_again() {
    let workspace = planned();
    let said = plan(&workspace);
    assert!(said.contains("partitioned_by"), "{said}");
    assert_eq!(plan(&workspace), said);

    workspace.write(
        "models/again.sql",
        "MODEL (name db.a, kind VIEW);\nSELECT 1 AS x",
    );
    let said = plan(&workspace);
    assert!(said.contains("declared twice"), "{said}");
    workspace.remove("models/again.sql");

    workspace.edit(
        "models/a.sql",
        "SELECT 1 AS x",
        "SELECT (SELECT max(x) FROM db.b) AS x",
    );
    let said = plan(&workspace);
    assert!(said.contains("models read each other"), "{said}");
}

#[test]
pub(crate) fn a_cache_that_is_damaged_is_no_cache() {
    let workspace = planned();
    let file = cache_file(&workspace);
    let whole = fs::read(&file).unwrap();
    for damaged in [
        &[][..],
        &whole[..whole.len() / 2],
        b"siding cache 1\nnot really",
    ] {
        fs::write(&file, damaged).unwrap();
        assert!(changes(&workspace).is_empty());
        assert!(fs::read(&file).unwrap() == whole, "it is written again");
    }
    for place in [0, 20, 60, 200, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(&file, damaged).unwrap();
        assert!(changes(&workspace).is_empty());
        assert!(fs::read(&file).unwrap() == whole, "byte {place}");
    }
}

#[test]
pub(crate) fn where_nothing_can_be_written_everything_works() {
    let workspace = project();
    with_variable(&workspace);
    workspace.write(".cache", "a file where the folder would be");
    workspace.apply("prod", NOW);
    assert!(changes(&workspace).is_empty());
}
