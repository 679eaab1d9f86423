//! Files of a commit, fetched by its name and written without running anything that they bring along.
//!
//! Git is a separate process that sees no configuration but ours (`spec/bot.md` T12): no hooks, no filters, no
//! submodules, no LFS, no credential helper, one allowed protocol. Files are written by our own code from what git
//! reads out of its object store, so that nothing in the commit decides how (T11).

mod git;
mod tree;

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use anyhow::Context;
use anyhow::ensure;
use secrecy::SecretString;

use crate::bot::checkout::git::Git;
use crate::github::CommitSha;
use crate::github::RepositoryName;

pub(crate) use tree::Refused;

/// Where repositories are fetched from; `{owner}` and `{name}` stand for the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitUrl {
    template: String,
    scheme: String,
}

/// Why a text is no [`GitUrl`].
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no address to fetch from: it needs `https://`, `http://` or `file://`, `{{owner}}` and `{{name}}`"
)]
pub struct InvalidGitUrl(String);

impl std::str::FromStr for GitUrl {
    type Err = InvalidGitUrl;

    fn from_str(text: &str) -> Result<Self, InvalidGitUrl> {
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        // `file` and `http` are for tests and for servers inside of one's own network.
        let is_known = matches!(scheme, "https" | "http" | "file");
        let is_plain =
            !text.contains(|character: char| character.is_whitespace() || character.is_control());
        if is_known && is_plain && text.contains("{owner}") && text.contains("{name}") {
            Ok(Self {
                scheme: scheme.to_owned(),
                template: text.to_owned(),
            })
        } else {
            Err(InvalidGitUrl(text.to_owned()))
        }
    }
}

impl GitUrl {
    fn of(&self, name: &RepositoryName) -> String {
        self.template
            .replace("{owner}", name.owner())
            .replace("{name}", name.name())
    }
}

/// A commit that is in the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Its name.
    pub sha: CommitSha,
    /// Git's name of its files: equal names, equal files.
    pub tree: String,
    /// What it comes after; a merge has two, the base branch's first.
    pub parents: Vec<CommitSha>,
}

/// Which repository, and the right to read it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// GitHub's number of it: its mirror keeps its place when it is renamed.
    pub id: u64,
    /// Its current name.
    pub name: &'a RepositoryName,
    /// Reads this repository and nothing else.
    pub token: &'a SecretString,
}

/// Files of a commit in a folder of their own, which goes away with this value.
#[derive(Debug)]
pub(crate) struct Checkout {
    path: PathBuf,
}

impl Checkout {
    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, "a checkout could not be removed");
        }
    }
}

/// The mirrors and checkouts below one folder.
#[derive(Debug)]
pub(crate) struct Checkouts {
    folder: PathBuf,
    url: GitUrl,
    number: AtomicU64,
    // Two fetches into one mirror would fight over its list of shallow commits.
    mirrors: Mutex<HashMap<u64, Arc<tokio::sync::Mutex<()>>>>,
}

impl Checkouts {
    /// Uses `folder`, creates it when it is missing, and removes checkouts that a dead server left.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn open(folder: &Path, url: GitUrl) -> anyhow::Result<Self> {
        let folder = std::path::absolute(folder).context("finding the working folder")?;
        let checkouts = folder.join("checkouts");
        if checkouts.exists() {
            std::fs::remove_dir_all(&checkouts)
                .with_context(|| format!("removing `{}`", checkouts.display()))?;
        }
        for name in ["checkouts", "mirrors", "empty-home"] {
            let path = folder.join(name);
            std::fs::create_dir_all(&path)
                .with_context(|| format!("creating `{}`", path.display()))?;
        }
        Ok(Self {
            folder,
            url,
            number: AtomicU64::new(0),
            mirrors: Mutex::default(),
        })
    }

    /// Fetches a commit and its parents by name and says what it is.
    ///
    /// # Errors
    /// When git cannot fetch it, or what comes is something else.
    pub(crate) async fn fetch(
        &self,
        source: &Source<'_>,
        sha: &CommitSha,
    ) -> anyhow::Result<Commit> {
        let lock = self.mirror_lock(source.id);
        let _turn = lock.lock().await;
        let git = self.git(source);
        if !git.mirror().join("HEAD").exists() {
            git.run(&["init", "--quiet", "--bare", "--template="])
                .await
                .context("creating a mirror")?;
        }
        if let Ok(commit) = self.read(&git, sha).await
            && !commit.parents.is_empty()
        {
            return Ok(commit);
        }
        let url = self.url.of(source.name);
        // A name of its own per commit, so that nothing that is needed is ever swept up.
        let refspec = format!("+{sha}:refs/siding/{sha}");
        git.run(&[
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--depth=2",
            "--",
            &url,
            &refspec,
        ])
        .await
        .with_context(|| format!("fetching commit `{}` of `{}`", sha.short(), source.name))?;
        self.read(&git, sha).await
    }

    /// The newest commit of a branch.
    ///
    /// # Errors
    /// When git cannot ask, or there is no such branch.
    pub(crate) async fn tip(&self, source: &Source<'_>, branch: &str) -> anyhow::Result<CommitSha> {
        let git = self.git(source);
        let url = self.url.of(source.name);
        let reference = format!("refs/heads/{branch}");
        let listed = git
            .run(&["ls-remote", "--quiet", "--", &url, &reference])
            .await
            .with_context(|| format!("asking `{}` for its branch `{branch}`", source.name))?;
        listed
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(_, name)| *name == reference)
            .and_then(|(sha, _)| sha.parse().ok())
            .with_context(|| format!("`{}` has no branch `{branch}`", source.name))
    }

    /// Writes the files of a fetched commit into a fresh folder.
    ///
    /// # Errors
    /// [`Refused`] (inside) when the commit holds what we do not write: symbolic links, paths that leave the folder,
    /// too much.
    pub(crate) async fn check_out(
        &self,
        source: &Source<'_>,
        commit: &Commit,
    ) -> anyhow::Result<Checkout> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join("checkouts").join(number.to_string());
        std::fs::create_dir(&path).with_context(|| format!("creating `{}`", path.display()))?;
        let checkout = Checkout { path };
        tree::write(&self.git(source), commit, checkout.path()).await?;
        Ok(checkout)
    }

    /// Whether a file differs between two fetched commits.
    ///
    /// # Errors
    /// When git cannot tell.
    pub(crate) async fn differs(
        &self,
        source: &Source<'_>,
        one: &Commit,
        other: &Commit,
        file_name: &str,
    ) -> anyhow::Result<bool> {
        let git = self.git(source);
        let changed = git
            .run(&[
                "diff-tree",
                "-r",
                "-z",
                "--name-only",
                "--no-renames",
                &one.tree,
                &other.tree,
            ])
            .await
            .context("comparing two commits")?;
        Ok(changed
            .split('\0')
            .any(|path| path.rsplit('/').next() == Some(file_name)))
    }

    async fn read(&self, git: &Git, sha: &CommitSha) -> anyhow::Result<Commit> {
        let text = git
            .run(&["cat-file", "commit", sha.as_str()])
            .await
            .with_context(|| format!("reading commit `{}`", sha.short()))?;
        let name = git
            .run(&[
                "rev-parse",
                "--verify",
                "--quiet",
                &format!("{sha}^{{commit}}"),
            ])
            .await?;
        ensure!(
            name.trim() == sha.as_str(),
            "the mirror has another commit than was asked for"
        );
        let header =
            |line: &str, name: &str| line.strip_prefix(name).map(|rest| rest.trim().to_owned());
        let mut tree = None;
        let mut parents = Vec::new();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            if let Some(name) = header(line, "tree ") {
                tree = Some(name);
            } else if let Some(name) = header(line, "parent ") {
                parents.push(name.parse()?);
            }
        }
        Ok(Commit {
            sha: sha.clone(),
            tree: tree.context("a commit without files")?,
            parents,
        })
    }

    fn mirror_lock(&self, id: u64) -> Arc<tokio::sync::Mutex<()>> {
        let mut mirrors = self
            .mirrors
            .lock()
            .expect("no thread panics while it holds this");
        Arc::clone(mirrors.entry(id).or_default())
    }

    fn git(&self, source: &Source<'_>) -> Git {
        Git::new(
            self.folder
                .join("mirrors")
                .join(format!("{}.git", source.id)),
            self.folder.join("empty-home"),
            self.url.scheme.clone(),
            source.token.clone(),
        )
    }
}

#[cfg(test)]
mod tests;
