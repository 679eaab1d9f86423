//! The app: its own calls and the tokens of its installations.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use chrono::DateTime;
use chrono::Utc;
use octocrab::Octocrab;
use octocrab::models::AppId;
use octocrab::service::middleware::retry::RetryConfig;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::github::Delivery;
use crate::github::GithubError;
use crate::github::InstallationId;
use crate::github::Repository;
use crate::github::RepositoryName;
use crate::github::http;
use crate::github::http::Answer;
use crate::github::http::Call;

/// How long before its end a token is no longer given out: a job may hold it for a while.
const TOKEN_MARGIN: Duration = Duration::from_secs(5 * 60);

/// A GitHub App that knows its key. Cheap to clone; clones share the tokens.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
}

struct Shared {
    base_url: String,
    app_id: u64,
    crab: Octocrab,
    tokens: Mutex<BTreeMap<TokenKey, CachedToken>>,
}

type TokenKey = (InstallationId, u64, Scope);

struct CachedToken {
    token: SecretString,
    good_until: Instant,
}

/// What a token may be used for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// Everything that the bot does through the API.
    Work,
    /// `git fetch`, nothing else.
    Fetch,
}

impl Scope {
    fn permissions(self) -> Value {
        match self {
            Self::Work => json!({
                "contents": "write", "pull_requests": "write", "issues": "write", "checks": "write", "metadata": "read",
            }),
            Self::Fetch => json!({ "contents": "read", "metadata": "read" }),
        }
    }
}

impl App {
    /// The app `app_id` at `api_url` (`https://api.github.com`, or `https://<host>/api/v3` on a server of one's own).
    ///
    /// Must be called within a Tokio runtime. Makes no call yet.
    ///
    /// # Errors
    /// [`GithubError::Settings`] if the address is not an HTTP address or the key is not an RSA key in PEM.
    pub fn new(
        api_url: &str,
        app_id: u64,
        private_key_pem: &SecretString,
    ) -> Result<Self, GithubError> {
        let settings =
            |what: &'static str| move |message: String| GithubError::Settings { what, message };
        if !api_url.starts_with("https://") && !api_url.starts_with("http://") {
            return Err(settings("address of the GitHub API")(format!(
                "`{api_url}` does not start with `https://`"
            )));
        }
        let crab = Octocrab::builder()
            .base_uri(api_url)
            .map_err(|_| {
                settings("address of the GitHub API")(format!("`{api_url}` is not an address"))
            })?
            .set_connect_timeout(Some(http::CONNECT_TIMEOUT))
            .set_read_timeout(Some(http::TOTAL_TIMEOUT))
            .set_write_timeout(Some(http::TOTAL_TIMEOUT))
            // Its default repeats writes.
            .add_retry_config(RetryConfig::None)
            .app_from_rsa_pem(AppId(app_id), private_key_pem.expose_secret())
            .map_err(|_| {
                settings("private key of the GitHub App")("it is not an RSA key in PEM".to_owned())
            })?
            .build()
            .map_err(|error| settings("HTTP client")(error.to_string()))?;
        Ok(Self {
            shared: Arc::new(Shared {
                base_url: api_url.to_owned(),
                app_id,
                crab,
                tokens: Mutex::default(),
            }),
        })
    }

    /// The number of this app; comments and check runs of ours carry it.
    pub fn id(&self) -> u64 {
        self.shared.app_id
    }

    /// A token for the bot's own calls in one repository and nowhere else, good for at least 5 minutes.
    ///
    /// Where the owner has not granted the right to write contents, the token reads them only; merging is then refused
    /// by GitHub.
    ///
    /// # Errors
    /// [`GithubError::Status`] with 404 when the app is no longer installed there, 403 when it is suspended.
    pub async fn installation_token(
        &self,
        installation: InstallationId,
        repository_id: u64,
    ) -> Result<SecretString, GithubError> {
        self.token((installation, repository_id, Scope::Work)).await
    }

    /// A token that can do nothing but read one repository's commits: the one to give to `git`.
    ///
    /// # Errors
    /// As [`installation_token`](Self::installation_token).
    pub async fn fetch_token(
        &self,
        installation: InstallationId,
        repository_id: u64,
    ) -> Result<SecretString, GithubError> {
        self.token((installation, repository_id, Scope::Fetch))
            .await
    }

    /// A repository that the app is installed in.
    ///
    /// # Errors
    /// As [`installation_token`](Self::installation_token).
    pub async fn repository(
        &self,
        installation: InstallationId,
        repository_id: u64,
        name: RepositoryName,
    ) -> Result<Repository, GithubError> {
        self.installation_token(installation, repository_id).await?;
        Ok(Repository::new(
            self.clone(),
            installation,
            repository_id,
            name,
        ))
    }

    /// Events since `since` that our server has not taken in any attempt: the newest attempt of each, oldest first.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub async fn failed_deliveries(
        &self,
        since: DateTime<Utc>,
    ) -> Result<Vec<Delivery>, GithubError> {
        let attempts: Vec<Delivery> = http::pages_by_cursor(
            &self.shared.crab,
            &self.shared.base_url,
            "/app/hook/deliveries",
            |attempt: &Delivery| attempt.delivered_at >= since,
        )
        .await?;
        let taken: BTreeSet<&str> = attempts
            .iter()
            .filter(|attempt| attempt.succeeded())
            .map(|attempt| attempt.guid.as_str())
            .collect();
        let mut seen = BTreeSet::new();
        let mut failed: Vec<Delivery> = attempts
            .iter()
            .filter(|attempt| {
                !taken.contains(attempt.guid.as_str()) && seen.insert(attempt.guid.as_str())
            })
            .cloned()
            .collect();
        failed.reverse();
        Ok(failed)
    }

    /// Asks GitHub to deliver again what attempt `delivery_id` has not; it keeps its GUID.
    ///
    /// # Errors
    /// [`GithubError::Status`] with 404 when GitHub no longer has it (30 days).
    pub async fn redeliver(&self, delivery_id: u64) -> Result<(), GithubError> {
        let route = format!("/app/hook/deliveries/{delivery_id}/attempts");
        self.call_as_app(Call::Post(&json!({})), &route, &[])
            .await?;
        Ok(())
    }

    /// Where the API is, as configured.
    pub(super) fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// A client that acts in one repository.
    pub(super) async fn client(
        &self,
        installation: InstallationId,
        repository_id: u64,
    ) -> Result<Octocrab, GithubError> {
        let token = self.installation_token(installation, repository_id).await?;
        self.shared
            .crab
            .user_access_token(token)
            .map_err(|error| GithubError::Settings {
                what: "token of the installation",
                message: error.to_string(),
            })
    }

    /// Forgets the tokens for a repository: GitHub no longer takes them.
    pub(super) fn forget_tokens(&self, installation: InstallationId, repository_id: u64) {
        let mut tokens = self
            .shared
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|(token_installation, token_repository, _), _| {
            (*token_installation, *token_repository) != (installation, repository_id)
        });
    }

    async fn token(&self, key: TokenKey) -> Result<SecretString, GithubError> {
        if let Some(token) = self.cached(key) {
            return Ok(token);
        }
        let answer = self.request_token(key, key.2.permissions()).await?;
        let answer = match answer.status {
            // An owner may have granted less than the app asks for: then everything but merging works.
            422 if key.2 == Scope::Work => {
                let mut permissions = Scope::Work.permissions();
                permissions["contents"] = json!("read");
                self.request_token(key, permissions).await?
            }
            _ => answer,
        };
        if answer.status == 422 {
            return Err(GithubError::Settings {
                what: "installation of the GitHub App",
                message: format!(
                    "it lacks a permission that Siding needs: {}",
                    answer.message()
                ),
            });
        }

        #[derive(Deserialize)]
        struct Token {
            token: String,
            expires_at: DateTime<Utc>,
        }
        let Token { token, expires_at } = answer.json()?;
        let token = SecretString::from(token);
        // Both times are GitHub's, so a wrong clock here does not matter.
        let lifetime = answer
            .date
            .and_then(|date| (expires_at - date).to_std().ok());
        if let Some(usable) = lifetime.and_then(|lifetime| lifetime.checked_sub(TOKEN_MARGIN)) {
            let cached = CachedToken {
                token: token.clone(),
                good_until: Instant::now() + usable,
            };
            let mut tokens = self
                .shared
                .tokens
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            tokens.insert(key, cached);
        }
        Ok(token)
    }

    fn cached(&self, key: TokenKey) -> Option<SecretString> {
        let mut tokens = self
            .shared
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        tokens.retain(|_, cached| now < cached.good_until);
        tokens.get(&key).map(|cached| cached.token.clone())
    }

    async fn request_token(
        &self,
        (installation, repository_id, _): TokenKey,
        permissions: Value,
    ) -> Result<Answer, GithubError> {
        let route = format!("/app/installations/{installation}/access_tokens");
        let body = json!({ "repository_ids": [repository_id], "permissions": permissions });
        self.call_as_app(Call::Post(&body), &route, &[422]).await
    }

    async fn call_as_app(
        &self,
        call: Call<'_>,
        route: &str,
        accepted: &[u16],
    ) -> Result<Answer, GithubError> {
        http::call(
            &self.shared.crab,
            &self.shared.base_url,
            call,
            route,
            accepted,
        )
        .await
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("id", &self.shared.app_id)
            .finish_non_exhaustive()
    }
}
