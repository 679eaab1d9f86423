//! One relation of a FROM: a table, a query, a function, a join in brackets, a PIVOT.

use std::rc::Rc;

use sqlparser::ast::Expr;
use sqlparser::ast::FunctionArg;
use sqlparser::ast::FunctionArgExpr;
use sqlparser::ast::Ident;
use sqlparser::ast::ObjectName;
use sqlparser::ast::PivotValueSource;
use sqlparser::ast::TableAlias;
use sqlparser::ast::TableFactor;
use sqlparser::ast::TableWithJoins;

use crate::sql::Dialect;
use crate::sql::fold;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::expr::with_room;
use crate::sql::meaning::from::Item;
use crate::sql::meaning::functions;
use crate::sql::meaning::functions::Family;
use crate::sql::meaning::lowering::Lowering;
use crate::sql::meaning::lowering::Stop;
use crate::sql::meaning::lowering::stop;
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Rows;
use crate::sql::meaning::part::Set;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Field;
use crate::sql::meaning::relation::Relation;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::scope::Binding;
use crate::sql::meaning::scope::Frame;
use crate::sql::tables;

impl<'q> Lowering<'_, 'q> {
    pub(super) fn factor(&mut self, factor: &'q TableFactor) -> Result<Item, Stop> {
        with_room(|| self.factor_here(factor))
    }

    fn factor_here(&mut self, factor: &'q TableFactor) -> Result<Item, Stop> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints: _,
            } => {
                if !with_hints.is_empty()
                    || version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || sample.is_some()
                {
                    return stop(format!("what follows the table `{name}` is not understood"));
                }
                match args {
                    None => self.named_relation(name, alias.as_ref()),
                    Some(args) if args.settings.is_none() => {
                        self.table_function(name, &args.args, *with_ordinality, alias.as_ref())
                    }
                    Some(_) => stop("SETTINGS of a table function are not understood"),
                }
            }
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                sample,
            } => {
                if sample.is_some() {
                    return stop("a sample is taken");
                }
                let sees_siblings = *lateral || self.dialect == Dialect::DuckDb;
                let hidden = (!sees_siblings).then(|| std::mem::replace(self.top(), Frame::new()));
                let relation = self.query(subquery);
                if let Some(frame) = hidden {
                    *self.top() = frame;
                }
                let mut relation = relation?;
                self.leave(&mut relation);
                let path = alias.iter().map(|alias| self.name(&alias.name)).collect();
                self.bound(relation, path, alias.as_ref())
            }
            TableFactor::Function {
                lateral: _,
                name,
                args,
                with_ordinality,
                alias,
            } => self.table_function(name, args, *with_ordinality, alias.as_ref()),
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset,
                with_offset_alias,
                with_ordinality,
            } => {
                if *with_offset || with_offset_alias.is_some() {
                    return stop("WITH OFFSET is not understood");
                }
                let parts = self.all(array_exprs)?;
                self.produced("unnest", &parts, *with_ordinality, alias.as_ref())
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => self.nested(table_with_joins, alias.as_ref()),
            TableFactor::Pivot {
                table,
                aggregate_functions,
                value_column,
                value_source,
                default_on_null,
                alias,
            } => {
                let (PivotValueSource::List(_) | PivotValueSource::Any(_)) = value_source else {
                    return stop("the columns of a PIVOT come from a query");
                };
                let node = Node::new("pivot").text(&value_source.to_string());
                let aggregates = aggregate_functions
                    .iter()
                    .map(|call| (&call.expr, &call.alias));
                let rest = value_column.iter().chain(default_on_null);
                let parts = aggregates.chain(rest.map(|expr| (expr, &None)));
                self.turned(node, table, parts, alias.as_ref())
            }
            TableFactor::Unpivot {
                table,
                value,
                name,
                columns,
                null_inclusion,
                alias,
            } => {
                let node = Node::new("unpivot")
                    .text(&value.to_string())
                    .text(&self.name(name))
                    .text(&format!("{null_inclusion:?}"));
                let parts = columns.iter().map(|column| (&column.expr, &column.alias));
                self.turned(node, table, parts, alias.as_ref())
            }
            TableFactor::TableFunction { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::XmlTable { .. }
            | TableFactor::SemanticView { .. } => {
                stop("a relation of a kind that is not understood")
            }
        }
    }

    /// PIVOT and UNPIVOT: a relation made of all columns of another. Which columns it has is not known here.
    fn turned(
        &mut self,
        mut node: Node,
        table: &'q TableFactor,
        parts: impl Iterator<Item = (&'q Expr, &'q Option<Ident>)>,
        alias: Option<&'q TableAlias>,
    ) -> Result<Item, Stop> {
        let outer = std::mem::replace(self.top(), Frame::new());
        let turned = (|| {
            let mut all = None;
            let inner = self.factor(table)?;
            self.product(&mut all, inner)?;
            let rows = all.expect("a relation has rows").rows;
            let mut values = vec![self.everything()];
            for (expr, alias) in parts {
                node = std::mem::replace(&mut node, Node::new(""))
                    .maybe_text(alias.as_ref().map(|alias| alias.value.as_str()));
                values.push(self.expr(expr)?);
            }
            Ok((rows, values))
        })();
        *self.top() = outer;
        let (rows, values) = turned?;
        let mut whole = Scalar::over(node.digest(rows.digest()), &values);
        whole.reads = whole.reads.and(&rows.reads);
        let relation = Relation {
            rows: Rows::new(whole.digest, whole.reads.clone()),
            columns: Columns::Unknown(Box::new(whole)),
            keys: Vec::new(),
        };
        let path = alias
            .map(|alias| self.name(&alias.name))
            .into_iter()
            .collect();
        self.bound(relation, path, alias)
    }

    /// Forgets what a relation knows of the SELECTs inside of it.
    pub(super) fn leave(&self, relation: &mut Relation) {
        let below = (1_u64 << self.frames.len()) - 1;
        relation.rows.reads.levels &= below;
        match &mut relation.columns {
            Columns::Listed(fields) => {
                for field in Rc::make_mut(fields) {
                    field.value.reads.levels &= below;
                }
            }
            Columns::Unknown(whole) => whole.reads.levels &= below,
            Columns::Partly(fields, whole) => {
                whole.reads.levels &= below;
                for field in Rc::make_mut(fields) {
                    field.value.reads.levels &= below;
                }
            }
            Columns::Table(_) => {}
        }
    }

    /// `(a JOIN b)`.
    fn nested(
        &mut self,
        joins: &'q TableWithJoins,
        alias: Option<&'q TableAlias>,
    ) -> Result<Item, Stop> {
        let outer = std::mem::replace(self.top(), Frame::new());
        let from = self.from(std::slice::from_ref(joins));
        let inner = std::mem::replace(self.top(), outer);
        let from = from?;
        if alias.is_some() {
            return stop("a join in brackets has an alias");
        }
        Ok(Item {
            relation: Relation {
                rows: from.rows,
                columns: Columns::Listed(Rc::new(Vec::new())),
                keys: from.keys,
            },
            bindings: inner.bindings,
            merged: inner.merged,
        })
    }

    fn named_relation(
        &mut self,
        name: &'q ObjectName,
        alias: Option<&'q TableAlias>,
    ) -> Result<Item, Stop> {
        let Some(parts) = fold::fold_parts(self.dialect, name) else {
            return stop("the name of a table is computed");
        };
        let path = match alias {
            Some(alias) => vec![self.name(&alias.name)],
            None => parts.clone(),
        };
        if fold::is_file(name) {
            let node = Node::new("file").text(&parts.join("."));
            let digest = node.finish();
            let whole = Scalar::new(digest, Reads::default(), Set::default());
            let relation = Relation {
                rows: Rows::new(digest, Reads::default()),
                columns: Columns::Unknown(Box::new(whole)),
                keys: Vec::new(),
            };
            let path = alias
                .map(|alias| self.name(&alias.name))
                .into_iter()
                .collect();
            return self.bound(relation, path, alias);
        }
        if let [single] = parts.as_slice()
            && let Some(cte) = self.ctes.iter().rev().find(|cte| cte.name == *single)
        {
            let relation = cte.relation.clone();
            let layout = cte.layout.clone();
            let problems = cte.problems.clone();
            self.layout.extend(layout);
            self.problems.extend(problems);
            return self.bound(relation, path, alias);
        }
        if parts.len() > 1 && tables::unnests_by_name(self.dialect) {
            let names_a_relation = self
                .frames
                .iter()
                .flat_map(|frame| &frame.bindings)
                .any(|binding| binding.path.last() == Some(&parts[0]));
            if names_a_relation {
                return stop("FROM unnests a column by its name");
            }
        }
        let Some(table) = fold::table_from_parts(parts) else {
            return stop("a table has no name");
        };
        let number = self.table(table);
        let reads = Reads {
            tables: Set::of(number),
            ..Reads::default()
        };
        let relation = Relation {
            rows: Rows::new(self.tables[number as usize].digest, reads),
            columns: Columns::Table(number),
            keys: Vec::new(),
        };
        self.bound(relation, path, alias)
    }

    fn table_function(
        &mut self,
        name: &'q ObjectName,
        arguments: &'q [FunctionArg],
        with_ordinality: bool,
        alias: Option<&'q TableAlias>,
    ) -> Result<Item, Stop> {
        let mut node = String::new();
        let mut parts = Vec::new();
        for argument in arguments {
            let (label, argument) = match argument {
                FunctionArg::Unnamed(argument) => (String::new(), argument),
                FunctionArg::Named { name, arg, .. } => (name.value.to_lowercase(), arg),
                FunctionArg::ExprNamed { .. } => return stop("an argument's name is computed"),
            };
            node = format!("{node}\u{0}{label}");
            match argument {
                FunctionArgExpr::Expr(Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                    if self
                        .frames
                        .last()
                        .is_none_or(|frame| frame.bindings.is_empty()) =>
                {
                    return stop(format!("`{name}` reads something by its name"));
                }
                FunctionArgExpr::Expr(expr) => parts.push(self.expr(expr)?),
                FunctionArgExpr::QualifiedWildcard(_)
                | FunctionArgExpr::Wildcard
                | FunctionArgExpr::WildcardWithOptions(_) => {
                    return stop(format!("`{name}` reads a `*`"));
                }
            }
        }
        let name = name.to_string().to_lowercase();
        if matches!(name.as_str(), "query" | "query_table") {
            return stop(format!("`{name}` reads what a text names"));
        }
        self.produced(&format!("{name}{node}"), &parts, with_ordinality, alias)
    }

    /// Rows that a function gives for its arguments.
    fn produced(
        &mut self,
        name: &str,
        parts: &[Scalar],
        with_ordinality: bool,
        alias: Option<&'q TableAlias>,
    ) -> Result<Item, Stop> {
        let node = Node::new("table function")
            .text(name)
            .number(usize::from(with_ordinality));
        let mut whole = Scalar::over(node, parts);
        let bare = name.split('\u{0}').next().unwrap_or(name);
        whole.reads.unstable |=
            functions::family(bare, self.dialect, parts.len()) == Family::Volatile;
        let known = match bare {
            "range" | "generate_series" if self.dialect == Dialect::DuckDb => {
                Some(vec![bare.to_owned()])
            }
            _ => None,
        };
        let columns = match known {
            Some(names) if !with_ordinality => {
                let fields = names.into_iter().map(|name| Field {
                    value: Scalar::over(Node::new("lookup").text(&name), [&whole]),
                    name: Some(name),
                });
                Columns::Listed(Rc::new(fields.collect()))
            }
            _ => Columns::Unknown(Box::new(whole.clone())),
        };
        let relation = Relation {
            rows: Rows::new(whole.digest, whole.reads.clone()),
            columns,
            keys: Vec::new(),
        };
        let path = match alias {
            Some(alias) => vec![self.name(&alias.name)],
            None => vec![bare.to_owned()],
        };
        self.bound(relation, path, alias)
    }

    fn bound(
        &mut self,
        mut relation: Relation,
        path: Vec<String>,
        alias: Option<&'q TableAlias>,
    ) -> Result<Item, Stop> {
        if let Some(alias) = alias {
            if alias.at.is_some() {
                return stop("an alias has an AT");
            }
            if !alias.columns.is_empty() {
                let names: Vec<String> = alias
                    .columns
                    .iter()
                    .map(|column| self.name(&column.name))
                    .collect();
                relation.columns = self.renamed(&relation.columns, &names)?;
            }
        }
        let binding = Binding {
            path,
            columns: relation.columns.clone(),
            wraps: Vec::new(),
            hidden: Vec::new(),
        };
        Ok(Item {
            relation,
            bindings: vec![binding],
            merged: Vec::new(),
        })
    }

    /// The columns under other names, from the first on.
    pub(super) fn renamed(&mut self, columns: &Columns, names: &[String]) -> Result<Columns, Stop> {
        if let Some(fields) = self.fields(columns) {
            if names.len() > fields.len() {
                return stop("there are more names than columns");
            }
            let mut fields = (*fields).clone();
            for (field, name) in fields.iter_mut().zip(names) {
                field.name = Some(name.clone());
            }
            return Ok(Columns::Listed(Rc::new(fields)));
        }
        // The first columns by their places; there may be more than the names say.
        let whole = self.whole(columns);
        let fields = names.iter().enumerate().map(|(place, name)| Field {
            name: Some(name.clone()),
            value: Scalar::over(Node::new("place").number(place), [&whole]),
        });
        Ok(Columns::Partly(Rc::new(fields.collect()), Box::new(whole)))
    }
}
