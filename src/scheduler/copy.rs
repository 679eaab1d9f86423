//! A table that starts from the rows of another one: copied by the engine, its columns altered to fit, all in one
//! transaction. Readers of the other table notice nothing.

use anyhow::Context;
use chrono::TimeDelta;

use crate::engine::EngineColumn;
use crate::engine::Heir;
use crate::model::ModelKind;
use crate::model::OnChange;
use crate::plan::AlterRules;
use crate::plan::Base;
use crate::plan::Work;
use crate::scheduler::Filling;
use crate::scheduler::hold::hold;
use crate::scheduler::materialize;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::Known;
use crate::scheduler::materialize::time_condition;
use crate::scheduler::materialize::widened;
use crate::scheduler::past;
use crate::scheduler::past::Marker;
use crate::scheduler::place::standing;
use crate::snapshot::Alteration;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::alterations;
use crate::sql::TableName;
use crate::sql::quote_identifier;
use crate::state::Lease;
use crate::state::Subject;

/// What a copy did.
struct Copied {
    /// Rows that were copied.
    rows: u64,
    /// What is worth knowing about its columns, one sentence each.
    warnings: Vec<String>,
}

/// The marks of batches that matter to a copy.
#[derive(Default)]
struct Marks {
    /// Those of the source, as they are known.
    source: Option<Marker>,
    /// Those of an earlier table in the same place, to be forgotten.
    old: Option<TableName>,
}

/// How often a copy is tried while somebody else writes its source.
const COPIES: usize = 3;

/// Lets the table of `work` start from the rows of another one and records what came with them. A kill in between
/// repeats the copy. What is worth knowing comes back, one sentence each.
pub(super) async fn begin(
    filling: &Filling<'_>,
    work: &Work,
    base: &Base,
    lease: &Lease,
) -> anyhow::Result<Vec<String>> {
    let day = Interval::new(
        filling.scope.execution_time - TimeDelta::days(1),
        filling.scope.execution_time,
    );
    let batch = Batch {
        engine: filling.engine,
        scope: filling.scope,
        model: &filling.scope.snapshots[&work.name].model,
        table: &work.table,
        stand_in: None,
        known: &Known::default(),
        range: day.expect("a day is not empty"),
        first: false,
        marker: None,
        held: Some((filling.state, lease)),
    };
    // The name of a version may be a view over its table.
    let from = match filling.state.has_own_tables().await? {
        true => standing(filling, &work.name, &base.version, &base.table).await?,
        false => None,
    };
    let from = from.unwrap_or_else(|| base.table.clone());
    if !batch.model.kind.adds_to_its_rows() {
        return tried(filling, work, base, &batch, &from, None).await;
    }
    // What is copied and not recorded would be added again. So nobody writes the other table until all is recorded.
    let subject = Subject::table(&work.name, &base.version);
    let what = format!("the table of `{}`", work.name);
    let (state, control) = (filling.state, filling.control);
    let held = hold(state, control, &subject, &what, filling.report).await?;
    let copied = tried(filling, work, base, &batch, &from, Some(&held)).await;
    let released = state.release(&held).await;
    let warnings = copied?;
    released.context("giving the other table back")?;
    Ok(warnings)
}

/// Copies and records, again while somebody changes what is recorded of the source; `held` is the lease on that, for
/// tables to which rows are added.
async fn tried(
    filling: &Filling<'_>,
    work: &Work,
    base: &Base,
    batch: &Batch<'_>,
    from: &TableName,
    held: Option<&Lease>,
) -> anyhow::Result<Vec<String>> {
    let (state, now) = (filling.state, filling.now);
    let source = (work.name.clone(), base.version.clone());
    let (_, lease) = batch.held.context("a copy is made under a lease")?;
    // Somebody may fill or restate the other table meanwhile; then it is not known which of its rows were copied.
    for _ in 0..COPIES {
        let mut marks = Marks::default();
        if let Some(held) = held {
            let table = (&base.table, &base.version);
            marks.source = past::settle(filling, work, table, held).await?;
            marks.old = past::old_marks(filling, &work.table).await?;
        }
        let mark = state.mark(&source).await?;
        let keep = match held {
            // Whatever was added by now comes along.
            Some(_) => {
                let filled = state.filled(std::slice::from_ref(&source)).await;
                let filled = filled.context("reading what is filled")?;
                filled.values().flat_map(Intervals::iter).collect()
            }
            None => base.keep.clone(),
        };
        let copied = write(batch, base, from, &marks).await?;
        tracing::debug!(model = %work.name, rows = copied.rows, "copied the rows that stay");
        let carried = state.carry(lease, &source, &work.version, &keep, mark, now);
        if carried.await? {
            return Ok(copied.warnings);
        }
    }
    anyhow::bail!(
        "the table `{}`, whose rows `{}` goes on from, is being written by somebody else; plan again when that is done",
        base.table.plain(),
        work.name
    )
}

/// Makes the table of `batch` from `base`, whose table is `from`; doing so again makes it anew.
async fn write(
    batch: &Batch<'_>,
    base: &Base,
    from: &TableName,
    marks: &Marks,
) -> anyhow::Result<Copied> {
    let there = batch.engine.columns(&base.table).await?;
    let there = there.with_context(|| {
        format!(
            "the table `{}`, whose rows `{}` goes on from, is gone; plan again",
            base.table.plain(),
            batch.model.name
        )
    })?;
    let condition = condition(batch, base, &there)?;
    let mut warnings = Vec::new();
    let mut alters = Vec::new();
    if let Some(rules) = base.alter {
        // The empty table of the new definition says what columns it is to have.
        materialize::make(batch).await?;
        let wanted = batch.engine.columns(batch.table).await?.unwrap_or_default();
        let found = alterations(&texts(&there), &texts(&wanted));
        (alters, warnings) = settled(batch, found, rules)?;
    }
    let source = format!("SELECT * FROM {}{condition}", base.table);
    materialize::wait_for_writers(batch).await?;
    let mut transaction = batch.engine.begin().await?;
    let mut rows = 0;
    for statement in batch
        .engine
        .create_or_replace_table_as(batch.table, &source)
    {
        rows += transaction.execute(&statement).await?;
    }
    if let Some(source) = &marks.source {
        // Whoever was thought dead may have written it since.
        source.check(transaction.as_mut()).await?;
    }
    if let Some(old) = &marks.old {
        transaction.execute(&format!("DELETE FROM {old}")).await?;
    }
    for alteration in &alters {
        for statement in statements(batch.table, alteration)? {
            transaction
                .execute(&statement)
                .await
                .with_context(|| format!("altering the columns of `{}`", batch.model.name))?;
        }
    }
    let lacks = lacks(&alters);
    let heir = Heir {
        from,
        to: batch.table,
        lacks: &lacks,
        gone: &[],
    };
    let besides = batch.engine.belongings(heir).await?;
    let given = transaction.execute_all(&besides).await;
    given.with_context(|| {
        format!(
            "giving the new table of `{}` the indexes and constraints of `{}`",
            batch.model.name,
            base.table.plain()
        )
    })?;
    materialize::store(batch, transaction.as_mut()).await?;
    materialize::check_held(batch).await?;
    transaction.commit().await?;
    materialize::describe(batch).await;
    Ok(Copied { rows, warnings })
}

/// The columns that the new table lacks, or has with other values.
fn lacks(alters: &[Alteration]) -> Vec<String> {
    let gone = alters.iter().filter_map(|alteration| match alteration {
        Alteration::Drop { name } | Alteration::Replace { name, .. } => Some(name.clone()),
        Alteration::Add { .. } | Alteration::Widen { .. } => None,
    });
    gone.collect()
}

/// Which rows come along.
fn condition(batch: &Batch<'_>, base: &Base, columns: &[EngineColumn]) -> anyhow::Result<String> {
    let (Some(cut), ModelKind::IncrementalByTimeRange { time_column, .. }) =
        (base.cut, &batch.model.kind)
    else {
        return Ok(String::new());
    };
    let stored = batch.engine.stored_name(&time_column.column);
    let time = columns
        .iter()
        .find(|column| column.name.eq_ignore_ascii_case(&stored));
    let data_type = time.map(|column| column.data_type.as_str());
    let cut = data_type.map_or(cut, |data_type| widened(time_column, data_type, cut));
    let condition = time_condition(batch.engine, time_column, data_type, cut)?;
    Ok(format!(" WHERE NOT ({condition})"))
}

fn texts(columns: &[EngineColumn]) -> Vec<(String, Option<String>)> {
    let columns = columns.iter();
    columns
        .map(|column| (column.name.clone(), Some(column.data_type.clone())))
        .collect()
}

/// What is altered of `found`, and what is to be said about it.
fn settled(
    batch: &Batch<'_>,
    found: Vec<Alteration>,
    rules: AlterRules,
) -> anyhow::Result<(Vec<Alteration>, Vec<String>)> {
    let name = &batch.model.name;
    let mut done = Vec::new();
    let mut warnings = Vec::new();
    for alteration in found {
        let (rule, what, option) = if alteration.is_destructive() {
            (
                rules.destructive,
                "on_destructive_change",
                "--allow-destructive-model",
            )
        } else {
            (
                rules.additive,
                "on_additive_change",
                "--allow-additive-model",
            )
        };
        match rule {
            OnChange::Error => anyhow::bail!(
                "the forward-only change of `{name}` {alteration} in a table that keeps its rows; plan with \
                 `{option} {name}`, or write `{what} allow` into the model"
            ),
            OnChange::Warn => {
                warnings.push(format!("the change of `{name}` {alteration}"));
                done.push(alteration);
            }
            OnChange::Allow => done.push(alteration),
            OnChange::Ignore => {}
        }
    }
    Ok((done, warnings))
}

fn statements(table: &TableName, alteration: &Alteration) -> anyhow::Result<Vec<String>> {
    let add = |name: &str, data_type: &str| {
        format!(
            "ALTER TABLE {table} ADD COLUMN {} {data_type}",
            quote_identifier(name)
        )
    };
    let drop = |name: &str| format!("ALTER TABLE {table} DROP COLUMN {}", quote_identifier(name));
    Ok(match alteration {
        Alteration::Add { name, data_type } => {
            let data_type = data_type.as_deref();
            vec![add(name, data_type.context("the engine names every type")?)]
        }
        Alteration::Drop { name } => vec![drop(name)],
        Alteration::Widen { name, to, .. } => vec![format!(
            "ALTER TABLE {table} ALTER COLUMN {} SET DATA TYPE {to}",
            quote_identifier(name)
        )],
        Alteration::Replace { name, to, .. } => vec![drop(name), add(name, to)],
    })
}
