//! The stand-in itself: what it sends is GitHub's, and what it must not let through it does not.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::post;
use secrecy::SecretString;
use siding::github::App;
use siding::github::Event;
use siding::github::PrNumber;
use siding::github::PullRequestAction;
use siding::github::verify;

use crate::fake_github::FakeGitHub;
use crate::fake_github::FakeOptions;
use crate::fake_github::NewPull;

/// A server that takes webhooks as ours does: genuine ones with 202, others with 401.
struct Hook {
    events: Arc<Mutex<Vec<(String, Event)>>>,
}

impl Hook {
    async fn listen(github: &FakeGitHub) -> Self {
        let events: Arc<Mutex<Vec<(String, Event)>>> = Arc::default();
        let (shared, secret) = (
            Arc::clone(&events),
            SecretString::from(github.hook_secret()),
        );
        let take = move |headers: HeaderMap, body: Bytes| async move {
            let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
            if !verify(&[secret], &body, header("x-hub-signature-256")) {
                return StatusCode::UNAUTHORIZED;
            }
            let event = Event::parse(header("x-github-event").unwrap(), &body).unwrap();
            shared
                .lock()
                .unwrap()
                .push((header("x-github-delivery").unwrap().to_owned(), event));
            StatusCode::ACCEPTED
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        github.set_hook_url(&format!(
            "http://{}/github/webhook",
            listener.local_addr().unwrap()
        ));
        tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/github/webhook", post(take))).await
        });
        Self { events }
    }

    fn events(&self) -> Vec<(String, Event)> {
        self.events.lock().unwrap().clone()
    }

    fn actions(&self) -> Vec<PullRequestAction> {
        let pulls = self
            .events()
            .into_iter()
            .filter_map(|(_, event)| match event {
                Event::PullRequest(event) => Some(event.action),
                Event::IssueComment(_)
                | Event::PullRequestReview(_)
                | Event::Installation(_)
                | Event::Ping
                | Event::Unknown(_) => None,
            });
        pulls.collect()
    }
}

fn github(directory: &tempfile::TempDir) -> FakeGitHub {
    FakeGitHub::start(FakeOptions::new(directory.path()))
}

#[tokio::test]
async fn everything_that_happens_to_a_pull_request_arrives_signed_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let github = github(&directory);
    let hook = Hook::listen(&github).await;
    let draft = NewPull {
        branch: "topic",
        title: "Change",
        author: "mallory",
        files: &[("a", Some("1"))],
        draft: true,
        from_fork: true,
    };
    let pr = github.open_pull_with(&draft).await;
    let head = github.push(pr, &[("a", Some("2"))]).await;
    github.mark_ready(pr).await;
    github.close(pr).await;
    github.reopen(pr).await;
    let comment = github.comment(pr, "grace", "/plan").await;
    github.edit_comment(comment, "grace", "/deploy").await;
    github.delete_comment(comment, "grace").await;
    github.review(pr, "grace", "approved").await;
    let merged = github.merge_as_human(pr, "ada").await;

    use PullRequestAction::*;
    assert_eq!(
        hook.actions(),
        [
            Opened,
            Synchronize,
            ReadyForReview,
            Closed,
            Reopened,
            Closed
        ]
    );
    let (_, last) = hook.events().pop().unwrap();
    let Event::PullRequest(last) = last else {
        panic!("the merge is last");
    };
    assert!(last.merged);
    assert_eq!(
        (last.merge_commit_sha, last.pull.head_sha),
        (Some(merged), head)
    );
    assert_eq!(
        (last.sender.login.as_str(), last.pull.user.login.as_str()),
        ("ada", "mallory")
    );
    assert_ne!(last.pull.head_repository_id, Some(github.repository_id()));
    assert_eq!(last.installation, Some(github.installation()));
    assert_eq!(hook.events().len(), 10);
    assert!(
        github
            .deliveries()
            .iter()
            .all(|delivery| delivery.status_code == 202)
    );
    github.assert_clean();
}

#[tokio::test]
async fn a_paused_event_is_lost_until_it_is_redelivered_under_the_same_guid() {
    let directory = tempfile::tempdir().unwrap();
    let github = github(&directory);
    let hook = Hook::listen(&github).await;
    github.pause_webhooks();
    github
        .open_pull("topic", "Change", "ada", &[("a", Some("1"))])
        .await;
    assert_eq!(hook.events().len(), 0);
    github.resume_webhooks();
    let lost = github.deliveries()[0].clone();
    let app = App::new(
        &github.api_url(),
        github.app_id(),
        &SecretString::from(github.private_key_pem()),
    )
    .unwrap();
    let start = chrono::DateTime::from_timestamp(0, 0).unwrap();
    let failed = app.failed_deliveries(start).await.unwrap();
    assert_eq!(
        failed
            .iter()
            .map(|delivery| &delivery.guid)
            .collect::<Vec<_>>(),
        [&lost.guid]
    );
    app.redeliver(failed[0].id).await.unwrap();
    github.settle().await;
    assert_eq!(app.failed_deliveries(start).await.unwrap(), []);
    github.redeliver(&lost.guid).await;

    let guids: Vec<String> = hook.events().into_iter().map(|(guid, _)| guid).collect();
    assert_eq!(guids, [lost.guid.clone(), lost.guid]);
    let attempts: Vec<(bool, u16)> = github
        .deliveries()
        .iter()
        .map(|attempt| (attempt.redelivery, attempt.status_code))
        .collect();
    assert_eq!(attempts, [(false, 502), (true, 202), (true, 202)]);
}

#[tokio::test]
async fn a_forged_delivery_is_sent_as_it_is_and_its_answer_told() {
    let directory = tempfile::tempdir().unwrap();
    let github = github(&directory);
    let hook = Hook::listen(&github).await;
    let headers = [
        ("x-github-event", "ping"),
        ("x-github-delivery", "1"),
        ("x-hub-signature-256", "sha256=00"),
    ];
    assert_eq!(github.deliver_raw(&headers, b"{}").await, 401);
    assert_eq!(hook.events().len(), 0);

    let signature = github.sign(b"{}");
    let headers = [
        headers[0],
        headers[1],
        ("x-hub-signature-256", signature.as_str()),
    ];
    assert_eq!(github.deliver_raw(&headers, b"{}").await, 202);
    assert_eq!(hook.events(), [("1".to_owned(), Event::Ping)]);
}

#[tokio::test]
async fn a_call_that_siding_may_not_make_is_a_violation() {
    let directory = tempfile::tempdir().unwrap();
    let github = github(&directory);
    let call = async |method: &str, path: &str, version: bool, body: &str| {
        let method = method.parse().unwrap();
        let mut request =
            reqwest::Client::new().request(method, format!("{}{path}", github.api_url()));
        request = request
            .header("user-agent", "test")
            .header("content-type", "application/json");
        if version {
            request = request.header("x-github-api-version", "2022-11-28");
        }
        request
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let repository = "/repos/acme/warehouse";
    let cases = [
        (
            call("DELETE", repository, true, "").await,
            501,
            "not among the operations",
        ),
        (
            call("GET", &format!("{repository}/pulls?stat=open"), true, "").await,
            501,
            "unknown query parameter `stat`",
        ),
        (
            call("GET", &format!("{repository}/pulls/one"), true, "").await,
            422,
            "path parameter `pull_number`",
        ),
        (
            call("GET", &format!("{repository}/pulls"), false, "").await,
            422,
            "no `x-github-api-version",
        ),
        (
            call(
                "POST",
                &format!("{repository}/issues/1/comments"),
                true,
                r#"{"text": ""}"#,
            )
            .await,
            501,
            "/text",
        ),
        (
            call(
                "PUT",
                &format!("{repository}/pulls/1/merge"),
                true,
                r#"{"merge_method": "sqash"}"#,
            )
            .await,
            422,
            "sqash",
        ),
    ];
    let violations = github.take_violations();
    assert_eq!(violations.len(), cases.len());
    for ((status, expected, word), violation) in cases.into_iter().zip(violations) {
        assert_eq!(status, expected, "{violation}");
        assert!(violation.contains(word), "{violation}");
    }
}

#[tokio::test]
async fn without_a_good_token_or_jwt_there_is_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let github = github(&directory);
    let ask = async |path: &str, credential: Option<&str>| {
        let mut request = reqwest::Client::new().get(format!("{}{path}", github.api_url()));
        request = request
            .header("user-agent", "test")
            .header("x-github-api-version", "2022-11-28");
        if let Some(credential) = credential {
            request = request.header("authorization", format!("Bearer {credential}"));
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("/repos/acme/warehouse/pulls", None).await, 401);
    assert_eq!(
        ask("/repos/acme/warehouse/pulls", Some("ghs_guessed")).await,
        401
    );
    assert_eq!(ask("/app/hook/deliveries", Some("ghs_guessed")).await, 401);
    let expired = jwt(-60, 4242);
    let too_long = jwt(20 * 60, 4242);
    let of_another = jwt(5 * 60, 1);
    for credential in [expired, too_long, of_another] {
        assert_eq!(ask("/app/hook/deliveries", Some(&credential)).await, 401);
    }
    assert_eq!(
        ask("/app/hook/deliveries", Some(&jwt(5 * 60, 4242))).await,
        200
    );
}

fn jwt(seconds_ahead: i64, issuer: u64) -> String {
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let claims = serde_json::json!({ "iat": now - 600, "exp": now + seconds_ahead, "iss": issuer });
    let key = include_bytes!("../../fixtures/github/test-app-key.pem");
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(key).unwrap();
    jsonwebtoken::encode(
        &jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256),
        &claims,
        &key,
    )
    .unwrap()
}

#[tokio::test]
async fn the_test_merge_can_be_fetched_by_its_name_from_a_project_that_was_copied_in() {
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path().join("project");
    std::fs::create_dir_all(project.join("models")).unwrap();
    std::fs::write(project.join("config.yaml"), "project: shop\n").unwrap();
    let mut options = FakeOptions::new(directory.path().join("github"));
    options.project = Some(project);
    let github = FakeGitHub::start(options);
    assert_eq!(
        github.file_on_main("config.yaml").as_deref(),
        Some("project: shop\n")
    );
    let pr = github
        .open_pull(
            "topic",
            "Change",
            "ada",
            &[("models/a.sql", Some("select 1"))],
        )
        .await;
    let commit = github.pull(pr).test_merge.unwrap();

    let mirror = directory.path().join("mirror.git");
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .arg("--git-dir")
            .arg(&mirror)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet", "--bare"]);
    git(&[
        "fetch",
        "--quiet",
        "--depth=1",
        &github.clone_url(),
        &commit,
    ]);
    assert_eq!(
        git(&["show", &format!("{commit}:models/a.sql")]),
        "select 1"
    );
    assert_eq!(pr, PrNumber(1));
}
