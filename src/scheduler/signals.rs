//! Before a model is filled: what of its work its signals say is ready.
//!
//! Signals are asked when the model's turn comes, so that what its parents got in the same filling counts, and while the
//! lease on its table is held, so that of several processes one asks.

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::engine::Moments;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::Signal;
use crate::model::Template;
use crate::plan::Asking;
use crate::plan::Unready;
use crate::plan::Work;
use crate::scheduler::Filling;
use crate::scheduler::Progress;
use crate::scheduler::Scope;
use crate::scheduler::Stopped;
use crate::scheduler::batch::retry;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Version;

/// Something of a model that is not filled, because it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Which time.
    pub ranges: Vec<Interval>,
    /// For what.
    pub on: WaitsFor,
}

/// What a model waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// A signal of its own, as the model calls it.
    Signal(String),
    /// Another model that it reads, directly or through others, and that waits for a signal.
    Model(ModelName),
}

impl std::fmt::Display for WaitsFor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signal(call) => write!(formatter, "the signal `{call}`"),
            Self::Model(name) => write!(formatter, "`{name}`"),
        }
    }
}

/// What was found out about a model's work.
#[derive(Debug, Default)]
pub struct Found {
    /// What is done now; `None` where nothing waits, which means all of it.
    pub rest: Option<Work>,
    /// What waits.
    pub waits: Vec<Wait>,
    /// What readers of the model must not read yet.
    pub unready: Unready,
}

/// What of `work` may be filled, where `above` is not ready of what the model reads and so much of its table is `filled`.
///
/// If something before `whole_until` waits, all of it does. Each signal is asked once about every contiguous slice that is left by those before it.
///
/// # Errors
/// When a signal cannot be asked, or its answer is none; says where it stands.
pub async fn ask(
    engine: &dyn EngineAdapter,
    scope: &Scope<'_>,
    model: &Model,
    work: &Work,
    filled: &Intervals,
    above: Unready,
    whole_until: Option<DateTime<Utc>>,
) -> anyhow::Result<Found> {
    let mut asking = Asking::new(model, work, filled);
    asking.without(&above);
    let calls = || {
        let calls: Vec<String> = model.asked().map(Signal::call).collect();
        calls.join(", ")
    };
    let mut waits: Vec<Wait> = asking
        .waits()
        .iter()
        .map(|(name, times)| Wait {
            ranges: times.iter().collect(),
            on: if *name == model.name {
                WaitsFor::Signal(calls())
            } else {
                WaitsFor::Model(name.clone())
            },
        })
        .collect();
    for signal in &model.signals {
        let Some(query) = &signal.query else {
            continue;
        };
        let mut unready = Intervals::default();
        for range in asking.left() {
            let answer = question(engine, scope, model, query, range).await;
            let answer = answer.with_context(|| {
                format!(
                    "asking the signal `{}` of `{}` ({})",
                    signal.call(),
                    model.name,
                    signal.place
                )
            })?;
            match answer {
                Answer::All => {}
                Answer::Nothing => unready.insert(range),
                Answer::At(times) => unready = unready.merge(&asking.all_but(range, &times)),
            }
        }
        let ranges = asking.hold(unready);
        if !ranges.is_empty() {
            waits.push(Wait {
                ranges: ranges.iter().collect(),
                on: WaitsFor::Signal(signal.call()),
            });
        }
    }
    if let Some(until) = whole_until
        && let Some((name, ranges)) = asking.all_until(until)
    {
        let on = WaitsFor::Model(name);
        let place = waits.iter().position(|wait| wait.on == on);
        let place = place.unwrap_or(waits.len().saturating_sub(1));
        if let Some(wait) = waits.get_mut(place) {
            let known: Intervals = wait.ranges.iter().copied().collect();
            wait.ranges = known.merge(&ranges).iter().collect();
        }
    }
    Ok(Found {
        rest: asking.rest(),
        unready: asking.unready(above),
        waits,
    })
}

/// What a signal said about one slice.
enum Answer {
    All,
    Nothing,
    /// The intervals that hold one of these times.
    At(Vec<DateTime<Utc>>),
}

async fn question(
    engine: &dyn EngineAdapter,
    scope: &Scope<'_>,
    model: &Model,
    query: &Template,
    range: Interval,
) -> anyhow::Result<Answer> {
    let sql = scope.signal(query, model, range)?;
    let sql = sql.trim_end().trim_end_matches(';');
    // In brackets a statement that writes is none.
    let rows = engine
        .query(&format!("SELECT * FROM (\n{sql}\n) AS \"signal\""))
        .await?;
    let moments = rows.moments().map_err(|error| match error {
        EngineError::Answer(found) => anyhow::anyhow!("{WANTED}, and this gave {found}"),
        other => other.into(),
    })?;
    Ok(match moments {
        Moments::Times(times) => Answer::At(times),
        Moments::Truths(truths) => match truths[..] {
            [Some(true)] => Answer::All,
            [Some(false) | None] => Answer::Nothing,
            _ => anyhow::bail!(
                "{WANTED}, and this gave {} rows of truth values",
                truths.len()
            ),
        },
    })
}

const WANTED: &str =
    "a signal gives one column: either one row that is true or false, or dates or times";

/// Until when a table that is built anew from its first batch on must be, or its rows stay: those that are there are not given up for
/// a part of them. `None` where none are.
async fn kept_until(
    filling: &Filling<'_>,
    model: &Model,
    table: &(ModelName, Version),
    filled: &Intervals,
) -> anyhow::Result<Option<DateTime<Utc>>> {
    if !filled.is_empty() || !model.kind.builds_on_its_past() {
        return Ok(None);
    }
    let open = filling
        .state
        .restatements(std::slice::from_ref(table))
        .await
        .context("reading the restatements")?;
    let ranges = open.get(table).into_iter().flatten();
    Ok(ranges.map(|range| range.end()).max())
}

/// The same for a model whose turn it is while it is filled, with what it has to be told.
///
/// # Errors
/// The same; and [`Stopped`].
pub(super) async fn ask_before(
    filling: &Filling<'_>,
    scope: &Scope<'_>,
    work: &Work,
    mut above: Unready,
) -> anyhow::Result<Found> {
    let model = &filling.scope.snapshots[&work.name].model;
    let asks = model.asks();
    if work.hollow || work.batches.is_empty() || (!asks && above.is_empty()) {
        return Ok(Found {
            unready: above,
            ..Found::default()
        });
    }
    if asks && let Some(withheld) = filling.withheld.get(&work.name) {
        above.insert(work.name.clone(), withheld.clone());
    }
    let key = (work.name.clone(), work.version.clone());
    let filled = filling.state.filled(std::slice::from_ref(&key)).await;
    let filled = filled.context("reading what is filled")?;
    let filled = filled.get(&key).cloned().unwrap_or_default();
    let whole_until = kept_until(filling, model, &key, &filled).await?;
    let engine = filling.engine;
    let asked = async {
        let _turn = filling.turns.next(engine, model).await?;
        let above = &above;
        let asked = async || {
            ask(
                engine,
                scope,
                model,
                work,
                &filled,
                above.clone(),
                whole_until,
            )
            .await
        };
        let retrying = |message: String, delay| {
            (filling.report)(Progress::Retrying {
                name: work.name.clone(),
                message,
                delay,
            });
        };
        retry(filling.control, asked, retrying).await
    };
    let control = filling.control;
    let stopped = async {
        control.stop.asked().await;
        tokio::time::sleep(control.grace).await;
    };
    let found = tokio::select! {
        found = asked => found?,
        () = stopped => return Err(Stopped.into()),
    };
    for wait in &found.waits {
        (filling.report)(Progress::Held {
            name: work.name.clone(),
            wait: wait.clone(),
        });
    }
    Ok(found)
}
