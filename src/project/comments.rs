//! Comments on projections become the descriptions of columns.

use std::collections::BTreeMap;

use crate::project::statements::comment_text;
use crate::project::value::normalize;
use crate::sql::Dialect;
use crate::sql::fold;
use crate::sql::tokens;
use crate::sql::tokens::Token;
use crate::sql::tokens::TokenKind;

const ENDS: [&str; 16] = [
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "QUALIFY",
    "WINDOW",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "MINUS",
    "SAMPLE",
    "USING",
];

/// The last comment of each named projection of the query's own `SELECT`.
///
/// `tokens` are those of the query and what follows up to the next statement. A comment belongs to
/// what stands before it on its line, or else to what follows.
///
/// Source: spec surface.md 2.1.
pub(super) fn column_comments(
    text: &str,
    query: &[Token],
    dialect: Dialect,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let has_comment = query
        .iter()
        .any(|token| matches!(token.kind, TokenKind::LineComment | TokenKind::BlockComment));
    if !has_comment {
        return found;
    }
    let Some(mut index) = own_select(text, query) else {
        return found;
    };
    let mut item = Item::default();
    let mut depth = 0_usize;
    // Whether the last token that counts was the comma before the item, on this line.
    let mut line_of_comma = false;
    let mut before: Option<(Vec<usize>, Option<String>)> = None;
    while let Some(token) = query.get(index) {
        let piece = token.text(text);
        match token.kind {
            TokenKind::Whitespace => {
                if piece.contains('\n') {
                    line_of_comma = false;
                }
            }
            TokenKind::LineComment | TokenKind::BlockComment => {
                if line_of_comma && item.tokens.is_empty() {
                    if let Some((_, comment)) = &mut before {
                        *comment = Some(comment_text(piece));
                    }
                } else if depth == 0 {
                    item.comment = Some(comment_text(piece));
                }
            }
            _ => {
                line_of_comma = false;
                let opens = matches!(piece, "(" | "[" | "{");
                let closes = matches!(piece, ")" | "]" | "}");
                if token.kind == TokenKind::Punctuation && closes && depth == 0 {
                    break;
                }
                if token.kind == TokenKind::Punctuation && opens {
                    depth += 1;
                } else if token.kind == TokenKind::Punctuation && closes {
                    depth -= 1;
                }
                let is_end = depth == 0
                    && token.kind == TokenKind::Word
                    && ENDS.iter().any(|end| piece.eq_ignore_ascii_case(end));
                if is_end || (depth == 0 && piece == ";") {
                    break;
                }
                if depth == 0 && token.is_mark(text, ",") {
                    finish(&mut found, text, query, before.take(), dialect);
                    let done = std::mem::take(&mut item);
                    before = Some((done.tokens, done.comment));
                    line_of_comma = true;
                } else {
                    item.tokens.push(index);
                }
            }
        }
        index += 1;
    }
    finish(&mut found, text, query, before, dialect);
    finish(
        &mut found,
        text,
        query,
        Some((item.tokens, item.comment)),
        dialect,
    );
    found
}

#[derive(Default)]
struct Item {
    /// Indexes of its tokens that count.
    tokens: Vec<usize>,
    comment: Option<String>,
}

fn finish(
    found: &mut BTreeMap<String, String>,
    text: &str,
    query: &[Token],
    item: Option<(Vec<usize>, Option<String>)>,
    dialect: Dialect,
) {
    let Some((tokens, Some(comment))) = item else {
        return;
    };
    if let Some(name) = output_name(text, query, &tokens, dialect)
        && !comment.is_empty()
    {
        found.insert(name, comment);
    }
}

/// Index behind the first `SELECT` outside brackets.
fn own_select(text: &str, query: &[Token]) -> Option<usize> {
    let mut depth = 0_i32;
    for (index, token) in query.iter().enumerate() {
        match token.kind {
            TokenKind::Punctuation => match token.text(text) {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            },
            TokenKind::Word if depth == 0 && token.is_word(text, "select") => {
                return Some(index + 1);
            }
            _ => {}
        }
    }
    None
}

/// The name that a projection gives its column: its alias, or the column it reads.
fn output_name(text: &str, query: &[Token], item: &[usize], dialect: Dialect) -> Option<String> {
    let named = |token: &Token| match token.kind {
        TokenKind::Word => Some(normalize(token.text(text), dialect)),
        TokenKind::QuotedIdentifier => {
            let name = tokens::unquote(token.text(text), dialect);
            Some(fold(dialect, &name, true))
        }
        _ => None,
    };
    // `x::INT` is still `x`.
    let cast = item.iter().position(|at| query[*at].is_mark(text, "::"));
    let item = match cast {
        Some(cast) if !item.iter().any(|at| query[*at].is_word(text, "as")) => &item[..cast],
        _ => item,
    };
    let last = &query[*item.last()?];
    let name = named(last)?;
    let is_word = last.kind == TokenKind::Word;
    let keyword = is_word
        && matches!(
            name.to_ascii_lowercase().as_str(),
            "end" | "null" | "true" | "false"
        );
    (!keyword).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens::tokenize;

    fn comments(text: &str) -> Vec<(String, String)> {
        let tokens = tokenize(text, Dialect::DuckDb);
        column_comments(text, &tokens, Dialect::DuckDb)
            .into_iter()
            .collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn the_last_comment_of_a_projection_counts() {
        assert_eq!(
            comments("SELECT\n  1 AS a -- x\n, /* y */ 2 AS b"),
            pairs(&[("a", "y")])
        );
    }

    #[test]
    fn comments_belong_to_their_line_or_to_what_follows() {
        let text = "WITH c AS (SELECT 1 AS no -- not this\n)\nSELECT\n  t.id, -- the id\n  \
                    -- own line\n  SUM(x /* inner */) AS total,\n  d::DATE, -- day\n  last -- end\nFROM c t -- none";
        assert_eq!(
            comments(text),
            pairs(&[
                ("d", "day"),
                ("id", "the id"),
                ("last", "end"),
                ("total", "own line")
            ])
        );
    }
}
