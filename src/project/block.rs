//! The `key value` pairs of a `MODEL`, `AUDIT` or `SIGNAL` block.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::project::Settings;
use crate::project::substitute::Runtime;
use crate::project::substitute::Scope;
use crate::project::substitute::closing;
use crate::project::substitute::substitute;
use crate::project::value::Value;
use crate::sql::Dialect;
use crate::sql::tokens;
use crate::sql::tokens::Token;
use crate::sql::tokens::TokenKind;

/// A SQL file while it is read; collects everything that is wrong with it.
pub(super) struct SqlFile<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    pub(super) dialect: Dialect,
    pub(super) tokens: Vec<Token>,
    pub(super) settings: &'a Settings<'a>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Names that `blueprints` and `@DEF` give a value, lower case.
    pub(super) defined: Vec<String>,
}

/// One property.
pub(super) struct Property {
    /// Lower case.
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    source: Source,
    dialect: Dialect,
    /// Of the value in the file; of the key when there is none.
    pub(super) span: Range<usize>,
}

enum Source {
    /// Tokens of the file.
    File(Vec<Token>),
    /// The value with its variables substituted.
    Other(String, Vec<Token>),
}

impl Property {
    /// The value; `file` is the text that the property was read from.
    pub(super) fn value<'a>(&'a self, file: &'a str) -> Value<'a> {
        let (text, tokens) = match &self.source {
            Source::File(tokens) => (file, tokens),
            Source::Other(text, tokens) => (text.as_str(), tokens),
        };
        Value {
            text,
            tokens,
            dialect: self.dialect,
        }
    }

    /// Where `part` of the value stands in the file: all of the value if variables moved it.
    pub(super) fn place(&self, part: &Value<'_>) -> Range<usize> {
        match (&self.source, part.span()) {
            (Source::File(_), Some(span)) => span,
            _ => self.span.clone(),
        }
    }
}

impl<'a> SqlFile<'a> {
    /// Reads `text`, the content of the file at `path`, in the dialect that its first block names.
    pub(super) fn new(path: &'a str, text: &'a str, settings: &'a Settings<'a>) -> Self {
        let default = settings.config.model_defaults.dialect;
        let mut file = Self {
            path,
            text,
            dialect: default,
            tokens: tokens::tokenize(text, default),
            settings,
            diagnostics: Vec::new(),
            defined: Vec::new(),
        };
        if let Some(dialect) = file.named_dialect().filter(|dialect| *dialect != default) {
            file.dialect = dialect;
            file.tokens = tokens::tokenize(text, dialect);
        }
        file
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic, span: Range<usize>) {
        self.diagnostics
            .push(diagnostic.at(self.path, self.text, span));
    }

    /// The known dialect after `dialect` in the first block.
    fn named_dialect(&self) -> Option<Dialect> {
        let mut counting = (0..self.tokens.len()).filter(|at| !self.tokens[*at].is_trivia());
        let word = counting.next()?;
        let open = counting.next()?;
        let is_block = self.tokens[word].is_word(self.text, "model")
            || self.tokens[word].is_word(self.text, "audit")
            || self.tokens[word].is_word(self.text, "signal");
        if !is_block || !self.tokens[open].is_mark(self.text, "(") {
            return None;
        }
        let end = closing(self.text, &self.tokens, open).unwrap_or(self.tokens.len());
        let inside: Vec<&Token> = self.tokens[open + 1..end]
            .iter()
            .filter(|token| !token.is_trivia())
            .collect();
        for (index, token) in inside.iter().enumerate() {
            let starts = index == 0 || inside[index - 1].is_mark(self.text, ",");
            if starts && token.is_word(self.text, "dialect") {
                let value = inside.get(index + 1)?;
                let name = tokens::unquote(value.text(self.text), self.dialect);
                return name.split(',').next()?.parse().ok();
            }
        }
        None
    }

    /// The properties in the brackets that open after the token at `word`, and the index of the
    /// closing bracket.
    ///
    /// Values of the keys in `raw` keep their macros.
    pub(super) fn properties(
        &mut self,
        word: usize,
        end: usize,
        raw: &[&str],
    ) -> (Vec<Property>, usize) {
        let open = (word + 1..end)
            .find(|at| !self.tokens[*at].is_trivia())
            .expect("a block has a bracket");
        let close = closing(self.text, &self.tokens, open).filter(|close| *close < end);
        let close = close.unwrap_or_else(|| {
            let span = self.tokens[open].span.clone();
            let diagnostic =
                Diagnostic::error("syntax", "the bracket of the block is never closed")
                    .help("Close the block with `);`.");
            self.report(diagnostic, span);
            end
        });
        let inside: Vec<Token> = self.tokens[open + 1..close]
            .iter()
            .filter(|token| !token.is_trivia())
            .cloned()
            .collect();
        let block = Value {
            text: self.text,
            tokens: &inside,
            dialect: self.dialect,
        };
        for part in block.split() {
            let is_blueprints = part
                .tokens
                .first()
                .is_some_and(|key| key.is_word(self.text, "blueprints"));
            if is_blueprints {
                let assigned = part
                    .tokens
                    .windows(2)
                    .filter(|pair| pair[1].is_mark(self.text, ":="));
                let names = assigned.map(|pair| pair[0].text(self.text).to_ascii_lowercase());
                self.defined.extend(names);
            }
        }
        let mut properties = Vec::new();
        for part in block.split() {
            let Some((key, value)) = part.tokens.split_first() else {
                continue;
            };
            if key.kind != TokenKind::Word {
                let what = key.text(self.text);
                let message = format!("a property must begin with its name, not `{what}`");
                self.report(Diagnostic::error("syntax", message), key.span.clone());
                continue;
            }
            let name = key.text(self.text).to_ascii_lowercase();
            let keep = raw.contains(&name.as_str());
            let property = self.property(name, key, value, keep);
            properties.push(property);
        }
        (properties, close)
    }

    fn property(&mut self, key: String, at: &Token, value: &[Token], raw: bool) -> Property {
        let span = match (value.first(), value.last()) {
            (Some(first), Some(last)) => first.span.start..last.span.end,
            _ => at.span.clone(),
        };
        let has_macro = value.iter().any(|token| token.kind == TokenKind::At);
        let source = if has_macro && !raw {
            let scope = Scope {
                defined: &self.defined,
                ..self.scope(Runtime::None)
            };
            let (text, diagnostics) = substitute(&self.text[span.clone()], &scope);
            if let Some(nickname) = bare_nickname(&key, &self.text[span.clone()])
                && !diagnostics.is_empty()
            {
                let message = format!("`{nickname}` without quotes is a macro variable");
                let diagnostic = Diagnostic::error("wrong-value", message)
                    .help(format!("Write `cron '{nickname}'`."));
                self.report(diagnostic, span.clone());
            } else {
                self.report_shifted(diagnostics, span.start);
            }
            let tokens = tokens::tokenize(&text, self.dialect)
                .into_iter()
                .filter(|token| !token.is_trivia())
                .collect();
            Source::Other(text, tokens)
        } else {
            Source::File(value.to_vec())
        };
        Property {
            key,
            key_span: at.span.clone(),
            source,
            dialect: self.dialect,
            span,
        }
    }

    /// Reports diagnostics whose spans count from byte `offset` of the file.
    pub(super) fn report_shifted(&mut self, diagnostics: Vec<Diagnostic>, offset: usize) {
        for diagnostic in diagnostics {
            let span = diagnostic.span.start + offset..diagnostic.span.end + offset;
            self.report(diagnostic, span);
        }
    }

    /// What macros mean in this file, outside audits.
    pub(super) fn scope(&self, runtime: Runtime) -> Scope<'a> {
        Scope {
            dialect: self.dialect,
            locals: &[],
            variables: &self.settings.config.variables,
            gateway: &self.settings.config.selected_gateway,
            default_catalog: self.settings.default_catalog.as_deref(),
            kind: None,
            runtime,
            defined: &[],
        }
    }
}

/// `@daily` and its like, written without quotes.
fn bare_nickname<'t>(key: &str, value: &'t str) -> Option<&'t str> {
    let nicknames = [
        "@hourly",
        "@daily",
        "@midnight",
        "@weekly",
        "@monthly",
        "@yearly",
        "@annually",
    ];
    (key == "cron" && nicknames.iter().any(|n| n.eq_ignore_ascii_case(value))).then_some(value)
}
