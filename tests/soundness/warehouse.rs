//! DuckDB, where the truth is found: one database in memory per data set.

use std::cell::RefCell;
use std::collections::BTreeMap;

use duckdb::Connection;

use crate::data::FLAVOURS;
use crate::data::Flavour;
use crate::data::statements;
use crate::names::Catalog;
use crate::project::Model;
use crate::project::Project;
use crate::random::Random;

/// One database with one data set at a time.
pub(crate) struct World {
    connection: Connection,
    pub(crate) flavour: Flavour,
    /// The statements that made the sources.
    pub(crate) setup: String,
    /// By number, whether it could be made.
    made: BTreeMap<usize, Result<(), String>>,
    contents: BTreeMap<String, Content>,
}

/// A table: its columns with their types, and its rows in no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) columns: Vec<(String, String)>,
    /// Each row as text, sorted.
    pub(crate) rows: String,
}

/// Statements that make tables and views, each named by what makes it: the same text is made once.
#[derive(Default)]
pub(crate) struct Program {
    makes: Vec<Make>,
    known: BTreeMap<String, usize>,
}

struct Make {
    id: String,
    sql: String,
    view: bool,
    /// The objects that it reads.
    reads: Vec<usize>,
}

impl Program {
    /// The name of the object that the query makes.
    pub(crate) fn make(&mut self, sql: &str, view: bool) -> String {
        let key = format!("{view} {sql}");
        if let Some(index) = self.known.get(&key) {
            return self.makes[*index].id.clone();
        }
        let id = format!("t{}", self.makes.len());
        self.known.insert(key, self.makes.len());
        self.makes.push(Make {
            id: id.clone(),
            sql: sql.to_owned(),
            view,
            reads: reads(sql),
        });
        id
    }

    fn number(&self, id: &str) -> usize {
        let number = id.strip_prefix('t').and_then(|number| number.parse().ok());
        number.expect("the program gave the name")
    }
}

/// The numbers of the objects that the text names.
fn reads(sql: &str) -> Vec<usize> {
    let plain = sql.replace('"', "");
    let numbers = plain.match_indices("w.t").filter_map(|(place, word)| {
        let rest = &plain[place + word.len()..];
        let end = rest.find(|c: char| !c.is_ascii_digit());
        rest[..end.unwrap_or(rest.len())].parse().ok()
    });
    numbers.collect()
}

fn open() -> Connection {
    let connection = Connection::open_in_memory().expect("DuckDB opens in memory");
    // The plan that DuckDB 1.5 has for a small ASOF JOIN dies of a segmentation fault now and then.
    connection
        .execute_batch(
            "SET threads = 1; SET preserve_insertion_order = true; SET asof_loop_join_threshold = 0;",
        )
        .expect("DuckDB knows its settings");
    connection
}

impl World {
    pub(crate) fn new(flavour: Flavour) -> Self {
        Self {
            connection: open(),
            flavour,
            setup: String::new(),
            made: BTreeMap::new(),
            contents: BTreeMap::new(),
        }
    }

    /// One world per flavour.
    pub(crate) fn all() -> Vec<Self> {
        FLAVOURS.into_iter().map(Self::new).collect()
    }

    /// Forgets everything and fills the sources anew.
    pub(crate) fn reset(&mut self, seed: u64) {
        let setup = statements(&mut Random::new(seed), self.flavour);
        self.reset_with(setup);
    }

    /// Forgets everything and makes the sources with these statements.
    pub(crate) fn reset_with(&mut self, setup: String) {
        self.setup = setup;
        self.made.clear();
        self.contents.clear();
        let clean = "DROP SCHEMA IF EXISTS w CASCADE; DROP SCHEMA IF EXISTS raw CASCADE; \
                     CREATE SCHEMA w; CREATE SCHEMA raw;";
        let sql = format!("{clean}\n{}", self.setup);
        self.connection
            .execute_batch(&sql)
            .expect("the sources are made");
    }

    /// Makes an object and what it reads, unless they are there.
    fn make(&mut self, program: &Program, number: usize) -> Result<(), String> {
        if let Some(known) = self.made.get(&number) {
            return known.clone();
        }
        let make = &program.makes[number];
        let made = make
            .reads
            .iter()
            .try_for_each(|below| self.make(program, *below))
            .and_then(|()| {
                let what = if make.view { "VIEW" } else { "TABLE" };
                let sql = format!("CREATE {what} w.{} AS {}", make.id, make.sql);
                let done = self.connection.execute_batch(&sql);
                done.map_err(|error| error.to_string())
            });
        self.made.insert(number, made.clone());
        made
    }

    /// What is in a table; `Err` says why it could not be made.
    pub(crate) fn content(&mut self, program: &Program, id: &str) -> Result<Content, String> {
        if let Some(content) = self.contents.get(id) {
            return Ok(content.clone());
        }
        self.make(program, program.number(id))?;
        let content =
            content(&self.connection, &format!("w.{id}")).map_err(|error| error.to_string())?;
        self.contents.insert(id.to_owned(), content.clone());
        Ok(content)
    }

    /// What is in some columns of a table that is there, as a bag.
    pub(crate) fn columns_of(&self, id: &str, columns: &[String]) -> Result<String, String> {
        rows(&self.connection, &format!("w.{id}"), columns).map_err(|error| error.to_string())
    }
}

fn content(connection: &Connection, table: &str) -> duckdb::Result<Content> {
    let mut statement = connection.prepare(&format!("DESCRIBE {table}"))?;
    let columns: Vec<(String, String)> = statement
        .query_map([], |row| {
            Ok((row.get::<_, String>(0)?.to_lowercase(), row.get(1)?))
        })?
        .collect::<duckdb::Result<_>>()?;
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    Ok(Content {
        rows: rows(connection, table, &names)?,
        columns,
    })
}

/// Each row's values as text, sorted. The names are left out: their case means nothing.
fn rows(connection: &Connection, table: &str, columns: &[String]) -> duckdb::Result<String> {
    let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let sql = format!(
        "SELECT coalesce(string_agg(line, chr(10) ORDER BY line), '') \
         FROM (SELECT row({})::VARCHAR AS line FROM {table})",
        names.join(", ")
    );
    connection.query_row(&sql, [], |row| row.get(0))
}

/// Says which models DuckDB can make, and which columns they have.
pub(crate) struct Binder {
    connection: Connection,
    /// What there is of the last project, in order, with the variable's value.
    bound: RefCell<(usize, Vec<Bound>)>,
}

type Bound = (Model, Vec<(String, String)>);

/// No model may grow beyond this: what reads it would take forever.
const MOST_ROWS: usize = 250;

impl Binder {
    pub(crate) fn new() -> Self {
        Self {
            connection: open(),
            bound: RefCell::default(),
        }
    }

    /// Forgets all models; the sources have many ties, so that joins grow as large as they get.
    pub(crate) fn reset(&self, seed: u64) {
        let setup = statements(&mut Random::new(seed), Flavour::Ties);
        let clean = "DROP SCHEMA IF EXISTS db CASCADE; DROP SCHEMA IF EXISTS raw CASCADE; \
                     CREATE SCHEMA db; CREATE SCHEMA raw;";
        self.connection
            .execute_batch(&format!("{clean}\n{setup}"))
            .expect("the sources are made");
        *self.bound.borrow_mut() = (1, Vec::new());
    }

    /// Forgets the models only.
    fn clear(&self) {
        self.connection
            .execute_batch("DROP SCHEMA IF EXISTS db CASCADE; CREATE SCHEMA db;")
            .expect("a schema is made");
    }

    /// The model's columns in order with their types; `Err` says why it cannot be made.
    pub(crate) fn bind(
        &self,
        model: &Model,
        floor: usize,
    ) -> Result<Vec<(String, String)>, String> {
        let table = &model.name;
        let query = model.bare_sql(floor);
        let sql = format!("CREATE OR REPLACE TABLE {table} AS {query}");
        self.connection
            .execute_batch(&sql)
            .map_err(|error| error.to_string())?;
        let count: i64 = self
            .connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .map_err(|error| error.to_string())?;
        if usize::try_from(count).is_ok_and(|count| count > MOST_ROWS) {
            let sql = format!("DROP TABLE {table}");
            self.connection
                .execute_batch(&sql)
                .map_err(|error| error.to_string())?;
            return Err("too many rows".to_owned());
        }
        let mut statement = self
            .connection
            .prepare(&format!("DESCRIBE {table}"))
            .map_err(|error| error.to_string())?;
        let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        columns
            .and_then(Iterator::collect)
            .map_err(|error| error.to_string())
    }

    /// The columns of everything in the project; `Err` says which model cannot be made.
    ///
    /// What the last project that was asked for has in common with this one, from the first model on, stays.
    pub(crate) fn catalog(&self, project: &Project) -> Result<Catalog, String> {
        let mut state = self.bound.borrow_mut();
        let (floor, bound) = &mut *state;
        // A project that was made model by model may have left others.
        if *floor != project.floor || bound.is_empty() {
            self.clear();
            bound.clear();
            *floor = project.floor;
        }
        let common = bound
            .iter()
            .zip(&project.models)
            .take_while(|((known, _), model)| known == *model)
            .count();
        for (gone, _) in bound.drain(common..) {
            let sql = format!("DROP TABLE IF EXISTS {}", gone.name);
            self.connection
                .execute_batch(&sql)
                .map_err(|error| error.to_string())?;
        }
        for model in &project.models[common..] {
            let columns = self
                .bind(model, project.floor)
                .map_err(|error| format!("{}: {error}", model.name))?;
            bound.push((model.clone(), columns));
        }
        let mut catalog = Catalog::of_sources(project.sources);
        for (model, columns) in bound.iter() {
            let names = columns.iter().map(|(name, _)| name.clone());
            catalog.set(&model.name, names.collect());
        }
        Ok(catalog)
    }
}
