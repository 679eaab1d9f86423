//! Where two versions of a query differ, in words for a reviewer.

use std::collections::BTreeMap;
use std::fmt::Display;

use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;
use sqlparser::ast::SetExpr;

use crate::sql::columns::Ctes;
use crate::sql::columns::Resolver;
use crate::sql::compare::ChangedColumns;

/// The longest piece of SQL in a sentence, in characters.
const LONGEST_QUOTE: usize = 60;

/// The columns that came and went.
pub(super) fn names(before: &[String], after: &[String]) -> ChangedColumns {
    let only = |these: &[String], those: &[String]| {
        these
            .iter()
            .filter(|name| !those.contains(name))
            .cloned()
            .collect()
    };
    ChangedColumns {
        added: only(after, before),
        removed: only(before, after),
        changed: Vec::new(),
    }
}

/// The output columns that differ, as far as both versions name theirs.
pub(super) fn columns(
    old: &Query,
    old_resolver: Resolver<'_>,
    new: &Query,
    new_resolver: Resolver<'_>,
) -> ChangedColumns {
    let none: &Ctes = &Vec::new();
    let (Some(before), Some(after)) =
        (old_resolver.query(old, none), new_resolver.query(new, none))
    else {
        return ChangedColumns::default();
    };
    let mut columns = names(&before, &after);
    let old_branches = branches(&old.body);
    let new_branches = branches(&new.body);
    if old_branches.len() != new_branches.len() {
        return columns;
    }
    // A branch of a UNION gives its columns by position, under the names of the first.
    for (old_branch, new_branch) in old_branches.into_iter().zip(new_branches) {
        let written = written(old_branch, &before);
        for (name, now) in self::written(new_branch, &after) {
            let changed = written.get(name).is_some_and(|then| *then != now);
            if changed && !columns.changed.iter().any(|known| known == name) {
                columns.changed.push(name.to_owned());
            }
        }
    }
    columns
}

/// The SELECTs that give the output rows, in the order of the text.
fn branches(body: &SetExpr) -> Vec<&Select> {
    match body {
        SetExpr::Select(select) => vec![select],
        SetExpr::Query(query) => branches(&query.body),
        SetExpr::SetOperation { left, right, .. } => {
            let mut all = branches(left);
            all.extend(branches(right));
            all
        }
        SetExpr::Values(_)
        | SetExpr::Insert(_)
        | SetExpr::Update(_)
        | SetExpr::Delete(_)
        | SetExpr::Merge(_)
        | SetExpr::Table(_) => Vec::new(),
    }
}

/// The items by the names of the columns that they give; empty when a star hides some.
fn written<'n>(select: &Select, names: &'n [String]) -> BTreeMap<&'n str, String> {
    if select.projection.len() != names.len() {
        return BTreeMap::new();
    }
    let items = select.projection.iter().map(expression);
    names.iter().map(String::as_str).zip(items).collect()
}

/// An item without its alias.
fn expression(item: &SelectItem) -> String {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr.to_string(),
        SelectItem::ExprWithAliases { .. }
        | SelectItem::QualifiedWildcard(..)
        | SelectItem::Wildcard(_) => item.to_string(),
    }
}

/// Sentences that say what changed; empty when nothing can be named.
pub(super) fn reasons(
    old: &Query,
    new: &Query,
    columns: &ChangedColumns,
    resolver: Resolver<'_>,
) -> Vec<String> {
    let mut reasons = Vec::new();
    with_reasons(old, new, &mut reasons);
    match (
        branches(&old.body).as_slice(),
        branches(&new.body).as_slice(),
    ) {
        ([before], [after]) => {
            column_reasons(before, after, columns, resolver, &mut reasons);
            clause_reasons(before, after, &mut reasons);
        }
        (before, after) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                if before != after {
                    reasons.push(format!("query {} of the set operation changed", index + 1));
                }
            }
            if reasons.is_empty() && old.body != new.body {
                reasons.push("the set operation changed".to_owned());
            }
        }
        _ => reasons.push("the set operation has other queries".to_owned()),
    }
    let clause = |changed: bool, name: &str| changed.then(|| format!("the {name} clause changed"));
    reasons.extend(clause(old.order_by != new.order_by, "ORDER BY"));
    let limit = old.limit_clause != new.limit_clause || old.fetch != new.fetch;
    reasons.extend(clause(limit, "LIMIT"));
    reasons
}

fn with_reasons(old: &Query, new: &Query, reasons: &mut Vec<String>) {
    let ctes = |query: &Query| -> Vec<(String, String)> {
        let with = query.with.iter();
        with.flat_map(|with| &with.cte_tables)
            .map(|cte| (cte.alias.name.value.clone(), cte.to_string()))
            .collect()
    };
    let before = ctes(old);
    let after = ctes(new);
    let find = |ctes: &[(String, String)], name: &str| {
        ctes.iter()
            .find(|(other, _)| other == name)
            .map(|(_, text)| text.clone())
    };
    for (name, text) in &before {
        match find(&after, name) {
            None => reasons.push(format!("the CTE `{name}` was removed")),
            Some(now) if now != *text => reasons.push(format!("the CTE `{name}` changed")),
            Some(_) => {}
        }
    }
    for (name, _) in &after {
        if find(&before, name).is_none() {
            reasons.push(format!("the CTE `{name}` was added"));
        }
    }
}

fn column_reasons(
    old: &Select,
    new: &Select,
    columns: &ChangedColumns,
    resolver: Resolver<'_>,
    reasons: &mut Vec<String>,
) {
    let named = |select: &Select| -> Option<Vec<(String, String)>> {
        let items = select.projection.iter();
        items
            .map(|item| {
                let name = match item {
                    SelectItem::UnnamedExpr(expr) => resolver.expression_name(expr)?,
                    SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
                    SelectItem::ExprWithAliases { .. }
                    | SelectItem::QualifiedWildcard(..)
                    | SelectItem::Wildcard(_) => return None,
                };
                Some((name, expression(item)))
            })
            .collect()
    };
    let (Some(before), Some(after)) = (named(old), named(new)) else {
        if old.projection != new.projection {
            reasons.push("the list of columns changed".to_owned());
        }
        return;
    };
    let start = reasons.len();
    for (name, then) in &before {
        let here = after.iter().find(|(other, _)| other == name);
        match here {
            Some((_, now)) if now == then => {}
            Some((_, now)) => reasons.push(format!(
                "column `{name}` changed: `{}` → `{}`",
                short(then),
                short(now)
            )),
            None => {
                let renamed = after.iter().find(|(other, now)| {
                    now == then && columns.added.iter().any(|added| added == other)
                });
                reasons.push(match renamed {
                    Some((other, _)) => format!("column `{name}` was renamed to `{other}`"),
                    None => format!("column `{name}` was removed"),
                });
            }
        }
    }
    for (name, _) in &after {
        if !before.iter().any(|(other, _)| other == name) {
            reasons.push(format!("column `{name}` was added"));
        }
    }
    if reasons.len() == start && before != after {
        reasons.push("the order of the columns changed".to_owned());
    }
}

fn clause_reasons(old: &Select, new: &Select, reasons: &mut Vec<String>) {
    let mut check = |changed: bool, name: &str| {
        if changed {
            reasons.push(format!("the {name} clause changed"));
        }
    };
    check(old.distinct != new.distinct, "DISTINCT");
    check(old.from != new.from, "FROM");
    check(old.lateral_views != new.lateral_views, "LATERAL VIEW");
    check(old.selection != new.selection, "WHERE");
    check(old.group_by != new.group_by, "GROUP BY");
    check(old.having != new.having, "HAVING");
    check(old.qualify != new.qualify, "QUALIFY");
    check(old.named_window != new.named_window, "WINDOW");
    check(old.top != new.top, "TOP");
}

fn short(text: &impl Display) -> String {
    let text = text.to_string();
    match text.char_indices().nth(LONGEST_QUOTE) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
