//! Text from outside, made harmless inside Markdown that GitHub renders.
//!
//! Everything that Siding did not write itself goes through one of the functions here: names of models, columns and
//! branches, messages of databases, logins. Inside, nothing starts a mention, a reference, a link, HTML, a table cell
//! or a line.

use std::fmt::Write;

/// Most characters of one piece of text from outside.
const MAX_CHARS: usize = 300;

/// Stands between the characters that GitHub would make a link of.
const APART: char = '\u{200B}';

/// `outside` as a code span: for names. In it GitHub links nothing.
///
/// A `|` becomes `¦`, because no way of writing it is safe both inside and outside of a table.
pub(crate) fn code(outside: &str) -> String {
    let clean = one_line(outside).replace('|', "¦");
    let clean = clean.trim();
    if clean.is_empty() {
        return "` `".to_owned();
    }
    let fence = "`".repeat(longest_run(clean, '`') + 1);
    if clean.starts_with('`') || clean.ends_with('`') {
        format!("{fence} {clean} {fence}")
    } else {
        format!("{fence}{clean}{fence}")
    }
}

/// `outside` as plain text on one line: for titles, logins and words.
pub(crate) fn text(outside: &str) -> String {
    let mut escaped = String::new();
    let mut previous = ' ';
    let clean = one_line(outside);
    let mut characters = clean.trim().chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(character);
        let next = characters.peek().copied().unwrap_or(' ');
        // `@team`, `#1`, `GH-1`, `https://…` and `www.…` are linked after Markdown, whatever was escaped.
        let links = match character {
            '@' | '#' => next.is_alphanumeric(),
            ':' => next == '/',
            '-' => next.is_ascii_digit() && previous.eq_ignore_ascii_case(&'h'),
            '.' => previous.eq_ignore_ascii_case(&'w'),
            _ => false,
        };
        if links {
            escaped.push(APART);
        }
        previous = character;
    }
    escaped
}

/// `outside` as a sentence in which `` `names` `` are code spans: for our own messages with names from outside.
pub(crate) fn message(outside: &str) -> String {
    let clean = one_line(outside);
    let parts: Vec<&str> = clean.trim().split('`').collect();
    // An even number of backticks makes an odd number of parts.
    if parts.len().is_multiple_of(2) {
        return text(&clean);
    }
    let mut sentence = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index % 2 == 1 {
            sentence.push_str(&code(part));
        } else {
            let spaced = text(part);
            let left = if part.starts_with(' ') && index > 0 {
                " "
            } else {
                ""
            };
            let right = if part.ends_with(' ') && !spaced.is_empty() {
                " "
            } else {
                ""
            };
            write!(sentence, "{left}{spaced}{right}").expect("a string takes all text");
        }
    }
    sentence
}

/// `outside` as a code block: for text of several lines. Ends with a line break.
pub(crate) fn fenced(language: &str, outside: &str) -> String {
    let clean: String = outside
        .chars()
        .filter(|character| matches!(character, '\n' | '\t') || !is_hidden(*character))
        .collect();
    let fence = "`".repeat(longest_run(&clean, '`').max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", clean.trim_end())
}

/// `outside` without anything that a log or a title would read as more than one line.
pub(crate) fn one_line(outside: &str) -> String {
    let mut line: String = outside
        .chars()
        .map(|character| {
            if character.is_whitespace() {
                ' '
            } else {
                character
            }
        })
        .filter(|character| !is_hidden(*character))
        .take(MAX_CHARS + 1)
        .collect();
    if line.chars().count() > MAX_CHARS {
        line.pop();
        line.push('…');
    }
    line
}

/// Whether a reader cannot see it: control characters, and those that reorder or join what stands beside them.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}'
                | '\u{061C}'
                | '\u{180E}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

fn longest_run(text: &str, wanted: char) -> usize {
    let mut longest = 0;
    let mut current = 0;
    for character in text.chars() {
        current = if character == wanted { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::Event;
    use pulldown_cmark::Options;
    use pulldown_cmark::Parser;
    use pulldown_cmark::Tag;
    use pulldown_cmark::TagEnd;

    use super::*;

    /// The text of `markdown` with code in `«…»`; panics when it holds anything but one paragraph of text and code.
    fn read(markdown: &str) -> String {
        let mut read = String::new();
        for event in Parser::new_ext(markdown, Options::all()) {
            match event {
                Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
                Event::Text(text) => read.push_str(&text),
                Event::Code(text) => {
                    read.push('«');
                    read.push_str(&text);
                    read.push('»');
                }
                other => panic!("{markdown:?} holds {other:?}"),
            }
        }
        read
    }

    #[test]
    fn a_hostile_name_stays_a_name() {
        assert_eq!(code("db.orders"), "`db.orders`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(code("a | b\n| c"), "`a ¦ b ¦ c`");
        assert_eq!(code("\u{202E}evil\u{0007}"), "`evil`");
    }

    #[test]
    fn a_mention_a_reference_and_a_link_are_only_text() {
        assert_eq!(text("@acme/all"), "\\@\u{200B}acme\\/all");
        assert_eq!(text("fixes #12"), "fixes \\#\u{200B}12");
        assert_eq!(
            text("<!-- x --> </details>"),
            "\\<\\!\\-\\- x \\-\\-\\> \\<\\/details\\>"
        );
        assert!(text("https://evil.example").contains(":\u{200B}\\/"));
    }

    #[test]
    fn names_in_a_message_are_code() {
        assert_eq!(
            message("model `db.a` reads `db.b`"),
            "model `db.a` reads `db.b`"
        );
        assert_eq!(message("one ` alone"), "one \\` alone");
    }

    #[test]
    fn a_block_cannot_be_closed_from_within() {
        assert_eq!(
            fenced("sql", "select 1\n```\n# x"),
            "````sql\nselect 1\n```\n# x\n````\n"
        );
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(one_line(&"x".repeat(1_000)).chars().count(), MAX_CHARS + 1);
    }

    proptest! {
        #[test]
        fn no_name_escapes_from_its_code_span(name in "[ -~`|\n\u{202e}é]{1,40}", any in ".{0,40}") {
            for name in [name, any] {
                let shown = one_line(&name).replace('|', "¦");
                let shown = if shown.trim().is_empty() { " " } else { shown.trim() };
                prop_assert_eq!(read(&format!("a {} b", code(&name))), format!("a «{shown}» b"));
            }
        }

        #[test]
        fn no_text_escapes_from_its_line(outside in "[ -~\n\u{202e}é]{0,60}", any in ".{0,40}") {
            for outside in [outside, any] {
                let shown = read(&format!("a {}", text(&outside)));
                let clean = one_line(&outside);
                let joined = shown.replace(APART, "");
                let expected = format!("a {}", clean.trim());
                prop_assert_eq!(joined.trim_end(), expected.trim_end());
                prop_assert!(!shown.contains("://"));
                let mut pairs = shown.chars().zip(shown.chars().skip(1));
                prop_assert!(!pairs.any(|(a, b)| matches!(a, '@' | '#') && b.is_alphanumeric()));
            }
        }

        #[test]
        fn no_message_escapes_from_its_line(outside in "[ -~\n`é]{0,60}") {
            read(&format!("a {}", message(&outside)));
        }

        #[test]
        fn no_text_escapes_from_its_block(outside in "[ -~\n`]{0,80}") {
            let markdown = fenced("", &outside);
            let events: Vec<_> = Parser::new_ext(&markdown, Options::all()).collect();
            prop_assert!(matches!(events.first(), Some(Event::Start(Tag::CodeBlock(_)))));
            prop_assert!(matches!(events.last(), Some(Event::End(TagEnd::CodeBlock))));
            prop_assert_eq!(events.iter().filter(|event| matches!(event, Event::Start(_))).count(), 1);
        }
    }
}
