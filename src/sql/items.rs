//! Whether an item of a SELECT gives exactly one value for each row that is there without it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::BinaryOperator;
use sqlparser::ast::Expr;
use sqlparser::ast::Function;
use sqlparser::ast::GroupByExpr;
use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;
use sqlparser::ast::TableFactor;
use sqlparser::ast::TableWithJoins;
use sqlparser::ast::Visit;
use sqlparser::ast::Visitor;

use crate::sql::Dialect;
use crate::sql::columns;
use crate::sql::columns::Ctes;
use crate::sql::columns::Resolver;
use crate::sql::functions;
use crate::sql::walk;

/// Checks an item that `select` (its old version) gains; the error ends a sentence.
pub(super) fn check(
    item: &SelectItem,
    select: &Select,
    resolver: Resolver<'_>,
    ctes: &Ctes,
) -> Result<(), String> {
    let expr = match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
        SelectItem::ExprWithAliases { .. }
        | SelectItem::Wildcard(_)
        | SelectItem::QualifiedWildcard(..) => {
            return Err("it stands for several columns".to_owned());
        }
    };
    let mut checker = Checker {
        aggregates: aggregates(select),
        resolver,
        ctes,
        depth: 0,
        inner: Vec::new(),
    };
    match expr.visit(&mut checker) {
        ControlFlow::Break(reason) => Err(reason),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Whether the SELECT gives one row per group already.
pub(super) fn aggregates(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, modifiers) => {
            !expressions.is_empty() || !modifiers.is_empty()
        }
    };
    grouped || select.having.is_some() || select.projection.iter().any(has_aggregate)
}

/// Whether an aggregate that belongs to the item's own SELECT stands in it.
fn has_aggregate(item: &SelectItem) -> bool {
    struct Aggregates {
        depth: usize,
    }
    impl Visitor for Aggregates {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function)
                    if self.depth == 0
                        && function.over.is_none()
                        && functions::is_aggregate(&columns::function_name(function)) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    item.visit(&mut Aggregates { depth: 0 }).is_break()
}

struct Checker<'a> {
    /// The SELECT aggregates already.
    aggregates: bool,
    resolver: Resolver<'a>,
    ctes: &'a Ctes,
    /// How many subqueries are open.
    depth: usize,
    /// What each SELECT inside of the item binds.
    inner: Vec<Inner>,
}

#[derive(Default)]
struct Inner {
    relations: BTreeSet<String>,
    columns: BTreeSet<String>,
}

impl Checker<'_> {
    fn function(&self, function: &Function) -> Result<(), String> {
        let name = columns::function_name(function);
        // A window function gives a value for each row.
        if function.over.is_some() {
            return Ok(());
        }
        let qualified = function.name.0.len() > 1;
        let scalar = functions::is_scalar(&name)
            || (self.resolver.dialect == Dialect::DuckDb && functions::is_list_in_duckdb(&name));
        if !qualified && scalar && plain(function) {
            return Ok(());
        }
        if self.depth == 0 {
            if qualified || !functions::is_aggregate(&name) {
                return Err(format!(
                    "`{name}` is not known to give one value for each row"
                ));
            }
            if !self.aggregates {
                return Err(format!(
                    "`{name}` is the first aggregate, so all rows become one"
                ));
            }
            return Ok(());
        }
        // A subquery as a value gives one row, whatever its functions do; but an aggregate over
        // outer columns alone belongs to the outer SELECT.
        if self.aggregates || self.reads_inner_column(function) {
            return Ok(());
        }
        Err(format!(
            "`{name}` in a subquery may aggregate the rows around the subquery"
        ))
    }

    fn reads_inner_column(&self, function: &Function) -> bool {
        let reads_any = walk::any_expression(&function.args, |expr| {
            matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        });
        let bound = walk::any_expression(&function.args, |expr| match expr {
            Expr::Identifier(ident) => self
                .inner
                .iter()
                .any(|inner| inner.columns.contains(&ident.value)),
            Expr::CompoundIdentifier(parts) => parts.first().is_some_and(|first| {
                self.inner
                    .iter()
                    .any(|inner| inner.relations.contains(&first.value))
            }),
            _ => false,
        });
        bound || (!reads_any && functions::is_aggregate(&columns::function_name(function)))
    }

    fn bind(&self, item: &TableWithJoins, inner: &mut Inner) {
        let joined = item.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&item.relation).chain(joined) {
            if let TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } = factor
            {
                self.bind(table_with_joins, inner);
                continue;
            }
            if let Some(alias) = columns::alias_of(factor) {
                inner.relations.insert(alias.name.value.clone());
                let names = alias.columns.iter().map(|column| column.name.value.clone());
                inner.columns.extend(names);
            } else if let TableFactor::Table { name, .. } = factor {
                let last = name.0.last().and_then(|part| part.as_ident());
                inner
                    .relations
                    .extend(last.map(|ident| ident.value.clone()));
            }
            let known = self.resolver.factor(factor, self.ctes).unwrap_or_default();
            inner
                .columns
                .extend(known.into_iter().map(|column| column.name));
        }
    }
}

/// Whether a call has none of the clauses that only aggregates and window functions have.
fn plain(function: &Function) -> bool {
    function.filter.is_none() && function.within_group.is_empty()
}

impl Visitor for Checker<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.depth += 1;
        // The names above would have to be looked up in these too.
        if query.with.is_some() && !self.aggregates {
            return ControlFlow::Break("a subquery in it has CTEs of its own".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<String> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        let mut inner = Inner::default();
        for item in &select.from {
            self.bind(item, &mut inner);
        }
        self.inner.push(inner);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<String> {
        self.inner.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::Function(function) => match self.function(function) {
                Ok(()) => ControlFlow::Continue(()),
                Err(reason) => ControlFlow::Break(reason),
            },
            // Its function may be anything.
            Expr::BinaryOp {
                op: BinaryOperator::PGCustomBinaryOperator(_) | BinaryOperator::Custom(_),
                ..
            } => ControlFlow::Break("an operator in it is not known".to_owned()),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                ControlFlow::Break("a `*` stands in it".to_owned())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
