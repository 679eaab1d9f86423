//! SCD_TYPE_2: every version of a row, with the times that it was valid from and to.
//!
//! A batch's rows are compared with the open versions. Of several rows with one key, each that is a change becomes a
//! version, in order of their times. A version never ends before it begins: a change that comes late begins where the
//! version before it did. A NULL in a key is a value like any other. Only what changes is written.

use crate::engine::Transaction;
use crate::model::ScdChange;
use crate::model::ScdType2;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::keys::Key;
use crate::scheduler::materialize::keys::Stage;
use crate::scheduler::materialize::keys::check_equality;
use crate::scheduler::materialize::target::Target;
use crate::scheduler::materialize::target::select;
use crate::sql::quote_identifier;

/// The versions that a batch adds, until they are.
const VERSIONS: &str = "_siding_versions";

pub(super) async fn write(
    batch: &Batch<'_>,
    scd: &ScdType2,
    target: &Target,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let history = History::new(batch, scd, target)?;
    if batch.first {
        let clear = format!("DELETE FROM {}", batch.table);
        transaction.execute(&clear).await?;
    }
    let mut stage = Stage::make(batch, &history.source(&batch.query()?), transaction).await?;
    let updated_at = scd.updated_at().map(quote_identifier);
    stage
        .make_unique(
            batch,
            &history.key,
            updated_at.as_deref(),
            &target.columns,
            transaction,
        )
        .await?;
    let has_nulls = stage.has_nulls(&history.key, transaction).await?;
    let versions = batch
        .engine
        .create_temporary_table_as(VERSIONS, &history.versions());
    transaction.execute(&versions).await?;
    let mut rows = 0;
    if scd.invalidate_hard_deletes {
        rows += transaction
            .execute(&history.end_deleted(&stage, has_nulls))
            .await?;
    }
    rows += transaction.execute(&history.end_changed(has_nulls)).await?;
    rows += transaction.execute(&history.add_versions()).await?;
    let drop = format!("DROP TABLE {}", quote_identifier(VERSIONS));
    transaction.execute(&drop).await?;
    stage.remove(transaction).await?;
    Ok(Some(rows))
}

/// The statements of one batch.
struct History<'a> {
    batch: &'a Batch<'a>,
    scd: &'a ScdType2,
    key: Key<'a>,
    /// The columns that come from the query.
    columns: Vec<String>,
    /// Type of all times.
    time_type: String,
    valid_from: String,
    valid_to: String,
    /// The execution time.
    now: String,
    /// 1970.
    epoch: String,
}

impl<'a> History<'a> {
    fn new(batch: &'a Batch<'a>, scd: &'a ScdType2, target: &Target) -> anyhow::Result<Self> {
        let is_time = |name: &str| {
            let mut times = [&scd.valid_from, &scd.valid_to].into_iter();
            times.any(|time| time.eq_ignore_ascii_case(name))
        };
        let names = target.names().into_iter();
        let columns: Vec<String> = names.filter(|name| !is_time(name)).collect();
        let needed = scd.updated_at().into_iter();
        let checked = match &scd.change {
            ScdChange::Column {
                columns: Some(columns),
                ..
            } => columns.iter().map(String::as_str).collect(),
            ScdChange::Column { columns: None, .. } | ScdChange::Time { .. } => Vec::new(),
        };
        for name in needed.chain(checked) {
            let stored = batch.engine.stored_name(name);
            anyhow::ensure!(
                columns
                    .iter()
                    .any(|column| column.eq_ignore_ascii_case(&stored)),
                "the kind of `{}` names the column `{name}`, which its query does not give",
                batch.model.name
            );
        }
        if let ScdChange::Column {
            columns: compared, ..
        } = &scd.change
        {
            let compared = compared.as_ref().unwrap_or(&columns);
            let compared: Vec<&str> = compared.iter().map(String::as_str).collect();
            check_equality(batch, target, &compared)?;
        }
        let time_type = target
            .column(batch, &scd.valid_from)
            .map_or_else(|| scd.time_data_type.clone(), |time| time.data_type.clone());
        let at = batch.scope.execution_time;
        Ok(Self {
            batch,
            scd,
            key: Key::of(&scd.unique_key, batch, target)?,
            columns,
            now: instant(&at.format("%Y-%m-%d %H:%M:%S%.6f").to_string(), &time_type),
            epoch: instant("1970-01-01 00:00:00", &time_type),
            time_type,
            valid_from: quote_identifier(&scd.valid_from),
            valid_to: quote_identifier(&scd.valid_to),
        })
    }

    /// The query's columns in the table's order, its times as the table has them, and the key under names of ours.
    fn source(&self, query: &str) -> String {
        let query = match self.scd.updated_at() {
            None => select(&self.columns, query),
            Some(updated_at) => {
                let columns: Vec<String> = self
                    .columns
                    .iter()
                    .map(|name| {
                        let column = quote_identifier(name);
                        if name.eq_ignore_ascii_case(updated_at) {
                            format!("CAST({column} AS {}) AS {column}", self.time_type)
                        } else {
                            column
                        }
                    })
                    .collect();
                format!(
                    "SELECT {} FROM (\n{query}\n) AS _siding",
                    columns.join(", ")
                )
            }
        };
        format!(
            "SELECT *, {} FROM ({query}) AS _siding_source",
            self.key.named()
        )
    }

    /// The rows that become versions, with the time that each begins.
    ///
    /// `known` says that there is an open version of the key, `closed` when the last one ended, `row` counts the
    /// rows of a key in order of their times.
    fn versions(&self) -> String {
        let updated_at = self.scd.updated_at().map(quote_identifier);
        let order = match &updated_at {
            Some(updated_at) => format!("{updated_at} NULLS FIRST"),
            None => "_siding_known".to_owned(),
        };
        let over = format!("PARTITION BY {} ORDER BY {order}", self.key.names());
        let (late, change, when, first) = match &self.scd.change {
            ScdChange::Time {
                updated_at: _,
                updated_at_as_valid_from,
            } => {
                let updated_at = updated_at.clone().unwrap_or_default();
                let first = if *updated_at_as_valid_from {
                    format!("COALESCE({updated_at}, {})", self.epoch)
                } else {
                    self.epoch.clone()
                };
                let late = format!(
                    "WHERE _siding_known IS NULL OR ({updated_at} IS NOT NULL \
                     AND (_siding_updated IS NULL OR {updated_at} > _siding_updated))"
                );
                (late, "TRUE".to_owned(), updated_at, first)
            }
            ScdChange::Column {
                columns,
                execution_time_as_valid_from,
                updated_at: _,
            } => {
                let when = match &updated_at {
                    Some(updated_at) => format!("COALESCE({updated_at}, {})", self.now),
                    None => self.now.clone(),
                };
                // A key that comes later was not there before.
                let first = if *execution_time_as_valid_from || !self.batch.first {
                    when.clone()
                } else {
                    self.epoch.clone()
                };
                let columns = columns.as_ref().unwrap_or(&self.columns);
                // What is older than the open version was seen before it, or comes too late.
                let late = updated_at.as_ref().map_or_else(String::new, |updated_at| {
                    format!(
                        "WHERE _siding_known IS NULL OR {updated_at} IS NULL \
                         OR _siding_updated IS NULL OR {updated_at} >= _siding_updated"
                    )
                });
                (late, differs(columns, &over), when, first)
            }
        };
        format!(
            "SELECT {columns}, {keys}, _siding_known, _siding_row, _siding_start FROM (
                 SELECT *, max(_siding_begin) OVER ({over} ROWS UNBOUNDED PRECEDING) AS _siding_start FROM (
                     SELECT *, {change} AS _siding_change,
                         CASE WHEN _siding_row > 1 THEN {when}
                             WHEN _siding_known IS NOT NULL THEN GREATEST({when}, _siding_from)
                             WHEN _siding_closed IS NOT NULL THEN GREATEST({when}, _siding_closed)
                             ELSE {first} END AS _siding_begin
                     FROM (
                         SELECT *, row_number() OVER ({over}) AS _siding_row FROM ({compared}) AS _siding_a {late}
                     ) AS _siding_b
                 ) AS _siding_c
             ) AS _siding_d WHERE _siding_change",
            columns = quoted(&self.columns),
            keys = self.key.names(),
            compared = self.compared(),
        )
    }

    /// The batch's rows beside the open version and the end of the last closed one of the same key.
    fn compared(&self) -> String {
        let mut open = vec![
            "1 AS _siding_known".to_owned(),
            format!("{} AS _siding_from", self.valid_from),
        ];
        let mut from_open = vec!["_siding_known".to_owned(), "_siding_from".to_owned()];
        if let Some(updated_at) = self.scd.updated_at() {
            let updated_at = quote_identifier(updated_at);
            open.push(format!("{updated_at} AS _siding_updated"));
            from_open.push("_siding_updated".to_owned());
        }
        if let ScdChange::Column { columns, .. } = &self.scd.change {
            let columns = columns.as_ref().unwrap_or(&self.columns);
            for (index, name) in columns.iter().enumerate() {
                open.push(format!("{} AS _siding_old{index}", quote_identifier(name)));
                from_open.push(format!("_siding_old{index}"));
            }
        }
        format!(
            "SELECT source.*, {from_open}, _siding_closed FROM {stage} AS source
             LEFT JOIN (SELECT {keys}, {open} FROM {table} WHERE {valid_to} IS NULL) AS latest ON {is_latest}
             LEFT JOIN (SELECT {names}, max(_siding_end) AS _siding_closed
                 FROM (SELECT {keys}, {valid_to} AS _siding_end FROM {table} WHERE {valid_to} IS NOT NULL) AS ended
                 GROUP BY {names}) AS closed ON {is_closed}",
            from_open = from_open.join(", "),
            stage = Stage::name(),
            keys = self.key.named(),
            open = open.join(", "),
            table = self.batch.table,
            valid_to = self.valid_to,
            is_latest = self.key.equal_names("source", "latest"),
            names = self.key.names(),
            is_closed = self.key.equal_names("source", "closed"),
        )
    }

    /// Ends the open versions of keys that the batch does not give.
    fn end_deleted(&self, stage: &Stage, has_nulls: bool) -> String {
        format!(
            "UPDATE {} SET {to} = GREATEST({}, {from}) WHERE {to} IS NULL \
             AND NOT EXISTS (SELECT 1 FROM ({}) AS _siding_keys WHERE {})",
            self.batch.table,
            self.now,
            stage.keys(&self.key),
            self.key.equal(has_nulls),
            to = self.valid_to,
            from = self.valid_from,
        )
    }

    /// Ends the open versions of keys that have newer ones.
    fn end_changed(&self, has_nulls: bool) -> String {
        let names = self.key.names();
        format!(
            "UPDATE {} SET {to} = _siding_keys._siding_start FROM (\
             SELECT {names}, min(_siding_start) AS _siding_start FROM {} \
             WHERE _siding_known IS NOT NULL GROUP BY {names}) AS _siding_keys WHERE {to} IS NULL AND {}",
            self.batch.table,
            quote_identifier(VERSIONS),
            self.key.equal(has_nulls),
            to = self.valid_to,
        )
    }

    fn add_versions(&self) -> String {
        let mut columns = self.columns.clone();
        columns.extend([self.scd.valid_from.clone(), self.scd.valid_to.clone()]);
        let rows = format!(
            "SELECT {}, _siding_start, lead(_siding_start) OVER (PARTITION BY {} ORDER BY _siding_row) FROM {}",
            quoted(&self.columns),
            self.key.names(),
            quote_identifier(VERSIONS),
        );
        self.batch.engine.insert(self.batch.table, &columns, &rows)
    }
}

/// The condition that a row is a change: it differs from the row of its key before it, or else from the open version.
fn differs(columns: &[String], over: &str) -> String {
    let before: Vec<String> = columns
        .iter()
        .map(|name| quote_identifier(name))
        .map(|name| format!("{name} IS DISTINCT FROM lag({name}) OVER ({over})"))
        .collect();
    let open: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, name)| {
            format!(
                "{} IS DISTINCT FROM _siding_old{index}",
                quote_identifier(name)
            )
        })
        .collect();
    format!(
        "CASE WHEN _siding_row > 1 THEN {} WHEN _siding_known IS NULL THEN TRUE ELSE {} END",
        before.join(" OR "),
        open.join(" OR ")
    )
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quote_identifier(name)).collect();
    names.join(", ")
}

/// A time in UTC as a value of the type.
fn instant(text: &str, data_type: &str) -> String {
    let upper = data_type.to_ascii_uppercase();
    if upper == "DATE" {
        return format!("CAST('{}' AS DATE)", &text[..10]);
    }
    let zoned = upper.contains("TIME ZONE") || upper.contains("TIMESTAMPTZ");
    let zone = if zoned { "+00:00" } else { "" };
    format!("CAST('{text}{zone}' AS {data_type})")
}
