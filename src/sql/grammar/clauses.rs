//! Where the queries and clauses of one level of brackets begin and end.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::tree::Node;
use super::tree::find;

/// What a stretch of a level is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    /// The items of a SELECT.
    Items,
    /// The relations of a FROM.
    Relations,
}

/// Where queries start at this level: its beginning, after a list of CTEs, after set operators.
/// The level may as well be no query at all.
pub(super) fn query_starts(level: &[Node]) -> Vec<usize> {
    let mut starts = vec![after_ctes(level, 0)];
    let mut index = 0;
    while index < level.len() {
        if is_set_operator(level, index) {
            index += 1;
            while level.get(index).is_some_and(is_set_quantifier) {
                index += 1;
            }
            starts.push(after_ctes(level, index));
        } else {
            index += 1;
        }
    }
    starts
}

fn is_set_operator(level: &[Node], index: usize) -> bool {
    let node = &level[index];
    node.is(Keyword::UNION) || node.is(Keyword::EXCEPT) || node.is(Keyword::INTERSECT)
}

fn is_set_quantifier(node: &Node) -> bool {
    [Keyword::ALL, Keyword::DISTINCT, Keyword::BY, Keyword::NAME]
        .into_iter()
        .any(|keyword| node.is(keyword))
}

/// `WITH [RECURSIVE] name [(…)] … AS … ( … ), …`: what follows it; `start` when there is none.
fn after_ctes(level: &[Node], start: usize) -> usize {
    if !level.get(start).is_some_and(|node| node.is(Keyword::WITH)) {
        return start;
    }
    let mut index = start + 1;
    loop {
        // The body is the first group behind AS.
        let name = find(level, index, |at| level[at].is(Keyword::AS));
        let body = find(level, name, |at| level[at].is_parens());
        index = body + 1;
        match level.get(index) {
            Some(next) if next.is_token(&Token::Comma) => index += 1,
            _ => return index.min(level.len()),
        }
    }
}

/// Whether a clause behind the list of items or relations begins at `index`, or the query ends.
pub(super) fn ends_clause(level: &[Node], index: usize) -> bool {
    let node = &level[index];
    let next_is = |keyword| level.get(index + 1).is_some_and(|next| next.is(keyword));
    if node.is_token(&Token::SemiColon) || is_set_operator(level, index) {
        return true;
    }
    match node.token() {
        Token::Word(word) => match word.keyword {
            Keyword::WHERE
            | Keyword::HAVING
            | Keyword::WINDOW
            | Keyword::QUALIFY
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::FETCH => true,
            Keyword::GROUP | Keyword::ORDER => next_is(Keyword::BY),
            Keyword::USING => next_is(Keyword::SAMPLE),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a FROM at `index` begins a clause: not so in `IS [NOT] DISTINCT FROM`.
pub(super) fn is_from(level: &[Node], index: usize) -> bool {
    level[index].is(Keyword::FROM)
        && !(index > 1
            && level[index - 1].is(Keyword::DISTINCT)
            && (level[index - 2].is(Keyword::IS) || level[index - 2].is(Keyword::NOT)))
}

/// The lists of items and relations of a level whose queries all start with SELECT, as ranges
/// without the keywords, in the order of the text.
pub(super) fn lists(level: &[Node]) -> Vec<(Clause, std::ops::Range<usize>)> {
    let mut lists = Vec::new();
    for start in query_starts(level) {
        if !level
            .get(start)
            .is_some_and(|node| node.is(Keyword::SELECT))
        {
            continue;
        }
        let items_end = find(level, start + 1, |at| {
            ends_clause(level, at) || is_from(level, at)
        });
        lists.push((Clause::Items, start + 1..items_end));
        if items_end < level.len() && is_from(level, items_end) {
            let end = find(level, items_end + 1, |at| ends_clause(level, at));
            lists.push((Clause::Relations, items_end + 1..end));
        }
    }
    lists
}
