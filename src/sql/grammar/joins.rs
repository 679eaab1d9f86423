//! Joins that the parser has under another name or with other parts.
//!
//! - `a POSITIONAL JOIN b` becomes `a CROSS APPLY b`, which DuckDB does not read.
//! - `a ASOF [kind] JOIN b ON c` becomes `a ASOF JOIN b MATCH_CONDITION ({fn asof_kind()}) ON c`,
//!   `kind` being `inner`, `left`, `right` or `full`. `USING` stands in the place of `ON` too.

use std::ops::Range;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::tree::Node;
use super::tree::edit;
use super::tree::find;
use super::tree::group;
use super::tree::marked;
use super::tree::word;

pub(super) fn rewrite(level: &mut Vec<Node>) {
    for index in 1..level.len() {
        if level[index].is(Keyword::JOIN)
            && level[index - 1].is_word("positional")
            && !(index > 1 && level[index - 2].is(Keyword::AS))
        {
            level[index - 1] = word("CROSS", level[index - 1].span());
            level[index] = word("APPLY", level[index].span());
        }
    }
    let edits = (0..level.len())
        .filter(|start| level[*start].is(Keyword::ASOF))
        .filter_map(|start| asof(level, start))
        .flatten()
        .collect();
    edit(level, edits);
}

/// Takes the kind out and puts the mark before the condition.
fn asof(level: &[Node], start: usize) -> Option<[(Range<usize>, Vec<Node>); 2]> {
    let kind = match level.get(start + 1)?.token() {
        Token::Word(word) => match word.keyword {
            Keyword::LEFT => "asof_left",
            Keyword::RIGHT => "asof_right",
            Keyword::FULL => "asof_full",
            _ => "asof_inner",
        },
        _ => return None,
    };
    let kinds = [
        Keyword::INNER,
        Keyword::LEFT,
        Keyword::RIGHT,
        Keyword::FULL,
        Keyword::OUTER,
    ];
    let is_kind = |at: usize| kinds.into_iter().any(|kind| level[at].is(kind));
    let join = find(level, start + 1, |at| !is_kind(at));
    if !level.get(join)?.is(Keyword::JOIN) {
        return None;
    }
    let condition = find(level, join + 1, |at| {
        level[at].is(Keyword::ON)
            || level[at].is(Keyword::USING)
            || level[at].is(Keyword::JOIN)
            || level[at].is(Keyword::MATCH_CONDITION)
    });
    // Of joins inside of joins without brackets nobody can tell here whose condition comes first.
    let node = level.get(condition)?;
    if node.is(Keyword::JOIN) || node.is(Keyword::MATCH_CONDITION) {
        return None;
    }
    let span = level[start].span();
    let mark = group(Token::LParen, vec![marked(kind, Vec::new(), span)], span);
    Some([
        (start + 1..join, Vec::new()),
        (
            condition..condition,
            vec![word("MATCH_CONDITION", span), mark],
        ),
    ])
}
