//! GitHub's API and webhook payloads, in our own minimal types; decides nothing.
//!
//! What GitHub sends is read into structs that hold only what Siding needs, so a field that GitHub adds, drops or
//! renames elsewhere in a payload cannot break a delivery. The clock is GitHub's: token lifetimes and waits are taken
//! from the `date` header of the answer that names them.

mod client;
mod error;
mod events;
mod http;
mod ids;
mod repository;
mod signature;
mod text;
mod types;

pub use client::App;
pub use error::EventError;
pub use error::GithubError;
pub use events::CommentAction;
pub use events::Event;
pub use events::EventComment;
pub use events::EventPull;
pub use events::EventReview;
pub use events::InstallationAction;
pub use events::InstallationEvent;
pub use events::IssueCommentEvent;
pub use events::PullRequestAction;
pub use events::PullRequestEvent;
pub use events::PullRequestReviewEvent;
pub use events::RepositoryRef;
pub use events::ReviewAction;
pub use ids::CommitSha;
pub use ids::InstallationId;
pub use ids::PrNumber;
pub use ids::RepositoryName;
pub use repository::Repository;
pub use signature::sign;
pub use signature::verify;
pub use text::MAX_COMMENT_CHARS;
pub use text::MAX_OUTPUT_CHARS;
pub use text::cut;
pub use types::Account;
pub use types::AccountKind;
pub use types::CheckRun;
pub use types::CheckRunRecord;
pub use types::CheckStatus;
pub use types::Comment;
pub use types::Conclusion;
pub use types::Delivery;
pub use types::MergeMethod;
pub use types::MergeOutcome;
pub use types::Permission;
pub use types::PullRequest;
pub use types::PullState;
pub use types::Reaction;
pub use types::Review;
pub use types::ReviewState;
