//! Opening files, what SQL may reach of them, and the process around it.

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;

use super::count;
use super::file;
use super::memory;
use super::opened;
use super::run;
use crate::engine::EngineError;
use crate::engine::duckdb::DuckDbConfig;
use crate::engine::duckdb::DuckDbDatabase;
use crate::engine::duckdb::Sandbox;

/// Names the file that a child process of the lock test holds open.
const HELD_FILE: &str = "SIDING_TEST_HELD_FILE";

/// Set for the child process that [`in_child`] starts.
const IN_CHILD: &str = "SIDING_TEST_IN_CHILD";

/// What the test that started this process as its child said.
#[expect(
    clippy::disallowed_methods,
    reason = "arguments of a test binary are its harness's"
)]
fn from_parent(variable: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(variable)
}

/// Runs one test of this file again in a process of its own, which must pass.
fn in_child(test: &str, prepare: impl Fn(&mut Command) -> &mut Command) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .arg("--exact")
        .arg(format!("engine::duckdb::tests::files::{test}"))
        .env(IN_CHILD, "1");
    let output = prepare(&mut child).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("1 passed"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_file_that_another_process_holds_is_named_with_that_process() {
    if let Some(path) = from_parent(HELD_FILE) {
        return hold(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.duckdb");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("engine::duckdb::tests::files::a_file_that_another_process_holds_is_named_with_that_process")
        .env(HELD_FILE, &path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("holding")));

    let error = opened(file(&path)).await.err().unwrap();
    let EngineError::Locked { database, holder } = &error else {
        panic!("{error}");
    };
    assert!(database.ends_with("w.duckdb"));
    let pid = format!("(PID {})", child.id());
    assert!(holder.as_deref().unwrap().contains(&pid), "{error}");
    assert!(error.help().is_some());

    drop(child.stdin.take());
    child.wait().unwrap();
    opened(file(&path)).await.unwrap();
}

/// The other process of the test above: holds the file until its input ends.
async fn hold(path: &Path) {
    let _engine = opened(file(path)).await.unwrap();
    println!("holding");
    std::io::read_to_string(std::io::stdin()).unwrap();
}

#[tokio::test]
async fn a_file_is_opened_once_per_process_and_closed_by_its_last_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.duckdb");
    let first = opened(file(&path)).await.unwrap();
    run(&*first, &["CREATE TABLE t (x INT)"]).await;
    let second = opened(DuckDbConfig {
        concurrency: NonZeroUsize::new(4).unwrap(),
        ..file(&folder.path().join(".").join("w.duckdb"))
    })
    .await
    .unwrap();
    assert_eq!(second.concurrency(), 4);
    assert_eq!(second.default_catalog().as_deref(), Some("w"));
    drop(first);
    assert_eq!(count(&*second, "t").await, 0);

    let reading = DuckDbConfig {
        read_only: true,
        ..file(&path)
    };
    let error = opened(reading.clone()).await.err().unwrap();
    assert!(error.to_string().contains("other settings"), "{error}");
    drop(second);
    let reader = opened(reading).await.unwrap();
    assert_eq!(count(&*reader, "t").await, 0);
    reader.execute("DROP TABLE t").await.unwrap_err();
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.duckdb");
    std::fs::write(&text, "no database".repeat(2000)).unwrap();
    let missing = folder.path().join("missing.duckdb");
    let read_missing = DuckDbConfig {
        read_only: true,
        ..file(&missing)
    };
    for (config, reason) in [
        (
            file(&folder.path().join("none").join("w.duckdb")),
            "does not exist",
        ),
        (file(folder.path()), "it is a folder"),
        (file(&text), "not a valid DuckDB database file"),
        (read_missing, "the file does not exist"),
    ] {
        let error = opened(config).await.err().unwrap();
        assert!(matches!(error, EngineError::Connect { .. }));
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert!(!missing.exists());
}

#[tokio::test]
async fn relative_files_start_from_the_project() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("n.csv"), "n\n7\n").unwrap();
    let engine = opened(DuckDbConfig {
        file_root: Some(folder.path().to_owned()),
        ..DuckDbConfig::new(DuckDbDatabase::Memory)
    })
    .await
    .unwrap();
    let mut transactions = Vec::new();
    for _ in 0..3 {
        let mut transaction = engine.begin().await.unwrap();
        let rows = transaction.query("SELECT n FROM 'n.csv'").await.unwrap();
        assert_eq!(rows.single_u64().unwrap(), 7);
        transactions.push(transaction);
    }
}

#[tokio::test]
async fn a_sandboxed_query_reaches_only_the_allowed_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    let outside = folder.path().join("outside");
    for place in [&inside, &outside] {
        std::fs::create_dir(place).unwrap();
        std::fs::write(place.join("n.csv"), "n\n7\n").unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
    let engine = opened(DuckDbConfig {
        sandbox: Some(Sandbox {
            allowed_directories: vec![inside.clone()],
        }),
        ..file(&folder.path().join("w.duckdb"))
    })
    .await
    .unwrap();
    let inside = inside.display();
    let allowed = format!("SELECT * FROM '{inside}/n.csv'");
    run(&*engine, &[&format!("CREATE TABLE t AS {allowed}")]).await;
    assert_eq!(count(&*engine, "t").await, 1);
    // Connections that are made after the lock have the same settings.
    let mut transaction = engine.begin().await.unwrap();
    let mut other = engine.begin().await.unwrap();
    other.query(&allowed).await.unwrap();
    transaction.query(&allowed).await.unwrap();

    let outside = outside.display();
    for sql in [
        format!("SELECT * FROM '{outside}/n.csv'"),
        format!("SELECT * FROM read_text('{outside}/n.csv')"),
        format!("SELECT * FROM glob('{outside}/*')"),
        format!("SELECT * FROM '{inside}/../outside/n.csv'"),
        format!("SELECT * FROM '{inside}/link/n.csv'"),
        "SELECT * FROM read_text('/etc/passwd')".to_owned(),
        "SELECT * FROM 'https://example.com/n.csv'".to_owned(),
        format!("COPY t TO '{outside}/stolen.csv'"),
        format!("EXPORT DATABASE '{outside}/stolen'"),
        format!("ATTACH '{outside}/new.duckdb'"),
        "INSTALL httpfs".to_owned(),
        "LOAD httpfs".to_owned(),
        "SET enable_external_access = true".to_owned(),
        "SET GLOBAL allowed_directories = ['/']".to_owned(),
        "SET lock_configuration = false".to_owned(),
        "RESET lock_configuration".to_owned(),
        "SET temp_directory = '/tmp'".to_owned(),
        "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')".to_owned(),
    ] {
        engine.query(&sql).await.expect_err(&sql);
    }
    assert!(!folder.path().join("outside").join("stolen.csv").exists());
}

#[tokio::test]
async fn a_sandboxed_project_reads_its_own_files_by_relative_names() {
    if from_parent(IN_CHILD).is_some() {
        return read_here().await;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("n.csv"), "n\n7\n").unwrap();
    in_child(
        "a_sandboxed_project_reads_its_own_files_by_relative_names",
        |child| child.current_dir(folder.path()),
    );
}

/// The other process of the test above: runs in the project's folder.
async fn read_here() {
    let engine = opened(DuckDbConfig {
        file_root: Some(".".into()),
        sandbox: Some(Sandbox {
            allowed_directories: vec![".".into()],
        }),
        ..DuckDbConfig::new(DuckDbDatabase::Memory)
    })
    .await
    .unwrap();
    let rows = engine.query("SELECT n FROM 'n.csv'").await.unwrap();
    assert_eq!(rows.single_u64().unwrap(), 7);
    let error = engine.query("SELECT * FROM '../n.csv'").await.unwrap_err();
    assert!(error.to_string().contains("Permission Error"), "{error}");
}

#[tokio::test]
async fn every_connection_counts_time_in_utc_wherever_the_machine_is() {
    if from_parent(IN_CHILD).is_none() {
        return in_child(
            "every_connection_counts_time_in_utc_wherever_the_machine_is",
            |child| child.env("TZ", "Asia/Tokyo"),
        );
    }
    let engine = memory().await;
    let hour = "SELECT strftime(TIMESTAMPTZ '2024-01-01 00:00:00+05', '%H') AS hour";
    let mut first = engine.begin().await.unwrap();
    let mut second = engine.begin().await.unwrap();
    for rows in [first.query(hour).await, second.query(hour).await] {
        let hours = rows.unwrap().strings("hour").unwrap();
        assert_eq!(hours, [Some("19".to_owned())]);
    }
}
