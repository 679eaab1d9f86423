//! Which models of an environment a run fills.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::Model;
use crate::model::ModelName;

/// Models by name, where `*` stands for any text; `+` before a name adds what it reads, after it what reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// As given; empty means all models.
    pub patterns: Vec<String>,
    /// Whether whatever the selected models read is filled as well.
    pub with_upstream: bool,
}

impl Selection {
    /// The selected models; `None` when nothing is selected, which means all.
    ///
    /// # Errors
    /// When a pattern fits no model.
    pub fn among(
        &self,
        models: &BTreeMap<ModelName, Arc<Model>>,
    ) -> anyhow::Result<Option<BTreeSet<ModelName>>> {
        if self.patterns.is_empty() {
            return Ok(None);
        }
        let mut selected = BTreeSet::new();
        for pattern in &self.patterns {
            let (up, rest) = match pattern.strip_prefix('+') {
                Some(rest) => (true, rest),
                None => (false, pattern.as_str()),
            };
            let (down, rest) = match rest.strip_suffix('+') {
                Some(rest) => (true, rest),
                None => (false, rest),
            };
            let fits = |name: &ModelName, model: &Model| match rest.strip_prefix("tag:") {
                Some(tag) => model.tags.iter().any(|found| matches(tag, found)),
                None => matches(&rest.to_lowercase(), &name.to_string().to_lowercase()),
            };
            let found: BTreeSet<ModelName> = models
                .iter()
                .filter(|(name, model)| fits(name, model))
                .map(|(name, _)| name.clone())
                .collect();
            anyhow::ensure!(
                !found.is_empty(),
                "no model of the environment fits `{pattern}`; write names such as `sales.orders`, `sales.*` or `tag:nightly`"
            );
            if up || self.with_upstream {
                selected.extend(upstream(&found, models));
            }
            if down {
                selected.extend(downstream(&found, models));
            }
            selected.extend(found);
        }
        Ok(Some(selected))
    }
}

/// Whatever `names` read, directly or through others.
fn upstream(
    names: &BTreeSet<ModelName>,
    models: &BTreeMap<ModelName, Arc<Model>>,
) -> BTreeSet<ModelName> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&ModelName> = names.iter().collect();
    while let Some(name) = next.pop() {
        let parents = models.get(name).map(|model| &model.depends_on);
        for parent in parents.into_iter().flatten() {
            if models.contains_key(parent) && found.insert(parent.clone()) {
                next.push(parent);
            }
        }
    }
    found
}

/// Whatever reads `names`, directly or through others.
fn downstream(
    names: &BTreeSet<ModelName>,
    models: &BTreeMap<ModelName, Arc<Model>>,
) -> BTreeSet<ModelName> {
    let mut children: BTreeMap<&ModelName, Vec<&ModelName>> = BTreeMap::new();
    for (name, model) in models {
        for parent in &model.depends_on {
            children.entry(parent).or_default().push(name);
        }
    }
    let mut found = BTreeSet::new();
    let mut next: Vec<&ModelName> = names.iter().collect();
    while let Some(name) = next.pop() {
        for child in children.get(name).into_iter().flatten() {
            if found.insert((*child).clone()) {
                next.push(child);
            }
        }
    }
    found
}

/// Whether `text` is what `pattern` says, where `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("sales.orders", "sales.orders", true),
            ("sales.order", "sales.orders", false),
            ("sales.*", "sales.orders", true),
            ("*", "sales.orders", true),
            ("*.o*s", "sales.orders", true),
            ("*.o*x", "sales.orders", false),
            ("a*a", "a", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
