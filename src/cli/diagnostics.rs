//! Diagnostics for people: the line at fault, a marker under it, and what to do.

use annotate_snippets::AnnotationKind;
use annotate_snippets::Level;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;

use crate::cli::printer::Printer;
use crate::cli::settings::Format;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::ops::OpenError;
use crate::ops::Session;
use crate::project::FileTree;

/// Shows what loading the project warned of. Programs find it in their JSON.
pub(super) fn show_warnings(session: &Session, printer: &Printer) {
    show_of(session.warnings(), session.files(), printer);
}

/// Shows `warnings` about `files`.
pub(super) fn show_of(warnings: &[Diagnostic], files: &FileTree, printer: &Printer) {
    if printer.format != Format::Json && !warnings.is_empty() {
        printer.note(&in_files(warnings, files, printer));
    }
}

/// Shows why a project cannot be opened.
pub(super) fn show_errors(error: &OpenError, printer: &Printer) {
    printer.note(&in_files(&error.diagnostics, &error.files, printer));
}

/// Diagnostics with the lines that they are about.
pub(super) fn in_files(diagnostics: &[Diagnostic], files: &FileTree, printer: &Printer) -> String {
    let text_of = |file: &str| files.get(file).map(|text| without_passwords(text));
    render(diagnostics, &text_of, printer.paint_notes().0)
}

/// Each diagnostic with its place in the source, and a line that counts them.
///
/// `text_of` gives a file's text; without it the place stands as `file:line:column`.
fn render(
    diagnostics: &[Diagnostic],
    text_of: &dyn Fn(&str) -> Option<String>,
    color: bool,
) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut parts: Vec<String> = Vec::new();
    for diagnostic in diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let source = text_of(&diagnostic.file).filter(|text| {
            !diagnostic.span.is_empty()
                && text.is_char_boundary(diagnostic.span.start)
                && text.is_char_boundary(diagnostic.span.end.min(text.len()))
        });
        let place = match (&source, diagnostic.file.is_empty(), diagnostic.line) {
            (Some(_), _, _) | (None, true, _) => String::new(),
            (None, false, 0) => format!("{}: ", diagnostic.file),
            (None, false, line) => format!("{}:{line}:{}: ", diagnostic.file, diagnostic.column),
        };
        let title = format!("{place}{}", diagnostic.message);
        let mut group = level
            .primary_title(title)
            .id(diagnostic.rule.as_ref())
            .elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
        if let Some(text) = &source {
            let end = diagnostic.span.end.min(text.len());
            group = group.element(
                Snippet::source(text.as_str())
                    .path(diagnostic.file.as_str())
                    .annotation(AnnotationKind::Primary.span(diagnostic.span.start..end)),
            );
        }
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        parts.push(renderer.render(&[group]).to_string());
    }
    let errors = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .count();
    let warnings = diagnostics.len() - errors;
    if errors > 0 {
        parts.push(format!(
            "{}, {}",
            count(errors, "error"),
            count(warnings, "warning")
        ));
    }
    parts.join("\n\n")
}

/// `text` with stars for whatever follows `password:` on its line; every other byte stays where it is.
fn without_passwords(text: &str) -> String {
    const KEY: &str = "password";
    let lines = text.split_inclusive('\n').map(|line| {
        let lower = line.to_ascii_lowercase();
        let after = lower.find(KEY).map(|start| start + KEY.len());
        let colon = after.and_then(|after| {
            let rest = lower[after..].trim_start_matches(['"', '\'', ' ']);
            rest.starts_with(':').then(|| lower.len() - rest.len() + 1)
        });
        let Some(colon) = colon else {
            return line.to_owned();
        };
        let (shown, secret) = line.split_at(colon);
        let hide = |byte: u8| {
            if byte.is_ascii_whitespace() {
                char::from(byte)
            } else {
                '*'
            }
        };
        format!("{shown}{}", secret.bytes().map(hide).collect::<String>())
    });
    lines.collect()
}

fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_configuration_is_shown_without_its_password() {
        let text = "a: 1\nc: {type: postgres, 'password': né}\n  Password : x y\npasswordless: 1\n";
        let shown = without_passwords(text);
        assert_eq!(
            shown,
            "a: 1\nc: {type: postgres, 'password': ****\n  Password : * *\npasswordless: 1\n"
        );
        assert_eq!(shown.len(), text.len());
    }
}
