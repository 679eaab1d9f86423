//! Tests of the test: wrong answers are found. The reference's known defects give them.

use crate::case::Bench;
use crate::case::Case;
use crate::names::Catalog;
use crate::project::Kind;
use crate::project::Model;
use crate::project::Project;
use crate::tree::Distinct;
use crate::tree::Expr;
use crate::tree::Item;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::tree::Source;

/// `SELECT … FROM table`
fn select(table: &str, items: Vec<Item>) -> Select {
    Select {
        items,
        from: vec![Source::of(Relation::table(table, None))],
        ..Select::default()
    }
}

fn column(name: &str) -> Item {
    Item::of(Expr::column(name), None)
}

fn project(models: Vec<(&str, Select)>) -> Project {
    Project {
        sources: 2,
        declared: true,
        floor: 1,
        models: models
            .into_iter()
            .map(|(name, select)| Model::new(name, Kind::Full(Query::of(select))))
            .collect(),
    }
}

/// The models that the reference keeps wrongly.
fn wrong_in_reference(old: Project, new: Project) -> Vec<String> {
    let mut bench = Bench::new();
    bench.binder.reset(1);
    let catalog = |project: &Project| -> Catalog { bench.binder.catalog(project).unwrap() };
    let catalogs = vec![catalog(&old), catalog(&new)];
    let case = Case {
        projects: vec![old, new],
        catalogs,
        edits: Vec::new(),
    };
    let mut judged = bench.judge(&case.projects, 1).unwrap();
    let reference = bench.reference(&case, &mut judged);
    reference
        .unsound
        .iter()
        .map(|found| found.model.to_string())
        .collect()
}

#[test]
fn a_breaking_edit_behind_an_added_projection_is_found() {
    let next = Expr::binary(Expr::column("id"), "+", Expr::literal("1"));
    let reader = || select("db.b", vec![column("id")]);
    let old = project(vec![
        (
            "db.a",
            select("raw.orders", vec![column("id"), column("k")]),
        ),
        ("db.b", select("db.a", vec![column("id")])),
        ("db.c", reader()),
    ]);
    let new = project(vec![
        (
            "db.a",
            select("raw.orders", vec![Item::of(next, Some("id")), column("k")]),
        ),
        ("db.b", select("db.a", vec![column("id"), column("k")])),
        ("db.c", reader()),
    ]);
    assert_eq!(wrong_in_reference(old, new), ["db.c"]);
}

#[test]
fn a_column_that_splits_distinct_rows_is_found() {
    let distinct = |items| Select {
        distinct: Distinct::All,
        ..select("raw.orders", items)
    };
    let count = Expr::call("count", vec![Expr::literal("*")]);
    let reader = || select("db.a", vec![Item::of(count.clone(), Some("n"))]);
    let old = project(vec![
        ("db.a", distinct(vec![column("k")])),
        ("db.c", reader()),
    ]);
    let new = project(vec![
        ("db.a", distinct(vec![column("k"), column("id")])),
        ("db.c", reader()),
    ]);
    assert_eq!(wrong_in_reference(old, new), ["db.c"]);
}

#[test]
fn a_reader_of_what_is_drawn_again_is_found() {
    let random = || Item::of(Expr::call("random", vec![]), Some("v"));
    let reader = || select("db.a", vec![column("v")]);
    let old = project(vec![
        ("db.a", select("raw.orders", vec![random(), column("k")])),
        ("db.c", reader()),
    ]);
    let new = project(vec![
        (
            "db.a",
            select("raw.orders", vec![random(), column("k"), column("id")]),
        ),
        ("db.c", reader()),
    ]);
    assert_eq!(wrong_in_reference(old, new), ["db.c"]);
}

#[test]
fn a_reader_of_what_ties_decide_is_found() {
    let ranked = |more: Vec<Item>| {
        let order = crate::tree::Order::by(Expr::literal("1"));
        let window = crate::tree::Window {
            order: vec![order],
            ..crate::tree::Window::default()
        };
        let over = crate::tree::Over::Window(window);
        let rank = Expr::over("row_number", vec![], over);
        let mut items = vec![column("id"), Item::of(rank, Some("n"))];
        items.extend(more);
        select("raw.orders", items)
    };
    let reader = || select("db.a", vec![column("id"), column("n")]);
    let old = project(vec![("db.a", ranked(vec![])), ("db.c", reader())]);
    let new = project(vec![
        ("db.a", ranked(vec![column("k")])),
        ("db.c", reader()),
    ]);
    assert_eq!(wrong_in_reference(old, new), ["db.c"]);
}
