//! Expressions as text.

use crate::print::Printer;
use crate::tree::Expr;
use crate::tree::Over;

impl Printer {
    /// In parentheses unless it is one thing anyway.
    pub(super) fn operand(&mut self, expr: &Expr) {
        let whole = matches!(
            expr,
            Expr::Column { .. } | Expr::Literal(_) | Expr::Variable(_) | Expr::Call(_)
        );
        if whole && !self.chance(10) {
            self.expr(expr);
        } else {
            self.text("(");
            self.expr(expr);
            self.tight(")");
        }
    }

    pub(super) fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Column { qualifier, name } => match qualifier {
                None => self.name(name),
                Some(qualifier) => self.name(&format!("{qualifier}.{name}")),
            },
            Expr::Literal(text) => self.text(text),
            Expr::Variable(name) => self.text(&format!("@{name}")),
            Expr::Binary {
                left,
                operator,
                right,
            } => {
                self.operand(left);
                self.word(operator);
                self.operand(right);
            }
            Expr::Not(inner) => {
                self.word("NOT");
                self.operand(inner);
            }
            Expr::IsNull { expr, not } => {
                self.operand(expr);
                self.word(if *not { "IS NOT NULL" } else { "IS NULL" });
            }
            Expr::Call(call) => {
                self.text(&call.name);
                self.tight("(");
                if call.distinct {
                    self.word("DISTINCT");
                }
                self.exprs(&call.arguments);
                if !call.order.is_empty() {
                    self.word("ORDER BY");
                    self.order(&call.order);
                }
                self.tight(")");
                if let Some(filter) = &call.filter {
                    self.word("FILTER");
                    self.text("(");
                    self.word("WHERE");
                    self.expr(filter);
                    self.tight(")");
                }
                match &call.over {
                    None => {}
                    Some(Over::Named(name)) => {
                        self.word("OVER");
                        self.name(name);
                    }
                    Some(Over::Window(window)) => {
                        self.word("OVER");
                        self.window(window);
                    }
                }
            }
            Expr::Case {
                branches,
                otherwise,
            } => {
                self.word("CASE");
                for (when, then) in branches {
                    self.word("WHEN");
                    self.expr(when);
                    self.word("THEN");
                    self.expr(then);
                }
                if let Some(otherwise) = otherwise {
                    self.word("ELSE");
                    self.expr(otherwise);
                }
                self.word("END");
            }
            Expr::Cast { expr, to, short } => {
                if *short {
                    self.operand(expr);
                    self.tight("::");
                    self.tight(to);
                } else {
                    self.word("CAST");
                    self.tight("(");
                    self.expr(expr);
                    self.word("AS");
                    self.word(to);
                    self.tight(")");
                }
            }
            Expr::Between { expr, low, high } => {
                self.operand(expr);
                self.word("BETWEEN");
                self.operand(low);
                self.word("AND");
                self.operand(high);
            }
            Expr::In { expr, list, not } => {
                self.operand(expr);
                self.word(if *not { "NOT IN" } else { "IN" });
                self.text("(");
                self.exprs(list);
                self.tight(")");
            }
            Expr::InQuery { expr, query, not } => {
                self.operand(expr);
                self.word(if *not { "NOT IN" } else { "IN" });
                self.nested(query);
            }
            Expr::Exists { query, not } => {
                self.word(if *not { "NOT EXISTS" } else { "EXISTS" });
                self.nested(query);
            }
            Expr::Scalar(query) => self.nested(query),
            Expr::Field(inner, name) => {
                self.text("(");
                self.expr(inner);
                self.tight(").");
                let name = self.cased(name);
                self.tight(&name);
            }
            Expr::Index(inner, index) => {
                self.text("(");
                self.expr(inner);
                self.tight(")[");
                self.expr(index);
                self.tight("]");
            }
            Expr::List(items) => {
                self.text("[");
                self.exprs(items);
                self.tight("]");
            }
            Expr::Struct(fields) => {
                self.text("{");
                self.list(fields, |printer, (name, expr)| {
                    printer.text(&format!("'{name}':"));
                    printer.expr(expr);
                });
                self.tight("}");
            }
        }
    }
}
