//! Which views a new record of an environment changes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::environment::Environment;
use crate::environment::Naming;
use crate::plan::Current;
use crate::plan::Plan;
use crate::plan::ViewSwitch;
use crate::sql::TableName;

/// What leads from `before` to `after`. Where the views of `before` are not known to be switched, all of `after` are
/// made, and `past`, every view that it may have, goes.
pub(super) fn switch_to(
    before: Option<&Environment>,
    after: &Environment,
    past: &BTreeSet<TableName>,
) -> ViewSwitch {
    let is_known = |of: &&Environment| of.finalized_at.is_some();
    let known = before.filter(is_known);
    let shown = known.map(shown).unwrap_or_default();
    let wanted = self::shown(after);
    let mut drop: BTreeSet<TableName> = shown
        .keys()
        .filter(|view| !wanted.contains_key(*view))
        .cloned()
        .collect();
    if known.is_none() {
        drop.extend(
            past.iter()
                .filter(|view| !wanted.contains_key(*view))
                .cloned(),
        );
    }
    // Tables come under their models' own names, or views do again.
    let is_moved = known.is_some_and(|known| known.naming.own_tables != after.naming.own_tables);
    let total = wanted.len();
    let create: Vec<(TableName, TableName)> = wanted
        .into_iter()
        .filter(|(view, table)| is_moved || shown.get(view) != Some(table))
        .collect();
    ViewSwitch {
        unchanged: total - create.len(),
        create,
        drop: drop.into_iter().collect(),
        dressed: Vec::new(),
    }
}

fn shown(environment: &Environment) -> BTreeMap<TableName, TableName> {
    let entries = environment.snapshots.iter().filter(|entry| entry.view);
    entries
        .filter_map(|entry| Some((environment.view(&entry.id.name), entry.table.clone()?)))
        .collect()
}

/// Gives the views of `plan` other names than the usual ones, where the project or the environment wants that.
pub(super) fn name_views(plan: &mut Plan, current: &Current, naming: &Naming) {
    let before = current.target.as_ref();
    let usual = Naming::default();
    let was_usual = before.is_none_or(|target| target.naming == usual);
    if *naming == usual && was_usual {
        return;
    }
    plan.promoted.naming = naming.clone();
    plan.views = switch_to(before, &plan.promoted, &current.past_views);
}
