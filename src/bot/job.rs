//! Work in the queue.

use serde::Deserialize;
use serde::Serialize;

use crate::bot::store::PullKey;
use crate::github::Account;
use crate::github::CommitSha;

/// What to do for a pull request. Doing it twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum JobKind {
    /// Plan, build and report the newest commit.
    Prepare {
        /// The commit that was the newest when this was queued.
        head: CommitSha,
        /// Also when it was prepared before.
        again: bool,
    },
    /// Obey the commands in a comment.
    Comment {
        /// GitHub's number of the comment.
        comment: u64,
        /// Who wrote it.
        author: Account,
        /// Its text when it was written: editing gives no orders.
        body: String,
        /// The newest commit that we knew when it was written.
        head: Option<CommitSha>,
    },
    /// Judge again whether it may be deployed.
    Gate,
    /// It was closed: promote what was merged, clean up the rest.
    Closed,
    /// Go on with a promotion.
    Promote {
        /// Which.
        promotion: i64,
    },
}

impl JobKind {
    /// Stable name, for the table and the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Prepare { .. } => "prepare",
            Self::Comment { .. } => "comment",
            Self::Gate => "gate",
            Self::Closed => "closed",
            Self::Promote { .. } => "promote",
        }
    }

    /// How often it is tried. A merge that was done has to be followed by its switch, so a promotion is patient.
    pub(crate) fn max_attempts(&self) -> u32 {
        match self {
            Self::Promote { .. } => 6,
            Self::Prepare { .. } | Self::Comment { .. } | Self::Gate | Self::Closed => 3,
        }
    }
}

/// Work to put into the queue.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    /// The same key is queued once, ever.
    pub key: String,
    /// Whose queue.
    pub pull: PullKey,
    /// What to do.
    pub kind: JobKind,
}

/// Work that a worker has taken.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Its row.
    pub id: i64,
    /// Whose queue.
    pub pull: PullKey,
    /// What to do.
    pub kind: JobKind,
    /// Which try this is, from 1.
    pub attempt: u32,
}
