//! Names of time zones.

use chrono_tz::TZ_VARIANTS;

use crate::diagnostic::Diagnostic;
use crate::project::words::nearest;

/// The zone that `text` names, as the world's list writes it; `None` for UTC, which needs no name.
pub(super) fn read_zone(text: &str) -> Result<Option<String>, Box<Diagnostic>> {
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    match names().find(|name| name.eq_ignore_ascii_case(text.trim())) {
        Some("UTC") => Ok(None),
        Some(name) => Ok(Some(name.to_owned())),
        None => {
            let message = format!("`{text}` is not a time zone");
            let help = nearest(text, names()).map_or_else(
                || "Write a name such as `Europe/Berlin`.".to_owned(),
                |near| format!("Did you mean `{near}`?"),
            );
            let diagnostic = Diagnostic::error("wrong-value", message).help(help);
            Err(Box::new(diagnostic))
        }
    }
}
