//! What happens to the columns of a table that keeps its rows under a new definition.
//!
//! Source: spec/engine.md 10.1, without what only BigQuery and Databricks can do.

use std::fmt;

/// One change of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// A new column; rows that are there have NULL in it.
    Add {
        /// Its name.
        name: String,
        /// Its type, if known.
        data_type: Option<String>,
    },
    /// A column goes, and its values with it.
    Drop {
        /// Its name.
        name: String,
    },
    /// The type holds more than before; no value changes.
    Widen {
        /// Its name.
        name: String,
        /// The type before.
        from: String,
        /// The type after.
        to: String,
    },
    /// The type does not hold every value of before: the column is made anew, and rows that are there have NULL in it.
    Replace {
        /// Its name.
        name: String,
        /// The type before.
        from: String,
        /// The type after.
        to: String,
    },
}

impl Alteration {
    /// Whether values are lost.
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Drop { .. } | Self::Replace { .. } => true,
            Self::Add { .. } | Self::Widen { .. } => false,
        }
    }
}

impl fmt::Display for Alteration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { name, .. } => write!(formatter, "adds column `{name}`"),
            Self::Drop { name } => write!(formatter, "drops column `{name}`"),
            Self::Widen { name, from, to } => {
                write!(formatter, "widens column `{name}` from {from} to {to}")
            }
            Self::Replace { name, from, to } => {
                write!(
                    formatter,
                    "makes column `{name}` anew as {to}, which does not hold every {from},"
                )
            }
        }
    }
}

/// What turns a table with the columns `old` into one with the columns `new`: what goes, what comes, what gets another
/// type. Columns are pairs of name and type; types are compared where both are known. The order of columns is no matter.
pub fn alterations(
    old: &[(String, Option<String>)],
    new: &[(String, Option<String>)],
) -> Vec<Alteration> {
    let find = |columns: &'_ [(String, Option<String>)], name: &str| {
        let found = columns
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, data_type)| data_type.clone())
    };
    let mut found = Vec::new();
    for (name, _) in old {
        if find(new, name).is_none() {
            found.push(Alteration::Drop { name: name.clone() });
        }
    }
    for (name, data_type) in new {
        if find(old, name).is_none() {
            found.push(Alteration::Add {
                name: name.clone(),
                data_type: data_type.clone(),
            });
        }
    }
    for (name, from) in old {
        let to = find(new, name).flatten();
        let (Some(from), Some(to)) = (from.clone(), to) else {
            continue;
        };
        if is_same(&from, &to) {
            continue;
        }
        let name = name.clone();
        found.push(if is_wider(&from, &to) {
            Alteration::Widen { name, from, to }
        } else {
            Alteration::Replace { name, from, to }
        });
    }
    found
}

fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || parts(one) == parts(other)
}

/// The name of a type without its parameters, and these.
fn parts(data_type: &str) -> (String, Vec<u32>) {
    let upper = data_type.to_ascii_uppercase();
    let name = |text: &str| match text.trim() {
        "NUMERIC" => "DECIMAL".to_owned(),
        "CHARACTER VARYING" => "VARCHAR".to_owned(),
        "CHARACTER" => "CHAR".to_owned(),
        "INT1" => "TINYINT".to_owned(),
        "INT2" => "SMALLINT".to_owned(),
        "INT" | "INT4" => "INTEGER".to_owned(),
        "INT8" => "BIGINT".to_owned(),
        "REAL" | "FLOAT4" => "FLOAT".to_owned(),
        "DOUBLE PRECISION" | "FLOAT8" => "DOUBLE".to_owned(),
        other => other.to_owned(),
    };
    let Some((base, rest)) = upper.split_once('(') else {
        return (name(&upper), Vec::new());
    };
    let numbers: Option<Vec<u32>> = rest
        .strip_suffix(')')
        .map(|rest| rest.split(','))
        .and_then(|numbers| numbers.map(|number| number.trim().parse().ok()).collect());
    match numbers {
        Some(numbers) => (name(base), numbers),
        None => (upper, Vec::new()),
    }
}

/// Whether every value of `from` is one of `to` as well: the same type with more room, a number that holds more, or text
/// without a limit.
///
/// A date is no timestamp: it reaches further, and what reads it as a text finds another one.
fn is_wider(from: &str, to: &str) -> bool {
    let ((base, old), (wider, new)) = (parts(from), parts(to));
    let is_text = |name: &str| matches!(name, "VARCHAR" | "CHAR" | "BPCHAR" | "TEXT");
    if is_text(&base) && matches!(wider.as_str(), "TEXT" | "VARCHAR") && new.is_empty() {
        return true;
    }
    if let Some(whole) = Whole::of(&base) {
        return match (Whole::of(&wider), wider.as_str()) {
            (Some(wider), _) => whole.fits(wider),
            // Their fractions have 24 and 53 bits.
            (None, "FLOAT") => whole.bits <= 24,
            (None, "DOUBLE") => whole.bits <= 53,
            (None, "DECIMAL") => is_roomier(&[whole.digits(), 0], &new, to),
            (None, _) => false,
        };
    }
    match (base.as_str(), wider.as_str()) {
        ("FLOAT", "DOUBLE") => true,
        ("DECIMAL", "DECIMAL") => is_roomier(&old, &new, to),
        ("DECIMAL", wider) if Whole::of(wider).is_some() => match old[..] {
            [precision] | [precision, 0] => {
                Whole::of(wider).is_some_and(|wider| wider.is_signed && precision < wider.digits())
            }
            _ => false,
        },
        (base, wider) => {
            let more = || old.iter().zip(&new).all(|(old, new)| old <= new);
            base == wider && !old.is_empty() && old.len() == new.len() && more()
        }
    }
}

/// Whether a DECIMAL with the parameters `old` fits one with those of `new`, written `to`: as many digits before the point, and behind it.
fn is_roomier(old: &[u32], new: &[u32], to: &str) -> bool {
    let precise = |numbers: &[u32]| match *numbers {
        [precision] => Some((precision, 0)),
        [precision, scale] => Some((precision, scale)),
        _ => None,
    };
    match (precise(old), precise(new)) {
        (Some((precision, scale)), Some((more, finer))) => {
            scale <= finer && precision.saturating_sub(scale) <= more.saturating_sub(finer)
        }
        // PostgreSQL's has no limit; DuckDB always names both.
        (Some(_), None) => new.is_empty() && to.eq_ignore_ascii_case("numeric"),
        (None, _) => false,
    }
}

/// A type of whole numbers.
#[derive(Clone, Copy)]
struct Whole {
    /// How many bits its largest number takes, without the sign.
    bits: u32,
    is_signed: bool,
}

impl Whole {
    fn of(name: &str) -> Option<Self> {
        let (bits, is_signed) = match name {
            "TINYINT" => (7, true),
            "SMALLINT" => (15, true),
            "INTEGER" => (31, true),
            "BIGINT" => (63, true),
            "HUGEINT" => (127, true),
            "UTINYINT" => (8, false),
            "USMALLINT" => (16, false),
            "UINTEGER" => (32, false),
            "UBIGINT" => (64, false),
            "UHUGEINT" => (128, false),
            _ => return None,
        };
        Some(Self { bits, is_signed })
    }

    fn fits(self, wider: Self) -> bool {
        self.bits <= wider.bits && (wider.is_signed || !self.is_signed)
    }

    /// How many decimal digits its largest number has.
    fn digits(self) -> u32 {
        match self.bits {
            0..=8 => 3,
            9..=16 => 5,
            17..=32 => 10,
            33..=63 => 19,
            64 => 20,
            _ => 39,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(columns: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let columns = columns.iter();
        columns
            .map(|(name, kind)| ((*name).to_owned(), Some((*kind).to_owned())))
            .collect()
    }

    fn said(old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<String> {
        let found = alterations(&columns(old), &columns(new));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_renamed_column_goes_and_comes() {
        assert_eq!(
            said(&[("a", "INTEGER")], &[("b", "INTEGER")]),
            ["drops column `a`", "adds column `b`"]
        );
    }

    #[test]
    fn the_order_and_the_case_of_columns_change_nothing() {
        let (a, b) = (("a", "INTEGER"), ("b", "VARCHAR"));
        assert!(said(&[a, b], &[("B", "varchar"), ("A", "INTEGER")]).is_empty());
        assert!(said(&[("n", "DECIMAL(18,3)")], &[("n", "NUMERIC(18, 3)")]).is_empty());
    }

    #[test]
    fn only_a_type_that_holds_every_value_is_wider() {
        for (from, to) in [
            ("DECIMAL(10,2)", "DECIMAL(12,2)"),
            ("DECIMAL(10,2)", "DECIMAL(12,4)"),
            ("VARCHAR(10)", "VARCHAR(20)"),
            ("CHARACTER VARYING(10)", "TEXT"),
            ("INTEGER", "BIGINT"),
            ("INT", "INT8"),
            ("BIGINT", "DECIMAL(30,2)"),
            ("integer", "numeric"),
            ("numeric(10,2)", "numeric"),
            ("REAL", "DOUBLE"),
            ("real", "double precision"),
        ] {
            assert!(is_wider(from, to), "{from} → {to}");
        }
        for (from, to) in [
            ("BIGINT", "INTEGER"),
            ("INTEGER", "UBIGINT"),
            ("BIGINT", "DOUBLE"),
            ("BIGINT", "DECIMAL(20,2)"),
            ("DOUBLE", "REAL"),
            ("DATE", "TIMESTAMP"),
            ("DECIMAL(10,2)", "DECIMAL(10,4)"),
            ("DECIMAL(10,2)", "DECIMAL(9,2)"),
            ("VARCHAR(20)", "VARCHAR(10)"),
            ("INTEGER", "VARCHAR"),
            ("STRUCT(a INTEGER)", "STRUCT(a INTEGER, b INTEGER)"),
            ("TIMESTAMP", "DATE"),
        ] {
            assert!(!is_wider(from, to), "{from} → {to}");
            let alterations = alterations(&columns(&[("c", from)]), &columns(&[("c", to)]));
            assert!(alterations[0].is_destructive());
        }
    }

    #[test]
    fn a_type_that_nobody_knows_is_no_change() {
        let known = columns(&[("a", "INTEGER")]);
        let unknown = vec![("a".to_owned(), None)];
        assert!(alterations(&known, &unknown).is_empty());
        assert!(alterations(&unknown, &known).is_empty());
    }

    /// Types of numbers with their extreme values.
    const NUMBERS: &[(&str, &[&str])] = &[
        ("SMALLINT", &["-32768", "32767"]),
        ("INTEGER", &["-2147483648", "2147483647"]),
        ("BIGINT", &["-9223372036854775808", "9223372036854775807"]),
        (
            "REAL",
            &["3.4028234e38", "1.1754944e-38", "0.1", "16777215"],
        ),
        (
            "DOUBLE PRECISION",
            &["1.7976931348623157e308", "2.2250738585072014e-308", "0.1"],
        ),
        ("DECIMAL(5,0)", &["99999", "-99999"]),
        ("DECIMAL(10,2)", &["99999999.99", "-99999999.99"]),
        ("DECIMAL(14,4)", &["9999999999.9999", "-9999999999.9999"]),
        (
            "DECIMAL(19,0)",
            &["9999999999999999999", "-9999999999999999999"],
        ),
        (
            "DECIMAL(30,2)",
            &["9999999999999999999999999999.99", "-0.01"],
        ),
    ];

    /// Those that only DuckDB has.
    const OF_DUCKDB: &[(&str, &[&str])] = &[
        ("TINYINT", &["-128", "127"]),
        ("UTINYINT", &["0", "255"]),
        ("USMALLINT", &["65535"]),
        ("UINTEGER", &["4294967295"]),
        ("UBIGINT", &["18446744073709551615"]),
        (
            "HUGEINT",
            &[
                "-170141183460469231731687303715884105728",
                "170141183460469231731687303715884105727",
            ],
        ),
        ("UHUGEINT", &["340282366920938463463374607431768211455"]),
        (
            "DECIMAL(20,0)",
            &["99999999999999999999", "-99999999999999999999"],
        ),
        (
            "DECIMAL(38,10)",
            &["9999999999999999999999999999.9999999999"],
        ),
    ];

    /// The pairs of types of which one holds more, with what is altered and a question for the values that changed.
    fn widenings(types: &[(&str, &[&str])]) -> Vec<(String, Vec<String>, String)> {
        let mut found = Vec::new();
        for (from, values) in types {
            for (to, _) in types.iter().filter(|(to, _)| is_wider(from, to)) {
                let mut statements = vec![format!(
                    "CREATE TEMPORARY TABLE wide (was {from}, is_now {from})"
                )];
                statements.extend(values.iter().map(|value| {
                    format!("INSERT INTO wide VALUES (CAST('{value}' AS {from}), CAST('{value}' AS {from}))")
                }));
                statements.push(format!(
                    "ALTER TABLE wide ALTER COLUMN is_now SET DATA TYPE {to}"
                ));
                let question = format!(
                    "SELECT count(*) FROM wide WHERE is_now <> CAST(was AS {to}) OR CAST(is_now AS {from}) <> was
                     OR is_now IS NULL"
                );
                found.push((format!("{from} → {to}"), statements, question));
            }
        }
        found
    }

    #[test]
    fn what_is_wider_keeps_the_extreme_values_in_duckdb() {
        let types = [NUMBERS, OF_DUCKDB].concat();
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let found = widenings(&types);
        assert!(found.len() > 60, "{}", found.len());
        for (pair, statements, question) in found {
            for statement in statements {
                connection
                    .execute_batch(&statement)
                    .unwrap_or_else(|error| panic!("{pair}: {error}"));
            }
            let changed: i64 = connection
                .query_row(&question, [], |row| row.get(0))
                .unwrap();
            assert_eq!(changed, 0, "{pair}");
            connection.execute_batch("DROP TABLE wide").unwrap();
        }
    }

    #[test]
    fn whole_numbers_and_decimals_that_are_not_wider_lose_an_extreme_value_in_duckdb() {
        let types = [NUMBERS, OF_DUCKDB].concat();
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let is_exact = |name: &str| !matches!(name, "REAL" | "DOUBLE PRECISION");
        for (from, values) in types.iter().filter(|(from, _)| is_exact(from)) {
            for (to, _) in types.iter().filter(|(to, _)| is_exact(to)) {
                let keeps = values.iter().all(|value| {
                    let sql = format!(
                        "SELECT coalesce(TRY_CAST(TRY_CAST(CAST('{value}' AS {from}) AS {to}) AS {from}) = '{value}'::{from}, false)"
                    );
                    connection.query_row(&sql, [], |row| row.get::<_, bool>(0)).unwrap()
                });
                assert!(!keeps || from == to || is_wider(from, to), "{from} → {to}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_wider_keeps_the_extreme_values_in_postgresql() {
        let types = [NUMBERS, &[("NUMERIC", &["1e100"])]].concat();
        let database = crate::cluster::Database::new().await;
        let mut connection = database.connect().await;
        for (pair, statements, question) in widenings(&types) {
            for statement in statements {
                let done = sqlx::query(sqlx::AssertSqlSafe(statement))
                    .execute(&mut connection)
                    .await;
                done.unwrap_or_else(|error| panic!("{pair}: {error}"));
            }
            let question = sqlx::query_scalar(sqlx::AssertSqlSafe(question));
            let changed: i64 = question.fetch_one(&mut connection).await.unwrap();
            assert_eq!(changed, 0, "{pair}");
            sqlx::query("DROP TABLE wide")
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }
}
