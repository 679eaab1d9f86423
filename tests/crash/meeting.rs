//! Two commands at the same time on one project: each does its work, waits, or says that somebody else was first; and
//! in the end the rows are those of one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check;
use crate::process::Ended;
use crate::project::Knobs;
use crate::project::RAW;
use crate::random::Random;
use crate::world::Engine;
use crate::world::World;

/// Commands that meet; `NOW` stands for the round's time. What the second plan has is another edit.
const PAIRS: [(&str, &[&str], &[&str]); 10] = [
    ("plan and plan", PLAN, PLAN),
    ("plan and run", PLAN, RUN),
    ("run and run", RUN, RUN),
    ("janitor and plan", JANITOR, PLAN),
    ("janitor and run", JANITOR, RUN),
    ("restate and run", RESTATE, RUN),
    ("rollback and run", &["rollback", "prod"], RUN),
    ("promote and janitor", PLAN, JANITOR),
    ("restate and plan", RESTATE, PLAN),
    ("dev and its end", DEV, &["invalidate", "dev", "--sync"]),
];

const PLAN: &[&str] = &["plan", "prod", "--auto-apply", "--execution-time", "NOW"];
const DEV: &[&str] = &["plan", "dev", "--auto-apply", "--execution-time", "NOW"];
const RUN: &[&str] = &["run", "--execution-time", "NOW"];
const JANITOR: &[&str] = &["janitor", "--ignore-ttl"];
const RESTATE: &[&str] = &[
    "plan",
    "prod",
    "--auto-apply",
    "--execution-time",
    "NOW",
    "--restate-model",
    "db.daily",
];

/// How somebody says that another process was first.
const LOST: [&str; 11] = [
    "was filled further meanwhile",
    "cleared meanwhile by a restatement",
    "there is nothing to go back to",
    "was changed by another plan",
    "was changed meanwhile",
    "is in use by",
    "took over",
    "plan again",
    "Plan again",
    "there is no environment",
    "is being written by somebody else",
];

/// The days of the rounds of one project; then another one begins.
const ROUNDS_OF_ONE: usize = 20;

/// How often each pair met, and what losers said.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) pairs: BTreeMap<&'static str, usize>,
    pub(crate) lost: BTreeMap<String, usize>,
}

/// Two clones of one project, and one where nothing ever happens at once.
struct Team {
    calm: World,
    ada: World,
    bob: World,
    knobs: Knobs,
    day: usize,
}

impl Team {
    fn new(engine: Engine) -> Self {
        let [calm, ada] = [World::new(engine), World::new(engine)];
        let bob = ada.beside();
        let team = Self {
            calm,
            ada,
            bob,
            knobs: Knobs::new(),
            day: 6,
        };
        for world in [&team.calm, &team.ada] {
            world.execute(RAW);
        }
        team.write([&team.knobs; 3]);
        for world in [&team.calm, &team.ada] {
            assert_eq!(world.run(&team.at(PLAN)).code, 0);
        }
        team
    }

    /// For the calm world, ada and bob.
    fn write(&self, knobs: [&Knobs; 3]) {
        for (world, knobs) in [&self.calm, &self.ada, &self.bob].into_iter().zip(knobs) {
            for (path, text) in knobs.files() {
                world.write(&path, &text);
            }
        }
    }

    fn at(&self, command: &[&str]) -> Vec<String> {
        let now = format!(
            "2024-{:02}-{:02}",
            1 + self.day / 32,
            1 + (self.day - 1) % 31
        );
        let words = command.iter();
        words.map(|word| word.replace("NOW", &now)).collect()
    }

    fn round(&mut self, number: usize, random: &mut Random, met: &mut Met) -> Result<(), String> {
        let (what, first, second) = PAIRS[number % PAIRS.len()];
        self.day += 1;
        *met.pairs.entry(what).or_default() += 1;
        if what.contains("restate") {
            let day = random.below(self.day - 4);
            let sql =
                format!("UPDATE raw.events SET v = v + 1 WHERE day = DATE '2024-01-01' + {day}");
            for world in [&self.calm, &self.ada] {
                world.execute(&sql);
            }
        }
        if what == "promote and janitor" {
            self.knobs.factor = number + 2;
            self.write([&self.knobs; 3]);
            for world in [&self.calm, &self.ada] {
                fine(&world.run(&self.at(DEV)))?;
            }
        }
        let before = self.knobs.clone();
        self.edit(number, random);
        let mut other = self.knobs.clone();
        other.plus += 1000;
        let of_ada = if first == PLAN && second == PLAN {
            &other
        } else {
            &self.knobs
        };
        self.write([of_ada, of_ada, &self.knobs]);

        let late = Duration::from_millis(u64::try_from(random.below(300)).unwrap());
        let [first, second] = [first, second].map(|command| self.at(command));
        let [one, two] = [self.ada.start(&first), {
            std::thread::sleep(late);
            self.bob.start(&second)
        }];
        let ended = [one.wait(), two.wait()];
        for ended in &ended {
            match ended.code {
                0 => {}
                1 if LOST.iter().any(|text| ended.said.contains(text)) => {
                    let said = LOST
                        .iter()
                        .find(|text| ended.said.contains(**text))
                        .unwrap();
                    *met.lost.entry(format!("{what}: {said}")).or_default() += 1;
                }
                code => return Err(format!("{what}: it ended with {code}:\n{}", ended.tail())),
            }
        }
        if ended.iter().all(|ended| ended.code != 0) {
            return Err(format!(
                "{what}: both lost:\n{}\n---\n{}",
                ended[0].tail(),
                ended[1].tail()
            ));
        }
        self.sound().map_err(|wrong| format!("{what}: {wrong}"))?;

        // One after the other where nobody meets anybody.
        drop(self.calm.run(&first));
        self.write([&self.knobs; 3]);
        drop(self.calm.run(&second));
        for (ended, command) in ended.iter().zip([&first, &second]) {
            // Whoever lost a run does it again, before anything else changes; and a restatement that has cleared nothing, so that
            // no plan would do it.
            let is_restatement = command.iter().any(|word| word == "--restate-model");
            let is_begun = ended.said.contains("the next `siding plan`");
            if ended.code != 0 && (command[0] == "run" || (is_restatement && !is_begun)) {
                fine(&self.ada.run(command))?;
            }
        }
        for world in [&self.calm, &self.ada] {
            fine(&world.run(&self.at(PLAN)))?;
            fine(&world.run(&self.at(RUN)))?;
        }
        let said = || format!("{}\n---\n{}\n{before:?}", ended[0].tail(), ended[1].tail());
        self.equal()
            .map_err(|wrong| format!("{what}: {wrong}\nthey had said:\n{}", said()))
    }

    /// Another project in each round, but never another definition of what builds on its past: that would depend on who
    /// was first.
    fn edit(&mut self, number: usize, random: &mut Random) {
        match random.below(3) {
            0 => self.knobs.labels = 3 + number % 4,
            1 => self.knobs.plus = number,
            _ => self.knobs.word = number,
        }
    }

    /// What holds whoever was first.
    fn sound(&self) -> Result<(), String> {
        let mut look = self.ada.look();
        check::one_promotion(&mut look, Some("dev"))?;
        check::claims(&mut look)?;
        check::ledger(&mut look)?;
        let left = look.state("SELECT subject, label FROM siding_leases");
        if !left.is_empty() {
            return Err(format!("leases that nobody gave back: {left:?}"));
        }
        Ok(())
    }

    /// Once everybody has done everything, the rows are those of the calm world.
    fn equal(&self) -> Result<(), String> {
        self.sound()?;
        let rows = [&self.calm, &self.ada].map(|world| {
            let mut rows = check::contents(&mut world.look());
            // Whether it is there depends on who was first.
            rows.retain(|view, _| !view.starts_with("db__dev"));
            rows
        });
        check::difference(&rows[0], &rows[1]).map_or(Ok(()), Err)
    }
}

fn fine(ended: &Ended) -> Result<(), String> {
    if ended.code == 0 {
        return Ok(());
    }
    Err(format!(
        "afterwards one ends with {}:\n{}",
        ended.code,
        ended.tail()
    ))
}

/// Lets each pair meet, again and again, `rounds` times in all.
pub(crate) fn meetings(engine: Engine, seed: u64, rounds: usize) -> (Met, Vec<String>) {
    let mut random = Random::new(seed);
    let mut met = Met::default();
    let mut failures = Vec::new();
    let mut team = Team::new(engine);
    let since = std::time::Instant::now();
    for number in 0..rounds {
        if number % ROUNDS_OF_ONE == ROUNDS_OF_ONE - 1 {
            team = Team::new(engine);
        }
        if let Err(failure) = team.round(number, &mut random, &mut met) {
            println!("{engine:?}, round {number}: {failure}\n");
            failures.push(format!(
                "{engine:?}, seed {seed}, round {number}: {failure}"
            ));
            team = Team::new(engine);
        }
    }
    println!(
        "{engine:?}: seed {seed}, {rounds} rounds, {} failures, {} s\n{met:#?}",
        failures.len(),
        since.elapsed().as_secs()
    );
    (met, failures)
}
