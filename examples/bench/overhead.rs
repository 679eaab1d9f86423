//! What Siding adds to the time of a backfill: the whole command, and the same statements sent by hand.
//!
//! Both sides are a process of their own, from its start to its end, over a copy of the same warehouse file, which is on the
//! disk and in the file cache; they take turns at being first. Siding's side is `siding plan --auto-apply` in a project that
//! has no state yet: loading, planning, filling, auditing, recording, the switch, the checkpoint at the end; as it does by
//! default, and with one transaction at a time. The side by hand is this program: it opens the file and sends, on one connection and in the same transactions, every statement
//! that a run of Siding's was seen to send, in the same order: schemas, tables, rows, audits, comments, views. What Siding
//! asks for its own sake (`DESCRIBE`, the catalog's views) is left out, and so is everything about its state. Both sides have the
//! settings that DuckDB has by itself, and the same durability: each commit is on the disk before the next statement.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use crate::median;
use crate::siding;

const CONFIG: &str = "gateways:
  local:
    connection:
      type: duckdb
      database: warehouse.duckdb
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

const ROUNDS: usize = 9;

/// How many transactions Siding has at once.
#[derive(Clone, Copy)]
enum Mode {
    Usual,
    OneAtATime,
}

/// What the side by hand is called with.
pub(crate) const BY_HAND: &str = "by-hand";

/// A project with a warehouse that holds what it reads.
struct Backfill {
    name: &'static str,
    files: Vec<(String, Vec<u8>)>,
    sources: &'static str,
    now: &'static str,
}

pub(crate) fn measure(folder: &Path) {
    println!(
        "\na backfill, by Siding (the whole command) and by hand (a process that sends the same statements on one connection):"
    );
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut flights = Vec::new();
    read(&here.join("fixtures/projects/flights"), "", &mut flights);
    let year = [("config.yaml", CONFIG), ("models/daily.sql", DAILY)];
    let year = year.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    for backfill in [
        Backfill {
            name: "the flights project",
            files: flights,
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
        let sources = folder.join("sources");
        self.prepare(&sources);
        let traced = self.copy(&sources, &folder.join("traced"), Mode::OneAtATime);
        let (_, log) = run(&traced, self.now, "siding::engine::duckdb=trace");
        let statements: Vec<String> = log.lines().filter_map(statement).collect();
        // What only Siding wants to know is not sent by hand.
        let asks =
            |sql: &String| sql.starts_with("DESCRIBE ") || sql.contains("information_schema.");
        let sent: Vec<&String> = statements.iter().filter(|sql| !asks(sql)).collect();
        let file = folder.join("statements.json");
        let text = serde_json::to_vec(&sent).expect("texts can be written");
        fs::write(&file, text).expect("a temporary folder can be written");
        state_size(
            &traced,
            &self.copy(&sources, &folder.join("empty"), Mode::Usual),
        );
        let mut seconds = [const { Vec::new() }; 3];
        for round in 0..ROUNDS {
            for turn in 0..seconds.len() {
                let side = (round + turn) % seconds.len();
                let mode = [Mode::Usual, Mode::OneAtATime, Mode::Usual][side];
                let here = self.copy(&sources, &folder.join(format!("{round} {turn}")), mode);
                seconds[side].push(match side {
                    2 => send(&here, &file),
                    _ => run(&here, self.now, "warn").0,
                });
                fs::remove_dir_all(&here).expect("a temporary folder can be removed");
            }
        }
        let [usual, one_at_a_time, by_hand] = seconds;
        println!(
            "  {}: {} statements, by hand {:.3} s (goal of the ratio: 1.05)",
            self.name,
            sent.len(),
            median(by_hand.clone()),
        );
        let fastest = |seconds: &[f64]| seconds.iter().copied().fold(f64::INFINITY, f64::min);
        for (mode, ours) in [("by default", usual), ("one at a time", one_at_a_time)] {
            let ratios = ours.iter().zip(&by_hand).map(|(ours, hand)| ours / hand);
            let ratio = median(ratios.collect());
            println!(
                "    {mode}: {:.3} s; ratio {ratio:.3} (median of {ROUNDS} rounds), {:.3} (of the fastest two)",
                median(ours.clone()),
                fastest(&ours) / fastest(&by_hand),
            );
        }
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

    /// A project in `folder` that is on the disk, so that no side waits for what another one has written.
    fn copy(&self, sources: &Path, folder: &Path, mode: Mode) -> PathBuf {
        let mut files: Vec<PathBuf> = self.files.iter().map(|(path, _)| path.into()).collect();
        let warehouse = warehouse(sources);
        files.push(warehouse.file_name().expect("it is a file").into());
        for file in files {
            let to = folder.join(&file);
            fs::create_dir_all(to.parent().expect("files are in folders"))
                .expect("a temporary folder can be written");
            fs::copy(sources.join(&file), &to).expect("a file can be copied");
            if file == Path::new("config.yaml")
                && let Mode::OneAtATime = mode
            {
                let text = fs::read_to_string(&to).expect("the configuration is text");
                let once = "type: duckdb\n      concurrent_tasks: 1";
                fs::write(&to, text.replacen("type: duckdb", once, 1))
                    .expect("a temporary folder can be written");
            }
            let copied = File::open(&to).and_then(|file| file.sync_all());
            copied.expect("a file can be brought to the disk");
        }
        folder.to_owned()
    }
}

/// The one DuckDB file that the configuration in `folder` names.
fn warehouse(folder: &Path) -> PathBuf {
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

/// Seconds that a process of its own takes to send `statements`, a file, to the warehouse of `folder`.
fn send(folder: &Path, statements: &Path) -> f64 {
    let this = std::env::current_exe().expect("this program has a path");
    let started = Instant::now();
    let done = Command::new(this)
        .arg(BY_HAND)
        .args([folder, statements])
        .stdin(Stdio::null())
        .status()
        .expect("this program starts");
    assert!(done.success(), "{done}");
    started.elapsed().as_secs_f64()
}

/// The side by hand: sends the statements of a file on one connection, one by one.
pub(crate) fn by_hand(folder: &Path, statements: &Path) {
    let text = fs::read(statements).expect("the statements can be read");
    let statements: Vec<String> = serde_json::from_slice(&text).expect("they are texts");
    let connection = duckdb::Connection::open(warehouse(folder)).expect("DuckDB opens");
    let data = format!("SET file_search_path = '{}'", folder.display());
    connection.execute_batch(&data).expect("a setting");
    for sql in &statements {
        let done = connection.execute_batch(sql);
        assert!(done.is_ok(), "{sql}: {done:?}");
    }
}

/// Prints how many bytes the state has for each snapshot and batch, beside what one has in which there is nothing.
fn state_size(folder: &Path, empty: &Path) {
    let listed = Command::new(siding())
        .arg("environments")
        .current_dir(empty)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("the binary starts");
    assert!(listed.success(), "{listed}");
    let ((rows, bytes), (_, tables)) = (rows_and_bytes(folder), rows_and_bytes(empty));
    println!(
        "  state: {bytes} bytes, of which {tables} are its empty tables; {} for each of {rows} snapshots and batches (goal 1024)",
        (bytes - tables) / rows.max(1)
    );
}

/// How many snapshots and batches the state of a project has, and how many bytes.
fn rows_and_bytes(folder: &Path) -> (i64, i64) {
    let state = ["state.db", "siding_state.db"].map(|name| folder.join(name));
    let file = state.iter().find(|file| file.is_file());
    let file = file.expect("there is a state");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
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
    })
}
