//! The server: webhooks in, work, what was lost.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::ensure;
use axum::Router;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::bot::ServeOptions;
use crate::bot::checkout::Checkouts;
use crate::bot::context::Shared;
use crate::bot::reconcile;
use crate::bot::runner::Runner;
use crate::bot::runner::RunnerOptions;
use crate::bot::store::Store;
use crate::bot::webhook;
use crate::bot::worker::Worker;
use crate::github::App;

/// How often GitHub is compared with what we know.
const RECONCILE_EVERY: Duration = Duration::from_secs(300);

/// The bot: its door and its worker, over one database.
#[derive(Clone, Debug)]
pub struct Bot {
    shared: Arc<Shared>,
    wake: Arc<Notify>,
}

impl Bot {
    /// Opens the database and puts right what a dead server left behind. Does no work yet.
    ///
    /// # Errors
    /// When another server uses the database, or an option cannot be used.
    pub async fn open(options: ServeOptions) -> anyhow::Result<Self> {
        ensure!(
            options
                .webhook_secrets
                .iter()
                .any(|secret| !secret.expose_secret().is_empty()),
            "a webhook secret is needed"
        );
        ensure!(
            options.project.components().all(|part| matches!(
                part,
                std::path::Component::Normal(_) | std::path::Component::CurDir
            )),
            "the project's folder `{}` leaves the repository",
            options.project.display()
        );
        let store = Arc::new(Store::open(&options.database).await?);
        let app = App::new(&options.api_url, options.app_id, &options.private_key)
            .context("setting up the GitHub App")?;
        let checkouts = Checkouts::open(&options.work, options.git_url.clone())?;
        let runner = Runner::new(
            RunnerOptions {
                command: options.job_command.clone(),
                environment: options.job_environment.clone(),
                timeout: options.job_timeout,
                at_once: options.warehouse_jobs,
            },
            Arc::clone(&store),
        );
        let shared = Arc::new(Shared {
            options,
            store,
            app,
            checkouts,
            runner,
            sending: tokio::sync::Mutex::new(()),
        });
        reconcile::recover(&shared).await?;
        Ok(Self {
            shared,
            wake: Arc::new(Notify::new()),
        })
    }

    /// `POST /github/webhook` and `GET /healthz`.
    pub fn router(&self) -> Router {
        webhook::router(Arc::clone(&self.shared), Arc::clone(&self.wake))
    }

    /// Works until it is dropped.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn run(&self) -> anyhow::Result<()> {
        self.worker().run().await
    }

    /// Does what is due now and what follows from it; returns how many jobs that was.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn drain(&self) -> anyhow::Result<usize> {
        self.worker().drain().await
    }

    /// Compares with GitHub once and queues what was lost.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn reconcile(&self) -> anyhow::Result<()> {
        reconcile::run(&self.shared).await?;
        self.wake.notify_one();
        Ok(())
    }

    fn worker(&self) -> Worker {
        Worker::new(Arc::clone(&self.shared), Arc::clone(&self.wake))
    }
}

/// Serves until `shutdown` is ready. Work that is cut off goes on at the next start.
///
/// # Errors
/// When the address cannot be listened on, an option cannot be used, or the database is gone.
pub async fn serve(
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("listening on `{}`", options.listen))?;
    serve_on(listener, options, shutdown).await
}

/// The same, on a listener that is open already.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(
    listener: TcpListener,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let bot = Bot::open(options).await?;
    let address = listener.local_addr().context("reading the address")?;
    tracing::info!("listening on {address}");
    let door = axum::serve(listener, bot.router()).with_graceful_shutdown(shutdown);
    let reconciling = async {
        loop {
            bot.reconcile().await?;
            tokio::time::sleep(RECONCILE_EVERY).await;
        }
    };
    tokio::select! {
        result = async { door.await } => result.context("listening for webhooks"),
        result = bot.run() => result,
        result = reconciling => result,
    }
}
