//! A user who pipes, mistypes and surprises: nothing is lost, and nothing is passed over in silence.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Stdio;

use crate::workspace::Workspace;

const MODEL: &str = "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n";

const NOW: [&str; 2] = ["--execution-time", "2024-01-03"];

#[test]
fn a_plan_goes_on_when_nobody_watches_any_more() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column ts, batch_size 1), cron '@hourly');\n\
         SELECT ts FROM range(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-03', INTERVAL 1 HOUR) AS t(ts)\n\
         WHERE ts BETWEEN @start_ts AND @end_ts\n",
    )]);
    let mut command = workspace.command(&["plan", "--auto-apply", NOW[0], NOW[1]]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // As `| head -1` does: one line is read, then the pipe is closed.
    let mut notes = BufReader::new(child.stderr.take().unwrap());
    notes.read_line(&mut String::new()).unwrap();
    drop(notes);
    let status = child.wait().unwrap();

    assert!(status.success(), "{status}");
    assert_eq!(workspace.rows("SELECT COUNT(*) FROM db.a"), [["48"]]);
}

#[test]
fn an_environment_without_a_name_is_wrong_usage() {
    let workspace = Workspace::new(&[("models/a.sql", MODEL)]);
    for command in ["plan", "run", "rollback", "invalidate"] {
        let ended = workspace.run(&[command, ""]);
        assert_eq!(ended.code, 2, "{command}: {}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains("needs a letter from a to z or a digit"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn the_list_of_environments_is_markdown_when_asked() {
    let workspace = Workspace::new(&[("models/a.sql", MODEL)]);
    workspace.apply("prod", "2024-01-03");
    let ended = workspace.run(&["environments", "--format", "markdown"]);
    let lines: Vec<String> = ended.fine().stdout.lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("| NAME"), "{lines:?}");
    assert!(lines[1].starts_with("|--"), "{lines:?}");
    assert!(lines[2].starts_with("| prod"), "{lines:?}");
}

#[test]
fn a_model_in_quotes_is_rendered_by_the_name_that_sql_needs() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.\"Top Ten\", kind FULL);\nSELECT 1 AS x\n",
    )]);
    for name in ["db.\"Top Ten\"", "db.top ten"] {
        let ended = workspace.run(&["render", name]).fine();
        assert_eq!(ended.stdout.trim(), "SELECT 1 AS x", "{name}");
    }
}

#[test]
fn text_days_that_do_not_sort_by_time_are_refused_before_rows_are_lost() {
    let model = |format: &str| {
        format!(
            "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column (day, '{format}')));\n\
             SELECT strftime(ts, '{format}') AS day\n\
             FROM range(TIMESTAMP '2024-01-01', TIMESTAMP '2024-02-10', INTERVAL 1 DAY) AS t(ts)\n\
             WHERE CAST(ts AS DATE) BETWEEN @start_date AND @end_date\n"
        )
    };
    let workspace = Workspace::new(&[("models/a.sql", &model("%d/%m/%Y"))]);
    let plan = ["plan", "--auto-apply", "--execution-time", "2024-02-10"];
    let ended = workspace.run(&plan).failed();
    assert!(
        ended
            .stderr
            .contains("`%d/%m/%Y`, which does not sort by time"),
        "{}",
        ended.stderr
    );

    workspace.write("models/a.sql", &model("%Y/%m/%d"));
    workspace.run(&plan).fine();
    assert_eq!(workspace.rows("SELECT COUNT(*) FROM db.a"), [["40"]]);
}

#[test]
fn a_column_of_days_keeps_every_hour_of_a_model_that_is_filled_by_the_hour() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 5), cron '@hourly');\n\
         SELECT ts, ts::DATE AS day\n\
         FROM range(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-03', INTERVAL 1 HOUR) AS t(ts)\n\
         WHERE ts BETWEEN @start_ts AND @end_ts\n",
    )]);
    workspace.apply("prod", "2024-01-02T08:00:00");
    workspace
        .run(&["run", "--execution-time", "2024-01-03"])
        .fine();
    assert_eq!(
        workspace.rows("SELECT COUNT(*), COUNT(DISTINCT ts) FROM db.a"),
        [["48", "48"]]
    );
}

#[test]
fn a_time_format_with_an_unknown_part_names_the_line() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (\n  name db.a,\n  kind INCREMENTAL_BY_TIME_RANGE (time_column (ds, '%Y-%Q'))\n);\n\
         SELECT '2024' AS ds\n",
    )]);
    let ended = workspace
        .run(&["plan", "--auto-apply", NOW[0], NOW[1]])
        .failed();
    for part in ["models/a.sql:3", "`%Q`"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn a_file_that_holds_nothing_is_said() {
    let workspace = Workspace::new(&[("models/a.sql", MODEL), ("models/b.sql", "\n")]);
    let ended = workspace
        .run(&["plan", "--auto-apply", NOW[0], NOW[1]])
        .fine();
    assert!(
        ended.stderr.contains("models/b.sql") && ended.stderr.contains("is empty"),
        "{}",
        ended.stderr
    );
}

#[cfg(unix)]
#[test]
fn a_models_folder_behind_a_link_is_no_empty_project() {
    let workspace = Workspace::new(&[("models/a.sql", MODEL)]);
    workspace.apply("prod", "2024-01-03");
    std::fs::rename(
        workspace.path().join("models"),
        workspace.path().join("elsewhere"),
    )
    .unwrap();
    std::os::unix::fs::symlink("elsewhere", workspace.path().join("models")).unwrap();

    let ended = workspace
        .run(&["plan", "--auto-apply", NOW[0], NOW[1]])
        .failed();

    assert!(ended.stderr.contains("symbolic link"), "{}", ended.stderr);
    assert_eq!(workspace.objects("VIEW"), ["db.a"], "nothing was removed");
}

#[test]
fn help_is_a_command_too() {
    let workspace = Workspace::empty();
    let ended = workspace.run(&["help", "plan"]).fine();
    assert!(ended.stdout.contains("--auto-apply"), "{}", ended.stdout);
}
