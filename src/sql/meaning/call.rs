//! The value of a call: scalar functions, aggregates, window functions.

use std::rc::Rc;

use sqlparser::ast::DuplicateTreatment;
use sqlparser::ast::Expr;
use sqlparser::ast::Function;
use sqlparser::ast::FunctionArg;
use sqlparser::ast::FunctionArgExpr;
use sqlparser::ast::FunctionArgumentClause;
use sqlparser::ast::FunctionArguments;
use sqlparser::ast::NamedWindowExpr;
use sqlparser::ast::NullTreatment;
use sqlparser::ast::WindowFrame;
use sqlparser::ast::WindowFrameBound;
use sqlparser::ast::WindowFrameUnits;
use sqlparser::ast::WindowSpec;
use sqlparser::ast::WindowType;

use crate::sql::Dialect;
use crate::sql::fold;
use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::functions;
use crate::sql::meaning::functions::Family;
use crate::sql::meaning::lowering::Lowering;
use crate::sql::meaning::lowering::Stop;
use crate::sql::meaning::lowering::stop;
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Set;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;
use crate::sql::meaning::relation::Ties;
use crate::sql::meaning::rewrites;
use crate::sql::meaning::scope::Clause;
use crate::sql::types;
use crate::sql::types::Operand;

/// The arguments of a call.
struct Arguments<'q> {
    node: Node,
    parts: Vec<Scalar>,
    operands: Vec<Option<Operand>>,
    names: Vec<Option<&'q str>>,
    /// The keys by which the rows of an aggregate are put in order.
    order: Vec<Digest>,
}

/// A window: its parts, and whether rows that tie in it are told apart by chance.
struct Window {
    digest: Digest,
    parts: Vec<Scalar>,
    partition: Vec<Digest>,
    order: Vec<Digest>,
    /// A frame that counts rows.
    counts_rows: bool,
}

impl<'q> Lowering<'_, 'q> {
    pub(super) fn call(&mut self, function: &'q Function) -> Result<Scalar, Stop> {
        self.call_with(function, None)
    }

    /// `first.function(…)` is `function(first, …)`.
    pub(super) fn call_with(
        &mut self,
        function: &'q Function,
        first: Option<Scalar>,
    ) -> Result<Scalar, Stop> {
        let Some(path) = fold::fold_parts(self.dialect, &function.name) else {
            return stop("the name of a function is computed");
        };
        let path: Vec<String> = path.iter().map(|part| part.to_lowercase()).collect();
        let name = path.last().cloned().unwrap_or_default();
        if name == "columns" && self.dialect == Dialect::DuckDb {
            return stop("`COLUMNS(…)` stands inside of an expression");
        }
        if function.uses_odbc_syntax {
            return self.rewritten(&name, function);
        }
        let first = match first {
            None if path.len() > 1 && self.dialect == Dialect::DuckDb => self.receiver(function)?,
            first => first,
        };
        let is_method = first.is_some();
        let mut arguments = self.arguments(&name, &function.args, first)?;
        if !matches!(function.parameters, FunctionArguments::None) {
            let parameters = self.arguments(&name, &function.parameters, None)?;
            arguments.node = arguments
                .node
                .text("parameters")
                .number(parameters.parts.len());
            arguments.parts.extend(parameters.parts);
            arguments.operands.clear();
        }
        let within = self.ordered(&function.within_group)?;
        let mut within_operands = Vec::new();
        if !within.is_empty() {
            arguments.node = arguments.node.text("within group");
            for (key, direction) in within {
                arguments.node = arguments.node.digest(direction);
                arguments.order.push(key.digest);
                within_operands.push(key.operand.clone());
                arguments.parts.push(key);
            }
        }
        if let Some(filter) = &function.filter {
            let filter = rewrites::condition(self.expr(filter)?);
            arguments.node = arguments.node.text("filter");
            arguments.parts.push(filter);
        }
        arguments.node = arguments.node.text(match function.null_treatment {
            Some(NullTreatment::IgnoreNulls) => "ignore nulls",
            Some(NullTreatment::RespectNulls) | None => "",
        });
        let operand = self.function_type(
            &name,
            &arguments.operands,
            &arguments.names,
            &within_operands,
        );
        let is_known = path.len() == 1 || is_method;
        let family = if is_known {
            functions::family(&name, self.dialect, arguments.parts.len())
        } else {
            Family::Unknown
        };
        let path = if is_method { vec![name.clone()] } else { path };
        let head = Node::new("call").digest(
            path.iter()
                .fold(Node::new("name"), |node, part| node.text(part))
                .finish(),
        );
        let value = match &function.over {
            Some(over) => {
                let window = self.window(over)?;
                self.windowed(head, &name, family, arguments, window)
            }
            None => self.plain(head, &name, family, arguments)?,
        };
        Ok(value.typed(operand))
    }

    /// What stands before the dot of `x.upper()`, if it may be a value: otherwise it is a schema.
    fn receiver(&mut self, function: &'q Function) -> Result<Option<Scalar>, Stop> {
        let parts: Vec<&sqlparser::ast::Ident> = function
            .name
            .0
            .iter()
            .filter_map(|part| part.as_ident())
            .collect();
        let Some((_, [first, rest @ ..])) = parts.split_last() else {
            return Ok(None);
        };
        let before: Vec<sqlparser::ast::Ident> = std::iter::once(*first)
            .chain(rest.iter().copied())
            .cloned()
            .collect();
        let known = self.problems.len();
        let value = self.path_or_column(&before)?;
        if self.problems.len() > known {
            self.problems.truncate(known);
            return Ok(None);
        }
        Ok(Some(value))
    }

    fn path_or_column(&mut self, parts: &[sqlparser::ast::Ident]) -> Result<Scalar, Stop> {
        match parts {
            [one] => self.identifier(one),
            several => self.path(several),
        }
    }

    /// A call that `sql::grammar` put in the place of a construct that the tree has no node for.
    fn rewritten(&mut self, name: &str, function: &'q Function) -> Result<Scalar, Stop> {
        match name {
            "list_comprehension" | "in_list" | "percent" | "pivot_group_by" => {
                let arguments = self.arguments(name, &function.args, None)?;
                let node = Node::new("rewritten")
                    .text(name)
                    .digest(arguments.node.finish());
                Ok(Scalar::over(node, &arguments.parts))
            }
            "exclude_ties" | "exclude_current" | "exclude_group" | "exclude_no" => {
                let arguments = self.arguments(name, &function.args, None)?;
                let node = Node::new("rewritten")
                    .text(name)
                    .digest(arguments.node.finish());
                let mut value = Scalar::over(node, &arguments.parts);
                value.reads.unstable = true;
                Ok(value)
            }
            _ => stop(format!("`{name}` is not understood here")),
        }
    }

    fn plain(
        &mut self,
        head: Node,
        name: &str,
        family: Family,
        arguments: Arguments<'q>,
    ) -> Result<Scalar, Stop> {
        let covered = arguments
            .parts
            .iter()
            .take(arguments.operands.len())
            .all(|part| arguments.order.contains(&part.digest) || is_constant(part));
        let digest = arguments.node.finish();
        let mut value = Scalar::over(head.digest(digest), &arguments.parts);
        let level = self.frames.len();
        match family {
            Family::Scalar => {}
            Family::Volatile => value.reads.unstable = true,
            Family::Aggregate | Family::OrderedAggregate => {
                let levels = arguments
                    .parts
                    .iter()
                    .fold(0, |all, part| all | part.reads.levels);
                if level == 0 {
                    return stop("an aggregate stands outside of a SELECT");
                }
                // FROM has no aggregates, so what it sees of its neighbours cannot make this one theirs.
                let outside = self.frames[..level - 1]
                    .iter()
                    .enumerate()
                    .filter(|(_, frame)| frame.clause != Clause::From)
                    .fold(0, |all, (outer, _)| all | 1 << outer);
                if levels & outside != 0 {
                    return stop(format!("`{name}` may aggregate rows of an outer query"));
                }
                let is_settled = covered && !arguments.order.is_empty();
                if family == Family::OrderedAggregate && !is_settled {
                    value.reads.unstable = true;
                }
                if let Some(frame) = self.frames.last_mut() {
                    frame.aggregates = true;
                }
            }
            Family::Rows | Family::Unknown => {
                if family == Family::Unknown {
                    value.reads.unstable = true;
                }
                if let Some(frame) = self.frames.last_mut() {
                    frame.expanders.push(value.clone());
                }
            }
            Family::Window => return stop(format!("`{name}` has no window")),
        }
        Ok(value)
    }

    fn windowed(
        &mut self,
        head: Node,
        name: &str,
        family: Family,
        arguments: Arguments<'q>,
        window: Window,
    ) -> Scalar {
        // A window looks at all rows that there are at this point: a later filter does not change its value.
        let rows = self.frames.last().and_then(|frame| frame.rows);
        let node = Node::new("window")
            .digests(rows)
            .digest(head.digest(arguments.node.finish()).finish())
            .number(arguments.parts.len())
            .digest(window.digest);
        let mut value = Scalar::over(node, arguments.parts.iter().chain(&window.parts));
        let mut keys = window.partition;
        keys.extend(&window.order);
        let total = self.frames.last().is_some_and(|frame| {
            frame
                .keys
                .iter()
                .any(|key| key.iter().all(|column| keys.contains(column)))
        });
        let stable = match family {
            // Ties get the same value, or every row of the frame counts.
            Family::Aggregate => total || !window.counts_rows,
            Family::Window => total || functions::is_fair_to_ties(name),
            Family::OrderedAggregate => total && !window.order.is_empty(),
            Family::Scalar | Family::Volatile | Family::Rows | Family::Unknown => false,
        };
        if !stable {
            value.reads.unstable = true;
            let is_settled = arguments
                .parts
                .iter()
                .chain(&window.parts)
                .all(|part| !part.reads.unstable);
            let numbered = self.frames.last().and_then(|frame| frame.numbered);
            if let ("row_number", true, Some(rows)) = (name, is_settled, numbered) {
                value.shape = Shape::RowNumber(Ties {
                    keys: Rc::from(keys),
                    rows,
                });
            }
        }
        value
    }

    fn arguments(
        &mut self,
        name: &str,
        arguments: &'q FunctionArguments,
        first: Option<Scalar>,
    ) -> Result<Arguments<'q>, Stop> {
        let mut found = Arguments {
            node: Node::new("arguments"),
            parts: Vec::new(),
            operands: Vec::new(),
            names: Vec::new(),
            order: Vec::new(),
        };
        if let Some(first) = first {
            found.operands.push(first.operand.clone());
            found.names.push(None);
            found.parts.push(first);
        }
        let list = match arguments {
            FunctionArguments::None => {
                found.node = found.node.text("no brackets");
                return Ok(found);
            }
            FunctionArguments::Subquery(query) => {
                let layout = self.layout.len();
                let inside = self.subquery(query)?;
                self.layout.truncate(layout);
                found.node = found.node.text("query").digest(inside.rows);
                for mut column in inside.columns {
                    column.reads = column.reads.and(&inside.reads);
                    // A list of rows is in an order.
                    column.reads.unstable = true;
                    found.parts.push(column);
                }
                return Ok(found);
            }
            FunctionArguments::List(list) => list,
        };
        match list.duplicate_treatment {
            Some(DuplicateTreatment::Distinct) => {
                found.node = found.node.text("distinct");
            }
            Some(DuplicateTreatment::All) | None => {}
        }
        for (place, argument) in list.args.iter().enumerate() {
            let (label, argument) = match argument {
                FunctionArg::Unnamed(argument) => {
                    // The field of a structure has the name of the column.
                    if functions::names_fields(name)
                        && let FunctionArgExpr::Expr(expr) = argument
                    {
                        let implied = self.expression_name(expr);
                        found.node = found.node.text("field").maybe_text(implied.as_deref());
                    }
                    (None, argument)
                }
                FunctionArg::Named {
                    name,
                    arg,
                    operator: _,
                } => (Some(name.value.as_str()), arg),
                FunctionArg::ExprNamed { .. } => return stop("an argument's name is computed"),
            };
            found.node = found.node.maybe_text(label);
            let value = match argument {
                FunctionArgExpr::Expr(Expr::Lambda(lambda)) => {
                    let types = types::lambda_parameters(name, &found.operands, self.dialect);
                    self.lambda(lambda, &types.unwrap_or_default())?
                }
                // The field is a word, no column.
                FunctionArgExpr::Expr(Expr::Identifier(ident))
                    if functions::is_word(
                        self.dialect,
                        name,
                        place,
                        list.args.len(),
                        &ident.value.to_lowercase(),
                    ) =>
                {
                    let word = ident.value.to_lowercase();
                    let digest = Node::new("word").text(&word).finish();
                    Scalar::new(digest, Reads::default(), Set::default())
                        .typed(Some(Operand::String(word.into())))
                }
                FunctionArgExpr::Expr(expr) => self.expr(expr)?,
                FunctionArgExpr::Wildcard if name == "count" => {
                    found.node = found.node.text("*");
                    continue;
                }
                FunctionArgExpr::Wildcard => {
                    found.node = found.node.text("*");
                    self.everything()
                }
                FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::WildcardWithOptions(_) => {
                    found.node = found.node.text(&argument.to_string().to_lowercase());
                    self.everything()
                }
            };
            found.operands.push(value.operand.clone());
            found.names.push(label);
            found.parts.push(value);
        }
        for clause in &list.clauses {
            self.clause(clause, &mut found)?;
        }
        Ok(found)
    }

    fn clause(
        &mut self,
        clause: &'q FunctionArgumentClause,
        found: &mut Arguments<'q>,
    ) -> Result<(), Stop> {
        let node = std::mem::replace(&mut found.node, Node::new(""));
        found.node = match clause {
            FunctionArgumentClause::OrderBy(order) => {
                let mut node = node.text("order by");
                for (key, direction) in self.ordered(order)? {
                    node = node.digest(direction);
                    found.order.push(key.digest);
                    found.parts.push(key);
                }
                node
            }
            FunctionArgumentClause::IgnoreOrRespectNulls(NullTreatment::IgnoreNulls) => {
                node.text("inner ignore nulls")
            }
            FunctionArgumentClause::IgnoreOrRespectNulls(NullTreatment::RespectNulls) => node,
            FunctionArgumentClause::Where(condition) => {
                found.parts.push(self.expr(condition)?);
                node.text("where")
            }
            FunctionArgumentClause::Limit(limit) => {
                found.parts.push(self.expr(limit)?);
                node.text("limit")
            }
            FunctionArgumentClause::Having(bound) => {
                found.parts.push(self.expr(&bound.1)?);
                node.text(&bound.0.to_string())
            }
            FunctionArgumentClause::OnOverflow(_)
            | FunctionArgumentClause::Separator(_)
            | FunctionArgumentClause::JsonNullClause(_)
            | FunctionArgumentClause::JsonReturningClause(_) => {
                node.text("clause").text(&clause.to_string())
            }
        };
        Ok(())
    }

    fn window(&mut self, over: &'q WindowType) -> Result<Window, Stop> {
        match over {
            WindowType::WindowSpec(spec) => self.window_of(spec, 0),
            WindowType::NamedWindow(name) => self.named_window(&self.name(name), 0),
        }
    }

    fn named_window(&mut self, name: &str, depth: usize) -> Result<Window, Stop> {
        let Some(Some(select)) = self.selects.last() else {
            return stop("a named window stands outside of a SELECT");
        };
        let select = *select;
        let definition = select
            .named_window
            .iter()
            .find(|definition| self.name(&definition.0) == name);
        match definition.map(|definition| &definition.1) {
            Some(NamedWindowExpr::WindowSpec(spec)) if depth < 8 => self.window_of(spec, depth + 1),
            Some(NamedWindowExpr::NamedWindow(other)) if depth < 8 => {
                self.named_window(&self.name(other), depth + 1)
            }
            _ => stop(format!("the window `{name}` is not defined")),
        }
    }

    fn window_of(&mut self, spec: &'q WindowSpec, depth: usize) -> Result<Window, Stop> {
        let mut window = match &spec.window_name {
            Some(name) => self.named_window(&self.name(name), depth)?,
            None => Window {
                digest: Node::new("window").finish(),
                parts: Vec::new(),
                partition: Vec::new(),
                order: Vec::new(),
                counts_rows: false,
            },
        };
        let mut node = Node::new("window");
        if spec.window_name.is_some() {
            node = node.digest(window.digest);
        }
        if !spec.partition_by.is_empty() {
            // PARTITION BY is a set.
            let mut partition = self.all(&spec.partition_by)?;
            partition.sort_by_key(|key| key.digest);
            partition.dedup_by_key(|key| key.digest);
            node = node
                .text("partition")
                .digests(partition.iter().map(|key| key.digest));
            window
                .partition
                .extend(partition.iter().map(|key| key.digest));
            window.parts.extend(partition);
        }
        if !spec.order_by.is_empty() {
            node = node.text("order");
            for (key, direction) in self.ordered(&spec.order_by)? {
                node = node.digest(direction).digest(key.digest);
                window.order.push(key.digest);
                window.parts.push(key);
            }
        }
        if let Some(frame) = &spec.window_frame {
            node = node.text("frame");
            node = self.frame(frame, node, &mut window)?;
        }
        window.digest = node.finish();
        Ok(window)
    }

    fn frame(
        &mut self,
        frame: &'q WindowFrame,
        mut node: Node,
        window: &mut Window,
    ) -> Result<Node, Stop> {
        node = node.text(&frame.units.to_string());
        let bounds = [Some(&frame.start_bound), frame.end_bound.as_ref()];
        let mut unbounded = 0;
        for bound in bounds {
            node = match bound {
                None => node.none(),
                Some(WindowFrameBound::CurrentRow) => node.text("current row"),
                Some(WindowFrameBound::Preceding(None)) => {
                    unbounded += 1;
                    node.text("unbounded preceding")
                }
                Some(WindowFrameBound::Following(None)) => {
                    unbounded += 1;
                    node.text("unbounded following")
                }
                Some(WindowFrameBound::Preceding(Some(offset))) => {
                    let offset = self.expr(offset)?;
                    let node = node.text("preceding").digest(offset.digest);
                    window.parts.push(offset);
                    node
                }
                Some(WindowFrameBound::Following(Some(offset))) => {
                    let offset = self.expr(offset)?;
                    let node = node.text("following").digest(offset.digest);
                    window.parts.push(offset);
                    node
                }
            };
        }
        window.counts_rows = matches!(frame.units, WindowFrameUnits::Rows) && unbounded < 2;
        Ok(node)
    }

    pub(super) fn function_type(
        &self,
        name: &str,
        arguments: &[Option<Operand>],
        names: &[Option<&str>],
        within_group: &[Option<Operand>],
    ) -> Option<Operand> {
        let call = types::Call {
            name,
            arguments,
            names,
            within_group,
        };
        types::function(&call, self.dialect)
    }
}

fn is_constant(part: &Scalar) -> bool {
    part.reads.levels == 0 && part.reads.columns.as_slice().is_empty() && !part.reads.unstable
}
