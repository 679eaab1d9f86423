//! Queries by chance that fill days: joins, subqueries and steps between, tied to the interval or not.

use crate::random::Random;

/// A relation that can be named: its SQL in FROM, and its columns: when, who, how much.
#[derive(Clone)]
struct Source {
    sql: String,
    time: String,
    id: String,
    value: String,
    /// Whether it does not change.
    is_still: bool,
}

impl Source {
    fn new(sql: &str, time: &str, value: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            time: time.to_owned(),
            id: "id".to_owned(),
            value: value.to_owned(),
            is_still: false,
        }
    }
}

fn tables() -> Vec<Source> {
    let still = Source {
        is_still: true,
        ..Source::new("db.d", "since", "name")
    };
    vec![
        Source::new("db.t", "ds", "x"),
        Source::new("db.t", "ds", "x"),
        Source::new("db.u", "ds", "y"),
        Source::new("db.u", "ds", "y"),
        Source::new("db.e", "ts", "z"),
        Source::new("db.v", "day", "v"),
        Source::new("db.w", "ds", "x"),
        Source::new("db.s", "ds", "y"),
        Source::new("(SELECT *, DATE '2024-01-02' AS ds FROM db.b)", "ds", "x"),
        still,
    ]
}

/// A query that gives `ds`, `id` and `v`.
pub(super) fn query(random: &mut Random) -> String {
    let mut maker = Maker {
        random,
        sources: tables(),
        count: 0,
    };
    let mut ctes = Vec::new();
    for number in 0..maker.random.below(3) {
        let body = maker.select(1, None);
        ctes.push(format!("c{number} AS ({body})"));
        let cte = Source::new(&format!("c{number}"), "ds", "v");
        maker.sources.extend([cte.clone(), cte.clone(), cte]);
    }
    let mut text = maker.select(1, None);
    if maker.random.chance(12) {
        let operation = *maker
            .random
            .pick(&["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
        text = format!("{text} {operation} {}", maker.select(0, None));
    }
    match ctes.as_slice() {
        [] => text,
        _ => format!("WITH {} {text}", ctes.join(", ")),
    }
}

struct Maker<'r> {
    random: &'r mut Random,
    sources: Vec<Source>,
    count: usize,
}

/// A relation under its alias.
type Alias = (String, Source);

fn time((alias, source): &Alias) -> String {
    format!("{alias}.{}", source.time)
}

fn id((alias, source): &Alias) -> String {
    format!("{alias}.{}", source.id)
}

fn value((alias, source): &Alias) -> String {
    format!("{alias}.{}", source.value)
}

impl Maker<'_> {
    fn alias(&mut self, depth: usize) -> Alias {
        self.count += 1;
        let alias = format!("a{}", self.count);
        if depth > 0 && self.random.chance(25) {
            let inner = self.select(depth - 1, None);
            return (alias, Source::new(&format!("({inner})"), "ds", "v"));
        }
        let source = self.random.pick(&self.sources).clone();
        (alias, source)
    }

    fn select(&mut self, depth: usize, outer: Option<&Alias>) -> String {
        if self.random.chance(8) {
            return self.passed_on();
        }
        let first = self.alias(depth);
        let mut from = format!("{} AS {}", first.1.sql, first.0);
        let mut all = vec![first];
        let joins = *self.random.pick(&[0, 0, 1, 1, 1, 2]);
        for _ in 0..joins {
            let next = self.alias(depth);
            let kind = *self.random.pick(&[
                "JOIN",
                "JOIN",
                "JOIN",
                "LEFT JOIN",
                "LEFT JOIN",
                "RIGHT JOIN",
                "FULL JOIN",
                "SEMI JOIN",
                "ANTI JOIN",
                ",",
            ]);
            let item = format!("{} AS {}", next.1.sql, next.0);
            let names = self.common(&all, &next);
            from = match kind {
                "," if !from.contains("JOIN") => format!("{from}, {item}"),
                "," => format!("{from} CROSS JOIN {item}"),
                _ if !names.is_empty() && self.random.chance(25) => {
                    format!("{from} {kind} {item} USING ({})", names.join(", "))
                }
                _ => {
                    let on = self.join_condition(&all, &next);
                    format!("{from} {kind} {item} ON {on}")
                }
            };
            if !matches!(kind, "SEMI JOIN" | "ANTI JOIN") {
                all.push(next);
            }
        }
        let mut conditions = Vec::new();
        for one in &all {
            if self.random.chance(if one.1.is_still { 20 } else { 70 }) {
                conditions.push(self.filter(one));
            }
        }
        if let Some(outer) = outer {
            conditions.push(self.meeting(&all[0], outer));
            if self.random.chance(40) {
                conditions.push(format!("{} = {}", id(&all[0]), id(outer)));
            }
        }
        if all.len() > 1 && self.random.chance(30) {
            conditions.push(self.meeting(&all[0], &all[1]));
        }
        if depth > 0 && self.random.chance(35) {
            let condition = self.with_subquery(&all);
            conditions.push(condition);
        }
        if conditions.len() > 1 && self.random.chance(10) {
            let last = conditions.pop().expect("there are two");
            let before = conditions.pop().expect("there are two");
            conditions.push(format!("({before} OR {last})"));
        }
        let text = self.shape(depth, &all, &from, &conditions);
        if self.random.chance(4) {
            return format!("{text} ORDER BY ALL LIMIT {}", self.random.within(1, 4));
        }
        text
    }

    /// A SELECT that hands on what it reads.
    fn passed_on(&mut self) -> String {
        let (alias, source) = self.alias(0);
        if source.time == "ds" && source.value == "v" {
            return format!("SELECT * FROM {} AS {alias}", source.sql);
        }
        format!(
            "SELECT {} AS ds, id, {} AS v FROM {} AS {alias}",
            source.time, source.value, source.sql
        )
    }

    /// The names that may stand in USING: those that one of `all` has, and no other.
    fn common(&mut self, all: &[Alias], next: &Alias) -> Vec<String> {
        if all.len() > 1 {
            return Vec::new();
        }
        let mut names = vec!["id".to_owned()];
        if all[0].1.time == next.1.time {
            names.push(next.1.time.clone());
        }
        names
    }

    fn join_condition(&mut self, all: &[Alias], next: &Alias) -> String {
        let other = self.random.pick(all).clone();
        let mut conditions = Vec::new();
        if self.random.chance(60) {
            conditions.push(format!("{} = {}", id(&other), id(next)));
        }
        if self.random.chance(65) {
            conditions.push(self.meeting(&other, next));
        }
        if self.random.chance(15) {
            conditions.push(self.filter(next));
        }
        if self.random.chance(15) {
            conditions.push(self.filter(&other));
        }
        if self.random.chance(8) {
            conditions.push(self.exists(next));
        }
        if conditions.is_empty() {
            conditions.push(format!("{} = {}", value(&other), value(next)));
        }
        conditions.join(" AND ")
    }

    /// A condition on the times of both.
    fn meeting(&mut self, one: &Alias, other: &Alias) -> String {
        let (left, right) = (time(one), time(other));
        match self.random.below(12) {
            0 => format!("{left} <= {right}"),
            1 => format!("{left} > {right}"),
            2 => format!("{left} = {right} - INTERVAL 1 DAY"),
            3 => format!("{left} BETWEEN {right} - INTERVAL 2 DAY AND {right}"),
            4 => format!("CAST({left} AS DATE) = {right}::DATE"),
            5 => format!("date_trunc('day', {right}) = CAST({left} AS DATE)"),
            6 => format!("({left} = {right} OR {} = {})", value(one), value(other)),
            7 => format!("({left}, 1) = ({right}, 1)"),
            _ => format!("{left} = {right}"),
        }
    }

    /// A condition on the time by the interval.
    fn filter(&mut self, one: &Alias) -> String {
        let column = time(one);
        match self.random.below(14) {
            0 => format!("{column} >= @start_ts AND {column} <= @end_ts"),
            1 => format!("CAST({column} AS DATE) = @start_ds"),
            2 => format!("{column} <= @end_ts"),
            3 => format!("@start_date <= {column}"),
            4 => format!("{column} BETWEEN @start_date - 1 AND @end_ts"),
            5 => format!(
                "({column} BETWEEN @start_ts AND @end_ts OR {} IS NULL)",
                value(one)
            ),
            6 => format!("({column} BETWEEN @start_ts AND @end_ts OR {column} IS NULL)"),
            7 => format!("NOT {column} < @start_ts"),
            8 => format!("{column}::DATE IN (@start_ds, @end_ds)"),
            _ => format!("{column} BETWEEN @start_ts AND @end_ts"),
        }
    }

    fn exists(&mut self, outer: &Alias) -> String {
        let inner = self.select(0, Some(outer));
        let not = *self.random.pick(&["", "NOT "]);
        format!("{not}EXISTS ({inner})")
    }

    fn with_subquery(&mut self, all: &[Alias]) -> String {
        let outer = self.random.pick(all).clone();
        let not = *self.random.pick(&["", "", "NOT "]);
        match self.random.below(4) {
            0 => {
                let inner = self.select(0, None);
                format!("{} {not}IN (SELECT id FROM ({inner}))", id(&outer))
            }
            1 => {
                let inner = self.select(0, None);
                format!(
                    "({}, {}) IN (SELECT ds, id FROM ({inner}))",
                    time(&outer),
                    id(&outer)
                )
            }
            _ => self.exists(&outer),
        }
    }

    /// The SELECT over FROM and WHERE: plain, grouped, with windows, with distinct rows.
    fn shape(&mut self, depth: usize, all: &[Alias], from: &str, conditions: &[String]) -> String {
        let leading = self.random.pick(all).clone();
        let when = match self.random.below(12) {
            0 => format!("{} + INTERVAL 1 DAY", time(&leading)),
            1 => "CAST(@start_ds AS DATE)".to_owned(),
            2 if all.len() > 1 => format!("coalesce({}, {})", time(&all[0]), time(&all[1])),
            3 => format!("{}::DATE", time(&leading)),
            _ => time(&leading),
        };
        let who = id(self.random.pick(all));
        let how_much = self.random.pick(all).clone();
        let filter = match conditions {
            [] => String::new(),
            _ => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let amount = match self.random.below(6) {
            0 if depth > 0 => {
                let inner = self.select(0, Some(&leading));
                format!("(SELECT sum(v) FROM ({inner}))")
            }
            1 => format!("{} - {}", value(&how_much), value(&leading)),
            _ => value(&how_much),
        };
        match self.random.below(12) {
            0 | 1 => format!(
                "SELECT {when} AS ds, {who} AS id, sum({amount}) AS v FROM {from}{filter} GROUP BY {when}, {who}"
            ),
            2 => format!(
                "SELECT CAST(@end_ds AS DATE) AS ds, {who} AS id, count({amount}) AS v FROM {from}{filter} GROUP BY ALL"
            ),
            3 => format!(
                "SELECT CAST(@end_ds AS DATE) AS ds, count(*) AS id, max({}) AS v FROM {from}{filter}",
                value(&how_much)
            ),
            4 => {
                let by = self
                    .random
                    .pick(&[when.clone(), who.clone(), time(&leading)])
                    .clone();
                format!(
                    "SELECT {when} AS ds, {who} AS id, sum({}) OVER (PARTITION BY {by}) AS v FROM {from}{filter}",
                    value(&how_much)
                )
            }
            5 => format!(
                "SELECT {when} AS ds, {who} AS id, {amount} AS v FROM {from}{filter} \
                 QUALIFY rank() OVER (PARTITION BY {} ORDER BY {}) = 1",
                time(&leading),
                value(&how_much)
            ),
            6 => format!(
                "SELECT DISTINCT {when} AS ds, {who} AS id, {amount} AS v FROM {from}{filter}"
            ),
            7 => format!(
                "SELECT {when} AS ds, {who} AS id, max({}) AS v FROM {from}{filter} GROUP BY 1, 2 HAVING {}",
                value(&how_much),
                format_args!("count(*) > {}", self.random.below(2))
            ),
            _ => format!("SELECT {when} AS ds, {who} AS id, {amount} AS v FROM {from}{filter}"),
        }
    }
}
