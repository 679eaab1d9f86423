//! Carry out a plan: fill tables in order of the graph, audit them, switch the views.
//!
//! Every batch is written, audited and published in one transaction of the warehouse, so readers never see
//! rows that a blocking audit refuses. The interval is recorded after that; a kill in between repeats a batch
//! that replaces its own rows.

mod audit;
mod materialize;
mod past;
mod progress;
mod promote;
mod queue;
mod render;

pub use audit::AuditFailure;
pub use audit::audit_table;
pub use progress::Progress;
pub use progress::Reporter;
pub use promote::Switched;
pub use promote::switch;
pub use queue::Outcome;
pub use queue::fill;
pub use render::Scope;
