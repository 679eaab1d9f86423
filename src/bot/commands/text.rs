//! The lines of a comment that a person wrote as plain text.

use pulldown_cmark::Event;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;
use pulldown_cmark::TagEnd;

/// Stands where something begins that is not plain text, so that the line is no command.
const NOT_PLAIN: char = '\u{FFFD}';

/// The lines of the paragraphs of a comment, without those that hold markup where a command would stand.
///
/// Code blocks, quotes, lists, tables, headings and HTML are talk about commands, not commands.
pub(crate) fn lines(comment: &str) -> Vec<String> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut lines = Vec::new();
    let mut line = String::new();
    // How deep we are in blocks that are not read.
    let mut quoted = 0_usize;
    for event in Parser::new_ext(comment, options) {
        match event {
            Event::Start(
                Tag::BlockQuote(_)
                | Tag::List(_)
                | Tag::Table(_)
                | Tag::Heading { .. }
                | Tag::CodeBlock(_)
                | Tag::HtmlBlock
                | Tag::FootnoteDefinition(_),
            ) => quoted += 1,
            Event::End(
                TagEnd::BlockQuote(_)
                | TagEnd::List(_)
                | TagEnd::Table
                | TagEnd::Heading(_)
                | TagEnd::CodeBlock
                | TagEnd::HtmlBlock
                | TagEnd::FootnoteDefinition,
            ) => quoted = quoted.saturating_sub(1),
            _ if quoted > 0 => {}
            Event::Text(text) => line.push_str(&text),
            // An argument may stand in backticks, a command may not.
            Event::Code(code) if !line.trim().is_empty() => line.push_str(&code),
            Event::SoftBreak | Event::HardBreak | Event::End(TagEnd::Paragraph) => {
                lines.push(std::mem::take(&mut line));
            }
            Event::Start(Tag::Paragraph) => line.clear(),
            Event::Code(_) | Event::Start(_) | Event::InlineHtml(_) | Event::Html(_) => {
                line.push(NOT_PLAIN);
            }
            _ => {}
        }
    }
    lines.retain(|line| !line.trim().is_empty() && !line.contains(NOT_PLAIN));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_on_lines_of_their_own() {
        assert_eq!(
            lines("thanks!\n/plan\n\n/deploy `abc1234`"),
            ["thanks!", "/plan", "/deploy abc1234"]
        );
    }

    #[test]
    fn talk_about_commands_gives_none() {
        for comment in [
            "> /deploy",
            "```\n/deploy\n```",
            "    /deploy",
            "`/deploy`",
            "**/deploy**",
            "[/deploy](https://example.com)",
            "- /deploy",
            "# /deploy",
            "<b>/deploy</b>",
            "<!-- \n/deploy\n-->",
            "| a |\n|---|\n| /deploy |",
        ] {
            let lines = lines(comment);
            assert!(
                lines.iter().all(|line| !line.starts_with('/')),
                "{comment}: {lines:?}"
            );
        }
    }
}
