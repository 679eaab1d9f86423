//! Keeps the folder layout honest: each module uses only the modules below it, and each tool has one home.
#![expect(clippy::unwrap_used, reason = "a broken test should stop at once")]

mod source;

use std::collections::BTreeSet;
use std::fs;

use source::Line;
use source::all_lines;
use source::code_lines;
use source::modules_named_in;
use source::names_crate;
use source::root;

/// Every module under `src/` and what it may use, from the core to the edges. ARCHITECTURE.md says why.
const LAYERS: &[(&str, &[&str])] = &[
    ("diagnostic", &[]),
    ("sql", &["diagnostic"]),
    ("model", &["diagnostic", "sql"]),
    ("project", &["diagnostic", "sql", "model"]),
    ("snapshot", &["sql", "model"]),
    ("environment", &["sql", "model", "snapshot"]),
    (
        "plan",
        &["diagnostic", "sql", "model", "snapshot", "environment"],
    ),
    ("postgres", &[]),
    ("engine", &["sql", "postgres"]),
    (
        "state",
        &["sql", "model", "snapshot", "environment", "postgres"],
    ),
    (
        "scheduler",
        &[
            "sql",
            "model",
            "snapshot",
            "environment",
            "plan",
            "engine",
            "state",
        ],
    ),
    (
        "ops",
        &[
            "diagnostic",
            "sql",
            "model",
            "project",
            "snapshot",
            "environment",
            "plan",
            "engine",
            "state",
            "scheduler",
            "postgres",
        ],
    ),
    ("github", &[]),
    (
        "bot",
        &["diagnostic", "model", "environment", "plan", "github"],
    ),
    ("cli", &["*"]),
];

/// What `lib.rs` has for unit tests only: every module may use it there.
const FOR_TESTS: &str = "cluster";

/// Modules that only compute, and the words that would give a side effect away.
const PURE: &[&str] = &[
    "diagnostic",
    "sql",
    "model",
    "project",
    "snapshot",
    "environment",
    "plan",
];
const SIDE_EFFECTS: &[&str] = &[
    "async fn",
    "async move",
    ".await",
    "tokio::",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "sqlx::",
    "octocrab",
    "reqwest",
    "SystemTime",
    "Instant::now",
    "Local::now",
    "Utc::now",
];

/// What the server must never name, not even in a unit test: these modules run a pull request's code.
const SERVER: &[&str] = &["github", "bot"];
const RUNS_A_PROJECT: &[&str] = &["project", "postgres", "engine", "state", "scheduler", "ops"];

/// Outside crates that stay behind one door, and the modules that are that door.
const DOORS: &[(&str, &[&str])] = &[
    ("sqlparser", &["sql"]),
    ("duckdb", &["engine"]),
    ("sqlx", &["state", "bot", "postgres", "engine"]),
    ("octocrab", &["github"]),
];

/// The one file (or folder) that writes to the terminal, and the words that would give another away.
const PRINTER: &str = "src/cli/printer";
const TERMINAL: &[&str] = &[
    "print!(",
    "println!(",
    "io::stdout",
    "io::stderr",
    "stdout()",
    "stderr()",
];

#[test]
fn modules_use_only_the_layers_below() {
    let mut broken = BTreeSet::new();
    for (module, allowed) in LAYERS {
        for Line { path, text } in code_lines(module) {
            for used in modules_named_in(&text) {
                if used.is_empty() {
                    broken.insert(format!(
                        "{path}: name one module per `use crate::…`: {text}"
                    ));
                } else if used != *module
                    && used != FOR_TESTS
                    && !allowed.contains(&used)
                    && !allowed.contains(&"*")
                {
                    broken.insert(format!("{path}: `{module}` may not use `{used}`"));
                }
            }
        }
    }
    assert_eq!(broken, BTreeSet::new());
}

#[test]
fn no_path_climbs_out_of_its_module_in_secret() {
    let mut broken = BTreeSet::new();
    for (module, _) in LAYERS {
        let top = [format!("src/{module}.rs"), format!("src/{module}/mod.rs")];
        for Line { path, text } in code_lines(module) {
            if text.contains("super::super::") || (top.contains(&path) && text.contains("super::"))
            {
                broken.insert(format!("{path}: write `crate::…`: {text}"));
            }
        }
    }
    assert_eq!(broken, BTreeSet::new());
}

#[test]
fn the_core_has_no_side_effects() {
    let mut broken = BTreeSet::new();
    for module in PURE {
        for Line { path, text } in code_lines(module) {
            for word in SIDE_EFFECTS.iter().filter(|word| text.contains(**word)) {
                broken.insert(format!("{path}: `{word}`"));
            }
        }
    }
    assert_eq!(broken, BTreeSet::new());
}

#[test]
fn the_server_never_names_what_runs_a_pull_requests_code() {
    let mut broken = BTreeSet::new();
    for module in SERVER {
        for Line { path, text } in all_lines(module) {
            for used in modules_named_in(&text).filter(|used| RUNS_A_PROJECT.contains(used)) {
                broken.insert(format!("{path}: `{used}`"));
            }
        }
    }
    assert_eq!(broken, BTreeSet::new());
}

#[test]
fn every_outside_crate_stays_behind_its_door() {
    let mut broken = BTreeSet::new();
    for (module, _) in LAYERS {
        for Line { path, text } in code_lines(module) {
            for (tool, doors) in DOORS {
                if names_crate(&text, tool) && !doors.contains(module) {
                    broken.insert(format!("{path}: only {doors:?} may name `{tool}`"));
                }
            }
        }
    }
    assert_eq!(broken, BTreeSet::new());
}

#[test]
fn only_the_printer_writes_to_the_terminal() {
    let mut broken = BTreeSet::new();
    let modules = LAYERS.iter().map(|(module, _)| *module);
    for Line { path, text } in modules.chain(["main", "lib"]).flat_map(code_lines) {
        for word in TERMINAL.iter().filter(|word| text.contains(**word)) {
            if !path.starts_with(PRINTER) {
                broken.insert(format!("{path}: `{word}`"));
            }
        }
    }
    assert_eq!(broken, BTreeSet::new());
}

#[test]
fn every_module_is_on_the_map() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        assert!(
            LAYERS.iter().any(|(name, _)| *name == module),
            "`{module}` has no layer"
        );
        assert!(
            map.contains(&format!("`{module}`")),
            "ARCHITECTURE.md does not name `{module}`"
        );
    }
}

#[test]
fn the_fuzzed_part_is_built_with_the_same_crates() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let of_fuzzer = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let (_, dependencies) = of_fuzzer.split_once("[dependencies]").unwrap();
    let (dependencies, _) = dependencies.split_once("\n[").unwrap();
    let own = |line: &&str| !line.is_empty() && !line.starts_with("libfuzzer-sys");
    let others: Vec<&str> = dependencies
        .lines()
        .filter(own)
        .filter(|line| !manifest.lines().any(|known| known == *line))
        .collect();
    assert!(
        others.is_empty(),
        "Cargo.toml has them otherwise, so `make fuzz` may not build: {others:?}"
    );
}
