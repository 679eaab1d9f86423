//! Stories with a real git repository.

use std::process::Command;

use super::*;

struct Upstream {
    folder: tempfile::TempDir,
}

impl Upstream {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Self { folder };
        std::fs::create_dir_all(upstream.path()).unwrap();
        upstream.git(&["init", "--quiet", "-b", "main"]);
        upstream.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        upstream
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("acme/warehouse.git")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(arguments)
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, path: &str, content: &str) -> CommitSha {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        self.commit_all()
    }

    fn commit_all(&self) -> CommitSha {
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "-m", "change"]);
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    fn checkouts(&self) -> Checkouts {
        let url = format!(
            "file://{}/{{owner}}/{{name}}.git",
            self.folder.path().display()
        );
        Checkouts::open(&self.folder.path().join("work"), url.parse().unwrap()).unwrap()
    }
}

fn name() -> RepositoryName {
    "acme/warehouse".parse().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_merge_commit_is_fetched_by_its_name_with_its_parents() {
    let upstream = Upstream::new();
    upstream.commit("config.yaml", "a: 1\n");
    let base = upstream.commit("models/a.sql", "SELECT 1\n");
    upstream.git(&["checkout", "--quiet", "-b", "topic"]);
    let head = upstream.commit("models/b.sql", "SELECT 2\n");
    upstream.git(&["checkout", "--quiet", "main"]);
    upstream.git(&["merge", "--quiet", "--no-ff", "-m", "merge", "topic"]);
    let merge: CommitSha = upstream.git(&["rev-parse", "HEAD"]).parse().unwrap();
    // GitHub's test merge is on no branch either.
    upstream.git(&["reset", "--quiet", "--hard", base.as_str()]);

    let checkouts = upstream.checkouts();
    let token = SecretString::from("");
    let name = name();
    let source = Source {
        id: 5,
        name: &name,
        token: &token,
    };
    let commit = checkouts.fetch(&source, &merge).await.unwrap();
    assert_eq!(commit.parents, [base.clone(), head]);
    let before = checkouts.fetch(&source, &base).await.unwrap();
    assert!(
        !checkouts
            .differs(&source, &before, &commit, "config.yaml")
            .await
            .unwrap()
    );
    assert!(
        checkouts
            .differs(&source, &before, &commit, "b.sql")
            .await
            .unwrap()
    );
    assert_eq!(checkouts.tip(&source, "main").await.unwrap(), base);
    assert!(checkouts.tip(&source, "gone").await.is_err());

    let checkout = checkouts.check_out(&source, &commit).await.unwrap();
    assert_eq!(names(checkout.path()), ["config.yaml", "models"]);
    assert_eq!(names(&checkout.path().join("models")), ["a.sql", "b.sql"]);
    let folder = checkout.path().to_owned();
    drop(checkout);
    assert!(!folder.exists());
}

#[tokio::test]
async fn what_a_commit_brings_along_is_not_run() {
    let upstream = Upstream::new();
    let ran = upstream.folder.path().join("ran");
    let touch = format!("touch {}", ran.display());
    // Filters and hooks that would run if git wrote the files with the attributes of the commit.
    upstream.commit("models/a.sql", "SELECT 1\n");
    upstream.commit(".gitattributes", "*.sql filter=evil\n");
    let sha = upstream.commit(
        ".gitmodules",
        &format!("[submodule \"x\"]\n\tpath = x\n\turl = ./x\n\tupdate = !{touch}\n")
            .replace("update", "# update"),
    );
    let checkouts = upstream.checkouts();
    let token = SecretString::from("");
    let name = name();
    let source = Source {
        id: 5,
        name: &name,
        token: &token,
    };
    let commit = checkouts.fetch(&source, &sha).await.unwrap();
    let mirror = upstream.folder.path().join("work/mirrors/5.git");
    for (key, value) in [
        ("filter.evil.smudge", touch.as_str()),
        ("core.fsmonitor", touch.as_str()),
    ] {
        let mirror = mirror.to_str().unwrap();
        upstream.git(&["--git-dir", mirror, "config", key, value]);
    }
    std::fs::create_dir_all(mirror.join("hooks")).unwrap();
    let checkout = checkouts.check_out(&source, &commit).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(checkout.path().join("models/a.sql")).unwrap(),
        "SELECT 1\n"
    );
    assert!(!ran.exists());
}

#[tokio::test]
async fn a_symbolic_link_is_the_authors_to_fix() {
    let upstream = Upstream::new();
    upstream.commit("a.sql", "SELECT 1\n");
    std::os::unix::fs::symlink("/etc/passwd", upstream.path().join("seed.csv")).unwrap();
    let sha = upstream.commit_all();
    let checkouts = upstream.checkouts();
    let token = SecretString::from("");
    let name = name();
    let source = Source {
        id: 5,
        name: &name,
        token: &token,
    };
    let commit = checkouts.fetch(&source, &sha).await.unwrap();
    let error = checkouts.check_out(&source, &commit).await.unwrap_err();
    assert_eq!(
        error.downcast_ref::<Refused>().unwrap().to_string(),
        "`seed.csv` is a symbolic link, which is not followed"
    );
    assert!(names(&upstream.folder.path().join("work/checkouts")).is_empty());
}

#[test]
fn other_protocols_are_no_addresses() {
    for wrong in [
        "ext::sh -c x {owner}{name}",
        "ssh://host/{owner}/{name}",
        "https://host/x",
        "{owner}/{name}",
    ] {
        assert!(wrong.parse::<GitUrl>().is_err(), "{wrong}");
    }
}
