//! Several processes over one PostgreSQL: whatever order they get, the data is as if they had come one after the other.

use std::process::Child;
use std::process::Stdio;

use crate::postgres::Team;
use crate::postgres::config;
use crate::workspace::Workspace;

/// How many times each pair meets; `SIDING_TEST_ROUNDS` for more.
#[expect(clippy::disallowed_methods, reason = "a test has no command line")]
fn rounds() -> usize {
    let given = std::env::var("SIDING_TEST_ROUNDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// A row for each day, a sum of them, a view of the sum; all say which `version` made them.
fn files(version: usize) -> [(String, String); 3] {
    let file = |name: &str, text: String| (format!("models/{name}.sql"), text);
    [
        file(
            "days",
            format!(
                "MODEL (name shop.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1));
SELECT CAST(@start_ds AS DATE) AS day, {version} AS version
"
            ),
        ),
        file(
            "sums",
            format!(
                "MODEL (name shop.sums, kind FULL);
SELECT count(*) AS days, count(DISTINCT day) AS different, min(version) AS one, max(version) AS other, {version} AS version FROM shop.days
"
            ),
        ),
        file("shown", "MODEL (name shop.shown, kind VIEW);\nSELECT * FROM shop.sums\n".to_owned()),
    ]
}

fn write(workspace: &Workspace, version: usize) {
    for (path, text) in files(version) {
        workspace.write(&path, &text);
    }
}

/// Two clones of one project.
async fn clones() -> (Team, Workspace) {
    let team = Team::new(&[]).await;
    let other = Workspace::new(&[]);
    other.write("config.yaml", &config(&team.database, ""));
    for workspace in [&team.workspace, &other] {
        write(workspace, 0);
    }
    team.workspace.apply("prod", "2024-01-03");
    (team, other)
}

fn start(workspace: &Workspace, user: &str, arguments: &[&str]) -> Child {
    workspace
        .command(arguments)
        .env("USER", user)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Whether it succeeded, and what it said.
fn end(child: Child) -> (bool, String) {
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&ended.stderr) + &text(&ended.stdout);
    assert!(ended.status.code().is_some_and(|code| code < 2), "{said}");
    (ended.status.success(), said)
}

/// One state of all views, with a row for each of the days.
async fn assert_whole(team: &Team, days: usize) {
    let sql = "SELECT days, different, one = other, one = version FROM shop.shown";
    let days = days.to_string();
    assert_eq!(team.rows(sql).await, [[&*days, &*days, "t", "t"]]);
}

#[tokio::test]
async fn a_plan_and_a_run_at_once_lose_and_double_nothing() {
    let (team, other) = clones().await;
    for round in 1..=rounds() {
        write(&team.workspace, round);
        let day = format!("2024-01-{:02}", round + 3);
        let run = ["run", "--execution-time", &day];
        let plan = ["plan", "--auto-apply", "--execution-time", &day];
        let children = [
            start(&other, "bob", &run),
            start(&team.workspace, "ada", &plan),
        ];
        let ended = children.map(end);
        assert!(ended.iter().any(|(fine, _)| *fine), "{ended:?}");
        // Whoever lost can do it again; then everything is there.
        team.workspace.run(&plan).fine();
        other.run(&run).fine();
        assert_whole(&team, round + 2).await;
    }
}

#[tokio::test]
async fn two_runs_at_once_fill_each_day_once() {
    let (team, other) = clones().await;
    for round in 1..=rounds() {
        let day = format!("2024-01-{:02}", round + 3);
        let run = ["run", "--execution-time", &day];
        let ended = [
            start(&other, "bob", &run),
            start(&team.workspace, "ada", &run),
        ]
        .map(end);
        assert!(ended.iter().any(|(fine, _)| *fine), "{ended:?}");
        team.workspace.run(&run).fine();
        assert_whole(&team, round + 2).await;
    }
}

#[tokio::test]
async fn a_janitor_at_any_time_takes_nothing_that_is_shown() {
    let (team, other) = clones().await;
    for round in 1..=rounds() {
        write(&team.workspace, round);
        let plan = ["plan", "--auto-apply", "--execution-time", "2024-01-03"];
        let children = [
            start(&team.workspace, "ada", &plan),
            start(
                &other,
                "bob",
                &["janitor", "--execution-time", "2024-01-03"],
            ),
            start(
                &other,
                "eve",
                &[
                    "plan",
                    "dev",
                    "--auto-apply",
                    "--execution-time",
                    "2024-01-03",
                ],
            ),
        ];
        let ended = children.map(end);
        assert!(ended[0].0 && ended[1].0, "{ended:?}");
        assert_whole(&team, 2).await;
    }
}
