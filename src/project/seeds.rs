//! The CSV files of seeds.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::model::Column;
use crate::model::CsvSettings;
use crate::model::Seed;
use crate::model::SeedError;
use crate::project::block::SqlFile;
use crate::project::files;
use crate::project::value::normalize;

/// Reads the file that a seed's `path` names. Columns that nobody declared get the types that
/// their values show.
pub(super) fn read(
    file: &mut SqlFile<'_>,
    path: &str,
    csv: CsvSettings,
    place: &Range<usize>,
    columns: &mut Option<Vec<Column>>,
) -> Option<Seed> {
    let Some(found) = files::resolve(file.path, path) else {
        let message = format!("the seed `{path}` is outside of the project");
        let diagnostic = Diagnostic::error("seed-outside", message)
            .help("Put the file into the project, such as in `seeds/`.");
        file.report(diagnostic, place.clone());
        return None;
    };
    let Some(text) = file.settings.files.get(&found) else {
        let (message, help) = match file.settings.files.unreadable_reason(&found) {
            Some(reason) => (
                format!("the seed `{found}` cannot be read: {reason}"),
                "Seeds are CSV files in UTF-8.".to_owned(),
            ),
            None => (
                format!("there is no file `{found}` for the seed"),
                "The path counts from the model's folder, or from the project's with `$root/`."
                    .to_owned(),
            ),
        };
        let diagnostic = Diagnostic::error("missing-seed", message).help(help);
        file.report(diagnostic, place.clone());
        return None;
    };
    let dialect = file.dialect;
    let name_of = |name: &str| normalize(name.trim(), dialect);
    match Seed::read(found.clone(), csv, text, &name_of) {
        Ok((seed, inferred)) => {
            check_declared(file, &seed, columns.as_deref(), place)?;
            columns.get_or_insert(inferred);
            Some(seed)
        }
        Err(error) => {
            let diagnostic = Diagnostic::error("bad-seed", error.to_string());
            let diagnostic = match error {
                SeedError::BadLine { line, .. } => {
                    let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
                    let start: usize = lines.map(str::len).sum();
                    diagnostic.at(&found, text, start..start)
                }
                SeedError::MissingColumn(_) | SeedError::DuplicateColumn(_) => {
                    diagnostic.at(&found, text, 0..0)
                }
                SeedError::Empty => diagnostic.in_file(&found),
            };
            file.diagnostics.push(diagnostic);
            None
        }
    }
}

/// `None` after an error: a declared column that the file lacks.
fn check_declared(
    file: &mut SqlFile<'_>,
    seed: &Seed,
    columns: Option<&[Column]>,
    place: &Range<usize>,
) -> Option<()> {
    let mut complete = Some(());
    for column in columns.unwrap_or_default() {
        if !seed
            .column_hashes
            .iter()
            .any(|(name, _)| *name == column.name)
        {
            let message = format!("the seed `{}` has no column `{}`", seed.path, column.name);
            file.report(
                Diagnostic::error("missing-seed-column", message),
                place.clone(),
            );
            complete = None;
        }
    }
    complete
}
