#![doc = include_str!("../ARCHITECTURE.md")]

pub mod bot;
pub mod cli;
pub mod diagnostic;
pub mod engine;
pub mod environment;
pub mod github;
pub mod model;
pub mod ops;
pub mod plan;
pub mod postgres;
pub mod project;
pub mod scheduler;
pub mod snapshot;
pub mod sql;
pub mod state;

#[cfg(test)]
#[path = "../tests/cluster/mod.rs"]
mod cluster;
