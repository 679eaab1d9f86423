//! One type for several values.

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_duckdb;
use crate::sql::types::in_postgres;

/// What brings values of different types together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The results of a CASE in the order of the text. Without ELSE, the last one is
    /// [`Operand::Null`].
    Case,
    /// COALESCE, IF, GREATEST, LEAST.
    Choice,
    /// The elements of a list or an array; the keys or the values of a map.
    List,
    /// The rows of VALUES.
    Values,
    /// The branches of UNION, INTERSECT, EXCEPT.
    Union,
}

/// The type that all of `operands` get; `None` when one is unknown or they do not fit.
pub fn common(context: Context, operands: &[Option<Operand>], dialect: Dialect) -> Option<Operand> {
    match dialect {
        Dialect::DuckDb => in_duckdb::common(context, operands),
        Dialect::Postgres => in_postgres::common(context, operands),
        _ => the_same(operands),
    }
}

/// The type that all of them have already; a NULL takes any.
fn the_same(operands: &[Option<Operand>]) -> Option<Operand> {
    let mut all = Operand::Null;
    for operand in operands {
        match (&all, operand.as_ref()?) {
            (_, Operand::Null) => {}
            (Operand::Null, other) => all = other.clone(),
            (one, other) if one == other => {}
            _ => return None,
        }
    }
    match all {
        all @ Operand::Typed(_) => Some(all),
        _ => None,
    }
}

/// The type of a list with such elements: `[a, b]`, `ARRAY[a, b]`.
pub fn list_of(elements: &[Option<Operand>], dialect: Dialect) -> Option<DataType> {
    if elements.is_empty() {
        return (dialect == Dialect::DuckDb).then(|| DataType::list(DataType::Null));
    }
    let element = common(Context::List, elements, dialect)?.settle(dialect)?;
    match dialect {
        Dialect::Postgres => in_postgres::array_of(element),
        _ => Some(DataType::list(element)),
    }
}

/// The type of a map with such keys and values: `MAP {k: v}`.
pub fn map_of(
    keys: &[Option<Operand>],
    values: &[Option<Operand>],
    dialect: Dialect,
) -> Option<DataType> {
    let all = |operands: &[Option<Operand>]| match operands {
        [] => (dialect == Dialect::DuckDb).then_some(DataType::Null),
        operands => common(Context::List, operands, dialect)?.settle(dialect),
    };
    Some(DataType::map(all(keys)?, all(values)?))
}

/// The type of a struct with such fields: `{'a': 1}`, `STRUCT(1 AS a)`.
pub fn struct_of(fields: &[(String, Option<Operand>)], dialect: Dialect) -> Option<DataType> {
    let fields = fields.iter().map(|(name, operand)| {
        let data_type = operand.as_ref()?.settle(dialect)?;
        Some((name.clone(), data_type))
    });
    Some(DataType::Struct(fields.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn text(data_type: Option<DataType>) -> Option<String> {
        data_type.map(|data_type| data_type.to_string())
    }

    #[test]
    fn lists_maps_and_structs_are_made_of_the_types_of_their_parts() {
        let duckdb = Dialect::DuckDb;
        let tiny = Some(Operand::from(DataType::TinyInt));
        let one = Some(Operand::Integer(1));
        let a = Some(Operand::String("a".into()));
        let list = list_of(&[tiny.clone(), one.clone()], duckdb);
        assert_eq!(text(list).as_deref(), Some("TINYINT[]"));
        assert_eq!(text(list_of(&[], duckdb)).as_deref(), Some("NULL[]"));
        let map = map_of(slice::from_ref(&a), slice::from_ref(&one), duckdb);
        assert_eq!(text(map).as_deref(), Some("MAP(VARCHAR, INTEGER)"));
        let fields = [("x".to_owned(), tiny), ("y".to_owned(), a.clone())];
        let structure = struct_of(&fields, duckdb);
        assert_eq!(
            text(structure).as_deref(),
            Some("STRUCT(x TINYINT, y VARCHAR)")
        );
        assert_eq!(list_of(&[one, None], duckdb), None);
        assert_eq!(list_of(&[a], Dialect::Snowflake), None);
    }

    #[test]
    fn in_other_dialects_only_equal_types_have_a_common_one() {
        let typed = |data_type: DataType| Some(Operand::from(data_type));
        let same = [
            typed(DataType::Date),
            Some(Operand::Null),
            typed(DataType::Date),
        ];
        let mixed = [typed(DataType::Date), typed(DataType::TIMESTAMP)];
        for dialect in [Dialect::Snowflake, Dialect::BigQuery, Dialect::Spark] {
            assert_eq!(
                common(Context::Union, &same, dialect),
                typed(DataType::Date)
            );
            assert_eq!(common(Context::Union, &mixed, dialect), None);
        }
    }
}
