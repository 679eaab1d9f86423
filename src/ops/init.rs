//! Init: write a small project that works.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// Models, a seed and an audit.
    Default,
    /// The configuration and empty folders.
    Empty,
}

/// The sample project; `fixtures/projects/sample` is the same, and tests plan it.
const SAMPLE: [(&str, &str); 6] = [
    (
        "config.yaml",
        include_str!("../../fixtures/projects/sample/config.yaml"),
    ),
    (
        "audits/every_quantity_is_positive.sql",
        include_str!("../../fixtures/projects/sample/audits/every_quantity_is_positive.sql"),
    ),
    (
        "models/products.sql",
        include_str!("../../fixtures/projects/sample/models/products.sql"),
    ),
    (
        "models/sales.sql",
        include_str!("../../fixtures/projects/sample/models/sales.sql"),
    ),
    (
        "models/sales_file.sql",
        include_str!("../../fixtures/projects/sample/models/sales_file.sql"),
    ),
    (
        "seeds/sales.csv",
        include_str!("../../fixtures/projects/sample/seeds/sales.csv"),
    ),
];

const FOLDERS: [&str; 4] = ["audits", "macros", "models", "seeds"];

/// Writes the project into `folder`, which is made if need be, and returns the paths written.
///
/// # Errors
/// When a configuration is there already, or a file cannot be written. No file is overwritten.
pub fn init(folder: &Path, template: Template) -> anyhow::Result<Vec<String>> {
    for name in [
        "config.yaml",
        "config.yml",
        "sqlmesh.yaml",
        "sqlmesh.yml",
        "siding.yaml",
        "siding.yml",
        "config.py",
    ] {
        let there = folder.join(name).exists();
        anyhow::ensure!(
            !there,
            "`{}` is there already; choose another folder",
            folder.join(name).display()
        );
    }
    let files: Vec<(&str, &str)> = match template {
        Template::Default => SAMPLE.to_vec(),
        Template::Empty => SAMPLE[..1].to_vec(),
    };
    for (path, _) in &files {
        let there = folder.join(path).exists();
        anyhow::ensure!(
            !there,
            "`{}` is there already; choose another folder",
            folder.join(path).display()
        );
    }
    for name in FOLDERS {
        fs::create_dir_all(folder.join(name))
            .with_context(|| format!("making the folder `{}`", folder.join(name).display()))?;
    }
    let mut written = Vec::new();
    for (path, text) in files {
        let target = folder.join(path);
        fs::write(&target, text).with_context(|| format!("writing `{}`", target.display()))?;
        written.push(path.to_owned());
    }
    Ok(written)
}
