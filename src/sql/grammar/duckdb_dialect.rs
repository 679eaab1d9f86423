//! DuckDB's grammar as far as hooks of the parser reach.

use std::any::TypeId;

use sqlparser::ast::BinaryOperator;
use sqlparser::ast::Expr;
use sqlparser::ast::LambdaSyntax;
use sqlparser::ast::UnaryOperator;
use sqlparser::ast::Value;
use sqlparser::dialect::Dialect;
use sqlparser::dialect::DuckDbDialect;
use sqlparser::dialect::Precedence;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::Token;
use sqlparser::tokenizer::Word;

/// The parser's DuckDB dialect with DuckDB's precedences, and with more operators.
#[derive(Debug)]
pub(super) struct DuckDb;

/// `->` and `->>`: everything before them is their left side.
const ARROW: u8 = 5;
const OR: u8 = 10;
const AND: u8 = 20;
const NOT: u8 = 30;
const IS: u8 = 40;
const COMPARISON: u8 = 50;
const LIKE: u8 = 60;
const OTHER: u8 = 70;
const PLUS: u8 = 80;
const TIMES: u8 = 90;
const POWER: u8 = 100;
const AT: u8 = 110;
const SIGN: u8 = 125;
const BRACKET: u8 = 130;
const CAST: u8 = 140;
const PERIOD: u8 = 200;

/// `**`, which the tokenizer cuts in two.
fn is_power(parser: &Parser) -> bool {
    let [first, second] = parser.peek_tokens_with_location();
    first.token == Token::Mul && second.token == Token::Mul && first.span.end == second.span.start
}

fn is_keyword(parser: &Parser, nth: usize, keyword: Keyword) -> bool {
    matches!(&parser.peek_nth_token_ref(nth).token, Token::Word(word) if word.keyword == keyword)
}

/// `x ISNULL`, whose word the parser does not know.
fn is_null_test(word: &Word) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull")
}

impl Dialect for DuckDb {
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        DuckDbDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        DuckDbDialect.is_identifier_part(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        DuckDbDialect.identifier_quote_style(identifier)
    }

    fn supports_trailing_commas(&self) -> bool {
        true
    }

    fn supports_from_trailing_commas(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_eq_operator(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_dictionary_syntax(&self) -> bool {
        true
    }

    fn support_map_literal_syntax(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_from_first_select(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn supports_select_wildcard_rename(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_factorial_operator(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_unicode_string_literal(&self) -> bool {
        false
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        false
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        false
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Period => PERIOD,
            Precedence::DoubleColon => CAST,
            Precedence::AtTz => AT,
            Precedence::MulDivModOp => TIMES,
            Precedence::PlusMinus => PLUS,
            Precedence::Caret => POWER,
            Precedence::Xor
            | Precedence::Ampersand
            | Precedence::Pipe
            | Precedence::Colon
            | Precedence::PgOther => OTHER,
            Precedence::Between | Precedence::Like => LIKE,
            Precedence::Eq => COMPARISON,
            Precedence::Is => IS,
            Precedence::UnaryNot => NOT,
            Precedence::And => AND,
            Precedence::Or => OR,
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let precedence = match &parser.peek_token_ref().token {
            Token::Mul if is_power(parser) => POWER,
            Token::Caret => POWER,
            Token::LBracket => BRACKET,
            Token::Word(word) if is_null_test(word) => IS,
            Token::Word(word) => match word.keyword {
                // The parser would look for an operator behind it.
                Keyword::OPERATOR
                | Keyword::MATCH
                | Keyword::DIV
                | Keyword::XOR
                | Keyword::REGEXP
                | Keyword::RLIKE
                | Keyword::MEMBER => 0,
                _ => return None,
            },
            Token::StringConcat
            | Token::Overlap
            | Token::CaretAt
            | Token::ShiftLeft
            | Token::ShiftRight
            | Token::Ampersand
            | Token::Pipe
            | Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk
            | Token::ExclamationMark
            | Token::CustomBinaryOperator(_) => OTHER,
            Token::Arrow | Token::LongArrow => ARROW,
            // A prefix alias or a slice.
            Token::Colon | Token::Assignment => 0,
            _ => return None,
        };
        Some(Ok(precedence))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        // A sign binds tighter than `**` here.
        let op = match &parser.peek_token_ref().token {
            Token::Minus => UnaryOperator::Minus,
            Token::Plus => UnaryOperator::Plus,
            Token::EscapedStringLiteral(text) => {
                let value = Value::EscapedStringLiteral(text.clone());
                let span = parser.next_token().span;
                return Some(Ok(Expr::Value(value.with_span(span))));
            }
            Token::Word(word) if word.keyword == Keyword::LAMBDA => return lambda(parser),
            Token::Word(word) if word.keyword == Keyword::NoKeyword => return name(parser),
            Token::Number(..) => return Some(parser.parse_value().map(Expr::Value)),
            _ => return None,
        };
        parser.advance_token();
        Some(parser.parse_subexpr(SIGN).map(|expr| Expr::UnaryOp {
            op,
            expr: Box::new(expr),
        }))
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let mut precedence = precedence;
        let (op, tokens) = match &parser.peek_token_ref().token {
            Token::Mul if is_power(parser) => (BinaryOperator::Custom("**".to_owned()), 2),
            Token::Arrow => (BinaryOperator::Arrow, 1),
            Token::LongArrow => {
                precedence = OTHER;
                (BinaryOperator::LongArrow, 1)
            }
            Token::Overlap => (BinaryOperator::PGOverlap, 1),
            Token::CaretAt => (BinaryOperator::PGStartsWith, 1),
            Token::Word(word) if word.keyword == Keyword::GLOB => {
                (BinaryOperator::Custom("GLOB".to_owned()), 1)
            }
            Token::Word(word) if is_null_test(word) => {
                parser.advance_token();
                return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
            }
            Token::Word(word) if matches!(word.keyword, Keyword::IN | Keyword::NOT) => {
                return in_list(parser, expr);
            }
            _ => return None,
        };
        for _ in 0..tokens {
            parser.advance_token();
        }
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| Expr::BinaryOp {
            left: Box::new(expr.clone()),
            op,
            right: Box::new(right),
        }))
    }
}

/// A name, or the first part of one. The parser would come to the same after it has tried to read a type, which is
/// a third of its time; `None` where what follows may make it something else.
fn name(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let is_alone = match &parser.peek_nth_token_ref(1).token {
        Token::Period
        | Token::Comma
        | Token::RParen
        | Token::EOF
        | Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::DoubleColon
        | Token::StringConcat => true,
        Token::Word(next) => matches!(
            next.keyword,
            Keyword::AS | Keyword::AND | Keyword::OR | Keyword::FROM | Keyword::IS | Keyword::THEN
        ),
        _ => false,
    };
    let Token::Word(word) = &parser.peek_token_ref().token else {
        return None;
    };
    if !is_alone {
        return None;
    }
    let word = word.clone();
    let span = parser.next_token().span;
    Some(Ok(Expr::Identifier(word.into_ident(span))))
}

/// `lambda x, y: body`; `None` where `lambda` is a name.
fn lambda(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let name = matches!(parser.peek_nth_token_ref(1).token, Token::Word(_));
    let more = matches!(
        parser.peek_nth_token_ref(2).token,
        Token::Colon | Token::Comma
    );
    if !name || !more {
        return None;
    }
    parser.advance_token();
    Some(lambda_parts(parser))
}

fn lambda_parts(parser: &mut Parser) -> Result<Expr, ParserError> {
    let names = parser.parse_comma_separated(Parser::parse_identifier)?;
    parser.expect_token(&Token::Colon)?;
    let body = parser.parse_expr()?;
    Ok(super::settle::lambda(
        names,
        body,
        LambdaSyntax::LambdaKeyword,
    ))
}

/// `x IN l` without brackets asks whether a list holds a value: `{fn in_list(x, l)}`.
fn in_list(parser: &mut Parser, expr: &Expr) -> Option<Result<Expr, ParserError>> {
    let negated = is_keyword(parser, 0, Keyword::NOT);
    let at = usize::from(negated);
    if !is_keyword(parser, at, Keyword::IN)
        || parser.peek_nth_token_ref(at + 1).token == Token::LParen
    {
        return None;
    }
    for _ in 0..=at {
        parser.advance_token();
    }
    let list = match parser.parse_subexpr(PERIOD) {
        Ok(list) => list,
        Err(error) => return Some(Err(error)),
    };
    let call = super::marked_call("in_list", vec![expr.clone(), list]);
    Some(Ok(if negated {
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(call),
        }
    } else {
        call
    }))
}
