//! What a star stands for.

use std::rc::Rc;

use sqlparser::ast::ExcludeSelectItem;
use sqlparser::ast::ObjectName;
use sqlparser::ast::RenameSelectItem;
use sqlparser::ast::SelectItemQualifiedWildcardKind;
use sqlparser::ast::WildcardAdditionalOptions;

use crate::sql::Dialect;
use crate::sql::fold;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::lowering::Lowering;
use crate::sql::meaning::lowering::Stop;
use crate::sql::meaning::lowering::stop;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Field;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::scope::Binding;
use crate::sql::meaning::scope::wrapped;

/// The columns that an item of a SELECT gives.
pub(super) enum Given {
    Fields(Vec<Field>),
    /// As many as nobody knows, made of this.
    Unknown(Scalar),
    /// All columns of the one table in FROM, as they are.
    Table(u32),
}

impl<'q> Lowering<'_, 'q> {
    /// `*`.
    pub(super) fn star(&mut self, options: &'q WildcardAdditionalOptions) -> Result<Given, Stop> {
        if is_plain(options) {
            return self.plain_star();
        }
        match self.star_fields() {
            Some(fields) => Ok(Given::Fields(self.with_options(fields, options)?)),
            None => {
                let mut whole = self.everything();
                whole.digest = Node::new("star")
                    .digest(whole.digest)
                    .text(&options.to_string().to_lowercase())
                    .finish();
                self.replacements(options, &mut whole)?;
                Ok(Given::Unknown(whole))
            }
        }
    }

    /// `*` with nothing behind it.
    pub(super) fn plain_star(&mut self) -> Result<Given, Stop> {
        Ok(match self.star_fields() {
            Some(fields) => Given::Fields(fields),
            None => {
                let whole = self.everything();
                Given::Unknown(Scalar::over(Node::new("star"), [&whole]))
            }
        })
    }

    /// The table whose columns, all unknown, a star alone gives as they are.
    pub(super) fn only_table(&self) -> Option<u32> {
        let [binding] = self.frames.last()?.bindings.as_slice() else {
            return None;
        };
        match binding.columns {
            Columns::Table(table) if self.tables[table as usize].schema.is_none() => Some(table),
            _ => None,
        }
    }

    fn star_fields(&mut self) -> Option<Vec<Field>> {
        let frame = self.frames.last()?;
        let bindings = frame.bindings.clone();
        let merged = frame.merged.clone();
        let mut fields = Vec::new();
        let in_place = match (merged.is_empty(), self.dialect) {
            // The standard puts merged columns first; other engines have orders of their own.
            (false, Dialect::Postgres | Dialect::Redshift) => {
                fields.extend(merged.into_iter().map(|merged| Field {
                    value: wrapped(merged.value, &merged.wraps),
                    name: Some(merged.name),
                }));
                false
            }
            (false, Dialect::DuckDb) | (true, _) => true,
            (false, _) => return None,
        };
        self.star_of(&bindings, &mut fields, in_place)
            .then_some(fields)
    }

    /// Adds the columns of all relations in order; whether they are known.
    fn star_of(
        &mut self,
        bindings: &[Binding],
        given: &mut Vec<Field>,
        merged_in_place: bool,
    ) -> bool {
        for (place, binding) in bindings.iter().enumerate() {
            let Some(fields) = self.fields(&binding.columns) else {
                return false;
            };
            for field in fields.iter() {
                if let Some(name) = &field.name {
                    if binding.hidden.contains(name) {
                        continue;
                    }
                    let merged = self.frames.last().and_then(|frame| {
                        frame
                            .merged
                            .iter()
                            .find(|merged| merged.name == *name && merged.binding == place)
                    });
                    if let Some(merged) = merged {
                        if merged_in_place {
                            given.push(Field {
                                name: Some(name.clone()),
                                value: wrapped(merged.value.clone(), &merged.wraps),
                            });
                        }
                        continue;
                    }
                }
                given.push(Field {
                    name: field.name.clone(),
                    value: wrapped(field.value.clone(), &binding.wraps),
                });
            }
        }
        true
    }

    /// `t.*`.
    pub(super) fn qualified_star(
        &mut self,
        kind: &'q SelectItemQualifiedWildcardKind,
        options: &'q WildcardAdditionalOptions,
    ) -> Result<Given, Stop> {
        let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
            return stop("a star over an expression is not understood");
        };
        let Some(parts) = fold::fold_parts(self.dialect, name) else {
            return stop("the name before a star is computed");
        };
        let binding = self
            .frames
            .last()
            .and_then(|frame| {
                frame
                    .bindings
                    .iter()
                    .find(|binding| binding.path.ends_with(&parts))
            })
            .cloned();
        let Some(binding) = binding else {
            return stop(format!("`{name}.*` names no relation"));
        };
        let Some(fields) = self.fields(&binding.columns) else {
            let whole = self.whole(&binding.columns);
            let mut whole = wrapped(whole, &binding.wraps);
            whole.digest = Node::new("star")
                .digest(whole.digest)
                .text(&options.to_string().to_lowercase())
                .finish();
            self.replacements(options, &mut whole)?;
            return Ok(Given::Unknown(whole));
        };
        let fields = fields
            .iter()
            .map(|field| Field {
                name: field.name.clone(),
                value: wrapped(field.value.clone(), &binding.wraps),
            })
            .collect();
        Ok(Given::Fields(self.with_options(fields, options)?))
    }

    /// What REPLACE reads belongs to a star whose columns are not known.
    fn replacements(
        &mut self,
        options: &'q WildcardAdditionalOptions,
        whole: &mut Scalar,
    ) -> Result<(), Stop> {
        for item in options
            .opt_replace
            .iter()
            .flat_map(|replace| &replace.items)
        {
            let value = self.expr(&item.expr)?;
            *whole = Scalar::over(Node::new("replaced"), [&*whole, &value]);
        }
        Ok(())
    }

    fn with_options(
        &mut self,
        mut fields: Vec<Field>,
        options: &'q WildcardAdditionalOptions,
    ) -> Result<Vec<Field>, Stop> {
        let WildcardAdditionalOptions {
            wildcard_token: _,
            opt_ilike,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename,
            opt_alias,
        } = options;
        if opt_alias.is_some() {
            return stop("a star has an alias");
        }
        if let Some(pattern) = opt_ilike {
            if pattern.pattern.contains(['%', '_', '\\']) && !is_simple(&pattern.pattern) {
                return stop("a star has a pattern that is not understood");
            }
            let pattern = pattern.pattern.to_lowercase();
            fields.retain(|field| {
                field
                    .name
                    .as_deref()
                    .is_some_and(|name| matches(&name.to_lowercase(), &pattern))
            });
        }
        let mut without: Vec<String> = Vec::new();
        match opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => without.push(self.excluded(name)?),
            Some(ExcludeSelectItem::Multiple(names)) => {
                for name in names {
                    without.push(self.excluded(name)?);
                }
            }
            None => {}
        }
        if let Some(except) = opt_except {
            without.push(self.name(&except.first_element));
            for name in &except.additional_elements {
                without.push(self.name(name));
            }
        }
        fields.retain(|field| {
            field
                .name
                .as_ref()
                .is_none_or(|name| !without.contains(name))
        });
        if let Some(replace) = opt_replace {
            for item in &replace.items {
                let name = self.name(&item.column_name);
                let value = self.expr(&item.expr)?;
                let value = super::lowering::settled(value, self.dialect);
                for field in &mut fields {
                    if field.name.as_deref() == Some(&name) {
                        field.value = value.clone();
                    }
                }
            }
        }
        let renames = match opt_rename {
            Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
            Some(RenameSelectItem::Multiple(several)) => several.as_slice(),
            None => &[],
        };
        let renames: Vec<(String, String)> = renames
            .iter()
            .map(|rename| (self.name(&rename.ident), self.name(&rename.alias)))
            .collect();
        for field in &mut fields {
            let new = renames
                .iter()
                .find(|(old, _)| field.name.as_ref() == Some(old));
            if let Some((_, new)) = new {
                field.name = Some(new.clone());
            }
        }
        Ok(fields)
    }

    fn excluded(&self, name: &ObjectName) -> Result<String, Stop> {
        let parts = fold::fold_parts(self.dialect, name);
        match parts.map(<[String; 1]>::try_from) {
            Some(Ok([name])) => Ok(match self.dialect {
                Dialect::BigQuery | Dialect::MySql => name.to_ascii_lowercase(),
                _ => name,
            }),
            _ => stop("EXCLUDE names something that is no column"),
        }
    }
}

pub(super) fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude: None,
        opt_except: None,
        opt_replace: None,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return false;
    };
    true
}

/// Whether a LIKE pattern has nothing but `%` at its ends.
fn is_simple(pattern: &str) -> bool {
    !pattern
        .trim_start_matches('%')
        .trim_end_matches('%')
        .contains(['%', '_', '\\'])
}

fn matches(name: &str, pattern: &str) -> bool {
    let middle = pattern.trim_start_matches('%').trim_end_matches('%');
    match (pattern.starts_with('%'), pattern.ends_with('%')) {
        (true, true) => name.contains(middle),
        (true, false) => name.ends_with(middle),
        (false, true) => name.starts_with(middle),
        (false, false) => name == middle,
    }
}

/// Puts what the items give together.
pub(super) fn columns(given: Vec<Given>) -> Columns {
    if let [Given::Table(table)] = given.as_slice() {
        return Columns::Table(*table);
    }
    if given.iter().all(|given| matches!(given, Given::Fields(_))) {
        let fields = given.into_iter().flat_map(|given| match given {
            Given::Fields(fields) => fields,
            Given::Unknown(_) | Given::Table(_) => Vec::new(),
        });
        return Columns::Listed(Rc::new(fields.collect()));
    }
    let mut names = Node::new("names");
    let mut parts = Vec::new();
    for given in given {
        match given {
            Given::Fields(fields) => {
                for field in fields {
                    names = names.maybe_text(field.name.as_deref());
                    parts.push(field.value);
                }
            }
            Given::Unknown(whole) => {
                names = names.number(parts.len());
                parts.push(whole);
            }
            Given::Table(_) => unreachable!("a table stands alone"),
        }
    }
    // A name may stand in the star as well: then nobody knows which of the two is meant.
    let node = Node::new("some columns").digest(names.finish());
    Columns::Unknown(Box::new(Scalar::over(node, &parts)))
}
