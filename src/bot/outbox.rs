//! Makes GitHub show what the database says that it shall show.
//!
//! What a pull request's comment and checks say is recomputed from the database each time and put into the outbox;
//! sending finds out what is there already, so that a crash between a call and its record leaves no second comment.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::bot::store::OutboxRow;
use crate::bot::store::PullKey;
use crate::github::CheckRun;
use crate::github::CheckStatus;
use crate::github::CommitSha;
use crate::github::Conclusion;
use crate::github::GithubError;
use crate::github::Reaction;
use crate::github::Repository;

/// Which thing on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one comment that is rewritten.
    Comment,
    /// The answer to a command: comment and line.
    Reply(u64, u32),
    /// A check at a commit.
    Check(CheckKind, CommitSha),
    /// A sign below somebody's comment: its number, and when in the course of the work, from 0.
    Reaction(u64, u32),
}

/// Which of our three checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckKind {
    /// What would change.
    Plan,
    /// Whether it is built and audited.
    Environment,
    /// Whether it may be deployed: the one to require.
    Gate,
}

impl CheckKind {
    /// All, in the order of reading.
    pub(crate) const ALL: [Self; 3] = [Self::Plan, Self::Environment, Self::Gate];

    /// The last word of its name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Environment => "environment",
            Self::Gate => "gate",
        }
    }

    /// Its name on GitHub.
    pub(crate) fn name(self) -> String {
        format!("Siding / {}", self.word())
    }
}

/// What it shall say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum Desired {
    /// The text of a comment; its first line is a marker that nobody sees.
    Text {
        /// Markdown.
        body: String,
    },
    /// A check.
    Check {
        /// How far it is.
        status: Status,
        /// One line.
        title: String,
        /// Markdown.
        summary: String,
        /// Markdown.
        text: Option<String>,
    },
    /// A sign.
    Sign {
        /// Which.
        reaction: Reaction,
    },
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Waits for another check.
    Queued,
    /// Is being found out.
    InProgress,
    /// Good.
    Success,
    /// Not good.
    Failure,
    /// No longer of interest.
    Cancelled,
}

impl Desired {
    /// Whether this is a check that has ended, which GitHub does not take back.
    pub(crate) fn is_completed(&self) -> bool {
        match self {
            Self::Check { status, .. } => match status {
                Status::Queued | Status::InProgress => false,
                Status::Success | Status::Failure | Status::Cancelled => true,
            },
            Self::Text { .. } | Self::Sign { .. } => false,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Comment => formatter.write_str("comment"),
            Self::Reply(comment, line) => write!(formatter, "reply:{comment}:{line}"),
            Self::Check(kind, sha) => write!(formatter, "check:{}:{sha}", kind.word()),
            Self::Reaction(comment, step) => write!(formatter, "sign:{comment}:{step}"),
        }
    }
}

/// A word that names no target.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no target")]
pub(crate) struct UnknownTarget(String);

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Self, UnknownTarget> {
        let unknown = || UnknownTarget(text.to_owned());
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or_else(unknown);
        match next()? {
            "comment" => Ok(Self::Comment),
            word @ ("reply" | "sign") => {
                let comment = next()?.parse().map_err(|_| unknown())?;
                let number = next()?.parse().map_err(|_| unknown())?;
                Ok(if word == "reply" {
                    Self::Reply(comment, number)
                } else {
                    Self::Reaction(comment, number)
                })
            }
            "check" => {
                let word = next()?;
                let kind = CheckKind::ALL
                    .into_iter()
                    .find(|kind| kind.word() == word)
                    .ok_or_else(unknown)?;
                Ok(Self::Check(kind, next()?.parse().map_err(|_| unknown())?))
            }
            _ => Err(unknown()),
        }
    }
}

/// The first line of the comment that is rewritten. It is a help to find it again, not a proof that it is ours.
pub(crate) fn comment_marker(pull: PullKey) -> String {
    format!(
        "<!-- siding v1 comment {}#{} -->",
        pull.repository, pull.number
    )
}

/// The first line of an answer to a command.
pub(crate) fn reply_marker(comment: u64, line: u32) -> String {
    format!("<!-- siding v1 reply {comment}:{line} -->")
}

/// What a row became.
pub(crate) enum Sent {
    /// GitHub shows it, under this number.
    Done(u64),
    /// The check that stands there has ended and stays; a new one has to be begun first.
    NewAttempt,
}

/// Makes GitHub show one row.
///
/// # Errors
/// Whatever GitHub says. Calling it again is safe, also after a call with an unknown outcome.
pub(crate) async fn send(repository: &Repository, row: &OutboxRow) -> Result<Sent, GithubError> {
    match (&row.target, &row.desired) {
        (Target::Comment, Desired::Text { body }) => {
            send_comment(repository, row, &comment_marker(row.pull), body).await
        }
        (Target::Reply(comment, line), Desired::Text { body }) => {
            send_comment(repository, row, &reply_marker(*comment, *line), body).await
        }
        (Target::Reaction(comment, _), Desired::Sign { reaction }) => {
            match repository.react(*comment, *reaction).await {
                // The comment was deleted: nobody is left to see a sign.
                Err(error) if error.status() == Some(404) => Ok(Sent::Done(*comment)),
                other => other.map(|()| Sent::Done(*comment)),
            }
        }
        (
            Target::Check(kind, sha),
            Desired::Check {
                status,
                title,
                summary,
                text,
            },
        ) => {
            if row.sent_completed && !row.desired.is_completed() {
                return Ok(Sent::NewAttempt);
            }
            let run = CheckRun {
                name: kind.name(),
                head_sha: sha.clone(),
                external_id: format!(
                    "siding/{}/{}/{sha}/{}",
                    kind.word(),
                    row.pull.number,
                    row.attempt
                ),
                status: match status {
                    Status::Queued => CheckStatus::Queued,
                    Status::InProgress => CheckStatus::InProgress,
                    Status::Success => CheckStatus::Completed(Conclusion::Success),
                    Status::Failure => CheckStatus::Completed(Conclusion::Failure),
                    Status::Cancelled => CheckStatus::Completed(Conclusion::Cancelled),
                },
                title: title.clone(),
                summary: summary.clone(),
                text: text.clone(),
                details_url: None,
            };
            send_check(repository, row, &run).await
        }
        (Target::Comment | Target::Reply(..) | Target::Check(..) | Target::Reaction(..), _) => {
            unreachable!("each target is desired with its own form")
        }
    }
}

async fn send_comment(
    repository: &Repository,
    row: &OutboxRow,
    marker: &str,
    body: &str,
) -> Result<Sent, GithubError> {
    if let Some(id) = row.remote_id {
        match repository.update_comment(id, body).await {
            // Somebody deleted it: write it again.
            Err(error) if error.status() == Some(404) => {}
            other => return other.map(|comment| Sent::Done(comment.id)),
        }
    }
    // Written before a crash, perhaps. A marker in somebody else's comment means nothing.
    let existing = repository
        .comments(row.pull.number)
        .await?
        .into_iter()
        .find(|comment| {
            comment.app_id == Some(repository.app().id()) && comment.body.starts_with(marker)
        });
    let comment = match existing {
        Some(comment) if comment.body == body => comment,
        Some(comment) => repository.update_comment(comment.id, body).await?,
        None => repository.create_comment(row.pull.number, body).await?,
    };
    Ok(Sent::Done(comment.id))
}

async fn send_check(
    repository: &Repository,
    row: &OutboxRow,
    run: &CheckRun,
) -> Result<Sent, GithubError> {
    let known = match row.remote_id {
        Some(id) if row.desired.is_completed() => Some(id),
        // Created before a crash, perhaps, and perhaps ended since.
        Some(_) | None => {
            let existing = repository
                .check_runs(&run.head_sha)
                .await?
                .into_iter()
                .filter(|record| record.app_id == Some(repository.app().id()))
                .find(|record| record.external_id.as_deref() == Some(run.external_id.as_str()));
            if let Some(record) = &existing
                && record.conclusion.is_some()
                && !row.desired.is_completed()
            {
                return Ok(Sent::NewAttempt);
            }
            existing.map(|record| record.id)
        }
    };
    match known {
        Some(id) => {
            repository.update_check_run(id, run).await?;
            Ok(Sent::Done(id))
        }
        None => repository.create_check_run(run).await.map(Sent::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_reads_back() {
        let sha: CommitSha = "a".repeat(40).parse().unwrap();
        for target in [
            Target::Comment,
            Target::Reply(7, 1),
            Target::Reaction(7, 0),
            Target::Check(CheckKind::Gate, sha),
        ] {
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
        }
    }
}
