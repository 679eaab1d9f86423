//! What the queries read and mean: each is parsed once, after those of the models that it reads.
//!
//! Which those are is only known for certain when it is parsed, and keeping the trees of a large project would take
//! more room than all the rest. So a scan over the words says in which order; what it did not see is read again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

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
use crate::sql::Digest;
use crate::sql::Query;
use crate::sql::TableName;

type Drafts = BTreeMap<ModelName, Draft>;

/// What each model means, but for those on a cycle.
pub(super) struct Resolved {
    pub(super) readings: Readings,
    /// The models whose readings are not what was remembered.
    pub(super) renewed: BTreeSet<ModelName>,
}

/// Adds what the queries read to `drafts`.
pub(super) fn resolve(drafts: &mut Drafts, diagnostics: &mut Vec<Diagnostic>) -> Resolved {
    if let Some(readings) = as_remembered(drafts) {
        return Resolved {
            readings,
            renewed: BTreeSet::new(),
        };
    }
    let mut readings = Readings::new();
    let mut schemas = Schemas::new();
    let mut renewed = BTreeSet::new();
    let likely: BTreeMap<ModelName, BTreeSet<ModelName>> = drafts
        .par_iter()
        .map(|(name, draft)| (name.clone(), likely_parents(draft)))
        .collect();
    let order = layers_of(&likely.iter().collect());
    let mut late: BTreeSet<ModelName> = drafts.keys().cloned().collect();
    for layer in order {
        for (name, seen) in read_all(&layer, drafts, &readings, &schemas) {
            let draft = drafts.get_mut(&name).expect("the layers are of drafts");
            let schema = seen.schema;
            if !seen.is_known {
                renewed.insert(name.clone());
            }
            if let Some(reading) = seen.settle(draft, diagnostics) {
                late.remove(&name);
                schemas.insert(name.clone(), schema);
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
    for (name, seen) in read_all(&unseen, drafts, &Readings::new(), &Schemas::new()) {
        let draft = drafts.get_mut(&name).expect("they are names of drafts");
        seen.settle(draft, diagnostics);
    }
    let parents = late
        .iter()
        .map(|name| (name, &drafts[name].model.depends_on));
    for layer in layers_of(&parents.collect()) {
        for (name, seen) in read_all(&layer, drafts, &readings, &schemas) {
            renewed.insert(name.clone());
            schemas.insert(name.clone(), seen.schema);
            readings.extend(seen.reading.map(|reading| (name, reading)));
        }
    }
    Resolved { readings, renewed }
}

/// The columns of models that have been read, as digests.
type Schemas = BTreeMap<ModelName, Option<Digest>>;

/// The readings, when all are remembered and fit each other. Each then follows from its own model and from the others, in
/// whatever order they are looked at.
fn as_remembered(drafts: &Drafts) -> Option<Readings> {
    let schema = |name: &ModelName| drafts.get(name)?.known.as_ref()?.schema;
    let fits = |(_, draft): (&ModelName, &Draft)| {
        let known = draft.known.as_ref();
        known.is_some_and(|known| known.holds(&schema))
    };
    if !drafts.par_iter().all(fits) {
        return None;
    }
    let known = drafts.iter().filter_map(|(name, draft)| {
        let known = draft.known.as_ref()?;
        Some((name.clone(), known.reading.clone()))
    });
    Some(known.collect())
}

fn likely_parents(draft: &Draft) -> BTreeSet<ModelName> {
    let model = &draft.model;
    let mut parents = model.depends_on.clone();
    if let (Some(query), None) = (&model.query, &draft.known) {
        let tables = Query::scan_tables(&query.for_analysis(model.dialect), model.dialect);
        parents.extend(own_tables(draft, &tables));
    }
    parents.remove(&model.name);
    parents
}

fn read_all(
    names: &[ModelName],
    drafts: &Drafts,
    readings: &Readings,
    schemas: &Schemas,
) -> Vec<(ModelName, Seen)> {
    let read = |name: &ModelName| {
        let draft = &drafts[name];
        let seen = Seen::known(draft, drafts, schemas);
        let seen = seen.unwrap_or_else(|| Seen::of(draft, drafts, readings));
        (name.clone(), seen)
    };
    names.par_iter().map(read).collect()
}

/// What reading one query says.
struct Seen {
    reads: BTreeSet<ModelName>,
    opaque: Option<String>,
    /// `None` while a model that it reads has none.
    reading: Option<Reading>,
    /// The columns of that.
    schema: Option<Digest>,
    /// Whether it is what was remembered.
    is_known: bool,
}

impl Seen {
    /// What is remembered, if the models that it reads still have the columns that they had.
    fn known(draft: &Draft, drafts: &Drafts, schemas: &Schemas) -> Option<Self> {
        let known = draft.known.as_ref()?;
        let is_there =
            |(name, _): &(ModelName, _)| schemas.contains_key(name) || !drafts.contains_key(name);
        let fits = known.reads.iter().all(is_there)
            && known.holds(&|name| schemas.get(name).copied().flatten());
        fits.then(|| Self {
            reads: BTreeSet::new(),
            opaque: None,
            reading: Some(known.reading.clone()),
            schema: known.schema,
            is_known: true,
        })
    }

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
        let schema = reading.as_ref().and_then(|reading| reading.schema.as_ref());
        Self {
            opaque: opaque.map(str::to_owned),
            reads,
            schema: schema.map(|schema| schema.digest()),
            reading,
            is_known: false,
        }
    }

    /// Writes down what the model reads and what is wrong with its query; gives the reading.
    fn settle(self, draft: &mut Draft, diagnostics: &mut Vec<Diagnostic>) -> Option<Reading> {
        if draft.known.is_some() {
            return self.reading;
        }
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
        let reads_itself = self.reads.contains(&draft.model.name);
        if reads_itself && !kind.is_materialized() {
            let message = format!("a {} cannot read itself", kind.name());
            let diagnostic = Diagnostic::error("wrong-value", message)
                .help("Only a table holds the rows that were there before; take another kind.");
            report(diagnostic, draft.name_span.clone());
        }
        let model = Arc::make_mut(&mut draft.model);
        model.reads_itself = reads_itself;
        model.depends_on.extend(self.reads);
        model.depends_on.remove(&model.name);
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
