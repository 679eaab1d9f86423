//! Reads the program's source as lines of text and finds the names in them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// One line of the program with the file that it stands in, e.g. `src/plan/diff.rs`.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The module's lines of code: no comments, no unit tests. Empty for a module that is not there yet.
pub(crate) fn code_lines(module: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for (path, text) in files(module) {
        if !path.ends_with("/tests.rs") && !path.contains("/tests/") {
            lines.extend(without_comments(&path, without_unit_tests(&text)));
        }
    }
    lines
}

/// The module's lines without comments, with its unit tests.
pub(crate) fn all_lines(module: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for (path, text) in files(module) {
        lines.extend(without_comments(&path, &text));
    }
    lines
}

/// The top-level modules in `line`, e.g. `["model"]` for `use crate::model::ModelName;`, and an empty
/// name for a group such as `use crate::{…};`.
pub(crate) fn modules_named_in(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !is_part_of_a_name(c));
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// Whether `line` names the outside crate: `tool::…`, but neither `my_tool::…` nor `crate::tool::…`.
pub(crate) fn names_crate(line: &str, tool: &str) -> bool {
    line.match_indices(&format!("{tool}::")).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| is_part_of_a_name(c) || c == ':')
    })
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The module's files and their text, whether it is a folder or a single file.
fn files(module: &str) -> Vec<(String, String)> {
    let source = root().join("src");
    let mut paths = vec![source.join(module), source.join(format!("{module}.rs"))];
    let mut files = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs") && path.exists() {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    files
}

/// The text up to `mod tests`, which ends a file. A single helper behind `#[cfg(test)]` does not end it.
fn without_unit_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod tests {")
        .map_or(text, |end| &text[..end])
}

fn without_comments(path: &str, text: &str) -> Vec<Line> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.map(|line| Line {
        path: path.to_owned(),
        text: line.to_owned(),
    })
    .collect()
}

#[test]
fn a_line_gives_the_modules_that_it_names() {
    let named = |line| modules_named_in(line).collect::<Vec<_>>();
    assert_eq!(named("use crate::model::ModelName;"), ["model"]);
    assert_eq!(
        named("fn f(a: crate::sql::Query) -> crate::plan::Plan {"),
        ["sql", "plan"]
    );
    assert_eq!(
        named("use crate::{engine::DuckDb, state::StateStore};"),
        [""]
    );
    assert_eq!(named("let create = 1;"), [""; 0]);
}

#[test]
fn a_crate_is_named_only_where_its_own_name_starts() {
    assert!(names_crate("use duckdb::Connection;", "duckdb"));
    assert!(names_crate("fn f(c: &duckdb::Connection) {", "duckdb"));
    assert!(!names_crate("use crate::engine::duckdb::DuckDb;", "duckdb"));
    assert!(!names_crate("use libduckdb::Connection;", "duckdb"));
}

#[test]
fn unit_tests_and_comments_are_not_code() {
    let text = "use a::B;\n// use c::D;\n#[cfg(test)]\nfn helper() {}\nfn e() {}\n\n#[cfg(test)]\nmod tests {\n    use f::G;\n}\n";
    let lines = without_comments("src/x.rs", without_unit_tests(text));
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        texts,
        ["use a::B;", "#[cfg(test)]", "fn helper() {}", "fn e() {}"]
    );
}
