//! Rewrites for the dialects other than DuckDB.
//!
//! - `TABLE t` becomes `SELECT * FROM t` (Postgres, Spark, Trino), which means the same.
//! - `FROM t SELECT …` becomes `SELECT … FROM t` (Spark).
//! - `VALUES 1, 2` becomes `VALUES (1), (2)` (Spark, Trino).
//! - `OVER (… EXCLUDE TIES)` becomes what `calls.rs` says (Postgres).
//! - `EXISTS(a, x -> x > 1)` of Spark becomes a function.
//! - The types `ARRAY(T)` and `ROW(x T)` of Trino become `ARRAY<T>` and `STRUCT(x T)`.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::calls;
use super::clauses;
use super::from_first;
use super::tree::Node;
use super::tree::edit;
use super::tree::find;
use super::tree::group;
use super::tree::leaf;
use super::tree::word;
use crate::sql::Dialect;

pub(super) fn level(
    level: &mut Vec<Node>,
    before: Option<&Node>,
    dialect: Dialect,
) -> Result<(), &'static str> {
    let is_spark = matches!(dialect, Dialect::Spark | Dialect::Databricks);
    let is_trino = matches!(dialect, Dialect::Trino | Dialect::Athena);
    if is_spark {
        exists(level);
    }
    for index in 0..level.len() {
        let (left, right) = level.split_at_mut(index);
        if let Node::Group { inner, .. } = &mut right[0] {
            self::level(inner, left.last(), dialect)?;
        }
    }
    calls::names(level);
    if is_spark && streams(level) {
        return Err("`STREAM` is not supported");
    }
    if is_spark
        && !level
            .iter()
            .any(|node| matches!(node.token(), Token::VerticalBarRightAngleBracket))
    {
        from_first::rewrite(level, before);
    }
    if is_trino || dialect == Dialect::Postgres {
        for start in clauses::query_starts(level).into_iter().rev() {
            if level.get(start).is_some_and(|node| node.is(Keyword::TABLE)) {
                from_first::table(level, start);
            }
        }
    }
    if is_spark || is_trino {
        values(level);
    }
    if is_trino {
        types(level);
    }
    if dialect == Dialect::Postgres {
        calls::frames(level);
    }
    Ok(())
}

/// `FROM STREAM t` would be the table `STREAM` with an alias.
fn streams(level: &[Node]) -> bool {
    level.windows(3).any(|nodes| {
        nodes[0].is(Keyword::FROM)
            && nodes[1].is_word("stream")
            && nodes[2].is_name()
            && !nodes[2].is(Keyword::AS)
            && !nodes[2].is(Keyword::WHERE)
    })
}

fn exists(level: &mut [Node]) {
    for index in 1..level.len() {
        let starts_query = match &level[index] {
            Node::Group { inner, .. } => inner.first().is_none_or(|first| {
                first.is(Keyword::SELECT)
                    || first.is(Keyword::WITH)
                    || first.is(Keyword::FROM)
                    || first.is(Keyword::VALUES)
                    || first.is(Keyword::TABLE)
                    || first.is_parens()
            }),
            Node::Leaf(_) => true,
        };
        if !starts_query
            && level[index - 1].is(Keyword::EXISTS)
            && let Node::Leaf(leaf) = &mut level[index - 1]
            && let Token::Word(word) = &mut leaf.token
        {
            word.keyword = Keyword::NoKeyword;
        }
    }
}

/// Puts brackets around the rows of `VALUES 1, 2`; in a FROM they end at an alias.
fn values(level: &mut Vec<Node>) {
    let mut index = 0;
    while index < level.len() {
        if !level[index].is(Keyword::VALUES) {
            index += 1;
            continue;
        }
        let end = find(level, index + 1, |at| {
            clauses::ends_clause(level, at) || level[at].is(Keyword::AS)
        });
        let rows = level[index + 1..end].to_vec();
        let mut bracketed = Vec::with_capacity(rows.len());
        for (position, row) in rows.split(|node| node.is_token(&Token::Comma)).enumerate() {
            let Some(first) = row.first() else { return };
            let span = first.span();
            if position > 0 {
                bracketed.push(leaf(Token::Comma, span));
            }
            // An alias without AS may follow the last row.
            if first.is_parens() {
                bracketed.extend_from_slice(row);
            } else {
                bracketed.push(group(Token::LParen, row.to_vec(), span));
            }
        }
        let length = bracketed.len();
        level.splice(index + 1..end, bracketed);
        index += length + 1;
    }
}

/// Behind the AS of a cast.
fn types(level: &mut [Node]) {
    for index in 1..level.len() {
        if !(level[index - 1].is(Keyword::CAST) || level[index - 1].is(Keyword::TRY_CAST)) {
            continue;
        }
        if let Node::Group { inner, .. } = &mut level[index] {
            let at = (0..inner.len()).rev().find(|at| inner[*at].is(Keyword::AS));
            if let Some(at) = at {
                let mut data_type = inner.split_off(at + 1);
                data_types(&mut data_type);
                inner.append(&mut data_type);
            }
        }
    }
}

fn data_types(level: &mut Vec<Node>) {
    for node in level.iter_mut() {
        if let Node::Group { inner, .. } = node {
            data_types(inner);
        }
    }
    let mut edits = Vec::new();
    for (index, pair) in level.windows(2).enumerate() {
        let Node::Group { open, inner, close } = &pair[1] else {
            continue;
        };
        if open.token != Token::LParen {
            continue;
        }
        if pair[0].is(Keyword::ROW) {
            let name = word("STRUCT", pair[0].span());
            edits.push((index..index + 1, vec![name]));
        }
        if pair[0].is(Keyword::ARRAY) {
            let mut element = vec![leaf(Token::Lt, open.span)];
            element.extend_from_slice(inner);
            element.push(leaf(Token::Gt, close.span));
            edits.push((index + 1..index + 2, element));
        }
    }
    edit(level, edits);
}
