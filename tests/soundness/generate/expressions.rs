//! Expressions of a wanted type over the columns in sight.

use crate::generate::Generator;
use crate::generate::Seen;
use crate::generate::Sight;
use crate::names::Type;
use crate::names::type_of;
use crate::tree::Call;
use crate::tree::Expr;
use crate::tree::Item;
use crate::tree::Order;
use crate::tree::Over;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::tree::Source;
use crate::tree::Window;

const TEXT_LITERALS: &[&str] = &["'a'", "'b'", "'c'", "'A'", "''", "'1'"];
const DATE_LITERALS: &[&str] = &[
    "DATE '2024-01-01'",
    "DATE '2024-01-02'",
    "DATE '2024-01-04'",
];

impl Generator<'_> {
    /// A column of that type in sight.
    pub(crate) fn column(&mut self, wanted: Type, sight: &Sight) -> Option<Expr> {
        let fitting: Vec<(&String, &String)> = sight
            .iter()
            .flat_map(|(label, columns)| columns.iter().map(move |column| (label, column)))
            .filter(|(_, column)| type_of(column) == Some(wanted))
            .collect();
        let (label, name) = *self.random.any(&fitting)?;
        let holders = sight
            .iter()
            .filter(|(_, columns)| columns.contains(name))
            .count();
        let bare = label.is_empty() || (holders == 1 && self.random.chance(50));
        Some(if bare {
            Expr::column(name)
        } else {
            Expr::qualified(label, name)
        })
    }

    pub(crate) fn any_column(&mut self, sight: &Sight) -> Option<Expr> {
        let kinds = [
            Type::Number,
            Type::Number,
            Type::Text,
            Type::Date,
            Type::Bool,
        ];
        (0..6).find_map(|_| {
            let kind = *self.random.pick(&kinds);
            self.column(kind, sight)
        })
    }

    pub(crate) fn literal(&mut self, wanted: Type) -> Expr {
        let random = &mut self.random;
        Expr::literal(match wanted {
            Type::Number => {
                if random.chance(15) && self.variables {
                    return Expr::Variable("floor".to_owned());
                }
                random.below(5).to_string()
            }
            Type::Text => (*random.pick(TEXT_LITERALS)).to_owned(),
            Type::Date => (*random.pick(DATE_LITERALS)).to_owned(),
            Type::Bool => (*random.pick(&["TRUE", "FALSE"])).to_owned(),
            Type::List => "[1, 2]".to_owned(),
            Type::Struct => "{'a': 1, 'b': 'x'}".to_owned(),
        })
    }

    /// A column of that type, or a literal where there is none.
    pub(crate) fn leaf(&mut self, wanted: Type, sight: &Sight) -> Expr {
        self.column(wanted, sight)
            .unwrap_or_else(|| self.literal(wanted))
    }

    pub(crate) fn expr(&mut self, wanted: Type, sight: &Sight, depth: usize) -> Expr {
        if depth == 0 || self.random.chance(25) {
            return self.leaf(wanted, sight);
        }
        let depth = depth - 1;
        match wanted {
            Type::Number => self.number(sight, depth),
            Type::Text => self.text(sight, depth),
            Type::Date => self.date(sight, depth),
            Type::Bool => self.condition(sight, depth),
            Type::List => match self.random.below(4) {
                0 => Expr::List(vec![
                    self.leaf(Type::Number, sight),
                    self.leaf(Type::Number, sight),
                ]),
                1 => {
                    let list = self.leaf(Type::List, sight);
                    Expr::call("list_sort", vec![list])
                }
                2 => {
                    let list = self.leaf(Type::List, sight);
                    let more = Expr::literal("lambda e: e + 1");
                    Expr::call("list_transform", vec![list, more])
                }
                _ => self.leaf(Type::List, sight),
            },
            Type::Struct => {
                if self.random.chance(50) {
                    let a = self.expr(Type::Number, sight, depth);
                    let b = self.leaf(Type::Text, sight);
                    Expr::Struct(vec![("a".to_owned(), a), ("b".to_owned(), b)])
                } else {
                    self.leaf(Type::Struct, sight)
                }
            }
        }
    }

    fn number(&mut self, sight: &Sight, depth: usize) -> Expr {
        let n = Type::Number;
        match self.random.below(22) {
            0..=4 => {
                let operator = *self.random.pick(&["+", "-", "*"]);
                let left = self.expr(n, sight, depth);
                let right = self.expr(n, sight, depth);
                Expr::binary(left, operator, right)
            }
            5..=6 => {
                let when = self.expr(Type::Bool, sight, depth);
                let then = self.expr(n, sight, depth);
                let otherwise = self
                    .random
                    .chance(60)
                    .then(|| Box::new(self.leaf(n, sight)));
                Expr::Case {
                    branches: vec![(when, then)],
                    otherwise,
                }
            }
            7..=8 => {
                let name = *self
                    .random
                    .pick(&["coalesce", "coalesce", "nullif", "greatest", "least"]);
                let arguments = vec![self.leaf(n, sight), self.expr(n, sight, depth)];
                Expr::call(name, arguments)
            }
            9 => Expr::call("abs", vec![self.expr(n, sight, depth)]),
            10 => Expr::call("length", vec![self.expr(Type::Text, sight, depth)]),
            11 => Expr::call("day", vec![self.expr(Type::Date, sight, depth)]),
            12 => self.leaf(n, sight).cast("BIGINT"),
            13 => Expr::Cast {
                expr: Box::new(self.leaf(Type::Bool, sight)),
                to: "INTEGER".to_owned(),
                short: true,
            },
            14 => self.scalar(sight),
            15..=16 if self.column(Type::Struct, sight).is_some() => {
                let record = self.leaf(Type::Struct, sight);
                Expr::Field(Box::new(record), "a".to_owned())
            }
            17 if self.column(Type::List, sight).is_some() => {
                let list = self.leaf(Type::List, sight);
                Expr::Index(Box::new(list), Box::new(Expr::literal("1")))
            }
            18 if self.volatile => Expr::call("random", vec![]),
            19 => {
                let text = self.leaf(Type::Text, sight);
                Expr::call("length", vec![text]).cast("INTEGER")
            }
            20 if self.column(Type::List, sight).is_some() => {
                let list = self.leaf(Type::List, sight);
                Expr::call("len", vec![list])
            }
            _ => {
                let left = self.leaf(n, sight);
                Expr::binary(left, "%", Expr::literal("3"))
            }
        }
    }

    fn text(&mut self, sight: &Sight, depth: usize) -> Expr {
        let t = Type::Text;
        match self.random.below(9) {
            7 if self.volatile => Expr::call("uuid", vec![]).cast("VARCHAR"),
            0..=1 => Expr::call("upper", vec![self.expr(t, sight, depth)]),
            2 => {
                let left = self.leaf(t, sight);
                let right = self.leaf(t, sight);
                Expr::binary(left, "||", right)
            }
            3 => {
                let first = self.leaf(t, sight);
                let second = self.literal(t);
                Expr::call("coalesce", vec![first, second])
            }
            4 => self.leaf(Type::Number, sight).cast("VARCHAR"),
            5 => {
                let when = self.expr(Type::Bool, sight, depth);
                let then = self.leaf(t, sight);
                let otherwise = Some(Box::new(self.leaf(t, sight)));
                Expr::Case {
                    branches: vec![(when, then)],
                    otherwise,
                }
            }
            6 if self.column(Type::Struct, sight).is_some() => {
                let record = self.leaf(Type::Struct, sight);
                Expr::Field(Box::new(record), "b".to_owned())
            }
            _ => {
                let text = self.leaf(t, sight);
                Expr::call("substr", vec![text, Expr::literal("1"), Expr::literal("1")])
            }
        }
    }

    fn date(&mut self, sight: &Sight, depth: usize) -> Expr {
        match self.random.below(5) {
            0..=1 => {
                let date = self.leaf(Type::Date, sight);
                Expr::binary(date, "+", Expr::literal("1"))
            }
            2 => {
                let first = self.leaf(Type::Date, sight);
                let second = self.expr(Type::Date, sight, depth);
                Expr::call("coalesce", vec![first, second])
            }
            3 if self.volatile => match self.random.below(2) {
                0 => Expr::call("now", vec![]).cast("DATE"),
                _ => Expr::literal("current_date"),
            },
            _ => {
                let date = self.leaf(Type::Date, sight);
                Expr::call("date_trunc", vec![Expr::literal("'month'"), date]).cast("DATE")
            }
        }
    }

    pub(crate) fn condition(&mut self, sight: &Sight, depth: usize) -> Expr {
        let wanted = *self.random.pick(&[
            Type::Number,
            Type::Number,
            Type::Number,
            Type::Text,
            Type::Date,
        ]);
        match self.random.below(16) {
            0..=4 => {
                let operator = *self.random.pick(&["=", "<>", "!=", "<", ">", "<=", ">="]);
                let left = self.leaf(wanted, sight);
                let right = if self.random.chance(60) {
                    self.literal(wanted)
                } else {
                    self.expr(wanted, sight, depth)
                };
                Expr::binary(left, operator, right)
            }
            5..=6 => Expr::IsNull {
                expr: Box::new(self.leaf(wanted, sight)),
                not: self.random.chance(60),
            },
            7..=8 => Expr::Between {
                expr: Box::new(self.leaf(wanted, sight)),
                low: Box::new(self.literal(wanted)),
                high: Box::new(self.literal(wanted)),
            },
            9 => Expr::In {
                expr: Box::new(self.leaf(wanted, sight)),
                list: vec![self.literal(wanted), self.literal(wanted)],
                not: self.random.chance(30),
            },
            10 if depth > 0 => Expr::Not(Box::new(self.condition(sight, depth - 1))),
            11..=12 if depth > 0 => {
                let left = self.condition(sight, depth - 1);
                let right = self.condition(sight, depth - 1);
                let operator = if self.random.chance(70) { "OR" } else { "AND" };
                Expr::binary(left, operator, right)
            }
            13 => self.exists(sight),
            14 => self.in_query(sight),
            15 if self.column(Type::Bool, sight).is_some() => self.leaf(Type::Bool, sight),
            _ => {
                let left = self.leaf(wanted, sight);
                let right = self.leaf(wanted, sight);
                let operator =
                    *self
                        .random
                        .pick(&["=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
                Expr::binary(left, operator, right)
            }
        }
    }

    /// A table of its own below an expression, with what is in sight there; the outer columns are in sight too.
    fn inner(&mut self, outer: &Sight) -> (Select, Seen, Vec<Expr>) {
        let (name, columns) = self.any_table();
        let label = self.label();
        let inner = vec![(label.clone(), columns)];
        let mut select = Select::default();
        select
            .from
            .push(Source::of(Relation::table(&name, Some(&label))));
        let mut link = Vec::new();
        if self.random.chance(60) {
            let here = self.column(Type::Number, &inner);
            let there = self.column(Type::Number, outer);
            if let (Some(here), Some(there)) = (here, there) {
                link.push(Expr::binary(here, "=", there));
            }
        }
        (select, inner, link)
    }

    fn scalar(&mut self, outer: &Sight) -> Expr {
        if !self.may_nest() {
            return self.leaf(Type::Number, outer);
        }
        let (mut select, inner, link) = self.inner(outer);
        select.filter = link;
        let aggregate = *self.random.pick(&["max", "min", "count", "sum"]);
        let value = self.leaf(Type::Number, &inner);
        let value = Expr::call(aggregate, vec![value]);
        select.items.push(Item::of(value, Some("n")));
        Expr::Scalar(Box::new(Query::of(select)))
    }

    fn exists(&mut self, outer: &Sight) -> Expr {
        if !self.may_nest() {
            return self.comparison(outer);
        }
        let (mut select, inner, link) = self.inner(outer);
        select.filter = link;
        if self.random.chance(50) {
            let more = self.comparison(&inner);
            select.filter.push(more);
        }
        let item = match self.random.below(3) {
            0 => Item::of(Expr::literal("1"), None),
            1 => Item::star(None),
            _ => Item::of(self.leaf(Type::Number, &inner), None),
        };
        select.items.push(item);
        Expr::Exists {
            query: Box::new(Query::of(select)),
            not: self.random.chance(40),
        }
    }

    fn in_query(&mut self, outer: &Sight) -> Expr {
        if !self.may_nest() {
            return self.comparison(outer);
        }
        let (mut select, inner, link) = self.inner(outer);
        if self.random.chance(30) {
            select.filter = link;
        }
        let item = self.leaf(Type::Number, &inner);
        select.items.push(Item::of(item, None));
        Expr::InQuery {
            expr: Box::new(self.leaf(Type::Number, outer)),
            query: Box::new(Query::of(select)),
            not: self.random.chance(30),
        }
    }

    /// A simple condition without anything nested.
    pub(crate) fn comparison(&mut self, sight: &Sight) -> Expr {
        let wanted = *self
            .random
            .pick(&[Type::Number, Type::Number, Type::Text, Type::Date]);
        let left = self.leaf(wanted, sight);
        let operator = *self.random.pick(&["=", "<>", "<", ">", ">="]);
        let right = self.literal(wanted);
        Expr::binary(left, operator, right)
    }

    /// An aggregate and the type of what it gives.
    pub(crate) fn aggregate(&mut self, sight: &Sight) -> (Expr, Type) {
        let mut call = Call {
            name: String::new(),
            distinct: false,
            arguments: Vec::new(),
            order: Vec::new(),
            filter: None,
            over: None,
        };
        if self.random.chance(15) {
            call.filter = Some(Box::new(self.comparison(sight)));
        }
        let kind = match self.random.below(14) {
            0..=1 => {
                call.name = "count".to_owned();
                call.arguments.push(Expr::literal("*"));
                Type::Number
            }
            2 => {
                call.name = "count".to_owned();
                call.distinct = self.random.chance(50);
                call.arguments.push(self.leaf(Type::Text, sight));
                Type::Number
            }
            3..=5 => {
                call.name = "sum".to_owned();
                call.distinct = self.random.chance(20);
                call.arguments.push(self.expr(Type::Number, sight, 1));
                Type::Number
            }
            6..=7 => {
                call.name = (*self.random.pick(&["min", "max"])).to_owned();
                call.arguments.push(self.leaf(Type::Number, sight));
                Type::Number
            }
            8 => {
                call.name = (*self.random.pick(&["min", "max"])).to_owned();
                call.arguments.push(self.leaf(Type::Text, sight));
                Type::Text
            }
            9 => {
                call.name = "max".to_owned();
                call.arguments.push(self.leaf(Type::Date, sight));
                Type::Date
            }
            10 => {
                call.name = "string_agg".to_owned();
                let text = self.leaf(Type::Text, sight);
                call.order.push(Order::by(text.clone()));
                call.arguments = vec![text, Expr::literal("','")];
                Type::Text
            }
            11 => {
                call.name = "array_agg".to_owned();
                let number = self.leaf(Type::Number, sight);
                if self.random.chance(80) {
                    call.order.push(Order::by(number.clone()));
                }
                call.arguments.push(number);
                Type::List
            }
            12 => {
                call.name = "first".to_owned();
                call.arguments.push(self.leaf(Type::Number, sight));
                let key = self.leaf(Type::Number, sight);
                call.order.push(Order::by(key));
                Type::Number
            }
            _ => {
                call.name = "bool_or".to_owned();
                call.arguments.push(self.comparison(sight));
                Type::Bool
            }
        };
        (Expr::Call(call), kind)
    }

    /// A window function over the columns in sight; always a number.
    pub(crate) fn windowed(&mut self, sight: &Sight, named: Option<&str>) -> Expr {
        let over = match named {
            Some(name) => Over::Named(name.to_owned()),
            None => Over::Window(self.window(sight)),
        };
        match self.random.below(6) {
            0..=1 => Expr::over("row_number", vec![], over),
            2 => Expr::over("rank", vec![], over),
            3 => Expr::over("sum", vec![self.leaf(Type::Number, sight)], over),
            4 => Expr::over("lag", vec![self.leaf(Type::Number, sight)], over),
            _ => Expr::over("count", vec![Expr::literal("*")], over),
        }
    }

    pub(crate) fn window(&mut self, sight: &Sight) -> Window {
        let mut window = Window::default();
        if self.random.chance(60) {
            window.partition.extend(self.any_column(sight));
        }
        for _ in 0..self.random.within(1, 2) {
            let order = self.any_column(sight).map(Order::by);
            window.order.extend(order);
        }
        if !window.order.is_empty() && self.random.chance(20) {
            let frame = "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW";
            window.frame = Some(frame.to_owned());
        }
        window
    }
}
