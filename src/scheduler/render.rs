//! A model's SQL for execution: macros valued, model names replaced by the tables they stand for.

use std::collections::BTreeMap;

use chrono::DateTime;
use chrono::Utc;

use crate::environment::PromotedSnapshot;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::RenderError;
use crate::model::RuntimeValues;
use crate::model::Template;
use crate::snapshot::Interval;
use crate::snapshot::Snapshot;
use crate::sql::Replacement;
use crate::sql::TableName;
use crate::sql::name_casts;
use crate::sql::replace_tables;

/// What names mean while a plan or run is carried out.
pub struct Scope<'a> {
    /// The snapshots of the environment.
    pub snapshots: &'a BTreeMap<ModelName, Snapshot>,
    /// What the environment has for each model.
    pub entries: &'a BTreeMap<ModelName, PromotedSnapshot>,
    /// "Now".
    pub execution_time: DateTime<Utc>,
    /// A model whose table is not where the environment's entry says, and where it is.
    pub elsewhere: Option<(&'a ModelName, &'a TableName)>,
}

impl Scope<'_> {
    /// The query of `model` for `range`, ready for the engine. Embedded models stand inline.
    ///
    /// # Errors
    /// When a macro has no value here, such as `@start_ds` in a FULL model.
    pub fn query(&self, model: &Model, range: Option<Interval>) -> Result<String, RenderError> {
        let template = model
            .query
            .as_ref()
            .expect("only models with a query are rendered");
        let range = range.filter(|_| !model.kind.only_execution_time());
        self.template(template, model, range, None)
    }

    /// The same, where the model reads `itself` (SQL without brackets) instead of its whole table.
    ///
    /// # Errors
    /// When a macro has no value here.
    pub fn query_over_itself(
        &self,
        model: &Model,
        range: Option<Interval>,
        itself: &str,
    ) -> Result<String, RenderError> {
        let template = model
            .query
            .as_ref()
            .expect("only models with a query are rendered");
        let range = range.filter(|_| !model.kind.only_execution_time());
        let text = self.rendered(template, model, range, None)?;
        let text = name_casts(&text, model.dialect);
        self.with_tables(&text, model, range, Some(itself))
    }

    /// A statement around the query. All macros of time have values, whatever the kind; `@this_model` is the table.
    ///
    /// # Errors
    /// When a macro has no value here.
    pub fn statement(
        &self,
        template: &Template,
        model: &Model,
        range: Interval,
    ) -> Result<String, RenderError> {
        let text = self.rendered(template, model, Some(range), None)?;
        let text = text.trim_end().trim_end_matches(';').to_owned();
        self.with_tables(&text, model, Some(range), None)
    }

    /// An audit's query on the rows of `this_model`, which is SQL: a table or a subquery.
    ///
    /// # Errors
    /// When a macro has no value here.
    pub fn audit(
        &self,
        template: &Template,
        model: &Model,
        range: Option<Interval>,
        this_model: String,
    ) -> Result<String, RenderError> {
        self.template(template, model, range, Some(this_model))
    }

    /// A signal's question about `range`.
    ///
    /// # Errors
    /// When a macro has no value here.
    pub fn signal(
        &self,
        template: &Template,
        model: &Model,
        range: Interval,
    ) -> Result<String, RenderError> {
        let text = self.rendered(template, model, Some(range), None)?;
        self.with_tables(&text, model, Some(range), None)
    }

    fn template(
        &self,
        template: &Template,
        model: &Model,
        range: Option<Interval>,
        this_model: Option<String>,
    ) -> Result<String, RenderError> {
        let auditing = this_model.is_some();
        let text = self.rendered(template, model, range, this_model)?;
        // The analysis calls `x::INT` column `x`; so must the table.
        let text = if auditing {
            text
        } else {
            name_casts(&text, model.dialect)
        };
        self.with_tables(&text, model, range, None)
    }

    fn rendered(
        &self,
        template: &Template,
        model: &Model,
        range: Option<Interval>,
        this_model: Option<String>,
    ) -> Result<String, RenderError> {
        let auditing = this_model.is_some();
        let this_model = this_model.or_else(|| {
            let table = self.table(&model.name)?;
            Some(table.to_string())
        });
        let values = RuntimeValues {
            range: range.map(|range| (range.start(), range.end())),
            execution_time: self.execution_time,
            this_model,
            runtime_stage: if auditing { "auditing" } else { "evaluating" },
        };
        template.render(&values, model.dialect)
    }

    fn with_tables(
        &self,
        text: &str,
        model: &Model,
        range: Option<Interval>,
        itself: Option<&str>,
    ) -> Result<String, RenderError> {
        let failed = std::cell::RefCell::new(None);
        let text = replace_tables(text, model.dialect, &|table| {
            let name = model.resolve(table);
            if let Some(itself) = itself.filter(|_| name == model.name) {
                return Some(Replacement::Subquery(itself.to_owned()));
            }
            let snapshot = self.snapshots.get(&name)?;
            match snapshot.model.kind {
                ModelKind::External => None,
                ModelKind::Embedded => match self.query(&snapshot.model, range) {
                    Ok(sql) => Some(Replacement::Subquery(sql)),
                    Err(error) => {
                        failed.borrow_mut().get_or_insert(error);
                        None
                    }
                },
                ModelKind::View
                | ModelKind::MaterializedView
                | ModelKind::Full
                | ModelKind::IncrementalByTimeRange { .. }
                | ModelKind::IncrementalByUniqueKey(_)
                | ModelKind::IncrementalByPartition
                | ModelKind::IncrementalUnmanaged { .. }
                | ModelKind::ScdType2(_)
                | ModelKind::Seed(_) => self.table_for(&name, model).map(Replacement::Table),
            }
        });
        failed.into_inner().map_or(Ok(text), Err)
    }

    /// The table that `name` stands for in SQL of `model`: a view in another catalog would look there for what names none.
    fn table_for(&self, name: &ModelName, model: &Model) -> Option<TableName> {
        let mut table = self.table(name)?;
        if model.name.catalog().is_some() && table.catalog.is_none() {
            table.catalog.clone_from(&model.default_catalog);
        }
        Some(table)
    }

    /// The table that `name` stands for here.
    pub fn table(&self, name: &ModelName) -> Option<TableName> {
        match self.elsewhere {
            Some((model, table)) if model == name => Some(table.clone()),
            _ => self.entries.get(name)?.table.clone(),
        }
    }
}
