//! GitHub's JSON for what the stand-in knows, with every field that an answer or a webhook may have. What a place does
//! not have is pruned by its schema.

use chrono::DateTime;
use chrono::Utc;
use serde_json::Value;
use serde_json::json;

use crate::fake_github::state::APP_ID;
use crate::fake_github::state::APP_SLUG;
use crate::fake_github::state::BOT;
use crate::fake_github::state::CheckRun;
use crate::fake_github::state::Comment;
use crate::fake_github::state::FORK_ID;
use crate::fake_github::state::INSTALLATION_ID;
use crate::fake_github::state::NAME;
use crate::fake_github::state::OWNER;
use crate::fake_github::state::Pull;
use crate::fake_github::state::REPOSITORY_ID;
use crate::fake_github::state::Reaction;
use crate::fake_github::state::Review;
use crate::fake_github::state::State;

const SITE: &str = "https://github.example";

/// A repository with all its addresses, from GitHub's own example.
const REPOSITORY_EXAMPLE: &str =
    include_str!("../../../fixtures/webhooks/examples/pull_request/opened-51925add.json");

pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn user(state: &State, login: &str) -> Value {
    let user = state.user(login);
    // An app's `name[bot]` is no URL as it stands.
    let path = login.replace('[', "%5B").replace(']', "%5D");
    let api = format!("{}/users/{path}", state.api_url);
    json!({
        "login": user.login, "id": user.id, "node_id": format!("U_{}", user.id), "type": user.kind, "site_admin": false,
        "avatar_url": format!("{SITE}/avatars/{}", user.id), "gravatar_id": "", "url": api, "html_url": format!("{SITE}/{path}"),
        "followers_url": format!("{api}/followers"), "following_url": format!("{api}/following{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"), "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"), "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"), "events_url": format!("{api}/events{{/privacy}}"),
        "received_events_url": format!("{api}/received_events"),
    })
}

pub(crate) fn repository(state: &State) -> Value {
    let text = REPOSITORY_EXAMPLE
        .replace("Codertocat/Hello-World", &format!("{OWNER}/{NAME}"))
        .replace("https://api.github.com", &state.api_url)
        .replace("https://github.com", SITE);
    let mut example: Value = serde_json::from_str(&text).expect("the example is JSON");
    let mut repository = example["repository"].take();
    repository["id"] = json!(REPOSITORY_ID);
    repository["name"] = json!(NAME);
    repository["private"] = json!(true);
    repository["visibility"] = json!("private");
    repository["default_branch"] = json!("main");
    repository["owner"] = user(state, OWNER);
    repository
}

/// The same repository under another account.
fn fork(state: &State, owner: &str) -> Value {
    let text = repository(state)
        .to_string()
        .replace(&format!("{OWNER}/{NAME}"), &format!("{owner}/{NAME}"));
    let mut fork: Value = serde_json::from_str(&text).expect("names hold no quotes");
    fork["id"] = json!(FORK_ID);
    fork["fork"] = json!(true);
    fork["owner"] = user(state, owner);
    fork
}

pub(crate) fn app(state: &State) -> Value {
    json!({
        "id": APP_ID, "slug": APP_SLUG, "node_id": format!("A_{APP_ID}"), "name": "Siding", "description": "", "owner": user(state, OWNER),
        "external_url": "https://siding.example", "html_url": format!("{SITE}/apps/{APP_SLUG}"),
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "permissions": state.granted,
        "events": ["issue_comment", "pull_request", "pull_request_review"],
    })
}

pub(crate) fn installation() -> Value {
    json!({ "id": INSTALLATION_ID, "node_id": format!("I_{INSTALLATION_ID}") })
}

pub(crate) fn pull(state: &State, pull: &Pull) -> Value {
    let api = format!("{}/repos/{OWNER}/{NAME}", state.api_url);
    let number = pull.number;
    let this = format!("{api}/pulls/{number}");
    let html = format!("{SITE}/{OWNER}/{NAME}/pull/{number}");
    let issue = format!("{api}/issues/{number}");
    let statuses = format!("{api}/statuses/{}", pull.head);
    let head_owner = if pull.from_fork {
        pull.author.as_str()
    } else {
        OWNER
    };
    let head_repository = if pull.from_fork {
        fork(state, head_owner)
    } else {
        repository(state)
    };
    let merged = pull.merge_commit.is_some();
    // Before it is known whether it can be merged, GitHub tells nothing of its test merge.
    let test_merge = pull
        .test_merge
        .as_ref()
        .filter(|_| pull.mergeable == Some(true));
    let mergeable = pull.mergeable.filter(|_| pull.open);
    let mergeable_state = match (mergeable, pull.draft, &state.blocked) {
        (None, _, _) => "unknown",
        (Some(false), _, _) => "dirty",
        (Some(true), true, _) => "draft",
        (Some(true), false, Some(_)) => "blocked",
        (Some(true), false, None) => "clean",
    };
    let mut answer = json!({
        "url": this, "id": pull.id, "node_id": format!("PR_{}", pull.id), "html_url": html, "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"), "issue_url": issue, "number": number, "state": if pull.open { "open" } else { "closed" },
        "locked": false, "title": pull.title, "user": user(state, &pull.author), "body": null,
        "created_at": time(pull.created_at), "updated_at": time(pull.updated_at), "closed_at": pull.closed_at.map(time),
        "merged_at": pull.closed_at.filter(|_| merged).map(time), "merge_commit_sha": pull.merge_commit.as_ref().or(test_merge),
    });
    let more = json!({
        "assignee": null, "assignees": [], "requested_reviewers": [], "requested_teams": [], "labels": [], "milestone": null,
        "draft": pull.draft, "commits_url": format!("{this}/commits"), "review_comments_url": format!("{this}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"), "comments_url": format!("{issue}/comments"),
        "statuses_url": statuses, "author_association": association(state, &pull.author), "auto_merge": null, "active_lock_reason": null,
        "merged": merged, "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": mergeable_state,
        "merged_by": pull.merged_by.as_ref().map(|login| user(state, login)), "review_comments": 0, "maintainer_can_modify": false,
        "comments": state.comments.values().filter(|comment| comment.pull == number).count(),
        "commits": state.git.ahead(&pull.base, &pull.head), "additions": 1, "deletions": 0, "changed_files": 1,
    });
    extend(&mut answer, more);
    answer["head"] = json!({ "label": format!("{head_owner}:{}", pull.branch), "ref": pull.branch, "sha": pull.head,
                  "user": user(state, head_owner), "repo": head_repository });
    answer["base"] = json!({ "label": format!("{OWNER}:main"), "ref": "main", "sha": pull.base, "user": user(state, OWNER), "repo": repository(state) });
    answer["_links"] = json!({ "self": { "href": this }, "html": { "href": html }, "issue": { "href": issue },
                    "comments": { "href": format!("{issue}/comments") }, "review_comments": { "href": format!("{this}/comments") },
                    "review_comment": { "href": format!("{api}/pulls/comments{{/number}}") },
                    "commits": { "href": format!("{this}/commits") }, "statuses": { "href": statuses } });
    answer
}

/// Puts the fields of `more` into `object`.
fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (object, more) {
        fields.extend(more);
    }
}

/// The pull request as the conversation that comments belong to.
pub(crate) fn issue(state: &State, pull: &Pull) -> Value {
    let api = format!("{}/repos/{OWNER}/{NAME}", state.api_url);
    let this = format!("{api}/issues/{}", pull.number);
    let html = format!("{SITE}/{OWNER}/{NAME}/pull/{}", pull.number);
    json!({
        "url": this, "repository_url": api, "labels_url": format!("{this}/labels{{/name}}"), "comments_url": format!("{this}/comments"),
        "events_url": format!("{this}/events"), "timeline_url": format!("{this}/timeline"), "html_url": html, "id": pull.id,
        "node_id": format!("PR_{}", pull.id), "number": pull.number, "title": pull.title, "user": user(state, &pull.author), "labels": [],
        "state": if pull.open { "open" } else { "closed" }, "state_reason": null, "locked": false, "assignee": null, "assignees": [],
        "milestone": null, "comments": state.comments.values().filter(|comment| comment.pull == pull.number).count(),
        "created_at": time(pull.created_at), "updated_at": time(pull.updated_at), "closed_at": pull.closed_at.map(time),
        "author_association": association(state, &pull.author), "active_lock_reason": null, "body": null, "draft": pull.draft,
        "reactions": reaction_counts(&this), "performed_via_github_app": null,
        "pull_request": { "url": format!("{api}/pulls/{}", pull.number), "html_url": html, "diff_url": format!("{html}.diff"),
                          "patch_url": format!("{html}.patch"), "merged_at": null },
    })
}

pub(crate) fn comment(state: &State, comment: &Comment) -> Value {
    let api = format!("{}/repos/{OWNER}/{NAME}/issues", state.api_url);
    let this = format!("{api}/comments/{}", comment.id);
    json!({
        "url": this, "html_url": format!("{SITE}/{OWNER}/{NAME}/pull/{}#issuecomment-{}", comment.pull, comment.id),
        "issue_url": format!("{api}/{}", comment.pull), "id": comment.id, "node_id": format!("IC_{}", comment.id),
        "user": user(state, &comment.author), "created_at": time(comment.created_at), "updated_at": time(comment.updated_at),
        "author_association": association(state, &comment.author), "body": comment.body, "reactions": reaction_counts(&this),
        "performed_via_github_app": comment.by_app.then(|| app(state)),
    })
}

pub(crate) fn reaction(state: &State, reaction: &Reaction) -> Value {
    json!({
        "id": reaction.id, "node_id": format!("RE_{}", reaction.id), "user": user(state, &reaction.author), "content": reaction.content,
        "created_at": time(state.now()),
    })
}

pub(crate) fn review(state: &State, review: &Review) -> Value {
    let html = format!(
        "{SITE}/{OWNER}/{NAME}/pull/{}#pullrequestreview-{}",
        review.pull, review.id
    );
    let pull = format!(
        "{}/repos/{OWNER}/{NAME}/pulls/{}",
        state.api_url, review.pull
    );
    json!({
        "id": review.id, "node_id": format!("PRR_{}", review.id), "user": user(state, &review.author), "body": "", "state": review.state,
        "commit_id": review.commit, "submitted_at": time(review.submitted_at), "html_url": html, "pull_request_url": pull,
        "author_association": association(state, &review.author), "_links": { "html": { "href": html }, "pull_request": { "href": pull } },
    })
}

pub(crate) fn check_run(state: &State, run: &CheckRun) -> Value {
    let this = format!(
        "{}/repos/{OWNER}/{NAME}/check-runs/{}",
        state.api_url, run.id
    );
    json!({
        "id": run.id, "node_id": format!("CR_{}", run.id), "head_sha": run.head_sha, "name": run.name, "url": this,
        "html_url": format!("{SITE}/{OWNER}/{NAME}/runs/{}", run.id), "details_url": run.details_url, "status": run.status,
        "conclusion": run.conclusion, "started_at": time(run.started_at), "completed_at": run.completed_at.map(time),
        "external_id": run.external_id, "check_suite": { "id": 1 }, "app": app(state), "pull_requests": [],
        "output": { "title": run.title, "summary": run.summary, "text": run.text, "annotations_count": 0,
                    "annotations_url": format!("{this}/annotations") },
    })
}

fn reaction_counts(url: &str) -> Value {
    json!({ "url": format!("{url}/reactions"), "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0, "confused": 0, "heart": 0,
            "rocket": 0, "eyes": 0 })
}

/// How GitHub calls someone's relation to the repository. No permission: someone who may only read can be a `MEMBER`.
fn association(state: &State, login: &str) -> &'static str {
    match state.user(login).role.as_str() {
        _ if login == BOT => "NONE",
        "admin" => "OWNER",
        "none" => "NONE",
        _ => "MEMBER",
    }
}
