//! How the server is run.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use secrecy::SecretString;

use crate::bot::FailPoint;
use crate::bot::GitUrl;
use crate::bot::JobEnvironment;

/// What `siding serve` is told. Secrets print as nothing.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where to listen for webhooks.
    pub listen: SocketAddr,
    /// SQLite file for the inbox, jobs and outbox; created when it is missing.
    pub database: PathBuf,
    /// Folder for mirrors and checkouts; created when it is missing.
    pub work: PathBuf,
    /// Folder that relative database paths of a project's configuration start from.
    pub data: PathBuf,
    /// Folder of the project within the repository; empty for the top.
    pub project: PathBuf,
    /// `https://api.github.com`, or `https://<host>/api/v3`.
    pub api_url: String,
    /// Where repositories are fetched from, such as `https://github.com/{owner}/{name}.git`.
    pub git_url: GitUrl,
    /// Number of the GitHub App.
    pub app_id: u64,
    /// The app's key, PEM.
    pub private_key: SecretString,
    /// Secrets that webhooks are signed with; several while one is being replaced.
    pub webhook_secrets: Vec<SecretString>,
    /// Program and first arguments that run a job, such as `siding job`.
    pub job_command: Vec<OsString>,
    /// All that a job sees of the server's environment.
    pub job_environment: JobEnvironment,
    /// Longest time that a job may take.
    pub job_timeout: Duration,
    /// How many jobs may use the warehouse at once; 1 for DuckDB, which has one writer.
    pub warehouse_jobs: usize,
    /// Shortest time before something that failed is tried again; doubles with each try.
    pub retry_delay: Duration,
    /// Replaces the jobs' clock; for tests and demonstrations.
    pub execution_time: Option<DateTime<Utc>>,
    /// Where to die; for tests.
    pub failpoint: Option<FailPoint>,
}
