//! One SELECT.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::Distinct;
use sqlparser::ast::Expr;
use sqlparser::ast::Function;
use sqlparser::ast::FunctionArguments;
use sqlparser::ast::GroupByExpr;
use sqlparser::ast::Ident;
use sqlparser::ast::NamedWindowExpr;
use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;
use sqlparser::ast::Value;
use sqlparser::ast::WindowSpec;
use sqlparser::ast::WindowType;
use sqlparser::ast::visit_expressions;

use crate::sql::fold;
use crate::sql::meaning::functions::Family;
use crate::sql::meaning::functions::family;
use crate::sql::slices::facts::Facts;
use crate::sql::slices::facts::conjuncts;
use crate::sql::slices::frame::Frame;
use crate::sql::slices::graph::Column;
use crate::sql::slices::graph::Fact;
use crate::sql::slices::graph::Joined;
use crate::sql::slices::query::Reader;
use crate::sql::slices::relation::Relation;

/// Columns that all rows of something have in common; `None` means all columns: each row is by itself.
type Shared = Option<BTreeSet<Column>>;

fn both(one: Shared, other: Shared) -> Shared {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.intersection(&other).copied().collect()),
        (one, other) => one.or(other),
    }
}

impl Reader<'_> {
    pub(super) fn select(&mut self, select: &Select) -> Relation {
        let aliases = select.projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(fold::fold_ident(self.dialect, alias)),
            _ => None,
        });
        let frame = Frame {
            aliases: aliases.collect(),
            ..Frame::default()
        };
        self.frames.push(frame);
        for item in &select.from {
            self.item(item, true);
        }
        for view in &select.lateral_views {
            self.subqueries(&view.lateral_view);
            self.bind(Vec::new(), &Relation::unknown());
        }
        if !select.connect_by.is_empty() {
            self.subqueries(&select.connect_by);
            self.frame().is_broken = true;
        }
        for condition in select.prewhere.iter().chain(&select.selection) {
            self.filter(condition);
        }
        self.subqueries(&select.projection);
        self.subqueries(&select.distinct);
        self.subqueries(&select.group_by);
        self.subqueries(&select.having);
        self.subqueries(&select.qualify);
        self.subqueries(&select.named_window);
        let output = self.output(select);
        let mut keys = output.plain();
        let is_passed_on = match select.projection.as_slice() {
            [SelectItem::Wildcard(_)] => self.frame().bindings.len() == 1,
            _ => false,
        };
        let any_column = is_passed_on && self.frame().bindings[0].any_column;
        let is_open = self.frame().is_open();
        let mut shared = None;
        if is_open {
            shared = self.groups(select);
            self.after(&select.having, shared.as_ref());
            shared = both(shared, self.windows(select));
            self.after(&select.qualify, shared.as_ref());
            shared = both(shared, self.distinct(select));
        }
        if let Some(shared) = &shared {
            keys.retain(|key| shared.contains(key));
        }
        let frame = self.frames.pop().expect("it was pushed");
        let mut relation = frame.result(output, &keys);
        relation.any_column = any_column && shared.is_none();
        relation
    }

    /// A condition that rows must meet.
    fn filter(&mut self, condition: &Expr) {
        for condition in conjuncts(condition) {
            for fact in self.facts(condition) {
                self.frame().graph.add(fact, Joined::Sure);
            }
            match condition {
                Expr::InSubquery {
                    expr,
                    subquery,
                    negated: false,
                } => self.member(expr, subquery),
                other => self.subqueries(other),
            }
        }
    }

    /// `expr IN (subquery)`: a join with the rows that are the same.
    fn member(&mut self, expr: &Expr, subquery: &Query) {
        self.subqueries(expr);
        let relation = self.query(subquery);
        self.bind(Vec::new(), &relation);
        self.hide_last();
        let values = match expr {
            Expr::Tuple(values) => values.iter().collect(),
            Expr::Nested(inner) => vec![&**inner],
            other => vec![other],
        };
        let binding = self.frame().bindings.last().expect("one was added");
        if !binding.ordered || binding.columns.len() != values.len() {
            return;
        }
        let columns: Vec<Column> = binding.columns.iter().map(|(_, column)| *column).collect();
        for (value, column) in values.into_iter().zip(columns) {
            if let Some(value) = self.plain_column(value) {
                let fact = Fact::Equal(value.min(column), value.max(column));
                self.frame().graph.add(fact, Joined::Sure);
            }
        }
    }

    /// Conditions on what was made of rows that have `shared` in common: as far as they are about these columns, it is
    /// as if they stood in WHERE.
    fn after(&mut self, condition: &Option<Expr>, shared: Option<&BTreeSet<Column>>) {
        let Some(condition) = condition else { return };
        if self.names_alias(condition) {
            return;
        }
        let facts: Facts = self.facts(condition);
        for fact in facts {
            let is_shared = |column| shared.is_none_or(|shared| shared.contains(&column));
            if fact.columns().all(is_shared) {
                self.frame().graph.add(fact, Joined::Sure);
            }
        }
    }

    /// Whether a word in it may be one that SELECT gives a meaning.
    fn names_alias(&mut self, tree: &Expr) -> bool {
        let dialect = self.dialect;
        let aliases = self.frame().aliases.clone();
        crate::sql::walk::any_expression(tree, |expr| match expr {
            Expr::Identifier(ident) => aliases.contains(&fold::fold_ident(dialect, ident)),
            _ => false,
        })
    }

    /// What the rows of a group have in common; `None` where no groups are made.
    fn groups(&mut self, select: &Select) -> Shared {
        let (exprs, all) = match &select.group_by {
            GroupByExpr::All(_) => (&[][..], true),
            GroupByExpr::Expressions(exprs, _) => (exprs.as_slice(), false),
        };
        if all {
            let mut shared = BTreeSet::new();
            for item in &select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                {
                    shared.extend(self.plain_column(expr));
                }
            }
            return Some(shared);
        }
        if exprs.is_empty() {
            let dialect = self.dialect;
            let mixes =
                |function: &Function| function.over.is_none() && !is_by_row(function, dialect);
            let is_one = has_function(&select.projection, mixes)
                || has_function(&select.having, mixes)
                || select.having.is_some();
            return is_one.then(BTreeSet::new);
        }
        let mut shared = BTreeSet::new();
        for expr in exprs {
            let expr = self.selected(expr, select).unwrap_or(expr);
            shared.extend(self.plain_column(expr));
        }
        Some(shared)
    }

    /// The item of SELECT that a number or a name in GROUP BY means; `None` if it means what it says.
    fn selected<'s>(&mut self, expr: &Expr, select: &'s Select) -> Option<&'s Expr> {
        match expr {
            Expr::Value(value) => {
                let Value::Number(number, _) = &value.value else {
                    return None;
                };
                let place: usize = number.to_string().parse().ok()?;
                let before = select.projection.get(..place)?;
                match before.last()? {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                        let is_one = |item: &SelectItem| {
                            matches!(
                                item,
                                SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
                            )
                        };
                        before.iter().all(is_one).then_some(expr)
                    }
                    _ => None,
                }
            }
            Expr::Identifier(ident) => {
                let name = fold::fold_ident(self.dialect, ident);
                // A column comes before a name that SELECT gives.
                if self.frames.iter().any(|frame| frame.may_have(&name)) {
                    return None;
                }
                select.projection.iter().find_map(|item| match item {
                    SelectItem::ExprWithAlias { expr, alias }
                        if fold::fold_ident(self.dialect, alias) == name =>
                    {
                        Some(expr)
                    }
                    _ => None,
                })
            }
            _ => None,
        }
    }

    /// What the rows that any window looks at have in common; `None` where there are none.
    fn windows(&mut self, select: &Select) -> Shared {
        let mut windows: Vec<Vec<Expr>> = Vec::new();
        let mut collect = |function: &Function| {
            if let Some(over) = &function.over {
                windows.push(match over {
                    WindowType::WindowSpec(spec) => partition(spec, select),
                    WindowType::NamedWindow(name) => named_partition(name, select, 0),
                });
            }
            false
        };
        has_function(&select.projection, &mut collect);
        has_function(&select.qualify, &mut collect);
        let mut shared = None;
        for window in windows {
            let columns = window.iter().filter_map(|expr| self.plain_column(expr));
            shared = both(shared, Some(columns.collect()));
        }
        shared
    }

    /// What rows of which one is taken have in common; `None` where rows that are the same are one.
    fn distinct(&mut self, select: &Select) -> Shared {
        if select.top.is_some() || select.select_modifiers.is_some() {
            return Some(BTreeSet::new());
        }
        match &select.distinct {
            Some(Distinct::On(exprs)) => {
                let mut shared = BTreeSet::new();
                for expr in exprs {
                    let expr = self.selected(expr, select).unwrap_or(expr);
                    shared.extend(self.plain_column(expr));
                }
                Some(shared)
            }
            Some(Distinct::Distinct | Distinct::All) | None => None,
        }
    }
}

/// Whether the function gives a value, or several, for each row.
fn is_by_row(function: &Function, dialect: crate::sql::Dialect) -> bool {
    let count = match &function.args {
        FunctionArguments::List(list) => list.args.len(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => 0,
    };
    let name = function.name.to_string().to_ascii_lowercase();
    matches!(
        family(&name, dialect, count),
        Family::Scalar | Family::Volatile | Family::Rows
    )
}

/// Whether `wanted` holds for some call; those of subqueries count, too.
fn has_function<V: sqlparser::ast::Visit>(
    tree: &V,
    mut wanted: impl FnMut(&Function) -> bool,
) -> bool {
    visit_expressions(tree, |expr| match expr {
        Expr::Function(function) if wanted(function) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

fn partition(spec: &WindowSpec, select: &Select) -> Vec<Expr> {
    let mut all = spec.partition_by.clone();
    if let Some(base) = &spec.window_name {
        all.extend(named_partition(base, select, 0));
    }
    all
}

fn named_partition(name: &Ident, select: &Select, depth: usize) -> Vec<Expr> {
    let mut windows = select.named_window.iter();
    let same = |known: &Ident| known.value.eq_ignore_ascii_case(&name.value);
    match windows.find(|window| same(&window.0)) {
        Some(window) if depth < 8 => match &window.1 {
            NamedWindowExpr::NamedWindow(base) => named_partition(base, select, depth + 1),
            NamedWindowExpr::WindowSpec(spec) => partition(spec, select),
        },
        _ => Vec::new(),
    }
}
