//! Which files of a project differ from a branch, for `git:` in selectors.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use anyhow::Context;

use crate::model::ChangedFiles;
use crate::model::Selector;

/// The files below `project` that differ from the branches of `selectors`, whether that is committed or not, and those
/// that Git does not know and is not told to ignore. What others have done on a branch since is no difference.
///
/// # Errors
/// When there is no Git, no repository, or no such branch.
pub fn changed_files<'a>(
    project: &Path,
    selectors: impl IntoIterator<Item = &'a Selector>,
) -> anyhow::Result<ChangedFiles> {
    let selectors = selectors.into_iter();
    let branches: BTreeSet<String> = selectors.flat_map(Selector::branches).collect();
    let mut changed = ChangedFiles::new();
    for branch in branches {
        let files = differing(project, &branch).with_context(|| format!("`git:{branch}`"))?;
        changed.insert(branch, files);
    }
    Ok(changed)
}

fn differing(project: &Path, branch: &str) -> anyhow::Result<BTreeSet<String>> {
    let inside = git(project, &["rev-parse", "--is-inside-work-tree"])?;
    anyhow::ensure!(
        inside.is_some_and(|answer| answer.trim() == "true"),
        "`{}` is in no Git repository; select models by name or `tag:`",
        project.display()
    );
    let commit = format!("{branch}^{{commit}}");
    let known = git(
        project,
        &[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ],
    )?;
    let Some(known) = known else {
        anyhow::bail!(
            "there is no branch `{branch}` here; fetch it, or name one that is there, such as `git:origin/main`"
        );
    };
    let known = known.trim();
    // Where the two have nothing in common, all that differs counts.
    let base = git(project, &["merge-base", known, "HEAD"])?;
    let base = base.as_deref().map_or(known, str::trim);
    let edited = [
        "diff",
        "--name-only",
        "-z",
        "--relative",
        "--no-renames",
        "--no-ext-diff",
        base,
        "--",
        ".",
    ];
    let new = [
        "ls-files",
        "-z",
        "--others",
        "--exclude-standard",
        "--",
        ".",
    ];
    let mut files = BTreeSet::new();
    for listing in [&edited[..], &new] {
        let listed = git(project, listing)?.context("git does not list the files")?;
        let paths = listed.split('\0').filter(|path| !path.is_empty());
        files.extend(paths.map(str::to_owned));
    }
    Ok(files)
}

/// What a command of Git prints; `None` when it fails.
fn git(project: &Path, arguments: &[&str]) -> anyhow::Result<Option<String>> {
    let output = Command::new("git")
        .arg("--no-optional-locks")
        .args(arguments)
        .current_dir(project)
        .stdin(Stdio::null())
        .output()
        .context("starting `git`")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(output.status.success().then_some(text))
}
