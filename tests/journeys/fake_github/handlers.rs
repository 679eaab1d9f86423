//! What each REST operation does.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::fake_github::git::Author;
use crate::fake_github::server::Answer;
use crate::fake_github::shapes;
use crate::fake_github::state::APP_ID;
use crate::fake_github::state::BOT;
use crate::fake_github::state::CheckRun;
use crate::fake_github::state::Comment;
use crate::fake_github::state::INSTALLATION_ID;
use crate::fake_github::state::OWNER;
use crate::fake_github::state::REPOSITORY_ID;
use crate::fake_github::state::Reaction;
use crate::fake_github::state::State;

/// GitHub refuses longer comments; its schema does not say so.
const COMMENT_CHARS: usize = 65_536;

/// A request, taken apart.
pub(crate) struct Asked<'a> {
    path: &'a BTreeMap<String, String>,
    query: &'a [(String, String)],
    body: Value,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(
        path: &'a BTreeMap<String, String>,
        query: &'a [(String, String)],
        body: Value,
    ) -> Self {
        Self { path, query, body }
    }

    fn text(&self, name: &str) -> &str {
        &self.path[name]
    }

    fn number(&self, name: &str) -> u64 {
        self.path[name]
            .parse()
            .expect("the schema asks for an integer")
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn body_text(&self, name: &str) -> Option<String> {
        self.body[name].as_str().map(str::to_owned)
    }
}

/// The permission that a token needs for an operation of a repository, and at which level.
///
/// Source: GitHub, "Permissions required for GitHub Apps".
pub(crate) fn needed(operation: &str) -> (&'static str, &'static str) {
    match operation {
        "pulls/merge" => ("contents", "write"),
        "pulls/list" | "pulls/get" | "pulls/list-reviews" => ("pull_requests", "read"),
        "issues/list-comments" | "issues/get-comment" => ("issues", "read"),
        "issues/create-comment"
        | "issues/update-comment"
        | "reactions/create-for-issue-comment" => ("issues", "write"),
        "checks/create" | "checks/update" => ("checks", "write"),
        "checks/list-for-ref" => ("checks", "read"),
        "repos/get-collaborator-permission-level" => ("metadata", "read"),
        other => panic!("{other} was vendored, but the stand-in does not know its permission"),
    }
}

/// Rules that GitHub applies and its schema does not state.
pub(crate) fn faults_by_hand(
    state: &State,
    operation: &str,
    path: &BTreeMap<String, String>,
    body: &Value,
) -> Vec<String> {
    let mut faults = Vec::new();
    match operation {
        "issues/create-comment" | "issues/update-comment" => {
            let length = body["body"].as_str().unwrap_or_default().chars().count();
            if length == 0 || length > COMMENT_CHARS {
                faults.push(format!("a comment of {length} characters"));
            }
        }
        "checks/create" | "checks/update" => {
            let completed = body["status"] == "completed";
            if completed != body["conclusion"].is_string() {
                faults.push("`completed` and a conclusion belong together".to_owned());
            }
            let was = path
                .get("check_run_id")
                .and_then(|id| state.check_runs.get(&id.parse().ok()?));
            if was.is_some_and(|run| run.status == "completed") && !completed {
                faults.push(
                    "a completed check run is taken back; create a new one of the same name"
                        .to_owned(),
                );
            }
            let title = body["output"]["title"].as_str();
            if title.is_some_and(|title| title.is_empty() || title.chars().count() > 255) {
                faults.push("a title that is empty or longer than 255 characters".to_owned());
            }
        }
        _ => {}
    }
    faults
}

/// Does what was asked.
pub(crate) fn handle(state: &mut State, operation: &str, asked: &Asked<'_>) -> Answer {
    match operation {
        "apps/create-installation-access-token" => create_token(state, asked),
        "apps/list-webhook-deliveries" => list_deliveries(state, asked),
        "apps/redeliver-webhook-delivery" => redeliver(state, asked),
        "pulls/list" => list_pulls(state, asked),
        "pulls/get" => get_pull(state, asked),
        "pulls/merge" => merge(state, asked),
        "pulls/list-reviews" => list_reviews(state, asked),
        "issues/list-comments" => list_comments(state, asked),
        "issues/create-comment" => create_comment(state, asked),
        "issues/get-comment" => get_comment(state, asked),
        "issues/update-comment" => update_comment(state, asked),
        "reactions/create-for-issue-comment" => react(state, asked),
        "repos/get-collaborator-permission-level" => permission(state, asked),
        "checks/create" => create_check_run(state, asked),
        "checks/update" => update_check_run(state, asked),
        "checks/list-for-ref" => list_check_runs(state, asked),
        other => panic!("{other} was vendored, but the stand-in cannot do it"),
    }
}

fn not_found() -> Answer {
    Answer::refusal(404, "Not Found")
}

fn create_token(state: &mut State, asked: &Asked<'_>) -> Answer {
    if asked.number("installation_id") != INSTALLATION_ID {
        return not_found();
    }
    let repositories: Vec<u64> = match asked.body["repository_ids"].as_array() {
        Some(ids) => ids.iter().filter_map(Value::as_u64).collect(),
        None => vec![REPOSITORY_ID],
    };
    if repositories.iter().any(|id| *id != REPOSITORY_ID) {
        return Answer::refusal(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        );
    }
    let mut permissions = state.granted.clone();
    if let Some(wanted) = asked.body["permissions"].as_object() {
        permissions = wanted
            .iter()
            .map(|(name, level)| (name.clone(), level.as_str().unwrap_or_default().to_owned()))
            .collect();
        let granted = |name: &str, level: &str| {
            state
                .granted
                .get(name)
                .is_some_and(|granted| granted == "write" || level == "read")
        };
        if !permissions.iter().all(|(name, level)| granted(name, level)) {
            return Answer::refusal(
                422,
                "The permissions requested are not granted to this installation.",
            );
        }
    }
    let (token, expires_at) = state.issue_token(repositories, permissions.clone());
    Answer::new(
        201,
        json!({
            "token": token, "expires_at": shapes::time(expires_at), "permissions": permissions, "repository_selection": "selected",
        }),
    )
}

fn list_deliveries(state: &State, asked: &Asked<'_>) -> Answer {
    let before: u64 = match asked
        .query("cursor")
        .map(|cursor| cursor.trim_start_matches("v1_").parse())
    {
        None => u64::MAX,
        Some(Ok(id)) => id,
        Some(Err(_)) => return Answer::refusal(422, "Invalid cursor"),
    };
    let per_page = per_page(state, asked);
    let page: Vec<_> = state
        .attempts
        .range(..before)
        .rev()
        .take(per_page)
        .map(|(_, attempt)| attempt)
        .collect();
    let items = page.iter().map(|attempt| {
        json!({
            "id": attempt.id, "guid": attempt.guid, "delivered_at": shapes::time(attempt.delivered_at), "redelivery": attempt.redelivery,
            "duration": 0.01, "status": attempt.status, "status_code": attempt.status_code, "event": attempt.event,
            "action": attempt.action, "installation_id": INSTALLATION_ID, "repository_id": REPOSITORY_ID,
        })
    });
    let mut answer = Answer::new(200, items.collect());
    let last = page.last().map(|attempt| attempt.id);
    if let Some(last) = last.filter(|last| state.attempts.range(..last).next().is_some()) {
        let next = format!(
            "{}/app/hook/deliveries?per_page={per_page}&cursor=v1_{last}",
            state.api_url
        );
        answer
            .headers
            .push(("link", format!("<{next}>; rel=\"next\"")));
    }
    answer
}

fn redeliver(state: &mut State, asked: &Asked<'_>) -> Answer {
    let id = asked.number("delivery_id");
    if state.resend(|attempt| attempt.id == id) {
        return Answer::new(202, json!({}));
    }
    not_found()
}

fn list_pulls(state: &State, asked: &Asked<'_>) -> Answer {
    let wanted = asked.query("state").unwrap_or("open");
    let pulls = state
        .pulls
        .values()
        .rev()
        .filter(|pull| wanted == "all" || pull.open == (wanted == "open"));
    let pulls = pulls.map(|pull| shapes::pull(state, pull)).collect();
    page(state, asked, "pulls", pulls)
}

fn get_pull(state: &mut State, asked: &Asked<'_>) -> Answer {
    let number = asked.number("pull_number");
    let Some(pull) = state.pulls.get(&number) else {
        return not_found();
    };
    let answer = Answer::new(200, shapes::pull(state, pull));
    // Asking is what makes GitHub compute it; the next one who asks is told.
    let pull = state.pulls.get_mut(&number).expect("found above");
    pull.mergeable = Some(pull.test_merge.is_some());
    answer
}

fn merge(state: &mut State, asked: &Asked<'_>) -> Answer {
    let number = asked.number("pull_number");
    if !state.pulls.contains_key(&number) {
        return not_found();
    }
    let method = asked.body["merge_method"]
        .as_str()
        .unwrap_or("merge")
        .to_owned();
    match merge_pull(state, number, &method, BOT, asked.body["sha"].as_str()) {
        Ok(sha) => Answer::new(
            200,
            json!({ "sha": sha, "merged": true, "message": "Pull Request successfully merged" }),
        ),
        Err(answer) => answer,
    }
}

/// Merges into the real `main` and tells everyone.
pub(crate) fn merge_pull(
    state: &mut State,
    number: u64,
    method: &str,
    by: &str,
    head: Option<&str>,
) -> Result<String, Answer> {
    let pull = state.pull(number).clone();
    let refused = |message: &str| Err(Answer::refusal(405, message));
    if !pull.open {
        return refused("Pull Request is not mergeable");
    }
    if pull.draft {
        return refused("Pull Request is still a draft");
    }
    if let Some(rule) = &state.blocked {
        return refused(rule);
    }
    if head.is_some_and(|head| head != pull.head) {
        return Err(Answer::refusal(
            409,
            "Head branch was modified. Review and try the merge again.",
        ));
    }
    let main = state.git.main();
    let email = format!("{by}@users.github.example");
    let author = Author {
        name: by,
        email: &email,
    };
    let title = format!("{} (#{number})", pull.title);
    let merged = match method {
        "squash" => state.git.squash(&main, &pull.head, &title, &author),
        "rebase" => state.git.rebase(&main, &pull.head),
        _ => state.git.merge(
            &main,
            &pull.head,
            &format!("Merge pull request #{number} from {OWNER}/{}", pull.branch),
            &author,
        ),
    };
    let Some(merged) = merged else {
        return refused("Merge conflict");
    };

    state.git.set_ref("refs/heads/main", &merged);
    state.merges += 1;
    let now = state.now();
    let pull = state.pull_mut(number);
    pull.open = false;
    pull.closed_at = Some(now);
    pull.merge_commit = Some(merged.clone());
    pull.merged_by = Some(by.to_owned());
    state.main_moved();
    state.emit_pull(number, "closed", by, &Value::Null);
    Ok(merged)
}

fn list_reviews(state: &State, asked: &Asked<'_>) -> Answer {
    let number = asked.number("pull_number");
    if !state.pulls.contains_key(&number) {
        return not_found();
    }
    let reviews = state
        .reviews
        .values()
        .filter(|review| review.pull == number)
        .map(|review| {
            let mut review = shapes::review(state, review);
            // Upper case here, lower case in webhooks.
            review["state"] = json!(review["state"].as_str().unwrap_or_default().to_uppercase());
            review
        });
    page(
        state,
        asked,
        &format!("pulls/{number}/reviews"),
        reviews.collect(),
    )
}

fn list_comments(state: &State, asked: &Asked<'_>) -> Answer {
    let number = asked.number("issue_number");
    if !state.pulls.contains_key(&number) {
        return not_found();
    }
    let comments = state
        .comments
        .values()
        .filter(|comment| comment.pull == number);
    let comments = comments
        .map(|comment| shapes::comment(state, comment))
        .collect();
    page(state, asked, &format!("issues/{number}/comments"), comments)
}

fn create_comment(state: &mut State, asked: &Asked<'_>) -> Answer {
    let number = asked.number("issue_number");
    if !state.pulls.contains_key(&number) {
        return not_found();
    }
    let id = add_comment(
        state,
        number,
        BOT,
        &asked.body_text("body").unwrap_or_default(),
    );
    Answer::new(201, shapes::comment(state, &state.comments[&id]))
}

/// Writes a comment and tells everyone.
pub(crate) fn add_comment(state: &mut State, number: u64, author: &str, body: &str) -> u64 {
    let (id, now) = (state.next_id(), state.now());
    state.comments.insert(
        id,
        Comment {
            id,
            pull: number,
            author: author.to_owned(),
            body: body.to_owned(),
            by_app: author == BOT,
            created_at: now,
            updated_at: now,
        },
    );
    state.emit_comment(id, "created", author, &Value::Null);
    id
}

fn get_comment(state: &State, asked: &Asked<'_>) -> Answer {
    match state.comments.get(&asked.number("comment_id")) {
        Some(comment) => Answer::new(200, shapes::comment(state, comment)),
        None => not_found(),
    }
}

fn update_comment(state: &mut State, asked: &Asked<'_>) -> Answer {
    let id = asked.number("comment_id");
    if !state.comments.contains_key(&id) {
        return not_found();
    }
    edit_comment(state, id, BOT, &asked.body_text("body").unwrap_or_default());
    Answer::new(200, shapes::comment(state, &state.comments[&id]))
}

/// Changes a comment and tells everyone.
pub(crate) fn edit_comment(state: &mut State, id: u64, editor: &str, body: &str) {
    let now = state.now();
    let comment = state
        .comments
        .get_mut(&id)
        .unwrap_or_else(|| panic!("there is no comment {id}"));
    let before = std::mem::replace(&mut comment.body, body.to_owned());
    comment.updated_at = now;
    state.emit_comment(
        id,
        "edited",
        editor,
        &json!({ "changes": { "body": { "from": before } } }),
    );
}

fn react(state: &mut State, asked: &Asked<'_>) -> Answer {
    let comment = asked.number("comment_id");
    if !state.comments.contains_key(&comment) {
        return not_found();
    }
    let content = asked.body_text("content").expect("the schema asks for it");
    let same = |reaction: &&Reaction| {
        (
            reaction.comment,
            reaction.author.as_str(),
            &reaction.content,
        ) == (comment, BOT, &content)
    };
    if let Some(reaction) = state.reactions.iter().find(same) {
        return Answer::new(200, shapes::reaction(state, reaction));
    }
    let reaction = Reaction {
        id: state.next_id(),
        comment,
        author: BOT.to_owned(),
        content,
    };
    state.reactions.push(reaction.clone());
    Answer::new(201, shapes::reaction(state, &reaction))
}

fn permission(state: &State, asked: &Asked<'_>) -> Answer {
    let login = asked.text("username");
    let Some(user) = state.users.get(login) else {
        return not_found();
    };
    // Only four levels are old enough for `permission`.
    let permission = match user.role.as_str() {
        "maintain" => "write",
        "triage" => "read",
        role => role,
    };
    let mut account = shapes::user(state, login);
    account["role_name"] = json!(user.role);
    account["permissions"] = json!({
        "admin": user.role == "admin", "maintain": matches!(user.role.as_str(), "admin" | "maintain"), "push": permission != "read" && permission != "none",
        "triage": permission != "none" && user.role != "read", "pull": permission != "none",
    });
    Answer::new(
        200,
        json!({ "permission": permission, "role_name": user.role, "user": account }),
    )
}

fn create_check_run(state: &mut State, asked: &Asked<'_>) -> Answer {
    let head_sha = asked.body_text("head_sha").expect("the schema asks for it");
    if state.git.head(&head_sha).is_none() {
        return Answer::refusal(422, &format!("No commit found for SHA: {head_sha}"));
    }
    let (id, now) = (state.next_id(), state.now());
    let mut run = CheckRun {
        id,
        name: asked.body_text("name").expect("the schema asks for it"),
        head_sha,
        external_id: None,
        status: "queued".to_owned(),
        conclusion: None,
        title: None,
        summary: None,
        text: None,
        details_url: None,
        started_at: now,
        completed_at: None,
    };
    fill_check_run(&mut run, asked, now);
    let answer = Answer::new(201, shapes::check_run(state, &run));
    state.check_runs.insert(id, run);
    answer
}

fn update_check_run(state: &mut State, asked: &Asked<'_>) -> Answer {
    let id = asked.number("check_run_id");
    let now = state.now();
    let Some(mut run) = state.check_runs.get(&id).cloned() else {
        return not_found();
    };
    fill_check_run(&mut run, asked, now);
    let answer = Answer::new(200, shapes::check_run(state, &run));
    state.check_runs.insert(id, run);
    answer
}

fn fill_check_run(run: &mut CheckRun, asked: &Asked<'_>, now: chrono::DateTime<chrono::Utc>) {
    let text = |name: &str| asked.body_text(name);
    let output = |name: &str| asked.body["output"][name].as_str().map(str::to_owned);
    run.name = text("name").unwrap_or_else(|| run.name.clone());
    run.status = text("status").unwrap_or_else(|| run.status.clone());
    run.external_id = text("external_id").or_else(|| run.external_id.take());
    run.details_url = text("details_url").or_else(|| run.details_url.take());
    run.conclusion = text("conclusion");
    run.completed_at = run.conclusion.as_ref().map(|_| now);
    run.title = output("title").or_else(|| run.title.take());
    run.summary = output("summary").or_else(|| run.summary.take());
    run.text = output("text").or_else(|| run.text.take());
}

fn list_check_runs(state: &State, asked: &Asked<'_>) -> Answer {
    let reference = asked.text("ref");
    let Some(commit) = state.git.head(reference) else {
        return Answer::refusal(422, &format!("No commit found for SHA: {reference}"));
    };
    let app = asked
        .query("app_id")
        .is_none_or(|id| id == APP_ID.to_string());
    let name = asked.query("check_name");
    let mut runs: Vec<&CheckRun> = state
        .check_runs
        .values()
        .rev()
        .filter(|run| app && run.head_sha == commit && name.is_none_or(|name| run.name == name))
        .collect();
    if asked.query("filter").unwrap_or("latest") == "latest" {
        let mut seen = Vec::new();
        runs.retain(|run| {
            let newest = !seen.contains(&run.name);
            seen.push(run.name.clone());
            newest
        });
    }
    let total = runs.len();
    let runs = runs
        .into_iter()
        .map(|run| shapes::check_run(state, run))
        .collect();
    let mut answer = page(
        state,
        asked,
        &format!("commits/{reference}/check-runs"),
        runs,
    );
    answer.body = json!({ "total_count": total, "check_runs": answer.body });
    answer
}

fn per_page(state: &State, asked: &Asked<'_>) -> usize {
    asked
        .query("per_page")
        .and_then(|size| size.parse().ok())
        .unwrap_or(30)
        .clamp(1, state.page_size)
}

/// The page that was asked for, with the link to the next one as GitHub writes it: by the repository's number.
fn page(state: &State, asked: &Asked<'_>, list: &str, items: Vec<Value>) -> Answer {
    let size = per_page(state, asked);
    let page: usize = asked
        .query("page")
        .and_then(|page| page.parse().ok())
        .unwrap_or(1)
        .max(1);
    let more = items.len() > page * size;
    let items: Vec<Value> = items
        .into_iter()
        .skip((page - 1) * size)
        .take(size)
        .collect();
    let mut answer = Answer::new(200, Value::Array(items));
    if more {
        let url = format!(
            "{}/repositories/{REPOSITORY_ID}/{list}?per_page={size}&page={}",
            state.api_url,
            page + 1
        );
        answer
            .headers
            .push(("link", format!("<{url}>; rel=\"next\"")));
    }
    answer
}
