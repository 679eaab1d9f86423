//! `virtual_environment_mode: dev_only`: what a table has besides rows is there after a deployment, whoever put it there, or
//! the plan says why not.

use crate::dev_only::set_mode;
use crate::dev_only::workspace;
use crate::engines::on_both_engines;
use crate::workspace::Ended;
use crate::workspace::Workspace;
use crate::workspace::on_postgres;

on_both_engines! {
    indexes_and_constraints_of_statements_are_there_after_each_deployment,
}

const NOW: &str = "2024-01-04";

/// A row a day; what stands behind the query makes the table's index, a rule and a comment once.
const DAYS: &str = "MODEL (name db.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day));
SELECT CAST(@start_ds AS DATE) AS day, 1 AS x;
ALTER TABLE @this_model ALTER COLUMN x SET NOT NULL;
COMMENT ON COLUMN @this_model.x IS 'by hand';
CREATE INDEX IF NOT EXISTS days_of_x ON @this_model (x)
";

/// `db.days` with an index and a rule that its former definition has made, and `db.sum` of it.
fn days() -> Workspace {
    let workspace = workspace(&[
        ("models/days.sql", DAYS),
        (
            "models/sum.sql",
            "MODEL (name db.sum, kind FULL);\nSELECT CAST(sum(x) AS INT) AS x FROM db.days\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    // From here on nothing makes them again.
    let query = DAYS.split(';').take(2).collect::<Vec<_>>().join(";");
    workspace.write("models/days.sql", &format!("{query}\n"));
    workspace
}

fn apply(workspace: &Workspace) -> Ended {
    workspace.run(&["plan", "--execution-time", NOW, "--auto-apply"])
}

fn indexes_and_constraints_of_statements_are_there_after_each_deployment() {
    let workspace = days();
    let (indexes, comment) = if workspace.is_postgres() {
        (
            "SELECT count(*) FROM pg_indexes WHERE schemaname = 'db' AND tablename = 'days'",
            "SELECT col_description('db.days'::regclass, attnum) FROM pg_attribute
             WHERE attrelid = 'db.days'::regclass AND attname = 'x'",
        )
    } else {
        (
            "SELECT count(*) FROM duckdb_indexes() WHERE schema_name = 'db' AND table_name = 'days'",
            "SELECT comment FROM duckdb_columns() WHERE schema_name = 'db' AND table_name = 'days' AND column_name = 'x'",
        )
    };
    let nullable = "SELECT is_nullable FROM information_schema.columns
         WHERE table_schema = 'db' AND table_name = 'days' AND column_name = 'x'";
    let check = |when: &str| {
        assert_eq!(workspace.rows(indexes), [["1"]], "{when}");
        assert_eq!(workspace.rows(nullable), [["NO"]], "{when}");
        assert_eq!(workspace.rows(comment), [["by hand"]], "{when}");
        assert_eq!(workspace.rows("SELECT count(*) FROM db.days"), [["1"]]);
    };
    check("as it was made");
    // A table that goes on from the rows of the former one.
    workspace.edit("models/days.sql", "1 AS x", "2 AS x");
    apply(&workspace).fine();
    check("with another definition");
    workspace.edit("models/days.sql", "2 AS x", "2 AS x, 3 AS y");
    apply(&workspace).fine();
    check("with another column");
    for _ in 0..2 {
        workspace.run(&["rollback", "prod"]).fine();
        check("after a switch back");
    }
}

#[test]
fn rights_are_those_that_stood_there_before_and_none_comes_back() {
    on_postgres(|| {
        let workspace = days();
        let may = |table: &str| {
            let sql = format!("SELECT has_table_privilege('pg_monitor', '{table}', 'SELECT')");
            workspace.rows(&sql)[0][0].clone()
        };
        workspace.execute("GRANT SELECT ON db.sum TO pg_monitor");
        workspace.execute("GRANT SELECT (x) ON db.days TO pg_monitor");
        workspace.edit("models/sum.sql", "sum(x)", "sum(x) + 1");
        workspace.edit("models/days.sql", "1 AS x", "2 AS x");
        apply(&workspace).fine();
        assert_eq!(may("db.sum"), "t");
        let column = "SELECT has_column_privilege('pg_monitor', 'db.days', 'x', 'SELECT')";
        assert_eq!(workspace.rows(column), [["t"]]);

        workspace.execute("REVOKE SELECT ON db.sum FROM pg_monitor");
        workspace.run(&["rollback", "prod"]).fine();
        assert_eq!(may("db.sum"), "f", "the former table had it once");
    });
}

#[test]
fn new_tables_get_the_rights_that_their_schema_gives_to_new_tables() {
    on_postgres(|| {
        let workspace = days();
        workspace.execute(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA db GRANT SELECT ON TABLES TO pg_monitor WITH GRANT OPTION",
        );
        workspace.write(
            "models/late.sql",
            "MODEL (name db.late, kind FULL);\nSELECT 1 AS x\n",
        );
        let may = |table: &str| {
            let sql = format!(
                "SELECT has_table_privilege('pg_monitor', '{table}', 'SELECT WITH GRANT OPTION')"
            );
            workspace.rows(&sql)[0][0].clone()
        };
        apply(&workspace).fine();
        assert_eq!(may("db.late"), "t");
        assert_eq!(may("db.sum"), "f", "it was there before");
        workspace.execute("REVOKE ALL ON db.late FROM pg_monitor");
        workspace.edit("models/late.sql", "1 AS x", "2 AS x");
        apply(&workspace).fine();
        assert_eq!(may("db.late"), "f", "it was taken away");
    });
}

#[test]
fn who_sees_only_some_rows_sees_only_some_rows_after_a_deployment() {
    on_postgres(|| {
        let workspace = days();
        for sql in [
            "ALTER TABLE db.sum ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY \"some rows\" ON db.sum FOR SELECT TO pg_monitor USING (x > 1000)",
            "GRANT SELECT ON db.sum TO pg_monitor",
            "GRANT USAGE ON SCHEMA db TO pg_monitor",
            "CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER noted AFTER INSERT ON db.sum EXECUTE FUNCTION public.noted()",
            "ALTER TABLE db.days OWNER TO pg_monitor",
        ] {
            workspace.execute(sql);
        }
        let seen = |count: u32| {
            workspace.execute(&format!(
                "DO $$ BEGIN SET LOCAL ROLE pg_monitor;
                     IF (SELECT count(*) FROM db.sum) <> {count} THEN RAISE EXCEPTION 'other rows'; END IF;
                 END $$"
            ));
        };
        seen(0);
        workspace.edit("models/sum.sql", "sum(x)", "sum(x) + 1000");
        workspace.edit("models/days.sql", "1 AS x", "2 AS x");
        apply(&workspace).fine();
        seen(1);
        workspace.edit("models/sum.sql", "sum(x) + 1000", "sum(x) + 10");
        apply(&workspace).fine();
        seen(0);
        let triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'db.sum'::regclass";
        assert_eq!(workspace.rows(triggers), [["1"]]);
        let owner = "SELECT relowner::regrole FROM pg_class WHERE oid = 'db.days'::regclass";
        assert_eq!(workspace.rows(owner), [["pg_monitor"]]);

        set_mode(&workspace, false);
        let ended = apply(&workspace).failed();
        let told = "`db.sum` has row-level security or triggers, which the view that takes its place cannot have";
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        seen(0);
    });
}

#[test]
fn what_is_tied_to_a_table_itself_stops_the_plan_before_anything_changes() {
    on_postgres(|| {
        let workspace = days();
        workspace.execute("CREATE TABLE public.child () INHERITS (db.sum)");
        workspace.edit("models/sum.sql", "sum(x)", "sum(x) + 1");
        let ended = apply(&workspace).failed();
        let told = "`child`, which inherits from it would stay with the table that is `db.sum` now";
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert_eq!(workspace.rows("FROM db.sum"), [["1"]]);
        workspace.execute("DROP TABLE public.child");
        apply(&workspace).fine();
        assert_eq!(workspace.rows("FROM db.sum"), [["2"]]);
    });
}

#[test]
fn a_view_that_loses_a_column_keeps_the_rights_on_it() {
    on_postgres(|| {
        let workspace = days();
        set_mode(&workspace, false);
        workspace.edit("models/sum.sql", "AS INT) AS x", "AS INT) AS x, 1 AS y");
        apply(&workspace).fine();
        workspace.execute("GRANT SELECT ON db.sum TO pg_monitor");
        workspace.edit("models/sum.sql", "AS INT) AS x, 1 AS y", "AS INT) AS x");
        apply(&workspace).fine();
        let may = "SELECT has_table_privilege('pg_monitor', 'db.sum', 'SELECT')";
        assert_eq!(workspace.rows(may), [["t"]]);
    });
}
