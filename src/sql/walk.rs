//! Small questions to a tree.

use std::ops::ControlFlow;

use sqlparser::ast::Expr;
use sqlparser::ast::Visit;
use sqlparser::ast::visit_expressions;

/// Whether any expression in `tree`, at any depth, is one that `wanted` accepts.
pub(super) fn any_expression<V: Visit>(tree: &V, wanted: impl Fn(&Expr) -> bool) -> bool {
    visit_expressions(tree, |expr| {
        if wanted(expr) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .is_break()
}
