//! One SELECT.

use std::rc::Rc;

use sqlparser::ast::Distinct;
use sqlparser::ast::Expr;
use sqlparser::ast::FunctionArg;
use sqlparser::ast::FunctionArgExpr;
use sqlparser::ast::FunctionArguments;
use sqlparser::ast::GroupByExpr;
use sqlparser::ast::LateralView;
use sqlparser::ast::OrderBy;
use sqlparser::ast::Select;
use sqlparser::ast::SelectFlavor;
use sqlparser::ast::SelectItem;

use crate::sql::Dialect;
use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::from::From;
use crate::sql::meaning::lowering::Lowering;
use crate::sql::meaning::lowering::Stop;
use crate::sql::meaning::lowering::settled;
use crate::sql::meaning::lowering::stop;
use crate::sql::meaning::lowering::substituted;
use crate::sql::meaning::part::Rows;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Field;
use crate::sql::meaning::relation::Relation;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::rewrites;
use crate::sql::meaning::scope::Alias;
use crate::sql::meaning::scope::Binding;
use crate::sql::meaning::scope::Clause;
use crate::sql::meaning::scope::Frame;
use crate::sql::meaning::star;
use crate::sql::meaning::star::Given;
use crate::sql::meaning::step::Items;
use crate::sql::meaning::step::Step;
use crate::sql::names;
use crate::sql::types;
use crate::sql::walk;

/// A SELECT with the keys of the ORDER BY around it.
pub(super) struct Selected {
    pub(super) relation: Relation,
    pub(super) order: Vec<(Scalar, Digest)>,
}

impl<'q> Lowering<'_, 'q> {
    /// `select`, with the ORDER BY that stands behind it, if it sees its columns.
    pub(super) fn select(
        &mut self,
        select: &'q Select,
        order: Option<&'q OrderBy>,
    ) -> Result<Selected, Stop> {
        if self.frames.len() >= 60 {
            return stop("queries are nested too deep");
        }
        self.frames.push(Frame::new());
        self.selects.push(Some(select));
        let selected = self.select_in_frame(select, order);
        self.frames.pop();
        self.selects.pop();
        selected
    }

    /// The clauses in the order in which they work on the rows. The filters of HAVING stay at the columns' grouped rows only
    /// where these have keys; what GROUP BY ALL or an aggregate without keys groups by is known after the items.
    fn select_in_frame(
        &mut self,
        select: &'q Select,
        order: Option<&'q OrderBy>,
    ) -> Result<Selected, Stop> {
        refuse_unknown_parts(select)?;
        let mut step = self.sources(select)?;
        if let Some(condition) = &select.selection {
            let condition = self.expr(condition)?;
            step.filter(condition);
        }
        let groups = self.groups(select)?;
        let by_all = matches!(select.group_by, GroupByExpr::All(_));
        let was_settled = !step.rows.reads.unstable;
        let has_groups = groups.is_some() || by_all || select.having.is_some();
        if let Some(groups) = groups {
            step.group(groups);
        }
        let having = self.having(select)?;
        let is_keyed = !by_all
            && has_groups
            && !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
        if is_keyed {
            step.keep(&having);
        }
        self.set_clause(Clause::ColumnsFirst);
        self.show_rows(select, &step, &having, by_all);

        let mut items = self.items(select)?;
        let mut qualified = Vec::new();
        if let Some(condition) = &select.qualify {
            self.set_clause(Clause::Either);
            qualified.push(self.expr(condition)?);
        }
        let order = match order {
            Some(order) => self.order(order, Some(select), &items.columns, &items.inside)?,
            None => Vec::new(),
        };
        let aggregates = self.frames.last().is_some_and(|frame| frame.aggregates);
        let grouped = has_groups || items.aggregates || aggregates;
        if by_all {
            let whole = match &items.columns {
                Columns::Listed(_) => None,
                other => Some(self.whole(other)),
            };
            let modifiers = self.modifiers(&select.group_by)?;
            step.group_by_all(&items.keys, whole, &modifiers.finish());
        } else if grouped && !is_keyed {
            step.group_into_one();
        }
        if grouped && (step.certain.is_some() || !was_settled) {
            step.rows.reads.unstable = true;
        }
        if grouped && self.dialect == Dialect::MySql {
            // It lets columns stand that are no keys, and takes the value of any row.
            step.rows.reads.unstable = true;
        }
        if !is_keyed {
            step.keep(&having);
        }
        for condition in qualified {
            step.unsettle();
            step.filter(condition);
        }
        let frame = self.frames.last_mut().expect("a SELECT has a frame");
        step.expand(std::mem::take(&mut frame.expanders));
        step.leave(&items);
        self.distinct(select, &mut step, &mut items, &order)?;
        Ok(step.finish(items, order))
    }

    /// The rows that FROM and the views behind it give; the frame knows which items have aliases.
    fn sources(&mut self, select: &'q Select) -> Result<Step, Stop> {
        let From {
            mut rows, mut keys, ..
        } = self.from(&select.from)?;
        for view in &select.lateral_views {
            rows = self.lateral_view(view, &rows)?;
            keys = Vec::new();
        }
        let frame = self.frames.last_mut().expect("a SELECT has a frame");
        frame.clause = Clause::ColumnsFirst;
        frame.keys.clone_from(&keys);
        for (place, item) in select.projection.iter().enumerate() {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                let name = self.name(alias);
                let frame = self.frames.last_mut().expect("a SELECT has a frame");
                frame.aliases.push((name, Alias::Waiting(place)));
            }
        }
        Ok(Step {
            rows,
            keys,
            certain: None,
        })
    }

    /// The conditions of HAVING.
    fn having(&mut self, select: &'q Select) -> Result<Vec<Scalar>, Stop> {
        let mut having = Vec::new();
        if let Some(condition) = &select.having {
            self.set_clause(Clause::Either);
            let condition = rewrites::condition(self.expr(condition)?);
            having.extend(rewrites::conjuncts(condition));
        }
        Ok(having)
    }

    /// Lets windows and aggregates of the items see the rows that they are over.
    fn show_rows(&mut self, select: &Select, step: &Step, having: &[Scalar], by_all: bool) {
        let texts = by_all.then(|| {
            let items = select.projection.iter();
            items
                .fold(Node::new("items"), |node, item| {
                    node.text(&item.to_string())
                })
                .finish()
        });
        let seen = Node::new("rows")
            .digest(step.rows.digest())
            .digests(having.iter().map(|condition| condition.digest))
            .digests(texts)
            .finish();
        let frame = self.frames.last_mut().expect("a SELECT has a frame");
        frame.rows = Some(seen);
        frame.numbered = Some(step.rows.digest());
        frame.keys.clone_from(&step.keys);
    }

    /// What stands between SELECT and FROM.
    fn items(&mut self, select: &'q Select) -> Result<Items, Stop> {
        let (mut inside, mut keys, mut aggregates) = (Vec::new(), Vec::new(), false);
        let mut given = Vec::new();
        if select.projection.is_empty() || select.flavor == SelectFlavor::FromFirstNoSelect {
            given.push(self.lone_star()?);
        }
        for (place, item) in select.projection.iter().enumerate() {
            let before = std::mem::take(&mut self.frames.last_mut().expect("a frame").aggregates);
            let alone = select.projection.len() == 1;
            given.push(self.item(place, item, alone, &mut inside, &mut keys)?);
            let frame = self.frames.last_mut().expect("a frame");
            if frame.aggregates {
                keys.pop();
                aggregates = true;
            }
            frame.aggregates |= before;
        }
        Ok(Items {
            columns: star::columns(given),
            inside,
            keys,
            aggregates,
        })
    }

    fn distinct(
        &mut self,
        select: &'q Select,
        step: &mut Step,
        items: &mut Items,
        order: &[(Scalar, Digest)],
    ) -> Result<(), Stop> {
        match &select.distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => {
                let parts: Vec<Scalar> = match &items.columns {
                    Columns::Listed(fields) => {
                        fields.iter().map(|field| field.value.clone()).collect()
                    }
                    other => vec![self.whole(other)],
                };
                step.distinct(&parts);
            }
            Some(Distinct::On(on)) => {
                self.set_clause(Clause::Either);
                let on = self.distinct_on(on, select)?;
                step.distinct_on(on, order, items);
            }
        }
        Ok(())
    }

    pub(super) fn set_clause(&mut self, clause: Clause) {
        if let Some(frame) = self.frames.last_mut() {
            frame.clause = clause;
        }
    }

    /// A star that is the only item.
    fn lone_star(&mut self) -> Result<Given, Stop> {
        match self.only_table() {
            Some(table) => Ok(Given::Table(table)),
            None => self.plain_star(),
        }
    }

    fn item(
        &mut self,
        place: usize,
        item: &'q SelectItem,
        alone: bool,
        inside: &mut Vec<(Digest, Digest)>,
        keys: &mut Vec<Scalar>,
    ) -> Result<Given, Stop> {
        let (name, value, expr) = match item {
            SelectItem::UnnamedExpr(expr) => {
                if let Some(given) = self.columns_call(expr)? {
                    return Ok(given);
                }
                (self.expression_name(expr), self.expr(expr)?, expr)
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                if self.columns_call(expr)?.is_some() {
                    return stop("`COLUMNS(…)` has an alias");
                }
                let name = self.name(alias);
                let level = self.frames.len() - 1;
                let is_own = self.frames[level].aliases.iter().any(|(known, alias)| {
                    *known == name && matches!(alias, Alias::Waiting(item) if *item == place)
                });
                // Marks the alias as busy, so that it does not mean itself.
                let value = if is_own {
                    let value = self.own_value(level, &name, expr)?;
                    let done = substituted(value.clone());
                    if let Some((_, alias)) = self.frames[level]
                        .aliases
                        .iter_mut()
                        .find(|(known, _)| *known == name)
                    {
                        *alias = Alias::Done(Rc::new(done));
                    }
                    value
                } else {
                    let hidden = self.frames[level]
                        .aliases
                        .iter()
                        .position(|(known, _)| *known == name);
                    let before = hidden.map(|at| {
                        std::mem::replace(&mut self.frames[level].aliases[at].1, Alias::Busy)
                    });
                    let value = self.expr(expr);
                    if let (Some(at), Some(before)) = (hidden, before) {
                        self.frames[level].aliases[at].1 = before;
                    }
                    value?
                };
                (Some(name), value, expr)
            }
            SelectItem::ExprWithAliases { .. } => {
                return stop("an item of SELECT has several aliases");
            }
            SelectItem::Wildcard(options) => {
                let given = if alone && star::is_plain(options) {
                    self.lone_star()?
                } else {
                    self.star(options)?
                };
                if let Given::Fields(fields) = &given {
                    keys.extend(fields.iter().map(|field| field.value.clone()));
                }
                return Ok(given);
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                let given = self.qualified_star(kind, options)?;
                if let Given::Fields(fields) = &given {
                    keys.extend(fields.iter().map(|field| field.value.clone()));
                }
                return Ok(given);
            }
        };
        keys.push(value.clone());
        // `unnest` of a structure gives a column for each field.
        if value.operand.is_none()
            && self.dialect == Dialect::DuckDb
            && walk::any_expression(expr, |inner| {
                matches!(inner, Expr::Function(function)
                    if function.name.to_string().eq_ignore_ascii_case("unnest"))
            })
        {
            let node = Node::new("unnested").maybe_text(name.as_deref());
            return Ok(Given::Unknown(Scalar::over(node, [&value])));
        }
        let before = value.digest;
        let value = settled(value, self.dialect);
        inside.push((before, value.digest));
        Ok(Given::Fields(vec![Field { name, value }]))
    }

    fn own_value(&mut self, level: usize, name: &str, expr: &'q Expr) -> Result<Scalar, Stop> {
        let place = self.frames[level]
            .aliases
            .iter()
            .position(|(known, _)| known == name)
            .expect("the alias is its own");
        self.frames[level].aliases[place].1 = Alias::Busy;
        self.expr(expr)
    }

    /// `COLUMNS('pattern')` as an item of its own.
    fn columns_call(&mut self, expr: &'q Expr) -> Result<Option<Given>, Stop> {
        let Expr::Function(function) = expr else {
            return Ok(None);
        };
        // What `sql::grammar` makes of `* LIKE 'x'`.
        if function.uses_odbc_syntax && function.name.to_string().starts_with("star_") {
            let node = Node::new("star like").text(&function.to_string());
            let whole = self.everything();
            return Ok(Some(Given::Unknown(Scalar::over(node, [&whole]))));
        }
        if self.dialect != Dialect::DuckDb
            || !function.name.to_string().eq_ignore_ascii_case("columns")
            || function.over.is_some()
            || function.filter.is_some()
        {
            return Ok(None);
        }
        let is_star = matches!(&function.args, FunctionArguments::List(list)
            if matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]));
        if is_star {
            return self.plain_star().map(Some);
        }
        let node = Node::new("columns").text(&function.args.to_string());
        let whole = self.everything();
        Ok(Some(Given::Unknown(Scalar::over(node, [&whole]))))
    }

    /// The name of an item without an alias; `None` when the engine makes one up.
    pub(super) fn expression_name(&self, expr: &Expr) -> Option<String> {
        names::of_item(expr, &|ident| self.name(ident))
    }

    /// `LATERAL VIEW explode(x) v AS a, b`.
    fn lateral_view(&mut self, view: &'q LateralView, rows: &Rows) -> Result<Rows, Stop> {
        let Expr::Function(function) = &view.lateral_view else {
            return stop("a LATERAL VIEW calls no function");
        };
        let FunctionArguments::List(list) = &function.args else {
            return stop("a LATERAL VIEW calls no function");
        };
        let mut parts = Vec::new();
        for argument in &list.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else {
                return stop("a LATERAL VIEW has an argument that is not understood");
            };
            parts.push(self.expr(expr)?);
        }
        let node = Node::new("lateral view")
            .text(&function.name.to_string().to_lowercase())
            .number(usize::from(view.outer));
        let call = Scalar::over(node, &parts);
        let fields = view
            .lateral_col_alias
            .iter()
            .enumerate()
            .map(|(place, alias)| Field {
                name: Some(self.name(alias)),
                value: Scalar::over(Node::new("place").number(place), [&call]),
            });
        let fields: Vec<Field> = fields.collect();
        let columns = if fields.is_empty() {
            Columns::Unknown(Box::new(call.clone()))
        } else {
            Columns::Listed(Rc::new(fields))
        };
        let path = crate::sql::fold::fold_parts(self.dialect, &view.lateral_view_name);
        let places = self.frames.last().map_or(0, |frame| frame.bindings.len());
        if let Some(frame) = self.frames.last_mut() {
            frame.bindings.push(Binding {
                path: path.unwrap_or_default(),
                columns,
                wraps: vec![crate::sql::meaning::scope::Wrap::At(places)],
                hidden: Vec::new(),
            });
        }
        let base = Node::new("lateral rows")
            .digest(rows.digest())
            .digest(call.digest);
        Ok(Rows::new(base.finish(), rows.reads.and(&call.reads)))
    }
}

pub(super) fn is_columns(expr: &Expr) -> bool {
    walk::any_expression(expr, |inner| {
        matches!(inner, Expr::Function(function)
            if function.name.to_string().eq_ignore_ascii_case("columns")
                || function.name.to_string().eq_ignore_ascii_case("unnest"))
    })
}

fn refuse_unknown_parts(select: &Select) -> Result<(), Stop> {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views: _,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor: _,
    } = select;
    let unknown = [
        (select_modifiers.is_some(), "a modifier of SELECT"),
        (top.is_some(), "TOP"),
        (exclude.is_some(), "EXCLUDE behind the items"),
        (into.is_some(), "INTO"),
        (prewhere.is_some(), "PREWHERE"),
        (!connect_by.is_empty(), "CONNECT BY"),
        (
            !cluster_by.is_empty() || !distribute_by.is_empty() || !sort_by.is_empty(),
            "an order of partitions",
        ),
        (value_table_mode.is_some(), "SELECT AS STRUCT or VALUE"),
    ];
    match unknown.iter().find(|(found, _)| *found) {
        Some((_, what)) => stop(format!("{what} is not understood")),
        None => Ok(()),
    }
}

/// The type of a column of a set operation.
pub(super) fn branch_type(
    left: &Scalar,
    right: &Scalar,
    dialect: Dialect,
) -> Option<types::Operand> {
    types::common(
        types::Context::Union,
        &[left.operand.clone(), right.operand.clone()],
        dialect,
    )
}
