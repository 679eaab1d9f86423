//! Compare two tables inside the engine: their columns, their keys, and how often each column agrees.
//!
//! One aggregation over both tables does it, so nothing is loaded, and NULL in a key equals NULL. A key that is not
//! unique on both sides has no row to compare with: it is counted and left out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;

use crate::engine::EngineAdapter;
use crate::engine::EngineColumn;
use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::quote_identifier;

/// What to compare.
#[derive(Clone, Debug)]
pub struct TableDiffRequest {
    /// The one side.
    pub source: TableName,
    /// The other side.
    pub target: TableName,
    /// Columns that identify a row; never empty.
    pub on: Vec<String>,
    /// Only rows for which this SQL holds.
    pub condition: Option<String>,
    /// Columns that are not compared.
    pub skipped: Vec<String>,
    /// Digits after the point to which floats are rounded.
    pub decimals: u32,
    /// How many keys to show of each kind; 0 means none.
    pub samples: usize,
}

/// How two tables differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableDiff {
    /// Columns of the target only, with their types.
    pub added: Vec<(String, String)>,
    /// Columns of the source only, with their types.
    pub removed: Vec<(String, String)>,
    /// Columns of both with another type: name, before, after. They are compared as what the types have in common, in the
    /// end as text.
    pub retyped: Vec<(String, String, String)>,
    /// Rows.
    pub source_rows: u64,
    /// Rows.
    pub target_rows: u64,
    /// Keys with one row on each side.
    pub joined: u64,
    /// Of these, those with all compared columns equal.
    pub equal: u64,
    /// Keys of the source only.
    pub source_only: u64,
    /// Keys of the target only.
    pub target_only: u64,
    /// Keys with several rows in the source or the target, which are not compared.
    pub ambiguous: u64,
    /// Keys with a NULL in them.
    pub null_keys: u64,
    /// The compared columns, each with how many joined rows agree in it.
    pub columns: Vec<(String, u64)>,
    /// Rows that differ: each as names and values, one of them `_row` with `source`, `target` or `differs`.
    pub samples: Vec<BTreeMap<String, Option<String>>>,
}

impl TableDiff {
    /// Whether nothing at all differs.
    pub fn is_same(&self) -> bool {
        let columns = self.added.len() + self.removed.len() + self.retyped.len();
        columns == 0
            && self.source_only + self.target_only + self.ambiguous == 0
            && self.joined == self.equal
    }
}

/// How the tables differ.
///
/// # Errors
/// When a table or a key column is not there, or the engine refuses the comparison.
pub async fn table_diff(
    engine: &dyn EngineAdapter,
    request: &TableDiffRequest,
) -> anyhow::Result<TableDiff> {
    let source = columns(engine, &request.source).await?;
    let target = columns(engine, &request.target).await?;
    let mut diff = schema_diff(&source, &target);
    let keys = keys(request, &source, &target, engine.dialect())?;
    for skipped in &request.skipped {
        let is_there = |columns: &[EngineColumn]| {
            let mut names = columns.iter().map(|column| &column.name);
            names.any(|name| name.eq_ignore_ascii_case(skipped))
        };
        anyhow::ensure!(
            is_there(&source) || is_there(&target),
            "neither side has a column `{skipped}` to leave out"
        );
    }
    check_condition(engine, request).await?;
    let compared: Vec<Pair<'_>> = source
        .iter()
        .filter(|column| !keys.iter().any(|key| key.name == column.name))
        .filter(|column| !contains(&request.skipped, &column.name))
        .filter_map(|column| Some(Pair::new(column, same(&target, &column.name)?)))
        .collect();
    let sql = Comparison {
        request,
        dialect: engine.dialect(),
        keys: &keys,
        compared: &compared,
    };
    let totals = engine
        .query(&sql.totals())
        .await
        .with_context(|| comparing(request))?;
    let total = |name: &str| -> anyhow::Result<u64> {
        let value = totals.strings(name)?.into_iter().flatten().next();
        let text = value.unwrap_or_else(|| "0".to_owned());
        text.parse()
            .with_context(|| format!("`{text}` is no count"))
    };
    diff.source_rows = total("source_rows")?;
    diff.target_rows = total("target_rows")?;
    diff.joined = total("joined")?;
    diff.equal = total("equal")?;
    diff.source_only = total("source_only")?;
    diff.target_only = total("target_only")?;
    diff.ambiguous = total("ambiguous")?;
    diff.null_keys = total("null_keys")?;
    for (index, column) in compared.iter().enumerate() {
        let agree = total(&format!("agree{index}"))?;
        diff.columns.push((column.source.name.clone(), agree));
    }
    if request.samples > 0 {
        let rows = engine
            .query(&sql.samples())
            .await
            .with_context(|| comparing(request))?;
        let names: Vec<String> = rows.column_names().into_iter().map(str::to_owned).collect();
        let mut samples = vec![BTreeMap::new(); rows.len()];
        for name in names {
            for (sample, value) in samples.iter_mut().zip(rows.strings(&name)?) {
                sample.insert(name.clone(), value);
            }
        }
        diff.samples = samples;
    }
    Ok(diff)
}

/// Fails where the engine does not take the condition, with an error that is about that alone.
async fn check_condition(
    engine: &dyn EngineAdapter,
    request: &TableDiffRequest,
) -> anyhow::Result<()> {
    if let Some(condition) = &request.condition {
        for table in [&request.source, &request.target] {
            let sql = format!("SELECT 1 AS one FROM {table} WHERE ({condition}\n)");
            let checked = engine.validate(&sql).await;
            checked.with_context(|| format!("--where does not fit `{}`", table.plain()))?;
        }
    }
    Ok(())
}

/// A column of both sides.
#[derive(Clone, Copy)]
struct Pair<'a> {
    source: &'a EngineColumn,
    target: &'a EngineColumn,
    /// How values of both are made comparable.
    as_: Common,
}

/// What two types have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Common {
    /// They are the same, or the engine compares one with the other.
    Value,
    /// Numbers, of which one has no exact value.
    Float,
    /// How they are written.
    Text,
}

const FLOATS: [&str; 3] = ["DOUBLE", "FLOAT", "REAL"];
const NUMBERS: [&str; 7] = [
    "INT", "BIGINT", "SMALLINT", "TINYINT", "HUGEINT", "DECIMAL", "NUMERIC",
];
const TIMES: [&str; 2] = ["DATE", "TIMESTAMP"];
const SPANS: [&str; 1] = ["INTERVAL"];

fn is_of(families: &[&str], column: &EngineColumn) -> bool {
    let data_type = column.data_type.to_ascii_uppercase();
    let data_type = data_type.strip_prefix('U').unwrap_or(&data_type);
    let is_span = data_type.starts_with("INTERVAL") && families != SPANS;
    let is_other = is_span || data_type.contains("RANGE") || data_type.ends_with(']');
    families.iter().any(|family| data_type.starts_with(family)) && !is_other
}

impl<'a> Pair<'a> {
    fn new(source: &'a EngineColumn, target: &'a EngineColumn) -> Self {
        let both = |families: &[&str]| is_of(families, source) && is_of(families, target);
        let is_number = |column| is_of(&FLOATS, column) || is_of(&NUMBERS, column);
        // With a time zone and without one, a moment is written in two ways.
        let zoned =
            |column: &EngineColumn| column.data_type.to_ascii_uppercase().contains("TIME ZONE");
        let as_ = if source.data_type == target.data_type || both(&NUMBERS) {
            Common::Value
        } else if is_number(source) && is_number(target) {
            Common::Float
        } else if both(&TIMES) && zoned(source) == zoned(target) {
            Common::Value
        } else {
            Common::Text
        };
        Self {
            source,
            target,
            as_,
        }
    }
}

fn comparing(request: &TableDiffRequest) -> String {
    let (source, target) = (request.source.plain(), request.target.plain());
    format!("comparing `{source}` with `{target}`")
}

async fn columns(
    engine: &dyn EngineAdapter,
    table: &TableName,
) -> anyhow::Result<Vec<EngineColumn>> {
    let columns = engine
        .columns(table)
        .await
        .with_context(|| format!("reading the columns of `{}`", table.plain()))?;
    columns.with_context(|| format!("there is no table or view `{}`", table.plain()))
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn same<'a>(columns: &'a [EngineColumn], name: &str) -> Option<&'a EngineColumn> {
    columns.iter().find(|column| column.name == name)
}

fn schema_diff(source: &[EngineColumn], target: &[EngineColumn]) -> TableDiff {
    let lacking = |of: &[EngineColumn], other: &[EngineColumn]| {
        let names: BTreeSet<&String> = other.iter().map(|column| &column.name).collect();
        of.iter()
            .filter(|column| !names.contains(&column.name))
            .map(|column| (column.name.clone(), column.data_type.clone()))
            .collect()
    };
    let retyped = source.iter().filter_map(|before| {
        let after = same(target, &before.name)?;
        (after.data_type != before.data_type).then(|| {
            (
                before.name.clone(),
                before.data_type.clone(),
                after.data_type.clone(),
            )
        })
    });
    TableDiff {
        added: lacking(target, source),
        removed: lacking(source, target),
        retyped: retyped.collect(),
        ..TableDiff::default()
    }
}

struct Key {
    name: String,
    /// As text, because its types have nothing else in common, or know no equality.
    as_text: bool,
}

fn keys(
    request: &TableDiffRequest,
    source: &[EngineColumn],
    target: &[EngineColumn],
    dialect: Dialect,
) -> anyhow::Result<Vec<Key>> {
    let find = |columns: &[EngineColumn], name: &str, table: &TableName| {
        let found = columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name));
        found.cloned().with_context(|| {
            format!(
                "`{}` has no column `{name}` to join on; name one with --on",
                table.plain()
            )
        })
    };
    let key = |name: &String| {
        let of_source = find(source, name, &request.source)?;
        let of_target = find(target, name, &request.target)?;
        let common = Pair::new(&of_source, &of_target).as_;
        Ok(Key {
            as_text: common == Common::Text || of_source.is_without_equality(dialect),
            name: of_source.name,
        })
    };
    request.on.iter().map(key).collect()
}

struct Comparison<'a> {
    request: &'a TableDiffRequest,
    dialect: Dialect,
    keys: &'a [Key],
    compared: &'a [Pair<'a>],
}

impl Comparison<'_> {
    fn totals(&self) -> String {
        let mut totals = vec![
            "SUM(in_source) AS source_rows".to_owned(),
            "SUM(in_target) AS target_rows".to_owned(),
            count("source_only", "in_target = 0"),
            count("target_only", "in_source = 0"),
            count("ambiguous", &format!("{BOTH} AND NOT {SINGLE}")),
            count("joined", SINGLE),
            count("equal", &format!("{SINGLE} AND {}", self.all_agree())),
            count("null_keys", "has_null = 1"),
        ];
        for index in 0..self.compared.len() {
            let condition = format!("{SINGLE} AND same{index} = 1");
            totals.push(count(&format!("agree{index}"), &condition));
        }
        // Text, because wide sums have no type that every reader knows.
        let totals: Vec<String> = totals
            .iter()
            .filter_map(|total| total.rsplit_once(" AS "))
            .map(|(value, name)| format!("CAST({value} AS VARCHAR) AS {name}"))
            .collect();
        format!(
            "SELECT {} FROM (\n{}\n) AS by_key",
            totals.join(", "),
            self.by_key()
        )
    }

    /// One row a key: how often it is on each side, and whether each column agrees.
    fn by_key(&self) -> String {
        let mut parts: Vec<String> = (0..self.keys.len())
            .map(|index| format!("key{index}"))
            .collect();
        let keys = parts.join(", ");
        let nulls: Vec<String> = parts.iter().map(|key| format!("{key} IS NULL")).collect();
        parts.push("SUM(of_source) AS in_source".to_owned());
        parts.push("SUM(1 - of_source) AS in_target".to_owned());
        parts.push(format!(
            "MAX(CASE WHEN {} THEN 1 ELSE 0 END) AS has_null",
            nulls.join(" OR ")
        ));
        for index in 0..self.compared.len() {
            let of = |side| format!("MIN(CASE WHEN of_source = {side} THEN value{index} END)");
            parts.push(format!("{} AS before{index}", of(1)));
            parts.push(format!("{} AS after{index}", of(0)));
            parts.push(format!(
                "CASE WHEN {} IS NOT DISTINCT FROM {} THEN 1 ELSE 0 END AS same{index}",
                of(1),
                of(0)
            ));
        }
        format!(
            "SELECT {} FROM (\n{}\nUNION ALL\n{}\n) AS both_sides GROUP BY {keys}",
            parts.join(", "),
            self.side(&self.request.source, 1),
            self.side(&self.request.target, 0)
        )
    }

    fn side(&self, table: &TableName, of_source: u8) -> String {
        let mut parts = vec![format!("{of_source} AS of_source")];
        for (index, key) in self.keys.iter().enumerate() {
            let name = quote_identifier(&key.name);
            parts.push(if key.as_text {
                format!("CAST({name} AS VARCHAR) AS key{index}")
            } else {
                format!("{name} AS key{index}")
            });
        }
        for (index, pair) in self.compared.iter().enumerate() {
            let column = if of_source == 1 {
                pair.source
            } else {
                pair.target
            };
            parts.push(format!("{} AS value{index}", self.value(column, pair.as_)));
        }
        let condition = self.request.condition.as_ref();
        let condition = condition.map_or_else(String::new, |text| format!(" WHERE ({text}\n)"));
        format!("SELECT {} FROM {table}{condition}", parts.join(", "))
    }

    /// A value that can be ordered, and is equal where the column's values are.
    fn value(&self, column: &EngineColumn, common: Common) -> String {
        let name = quote_identifier(&column.name);
        let decimals = self.request.decimals;
        let is_float = is_of(&FLOATS, column);
        if common != Common::Text && (is_float || common == Common::Float) {
            // Zero has two signs.
            return match self.dialect {
                Dialect::Postgres => format!("ROUND(CAST({name} AS NUMERIC), {decimals}) + 0"),
                _ if is_float => format!("ROUND({name}, {decimals}) + 0"),
                _ => format!("ROUND(CAST({name} AS DOUBLE), {decimals}) + 0"),
            };
        }
        let ordered = [&NUMBERS[..], &TIMES, &SPANS];
        let is_ordered = ordered.iter().any(|family| is_of(family, column));
        if is_ordered && common == Common::Value {
            name
        } else {
            format!("CAST({name} AS VARCHAR)")
        }
    }

    fn all_agree(&self) -> String {
        let all: Vec<String> = (0..self.compared.len())
            .map(|index| format!("same{index} = 1"))
            .collect();
        if all.is_empty() {
            "1 = 1".to_owned()
        } else {
            all.join(" AND ")
        }
    }

    fn samples(&self) -> String {
        let mut shown: Vec<String> = self
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| {
                format!(
                    "CAST(key{index} AS VARCHAR) AS {}",
                    quote_identifier(&key.name)
                )
            })
            .collect();
        for (index, pair) in self.compared.iter().enumerate() {
            let column = pair.source;
            for (side, suffix) in [("before", "source"), ("after", "target")] {
                let name = quote_identifier(&format!("{}__{suffix}", column.name));
                shown.push(format!("CAST({side}{index} AS VARCHAR) AS {name}"));
            }
        }
        let kinds = [
            (
                "differs",
                format!("{SINGLE} AND NOT ({})", self.all_agree()),
            ),
            ("source", "in_target = 0".to_owned()),
            ("target", "in_source = 0".to_owned()),
        ];
        let keys: Vec<String> = (0..self.keys.len())
            .map(|index| format!("key{index}"))
            .collect();
        let parts: Vec<String> = kinds
            .iter()
            .map(|(kind, condition)| {
                format!(
                    "SELECT * FROM (SELECT '{kind}' AS _row, {} FROM by_key WHERE {condition} ORDER BY {} LIMIT {}) AS {kind}_rows",
                    shown.join(", "),
                    keys.join(", "),
                    self.request.samples
                )
            })
            .collect();
        format!(
            "WITH by_key AS (\n{}\n)\n{}",
            self.by_key(),
            parts.join("\nUNION ALL\n")
        )
    }
}

/// A key that both sides have.
const BOTH: &str = "in_source > 0 AND in_target > 0";

/// A key with one row on each side.
const SINGLE: &str = "(in_source = 1 AND in_target = 1)";

fn count(name: &str, condition: &str) -> String {
    format!("SUM(CASE WHEN {condition} THEN 1 ELSE 0 END) AS {name}")
}
