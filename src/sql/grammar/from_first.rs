//! `FROM t [SELECT …] [WHERE …]` and `TABLE t` become `SELECT … FROM t [WHERE …]`, wherever a query
//! may stand. Both mean the same in DuckDB; a FROM without SELECT takes every column.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::clauses;
use super::tree::Node;
use super::tree::find;
use super::tree::leaf;
use super::tree::word;

/// `before` is what stands in front of the brackets around the level: `trim(FROM x)` is no query.
pub(super) fn rewrite(level: &mut Vec<Node>, before: Option<&Node>) {
    if before.is_some_and(|node| node.is(Keyword::TRIM)) {
        return;
    }
    // From the last to the first, so that the indices of the others stay.
    for start in clauses::query_starts(level).into_iter().rev() {
        match level.get(start) {
            Some(node) if node.is(Keyword::FROM) => from(level, start),
            Some(node) if node.is(Keyword::TABLE) => table(level, start),
            _ => {}
        }
    }
}

pub(super) fn table(level: &mut Vec<Node>, start: usize) {
    let span = level[start].span();
    if level.get(start + 1).is_some_and(Node::is_name) {
        level.splice(
            start..=start,
            [
                word("SELECT", span),
                leaf(Token::Mul, span),
                word("FROM", span),
            ],
        );
    }
}

fn from(level: &mut Vec<Node>, start: usize) {
    let end = find(level, start, |at| {
        level[at].is(Keyword::SELECT) || clauses::ends_clause(level, at)
    });
    let span = level[start].span();
    if level.get(end).is_some_and(|node| node.is(Keyword::SELECT)) {
        let items_end = find(level, end, |at| clauses::ends_clause(level, at));
        level[start..items_end].rotate_left(end - start);
        // A comma before FROM ends the list as well as one at its end.
    } else {
        level.splice(start..start, [word("SELECT", span), leaf(Token::Mul, span)]);
    }
}
