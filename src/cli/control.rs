//! Who this process is for others, and what happens when somebody wants it to end.

use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

use crate::cli::Ending;
use crate::cli::printer::Printer;
use crate::cli::settings::now;
use crate::cli::settings::user;
use crate::project::Config;
use crate::project::PlacedStatement;
use crate::scheduler::Around;
use crate::scheduler::AroundStatement;
use crate::scheduler::Control;
use crate::scheduler::Retries;
use crate::scheduler::Stop;
use crate::scheduler::StopSwitch;
use crate::state::Holder;

/// Ctrl-C and the signal to terminate: the first asks the work to end, the second ends the process.
#[derive(Debug)]
pub(super) struct Interrupts {
    stop: Stop,
    code: Arc<AtomicU8>,
}

impl Interrupts {
    /// Listens from now on.
    pub(super) fn watch(printer: &Printer) -> Self {
        let (switch, stop) = Stop::with_switch();
        let code = Arc::new(AtomicU8::new(0));
        tokio::spawn(listen(*printer, switch, Arc::clone(&code)));
        Self { stop, code }
    }

    /// How `command` works, as the configuration says.
    pub(super) fn control(&self, command: &str, config: &Config) -> Control {
        Control {
            stop: self.stop.clone(),
            ..control(command, Some(config))
        }
    }

    /// How a command ends that was stopped.
    pub(super) fn ending(&self) -> Ending {
        match self.code.load(Ordering::Relaxed) {
            0 => Ending::Failed,
            code => Ending::Code(code),
        }
    }
}

/// How `command` works; it is never asked to stop.
pub(super) fn control(command: &str, config: Option<&Config>) -> Control {
    let started = now();
    let number = process::id();
    let holder = Holder {
        id: format!("{number} {} {command}", started.timestamp_micros()),
        label: format!("`{command}` of {} (process {number})", user()),
    };
    let mut control = Control::new(holder, Arc::new(now));
    if let Some(config) = config {
        let run = config.run;
        let placed = |statements: &[PlacedStatement]| {
            let statements = statements.iter().map(|statement| AroundStatement {
                text: statement.text.clone(),
                place: format!("{}:{}", config.file, statement.line),
            });
            statements.collect()
        };
        control.retries = Retries {
            most: run.retries,
            delay: run.retry_delay,
        };
        control.around = Around {
            before: placed(&config.before_all),
            after: placed(&config.after_all),
            dialect: config.model_defaults.dialect,
        };
        control.longest_wait = run.longest_wait;
        control.grace = run.stop_grace;
    }
    control
}

async fn listen(printer: Printer, switch: StopSwitch, code: Arc<AtomicU8>) {
    let first = next_signal().await;
    code.store(first, Ordering::Relaxed);
    switch.ask();
    printer.note(
        "Stopping: what runs may finish for a moment, then it is taken back. Once more to end at once.",
    );
    let second = next_signal().await;
    end(second);
}

#[expect(
    clippy::exit,
    reason = "the second signal means now; a killed process loses nothing either"
)]
fn end(code: u8) -> ! {
    process::exit(i32::from(code))
}

/// The exit code that belongs to the next signal.
#[cfg(unix)]
async fn next_signal() -> u8 {
    use tokio::signal::unix::SignalKind;
    use tokio::signal::unix::signal;
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    }
}

/// The exit code that belongs to the next signal.
#[cfg(not(unix))]
async fn next_signal() -> u8 {
    match tokio::signal::ctrl_c().await {
        Ok(()) => 130,
        Err(_) => std::future::pending().await,
    }
}
