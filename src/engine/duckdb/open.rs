//! Opening a database, once per file and process.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;

use ::duckdb::AccessMode;
use ::duckdb::Config;
use ::duckdb::Connection;

use crate::engine::EngineError;
use crate::engine::duckdb::DuckDbConfig;
use crate::engine::duckdb::DuckDbDatabase;
use crate::engine::duckdb::Sandbox;
use crate::engine::duckdb::catalogs;
use crate::engine::duckdb::instance::Instance;
use crate::sql::quote_identifier;
use crate::sql::quote_string;

/// The files that this process has open. The lock that DuckDB takes on a file only keeps other
/// processes out; a second instance in this one would write over the first.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Instance>>> = Mutex::new(BTreeMap::new());
static CLOSED: Condvar = Condvar::new();

/// Opens the database, or joins it if this process has it open with the same settings.
pub(super) fn open(config: DuckDbConfig) -> Result<Arc<Instance>, EngineError> {
    let files = files(&config)?;
    let Some(file) = files.first() else {
        return open_new(config, files).map(Arc::new);
    };
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(instance) = files.iter().find_map(|file| open.get(file)) {
        let Some(instance) = instance.upgrade() else {
            // Its last user is gone, but it is still writing.
            open = CLOSED.wait(open).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let same = DuckDbConfig {
            concurrency: instance.config().concurrency,
            register_comments: instance.config().register_comments,
            database: instance.config().database.clone(),
            ..config.clone()
        };
        if same == *instance.config() {
            return Ok(instance);
        }
        let message = "this process has it open already, with other settings".to_owned();
        // Dropping what may be the last reference needs the lock.
        drop(open);
        return Err(failed(file, message));
    }
    let instance = Arc::new(open_new(config.clone(), files.clone())?);
    open.extend(
        files
            .into_iter()
            .map(|file| (file, Arc::downgrade(&instance))),
    );
    Ok(instance)
}

/// The files of the database and of all that is attached, the database's first.
fn files(config: &DuckDbConfig) -> Result<Vec<PathBuf>, EngineError> {
    let attached = config.catalogs.iter();
    let attached = attached.map(|catalog| (&catalog.database, catalog.read_only));
    let mut files = Vec::new();
    for (database, read_only) in
        std::iter::once((&config.database, config.read_only)).chain(attached)
    {
        let DuckDbDatabase::File(path) = database else {
            continue;
        };
        let file = resolved(path).map_err(|message| failed(path, message))?;
        if read_only && !file.exists() {
            return Err(failed(path, "the file does not exist".to_owned()));
        }
        if files.contains(&file) {
            return Err(failed(path, "two catalogs are in this file".to_owned()));
        }
        files.push(file);
    }
    Ok(files)
}

/// Called when files are closed for good.
pub(super) fn closed(files: &[PathBuf]) {
    OPEN.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|file, _| !files.contains(file));
    CLOSED.notify_all();
}

fn open_new(config: DuckDbConfig, files: Vec<PathBuf>) -> Result<Instance, EngineError> {
    let name = files
        .first()
        .map_or(Path::new(":memory:"), PathBuf::as_path);
    let fail = |error: &::duckdb::Error| failure(name, &error.to_string());
    let flags = flags(&config).map_err(|error| fail(&error))?;
    let connection = match &config.database {
        DuckDbDatabase::File(_) => Connection::open_with_flags(name, flags),
        DuckDbDatabase::Memory => Connection::open_in_memory_with_flags(flags),
    }
    .map_err(|error| fail(&error))?;
    for catalog in &config.catalogs {
        catalogs::attach(&connection, catalog)?;
    }
    if let Some(sql) = use_catalog(&config) {
        let used = connection.execute_batch(&sql);
        used.map_err(|error| fail(&error))?;
    }
    for statement in settings(&config).map_err(|message| failed(name, message))? {
        connection
            .execute_batch(&statement)
            .map_err(|error| fail(&error))?;
    }
    let catalog: String = connection
        .query_row("SELECT current_database()", [], |row| row.get(0))
        .map_err(|error| fail(&error))?;
    Ok(Instance::new(config, files, catalog, connection))
}

/// Makes names without a catalog those of the default one. Every connection needs it.
pub(super) fn use_catalog(config: &DuckDbConfig) -> Option<String> {
    let catalog = config.default_catalog.as_deref()?;
    Some(format!("USE {}", quote_identifier(catalog)))
}

fn flags(config: &DuckDbConfig) -> ::duckdb::Result<Config> {
    let mut flags = Config::default();
    if config.read_only {
        flags = flags.access_mode(AccessMode::ReadOnly)?;
    }
    if let Some(threads) = config.threads {
        flags = flags.with("threads", threads.to_string())?;
    }
    if let Some(limit) = &config.memory_limit {
        flags = flags.max_memory(limit)?;
    }
    if config.sandbox.is_some() {
        flags = flags
            .enable_autoload_extension(false)?
            .with("allow_community_extensions", "false")?
            .with("allow_persistent_secrets", "false")?
            .with("temp_directory", "")?;
    }
    Ok(flags)
}

/// The statements that settle a new database, in this order. All are global.
fn settings(config: &DuckDbConfig) -> Result<Vec<String>, String> {
    // Otherwise the same query means something else on a machine in another zone.
    let mut settings = vec!["SET GLOBAL TimeZone = 'UTC'".to_owned()];
    if let Some(root) = &config.file_root {
        settings.push(format!(
            "SET GLOBAL file_search_path = {}",
            quote_string(absolute(root)?.as_str())
        ));
    }
    if let Some(Sandbox {
        allowed_directories,
    }) = &config.sandbox
    {
        let directories = allowed_directories
            .iter()
            .map(|directory| Ok(quote_string(&absolute(directory)?)))
            .collect::<Result<Vec<String>, String>>()?;
        settings.extend([
            format!(
                "SET GLOBAL allowed_directories = [{}]",
                directories.join(", ")
            ),
            "SET GLOBAL enable_external_access = false".to_owned(),
            "SET GLOBAL lock_configuration = true".to_owned(),
        ]);
    }
    Ok(settings)
}

fn absolute(path: &Path) -> Result<String, String> {
    let folder = path
        .canonicalize()
        .map_err(|error| format!("folder `{}`: {error}", path.display()))?;
    folder
        .into_os_string()
        .into_string()
        .map_err(|path| format!("folder `{}` is not named in UTF-8", path.display()))
}

/// The one path of a file that need not exist yet, in a folder that must.
pub(super) fn resolved(path: &Path) -> Result<PathBuf, String> {
    let name = path.file_name().ok_or("it names no file")?;
    if path.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if let Ok(file) = path.canonicalize() {
        return Ok(file);
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let folder = folder
        .canonicalize()
        .map_err(|_| format!("folder `{}` does not exist", folder.display()))?;
    Ok(folder.join(name))
}

pub(super) fn failed(path: &Path, message: String) -> EngineError {
    EngineError::Connect {
        database: path.display().to_string(),
        message,
    }
}

pub(super) fn failure(path: &Path, message: &str) -> EngineError {
    if !message.contains("Could not set lock") {
        return failed(path, message.to_owned());
    }
    // "… Conflicting lock is held in /usr/bin/other (PID 12) by user me. See also …"
    let holder = message
        .split_once("lock is held in ")
        .map(|(_, rest)| match rest.find(')') {
            Some(end) => rest[..=end].to_owned(),
            None => rest.trim_end_matches('.').to_owned(),
        });
    EngineError::Locked {
        database: path.display().to_string(),
        holder,
    }
}
