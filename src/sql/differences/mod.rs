//! Where two versions of a query differ, in words for a reviewer.
//!
//! What differs was found by meaning; this only looks for the place in the text that explains it.

mod from;

use std::collections::BTreeMap;
use std::fmt::Display;

use sqlparser::ast::Distinct;
use sqlparser::ast::Expr;
use sqlparser::ast::GroupByExpr;
use sqlparser::ast::Query as Tree;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;
use sqlparser::ast::SetExpr;
use sqlparser::ast::SetOperator;
use sqlparser::ast::SetQuantifier;

use crate::sql::Query;
use crate::sql::fold;
use crate::sql::names;

/// The longest piece of SQL in a sentence, in characters.
const LONGEST_QUOTE: usize = 60;

/// How the table that a query gives differs from the one that it gave before.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// Whether other rows come out.
    pub rows: bool,
    /// Columns that came.
    pub added: &'a [String],
    /// Columns that went.
    pub removed: &'a [String],
    /// Columns with another value.
    pub changed: &'a [String],
    /// Columns that went while another one with the same value came, old and new name.
    pub renamed: &'a [(String, String)],
    /// Whether the columns stand in another order.
    pub reordered: bool,
}

/// Sentences that say what was edited between `old` and `new`; empty when nothing can be named.
pub fn differences(old: &Query, new: &Query, edit: &Edit<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    let (before, after) = (items(old), items(new));
    for (was, is) in edit.renamed {
        reasons.push(format!("column `{was}` was renamed to `{is}`"));
    }
    let is_renamed = |name: &String| {
        edit.renamed
            .iter()
            .any(|(was, is)| was == name || is == name)
    };
    for name in edit.removed.iter().filter(|name| !is_renamed(name)) {
        reasons.push(format!("column `{name}` was removed"));
    }
    for name in edit.changed {
        match (before.get(name), after.get(name)) {
            (Some(then), Some(now))
                if then != now && [then, now].into_iter().all(|text| is_as_written(text)) =>
            {
                reasons.push(format!(
                    "column `{name}` changed: `{}` → `{}`",
                    short(then),
                    short(now)
                ));
            }
            _ => reasons.push(format!("column `{name}` changes")),
        }
    }
    for name in edit.added.iter().filter(|name| !is_renamed(name)) {
        reasons.push(format!("column `{name}` was added"));
    }
    if let (Ok(old), Ok(new)) = (old.tree(), new.tree()) {
        let before = reasons.len();
        clauses(old, new, edit, &mut reasons);
        if reasons.len() == before && edit.rows {
            // It may be hidden in a CTE or a subquery.
            inside(old, new, &mut reasons);
        }
    }
    if reasons.is_empty() && edit.reordered {
        reasons.push("the order of the columns changed".to_owned());
    }
    reasons
}

/// What gives each output column, as text, by name.
fn items(query: &Query) -> BTreeMap<String, String> {
    let dialect = query.dialect();
    let Some(select) = query.tree().ok().and_then(|tree| first_select(&tree.body)) else {
        return BTreeMap::new();
    };
    let mut items = BTreeMap::new();
    for item in &select.projection {
        let (name, expr) = match item {
            SelectItem::UnnamedExpr(expr) => (
                names::of_item(expr, &|ident| fold::fold_ident(dialect, ident)),
                expr,
            ),
            SelectItem::ExprWithAlias { expr, alias } => {
                (Some(fold::fold_ident(dialect, alias)), expr)
            }
            SelectItem::ExprWithAliases { .. }
            | SelectItem::QualifiedWildcard(..)
            | SelectItem::Wildcard(_) => continue,
        };
        if let Some(name) = name {
            items.insert(name, expr.to_string());
        }
    }
    items
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

fn clauses(old: &Tree, new: &Tree, edit: &Edit<'_>, reasons: &mut Vec<String>) {
    let limits = old.limit_clause != new.limit_clause || old.fetch != new.fetch;
    if limits && edit.rows {
        reasons.push("the LIMIT clause changed".to_owned());
    }
    if old.order_by != new.order_by {
        let is_cut = edit.rows && (new.limit_clause.is_some() || new.fetch.is_some());
        let effect = if is_cut {
            ", so the LIMIT may keep other rows"
        } else {
            ""
        };
        reasons.push(format!("the ORDER BY clause changed{effect}"));
    }
    match (&*old.body, &*new.body) {
        (SetExpr::Select(before), SetExpr::Select(after)) if edit.rows => {
            select_clauses(before, after, edit, reasons);
        }
        (
            SetExpr::SetOperation {
                op, set_quantifier, ..
            },
            SetExpr::SetOperation {
                op: new_op,
                set_quantifier: new_quantifier,
                ..
            },
        ) if edit.rows => {
            if (op, set_quantifier) != (new_op, new_quantifier) {
                reasons.push(
                    format!("{op} became {new_op} {new_quantifier}")
                        .trim()
                        .to_owned(),
                );
            } else if (*op, *set_quantifier) != (SetOperator::Union, SetQuantifier::All)
                && old.body.to_string() != new.body.to_string()
            {
                reasons.push(format!(
                    "its {op} compares whole rows, and their columns or values changed"
                ));
            }
        }
        _ => {}
    }
}

fn select_clauses(old: &Select, new: &Select, edit: &Edit<'_>, reasons: &mut Vec<String>) {
    let start = reasons.len();
    reasons.extend(from::changes(&old.from, &new.from));
    let mut check = |changed: bool, name: &str| {
        if changed {
            reasons.push(format!("the {name} clause changed"));
        }
    };
    check(old.distinct != new.distinct, "DISTINCT");
    check(old.lateral_views != new.lateral_views, "LATERAL VIEW");
    check(text(&old.selection) != text(&new.selection), "WHERE");
    check(
        old.group_by.to_string() != new.group_by.to_string(),
        "GROUP BY",
    );
    check(text(&old.having) != text(&new.having), "HAVING");
    check(text(&old.qualify) != text(&new.qualify), "QUALIFY");
    if reasons.len() > start {
        return;
    }
    let differs = !edit.added.is_empty() || !edit.changed.is_empty() || !edit.removed.is_empty();
    if !differs {
        return;
    }
    if matches!(new.distinct, Some(Distinct::Distinct)) {
        reasons.push("SELECT DISTINCT compares whole rows, so its rows may change".to_owned());
    } else if matches!(new.group_by, GroupByExpr::All(_)) {
        reasons
            .push("GROUP BY ALL groups by every plain column, so its groups may change".to_owned());
    } else if matches!(&new.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
        && has_other_calls(old, new)
    {
        reasons.push(
            "a call in the new columns may fold the rows into one or make several of one"
                .to_owned(),
        );
    }
}

/// Whether a call stands in the items of one of them and not of the other.
fn has_other_calls(old: &Select, new: &Select) -> bool {
    let calls = |select: &Select| -> Vec<String> {
        let items = select.projection.iter().map(ToString::to_string);
        items.filter(|item| item.contains('(')).collect()
    };
    calls(old) != calls(new)
}

fn inside(old: &Tree, new: &Tree, reasons: &mut Vec<String>) {
    let ctes = |query: &Tree| -> BTreeMap<String, String> {
        let with = query.with.iter();
        with.flat_map(|with| &with.cte_tables)
            .map(|cte| (cte.alias.name.value.clone(), cte.to_string()))
            .collect()
    };
    let (before, after) = (ctes(old), ctes(new));
    for (name, text) in &before {
        match after.get(name) {
            None => reasons.push(format!("the CTE `{name}` was removed")),
            Some(now) if now != text => reasons.push(format!("the CTE `{name}` changed")),
            Some(_) => {}
        }
    }
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        reasons.push(format!("the CTE `{name}` was added"));
    }
}

fn text(expr: &Option<Expr>) -> String {
    expr.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// Whether printed SQL is what somebody wrote: where the tree has no node for a construct, it holds a mark of ours.
fn is_as_written(text: &str) -> bool {
    !text.contains("{fn ")
}

fn short(text: &impl Display) -> String {
    let text = text.to_string();
    match text.char_indices().nth(LONGEST_QUOTE) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;

    fn said(old: &str, new: &str) -> Vec<String> {
        let changed = ["x".to_owned()];
        let edit = Edit {
            rows: true,
            added: &[],
            removed: &[],
            changed: &changed,
            renamed: &[],
            reordered: false,
        };
        let [old, new] = [old, new].map(|text| Query::parse(text, Dialect::DuckDb));
        differences(&old, &new, &edit)
    }

    #[test]
    fn another_order_under_a_limit_is_what_changes_rows_and_no_call() {
        let (old, new) = (
            "SELECT x FROM t ORDER BY x LIMIT 1",
            "SELECT x FROM t ORDER BY y LIMIT 1",
        );
        let order = "the ORDER BY clause changed, so the LIMIT may keep other rows";
        assert_eq!(said(old, new), ["column `x` changes", order]);
    }

    #[test]
    fn a_call_is_blamed_only_where_one_came_or_went() {
        let call = "a call in the new columns may fold the rows into one or make several of one";
        let named = "column `x` changed: `x` → `max(x)`";
        assert_eq!(
            said("SELECT x FROM t", "SELECT max(x) AS x FROM t"),
            [named, call]
        );
        let counting = |to| {
            format!(
                "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {to}) SELECT x FROM n"
            )
        };
        let cte = "the CTE `n` changed";
        assert_eq!(
            said(&counting(3), &counting(4)),
            ["column `x` changes", cte]
        );
    }

    #[test]
    fn marks_of_the_grammar_are_not_quoted() {
        let (old, new) = (
            "SELECT [i + 1 FOR i IN l] AS x FROM t",
            "SELECT [i + 2 FOR i IN l] AS x FROM t",
        );
        let said = said(old, new);
        assert_eq!(said.first().map(String::as_str), Some("column `x` changes"));
        assert!(said.iter().all(|reason| is_as_written(reason)), "{said:?}");
    }
}
