//! Rows for the source tables: NULLs, duplicates, ties and empty tables.

use std::fmt::Write;

use crate::names::SOURCES;
use crate::random::Random;

/// What the rows of a data set are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// A few rows, a few NULLs.
    Plain,
    /// Hardly any two values differ: duplicates and ties everywhere, and NULLs.
    Ties,
    /// Some tables without rows.
    Empty,
    /// Values that mostly differ.
    Wide,
}

pub(crate) const FLAVOURS: [Flavour; 4] =
    [Flavour::Plain, Flavour::Ties, Flavour::Empty, Flavour::Wide];

/// The statements that make the source tables with their rows.
pub(crate) fn statements(random: &mut Random, flavour: Flavour) -> String {
    let mut sql = String::new();
    let emptied = random.below(SOURCES.len());
    for (index, (table, columns)) in SOURCES.iter().enumerate() {
        let declared: Vec<String> = columns
            .iter()
            .map(|(name, data_type)| format!("\"{name}\" {data_type}"))
            .collect();
        let _ = writeln!(sql, "CREATE TABLE {table} ({});", declared.join(", "));
        let count = match flavour {
            Flavour::Empty if index == emptied || random.chance(30) => 0,
            Flavour::Plain | Flavour::Empty => random.within(3, 7),
            Flavour::Ties => random.within(4, 8),
            Flavour::Wide => random.within(5, 9),
        };
        let mut rows: Vec<String> = Vec::new();
        for _ in 0..count {
            if !rows.is_empty() && random.chance(20) && flavour != Flavour::Wide {
                let again = random.pick(&rows).clone();
                rows.push(again);
                continue;
            }
            let cells: Vec<String> = columns
                .iter()
                .map(|(_, data_type)| value(random, data_type, flavour))
                .collect();
            rows.push(format!("({})", cells.join(", ")));
        }
        if !rows.is_empty() {
            let _ = writeln!(sql, "INSERT INTO {table} VALUES {};", rows.join(", "));
        }
    }
    sql
}

fn value(random: &mut Random, data_type: &str, flavour: Flavour) -> String {
    let (nulls, range) = match flavour {
        Flavour::Plain | Flavour::Empty => (15, 5),
        Flavour::Ties => (25, 2),
        Flavour::Wide => (8, 9),
    };
    if random.chance(nulls) {
        return "NULL".to_owned();
    }
    let number = random.below(range);
    let letter = ["a", "b", "c", "A", "", "1", "ab", "z", "B"][number];
    match data_type {
        "VARCHAR" => format!("'{letter}'"),
        "DATE" => format!("DATE '2024-01-0{}'", number % 6 + 1),
        "BOOLEAN" => if number.is_multiple_of(2) {
            "TRUE"
        } else {
            "FALSE"
        }
        .to_owned(),
        "DECIMAL(10,2)" => format!("{number}.5"),
        "INTEGER[]" => match number {
            0 => "[]".to_owned(),
            1 => "[1, 2]".to_owned(),
            2 => "[2, NULL]".to_owned(),
            other => format!("[{other}]"),
        },
        "STRUCT(a INTEGER, b VARCHAR)" => format!("{{'a': {number}, 'b': '{letter}'}}"),
        _ => number.to_string(),
    }
}
