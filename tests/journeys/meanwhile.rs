//! What happens to an environment between a plan and its switch: somebody looks at the plan, or it takes its time, and a run
//! goes on filling what is shown.

use siding::environment::EnvironmentName;
use siding::ops;
use siding::ops::Applied;
use siding::ops::ApplyError;
use siding::ops::PlanExtra;
use siding::ops::PlanRequest;
use siding::ops::Session;
use siding::ops::SessionOptions;
use siding::plan::Wishes;
use siding::scheduler::Control;
use siding::scheduler::Progress;
use siding::state::Holder;

#[cfg(unix)]
use crate::processes::Background;
#[cfg(unix)]
use crate::processes::StateFile;
use crate::workspace::Workspace;
use crate::workspace::on_postgres;

const SOURCE: &str = "MODEL (name db.src, kind VIEW);
SELECT d::date AS day, 10 AS v
FROM generate_series(DATE '2023-12-01', DATE '2024-02-01', INTERVAL '1 day') AS t(d)
";

const SLICES: &str =
    "MODEL (name db.slices, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1));
SELECT day, v FROM db.src WHERE day BETWEEN @start_date AND @end_date
";

const ADDED: &str = "MODEL (name db.added, kind INCREMENTAL_UNMANAGED (forward_only false));
SELECT day, v FROM db.slices WHERE day BETWEEN @start_date AND @end_date
";

const KEYED: &str = "MODEL (name db.keyed, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key day));
SELECT day, v FROM db.slices WHERE day BETWEEN @start_date AND @end_date
";

const SO_FAR: &str = "MODEL (name db.so_far, kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  columns (day DATE, total BIGINT));
SELECT day, v + coalesce((SELECT max(s.total) FROM db.so_far AS s), 0) AS total
FROM db.slices WHERE day BETWEEN @start_date AND @end_date
";

const TOTAL: &str = "MODEL (name db.total, kind FULL);
SELECT sum(v) AS v, count(*) AS n FROM db.slices
";

/// All kinds over ten days' slices, of which nine are filled.
fn shop() -> Workspace {
    let workspace = Workspace::new(&[
        ("models/src.sql", SOURCE),
        ("models/slices.sql", SLICES),
        ("models/added.sql", ADDED),
        ("models/keyed.sql", KEYED),
        ("models/so_far.sql", SO_FAR),
        ("models/total.sql", TOTAL),
    ]);
    workspace.apply("prod", "2024-01-10");
    workspace
}

/// What readers of an environment's schema see of each model: how many days, and what they add up to.
fn seen(workspace: &Workspace, schema: &str) -> Vec<String> {
    let of = |sql: String| workspace.rows(&sql).remove(0).join(" ");
    vec![
        of(format!("SELECT count(*), sum(v) FROM {schema}.slices")),
        of(format!("SELECT count(*), sum(v) FROM {schema}.added")),
        of(format!("SELECT count(*), sum(v) FROM {schema}.keyed")),
        of(format!("SELECT count(*), max(total) FROM {schema}.so_far")),
        of(format!("SELECT n, v FROM {schema}.total")),
    ]
}

/// So many days with this value.
fn all_have(days: u32, value: u32) -> Vec<String> {
    vec![format!("{days} {}", days * value); 5]
}

/// What is asked of a plan, beside the environment.
struct Asked {
    now: &'static str,
    wishes: Wishes,
    only_switch: bool,
}

/// Nothing special, on 10 January.
const NOTHING: fn() -> Asked = || Asked {
    now: "2024-01-10T00:00:00Z",
    wishes: Wishes::default(),
    only_switch: false,
};

/// Plans, lets something happen, then applies. Also: the models that had to catch up.
fn plan_and_then(
    workspace: &Workspace,
    environment: &str,
    asked: Asked,
    meanwhile: impl FnOnce(),
) -> (Result<Applied, ApplyError>, Vec<String>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let now: chrono::DateTime<chrono::Utc> = asked.now.parse().unwrap();
    let options = SessionOptions::in_folder(workspace.path());
    let session = runtime.block_on(Session::open(&options)).unwrap();
    let environment = EnvironmentName::from(environment.to_owned());
    let request = PlanRequest {
        start: None,
        end: None,
        execution_time: now,
        include_unmodified: false,
        against_prod: false,
        expires_at: None,
        naming: session.naming(&environment),
        environment,
        actor: "tester".to_owned(),
        choices: session.choices(Default::default(), "tester"),
        extra: PlanExtra {
            wishes: asked.wishes,
            ..PlanExtra::default()
        },
    };
    let planned = runtime
        .block_on(ops::plan(
            session.models(),
            session.candidates(),
            session.state(),
            &request,
            Vec::new(),
        ))
        .unwrap();

    meanwhile();

    let holder = Holder {
        id: "plan".to_owned(),
        label: "the plan".to_owned(),
    };
    let control = Control::new(holder, std::sync::Arc::new(move || now));
    let caught_up = std::sync::Mutex::new(Vec::new());
    let report = |progress: Progress| {
        if let Progress::CatchingUp { models, .. } = progress {
            let models = models.iter().map(ToString::to_string);
            caught_up.lock().unwrap().extend(models);
        }
    };
    let applied = runtime.block_on(async {
        let engine = session.engine().await.unwrap();
        let (engine, state) = (engine.as_ref(), session.state());
        if asked.only_switch {
            ops::switch_only(&planned, engine, state, now, &control, &report).await
        } else {
            ops::apply(&planned, engine, state, now, &control, &report).await
        }
    });
    (applied, caught_up.into_inner().unwrap())
}

#[track_caller]
fn run(workspace: &Workspace, environment: &str, now: &str) {
    workspace
        .run(&["run", environment, "--execution-time", now])
        .fine();
}

/// Nothing is left to do, and nothing is missing.
#[track_caller]
fn is_settled(workspace: &Workspace, environment: &str) {
    let at = ["--execution-time", "2024-01-12"];
    let plan = workspace.run(&["plan", environment, at[0], at[1]]).fine();
    assert!(
        plan.stdout.contains("No changes to plan"),
        "{}",
        plan.stdout
    );
    let intervals = workspace.run(&["check_intervals", environment, at[0], at[1]]);
    assert_eq!(intervals.code, 0, "{}", intervals.stdout);
}

#[test]
fn days_that_a_run_fills_while_a_plan_waits_are_in_the_new_tables_before_the_switch() {
    let workspace = shop();
    assert_eq!(seen(&workspace, "db"), all_have(9, 10));
    workspace.edit("models/src.sql", "10 AS v", "20 AS v");
    let (applied, caught_up) = plan_and_then(&workspace, "prod", NOTHING(), || {
        run(&workspace, "prod", "2024-01-12");
        assert_eq!(seen(&workspace, "db"), all_have(11, 10));
    });

    applied.unwrap();
    assert_eq!(seen(&workspace, "db"), all_have(11, 20));
    assert_eq!(
        caught_up,
        ["db.slices", "db.added", "db.keyed", "db.so_far", "db.total"]
    );
    is_settled(&workspace, "prod");
}

/// Between the last look and the switch, which nobody can meet on purpose: a trigger of the state does.
#[cfg(unix)]
#[test]
fn days_that_are_recorded_in_the_last_moment_before_the_switch_are_not_missed_either() {
    let workspace = shop();
    let state = StateFile::of(&workspace);
    workspace.edit("models/src.sql", "10 AS v", "20 AS v");
    let (applied, caught_up) = plan_and_then(&workspace, "prod", NOTHING(), || {
        let last = state.number("SELECT max(id) FROM siding_intervals");
        run(&workspace, "prod", "2024-01-12");
        let recorded = format!("FROM siding_intervals WHERE id > {last}");
        state.execute(&format!("CREATE TABLE late AS SELECT * {recorded}"));
        state.execute(&format!("DELETE {recorded}"));
        state.execute(
            "CREATE TRIGGER last_moment AFTER UPDATE ON siding_ledger WHEN NEW.kind = 'environment view' BEGIN
               INSERT INTO siding_intervals (name, version, start_at, end_at, removed, created_at)
                 SELECT name, version, start_at, end_at, removed, created_at FROM late;
               DELETE FROM late;
             END",
        );
    });

    applied.unwrap();
    assert_eq!(state.number("SELECT count(*) FROM late"), 0);
    assert_eq!(caught_up.len(), 5);
    assert_eq!(seen(&workspace, "db"), all_have(11, 20));
}

#[test]
fn the_same_holds_on_postgres() {
    on_postgres(days_that_a_run_fills_while_a_plan_waits_are_in_the_new_tables_before_the_switch);
}

#[test]
fn tables_that_were_built_before_catch_up_as_well_unless_only_a_switch_is_allowed() {
    let workspace = shop();
    workspace.edit("models/src.sql", "10 AS v", "20 AS v");
    workspace.apply("dev", "2024-01-10");
    let asked = Asked {
        only_switch: true,
        ..NOTHING()
    };
    let (refused, _) = plan_and_then(&workspace, "prod", asked, || {
        run(&workspace, "prod", "2024-01-11");
    });
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("`db.slices`") && refused.contains("plan again"),
        "{refused}"
    );
    assert_eq!(seen(&workspace, "db"), all_have(10, 10), "nothing changed");

    let asked = Asked {
        now: "2024-01-11T00:00:00Z",
        ..NOTHING()
    };
    let (applied, _) = plan_and_then(&workspace, "prod", asked, || {
        run(&workspace, "prod", "2024-01-12");
    });
    applied.unwrap();
    assert_eq!(seen(&workspace, "db"), all_have(11, 20));
    is_settled(&workspace, "prod");
}

#[test]
fn a_development_environment_keeps_what_its_own_run_has_filled() {
    let workspace = shop();
    workspace.edit("models/src.sql", "10 AS v", "20 AS v");
    workspace.apply("dev", "2024-01-10");
    workspace.edit("models/src.sql", "20 AS v", "30 AS v");
    let (applied, caught_up) = plan_and_then(&workspace, "dev", NOTHING(), || {
        run(&workspace, "dev", "2024-01-12");
        assert_eq!(seen(&workspace, "db__dev"), all_have(11, 20));
    });

    applied.unwrap();
    assert_eq!(caught_up.len(), 5, "{caught_up:?}");
    assert_eq!(seen(&workspace, "db__dev"), all_have(11, 30));
    assert_eq!(seen(&workspace, "db"), all_have(9, 10));
}

#[test]
fn what_a_restatement_clears_while_a_plan_waits_is_filled_again_before_the_switch() {
    let workspace = Workspace::new(&[
        ("models/src.sql", SOURCE),
        ("models/slices.sql", SLICES),
        ("models/total.sql", TOTAL),
    ]);
    workspace.apply("prod", "2024-01-10");
    workspace.edit("models/slices.sql", "day, v", "day, v + 1 AS v");
    workspace.apply("dev", "2024-01-10");
    let (applied, caught_up) = plan_and_then(&workspace, "prod", NOTHING(), || {
        let restate = ["plan", "--auto-apply", "--restate-model", "db.slices"];
        let day = ["-s", "2024-01-04", "-e", "2024-01-04"];
        let at = ["--execution-time", "2024-01-10"];
        workspace.run(&[&restate[..], &day, &at].concat()).fine();
    });

    applied.unwrap();
    assert!(caught_up.contains(&"db.slices".to_owned()), "{caught_up:?}");
    assert_eq!(workspace.rows("FROM db.total"), [["99", "9"]]);
    is_settled_on(&workspace, "2024-01-10");
}

#[track_caller]
fn is_settled_on(workspace: &Workspace, now: &str) {
    let intervals = workspace.run(&["check_intervals", "--execution-time", now]);
    assert_eq!(intervals.code, 0, "{}", intervals.stdout);
}

#[test]
fn no_gaps_counts_what_is_filled_at_the_switch() {
    let workspace = shop();
    workspace.edit("models/src.sql", "10 AS v", "20 AS v");
    let end = "time_column day, batch_size 1), end '2024-01-10'";
    workspace.edit("models/slices.sql", "time_column day, batch_size 1)", end);
    let asked = Asked {
        wishes: Wishes {
            no_gaps: true,
            ..Wishes::default()
        },
        ..NOTHING()
    };
    let (applied, _) = plan_and_then(&workspace, "prod", asked, || {
        run(&workspace, "prod", "2024-01-12");
    });

    let refused = applied.unwrap_err().to_string();
    let gap =
        "`db.slices` would have a gap: its new table lacks 2024-01-11 00:00 to 2024-01-12 00:00";
    assert!(refused.contains(gap), "{refused}");
    assert_eq!(seen(&workspace, "db"), all_have(11, 10));
}

/// The real program, twice at once, on PostgreSQL: the plan is held up where it would switch.
#[test]
#[cfg(unix)]
fn a_run_beside_a_plan_of_another_process_loses_nothing() {
    on_postgres(|| {
        let workspace = shop();
        workspace.edit("models/src.sql", "10 AS v", "20 AS v");
        let state = StateFile::of(&workspace);
        state.execute(
            "INSERT INTO siding_leases (subject, fence, holder, label, process, taken_at, expires_at)
             VALUES ('environment prod', 1000000, 'h', 'the test', '', 0, 99999999999999)",
        );
        let plan = ["plan", "--auto-apply", "--execution-time", "2024-01-10"];
        let plan = Background::start(&workspace, &plan);
        plan.wait_for_note("waiting for the environment `prod`, which the test has");
        run(&workspace, "prod", "2024-01-12");
        assert_eq!(seen(&workspace, "db"), all_have(11, 10));
        state.execute("DELETE FROM siding_leases WHERE holder = 'h'");
        let plan = plan.ended().fine();

        let said = "behind db.slices, db.added, db.keyed, db.so_far, db.total: what `prod` shows was filled further";
        assert!(plan.stderr.contains(said), "{}", plan.stderr);
        assert_eq!(seen(&workspace, "db"), all_have(11, 20));
        is_settled(&workspace, "prod");
    });
}

#[test]
#[cfg(unix)]
fn a_run_that_begins_again_sums_up_all_that_it_did() {
    on_postgres(|| {
        let slow = "MODEL (name db.slow, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1, batch_concurrency 1));
            SELECT d::date AS day, 1 AS v
            FROM generate_series(DATE '2024-01-01', DATE '2024-02-01', INTERVAL '1 day') AS t(d), pg_sleep(0.4)
            WHERE d BETWEEN @start_date AND @end_date";
        let other = "MODEL (name db.other, kind FULL);\nSELECT 1 AS v";
        let workspace = Workspace::new(&[("models/slow.sql", slow), ("models/other.sql", other)]);
        workspace.apply("prod", "2024-01-02");
        let run = ["run", "--execution-time", "2024-01-09", "--format", "json"];
        let run = Background::start(&workspace, &run);
        run.wait_for_note("filled db.slow [2024-01-02]");
        workspace.edit("models/other.sql", "1 AS v", "2 AS v");
        workspace.apply("prod", "2024-01-02");
        let ended = run.ended().fine();

        assert!(
            ended.stderr.contains("another plan has changed"),
            "{}",
            ended.stderr
        );
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(report["restarts"], 1);
        let of = |list: &str| {
            let models = report[list].as_array().unwrap().iter();
            let mut slow = models.filter(|model| model["name"] == "db.slow");
            let first = slow.next().unwrap().clone();
            assert!(slow.next().is_none(), "{report:#}");
            first
        };
        assert_eq!(of("models")["batches"].as_array().unwrap().len(), 7);
        assert_eq!(of("models")["rows"], 7);
        assert_eq!(of("models")["status"], "filled");
        assert_eq!(of("due")["batches"], 7);
        assert_eq!(report["left"], serde_json::json!([]));
    });
}
