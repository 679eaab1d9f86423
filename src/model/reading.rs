//! What a model's query means, read once when the project is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::sql::DataType;
use crate::sql::Meaning;
use crate::sql::Query;
use crate::sql::Schema;
use crate::sql::SchemaOf;
use crate::sql::parse_type;

/// What a model gives, as far as its definition and those of its parents tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What its query means; `None` for seeds and external models.
    pub meaning: Option<Arc<Meaning>>,
    /// Its output columns with their types; `None` means unknown.
    pub schema: Option<Arc<Schema>>,
}

/// The readings of a project's models.
pub type Readings = BTreeMap<ModelName, Reading>;

impl Reading {
    /// The reading of `model`, whose query is given if it has one.
    pub fn new(model: &Model, query: Option<&Query>, schema_of: SchemaOf<'_>) -> Self {
        let meaning = query.map(|query| Arc::new(query.meaning(schema_of)));
        let schema = output_schema(model, meaning.as_deref()).map(Arc::new);
        Self { meaning, schema }
    }
}

/// The model's query, read; run-time macros stand as markers. `None` for seeds and external models.
pub fn parse(model: &Model) -> Option<Query> {
    let query = model.query.as_ref()?;
    Some(Query::parse(
        &query.for_analysis(model.dialect),
        model.dialect,
    ))
}

/// Output columns in order: declared, else the seed's header, else what the query, whose meaning is given, tells.
pub fn output_schema(model: &Model, meaning: Option<&Meaning>) -> Option<Schema> {
    if let Some(columns) = &model.columns {
        let columns = columns.iter().map(|column| {
            let data_type = column.data_type.as_deref();
            let data_type = data_type.and_then(|text| parse_type(text, model.dialect));
            (column.name.clone(), data_type)
        });
        return Some(Schema::new(with_validity(model, columns.collect())));
    }
    match &model.kind {
        ModelKind::Seed(seed) => {
            let names = seed.column_hashes.iter().map(|(name, _)| name.clone());
            Some(Schema::new(names.map(|name| (name, None))))
        }
        ModelKind::External => None,
        ModelKind::View
        | ModelKind::MaterializedView
        | ModelKind::Full
        | ModelKind::IncrementalByTimeRange { .. }
        | ModelKind::IncrementalByUniqueKey(_)
        | ModelKind::IncrementalByPartition
        | ModelKind::IncrementalUnmanaged { .. }
        | ModelKind::ScdType2(_)
        | ModelKind::Embedded => {
            let meaning = meaning?;
            let names = meaning.column_names()?;
            let types = meaning.columns.iter().flatten();
            let types = types.map(|column| column.data_type.clone().filter(is_settled));
            let columns = names.into_iter().zip(types);
            Some(Schema::new(with_validity(model, columns.collect())))
        }
    }
}

/// `columns` with those that an SCD_TYPE_2 table has besides; its times have the type that it declares.
fn with_validity(
    model: &Model,
    mut columns: Vec<(String, Option<DataType>)>,
) -> Vec<(String, Option<DataType>)> {
    let ModelKind::ScdType2(scd) = &model.kind else {
        return columns;
    };
    let data_type = parse_type(&scd.time_data_type, model.dialect);
    for (name, known) in &mut columns {
        if Some(name.as_str()) == scd.updated_at() {
            known.clone_from(&data_type);
        }
    }
    for name in [&scd.valid_from, &scd.valid_to] {
        if !columns.iter().any(|(known, _)| known == name) {
            columns.push((name.clone(), data_type.clone()));
        }
    }
    columns
}

/// Whether a table's column may have the type: a bare NULL gets one from the engine.
fn is_settled(data_type: &DataType) -> bool {
    *data_type != DataType::Null
}
