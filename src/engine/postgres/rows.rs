//! PostgreSQL's text of values as Arrow columns.

use std::sync::Arc;

use ::duckdb::arrow::array::ArrayRef;
use ::duckdb::arrow::array::BinaryArray;
use ::duckdb::arrow::array::BooleanArray;
use ::duckdb::arrow::array::Date32Array;
use ::duckdb::arrow::array::Decimal128Array;
use ::duckdb::arrow::array::Float32Array;
use ::duckdb::arrow::array::Float64Array;
use ::duckdb::arrow::array::Int16Array;
use ::duckdb::arrow::array::Int32Array;
use ::duckdb::arrow::array::Int64Array;
use ::duckdb::arrow::array::StringArray;
use ::duckdb::arrow::array::Time64MicrosecondArray;
use ::duckdb::arrow::array::TimestampMicrosecondArray;
use ::duckdb::arrow::datatypes::Field;
use ::duckdb::arrow::datatypes::Schema;
use ::duckdb::arrow::record_batch::RecordBatch;
use ::duckdb::arrow::record_batch::RecordBatchOptions;
use chrono::DateTime;
use chrono::NaiveDate;
use chrono::NaiveDateTime;
use chrono::NaiveTime;

use crate::engine::EngineError;
use crate::engine::Rows;

/// Most digits of a decimal that Arrow holds in 128 bits.
const DIGITS: usize = 38;

/// A column of an answer as it came.
pub(super) struct Column {
    name: String,
    /// PostgreSQL's short name in capitals, such as `INT8`.
    type_name: String,
    values: Vec<Option<String>>,
}

impl Column {
    pub(super) fn new(name: &str, type_name: &str) -> Self {
        Self {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, value: Option<&str>) {
        self.values.push(value.map(str::to_owned));
    }

    /// As its own type, unless a value does not fit into that, such as `infinity` among dates: then as text.
    fn array(&self) -> ArrayRef {
        self.typed()
            .unwrap_or_else(|| Arc::new(StringArray::from_iter(self.values.iter())))
    }

    fn typed(&self) -> Option<ArrayRef> {
        Some(match self.type_name.as_str() {
            "BOOL" => Arc::new(self.parsed::<_, BooleanArray>(|text| Some(text == "t"))?),
            "INT2" => Arc::new(self.parsed::<i16, Int16Array>(|text| text.parse().ok())?),
            "INT4" => Arc::new(self.parsed::<i32, Int32Array>(|text| text.parse().ok())?),
            "INT8" | "OID" => Arc::new(self.parsed::<i64, Int64Array>(|text| text.parse().ok())?),
            "FLOAT4" => Arc::new(self.parsed::<f32, Float32Array>(|text| text.parse().ok())?),
            "FLOAT8" => Arc::new(self.parsed::<f64, Float64Array>(|text| text.parse().ok())?),
            "NUMERIC" => self.decimals()?,
            "BYTEA" => {
                let values = self.values.iter();
                let bytes = values.map(|value| value.as_deref().map(bytes).transpose());
                let bytes: Option<Vec<_>> = bytes.map(Result::ok).collect();
                Arc::new(BinaryArray::from_iter(bytes?))
            }
            "DATE" => Arc::new(self.parsed::<i32, Date32Array>(days)?),
            "TIME" => Arc::new(self.parsed::<i64, Time64MicrosecondArray>(time)?),
            "TIMESTAMP" => Arc::new(self.parsed::<i64, TimestampMicrosecondArray>(|text| {
                let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
                Some(time.and_utc().timestamp_micros())
            })?),
            "TIMESTAMPTZ" => {
                let times = self.parsed::<i64, TimestampMicrosecondArray>(|text| {
                    let time = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok()?;
                    Some(time.timestamp_micros())
                })?;
                Arc::new(times.with_timezone("UTC"))
            }
            _ => return None,
        })
    }

    fn parsed<T, A: FromIterator<Option<T>>>(
        &self,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<A> {
        let values = self.values.iter().map(|value| match value {
            None => Some(None),
            Some(text) => parse(text).map(Some),
        });
        values.collect()
    }

    /// Decimals that all have the same digits after the point; others keep their own form as text.
    fn decimals(&self) -> Option<ArrayRef> {
        let mut texts = self.values.iter().flatten();
        let scale = |text: &String| text.split_once('.').map_or(0, |(_, digits)| digits.len());
        let of_first = texts.next().map_or(0, scale);
        if !texts.all(|text| scale(text) == of_first) {
            return None;
        }
        let numbers = self.parsed::<i128, Decimal128Array>(|text| {
            let digits = text.replace('.', "");
            let short = digits.trim_start_matches('-').len() <= DIGITS;
            short.then(|| digits.parse().ok()).flatten()
        })?;
        let precision = u8::try_from(DIGITS).ok()?;
        let numbers = numbers.with_precision_and_scale(precision, i8::try_from(of_first).ok()?);
        Some(Arc::new(numbers.ok()?))
    }
}

/// `\x01ff` as bytes.
fn bytes(text: &str) -> Result<Vec<u8>, hex::FromHexError> {
    hex::decode(text.trim_start_matches("\\x"))
}

fn days(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).ok()
}

fn time(text: &str) -> Option<i64> {
    let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()?;
    time.signed_duration_since(NaiveTime::MIN)
        .num_microseconds()
}

/// The rows that these columns make; all have as many values.
pub(super) fn to_rows(columns: Vec<Column>) -> Result<Rows, EngineError> {
    let count = columns.first().map_or(0, |column| column.values.len());
    let arrays: Vec<ArrayRef> = columns.iter().map(Column::array).collect();
    let fields: Vec<Field> = columns
        .into_iter()
        .zip(&arrays)
        .map(|(column, array)| Field::new(column.name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
        .map_err(|error| EngineError::Answer(error.to_string()))?;
    Ok(Rows::new(schema, vec![batch]))
}

/// The long names of types, and the short ones that mean the same.
const SHORT: [(&str, &str); 4] = [
    ("character varying", "VARCHAR"),
    ("character", "CHAR"),
    ("bit varying", "VARBIT"),
    ("double precision", "DOUBLE PRECISION"),
];

/// What `format_type` gives, in capitals and with the short names that everybody writes: `timestamp(3) with time zone`
/// is `TIMESTAMPTZ(3)`. Types that users named stay as they are.
pub(super) fn type_words(text: &str) -> String {
    if text.contains('"') {
        return text.to_owned();
    }
    let (text, suffix) = match text.strip_suffix("[]") {
        Some(element) => (element, "[]"),
        None => (text, ""),
    };
    let (text, zone) = if let Some(plain) = text.strip_suffix(" without time zone") {
        (plain, "")
    } else if let Some(plain) = text.strip_suffix(" with time zone") {
        (plain, "TZ")
    } else {
        (text, "")
    };
    let (name, arguments) = text
        .find('(')
        .map_or((text, ""), |start| text.split_at(start));
    let name = SHORT.iter().find(|(long, _)| *long == name).map_or_else(
        || name.to_ascii_uppercase(),
        |(_, short)| (*short).to_owned(),
    );
    format!("{name}{zone}{}{suffix}", arguments.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_that_people_write() {
        for (given, expected) in [
            ("integer", "INTEGER"),
            ("numeric(10,2)", "NUMERIC(10,2)"),
            ("character varying(10)[]", "VARCHAR(10)[]"),
            ("timestamp without time zone", "TIMESTAMP"),
            ("timestamp(3) with time zone", "TIMESTAMPTZ(3)"),
            ("time with time zone", "TIMETZ"),
            ("double precision", "DOUBLE PRECISION"),
            ("\"My Type\"", "\"My Type\""),
        ] {
            assert_eq!(type_words(given), expected);
        }
    }

    #[test]
    fn what_does_not_fit_its_type_comes_as_text() {
        let mut dates = Column::new("d", "DATE");
        dates.push(Some("2024-01-02"));
        dates.push(Some("infinity"));
        let mut decimals = Column::new("n", "NUMERIC");
        decimals.push(Some("1.50"));
        decimals.push(Some("2.5"));
        let rows = to_rows(vec![dates, decimals]).unwrap();
        assert_eq!(
            serde_json::json!(rows.to_json_rows(9).unwrap()),
            serde_json::json!([["2024-01-02", "1.50"], ["infinity", "2.5"]])
        );
    }
}
