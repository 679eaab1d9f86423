//! `[e FOR x IN l IF c]` becomes `{fn list_comprehension(l, lambda x: e, lambda x: c)}`; without
//! IF there are two arguments. `FOR x, i` gives both lambdas a second parameter.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::tree::Node;
use super::tree::find;
use super::tree::leaf;
use super::tree::marked;
use super::tree::word;

/// The call for a list in brackets that is a comprehension.
pub(super) fn rewrite(node: &Node) -> Option<Node> {
    let Node::Group { open, inner, .. } = node else {
        return None;
    };
    if open.token != Token::LBracket {
        return None;
    }
    let at_for = find(inner, 0, |at| inner[at].is(Keyword::FOR));
    let at_in = find(inner, at_for, |at| inner[at].is(Keyword::IN));
    let value = inner.get(..at_for)?;
    let variables = inner.get(at_for + 1..at_in)?;
    let rest = inner.get(at_in + 1..)?;
    let comma = |node: &Node| node.is_token(&Token::Comma);
    if value.is_empty() || value.iter().any(comma) || rest.iter().any(comma) {
        return None;
    }
    let at_if = find(rest, 1, |at| {
        rest[at].is(Keyword::IF) && ends_operand(&rest[at - 1])
    });
    let list = rest[..at_if].to_vec();
    let mut arguments = vec![list, lambda(variables, value)];
    if let Some(condition) = rest.get(at_if + 1..) {
        arguments.push(lambda(variables, condition));
    }
    Some(marked("list_comprehension", arguments, open.span))
}

/// Whether an operand may end with the node, so that `IF` behind it is no function.
fn ends_operand(node: &Node) -> bool {
    match node {
        Node::Group { .. } => true,
        Node::Leaf(leaf) => match &leaf.token {
            Token::Word(word) => !matches!(
                word.keyword,
                Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::IN | Keyword::LIKE
            ),
            Token::Number(..) | Token::SingleQuotedString(_) => true,
            _ => false,
        },
    }
}

fn lambda(variables: &[Node], body: &[Node]) -> Vec<Node> {
    let span = body.first().or(variables.first()).map(Node::span);
    let span = span.unwrap_or_else(sqlparser::tokenizer::Span::empty);
    let mut lambda = vec![word("lambda", span)];
    lambda.extend_from_slice(variables);
    lambda.push(leaf(Token::Colon, span));
    lambda.extend_from_slice(body);
    lambda
}
