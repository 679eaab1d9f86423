//! `virtual_environment_mode: dev_only` after a kill between the record of a promotion and its moves of tables: whoever comes next
//! makes it good, and nothing that somebody needs is dropped meanwhile.

use crate::dev_only::shown;
use crate::dev_only::workspace;
use crate::engines::on_both_engines;
use crate::kills::unfinalize;
use crate::kills::unfinalize_with_the_plan_before;
use crate::workspace::Workspace;

on_both_engines! {
    a_run_moves_the_tables_that_a_kill_left,
    a_janitor_moves_them_before_it_looks_what_nobody_needs,
    a_plan_moves_them,
    a_development_environment_shows_its_versions_whatever_was_left,
    a_switch_that_was_done_and_not_recorded_is_not_done_twice,
    destroy_takes_everything_whatever_was_left,
    a_table_that_never_came_under_its_models_name_is_forgotten,
}

const NOW: &str = "2024-01-04 00:10:00";

/// Two tables and a view of them; `version` is what all of them carry.
fn write(workspace: &Workspace, version: u32) {
    workspace.write(
        "models/a.sql",
        &format!("MODEL (name db.a, kind FULL);\nSELECT {version} AS x\n"),
    );
    workspace.write(
        "models/b.sql",
        &format!("MODEL (name db.b, kind FULL);\nSELECT x, {version} AS own FROM db.a\n"),
    );
    workspace.write(
        "models/v.sql",
        &format!("MODEL (name db.v, kind VIEW);\nSELECT x, own, {version} AS seen FROM db.b\n"),
    );
}

/// Production's record says that it shows the second version; the first one's tables have the models' names.
fn left() -> Workspace {
    let workspace = workspace(&[]);
    write(&workspace, 1);
    workspace.apply("prod", NOW);
    write(&workspace, 2);
    workspace.apply("dev", NOW);
    workspace.apply("prod", NOW);
    workspace.run(&["rollback", "prod"]).fine();
    assert_version(&workspace, 1);
    unfinalize_with_the_plan_before(&workspace);
    workspace
}

#[track_caller]
fn assert_version(workspace: &Workspace, version: u32) {
    let version = version.to_string();
    assert_eq!(
        workspace.rows("FROM db.v"),
        [[&*version, &*version, &*version]]
    );
    assert_eq!(workspace.rows("FROM db.b"), [[&*version, &*version]]);
    let mut own = shown(workspace);
    own.retain(|name| !name.contains("db__dev"));
    assert_eq!(own, ["table db.a", "table db.b", "view db.v"]);
}

fn a_run_moves_the_tables_that_a_kill_left() {
    let workspace = left();
    for day in [5, 6] {
        let now = format!("2024-01-{day:02} 00:10:00");
        workspace.run(&["run", "--execution-time", &now]).fine();
        assert_version(&workspace, 2);
    }
}

fn a_janitor_moves_them_before_it_looks_what_nobody_needs() {
    let workspace = left();
    for _ in 0..2 {
        workspace.run(&["janitor", "--ignore-ttl"]).fine();
        assert_version(&workspace, 2);
    }
    workspace
        .run(&["run", "--execution-time", "2024-01-05 00:10:00"])
        .fine();
    assert_version(&workspace, 2);
}

fn a_plan_moves_them() {
    let workspace = left();
    workspace.apply("prod", NOW);
    assert_version(&workspace, 2);
    let workspace = left();
    write(&workspace, 3);
    workspace.apply("prod", NOW);
    assert_version(&workspace, 3);
}

fn a_development_environment_shows_its_versions_whatever_was_left() {
    let workspace = left();
    write(&workspace, 4);
    workspace.apply("dev", NOW);
    assert_eq!(workspace.rows("FROM db__dev.v"), [["4", "4", "4"]]);
    workspace
        .run(&["run", "dev", "--execution-time", "2024-01-05 00:10:00"])
        .fine();
    assert_eq!(workspace.rows("FROM db__dev.v"), [["4", "4", "4"]]);
    workspace.apply("prod", NOW);
    assert_version(&workspace, 4);
    assert_eq!(workspace.rows("FROM db__dev.v"), [["4", "4", "4"]]);
}

fn a_switch_that_was_done_and_not_recorded_is_not_done_twice() {
    let workspace = workspace(&[]);
    for version in [1, 2] {
        write(&workspace, version);
        workspace.apply("prod", NOW);
        unfinalize(&workspace);
    }
    workspace
        .run(&["run", "--execution-time", "2024-01-05 00:10:00"])
        .fine();
    assert_version(&workspace, 2);
    workspace.remove("models/v.sql");
    workspace.remove("models/b.sql");
    workspace.apply("prod", NOW);
    unfinalize(&workspace);
    workspace.run(&["janitor", "--ignore-ttl"]).fine();
    assert_eq!(shown(&workspace), ["table db.a"]);
    assert_eq!(workspace.rows("FROM db.a"), [["2"]]);
    assert_eq!(workspace.objects("BASE TABLE"), ["db.a"]);
}

fn destroy_takes_everything_whatever_was_left() {
    let workspace = left();
    workspace.run(&["destroy", "--yes"]).fine();
    assert_eq!(workspace.objects("BASE TABLE"), Vec::<String>::new());
    assert_eq!(workspace.objects("VIEW"), Vec::<String>::new());
}

fn a_table_that_never_came_under_its_models_name_is_forgotten() {
    let workspace = workspace(&[]);
    write(&workspace, 1);
    workspace.apply("prod", NOW);
    let state = crate::processes::StateFile::of(&workspace);
    state.execute(
        "INSERT INTO siding_ledger (table_catalog, table_schema, table_name, kind, model, environment, reason, recorded_at)
         VALUES ('', 'db', 'never', 'own table', '\"db\".\"never\"', 'prod', 'plan x', 0)",
    );
    workspace.run(&["janitor"]).fine();
    let told = workspace.run(&["janitor", "--explain"]).fine().stdout;
    assert!(!told.contains("db.never"), "{told}");
    assert!(told.contains("db.a"), "{told}");
    assert_version(&workspace, 1);
}
