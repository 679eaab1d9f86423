//! Both spellings of every rewrite, run in DuckDB over NULLs, ties and duplicates.

use std::sync::Arc;

use crate::sql::Dialect;
use crate::sql::Digest;
use crate::sql::Query;
use crate::sql::Schema;
use crate::sql::TableName;

const TABLES: &str = "\
    CREATE TABLE t AS SELECT * FROM (VALUES (1, 10, 'x', true, DATE '2024-01-01'), (1, NULL, 'y', false, NULL), \
        (NULL, 10, 'x', NULL, DATE '2024-01-02'), (2, 20, NULL, true, DATE '2024-01-01'), (2, 20, NULL, true, DATE '2024-01-01'), \
        (NULL, NULL, NULL, NULL, NULL)) AS v(a, b, c, ok, d);\
    CREATE TABLE u AS SELECT * FROM (VALUES (1, 5), (2, NULL), (NULL, 7), (2, 9)) AS v(a, z);";

fn schema(table: &TableName) -> Option<Arc<Schema>> {
    let names: &[&str] = match table.name.as_str() {
        "t" => &["a", "b", "c", "ok", "d"],
        "u" => &["a", "z"],
        _ => return None,
    };
    let columns = names.iter().map(|name| ((*name).to_owned(), None));
    Some(Arc::new(Schema::new(columns)))
}

fn digest(text: &str) -> Digest {
    let meaning = Query::parse(text, Dialect::DuckDb).meaning(&schema);
    assert_eq!(meaning.coarse, None, "{text}");
    assert_eq!(meaning.problems, [], "{text}");
    meaning.digest()
}

fn rows(text: &str) -> Vec<String> {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    connection.execute_batch(TABLES).unwrap();
    let text = format!("SELECT r::text FROM ({text}) AS r ORDER BY 1");
    let mut statement = connection.prepare(&text).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[track_caller]
fn same(left: &str, right: &str) {
    assert_eq!(rows(left), rows(right), "{left}\n{right}");
    assert_eq!(digest(left), digest(right), "{left}\n{right}");
}

#[track_caller]
fn different(left: &str, right: &str) {
    assert_ne!(digest(left), digest(right), "{left}\n{right}");
}

#[test]
fn the_order_of_and_and_or_does_not_matter() {
    same(
        "SELECT a FROM t WHERE a = 1 AND (b = 10 OR c = 'x') AND ok",
        "SELECT a FROM t WHERE ok AND ((c = 'x' OR b = 10) AND a = 1) AND ok",
    );
    same(
        "SELECT a = 1 AND ok AS x, a = 1 OR ok AS y FROM t",
        "SELECT ok AND a = 1 AS x, ok OR a = 1 AS y FROM t",
    );
    different(
        "SELECT a FROM t WHERE a = 1 AND (b = 10 OR ok)",
        "SELECT a FROM t WHERE (a = 1 AND b = 10) OR ok",
    );
}

#[test]
fn what_is_always_true_adds_nothing() {
    same(
        "SELECT a FROM t WHERE 1 = 1 AND ok",
        "SELECT a FROM t WHERE ok",
    );
    same("SELECT a FROM t WHERE true", "SELECT a FROM t");
    same(
        "SELECT a FROM t WHERE ok AND 1 > 2",
        "SELECT a FROM t WHERE false",
    );
    same(
        "SELECT a = 1 AND true AS x FROM t",
        "SELECT a = 1 AS x FROM t",
    );
    // A number is no truth value: `AND TRUE` makes it one.
    different("SELECT a AND true AS x FROM t", "SELECT a AS x FROM t");
}

#[test]
fn comparisons_read_the_same_from_both_sides() {
    same("SELECT a FROM t WHERE a = b", "SELECT a FROM t WHERE b = a");
    same("SELECT a < b AS x FROM t", "SELECT b > a AS x FROM t");
    same("SELECT a <= b AS x FROM t", "SELECT b >= a AS x FROM t");
    same("SELECT a <> b AS x FROM t", "SELECT b != a AS x FROM t");
    same(
        "SELECT a IS DISTINCT FROM b AS x FROM t",
        "SELECT b IS DISTINCT FROM a AS x FROM t",
    );
    different("SELECT a < b AS x FROM t", "SELECT b < a AS x FROM t");
    different("SELECT a - b AS x FROM t", "SELECT b - a AS x FROM t");
}

#[test]
fn negations_go_inside() {
    same("SELECT NOT a = b AS x FROM t", "SELECT a <> b AS x FROM t");
    same("SELECT NOT a > b AS x FROM t", "SELECT a <= b AS x FROM t");
    same(
        "SELECT NOT NOT ok AND NOT NOT a = 1 AS x FROM t",
        "SELECT a = 1 AND NOT NOT ok AS x FROM t",
    );
    same(
        "SELECT NOT (a = 1 AND b = 10) AS x FROM t",
        "SELECT b <> 10 OR a <> 1 AS x FROM t",
    );
    same(
        "SELECT NOT (a IS NULL OR c LIKE 'x%') AS x FROM t",
        "SELECT a IS NOT NULL AND c NOT LIKE 'x%' AS x FROM t",
    );
    same(
        "SELECT a FROM t WHERE NOT a IN (1, 2)",
        "SELECT a FROM t WHERE a NOT IN (2, 1)",
    );
    different("SELECT NOT NOT a AS x FROM t", "SELECT a AS x FROM t");
    different(
        "SELECT a FROM t WHERE a IS NULL",
        "SELECT a FROM t WHERE a = NULL",
    );
}

#[test]
fn between_is_two_comparisons() {
    same(
        "SELECT a BETWEEN 1 AND b AS x FROM t",
        "SELECT a >= 1 AND a <= b AS x FROM t",
    );
    same(
        "SELECT a NOT BETWEEN 1 AND 2 AS x FROM t",
        "SELECT a < 1 OR a > 2 AS x FROM t",
    );
    different(
        "SELECT a BETWEEN 1 AND b AS x FROM t",
        "SELECT a BETWEEN b AND 1 AS x FROM t",
    );
}

#[test]
fn lists_of_in_are_sets() {
    same(
        "SELECT a IN (1, NULL, 2) AS x FROM t",
        "SELECT a IN (2, 1, 2, NULL) AS x FROM t",
    );
    different(
        "SELECT a IN (1) AS x FROM t",
        "SELECT a IN (1, 2) AS x FROM t",
    );
}

#[test]
fn names_of_relations_leave_no_trace() {
    same(
        "SELECT t.a, b AS n FROM t WHERE t.b > 1",
        "select X.A as a, x.b n from T AS x /* note */ where (x.b) > 1",
    );
    same(
        "SELECT t.a, u.z FROM t JOIN u ON t.a = u.a",
        "SELECT l.a, z FROM t AS l INNER JOIN u AS r ON r.a = l.a",
    );
    same(
        "SELECT l.b AS x, r.b AS y FROM t l JOIN t r ON l.a = r.a",
        "SELECT q.b AS x, p.b AS y FROM t q JOIN t p ON q.a = p.a",
    );
    different(
        "SELECT l.b AS x, r.b AS y FROM t l JOIN t r ON l.a < r.a",
        "SELECT r.b AS x, l.b AS y FROM t l JOIN t r ON l.a < r.a",
    );
}

#[test]
fn a_cte_is_a_subquery() {
    same(
        "WITH c AS (SELECT a, b + 1 AS n FROM t WHERE ok) SELECT n FROM c WHERE a = 1",
        "SELECT n FROM (SELECT b + 1 AS n, a FROM t WHERE ok) AS s WHERE a = 1",
    );
    same(
        "WITH unused AS (SELECT * FROM u), c AS (SELECT * FROM t) SELECT a FROM c",
        "SELECT a FROM t",
    );
    same(
        "WITH t2 AS (SELECT a FROM t WHERE ok) SELECT a FROM t2 WHERE a > 1",
        "SELECT a FROM t WHERE a > 1 AND ok",
    );
    // A window looks at the rows where it stands.
    different(
        "SELECT a, s FROM (SELECT a, sum(b) OVER () AS s FROM t) WHERE a = 1",
        "SELECT a, sum(b) OVER () AS s FROM t WHERE a = 1",
    );
    different(
        "SELECT a FROM (SELECT a FROM t GROUP BY a) WHERE a = 1",
        "SELECT a FROM t WHERE a = 1",
    );
    // `1` takes the type of what stands beside it; a column that holds 1 has a type.
    different(
        "SELECT a + n AS x FROM (SELECT a, 1 AS n FROM t)",
        "SELECT a + 1 AS x FROM t",
    );
}

#[test]
fn stars_and_lists_of_columns_are_the_same() {
    same("SELECT * FROM t", "SELECT a, b, c, ok, d FROM t");
    same(
        "SELECT * EXCLUDE (c, ok) REPLACE (b + 1 AS b) FROM t",
        "SELECT a, b + 1 AS b, d FROM t",
    );
    same("FROM t", "SELECT t.* FROM t");
    same(
        "SELECT * FROM t JOIN u USING (a)",
        "SELECT t.a, b, c, ok, d, z FROM t JOIN u ON t.a = u.a",
    );
    same(
        "SELECT * FROM t NATURAL JOIN u",
        "SELECT * FROM t JOIN u USING (a)",
    );
    different("SELECT a, b FROM t", "SELECT b, a FROM t");
    different(
        "SELECT a FROM t FULL JOIN u USING (a)",
        "SELECT t.a FROM t FULL JOIN u ON t.a = u.a",
    );
}

#[test]
fn an_inner_join_is_a_filtered_product() {
    same(
        "SELECT t.a, z FROM t, u WHERE t.a = u.a AND z > 5",
        "SELECT t.a, z FROM t JOIN u ON u.a = t.a AND z > 5",
    );
    different(
        "SELECT t.a, z FROM t LEFT JOIN u ON t.a = u.a AND z > 5",
        "SELECT t.a, z FROM t LEFT JOIN u ON t.a = u.a WHERE z > 5",
    );
}

#[test]
fn groups_are_sets_of_keys() {
    same(
        "SELECT a, b, count(*) AS n FROM t GROUP BY a, b",
        "SELECT a, b, count(*) AS n FROM t GROUP BY 2, 1",
    );
    same(
        "SELECT a + 1 AS k, sum(b) AS n FROM t GROUP BY a + 1",
        "SELECT a + 1 AS k, sum(b) AS n FROM t GROUP BY k",
    );
    different(
        "SELECT a, count(*) AS n FROM t GROUP BY ALL",
        "SELECT a, b, count(*) AS n FROM t GROUP BY ALL",
    );
}

#[test]
fn partitions_of_windows_are_sets() {
    same(
        "SELECT sum(b) OVER (PARTITION BY a, ok) AS n FROM t",
        "SELECT sum(b) OVER w AS n FROM t WINDOW w AS (PARTITION BY ok, a)",
    );
    different(
        "SELECT sum(b) OVER (PARTITION BY a ORDER BY b) AS n FROM t",
        "SELECT sum(b) OVER (PARTITION BY a ORDER BY b DESC) AS n FROM t",
    );
}
