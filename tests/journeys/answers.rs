//! A plan that changes nothing is answered as before, until anything that the answer followed from is another.

use std::fs;

use crate::workspace::Workspace;

const NOON: &str = "2024-01-05 12:00:00";

fn project() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "models/days.sql",
            "MODEL (name db.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\n\
             SELECT CAST(ds AS DATE) AS ds FROM range(DATE '2024-01-01', DATE '2024-02-01', INTERVAL 1 DAY) AS t(ds)\n\
             WHERE ds BETWEEN @start_ds AND @end_ds",
        ),
        (
            "models/total.sql",
            "MODEL (name db.total, kind FULL, partitioned_by n);\nSELECT count(*) AS n FROM db.days",
        ),
        (
            "models/names.sql",
            "MODEL (name db.names, kind SEED (path '../seeds/names.csv'));",
        ),
        ("seeds/names.csv", "id,name\n1,one\n"),
    ]);
    workspace.apply("prod", NOON);
    workspace
}

/// Whether a plan is answered as before, after making sure that one that reads everything says the same.
#[track_caller]
pub(crate) fn is_answered(workspace: &Workspace, arguments: &[&str], now: &str) -> bool {
    let plan = [&["plan", "-v", "--execution-time", now], arguments].concat();
    let warm = workspace.run(&plan);
    let cold = workspace.run(&[&plan[..], &["--no-cache"]].concat());
    assert_eq!(warm.code, cold.code, "{}", warm.stderr);
    assert_eq!(warm.stdout, cold.stdout, "{arguments:?} at {now}");
    let answered = warm.stderr.contains("whose answer counts");
    let warnings = |text: &str| text.matches("partitioned_by").count();
    assert_eq!(warnings(&warm.stderr), warnings(&cold.stderr));
    answered
}

#[test]
fn each_question_is_answered_as_before_once_it_was_answered() {
    let workspace = project();
    let questions: [&[&str]; 7] = [
        &[],
        &["--format", "json"],
        &["--format", "markdown"],
        &["--explain"],
        &["dev"],
        &[
            "dev",
            "--include-unmodified",
            "--select-model",
            "db.nothing*",
        ],
        &["--forward-only"],
    ];
    for question in questions {
        assert!(!is_answered(&workspace, question, NOON), "{question:?}");
    }
    for question in questions {
        let is_empty = !question.contains(&"--include-unmodified");
        assert_eq!(
            is_answered(&workspace, question, NOON),
            is_empty,
            "{question:?}"
        );
    }
}

#[test]
fn whatever_is_edited_is_seen_and_what_is_put_back_is_known() {
    let workspace = project();
    is_answered(&workspace, &[], NOON);
    for (file, from, to) in [
        ("models/total.sql", "count(*)", "count(1)"),
        ("models/total.sql", "SELECT count(*)", "SELECT 1 + count(*)"),
        ("seeds/names.csv", "one", "uno"),
        ("config.yaml", "2024-01-01", "2024-01-02"),
    ] {
        workspace.edit(file, from, to);
        assert!(!is_answered(&workspace, &[], NOON), "{file}");
        workspace.edit(file, to, from);
        is_answered(&workspace, &[], NOON);
        assert!(is_answered(&workspace, &[], NOON), "{file}");
    }
    workspace.write(
        "models/more.sql",
        "MODEL (name db.more, kind VIEW);\nSELECT 1 AS x",
    );
    assert!(!is_answered(&workspace, &[], NOON));
}

#[test]
fn whatever_is_written_to_the_state_is_seen() {
    let workspace = project();
    is_answered(&workspace, &[], NOON);
    assert!(is_answered(&workspace, &[], NOON));
    let is_new = |what: &str| {
        assert!(!is_answered(&workspace, &[], NOON), "{what}");
        assert!(is_answered(&workspace, &[], NOON), "{what}");
    };
    let run = |arguments: &[&str]| workspace.run(arguments).fine();
    run(&[
        "plan",
        "dev",
        "--include-unmodified",
        "--auto-apply",
        "--execution-time",
        NOON,
    ]);
    is_new("another environment");
    run(&[
        "run",
        "prod",
        "--execution-time",
        "2024-01-05 12:30:00",
        "--ignore-cron",
    ]);
    run(&[
        "plan",
        "-r",
        "db.days",
        "--auto-apply",
        "--execution-time",
        NOON,
    ]);
    is_new("a restatement");
    run(&["invalidate", "dev"]);
    is_new("an end");

    // A restatement that fails leaves days that are missing.
    workspace.edit(
        "models/days.sql",
        "WHERE",
        "WHERE (CASE WHEN ds > '2024-01-02' THEN error('no') ELSE 1 END) = 1 AND",
    );
    workspace
        .run(&[
            "plan",
            "--forward-only",
            "--auto-apply",
            "--execution-time",
            NOON,
        ])
        .fine();
    is_answered(&workspace, &[], NOON);
    assert!(is_answered(&workspace, &[], NOON));
    let failed = workspace.run(&[
        "plan",
        "-r",
        "db.days",
        "--auto-apply",
        "--execution-time",
        NOON,
    ]);
    assert_ne!(failed.code, 0);
    assert!(!is_answered(&workspace, &[], NOON));
    assert!(!is_answered(&workspace, &[], NOON), "days are missing");
}

#[test]
fn an_answer_lasts_until_the_next_cron_fires_and_never_counts_for_earlier() {
    let workspace = project();
    is_answered(&workspace, &[], NOON);
    assert!(is_answered(&workspace, &[], "2024-01-05 23:59:59"));
    assert!(!is_answered(&workspace, &[], "2024-01-05 11:59:59"));
    assert!(!is_answered(&workspace, &[], "2024-01-06"));
}

#[test]
fn an_answer_about_an_environment_that_ends_ends_with_it() {
    let workspace = project();
    workspace.edit(
        "models/days.sql",
        "time_column ds)",
        "time_column ds), cron '@monthly', interval_unit 'day'",
    );
    workspace.edit(
        "models/total.sql",
        "kind FULL",
        "kind FULL, cron '@monthly'",
    );
    workspace.edit("models/names.sql", "'))", "'), cron '@monthly')");
    workspace.apply("dev", NOON);
    is_answered(&workspace, &["dev"], "2024-01-05 13:00:00");
    let answered = is_answered(&workspace, &["dev"], "2024-01-05 14:00:00");
    assert!(answered);
    assert!(!is_answered(&workspace, &["dev"], "2024-02-20"));
}

#[test]
fn answers_that_are_damaged_do_not_count() {
    let workspace = project();
    is_answered(&workspace, &[], NOON);
    let folder = workspace.path().join(".cache").join("siding");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut answers = files.filter(|file| file.to_str().unwrap().ends_with("-answers.cache"));
    let file = answers.next().unwrap();
    let whole = fs::read(&file).unwrap();
    for place in [0, 20, 60, 100, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(&file, &damaged).unwrap();
        assert!(!is_answered(&workspace, &[], NOON), "byte {place}");
        assert!(is_answered(&workspace, &[], NOON), "it is written again");
    }
}

#[test]
fn an_error_in_the_configuration_is_said_although_an_answer_is_there() {
    let workspace = project();
    let config = fs::read_to_string(workspace.path().join("config.yaml")).unwrap();
    // What cannot be read is said and counts as what it is without the line: the configuration stays the same.
    let kept = format!("{config}\nsnapshot_ttl: {{{{ env_var('KEPT') }}}}\n");
    workspace.write("config.yaml", &kept);
    let plan = |kept: &str| {
        let mut command = workspace.command(&["plan", "-v", "--execution-time", NOON]);
        let ended = command.env("KEPT", kept).output().unwrap();
        (
            ended.status.code(),
            String::from_utf8(ended.stderr).unwrap(),
        )
    };
    plan("in 1 week");
    let (code, said) = plan("in 1 week");
    assert_eq!(
        (code, said.contains("whose answer counts")),
        (Some(0), true),
        "{said}"
    );
    let (code, said) = plan("[1, 2]");
    assert!(
        code != Some(0) && said.contains("snapshot_ttl"),
        "{code:?} {said}"
    );
}
