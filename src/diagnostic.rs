//! What a user can fix: rule, message, file, place, help.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::Serialize;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is planned or applied while one of these stands.
    Error,
    /// Worth knowing; the work goes on.
    Warning,
}

/// One thing that a user can fix, with its place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Whether the work can go on.
    pub severity: Severity,
    /// Stable name of the rule, such as `unknown-kind`.
    pub rule: Cow<'static, str>,
    /// One sentence: lower case, no full stop, names in backticks.
    pub message: String,
    /// Path relative to the project folder; empty when no file is at fault.
    pub file: String,
    /// Line of the place, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// Column of the place in characters, from 1; 0 when the whole file is meant.
    pub column: usize,
    /// Byte offsets of the place in the file; empty when unknown.
    #[serde(skip, default)]
    pub span: Range<usize>,
    /// A full sentence that says what to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place; add one with [`Self::at`] or [`Self::in_file`].
    pub fn error(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, rule, message.into())
    }

    /// A warning without a place; add one with [`Self::at`] or [`Self::in_file`].
    pub fn warning(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, rule, message.into())
    }

    fn new(severity: Severity, rule: &'static str, message: String) -> Self {
        Self {
            severity,
            rule: Cow::Borrowed(rule),
            message,
            file: String::new(),
            line: 0,
            column: 0,
            span: 0..0,
            help: None,
        }
    }

    /// The same, about a whole file.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        file.clone_into(&mut self.file);
        self
    }

    /// The same, at bytes `span` of `text`, the content of `file`.
    #[must_use]
    pub fn at(mut self, file: &str, text: &str, span: Range<usize>) -> Self {
        file.clone_into(&mut self.file);
        (self.line, self.column) = line_and_column(text, span.start);
        self.span = span;
        self
    }

    /// The same, with a sentence that says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether this stops the work.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(formatter, "{}", self.file)?;
            if self.line > 0 {
                write!(formatter, ":{}:{}", self.line, self.column)?;
            }
            write!(formatter, ": ")?;
        }
        write!(formatter, "{}", self.message)
    }
}

/// Line and column in characters, both from 1, of byte `offset` in `text`.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_counted_in_lines_and_characters() {
        let text = "SELECT 'é',\n  x\n";
        let diagnostic = Diagnostic::error("rule", "message").at("a.sql", text, 15..16);
        assert_eq!(diagnostic.to_string(), "a.sql:2:3: message");
    }

    #[test]
    fn an_offset_past_the_end_is_the_end() {
        assert_eq!(line_and_column("a\nb", 99), (2, 2));
    }
}
