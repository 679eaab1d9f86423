//! What goes wrong between us and GitHub.

use std::time::Duration;

/// A call that gave no answer that we can use. Never holds a token, a header or a query.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    /// A name or number that GitHub cannot have given out.
    #[error("`{text}` is not a {what}")]
    Malformed {
        /// What it should have been.
        what: &'static str,
        /// Its first 60 characters.
        text: String,
    },
    /// The address of the API or the app's key cannot be used at all.
    #[error("the {what} cannot be used: {message}")]
    Settings {
        /// Which setting.
        what: &'static str,
        /// Why not; never the key itself.
        message: String,
    },
    /// GitHub answered, and the answer is no.
    #[error("{method} {url} answered {status}: {message} (request {})", request_id.as_deref().unwrap_or("unknown"))]
    Status {
        /// HTTP status, 400 or more.
        status: u16,
        /// HTTP method of the request.
        method: &'static str,
        /// Address without its query.
        url: String,
        /// `x-github-request-id`, for GitHub's support.
        request_id: Option<String>,
        /// GitHub's own words.
        message: String,
    },
    /// GitHub asks us to wait. Nothing was done.
    #[error("{method} {url} is rate limited for {} s", retry_after.as_secs())]
    RateLimited {
        /// How long to wait before the next call of this installation; one minute when GitHub does not say.
        retry_after: Duration,
        /// HTTP method of the request.
        method: &'static str,
        /// Address without its query.
        url: String,
    },
    /// No answer: refused, broken off or not within the time limit. A write may still have happened.
    #[error("{method} {url} gave no answer: {message}")]
    NoAnswer {
        /// HTTP method of the request.
        method: &'static str,
        /// Address without its query.
        url: String,
        /// What happened instead.
        message: String,
    },
    /// An answer that is not what GitHub documents. A write has happened.
    #[error("{method} {url} gave an answer that cannot be read: {message}")]
    Unreadable {
        /// HTTP method of the request.
        method: &'static str,
        /// Address without its query.
        url: String,
        /// Where and why.
        message: String,
    },
    /// A list that goes on for longer than we follow.
    #[error("{url} has more than {pages} pages")]
    TooManyPages {
        /// Address without its query.
        url: String,
        /// How many pages were read.
        pages: u32,
    },
}

impl GithubError {
    /// The HTTP status, when there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Malformed { .. }
            | Self::Settings { .. }
            | Self::RateLimited { .. }
            | Self::NoAnswer { .. }
            | Self::Unreadable { .. }
            | Self::TooManyPages { .. } => None,
        }
    }

    /// Whether a write may have happened although the call failed, so that the caller has to read back before it
    /// writes again.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status >= 500,
            Self::NoAnswer { .. } | Self::Unreadable { .. } => true,
            Self::Malformed { .. }
            | Self::Settings { .. }
            | Self::RateLimited { .. }
            | Self::TooManyPages { .. } => false,
        }
    }

    /// Whether the same call may succeed later: server errors, lost answers, rate limits.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. }) || self.may_have_taken_effect()
    }
}

/// A webhook body of an event that we know, but that we cannot read.
#[derive(Debug, thiserror::Error)]
#[error("the body of the `{event}` event cannot be read: {message}")]
pub struct EventError {
    /// Name from the `X-GitHub-Event` header.
    pub event: String,
    /// Where and why.
    pub message: String,
}
