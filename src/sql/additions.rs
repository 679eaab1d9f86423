//! The proof that a new version of a query only adds columns.
//!
//! The argument. Take the added items out of the new tree. If what remains is the old tree, then
//! nothing that was there before was edited; what is left to show is that the items do not act on
//! anything but their own column:
//!
//! 1. *They do not decide which rows come out.* So the SELECT around them has no DISTINCT, no
//!    GROUP BY ALL and no ORDER BY ALL; it is no branch of a set operation other than UNION ALL;
//!    numbers in GROUP BY and ORDER BY count the same items as before; an item holds no function
//!    that may return several rows, and no aggregate unless the SELECT aggregates already. An
//!    aggregate inside of a subquery over columns of the outer SELECT belongs to the outer SELECT
//!    (DuckDB and Postgres do so), so there it must name a column of the subquery's own FROM.
//! 2. *Their names catch nothing.* An alias may win over a column in ORDER BY, GROUP BY, HAVING,
//!    QUALIFY, WHERE or another item. So a new name may not be mentioned anywhere, unless the item
//!    is that column itself. The name of a column inside of a CTE may be seen wherever the CTE is
//!    read, so outside of its own query it may not occur at all, and nothing may read the CTE as
//!    a whole (stars, NATURAL JOIN, PIVOT, rows as values, lists of column aliases).
//! 3. *The rest gives the same answer when it is run again.* Children keep tables that were built
//!    from the old version, so a query that draws by chance, asks the clock, or cuts rows off
//!    without an order is never additive. With ORDER BY the rows behind a LIMIT are a function of
//!    the data up to ties, which an item in the list of columns does not touch.

use std::collections::BTreeSet;

use sqlparser::ast::Distinct;
use sqlparser::ast::Expr;
use sqlparser::ast::GroupByExpr;
use sqlparser::ast::Ident;
use sqlparser::ast::OrderBy;
use sqlparser::ast::OrderByKind;
use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;
use sqlparser::ast::SetExpr;
use sqlparser::ast::SetOperator;
use sqlparser::ast::SetQuantifier;
use sqlparser::ast::Value;
use sqlparser::ast::Visit;

use crate::sql::columns;
use crate::sql::columns::Ctes;
use crate::sql::columns::Resolver;
use crate::sql::hazards;
use crate::sql::items;
use crate::sql::volatile;
use crate::sql::walk;

/// That the new version only adds columns.
pub(super) struct Proof {
    /// The new output columns.
    pub(super) added: Vec<String>,
    /// The CTEs that have more columns.
    pub(super) inside: Vec<String>,
}

/// Why there is no proof.
pub(super) enum Refusal {
    /// Columns were added, but in a place where they may do more.
    Because(String),
    /// Something else changed.
    MoreChanged,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Because(reason)
    }
}

/// An item that only the new version has.
struct Added {
    /// Its place among the new items.
    position: usize,
    name: String,
    item: SelectItem,
}

/// Proves that `new` gives the rows of `old` with more columns. Both trees are canonical, and
/// `resolver` knows the parents' columns of now.
pub(super) fn prove(old: &Query, new: &Query, resolver: Resolver<'_>) -> Result<Proof, Refusal> {
    let mut rest = new.clone();
    let mut stripper = Stripper {
        resolver,
        ctes: Vec::new(),
        refusal: None,
        orders: Vec::new(),
    };
    let mut in_ctes = Vec::new();
    if let (Some(before), Some(after)) = (&old.with, &mut rest.with) {
        for (before, after) in before.cte_tables.iter().zip(&mut after.cte_tables) {
            let name = before.alias.name.value.clone();
            let columns = resolver.query(&after.query, &stripper.ctes);
            if before.alias == after.alias {
                let added = stripper.query(&before.query, &mut after.query);
                if !added.is_empty() {
                    in_ctes.push((name.clone(), before, added));
                }
            }
            let aliases: Vec<String> = before
                .alias
                .columns
                .iter()
                .map(|column| column.name.value.clone())
                .collect();
            stripper
                .ctes
                .push((name, columns::renamed(columns, &aliases)));
        }
    }
    let on_top = stripper.query(old, &mut rest);
    if rest != *old {
        return Err(Refusal::MoreChanged);
    }
    if let Some(reason) = stripper.refusal {
        return Err(Refusal::Because(reason));
    }
    if on_top.is_empty() && in_ctes.is_empty() {
        return Err(Refusal::MoreChanged);
    }
    if volatile::is_volatile(old) {
        return Err(Refusal::Because(
            "a column was added to a query that may answer differently each time".to_owned(),
        ));
    }
    if hazards::cuts_without_order(old) {
        return Err(Refusal::Because(
            "a column was added to a query with a LIMIT but no ORDER BY: which rows it keeps is \
             up to the engine"
                .to_owned(),
        ));
    }
    if old.for_clause.is_some() || !old.pipe_operators.is_empty() {
        return Err(Refusal::Because(
            "a column was added below a clause that reads all columns".to_owned(),
        ));
    }

    // Names of the output catch only what stands in the outermost query itself.
    let mut outermost = old.clone();
    outermost.with = None;
    for added in &on_top {
        no_capture(added, &outermost)?;
    }
    if !in_ctes.is_empty() {
        hazards::reads_whole_rows(old, resolver.dialect).map_or(Ok(()), Err)?;
        for (name, cte, added) in &in_ctes {
            for added in added {
                no_capture(added, &cte.query)?;
                let mut outside = old.clone();
                for other in outside
                    .with
                    .iter_mut()
                    .flat_map(|with| &mut with.cte_tables)
                {
                    if other.alias.name.value == *name {
                        *other.query.body = SetExpr::Values(empty_values());
                    }
                }
                if hazards::mentions(&outside, &added.name) {
                    return Err(Refusal::Because(format!(
                        "column `{}` was added to `{name}`, and the name is used elsewhere",
                        added.name
                    )));
                }
            }
        }
    }
    let added = on_top.into_iter().map(|added| added.name).collect();
    let inside = in_ctes.into_iter().map(|(name, _, _)| name).collect();
    Ok(Proof { added, inside })
}

fn empty_values() -> sqlparser::ast::Values {
    sqlparser::ast::Values {
        explicit_row: false,
        value_keyword: false,
        rows: Vec::new(),
    }
}

/// Takes added items out of a tree.
struct Stripper<'a> {
    resolver: Resolver<'a>,
    /// The CTEs of the new version that are complete.
    ctes: Ctes,
    /// The first reason why an item that was taken out may do more than add a column.
    refusal: Option<String>,
    /// The ORDER BY of each query around the SELECT.
    orders: Vec<Option<OrderBy>>,
}

impl Stripper<'_> {
    fn refuse(&mut self, reason: String) {
        self.refusal.get_or_insert(reason);
    }

    fn query(&mut self, old: &Query, new: &mut Query) -> Vec<Added> {
        self.orders.push(old.order_by.clone());
        let added = self.body(&old.body, &mut new.body);
        self.orders.pop();
        added
    }

    fn body(&mut self, old: &SetExpr, new: &mut SetExpr) -> Vec<Added> {
        match (old, new) {
            (SetExpr::Select(old), SetExpr::Select(new)) => self.select(old, new),
            (SetExpr::Query(old), SetExpr::Query(new)) => self.query(old, new),
            (
                SetExpr::SetOperation {
                    op,
                    set_quantifier,
                    left: old_left,
                    right: old_right,
                },
                SetExpr::SetOperation {
                    left: new_left,
                    right: new_right,
                    ..
                },
            ) => {
                let left = self.body(old_left, new_left);
                let right = self.body(old_right, new_right);
                if left.is_empty() && right.is_empty() {
                    return left;
                }
                if (op, set_quantifier) != (&SetOperator::Union, &SetQuantifier::All) {
                    self.refuse(format!(
                        "a column was added to the queries of a {op}, which compares or matches \
                         whole rows"
                    ));
                }
                let places = |added: &[Added]| added.iter().map(|a| a.position).collect::<Vec<_>>();
                if places(&left) != places(&right) {
                    self.refuse(
                        "a column was added to the queries of a UNION at different places"
                            .to_owned(),
                    );
                }
                left
            }
            _ => Vec::new(),
        }
    }

    fn select(&mut self, old: &Select, new: &mut Select) -> Vec<Added> {
        let mut kept = Vec::new();
        let mut extra = Vec::new();
        for (position, item) in std::mem::take(&mut new.projection).into_iter().enumerate() {
            if old.projection.get(kept.len()) == Some(&item) {
                kept.push(item);
            } else {
                extra.push((position, item));
            }
        }
        let total = kept.len() + extra.len();
        new.projection = kept;
        if extra.is_empty() {
            return Vec::new();
        }
        let behind = extra[0].0 == total - extra.len();
        if let Some(reason) = self.not_at_home(old, behind) {
            self.refuse(reason);
        }
        let mut names: BTreeSet<String> = old
            .projection
            .iter()
            .filter_map(|item| self.name(item))
            .map(|name| name.to_ascii_lowercase())
            .collect();
        let mut added = Vec::new();
        for (position, item) in extra {
            let Some(name) = self.name(&item) else {
                self.refuse(format!("an added column has no certain name: `{item}`"));
                continue;
            };
            if !names.insert(name.to_ascii_lowercase()) {
                self.refuse(format!("there are two columns `{name}` now"));
            }
            let checked = items::check(&item, old, self.resolver, &self.ctes);
            if let Err(reason) = checked {
                self.refuse(format!("column `{name}` was added, but {reason}"));
            }
            added.push(Added {
                position,
                name,
                item,
            });
        }
        added
    }

    fn name(&self, item: &SelectItem) -> Option<String> {
        match item {
            SelectItem::UnnamedExpr(expr) => self.resolver.expression_name(expr),
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            SelectItem::ExprWithAliases { .. }
            | SelectItem::Wildcard(_)
            | SelectItem::QualifiedWildcard(..) => None,
        }
    }

    /// Why a SELECT does not take another item without harm. `behind`: all come after the old ones.
    fn not_at_home(&self, select: &Select, behind: bool) -> Option<String> {
        let orders = || self.orders.iter().flatten();
        let because = |reason: &str| Some(format!("a column was added to {reason}"));
        if !matches!(select.distinct, None | Some(Distinct::All)) {
            return because("a SELECT DISTINCT, so its rows may change");
        }
        if matches!(select.group_by, GroupByExpr::All(_)) {
            return because("a SELECT with GROUP BY ALL, so its groups may change");
        }
        if orders().any(|order| matches!(order.kind, OrderByKind::All(_))) {
            return because("a query with ORDER BY ALL");
        }
        if select.value_table_mode.is_some()
            || select.exclude.is_some()
            || !select.connect_by.is_empty()
        {
            return because("a SELECT of a kind that is not understood");
        }
        if select.projection.iter().any(|item| {
            matches!(
                item,
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
            )
        }) {
            return because("a SELECT with a `*` whose columns are unknown");
        }
        let counts = has_number(&select.group_by) || orders().any(has_number);
        if !behind && counts {
            return because(
                "the front of a SELECT whose columns are counted in GROUP BY or ORDER BY",
            );
        }
        None
    }
}

/// Whether a number stands in it, which may count columns.
fn has_number<V: Visit>(tree: &V) -> bool {
    walk::any_expression(
        tree,
        |expr| matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..))),
    )
}

/// That the name of an added column of `query` (the old version) is looked up nowhere in it, or
/// means the same column with and without the item.
fn no_capture(added: &Added, query: &Query) -> Result<(), Refusal> {
    if !hazards::looks_up(query, &added.name) {
        return Ok(());
    }
    // `z` itself: whoever looks `z` up gets this column either way. `t.z`: the same, since a bare
    // `z` would be ambiguous if another relation had one too; unless USING merged two.
    let itself = match &added.item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => is_named(name, added),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.len() == 2
                && is_named(&parts[1], added)
                && !hazards::merges_columns(query)
                && matches!(*query.body, SetExpr::Select(_))
        }
        _ => false,
    };
    if itself {
        return Ok(());
    }
    Err(Refusal::Because(format!(
        "column `{}` was added, and its name is used elsewhere in the query",
        added.name
    )))
}

fn is_named(ident: &Ident, added: &Added) -> bool {
    ident.value.eq_ignore_ascii_case(&added.name)
}

#[cfg(test)]
mod tests {
    use crate::sql::ColumnsOf;
    use crate::sql::Dialect;
    use crate::sql::Query;
    use crate::sql::QueryChange;
    use crate::sql::TableName;
    use crate::sql::compare;

    fn nothing(_: &TableName) -> Option<Vec<String>> {
        None
    }

    /// Every item added to every query, in front and behind: whatever is called additive is run
    /// both ways in DuckDB, over data with NULLs, ties and duplicates.
    #[test]
    fn additive_queries_give_the_same_rows() {
        let queries = [
            "SELECT {}a{} FROM t",
            "SELECT {}t.a{} FROM t JOIN u ON t.a = u.a",
            "SELECT {}t.a AS p{} FROM t LEFT JOIN u USING (a) ORDER BY b, p LIMIT 3",
            "SELECT DISTINCT {}a{} FROM t",
            "SELECT {}a, count(*) AS n{} FROM t GROUP BY a",
            "SELECT {}a, count(*) AS n{} FROM t GROUP BY 1",
            "SELECT {}a, count(*) AS n{} FROM t GROUP BY ALL",
            "SELECT {}count(*) AS n{} FROM t",
            "SELECT {}1 AS one{} FROM t HAVING count(*) > 1",
            "SELECT {}a AS k{} FROM t ORDER BY 1, b LIMIT 3",
            "SELECT {}a AS k{} FROM t ORDER BY c, b, a LIMIT 3",
            "SELECT {}a AS k{} FROM t ORDER BY ALL LIMIT 2",
            "SELECT {}a AS k{} FROM t WHERE c > 1",
            "SELECT {}a AS k, sum(b) AS s{} FROM t GROUP BY k HAVING max(c) > 1",
            "SELECT {}a AS k{} FROM t QUALIFY row_number() OVER (PARTITION BY a ORDER BY c, b) = 1",
            "SELECT {}a AS k{} FROM t UNION ALL SELECT {}a{} FROM t",
            "SELECT {}a AS k{} FROM t UNION SELECT {}a{} FROM t",
            "SELECT {}a AS k{} FROM t EXCEPT ALL SELECT {}a{} FROM t WHERE a = 1",
            "WITH x AS (SELECT {}a AS k{} FROM t) SELECT k FROM x",
            "WITH x AS (SELECT {}a AS k{} FROM t) SELECT * FROM x",
            "WITH x AS (SELECT {}a AS k{} FROM t) SELECT k FROM x, u WHERE u.c = k",
            "WITH x AS (SELECT {}a AS k{} FROM t) SELECT k, c FROM x, u",
            "WITH x AS (SELECT {}a{} FROM t) SELECT a FROM x NATURAL JOIN u",
            "WITH x AS (SELECT {}a AS k{} FROM t) SELECT k FROM x JOIN u ON x.k = u.a ORDER BY c, k LIMIT 2",
            "WITH x AS (SELECT {}a AS k{} FROM t) SELECT k FROM x WHERE (SELECT min(c) FROM u WHERE u.a = k) > 1",
            "WITH x AS (SELECT DISTINCT {}a AS k{} FROM t) SELECT k FROM x",
            "SELECT {}a AS k{} FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a AND c = 2)",
        ];
        let items = [
            "c",
            "b AS c",
            "t.c",
            "2 AS n2",
            "-c AS c",
            "c AS a",
            "t.b AS q",
            "max(c) AS m",
            "unnest([1, 2]) AS q",
            "(SELECT max(c)) AS q",
            "(SELECT max(c) FROM u) AS q",
            "(SELECT max(u.c) FROM u) AS q",
            "(SELECT count(*) FROM u) AS q",
            "sum(c) OVER () AS q",
            "row_number() OVER () AS q",
            "random() AS q",
            "coalesce(c, 0) AS c",
            "generate_series(1, 2) AS q",
            "min(max(c)) OVER () AS q",
        ];
        let connection = duckdb::Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t AS SELECT * FROM (VALUES (1, 5, 3), (1, 5, 1), (2, NULL, 2), \
                   (2, 7, NULL), (NULL, 1, 2), (1, 5, 3)) AS v(a, b, c); \
                 CREATE TABLE u AS SELECT * FROM (VALUES (1, 2), (1, 4), (3, 2), (NULL, NULL)) AS v(a, c)",
            )
            .unwrap();
        let known = |table: &TableName| match table.name.as_str() {
            "t" => Some(["a", "b", "c"].map(str::to_owned).to_vec()),
            "u" => Some(["a", "c"].map(str::to_owned).to_vec()),
            _ => None,
        };
        let rows = |text: &str, columns: &str| -> Option<Vec<String>> {
            let text = format!(
                "SELECT r::text FROM (SELECT {columns} FROM ({text})) AS r ORDER BY r::text"
            );
            let mut statement = connection.prepare(&text).ok()?;
            let rows = statement.query_map([], |row| row.get(0)).ok()?;
            rows.collect::<Result<_, _>>().ok()
        };
        let mut additive = 0;
        for query in queries {
            let before = query.replace("{}", "");
            let old = Query::parse(&before, Dialect::DuckDb);
            let columns = old.output_columns(&known).unwrap().join(", ");
            let expected = rows(&before, &columns).unwrap_or_else(|| panic!("{before}"));
            for item in items {
                for front in [true, false] {
                    let halves: Vec<&str> = query.split("{}").collect();
                    let mut after = String::new();
                    for (index, half) in halves.iter().enumerate() {
                        after.push_str(half);
                        if index + 1 < halves.len() && (index % 2 == 0) == front {
                            after.push_str(&if front {
                                format!("{item}, ")
                            } else {
                                format!(", {item}")
                            });
                        }
                    }
                    let new = Query::parse(&after, Dialect::DuckDb);
                    for columns_of in [&known as ColumnsOf<'_>, &nothing] {
                        if let QueryChange::Additive { .. } =
                            compare(&old, columns_of, &new, columns_of)
                        {
                            // A query that fails builds nothing.
                            if let Some(found) = rows(&after, &columns) {
                                assert_eq!(found, expected, "{after}");
                                additive += 1;
                            }
                        }
                    }
                }
            }
        }
        assert!(additive > 200, "only {additive} cases were called additive");
    }
}
