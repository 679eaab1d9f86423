//! One query, read once.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlparser::ast;

use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::canonical;
use crate::sql::columns::ColumnsOf;
use crate::sql::columns::Resolver;
use crate::sql::parse;
use crate::sql::scan;
use crate::sql::tables;
use crate::sql::volatile;

/// A query that was read once; cheap to clone and to share between threads.
///
/// What the parser cannot read is *opaque*: its text is kept, its tables come from a scan over its
/// words, and every question that would need its meaning is answered with "unknown".
#[derive(Clone, Debug)]
pub struct Query {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    text: String,
    dialect: Dialect,
    tree: Result<ast::Query, String>,
    tables: BTreeSet<TableName>,
}

impl Query {
    /// Reads `text`, which should be exactly one query; anything else is opaque.
    pub fn parse(text: &str, dialect: Dialect) -> Self {
        let tree = parse::parse(text, dialect);
        let tables = match &tree {
            Ok(tree) => tables::tables(tree, dialect),
            Err(_) => scan::tables(text, dialect),
        };
        let text = text.to_owned();
        Self {
            inner: Arc::new(Inner {
                text,
                dialect,
                tree,
                tables,
            }),
        }
    }

    /// Why the query is opaque; `None` when it was understood.
    pub fn opaque_reason(&self) -> Option<&str> {
        self.inner.tree.as_ref().err().map(String::as_str)
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The dialect as it was given.
    pub fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    /// Every table that the query reads in any scope, in the case that the dialect stores.
    ///
    /// No CTEs, no table functions (`read_parquet('…')`), no files (`FROM 'data.csv'`).
    pub fn tables(&self) -> &BTreeSet<TableName> {
        &self.inner.tables
    }

    /// The names of the output columns in order, in the case that the dialect stores; `None` when
    /// one is unknown (a star over unknown columns, an expression without a name) or occurs twice.
    ///
    /// A cast without an alias has the name of what it casts: execute the text that
    /// [`name_casts`](super::name_casts) gives, so that the engine agrees.
    pub fn output_columns(&self, columns_of: ColumnsOf<'_>) -> Option<Vec<String>> {
        let tree = self.inner.tree.as_ref().ok()?;
        self.resolver(columns_of).query(tree, &Vec::new())
    }

    /// The text that the fingerprint is taken over: equal for queries that differ only in spelling.
    /// Known stars are written out, so it changes when the columns behind a star change.
    pub fn canonical(&self, columns_of: ColumnsOf<'_>) -> String {
        match self.canonical_tree(columns_of) {
            Ok(tree) => tree.to_string(),
            Err(_) => canonical::text(&self.inner.text, self.inner.dialect),
        }
    }

    /// Whether two runs over the same data may give different rows: the query calls a function
    /// like `random()`, `now()` or `nextval()`, or takes a sample. A function that is not known
    /// counts as one that depends on its arguments alone. An opaque query is volatile.
    pub fn is_volatile(&self) -> bool {
        match &self.inner.tree {
            Ok(tree) => volatile::is_volatile(tree),
            Err(_) => true,
        }
    }

    pub(super) fn resolver<'a>(&self, columns_of: ColumnsOf<'a>) -> Resolver<'a> {
        Resolver {
            dialect: self.inner.dialect,
            columns_of,
        }
    }

    pub(super) fn tree(&self) -> Result<&ast::Query, &str> {
        self.inner.tree.as_ref().map_err(String::as_str)
    }

    pub(super) fn canonical_tree(&self, columns_of: ColumnsOf<'_>) -> Result<ast::Query, &str> {
        let tree = self.tree()?;
        Ok(canonical::tree(tree, self.resolver(columns_of)))
    }
}
