//! Which names of common table expressions are visible where.

use sqlparser::ast::ObjectName;
use sqlparser::ast::Query;

use crate::sql::Dialect;
use crate::sql::fold;

/// The CTE names that a place of the tree sees, kept up to date while a visitor walks the tree in
/// the order of the text. `T` is whatever the visitor wants to know about a CTE.
pub(super) struct Scopes<T> {
    dialect: Dialect,
    frames: Vec<Frame<T>>,
}

struct Waiting {
    name: String,
    /// The names that `WITH name(a, b)` gives its columns.
    columns: Vec<String>,
    /// Where its query is in memory: trees do not move while they are walked.
    address: usize,
}

struct Frame<T> {
    /// The CTEs of this query that are not complete yet, the next one last.
    waiting: Vec<Waiting>,
    visible: Vec<(String, T)>,
    /// What a recursive CTE knows about itself; `None` in a `WITH` that is not recursive.
    unfinished: Option<T>,
}

impl<T: Clone> Scopes<T> {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            frames: Vec::new(),
        }
    }

    /// Call before the parts of `query` are walked. `unfinished` is what to know about a
    /// recursive CTE inside itself.
    pub(super) fn enter(&mut self, query: &Query, unfinished: T) {
        let mut frame = Frame {
            waiting: Vec::new(),
            visible: Vec::new(),
            unfinished: None,
        };
        if let Some(with) = &query.with {
            for cte in with.cte_tables.iter().rev() {
                let columns = cte.alias.columns.iter();
                frame.waiting.push(Waiting {
                    name: fold::fold_ident(self.dialect, &cte.alias.name),
                    columns: columns
                        .map(|column| fold::fold_ident(self.dialect, &column.name))
                        .collect(),
                    address: address(&cte.query),
                });
            }
            // Postgres lets recursive CTEs mention later ones; DuckDB (1.5, tried) does not: the
            // name is then a table.
            if with.recursive {
                let early = match self.dialect {
                    Dialect::Postgres => frame.waiting.len(),
                    _ => 1,
                };
                for cte in frame.waiting.iter().rev().take(early) {
                    frame.visible.push((cte.name.clone(), unfinished.clone()));
                }
                frame.unfinished = Some(unfinished);
            }
        }
        self.frames.push(frame);
    }

    /// Call after the parts of `query` were walked. When `query` is the body of a CTE, `what` is
    /// asked with the names that `WITH name(a, b)` gives, and the CTE is visible from now on.
    pub(super) fn leave(&mut self, query: &Query, what: impl FnOnce(&[String]) -> T) {
        self.frames.pop();
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let Some(cte) = frame.waiting.pop_if(|cte| cte.address == address(query)) else {
            return;
        };
        let what = what(&cte.columns);
        frame.visible.push((cte.name, what));
        if let Some(next) = frame.waiting.last()
            && let Some(unfinished) = &frame.unfinished
        {
            frame.visible.push((next.name.clone(), unfinished.clone()));
        }
    }

    /// What is known about the CTE that `parts` names here, innermost first; `None` when it is
    /// no CTE.
    pub(super) fn find(&self, parts: &[String]) -> Option<&T> {
        let [name] = parts else { return None };
        self.frames
            .iter()
            .rev()
            .flat_map(|frame| frame.visible.iter().rev())
            .find(|(visible, _)| visible == name)
            .map(|(_, what)| what)
    }

    /// The folded parts of a name that is no CTE here.
    pub(super) fn table_parts(&self, name: &ObjectName) -> Option<Vec<String>> {
        let parts = fold::fold_parts(self.dialect, name)?;
        self.find(&parts).is_none().then_some(parts)
    }
}

fn address(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}
