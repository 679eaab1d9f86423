//! Names that somebody will choose one day: words of SQL, quotes, other alphabets, very long ones.

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    models_and_columns_may_be_called_like_words_of_sql,
    quotes_and_other_alphabets_are_part_of_a_name,
    names_that_begin_alike_for_longer_than_the_engine_reads_stay_apart,
    an_environment_may_have_a_long_or_a_strange_name,
    a_name_without_letters_is_refused_with_its_place,
}

const NOW: &str = "2024-01-03";

/// Two models, the second of which reads the first; `name` and `column` as SQL writes them.
fn chain(name: &str, column: &str) -> Workspace {
    let first = format!("MODEL (name {name}, kind FULL);\nSELECT 1 AS {column}, 2 AS plain\n");
    let second = format!(
        "MODEL (name db.reader, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key {column}));\nSELECT {column}, plain FROM {name}\n"
    );
    Workspace::new(&[("models/first.sql", &first), ("models/second.sql", &second)])
}

/// The whole path of a change: production, dev, production again, a run, a rollback.
#[track_caller]
fn works(workspace: &Workspace) {
    let query = "FROM db.reader";
    workspace.apply("prod", NOW);
    assert_eq!(workspace.rows(query), [["1", "2"]]);
    workspace.edit("models/first.sql", "2 AS plain", "3 AS plain");
    let dev = workspace.apply("dev", NOW);
    assert_eq!(dev.changes()["db.reader"], "indirect/indirect_breaking");
    assert_eq!(workspace.rows("FROM db__dev.reader"), [["1", "3"]]);
    assert!(workspace.apply("prod", NOW).is_virtual_only());
    workspace
        .run(&["run", "--execution-time", "2024-01-05"])
        .fine();
    assert_eq!(workspace.rows(query), [["1", "3"]]);
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(workspace.rows(query), [["1", "2"]]);
    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    workspace.run(&["janitor", "--ignore-ttl"]).fine();
    workspace.run(&["destroy", "--yes"]).fine();
    assert_eq!(workspace.objects("VIEW"), Vec::<String>::new());
    assert_eq!(workspace.objects("BASE TABLE"), Vec::<String>::new());
}

fn models_and_columns_may_be_called_like_words_of_sql() {
    works(&chain("\"select\".\"from\"", "\"order\""));
    works(&chain("db.\"table\"", "\"null\""));
}

fn quotes_and_other_alphabets_are_part_of_a_name() {
    works(&chain(
        "\"dß\".\"tàble ☃ \"\"q\"\" 🚀\"",
        "\"señor \"\"x\"\" ☃\"",
    ));
    works(&chain("db.\"a'b;--c\"", "\"it's\""));
    works(&chain("db.\"a.b/../c%s{}\"", "\"{x} %s\""));
}

fn names_that_begin_alike_for_longer_than_the_engine_reads_stay_apart() {
    let long = "n".repeat(200);
    works(&chain(&format!("db.{long}"), &format!("c{long}")));

    let model = |number: u32| {
        let text = format!("MODEL (name db.{long}{number}, kind FULL);\nSELECT {number} AS x\n");
        (format!("models/m{number}.sql"), text)
    };
    let workspace = Workspace::new(&[]);
    for (path, text) in [model(1), model(2)] {
        workspace.write(&path, &text);
    }
    workspace.write(
        "models/both.sql",
        &format!("MODEL (name db.both, kind FULL);\nSELECT a.x AS a, b.x AS b FROM db.{long}1 AS a CROSS JOIN db.{long}2 AS b\n"),
    );
    workspace.apply("prod", NOW);
    assert_eq!(workspace.rows("FROM db.both"), [["1", "2"]]);
    workspace.edit("models/m2.sql", "SELECT 2", "SELECT 5");
    workspace.apply("prod", NOW);
    assert_eq!(workspace.rows("FROM db.both"), [["1", "5"]]);
}

fn an_environment_may_have_a_long_or_a_strange_name() {
    let workspace = chain("db.first", "x");
    workspace.apply("prod", NOW);
    workspace.edit("models/first.sql", "2 AS plain", "3 AS plain");
    let long = "feature_".repeat(12);
    for name in [
        "Select",
        "feature/IT-42 ✓",
        &format!("{long}1"),
        &format!("{long}2"),
    ] {
        workspace.apply(name, NOW);
    }
    let list = workspace.run(&["environments"]).fine().stdout;
    assert_eq!(list.matches(&long).count(), 2, "{list}");
    let shown = workspace.rows("FROM db__select.reader");
    assert_eq!(shown, [["1", "3"]]);
    let views = workspace.objects("VIEW");
    assert_eq!(
        views.len(),
        2 * 5,
        "each environment has its own: {views:?}"
    );
    workspace
        .run(&["invalidate", &format!("{long}1"), "--sync"])
        .fine();
    assert_eq!(workspace.objects("VIEW").len(), 2 * 4);
    assert_eq!(workspace.rows("FROM db.reader"), [["1", "2"]]);
}

fn a_name_without_letters_is_refused_with_its_place() {
    for name in ["db.\"\"", "\"\".a"] {
        let text = format!("MODEL (\n  name {name},\n  kind FULL\n);\nSELECT 1 AS x\n");
        let workspace = Workspace::new(&[("models/a.sql", &text)]);
        let ended = workspace
            .run(&["plan", "--execution-time", NOW, "--auto-apply"])
            .failed();
        for part in ["models/a.sql:2", "is empty"] {
            assert!(ended.stderr.contains(part), "{}", ended.stderr);
        }
        assert_eq!(workspace.objects("BASE TABLE"), Vec::<String>::new());
    }
}

/// DuckDB calls a catalog by the name of its file.
#[test]
fn a_schema_that_is_called_as_the_file_is_refused_before_anything_is_built_with_a_way_out() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name wh.a, kind FULL);\nSELECT 1 AS x\n",
    )]);
    let plan = ["plan", "--auto-apply", "--execution-time", NOW];
    let ended = workspace.run(&plan).failed();
    assert!(ended.stderr.contains("the view `wh.a`"), "{}", ended.stderr);
    let way_out =
        "give the file another name in the configuration, with `catalogs: {warehouse: …}` instead";
    assert!(ended.stderr.contains(way_out), "{}", ended.stderr);
    assert_eq!(workspace.objects("BASE TABLE"), Vec::<String>::new());

    workspace.edit(
        "config.yaml",
        "database: wh.duckdb",
        "catalogs: {warehouse: wh.duckdb}",
    );
    workspace.run(&plan).fine();
    assert_eq!(workspace.rows("FROM wh.wh.a"), [["1"]]);
}
