//! Files that the format gives a meaning and Siding does not support yet.

use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::project::config::not_supported;

/// What is said about the file at `path`, if anything. Files that only have comments are silent.
pub(super) fn check(path: &str, text: &str) -> Option<Diagnostic> {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let (folder, name) = path.split_once('/').unwrap_or(("", path));
    let (what, harmless) = match (folder, extension) {
        ("models", "py") => ("a Python model", false),
        ("models", "yaml" | "yml") => ("a YAML file in `models/`", true),
        ("macros", "py") => ("a macro written in Python", true),
        ("macros", "sql") => ("a Jinja macro", true),
        ("signals", "py") => ("a signal written in Python", true),
        ("metrics", "sql") => ("a metric", true),
        ("linter", "py") => ("a linter rule written in Python", true),
        ("materializations", "py") => ("a materialization written in Python", true),
        ("tests", "yaml" | "yml") if name.rsplit('/').next()?.starts_with("test") => {
            ("a unit test", true)
        }
        ("", _) => match path {
            "config.py" => ("`config.py`", false),
            "dbt_project.yml" => ("a dbt project", false),
            "sqlmesh-requirements.lock" => ("`sqlmesh-requirements.lock`", true),
            ".env" => ("`.env`", true),
            _ => return None,
        },
        _ => return None,
    };
    if !has_content(text, extension) {
        return None;
    }
    let mut diagnostic = not_supported(what).in_file(path);
    if harmless {
        diagnostic.severity = Severity::Warning;
        diagnostic = diagnostic.help("The file has no effect.");
    } else {
        diagnostic = diagnostic.help("Only SQL models and `config.yaml` are supported.");
    }
    Some(diagnostic)
}

/// Whether there is more than comments and blanks.
fn has_content(text: &str, extension: &str) -> bool {
    let mark = if extension == "sql" { "--" } else { "#" };
    text.lines().map(str::trim).any(|line| {
        let comment = line.starts_with(mark);
        !line.is_empty() && !comment
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said_and_empty_files_are_silent() {
        assert!(check("models/a.py", "x = 1").unwrap().is_error());
        assert!(!check("tests/test_a.yaml", "a: 1").unwrap().is_error());
        assert!(check("macros/__init__.py", "# nothing\n").is_none());
        assert!(check("tests/notes.yaml", "a: 1").is_none());
        assert!(check("README.md", "text").is_none());
    }
}
