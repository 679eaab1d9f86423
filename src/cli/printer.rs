//! The one voice: everything that reaches the terminal goes through here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::io::Write;

use serde::Serialize;

use crate::cli::settings::Colors;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::environment_variables;
use crate::engine::EngineError;
use crate::ops::ApplyError;
use crate::postgres::REMARKS;
use crate::state::PromoteError;
use crate::state::StateError;

/// Writes results to standard output, everything else to standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printer {
    /// How results are printed.
    pub(super) format: Format,
    color_out: bool,
    color_err: bool,
}

/// What a piece of text is; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// A heading.
    Strong,
    /// Added or fine.
    Good,
    /// Removed or failed.
    Bad,
    /// Look here.
    Caution,
    /// Of less interest.
    Faint,
}

/// Colours text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    /// `text` in the colour of `tone`.
    pub(super) fn tone(self, tone: Tone, text: &str) -> String {
        if !self.0 || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Strong => "1",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Caution => "33",
            Tone::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

impl Printer {
    pub(super) fn new(settings: &Settings) -> Self {
        let no_color = environment_variables()
            .get("NO_COLOR")
            .is_some_and(|value| !value.is_empty());
        let wanted = |terminal: bool| match settings.color {
            Colors::Always => true,
            Colors::Never => false,
            Colors::Auto => terminal && !no_color,
        };
        init_logging(settings.verbose);
        Self {
            format: settings.format,
            color_out: settings.format == Format::Text && wanted(std::io::stdout().is_terminal()),
            color_err: wanted(std::io::stderr().is_terminal()),
        }
    }

    /// Colours for what goes to standard output.
    pub(super) fn paint(&self) -> Paint {
        Paint(self.color_out)
    }

    /// Colours for what goes to standard error.
    pub(super) fn paint_notes(&self) -> Paint {
        Paint(self.color_err)
    }

    /// Whether somebody can answer a question.
    pub(super) fn is_interactive(&self) -> bool {
        self.format == Format::Text
            && std::io::stdin().is_terminal()
            && std::io::stderr().is_terminal()
    }

    /// Whether progress can be drawn.
    pub(super) fn draws_progress(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// A result, for people.
    pub(super) fn text(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A reader that went away, such as `head`, is no failure of ours.
        writeln!(out, "{}", harmless(text.trim_end())).ok();
    }

    /// A result that is a table: aligned for people, or a table of Markdown.
    pub(super) fn table(&self, header: &[&str], rows: Vec<Vec<String>>) {
        let preset = match self.format {
            Format::Markdown => comfy_table::presets::ASCII_MARKDOWN,
            Format::Text | Format::Json | Format::Mermaid => comfy_table::presets::NOTHING,
        };
        let cell = |text: String| match self.format {
            Format::Markdown => text.replace('|', "\\|"),
            Format::Text | Format::Json | Format::Mermaid => text,
        };
        let rows = rows.into_iter().map(|row| row.into_iter().map(cell));
        let mut table = comfy_table::Table::new();
        table.load_preset(preset).set_header(header).add_rows(rows);
        self.text(&table.to_string());
    }

    /// A result, for programs.
    pub(super) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.text(&text);
        Ok(())
    }

    /// A result on one line, for the program that started us.
    pub(super) fn json_line(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(value)?;
        self.text(&text);
        Ok(())
    }

    /// Something to know that is no result.
    pub(super) fn note(&self, text: &str) {
        let mut out = std::io::stderr().lock();
        // As above: a plan goes on when nobody watches any more.
        writeln!(out, "{}", harmless(text.trim_end())).ok();
    }

    /// Asks and returns the answer, trimmed; `None` when nobody answers.
    pub(super) fn ask(&self, question: &str) -> Option<String> {
        let mut out = std::io::stderr().lock();
        write!(out, "{question}").ok()?;
        out.flush().ok()?;
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer).ok()?;
        (read > 0).then(|| answer.trim().to_owned())
    }

    /// Why a command failed.
    pub(super) fn error(&self, error: &anyhow::Error) {
        let label = self.paint_notes().tone(Tone::Bad, "error:");
        self.note(&format!("{label} {error:#}"));
        self.help(std::iter::once(error));
    }

    /// What the user can do about these errors, each thing once.
    pub(super) fn help<'e>(&self, errors: impl Iterator<Item = &'e anyhow::Error>) {
        let label = self.paint_notes().tone(Tone::Good, "help:");
        let known: BTreeSet<&str> = errors.filter_map(help).collect();
        for help in known {
            self.note(&format!("{label} {help}"));
        }
    }
}

/// `text` without what makes a terminal do more than show text in a colour: names, queries and messages come from
/// whoever wrote the project.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for (index, character) in text.char_indices() {
        let is_color = || {
            let rest = text[index + 1..].strip_prefix('[');
            rest.is_some_and(|rest| {
                let numbers = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
                numbers.starts_with('m')
            })
        };
        let is_fine = match character {
            '\u{1b}' => is_color(),
            '\r' => text[index + 1..].starts_with('\n'),
            character => !is_control(character),
        };
        if !is_fine {
            shown.push('\u{fffd}');
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// What the user can do about `error`, if one of its causes knows.
fn help(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let engine = cause
            .downcast_ref::<EngineError>()
            .and_then(EngineError::help);
        let state = cause
            .downcast_ref::<StateError>()
            .and_then(StateError::help);
        let promote = cause
            .downcast_ref::<PromoteError>()
            .and_then(PromoteError::help);
        // Of several models that failed, the first that knows.
        let failed = match cause.downcast_ref::<ApplyError>() {
            Some(ApplyError::Failed { failed, .. }) => {
                failed.iter().find_map(|(_, error)| help(error))
            }
            _ => None,
        };
        engine.or(state).or(promote).or(failed)
    })
}

/// Logs go to standard error: warnings, or more with `-v` or `RUST_LOG`.
fn init_logging(verbose: u8) {
    // What a PostgreSQL remarks beside its answers, such as why it ends a connection, comes again as an error.
    let usual = format!("warn,siding=info,{REMARKS}=error");
    let level = match verbose {
        0 => usual.as_str(),
        1 => "info,siding=debug",
        2 => "debug",
        // Every statement that a warehouse gets.
        _ => "debug,siding::engine=trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let result = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    // Only a second printer in one process could fail here, and the first one's logs go on.
    result.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_paints_but_does_not_drive_the_terminal() {
        assert_eq!(harmless("añ\tb\n"), "añ\tb\n");
        let painted = Paint(true).tone(Tone::Good, "done");
        assert_eq!(harmless(&painted), painted);
        assert_eq!(harmless("a\r\nb"), "a\r\nb");
        assert_eq!(harmless("\u{1b}[1;31mred"), "\u{1b}[1;31mred");
        assert_eq!(
            harmless("a\u{1b}[2J\u{1b}]0;title\u{7}\r\u{9b}m"),
            "a\u{fffd}[2J\u{fffd}]0;title\u{fffd}\u{fffd}\u{fffd}m"
        );
    }
}
