//! Makes new migrations count, and lets the binary find libduckdb where the linker found it.
#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script everything through the environment"
)]

fn main() {
    println!("cargo:rerun-if-changed=src/state/migrations");
    println!("cargo:rerun-if-changed=src/bot/migrations");
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    if std::env::var_os("CARGO_FEATURE_BUNDLED_DUCKDB").is_some() {
        return;
    }
    if let Ok(directory) = std::env::var("DUCKDB_LIB_DIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{directory}");
    }
}
