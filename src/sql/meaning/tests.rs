//! What an edit does to a query: whether what was there before stays as it was.

use std::sync::Arc;

use crate::sql::Dialect;
use crate::sql::Meaning;
use crate::sql::Query;
use crate::sql::Schema;
use crate::sql::SchemaOf;
use crate::sql::TableName;

/// What an edit does to whoever reads the old columns.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    /// The rows and all old columns are what they were, these are new.
    Additive(Vec<String>),
    Different,
}

fn nothing(_: &TableName) -> Option<Arc<Schema>> {
    None
}

fn schema(names: &[&str]) -> Arc<Schema> {
    Arc::new(Schema::new(
        names.iter().map(|name| ((*name).to_owned(), None)),
    ))
}

fn meaning(text: &str, schema_of: SchemaOf<'_>) -> Meaning {
    let query = Query::parse(text, Dialect::DuckDb);
    assert_eq!(query.opaque_reason(), None, "{text}");
    query.meaning(schema_of)
}

/// As `snapshot` judges it: when the table is built again, whatever is unstable may come out differently.
fn verdict(old: &Meaning, new: &Meaning) -> Verdict {
    if old.digest() == new.digest() {
        return Verdict::Same;
    }
    if old.column_names().is_none() || new.column_names().is_none() {
        return Verdict::Different;
    }
    let (Some(before), Some(after)) = (&old.columns, &new.columns) else {
        return Verdict::Different;
    };
    if old.rows.digest != new.rows.digest || new.rows.unstable || old.rows.unstable {
        return Verdict::Different;
    }
    let stays = |name: &Option<String>| {
        let find = |columns: &[crate::sql::OutputColumn]| {
            columns
                .iter()
                .find(|column| column.name == *name)
                .map(|column| column.value.clone())
        };
        match (find(before), find(after)) {
            (Some(was), Some(is)) => was.digest == is.digest && !was.unstable && !is.unstable,
            _ => false,
        }
    };
    if !before.iter().all(|column| stays(&column.name)) {
        return Verdict::Different;
    }
    let added = after
        .iter()
        .filter(|column| !before.iter().any(|known| known.name == column.name))
        .map(|column| column.name.clone().unwrap_or_default());
    Verdict::Additive(added.collect())
}

fn changed(old: &str, new: &str) -> Verdict {
    verdict(&meaning(old, &nothing), &meaning(new, &nothing))
}

#[track_caller]
fn additive(old: &str, new: &str) -> Vec<String> {
    match changed(old, new) {
        Verdict::Additive(added) => added,
        other => panic!("{old} → {new}: {other:?}"),
    }
}

#[track_caller]
fn different(old: &str, new: &str) {
    assert_eq!(changed(old, new), Verdict::Different, "{old} → {new}");
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
    different("SELECT a, b FROM t", "SELECT a FROM t");
    different("SELECT a, b FROM t", "SELECT a, b AS c FROM t");
    different("SELECT a, b FROM t", "SELECT a, CAST(b AS INT) AS b FROM t");
}

#[test]
fn an_edited_clause_is_different() {
    for new in [
        "SELECT a, b FROM t WHERE a > 1",
        "SELECT DISTINCT a, b FROM t",
        "SELECT a, b FROM t LIMIT 1",
        "SELECT a, b FROM t JOIN u ON p = q",
        "SELECT a, b FROM t GROUP BY a, b",
    ] {
        different("SELECT a, b FROM t", new);
    }
}

#[test]
fn an_order_and_the_places_of_columns_concern_the_table_but_no_reader() {
    for new in ["SELECT a, b FROM t ORDER BY a", "SELECT b, a FROM t"] {
        assert!(additive("SELECT a, b FROM t", new).is_empty());
    }
}

#[test]
fn what_nobody_reads_is_not_there() {
    for (old, new) in [
        ("SELECT a FROM t", "WITH c AS (SELECT 1) SELECT a FROM t"),
        (
            "WITH c AS (SELECT a, b FROM t) SELECT a FROM c",
            "WITH c AS (SELECT a, b, z FROM t) SELECT a FROM c",
        ),
        (
            "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u)",
            "SELECT a FROM t WHERE EXISTS (SELECT 1, 2 FROM u)",
        ),
    ] {
        assert_eq!(changed(old, new), Verdict::Same, "{old} → {new}");
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
        different("SELECT a, b FROM t", &new);
    }
}

#[test]
fn a_series_is_a_list_in_duckdb_alone() {
    let parse = |text: &str| Query::parse(text, Dialect::Postgres);
    let old = parse("SELECT a FROM t");
    let new = parse("SELECT a, generate_series(1, 2) AS n FROM t");
    assert_eq!(
        verdict(&old.meaning(&nothing), &new.meaning(&nothing)),
        Verdict::Different
    );
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
    different(
        "SELECT a, sum(b) AS s FROM t GROUP BY a",
        "SELECT a, c, sum(b) AS s FROM t GROUP BY a, c",
    );
}

#[test]
fn a_column_may_be_added_inside_of_a_cte() {
    let old = "WITH c AS (SELECT a, b FROM t) SELECT a FROM c";
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

// The list of the reference's unsound answers.

#[test]
fn distinct_decides_by_all_columns() {
    different("SELECT DISTINCT a FROM t", "SELECT DISTINCT a, b FROM t");
    // Here the keys decide. What else stands in the row that is kept is up to the engine.
    let old = "SELECT DISTINCT ON (a) a FROM t ORDER BY a";
    let new = "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a";
    assert_eq!(additive(old, new), ["b"]);
    different(new, "SELECT DISTINCT ON (a) a, b, c FROM t ORDER BY a");
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
    different(
        "SELECT 1 AS a FROM t",
        "SELECT 1 AS a, count(*) AS n FROM t",
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
        "UNION BY NAME",
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
        "t" => Some(schema(&["a", "b", "c"])),
        "u" => Some(schema(&["a", "c"])),
        _ => None,
    };
    let rows = |text: &str, columns: &str| -> Option<Vec<String>> {
        let text =
            format!("SELECT r::text FROM (SELECT {columns} FROM ({text})) AS r ORDER BY r::text");
        let mut statement = connection.prepare(&text).ok()?;
        let rows = statement.query_map([], |row| row.get(0)).ok()?;
        rows.collect::<Result<_, _>>().ok()
    };
    let mut additive = 0;
    for query in queries {
        let before = query.replace("{}", "");
        let old = Query::parse(&before, Dialect::DuckDb);
        let columns = old.meaning(&known).column_names().unwrap().join(", ");
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
                for schema_of in [&known as SchemaOf<'_>, &nothing] {
                    if let Verdict::Additive(_) =
                        verdict(&old.meaning(schema_of), &new.meaning(schema_of))
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

#[test]
fn a_row_number_over_ties_decides_only_where_nothing_else_does() {
    let numbered = "SELECT *, row_number() OVER (PARTITION BY a ORDER BY b) AS n FROM t";
    let old = format!("SELECT a FROM ({numbered}) WHERE n = 1");
    let new = format!("SELECT a, a + 1 AS d FROM ({numbered}) WHERE n = 1");
    let known = |_: &TableName| Some(schema(&["a", "b", "c"]));
    let judge = |old: &str, new: &str| verdict(&meaning(old, &known), &meaning(new, &known));
    assert_eq!(judge(&old, &new), Verdict::Additive(vec!["d".to_owned()]));
    // Of two rows that tie, one may have the other `c`.
    let between = format!("SELECT * FROM ({numbered}) WHERE c = 1");
    let old = format!("SELECT a FROM ({between}) WHERE n = 1");
    let new = format!("SELECT a, a + 1 AS d FROM ({between}) WHERE n = 1");
    assert_eq!(judge(&old, &new), Verdict::Different);
    assert_eq!(
        judge(
            &format!("SELECT a, c FROM ({numbered}) WHERE n = 1"),
            &format!("SELECT a, c, 1 AS d FROM ({numbered}) WHERE n = 1"),
        ),
        Verdict::Different
    );
}

#[test]
fn the_fields_of_a_structure_have_the_names_of_columns() {
    different(
        "SELECT struct_pack(p) AS s FROM (SELECT a AS p FROM t) AS x",
        "SELECT struct_pack(q) AS s FROM (SELECT a AS q FROM t) AS x",
    );
    different(
        "SELECT x AS s FROM (SELECT a AS p FROM t) AS x",
        "SELECT x AS s FROM (SELECT a AS q FROM t) AS x",
    );
}

#[test]
fn the_case_of_a_name_shows_where_a_row_stands_for_a_value() {
    different(
        "SELECT x::VARCHAR AS s FROM (SELECT a AS ok FROM t) AS x",
        "SELECT x::VARCHAR AS s FROM (SELECT a AS OK FROM t) AS x",
    );
    assert_eq!(
        changed(
            "SELECT x.ok FROM (SELECT a AS ok FROM t) AS x",
            "SELECT x.ok FROM (SELECT a AS OK FROM t) AS x",
        ),
        Verdict::Same
    );
}

#[test]
fn a_method_reads_what_stands_before_its_dot() {
    different(
        "SELECT a.upper() AS u FROM t",
        "SELECT b.upper() AS u FROM t",
    );
    let known = |_: &TableName| Some(schema(&["a", "b"]));
    let read = |text: &str| {
        let meaning = meaning(text, &known);
        let column = &meaning.columns.unwrap()[0];
        let sources = column
            .lineage
            .iter()
            .map(|source| &meaning.sources[*source as usize]);
        sources
            .map(|source| source.column.clone().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(read("SELECT a.upper().left(2) AS u FROM t"), ["a"]);
    assert_eq!(read("SELECT t.b.upper() AS u FROM t"), ["b"]);
}
