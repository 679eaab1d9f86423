//! Visits every part of a query, outside in, so that an edit can pick one.

use crate::tree::Body;
use crate::tree::Distinct;
use crate::tree::Expr;
use crate::tree::Group;
use crate::tree::Item;
use crate::tree::On;
use crate::tree::Order;
use crate::tree::Over;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::tree::Window;

/// What to do at each part, before its own parts are visited.
pub(crate) trait Visit {
    fn query(&mut self, _: &mut Query) {}
    fn select(&mut self, _: &mut Select) {}
    fn relation(&mut self, _: &mut Relation) {}
    fn expr(&mut self, _: &mut Expr) {}
}

pub(crate) fn walk(query: &mut Query, visit: &mut dyn Visit) {
    visit.query(query);
    for cte in &mut query.ctes {
        walk(&mut cte.query, visit);
    }
    match &mut query.body {
        Body::Select(select) => walk_select(select, visit),
        Body::Set { left, right, .. } => {
            walk(left, visit);
            walk(right, visit);
        }
        Body::Values(rows) => {
            for expr in rows.iter_mut().flatten() {
                walk_expr(expr, visit);
            }
        }
    }
    walk_order(&mut query.order, visit);
}

fn walk_select(select: &mut Select, visit: &mut dyn Visit) {
    visit.select(select);
    if let Distinct::On(keys) = &mut select.distinct {
        walk_all(keys, visit);
    }
    for item in &mut select.items {
        match item {
            Item::Expr { expr, .. } => walk_expr(expr, visit),
            Item::Star { replace, .. } => {
                for (expr, _) in replace {
                    walk_expr(expr, visit);
                }
            }
            Item::Columns(_) => {}
        }
    }
    for source in &mut select.from {
        walk_relation(&mut source.relation, visit);
        for join in &mut source.joins {
            walk_relation(&mut join.relation, visit);
            if let On::All(conditions) = &mut join.on {
                walk_all(conditions, visit);
            }
        }
    }
    walk_all(&mut select.filter, visit);
    match &mut select.group {
        Group::No | Group::All => {}
        Group::By(keys) | Group::Rollup(keys) | Group::Cube(keys) => walk_all(keys, visit),
        Group::Sets(sets) => {
            for keys in sets {
                walk_all(keys, visit);
            }
        }
    }
    walk_all(&mut select.having, visit);
    for (_, window) in &mut select.windows {
        walk_window(window, visit);
    }
    walk_all(&mut select.qualify, visit);
}

fn walk_relation(relation: &mut Relation, visit: &mut dyn Visit) {
    visit.relation(relation);
    match relation {
        Relation::Table { .. } => {}
        Relation::Sub { query, .. } => walk(query, visit),
        Relation::Function { call, .. } => walk_expr(call, visit),
        Relation::Pivot {
            input, aggregate, ..
        } => {
            walk(input, visit);
            walk_expr(aggregate, visit);
        }
        Relation::Unpivot { input, .. } => walk(input, visit),
    }
}

fn walk_all(exprs: &mut [Expr], visit: &mut dyn Visit) {
    for expr in exprs {
        walk_expr(expr, visit);
    }
}

fn walk_order(order: &mut [Order], visit: &mut dyn Visit) {
    for key in order {
        walk_expr(&mut key.expr, visit);
    }
}

fn walk_window(window: &mut Window, visit: &mut dyn Visit) {
    walk_all(&mut window.partition, visit);
    walk_order(&mut window.order, visit);
}

/// Visits an expression and everything below it, queries included.
pub(crate) fn walk_expr(expr: &mut Expr, visit: &mut dyn Visit) {
    visit.expr(expr);
    match expr {
        Expr::Column { .. } | Expr::Literal(_) | Expr::Variable(_) => {}
        Expr::Binary { left, right, .. } => {
            walk_expr(left, visit);
            walk_expr(right, visit);
        }
        Expr::Not(expr)
        | Expr::IsNull { expr, .. }
        | Expr::Cast { expr, .. }
        | Expr::Field(expr, _) => walk_expr(expr, visit),
        Expr::Call(call) => {
            walk_all(&mut call.arguments, visit);
            walk_order(&mut call.order, visit);
            if let Some(filter) = &mut call.filter {
                walk_expr(filter, visit);
            }
            if let Some(Over::Window(window)) = &mut call.over {
                walk_window(window, visit);
            }
        }
        Expr::Case {
            branches,
            otherwise,
        } => {
            for (when, then) in branches {
                walk_expr(when, visit);
                walk_expr(then, visit);
            }
            if let Some(otherwise) = otherwise {
                walk_expr(otherwise, visit);
            }
        }
        Expr::Between { expr, low, high } => {
            walk_expr(expr, visit);
            walk_expr(low, visit);
            walk_expr(high, visit);
        }
        Expr::In { expr, list, .. } => {
            walk_expr(expr, visit);
            walk_all(list, visit);
        }
        Expr::InQuery { expr, query, .. } => {
            walk_expr(expr, visit);
            walk(query, visit);
        }
        Expr::Exists { query, .. } | Expr::Scalar(query) => walk(query, visit),
        Expr::Index(expr, index) => {
            walk_expr(expr, visit);
            walk_expr(index, visit);
        }
        Expr::List(items) => walk_all(items, visit),
        Expr::Struct(fields) => {
            for (_, expr) in fields {
                walk_expr(expr, visit);
            }
        }
    }
}

/// Which part of a query an edit changes: the first `skip` that fit are passed by.
struct Nth<'a, T> {
    skip: usize,
    found: usize,
    done: bool,
    edit: &'a mut dyn FnMut(&mut T) -> bool,
}

impl<T> Nth<'_, T> {
    /// `edit` says whether the part fits; a dry run counts, on a copy.
    fn offer(&mut self, part: &mut T)
    where
        T: Clone,
    {
        if self.done {
            return;
        }
        let mut copy = part.clone();
        if (self.edit)(&mut copy) {
            if self.found == self.skip {
                *part = copy;
                self.done = true;
            }
            self.found += 1;
        }
    }
}

macro_rules! nth {
    ($name:ident, $type:ty, $method:ident) => {
        /// Applies `edit` to one part that it fits, by chance; false if it fits none. `edit` says whether it fits.
        pub(crate) fn $name(
            query: &mut Query,
            random: &mut crate::random::Random,
            edit: &mut dyn FnMut(&mut $type, &mut crate::random::Random) -> bool,
        ) -> bool {
            struct Adapter<'a>(Nth<'a, $type>);
            impl Visit for Adapter<'_> {
                fn $method(&mut self, part: &mut $type) {
                    self.0.offer(part);
                }
            }
            let mut run = |query: &mut Query, skip: usize, random: &mut crate::random::Random| {
                let mut apply = |part: &mut $type| edit(part, random);
                let mut adapter = Adapter(Nth {
                    skip,
                    found: 0,
                    done: false,
                    edit: &mut apply,
                });
                walk(query, &mut adapter);
                adapter.0.found
            };
            let count = run(&mut query.clone(), usize::MAX, random);
            if count == 0 {
                return false;
            }
            let skip = random.below(count);
            run(query, skip, random) > skip
        }
    };
}

nth!(edit_query, Query, query);
nth!(edit_select, Select, select);
nth!(edit_expr, Expr, expr);

/// Calls `see` with every expression of the query.
pub(crate) fn each_expr(query: &Query, see: &mut dyn FnMut(&Expr)) {
    struct Exprs<'a>(&'a mut dyn FnMut(&Expr));
    impl Visit for Exprs<'_> {
        fn expr(&mut self, expr: &mut Expr) {
            (self.0)(expr);
        }
    }
    walk(&mut query.clone(), &mut Exprs(see));
}
