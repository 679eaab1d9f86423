//! Queries: common table expressions, set operations, LIMIT.

use std::ops::ControlFlow;
use std::rc::Rc;

use sqlparser::ast::Query;
use sqlparser::ast::SetExpr;
use sqlparser::ast::SetQuantifier;
use sqlparser::ast::Visit;
use sqlparser::ast::Visitor;
use sqlparser::ast::With;

use crate::sql::Dialect;
use crate::sql::fold;
use crate::sql::slices::SliceNames;
use crate::sql::slices::frame::Frame;
use crate::sql::slices::relation::Relation;

/// What a name of WITH stands for.
enum Cte {
    Done(Rc<Relation>),
    /// It is being read, and may read itself.
    Open,
    /// It comes later.
    Later,
}

/// Reads a query from the inside to the outside.
pub(super) struct Reader<'a> {
    pub(super) names: SliceNames<'a>,
    pub(super) dialect: Dialect,
    /// The SELECTs around the place at hand, the innermost last.
    pub(super) frames: Vec<Frame>,
    ctes: Vec<(String, Cte)>,
    /// Whether the common table expression that is being read names itself.
    reads_itself: bool,
    /// Whether something was read that is not understood.
    pub(super) is_lost: bool,
    pub(super) by_day: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(dialect: Dialect, names: SliceNames<'a>) -> Self {
        Self {
            names,
            dialect,
            frames: Vec::new(),
            ctes: Vec::new(),
            reads_itself: false,
            is_lost: false,
            by_day: false,
        }
    }

    pub(super) fn query(&mut self, query: &Query) -> Relation {
        let outside = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with);
        }
        let mut relation = self.body(&query.body);
        if query.limit_clause.is_some() || query.fetch.is_some() {
            relation.loosen();
            self.is_lost |= has_query(&query.order_by) || has_query(&query.limit_clause);
        }
        self.is_lost |= !query.pipe_operators.is_empty();
        self.ctes.truncate(outside);
        relation
    }

    fn with(&mut self, with: &With) {
        let first = self.ctes.len();
        let name = |reader: &Self, place: usize| {
            fold::fold_ident(reader.dialect, &with.cte_tables[place].alias.name)
        };
        if with.recursive {
            for place in 0..with.cte_tables.len() {
                self.ctes.push((name(self, place), Cte::Later));
            }
        }
        for (place, cte) in with.cte_tables.iter().enumerate() {
            if with.recursive {
                self.ctes[first + place].1 = Cte::Open;
            }
            let outside = std::mem::take(&mut self.reads_itself);
            let mut relation = self.query(&cte.query);
            if std::mem::replace(&mut self.reads_itself, outside) {
                // Each round reads the rows of the one before, which may be of any time by then.
                relation.forget_columns();
            }
            let columns = cte.alias.columns.iter();
            let columns: Vec<String> = columns
                .map(|column| fold::fold_ident(self.dialect, &column.name))
                .collect();
            let done = Cte::Done(Rc::new(relation.renamed(&columns)));
            if with.recursive {
                self.ctes[first + place].1 = done;
            } else {
                self.ctes.push((name(self, place), done));
            }
        }
    }

    /// What the common table expression of this name gives; `None` if there is none.
    pub(super) fn cte(&mut self, name: &str) -> Option<Rc<Relation>> {
        let mut visible = self.ctes.iter().rev();
        let (_, cte) = visible.find(|(known, _)| known == name)?;
        self.reads_itself |= matches!(cte, Cte::Open);
        Some(match cte {
            Cte::Done(relation) => Rc::clone(relation),
            Cte::Open => Rc::new(Relation::unknown()),
            Cte::Later => {
                self.is_lost = true;
                Rc::new(Relation::unknown())
            }
        })
    }

    fn body(&mut self, body: &SetExpr) -> Relation {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation {
                left,
                set_quantifier,
                right,
                ..
            } => {
                let mut left = self.body(left);
                let right = self.body(right);
                if matches!(
                    set_quantifier,
                    SetQuantifier::ByName
                        | SetQuantifier::AllByName
                        | SetQuantifier::DistinctByName
                ) {
                    left.forget_columns();
                }
                left.combined(right)
            }
            SetExpr::Values(values) => {
                self.is_lost |= has_query(values);
                Relation::unknown()
            }
            SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => {
                self.is_lost = true;
                Relation::unknown()
            }
        }
    }

    /// Adds what the subqueries in `tree` read to the SELECT at hand, whose rows they are computed for.
    pub(super) fn subqueries<V: Visit>(&mut self, tree: &V) {
        let mut inner = Subqueries {
            reader: self,
            depth: 0,
        };
        // The visitor never breaks.
        let _: ControlFlow<()> = tree.visit(&mut inner);
    }
}

/// Finds the outermost queries in an expression.
struct Subqueries<'r, 'a> {
    reader: &'r mut Reader<'a>,
    depth: usize,
}

impl Visitor for Subqueries<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            let mut relation = self.reader.query(query);
            relation.loosen();
            self.reader.bind(Vec::new(), &relation);
            self.reader.hide_last();
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

fn has_query<V: Visit>(tree: &V) -> bool {
    struct Any;
    impl Visitor for Any {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    tree.visit(&mut Any).is_break()
}
