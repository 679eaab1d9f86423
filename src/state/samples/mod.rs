//! Values for the tests of this module.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use chrono::Utc;

use crate::cluster;
use crate::cluster::Database;
use crate::environment::Environment;
use crate::environment::Naming;
use crate::environment::PromotedSnapshot;
use crate::model::ChangePolicy;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::Statements;
use crate::model::Storage;
use crate::model::Template;
use crate::postgres::PostgresServer;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Choice;
use crate::snapshot::Fingerprint;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::Surface;
use crate::snapshot::Version;
use crate::sql::Dialect;
use crate::state::FilledInterval;
use crate::state::StateStore;
use crate::state::database::Pool;

/// Tells the story once on SQLite and once on each PostgreSQL, each with a new store.
pub(super) async fn on_both(story: impl AsyncFn(StateStore)) {
    twins_on_both(async |[store, _]| story(store).await).await;
}

/// As [`on_both`], with two stores of one database: what two processes have.
pub(super) async fn twins_on_both(story: impl AsyncFn([StateStore; 2])) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let open = async || StateStore::open(&path).await.unwrap();
    story([open().await, open().await]).await;

    for release in releases() {
        cluster::RELEASE.set(release);
        let database = Database::new().await;
        let server = server(&database);
        let open = async || StateStore::open_postgres(&server, "siding").await.unwrap();
        let stores = [open().await, open().await];
        story(stores.clone()).await;
        for store in stores {
            store.close().await;
        }
    }
}

/// The releases of PostgreSQL that are here, or whichever there is; the engine's contract says if one is missing.
fn releases() -> Vec<Option<u32>> {
    let known = [13, 14, 15, 16, 17].map(Some).into_iter();
    let here: Vec<_> = known.filter(|it| cluster::bin(*it).is_ok()).collect();
    if here.is_empty() { vec![None] } else { here }
}

/// How to reach a test's database.
pub(super) fn server(database: &Database) -> PostgresServer {
    PostgresServer::new(&database.host, cluster::USER, &database.name)
}

impl StateStore {
    /// Does to the tables what no method does.
    pub(super) async fn tamper(&self, sql: &str) {
        match &self.pool {
            Pool::Sqlite(pool) => {
                let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
                sql.execute(pool).await.unwrap();
            }
            Pool::Postgres(pool) => {
                let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
                sql.execute(pool).await.unwrap();
            }
        }
    }
}

pub(super) fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap()
}

pub(super) fn snapshot(name: &str, identifier: &str, version: &str) -> Snapshot {
    let name: ModelName = name.parse().unwrap();
    let parent = "db.raw".parse().unwrap();
    let model = Model {
        name: name.clone(),
        kind: ModelKind::Full,
        storage: Storage::default(),
        statements: Statements::default(),
        reads_itself: false,
        allow_partials: false,
        dialect: Dialect::DuckDb,
        query: Some(Template::new("SELECT id FROM db.raw")),
        description: Some("it's \"one\"".to_owned()),
        owner: None,
        tags: BTreeSet::from(["a".to_owned()]),
        cron: "@daily".to_owned(),
        cron_tz: None,
        interval_unit: None,
        start: None,
        end: None,
        grains: vec![vec!["id".to_owned()]],
        columns: None,
        column_descriptions: BTreeMap::new(),
        audits: Vec::new(),
        signals: Vec::new(),
        depends_on: BTreeSet::from([parent]),
        default_catalog: None,
        placement: crate::model::Placement::default(),
        project: String::new(),
        stamp: None,
        policy: ChangePolicy::default(),
        file: "models/a.sql".to_owned(),
    };
    let hash = |part: &str| format!("{part}-{identifier}");
    Snapshot {
        fingerprint: std::sync::Arc::new(Fingerprint {
            data: hash("d"),
            metadata: hash("m"),
            parent_data: hash("pd"),
            parent_metadata: hash("pm"),
        }),
        version: Version(version.to_owned()),
        category: ChangeCategory::NonBreaking,
        parents: vec![SnapshotId {
            name: "db.raw".parse().unwrap(),
            identifier: "i0".to_owned(),
        }],
        columns: Some(vec!["id".to_owned()]),
        surface: std::sync::Arc::new(Surface::unknown("db.a", identifier)),
        choice: Some(Choice {
            category: ChangeCategory::NonBreaking,
            by: "ada".to_owned(),
        }),
        forward_only: None,
        created_at: at(7),
        model: Arc::new(model),
        id: SnapshotId {
            name,
            identifier: identifier.to_owned(),
        },
    }
}

/// With a view of everything; promoted by alice at 10.
pub(super) fn environment(
    name: &str,
    plan_id: &str,
    previous_plan_id: Option<&str>,
    snapshots: &[&Snapshot],
) -> Environment {
    let mut snapshots: Vec<_> = snapshots
        .iter()
        .map(|snapshot| PromotedSnapshot {
            id: snapshot.id.clone(),
            version: snapshot.version.clone(),
            table: snapshot.table(),
            view: true,
        })
        .collect();
    snapshots.sort_by(|one, other| one.id.cmp(&other.id));
    Environment {
        name: name.parse().unwrap(),
        plan_id: plan_id.to_owned(),
        previous_plan_id: previous_plan_id.map(str::to_owned),
        snapshots,
        promoted_by: "alice".to_owned(),
        promoted_at: at(10),
        finalized_at: None,
        naming: Naming::default(),
        expires_at: None,
    }
}

pub(super) fn filled(key: &(ModelName, Version), start_ms: i64, end_ms: i64) -> FilledInterval {
    FilledInterval {
        name: key.0.clone(),
        version: key.1.clone(),
        start_ms,
        end_ms,
    }
}
