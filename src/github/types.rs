//! What we ask GitHub for and what it answers, reduced to what Siding needs.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;

use crate::github::CommitSha;
use crate::github::PrNumber;

/// Someone who acts on GitHub. The login can change, the id cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Never given out twice.
    pub id: u64,
    /// Current name; an app's ends in `[bot]`.
    pub login: String,
    /// Person, app or organisation.
    #[serde(rename = "type", default)]
    pub kind: AccountKind,
}

/// What kind of account acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountKind {
    /// A person, or a program that uses a person's account.
    User,
    /// A GitHub App.
    Bot,
    /// An organisation.
    Organization,
    /// A kind that we do not know.
    #[default]
    #[serde(other)]
    Other,
}

impl Account {
    /// Whom GitHub shows in place of an account that was deleted.
    pub fn ghost() -> Self {
        Self {
            id: 10_137,
            login: "ghost".to_owned(),
            kind: AccountKind::User,
        }
    }
}

/// A pull request as GitHub describes it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: PrNumber,
    /// Open or closed; a merged one is closed.
    pub state: PullState,
    /// Whether it was merged.
    pub merged: bool,
    /// Whether its author still works on it.
    pub draft: bool,
    /// Newest commit of its branch.
    pub head_sha: CommitSha,
    /// Name of its branch, chosen by its author.
    pub head_ref: String,
    /// The repository that the branch is in; `None` once a fork was deleted.
    pub head_repository_id: Option<u64>,
    /// Commit of the base branch that GitHub last compared with.
    pub base_sha: CommitSha,
    /// Branch that it wants to be merged into.
    pub base_ref: String,
    /// Whether it merges without conflict; `None` while GitHub computes it (asking starts that), and in lists.
    pub mergeable: Option<bool>,
    /// The test merge while open, the merge once merged; `None` when GitHub has none or no longer tells.
    pub merge_commit_sha: Option<CommitSha>,
    /// Who opened it.
    pub user: Account,
    /// Its title.
    pub title: String,
    /// Its page.
    pub html_url: String,
}

/// Whether work on a pull request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullState {
    /// It can be merged.
    Open,
    /// It was merged or given up.
    Closed,
}

/// How the commits of a pull request get into the base branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeMethod {
    /// A merge commit.
    Merge,
    /// One commit with all changes.
    Squash,
    /// Its commits on top of the base branch.
    Rebase,
}

/// What GitHub said to a merge. The texts are GitHub's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// It is merged; this is the new commit on the base branch.
    Merged(CommitSha),
    /// 405: a conflict, a rule, a draft, a closed pull request or a method that is not allowed.
    NotMergeable(String),
    /// 409: the branch no longer ends with the commit that was asked for.
    HeadMoved(String),
    /// 403: the app may not merge this.
    Forbidden(String),
}

/// A comment on a pull request's conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its number, unique over all of GitHub.
    pub id: u64,
    /// Its name in GraphQL.
    pub node_id: String,
    /// Markdown, as written.
    pub body: String,
    /// Who wrote it.
    pub user: Account,
    /// The app that wrote it; `None` for people.
    pub app_id: Option<u64>,
    /// Its address.
    pub html_url: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
}

/// A small sign below a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// Thumb up.
    #[serde(rename = "+1")]
    ThumbsUp,
    /// Thumb down.
    #[serde(rename = "-1")]
    ThumbsDown,
    /// Laughing face.
    Laugh,
    /// Confused face.
    Confused,
    /// Heart.
    Heart,
    /// Party popper.
    Hooray,
    /// Rocket.
    Rocket,
    /// Eyes.
    Eyes,
}

/// What someone said about one commit of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Its number.
    pub id: u64,
    /// Who reviewed.
    pub user: Account,
    /// The verdict.
    pub state: ReviewState,
    /// The commit that was looked at; `None` when it is gone.
    pub commit_id: Option<CommitSha>,
    /// When it was submitted; `None` while pending.
    pub submitted_at: Option<DateTime<Utc>>,
}

/// The verdict of a review. GitHub writes it upper case in answers and lower case in webhooks; both are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// Approved.
    Approved,
    /// Changes requested.
    ChangesRequested,
    /// No verdict.
    Commented,
    /// Taken back by someone.
    Dismissed,
    /// Not submitted yet.
    Pending,
    /// A verdict that we do not know; counts as none.
    Other,
}

impl<'de> Deserialize<'de> for ReviewState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.to_ascii_lowercase().as_str() {
            "approved" => Self::Approved,
            "changes_requested" => Self::ChangesRequested,
            "commented" => Self::Commented,
            "dismissed" => Self::Dismissed,
            "pending" => Self::Pending,
            _ => Self::Other,
        })
    }
}

/// What an account may do in a repository, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Nothing, also for accounts that GitHub does not know.
    None,
    /// Read and comment.
    Read,
    /// Sort issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Push and change some settings.
    Maintain,
    /// Everything.
    Admin,
}

/// What a check run shall show. Fields that GitHub limits are cut when they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRun {
    /// Name that a branch rule can require.
    pub name: String,
    /// The commit that it stands at; cannot be changed by an update.
    pub head_sha: CommitSha,
    /// Our own key, to find the run again.
    pub external_id: String,
    /// How far it is.
    pub status: CheckStatus,
    /// One line.
    pub title: String,
    /// Markdown, shown first; GitHub wants it not empty.
    pub summary: String,
    /// Markdown, shown below.
    pub text: Option<String>,
    /// Where "Details" leads to.
    pub details_url: Option<String>,
}

/// How far a check run is. A completed one stays completed: to check again, create a new run of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// Waits.
    Queued,
    /// Works.
    InProgress,
    /// Has ended like this.
    Completed(Conclusion),
}

/// How a check run ended. GitHub takes success, neutral and skipped for passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Passed.
    Success,
    /// Failed.
    Failure,
    /// Passed, with nothing to say.
    Neutral,
    /// Stopped before its end.
    Cancelled,
    /// Passed without having run.
    Skipped,
    /// Took too long.
    TimedOut,
    /// Somebody has to do something.
    ActionRequired,
    /// Given up by GitHub after two weeks; cannot be sent.
    Stale,
}

/// A check run that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRunRecord {
    /// Its number; a newer run has a higher one.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The key that its app gave it.
    pub external_id: Option<String>,
    /// `queued`, `in_progress`, `completed` or one of GitHub Actions' own words.
    pub status: String,
    /// How it ended; `None` until then.
    pub conclusion: Option<Conclusion>,
    /// The app that created it.
    pub app_id: Option<u64>,
}

/// One attempt of GitHub to deliver a webhook of ours.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Delivery {
    /// Number of the attempt; what [`redeliver`](crate::github::App::redeliver) takes.
    pub id: u64,
    /// Number of the event, the same for each attempt.
    pub guid: String,
    /// When it was tried.
    pub delivered_at: DateTime<Utc>,
    /// Name of the event.
    pub event: String,
    /// What our server answered; 502 or 504 when GitHub had no answer from it.
    pub status_code: u16,
}

impl Delivery {
    /// Whether our server took it.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// Reads an account that is `null` once it was deleted.
pub(crate) fn account_or_ghost<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Account, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(Account::ghost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_reads_the_same_from_an_answer_and_from_a_webhook() {
        let read = |text: &str| serde_json::from_str::<ReviewState>(text).unwrap();
        assert_eq!(read("\"CHANGES_REQUESTED\""), read("\"changes_requested\""));
        assert_eq!(read("\"APPROVED\""), ReviewState::Approved);
        assert_eq!(read("\"applauded\""), ReviewState::Other);
    }

    #[test]
    fn write_is_less_than_maintain_and_more_than_triage() {
        assert!(Permission::Triage < Permission::Write && Permission::Write < Permission::Maintain);
    }
}
