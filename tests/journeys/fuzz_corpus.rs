//! Replays what fuzzing has kept: see `make fuzz`.

use std::path::Path;

use siding::sql;

#[path = "../../fuzz/check.rs"]
mod check;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(
        count > 20,
        "the corpus of `{target}` has {count} files only"
    );
}

#[test]
fn every_text_that_fuzzing_kept_gets_an_answer() {
    replay("meaning", check::meaning);
}

#[test]
fn every_edit_that_fuzzing_kept_gets_words() {
    replay("edit", check::edit);
}
