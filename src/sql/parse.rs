//! From text to a tree, or the reason why there is none.

use std::ops::ControlFlow;

use sqlparser::ast::Query;
use sqlparser::ast::Select;
use sqlparser::ast::SetExpr;
use sqlparser::ast::Statement;
use sqlparser::ast::TableFactor;
use sqlparser::ast::Visit;
use sqlparser::ast::Visitor;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::TokenWithSpan;
use sqlparser::tokenizer::Tokenizer;

use crate::sql::Dialect;
use crate::sql::depth;
use crate::sql::fold;
use crate::sql::grammar;

/// The tree of the one query in `text`, or why nobody here can read it.
pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Query, String> {
    let hooks = grammar::hooks(dialect);
    let tokens = Tokenizer::new(hooks, text)
        .with_unescape(!grammar::keeps_escapes(dialect))
        .tokenize_with_location()
        .map_err(|error| stops(&error.to_string()))?;
    if depth::weight(&tokens) > depth::HEAVIEST {
        return Err("it is nested too deep".to_owned());
    }
    let (tokens, is_nested_anew) = grammar::rewrite(tokens, dialect)?;
    if is_nested_anew && depth::weight(&tokens) > depth::HEAVIEST {
        return Err("it is nested too deep".to_owned());
    }
    let mut statements = Parser::new(hooks)
        .with_recursion_limit(2 * depth::HEAVIEST)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| stops(&error.to_string()))?;
    let statement = statements.pop();
    if !statements.is_empty() {
        return Err("there is more than one statement".to_owned());
    }
    let query = match statement {
        None => return Err("there is no statement".to_owned()),
        Some(Statement::Query(query)) => grammar::settle(*query, dialect),
        Some(_) => return Err("the statement is no query".to_owned()),
    };
    match query.visit(&mut Refusals { dialect }) {
        ControlFlow::Break(reason) => Err(reason),
        ControlFlow::Continue(()) => Ok(query),
    }
}

/// The tokens of the text with their places.
pub(super) fn tokens(text: &str, dialect: Dialect) -> Option<Vec<TokenWithSpan>> {
    Tokenizer::new(grammar::hooks(dialect), text)
        .tokenize_with_location()
        .ok()
}

fn stops(error: &str) -> String {
    let error = error
        .trim_start_matches("sql parser error: ")
        .trim_end_matches('.');
    let mut characters = error.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    let rest: String = first.into_iter().chain(characters).collect();
    format!("the parser stops: {rest}")
}

/// Finds what parses but means something that the code above the tree does not know.
struct Refusals {
    dialect: Dialect,
}

impl Refusals {
    fn body(&self, body: &SetExpr) -> ControlFlow<String> {
        match body {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => {
                ControlFlow::Continue(())
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left)?;
                self.body(right)
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                ControlFlow::Break("a part of it writes".to_owned())
            }
            // The parser drops the quotes of the name.
            SetExpr::Table(_) => ControlFlow::Break("`TABLE name` is not supported".to_owned()),
        }
    }
}

impl Visitor for Refusals {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.body(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        if select.into.is_some() {
            return ControlFlow::Break("`SELECT INTO` writes".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        let (TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::NestedJoin { alias, .. }) = factor
        else {
            return ControlFlow::Continue(());
        };
        if let TableFactor::Table { name, .. } = factor
            && fold::fold_parts(self.dialect, name).is_none()
        {
            return ControlFlow::Break("the name of a table is computed".to_owned());
        }
        // Words of the grammar that the parser takes for an alias.
        if let Some(alias) = alias
            && !alias.explicit
            && alias.name.quote_style.is_none()
            && [
                "positional",
                "asof",
                "anti",
                "semi",
                "sample",
                "tablesample",
            ]
            .contains(&alias.name.value.to_ascii_lowercase().as_str())
        {
            return ControlFlow::Break(format!(
                "`{}` after a table is not supported",
                alias.name.value
            ));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::sql::Dialect;
    use crate::sql::Query;
    use crate::sql::replace_tables;

    fn schema() -> std::sync::Arc<crate::sql::Schema> {
        std::sync::Arc::new(crate::sql::Schema::new([("x".to_owned(), None)]))
    }

    fn reason(text: &str) -> Option<String> {
        let query = Query::parse(text, Dialect::DuckDb);
        query.opaque_reason().map(str::to_owned)
    }

    #[test]
    fn anything_but_one_query_is_opaque() {
        assert_eq!(reason("SELECT 1;"), None);
        assert_eq!(reason("").as_deref(), Some("there is no statement"));
        assert_eq!(
            reason("SELECT 1; SELECT 2").as_deref(),
            Some("there is more than one statement")
        );
        assert_eq!(
            reason("DELETE FROM a").as_deref(),
            Some("the statement is no query")
        );
        assert!(reason("SELECT FROM WHERE").is_some_and(|r| r.starts_with("the parser stops: ")));
    }

    #[test]
    fn a_word_of_the_grammar_is_never_taken_for_an_alias() {
        let text = "SELECT * FROM a POSITIONAL, b";
        assert!(reason(text).is_some());
        let query = Query::parse(text, Dialect::DuckDb);
        assert_eq!(query.tables().len(), 2);
    }

    #[test]
    fn what_is_read_fits_a_small_stack_and_the_rest_is_opaque() {
        let texts = [
            format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
            format!("SELECT * FROM {}a{}", "(".repeat(5_000), ")".repeat(5_000)),
            format!("SELECT {}1", "- ".repeat(5_000)),
            format!("SELECT 1{}", " + 1".repeat(5_000)),
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5_000)),
            format!(
                "SELECT {}1{}",
                "CASE WHEN ".repeat(5_000),
                " END".repeat(5_000)
            ),
            format!("SELECT {}1{}", "f(".repeat(5_000), ")".repeat(5_000)),
            format!("SELECT {}", "[".repeat(5_000)),
            format!("SELECT x{}", "::int".repeat(5_000)),
            format!("SELECT x{}", "[1]".repeat(5_000)),
            format!("SELECT x::int{}", "[]".repeat(5_000)),
            format!("SELECT x IN (1{})", ", 1".repeat(50_000)),
            format!("{}1{}", "SELECT (".repeat(5_000), ")".repeat(5_000)),
            format!(
                "{}1{}",
                "SELECT * FROM (".repeat(5_000),
                ") AS t".repeat(5_000)
            ),
            format!(
                "SELECT * FROM {}a{}",
                "(a JOIN ".repeat(5_000),
                " ON true)".repeat(5_000)
            ),
            format!("SELECT {}1{}", "(".repeat(120), " + 1 + 1)".repeat(120)),
        ];
        for text in texts {
            let query = Query::parse(&text, Dialect::DuckDb);
            query.canonical(&|_| None);
            assert_eq!(replace_tables(&text, Dialect::DuckDb, &|_| None), text);
        }
    }

    /// Just below the limit nothing overflows: tests run on stacks of two megabytes.
    #[test]
    fn the_deepest_texts_that_are_read_are_handled() {
        type Nest = fn(usize) -> String;
        let nests: [Nest; 24] = [
            |n| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n)),
            |n| format!("SELECT * FROM {}SELECT 1{}", "(".repeat(n), ")".repeat(n)),
            |n| {
                format!(
                    "{}SELECT 1{}",
                    "SELECT * FROM (".repeat(n),
                    ") AS t".repeat(n)
                )
            },
            |n| format!("SELECT {}1{}", "f(".repeat(n), ")".repeat(n)),
            |n| {
                format!(
                    "SELECT {}1{}",
                    "CASE WHEN a THEN ".repeat(n),
                    " END".repeat(n)
                )
            },
            |n| format!("SELECT {}1{}", "[".repeat(n), "]".repeat(n)),
            |n| format!("SELECT {}1{}", "{'a': ".repeat(n), "}".repeat(n)),
            |n| format!("SELECT {}1{}", "f(x -> ".repeat(n), ")".repeat(n)),
            |n| format!("SELECT {}1{}", "1 IN (SELECT ".repeat(n), ")".repeat(n)),
            |n| format!("SELECT {}1{}", "EXISTS (SELECT ".repeat(n), ")".repeat(n)),
            |n| format!("SELECT {}1{}", "CAST(".repeat(n), " AS INT)".repeat(n)),
            |n| {
                format!(
                    "{}SELECT 1{}",
                    "WITH a AS (".repeat(n),
                    ") SELECT 1".repeat(n)
                )
            },
            |n| {
                format!(
                    "SELECT * FROM {}a{}",
                    "(a JOIN ".repeat(n),
                    " ON true)".repeat(n)
                )
            },
            |n| format!("SELECT {}1", "- ".repeat(n)),
            |n| format!("SELECT f({}1)", "lambda x: ".repeat(n)),
            |n| format!("SELECT f({}1)", "x -> ".repeat(n)),
            |n| format!("SELECT {}l{}", "[x FOR x IN ".repeat(n), "]".repeat(n)),
            |n| format!("SELECT {}1{}", "[".repeat(n), " FOR x IN l]".repeat(n)),
            |n| format!("SELECT 1{}", " ** 2".repeat(n)),
            |n| format!("SELECT 1{}", " IN l".repeat(n)),
            |n| format!("{}FROM a{}", "FROM (".repeat(n), " WHERE true)".repeat(n)),
            |n| format!("SELECT 1{}", " + 1".repeat(n)),
            |n| format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(n)),
            |n| {
                format!(
                    "SELECT {}1{}",
                    "sum(".repeat(n),
                    ") OVER (ORDER BY 1)".repeat(n)
                )
            },
        ];
        let known = |_: &crate::sql::TableName| Some(schema());
        for nest in nests {
            let opaque = (1..400).find(|n| {
                Query::parse(&nest(*n), Dialect::DuckDb)
                    .opaque_reason()
                    .is_some()
            });
            let deepest = opaque.expect("something is too deep") - 1;
            assert!(deepest >= 4, "{}", nest(deepest));
            let old = Query::parse(&nest(deepest), Dialect::DuckDb);
            let new = Query::parse(&nest(deepest - 1), Dialect::DuckDb);
            old.canonical(&known);
            let edit = crate::sql::Edit {
                rows: true,
                added: &[],
                removed: &[],
                changed: &["x".to_owned()],
                renamed: &[],
                reordered: false,
            };
            crate::sql::differences(&old, &new, &edit);
        }
    }

    proptest! {
        #[test]
        fn every_text_gets_an_answer(text in "\\PC{0,60}", dialect in 0..Dialect::ALL.len()) {
            let (_, dialect) = Dialect::ALL[dialect];
            let query = Query::parse(&text, dialect);
            query.canonical(&|_| None);
            prop_assert_eq!(replace_tables(&text, dialect, &|_| None), text);
        }

        #[test]
        fn every_heap_of_words_gets_an_answer(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "SELECT", "FROM", "a", "b.c", "*", ",", "(", ")", "WITH", "AS", "JOIN", "'t'",
                    "\"q\"", "UNION ALL", "WHERE", "1", "=", "GROUP BY", "--\n", "/* */", "é", "\n",
                ]),
                0..25,
            ),
        ) {
            let text = words.join(" ");
            let query = Query::parse(&text, Dialect::DuckDb);
            query.canonical(&|_| None);
            query.canonical(&|_| Some(schema()));
            prop_assert_eq!(replace_tables(&text, Dialect::DuckDb, &|_| None), text);
        }
    }
}
