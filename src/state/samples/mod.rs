//! Values for the tests of this module.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use chrono::Utc;

use crate::environment::Environment;
use crate::environment::PromotedSnapshot;
use crate::model::ChangePolicy;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::Template;
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

/// A new store, gone with the folder.
pub(super) async fn store() -> (tempfile::TempDir, StateStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(&folder.path().join("state.db"))
        .await
        .unwrap();
    (folder, store)
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
        dialect: Dialect::DuckDb,
        query: Some(Template::new("SELECT id FROM db.raw")),
        description: Some("it's \"one\"".to_owned()),
        owner: None,
        tags: BTreeSet::from(["a".to_owned()]),
        cron: "@daily".to_owned(),
        interval_unit: None,
        start: None,
        end: None,
        grains: vec![vec!["id".to_owned()]],
        columns: None,
        column_descriptions: BTreeMap::new(),
        audits: Vec::new(),
        depends_on: BTreeSet::from([parent]),
        default_catalog: None,
        project: String::new(),
        stamp: None,
        policy: ChangePolicy::default(),
        file: "models/a.sql".to_owned(),
    };
    let hash = |part: &str| format!("{part}-{identifier}");
    Snapshot {
        fingerprint: Fingerprint {
            data: hash("d"),
            metadata: hash("m"),
            parent_data: hash("pd"),
            parent_metadata: hash("pm"),
        },
        version: Version(version.to_owned()),
        category: ChangeCategory::NonBreaking,
        parents: vec![SnapshotId {
            name: "db.raw".parse().unwrap(),
            identifier: "i0".to_owned(),
        }],
        columns: Some(vec!["id".to_owned()]),
        surface: Surface::unknown("db.a", identifier),
        choice: Some(Choice {
            category: ChangeCategory::NonBreaking,
            by: "ada".to_owned(),
        }),
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
