//! The HTTP side: every request is logged, matched, checked and authorised before it is handled, and every answer is
//! checked before it is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use serde_json::Value;
use serde_json::json;

use crate::fake_github::handlers;
use crate::fake_github::handlers::Asked;
use crate::fake_github::lock;
use crate::fake_github::schema;
use crate::fake_github::schema::Operation;
use crate::fake_github::schema::percent_decoded;
use crate::fake_github::state;
use crate::fake_github::state::APP_ID;
use crate::fake_github::state::REPOSITORY_ID;
use crate::fake_github::state::State;

const API_VERSION: &str = "2022-11-28";
const PUBLIC_KEY: &[u8] = include_bytes!("../../../fixtures/github/test-app-key.pub.pem");

/// What GitHub answers.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }

    /// A refusal in GitHub's form.
    pub(crate) fn refusal(status: u16, message: &str) -> Self {
        Self::new(
            status,
            json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }),
        )
    }
}

pub(crate) async fn serve(shared: Arc<Mutex<State>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 32 << 20)
        .await
        .unwrap_or_default();
    let method = parts.method.as_str();
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();

    // Handlers run `git`: another worker goes on with the rest.
    tokio::task::block_in_place(|| {
        let mut state = lock(&shared);
        let answer = answer(&mut state, method, path, query, &parts.headers, &body);
        let shown = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        state.requests.push(state::Request {
            method: method.to_owned(),
            path: shown,
            body: serde_json::from_slice(&body).ok(),
            status: answer.status,
        });
        let id = state.requests.len();
        let mut response = Response::builder()
            .status(answer.status)
            .header("content-type", "application/json; charset=utf-8")
            .header(
                "date",
                state.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            )
            .header("x-github-request-id", format!("FAKE:{id:04X}"));
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        response
            .body(Body::from(answer.body.to_string()))
            .expect("all headers are plain text")
    })
}

fn answer(
    state: &mut State,
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Answer {
    let called = format!("{method} {path}");
    let Some((operation, path_parameters)) = schema::rest().operation(method, path) else {
        state.violation(format!(
            "{called}: not among the operations that Siding may call"
        ));
        return Answer::refusal(501, "unknown operation");
    };
    let query = query_pairs(query);
    let (json, faults) =
        faults_of_request(state, operation, &path_parameters, &query, headers, body);
    if !faults.is_empty() {
        state.violation(format!("{called}: {}", faults.join("; ")));
        let status = if faults.iter().any(|fault| fault.starts_with("unknown")) {
            501
        } else {
            422
        };
        return Answer::refusal(status, &faults.join("; "));
    }
    if let Err(refusal) = authorise(state, operation, path, headers) {
        return refusal;
    }

    let fault = take_fault(state, method, path);
    if let Some((answer, after_effect)) = fault {
        if after_effect {
            let asked = Asked::new(&path_parameters, &query, json.unwrap_or_default());
            handlers::handle(state, &operation.id, &asked);
        }
        return answer;
    }

    let asked = Asked::new(&path_parameters, &query, json.unwrap_or_default());
    let mut answer = handlers::handle(state, &operation.id, &asked);
    match schema::rest().answer_schema(operation, answer.status) {
        Err(undocumented) => {
            state.violation(format!("the stand-in's answer to {called}: {undocumented}"));
        }
        Ok(None) => {}
        Ok(Some(schema)) => {
            answer.body = schema::rest().pruned(schema, answer.body);
            let faults = schema::rest().faults(schema, &answer.body, "answer");
            if !faults.is_empty() {
                state.violation(format!(
                    "the stand-in's answer to {called}: {}",
                    faults.join("; ")
                ));
            }
        }
    }
    answer
}

/// GitHub's schema for the request, and the rules that no schema states.
fn faults_of_request(
    state: &State,
    operation: &Operation,
    path: &BTreeMap<String, String>,
    query: &[(String, String)],
    headers: &HeaderMap,
    body: &Bytes,
) -> (Option<Value>, Vec<String>) {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let mut faults = Vec::new();
    if header("x-github-api-version") != API_VERSION {
        faults.push(format!("no `x-github-api-version: {API_VERSION}`"));
    }
    if header("user-agent").is_empty() {
        faults.push("no `user-agent`".to_owned());
    }
    let json = if body.is_empty() {
        None
    } else {
        if !header("content-type").starts_with("application/json") {
            faults.push("a body that is not `application/json`".to_owned());
        }
        let text = String::from_utf8_lossy(body);
        if state.tokens.keys().any(|token| text.contains(token)) {
            faults.push("a token in a body".to_owned());
        }
        match serde_json::from_slice(body) {
            Ok(json) => Some(json),
            Err(error) => {
                faults.push(format!("a body that is not JSON: {error}"));
                None
            }
        }
    };
    faults.extend(schema::rest().faults_of_request(operation, path, query, json.as_ref()));
    if let Some(json) = &json {
        faults.extend(handlers::faults_by_hand(state, &operation.id, path, json));
    }
    (json, faults)
}

/// Whether the caller may do this: the app's JWT for the app's own calls, a token for the rest.
fn authorise(
    state: &State,
    operation: &Operation,
    path: &str,
    headers: &HeaderMap,
) -> Result<(), Answer> {
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let Some(credential) = header
        .strip_prefix("Bearer ")
        .or_else(|| header.strip_prefix("token "))
    else {
        return Err(Answer::refusal(401, "Requires authentication"));
    };
    if path.starts_with("/app/") {
        return check_jwt(credential).map_err(|message| Answer::refusal(401, &message));
    }
    let Some(token) = state
        .tokens
        .get(credential)
        .filter(|token| state.now() < token.expires_at)
    else {
        return Err(Answer::refusal(401, "Bad credentials"));
    };
    let ours = path.starts_with(&format!("/repos/{}/{}/", state::OWNER, state::NAME));
    if !ours || !token.repositories.contains(&REPOSITORY_ID) {
        return Err(Answer::refusal(404, "Not Found"));
    }
    let (permission, level) = handlers::needed(&operation.id);
    let granted = token.permissions.get(permission).map(String::as_str);
    if granted == Some("write") || (level == "read" && granted == Some("read")) {
        return Ok(());
    }
    Err(Answer::refusal(
        403,
        "Resource not accessible by integration",
    ))
}

/// Source: GitHub, "Generating a JSON Web Token for a GitHub App": RS256, `iss`, `iat` not ahead, `exp` at most 10
/// minutes ahead.
fn check_jwt(jwt: &str) -> Result<(), String> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = 0;
    validation.set_required_spec_claims(&["exp"]);
    let key = DecodingKey::from_rsa_pem(PUBLIC_KEY).expect("the test key is RSA");
    let claims = jsonwebtoken::decode::<Value>(jwt, &key, &validation)
        .map_err(|error| format!("A JSON web token could not be decoded: {error}"))?
        .claims;
    let now = i64::try_from(state::real_time().as_secs()).expect("the present fits");
    let at = |claim: &str| claims[claim].as_i64();
    if claims["iss"] != APP_ID && claims["iss"] != *APP_ID.to_string() {
        return Err("'Issuer' claim ('iss') must be the app".to_owned());
    }
    if at("iat").is_none_or(|issued| issued > now) {
        return Err("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued".to_owned());
    }
    if at("exp").is_none_or(|expires| expires > now + 600) {
        return Err("'Expiration time' claim ('exp') is too far in the future".to_owned());
    }
    Ok(())
}

/// The planned misfortune for this request, and whether it strikes after the work is done.
fn take_fault(state: &mut State, method: &str, path: &str) -> Option<(Answer, bool)> {
    let fault = state.faults.iter_mut().find(|fault| {
        fault.times > 0 && fault.method == method && path.contains(&fault.path_contains)
    })?;
    fault.times -= 1;
    let mut answer = Answer::refusal(fault.status, fault.message);
    answer.headers.clone_from(&fault.headers);
    Some((answer, fault.after_effect))
}

fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (percent_decoded(name), percent_decoded(value)))
        .collect()
}
