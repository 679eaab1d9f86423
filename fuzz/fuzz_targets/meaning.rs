//! Reads any text as a query of any dialect: no panic, no overflow, and what is printed means the same.
#![no_main]
#![allow(dead_code, reason = "the other target's check stands in the same file")]

use libfuzzer_sys::fuzz_target;
use siding_fuzz::sql;

#[path = "../check.rs"]
mod check;

fuzz_target!(|bytes: &[u8]| check::meaning(bytes));
