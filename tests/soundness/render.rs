//! A model's query as the program runs it, over the tables that stand for its parents.

use std::collections::BTreeMap;

use siding::environment::PromotedSnapshot;
use siding::model::ModelKind;
use siding::model::ModelName;
use siding::scheduler::Scope;
use siding::snapshot::Interval;
use siding::snapshot::Snapshot;
use siding::sql::Replacement;
use siding::sql::TableName;
use siding::sql::quote_identifier;
use siding::sql::replace_tables;

use crate::planner::Step;
use crate::planner::now;
use crate::warehouse::Program;

/// How one building of a table turns out, where the query leaves it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Chance {
    /// What `random()` and `now()` give.
    pub(crate) draw: usize,
    /// In which order rows are read; 0 is as they were written.
    pub(crate) shuffle: usize,
}

pub(crate) const USUAL: Chance = Chance {
    draw: 0,
    shuffle: 0,
};

/// A step's models while their tables are being decided, one after the other.
pub(crate) struct Builder<'a> {
    step: &'a Step,
    program: &'a mut Program,
    /// The table of each model that has one, as far as decided.
    tables: BTreeMap<ModelName, String>,
    /// What models stand for, by the chance of who reads them.
    entries: BTreeMap<Chance, (usize, BTreeMap<ModelName, PromotedSnapshot>)>,
    decided: usize,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(step: &'a Step, program: &'a mut Program) -> Self {
        Self {
            step,
            program,
            tables: BTreeMap::new(),
            entries: BTreeMap::new(),
            decided: 0,
        }
    }

    /// A builder that has decided these already.
    pub(crate) fn after(
        step: &'a Step,
        decided: &[Option<String>],
        program: &'a mut Program,
    ) -> Self {
        let mut builder = Self::new(step, program);
        for table in decided {
            builder.decide(table.clone());
        }
        builder
    }

    pub(crate) fn program(&mut self) -> &mut Program {
        self.program
    }

    /// Sets the next model's table, in the step's order; `None` for what has no rows of its own.
    pub(crate) fn decide(&mut self, table: Option<String>) {
        let name = &self.step.order[self.decided];
        if let Some(table) = table {
            self.tables.insert(name.clone(), table);
        }
        self.decided += 1;
    }

    /// The tables of all models that have one; and of each view, what it shows.
    pub(crate) fn tables(mut self) -> BTreeMap<ModelName, String> {
        let entries = self.entries(USUAL);
        let mut tables = self.tables;
        for (name, entry) in entries {
            if let Some(table) = entry.table {
                tables.entry(name).or_insert(table.name);
            }
        }
        tables
    }

    /// The object that a model's query makes, read by such a chance. All before it are decided.
    pub(crate) fn make(&mut self, name: &ModelName, chance: Chance) -> String {
        let snapshot = &self.step.snapshots[name];
        let entries = self.entries(chance);
        let sql = self.sql(snapshot, &entries, chance);
        let view = matches!(snapshot.model.kind, ModelKind::View);
        self.program.make(&sql, view)
    }

    fn entries(&mut self, chance: Chance) -> BTreeMap<ModelName, PromotedSnapshot> {
        let (mut done, mut entries) = self.entries.remove(&chance).unwrap_or_default();
        while done < self.decided {
            let name = &self.step.order[done];
            let snapshot = &self.step.snapshots[name];
            let table = match snapshot.model.kind {
                ModelKind::Embedded | ModelKind::External => None,
                ModelKind::View => {
                    let sql = self.sql(snapshot, &entries, chance);
                    Some(self.program.make(&sql, true))
                }
                // Only some of these are generated; what the others hold follows from their past.
                ModelKind::Full
                | ModelKind::MaterializedView
                | ModelKind::IncrementalByTimeRange { .. }
                | ModelKind::IncrementalByUniqueKey(_)
                | ModelKind::IncrementalByPartition
                | ModelKind::IncrementalUnmanaged { .. }
                | ModelKind::ScdType2(_)
                | ModelKind::Seed(_) => {
                    let table = self.tables[name].clone();
                    Some(self.shuffled(&format!("w.{table}"), chance.shuffle))
                }
            };
            let entry = PromotedSnapshot {
                id: snapshot.id.clone(),
                version: snapshot.version.clone(),
                table: table.map(made),
                view: false,
            };
            entries.insert(name.clone(), entry);
            done += 1;
        }
        self.entries.insert(chance, (done, entries.clone()));
        entries
    }

    /// A copy of the table with its rows in another order.
    fn shuffled(&mut self, table: &str, shuffle: usize) -> String {
        if shuffle == 0 {
            return table.trim_start_matches("w.").to_owned();
        }
        let sql = format!("SELECT * FROM {table} ORDER BY md5(rowid || 'x{shuffle}')");
        self.program.make(&sql, false)
    }

    fn sql(
        &mut self,
        snapshot: &Snapshot,
        entries: &BTreeMap<ModelName, PromotedSnapshot>,
        chance: Chance,
    ) -> String {
        let model = &snapshot.model;
        if let ModelKind::Seed(seed) = &model.kind {
            let columns = model.columns.as_deref().unwrap_or_default();
            let rows = seed.insert_values(columns).expect("the seed was read");
            let rows: Vec<String> = rows.into_iter().map(|rows| rows.sql).collect();
            return rows.join(" UNION ALL ");
        }
        let scope = Scope {
            snapshots: &self.step.snapshots,
            entries,
            execution_time: now(),
            elsewhere: None,
        };
        let range = Interval::new(
            "2024-01-01T00:00:00Z".parse().expect("a time"),
            "2024-01-08T00:00:00Z".parse().expect("a time"),
        );
        let sql = scope
            .query(model, range)
            .expect("the query has no macro without value");
        let mut sql = sql.trim().trim_end_matches(';').to_owned();
        if let Some(columns) = &model.columns {
            let casts: Vec<String> = columns
                .iter()
                .map(|column| {
                    let name = quote_identifier(&column.name);
                    column.data_type.as_ref().map_or_else(
                        || name.clone(),
                        |data_type| format!("CAST({name} AS {data_type}) AS {name}"),
                    )
                })
                .collect();
            sql = format!("SELECT {} FROM (\n{sql}\n) AS _all", casts.join(", "));
        }
        if let ModelKind::IncrementalByTimeRange { time_column, .. } = &model.kind {
            let column = quote_identifier(&time_column.column);
            sql = format!(
                "SELECT * FROM (\n{sql}\n) AS _all \
                 WHERE {column} BETWEEN DATE '2024-01-01' AND DATE '2024-01-07'"
            );
        }
        let sql = frozen(&sql, chance.draw);
        if chance.shuffle == 0 {
            return sql;
        }
        let program = std::cell::RefCell::new(&mut *self.program);
        replace_tables(&sql, model.dialect, &|table| {
            let from = table.schema.as_deref() == Some("raw");
            from.then(|| {
                let copy = format!(
                    "SELECT * FROM raw.{} ORDER BY md5(rowid || 'x{}')",
                    quote_identifier(&table.name),
                    chance.shuffle
                );
                Replacement::Table(made(program.borrow_mut().make(&copy, false)))
            })
        })
    }
}

fn made(id: String) -> TableName {
    TableName {
        catalog: None,
        schema: Some("w".to_owned()),
        name: id,
    }
}

/// The text with what `random()`, `now()` and their like give written in.
///
/// One number for all rows is one of the things that may come out. Where it stands in the text of both versions, two
/// buildings that draw the same can be compared; with another number it tells who reads what was drawn again.
fn frozen(sql: &str, draw: usize) -> String {
    const NUMBERS: [&str; 3] = ["0.375", "0.8125", "0.0625"];
    const TIMES: [&str; 3] = ["2024-05-01", "2024-06-02", "2024-07-03"];
    let number = format!("CAST({} AS DOUBLE)", NUMBERS[draw % 3]);
    let time = format!("TIMESTAMPTZ '{} 10:00:00+00'", TIMES[draw % 3]);
    let day = format!("DATE '{}'", TIMES[draw % 3]);
    let uuid = format!("'00000000-0000-0000-0000-00000000000{draw}'::UUID");
    sql.replace("random()", &number)
        .replace("now()", &time)
        .replace("current_date", &day)
        .replace("uuid()", &uuid)
}
