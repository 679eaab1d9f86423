//! Which tables a tree reads.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::TableFactor;
use sqlparser::ast::TableWithJoins;
use sqlparser::ast::Visit;
use sqlparser::ast::Visitor;

use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::fold;
use crate::sql::scope::Scopes;

/// Every table that the query reads in any scope, without CTEs, functions and files.
pub(super) fn tables(query: &Query, dialect: Dialect) -> BTreeSet<TableName> {
    let mut collector = Collector {
        dialect,
        scopes: Scopes::new(dialect),
        aliases: Vec::new(),
        tables: BTreeSet::new(),
    };
    // The visitor never breaks.
    let _: ControlFlow<()> = query.visit(&mut collector);
    collector.tables
}

struct Collector {
    dialect: Dialect,
    scopes: Scopes<()>,
    /// The names that each open SELECT binds, where a dotted name may start with one.
    aliases: Vec<Vec<String>>,
    tables: BTreeSet<TableName>,
}

impl Visitor for Collector {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.enter(query, ());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.leave(query, |_| ());
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.aliases.push(if unnests_by_name(self.dialect) {
            bound_names(&select.from, self.dialect)
        } else {
            Vec::new()
        });
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<()> {
        self.aliases.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (TableFactor::Table {
            name, args: None, ..
        }
        | TableFactor::SemanticView { name, .. }) = factor
        else {
            return ControlFlow::Continue(());
        };
        if fold::is_file(name) {
            return ControlFlow::Continue(());
        }
        if let Some(parts) = self.scopes.table_parts(name) {
            let is_column = parts.len() > 1
                && self
                    .aliases
                    .iter()
                    .flatten()
                    .any(|alias| *alias == parts[0]);
            if !is_column {
                self.tables.extend(fold::table_from_parts(parts));
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether `FROM orders AS o, o.items` reads the column `items` of `o`.
pub(super) fn unnests_by_name(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::BigQuery | Dialect::Redshift)
}

fn bound_names(from: &[TableWithJoins], dialect: Dialect) -> Vec<String> {
    let factors = from.iter().flat_map(|item| {
        std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation))
    });
    factors
        .filter_map(|factor| match factor {
            TableFactor::Table {
                alias: Some(alias), ..
            }
            | TableFactor::Derived {
                alias: Some(alias), ..
            } => Some(fold::fold_ident(dialect, &alias.name)),
            TableFactor::Table {
                name, alias: None, ..
            } => fold::fold_parts(dialect, name)?.pop(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::sql::Dialect;
    use crate::sql::Query;
    use crate::sql::TableName;

    fn tables(text: &str, dialect: Dialect) -> Vec<String> {
        let query = Query::parse(text, dialect);
        assert_eq!(query.opaque_reason(), None, "{text}");
        query.tables().iter().map(TableName::plain).collect()
    }

    fn duckdb(text: &str) -> Vec<String> {
        tables(text, Dialect::DuckDb)
    }

    #[test]
    fn every_scope_is_read() {
        let text = "WITH x AS (SELECT * FROM a.one) SELECT (SELECT max(v) FROM two), y.z FROM x \
            JOIN (SELECT * FROM three) AS y ON y.z IN (SELECT z FROM c.d.four), \
            LATERAL (SELECT * FROM five) AS l \
            WHERE EXISTS (FROM six) UNION ALL SELECT 1, 2 FROM SEVEN";
        assert_eq!(
            duckdb(text),
            ["five", "seven", "six", "three", "two", "a.one", "c.d.four"]
        );
    }

    #[test]
    fn a_cte_is_no_table_where_it_is_visible() {
        assert!(duckdb("WITH a AS (SELECT 1 AS x) SELECT * FROM A").is_empty());
        assert_eq!(duckdb("WITH a AS (SELECT * FROM a) SELECT * FROM a"), ["a"]);
        assert!(
            duckdb("WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x FROM a) FROM a")
                .is_empty()
        );
        assert_eq!(
            duckdb("WITH a AS (SELECT * FROM b), b AS (SELECT 1) FROM a, b"),
            ["b"]
        );
        assert_eq!(
            duckdb("SELECT * FROM (WITH a AS (SELECT 1) FROM a) AS x, a"),
            ["a"]
        );
        assert_eq!(duckdb("WITH a AS (SELECT 1) SELECT * FROM s.a"), ["s.a"]);
    }

    #[test]
    fn functions_and_files_are_no_tables() {
        assert!(
            duckdb("SELECT * FROM read_parquet('x/*.parquet'), unnest([1, 2]) AS u(n)").is_empty()
        );
        assert!(duckdb("SELECT * FROM 'data.csv'").is_empty());
        assert_eq!(
            tables(
                "SELECT i FROM ds.orders AS o, o.items AS i",
                Dialect::BigQuery
            ),
            ["ds.orders"]
        );
    }

    #[test]
    fn names_have_the_case_that_the_dialect_stores() {
        let text = "SELECT * FROM Sch.Orders, \"Sch\".\"Lines\"";
        assert_eq!(tables(text, Dialect::Postgres), ["Sch.Lines", "sch.orders"]);
        assert_eq!(
            tables(text, Dialect::Snowflake),
            ["SCH.ORDERS", "Sch.Lines"]
        );
        assert_eq!(duckdb(text), ["sch.lines", "sch.orders"]);
    }
}
