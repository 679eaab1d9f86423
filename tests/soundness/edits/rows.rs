//! Which rows come out, and in which order.

use crate::edits::Editor;
use crate::names::Type;
use crate::names::type_of;
use crate::tree::Distinct;
use crate::tree::Expr;
use crate::tree::Group;
use crate::tree::Item;
use crate::tree::On;
use crate::tree::Order;
use crate::tree::Over;
use crate::tree::Select;
use crate::walk::edit_expr;

/// Edits one expression of one model that the edit fits.
fn expression(
    editor: &mut Editor<'_>,
    edit: &mut dyn FnMut(&mut Expr, &mut crate::random::Random) -> bool,
) -> bool {
    let Some(index) = editor.any_query() else {
        return false;
    };
    editor.project.models[index]
        .kind
        .query_mut()
        .is_some_and(|query| edit_expr(query, editor.random, edit))
}

pub(super) fn literal(editor: &mut Editor<'_>) -> bool {
    expression(editor, &mut |expr, random| {
        let Expr::Literal(text) = expr else {
            return false;
        };
        let new = if text.parse::<u32>().is_ok() {
            random.below(5).to_string()
        } else if text.starts_with('\'') && text.len() <= 4 {
            (*random.pick(&["'a'", "'b'", "'A'", "''"])).to_owned()
        } else if text.starts_with("DATE") {
            (*random.pick(&["DATE '2024-01-03'", "DATE '2024-01-02'"])).to_owned()
        } else if text == "TRUE" {
            "FALSE".to_owned()
        } else {
            return false;
        };
        *text = new;
        true
    })
}

pub(super) fn add_filter(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        if select.from.is_empty() {
            return false;
        }
        let condition = generator.condition(seen, 1);
        let place = generator.random.below(select.filter.len() + 1);
        select.filter.insert(place, condition);
        true
    })
}

pub(super) fn remove_filter(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        if select.filter.is_empty() {
            return false;
        }
        let index = generator.random.below(select.filter.len());
        select.filter.remove(index);
        true
    })
}

pub(super) fn operator(editor: &mut Editor<'_>) -> bool {
    expression(editor, &mut |expr, random| {
        let sets: &[&[&str]] = &[
            &[
                "=",
                "<>",
                "<",
                ">",
                "<=",
                ">=",
                "IS DISTINCT FROM",
                "IS NOT DISTINCT FROM",
            ],
            &["+", "-", "*"],
            &["AND", "OR"],
        ];
        match expr {
            Expr::Binary { operator, .. } => {
                let Some(set) = sets.iter().find(|set| set.contains(&operator.as_str())) else {
                    return false;
                };
                *operator = (*random.pick(set)).to_owned();
                true
            }
            Expr::IsNull { not, .. }
            | Expr::In { not, .. }
            | Expr::InQuery { not, .. }
            | Expr::Exists { not, .. } => {
                *not = !*not;
                true
            }
            _ => false,
        }
    })
}

pub(super) fn distinct(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        select.distinct = match &select.distinct {
            Distinct::No if generator.random.chance(75) => Distinct::All,
            Distinct::No => {
                let Some(key) = generator.any_column(seen) else {
                    return false;
                };
                Distinct::On(vec![key])
            }
            Distinct::All | Distinct::On(_) => Distinct::No,
        };
        true
    })
}

pub(super) fn limit(editor: &mut Editor<'_>) -> bool {
    editor.query(&mut |query, generator| {
        let had = query.limit.is_some();
        match generator.random.below(3) {
            0 if had => {
                query.limit = None;
                query.offset = None;
            }
            1 if had => query.offset = Some(generator.random.below(3).to_string()),
            _ => query.limit = Some(generator.random.below(6).to_string()),
        }
        had || !query.order.is_empty() || generator.random.chance(20)
    })
}

pub(super) fn order(editor: &mut Editor<'_>) -> bool {
    editor.query(&mut |query, generator| {
        let seen = query
            .select()
            .map(|select| generator.catalog.visible(select))
            .unwrap_or_default();
        if query.order.is_empty() {
            let Some(key) = generator.any_column(&seen) else {
                return false;
            };
            query.order.push(Order::by(key));
            return true;
        }
        let index = generator.random.below(query.order.len());
        match generator.random.below(4) {
            0 => query.order[index].descending ^= true,
            1 => query.order[index].nulls_first = Some(generator.random.chance(50)),
            2 => {
                query.order.remove(index);
            }
            _ => {
                let Some(key) = generator.any_column(&seen) else {
                    return false;
                };
                query.order.push(Order::by(key));
            }
        }
        true
    })
}

pub(super) fn group(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| match &mut select.group {
        Group::No => false,
        Group::By(keys) | Group::Rollup(keys) | Group::Cube(keys) => {
            if keys.len() > 1 && generator.random.chance(30) {
                keys.reverse();
                return true;
            }
            let Some(key) = generator.any_column(seen) else {
                return false;
            };
            keys.push(key);
            true
        }
        Group::Sets(sets) => {
            if sets.len() < 2 {
                return false;
            }
            let index = generator.random.below(sets.len());
            sets.remove(index);
            true
        }
        Group::All => {
            let Some(item) = generator.item(seen, &select.items) else {
                return false;
            };
            select.items.push(item);
            true
        }
    })
}

/// `GROUP BY k`, `GROUP BY 1`, `GROUP BY ALL`, `GROUP BY ROLLUP (k)`
pub(super) fn group_spelling(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        let Group::By(keys) = &select.group else {
            return false;
        };
        let numbers: Option<Vec<Expr>> = keys
            .iter()
            .map(|key| {
                let index = select.items.iter().position(|item| match item {
                    Item::Expr { expr, .. } => expr == key,
                    _ => false,
                })?;
                Some(Expr::literal((index + 1).to_string()))
            })
            .collect();
        select.group = match generator.random.below(5) {
            0..=1 => match numbers {
                Some(numbers) => Group::By(numbers),
                None => return false,
            },
            2..=3 => Group::All,
            _ => Group::Rollup(keys.clone()),
        };
        true
    })
}

pub(super) fn having(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        if !select.having.is_empty() {
            select.having.clear();
            return true;
        }
        if !select.qualify.is_empty() {
            select.qualify.clear();
            return true;
        }
        if select.group != Group::No {
            let (aggregate, kind) = generator.aggregate(seen);
            if kind != Type::Number {
                return false;
            }
            select
                .having
                .push(Expr::binary(aggregate, ">", Expr::literal("1")));
            return true;
        }
        let rank = generator.windowed(seen, None);
        select
            .qualify
            .push(Expr::binary(rank, "<=", Expr::literal("2")));
        true
    })
}

pub(super) fn window(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        let window = generator.window(seen);
        if let Some((_, known)) = select.windows.first_mut() {
            *known = window;
            return true;
        }
        for item in &mut select.items {
            if let Item::Expr {
                expr: Expr::Call(call),
                ..
            } = item
                && let Some(Over::Window(known)) = &mut call.over
            {
                match generator.random.below(3) {
                    0 => *known = window,
                    1 => known.partition.clear(),
                    _ => known.frame = Some("ROWS UNBOUNDED PRECEDING".to_owned()),
                }
                return true;
            }
        }
        false
    })
}

pub(super) fn aggregate(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, seen| {
        for item in &mut select.items {
            let Item::Expr {
                expr: Expr::Call(call),
                ..
            } = item
            else {
                continue;
            };
            let known = ["count", "sum", "array_agg", "min", "max", "first"];
            if call.over.is_some()
                || !known.contains(&call.name.as_str())
                || generator.random.chance(40)
            {
                continue;
            }
            match generator.random.below(3) {
                0 => {
                    call.filter = match call.filter {
                        None => Some(Box::new(generator.comparison(seen))),
                        Some(_) => None,
                    }
                }
                1 => {
                    call.order = if call.order.is_empty() {
                        generator
                            .any_column(seen)
                            .map(Order::by)
                            .into_iter()
                            .collect()
                    } else {
                        Vec::new()
                    }
                }
                _ => call.distinct = !call.distinct,
            }
            return true;
        }
        false
    })
}

/// The conditions of a SELECT that are joined by AND.
fn conditions<'a>(select: &'a mut Select) -> Vec<&'a mut Vec<Expr>> {
    let mut all: Vec<&'a mut Vec<Expr>> = vec![&mut select.filter, &mut select.having];
    for source in &mut select.from {
        for join in &mut source.joins {
            if let On::All(conditions) = &mut join.on {
                all.push(conditions);
            }
        }
    }
    all
}

pub(super) fn reorder_and(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, _, _| {
        for conditions in conditions(select) {
            if conditions.len() > 1 {
                conditions.rotate_left(1);
                return true;
            }
        }
        false
    })
}

pub(super) fn add_true(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        if select.filter.is_empty() {
            return false;
        }
        let text = *generator.random.pick(&["TRUE", "(1 = 1)"]);
        select.filter.push(Expr::literal(text));
        true
    })
}

pub(super) fn between(editor: &mut Editor<'_>) -> bool {
    expression(editor, &mut |expr, _| {
        let new = match &*expr {
            Expr::Between { expr, low, high } => {
                let first = Expr::binary((**expr).clone(), ">=", (**low).clone());
                let second = Expr::binary((**expr).clone(), "<=", (**high).clone());
                Expr::binary(first, "AND", second)
            }
            _ => return false,
        };
        *expr = new;
        true
    })
}

pub(super) fn not_equal(editor: &mut Editor<'_>) -> bool {
    expression(editor, &mut |expr, _| match expr {
        Expr::Binary { operator, .. } if operator == "<>" => {
            *operator = "!=".to_owned();
            true
        }
        Expr::Binary { operator, .. } if operator == "!=" => {
            *operator = "<>".to_owned();
            true
        }
        _ => false,
    })
}

pub(super) fn mirror(editor: &mut Editor<'_>) -> bool {
    expression(editor, &mut |expr, _| {
        let Expr::Binary {
            left,
            operator,
            right,
        } = expr
        else {
            return false;
        };
        let mirrored = match operator.as_str() {
            "<" => ">",
            ">" => "<",
            "<=" => ">=",
            ">=" => "<=",
            "=" => "=",
            "OR" => "OR",
            "+" => "+",
            _ => return false,
        };
        *operator = mirrored.to_owned();
        std::mem::swap(left, right);
        true
    })
}

pub(super) fn double_not(editor: &mut Editor<'_>) -> bool {
    editor.select(&mut |select, generator, _| {
        if select.filter.is_empty() {
            return false;
        }
        let index = generator.random.below(select.filter.len());
        let condition = select.filter[index].clone();
        select.filter[index] = Expr::Not(Box::new(Expr::Not(Box::new(condition))));
        true
    })
}

/// Whether a name stands for a number.
pub(super) fn is_number(name: &str) -> bool {
    type_of(name) == Some(Type::Number)
}
