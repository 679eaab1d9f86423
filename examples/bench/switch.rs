//! Switch many views at once, beside the same statements sent by hand.

use std::path::Path;
use std::time::Instant;

use siding::engine::ConnectionConfig;
use siding::engine::DuckDbConfig;
use siding::engine::DuckDbDatabase;
use siding::plan::ViewSwitch;
use siding::sql::TableName;

use crate::median;

pub(crate) fn measure(folder: &Path, views: usize) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut ours = Vec::new();
    let mut by_hand = Vec::new();
    // Alternating, so that whatever else the machine does meets both.
    for round in 0..5 {
        ours.push(runtime.block_on(switched(&folder.join(format!("ours{round}.duckdb")), views)));
        by_hand.push(sent_by_hand(
            &folder.join(format!("hand{round}.duckdb")),
            views,
        ));
    }
    let (ours, by_hand) = (median(ours), median(by_hand));
    println!(
        "switch of {views} views: {:.1} ms; the same statements by hand: {:.1} ms; ratio {:.2} (goal 1.5)",
        ours * 1000.0,
        by_hand * 1000.0,
        ours / by_hand
    );
}

fn prepare(path: &Path, views: usize) {
    let connection = duckdb::Connection::open(path).expect("a database");
    connection
        .execute_batch("CREATE SCHEMA siding__db; CREATE SCHEMA db; BEGIN")
        .expect("schemas");
    for index in 0..views {
        let sql = format!(
            "CREATE TABLE siding__db.a{index} AS SELECT 1 AS x, 2 AS y; CREATE TABLE siding__db.b{index} AS SELECT 3 AS x, 4 AS y;
             CREATE VIEW db.v{index} AS SELECT * FROM siding__db.a{index}"
        );
        connection.execute_batch(&sql).expect("tables");
    }
    connection.execute_batch("COMMIT").expect("a commit");
}

async fn switched(path: &Path, views: usize) -> f64 {
    prepare(path, views);
    let config = DuckDbConfig::new(DuckDbDatabase::File(path.to_owned()));
    let engine = siding::engine::connect(&ConnectionConfig::DuckDb(config))
        .await
        .expect("the database opens");
    let pair = |index| {
        (
            TableName::new("db", format!("v{index}")),
            TableName::new("siding__db", format!("b{index}")),
        )
    };
    let switch = ViewSwitch {
        create: (0..views).map(pair).collect(),
        drop: Vec::new(),
        unchanged: 0,
        dressed: Vec::new(),
    };
    let started = Instant::now();
    siding::scheduler::switch(engine.as_ref(), &switch, &|_| {})
        .await
        .expect("the switch succeeds");
    started.elapsed().as_secs_f64()
}

fn sent_by_hand(path: &Path, views: usize) -> f64 {
    prepare(path, views);
    let connection = duckdb::Connection::open(path).expect("the database opens");
    let started = Instant::now();
    connection.execute_batch("BEGIN").expect("a transaction");
    for index in 0..views {
        let sql = format!(
            "CREATE OR REPLACE VIEW \"db\".\"v{index}\" AS SELECT * FROM \"siding__db\".\"b{index}\""
        );
        connection.execute_batch(&sql).expect("a view");
    }
    connection.execute_batch("COMMIT").expect("a commit");
    started.elapsed().as_secs_f64()
}
