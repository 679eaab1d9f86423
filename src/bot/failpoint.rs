//! Named places where the server can be made to die, for tests of what survives that.

use std::fmt;
use std::str::FromStr;

/// Where to die. Hidden option of `siding serve`; does nothing unless it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// The promotion is recorded as requested; nothing was done.
    Requested,
    /// Recorded as gated.
    Gated,
    /// Recorded as prepared.
    Prepared,
    /// Recorded as merging; GitHub was not asked yet.
    Merging,
    /// GitHub merged; that is not recorded.
    MergeCalled,
    /// Recorded as merged.
    Merged,
    /// Recorded as swapping; the job was not started yet.
    Swapping,
    /// The job switched production; that is not recorded.
    SwapCalled,
    /// Recorded as swapped; nobody was told.
    Swapped,
    /// Recorded as finalised; the comment is not yet the last one.
    Finalised,
    /// A comment was written; that is not recorded.
    CommentSent,
}

impl FailPoint {
    /// All, in the order in which a promotion meets them; the last one is met by every report.
    pub const ALL: [Self; 11] = [
        Self::Requested,
        Self::Gated,
        Self::Prepared,
        Self::Merging,
        Self::MergeCalled,
        Self::Merged,
        Self::Swapping,
        Self::SwapCalled,
        Self::Swapped,
        Self::Finalised,
        Self::CommentSent,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Gated => "gated",
            Self::Prepared => "prepared",
            Self::Merging => "merging",
            Self::MergeCalled => "merge-called",
            Self::Merged => "merged",
            Self::Swapping => "swapping",
            Self::SwapCalled => "swap-called",
            Self::Swapped => "swapped",
            Self::Finalised => "finalised",
            Self::CommentSent => "comment-sent",
        }
    }

    /// Dies as by `kill -9`, without any destructor, if `chosen` is this place.
    pub(crate) fn hit(self, chosen: Option<Self>) {
        if chosen == Some(self) {
            tracing::error!("dying at `{self}`, as asked");
            std::process::abort();
        }
    }
}

impl fmt::Display for FailPoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A word that names no place.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no place to die at")]
pub struct UnknownFailPoint(String);

impl FromStr for FailPoint {
    type Err = UnknownFailPoint;

    fn from_str(text: &str) -> Result<Self, UnknownFailPoint> {
        Self::ALL
            .into_iter()
            .find(|point| point.name() == text)
            .ok_or_else(|| UnknownFailPoint(text.to_owned()))
    }
}
