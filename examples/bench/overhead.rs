//! What Siding adds to the time of a backfill: the same statements, sent by it and by hand.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use crate::median;
use crate::siding;

const CONFIG: &str = "gateways:
  local:
    connection: {type: duckdb, database: warehouse.duckdb, concurrent_tasks: 1}
    state_connection: {type: sqlite, database: state.db}
default_gateway: local
model_defaults: {dialect: duckdb, start: 2024-01-02}
";

/// A year of days over ten million rows.
const EVENTS: &str = "CREATE SCHEMA raw;
CREATE TABLE raw.events AS
  SELECT i AS id, hash(i) % 100000 AS customer, (i % 977) / 10.0 AS amount, DATE '2024-01-01' + (i // 27323)::INT AS day
  FROM range(10000000) AS r(i);";

const DAILY: &str = "MODEL (name mart.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1));
SELECT id, customer, amount * 1.19 AS gross, day FROM raw.events WHERE day BETWEEN @start_date AND @end_date
";

const ROUNDS: usize = 3;

/// A project with a warehouse that holds what it reads.
struct Backfill {
    name: &'static str,
    files: Vec<(String, Vec<u8>)>,
    sources: &'static str,
    now: &'static str,
}

pub(crate) fn measure(folder: &Path) {
    println!(
        "\na backfill, by Siding (the whole command) and by hand (the same statements in one connection, without what Siding asks for itself):"
    );
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut flights = Vec::new();
    read(&here.join("fixtures/projects/flights"), "", &mut flights);
    let flights = flights.into_iter().map(|(path, text)| match path.as_str() {
        "config.yaml" => {
            let text = String::from_utf8(text).expect("the configuration is text");
            let once = "type: duckdb\n      concurrent_tasks: 1";
            (path, text.replacen("type: duckdb", once, 1).into_bytes())
        }
        _ => (path, text),
    });
    let year = [("config.yaml", CONFIG), ("models/daily.sql", DAILY)];
    let year = year.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    for backfill in [
        Backfill {
            name: "the flights project",
            files: flights.collect(),
            sources: "",
            now: "2014-01-01",
        },
        Backfill {
            name: "365 days over 10 million rows",
            files: year.to_vec(),
            sources: EVENTS,
            now: "2025-01-01",
        },
    ] {
        backfill.measure(&folder.join(backfill.name));
    }
}

impl Backfill {
    fn measure(&self, folder: &Path) {
        let traced = folder.join("traced");
        self.prepare(&traced);
        let (_, log) = run(&traced, self.now, "siding::engine::duckdb=trace");
        let statements = log.lines().filter_map(statement);
        // What only Siding wants to know is not sent by hand.
        let asks =
            |sql: &String| sql.starts_with("DESCRIBE ") || sql.contains("information_schema.");
        let statements: Vec<String> = statements.filter(|sql| !asks(sql)).collect();
        let mut ratios = Vec::new();
        let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let here = folder.join(format!("ours {round}"));
            self.prepare(&here);
            let (seconds, _) = run(&here, self.now, "warn");
            ours.push(seconds);
            let hand = folder.join(format!("by hand {round}"));
            self.prepare(&hand);
            let hand = send(&hand, &statements);
            by_hand.push(hand);
            ratios.push(seconds / hand);
            if round == 0 {
                state_size(&here);
            }
        }
        println!(
            "  {}: {:.2} s, by hand {:.2} s, ratio {:.3} (goal 1.05), {} statements",
            self.name,
            median(ours),
            median(by_hand),
            median(ratios),
            statements.len()
        );
    }

    fn prepare(&self, folder: &Path) {
        for (path, text) in &self.files {
            let file = folder.join(path);
            fs::create_dir_all(file.parent().expect("files are in folders"))
                .expect("a temporary folder can be written");
            fs::write(file, text).expect("a temporary folder can be written");
        }
        let warehouse = duckdb::Connection::open(warehouse(folder)).expect("DuckDB opens");
        warehouse
            .execute_batch(self.sources)
            .expect("the sources can be made");
    }
}

/// The one DuckDB file that the configuration in `folder` names.
fn warehouse(folder: &Path) -> std::path::PathBuf {
    let config = fs::read_to_string(folder.join("config.yaml")).expect("there is a configuration");
    let name = if config.contains("flights.duckdb") {
        "flights.duckdb"
    } else {
        "warehouse.duckdb"
    };
    folder.join(name)
}

/// Files below `folder` that belong to the project.
fn read(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("the fixture is there") {
        let entry = entry.expect("the fixture can be read");
        let name = entry.file_name().into_string().expect("names are text");
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{prefix}{name}/"), files);
        } else if !name.contains("duckdb") && !name.ends_with(".db") {
            let text = fs::read(entry.path()).expect("the fixture can be read");
            files.push((format!("{prefix}{name}"), text));
        }
    }
}

/// Seconds that a plan takes from its start to its end, and what it logs.
fn run(folder: &Path, now: &str, level: &str) -> (f64, String) {
    let started = Instant::now();
    let output = Command::new(siding())
        .args(["plan", "--auto-apply", "--execution-time", now])
        .args(["--color", "never"])
        .current_dir(folder)
        .env("RUST_LOG", level)
        .env("XDG_CACHE_HOME", folder.join(".cache"))
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    (started.elapsed().as_secs_f64(), log)
}

/// The statement of a line of the log.
fn statement(line: &str) -> Option<String> {
    let (_, text) = line.split_once("sql=\"")?;
    let mut statement = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some(statement),
            '\\' => match characters.next()? {
                'n' => statement.push('\n'),
                't' => statement.push('\t'),
                'r' => statement.push('\r'),
                other => statement.push(other),
            },
            other => statement.push(other),
        }
    }
}

fn send(folder: &Path, statements: &[String]) -> f64 {
    let started = Instant::now();
    let connection = duckdb::Connection::open(warehouse(folder)).expect("DuckDB opens");
    let data = format!("SET file_search_path = '{}'", folder.display());
    connection.execute_batch(&data).expect("a setting");
    for sql in statements {
        let done = connection.execute_batch(sql);
        assert!(done.is_ok(), "{sql}: {done:?}");
    }
    drop(connection);
    started.elapsed().as_secs_f64()
}

/// Prints how many bytes the state has for each snapshot and interval.
fn state_size(folder: &Path) {
    let state = ["state.db", "siding_state.db"].map(|name| folder.join(name));
    let file = state.iter().find(|file| file.is_file());
    let file = file.expect("there is a state");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (rows, bytes) = runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
            .await
            .expect("the state opens");
        sqlx::query("VACUUM").execute(&pool).await.expect("the state can be tidied");
        let rows: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM siding_snapshots) + (SELECT count(*) FROM siding_batches)",
        )
        .fetch_one(&pool)
        .await
        .expect("the state can be read");
        let bytes: i64 = sqlx::query_scalar("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
            .fetch_one(&pool)
            .await
            .expect("the state can be read");
        pool.close().await;
        (rows, bytes)
    });
    println!(
        "  state: {bytes} bytes for {rows} snapshots and batches, {} each (goal 1024)",
        bytes / rows.max(1)
    );
}
