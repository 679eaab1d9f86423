//! Several environments, several branches, and things that happen beside the plans.

use crate::fresh_build::*;

/// `dev` builds `p` beside production's table; the view over it that `dev` made must not come into production.
#[test]
fn a_view_stands_on_the_tables_of_its_own_environment() {
    const P: File = (
        "models/p.sql",
        "MODEL (name db.p, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT id, k, v, ds FROM db.a WHERE ds BETWEEN @start_ds AND @end_ds",
    );
    let wrong = play(
        "views of two environments",
        &[
            Edit(&[
                A,
                P,
                (
                    "models/v.sql",
                    "MODEL (name db.v, kind VIEW);\nSELECT * FROM db.p",
                ),
            ]),
            Plan("prod"),
            Edit(&[A_OTHER]),
            Plan("dev"),
            Edit(&[A_WIDER]),
            Plan("dev"),
            Edit(&[(
                "models/p.sql",
                "MODEL (name db.p, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), owner me);\nSELECT id, k, v, ds FROM db.a WHERE ds BETWEEN @start_ds AND @end_ds",
            )]),
            Plan("prod"),
        ],
        &mut Fresh::default(),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn half_a_history_in_dev_then_all_of_it() {
    const I: File = (
        "models/i.sql",
        "MODEL (name db.i, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT id, k, v, ds FROM db.a WHERE ds BETWEEN @start_ds AND @end_ds",
    );
    const J: File = (
        "models/j.sql",
        "MODEL (name db.j, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT id, v, ds FROM db.o WHERE ds BETWEEN @start_ds AND @end_ds",
    );
    let wrong = play(
        "half a history",
        &[
            Edit(&[
                A,
                I,
                J,
                (
                    "models/v.sql",
                    "MODEL (name db.v, kind VIEW);\nSELECT i.id, i.k, j.v FROM db.i JOIN db.j USING (id)",
                ),
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT k, sum(v) AS s FROM db.v GROUP BY k",
                ),
            ]),
            Plan("prod"),
            Edit(&[
                A_OTHER,
                (
                    "models/j.sql",
                    "MODEL (name db.j, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT id, v * 2 AS v, ds FROM db.o WHERE ds BETWEEN @start_ds AND @end_ds",
                ),
            ]),
            PlanWith(&["dev", "--start", "2024-01-03", "--end", "2024-01-05"]),
            PlanWith(&["dev", "--start", "2024-01-02"]),
            Plan("dev"),
            Plan("prod"),
        ],
        &mut Fresh::default(),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `t` is filled aside while its parent is; when that has all its history, the view over `t` must follow to the
/// real table, though the view itself stays aside.
#[test]
fn a_view_aside_follows_its_parents() {
    let incremental = |name: &str, value: &str| {
        format!(
            "MODEL (name db.{name}, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\n\
             SELECT id, {value} AS v, ds FROM db.o WHERE ds BETWEEN @start_ds AND @end_ds"
        )
    };
    let workspace = Workspace::new(&[
        SEED,
        ROWS,
        (
            "models/t.sql",
            "MODEL (name db.t, kind FULL);\nSELECT count(*) AS n FROM db.i",
        ),
        (
            "models/w.sql",
            "MODEL (name db.w, kind VIEW);\nSELECT n, (SELECT count(*) FROM db.j) AS m FROM db.t",
        ),
    ]);
    let write = |value: &str| {
        for name in ["i", "j"] {
            workspace.write(&format!("models/{name}.sql"), &incremental(name, value));
        }
    };
    write("v");
    workspace.apply("prod", MONDAY);
    write("v + 1");
    let plan = |more: &[&str]| {
        let mut arguments = vec![
            "plan",
            "dev",
            "--execution-time",
            MONDAY,
            "--format",
            "json",
            "--auto-apply",
        ];
        arguments.extend(more);
        workspace.run(&arguments).fine();
    };
    plan(&["--start", "2024-01-06"]);
    assert_eq!(workspace.rows("FROM db__dev.w"), [["2", "2"]]);
    // All of `i`, and still a part of `j`.
    workspace.write("models/j.sql", &incremental("j", "v + 2"));
    workspace.edit(
        "models/j.sql",
        "time_column ds)",
        "time_column ds), start '2023-12-01'",
    );
    plan(&["--start", "2024-01-01"]);
    assert_eq!(workspace.rows("FROM db__dev.t"), [["6"]]);
    assert_eq!(workspace.rows("FROM db__dev.w"), [["6", "6"]]);
}

#[test]
fn an_external_table_becomes_a_model() {
    const T: File = (
        "models/t.sql",
        "MODEL (name db.t, kind FULL);\nSELECT * FROM ext.s",
    );
    const U: File = (
        "models/u.sql",
        "MODEL (name db.u, kind FULL);\nSELECT x FROM ext.s",
    );
    const W: File = (
        "models/w.sql",
        "MODEL (name db.w, kind VIEW);\nSELECT x FROM ext.s",
    );
    const S: File = (
        "models/s.sql",
        "MODEL (name ext.s, kind FULL);\nSELECT v AS x, k AS y FROM db.o",
    );
    for declared in [false, true] {
        let mut steps = vec![
            Sql("CREATE SCHEMA IF NOT EXISTS ext; CREATE TABLE ext.s AS SELECT 1 AS x, 2 AS y"),
            Edit(&[T, U, W]),
        ];
        if declared {
            steps.push(Edit(&[(
                "external_models.yaml",
                "- name: ext.s\n  columns:\n    x: INT\n    y: INT\n",
            )]));
        }
        steps.extend([Plan("prod"), Sql("DROP TABLE ext.s")]);
        if declared {
            steps.push(Edit(&[("external_models.yaml", "")]));
        }
        steps.extend([Edit(&[S]), Plan("prod")]);
        let wrong = play(
            &format!("external, declared {declared}"),
            &steps,
            &mut Fresh::default(),
        );
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn the_declaration_of_an_external_table_changes() {
    let wrong = play(
        "external declared",
        &[
            Sql("CREATE SCHEMA IF NOT EXISTS ext; CREATE TABLE ext.s AS SELECT 1 AS x, 2 AS y"),
            Edit(&[
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT * FROM ext.s",
                ),
                (
                    "models/u.sql",
                    "MODEL (name db.u, kind FULL);\nSELECT x FROM db.t",
                ),
            ]),
            Plan("prod"),
            Sql("ALTER TABLE ext.s ADD COLUMN z INT DEFAULT 7"),
            Edit(&[(
                "external_models.yaml",
                "- name: ext.s\n  columns:\n    x: INT\n    y: INT\n    z: INT\n",
            )]),
            Plan("dev"),
            Plan("prod"),
            Sql("ALTER TABLE ext.s ALTER x TYPE VARCHAR"),
            Edit(&[(
                "external_models.yaml",
                "- name: ext.s\n  columns:\n    x: TEXT\n    y: INT\n    z: INT\n",
            )]),
            Plan("prod"),
        ],
        &mut Fresh::default(),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn two_branches_meet_in_production() {
    const B: File = (
        "models/b.sql",
        "MODEL (name db.b, kind FULL);\nSELECT id, v AS y FROM db.o",
    );
    let wrong = play(
        "two branches",
        &[
            Edit(&[
                A,
                B,
                (
                    "models/c.sql",
                    "MODEL (name db.c, kind FULL);\nSELECT a.id, a.v, b.y FROM db.a JOIN db.b ON a.id = b.id",
                ),
                (
                    "models/v.sql",
                    "MODEL (name db.v, kind VIEW);\nSELECT * FROM db.c",
                ),
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT sum(v) AS s, sum(y) AS u FROM db.v",
                ),
            ]),
            Plan("prod"),
            Edit(&[A_WIDER]),
            PlanWith(&["d1"]),
            Edit(&[
                A,
                (
                    "models/b.sql",
                    "MODEL (name db.b, kind FULL);\nSELECT id, v AS y, id AS q FROM db.o",
                ),
            ]),
            PlanWith(&["d2"]),
            Edit(&[(
                "models/b.sql",
                "MODEL (name db.b, kind FULL);\nSELECT id, v + 1 AS y, id AS q FROM db.o",
            )]),
            PlanWith(&["d2"]),
            Edit(&[
                A_WIDER,
                (
                    "models/b.sql",
                    "MODEL (name db.b, kind FULL);\nSELECT id, v AS y, id AS q FROM db.o",
                ),
            ]),
            Plan("prod"),
            Edit(&[(
                "models/b.sql",
                "MODEL (name db.b, kind FULL);\nSELECT id, v + 1 AS y, id AS q FROM db.o",
            )]),
            PlanWith(&["d1"]),
            Plan("prod"),
            Edit(&[A, B]),
            Plan("prod"),
        ],
        &mut Fresh::default(),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tables_that_dev_and_prod_share_stay_right_while_both_run() {
    const I: File = (
        "models/i.sql",
        "MODEL (name db.i, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, lookback 1));\nSELECT id, k, v, ds FROM db.a WHERE ds BETWEEN @start_ds AND @end_ds",
    );
    let wrong = play(
        "both run",
        &[
            Edit(&[
                A,
                I,
                (
                    "models/v.sql",
                    "MODEL (name db.v, kind VIEW);\nSELECT k, count(*) AS n FROM db.i GROUP BY k",
                ),
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT * FROM db.v",
                ),
            ]),
            Plan("prod"),
            Edit(&[A_WIDER]),
            Plan("dev"),
            Clock("2024-01-10 00:05:00"),
            Command(&["run", "dev", "--execution-time", "2024-01-10 00:05:00"]),
            Plan("prod"),
            Edit(&[A_OTHER]),
            Plan("dev"),
            Clock(FRIDAY),
            Command(&["run", "--execution-time", FRIDAY]),
            Command(&["run", "dev", "--execution-time", FRIDAY]),
            Plan("prod"),
            Edit(&[A_WIDER]),
            Plan("prod"),
        ],
        &mut Fresh::default(),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_rolled_back_or_swept_away_is_built_again() {
    const P: File = (
        "models/p.sql",
        "MODEL (name db.p, kind FULL);\nSELECT id, k, v, ds FROM db.a",
    );
    const V: File = (
        "models/v.sql",
        "MODEL (name db.v, kind VIEW);\nSELECT * FROM db.p",
    );
    let wrong = play(
        "rolled back",
        &[
            Edit(&[A, P, V]),
            Plan("prod"),
            Edit(&[A_OTHER]),
            Plan("prod"),
            Edit(&[A_WIDER]),
            Plan("dev"),
            Plan("prod"),
            Command(&["invalidate", "dev"]),
            Command(&["janitor", "--ignore-ttl"]),
            Edit(&[A_OTHER]),
            Plan("prod"),
            Edit(&[A]),
            Plan("dev"),
            Plan("prod"),
        ],
        &mut Fresh::default(),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_configuration_changes() {
    let config =
        |text: &str| -> &'static str { Box::leak(format!("{CONFIG}{text}").into_boxed_str()) };
    let edits: [&'static [File]; 3] = [
        "variables:\n  least: 3\n",
        "variables:\n  least: 6\n",
        "variables:\n  least: 6\n  other: 1\n",
    ]
    .map(|text| -> &'static [File] { Box::leak(Box::new([("config.yaml", config(text))])) });
    let wrong = play(
        "configuration",
        &[
            Edit(&[
                A,
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT k FROM db.a WHERE v > @least",
                ),
                (
                    "models/u.sql",
                    "MODEL (name db.u, kind FULL);\nSELECT count(*) AS n FROM db.t",
                ),
            ]),
            Edit(edits[0]),
            Plan("prod"),
            Edit(edits[1]),
            Plan("dev"),
            Plan("prod"),
            Edit(edits[2]),
            Plan("prod"),
        ],
        &mut Fresh::default(),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
