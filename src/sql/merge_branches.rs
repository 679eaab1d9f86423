//! The `WHEN …` clauses of a `MERGE`, taken apart for engines that have none.

use crate::sql::Dialect;
use crate::sql::tokens;
use crate::sql::tokens::Token;

/// One `WHEN MATCHED … THEN …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeBranch {
    /// What has to hold besides the match; `None` if nothing has.
    pub condition: Option<String>,
    /// What is done with the target's row.
    pub action: MergeAction,
}

/// What a [`MergeBranch`] does with the target's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeAction {
    /// The assignments behind `UPDATE SET`.
    Update(String),
    /// `DELETE`.
    Delete,
    /// `DO NOTHING`.
    Nothing,
}

/// The branches of `clauses` in their order.
///
/// # Errors
/// The first clause that is none of `WHEN MATCHED [AND …] THEN UPDATE SET … | DELETE | DO NOTHING`, as it is written.
pub fn merge_branches(clauses: &str, dialect: Dialect) -> Result<Vec<MergeBranch>, String> {
    let tokens = tokens::tokenize(clauses, dialect);
    let tokens: Vec<&Token> = tokens.iter().filter(|token| !token.is_trivia()).collect();
    let outer = outer(clauses, &tokens);
    let begins = (0..tokens.len()).filter(|&at| outer[at] && tokens[at].is_word(clauses, "WHEN"));
    let begins: Vec<usize> = begins.collect();
    let ends = begins.iter().skip(1).copied().chain([tokens.len()]);
    let mut found = Vec::new();
    for (begin, end) in begins.iter().copied().zip(ends) {
        let clause = Clause {
            text: clauses,
            tokens: &tokens[begin..end],
            outer: &outer[begin..end],
        };
        found.push(
            clause
                .branch()
                .ok_or_else(|| clause.written(0, end - begin))?,
        );
    }
    if begins.first() == Some(&0) {
        Ok(found)
    } else {
        Err(clauses.to_owned())
    }
}

/// Whether each token stands outside of all brackets and `CASE … END`.
fn outer(text: &str, tokens: &[&Token]) -> Vec<bool> {
    let mut depth = 0_usize;
    let mut outer = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let is_name = at > 0 && tokens[at - 1].is_mark(text, ".");
        let is_word = |word: &str| !is_name && token.is_word(text, word);
        let is_mark = |marks: &[&str]| marks.iter().any(|mark| token.is_mark(text, mark));
        if is_mark(&[")", "]"]) || is_word("END") {
            depth = depth.saturating_sub(1);
        }
        outer.push(depth == 0);
        if is_mark(&["(", "["]) || is_word("CASE") {
            depth += 1;
        }
    }
    outer
}

/// The tokens of one clause, without blanks and comments.
struct Clause<'a> {
    text: &'a str,
    tokens: &'a [&'a Token],
    outer: &'a [bool],
}

impl Clause<'_> {
    fn branch(&self) -> Option<MergeBranch> {
        let then = (0..self.tokens.len()).find(|&at| self.outer[at] && self.is(at, &["THEN"]))?;
        if !self.is(0, &["WHEN", "MATCHED"]) {
            return None;
        }
        let condition = match then {
            2 => None,
            4.. if self.is(2, &["AND"]) => Some(self.written(3, then)),
            _ => return None,
        };
        let (first, last) = (then + 1, self.tokens.len());
        let action = match last - first {
            1 if self.is(first, &["DELETE"]) => MergeAction::Delete,
            2 if self.is(first, &["DO", "NOTHING"]) => MergeAction::Nothing,
            3.. if self.is(first, &["UPDATE", "SET"]) => {
                MergeAction::Update(self.written(first + 2, last))
            }
            _ => return None,
        };
        Some(MergeBranch { condition, action })
    }

    /// Whether these words begin with the token at `at`.
    fn is(&self, at: usize, words: &[&str]) -> bool {
        let mut words = words.iter().enumerate();
        words.all(|(index, word)| {
            let token = self.tokens.get(at + index);
            token.is_some_and(|token| token.is_word(self.text, word))
        })
    }

    /// What stands from one token to before another.
    fn written(&self, first: usize, end: usize) -> String {
        let span = self.tokens[first].span.start..self.tokens[end - 1].span.end;
        self.text[span].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(condition: Option<&str>, action: MergeAction) -> MergeBranch {
        MergeBranch {
            condition: condition.map(str::to_owned),
            action,
        }
    }

    #[test]
    fn clauses_end_where_the_next_begins_and_not_within_a_case_or_brackets() {
        let clauses = "WHEN MATCHED AND CASE WHEN \"source\".v > 1 THEN true ELSE false END THEN UPDATE SET v = CASE
             WHEN \"source\".a THEN 'WHEN' END, w = (SELECT CASE WHEN true THEN 1 END) -- WHEN
             WHEN MATCHED AND \"target\".v IS NULL /* THEN */ THEN DELETE when matched and \"target\".case is null then do nothing";
        assert_eq!(
            merge_branches(clauses, Dialect::Postgres).unwrap(),
            [
                branch(
                    Some("CASE WHEN \"source\".v > 1 THEN true ELSE false END"),
                    MergeAction::Update(
                        "v = CASE
             WHEN \"source\".a THEN 'WHEN' END, w = (SELECT CASE WHEN true THEN 1 END)"
                            .to_owned()
                    )
                ),
                branch(Some("\"target\".v IS NULL"), MergeAction::Delete),
                branch(Some("\"target\".case is null"), MergeAction::Nothing),
            ]
        );
    }

    #[test]
    fn a_clause_that_is_something_else_is_given_as_it_is_written() {
        for (clauses, written) in [
            (
                "WHEN MATCHED THEN DELETE WHEN NOT MATCHED BY SOURCE THEN DELETE",
                "WHEN NOT MATCHED BY SOURCE THEN DELETE",
            ),
            ("WHEN MATCHED THEN UPDATE", "WHEN MATCHED THEN UPDATE"),
            (
                "WHEN MATCHED AND THEN DELETE",
                "WHEN MATCHED AND THEN DELETE",
            ),
            ("WHEN MATCHED DELETE", "WHEN MATCHED DELETE"),
            ("WHEN MATCHED THEN", "WHEN MATCHED THEN"),
            ("THEN DELETE", "THEN DELETE"),
            ("", ""),
        ] {
            let refused = merge_branches(clauses, Dialect::Postgres);
            assert_eq!(refused, Err(written.to_owned()));
        }
    }
}
