//! What follows for columns from comparisons, one direction of time at a time.
//!
//! A column of FROM is in one of these states, of which each includes those before it:
//!
//! - **within**: its rows have a value on this side of the interval's end, or none;
//! - **needed**: rows with another value, or with none, make no difference to what comes out;
//! - **sure**: every row that comes out has a value on this side.
//!
//! `x = y` in WHERE, or in an inner join that no outer join goes around, keeps rows out in which one of them is missing:
//! if one is within, both are sure. Inside of an outer join both are needed only, as a row may come out without either.
//! For `l LEFT JOIN r ON l.x = r.y`, rows of `r` meet rows of `l` with the same value: if `x` is within, `y` is needed. That
//! says nothing about `x` if `y` is within, as rows of `l` come out without `r`; but if it is sure that there is a `y`, it
//! is the same as `x`. Of a FULL JOIN both sides come out by themselves: if it is sure that there is an `x`, rows of `r` with
//! another value, or none, would only come out without it.

use std::collections::BTreeSet;

/// A column of FROM, of a subquery that is joined, or of a query around.
pub(super) type Column = usize;

/// A direction of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Back,
    Ahead,
}

pub(super) const SIDES: [Side; 2] = [Side::Back, Side::Ahead];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Open,
    Within,
    Needed,
    Sure,
}

/// What a condition says where it is true; a column that is missing makes it untrue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    /// The column is on this side of the interval's end.
    Bound(Column, Side),
    /// Both are the same.
    Equal(Column, Column),
    /// The first is not behind the second.
    AtMost(Column, Column),
}

impl Fact {
    /// The columns that it is about.
    pub(super) fn columns(self) -> impl Iterator<Item = Column> {
        let (one, other) = match self {
            Self::Bound(column, _) => (column, None),
            Self::Equal(one, other) | Self::AtMost(one, other) => (one, Some(other)),
        };
        std::iter::once(one).chain(other)
    }

    /// From which column to which what is known on `side` goes.
    fn flows(self, side: Side) -> Vec<(Column, Column)> {
        match (self, side) {
            (Self::Bound(..), _) => Vec::new(),
            (Self::Equal(one, other), _) => vec![(one, other), (other, one)],
            (Self::AtMost(low, high), Side::Back) => vec![(low, high)],
            (Self::AtMost(low, high), Side::Ahead) => vec![(high, low)],
        }
    }
}

/// How a condition counts.
#[derive(Clone, Copy)]
pub(super) enum Joined<'a> {
    /// Rows that do not meet it are gone.
    Sure,
    /// They are gone from one side of an outer join.
    Inner,
    /// The columns of these bindings come out without the others, but not the other way around.
    Outer(&'a BTreeSet<Column>),
    /// Both come out without the other; these are those on the right.
    Full(&'a BTreeSet<Column>),
}

/// What is known about the columns of one SELECT.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    sides: [Links; 2],
}

#[derive(Clone, Debug, Default)]
struct Links {
    known: Vec<(Column, State)>,
    /// By column: what follows for which other once it is in a state.
    rules: Vec<Vec<(State, Column, State)>>,
}

impl Links {
    fn rule(&mut self, from: Column, at: State, to: Column, then: State) {
        if self.rules.len() <= from {
            self.rules.resize(from + 1, Vec::new());
        }
        self.rules[from].push((at, to, then));
    }

    fn inner(&mut self, from: Column, to: Column, then: State) {
        self.rule(from, State::Within, to, then);
        self.rule(from, State::Within, from, then);
        self.rule(from, State::Sure, to, State::Sure);
    }
}

impl Graph {
    /// Adds that all values of the column are within, or missing.
    pub(super) fn within(&mut self, column: Column, side: Side) {
        self.sides[side as usize]
            .known
            .push((column, State::Within));
    }

    /// Adds that whatever is sure of `from` makes `to` needed, on both sides.
    pub(super) fn merged(&mut self, from: Column, to: Column) {
        for links in &mut self.sides {
            links.rule(from, State::Sure, to, State::Needed);
        }
    }

    /// Adds a condition.
    pub(super) fn add(&mut self, fact: Fact, joined: Joined<'_>) {
        if let Fact::Bound(column, side) = fact {
            let state = match joined {
                Joined::Sure => State::Sure,
                Joined::Inner => State::Needed,
                Joined::Outer(optional) if optional.contains(&column) => State::Needed,
                Joined::Outer(_) | Joined::Full(_) => return,
            };
            self.sides[side as usize].known.push((column, state));
            return;
        }
        for side in SIDES {
            let links = &mut self.sides[side as usize];
            for (from, to) in fact.flows(side) {
                match joined {
                    Joined::Sure => links.inner(from, to, State::Sure),
                    Joined::Inner => links.inner(from, to, State::Needed),
                    Joined::Outer(optional) => {
                        match (optional.contains(&from), optional.contains(&to)) {
                            (false, false) => {}
                            (false, true) => {
                                links.rule(from, State::Within, to, State::Needed);
                            }
                            (true, false) => links.rule(from, State::Sure, to, State::Sure),
                            (true, true) => links.inner(from, to, State::Needed),
                        }
                    }
                    Joined::Full(right) => {
                        if right.contains(&from) != right.contains(&to) {
                            links.rule(from, State::Sure, to, State::Needed);
                        }
                    }
                }
            }
        }
    }

    /// The states of `count` columns, if `assumed` is sure.
    pub(super) fn solve(&self, side: Side, count: usize, assumed: Option<Column>) -> Vec<State> {
        let links = &self.sides[side as usize];
        let mut states = vec![State::Open; count];
        let assumed = assumed.map(|column| (column, State::Sure));
        let mut open: Vec<(Column, State)> = links.known.iter().copied().chain(assumed).collect();
        while let Some((column, state)) = open.pop() {
            if states[column] >= state {
                continue;
            }
            states[column] = state;
            for (at, to, then) in links.rules.get(column).into_iter().flatten() {
                if state >= *at && states[*to] < *then {
                    open.push((*to, *then));
                }
            }
        }
        states
    }
}
