//! Names of output columns, and what a star stands for.

use std::collections::BTreeSet;

use sqlparser::ast::AccessExpr;
use sqlparser::ast::ExcludeSelectItem;
use sqlparser::ast::Expr;
use sqlparser::ast::Function;
use sqlparser::ast::Ident;
use sqlparser::ast::JoinConstraint;
use sqlparser::ast::JoinOperator;
use sqlparser::ast::ObjectName;
use sqlparser::ast::Query;
use sqlparser::ast::RenameSelectItem;
use sqlparser::ast::Select;
use sqlparser::ast::SelectFlavor;
use sqlparser::ast::SelectItem;
use sqlparser::ast::SelectItemQualifiedWildcardKind;
use sqlparser::ast::SetExpr;
use sqlparser::ast::SetQuantifier;
use sqlparser::ast::TableAlias;
use sqlparser::ast::TableFactor;
use sqlparser::ast::TableWithJoins;
use sqlparser::ast::WildcardAdditionalOptions;

use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::fold;

/// Where columns of tables come from.
pub type ColumnsOf<'a> = &'a dyn Fn(&TableName) -> Option<Vec<String>>;

/// Answers questions about names of columns.
#[derive(Clone, Copy)]
pub(super) struct Resolver<'a> {
    pub(super) dialect: Dialect,
    pub(super) columns_of: ColumnsOf<'a>,
}

/// The CTEs in scope with their columns, innermost last.
pub(super) type Ctes = Vec<(String, Option<Vec<String>>)>;

/// A column that a star gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StarColumn {
    /// The name that binds the relation in its SELECT.
    pub(super) relation: String,
    pub(super) name: String,
    /// USING or NATURAL made one column of two.
    pub(super) merged: bool,
}

/// What `REPLACE` and `RENAME` made of a star's column.
pub(super) struct Expanded<'q> {
    pub(super) column: StarColumn,
    pub(super) replacement: Option<&'q Expr>,
    pub(super) name: String,
}

impl Resolver<'_> {
    /// The output columns in order; `None` when one is unknown or a name occurs twice.
    pub(super) fn query(&self, query: &Query, ctes: &Ctes) -> Option<Vec<String>> {
        if !query.pipe_operators.is_empty() || query.for_clause.is_some() {
            return None;
        }
        let mut inner;
        let mut visible = ctes;
        if let Some(with) = &query.with {
            inner = ctes.clone();
            for cte in &with.cte_tables {
                let name = fold::fold_ident(self.dialect, &cte.alias.name);
                if with.recursive {
                    inner.push((name.clone(), None));
                }
                let columns = self.aliased(self.query(&cte.query, &inner), Some(&cte.alias));
                inner.push((name, columns));
            }
            visible = &inner;
        }
        let columns = self.body(&query.body, visible)?;
        let distinct: BTreeSet<&String> = columns.iter().collect();
        (distinct.len() == columns.len()).then_some(columns)
    }

    fn body(&self, body: &SetExpr, ctes: &Ctes) -> Option<Vec<String>> {
        match body {
            SetExpr::Select(select) => self.select(select, ctes),
            SetExpr::Query(query) => self.query(query, ctes),
            SetExpr::SetOperation {
                left,
                right,
                set_quantifier,
                ..
            } => {
                let mut columns = self.body(left, ctes)?;
                match set_quantifier {
                    SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None => {}
                    SetQuantifier::ByName
                    | SetQuantifier::AllByName
                    | SetQuantifier::DistinctByName => {
                        for column in self.body(right, ctes)? {
                            if !columns.contains(&column) {
                                columns.push(column);
                            }
                        }
                    }
                }
                Some(columns)
            }
            SetExpr::Values(values) => {
                let width = values.rows.first()?.len();
                match self.dialect {
                    Dialect::DuckDb => Some((0..width).map(|i| format!("col{i}")).collect()),
                    Dialect::Postgres => Some((1..=width).map(|i| format!("column{i}")).collect()),
                    _ => None,
                }
            }
            SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => None,
        }
    }

    fn select(&self, select: &Select, ctes: &Ctes) -> Option<Vec<String>> {
        if select.value_table_mode.is_some() || select.exclude.is_some() {
            return None;
        }
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            let star = self.star(select, ctes)?;
            return Some(star.into_iter().map(|column| column.name).collect());
        }
        let mut columns = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => columns.push(self.expression_name(expr)?),
                SelectItem::ExprWithAlias { expr, alias } => {
                    if self.makes_columns(expr) {
                        return None;
                    }
                    columns.push(fold::fold_ident(self.dialect, alias));
                }
                SelectItem::ExprWithAliases { aliases, .. } => {
                    columns.extend(aliases.iter().map(|a| fold::fold_ident(self.dialect, a)));
                }
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                    let expanded = self.expand(item, select, ctes)?;
                    columns.extend(expanded.into_iter().map(|column| column.name));
                }
            }
        }
        Some(columns)
    }

    /// What a star item stands for; `None` when unknown.
    pub(super) fn expand<'q>(
        &self,
        item: &'q SelectItem,
        select: &Select,
        ctes: &Ctes,
    ) -> Option<Vec<Expanded<'q>>> {
        let (columns, options) = match item {
            SelectItem::Wildcard(options) => (self.star(select, ctes)?, options),
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) => (self.star_of(name, select, ctes)?, options),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _)
            | SelectItem::UnnamedExpr(_)
            | SelectItem::ExprWithAlias { .. }
            | SelectItem::ExprWithAliases { .. } => return None,
        };
        if options.opt_ilike.is_some() || options.opt_alias.is_some() {
            return None;
        }
        let excluded = self.excluded(options);
        let mut expanded = Vec::new();
        for column in columns {
            if excluded.contains(&column.name) {
                continue;
            }
            let replacement = options
                .opt_replace
                .iter()
                .flat_map(|replace| &replace.items);
            let replacement = replacement
                .filter(|element| self.fold(&element.column_name) == column.name)
                .map(|element| &element.expr)
                .next();
            let renamed = match &options.opt_rename {
                None => &[][..],
                Some(RenameSelectItem::Single(rename)) => std::slice::from_ref(rename),
                Some(RenameSelectItem::Multiple(renames)) => renames,
            };
            let name = renamed
                .iter()
                .find(|rename| self.fold(&rename.ident) == column.name)
                .map_or_else(|| column.name.clone(), |rename| self.fold(&rename.alias));
            expanded.push(Expanded {
                column,
                replacement,
                name,
            });
        }
        Some(expanded)
    }

    fn excluded(&self, options: &WildcardAdditionalOptions) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let last = |name: &ObjectName| fold::fold_parts(self.dialect, name)?.pop();
        match &options.opt_exclude {
            None => {}
            Some(ExcludeSelectItem::Single(name)) => names.extend(last(name)),
            Some(ExcludeSelectItem::Multiple(all)) => names.extend(all.iter().filter_map(last)),
        }
        if let Some(except) = &options.opt_except {
            names.insert(self.fold(&except.first_element));
            names.extend(
                except
                    .additional_elements
                    .iter()
                    .map(|name| self.fold(name)),
            );
        }
        names
    }

    fn fold(&self, ident: &Ident) -> String {
        fold::fold_ident(self.dialect, ident)
    }

    /// The columns of an unqualified star.
    pub(super) fn star(&self, select: &Select, ctes: &Ctes) -> Option<Vec<StarColumn>> {
        if !select.lateral_views.is_empty() || select.from.is_empty() {
            return None;
        }
        let mut columns = Vec::new();
        for item in &select.from {
            columns.extend(self.joined(item, ctes)?);
        }
        Some(columns)
    }

    /// The columns of `name.*`; `None` also when the name binds two relations.
    fn star_of(&self, name: &ObjectName, select: &Select, ctes: &Ctes) -> Option<Vec<StarColumn>> {
        let wanted = fold::fold_parts(self.dialect, name)?;
        let mut found = None;
        for item in &select.from {
            let joined = item.joins.iter().map(|join| &join.relation);
            for factor in std::iter::once(&item.relation).chain(joined) {
                if self.binds(factor, &wanted)? {
                    if found.is_some() {
                        return None;
                    }
                    found = Some(factor);
                }
            }
        }
        self.factor(found?, ctes)
    }

    /// Whether `wanted` names this relation; `None` when that cannot be told.
    fn binds(&self, factor: &TableFactor, wanted: &[String]) -> Option<bool> {
        match factor {
            TableFactor::Table {
                name, alias: None, ..
            } => Some(fold::fold_parts(self.dialect, name)?.ends_with(wanted)),
            TableFactor::NestedJoin { alias: None, .. } => None,
            other => {
                let alias = alias_of(other).map(|alias| self.fold(&alias.name));
                Some(alias.is_some_and(|alias| wanted == [alias]))
            }
        }
    }

    fn joined(&self, item: &TableWithJoins, ctes: &Ctes) -> Option<Vec<StarColumn>> {
        let mut columns = self.factor(&item.relation, ctes)?;
        for join in &item.joins {
            let right = self.factor(&join.relation, ctes)?;
            let constraint = match &join.join_operator {
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::Left(constraint)
                | JoinOperator::LeftOuter(constraint)
                | JoinOperator::Right(constraint)
                | JoinOperator::RightOuter(constraint)
                | JoinOperator::FullOuter(constraint)
                | JoinOperator::CrossJoin(constraint)
                | JoinOperator::StraightJoin(constraint)
                | JoinOperator::AsOf { constraint, .. } => constraint,
                JoinOperator::Semi(_)
                | JoinOperator::LeftSemi(_)
                | JoinOperator::Anti(_)
                | JoinOperator::LeftAnti(_) => continue,
                JoinOperator::RightSemi(_)
                | JoinOperator::RightAnti(_)
                | JoinOperator::CrossApply
                | JoinOperator::OuterApply
                | JoinOperator::ArrayJoin
                | JoinOperator::LeftArrayJoin
                | JoinOperator::InnerArrayJoin => return None,
            };
            let shared: BTreeSet<String> = match constraint {
                JoinConstraint::On(_) | JoinConstraint::None => BTreeSet::new(),
                // Elsewhere the merged columns move to the front or differ in other ways.
                _ if self.dialect != Dialect::DuckDb => return None,
                JoinConstraint::Using(names) => names
                    .iter()
                    .map(|name| fold::fold_parts(self.dialect, name)?.pop())
                    .collect::<Option<_>>()?,
                JoinConstraint::Natural => right
                    .iter()
                    .filter(|column| columns.iter().any(|left| left.name == column.name))
                    .map(|column| column.name.clone())
                    .collect(),
            };
            for column in &mut columns {
                column.merged |= shared.contains(&column.name);
            }
            let kept = right
                .into_iter()
                .filter(|column| !shared.contains(&column.name));
            columns.extend(kept);
        }
        Some(columns)
    }

    pub(super) fn factor(&self, factor: &TableFactor, ctes: &Ctes) -> Option<Vec<StarColumn>> {
        let (names, relation) = match factor {
            TableFactor::Table {
                name,
                args: None,
                with_ordinality: false,
                json_path: None,
                ..
            } if !fold::is_file(name) => {
                let parts = fold::fold_parts(self.dialect, name)?;
                let relation = parts.last()?.clone();
                let cte = match &parts[..] {
                    [single] => ctes.iter().rev().find(|(cte, _)| cte == single),
                    _ => None,
                };
                let names = match cte {
                    Some((_, columns)) => columns.clone(),
                    None => self.table(&fold::table_from_parts(parts)?),
                };
                (names?, relation)
            }
            TableFactor::Derived { subquery, .. } => (self.query(subquery, ctes)?, String::new()),
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                let columns = self.joined(table_with_joins, ctes)?;
                if alias.is_none() {
                    return Some(columns);
                }
                let names = columns.into_iter().map(|column| column.name).collect();
                (names, String::new())
            }
            _ => return None,
        };
        let alias = alias_of(factor);
        let relation = alias.map_or(relation, |alias| self.fold(&alias.name));
        let names = self.aliased(Some(names), alias)?;
        Some(
            names
                .into_iter()
                .map(|name| StarColumn {
                    relation: relation.clone(),
                    name,
                    merged: false,
                })
                .collect(),
        )
    }

    /// The columns of a table as its project or warehouse knows them, folded.
    pub(super) fn table(&self, table: &TableName) -> Option<Vec<String>> {
        let columns = (self.columns_of)(table)?;
        Some(match self.dialect {
            // Names from outside may be spelled as the user wrote them in quotes.
            Dialect::Snowflake | Dialect::Postgres => columns,
            _ => columns
                .iter()
                .map(|column| fold::fold(self.dialect, column, false))
                .collect(),
        })
    }

    fn aliased(
        &self,
        columns: Option<Vec<String>>,
        alias: Option<&TableAlias>,
    ) -> Option<Vec<String>> {
        let aliases = alias.iter().flat_map(|alias| &alias.columns);
        let aliases: Vec<String> = aliases.map(|column| self.fold(&column.name)).collect();
        renamed(columns, &aliases)
    }

    /// The name that an expression without an alias gives its column. A cast keeps the name of
    /// what it casts; of anything computed the engine chooses the name.
    pub(super) fn expression_name(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Identifier(ident) => Some(self.fold(ident)),
            Expr::CompoundIdentifier(parts) => parts.last().map(|ident| self.fold(ident)),
            Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last()? {
                AccessExpr::Dot(Expr::Identifier(ident)) => Some(self.fold(ident)),
                AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
            },
            Expr::Nested(inner) => self.expression_name(inner),
            Expr::Cast { expr: inner, .. } => self.expression_name(inner),
            _ => None,
        }
    }

    /// Whether one item may become several columns (`COLUMNS(…)`, `unnest` of a struct).
    fn makes_columns(&self, expr: &Expr) -> bool {
        if self.dialect != Dialect::DuckDb {
            return false;
        }
        super::walk::any_expression(expr, |inner| match inner {
            Expr::Function(function) => {
                let name = function_name(function);
                name == "columns" || name == "unnest"
            }
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => true,
            _ => false,
        })
    }
}

/// `t(a, b)` renames the first columns of `t`; `None` when it has not that many.
pub(super) fn renamed(columns: Option<Vec<String>>, aliases: &[String]) -> Option<Vec<String>> {
    let mut columns = columns?;
    for (position, alias) in aliases.iter().enumerate() {
        columns.get_mut(position)?.clone_from(alias);
    }
    Some(columns)
}

/// The last part of a function's name in lower case.
pub(super) fn function_name(function: &Function) -> String {
    function
        .name
        .0
        .last()
        .map(|part| part.to_string().trim_matches('"').to_lowercase())
        .unwrap_or_default()
}

/// The alias of any kind of relation.
pub(super) fn alias_of(factor: &TableFactor) -> Option<&TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::JsonTable { alias, .. }
        | TableFactor::OpenJsonTable { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. }
        | TableFactor::MatchRecognize { alias, .. }
        | TableFactor::XmlTable { alias, .. }
        | TableFactor::SemanticView { alias, .. } => alias.as_ref(),
        TableFactor::UnpivotExpr { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::Dialect;
    use crate::sql::Query;
    use crate::sql::TableName;

    fn known(table: &TableName) -> Option<Vec<String>> {
        let columns: &[&str] = match table.plain().as_str() {
            "a" | "db.a" => &["X", "k"],
            "b" => &["k", "y"],
            _ => return None,
        };
        Some(columns.iter().map(ToString::to_string).collect())
    }

    /// The columns as our resolver and as DuckDB name them; both must agree where we know.
    fn columns(text: &str) -> Option<String> {
        let query = Query::parse(text, Dialect::DuckDb);
        assert_eq!(query.opaque_reason(), None, "{text}");
        let columns = query.output_columns(&known)?;
        let connection = duckdb::Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE a (X INT, k INT); CREATE TABLE b (k INT, y INT); \
                 CREATE SCHEMA db; CREATE TABLE db.a AS FROM main.a",
            )
            .unwrap();
        let mut statement = connection.prepare(text).unwrap();
        statement.execute([]).unwrap();
        let engine: Vec<String> = statement
            .column_names()
            .iter()
            .map(|name| name.to_lowercase())
            .collect();
        assert_eq!(columns, engine, "{text}");
        Some(columns.join(" "))
    }

    #[test]
    fn named_items_name_their_columns() {
        assert_eq!(
            columns("SELECT X AS p, a.k, (X) FROM a").as_deref(),
            Some("p k x")
        );
        assert_eq!(
            columns("SELECT count(*) AS n, k FROM a GROUP BY ALL").as_deref(),
            Some("n k")
        );
        assert_eq!(columns("VALUES (1, 2)").as_deref(), Some("col0 col1"));
        assert_eq!(
            columns("SELECT 1 AS x UNION ALL SELECT 2 AS y").as_deref(),
            Some("x")
        );
        assert_eq!(
            columns("SELECT 1 AS x UNION ALL BY NAME SELECT 2 AS y, 3 AS x").as_deref(),
            Some("x y")
        );
    }

    #[test]
    fn stars_are_expanded_through_every_kind_of_relation() {
        for (text, expected) in [
            ("SELECT * FROM a", "x k"),
            ("FROM a", "x k"),
            ("FROM db.a", "x k"),
            ("SELECT a.* FROM db.a, b", "x k"),
            ("SELECT b.*, X FROM a JOIN b ON a.k = b.k", "k y x"),
            ("SELECT * FROM a JOIN b USING (k)", "x k y"),
            ("SELECT * FROM a NATURAL FULL JOIN b", "x k y"),
            ("SELECT * FROM a SEMI JOIN b USING (k)", "x k"),
            ("SELECT * FROM a AS t(p)", "p k"),
            (
                "WITH c(p) AS (FROM a), d AS (SELECT *, 1 AS one FROM c) FROM d",
                "p k one",
            ),
            (
                "SELECT * FROM (SELECT k AS q FROM b) AS s, (FROM (FROM a))",
                "q x k",
            ),
            (
                "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 2) FROM r",
                "n",
            ),
            ("SELECT * EXCLUDE (k) FROM a", "x"),
            ("SELECT * REPLACE (1 AS k) FROM a", "x k"),
        ] {
            assert_eq!(columns(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_only_the_engine_knows_is_unknown() {
        for text in [
            "SELECT X + 1 FROM a",
            "SELECT * FROM unknown",
            "SELECT a.k, b.k FROM a, b",
            "SELECT * FROM a, b",
            "SELECT COLUMNS('k') AS c FROM a",
            "SELECT unnest({'p': 1, 'q': 2}) AS u",
            "SELECT * FROM range(3)",
        ] {
            let query = Query::parse(text, Dialect::DuckDb);
            assert_eq!(query.opaque_reason(), None, "{text}");
            assert_eq!(query.output_columns(&known), None, "{text}");
        }
    }

    #[test]
    fn a_cast_keeps_the_name_of_what_it_casts() {
        let query = Query::parse("SELECT CAST(X AS int), k::text FROM a", Dialect::DuckDb);
        assert_eq!(
            query.output_columns(&known),
            Some(vec!["x".to_owned(), "k".to_owned()])
        );
    }
}
