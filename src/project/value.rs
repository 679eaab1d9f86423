//! Values of the properties in `MODEL` and `AUDIT` blocks.

use std::ops::Range;

use crate::model::ModelName;
use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::fold;
use crate::sql::quote_identifier;
use crate::sql::tokens;
use crate::sql::tokens::Token;
use crate::sql::tokens::TokenKind;

/// Tokens without comments and blanks, of `text`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: &'a [Token],
    pub(super) dialect: Dialect,
}

/// `name(argument := value, …)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Lower case.
    pub(super) name: String,
    /// Names in lower case, values as written.
    pub(super) arguments: Vec<(String, String, Range<usize>)>,
    /// Of the name.
    pub(super) span: Range<usize>,
}

impl<'a> Value<'a> {
    fn with(self, tokens: &'a [Token]) -> Self {
        Self { tokens, ..self }
    }

    /// The text from the first token to the last, as written.
    pub(super) fn raw(self) -> &'a str {
        self.span().map_or("", |span| &self.text[span])
    }

    pub(super) fn span(self) -> Option<Range<usize>> {
        let first = self.tokens.first()?;
        let last = self.tokens.last()?;
        Some(first.span.start..last.span.end)
    }

    /// What stands inside the brackets, if the value is something in `(…)` or `[…]`.
    pub(super) fn inside(self) -> Option<Self> {
        let first = self.tokens.first()?;
        let last = self.tokens.last()?;
        let (open, close) = (first.text(self.text), last.text(self.text));
        if !matches!((open, close), ("(", ")") | ("[", "]")) || self.tokens.len() < 2 {
            return None;
        }
        let end = crate::project::substitute::closing(self.text, self.tokens, 0)?;
        (end + 1 == self.tokens.len()).then(|| self.with(&self.tokens[1..end]))
    }

    /// The parts between commas outside brackets; an empty last part does not count.
    pub(super) fn split(self) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut depth = 0_usize;
        let mut start = 0;
        for (index, token) in self.tokens.iter().enumerate() {
            if token.kind != TokenKind::Punctuation {
                continue;
            }
            match token.text(self.text) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                "," if depth == 0 => {
                    parts.push(self.with(&self.tokens[start..index]));
                    start = index + 1;
                }
                _ => {}
            }
        }
        if start < self.tokens.len() {
            parts.push(self.with(&self.tokens[start..]));
        }
        parts
    }

    /// The items of a list: `(a, b)`, `[a, b]` or one value alone.
    pub(super) fn items(self) -> Vec<Self> {
        match self.inside() {
            Some(inside) => inside.split(),
            None => vec![self],
        }
    }

    /// One word, number, name or string, as text.
    pub(super) fn scalar(self) -> Option<String> {
        match self.tokens {
            [one] => match one.kind {
                TokenKind::Word | TokenKind::Number => Some(one.text(self.text).to_owned()),
                TokenKind::String | TokenKind::QuotedIdentifier => {
                    Some(tokens::unquote(one.text(self.text), self.dialect))
                }
                _ => None,
            },
            [sign, number] if sign.is_mark(self.text, "-") && number.kind == TokenKind::Number => {
                Some(self.raw().replace(' ', ""))
            }
            _ => None,
        }
    }

    /// SQL over columns: a column alone in the dialect's case and quoted, anything else as written but with single
    /// blanks and no comments. `None` where there is nothing.
    pub(super) fn expression(self) -> Option<String> {
        if let Some(column) = self.column() {
            return Some(quote_identifier(&column));
        }
        let mut text = String::new();
        let mut end = None;
        for token in self.tokens {
            if end.is_some_and(|end| end < token.span.start) {
                text.push(' ');
            }
            text.push_str(token.text(self.text));
            end = Some(token.span.end);
        }
        (!text.is_empty()).then_some(text)
    }

    /// The expressions of a list: `(a, f(b))`, `[a, b]` or one alone.
    pub(super) fn expressions(self) -> Option<Vec<String>> {
        let items: Option<Vec<String>> = self.items().into_iter().map(Self::expression).collect();
        items.filter(|items| !items.is_empty())
    }

    /// `true` or `false`.
    pub(super) fn boolean(self) -> Option<bool> {
        match self.scalar()?.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// One name, in the case that the dialect gives it.
    pub(super) fn column(self) -> Option<String> {
        let [one] = self.tokens else {
            return None;
        };
        part(self.text, one, self.dialect)
    }

    /// A name of one to three parts, in the case that the dialect gives them.
    pub(super) fn table(self) -> Option<TableName> {
        let mut parts = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            if index % 2 == 1 {
                if !token.is_mark(self.text, ".") {
                    return None;
                }
            } else {
                parts.push(part(self.text, token, self.dialect)?);
            }
        }
        if self.tokens.len().is_multiple_of(2) || parts.len() > 3 {
            return None;
        }
        let name = parts.pop()?;
        let schema = parts.pop();
        Some(TableName {
            catalog: parts.pop(),
            schema,
            name,
        })
    }

    /// The entries of a map: `(k = v, 'k 2' = v)`. `Err` has the part that is none.
    pub(super) fn entries(self) -> Result<Vec<(String, Self)>, Self> {
        let parts = self.inside().ok_or(self)?.split();
        parts
            .into_iter()
            .map(|part| {
                let [key, equals, value @ ..] = part.tokens else {
                    return Err(part);
                };
                let is_equals = equals.is_mark(self.text, "=") || equals.is_mark(self.text, ":=");
                let key = part.with(std::slice::from_ref(key)).scalar();
                match key {
                    Some(key) if is_equals && !value.is_empty() => Ok((key, part.with(value))),
                    _ => Err(part),
                }
            })
            .collect()
    }

    /// The calls of a list of audits: `f`, `f(a := 1)`, `(f, g(a := 1))`. `Err` has the part that is none.
    pub(super) fn calls(self) -> Result<Vec<Call>, Self> {
        self.items().into_iter().map(Self::call).collect()
    }

    fn call(self) -> Result<Call, Self> {
        let Some((first, rest)) = self.tokens.split_first() else {
            return Err(self);
        };
        let name = self.with(std::slice::from_ref(first)).scalar();
        let Some(name) = name.filter(|_| first.kind != TokenKind::Number) else {
            return Err(self);
        };
        let mut arguments = Vec::new();
        if !rest.is_empty() {
            let inside = self.with(rest).inside();
            let inside = inside.filter(|_| rest[0].is_mark(self.text, "("));
            for part in inside.ok_or(self)?.split() {
                let [key, assign, value @ ..] = part.tokens else {
                    return Err(part);
                };
                let assigns = assign.is_mark(self.text, ":=") || assign.is_mark(self.text, "=");
                let value = part.with(value);
                let key = part.with(std::slice::from_ref(key)).scalar();
                match (key, value.span()) {
                    (Some(key), Some(span)) if assigns => {
                        arguments.push((key.to_lowercase(), value.raw().to_owned(), span));
                    }
                    _ => return Err(part),
                }
            }
        }
        Ok(Call {
            name: name.to_lowercase(),
            arguments,
            span: first.span.clone(),
        })
    }

    /// Columns with their types: `(a INT, b STRUCT<x INT, y INT>)`. `Err` has the part that is none.
    pub(super) fn columns(self) -> Result<Vec<(String, String)>, Self> {
        let inside = self.inside().ok_or(self)?;
        let mut parts: Vec<&'a [Token]> = Vec::new();
        let mut depth = 0_usize;
        let mut start = 0;
        for (index, token) in inside.tokens.iter().enumerate() {
            if token.kind != TokenKind::Punctuation {
                continue;
            }
            match token.text(self.text) {
                "(" | "[" | "{" | "<" => depth += 1,
                ")" | "]" | "}" | ">" => depth = depth.saturating_sub(1),
                "," if depth == 0 => {
                    parts.push(&inside.tokens[start..index]);
                    start = index + 1;
                }
                _ => {}
            }
        }
        if start < inside.tokens.len() {
            parts.push(&inside.tokens[start..]);
        }
        parts
            .into_iter()
            .map(|tokens| {
                let part = self.with(tokens);
                let Some((name, data_type)) = tokens.split_first() else {
                    return Err(self);
                };
                let name = part.with(std::slice::from_ref(name)).column();
                let data_type = part.with(data_type);
                match name {
                    Some(name) if !data_type.tokens.is_empty() => {
                        Ok((name, data_type.raw().to_owned()))
                    }
                    _ => Err(part),
                }
            })
            .collect()
    }
}

fn part(text: &str, token: &Token, dialect: Dialect) -> Option<String> {
    match token.kind {
        TokenKind::Word => Some(normalize(token.text(text), dialect)),
        TokenKind::QuotedIdentifier => {
            let name = tokens::unquote(token.text(text), dialect);
            Some(fold(dialect, &name, true))
        }
        _ => None,
    }
}

/// An unquoted name in the case that `dialect` gives it.
pub(super) fn normalize(name: &str, dialect: Dialect) -> String {
    fold(dialect, name, false)
}

/// The model that `table` names when names without a catalog are in `default_catalog`.
pub(super) fn model_name(table: &TableName, default_catalog: Option<&str>) -> ModelName {
    let catalog = table.catalog.clone();
    let catalog = catalog.filter(|catalog| Some(catalog.as_str()) != default_catalog);
    ModelName::new(catalog, table.schema.clone(), table.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(text: &str, then: impl FnOnce(Value<'_>) -> T) -> T {
        let tokens = tokens::tokenize(text, Dialect::DuckDb);
        let tokens: Vec<Token> = tokens.into_iter().filter(|t| !t.is_trivia()).collect();
        then(Value {
            text,
            tokens: &tokens,
            dialect: Dialect::DuckDb,
        })
    }

    #[test]
    fn types_keep_their_commas() {
        let columns = with(
            "(Id INT, b STRUCT<x INT, y INT[]>, \"C d\" DECIMAL(10, 2),)",
            |value| value.columns().unwrap(),
        );
        let columns: Vec<_> = columns
            .iter()
            .map(|(n, t)| (n.as_str(), t.as_str()))
            .collect();
        assert_eq!(
            columns,
            [
                ("id", "INT"),
                ("b", "STRUCT<x INT, y INT[]>"),
                ("c d", "DECIMAL(10, 2)")
            ]
        );
    }

    #[test]
    fn calls_have_named_arguments() {
        let calls = with("(NOT_NULL(columns := (a, b)), f)", |v| v.calls().unwrap());
        assert_eq!(calls[0].name, "not_null");
        assert_eq!(calls[0].arguments[0].0, "columns");
        assert_eq!(calls[0].arguments[0].1, "(a, b)");
        assert_eq!(calls[1].name, "f");
        assert!(with("f(1)", |value| value.calls().is_err()));
    }

    #[test]
    fn names_follow_the_dialects_case() {
        let table = with("Db.\"My Schema\".T", |value| value.table().unwrap());
        assert_eq!(table.plain(), "db.my schema.t");
        assert!(with("a.b.c.d", |value| value.table().is_none()));
        assert!(with("'a.b'", |value| value.table().is_none()));
        assert!(with("a b", |value| value.table().is_none()));
    }
}
