//! One script, told twice: to a world where nobody is ever killed, and to one where everybody is.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check;
use crate::old_state;
use crate::process::Ended;
use crate::process::LONGEST;
use crate::project::RAW;
use crate::random::Random;
use crate::script::Script;
use crate::script::Step;
use crate::world::Engine;
use crate::world::Look;
use crate::world::World;

/// How many commands a script has.
const STEPS: usize = 12;

/// Most kills of one command.
const KILLS_IN_A_ROW: usize = 3;

/// How often a run that a bad day stops is repeated: a batch has two days, so the second time the bad one stands alone.
const REFUSED_AGAIN: usize = 2;

/// Repairs every day that an audit would refuse.
const GOOD: &str = "UPDATE raw.events SET v = -v - 1 WHERE v < 0";

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kills: usize,
    pub(crate) steps: usize,
    /// How often commands of each topic were killed.
    pub(crate) topics: BTreeMap<&'static str, usize>,
    /// What was found after the kills.
    pub(crate) places: BTreeMap<&'static str, usize>,
}

/// What was wrong, with the steps that lead there.
pub(crate) struct Failure(pub(crate) String);

/// What a script is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) engine: Engine,
    /// Whether production's tables have the models' own names.
    pub(crate) dev_only: bool,
}

impl Setting {
    fn world(self) -> World {
        let world = World::new(self.engine);
        if self.dev_only {
            let mode = "virtual_environment_mode: dev_only\n";
            world.write("config.yaml", &(world.config("") + mode));
        }
        world.execute(RAW);
        world
    }
}

/// Tells one script, until it ends or `kills` are reached.
pub(crate) fn episode(
    setting: Setting,
    seed: u64,
    kills: usize,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut random = Random::new(seed);
    let mut script = Script::new(Random::new(random.next()));
    let [calm, killed] = [setting.world(), setting.world()];
    let mut told: Vec<String> = Vec::new();
    for number in 1..=STEPS {
        if tally.kills >= kills {
            break;
        }
        let step = script.next();
        told.push(format!(
            "{number}. {} ({}): {:?}",
            step.command.join(" "),
            step.topic,
            step.knobs
        ));
        tally.steps += 1;
        both(&calm, &killed, &step, &mut random, tally).map_err(|what| {
            Failure(format!(
                "{setting:?}, seed {seed}:\n{}\n{what}",
                told.join("\n")
            ))
        })?;
    }
    last(&calm, &killed).map_err(|what| {
        Failure(format!(
            "{setting:?}, seed {seed}:\n{}\nat the end: {what}",
            told.join("\n")
        ))
    })
}

fn both(
    calm: &World,
    killed: &World,
    step: &Step,
    random: &mut Random,
    tally: &mut Tally,
) -> Result<(), String> {
    for world in [calm, killed] {
        for (path, text) in step.knobs.files() {
            world.write(&path, &text);
        }
        if let Some(known) = step.old_state {
            old_state::make_old(world, known);
        }
        if let Some(sql) = &step.data {
            world.execute(sql);
        }
    }
    let expected = ended(calm.run(&step.command))?;
    let most = random.within(1, KILLS_IN_A_ROW);
    let before = promotions(&mut killed.look());
    let mut done = None;
    for _ in 0..most {
        // Most of what it does comes after it has read the project.
        let share = if random.chance(85) {
            random.within(300, 1030)
        } else {
            random.below(300)
        };
        let delay = expected.took * u32::try_from(share).unwrap() / 1000;
        let mut running = killed.start(&step.command);
        if running.ends_within(delay) {
            done = Some(running.wait());
            break;
        }
        let was_killed = running.kill();
        if was_killed.code != 128 + 9 {
            done = Some(was_killed);
            break;
        }
        tally.kills += 1;
        *tally.topics.entry(step.topic).or_default() += 1;
        // What the server still does of it meets the next command, too.
        let is_repeatable = !["rollback", "invalidate"].contains(&step.topic);
        if is_repeatable && random.chance(25) {
            *tally.places.entry("not looked at").or_default() += 1;
            continue;
        }
        killed.settle();
        let mut look = killed.look();
        let unrecorded = wreck(&mut look, step)
            .map_err(|what| format!("after a kill: {what}\nit had said:\n{}", was_killed.tail()))?;
        *tally
            .places
            .entry(place(&mut look, unrecorded))
            .or_default() += 1;
        // A rollback that was done goes back again when it is repeated, and what is gone cannot be removed again.
        let is_done = match step.topic {
            "rollback" => promotions(&mut look) > before && is_final(&mut look),
            "invalidate" => expected.code == 0 && !has_dev(&mut look),
            _ => false,
        };
        if is_done {
            done = Some(Ended {
                code: 0,
                ..was_killed
            });
            break;
        }
    }
    let found = ended(done.unwrap_or_else(|| killed.run(&step.command)))?;
    if found.code != expected.code {
        return Err(format!(
            "never killed it ends with {}, and {} after kills:\n{}\n--- never killed:\n{}",
            expected.code,
            found.code,
            found.tail(),
            expected.tail()
        ));
    }
    if step.topic == "refused run" {
        // Batches begin where the last run stopped, with the days that it looks back: of a run that is begun again, one
        // more may lie before the bad day. Both have come as far as they can when nothing more is filled.
        for world in [calm, killed] {
            for _ in 0..REFUSED_AGAIN {
                ended(world.run(&step.command))?;
            }
        }
    }
    let [mut calm, mut killed] = [calm.look(), killed.look()];
    let rows = [&mut calm, &mut killed].map(check::contents);
    if let Some(difference) = check::difference(&rows[0], &rows[1]) {
        return Err(format!(
            "other rows:\n{difference}\nit had said:\n{}",
            found.tail()
        ));
    }
    wreck(&mut killed, step)?;
    check::ledger(&mut killed)
}

/// Neither a panic nor a wait for something that never comes.
fn ended(ended: Ended) -> Result<Ended, String> {
    if ended.took >= LONGEST {
        return Err(format!("it never ended, and said:\n{}", ended.tail()));
    }
    if ended.code > 1 {
        return Err(format!("it ended with {}:\n{}", ended.code, ended.tail()));
    }
    Ok(ended)
}

/// How often environments were promoted.
fn promotions(look: &mut Look) -> usize {
    look.state("SELECT id FROM siding_promotions").len()
}

/// Whether every environment's views are known to be switched.
fn is_final(look: &mut Look) -> bool {
    let left = look.state("SELECT name FROM siding_environments WHERE finalized_at IS NULL");
    left.is_empty()
}

/// Whether there is a development environment.
fn has_dev(look: &mut Look) -> bool {
    let dev = look.state("SELECT name FROM siding_environments WHERE name = 'dev'");
    !dev.is_empty()
}

/// What holds at any moment. Comes back: whether rows are there that nobody has recorded yet.
fn wreck(look: &mut Look, step: &Step) -> Result<bool, String> {
    let removes = ["invalidate", "janitor"].contains(&step.topic);
    check::one_promotion(look, removes.then_some("dev"))?;
    check::claims(look)
}

/// How far it had come, by what it has left in the state.
fn place(look: &mut Look, unrecorded: bool) -> &'static str {
    let some = |rows: Vec<Vec<String>>| !rows.is_empty();
    if !is_final(look) {
        "between a record and its switch"
    } else if unrecorded {
        "between a batch and its record"
    } else if some(look.state("SELECT subject FROM siding_leases WHERE subject LIKE 'table %'")) {
        "while it wrote a table"
    } else if some(
        look.state("SELECT subject FROM siding_leases WHERE subject LIKE 'environment %'"),
    ) {
        "while it held an environment"
    } else if some(look.state("SELECT plan_id FROM siding_open_plans")) {
        "while it applied a plan"
    } else if some(look.state("SELECT subject FROM siding_leases")) {
        "while it cleaned up"
    } else {
        "before or after all"
    }
}

/// A last plan, and then the same objects are there: nothing is left over that nobody will ever remove.
fn last(calm: &World, killed: &World) -> Result<(), String> {
    for world in [calm, killed] {
        world.execute(GOOD);
        for command in [
            [
                "plan",
                "prod",
                "--auto-apply",
                "--execution-time",
                "2024-02-27",
            ]
            .as_slice(),
            &["run", "--execution-time", "2024-02-28"],
            &["janitor", "--ignore-ttl"],
        ] {
            let ended = ended(world.run(command))?;
            if ended.code != 0 {
                return Err(format!("`siding {}`: {}", command.join(" "), ended.tail()));
            }
        }
    }
    let [mut calm, mut killed] = [calm.look(), killed.look()];
    let rows = [&mut calm, &mut killed].map(check::contents);
    if let Some(difference) = check::difference(&rows[0], &rows[1]) {
        return Err(format!("other rows:\n{difference}"));
    }
    // Views that stay behind for others to stand on have names of their own in each.
    let objects = [&mut calm, &mut killed].map(|look| {
        let mut objects = check::objects(look);
        objects.retain(|(name, _)| !name.contains(".siding_former_"));
        objects
    });
    if objects[0] != objects[1] {
        let left: Vec<_> = objects[1].symmetric_difference(&objects[0]).collect();
        return Err(format!("only one of both has {left:?}"));
    }
    let schemas = [&mut calm, &mut killed].map(check::schemas);
    if schemas[0] != schemas[1] {
        return Err(format!("other schemas: {schemas:?}"));
    }
    check::ledger(&mut killed)?;
    for (what, sql) in [
        ("leases", "SELECT subject FROM siding_leases"),
        ("open plans", "SELECT plan_id FROM siding_open_plans"),
    ] {
        let left = killed.state(sql);
        if !left.is_empty() {
            return Err(format!("{what} that nobody will ever give back: {left:?}"));
        }
    }
    Ok(())
}

/// Episodes until there were `kills`.
pub(crate) fn episodes(
    setting: Setting,
    seed: u64,
    kills: usize,
    most_failures: usize,
) -> (Tally, Vec<Failure>) {
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    let mut number = seed;
    let since = std::time::Instant::now();
    while tally.kills < kills && failures.len() < most_failures {
        if let Err(failure) = episode(setting, number, kills, &mut tally) {
            println!("{}\n", failure.0);
            failures.push(failure);
        }
        number += 1;
    }
    let took = Duration::from_secs(since.elapsed().as_secs());
    println!(
        "{setting:?}: seeds {seed} to {}, {} kills in {} commands, {} failures, {took:?}\n{:#?}\n{:#?}",
        number - 1,
        tally.kills,
        tally.steps,
        failures.len(),
        tally.topics,
        tally.places
    );
    (tally, failures)
}
