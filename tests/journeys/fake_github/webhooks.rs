//! Webhooks: made from what happened, checked, signed and brought by a postman in order.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use hmac::Hmac;
use hmac::Mac;
use serde_json::Value;
use serde_json::json;
use sha2::Sha256;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::fake_github::lock;
use crate::fake_github::schema;
use crate::fake_github::shapes;
use crate::fake_github::state::APP_ID;
use crate::fake_github::state::Attempt;
use crate::fake_github::state::Post;
use crate::fake_github::state::State;

/// GitHub waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl State {
    /// Tells our server about a pull request. `more` holds the event's own fields.
    pub(crate) fn emit_pull(&mut self, number: u64, action: &str, sender: &str, more: &Value) {
        let mut body = json!({ "action": action, "number": number, "pull_request": shapes::pull(self, self.pull(number)) });
        merge(&mut body, more);
        self.emit("pull_request", Some(action), sender, body);
    }

    /// Tells our server about a comment.
    pub(crate) fn emit_comment(&mut self, id: u64, action: &str, sender: &str, more: &Value) {
        let comment = self.comments.get(&id).expect("the comment exists").clone();
        let mut body = json!({ "action": action, "issue": shapes::issue(self, self.pull(comment.pull)), "comment": shapes::comment(self, &comment) });
        merge(&mut body, more);
        self.emit("issue_comment", Some(action), sender, body);
    }

    /// Tells our server about a review.
    pub(crate) fn emit_review(&mut self, id: u64, action: &str, sender: &str) {
        let review = self.reviews.get(&id).expect("the review exists").clone();
        let pull_request = shapes::pull(self, self.pull(review.pull));
        let body = json!({ "action": action, "review": shapes::review(self, &review), "pull_request": pull_request });
        self.emit("pull_request_review", Some(action), sender, body);
    }

    fn emit(&mut self, event: &str, action: Option<&str>, sender: &str, mut body: Value) {
        body["repository"] = shapes::repository(self);
        body["installation"] = shapes::installation();
        body["sender"] = shapes::user(self, sender);
        let Some(schema) = schema::webhooks().webhook_schema(event, action) else {
            self.violation(format!("GitHub has no webhook {event} {action:?}"));
            return;
        };
        let body = schema::webhooks().pruned(schema, body);
        let faults = schema::webhooks().faults(schema, &body, "body");
        if !faults.is_empty() {
            self.violation(format!(
                "the stand-in's webhook {event} {action:?}: {}",
                faults.join("; ")
            ));
            return;
        }

        let id = self.next_id();
        let attempt = Attempt {
            id,
            guid: guid(id),
            event: event.to_owned(),
            action: action.map(str::to_owned),
            body: body.to_string(),
            delivered_at: self.now(),
            redelivery: false,
            status_code: 0,
            status: "pending".to_owned(),
        };
        self.post(attempt);
    }

    /// Sends an event again under its GUID; answers whether GitHub still has it.
    pub(crate) fn resend(&mut self, same_event: impl Fn(&Attempt) -> bool) -> bool {
        let Some(attempt) = self
            .attempts
            .values()
            .rev()
            .find(|attempt| same_event(attempt))
            .cloned()
        else {
            return false;
        };
        let id = self.next_id();
        let attempt = Attempt {
            id,
            delivered_at: self.now(),
            redelivery: true,
            ..attempt
        };
        self.post(attempt);
        true
    }

    fn post(&mut self, mut attempt: Attempt) {
        let id = attempt.id;
        let lost = self.paused || self.hook_url.is_none();
        if lost {
            attempt.status_code = 502;
            attempt.status = "failed to connect to host".to_owned();
        }
        self.attempts.insert(id, attempt);
        // Without a postman the stand-in is being dropped.
        if !lost {
            let _ = self.postbox.send(Post::Deliver(id));
        }
    }
}

/// Brings what is in the postbox, one after the other, until the stand-in is gone.
pub(crate) async fn postman(state: Arc<Mutex<State>>, mut postbox: UnboundedReceiver<Post>) {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .expect("an HTTP client without TLS");
    while let Some(post) = postbox.recv().await {
        match post {
            Post::Deliver(id) => deliver(&client, &state, id).await,
            Post::Tell(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }
}

async fn deliver(client: &reqwest::Client, state: &Mutex<State>, id: u64) {
    let (attempt, url, secret) = {
        let state = lock(state);
        let attempt = state.attempts[&id].clone();
        (
            attempt,
            state
                .hook_url
                .clone()
                .expect("only known addresses are delivered to"),
            state.hook_secret.clone(),
        )
    };
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header("user-agent", "GitHub-Hookshot/5177a2f")
        .header("x-github-event", &attempt.event)
        .header("x-github-delivery", &attempt.guid)
        .header("x-github-hook-id", "7")
        .header("x-github-hook-installation-target-id", APP_ID.to_string())
        .header("x-github-hook-installation-target-type", "integration")
        .header(
            "x-hub-signature-256",
            signature(&secret, attempt.body.as_bytes()),
        )
        .body(attempt.body);
    let (status_code, status) = match request.send().await {
        Ok(answer) if answer.status().is_success() => (answer.status().as_u16(), "OK".to_owned()),
        Ok(answer) => (
            answer.status().as_u16(),
            format!("Invalid HTTP Response: {}", answer.status().as_u16()),
        ),
        Err(error) if error.is_timeout() => (504, "timed out".to_owned()),
        Err(_) => (502, "failed to connect to host".to_owned()),
    };
    if let Some(attempt) = lock(state).attempts.get_mut(&id) {
        attempt.status_code = status_code;
        attempt.status = status;
    }
}

/// `X-Hub-Signature-256`, written here again so that the stand-in does not believe the code that it tests.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn guid(id: u64) -> String {
    format!("{id:08x}-0000-11f0-8000-00000000a11a")
}

fn merge(into: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}
