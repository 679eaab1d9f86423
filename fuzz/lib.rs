//! `src/sql` alone, so that the fuzzer builds in a minute.
#![allow(missing_docs, dead_code, reason = "a part of another crate")]

#[path = "../src/diagnostic.rs"]
pub mod diagnostic;
#[path = "../src/sql/mod.rs"]
pub mod sql;
