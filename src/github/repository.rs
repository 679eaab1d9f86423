//! Calls within one repository.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;

use crate::github::Account;
use crate::github::App;
use crate::github::CheckRun;
use crate::github::CheckRunRecord;
use crate::github::CheckStatus;
use crate::github::Comment;
use crate::github::CommitSha;
use crate::github::Conclusion;
use crate::github::GithubError;
use crate::github::InstallationId;
use crate::github::MAX_OUTPUT_CHARS;
use crate::github::MergeMethod;
use crate::github::MergeOutcome;
use crate::github::Permission;
use crate::github::PrNumber;
use crate::github::PullRequest;
use crate::github::PullState;
use crate::github::Reaction;
use crate::github::RepositoryName;
use crate::github::Review;
use crate::github::ReviewState;
use crate::github::http;
use crate::github::http::Answer;
use crate::github::http::Call;
use crate::github::text;
use crate::github::types::account_or_ghost;

/// One repository, with the rights of one installation. Cheap to clone.
///
/// Every method makes at least one call and can fail with any [`GithubError`] that a call can have. Reads are tried
/// again after a server error; writes are not, since they may have happened: see
/// [`may_have_taken_effect`](GithubError::may_have_taken_effect).
#[derive(Clone, Debug)]
pub struct Repository {
    app: App,
    installation: InstallationId,
    id: u64,
    name: RepositoryName,
}

impl Repository {
    pub(super) fn new(
        app: App,
        installation: InstallationId,
        id: u64,
        name: RepositoryName,
    ) -> Self {
        Self {
            app,
            installation,
            id,
            name,
        }
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its `owner/name`.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// The installation whose rights are used.
    pub fn installation(&self) -> InstallationId {
        self.installation
    }

    /// The app that acts.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// A pull request as it is now; makes GitHub compute whether it can be merged.
    pub async fn pull(&self, number: PrNumber) -> Result<PullRequest, GithubError> {
        let answer = self
            .call(Call::Get, &format!("/pulls/{number}"), &[])
            .await?;
        Ok(answer.json::<PullBody>()?.into())
    }

    /// All open pull requests, newest first. `mergeable` is `None` in each.
    pub async fn open_pulls(&self) -> Result<Vec<PullRequest>, GithubError> {
        self.list("/pulls?state=open", |pulls: Vec<PullBody>| {
            pulls.into_iter().map(Into::into).collect()
        })
        .await
    }

    /// Merges, if the branch still ends with `head`.
    ///
    /// When the error [may have taken effect](GithubError::may_have_taken_effect), ask [`pull`](Self::pull) whether it is
    /// merged before anything else.
    ///
    /// Source: `PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge`.
    pub async fn merge(
        &self,
        number: PrNumber,
        head: &CommitSha,
        method: MergeMethod,
    ) -> Result<MergeOutcome, GithubError> {
        #[derive(Deserialize)]
        struct Merged {
            sha: CommitSha,
        }
        let body = json!({ "sha": head, "merge_method": method });
        let answer = self
            .call(
                Call::Put(&body),
                &format!("/pulls/{number}/merge"),
                &[403, 405, 409],
            )
            .await?;
        Ok(match answer.status {
            403 => MergeOutcome::Forbidden(answer.message()),
            405 => MergeOutcome::NotMergeable(answer.message()),
            409 => MergeOutcome::HeadMoved(answer.message()),
            _ => MergeOutcome::Merged(answer.json::<Merged>()?.sha),
        })
    }

    /// All comments on the conversation of a pull request, oldest first.
    pub async fn comments(&self, number: PrNumber) -> Result<Vec<Comment>, GithubError> {
        let route = format!("/issues/{number}/comments");
        self.list(&route, |comments: Vec<CommentBody>| {
            comments.into_iter().map(Into::into).collect()
        })
        .await
    }

    /// A comment as it is now; `None` when it was deleted.
    pub async fn comment(&self, id: u64) -> Result<Option<Comment>, GithubError> {
        let answer = self
            .call(Call::Get, &format!("/issues/comments/{id}"), &[404])
            .await?;
        if answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(answer.json::<CommentBody>()?.into()))
    }

    /// Writes a comment, at most [`MAX_COMMENT_CHARS`](crate::github::MAX_COMMENT_CHARS) long.
    pub async fn create_comment(
        &self,
        number: PrNumber,
        markdown: &str,
    ) -> Result<Comment, GithubError> {
        let body = json!({ "body": markdown });
        let answer = self
            .call(
                Call::Post(&body),
                &format!("/issues/{number}/comments"),
                &[],
            )
            .await?;
        Ok(answer.json::<CommentBody>()?.into())
    }

    /// Replaces the text of a comment.
    pub async fn update_comment(&self, id: u64, markdown: &str) -> Result<Comment, GithubError> {
        let body = json!({ "body": markdown });
        let answer = self
            .call(Call::Patch(&body), &format!("/issues/comments/{id}"), &[])
            .await?;
        Ok(answer.json::<CommentBody>()?.into())
    }

    /// Puts a reaction below a comment; doing it twice leaves one.
    pub async fn react(&self, comment_id: u64, reaction: Reaction) -> Result<(), GithubError> {
        let body = json!({ "content": reaction });
        self.call(
            Call::Post(&body),
            &format!("/issues/comments/{comment_id}/reactions"),
            &[],
        )
        .await?;
        Ok(())
    }

    /// All reviews of a pull request, oldest first.
    pub async fn reviews(&self, number: PrNumber) -> Result<Vec<Review>, GithubError> {
        let route = format!("/pulls/{number}/reviews");
        self.list(&route, |reviews: Vec<ReviewBody>| {
            reviews.into_iter().map(Into::into).collect()
        })
        .await
    }

    /// What an account may do here. A role that the organisation made itself counts as the role that it is based on.
    ///
    /// Source: `GET /repos/{owner}/{repo}/collaborators/{username}/permission`; `author_association` is no permission.
    pub async fn permission(&self, login: &str) -> Result<Permission, GithubError> {
        #[derive(Deserialize)]
        struct Body {
            permission: String,
            role_name: Option<String>,
        }
        let route = format!("/collaborators/{}/permission", http::segment(login));
        let answer = self.call(Call::Get, &route, &[404]).await?;
        if answer.status == 404 {
            return Ok(Permission::None);
        }
        let body: Body = answer.json()?;
        let role = body.role_name.as_deref().and_then(permission_named);
        Ok(role
            .or_else(|| permission_named(&body.permission))
            .unwrap_or(Permission::None))
    }

    /// Creates a check run and returns its number.
    pub async fn create_check_run(&self, run: &CheckRun) -> Result<u64, GithubError> {
        let mut body = check_run_body(run);
        body["head_sha"] = json!(run.head_sha);
        let answer = self.call(Call::Post(&body), "/check-runs", &[]).await?;
        Ok(answer.json::<IdBody>()?.id)
    }

    /// Makes a check run show `run`. Its commit stays; a completed run must not be taken back.
    pub async fn update_check_run(&self, id: u64, run: &CheckRun) -> Result<(), GithubError> {
        let body = check_run_body(run);
        self.call(Call::Patch(&body), &format!("/check-runs/{id}"), &[])
            .await?;
        Ok(())
    }

    /// All check runs of a commit, of all apps, oldest first. Of several with one name the last counts.
    pub async fn check_runs(&self, commit: &CommitSha) -> Result<Vec<CheckRunRecord>, GithubError> {
        #[derive(Deserialize)]
        struct Body {
            check_runs: Vec<CheckRunBody>,
        }
        let route = format!("/commits/{commit}/check-runs?filter=all");
        let mut runs: Vec<CheckRunRecord> = self
            .list(&route, |body: Body| {
                body.check_runs.into_iter().map(Into::into).collect()
            })
            .await?;
        runs.sort_by_key(|run| run.id);
        Ok(runs)
    }

    async fn list<P: DeserializeOwned, T>(
        &self,
        route: &str,
        items: impl Fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, GithubError> {
        let route = self.route(route);
        let crab = self.app.client(self.installation, self.id).await?;
        let result = http::all_pages(&crab, self.app.base_url(), &route, &items).await;
        if !self.token_was_refused(&result) {
            return result;
        }
        let crab = self.app.client(self.installation, self.id).await?;
        http::all_pages(&crab, self.app.base_url(), &route, &items).await
    }

    async fn call(
        &self,
        call: Call<'_>,
        route: &str,
        accepted: &[u16],
    ) -> Result<Answer, GithubError> {
        let route = self.route(route);
        let crab = self.app.client(self.installation, self.id).await?;
        let result = http::call(&crab, self.app.base_url(), call, &route, accepted).await;
        if !self.token_was_refused(&result) {
            return result;
        }
        let crab = self.app.client(self.installation, self.id).await?;
        http::call(&crab, self.app.base_url(), call, &route, accepted).await
    }

    /// Whether GitHub did not look at the call at all because of its token, which is then forgotten: a token can end
    /// before its time. So even a write may be sent again.
    fn token_was_refused<T>(&self, result: &Result<T, GithubError>) -> bool {
        let refused = matches!(result, Err(error) if error.status() == Some(401));
        if refused {
            self.app.forget_tokens(self.installation, self.id);
        }
        refused
    }

    fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{}{rest}", self.name.owner(), self.name.name())
    }
}

fn permission_named(name: &str) -> Option<Permission> {
    match name {
        "admin" => Some(Permission::Admin),
        "maintain" => Some(Permission::Maintain),
        "write" => Some(Permission::Write),
        "triage" => Some(Permission::Triage),
        "read" => Some(Permission::Read),
        "none" => Some(Permission::None),
        _ => None,
    }
}

/// What create and update have in common.
fn check_run_body(run: &CheckRun) -> Value {
    let mut output =
        json!({ "title": run.title, "summary": text::cut(&run.summary, MAX_OUTPUT_CHARS) });
    if let Some(text) = &run.text {
        output["text"] = json!(text::cut(text, MAX_OUTPUT_CHARS));
    }
    let mut body = json!({ "name": run.name, "external_id": run.external_id, "output": output });
    match run.status {
        CheckStatus::Queued => body["status"] = json!("queued"),
        CheckStatus::InProgress => body["status"] = json!("in_progress"),
        CheckStatus::Completed(conclusion) => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion);
        }
    }
    if let Some(details_url) = &run.details_url {
        body["details_url"] = json!(details_url);
    }
    body
}

// How the answers are nested.

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
    state: PullState,
    title: String,
    html_url: String,
    #[serde(deserialize_with = "account_or_ghost")]
    user: Account,
    head: BranchBody,
    base: BranchBody,
    #[serde(default)]
    draft: bool,
    // Not in lists.
    merged: Option<bool>,
    merged_at: Option<DateTime<Utc>>,
    mergeable: Option<bool>,
    merge_commit_sha: Option<CommitSha>,
}

impl From<PullBody> for PullRequest {
    fn from(body: PullBody) -> Self {
        Self {
            number: PrNumber(body.number),
            state: body.state,
            merged: body.merged.unwrap_or(body.merged_at.is_some()),
            draft: body.draft,
            head_sha: body.head.sha,
            head_ref: body.head.name,
            head_repository_id: body.head.repo.map(|repository| repository.id),
            base_sha: body.base.sha,
            base_ref: body.base.name,
            mergeable: body.mergeable,
            merge_commit_sha: body.merge_commit_sha,
            user: body.user,
            title: body.title,
            html_url: body.html_url,
        }
    }
}

#[derive(Deserialize)]
struct CommentBody {
    id: u64,
    node_id: String,
    #[serde(default)]
    body: String,
    #[serde(deserialize_with = "account_or_ghost")]
    user: Account,
    performed_via_github_app: Option<IdBody>,
    html_url: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<CommentBody> for Comment {
    fn from(body: CommentBody) -> Self {
        Self {
            id: body.id,
            node_id: body.node_id,
            body: body.body,
            user: body.user,
            app_id: body.performed_via_github_app.map(|app| app.id),
            html_url: body.html_url,
            created_at: body.created_at,
            updated_at: body.updated_at,
        }
    }
}

#[derive(Deserialize)]
struct ReviewBody {
    id: u64,
    #[serde(deserialize_with = "account_or_ghost")]
    user: Account,
    state: ReviewState,
    commit_id: Option<CommitSha>,
    submitted_at: Option<DateTime<Utc>>,
}

impl From<ReviewBody> for Review {
    fn from(body: ReviewBody) -> Self {
        Self {
            id: body.id,
            user: body.user,
            state: body.state,
            commit_id: body.commit_id,
            submitted_at: body.submitted_at,
        }
    }
}

#[derive(Deserialize)]
struct CheckRunBody {
    id: u64,
    name: String,
    external_id: Option<String>,
    status: String,
    conclusion: Option<Conclusion>,
    app: Option<IdBody>,
}

impl From<CheckRunBody> for CheckRunRecord {
    fn from(body: CheckRunBody) -> Self {
        Self {
            id: body.id,
            name: body.name,
            external_id: body.external_id,
            status: body.status,
            conclusion: body.conclusion,
            app_id: body.app.map(|app| app.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_completed_run_has_a_conclusion() {
        let mut run = CheckRun {
            name: "siding / plan".to_owned(),
            head_sha: "1111111111111111111111111111111111111111".parse().unwrap(),
            external_id: "7".to_owned(),
            status: CheckStatus::InProgress,
            title: "planning".to_owned(),
            summary: "…".to_owned(),
            text: None,
            details_url: None,
        };
        assert_eq!(check_run_body(&run).get("conclusion"), None);
        run.status = CheckStatus::Completed(Conclusion::ActionRequired);
        let body = check_run_body(&run);
        assert_eq!(
            (&body["status"], &body["conclusion"]),
            (&json!("completed"), &json!("action_required"))
        );
    }
}
