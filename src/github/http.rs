//! One call to GitHub: time limits, what an answer means, which calls are tried again.

use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use octocrab::Octocrab;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::github::GithubError;

/// Limit for a connection to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Limit for one call, from the first byte out to the last byte in.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Items per page; GitHub's maximum.
pub(super) const PAGE_SIZE: usize = 100;

/// Longest list that is followed.
const MAX_PAGES: u32 = 100;

/// Waits before a read is tried again after a 5xx or a lost answer. Writes are never repeated here: they may have
/// happened.
const READ_RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// What GitHub documents for limits that come without a time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(60);

/// HTTP method and, for writes, the body.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    Get,
    Post(&'a Value),
    Put(&'a Value),
    Patch(&'a Value),
}

/// A complete answer with a status below 400, or one of those that the caller asked to see.
pub(super) struct Answer {
    pub(super) status: u16,
    /// GitHub's clock when it answered.
    pub(super) date: Option<DateTime<Utc>>,
    /// The `link` header.
    link: Option<String>,
    body: String,
    method: &'static str,
    url: String,
}

impl Call<'_> {
    fn method(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post(_) => "POST",
            Self::Put(_) => "PUT",
            Self::Patch(_) => "PATCH",
        }
    }
}

impl Answer {
    /// The body as `T`.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, GithubError> {
        serde_json::from_str(&self.body).map_err(|error| GithubError::Unreadable {
            method: self.method,
            url: self.url.clone(),
            message: error.to_string(),
        })
    }

    /// GitHub's words about a failure.
    pub(super) fn message(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Body {
            message: String,
            #[serde(default)]
            errors: Value,
        }
        let Ok(body) = serde_json::from_str::<Body>(&self.body) else {
            return self.body.chars().take(200).collect();
        };
        match &body.errors {
            Value::Null => body.message,
            errors => format!("{}: {errors}", body.message),
        }
    }

    /// The query of the address of the next page, if there is one.
    pub(super) fn next_query(&self) -> Option<&str> {
        let link = self
            .link
            .as_deref()?
            .split(',')
            .find(|link| link.contains("rel=\"next\""))?;
        let address = link.split_once('<')?.1.split_once('>')?.0;
        Some(address.split_once('?')?.1)
    }
}

/// Makes one call and returns its answer if its status is below 400 or in `accepted`.
pub(super) async fn call(
    crab: &Octocrab,
    base_url: &str,
    call: Call<'_>,
    route: &str,
    accepted: &[u16],
) -> Result<Answer, GithubError> {
    let mut delays = READ_RETRY_DELAYS.iter();
    loop {
        let result = call_once(crab, base_url, call, route, accepted).await;
        let Err(error) = &result else {
            return result;
        };
        let repeatable = matches!(call, Call::Get) && error.may_have_taken_effect();
        let Some(delay) = delays.next().filter(|_| repeatable) else {
            return result;
        };
        tracing::debug!(%error, "trying a read again");
        tokio::time::sleep(*delay).await;
    }
}

/// All items of a list that is counted in pages, in GitHub's order. `route` has its own query already, or none.
pub(super) async fn all_pages<P: DeserializeOwned, T>(
    crab: &Octocrab,
    base_url: &str,
    route: &str,
    items: impl Fn(P) -> Vec<T>,
) -> Result<Vec<T>, GithubError> {
    let separator = if route.contains('?') { '&' } else { '?' };
    let mut all = Vec::new();
    for page in 1..=MAX_PAGES {
        // Counted here instead of following the address in `link`: credentials only ever go to the configured host.
        let route = format!("{route}{separator}per_page={PAGE_SIZE}&page={page}");
        let answer = call(crab, base_url, Call::Get, &route, &[]).await?;
        all.extend(items(answer.json()?));
        if answer.next_query().is_none() {
            return Ok(all);
        }
    }
    Err(too_many_pages(base_url, route))
}

/// All items of a list that is read with a cursor, until `wanted` says that an item is too old.
pub(super) async fn pages_by_cursor<T: DeserializeOwned>(
    crab: &Octocrab,
    base_url: &str,
    route: &str,
    wanted: impl Fn(&T) -> bool,
) -> Result<Vec<T>, GithubError> {
    let mut all = Vec::new();
    let mut query = format!("per_page={PAGE_SIZE}");
    for _ in 0..MAX_PAGES {
        let answer = call(crab, base_url, Call::Get, &format!("{route}?{query}"), &[]).await?;
        for item in answer.json::<Vec<T>>()? {
            if !wanted(&item) {
                return Ok(all);
            }
            all.push(item);
        }
        match answer.next_query() {
            Some(next) => query = next.to_owned(),
            None => return Ok(all),
        }
    }
    Err(too_many_pages(base_url, route))
}

/// `text` as one segment of a path: everything but unreserved characters is percent-encoded.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn too_many_pages(base_url: &str, route: &str) -> GithubError {
    GithubError::TooManyPages {
        url: address(base_url, route),
        pages: MAX_PAGES,
    }
}

async fn call_once(
    crab: &Octocrab,
    base_url: &str,
    call: Call<'_>,
    route: &str,
    accepted: &[u16],
) -> Result<Answer, GithubError> {
    let method = call.method();
    let url = address(base_url, route);
    let lost = |message: String| GithubError::NoAnswer {
        method,
        url: url.clone(),
        message,
    };

    let exchange = async {
        let response = match call {
            Call::Get => crab._get(route).await,
            Call::Post(body) => crab._post(route, Some(body)).await,
            Call::Put(body) => crab._put(route, Some(body)).await,
            Call::Patch(body) => crab._patch(route, Some(body)).await,
        }?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = crab.body_to_string(response).await?;
        Ok::<_, octocrab::Error>((status, headers, body))
    };
    let (status, headers, body) = tokio::time::timeout(TOTAL_TIMEOUT, exchange)
        .await
        .map_err(|_| {
            lost(format!(
                "no complete answer within {} s",
                TOTAL_TIMEOUT.as_secs()
            ))
        })?
        .map_err(|error| lost(causes(&error)))?;

    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let date = header("date").and_then(|text| DateTime::parse_from_rfc2822(text).ok());
    let answer = Answer {
        status,
        date: date.map(|date| date.to_utc()),
        link: header("link").map(str::to_owned),
        body,
        method,
        url,
    };
    if let Some(retry_after) = retry_after(&answer, header) {
        return Err(GithubError::RateLimited {
            retry_after,
            method,
            url: answer.url,
        });
    }
    if status < 400 || accepted.contains(&status) {
        return Ok(answer);
    }
    Err(GithubError::Status {
        status,
        method,
        request_id: header("x-github-request-id").map(str::to_owned),
        message: answer.message(),
        url: answer.url,
    })
}

/// How long to wait, if the answer says that we ask too much.
///
/// Source: GitHub, "Rate limits for the REST API": 403 or 429 with `retry-after`, or with `x-ratelimit-remaining: 0` and
/// the time of `x-ratelimit-reset`; else at least a minute.
fn retry_after<'a>(answer: &Answer, header: impl Fn(&str) -> Option<&'a str>) -> Option<Duration> {
    if !matches!(answer.status, 403 | 429) {
        return None;
    }
    if let Some(seconds) = header("retry-after").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_secs(seconds));
    }
    if header("x-ratelimit-remaining") == Some("0") {
        let reset = header("x-ratelimit-reset").and_then(|text| text.parse().ok());
        let wait = reset.zip(answer.date).map(|(reset, date): (i64, _)| {
            reset.saturating_sub(date.timestamp()).max(1).unsigned_abs()
        });
        return Some(wait.map_or(DEFAULT_RETRY_AFTER, Duration::from_secs));
    }
    // A plain 403 is a refusal; only its words tell a secondary limit apart.
    let limited = answer.status == 429
        || answer
            .message()
            .to_ascii_lowercase()
            .contains("secondary rate limit");
    limited.then_some(DEFAULT_RETRY_AFTER)
}

/// The address without its query: a query may hold what people typed.
fn address(base_url: &str, route: &str) -> String {
    let path = route.split_once('?').map_or(route, |(path, _)| path);
    format!("{}{path}", base_url.trim_end_matches('/'))
}

/// An error and what caused it, in one line. None of octocrab's errors holds a header.
fn causes(error: &octocrab::Error) -> String {
    let mut parts = Vec::new();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = source {
        parts.push(cause.to_string());
        source = cause.source();
    }
    parts.dedup();
    if parts.is_empty() {
        return error.to_string();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            date: DateTime::from_timestamp(1_000, 0),
            link: None,
            body: body.to_owned(),
            method: "GET",
            url: String::new(),
        }
    }

    fn wait(answer: &Answer, headers: &[(&str, &'static str)]) -> Option<Duration> {
        retry_after(answer, |name| {
            headers
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        })
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait_in_each_of_its_three_forms() {
        let limited = answer(
            403,
            r#"{"message": "You have exceeded a secondary rate limit."}"#,
        );
        assert_eq!(
            wait(&limited, &[("retry-after", "7")]),
            Some(Duration::from_secs(7))
        );
        let primary = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1090"),
        ];
        assert_eq!(wait(&limited, &primary), Some(Duration::from_secs(90)));
        assert_eq!(wait(&limited, &[]), Some(DEFAULT_RETRY_AFTER));
        assert_eq!(wait(&answer(429, "{}"), &[]), Some(DEFAULT_RETRY_AFTER));
    }

    #[test]
    fn a_plain_refusal_is_no_rate_limit() {
        let refused = answer(
            403,
            r#"{"message": "Resource not accessible by integration"}"#,
        );
        assert_eq!(wait(&refused, &[("x-ratelimit-remaining", "4999")]), None);
        assert_eq!(wait(&answer(404, "{}"), &[("retry-after", "7")]), None);
    }

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let mut answer = answer(200, "[]");
        answer.link = Some(
            "<https://a.example/x?page=1>; rel=\"prev\", <https://a.example/x?per_page=2&cursor=v1_9>; rel=\"next\"".to_owned(),
        );
        assert_eq!(answer.next_query(), Some("per_page=2&cursor=v1_9"));
        answer.link = Some("<https://a.example/x?page=1>; rel=\"prev\"".to_owned());
        assert_eq!(answer.next_query(), None);
    }

    #[test]
    fn an_address_is_shown_without_its_query() {
        assert_eq!(
            address("https://a.example/", "/x/y?secret=1"),
            "https://a.example/x/y"
        );
    }

    #[test]
    fn a_login_cannot_leave_its_segment() {
        assert_eq!(segment("renovate[bot]"), "renovate%5Bbot%5D");
        assert_eq!(segment("../x?y"), "..%2Fx%3Fy");
    }
}
