//! Carry out a plan: fill tables in order of the graph, audit them, switch the views.
//!
//! Every batch is written, audited and published in one transaction of the warehouse, so readers never see
//! rows that a blocking audit refuses. The interval is recorded after that, with others of the same moment; a kill in between
//! repeats batches that replace their own rows.

mod around;
mod audit;
mod batch;
mod believed;
mod control;
mod copy;
mod failures;
mod hold;
mod materialize;
mod moves;
mod outcome;
mod past;
mod place;
mod progress;
mod promote;
mod queue;
mod ready;
mod render;
mod signals;
mod turns;
mod unrecorded;

pub use around::Around;
pub use around::AroundStatement;
pub use audit::AuditFailure;
pub use audit::audit_table;
pub use control::Clock;
pub use control::Control;
pub use control::Retries;
pub use control::Stop;
pub use control::StopSwitch;
pub use control::Stopped;
pub use hold::Keeper;
pub use hold::hold;
pub use hold::time_to_live;
pub use moves::Coming;
pub use moves::Leaving;
pub use moves::Moves;
pub use outcome::CutShort;
pub use outcome::ModelOutcome;
pub use outcome::ModelStatus;
pub use outcome::Outcome;
pub use progress::Progress;
pub use progress::Reporter;
pub use promote::Switched;
pub use promote::switch;
pub use promote::switch_if;
pub use queue::BoundTo;
pub use queue::Filling;
pub use queue::fill;
pub use render::Scope;
pub use signals::Found;
pub use signals::Wait;
pub use signals::WaitsFor;
pub use signals::ask;
pub use turns::Turns;
pub use turns::turns;
