//! Traits of a query that keep an added column from being harmless.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::Expr;
use sqlparser::ast::Function;
use sqlparser::ast::FunctionArg;
use sqlparser::ast::FunctionArgExpr;
use sqlparser::ast::FunctionArguments;
use sqlparser::ast::Ident;
use sqlparser::ast::Join;
use sqlparser::ast::JoinConstraint;
use sqlparser::ast::JoinOperator;
use sqlparser::ast::LimitClause;
use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::SelectFlavor;
use sqlparser::ast::SelectItem;
use sqlparser::ast::SetExpr;
use sqlparser::ast::SetQuantifier;
use sqlparser::ast::TableFactor;
use sqlparser::ast::TableWithJoins;
use sqlparser::ast::Visit;
use sqlparser::ast::Visitor;

use crate::sql::Dialect;
use crate::sql::columns;
use crate::sql::fold;

/// Whether any part of the query keeps the first rows of something that has no order.
pub(super) fn cuts_without_order(query: &Query) -> bool {
    struct Cuts;
    impl Visitor for Cuts {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let top = matches!(&*query.body, SetExpr::Select(select) if select.top.is_some());
            let limited = match &query.limit_clause {
                None => false,
                Some(LimitClause::LimitOffset {
                    limit: None,
                    offset: None,
                    limit_by,
                }) => !limit_by.is_empty(),
                Some(LimitClause::LimitOffset { .. } | LimitClause::OffsetCommaLimit { .. }) => {
                    true
                }
            };
            if query.order_by.is_none() && (limited || query.fetch.is_some() || top) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    query.visit(&mut Cuts).is_break()
}

/// Whether an expression of the query looks `name` up, in any case: as a column, or as the start
/// of a path.
pub(super) fn looks_up(query: &Query, name: &str) -> bool {
    super::walk::any_expression(query, |expr| match expr {
        Expr::Identifier(ident) => ident.value.eq_ignore_ascii_case(name),
        Expr::CompoundIdentifier(parts) => parts
            .first()
            .is_some_and(|first| first.value.eq_ignore_ascii_case(name)),
        _ => false,
    })
}

/// Whether `name` stands anywhere in the query as an identifier.
pub(super) fn mentions(query: &Query, name: &str) -> bool {
    struct Mentions<'a>(&'a str);
    impl Visitor for Mentions<'_> {
        type Break = ();

        fn pre_visit_ident(&mut self, ident: &Ident) -> ControlFlow<()> {
            if ident.value.eq_ignore_ascii_case(self.0) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    query.visit(&mut Mentions(name)).is_break()
}

/// Whether a join makes one column of two.
pub(super) fn merges_columns(query: &Query) -> bool {
    any_join(query, |join| {
        matches!(
            constraint(&join.join_operator),
            Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
        )
    })
}

/// The constraint of a join that has one.
pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::StraightJoin(constraint)
        | JoinOperator::AsOf { constraint, .. } => Some(constraint),
        JoinOperator::CrossApply
        | JoinOperator::OuterApply
        | JoinOperator::ArrayJoin
        | JoinOperator::LeftArrayJoin
        | JoinOperator::InnerArrayJoin => None,
    }
}

/// The same, to be changed.
pub(super) fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::StraightJoin(constraint)
        | JoinOperator::AsOf { constraint, .. } => Some(constraint),
        JoinOperator::CrossApply
        | JoinOperator::OuterApply
        | JoinOperator::ArrayJoin
        | JoinOperator::LeftArrayJoin
        | JoinOperator::InnerArrayJoin => None,
    }
}

/// Whether any join of the tree is one that `wanted` accepts.
pub(super) fn any_join<V: Visit>(tree: &V, wanted: impl Fn(&Join) -> bool) -> bool {
    struct Joins<F>(F);
    impl<F: Fn(&Join) -> bool> Joins<F> {
        fn look(&self, item: &TableWithJoins) -> ControlFlow<()> {
            if item.joins.iter().any(&self.0) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    impl<F: Fn(&Join) -> bool> Visitor for Joins<F> {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            select.from.iter().try_for_each(|item| self.look(item))
        }

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match factor {
                TableFactor::NestedJoin {
                    table_with_joins, ..
                } => self.look(table_with_joins),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    tree.visit(&mut Joins(wanted)).is_break()
}

/// Whether the function reads all columns of a relation (`COLUMNS(*)`, `to_json(t.*)`).
pub(super) fn reads_all_columns(function: &Function) -> bool {
    let name = columns::function_name(function);
    let FunctionArguments::List(list) = &function.args else {
        return name == "columns";
    };
    let stars = list.args.iter().any(|argument| {
        let (FunctionArg::Unnamed(argument)
        | FunctionArg::Named { arg: argument, .. }
        | FunctionArg::ExprNamed { arg: argument, .. }) = argument;
        match argument {
            FunctionArgExpr::Wildcard => name != "count" && name != "count_star",
            FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::WildcardWithOptions(_) => true,
            FunctionArgExpr::Expr(_) => false,
        }
    });
    name == "columns" || stars
}

/// Why some part of the query may read all columns of a CTE, and so an added one too.
pub(super) fn reads_whole_rows(query: &Query, dialect: Dialect) -> Option<String> {
    let mut relations = Relations {
        dialect,
        names: BTreeSet::new(),
    };
    // The visitor never breaks.
    let _: ControlFlow<()> = query.visit(&mut relations);
    let mut rows = WholeRows {
        relations: relations.names,
    };
    match query.visit(&mut rows) {
        ControlFlow::Break(reason) => Some(format!(
            "a column was added inside of the query, and {reason}"
        )),
        ControlFlow::Continue(()) => None,
    }
}

/// Every name that binds a relation somewhere in the query.
struct Relations {
    dialect: Dialect,
    names: BTreeSet<String>,
}

impl Visitor for Relations {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let Some(alias) = columns::alias_of(factor) {
            self.names.insert(alias.name.value.to_ascii_lowercase());
        } else if let TableFactor::Table { name, .. } = factor {
            let last = fold::fold_parts(self.dialect, name).and_then(|mut parts| parts.pop());
            self.names
                .extend(last.map(|last| last.to_ascii_lowercase()));
        }
        ControlFlow::Continue(())
    }
}

struct WholeRows {
    relations: BTreeSet<String>,
}

impl Visitor for WholeRows {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        if let Some(with) = &query.with {
            if with.recursive {
                return ControlFlow::Break("the query is recursive");
            }
            if with
                .cte_tables
                .iter()
                .any(|cte| !cte.alias.columns.is_empty())
            {
                return ControlFlow::Break("a CTE names its columns by position");
            }
        }
        if by_name(&query.body) {
            return ControlFlow::Break("a set operation goes BY NAME");
        }
        if !query.pipe_operators.is_empty() {
            return ControlFlow::Break("pipe operators read all columns");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<&'static str> {
        let stars = select.projection.iter().any(|item| {
            matches!(
                item,
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
            )
        });
        if stars || select.flavor == SelectFlavor::FromFirstNoSelect {
            return ControlFlow::Break("a `*` whose columns are unknown may read it");
        }
        let natural = any_join(select, |join| {
            matches!(
                constraint(&join.join_operator),
                Some(JoinConstraint::Natural)
            )
        });
        if natural {
            return ControlFlow::Break("a NATURAL JOIN matches columns by name");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<&'static str> {
        match factor {
            TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::SemanticView { .. } => {
                return ControlFlow::Break("a relation is built from all columns of another");
            }
            _ => {}
        }
        match columns::alias_of(factor) {
            Some(alias) if !alias.columns.is_empty() && reads_table(factor) => {
                ControlFlow::Break("an alias names columns by position")
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<&'static str> {
        let whole = match expr {
            Expr::Identifier(ident) => self.relations.contains(&ident.value.to_ascii_lowercase()),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => true,
            Expr::Function(function) => reads_all_columns(function),
            _ => false,
        };
        if whole {
            return ControlFlow::Break("a whole row is read as a value");
        }
        ControlFlow::Continue(())
    }
}

fn reads_table(factor: &TableFactor) -> bool {
    matches!(
        factor,
        TableFactor::Table { args: None, .. } | TableFactor::NestedJoin { .. }
    )
}

/// Whether a set operation matches columns by name.
pub(super) fn by_name(body: &SetExpr) -> bool {
    match body {
        SetExpr::SetOperation {
            set_quantifier,
            left,
            right,
            ..
        } => {
            let named = match set_quantifier {
                SetQuantifier::ByName
                | SetQuantifier::AllByName
                | SetQuantifier::DistinctByName => true,
                SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None => false,
            };
            named || by_name(left) || by_name(right)
        }
        SetExpr::Select(_)
        | SetExpr::Query(_)
        | SetExpr::Values(_)
        | SetExpr::Insert(_)
        | SetExpr::Update(_)
        | SetExpr::Delete(_)
        | SetExpr::Merge(_)
        | SetExpr::Table(_) => false,
    }
}
