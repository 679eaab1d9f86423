//! The keys of GROUP BY, DISTINCT ON and ORDER BY: expressions, aliases, numbers of columns.

use sqlparser::ast::Expr;
use sqlparser::ast::GroupByExpr;
use sqlparser::ast::GroupByWithModifier;
use sqlparser::ast::OrderBy;
use sqlparser::ast::OrderByExpr;
use sqlparser::ast::OrderByKind;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;
use sqlparser::ast::Value;

use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::expr::direction;
use crate::sql::meaning::lowering::Lowering;
use crate::sql::meaning::lowering::Stop;
use crate::sql::meaning::lowering::stop;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::scope::Alias;
use crate::sql::meaning::scope::Clause;
use crate::sql::meaning::select::is_columns;

/// The keys of a GROUP BY.
pub(super) struct Groups {
    pub(super) node: Node,
    pub(super) keys: Vec<Scalar>,
    /// Whether the keys tell the groups apart: not with ROLLUP and its like.
    pub(super) plain: bool,
}

impl<'q> Lowering<'_, 'q> {
    pub(super) fn groups(&mut self, select: &'q Select) -> Result<Option<Groups>, Stop> {
        let GroupByExpr::Expressions(exprs, _) = &select.group_by else {
            return Ok(None);
        };
        let mut groups = Groups {
            node: self.modifiers(&select.group_by)?,
            keys: Vec::new(),
            plain: true,
        };
        if !matches!(&select.group_by, GroupByExpr::Expressions(_, modifiers) if modifiers.is_empty())
        {
            groups.plain = false;
        }
        if exprs.is_empty() && groups.plain {
            return Ok(None);
        }
        let mut spellings: Vec<(Digest, String)> = Vec::new();
        for expr in exprs {
            let sets = match expr {
                Expr::Rollup(sets) => Some(("rollup", sets)),
                Expr::Cube(sets) => Some(("cube", sets)),
                Expr::GroupingSets(sets) => Some(("grouping sets", sets)),
                _ => None,
            };
            match sets {
                Some((tag, sets)) => {
                    groups.plain = false;
                    let mut node = Node::new(tag);
                    for set in sets {
                        let mut digests = Vec::new();
                        for expr in set {
                            let key = self.key(expr, select)?;
                            spellings.push((key.digest, expr.to_string()));
                            digests.push(key.digest);
                            groups.keys.push(key);
                        }
                        node = node.digests(digests);
                    }
                    groups.node = groups.node.digest(node.finish());
                }
                None => match expr {
                    Expr::Tuple(parts) => {
                        for part in parts {
                            let key = self.key(part, select)?;
                            spellings.push((key.digest, part.to_string()));
                            groups.keys.push(key);
                        }
                    }
                    expr => {
                        let key = self.key(expr, select)?;
                        spellings.push((key.digest, expr.to_string()));
                        groups.keys.push(key);
                    }
                },
            }
        }
        spellings.sort_unstable();
        spellings.dedup();
        let twice = spellings.windows(2).find(|pair| pair[0].0 == pair[1].0);
        if let (false, Some([(_, one), (_, other)])) = (groups.plain, twice) {
            // DuckDB takes them for two keys, each with NULLs of its own.
            return stop(format!("one key is written `{one}` and `{other}`"));
        }
        Ok(Some(groups))
    }

    pub(super) fn modifiers(&mut self, group_by: &'q GroupByExpr) -> Result<Node, Stop> {
        let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = group_by;
        let mut node = Node::new("plain");
        for modifier in modifiers {
            node = match modifier {
                GroupByWithModifier::Rollup => node.text("rollup"),
                GroupByWithModifier::Cube => node.text("cube"),
                GroupByWithModifier::Totals => node.text("totals"),
                GroupByWithModifier::GroupingSets(_) => {
                    return stop("grouping sets behind GROUP BY are not understood");
                }
            };
        }
        Ok(node)
    }

    /// A key of GROUP BY: an expression, or the number of an item.
    fn key(&mut self, expr: &'q Expr, select: &'q Select) -> Result<Scalar, Stop> {
        match ordinal(expr) {
            Some(number) => self.counted_item(number, select),
            None => self.expr(expr),
        }
    }

    fn counted_item(&mut self, number: usize, select: &'q Select) -> Result<Scalar, Stop> {
        let items = &select.projection;
        let Some(last) = number.checked_sub(1).filter(|place| *place < items.len()) else {
            return stop("a number counts columns of a star");
        };
        let has_star = items[..=last].iter().any(|item| {
            matches!(
                item,
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
            ) || matches!(item, SelectItem::UnnamedExpr(expr) if is_columns(expr))
        });
        if has_star {
            return stop("a number counts columns of a star");
        }
        match &items[last] {
            SelectItem::UnnamedExpr(expr) => self.expr(expr),
            SelectItem::ExprWithAlias { expr, alias } => {
                let name = self.name(alias);
                let level = self.frames.len() - 1;
                let place = self.frames[level]
                    .aliases
                    .iter()
                    .position(|(known, _)| *known == name);
                let before = place.map(|at| {
                    std::mem::replace(&mut self.frames[level].aliases[at].1, Alias::Busy)
                });
                let value = self.expr(expr);
                if let (Some(at), Some(before)) = (place, before) {
                    self.frames[level].aliases[at].1 = before;
                }
                value
            }
            _ => stop("a number counts columns of a star"),
        }
    }

    pub(super) fn distinct_on(
        &mut self,
        on: &'q [Expr],
        select: &'q Select,
    ) -> Result<Vec<Scalar>, Stop> {
        on.iter().map(|expr| self.key(expr, select)).collect()
    }

    /// The keys of an ORDER BY that sees the SELECT of the frame on top, or only output columns.
    pub(super) fn order(
        &mut self,
        order: &'q OrderBy,
        select: Option<&'q Select>,
        columns: &Columns,
        inside: &[(Digest, Digest)],
    ) -> Result<Vec<(Scalar, Digest)>, Stop> {
        if order.interpolate.is_some() {
            return stop("INTERPOLATE is not understood");
        }
        self.set_clause(Clause::Either);
        let exprs = match &order.kind {
            OrderByKind::Expressions(exprs) => exprs,
            OrderByKind::All(options) => {
                let direction = direction(options);
                let parts = match self.fields(columns) {
                    Some(fields) => fields.iter().map(|field| field.value.clone()).collect(),
                    None => vec![self.whole(columns)],
                };
                return Ok(parts.into_iter().map(|part| (part, direction)).collect());
            }
        };
        let mut keys = Vec::new();
        for key in exprs {
            if key.with_fill.is_some() {
                return stop("WITH FILL is not understood");
            }
            let value = self.order_key(key, select, columns, inside)?;
            keys.push((value, direction(&key.options)));
        }
        Ok(keys)
    }

    fn order_key(
        &mut self,
        key: &'q OrderByExpr,
        select: Option<&'q Select>,
        columns: &Columns,
        inside: &[(Digest, Digest)],
    ) -> Result<Scalar, Stop> {
        if let Some(number) = ordinal(&key.expr) {
            let fields = self.fields(columns);
            let Some(field) = fields
                .as_ref()
                .and_then(|fields| fields.get(number.wrapping_sub(1)))
            else {
                return stop("a number counts columns that are not known");
            };
            let mut value = field.value.clone();
            if let Some((before, _)) = inside.iter().find(|(_, after)| *after == value.digest) {
                value.digest = *before;
            }
            return Ok(value);
        }
        // A bare name is an alias first.
        if let (Expr::Identifier(ident), Some(_)) = (&key.expr, select) {
            let name = self.name(ident);
            let level = self.frames.len() - 1;
            if let Some(value) = self.alias(level, &name)? {
                return Ok(value);
            }
        }
        self.expr(&key.expr)
    }
}

/// The number of an output column.
fn ordinal(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}
