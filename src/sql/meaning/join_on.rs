//! What a join matches: ON, USING, NATURAL.

use sqlparser::ast::JoinConstraint;

use crate::sql::Dialect;
use crate::sql::fold;
use crate::sql::meaning::digest::Node;
use crate::sql::meaning::lowering::Lowering;
use crate::sql::meaning::lowering::Stop;
use crate::sql::meaning::lowering::stop;
use crate::sql::meaning::relation::Columns;
use crate::sql::meaning::relation::Scalar;
use crate::sql::meaning::rewrites;
use crate::sql::meaning::scope::Merged;
use crate::sql::meaning::scope::wrapped;

impl<'q> Lowering<'_, 'q> {
    /// The conditions of a join. The right side's bindings start at `split`.
    pub(super) fn constraint(
        &mut self,
        constraint: &'q JoinConstraint,
        split: usize,
        tag: &'static str,
    ) -> Result<Vec<Scalar>, Stop> {
        match constraint {
            JoinConstraint::None => Ok(Vec::new()),
            JoinConstraint::On(condition) => {
                let value = self.expr(condition)?;
                Ok(rewrites::conjuncts(rewrites::condition(value))
                    .into_iter()
                    .map(rewrites::condition)
                    .collect())
            }
            JoinConstraint::Using(names) => {
                let mut columns = Vec::new();
                for name in names {
                    let Some([column]) = fold::fold_parts(self.dialect, name)
                        .and_then(|parts| <[String; 1]>::try_from(parts).ok())
                    else {
                        return stop("USING names something that is no column");
                    };
                    columns.push(column);
                }
                self.using(&columns, split, tag)
            }
            JoinConstraint::Natural => {
                let Some(common) = self.common_columns(split) else {
                    return stop("a NATURAL JOIN matches columns that are not known");
                };
                self.using(&common, split, tag)
            }
        }
    }

    fn side_names(&mut self, from: usize, to: usize) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for place in from..to {
            let binding = self.top().bindings[place].clone();
            for field in self.fields(&binding.columns)?.iter() {
                let name = field.name.clone()?;
                if !binding.hidden.contains(&name) {
                    names.push(name);
                }
            }
        }
        Some(names)
    }

    fn common_columns(&mut self, split: usize) -> Option<Vec<String>> {
        let end = self.top().bindings.len();
        let left = self.side_names(0, split)?;
        let right = self.side_names(split, end)?;
        Some(
            left.into_iter()
                .filter(|name| right.contains(name))
                .collect(),
        )
    }

    fn using(
        &mut self,
        columns: &[String],
        split: usize,
        tag: &'static str,
    ) -> Result<Vec<Scalar>, Stop> {
        let mut conditions = Vec::new();
        for name in columns {
            let end = self.top().bindings.len();
            let merged_before = self
                .top()
                .merged
                .iter()
                .position(|merged| merged.name == *name && merged.binding < split);
            let left = match merged_before {
                Some(_) => self.top().merged(name).map(|value| (value, 0)),
                None => self.side_column(name, 0, split)?,
            };
            let right = match self
                .top()
                .merged
                .iter()
                .find(|merged| merged.name == *name && merged.binding >= split)
            {
                Some(merged) => {
                    Some((wrapped(merged.value.clone(), &merged.wraps), merged.binding))
                }
                None => self.side_column(name, split, end)?,
            };
            let (Some((left, left_place)), Some((right, right_place))) = (left, right) else {
                return stop(format!("`{name}` of USING is not known on both sides"));
            };
            let condition = rewrites::compare(
                left.clone(),
                rewrites::Comparison::Equal,
                right.clone(),
                self.dialect,
            );
            let operand = (left.operand == right.operand)
                .then(|| left.operand.clone())
                .flatten();
            let value = match tag {
                // Here the merged column is the left one, type and all.
                "using" | "left join" | "semi join"
                    if matches!(self.dialect, Dialect::DuckDb | Dialect::Postgres) =>
                {
                    left.clone()
                }
                _ => Scalar::over(Node::new("merged").text(tag), [&left, &right]).typed(operand),
            };
            let frame = self.top();
            frame.bindings[right_place].hidden.push(name.clone());
            frame
                .merged
                .retain(|merged| merged.name != *name || merged.binding < split);
            let merged = Merged {
                name: name.clone(),
                value,
                wraps: Vec::new(),
                binding: left_place,
            };
            match merged_before {
                Some(place) => {
                    let binding = frame.merged[place].binding;
                    frame.merged[place] = Merged { binding, ..merged };
                }
                None => frame.merged.push(merged),
            }
            conditions.push(condition);
        }
        Ok(conditions)
    }

    /// The column of this name among the bindings, and the binding's place.
    fn side_column(
        &mut self,
        name: &str,
        from: usize,
        to: usize,
    ) -> Result<Option<(Scalar, usize)>, Stop> {
        let mut found = None;
        let mut open = Vec::new();
        for place in from..to {
            let binding = self.top().bindings[place].clone();
            if binding.hidden.iter().any(|hidden| hidden == name) {
                continue;
            }
            match self.fields(&binding.columns) {
                Some(fields) => {
                    let field = fields
                        .iter()
                        .find(|field| field.name.as_deref() == Some(name));
                    if let Some(field) = field {
                        if found.is_some() {
                            return stop(format!("`{name}` of USING is ambiguous"));
                        }
                        found = Some((wrapped(field.value.clone(), &binding.wraps), place));
                    }
                }
                None => open.push(place),
            }
        }
        match (found, open.as_slice()) {
            (Some(found), []) => Ok(Some(found)),
            (None, [place]) => {
                let binding = self.top().bindings[*place].clone();
                let value = match &binding.columns {
                    Columns::Table(table) => self.leaf(*table, name),
                    other => {
                        let whole = self.whole(other);
                        Scalar::over(Node::new("lookup").text(name), [&whole])
                    }
                };
                Ok(Some((wrapped(value, &binding.wraps), *place)))
            }
            (None, []) => Ok(None),
            _ => stop(format!("nobody knows which `{name}` USING means")),
        }
    }
}
