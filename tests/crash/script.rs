//! What is done to a project, by chance: changes of files and data, each followed by a command.

use crate::project::Knobs;
use crate::random::Random;

/// A change of the world and the command after it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What it is about, for the report.
    pub(crate) topic: &'static str,
    /// The project from now on.
    pub(crate) knobs: Knobs,
    /// Statements that change what models read.
    pub(crate) data: Option<String>,
    /// The state becomes one that a release wrote which knew so many migrations.
    pub(crate) old_state: Option<i64>,
    /// The command that is killed.
    pub(crate) command: Vec<String>,
}

/// The first day that nothing was filled up to.
const FIRST_DAY: usize = 4;

/// The last day that there are events of.
const LAST_DAY: usize = 55;

/// Makes steps one after the other.
pub(crate) struct Script {
    random: Random,
    knobs: Knobs,
    /// The project as earlier plans had it.
    past: Vec<Knobs>,
    day: usize,
    has_dev: bool,
    number: usize,
    /// What still has to follow.
    next: Vec<Step>,
}

impl Script {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random,
            knobs: Knobs::new(),
            past: Vec::new(),
            day: FIRST_DAY,
            has_dev: false,
            number: 0,
            next: Vec::new(),
        }
    }

    /// "Now", as the commands are told.
    fn now(&self) -> String {
        let (month, day) = match self.day {
            1..=31 => (1, self.day),
            day => (2, day - 31),
        };
        format!("2024-{month:02}-{day:02}")
    }

    fn step(&self, topic: &'static str, command: &[&str]) -> Step {
        let mut command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        if ["plan", "run"].contains(&command[0].as_str()) {
            command.extend(["--execution-time".to_owned(), self.now()]);
        }
        if command[0] == "plan" {
            command.push("--auto-apply".to_owned());
        }
        Step {
            topic,
            knobs: self.knobs.clone(),
            data: None,
            old_state: None,
            command,
        }
    }

    pub(crate) fn next(&mut self) -> Step {
        self.number += 1;
        if let Some(step) = self.next.pop() {
            return step;
        }
        if self.number == 1 {
            return self.step("first plan", &["plan", "prod"]);
        }
        match self.random.below(100) {
            0..14 => self.edit("prod"),
            14..26 => self.edit("dev"),
            26..34 => self.promote(),
            34..42 => self.forward_only(),
            42..58 => self.run("prod"),
            58..62 => self.run("dev"),
            62..72 => self.restate(),
            72..80 => self.step("rollback", &["rollback", "prod"]),
            80..84 => self.remove_dev(),
            84..88 => self.step("janitor", &["janitor", "--ignore-ttl"]),
            88..93 => self.bad_day(),
            93..96 => self.revert(),
            _ => self.migrate(),
        }
    }

    fn edit(&mut self, environment: &str) -> Step {
        self.past.push(self.knobs.clone());
        for _ in 0..self.random.within(1, 2) {
            let value = self.number;
            match self.random.below(5) {
                0 => self.knobs.factor = value,
                1 => self.knobs.labels = 3 + value % 4,
                2 => self.knobs.plus = value,
                3 => self.knobs.past = value,
                _ => self.knobs.word = value,
            }
        }
        if environment == "dev" {
            self.has_dev = true;
            return self.step("plan dev", &["plan", "dev"]);
        }
        self.step("plan prod", &["plan", "prod"])
    }

    fn promote(&mut self) -> Step {
        if !self.has_dev {
            return self.edit("dev");
        }
        self.step("promote", &["plan", "prod"])
    }

    fn forward_only(&mut self) -> Step {
        self.past.push(self.knobs.clone());
        self.knobs.more += 1;
        if self.random.chance(30) {
            self.has_dev = true;
            return self.step("forward-only dev", &["plan", "dev", "--forward-only"]);
        }
        self.step("forward-only", &["plan", "prod", "--forward-only"])
    }

    fn run(&mut self, environment: &str) -> Step {
        if environment == "dev" && !self.has_dev {
            return self.edit("dev");
        }
        self.day = (self.day + self.random.within(1, 3)).min(LAST_DAY);
        let mut step = self.step("run", &["run", environment]);
        if self.random.chance(50) {
            let (id, number, now) = (self.random.within(1, 5), self.number, self.now());
            step.data = Some(match self.random.below(3) {
                0 => format!("DELETE FROM raw.people WHERE id = {id}"),
                _ => format!(
                    "DELETE FROM raw.people WHERE id = {id};
                     INSERT INTO raw.people VALUES ({id}, 'name {number}', TIMESTAMP '{now}' - INTERVAL '1' DAY)"
                ),
            });
        }
        step
    }

    fn restate(&mut self) -> Step {
        let day = self.random.within(1, self.day - 1);
        let model = *self.random.pick(&[
            "db.daily",
            "db.daily",
            "db.parts",
            "db.running",
            "db.total",
            "db.latest",
        ]);
        let mut step = self.step("restate", &["plan", "prod", "--restate-model", model]);
        if self.random.chance(50) {
            let from = format!("2024-01-{:02}", day.min(31));
            step.command.extend(["--start".to_owned(), from]);
        }
        step.data = Some(format!(
            "UPDATE raw.events SET v = v + 1 WHERE day = DATE '2024-01-01' + {}",
            day - 1
        ));
        step
    }

    fn remove_dev(&mut self) -> Step {
        if !self.has_dev {
            return self.edit("dev");
        }
        self.has_dev = false;
        self.step("invalidate", &["invalidate", "dev", "--sync"])
    }

    /// A day that a blocking audit refuses, and then its repair.
    fn bad_day(&mut self) -> Step {
        let day = self.day;
        self.day = (self.day + 2).min(LAST_DAY);
        let negate = format!(
            "UPDATE raw.events SET v = -v - 1 WHERE day = DATE '2024-01-01' + {}",
            day - 1
        );
        let mut repaired = self.step("run", &["run"]);
        repaired.data = Some(negate.clone());
        self.next.push(repaired);
        let mut refused = self.step("refused run", &["run"]);
        refused.data = Some(negate);
        refused
    }

    fn revert(&mut self) -> Step {
        if !self.past.is_empty() {
            let place = self.random.below(self.past.len());
            let now = std::mem::replace(&mut self.knobs, self.past[place].clone());
            self.past.push(now);
        }
        self.step("revert", &["plan", "prod"])
    }

    fn migrate(&mut self) -> Step {
        let known = i64::try_from(self.random.within(1, 3)).unwrap();
        let mut step = self.step("migrate", &["plan", "prod"]);
        step.old_state = Some(known);
        step
    }
}
