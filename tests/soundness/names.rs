//! Names tell types: `id` is a number wherever it comes from, `name` a text. So an edit anywhere knows what fits.

use std::collections::BTreeMap;

use crate::tree::Body;
use crate::tree::Item;
use crate::tree::On;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;

/// What can be done with a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Number,
    Text,
    Date,
    Bool,
    List,
    Struct,
}

pub(crate) const NUMBERS: &[&str] = &["id", "k", "v", "w", "n", "total", "Odd Name"];
pub(crate) const TEXTS: &[&str] = &["name", "label", "order"];
pub(crate) const DATES: &[&str] = &["d", "day"];
pub(crate) const BOOLS: &[&str] = &["ok", "flag"];
pub(crate) const LISTS: &[&str] = &["tags", "list"];
pub(crate) const STRUCTS: &[&str] = &["info", "rec"];

pub(crate) fn names_of(kind: Type) -> &'static [&'static str] {
    match kind {
        Type::Number => NUMBERS,
        Type::Text => TEXTS,
        Type::Date => DATES,
        Type::Bool => BOOLS,
        Type::List => LISTS,
        Type::Struct => STRUCTS,
    }
}

/// The type that a name stands for; numbered ones such as `id_1` as well.
pub(crate) fn type_of(name: &str) -> Option<Type> {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let base = base.strip_suffix('_').unwrap_or(name);
    let all = [
        Type::Number,
        Type::Text,
        Type::Date,
        Type::Bool,
        Type::List,
        Type::Struct,
    ];
    all.into_iter().find(|kind| names_of(*kind).contains(&base))
}

/// The source tables: name, then columns with their types in SQL.
pub(crate) const SOURCES: &[(&str, &[(&str, &str)])] = &[
    (
        "raw.orders",
        &[
            ("id", "INTEGER"),
            ("k", "INTEGER"),
            ("v", "INTEGER"),
            ("name", "VARCHAR"),
            ("d", "DATE"),
        ],
    ),
    (
        "raw.items",
        &[
            ("id", "INTEGER"),
            ("k", "INTEGER"),
            ("w", "DECIMAL(10,2)"),
            ("label", "VARCHAR"),
            ("ok", "BOOLEAN"),
        ],
    ),
    (
        "raw.events",
        &[
            ("id", "INTEGER"),
            ("v", "BIGINT"),
            ("d", "DATE"),
            ("tags", "INTEGER[]"),
            ("info", "STRUCT(a INTEGER, b VARCHAR)"),
        ],
    ),
    (
        "raw.people",
        &[
            ("id", "INTEGER"),
            ("name", "VARCHAR"),
            ("label", "VARCHAR"),
            ("day", "DATE"),
            ("Odd Name", "INTEGER"),
        ],
    ),
];

/// The columns of every table by the name that queries use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    tables: BTreeMap<String, Vec<String>>,
}

impl Catalog {
    /// The first `count` source tables.
    pub(crate) fn of_sources(count: usize) -> Self {
        let mut catalog = Self::default();
        for (name, columns) in &SOURCES[..count] {
            let columns = columns.iter().map(|(name, _)| (*name).to_owned());
            catalog.set(name, columns.collect());
        }
        catalog
    }

    pub(crate) fn set(&mut self, table: &str, columns: Vec<String>) {
        self.tables.insert(table.to_owned(), columns);
    }

    pub(crate) fn remove(&mut self, table: &str) {
        self.tables.remove(table);
    }

    pub(crate) fn columns(&self, table: &str) -> Option<&[String]> {
        self.tables.get(table).map(Vec::as_slice)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    /// The same with the CTEs of a query; a later one hides an earlier one, and a table.
    pub(crate) fn with_ctes(&self, query: &Query) -> Self {
        let mut inner = self.clone();
        for cte in &query.ctes {
            let columns = if cte.columns.is_empty() {
                inner.output(&cte.query)
            } else {
                cte.columns.clone()
            };
            inner.set(&cte.name, columns);
        }
        inner
    }

    /// The columns of the query, as far as names tell.
    pub(crate) fn output(&self, query: &Query) -> Vec<String> {
        let inner = self.with_ctes(query);
        match &query.body {
            Body::Select(select) => {
                let visible = inner.visible(select);
                select
                    .items
                    .iter()
                    .flat_map(|item| expanded(item, &visible))
                    .collect()
            }
            Body::Set {
                operator,
                left,
                right,
            } => {
                let mut columns = inner.output(left);
                if operator.contains("BY NAME") {
                    for column in inner.output(right) {
                        if !columns.contains(&column) {
                            columns.push(column);
                        }
                    }
                }
                columns
            }
            Body::Values(rows) => {
                let count = rows.first().map_or(0, Vec::len);
                (0..count).map(|index| format!("col{index}")).collect()
            }
        }
    }

    /// The relations that the parts of a SELECT see, each by its label.
    pub(crate) fn visible(&self, select: &Select) -> Vec<(String, Vec<String>)> {
        let mut visible = Vec::new();
        for source in &select.from {
            visible.push(self.relation(&source.relation));
            let mut merged: Vec<String> = Vec::new();
            for join in &source.joins {
                if join.kind.contains("SEMI") || join.kind.contains("ANTI") {
                    continue;
                }
                let (label, mut columns) = self.relation(&join.relation);
                if let On::Using(names) = &join.on {
                    merged.extend(names.iter().cloned());
                    columns.retain(|column| !names.contains(column));
                }
                visible.push((label, columns));
            }
        }
        visible
    }

    fn relation(&self, relation: &Relation) -> (String, Vec<String>) {
        let columns = match relation {
            Relation::Table { name, .. } => self.columns(name).unwrap_or_default().to_vec(),
            Relation::Sub { query, .. } => self.output(query),
            Relation::Function { column, .. } => vec![column.clone()],
            Relation::Pivot { group, .. } => group.clone(),
            Relation::Unpivot {
                input,
                columns,
                name,
                value,
                ..
            } => {
                let mut all = self.output(input);
                all.retain(|column| !columns.contains(column));
                all.push(name.clone());
                all.push(value.clone());
                all
            }
        };
        (relation.label().to_owned(), columns)
    }
}

/// The columns that an item stands for.
pub(crate) fn expanded(item: &Item, visible: &[(String, Vec<String>)]) -> Vec<String> {
    match item {
        Item::Expr { .. } => vec![item.name().unwrap_or("?").to_owned()],
        Item::Columns(_) => Vec::new(),
        Item::Star {
            qualifier,
            exclude,
            rename,
            ..
        } => {
            let fits = |label: &String| qualifier.as_ref().is_none_or(|wanted| wanted == label);
            visible
                .iter()
                .filter(|(label, _)| fits(label))
                .flat_map(|(_, columns)| columns)
                .filter(|column| !exclude.contains(column))
                .map(|column| {
                    let renamed = rename.iter().find(|(from, _)| from == column);
                    renamed.map_or(column, |(_, to)| to).clone()
                })
                .collect()
        }
    }
}
