//! Find a place of a model's query again in the file that it was read from.

use std::ops::Range;

use crate::model::Template;
use crate::project::substitute::closing;
use crate::sql::Dialect;
use crate::sql::tokens::Token;
use crate::sql::tokens::tokenize;

/// Where in `file`, the text of a model's file, the word stands that is at `line` and `column` (in characters, from 1)
/// of [`Template::for_analysis`]; the query's first word if it cannot be found.
///
/// Macros have other lengths in the file, so words are counted: the third `amount` here is the third one there.
pub fn place_of_name(
    file: &str,
    query: &Template,
    dialect: Dialect,
    (line, column): (u64, u64),
) -> Range<usize> {
    let (start, tokens) = query_tokens(file, query, dialect);
    let shifted = |token: &Token| token.span.start + start..token.span.end + start;
    let first = tokens.iter().find(|token| !token.is_trivia());
    let fallback = first.map_or(0..0, shifted);
    let analysed = query.for_analysis(dialect);
    let Some(offset) = offset(&analysed, line, column) else {
        return fallback;
    };
    let words = tokenize(&analysed, dialect);
    let Some(at) = words.iter().position(|word| word.span.contains(&offset)) else {
        return fallback;
    };
    let word = &words[at];
    let name = word.text(&analysed);
    let before = words[..at]
        .iter()
        .filter(|other| other.kind == word.kind && other.text(&analysed) == name)
        .count();
    let source = &file[start..];
    tokens
        .iter()
        .filter(|token| token.kind == word.kind && token.text(source) == name)
        .nth(before)
        .map_or(fallback, shifted)
}

/// The query's tokens in the file, and where their text begins.
fn query_tokens(file: &str, query: &Template, dialect: Dialect) -> (usize, Vec<Token>) {
    if let Some(start) = file.rfind(query.text()) {
        let end = start + query.text().len();
        return (start, tokenize(&file[start..end], dialect));
    }
    // A macro got its value while the project was loaded: the query is what stands behind the MODEL block.
    let tokens = tokenize(file, dialect);
    let open = tokens.iter().position(|token| token.is_mark(file, "("));
    let close = open.and_then(|open| closing(file, &tokens, open));
    let Some(close) = close else {
        return (0, tokens);
    };
    let start = tokens[close].span.end;
    let start = match tokens.get(close + 1) {
        Some(next) if next.is_mark(file, ";") => next.span.end,
        _ => start,
    };
    (start, tokenize(&file[start..], dialect))
}

/// The byte at a line and column of `text`; `None` when there is no such place.
fn offset(text: &str, line: u64, column: u64) -> Option<usize> {
    let line = usize::try_from(line.checked_sub(1)?).ok()?;
    let column = usize::try_from(column.checked_sub(1)?).ok()?;
    let start = match line.checked_sub(1) {
        None => 0,
        Some(before) => text.match_indices('\n').nth(before)?.0 + 1,
    };
    let (inside, _) = text[start..].char_indices().nth(column)?;
    Some(start + inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(file: &'a str, query: &str, place: (u64, u64)) -> &'a str {
        let span = place_of_name(file, &Template::new(query), Dialect::DuckDb, place);
        &file[span.start..]
    }

    #[test]
    fn a_name_behind_a_macro_is_found_where_it_was_written() {
        let query = "SELECT 'é' AS x,\n  a + @start_ds + b, b -- a b\nFROM t";
        let file = format!("MODEL (name a.b, kind VIEW);\n\n{query};\n");
        let analysed = Template::new(query).for_analysis(Dialect::DuckDb);
        let second = analysed.lines().nth(1).unwrap();
        let column = second.rfind(", b --").unwrap() as u64 + 3;
        assert_eq!(found(&file, query, (2, column)), "b -- a b\nFROM t;\n");
    }

    #[test]
    fn a_variable_of_the_project_does_not_hide_the_query() {
        let file = "MODEL (name a.b, kind VIEW);\nSELECT a, @limit, b FROM t";
        let query = "SELECT a, 1000, b FROM t";
        assert_eq!(found(file, query, (1, 17)), "b FROM t");
        assert_eq!(found(file, query, (9, 9)), "SELECT a, @limit, b FROM t");
    }
}
