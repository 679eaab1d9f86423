//! What can only be told from the tree.
//!
//! - In DuckDB `x -> e` is a lambda when it is an argument of a function that takes one, and JSON
//!   otherwise: [`Expr::Lambda`] and [`BinaryOperator::Arrow`].
//! - A sign before a sign gets brackets: the parser would print `- -1` as `--1`, a comment.

use std::ops::ControlFlow;

use sqlparser::ast::AccessExpr;
use sqlparser::ast::BinaryOperator;
use sqlparser::ast::Expr;
use sqlparser::ast::Function;
use sqlparser::ast::FunctionArg;
use sqlparser::ast::FunctionArgExpr;
use sqlparser::ast::FunctionArguments;
use sqlparser::ast::Ident;
use sqlparser::ast::LambdaFunction;
use sqlparser::ast::LambdaFunctionParameter;
use sqlparser::ast::LambdaSyntax;
use sqlparser::ast::OneOrManyWithParens;
use sqlparser::ast::Query;
use sqlparser::ast::visit_expressions_mut;

use crate::sql::Dialect;

/// DuckDB's functions that take a lambda (`duckdb_functions()` of 1.5), and `COLUMNS`.
const TAKE_LAMBDAS: &[&str] = &[
    "apply",
    "array_apply",
    "array_filter",
    "array_reduce",
    "array_transform",
    "columns",
    "filter",
    "list_apply",
    "list_filter",
    "list_reduce",
    "list_transform",
    "reduce",
];

/// The query as the rest of this module's readers expect it.
pub(in crate::sql) fn settle(mut query: Query, dialect: Dialect) -> Query {
    // The visitor never breaks.
    let _: ControlFlow<()> = visit_expressions_mut(&mut query, |expr| {
        match expr {
            Expr::UnaryOp { expr: inner, .. } if matches!(**inner, Expr::UnaryOp { .. }) => {
                let operand = std::mem::replace(&mut **inner, Expr::Tuple(Vec::new()));
                **inner = Expr::Nested(Box::new(operand));
            }
            Expr::Function(function) if dialect == Dialect::DuckDb => lambdas(function),
            Expr::CompoundFieldAccess { access_chain, .. } if dialect == Dialect::DuckDb => {
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::Function(function)) = access {
                        lambdas(function);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    query
}

fn lambdas(function: &mut Function) {
    let name = function.name.0.last().and_then(|part| part.as_ident());
    let takes = name.is_some_and(|name| {
        let name = name.value.to_ascii_lowercase();
        TAKE_LAMBDAS.contains(&name.as_str())
    });
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    if !takes {
        return;
    }
    for argument in &mut list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
            && let Expr::BinaryOp {
                left,
                op: BinaryOperator::Arrow,
                right,
            } = expr
            && let Some(names) = parameters(left)
        {
            let body = std::mem::replace(&mut **right, Expr::Tuple(Vec::new()));
            *expr = lambda(names, body, LambdaSyntax::Arrow);
        }
    }
}

fn parameters(left: &Expr) -> Option<Vec<Ident>> {
    let name = |expr: &Expr| match expr {
        Expr::Identifier(name) => Some(name.clone()),
        _ => None,
    };
    match left {
        Expr::Tuple(names) => names.iter().map(name).collect(),
        Expr::Nested(inner) => Some(vec![name(inner)?]),
        _ => Some(vec![name(left)?]),
    }
}

pub(super) fn lambda(names: Vec<Ident>, body: Expr, syntax: LambdaSyntax) -> Expr {
    let mut parameters: Vec<LambdaFunctionParameter> = names
        .into_iter()
        .map(|name| LambdaFunctionParameter {
            name,
            data_type: None,
        })
        .collect();
    let params = match parameters.len() {
        1 => OneOrManyWithParens::One(parameters.remove(0)),
        _ => OneOrManyWithParens::Many(parameters),
    };
    Expr::Lambda(LambdaFunction {
        params,
        body: Box::new(body),
        syntax,
    })
}
