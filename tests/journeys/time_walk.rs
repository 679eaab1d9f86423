//! Walks of random steps through time: days that come, data that change, changes of the definition of every sort,
//! restatements. After each step every row is what a simple account of the days says, and what is made of them fits.

use std::collections::BTreeMap;

use crate::answers::is_answered;
use crate::restatement::days;
use crate::workspace::Workspace;

/// What production is to show: each day's value, and by which factor it was computed.
struct Account {
    workspace: Workspace,
    /// What the source has, by day of January.
    source: BTreeMap<u32, i64>,
    /// What `db.inc` has.
    rows: BTreeMap<u32, i64>,
    factor: i64,
    /// The first day that is not over.
    today: u32,
    seed: u64,
    told: Vec<String>,
}

impl Account {
    fn new(seed: u64) -> Self {
        let workspace = days();
        workspace.edit(
            "models/inc.sql",
            "SELECT ds, x FROM",
            "SELECT ds, x * 1 AS x FROM",
        );
        let source: BTreeMap<u32, i64> = (1..=5).map(|day| (day, i64::from(day))).collect();
        let account = Self {
            workspace,
            rows: source.clone(),
            source,
            factor: 1,
            today: 6,
            seed,
            told: Vec::new(),
        };
        account.workspace.apply("prod", &date(6));
        account
    }

    fn random(&mut self, below: u32) -> u32 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.seed >> 33).unwrap() % below
    }

    fn a_day(&mut self) -> u32 {
        let last = self.today - 1;
        1 + self.random(last)
    }

    fn plan(&mut self, arguments: &[&str]) {
        let now = date(self.today);
        let mut all = vec!["plan"];
        all.extend(arguments);
        all.extend(["--auto-apply", "--execution-time", &now]);
        self.told.push(all.join(" "));
        let ended = self.workspace.run(&all);
        assert_eq!(ended.code, 0, "{}\n{}", self.told.join("\n"), ended.stderr);
    }

    fn change(&mut self) {
        let (old, new) = (self.factor, self.factor + 1);
        self.workspace.edit(
            "models/inc.sql",
            &format!("x * {old} AS"),
            &format!("x * {new} AS"),
        );
        self.factor = new;
    }

    fn compute(&mut self, from: u32, to: u32) {
        for day in from..=to {
            self.rows.insert(day, self.source[&day] * self.factor);
        }
    }

    fn step(&mut self) {
        let last = self.today - 1;
        match self.random(7) {
            0 => {
                let (day, value) = (self.a_day(), i64::from(self.random(1000)));
                let sql = format!("UPDATE raw.t SET x = {value} WHERE ds = '{}'", date(day));
                self.told.push(sql.clone());
                self.workspace.execute(&sql);
                self.source.insert(day, value);
            }
            1 => {
                let value = i64::from(self.random(1000));
                let sql = format!("INSERT INTO raw.t VALUES ('{}', {value})", date(self.today));
                self.workspace.execute(&sql);
                self.source.insert(self.today, value);
                self.today += 1;
                let now = date(self.today);
                self.told.push(format!("run prod {now}"));
                self.workspace
                    .run(&["run", "prod", "--execution-time", &now])
                    .fine();
                self.compute(last + 1, last + 1);
            }
            2 => {
                self.change();
                self.plan(&["prod"]);
                self.compute(1, last);
            }
            3 => {
                self.change();
                self.plan(&["prod", "--forward-only"]);
            }
            4 => {
                self.change();
                let from = self.a_day();
                let text = date(from);
                self.plan(&["prod", "--forward-only", "--effective-from", &text]);
                self.compute(from, last);
            }
            5 => {
                self.change();
                let mut preview = self.rows.clone();
                preview.insert(last, self.source[&last] * self.factor);
                self.plan(&["dev", "--forward-only"]);
                self.check("db__dev.inc", &preview);
                let total: i64 = preview.values().sum();
                self.check_readers("db__dev", total);
                self.plan(&["prod"]);
            }
            _ => {
                let (one, other) = (self.a_day(), self.a_day());
                let (from, to) = (one.min(other), one.max(other));
                let (start, end) = (date(from), date(to));
                self.plan(&["prod", "-r", "db.inc", "-s", &start, "-e", &end]);
                self.compute(from, to);
            }
        }
        let rows = self.rows.clone();
        self.check("db.inc", &rows);
        self.check_readers("db", rows.values().sum());
        // The second time the same may be answered without looking.
        let now = format!("{} {:02}:00:00", date(self.today), self.random(24));
        for environment in ["prod", "prod", "dev"] {
            is_answered(&self.workspace, &[environment], &now);
        }
    }

    fn check(&self, table: &str, wanted: &BTreeMap<u32, i64>) {
        let found = self
            .workspace
            .rows(&format!("SELECT day(ds), x FROM {table} ORDER BY ds"));
        let wanted: Vec<Vec<String>> = wanted
            .iter()
            .map(|(day, value)| vec![day.to_string(), value.to_string()])
            .collect();
        assert_eq!(found, wanted, "{table} after\n{}", self.told.join("\n"));
    }

    /// What is made of the days fits them, in whatever table it is.
    fn check_readers(&self, schema: &str, total: i64) {
        let all = format!(
            "SELECT (SELECT total FROM {schema}.total), (SELECT sum(y) FROM {schema}.daily), \
             (SELECT count(*) FROM {schema}.daily AS d ANTI JOIN {schema}.inc AS i ON i.ds = d.ds AND i.x * 10 = d.y)"
        );
        let wanted = [[total.to_string(), (total * 10).to_string(), "0".to_owned()]];
        assert_eq!(
            self.workspace.rows(&all),
            wanted,
            "{schema} after\n{}",
            self.told.join("\n")
        );
    }
}

fn date(day: u32) -> String {
    format!("2024-01-{day:02}")
}

#[test]
fn whatever_happens_every_row_is_accounted_for() {
    for seed in 0..5 {
        let mut account = Account::new(seed);
        for _ in 0..10 {
            account.step();
        }
    }
}
