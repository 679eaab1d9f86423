//! Tokens as a tree of brackets: what most rewrites of a statement need to see.

use std::ops::Range;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Span;
use sqlparser::tokenizer::Token;
use sqlparser::tokenizer::TokenWithSpan;

/// One token, or a pair of brackets with what stands between.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Leaf(TokenWithSpan),
    Group {
        open: TokenWithSpan,
        inner: Vec<Self>,
        close: TokenWithSpan,
    },
}

impl Node {
    /// The token itself; of brackets the opening one.
    pub(super) fn token(&self) -> &Token {
        match self {
            Self::Leaf(leaf) => &leaf.token,
            Self::Group { open, .. } => &open.token,
        }
    }

    /// Where its first token stands.
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Leaf(leaf) => leaf.span,
            Self::Group { open, .. } => open.span,
        }
    }

    /// Whether it is the unquoted word `keyword`.
    pub(super) fn is(&self, keyword: Keyword) -> bool {
        matches!(self.token(), Token::Word(word) if word.keyword == keyword)
    }

    /// Whether it is the unquoted word `text`, in any case.
    pub(super) fn is_word(&self, text: &str) -> bool {
        matches!(self.token(), Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
    }

    /// Whether it may be a name: any word, quoted or not.
    pub(super) fn is_name(&self) -> bool {
        matches!(self.token(), Token::Word(_))
    }

    pub(super) fn is_token(&self, token: &Token) -> bool {
        matches!(self, Self::Leaf(leaf) if leaf.token == *token)
    }

    /// Whether it is `( … )`.
    pub(super) fn is_parens(&self) -> bool {
        matches!(self, Self::Group { open, .. } if open.token == Token::LParen)
    }
}

/// The tree of `tokens` without whitespace and comments; `None` when brackets do not match.
pub(super) fn read(tokens: &[TokenWithSpan]) -> Option<Vec<Node>> {
    let mut open: Vec<(TokenWithSpan, Vec<Node>)> = Vec::new();
    let mut level = Vec::with_capacity(tokens.len());
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => {}
            Token::LParen | Token::LBracket | Token::LBrace => {
                open.push((token.clone(), std::mem::take(&mut level)));
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                let (opening, outer) = open.pop()?;
                if closing(&opening.token) != token.token {
                    return None;
                }
                let inner = std::mem::replace(&mut level, outer);
                level.push(Node::Group {
                    open: opening,
                    inner,
                    close: token.clone(),
                });
            }
            _ => level.push(Node::Leaf(token.clone())),
        }
    }
    open.is_empty().then_some(level)
}

fn closing(open: &Token) -> Token {
    match open {
        Token::LBracket => Token::RBracket,
        Token::LBrace => Token::RBrace,
        _ => Token::RParen,
    }
}

/// The tokens of a tree in its order.
pub(super) fn write(level: Vec<Node>, tokens: &mut Vec<TokenWithSpan>) {
    for node in level {
        match node {
            Node::Leaf(leaf) => tokens.push(leaf),
            Node::Group { open, inner, close } => {
                tokens.push(open);
                write(inner, tokens);
                tokens.push(close);
            }
        }
    }
}

/// A word that the user did not write, at a place that the user did.
pub(super) fn word(text: &str, span: Span) -> Node {
    leaf(Token::make_keyword(text), span)
}

/// A token that the user did not write.
pub(super) fn leaf(token: Token, span: Span) -> Node {
    Node::Leaf(TokenWithSpan::new(token, span))
}

/// Brackets that the user did not write.
pub(super) fn group(open: Token, inner: Vec<Node>, span: Span) -> Node {
    let close = closing(&open);
    Node::Group {
        open: TokenWithSpan::new(open, span),
        inner,
        close: TokenWithSpan::new(close, span),
    }
}

/// `{fn name(arguments)}`: our mark for what the parser has no node for. No engine that we rewrite
/// for reads this form, so nobody can have written it.
pub(super) fn marked(name: &str, arguments: Vec<Vec<Node>>, span: Span) -> Node {
    let mut inner = Vec::new();
    for (index, argument) in arguments.into_iter().enumerate() {
        if index > 0 {
            inner.push(leaf(Token::Comma, span));
        }
        inner.extend(argument);
    }
    let call = vec![
        word("fn", span),
        word(name, span),
        group(Token::LParen, inner, span),
    ];
    group(Token::LBrace, call, span)
}

/// The index of the first node at or after `from` that `wanted` accepts; else the length.
pub(super) fn find(level: &[Node], from: usize, wanted: impl Fn(usize) -> bool) -> usize {
    (from..level.len())
        .find(|index| wanted(*index))
        .unwrap_or(level.len())
}

/// Puts nodes in the place of others, in one pass over the level. The ranges are sorted and apart.
pub(super) fn edit(level: &mut Vec<Node>, edits: Vec<(Range<usize>, Vec<Node>)>) {
    if edits.is_empty() {
        return;
    }
    let mut old = std::mem::take(level).into_iter();
    let mut at = 0;
    for (range, nodes) in edits {
        level.extend(old.by_ref().take(range.start - at));
        level.extend(nodes);
        // Drops what the new nodes stand for.
        old.by_ref().take(range.len()).for_each(drop);
        at = range.end;
    }
    level.extend(old);
}

/// The parts of a level between its commas.
pub(super) fn split_commas(level: &[Node]) -> Vec<&[Node]> {
    level.split(|node| node.is_token(&Token::Comma)).collect()
}
