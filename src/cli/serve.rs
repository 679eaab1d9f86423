//! `siding serve`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use secrecy::SecretString;

use crate::bot;
use crate::bot::FailPoint;
use crate::bot::GitUrl;
use crate::bot::JobEnvironment;
use crate::bot::ServeOptions;
use crate::cli::Ending;
use crate::cli::Usage;
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::cli::settings::environment_variables;
use crate::cli::settings::moment;
use crate::cli::settings::now;

/// Serve a GitHub App: plan pull requests, show their data, promote them
///
/// The webhook's address is /github/webhook; /healthz answers when the server is up. The project's folder
/// within the repository is given by -p.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address to listen on for webhooks
    #[arg(
        long,
        env = "SIDING_LISTEN",
        default_value = "127.0.0.1:8787",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// SQLite file for the inbox, the jobs and the promotions
    #[arg(
        long,
        env = "SIDING_SERVER_DATABASE",
        default_value = "siding_server.db",
        value_name = "FILE"
    )]
    database: PathBuf,
    /// Folder for mirrors and checkouts
    #[arg(
        long,
        env = "SIDING_WORK",
        default_value = "siding_work",
        value_name = "DIR"
    )]
    work: PathBuf,
    /// Folder that relative database paths of the project's configuration start from
    #[arg(long, env = "SIDING_DATA", default_value = ".", value_name = "DIR")]
    data: PathBuf,
    /// GitHub's API, such as https://HOST/api/v3 for an Enterprise server
    #[arg(
        long,
        env = "SIDING_GITHUB_API_URL",
        default_value = "https://api.github.com",
        value_name = "URL"
    )]
    api_url: String,
    /// Where repositories are fetched from
    #[arg(
        long,
        env = "SIDING_GIT_URL",
        default_value = "https://github.com/{owner}/{name}.git",
        value_name = "TEMPLATE"
    )]
    git_url: GitUrl,
    /// Number of the GitHub App
    #[arg(long, env = "SIDING_GITHUB_APP_ID", value_name = "NUMBER")]
    app_id: u64,
    /// File with the App's private key (PEM)
    #[arg(long, env = "SIDING_GITHUB_PRIVATE_KEY_FILE", value_name = "FILE")]
    private_key_file: PathBuf,
    /// File with the webhook's secret; one secret a line while one is being replaced
    #[arg(long, env = "SIDING_GITHUB_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    webhook_secret_file: PathBuf,
    /// Variable of this environment that jobs may see, such as a warehouse password; may be repeated
    #[arg(long = "job-env", value_name = "NAME")]
    job_env: Vec<String>,
    /// Longest time that a job may take, in seconds
    #[arg(
        long,
        env = "SIDING_JOB_TIMEOUT",
        default_value_t = 3600,
        value_name = "SECONDS"
    )]
    job_timeout: u64,
    /// How many jobs may use the warehouse at once; DuckDB takes one
    #[arg(
        long,
        env = "SIDING_WAREHOUSE_JOBS",
        default_value_t = 1,
        value_name = "NUMBER"
    )]
    warehouse_jobs: usize,
    /// Shortest time before something that failed is tried again, in milliseconds; doubles with each try
    #[arg(long, default_value_t = 2000, value_name = "MILLISECONDS")]
    retry_delay: u64,
    /// Take this as the jobs' current time; for demonstrations
    #[arg(long, value_name = "TIME", hide = true)]
    execution_time: Option<String>,
    /// Die at this point; for tests
    #[arg(long, value_name = "POINT", hide = true)]
    failpoint: Option<FailPoint>,
}

pub(super) async fn run(
    settings: &Settings,
    args: Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let execution_time = args
        .execution_time
        .as_deref()
        .map(|text| moment("--execution-time", text, now()))
        .transpose()?;
    if settings.project.is_absolute() {
        return Err(Usage(
            "-p is the project's folder within the repository, so it cannot start with `/`"
                .to_owned(),
        )
        .into());
    }
    let project = if settings.project.as_os_str() == "." {
        PathBuf::new()
    } else {
        settings.project.clone()
    };
    let key = secret_file(&args.private_key_file)?;
    let secrets: Vec<SecretString> = secret_file(&args.webhook_secret_file)?
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
        .collect();
    if secrets.is_empty() {
        return Err(Usage(format!(
            "`{}` holds no secret",
            args.webhook_secret_file.display()
        ))
        .into());
    }
    let variables = environment_variables()
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    let program = std::env::current_exe().context("finding this program")?;
    let options = ServeOptions {
        listen: args.listen,
        database: args.database,
        work: args.work,
        data: std::path::absolute(args.data).context("finding the data folder")?,
        project,
        api_url: args.api_url,
        git_url: args.git_url,
        app_id: args.app_id,
        private_key: SecretString::from(key),
        webhook_secrets: secrets,
        job_command: vec![program.into(), "job".into()],
        job_environment: JobEnvironment::pick(&args.job_env, variables)
            .map_err(|error| Usage(error.to_string()))?,
        job_timeout: Duration::from_secs(args.job_timeout),
        warehouse_jobs: args.warehouse_jobs,
        retry_delay: Duration::from_millis(args.retry_delay),
        execution_time: execution_time.map(crate::model::Moment::as_start),
        failpoint: args.failpoint,
    };
    printer.note(&format!(
        "Listening on http://{}/github/webhook; stop with Ctrl-C.",
        options.listen
    ));
    bot::serve(options, stop_signal()).await?;
    Ok(Ending::Fine)
}

fn secret_file(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))
}

/// Ready when the process is asked to stop.
async fn stop_signal() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            // Without that signal, Ctrl-C and a kill remain.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
