//! A shop with a repository on a stand-in for GitHub, a bot, and a job process that plays the warehouse.
//!
//! The job process is this test program, started again: it reads the real request and prints a real answer, and its
//! "warehouse" is a folder of small files. The bot, its database, its webhooks and git are the real ones.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use serde_json::json;
use siding::bot::Bot;
use siding::bot::FailPoint;
use siding::bot::JobEnvironment;
use siding::bot::ServeOptions;
use siding::bot::serve_on;
use siding::github::PrNumber;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fake_github::FakeComment;
use crate::fake_github::FakeGitHub;
use crate::fake_github::FakeOptions;

const APP: &str = "siding[bot]";

/// What the base branch says about the bot.
pub(crate) fn policy() -> Value {
    json!({
        "enable_deploy_command": true, "merge_method": "merge", "command_namespace": null,
        "pr_environment_name": "shop", "prod_branches": ["main"],
        "invalidate_environment_after_deploy": true, "required_approvers": []
    })
}

pub(crate) struct Shop {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) fake: FakeGitHub,
    server: Option<Server>,
}

struct Server {
    bot: Bot,
    stop: oneshot::Sender<()>,
    door: JoinHandle<()>,
}

impl Shop {
    /// A repository with two models and a policy, and a bot that listens.
    pub(crate) async fn open() -> Self {
        Self::with_policy(policy()).await
    }

    pub(crate) async fn with_policy(policy: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir_all(project.join("models")).unwrap();
        // JSON is YAML, and the job process reads it as the policy.
        std::fs::write(project.join("config.yaml"), policy.to_string()).unwrap();
        std::fs::write(project.join("models/orders.sql"), "SELECT 1 AS id\n").unwrap();
        std::fs::write(project.join("models/customers.sql"), "SELECT 1 AS id\n").unwrap();
        std::fs::create_dir_all(folder.path().join("warehouse")).unwrap();
        let mut options = FakeOptions::new(folder.path().join("git"));
        options.project = Some(project);
        let fake = FakeGitHub::start(options);
        let mut shop = Self {
            folder,
            fake,
            server: None,
        };
        shop.start().await;
        shop
    }

    /// Makes production show what `main` has.
    pub(crate) fn deploy_main(&self) {
        let models = models(&self.folder.path().join("project"));
        let plan = Some(digest(&models));
        std::fs::write(
            self.warehouse("prod.json"),
            json!({ "plan": plan, "models": models }).to_string(),
        )
        .unwrap();
    }

    /// Starts the bot, over whatever an earlier one left.
    pub(crate) async fn start(&mut self) {
        let bot = Bot::open(self.options(None)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.listen_at(listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let router = bot.router();
        let door = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async {
                    stopped.await.ok();
                })
                .await
                .unwrap();
        });
        self.server = Some(Server { bot, stop, door });
    }

    /// Stops the bot.
    pub(crate) async fn stop(&mut self) {
        let server = self.server.take().expect("it runs");
        server.stop.send(()).unwrap();
        server.door.await.unwrap();
    }

    /// Starts the bot as a process of its own that dies at `point`.
    #[expect(clippy::zombie_processes, reason = "the caller waits for it to die")]
    pub(crate) async fn start_to_die(&self, point: FailPoint) -> Child {
        let (told, heard) = (
            self.folder.path().join("address"),
            self.folder.path().join("server"),
        );
        std::fs::remove_file(&told).ok();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "bot_harness::a_server_process"])
            .env("STORY_FOLDER", self.folder.path())
            .env("STORY_API", self.fake.api_url())
            .env("STORY_DIES_AT", point.to_string())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&heard).unwrap())
            .spawn()
            .unwrap();
        for _ in 0..400 {
            let address = std::fs::read_to_string(&told).unwrap_or_default();
            if let Ok(address) = address.parse() {
                self.listen_at(address);
                return child;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!(
            "the server did not start: {}",
            std::fs::read_to_string(&heard).unwrap()
        );
    }

    /// What the server that was to die said.
    pub(crate) fn last_words(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server")).unwrap_or_default()
    }

    fn listen_at(&self, address: SocketAddr) {
        self.fake
            .set_hook_url(&format!("http://{address}/github/webhook"));
    }

    fn options(&self, failpoint: Option<FailPoint>) -> ServeOptions {
        options(self.folder.path(), &self.fake.api_url(), failpoint)
    }

    /// Lets the bot do everything that is to be done.
    pub(crate) async fn work(&self) {
        self.bot().drain().await.unwrap();
        // What the bot did may have caused events.
        self.fake.settle().await;
        self.bot().drain().await.unwrap();
    }

    pub(crate) fn bot(&self) -> &Bot {
        &self.server.as_ref().expect("it runs").bot
    }

    /// A pull request by `grace` that changes one model, prepared.
    pub(crate) async fn open_pull(&self, branch: &str, model: &str, sql: &str) -> PrNumber {
        let path = format!("models/{model}.sql");
        let pr = self
            .fake
            .open_pull(branch, "Change it", "grace", &[(&path, Some(sql))])
            .await;
        self.work().await;
        pr
    }

    pub(crate) async fn push(&self, pr: PrNumber, model: &str, sql: &str) {
        let path = format!("models/{model}.sql");
        self.fake.push(pr, &[(&path, Some(sql))]).await;
        self.work().await;
    }

    /// Writes a comment and returns it once it was obeyed.
    pub(crate) async fn comment(&self, pr: PrNumber, user: &str, body: &str) -> FakeComment {
        let id = self.fake.comment(pr, user, body).await;
        self.work().await;
        let comments = self.fake.comments(pr);
        comments
            .into_iter()
            .find(|comment| comment.id == id)
            .unwrap()
    }

    /// What the bot wrote, oldest first, without the first line that nobody sees.
    pub(crate) fn bot_comments(&self, pr: PrNumber) -> Vec<String> {
        let own = |comment: FakeComment| (comment.author == APP).then_some(comment.body);
        self.fake
            .comments(pr)
            .into_iter()
            .filter_map(own)
            .map(|body| body.split_once('\n').unwrap().1.to_owned())
            .collect()
    }

    /// The comment that is rewritten.
    pub(crate) fn sticky(&self, pr: PrNumber) -> String {
        self.bot_comments(pr).first().cloned().unwrap_or_default()
    }

    /// What the checks at the newest commit say; of several with one name the newest.
    pub(crate) fn checks(&self, pr: PrNumber) -> BTreeMap<String, String> {
        self.fake
            .check_runs(pr)
            .into_iter()
            .map(|run| (run.name, run.conclusion.unwrap_or(run.status)))
            .collect()
    }

    pub(crate) fn gate(&self, pr: PrNumber) -> String {
        self.checks(pr).remove("Siding / gate").unwrap_or_default()
    }

    /// What the job process did, one line each.
    pub(crate) fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.warehouse("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn swaps(&self) -> usize {
        self.log()
            .iter()
            .filter(|line| line.starts_with("swap "))
            .count()
    }

    /// A file of the warehouse.
    pub(crate) fn warehouse(&self, name: &str) -> PathBuf {
        self.folder.path().join("warehouse").join(name)
    }

    /// The models that production shows.
    pub(crate) fn production(&self) -> BTreeMap<String, String> {
        prod(&self.folder.path().join("warehouse")).models
    }
}

fn options(folder: &Path, api_url: &str, failpoint: Option<FailPoint>) -> ServeOptions {
    let again = |test: &str| -> Vec<OsString> {
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "--nocapture", test].map(OsString::from);
        std::iter::once(program.into()).chain(arguments).collect()
    };
    ServeOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        database: folder.join("siding.db"),
        work: folder.join("work"),
        data: folder.join("warehouse"),
        project: PathBuf::new(),
        api_url: api_url.to_owned(),
        git_url: format!("file://{}/git/{{owner}}/{{name}}.git", folder.display())
            .parse()
            .unwrap(),
        app_id: 4242,
        private_key: SecretString::from(include_str!("../../fixtures/github/test-app-key.pem")),
        webhook_secrets: vec![SecretString::from("It's a Secret to Everybody")],
        job_command: again("bot_harness::a_job_process"),
        job_environment: JobEnvironment::pick(&[], std::env::vars_os()).unwrap(),
        job_timeout: Duration::from_secs(60),
        warehouse_jobs: 1,
        retry_delay: Duration::ZERO,
        execution_time: None,
        failpoint,
    }
}

/// Whether this process was started to play a part. The two tests below are no stories: they are the other processes of
/// the stories, and do nothing when all tests run.
fn is_asked_for(test: &str) -> bool {
    std::env::args().any(|argument| argument == test)
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a process that plays a part is told by its environment"
)]
async fn a_server_process() {
    if !is_asked_for("bot_harness::a_server_process") {
        return;
    }
    let variable = |name: &str| std::env::var(name).unwrap();
    let folder = PathBuf::from(variable("STORY_FOLDER"));
    let failpoint = variable("STORY_DIES_AT").parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let options = options(&folder, &variable("STORY_API"), Some(failpoint));
    // Whole or not at all: someone waits for it.
    std::fs::write(folder.join("address.new"), address).unwrap();
    std::fs::rename(folder.join("address.new"), folder.join("address")).unwrap();
    serve_on(listener, options, std::future::pending())
        .await
        .unwrap();
}

#[test]
#[expect(clippy::exit, reason = "the answer has to be the last line")]
fn a_job_process() {
    if !is_asked_for("bot_harness::a_job_process") {
        return;
    }
    let request: Value = serde_json::from_reader(std::io::stdin().lock()).unwrap();
    let answer = job(&request);
    let mut out = std::io::stdout().lock();
    // The test runner has begun a line already.
    writeln!(out, "\n{answer}").unwrap();
    out.flush().unwrap();
    // It would write more after the answer.
    std::process::exit(0);
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Prod {
    plan: Option<String>,
    models: BTreeMap<String, String>,
}

fn prod(warehouse: &Path) -> Prod {
    std::fs::read_to_string(warehouse.join("prod.json")).map_or_else(
        |_| Prod::default(),
        |text| serde_json::from_str(&text).unwrap(),
    )
}

/// Reads a project's models as text and does with the warehouse's folder what the request asks for.
fn job(request: &Value) -> Value {
    let folder = |name: &str| PathBuf::from(request[name].as_str().unwrap());
    let (project, config, warehouse) = (folder("project"), folder("config"), folder("data"));
    let log = |line: String| {
        let mut options = std::fs::File::options();
        let mut file = options
            .create(true)
            .append(true)
            .open(warehouse.join("log"))
            .unwrap();
        writeln!(file, "{line}").unwrap();
    };
    if warehouse.join("locked").exists() {
        return failed("the database is locked by another process", &json!([]));
    }
    let task = &request["task"];
    let environment = task["environment"].as_str().unwrap_or_default();
    match task["do"].as_str().unwrap() {
        "policy" => {
            let text = std::fs::read_to_string(config.join("config.yaml")).unwrap();
            let mut policy: Value = serde_json::from_str(&text).unwrap();
            policy["answer"] = json!("policy");
            policy
        }
        "prepare" => {
            log(format!("prepare {environment}"));
            let models = models(&project);
            if models.values().any(|sql| sql.contains("DIE")) {
                std::process::abort();
            }
            if models.values().any(|sql| sql.contains("BROKEN")) {
                let place = json!([{ "severity": "error", "rule": "unknown-column", "message": "column `amout` does not exist",
                    "file": "models/orders.sql", "line": 1, "column": 8, "help": "Did you mean `amount`?" }]);
                return failed("the project has an error", &place);
            }
            std::fs::write(warehouse.join(format!("environment-{environment}")), "").unwrap();
            prepared(environment, &models, &prod(&warehouse))
        }
        "promote" => {
            let models = models(&project);
            let digest = digest(&models);
            let prod = prod(&warehouse);
            if prod.plan.as_deref() == Some(digest.as_str()) {
                log(format!("already {digest}"));
                return promoted(&digest, true);
            }
            let is_built = task["build"] == json!(true);
            if !is_built && task["expected_prod_plan"] != json!(prod.plan) {
                log("conflict".to_owned());
                return json!({ "answer": "conflict", "message": "production moved" });
            }
            if task["expected_project"]
                .as_str()
                .is_some_and(|expected| expected != digest)
            {
                return json!({ "answer": "conflict", "message": "another project" });
            }
            let new = Prod {
                plan: Some(digest.clone()),
                models,
            };
            std::fs::write(
                warehouse.join("prod.json"),
                serde_json::to_string(&new).unwrap(),
            )
            .unwrap();
            log(format!("swap {digest}"));
            promoted(&digest, false)
        }
        "cleanup" => {
            log(format!("cleanup {environment}"));
            let gone =
                std::fs::remove_file(warehouse.join(format!("environment-{environment}"))).is_ok();
            json!({ "answer": "cleaned", "views": if gone { vec!["shop.orders"] } else { Vec::new() } })
        }
        other => panic!("no such task: {other}"),
    }
}

fn failed(message: &str, diagnostics: &Value) -> Value {
    json!({ "answer": "failed", "message": message, "diagnostics": diagnostics })
}

fn promoted(plan: &str, already: bool) -> Value {
    json!({ "answer": "promoted", "plan_id": plan, "already": already, "views_switched": 2, "views_dropped": 0,
        "tables_reused": ["siding__shop.orders__1"], "models_executed": [], "switch_milliseconds": 1.5 })
}

fn models(project: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(project.join("models")).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = format!("shop.{}", path.file_stem().unwrap().to_str().unwrap());
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn digest(models: &BTreeMap<String, String>) -> String {
    blake3::hash(format!("{models:?}").as_bytes()).to_hex()[..12].to_owned()
}

fn prepared(environment: &str, models: &BTreeMap<String, String>, prod: &Prod) -> Value {
    let digest = digest(models);
    let mut summaries = Vec::new();
    let mut comparisons = Vec::new();
    for (name, sql) in models {
        let change = match prod.models.get(name) {
            None => "added",
            Some(old) if old != sql => "direct",
            Some(_) => "unchanged",
        };
        let category = (change != "unchanged").then_some("breaking");
        let day = json!(["2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z"]);
        let backfill = if category.is_some() {
            json!([day])
        } else {
            json!([])
        };
        summaries.push(json!({ "name": name, "kind": "FULL", "change": change, "category": category,
            "reasons": ["column `id` changed"], "columns": { "added": [], "removed": [], "changed": ["id"] },
            "snapshot": digest, "table": format!("siding__{name}__{digest}"), "reused": category.is_none(),
            "backfill": backfill, "batches": 1 }));
        if category.is_some() {
            let view = name.replacen('.', &format!("__{environment}."), 1);
            let rows = if change == "added" {
                json!(null)
            } else {
                json!(1_000)
            };
            comparisons.push(
                json!({ "name": name, "view": view, "rows_prod": rows, "rows_environment": 1_234,
                "columns_added": ["total DOUBLE"], "columns_removed": [], "columns_changed": [] }),
            );
        }
    }
    let plan = json!({ "version": 1, "environment": environment, "compared_with": "prod", "plan_id": digest,
        "virtual_update_only": false, "models": summaries, "diagnostics": [] });
    json!({ "answer": "prepared", "plan": plan, "environment": environment, "comparisons": comparisons,
        "project_digest": digest, "prod_plan": prod.plan, "missing_for_prod": {}, "warnings": [], "seconds": 0.5 })
}
