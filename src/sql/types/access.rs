//! Parts of a value: fields, elements, keys.

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::Operand;

/// The type of `value.name`; `None` when there is no such field, or when the value is no struct.
pub fn field(value: &DataType, name: &str, dialect: Dialect) -> Option<DataType> {
    match (value, dialect) {
        (DataType::Struct(fields) | DataType::Union(fields), _) => named(fields, name),
        (DataType::Json, Dialect::Databricks) => Some(DataType::Varchar),
        (DataType::Json, Dialect::DuckDb | Dialect::BigQuery) => Some(DataType::Json),
        (DataType::Map(map), Dialect::DuckDb | Dialect::Databricks | Dialect::Spark) => {
            Some(map.1.clone())
        }
        (DataType::Other(_), Dialect::Snowflake) => variant(value),
        _ => None,
    }
}

/// Snowflake's VARIANT and what holds such values.
fn variant(value: &DataType) -> Option<DataType> {
    let DataType::Other(name) = value else {
        return None;
    };
    matches!(name.as_ref(), "VARIANT" | "OBJECT" | "ARRAY")
        .then(|| DataType::Other("VARIANT".into()))
}

/// The type of the field with this name in any case.
pub(super) fn named(fields: &[(String, DataType)], name: &str) -> Option<DataType> {
    fields
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, data_type)| data_type.clone())
}

/// The type of one element of a list, as `unnest(value)` gives it.
pub fn element(value: &DataType) -> Option<DataType> {
    match value {
        DataType::List(element) | DataType::Array(element, _) => Some(element.as_ref().clone()),
        _ => None,
    }
}

/// The type of `value[index]`.
///
/// In PostgreSQL, `list[i]` is an element however deep the list: write all subscripts of
/// `list[i][j]` as one.
pub fn subscript(value: &Operand, index: Option<&Operand>, dialect: Dialect) -> Option<DataType> {
    let value = match value {
        Operand::Typed(value) => value,
        Operand::String(_) if dialect == Dialect::DuckDb => return Some(DataType::Varchar),
        Operand::Null | Operand::Integer(_) | Operand::String(_) => return None,
    };
    let is_bare_null = index == Some(&Operand::Null);
    match (value, dialect) {
        // DuckDB forgets the type when the index is a bare NULL.
        (DataType::List(_) | DataType::Array(..), Dialect::DuckDb) if is_bare_null => None,
        (DataType::List(element) | DataType::Array(element, _), _) => {
            Some(element.as_ref().clone())
        }
        (DataType::Map(map), _) => Some(map.1.clone()),
        (DataType::Varchar, Dialect::DuckDb) => Some(DataType::Varchar),
        (DataType::Json, Dialect::DuckDb | Dialect::BigQuery) => Some(DataType::Json),
        (DataType::Jsonb, Dialect::Postgres) => Some(DataType::Jsonb),
        (DataType::Struct(fields), Dialect::DuckDb) => match index? {
            Operand::String(name) => named(fields, name),
            Operand::Integer(position) => {
                let at = usize::try_from(*position).ok()?.checked_sub(1)?;
                fields.get(at).map(|(_, data_type)| data_type.clone())
            }
            Operand::Null | Operand::Typed(_) => None,
        },
        (DataType::Other(_), Dialect::Snowflake) => variant(value),
        _ => None,
    }
}

/// The type of `value[from:to]`.
pub fn slice(value: &Operand, dialect: Dialect) -> Option<DataType> {
    match (value, dialect) {
        (Operand::String(_), Dialect::DuckDb) => Some(DataType::Varchar),
        (Operand::Typed(value @ DataType::List(_)), _) => Some(value.clone()),
        (Operand::Typed(DataType::Array(element, _)), Dialect::DuckDb) => {
            Some(DataType::List(element.clone()))
        }
        (
            Operand::Typed(value @ (DataType::Varchar | DataType::Blob | DataType::Bit)),
            Dialect::DuckDb,
        ) => Some(value.clone()),
        _ => None,
    }
}
