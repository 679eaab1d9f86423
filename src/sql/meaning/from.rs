//! FROM: which rows a SELECT starts with.

use std::rc::Rc;

use sqlparser::ast::Expr;
use sqlparser::ast::Join;
use sqlparser::ast::JoinConstraint;
use sqlparser::ast::JoinOperator;
use sqlparser::ast::TableWithJoins;

use crate::sql::Dialect;
use crate::sql::joins::JoinKind;
use crate::sql::joins::join_kind;
use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::lowering::Lowering;
use crate::sql::meaning::lowering::Stop;
use crate::sql::meaning::lowering::stop;
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Rows;
use crate::sql::meaning::relation::Relation;
use crate::sql::meaning::scope::Binding;
use crate::sql::meaning::scope::Frame;
use crate::sql::meaning::scope::Merged;
use crate::sql::meaning::scope::Wrap;

/// What stands in FROM so far. The frame on top of the stack holds its columns.
pub(super) struct From {
    pub(super) rows: Rows,
    pub(super) keys: Vec<Rc<[Digest]>>,
    /// The rows of the relations of a product; empty when there is one relation, or an outer join.
    inputs: Vec<Digest>,
}

/// A relation on its way into FROM, with its names.
pub(super) struct Item {
    pub(super) relation: Relation,
    pub(super) bindings: Vec<Binding>,
    pub(super) merged: Vec<Merged>,
}

impl<'q> Lowering<'_, 'q> {
    /// The rows of FROM; its columns go into the frame on top of the stack, which must be fresh.
    pub(super) fn from(&mut self, from: &'q [TableWithJoins]) -> Result<From, Stop> {
        let mut all: Option<From> = None;
        for item in from {
            let first = self.factor(&item.relation)?;
            self.product(&mut all, first)?;
            for join in &item.joins {
                self.join(&mut all, join)?;
            }
        }
        Ok(all.unwrap_or_else(|| From {
            rows: Rows::new(Node::new("one row").finish(), Reads::default()),
            keys: vec![Rc::from([])],
            inputs: Vec::new(),
        }))
    }

    pub(super) fn top(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("FROM has a frame")
    }

    /// Adds a relation whose rows meet all rows so far.
    pub(super) fn product(&mut self, all: &mut Option<From>, mut item: Item) -> Result<(), Stop> {
        let Some(left) = all else {
            let frame = self.top();
            frame.bindings.extend(item.bindings);
            frame.merged.extend(item.merged);
            *all = Some(From {
                rows: item.relation.rows,
                keys: item.relation.keys,
                inputs: Vec::new(),
            });
            return Ok(());
        };
        if left.inputs.is_empty() {
            self.top().wrap(Wrap::At(0));
            left.inputs.push(left.rows.digest());
            left.rows = Rows::new(left.rows.digest(), left.rows.reads.clone());
        }
        let place = left.inputs.len();
        left.inputs.push(item.relation.rows.digest());
        let base = Node::new("product")
            .digests(left.inputs.iter().copied())
            .finish();
        let reads = left.rows.reads.and(&item.relation.rows.reads);
        let mut rows = Rows::new(base, reads);
        for filter in left.rows.filters() {
            rows.filter(*filter, &Reads::default());
        }
        left.rows = rows;
        left.keys = Vec::new();
        item.wrap(Wrap::At(place));
        self.add(item);
        Ok(())
    }

    fn add(&mut self, mut item: Item) {
        let frame = self.top();
        let places = frame.bindings.len();
        for merged in &mut item.merged {
            merged.binding += places;
        }
        frame.bindings.extend(item.bindings);
        frame.merged.extend(item.merged);
    }

    fn join(&mut self, all: &mut Option<From>, join: &'q Join) -> Result<(), Stop> {
        if join.global {
            return stop("a GLOBAL join is not understood");
        }
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::AsOf {
                match_condition,
                constraint,
            } => return self.asof(all, join, match_condition, constraint),
            // What `sql::grammar` makes of POSITIONAL JOIN: rows meet by the order in which they lie.
            JoinOperator::CrossApply if self.dialect == Dialect::DuckDb => {
                let right = self.factor(&join.relation)?;
                self.outer(all, right, &JoinConstraint::None, "positional join")?;
                all.as_mut().expect("a join has rows").rows.reads.unstable = true;
                return Ok(());
            }
            JoinOperator::CrossApply => return stop("CROSS APPLY is not understood"),
            other => match join_kind(other) {
                Some(known) => known,
                None => return stop("a join of a kind that is not understood"),
            },
        };
        let right = self.factor(&join.relation)?;
        match kind {
            JoinKind::Inner => {
                let split = self.top().bindings.len();
                self.product(all, right)?;
                let conditions = self.constraint(constraint, split, "using")?;
                let all = all.as_mut().expect("a product has rows");
                for condition in conditions {
                    all.rows.filter(condition.digest, &condition.reads);
                }
                Ok(())
            }
            JoinKind::Left => self.outer(all, right, constraint, "left join"),
            JoinKind::Right => self.outer(all, right, constraint, "right join"),
            JoinKind::Full => self.outer(all, right, constraint, "full join"),
            JoinKind::Semi => self.semi(all, right, constraint, false),
            JoinKind::Anti => self.semi(all, right, constraint, true),
        }
    }

    /// Each row meets the nearest of the other side. Which one that is among ties is up to the engine.
    fn asof(
        &mut self,
        all: &mut Option<From>,
        join: &'q Join,
        match_condition: &'q Expr,
        constraint: &'q JoinConstraint,
    ) -> Result<(), Stop> {
        let kind = match match_condition {
            // What `sql::grammar` makes of DuckDB's form.
            Expr::Function(function) if function.uses_odbc_syntax => {
                match function.name.to_string().as_str() {
                    "asof_inner" => "asof join",
                    "asof_left" => "asof left join",
                    "asof_right" => "asof right join",
                    "asof_full" => "asof full join",
                    _ => return stop("an ASOF join of a kind that is not understood"),
                }
            }
            _ => return stop("an ASOF join with MATCH_CONDITION is not understood"),
        };
        if matches!(constraint, JoinConstraint::Natural) {
            return stop("a NATURAL ASOF join is not understood");
        }
        if let JoinConstraint::Using(_) = constraint {
            return stop("an ASOF join with USING is not understood");
        }
        let right = self.factor(&join.relation)?;
        self.outer(all, right, constraint, kind)?;
        all.as_mut().expect("a join has rows").rows.reads.unstable = true;
        Ok(())
    }

    fn outer(
        &mut self,
        all: &mut Option<From>,
        mut right: Item,
        constraint: &'q JoinConstraint,
        tag: &'static str,
    ) -> Result<(), Stop> {
        let left = all.as_mut().expect("a join has a left side");
        self.top().wrap(Wrap::Side("left side"));
        right.wrap(Wrap::Side("right side"));
        let split = self.top().bindings.len();
        let (left_rows, right_rows) = (left.rows.digest(), right.relation.rows.digest());
        let reads = left.rows.reads.and(&right.relation.rows.reads);
        self.add(right);
        let conditions = self.constraint(constraint, split, tag)?;
        let mut digests: Vec<Digest> = conditions.iter().map(|part| part.digest).collect();
        digests.sort_unstable();
        digests.dedup();
        let base = Node::new(tag)
            .digest(left_rows)
            .digest(right_rows)
            .digests(digests)
            .finish();
        let reads = conditions
            .iter()
            .fold(reads, |all, part| all.and(&part.reads));
        // What either side gives is another value from here on: it may be NULL.
        self.top().wrap(Wrap::Side(tag));
        *left = From {
            rows: Rows::new(base, reads),
            keys: Vec::new(),
            inputs: Vec::new(),
        };
        Ok(())
    }

    /// A semi or anti join filters the left side.
    fn semi(
        &mut self,
        all: &mut Option<From>,
        mut right: Item,
        constraint: &'q JoinConstraint,
        anti: bool,
    ) -> Result<(), Stop> {
        right.wrap(Wrap::Side("semi side"));
        let rows = right.relation.rows.digest();
        let reads = right.relation.rows.reads.clone();
        let frame = self.top();
        let (bindings, merged) = (frame.bindings.len(), frame.merged.len());
        let hidden: Vec<_> = frame
            .bindings
            .iter()
            .map(|binding| binding.hidden.clone())
            .collect();
        self.add(right);
        let conditions = self.constraint(constraint, bindings, "semi join")?;
        let frame = self.top();
        frame.bindings.truncate(bindings);
        frame.merged.truncate(merged);
        for (binding, hidden) in frame.bindings.iter_mut().zip(hidden) {
            binding.hidden = hidden;
        }
        let mut digests: Vec<Digest> = conditions.iter().map(|part| part.digest).collect();
        digests.sort_unstable();
        digests.dedup();
        let condition = Node::new(if anti { "anti join" } else { "semi join" })
            .digest(rows)
            .digests(digests)
            .finish();
        let reads = conditions
            .iter()
            .fold(reads, |all, part| all.and(&part.reads));
        let left = all.as_mut().expect("a join has a left side");
        left.rows.filter(condition, &reads);
        Ok(())
    }
}

impl Item {
    fn wrap(&mut self, wrap: Wrap) {
        for binding in &mut self.bindings {
            binding.wraps.push(wrap);
        }
        for merged in &mut self.merged {
            merged.wraps.push(wrap);
        }
    }
}
