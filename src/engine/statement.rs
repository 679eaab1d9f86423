//! Counting the statements of a text, so that no text smuggles in a second one.

/// Whether `sql` is one statement: nothing but space, comments and semicolons follows its end.
///
/// Reads the lexical rules that DuckDB has from Postgres: `'…'` with doubled quotes, `E'…'` with
/// backslashes, `"…"`, `$tag$…$tag$`, `--` and nesting `/* … */`. Where its reading could be another
/// one, a text with any semicolon counts as more than one.
pub(super) fn is_single(sql: &str) -> bool {
    let mut rest = sql;
    let mut seen_any = false;
    let mut ended = false;
    while let Some(character) = rest.chars().next() {
        let Some(length) = token_length(rest) else {
            return !sql.contains(';');
        };
        let token = &rest[..length];
        rest = &rest[length..];
        if character.is_whitespace() || token.starts_with("--") || token.starts_with("/*") {
            continue;
        }
        if token == ";" {
            ended = seen_any;
        } else if ended {
            return false;
        } else {
            seen_any = true;
        }
    }
    seen_any
}

/// Bytes of the first string, quoted name, comment, word, number or character of `text`, which is not
/// empty; `None` if it is not certain where DuckDB sees its end.
pub(super) fn token_length(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    if text.starts_with("--") {
        return Some(text.find(['\n', '\r']).unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(comment_length(text));
    }
    if first == '\'' || first == '"' {
        return Some(quoted_length(text, 1, first, false));
    }
    if text.starts_with("e'") || text.starts_with("E'") {
        return Some(quoted_length(text, 2, '\'', true));
    }
    if first == '$' {
        return dollar_quoted_length(text);
    }
    if first.is_ascii_digit() {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
        let end = end.unwrap_or(text.len());
        // Of `1e5$a$` and `1e'…'`, how much is the number?
        return (!text[end..].starts_with(['$', '\''])).then_some(end);
    }
    if is_in_word(first) {
        let end = text.find(|c| !is_in_word(c) && c != '$');
        let word = &text[..end.unwrap_or(text.len())];
        return (!word.contains(is_odd_space)).then_some(word.len());
    }
    Some(first.len_utf8())
}

/// To DuckDB every character outside ASCII is a letter.
fn is_in_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || !character.is_ascii()
}

/// A space outside ASCII: DuckDB makes most of them ordinary ones before it reads.
fn is_odd_space(character: char) -> bool {
    !character.is_ascii() && character.is_whitespace()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

fn quoted_length(text: &str, opening: usize, quote: char, backslashes: bool) -> usize {
    let mut characters = text.char_indices().skip(opening).peekable();
    while let Some((index, character)) = characters.next() {
        if backslashes && character == '\\' {
            characters.next();
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return index + 1;
        }
    }
    text.len()
}

fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut index = 0;
    let bytes = text.as_bytes();
    while index + 1 < bytes.len() {
        match &bytes[index..index + 2] {
            b"/*" => {
                depth += 1;
                index += 2;
            }
            b"*/" => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    text.len()
}

/// The length of `$tag$…$tag$`, or 1 if the `$` opens no such text.
fn dollar_quoted_length(text: &str) -> Option<usize> {
    let tag = &text[1..];
    let tag = &tag[..tag.find(|c| !is_in_word(c)).unwrap_or(tag.len())];
    let delimiter = &text[..tag.len() + 1];
    if tag.contains(is_odd_space) {
        return None;
    }
    let closed = text[delimiter.len()..].starts_with('$');
    if !closed || tag.starts_with(|c: char| c.is_ascii_digit()) {
        // A parameter, such as `$1` or `$name`.
        return (!closed && !text[delimiter.len()..].starts_with('\'')).then_some(delimiter.len());
    }
    let delimiter = &text[..tag.len() + 2];
    let body = &text[delimiter.len()..];
    let end = body
        .find(delimiter)
        .map_or(text.len(), |end| 2 * delimiter.len() + end);
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_counts_only_outside_quotes_and_comments() {
        for sql in [
            "SELECT 1",
            "SELECT 1;",
            "SELECT 1 ; ; -- the end; really",
            "SELECT ';' || \";\" FROM t /* ; /* ; */ ; */",
            "SELECT 'it''s; fine'",
            "SELECT E'a\\'; b'",
            "SELECT $$ ; $$, $tag$ ; $$ ; $tag$",
            "SELECT $1, a$b$c FROM t",
            "SELECT 'ä\u{a0};', größe AS 🚂, 1.5e3, x'00' FROM t;",
        ] {
            assert!(is_single(sql), "{sql}");
        }
    }

    #[test]
    fn a_second_statement_is_seen() {
        for sql in [
            "SELECT 1; SELECT 2",
            "SELECT 1; DROP TABLE t;",
            "SELECT 'a\\'; DROP TABLE t; --'",
            "SELECT fake'a\\'; DROP TABLE t; --'",
            "SELECT /* */ 1; DROP TABLE t -- */",
            "SELECT 1 --\n; DROP TABLE t",
            "SELECT a$b$ ; DROP TABLE t; SELECT a$b$",
            "SELECT 1 AS 🚂$b$; DROP TABLE t; SELECT 1 AS 🚂$b$",
            "SELECT $🚂$ ' $🚂$; DROP TABLE t; --'",
            "SELECT 1e5$a$ ' $a$; DROP TABLE t; --'",
            "SELECT 1e'\\' '; DROP TABLE t; --'",
            "SELECT $1$a$ ' $a$; DROP TABLE t; --'",
            "SELECT 1\u{a0}$a$ ' $a$; DROP TABLE t; --'",
            "",
            " ; ",
        ] {
            assert!(!is_single(sql), "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_to_its_end(sql in "[eE'\"$;/* a1ä🚂\\\\\n-]{0,40}") {
            is_single(&sql);
        }
    }
}
