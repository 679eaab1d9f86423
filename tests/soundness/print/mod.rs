//! Writes a query as text, plainly or in one of many layouts that mean the same.

mod expressions;

use crate::random::Random;
use crate::tree::Body;
use crate::tree::Distinct;
use crate::tree::Expr;
use crate::tree::Group;
use crate::tree::Item;
use crate::tree::On;
use crate::tree::Order;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::tree::Window;

/// The query as text. Style 0 is plain; any other number is a layout of its own: case of keywords and of
/// unquoted names, line breaks, comments, needless parentheses and quotes.
pub(crate) fn print(query: &Query, style: u64) -> String {
    let mut printer = Printer {
        out: String::new(),
        random: (style != 0).then(|| Random::new(style)),
    };
    printer.query(query);
    printer.out
}

/// The expression as text, plainly.
pub(crate) fn print_expr(expr: &Expr) -> String {
    let mut printer = Printer {
        out: String::new(),
        random: None,
    };
    printer.expr(expr);
    printer.out
}

struct Printer {
    out: String,
    random: Option<Random>,
}

impl Printer {
    fn chance(&mut self, percent: usize) -> bool {
        self.random
            .as_mut()
            .is_some_and(|random| random.chance(percent))
    }

    fn space(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let space = match &mut self.random {
            None => " ",
            Some(random) => match random.below(30) {
                0..=2 => "\n",
                3 => "\n    ",
                4 => " /* so that; it's clear */ ",
                5 => " -- 'why\n",
                6 => "\t",
                _ => " ",
            },
        };
        self.out.push_str(space);
    }

    /// Words of the language; their case means nothing.
    fn word(&mut self, words: &str) {
        for word in words.split(' ') {
            self.space();
            let lower = self.chance(40);
            let text = if lower {
                word.to_lowercase()
            } else {
                word.to_owned()
            };
            self.out.push_str(&text);
        }
    }

    fn text(&mut self, text: &str) {
        self.space();
        self.out.push_str(text);
    }

    /// Follows without space.
    fn tight(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn cased(&mut self, name: &str) -> String {
        if name.starts_with('"') || name.starts_with('@') {
            return name.to_owned();
        }
        let needs_quotes = name
            .chars()
            .any(|c| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_')
            || RESERVED.contains(&name);
        if needs_quotes {
            return format!("\"{name}\"");
        }
        if self.chance(8) {
            return format!("\"{name}\"");
        }
        if self.chance(15) {
            return name.to_uppercase();
        }
        name.to_owned()
    }

    fn name(&mut self, name: &str) {
        let parts: Vec<String> = name.split('.').map(|part| self.cased(part)).collect();
        self.text(&parts.join("."));
    }

    fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.tight(",");
            }
            each(self, item);
        }
    }

    fn names(&mut self, names: &[String]) {
        self.text("(");
        self.list(names, |printer, name| printer.name(name));
        self.tight(")");
    }

    fn exprs(&mut self, exprs: &[Expr]) {
        self.list(exprs, Self::expr);
    }

    fn query(&mut self, query: &Query) {
        if !query.ctes.is_empty() {
            self.word(if query.recursive {
                "WITH RECURSIVE"
            } else {
                "WITH"
            });
            self.list(&query.ctes, |printer, cte| {
                printer.name(&cte.name);
                if !cte.columns.is_empty() {
                    printer.names(&cte.columns);
                }
                printer.word("AS");
                printer.nested(&cte.query);
            });
        }
        match &query.body {
            Body::Select(select) => self.select(select),
            Body::Set {
                operator,
                left,
                right,
            } => {
                self.nested(left);
                self.word(operator);
                self.nested(right);
            }
            Body::Values(rows) => {
                self.word("VALUES");
                self.list(rows, |printer, row| {
                    printer.text("(");
                    printer.exprs(row);
                    printer.tight(")");
                });
            }
        }
        if !query.order.is_empty() {
            self.word("ORDER BY");
            self.order(&query.order);
        }
        if let Some(limit) = &query.limit {
            self.word("LIMIT");
            self.text(limit);
        }
        if let Some(offset) = &query.offset {
            self.word("OFFSET");
            self.text(offset);
        }
    }

    fn nested(&mut self, query: &Query) {
        self.text("(");
        self.query(query);
        self.tight(")");
    }

    fn select(&mut self, select: &Select) {
        if select.from_first {
            self.from(select);
        }
        self.word("SELECT");
        match &select.distinct {
            Distinct::No => {}
            Distinct::All => self.word("DISTINCT"),
            Distinct::On(keys) => {
                self.word("DISTINCT ON");
                self.text("(");
                self.exprs(keys);
                self.tight(")");
            }
        }
        self.list(&select.items, Self::item);
        if !select.from_first {
            self.from(select);
        }
        self.clause("WHERE", &select.filter);
        match &select.group {
            Group::No => {}
            Group::All => self.word("GROUP BY ALL"),
            Group::By(keys) => {
                self.word("GROUP BY");
                self.exprs(keys);
            }
            Group::Rollup(keys) | Group::Cube(keys) => {
                self.word("GROUP BY");
                self.word(match &select.group {
                    Group::Rollup(_) => "ROLLUP",
                    _ => "CUBE",
                });
                self.text("(");
                self.exprs(keys);
                self.tight(")");
            }
            Group::Sets(sets) => {
                self.word("GROUP BY GROUPING SETS");
                self.text("(");
                self.list(sets, |printer, keys| {
                    printer.text("(");
                    printer.exprs(keys);
                    printer.tight(")");
                });
                self.tight(")");
            }
        }
        self.clause("HAVING", &select.having);
        if !select.windows.is_empty() {
            self.word("WINDOW");
            self.list(&select.windows, |printer, (name, window)| {
                printer.name(name);
                printer.word("AS");
                printer.window(window);
            });
        }
        self.clause("QUALIFY", &select.qualify);
    }

    fn from(&mut self, select: &Select) {
        if !select.from.is_empty() {
            self.word("FROM");
            self.list(&select.from, |printer, source| {
                printer.relation(&source.relation);
                for join in &source.joins {
                    printer.word(&join.kind);
                    printer.relation(&join.relation);
                    match &join.on {
                        On::Nothing => {}
                        On::All(conditions) => {
                            printer.word("ON");
                            printer.conditions(conditions);
                        }
                        On::Using(columns) => {
                            printer.word("USING");
                            printer.names(columns);
                        }
                    }
                }
            });
        }
    }

    fn clause(&mut self, word: &str, conditions: &[Expr]) {
        if !conditions.is_empty() {
            self.word(word);
            self.conditions(conditions);
        }
    }

    fn conditions(&mut self, conditions: &[Expr]) {
        for (index, condition) in conditions.iter().enumerate() {
            if index > 0 {
                self.word("AND");
            }
            // Only what binds weaker than AND needs them.
            self.operand(condition);
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Expr { expr, alias } => {
                let before = self.chance(2);
                if let Some(alias) = alias.as_ref().filter(|_| before) {
                    self.name(alias);
                    self.tight(":");
                }
                self.expr(expr);
                if let Some(alias) = alias.as_ref().filter(|_| !before) {
                    self.word("AS");
                    self.name(alias);
                }
            }
            Item::Columns(pattern) => {
                self.word("COLUMNS");
                self.tight(&format!("('{pattern}')"));
            }
            Item::Star {
                qualifier,
                exclude,
                replace,
                rename,
            } => {
                match qualifier {
                    None => self.text("*"),
                    Some(qualifier) => {
                        self.name(qualifier);
                        self.tight(".*");
                    }
                }
                if !exclude.is_empty() {
                    self.word("EXCLUDE");
                    self.names(exclude);
                }
                if !replace.is_empty() {
                    self.word("REPLACE");
                    self.text("(");
                    self.list(replace, |printer, (expr, name)| {
                        printer.expr(expr);
                        printer.word("AS");
                        printer.name(name);
                    });
                    self.tight(")");
                }
                if !rename.is_empty() {
                    self.word("RENAME");
                    self.text("(");
                    self.list(rename, |printer, (from, to)| {
                        printer.name(from);
                        printer.word("AS");
                        printer.name(to);
                    });
                    self.tight(")");
                }
            }
        }
    }

    fn relation(&mut self, relation: &Relation) {
        match relation {
            Relation::Table { name, alias } => {
                self.name(name);
                if let Some(alias) = alias {
                    if !self.chance(30) {
                        self.word("AS");
                    }
                    self.name(alias);
                }
            }
            Relation::Sub {
                query,
                alias,
                lateral,
            } => {
                if *lateral {
                    self.word("LATERAL");
                }
                self.nested(query);
                self.word("AS");
                self.name(alias);
            }
            Relation::Function {
                call,
                alias,
                column,
            } => {
                self.expr(call);
                self.word("AS");
                self.name(alias);
                self.names(std::slice::from_ref(column));
            }
            Relation::Pivot {
                input,
                aggregate,
                on,
                values,
                group,
                alias,
            } => {
                self.nested(input);
                self.word("PIVOT");
                self.text("(");
                self.expr(aggregate);
                self.word("FOR");
                self.name(on);
                self.word("IN");
                self.text(&format!("({})", values.join(", ")));
                if !group.is_empty() {
                    self.word("GROUP BY");
                    self.list(group, |printer, name| printer.name(name));
                }
                self.tight(")");
                self.word("AS");
                self.name(alias);
            }
            Relation::Unpivot {
                input,
                columns,
                name,
                value,
                alias,
            } => {
                self.nested(input);
                self.word("UNPIVOT");
                self.text("(");
                self.name(value);
                self.word("FOR");
                self.name(name);
                self.word("IN");
                self.names(columns);
                self.tight(")");
                self.word("AS");
                self.name(alias);
            }
        }
    }

    fn order(&mut self, order: &[Order]) {
        self.list(order, |printer, key| {
            printer.expr(&key.expr);
            if key.descending {
                printer.word("DESC");
            }
            match key.nulls_first {
                None => {}
                Some(true) => printer.word("NULLS FIRST"),
                Some(false) => printer.word("NULLS LAST"),
            }
        });
    }

    fn window(&mut self, window: &Window) {
        self.text("(");
        if !window.partition.is_empty() {
            self.word("PARTITION BY");
            self.exprs(&window.partition);
        }
        if !window.order.is_empty() {
            self.word("ORDER BY");
            self.order(&window.order);
        }
        if let Some(frame) = &window.frame {
            self.word(frame);
        }
        self.tight(")");
    }
}

/// Names in use here that must be quoted.
const RESERVED: &[&str] = &["order", "group", "select", "all"];
