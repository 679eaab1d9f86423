//! Histories of a source that only says how things are now: rows that change, come late, go and come back.

use super::*;

/// What the source holds on one day: by key the value and the day that it is from.
type State = BTreeMap<Option<u8>, (Option<u8>, u32)>;

/// Key, value, day, from, to; days as numbers.
type Version = (Option<u8>, Option<u8>, u32, u32, Option<u32>);

const BY_TIME_OF_ROW: &str =
    "SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name day, invalidate_hard_deletes true,
    updated_at_as_valid_from true, time_data_type DATE)";
const BY_VALUE: &str =
    "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v], invalidate_hard_deletes true,
    execution_time_as_valid_from true, time_data_type DATE)";

/// What the source holds day after day. A row is of its day or of the day before.
fn states() -> impl Strategy<Value = Vec<State>> {
    let key = proptest::option::weighted(0.8, 0u8..3);
    let value = (proptest::option::weighted(0.8, 0u8..3), 0u32..2);
    let state = proptest::collection::btree_map(key, value, 0..4);
    proptest::collection::vec(state, 1..6).prop_map(|states| {
        let numbered = (1..).zip(states);
        let of_day = |(today, state): (u32, BTreeMap<_, (_, u32)>)| {
            let rows = state.into_iter();
            rows.map(|(id, (v, late))| (id, (v, today - late)))
                .collect()
        };
        numbered.map(of_day).collect()
    })
}

/// What the history is to be after these days, by a simple account of them.
fn account(states: &[State], by_time: bool) -> Vec<Version> {
    let mut versions: Vec<Version> = Vec::new();
    for (today, state) in (1..).zip(states) {
        let mut added = Vec::new();
        for (id, (v, at)) in state {
            let open = versions
                .iter_mut()
                .find(|known| known.0 == *id && known.4.is_none());
            match open {
                Some(open) => {
                    let differs = if by_time { *at > open.2 } else { *v != open.1 };
                    if differs {
                        let since = if by_time { *at } else { today };
                        open.4 = Some(since);
                        added.push((*id, *v, *at, since, None));
                    }
                }
                None => {
                    let gone = versions.iter().filter(|known| known.0 == *id);
                    let gone = gone.filter_map(|known| known.4).max().unwrap_or(0);
                    let since = if by_time { gone.max(*at) } else { today };
                    added.push((*id, *v, *at, since, None));
                }
            }
        }
        for open in versions.iter_mut().filter(|known| known.4.is_none()) {
            if !state.contains_key(&open.0) {
                open.4 = Some(today);
            }
        }
        versions.extend(added);
    }
    versions.sort();
    versions
}

async fn holds(bench: &Bench, states: &[State]) -> Told {
    for (kind, by_time) in [(BY_TIME_OF_ROW, true), (BY_VALUE, false)] {
        let table = bench.table((kind, "SELECT id, v, day FROM raw.events"));
        for (today, state) in (1..).zip(states) {
            let mut statements = vec!["DELETE FROM raw.events".to_owned()];
            let null =
                |value: Option<u8>| value.map_or("NULL".to_owned(), |value| value.to_string());
            for (id, (v, at)) in state {
                let (id, v, at) = (null(*id), null(*v), day(*at).format("%Y-%m-%d"));
                statements.push(format!("INSERT INTO raw.events VALUES ({id}, {v}, '{at}')"));
            }
            for sql in statements {
                bench.engine.execute(&sql).await.unwrap();
            }
            let range = Interval::new(day(today - 1), day(today)).unwrap();
            // Twice, as after a kill between the commit and its record.
            for again in [false, true] {
                table.write(range, day(today), today == 1 && !again).await;
            }
        }
        let number = |column: &str| format!("{column} - DATE '2024-01-01'");
        let columns = [
            "id",
            "v",
            &number("day"),
            &number("valid_from"),
            &number("valid_to"),
        ]
        .map(|column| format!("coalesce(CAST({column} AS VARCHAR), '')"));
        let sql = format!(
            "SELECT {} AS told FROM {}",
            columns.join(" || ',' || "),
            table.name
        );
        let found = bench.engine.query(&sql).await.unwrap();
        let mut found: Vec<String> = found
            .strings("told")
            .unwrap()
            .into_iter()
            .flatten()
            .collect();
        found.sort();
        let text = |value: Option<u32>| value.map_or_else(String::new, |value| value.to_string());
        let byte = |value: Option<u8>| text(value.map(u32::from));
        let expected = account(states, by_time).into_iter();
        let mut expected: Vec<String> = expected
            .map(|(id, v, at, from, to)| {
                format!("{},{},{at},{from},{}", byte(id), byte(v), text(to))
            })
            .collect();
        expected.sort();
        prop_assert_eq!(found, expected, "{} {:?}", kind, states);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_history_of_what_is_now_is_what_an_account_of_the_days_says(states in states()) {
        block_on(async { holds(&Bench::duckdb(&[]).await, &states).await })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    #[test]
    fn and_on_postgres_too(states in states()) {
        block_on(async { holds(&Bench::postgres(&[]).await, &states).await })?;
    }
}
