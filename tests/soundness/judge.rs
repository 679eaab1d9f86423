//! Compares what Siding keeps with what the new project gives.
//!
//! **What reuse promises.** A plan leaves an environment in which some tables are old ones and the others were built
//! anew over it. Each old table must be one that the model's new query can give over the tables of this environment.
//!
//! A VIEW of which the plan says that it shows the same rows is asked the same question: what it showed before, over the
//! tables of then, must be among what it can show now.
//!
//! Where a query leaves nothing open there is one such table, and by induction over the graph every table equals that of
//! the new project built from nothing. Where it leaves something open there are three sorts:
//!
//! - *Random numbers and the clock.* A table that is built again draws again, so whoever reads what was drawn must be built
//!   again too, and whoever does not may stay. A table that stays keeps what it drew. Every building therefore has a
//!   number of its own in place of `random()`; asking whether an old table may stay, its query gets the old number.
//!   A VIEW draws whenever it is read: with the number of who reads it.
//! - *Order.* LIMIT with ties, `row_number` over ties, `array_agg` without ORDER BY: whatever is built again reads its
//!   input in another order, so that its readers see another outcome if there is one. Whether an old table may stay, its
//!   query is asked over several orders: the table must be among the answers, or agree with them in the columns that
//!   are the same in all of them. A model that picks among ties may thus stay as long as what it picks from is the same.
//!   The old query is asked so too: a window that nobody reads may have sorted the rows for what picks the first, so
//!   that the new one seems to leave nothing open.
//! - *Errors.* Where one side cannot be built there is nothing to compare: the plan fails as a whole.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use siding::model::ModelKind;
use siding::model::ModelName;
use siding::snapshot::Version;

use crate::planner::Step;
use crate::render::Builder;
use crate::render::Chance;
use crate::render::USUAL;
use crate::warehouse::Program;
use crate::warehouse::World;

/// A table that must not be kept.
#[derive(Clone, Debug)]
pub(crate) struct Unsound {
    pub(crate) model: ModelName,
    pub(crate) step: usize,
    pub(crate) flavour: crate::data::Flavour,
    /// The data that show it.
    pub(crate) setup: String,
    /// What is kept, and what it should be.
    pub(crate) kept: String,
    pub(crate) fresh: String,
}

/// What one case says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) unsound: Vec<Unsound>,
    /// Models of a later step that the step before has too, with rows of their own.
    pub(crate) compared: usize,
    pub(crate) reused: usize,
    /// Views of a later step whose rows are said to be the same.
    pub(crate) same_views: usize,
    /// Those whose table is the same in both projects, built from nothing, on all data; and which of them are kept.
    pub(crate) equal: Vec<Equal>,
    /// Kept, though built from nothing they come out otherwise: the query leaves something open.
    pub(crate) open: usize,
    /// Tables that could not be built on some data.
    pub(crate) failed: usize,
}

/// A model whose table stays the same.
#[derive(Clone, Debug)]
pub(crate) struct Equal {
    pub(crate) model: ModelName,
    pub(crate) step: usize,
    pub(crate) reused: bool,
    /// Whether its text or anything above it changed at all.
    pub(crate) touched: bool,
}

fn has_rows(step: &Step, name: &ModelName) -> bool {
    step.snapshots[name].model.kind.is_materialized()
}

/// Which models of each step keep a table that is there: by Siding's versions, the name and version of a table.
pub(crate) fn versions(steps: &[Step]) -> Vec<BTreeMap<ModelName, Version>> {
    steps
        .iter()
        .map(|step| {
            step.order
                .iter()
                .filter(|name| has_rows(step, name))
                .map(|name| (name.clone(), step.snapshots[name].version.clone()))
                .collect()
        })
        .collect()
}

/// Other orders that are tried when an answer differs.
const ORDERS: [usize; 5] = [2, 3, 4, 5, 6];

/// An old table, or what a view showed: built at a step, by a chance.
#[derive(Clone)]
struct Past {
    table: String,
    step: usize,
    chance: Chance,
}

/// What is kept wrongly, when tables are kept by these versions and the rows of these views are said to stay.
pub(crate) fn unsound(
    steps: &[Step],
    versions: &[BTreeMap<ModelName, Version>],
    same_views: &[BTreeSet<ModelName>],
    program: &mut Program,
    worlds: &mut [World],
) -> Vec<Unsound> {
    let mut built: BTreeMap<(&ModelName, &Version), Past> = BTreeMap::new();
    let mut shown: BTreeMap<&ModelName, Past> = BTreeMap::new();
    // What each step has decided, model by model.
    let mut decided: Vec<Vec<Option<String>>> = Vec::new();
    let mut found = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        decided.push(Vec::new());
        let mut builder = Builder::new(step, program);
        for name in &step.order {
            let (past, table) = if let Some(version) = versions[index].get(name) {
                let past = built.get(&(name, version)).cloned();
                let table = past.as_ref().map(|past| past.table.clone());
                let table = table.unwrap_or_else(|| {
                    let chance = Chance {
                        draw: index,
                        shuffle: usize::from(index > 0),
                    };
                    let table = builder.make(name, chance);
                    let past = Past {
                        table: table.clone(),
                        step: index,
                        chance,
                    };
                    built.insert((name, version), past);
                    table
                });
                (past, Some(table))
            } else if let ModelKind::View = step.snapshots[name].model.kind {
                // Who looks at a view has no part in what was drawn or in any order.
                let now = Past {
                    table: builder.make(name, USUAL),
                    step: index,
                    chance: USUAL,
                };
                let same = same_views.get(index);
                let past = shown.insert(name, now);
                (
                    past.filter(|_| same.is_some_and(|same| same.contains(name))),
                    None,
                )
            } else {
                (None, None)
            };
            if let Some(past) = past {
                let new = builder.make(name, past.chance);
                let question = Question {
                    name,
                    past: &past,
                    before: (&steps[past.step], &decided[past.step]),
                    now: (step, &decided[index]),
                };
                let wrong = question.ask(&new, builder.program(), worlds);
                found.extend(wrong.map(|wrong| Unsound {
                    step: index,
                    ..wrong
                }));
            }
            builder.decide(table.clone());
            decided[index].push(table);
        }
    }
    found
}

/// Whether an old table may be what the model's query gives now.
struct Question<'a> {
    name: &'a ModelName,
    past: &'a Past,
    /// The step that built it, and the one that keeps it, with what they decided up to this model.
    before: (&'a Step, &'a [Option<String>]),
    now: (&'a Step, &'a [Option<String>]),
}

impl Question<'_> {
    /// What is wrong, if anything is; `new` is what the query makes now.
    fn ask(&self, new: &str, program: &mut Program, worlds: &mut [World]) -> Option<Unsound> {
        let old = &self.past.table;
        if old == new {
            return None;
        }
        for world in worlds {
            let (Ok(kept), Ok(fresh)) = (world.content(program, old), world.content(program, new))
            else {
                continue;
            };
            if kept == fresh {
                continue;
            }
            let wrong = if kept.columns == fresh.columns {
                self.difference(program, world, new)
            } else {
                let columns = [kept.columns, fresh.columns];
                Some(columns.map(|columns| format!("{columns:?}")).into())
            };
            if let Some((kept, fresh)) = wrong {
                return Some(Unsound {
                    model: self.name.clone(),
                    step: self.past.step,
                    flavour: world.flavour,
                    setup: world.setup.clone(),
                    kept,
                    fresh,
                });
            }
        }
        None
    }

    /// What the model's query makes at a step, with rows read in several orders.
    fn made(
        &self,
        (step, decided): (&Step, &[Option<String>]),
        program: &mut Program,
    ) -> Vec<String> {
        let position = step.order.iter().position(|name| name == self.name);
        let above = &decided[..position.expect("both steps have the model")];
        let mut builder = Builder::after(step, above, program);
        let chance = self.past.chance;
        ORDERS
            .map(|shuffle| builder.make(self.name, Chance { shuffle, ..chance }))
            .to_vec()
    }

    /// What the old table holds and should hold instead, unless it is one of the answers as far as they agree.
    fn difference(
        &self,
        program: &mut Program,
        world: &mut World,
        new: &str,
    ) -> Option<(String, String)> {
        let mut answers = self.made(self.now, program);
        answers.push(new.to_owned());
        let mut before = self.made(self.before, program);
        before.push(self.past.table.clone());
        let kept = world.content(program, &self.past.table).ok()?;
        for answer in &answers {
            if world.content(program, answer).ok()? == kept {
                return None;
            }
        }
        before.retain(|one| world.content(program, one).is_ok());
        // Only columns that come out the same in every order, then and now, say anything.
        let mut stable: Vec<String> = Vec::new();
        for (column, _) in &kept.columns {
            let mut more = stable.clone();
            more.push(column.clone());
            let same = |tables: &[String]| {
                let contents: BTreeSet<String> = tables
                    .iter()
                    .filter_map(|table| world.columns_of(table, &more).ok())
                    .collect();
                contents.len() == 1
            };
            if same(&answers) && same(&before) {
                stable = more;
            }
        }
        if stable.is_empty() {
            return None;
        }
        let before = world.columns_of(&self.past.table, &stable).ok()?;
        let after = world.columns_of(new, &stable).ok()?;
        (before != after).then_some((before, after))
    }
}

/// The tables of each step, each project built from nothing.
pub(crate) fn from_nothing(
    steps: &[Step],
    program: &mut Program,
) -> Vec<BTreeMap<ModelName, String>> {
    steps
        .iter()
        .map(|step| {
            let mut builder = Builder::new(step, program);
            for name in &step.order {
                let table = has_rows(step, name).then(|| builder.make(name, USUAL));
                builder.decide(table);
            }
            builder.tables()
        })
        .collect()
}

/// Judges what Siding says of these projects, on the data of these worlds.
pub(crate) fn judge(steps: &[Step], program: &mut Program, worlds: &mut [World]) -> Verdict {
    let fresh = from_nothing(steps, program);
    let versions = versions(steps);
    let same_views: Vec<_> = steps.iter().map(Step::same_views).collect();
    let mut verdict = Verdict {
        unsound: unsound(steps, &versions, &same_views, program, worlds),
        same_views: same_views[1..].iter().map(BTreeSet::len).sum(),
        ..Verdict::default()
    };
    let mut built: BTreeSet<(&ModelName, &Version)> = versions[0].iter().collect();
    for index in 1..steps.len() {
        for (name, version) in &versions[index] {
            let reused = !built.insert((name, version));
            if !versions[index - 1].contains_key(name) {
                continue;
            }
            verdict.compared += 1;
            verdict.reused += usize::from(reused);
            let (old, new) = (&fresh[index - 1][name], &fresh[index][name]);
            let mut equal = true;
            let mut seen = false;
            // Nothing changed at or above it.
            seen |= old == new;
            for world in worlds.iter_mut().filter(|_| old != new) {
                match (world.content(program, old), world.content(program, new)) {
                    (Ok(old), Ok(new)) => {
                        seen = true;
                        equal &= old == new;
                    }
                    _ => verdict.failed += 1,
                }
            }
            if !seen {
                continue;
            }
            if equal {
                verdict.equal.push(Equal {
                    model: name.clone(),
                    step: index,
                    reused,
                    touched: old != new,
                });
            } else if reused {
                let known = |one: &Unsound| one.step <= index;
                verdict.open += usize::from(!verdict.unsound.iter().any(known));
            }
        }
    }
    verdict
}
