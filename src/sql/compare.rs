//! What changed between two versions of a query.

use sqlparser::ast;

use crate::sql::Query;
use crate::sql::additions;
use crate::sql::columns::ColumnsOf;
use crate::sql::differences;

/// The judgement about two versions of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryChange {
    /// The two have the same canonical form.
    Same,
    /// On the same data the new version gives the same rows, with the same values in every column
    /// of the old one, and perhaps more columns.
    Additive {
        /// The new output columns; empty when only a part inside of the query has more.
        added: Vec<String>,
        /// One sentence for a reviewer.
        reason: String,
    },
    /// Rows or values may differ. Whatever is not proven to be additive is this.
    Different {
        /// Sentences for a reviewer, at least one.
        reasons: Vec<String>,
        /// The output columns concerned, as far as they can be named.
        columns: ChangedColumns,
    },
}

/// Output columns that differ between two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedColumns {
    /// Only in the new version.
    pub added: Vec<String>,
    /// Only in the old version.
    pub removed: Vec<String>,
    /// In both, written differently. A change outside of the list of columns (FROM, WHERE, …) may
    /// change the values of all others too.
    pub changed: Vec<String>,
}

/// Compares two versions of a query over their parents' columns then and now.
///
/// The parents' *data* are taken as unchanged: what parents do to this query is asked elsewhere.
pub fn compare(
    old: &Query,
    old_columns_of: ColumnsOf<'_>,
    new: &Query,
    new_columns_of: ColumnsOf<'_>,
) -> QueryChange {
    let trees = (
        old.canonical_tree(old_columns_of),
        new.canonical_tree(new_columns_of),
    );
    let (old_tree, new_tree) = match trees {
        (Ok(old_tree), Ok(new_tree)) => (old_tree, new_tree),
        (Err(_), Err(_))
            if old.dialect() == new.dialect()
                && old.canonical(old_columns_of) == new.canonical(new_columns_of) =>
        {
            return QueryChange::Same;
        }
        (_, Err(reason)) | (Err(reason), _) => {
            return QueryChange::Different {
                reasons: vec![format!(
                    "cannot be compared: the query is opaque ({reason})"
                )],
                columns: ChangedColumns::default(),
            };
        }
    };
    if old.dialect() != new.dialect() {
        return QueryChange::Different {
            reasons: vec!["the dialect changed".to_owned()],
            columns: ChangedColumns::default(),
        };
    }
    let old_resolver = old.resolver(old_columns_of);
    let new_resolver = new.resolver(new_columns_of);
    if old_tree == new_tree {
        // A star that could not be written out may still stand for other columns than before.
        let before = old_resolver.query(&old_tree, &Vec::new());
        let after = new_resolver.query(&new_tree, &Vec::new());
        return match (before, after) {
            (Some(before), Some(after)) if before != after => QueryChange::Different {
                reasons: vec!["the columns behind a `*` changed".to_owned()],
                columns: differences::names(&before, &after),
            },
            _ => QueryChange::Same,
        };
    }
    let columns = differences::columns(&old_tree, old_resolver, &new_tree, new_resolver);
    match additions::prove(&old_tree, &new_tree, new_resolver) {
        Ok(proof) => QueryChange::Additive {
            reason: sentence(&proof),
            added: proof.added,
        },
        Err(additions::Refusal::Because(reason)) => QueryChange::Different {
            reasons: vec![reason],
            columns,
        },
        Err(additions::Refusal::MoreChanged) => QueryChange::Different {
            reasons: reasons(&old_tree, &new_tree, &columns, new),
            columns,
        },
    }
}

fn sentence(proof: &additions::Proof) -> String {
    match &proof.added[..] {
        [] => {
            let places = proof.inside.iter().map(|name| format!("`{name}`"));
            let places: Vec<String> = places.collect();
            format!("only {} has more columns", places.join(", "))
        }
        [one] => format!("column `{one}` was added"),
        more => {
            let names: Vec<String> = more.iter().map(|name| format!("`{name}`")).collect();
            format!("columns {} were added", names.join(", "))
        }
    }
}

fn reasons(
    old: &ast::Query,
    new: &ast::Query,
    columns: &ChangedColumns,
    query: &Query,
) -> Vec<String> {
    let reasons = differences::reasons(old, new, columns, query.resolver(&|_| None));
    if reasons.is_empty() {
        vec!["the query changed".to_owned()]
    } else {
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;
    use crate::sql::TableName;

    fn nothing(_: &TableName) -> Option<Vec<String>> {
        None
    }

    fn changed(old: &str, new: &str) -> QueryChange {
        let parse = |text: &str| {
            let query = Query::parse(text, Dialect::DuckDb);
            assert_eq!(query.opaque_reason(), None, "{text}");
            query
        };
        compare(&parse(old), &nothing, &parse(new), &nothing)
    }

    fn additive(old: &str, new: &str) -> Vec<String> {
        match changed(old, new) {
            QueryChange::Additive { added, .. } => added,
            other => panic!("{old} → {new}: {other:?}"),
        }
    }

    #[track_caller]
    fn different(old: &str, new: &str) -> Vec<String> {
        match changed(old, new) {
            QueryChange::Different { reasons, .. } => reasons,
            other => panic!("{old} → {new}: {other:?}"),
        }
    }

    // The golden table.

    #[test]
    fn a_column_may_be_appended_prepended_or_inserted() {
        assert_eq!(
            additive("SELECT a, b FROM t", "SELECT a, b, c FROM t"),
            ["c"]
        );
        assert_eq!(
            additive("SELECT a, b FROM t", "SELECT c, a, b FROM t"),
            ["c"]
        );
        assert_eq!(
            additive("SELECT a, b FROM t", "SELECT a, a + b AS s, b, c FROM t"),
            ["s", "c"]
        );
    }

    #[test]
    fn an_edited_column_is_different() {
        assert_eq!(
            different("SELECT a, b FROM t", "SELECT b, a FROM t"),
            ["the order of the columns changed"]
        );
        assert_eq!(
            different("SELECT a, b FROM t", "SELECT a FROM t"),
            ["column `b` was removed"]
        );
        assert_eq!(
            different("SELECT a, b FROM t", "SELECT a, b AS c FROM t"),
            ["column `b` was renamed to `c`", "column `c` was added"]
        );
        assert_eq!(
            different("SELECT a, b FROM t", "SELECT a, CAST(b AS INT) AS b FROM t"),
            ["column `b` changed: `b` → `CAST(b AS INT)`"]
        );
    }

    #[test]
    fn an_edited_clause_is_different() {
        for (new, reason) in [
            ("SELECT a, b FROM t WHERE a > 1", "the WHERE clause changed"),
            ("SELECT DISTINCT a, b FROM t", "the DISTINCT clause changed"),
            ("SELECT a, b FROM t LIMIT 1", "the LIMIT clause changed"),
            (
                "SELECT a, b FROM t ORDER BY a",
                "the ORDER BY clause changed",
            ),
            (
                "SELECT a, b FROM t JOIN u ON p = q",
                "the FROM clause changed",
            ),
            (
                "SELECT a, b FROM t GROUP BY a, b",
                "the GROUP BY clause changed",
            ),
            (
                "WITH c AS (SELECT 1) SELECT a, b FROM t",
                "the CTE `c` was added",
            ),
        ] {
            assert_eq!(different("SELECT a, b FROM t", new), [reason]);
        }
    }

    #[test]
    fn windows_scalar_subqueries_and_chance_may_be_added() {
        for item in [
            "row_number() OVER (PARTITION BY a ORDER BY b) AS n",
            "sum(b) OVER () AS n",
            "(SELECT max(u.x) FROM u) AS n",
            "(SELECT max(x) FROM unnest([1, 2]) AS l(x)) AS n",
            "(SELECT count(*) FROM u WHERE u.x = a) AS n",
            "EXISTS (SELECT 1 FROM u) AS n",
            "random() AS n",
            "CASE WHEN a > 1 THEN upper(b) ELSE 'x' END AS n",
            "NULL::INT AS n",
            "generate_series(1, 2) AS n",
        ] {
            let new = format!("SELECT a, b, {item} FROM t");
            assert_eq!(additive("SELECT a, b FROM t", &new), ["n"]);
        }
    }

    #[test]
    fn a_function_that_may_return_several_rows_is_different() {
        for item in [
            "unnest(b) AS n",
            "explode(b) AS n",
            "generate_subscripts(b, 1) AS n",
            "jsonb_array_elements(b) AS n",
            "regexp_split_to_table(b, ',') AS n",
            "my_function(b) AS n",
            "coalesce(unnest(b), 1) AS n",
        ] {
            let new = format!("SELECT a, b, {item} FROM t");
            assert!(different("SELECT a, b FROM t", &new)[0].contains("is not known to give"));
        }
    }

    #[test]
    fn a_series_is_a_list_in_duckdb_alone() {
        let parse = |text: &str| Query::parse(text, Dialect::Postgres);
        let old = parse("SELECT a FROM t");
        let new = parse("SELECT a, generate_series(1, 2) AS n FROM t");
        assert!(matches!(
            compare(&old, &nothing, &new, &nothing),
            QueryChange::Different { .. }
        ));
    }

    #[test]
    fn an_aggregate_may_join_others() {
        assert_eq!(
            additive(
                "SELECT a, sum(b) AS s FROM t GROUP BY a",
                "SELECT a, sum(b) AS s, count(*) AS n, max(b) FILTER (WHERE b > 1) AS m FROM t GROUP BY a"
            ),
            ["n", "m"]
        );
        assert_eq!(
            additive(
                "SELECT max(a) AS m FROM t",
                "SELECT max(a) AS m, min(a) AS n FROM t"
            ),
            ["n"]
        );
        assert_eq!(
            different(
                "SELECT a, sum(b) AS s FROM t GROUP BY a",
                "SELECT a, c, sum(b) AS s FROM t GROUP BY a, c"
            ),
            ["column `c` was added", "the GROUP BY clause changed"]
        );
    }

    #[test]
    fn a_column_may_be_added_inside_of_a_cte() {
        let old = "WITH c AS (SELECT a, b FROM t) SELECT a FROM c";
        assert!(additive(old, "WITH c AS (SELECT a, b, z FROM t) SELECT a FROM c").is_empty());
        assert_eq!(
            additive(old, "WITH c AS (SELECT a, b, z FROM t) SELECT a, z FROM c"),
            ["z"]
        );
        assert_eq!(
            additive(
                "WITH c AS (SELECT a FROM t), d AS (SELECT a FROM c) SELECT a FROM d",
                "WITH c AS (SELECT a, z FROM t), d AS (SELECT a, z FROM c) SELECT a, z + 1 AS y FROM d"
            ),
            ["y"]
        );
    }

    #[test]
    fn all_branches_of_a_union_all_may_gain_the_same_column() {
        let old = "SELECT a FROM t UNION ALL SELECT a FROM u";
        assert_eq!(
            additive(old, "SELECT a, b FROM t UNION ALL SELECT a, 0 AS b FROM u"),
            ["b"]
        );
        different(old, "SELECT a, b FROM t UNION ALL SELECT a FROM u");
        different(old, "SELECT a, b FROM t UNION ALL SELECT c, a FROM u");
    }

    #[test]
    fn counted_columns_keep_their_places() {
        let old = "SELECT a, count(*) AS n FROM t GROUP BY 1";
        different(
            old,
            "SELECT max(b) AS m, a, count(*) AS n FROM t GROUP BY 1",
        );
        assert_eq!(
            additive(
                old,
                "SELECT a, count(*) AS n, max(b) AS m FROM t GROUP BY 1"
            ),
            ["m"]
        );
        let old = "SELECT a FROM t ORDER BY 1 LIMIT 1";
        assert_eq!(
            additive(old, "SELECT a, b FROM t ORDER BY 1 LIMIT 1"),
            ["b"]
        );
        different(old, "SELECT b, a FROM t ORDER BY 1 LIMIT 1");
        let old = "SELECT a FROM t UNION ALL SELECT a FROM u ORDER BY 1 LIMIT 1";
        different(
            old,
            "SELECT b, a FROM t UNION ALL SELECT b, a FROM u ORDER BY 1 LIMIT 1",
        );
    }

    /// The reference calls it harmless, and it is; nobody edits it often enough to prove it here.
    #[test]
    fn an_item_inside_of_exists_is_taken_for_a_change() {
        different(
            "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u)",
            "SELECT a FROM t WHERE EXISTS (SELECT 1, 2 FROM u)",
        );
    }

    // The list of the reference's unsound answers.

    #[test]
    fn distinct_decides_by_all_columns() {
        assert_eq!(
            different("SELECT DISTINCT a FROM t", "SELECT DISTINCT a, b FROM t"),
            ["a column was added to a SELECT DISTINCT, so its rows may change"]
        );
        different(
            "SELECT DISTINCT ON (a) a FROM t ORDER BY a",
            "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a",
        );
    }

    #[test]
    fn group_by_all_groups_by_the_new_column() {
        different(
            "SELECT a, count(*) AS n FROM t GROUP BY ALL",
            "SELECT a, b, count(*) AS n FROM t GROUP BY ALL",
        );
    }

    #[test]
    fn the_first_aggregate_folds_all_rows() {
        assert_eq!(
            different(
                "SELECT 1 AS a FROM t",
                "SELECT 1 AS a, count(*) AS n FROM t"
            ),
            ["column `n` was added, but `count` is the first aggregate, so all rows become one"]
        );
        different("SELECT 1 AS a", "SELECT 1 AS a, count(*) AS n");
    }

    #[test]
    fn an_aggregate_over_outer_columns_folds_the_outer_rows() {
        different(
            "SELECT 1 AS a FROM t",
            "SELECT 1 AS a, (SELECT max(b)) AS n FROM t",
        );
        different(
            "SELECT 1 AS a FROM t",
            "SELECT 1 AS a, (SELECT max(t.b) FROM u) AS n FROM t",
        );
    }

    #[test]
    fn set_operations_that_compare_rows_see_the_new_column() {
        for operation in [
            "UNION",
            "INTERSECT",
            "EXCEPT",
            "EXCEPT ALL",
            "UNION ALL BY NAME",
        ] {
            different(
                &format!("SELECT a FROM t {operation} SELECT a FROM u"),
                &format!("SELECT a, b FROM t {operation} SELECT a, b FROM u"),
            );
        }
    }

    #[test]
    fn the_same_inside_of_a_cte_is_different_too() {
        for (old, new) in [
            ("SELECT DISTINCT a FROM t", "SELECT DISTINCT a, b FROM t"),
            (
                "SELECT 1 AS a FROM t",
                "SELECT 1 AS a, count(*) AS n FROM t",
            ),
            (
                "SELECT a FROM t GROUP BY ALL",
                "SELECT a, b FROM t GROUP BY ALL",
            ),
            (
                "SELECT a FROM t UNION SELECT a FROM u",
                "SELECT a, b FROM t UNION SELECT a, b FROM u",
            ),
        ] {
            different(
                &format!("WITH c AS ({old}) SELECT a FROM c"),
                &format!("WITH c AS ({new}) SELECT a FROM c"),
            );
        }
    }

    #[test]
    fn a_natural_join_matches_the_new_column() {
        different(
            "WITH c AS (SELECT a FROM t) SELECT a FROM c NATURAL JOIN u",
            "WITH c AS (SELECT a, b FROM t) SELECT a FROM c NATURAL JOIN u",
        );
        different(
            "SELECT a FROM u NATURAL JOIN (SELECT a FROM t) AS s",
            "SELECT a FROM u NATURAL JOIN (SELECT a, b FROM t) AS s",
        );
    }

    // What else could catch a new column.

    #[test]
    fn a_new_name_that_is_looked_up_elsewhere_is_different() {
        different(
            "SELECT a FROM t ORDER BY b LIMIT 1",
            "SELECT a, -b AS b FROM t ORDER BY b LIMIT 1",
        );
        different(
            "SELECT a FROM t WHERE z > 1",
            "SELECT a, 2 AS z FROM t WHERE z > 1",
        );
        different(
            "WITH c AS (SELECT a FROM t) SELECT c.a FROM c, u WHERE z = 1",
            "WITH c AS (SELECT a, z FROM t) SELECT c.a FROM c, u WHERE z = 1",
        );
        different(
            "WITH c AS (SELECT a FROM t) SELECT c.a FROM c JOIN u USING (z)",
            "WITH c AS (SELECT a, z FROM t) SELECT c.a FROM c JOIN u USING (z)",
        );
        assert_eq!(
            additive(
                "SELECT a FROM t WHERE z > 1",
                "SELECT a, z FROM t WHERE z > 1"
            ),
            ["z"]
        );
        different(
            "SELECT a FROM t FULL JOIN u USING (z) ORDER BY z LIMIT 1",
            "SELECT a, u.z FROM t FULL JOIN u USING (z) ORDER BY z LIMIT 1",
        );
    }

    #[test]
    fn a_cte_that_is_read_as_a_whole_is_different() {
        for outer in [
            "SELECT * FROM c JOIN u ON true",
            "SELECT c FROM c",
            "SELECT p FROM c AS c(p, q)",
            "SELECT a FROM c WHERE (SELECT count(COLUMNS(*)) FROM c) > 1",
            "SELECT a FROM c UNION ALL SELECT * FROM c",
        ] {
            different(
                &format!("WITH c AS (SELECT a FROM t) {outer}"),
                &format!("WITH c AS (SELECT z, a FROM t) {outer}"),
            );
        }
    }

    #[test]
    fn two_columns_of_one_name_are_different() {
        different("SELECT a FROM t", "SELECT a, b AS A FROM t");
        different("SELECT a FROM t", "SELECT a, b AS n, c AS n FROM t");
    }

    #[test]
    fn what_is_not_repeatable_is_never_additive() {
        different(
            "SELECT random() AS r FROM t",
            "SELECT random() AS r, a FROM t",
        );
        different("SELECT a FROM t LIMIT 5", "SELECT a, b FROM t LIMIT 5");
        different(
            "SELECT a FROM (FROM t LIMIT 5) AS s",
            "SELECT a, b FROM (FROM t LIMIT 5) AS s",
        );
        different(
            "SELECT a FROM t WHERE d < current_date",
            "SELECT a, b FROM t WHERE d < current_date",
        );
    }

    #[test]
    fn an_opaque_query_is_different_unless_only_its_layout_changed() {
        let parse = |text: &str| Query::parse(text, Dialect::DuckDb);
        let old = parse("FROM t POSITIONAL JOIN u");
        let same = parse("FROM t  POSITIONAL\nJOIN u");
        assert_eq!(compare(&old, &nothing, &same, &nothing), QueryChange::Same);
        for new in ["FROM t POSITIONAL JOIN v", "FROM t"] {
            let QueryChange::Different { reasons, .. } =
                compare(&old, &nothing, &parse(new), &nothing)
            else {
                panic!("{new}");
            };
            assert!(reasons[0].starts_with("cannot be compared: the query is opaque ("));
        }
    }

    #[test]
    fn project_p1_comes_out_as_recorded() {
        let a = Query::parse("SELECT 1 AS x, 'b' AS y", Dialect::DuckDb);
        let reformatted = Query::parse("select 1 as X,\n  'b' y -- note", Dialect::DuckDb);
        let with_z = Query::parse("SELECT 1 AS x, 'b' AS y, 3 AS z", Dialect::DuckDb);
        let other_x = Query::parse("SELECT 2 AS x, 'b' AS y", Dialect::DuckDb);
        let s = Query::parse("SELECT * FROM a", Dialect::DuckDb);
        let b = Query::parse("SELECT x, y FROM a", Dialect::DuckDb);
        let columns = |query: &Query| query.output_columns(&nothing);
        let before = |_: &TableName| columns(&a);
        let after = |_: &TableName| columns(&with_z);
        let parent = TableName {
            catalog: None,
            schema: None,
            name: "a".to_owned(),
        };

        assert_eq!(
            compare(&a, &nothing, &reformatted, &nothing),
            QueryChange::Same
        );
        assert_eq!(a.canonical(&nothing), reformatted.canonical(&nothing));

        let added = QueryChange::Additive {
            added: vec!["z".to_owned()],
            reason: "column `z` was added".to_owned(),
        };
        assert_eq!(compare(&a, &nothing, &with_z, &nothing), added);
        assert_eq!(compare(&s, &before, &s, &after), added);
        assert_ne!(s.canonical(&before), s.canonical(&after));
        assert_eq!(compare(&b, &before, &b, &after), QueryChange::Same);
        assert_eq!(b.canonical(&before), b.canonical(&after));
        let z = ["z".to_owned()];
        assert_eq!(b.shields_from_added(&parent, &z, &before), Ok(()));
        assert!(s.shields_from_added(&parent, &z, &before).is_err());

        assert_eq!(
            compare(&a, &nothing, &other_x, &nothing),
            QueryChange::Different {
                reasons: vec!["column `x` changed: `1` → `2`".to_owned()],
                columns: ChangedColumns {
                    changed: vec!["x".to_owned()],
                    ..ChangedColumns::default()
                },
            }
        );
    }

    #[test]
    fn columns_are_listed_by_what_happened_to_them() {
        let QueryChange::Different { columns, reasons } = changed(
            "SELECT a, b, c FROM t UNION ALL SELECT a, b, c FROM u",
            "SELECT a, b + 1 AS b, d FROM t UNION ALL SELECT a, b, c FROM u",
        ) else {
            panic!("the query changed");
        };
        assert_eq!(columns.added, ["d"]);
        assert_eq!(columns.removed, ["c"]);
        assert_eq!(columns.changed, ["b"]);
        assert_eq!(reasons, ["query 1 of the set operation changed"]);
    }
}
