//! Plans, runs and janitors at the same time on PostgreSQL: each waits for the others or says who was first, and what is
//! left are the rows of one after the other.

use crate::cluster::Database;
use crate::postgres;
use crate::processes::Background;
use crate::workspace::Ended;
use crate::workspace::Workspace;

const ROUNDS: u32 = 6;

const DAYS: &str =
    "generate_series(date '2024-01-01', date '2024-06-30', interval '1 day') AS g(d)";

fn daily(value: u32) -> String {
    format!(
        "MODEL (name db.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1, lookback 1));
         SELECT d::date AS day, {value} AS v FROM {DAYS} WHERE d BETWEEN @start_date AND @end_date"
    )
}

/// Rows are added: a batch that is written twice would show.
const ADDED: &str = "MODEL (name db.added, kind INCREMENTAL_UNMANAGED);
    SELECT day, v FROM db.daily WHERE day BETWEEN @start_date AND @end_date";
const TOTAL: &str =
    "MODEL (name db.total, kind FULL);\nSELECT count(*) AS n, max(v) AS v FROM db.daily";
const SHOWN: &str = "MODEL (name db.shown, kind VIEW);\nSELECT n, v FROM db.total";

struct Team {
    workspace: Workspace,
    database: Database,
    runtime: tokio::runtime::Runtime,
}

impl Team {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let database = runtime.block_on(Database::new());
        let workspace = Workspace::new(&[
            ("models/daily.sql", &daily(1)),
            ("models/added.sql", ADDED),
            ("models/total.sql", TOTAL),
            ("models/shown.sql", SHOWN),
        ]);
        workspace.write("config.yaml", &postgres::config(&database, ""));
        Self {
            workspace,
            database,
            runtime,
        }
    }

    fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.runtime.block_on(postgres::rows(&self.database, sql))
    }

    fn start(&self, arguments: &[&str], now: &str) -> Background {
        let mut all = arguments.to_vec();
        all.extend(["--execution-time", now]);
        Background::start(&self.workspace, &all)
    }
}

/// It did its work, or said that somebody else was first.
#[track_caller]
fn is_fine_or_lost(ended: &Ended) {
    let lost = ["was changed by another plan", "Plan again"];
    let is_lost = lost.iter().any(|text| ended.stderr.contains(text));
    assert!(
        ended.code == 0 || (ended.code == 1 && is_lost),
        "{}: {}\n{}",
        ended.code,
        ended.stdout,
        ended.stderr
    );
}

#[test]
fn plans_runs_and_janitors_at_once_leave_the_rows_of_one_after_the_other() {
    let team = Team::new();
    let plan = ["plan", "--auto-apply"];
    team.start(&plan, "2024-01-03").ended().fine();
    for round in 0..ROUNDS {
        let day = 5 + round * 3;
        let now = format!("2024-01-{day:02}");
        if round % 2 == 1 {
            team.workspace.write("models/daily.sql", &daily(round + 1));
        }
        let at_once = [
            team.start(&["run"], &now),
            team.start(&["run"], &now),
            team.start(&plan, &now),
            team.start(&plan, &now),
            team.start(&["janitor", "--ignore-ttl"], &now),
        ];
        for ended in at_once.map(Background::ended) {
            is_fine_or_lost(&ended);
        }
        // Whoever lost tries again, and then everything is there.
        team.start(&plan, &now).ended().fine();
        team.start(&["run"], &now).ended().fine();

        let days = &*(day - 1).to_string();
        let value = if round % 2 == 1 {
            round + 1
        } else {
            round.max(1)
        };
        let value = &*value.to_string();
        let rows = team.rows("SELECT count(*), count(DISTINCT day), min(v), max(v) FROM db.daily");
        assert_eq!(rows, [[days, days, value, value]], "round {round}");
        assert_eq!(
            team.rows("SELECT n, v FROM db.shown"),
            [[days, value]],
            "round {round}"
        );
        let added = team.rows("SELECT count(*), count(DISTINCT day) FROM db.added");
        assert_eq!(added, [[days, days]], "round {round}");
        let left = "SELECT count(*) FROM siding.siding_leases";
        assert_eq!(team.rows(left), [["0"]], "round {round}");
    }
}
