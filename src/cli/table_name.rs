//! `siding table_name`

use anyhow::Context;
use serde_json::json;

use crate::cli::Ending;
use crate::cli::diagnostics;
use crate::cli::printer::Printer;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::ops;
use crate::ops::Session;

/// Print the physical table that an environment shows for a model
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model to look for
    #[arg(value_parser = str::parse::<ModelName>)]
    model: ModelName,
    /// Environment to look in; `prod` unless the project says otherwise
    #[arg(long = "environment", visible_alias = "env", value_name = "ENV", value_parser = str::parse::<EnvironmentName>)]
    environment: Option<EnvironmentName>,
}

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let session = Session::open_config(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    let name = args
        .environment
        .clone()
        .unwrap_or_else(|| session.default_environment());
    let environment = session.state().environment(&name).await?;
    let environment = environment.with_context(|| {
        format!("there is no environment `{name}`; `siding environments` lists them")
    })?;
    // Names in the default catalog are kept without it.
    let default = session.config().default_catalog();
    let is_default = args.model.catalog().is_some() && args.model.catalog() == default.as_deref();
    let wanted = if is_default {
        let schema = args.model.schema().to_owned();
        ModelName::new(None, Some(schema), args.model.table().to_owned()).to_string()
    } else {
        args.model.to_string()
    };
    let entry = environment
        .snapshots
        .iter()
        .find(|entry| entry.id.name.to_string().eq_ignore_ascii_case(&wanted));
    let entry = entry.with_context(|| format!("`{name}` has no model `{}`", args.model))?;
    let table = entry
        .table
        .as_ref()
        .with_context(|| format!("`{}` is embedded: it has no table", args.model))?;
    let table = ops::sql_name(session.config(), table);
    if printer.format == Format::Json {
        printer.json(&json!({
            "version": 1,
            "environment": name,
            "model": entry.id.name,
            "table": table,
        }))?;
    } else {
        printer.text(&table);
    }
    Ok(Ending::Fine)
}
