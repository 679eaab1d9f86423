//! `siding init`

use clap::ValueEnum;
use serde_json::json;

use crate::cli::Ending;
use crate::cli::Usage;
use crate::cli::printer::Printer;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::ops;

/// Write a small project that plans, applies and runs
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Engine of the project; `duckdb` is what there is so far
    #[arg(default_value = "duckdb")]
    engine: String,
    /// What to write
    #[arg(short, long, value_enum, default_value_t = Template::Default)]
    template: Template,
}

/// What `init` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    /// Three models with a seed and an audit
    Default,
    /// The configuration and empty folders
    Empty,
}

pub(super) fn run(settings: &Settings, args: &Args, printer: &Printer) -> anyhow::Result<Ending> {
    if args.engine != "duckdb" {
        return Err(Usage(format!(
            "the engine `{}` is not supported yet; `duckdb` is",
            args.engine
        ))
        .into());
    }
    let template = match args.template {
        Template::Default => ops::Template::Default,
        Template::Empty => ops::Template::Empty,
    };
    let written = ops::init(&settings.project, template)?;
    if printer.format == Format::Json {
        printer.json(&json!({"version": 1, "written": written}))?;
        return Ok(Ending::Fine);
    }
    let mut lines: Vec<String> = written.iter().map(|path| format!("  {path}")).collect();
    lines.insert(0, "Wrote".to_owned());
    let place = if settings.project.as_os_str() == "." {
        String::new()
    } else {
        format!(" -p {}", settings.project.display())
    };
    lines.push(format!("Next: siding{place} plan"));
    printer.text(&lines.join("\n"));
    Ok(Ending::Fine)
}
