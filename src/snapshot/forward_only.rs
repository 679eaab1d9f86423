//! A table that holds rows of two definitions: those up to now as they are, those to come by the new one.
//!
//! Such a table is never the one that the old definition has, and never the one that the new definition would fill from
//! its start: it is a third one, which begins as a copy of the old one. Its digests say so, and so do those of
//! everything that is made of a column that differs. Old snapshots keep their tables and can be gone back to.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::snapshot::SnapshotId;
use crate::snapshot::Surface;
use crate::snapshot::Version;
use crate::sql::Digest;
use crate::sql::Node;

/// What the table of a forward-only snapshot keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardOnly {
    /// Whose rows it keeps.
    pub base: SnapshotId,
    /// In which table they are.
    pub base_version: Version,
    /// From when on rows are computed again by the new definition; `None` means that all are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<DateTime<Utc>>,
}

impl ForwardOnly {
    /// The identifier of a snapshot whose definition alone has the identifier `origin`.
    pub fn identifier(&self, origin: &str) -> String {
        let effective_from = self.effective_from.map(|from| from.to_rfc3339());
        let digest = Node::new("forward-only snapshot")
            .text(origin)
            .text(&self.base.identifier)
            .text(&self.base_version.0)
            .maybe_text(effective_from.as_deref())
            .finish();
        digest.to_string()
    }
}

impl Surface {
    /// What readers see of a table that keeps the rows of `base` and gets new ones as `self` says.
    ///
    /// What both have alike is the same in all rows. All else is like nothing else: `since` says which mixture it is.
    #[must_use]
    pub fn on_top_of(mut self, base: &Self, since: &str) -> Self {
        let mix = |kind: &str, old: Digest, new: Digest| {
            Node::new(kind)
                .digest(old)
                .digest(new)
                .digest(base.table)
                .text(since)
                .finish()
        };
        let table = self.table;
        self.table = mix("forward-only table", base.table, table);
        self.whole = mix("forward-only columns", base.whole, self.whole);
        // A copy has its rows in the order that they had.
        if self.layout != base.layout {
            self.layout = mix("forward-only layout", base.layout, self.layout);
        }
        if self.rows != base.rows {
            self.rows = mix("forward-only rows", base.rows, self.rows);
        }
        for (name, digest) in self.columns.iter_mut().flatten() {
            let old = base
                .columns
                .iter()
                .flatten()
                .find(|(known, _)| known == name);
            match old {
                Some((_, old)) if old == digest => {}
                Some((_, old)) => *digest = mix("forward-only column", *old, *digest),
                // Old rows have NULL there.
                None => *digest = mix("forward-only new column", base.table, *digest),
            }
        }
        self
    }
}
