//! Most texts hold nothing that a rewrite for DuckDB touches; telling so costs less than trying them all.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;
use sqlparser::tokenizer::TokenWithSpan;
use sqlparser::tokenizer::Word;

/// Whether no rewrite but that of [`names`] would change `tokens`, which are without whitespace.
pub(super) fn is_plain(tokens: &[TokenWithSpan]) -> bool {
    // What closes each level of brackets, and whether a SELECT stands before in it.
    let mut open: Vec<(&Token, bool)> = vec![(&Token::EOF, false)];
    let token = |index: usize| tokens.get(index).map(|token| &token.token);
    let keyword = |index: Option<usize>| match index.and_then(token) {
        Some(Token::Word(word)) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    for (index, found) in tokens.iter().enumerate() {
        let before = index.checked_sub(1);
        match &found.token {
            Token::LParen => open.push((&Token::RParen, false)),
            Token::LBracket => open.push((&Token::RBracket, false)),
            Token::LBrace => open.push((&Token::RBrace, false)),
            close @ (Token::RParen | Token::RBracket | Token::RBrace)
                if open.pop().is_none_or(|(expected, _)| expected != close) =>
            {
                return false;
            }
            Token::RParen | Token::RBracket | Token::RBrace => {}
            // Prefix aliases, positions and operators that the tokenizer cuts in two.
            Token::Colon
            | Token::Sharp
            | Token::DoubleTilde
            | Token::ExclamationMarkDoubleTilde => return false,
            Token::Mod if keyword(index.checked_sub(2)) == Keyword::LIMIT => return false,
            Token::Word(word) => {
                if is_special(word) {
                    return false;
                }
                let Some((_, select)) = open.last_mut() else {
                    return false;
                };
                match word.keyword {
                    Keyword::SELECT => *select = true,
                    Keyword::WITH | Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => {
                        *select = false;
                    }
                    Keyword::FROM if !*select => return false,
                    Keyword::LIKE | Keyword::ILIKE | Keyword::GLOB | Keyword::SIMILAR => {
                        let negated = keyword(before) == Keyword::NOT;
                        let operand = index.checked_sub(1 + usize::from(negated));
                        if operand.and_then(token) == Some(&Token::Mul) {
                            return false;
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    open.len() == 1
}

/// Whether some rewrite looks for the word.
fn is_special(word: &Word) -> bool {
    if word.quote_style.is_some() {
        return false;
    }
    match word.keyword {
        Keyword::NoKeyword => {
            let words = [
                "columns",
                "positional",
                "pivot_wider",
                "pivot_longer",
                "reservoir",
                "summarize",
            ];
            words
                .iter()
                .any(|special| word.value.eq_ignore_ascii_case(special))
        }
        keyword => matches!(
            keyword,
            Keyword::ASOF
                | Keyword::BERNOULLI
                | Keyword::COLUMNS
                | Keyword::DESCRIBE
                | Keyword::EXCLUDE
                | Keyword::FILTER
                | Keyword::FOR
                | Keyword::KEY
                | Keyword::MATERIALIZED
                | Keyword::PERCENT
                | Keyword::PIVOT
                | Keyword::SAMPLE
                | Keyword::SHOW
                | Keyword::SYSTEM
                | Keyword::TABLE
                | Keyword::TABLESAMPLE
                | Keyword::TRIM
                | Keyword::UNPIVOT
        ),
    }
}

/// Behind a dot every word is a name.
pub(super) fn names(tokens: &mut [TokenWithSpan]) {
    for index in 1..tokens.len() {
        if tokens[index - 1].token == Token::Period
            && let Token::Word(word) = &mut tokens[index].token
        {
            word.keyword = Keyword::NoKeyword;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;
    use crate::sql::grammar::duckdb_level;
    use crate::sql::grammar::literals;
    use crate::sql::grammar::tree;
    use crate::sql::parse;

    /// The tokens as the rewrites leave them.
    fn rewritten(tokens: &[TokenWithSpan]) -> Option<Vec<TokenWithSpan>> {
        let mut level = tree::read(tokens)?;
        duckdb_level(&mut level, None).ok()?;
        let mut tokens = Vec::new();
        tree::write(level, &mut tokens);
        Some(tokens)
    }

    fn agrees(text: &str) -> bool {
        let tokens = parse::tokens(text, Dialect::DuckDb).unwrap_or_default();
        let Ok(mut tokens) = literals::rewrite(tokens, Dialect::DuckDb) else {
            return false;
        };
        let is_plain = is_plain(&tokens);
        if is_plain {
            let slow = rewritten(&tokens);
            names(&mut tokens);
            assert_eq!(slow.as_ref(), Some(&tokens), "{text}");
        }
        is_plain
    }

    #[test]
    fn ordinary_queries_are_plain() {
        for text in [
            "SELECT a.day, sum(x % 7) AS s FROM t AS a LEFT JOIN u ON a.b = u.b GROUP BY 1 LIMIT 10",
            "WITH c AS (SELECT 1 AS x) SELECT * FROM c UNION ALL SELECT x::INT FROM d WHERE n LIKE 'a%'",
        ] {
            assert!(agrees(text), "{text}");
        }
    }

    /// Over words that rewrites look for and those around them, in every order of a few.
    #[test]
    fn what_is_plain_no_rewrite_would_change() {
        let words = [
            "SELECT", "FROM", "WITH", "AS", "a", "a.filter", "*", "(", ")", ",", "UNION", "LIKE",
            "'x'", "TABLE", "WHERE", "DISTINCT", "NOT", "1",
        ];
        let mut plain = 0;
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            let mut length = 0;
            while length < 9 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(seed >> 33).unwrap() % words.len();
                text.push_str(words[at]);
                text.push(' ');
                length += 1;
            }
            plain += u32::from(agrees(&text));
        }
        assert!(plain > 1_000, "{plain}");
    }

    #[test]
    fn every_text_of_the_fuzzer_agrees() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/meaning");
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            agrees(&String::from_utf8_lossy(&bytes));
        }
    }
}
