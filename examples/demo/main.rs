//! `make demo`: one team's day on real data, with the real binary, a real DuckDB and a stand-in for GitHub.
//!
//! Every claim that it prints is checked first; a claim that is not true ends the demo with an error.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a demonstration talks, and stops when something is wrong"
)]

#[path = "../../tests/journeys/fake_github/mod.rs"]
#[expect(
    dead_code,
    reason = "the stories use more of the stand-in than the demo does"
)]
mod fake_github;
mod stage;

use std::time::Instant;

use fake_github::FakeGitHub;
use fake_github::FakeOptions;
use stage::Stage;

/// When the demo takes place: January 2013 is over.
const NOW: &str = "2013-02-01";

#[tokio::main]
async fn main() {
    let started = Instant::now();
    let stage = Stage::set();
    build_production(&stage);

    let mut options = FakeOptions::new(stage.path("github"));
    options.project = Some(stage.path("repository"));
    let github = FakeGitHub::start(options);
    let server = stage.serve(&github, NOW);
    stage.say("The server runs; a stand-in plays GitHub: real HTTP, signed webhooks, every message checked against GitHub's own API description.");

    add_a_column(&stage, &github).await;
    change_a_filter(&stage, &github).await;
    deploy(&stage, &github).await;
    drop(server);
    roll_forward_in_time(&stage);

    github.assert_clean();
    stage.title("That was all");
    stage.say(&format!(
        "It took {:.0} seconds. Nothing was claimed that was not checked.",
        started.elapsed().as_secs_f64()
    ));
    stage.leave_a_list_of_commands();
}

fn build_production(stage: &Stage) {
    stage
        .title("1. Production, built from real data: every flight out of New York in January 2013");
    stage.siding(&["plan", "--auto-apply", "--execution-time", NOW]);
    stage.claim_rows("stg.flights", 27_004);
    stage.claim_rows("fct.daily_delays", 974);
    stage.claim_rows("mart.carrier_punctuality", 16);
    let second = stage.siding_quietly(&["plan", "--execution-time", NOW]);
    stage.claim(
        "a second plan finds nothing to do",
        second.contains("No changes to plan"),
    );
}

async fn add_a_column(stage: &Stage, github: &FakeGitHub) {
    stage.title("2. Grace opens a pull request that adds a column");
    let model = stage.change("add-column/models/fct/flights.sql");
    let pr = github
        .open_pull(
            "more-columns",
            "Show the minutes made up in the air",
            "grace",
            &[("models/fct/flights.sql", Some(&model))],
        )
        .await;
    stage.wait_for_gate(github, pr).await;
    stage.show(github, pr);
    let comment = stage.comment(github, pr);
    stage.claim(
        "the comment calls the change non-breaking",
        comment.contains("non-breaking") || comment.contains("Non-breaking"),
    );
    stage.claim(
        "the new column is in the pull request's environment",
        stage.has_column("fct__flights_1", "flights", "minutes_made_up"),
    );
    stage.claim(
        "production does not have it yet",
        !stage.has_column("fct", "flights", "minutes_made_up"),
    );
    stage.claim_rows("fct__flights_1.flights", 26_398);
}

async fn change_a_filter(stage: &Stage, github: &FakeGitHub) {
    stage.title("3. Meanwhile she opens another one, which changes a filter");
    let model = stage.change("change-filter/models/fct/daily_delays.sql");
    let pr = github
        .open_pull(
            "only-long-flights",
            "Count flights of 300 miles and more only",
            "grace",
            &[("models/fct/daily_delays.sql", Some(&model))],
        )
        .await;
    stage.wait_for_gate(github, pr).await;
    stage.show(github, pr);
    let comment = stage.comment(github, pr);
    stage.claim(
        "the comment shows the rows before and after",
        comment.contains("974") && comment.contains("918"),
    );
    stage.claim_rows("fct__flights_2.daily_delays", 918);
    stage.claim_rows("fct.daily_delays", 974);
}

async fn deploy(stage: &Stage, github: &FakeGitHub) {
    stage.title("4. A required approver approves the first one, and Grace deploys it");
    let pr = "1".parse().expect("a number");
    let before = stage.batches().await;
    github.set_permission("tower-lead", "write");
    github.review(pr, "tower-lead", "approved").await;
    stage.wait_for_check(github, pr, "gate", "success").await;
    stage.say("The approval turned the gate green. Grace writes: /deploy");
    github.comment(pr, "grace", "/deploy").await;
    stage.wait_for_merge(github, pr).await;
    stage.show(github, pr);
    stage.claim("it was merged exactly once", github.merges() == 1);
    stage.claim(
        "production has the column",
        stage.has_column("fct", "flights", "minutes_made_up"),
    );
    stage.claim_rows("fct.flights", 26_398);
    let after = stage.batches_of_production().await;
    stage.claim(
        "nothing was recomputed: every batch behind production's views was written before the /deploy",
        !after.is_empty() && after.is_subset(&before),
    );
    stage.claim(
        "the pull request's environment is gone",
        !stage.has_column("fct__flights_1", "flights", "minutes_made_up"),
    );
}

fn roll_forward_in_time(stage: &Stage) {
    stage.title("5. A day later: a run fills what is due, and a rollback is a switch");
    let run = stage.siding_quietly(&["run", "--execution-time", "2013-02-02"]);
    stage.claim(
        "the run filled the first of February",
        run.contains("Done."),
    );
    stage.claim(
        "there are flights of that day",
        stage.count("SELECT count(*) FROM fct.flights WHERE flight_date = '2013-02-01'") > 0,
    );
    let again = stage.siding_quietly(&["run", "--execution-time", "2013-02-02"]);
    stage.claim(
        "a second run does nothing",
        again.contains("Nothing is due"),
    );
    stage.siding(&["rollback", "prod"]);
    stage.claim(
        "the rollback took the column away again",
        !stage.has_column("fct", "flights", "minutes_made_up"),
    );
}
