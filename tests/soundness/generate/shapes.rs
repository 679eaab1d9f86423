//! Queries of a certain shape: grouped, starred, set operations, pivots and their like.

use crate::generate::Generator;
use crate::names::Type;
use crate::names::names_of;
use crate::names::type_of;
use crate::tree::Body;
use crate::tree::Distinct;
use crate::tree::Expr;
use crate::tree::Group;
use crate::tree::Item;
use crate::tree::Join;
use crate::tree::On;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::tree::Source;

impl Generator<'_> {
    pub(super) fn grouped(&mut self) -> Query {
        let (from, sight) = self.from();
        let mut select = Select {
            filter: self.filters(&sight),
            from,
            ..Select::default()
        };
        let mut keys: Vec<Expr> = Vec::new();
        for _ in 0..self.random.within(0, 2) {
            let Some(key) = self.any_column(&sight) else {
                continue;
            };
            let Expr::Column { name, .. } = &key else {
                continue;
            };
            let clash = select
                .items
                .iter()
                .any(|item| item.name() == Some(name.as_str()));
            if !clash && !keys.contains(&key) {
                select.items.push(Item::of(key.clone(), None));
                keys.push(key);
            }
        }
        if self.random.chance(15) {
            let expr = self.expr(Type::Number, &sight, 1);
            if let Some(alias) = self.alias(Type::Number, &select.items) {
                let key = if self.random.chance(50) {
                    Expr::column(&alias)
                } else {
                    expr.clone()
                };
                keys.push(key);
                select.items.push(Item::of(expr, Some(&alias)));
            }
        }
        for _ in 0..self.random.within(1, 3) {
            let (expr, kind) = self.aggregate(&sight);
            if let Some(alias) = self.alias(kind, &select.items) {
                let item = Item::of(expr, Some(&alias));
                if self.random.chance(20) {
                    select.items.insert(0, item);
                } else {
                    select.items.push(item);
                }
            }
        }
        if self.random.chance(20) {
            let (aggregate, kind) = self.aggregate(&sight);
            if kind == Type::Number {
                let condition = Expr::binary(aggregate, ">", Expr::literal("1"));
                select.having.push(condition);
            }
        }
        if !keys.is_empty() {
            select.group = match self.random.below(12) {
                0..=5 => Group::By(keys),
                6..=7 => Group::All,
                8 => Group::Rollup(keys),
                9 => Group::Cube(keys),
                10 => Group::Sets(vec![keys[..1].to_vec(), keys, Vec::new()]),
                _ => Group::By(ordinals(&select.items, &keys).unwrap_or(keys)),
            };
        }
        let mut query = Query::of(select);
        if self.random.chance(12) {
            self.ordered(&mut query, &[]);
        }
        query
    }

    pub(super) fn starred(&mut self) -> Query {
        let (from, sight) = self.from();
        let mut select = Select {
            from,
            ..Select::default()
        };
        if self.random.chance(50) {
            select.filter = self.filters(&sight);
        }
        let (label, columns) = self.random.pick(&sight).clone();
        let one = sight.len() == 1;
        let mut item = if one && self.random.chance(60) {
            Item::star(None)
        } else {
            Item::star(Some(&label))
        };
        if let Item::Star {
            exclude,
            replace,
            rename,
            ..
        } = &mut item
            && let Some(column) = self.random.any(&columns).cloned()
            && columns.len() > 1
        {
            match self.random.below(8) {
                0 => exclude.push(column),
                1 => {
                    if let Some(kind) = type_of(&column) {
                        replace.push((self.expr(kind, &sight, 1), column));
                    }
                }
                2 => {
                    if let Some(kind) = type_of(&column) {
                        let free = names_of(kind)
                            .iter()
                            .find(|name| !columns.iter().any(|known| known == *name));
                        if let Some(free) = free {
                            rename.push((column, (*free).to_owned()));
                        }
                    }
                }
                _ => {}
            }
        }
        if one && self.random.chance(10) {
            item = Item::Columns((*self.random.pick(&["^.*[a-m].*$", ".*", "d|n|k"])).to_owned());
        }
        select.items.push(item);
        if self.random.chance(25) {
            let taken: Vec<Item> = columns
                .iter()
                .map(|name| Item::of(Expr::column(name), None))
                .collect();
            let expr = self.expr(Type::Number, &sight, 2);
            if let Some(alias) = self.alias(Type::Number, &taken) {
                select.items.push(Item::of(expr, Some(&alias)));
            }
        }
        if self.random.chance(10) {
            select.distinct = Distinct::All;
        }
        let mut query = Query::of(select);
        if self.random.chance(10) {
            self.ordered(&mut query, &sight);
        }
        query
    }

    pub(super) fn set_operation(&mut self) -> Query {
        let operator = *self.random.pick(&[
            "UNION ALL",
            "UNION ALL",
            "UNION",
            "UNION",
            "INTERSECT",
            "EXCEPT",
            "EXCEPT ALL",
            "INTERSECT ALL",
            "UNION BY NAME",
            "UNION ALL BY NAME",
        ]);
        let left = self.simple(None);
        let shape: Vec<(String, Type)> = self
            .catalog
            .output(&left)
            .into_iter()
            .filter_map(|name| Some((name.clone(), type_of(&name)?)))
            .collect();
        let mut right = self.simple(Some(&shape));
        if operator.ends_with("BY NAME")
            && let Some(select) = right.select_mut()
        {
            self.random.shuffle(&mut select.items);
        }
        let mut query = Query::with(Body::Set {
            operator: operator.to_owned(),
            left: Box::new(left),
            right: Box::new(right),
        });
        if self.random.chance(15) {
            self.ordered(&mut query, &[]);
        }
        query
    }

    /// A SELECT without clauses that order or cut; with these columns, if wanted.
    pub(crate) fn simple(&mut self, shape: Option<&[(String, Type)]>) -> Query {
        let (from, sight) = self.from();
        let items = match shape {
            None => self.items(&sight, 1, 4),
            Some(shape) => shape
                .iter()
                .map(|(name, kind)| {
                    let expr = self.expr(*kind, &sight, 1);
                    Item::of(expr, Some(name))
                })
                .collect(),
        };
        Query::of(Select {
            items,
            filter: self.filters(&sight),
            from,
            ..Select::default()
        })
    }

    pub(super) fn unnested(&mut self) -> Query {
        let (from, sight) = self.from();
        let mut items = self.items(&sight, 1, 3);
        let list = self.leaf(Type::List, &sight);
        let expr = match self.random.below(3) {
            0..=1 => Expr::call("unnest", vec![list]),
            _ => {
                let count = self.leaf(Type::Number, &sight);
                let count = Expr::call("coalesce", vec![count, Expr::literal("0")]);
                let count = Expr::call("least", vec![count, Expr::literal("3")]);
                Expr::call("generate_series", vec![Expr::literal("1"), count])
            }
        };
        if let Some(alias) = self.alias(Type::Number, &items) {
            let expr = match &expr {
                Expr::Call(call) if call.name == "generate_series" => {
                    Expr::call("unnest", vec![expr])
                }
                _ => expr,
            };
            items.push(Item::of(expr, Some(&alias)));
        }
        Query::of(Select {
            items,
            filter: self.filters(&sight),
            from,
            ..Select::default()
        })
    }

    /// `SELECT a AS rec FROM t AS a`: the row is a value.
    pub(super) fn whole_row(&mut self) -> Query {
        let (from, sight) = self.from();
        let label = sight[0].0.clone();
        let mut items = self.items(&sight, 1, 2);
        items.retain(|item| item.name() != Some("rec"));
        let row = Expr::column(&label);
        let expr = if self.random.chance(40) {
            row.cast("VARCHAR")
        } else {
            row
        };
        let name = if matches!(expr, Expr::Cast { .. }) {
            "order"
        } else {
            "whole"
        };
        items.retain(|item| item.name() != Some(name));
        items.push(Item::of(expr, Some(name)));
        Query::of(Select {
            items,
            from,
            ..Select::default()
        })
    }

    pub(super) fn pivoted(&mut self) -> Query {
        let input = self.simple(None);
        let columns = self.catalog.output(&input);
        let label = self.label();
        let numbers: Vec<String> = columns
            .iter()
            .filter(|name| type_of(name) == Some(Type::Number))
            .cloned()
            .collect();
        let relation = if numbers.len() >= 2 && self.random.chance(50) {
            Relation::Unpivot {
                input: Box::new(Query::of(Select {
                    items: columns
                        .iter()
                        .map(|name| {
                            let expr = Expr::column(name);
                            if numbers.contains(name) {
                                Item::of(expr.cast("BIGINT"), Some(name))
                            } else {
                                Item::of(expr, None)
                            }
                        })
                        .collect(),
                    from: vec![Source::of(Relation::Sub {
                        query: Box::new(input),
                        alias: "i".to_owned(),
                        lateral: false,
                    })],
                    ..Select::default()
                })),
                columns: numbers,
                name: "what".to_owned(),
                value: "amount".to_owned(),
                alias: label,
            }
        } else {
            let Some(on) = self.random.any(&numbers).cloned() else {
                return self.plain();
            };
            Relation::Pivot {
                input: Box::new(input),
                aggregate: Expr::call("count", vec![Expr::literal("*")]),
                on,
                values: vec!["1".to_owned(), "2".to_owned(), "3".to_owned()],
                group: Vec::new(),
                alias: label,
            }
        };
        Query::of(Select {
            items: vec![Item::star(None)],
            from: vec![Source::of(relation)],
            ..Select::default()
        })
    }

    pub(super) fn values(&mut self) -> Query {
        let rows = (0..self.random.within(1, 3))
            .map(|_| vec![self.literal(Type::Number), self.literal(Type::Text)])
            .collect();
        let items = vec![
            Item::of(Expr::column("col0"), Some("k")),
            Item::of(Expr::column("col1"), Some("name")),
        ];
        let mut source = Source::of(Relation::Sub {
            query: Box::new(Query::with(Body::Values(rows))),
            alias: "vals".to_owned(),
            lateral: false,
        });
        if self.random.chance(50) {
            let (name, columns) = self.any_table();
            let sight = [("t".to_owned(), columns)];
            if let Some(key) = self.column(Type::Number, &sight) {
                source.joins.push(Join {
                    kind: "LEFT JOIN".to_owned(),
                    relation: Relation::table(&name, Some("t")),
                    on: On::All(vec![Expr::binary(Expr::column("col0"), "=", key)]),
                });
            }
        }
        Query::of(Select {
            items,
            from: vec![source],
            ..Select::default()
        })
    }
}

/// The keys by their number among the items.
fn ordinals(items: &[Item], keys: &[Expr]) -> Option<Vec<Expr>> {
    keys.iter()
        .map(|key| {
            let index = items.iter().position(|item| match item {
                Item::Expr { expr, alias } => {
                    expr == key || alias.as_deref().map(Expr::column).as_ref() == Some(key)
                }
                _ => false,
            })?;
            Some(Expr::literal((index + 1).to_string()))
        })
        .collect()
}
