//! What the queries read and mean: each is parsed once, after those of the models that it reads.
//!
//! Which those are is only known for certain when it is parsed, and keeping the trees of a large project would take
//! more room than all the rest. So a scan over the words says in which order; what it did not see is read again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::model::ModelName;
use crate::model::Reading;
use crate::model::Readings;
use crate::model::layers_of;
use crate::model::parse;
use crate::project::model_file::Draft;
use crate::project::value::model_name;
use crate::sql::Query;
use crate::sql::TableName;

type Drafts = BTreeMap<ModelName, Draft>;

/// Adds what the queries read to `drafts`. Gives what each model means, but for those on a cycle.
pub(super) fn resolve(drafts: &mut Drafts, diagnostics: &mut Vec<Diagnostic>) -> Readings {
    let mut readings = Readings::new();
    let likely: BTreeMap<ModelName, BTreeSet<ModelName>> = drafts
        .par_iter()
        .map(|(name, draft)| (name.clone(), likely_parents(draft)))
        .collect();
    let order = layers_of(&likely.iter().collect());
    let mut late: BTreeSet<ModelName> = drafts.keys().cloned().collect();
    for layer in order {
        for (name, seen) in read_all(&layer, drafts, &readings) {
            let draft = drafts.get_mut(&name).expect("the layers are of drafts");
            if let Some(reading) = seen.settle(draft, diagnostics) {
                late.remove(&name);
                readings.insert(name, reading);
            }
        }
    }
    drop(likely);
    let unseen: Vec<ModelName> = late
        .iter()
        .filter(|name| !drafts[*name].is_resolved)
        .cloned()
        .collect();
    for (name, seen) in read_all(&unseen, drafts, &Readings::new()) {
        let draft = drafts.get_mut(&name).expect("they are names of drafts");
        seen.settle(draft, diagnostics);
    }
    let parents = late
        .iter()
        .map(|name| (name, &drafts[name].model.depends_on));
    for layer in layers_of(&parents.collect()) {
        for (name, seen) in read_all(&layer, drafts, &readings) {
            readings.extend(seen.reading.map(|reading| (name, reading)));
        }
    }
    readings
}

fn likely_parents(draft: &Draft) -> BTreeSet<ModelName> {
    let model = &draft.model;
    let mut parents = model.depends_on.clone();
    if let Some(query) = &model.query {
        let tables = Query::scan_tables(&query.for_analysis(model.dialect), model.dialect);
        parents.extend(own_tables(draft, &tables));
    }
    parents.remove(&model.name);
    parents
}

fn read_all(names: &[ModelName], drafts: &Drafts, readings: &Readings) -> Vec<(ModelName, Seen)> {
    let read = |name: &ModelName| (name.clone(), Seen::of(&drafts[name], drafts, readings));
    names.par_iter().map(read).collect()
}

/// What reading one query says.
struct Seen {
    reads: BTreeSet<ModelName>,
    opaque: Option<String>,
    /// `None` while a model that it reads has none.
    reading: Option<Reading>,
}

impl Seen {
    fn of(draft: &Draft, drafts: &Drafts, readings: &Readings) -> Self {
        let model = &draft.model;
        let query = parse(model);
        let reads = match &query {
            Some(query) => own_tables(draft, query.tables()),
            None => BTreeSet::new(),
        };
        let is_there = |parent: &ModelName| {
            *parent == model.name || readings.contains_key(parent) || !drafts.contains_key(parent)
        };
        let ready = reads.iter().chain(&model.depends_on).all(is_there);
        let schema_of = |table: &TableName| readings.get(&model.resolve(table))?.schema.clone();
        let reading = ready.then(|| Reading::new(model, query.as_ref(), &schema_of));
        let opaque = query.as_ref().and_then(Query::opaque_reason);
        Self {
            opaque: opaque.map(str::to_owned),
            reads,
            reading,
        }
    }

    /// Writes down what the model reads and what is wrong with its query; gives the reading.
    fn settle(self, draft: &mut Draft, diagnostics: &mut Vec<Diagnostic>) -> Option<Reading> {
        draft.is_resolved = true;
        let mut report = |diagnostic: Diagnostic, span| {
            diagnostics.push(diagnostic.at(&draft.model.file, &draft.text, span));
        };
        // A text that is already known to be wrong is no news.
        if let Some(reason) = self.opaque.filter(|_| !draft.has_errors) {
            let message = format!("the query cannot be analysed: {reason}");
            let mut diagnostic = Diagnostic::error("opaque-query", message).help(
                "The model works, but every change to its text counts as breaking. \
                 Check that the SQL is right; `depends_on` adds what the query reads.",
            );
            diagnostic.severity = Severity::Warning;
            report(diagnostic, draft.query_span.clone());
        }
        let kind = &draft.model.kind;
        draft.model.reads_itself = self.reads.contains(&draft.model.name);
        if draft.model.reads_itself && !kind.is_materialized() {
            let message = format!("a {} cannot read itself", kind.name());
            let diagnostic = Diagnostic::error("wrong-value", message)
                .help("Only a table holds the rows that were there before; take another kind.");
            report(diagnostic, draft.name_span.clone());
        }
        draft.model.depends_on.extend(self.reads);
        draft.model.depends_on.remove(&draft.model.name);
        self.reading
    }
}

/// The models that `tables` may be, without what `@this_model` stands for while a query is read.
fn own_tables(draft: &Draft, tables: &BTreeSet<TableName>) -> BTreeSet<ModelName> {
    let catalog = draft.model.default_catalog.as_deref();
    tables
        .iter()
        .filter(|table| !table.name.eq_ignore_ascii_case("siding_this_model"))
        .map(|table| model_name(table, catalog))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::project::FileTree;
    use crate::project::LoadOptions;
    use crate::project::Project;
    use crate::project::load;

    fn project(models: &[(&str, &str)]) -> Project {
        let mut files = FileTree::default();
        let config = "model_defaults: {dialect: duckdb, start: 2024-01-01}";
        files.insert("config.yaml", Arc::from(config));
        for (name, query) in models {
            let text = format!("MODEL (name {name}, kind FULL);\n{query}");
            files.insert(format!("models/{name}.sql"), Arc::from(text));
        }
        let (project, diagnostics) = load(&files, &LoadOptions::default());
        let errors: Vec<_> = diagnostics.iter().filter(|d| d.is_error()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        project
    }

    fn columns(project: &Project, name: &str) -> Vec<String> {
        let reading = &project.readings[&name.parse().unwrap()];
        let schema = reading.schema.as_ref().unwrap();
        schema.names().map(str::to_owned).collect()
    }

    #[test]
    fn ctes_and_markers_are_no_tables() {
        let text = "WITH a AS (SELECT * FROM Raw.Orders o, raw.\"X\") SELECT @execution_epoch, * FROM a \
                    JOIN @this_model USING (c) WHERE d BETWEEN @execution_ds AND @execution_date";
        let project = project(&[("s.m", text)]);
        let reads = &project.models[&"s.m".parse().unwrap()].depends_on;
        let names: Vec<String> = reads.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["raw.orders", "raw.x"]);
    }

    #[test]
    fn a_model_is_read_after_what_it_reads() {
        let project = project(&[
            ("s.a", "SELECT * FROM s.b"),
            ("s.b", "SELECT * FROM s.c"),
            ("s.c", "SELECT 1 AS x, 2 AS y"),
        ]);
        assert_eq!(columns(&project, "s.a"), ["x", "y"]);
    }

    /// The scan takes the table of a call for one of `FROM`; that is no cycle, and costs no knowledge.
    #[test]
    fn an_order_that_the_scan_got_wrong_is_put_right() {
        let project = project(&[
            ("s.a", "SELECT extract(year FROM s.b) AS y, * FROM s.c AS s"),
            ("s.b", "SELECT * FROM s.a"),
            ("s.c", "SELECT DATE '2024-01-01' AS b"),
        ]);
        assert_eq!(columns(&project, "s.b"), ["y", "b"]);
    }
}
