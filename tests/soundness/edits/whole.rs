//! Whole models and the project around them.

use crate::edits::Editor;
use crate::generate::Generator;
use crate::generate::project::add_model;
use crate::generate::project::seed_types;
use crate::generate::project::seed_value;
use crate::project::Kind;
use crate::project::SeedRows;

pub(super) fn kind(editor: &mut Editor<'_>) -> bool {
    let Some(index) = editor.any_query() else {
        return false;
    };
    let choice = editor.random.below(4);
    let model = &mut editor.project.models[index];
    if matches!(model.kind, Kind::Incremental(_)) {
        return false;
    }
    let query = model.kind.query().expect("it has a query").clone();
    model.kind = match choice {
        0 => Kind::View(query),
        1 => Kind::Embedded(query),
        _ => Kind::Full(query),
    };
    if matches!(model.kind, Kind::Embedded(_)) {
        model.columns = None;
    }
    true
}

fn seed<'a>(
    editor: &'a mut Editor<'_>,
) -> Option<(&'a mut crate::project::Model, &'a mut crate::random::Random)> {
    let random = &mut *editor.random;
    let mut seeds: Vec<&mut crate::project::Model> = editor
        .project
        .models
        .iter_mut()
        .filter(|model| matches!(model.kind, Kind::Seed(_)))
        .collect();
    if seeds.is_empty() {
        return None;
    }
    let index = random.below(seeds.len());
    Some((seeds.swap_remove(index), random))
}

fn rows(model: &mut crate::project::Model) -> &mut SeedRows {
    match &mut model.kind {
        Kind::Seed(rows) => rows,
        _ => unreachable!("only seeds are asked"),
    }
}

pub(super) fn seed_content(editor: &mut Editor<'_>) -> bool {
    let Some((model, random)) = seed(editor) else {
        return false;
    };
    let seed = rows(model);
    match random.below(4) {
        0 => {
            let row = seed
                .columns
                .iter()
                .map(|name| seed_value(random, name))
                .collect();
            seed.rows.push(row);
        }
        1 if seed.rows.len() > 1 => {
            let index = random.below(seed.rows.len());
            seed.rows.remove(index);
        }
        2 if seed.rows.len() > 1 => seed.rows.rotate_left(1),
        _ => {
            let column = random.below(seed.columns.len());
            let row = random.below(seed.rows.len());
            seed.rows[row][column] = seed_value(random, &seed.columns[column]);
        }
    }
    true
}

pub(super) fn seed_columns(editor: &mut Editor<'_>) -> bool {
    let Some((model, random)) = seed(editor) else {
        return false;
    };
    let seed = rows(model);
    match random.below(4) {
        0 if seed.columns.len() > 1 => {
            let index = random.below(seed.columns.len());
            seed.columns.remove(index);
            for row in &mut seed.rows {
                row.remove(index);
            }
        }
        1 if seed.columns.len() > 1 => {
            // The columns in another order; what each holds stays.
            seed.columns.rotate_left(1);
            for row in &mut seed.rows {
                row.rotate_left(1);
            }
        }
        2 if seed.columns.contains(&"k".to_owned()) && seed.columns.contains(&"v".to_owned()) => {
            for name in &mut seed.columns {
                *name = match name.as_str() {
                    "k" => "v".to_owned(),
                    "v" => "k".to_owned(),
                    _ => continue,
                };
            }
        }
        _ => {
            let free: Vec<&str> = ["k", "v", "n", "name", "label", "d"]
                .into_iter()
                .filter(|name| !seed.columns.iter().any(|known| known == name))
                .collect();
            let Some(name) = random.any(&free) else {
                return false;
            };
            let place = random.below(seed.columns.len() + 1);
            seed.columns.insert(place, (*name).to_owned());
            for row in &mut seed.rows {
                row.insert(place, seed_value(random, name));
            }
        }
    }
    let types = seed_types(seed);
    model.columns = Some(types);
    true
}

pub(super) fn add(editor: &mut Editor<'_>) -> bool {
    let name = format!("db.new{}", editor.random.below(3));
    if editor.project.model(&name).is_some() {
        return false;
    }
    // The binder holds another project by now.
    let Ok(mut catalog) = editor.binder.catalog(editor.project) else {
        return false;
    };
    add_model(
        editor.random,
        editor.binder,
        editor.project,
        &mut catalog,
        &name,
    )
}

pub(super) fn remove(editor: &mut Editor<'_>) -> bool {
    if editor.project.models.len() < 3 {
        return false;
    }
    let index = editor.random.below(editor.project.models.len());
    editor.project.models.remove(index);
    true
}

pub(super) fn layout(editor: &mut Editor<'_>) -> bool {
    let Some(index) = editor.any_query() else {
        return false;
    };
    let style = if editor.random.chance(20) {
        0
    } else {
        editor.random.next()
    };
    editor.project.models[index].style = style;
    true
}

pub(super) fn stamp(editor: &mut Editor<'_>) -> bool {
    let index = editor.random.below(editor.project.models.len());
    let model = &mut editor.project.models[index];
    model.stamp = match model.stamp {
        None => Some("again".to_owned()),
        Some(_) => None,
    };
    true
}

pub(super) fn description(editor: &mut Editor<'_>) -> bool {
    let index = editor.random.below(editor.project.models.len());
    let text = format!("text {}", editor.random.below(100));
    editor.project.models[index].description = Some(text);
    true
}

/// Declares the columns with the types that they have, or one with another; or takes the declaration away.
pub(super) fn declare(editor: &mut Editor<'_>) -> bool {
    let Some(index) = editor.any_query() else {
        return false;
    };
    if matches!(editor.project.models[index].kind, Kind::Embedded(_)) {
        return false;
    }
    if editor.project.models[index].columns.take().is_some() {
        return true;
    }
    if editor.binder.catalog(editor.project).is_err() {
        return false;
    }
    let model = &editor.project.models[index];
    let Ok(mut columns) = editor.binder.bind(model, editor.project.floor) else {
        return false;
    };
    if editor.random.chance(40) {
        let at = editor.random.below(columns.len());
        if columns[at].1 == "INTEGER" {
            columns[at].1 = "BIGINT".to_owned();
        }
    }
    if columns.iter().any(|(name, _)| name.contains(' ')) {
        return false;
    }
    editor.project.models[index].columns = Some(columns);
    true
}

pub(super) fn variable(editor: &mut Editor<'_>) -> bool {
    editor.project.floor = editor.random.below(4);
    true
}

pub(super) fn sources(editor: &mut Editor<'_>) -> bool {
    editor.project.declared = !editor.project.declared;
    true
}

/// Another query that still gives the same columns to who reads it, or DuckDB refuses.
pub(super) fn anew(editor: &mut Editor<'_>) -> bool {
    let Some(index) = editor.any_query() else {
        return false;
    };
    let catalog = editor.catalog_at(index);
    let mut generator = Generator::new(editor.random, catalog);
    let query = generator.query();
    let model = &mut editor.project.models[index];
    if matches!(model.kind, Kind::Incremental(_)) {
        return false;
    }
    if let Some(known) = model.kind.query_mut() {
        *known = query;
    }
    true
}
