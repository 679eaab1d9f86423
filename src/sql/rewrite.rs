//! The text to execute: tables replaced by others, everything else as the user wrote it.

use std::ops::ControlFlow;

use sqlparser::ast::AccessExpr;
use sqlparser::ast::Expr;
use sqlparser::ast::FunctionArg;
use sqlparser::ast::FunctionArgExpr;
use sqlparser::ast::FunctionArguments;
use sqlparser::ast::Ident;
use sqlparser::ast::ObjectName;
use sqlparser::ast::ObjectNamePart;
use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;
use sqlparser::ast::SelectItemQualifiedWildcardKind;
use sqlparser::ast::SetExpr;
use sqlparser::ast::TableFactor;
use sqlparser::ast::TableWithJoins;
use sqlparser::ast::Visit;
use sqlparser::ast::Visitor;
use sqlparser::tokenizer::Location;

use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::fold;
use crate::sql::names::alias_of;
use crate::sql::parse;
use crate::sql::scan;
use crate::sql::scope::Scopes;
use crate::sql::splice::Splices;
use crate::sql::tables;

/// What stands in the place of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// Another table.
    Table(TableName),
    /// A query, without brackets around it.
    Subquery(String),
}

impl Replacement {
    fn written(&self, dialect: Dialect) -> String {
        match self {
            Self::Table(table) => fold::quote_table(dialect, table),
            // A comment at the end must not swallow the bracket.
            Self::Subquery(query) if query.contains("--") || query.contains('#') => {
                format!("({query}\n)")
            }
            Self::Subquery(query) => format!("({query})"),
        }
    }
}

/// `text` with each table for which `replace` answers written as the replacement; everything else
/// stays byte for byte.
///
/// A table without an alias gets its own name as the alias, so `orders.x` still binds, and
/// `db.orders.x` in its scope becomes `"orders".x`. CTEs are never replaced. An opaque query is
/// replaced by a scan over its words: there, columns qualified with a schema stay as they are.
pub fn replace_tables(
    text: &str,
    dialect: Dialect,
    replace: &dyn Fn(&TableName) -> Option<Replacement>,
) -> String {
    let by_tree = parse::parse(text, dialect)
        .ok()
        .and_then(|tree| replace_by_tree(text, &tree, dialect, replace));
    by_tree.unwrap_or_else(|| replace_by_scan(text, dialect, replace))
}

fn replace_by_scan(
    text: &str,
    dialect: Dialect,
    replace: &dyn Fn(&TableName) -> Option<Replacement>,
) -> String {
    let mut splices = Splices::new(text);
    for reference in scan::references(text, dialect) {
        let Some(table) = fold::table_from_parts(reference.parts) else {
            continue;
        };
        if let Some(replacement) = replace(&table) {
            let mut written = replacement.written(dialect);
            if !reference.aliased {
                written.push_str(" AS ");
                written.push_str(&fold::quote(dialect, &table.name));
            }
            splices.replace(reference.at, written);
        }
    }
    splices.finish()
}

/// `None` when the parser's places do not lead back to the text.
fn replace_by_tree(
    text: &str,
    tree: &Query,
    dialect: Dialect,
    replace: &dyn Fn(&TableName) -> Option<Replacement>,
) -> Option<String> {
    let mut rewriter = Rewriter {
        dialect,
        replace,
        splices: Splices::new(text),
        scopes: Scopes::new(dialect),
        frames: Vec::new(),
        plain_bodies: Vec::new(),
    };
    match tree.visit(&mut rewriter) {
        ControlFlow::Continue(()) => Some(rewriter.splices.finish()),
        ControlFlow::Break(Lost) => None,
    }
}

/// The parser said that a name is where it is not.
struct Lost;

/// A relation of a SELECT.
struct Binding {
    start: Location,
    parts: Vec<String>,
    /// The alias that the replaced table gets; `None` when it stays, or has one of its own.
    alias: Option<String>,
}

struct Rewriter<'a> {
    dialect: Dialect,
    replace: &'a dyn Fn(&TableName) -> Option<Replacement>,
    splices: Splices<'a>,
    scopes: Scopes<()>,
    /// What each open query and SELECT binds, outermost first.
    frames: Vec<Vec<Binding>>,
    /// For each open query whether its body is one SELECT, whose names ORDER BY sees.
    plain_bodies: Vec<bool>,
}

impl Rewriter<'_> {
    fn replacement(&self, name: &ObjectName) -> Option<(Vec<String>, Replacement)> {
        if fold::is_file(name) {
            return None;
        }
        let parts = self.scopes.table_parts(name)?;
        // `FROM orders AS o, o.items`: a column.
        if tables::unnests_by_name(self.dialect)
            && parts.len() > 1
            && self
                .frames
                .iter()
                .flatten()
                .any(|binding| binding.parts == parts[..1])
        {
            return None;
        }
        let table = fold::table_from_parts(parts.clone())?;
        Some((parts, (self.replace)(&table)?))
    }

    fn bindings(&self, from: &[TableWithJoins]) -> Vec<Binding> {
        let mut bindings = Vec::new();
        for item in from {
            self.bind_joined(item, &mut bindings);
        }
        // `a.orders` and `b.orders` beside each other cannot both be called `orders`.
        for index in 0..bindings.len() {
            let name = bindings[index].parts.last().cloned();
            let taken = bindings
                .iter()
                .enumerate()
                .any(|(other, binding)| other != index && binding.parts.last() == name.as_ref());
            if taken && bindings[index].alias.is_some() {
                bindings[index].alias = Some(bindings[index].parts.join("__"));
            }
        }
        bindings
    }

    fn bind_joined(&self, item: &TableWithJoins, bindings: &mut Vec<Binding>) {
        self.bind(&item.relation, bindings);
        for join in &item.joins {
            self.bind(&join.relation, bindings);
        }
    }

    fn bind(&self, factor: &TableFactor, bindings: &mut Vec<Binding>) {
        if let Some(alias) = alias_of(factor) {
            bindings.push(Binding {
                start: alias.name.span.start,
                parts: vec![fold::fold_ident(self.dialect, &alias.name)],
                alias: None,
            });
            return;
        }
        match factor {
            TableFactor::Table { name, args, .. } => {
                let start = start_of(name);
                match self.replacement(name).filter(|_| args.is_none()) {
                    Some((parts, _)) => bindings.push(Binding {
                        start,
                        alias: parts.last().cloned(),
                        parts,
                    }),
                    None => bindings.push(Binding {
                        start,
                        parts: fold::fold_parts(self.dialect, name).unwrap_or_default(),
                        alias: None,
                    }),
                }
            }
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => self.bind_joined(table_with_joins, bindings),
            TableFactor::Pivot { table, .. }
            | TableFactor::Unpivot { table, .. }
            | TableFactor::MatchRecognize { table, .. } => self.bind(table, bindings),
            _ => {}
        }
    }

    /// Writes `db.orders` of `db.orders.x` as the alias of the replaced table.
    fn requalify(&mut self, qualifier: &[&Ident]) -> ControlFlow<Lost, bool> {
        let parts: Vec<String> = qualifier
            .iter()
            .map(|ident| fold::fold_ident(self.dialect, ident))
            .collect();
        let alias = self
            .frames
            .iter()
            .rev()
            .flatten()
            .filter(|binding| binding.parts.len() > 1)
            .find(|binding| binding.parts.ends_with(&parts) || parts.ends_with(&binding.parts))
            .and_then(|binding| binding.alias.clone());
        let Some(alias) = alias else {
            return ControlFlow::Continue(false);
        };
        match self.splices.name_range(qualifier) {
            Some(range) => {
                let written = fold::quote(self.dialect, &alias);
                self.splices.replace(range, written);
                ControlFlow::Continue(true)
            }
            None => ControlFlow::Break(Lost),
        }
    }

    /// `idents` is a column, perhaps with fields behind it.
    fn column(&mut self, idents: &[&Ident]) -> ControlFlow<Lost> {
        for length in (2..idents.len().min(4)).rev() {
            if self.requalify(&idents[..length])? {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    fn star(&mut self, name: &ObjectName) -> ControlFlow<Lost> {
        let idents = idents(name);
        if idents.len() > 1 {
            self.requalify(&idents)?;
        }
        ControlFlow::Continue(())
    }
}

fn idents(name: &ObjectName) -> Vec<&Ident> {
    name.0.iter().filter_map(ObjectNamePart::as_ident).collect()
}

fn start_of(name: &ObjectName) -> Location {
    idents(name)
        .first()
        .map_or_else(Location::empty, |ident| ident.span.start)
}

impl Visitor for Rewriter<'_> {
    type Break = Lost;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Lost> {
        self.scopes.enter(query, ());
        self.frames.push(Vec::new());
        self.plain_bodies
            .push(matches!(&*query.body, SetExpr::Select(_)));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<Lost> {
        self.scopes.leave(query, |_| ());
        self.frames.pop();
        self.plain_bodies.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Lost> {
        let bindings = self.bindings(&select.from);
        self.frames.push(bindings);
        for item in &select.projection {
            if let SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                _,
            ) = item
            {
                self.star(name)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<Lost> {
        let bindings = self.frames.pop().unwrap_or_default();
        if self.plain_bodies.last() == Some(&true)
            && let Some(frame) = self.frames.last_mut()
        {
            *frame = bindings;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Lost> {
        let TableFactor::Table {
            name,
            args: None,
            alias,
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let Some((parts, replacement)) = self.replacement(name) else {
            return ControlFlow::Continue(());
        };
        let Some(mut range) = self.splices.name_range(&idents(name)) else {
            return ControlFlow::Break(Lost);
        };
        let mut written = replacement.written(self.dialect);
        // Behind `TABLE` stands a bare name only.
        if let Some(start) = self.splices.table_word_before(range.start) {
            range.start = start;
            written.insert_str(0, "SELECT * FROM ");
        }
        if alias.is_none() {
            let start = start_of(name);
            let bound = self.frames.iter().rev().flatten();
            let alias = bound
                .filter(|binding| binding.start == start)
                .find_map(|binding| binding.alias.clone())
                .or_else(|| parts.last().cloned())
                .unwrap_or_default();
            written.push_str(" AS ");
            written.push_str(&fold::quote(self.dialect, &alias));
        }
        self.splices.replace(range, written);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Lost> {
        match expr {
            Expr::CompoundIdentifier(idents) => {
                let idents: Vec<&Ident> = idents.iter().collect();
                self.column(&idents)
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut idents: Vec<&Ident> = match &**root {
                    Expr::Identifier(ident) => vec![ident],
                    _ => return ControlFlow::Continue(()),
                };
                for access in access_chain {
                    match access {
                        AccessExpr::Dot(Expr::Identifier(ident)) => idents.push(ident),
                        AccessExpr::Dot(_) | AccessExpr::Subscript(_) => break,
                    }
                }
                self.column(&idents)
            }
            Expr::QualifiedWildcard(name, _) => self.star(name),
            Expr::Function(function) => {
                let FunctionArguments::List(list) = &function.args else {
                    return ControlFlow::Continue(());
                };
                for argument in &list.args {
                    let (FunctionArg::Unnamed(argument)
                    | FunctionArg::Named { arg: argument, .. }
                    | FunctionArg::ExprNamed { arg: argument, .. }) = argument;
                    if let FunctionArgExpr::QualifiedWildcard(name) = argument {
                        self.star(name)?;
                    }
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn physical(table: &TableName) -> Option<Replacement> {
        match table.plain().as_str() {
            "db.orders" => Some(Replacement::Table(TableName::new("phys", "o1"))),
            "db.lines" => Some(Replacement::Table(TableName::new("phys", "l 1"))),
            "other.orders" => Some(Replacement::Table(TableName::new("phys", "o2"))),
            "orders" => Some(Replacement::Subquery(
                "SELECT 10 AS id, 7 AS v -- end".to_owned(),
            )),
            _ => None,
        }
    }

    fn replaced(text: &str) -> String {
        replace_tables(text, Dialect::DuckDb, &physical)
    }

    /// Runs `text` where the tables have their own names, and the replaced text where they have
    /// not; both must give `rows`.
    fn means_the_same(text: &str, rows: &str) {
        let tables = "CREATE SCHEMA db; CREATE SCHEMA other; CREATE SCHEMA phys;
            CREATE TABLE {orders} AS SELECT * FROM (VALUES (1, 5), (2, 6), (2, NULL)) AS t(id, v);
            CREATE TABLE {lines} AS SELECT * FROM (VALUES (1, 'a'), (3, 'db.orders')) AS t(id, \"Odd Name\");
            CREATE TABLE {other} AS SELECT 100 AS id, 8 AS v;";
        let logical = tables
            .replace("{orders}", "db.orders")
            .replace("{lines}", "db.lines")
            .replace("{other}", "other.orders")
            + "CREATE TABLE orders AS SELECT 10 AS id, 7 AS v";
        let physical = tables
            .replace("{orders}", "phys.o1")
            .replace("{lines}", "phys.\"l 1\"")
            .replace("{other}", "phys.o2");
        assert_eq!(run(&logical, text), rows, "{text}");
        let text = replaced(text);
        assert_eq!(run(&physical, &text), rows, "{text}");
    }

    fn run(setup: &str, text: &str) -> String {
        let connection = duckdb::Connection::open_in_memory().unwrap();
        connection.execute_batch(setup).unwrap();
        let text = format!(
            "SELECT coalesce(string_agg(r::text, ' ' ORDER BY r::text), '') FROM ({text}\n) AS r"
        );
        connection
            .query_row(&text, [], |row| row.get(0))
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn only_the_tables_change() {
        assert_eq!(
            replaced("select  ID -- db.orders\nfrom db.Orders  where x = 'db.orders'"),
            "select  ID -- db.orders\nfrom \"phys\".\"o1\" AS \"orders\"  where x = 'db.orders'"
        );
        assert_eq!(
            replaced("SELECT 'é\r\n', * FROM /* ü */ \"db\".\"orders\" o JOIN unknown"),
            "SELECT 'é\r\n', * FROM /* ü */ \"phys\".\"o1\" o JOIN unknown"
        );
    }

    #[test]
    fn aliases_and_qualified_columns_still_bind() {
        means_the_same("SELECT id FROM db.orders WHERE orders.v = 5", "{'id': 1}");
        means_the_same(
            "SELECT db.orders.id FROM db.orders WHERE db.orders.v = 5 ORDER BY db.orders.id",
            "{'id': 1}",
        );
        means_the_same("SELECT o.id FROM db.orders AS o WHERE o.v = 5", "{'id': 1}");
        means_the_same(
            "SELECT lines.* FROM db.lines JOIN db.orders ON db.lines.id = db.orders.id",
            "{'id': 1, 'Odd Name': a}",
        );
        means_the_same(
            "SELECT \"lines\".\"Odd Name\" AS n FROM \"db\".\"lines\" WHERE id = 3",
            "{'n': db.orders}",
        );
        means_the_same("SELECT count(DB.Orders.v) AS n FROM db.ORDERS", "{'n': 2}");
    }

    #[test]
    fn self_joins_and_namesakes_stay_apart() {
        means_the_same(
            "SELECT a.v FROM db.orders a, db.orders b WHERE a.id = b.id AND b.v = 5",
            "{'v': 5}",
        );
        means_the_same(
            "SELECT db.orders.v + other.orders.v AS s FROM db.orders, other.orders WHERE db.orders.id = 1",
            "{'s': 13}",
        );
    }

    #[test]
    fn ctes_are_never_replaced() {
        means_the_same(
            "WITH orders AS (SELECT 3 AS id) SELECT id FROM orders",
            "{'id': 3}",
        );
        means_the_same(
            "WITH orders AS (SELECT id + 1 AS id FROM orders) SELECT orders.id FROM orders",
            "{'id': 11}",
        );
        means_the_same(
            "WITH x AS (SELECT id FROM orders) SELECT * FROM x, (WITH orders AS (SELECT 1 AS p) FROM orders), orders",
            "{'id': 10, 'p': 1, 'id_1': 10, 'v': 7}",
        );
        means_the_same(
            "WITH RECURSIVE orders AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM orders WHERE n < 2) SELECT max(n) AS n FROM orders",
            "{'n': 2}",
        );
    }

    #[test]
    fn tables_are_found_wherever_a_query_stands() {
        means_the_same("FROM db.orders WHERE v = 6", "{'id': 2, 'v': 6}");
        means_the_same(
            "SELECT (SELECT max(v) FROM db.orders) AS m FROM orders",
            "{'m': 6}",
        );
        means_the_same(
            "SELECT id FROM db.lines WHERE id IN (SELECT id FROM db.orders WHERE db.orders.id = db.lines.id)",
            "{'id': 1}",
        );
        means_the_same(
            "SELECT l.m FROM db.lines, LATERAL (SELECT max(v) AS m FROM db.orders WHERE db.orders.id = db.lines.id) AS l WHERE l.m > 0",
            "{'m': 5}",
        );
        means_the_same(
            "SELECT id FROM db.orders UNION ALL (SELECT id FROM orders) EXCEPT SELECT 2",
            "{'id': 10} {'id': 1}",
        );
        means_the_same(
            "SELECT id, v FROM db.orders QUALIFY row_number() OVER (PARTITION BY db.orders.id ORDER BY v NULLS FIRST) = 1",
            "{'id': 1, 'v': 5} {'id': 2, 'v': NULL}",
        );
    }

    #[test]
    fn a_subquery_may_end_with_a_comment() {
        means_the_same("SELECT orders.v FROM orders", "{'v': 7}");
        assert_eq!(
            replaced("FROM orders o"),
            "FROM (SELECT 10 AS id, 7 AS v -- end\n) o"
        );
    }

    #[test]
    fn opaque_queries_are_replaced_word_by_word() {
        let text = "SELECT orders.id, l.id AS x FROM db.orders LEFT JOIN db.lines l USING (id) USING SAMPLE 100%";
        assert!(parse::parse(text, Dialect::DuckDb).is_err());
        means_the_same(
            text,
            "{'id': 1, 'x': 1} {'id': 2, 'x': NULL} {'id': 2, 'x': NULL}",
        );
        means_the_same(
            "WITH orders AS (SELECT id FROM orders) SELECT id FROM orders, (SELECT 'FROM db.orders' AS t) USING SAMPLE 100%",
            "{'id': 10}",
        );
    }

    #[test]
    fn quotes_follow_the_dialect() {
        assert_eq!(
            replace_tables("SELECT 1 FROM `db.orders`", Dialect::BigQuery, &physical),
            "SELECT 1 FROM `phys`.`o1` AS `orders`"
        );
    }
}
