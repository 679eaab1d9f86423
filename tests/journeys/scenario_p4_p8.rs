//! Golden scenarios P4 and P8, as far as they are SQL: the seeds and audits of P4, the signals of P8. What is written in Python
//! is not supported: it is said, with its place, and nothing is done half.

use crate::engines::missing;
use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    python_models_and_signals_are_clear_errors,
    a_never_ready_signal_records_nothing_and_the_first_two_of_five_days_are_these_two,
    data_of_a_seed_rebuild_what_is_made_of_them_and_an_audit_rebuilds_nothing,
}

const NOW: &str = "2024-01-03";

fn python_models_and_signals_are_clear_errors() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
    )]);
    workspace.apply("prod", NOW);
    for (path, text, wanted) in [
        (
            "models/b.py",
            "@model('db.b', columns={'x': 'int'})\ndef execute(context, **kwargs): ...\n",
            "models/b.py: a Python model is not supported yet",
        ),
        (
            "models/b.sql",
            "MODEL (\n  name db.b,\n  kind FULL,\n  signals (every_other_day())\n);\nSELECT x FROM db.a\n",
            "models/b.sql:4",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT @add_one(x) AS x FROM db.a\n",
            "models/b.sql:2",
        ),
    ] {
        workspace.write(path, text);
        let plan = ["plan", "--execution-time", NOW, "--auto-apply"];
        let ended = workspace.run(&plan).failed();
        assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
        let said = [
            "not supported yet",
            "Define it in `signals/every_other_day.sql`",
        ];
        let is_said = said.iter().any(|said| ended.stderr.contains(said));
        assert!(is_said, "{}", ended.stderr);
        assert_eq!(workspace.objects("VIEW"), ["db.a"]);
        workspace.remove(path);
    }
    // What only others would use is a warning.
    workspace.write(
        "signals/ready.py",
        "@signal()\ndef ready(batch): return True\n",
    );
    workspace.write("macros/add.py", "@macro()\ndef add_one(e, x): return x\n");
    let ended = workspace.run(&["plan", "--execution-time", NOW]).fine();
    for wanted in ["a signal written in Python", "a macro written in Python"] {
        assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
    }
    // A model that uses it is not.
    workspace.write(
        "models/b.sql",
        "MODEL (name db.b, kind FULL, signals (ready()));\nSELECT x FROM db.a\n",
    );
    let ended = workspace.run(&["plan", "--execution-time", NOW]).failed();
    for wanted in [
        "a signal written in Python, `ready` of `signals/ready.py`, is not supported yet",
        "models/b.sql:1:39",
    ] {
        assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
    }
}

fn a_never_ready_signal_records_nothing_and_the_first_two_of_five_days_are_these_two() {
    const AFTER: &str = "2024-01-06";
    let rows = "SELECT CAST(x AS INT) AS x, day FROM raw.days WHERE day BETWEEN @start_date AND @end_date\n";
    let model = |name: &str, signals: &str, query: &str| {
        let kind = "INCREMENTAL_BY_TIME_RANGE (time_column day)";
        format!("MODEL (name db.{name}, kind {kind}, start '2024-01-01'{signals});\n{query}")
    };
    let workspace = Workspace::new(&[
        ("signals/never.sql", "SIGNAL (name never);\nSELECT FALSE\n"),
        (
            "signals/first.sql",
            "SIGNAL (name first_two);\nSELECT DISTINCT day FROM raw.days WHERE x <= 2\n",
        ),
        ("models/a.sql", &model("a", ", signals (never())", rows)),
        (
            "models/b.sql",
            &model("b", "", &rows.replace("raw.days", "db.a")),
        ),
    ]);
    workspace.execute("CREATE SCHEMA raw");
    workspace.execute("CREATE TABLE raw.days (x INT, day DATE)");
    for day in 1..=5 {
        let sql = format!("INSERT INTO raw.days VALUES ({day}, DATE '2024-01-0{day}')");
        workspace.execute(&sql);
    }
    workspace.apply("prod", AFTER);
    for name in ["db.a", "db.b"] {
        let all = serde_json::json!([["2024-01-01T00:00:00Z", "2024-01-06T00:00:00Z"]]);
        assert_eq!(missing(&workspace, name, AFTER), all);
        assert!(workspace.rows(&format!("SELECT x FROM {name}")).is_empty());
    }
    workspace.edit("models/a.sql", "never()", "first_two()");
    workspace.apply("prod", AFTER);
    for name in ["db.a", "db.b"] {
        let rest = serde_json::json!([["2024-01-03T00:00:00Z", "2024-01-06T00:00:00Z"]]);
        assert_eq!(missing(&workspace, name, AFTER), rest);
        let rows = workspace.rows(&format!("SELECT x FROM {name} ORDER BY x"));
        assert_eq!(rows, [["1"], ["2"]]);
    }
}

fn data_of_a_seed_rebuild_what_is_made_of_them_and_an_audit_rebuilds_nothing() {
    let workspace = Workspace::new(&[
        (
            "models/s.sql",
            "MODEL (name db.s, kind SEED (path '../seeds/s.csv'), columns (id INT, name TEXT));\n",
        ),
        ("seeds/s.csv", "id,name\n1,a\n2,b\n"),
        (
            "models/n.sql",
            "MODEL (name db.n, kind FULL, audits (not_null(columns := (n))));\nSELECT count(id) AS n FROM db.s\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    assert_eq!(workspace.rows("FROM db.n"), [["2"]]);

    workspace.write("seeds/s.csv", "id,name\n1,a\n2,c\n3,d\n");
    let plan = workspace.apply("dev", NOW);
    assert_eq!(plan.changes()["db.n"], "indirect/indirect_breaking");
    assert_eq!(workspace.rows("FROM db__dev.n"), [["3"]]);
    assert_eq!(workspace.rows("FROM db.n"), [["2"]]);
    assert!(workspace.apply("prod", NOW).is_virtual_only());
    assert_eq!(
        workspace.rows("SELECT name FROM db.s ORDER BY id"),
        [["a"], ["c"], ["d"]]
    );

    workspace.edit(
        "models/n.sql",
        "not_null(columns := (n))",
        "accepted_range(column := n, min_v := 1)",
    );
    let plan = workspace.apply("prod", NOW);
    assert_eq!(plan.changes()["db.n"], "metadata/metadata");
    assert_eq!(plan.backfilled(), Vec::<String>::new());
    // An audit that the rows do not pass is not promoted.
    workspace.edit("models/n.sql", "min_v := 1", "min_v := 10");
    let ended = workspace
        .run(&["plan", "--execution-time", NOW, "--auto-apply"])
        .failed();
    assert!(ended.stderr.contains("accepted_range"), "{}", ended.stderr);
    assert_eq!(workspace.rows("FROM db.n"), [["3"]]);
}
