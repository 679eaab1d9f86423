//! What loading costs as projects grow, and what one edit costs in a project that is loaded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use siding::environment::EnvironmentName;
use siding::model::topological;
use siding::ops::read_files;
use siding::plan::Choices;
use siding::plan::ModelChange;
use siding::plan::draft;
use siding::project::FileTree;
use siding::project::LoadOptions;
use siding::project::load;
use siding::snapshot::Candidate;
use siding::snapshot::candidates;

use crate::generator;
use crate::median;

pub(crate) fn measure(folder: &Path) {
    println!(
        "\nload, parse, lower and fingerprint (wall time, all cores), and one edit in a loaded project:"
    );
    for models in [1_000_u32, 5_000, 10_000, 20_000] {
        let project = folder.join(models.to_string());
        generator::write(&project, models as usize);
        let files = read_files(&project).expect("the project can be read");
        let started = Instant::now();
        let before = read(&files);
        let load_seconds = started.elapsed().as_secs_f64();
        let edit = edit_seconds(&files, before, models);
        println!(
            "  {models:>6} models: {load_seconds:.2} s, {:.3} ms a model; one edit {:.1} ms (goal 50 at 5,000)",
            load_seconds * 1_000.0 / f64::from(models),
            edit * 1_000.0
        );
    }
}

type Loaded = (
    BTreeMap<siding::model::ModelName, Candidate>,
    Vec<siding::model::ModelName>,
);

fn read(files: &FileTree) -> Loaded {
    let (project, diagnostics) = load(files, &LoadOptions::default());
    assert!(
        diagnostics.iter().all(|diagnostic| !diagnostic.is_error()),
        "{diagnostics:?}"
    );
    let order = topological(&project.models);
    (candidates(&project.models, &project.readings), order)
}

/// Seconds to compare a project with one whose first model computes a column differently.
fn edit_seconds(files: &FileTree, (before, order): Loaded, models: u32) -> f64 {
    let prod = EnvironmentName::prod();
    let now = "2024-01-03T00:00:00Z".parse().expect("a time");
    let choices = Choices::default();
    let (first, _) = draft(
        &before,
        order,
        BTreeMap::new(),
        &BTreeMap::new(),
        prod.clone(),
        &choices,
        now,
    );
    let edited: FileTree = files
        .iter()
        .map(|(path, text)| {
            let text = match path {
                "models/m0.sql" => Arc::from(text.replace("i * 0 AS amount", "i * 1 AS amount")),
                _ => Arc::clone(text),
            };
            (path.to_owned(), text)
        })
        .collect();
    let (after, order) = read(&edited);
    let mut seconds = Vec::new();
    for _ in 0..5 {
        let order = order.clone();
        let previous = first.snapshots.clone();
        let started = Instant::now();
        let (second, _) = draft(
            &after,
            order,
            previous,
            &BTreeMap::new(),
            prod.clone(),
            &choices,
            now,
        );
        seconds.push(started.elapsed().as_secs_f64());
        let changed = second
            .changes
            .values()
            .filter(|change| change.change != ModelChange::Unchanged)
            .count();
        assert!(
            changed > 1 && changed <= models as usize,
            "{changed} models differ"
        );
    }
    median(seconds)
}
