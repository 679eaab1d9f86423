//! Progress of a plan or run on standard error: a bar on a terminal, a line per batch elsewhere.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;

use crate::cli::plan_text::range;
use crate::cli::printer::Paint;
use crate::cli::printer::Printer;
use crate::cli::printer::Tone;
use crate::cli::run_text::ranges;
use crate::scheduler::Progress;

/// Most models that one line names.
const MOST_NAMES: usize = 5;

/// Shows what the scheduler reports.
pub(super) struct Display<'a> {
    printer: &'a Printer,
    bar: Mutex<Option<ProgressBar>>,
}

impl<'a> Display<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            bar: Mutex::new(None),
        }
    }

    /// Shows one report; may be called from several tasks at once.
    pub(super) fn show(&self, progress: &Progress) {
        let mut bar = self
            .bar
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Progress::Started { batches, .. } = progress {
            if *batches > 0 && self.printer.draws_progress() {
                *bar = Some(new_bar(*batches));
            }
            return;
        }
        if let (Some(bar), Progress::Batch { name, .. }) = (&*bar, progress) {
            bar.set_message(name.to_string());
        }
        if let (Some(bar), Progress::Filled { .. }) = (&*bar, progress) {
            bar.inc(1);
        }
        if let (Some(bar), Progress::Elsewhere { batches, .. }) = (&*bar, progress) {
            bar.inc(u64::try_from(*batches).unwrap_or(0));
        }
        let Some(line) = line(progress, self.printer.paint_notes()) else {
            return;
        };
        match &*bar {
            Some(bar) => bar.suspend(|| self.printer.note(&line)),
            None => self.printer.note(&line),
        }
        if matches!(progress, Progress::Switched { .. })
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Display<'_> {
    fn drop(&mut self) {
        let bar = self
            .bar
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bar) = bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(batches: usize) -> ProgressBar {
    let bar = ProgressBar::new(batches as u64);
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} batches, {elapsed_precise}  {msg}");
    bar.set_style(style.expect("the template is a constant that indicatif reads"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn line(progress: &Progress, paint: Paint) -> Option<String> {
    Some(match progress {
        Progress::Started { .. } | Progress::Batch { .. } => return None,
        Progress::Filled {
            name,
            range: filled,
            rows,
            audits,
            took,
        } => {
            let rows = rows.map_or_else(String::new, |rows| match rows {
                1 => ", 1 row".to_owned(),
                rows => format!(", {rows} rows"),
            });
            let audits = match audits {
                0 => String::new(),
                1 => ", 1 audit passed".to_owned(),
                audits => format!(", {audits} audits passed"),
            };
            let done = paint.tone(Tone::Good, "filled");
            format!(
                "{done} {name} [{}]{rows}{audits} in {:.2} s",
                range(filled.start(), filled.end()),
                took.as_secs_f64()
            )
        }
        Progress::AuditWarning { message, .. } | Progress::Warning(message) => {
            format!("{} {message}", paint.tone(Tone::Caution, "warning:"))
        }
        Progress::Failed { name, message } => {
            format!("{} {name}: {message}", paint.tone(Tone::Bad, "failed"))
        }
        Progress::Skipped { name, because } => {
            format!(
                "{} {name}, because {because} failed",
                paint.tone(Tone::Caution, "skipped")
            )
        }
        Progress::Held { name, wait } => {
            let waits = paint.tone(Tone::Caution, "waits");
            format!("{waits} {name} [{}] for {}", ranges(&wait.ranges), wait.on)
        }
        Progress::Waiting { what, holder } => {
            let waiting = paint.tone(Tone::Caution, "waiting");
            format!("{waiting} for {what}, which {holder} has")
        }
        Progress::Elsewhere { name, batches } => {
            let plural = if *batches == 1 { "" } else { "es" };
            let done = paint.tone(Tone::Good, "done");
            format!("{done} {name}: another process has written {batches} batch{plural} meanwhile")
        }
        Progress::Retrying {
            name,
            message,
            delay,
        } => {
            let again = paint.tone(Tone::Caution, "again");
            format!("{again} {name} in {:.1} s: {message}", delay.as_secs_f64())
        }
        Progress::Restarted => {
            let again = paint.tone(Tone::Caution, "again");
            format!("{again}: another plan has changed the environment")
        }
        Progress::CatchingUp {
            environment,
            models,
        } => {
            let names: Vec<String> = models
                .iter()
                .take(MOST_NAMES)
                .map(ToString::to_string)
                .collect();
            let more = match models.len().saturating_sub(MOST_NAMES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "{} {}{more}: what `{environment}` shows was filled further meanwhile, and so are the new tables before \
                 the switch",
                paint.tone(Tone::Caution, "behind"),
                names.join(", ")
            )
        }
        Progress::Switched {
            created,
            dropped,
            took,
        } => {
            let dropped = if *dropped > 0 {
                format!(", {dropped} dropped")
            } else {
                String::new()
            };
            let done = paint.tone(Tone::Good, "switched");
            let plural = if *created == 1 { "" } else { "s" };
            format!(
                "{done} {created} view{plural}{dropped} in {:.1} ms",
                took.as_secs_f64() * 1000.0
            )
        }
    })
}
