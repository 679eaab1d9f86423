//! The `siding` binary.

use std::process::ExitCode;

/// A tenth less time for large projects than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    siding::cli::run()
}
