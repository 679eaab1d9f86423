//! Kills at any moment, and processes at once, on both engines.
//!
//! A script by chance is told to two worlds; in one of them each command is killed with SIGKILL, some times in a row,
//! before it may end. The short form runs with the other tests, the long one is `make crash`.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a broken test should stop at once, and a long one says what it found"
)]

mod bad_moments;
mod check;
#[path = "../cluster/mod.rs"]
mod cluster;
mod episode;
mod meeting;
mod old_state;
mod process;
mod project;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../soundness/random.rs"]
mod random;
mod script;
mod server;
mod world;

use crate::episode::Setting;
use crate::episode::episodes;
use crate::meeting::meetings;
use crate::world::Engine;

/// Kills of the short form, for each engine.
const SHORT: u64 = 12;
/// Kills of the long form, for each engine.
const LONG: u64 = 200;
/// The seed of the first script.
const SEED: u64 = 4_000;

#[test]
fn a_dozen_kills_on_duckdb_change_nothing() {
    crash(Engine::DuckDb, SHORT);
}

#[test]
fn a_dozen_kills_on_postgres_change_nothing() {
    crash(Engine::Postgres, SHORT);
}

#[test]
fn a_dozen_kills_where_tables_have_the_models_names_change_nothing() {
    for engine in [Engine::DuckDb, Engine::Postgres] {
        crash_in(engine, true, SHORT);
    }
}

#[test]
#[ignore = "long: `make crash`"]
fn hundreds_of_kills_on_duckdb() {
    crash(Engine::DuckDb, LONG);
}

#[test]
#[ignore = "long: `make crash`"]
fn hundreds_of_kills_on_duckdb_where_tables_have_the_models_names() {
    crash_in(Engine::DuckDb, true, LONG);
}

#[test]
#[ignore = "long: `make crash`"]
fn hundreds_of_kills_on_postgres_where_tables_have_the_models_names() {
    crash_in(Engine::Postgres, true, LONG);
}

#[test]
#[ignore = "long: `make crash`"]
fn hundreds_of_kills_on_postgres() {
    crash(Engine::Postgres, LONG);
}

#[test]
#[ignore = "long: `make crash`"]
fn a_hundred_meetings_on_postgres() {
    meet(Engine::Postgres, 100);
}

#[test]
#[ignore = "long: `make crash`"]
fn some_meetings_on_duckdb() {
    meet(Engine::DuckDb, 10);
}

fn meet(engine: Engine, rounds: u64) {
    let rounds = usize::try_from(setting("SIDING_CRASH_ROUNDS", rounds)).unwrap();
    let (_, failures) = meetings(engine, setting("SIDING_CRASH_SEED", SEED), rounds);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn crash(engine: Engine, kills: u64) {
    crash_in(engine, false, kills);
}

fn crash_in(engine: Engine, dev_only: bool, kills: u64) {
    let into = Setting { engine, dev_only };
    let kills = usize::try_from(setting("SIDING_CRASH_KILLS", kills)).unwrap();
    let (_, failures) = episodes(into, setting("SIDING_CRASH_SEED", SEED), kills, 4);
    let failures: Vec<String> = failures.into_iter().map(|failure| failure.0).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line")]
fn setting(name: &str, usual: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}
