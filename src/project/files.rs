//! The files of a project, as the loader sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Text by path. Paths are relative to the project folder and use `/`.
#[derive(Clone, Debug, Default)]
pub struct FileTree {
    files: BTreeMap<String, Arc<str>>,
    unreadable: BTreeMap<String, String>,
}

impl FileTree {
    /// A tree without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces it.
    pub fn insert(&mut self, path: impl Into<String>, text: impl Into<Arc<str>>) {
        self.files.insert(path.into(), text.into());
    }

    /// Notes a file that is there but has no text; `reason` is such as `not UTF-8`.
    pub fn insert_unreadable(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.unreadable.insert(path.into(), reason.into());
    }

    /// Takes a file away.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
        self.unreadable.remove(path);
    }

    /// The text of the file at `path`.
    pub fn get(&self, path: &str) -> Option<&Arc<str>> {
        self.files.get(path)
    }

    /// Why the file at `path` has no text, if it is there.
    pub fn unreadable_reason(&self, path: &str) -> Option<&str> {
        self.unreadable.get(path).map(String::as_str)
    }

    /// Every file with text, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text))
    }

    /// Every file without text and why, sorted by path.
    pub fn unreadable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unreadable
            .iter()
            .map(|(path, reason)| (path.as_str(), reason.as_str()))
    }
}

impl<P: Into<String>, T: Into<Arc<str>>> FromIterator<(P, T)> for FileTree {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(files: I) -> Self {
        let mut tree = Self::new();
        for (path, text) in files {
            tree.insert(path, text);
        }
        tree
    }
}

/// `path` as seen from the folder of the file `from`, or from the project folder when it starts
/// with `$root/`; `None` when it leaves the project or is absolute.
pub(super) fn resolve(from: &str, path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    let relative = if let Some(rest) = path.strip_prefix("$root/") {
        rest
    } else if path.starts_with('/') {
        return None;
    } else {
        parts.extend(from.split('/'));
        parts.pop();
        &path
    };
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether `pattern` of `ignore_patterns` names `path`: as a whole, or its last parts.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.trim_start_matches("./").split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    if parts_match(&pattern, &path) {
        return true;
    }
    let from_right = path.len().checked_sub(pattern.len());
    from_right.is_some_and(|skip| parts_match(&pattern, &path[skip..]))
}

fn parts_match(pattern: &[&str], path: &[&str]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return path.is_empty();
    };
    if *first == "**" {
        return (0..=path.len()).any(|skip| parts_match(rest, &path[skip..]));
    }
    let Some((name, path)) = path.split_first() else {
        return false;
    };
    part_matches(first, name) && parts_match(rest, path)
}

/// Whether the glob `pattern` (`*`, `?`, `[abc]`, `[a-z]`, `[!a]`) is the whole of `name`.
fn part_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut in_name) = (0, 0);
    // Where to go on after a mismatch: behind the last star, one more character swallowed by it.
    let mut retry: Option<(usize, usize)> = None;
    while in_name < name.len() {
        let step = match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, in_name));
                at += 1;
                continue;
            }
            Some('?') => Some(at + 1),
            Some('[') => class_matches(&pattern, at, name[in_name]),
            Some(other) => (*other == name[in_name]).then_some(at + 1),
            None => None,
        };
        if let Some(next) = step {
            at = next;
            in_name += 1;
        } else if let Some((after_star, swallowed)) = retry {
            retry = Some((after_star, swallowed + 1));
            at = after_star;
            in_name = swallowed + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// The index behind the class at `open` if `character` is in it.
fn class_matches(pattern: &[char], open: usize, character: char) -> Option<usize> {
    let negated = pattern.get(open + 1) == Some(&'!');
    let first = open + 1 + usize::from(negated);
    let close = (first + 1..pattern.len()).find(|index| pattern[*index] == ']')?;
    let class = &pattern[first..close];
    let mut found = class.contains(&character);
    for window in class.windows(3) {
        found |= window[1] == '-' && window[0] <= character && character <= window[2];
    }
    (found != negated).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_project() {
        assert_eq!(
            resolve("models/a/b.sql", "../../seeds/x.csv").as_deref(),
            Some("seeds/x.csv")
        );
        assert_eq!(
            resolve("models/b.sql", "$root/seeds/./x.csv").as_deref(),
            Some("seeds/x.csv")
        );
        assert_eq!(resolve("models/b.sql", "../../x.csv"), None);
        assert_eq!(resolve("models/b.sql", "$root/../x.csv"), None);
        assert_eq!(resolve("models/b.sql", "/etc/passwd"), None);
    }

    #[test]
    fn patterns_match_whole_paths_and_their_ends() {
        assert!(matches("models/wip/*", "models/wip/a.sql"));
        assert!(matches("*.tmp.sql", "models/deep/a.tmp.sql"));
        assert!(matches("models/**/x?.sql", "models/a/b/x1.sql"));
        assert!(matches("[a-c]*.sql", "models/b.sql"));
        assert!(!matches("models/*", "models/a/b.sql"));
        assert!(!matches("wip/*", "models/other/a.sql"));
    }
}
