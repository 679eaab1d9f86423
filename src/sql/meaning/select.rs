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
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Rows;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Field;
use crate::sql::meaning::relation::Relation;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;
use crate::sql::meaning::rewrites;
use crate::sql::meaning::scope::Alias;
use crate::sql::meaning::scope::Binding;
use crate::sql::meaning::scope::Clause;
use crate::sql::meaning::scope::Frame;
use crate::sql::meaning::star;
use crate::sql::meaning::star::Given;
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

    fn select_in_frame(
        &mut self,
        select: &'q Select,
        order: Option<&'q OrderBy>,
    ) -> Result<Selected, Stop> {
        refuse_unknown_parts(select)?;
        let From { rows, keys, .. } = self.from(&select.from)?;
        let mut rows = rows;
        let mut keys = keys;
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

        let mut certain: Option<Rc<[Digest]>> = None;
        if let Some(condition) = &select.selection {
            let condition = self.expr(condition)?;
            self.filter(&mut rows, condition, &mut certain);
        }

        let groups = self.groups(select)?;
        let by_all = matches!(select.group_by, GroupByExpr::All(_));
        let ungrouped = rows.clone();
        let mut grouped = groups.is_some() || by_all || select.having.is_some();
        if let Some(groups) = groups {
            let mut reads = rows.reads.clone();
            for key in &groups.keys {
                reads = reads.and(&key.reads);
            }
            let mut digests: Vec<Digest> = groups.keys.iter().map(|key| key.digest).collect();
            digests.sort_unstable();
            digests.dedup();
            let base = Node::new("group")
                .digest(rows.digest())
                .digest(groups.node.finish())
                .digests(digests.iter().copied())
                .finish();
            rows = Rows::new(base, reads);
            keys = if groups.plain {
                vec![Rc::from(digests)]
            } else {
                Vec::new()
            };
        }
        let mut having = Vec::new();
        if let Some(condition) = &select.having {
            self.set_clause(Clause::Either);
            let condition = rewrites::condition(self.expr(condition)?);
            having.extend(rewrites::conjuncts(condition));
        }
        let is_keyed = !by_all
            && grouped
            && !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
        if is_keyed {
            for condition in &having {
                let condition = rewrites::condition(condition.clone());
                rows.filter(condition.digest, &condition.reads);
            }
        }
        self.set_clause(Clause::ColumnsFirst);
        {
            let texts = by_all.then(|| {
                select
                    .projection
                    .iter()
                    .fold(Node::new("items"), |node, item| {
                        node.text(&item.to_string())
                    })
                    .finish()
            });
            let seen = Node::new("rows")
                .digest(rows.digest())
                .digests(having.iter().map(|condition| condition.digest))
                .digests(texts)
                .finish();
            let frame = self.frames.last_mut().expect("a SELECT has a frame");
            frame.rows = Some(seen);
            frame.numbered = Some(rows.digest());
            frame.keys.clone_from(&keys);
        }

        let mut given = Vec::new();
        // What each field is before it leaves the SELECT: ORDER BY and keys speak of that.
        let mut inside: Vec<(Digest, Digest)> = Vec::new();
        let mut all_keys = Vec::new();
        if select.projection.is_empty() || select.flavor == SelectFlavor::FromFirstNoSelect {
            given.push(self.lone_star()?);
        }
        for (place, item) in select.projection.iter().enumerate() {
            let before = std::mem::take(&mut self.frames.last_mut().expect("a frame").aggregates);
            let alone = select.projection.len() == 1;
            given.push(self.item(place, item, alone, &mut inside, &mut all_keys)?);
            let frame = self.frames.last_mut().expect("a frame");
            if frame.aggregates {
                all_keys.pop();
                grouped = true;
            }
            frame.aggregates |= before;
        }
        let mut columns = star::columns(given);

        let mut qualified = Vec::new();
        if let Some(condition) = &select.qualify {
            self.set_clause(Clause::Either);
            qualified.push(self.expr(condition)?);
        }
        let order_keys = match order {
            Some(order) => self.order(order, Some(select), &columns, &inside)?,
            None => Vec::new(),
        };
        grouped |= self.frames.last().is_some_and(|frame| frame.aggregates);

        if by_all {
            let mut digests: Vec<Digest> = all_keys.iter().map(|key: &Scalar| key.digest).collect();
            digests.sort_unstable();
            digests.dedup();
            let whole = match &columns {
                Columns::Listed(_) => None,
                other => Some(self.whole(other)),
            };
            let reads = Reads::all(
                std::iter::once(&rows.reads)
                    .chain(all_keys.iter().map(|key| &key.reads))
                    .chain(whole.iter().map(|whole| &whole.reads)),
            );
            let base = Node::new("group")
                .digest(rows.digest())
                .digest(self.modifiers(&select.group_by)?.finish())
                .digests(digests.iter().copied())
                .digests(whole.map(|whole| whole.digest));
            rows = Rows::new(base.finish(), reads);
            keys = vec![Rc::from(digests)];
        } else if grouped && !is_keyed {
            let base = Node::new("group")
                .digest(rows.digest())
                .digest(Node::new("plain").finish())
                .digests([]);
            rows = Rows::new(base.finish(), rows.reads.clone());
            keys = vec![Rc::from([])];
        }
        if grouped && (certain.is_some() || !is_settled(&ungrouped)) {
            rows.reads.unstable = true;
        }
        if grouped && self.dialect == Dialect::MySql {
            // It lets columns stand that are no keys, and takes the value of any row.
            rows.reads.unstable = true;
        }
        if !is_keyed {
            for condition in having {
                let condition = rewrites::condition(condition);
                rows.filter(condition.digest, &condition.reads);
            }
        }
        for condition in qualified {
            if certain.is_some() {
                rows.reads.unstable = true;
            }
            self.filter(&mut rows, condition, &mut certain);
        }

        let frame = self.frames.last_mut().expect("a SELECT has a frame");
        let mut expanders = std::mem::take(&mut frame.expanders);
        if !expanders.is_empty() {
            expanders.sort_by_key(|call| call.digest);
            expanders.dedup_by_key(|call| call.digest);
            let reads = Reads::all(
                std::iter::once(&rows.reads).chain(expanders.iter().map(|call| &call.reads)),
            );
            // That a call is not known makes its value uncertain, not the number of rows.
            let unstable = rows.reads.unstable;
            let base = Node::new("expand")
                .digest(rows.digest())
                .digests(expanders.iter().map(|call| call.digest));
            rows = Rows::new(base.finish(), Reads { unstable, ..reads });
            keys = Vec::new();
            if certain.is_some() {
                rows.reads.unstable = true;
            }
        }

        let outside = |digest: &Digest| {
            inside
                .iter()
                .find(|(before, _)| before == digest)
                .map_or(*digest, |(_, after)| *after)
        };
        let mut keys: Vec<Rc<[Digest]>> = keys
            .iter()
            .map(|key| key.iter().map(&outside).collect())
            .collect();
        let order_digests: Vec<Digest> = order_keys
            .iter()
            .map(|(key, _)| outside(&key.digest))
            .collect();
        let mut relation = Relation {
            rows,
            columns: Columns::Listed(Rc::new(Vec::new())),
            keys: Vec::new(),
        };
        match &select.distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => {
                let parts: Vec<Scalar> = match &columns {
                    Columns::Listed(fields) => {
                        fields.iter().map(|field| field.value.clone()).collect()
                    }
                    other => vec![self.whole(other)],
                };
                let mut digests: Vec<Digest> = parts.iter().map(|part| part.digest).collect();
                digests.sort_unstable();
                digests.dedup();
                let reads = Reads::all(
                    std::iter::once(&relation.rows.reads)
                        .chain(parts.iter().map(|part| &part.reads)),
                );
                let base = Node::new("distinct")
                    .digest(relation.rows.digest())
                    .digests(digests.iter().copied());
                let mut rows = Rows::new(base.finish(), reads);
                if certain.is_some() {
                    rows.reads.unstable = true;
                }
                relation.rows = rows;
                keys.push(Rc::from(digests));
            }
            Some(Distinct::On(on)) => {
                self.set_clause(Clause::Either);
                let mut on = self.distinct_on(on, select)?;
                on.sort_by_key(|key| key.digest);
                on.dedup_by_key(|key| key.digest);
                let reads = Reads::all(
                    std::iter::once(&relation.rows.reads)
                        .chain(on.iter().map(|key| &key.reads))
                        .chain(order_keys.iter().map(|(key, _)| &key.reads)),
                );
                let mut base = Node::new("distinct on")
                    .digest(relation.rows.digest())
                    .digests(on.iter().map(|key| key.digest));
                for (key, direction) in &order_keys {
                    base = base.digest(key.digest).digest(*direction);
                }
                let mut chosen: Vec<Digest> = on.iter().map(|key| outside(&key.digest)).collect();
                let on_only: Rc<[Digest]> = Rc::from(chosen.clone());
                chosen.extend(&order_digests);
                let total = keys
                    .iter()
                    .any(|key| key.iter().all(|column| chosen.contains(column)));
                let mut rows = Rows::new(base.finish(), reads);
                if certain.is_some() {
                    rows.reads.unstable = true;
                }
                relation.rows = rows;
                if !total {
                    relation.columns = columns;
                    relation.unsettle(&chosen);
                    columns = std::mem::replace(
                        &mut relation.columns,
                        Columns::Listed(Rc::new(Vec::new())),
                    );
                }
                keys.push(on_only);
            }
        }
        relation.columns = columns;
        relation.keys = keys;
        if let Some(certain) = certain {
            let certain: Vec<Digest> = certain.iter().map(outside).collect();
            relation.unsettle(&certain);
        }
        let order = order_keys
            .into_iter()
            .map(|(mut key, direction)| {
                key.digest = outside(&key.digest);
                (key, direction)
            })
            .collect();
        Ok(Selected { relation, order })
    }

    pub(super) fn set_clause(&mut self, clause: Clause) {
        if let Some(frame) = self.frames.last_mut() {
            frame.clause = clause;
        }
    }

    /// Keeps the rows for which `condition` is true.
    ///
    /// A condition on a row number over ties keeps rows that are certain only in the keys of the window: the
    /// columns that are certain then are put into `certain`.
    fn filter(&self, rows: &mut Rows, condition: Scalar, certain: &mut Option<Rc<[Digest]>>) {
        let conditions = rewrites::conjuncts(rewrites::condition(condition));
        let alone = conditions.len() == 1;
        for condition in conditions {
            let condition = rewrites::condition(condition);
            match &condition.shape {
                Shape::Cut(ties) if alone && ties.rows == rows.digest() => {
                    *certain = Some(ties.keys.clone());
                    let reads = Reads {
                        unstable: false,
                        ..condition.reads.clone()
                    };
                    rows.filter(condition.digest, &reads);
                }
                _ => rows.filter(condition.digest, &condition.reads),
            }
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

fn is_settled(rows: &Rows) -> bool {
    !rows.reads.unstable
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
