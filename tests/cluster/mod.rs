//! A PostgreSQL of our own for the tests: made in a temporary folder, reached by a socket in it, gone with the
//! process, however that ends. All tests of a process share it, and each makes databases of its own.
//!
//! Stories that are told on several releases share one server of each.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
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

thread_local! {
    /// The release that this thread's databases are made on, such as 13; `None` means whichever comes first.
    pub(crate) static RELEASE: Cell<Option<u32>> = const { Cell::new(None) };
}

/// How a server is started.
pub(crate) struct Setup {
    /// As [`RELEASE`].
    pub(crate) release: Option<u32>,
    /// `name=value`, on top of what all servers of the tests have.
    pub(crate) settings: Vec<String>,
    /// The lines of `pg_hba.conf`.
    pub(crate) access: &'static str,
    /// What is put before the server's command, such as `prlimit`.
    pub(crate) under: Vec<String>,
    /// Options of `initdb`.
    pub(crate) made_with: Vec<String>,
}

impl Setup {
    pub(crate) fn of(release: Option<u32>) -> Self {
        Self {
            release,
            settings: Vec::new(),
            // For stories about passwords.
            access: "local all locked scram-sha-256\nlocal all all trust\n",
            under: Vec::new(),
            made_with: Vec::new(),
        }
    }
}

/// A server that runs.
pub(crate) struct Cluster {
    /// Of the socket, and of the data below.
    pub(crate) folder: PathBuf,
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
        let release = RELEASE.get();
        let folder = tokio::task::spawn_blocking(move || cluster(release).folder.clone())
            .await
            .unwrap();
        Self::on(&folder).await
    }

    /// Makes one on the server with its socket in this folder.
    pub(crate) async fn on(folder: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
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

fn cluster(release: Option<u32>) -> &'static Cluster {
    static CLUSTERS: Mutex<BTreeMap<Option<u32>, &OnceLock<Cluster>>> = Mutex::new(BTreeMap::new());
    let mut clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = *clusters
        .entry(release)
        .or_insert_with(|| Box::leak(Box::default()));
    drop(clusters);
    cluster.get_or_init(|| {
        start(&Setup::of(release))
            .unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error}"))
    })
}

/// Makes a cluster and starts its server.
pub(crate) fn start(setup: &Setup) -> io::Result<Cluster> {
    let bin = bin(setup.release)?;
    // Not in the folder for temporary files of the user: a socket's path has 107 characters at most.
    let folder = tempfile::Builder::new()
        .prefix("siding-pg-")
        .tempdir_in("/tmp")?
        .keep();
    give(&folder)?;
    let data = folder.join("data");
    let made = command(&bin, &folder, bin.join("initdb").as_os_str())
        .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"])
        .args(["--username", USER])
        .args(&setup.made_with)
        .arg("--pgdata")
        .arg(&data)
        .output()?;
    if !made.status.success() {
        fs::remove_dir_all(&folder).ok();
        let message = String::from_utf8_lossy(&made.stderr).into_owned();
        return Err(io::Error::other(format!("initdb failed: {message}")));
    }
    fs::write(data.join("pg_hba.conf"), setup.access)?;
    run(setup, folder)
}

/// Starts the server of a cluster that is there.
pub(crate) fn run(setup: &Setup, folder: PathBuf) -> io::Result<Cluster> {
    let bin = bin(setup.release)?;
    let data = folder.join("data");
    let settings = [
        "listen_addresses=",
        "fsync=off",
        "full_page_writes=off",
        "synchronous_commit=off",
        "max_connections=200",
        "shared_buffers=32MB",
        "max_wal_size=256MB",
        "autovacuum=off",
        // 13 has another default.
        "password_encryption=scram-sha-256",
    ];
    let mut keeper = command(&bin, &folder, OsStr::new("sh"));
    keeper.args(["-c", KEEPER, "sh"]).arg(&folder);
    keeper
        .args(&setup.under)
        .arg(bin.join("postgres"))
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(&folder);
    for setting in settings
        .into_iter()
        .chain(setup.settings.iter().map(String::as_str))
    {
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

/// A program that runs as the server does, in the cluster's folder.
fn command(bin: &Path, folder: &Path, program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).process_group(0);
    if bin.starts_with(ours().join("usr")) {
        command.env("LD_LIBRARY_PATH", ours().join("lib"));
    }
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Makes a file or folder the server's own.
pub(crate) fn give(path: &Path) -> io::Result<()> {
    if is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
}

fn is_root() -> bool {
    fs::metadata("/proc/self")
        .map(|it| it.uid() == 0)
        .unwrap_or(false)
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

/// Where `scripts/postgres.sh` unpacks servers.
fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".postgres")
}

/// The folder with `initdb` and `postgres` of a release: the pinned build, or Debian's.
///
/// Of whichever comes first: from the environment, the newest pinned build, the search path, Debian's place, or its
/// package as we have unpacked it.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no command line to say where the server is"
)]
pub(crate) fn bin(release: Option<u32>) -> io::Result<PathBuf> {
    let debian = Path::new("/usr/lib/postgresql");
    let folders = match release {
        Some(release) => [ours(), debian.to_owned()]
            .map(|place| place.join(release.to_string()).join("bin"))
            .to_vec(),
        None => {
            let mut folders: Vec<PathBuf> =
                env::var_os(BIN).map(PathBuf::from).into_iter().collect();
            folders.extend(releases_in(&ours()));
            folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
            folders.extend(releases_in(debian));
            folders.extend(releases_in(&ours().join("usr/lib/postgresql")));
            folders
        }
    };
    let is_complete = |folder: &&PathBuf| {
        ["initdb", "postgres"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    let complete: Vec<&PathBuf> = folders.iter().filter(is_complete).collect();
    let usable = complete.iter().find(|folder| may_be_entered(folder));
    usable.map(|folder| (*folder).clone()).ok_or_else(|| {
        let which = release.map_or("PostgreSQL".to_owned(), |it| format!("PostgreSQL {it}"));
        io::Error::other(match complete.first() {
            Some(folder) => format!(
                "a server does not run as root, and nobody else may enter `{}`: put the clone where all may read it",
                folder.display()
            ),
            None => format!("{which} is not on this machine: run `scripts/postgres.sh`; it says what to leave out where it cannot be had"),
        })
    })
}

/// The `bin` folders of the releases in this folder, the newest first.
fn releases_in(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|it| it.path().join("bin")).collect())
        .unwrap_or_default();
    found.sort();
    found.reverse();
    found
}

/// Whether the server may enter the folder: as root's it runs as somebody who may not enter root's own.
fn may_be_entered(folder: &Path) -> bool {
    let is_open = |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 != 0);
    !is_root() || folder.ancestors().all(is_open)
}
