//! Production's tables under the models' own names: which stand there, and how a switch lets them change places.
//!
//! What stands where is asked of the warehouse, never remembered: a table that stands under its model's name has left a
//! view in its place (`scheduler::Moves`), so a version whose table is found to be a view is the one that is shown. The
//! moves of a switch and these views are one transaction, which leaves nothing to agree upon after a kill.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::engine::Heir;
use crate::engine::ObjectKind;
use crate::engine::Readers;
use crate::environment::Environment;
use crate::model::ModelName;
use crate::ops::drops::objects_beside;
use crate::ops::in_the_way::not_ours;
use crate::ops::ledger::Why;
use crate::ops::ledger::write_down;
use crate::plan::ViewSwitch;
use crate::scheduler::Coming;
use crate::scheduler::Control;
use crate::scheduler::Leaving;
use crate::scheduler::Moves;
use crate::scheduler::Reporter;
use crate::scheduler::hold;
use crate::snapshot::Version;
use crate::sql::TableName;
use crate::state::Lease;
use crate::state::LedgerEntry;
use crate::state::LedgerKind;
use crate::state::PhysicalObject;
use crate::state::PhysicalObjectKind;
use crate::state::StateStore;
use crate::state::Subject;
use crate::state::former_view;

/// A switch with the moves of tables that belong to it.
pub(super) struct Switch {
    /// The views that are left to switch.
    pub(super) views: ViewSwitch,
    /// The tables that change places.
    pub(super) moves: Moves,
    /// The right to write these tables: nobody does until it is given back.
    leases: Vec<Lease>,
    /// Views that take the place of a table.
    instead: BTreeSet<TableName>,
    /// Tables that stand where they are to be, each with the name of its version.
    there: Vec<(TableName, TableName)>,
}

/// The tables of models as they were made, and which of them stand elsewhere.
struct Tables {
    /// By name.
    made: BTreeMap<TableName, (ModelName, Version)>,
    /// The version that stands under the model's own name.
    shown: BTreeMap<ModelName, (TableName, Version)>,
}

/// Whether `switch` of `environment` has to do with tables under models' own names, as far as `names`, what there is of
/// its names, tells.
fn is_concerned(environment: &Environment, names: &BTreeMap<TableName, ObjectKind>) -> bool {
    environment.naming.own_tables || names.values().any(|kind| *kind == ObjectKind::Table)
}

/// What stands under these names.
async fn standing(
    engine: &dyn EngineAdapter,
    names: impl Iterator<Item = &TableName> + Clone,
) -> anyhow::Result<BTreeMap<TableName, ObjectKind>> {
    let found = objects_beside(engine, names.clone()).await?;
    let kinds: BTreeMap<&TableName, ObjectKind> = found
        .iter()
        .map(|object| (&object.table, object.kind))
        .collect();
    Ok(names
        .filter_map(|name| Some((name.clone(), *kinds.get(&engine.listed(name))?)))
        .collect())
}

async fn tables(engine: &dyn EngineAdapter, state: &StateStore) -> anyhow::Result<Tables> {
    let objects = state.every_object().await;
    let objects = objects.context("reading the physical tables")?;
    let of_rows = |object: &PhysicalObject| {
        object.kind == PhysicalObjectKind::Table && !object.is_beside_its_table()
    };
    let objects: Vec<PhysicalObject> = objects.into_iter().filter(of_rows).collect();
    let kinds = standing(engine, objects.iter().map(|object| &object.table)).await?;
    let mut shown: BTreeMap<ModelName, (TableName, Version)> = BTreeMap::new();
    for object in &objects {
        if kinds.get(&object.table) != Some(&ObjectKind::View) {
            continue;
        }
        let place = (object.table.clone(), object.version.clone());
        if let Some((other, _)) = shown.insert(object.name.clone(), place) {
            anyhow::bail!(
                "the warehouse is damaged: `{}` and `{}` both are views, and only one version of `{}` can stand under \
                 its own name; drop the view that reads another table than its version's",
                other.plain(),
                object.table.plain(),
                object.name
            );
        }
    }
    let made = objects.into_iter();
    Ok(Tables {
        made: made
            .map(|object| (object.table, (object.name, object.version)))
            .collect(),
        shown,
    })
}

/// The models' own names under which `environment` has tables of ours.
///
/// # Errors
/// When the state or the engine does not answer.
pub(super) async fn own_names(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    environment: &Environment,
) -> anyhow::Result<BTreeSet<TableName>> {
    if !environment.name.is_prod() {
        return Ok(BTreeSet::new());
    }
    let tables = tables(engine, state).await?;
    let names = tables.shown.keys();
    Ok(names.map(ModelName::table_name).collect())
}

/// The views that stand in for tables under their models' own names, each with that name.
///
/// # Errors
/// When the state or the engine does not answer.
pub(super) async fn stand_ins(
    engine: &dyn EngineAdapter,
    state: &StateStore,
) -> anyhow::Result<BTreeMap<TableName, TableName>> {
    let tables = tables(engine, state).await?;
    let shown = tables.shown.into_iter();
    Ok(shown
        .map(|(name, (version, _))| (version, name.table_name()))
        .collect())
}

/// Finds out which tables change places with `views`, which lead to `record`; writes down what the moves make, and
/// takes the right to write these tables, waiting for whoever has it. The caller holds the environment.
///
/// # Errors
/// When somebody else's table stands under a name, or the state or the engine does not answer.
pub(super) async fn prepare(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    record: &Environment,
    views: ViewSwitch,
    now: DateTime<Utc>,
    (control, report): (&Control, Reporter<'_>),
) -> anyhow::Result<Switch> {
    let mut switch = Switch {
        views,
        moves: Moves::default(),
        leases: Vec::new(),
        instead: BTreeSet::new(),
        there: Vec::new(),
    };
    if !record.name.is_prod() {
        return Ok(switch);
    }
    let names = switch.views.create.iter().map(|(view, _)| view);
    let names = names.chain(&switch.views.drop);
    let there = standing(engine, names).await?;
    if !is_concerned(record, &there) {
        return Ok(switch);
    }
    let tables = tables(engine, state).await?;
    find_moves(engine, record, &there, &tables, &mut switch)?;
    find_others(engine, state, &mut switch).await?;
    let moved: Vec<TableName> = switch.moved().into_iter().cloned().collect();
    for version in &moved {
        let (name, version) = &tables.made[version];
        let what = format!("the table of `{name}`");
        let subject = Subject::table(name, version);
        let lease = hold(state, control, &subject, &what, report).await?;
        switch.leases.push(lease);
    }
    find_belongings(engine, &mut switch.moves).await?;
    write_down_moves(engine, state, record, &tables, &switch, now).await?;
    Ok(switch)
}

fn find_moves(
    engine: &dyn EngineAdapter,
    record: &Environment,
    there: &BTreeMap<TableName, ObjectKind>,
    tables: &Tables,
    switch: &mut Switch,
) -> anyhow::Result<()> {
    let shown: BTreeMap<TableName, &TableName> = tables
        .shown
        .iter()
        .map(|(name, (version, _))| (name.table_name(), version))
        .collect();
    let is_table = |name: &TableName| there.get(name) == Some(&ObjectKind::Table);
    let views = std::mem::take(&mut switch.views);
    let moves = &mut switch.moves;
    let leave = |moves: &mut Moves, gone: &mut Vec<TableName>, name: &TableName| {
        let Some(version) = shown.get(name).copied() else {
            return false;
        };
        if is_table(name) {
            moves.leaving.push(Leaving {
                name: name.clone(),
                version: version.clone(),
                view: engine
                    .views_follow_tables()
                    .then(|| former_view(version, &record.plan_id)),
                besides: Vec::new(),
            });
        } else {
            // Somebody dropped the table; what stands in for it shows nothing.
            gone.push(version.clone());
        }
        true
    };
    let mut create = Vec::new();
    let mut drop = Vec::new();
    for (name, version) in views.create {
        let wants_table = record.naming.own_tables && tables.made.contains_key(&version);
        if !wants_table {
            if leave(moves, &mut drop, &name) {
                switch.instead.insert(name.clone());
            }
            create.push((name, version));
            continue;
        }
        moves.tables.insert(name.clone());
        if shown.get(&name) == Some(&&version) {
            anyhow::ensure!(
                is_table(&name),
                "the table `{}`, which the state says is filled, is gone; if the database was replaced, restore it, or \
                 remove the state's file to build everything again",
                name.plain()
            );
            switch.there.push((name, version));
            continue;
        }
        let has_left = leave(moves, &mut drop, &name);
        if !has_left && is_table(&name) {
            return Err(not_ours("table", &name));
        }
        moves.coming.push(Coming {
            over_view: there.get(&name) == Some(&ObjectKind::View),
            besides: Vec::new(),
            name,
            version,
        });
    }
    for name in views.drop {
        if !leave(moves, &mut drop, &name) {
            drop.push(name);
        }
    }
    // What is dressed anew without changing its place may be a table too.
    let entries = record.snapshots.iter().filter(|entry| entry.view);
    for entry in entries.filter(|_| record.naming.own_tables) {
        let made = |table: &TableName| tables.made.contains_key(table);
        if entry.table.as_ref().is_some_and(made) {
            moves.tables.insert(record.view(&entry.id.name));
        }
    }
    switch.views = ViewSwitch {
        create,
        drop,
        ..views
    };
    Ok(())
}

/// Finds what tables have besides rows, where moving them copies only these. Nobody writes them meanwhile.
async fn find_belongings(engine: &dyn EngineAdapter, moves: &mut Moves) -> anyhow::Result<()> {
    if !engine.copies_to_move() {
        return Ok(());
    }
    let gone: Vec<TableName> = moves.leaving.iter().map(|it| it.name.clone()).collect();
    let of = async |from: &TableName, to: &TableName| {
        let heir = Heir {
            from,
            to,
            lacks: &[],
            gone: &gone,
        };
        let found = engine.belongings(heir).await;
        found.with_context(|| format!("looking what `{}` has besides rows", from.plain()))
    };
    for leaving in &mut moves.leaving {
        leaving.besides = of(&leaving.name, &leaving.version).await?;
    }
    for coming in &mut moves.coming {
        coming.besides = of(&coming.version, &coming.name).await?;
    }
    Ok(())
}

/// Finds what others have on what stands under the names, and would stay with that: it is to be for what comes there.
async fn find_others(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    switch: &mut Switch,
) -> anyhow::Result<()> {
    let leaving = switch.moves.leaving.iter().map(|it| &it.name);
    let left = leaving
        .filter(|name| switch.moves.tables.contains(*name) || switch.instead.contains(*name));
    let over = switch.moves.coming.iter().filter(|it| it.over_view);
    let over: BTreeSet<TableName> = over.map(|it| it.name.clone()).collect();
    let mut names: Vec<TableName> = left.cloned().collect();
    names.extend(over.iter().cloned());
    let readers = engine.readers(&names).await;
    let readers = readers.context("looking who reads the tables that change places")?;
    for (name, readers) in names.iter().zip(&readers) {
        check_portable(name, readers, switch.instead.contains(name))?;
    }
    // What nothing had the name of before gets what is usual there.
    let known: BTreeSet<&TableName> = names.iter().collect();
    let new = switch.moves.coming.iter().map(|it| &it.name);
    let new: Vec<(TableName, Vec<String>)> = new
        .filter(|name| !known.contains(name))
        .map(|name| (name.clone(), engine.usual_rights(name)))
        .collect();
    switch.moves.others = new;
    if readers.iter().all(|readers| readers.views.is_empty()) {
        let rights = names.into_iter().zip(readers);
        let rights = rights.map(|(name, readers)| (name, readers.rights));
        switch.moves.others.extend(rights);
        switch.moves.others.retain(|(_, rights)| !rights.is_empty());
        return Ok(());
    }
    let ours: BTreeSet<TableName> = ours(state)
        .await?
        .iter()
        .map(|name| TableName {
            catalog: None,
            ..engine.listed(name)
        })
        .collect();
    for (name, readers) in names.into_iter().zip(readers) {
        let mut statements = readers.rights;
        for reader in readers.views {
            if ours.contains(&reader.view) {
                continue;
            }
            let (view, name_of) = (reader.view.plain(), name.plain());
            // What stands on a view keeps it from going.
            anyhow::ensure!(
                !over.contains(&name),
                "`{view}` reads the view `{name_of}`, in whose place a table is to be; drop it, and make it again afterwards"
            );
            let again = reader.again.with_context(|| {
                format!(
                    "`{view}` reads `{name_of}` and would go on reading the table that is there now, and Siding cannot make \
                     it again: it is no view of this user's; drop it, and make it again afterwards"
                )
            })?;
            statements.push(again);
        }
        if !statements.is_empty() {
            switch.moves.others.push((name, statements));
        }
    }
    Ok(())
}

/// Fails when something that others have put on what is called `name` cannot be given to what gets the name.
fn check_portable(name: &TableName, readers: &Readers, is_view_to_be: bool) -> anyhow::Result<()> {
    let name = name.plain();
    if let Some(tied) = readers.tied.first() {
        anyhow::bail!(
            "{tied} would stay with the table that is `{name}` now, and Siding cannot give it to the one that gets the \
             name; drop it, and make it again afterwards"
        );
    }
    anyhow::ensure!(
        !(is_view_to_be && readers.needs_table),
        "`{name}` has row-level security or triggers, which the view that takes its place cannot have; remove them first"
    );
    Ok(())
}

/// Everything of ours that may read a table: what the ledger has, and what earlier releases have not written into it.
async fn ours(state: &StateStore) -> anyhow::Result<BTreeSet<TableName>> {
    let ledger = state.ledger().await.context("reading the ledger")?;
    let mut ours: BTreeSet<TableName> = ledger
        .into_iter()
        .map(|record| record.entry.table)
        .collect();
    let objects = state.every_object().await;
    let objects = objects.context("reading the physical tables")?;
    ours.extend(objects.into_iter().map(|object| object.table));
    let environments = state.environments().await;
    for environment in environments.context("reading the environments")? {
        let shown = environment.snapshots.iter().filter(|entry| entry.view);
        ours.extend(shown.map(|entry| environment.view(&entry.id.name)));
    }
    Ok(ours)
}

/// Writes down what the moves of `switch` make: tables under models' own names, and views that others stand on.
async fn write_down_moves(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    record: &Environment,
    tables: &Tables,
    switch: &Switch,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let why = Why {
        environment: &record.name,
        reason: format!("plan {}", record.plan_id),
    };
    let entry = |table: &TableName, kind, version: &TableName| LedgerEntry {
        table: table.clone(),
        kind,
        model: Some(tables.made[version].0.clone()),
        environment: record.name.to_string(),
        reason: why.reason.clone(),
    };
    let coming = switch.moves.coming.iter();
    let coming = coming.map(|it| (&it.name, &it.version));
    let there = switch.there.iter().map(|(name, version)| (name, version));
    let own = coming.chain(there);
    let own = own.map(|(name, version)| entry(name, LedgerKind::OwnTable, version));
    let former = switch.moves.leaving.iter();
    let former: Vec<(&TableName, &TableName)> = former
        .filter_map(|it| Some((it.view.as_ref()?, &it.version)))
        .collect();
    let views = former.iter();
    let views = views.map(|(view, version)| entry(view, LedgerKind::View, version));
    let entries: Vec<LedgerEntry> = own.chain(views).collect();
    if entries.is_empty() {
        return Ok(());
    }
    write_down(engine, state, entries, &why, now).await?;
    let objects: Vec<PhysicalObject> = former
        .into_iter()
        .map(|(view, version)| {
            let (name, version) = tables.made[version].clone();
            PhysicalObject {
                table: view.clone(),
                kind: PhysicalObjectKind::View,
                name,
                version,
            }
        })
        .collect();
    let written = state.record_objects(&objects, now).await;
    written.context("writing down the views that stay behind")
}

impl Switch {
    /// The tables that change places, by the names of their versions.
    fn moved(&self) -> BTreeSet<&TableName> {
        let leaving = self.moves.leaving.iter().map(|it| &it.version);
        let coming = self.moves.coming.iter().map(|it| &it.version);
        leaving.chain(coming).collect()
    }

    /// The views that are made where nothing but a view was: those that take a table's place are known as the table
    /// until that has gone.
    pub(super) fn made(&self) -> impl Iterator<Item = &TableName> {
        let created = self.views.create.iter().map(|(view, _)| view);
        created.filter(|view| !self.instead.contains(*view))
    }

    /// The views that have taken a table's place.
    pub(super) fn made_instead(&self) -> impl Iterator<Item = &TableName> {
        self.instead.iter()
    }

    /// Names that nothing has any more once the switch is done.
    pub(super) fn gone(&self) -> Vec<TableName> {
        let left = self.moves.leaving.iter().map(|it| &it.name);
        let left =
            left.filter(|name| !self.moves.tables.contains(*name) && !self.instead.contains(*name));
        // A version's name is taken again by its table.
        let came = |view: &&TableName| !self.moved().contains(*view);
        let dropped = self.views.drop.iter().filter(came);
        left.chain(dropped).cloned().collect()
    }

    /// After the switch: drops views that stayed behind and that nobody stands on, and gives the tables back.
    ///
    /// # Errors
    /// When the state does not answer.
    pub(super) async fn end(
        &self,
        engine: &dyn EngineAdapter,
        state: &StateStore,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        for view in self.moves.leaving.iter().filter_map(|it| it.view.as_ref()) {
            // Where others stand on it, it stays until its version goes.
            if engine.execute(&engine.drop_view(view)).await.is_ok() {
                let gone = state.mark_gone(std::slice::from_ref(view), now).await;
                gone.context("recording that a view is gone")?;
            }
        }
        for lease in &self.leases {
            let released = state.release(lease).await;
            released.context("giving the tables back")?;
        }
        Ok(())
    }
}
