//! What is known while one query is lowered, and looking names up in it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use sqlparser::ast::Ident;
use sqlparser::ast::Select;
use sqlparser::ast::SelectItem;

use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::fold;
use crate::sql::meaning::Problem;
use crate::sql::meaning::Schema;
use crate::sql::meaning::SchemaOf;
use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::functions;
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Set;
use crate::sql::meaning::problem;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Field;
use crate::sql::meaning::relation::Relation;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;
use crate::sql::meaning::scope::Alias;
use crate::sql::meaning::scope::Binding;
use crate::sql::meaning::scope::Clause;
use crate::sql::meaning::scope::Frame;
use crate::sql::meaning::scope::named;
use crate::sql::meaning::scope::wrapped;
use crate::sql::types;

/// Why a query is not taken apart: a construct whose meaning is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stop(pub(super) String);

pub(super) fn stop<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop(reason.into()))
}

/// A table that the query reads.
pub(super) struct Table {
    pub(super) name: TableName,
    pub(super) schema: Option<Arc<Schema>>,
    pub(super) digest: Digest,
}

/// A CTE in scope.
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) relation: Relation,
    /// Orders below it that decide no rows.
    pub(super) layout: Vec<Digest>,
    /// What is wrong with it; engines mind only when somebody reads it.
    pub(super) problems: Vec<Problem>,
}

/// One query while it is lowered.
pub(super) struct Lowering<'a, 'q> {
    pub(super) dialect: Dialect,
    schema_of: SchemaOf<'a>,
    pub(super) tables: Vec<Table>,
    table_numbers: HashMap<TableName, u32>,
    /// Columns that are read, by number; `None` means all of a table.
    pub(super) sources: Vec<(u32, Option<String>)>,
    source_numbers: HashMap<(u32, Option<String>), u32>,
    pub(super) frames: Vec<Frame>,
    /// The SELECT of each frame.
    pub(super) selects: Vec<Option<&'q Select>>,
    pub(super) ctes: Vec<Cte>,
    /// Orders that decide no rows, but how the rows lie in the table.
    pub(super) layout: Vec<Digest>,
    pub(super) problems: Vec<Problem>,
    /// Relations that nothing else may be confused with, such as a recursive CTE inside of itself.
    pub(super) serial: usize,
}

/// Whether a relation has a column.
enum Found {
    Yes(Scalar),
    /// Its columns are not known.
    Maybe(Scalar),
    No,
}

/// Whether the name of a relation may stand for its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowAsValue {
    Yes,
    No,
}

impl<'a, 'q> Lowering<'a, 'q> {
    pub(super) fn new(dialect: Dialect, schema_of: SchemaOf<'a>) -> Self {
        Self {
            dialect,
            schema_of,
            tables: Vec::new(),
            table_numbers: HashMap::new(),
            sources: Vec::new(),
            source_numbers: HashMap::new(),
            frames: Vec::new(),
            selects: Vec::new(),
            ctes: Vec::new(),
            layout: Vec::new(),
            problems: Vec::new(),
            serial: 0,
        }
    }

    pub(super) fn table(&mut self, name: TableName) -> u32 {
        if let Some(number) = self.table_numbers.get(&name) {
            return *number;
        }
        let number = u32::try_from(self.tables.len()).unwrap_or(u32::MAX);
        let node = Node::new("table")
            .maybe_text(name.catalog.as_deref())
            .maybe_text(name.schema.as_deref())
            .text(&name.name);
        self.tables.push(Table {
            schema: (self.schema_of)(&name),
            digest: node.finish(),
            name: name.clone(),
        });
        self.table_numbers.insert(name, number);
        number
    }

    pub(super) fn source(&mut self, table: u32, column: Option<&str>) -> Set {
        let key = (table, column.map(str::to_owned));
        if let Some(number) = self.source_numbers.get(&key) {
            return Set::of(*number);
        }
        let number = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(key.clone());
        self.source_numbers.insert(key, number);
        Set::of(number)
    }

    /// A column of a table.
    pub(super) fn leaf(&mut self, table: u32, column: &str) -> Scalar {
        let columns = self.source(table, Some(column));
        let entry = &self.tables[table as usize];
        let digest = Node::new("column")
            .digest(entry.digest)
            .text(column)
            .finish();
        let data_type = entry
            .schema
            .as_ref()
            .and_then(|schema| schema.data_type(column));
        let reads = Reads {
            columns: columns.clone(),
            ..Reads::default()
        };
        let mut leaf = Scalar::new(digest, reads, columns);
        leaf.operand = data_type.map(types::Operand::from);
        leaf.shape = Shape::Column;
        leaf
    }

    fn all_of_table(&mut self, table: u32) -> Scalar {
        let columns = self.source(table, None);
        let reads = Reads {
            columns: columns.clone(),
            ..Reads::default()
        };
        let digest = self.tables[table as usize].digest;
        Scalar::new(
            Node::new("all columns").digest(digest).finish(),
            reads,
            columns,
        )
    }

    /// The columns one by one; `None` when they are not known.
    pub(super) fn fields(&mut self, columns: &Columns) -> Option<Rc<Vec<Field>>> {
        match columns {
            Columns::Listed(fields) => Some(Rc::clone(fields)),
            Columns::Table(table) => {
                let schema = self.tables[*table as usize].schema.clone()?;
                let fields = schema
                    .names()
                    .map(|name| Field {
                        name: Some(name.to_owned()),
                        value: self.leaf(*table, name),
                    })
                    .collect();
                Some(Rc::new(fields))
            }
            Columns::Unknown(_) | Columns::Partly(..) => None,
        }
    }

    /// All columns with their names as one value.
    pub(super) fn whole(&mut self, columns: &Columns) -> Scalar {
        if let Some(fields) = self.fields(columns) {
            let names = fields.iter().fold(Node::new("names"), |node, field| {
                node.maybe_text(field.name.as_deref())
            });
            let node = Node::new("row").digest(names.finish());
            return Scalar::over(node, fields.iter().map(|field| &field.value));
        }
        match columns {
            Columns::Table(table) => self.all_of_table(*table),
            Columns::Unknown(whole) | Columns::Partly(_, whole) => (**whole).clone(),
            Columns::Listed(_) => unreachable!("listed columns are known"),
        }
    }

    fn whole_binding(&mut self, binding: &Binding) -> Scalar {
        let whole = self.whole(&binding.columns);
        wrapped(whole, &binding.wraps)
    }

    fn find(&mut self, binding: &Binding, name: &str) -> Found {
        let found = match &binding.columns {
            Columns::Listed(fields) => {
                let matches: Vec<Scalar> = named(fields, name)
                    .map(|field| field.value.clone())
                    .collect();
                if matches.is_empty() {
                    let unnamed: Vec<Scalar> = fields
                        .iter()
                        .filter(|field| field.name.is_none())
                        .map(|field| field.value.clone())
                        .collect();
                    if unnamed.is_empty() {
                        return Found::No;
                    }
                    let node = Node::new("unnamed").text(name);
                    Found::Maybe(Scalar::over(node, &unnamed))
                } else {
                    Found::Yes(either(matches))
                }
            }
            Columns::Table(table) => match &self.tables[*table as usize].schema {
                Some(schema) if schema.contains(name) => Found::Yes(self.leaf(*table, name)),
                Some(_) if !functions::is_pseudo_column(name) => return Found::No,
                _ => Found::Maybe(self.leaf(*table, name)),
            },
            Columns::Partly(fields, _) if named(fields, name).next().is_some() => {
                Found::Yes(either(
                    named(fields, name)
                        .map(|field| field.value.clone())
                        .collect(),
                ))
            }
            Columns::Unknown(whole) | Columns::Partly(_, whole) => {
                let node = Node::new("lookup").text(name);
                Found::Maybe(Scalar::over(node, [&**whole]))
            }
        };
        match found {
            Found::Yes(value) => Found::Yes(wrapped(value, &binding.wraps)),
            Found::Maybe(value) => Found::Maybe(wrapped(value, &binding.wraps)),
            Found::No => Found::No,
        }
    }

    /// A value of the frame at `level`, as the innermost frame sees it.
    fn seen_from_inside(&self, mut value: Scalar, level: usize) -> Scalar {
        value.reads.levels |= 1 << level;
        if level + 1 < self.frames.len() {
            value.digest = Node::new("outer")
                .number(level)
                .digest(value.digest)
                .finish();
        }
        value
    }

    /// The column, alias or row that a name without a dot means.
    pub(super) fn identifier(&mut self, ident: &Ident) -> Result<Scalar, Stop> {
        let name = self.name(ident);
        let mut found = Vec::new();
        for level in (0..self.frames.len()).rev() {
            if self.at_level(level, &name, RowAsValue::Yes, &mut found)? {
                self.refuse_ambiguous(level, ident, &name);
                break;
            }
        }
        if !found.is_empty() {
            return Ok(either(found));
        }
        if ident.quote_style.is_none() && functions::is_clock_word(&ident.value.to_lowercase()) {
            let mut value = Scalar::new(
                Node::new("call").text(&ident.value.to_lowercase()).finish(),
                Reads::unstable(),
                Set::default(),
            );
            value.operand = None;
            return Ok(value);
        }
        if self.selects.last().is_some_and(Option::is_none) {
            // DuckDB lets an ORDER BY behind a UNION name columns of any of its queries.
            return stop(format!(
                "`{name}` is no column of the first query of a UNION"
            ));
        }
        let problem = problem::unknown_column(self, ident);
        self.problems.push(problem);
        Ok(self.unresolved(&name))
    }

    /// Takes down that several relations of `level` have the column, where engines refuse that: not where one of
    /// the SELECT's own columns may be meant, or a join has made one of two.
    fn refuse_ambiguous(&mut self, level: usize, ident: &Ident, name: &str) {
        let frame = &self.frames[level];
        let is_settled = frame.clause == Clause::Either
            || frame.merged(name).is_some()
            || frame.parameters.iter().any(|(known, _)| known == name);
        if is_settled || frame.bindings.len() < 2 {
            return;
        }
        let mut owners = Vec::new();
        for binding in frame.bindings.clone() {
            let is_hidden = binding.hidden.iter().any(|hidden| hidden == name);
            if !is_hidden && matches!(self.find(&binding, name), Found::Yes(_)) {
                owners.push(binding.path);
            }
        }
        if owners.len() > 1 {
            self.problems
                .push(problem::ambiguous_column(ident, &owners));
        }
    }

    /// Adds what `name` may mean at `level`; whether that is certain.
    fn at_level(
        &mut self,
        level: usize,
        name: &str,
        row_as_value: RowAsValue,
        found: &mut Vec<Scalar>,
    ) -> Result<bool, Stop> {
        let frame = &self.frames[level];
        if let Some((_, value)) = frame
            .parameters
            .iter()
            .rev()
            .find(|(parameter, _)| parameter == name)
        {
            found.push(value.clone());
            return Ok(true);
        }
        let clause = frame.clause;
        if let Some(value) = frame.merged(name) {
            found.push(self.seen_from_inside(value, level));
            return Ok(true);
        }
        let bindings = frame.bindings.len();
        let (mut certain, mut possible) = (Vec::new(), Vec::new());
        // Whether a row of this query may stand for a value.
        let mut spelled = false;
        for place in 0..bindings {
            let binding = self.frames[level].bindings[place].clone();
            if binding.hidden.iter().any(|hidden| hidden == name) {
                continue;
            }
            match self.find(&binding, name) {
                Found::Yes(value) => certain.push(value),
                Found::Maybe(value) => possible.push(value),
                Found::No => {}
            }
            // A row as a value: only where no column has the name.
            let is_named = binding.path.last().is_some_and(|last| last == name);
            if is_named && row_as_value == RowAsValue::Yes && certain.is_empty() {
                spelled |= matches!(binding.columns, Columns::Listed(_) | Columns::Partly(..));
                let whole = self.whole_binding(&binding);
                possible.push(Scalar::over(Node::new("as value"), [&whole]));
            }
        }
        let alias = match clause {
            Clause::From => None,
            Clause::ColumnsFirst if !certain.is_empty() => None,
            Clause::ColumnsFirst | Clause::Either => self.alias(level, name)?,
        };
        let is_certain = !certain.is_empty();
        if spelled && !is_certain && alias.is_none() && fold::keeps_spelling(self.dialect) {
            return stop(format!(
                "the row `{name}` stands for a value, in which the case of its columns' names shows"
            ));
        }
        let all = if is_certain { certain } else { possible };
        let (first, second) = if clause == Clause::ColumnsFirst {
            (all, Vec::from_iter(alias))
        } else {
            (Vec::from_iter(alias), all)
        };
        for value in first.into_iter().chain(second) {
            let value = self.seen_from_inside(value, level);
            found.push(value);
        }
        Ok(is_certain)
    }

    /// What an alias of the SELECT at `level` stands for.
    pub(super) fn alias(&mut self, level: usize, name: &str) -> Result<Option<Scalar>, Stop> {
        let frame = &mut self.frames[level];
        let Some(place) = frame.aliases.iter().position(|(alias, _)| alias == name) else {
            return Ok(None);
        };
        let item = match &frame.aliases[place].1 {
            Alias::Done(value) => return Ok(Some((**value).clone())),
            Alias::Busy => return Ok(None),
            Alias::Waiting(item) => *item,
        };
        frame.aliases[place].1 = Alias::Busy;
        let Some(select) = self.selects[level] else {
            return Ok(None);
        };
        let SelectItem::ExprWithAlias { expr, .. } = &select.projection[item] else {
            return Ok(None);
        };
        let inner_frames = self.frames.split_off(level + 1);
        let inner_selects = self.selects.split_off(level + 1);
        let clause = std::mem::replace(&mut self.frames[level].clause, Clause::ColumnsFirst);
        let value = self.expr(expr);
        self.frames[level].clause = clause;
        self.frames.extend(inner_frames);
        self.selects.extend(inner_selects);
        let value = substituted(value?);
        self.frames[level].aliases[place].1 = Alias::Done(Rc::new(value.clone()));
        Ok(Some(value))
    }

    /// What a name with dots means: a column of a relation, or a field of a structure in a column.
    pub(super) fn path(&mut self, parts: &[Ident]) -> Result<Scalar, Stop> {
        let names: Vec<String> = parts.iter().map(|part| self.name(part)).collect();
        let mut found = Vec::new();
        'levels: for level in (0..self.frames.len()).rev() {
            for qualifiers in (1..names.len().min(4)).rev() {
                let qualifier = &names[..qualifiers];
                for place in 0..self.frames[level].bindings.len() {
                    let binding = self.frames[level].bindings[place].clone();
                    if !binding.path.ends_with(qualifier) {
                        continue;
                    }
                    let column = self.find(&binding, &names[qualifiers]);
                    let (value, certain) = match column {
                        Found::Yes(value) => (value, true),
                        Found::Maybe(value) => (value, false),
                        Found::No => continue,
                    };
                    let value = self.seen_from_inside(value, level);
                    found.push(self.steps_into(value, &parts[qualifiers + 1..]));
                    if certain {
                        break 'levels;
                    }
                }
            }
            let mut columns = Vec::new();
            // The fields of a relation's row are its columns, which were looked for above.
            let certain = self.at_level(level, &names[0], RowAsValue::No, &mut columns)?;
            for value in columns {
                let mut value = self.steps_into(value, &parts[1..]);
                if !found.is_empty() {
                    // A relation of that name comes first. That it lacks the column, while a structure elsewhere
                    // has the relation's name, changes what is read, but is no reason to doubt whose aggregate it is.
                    value.reads.levels = 0;
                }
                found.push(value);
            }
            if certain {
                break;
            }
        }
        if found.is_empty() {
            let problem = problem::unknown_path(self, parts);
            self.problems.push(problem);
            return Ok(self.unresolved(&names.join(".")));
        }
        Ok(either(found))
    }

    pub(super) fn steps_into(&self, mut value: Scalar, fields: &[Ident]) -> Scalar {
        for field in fields {
            let name = if fold::folds_columns(self.dialect) {
                fold::fold_ident(self.dialect, field)
            } else {
                field.value.clone()
            };
            let operand = match &value.operand {
                Some(types::Operand::Typed(data_type)) => {
                    types::field(data_type, &name, self.dialect).map(types::Operand::from)
                }
                _ => None,
            };
            value = Scalar::over(Node::new("field").text(&name), [&value]).typed(operand);
        }
        value
    }

    /// A name that is not known anywhere. Our knowledge may be old: it counts as made of everything in reach.
    fn unresolved(&mut self, name: &str) -> Scalar {
        let bindings: Vec<Binding> = self
            .frames
            .iter()
            .flat_map(|frame| frame.bindings.iter().cloned())
            .collect();
        let all: Vec<Scalar> = bindings
            .iter()
            .map(|binding| self.whole_binding(binding))
            .collect();
        Scalar::over(Node::new("unresolved").text(name), &all)
    }

    /// Every column of the innermost SELECT's relations as one value.
    pub(super) fn everything(&mut self) -> Scalar {
        let Some(frame) = self.frames.last() else {
            return Scalar::new(
                Node::new("nothing").finish(),
                Reads::default(),
                Set::default(),
            );
        };
        let bindings = frame.bindings.clone();
        let paths = bindings
            .iter()
            .flat_map(|binding| &binding.hidden)
            .fold(Node::new("hidden"), |node, name| node.text(name));
        let all: Vec<Scalar> = bindings
            .iter()
            .map(|binding| self.whole_binding(binding))
            .collect();
        let mut value = Scalar::over(Node::new("everything").digest(paths.finish()), &all);
        value.reads.levels |= 1 << (self.frames.len() - 1);
        value
    }

    /// A name as the dialect compares columns.
    pub(super) fn name(&self, ident: &Ident) -> String {
        match self.dialect {
            Dialect::BigQuery | Dialect::MySql => ident.value.to_ascii_lowercase(),
            dialect => fold::fold_ident(dialect, ident),
        }
    }
}

/// One of these, nobody here knows which: equal only where all are equal.
pub(super) fn either(mut values: Vec<Scalar>) -> Scalar {
    if values.len() == 1 {
        return values.remove(0);
    }
    let first = values[0].lineage.clone();
    let operand = values[0].operand.clone();
    let same_type = values.iter().all(|value| value.operand == operand);
    let mut value = Scalar::over(Node::new("either"), &values);
    value.lineage = first;
    value.operand = operand.filter(|_| same_type);
    value
}

/// The value as an alias stands for it: the expression itself, but a literal may have got a type.
pub(super) fn substituted(mut value: Scalar) -> Scalar {
    let is_literal = matches!(
        value.operand,
        Some(types::Operand::Null | types::Operand::Integer(_) | types::Operand::String(_))
    );
    if is_literal || matches!(value.shape, Shape::Integer(_)) {
        value.digest = Node::new("alias").digest(value.digest).finish();
        value.operand = None;
        value.shape = Shape::Other { truth: false };
    }
    value
}

/// The value as it is outside of its SELECT, where a literal has a type: `tiny + 1` is not `tiny + x` where `x` is
/// a column that holds 1.
pub(super) fn settled(mut value: Scalar, dialect: Dialect) -> Scalar {
    let has_type = matches!(value.operand, Some(types::Operand::Typed(_)));
    if !has_type && !matches!(value.shape, Shape::Column) {
        value.digest = Node::new("value").digest(value.digest).finish();
        value.shape = Shape::Other { truth: false };
    }
    value.operand = value
        .operand
        .and_then(|operand| operand.settle(dialect))
        .map(types::Operand::from);
    value
}

impl Lowering<'_, '_> {
    /// The names of relations that a name may start with.
    pub(super) fn relations_in_reach(&self) -> Vec<Vec<String>> {
        let bindings = self.frames.iter().flat_map(|frame| &frame.bindings);
        bindings.map(|binding| binding.path.clone()).collect()
    }

    /// The names of columns in reach, of one relation or of all.
    pub(super) fn names_in_reach(&mut self, qualifier: Option<&[String]>) -> Vec<String> {
        let bindings: Vec<Binding> = self
            .frames
            .iter()
            .flat_map(|frame| frame.bindings.iter())
            .filter(|binding| qualifier.is_none_or(|name| binding.path.ends_with(name)))
            .cloned()
            .collect();
        let mut names = Vec::new();
        for binding in bindings {
            let fields = self.fields(&binding.columns);
            names.extend(fields.iter().flat_map(|fields| {
                fields
                    .iter()
                    .filter_map(|field| field.name.clone())
                    .collect::<Vec<_>>()
            }));
        }
        names
    }
}
