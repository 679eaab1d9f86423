//! The reference's rule, to compare with: an edited model is built again; its children too, unless the edit only added
//! projections. Source: spec engine.md 2.3 to 2.6, its defects included.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::names::Catalog;
use crate::project::Kind;
use crate::project::Model;
use crate::project::Project;
use crate::tree::Body;
use crate::tree::Expr;
use crate::tree::Group;
use crate::tree::Item;
use crate::tree::On;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::walk::Visit;
use crate::walk::each_expr;
use crate::walk::walk;
use crate::walk::walk_expr;

/// How a model differs, in the reference's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Category {
    Breaking,
    NonBreaking,
    IndirectBreaking,
    IndirectNonBreaking,
}

/// The models whose tables the reference keeps.
pub(crate) fn kept(old: (&Project, &Catalog), new: (&Project, &Catalog)) -> BTreeSet<String> {
    let mut categories: BTreeMap<&str, Category> = BTreeMap::new();
    let parents = parents(new.0);
    let mut kept = BTreeSet::new();
    for model in &new.0.models {
        let Some(previous) = old.0.model(&model.name) else {
            categories.insert(&model.name, Category::Breaking);
            continue;
        };
        let above: Vec<Category> = parents[model.name.as_str()]
            .iter()
            .filter_map(|parent| categories.get(parent.as_str()).copied())
            .collect();
        let edit = direct(previous, model, old, new).map(|category| {
            let unknown = std::iter::once(model)
                .chain(readers(new.0, &parents, &model.name))
                .any(|reader| has_unknown_columns(reader, new.0));
            if unknown {
                Category::Breaking
            } else {
                category
            }
        });
        let category = match edit {
            Some(category) => Some(category),
            None if above.is_empty() => None,
            None if above
                .iter()
                .any(|one| matches!(one, Category::Breaking | Category::IndirectBreaking)) =>
            {
                Some(Category::IndirectBreaking)
            }
            None => Some(Category::IndirectNonBreaking),
        };
        if matches!(category, None | Some(Category::IndirectNonBreaking)) {
            kept.insert(model.name.clone());
        }
        if let Some(category) = category {
            categories.insert(&model.name, category);
        }
    }
    kept
}

/// What each model reads.
pub(crate) fn parents(project: &Project) -> BTreeMap<&str, BTreeSet<String>> {
    struct Tables(BTreeSet<String>);
    impl Visit for Tables {
        fn relation(&mut self, relation: &mut Relation) {
            if let Relation::Table { name, .. } = relation {
                self.0.insert(name.clone());
            }
        }
    }
    project
        .models
        .iter()
        .map(|model| {
            let mut tables = Tables(BTreeSet::new());
            if let Some(query) = model.kind.query() {
                walk(&mut query.clone(), &mut tables);
            }
            (model.name.as_str(), tables.0)
        })
        .collect()
}

/// Everything that reads the model, directly or not.
fn readers<'a>(
    project: &'a Project,
    parents: &BTreeMap<&str, BTreeSet<String>>,
    name: &str,
) -> Vec<&'a Model> {
    let mut below: BTreeSet<&str> = BTreeSet::from([name]);
    let mut readers = Vec::new();
    for model in &project.models {
        let reads = parents[model.name.as_str()]
            .iter()
            .any(|parent| below.contains(parent.as_str()));
        if reads {
            below.insert(&model.name);
            readers.push(model);
        }
    }
    readers
}

fn has_unknown_columns(model: &Model, project: &Project) -> bool {
    struct Stars(bool);
    impl Visit for Stars {
        fn select(&mut self, select: &mut Select) {
            let star = |item: &Item| matches!(item, Item::Star { .. } | Item::Columns(_));
            self.0 |= select.items.iter().any(star);
        }
    }
    let mut stars = Stars(false);
    if let Some(query) = model.kind.query() {
        walk(&mut query.clone(), &mut stars);
    }
    !project.declared && stars.0 && model.columns.is_none()
}

/// The category of the model's own edit; `None` when there is none that matters.
fn direct(
    old: &Model,
    new: &Model,
    before: (&Project, &Catalog),
    after: (&Project, &Catalog),
) -> Option<Category> {
    if std::mem::discriminant(&old.kind) != std::mem::discriminant(&new.kind) {
        return Some(Category::Breaking);
    }
    let properties = old.stamp == new.stamp && old.columns == new.columns;
    if let (Kind::Seed(old), Kind::Seed(new)) = (&old.kind, &new.kind) {
        if old == new {
            return (!properties).then_some(Category::NonBreaking);
        }
        let content = |seed: &crate::project::SeedRows, name: &String| {
            let index = seed.columns.iter().position(|known| known == name)?;
            let values = seed.rows.iter().map(|row| row[index].clone());
            Some(values.collect::<Vec<_>>())
        };
        let all_there = old
            .columns
            .iter()
            .all(|name| content(old, name) == content(new, name));
        return Some(if all_there {
            Category::NonBreaking
        } else {
            Category::Breaking
        });
    }
    let (Some(first), Some(second)) = (old.kind.query(), new.kind.query()) else {
        return Some(Category::Breaking);
    };
    let first = normal(first, before.1, before.0.floor);
    let second = normal(second, after.1, after.0.floor);
    if first == second {
        return (!properties).then_some(Category::NonBreaking);
    }
    Some(if only_adds(&first, second, Around::default()) {
        Category::NonBreaking
    } else {
        Category::Breaking
    })
}

/// The query as the reference renders it: stars written out, names without needless qualifiers, simplified.
fn normal(query: &Query, catalog: &Catalog, floor: usize) -> Query {
    struct Normal {
        catalog: Catalog,
        floor: usize,
    }
    impl Visit for Normal {
        fn query(&mut self, query: &mut Query) {
            self.catalog = self.catalog.with_ctes(query);
        }
        fn select(&mut self, select: &mut Select) {
            let seen = self.catalog.visible(select);
            let mut items = Vec::new();
            for item in std::mem::take(&mut select.items) {
                match &item {
                    Item::Star {
                        qualifier,
                        exclude,
                        replace,
                        rename,
                    } if replace.is_empty() && rename.is_empty() => {
                        for (label, columns) in &seen {
                            if qualifier.as_ref().is_some_and(|wanted| wanted != label) {
                                continue;
                            }
                            let kept = columns.iter().filter(|name| !exclude.contains(name));
                            items.extend(
                                kept.map(|name| Item::of(Expr::qualified(label, name), None)),
                            );
                        }
                    }
                    Item::Expr {
                        expr: Expr::Column { name, .. },
                        alias: Some(alias),
                    } if name == alias => {
                        if let Item::Expr { expr, .. } = item {
                            items.push(Item::Expr { expr, alias: None });
                        }
                    }
                    _ => items.push(item),
                }
            }
            select.items = items;
            select.filter.retain(
                |one| !matches!(one, Expr::Literal(text) if text == "TRUE" || text == "(1 = 1)"),
            );
            select.filter.sort_by_key(crate::print::print_expr);
            let mut bare = Bare(&seen);
            for item in &mut select.items {
                if let Item::Expr { expr, .. } = item {
                    walk_expr(expr, &mut bare);
                }
            }
            for expr in select.filter.iter_mut().chain(&mut select.having) {
                walk_expr(expr, &mut bare);
            }
            if let Group::By(keys) = &mut select.group {
                for key in keys {
                    walk_expr(key, &mut bare);
                }
            }
        }
        fn expr(&mut self, expr: &mut Expr) {
            match expr {
                Expr::Variable(name) if name == "floor" => {
                    *expr = Expr::literal(self.floor.to_string());
                }
                Expr::Binary { operator, .. } if operator == "!=" => {
                    *operator = "<>".to_owned();
                }
                Expr::Between {
                    expr: inner,
                    low,
                    high,
                } => {
                    let first = Expr::binary((**inner).clone(), ">=", (**low).clone());
                    let second = Expr::binary((**inner).clone(), "<=", (**high).clone());
                    *expr = Expr::binary(first, "AND", second);
                }
                Expr::Not(inner) => {
                    if let Expr::Not(twice) = &**inner {
                        *expr = (**twice).clone();
                    }
                }
                _ => {}
            }
        }
    }
    struct Bare<'a>(&'a [(String, Vec<String>)]);
    impl Visit for Bare<'_> {
        fn expr(&mut self, expr: &mut Expr) {
            if let Expr::Column { qualifier, name } = expr {
                let mut holders = self.0.iter().filter(|(_, columns)| columns.contains(name));
                let only = (holders.next(), holders.next());
                if let (Some((label, _)), None) = only
                    && qualifier.as_ref() == Some(label)
                {
                    *qualifier = None;
                }
            }
        }
    }
    let mut normal = Normal {
        catalog: catalog.clone(),
        floor,
    };
    let mut query = query.clone();
    walk(&mut query, &mut normal);
    query
}

/// What stands around a SELECT, as far as it decides about an added projection.
#[derive(Clone, Copy, Default)]
struct Around {
    /// ORDER BY with a number, of the query or of the set operation that it is a branch of.
    numbered: bool,
}

/// Whether `new` is `old` with projections more (the lockstep walk of 2.4).
fn only_adds(old: &Query, mut new: Query, around: Around) -> bool {
    strip(old, &mut new, around) && *old == new
}

/// Takes from `new` the projections that it has more; false if one of them is not safe.
fn strip(old: &Query, new: &mut Query, around: Around) -> bool {
    if old.ctes.len() != new.ctes.len() {
        return false;
    }
    let number = |order: &crate::tree::Order| matches!(&order.expr, Expr::Literal(text) if text.parse::<u32>().is_ok());
    let around = Around {
        numbered: around.numbered || new.order.iter().any(number),
    };
    let ctes = old
        .ctes
        .iter()
        .zip(&mut new.ctes)
        .all(|(old, new)| strip(&old.query, &mut new.query, Around::default()));
    let body = match (&old.body, &mut new.body) {
        (Body::Select(old), Body::Select(new)) => strip_select(old, new, around),
        (
            Body::Set { left, right, .. },
            Body::Set {
                left: new_left,
                right: new_right,
                ..
            },
        ) => strip(left, new_left, around) && strip(right, new_right, around),
        (Body::Values(_), Body::Values(_)) => true,
        _ => false,
    };
    ctes && body
}

fn strip_select(old: &Select, new: &mut Select, around: Around) -> bool {
    let grouped_by_number = match &new.group {
        Group::By(keys) => keys
            .iter()
            .any(|key| matches!(key, Expr::Literal(text) if text.parse::<u32>().is_ok())),
        _ => false,
    };
    let mut rest = old.items.iter().peekable();
    let mut kept = Vec::new();
    for item in std::mem::take(&mut new.items) {
        if rest.peek() == Some(&&item) {
            rest.next();
            kept.push(item);
            continue;
        }
        let before_another = rest.peek().is_some();
        if makes_rows(&item) || (before_another && (grouped_by_number || around.numbered)) {
            return false;
        }
    }
    new.items = kept;
    if rest.next().is_some() {
        return false;
    }
    let (mut before, mut after) = (old.clone(), new.clone());
    let fine = {
        let first = nested(&mut before);
        let second = nested(&mut after);
        first.len() == second.len()
            && first
                .into_iter()
                .zip(second)
                .all(|(old, new)| strip(old, new, Around::default()))
    };
    *new = after;
    fine
}

/// The queries inside a SELECT but for those in its projections.
fn nested(select: &mut Select) -> Vec<&mut Query> {
    let mut found = Vec::new();
    for source in &mut select.from {
        let joins = source.joins.iter_mut();
        let mut conditions = Vec::new();
        let mut relations = vec![&mut source.relation];
        for join in joins {
            relations.push(&mut join.relation);
            if let On::All(on) = &mut join.on {
                conditions.extend(on.iter_mut());
            }
        }
        for relation in relations {
            match relation {
                Relation::Sub { query, .. }
                | Relation::Pivot { input: query, .. }
                | Relation::Unpivot { input: query, .. } => found.push(&mut **query),
                Relation::Table { .. } | Relation::Function { .. } => {}
            }
        }
        for condition in conditions {
            below(condition, &mut found);
        }
    }
    for condition in select.filter.iter_mut().chain(&mut select.having) {
        below(condition, &mut found);
    }
    found
}

fn below<'a>(expr: &'a mut Expr, found: &mut Vec<&'a mut Query>) {
    match expr {
        Expr::InQuery { query, .. } | Expr::Exists { query, .. } | Expr::Scalar(query) => {
            found.push(query);
        }
        Expr::Binary { left, right, .. } => {
            below(left, found);
            below(right, found);
        }
        Expr::Not(inner) => below(inner, found),
        _ => {}
    }
}

/// A projection with a function that the reference knows to give several rows.
fn makes_rows(item: &Item) -> bool {
    let Item::Expr { expr, .. } = item else {
        return false;
    };
    let mut found = false;
    let select = Select {
        items: vec![Item::of(expr.clone(), None)],
        ..Select::default()
    };
    each_expr(&Query::of(select), &mut |expr| {
        found |= matches!(expr, Expr::Call(call) if call.name == "unnest");
    });
    found
}
