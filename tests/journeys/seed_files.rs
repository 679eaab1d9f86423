//! CSV files with mistakes in them: the line is named, and no row is lost.

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    a_quote_that_nothing_ends_is_an_error_with_its_line,
    a_value_that_its_type_does_not_hold_is_named_with_its_line,
    decimals_need_no_declared_columns,
}

fn seed(csv: &str, columns: &str) -> Workspace {
    let model = format!("MODEL (name db.s, kind SEED (path 's.csv'){columns});\n");
    Workspace::new(&[("models/s.sql", &model), ("models/s.csv", csv)])
}

fn a_quote_that_nothing_ends_is_an_error_with_its_line() {
    let workspace = seed("id,name\n1,one\n2,\"two\n3,three\n4,four\n", "");
    let ended = workspace.run(&["plan", "--auto-apply"]).failed();
    let wanted = "models/s.csv:3";
    assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("a quote is opened here and closed nowhere"),
        "{}",
        ended.stderr
    );
}

fn a_value_that_its_type_does_not_hold_is_named_with_its_line() {
    let mut csv = String::from("id,note\n");
    for id in 0..1500 {
        let id = if id == 1234 {
            "many".to_owned()
        } else {
            id.to_string()
        };
        csv.push_str(&format!("{id},\"two\nlines\"\n"));
    }
    let workspace = seed(&csv, ", columns (id INT, note TEXT)");
    let ended = workspace.run(&["plan", "--auto-apply"]).failed();
    let wanted = format!("models/s.csv:{}: ", 2 + 2 * 1234);
    assert!(ended.stderr.contains(&wanted), "{wanted}\n{}", ended.stderr);
    assert!(ended.stderr.contains("many"), "{}", ended.stderr);
    assert_eq!(workspace.objects("VIEW"), Vec::<String>::new());
}

fn decimals_need_no_declared_columns() {
    let workspace = seed("id,price\n1,1.5\n2,2.25\n", "");
    workspace.apply("prod", "2024-01-02");
    let rows = workspace.rows("SELECT id, price + 1 FROM db.s ORDER BY id");
    assert_eq!(rows, [["1", "2.5"], ["2", "3.25"]]);
}
