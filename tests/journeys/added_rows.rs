//! Rows that were added run by run cannot be computed again: a change of their model keeps them, and adds none twice.

use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::processes::StateFile;
use crate::workspace::Workspace;
use crate::workspace::on_postgres;

/// What stands in `raw.cur` today, with the day on which it was seen.
const SEEN: &str = "MODEL (name db.seen, kind INCREMENTAL_UNMANAGED);
SELECT v, CAST(@end_ds AS DATE) AS seen FROM raw.cur
";

const SUMMED: &str =
    "MODEL (name db.summed, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1,
  forward_only true, when_matched (WHEN MATCHED THEN UPDATE SET n = target.n + source.n)));
SELECT 1 AS id, CAST(count(*) AS INT) AS n FROM raw.cur
";

/// Three days have been seen, each with another value.
fn seen_for_three_days() -> Workspace {
    let workspace = Workspace::new(&[("models/seen.sql", SEEN), ("models/summed.sql", SUMMED)]);
    workspace
        .execute("CREATE SCHEMA raw; CREATE TABLE raw.cur (v INT); INSERT INTO raw.cur VALUES (1)");
    workspace.apply("prod", "2024-01-02");
    for day in [3, 4] {
        see(&workspace, day);
    }
    workspace
}

/// The value of the day, seen by the run of the next morning.
fn see(workspace: &Workspace, day: u32) {
    workspace.execute(&format!("UPDATE raw.cur SET v = {}", day - 1));
    let now = format!("2024-01-{day:02}");
    workspace.run(&["run", "--execution-time", &now]).fine();
}

fn seen(workspace: &Workspace, schema: &str) -> Vec<String> {
    let rows = workspace.rows(&format!("SELECT v FROM {schema}.seen ORDER BY seen"));
    rows.into_iter().flatten().collect()
}

fn summed(workspace: &Workspace) -> Vec<Vec<String>> {
    workspace.rows("SELECT n FROM db.summed")
}

fn edit(workspace: &Workspace) {
    workspace.edit("models/seen.sql", "SELECT v,", "SELECT v, v * 10 AS w,");
    workspace.edit("models/summed.sql", "1 AS id,", "1 AS id, 'a' AS w,");
}

/// As a kill between the warehouse's commit and the record leaves it, of all that was filled since.
fn forget(state: &StateFile, kept: i64) {
    state.execute(&format!("DELETE FROM siding_intervals WHERE id > {kept}"));
}

fn recorded(state: &StateFile) -> i64 {
    state.number("SELECT max(id) FROM siding_intervals")
}

fn a_change_keeps_the_rows_that_were_added() {
    let workspace = seen_for_three_days();
    assert_eq!(seen(&workspace, "db"), ["1", "2", "3"]);
    assert_eq!(summed(&workspace), [["3"]]);

    edit(&workspace);
    workspace.apply("dev", "2024-01-04");
    assert_eq!(seen(&workspace, "db__dev"), ["1", "2", "3"]);
    let plan = workspace.apply("prod", "2024-01-04");
    assert_eq!(plan.changes()["db.seen"], "direct/forward_only");
    see(&workspace, 5);

    assert_eq!(seen(&workspace, "db"), ["1", "2", "3", "4"]);
    let computed = "SELECT v FROM db.seen WHERE w = v * 10";
    assert_eq!(
        workspace.rows(computed),
        [["4"]],
        "only the new one is computed anew"
    );
    assert_eq!(summed(&workspace), [["4"]]);
}

fn a_batch_that_was_not_recorded_comes_along_and_is_not_added_again() {
    let workspace = seen_for_three_days();
    let state = StateFile::of(&workspace);
    let before = recorded(&state);
    see(&workspace, 5);
    forget(&state, before);

    edit(&workspace);
    workspace.apply("prod", "2024-01-04");
    assert_eq!(seen(&workspace, "db"), ["1", "2", "3", "4"]);
    for now in ["2024-01-05", "2024-01-05"] {
        workspace.run(&["run", "--execution-time", now]).fine();
    }
    assert_eq!(seen(&workspace, "db"), ["1", "2", "3", "4"]);
    assert_eq!(summed(&workspace), [["4"]]);

    // Neither when the copy itself was not recorded, nor what came after it.
    let of_copy = "SELECT max(id) FROM siding_intervals";
    let copied = state.number(of_copy);
    see(&workspace, 6);
    forget(&state, copied);
    workspace
        .run(&["run", "--execution-time", "2024-01-06"])
        .fine();
    assert_eq!(seen(&workspace, "db"), ["1", "2", "3", "4", "5"]);
    assert_eq!(summed(&workspace), [["5"]]);
}

#[test]
fn a_change_keeps_the_rows_that_were_added_on_both_engines() {
    a_change_keeps_the_rows_that_were_added();
    on_postgres(a_change_keeps_the_rows_that_were_added);
}

#[test]
fn a_batch_that_was_not_recorded_comes_along_and_is_not_added_again_on_both_engines() {
    a_batch_that_was_not_recorded_comes_along_and_is_not_added_again();
    on_postgres(a_batch_that_was_not_recorded_comes_along_and_is_not_added_again);
}

#[test]
fn kills_of_plans_that_copy_added_rows_double_nothing_and_lose_nothing() {
    let workspace = seen_for_three_days();
    let started = Instant::now();
    workspace.plan("prod", "2024-01-04");
    let whole = started.elapsed() * 3;
    for round in 0..12_u32 {
        let text = format!("SELECT v, {round} AS w,");
        let file = std::fs::read_to_string(workspace.path().join("models/seen.sql")).unwrap();
        let (head, tail) = file.split_once("SELECT v,").unwrap();
        let tail = tail.rsplit_once("CAST(").unwrap().1;
        workspace.write("models/seen.sql", &format!("{head}{text} CAST({tail}"));
        let mut child = workspace
            .command(&["plan", "--auto-apply", "--execution-time", "2024-01-04"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole * (round * 7 % 12) / 12 + Duration::from_millis(1));
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 3 == 2 {
            workspace.apply("prod", "2024-01-04");
        }
        assert_eq!(seen(&workspace, "db"), ["1", "2", "3"], "round {round}");
    }
    workspace.apply("prod", "2024-01-04");
    see(&workspace, 5);
    assert_eq!(seen(&workspace, "db"), ["1", "2", "3", "4"]);
}
