//! Rows of a batch merged by the model's own clauses: by `MERGE`, or on engines without by statements that come to the same.

use anyhow::Context;

use crate::engine::Transaction;
use crate::model::UniqueKey;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::keys::Key;
use crate::scheduler::materialize::keys::Stage;
use crate::sql::MergeAction;
use crate::sql::MergeBranch;
use crate::sql::merge_branches;
use crate::sql::quote_identifier;

/// The temporary table of pairs: a row of the batch, the row of the table that it matches, and what becomes of that.
const PAIRS: &str = "_siding_pairs";

/// How rows of a batch are merged into its table.
pub(super) struct Merging<'a> {
    pub(super) batch: &'a Batch<'a>,
    pub(super) unique_key: &'a UniqueKey,
    pub(super) key: &'a Key<'a>,
    /// The columns of the table.
    pub(super) names: Vec<String>,
}

impl Merging<'_> {
    /// Merges the rows that are set aside and returns how many were written.
    pub(super) async fn rows(
        &self,
        has_nulls: bool,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<u64> {
        self.merge(true, has_nulls, transaction).await
    }

    /// Merges none of them: what is wrong with the clauses is wrong from the first batch on.
    pub(super) async fn try_out(
        &self,
        has_nulls: bool,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<()> {
        self.merge(false, has_nulls, transaction).await?;
        Ok(())
    }

    async fn merge(
        &self,
        all: bool,
        has_nulls: bool,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<u64> {
        let (batch, stage) = (self.batch, Stage::name());
        let mut on = self.key.equal_sides(batch, &self.names, has_nulls);
        if let Some(filter) = &self.unique_key.merge_filter {
            on = format!("({filter}\n) AND {on}");
        }
        let clauses = self.unique_key.when_matched.clone();
        let clauses = clauses.unwrap_or_else(|| self.replace());
        let merged = if batch.engine.supports_merge() {
            let source = match all {
                true => stage,
                false => format!("(SELECT * FROM {stage} WHERE FALSE)"),
            };
            let statement = batch
                .engine
                .merge(batch.table, &source, &on, &clauses, &self.names);
            let merged = transaction.execute(&statement).await;
            merged.map_err(anyhow::Error::from)
        } else {
            let on = if all { on } else { format!("FALSE AND {on}") };
            self.without_merge(&on, &clauses, all, transaction).await
        };
        merged.with_context(|| {
            format!(
                "merging by the `when_matched` and `merge_filter` of `{}`",
                batch.model.name
            )
        })
    }

    /// The clause that replaces a row.
    fn replace(&self) -> String {
        let names = self.names.iter().map(|name| quote_identifier(name));
        let set: Vec<String> = names
            .map(|name| format!("{name} = \"source\".{name}"))
            .collect();
        format!("WHEN MATCHED THEN UPDATE SET {}", set.join(", "))
    }

    /// What `MERGE` does, on a PostgreSQL that does not have it.
    ///
    /// Which branch each pair takes is decided over the table as it is, before anything is written; then one statement writes
    /// all branches, whose parts see the table as it is, too.
    async fn without_merge(
        &self,
        on: &str,
        clauses: &str,
        all: bool,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<u64> {
        let batch = self.batch;
        let branches = merge_branches(clauses, batch.engine.dialect()).map_err(|clause| {
            anyhow::anyhow!(
                "the server has no MERGE, and `{clause}` cannot be done without: write \
                 `WHEN MATCHED [AND …] THEN UPDATE SET …`, `DELETE` or `DO NOTHING`, or take PostgreSQL 15 or later"
            )
        })?;
        let pairs = self.pairs(on, &branches, all);
        let pairs = batch.engine.create_temporary_table_as(PAIRS, &pairs);
        transaction.execute(&pairs).await?;
        let repeated = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {PAIRS} WHERE _siding_there IS NOT NULL AND _siding_branch >= 0 \
             GROUP BY _siding_there HAVING count(*) > 1 LIMIT 1) AS repeated"
        );
        let repeated = transaction.query(&repeated).await?.single_u64()?;
        anyhow::ensure!(
            repeated == 0,
            "a row of `{}` matches several rows of the batch, so which of them counts would be chance; \
             let the query give one row for each row of the table",
            batch.model.name
        );
        let written = self.written(&branches);
        let written = transaction.query(&written).await?.single_u64()?;
        transaction.execute(&format!("DROP TABLE {PAIRS}")).await?;
        Ok(written)
    }

    /// A query for the pairs. `_siding_there` is NULL for rows that match nothing, `_siding_branch` −1 where nothing is done.
    fn pairs(&self, on: &str, branches: &[MergeBranch], all: bool) -> String {
        let cases: Vec<String> = branches
            .iter()
            .enumerate()
            .map(|(index, branch)| {
                let number = match branch.action {
                    MergeAction::Nothing => "-1".to_owned(),
                    MergeAction::Update(_) | MergeAction::Delete => index.to_string(),
                };
                let condition = branch.condition.as_deref().unwrap_or("TRUE");
                format!("WHEN ({condition}\n) THEN {number}")
            })
            .collect();
        format!(
            "SELECT \"source\".ctid AS _siding_here, \"target\".ctid AS _siding_there, \
             CASE WHEN \"target\".ctid IS NULL THEN -1 {} ELSE -1 END AS _siding_branch \
             FROM {} AS \"source\" LEFT JOIN {} AS \"target\" ON {on} WHERE {}",
            cases.join(" "),
            Stage::name(),
            self.batch.table,
            if all { "TRUE" } else { "FALSE" },
        )
    }

    /// One statement that does all that the pairs say, and gives the number of rows written.
    fn written(&self, branches: &[MergeBranch]) -> String {
        let (table, stage) = (self.batch.table, Stage::name());
        let mut parts: Vec<String> = branches
            .iter()
            .enumerate()
            .filter_map(|(index, branch)| match &branch.action {
                MergeAction::Update(set) => Some(format!(
                    "UPDATE {table} AS \"target\" SET {set}\n FROM {PAIRS}, {stage} AS \"source\" \
                     WHERE \"target\".ctid = {PAIRS}._siding_there AND \"source\".ctid = {PAIRS}._siding_here AND {PAIRS}._siding_branch = {index}"
                )),
                MergeAction::Delete => Some(format!(
                    "DELETE FROM {table} AS \"target\" USING {PAIRS} \
                     WHERE \"target\".ctid = {PAIRS}._siding_there AND {PAIRS}._siding_branch = {index}"
                )),
                MergeAction::Nothing => None,
            })
            .collect();
        let names: Vec<String> = self
            .names
            .iter()
            .map(|name| quote_identifier(name))
            .collect();
        let values: Vec<String> = names
            .iter()
            .map(|name| format!("\"source\".{name}"))
            .collect();
        parts.push(format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {stage} AS \"source\" \
             JOIN {PAIRS} ON \"source\".ctid = {PAIRS}._siding_here AND {PAIRS}._siding_there IS NULL",
            names.join(", "),
            values.join(", ")
        ));
        let parts = parts.iter().enumerate();
        let (named, counted): (Vec<String>, Vec<String>) = parts
            .map(|(index, part)| {
                (
                    format!("_siding_{index} AS ({part} RETURNING 1)"),
                    format!("(SELECT count(*) FROM _siding_{index})"),
                )
            })
            .unzip();
        format!(
            "WITH {} SELECT {} AS written",
            named.join(", "),
            counted.join(" + ")
        )
    }
}
