//! Where GitHub's events come in: checked, written down, answered.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::routing::post;
use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::bot::context::Shared;
use crate::bot::job::JobKind;
use crate::bot::markdown::one_line;
use crate::bot::store::Delivery;
use crate::bot::store::PullKey;
use crate::bot::store::Received;
use crate::github::AccountKind;
use crate::github::CommentAction;
use crate::github::Event;
use crate::github::EventPull;
use crate::github::InstallationAction;
use crate::github::InstallationId;
use crate::github::PullRequestAction;
use crate::github::RepositoryRef;
use crate::github::ReviewAction;
use crate::github::verify;

/// GitHub sends no larger body.
const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

/// Longest name of an event or a delivery that GitHub gives.
const MAX_NAME_BYTES: usize = 100;

#[derive(Clone)]
struct Door {
    shared: Arc<Shared>,
    wake: Arc<Notify>,
}

/// `POST /github/webhook` and `GET /healthz`. `wake` is told of each new job.
pub(crate) fn router(shared: Arc<Shared>, wake: Arc<Notify>) -> Router {
    Router::new()
        .route("/github/webhook", post(webhook))
        .route("/healthz", get(healthz))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Door { shared, wake })
}

async fn healthz(State(door): State<Door>) -> (StatusCode, &'static str) {
    match door.shared.store.next_run().await {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database cannot be read\n",
        ),
    }
}

/// 401 not GitHub's, 413 too large, 415 not JSON, 400 not readable, 204 no use for it, 202 written down.
async fn webhook(
    State(door): State<Door>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !verify(
        &door.shared.options.webhook_secrets,
        &body,
        header("x-hub-signature-256"),
    ) {
        return (
            StatusCode::UNAUTHORIZED,
            "the signature is missing or wrong\n",
        );
    }
    if !header(CONTENT_TYPE.as_str()).is_some_and(is_json) {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is not JSON\n");
    }
    let name = |name| header(name).filter(|text| !text.is_empty() && text.len() <= MAX_NAME_BYTES);
    let (Some(event), Some(guid)) = (name("x-github-event"), name("x-github-delivery")) else {
        return (StatusCode::BAD_REQUEST, "a header is missing\n");
    };
    let now = door.shared.now();
    let (received, answer) = match Event::parse(event, &body) {
        Ok(Event::Ping | Event::Unknown(_)) => return (StatusCode::NO_CONTENT, ""),
        Ok(parsed) => (receive(&parsed), (StatusCode::ACCEPTED, "written down\n")),
        Err(error) => (
            Received {
                error: Some(one_line(&error.to_string())),
                ..Received::default()
            },
            (StatusCode::BAD_REQUEST, "the body cannot be read\n"),
        ),
    };
    match write_down(&door, event, guid, &body, &received, now).await {
        Ok(()) => answer,
        Err(error) => {
            tracing::error!(%error, "a delivery could not be written down");
            (StatusCode::SERVICE_UNAVAILABLE, "try again later\n")
        }
    }
}

async fn write_down(
    door: &Door,
    event: &str,
    guid: &str,
    body: &[u8],
    received: &Received,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let action = action(body);
    let delivery = Delivery {
        guid,
        event,
        action: &action,
        body,
    };
    if door.shared.store.record(&delivery, received, now).await? && received.job.is_some() {
        door.wake.notify_one();
    }
    Ok(())
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The body's `action`, for the record; empty when it has none.
fn action(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        action: String,
    }
    serde_json::from_slice::<Body>(body)
        .map_or_else(|_| String::new(), |body| one_line(&body.action))
}

/// What an event asks for. The payload is only a hint: whatever is done reads GitHub again.
fn receive(event: &Event) -> Received {
    match event {
        Event::PullRequest(event) => {
            let mut received = about(&event.repository, event.installation);
            let key = key(&event.repository, &event.pull);
            let job = match event.action {
                PullRequestAction::Opened
                | PullRequestAction::Synchronize
                | PullRequestAction::Reopened
                | PullRequestAction::ReadyForReview
                // Another base branch has another policy and other models.
                | PullRequestAction::Edited => Some(JobKind::Prepare {
                    head: event.pull.head_sha.clone(),
                    again: false,
                }),
                PullRequestAction::Closed => Some(JobKind::Closed),
                PullRequestAction::ConvertedToDraft => Some(JobKind::Gate),
                PullRequestAction::Other => None,
            };
            if received.repository.is_some() {
                received.head = Some((
                    key,
                    event.pull.head_sha.clone(),
                    event.pull.base_ref.clone(),
                ));
                received.job = job.map(|job| (key, job));
            }
            received
        }
        Event::IssueComment(event) => {
            let mut received = about(&event.repository, event.installation);
            // Only what is new gives orders, and no program does: not even this one.
            let is_order = event.action == CommentAction::Created
                && event.on_pull_request
                && event.comment.user.kind == AccountKind::User
                && event.sender.id == event.comment.user.id
                && event.comment.body.contains('/');
            if is_order && received.repository.is_some() {
                let key = PullKey {
                    repository: event.repository.id,
                    number: event.number,
                };
                received.job = Some((
                    key,
                    JobKind::Comment {
                        comment: event.comment.id,
                        author: event.comment.user.clone(),
                        body: event.comment.body.clone(),
                        head: None,
                    },
                ));
            }
            received
        }
        Event::PullRequestReview(event) => {
            let mut received = about(&event.repository, event.installation);
            let changes_gate = matches!(
                event.action,
                ReviewAction::Submitted | ReviewAction::Dismissed
            );
            if changes_gate && received.repository.is_some() {
                received.job = Some((key(&event.repository, &event.pull), JobKind::Gate));
            }
            received
        }
        Event::Installation(event) => {
            let active = match event.action {
                InstallationAction::Deleted | InstallationAction::Suspend => Some(false),
                InstallationAction::Created
                | InstallationAction::Unsuspend
                | InstallationAction::NewPermissionsAccepted => Some(true),
                InstallationAction::Other => None,
            };
            Received {
                active: active.map(|active| (event.installation, active)),
                ..Received::default()
            }
        }
        Event::Ping | Event::Unknown(_) => Received::default(),
    }
}

fn about(repository: &RepositoryRef, installation: Option<InstallationId>) -> Received {
    match installation {
        Some(installation) => Received {
            repository: Some((repository.clone(), installation)),
            ..Received::default()
        },
        None => Received {
            error: Some("the webhook is not the app's: it names no installation".to_owned()),
            ..Received::default()
        },
    }
}

fn key(repository: &RepositoryRef, pull: &EventPull) -> PullKey {
    PullKey {
        repository: repository.id,
        number: pull.number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_json_with_and_without_a_charset() {
        assert!(is_json("application/json"));
        assert!(is_json("Application/JSON; charset=utf-8"));
        assert!(!is_json("application/x-www-form-urlencoded"));
    }
}
