//! One spelling for conditions: what stands in WHERE, HAVING, QUALIFY and ON.
//!
//! Brackets around a whole condition, or around a comparison below AND, change nothing: the tree is the same
//! without them. AND is true exactly when all its operands are, whatever their order; a row is kept only when
//! it is true, so NULL and FALSE need not be told apart, and they are not: AND over the same operands gives the
//! same of the three values in any order. Operands that fail for some rows may be tried in another order, but
//! SQL promises none in the first place.
//!
//! In DuckDB all values of a type are in one order (NaN is the largest) and a comparison with NULL is NULL, so
//! `NOT a <= b` is `a > b`. Other engines do not order NaN.

use sqlparser::ast::BinaryOperator;
use sqlparser::ast::Expr;
use sqlparser::ast::UnaryOperator;

use crate::sql::Dialect;

/// Gives the condition its one spelling.
pub(super) fn plain(condition: &mut Expr, dialect: Dialect) {
    let mut operands = Vec::new();
    let whole = std::mem::replace(condition, Expr::Tuple(Vec::new()));
    flatten(without_brackets(whole), dialect, &mut operands);
    operands.sort_by_cached_key(|(text, _)| text.clone());
    let chain = operands.into_iter().map(|(_, operand)| operand);
    let chain = chain.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    });
    *condition = match chain.expect("a condition has an operand") {
        // Alone, an operand needs no brackets.
        Expr::Nested(inner) => without_brackets(*inner),
        other => other,
    };
}

/// The operands of a chain of ANDs, each with its text.
fn flatten(expr: Expr, dialect: Dialect, operands: &mut Vec<(String, Expr)>) {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            flatten(*left, dialect, operands);
            flatten(*right, dialect, operands);
        }
        Expr::Nested(inner) => {
            let inner = without_brackets(*inner);
            if is_and(&inner) || is_comparison(&inner) || is_not(&inner) {
                flatten(inner, dialect, operands);
            } else {
                operands.push((inner.to_string(), Expr::Nested(Box::new(inner))));
            }
        }
        other => {
            let operand = without_not(other, dialect);
            operands.push((operand.to_string(), operand));
        }
    }
}

fn without_brackets(mut expr: Expr) -> Expr {
    while let Expr::Nested(inner) = expr {
        expr = *inner;
    }
    expr
}

/// `a > b` for `NOT a <= b`.
fn without_not(expr: Expr, dialect: Dialect) -> Expr {
    if dialect != Dialect::DuckDb || !is_not(&expr) {
        return expr;
    }
    let Expr::UnaryOp { op, expr: inner } = expr else {
        return expr;
    };
    match without_brackets(*inner) {
        Expr::BinaryOp {
            left,
            op: comparison,
            right,
        } if opposite(&comparison).is_some() && !is_row(&left) && !is_row(&right) => {
            Expr::BinaryOp {
                left,
                op: opposite(&comparison).unwrap_or(comparison),
                right,
            }
        }
        // Brackets may go around a comparison only: `NOT a AND b` is not `NOT (a AND b)`.
        other => Expr::UnaryOp {
            op,
            expr: Box::new(if is_comparison(&other) {
                other
            } else {
                Expr::Nested(Box::new(other))
            }),
        },
    }
}

fn opposite(comparison: &BinaryOperator) -> Option<BinaryOperator> {
    match comparison {
        BinaryOperator::Eq => Some(BinaryOperator::NotEq),
        BinaryOperator::NotEq => Some(BinaryOperator::Eq),
        BinaryOperator::Lt => Some(BinaryOperator::GtEq),
        BinaryOperator::GtEq => Some(BinaryOperator::Lt),
        BinaryOperator::Gt => Some(BinaryOperator::LtEq),
        BinaryOperator::LtEq => Some(BinaryOperator::Gt),
        _ => None,
    }
}

/// Rows are compared part by part, with rules of their own for NULL.
fn is_row(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Tuple(_) | Expr::Struct { .. } | Expr::Dictionary(_) | Expr::Subquery(_)
    )
}

fn is_and(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryOp {
            op: BinaryOperator::And,
            ..
        }
    )
}

fn is_comparison(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op, .. } if opposite(op).is_some())
}

fn is_not(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            ..
        }
    )
}
