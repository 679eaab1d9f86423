//! Our answers beside those that PostgreSQL gave: `fixtures/types/postgres.tsv`.

use std::collections::BTreeMap;

use crate::sql::Dialect;
use crate::sql::types::Call;
use crate::sql::types::Context;
use crate::sql::types::Operand;
use crate::sql::types::in_postgres;
use crate::sql::types::in_postgres::overloads;
use crate::sql::types::list_of;
use crate::sql::types::operand;
use crate::sql::types::parse_type;

const RECORDED: &str = include_str!("../../../../fixtures/types/postgres.tsv");

fn operand(text: &str) -> Operand {
    match text {
        "NULL" => Operand::Null,
        "true" => parse_type("boolean", Dialect::Postgres).unwrap().into(),
        text if text.starts_with('\'') => Operand::String(text.trim_matches('\'').into()),
        text if text.starts_with(|first: char| first.is_ascii_digit()) => {
            operand::number(text, Dialect::Postgres).unwrap()
        }
        text => parse_type(text, Dialect::Postgres).unwrap().into(),
    }
}

/// Our answer to one line.
fn ours(kind: &str, name: &str, arguments: &[Option<Operand>]) -> Option<Operand> {
    match kind {
        "operator" => in_postgres::operator(name, arguments),
        "choice" => in_postgres::common(Context::Choice, arguments),
        "case" => in_postgres::common(Context::Case, arguments),
        "union" => in_postgres::common(Context::Union, arguments),
        "list" => list_of(arguments, Dialect::Postgres).map(Operand::from),
        "function" => {
            let ordered = ["percentile_cont", "percentile_disc", "mode"].contains(&name);
            let (arguments, within_group) = match arguments.split_last() {
                Some((last, others)) if ordered => (others, std::slice::from_ref(last)),
                _ => (arguments, &[][..]),
            };
            in_postgres::function(&Call {
                name,
                arguments,
                names: &[],
                within_group,
            })
        }
        other => panic!("no kind {other}"),
    }
}

#[test]
fn every_answer_is_the_one_that_postgres_gave() {
    let mut wrong = Vec::new();
    let mut missing: BTreeMap<(&str, &str), (usize, &str)> = BTreeMap::new();
    let mut right = 0;
    for line in RECORDED.lines().filter(|line| !line.starts_with("# ")) {
        let [kind, name, texts, theirs] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let arguments: Vec<Option<Operand>> = texts
            .split("; ")
            .filter(|text| !text.is_empty())
            .map(|text| Some(operand(text)))
            .collect();
        let answer =
            ours(kind, name, &arguments).and_then(|answer| answer.settle(Dialect::Postgres));
        match answer {
            None => {
                let (count, example) = missing.entry((kind, name)).or_default();
                *count += 1;
                *example = line;
            }
            Some(answer) if answer.in_dialect(Dialect::Postgres).to_string() == theirs => {
                right += 1;
            }
            Some(answer) => wrong.push(format!(
                "{line}, not {}",
                answer.in_dialect(Dialect::Postgres)
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong, {right} right:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let sum: usize = missing.values().map(|(count, _)| count).sum();
    assert!(sum <= 50, "{sum} missing, {right} right: {missing:#?}");
}

#[test]
fn every_overload_in_the_table_can_be_read() {
    for (name, text) in overloads::table() {
        assert_eq!(
            text.split(" | ").count(),
            overloads::overloads(name).len(),
            "{name}"
        );
    }
}
