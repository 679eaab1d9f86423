//! One project after another in one environment.

use crate::fresh_build::*;

#[test]
fn views_over_views() {
    like_fresh(
        "views over views",
        &[
            &[
                A,
                (
                    "models/v1.sql",
                    "MODEL (name db.v1, kind VIEW);\nSELECT * FROM db.a",
                ),
                (
                    "models/v2.sql",
                    "MODEL (name db.v2, kind VIEW);\nSELECT k, count(*) AS n, sum(v) AS s FROM db.v1 GROUP BY k",
                ),
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT k, n, s FROM db.v2",
                ),
                (
                    "models/i.sql",
                    "MODEL (name db.i, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT id, v, ds FROM db.v1 WHERE ds BETWEEN @start_ds AND @end_ds",
                ),
            ],
            &[A_WIDER],
            &[(
                "models/v1.sql",
                "MODEL (name db.v1, kind VIEW);\nSELECT * FROM db.a WHERE z > 4",
            )],
            &[
                A_OTHER,
                (
                    "models/v1.sql",
                    "MODEL (name db.v1, kind VIEW);\nSELECT * FROM db.a",
                ),
            ],
            &[A],
        ],
    );
}

#[test]
fn embedded_parents() {
    like_fresh(
        "embedded",
        &[
            &[
                (
                    "models/e.sql",
                    "MODEL (name db.e, kind EMBEDDED);\nSELECT k, v, ds FROM db.o WHERE v > 1",
                ),
                (
                    "models/e2.sql",
                    "MODEL (name db.e2, kind EMBEDDED);\nSELECT * FROM db.e",
                ),
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT k, sum(v) AS s FROM db.e2 GROUP BY k",
                ),
                (
                    "models/s.sql",
                    "MODEL (name db.s, kind FULL);\nSELECT * FROM db.e2",
                ),
                (
                    "models/w.sql",
                    "MODEL (name db.w, kind VIEW);\nSELECT * FROM db.e2",
                ),
            ],
            &[(
                "models/e.sql",
                "MODEL (name db.e, kind EMBEDDED);\nSELECT k, v, ds, id AS z FROM db.o WHERE v > 1",
            )],
            &[(
                "models/e.sql",
                "MODEL (name db.e, kind EMBEDDED);\nSELECT k, v, ds, id AS z FROM db.o WHERE v > 4",
            )],
            &[(
                "models/e.sql",
                "MODEL (name db.e, kind VIEW);\nSELECT k, v, ds, id AS z FROM db.o WHERE v > 4",
            )],
            &[(
                "models/e.sql",
                "MODEL (name db.e, kind EMBEDDED);\nSELECT k, v + 1 AS v, ds FROM db.o WHERE v > 4",
            )],
        ],
    );
}

#[test]
fn a_parent_goes_and_comes_back() {
    const T: File = (
        "models/t.sql",
        "MODEL (name db.t, kind FULL);\nSELECT k, v FROM db.a",
    );
    const W: File = (
        "models/w.sql",
        "MODEL (name db.w, kind VIEW);\nSELECT k, v FROM db.a",
    );
    like_fresh(
        "gone and back",
        &[
            &[A, T, W],
            &[
                ("models/a.sql", ""),
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT k, v FROM db.o",
                ),
                (
                    "models/w.sql",
                    "MODEL (name db.w, kind VIEW);\nSELECT k, v FROM db.o",
                ),
            ],
            &[A_OTHER, T, W],
            &[A_WIDER],
        ],
    );
}

#[test]
fn kinds_change() {
    const T: File = (
        "models/t.sql",
        "MODEL (name db.t, kind FULL);\nSELECT k, sum(v) AS s FROM db.a GROUP BY k",
    );
    const W: File = (
        "models/w.sql",
        "MODEL (name db.w, kind VIEW);\nSELECT * FROM db.a",
    );
    like_fresh(
        "kinds",
        &[
            &[A, T, W],
            &[(
                "models/a.sql",
                "MODEL (name db.a, kind VIEW);\nSELECT id, k, v, ds FROM db.o",
            )],
            &[(
                "models/a.sql",
                "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT id, k, v, ds FROM db.o WHERE ds BETWEEN @start_ds AND @end_ds",
            )],
            &[(
                "models/a.sql",
                "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, lookback 2, batch_size 1));\nSELECT id, k, v, ds FROM db.o WHERE ds BETWEEN @start_ds AND @end_ds",
            )],
            &[(
                "models/a.sql",
                "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, lookback 2), cron '1 0 * * *');\nSELECT id, k, v, ds FROM db.o WHERE ds BETWEEN @start_ds AND @end_ds",
            )],
            &[A],
            &[(
                "models/a.sql",
                "MODEL (name db.a, kind EMBEDDED);\nSELECT id, k, v, ds FROM db.o",
            )],
        ],
    );
}

#[test]
fn seeds_change() {
    const T: File = (
        "models/t.sql",
        "MODEL (name db.t, kind FULL);\nSELECT k, CAST(v AS DOUBLE) / 2 AS half FROM db.o",
    );
    const W: File = (
        "models/w.sql",
        "MODEL (name db.w, kind VIEW);\nSELECT * FROM db.o",
    );
    like_fresh(
        "seeds",
        &[
            &[T, W],
            &[(
                "models/o.sql",
                "MODEL (name db.o, kind SEED (path '../seeds/o.csv'), columns (id INT, k INT, v DOUBLE, ds DATE));",
            )],
            &[(
                "models/o.sql",
                "MODEL (name db.o, kind SEED (path '../seeds/o.csv'));",
            )],
            &[
                (
                    "models/o.sql",
                    "MODEL (name db.o, kind SEED (path '../seeds/p.csv'));",
                ),
                ("seeds/o.csv", ""),
                (
                    "seeds/p.csv",
                    "id,k,v,ds,extra\n1,1,5,2024-01-01,x\n2,1,,2024-01-02,y\n",
                ),
            ],
            &[(
                "seeds/p.csv",
                "id,k,v,ds,extra,more\n1,1,5,2024-01-01,x,1\n2,1,,2024-01-02,y,2\n",
            )],
            &[(
                "seeds/p.csv",
                "k,id,v,ds,extra,more\n1,1,5,2024-01-01,x,1\n1,2,,2024-01-02,y,2\n",
            )],
            &[(
                "seeds/p.csv",
                "k,id,v,ds,extra,more\n1,1,5.0,2024-01-01,x,1\n1,2,,2024-01-02,y,2\n",
            )],
            &[(
                "seeds/p.csv",
                "k,id,v,ds,extra,more\n1,1,5.0,2024-01-01,\"\",1\n1,2,\"\",2024-01-02,y,2\n",
            )],
        ],
    );
}

#[test]
fn readers_of_every_sort() {
    const B: File = (
        "models/b.sql",
        "MODEL (name db.b, kind FULL);\nSELECT id, k, v AS y, id % 2 AS z FROM db.o WHERE id < 9",
    );
    straight_like_fresh(
        "readers",
        &[
            &[
                A,
                B,
                (
                    "models/r01.sql",
                    "MODEL (name db.r01, kind FULL);\nSELECT v, y FROM db.a JOIN db.b ON a.k = b.k",
                ),
                (
                    "models/r02.sql",
                    "MODEL (name db.r02, kind FULL);\nSELECT * FROM db.a JOIN db.b USING (id)",
                ),
                (
                    "models/r03.sql",
                    "MODEL (name db.r03, kind FULL);\nSELECT v, y FROM db.a NATURAL JOIN db.b",
                ),
                (
                    "models/r04.sql",
                    "MODEL (name db.r04, kind FULL);\nSELECT a FROM db.a AS a",
                ),
                (
                    "models/r05.sql",
                    "MODEL (name db.r05, kind FULL);\nWITH a AS (SELECT k, v FROM db.a) SELECT * FROM a",
                ),
                (
                    "models/r06.sql",
                    "MODEL (name db.r06, kind FULL);\nWITH o AS (SELECT * FROM db.a) SELECT k FROM o",
                ),
                (
                    "models/r07.sql",
                    "MODEL (name db.r07, kind FULL);\nSELECT * EXCLUDE (id) FROM db.a",
                ),
                (
                    "models/r08.sql",
                    "MODEL (name db.r08, kind FULL);\nSELECT max(COLUMNS(*)) FROM db.a",
                ),
                (
                    "models/r09.sql",
                    "MODEL (name db.r09, kind FULL);\nSELECT id FROM db.b WHERE EXISTS (SELECT 1 FROM db.a WHERE a.id = z)",
                ),
                (
                    "models/r10.sql",
                    "MODEL (name db.r10, kind FULL);\nSELECT DISTINCT * FROM (SELECT * EXCLUDE (id, ds) FROM db.a)",
                ),
                (
                    "models/r11.sql",
                    "MODEL (name db.r11, kind FULL);\nSELECT row_to_json(a) AS j FROM db.a AS a",
                ),
                (
                    "models/r12.sql",
                    "MODEL (name db.r12, kind FULL);\nSELECT id, v AS z FROM db.a ORDER BY z LIMIT 3",
                ),
                (
                    "models/r13.sql",
                    "MODEL (name db.r13, kind FULL);\nSELECT count(*) AS n FROM (SELECT k, v FROM db.a UNION SELECT k, y FROM db.b)",
                ),
                (
                    "models/r14.sql",
                    "MODEL (name db.r14, kind FULL);\nFROM db.a POSITIONAL JOIN db.b SELECT a.id, b.y",
                ),
                (
                    "models/r15.sql",
                    "MODEL (name db.r15, kind FULL);\nSELECT DB.A.v FROM DB.A",
                ),
                (
                    "models/r16.sql",
                    "MODEL (name db.r16, kind FULL);\nPIVOT (SELECT k, v, id % 2 AS m FROM db.a) ON m USING sum(v)",
                ),
                (
                    "models/r17.sql",
                    "MODEL (name db.r17, kind FULL);\nSELECT t.* FROM (SELECT * FROM db.a) AS t SEMI JOIN db.b AS u ON t.id = u.id",
                ),
                (
                    "models/r18.sql",
                    "MODEL (name db.r18, kind FULL);\nSELECT id FROM db.a UNION ALL BY NAME SELECT id, z FROM db.b",
                ),
                (
                    "models/r19.sql",
                    "MODEL (name db.r19, kind FULL);\nSELECT x.k, x.v FROM db.a AS x, LATERAL (SELECT x.v AS z) AS q WHERE q.z > 3",
                ),
                (
                    "models/r20.sql",
                    "MODEL (name db.r20, kind FULL);\nSELECT p, q FROM db.a AS t(p, q)",
                ),
                (
                    "models/r21.sql",
                    "MODEL (name db.r21, kind FULL);\nSELECT id FROM db.a ORDER BY ALL LIMIT 2",
                ),
                (
                    "models/r22.sql",
                    "MODEL (name db.r22, kind FULL);\nSELECT struct_pack(a := a.v, b := a.k) AS s FROM db.a AS a",
                ),
                (
                    "models/r23.sql",
                    "MODEL (name db.r23, kind FULL);\nSELECT count(a) AS n FROM db.b AS b LEFT JOIN db.a AS a ON a.id = b.id AND a.id > 2",
                ),
                (
                    "models/r24.sql",
                    "MODEL (name db.r24, kind FULL);\nSELECT id, k FROM db.a WHERE (SELECT z FROM db.b WHERE b.id = a.id) = 1",
                ),
            ],
            &[
                A_WIDER,
                (
                    "models/b.sql",
                    "MODEL (name db.b, kind FULL);\nSELECT id, k, v AS y, id % 2 AS z, 1 AS w, v AS more FROM db.o WHERE id < 9",
                ),
                (
                    "models/r01.sql",
                    "MODEL (name db.r01, kind FULL);\nSELECT v, y, w FROM db.a JOIN db.b ON a.k = b.k",
                ),
                (
                    "models/r09.sql",
                    "MODEL (name db.r09, kind FULL);\nSELECT id, w FROM db.b WHERE EXISTS (SELECT 1 FROM db.a WHERE a.id = b.z)",
                ),
            ],
            &[
                ("models/r11.sql", ""),
                (
                    "models/a.sql",
                    "MODEL (name db.a, kind FULL);\nSELECT id, k, v, v * 2 AS z, ds, k * 10 AS a FROM db.o",
                ),
            ],
        ],
    );
}

#[test]
fn two_models_swap_their_names() {
    like_fresh(
        "swap",
        &[
            &[
                A,
                (
                    "models/b.sql",
                    "MODEL (name db.b, kind FULL);\nSELECT id, k, v * 100 AS v, ds FROM db.o",
                ),
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT a.id, a.v, b.v AS w FROM db.a JOIN db.b USING (id)",
                ),
                (
                    "models/w.sql",
                    "MODEL (name db.w, kind VIEW);\nSELECT * FROM db.t",
                ),
            ],
            &[
                (
                    "models/b.sql",
                    "MODEL (name db.b, kind FULL);\nSELECT id, k, v, ds FROM db.o",
                ),
                (
                    "models/a.sql",
                    "MODEL (name db.a, kind FULL);\nSELECT id, k, v * 100 AS v, ds FROM db.o",
                ),
            ],
        ],
    );
}

#[test]
fn an_edit_and_an_edit_of_its_parent() {
    like_fresh(
        "both edited",
        &[
            &[
                A,
                (
                    "models/b.sql",
                    "MODEL (name db.b, kind FULL);\nSELECT id, k, v FROM db.a",
                ),
                (
                    "models/v.sql",
                    "MODEL (name db.v, kind VIEW);\nSELECT id, v FROM db.b",
                ),
                (
                    "models/t.sql",
                    "MODEL (name db.t, kind FULL);\nSELECT sum(v) AS s FROM db.v",
                ),
            ],
            &[
                A_OTHER,
                (
                    "models/b.sql",
                    "MODEL (name db.b, kind FULL);\nSELECT id, k, v, k + 1 AS k1 FROM db.a",
                ),
            ],
            &[
                A_WIDER,
                (
                    "models/b.sql",
                    "MODEL (name db.b, kind FULL, owner me);\nSELECT id, k, v, k + 1 AS k1, z FROM db.a",
                ),
            ],
            &[
                (
                    "models/v.sql",
                    "MODEL (name db.v, kind VIEW, owner me);\nSELECT id, v FROM db.b",
                ),
                (
                    "models/b.sql",
                    "MODEL (name db.b, kind FULL);\nSELECT id, k, v, k + 1 AS k1, z, z AS zz FROM db.a",
                ),
            ],
            &[(
                "models/v.sql",
                "MODEL (name db.v, kind VIEW, audits (not_null(columns := (id))));\nSELECT id, v FROM db.b",
            )],
        ],
    );
}
