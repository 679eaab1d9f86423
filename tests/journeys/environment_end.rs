//! How environments end: what they stand on stays as long as they do, and a removal that is killed can be done again
//! or taken back.

use std::time::Duration;

use crate::engines::on_both_engines;
use crate::processes::Background;
use crate::restatement::days;
use crate::restatement::with;
use crate::workspace::Workspace;

on_both_engines! {
    the_janitor_keeps_tables_aside_while_their_environment_lives,
    a_removal_that_is_killed_is_finished_or_taken_back,
}

const NOW: &str = "2024-01-06";

fn the_janitor_keeps_tables_aside_while_their_environment_lives() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x, x AS w FROM",
    );
    workspace.edit("models/total.sql", "sum(x)", "sum(w)");
    let late = ["dev", "-s", "2024-01-05", "--auto-apply"];
    let aside = with(&workspace, &late).table("db.total");
    assert!(aside.ends_with("__dev"), "{aside}");

    for _ in 0..2 {
        workspace
            .run(&["janitor", "--ignore-ttl", "--execution-time", NOW])
            .fine();
        assert!(workspace.objects("BASE TABLE").contains(&aside));
        assert_eq!(workspace.rows("FROM db__dev.total"), [["5"]]);
    }
    let run = ["run", "dev", "-s", "2024-01-05", "--execution-time", NOW];
    workspace.run(&run).fine();
    assert_eq!(
        with(&workspace, &["dev", "-s", "2024-01-05"]).table("db.total"),
        aside
    );

    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    workspace
        .run(&["janitor", "--ignore-ttl", "--execution-time", NOW])
        .fine();
    assert!(!workspace.objects("BASE TABLE").contains(&aside));
    assert_eq!(workspace.rows("FROM db.total"), [["15"]]);
}

fn dev_rows(workspace: &Workspace) -> Vec<Vec<String>> {
    workspace.rows("SELECT t.total, count(*) FROM db__dev.inc AS i, db__dev.daily AS d, db__dev.total AS t WHERE i.ds = d.ds GROUP BY t.total")
}

fn a_removal_that_is_killed_is_finished_or_taken_back() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x + 1 AS x FROM",
    );
    workspace.apply("dev", NOW);
    assert_eq!(dev_rows(&workspace), [["20", "5"]]);
    let mut cut_short = 0;
    for round in 0..8 {
        let removal = Background::start(&workspace, &["invalidate", "dev", "--sync"]);
        std::thread::sleep(Duration::from_millis(15 + round * 12));
        removal.signal("KILL");
        cut_short += u32::from(removal.ended().code != 0);
        assert_eq!(workspace.rows("FROM db.total"), [["15"]], "round {round}");

        if round % 2 == 0 {
            // Somebody wants it all the same.
            workspace.apply("dev", NOW);
            assert_eq!(dev_rows(&workspace), [["20", "5"]], "round {round}");
            continue;
        }
        workspace.run(&["invalidate", "dev", "--sync"]);
        workspace.run(&["janitor"]).fine();
        let views = workspace.objects("VIEW");
        assert!(
            !views.iter().any(|view| view.starts_with("db__dev.")),
            "round {round}: {views:?}"
        );
        let list = workspace.run(&["environments"]).fine().stdout;
        assert!(!list.contains("dev"), "round {round}: {list}");
        workspace.apply("dev", NOW);
        assert_eq!(dev_rows(&workspace), [["20", "5"]], "round {round}");
    }
    assert!(cut_short > 0, "no kill came in time");
}
