//! One query, read once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::OnceLock;

use sqlparser::ast;

use crate::sql::Dialect;
use crate::sql::Digest;
use crate::sql::SliceNames;
use crate::sql::Slices;
use crate::sql::TableName;
use crate::sql::meaning;
use crate::sql::meaning::Meaning;
use crate::sql::meaning::SchemaOf;
use crate::sql::parse;
use crate::sql::scan;
use crate::sql::slices;
use crate::sql::tables;

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
    /// Found when somebody asks.
    tables: OnceLock<BTreeSet<TableName>>,
}

impl Query {
    /// Reads `text`, which should be exactly one query; anything else is opaque.
    pub fn parse(text: &str, dialect: Dialect) -> Self {
        let tree = parse::parse(text, dialect);
        let text = text.to_owned();
        Self {
            inner: Arc::new(Inner {
                text,
                dialect,
                tree,
                tables: OnceLock::new(),
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

    /// The query printed from its tree: what the rest of Siding understood of the text. `None` for
    /// an opaque query. Reads back to the same tree, but is not meant to be executed.
    pub fn printed(&self) -> Option<String> {
        self.inner.tree.as_ref().ok().map(ToString::to_string)
    }

    /// The dialect as it was given.
    pub fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    /// Every table that the query reads in any scope, in the case that the dialect stores.
    ///
    /// No CTEs, no table functions (`read_parquet('…')`), no files (`FROM 'data.csv'`).
    pub fn tables(&self) -> &BTreeSet<TableName> {
        let inner = &self.inner;
        inner.tables.get_or_init(|| match &inner.tree {
            Ok(tree) => tables::tables(tree, inner.dialect),
            Err(_) => scan::tables(&inner.text, inner.dialect),
        })
    }

    /// The tables that a scan over the words of `text` finds: about those that [`tables`](Self::tables) gives, for
    /// a fraction of the time.
    pub fn scan_tables(text: &str, dialect: Dialect) -> BTreeSet<TableName> {
        scan::tables(text, dialect)
    }

    /// What the fingerprint is taken over: equal for queries that mean the same by construction.
    pub fn canonical(&self, schema_of: SchemaOf<'_>) -> Digest {
        self.meaning(schema_of).digest()
    }

    /// What the query means, where `schema_of` gives the columns of tables.
    pub fn meaning(&self, schema_of: SchemaOf<'_>) -> Meaning {
        let inner = &self.inner;
        match &inner.tree {
            Ok(tree) => meaning::of(tree, inner.dialect, schema_of),
            Err(reason) => meaning::coarse(
                &scan::squeezed(&inner.text, inner.dialect),
                inner.dialect,
                self.tables().clone(),
                None,
                reason.clone(),
            ),
        }
    }

    /// What the result is made of, by slices of time; `None` where the query, or what matters of it, is not understood.
    pub fn slices(&self, names: SliceNames<'_>) -> Option<Slices> {
        let inner = &self.inner;
        let tree = inner.tree.as_ref().ok()?;
        slices::slices(tree, inner.dialect, names)
    }

    pub(super) fn tree(&self) -> Result<&ast::Query, &str> {
        self.inner.tree.as_ref().map_err(String::as_str)
    }
}
