//! `make bench`: figures and ratios, all measured in one run on this machine.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and stops when something is wrong"
)]

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod analysis;
mod generator;
mod overhead;
mod plan;
mod switch;
mod webhook;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(overhead::BY_HAND) {
        let [folder, statements] =
            [arguments.next(), arguments.next()].map(Option::unwrap_or_default);
        return overhead::by_hand(folder.as_ref(), statements.as_ref());
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    if std::env::args().any(|argument| argument == "overhead") {
        return overhead::measure(&folder.path().join("overhead"));
    }
    if std::env::args().any(|argument| argument == "analysis") {
        return analysis::measure(&folder.path().join("analysis"));
    }
    println!("Benchmarks of a release build; medians of several runs.\n");
    let models = 1_000;
    plan::measure(&folder.path().join("plan"), models);
    plan::measure(&folder.path().join("more"), 5 * models);
    analysis::measure(&folder.path().join("analysis"));
    switch::measure(&folder.path().join("switch"), models);
    overhead::measure(&folder.path().join("overhead"));
    webhook::measure(&folder.path().join("webhook"));
}

/// The median of `values`.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The binary that is measured: cargo puts examples beside it.
fn siding() -> std::path::PathBuf {
    let here = std::env::current_exe().expect("this program has a path");
    let directory = here
        .parent()
        .and_then(std::path::Path::parent)
        .expect("examples have a folder of their own");
    directory.join("siding")
}
