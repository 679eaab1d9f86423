//! Expressions that are nothing but a column, or nothing but an end of the interval.

use sqlparser::ast::DataType;
use sqlparser::ast::Expr;
use sqlparser::ast::Function;
use sqlparser::ast::FunctionArg;
use sqlparser::ast::FunctionArgExpr;
use sqlparser::ast::FunctionArguments;
use sqlparser::ast::Value;

use crate::sql::fold;
use crate::sql::slices::Edge;
use crate::sql::slices::frame::Found;
use crate::sql::slices::frame::Frame;
use crate::sql::slices::graph::Column;
use crate::sql::slices::query::Reader;
use crate::sql::slices::relation::Around;

/// What a cast leaves of a time.
enum Kept {
    All,
    Day,
    Nothing,
}

fn kept(data_type: &DataType) -> Kept {
    match data_type {
        DataType::Date => Kept::Day,
        // A precision rounds: the last second of a day may become the first of the next.
        DataType::Timestamp(None, _)
        | DataType::TimestampNtz(None)
        | DataType::Datetime(None)
        | DataType::Text
        | DataType::String(None)
        | DataType::Varchar(None) => Kept::All,
        DataType::Custom(name, arguments) if arguments.is_empty() => {
            match name.to_string().to_ascii_uppercase().as_str() {
                "TIMESTAMPTZ" | "TIMESTAMP_NTZ" | "TIMESTAMP_US" | "TIMESTAMP_NS" | "DATETIME2"
                | "DATETIMEOFFSET" => Kept::All,
                _ => Kept::Nothing,
            }
        }
        _ => Kept::Nothing,
    }
}

impl Reader<'_> {
    /// Whether a cast leaves a time, or its day, as it is.
    fn keeps_time(&mut self, data_type: &DataType) -> bool {
        let kept = kept(data_type);
        self.by_day |= matches!(kept, Kept::Day);
        !matches!(kept, Kept::Nothing)
    }

    /// The column that the expression is, cast or not, of this SELECT or of one around it.
    pub(super) fn plain_column(&mut self, expr: &Expr) -> Option<Column> {
        match expr {
            Expr::Nested(inner) => self.plain_column(inner),
            Expr::Identifier(ident) => {
                let name = fold::fold_ident(self.dialect, ident);
                self.resolve(&[], &name)
            }
            Expr::CompoundIdentifier(idents) => {
                let mut parts: Vec<String> = idents
                    .iter()
                    .map(|ident| fold::fold_ident(self.dialect, ident))
                    .collect();
                let name = parts.pop()?;
                self.resolve(&parts, &name)
            }
            Expr::Cast {
                expr,
                data_type,
                format: None,
                ..
            } => {
                self.keeps_time(data_type).then_some(())?;
                self.plain_column(expr)
            }
            Expr::Function(function) => {
                let day = day_of(function)?;
                self.by_day = true;
                self.plain_column(day)
            }
            _ => None,
        }
    }

    /// Whether the expression is an end of the interval, cast or not.
    pub(super) fn is_edge(&mut self, expr: &Expr) -> bool {
        let edge = match expr {
            Expr::Nested(inner) => return self.is_edge(inner),
            Expr::Cast {
                expr,
                data_type,
                format: None,
                ..
            } => {
                return self.keeps_time(data_type) && self.is_edge(expr);
            }
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => {
                let zone = text_of(time_zone);
                return zone.is_some_and(|zone| zone.eq_ignore_ascii_case("utc"))
                    && self.is_edge(timestamp);
            }
            Expr::TypedString(typed) => {
                if !self.keeps_time(&typed.data_type) {
                    return false;
                }
                text_in(&typed.value.value).and_then(|text| (self.names.edge)(text))
            }
            Expr::Value(value) => text_in(&value.value).and_then(|text| (self.names.edge)(text)),
            Expr::Function(function) if has_no_arguments(function) => {
                (self.names.edge)(&function.name.to_string())
            }
            _ => None,
        };
        let Some(Edge { by_day }) = edge else {
            return false;
        };
        self.by_day |= by_day;
        true
    }

    /// The column that a name is, of this SELECT or of one around it.
    pub(super) fn resolve(&mut self, prefix: &[String], name: &str) -> Option<Column> {
        for place in (0..self.frames.len()).rev() {
            let (around, here) = self.frames.split_at_mut(place);
            let is_only_here = around.iter().all(|frame| !frame.may_have(name));
            match here[0].find(prefix, name, is_only_here) {
                Found::Column(column) => return Some(self.column_here((place, column))),
                Found::Unclear => return None,
                Found::Nothing => {}
            }
        }
        None
    }

    /// The column of the SELECT at hand that stands for one of a query around, or is the one.
    pub(super) fn column_here(&mut self, around: Around) -> Column {
        let here = self.frames.len() - 1;
        let frame = self.frames.last_mut().expect("there is a SELECT");
        column_in(frame, here, around)
    }
}

/// The same for the frame at place `here` of the stack.
pub(super) fn column_in(frame: &mut Frame, here: usize, around: Around) -> Column {
    if around.0 == here {
        return around.1;
    }
    if let Some(known) = frame.around.get(&around) {
        return *known;
    }
    let column = frame.column();
    frame.around.insert(around, column);
    column
}

/// What `date(x)` and `date_trunc('day', x)` take the day of.
fn day_of(function: &Function) -> Option<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let plain = function.over.is_none()
        && function.filter.is_none()
        && !function.uses_odbc_syntax
        && list.clauses.is_empty();
    let arguments: Option<Vec<&Expr>> = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    let name = function.name.to_string().to_ascii_lowercase();
    match (name.as_str(), arguments?.as_slice()) {
        ("date", [inner]) if plain => Some(inner),
        ("date_trunc", [part, inner]) if plain => {
            let is_day = text_of(part).is_some_and(|part| part.eq_ignore_ascii_case("day"));
            is_day.then_some(inner)
        }
        _ => None,
    }
}

fn has_no_arguments(function: &Function) -> bool {
    match &function.args {
        FunctionArguments::List(list) => list.args.is_empty() && list.clauses.is_empty(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => false,
    }
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => text_in(&value.value),
        _ => None,
    }
}

fn text_in(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}
