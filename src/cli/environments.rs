//! `siding environments`

use serde_json::json;

use crate::cli::Ending;
use crate::cli::diagnostics;
use crate::cli::printer::Printer;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::environment::EnvironmentName;
use crate::ops::Session;

/// List the environments, or what was promoted to one
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show the promotions of this environment instead, latest first
    #[arg(long, value_name = "ENV", value_parser = str::parse::<EnvironmentName>)]
    history: Option<EnvironmentName>,
}

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
    let history = session.state().history(name).await?;
    if printer.format == Format::Json {
        let promotions: Vec<_> = history
            .iter()
            .map(|promotion| {
                json!({
                    "plan_id": promotion.plan_id,
                    "previous_plan_id": promotion.previous_plan_id,
                    "promoted_by": promotion.promoted_by,
                    "promoted_at": promotion.promoted_at,
                    "models": promotion.snapshots.len(),
                })
            })
            .collect();
        printer.json(&json!({"version": 1, "environment": name, "promotions": promotions}))?;
        return Ok(Ending::Fine);
    }
    if history.is_empty() {
        printer.text(&format!("Nothing was ever promoted to `{name}`."));
        return Ok(Ending::Fine);
    }
    let mut rows = Vec::with_capacity(history.len());
    for promotion in history {
        let promoted = promotion
            .promoted_at
            .format("%Y-%m-%d %H:%M:%S")
            .to_string();
        rows.push(vec![
            promotion.plan_id,
            promoted,
            promotion.promoted_by,
            promotion.snapshots.len().to_string(),
        ]);
    }
    printer.table(&["PLAN", "PROMOTED", "BY", "MODELS"], rows);
    Ok(Ending::Fine)
}
