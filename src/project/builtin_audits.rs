//! The audits that every project has.

use crate::project::value::Value;
use crate::sql::Dialect;
use crate::sql::tokens;
use crate::sql::tokens::Token;

/// An audit that every project has.
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    /// Arguments that must be given.
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// The query; `WHERE` already has the condition.
    query: fn(&Arguments<'_>) -> String,
}

/// Built-in audits of the format that Siding does not have yet.
pub(super) const UNSUPPORTED: [&str; 21] = [
    "not_constant",
    "not_null_proportion",
    "sequential_values",
    "mutually_exclusive_ranges",
    "valid_uuid",
    "valid_url",
    "valid_email",
    "valid_http_method",
    "match_regex_pattern_list",
    "not_match_regex_pattern_list",
    "match_like_pattern_list",
    "not_match_like_pattern_list",
    "string_length_between",
    "string_length_equal",
    "mean_in_range",
    "stddev_in_range",
    "z_score",
    "kl_divergence",
    "chi_square",
    "freshness",
    "relationships",
];

/// Source: spec surface.md 5.3.
pub(super) const ALL: [BuiltIn; 10] = [
    BuiltIn {
        name: "not_null",
        required: &["columns"],
        optional: &[],
        query: |arguments| {
            let nulls = arguments.each("columns", |column| format!("{column} IS NULL"));
            arguments.rows_where(&nulls.join(" OR "))
        },
    },
    BuiltIn {
        name: "unique_values",
        required: &["columns"],
        optional: &[],
        query: |arguments| {
            let mut ranks = Vec::new();
            let mut repeats = Vec::new();
            for (index, column) in arguments.list("columns").iter().enumerate() {
                ranks.push(format!(
                    "ROW_NUMBER() OVER (PARTITION BY {column} ORDER BY {column}) AS rank_{index}"
                ));
                repeats.push(format!("rank_{index} > 1"));
            }
            format!(
                "SELECT * FROM (SELECT {} FROM @this_model WHERE {}) AS ranked WHERE {}",
                ranks.join(", "),
                arguments.condition(),
                repeats.join(" OR ")
            )
        },
    },
    BuiltIn {
        name: "unique_combination_of_columns",
        required: &["columns"],
        optional: &[],
        query: |arguments| {
            let columns = arguments.list("columns").join(", ");
            format!(
                "SELECT {columns} FROM @this_model WHERE {} GROUP BY {columns} HAVING COUNT(*) > 1",
                arguments.condition()
            )
        },
    },
    BuiltIn {
        name: "accepted_values",
        required: &["column", "is_in"],
        optional: &[],
        query: |arguments| {
            let values = arguments.list("is_in").join(", ");
            arguments.rows_where(&format!("{} NOT IN ({values})", arguments.one("column")))
        },
    },
    BuiltIn {
        name: "not_accepted_values",
        required: &["column", "is_in"],
        optional: &[],
        query: |arguments| {
            let values = arguments.list("is_in").join(", ");
            arguments.rows_where(&format!("{} IN ({values})", arguments.one("column")))
        },
    },
    BuiltIn {
        name: "number_of_rows",
        required: &["threshold"],
        optional: &[],
        query: |arguments| {
            format!(
                "SELECT COUNT(*) AS number_of_rows FROM @this_model WHERE {} HAVING COUNT(*) <= {}",
                arguments.condition(),
                arguments.one("threshold")
            )
        },
    },
    BuiltIn {
        name: "forall",
        required: &["criteria"],
        optional: &[],
        query: |arguments| {
            let failed = arguments.each("criteria", |criterion| format!("NOT ({criterion})"));
            arguments.rows_where(&failed.join(" OR "))
        },
    },
    BuiltIn {
        name: "accepted_range",
        required: &["column"],
        optional: &["min_v", "max_v", "inclusive"],
        query: |arguments| {
            let column = arguments.one("column");
            let inclusive = !arguments.one("inclusive").eq_ignore_ascii_case("false");
            let (below, above) = if inclusive { ("<", ">") } else { ("<=", ">=") };
            let mut outside = Vec::new();
            let min = arguments.one("min_v");
            if !min.is_empty() && !min.eq_ignore_ascii_case("null") {
                outside.push(format!("{column} {below} {min}"));
            }
            let max = arguments.one("max_v");
            if !max.is_empty() && !max.eq_ignore_ascii_case("null") {
                outside.push(format!("{column} {above} {max}"));
            }
            if outside.is_empty() {
                outside.push("FALSE".to_owned());
            }
            arguments.rows_where(&outside.join(" OR "))
        },
    },
    BuiltIn {
        name: "at_least_one",
        required: &["column"],
        optional: &[],
        query: |arguments| {
            let column = arguments.one("column");
            format!(
                "SELECT COUNT(*) AS number_of_rows FROM @this_model WHERE {} \
                 HAVING COUNT(*) > 0 AND COUNT({column}) = 0",
                arguments.condition()
            )
        },
    },
    BuiltIn {
        name: "not_empty_string",
        required: &["column"],
        optional: &[],
        query: |arguments| arguments.rows_where(&format!("{} = ''", arguments.one("column"))),
    },
];

impl BuiltIn {
    /// The query for these arguments, values as SQL. `Err` says what is wrong with them.
    pub(super) fn query(
        &self,
        arguments: &[(String, String)],
        dialect: Dialect,
    ) -> Result<String, String> {
        for required in self.required {
            if !arguments.iter().any(|(name, _)| name == required) {
                return Err(format!("`{}` needs the argument `{required}`", self.name));
            }
        }
        for (name, _) in arguments {
            let known = name == "condition"
                || self.required.contains(&name.as_str())
                || self.optional.contains(&name.as_str());
            if !known {
                return Err(format!("`{}` has no argument `{name}`", self.name));
            }
        }
        Ok((self.query)(&Arguments { arguments, dialect }))
    }
}

struct Arguments<'a> {
    arguments: &'a [(String, String)],
    dialect: Dialect,
}

impl Arguments<'_> {
    /// The value as written; empty when not given.
    fn one(&self, name: &str) -> &str {
        let found = self.arguments.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The items of a list, or one value alone.
    fn list(&self, name: &str) -> Vec<String> {
        let text = self.one(name);
        let tokens = tokens::tokenize(text, self.dialect);
        let tokens: Vec<Token> = tokens.into_iter().filter(|t| !t.is_trivia()).collect();
        let value = Value {
            text,
            tokens: &tokens,
            dialect: self.dialect,
        };
        let items = value.items();
        items
            .into_iter()
            .map(|item| item.raw().to_owned())
            .collect()
    }

    fn each(&self, name: &str, then: impl Fn(&str) -> String) -> Vec<String> {
        self.list(name).iter().map(|item| then(item)).collect()
    }

    fn condition(&self) -> String {
        match self.one("condition") {
            "" => "TRUE".to_owned(),
            condition => format!("({condition})"),
        }
    }

    fn rows_where(&self, wrong: &str) -> String {
        match self.one("condition") {
            "" => format!("SELECT * FROM @this_model WHERE {wrong}"),
            condition => format!("SELECT * FROM @this_model WHERE ({wrong}) AND ({condition})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, arguments: &[(&str, &str)]) -> Result<String, String> {
        let audit = ALL.iter().find(|audit| audit.name == name).unwrap();
        let owned: Vec<_> = arguments
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        audit.query(&owned, Dialect::DuckDb)
    }

    #[test]
    fn queries_give_the_rows_that_are_wrong() {
        assert_eq!(
            query("not_null", &[("columns", "(a, b)"), ("condition", "c > 1")]).unwrap(),
            "SELECT * FROM @this_model WHERE (a IS NULL OR b IS NULL) AND (c > 1)"
        );
        assert_eq!(
            query(
                "accepted_values",
                &[("column", "a"), ("is_in", "['x', 'y']")]
            )
            .unwrap(),
            "SELECT * FROM @this_model WHERE a NOT IN ('x', 'y')"
        );
        assert_eq!(
            query("forall", &[("criteria", "(a > 0, f(b, 1))")]).unwrap(),
            "SELECT * FROM @this_model WHERE NOT (a > 0) OR NOT (f(b, 1))"
        );
        assert_eq!(
            query("number_of_rows", &[("threshold", "10")]).unwrap(),
            "SELECT COUNT(*) AS number_of_rows FROM @this_model WHERE TRUE HAVING COUNT(*) <= 10"
        );
    }

    #[test]
    fn wrong_arguments_are_said() {
        assert_eq!(
            query("not_null", &[]).unwrap_err(),
            "`not_null` needs the argument `columns`"
        );
        assert_eq!(
            query("not_null", &[("columns", "a"), ("colums", "b")]).unwrap_err(),
            "`not_null` has no argument `colums`"
        );
    }
}
