//! Edits of every sort that people make, by chance.

mod projections;
mod queries;
mod relations;
mod rows;
mod whole;

use std::collections::BTreeSet;

use crate::generate::Generator;
use crate::generate::Seen;
use crate::names::Catalog;
use crate::project::Project;
use crate::random::Random;
use crate::reference::parents;
use crate::tree::Query;
use crate::tree::Select;
use crate::walk::edit_query;
use crate::walk::edit_select;
use crate::warehouse::Binder;

/// What an edit works on. The catalog is that of the project as it was.
pub(crate) struct Editor<'a> {
    pub(crate) project: &'a mut Project,
    pub(crate) random: &'a mut Random,
    pub(crate) catalog: &'a Catalog,
    pub(crate) binder: &'a Binder,
    /// Models that edits before this one changed, and what they read or what reads them.
    pub(crate) near: &'a BTreeSet<String>,
}

/// Makes one edit of its sort; false if the project has no place for it.
type Edit = fn(&mut Editor<'_>) -> bool;

/// Every sort of edit by name; those that people make often stand here several times.
pub(crate) const EDITS: &[(&str, usize, Edit)] = &[
    ("add a projection", 12, projections::add),
    ("remove a projection", 4, projections::remove),
    ("rename a projection", 3, projections::rename),
    ("edit a projection", 4, projections::edit),
    ("move a projection", 2, projections::reorder),
    ("swap two columns", 2, projections::swap_values),
    ("swap the names of two columns", 2, projections::swap_names),
    ("write out a star", 2, projections::write_out_star),
    ("put a star in place of a list", 1, projections::put_star),
    ("add an aggregate", 4, projections::add_aggregate),
    ("add a window", 4, projections::add_window),
    ("`x` and `x AS x`", 1, projections::toggle_alias),
    (
        "change a star's EXCLUDE, REPLACE or RENAME",
        2,
        projections::star_options,
    ),
    ("add an unnested projection", 2, projections::add_unnest),
    ("change a literal", 4, rows::literal),
    ("add a filter", 3, rows::add_filter),
    ("remove a filter", 2, rows::remove_filter),
    ("change an operator", 2, rows::operator),
    ("DISTINCT on or off", 2, rows::distinct),
    ("change LIMIT", 2, rows::limit),
    ("change ORDER BY", 2, rows::order),
    ("change GROUP BY", 2, rows::group),
    ("group by ordinals, names or ALL", 2, rows::group_spelling),
    ("change HAVING or QUALIFY", 1, rows::having),
    ("change a window", 1, rows::window),
    (
        "change an aggregate's FILTER, ORDER BY or DISTINCT",
        2,
        rows::aggregate,
    ),
    ("reorder AND", 2, rows::reorder_and),
    ("BETWEEN and two comparisons", 2, rows::between),
    ("`<>` and `!=`", 1, rows::not_equal),
    ("`a < b` and `b > a`", 1, rows::mirror),
    ("twice NOT", 1, rows::double_not),
    ("add TRUE to a condition", 1, rows::add_true),
    ("change a join's kind", 3, relations::join_kind),
    ("change a join's condition", 2, relations::join_condition),
    ("add a join", 2, relations::add_join),
    ("USING and ON", 1, relations::using_and_on),
    ("read another table", 3, relations::other_table),
    ("rename a table's alias", 2, relations::rename_alias),
    ("qualify or not", 2, relations::qualify),
    ("swap the tables of a FROM", 1, relations::swap_tables),
    ("add an unused CTE", 2, queries::unused_cte),
    ("CTE and subquery", 2, queries::inline_cte),
    ("subquery becomes CTE", 2, queries::subquery_to_cte),
    ("table becomes CTE", 2, queries::shadow),
    ("rename a CTE", 1, queries::rename_cte),
    ("wrap in SELECT *", 2, queries::wrap),
    ("change a set operation", 2, queries::set_operator),
    ("swap the sides of a set operation", 1, queries::swap_sides),
    ("change the kind", 3, whole::kind),
    ("change a seed's content", 3, whole::seed_content),
    ("change a seed's columns", 3, whole::seed_columns),
    ("add a model", 2, whole::add),
    ("remove a model", 2, whole::remove),
    ("layout and comments", 3, whole::layout),
    ("stamp", 1, whole::stamp),
    ("description", 1, whole::description),
    ("declare columns", 2, whole::declare),
    ("change a variable", 1, whole::variable),
    ("declare the sources, or not", 1, whole::sources),
    ("write the query anew", 2, whole::anew),
];

/// Edits the project once or a few times so that DuckDB still takes it; says what was done and what it then holds.
pub(crate) fn edit(
    project: &Project,
    catalog: &Catalog,
    random: &mut Random,
    binder: &Binder,
    wanted: usize,
) -> (Project, Catalog, Vec<&'static str>) {
    let mut current = (project.clone(), catalog.clone());
    let mut done = Vec::new();
    let mut near = BTreeSet::new();
    let total: usize = EDITS.iter().map(|(_, weight, _)| weight).sum();
    for _ in 0..wanted * 12 {
        if done.len() == wanted {
            break;
        }
        let mut choice = random.below(total);
        let chosen = EDITS.iter().find(|(_, weight, _)| {
            let here = choice < *weight;
            choice = choice.saturating_sub(*weight);
            here
        });
        let (name, _, edit) = chosen.expect("the choice is below the sum");
        let mut next = current.0.clone();
        let mut editor = Editor {
            project: &mut next,
            random,
            catalog: &current.1,
            binder,
            near: &near,
        };
        if !edit(&mut editor) || next == current.0 {
            continue;
        }
        if let Ok(catalog) = binder.catalog(&next) {
            near.extend(neighbours(&current.0, &next));
            current = (next, catalog);
            done.push(*name);
        }
    }
    (current.0, current.1, done)
}

/// The models that differ, what they read and what reads them: harm comes from edits that meet.
fn neighbours(old: &Project, new: &Project) -> BTreeSet<String> {
    let mut near: BTreeSet<String> = new
        .models
        .iter()
        .filter(|model| old.model(&model.name) != Some(model))
        .map(|model| model.name.clone())
        .collect();
    let changed = near.clone();
    for (name, parents) in parents(new) {
        if changed.contains(name) {
            near.extend(parents);
        } else if !parents.is_disjoint(&changed) {
            near.insert(name.to_owned());
        }
    }
    near
}

impl Editor<'_> {
    /// The index of a model with a query.
    pub(crate) fn any_query(&mut self) -> Option<usize> {
        let near = self.random.chance(70);
        let indexes = |near: bool| -> Vec<usize> {
            let models = self.project.models.iter().enumerate();
            models
                .filter(|(_, model)| model.kind.query().is_some())
                .filter(|(_, model)| !near || self.near.contains(&model.name))
                .map(|(index, _)| index)
                .collect()
        };
        let some = indexes(near);
        let some = if some.is_empty() {
            indexes(false)
        } else {
            some
        };
        self.random.any(&some).copied()
    }

    /// The catalog at a model: what stands before it.
    pub(crate) fn catalog_at(&self, index: usize) -> Catalog {
        let mut catalog = self.catalog.clone();
        for model in &self.project.models[index..] {
            catalog.remove(&model.name);
        }
        catalog
    }

    /// Edits one SELECT of one model that the edit fits; it gets what is in sight there.
    pub(crate) fn select(
        &mut self,
        edit: &mut dyn FnMut(&mut Select, &mut Generator<'_>, &Seen) -> bool,
    ) -> bool {
        let Some(index) = self.any_query() else {
            return false;
        };
        let mut catalog = self.catalog_at(index);
        let Some(query) = self.project.models[index].kind.query_mut() else {
            return false;
        };
        // Every CTE of the query, wherever: what does not fit, DuckDB refuses.
        let mut all = query.clone();
        edit_query(&mut all, &mut self.random.clone(), &mut |part, _| {
            catalog = catalog.with_ctes(part);
            false
        });
        edit_select(query, self.random, &mut |select, random| {
            let seen = catalog.visible(select);
            let mut generator = Generator::new(random, catalog.clone());
            edit(select, &mut generator, &seen)
        })
    }

    /// Edits one query of one model, nested ones included, that the edit fits.
    pub(crate) fn query(
        &mut self,
        edit: &mut dyn FnMut(&mut Query, &mut Generator<'_>) -> bool,
    ) -> bool {
        let Some(index) = self.any_query() else {
            return false;
        };
        let catalog = self.catalog_at(index);
        let Some(query) = self.project.models[index].kind.query_mut() else {
            return false;
        };
        edit_query(query, self.random, &mut |part, random| {
            let mut generator = Generator::new(random, catalog.with_ctes(part));
            edit(part, &mut generator)
        })
    }
}
