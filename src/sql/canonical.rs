//! One form for queries that differ only in spelling.
//!
//! What goes: comments, layout, case of keywords, case of unquoted identifiers (where the dialect
//! has none), quotes that change nothing, `x AS x`, `AS` or no `AS`, `INNER`, `OUTER`, FROM-first,
//! stars whose columns are known, and in conditions what `conditions.rs` lists. Nothing else: each of
//! these means the same on all data.

use std::ops::ControlFlow;

use sqlparser::ast::Expr;
use sqlparser::ast::Ident;
use sqlparser::ast::JoinConstraint;
use sqlparser::ast::JoinOperator;
use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::SelectFlavor;
use sqlparser::ast::SelectItem;
use sqlparser::ast::TableAlias;
use sqlparser::ast::TableFactor;
use sqlparser::ast::TableWithJoins;
use sqlparser::ast::VisitMut;
use sqlparser::ast::VisitorMut;
use sqlparser::ast::WildcardAdditionalOptions;
use sqlparser::keywords::ALL_KEYWORDS;

use crate::sql::Dialect;
use crate::sql::columns;
use crate::sql::columns::Ctes;
use crate::sql::columns::Expanded;
use crate::sql::columns::Resolver;
use crate::sql::conditions;
use crate::sql::fold;
use crate::sql::hazards;
use crate::sql::scan;
use crate::sql::scope::Scopes;

/// The canonical tree.
pub(super) fn tree(query: &Query, resolver: Resolver<'_>) -> Query {
    let mut query = query.clone();
    let mut rewriter = Rewriter {
        resolver,
        scopes: Scopes::new(resolver.dialect),
    };
    // The visitor never breaks.
    let _: ControlFlow<()> = query.visit(&mut rewriter);
    query
}

/// The canonical text of what has no tree: whitespace and comments outside of quotes become one
/// space. Where quoting rules are not certain the text stays as it is.
pub(super) fn text(text: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::DuckDb | Dialect::Postgres | Dialect::Redshift => {
            scan::squeeze(text, dialect).unwrap_or_else(|| text.to_owned())
        }
        _ => text.to_owned(),
    }
}

struct Rewriter<'a> {
    resolver: Resolver<'a>,
    scopes: Scopes<Option<Vec<String>>>,
}

impl Rewriter<'_> {
    fn expand_stars(&self, select: &mut Select) {
        if !select.projection.iter().any(is_star) || select.exclude.is_some() {
            return;
        }
        let ctes: Ctes = self.scopes.visible();
        let mut projection = Vec::new();
        for item in &select.projection {
            let expanded = self
                .resolver
                .expand(item, select, &ctes)
                .and_then(|columns| written_out(&columns, one_relation(&select.from)));
            match expanded {
                Some(items) => projection.extend(items),
                None => projection.push(item.clone()),
            }
        }
        select.projection = projection;
    }
}

/// The items for the columns of a star; `None` when one of them has no certain spelling.
fn written_out(columns: &[Expanded<'_>], one_relation: bool) -> Option<Vec<SelectItem>> {
    let quoted = |name: &str| Ident::with_quote('"', name);
    columns
        .iter()
        .map(|expanded| {
            let column = &expanded.column;
            // A merged column may be either side's, or the first that is not NULL.
            if column.merged || (!one_relation && column.relation.is_empty()) {
                return None;
            }
            let expr = match expanded.replacement {
                Some(expr) => expr.clone(),
                None if one_relation => Expr::Identifier(quoted(&column.name)),
                None => {
                    Expr::CompoundIdentifier(vec![quoted(&column.relation), quoted(&column.name)])
                }
            };
            if expanded.replacement.is_none() && expanded.name == column.name {
                Some(SelectItem::UnnamedExpr(expr))
            } else {
                let alias = quoted(&expanded.name);
                Some(SelectItem::ExprWithAlias { expr, alias })
            }
        })
        .collect()
}

fn is_star(item: &SelectItem) -> bool {
    matches!(
        item,
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
    )
}

fn one_relation(from: &[TableWithJoins]) -> bool {
    matches!(from, [only] if only.joins.is_empty()
        && !matches!(only.relation, TableFactor::NestedJoin { .. }))
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.scopes.enter(query, None);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let columns = if self.scopes.is_cte_body(query) {
            self.resolver.query(query, &self.scopes.visible())
        } else {
            None
        };
        self.scopes
            .leave(query, |aliases| columns::renamed(columns, aliases));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        match select.flavor {
            SelectFlavor::Standard => {}
            SelectFlavor::FromFirst => select.flavor = SelectFlavor::Standard,
            SelectFlavor::FromFirstNoSelect => {
                select.flavor = SelectFlavor::Standard;
                select.projection =
                    vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
            }
        }
        for item in &mut select.from {
            plain_joins(item);
        }
        self.expand_stars(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let dialect = self.resolver.dialect;
        let clauses = [
            &mut select.selection,
            &mut select.having,
            &mut select.qualify,
        ];
        for condition in clauses.into_iter().flatten() {
            conditions::plain(condition, dialect);
        }
        for item in &mut select.from {
            plain_constraints(item, dialect);
        }
        for item in &mut select.projection {
            if let SelectItem::ExprWithAlias { expr, alias } = item
                && last_name(expr).is_some_and(|name| name == alias)
            {
                let expr = std::mem::replace(expr, Expr::Tuple(Vec::new()));
                *item = SelectItem::UnnamedExpr(expr);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = factor
        {
            plain_joins(table_with_joins);
        }
        if let Some(alias) = alias_mut(factor) {
            alias.explicit = true;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = factor
        {
            plain_constraints(table_with_joins, self.resolver.dialect);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_ident(&mut self, ident: &mut Ident) -> ControlFlow<()> {
        plain_identifier(ident, self.resolver.dialect);
        ControlFlow::Continue(())
    }
}

fn last_name(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    }
}

fn plain_joins(item: &mut TableWithJoins) {
    for join in &mut item.joins {
        let (JoinOperator::Join(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::RightOuter(constraint)) = &mut join.join_operator
        else {
            continue;
        };
        let constraint = std::mem::replace(constraint, JoinConstraint::None);
        join.join_operator = match &join.join_operator {
            JoinOperator::LeftOuter(_) => JoinOperator::Left(constraint),
            JoinOperator::RightOuter(_) => JoinOperator::Right(constraint),
            _ => JoinOperator::Inner(constraint),
        };
    }
}

fn plain_constraints(item: &mut TableWithJoins, dialect: Dialect) {
    for join in &mut item.joins {
        if let Some(JoinConstraint::On(condition)) =
            hazards::constraint_mut(&mut join.join_operator)
        {
            conditions::plain(condition, dialect);
        }
    }
}

fn plain_identifier(ident: &mut Ident, dialect: Dialect) {
    let simple = is_simple(&ident.value);
    match ident.quote_style {
        // A text, or a path that may depend on case.
        Some('\'') => {}
        None if !simple => {}
        None => {
            if fold::folds_columns(dialect) {
                ident.value = fold::fold(dialect, &ident.value, false);
            }
        }
        Some(_) => {
            if fold::folds_columns(dialect) {
                ident.value = fold::fold(dialect, &ident.value, true);
            }
            let same_without = !fold::folds_columns(dialect)
                || fold::fold(dialect, &ident.value, false) == ident.value;
            ident.quote_style = if simple && same_without && is_only_a_name(&ident.value) {
                None
            } else {
                Some('"')
            };
        }
    }
}

fn is_simple(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a name means the same with quotes and without.
fn is_only_a_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    ALL_KEYWORDS.binary_search(&upper.as_str()).is_err() || NAMES.contains(&upper.as_str())
}

/// Keywords that are common names of columns and, standing alone in an expression, nothing else.
const NAMES: &[&str] = &[
    "COMMENT", "DATA", "DOMAIN", "EVENT", "FORMAT", "HASH", "ID", "KEY", "LABEL", "LEVEL",
    "LOCATION", "MESSAGE", "METHOD", "NAME", "OWNER", "PLAN", "PRIORITY", "REGION", "ROLE",
    "SOURCE", "STAGE", "STATUS", "STEP", "TAG", "TYPE", "URL", "VALUE", "VERSION", "YEAR", "MONTH",
    "DAY", "HOUR",
];

fn alias_mut(factor: &mut TableFactor) -> Option<&mut TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::JsonTable { alias, .. }
        | TableFactor::OpenJsonTable { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. }
        | TableFactor::MatchRecognize { alias, .. }
        | TableFactor::XmlTable { alias, .. }
        | TableFactor::SemanticView { alias, .. } => alias.as_mut(),
        TableFactor::UnpivotExpr { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::Dialect;
    use crate::sql::Query;
    use crate::sql::TableName;

    fn known(table: &TableName) -> Option<Vec<String>> {
        match table.name.as_str() {
            "a" => Some(vec!["x".to_owned(), "k".to_owned()]),
            "b" => Some(vec!["k".to_owned(), "y z".to_owned()]),
            _ => None,
        }
    }

    fn form(text: &str) -> String {
        let query = Query::parse(text, Dialect::DuckDb);
        assert_eq!(query.opaque_reason(), None, "{text}");
        query.canonical(&known)
    }

    #[test]
    fn spelling_does_not_matter() {
        for (left, right) in [
            (
                "select  A\n, b -- note\nfrom T",
                "SELECT a, b /* other */ FROM t;",
            ),
            ("SELECT a AS a, t.b b FROM t t", "SELECT a, t.b FROM t AS t"),
            ("SELECT \"a\" FROM \"T\"", "SELECT a FROM t"),
            (
                "SELECT SUM(x) AS n FROM t LEFT OUTER JOIN u ON 1 = 1",
                "select sum(x) n from t left join u on 1=1",
            ),
            ("FROM t SELECT q", "SELECT q FROM t"),
            ("FROM t", "SELECT * FROM t"),
            ("SELECT * FROM a", "SELECT x, k FROM a"),
            (
                "SELECT * FROM a, b",
                "SELECT a.x, a.k, b.k, b.\"y z\" FROM a, b",
            ),
            ("SELECT a.* EXCLUDE (x) FROM a", "SELECT k FROM a"),
            (
                "SELECT * REPLACE (k + 1 AS k) FROM a",
                "SELECT x, k + 1 AS k FROM a",
            ),
            (
                "WITH c AS (FROM a) FROM c",
                "WITH c AS (SELECT x, k FROM a) SELECT x, k FROM c",
            ),
            (
                "WITH c(p) AS (FROM a) FROM c",
                "WITH c(p) AS (SELECT x, k FROM a) SELECT p, k FROM c",
            ),
        ] {
            assert_eq!(form(left), form(right));
        }
    }

    #[test]
    fn a_common_name_needs_no_quotes() {
        let connection = duckdb::Connection::open_in_memory().unwrap();
        for name in super::NAMES {
            let name = name.to_lowercase();
            connection
                .execute_batch(&format!(
                    "CREATE OR REPLACE TABLE t ({name} INT, other INT); INSERT INTO t VALUES (7, 8)"
                ))
                .unwrap();
            let [plain, quoted] = [name.clone(), format!("\"{name}\"")]
                .map(|name| format!("SELECT {name}, t.{name} AS q FROM t WHERE {name} = 7"));
            assert_eq!(form(&plain), form(&quoted));
            assert_eq!(form(&form(&plain)), form(&plain));
            for text in [plain, quoted] {
                let value = |row: &duckdb::Row<'_>| Ok((row.get(0)?, row.get(1)?));
                let found: (i32, i32) = connection.query_row(&text, [], value).unwrap();
                assert_eq!(found, (7, 7), "{text}");
            }
        }
    }

    /// Conditions with one meaning, and others, over all combinations of values and NULLs.
    #[test]
    fn conditions_have_one_spelling() {
        let same = [
            ("x > 1", "(x > 1)"),
            ("x > 1", "((x > 1))"),
            ("x > 1 AND k = 2", "k = 2 AND (x > 1)"),
            ("x > 1 AND (k = 2 AND y < 1)", "(y < 1 AND x > 1) AND k = 2"),
            ("x > 1", "NOT x <= 1"),
            ("x > 1 AND k <> 2", "NOT (k = 2) AND NOT (x <= 1)"),
            ("(x > 1 OR k = 2) AND y = 1", "y = 1 AND (x > 1 OR k = 2)"),
            ("x > 1 OR k = 2", "(x > 1 OR k = 2)"),
            ("NOT x IS NULL AND k = 1", "k = 1 AND NOT (x IS NULL)"),
        ];
        let other = [
            ("x > 1 OR k = 2 AND y = 1", "(x > 1 OR k = 2) AND y = 1"),
            ("NOT x = 1 AND k = 2", "NOT (x = 1 AND k = 2)"),
            ("NOT (x > 1 OR k = 2)", "NOT x > 1 OR k = 2"),
            ("x > 1", "NOT x < 1"),
            ("x > 1 OR k = 2", "x > 1 AND k = 2"),
        ];
        let connection = duckdb::Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE v AS SELECT unnest([NULL, 0, 1, 2, 'nan'::DOUBLE]) AS x; \
                 CREATE TABLE t AS SELECT a.x, b.x AS k, c.x AS y FROM v a, v b, v c",
            )
            .unwrap();
        let query = |condition: &str| format!("SELECT x, k, y FROM t WHERE {condition}");
        let rows = |text: &str| -> Vec<String> {
            let text = format!("SELECT r::text FROM ({text}) AS r ORDER BY 1");
            let mut statement = connection.prepare(&text).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        for (left, right) in same {
            let (left, right) = (query(left), query(right));
            assert_eq!(form(&left), form(&right));
            assert_eq!(form(&form(&left)), form(&left));
            let expected = rows(&left);
            for text in [right.clone(), form(&left), form(&right)] {
                assert_eq!(rows(&text), expected, "{text}");
            }
        }
        for (left, right) in other {
            let (left, right) = (query(left), query(right));
            assert_ne!(form(&left), form(&right));
            assert_ne!(rows(&left), rows(&right));
            for text in [left, right] {
                assert_eq!(rows(&form(&text)), rows(&text), "{text}");
            }
        }
    }

    #[test]
    fn meaning_matters() {
        for (left, right) in [
            ("SELECT 'A'", "SELECT 'a'"),
            ("SELECT 'a  b'", "SELECT 'a b'"),
            ("SELECT a FROM t", "SELECT b FROM t"),
            ("SELECT a, b FROM t", "SELECT b, a FROM t"),
            (
                "SELECT a FROM t LEFT JOIN u ON p",
                "SELECT a FROM t JOIN u ON p",
            ),
            ("SELECT a AS b FROM t", "SELECT a FROM t"),
            (
                "SELECT \"current_date\" FROM t",
                "SELECT current_date FROM t",
            ),
            ("SELECT (a - b) - c FROM t", "SELECT a - (b - c) FROM t"),
            (
                "SELECT a FROM t UNION SELECT a FROM u",
                "SELECT a FROM t UNION ALL SELECT a FROM u",
            ),
        ] {
            assert_ne!(form(left), form(right));
        }
    }

    #[test]
    fn what_is_not_known_stays_a_star() {
        assert_eq!(form("select * from other"), "SELECT * FROM other");
        assert_eq!(
            form("SELECT * FROM a JOIN b USING (k)"),
            "SELECT * FROM a INNER JOIN b USING(k)"
        );
    }

    #[test]
    fn the_canonical_text_reads_back_to_itself() {
        for text in [
            "WITH c AS (SELECT a, sum(b) OVER (PARTITION BY a ORDER BY b) s FROM t) SELECT * FROM c WHERE s > 1",
            "SELECT CASE WHEN a THEN 'x''y' END, [1,2][1], {'k': 1}, x::int, \"Odd Name\" FROM t GROUP BY ALL",
        ] {
            let once = form(text);
            assert_eq!(form(&once), once);
        }
    }

    #[test]
    fn an_opaque_text_loses_its_layout_only() {
        let form = |text: &str| Query::parse(text, Dialect::DuckDb).canonical(&known);
        assert_eq!(
            form("FROM a  POSITIONAL JOIN b -- c"),
            "FROM a POSITIONAL JOIN b"
        );
        assert_ne!(
            form("FROM a POSITIONAL JOIN b"),
            form("FROM A POSITIONAL JOIN b")
        );
    }
}
