//! What a SELECT hands on: its columns, and what stays open.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use sqlparser::ast::ExcludeSelectItem;
use sqlparser::ast::Expr;
use sqlparser::ast::ObjectName;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;
use sqlparser::ast::SelectItemQualifiedWildcardKind;
use sqlparser::ast::WildcardAdditionalOptions;

use crate::sql::fold;
use crate::sql::names;
use crate::sql::slices::frame::Frame;
use crate::sql::slices::graph::Column;
use crate::sql::slices::graph::SIDES;
use crate::sql::slices::graph::Side;
use crate::sql::slices::graph::State;
use crate::sql::slices::query::Reader;
use crate::sql::slices::relation::Around;
use crate::sql::slices::relation::Part;
use crate::sql::slices::relation::Relation;
use crate::sql::walk;

/// The list behind SELECT.
#[derive(Default)]
pub(super) struct Output {
    /// Names, and the columns of FROM that they are if they are plain.
    columns: Vec<(Option<String>, Option<Column>)>,
    /// Whether there are columns that nobody knows.
    more: bool,
    is_unordered: bool,
    /// Which relation these belong to, if it is one.
    more_of: Option<usize>,
}

impl Output {
    fn push(&mut self, name: Option<String>, column: Option<Column>, of: Option<usize>) {
        // A column that nobody knows may have the same name and stand before it.
        let is_sure = !self.more || of.is_some() && of == self.more_of;
        self.columns.push((name.filter(|_| is_sure), column));
    }

    fn unknown(&mut self, of: Option<usize>) {
        self.more_of = of.filter(|_| !self.more || self.more_of == of);
        self.more = true;
        self.is_unordered = true;
    }

    /// The plain columns among them.
    pub(super) fn plain(&self) -> BTreeSet<Column> {
        self.columns
            .iter()
            .filter_map(|(_, column)| *column)
            .collect()
    }
}

impl Reader<'_> {
    pub(super) fn output(&mut self, select: &Select) -> Output {
        let mut output = Output::default();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    if gives_many(expr) {
                        output.unknown(None);
                        continue;
                    }
                    let fold = |ident: &_| fold::fold_ident(self.dialect, ident);
                    let name = names::of_item(expr, &fold);
                    let column = self.plain_column(expr);
                    output.push(name, column, None);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let column = self.plain_column(expr);
                    let name = fold::fold_ident(self.dialect, alias);
                    output.push(Some(name), column, None);
                }
                SelectItem::ExprWithAliases { .. } => output.unknown(None),
                SelectItem::Wildcard(options) => {
                    let all = 0..self.frame().bindings.len();
                    self.star(&mut output, all.collect(), options);
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    let fitting = match kind {
                        SelectItemQualifiedWildcardKind::ObjectName(name) => self.fitting(name),
                        SelectItemQualifiedWildcardKind::Expr(_) => Vec::new(),
                    };
                    match fitting.as_slice() {
                        [_] => self.star(&mut output, fitting, options),
                        _ => output.unknown(None),
                    }
                }
            }
        }
        if select.exclude.is_some() {
            output = Output::default();
            output.unknown(None);
        }
        output
    }

    /// The relations that a name before `.*` may mean.
    fn fitting(&mut self, name: &ObjectName) -> Vec<usize> {
        let Some(parts) = fold::fold_parts(self.dialect, name) else {
            return Vec::new();
        };
        let bindings = self.frame().bindings.iter().enumerate();
        bindings
            .filter(|(_, binding)| binding.visible && binding.name.ends_with(&parts))
            .map(|(place, _)| place)
            .collect()
    }

    fn star(
        &mut self,
        output: &mut Output,
        places: Vec<usize>,
        options: &WildcardAdditionalOptions,
    ) {
        if options.opt_ilike.is_some()
            || options.opt_rename.is_some()
            || options.opt_alias.is_some()
        {
            output.unknown(None);
            return;
        }
        let Some(gone) = self.left_out(options) else {
            output.unknown(None);
            return;
        };
        let frame = self.frame();
        let merged: BTreeMap<String, Option<Column>> = frame.merged.iter().cloned().collect();
        let is_merged = places.len() > 1 && !merged.is_empty();
        for (name, column) in merged.iter().filter(|_| is_merged) {
            if !gone.contains(name) {
                output.push(Some(name.clone()), *column, None);
            }
            output.is_unordered = true;
        }
        for place in places {
            let binding = &frame.bindings[place];
            if !binding.visible {
                continue;
            }
            if binding.more {
                output.unknown(Some(place));
            }
            output.is_unordered |= !binding.ordered;
            for (name, column) in &binding.columns {
                let name = name.as_ref();
                if name.is_some_and(|name| gone.contains(name)) {
                    output.is_unordered = true;
                } else if !(is_merged && name.is_some_and(|name| merged.contains_key(name))) {
                    output.push(name.cloned(), Some(*column), Some(place));
                }
            }
        }
        for name in options
            .opt_replace
            .iter()
            .flat_map(|replace| &replace.items)
        {
            let name = fold::fold_ident(self.dialect, &name.column_name);
            output.push(Some(name), None, None);
        }
    }

    /// The names that EXCLUDE, EXCEPT and REPLACE take out of a star; `None` where nobody knows.
    fn left_out(&self, options: &WildcardAdditionalOptions) -> Option<BTreeSet<String>> {
        let mut gone = BTreeSet::new();
        let fold = |ident: &_| fold::fold_ident(self.dialect, ident);
        let mut excluded = match &options.opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => vec![name],
            Some(ExcludeSelectItem::Multiple(names)) => names.iter().collect(),
            None => Vec::new(),
        };
        for name in excluded.drain(..) {
            gone.insert(fold::fold_parts(self.dialect, name)?.pop()?);
        }
        if let Some(except) = &options.opt_except {
            gone.insert(fold(&except.first_element));
            gone.extend(except.additional_elements.iter().map(fold));
        }
        let replaced = options.opt_replace.iter();
        let replaced = replaced.flat_map(|replace| &replace.items);
        gone.extend(replaced.map(|item| fold(&item.column_name)));
        Some(gone)
    }
}

impl Frame {
    /// Where the columns of queries around that stand here come from.
    fn pins(&self) -> BTreeMap<Column, Around> {
        let around = self.around.iter();
        around.map(|(around, column)| (*column, *around)).collect()
    }

    /// What it is all made of, if nothing keeps anything out.
    pub(super) fn handed_on(&self) -> Relation {
        let pins = self.pins();
        let mut relation = Relation::unknown();
        for side in SIDES {
            let parts = self.parts[side as usize].iter().map(|part| Part {
                keys: BTreeSet::new(),
                around: part
                    .around
                    .iter()
                    .filter_map(|pin| pins.get(pin).copied())
                    .collect(),
            });
            relation.set_open(side, parts.collect());
        }
        relation
    }

    /// Whether some part is open.
    pub(super) fn is_open(&self) -> bool {
        SIDES.into_iter().any(|side| {
            let states = self.solve(side, None);
            self.parts[side as usize]
                .iter()
                .any(|part| !part.is_closed(&states))
        })
    }

    /// What comes out; only columns among `keys` can still keep something out.
    pub(super) fn result(&self, output: Output, keys: &BTreeSet<Column>) -> Relation {
        let mut relation = Relation {
            columns: Vec::new(),
            more: output.more,
            ordered: !output.is_unordered,
            any_column: false,
            directions: Default::default(),
        };
        let plain = output.plain();
        let keys: Vec<Column> = plain.intersection(keys).copied().collect();
        let pins = self.pins();
        for side in SIDES {
            let states = self.solve(side, None);
            let parts = &self.parts[side as usize];
            let open: Vec<usize> = (0..parts.len())
                .filter(|part| !parts[*part].is_closed(&states))
                .collect();
            let places = output.columns.iter().enumerate();
            let within = places.filter(|(_, (_, column))| {
                column.is_some_and(|column| states[column] >= State::Within)
            });
            relation.directions[side as usize].within = within.map(|(place, _)| place).collect();
            if open.is_empty() {
                continue;
            }
            let closing = |column: &Column| self.closed_by(side, *column, &open);
            let by_key: Vec<(Column, BTreeSet<usize>)> = keys
                .iter()
                .map(|column| (*column, closing(column)))
                .collect();
            let by_pin: Vec<(Around, BTreeSet<usize>)> = pins
                .iter()
                .map(|(column, around)| (*around, closing(column)))
                .collect();
            let part = |part: &usize| {
                let columns = by_key.iter().filter(|(_, closed)| closed.contains(part));
                let columns: BTreeSet<Column> = columns.map(|(column, _)| *column).collect();
                let places = output.columns.iter().enumerate();
                let places = places.filter(|(_, (_, column))| {
                    column.is_some_and(|column| columns.contains(&column))
                });
                let around = by_pin.iter().filter(|(_, closed)| closed.contains(part));
                Part {
                    keys: places.map(|(place, _)| place).collect(),
                    around: around.map(|(around, _)| *around).collect(),
                }
            };
            relation.set_open(side, open.iter().map(part).collect());
        }
        relation.columns = output.columns.into_iter().map(|(name, _)| name).collect();
        relation
    }

    /// Which of the `open` parts are closed where `column` is bounded.
    fn closed_by(&self, side: Side, column: Column, open: &[usize]) -> BTreeSet<usize> {
        let states = self.solve(side, Some(column));
        let parts = &self.parts[side as usize];
        let closed = open.iter().copied();
        closed
            .filter(|part| parts[*part].is_closed(&states))
            .collect()
    }
}

/// Whether the expression may stand for several columns.
fn gives_many(expr: &Expr) -> bool {
    walk::any_expression(expr, |expr| match expr {
        Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => true,
        Expr::Function(function) => {
            let name = function.name.to_string().to_ascii_lowercase();
            matches!(name.as_str(), "columns" | "unpack" | "unnest")
        }
        _ => false,
    })
}
