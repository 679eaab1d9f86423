//! A small lexer over SQL text that never fails.
//!
//! It knows where quotes and comments begin and end in each dialect and nothing else, so it also
//! reads texts that no parser accepts. The tokens cover the text without gaps.

use std::ops::Range;

use crate::sql::Dialect;

/// What a [`Token`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A keyword or an unquoted name.
    Word,
    /// A name in `"…"`, `` `…` `` or `[…]`.
    QuotedIdentifier,
    /// A string literal, with its prefix (`E'…'`, `$tag$…$tag$`).
    String,
    /// A number.
    Number,
    /// From `--`, `#` or `//` to the end of the line, without the line break.
    LineComment,
    /// `/* … */`.
    BlockComment,
    /// Blanks and line breaks.
    Whitespace,
    /// One `@` that may begin a macro.
    At,
    /// Anything else: one character, or an operator such as `::`, `:=`, `->` and `=>`.
    Punctuation,
}

/// One piece of a SQL text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Byte offsets in the text; on character boundaries, never empty.
    pub span: Range<usize>,
    /// False for a quote or comment that the text ends in.
    pub terminated: bool,
}

impl Token {
    /// Its piece of `text`, the text that it was read from.
    pub fn text<'a>(&self, text: &'a str) -> &'a str {
        &text[self.span.clone()]
    }

    /// Whether it is a comment or whitespace.
    pub fn is_trivia(&self) -> bool {
        matches!(
            self.kind,
            TokenKind::LineComment | TokenKind::BlockComment | TokenKind::Whitespace
        )
    }

    /// Whether it is the unquoted word `word`, in any case.
    pub fn is_word(&self, text: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(text).eq_ignore_ascii_case(word)
    }

    /// Whether it is the operator or bracket `mark`.
    pub fn is_mark(&self, text: &str, mark: &str) -> bool {
        self.kind == TokenKind::Punctuation && self.text(text) == mark
    }
}

/// The tokens of `text` in order; together they are the whole text.
pub fn tokenize(text: &str, dialect: Dialect) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        dialect,
    };
    let mut tokens = Vec::with_capacity(text.len() / 3 + 1);
    let mut at = 0;
    while at < text.len() {
        let (kind, end, terminated) = lexer.token_at(at);
        tokens.push(Token {
            kind,
            span: at..end,
            terminated,
        });
        at = end;
    }
    tokens
}

/// The value of a quoted name or string as the warehouse reads it; other tokens as written.
pub fn unquote(token: &str, dialect: Dialect) -> String {
    let Some(first) = token.chars().next() else {
        return String::new();
    };
    if first == '$' {
        let tag = token[1..].find('$').map_or(0, |end| end + 2);
        let body = token.get(tag..token.len().saturating_sub(tag));
        return body.unwrap_or_default().to_owned();
    }
    let Some(open) = token.find(['\'', '"', '`', '[']) else {
        return token.to_owned();
    };
    let quote = token[open..].chars().next().unwrap_or(first);
    let close = if quote == '[' { ']' } else { quote };
    let mut body = &token[open + 1..];
    body = body.strip_suffix(close).unwrap_or(body);
    let escaped = token[..open].eq_ignore_ascii_case("e") || backslash_escapes(dialect);
    let mut value = String::with_capacity(body.len());
    let mut characters = body.chars().peekable();
    while let Some(character) = characters.next() {
        if character == close {
            characters.next_if_eq(&close);
            value.push(close);
        } else if character == '\\' && escaped && quote != '`' && quote != '[' {
            match characters.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(other) => value.push(other),
                None => value.push('\\'),
            }
        } else {
            value.push(character);
        }
    }
    value
}

/// `text` as a string literal of `dialect`.
pub fn string_literal(text: &str, dialect: Dialect) -> String {
    format!("'{}'", escape_string(text, dialect))
}

/// `text` as it stands between the quotes of a string literal of `dialect`.
pub fn escape_string(text: &str, dialect: Dialect) -> String {
    if backslash_escapes(dialect) {
        text.replace('\\', "\\\\").replace('\'', "\\'")
    } else {
        text.replace('\'', "''")
    }
}

/// `text` as a quoted identifier of `dialect`.
pub fn identifier(text: &str, dialect: Dialect) -> String {
    if double_quotes_are_strings(dialect) {
        format!("`{}`", text.replace('`', "``"))
    } else {
        format!("\"{}\"", text.replace('"', "\"\""))
    }
}

/// Whether `text` is a name that needs no quotes as far as its characters go.
pub fn is_plain_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn backslash_escapes(dialect: Dialect) -> bool {
    match dialect {
        Dialect::Redshift
        | Dialect::Snowflake
        | Dialect::BigQuery
        | Dialect::Databricks
        | Dialect::Spark
        | Dialect::ClickHouse
        | Dialect::MySql => true,
        Dialect::DuckDb | Dialect::Postgres | Dialect::Trino | Dialect::Athena | Dialect::Tsql => {
            false
        }
    }
}

fn double_quotes_are_strings(dialect: Dialect) -> bool {
    match dialect {
        Dialect::BigQuery | Dialect::Databricks | Dialect::Spark | Dialect::MySql => true,
        Dialect::DuckDb
        | Dialect::Postgres
        | Dialect::Redshift
        | Dialect::Snowflake
        | Dialect::Trino
        | Dialect::Athena
        | Dialect::ClickHouse
        | Dialect::Tsql => false,
    }
}

fn nested_comments(dialect: Dialect) -> bool {
    match dialect {
        Dialect::DuckDb
        | Dialect::Postgres
        | Dialect::Redshift
        | Dialect::Databricks
        | Dialect::Spark
        | Dialect::ClickHouse
        | Dialect::Tsql => true,
        Dialect::Snowflake
        | Dialect::BigQuery
        | Dialect::Trino
        | Dialect::Athena
        | Dialect::MySql => false,
    }
}

fn dollar_quotes(dialect: Dialect) -> bool {
    matches!(
        dialect,
        Dialect::DuckDb | Dialect::Postgres | Dialect::Redshift | Dialect::Snowflake
    )
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_byte(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// Longest first, so that the first match wins.
const OPERATORS: [&str; 14] = [
    "->>", "::", ":=", "->", "=>", "<=", ">=", "<>", "!=", "==", "||", "@>", "@@", "@?",
];

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    dialect: Dialect,
}

impl Lexer<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Kind, end and whether it is closed, of the token that starts at `at`.
    fn token_at(&mut self, at: usize) -> (TokenKind, usize, bool) {
        let first = self.byte(at);
        let second = self.byte(at + 1);
        let rest = &self.text[at..];
        match first {
            _ if first.is_ascii_whitespace() || first == 0x0b => {
                let end = self.while_bytes(at, |byte| byte.is_ascii_whitespace() || byte == 0x0b);
                (TokenKind::Whitespace, end, true)
            }
            b'-' if second == b'-' && self.dash_comment(at) => self.line_comment(at),
            b'#' if matches!(self.dialect, Dialect::MySql | Dialect::BigQuery) => {
                self.line_comment(at)
            }
            b'/' if second == b'/' && self.dialect == Dialect::Snowflake => self.line_comment(at),
            b'/' if second == b'*' => self.block_comment(at),
            b'\'' => self.string(at, at, b'\'', backslash_escapes(self.dialect)),
            b'"' if double_quotes_are_strings(self.dialect) => {
                self.string(at, at, b'"', backslash_escapes(self.dialect))
            }
            b'"' => self.quoted(at, b'"', TokenKind::QuotedIdentifier),
            b'`' if double_quotes_are_strings(self.dialect)
                || self.dialect == Dialect::ClickHouse =>
            {
                self.quoted(at, b'`', TokenKind::QuotedIdentifier)
            }
            b'[' if self.dialect == Dialect::Tsql => {
                self.quoted(at, b']', TokenKind::QuotedIdentifier)
            }
            b'$' if dollar_quotes(self.dialect) => self.dollar(at),
            _ if first.is_ascii_digit() || (first == b'.' && second.is_ascii_digit()) => {
                (TokenKind::Number, self.number(at), true)
            }
            _ if is_word_start(first) => self.word(at),
            b'<' if second == b'@' && !self.begins_macro(at + 2) => {
                (TokenKind::Punctuation, at + 2, true)
            }
            _ => {
                if let Some(operator) = OPERATORS.iter().find(|mark| rest.starts_with(**mark)) {
                    return (TokenKind::Punctuation, at + operator.len(), true);
                }
                let kind = if first == b'@' {
                    TokenKind::At
                } else {
                    TokenKind::Punctuation
                };
                (kind, at + 1, true)
            }
        }
    }

    fn begins_macro(&self, at: usize) -> bool {
        let byte = self.byte(at);
        is_word_start(byte) || byte == b'{' || byte == b'\''
    }

    fn while_bytes(&self, at: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let rest = &self.bytes[at..];
        at + rest
            .iter()
            .position(|byte| !belongs(*byte))
            .unwrap_or(rest.len())
    }

    /// MySQL reads `5--1` as a difference.
    fn dash_comment(&self, at: usize) -> bool {
        let third = self.byte(at + 2);
        self.dialect != Dialect::MySql || third == 0 || third.is_ascii_whitespace()
    }

    fn line_comment(&self, at: usize) -> (TokenKind, usize, bool) {
        let end = self.while_bytes(at, |byte| byte != b'\n');
        (TokenKind::LineComment, end, true)
    }

    fn block_comment(&self, at: usize) -> (TokenKind, usize, bool) {
        let nested = nested_comments(self.dialect);
        let mut depth = 1_usize;
        let mut cursor = at + 2;
        while cursor < self.bytes.len() {
            match (self.byte(cursor), self.byte(cursor + 1)) {
                (b'*', b'/') => {
                    depth -= 1;
                    cursor += 2;
                    if depth == 0 {
                        return (TokenKind::BlockComment, cursor, true);
                    }
                }
                (b'/', b'*') if nested => {
                    depth += 1;
                    cursor += 2;
                }
                _ => cursor += 1,
            }
        }
        (TokenKind::BlockComment, self.bytes.len(), false)
    }

    /// A string whose quote stands at `open`; BigQuery's `'''…'''` too.
    fn string(
        &self,
        start: usize,
        open: usize,
        quote: u8,
        escapes: bool,
    ) -> (TokenKind, usize, bool) {
        debug_assert!(start <= open);
        let triple = self.dialect == Dialect::BigQuery
            && self.byte(open + 1) == quote
            && self.byte(open + 2) == quote;
        let mut cursor = open + if triple { 3 } else { 1 };
        while cursor < self.bytes.len() {
            let byte = self.byte(cursor);
            if byte == b'\\' && escapes {
                cursor += 2;
            } else if byte != quote {
                cursor += 1;
            } else if triple {
                if self.byte(cursor + 1) == quote && self.byte(cursor + 2) == quote {
                    return (TokenKind::String, cursor + 3, true);
                }
                cursor += 1;
            } else if self.byte(cursor + 1) == quote {
                cursor += 2;
            } else {
                return (TokenKind::String, cursor + 1, true);
            }
        }
        (TokenKind::String, self.bytes.len(), false)
    }

    fn quoted(&self, at: usize, close: u8, kind: TokenKind) -> (TokenKind, usize, bool) {
        let mut cursor = at + 1;
        while cursor < self.bytes.len() {
            if self.byte(cursor) != close {
                cursor += 1;
            } else if self.byte(cursor + 1) == close {
                cursor += 2;
            } else {
                return (kind, cursor + 1, true);
            }
        }
        (kind, self.bytes.len(), false)
    }

    fn dollar(&self, at: usize) -> (TokenKind, usize, bool) {
        let tag_end = self.while_bytes(at + 1, |byte| is_word_start(byte) || byte.is_ascii_digit());
        if self.byte(tag_end) != b'$' || self.byte(at + 1).is_ascii_digit() {
            return (TokenKind::Punctuation, at + 1, true);
        }
        let body = tag_end + 1;
        let tag = &self.text[at..body];
        match self.text[body..].find(tag) {
            Some(found) => (TokenKind::String, body + found + tag.len(), true),
            None => (TokenKind::String, self.bytes.len(), false),
        }
    }

    fn number(&self, at: usize) -> usize {
        if self.byte(at) == b'0' && matches!(self.byte(at + 1), b'x' | b'X') {
            let end = self.while_bytes(at + 2, |byte| byte.is_ascii_hexdigit() || byte == b'_');
            if end > at + 2 {
                return end;
            }
        }
        let digits = |from| self.while_bytes(from, |byte| byte.is_ascii_digit() || byte == b'_');
        let mut end = digits(at);
        // `1..2` is a range in some dialects, not `1.` and `.2`.
        if self.byte(end) == b'.' && self.byte(end + 1) != b'.' {
            end = digits(end + 1);
        }
        if matches!(self.byte(end), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(end + 1), b'+' | b'-'));
            if self.byte(end + 1 + sign).is_ascii_digit() {
                end = digits(end + 1 + sign);
            }
        }
        end
    }

    fn word(&self, at: usize) -> (TokenKind, usize, bool) {
        let end = self.while_bytes(at, is_word_byte);
        let quote = self.byte(end);
        if quote == b'\'' || (quote == b'"' && double_quotes_are_strings(self.dialect)) {
            let prefix = self.text[at..end].to_ascii_lowercase();
            let escapes = backslash_escapes(self.dialect);
            match prefix.as_str() {
                "e" => return self.string(at, end, quote, true),
                "b" | "n" | "x" | "r" | "rb" | "br" => {
                    return self.string(at, end, quote, escapes);
                }
                _ => {}
            }
        }
        (TokenKind::Word, end, true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str, dialect: Dialect) -> Vec<(TokenKind, &str)> {
        tokenize(text, dialect)
            .iter()
            .filter(|token| token.kind != TokenKind::Whitespace)
            .map(|token| (token.kind, token.text(text)))
            .collect()
    }

    #[test]
    fn quotes_and_comments_hide_what_they_hold() {
        use TokenKind::*;
        assert_eq!(
            pieces(
                "a 'it''s -- no' \"x\"\"y\" -- c 'd\n/* /* n */ */ 1.5e3",
                Dialect::DuckDb
            ),
            vec![
                (Word, "a"),
                (String, "'it''s -- no'"),
                (QuotedIdentifier, "\"x\"\"y\""),
                (LineComment, "-- c 'd"),
                (BlockComment, "/* /* n */ */"),
                (Number, "1.5e3"),
            ]
        );
    }

    #[test]
    fn a_dollar_tag_is_one_string() {
        use TokenKind::*;
        assert_eq!(
            pieces("$q$ it's $$ $q$ $1", Dialect::Postgres),
            vec![
                (String, "$q$ it's $$ $q$"),
                (Punctuation, "$"),
                (Number, "1"),
            ]
        );
    }

    #[test]
    fn dialects_differ_in_quotes() {
        use TokenKind::*;
        assert_eq!(
            pieces(r#"`a` "b" 'c\'d' # e"#, Dialect::BigQuery),
            vec![
                (QuotedIdentifier, "`a`"),
                (String, "\"b\""),
                (String, r"'c\'d'"),
                (LineComment, "# e"),
            ]
        );
        assert_eq!(
            pieces(r"'c\' [x y]", Dialect::Tsql),
            vec![(String, r"'c\'"), (QuotedIdentifier, "[x y]")]
        );
        assert_eq!(
            pieces(r"E'a\'b' 'c\'", Dialect::DuckDb),
            vec![(String, r"E'a\'b'"), (String, r"'c\'")]
        );
    }

    #[test]
    fn an_at_sign_that_begins_no_macro_is_an_operator() {
        use TokenKind::*;
        assert_eq!(
            pieces("a @> b <@ c <@d", Dialect::Postgres),
            vec![
                (Word, "a"),
                (Punctuation, "@>"),
                (Word, "b"),
                (Punctuation, "<@"),
                (Word, "c"),
                (Punctuation, "<"),
                (At, "@"),
                (Word, "d"),
            ]
        );
    }

    #[test]
    fn an_open_quote_is_one_token_to_the_end() {
        for text in ["'abc", "\"abc", "/* abc", "$$ abc"] {
            let tokens = tokenize(text, Dialect::DuckDb);
            assert_eq!(tokens.len(), 1, "{text}");
            assert!(!tokens[0].terminated, "{text}");
        }
    }

    #[test]
    fn literals_read_back() {
        for (_, dialect) in Dialect::ALL {
            for text in ["it's", r"back\slash", "", "a'b\\'"] {
                let literal = string_literal(text, dialect);
                assert_eq!(tokenize(&literal, dialect).len(), 1, "{dialect} {literal}");
                assert_eq!(unquote(&literal, dialect), text, "{dialect}");
            }
        }
        assert_eq!(unquote("$t$a'b$t$", Dialect::Postgres), "a'b");
    }

    proptest! {
        #[test]
        fn the_tokens_are_the_whole_text(text in any::<String>(), dialect in 0..Dialect::ALL.len()) {
            let tokens = tokenize(&text, Dialect::ALL[dialect].1);
            let mut at = 0;
            for token in &tokens {
                prop_assert_eq!(token.span.start, at);
                prop_assert!(token.span.end > at);
                prop_assert!(text.is_char_boundary(token.span.end));
                at = token.span.end;
            }
            prop_assert_eq!(at, text.len());
        }

        #[test]
        fn no_mix_of_quotes_is_too_much(text in r#"['"`$@{}\\/*a-c\n é-]{0,40}"#, dialect in 0..Dialect::ALL.len()) {
            let dialect = Dialect::ALL[dialect].1;
            for token in tokenize(&text, dialect) {
                unquote(token.text(&text), dialect);
            }
        }
    }
}
