//! Small forms inside of expressions.
//!
//! - `f(x) FILTER (c)` becomes `f(x) FILTER (WHERE c)`, which means the same.
//! - `f(x) OVER (… EXCLUDE TIES)` becomes `{fn exclude_ties(f(x) OVER (…))}`; so do `CURRENT ROW`,
//!   `GROUP` and `NO OTHERS` (`exclude_current`, `exclude_group`, `exclude_no`).
//! - `#1` becomes `{fn position(1)}`.
//! - `*COLUMNS(…)` as an argument becomes `{fn unpack(COLUMNS(…))}`.
//! - `* LIKE 'x'` as an item becomes `{fn star_like(*, 'x')}`; so do `NOT LIKE`, `ILIKE`, `GLOB`,
//!   `SIMILAR TO` with a star and their negations (`star_not_like`, `star_similar_to` …).
//! - `LIMIT 10%` becomes `LIMIT {fn percent(10)}`, and `TABLESAMPLE 10%` becomes
//!   `TABLESAMPLE 10 PERCENT`, which means the same.
//! - `~~~` and `!~~~`, which the tokenizer cuts in two, become one operator.
//! - `AS [NOT] MATERIALIZED (` loses its hint: the rows are the same.

use std::ops::Range;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::clauses;
use super::clauses::Clause;
use super::tree::Node;
use super::tree::edit;
use super::tree::find;
use super::tree::leaf;
use super::tree::marked;
use super::tree::word;

pub(super) fn rewrite(level: &mut Vec<Node>) {
    materialized(level);
    globs(level);
    percent(level);
    positions(level);
    unpack(level);
    filters(level);
    frames(level);
    stars(level);
}

/// Behind a dot every word is a name.
pub(super) fn names(level: &mut [Node]) {
    for index in 1..level.len() {
        if level[index - 1].is_token(&Token::Period)
            && let Node::Leaf(leaf) = &mut level[index]
            && let Token::Word(word) = &mut leaf.token
        {
            word.keyword = Keyword::NoKeyword;
        }
    }
}

fn materialized(level: &mut Vec<Node>) {
    let mut edits = Vec::new();
    for index in 0..level.len() {
        let is = |at: usize, keyword| level.get(at).is_some_and(|node| node.is(keyword));
        let hint = index + 1 + usize::from(is(index + 1, Keyword::NOT));
        if is(index, Keyword::AS)
            && is(hint, Keyword::MATERIALIZED)
            && level.get(hint + 1).is_some_and(Node::is_parens)
        {
            edits.push((index + 1..hint + 1, Vec::new()));
        }
    }
    edit(level, edits);
}

fn globs(level: &mut Vec<Node>) {
    let mut edits = Vec::new();
    for (index, pair) in level.windows(2).enumerate() {
        let name = match pair[0].token() {
            Token::DoubleTilde => "~~~",
            Token::ExclamationMarkDoubleTilde => "!~~~",
            _ => continue,
        };
        let [first, second] = [pair[0].span(), pair[1].span()];
        if pair[1].is_token(&Token::Tilde) && first.end == second.start {
            let operator = leaf(Token::CustomBinaryOperator(name.to_owned()), first);
            edits.push((index..index + 2, vec![operator]));
        }
    }
    edit(level, edits);
}

fn percent(level: &mut [Node]) {
    for index in 1..level.len() {
        if !level[index].is_token(&Token::Mod) {
            continue;
        }
        let span = level[index].span();
        let is_number = matches!(level[index - 1].token(), Token::Number(..));
        let after = |keyword| index > 1 && level[index - 2].is(keyword);
        if is_number && after(Keyword::TABLESAMPLE) {
            level[index] = word("PERCENT", span);
        }
    }
    for index in 1..level.len() {
        let sampled = [Keyword::TABLESAMPLE, Keyword::BERNOULLI, Keyword::SYSTEM]
            .into_iter()
            .any(|keyword| level[index - 1].is(keyword));
        if let Node::Group { inner, .. } = &mut level[index]
            && sampled
            && let [_, sign] = &mut inner[..]
            && sign.is_token(&Token::Mod)
        {
            *sign = word("PERCENT", sign.span());
        }
    }
}

fn positions(level: &mut Vec<Node>) {
    let mut edits = Vec::new();
    for (index, pair) in level.windows(2).enumerate() {
        let span = pair[0].span();
        if !matches!(pair[1].token(), Token::Number(..)) {
            continue;
        }
        let argument = || vec![vec![pair[1].clone()]];
        if pair[0].is_token(&Token::Sharp) && (index == 0 || !is_operand(&level[index - 1])) {
            edits.push((index..index + 2, vec![marked("position", argument(), span)]));
        }
        let is_percent = level
            .get(index + 2)
            .is_some_and(|node| node.is_token(&Token::Mod) || node.is(Keyword::PERCENT));
        // `LIMIT 10 % 3` is a number.
        let ends = level
            .get(index + 3)
            .is_none_or(|node| clauses::ends_clause(level, index + 3) || !is_operand(node));
        if pair[0].is(Keyword::LIMIT) && is_percent && ends {
            edits.push((
                index + 1..index + 3,
                vec![marked("percent", argument(), span)],
            ));
        }
    }
    edit(level, edits);
}

fn is_operand(node: &Node) -> bool {
    match node {
        Node::Group { .. } => true,
        Node::Leaf(leaf) => match &leaf.token {
            Token::Word(word) => word.keyword == Keyword::NoKeyword,
            Token::Number(..) | Token::SingleQuotedString(_) => true,
            _ => false,
        },
    }
}

fn unpack(level: &mut Vec<Node>) {
    let mut edits = Vec::new();
    for (index, nodes) in level.windows(3).enumerate() {
        let starts = index == 0 || level[index - 1].is_token(&Token::Comma);
        if starts
            && nodes[0].is_token(&Token::Mul)
            && nodes[1].is_word("columns")
            && nodes[2].is_parens()
        {
            let mark = marked("unpack", vec![nodes[1..].to_vec()], nodes[0].span());
            edits.push((index..index + 3, vec![mark]));
        }
    }
    edit(level, edits);
}

fn filters(level: &mut [Node]) {
    let relations: Vec<_> = clauses::lists(level)
        .into_iter()
        .filter(|(clause, _)| *clause == Clause::Relations)
        .map(|(_, range)| range)
        .collect();
    for index in 2..level.len() {
        let is_filter = level[index - 1].is(Keyword::FILTER) && level[index - 2].is_parens();
        if !is_filter || relations.iter().any(|range| range.contains(&index)) {
            continue;
        }
        let Node::Group { open, inner, .. } = &mut level[index] else {
            continue;
        };
        // `f(x) filter (a, b)` may be a relation with an alias.
        let names_only = inner
            .iter()
            .all(|node| node.is_name() || node.is_token(&Token::Comma));
        if open.token == Token::LParen && !names_only && !inner[0].is(Keyword::WHERE) {
            inner.insert(0, word("WHERE", open.span));
        }
    }
}

pub(super) fn frames(level: &mut Vec<Node>) {
    let mut edits: Vec<(Range<usize>, Vec<Node>)> = Vec::new();
    for over in 1..level.len().saturating_sub(1) {
        if !level[over].is(Keyword::OVER) {
            continue;
        }
        let Node::Group { open, inner, close } = &level[over + 1] else {
            continue;
        };
        let exclude = find(inner, 0, |at| inner[at].is(Keyword::EXCLUDE));
        let mark = match inner.get(exclude + 1).map(Node::token) {
            Some(Token::Word(word)) => match word.value.to_ascii_lowercase().as_str() {
                "current" => "exclude_current",
                "ties" => "exclude_ties",
                "group" => "exclude_group",
                "no" => "exclude_no",
                _ => continue,
            },
            _ => continue,
        };
        let start = start_of_call(level, over);
        if edits.last().is_some_and(|(range, _)| range.end > start) {
            continue;
        }
        let mut call = level[start..=over].to_vec();
        call.push(Node::Group {
            open: open.clone(),
            inner: inner[..exclude].to_vec(),
            close: close.clone(),
        });
        let span = level[start].span();
        edits.push((start..over + 2, vec![marked(mark, vec![call], span)]));
    }
    edit(level, edits);
}

/// Where the call before OVER begins: `a.f(…) [WITHIN GROUP (…)] [FILTER (…)] [IGNORE NULLS]`.
fn start_of_call(level: &[Node], over: usize) -> usize {
    let mut index = over;
    while index > 0 {
        let node = &level[index - 1];
        let belongs = node.is_parens()
            || [
                Keyword::FILTER,
                Keyword::WITHIN,
                Keyword::GROUP,
                Keyword::IGNORE,
                Keyword::RESPECT,
                Keyword::NULLS,
            ]
            .into_iter()
            .any(|keyword| node.is(keyword));
        if !belongs {
            break;
        }
        index -= 1;
    }
    index = index.saturating_sub(1);
    while index > 1 && level[index - 1].is_token(&Token::Period) {
        index -= 2;
    }
    index
}

fn stars(level: &mut Vec<Node>) {
    let mut edits = Vec::new();
    for (clause, range) in clauses::lists(level) {
        if clause != Clause::Items {
            continue;
        }
        let mut start = range.start;
        while start < range.end {
            let end = find(level, start, |at| {
                at == range.end || level[at].is_token(&Token::Comma)
            });
            if let Some(item) = star(&level[start..end]) {
                edits.push((start..end, vec![item]));
            }
            start = end + 1;
        }
    }
    edit(level, edits);
}

fn star(item: &[Node]) -> Option<Node> {
    let at = find(item, 0, |at| item[at].is_token(&Token::Mul));
    let names = item.get(..at)?;
    let is_qualifier = names
        .iter()
        .all(|node| node.is_name() || node.is_token(&Token::Period))
        && names
            .last()
            .is_none_or(|node| node.is_token(&Token::Period));
    let mut next = at + 1;
    let negated = item.get(next)?.is(Keyword::NOT);
    next += usize::from(negated);
    let (name, words) = match item.get(next)?.token() {
        Token::Word(word) => match word.keyword {
            Keyword::LIKE if negated => ("star_not_like", 1),
            Keyword::LIKE => ("star_like", 1),
            Keyword::ILIKE if negated => ("star_not_ilike", 1),
            Keyword::ILIKE => ("star_ilike", 1),
            Keyword::GLOB if !negated => ("star_glob", 1),
            Keyword::SIMILAR if negated => ("star_not_similar_to", 2),
            Keyword::SIMILAR => ("star_similar_to", 2),
            _ => return None,
        },
        _ => return None,
    };
    let pattern = item.get(next + words..)?;
    (is_qualifier && pattern.len() == 1).then(|| {
        marked(
            name,
            vec![item[..=at].to_vec(), pattern.to_vec()],
            item[0].span(),
        )
    })
}
