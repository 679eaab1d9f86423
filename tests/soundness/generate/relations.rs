//! What stands in FROM: tables, subqueries, and how they are joined.

use crate::generate::Generator;
use crate::generate::Seen;
use crate::names::Type;
use crate::names::type_of;
use crate::tree::Expr;
use crate::tree::Item;
use crate::tree::Join;
use crate::tree::On;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::tree::Source;

impl Generator<'_> {
    /// A FROM clause and what is in sight below it.
    pub(crate) fn from(&mut self) -> (Vec<Source>, Seen) {
        let (first, seen) = self.relation(&[]);
        let mut seen = vec![seen];
        let mut from = vec![Source::of(first)];
        let more = *self.random.pick(&[0, 0, 0, 0, 0, 1, 1, 1, 1, 2]);
        for _ in 0..more {
            self.join(&mut from, &mut seen);
        }
        (from, seen)
    }

    fn relation(&mut self, taken: &[(String, Vec<String>)]) -> (Relation, (String, Vec<String>)) {
        let mut label = self.label();
        while taken.iter().any(|(known, _)| *known == label) {
            label.push('2');
        }
        if self.random.chance(14) && self.may_nest() {
            let query = self.simple(None);
            let columns = self.catalog.output(&query);
            let relation = Relation::Sub {
                query: Box::new(query),
                alias: label.clone(),
                lateral: false,
            };
            return (relation, (label, columns));
        }
        let (name, columns) = self.any_table();
        let own = name.rsplit('.').next().unwrap_or(&name).to_owned();
        let bare = !taken.iter().any(|(known, _)| *known == own) && self.random.chance(45);
        if bare {
            (Relation::table(&name, None), (own, columns))
        } else {
            (Relation::table(&name, Some(&label)), (label, columns))
        }
    }

    fn join(&mut self, from: &mut Vec<Source>, seen: &mut Seen) {
        if self.random.chance(8) && self.may_nest() {
            self.lateral(from, seen);
            return;
        }
        if self.random.chance(5) {
            self.function(from, seen);
            return;
        }
        let (relation, (label, columns)) = self.relation(seen);
        let kind = *self.random.pick(&[
            "JOIN",
            "JOIN",
            "JOIN",
            "LEFT JOIN",
            "LEFT JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "SEMI JOIN",
            "ANTI JOIN",
            "CROSS JOIN",
            "NATURAL JOIN",
            "NATURAL LEFT JOIN",
            "ASOF LEFT JOIN",
            "POSITIONAL JOIN",
            ",",
        ]);
        let source = from.last_mut().expect("FROM has a first element");
        let right = vec![(label.clone(), columns.clone())];
        let on = match kind {
            "," => {
                from.push(Source::of(relation));
                seen.push((label, columns));
                return;
            }
            "CROSS JOIN" | "NATURAL JOIN" | "NATURAL LEFT JOIN" | "POSITIONAL JOIN" => On::Nothing,
            "ASOF LEFT JOIN" => {
                let here = self.qualified(Type::Number, seen);
                let there = self.qualified(Type::Number, &right);
                match (here, there) {
                    (Some(here), Some(there)) => On::All(vec![Expr::binary(here, ">=", there)]),
                    _ => return,
                }
            }
            _ => {
                let shared: Vec<String> = columns
                    .iter()
                    .filter(|name| {
                        type_of(name).is_some()
                            && seen
                                .iter()
                                .filter(|(_, known)| known.contains(name))
                                .count()
                                == 1
                    })
                    .cloned()
                    .collect();
                if self.random.chance(20) && !shared.is_empty() {
                    On::Using(vec![self.random.pick(&shared).clone()])
                } else {
                    let wanted = *self.random.pick(&[Type::Number, Type::Number, Type::Text]);
                    let here = self.qualified(wanted, seen);
                    let there = self.qualified(wanted, &right);
                    let (Some(here), Some(there)) = (here, there) else {
                        return;
                    };
                    let mut conditions = vec![Expr::binary(here, "=", there)];
                    if self.random.chance(15) {
                        let more = self.comparison(&right);
                        conditions.push(more);
                    }
                    On::All(conditions)
                }
            }
        };
        let hidden = matches!(kind, "SEMI JOIN" | "ANTI JOIN");
        let natural = kind.starts_with("NATURAL");
        source.joins.push(Join {
            kind: kind.to_owned(),
            relation,
            on: on.clone(),
        });
        if hidden {
            return;
        }
        let merged: Vec<String> = match &on {
            On::Using(names) => names.clone(),
            _ if natural => columns.clone(),
            _ => Vec::new(),
        };
        let known: Vec<String> = seen.iter().flat_map(|(_, names)| names.clone()).collect();
        let own = columns
            .into_iter()
            .filter(|name| !(merged.contains(name) && known.contains(name)))
            .collect();
        seen.push((label, own));
    }

    /// A column that always says whose it is.
    fn qualified(&mut self, wanted: Type, sight: &[(String, Vec<String>)]) -> Option<Expr> {
        let fitting: Vec<(&String, &String)> = sight
            .iter()
            .flat_map(|(label, columns)| columns.iter().map(move |column| (label, column)))
            .filter(|(_, column)| type_of(column) == Some(wanted))
            .collect();
        let (label, name) = *self.random.any(&fitting)?;
        Some(Expr::qualified(label, name))
    }

    fn lateral(&mut self, from: &mut [Source], seen: &mut Seen) {
        let Some(outer) = self.qualified(Type::Number, seen) else {
            return;
        };
        let (name, columns) = self.any_table();
        let inner = vec![("l".to_owned(), columns)];
        let Some(key) = self.qualified(Type::Number, &inner) else {
            return;
        };
        let Some(value) = self.qualified(Type::Number, &inner) else {
            return;
        };
        if seen.iter().any(|(label, _)| label == "lat") {
            return;
        }
        let total = Expr::call("sum", vec![value]);
        let select = Select {
            items: vec![Item::of(total, Some("total"))],
            from: vec![Source::of(Relation::table(&name, Some("l")))],
            filter: vec![Expr::binary(key, "<=", outer)],
            ..Select::default()
        };
        let source = from.last_mut().expect("FROM has a first element");
        source.joins.push(Join {
            kind: "CROSS JOIN".to_owned(),
            relation: Relation::Sub {
                query: Box::new(Query::of(select)),
                alias: "lat".to_owned(),
                lateral: true,
            },
            on: On::Nothing,
        });
        seen.push(("lat".to_owned(), vec!["total".to_owned()]));
    }

    fn function(&mut self, from: &mut [Source], seen: &mut Seen) {
        if seen.iter().any(|(label, _)| label == "u") {
            return;
        }
        let list = match self.qualified(Type::List, seen) {
            Some(list) => list,
            None => Expr::List(vec![Expr::literal("1"), Expr::literal("2")]),
        };
        let source = from.last_mut().expect("FROM has a first element");
        source.joins.push(Join {
            kind: "CROSS JOIN".to_owned(),
            relation: Relation::Function {
                call: Expr::call("unnest", vec![list]),
                alias: "u".to_owned(),
                column: "n".to_owned(),
            },
            on: On::Nothing,
        });
        seen.push(("u".to_owned(), vec!["n".to_owned()]));
    }
}
