//! A PostgreSQL of our own for the tests: made in a temporary folder, reached by a socket in it, gone with the
//! process, however that ends. All tests of a process share it, and each makes databases of its own.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use sqlx::Connection;
use sqlx::Executor;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

/// Names the folder with `initdb` and `postgres`, to test with another release than the first that is found.
const BIN: &str = "SIDING_TEST_POSTGRES_BIN";

/// Who may do everything, without a password.
pub(crate) const USER: &str = "siding";

/// PostgreSQL refuses to run as root: then it runs as `nobody`.
const NOBODY: u32 = 65534;

/// Starts the server with the arguments, and stops it when the process that holds the other end of the pipe is gone.
const KEEPER: &str = r#"trap '' INT TERM HUP
folder=$1; shift
"$@" >"$folder/log" 2>&1 &
cat >/dev/null
kill -QUIT $!
wait $!
rm -rf "$folder""#;

struct Cluster {
    folder: PathBuf,
    /// Its standard input stays open as long as this process lives.
    _keeper: Child,
}

/// A new, empty database.
pub(crate) struct Database {
    /// The folder of the socket.
    pub(crate) host: String,
    /// Its name.
    pub(crate) name: String,
}

impl Database {
    /// Makes one, and the server as well if this is the first.
    pub(crate) async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let folder = tokio::task::spawn_blocking(|| cluster().folder.clone())
            .await
            .unwrap();
        let host = folder.to_str().unwrap().to_owned();
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let server = Self {
            host: host.clone(),
            name: "postgres".to_owned(),
        };
        server.execute(&format!("CREATE DATABASE {name}")).await;
        Self { host, name }
    }

    /// A connection that is not the program's.
    pub(crate) async fn connect(&self) -> PgConnection {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.host)
            .port(5432)
            .username(USER)
            .database(&self.name);
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// Runs one or more statements.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.connect().await;
        let done = connection
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)))
            .await;
        done.unwrap_or_else(|error| panic!("{error}: {sql}"));
        connection.close().await.unwrap();
    }
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        start().unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error}"))
    })
}

fn start() -> io::Result<Cluster> {
    let bin = bin()?;
    // Not in the folder for temporary files of the user: a socket's path has 107 characters at most.
    let folder = tempfile::Builder::new()
        .prefix("siding-pg-")
        .tempdir_in("/tmp")?
        .keep();
    let is_root = fs::metadata("/proc/self")
        .map(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
        .unwrap_or(false);
    if is_root {
        std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY))?;
    }
    let command = |program: &OsStr| {
        let mut command = Command::new(program);
        command.current_dir(&folder).process_group(0);
        if bin.starts_with(ours()) {
            command.env("LD_LIBRARY_PATH", ours().join("lib"));
        }
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    let data = folder.join("data");
    let made = command(bin.join("initdb").as_os_str())
        .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"])
        .args(["--username", USER])
        .arg("--pgdata")
        .arg(&data)
        .output()?;
    if !made.status.success() {
        fs::remove_dir_all(&folder).ok();
        let message = String::from_utf8_lossy(&made.stderr).into_owned();
        return Err(io::Error::other(format!("initdb failed: {message}")));
    }
    fs::write(
        data.join("pg_hba.conf"),
        // For stories about passwords.
        "local all locked scram-sha-256\nlocal all all trust\n",
    )?;
    let settings = [
        "listen_addresses=",
        "fsync=off",
        "full_page_writes=off",
        "synchronous_commit=off",
        "max_connections=200",
        "shared_buffers=32MB",
        "max_wal_size=256MB",
        "autovacuum=off",
    ];
    let mut keeper = command(OsStr::new("sh"));
    keeper.args(["-c", KEEPER, "sh"]).arg(&folder);
    keeper
        .arg(bin.join("postgres"))
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(&folder);
    for setting in settings {
        keeper.args(["-c", setting]);
    }
    let keeper = keeper
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let cluster = Cluster {
        folder,
        _keeper: keeper,
    };
    wait_until_ready(&cluster.folder, &data)?;
    Ok(cluster)
}

fn wait_until_ready(folder: &Path, data: &Path) -> io::Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        // The eighth line says how far it is.
        let status = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        if status
            .lines()
            .nth(7)
            .is_some_and(|it| it.starts_with("ready"))
        {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    Err(io::Error::other(format!("it does not start: {log}")))
}

/// Where `scripts/postgres.sh` unpacks a server.
fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".postgres")
}

/// The folder with `initdb` and `postgres`: from the environment, the search path, Debian's place, or ours.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no command line to say where the server is"
)]
fn bin() -> io::Result<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os(BIN).map(PathBuf::from).into_iter().collect();
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let ours = ours().join("usr/lib/postgresql");
    for releases in [Path::new("/usr/lib/postgresql"), &ours] {
        let mut found: Vec<PathBuf> = fs::read_dir(releases)
            .map(|entries| entries.flatten().map(|it| it.path().join("bin")).collect())
            .unwrap_or_default();
        found.sort();
        folders.extend(found.into_iter().rev());
    }
    let has_both = |folder: &&PathBuf| {
        ["initdb", "postgres"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    folders.iter().find(has_both).cloned().ok_or_else(|| {
        io::Error::other(
            "neither `initdb` nor `postgres` is on this machine: run `scripts/postgres.sh`",
        )
    })
}
