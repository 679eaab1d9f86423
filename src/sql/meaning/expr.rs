//! The value of an expression.

use sqlparser::ast::AccessExpr;
use sqlparser::ast::BinaryOperator;
use sqlparser::ast::CastKind;
use sqlparser::ast::CeilFloorKind;
use sqlparser::ast::DataType as AstType;
use sqlparser::ast::Expr;
use sqlparser::ast::JsonPathElem;
use sqlparser::ast::LambdaFunction;
use sqlparser::ast::OneOrManyWithParens;
use sqlparser::ast::OrderByExpr;
use sqlparser::ast::OrderByOptions;
use sqlparser::ast::OrderBySort;
use sqlparser::ast::Query;
use sqlparser::ast::Subscript;
use sqlparser::ast::TypedString;
use sqlparser::ast::UnaryOperator;
use sqlparser::ast::Value;

use crate::sql::meaning::digest::Digest;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::lowering::Lowering;
use crate::sql::meaning::lowering::Stop;
use crate::sql::meaning::lowering::stop;
use crate::sql::meaning::part::Reads;
use crate::sql::meaning::part::Set;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::relation::Shape;
use crate::sql::meaning::rewrites;
use crate::sql::types;
use crate::sql::types::Operand;

impl<'q> Lowering<'_, 'q> {
    /// The value of `expr` for a row of the innermost SELECT.
    pub(super) fn expr(&mut self, expr: &'q Expr) -> Result<Scalar, Stop> {
        with_room(|| self.expr_here(expr))
    }

    fn expr_here(&mut self, expr: &'q Expr) -> Result<Scalar, Stop> {
        match expr {
            Expr::Nested(inner) => self.expr(inner),
            Expr::Identifier(ident) => self.identifier(ident),
            Expr::CompoundIdentifier(parts) => self.path(parts),
            Expr::Value(value) => self.literal(&value.value),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::Function(function) => self.call(function),
            Expr::Cast {
                kind,
                expr,
                data_type,
                format,
            } => {
                let node = self.cast_node(kind, data_type);
                let node = node.maybe_text(format.as_ref().map(ToString::to_string).as_deref());
                let inner = self.expr(expr)?;
                let mut value = Scalar::over(node, [&inner]);
                if let Expr::Value(literal) = &**expr
                    && says_today(&literal.value)
                {
                    value.reads.unstable = true;
                }
                Ok(value.typed(types::of_ast(data_type, self.dialect).map(Operand::from)))
            }
            Expr::TypedString(TypedString {
                data_type,
                value,
                uses_odbc_syntax: _,
            }) => {
                let inner = self.literal(&value.value)?;
                let node = self.cast_node(&CastKind::Cast, data_type).none();
                let mut typed = Scalar::over(node, [&inner]);
                typed.reads.unstable |= says_today(&value.value);
                Ok(typed.typed(types::of_ast(data_type, self.dialect).map(Operand::from)))
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                case_token: _,
                end_token: _,
            } => {
                let mut node = Node::new("case").number(conditions.len());
                let mut parts = Vec::new();
                if let Some(operand) = operand {
                    node = node.text("operand");
                    parts.push(self.expr(operand)?);
                }
                let mut results = Vec::new();
                for branch in conditions {
                    let condition = self.expr(&branch.condition)?;
                    parts.push(if operand.is_none() {
                        rewrites::condition(condition)
                    } else {
                        condition
                    });
                    let result = self.expr(&branch.result)?;
                    results.push(result.operand.clone());
                    parts.push(result);
                }
                match else_result {
                    Some(result) => {
                        let result = self.expr(result)?;
                        results.push(result.operand.clone());
                        parts.push(result);
                    }
                    // `ELSE NULL` is what a CASE without ELSE does.
                    None => {
                        let null = self.literal(&Value::Null)?;
                        results.push(null.operand.clone());
                        parts.push(null);
                    }
                }
                let common = types::common(types::Context::Case, &results, self.dialect);
                Ok(Scalar::over(node, &parts).typed(common))
            }
            Expr::IsNull(inner) => self.is("is null", inner, false),
            Expr::IsNotNull(inner) => self.is("is null", inner, true),
            Expr::IsTrue(inner) => self.is("is true", inner, false),
            Expr::IsNotTrue(inner) => self.is("is true", inner, true),
            Expr::IsFalse(inner) => self.is("is false", inner, false),
            Expr::IsNotFalse(inner) => self.is("is false", inner, true),
            Expr::IsUnknown(inner) => self.is("is unknown", inner, false),
            Expr::IsNotUnknown(inner) => self.is("is unknown", inner, true),
            Expr::IsDistinctFrom(left, right) => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                Ok(rewrites::not(rewrites::not_distinct(left, right)))
            }
            Expr::IsNotDistinctFrom(left, right) => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                Ok(rewrites::not_distinct(left, right))
            }
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let (value, low, high) = (self.expr(expr)?, self.expr(low)?, self.expr(high)?);
                Ok(negated_if(
                    *negated,
                    rewrites::between(&value, low, high, self.dialect),
                ))
            }
            Expr::InList {
                expr,
                list,
                negated,
            } => {
                let value = self.expr(expr)?;
                let list = list
                    .iter()
                    .map(|item| self.expr(item))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(negated_if(*negated, rewrites::in_list(&value, list)))
            }
            Expr::InSubquery {
                expr,
                subquery,
                negated,
            } => {
                let value = self.expr(expr)?;
                let inside = self.subquery(subquery)?;
                let node = Node::new("in query").digest(inside.rows);
                let mut found = Scalar::over(node, std::iter::once(&value).chain(&inside.columns));
                found.reads = found.reads.and(&inside.reads);
                Ok(negated_if(*negated, found.truth()))
            }
            Expr::InUnnest {
                expr,
                array_expr,
                negated,
            } => {
                let (value, array) = (self.expr(expr)?, self.expr(array_expr)?);
                let found = Scalar::over(Node::new("in list value"), [&value, &array]);
                Ok(negated_if(*negated, found.truth()))
            }
            Expr::Exists { subquery, negated } => {
                let inside = self.subquery(subquery)?;
                let node = Node::new("exists").digest(inside.rows);
                let mut found = Scalar::new(node.finish(), inside.reads, Set::default());
                found.reads.unstable |= inside.unstable_rows;
                Ok(negated_if(*negated, found.truth()))
            }
            Expr::Subquery(subquery) => {
                let inside = self.subquery(subquery)?;
                let [column] = inside.columns.as_slice() else {
                    return stop("a subquery with several columns stands for one value");
                };
                let node = Node::new("scalar query").digest(inside.rows);
                let mut value = Scalar::over(node, [column]).typed(column.operand.clone());
                value.reads = value.reads.and(&inside.reads);
                Ok(value)
            }
            Expr::Like {
                negated,
                any,
                expr,
                pattern,
                escape_char,
            } => {
                let node = Node::new("like").number(usize::from(*any));
                self.pattern(node, expr, pattern, escape_char.as_deref(), *negated)
            }
            Expr::ILike {
                negated,
                any,
                expr,
                pattern,
                escape_char,
            } => {
                let node = Node::new("ilike").number(usize::from(*any));
                self.pattern(node, expr, pattern, escape_char.as_deref(), *negated)
            }
            Expr::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } => self.pattern(
                Node::new("similar to"),
                expr,
                pattern,
                escape_char.as_deref(),
                *negated,
            ),
            Expr::RLike {
                negated,
                expr,
                pattern,
                regexp: _,
            } => self.pattern(Node::new("rlike"), expr, pattern, None, *negated),
            Expr::AnyOp {
                left,
                compare_op,
                right,
                is_some: _,
            } => {
                let node = Node::new("any").text(&compare_op.to_string());
                Ok(self.over(node, [&**left, &**right])?.truth())
            }
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => {
                let node = Node::new("all").text(&compare_op.to_string());
                Ok(self.over(node, [&**left, &**right])?.truth())
            }
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => self.over(Node::new("at time zone"), [&**timestamp, &**time_zone]),
            Expr::Extract {
                field,
                syntax: _,
                expr,
            } => {
                let field = field.to_string().to_lowercase();
                let inner = self.expr(expr)?;
                let operands = [
                    Some(Operand::String(field.clone().into())),
                    inner.operand.clone(),
                ];
                let operand = self.function_type("date_part", &operands, &[], &[]);
                Ok(Scalar::over(Node::new("extract").text(&field), [&inner]).typed(operand))
            }
            Expr::Ceil { expr, field } => self.rounded("ceil", expr, field),
            Expr::Floor { expr, field } => self.rounded("floor", expr, field),
            Expr::Position { expr, r#in } => {
                let (needle, hay) = (self.expr(expr)?, self.expr(r#in)?);
                let operands = [needle.operand.clone(), hay.operand.clone()];
                let operand = self.function_type("position", &operands, &[], &[]);
                Ok(Scalar::over(Node::new("position"), [&needle, &hay]).typed(operand))
            }
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                special: _,
                shorthand: _,
            } => {
                let mut parts = vec![self.expr(expr)?];
                let mut node = Node::new("substring");
                for part in [substring_from, substring_for] {
                    match part {
                        Some(part) => parts.push(self.expr(part)?),
                        None => node = node.none(),
                    }
                    node = node.number(parts.len());
                }
                let operands: Vec<_> = parts.iter().map(|part| part.operand.clone()).collect();
                let operand = self.function_type("substring", &operands, &[], &[]);
                Ok(Scalar::over(node, &parts).typed(operand))
            }
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                let side = trim_where.map(|side| side.to_string());
                let mut parts = vec![self.expr(expr)?];
                let node = Node::new("trim").maybe_text(side.as_deref());
                for part in trim_what
                    .iter()
                    .map(AsRef::as_ref)
                    .chain(trim_characters.iter().flatten())
                {
                    parts.push(self.expr(part)?);
                }
                let operand = self.function_type("trim", &[parts[0].operand.clone()], &[], &[]);
                Ok(Scalar::over(node, &parts).typed(operand))
            }
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let parts = [&**expr, &**overlay_what, &**overlay_from];
                let rest = overlay_for.iter().map(AsRef::as_ref);
                self.over(Node::new("overlay"), parts.into_iter().chain(rest))
            }
            Expr::Collate { expr, collation } => {
                let node = Node::new("collate").text(&collation.to_string());
                self.over(node, [&**expr])
            }
            Expr::Convert {
                is_try,
                expr,
                data_type,
                charset,
                target_before_value: _,
                styles,
            } => {
                let data_type = data_type.as_ref().map(ToString::to_string);
                let charset = charset.as_ref().map(ToString::to_string);
                let node = Node::new("convert")
                    .number(usize::from(*is_try))
                    .maybe_text(data_type.as_deref())
                    .maybe_text(charset.as_deref());
                self.over(node, std::iter::once(&**expr).chain(styles))
            }
            Expr::Tuple(parts) => self.over(Node::new("tuple"), parts),
            Expr::Array(array) => {
                let parts = self.all(&array.elem)?;
                let operands: Vec<_> = parts.iter().map(|part| part.operand.clone()).collect();
                let operand = self.function_type("list_value", &operands, &[], &[]);
                Ok(Scalar::over(Node::new("list"), &parts).typed(operand))
            }
            Expr::Dictionary(fields) => {
                let mut node = Node::new("structure");
                let mut parts = Vec::new();
                let mut names = Vec::new();
                for field in fields {
                    node = node.text(&field.key.value);
                    names.push(Some(field.key.value.as_str()));
                    parts.push(self.expr(&field.value)?);
                }
                let operands: Vec<_> = parts.iter().map(|part| part.operand.clone()).collect();
                let operand = self.function_type("struct_pack", &operands, &names, &[]);
                Ok(Scalar::over(node, &parts).typed(operand))
            }
            Expr::Map(map) => {
                let entries = map.entries.iter();
                let parts = entries.flat_map(|entry| [&*entry.key, &*entry.value]);
                self.over(Node::new("map"), parts)
            }
            Expr::Struct { values, fields } => {
                let node = fields
                    .iter()
                    .fold(Node::new("typed structure"), |node, field| {
                        node.text(&field.to_string())
                    });
                // A field without a name has that of its column.
                let node = values.iter().fold(node, |node, value| {
                    node.maybe_text(self.expression_name(value).as_deref())
                });
                self.over(node, values)
            }
            Expr::Named { expr, name } => {
                self.over(Node::new("named").text(&name.value), [&**expr])
            }
            Expr::Interval(interval) => {
                let field = |field: &Option<_>| {
                    field.as_ref().map(|field: &sqlparser::ast::DateTimeField| {
                        field.to_string().to_lowercase()
                    })
                };
                let node = Node::new("interval")
                    .maybe_text(field(&interval.leading_field).as_deref())
                    .maybe_text(interval.leading_precision.map(|n| n.to_string()).as_deref())
                    .maybe_text(field(&interval.last_field).as_deref())
                    .maybe_text(
                        interval
                            .fractional_seconds_precision
                            .map(|n| n.to_string())
                            .as_deref(),
                    );
                let value = self.over(node, [&*interval.value])?;
                Ok(value.typed(Some(Operand::Typed(types::DataType::Interval))))
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Expr::JsonAccess { value, path } => {
                let mut node = Node::new("json path");
                let mut parts = vec![self.expr(value)?];
                for step in &path.path {
                    match step {
                        JsonPathElem::Dot { key, quoted } => {
                            node = node.text(key).number(usize::from(*quoted));
                        }
                        JsonPathElem::Bracket { key } | JsonPathElem::ColonBracket { key } => {
                            node = node.number(parts.len());
                            parts.push(self.expr(key)?);
                        }
                    }
                }
                Ok(Scalar::over(node, &parts))
            }
            Expr::Lambda(lambda) => self.lambda(lambda, &[]),
            Expr::Prefixed { prefix, value } => {
                let node = Node::new("prefixed").text(&prefix.value.to_lowercase());
                self.over(node, [&**value])
            }
            Expr::IsJson {
                expr,
                kind,
                unique_keys,
                negated,
            } => {
                let node = Node::new("is json").text(&format!("{kind:?} {unique_keys:?}"));
                let value = self.over(node, [&**expr])?.truth();
                Ok(negated_if(*negated, value))
            }
            Expr::IsNormalized {
                expr,
                form,
                negated,
            } => {
                let node = Node::new("is normalized").text(&format!("{form:?}"));
                let value = self.over(node, [&**expr])?.truth();
                Ok(negated_if(*negated, value))
            }
            Expr::Wildcard(_) => stop("a `*` stands in an expression"),
            Expr::QualifiedWildcard(..) => stop("a `*` stands in an expression"),
            Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => {
                stop("grouping sets stand in an expression")
            }
            Expr::MatchAgainst { .. } | Expr::OuterJoin(_) | Expr::Prior(_) | Expr::MemberOf(_) => {
                stop(format!("`{expr}` is not understood"))
            }
        }
    }

    pub(super) fn all(
        &mut self,
        parts: impl IntoIterator<Item = &'q Expr>,
    ) -> Result<Vec<Scalar>, Stop> {
        parts.into_iter().map(|part| self.expr(part)).collect()
    }

    fn over(
        &mut self,
        node: Node,
        parts: impl IntoIterator<Item = &'q Expr>,
    ) -> Result<Scalar, Stop> {
        let parts = self.all(parts)?;
        Ok(Scalar::over(node, &parts))
    }

    fn cast_node(&self, kind: &CastKind, data_type: &AstType) -> Node {
        let name = match types::of_ast(data_type, self.dialect) {
            Some(known) => known.to_string(),
            None => data_type.to_string().to_lowercase(),
        };
        let node = Node::new(match kind {
            CastKind::Cast | CastKind::DoubleColon => "cast",
            CastKind::TryCast => "try cast",
            CastKind::SafeCast => "safe cast",
        });
        node.text(&name)
    }

    fn is(&mut self, tag: &'static str, inner: &'q Expr, negated: bool) -> Result<Scalar, Stop> {
        let value = self.expr(inner)?;
        let value = Scalar::over(Node::new(tag), [&value]).truth();
        Ok(negated_if(negated, value))
    }

    fn pattern(
        &mut self,
        node: Node,
        expr: &'q Expr,
        pattern: &'q Expr,
        escape: Option<&'q sqlparser::ast::Expr>,
        negated: bool,
    ) -> Result<Scalar, Stop> {
        let parts = [expr, pattern].into_iter().chain(escape);
        let value = self.over(node, parts)?.truth();
        Ok(negated_if(negated, value))
    }

    fn rounded(
        &mut self,
        tag: &'static str,
        expr: &'q Expr,
        field: &CeilFloorKind,
    ) -> Result<Scalar, Stop> {
        let scale = match field {
            CeilFloorKind::DateTimeField(field) => field.to_string(),
            CeilFloorKind::Scale(scale) => scale.to_string(),
        };
        let inner = self.expr(expr)?;
        let operand = if scale.is_empty() {
            self.function_type(tag, std::slice::from_ref(&inner.operand), &[], &[])
        } else {
            None
        };
        Ok(Scalar::over(Node::new(tag).text(&scale), [&inner]).typed(operand))
    }

    fn literal(&mut self, value: &Value) -> Result<Scalar, Stop> {
        let operand = types::literal(value, self.dialect);
        let (node, shape) = match value {
            Value::Boolean(truth) => (
                Node::new(if *truth { "true" } else { "false" }),
                Shape::Boolean(*truth),
            ),
            Value::Number(text, long) => {
                let shape = match text.parse() {
                    Ok(number) => Shape::Integer(number),
                    Err(_) => Shape::Other { truth: false },
                };
                let node = Node::new("number")
                    .text(&text.to_lowercase())
                    .number(usize::from(*long));
                (node, shape)
            }
            Value::Null => (Node::new("null"), Shape::Other { truth: false }),
            Value::SingleQuotedString(text) => {
                (Node::new("text").text(text), Shape::Other { truth: false })
            }
            Value::Placeholder(_) => return stop("a placeholder stands for a value"),
            other => (
                Node::new("literal").text(&format!("{other:?}")),
                Shape::Other { truth: false },
            ),
        };
        let mut literal = Scalar::new(node.finish(), Reads::default(), Set::default());
        // What becomes the time of execution is another value each time.
        if let Value::SingleQuotedString(text) = value
            && text.starts_with("\u{1}execution")
        {
            literal.reads.unstable = true;
        }
        literal.shape = shape;
        Ok(literal.typed(operand))
    }

    fn binary(
        &mut self,
        left: &'q Expr,
        op: &BinaryOperator,
        right: &'q Expr,
    ) -> Result<Scalar, Stop> {
        let left = self.expr(left)?;
        let right = self.expr(right)?;
        match op {
            BinaryOperator::And => return Ok(rewrites::and(vec![left, right])),
            BinaryOperator::Or => return Ok(rewrites::or(vec![left, right])),
            _ => {}
        }
        if let Some(comparison) = rewrites::Comparison::of(op) {
            return Ok(rewrites::compare(left, comparison, right, self.dialect));
        }
        let operand = types::binary(
            op,
            left.operand.as_ref(),
            right.operand.as_ref(),
            self.dialect,
        );
        let node = Node::new("operator").text(&op.to_string().to_lowercase());
        Ok(Scalar::over(node, [&left, &right]).typed(operand))
    }

    fn unary(&mut self, op: UnaryOperator, inner: &'q Expr) -> Result<Scalar, Stop> {
        let inner = self.expr(inner)?;
        if matches!(op, UnaryOperator::Not) {
            return Ok(rewrites::not(inner));
        }
        let operand = types::unary(op, inner.operand.as_ref(), self.dialect);
        let node = Node::new("unary").text(&op.to_string());
        Ok(Scalar::over(node, [&inner]).typed(operand))
    }

    fn access(&mut self, root: &'q Expr, chain: &'q [AccessExpr]) -> Result<Scalar, Stop> {
        let mut value = self.expr(root)?;
        for step in chain {
            value = match step {
                AccessExpr::Dot(Expr::Identifier(ident)) => {
                    self.steps_into(value, std::slice::from_ref(ident))
                }
                AccessExpr::Dot(Expr::CompoundIdentifier(parts)) => self.steps_into(value, parts),
                AccessExpr::Dot(Expr::Function(function)) => {
                    self.call_with(function, Some(value))?
                }
                AccessExpr::Dot(other) => return stop(format!("`.{other}` is not understood")),
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let index = self.expr(index)?;
                    let operand = value
                        .operand
                        .as_ref()
                        .and_then(|of| types::subscript(of, index.operand.as_ref(), self.dialect));
                    Scalar::over(Node::new("subscript"), [&value, &index])
                        .typed(operand.map(Operand::from))
                }
                AccessExpr::Subscript(Subscript::Slice {
                    lower_bound,
                    upper_bound,
                    stride,
                }) => {
                    let operand = value
                        .operand
                        .as_ref()
                        .and_then(|of| types::slice(of, self.dialect));
                    let mut parts = vec![value];
                    let mut node = Node::new("slice");
                    for bound in [lower_bound, upper_bound, stride] {
                        if let Some(bound) = bound {
                            parts.push(self.expr(bound)?);
                        }
                        node = node.number(parts.len());
                    }
                    Scalar::over(node, &parts).typed(operand.map(Operand::from))
                }
            };
        }
        Ok(value)
    }

    /// A lambda, whose parameters have these types as far as known.
    pub(super) fn lambda(
        &mut self,
        lambda: &'q LambdaFunction,
        types: &[types::DataType],
    ) -> Result<Scalar, Stop> {
        let parameters: Vec<_> = match &lambda.params {
            OneOrManyWithParens::One(parameter) => vec![parameter],
            OneOrManyWithParens::Many(parameters) => parameters.iter().collect(),
        };
        let named: Vec<(String, Scalar)> = parameters
            .iter()
            .enumerate()
            .map(|(place, parameter)| {
                let name = self.name(&parameter.name);
                self.serial += 1;
                let digest = Node::new("parameter")
                    .number(self.lambda_depth())
                    .number(place)
                    .finish();
                let value = Scalar::new(digest, Reads::default(), Set::default())
                    .typed(types.get(place).cloned().map(Operand::from));
                (name, value)
            })
            .collect();
        let Some(frame) = self.frames.last_mut() else {
            return stop("a lambda stands outside of a SELECT");
        };
        let before = frame.parameters.len();
        frame.parameters.extend(named);
        let body = self.expr(&lambda.body);
        if let Some(frame) = self.frames.last_mut() {
            frame.parameters.truncate(before);
        }
        let body = body?;
        let node = Node::new("lambda").number(parameters.len());
        Ok(Scalar::over(node, [&body]).typed(body.operand.clone()))
    }

    fn lambda_depth(&self) -> usize {
        self.frames.iter().map(|frame| frame.parameters.len()).sum()
    }

    /// A query inside of an expression.
    pub(super) fn subquery(&mut self, query: &'q Query) -> Result<Inside, Stop> {
        let level = self.frames.len();
        let layout = self.layout.len();
        let relation = self.query(query)?;
        self.layout.truncate(layout);
        let below = (1_u64 << level) - 1;
        let columns = match self.fields(&relation.columns) {
            Some(fields) => fields.iter().map(|field| field.value.clone()).collect(),
            None => vec![self.whole(&relation.columns)],
        };
        let mut reads = relation.rows.reads.clone();
        reads.levels &= below;
        let mut columns: Vec<Scalar> = columns;
        for column in &mut columns {
            column.reads.levels &= below;
        }
        Ok(Inside {
            unstable_rows: reads.unstable,
            rows: relation.rows.digest(),
            reads,
            columns,
        })
    }

    /// The keys of an ORDER BY inside of a call.
    pub(super) fn ordered(
        &mut self,
        order: &'q [OrderByExpr],
    ) -> Result<Vec<(Scalar, Digest)>, Stop> {
        let mut keys = Vec::new();
        for key in order {
            if key.with_fill.is_some() {
                return stop("WITH FILL is not understood");
            }
            let value = self.expr(&key.expr)?;
            keys.push((value, direction(&key.options)));
        }
        Ok(keys)
    }
}

/// What an expression needs to know of a query in it.
pub(super) struct Inside {
    pub(super) rows: Digest,
    pub(super) reads: Reads,
    pub(super) columns: Vec<Scalar>,
    pub(super) unstable_rows: bool,
}

/// How a key sorts.
pub(super) fn direction(options: &OrderByOptions) -> Digest {
    let sort = match &options.sort {
        None | Some(OrderBySort::Asc) => "asc".to_owned(),
        Some(OrderBySort::Desc) => "desc".to_owned(),
        Some(OrderBySort::Using(operator)) => operator.to_string(),
    };
    let nulls = options.nulls_first.map(|first| first.to_string());
    Node::new("direction")
        .text(&sort)
        .maybe_text(nulls.as_deref())
        .finish()
}

pub(super) fn negated_if(negated: bool, value: Scalar) -> Scalar {
    if negated { rewrites::not(value) } else { value }
}

fn says_today(value: &Value) -> bool {
    let Value::SingleQuotedString(text) = value else {
        return false;
    };
    let text = text.trim().to_ascii_lowercase();
    ["now", "today", "tomorrow", "yesterday"].contains(&text.as_str())
}

/// Runs `step` with enough stack for one more level of nesting.
pub(super) fn with_room<T>(step: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(128 * 1024, 1024 * 1024, step)
}
