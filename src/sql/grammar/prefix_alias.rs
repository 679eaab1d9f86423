//! `SELECT x: 42 FROM t: tbl` becomes `SELECT 42 AS x FROM tbl AS t`.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::clauses;
use super::clauses::Clause;
use super::tree::Node;
use super::tree::find;
use super::tree::word;

/// Expects that FROM-first is gone.
pub(super) fn rewrite(level: &mut Vec<Node>) {
    if !level.iter().any(|node| node.is_token(&Token::Colon)) {
        return;
    }
    for (clause, range) in clauses::lists(level).into_iter().rev() {
        let list: Vec<Node> = level[range.clone()].to_vec();
        let renamed = match clause {
            Clause::Items => items(&list),
            Clause::Relations => relations(&list),
        };
        level.splice(range, renamed);
    }
}

fn has_prefix(list: &[Node], at: usize) -> bool {
    list.get(at).is_some_and(Node::is_name)
        && list
            .get(at + 1)
            .is_some_and(|node| node.is_token(&Token::Colon))
}

fn items(list: &[Node]) -> Vec<Node> {
    let mut renamed = Vec::with_capacity(list.len());
    let mut start = after_quantifier(list);
    renamed.extend_from_slice(&list[..start]);
    loop {
        let end = find(list, start, |at| list[at].is_token(&Token::Comma));
        if has_prefix(list, start) {
            let name = list[start].clone();
            let span = name.span();
            renamed.extend_from_slice(&list[(start + 2).min(end)..end]);
            renamed.extend([word("AS", span), name]);
        } else {
            renamed.extend_from_slice(&list[start..end]);
        }
        let Some(comma) = list.get(end) else {
            return renamed;
        };
        renamed.push(comma.clone());
        start = end + 1;
    }
}

/// `DISTINCT`, `DISTINCT ON (…)` and `ALL` stand before the first item.
fn after_quantifier(list: &[Node]) -> usize {
    match list {
        [first, second, third, ..]
            if first.is(Keyword::DISTINCT) && second.is(Keyword::ON) && third.is_parens() =>
        {
            3
        }
        [first, ..] if first.is(Keyword::DISTINCT) || first.is(Keyword::ALL) => 1,
        _ => 0,
    }
}

fn relations(list: &[Node]) -> Vec<Node> {
    let mut renamed = Vec::with_capacity(list.len());
    let mut index = 0;
    let mut may_start = true;
    while let Some(node) = list.get(index) {
        if !(may_start && has_prefix(list, index)) {
            may_start = node.is_token(&Token::Comma) || node.is(Keyword::JOIN);
            renamed.push(node.clone());
            index += 1;
            continue;
        }
        may_start = false;
        let end = end_of_relation(list, index + 2);
        let span = node.span();
        renamed.extend_from_slice(&list[index + 2..end]);
        renamed.extend([word("AS", span), node.clone()]);
        index = end;
    }
    renamed
}

/// Behind `( … )`, `a.b.c` or `f( … )`.
fn end_of_relation(list: &[Node], start: usize) -> usize {
    let mut index = start;
    if list.get(index).is_some_and(Node::is_parens) {
        return index + 1;
    }
    while list.get(index).is_some() {
        index += 1;
        if list
            .get(index)
            .is_some_and(|node| node.is_token(&Token::Period))
        {
            index += 1;
        } else {
            break;
        }
    }
    index + usize::from(list.get(index).is_some_and(Node::is_parens))
}
