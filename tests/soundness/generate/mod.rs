//! Queries by chance, of every sort that people write; most of them are right, and DuckDB says which are not.

mod expressions;
pub(crate) mod project;
mod relations;
mod shapes;

use crate::names::Catalog;
use crate::names::Type;
use crate::names::names_of;
use crate::names::type_of;
use crate::random::Random;
use crate::tree::Body;
use crate::tree::Cte;
use crate::tree::Distinct;
use crate::tree::Expr;
use crate::tree::Item;
use crate::tree::Order;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::tree::Source;

/// The columns that an expression may name, by the label of their relation.
pub(crate) type Sight = [(String, Vec<String>)];
pub(crate) type Seen = Vec<(String, Vec<String>)>;

/// Makes queries over a catalog.
pub(crate) struct Generator<'a> {
    pub(crate) random: &'a mut Random,
    /// Tables, models and the CTEs in scope.
    pub(crate) catalog: Catalog,
    /// Whether to draw random numbers and ask the clock.
    pub(crate) volatile: bool,
    /// Whether the project has variables.
    pub(crate) variables: bool,
    /// How many more queries may stand inside of this one.
    pub(crate) budget: usize,
    /// The model to read from more than from others.
    pub(crate) last: Option<&'a String>,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(random: &'a mut Random, catalog: Catalog) -> Self {
        let budget = random.within(0, 4);
        Self {
            volatile: random.chance(6),
            variables: true,
            last: None,
            random,
            catalog,
            budget,
        }
    }

    fn may_nest(&mut self) -> bool {
        let may = self.budget > 0;
        self.budget = self.budget.saturating_sub(1);
        may
    }

    /// Any table in scope; models more often than sources, so that graphs get deep.
    pub(crate) fn any_table(&mut self) -> (String, Vec<String>) {
        let names = self.catalog.names();
        let near: Vec<String> = names
            .iter()
            .filter(|name| !name.starts_with("raw."))
            .cloned()
            .collect();
        let name = if self.random.chance(75) && !near.is_empty() {
            // The last ones, so that chains get long.
            match self.last {
                Some(last) if self.random.chance(45) && near.contains(last) => last.clone(),
                _ => self.random.pick(&near).clone(),
            }
        } else {
            self.random.pick(&names).clone()
        };
        let columns = self.catalog.columns(&name).unwrap_or_default().to_vec();
        (name, columns)
    }

    pub(crate) fn label(&mut self) -> String {
        (*self
            .random
            .pick(&["a", "b", "c", "o", "p", "q", "x", "y", "z"]))
        .to_owned()
    }

    /// A whole model's query.
    pub(crate) fn query(&mut self) -> Query {
        if self.random.chance(28) && self.may_nest() {
            return self.with_ctes();
        }
        self.body()
    }

    fn body(&mut self) -> Query {
        match self.random.below(100) {
            0..=8 if self.may_nest() => self.set_operation(),
            9..=24 => self.grouped(),
            25..=32 => self.starred(),
            33..=35 => self.unnested(),
            36..=37 => self.whole_row(),
            38..=40 => self.pivoted(),
            41 => self.values(),
            _ => self.plain(),
        }
    }

    fn with_ctes(&mut self) -> Query {
        let outside = self.catalog.clone();
        let mut ctes = Vec::new();
        let recursive = self.random.chance(12);
        if recursive {
            ctes.push(recursive_cte());
            self.catalog
                .set("steps", vec!["n".to_owned(), "k".to_owned()]);
        }
        for index in 0..self.random.within(1, 3) {
            // The same name as a model or a table without its schema, or one of its own.
            let name = if self.random.chance(20) {
                (*self.random.pick(&["orders", "m1", "m2"])).to_owned()
            } else {
                format!("c{index}")
            };
            if ctes.iter().any(|cte: &Cte| cte.name == name) {
                continue;
            }
            let mut query = if self.random.chance(15) && self.may_nest() {
                self.with_ctes()
            } else {
                self.body()
            };
            query.limit = query.limit.take().filter(|_| !query.order.is_empty());
            let columns = self.catalog.output(&query);
            self.catalog.set(&name, columns);
            ctes.push(Cte {
                name,
                columns: Vec::new(),
                query,
            });
        }
        let mut query = self.body();
        if query.ctes.is_empty() {
            query.ctes = ctes;
            query.recursive = recursive;
        }
        self.catalog = outside;
        query
    }

    /// Names that are not taken yet, for what an expression of that type gives.
    pub(crate) fn alias(&mut self, kind: Type, taken: &[Item]) -> Option<String> {
        let free: Vec<&str> = names_of(kind)
            .iter()
            .filter(|name| !taken.iter().any(|item| item.name() == Some(name)))
            .copied()
            .collect();
        self.random.any(&free).map(|name| (*name).to_owned())
    }

    /// One more projection.
    pub(crate) fn item(&mut self, sight: &Sight, taken: &[Item]) -> Option<Item> {
        let kind = *self.random.pick(&[
            Type::Number,
            Type::Number,
            Type::Number,
            Type::Text,
            Type::Text,
            Type::Date,
            Type::Bool,
            Type::List,
            Type::Struct,
        ]);
        if self.random.chance(60) {
            let expr = self.column(kind, sight)?;
            let Expr::Column { name, .. } = &expr else {
                return None;
            };
            let clash = taken.iter().any(|item| item.name() == Some(name));
            let alias = if clash || self.random.chance(12) {
                Some(self.alias(kind, taken)?)
            } else {
                None
            };
            return Some(Item::Expr { expr, alias });
        }
        if matches!(kind, Type::List | Type::Struct) && self.column(kind, sight).is_none() {
            return None;
        }
        let expr = if kind == Type::Number && self.random.chance(12) {
            self.windowed(sight, None)
        } else {
            self.expr(kind, sight, 2)
        };
        let alias = Some(self.alias(kind, taken)?);
        Some(Item::Expr { expr, alias })
    }

    fn items(&mut self, sight: &Sight, low: usize, high: usize) -> Vec<Item> {
        let mut items = Vec::new();
        let wanted = self.random.within(low, high);
        for _ in 0..30 {
            if items.len() >= wanted {
                break;
            }
            items.extend(self.item(sight, &items));
        }
        if items.is_empty() {
            items.push(Item::of(Expr::literal("1"), Some("n")));
        }
        items
    }

    fn filters(&mut self, sight: &Sight) -> Vec<Expr> {
        let count = *self.random.pick(&[0, 0, 0, 0, 0, 1, 1, 2]);
        (0..count).map(|_| self.condition(sight, 1)).collect()
    }

    pub(crate) fn plain(&mut self) -> Query {
        let (from, sight) = self.from();
        let mut select = Select {
            items: self.items(&sight, 1, 5),
            filter: self.filters(&sight),
            from,
            ..Select::default()
        };
        select.from_first = self.random.chance(2);
        if self.random.chance(8) {
            self.lateral_alias(&mut select);
        }
        if self.random.chance(8) {
            let window = self.window(&sight);
            if !window.order.is_empty() {
                select.windows.push(("win".to_owned(), window));
                let expr = self.windowed(&sight, Some("win"));
                if let Some(alias) = self.alias(Type::Number, &select.items) {
                    select.items.push(Item::of(expr, Some(&alias)));
                }
            }
        }
        if self.random.chance(8) {
            let rank = self.windowed(&sight, None);
            let condition = Expr::binary(rank, "<=", Expr::literal("2"));
            select.qualify.push(condition);
        }
        let mut query = Query::of(select);
        match self.random.below(20) {
            0..=2 => {
                if let Some(select) = query.select_mut() {
                    select.distinct = Distinct::All;
                }
            }
            3 => self.distinct_on(&mut query, &sight),
            4..=7 => self.ordered(&mut query, &sight),
            _ => {}
        }
        query
    }

    /// An item or a condition that reads another item by its alias.
    fn lateral_alias(&mut self, select: &mut Select) {
        let named: Vec<(String, Type)> = select
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Expr {
                    alias: Some(alias), ..
                } => Some((alias.clone(), type_of(alias)?)),
                _ => None,
            })
            .filter(|(_, kind)| *kind == Type::Number)
            .collect();
        let Some((name, _)) = self.random.any(&named).cloned() else {
            return;
        };
        if self.random.chance(50) {
            let literal = self.literal(Type::Number);
            let condition = Expr::binary(Expr::column(&name), ">", literal);
            select.filter.push(condition);
        } else if let Some(alias) = self.alias(Type::Number, &select.items) {
            let sum = Expr::binary(Expr::column(&name), "+", Expr::literal("1"));
            select.items.push(Item::of(sum, Some(&alias)));
        }
    }

    fn distinct_on(&mut self, query: &mut Query, sight: &Sight) {
        let Some(key) = self.any_column(sight) else {
            return;
        };
        query.order.push(Order::by(key.clone()));
        let next = self.any_column(sight).map(Order::by);
        query.order.extend(next);
        if let Some(select) = query.select_mut() {
            select.distinct = Distinct::On(vec![key]);
        }
    }

    /// ORDER BY, mostly with LIMIT: by a column in sight, an output's name, or its number.
    pub(crate) fn ordered(&mut self, query: &mut Query, sight: &Sight) {
        let names: Vec<String> = query
            .select()
            .into_iter()
            .flat_map(|select| &select.items)
            .filter_map(|item| item.name().map(str::to_owned))
            .collect();
        for _ in 0..self.random.within(1, 2) {
            let key = match self.random.below(3) {
                0 if !names.is_empty() => {
                    let number = self.random.within(1, names.len());
                    Some(Expr::literal(number.to_string()))
                }
                1 => self.random.any(&names).map(|name| Expr::column(name)),
                _ => self.any_column(sight),
            };
            let Some(expr) = key else { continue };
            query.order.push(Order {
                expr,
                descending: self.random.chance(40),
                nulls_first: self.random.chance(25).then(|| self.random.chance(50)),
            });
        }
        if self.random.chance(80) {
            query.limit = Some(self.random.within(0, 6).to_string());
            query.offset = self.random.chance(25).then(|| "1".to_owned());
        }
    }
}

/// `steps(n, k)`: the numbers 1 to 4 with their halves.
fn recursive_cte() -> Cte {
    let first = Query::of(Select {
        items: vec![
            Item::of(Expr::literal("1"), Some("n")),
            Item::of(Expr::literal("0"), Some("k")),
        ],
        ..Select::default()
    });
    let next = Query::of(Select {
        items: vec![
            Item::of(
                Expr::binary(Expr::column("n"), "+", Expr::literal("1")),
                None,
            ),
            Item::of(
                Expr::binary(Expr::column("k"), "+", Expr::column("n")),
                None,
            ),
        ],
        from: vec![Source::of(Relation::table("steps", None))],
        filter: vec![Expr::binary(Expr::column("n"), "<", Expr::literal("4"))],
        ..Select::default()
    });
    Cte {
        name: "steps".to_owned(),
        columns: vec!["n".to_owned(), "k".to_owned()],
        query: Query::with(Body::Set {
            operator: "UNION ALL".to_owned(),
            left: Box::new(first),
            right: Box::new(next),
        }),
    }
}
