//! Literals that the tokenizer cuts in the wrong places, told by what stands beside each other.
//!
//! - `0x1F` becomes a number, so that it is not the same as the bytes `X'1F'`.
//! - `2S`, `1.5BD` of Spark become one number.
//! - `'a'` and `'b'` on two lines are one text in DuckDB, Postgres and Redshift, and `'a' 'b'` is in
//!   Spark and MySQL.
//! - `x ISNULL` and `x NOTNULL` become `x IS NULL` and `x IS NOT NULL`.
//! - A number with other letters behind it, a text with an unknown prefix (`r'…'`) and two texts
//!   beside each other would be read as a value and its alias: nobody meant that.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Span;
use sqlparser::tokenizer::Token;
use sqlparser::tokenizer::TokenWithSpan;
use sqlparser::tokenizer::Whitespace;

use crate::sql::Dialect;

/// The tokens with these literals put right, without whitespace and comments.
///
/// # Errors
///
/// Why one of them cannot be read.
pub(super) fn rewrite(
    tokens: Vec<TokenWithSpan>,
    dialect: Dialect,
) -> Result<Vec<TokenWithSpan>, &'static str> {
    let mut rewritten: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // Whether a line ends behind the last token.
    let mut new_line = false;
    for mut token in tokens {
        if let Token::Whitespace(space) = &token.token {
            new_line |= matches!(
                space,
                Whitespace::Newline | Whitespace::SingleLineComment { .. }
            );
            continue;
        }
        number(&mut token, dialect)?;
        if let Some(previous) = rewritten.last_mut() {
            let touches = previous.span.end == token.span.start;
            if touches && joins_number(previous, &token, dialect)? {
                continue;
            }
            if touches && is_text(&token.token) && is_unknown_word(&previous.token) {
                return Err("a text has a prefix that is not known");
            }
            if is_text(&previous.token) && is_text(&token.token) {
                if !concatenates(dialect, new_line) {
                    return Err("two texts stand beside each other");
                }
                join_texts(previous, &token);
                continue;
            }
            if let Some(negated) = null_test(&previous.token, &token.token, dialect) {
                let words: &[&str] = if negated {
                    &["IS", "NOT", "NULL"]
                } else {
                    &["IS", "NULL"]
                };
                let words = words
                    .iter()
                    .map(|word| TokenWithSpan::new(Token::make_keyword(word), token.span));
                rewritten.extend(words);
                new_line = false;
                continue;
            }
        }
        new_line = false;
        rewritten.push(token);
    }
    Ok(rewritten)
}

fn number(token: &mut TokenWithSpan, dialect: Dialect) -> Result<(), &'static str> {
    let Token::HexStringLiteral(digits) = &token.token else {
        return Ok(());
    };
    let Span { start, end } = token.span;
    let length = u64::try_from(digits.chars().count()).unwrap_or(u64::MAX);
    // `X'…'` is one longer.
    if end.column.saturating_sub(start.column) == length.saturating_add(2) {
        if dialect == Dialect::DuckDb {
            return Err("a number has letters behind it");
        }
        token.token = Token::Number(format!("0x{digits}"), false);
    }
    Ok(())
}

fn joins_number(
    previous: &mut TokenWithSpan,
    token: &TokenWithSpan,
    dialect: Dialect,
) -> Result<bool, &'static str> {
    let (Token::Number(digits, _), Token::Word(word)) = (&mut previous.token, &token.token) else {
        return Ok(false);
    };
    if word.quote_style.is_some() {
        return Ok(false);
    }
    let suffix = word.value.to_ascii_uppercase();
    let is_spark = matches!(dialect, Dialect::Spark | Dialect::Databricks);
    if is_spark && ["S", "Y", "D", "F", "BD"].contains(&suffix.as_str()) {
        digits.push_str(&suffix);
        previous.span.end = token.span.end;
        return Ok(true);
    }
    Err("a number has letters behind it")
}

fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
    )
}

fn is_unknown_word(token: &Token) -> bool {
    matches!(token, Token::Word(word)
        if word.quote_style.is_none() && word.keyword == Keyword::NoKeyword)
}

fn concatenates(dialect: Dialect, new_line: bool) -> bool {
    match dialect {
        Dialect::DuckDb | Dialect::Postgres | Dialect::Redshift => new_line,
        Dialect::Spark | Dialect::Databricks | Dialect::MySql => true,
        Dialect::Snowflake
        | Dialect::BigQuery
        | Dialect::Trino
        | Dialect::Athena
        | Dialect::ClickHouse
        | Dialect::Tsql => false,
    }
}

fn join_texts(previous: &mut TokenWithSpan, token: &TokenWithSpan) {
    let (Token::SingleQuotedString(more) | Token::DoubleQuotedString(more)) = &token.token else {
        return;
    };
    if let Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) = &mut previous.token {
        text.push_str(more);
        previous.span.end = token.span.end;
    }
}

/// Whether the second word asks if the first is (`false`) or is not (`true`) NULL.
fn null_test(previous: &Token, token: &Token, dialect: Dialect) -> Option<bool> {
    if !matches!(dialect, Dialect::Postgres | Dialect::Redshift) {
        return None;
    }
    let Token::Word(word) = token else {
        return None;
    };
    let operand = match previous {
        Token::Word(word) => word.keyword == Keyword::NoKeyword || word.quote_style.is_some(),
        Token::RParen | Token::RBracket | Token::Number(..) | Token::SingleQuotedString(_) => true,
        _ => false,
    };
    if !operand || word.quote_style.is_some() {
        return None;
    }
    match word.value.to_ascii_lowercase().as_str() {
        "isnull" => Some(false),
        "notnull" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::Dialect;
    use crate::sql::Query;

    fn printed(text: &str, dialect: Dialect) -> Result<String, String> {
        let query = Query::parse(text, dialect);
        query
            .printed()
            .ok_or_else(|| query.opaque_reason().unwrap_or_default().to_owned())
    }

    #[test]
    fn no_part_of_a_literal_becomes_an_alias() {
        for (text, dialect) in [
            ("SELECT r'a' FROM t", Dialect::Spark),
            ("SELECT rb'a' FROM t", Dialect::BigQuery),
            ("SELECT 1_000 FROM t", Dialect::Snowflake),
            ("SELECT 12abc FROM t", Dialect::Postgres),
            ("SELECT 0x1F FROM t", Dialect::DuckDb),
            ("SELECT 'a' 'b' FROM t", Dialect::Postgres),
            ("SELECT 'a' 'b' FROM t", Dialect::Snowflake),
        ] {
            assert!(printed(text, dialect).is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_on_two_lines_is_one_text() {
        for dialect in [Dialect::DuckDb, Dialect::Postgres, Dialect::Redshift] {
            assert_eq!(
                printed("SELECT 'a' -- c\n 'b' AS x", dialect).as_deref(),
                Ok("SELECT 'ab' AS x")
            );
        }
        assert_eq!(
            printed("SELECT 'a' 'b'", Dialect::Spark).as_deref(),
            Ok("SELECT 'ab'")
        );
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let joined: String = connection
            .query_row("SELECT 'a'\n'b' AS x", [], |row| row.get(0))
            .unwrap();
        assert_eq!(joined, "ab");
    }

    #[test]
    fn a_number_is_no_bytes() {
        assert_ne!(
            printed("SELECT 0x1F", Dialect::Trino),
            printed("SELECT X'1F'", Dialect::Trino)
        );
        assert_eq!(
            printed("SELECT 2S, 1.5BD FROM t", Dialect::Spark).as_deref(),
            Ok("SELECT 2S, 1.5BD FROM t")
        );
    }

    #[test]
    fn escapes_stay_as_they_were_written() {
        for dialect in [Dialect::BigQuery, Dialect::Snowflake, Dialect::Spark] {
            for text in [r"SELECT '\u00e9'", r"SELECT 'a\\b', 'it\'s'"] {
                assert_eq!(printed(text, dialect).as_deref(), Ok(text), "{dialect}");
            }
        }
    }

    #[test]
    fn a_null_test_is_no_alias() {
        assert_eq!(
            printed(
                "SELECT a ISNULL, b NOTNULL, isnull(c, d) FROM t",
                Dialect::Redshift
            )
            .as_deref(),
            Ok("SELECT a IS NULL, b IS NOT NULL, isnull(c, d) FROM t")
        );
    }
}
