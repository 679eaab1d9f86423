//! FROM: which relations are joined, and what the joins say.

use std::collections::BTreeSet;

use sqlparser::ast::Join;
use sqlparser::ast::JoinConstraint;
use sqlparser::ast::JoinOperator;
use sqlparser::ast::ObjectName;
use sqlparser::ast::TableAlias;
use sqlparser::ast::TableFactor;
use sqlparser::ast::TableWithJoins;

use crate::sql::fold;
use crate::sql::joins::JoinKind;
use crate::sql::joins::join_kind;
use crate::sql::names;
use crate::sql::slices::frame::Found;
use crate::sql::slices::frame::Frame;
use crate::sql::slices::graph::Column;
use crate::sql::slices::graph::Fact;
use crate::sql::slices::graph::Joined;
use crate::sql::slices::names::column_in;
use crate::sql::slices::query::Reader;
use crate::sql::slices::relation::Relation;

/// How rows meet, and the condition; `None` where nobody here knows how.
fn kind(join: &Join) -> (Option<JoinKind>, Option<&JoinConstraint>) {
    // Of the rows that meet one is taken: those that do not meet are no matter.
    if let JoinOperator::AsOf {
        match_condition,
        constraint,
    } = &join.join_operator
    {
        let mark = match_condition.to_string();
        let is_left = !mark.contains("asof_right") && !mark.contains("asof_full");
        return (is_left.then_some(JoinKind::Left), Some(constraint));
    }
    join_kind(&join.join_operator).unzip()
}

/// Whether rows come out of the join without what stands left of it.
fn leaves_out_left(join: &Join) -> bool {
    matches!(kind(join).0, Some(JoinKind::Right | JoinKind::Full) | None)
}

impl Reader<'_> {
    pub(super) fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("there is a SELECT")
    }

    /// Adds a relation to FROM.
    pub(super) fn bind(&mut self, name: Vec<String>, relation: &Relation) {
        let here = self.frames.len() - 1;
        self.frame().bind(name, relation, &mut |frame, around| {
            column_in(frame, here, around)
        });
    }

    /// Takes the names of the last relation away.
    pub(super) fn hide_last(&mut self) {
        let last = self.frame().bindings.last_mut();
        last.expect("one was added").visible = false;
    }

    /// Adds an item with its joins; `is_sure` says that no outer join goes around it.
    pub(super) fn item(&mut self, item: &TableWithJoins, is_sure: bool) {
        let later = |place: usize| is_sure && !item.joins[place..].iter().any(leaves_out_left);
        let first = self.frame().bindings.len();
        self.factor(&item.relation, later(0));
        for (place, join) in item.joins.iter().enumerate() {
            let (kind, constraint) = kind(join);
            let middle = self.frame().bindings.len();
            let is_kept = later(place + 1);
            let is_whole = matches!(
                kind,
                Some(JoinKind::Inner | JoinKind::Semi | JoinKind::Right)
            );
            self.factor(&join.relation, is_kept && is_whole);
            self.join(kind, constraint, first..middle, is_kept);
            if matches!(kind, Some(JoinKind::Semi | JoinKind::Anti)) {
                for binding in &mut self.frame().bindings[middle..] {
                    binding.visible = false;
                }
            }
        }
    }

    fn join(
        &mut self,
        kind: Option<JoinKind>,
        constraint: Option<&JoinConstraint>,
        left: std::ops::Range<usize>,
        is_kept: bool,
    ) {
        if kind.is_none() {
            self.frame().is_broken = true;
        }
        match constraint {
            Some(JoinConstraint::On(condition)) => {
                for fact in self.facts(condition) {
                    self.meet(kind, fact, &left, is_kept);
                }
                self.subqueries(condition);
            }
            Some(JoinConstraint::Using(names)) => {
                for name in names {
                    let Some(name) =
                        fold::fold_parts(self.dialect, name).and_then(|mut parts| parts.pop())
                    else {
                        self.frame().is_broken = true;
                        continue;
                    };
                    self.using(kind, &name, &left, is_kept);
                }
            }
            Some(JoinConstraint::Natural) => {
                for name in self.common(&left) {
                    self.using(kind, &name, &left, is_kept);
                }
            }
            Some(JoinConstraint::None) | None => {}
        }
    }

    fn meet(
        &mut self,
        kind: Option<JoinKind>,
        fact: Fact,
        left: &std::ops::Range<usize>,
        is_kept: bool,
    ) {
        let frame = self.frame();
        let right = frame.columns_from(left.end);
        let all = frame.columns_from(left.start);
        let is_own = fact.columns().all(|column| all.contains(&column));
        match kind {
            Some(JoinKind::Inner | JoinKind::Semi) if is_kept => {
                frame.graph.add(fact, Joined::Sure);
            }
            Some(JoinKind::Inner | JoinKind::Semi) if is_own => {
                frame.graph.add(fact, Joined::Inner);
            }
            // A column of a query around is the same for all rows: it says something of these, they nothing of it.
            Some(JoinKind::Inner | JoinKind::Semi) => frame.graph.add(fact, Joined::Outer(&all)),
            Some(JoinKind::Left | JoinKind::Anti) => frame.graph.add(fact, Joined::Outer(&right)),
            Some(JoinKind::Right) => {
                let on_left: BTreeSet<Column> = all.difference(&right).copied().collect();
                frame.graph.add(fact, Joined::Outer(&on_left));
            }
            Some(JoinKind::Full) if is_own => frame.graph.add(fact, Joined::Full(&right)),
            Some(JoinKind::Full) | None => {}
        }
    }

    /// `USING (name)`.
    fn using(
        &mut self,
        kind: Option<JoinKind>,
        name: &str,
        left: &std::ops::Range<usize>,
        is_kept: bool,
    ) {
        let frame = self.frame();
        let on_left = frame.merged_among(name, left.clone());
        let on_right = frame.merged_among(name, left.end..frame.bindings.len());
        let (Some(one), Some(other)) = (on_left, on_right) else {
            frame.merged.push((name.to_owned(), None));
            return;
        };
        let both = Fact::Equal(one.min(other), one.max(other));
        self.meet(kind, both, left, is_kept);
        let frame = self.frame();
        let merged = match kind {
            Some(JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti) => Some(one),
            Some(JoinKind::Right) => Some(other),
            Some(JoinKind::Full) => {
                let either = frame.column();
                frame.graph.merged(either, one);
                frame.graph.merged(either, other);
                Some(either)
            }
            None => None,
        };
        frame.merged.push((name.to_owned(), merged));
    }

    /// The names that both sides of a NATURAL JOIN have; none where not all are known.
    fn common(&mut self, left: &std::ops::Range<usize>) -> Vec<String> {
        let frame = self.frame();
        let end = frame.bindings.len();
        let names = |frame: &Frame, range: std::ops::Range<usize>| -> Option<BTreeSet<String>> {
            let bindings = &frame.bindings[range];
            if bindings.iter().any(|binding| binding.more) {
                return None;
            }
            let columns = bindings.iter().flat_map(|binding| &binding.columns);
            columns.map(|(name, _)| name.clone()).collect()
        };
        let (Some(one), Some(other)) = (names(frame, left.clone()), names(frame, left.end..end))
        else {
            return Vec::new();
        };
        one.intersection(&other).cloned().collect()
    }

    fn factor(&mut self, factor: &TableFactor, is_sure: bool) {
        let alias = names::alias_of(factor);
        match factor {
            TableFactor::Table {
                name,
                args: None,
                version,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample,
                ..
            } => {
                let mut relation = self.named(name);
                if version.is_some() || sample.is_some() || !partitions.is_empty() {
                    relation.loosen();
                }
                let name = fold::fold_parts(self.dialect, name).unwrap_or_default();
                self.aliased(name, alias, relation);
            }
            TableFactor::Derived {
                subquery,
                alias,
                sample,
                ..
            } => {
                let mut relation = self.query(subquery);
                if sample.is_some() {
                    relation.loosen();
                }
                self.aliased(Vec::new(), alias.as_ref(), relation);
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                let first = self.frame().bindings.len();
                self.item(table_with_joins, is_sure);
                if alias.is_some() {
                    for binding in &mut self.frame().bindings[first..] {
                        binding.visible = false;
                    }
                    self.aliased(Vec::new(), alias.as_ref(), Relation::unknown());
                }
            }
            TableFactor::Pivot { table, .. }
            | TableFactor::Unpivot { table, .. }
            | TableFactor::MatchRecognize { table, .. } => {
                let relation = self.reshaped(table);
                self.subqueries(factor);
                self.aliased(Vec::new(), alias, relation);
            }
            TableFactor::SemanticView { .. } => self.is_lost = true,
            _ => {
                self.subqueries(factor);
                self.aliased(Vec::new(), alias, Relation::unknown());
            }
        }
    }

    /// What a table or common table expression of this name gives.
    fn named(&mut self, name: &ObjectName) -> Relation {
        if fold::is_file(name) {
            return Relation::unknown();
        }
        let Some(parts) = fold::fold_parts(self.dialect, name) else {
            self.is_lost = true;
            return Relation::unknown();
        };
        if let [name] = parts.as_slice()
            && let Some(relation) = self.cte(name)
        {
            return (*relation).clone();
        }
        let table = fold::table_from_parts(parts);
        let Some(slices) = table.and_then(|table| (self.names.table)(&table)) else {
            return Relation::unknown();
        };
        if !slices.back.is_empty() || !slices.ahead.is_empty() {
            self.by_day |= slices.by_day;
        }
        Relation::of_table(&slices)
    }

    fn aliased(&mut self, name: Vec<String>, alias: Option<&TableAlias>, relation: Relation) {
        let Some(alias) = alias else {
            self.bind(name, &relation);
            return;
        };
        let name = fold::fold_ident(self.dialect, &alias.name);
        let columns = alias.columns.iter();
        let columns: Vec<String> = columns
            .map(|column| fold::fold_ident(self.dialect, &column.name))
            .collect();
        self.bind(vec![name], &relation.renamed(&columns));
    }

    /// What is made of all rows of `table`.
    fn reshaped(&mut self, table: &TableFactor) -> Relation {
        self.frames.push(Frame::default());
        self.factor(table, true);
        let frame = self.frames.pop().expect("it was pushed");
        let mut relation = frame.handed_on();
        relation.forget_columns();
        relation
    }
}

impl Frame {
    /// The column of this name among some bindings, as USING sees it.
    fn merged_among(&mut self, name: &str, range: std::ops::Range<usize>) -> Option<Column> {
        if range.start == 0
            && let Some((_, merged)) = self.merged.iter().rev().find(|(known, _)| known == name)
        {
            return *merged;
        }
        let visible = |at: &usize| self.bindings[*at].visible;
        let has = |at: &usize| {
            let mut columns = self.bindings[*at].columns.iter();
            columns.any(|(known, _)| known.as_deref() == Some(name))
        };
        let all: Vec<usize> = range.filter(visible).collect();
        let mut having: Vec<usize> = all.iter().copied().filter(has).collect();
        if having.is_empty() {
            having = all
                .into_iter()
                .filter(|at| self.bindings[*at].more)
                .collect();
        }
        let [at] = having.as_slice() else { return None };
        match self.column_of(*at, name) {
            Found::Column(column) => Some(column),
            Found::Unclear | Found::Nothing => None,
        }
    }
}
