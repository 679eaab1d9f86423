//! `siding environments`

use std::collections::BTreeMap;

use serde_json::json;

use crate::cli::Ending;
use crate::cli::diagnostics;
use crate::cli::printer::Printer;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::environment::EnvironmentName;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::ops;
use crate::ops::Effect;
use crate::ops::PastPromotion;
use crate::ops::Session;
use crate::plan::ModelChange;

/// List the environments, or what was promoted to one
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show the promotions of this environment instead, latest first
    #[arg(long, value_name = "ENV", value_parser = str::parse::<EnvironmentName>)]
    history: Option<EnvironmentName>,
}

/// How many models of each kind of change a line names.
const MOST_NAMES: usize = 6;

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let session = Session::open_config(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    match &args.history {
        Some(name) => history(&session, name, printer).await,
        None => list(&session, printer).await,
    }
}

async fn list(session: &Session, printer: &Printer) -> anyhow::Result<Ending> {
    let environments = session.state().environments().await?;
    if printer.format == Format::Json {
        let environments: Vec<_> = environments
            .iter()
            .map(|environment| {
                json!({
                    "name": environment.name,
                    "plan_id": environment.plan_id,
                    "models": environment.snapshots.len(),
                    "views": environment.snapshots.iter().filter(|entry| entry.view).count(),
                    "promoted_by": environment.promoted_by,
                    "promoted_at": environment.promoted_at,
                    "finished": environment.finalized_at.is_some(),
                    "expires_at": environment.expires_at,
                })
            })
            .collect();
        printer.json(&json!({"version": 1, "environments": environments}))?;
        return Ok(Ending::Fine);
    }
    if environments.is_empty() {
        printer.text("There are no environments yet; `siding plan` makes `prod`.");
        return Ok(Ending::Fine);
    }
    let mut rows = Vec::with_capacity(environments.len());
    for environment in environments {
        let views = environment
            .snapshots
            .iter()
            .filter(|entry| entry.view)
            .count()
            .to_string();
        let mut plan: String = environment.plan_id.chars().take(12).collect();
        if environment.finalized_at.is_none() {
            plan.push_str(" (switch unfinished)");
        }
        let expires = environment.expires_at.map_or_else(
            || "never".to_owned(),
            |time| time.format("%Y-%m-%d %H:%M").to_string(),
        );
        let promoted = environment.promoted_at.format("%Y-%m-%d %H:%M").to_string();
        rows.push(vec![
            environment.name.to_string(),
            views,
            plan,
            promoted,
            environment.promoted_by,
            expires,
        ]);
    }
    printer.table(
        &["NAME", "VIEWS", "PLAN", "PROMOTED", "BY", "EXPIRES"],
        rows,
    );
    Ok(Ending::Fine)
}

async fn history(
    session: &Session,
    name: &EnvironmentName,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let history = ops::history(session.state(), name).await?;
    if printer.format == Format::Json {
        let promotions: Vec<_> = history.iter().map(promotion_json).collect();
        printer.json(&json!({"version": 1, "environment": name, "promotions": promotions}))?;
        return Ok(Ending::Fine);
    }
    if history.is_empty() {
        printer.text(&format!("Nothing was ever promoted to `{name}`."));
        return Ok(Ending::Fine);
    }
    let rows = history.into_iter().map(|past| {
        let promotion = &past.record;
        let promoted = promotion.promoted_at.format("%Y-%m-%d %H:%M:%S");
        vec![
            promotion.plan_id.clone(),
            promoted.to_string(),
            promotion.promoted_by.clone(),
            promotion.snapshots.len().to_string(),
            what(&past),
        ]
    });
    let header = ["PLAN", "PROMOTED", "BY", "MODELS", "WHAT"];
    printer.table(&header, rows.collect());
    Ok(Ending::Fine)
}

fn promotion_json(past: &PastPromotion) -> serde_json::Value {
    let promotion = &past.record;
    let changes = past.changes.iter().map(|(name, change)| {
        let of = |side: &[PromotedSnapshot]| {
            let entry = side.iter().find(|entry| entry.id.name == *name);
            entry.map(|entry| entry.id.identifier.clone())
        };
        json!({"model": name, "change": word(*change), "snapshot": of(&promotion.snapshots)})
    });
    json!({
        "plan_id": promotion.plan_id,
        "previous_plan_id": promotion.previous_plan_id,
        "promoted_by": promotion.promoted_by,
        "promoted_at": promotion.promoted_at,
        "models": promotion.snapshots.len(),
        "rollback_to": past.rollback_to,
        "took_effect": past.effect == Effect::Switched,
        "changes": changes.collect::<Vec<_>>(),
    })
}

/// `rollback to 1f3a…; changed db.a; added db.n`.
fn what(past: &PastPromotion) -> String {
    let mut parts = Vec::new();
    match past.effect {
        Effect::Switched => {}
        Effect::Unfinished => parts.push("switch unfinished".to_owned()),
        Effect::Never => parts.push("never took effect".to_owned()),
    }
    if let Some(plan) = &past.rollback_to {
        let plan: String = plan.chars().take(12).collect();
        parts.push(format!("rollback to {plan}"));
    }
    let mut by_word: BTreeMap<&str, Vec<&ModelName>> = BTreeMap::new();
    for (name, change) in &past.changes {
        by_word.entry(word(*change)).or_default().push(name);
    }
    for (word, names) in by_word {
        let shown = names.iter().take(MOST_NAMES).map(ToString::to_string);
        let more = match names.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = shown.collect::<Vec<_>>().join(", ");
        parts.push(format!("{word} {shown}{more}"));
    }
    if past.changes.is_empty() {
        parts.push("the same models".to_owned());
    }
    parts.join("; ")
}

fn word(change: ModelChange) -> &'static str {
    match change {
        ModelChange::Added => "added",
        ModelChange::Removed => "removed",
        ModelChange::Direct | ModelChange::Metadata | ModelChange::Unchanged => "changed",
        ModelChange::Indirect => "another table for",
    }
}
