//! What people do on GitHub, and what they see there. Methods that cause a webhook wait until it was delivered.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use siding::github::CommitSha;
use siding::github::PrNumber;
use tokio::sync::oneshot;

use crate::fake_github::CheckRun;
use crate::fake_github::FakeComment;
use crate::fake_github::FakeGitHub;
use crate::fake_github::NewPull;
use crate::fake_github::Pull;
use crate::fake_github::git::Author;
use crate::fake_github::git::FileChange;
use crate::fake_github::git::NOBODY;
use crate::fake_github::handlers;
use crate::fake_github::state::Attempt;
use crate::fake_github::state::Fault;
use crate::fake_github::state::Post;
use crate::fake_github::state::Request;
use crate::fake_github::state::Review;
use crate::fake_github::webhooks;

impl FakeGitHub {
    /// Tells GitHub where our server listens; until then every delivery is lost.
    pub(crate) fn set_hook_url(&self, url: &str) {
        self.lock().hook_url = Some(url.to_owned());
    }

    /// Gives a person a role: `admin`, `maintain`, `write`, `triage`, `read` or `none`. Makes the person up if need be.
    pub(crate) fn set_permission(&self, login: &str, role: &str) {
        self.lock().set_role(login, role);
    }

    /// A branch with one commit on top of `main`, and a pull request for it.
    pub(crate) async fn open_pull(
        &self,
        branch: &str,
        title: &str,
        author: &str,
        files: &[FileChange<'_>],
    ) -> PrNumber {
        self.open_pull_with(&NewPull {
            branch,
            title,
            author,
            files,
            draft: false,
            from_fork: false,
        })
        .await
    }

    pub(crate) async fn open_pull_with(&self, new: &NewPull<'_>) -> PrNumber {
        let number = {
            let mut state = self.lock();
            let number = state.pulls.keys().last().copied().unwrap_or(0) + 1;
            let base = state.git.main();
            let head = state
                .git
                .commit_files(&base, new.files, new.title, &author(new.author));
            if !new.from_fork {
                state
                    .git
                    .set_ref(&format!("refs/heads/{}", new.branch), &head);
            }
            state
                .git
                .set_ref(&format!("refs/pull/{number}/head"), &head);
            let (id, now) = (state.next_id(), state.now());
            state.pulls.insert(
                number,
                Pull {
                    id,
                    number,
                    title: new.title.to_owned(),
                    author: new.author.to_owned(),
                    branch: new.branch.to_owned(),
                    from_fork: new.from_fork,
                    draft: new.draft,
                    open: true,
                    head,
                    base,
                    mergeable: None,
                    test_merge: None,
                    merge_commit: None,
                    merged_by: None,
                    created_at: now,
                    updated_at: now,
                    closed_at: None,
                },
            );
            state.test_merge(number);
            state.emit_pull(number, "opened", new.author, &Value::Null);
            number
        };
        self.settle().await;
        PrNumber(number)
    }

    /// Another commit on the branch of a pull request, by its author.
    pub(crate) async fn push(&self, pr: PrNumber, files: &[FileChange<'_>]) -> CommitSha {
        let head = {
            let mut state = self.lock();
            let pull = state.pull(pr.0).clone();
            let head =
                state
                    .git
                    .commit_files(&pull.head, files, "Change it again", &author(&pull.author));
            if !pull.from_fork {
                state
                    .git
                    .set_ref(&format!("refs/heads/{}", pull.branch), &head);
            }
            state.git.set_ref(&format!("refs/pull/{pr}/head"), &head);
            state.pull_mut(pr.0).head.clone_from(&head);
            state.test_merge(pr.0);
            state.emit_pull(
                pr.0,
                "synchronize",
                &pull.author,
                &json!({ "before": pull.head, "after": head }),
            );
            head
        };
        self.settle().await;
        sha(&head)
    }

    /// Gives a pull request up.
    pub(crate) async fn close(&self, pr: PrNumber) {
        {
            let mut state = self.lock();
            let now = state.now();
            let author = state.pull(pr.0).author.clone();
            let pull = state.pull_mut(pr.0);
            pull.open = false;
            pull.closed_at = Some(now);
            state.emit_pull(pr.0, "closed", &author, &Value::Null);
        }
        self.settle().await;
    }

    /// Opens a closed pull request again.
    pub(crate) async fn reopen(&self, pr: PrNumber) {
        {
            let mut state = self.lock();
            let main = state.git.main();
            let author = state.pull(pr.0).author.clone();
            let pull = state.pull_mut(pr.0);
            pull.open = true;
            pull.closed_at = None;
            pull.base = main;
            state.test_merge(pr.0);
            state.emit_pull(pr.0, "reopened", &author, &Value::Null);
        }
        self.settle().await;
    }

    /// Says that a draft is ready.
    pub(crate) async fn mark_ready(&self, pr: PrNumber) {
        {
            let mut state = self.lock();
            let author = state.pull(pr.0).author.clone();
            state.pull_mut(pr.0).draft = false;
            state.emit_pull(pr.0, "ready_for_review", &author, &Value::Null);
        }
        self.settle().await;
    }

    /// Presses the green button.
    pub(crate) async fn merge_as_human(&self, pr: PrNumber, user: &str) -> CommitSha {
        let merged = handlers::merge_pull(&mut self.lock(), pr.0, "merge", user, None)
            .unwrap_or_else(|answer| panic!("pull request {pr} cannot be merged: {}", answer.body));
        self.settle().await;
        sha(&merged)
    }

    /// A commit on `main` that no pull request brought.
    pub(crate) fn commit_to_main(&self, files: &[FileChange<'_>]) -> CommitSha {
        let mut state = self.lock();
        let commit = state
            .git
            .commit_files(&state.git.main(), files, "Change main", &NOBODY);
        state.git.set_ref("refs/heads/main", &commit);
        state.main_moved();
        sha(&commit)
    }

    /// Writes a comment and returns its number.
    pub(crate) async fn comment(&self, pr: PrNumber, user: &str, body: &str) -> u64 {
        let id = {
            let mut state = self.lock();
            state.user(user);
            handlers::add_comment(&mut state, pr.0, user, body)
        };
        self.settle().await;
        id
    }

    /// Changes a comment, one's own or another's.
    pub(crate) async fn edit_comment(&self, id: u64, user: &str, body: &str) {
        handlers::edit_comment(&mut self.lock(), id, user, body);
        self.settle().await;
    }

    /// Deletes a comment.
    pub(crate) async fn delete_comment(&self, id: u64, user: &str) {
        {
            let mut state = self.lock();
            state.emit_comment(id, "deleted", user, &Value::Null);
            state.comments.remove(&id);
        }
        self.settle().await;
    }

    /// Reviews the newest commit of a pull request: `approved`, `changes_requested` or `commented`.
    pub(crate) async fn review(&self, pr: PrNumber, user: &str, verdict: &str) -> u64 {
        let id = {
            let mut state = self.lock();
            let (id, submitted_at) = (state.next_id(), state.now());
            let commit = state.pull(pr.0).head.clone();
            state.reviews.insert(
                id,
                Review {
                    id,
                    pull: pr.0,
                    author: user.to_owned(),
                    state: verdict.to_owned(),
                    commit,
                    submitted_at,
                },
            );
            state.emit_review(id, "submitted", user);
            id
        };
        self.settle().await;
        id
    }

    /// Takes a review back.
    pub(crate) async fn dismiss_review(&self, id: u64, user: &str) {
        {
            let mut state = self.lock();
            let review = state
                .reviews
                .get_mut(&id)
                .unwrap_or_else(|| panic!("there is no review {id}"));
            "dismissed".clone_into(&mut review.state);
            state.emit_review(id, "dismissed", user);
        }
        self.settle().await;
    }

    /// Lets the next `times` requests fail with `status`; with `after_effect`, what was asked for happens all the same.
    pub(crate) fn fail_next(
        &self,
        times: usize,
        status: u16,
        method: &str,
        path_contains: &str,
        after_effect: bool,
    ) {
        self.lock().faults.push(Fault {
            times,
            method: method.to_owned(),
            path_contains: path_contains.to_owned(),
            status,
            headers: Vec::new(),
            message: "Server Error",
            after_effect,
        });
    }

    /// Lets the next request run into GitHub's secondary rate limit.
    pub(crate) fn rate_limit_next(
        &self,
        retry_after_seconds: u64,
        method: &str,
        path_contains: &str,
    ) {
        self.lock().faults.push(Fault {
            times: 1,
            method: method.to_owned(),
            path_contains: path_contains.to_owned(),
            status: 403,
            headers: vec![("retry-after", retry_after_seconds.to_string())],
            message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            after_effect: false,
        });
    }

    /// Puts fewer items on a page than GitHub's 100, so that a short list has many pages.
    pub(crate) fn limit_pages(&self, items: usize) {
        self.lock().page_size = items;
    }

    /// A branch rule that nothing passes; `None` lifts it.
    pub(crate) fn block_merges(&self, rule: Option<&str>) {
        self.lock().blocked = rule.map(str::to_owned);
    }

    /// How long tokens live from now on, instead of GitHub's hour.
    pub(crate) fn set_token_lifetime(&self, lifetime: Duration) {
        self.lock().token_lifetime = lifetime;
    }

    /// Makes every token that was given out worthless.
    pub(crate) fn revoke_tokens(&self) {
        self.lock().tokens.clear();
    }

    /// From now on, events are lost on their way.
    pub(crate) fn pause_webhooks(&self) {
        self.lock().paused = true;
    }

    /// From now on, events arrive. Those that were lost stay lost until someone redelivers them.
    pub(crate) fn resume_webhooks(&self) {
        self.lock().paused = false;
    }

    /// Delivers an event again, under the same GUID.
    pub(crate) async fn redeliver(&self, guid: &str) {
        let known = self.lock().resend(|attempt| attempt.guid == guid);
        assert!(known, "there is no delivery {guid}");
        self.settle().await;
    }

    /// The signature that GitHub would send with a body.
    pub(crate) fn sign(&self, body: &[u8]) -> String {
        webhooks::signature(&self.lock().hook_secret, body)
    }

    /// Sends anything to our server's webhook address, and returns the status of its answer.
    pub(crate) async fn deliver_raw(&self, headers: &[(&str, &str)], body: &[u8]) -> u16 {
        let url = self.lock().hook_url.clone().expect("set_hook_url first");
        let mut request = reqwest::Client::new().post(url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .send()
            .await
            .expect("our server answers")
            .status()
            .as_u16()
    }

    /// Returns once all events so far, also those that our own calls caused, have been delivered or lost.
    pub(crate) async fn settle(&self) {
        let (tell, told) = oneshot::channel();
        self.lock()
            .postbox
            .send(Post::Tell(tell))
            .expect("the postman works as long as the stand-in");
        told.await
            .expect("the postman works as long as the stand-in");
    }

    /// Every attempt to deliver an event, oldest first, with what our server answered.
    pub(crate) fn deliveries(&self) -> Vec<Attempt> {
        self.lock().attempts.values().cloned().collect()
    }

    /// The comments on a pull request, oldest first.
    pub(crate) fn comments(&self, pr: PrNumber) -> Vec<FakeComment> {
        let state = self.lock();
        let comments = state
            .comments
            .values()
            .filter(|comment| comment.pull == pr.0);
        comments
            .map(|comment| FakeComment {
                id: comment.id,
                author: comment.author.clone(),
                body: comment.body.clone(),
                reactions: state
                    .reactions
                    .iter()
                    .filter(|reaction| reaction.comment == comment.id)
                    .map(|reaction| reaction.content.clone())
                    .collect(),
            })
            .collect()
    }

    /// The check runs at the newest commit of a pull request, oldest first.
    pub(crate) fn check_runs(&self, pr: PrNumber) -> Vec<CheckRun> {
        let state = self.lock();
        let head = &state.pull(pr.0).head;
        state
            .check_runs
            .values()
            .filter(|run| run.head_sha == *head)
            .cloned()
            .collect()
    }

    pub(crate) fn pull(&self, pr: PrNumber) -> Pull {
        self.lock().pull(pr.0).clone()
    }

    /// How often something was merged, by whomever.
    pub(crate) fn merges(&self) -> usize {
        self.lock().merges
    }

    /// Every request of ours, oldest first.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// The newest commit of `main`.
    pub(crate) fn main_head(&self) -> CommitSha {
        sha(&self.lock().git.main())
    }

    /// A file as it is on `main`.
    pub(crate) fn file_on_main(&self, path: &str) -> Option<String> {
        let state = self.lock();
        state.git.file(&state.git.main(), path)
    }

    /// Whether a commit is part of `main`.
    pub(crate) fn main_contains(&self, commit: &CommitSha) -> bool {
        let state = self.lock();
        state.git.contains(&state.git.main(), commit.as_str())
    }
}

fn author(login: &str) -> Author<'_> {
    Author {
        name: login,
        email: "someone@users.github.example",
    }
}

fn sha(text: &str) -> CommitSha {
    text.parse().expect("git names commits by 40 digits")
}
