//! What a condition says about times.

use std::collections::BTreeSet;

use sqlparser::ast::BinaryOperator;
use sqlparser::ast::Expr;

use crate::sql::slices::graph::Column;
use crate::sql::slices::graph::Fact;
use crate::sql::slices::graph::SIDES;
use crate::sql::slices::graph::Side;
use crate::sql::slices::query::Reader;

pub(super) type Facts = BTreeSet<Fact>;

/// One side of a comparison.
enum Operand {
    Column(Column),
    Edge,
}

impl Reader<'_> {
    /// What holds wherever the condition is true.
    pub(super) fn facts(&mut self, condition: &Expr) -> Facts {
        match condition {
            Expr::Nested(inner) | Expr::IsTrue(inner) => self.facts(inner),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => {
                let mut facts = self.facts(left);
                facts.extend(self.facts(right));
                facts
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Or,
                right,
            } => {
                let left = self.facts(left);
                let right = self.facts(right);
                left.intersection(&right).copied().collect()
            }
            Expr::BinaryOp { left, op, right } => self.compared(left, op, right),
            Expr::Between {
                expr,
                negated: false,
                low,
                high,
            } => {
                let mut facts = self.compared(expr, &BinaryOperator::GtEq, low);
                facts.extend(self.compared(expr, &BinaryOperator::LtEq, high));
                facts
            }
            Expr::InList {
                expr,
                list,
                negated: false,
            } if !list.is_empty() => {
                if list.iter().all(|item| self.is_edge(item)) {
                    self.compared(expr, &BinaryOperator::Eq, &list[0])
                } else {
                    Facts::new()
                }
            }
            _ => Facts::new(),
        }
    }

    fn compared(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Facts {
        if let (Expr::Tuple(left), BinaryOperator::Eq, Expr::Tuple(right)) = (left, op, right) {
            let pairs = left.iter().zip(right);
            return pairs
                .flat_map(|(left, right)| self.compared(left, &BinaryOperator::Eq, right))
                .collect();
        }
        if !matches!(
            op,
            BinaryOperator::Eq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
        ) {
            return Facts::new();
        }
        let (Some(left), Some(right)) = (self.operand(left), self.operand(right)) else {
            return Facts::new();
        };
        let (low, high) = match op {
            BinaryOperator::Gt | BinaryOperator::GtEq => (right, left),
            _ => (left, right),
        };
        let both = *op == BinaryOperator::Eq;
        match (low, high) {
            (Operand::Column(low), Operand::Column(high)) if low == high => Facts::new(),
            (Operand::Column(low), Operand::Column(high)) if both => {
                Facts::from([Fact::Equal(low.min(high), low.max(high))])
            }
            (Operand::Column(low), Operand::Column(high)) => Facts::from([Fact::AtMost(low, high)]),
            (Operand::Column(column), Operand::Edge) | (Operand::Edge, Operand::Column(column))
                if both =>
            {
                SIDES.map(|side| Fact::Bound(column, side)).into()
            }
            (Operand::Column(column), Operand::Edge) => {
                Facts::from([Fact::Bound(column, Side::Ahead)])
            }
            (Operand::Edge, Operand::Column(column)) => {
                Facts::from([Fact::Bound(column, Side::Back)])
            }
            (Operand::Edge, Operand::Edge) => Facts::new(),
        }
    }

    fn operand(&mut self, expr: &Expr) -> Option<Operand> {
        if self.is_edge(expr) {
            return Some(Operand::Edge);
        }
        self.plain_column(expr).map(Operand::Column)
    }
}

/// The conditions that AND joins.
pub(super) fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::Nested(inner) => conjuncts(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            let mut all = conjuncts(left);
            all.extend(conjuncts(right));
            all
        }
        other => vec![other],
    }
}
