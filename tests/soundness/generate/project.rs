//! Whole projects: models over each other and over the source tables.

use crate::generate::Generator;
use crate::names::Catalog;
use crate::names::Type;
use crate::names::type_of;
use crate::project::Kind;
use crate::project::Model;
use crate::project::Project;
use crate::project::SeedRows;
use crate::random::Random;
use crate::tree::Expr;
use crate::tree::Item;
use crate::tree::Query;
use crate::tree::Select;
use crate::warehouse::Binder;

/// A project that DuckDB can build, with the columns of everything in it.
pub(crate) fn project(random: &mut Random, binder: &Binder) -> (Project, Catalog) {
    let sources = random.within(2, 4);
    let mut project = Project {
        sources,
        declared: random.chance(85),
        floor: 1,
        models: Vec::new(),
    };
    let mut catalog = Catalog::of_sources(sources);
    let count = random.within(3, 12);
    for index in 0..count {
        let name = match random.below(12) {
            0 => "db.orders".to_owned(),
            1 => "db.items".to_owned(),
            _ => format!("db.m{index}"),
        };
        if project.model(&name).is_none() {
            add_model(random, binder, &mut project, &mut catalog, &name);
        }
    }
    (project, catalog)
}

/// Adds a model of that name at the end; gives up when DuckDB takes none of a few.
pub(crate) fn add_model(
    random: &mut Random,
    binder: &Binder,
    project: &mut Project,
    catalog: &mut Catalog,
    name: &str,
) -> bool {
    for _ in 0..8 {
        let last = project.models.last().map(|model| &model.name);
        let Some(kind) = kind(random, catalog, last) else {
            continue;
        };
        let mut model = Model::new(name, kind);
        if random.chance(10) {
            model.style = random.next();
        }
        if let Kind::Seed(seed) = &model.kind {
            model.columns = Some(seed_types(seed));
        }
        if let Ok(columns) = binder.bind(&model, project.floor) {
            let names: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
            catalog.set(name, names);
            project.models.push(model);
            return true;
        }
    }
    false
}

fn kind(random: &mut Random, catalog: &Catalog, last: Option<&String>) -> Option<Kind> {
    let choice = random.below(100);
    let mut generator = Generator::new(random, catalog.clone());
    generator.last = last;
    Some(match choice {
        0..=61 => Kind::Full(generator.query()),
        62..=77 => Kind::View(generator.query()),
        78..=84 => Kind::Embedded(generator.query()),
        85..=91 => Kind::Seed(seed(random)),
        _ => Kind::Incremental(generator.by_day()?),
    })
}

/// The declared types of a seed's columns.
pub(crate) fn seed_types(seed: &SeedRows) -> Vec<(String, String)> {
    seed.columns
        .iter()
        .map(|name| {
            let data_type = match type_of(name) {
                Some(Type::Number) => "INTEGER",
                Some(Type::Date) => "DATE",
                _ => "VARCHAR",
            };
            (name.clone(), data_type.to_owned())
        })
        .collect()
}

fn seed(random: &mut Random) -> SeedRows {
    let mut columns: Vec<String> = vec!["id".to_owned()];
    for name in ["k", "v", "name", "label", "d"] {
        if random.chance(50) {
            columns.push(name.to_owned());
        }
    }
    let rows = (0..random.within(1, 5))
        .map(|_| {
            columns
                .iter()
                .map(|name| seed_value(random, name))
                .collect()
        })
        .collect();
    SeedRows { columns, rows }
}

pub(crate) fn seed_value(random: &mut Random, column: &str) -> Option<String> {
    if random.chance(15) {
        return None;
    }
    Some(match type_of(column) {
        Some(Type::Number) => random.below(4).to_string(),
        Some(Type::Date) => format!("2024-01-0{}", random.within(1, 6)),
        _ => (*random.pick(&["a", "b", "c"])).to_owned(),
    })
}

impl Generator<'_> {
    /// A query for a table that is filled by day of `d`.
    pub(crate) fn by_day(&mut self) -> Option<Query> {
        let mut query = self.simple(None);
        let inner = self.catalog.clone();
        let select: &mut Select = query.select_mut()?;
        let sight = inner.visible(select);
        let day = self.column(Type::Date, &sight)?;
        select.items.retain(|item| item.name() != Some("d"));
        select.items.push(Item::of(day.clone(), Some("d")));
        select.filter.push(Expr::Between {
            expr: Box::new(day),
            low: Box::new(Expr::Variable("start_date".to_owned())),
            high: Box::new(Expr::Variable("end_date".to_owned())),
        });
        Some(query)
    }
}
