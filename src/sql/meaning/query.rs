//! A query: WITH, set operations, ORDER BY and LIMIT.

use std::rc::Rc;

use sqlparser::ast::Expr;
use sqlparser::ast::LimitClause;
use sqlparser::ast::Query;
use sqlparser::ast::SetExpr;
use sqlparser::ast::SetOperator;
use sqlparser::ast::SetQuantifier;
use sqlparser::ast::Values;
use sqlparser::ast::With;

use crate::sql::Dialect;
use crate::sql::fold;
use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::expr::with_room;
use crate::sql::meaning::lowering::Cte;
use crate::sql::meaning::lowering::Lowering;
use crate::sql::meaning::lowering::Stop;
use crate::sql::meaning::lowering::settled;
use crate::sql::meaning::lowering::stop;
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Rows;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Field;
use crate::sql::meaning::relation::Relation;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::scope::Binding;
use crate::sql::meaning::scope::Frame;
use crate::sql::meaning::select::branch_type;
use crate::sql::types;

impl<'q> Lowering<'_, 'q> {
    /// The relation that `query` gives.
    pub(super) fn query(&mut self, query: &'q Query) -> Result<Relation, Stop> {
        let Query {
            with,
            body: _,
            order_by: _,
            limit_clause: _,
            fetch: _,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if !locks.is_empty()
            || for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty()
        {
            return stop("a clause behind the query is not understood");
        }
        let visible = self.ctes.len();
        if let Some(with) = with {
            self.with(with)?;
        }
        let relation = with_room(|| self.ordered_body(query));
        self.ctes.truncate(visible);
        relation
    }

    fn with(&mut self, with: &'q With) -> Result<(), Stop> {
        if with.recursive && self.dialect == Dialect::Postgres && reads_ahead(with, self.dialect) {
            return stop("a CTE reads one that stands behind it");
        }
        for cte in &with.cte_tables {
            if cte.from.is_some() {
                return stop("a CTE has a FROM");
            }
            let name = fold::fold_ident(self.dialect, &cte.alias.name);
            let names: Vec<String> = cte
                .alias
                .columns
                .iter()
                .map(|column| self.name(&column.name))
                .collect();
            let start = self.layout.len();
            let sound = self.problems.len();
            let mut relation = if with.recursive && reads_itself(&cte.query, &name, self.dialect) {
                self.recursive(&name, &names, &cte.query)?
            } else {
                self.query(&cte.query)?
            };
            if !names.is_empty() {
                relation.columns = self.renamed(&relation.columns, &names)?;
            }
            self.leave(&mut relation);
            let layout = self.layout.split_off(start);
            let problems = self.problems.split_off(sound);
            self.ctes.push(Cte {
                name,
                relation,
                layout,
                problems,
            });
        }
        Ok(())
    }

    /// A CTE that reads itself. Its rows and all its columns grow together, so they are one thing.
    fn recursive(
        &mut self,
        name: &str,
        names: &[String],
        query: &'q Query,
    ) -> Result<Relation, Stop> {
        let Query {
            with: None,
            body,
            order_by: None,
            limit_clause: None,
            fetch: None,
            ..
        } = query
        else {
            return stop("a recursive CTE is more than two queries");
        };
        let SetExpr::SetOperation {
            left,
            op: SetOperator::Union,
            set_quantifier,
            right,
        } = &**body
        else {
            return stop("a recursive CTE is no UNION");
        };
        let mut anchor = self.body(left, query)?;
        if !names.is_empty() {
            anchor.columns = self.renamed(&anchor.columns, names)?;
        }
        let Some(fields) = self.fields(&anchor.columns) else {
            return stop("a recursive CTE has columns that are not known");
        };
        self.serial += 1;
        let itself = Node::new("itself").number(self.ctes.len()).finish();
        let own = fields.iter().enumerate().map(|(place, field)| Field {
            name: field.name.clone(),
            value: Scalar::new(
                Node::new("own column")
                    .digest(itself)
                    .number(place)
                    .finish(),
                Reads::default(),
                field.value.lineage.clone(),
            )
            .typed(field.value.operand.clone()),
        });
        let own = Relation {
            rows: Rows::new(itself, Reads::default()),
            columns: Columns::Listed(Rc::new(own.collect())),
            keys: Vec::new(),
        };
        self.ctes.push(Cte {
            name: name.to_owned(),
            relation: own,
            layout: Vec::new(),
            problems: Vec::new(),
        });
        let step = self.body(right, query);
        self.ctes.pop();
        let step = step?;
        let Some(steps) = self.fields(&step.columns) else {
            return stop("a recursive CTE has columns that are not known");
        };
        if steps.len() != fields.len() {
            return stop("the queries of a UNION have different numbers of columns");
        }
        let mut parts: Vec<&Scalar> = fields.iter().map(|field| &field.value).collect();
        parts.extend(steps.iter().map(|field| &field.value));
        let node = Node::new("recursive")
            .text(&set_quantifier.to_string())
            .digest(itself)
            .digest(anchor.rows.digest())
            .digest(step.rows.digest());
        let all = Scalar::over(node, parts.iter().copied());
        let reads = all.reads.and(&anchor.rows.reads).and(&step.rows.reads);
        let columns = fields
            .iter()
            .zip(steps.iter())
            .enumerate()
            .map(|(place, (first, next))| {
                let mut value = Scalar::over(Node::new("recursive column").number(place), [&all]);
                value.reads = reads.clone();
                value.lineage = first.value.lineage.union(&next.value.lineage);
                Field {
                    name: first.name.clone(),
                    value,
                }
            });
        Ok(Relation {
            columns: Columns::Listed(Rc::new(columns.collect())),
            rows: Rows::new(all.digest, reads),
            keys: Vec::new(),
        })
    }

    fn ordered_body(&mut self, query: &'q Query) -> Result<Relation, Stop> {
        let order = query.order_by.as_ref();
        let (mut relation, order) = match &*query.body {
            SetExpr::Select(select) => {
                let selected = self.select(select, order)?;
                (selected.relation, selected.order)
            }
            body => {
                let relation = self.body(body, query)?;
                let order = match order {
                    Some(order) => {
                        let mut frame = Frame::new();
                        frame.bindings.push(Binding {
                            path: Vec::new(),
                            columns: relation.columns.clone(),
                            wraps: Vec::new(),
                            hidden: Vec::new(),
                        });
                        self.frames.push(frame);
                        self.selects.push(None);
                        let keys = self.order(order, None, &relation.columns, &[]);
                        self.frames.pop();
                        self.selects.pop();
                        keys?
                    }
                    None => Vec::new(),
                };
                (relation, order)
            }
        };
        let mut keys = Node::new("order");
        for (key, direction) in &order {
            keys = keys.digest(key.digest).digest(*direction);
        }
        let keys = keys.finish();
        let cuts = query.limit_clause.is_some() || query.fetch.is_some();
        if cuts {
            self.cut(query, &mut relation, &order, keys)?;
        }
        if !order.is_empty() {
            self.layout.push(keys);
        }
        let below = (1_u64 << self.frames.len()) - 1;
        relation.rows.reads.levels &= below;
        Ok(relation)
    }

    /// LIMIT, OFFSET, FETCH.
    fn cut(
        &mut self,
        query: &'q Query,
        relation: &mut Relation,
        order: &[(Scalar, Digest)],
        keys: Digest,
    ) -> Result<(), Stop> {
        let mut node = Node::new("limit")
            .digest(relation.rows.digest())
            .digest(keys);
        let mut parts: Vec<Scalar> = Vec::new();
        let mut add = |this: &mut Self, node: Node, expr: Option<&'q Expr>| match expr {
            None => Ok(node.none()),
            Some(expr) => {
                this.frames.push(Frame::new());
                this.selects.push(None);
                let value = this.expr(expr);
                this.frames.pop();
                this.selects.pop();
                let value = value?;
                let node = node.digest(value.digest);
                parts.push(value);
                Ok::<Node, Stop>(node)
            }
        };
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset {
                limit,
                offset,
                limit_by,
            }) => {
                if !limit_by.is_empty() {
                    return stop("LIMIT BY is not understood");
                }
                node = add(self, node, limit.as_ref())?;
                node = add(self, node, offset.as_ref().map(|offset| &offset.value))?;
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                node = add(self, node, Some(limit))?;
                node = add(self, node, Some(offset))?;
            }
        }
        if let Some(fetch) = &query.fetch {
            node = node
                .text("fetch")
                .number(usize::from(fetch.with_ties))
                .number(usize::from(fetch.percent));
            node = add(self, node, fetch.quantity.as_ref())?;
        }
        let reads = Reads::all(
            std::iter::once(&relation.rows.reads)
                .chain(order.iter().map(|(key, _)| &key.reads))
                .chain(parts.iter().map(|part| &part.reads)),
        );
        relation.rows = Rows::new(node.finish(), reads);
        let chosen: Vec<Digest> = order.iter().map(|(key, _)| key.digest).collect();
        let total = relation
            .keys
            .iter()
            .any(|key| key.iter().all(|column| chosen.contains(column)));
        if !total {
            // Which of the rows that tie are kept is up to the engine.
            relation.unsettle(&chosen);
        }
        Ok(())
    }

    fn body(&mut self, body: &'q SetExpr, query: &'q Query) -> Result<Relation, Stop> {
        with_room(|| self.body_here(body, query))
    }

    fn body_here(&mut self, body: &'q SetExpr, query: &'q Query) -> Result<Relation, Stop> {
        match body {
            SetExpr::Select(select) => Ok(self.select(select, None)?.relation),
            SetExpr::Query(inner) => self.query(inner),
            SetExpr::Values(values) => self.values(values),
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                let left = self.body(left, query)?;
                let right = self.body(right, query)?;
                self.set_operation(*op, *set_quantifier, &left, &right)
            }
            SetExpr::Table(_)
            | SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_) => stop("a query of a kind that is not understood"),
        }
    }

    fn set_operation(
        &mut self,
        operator: SetOperator,
        quantifier: SetQuantifier,
        left: &Relation,
        right: &Relation,
    ) -> Result<Relation, Stop> {
        let by_name = matches!(
            quantifier,
            SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName
        );
        let all = matches!(quantifier, SetQuantifier::All | SetQuantifier::AllByName);
        let (Some(first), Some(second)) = (self.fields(&left.columns), self.fields(&right.columns))
        else {
            return Ok(self.unknown_branches(operator, quantifier, left, right));
        };
        let pairs: Vec<(Option<String>, Scalar)> = if by_name {
            self.pairs_by_name(&first, &second)?
        } else {
            if first.len() != second.len() {
                return stop("the queries of a set operation have different numbers of columns");
            }
            first
                .iter()
                .zip(second.iter())
                .map(|(left, right)| {
                    let operand = branch_type(&left.value, &right.value, self.dialect);
                    let value = Scalar::over(Node::new("branches"), [&left.value, &right.value])
                        .typed(operand);
                    (left.name.clone(), value)
                })
                .collect()
        };
        let tag = match operator {
            SetOperator::Union => "union",
            SetOperator::Except | SetOperator::Minus => "except",
            SetOperator::Intersect => "intersect",
        };
        let mut node = Node::new(tag)
            .number(usize::from(all))
            .digest(left.rows.digest())
            .digest(right.rows.digest());
        let mut reads = left.rows.reads.and(&right.rows.reads);
        let mut keys = Vec::new();
        if !(all && operator == SetOperator::Union) {
            // Whole rows are compared.
            node = node.digests(pairs.iter().map(|(_, value)| value.digest));
            reads = Reads::all(
                std::iter::once(&reads).chain(pairs.iter().map(|(_, value)| &value.reads)),
            );
            if !all {
                keys.push(pairs.iter().map(|(_, value)| value.digest).collect());
            }
        }
        let fields = pairs
            .into_iter()
            .map(|(name, value)| Field { name, value })
            .collect();
        Ok(Relation {
            rows: Rows::new(node.finish(), reads),
            columns: Columns::Listed(Rc::new(fields)),
            keys,
        })
    }

    fn pairs_by_name(
        &mut self,
        first: &[Field],
        second: &[Field],
    ) -> Result<Vec<(Option<String>, Scalar)>, Stop> {
        let names = |fields: &[Field]| -> Option<Vec<String>> {
            fields.iter().map(|field| field.name.clone()).collect()
        };
        let (Some(left), Some(right)) = (names(first), names(second)) else {
            return stop("a UNION BY NAME has columns without a name");
        };
        let mut all = left.clone();
        all.extend(right.iter().filter(|name| !left.contains(name)).cloned());
        let mut pairs = Vec::new();
        for name in all {
            let of = |fields: &[Field]| {
                fields
                    .iter()
                    .find(|field| field.name.as_deref() == Some(&name))
                    .map(|field| field.value.clone())
            };
            let value = match (of(first), of(second)) {
                (Some(left), Some(right)) => {
                    let operand = branch_type(&left, &right, self.dialect);
                    Scalar::over(Node::new("branches"), [&left, &right]).typed(operand)
                }
                (Some(left), None) => {
                    let operand = left.operand.clone();
                    Scalar::over(Node::new("first branch"), [&left]).typed(operand)
                }
                (None, Some(right)) => {
                    let operand = right.operand.clone();
                    Scalar::over(Node::new("second branch"), [&right]).typed(operand)
                }
                (None, None) => continue,
            };
            pairs.push((Some(name), value));
        }
        Ok(pairs)
    }

    fn unknown_branches(
        &mut self,
        operator: SetOperator,
        quantifier: SetQuantifier,
        left: &Relation,
        right: &Relation,
    ) -> Relation {
        let (first, second) = (self.whole(&left.columns), self.whole(&right.columns));
        let node = Node::new("set operation")
            .text(&operator.to_string())
            .text(&quantifier.to_string())
            .digest(left.rows.digest())
            .digest(right.rows.digest());
        let whole = Scalar::over(node, [&first, &second]);
        let reads = whole.reads.and(&left.rows.reads).and(&right.rows.reads);
        Relation {
            rows: Rows::new(whole.digest, reads),
            columns: Columns::Unknown(Box::new(whole)),
            keys: Vec::new(),
        }
    }

    fn values(&mut self, values: &'q Values) -> Result<Relation, Stop> {
        self.frames.push(Frame::new());
        self.selects.push(None);
        let mut rows = Vec::new();
        for row in &values.rows {
            match self.all(row.iter()) {
                Ok(row) => rows.push(row),
                Err(error) => {
                    self.frames.pop();
                    self.selects.pop();
                    return Err(error);
                }
            }
        }
        self.frames.pop();
        self.selects.pop();
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != width) {
            return stop("the rows of VALUES have different lengths");
        }
        let node = Node::new("values").number(width);
        let whole = Scalar::over(node, rows.iter().flatten());
        let fields = (0..width).map(|place| {
            let column: Vec<&Scalar> = rows.iter().map(|row| &row[place]).collect();
            let operands: Vec<_> = column.iter().map(|value| value.operand.clone()).collect();
            let operand = types::common(types::Context::Values, &operands, self.dialect);
            let node = Node::new("values column")
                .digest(whole.digest)
                .number(place);
            let value = Scalar::over(node, column.iter().copied()).typed(operand);
            let name = match self.dialect {
                Dialect::DuckDb => Some(format!("col{place}")),
                Dialect::Postgres | Dialect::Redshift => Some(format!("column{}", place + 1)),
                _ => None,
            };
            Field {
                name,
                value: settled(value, self.dialect),
            }
        });
        Ok(Relation {
            columns: Columns::Listed(Rc::new(fields.collect())),
            rows: Rows::new(whole.digest, whole.reads.clone()),
            keys: Vec::new(),
        })
    }
}

/// Whether a CTE reads one that stands behind it, which Postgres allows in a WITH RECURSIVE.
fn reads_ahead(with: &With, dialect: Dialect) -> bool {
    let names = with
        .cte_tables
        .iter()
        .map(|cte| fold::fold_ident(dialect, &cte.alias.name));
    let names: Vec<String> = names.collect();
    with.cte_tables.iter().enumerate().any(|(place, cte)| {
        names[place + 1..]
            .iter()
            .any(|later| reads_itself(&cte.query, later, dialect))
    })
}

/// Whether a query of a WITH RECURSIVE reads the name that it gets.
fn reads_itself(query: &Query, name: &str, dialect: Dialect) -> bool {
    crate::sql::tables::tables(query, dialect)
        .iter()
        .any(|table| table.schema.is_none() && table.name == name)
}
