//! Names that come from the form of an expression or a relation.

use sqlparser::ast::AccessExpr;
use sqlparser::ast::Expr;
use sqlparser::ast::Ident;
use sqlparser::ast::TableAlias;
use sqlparser::ast::TableFactor;

/// The name of an item without an alias; `None` when the engine makes one up.
///
/// A cast has the name of what it casts: [`name_casts`](super::name_casts) makes engines agree.
pub(super) fn of_item(expr: &Expr, fold: &dyn Fn(&Ident) -> String) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(fold(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last()? {
            AccessExpr::Dot(Expr::Identifier(ident)) => Some(fold(ident)),
            AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
        },
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => of_item(inner, fold),
        _ => None,
    }
}

/// The alias of any kind of relation.
pub(super) fn alias_of(factor: &TableFactor) -> Option<&TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::JsonTable { alias, .. }
        | TableFactor::OpenJsonTable { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. }
        | TableFactor::MatchRecognize { alias, .. }
        | TableFactor::XmlTable { alias, .. }
        | TableFactor::SemanticView { alias, .. } => alias.as_ref(),
        TableFactor::UnpivotExpr { .. } => None,
    }
}
