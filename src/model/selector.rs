//! Which models a command means: `sales.*`, `+sales.orders`, `tag:daily & ^staging.*`.
//!
//! | Written | Means |
//! |---|---|
//! | `schema.model` | that model |
//! | `*`, `stg_*`, `sales.*` | every model whose name fits |
//! | `tag:nightly`, `tag:night*` | every model with the tag, in any case |
//! | `git:main` | every model whose file differs from that branch, or is not committed |
//! | `+x`, `x+`, `+x+` | with all that it reads, with all that reads it, with both |
//! | `^x` | every model but these |
//! | `a & b`, `a \| b`, `(…)` | both, either |
//!
//! Source: spec/surface.md 5.7.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;

/// The deepest nesting that is read.
const DEEPEST: usize = 64;

/// A selection as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    text: String,
    root: Expr,
}

/// Why a text selects nothing that makes sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It does not follow the grammar.
    #[error(
        "the selector `{text}` cannot be read: {reason}; write names, `*`, `tag:x`, `git:branch`, `+x`, `x+`, `^x`, `a & b`, `a | b` or `(…)`"
    )]
    Syntax {
        /// As written.
        text: String,
        /// What is wrong, in words.
        reason: String,
    },
}

/// The files that differ from each branch that selectors name, relative to the project's folder.
pub type ChangedFiles = BTreeMap<String, BTreeSet<String>>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expr {
    Name(String),
    Tag(String),
    /// What differs from a branch, as far as that is known yet.
    Git(String, BTreeSet<String>),
    /// `resource_type:model` is everything, any other type nothing.
    All(bool),
    Around {
        inner: Box<Self>,
        ancestors: bool,
        descendants: bool,
    },
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// [`SelectorError`].
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser {
            text,
            tokens: tokens(text),
            next: 0,
            depth: 0,
        };
        let root = parser.either()?;
        match parser.peek() {
            None => Ok(Self {
                text: text.to_owned(),
                root,
            }),
            Some(token) => Err(parser.wrong(&format!("`{token}` is one too many"))),
        }
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The branches that it compares with.
    pub fn branches(&self) -> BTreeSet<String> {
        let mut branches = BTreeSet::new();
        self.root.clone().visit(&mut |expr| {
            if let Expr::Git(branch, _) = expr {
                branches.insert(branch.clone());
            }
        });
        branches
    }

    /// The same, knowing which files differ from its branches. Without that, nothing does.
    #[must_use]
    pub fn with_changed(mut self, changed: &ChangedFiles) -> Self {
        self.root.visit(&mut |expr| {
            if let Expr::Git(branch, files) = expr {
                *files = changed.get(branch).cloned().unwrap_or_default();
            }
        });
        self
    }

    /// The models among `models` that it means.
    pub fn select(&self, models: &BTreeMap<ModelName, Arc<Model>>) -> BTreeSet<ModelName> {
        Graph::new(models).select(&self.root)
    }
}

impl Expr {
    /// Shows `see` this and everything in it.
    fn visit(&mut self, see: &mut dyn FnMut(&mut Self)) {
        see(self);
        match self {
            Self::Name(_) | Self::Tag(_) | Self::Git(..) | Self::All(_) => {}
            Self::Around { inner, .. } | Self::Not(inner) => inner.visit(see),
            Self::And(one, other) | Self::Or(one, other) => {
                one.visit(see);
                other.visit(see);
            }
        }
    }
}

/// The models that any of `selectors` means.
pub fn select_any(
    selectors: &[Selector],
    models: &BTreeMap<ModelName, Arc<Model>>,
) -> BTreeSet<ModelName> {
    let graph = Graph::new(models);
    selectors
        .iter()
        .flat_map(|selector| graph.select(&selector.root))
        .collect()
}

struct Graph<'a> {
    models: &'a BTreeMap<ModelName, Arc<Model>>,
    readers: BTreeMap<&'a ModelName, Vec<&'a ModelName>>,
}

impl<'a> Graph<'a> {
    fn new(models: &'a BTreeMap<ModelName, Arc<Model>>) -> Self {
        let mut readers: BTreeMap<&ModelName, Vec<&ModelName>> = BTreeMap::new();
        for (name, model) in models {
            for parent in &model.depends_on {
                readers.entry(parent).or_default().push(name);
            }
        }
        Self { models, readers }
    }

    fn select(&self, expr: &Expr) -> BTreeSet<ModelName> {
        match expr {
            Expr::Name(pattern) => self.filter(|name, model| is_named(pattern, name, model)),
            Expr::Tag(pattern) => self.filter(|_, model| {
                let mut tags = model.tags.iter();
                tags.any(|tag| fits(pattern, &tag.to_lowercase()))
            }),
            Expr::Git(_, files) => self.filter(|_, model| {
                let seed = match &model.kind {
                    ModelKind::Seed(seed) => files.contains(&seed.path),
                    _ => false,
                };
                seed || files.contains(&model.file)
            }),
            Expr::All(all) => self.filter(|_, _| *all),
            Expr::Around {
                inner,
                ancestors,
                descendants,
            } => {
                let found = self.select(inner);
                let mut all = found.clone();
                if *ancestors {
                    all.extend(self.walk(&found, |name| {
                        let model = self.models.get(name);
                        model.into_iter().flat_map(|model| &model.depends_on)
                    }));
                }
                if *descendants {
                    all.extend(self.walk(&found, |name| {
                        self.readers.get(name).into_iter().flatten().copied()
                    }));
                }
                all
            }
            Expr::Not(inner) => {
                let found = self.select(inner);
                self.filter(|name, _| !found.contains(name))
            }
            Expr::And(one, other) => {
                let (one, other) = (self.select(one), self.select(other));
                one.intersection(&other).cloned().collect()
            }
            Expr::Or(one, other) => {
                let mut found = self.select(one);
                found.extend(self.select(other));
                found
            }
        }
    }

    fn filter(&self, keep: impl Fn(&ModelName, &Model) -> bool) -> BTreeSet<ModelName> {
        let kept = self.models.iter().filter(|(name, model)| keep(name, model));
        kept.map(|(name, _)| name.clone()).collect()
    }

    /// Everything that `next` leads to from `found`; what is no model is left out.
    fn walk<'b, I: Iterator<Item = &'b ModelName>>(
        &'b self,
        found: &'b BTreeSet<ModelName>,
        next: impl Fn(&'b ModelName) -> I,
    ) -> BTreeSet<ModelName> {
        let mut seen: BTreeSet<&ModelName> = BTreeSet::new();
        let mut open: Vec<&ModelName> = found.iter().collect();
        while let Some(name) = open.pop() {
            for other in next(name) {
                if self.models.contains_key(other) && seen.insert(other) {
                    open.push(other);
                }
            }
        }
        seen.into_iter().cloned().collect()
    }
}

fn is_named(pattern: &str, name: &ModelName, model: &Model) -> bool {
    let written = name.to_string().to_lowercase();
    if fits(pattern, &written) {
        return true;
    }
    // The default catalog may be written although names leave it out.
    name.catalog().is_none()
        && model
            .default_catalog
            .as_ref()
            .is_some_and(|catalog| fits(pattern, &format!("{}.{written}", catalog.to_lowercase())))
}

/// Whether `text` fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(place) = rest.find(part) else {
            return false;
        };
        rest = &rest[place + part.len()..];
    }
    rest.ends_with(last)
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in text.chars() {
        let is_mark = "&|^()+".contains(character) || character.is_whitespace();
        if character == '"' {
            quoted = !quoted;
        }
        if quoted || !is_mark {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if !character.is_whitespace() {
            tokens.push(character.to_string());
        }
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<String>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(String::as_str)
    }

    fn take(&mut self, mark: &str) -> bool {
        let found = self.peek() == Some(mark);
        self.next += usize::from(found);
        found
    }

    fn wrong(&self, reason: &str) -> SelectorError {
        SelectorError::Syntax {
            text: self.text.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn either(&mut self) -> Result<Expr, SelectorError> {
        let mut left = self.both()?;
        while self.take("|") {
            left = Expr::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expr, SelectorError> {
        let mut left = self.unary()?;
        while self.take("&") {
            left = Expr::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, SelectorError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("it is nested too deeply"));
        }
        let expr = if self.take("^") {
            Expr::Not(Box::new(self.unary()?))
        } else {
            self.around()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn around(&mut self) -> Result<Expr, SelectorError> {
        let ancestors = self.take("+");
        let inner = if self.take("(") {
            let inner = self.either()?;
            if !self.take(")") {
                return Err(self.wrong("a `)` is missing"));
            }
            inner
        } else {
            self.atom()?
        };
        let descendants = self.take("+");
        if !ancestors && !descendants {
            return Ok(inner);
        }
        Ok(Expr::Around {
            inner: Box::new(inner),
            ancestors,
            descendants,
        })
    }

    fn atom(&mut self) -> Result<Expr, SelectorError> {
        let Some(token) = self.peek().map(str::to_owned) else {
            return Err(self.wrong("it ends where a name should stand"));
        };
        if "&|^()+".contains(&token) {
            return Err(self.wrong(&format!("`{token}` stands where a name should")));
        }
        self.next += 1;
        // Branches are told apart by case, other things are not.
        if let Some((kind, branch)) = token.split_once(':')
            && kind.eq_ignore_ascii_case("git")
            && !branch.is_empty()
        {
            let branch = branch.replace('"', "");
            return Ok(Expr::Git(branch, BTreeSet::new()));
        }
        let token = token.to_lowercase();
        match token.split_once(':') {
            Some((_, "")) => Err(self.wrong(&format!("nothing stands behind `{token}`"))),
            Some(("tag", tag)) => Ok(Expr::Tag(tag.to_owned())),
            Some(("resource_type", kind @ ("model" | "audit"))) => Ok(Expr::All(kind == "model")),
            Some((kind, _)) => Err(self.wrong(&format!("there is no selector `{kind}:`"))),
            None => Ok(Expr::Name(token)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;

    /// `raw` → `stg.orders` → `mart.sales` → `mart.top`, and `stg.users` aside.
    fn models() -> BTreeMap<ModelName, Arc<Model>> {
        let model = |name: &str, reads: &[&str], tags: &[&str]| {
            let model = serde_json::json!({
                "name": name, "kind": {"kind": "FULL"}, "dialect": Dialect::DuckDb, "query": null,
                "description": null, "owner": null, "tags": tags, "cron": "@daily", "interval_unit": null,
                "start": null, "end": null, "grains": [], "columns": null, "column_descriptions": {},
                "audits": [], "depends_on": reads, "default_catalog": "wh", "project": "", "stamp": null,
                "file": "m.sql",
            });
            let model: Model = serde_json::from_value(model).unwrap();
            (model.name.clone(), Arc::new(model))
        };
        BTreeMap::from([
            model("raw.orders", &["elsewhere.t"], &[]),
            model("stg.orders", &["raw.orders"], &["nightly"]),
            model("stg.users", &[], &["Nightly", "people"]),
            model("mart.sales", &["stg.orders"], &["money"]),
            model("mart.top", &["mart.sales"], &[]),
        ])
    }

    fn selected(text: &str) -> Vec<String> {
        let selector = Selector::parse(text).unwrap();
        let found = selector.select(&models());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_and_wildcards_mean_the_models_that_fit() {
        assert_eq!(selected("stg.orders"), ["stg.orders"]);
        assert_eq!(selected("STG.Orders"), ["stg.orders"]);
        assert_eq!(selected("wh.stg.orders"), ["stg.orders"]);
        assert_eq!(selected("stg.*"), ["stg.orders", "stg.users"]);
        assert_eq!(selected("*.orders"), ["raw.orders", "stg.orders"]);
        assert_eq!(selected("*g.*rs"), ["stg.orders", "stg.users"]);
        assert_eq!(selected("*").len(), 5);
        assert_eq!(selected("orders"), Vec::<String>::new());
    }

    #[test]
    fn a_plus_takes_what_is_read_or_what_reads() {
        assert_eq!(selected("+stg.orders"), ["raw.orders", "stg.orders"]);
        assert_eq!(
            selected("stg.orders+"),
            ["mart.sales", "mart.top", "stg.orders"]
        );
        assert_eq!(
            selected("+mart.sales+"),
            ["mart.sales", "mart.top", "raw.orders", "stg.orders"]
        );
        assert_eq!(selected("+(mart.top & ^raw.*)").len(), 4);
    }

    #[test]
    fn tags_are_told_apart_by_nothing_but_their_letters() {
        assert_eq!(selected("tag:NIGHTLY"), ["stg.orders", "stg.users"]);
        assert_eq!(selected("tag:p*"), ["stg.users"]);
        assert_eq!(selected("tag:money | tag:people").len(), 2);
    }

    #[test]
    fn and_binds_before_or_and_not_before_both() {
        assert_eq!(
            selected("mart.top | stg.* & ^tag:people"),
            ["mart.top", "stg.orders"]
        );
        assert_eq!(
            selected("(mart.* | stg.*) & ^*.orders & ^tag:money").len(),
            2
        );
        assert_eq!(selected("resource_type:audit"), Vec::<String>::new());
        assert_eq!(selected("resource_type:model").len(), 5);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_the_text() {
        for text in ["", "a &", "(a", "a)", "a b", "& a", "tag:", "path:x", "^"] {
            let error = Selector::parse(text).unwrap_err().to_string();
            assert!(error.contains("cannot be read"), "{text}: {error}");
        }
        let deep = format!("{}a", "^".repeat(10_000));
        assert!(Selector::parse(&deep).is_err());
        let deep = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(Selector::parse(&deep).is_err());
        assert!(Selector::parse("git:").is_err());
    }

    #[test]
    fn what_differs_from_a_branch_is_known_by_its_file() {
        let mut models = models();
        let mut elsewhere = Model::clone(&models.values().next().unwrap().clone());
        elsewhere.file = "models/Other.sql".to_owned();
        models.insert(elsewhere.name.clone(), Arc::new(elsewhere));
        let selector = Selector::parse(r#"git:Main+ & ^git:"a+b""#).unwrap();
        let branches = BTreeSet::from(["Main".to_owned(), "a+b".to_owned()]);
        assert_eq!(selector.branches(), branches);
        assert!(selector.select(&models).is_empty());

        let files = |file: &str| BTreeSet::from([file.to_owned()]);
        let changed = [("Main", "m.sql"), ("a+b", "models/Other.sql")];
        let changed = changed.map(|(branch, file)| (branch.to_owned(), files(file)));
        let known = selector.with_changed(&ChangedFiles::from(changed));
        assert_eq!(known.select(&models).len(), models.len() - 1);
    }
}
