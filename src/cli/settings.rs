//! What every command takes, and what it takes from outside: clock, environment, folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use chrono::DateTime;
use chrono::Utc;
use clap::ValueEnum;

use crate::cli::Usage;
use crate::model::ChangedFiles;
use crate::model::DateExpr;
use crate::model::Moment;
use crate::model::Selector;
use crate::ops::CachePlace;
use crate::ops::Session;
use crate::ops::SessionOptions;
use crate::ops::changed_files;

/// Options that stand before or after any command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Settings {
    /// Folder of the project
    #[arg(
        short = 'p',
        long = "project",
        global = true,
        default_value = ".",
        value_name = "DIR"
    )]
    pub(super) project: PathBuf,
    /// Gateway of `config.yaml` to use instead of the default one
    #[arg(long, global = true, env = "SIDING_GATEWAY", value_name = "NAME")]
    pub(super) gateway: Option<String>,
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// When to use colours; `NO_COLOR` turns them off too
    #[arg(long, global = true, value_enum, default_value_t = Colors::Auto, value_name = "WHEN")]
    pub(super) color: Colors,
    /// Read every file again instead of using what was remembered of it
    #[arg(long, global = true)]
    pub(super) no_cache: bool,
    /// Log more to standard error; repeat for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs; one JSON document with a `version`
    Json,
    /// For GitHub
    Markdown,
    /// A diagram, of `siding lineage` only
    Mermaid,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Colors {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Settings {
    /// What opening the project takes.
    pub(super) fn session(&self) -> SessionOptions {
        SessionOptions {
            gateway: self.gateway.clone(),
            environment: environment_variables(),
            user: user(),
            cache: if self.no_cache { None } else { cache_place() },
            ..SessionOptions::in_folder(&self.project)
        }
    }
}

/// The user's own folder for caches, as the XDG directories say; `None` where there is none.
fn cache_place() -> Option<CachePlace> {
    let variables = environment_variables();
    let folder = |name: &str| {
        let folder = PathBuf::from(variables.get(name)?);
        folder.is_absolute().then_some(folder)
    };
    let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    // A program that was built anew may read files in another way.
    let program = std::env::current_exe().ok()?.metadata().ok()?;
    let (size, built) = (program.len(), program.modified().ok()?);
    Some(CachePlace {
        folder: caches.join("siding"),
        program: format!("{} {size} {built:?}", env!("CARGO_PKG_VERSION")),
    })
}

/// The files of the project in the folder `project` that differ from the branches which `selectors` name.
pub(super) fn changed(project: &Path, selectors: &[Selector]) -> Result<ChangedFiles, Usage> {
    changed_files(project, selectors).map_err(|error| Usage(format!("{error:#}")))
}

/// `selectors`, knowing which files differ from the branches that they name.
pub(super) fn compared(session: &Session, selectors: &[Selector]) -> anyhow::Result<Vec<Selector>> {
    let changed = changed(session.folder(), selectors)?;
    let selectors = selectors.iter().cloned();
    Ok(selectors
        .map(|selector| selector.with_changed(&changed))
        .collect())
}

/// The variables of this process; those that are not text are left out.
pub(super) fn environment_variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The login name, as `user()` in a configuration and as the history show it.
pub(super) fn user() -> String {
    let variables = environment_variables();
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| variables.get(*name).cloned())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The clock; everything below takes the time as an argument.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line is where the time comes in"
)]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// `--execution-time`, or the clock.
pub(super) fn execution_time(text: Option<&str>) -> anyhow::Result<DateTime<Utc>> {
    let now = now();
    text.map_or(Ok(now), |text| {
        Ok(moment("--execution-time", text, now)?.as_start())
    })
}

/// A date option, resolved against `now`.
pub(super) fn moment(option: &str, text: &str, now: DateTime<Utc>) -> anyhow::Result<Moment> {
    let expression = DateExpr::parse(text).map_err(|error| {
        let help = error.help();
        Usage(format!("{option}: {error}. {help}"))
    });
    Ok(expression?.resolve(now))
}
