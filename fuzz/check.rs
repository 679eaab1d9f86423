//! What the fuzzer asks, and what the tests replay: `use …::sql` stands where this is included.

use std::sync::Arc;

use super::sql::Dialect;
use super::sql::Edit;
use super::sql::Query;
use super::sql::Schema;
use super::sql::TableName;
use super::sql::differences;
use super::sql::name_casts;
use super::sql::replace_tables;

/// The first byte chooses the dialect, the rest is the text.
pub(crate) fn meaning(bytes: &[u8]) {
    let Some((dialect, text)) = split(bytes) else {
        return;
    };
    let query = Query::parse(text, dialect);
    for known in [true, false] {
        let schema_of = |table: &TableName| schema(table, known);
        let digest = query.canonical(&schema_of);
        assert_eq!(Query::parse(text, dialect).canonical(&schema_of), digest);
        if let Some(printed) = query.printed() {
            let again = Query::parse(&printed, dialect);
            // What is not decoded when it is printed may be opaque; what is read must mean the same.
            if again.opaque_reason().is_none() && query.meaning(&schema_of).coarse.is_none() {
                assert_eq!(again.canonical(&schema_of), digest, "{printed}");
            }
        }
    }
    name_casts(text, dialect);
    assert_eq!(replace_tables(text, dialect, &|_| None), text);
}

/// As [`meaning`], with two texts and a zero byte between them.
pub(crate) fn edit(bytes: &[u8]) {
    let Some((dialect, text)) = split(bytes) else {
        return;
    };
    let Some((old, new)) = text.split_once('\0') else {
        return;
    };
    let (old, new) = (Query::parse(old, dialect), Query::parse(new, dialect));
    let names = ["a".to_owned(), "b".to_owned()];
    let edit = Edit {
        rows: true,
        added: &names,
        removed: &names,
        changed: &names,
        renamed: &[],
        reordered: true,
    };
    differences(&old, &new, &edit);
}

fn split(bytes: &[u8]) -> Option<(Dialect, &str)> {
    let (first, rest) = bytes.split_first()?;
    let (_, dialect) = Dialect::ALL[usize::from(*first) % Dialect::ALL.len()];
    // A newline behind the byte keeps corpora readable.
    Some((dialect, std::str::from_utf8(rest).ok()?))
}

fn schema(table: &TableName, known: bool) -> Option<Arc<Schema>> {
    let columns = ["a", "b", "c", table.name.as_str()];
    known.then(|| Arc::new(Schema::new(columns.map(|name| (name.to_owned(), None)))))
}
