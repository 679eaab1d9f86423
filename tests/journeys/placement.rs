//! Where a project wants its physical tables.

use crate::workspace::Workspace;
use crate::workspace::on_postgres;

const A: &str = "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n";
const SAME: &str = "MODEL (name other.a, kind FULL);\nSELECT 1 AS x\n";
const V: &str = "MODEL (name db.v, kind VIEW);\nSELECT x + 1 AS y FROM db.a\n";
/// Rows that cannot be computed again: `db.log` is another when the history has begun.
const HISTORY: &str = "MODEL (name db.h, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v]));\nSELECT 1 AS id, v FROM raw.log\n";

const MAPPING: &str = "physical_schema_mapping:\n  ^db$: lake\n  oth: lake\n";

fn tables(workspace: &Workspace) -> Vec<String> {
    let mut tables = workspace.objects("BASE TABLE");
    tables.retain(|table| !table.starts_with("raw."));
    tables
}

#[test]
fn tables_are_made_where_the_mapping_says_and_stay_where_they_are() {
    let workspace = Workspace::new(&[
        ("models/a.sql", A),
        ("models/same.sql", SAME),
        ("models/v.sql", V),
        ("models/h.sql", HISTORY),
    ]);
    workspace.execute("CREATE SCHEMA raw; CREATE TABLE raw.log AS SELECT 'old' AS v");
    let first = workspace.apply("prod", "2024-01-03");
    let history = first.table("db.h");
    assert!(history.starts_with("siding__db."), "{history}");
    workspace.execute("UPDATE raw.log SET v = 'new'");

    // The mapping alone moves nothing: what cannot be computed again is never left behind.
    let config = std::fs::read_to_string(workspace.path().join("config.yaml")).unwrap();
    workspace.write("config.yaml", &format!("{config}{MAPPING}"));
    let plan = workspace.apply("prod", "2024-01-03");
    assert!(plan.backfilled().is_empty());
    assert!(
        plan.changes()
            .values()
            .all(|change| change == "unchanged/-")
    );
    assert_eq!(plan.table("db.h"), history);
    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    assert_eq!(
        workspace.rows("SELECT v FROM db.h ORDER BY valid_from"),
        [["old"], ["new"]]
    );

    // New tables are made there; of two models with the same contents, each has its own.
    for file in ["models/a.sql", "models/same.sql"] {
        workspace.edit(file, "1 AS x", "2 AS x");
    }
    let dev = workspace.apply("dev", "2024-01-04");
    let (a, same) = (dev.table("db.a"), dev.table("other.a"));
    assert!(a.starts_with("lake.db__a__") && same.starts_with("lake.other__a__"));
    assert_eq!(dev.table("db.h"), history);
    assert_eq!(workspace.rows("SELECT y FROM db__dev.v"), [["3"]]);
    let prod = workspace.apply("prod", "2024-01-04");
    assert!(prod.backfilled().is_empty() && prod.table("db.a") == a);
    assert_eq!(
        workspace.rows("SELECT y, (SELECT x FROM other.a) FROM db.v"),
        [["3", "2"]]
    );

    // Without the mapping, and with another convention, they are found where they are.
    workspace.write(
        "config.yaml",
        &format!("{config}physical_table_naming_convention: table_only\n"),
    );
    assert_eq!(workspace.plan("prod", "2024-01-04").table("db.a"), a);
    workspace.edit("models/a.sql", "2 AS x", "3 AS x");
    let prod = workspace.apply("prod", "2024-01-04");
    assert!(
        prod.table("db.a").starts_with("siding__db.a__"),
        "{}",
        prod.table("db.a")
    );
    assert_eq!(workspace.rows("SELECT y FROM db.v"), [["4"]]);
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(workspace.rows("SELECT y FROM db.v"), [["3"]]);

    workspace.write(
        "config.yaml",
        &format!("{config}{MAPPING}physical_table_naming_convention: hash_md5\n"),
    );
    workspace.edit("models/a.sql", "3 AS x", "4 AS x");
    let dev = workspace.apply("dev", "2024-01-04");
    let a = dev.table("db.a");
    assert!(
        a.starts_with("lake.siding_md5__") && a.len() == "lake.siding_md5__".len() + 32,
        "{a}"
    );
    assert_eq!(workspace.rows("SELECT y FROM db__dev.v"), [["5"]]);

    workspace.run(&["destroy", "--yes"]).fine();
    assert!(tables(&workspace).is_empty() && workspace.objects("VIEW").is_empty());
}

#[test]
fn tables_are_made_where_the_mapping_says_in_postgres_too() {
    on_postgres(tables_are_made_where_the_mapping_says_and_stay_where_they_are);
}

#[test]
fn a_table_that_is_removed_is_made_anew_in_its_new_place() {
    let workspace = Workspace::new(&[("models/a.sql", A), ("models/v.sql", V)]);
    workspace.apply("prod", "2024-01-03");
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("dev", "2024-01-03");
    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    workspace.run(&["janitor", "--ignore-ttl"]).fine();
    assert_eq!(tables(&workspace).len(), 1, "only production's is left");

    let config = std::fs::read_to_string(workspace.path().join("config.yaml")).unwrap();
    workspace.write(
        "config.yaml",
        &format!("{config}physical_schema_override: {{db: lake}}\n"),
    );
    let dev = workspace.apply("dev", "2024-01-03");
    assert!(
        dev.table("db.a").starts_with("lake."),
        "{}",
        dev.table("db.a")
    );
    assert_eq!(workspace.rows("SELECT y FROM db__dev.v"), [["3"]]);

    workspace.write(
        "config.yaml",
        &format!("{config}{MAPPING}physical_schema_override: {{db: lake}}\n"),
    );
    let ended = workspace.run(&["plan"]).failed();
    assert!(
        ended.stderr.contains("both decide about the schemas"),
        "{}",
        ended.stderr
    );
}
