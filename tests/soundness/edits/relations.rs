//! What a SELECT reads.

use crate::edits::Editor;
use crate::edits::rows::is_number;
use crate::tree::Expr;
use crate::tree::Join;
use crate::tree::On;
use crate::tree::Relation;
use crate::tree::Select;
use crate::walk::Visit;
use crate::walk::walk_expr;

pub(super) fn join_kind(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        for join in select.from.iter_mut().flat_map(|source| &mut source.joins) {
            if matches!(
                join.relation,
                Relation::Sub { lateral: true, .. } | Relation::Function { .. }
            ) {
                continue;
            }
            let kinds: &[&str] = match &join.on {
                On::Nothing => &[
                    "CROSS JOIN",
                    "NATURAL JOIN",
                    "POSITIONAL JOIN",
                    "NATURAL LEFT JOIN",
                ],
                On::All(_) | On::Using(_) => &[
                    "JOIN",
                    "LEFT JOIN",
                    "FULL JOIN",
                    "RIGHT JOIN",
                    "SEMI JOIN",
                    "ANTI JOIN",
                ],
            };
            join.kind = (*generator.random.pick(kinds)).to_owned();
            return true;
        }
        false
    })
}

pub(super) fn join_condition(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let more = generator.comparison(seen);
        for join in select.from.iter_mut().flat_map(|source| &mut source.joins) {
            if let On::All(conditions) = &mut join.on {
                if conditions.len() > 1 {
                    conditions.pop();
                } else {
                    conditions.push(more);
                }
                return true;
            }
        }
        false
    })
}

pub(super) fn add_join(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let (name, columns) = generator.any_table();
        let label = "j";
        if seen.iter().any(|(known, _)| known == label) {
            return false;
        }
        let own = [(label.to_owned(), columns)];
        let kinds = [crate::names::Type::Number];
        let here = generator.column(kinds[0], seen);
        let there = own[0].1.iter().find(|name| is_number(name)).cloned();
        let (Some(here), Some(there)) = (here, there) else {
            return false;
        };
        let Some(source) = select.from.last_mut() else {
            return false;
        };
        let condition = Expr::binary(here, "=", Expr::qualified(label, &there));
        source.joins.push(Join {
            kind: (*generator
                .random
                .pick(&["LEFT JOIN", "LEFT JOIN", "JOIN", "SEMI JOIN"]))
            .to_owned(),
            relation: Relation::table(&name, Some(label)),
            on: On::All(vec![condition]),
        });
        true
    })
}

pub(super) fn using_and_on(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, _, seen| {
        for source in &mut select.from {
            let first = source.relation.label().to_owned();
            for join in &mut source.joins {
                let label = join.relation.label().to_owned();
                let new = match &join.on {
                    On::Using(names) => {
                        let holder = seen
                            .iter()
                            .find(|(_, columns)| columns.contains(&names[0]))
                            .map_or(&first, |(label, _)| label);
                        On::All(vec![Expr::binary(
                            Expr::qualified(holder, &names[0]),
                            "=",
                            Expr::qualified(&label, &names[0]),
                        )])
                    }
                    On::All(conditions) => match conditions.as_slice() {
                        [
                            Expr::Binary {
                                left,
                                operator,
                                right,
                            },
                        ] if operator == "=" => match (&**left, &**right) {
                            (Expr::Column { name: left, .. }, Expr::Column { name: right, .. })
                                if left == right =>
                            {
                                On::Using(vec![left.clone()])
                            }
                            _ => continue,
                        },
                        _ => continue,
                    },
                    On::Nothing => continue,
                };
                join.on = new;
                return true;
            }
        }
        false
    })
}

/// A table with at least the columns that the other one had would do best; DuckDB says.
pub(super) fn other_table(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        let (new, _) = generator.any_table();
        for source in &mut select.from {
            let relations = std::iter::once(&mut source.relation)
                .chain(source.joins.iter_mut().map(|join| &mut join.relation));
            for relation in relations {
                if generator.random.chance(40) {
                    continue;
                }
                let label = relation.label().to_owned();
                if let Relation::Table { name, alias } = relation
                    && *name != new
                {
                    *name = new;
                    *alias = Some(label);
                    return true;
                }
            }
        }
        false
    })
}

/// Calls `edit` with each column of a SELECT's own parts, those of correlated queries included.
fn each_column(select: &mut Select, edit: &mut dyn FnMut(&mut Option<String>, &str)) {
    struct Columns<'a>(&'a mut dyn FnMut(&mut Option<String>, &str));
    impl Visit for Columns<'_> {
        fn expr(&mut self, expr: &mut Expr) {
            if let Expr::Column { qualifier, name } = expr {
                let name = name.clone();
                (self.0)(qualifier, &name);
            }
        }
    }
    // As a whole query, so that the walk is the same everywhere.
    let mut whole = crate::tree::Query::of(std::mem::take(select));
    crate::walk::walk(&mut whole, &mut Columns(edit));
    if let Some(done) = whole.select_mut() {
        *select = std::mem::take(done);
    }
}

pub(super) fn rename_alias(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        let new = format!("r{}", generator.random.below(3));
        let mut old = None;
        for source in &mut select.from {
            let relations = std::iter::once(&mut source.relation)
                .chain(source.joins.iter_mut().map(|join| &mut join.relation));
            for relation in relations {
                if old.is_some() || generator.random.chance(30) {
                    continue;
                }
                let label = relation.label().to_owned();
                match relation {
                    Relation::Table { alias, .. } => *alias = Some(new.clone()),
                    Relation::Sub { alias, .. } => *alias = new.clone(),
                    _ => continue,
                }
                old = Some(label);
            }
        }
        let Some(old) = old else { return false };
        each_column(select, &mut |qualifier, _| {
            if qualifier.as_ref() == Some(&old) {
                *qualifier = Some(new.clone());
            }
        });
        for item in &mut select.items {
            match item {
                crate::tree::Item::Star { qualifier, .. } if qualifier.as_ref() == Some(&old) => {
                    *qualifier = Some(new.clone());
                }
                crate::tree::Item::Expr { expr, .. } => {
                    let mut whole_rows = WholeRows(&old, &new);
                    walk_expr(expr, &mut whole_rows);
                }
                _ => {}
            }
        }
        true
    })
}

/// `SELECT a FROM t AS a`: the alias as a value.
struct WholeRows<'a>(&'a str, &'a str);

impl Visit for WholeRows<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        if let Expr::Column {
            qualifier: None,
            name,
        } = expr
            && name == self.0
        {
            *name = self.1.to_owned();
        }
    }
}

pub(super) fn qualify(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let add = generator.random.chance(50);
        each_column(select, &mut |qualifier, name| {
            let holders: Vec<&String> = seen
                .iter()
                .filter(|(_, columns)| columns.iter().any(|column| column == name))
                .map(|(label, _)| label)
                .collect();
            if let [only] = holders.as_slice() {
                if add && qualifier.is_none() {
                    *qualifier = Some((*only).clone());
                } else if !add && qualifier.as_ref() == Some(*only) {
                    *qualifier = None;
                }
            }
        });
        true
    })
}

pub(super) fn swap_tables(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, _, _| {
        for source in &mut select.from {
            if let Some(join) = source.joins.first_mut()
                && !matches!(
                    join.relation,
                    Relation::Sub { lateral: true, .. } | Relation::Function { .. }
                )
            {
                std::mem::swap(&mut source.relation, &mut join.relation);
                return true;
            }
        }
        if select.from.len() > 1 {
            select.from.reverse();
            return true;
        }
        false
    })
}
