//! One file per thing that a user can do. Each is a function over a project, a state store and an engine.

mod apply;
mod compare;
mod environments;
mod files;
mod init;
mod janitor;
mod job;
mod plan;
mod render;
mod rollback;
mod run;
mod session;

pub use apply::Applied;
pub use apply::ApplyError;
pub use apply::apply;
pub use environments::invalidate;
pub use files::read_files;
pub use init::Template;
pub use init::init;
pub use janitor::Swept;
pub use janitor::drop_environment;
pub use janitor::sweep;
pub use job::answer;
pub use plan::PlanRequest;
pub use plan::Planned;
pub use plan::is_usage;
pub use plan::plan;
pub use render::render;
pub use rollback::RolledBack;
pub use rollback::rollback;
pub use run::RunReport;
pub use run::run;
pub use session::OpenError;
pub use session::Session;
pub use session::SessionOptions;
