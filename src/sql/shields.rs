//! Whether a query takes no notice of columns that a parent gains.
//!
//! The argument. A query reads a parent's column in two ways: by name, or with all others at once.
//! All at once (stars, NATURAL JOIN, PIVOT, a row as a value, columns renamed by position) is
//! refused. By name: a name that the parent has not had yet was looked up elsewhere so far, so it
//! may not occur as a column in any SELECT that reads the parent, nor in a subquery of one, unless
//! it is qualified by another relation. Where names are only given (`x AS z`) nothing is looked up.

use std::ops::ControlFlow;

use sqlparser::ast::Expr;
use sqlparser::ast::Join;
use sqlparser::ast::JoinConstraint;
use sqlparser::ast::ObjectName;
use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::SelectFlavor;
use sqlparser::ast::SelectItem;
use sqlparser::ast::SetExpr;
use sqlparser::ast::TableFactor;
use sqlparser::ast::TableWithJoins;
use sqlparser::ast::Visit;
use sqlparser::ast::Visitor;

use crate::sql::Query as ParsedQuery;
use crate::sql::TableName;
use crate::sql::columns;
use crate::sql::columns::ColumnsOf;
use crate::sql::columns::Resolver;
use crate::sql::fold;
use crate::sql::hazards;
use crate::sql::scope::Scopes;

impl ParsedQuery {
    /// `Ok` when the query provably gives the same rows and columns after `parent` gained the
    /// columns `added` (and nothing else happened to it); else the reason in half a sentence.
    pub fn shields_from_added(
        &self,
        parent: &TableName,
        added: &[String],
        columns_of: ColumnsOf<'_>,
    ) -> Result<(), String> {
        let tree = match self.tree() {
            Ok(tree) => tree,
            Err(reason) => return Err(format!("the query is opaque ({reason})")),
        };
        if !self.tables().contains(parent) {
            return Ok(());
        }
        let mut shield = Shield {
            parent,
            added: added.iter().map(|name| name.to_ascii_lowercase()).collect(),
            resolver: self.resolver(columns_of),
            scopes: Scopes::new(self.dialect()),
            frames: Vec::new(),
            plain_bodies: Vec::new(),
        };
        match tree.visit(&mut shield) {
            ControlFlow::Break(reason) => Err(reason),
            ControlFlow::Continue(()) => Ok(()),
        }
    }
}

struct Shield<'a> {
    parent: &'a TableName,
    /// In lower case.
    added: Vec<String>,
    resolver: Resolver<'a>,
    scopes: Scopes<()>,
    /// For each open query and SELECT what it binds.
    frames: Vec<Frame>,
    /// For each open query whether its body is one SELECT, whose columns ORDER BY sees.
    plain_bodies: Vec<bool>,
}

#[derive(Default)]
struct Frame {
    /// The names of the parent here, in lower case.
    parents: Vec<String>,
    /// The names of everything else.
    others: Vec<String>,
}

impl Shield<'_> {
    fn is_parent(&self, name: &ObjectName) -> bool {
        self.scopes
            .table_parts(name)
            .and_then(fold::table_from_parts)
            .is_some_and(|table| table == *self.parent)
    }

    fn bind(&self, item: &TableWithJoins, frame: &mut Frame) {
        let joined = item.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&item.relation).chain(joined) {
            self.bind_factor(factor, frame);
        }
    }

    fn bind_factor(&self, factor: &TableFactor, frame: &mut Frame) {
        let lower = |ident: &sqlparser::ast::Ident| ident.value.to_ascii_lowercase();
        let alias = columns::alias_of(factor).map(|alias| lower(&alias.name));
        match factor {
            TableFactor::Table {
                name, args: None, ..
            } => {
                let last = name.0.last().and_then(|part| part.as_ident()).map(lower);
                let bound = alias.or(last).unwrap_or_default();
                if self.is_parent(name) {
                    frame.parents.push(bound);
                } else {
                    frame.others.push(bound);
                }
            }
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => {
                let mut nested = Frame::default();
                self.bind(table_with_joins, &mut nested);
                // Under an alias the whole join is what has the parent's columns.
                match alias {
                    Some(alias) if nested.parents.is_empty() => frame.others.push(alias),
                    Some(alias) => frame.parents.push(alias),
                    None => {
                        frame.parents.append(&mut nested.parents);
                        frame.others.append(&mut nested.others);
                    }
                }
            }
            _ => frame.others.extend(alias),
        }
    }

    /// Whether a column looked up here may be found in the parent.
    fn sees_parent(&self) -> bool {
        self.frames.iter().any(|frame| !frame.parents.is_empty())
    }

    fn is_added(&self, name: &str) -> bool {
        self.added.contains(&name.to_ascii_lowercase())
    }

    fn is_parent_name(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.frames
            .iter()
            .any(|frame| frame.parents.contains(&name))
    }

    fn identifier(&self, name: &str) -> ControlFlow<String> {
        if !self.sees_parent() {
            return ControlFlow::Continue(());
        }
        if self.is_added(name) {
            return ControlFlow::Break(format!("it uses the name `{name}` already"));
        }
        if self.is_parent_name(name) {
            // A column of that name wins over the row.
            let known = self.resolver.table(self.parent);
            let is_column =
                known.is_some_and(|known| known.iter().any(|k| k.eq_ignore_ascii_case(name)));
            if !is_column {
                return ControlFlow::Break(format!("it reads whole rows of `{name}`"));
            }
        }
        ControlFlow::Continue(())
    }

    fn join(&self, join: &Join) -> ControlFlow<String> {
        match hazards::constraint(&join.join_operator) {
            Some(JoinConstraint::Natural) => ControlFlow::Break("it has a NATURAL JOIN".to_owned()),
            Some(JoinConstraint::Using(names)) => {
                let idents = names.iter().flat_map(|name| &name.0);
                for ident in idents.filter_map(|part| part.as_ident()) {
                    if self.is_added(&ident.value) {
                        return ControlFlow::Break(format!("it joins USING `{}`", ident.value));
                    }
                }
                ControlFlow::Continue(())
            }
            Some(JoinConstraint::On(_) | JoinConstraint::None) | None => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Shield<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.scopes.enter(query, ());
        self.frames.push(Frame::default());
        self.plain_bodies
            .push(matches!(&*query.body, SetExpr::Select(_)));
        if !query.pipe_operators.is_empty() {
            return ControlFlow::Break("it has pipe operators".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.scopes.leave(query, |_| ());
        self.frames.pop();
        self.plain_bodies.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        let mut frame = Frame::default();
        for item in &select.from {
            self.bind(item, &mut frame);
        }
        let reads_parent = !frame.parents.is_empty();
        let stars = select.projection.iter().any(|item| match item {
            SelectItem::Wildcard(_) => true,
            // A name that binds another relation covers that one alone.
            SelectItem::QualifiedWildcard(kind, _) => {
                let name = kind.to_string().trim_end_matches(".*").to_ascii_lowercase();
                !frame.others.contains(&name) || frame.parents.contains(&name)
            }
            SelectItem::UnnamedExpr(_)
            | SelectItem::ExprWithAlias { .. }
            | SelectItem::ExprWithAliases { .. } => false,
        });
        let stars = stars || select.flavor == SelectFlavor::FromFirstNoSelect;
        if stars && (reads_parent || !select.lateral_views.is_empty()) {
            return ControlFlow::Break("a `*` covers it".to_owned());
        }
        self.frames.push(frame);
        if self.sees_parent() {
            for item in &select.from {
                for join in &item.joins {
                    self.join(join)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<String> {
        let frame = self.frames.pop().unwrap_or_default();
        if self.plain_bodies.last() == Some(&true)
            && let Some(outer) = self.frames.last_mut()
        {
            *outer = frame;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table {
                name,
                alias: Some(alias),
                ..
            } if !alias.columns.is_empty() && self.is_parent(name) => {
                ControlFlow::Break("its columns are renamed by position".to_owned())
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                if self.sees_parent() {
                    for join in &table_with_joins.joins {
                        self.join(join)?;
                    }
                }
                match alias {
                    Some(alias) if !alias.columns.is_empty() => {
                        ControlFlow::Break("columns of a join are renamed by position".to_owned())
                    }
                    _ => ControlFlow::Continue(()),
                }
            }
            TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::SemanticView { .. } => {
                ControlFlow::Break("it builds a relation from all columns of another".to_owned())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::Identifier(ident) => self.identifier(&ident.value),
            Expr::CompoundIdentifier(parts) => {
                let Some((first, rest)) = parts.split_first() else {
                    return ControlFlow::Continue(());
                };
                if self.sees_parent() && self.is_added(&first.value) {
                    return ControlFlow::Break(format!(
                        "it uses the name `{}` already",
                        first.value
                    ));
                }
                // `a.z`, `db.a.z`: a path into the parent.
                let into_parent = parts.iter().any(|part| self.is_parent_name(&part.value));
                match rest.iter().find(|part| self.is_added(&part.value)) {
                    Some(part) if into_parent => {
                        ControlFlow::Break(format!("it uses the name `{}` already", part.value))
                    }
                    _ => {
                        let last_is_parent = rest
                            .last()
                            .is_some_and(|last| self.is_parent_name(&last.value));
                        let qualified = self.parent.schema.as_deref().is_some_and(|schema| {
                            parts.len() > 1
                                && parts[parts.len() - 2].value.eq_ignore_ascii_case(schema)
                        });
                        if last_is_parent && qualified {
                            return ControlFlow::Break(format!(
                                "it reads whole rows of `{}`",
                                self.parent.plain()
                            ));
                        }
                        ControlFlow::Continue(())
                    }
                }
            }
            Expr::Function(function) if hazards::reads_all_columns(function) => ControlFlow::Break(
                format!("`{}` reads all columns", columns::function_name(function)),
            ),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                ControlFlow::Break("a `*` covers it".to_owned())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;

    fn shields(text: &str) -> Result<(), String> {
        let query = ParsedQuery::parse(text, Dialect::DuckDb);
        let parent = TableName::new("db", "a");
        let known = |table: &TableName| match table.name.as_str() {
            "a" => Some(vec!["x".to_owned(), "k".to_owned()]),
            "b" => Some(vec!["z".to_owned(), "k".to_owned()]),
            _ => None,
        };
        query.shields_from_added(&parent, &["Z".to_owned()], &known)
    }

    /// Queries over `db.a (x, k)`, which gains `z`, and `b (z, k)`.
    const SHIELDED: &[&str] = &[
        "SELECT x, k FROM db.a",
        "SELECT o.x, b.z FROM db.a AS o JOIN b ON o.k = b.k",
        "SELECT x AS z FROM db.a",
        "SELECT a.x FROM db.a JOIN b USING (k)",
        "SELECT count(*) AS n FROM db.a",
        "SELECT z FROM b WHERE k > (SELECT 0)",
        "WITH c AS (SELECT x, k FROM db.a) SELECT c.*, z FROM c, b",
        "WITH c AS (SELECT x AS z FROM db.a) SELECT z FROM c",
        "SELECT b.* FROM db.a, b",
        "SELECT DISTINCT x FROM db.a UNION SELECT k FROM db.a",
        "SELECT x FROM db.a GROUP BY ALL ORDER BY ALL",
        "SELECT x FROM db.a ORDER BY x LIMIT 1",
        "SELECT x FROM db.a WHERE EXISTS (SELECT 1 FROM b WHERE b.z = a.x)",
    ];

    const NOT_SHIELDED: &[&str] = &[
        "SELECT * FROM db.a",
        "FROM db.a",
        "SELECT o.* FROM db.a AS o, b",
        "SELECT * EXCLUDE (x) FROM db.a",
        "SELECT * FROM b JOIN (SELECT * FROM db.a) AS o USING (k)",
        "WITH c AS (FROM db.a) SELECT x FROM c",
        "SELECT x FROM db.a NATURAL JOIN b",
        "SELECT a.x, z FROM db.a JOIN b ON a.k = b.k",
        "SELECT x AS z, z + 1 AS w FROM db.a",
        "SELECT x AS z FROM db.a ORDER BY z LIMIT 1",
        "SELECT (SELECT max(z) FROM db.a) AS m FROM b",
        "SELECT p FROM db.a AS o(p, q)",
        "SELECT a FROM db.a",
        "SELECT o AS whole FROM db.a AS o",
        "SELECT x, COLUMNS('z') FROM db.a JOIN b USING (k)",
        "SELECT max(COLUMNS(*)) FROM db.a",
        "SELECT x FROM db.a POSITIONAL JOIN b",
        "SELECT x FROM (SELECT x, k FROM db.a) AS s JOIN db.a AS o USING (x, z)",
    ];

    #[test]
    fn queries_that_name_other_columns_take_no_notice() {
        for text in SHIELDED {
            assert_eq!(shields(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn queries_that_may_see_the_column_are_refused() {
        for text in NOT_SHIELDED {
            assert!(shields(text).is_err(), "{text}");
        }
        assert_eq!(
            shields("SELECT a.x, z FROM db.a JOIN b ON a.k = b.k"),
            Err("it uses the name `z` already".to_owned())
        );
    }

    #[test]
    fn a_query_of_other_tables_takes_no_notice() {
        assert_eq!(shields("SELECT *, z FROM b NATURAL JOIN c"), Ok(()));
    }

    #[test]
    fn shielded_queries_give_the_same_table_in_duckdb() {
        for text in SHIELDED {
            let connection = duckdb::Connection::open_in_memory().unwrap();
            connection
                .execute_batch(
                    "CREATE SCHEMA db; CREATE TABLE db.a AS SELECT * FROM (VALUES (1, 1), (1, 2), \
                       (NULL, 2)) AS v(x, k); \
                     CREATE TABLE b AS SELECT * FROM (VALUES (1, 1), (7, 2)) AS v(z, k)",
                )
                .unwrap();
            let table = || -> Vec<String> {
                let text = format!("SELECT r::text FROM ({text}) AS r ORDER BY 1");
                let mut statement = connection.prepare(&text).unwrap();
                let rows = statement.query_map([], |row| row.get(0)).unwrap();
                rows.map(Result::unwrap).collect()
            };
            let before = table();
            connection
                .execute_batch("ALTER TABLE db.a ADD COLUMN z INT DEFAULT 42")
                .unwrap();
            assert_eq!(table(), before, "{text}");
        }
    }
}
