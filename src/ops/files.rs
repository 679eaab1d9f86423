//! Read a project's files from a folder.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

use anyhow::Context;

use crate::project::FileTree;

/// Largest file that is read, in bytes: seeds are small tables.
const LARGEST_FILE: u64 = 64 << 20;

/// Most files that a project may have.
const MOST_FILES: usize = 200_000;

/// Most bytes of text that a project may have in all.
const MOST_BYTES: u64 = 512 << 20;

const LINK: &str = "it is a symbolic link, and those are not followed";

/// Endings of the files that a project is made of.
const ENDINGS: [&str; 6] = ["sql", "yaml", "yml", "csv", "py", "tsv"];

/// The files below `folder` that a project can be made of, by path relative to it with `/`.
///
/// Hidden folders are passed over. A symbolic link is not followed: what it points at may lie outside the
/// project, and a pull request must not read the server's files. Files that are no text, and folders that
/// cannot be entered (with `/` behind them), are in the tree with the reason.
///
/// # Errors
/// When the folder cannot be read, or holds more than a project may.
pub fn read_files(folder: &Path) -> anyhow::Result<FileTree> {
    let mut tree = FileTree::default();
    let mut budget = Budget { files: 0, bytes: 0 };
    walk(folder, "", &mut tree, &mut budget)
        .with_context(|| format!("reading the folder `{}`", folder.display()))?;
    Ok(tree)
}

struct Budget {
    files: usize,
    bytes: u64,
}

fn walk(
    folder: &Path,
    prefix: &str,
    tree: &mut FileTree,
    budget: &mut Budget,
) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<_>>);
    let mut entries: Vec<_> = match entries {
        Ok(entries) => entries,
        Err(error) if prefix.is_empty() => return Err(error.into()),
        Err(error) => {
            tree.insert_unreadable(prefix, error.to_string());
            return Ok(());
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') || (prefix.is_empty() && name == "target") {
            continue;
        }
        let path = format!("{prefix}{name}");
        let file_type = entry.file_type()?;
        if file_type.is_dir() {
            walk(&entry.path(), &format!("{path}/"), tree, budget)?;
            continue;
        }
        if file_type.is_symlink() && entry.path().is_dir() {
            tree.insert_unreadable(format!("{path}/"), LINK);
            continue;
        }
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if !ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) {
            continue;
        }
        budget.files += 1;
        anyhow::ensure!(
            budget.files <= MOST_FILES,
            "there are more than {MOST_FILES} files; is this the project's folder?"
        );
        if file_type.is_symlink() {
            tree.insert_unreadable(path, LINK);
            continue;
        }
        if !file_type.is_file() {
            // Reading a named pipe would wait for somebody to write.
            tree.insert_unreadable(path, "it is no ordinary file");
            continue;
        }
        let (mut file, size) = match open(&entry.path()) {
            Ok(opened) => opened,
            Err(error) => {
                tree.insert_unreadable(path, error.to_string());
                continue;
            }
        };
        budget.bytes += size;
        anyhow::ensure!(
            budget.bytes <= MOST_BYTES,
            "the files hold more than {} MB; is this the project's folder?",
            MOST_BYTES >> 20
        );
        if size > LARGEST_FILE {
            tree.insert_unreadable(path, "it is larger than 64 MB");
            continue;
        }
        match content(&mut file, size).map(String::from_utf8) {
            Ok(Ok(text)) => tree.insert(path, text),
            Ok(Err(_)) => tree.insert_unreadable(path, "it is not UTF-8 text"),
            Err(error) => tree.insert_unreadable(path, error.to_string()),
        }
    }
    Ok(())
}

/// The file, and its size in bytes.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// The first `size` bytes, or as many as there are: asking for what is behind them would be another call for each file.
fn content(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
    let mut end = 0;
    while end < bytes.len() {
        match file.read(&mut bytes[end..]) {
            Ok(0) => break,
            Ok(read) => end += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(end);
    Ok(bytes)
}
