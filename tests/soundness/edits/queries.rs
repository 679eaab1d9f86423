//! How a query is put together from others.

use crate::edits::Editor;
use crate::tree::Body;
use crate::tree::Cte;
use crate::tree::Item;
use crate::tree::Query;
use crate::tree::Relation;
use crate::tree::Select;
use crate::tree::Source;
use crate::walk::Visit;
use crate::walk::walk;

/// The model's own query.
fn top(editor: &mut Editor<'_>) -> Option<usize> {
    editor.any_query()
}

pub(super) fn unused_cte(editor: &mut Editor<'_>) -> bool {
    editor.query(&mut |query, generator| {
        let name = format!("unused{}", generator.random.below(2));
        if query.ctes.iter().any(|cte| cte.name == name) {
            query.ctes.retain(|cte| cte.name != name);
            return true;
        }
        let inner = generator.simple(None);
        query.ctes.push(Cte {
            name,
            columns: Vec::new(),
            query: inner,
        });
        true
    })
}

/// Every mention of a CTE becomes the query itself.
struct Inline<'a> {
    name: &'a str,
    query: &'a Query,
}

impl Visit for Inline<'_> {
    fn relation(&mut self, relation: &mut Relation) {
        if let Relation::Table { name, .. } = relation
            && name == self.name
        {
            let alias = relation.label().to_owned();
            *relation = Relation::Sub {
                query: Box::new(self.query.clone()),
                alias,
                lateral: false,
            };
        }
    }
}

struct Mentions<'a>(&'a str, bool);

impl Visit for Mentions<'_> {
    fn relation(&mut self, relation: &mut Relation) {
        self.1 |= matches!(relation, Relation::Table { name, .. } if name == self.0);
    }
}

pub(super) fn inline_cte(editor: &mut Editor<'_>) -> bool {
    editor.query(&mut |query, generator| {
        if query.ctes.is_empty() || query.recursive {
            return false;
        }
        let index = generator.random.below(query.ctes.len());
        let cte = query.ctes.remove(index);
        // One that reads another thing of its own name would be put into itself without end.
        let mut own = Mentions(&cte.name, false);
        walk(&mut cte.query.clone(), &mut own);
        if !cte.columns.is_empty() || own.1 {
            return false;
        }
        let mut inline = Inline {
            name: &cte.name,
            query: &cte.query,
        };
        walk(query, &mut inline);
        true
    })
}

pub(super) fn subquery_to_cte(editor: &mut Editor<'_>) -> bool {
    editor.query(&mut |query, generator| {
        let name = format!("part{}", generator.random.below(3));
        if query.ctes.iter().any(|cte| cte.name == name) {
            return false;
        }
        let Some(select) = query.select_mut() else {
            return false;
        };
        for relation in select.from.iter_mut().map(|source| &mut source.relation) {
            if let Relation::Sub {
                query: inner,
                alias,
                lateral: false,
            } = relation
            {
                let cte = Cte {
                    name: name.clone(),
                    columns: Vec::new(),
                    query: (**inner).clone(),
                };
                let alias = alias.clone();
                *relation = Relation::table(&name, Some(&alias));
                query.ctes.push(cte);
                return true;
            }
        }
        false
    })
}

/// A table gets a CTE over it; sometimes with the table's own name, sometimes with a filter.
pub(super) fn shadow(editor: &mut Editor<'_>) -> bool {
    editor.query(&mut |query, generator| {
        let Some(select) = query.select_mut() else {
            return false;
        };
        for relation in select.from.iter_mut().map(|source| &mut source.relation) {
            let label = relation.label().to_owned();
            let Relation::Table { name, .. } = relation else {
                continue;
            };
            let table = name.clone();
            let short = table.rsplit('.').next().unwrap_or(&table).to_owned();
            let new = if generator.random.chance(50) && table.contains('.') {
                short
            } else {
                "over".to_owned()
            };
            let columns = generator
                .catalog
                .columns(&table)
                .unwrap_or_default()
                .to_vec();
            let sight = [("s".to_owned(), columns)];
            let mut inner = Select {
                items: vec![Item::star(None)],
                from: vec![Source::of(Relation::table(&table, Some("s")))],
                ..Select::default()
            };
            if generator.random.chance(50) {
                inner.filter.push(generator.comparison(&sight));
            }
            *relation = Relation::table(&new, Some(&label));
            if query.ctes.iter().any(|cte| cte.name == new) {
                return false;
            }
            query.ctes.push(Cte {
                name: new,
                columns: Vec::new(),
                query: Query::of(inner),
            });
            return true;
        }
        false
    })
}

struct Rename<'a>(&'a str, &'a str);

impl Visit for Rename<'_> {
    fn relation(&mut self, relation: &mut Relation) {
        let label = relation.label().to_owned();
        if let Relation::Table { name, alias } = relation
            && name == self.0
        {
            *name = self.1.to_owned();
            *alias = Some(label);
        }
    }
}

pub(super) fn rename_cte(editor: &mut Editor<'_>) -> bool {
    editor.query(&mut |query, generator| {
        if query.ctes.is_empty() || query.recursive {
            return false;
        }
        let index = generator.random.below(query.ctes.len());
        let new = (*generator.random.pick(&["renamed", "orders", "m1", "zz"])).to_owned();
        if query.ctes.iter().any(|cte| cte.name == new) {
            return false;
        }
        let old = std::mem::replace(&mut query.ctes[index].name, new.clone());
        walk(query, &mut Rename(&old, &new));
        true
    })
}

pub(super) fn wrap(editor: &mut Editor<'_>) -> bool {
    let Some(index) = top(editor) else {
        return false;
    };
    let all = editor.random.chance(60);
    let columns = editor
        .catalog
        .columns(&editor.project.models[index].name)
        .unwrap_or_default()
        .to_vec();
    let Some(query) = editor.project.models[index].kind.query_mut() else {
        return false;
    };
    let items = if all {
        vec![Item::star(None)]
    } else {
        columns
            .iter()
            .map(|name| Item::of(crate::tree::Expr::column(name), None))
            .collect()
    };
    let inner = query.clone();
    *query = Query::of(Select {
        items,
        from: vec![Source::of(Relation::Sub {
            query: Box::new(inner),
            alias: "wrapped".to_owned(),
            lateral: false,
        })],
        ..Select::default()
    });
    true
}

pub(super) fn set_operator(editor: &mut Editor<'_>) -> bool {
    editor.query(&mut |query, generator| {
        let Body::Set { operator, .. } = &mut query.body else {
            return false;
        };
        let new = *generator.random.pick(&[
            "UNION ALL",
            "UNION",
            "INTERSECT",
            "EXCEPT",
            "UNION ALL BY NAME",
        ]);
        let changed = operator != new;
        *operator = new.to_owned();
        changed
    })
}

pub(super) fn swap_sides(editor: &mut Editor<'_>) -> bool {
    editor.query(&mut |query, _| {
        let Body::Set { left, right, .. } = &mut query.body else {
            return false;
        };
        std::mem::swap(left, right);
        true
    })
}
