//! Questions on a terminal.

use crate::cli::printer::Printer;

/// Asks until the answer is yes or no; no answer at all is a no.
pub(super) fn confirm(printer: &Printer, question: &str) -> bool {
    loop {
        match printer.ask(&format!("{question} [y/n]: ")).as_deref() {
            Some("y" | "Y" | "yes") => return true,
            Some("n" | "N" | "no") | None => return false,
            Some(_) => printer.note("Please answer y or n."),
        }
    }
}
