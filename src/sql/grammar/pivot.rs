//! The statements `PIVOT` and `UNPIVOT` become the clauses of the same name.
//!
//! - `PIVOT t ON c IN (1, 2) USING sum(x)` becomes `SELECT * FROM t PIVOT (sum(x) FOR c IN (1, 2))`,
//!   which means the same. Without a list the source is `IN (ANY)`: the columns depend on the data.
//!   Without USING rows are counted.
//! - `GROUP BY a, b` inside, in statement and clause, becomes
//!   `DEFAULT ON NULL ({fn pivot_group_by(a, b)})`, which DuckDB does not read.
//! - `UNPIVOT t ON a, b INTO NAME n VALUE v` becomes `SELECT * FROM t UNPIVOT (v FOR n IN (a, b))`.
//!
//! More than one item behind ON is left alone, so that the query is opaque.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::clauses;
use super::tree::Node;
use super::tree::find;
use super::tree::group;
use super::tree::leaf;
use super::tree::marked;
use super::tree::split_commas;
use super::tree::word;

pub(super) fn rewrite(level: &mut Vec<Node>) {
    for start in clauses::query_starts(level).into_iter().rev() {
        let Some(first) = level.get(start) else {
            continue;
        };
        let pivots = first.is(Keyword::PIVOT) || first.is_word("pivot_wider");
        let unpivots = first.is(Keyword::UNPIVOT) || first.is_word("pivot_longer");
        let end = find(level, start, |at| {
            clauses::ends_clause(level, at) && !is_group_by(level, at)
        });
        let statement = &level[start..end];
        let query = if pivots {
            pivot(statement)
        } else if unpivots {
            unpivot(statement)
        } else {
            None
        };
        if let Some(query) = query {
            level.splice(start..end, query);
        }
    }
    clause_groups(level);
}

fn is_group_by(level: &[Node], at: usize) -> bool {
    level[at].is(Keyword::GROUP) && level.get(at + 1).is_some_and(|node| node.is(Keyword::BY))
}

fn select_star_from(statement: &[Node]) -> Vec<Node> {
    let span = statement[0].span();
    vec![
        word("SELECT", span),
        leaf(Token::Mul, span),
        word("FROM", span),
    ]
}

fn pivot(statement: &[Node]) -> Option<Vec<Node>> {
    let span = statement.first()?.span();
    let on = find(statement, 1, |at| statement[at].is(Keyword::ON));
    let using = find(statement, on, |at| statement[at].is(Keyword::USING));
    let by = find(statement, on, |at| is_group_by(statement, at));
    let relation = statement.get(1..on)?;
    let item = statement.get(on + 1..using.min(by))?;
    if item.is_empty() || item.iter().any(|node| node.is_token(&Token::Comma)) {
        return None;
    }
    let mut inside = match statement.get(using + 1..by.max(using + 1)) {
        Some(aggregates) if !aggregates.is_empty() => aggregates.to_vec(),
        _ => vec![
            word("count", span),
            group(Token::LParen, vec![leaf(Token::Mul, span)], span),
        ],
    };
    inside.push(word("FOR", span));
    inside.extend_from_slice(item);
    if !item.iter().any(|node| node.is(Keyword::IN)) {
        let any = group(Token::LParen, vec![word("ANY", span)], span);
        inside.extend([word("IN", span), any]);
    }
    if let Some(names) = statement.get(by + 2..) {
        inside.extend(grouped(names, span));
    }
    let mut query = select_star_from(statement);
    query.extend_from_slice(relation);
    query.extend([word("PIVOT", span), group(Token::LParen, inside, span)]);
    Some(query)
}

fn grouped(names: &[Node], span: sqlparser::tokenizer::Span) -> Vec<Node> {
    let names = split_commas(names).into_iter().map(<[Node]>::to_vec);
    let mark = marked("pivot_group_by", names.collect(), span);
    vec![
        word("DEFAULT", span),
        word("ON", span),
        word("NULL", span),
        group(Token::LParen, vec![mark], span),
    ]
}

fn unpivot(statement: &[Node]) -> Option<Vec<Node>> {
    let span = statement.first()?.span();
    let on = find(statement, 1, |at| statement[at].is(Keyword::ON));
    let into = find(statement, on, |at| statement[at].is(Keyword::INTO));
    let value = find(statement, into, |at| statement[at].is_word("value"));
    let relation = statement.get(1..on)?;
    let columns = statement.get(on + 1..into)?;
    let [name_word, name] = statement.get(into + 1..value)? else {
        return None;
    };
    let values = statement.get(value + 1..)?;
    if !name_word.is_word("name") || values.is_empty() {
        return None;
    }
    let mut inside = if values.len() == 1 {
        values.to_vec()
    } else {
        vec![group(Token::LParen, values.to_vec(), span)]
    };
    inside.extend([
        word("FOR", span),
        name.clone(),
        word("IN", span),
        group(Token::LParen, columns.to_vec(), span),
    ]);
    let mut query = select_star_from(statement);
    query.extend_from_slice(relation);
    query.extend([word("UNPIVOT", span), group(Token::LParen, inside, span)]);
    Some(query)
}

/// `PIVOT ( … GROUP BY a )` in a FROM.
fn clause_groups(level: &mut [Node]) {
    for index in 1..level.len() {
        if !level[index - 1].is(Keyword::PIVOT) {
            continue;
        }
        let Node::Group { open, inner, .. } = &mut level[index] else {
            continue;
        };
        let by = find(inner, 0, |at| is_group_by(inner, at));
        if by < inner.len() {
            let names = grouped(&inner[by + 2..], open.span);
            inner.splice(by.., names);
        }
    }
}
