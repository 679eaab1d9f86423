//! Intervals wait until a signal says that what they are made of is there: they are neither filled nor recorded, what reads
//! them waits for the same times, and who asks later gets the rows of a project that never waited.

use serde_json::Value;
use serde_json::json;

use crate::engines::missing;
use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    a_signal_that_is_never_ready_records_nothing_and_holds_back_what_reads_the_model,
    the_first_two_of_five_days_are_filled_and_the_others_later,
    each_of_several_signals_sees_what_those_before_left,
    a_signal_that_cannot_be_asked_fails_its_model_and_no_other,
    answers_that_are_none_are_said_with_their_place,
    what_is_wrong_with_a_signal_is_said_with_its_place,
    freshness_is_always_ready_and_says_so_once,
    a_signal_counts_what_its_parents_got_in_the_same_run,
    a_hole_holds_back_what_builds_on_its_past_and_nothing_beside_it,
    what_is_restated_waits_as_well,
    a_hole_that_stays_makes_nothing_again_until_it_is_filled,
    a_new_model_goes_no_further_than_what_it_reads,
    a_new_version_that_waits_says_that_it_shows_less,
    check_intervals_tells_what_waits_from_what_is_ready,
    a_new_signal_is_metadata,
    whatever_waited_has_the_rows_of_a_project_that_never_did,
}

const NOW: &str = "2024-01-06";
const SLICE: &str = "INCREMENTAL_BY_TIME_RANGE (time_column day)";

/// Ready for the days that somebody says have landed.
const LANDED: &str = "SIGNAL (name landed, defaults (source = 'a'));\n\
    SELECT day FROM raw.landed WHERE source = @source AND day BETWEEN @start_date AND @end_date\n";

fn model(name: &str, kind: &str, more: &str, from: &str) -> String {
    format!(
        "MODEL (name db.{name}, kind {kind}, start '2024-01-01'{more});\n\
         SELECT day, n FROM {from} WHERE day BETWEEN @start_date AND @end_date\n"
    )
}

fn whole(name: &str, from: &str) -> String {
    format!(
        "MODEL (name db.{name}, kind FULL, start '2024-01-01');\n\
         SELECT CAST(count(*) AS INT) AS c FROM {from}\n"
    )
}

/// Ten days with a row each, of which none has landed.
fn project(files: &[(&str, String)]) -> Workspace {
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let workspace = Workspace::new(&files);
    workspace.execute("CREATE SCHEMA raw");
    workspace.execute("CREATE TABLE raw.landed (source TEXT, day DATE)");
    workspace.execute("CREATE TABLE raw.rows (day DATE, n INT)");
    for day in 1..=10 {
        workspace.execute(&format!(
            "INSERT INTO raw.rows VALUES (DATE '2024-01-{day:02}', {day})"
        ));
    }
    workspace
}

/// A model that waits, with one of each sort that reads it.
fn family(signals: &str) -> Workspace {
    project(&[
        ("signals/landed.sql", LANDED.to_owned()),
        ("models/a.sql", model("a", SLICE, signals, "raw.rows")),
        ("models/child.sql", model("child", SLICE, "", "db.a")),
        ("models/whole.sql", whole("whole", "db.a")),
        ("models/other.sql", model("other", SLICE, "", "raw.rows")),
    ])
}

fn land(workspace: &Workspace, source: &str, days: &[u32]) {
    for day in days {
        workspace.execute(&format!(
            "INSERT INTO raw.landed VALUES ('{source}', DATE '2024-01-{day:02}')"
        ));
    }
}

fn plan(workspace: &Workspace) -> crate::workspace::Ended {
    workspace.run(&["plan", "--execution-time", NOW, "--auto-apply"])
}

fn run(workspace: &Workspace, now: &str) -> Value {
    let arguments = ["run", "--execution-time", now, "--format", "json"];
    serde_json::from_str(&workspace.run(&arguments).fine().stdout).unwrap()
}

/// The days of January that a table has.
#[track_caller]
fn days(workspace: &Workspace, table: &str) -> Vec<u32> {
    let rows = workspace.rows(&format!("SELECT n FROM {table} ORDER BY n"));
    rows.iter().map(|row| row[0].parse().unwrap()).collect()
}

fn time(day: u32) -> String {
    format!("2024-01-{day:02}T00:00:00Z")
}

#[track_caller]
fn lacks(workspace: &Workspace, now: &str, model: &str, ranges: &[(u32, u32)]) {
    let wanted: Vec<_> = ranges
        .iter()
        .map(|(start, end)| json!([time(*start), time(*end)]))
        .collect();
    assert_eq!(missing(workspace, model, now), json!(wanted), "{model}");
}

fn a_signal_that_is_never_ready_records_nothing_and_holds_back_what_reads_the_model() {
    let workspace = family(", signals (landed())");
    let ended = plan(&workspace).fine();
    for wanted in [
        "waits db.a [2024-01-01 - 2024-01-05] for the signal `landed()`",
        "waits db.child [2024-01-01 - 2024-01-05] for `db.a`",
        "waits db.whole [2024-01-01 - 2024-01-05] for `db.a`",
        "tables that `prod` shows have no rows yet, because they wait for signals: `db.a`, `db.child`, `db.whole`",
    ] {
        assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
    }
    assert!(
        ended.stdout.contains("3 models wait for signals"),
        "{}",
        ended.stdout
    );
    for name in ["db.a", "db.child", "db.whole"] {
        lacks(&workspace, NOW, name, &[(1, 6)]);
        assert!(workspace.rows(&format!("SELECT * FROM {name}")).is_empty());
    }
    assert_eq!(days(&workspace, "db.other"), [1, 2, 3, 4, 5]);

    // Nothing else is due: the run says what waits, and that is no failure.
    let ended = workspace.run(&["run", "--execution-time", NOW]).fine();
    assert!(
        ended
            .stdout
            .contains("Nothing is filled: what is due in `prod` waits for signals, in 3 models"),
        "{}",
        ended.stdout
    );
    let told = run(&workspace, NOW);
    assert_eq!(told["ended"], "done");
    assert_eq!(told["filled"], json!([]));
    assert_eq!(
        told["waiting"],
        json!([
            {"name": "db.a", "intervals": [[time(1), time(6)]], "signal": "landed()"},
            {"name": "db.child", "intervals": [[time(1), time(6)]], "because": "db.a"},
            {"name": "db.whole", "intervals": [[time(1), time(6)]], "because": "db.a"},
        ])
    );
    assert!(workspace.rows("SELECT * FROM db.a").is_empty());
}

fn the_first_two_of_five_days_are_filled_and_the_others_later() {
    let workspace = family(", signals (landed())");
    land(&workspace, "a", &[1, 2]);
    plan(&workspace).fine();
    for name in ["db.a", "db.child"] {
        assert_eq!(days(&workspace, name), [1, 2], "{name}");
        lacks(&workspace, NOW, name, &[(3, 6)]);
    }
    assert_eq!(workspace.rows("FROM db.whole"), [["2"]]);
    lacks(&workspace, NOW, "db.whole", &[(1, 6)]);

    // What lies outside of the slice that is asked about changes nothing.
    land(&workspace, "a", &[4, 9]);
    run(&workspace, NOW);
    for name in ["db.a", "db.child"] {
        assert_eq!(days(&workspace, name), [1, 2, 4], "{name}");
    }
    // A table that is made at once claims no time behind a hole.
    assert_eq!(workspace.rows("FROM db.whole"), [["2"]]);

    land(&workspace, "a", &[3, 5]);
    let told = run(&workspace, NOW);
    assert_eq!(told["waiting"], json!([]));
    for name in ["db.a", "db.child"] {
        assert_eq!(days(&workspace, name), [1, 2, 3, 4, 5], "{name}");
        lacks(&workspace, NOW, name, &[]);
    }
    assert_eq!(workspace.rows("FROM db.whole"), [["5"]]);
    let ended = workspace.run(&["run", "--execution-time", NOW]).fine();
    assert!(ended.stdout.contains("Nothing is due"), "{}", ended.stdout);
}

fn each_of_several_signals_sees_what_those_before_left() {
    let workspace = project(&[
        ("signals/landed.sql", LANDED.to_owned()),
        (
            "signals/short.sql",
            "SIGNAL (name short);\nSELECT @end_date - @start_date < @most\n".to_owned(),
        ),
        (
            "models/a.sql",
            model(
                "a",
                SLICE,
                ", signals (landed(), short(most := 2), landed(source := 'b'))",
                "raw.rows",
            ),
        ),
    ]);
    // Of the slices 1, 3–5, the last is too long for the second signal.
    land(&workspace, "a", &[1, 3, 4, 5]);
    land(&workspace, "b", &[1, 2, 3, 4, 5]);
    let ended = plan(&workspace).fine();
    assert_eq!(days(&workspace, "db.a"), [1]);
    for wanted in [
        "waits db.a [2024-01-02] for the signal `landed()`",
        "waits db.a [2024-01-03 - 2024-01-05] for the signal `short(most := 2)`",
    ] {
        assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
    }
    workspace.edit("models/a.sql", "most := 2", "most := 3");
    workspace.execute("DELETE FROM raw.landed WHERE source = 'b' AND day = DATE '2024-01-04'");
    // A plan goes no further than production does; that is what a run is for.
    plan(&workspace).fine();
    let ended = workspace.run(&["run", "--execution-time", NOW]).fine();
    assert_eq!(days(&workspace, "db.a"), [1, 3, 5]);
    let wanted = "waits db.a [2024-01-04] for the signal `landed(source := 'b')`";
    assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
}

fn a_signal_that_cannot_be_asked_fails_its_model_and_no_other() {
    let workspace = family(", signals (landed())");
    land(&workspace, "a", &[1, 2, 3, 4, 5]);
    plan(&workspace).fine();
    workspace.execute("ALTER TABLE raw.landed RENAME TO gone");
    let arguments = ["run", "--execution-time", "2024-01-08", "--format", "json"];
    let ended = workspace.run(&arguments).failed();
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["failed"][0]["name"], "db.a");
    let error = told["failed"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("asking the signal `landed()` of `db.a` (signals/landed.sql:2)"),
        "{error}"
    );
    assert_eq!(told["skipped"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(days(&workspace, "db.a"), [1, 2, 3, 4, 5]);
    assert_eq!(days(&workspace, "db.other"), [1, 2, 3, 4, 5, 6, 7]);
    lacks(&workspace, "2024-01-08", "db.a", &[(6, 8)]);

    workspace.execute("ALTER TABLE raw.gone RENAME TO landed");
    land(&workspace, "a", &[6, 7]);
    run(&workspace, "2024-01-08");
    assert_eq!(days(&workspace, "db.child"), [1, 2, 3, 4, 5, 6, 7]);
}

fn answers_that_are_none_are_said_with_their_place() {
    let workspace = project(&[
        ("signals/s.sql", "SIGNAL (name s);\nSELECT 1\n".to_owned()),
        (
            "models/a.sql",
            model("a", SLICE, ", signals (s())", "raw.rows"),
        ),
    ]);
    for (query, wanted) in [
        ("SELECT 1", "a column of type"),
        ("SELECT TRUE AS a, TRUE AS b", "2 columns"),
        ("SELECT TRUE WHERE 1 = 0", "0 rows of truth values"),
        (
            "SELECT TRUE UNION ALL SELECT FALSE",
            "2 rows of truth values",
        ),
        ("SELECT 'yes'", "a column of type"),
    ] {
        workspace.write("signals/s.sql", &format!("SIGNAL (name s);\n\n{query};\n"));
        let ended = plan(&workspace).failed();
        for wanted in [wanted, "signals/s.sql:3", "one row that is true or false"] {
            assert!(ended.stderr.contains(wanted), "{query}: {}", ended.stderr);
        }
    }
    // Nobody knows is not yet.
    workspace.write(
        "signals/s.sql",
        "SIGNAL (name s);\nSELECT CAST(NULL AS BOOLEAN)\n",
    );
    plan(&workspace).fine();
    assert!(days(&workspace, "db.a").is_empty());
    workspace.write("signals/s.sql", "SIGNAL (name s);\nSELECT TRUE\n");
    plan(&workspace).fine();
    assert_eq!(days(&workspace, "db.a"), [1, 2, 3, 4, 5]);
}

fn what_is_wrong_with_a_signal_is_said_with_its_place() {
    let workspace = family(", signals (landed())");
    for (from, to, wanted) in [
        (
            "landed()",
            "lended()",
            ["unknown signal `lended`", "models/a.sql:1:98", "`signals/`"],
        ),
        (
            "landed()",
            "elsewhere()",
            [
                "unknown signal `elsewhere`",
                "models/a.sql:1:98",
                "Define it in `signals/elsewhere.sql`",
            ],
        ),
        (
            "landed()",
            "landed(sourse := 'b')",
            [
                "the signal `landed` has no argument `sourse`",
                "models/a.sql:1:115",
                "Did you mean `source`?",
            ],
        ),
        (
            "landed()",
            "landed(1)",
            [
                "no call of a signal",
                "models/a.sql:1:105",
                "landed(min_rows := 5)",
            ],
        ),
        (
            "landed()",
            "freshness(x := 1)",
            [
                "the signal `freshness` has no argument `x`",
                "models/a.sql:1:113",
                "",
            ],
        ),
        (
            SLICE,
            "EMBEDDED",
            [
                "a model of kind EMBEDDED waits for no signal",
                "models/a.sql:1:63",
                "",
            ],
        ),
    ] {
        workspace.edit("models/a.sql", from, to);
        let ended = plan(&workspace).failed();
        for wanted in wanted {
            assert!(ended.stderr.contains(wanted), "{wanted}: {}", ended.stderr);
        }
        workspace.edit("models/a.sql", to, from);
    }
    for (text, wanted) in [
        (
            "SIGNAL (name landed);\nSELECT @nothing\n",
            ["unknown variable `@nothing`", "signals/landed.sql:2:8"],
        ),
        (
            "SIGNAL (name landed);\nSELECT TRUE FROM @this_model\n",
            [
                "`@this_model` has no value in a signal",
                "signals/landed.sql:2",
            ],
        ),
        (
            "SIGNAL (name landed);\n",
            ["the signal has no query", "signals/landed.sql:1"],
        ),
        (
            "SIGNAL (name landed);\nDELETE FROM raw.rows;\n",
            [
                "a statement before a signal's query",
                "signals/landed.sql:2",
            ],
        ),
        (
            "SIGNAL (nome landed);\nSELECT TRUE\n",
            ["has no property `nome`", "signals/landed.sql:1"],
        ),
        (
            "SELECT TRUE\n",
            ["this is no `SIGNAL (…)` block", "signals/landed.sql:1"],
        ),
    ] {
        workspace.write("signals/landed.sql", text);
        let ended = plan(&workspace).failed();
        for wanted in wanted {
            assert!(ended.stderr.contains(wanted), "{wanted}: {}", ended.stderr);
        }
    }
    workspace.write("signals/landed.sql", LANDED);
    workspace.write("signals/again.sql", LANDED);
    let ended = plan(&workspace).failed();
    let wanted = "the signal `landed` is declared twice: here and in `signals/again.sql`";
    assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
}

fn freshness_is_always_ready_and_says_so_once() {
    let workspace = family(", signals (freshness())");
    workspace.edit(
        "models/other.sql",
        ", start",
        ", signals (freshness()), start",
    );
    let ended = plan(&workspace).fine();
    let said = ended
        .stderr
        .matches("the signal `freshness` is always ready");
    assert_eq!(said.count(), 1, "{}", ended.stderr);
    assert_eq!(days(&workspace, "db.child"), [1, 2, 3, 4, 5]);
}

fn a_signal_counts_what_its_parents_got_in_the_same_run() {
    let workspace = project(&[
        (
            "signals/has_rows.sql",
            "SIGNAL (name has_rows, defaults (least = 1));\n\
             SELECT count(*) >= @least FROM db.a WHERE day BETWEEN @start_date AND @end_date\n"
                .to_owned(),
        ),
        ("models/a.sql", model("a", SLICE, "", "raw.rows")),
        (
            "models/b.sql",
            model("b", SLICE, ", signals (has_rows(least := 2))", "db.a"),
        ),
    ]);
    plan(&workspace).fine();
    assert_eq!(days(&workspace, "db.b"), [1, 2, 3, 4, 5]);
    // One day has one row.
    run(&workspace, "2024-01-07");
    assert_eq!(days(&workspace, "db.a"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(days(&workspace, "db.b"), [1, 2, 3, 4, 5]);
    run(&workspace, "2024-01-08");
    assert_eq!(days(&workspace, "db.b"), [1, 2, 3, 4, 5, 6, 7]);
}

fn a_hole_holds_back_what_builds_on_its_past_and_nothing_beside_it() {
    let weekly = "MODEL (name db.weeks, kind INCREMENTAL_BY_TIME_RANGE (time_column day), start '2024-01-01',\n  \
        cron '@daily', interval_unit month, allow_partials true);\n\
        SELECT day, n FROM db.a WHERE day BETWEEN @start_date AND @end_date\n";
    let workspace = project(&[
        ("signals/landed.sql", LANDED.to_owned()),
        (
            "models/a.sql",
            model("a", SLICE, ", signals (landed())", "raw.rows"),
        ),
        (
            "models/seen.sql",
            model("seen", "VIEW", "", "db.a")
                .replace(" WHERE day BETWEEN @start_date AND @end_date", ""),
        ),
        ("models/child.sql", model("child", SLICE, "", "db.seen")),
        (
            "models/added.sql",
            model("added", "INCREMENTAL_UNMANAGED", "", "db.seen"),
        ),
        (
            "models/keyed.sql",
            model(
                "keyed",
                "INCREMENTAL_BY_UNIQUE_KEY (unique_key day)",
                "",
                "db.a",
            ),
        ),
        ("models/weeks.sql", weekly.to_owned()),
    ]);
    land(&workspace, "a", &[1, 2, 4, 5]);
    plan(&workspace).fine();
    assert_eq!(days(&workspace, "db.a"), [1, 2, 4, 5]);
    assert_eq!(days(&workspace, "db.seen"), [1, 2, 4, 5]);
    assert_eq!(days(&workspace, "db.child"), [1, 2, 4, 5]);
    assert_eq!(days(&workspace, "db.added"), [1, 2]);
    assert_eq!(days(&workspace, "db.keyed"), [1, 2]);
    // Its interval is a month, which the third is in.
    assert!(days(&workspace, "db.weeks").is_empty());

    land(&workspace, "a", &[3, 6]);
    run(&workspace, "2024-01-07");
    for name in ["a", "child", "added", "keyed", "weeks"] {
        assert_eq!(
            days(&workspace, &format!("db.{name}")),
            [1, 2, 3, 4, 5, 6],
            "{name}"
        );
    }
}

fn what_is_restated_waits_as_well() {
    let workspace = family(", signals (landed())");
    let keyed = "INCREMENTAL_BY_UNIQUE_KEY (unique_key day)";
    let keyed = model("keyed", keyed, ", signals (landed())", "raw.rows");
    workspace.write("models/keyed.sql", &keyed);
    land(&workspace, "a", &[1, 2, 3, 4, 5]);
    plan(&workspace).fine();
    workspace.execute("DELETE FROM raw.landed WHERE day = DATE '2024-01-02'");
    workspace.execute("UPDATE raw.rows SET n = n + 20 WHERE day <= DATE '2024-01-03'");
    let restate = [
        "plan",
        "--execution-time",
        NOW,
        "--restate-model",
        "db.a",
        "--restate-model",
        "db.keyed",
        "--start",
        "2024-01-01",
        "--end",
        "2024-01-03",
        "--auto-apply",
    ];
    workspace.run(&restate).fine();
    for name in ["db.a", "db.child"] {
        assert_eq!(days(&workspace, name), [2, 4, 5, 21, 23], "{name}");
        lacks(&workspace, NOW, name, &[(2, 3)]);
    }
    // What is built from its first day on, or not at all, keeps its rows until all of them can be made again.
    run(&workspace, NOW);
    assert_eq!(days(&workspace, "db.keyed"), [1, 2, 3, 4, 5]);
    lacks(&workspace, NOW, "db.keyed", &[(1, 6)]);
    land(&workspace, "a", &[2]);
    run(&workspace, NOW);
    for name in ["db.a", "db.child", "db.keyed"] {
        assert_eq!(days(&workspace, name), [4, 5, 21, 22, 23], "{name}");
        lacks(&workspace, NOW, name, &[]);
    }
}

/// For each day the sum of all days so far: rows that come late change what is behind them.
const SO_FAR: &str = "MODEL (name db.so_far, kind INCREMENTAL_BY_TIME_RANGE (time_column day), start '2024-01-01');\n\
    SELECT a.day, CAST((SELECT sum(b.n) FROM db.a AS b WHERE b.day <= a.day) AS INT) AS total\n\
    FROM db.a AS a WHERE a.day BETWEEN @start_date AND @end_date\n";

fn a_hole_that_stays_makes_nothing_again_until_it_is_filled() {
    let workspace = project(&[
        ("signals/landed.sql", LANDED.to_owned()),
        (
            "models/a.sql",
            model("a", SLICE, ", signals (landed())", "raw.rows"),
        ),
        ("models/so_far.sql", SO_FAR.to_owned()),
    ]);
    land(&workspace, "a", &[1, 2, 4, 5]);
    plan(&workspace).fine();
    workspace.edit("models/so_far.sql", "AS total", "+ 100 AS total");
    workspace.apply("dev", NOW);
    let totals = |view: &str| {
        let rows = workspace.rows(&format!("SELECT total FROM {view} ORDER BY day"));
        rows.iter()
            .map(|row| row[0].parse().unwrap())
            .collect::<Vec<i32>>()
    };
    assert_eq!(totals("db.so_far"), [1, 3, 7, 12]);
    assert_eq!(totals("db__dev.so_far"), [101, 103, 107, 112]);
    for (day, now) in [(6, "2024-01-07"), (7, "2024-01-08")] {
        land(&workspace, "a", &[day]);
        let told = run(&workspace, now);
        for model in told["models"].as_array().unwrap() {
            let new = json!([[time(day), time(day + 1)]]);
            assert_eq!(model["batches"], new, "{told}");
        }
        assert_eq!(told["waiting"][0]["intervals"], json!([[time(3), time(4)]]));
    }
    assert_eq!(totals("db.so_far"), [1, 3, 7, 12, 18, 25]);
    // Nobody has cleared what dev made of the days behind the hole.
    let lacking = |now: &str| {
        let arguments = [
            "check_intervals",
            "dev",
            "--execution-time",
            now,
            "--format",
            "json",
        ];
        let told = workspace.run(&arguments).fine().stdout;
        let told: Value = serde_json::from_str(&told).unwrap();
        let models = told["missing"].as_array().unwrap().clone();
        let found = models
            .into_iter()
            .find(|model| model["name"] == "db.so_far");
        found.map_or(json!([]), |found| found["intervals"].clone())
    };
    assert_eq!(lacking("2024-01-06"), json!([]));

    land(&workspace, "a", &[3]);
    let told = run(&workspace, "2024-01-08");
    assert_eq!(told["waiting"], json!([]));
    assert_eq!(totals("db.so_far"), [1, 3, 6, 10, 15, 21, 28]);
    assert_eq!(lacking("2024-01-06"), json!([[time(3), time(6)]]));
    workspace
        .run(&["run", "dev", "--execution-time", "2024-01-08"])
        .fine();
    assert_eq!(
        totals("db__dev.so_far"),
        [101, 103, 106, 110, 115, 121, 128]
    );
}

fn a_new_model_goes_no_further_than_what_it_reads() {
    let workspace = family(", signals (landed())");
    land(&workspace, "a", &[1, 2]);
    plan(&workspace).fine();
    // Its rows are added once and never again.
    let added = model("added", "INCREMENTAL_UNMANAGED", "", "db.child");
    workspace.write("models/added.sql", &added);
    plan(&workspace).fine();
    assert_eq!(days(&workspace, "db.added"), [1, 2]);
    land(&workspace, "a", &[3, 4, 5]);
    run(&workspace, NOW);
    assert_eq!(days(&workspace, "db.added"), [1, 2, 3, 4, 5]);
}

fn a_new_version_that_waits_says_that_it_shows_less() {
    let workspace = family(", signals (landed())");
    land(&workspace, "a", &[1, 2, 3, 4, 5]);
    plan(&workspace).fine();
    workspace.execute("DELETE FROM raw.landed WHERE day >= DATE '2024-01-04'");
    workspace.edit("models/a.sql", "day, n", "day, n + 0 AS n");
    let arguments = ["plan", "--execution-time", NOW, "--auto-apply", "--no-gaps"];
    let ended = workspace.run(&arguments).failed();
    assert!(ended.stderr.contains("db.a"), "{}", ended.stderr);
    assert_eq!(days(&workspace, "db.a"), [1, 2, 3, 4, 5]);
    let ended = plan(&workspace).fine();
    let wanted = "tables that `prod` shows have less than those before them, because they wait for signals: `db.a`";
    assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
    assert_eq!(days(&workspace, "db.a"), [1, 2, 3]);
    land(&workspace, "a", &[4, 5]);
    run(&workspace, NOW);
    for name in ["db.a", "db.child"] {
        assert_eq!(days(&workspace, name), [1, 2, 3, 4, 5], "{name}");
    }
}

fn check_intervals_tells_what_waits_from_what_is_ready() {
    let workspace = family(", signals (landed())");
    land(&workspace, "a", &[1, 2, 3, 4, 5]);
    plan(&workspace).fine();
    land(&workspace, "a", &[6]);
    let arguments = [
        "check_intervals",
        "--execution-time",
        "2024-01-08",
        "--format",
        "json",
    ];
    let told: Value = serde_json::from_str(&workspace.run(&arguments).fine().stdout).unwrap();
    let ready = json!([[time(6), time(7)]]);
    let later = json!([[time(7), time(8)]]);
    assert_eq!(
        told["missing"],
        json!([
            {"name": "db.a", "intervals": ready},
            {"name": "db.child", "intervals": ready},
            {"name": "db.other", "intervals": [[time(6), time(8)]]},
            {"name": "db.whole", "intervals": ready},
        ])
    );
    assert_eq!(
        told["waiting"],
        json!([
            {"name": "db.a", "intervals": later, "signal": "landed()"},
            {"name": "db.child", "intervals": later, "because": "db.a"},
            {"name": "db.whole", "intervals": later, "because": "db.a"},
        ])
    );
    let ended = workspace
        .run(&["check_intervals", "--execution-time", "2024-01-08"])
        .fine();
    assert!(
        ended.stdout.contains("waits for the signal landed()"),
        "{}",
        ended.stdout
    );
    assert_eq!(days(&workspace, "db.a"), [1, 2, 3, 4, 5]);
}

fn a_new_signal_is_metadata() {
    let workspace = family("");
    plan(&workspace).fine();
    for (from, to) in [
        ("2024-01-01')", "2024-01-01', signals (landed()))"),
        ("landed()", "landed(source := 'b')"),
    ] {
        workspace.edit("models/a.sql", from, to);
        let plan = workspace.apply("prod", NOW);
        assert_eq!(plan.changes()["db.a"], "metadata/metadata");
        assert_eq!(plan.backfilled(), Vec::<String>::new());
    }
    workspace.edit("signals/landed.sql", "source =", "source = 'x' OR source =");
    let plan = workspace.apply("prod", NOW);
    assert_eq!(plan.changes()["db.a"], "metadata/metadata");
    // And it counts from then on.
    run(&workspace, "2024-01-08");
    assert_eq!(days(&workspace, "db.a"), [1, 2, 3, 4, 5]);
    land(&workspace, "x", &[6]);
    run(&workspace, "2024-01-08");
    assert_eq!(days(&workspace, "db.child"), [1, 2, 3, 4, 5, 6]);
}

fn whatever_waited_has_the_rows_of_a_project_that_never_did() {
    let waits = family(", signals (landed(), landed(source := 'b'))");
    let never = family("");
    plan(&never).fine();
    land(&waits, "a", &[2, 3]);
    land(&waits, "b", &[1, 2]);
    plan(&waits).fine();
    assert_eq!(days(&waits, "db.a"), [2]);
    for (source, landed, now) in [
        ("a", vec![1, 4, 5], "2024-01-06"),
        ("b", vec![5, 6], "2024-01-07"),
        ("a", vec![6, 7, 8], "2024-01-08"),
        ("b", vec![3, 4, 7, 8], "2024-01-09"),
    ] {
        land(&waits, source, &landed);
        run(&waits, now);
        run(&never, now);
    }
    for table in ["db.a", "db.child", "db.whole", "db.other"] {
        let rows =
            |workspace: &Workspace| workspace.rows(&format!("SELECT * FROM {table} ORDER BY 1"));
        assert_eq!(rows(&waits), rows(&never), "{table}");
        lacks(&waits, "2024-01-09", table, &[]);
    }
}
