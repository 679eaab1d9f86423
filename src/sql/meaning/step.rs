//! What the clauses of a SELECT do to its rows, one after the other.

use std::rc::Rc;

use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::keys::Groups;
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Rows;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Relation;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;
use crate::sql::meaning::rewrites;
use crate::sql::meaning::select::Selected;

/// The rows of a SELECT behind one of its clauses.
pub(super) struct Step {
    pub(super) rows: Rows,
    /// Sets of values of which no two rows have the same.
    pub(super) keys: Vec<Rc<[Digest]>>,
    /// Where rows were chosen among ties: the values that are certain all the same.
    pub(super) certain: Option<Rc<[Digest]>>,
}

/// The items of a SELECT.
pub(super) struct Items {
    pub(super) columns: Columns,
    /// What each field is before and after it leaves the SELECT: ORDER BY and keys speak of what is inside.
    pub(super) inside: Vec<(Digest, Digest)>,
    /// Those that GROUP BY ALL groups by.
    pub(super) keys: Vec<Scalar>,
    /// Whether there is an aggregate among them.
    pub(super) aggregates: bool,
}

impl Items {
    fn outside(&self, digest: Digest) -> Digest {
        let known = self.inside.iter().find(|(before, _)| *before == digest);
        known.map_or(digest, |(_, after)| *after)
    }
}

impl Step {
    /// Keeps the rows for which `condition` is true.
    ///
    /// A condition on a row number over ties keeps rows that are certain only in the keys of the window.
    pub(super) fn filter(&mut self, condition: Scalar) {
        let conditions = rewrites::conjuncts(rewrites::condition(condition));
        let alone = conditions.len() == 1;
        for condition in conditions {
            let condition = rewrites::condition(condition);
            match &condition.shape {
                Shape::Cut(ties) if alone && ties.rows == self.rows.digest() => {
                    self.certain = Some(ties.keys.clone());
                    let reads = Reads {
                        unstable: false,
                        ..condition.reads.clone()
                    };
                    self.rows.filter(condition.digest, &reads);
                }
                _ => self.rows.filter(condition.digest, &condition.reads),
            }
        }
    }

    /// Keeps the rows for which all of `conditions` are true.
    pub(super) fn keep(&mut self, conditions: &[Scalar]) {
        for condition in conditions {
            let condition = rewrites::condition(condition.clone());
            self.rows.filter(condition.digest, &condition.reads);
        }
    }

    /// GROUP BY.
    pub(super) fn group(&mut self, groups: Groups) {
        let mut reads = self.rows.reads.clone();
        for key in &groups.keys {
            reads = reads.and(&key.reads);
        }
        let digests = sorted(&groups.keys);
        let base = Node::new("group")
            .digest(self.rows.digest())
            .digest(groups.node.finish())
            .digests(digests.iter().copied())
            .finish();
        self.rows = Rows::new(base, reads);
        self.keys = if groups.plain {
            vec![Rc::from(digests)]
        } else {
            Vec::new()
        };
    }

    /// GROUP BY ALL, with items of which `whole` says what is not known of their columns.
    pub(super) fn group_by_all(
        &mut self,
        keys: &[Scalar],
        whole: Option<Scalar>,
        modifiers: &Digest,
    ) {
        let digests = sorted(keys);
        let reads = Reads::all(
            std::iter::once(&self.rows.reads)
                .chain(keys.iter().map(|key| &key.reads))
                .chain(whole.iter().map(|whole| &whole.reads)),
        );
        let base = Node::new("group")
            .digest(self.rows.digest())
            .digest(*modifiers)
            .digests(digests.iter().copied())
            .digests(whole.map(|whole| whole.digest));
        self.rows = Rows::new(base.finish(), reads);
        self.keys = vec![Rc::from(digests)];
    }

    /// Aggregates without GROUP BY.
    pub(super) fn group_into_one(&mut self) {
        let base = Node::new("group")
            .digest(self.rows.digest())
            .digest(Node::new("plain").finish())
            .digests([]);
        self.rows = Rows::new(base.finish(), self.rows.reads.clone());
        self.keys = vec![Rc::from([])];
    }

    /// Functions that make several rows of one.
    pub(super) fn expand(&mut self, mut calls: Vec<Scalar>) {
        if calls.is_empty() {
            return;
        }
        calls.sort_by_key(|call| call.digest);
        calls.dedup_by_key(|call| call.digest);
        let reads = std::iter::once(&self.rows.reads).chain(calls.iter().map(|call| &call.reads));
        let reads = Reads::all(reads);
        // That a call is not known makes its value uncertain, not the number of rows.
        let unstable = self.rows.reads.unstable;
        let base = Node::new("expand")
            .digest(self.rows.digest())
            .digests(calls.iter().map(|call| call.digest));
        self.rows = Rows::new(base.finish(), Reads { unstable, ..reads });
        self.keys = Vec::new();
        self.unsettle();
    }

    /// What comes next depends on all values of the rows: those that are not certain make it uncertain.
    pub(super) fn unsettle(&mut self) {
        if self.certain.is_some() {
            self.rows.reads.unstable = true;
        }
    }

    /// From here on, keys are told by what the fields are outside.
    pub(super) fn leave(&mut self, items: &Items) {
        let outside =
            |key: &Rc<[Digest]>| key.iter().map(|digest| items.outside(*digest)).collect();
        self.keys = self.keys.iter().map(outside).collect();
    }

    /// DISTINCT over `parts`.
    pub(super) fn distinct(&mut self, parts: &[Scalar]) {
        let digests = sorted(parts);
        let reads = std::iter::once(&self.rows.reads).chain(parts.iter().map(|part| &part.reads));
        let reads = Reads::all(reads);
        let base = Node::new("distinct")
            .digest(self.rows.digest())
            .digests(digests.iter().copied());
        self.rows = Rows::new(base.finish(), reads);
        self.unsettle();
        self.keys.push(Rc::from(digests));
    }

    /// DISTINCT ON: the first of the rows that have `on` alike. Which one that is may be a matter of chance.
    pub(super) fn distinct_on(
        &mut self,
        mut on: Vec<Scalar>,
        order: &[(Scalar, Digest)],
        items: &mut Items,
    ) {
        on.sort_by_key(|key| key.digest);
        on.dedup_by_key(|key| key.digest);
        let reads = Reads::all(
            std::iter::once(&self.rows.reads)
                .chain(on.iter().map(|key| &key.reads))
                .chain(order.iter().map(|(key, _)| &key.reads)),
        );
        let mut base = Node::new("distinct on")
            .digest(self.rows.digest())
            .digests(on.iter().map(|key| key.digest));
        for (key, direction) in order {
            base = base.digest(key.digest).digest(*direction);
        }
        let mut chosen: Vec<Digest> = on.iter().map(|key| items.outside(key.digest)).collect();
        let on_only: Rc<[Digest]> = Rc::from(chosen.clone());
        chosen.extend(order.iter().map(|(key, _)| items.outside(key.digest)));
        let is_total = self
            .keys
            .iter()
            .any(|key| key.iter().all(|column| chosen.contains(column)));
        self.rows = Rows::new(base.finish(), reads);
        self.unsettle();
        if !is_total {
            self.choose(&chosen, items);
        }
        self.keys.push(on_only);
    }

    /// The rows are some among several: only what is in `certain` would be the same in the others.
    fn choose(&mut self, certain: &[Digest], items: &mut Items) {
        let nothing = Columns::Listed(Rc::new(Vec::new()));
        let mut relation = Relation {
            rows: self.rows.clone(),
            columns: std::mem::replace(&mut items.columns, nothing),
            keys: Vec::new(),
        };
        relation.unsettle(certain);
        (self.rows, items.columns) = (relation.rows, relation.columns);
    }

    /// The SELECT with the keys of the ORDER BY around it.
    pub(super) fn finish(mut self, mut items: Items, order: Vec<(Scalar, Digest)>) -> Selected {
        if let Some(certain) = self.certain.take() {
            let certain = certain.iter().map(|digest| items.outside(*digest));
            let certain: Vec<Digest> = certain.collect();
            self.choose(&certain, &mut items);
        }
        let order = order.into_iter().map(|(mut key, direction)| {
            key.digest = items.outside(key.digest);
            (key, direction)
        });
        let order = order.collect();
        Selected {
            relation: Relation {
                rows: self.rows,
                columns: items.columns,
                keys: self.keys,
            },
            order,
        }
    }
}

fn sorted(values: &[Scalar]) -> Vec<Digest> {
    let mut digests: Vec<Digest> = values.iter().map(|value| value.digest).collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}
