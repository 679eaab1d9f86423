//! A server that goes away and comes again, one that stops what takes too long, and one with few connections.

use std::time::Duration;

use crate::cluster;
use crate::own_server::OwnServer;
use crate::postgres::Team;
use crate::postgres::config;
use crate::postgres::rows;
use crate::processes::Background;
use crate::workspace::Workspace;

/// Ten days, each of which takes a fifth of a second; a batch that runs twice would double its rows.
const SLOW: &str = "MODEL (name shop.slow, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1));
SELECT CAST(@start_ds AS DATE) AS day, pg_sleep(0.2)::TEXT || i AS number FROM generate_series(1, 2) AS r(i)
";

const PLAN: [&str; 4] = ["plan", "--auto-apply", "--execution-time", "2024-01-11"];

/// A plan during which the server crashes, with batches in the middle of their statements, and is started again.
async fn crashed(server: &mut OwnServer, workspace: &Workspace) -> (i32, String) {
    let running = Background::start(workspace, &PLAN);
    running.wait_for_note("filled shop.slow");
    server.crash();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.start_again(|_| ());
    let ended = running.ended();
    (ended.code, ended.stderr)
}

const EACH_DAY: &str =
    "SELECT count(*), count(DISTINCT (day, number)), count(DISTINCT day) FROM shop.slow";

#[tokio::test]
pub(crate) async fn a_server_that_is_started_again_in_the_middle_of_a_batch_is_met_again() {
    let mut server = OwnServer::start(&[], |_| ());
    let database = server.database().await;
    let workspace = Workspace::new(&[("models/slow.sql", SLOW)]);
    let state = "    state_connection:\n      type: sqlite\n      database: state.db\n";
    workspace.write("config.yaml", &config(&database, state));
    let (code, said) = crashed(&mut server, &workspace).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("was lost"), "{said}");
    assert_eq!(rows(&database, EACH_DAY).await, [["20", "20", "10"]]);
}

#[tokio::test]
pub(crate) async fn a_server_with_state_and_warehouse_that_crashes_loses_nothing() {
    let mut server = OwnServer::start(&[], |_| ());
    let database = server.database().await;
    let workspace = Workspace::new(&[("models/slow.sql", SLOW)]);
    workspace.write("config.yaml", &config(&database, ""));
    let (code, said) = crashed(&mut server, &workspace).await;
    // The record is not tried again: whoever comes next finds what is missing.
    assert!(code == 0 || said.contains("was lost"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    workspace.run(&PLAN).fine();
    assert_eq!(rows(&database, EACH_DAY).await, [["20", "20", "10"]]);
}

#[tokio::test]
pub(crate) async fn a_statement_that_takes_too_long_names_the_option() {
    let slow = SLOW.replace("0.2", "600");
    let team = Team::new(&[("models/slow.sql", &slow)]).await;
    let short = config(&team.database, "      statement_timeout: 1\n");
    team.workspace.write("config.yaml", &short);
    let said = team.workspace.run(&PLAN).failed().stderr;
    assert!(
        said.contains("canceling statement due to statement timeout"),
        "{said}"
    );
    assert!(
        said.contains("`statement_timeout` of the connection"),
        "{said}"
    );
    assert!(!said.contains("trying again"), "{said}");
    assert!(team.objects("v").await.is_empty());
}

#[tokio::test]
pub(crate) async fn fewer_connections_than_are_needed_are_told_and_tasks_need_no_more_than_their_number()
 {
    let team = Team::new(&[("models/slow.sql", SLOW)]).await;
    let name = &team.database.name;
    let role = format!("few_of_{name}");
    let set_up = format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT 1; GRANT CREATE ON DATABASE {name} TO {role}"
    );
    team.database.execute(&set_up).await;
    let few = |more: &str| {
        config(&team.database, more).replace(
            &format!("user: {}", cluster::USER),
            &format!("user: {role}"),
        )
    };
    team.workspace.write("config.yaml", &few(""));
    let said = team.workspace.run(&PLAN).failed().stderr;
    assert!(said.contains("may allow too few"), "{said}");
    assert!(team.objects("r").await.is_empty());

    // The state has up to four, the warehouse as many as there are tasks.
    let raise = format!("ALTER ROLE {role} CONNECTION LIMIT 5");
    team.database.execute(&raise).await;
    let one = few("      concurrent_tasks: 1\n");
    team.workspace.write("config.yaml", &one);
    team.workspace.run(&PLAN).fine();
    assert_eq!(rows(&team.database, EACH_DAY).await, [["20", "20", "10"]]);
}
