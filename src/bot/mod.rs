//! Comments and events → jobs → replies and checks.
//!
//! The path of an event: [`webhook`] writes it down and answers; [`worker`] takes the job that it asks for;
//! [`prepare`], [`commands`], [`promote`] and [`cleanup`] do the work, with files from [`checkout`] and processes from
//! [`runner`]; [`report`] says from the database alone what GitHub shall show ([`replies`], [`checks`]), and [`outbox`]
//! makes it so. Nothing here loads a project: `siding job` does, in a process of its own that never holds a token.

mod checkout;
mod checks;
mod cleanup;
mod commands;
mod context;
mod failpoint;
mod gate;
mod job;
mod markdown;
mod options;
mod outbox;
mod outcome;
mod prepare;
mod project;
mod promote;
mod promotion;
mod reconcile;
mod replies;
mod report;
mod runner;
mod server;
mod store;
mod webhook;
mod worker;

pub use checkout::GitUrl;
pub use checkout::InvalidGitUrl;
pub use failpoint::FailPoint;
pub use failpoint::UnknownFailPoint;
pub use options::ServeOptions;
pub use runner::ForbiddenVariable;
pub use runner::JobEnvironment;
pub use server::Bot;
pub use server::serve;
pub use server::serve_on;
