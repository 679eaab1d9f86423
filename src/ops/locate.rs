//! Where in its file a model is declared, for what is said about it as a whole.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::project::FileTree;
use crate::sql::Dialect;
use crate::sql::tokens;

/// Gives each of `diagnostics` that is about a whole file of a model the line on which that is named.
pub fn locate(diagnostics: &mut [Diagnostic], files: &FileTree) {
    for diagnostic in diagnostics {
        if diagnostic.line > 0 || !diagnostic.file.ends_with(".sql") {
            continue;
        }
        let Some(text) = files.get(&diagnostic.file) else {
            continue;
        };
        if let Some(span) = name_in(text) {
            let file = diagnostic.file.clone();
            *diagnostic = diagnostic.clone().at(&file, text, span);
        }
    }
}

/// Where the value of `name` is in the block `MODEL (…)`.
fn name_in(text: &str) -> Option<Range<usize>> {
    let tokens = tokens::tokenize(text, Dialect::DuckDb);
    let mut tokens = tokens.iter().filter(|token| !token.is_trivia());
    tokens.find(|token| token.is_word(text, "MODEL"))?;
    tokens.find(|token| token.is_word(text, "name"))?;
    let is_end = |mark| mark == "," || mark == ")" || mark == ";";
    let mut value = tokens.take_while(|token| !is_end(token.text(text)));
    let first = value.next()?;
    let end = value.last().unwrap_or(first).span.end;
    Some(first.span.start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_where_its_block_says_its_name() {
        let text = "-- the name of the MODEL\nMODEL (\n  kind FULL,\n  name \"a b\".c,\n);\nSELECT 1 AS name";
        let span = name_in(text).unwrap();
        assert_eq!(&text[span], "\"a b\".c");
        assert_eq!(name_in("SELECT 1"), None);
    }
}
