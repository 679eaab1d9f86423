//! The bare repository behind the stand-in, driven by the real `git`.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

/// A file's path and its new content; `None` deletes it.
pub(crate) type FileChange<'a> = (&'a str, Option<&'a str>);

/// Who wrote a commit.
pub(crate) struct Author<'a> {
    pub(crate) name: &'a str,
    pub(crate) email: &'a str,
}

/// Who commits when nobody in particular does.
pub(crate) const NOBODY: Author<'static> = Author {
    name: "GitHub",
    email: "noreply@github.example",
};

pub(crate) struct Git {
    directory: PathBuf,
}

impl Git {
    /// A new bare repository whose `main` holds one commit: the files of `project`, or a README.
    pub(crate) fn create(directory: PathBuf, project: Option<&Path>) -> Self {
        std::fs::create_dir_all(&directory).expect("the directory of the stand-in can be written");
        let git = Self { directory };
        git.run(&["init", "--quiet", "--bare", "--initial-branch=main"]);
        // GitHub gives out any commit by its name; the bot fetches test merges so.
        git.run(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        git.run(&["config", "gc.auto", "0"]);
        let tree = match project {
            Some(project) => git.tree_of_directory(project),
            None => git.tree_with(None, &[("README.md", Some("# Warehouse\n"))]),
        };
        let first = git.commit(&tree, &[], "Start", &NOBODY);
        git.set_ref("refs/heads/main", &first);
        git
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn head(&self, reference: &str) -> Option<String> {
        self.try_run(&[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("{reference}^{{commit}}"),
        ])
        .ok()
    }

    pub(crate) fn main(&self) -> String {
        self.head("refs/heads/main").expect("main exists")
    }

    pub(crate) fn set_ref(&self, reference: &str, commit: &str) {
        self.run(&["update-ref", reference, commit]);
    }

    pub(crate) fn delete_ref(&self, reference: &str) {
        self.run(&["update-ref", "-d", reference]);
    }

    /// The content of a file at a commit.
    pub(crate) fn file(&self, commit: &str, path: &str) -> Option<String> {
        self.try_run_raw(&["cat-file", "blob", &format!("{commit}:{path}")])
            .ok()
    }

    /// A commit on top of `parent`.
    pub(crate) fn commit_files(
        &self,
        parent: &str,
        files: &[FileChange<'_>],
        message: &str,
        author: &Author<'_>,
    ) -> String {
        let tree = self.tree_with(Some(parent), files);
        self.commit(&tree, &[parent], message, author)
    }

    /// A merge of `head` into `base`; `None` when they conflict.
    pub(crate) fn merge(
        &self,
        base: &str,
        head: &str,
        message: &str,
        author: &Author<'_>,
    ) -> Option<String> {
        let tree = self.merged_tree(None, base, head)?;
        Some(self.commit(&tree, &[base, head], message, author))
    }

    /// All changes of `head` as one commit on `base`; `None` when they conflict.
    pub(crate) fn squash(
        &self,
        base: &str,
        head: &str,
        message: &str,
        author: &Author<'_>,
    ) -> Option<String> {
        let tree = self.merged_tree(None, base, head)?;
        Some(self.commit(&tree, &[base], message, author))
    }

    /// The commits of `head` again on top of `base`; `None` when they conflict.
    pub(crate) fn rebase(&self, base: &str, head: &str) -> Option<String> {
        let mut onto = base.to_owned();
        for commit in self
            .run(&[
                "rev-list",
                "--reverse",
                "--no-merges",
                &format!("{base}..{head}"),
            ])
            .lines()
        {
            let tree = self.merged_tree(Some(&format!("{commit}^")), &onto, commit)?;
            let field = |format: &str| {
                self.run(&["show", "--no-patch", &format!("--format={format}"), commit])
            };
            let (name, email) = (field("%an"), field("%ae"));
            let author = Author {
                name: &name,
                email: &email,
            };
            onto = self.commit(&tree, &[&onto], &field("%B"), &author);
        }
        Some(onto)
    }

    /// How many commits `head` has that `base` lacks.
    pub(crate) fn ahead(&self, base: &str, head: &str) -> u64 {
        self.run(&["rev-list", "--count", &format!("{base}..{head}")])
            .parse()
            .expect("git counts in digits")
    }

    /// Whether `ancestor` is part of the history of `commit`.
    pub(crate) fn contains(&self, commit: &str, ancestor: &str) -> bool {
        self.try_run(&["merge-base", "--is-ancestor", ancestor, commit])
            .is_ok()
    }

    fn merged_tree(&self, merge_base: Option<&str>, base: &str, head: &str) -> Option<String> {
        let merge_base = merge_base.map(|commit| format!("--merge-base={commit}"));
        let mut arguments = vec!["merge-tree", "--write-tree"];
        arguments.extend(merge_base.as_deref());
        arguments.extend([base, head]);
        self.try_run(&arguments)
            .ok()
            .and_then(|output| output.lines().next().map(str::to_owned))
    }

    fn commit(&self, tree: &str, parents: &[&str], message: &str, author: &Author<'_>) -> String {
        let mut arguments = vec!["commit-tree", tree, "-m", message];
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        let mut command = self.command(&arguments);
        command
            .env("GIT_AUTHOR_NAME", author.name)
            .env("GIT_AUTHOR_EMAIL", author.email);
        output(command, None).unwrap_or_else(|error| panic!("git commit-tree: {error}"))
    }

    fn tree_with(&self, parent: Option<&str>, files: &[FileChange<'_>]) -> String {
        let index = Index::new(&self.directory);
        if let Some(parent) = parent {
            self.with_index(&index, &["read-tree", parent]);
        }
        for (path, content) in files {
            match content {
                Some(content) => {
                    let blob = output(
                        self.command(&["hash-object", "-w", "--stdin"]),
                        Some(content.as_bytes()),
                    )
                    .unwrap_or_else(|error| panic!("git hash-object: {error}"));
                    self.with_index(
                        &index,
                        &[
                            "update-index",
                            "--add",
                            "--cacheinfo",
                            &format!("100644,{blob},{path}"),
                        ],
                    );
                }
                None => {
                    self.with_index(&index, &["update-index", "--force-remove", "--", path]);
                }
            }
        }
        self.with_index(&index, &["write-tree"])
    }

    fn tree_of_directory(&self, project: &Path) -> String {
        let index = Index::new(&self.directory);
        let mut command = self.command(&["add", "--all", "--force", "."]);
        command
            .env("GIT_INDEX_FILE", &index.0)
            .env("GIT_WORK_TREE", project)
            .current_dir(project);
        output(command, None).unwrap_or_else(|error| panic!("git add: {error}"));
        self.with_index(&index, &["write-tree"])
    }

    fn with_index(&self, index: &Index, arguments: &[&str]) -> String {
        let mut command = self.command(arguments);
        command.env("GIT_INDEX_FILE", &index.0);
        output(command, None).unwrap_or_else(|error| panic!("git {}: {error}", arguments.join(" ")))
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.try_run(arguments)
            .unwrap_or_else(|error| panic!("git {}: {error}", arguments.join(" ")))
    }

    fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        output(self.command(arguments), None)
    }

    fn try_run_raw(&self, arguments: &[&str]) -> Result<String, String> {
        raw_output(self.command(arguments), None)
    }

    /// `git` that knows nothing of the person who runs the tests.
    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .env("GIT_DIR", &self.directory)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", NOBODY.name)
            .env("GIT_AUTHOR_EMAIL", NOBODY.email)
            .env("GIT_COMMITTER_NAME", NOBODY.name)
            .env("GIT_COMMITTER_EMAIL", NOBODY.email)
            .current_dir(&self.directory);
        command
    }
}

/// An index file of its own for one tree, removed afterwards.
struct Index(PathBuf);

impl Index {
    fn new(directory: &Path) -> Self {
        Self(directory.join("stand-in-index"))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // It is not there when nothing was added.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn output(command: Command, input: Option<&[u8]>) -> Result<String, String> {
    raw_output(command, input).map(|text| text.trim_end().to_owned())
}

fn raw_output(mut command: Command, input: Option<&[u8]>) -> Result<String, String> {
    let stdin = if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input).map_err(|error| error.to_string())?;
    }
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
