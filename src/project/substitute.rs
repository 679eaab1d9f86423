//! Puts the values of variables into SQL text; run-time macros stay.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::model::RuntimeVariable;
use crate::model::macro_use::MacroUse;
use crate::model::macro_use::Piece;
use crate::model::macro_use::macro_uses;
use crate::model::macro_use::template_pieces;
use crate::project::config::not_supported;
use crate::project::variable::Variable;
use crate::project::words::nearest;
use crate::project::words::suggestion;
use crate::sql::Dialect;
use crate::sql::tokens;
use crate::sql::tokens::Token;
use crate::sql::tokens::TokenKind;

/// Macro functions of the format. Siding evaluates none of them yet but `VAR`.
const FUNCTIONS: [&str; 32] = [
    "EACH",
    "IF",
    "REDUCE",
    "FILTER",
    "EVAL",
    "SQL",
    "DEF",
    "WITH",
    "JOIN",
    "WHERE",
    "GROUP_BY",
    "HAVING",
    "ORDER_BY",
    "LIMIT",
    "STAR",
    "UNION",
    "GENERATE_SURROGATE_KEY",
    "SAFE_ADD",
    "SAFE_SUB",
    "SAFE_DIV",
    "HAVERSINE_DISTANCE",
    "PIVOT",
    "DEDUPLICATE",
    "DATE_SPINE",
    "RESOLVE_TEMPLATE",
    "AND",
    "OR",
    "VAR",
    "BLUEPRINT_VAR",
    "INSERT_SEED",
    "RESOLVE_TABLE",
    "METRIC",
];

/// Which run-time macros may stay in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    /// All of them.
    All,
    /// Those that need no range of time: views and full models have none.
    WithoutRange(&'static str),
    /// None: the text is needed while the project is loaded.
    None,
}

/// What macros in a text mean.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) dialect: Dialect,
    /// Names, lower case, that stand for SQL; they win over everything else.
    pub(super) locals: &'a [(String, String)],
    pub(super) variables: &'a BTreeMap<String, Variable>,
    pub(super) gateway: &'a str,
    pub(super) default_catalog: Option<&'a str>,
    /// As in a `MODEL` block; `None` before it is known.
    pub(super) kind: Option<&'static str>,
    pub(super) runtime: Runtime,
    /// Names from `@DEF` and `blueprints`, which have their own diagnostic.
    pub(super) defined: &'a [String],
}

enum Meaning {
    Sql(String),
    Value(Variable),
    Runtime,
    /// There is a diagnostic about it.
    Wrong,
    Unknown,
}

/// `text` with every macro settled that does not need a run, and what is wrong with it: each
/// diagnostic with its `span` in `text` and no file.
pub(super) fn substitute(text: &str, scope: &Scope<'_>) -> (String, Vec<Diagnostic>) {
    if !text.contains('@') {
        return (text.to_owned(), Vec::new());
    }
    let tokens = tokens::tokenize(text, scope.dialect);
    let mut run = Run {
        text,
        tokens: &tokens,
        scope,
        diagnostics: Vec::new(),
    };
    let mut output = String::with_capacity(text.len() + 32);
    let mut copied = 0;
    for (span, use_) in macro_uses(text, &tokens) {
        // An argument of a macro function that was dealt with as a whole.
        if span.start < copied {
            continue;
        }
        let (replacement, end) = run.replace(&span, &use_);
        output.push_str(&text[copied..span.start]);
        output.push_str(&replacement);
        copied = end;
    }
    output.push_str(&text[copied..]);
    (output, run.diagnostics)
}

struct Run<'a> {
    text: &'a str,
    tokens: &'a [Token],
    scope: &'a Scope<'a>,
    diagnostics: Vec<Diagnostic>,
}

impl Run<'_> {
    /// What stands for the macro at `span`, and where the text goes on.
    fn replace(&mut self, span: &Range<usize>, use_: &MacroUse<'_>) -> (String, usize) {
        let as_written = || self.text[span.clone()].to_owned();
        let sql = match use_ {
            MacroUse::Variable { name, dotted } => match self.meaning(name, span) {
                Meaning::Sql(sql) => sql,
                Meaning::Value(value) => self.value(&value, *dotted, span),
                Meaning::Runtime | Meaning::Wrong => as_written(),
                Meaning::Unknown => {
                    let stage = self.scope.dialect == Dialect::Snowflake
                        && self.text[span.end..].starts_with('/');
                    if !stage {
                        self.unknown(name, span);
                    }
                    as_written()
                }
            },
            MacroUse::Call { name, open } => return self.call(name, *open, span),
            MacroUse::Identifier { pieces } => self.identifier(pieces, span),
            MacroUse::Text { body } => self.template(body, span),
        };
        (sql, span.end)
    }

    fn meaning(&mut self, name: &str, span: &Range<usize>) -> Meaning {
        let lower = name.to_ascii_lowercase();
        let scope = self.scope;
        if let Some((_, sql)) = scope.locals.iter().find(|(local, _)| *local == lower) {
            return Meaning::Sql(sql.clone());
        }
        if let Some(variable) = RuntimeVariable::from_name(&lower) {
            let problem = match scope.runtime {
                Runtime::WithoutRange(kind) if variable.needs_range() => Diagnostic::error(
                    "no-time-range",
                    format!("`@{lower}` has no value in a model of kind {kind}"),
                )
                .help("Use `@execution_…`, or make the model INCREMENTAL_BY_TIME_RANGE."),
                Runtime::None => Diagnostic::error(
                    "no-value-yet",
                    format!("`@{lower}` has no value while the project is loaded"),
                ),
                Runtime::All | Runtime::WithoutRange(_) => return Meaning::Runtime,
            };
            self.report(problem, span);
            return Meaning::Wrong;
        }
        match lower.as_str() {
            "gateway" => return Meaning::Value(Variable::Text(scope.gateway.to_owned())),
            "default_catalog" => {
                let catalog = scope.default_catalog.map(str::to_owned);
                return Meaning::Value(catalog.map_or(Variable::Null, Variable::Text));
            }
            "model_kind_name" => {
                if let Some(kind) = scope.kind {
                    return Meaning::Value(Variable::Text(kind.to_owned()));
                }
            }
            _ => {}
        }
        if let Some(value) = scope.variables.get(&lower) {
            if value.has_map() {
                let what = format!("a map as a variable, as in `@{lower}`,");
                self.report(not_supported(&what), span);
                return Meaning::Wrong;
            }
            return Meaning::Value(value.clone());
        }
        if scope.defined.contains(&lower) {
            return Meaning::Wrong;
        }
        Meaning::Unknown
    }

    fn value(&self, value: &Variable, dotted: bool, span: &Range<usize>) -> String {
        let dialect = self.scope.dialect;
        if dotted {
            return tokens::identifier(&value.to_text(), dialect);
        }
        let sql = value.to_sql(dialect);
        if !matches!(value, Variable::Integer(_) | Variable::Float(_)) {
            return sql;
        }
        let before = self.text[..span.start].trim_end();
        let after_interval = before.len() >= 8
            && before.is_char_boundary(before.len() - 8)
            && before[before.len() - 8..].eq_ignore_ascii_case("interval");
        let quoted = !matches!(
            dialect,
            Dialect::MySql | Dialect::ClickHouse | Dialect::BigQuery
        );
        if after_interval && quoted {
            return format!("'{sql}'");
        }
        // `x -@n` must not become a comment.
        if sql.starts_with('-') && before.ends_with('-') {
            return format!(" {sql}");
        }
        sql
    }

    fn identifier(&mut self, pieces: &[Piece<'_>], span: &Range<usize>) -> String {
        let dialect = self.scope.dialect;
        let mut name = String::new();
        let mut raw = false;
        let mut open = false;
        for piece in pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Name(variable) | Piece::Braced(variable) => {
                    match self.meaning(variable, span) {
                        Meaning::Sql(sql) if pieces.len() == 1 => {
                            raw = true;
                            name.push_str(&sql);
                        }
                        Meaning::Sql(sql) => name.push_str(&tokens::unquote(&sql, dialect)),
                        Meaning::Value(value) => {
                            raw |= pieces.len() == 1 && !matches!(value, Variable::Text(_));
                            name.push_str(&value.to_text());
                        }
                        Meaning::Runtime => {
                            open = true;
                            name.push_str(&format!("@{{{variable}}}"));
                        }
                        Meaning::Wrong => raw = true,
                        Meaning::Unknown => {
                            self.unknown(variable, span);
                            raw = true;
                        }
                    }
                }
            }
        }
        if raw || open || tokens::is_plain_identifier(&name) {
            name
        } else {
            tokens::identifier(&name, dialect)
        }
    }

    fn template(&mut self, body: &str, span: &Range<usize>) -> String {
        let dialect = self.scope.dialect;
        let mut literal = String::new();
        let mut open = false;
        let mut parts: Vec<(String, bool)> = Vec::new();
        for piece in template_pieces(body) {
            match piece {
                Piece::Text(text) => parts.push((text.to_owned(), true)),
                Piece::Name(name) | Piece::Braced(name) => {
                    let value = match self.meaning(name, span) {
                        Meaning::Sql(sql) => tokens::unquote(&sql, dialect),
                        Meaning::Value(value) => value.to_text(),
                        Meaning::Runtime => {
                            open = true;
                            parts.push((format!("@{{{name}}}"), false));
                            continue;
                        }
                        // The reference leaves names alone that it does not know.
                        Meaning::Unknown | Meaning::Wrong => {
                            parts.push((piece.as_written(), false));
                            continue;
                        }
                    };
                    parts.push((tokens::escape_string(&value, dialect), true));
                }
            }
        }
        for (part, settled) in parts {
            if settled && open {
                literal.push_str(&part.replace('@', "@@"));
            } else {
                literal.push_str(&part);
            }
        }
        let sign = if open { "@" } else { "" };
        format!("{sign}'{literal}'")
    }

    fn call(&mut self, name: &str, open: usize, span: &Range<usize>) -> (String, usize) {
        let as_written = self.text[span.clone()].to_owned();
        match self.meaning(name, span) {
            Meaning::Sql(sql) => return (sql, span.end),
            Meaning::Value(value) => return (self.value(&value, false, span), span.end),
            Meaning::Runtime => return (as_written, span.end),
            Meaning::Wrong | Meaning::Unknown => {}
        }
        let close = closing(self.text, self.tokens, open);
        let end = close.map_or(self.text.len(), |close| self.tokens[close].span.end);
        let upper = name.to_ascii_uppercase();
        if upper == "VAR"
            && let Some(close) = close
        {
            return (self.var(open, close, span), end);
        }
        if FUNCTIONS.contains(&upper.as_str()) {
            self.report(
                not_supported(&format!("the macro function `@{upper}`")),
                span,
            );
        } else if !self.scope.defined.contains(&name.to_ascii_lowercase()) {
            let diagnostic =
                Diagnostic::error("unknown-macro", format!("unknown macro function `@{name}`"));
            let diagnostic = match nearest(name, FUNCTIONS) {
                Some(near) => diagnostic.help(format!("Did you mean `@{near}`?")),
                None => diagnostic.help("Macros written in Python are not supported yet."),
            };
            self.report(diagnostic, span);
        }
        (self.text[span.start..end].to_owned(), end)
    }

    /// `@VAR('name', default)`.
    fn var(&mut self, open: usize, close: usize, span: &Range<usize>) -> String {
        let inside = &self.tokens[open + 1..close];
        let mut parts = inside.iter().filter(|token| !token.is_trivia());
        let name = parts
            .next()
            .filter(|token| token.kind == TokenKind::String)
            .map(|token| tokens::unquote(token.text(self.text), self.scope.dialect));
        let comma = parts.next();
        let (Some(name), true) = (
            name,
            comma.is_none_or(|comma| comma.is_mark(self.text, ",")),
        ) else {
            let message = "`@VAR` takes a name in quotes and a default";
            let diagnostic = Diagnostic::error("wrong-value", message)
                .help("Write `@VAR('name')` or `@VAR('name', 1)`.");
            self.report(diagnostic, span);
            return "NULL".to_owned();
        };
        if self.scope.variables.contains_key(&name.to_lowercase()) {
            return match self.meaning(&name, span) {
                Meaning::Value(value) => value.to_sql(self.scope.dialect),
                _ => "NULL".to_owned(),
            };
        }
        let Some(comma) = comma else {
            return "NULL".to_owned();
        };
        let from = comma.span.end;
        let (default, diagnostics) =
            substitute(&self.text[from..self.tokens[close].span.start], self.scope);
        for mut diagnostic in diagnostics {
            diagnostic.span = diagnostic.span.start + from..diagnostic.span.end + from;
            self.diagnostics.push(diagnostic);
        }
        default.trim().to_owned()
    }

    fn unknown(&mut self, name: &str, span: &Range<usize>) {
        let upper = name.to_ascii_uppercase();
        if FUNCTIONS.contains(&upper.as_str()) {
            self.report(
                not_supported(&format!("the macro function `@{upper}`")),
                span,
            );
            return;
        }
        let mut known: Vec<&str> = self.scope.locals.iter().map(|(name, _)| &**name).collect();
        known.extend(self.scope.variables.keys().map(String::as_str));
        known.extend([
            "start_ds",
            "end_ds",
            "start_date",
            "end_date",
            "start_dt",
            "end_dt",
            "start_ts",
            "end_ts",
            "execution_ds",
            "execution_date",
            "execution_ts",
            "this_model",
            "gateway",
            "runtime_stage",
        ]);
        let diagnostic =
            Diagnostic::error("unknown-variable", format!("unknown variable `@{name}`"));
        let help = match nearest(name, known.iter().copied()) {
            Some(_) => suggestion(name, known),
            None => "Declare it under `variables` in the configuration.".to_owned(),
        };
        self.report(diagnostic.help(help), span);
    }

    fn report(&mut self, mut diagnostic: Diagnostic, span: &Range<usize>) {
        diagnostic.span = span.clone();
        self.diagnostics.push(diagnostic);
    }
}

/// Index of the bracket that closes the one at `open`.
pub(super) fn closing(text: &str, tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.kind != TokenKind::Punctuation {
            continue;
        }
        match token.text(text) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, Variable> {
        let text = |text: &str| Variable::Text(text.to_owned());
        BTreeMap::from([
            ("x".to_owned(), text("col")),
            ("q".to_owned(), text("it's @x")),
            ("n".to_owned(), Variable::Integer(5)),
            ("m".to_owned(), Variable::Integer(-1)),
            ("f".to_owned(), Variable::Float(1.5)),
            ("b".to_owned(), Variable::Bool(true)),
            ("nul".to_owned(), Variable::Null),
            ("l".to_owned(), Variable::List(vec![text("a"), text("b")])),
        ])
    }

    fn run(text: &str, runtime: Runtime) -> (String, Vec<String>) {
        let scope = Scope {
            dialect: Dialect::DuckDb,
            locals: &[],
            variables: &variables(),
            gateway: "local",
            default_catalog: Some("db"),
            kind: Some("FULL"),
            runtime,
            defined: &[],
        };
        let (text, diagnostics) = substitute(text, &scope);
        let messages = diagnostics.into_iter().map(|d| d.message).collect();
        (text, messages)
    }

    #[test]
    fn every_form_of_a_variable_is_filled_in() {
        let rows = [
            ("@x", "'col'"),
            ("@X", "'col'"),
            ("@{x}", "col"),
            ("@{x}_y, y_@{x}_z, q_@x", "col_y, y_col_z, q_col"),
            ("@x.tbl, @{x}.tbl", "\"col\".tbl, col.tbl"),
            ("@'pre_@{x}_@x'", "'pre_col_@x'".replace("@x", "col").leak()),
            ("'@x' \"@x\" -- @x", "'@x' \"@x\" -- @x"),
            ("@n @b @f @nul", "5 TRUE 1.5 NULL"),
            ("z IN @l", "z IN ('a', 'b')"),
            ("INTERVAL @n DAY", "INTERVAL '5' DAY"),
            ("@q, @'@q'", "'it''s @x', 'it''s @x'"),
            ("3 -@m", "3 - -1"),
            ("@'a@@b @nope @x'", "'a@b @nope col'"),
            (
                "@VAR('n'), @VAR('no', 7), @VAR('no', @x), @var('no')",
                "5, 7, 'col', NULL",
            ),
            (
                "@gateway @default_catalog @model_kind_name",
                "'local' 'db' 'FULL'",
            ),
        ];
        for (written, wanted) in rows {
            let (text, messages) = run(written, Runtime::All);
            assert_eq!((text.as_str(), messages.len()), (wanted, 0), "{written}");
        }
    }

    #[test]
    fn runtime_macros_stay_and_keep_what_was_settled_around_them() {
        let (text, _) = run(
            "@start_ds @'@x @start_ds a@@b' t_@{x}_@{end_ds}",
            Runtime::All,
        );
        assert_eq!(text, "@start_ds @'col @{start_ds} a@@b' t_col_@{end_ds}");
        let (_, messages) = run("@start_ds @execution_ds", Runtime::WithoutRange("VIEW"));
        assert_eq!(
            messages,
            ["`@start_ds` has no value in a model of kind VIEW"]
        );
    }

    #[test]
    fn unknown_names_are_said_once_each() {
        let (_, messages) = run(
            "@nn, @EACH([a], c -> @c), @frobnicate(@y), @z",
            Runtime::All,
        );
        assert_eq!(
            messages,
            [
                "unknown variable `@nn`",
                "the macro function `@EACH` is not supported yet",
                "unknown macro function `@frobnicate`",
                "unknown variable `@z`",
            ]
        );
    }
}
