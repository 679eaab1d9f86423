//! Soundness, measured: projects and edits by chance, Siding's answer, and what DuckDB says is true.
//!
//! The short form runs with the other tests. The long one is `make soundness`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a broken test should stop at once, and a long one says what it found"
)]

mod case;
mod data;
mod edits;
mod generate;
mod judge;
mod names;
mod planner;
mod power;
mod print;
mod project;
mod random;
mod reach;
mod reference;
mod regressions;
mod remembered;
mod render;
mod report;
mod shrink;
mod tree;
mod walk;
mod warehouse;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::case::Bench;
use crate::case::Case;
use crate::report::Tally;
use crate::report::failure;

/// The short form's cases; always the same ones unless the environment says otherwise.
const SHORT: u64 = 200;
const LONG: u64 = 4_000;
const SEED: u64 = 20_240_101;

/// Failures that are made small and printed; more would only take time.
const MOST_FAILURES: usize = 12;

#[test]
fn a_table_is_kept_only_when_its_rows_stay_the_same() {
    let tally = run(
        setting("SOUNDNESS_SEED", SEED),
        setting("SOUNDNESS_CASES", SHORT),
    );
    finish(&tally);
}

#[test]
#[ignore = "long: `make soundness`"]
fn thousands_of_cases() {
    let tally = run(
        setting("SOUNDNESS_SEED", SEED),
        setting("SOUNDNESS_CASES", LONG),
    );
    finish(&tally);
}

fn finish(tally: &Tally) {
    println!("{}", tally.text());
    assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n\n"));
    // A test that cannot plan or build what it makes would find nothing.
    let refused: usize = tally.refused.values().sum();
    assert!(refused * 10 < tally.cases, "{}", tally.text());
    assert!(tally.failed * 20 < tally.compared, "{}", tally.text());
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run can be repeated by its seed"
)]
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// Runs so many cases from that seed on, on two threads.
fn run(seed: u64, count: u64) -> Tally {
    println!("seed {seed}, {count} cases");
    let next = AtomicU64::new(0);
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut bench = Bench::new();
                    let mut tally = Tally::default();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            break tally;
                        }
                        named(&mut bench, seed.wrapping_add(number), &mut tally);
                    }
                })
            })
            .collect();
        for worker in workers {
            tally.merge(worker.join().unwrap());
        }
    });
    tally
}

/// Runs a case on a thread of its own, so that even an overflow of the stack says which case it was.
fn named(bench: &mut Bench, seed: u64, tally: &mut Tally) {
    let ended = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(format!("case {seed}"));
        let thread = thread.spawn_scoped(scope, || one(bench, seed, tally));
        thread.unwrap().join()
    });
    if ended.is_err() {
        tally.failures.push(format!("case {seed} panicked"));
        *bench = Bench::new();
    }
}

fn one(bench: &mut Bench, seed: u64, tally: &mut Tally) {
    let case = Case::new(seed, &bench.binder);
    let mut judged = match bench.judge(&case.projects, seed) {
        Ok(judged) => judged,
        Err(error) => return tally.refuse(&error),
    };
    let reference = bench.reference(&case, &mut judged);
    tally.add(&case, &judged, &reference);
    let Some(found) = judged.verdict.unsound.first() else {
        return;
    };
    if tally.failures.len() >= MOST_FAILURES {
        tally.failures.push(format!("case {seed}"));
        return;
    }
    let (projects, found) = shrink::shrink(bench, case.projects.clone(), seed, found.clone());
    let steps = planner::plan(&projects).unwrap();
    tally
        .failures
        .push(failure(seed, &case.edits, (&projects, &steps), &found));
}
