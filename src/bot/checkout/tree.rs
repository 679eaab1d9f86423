//! Files out of git's object store, written by our own code.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use anyhow::ensure;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;

use crate::bot::checkout::Commit;
use crate::bot::checkout::git::Git;

const MAX_FILES: usize = 20_000;
const MAX_FILE_BYTES: u64 = 100 * 1024 * 1024;
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
const MAX_DEPTH: usize = 32;

/// A commit that we do not write to disk: its author can fix it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

struct Entry {
    sha: String,
    bytes: u64,
    path: String,
}

/// Writes the files of `commit` below the empty folder `into`.
pub(super) async fn write(git: &Git, commit: &Commit, into: &Path) -> anyhow::Result<()> {
    let listing = git
        .run(&["ls-tree", "-r", "-z", "-l", "--full-tree", &commit.tree])
        .await
        .context("listing the files of a commit")?;
    let entries = entries(&listing)?;
    let mut child = git
        .command(&["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .spawn()
        .context("starting `git`")?;
    let mut input = child.stdin.take().expect("stdin is piped");
    let output = child.stdout.take().expect("stdout is piped");
    let wanted: String = entries
        .iter()
        .map(|entry| format!("{}\n", entry.sha))
        .collect();
    let asking = async move {
        // An error here shows as an answer that ends too early.
        let _ = input.write_all(wanted.as_bytes()).await;
    };
    let reading = read_files(BufReader::new(output), &entries, into);
    let ((), result) = tokio::join!(asking, reading);
    result?;
    let status = child.wait().await.context("waiting for `git`")?;
    ensure!(status.success(), "git could not read the files of a commit");
    Ok(())
}

async fn read_files(
    mut output: BufReader<tokio::process::ChildStdout>,
    entries: &[Entry],
    into: &Path,
) -> anyhow::Result<()> {
    let mut made = BTreeSet::new();
    for entry in entries {
        let mut header = String::new();
        output
            .read_line(&mut header)
            .await
            .context("reading from `git`")?;
        let expected = format!("{} blob {}\n", entry.sha, entry.bytes);
        ensure!(header == expected, "git has no file `{}`", entry.path);
        let path = into.join(&entry.path);
        let folder = path.parent().expect("a file is in a folder");
        if made.insert(folder.to_owned()) {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("creating `{}`", folder.display()))?;
        }
        // The folder is fresh and holds only what we wrote, so nothing in it can lead elsewhere.
        let mut file =
            File::create_new(&path).with_context(|| format!("creating `{}`", path.display()))?;
        let mut left = entry.bytes;
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let read = output
                .read(&mut buffer[..wanted])
                .await
                .context("reading from `git`")?;
            ensure!(read > 0, "git ended within the file `{}`", entry.path);
            file.write_all(&buffer[..read])
                .with_context(|| format!("writing `{}`", path.display()))?;
            left -= u64::try_from(read).expect("a buffer is not that large");
        }
        ensure!(
            output.read_u8().await.ok() == Some(b'\n'),
            "git ended after the file `{}`",
            entry.path
        );
    }
    Ok(())
}

/// The files that `git ls-tree -r -z -l` lists, checked.
fn entries(listing: &str) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut total = 0_u64;
    for line in listing.split('\0').filter(|line| !line.is_empty()) {
        let (head, path) = line
            .split_once('\t')
            .context("git listed a file without a name")?;
        let mut words = head.split_ascii_whitespace();
        let (mode, _, sha, size) = (words.next(), words.next(), words.next(), words.next());
        match mode {
            Some("100644" | "100755" | "100664") => {}
            // What a submodule holds is fetched by nobody.
            Some("160000") => continue,
            Some("120000") => {
                return Err(refused(format!(
                    "`{path}` is a symbolic link, which is not followed"
                )));
            }
            _ => return Err(refused(format!("`{path}` is no ordinary file"))),
        }
        if let Some(reason) = unsafe_path(path) {
            return Err(refused(format!("the path `{path}` {reason}")));
        }
        for prefix in prefixes(path) {
            // On a disk that ignores case the second would overwrite the first, or be reached through it.
            if let Some(other) = names.insert(prefix.to_lowercase(), prefix.to_owned())
                && other != prefix
            {
                return Err(refused(format!(
                    "`{other}` and `{prefix}` differ only in case"
                )));
            }
        }
        let bytes: u64 = size
            .and_then(|size| size.parse().ok())
            .context("git listed a file without a size")?;
        total = total.saturating_add(bytes);
        if bytes > MAX_FILE_BYTES {
            return Err(refused(format!(
                "`{path}` is larger than {} MiB",
                MAX_FILE_BYTES >> 20
            )));
        }
        if total > MAX_BYTES {
            return Err(refused(format!(
                "the files are larger than {} MiB",
                MAX_BYTES >> 20
            )));
        }
        entries.push(Entry {
            sha: sha.context("git listed a file without content")?.to_owned(),
            bytes,
            path: path.to_owned(),
        });
        if entries.len() > MAX_FILES {
            return Err(refused(format!("there are more than {MAX_FILES} files")));
        }
    }
    Ok(entries)
}

fn refused(message: String) -> anyhow::Error {
    Refused(message).into()
}

/// Each folder above `path`, and `path`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .map(|(index, _)| &path[..index])
        .chain(std::iter::once(path))
}

/// Why a path is not written.
fn unsafe_path(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    if parts.len() > MAX_DEPTH {
        return Some("is too deep");
    }
    for part in parts {
        let name = part.trim_end_matches(['.', ' ']);
        if name.is_empty() {
            return Some("leaves its folder");
        }
        if name.eq_ignore_ascii_case(".git") {
            return Some("names git's own folder");
        }
        if part.contains(['\\', ':']) || part.chars().any(char::is_control) {
            return Some("holds characters that are not written");
        }
        if part.len() > 255 {
            return Some("is too long");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(lines: &[&str]) -> String {
        let listing: String = lines.iter().map(|line| format!("{line}\0")).collect();
        let error = entries(&listing).err().expect("it is refused");
        assert!(error.is::<Refused>());
        error.to_string()
    }

    fn file(path: &str) -> String {
        format!("100644 blob {} {:>7}\t{path}", "a".repeat(40), 3)
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let link = format!("120000 blob {} 9\tmodels/x.sql", "a".repeat(40));
        assert_eq!(
            refusal(&[&link]),
            "`models/x.sql` is a symbolic link, which is not followed"
        );
        assert_eq!(
            refusal(&[&file("../x")]),
            "the path `../x` leaves its folder"
        );
        assert_eq!(
            refusal(&[&file("a//b")]),
            "the path `a//b` leaves its folder"
        );
        assert_eq!(
            refusal(&[&file("/etc/x")]),
            "the path `/etc/x` leaves its folder"
        );
        assert_eq!(
            refusal(&[&file("a/.GIT/hooks")]),
            "the path `a/.GIT/hooks` names git's own folder"
        );
        assert_eq!(
            refusal(&[&file("C:x")]),
            "the path `C:x` holds characters that are not written"
        );
    }

    #[test]
    fn names_that_differ_only_in_case_are_refused() {
        assert_eq!(
            refusal(&[&file("A/x"), &file("a/y")]),
            "`A` and `a` differ only in case"
        );
    }

    #[test]
    fn ordinary_files_pass_and_submodules_are_left_out() {
        let module = format!("160000 commit {}       -\tvendor/lib", "b".repeat(40));
        let listing = [file("models/a.sql"), module, file("config.yaml")].join("\0");
        let paths: Vec<_> = entries(&listing)
            .unwrap()
            .into_iter()
            .map(|entry| entry.path)
            .collect();
        assert_eq!(paths, ["models/a.sql", "config.yaml"]);
    }
}
