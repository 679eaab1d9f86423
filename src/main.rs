//! The `siding` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    siding::cli::run()
}
