//! Building, running, auditing and switching a small project.

use crate::workspace::Workspace;

/// A seed, an incremental model over it, a view of totals.
fn shop() -> Workspace {
    Workspace::new(&[
        (
            "models/orders_file.sql",
            "MODEL (name shop.orders_file, kind SEED (path '../seeds/orders.csv'), columns (id INT, day DATE, amount INT));\n",
        ),
        (
            "seeds/orders.csv",
            "id,day,amount\n1,2024-01-01,10\n2,2024-01-02,20\n3,2024-01-03,30\n4,2024-01-04,40\n5,2024-01-05,\n",
        ),
        (
            "models/orders.sql",
            "MODEL (\n  name shop.orders,\n  kind INCREMENTAL_BY_TIME_RANGE (time_column day),\n  audits (not_null(columns := (id)))\n);\n\
             SELECT id, day, amount FROM shop.orders_file WHERE day BETWEEN @start_ds AND @end_ds\n",
        ),
        (
            "models/totals.sql",
            "MODEL (name shop.totals, kind FULL);\nSELECT count(*) AS orders, sum(amount) AS amount FROM shop.orders\n",
        ),
    ])
}

#[test]
fn only_whole_days_that_are_over_are_filled() {
    let shop = shop();

    shop.apply("prod", "2024-01-03 12:00:00");

    assert_eq!(
        shop.rows("SELECT id FROM shop.orders ORDER BY id"),
        [["1"], ["2"]]
    );
    assert_eq!(shop.rows("FROM shop.totals"), [["2", "30"]]);
}

#[test]
fn a_run_fills_what_is_due_and_a_second_run_does_nothing() {
    let shop = shop();
    shop.apply("prod", "2024-01-03");

    let first = shop
        .run(&["run", "--execution-time", "2024-01-05", "--format", "json"])
        .fine();
    let second = shop.run(&["run", "--execution-time", "2024-01-05"]).fine();

    let first: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(
        first["filled"],
        serde_json::json!(["shop.orders", "shop.totals"])
    );
    assert_eq!(
        first["due"][0]["intervals"],
        serde_json::json!([["2024-01-03T00:00:00Z", "2024-01-05T00:00:00Z"]])
    );
    assert_eq!(shop.rows("FROM shop.totals"), [["4", "100"]]);
    assert!(
        second.stdout.contains("Nothing is due"),
        "{}",
        second.stdout
    );
}

#[test]
fn a_run_uses_what_was_promoted_and_not_local_files() {
    let shop = shop();
    shop.apply("prod", "2024-01-03");

    shop.edit("models/totals.sql", "sum(amount)", "max(amount)");
    shop.run(&["run", "--execution-time", "2024-01-05"]).fine();

    assert_eq!(shop.rows("FROM shop.totals"), [["4", "100"]]);
}

#[test]
fn a_development_environment_reuses_productions_tables() {
    let shop = shop();
    let prod = shop.apply("prod", "2024-01-04");

    shop.edit("models/totals.sql", "count(*) AS orders, ", "");
    let dev = shop.apply("dev", "2024-01-04");

    assert_eq!(dev.backfilled(), ["shop.totals"]);
    assert_eq!(dev.table("shop.orders"), prod.table("shop.orders"));
    assert_eq!(
        shop.objects("VIEW"),
        [
            "shop.orders",
            "shop.orders_file",
            "shop.totals",
            "shop__dev.totals"
        ]
    );
    assert_eq!(shop.rows("FROM shop__dev.totals"), [["60"]]);
}

#[test]
fn a_plan_does_not_go_beyond_what_production_has() {
    let shop = shop();
    shop.apply("prod", "2024-01-03");

    shop.edit("models/totals.sql", "sum(amount)", "min(amount)");
    let dev = shop.apply("dev", "2024-01-06");

    // Rows of later days would be missing in `orders`, which production has not run for them.
    let backfill = serde_json::json!([["2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z"]]);
    assert_eq!(dev.model("shop.totals")["backfill"], backfill);
}

#[test]
fn a_failing_audit_shows_nothing_to_readers() {
    let shop = shop();
    shop.apply("prod", "2024-01-03");
    shop.edit(
        "models/orders.sql",
        "not_null(columns := (id))",
        "not_null(columns := (amount))",
    );
    shop.apply("prod", "2024-01-03");

    // The order of 2024-01-05 has no amount.
    let ended = shop
        .run(&["run", "--execution-time", "2024-01-06"])
        .failed();

    assert!(ended.stderr.contains("not_null"), "{}", ended.stderr);
    assert_eq!(
        shop.rows("SELECT count(*) FROM shop.orders"),
        [["2"]],
        "the batch must be rolled back whole"
    );
    assert_eq!(
        shop.rows("FROM shop.totals"),
        [["2", "30"]],
        "what reads it must not run"
    );
}

#[test]
fn a_changed_audit_is_checked_before_it_is_promoted() {
    let shop = shop();
    shop.apply("prod", "2024-01-06");

    shop.edit(
        "models/orders.sql",
        "not_null(columns := (id))",
        "not_null(columns := (amount))",
    );
    let plan = shop.plan("prod", "2024-01-06");
    assert_eq!(plan.changes()["shop.orders"], "metadata/metadata");
    let ended = shop
        .run(&["plan", "--execution-time", "2024-01-06", "--auto-apply"])
        .failed();

    assert!(ended.stderr.contains("not_null"), "{}", ended.stderr);
    assert_eq!(
        shop.plan("prod", "2024-01-06").changes()["shop.orders"],
        "metadata/metadata",
        "not promoted"
    );
}

#[test]
fn a_failing_audit_in_a_plan_promotes_nothing() {
    let shop = shop();
    shop.apply("prod", "2024-01-06");

    shop.edit(
        "models/totals.sql",
        "kind FULL",
        "kind FULL, audits (forall(criteria := (amount < 50)))",
    );
    shop.edit("models/totals.sql", "sum(amount)", "max(amount) * 2");
    shop.run(&["plan", "--execution-time", "2024-01-06", "--auto-apply"])
        .failed();

    assert_eq!(shop.rows("FROM shop.totals"), [["5", "100"]]);
}

#[test]
fn a_removed_model_loses_its_view_only() {
    let shop = shop();
    shop.apply("prod", "2024-01-03");
    let tables = shop.objects("BASE TABLE");

    shop.remove("models/totals.sql");
    let plan = shop.apply("prod", "2024-01-03");

    assert_eq!(plan.changes()["shop.totals"], "removed/-");
    assert_eq!(shop.objects("VIEW"), ["shop.orders", "shop.orders_file"]);
    assert_eq!(shop.objects("BASE TABLE"), tables);
}

#[test]
fn batches_of_two_days_fill_the_same_rows() {
    let whole = shop();
    whole.apply("prod", "2024-01-06");
    let batched = shop();
    batched.edit(
        "models/orders.sql",
        "time_column day",
        "time_column day, batch_size 2",
    );

    let plan = batched.apply("prod", "2024-01-06");

    assert_eq!(plan.model("shop.orders")["batches"], 3);
    let sql = "SELECT * FROM shop.orders ORDER BY id";
    assert_eq!(batched.rows(sql), whole.rows(sql));
}

#[test]
fn lookback_repeats_the_days_before() {
    let shop = shop();
    shop.edit(
        "models/orders.sql",
        "time_column day",
        "time_column day, lookback 1",
    );
    shop.apply("prod", "2024-01-03");

    // A late row for a day that is filled already.
    let plan = shop
        .run(&["run", "--execution-time", "2024-01-04", "--format", "json"])
        .fine();

    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(
        plan["due"][0]["intervals"],
        serde_json::json!([["2024-01-02T00:00:00Z", "2024-01-04T00:00:00Z"]])
    );
}

#[test]
fn an_embedded_model_is_inlined_and_has_no_table() {
    let shop = shop();
    shop.write(
        "models/big.sql",
        "MODEL (name shop.big, kind EMBEDDED);\nSELECT * FROM shop.orders WHERE amount >= 20\n",
    );
    shop.write(
        "models/count.sql",
        "MODEL (name shop.count, kind FULL);\nSELECT count(*) AS n FROM shop.big\n",
    );

    let plan = shop.apply("prod", "2024-01-06");

    assert_eq!(plan.model("shop.big")["table"], serde_json::Value::Null);
    assert_eq!(shop.rows("FROM shop.count"), [["3"]]);
    assert!(!shop.objects("VIEW").contains(&"shop.big".to_owned()));
}

#[test]
fn a_model_that_becomes_embedded_loses_its_view() {
    let shop = shop();
    shop.write(
        "models/big.sql",
        "MODEL (name shop.big, kind FULL);\nSELECT * FROM shop.orders WHERE amount >= 20\n",
    );
    shop.write(
        "models/count.sql",
        "MODEL (name shop.count, kind FULL);\nSELECT count(*) AS n FROM shop.big\n",
    );
    shop.apply("prod", "2024-01-06");

    shop.edit("models/big.sql", "kind FULL", "kind EMBEDDED");
    shop.apply("prod", "2024-01-06");

    assert!(
        !shop.objects("VIEW").contains(&"shop.big".to_owned()),
        "a frozen view must not stay"
    );
    assert_eq!(shop.rows("FROM shop.count"), [["3"]]);
}

#[test]
fn rows_of_half_a_history_are_never_promoted() {
    let shop = shop();
    shop.apply("prod", "2024-01-05");

    // `orders` is built from the third day on, so `totals` of the environment holds half of them.
    shop.edit(
        "models/orders.sql",
        "SELECT id, day, amount",
        "SELECT id, day, amount + 1 AS amount",
    );
    shop.run(&[
        "plan",
        "dev",
        "--start",
        "2024-01-03",
        "--execution-time",
        "2024-01-05",
        "--auto-apply",
    ])
    .fine();
    assert_eq!(shop.rows("FROM shop__dev.totals"), [["2", "72"]]);

    shop.apply("prod", "2024-01-05");
    assert_eq!(shop.rows("FROM shop.totals"), [["4", "104"]]);
}

#[test]
fn an_external_table_is_read_where_it_is() {
    let shop = shop();
    shop.execute("CREATE SCHEMA raw; CREATE TABLE raw.rates AS SELECT 2 AS rate");
    shop.write(
        "external_models.yaml",
        "- name: raw.rates\n  columns:\n    rate: INT\n",
    );
    shop.write("models/rated.sql", "MODEL (name shop.rated, kind FULL);\nSELECT sum(amount * rate) AS v FROM shop.orders, raw.rates\n");

    let plan = shop.apply("prod", "2024-01-04");

    assert_eq!(plan.model("raw.rates")["table"], "raw.rates");
    assert_eq!(shop.rows("FROM shop.rated"), [["120"]]);
}

#[test]
fn rollback_shows_what_was_there_before() {
    let shop = shop();
    shop.apply("prod", "2024-01-04");
    shop.edit("models/totals.sql", "sum(amount)", "max(amount)");
    shop.apply("prod", "2024-01-04");
    assert_eq!(shop.rows("FROM shop.totals"), [["3", "30"]]);
    let tables = shop.objects("BASE TABLE");

    shop.run(&["rollback", "prod"]).fine();

    assert_eq!(shop.rows("FROM shop.totals"), [["3", "60"]]);
    assert_eq!(shop.objects("BASE TABLE"), tables);
}

#[test]
fn an_invalidated_environment_is_removed_by_the_janitor() {
    let shop = shop();
    shop.apply("prod", "2024-01-04");
    shop.edit("models/totals.sql", "sum(amount)", "max(amount)");
    shop.apply("dev", "2024-01-04");

    shop.run(&["invalidate", "dev"]).fine();
    shop.run(&["janitor", "--ignore-ttl"]).fine();

    assert!(
        !shop
            .objects("VIEW")
            .iter()
            .any(|view| view.starts_with("shop__dev."))
    );
    assert_eq!(
        shop.objects("BASE TABLE").len(),
        3,
        "the table that only dev used is gone: {:?}",
        shop.objects("BASE TABLE")
    );
    assert_eq!(shop.rows("FROM shop.totals"), [["3", "60"]]);
    let schemas = "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'shop\\_\\_%' ESCAPE '\\'";
    assert_eq!(
        shop.rows(schemas),
        Vec::<Vec<String>>::new(),
        "no empty schema stays"
    );
    shop.run(&["invalidate", "prod"]).failed();
}

#[test]
fn the_sample_that_init_writes_plans_applies_and_runs() {
    let workspace = Workspace::empty();
    workspace.run(&["init"]).fine();

    workspace
        .run(&[
            "plan",
            "--auto-apply",
            "--no-prompts",
            "--execution-time",
            "2025-01-07",
        ])
        .fine();
    let second = workspace
        .run(&["run", "--execution-time", "2025-01-07"])
        .fine();

    assert!(
        second.stdout.contains("Nothing is due"),
        "{}",
        second.stdout
    );
    let database = workspace.path().join("warehouse.duckdb");
    let connection = duckdb::Connection::open(database).unwrap();
    assert_eq!(
        crate::workspace::rows(&connection, "SELECT count(*) FROM sample.sales"),
        [["8"]]
    );
    assert_eq!(
        crate::workspace::rows(&connection, "SELECT count(*) FROM sample.products"),
        [["3"]]
    );
    workspace.run(&["init"]).failed();
}

#[test]
fn the_references_smallest_project_plans_unchanged() {
    let workspace = Workspace::copy_of("projects/smallest");

    let ended = workspace
        .run(&["plan", "--auto-apply", "--execution-time", "2024-06-05"])
        .fine();

    assert!(
        ended.stderr.contains("not supported yet"),
        "the linter and the unit test are said: {}",
        ended.stderr
    );
}

#[test]
fn render_shows_the_query_over_physical_tables() {
    let shop = shop();

    let ended = shop
        .run(&[
            "render",
            "shop.orders",
            "--start",
            "2024-01-02",
            "--end",
            "2024-01-02",
        ])
        .fine();

    assert!(
        ended
            .stdout
            .contains("BETWEEN '2024-01-02' AND '2024-01-02'"),
        "{}",
        ended.stdout
    );
    assert!(
        ended
            .stdout
            .contains("\"siding__shop\".\"shop__orders_file__"),
        "{}",
        ended.stdout
    );
}

#[test]
fn environments_lists_what_there_is() {
    let shop = shop();
    shop.apply("prod", "2024-01-04");

    let ended = shop.run(&["environments", "--format", "json"]).fine();

    let listed: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(listed["version"], 1);
    assert_eq!(listed["environments"][0]["name"], "prod");
    assert_eq!(listed["environments"][0]["finished"], true);
}

#[test]
fn three_times_verbose_shows_each_statement_that_the_warehouse_gets() {
    let said = |verbose: &str| {
        let arguments = [
            "plan",
            "prod",
            "--auto-apply",
            "--execution-time",
            "2024-01-03",
        ];
        let ended = shop().run(&[&arguments[..], &[verbose]].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.stderr
    };
    let all = said("-vvv");
    for statement in [
        r#"INSERT INTO \"siding__shop\".\"shop__orders__"#,
        r#"VIEW \"shop\".\"orders\" AS"#,
    ] {
        let lines = all.lines();
        let times =
            lines.filter(|line| line.contains("siding::engine") && line.contains(statement));
        assert!(times.count() > 0, "{statement} is not in {all}");
    }
    assert!(!said("-vv").contains(r#"VIEW \"shop\".\"orders\" AS"#));
}
