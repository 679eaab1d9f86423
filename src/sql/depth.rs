//! How deep a tree may become, told from the tokens before there is a tree.
//!
//! Parsing, printing, comparing and dropping a tree recurse, and the threads of a pool have stacks
//! of two megabytes. So what is nested too deep is never parsed.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;
use sqlparser::tokenizer::TokenWithSpan;

/// The weight that fits half of a stack of two megabytes in a build without optimisation.
pub(super) const HEAVIEST: usize = 250;

// Weights by stack that was measured per level: one is a binary operator.
const BRACKET: usize = 2;
const BRACKET_AROUND_RELATION: usize = 5;
const LAMBDA: usize = 2;
const SIGN: usize = 4;
const IN_LIST: usize = 4;
const SET_OPERATION: usize = 3;
const QUERY: usize = 7;
const JOIN_IN_BRACKETS: usize = 50;

/// A stretch between brackets.
#[derive(Default)]
struct Group {
    is_case: bool,
    /// The brackets themselves, and a query in them.
    own: usize,
    is_query: bool,
    /// It stands where a table may stand.
    is_relation: bool,
    set_operations: usize,
    /// The deepest of the parts that separators have ended.
    done: usize,
    /// AND and OR in this part: `a AND b AND c` leans to the left.
    logical: usize,
    /// The deepest operand of these.
    operand: usize,
    /// Other operators in this operand, and the deepest brackets in it.
    operators: usize,
    inside: usize,
}

impl Group {
    fn end_operand(&mut self) {
        self.operand = self.operand.max(self.operators + self.inside);
        self.operators = 0;
        self.inside = 0;
    }

    fn end_part(&mut self) {
        self.end_operand();
        self.done = self.done.max(self.logical + self.operand);
        self.logical = 0;
        self.operand = 0;
    }

    fn weight(&mut self) -> usize {
        self.end_part();
        self.own + self.set_operations + self.done
    }
}

/// An upper bound for the weight of the deepest branch of the tree.
pub(super) fn weight(tokens: &[TokenWithSpan]) -> usize {
    let mut open = vec![Group::default()];
    let words = tokens
        .iter()
        .map(|token| &token.token)
        .filter(|token| !matches!(token, Token::Whitespace(_)));
    // Whether a table may stand at this token.
    let mut relation = false;
    // Whether the token before ends an operand: then a sign here is no prefix.
    let mut operand = false;
    // Whether the token before is IN.
    let mut inside = false;
    for token in words {
        let group = open.last_mut().expect("the outermost group stays");
        let was_relation = std::mem::take(&mut relation);
        let was_operand = std::mem::replace(&mut operand, ends_operand(token));
        if std::mem::take(&mut inside) && *token != Token::LParen {
            group.operators += IN_LIST;
        }
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                relation = was_relation;
                // `x[1][1]`, `int[][]`
                group.operators += usize::from(*token == Token::LBracket);
                open.push(Group {
                    own: if was_relation {
                        BRACKET_AROUND_RELATION
                    } else {
                        BRACKET
                    },
                    is_relation: was_relation,
                    ..Group::default()
                });
            }
            Token::RParen | Token::RBracket | Token::RBrace => close(&mut open, false),
            Token::Comma | Token::SemiColon => group.end_part(),
            Token::Word(word) => match word.keyword {
                Keyword::CASE => open.push(Group {
                    own: BRACKET,
                    is_case: true,
                    ..Group::default()
                }),
                Keyword::END => close(&mut open, true),
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => {
                    group.end_part();
                    group.set_operations += SET_OPERATION;
                }
                Keyword::SELECT | Keyword::WITH | Keyword::VALUES => {
                    group.end_part();
                    if !group.is_query {
                        group.is_query = true;
                        group.own += QUERY;
                    }
                }
                Keyword::FROM => {
                    group.end_part();
                    relation = true;
                }
                Keyword::JOIN => {
                    group.end_part();
                    if group.is_relation && group.own < JOIN_IN_BRACKETS {
                        group.own = JOIN_IN_BRACKETS;
                    }
                    relation = true;
                }
                Keyword::AND | Keyword::OR => {
                    group.end_operand();
                    group.logical += 1;
                }
                Keyword::ON
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::ORDER
                | Keyword::BY
                | Keyword::HAVING
                | Keyword::QUALIFY
                | Keyword::LIMIT
                | Keyword::WHEN
                | Keyword::THEN
                | Keyword::ELSE => group.end_part(),
                Keyword::IN => {
                    inside = true;
                    group.operators += 1;
                }
                // A word may be a prefix operator (`NOT`), an infix one (`LIKE`), or a name.
                Keyword::NoKeyword => {}
                _ => group.operators += 1,
            },
            Token::EOF
            | Token::Number(..)
            | Token::Period
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_) => {}
            Token::Arrow => group.operators += LAMBDA,
            Token::Minus | Token::Plus if !was_operand => group.operators += SIGN,
            _ => group.operators += 1,
        }
    }
    while open.len() > 1 {
        close_one(&mut open);
    }
    open.last_mut().map_or(0, Group::weight)
}

fn ends_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword == Keyword::NoKeyword || word.quote_style.is_some(),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::RParen
        | Token::RBracket
        | Token::RBrace => true,
        _ => false,
    }
}

fn close(open: &mut Vec<Group>, case: bool) {
    // `end` may be a name, and brackets may not match: then nothing closes.
    if open.len() > 1 && open.last().is_some_and(|group| group.is_case == case) {
        close_one(open);
    }
}

fn close_one(open: &mut Vec<Group>) {
    if let Some(mut group) = open.pop() {
        let weight = group.weight();
        if let Some(outer) = open.last_mut() {
            outer.inside = outer.inside.max(weight);
        }
    }
}
