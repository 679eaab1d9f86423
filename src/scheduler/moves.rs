//! Tables that change places in a switch, where production's tables have the models' own names.
//!
//! While a table stands under its model's name, a view has the name of its version and reads it. Whoever reads a version
//! by that name finds its rows wherever they are, at every moment and without asking: the name never means another
//! version. Only who writes a table has to know where it is.

use std::collections::BTreeSet;

use crate::engine::EngineAdapter;
use crate::sql::TableName;

/// What a switch does to tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Tables that leave a model's name, before anything else happens.
    pub leaving: Vec<Leaving>,
    /// Tables that get a model's name.
    pub coming: Vec<Coming>,
    /// The names under which tables stand in the end.
    pub tables: BTreeSet<TableName>,
    /// What is said in the end, by name: rights and views that others had on what stood there before.
    pub others: Vec<(TableName, Vec<String>)>,
}

/// A table that leaves its model's name for that of its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// The model's name.
    pub name: TableName,
    /// The name of the version, which a view has.
    pub version: TableName,
    /// What that view is called from then on, where others may stand on it; otherwise it goes.
    pub view: Option<TableName>,
    /// Statements that give the table what it has besides rows, where moving copies them.
    pub besides: Vec<String>,
}

/// A table that leaves the name of its version for that of its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// The model's name.
    pub name: TableName,
    /// The name of the version, which a view gets.
    pub version: TableName,
    /// Whether a view of ours has the model's name now, which goes.
    pub over_view: bool,
    /// As of [`Leaving`].
    pub besides: Vec<String>,
}

impl Moves {
    /// How many tables leave a name that no other table gets.
    pub(super) fn only_leaving(&self) -> usize {
        let left = self.leaving.iter().map(|leaving| &leaving.name);
        left.filter(|name| !self.tables.contains(name)).count()
    }
}

impl Leaving {
    /// The statements that do it.
    pub(super) fn statements(&self, engine: &dyn EngineAdapter) -> Vec<String> {
        let mut statements = vec![match &self.view {
            Some(view) => engine.rename_view(&self.version, &view.name),
            None => engine.drop_view(&self.version),
        }];
        statements.extend(engine.move_table(&self.name, &self.version));
        statements.extend(self.besides.iter().cloned());
        statements
    }
}

impl Coming {
    /// The statements that do it.
    pub(super) fn statements(&self, engine: &dyn EngineAdapter) -> Vec<String> {
        let mut statements = Vec::new();
        if self.over_view {
            statements.push(engine.drop_view(&self.name));
        }
        statements.extend(engine.move_table(&self.version, &self.name));
        statements.extend(self.besides.iter().cloned());
        statements.extend(stand_in(engine, &self.version, &self.name));
        statements
    }
}

/// The statements that let a view with the name of a version read the table that stands under its model's name.
pub(super) fn stand_in(
    engine: &dyn EngineAdapter,
    version: &TableName,
    name: &TableName,
) -> Vec<String> {
    engine.create_or_replace_view(version, &format!("SELECT * FROM {name}"))
}
