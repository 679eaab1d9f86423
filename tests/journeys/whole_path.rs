//! The whole path with nothing played but GitHub: the real server process, real jobs, a real DuckDB.

use std::process::Child;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use siding::bot::FailPoint;
use siding::github::PrNumber;

use crate::fake_github::FakeGitHub;
use crate::fake_github::FakeOptions;
use crate::workspace::Workspace;

const NOW: &str = "2024-01-10";
const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = "gateways:
  local:
    connection:
      type: duckdb
      database: wh.duckdb
    state_connection:
      type: sqlite
      database: state.db
default_gateway: local
model_defaults:
  dialect: duckdb
  start: 2024-01-01
cicd_bot:
  type: github
  enable_deploy_command: true
  merge_method: squash
  pr_environment_name: shop
";

const ORDERS: &str = "MODEL (name shop.orders, kind FULL);\nSELECT i AS id, i * 10 AS amount FROM range(5) AS t(i)\n";
const TOTALS: &str = "MODEL (name shop.totals, kind FULL);\nSELECT count(*) AS orders, sum(amount) AS amount FROM shop.orders\n";

/// A team: production is built, the repository is on the stand-in, the server may run.
struct Team {
    warehouse: Workspace,
    github: FakeGitHub,
    folder: tempfile::TempDir,
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Team {
    fn new() -> Self {
        let warehouse = Workspace::new(&[
            ("config.yaml", CONFIG),
            ("models/orders.sql", ORDERS),
            ("models/totals.sql", TOTALS),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository");
        for (path, text) in [
            ("config.yaml", CONFIG),
            ("models/orders.sql", ORDERS),
            ("models/totals.sql", TOTALS),
        ] {
            let target = repository.join(path);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::write(target, text).unwrap();
        }
        warehouse.apply("prod", NOW);
        let mut options = FakeOptions::new(folder.path().join("github"));
        options.project = Some(repository);
        Self {
            warehouse,
            github: FakeGitHub::start(options),
            folder,
        }
    }

    fn serve(&self, failpoint: Option<FailPoint>) -> Server {
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("secret"), self.github.hook_secret()).unwrap();
        let git = format!("file://{}/{{owner}}/{{name}}.git", path("github").display());
        let mut command =
            self.warehouse
                .command(&["serve", "--execution-time", NOW, "--retry-delay", "100"]);
        command.args([
            "--listen",
            &address.to_string(),
            "--git-url",
            &git,
            "--api-url",
            &self.github.api_url(),
        ]);
        command.args(["--app-id", &self.github.app_id().to_string()]);
        command
            .arg("--private-key-file")
            .arg(self.github.private_key_file());
        command.arg("--webhook-secret-file").arg(path("secret"));
        command
            .arg("--database")
            .arg(path("server.db"))
            .arg("--work")
            .arg(path("work"));
        command.arg("--data").arg(self.warehouse.path());
        if let Some(point) = failpoint {
            command.args(["--failpoint", &point.to_string()]);
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path("server.log"))
            .unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let server = Server(child);
        self.wait("the server answers", || {
            std::net::TcpStream::connect(address).is_ok()
        });
        self.github
            .set_hook_url(&format!("http://{address}/github/webhook"));
        server
    }

    #[track_caller]
    fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        let since = Instant::now();
        while !done() {
            if since.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.folder.path().join("server.log"))
                    .unwrap_or_default();
                panic!("not within {PATIENCE:?}: {what}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the check of that name has this conclusion at the head.
    #[track_caller]
    fn wait_for_check(&self, pr: PrNumber, name: &str, conclusion: &str) {
        self.wait(&format!("the check `{name}` is {conclusion}"), || {
            let runs = self.github.check_runs(pr);
            let newest = runs.iter().rev().find(|run| run.name.ends_with(name));
            newest.is_some_and(|run| run.conclusion.as_deref() == Some(conclusion))
        });
    }

    fn sticky(&self, pr: PrNumber) -> Vec<String> {
        let comments = self.github.comments(pr).into_iter();
        comments
            .filter(|comment| comment.author == "siding[bot]" && comment.body.contains("<!--"))
            .map(|comment| comment.body)
            .collect()
    }

    #[track_caller]
    fn wait_until_deployed(&self, pr: PrNumber) {
        self.wait("the comment says that it is deployed", || {
            self.sticky(pr)
                .iter()
                .any(|comment| comment.to_lowercase().contains("deployed"))
        });
        self.wait("no job holds the warehouse", || {
            self.views_if_free()
                .is_some_and(|views| !views.iter().any(|view| view.starts_with("shop__shop_")))
        });
    }

    fn views_if_free(&self) -> Option<Vec<String>> {
        let connection = duckdb::Connection::open(self.warehouse.path().join("wh.duckdb")).ok()?;
        let sql = "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1";
        Some(
            crate::workspace::rows(&connection, sql)
                .into_iter()
                .map(|row| row[0].clone())
                .collect(),
        )
    }

    /// Every batch that was ever written, as the state's log has it.
    async fn batches(&self) -> Vec<(String, String, i64)> {
        let url = format!(
            "sqlite://{}",
            self.warehouse.path().join("state.db").display()
        );
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        let rows = sqlx::query_as("SELECT name, version, id FROM siding_intervals ORDER BY id")
            .fetch_all(&pool)
            .await
            .unwrap();
        pool.close().await;
        rows
    }
}

fn with_bigger_amounts() -> String {
    ORDERS.replace("i * 10", "i * 100")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_built_shown_deployed_and_nothing_is_built_twice() {
    let team = Team::new();
    let server = team.serve(None);

    let pr = team
        .github
        .open_pull(
            "bigger",
            "Bigger amounts",
            "grace",
            &[("models/orders.sql", Some(&with_bigger_amounts()))],
        )
        .await;
    team.wait_for_check(pr, "gate", "success");
    let comment = team.sticky(pr).concat();
    assert!(
        comment.contains("shop.orders") && comment.contains("shop.totals"),
        "{comment}"
    );
    assert!(
        comment.contains("shop__shop_1"),
        "how to query the environment: {comment}"
    );
    assert_eq!(
        team.warehouse
            .rows("SELECT amount FROM shop__shop_1.totals"),
        [["1000"]]
    );
    assert_eq!(
        team.warehouse.rows("SELECT amount FROM shop.totals"),
        [["100"]]
    );
    let before = team.batches().await;

    team.github.comment(pr, "grace", "/deploy").await;
    team.wait_until_deployed(pr);
    drop(server);

    assert_eq!(team.github.merges(), 1);
    assert_eq!(
        team.warehouse.rows("SELECT amount FROM shop.totals"),
        [["1000"]]
    );
    assert_eq!(
        team.batches().await,
        before,
        "no batch was written after the command"
    );
    assert_eq!(team.sticky(pr).len(), 1);
    assert_eq!(
        team.github.file_on_main("models/orders.sql").unwrap(),
        with_bigger_amounts()
    );
    team.github.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_somebody_else_has_for_a_moment_is_waited_for() {
    let team = Team::new();
    let _server = team.serve(None);
    let holder = duckdb::Connection::open(team.warehouse.path().join("wh.duckdb")).unwrap();

    let bigger = with_bigger_amounts();
    let files = [("models/orders.sql", Some(bigger.as_str()))];
    let pr = team
        .github
        .open_pull("bigger", "Bigger amounts", "grace", &files)
        .await;
    team.wait("the job waits", || {
        team.github
            .check_runs(pr)
            .iter()
            .any(|run| run.status == "in_progress")
    });
    std::thread::sleep(Duration::from_secs(2));
    assert!(
        team.github
            .check_runs(pr)
            .iter()
            .all(|run| run.conclusion.is_none()),
        "nothing failed meanwhile"
    );
    drop(holder);

    team.wait_for_check(pr, "gate", "success");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_audit_closes_the_gate_and_shows_nothing() {
    let team = Team::new();
    let _server = team.serve(None);

    let audited = TOTALS.replace(
        "kind FULL",
        "kind FULL, audits (forall(criteria := (amount > 1000000)))",
    );
    let pr = team
        .github
        .open_pull(
            "audit",
            "An audit that fails",
            "grace",
            &[("models/totals.sql", Some(&audited))],
        )
        .await;

    team.wait_for_check(pr, "environment", "failure");
    team.wait_for_check(pr, "gate", "failure");
    let comment = team.sticky(pr).concat();
    assert!(comment.contains("forall"), "{comment}");
    team.wait("the warehouse is free", || team.views_if_free().is_some());
    assert!(
        !team
            .views_if_free()
            .unwrap()
            .iter()
            .any(|view| view.starts_with("shop__shop_1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_of_a_pull_request_cannot_read_the_servers_files() {
    let team = Team::new();
    let _server = team.serve(None);

    let spy = format!(
        "MODEL (name shop.spy, kind FULL);\nSELECT content FROM read_text('{}')\n",
        team.folder.path().join("secret").display()
    );
    let pr = team
        .github
        .open_pull(
            "spy",
            "Read a secret",
            "grace",
            &[("models/spy.sql", Some(&spy))],
        )
        .await;

    team.wait_for_check(pr, "gate", "failure");
    let everything = format!(
        "{:?} {:?}",
        team.github.comments(pr),
        team.github.check_runs(pr)
    );
    assert!(
        !everything.contains(&team.github.hook_secret()),
        "{everything}"
    );
}

async fn survives_death_at(point: FailPoint) {
    let team = Team::new();
    let mut dying = team.serve(Some(point));
    let pr = team
        .github
        .open_pull(
            "bigger",
            "Bigger amounts",
            "grace",
            &[("models/orders.sql", Some(&with_bigger_amounts()))],
        )
        .await;
    if point == FailPoint::CommentSent {
        team.wait("the server dies", || dying.0.try_wait().unwrap().is_some());
    } else {
        team.wait_for_check(pr, "gate", "success");
        team.github.comment(pr, "grace", "/deploy").await;
        team.wait("the server dies", || dying.0.try_wait().unwrap().is_some());
    }

    let server = team.serve(None);
    if point == FailPoint::CommentSent {
        team.wait_for_check(pr, "gate", "success");
        team.github.comment(pr, "grace", "/deploy").await;
    }
    team.wait_until_deployed(pr);
    drop(server);

    assert_eq!(team.github.merges(), 1, "merged once, dying at {point}");
    assert_eq!(team.sticky(pr).len(), 1, "one comment, dying at {point}");
    assert_eq!(
        team.warehouse.rows("SELECT amount FROM shop.totals"),
        [["1000"]]
    );
    let history = team
        .warehouse
        .run(&["environments", "--history", "prod", "--format", "json"])
        .fine();
    let history: serde_json::Value = serde_json::from_str(&history.stdout).unwrap();
    assert_eq!(
        history["promotions"].as_array().unwrap().len(),
        2,
        "switched once, dying at {point}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_before_the_merge_ends_with_one_merge_and_one_switch() {
    for point in [FailPoint::Prepared, FailPoint::Merging] {
        survives_death_at(point).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_after_the_merge_ends_with_one_merge_and_one_switch() {
    for point in [FailPoint::MergeCalled, FailPoint::Swapping] {
        survives_death_at(point).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_after_the_switch_ends_with_one_merge_and_one_switch() {
    for point in [
        FailPoint::SwapCalled,
        FailPoint::Swapped,
        FailPoint::CommentSent,
    ] {
        survives_death_at(point).await;
    }
}
