//! What operators give.

use sqlparser::ast::BinaryOperator;
use sqlparser::ast::UnaryOperator;

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_duckdb;
use crate::sql::types::in_postgres;

/// The type of `operator operand`.
pub fn unary(
    operator: UnaryOperator,
    operand: Option<&Operand>,
    dialect: Dialect,
) -> Option<Operand> {
    let symbol = match operator {
        UnaryOperator::Not | UnaryOperator::BangNot => return Some(comparison()),
        UnaryOperator::Plus => "+",
        UnaryOperator::Minus => {
            // `-1` is as much a literal as `1`.
            if let Some(Operand::Integer(value)) = operand {
                return value.checked_neg().map(Operand::Integer);
            }
            "-"
        }
        UnaryOperator::BitwiseNot => "~",
        UnaryOperator::PGAbs => "@",
        UnaryOperator::PGSquareRoot => "|/",
        UnaryOperator::PGCubeRoot => "||/",
        UnaryOperator::PGPostfixFactorial => "!__postfix",
        _ => return None,
    };
    symbolic(symbol, &[operand.cloned()], dialect)
}

/// The type of `left operator right`.
pub fn binary(
    operator: &BinaryOperator,
    left: Option<&Operand>,
    right: Option<&Operand>,
    dialect: Dialect,
) -> Option<Operand> {
    use BinaryOperator as B;
    let symbol = match operator {
        B::And
        | B::Or
        | B::Xor
        | B::Eq
        | B::NotEq
        | B::Lt
        | B::LtEq
        | B::Gt
        | B::GtEq
        | B::PGRegexMatch
        | B::PGRegexIMatch
        | B::PGRegexNotMatch
        | B::PGRegexNotIMatch
        | B::PGLikeMatch
        | B::PGILikeMatch
        | B::PGNotLikeMatch
        | B::PGNotILikeMatch
        | B::PGStartsWith
        | B::Match
        | B::Regexp
        | B::Glob
        | B::AtArrow
        | B::ArrowAt
        | B::Question
        | B::QuestionAnd
        | B::QuestionPipe
        | B::PGOverlap
        | B::Overlaps
        | B::AtAt
        | B::AtQuestion => return Some(comparison()),
        B::Plus => "+",
        B::Minus => "-",
        B::Multiply => "*",
        B::Divide => "/",
        B::Modulo => "%",
        B::StringConcat => "||",
        B::BitwiseOr => "|",
        B::BitwiseAnd => "&",
        B::PGBitwiseXor => "#",
        B::BitwiseXor | B::PGExp => "^",
        B::PGBitwiseShiftLeft => "<<",
        B::PGBitwiseShiftRight => ">>",
        B::DuckIntegerDivide => "//",
        B::Arrow => "->",
        B::LongArrow => "->>",
        B::HashArrow => "#>",
        B::HashLongArrow => "#>>",
        B::HashMinus => "#-",
        B::LtDashGt => "<->",
        B::Spaceship => "<=>",
        B::Custom(symbol) => symbol,
        _ => return None,
    };
    symbolic(symbol, &[left.cloned(), right.cloned()], dialect)
}

fn symbolic(symbol: &str, operands: &[Option<Operand>], dialect: Dialect) -> Option<Operand> {
    match dialect {
        Dialect::DuckDb => in_duckdb::operator(symbol, operands),
        Dialect::Postgres => in_postgres::operator(symbol, operands),
        _ => None,
    }
}

/// The type of everything that is true, false or NULL: `=`, `<`, `LIKE`, `IN`, `IS NULL`, `EXISTS`.
pub fn comparison() -> Operand {
    DataType::Boolean.into()
}
