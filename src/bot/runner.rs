//! Starts `siding job`: the process that loads a pull request's project, with warehouse credentials and no token.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::bot::markdown;
use crate::bot::store::Store;
use crate::plan::JobAnswer;
use crate::plan::JobRequest;

/// Most bytes that a job may print as its answer.
const MAX_OUTPUT_BYTES: u64 = 64 * 1024 * 1024;

/// Variables that every program needs and that hold no secret.
const ALWAYS: [&str; 4] = ["PATH", "LD_LIBRARY_PATH", "LANG", "TZ"];

/// The variables that a job sees: those that every program needs, and those that the operator names.
#[derive(Clone, Default)]
pub struct JobEnvironment(BTreeMap<OsString, OsString>);

/// A variable that a job may not see.
#[derive(Debug, thiserror::Error)]
#[error("a job never sees the variable `{0}`")]
pub struct ForbiddenVariable(String);

impl JobEnvironment {
    /// Picks from `variables` (the server's own) what a job may see. A name that is not set is left out.
    ///
    /// # Errors
    /// For a name that belongs to the server or to GitHub: `SIDING_…`, `GITHUB_…`, `GH_…`.
    pub fn pick(
        names: &[String],
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ForbiddenVariable> {
        for name in names {
            let upper = name.to_ascii_uppercase();
            if ["SIDING_", "GITHUB_", "GH_"]
                .iter()
                .any(|prefix| upper.starts_with(prefix))
            {
                return Err(ForbiddenVariable(name.clone()));
            }
        }
        let is_picked = |variable: &OsString| {
            ALWAYS.iter().any(|name| variable == name)
                || names.iter().any(|name| *variable == **name)
        };
        Ok(Self(
            variables
                .into_iter()
                .filter(|(variable, _)| is_picked(variable))
                .collect(),
        ))
    }
}

impl fmt::Debug for JobEnvironment {
    /// Names only: the values are credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// How jobs are started.
#[derive(Clone, Debug)]
pub(crate) struct RunnerOptions {
    /// Program and first arguments.
    pub command: Vec<OsString>,
    /// All that the process sees of our environment.
    pub environment: JobEnvironment,
    /// Longest time that a job may take.
    pub timeout: Duration,
    /// How many may run at once: DuckDB has one writer.
    pub at_once: usize,
}

/// Starts jobs, a few at once.
#[derive(Debug)]
pub(crate) struct Runner {
    options: RunnerOptions,
    turns: Semaphore,
    store: Arc<Store>,
}

impl Runner {
    /// A runner that notes in `store` which processes it started.
    pub(crate) fn new(options: RunnerOptions, store: Arc<Store>) -> Self {
        Self {
            turns: Semaphore::new(options.at_once.max(1)),
            options,
            store,
        }
    }

    /// Runs one job in `folder` and returns its answer.
    ///
    /// # Errors
    /// When it cannot be started, takes too long, dies, or prints something that is no answer. That is our failure;
    /// the user's is an answer.
    pub(crate) async fn run(
        &self,
        request: &JobRequest,
        folder: &Path,
    ) -> anyhow::Result<JobAnswer> {
        let _turn = self
            .turns
            .acquire()
            .await
            .expect("nobody closes the semaphore");
        let (program, arguments) = self
            .options
            .command
            .split_first()
            .context("no command for jobs is configured")?;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(&self.options.environment.0)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group, so that whatever it starts ends with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("starting a job")?;
        let group = Group {
            pid: child.id().context("a job that was started has a number")?,
        };
        if let Some(started) = start_time(group.pid) {
            self.store.child_started(group.pid, &started).await?;
        }
        let result =
            tokio::time::timeout(self.options.timeout, converse(&mut child, request)).await;
        if result.is_err() {
            kill(group.pid).await;
        }
        let pid = group.pid;
        drop(group);
        // If this fails, the number is checked against its start time before anything is killed.
        if let Err(error) = self.store.child_ended(pid).await {
            tracing::warn!(%error, "a job that ended could not be forgotten");
        }
        let (status, output, complaints) = result.with_context(|| {
            format!(
                "the job took longer than {} s",
                self.options.timeout.as_secs()
            )
        })??;
        answer(status, &output, &complaints)
    }

    /// Ends jobs that a server started which is dead: they would write beside the ones that we start.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn end_orphans(&self) -> anyhow::Result<()> {
        for (pid, started) in self.store.children().await? {
            // The number may belong to someone else by now.
            if start_time(pid).is_some_and(|now| now == started) {
                tracing::warn!(pid, "ending a job of a server that died");
                kill(pid).await;
            }
            self.store.child_ended(pid).await?;
        }
        Ok(())
    }
}

/// Kills the group when the caller is dropped in the middle.
struct Group {
    pid: u32,
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group is empty after an ordinary end; then this does nothing.
        let _ = kill_command(self.pid)
            .as_std_mut()
            .spawn()
            .and_then(|mut child| child.wait());
    }
}

async fn kill(pid: u32) {
    if let Err(error) = kill_command(pid).status().await {
        tracing::error!(pid, %error, "a job could not be ended");
    }
}

/// Signals are out of reach without unsafe code; every shell can send them.
fn kill_command(pid: u32) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "kill -s KILL -- \"-$1\"", "sh"])
        .arg(pid.to_string())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// When a process was started, in the kernel's own unit; `None` when there is no such process, or no `/proc`.
fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19).map(str::to_owned)
}

async fn converse(
    child: &mut Child,
    request: &JobRequest,
) -> anyhow::Result<(ExitStatus, Vec<u8>, String)> {
    let mut input = child.stdin.take().expect("stdin is piped");
    let mut output = child
        .stdout
        .take()
        .expect("stdout is piped")
        .take(MAX_OUTPUT_BYTES);
    let errors = child.stderr.take().expect("stderr is piped");
    let mut text = serde_json::to_vec(request).context("writing the request of a job")?;
    text.push(b'\n');
    let asking = async move {
        // A job that dies before it has read says so with its status.
        let _ = input.write_all(&text).await;
    };
    let mut bytes = Vec::new();
    let ((), read, complaints) =
        tokio::join!(asking, output.read_to_end(&mut bytes), listen(errors));
    read.context("reading the answer of a job")?;
    let status = child.wait().await.context("waiting for a job")?;
    Ok((status, bytes, complaints))
}

/// Logs progress as it comes; returns the last line.
async fn listen(errors: impl AsyncRead + Unpin) -> String {
    let mut lines = BufReader::new(errors);
    let mut last = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut lines)
            .take(64 * 1024)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return last,
            Ok(_) => {
                let text = markdown::one_line(String::from_utf8_lossy(&line).trim());
                if !text.is_empty() {
                    tracing::debug!("job: {text}");
                    last = text;
                }
            }
        }
    }
}

fn answer(status: ExitStatus, output: &[u8], complaints: &str) -> anyhow::Result<JobAnswer> {
    let text = String::from_utf8_lossy(output);
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    let Some(last) = last else {
        anyhow::bail!("the job ended without an answer ({status}): {complaints}");
    };
    serde_json::from_str(last).with_context(|| {
        format!("the job ended with something that is no answer ({status}): {complaints}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::JOB_VERSION;
    use crate::plan::JobTask;

    fn request() -> JobRequest {
        JobRequest {
            version: JOB_VERSION,
            project: "/p".into(),
            config: "/c".into(),
            data: "/d".into(),
            actor: "github:ada#7".to_owned(),
            execution_time: None,
            task: JobTask::Policy,
        }
    }

    async fn run(script: &str, timeout: Duration) -> anyhow::Result<JobAnswer> {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("bot.db")).await.unwrap());
        let variables = [
            ("PATH", "/usr/bin:/bin"),
            ("WAREHOUSE_PASSWORD", "w"),
            ("SIDING_WEBHOOK_SECRET", "s"),
            ("OTHER", "o"),
        ];
        let environment = JobEnvironment::pick(
            &["WAREHOUSE_PASSWORD".to_owned()],
            variables.map(|(name, value)| (name.into(), value.into())),
        )
        .unwrap();
        let options = RunnerOptions {
            command: ["/bin/sh", "-c", script].map(OsString::from).to_vec(),
            environment,
            timeout,
            at_once: 1,
        };
        let runner = Runner::new(options, Arc::clone(&store));
        let answer = runner.run(&request(), folder.path()).await;
        assert!(store.children().await.unwrap().is_empty());
        answer
    }

    #[tokio::test]
    async fn the_answer_is_the_last_line_and_the_request_is_on_stdin() {
        let script = r#"read -r request; case "$request" in *'"do":"policy"'*) ;; *) exit 3;; esac
            echo progress >&2; echo something; echo '{"answer":"cleaned","views":["a.b"]}'"#;
        let answer = run(script, Duration::from_secs(20)).await.unwrap();
        assert_eq!(
            answer,
            JobAnswer::Cleaned {
                views: vec!["a.b".to_owned()]
            }
        );
    }

    #[tokio::test]
    async fn a_job_sees_the_warehouses_password_and_nothing_of_ours() {
        let script = r#"cat > /dev/null; seen=$(env | cut -d= -f1 | sort | tr '\n' ' ')
            echo "{\"answer\":\"conflict\",\"message\":\"$seen\"}""#;
        let JobAnswer::Conflict { message } = run(script, Duration::from_secs(20)).await.unwrap()
        else {
            panic!("another answer");
        };
        assert!(message.contains("WAREHOUSE_PASSWORD"), "{message}");
        assert!(
            !message.contains("SIDING") && !message.contains("OTHER"),
            "{message}"
        );
        let names = ["SIDING_WEBHOOK_SECRET".to_owned()];
        assert!(JobEnvironment::pick(&names, []).is_err());
    }

    #[tokio::test]
    async fn a_job_that_dies_says_why() {
        let error = run("echo 'out of memory' >&2; exit 9", Duration::from_secs(20))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the job ended without an answer (exit status: 9): out of memory"
        );
    }

    #[tokio::test]
    async fn a_job_that_takes_too_long_ends_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 100 & echo $! > {}; wait", file.display());
        let error = run(&script, Duration::from_millis(500)).await.unwrap_err();
        assert!(
            error.to_string().starts_with("the job took longer"),
            "{error}"
        );
        let pid: u32 = std::fs::read_to_string(file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z"), "{state}");
    }
}
