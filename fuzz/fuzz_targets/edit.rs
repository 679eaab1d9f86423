//! Takes two texts, cut by a zero byte, for two versions of a query: comparing them gives words, never a panic.
#![no_main]
#![allow(dead_code, reason = "the other target's check stands in the same file")]

use libfuzzer_sys::fuzz_target;
use siding_fuzz::sql;

#[path = "../check.rs"]
mod check;

fuzz_target!(|bytes: &[u8]| check::edit(bytes));
