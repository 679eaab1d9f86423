//! What a SELECT gives.

use crate::edits::Editor;
use crate::names::Type;
use crate::names::names_of;
use crate::names::type_of;
use crate::tree::Expr;
use crate::tree::Group;
use crate::tree::Item;
use crate::tree::Select;

/// Whether something must be an aggregate here.
fn is_grouped(select: &Select) -> bool {
    select.group != Group::No || !select.having.is_empty() || has_aggregate(select)
}

fn has_aggregate(select: &Select) -> bool {
    const AGGREGATES: &[&str] = &[
        "count",
        "sum",
        "min",
        "max",
        "string_agg",
        "array_agg",
        "first",
        "bool_or",
    ];
    select.items.iter().any(|item| match item {
        Item::Expr {
            expr: Expr::Call(call),
            ..
        } => call.over.is_none() && AGGREGATES.contains(&call.name.as_str()),
        _ => false,
    })
}

pub(super) fn add(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let grouped = is_grouped(select) && generator.random.chance(80);
        let item = if grouped {
            let (expr, kind) = generator.aggregate(seen);
            let alias = generator.alias(kind, &select.items);
            alias.map(|alias| Item::of(expr, Some(&alias)))
        } else {
            generator.item(seen, &select.items)
        };
        let Some(item) = item else { return false };
        let place = if generator.random.chance(60) {
            select.items.len()
        } else {
            generator.random.below(select.items.len() + 1)
        };
        select.items.insert(place, item);
        true
    })
}

pub(super) fn remove(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        if select.items.len() < 2 {
            return false;
        }
        let index = generator.random.below(select.items.len());
        select.items.remove(index);
        true
    })
}

pub(super) fn rename(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        let index = generator.random.below(select.items.len());
        let Some(kind) = select.items[index].name().and_then(type_of) else {
            return false;
        };
        let Some(new) = generator.alias(kind, &select.items) else {
            return false;
        };
        match &mut select.items[index] {
            Item::Expr { alias, .. } => {
                *alias = Some(new);
                true
            }
            _ => false,
        }
    })
}

pub(super) fn edit(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let grouped = is_grouped(select);
        let index = generator.random.below(select.items.len());
        let name = select.items[index].name().map(str::to_owned);
        let Some(kind) = name.as_deref().and_then(type_of) else {
            return false;
        };
        let Item::Expr { expr, alias } = &mut select.items[index] else {
            return false;
        };
        *expr = match kind {
            _ if grouped => generator.aggregate(seen).0,
            Type::Number if generator.random.chance(60) => {
                Expr::binary(expr.clone(), "+", Expr::literal("1"))
            }
            Type::Text if generator.random.chance(50) => Expr::call("upper", vec![expr.clone()]),
            _ => generator.expr(kind, seen, 2),
        };
        *alias = name;
        true
    })
}

pub(super) fn reorder(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        if select.items.len() < 2 {
            return false;
        }
        let from = generator.random.below(select.items.len());
        let item = select.items.remove(from);
        let to = generator.random.below(select.items.len() + 1);
        select.items.insert(to, item);
        true
    })
}

/// Two of the same type, whose names can be given to each other.
fn two_alike(select: &Select) -> Vec<(usize, usize)> {
    let kinds: Vec<Option<Type>> = select
        .items
        .iter()
        .map(|item| match item {
            Item::Expr { .. } => item.name().and_then(type_of),
            _ => None,
        })
        .collect();
    let mut pairs = Vec::new();
    for (second, kind) in kinds.iter().enumerate() {
        for (first, other) in kinds[..second].iter().enumerate() {
            if kind.is_some() && other == kind {
                pairs.push((first, second));
            }
        }
    }
    pairs
}

/// `a AS x, b AS y` → `b AS x, a AS y`
pub(super) fn swap_values(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        let Some((first, second)) = generator.random.any(&two_alike(select)).copied() else {
            return false;
        };
        let names = [first, second].map(|index| select.items[index].name().map(str::to_owned));
        select.items.swap(first, second);
        for (index, name) in [first, second].into_iter().zip(names) {
            if let Item::Expr { alias, .. } = &mut select.items[index] {
                *alias = name;
            }
        }
        true
    })
}

/// `a AS x, b AS y` → `a AS y, b AS x`
pub(super) fn swap_names(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        let Some((first, second)) = generator.random.any(&two_alike(select)).copied() else {
            return false;
        };
        let names = [second, first].map(|index| select.items[index].name().map(str::to_owned));
        for (index, name) in [first, second].into_iter().zip(names) {
            if let Item::Expr { alias, .. } = &mut select.items[index] {
                *alias = name;
            }
        }
        true
    })
}

pub(super) fn write_out_star(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let stars: Vec<usize> = (0..select.items.len())
            .filter(|index| matches!(select.items[*index], Item::Star { .. }))
            .collect();
        let Some(index) = generator.random.any(&stars).copied() else {
            return false;
        };
        let Item::Star {
            qualifier,
            exclude,
            replace,
            rename,
        } = select.items.remove(index)
        else {
            return false;
        };
        let mut items = Vec::new();
        for (label, columns) in seen {
            if qualifier.as_ref().is_some_and(|wanted| wanted != label) {
                continue;
            }
            for name in columns.iter().filter(|name| !exclude.contains(name)) {
                let replaced = replace.iter().find(|(_, known)| known == name);
                let renamed = rename.iter().find(|(known, _)| known == name);
                let (expr, alias) = match (replaced, renamed) {
                    (Some((expr, name)), _) => (expr.clone(), Some(name)),
                    (None, Some((_, new))) => (Expr::qualified(label, name), Some(new)),
                    (None, None) => (Expr::qualified(label, name), None),
                };
                items.push(Item::of(expr, alias.map(String::as_str)));
            }
        }
        select.items.splice(index..index, items);
        !select.items.is_empty()
    })
}

pub(super) fn put_star(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, _, seen| {
        let columns: Vec<&String> = seen.iter().flat_map(|(_, columns)| columns).collect();
        let listed: Vec<Option<&str>> = select.items.iter().map(Item::name).collect();
        let same = columns.len() == listed.len()
            && columns
                .iter()
                .zip(&listed)
                .all(|(column, name)| Some(column.as_str()) == *name);
        if same {
            select.items = vec![Item::star(None)];
        }
        same
    })
}

pub(super) fn add_aggregate(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let (expr, kind) = generator.aggregate(seen);
        let Some(alias) = generator.alias(kind, &select.items) else {
            return false;
        };
        let plain = select.items.iter().all(|item| {
            matches!(
                item,
                Item::Expr {
                    expr: Expr::Literal(_),
                    ..
                }
            )
        });
        // Beside a plain column it would be refused, unless everything is grouped by.
        if !is_grouped(select) && !plain {
            select.group = Group::All;
        }
        select.items.push(Item::of(expr, Some(&alias)));
        true
    })
}

pub(super) fn add_window(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let named = select.windows.first().map(|(name, _)| name.clone());
        let expr = generator.windowed(seen, named.as_deref());
        let Some(alias) = generator.alias(Type::Number, &select.items) else {
            return false;
        };
        select.items.push(Item::of(expr, Some(&alias)));
        true
    })
}

pub(super) fn add_unnest(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let list = generator.leaf(Type::List, seen);
        let Some(alias) = generator.alias(Type::Number, &select.items) else {
            return false;
        };
        let expr = Expr::call("unnest", vec![list]);
        select.items.push(Item::of(expr, Some(&alias)));
        true
    })
}

pub(super) fn toggle_alias(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        let index = generator.random.below(select.items.len());
        let Item::Expr {
            expr: Expr::Column { name, .. },
            alias,
        } = &mut select.items[index]
        else {
            return false;
        };
        match alias {
            None => *alias = Some(name.clone()),
            Some(known) if known == name => *alias = None,
            Some(_) => return false,
        }
        true
    })
}

pub(super) fn star_options(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let columns: Vec<String> = seen.iter().flat_map(|(_, names)| names.clone()).collect();
        let Some(column) = generator.random.any(&columns).cloned() else {
            return false;
        };
        let Some(kind) = type_of(&column) else {
            return false;
        };
        let index = generator.random.below(select.items.len());
        let Item::Star {
            exclude,
            replace,
            rename,
            ..
        } = &mut select.items[index]
        else {
            return false;
        };
        let had = exclude.len() + replace.len() + rename.len();
        exclude.clear();
        replace.clear();
        rename.clear();
        match generator.random.below(4) {
            0 if had > 0 => {}
            1 => exclude.push(column),
            2 => replace.push((generator.expr(kind, seen, 1), column)),
            _ => {
                let free = names_of(kind)
                    .iter()
                    .find(|name| !columns.iter().any(|known| known == *name));
                let Some(free) = free else { return false };
                rename.push((column, (*free).to_owned()));
            }
        }
        true
    })
}
