//! A project as the test holds it, and the files that people would write for it.

use std::fmt::Write;

use crate::names::SOURCES;
use crate::print::print;
use crate::tree::Query;

/// A project that can be edited.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Project {
    /// How many of the source tables there are.
    pub(crate) sources: usize,
    /// Whether their columns are declared.
    pub(crate) declared: bool,
    /// The value of `@floor`.
    pub(crate) floor: usize,
    /// Parents first.
    pub(crate) models: Vec<Model>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    /// Such as `db.m1`.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// How its text is laid out.
    pub(crate) style: u64,
    pub(crate) stamp: Option<String>,
    pub(crate) description: Option<String>,
    /// Declared columns with their types.
    pub(crate) columns: Option<Vec<(String, String)>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Full(Query),
    View(Query),
    Embedded(Query),
    /// By day of the column `d`.
    Incremental(Query),
    Seed(SeedRows),
}

/// The content of a CSV file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeedRows {
    pub(crate) columns: Vec<String>,
    /// One value per column; `None` is NULL.
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Kind {
    pub(crate) fn query(&self) -> Option<&Query> {
        match self {
            Self::Full(query)
            | Self::View(query)
            | Self::Embedded(query)
            | Self::Incremental(query) => Some(query),
            Self::Seed(_) => None,
        }
    }

    pub(crate) fn query_mut(&mut self) -> Option<&mut Query> {
        match self {
            Self::Full(query)
            | Self::View(query)
            | Self::Embedded(query)
            | Self::Incremental(query) => Some(query),
            Self::Seed(_) => None,
        }
    }
}

impl Model {
    pub(crate) fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            style: 0,
            stamp: None,
            description: None,
            columns: None,
        }
    }

    /// The text of the model's file.
    pub(crate) fn text(&self) -> String {
        let mut header = format!("MODEL (\n  name {}", self.name);
        let kind = match &self.kind {
            Kind::Full(_) => "FULL".to_owned(),
            Kind::View(_) => "VIEW".to_owned(),
            Kind::Embedded(_) => "EMBEDDED".to_owned(),
            Kind::Incremental(_) => "INCREMENTAL_BY_TIME_RANGE (time_column d)".to_owned(),
            Kind::Seed(_) => format!("SEED (path '../{}')", self.seed_path()),
        };
        let _ = write!(header, ",\n  kind {kind}");
        if let Some(stamp) = &self.stamp {
            let _ = write!(header, ",\n  stamp '{stamp}'");
        }
        if let Some(description) = &self.description {
            let _ = write!(header, ",\n  description '{description}'");
        }
        if let Some(columns) = &self.columns {
            let columns: Vec<String> = columns
                .iter()
                .map(|(name, data_type)| format!("\"{name}\" {data_type}"))
                .collect();
            let _ = write!(header, ",\n  columns ({})", columns.join(", "));
        }
        header.push_str("\n);\n");
        if let Some(query) = self.kind.query() {
            header.push('\n');
            header.push_str(&print(query, self.style));
            header.push('\n');
        }
        header
    }

    fn seed_path(&self) -> String {
        format!("seeds/{}.csv", self.name.replace('.', "_"))
    }

    /// What DuckDB is asked to make the model from; `None` for a seed without a query.
    pub(crate) fn bare_sql(&self, floor: usize) -> String {
        match &self.kind {
            Kind::Seed(seed) => seed.sql(self.columns.as_deref()),
            kind => {
                let query = kind.query().expect("all but seeds have one");
                print(query, 0)
                    .replace("@floor", &floor.to_string())
                    .replace("@start_date", "DATE '2024-01-01'")
                    .replace("@end_date", "DATE '2024-01-07'")
            }
        }
    }
}

impl SeedRows {
    fn csv(&self) -> String {
        let mut text = self.columns.join(",");
        text.push('\n');
        for row in &self.rows {
            let cells: Vec<&str> = row
                .iter()
                .map(|cell| cell.as_deref().unwrap_or_default())
                .collect();
            text.push_str(&cells.join(","));
            text.push('\n');
        }
        text
    }

    fn sql(&self, columns: Option<&[(String, String)]>) -> String {
        let items: Vec<String> = self
            .columns
            .iter()
            .map(|name| {
                let declared = columns
                    .into_iter()
                    .flatten()
                    .find(|(known, _)| known == name);
                let data_type = declared.map_or("VARCHAR", |(_, data_type)| data_type);
                format!("CAST(\"{name}\" AS {data_type}) AS \"{name}\"")
            })
            .collect();
        let names: Vec<String> = self
            .columns
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let cells: Vec<String> = row
                    .iter()
                    .map(|cell| {
                        cell.as_ref()
                            .map_or("NULL".to_owned(), |text| format!("'{text}'"))
                    })
                    .collect();
                format!("({})", cells.join(", "))
            })
            .collect();
        format!(
            "SELECT {} FROM (VALUES {}) AS t({})",
            items.join(", "),
            rows.join(", "),
            names.join(", ")
        )
    }
}

pub(crate) const CONFIG: &str = "\
gateways:
  local:
    connection:
      type: duckdb
      database: db.db
default_gateway: local
model_defaults:
  dialect: duckdb
  start: 2024-01-01
  cron: '@daily'
variables:
  floor: ";

impl Project {
    /// Path and text of every file.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![(
            "config.yaml".to_owned(),
            format!("{CONFIG}{}\n", self.floor),
        )];
        if self.declared {
            files.push(("external_models.yaml".to_owned(), self.external()));
        }
        for model in &self.models {
            let path = format!("models/{}.sql", model.name.replace('.', "_"));
            files.push((path, model.text()));
            if let Kind::Seed(seed) = &model.kind {
                files.push((model.seed_path(), seed.csv()));
            }
        }
        files
    }

    fn external(&self) -> String {
        let mut text = String::new();
        for (name, columns) in &SOURCES[..self.sources] {
            let _ = write!(text, "- name: {name}\n  columns:\n");
            for (column, data_type) in *columns {
                let _ = writeln!(text, "    {column}: '{data_type}'");
            }
        }
        text
    }

    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// The files of the models, one after the other, for people.
    pub(crate) fn shown(&self) -> String {
        let mut text = String::new();
        if self.floor != 1 {
            let _ = writeln!(text, "-- variables: floor = {}", self.floor);
        }
        if !self.declared {
            text.push_str("-- the columns of the source tables are not declared\n");
        }
        for model in &self.models {
            text.push_str(&model.text());
            if let Kind::Seed(seed) = &model.kind {
                let _ = writeln!(text, "/* {}:\n{}*/", model.seed_path(), seed.csv());
            }
        }
        text
    }
}
