//! What an environment's views get besides rows: descriptions, and the statements of a virtual update.

use std::collections::BTreeMap;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::environment::Environment;
use crate::environment::PromotedSnapshot;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::RuntimeValues;
use crate::model::Template;
use crate::snapshot::Snapshot;
use crate::sql::Replacement;
use crate::sql::TableName;
use crate::sql::replace_tables;

/// What one view gets besides rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dressing {
    /// What its rows are; empty to take back what was said.
    pub description: Option<String>,
    /// What its columns are, as far as they are known to be there; empty likewise.
    pub columns: BTreeMap<String, String>,
    /// Statements to run once it stands.
    pub statements: Vec<String>,
    /// Where they are declared, for whoever has to mend one.
    pub file: String,
}

/// An environment as its views are to show it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Which environment.
    pub environment: &'a Environment,
    /// What it has for each model.
    pub entries: &'a BTreeMap<ModelName, PromotedSnapshot>,
    /// "Now".
    pub now: DateTime<Utc>,
}

impl Shown<'_> {
    /// The view of a snapshot with what it gets besides rows; `None` if that is nothing. `former` is the model as it was shown
    /// before, if it was.
    pub fn dressing(
        &self,
        snapshot: &Snapshot,
        former: Option<&Model>,
    ) -> Option<(TableName, Dressing)> {
        let model = &snapshot.model;
        let view = self.environment.view(&snapshot.id.name);
        let known = |column: &String| {
            let mut columns = snapshot.columns.iter().flatten();
            columns.any(|known| known == column)
        };
        let unsaid = former
            .into_iter()
            .flat_map(|former| former.column_descriptions.keys());
        let unsaid = unsaid.map(|column| (column.clone(), String::new()));
        let mut said: BTreeMap<String, String> = unsaid.collect();
        said.extend(model.column_descriptions.clone());
        said.retain(|column, _| known(column));
        let unsaid = former.and_then(|former| former.description.as_ref());
        let unsaid = unsaid.map(|_| String::new());
        let statements = model.statements.on_virtual_update.iter();
        let dressing = Dressing {
            description: model.description.clone().or(unsaid),
            columns: said,
            statements: statements
                .map(|statement| self.statement(statement, model, &view))
                .collect(),
            file: String::new(),
        };
        let file = model.file.clone();
        (dressing != Dressing::default()).then_some((view, Dressing { file, ..dressing }))
    }

    /// The statement with `@this_model` as the view and models as what the environment shows of them.
    fn statement(&self, statement: &Template, model: &Model, view: &TableName) -> String {
        let values = RuntimeValues {
            range: Some((self.now - TimeDelta::days(1), self.now)),
            execution_time: self.now,
            this_model: Some(view.to_string()),
            runtime_stage: "promoting",
        };
        // A macro without a value has been reported when the project was loaded; the engine refuses it again.
        let text = statement
            .render(&values, model.dialect)
            .unwrap_or_else(|_| statement.text().to_owned());
        let text = text.trim_end().trim_end_matches(';');
        replace_tables(text, model.dialect, &|table| {
            let entry = self.entries.get(&model.resolve(table))?;
            let shown = if entry.view {
                Some(self.environment.view(&entry.id.name))
            } else {
                entry.table.clone()
            };
            shown.map(Replacement::Table)
        })
    }
}
