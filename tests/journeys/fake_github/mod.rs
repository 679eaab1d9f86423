//! GitHub for tests: one app, one installation, one repository with a real bare `git` repository behind it, on a
//! loopback port.
//!
//! Every request is checked against GitHub's own OpenAPI description, every answer and every webhook too; what does not
//! fit is a violation, and [`FakeGitHub::assert_clean`] (or dropping the stand-in) fails the test. It runs on threads of
//! its own, so a test may block, and a server under test may be killed.

mod drive;
mod git;
mod handlers;
mod schema;
mod server;
mod shapes;
mod state;
mod webhooks;

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Router;
use siding::github::InstallationId;
use siding::github::RepositoryName;
use tokio::runtime::Runtime;

pub(crate) use state::CheckRun;
pub(crate) use state::Pull;
use state::State;

/// How a stand-in is set up.
pub(crate) struct FakeOptions {
    /// Where the bare repository is put, as `acme/warehouse.git`.
    pub(crate) directory: PathBuf,
    /// A folder whose files are the first commit on `main`; `None` for a README.
    pub(crate) project: Option<PathBuf>,
    /// What webhooks are signed with.
    pub(crate) hook_secret: String,
    /// Whether the owner let the app write contents, which merging needs.
    pub(crate) may_write_contents: bool,
}

/// A pull request to open.
pub(crate) struct NewPull<'a> {
    pub(crate) branch: &'a str,
    pub(crate) title: &'a str,
    pub(crate) author: &'a str,
    pub(crate) files: &'a [git::FileChange<'a>],
    pub(crate) draft: bool,
    pub(crate) from_fork: bool,
}

/// A comment, with the reactions below it.
#[derive(Clone, Debug)]
pub(crate) struct FakeComment {
    pub(crate) id: u64,
    pub(crate) author: String,
    pub(crate) body: String,
    pub(crate) reactions: Vec<String>,
}

pub(crate) struct FakeGitHub {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    // Kept until the drop: it serves and delivers.
    runtime: Option<Runtime>,
}

impl FakeOptions {
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            project: None,
            hook_secret: "It's a Secret to Everybody".to_owned(),
            may_write_contents: true,
        }
    }
}

impl FakeGitHub {
    /// A stand-in with the people `ada` (admin), `grace` (write), `linus` (read) and `mallory` (none).
    pub(crate) fn start(options: FakeOptions) -> Self {
        let repository = options
            .directory
            .join(state::OWNER)
            .join(format!("{}.git", state::NAME));
        let git = git::Git::create(repository, options.project.as_deref());
        let (postbox, post) = tokio::sync::mpsc::unbounded_channel();
        let state = State::new(
            git,
            options.hook_secret,
            options.may_write_contents,
            postbox,
        );
        let state = Arc::new(Mutex::new(state));

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("fake-github")
            .enable_all()
            .build()
            .expect("threads can be started");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        listener
            .set_nonblocking(true)
            .expect("a socket can be asynchronous");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        lock(&state).api_url = format!("http://{address}");
        let shared = Arc::clone(&state);
        let app =
            Router::new().fallback(move |request| server::serve(Arc::clone(&shared), request));
        runtime.spawn(async move {
            let listener =
                tokio::net::TcpListener::from_std(listener).expect("the socket is asynchronous");
            axum::serve(listener, app).await
        });
        runtime.spawn(webhooks::postman(Arc::clone(&state), post));
        Self {
            state,
            address,
            runtime: Some(runtime),
        }
    }

    /// What to give to the app as the address of the API.
    pub(crate) fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `git fetch` takes for the repository.
    pub(crate) fn clone_url(&self) -> String {
        format!("file://{}", self.git_directory().display())
    }

    /// The bare repository.
    pub(crate) fn git_directory(&self) -> PathBuf {
        self.lock().git.directory().to_owned()
    }

    pub(crate) fn app_id(&self) -> u64 {
        state::APP_ID
    }

    pub(crate) fn private_key_pem(&self) -> &'static str {
        include_str!("../../../fixtures/github/test-app-key.pem")
    }

    /// The same key as a file, for a process.
    pub(crate) fn private_key_file(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/github/test-app-key.pem")
    }

    pub(crate) fn installation(&self) -> InstallationId {
        InstallationId(state::INSTALLATION_ID)
    }

    pub(crate) fn repository_id(&self) -> u64 {
        state::REPOSITORY_ID
    }

    pub(crate) fn repository_name(&self) -> RepositoryName {
        format!("{}/{}", state::OWNER, state::NAME)
            .parse()
            .expect("a valid name")
    }

    pub(crate) fn hook_secret(&self) -> String {
        self.lock().hook_secret.clone()
    }

    /// Everything that did not fit GitHub's description, oldest first.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// Takes the violations away: for a test that provokes them.
    pub(crate) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().violations)
    }

    /// Panics with a list of all violations, if there are any.
    pub(crate) fn assert_clean(&self) {
        let violations = self.violations();
        assert!(
            violations.is_empty(),
            "not as GitHub describes it:\n- {}",
            violations.join("\n- ")
        );
    }

    /// Lets the stand-in's clock run ahead; tokens end by it.
    pub(crate) fn advance(&self, time: Duration) {
        self.lock().clock_ahead += time;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for FakeGitHub {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if !std::thread::panicking() {
            self.assert_clean();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A handler that panicked has been reported; the state is still worth reading.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
