//! A SQL file cut at its semicolons.

use std::ops::Range;

use crate::sql::tokens::Token;
use crate::sql::tokens::TokenKind;

/// One statement: indexes of tokens, from its first token that counts to behind the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) tokens: Range<usize>,
    /// Index of the first token, comments included, after the semicolon before.
    pub(super) leading: usize,
    /// Whether a semicolon ends it.
    pub(super) terminated: bool,
    pub(super) kind: StatementKind,
}

/// What a statement is, by its first words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatementKind {
    /// `MODEL (…)`.
    Model,
    /// `AUDIT (…)`.
    Audit,
    /// `SIGNAL (…)`.
    Signal,
    /// `METRIC (…)`.
    Metric,
    /// Something that gives rows.
    Query,
    /// A macro alone: `@DEF(…)`.
    Macro,
    /// `JINJA_QUERY_BEGIN; … JINJA_END;` and its like, as a whole.
    Jinja,
    /// `ON_VIRTUAL_UPDATE_BEGIN; … ON_VIRTUAL_UPDATE_END;`, as a whole.
    OnVirtualUpdate,
    /// Any other SQL.
    Other,
}

/// The statements of `text` in order; empty ones are left out.
pub(super) fn split(text: &str, tokens: &[Token]) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let leading = index;
        let Some(first) = (index..tokens.len()).find(|at| !tokens[*at].is_trivia()) else {
            break;
        };
        if tokens[first].is_mark(text, ";") {
            index = first + 1;
            continue;
        }
        let end_word = [
            "JINJA_QUERY_BEGIN",
            "JINJA_STATEMENT_BEGIN",
            "ON_VIRTUAL_UPDATE_BEGIN",
        ]
        .iter()
        .zip(["JINJA_END", "JINJA_END", "ON_VIRTUAL_UPDATE_END"])
        .find(|(begin, _)| tokens[first].is_word(text, begin))
        .map(|(_, end)| end);
        if let Some(end_word) = end_word {
            let close = (first..tokens.len()).find(|at| tokens[*at].is_word(text, end_word));
            let end = close.map_or(tokens.len(), |close| close + 1);
            let semicolon = (end..tokens.len()).find(|at| !tokens[*at].is_trivia());
            let semicolon = semicolon.filter(|at| tokens[*at].is_mark(text, ";"));
            let kind = if end_word == "JINJA_END" {
                StatementKind::Jinja
            } else {
                StatementKind::OnVirtualUpdate
            };
            statements.push(Statement {
                tokens: first..end,
                leading,
                terminated: semicolon.is_some(),
                kind,
            });
            index = semicolon.map_or(end, |at| at + 1);
            continue;
        }
        let stop = (first..tokens.len()).find(|at| tokens[*at].is_mark(text, ";"));
        let end = stop.unwrap_or(tokens.len());
        let last = (first..end)
            .rev()
            .find(|at| !tokens[*at].is_trivia())
            .expect("the first token counts");
        statements.push(Statement {
            tokens: first..last + 1,
            leading,
            terminated: stop.is_some(),
            kind: kind_of(text, &tokens[first..=last]),
        });
        index = stop.map_or(tokens.len(), |stop| stop + 1);
    }
    statements
}

/// What the statement with these tokens is.
pub(super) fn kind_of(text: &str, tokens: &[Token]) -> StatementKind {
    let mut counting = tokens.iter().filter(|token| !token.is_trivia());
    let Some(first) = counting.next() else {
        return StatementKind::Other;
    };
    let second = counting.next();
    let bracket = second.is_some_and(|second| second.is_mark(text, "("));
    match first.kind {
        TokenKind::At => StatementKind::Macro,
        TokenKind::Punctuation if first.is_mark(text, "(") => StatementKind::Query,
        TokenKind::Word => match first.text(text).to_ascii_uppercase().as_str() {
            "MODEL" if bracket => StatementKind::Model,
            "AUDIT" if bracket => StatementKind::Audit,
            "SIGNAL" if bracket => StatementKind::Signal,
            "METRIC" if bracket => StatementKind::Metric,
            "SELECT" | "WITH" | "FROM" | "VALUES" | "TABLE" | "PIVOT" | "UNPIVOT" => {
                StatementKind::Query
            }
            _ => StatementKind::Other,
        },
        _ => StatementKind::Other,
    }
}

/// The comments among `tokens`, without their marks, joined by line breaks; `None` without any.
pub(super) fn comments(text: &str, tokens: &[Token]) -> Option<String> {
    let comments: Vec<String> = tokens
        .iter()
        .filter(|token| matches!(token.kind, TokenKind::LineComment | TokenKind::BlockComment))
        .map(|token| comment_text(token.text(text)))
        .collect();
    let joined = comments.join("\n").trim().to_owned();
    (!joined.is_empty()).then_some(joined)
}

/// A comment without its marks.
pub(super) fn comment_text(comment: &str) -> String {
    let inner = if let Some(inner) = comment.strip_prefix("/*") {
        inner.strip_suffix("*/").unwrap_or(inner)
    } else {
        comment
            .strip_prefix("--")
            .or_else(|| comment.strip_prefix("//"))
            .or_else(|| comment.strip_prefix('#'))
            .unwrap_or(comment)
    };
    inner.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;
    use crate::sql::tokens::tokenize;

    #[test]
    fn semicolons_in_quotes_do_not_count() {
        let text = "MODEL (name a.b);\n;/* x; */ SELECT ';' -- ;\n; @DEF(a, 1); DROP TABLE x";
        let tokens = tokenize(text, Dialect::DuckDb);
        let kinds: Vec<_> = split(text, &tokens)
            .iter()
            .map(|statement| (statement.kind, statement.terminated))
            .collect();
        assert_eq!(
            kinds,
            [
                (StatementKind::Model, true),
                (StatementKind::Query, true),
                (StatementKind::Macro, true),
                (StatementKind::Other, false),
            ]
        );
    }

    #[test]
    fn a_jinja_block_is_one_statement() {
        let text = "JINJA_QUERY_BEGIN; SELECT 1; SELECT 2 JINJA_END; SELECT 3";
        let tokens = tokenize(text, Dialect::DuckDb);
        let kinds: Vec<_> = split(text, &tokens).iter().map(|s| s.kind).collect();
        assert_eq!(kinds, [StatementKind::Jinja, StatementKind::Query]);
    }
}
