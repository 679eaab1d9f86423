//! The catalogs that the views of environments are in, and the files of those that get one of their own.
//!
//! With the suffix in the catalog, the views of `dev` over `wh.duckdb` are in `wh__dev.duckdb` beside it. A catalog is in
//! the ledger before its file is made, and every session attaches those that are.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::DuckDbCatalog;
use crate::engine::DuckDbDatabase;
use crate::environment::EnvironmentName;
use crate::environment::Naming;
use crate::environment::Suffix;
use crate::project::Config;
use crate::project::Connection;
use crate::project::SuffixTarget;
use crate::project::VirtualEnvironmentMode;
use crate::sql::TableName;
use crate::state::LedgerEntry;
use crate::state::LedgerKind;
use crate::state::StateStore;

/// What the views of `environment` are called.
pub(super) fn naming(config: &Config, environment: &EnvironmentName) -> Naming {
    let suffix = match config.suffix_target {
        SuffixTarget::Schema => Suffix::Schema,
        SuffixTarget::Table => Suffix::Table,
        SuffixTarget::Catalog => Suffix::Catalog,
    };
    let default = config.default_catalog();
    let catalog = match suffix {
        Suffix::Catalog => default,
        Suffix::Schema | Suffix::Table => {
            let mapped = config.environment_catalogs.of(environment.as_str());
            mapped.map(|catalog| {
                let is_default = |default: &String| default.eq_ignore_ascii_case(catalog);
                match default.as_ref().is_some_and(is_default) {
                    true => String::new(),
                    false => catalog.to_lowercase(),
                }
            })
        }
    };
    Naming {
        suffix,
        catalog,
        own_tables: environment.is_prod() && config.mode == VirtualEnvironmentMode::DevOnly,
    }
}

/// The catalogs of a DuckDB connection, which those of environments lie beside.
pub(super) struct EnvironmentCatalogs {
    /// The file of each, by name; `None` in memory.
    bases: BTreeMap<String, Option<PathBuf>>,
    default: String,
}

/// Catalogs that an environment's views are to be in.
pub(super) struct Wanted<'a> {
    catalogs: &'a EnvironmentCatalogs,
    names: BTreeSet<String>,
    environment: &'a EnvironmentName,
}

impl EnvironmentCatalogs {
    /// Those of the selected gateway; none where it is not DuckDB. Relative paths start from `data`.
    pub(super) fn of(config: &Config, data: &Path) -> Self {
        let connection = config.gateway().map(|gateway| &gateway.connection);
        let default = config.default_catalog().unwrap_or_default();
        let mut bases = BTreeMap::new();
        if let Some(Connection::DuckDb {
            database, catalogs, ..
        }) = connection
        {
            let file = |path: &Option<String>| path.as_ref().map(|path| data.join(path));
            bases.insert(default.clone(), file(database));
            let catalogs = catalogs.iter();
            bases.extend(catalogs.map(|catalog| (catalog.name.clone(), file(&catalog.database))));
        }
        Self { bases, default }
    }

    /// Where the catalog `name` of `environment` is; `None` where what it lies beside is not there.
    fn database(&self, name: &str, environment: &str) -> Option<DuckDbDatabase> {
        let base = name.strip_suffix(&format!("__{environment}"))?;
        let mut bases = self.bases.iter();
        let (_, file) = bases.find(|(known, _)| known.eq_ignore_ascii_case(base))?;
        Some(match file {
            None => DuckDbDatabase::Memory,
            Some(file) => {
                let end = file.extension().map(std::ffi::OsStr::to_owned);
                let mut beside = file.with_file_name(name);
                if let Some(end) = end {
                    beside.as_mut_os_string().push(".");
                    beside.as_mut_os_string().push(end);
                }
                DuckDbDatabase::File(beside)
            }
        })
    }

    /// The catalogs of all environments that have some.
    pub(super) async fn recorded(&self, state: &StateStore) -> anyhow::Result<Vec<DuckDbCatalog>> {
        if self.bases.is_empty() {
            return Ok(Vec::new());
        }
        let recorded = state
            .ledger_catalogs()
            .await
            .context("reading the ledger")?;
        let catalogs = recorded.into_iter().filter_map(|(name, environment)| {
            let database = self.database(&name, &environment)?;
            let catalog = DuckDbCatalog {
                name,
                database,
                read_only: false,
            };
            (!self.bases.contains_key(&catalog.name)).then_some(catalog)
        });
        Ok(catalogs.collect())
    }

    /// The catalogs for views of models in the catalogs `bases`; `None` is the default one.
    pub(super) fn wanted<'a>(
        &'a self,
        bases: BTreeSet<Option<&str>>,
        environment: &'a EnvironmentName,
    ) -> Wanted<'a> {
        let names = bases.into_iter().map(|base| {
            let base = base.unwrap_or(&self.default);
            format!("{base}__{environment}")
        });
        Wanted {
            names: names.collect(),
            catalogs: self,
            environment,
        }
    }
}

impl Wanted<'_> {
    /// Writes down those that are not there: they are made when the warehouse is opened.
    pub(super) async fn write_down(
        &self,
        state: &StateStore,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let recorded = state
            .ledger_catalogs()
            .await
            .context("reading the ledger")?;
        let mut entries = Vec::new();
        for name in &self.names {
            if self.catalogs.bases.contains_key(name)
                || recorded.iter().any(|(known, _)| known == name)
            {
                continue;
            }
            let environment = self.environment.as_str();
            let database = self.catalogs.database(name, environment);
            let database = database.with_context(|| {
                format!(
                    "the catalog `{name}` cannot be made beside one that the connection does not have; list it under \
                     `catalogs`"
                )
            })?;
            if let DuckDbDatabase::File(path) = &database
                && path.exists()
            {
                anyhow::bail!(
                    "the file `{}`, which the views of `{environment}` would be in, is there already and not Siding's; \
                     move it away, or choose another name for the environment",
                    path.display()
                );
            }
            entries.push(LedgerEntry {
                table: TableName {
                    catalog: Some(name.clone()),
                    schema: None,
                    name: String::new(),
                },
                kind: LedgerKind::Catalog,
                model: None,
                environment: environment.to_owned(),
                reason: format!("views of `{environment}`"),
            });
        }
        if entries.is_empty() {
            return Ok(());
        }
        state
            .write_down(&entries, now)
            .await
            .context("writing down what will exist")
    }
}
