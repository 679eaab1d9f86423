//! Webhook bodies.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::github::Account;
use crate::github::CommitSha;
use crate::github::EventError;
use crate::github::InstallationId;
use crate::github::PrNumber;
use crate::github::RepositoryName;
use crate::github::ReviewState;
use crate::github::types::account_or_ghost;

/// What happened on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A pull request was opened, pushed to, closed, …
    PullRequest(PullRequestEvent),
    /// Someone wrote, changed or deleted a comment on an issue or a pull request.
    IssueComment(IssueCommentEvent),
    /// Someone reviewed a pull request.
    PullRequestReview(PullRequestReviewEvent),
    /// The app was installed, removed, suspended, …
    Installation(InstallationEvent),
    /// GitHub tries whether we are there.
    Ping,
    /// An event that Siding has no use for, by its name.
    Unknown(String),
}

/// The repository that an event is about. The name can change, the id cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRef {
    /// Never given out twice.
    pub id: u64,
    /// Current `owner/name`.
    pub name: RepositoryName,
}

/// A pull request as the event found it; read it again before acting on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPull {
    /// Its number.
    pub number: PrNumber,
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
    /// Whether its author still works on it.
    pub draft: bool,
    /// Who opened it.
    pub user: Account,
}

/// Event `pull_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequestEvent {
    /// What was done.
    pub action: PullRequestAction,
    /// Where.
    pub repository: RepositoryRef,
    /// Whose installation; `None` from a webhook that is not the app's.
    pub installation: Option<InstallationId>,
    /// Who did it.
    pub sender: Account,
    /// To what.
    pub pull: EventPull,
    /// Whether it is merged by now.
    pub merged: bool,
    /// The merge commit once merged; before that GitHub's test merge, often not yet the newest.
    pub merge_commit_sha: Option<CommitSha>,
}

/// What was done to a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullRequestAction {
    /// It is new.
    Opened,
    /// Its branch moved.
    Synchronize,
    /// It was closed before.
    Reopened,
    /// Merged or given up; `merged` tells which.
    Closed,
    /// Title, text or base branch changed.
    Edited,
    /// No longer a draft.
    ReadyForReview,
    /// A draft again.
    ConvertedToDraft,
    /// Anything else: labels, assignees, …
    #[serde(other)]
    Other,
}

/// Event `issue_comment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueCommentEvent {
    /// What was done.
    pub action: CommentAction,
    /// Where.
    pub repository: RepositoryRef,
    /// Whose installation; `None` from a webhook that is not the app's.
    pub installation: Option<InstallationId>,
    /// Who did it; not always who wrote the comment.
    pub sender: Account,
    /// Number of the issue or pull request.
    pub number: PrNumber,
    /// Whether that is a pull request.
    pub on_pull_request: bool,
    /// The comment as it is now.
    pub comment: EventComment,
}

/// What was done to a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentAction {
    /// It is new.
    Created,
    /// Its text changed.
    Edited,
    /// It is gone.
    Deleted,
    /// Anything else: pinned, …
    #[serde(other)]
    Other,
}

/// A comment in an event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EventComment {
    /// Its number, unique over all of GitHub.
    pub id: u64,
    /// Its name in GraphQL.
    pub node_id: String,
    /// Markdown, as written.
    pub body: String,
    /// Who wrote it.
    #[serde(deserialize_with = "account_or_ghost")]
    pub user: Account,
}

/// Event `pull_request_review`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequestReviewEvent {
    /// What was done.
    pub action: ReviewAction,
    /// Where.
    pub repository: RepositoryRef,
    /// Whose installation; `None` from a webhook that is not the app's.
    pub installation: Option<InstallationId>,
    /// Who did it.
    pub sender: Account,
    /// The reviewed pull request.
    pub pull: EventPull,
    /// The review.
    pub review: EventReview,
}

/// What was done to a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewAction {
    /// It is new.
    Submitted,
    /// Its text changed.
    Edited,
    /// It was taken back.
    Dismissed,
    /// Anything else.
    #[serde(other)]
    Other,
}

/// A review in an event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EventReview {
    /// Its number.
    pub id: u64,
    /// The verdict.
    pub state: ReviewState,
    /// The commit that was looked at; `None` when it is gone.
    pub commit_id: Option<CommitSha>,
    /// Who reviewed.
    #[serde(deserialize_with = "account_or_ghost")]
    pub user: Account,
}

/// Event `installation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallationEvent {
    /// What was done.
    pub action: InstallationAction,
    /// To which installation.
    pub installation: InstallationId,
    /// Who did it.
    pub sender: Account,
}

/// What was done to an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallationAction {
    /// It is new.
    Created,
    /// It is gone, and our access with it.
    Deleted,
    /// No access until it is unsuspended.
    Suspend,
    /// Access again.
    Unsuspend,
    /// The owner agreed to what the app newly asks for.
    NewPermissionsAccepted,
    /// Anything else.
    #[serde(other)]
    Other,
}

impl Event {
    /// What the body of a webhook says.
    ///
    /// `event_name` is the `X-GitHub-Event` header. Check the signature of `body` before calling this.
    ///
    /// # Errors
    /// If the event is one of ours and the body is not JSON or lacks a field that we need. An event with another name is
    /// [`Event::Unknown`], whatever its body.
    pub fn parse(event_name: &str, body: &[u8]) -> Result<Self, EventError> {
        Ok(match event_name {
            "pull_request" => Self::PullRequest(read::<PullRequestBody>(event_name, body)?.into()),
            "issue_comment" => {
                Self::IssueComment(read::<IssueCommentBody>(event_name, body)?.into())
            }
            "pull_request_review" => {
                Self::PullRequestReview(read::<ReviewBody>(event_name, body)?.into())
            }
            "installation" => {
                Self::Installation(read::<InstallationBody>(event_name, body)?.into())
            }
            "ping" => Self::Ping,
            other => Self::Unknown(other.to_owned()),
        })
    }
}

fn read<T: DeserializeOwned>(event: &str, body: &[u8]) -> Result<T, EventError> {
    serde_json::from_slice(body).map_err(|error| EventError {
        event: event.to_owned(),
        message: error.to_string(),
    })
}

// How the bodies are nested.

#[derive(Deserialize)]
struct RepositoryBody {
    id: u64,
    full_name: RepositoryName,
}

#[derive(Deserialize)]
struct IdBody {
    id: u64,
}

#[derive(Deserialize)]
struct BranchBody {
    sha: CommitSha,
    #[serde(rename = "ref")]
    name: String,
    repo: Option<IdBody>,
}

#[derive(Deserialize)]
struct PullBody {
    number: u64,
    head: BranchBody,
    base: BranchBody,
    #[serde(default)]
    draft: bool,
    merged: Option<bool>,
    merge_commit_sha: Option<CommitSha>,
    #[serde(deserialize_with = "account_or_ghost")]
    user: Account,
}

#[derive(Deserialize)]
struct PullRequestBody {
    action: PullRequestAction,
    repository: RepositoryBody,
    installation: Option<IdBody>,
    sender: Account,
    pull_request: PullBody,
}

#[derive(Deserialize)]
struct IssueBody {
    number: u64,
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct IssueCommentBody {
    action: CommentAction,
    repository: RepositoryBody,
    installation: Option<IdBody>,
    sender: Account,
    issue: IssueBody,
    comment: EventComment,
}

#[derive(Deserialize)]
struct ReviewBody {
    action: ReviewAction,
    repository: RepositoryBody,
    installation: Option<IdBody>,
    sender: Account,
    pull_request: PullBody,
    review: EventReview,
}

#[derive(Deserialize)]
struct InstallationBody {
    action: InstallationAction,
    installation: IdBody,
    sender: Account,
}

impl From<RepositoryBody> for RepositoryRef {
    fn from(body: RepositoryBody) -> Self {
        Self {
            id: body.id,
            name: body.full_name,
        }
    }
}

impl From<PullBody> for EventPull {
    fn from(body: PullBody) -> Self {
        Self {
            number: PrNumber(body.number),
            head_sha: body.head.sha,
            head_ref: body.head.name,
            head_repository_id: body.head.repo.map(|repository| repository.id),
            base_sha: body.base.sha,
            base_ref: body.base.name,
            draft: body.draft,
            user: body.user,
        }
    }
}

impl From<PullRequestBody> for PullRequestEvent {
    fn from(body: PullRequestBody) -> Self {
        Self {
            action: body.action,
            repository: body.repository.into(),
            installation: body
                .installation
                .map(|installation| InstallationId(installation.id)),
            sender: body.sender,
            merged: body.pull_request.merged.unwrap_or(false),
            merge_commit_sha: body.pull_request.merge_commit_sha.clone(),
            pull: body.pull_request.into(),
        }
    }
}

impl From<IssueCommentBody> for IssueCommentEvent {
    fn from(body: IssueCommentBody) -> Self {
        Self {
            action: body.action,
            repository: body.repository.into(),
            installation: body
                .installation
                .map(|installation| InstallationId(installation.id)),
            sender: body.sender,
            number: PrNumber(body.issue.number),
            on_pull_request: body.issue.pull_request.is_some(),
            comment: body.comment,
        }
    }
}

impl From<ReviewBody> for PullRequestReviewEvent {
    fn from(body: ReviewBody) -> Self {
        Self {
            action: body.action,
            repository: body.repository.into(),
            installation: body
                .installation
                .map(|installation| InstallationId(installation.id)),
            sender: body.sender,
            pull: body.pull_request.into(),
            review: body.review,
        }
    }
}

impl From<InstallationBody> for InstallationEvent {
    fn from(body: InstallationBody) -> Self {
        Self {
            action: body.action,
            installation: InstallationId(body.installation.id),
            sender: body.sender,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "1111111111111111111111111111111111111111";
    const BASE: &str = "2222222222222222222222222222222222222222";

    fn pull_request(repo: &str) -> String {
        format!(
            r#"{{ "action": "synchronize", "number": 7, "sender": {{ "id": 1, "login": "ada", "type": "User" }},
                 "repository": {{ "id": 5, "full_name": "acme/warehouse" }}, "installation": {{ "id": 9 }},
                 "pull_request": {{ "number": 7, "user": null, "merged": false, "merge_commit_sha": null,
                   "head": {{ "sha": "{HEAD}", "ref": "topic", "repo": {repo} }},
                   "base": {{ "sha": "{BASE}", "ref": "main", "repo": {{ "id": 5 }} }} }} }}"#
        )
    }

    #[test]
    fn a_pull_request_whose_fork_and_author_are_gone_is_still_read() {
        let Event::PullRequest(event) =
            Event::parse("pull_request", pull_request("null").as_bytes()).unwrap()
        else {
            panic!("not a pull request");
        };
        assert_eq!(event.action, PullRequestAction::Synchronize);
        assert_eq!(event.pull.head_repository_id, None);
        assert_eq!(event.pull.user, Account::ghost());
        assert_eq!(event.installation, Some(InstallationId(9)));
    }

    #[test]
    fn an_action_that_is_new_to_us_is_not_an_error() {
        let body = pull_request("null").replace("synchronize", "frobnicated");
        let Event::PullRequest(event) = Event::parse("pull_request", body.as_bytes()).unwrap()
        else {
            panic!("not a pull request");
        };
        assert_eq!(event.action, PullRequestAction::Other);
    }

    #[test]
    fn an_event_that_we_do_not_know_is_named_and_its_body_ignored() {
        assert_eq!(
            Event::parse("star", b"not json").unwrap(),
            Event::Unknown("star".to_owned())
        );
    }

    #[test]
    fn a_body_that_is_cut_or_lies_about_its_commit_is_an_error_that_names_the_event() {
        let body = pull_request("null");
        let error = Event::parse("pull_request", &body.as_bytes()[..100]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the body of the `pull_request` event cannot be read: "),
            "{error}"
        );
        let lie = body.replace(HEAD, "main");
        assert!(Event::parse("pull_request", lie.as_bytes()).is_err());
    }
}
