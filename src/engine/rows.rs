//! The rows that a query gave.

use ::duckdb::arrow::array::Array;
use ::duckdb::arrow::array::AsArray;
use ::duckdb::arrow::datatypes::DataType;
use ::duckdb::arrow::datatypes::Date32Type;
use ::duckdb::arrow::datatypes::Decimal128Type;
use ::duckdb::arrow::datatypes::Float32Type;
use ::duckdb::arrow::datatypes::Float64Type;
use ::duckdb::arrow::datatypes::Int8Type;
use ::duckdb::arrow::datatypes::Int16Type;
use ::duckdb::arrow::datatypes::Int32Type;
use ::duckdb::arrow::datatypes::Int64Type;
use ::duckdb::arrow::datatypes::SchemaRef;
use ::duckdb::arrow::datatypes::TimeUnit;
use ::duckdb::arrow::datatypes::TimestampMicrosecondType;
use ::duckdb::arrow::datatypes::TimestampMillisecondType;
use ::duckdb::arrow::datatypes::TimestampNanosecondType;
use ::duckdb::arrow::datatypes::TimestampSecondType;
use ::duckdb::arrow::datatypes::UInt8Type;
use ::duckdb::arrow::datatypes::UInt16Type;
use ::duckdb::arrow::datatypes::UInt32Type;
use ::duckdb::arrow::datatypes::UInt64Type;
use ::duckdb::arrow::record_batch::RecordBatch;
use ::duckdb::arrow::util::display::ArrayFormatter;
use ::duckdb::arrow::util::display::FormatOptions;
use chrono::DateTime;
use chrono::NaiveDateTime;
use chrono::Utc;
use serde_json::Value;

use crate::engine::EngineError;

/// The rows that a query gave, in Arrow batches that all have the same columns.
#[derive(Clone, Debug)]
pub struct Rows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// The values of one column that says yes and no, or when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moments {
    /// Row by row; NULL is `None`.
    Truths(Vec<Option<bool>>),
    /// Without NULLs and infinities; dates are their midnight, times without a zone are in UTC.
    Times(Vec<DateTime<Utc>>),
}

impl Rows {
    /// Wraps what an engine gave; every batch has the columns of `schema`.
    pub(super) fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }

    /// The rows in Arrow's own form.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The columns' names in order; a name may come twice.
    pub fn column_names(&self) -> Vec<&str> {
        self.schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole number in the only row's only column, such as a count.
    ///
    /// # Errors
    /// [`EngineError::Answer`] if there are more rows or columns, or it is no number from 0 up.
    pub fn single_u64(&self) -> Result<u64, EngineError> {
        let wrong = |what: &str| EngineError::Answer(format!("{what} instead of one whole number"));
        if self.schema.fields().len() != 1 || self.len() != 1 {
            let shape = format!(
                "{} rows of {} columns",
                self.len(),
                self.schema.fields().len()
            );
            return Err(wrong(&shape));
        }
        let cells = self.to_json_rows(1)?;
        let cell = cells.first().and_then(|row| row.first());
        let number = match cell {
            Some(Value::Number(number)) => number.as_u64(),
            // Wide integers and decimals without a fraction come as text.
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| wrong(&cell.map_or_else(String::new, Value::to_string)))
    }

    /// The values of the first column with this name, as text; NULL is `None`.
    ///
    /// # Errors
    /// [`EngineError::Answer`] if there is no such column.
    pub fn strings(&self, column: &str) -> Result<Vec<Option<String>>, EngineError> {
        let index = self
            .schema
            .fields()
            .iter()
            .position(|field| field.name().eq_ignore_ascii_case(column))
            .ok_or_else(|| EngineError::Answer(format!("no column `{column}`")))?;
        let mut values = Vec::with_capacity(self.len());
        for batch in &self.batches {
            let array = batch.column(index).as_ref();
            for row in 0..array.len() {
                values.push(match json(array, row)? {
                    Value::Null => None,
                    Value::String(text) => Some(text),
                    other => Some(other.to_string()),
                });
            }
        }
        Ok(values)
    }

    /// The values of the only column.
    ///
    /// # Errors
    /// [`EngineError::Answer`] with what it is instead, if there are more columns, or they are neither truth values nor times.
    pub fn moments(&self) -> Result<Moments, EngineError> {
        let [field] = &self.schema.fields()[..] else {
            let count = self.schema.fields().len();
            return Err(EngineError::Answer(format!("{count} columns")));
        };
        let columns = self.batches.iter().map(|batch| batch.column(0).as_ref());
        match field.data_type() {
            DataType::Boolean => {
                let values = columns.flat_map(|column| column.as_boolean().iter());
                Ok(Moments::Truths(values.collect()))
            }
            DataType::Date32 | DataType::Timestamp(..) => {
                let mut times = Vec::new();
                for column in columns {
                    let rows = (0..column.len()).filter(|row| !column.is_null(*row));
                    times.extend(rows.filter_map(|row| instant(column, row)));
                }
                Ok(Moments::Times(times))
            }
            other => Err(EngineError::Answer(format!("a column of type {other}"))),
        }
    }

    /// The first `limit` rows, each with its values in column order.
    ///
    /// Numbers that JSON holds exactly are numbers, NULL is `null`; decimals, dates, times and
    /// nested values are text. Times are ISO 8601, with an offset if the column has a zone.
    ///
    /// # Errors
    /// [`EngineError::Answer`] for a type that cannot be shown.
    pub fn to_json_rows(&self, limit: usize) -> Result<Vec<Vec<Value>>, EngineError> {
        let mut rows = Vec::new();
        for batch in &self.batches {
            let wanted = batch.num_rows().min(limit.saturating_sub(rows.len()));
            for row in 0..wanted {
                rows.push(
                    batch
                        .columns()
                        .iter()
                        .map(|column| json(column.as_ref(), row))
                        .collect::<Result<Vec<Value>, EngineError>>()?,
                );
            }
        }
        Ok(rows)
    }
}

fn json(array: &dyn Array, row: usize) -> Result<Value, EngineError> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, 0) => {
            let number = array.as_primitive::<Decimal128Type>().value(row);
            match i64::try_from(number) {
                Ok(small) => small.into(),
                Err(_) => number.to_string().into(),
            }
        }
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Timestamp(unit, zone) => timestamp(array, row, *unit, zone.is_some())?.into(),
        _ => shown(array, row)?.into(),
    })
}

/// JSON has no NaN and no infinity: those are text.
fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}

fn timestamp(
    array: &dyn Array,
    row: usize,
    unit: TimeUnit,
    with_zone: bool,
) -> Result<String, EngineError> {
    match instant_of(array, row, unit) {
        Some(instant) if with_zone => Ok(instant.to_rfc3339()),
        Some(instant) => {
            let local: NaiveDateTime = instant.naive_utc();
            Ok(format!("{local:?}"))
        }
        // `infinity` and what lies before the calendar begins.
        None => Ok("out of range".to_owned()),
    }
}

/// The instant in a column of dates or times.
fn instant(array: &dyn Array, row: usize) -> Option<DateTime<Utc>> {
    match array.data_type() {
        DataType::Timestamp(unit, _) => instant_of(array, row, *unit),
        _ => {
            let days = array.as_primitive::<Date32Type>().value(row);
            DateTime::from_timestamp_secs(i64::from(days) * 86_400)
        }
    }
}

fn instant_of(array: &dyn Array, row: usize, unit: TimeUnit) -> Option<DateTime<Utc>> {
    match unit {
        TimeUnit::Second => {
            DateTime::from_timestamp_secs(array.as_primitive::<TimestampSecondType>().value(row))
        }
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(
            array.as_primitive::<TimestampMillisecondType>().value(row),
        ),
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(
            array.as_primitive::<TimestampMicrosecondType>().value(row),
        ),
        TimeUnit::Nanosecond => Some(DateTime::from_timestamp_nanos(
            array.as_primitive::<TimestampNanosecondType>().value(row),
        )),
    }
}

fn shown(array: &dyn Array, row: usize) -> Result<String, EngineError> {
    let options = FormatOptions::default();
    ArrayFormatter::try_new(array, &options)
        .and_then(|formatter| formatter.value(row).try_to_string())
        .map_err(|error| EngineError::Answer(error.to_string()))
}
