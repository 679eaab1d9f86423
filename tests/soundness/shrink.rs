//! Makes a failing case small: as few models and as little text as still fail.

use crate::case::Bench;
use crate::judge::Unsound;
use crate::project::Model;
use crate::project::Project;
use crate::tree::Body;
use crate::tree::Group;
use crate::tree::Item;
use crate::tree::On;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::walk::Visit;
use crate::walk::walk;

/// The same failure with less around it.
pub(crate) fn shrink(
    bench: &mut Bench,
    projects: Vec<Project>,
    seed: u64,
    found: Unsound,
) -> (Vec<Project>, Unsound) {
    let mut best = (projects, found);
    if best.0.len() > 2 {
        for index in 0..best.0.len() {
            let mut fewer = best.0.clone();
            fewer.remove(index);
            if let Some(found) = fails(bench, &fewer, seed) {
                best = (fewer, found);
                break;
            }
        }
    }
    // Each round may allow what the one before did not.
    for _ in 0..4 {
        let before = best.0.clone();
        take_back(bench, &mut best, seed);
        drop_models(bench, &mut best, seed);
        cut(bench, &mut best, seed);
        if best.0 == before {
            break;
        }
    }
    best
}

fn fails(bench: &mut Bench, projects: &[Project], seed: u64) -> Option<Unsound> {
    for project in projects {
        bench.binder.catalog(project).ok()?;
    }
    let judged = bench.judge(projects, seed).ok()?;
    judged.verdict.unsound.into_iter().next()
}

fn keep(
    bench: &mut Bench,
    best: &mut (Vec<Project>, Unsound),
    smaller: Vec<Project>,
    seed: u64,
) -> bool {
    if smaller == best.0 {
        return false;
    }
    match fails(bench, &smaller, seed) {
        Some(found) => {
            *best = (smaller, found);
            true
        }
        None => false,
    }
}

/// Edits of models that are not needed.
fn take_back(bench: &mut Bench, best: &mut (Vec<Project>, Unsound), seed: u64) {
    let names: Vec<String> = best.0[0]
        .models
        .iter()
        .map(|model| model.name.clone())
        .collect();
    for name in names {
        for step in 1..best.0.len() {
            let mut smaller = best.0.clone();
            let Some(old) = smaller[0].model(&name).cloned() else {
                continue;
            };
            if let Some(new) = smaller[step].models.iter_mut().find(|one| one.name == name) {
                *new = old;
                keep(bench, best, smaller, seed);
            }
        }
    }
    let mut plain = best.0.clone();
    for project in &mut plain {
        project.declared = true;
        project.floor = 1;
    }
    keep(bench, best, plain, seed);
}

fn drop_models(bench: &mut Bench, best: &mut (Vec<Project>, Unsound), seed: u64) {
    let mut names: Vec<String> = best
        .0
        .iter()
        .flat_map(|project| project.models.iter().map(|model| model.name.clone()))
        .collect();
    names.sort();
    names.dedup();
    for name in names.into_iter().rev() {
        let mut smaller = best.0.clone();
        for project in &mut smaller {
            project.models.retain(|model| model.name != name);
        }
        keep(bench, best, smaller, seed);
    }
}

/// Cuts one part after the other out of all versions of a model's query.
fn cut(bench: &mut Bench, best: &mut (Vec<Project>, Unsound), seed: u64) {
    let names: Vec<String> = best.0[0]
        .models
        .iter()
        .map(|model| model.name.clone())
        .collect();
    for name in names {
        let mut number = 0;
        for _ in 0..150 {
            let mut smaller = best.0.clone();
            let mut reached = false;
            for project in &mut smaller {
                if let Some(model) = project.models.iter_mut().find(|one| one.name == name) {
                    model.description = None;
                    reached |= cut_model(model, number);
                }
            }
            if !reached {
                break;
            }
            if !keep(bench, best, smaller, seed) {
                number += 1;
            }
        }
    }
}

/// Makes the cut of that number; false if there are not so many.
fn cut_model(model: &mut Model, number: usize) -> bool {
    if number == 0 && model.style != 0 {
        model.style = 0;
        return true;
    }
    let Some(query) = model.kind.query_mut() else {
        return false;
    };
    let mut cuts = Cuts { left: number + 1 };
    walk(query, &mut cuts);
    cuts.left == 0
}

struct Cuts {
    left: usize,
}

impl Cuts {
    fn now(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.left == 0
    }
}

impl Visit for Cuts {
    fn query(&mut self, query: &mut Query) {
        for index in (0..query.ctes.len()).rev() {
            if self.now() {
                query.ctes.remove(index);
                return;
            }
        }
        if let Body::Set { left, right, .. } = &mut query.body {
            let side = if self.now() {
                Some(left)
            } else if self.now() {
                Some(right)
            } else {
                None
            };
            if let Some(side) = side {
                let side = (**side).clone();
                query.body = side.body;
                query.ctes.extend(side.ctes);
                return;
            }
        }
        if (query.limit.is_some() || query.offset.is_some()) && self.now() {
            query.limit = None;
            query.offset = None;
        }
        for index in (0..query.order.len()).rev() {
            if self.now() {
                query.order.remove(index);
                return;
            }
        }
    }

    fn select(&mut self, select: &mut Select) {
        for index in (0..select.items.len()).rev() {
            if select.items.len() > 1 && self.now() {
                select.items.remove(index);
                return;
            }
        }
        for index in 0..select.items.len() {
            if let Item::Expr { expr, .. } = &mut select.items[index]
                && !matches!(
                    expr,
                    crate::tree::Expr::Column { .. } | crate::tree::Expr::Literal(_)
                )
                && self.now()
            {
                *expr = crate::tree::Expr::literal("1");
                return;
            }
        }
        for source in &mut select.from {
            for index in (0..source.joins.len()).rev() {
                if self.now() {
                    source.joins.remove(index);
                    return;
                }
                if let On::All(conditions) = &mut source.joins[index].on
                    && conditions.len() > 1
                    && self.now()
                {
                    conditions.pop();
                    return;
                }
            }
        }
        for conditions in [&mut select.filter, &mut select.having, &mut select.qualify] {
            for index in (0..conditions.len()).rev() {
                if self.now() {
                    conditions.remove(index);
                    return;
                }
            }
        }
        if select.distinct != crate::tree::Distinct::No && self.now() {
            select.distinct = crate::tree::Distinct::No;
            return;
        }
        if select.group != Group::No && self.now() {
            select.group = Group::No;
        }
    }

    fn relation(&mut self, relation: &mut Relation) {
        if let Relation::Sub { query, alias, .. } = relation
            && let Body::Select(inner) = &query.body
            && let Some(source) = inner.from.first()
            && let Relation::Table { name, .. } = &source.relation
            && self.now()
        {
            *relation = Relation::table(&name.clone(), Some(&alias.clone()));
        }
    }
}
