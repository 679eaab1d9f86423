//! What a query means: which rows it gives, what each column's value is, and what both read.
//!
//! A query is *lowered* once, from the inside to the outside. Every relation gets a digest of its **rows** and every
//! column one of its **value**. The law that everything here keeps:
//!
//! > If two relations have the same rows digest, then for the same data there is one way to pair their rows, so
//! > that any two columns with the same value digest have the same value in each pair.
//!
//! So equal digests mean equal tables, by construction; nothing is ever compared as text. The pieces:
//!
//! * A table's rows are a leaf, and so are its columns. Names of relations, aliases, CTEs and the layout of the text
//!   leave no trace.
//! * A filter adds its conditions to the rows and leaves values as they are; a join makes rows of two inputs and
//!   marks on whose side a value stands; GROUP BY, DISTINCT, LIMIT, set operations and set-returning functions
//!   make new rows out of what decides them.
//! * A value is the tree of its expression over the values that it reads. Windows also carry the rows that they
//!   look at, because a later filter does not change them.
//! * What may come out differently when it is computed again over the same rows is **unstable**: chance, the clock,
//!   rows chosen among ties, unknown functions. Readers may keep what they have only while an unstable thing is not
//!   computed again; `snapshot` sees to that.
//! * Where a name may mean several things and nobody here knows which, the value is made of all of them.
//! * A construct whose meaning is not known stops the lowering: the query is *coarse*, its whole text over
//!   everything that it reads decides everything.

mod call;
mod digest;
mod expr;
mod factor;
mod from;
pub(super) mod functions;
mod join_on;
mod keys;
mod lowering;
mod part;
mod problem;
mod query;
mod relation;
mod rewrites;
mod schema;
mod scope;
mod select;
mod star;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use sqlparser::ast;

use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::types::DataType;

pub use digest::Digest;
pub use digest::Node;
pub use problem::Problem;
pub use problem::ProblemKind;
pub use schema::Schema;
pub use schema::SchemaOf;

use lowering::Lowering;
use relation::Columns;

/// What a query means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// Which rows come out.
    pub rows: Part,
    /// The output columns in order; `None` when not all are known.
    pub columns: Option<Vec<OutputColumn>>,
    /// All columns as one; of use where they are not known.
    pub whole: Part,
    /// How the rows lie in the table: orders that decide no rows.
    pub layout: Digest,
    /// The tables that anything of it reads.
    #[serde(with = "crate::sql::table_name::in_full")]
    pub tables: Vec<TableName>,
    /// The columns that anything of it reads.
    pub sources: Vec<Source>,
    /// Names that mean nothing, or too much.
    pub problems: Vec<Problem>,
    /// Why the query was not taken apart; then everything depends on everything that it reads.
    pub coarse: Option<String>,
}

/// A column of a table that a query reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Its place in [`Meaning::tables`].
    pub table: u32,
    /// Its name; `None` stands for all columns of a table, none of which is known.
    pub column: Option<String>,
}

/// A piece of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it means, over the names of the tables and columns that it reads.
    pub digest: Digest,
    /// The columns that it reads, by their places in [`Meaning::sources`], sorted.
    pub columns: Box<[u32]>,
    /// The tables whose rows it reads, by their places in [`Meaning::tables`], sorted.
    pub tables: Box<[u32]>,
    /// Whether it may come out differently when it is computed again over the same rows.
    pub unstable: bool,
}

/// A column that a query gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputColumn {
    /// In the case that the dialect stores; `None` when the engine makes one up.
    pub name: Option<String>,
    /// As far as known.
    pub data_type: Option<DataType>,
    /// Its value.
    pub value: Part,
    /// The columns that its value is made of, by their places in [`Meaning::sources`], sorted.
    pub lineage: Box<[u32]>,
}

impl Meaning {
    /// The names of the output columns; `None` when one is unknown or occurs twice.
    pub fn column_names(&self) -> Option<Vec<String>> {
        let columns = self.columns.as_ref()?;
        let names: Vec<String> = columns
            .iter()
            .map(|column| column.name.clone())
            .collect::<Option<_>>()?;
        let distinct: BTreeSet<&String> = names.iter().collect();
        (distinct.len() == names.len()).then_some(names)
    }

    /// What the fingerprint is taken over: equal for queries that mean the same, over names of tables and columns.
    pub fn digest(&self) -> Digest {
        let mut node = Node::new("query")
            .digest(self.rows.digest)
            .digest(self.layout);
        match &self.columns {
            Some(columns) => {
                for column in columns {
                    node = node
                        .maybe_text(column.name.as_deref())
                        .digest(column.value.digest);
                }
            }
            None => node = node.none().digest(self.whole.digest),
        }
        node.finish()
    }
}

/// The meaning of `tree`, which was read from `text`.
pub(super) fn of(tree: &ast::Query, dialect: Dialect, schema_of: SchemaOf<'_>) -> Meaning {
    let mut lowering = Lowering::new(dialect, schema_of);
    match lowering.query(tree) {
        Ok(relation) => finish(lowering, &relation),
        Err(lowering::Stop(reason)) => {
            let tables = super::tables::tables(tree, dialect);
            let names = plain_names(tree, dialect);
            coarse(&tree.to_string(), dialect, tables, names, reason)
        }
    }
}

/// The meaning of a query that nobody here takes apart.
pub(super) fn coarse(
    text: &str,
    dialect: Dialect,
    tables: BTreeSet<TableName>,
    names: Option<Vec<String>>,
    reason: String,
) -> Meaning {
    let tables: Vec<TableName> = tables.into_iter().collect();
    let count = u32::try_from(tables.len()).unwrap_or(u32::MAX);
    let part = |what: &str| Part {
        digest: Node::new("coarse")
            .text(&dialect.to_string())
            .text(text)
            .text(what)
            .finish(),
        columns: (0..count).collect(),
        tables: (0..count).collect(),
        unstable: true,
    };
    let columns = names.map(|names| {
        let columns = names.into_iter().map(|name| OutputColumn {
            value: part(&name),
            lineage: (0..count).collect(),
            name: Some(name),
            data_type: None,
        });
        columns.collect()
    });
    Meaning {
        rows: part("rows"),
        columns,
        whole: part("all columns"),
        layout: Node::new("layout").finish(),
        sources: (0..count)
            .map(|table| Source {
                table,
                column: None,
            })
            .collect(),
        tables,
        problems: Vec::new(),
        coarse: Some(reason),
    }
}

fn finish(mut lowering: Lowering<'_, '_>, relation: &relation::Relation) -> Meaning {
    let whole = match &relation.columns {
        Columns::Listed(_) => None,
        _ => Some(lowering.whole(&relation.columns)),
    };
    let fields = lowering.fields(&relation.columns);
    let order = Order::of(&lowering);
    let dialect = lowering.dialect.to_string();
    let part = |digest: Digest, reads: &part::Reads| Part {
        digest: Node::new(&dialect).digest(digest).finish(),
        columns: order.sources(&reads.columns),
        tables: order.tables(&reads.tables),
        unstable: reads.unstable,
    };
    let columns = fields.map(|fields| {
        fields
            .iter()
            .map(|field| OutputColumn {
                name: field.name.clone(),
                data_type: field
                    .value
                    .operand
                    .clone()
                    .and_then(|operand| operand.settle(lowering.dialect)),
                value: part(field.value.digest, &field.value.reads),
                lineage: order.sources(&field.value.lineage),
            })
            .collect::<Vec<_>>()
    });
    // The engine will refuse the query. Whoever reads any of it must not be told that all is well.
    let rows = if lowering.problems.is_empty() {
        part(relation.rows.digest(), &relation.rows.reads)
    } else {
        let values = columns.iter().flatten().map(|column| column.value.digest);
        let digest = Node::new("broken")
            .digest(relation.rows.digest())
            .digests(values)
            .finish();
        Part {
            columns: (0..u32::try_from(order.sources.len()).unwrap_or(u32::MAX)).collect(),
            tables: (0..u32::try_from(order.tables.len()).unwrap_or(u32::MAX)).collect(),
            digest,
            unstable: true,
        }
    };
    let nothing = Node::new("listed").finish();
    let whole = match whole {
        Some(whole) => part(whole.digest, &whole.reads),
        None => part(nothing, &part::Reads::default()),
    };
    let layout = lowering
        .layout
        .iter()
        .fold(Node::new("layout"), |node, order| node.digest(*order))
        .finish();
    Meaning {
        rows,
        columns,
        whole,
        layout,
        tables: order.tables,
        sources: order.sources,
        problems: lowering.problems,
        coarse: None,
    }
}

/// Tables and columns in the order of their names: queries that mean the same number them in the same way,
/// whatever comes first in their texts.
struct Order {
    tables: Vec<TableName>,
    table_places: Vec<u32>,
    sources: Vec<Source>,
    source_places: Vec<u32>,
}

impl Order {
    fn of(lowering: &Lowering<'_, '_>) -> Self {
        let names = lowering.tables.iter().map(|table| &table.name);
        let (tables, table_places) = sorted(&names.cloned().collect::<Vec<_>>());
        let sources = lowering.sources.iter().map(|(table, column)| Source {
            table: table_places[*table as usize],
            column: column.clone(),
        });
        let (sources, source_places) = sorted(&sources.collect::<Vec<_>>());
        Self {
            tables,
            table_places,
            sources,
            source_places,
        }
    }

    fn tables(&self, set: &part::Set) -> Box<[u32]> {
        moved(set, &self.table_places)
    }

    fn sources(&self, set: &part::Set) -> Box<[u32]> {
        moved(set, &self.source_places)
    }
}

/// The items in order, and where each of them went.
fn sorted<T: Ord + Clone>(items: &[T]) -> (Vec<T>, Vec<u32>) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|left, right| items[*left].cmp(&items[*right]));
    let mut places = vec![0; items.len()];
    for (place, item) in order.iter().enumerate() {
        places[*item] = u32::try_from(place).unwrap_or(u32::MAX);
    }
    (
        order.into_iter().map(|item| items[item].clone()).collect(),
        places,
    )
}

fn moved(set: &part::Set, places: &[u32]) -> Box<[u32]> {
    let mut moved: Vec<u32> = set
        .as_slice()
        .iter()
        .map(|item| places[*item as usize])
        .collect();
    moved.sort_unstable();
    moved.into()
}

/// The names of the output columns as they stand in the text; `None` when there is a star or no name.
fn plain_names(tree: &ast::Query, dialect: Dialect) -> Option<Vec<String>> {
    let mut body = &*tree.body;
    let select = loop {
        match body {
            ast::SetExpr::Select(select) => break select,
            ast::SetExpr::Query(query) => body = &query.body,
            ast::SetExpr::SetOperation {
                left,
                set_quantifier:
                    ast::SetQuantifier::All | ast::SetQuantifier::Distinct | ast::SetQuantifier::None,
                ..
            } => body = left,
            _ => return None,
        }
    };
    let lowering = Lowering::new(dialect, &|_| None);
    let names = select.projection.iter().map(|item| match item {
        ast::SelectItem::UnnamedExpr(expr) => lowering.expression_name(expr),
        ast::SelectItem::ExprWithAlias { expr, alias } if !select::is_columns(expr) => {
            Some(lowering.name(alias))
        }
        _ => None,
    });
    let names: Vec<String> = names.collect::<Option<_>>()?;
    let distinct: BTreeSet<&String> = names.iter().collect();
    (!names.is_empty() && distinct.len() == names.len()).then_some(names)
}
