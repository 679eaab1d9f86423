//! SQL text with the macros that only get a value at run time.

use std::fmt::Write;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Timelike;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::model::macro_use::MacroUse;
use crate::model::macro_use::Piece;
use crate::model::macro_use::macro_uses;
use crate::model::macro_use::template_pieces;
use crate::sql::Dialect;
use crate::sql::tokens;

/// SQL text in which everything is settled but the run-time macros: the date variables
/// (`@start_ds`, `@end_dt`, …), `@this_model`, `@runtime_stage`, `@execution_…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(String);

/// What the run-time macros become.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeValues {
    /// The slice of time to compute, `[start, end)`; `None` makes `@start_…` and `@end_…` an error.
    pub range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The moment that counts as now.
    pub execution_time: DateTime<Utc>,
    /// SQL that stands for the model's rows: a quoted table or a subquery in brackets.
    pub this_model: Option<String>,
    /// Such as `evaluating`, `creating` or `auditing`.
    pub runtime_stage: &'static str,
}

/// A macro that has no value here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A range variable where no range is given, or a name that nobody knows.
    #[error("macro variable `@{0}` has no value here")]
    Undefined(String),
}

/// A macro variable whose value is known only at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeVariable {
    /// `@start_ds` and its like.
    Time(Moment, TimeForm),
    /// `@this_model`.
    ThisModel,
    /// `@runtime_stage`.
    RuntimeStage,
}

/// Which moment a date variable names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// First instant of the range.
    Start,
    /// Last instant of the range, inclusive.
    End,
    /// The moment that counts as now.
    Execution,
}

/// How a date variable is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the suffixes of the variables")]
pub enum TimeForm {
    Dt,
    Dtntz,
    Date,
    Ds,
    Ts,
    Tstz,
    Epoch,
    Millis,
    Hour,
}

impl Template {
    /// Wraps text whose user variables are substituted already.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text with its run-time macros as written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The SQL to execute.
    ///
    /// The end of the range is rendered inclusive: one microsecond (T-SQL: nanosecond) before it.
    ///
    /// # Errors
    /// [`RenderError::Undefined`] if a macro has no value in `values`.
    ///
    /// Source: spec surface.md 3.1 and 3.2, recorded from the reference.
    pub fn render(&self, values: &RuntimeValues, dialect: Dialect) -> Result<String, RenderError> {
        self.replace(dialect, &Values { values, dialect })
    }

    /// Text that parses as SQL and stays the same from run to run: every run-time macro is a marker
    /// that no project writes by accident (`'\u{1}start_ds'`, `siding_this_model`, …).
    pub fn for_analysis(&self, dialect: Dialect) -> String {
        self.replace(dialect, &Markers { dialect })
            .unwrap_or_else(|_| self.0.clone())
    }

    /// The run-time variables that it names, in order.
    pub fn variables(&self, dialect: Dialect) -> Vec<RuntimeVariable> {
        let mut found = Vec::new();
        if self.0.contains('@') {
            let tokens = tokens::tokenize(&self.0, dialect);
            for (_, use_) in macro_uses(&self.0, &tokens) {
                found.extend(use_.names().filter_map(RuntimeVariable::from_name));
            }
        }
        found
    }

    fn replace(&self, dialect: Dialect, meaning: &dyn Meaning) -> Result<String, RenderError> {
        let text = &self.0;
        if !text.contains('@') {
            return Ok(text.clone());
        }
        let tokens = tokens::tokenize(text, dialect);
        let mut output = String::with_capacity(text.len() + 64);
        let mut copied = 0;
        for (span, use_) in macro_uses(text, &tokens) {
            let replacement = match use_ {
                MacroUse::Variable { name, .. } => match RuntimeVariable::from_name(name) {
                    Some(variable) => meaning.sql(variable, name)?,
                    None if is_stage_path(text, span.end, dialect) => continue,
                    None => return Err(RenderError::Undefined(name.to_owned())),
                },
                MacroUse::Call { name, .. } => {
                    return Err(RenderError::Undefined(name.to_owned()));
                }
                MacroUse::Identifier { pieces } => {
                    let mut name = String::new();
                    for piece in pieces {
                        match piece {
                            Piece::Text(text) => name.push_str(text),
                            Piece::Name(variable) | Piece::Braced(variable) => {
                                let known = RuntimeVariable::from_name(variable)
                                    .ok_or_else(|| RenderError::Undefined(variable.to_owned()))?;
                                name.push_str(&meaning.plain(known, variable)?);
                            }
                        }
                    }
                    if tokens::is_plain_identifier(&name) {
                        name
                    } else {
                        tokens::identifier(&name, dialect)
                    }
                }
                MacroUse::Text { body } => {
                    let mut literal = String::from("'");
                    for piece in template_pieces(body) {
                        match piece {
                            Piece::Text(text) => literal.push_str(text),
                            Piece::Name(name) | Piece::Braced(name) => {
                                match RuntimeVariable::from_name(name) {
                                    Some(variable) => literal.push_str(&tokens::escape_string(
                                        &meaning.plain(variable, name)?,
                                        dialect,
                                    )),
                                    None => literal.push_str(&piece.as_written()),
                                }
                            }
                        }
                    }
                    literal.push('\'');
                    literal
                }
            };
            output.push_str(&text[copied..span.start]);
            output.push_str(&replacement);
            copied = span.end;
        }
        output.push_str(&text[copied..]);
        Ok(output)
    }
}

impl RuntimeVariable {
    /// The variable that `name` (without `@`, in any case) means; `None` if it is none of these.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "this_model" => return Some(Self::ThisModel),
            "runtime_stage" => return Some(Self::RuntimeStage),
            _ => {}
        }
        let (moment, form) = name.split_once('_')?;
        let moment = match moment {
            "start" => Moment::Start,
            "end" => Moment::End,
            "execution" | "latest" => Moment::Execution,
            _ => return None,
        };
        let form = match form {
            "dt" => TimeForm::Dt,
            "dtntz" => TimeForm::Dtntz,
            "date" => TimeForm::Date,
            "ds" => TimeForm::Ds,
            "ts" => TimeForm::Ts,
            "tstz" => TimeForm::Tstz,
            "epoch" => TimeForm::Epoch,
            "millis" => TimeForm::Millis,
            "hour" => TimeForm::Hour,
            _ => return None,
        };
        Some(Self::Time(moment, form))
    }

    /// The variable whose marker of [`Template::for_analysis`] the text or the name of the function is, with what
    /// follows it in a text.
    pub fn from_marker(marker: &str) -> Option<(Self, &str)> {
        if let Some(name) = marker.strip_prefix("siding_") {
            return Some((Self::from_name(name)?, ""));
        }
        let text = marker.strip_prefix('\u{1}')?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let end = text.bytes().position(|byte| !is_name(byte));
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        Some((Self::from_name(name)?, rest))
    }

    /// Whether it needs a range of time, which views and full models do not have.
    pub fn needs_range(self) -> bool {
        match self {
            Self::Time(Moment::Start | Moment::End, _) => true,
            Self::Time(Moment::Execution, _) | Self::ThisModel | Self::RuntimeStage => false,
        }
    }
}

/// Snowflake's `FROM @stage/path` is no macro.
fn is_stage_path(text: &str, end: usize, dialect: Dialect) -> bool {
    dialect == Dialect::Snowflake && text[end..].starts_with('/')
}

/// What variables stand for: as SQL, and inside names and strings.
trait Meaning {
    fn sql(&self, variable: RuntimeVariable, name: &str) -> Result<String, RenderError>;
    fn plain(&self, variable: RuntimeVariable, name: &str) -> Result<String, RenderError>;
}

struct Values<'a> {
    values: &'a RuntimeValues,
    dialect: Dialect,
}

impl Values<'_> {
    fn moment(&self, moment: Moment, name: &str) -> Result<DateTime<Utc>, RenderError> {
        let range = || {
            self.values
                .range
                .ok_or_else(|| RenderError::Undefined(name.to_owned()))
        };
        Ok(match moment {
            Moment::Start => range()?.0,
            Moment::End => {
                let step = if self.dialect == Dialect::Tsql {
                    TimeDelta::nanoseconds(1)
                } else {
                    TimeDelta::microseconds(1)
                };
                range()?.1 - step
            }
            Moment::Execution => self.values.execution_time,
        })
    }
}

impl Meaning for Values<'_> {
    fn sql(&self, variable: RuntimeVariable, name: &str) -> Result<String, RenderError> {
        if let RuntimeVariable::ThisModel = variable {
            return self.plain(variable, name);
        }
        let plain = self.plain(variable, name)?;
        Ok(match variable {
            RuntimeVariable::Time(_, form) => time_sql(form, &plain, self.dialect),
            RuntimeVariable::ThisModel => plain,
            RuntimeVariable::RuntimeStage => format!("'{plain}'"),
        })
    }

    fn plain(&self, variable: RuntimeVariable, name: &str) -> Result<String, RenderError> {
        let undefined = || RenderError::Undefined(name.to_owned());
        match variable {
            RuntimeVariable::Time(moment, form) => {
                let at = self.moment(moment, name)?;
                let rounded = self.dialect == Dialect::Tsql && moment == Moment::End;
                Ok(time_text(form, at, rounded))
            }
            RuntimeVariable::ThisModel => self.values.this_model.clone().ok_or_else(undefined),
            RuntimeVariable::RuntimeStage => Ok(self.values.runtime_stage.to_owned()),
        }
    }
}

struct Markers {
    dialect: Dialect,
}

impl Meaning for Markers {
    fn sql(&self, variable: RuntimeVariable, name: &str) -> Result<String, RenderError> {
        let name = canonical_name(name);
        Ok(match variable {
            RuntimeVariable::Time(_, TimeForm::Epoch | TimeForm::Millis | TimeForm::Hour) => {
                format!("siding_{name}()")
            }
            RuntimeVariable::Time(_, form) => time_sql(form, &format!("\u{1}{name}"), self.dialect),
            RuntimeVariable::ThisModel => "siding_this_model".to_owned(),
            RuntimeVariable::RuntimeStage => {
                format!("'\u{1}{name}'")
            }
        })
    }

    fn plain(&self, _: RuntimeVariable, name: &str) -> Result<String, RenderError> {
        Ok(format!("\u{1}{}", canonical_name(name)))
    }
}

fn canonical_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("latest_") {
        Some(form) => format!("execution_{form}"),
        None => name,
    }
}

/// The value as the template of a string shows it.
fn time_text(form: TimeForm, at: DateTime<Utc>, round_up: bool) -> String {
    let naive = || {
        let mut text = at.format("%Y-%m-%d %H:%M:%S").to_string();
        let nanoseconds = at.nanosecond();
        if !nanoseconds.is_multiple_of(1000) {
            let _ = write!(text, ".{nanoseconds:09}");
        } else if nanoseconds != 0 {
            let _ = write!(text, ".{:06}", nanoseconds / 1000);
        }
        text
    };
    match form {
        TimeForm::Dt | TimeForm::Tstz => format!("{}+00:00", naive()),
        TimeForm::Dtntz | TimeForm::Ts => naive(),
        TimeForm::Date | TimeForm::Ds => at.format("%Y-%m-%d").to_string(),
        TimeForm::Epoch => {
            // A nanosecond before the end rounds up to the end in a double.
            let millis = if round_up {
                (at + TimeDelta::nanoseconds(1)).timestamp_millis()
            } else {
                at.timestamp_millis()
            };
            let fraction = format!("{:03}", millis.rem_euclid(1000));
            let fraction = fraction.trim_end_matches('0');
            let fraction = if fraction.is_empty() { "0" } else { fraction };
            let seconds = millis.div_euclid(1000);
            if seconds < 0 && fraction != "0" {
                let ahead = format!("{:03}", 1000 - millis.rem_euclid(1000));
                format!("-{}.{}", -(seconds + 1), ahead.trim_end_matches('0'))
            } else {
                format!("{seconds}.{fraction}")
            }
        }
        TimeForm::Millis => at.timestamp_millis().to_string(),
        TimeForm::Hour => at.hour().to_string(),
    }
}

/// `text`, a value from [`time_text`], as SQL.
fn time_sql(form: TimeForm, text: &str, dialect: Dialect) -> String {
    match form {
        TimeForm::Dt => match dialect {
            Dialect::BigQuery => format!("CAST('{text}' AS TIMESTAMP)"),
            Dialect::Tsql => {
                format!("CAST('{text}' AS DATETIMEOFFSET) AT TIME ZONE 'UTC'")
            }
            Dialect::Spark | Dialect::Databricks | Dialect::MySql => {
                format!("CAST('{text}' AS TIMESTAMP)")
            }
            Dialect::Trino | Dialect::Athena => {
                format!("CAST('{text}' AS TIMESTAMP WITH TIME ZONE)")
            }
            Dialect::ClickHouse => format!("CAST('{text}' AS DateTime64(6, 'UTC'))"),
            Dialect::DuckDb | Dialect::Postgres | Dialect::Redshift | Dialect::Snowflake => {
                format!("CAST('{text}' AS TIMESTAMPTZ)")
            }
        },
        TimeForm::Dtntz => {
            let data_type = match dialect {
                Dialect::BigQuery | Dialect::MySql => "DATETIME",
                Dialect::Tsql => "DATETIME2",
                Dialect::Spark | Dialect::Databricks => "TIMESTAMP_NTZ",
                Dialect::ClickHouse => "DateTime64(6)",
                Dialect::DuckDb
                | Dialect::Postgres
                | Dialect::Redshift
                | Dialect::Snowflake
                | Dialect::Trino
                | Dialect::Athena => "TIMESTAMP",
            };
            format!("CAST('{text}' AS {data_type})")
        }
        TimeForm::Date => format!("CAST('{text}' AS DATE)"),
        TimeForm::Ds | TimeForm::Ts | TimeForm::Tstz => format!("'{text}'"),
        TimeForm::Epoch | TimeForm::Millis | TimeForm::Hour => text.to_owned(),
    }
}

impl Default for RuntimeValues {
    /// 1970-01-01 throughout, as while loading.
    fn default() -> Self {
        let epoch = DateTime::UNIX_EPOCH;
        Self {
            range: Some((epoch, epoch + TimeDelta::days(1))),
            execution_time: epoch,
            this_model: None,
            runtime_stage: "loading",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn sample() -> RuntimeValues {
        RuntimeValues {
            range: Some((at("2024-01-01T00:00:00Z"), at("2024-01-03T00:00:00Z"))),
            execution_time: at("2024-01-03T04:05:06Z"),
            this_model: Some("\"s\".\"t\"".to_owned()),
            runtime_stage: "evaluating",
        }
    }

    fn render(text: &str, dialect: Dialect) -> String {
        Template::new(text).render(&sample(), dialect).unwrap()
    }

    #[test]
    fn date_variables_render_as_in_the_reference() {
        let rows = [
            (
                "start_dt",
                "CAST('2024-01-01 00:00:00+00:00' AS TIMESTAMPTZ)",
            ),
            ("start_dtntz", "CAST('2024-01-01 00:00:00' AS TIMESTAMP)"),
            ("start_date", "CAST('2024-01-01' AS DATE)"),
            ("start_ds", "'2024-01-01'"),
            ("end_ds", "'2024-01-02'"),
            ("start_ts", "'2024-01-01 00:00:00'"),
            ("end_ts", "'2024-01-02 23:59:59.999999'"),
            ("start_tstz", "'2024-01-01 00:00:00+00:00'"),
            ("end_tstz", "'2024-01-02 23:59:59.999999+00:00'"),
            ("start_epoch", "1704067200.0"),
            ("end_epoch", "1704239999.999"),
            ("start_millis", "1704067200000"),
            ("end_millis", "1704239999999"),
            ("start_hour", "0"),
            ("end_hour", "23"),
            ("execution_ts", "'2024-01-03 04:05:06'"),
            ("latest_ds", "'2024-01-03'"),
        ];
        for (name, sql) in rows {
            assert_eq!(render(&format!("@{name}"), Dialect::DuckDb), sql, "{name}");
            let upper = name.to_ascii_uppercase();
            assert_eq!(render(&format!("@{upper}"), Dialect::DuckDb), sql, "{name}");
        }
        assert_eq!(render("@end_epoch", Dialect::Tsql), "1704240000.0");
        assert_eq!(
            render("@end_ts", Dialect::Tsql),
            "'2024-01-02 23:59:59.999999999'"
        );
        assert_eq!(
            render("@start_dtntz", Dialect::BigQuery),
            "CAST('2024-01-01 00:00:00' AS DATETIME)"
        );
    }

    #[test]
    fn strings_and_comments_are_left_alone() {
        let text = "SELECT '@start_ds' /* @end_ds */ -- @x\n, \"@start_ds\"";
        assert_eq!(render(text, Dialect::DuckDb), text);
    }

    #[test]
    fn string_templates_and_names_are_filled_in() {
        assert_eq!(
            render(
                "@'a@@b @start_ds @{end_ds}_x @nope @{no} it''s'",
                Dialect::DuckDb
            ),
            "'a@b 2024-01-01 2024-01-02_x @nope @{no} it''s'"
        );
        assert_eq!(render("t_@{start_hour}_x", Dialect::DuckDb), "t_0_x");
        assert_eq!(render("@{start_ds}", Dialect::DuckDb), "\"2024-01-01\"");
        assert_eq!(
            render(
                "FROM @this_model WHERE @runtime_stage = 'x'",
                Dialect::DuckDb
            ),
            "FROM \"s\".\"t\" WHERE 'evaluating' = 'x'"
        );
    }

    #[test]
    fn without_a_range_the_range_variables_are_an_error() {
        let values = RuntimeValues {
            range: None,
            ..sample()
        };
        assert_eq!(
            Template::new("SELECT @start_ds").render(&values, Dialect::DuckDb),
            Err(RenderError::Undefined("start_ds".to_owned()))
        );
        assert!(
            Template::new("SELECT @execution_ds")
                .render(&values, Dialect::DuckDb)
                .is_ok()
        );
    }

    #[test]
    fn markers_parse_and_are_no_literal_that_a_user_writes() {
        let template = Template::new(
            "SELECT @start_ds, @end_date, @latest_epoch FROM @this_model t_@{start_ds}",
        );
        assert_eq!(
            template.for_analysis(Dialect::DuckDb),
            "SELECT '\u{1}start_ds', CAST('\u{1}end_date' AS DATE), siding_execution_epoch() \
             FROM siding_this_model \"t_\u{1}start_ds\""
        );
    }

    #[test]
    fn half_open_ends_keep_their_microseconds() {
        let values = RuntimeValues {
            execution_time: at("2024-01-03T04:05:06.120Z"),
            ..sample()
        };
        let template = Template::new("@execution_ts @execution_epoch");
        assert_eq!(
            template.render(&values, Dialect::DuckDb).unwrap(),
            "'2024-01-03 04:05:06.120000' 1704254706.12"
        );
    }
}
