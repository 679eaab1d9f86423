//! The kinds whose rows have a key, and those that only add rows.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::model::ModelKind;
use crate::model::ScdChange;
use crate::model::ScdType2;
use crate::model::UniqueKey;
use crate::project::kind::DeclaredKind;
use crate::project::kind::KindReader;
use crate::project::policy;
use crate::project::value::Value;
use crate::sql::quote_identifier;
use crate::sql::tokens::TokenKind;

/// Properties of both SCD_TYPE_2 kinds.
const HISTORY: [&str; 7] = [
    "unique_key",
    "valid_from_name",
    "valid_to_name",
    "invalidate_hard_deletes",
    "time_data_type",
    "batch_size",
    "updated_at_name",
];

impl KindReader<'_> {
    pub(super) fn by_unique_key(&mut self, place: &Range<usize>) -> Option<DeclaredKind> {
        let own = [
            "unique_key",
            "when_matched",
            "merge_filter",
            "batch_size",
            "lookback",
        ];
        let known: Vec<&str> = own.into_iter().chain(policy::PROPERTIES).collect();
        self.check(&known, &[("batch_concurrency", "1")], &[]);
        let lookback = self.positive("lookback");
        let batch_size = self.positive("batch_size");
        let when_matched = self.when_matched();
        let merge_filter = self
            .get("merge_filter")
            .and_then(|filter| aliased(inner(filter)));
        let unique_key = self.unique_key(place)?;
        let kind = ModelKind::IncrementalByUniqueKey(UniqueKey {
            unique_key,
            when_matched,
            merge_filter,
            lookback_intervals: lookback.map_or(0, std::num::NonZeroU32::get),
            batch_size_intervals: batch_size,
        });
        Some(DeclaredKind::Ready(kind))
    }

    pub(super) fn unmanaged(&mut self) -> Option<DeclaredKind> {
        let known: Vec<&str> = ["insert_overwrite"]
            .into_iter()
            .chain(policy::PROPERTIES)
            .collect();
        self.check(&known, &[], &[]);
        let insert_overwrite = self.flag("insert_overwrite", false);
        let kind = ModelKind::IncrementalUnmanaged { insert_overwrite };
        Some(DeclaredKind::Ready(kind))
    }

    pub(super) fn history_by_time(&mut self, place: &Range<usize>) -> Option<DeclaredKind> {
        self.check_history(&["updated_at_as_valid_from"]);
        for (key, help) in [
            ("columns", "`columns` belongs to SCD_TYPE_2_BY_COLUMN."),
            (
                "execution_time_as_valid_from",
                "It belongs to SCD_TYPE_2_BY_COLUMN; by time there is `updated_at_as_valid_from`.",
            ),
        ] {
            self.belongs_elsewhere(key, help);
        }
        let updated_at = self.name("updated_at_name", Some("updated_at"));
        let updated_at_as_valid_from = self.flag("updated_at_as_valid_from", false);
        let change = ScdChange::Time {
            updated_at: updated_at?,
            updated_at_as_valid_from,
        };
        self.history(change, place)
    }

    pub(super) fn history_by_column(&mut self, place: &Range<usize>) -> Option<DeclaredKind> {
        self.check_history(&["columns", "execution_time_as_valid_from"]);
        self.belongs_elsewhere(
            "updated_at_as_valid_from",
            "It belongs to SCD_TYPE_2_BY_TIME; by column there is `execution_time_as_valid_from`.",
        );
        let updated_at = match self.get("updated_at_name") {
            Some(_) => self.name("updated_at_name", None),
            None => None,
        };
        let execution_time_as_valid_from = self.flag("execution_time_as_valid_from", false);
        let Some(value) = self.get("columns") else {
            self.lacks("columns", "(a_column, another)", place);
            return None;
        };
        let all = value.items().iter().all(|item| item.raw() == "*");
        let columns: Option<Vec<String>> = value.items().into_iter().map(Value::column).collect();
        let columns = match columns {
            _ if all => None,
            Some(columns) if !columns.is_empty() => Some(columns),
            _ => {
                self.wrong("columns", "a list of columns, or `*`");
                return None;
            }
        };
        let change = ScdChange::Column {
            columns,
            execution_time_as_valid_from,
            updated_at,
        };
        self.history(change, place)
    }

    fn check_history(&mut self, own: &[&str]) {
        let elsewhere = [
            "columns",
            "execution_time_as_valid_from",
            "updated_at_as_valid_from",
        ];
        let known: Vec<&str> = HISTORY
            .iter()
            .chain(own)
            // Those of the other kind have a message of their own.
            .chain(elsewhere.iter().filter(|key| !own.contains(key)))
            .copied()
            .chain(policy::PROPERTIES)
            .collect();
        self.check(&known, &[], &[]);
    }

    fn belongs_elsewhere(&mut self, key: &str, help: &str) {
        if self.get(key).is_some() {
            let message = format!("this kind has no property `{key}`");
            self.problem(
                key,
                Diagnostic::error("unknown-property", message).help(help),
            );
        }
    }

    fn history(&mut self, change: ScdChange, place: &Range<usize>) -> Option<DeclaredKind> {
        let valid_from = self.name("valid_from_name", Some("valid_from"));
        let valid_to = self.name("valid_to_name", Some("valid_to"));
        let invalidate_hard_deletes = self.flag("invalidate_hard_deletes", false);
        let batch_size_intervals = self.positive("batch_size");
        let time_data_type = match self.get("time_data_type") {
            Some(value) => value.expression_as_written(),
            None => Some("TIMESTAMP".to_owned()),
        };
        let unique_key = self.unique_key(place)?;
        let (valid_from, valid_to) = (valid_from?, valid_to?);
        if valid_from == valid_to {
            let message = format!("`valid_from_name` and `valid_to_name` are both `{valid_to}`");
            let key = ["valid_to_name", "valid_from_name"];
            let key = key.into_iter().find(|key| self.get(key).is_some());
            self.problem(
                key.unwrap_or("valid_to_name"),
                Diagnostic::error("wrong-value", message).help("Give them two names."),
            );
            return None;
        }
        let kind = ModelKind::ScdType2(ScdType2 {
            unique_key,
            valid_from,
            valid_to,
            invalidate_hard_deletes,
            time_data_type: time_data_type?,
            batch_size_intervals,
            change,
        });
        Some(DeclaredKind::Ready(kind))
    }

    /// One name of a column.
    fn name(&mut self, key: &str, default: Option<&str>) -> Option<String> {
        let Some(value) = self.get(key) else {
            return default.map(str::to_owned);
        };
        let name = value.column();
        if name.is_none() {
            self.wrong(key, "the name of a column");
        }
        name
    }

    fn unique_key(&mut self, place: &Range<usize>) -> Option<Vec<String>> {
        let Some(value) = self.get("unique_key") else {
            self.lacks("unique_key", "a_column", place);
            return None;
        };
        let key = value.expressions();
        if key.is_none() {
            self.wrong(
                "unique_key",
                "a column, or a list of columns and expressions",
            );
        }
        key
    }

    fn when_matched(&mut self) -> Option<String> {
        let value = inner(self.get("when_matched")?);
        let words: Vec<String> = value
            .tokens
            .iter()
            .take(2)
            .map(|token| token.text(value.text).to_ascii_uppercase())
            .collect();
        if words != ["WHEN", "MATCHED"] {
            self.wrong(
                "when_matched",
                "`WHEN MATCHED … THEN …` clauses over `source` and `target`",
            );
            return None;
        }
        aliased(value)
    }
}

impl Value<'_> {
    /// The text with single blanks, whatever it is.
    fn expression_as_written(self) -> Option<String> {
        match self.scalar() {
            Some(text) => Some(text),
            None => self.expression(),
        }
    }
}

/// What stands in the brackets around all of it.
fn inner(value: Value<'_>) -> Value<'_> {
    value.inside().unwrap_or(value)
}

/// Whether the token is of the `target.` before a column that is assigned to: engines want the column alone.
fn is_assigned(value: Value<'_>, index: usize) -> bool {
    let is = |at: usize, texts: &[&str]| {
        let token = value.tokens.get(at);
        token.is_some_and(|token| {
            let text = token.text(value.text).to_ascii_lowercase();
            texts.contains(&text.as_str())
        })
    };
    let begins = |at: usize| {
        at > 0
            && is(at - 1, &["set", ","])
            && is(at, &["target", "__merge_target__", "dbt_internal_dest"])
            && is(at + 1, &["."])
            && is(at + 3, &["="])
    };
    begins(index) || (index > 0 && begins(index - 1))
}

/// The expression with `source` and `target` for the other names that people know the two sides by.
fn aliased(value: Value<'_>) -> Option<String> {
    let mut text = String::new();
    let mut end = None;
    for (index, token) in value.tokens.iter().enumerate() {
        if end.is_some_and(|end| end < token.span.start) {
            text.push(' ');
        }
        end = Some(token.span.end);
        let written = token.text(value.text);
        if is_assigned(value, index) {
            continue;
        }
        let is_side = token.kind == TokenKind::Word
            && value
                .tokens
                .get(index + 1)
                .is_some_and(|next| next.is_mark(value.text, "."));
        let side = match written.to_ascii_lowercase().as_str() {
            "source" | "__merge_source__" | "dbt_internal_source" if is_side => "source",
            "target" | "__merge_target__" | "dbt_internal_dest" if is_side => "target",
            _ => {
                text.push_str(written);
                continue;
            }
        };
        text.push_str(&quote_identifier(side));
    }
    (!text.is_empty()).then_some(text)
}
