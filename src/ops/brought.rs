//! What a pull request may not bring to the server: statements that run beside a query.
//!
//! A query only gives rows; a statement may write anywhere that the warehouse's credentials reach. So before a merge
//! only those run that production's models have already.

use crate::diagnostic::Diagnostic;
use crate::plan::Draft;

/// One error for each model of `draft` whose statements are not those that production has.
pub(super) fn brought_statements(draft: &Draft) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (name, snapshot) in &draft.snapshots {
        let statements = &snapshot.model.statements;
        let known = draft
            .previous
            .get(name)
            .map(|before| &before.model.statements);
        if statements.is_empty() || known == Some(statements) {
            continue;
        }
        let message = format!(
            "`{name}` brings statements that run beside its query; the server runs only those that production has"
        );
        let help = "Let a person plan this change with the command line, or merge it: what is merged is built with \
                    its statements when it is deployed.";
        found.push(
            Diagnostic::error("statements-brought", message)
                .in_file(&snapshot.model.file)
                .help(help),
        );
    }
    found
}
