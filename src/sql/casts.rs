//! Names for casts.

use std::ops::ControlFlow;

use sqlparser::ast::Expr;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;
use sqlparser::ast::Visit;
use sqlparser::ast::Visitor;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Location;
use sqlparser::tokenizer::Token;
use sqlparser::tokenizer::TokenWithSpan;

use crate::sql::Dialect;
use crate::sql::fold;
use crate::sql::names;
use crate::sql::parse;
use crate::sql::splice::Splices;

/// `text` with `AS x` behind every `x::int` and `CAST(x AS int)` that is an item of a SELECT and
/// has no alias; everything else stays byte for byte.
///
/// Models of this format count on it: engines would call the column `CAST(x AS INTEGER)` or so,
/// while [`Query::meaning`](super::Query::meaning) and children call it `x`. An
/// opaque query stays as it is.
pub fn name_casts(text: &str, dialect: Dialect) -> String {
    if !may_cast(text) {
        return text.to_owned();
    }
    let Ok(tree) = parse::parse(text, dialect) else {
        return text.to_owned();
    };
    let mut namer = Namer {
        dialect,
        selects: Vec::new(),
    };
    // The visitor never breaks.
    let _: ControlFlow<()> = tree.visit(&mut namer);
    if namer.selects.is_empty() {
        return text.to_owned();
    }
    let Some(tokens) = parse::tokens(text, dialect) else {
        return text.to_owned();
    };
    let mut splices = Splices::new(text);
    for (start, names) in namer.selects {
        let ends = item_ends(&tokens, start);
        // Something that splits differently is not worth a guess.
        if ends.len() != names.len() {
            continue;
        }
        for (end, name) in ends.into_iter().zip(names) {
            let offset = splices.offset(tokens[end].span.end);
            if let (Some(offset), Some(name)) = (offset, name) {
                let alias = format!(" AS {}", fold::quote(dialect, &name));
                splices.replace(offset..offset, alias);
            }
        }
    }
    splices.finish()
}

/// Whether anything in it could be read as a cast.
fn may_cast(text: &str) -> bool {
    let has_word = || {
        let mut windows = text.as_bytes().windows(4);
        windows.any(|word| word.eq_ignore_ascii_case(b"cast"))
    };
    text.contains("::") || has_word()
}

struct Namer {
    dialect: Dialect,
    /// For each SELECT with a cast to name: where it starts, and the names that its items need.
    selects: Vec<(Location, Vec<Option<String>>)>,
}

impl Visitor for Namer {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let names: Vec<Option<String>> = select
            .projection
            .iter()
            .map(|item| match item {
                SelectItem::UnnamedExpr(expr @ Expr::Cast { .. }) => {
                    names::of_item(expr, &|ident| fold::fold_ident(self.dialect, ident))
                }
                _ => None,
            })
            .collect();
        if names.iter().any(Option::is_some) {
            self.selects.push((select.select_token.0.span.start, names));
        }
        ControlFlow::Continue(())
    }
}

/// The last token of each item of the SELECT at `start`.
fn item_ends(tokens: &[TokenWithSpan], start: Location) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut last = None;
    let mut depth = 0_usize;
    let after = tokens
        .iter()
        .enumerate()
        .skip_while(|(_, token)| token.span.start != start)
        .skip(1);
    for (index, token) in after {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => {
                if depth == 0 {
                    break;
                }
                depth -= 1;
            }
            Token::Comma if depth == 0 => {
                ends.extend(last.take());
                continue;
            }
            Token::SemiColon | Token::EOF => break,
            // The keyword of a quoted word is none.
            Token::Word(word) if depth == 0 && ENDS.contains(&word.keyword) => break,
            _ => {}
        }
        last = Some(index);
    }
    ends.extend(last);
    ends
}

/// Words that end the list of items.
const ENDS: &[Keyword] = &[
    Keyword::FROM,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::QUALIFY,
    Keyword::WINDOW,
    Keyword::ORDER,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::FETCH,
    Keyword::UNION,
    Keyword::EXCEPT,
    Keyword::INTERSECT,
    Keyword::MINUS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_without_an_alias_get_the_name_of_their_column() {
        for (text, expected) in [
            (
                "SELECT a::int, CAST(t.b AS text) FROM t",
                "SELECT a::int AS \"a\", CAST(t.b AS text) AS \"b\" FROM t",
            ),
            (
                "SELECT Try_Cast(a AS int) FROM t",
                "SELECT Try_Cast(a AS int) AS \"a\" FROM t",
            ),
            (
                "SELECT DISTINCT a::date::text -- day\n, [b::int, 1] FROM t",
                "SELECT DISTINCT a::date::text AS \"a\" -- day\n, [b::int, 1] FROM t",
            ),
            (
                "WITH c AS (SELECT x::int) SELECT x::text FROM c UNION SELECT (y::int)",
                "WITH c AS (SELECT x::int AS \"x\") SELECT x::text AS \"x\" FROM c UNION SELECT (y::int)",
            ),
            (
                "FROM t SELECT \"Odd\"::int,",
                "FROM t SELECT \"Odd\"::int AS \"odd\",",
            ),
            (
                "SELECT a::int AS b, (a + 1)::int, a::int + 1, 'x'::date FROM t",
                "SELECT a::int AS b, (a + 1)::int, a::int + 1, 'x'::date FROM t",
            ),
            (
                "SELECT extract(day FROM a::date), a::date",
                "SELECT extract(day FROM a::date), a::date AS \"a\"",
            ),
            (
                "SELECT x::int FROM t USING SAMPLE 3",
                "SELECT x::int FROM t USING SAMPLE 3",
            ),
        ] {
            assert_eq!(name_casts(text, Dialect::DuckDb), expected);
        }
    }
}
