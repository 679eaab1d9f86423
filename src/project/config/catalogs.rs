//! `catalogs` of a DuckDB connection: several files, each a catalog under its own name.

use crate::diagnostic::Diagnostic;
use crate::project::config::reader::Reader;
use crate::project::config::reader::Unsupported;
use crate::project::config::reader::not_supported;
use crate::project::yaml::Data;
use crate::project::yaml::Key;
use crate::project::yaml::Node;

/// A DuckDB database that is attached under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuckDbAttachment {
    /// What SQL calls it, lower case.
    pub name: String,
    /// Path of the file, as written; `None` means in memory.
    pub database: Option<String>,
    /// Whether nothing is written to it.
    pub read_only: bool,
}

const KEYS: [&str; 3] = ["type", "path", "read_only"];
const UNSUPPORTED: [(&str, Unsupported); 4] = [
    ("data_path", Unsupported::Error),
    ("encrypted", Unsupported::Error),
    ("data_inlining_row_limit", Unsupported::Error),
    ("metadata_schema", Unsupported::Error),
];
/// Names that DuckDB has given away.
const TAKEN: [&str; 2] = ["system", "temp"];

/// The `catalogs` of the connection at `node`, which is `what`, in the order written; the first is the default one.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<DuckDbAttachment> {
    let Some(listed) = node.get("catalogs") else {
        return Vec::new();
    };
    let entries = match &listed.data {
        Data::Map(entries) => entries.as_slice(),
        Data::Null => return Vec::new(),
        _ => {
            let message = format!("`{what}.catalogs` must be a map, not {}", listed.what());
            reader.report(Diagnostic::error("wrong-type", message), listed.place);
            return Vec::new();
        }
    };
    if node
        .get("database")
        .is_some_and(|node| node.scalar().is_some())
        && !entries.is_empty()
    {
        let message = format!("`{what}` has both `database` and `catalogs`");
        let diagnostic = Diagnostic::error("wrong-value", message)
            .help("Write the database as the first of the `catalogs`; names without a catalog are in that one.");
        reader.report(diagnostic, listed.place);
    }
    let mut catalogs: Vec<DuckDbAttachment> = Vec::new();
    for (key, value) in entries {
        let Some(catalog) = attachment(reader, key, value, what) else {
            continue;
        };
        let same_file = |other: &&DuckDbAttachment| {
            other.database.is_some() && other.database == catalog.database
        };
        if TAKEN.contains(&catalog.name.as_str())
            || catalogs.iter().any(|other| other.name == catalog.name)
        {
            let message = format!("the catalog name `{}` is taken", catalog.name);
            let diagnostic = Diagnostic::error("wrong-value", message)
                .help("DuckDB does not tell capital letters apart, and keeps `system` and `temp` for itself.");
            reader.report(diagnostic, key.place);
        } else if let Some(other) = catalogs.iter().find(same_file) {
            let message = format!(
                "the catalogs `{}` and `{}` are the same file",
                other.name, catalog.name
            );
            let diagnostic =
                Diagnostic::error("wrong-value", message).help("A file can be attached once.");
            reader.report(diagnostic, value.place);
        } else {
            catalogs.push(catalog);
        }
    }
    if let (Some(first), Some((key, _))) = (catalogs.first(), entries.first())
        && first.read_only
    {
        let message = format!("the first catalog, `{}`, is `read_only`", first.name);
        let diagnostic = Diagnostic::error("wrong-value", message)
            .help("Tables of models without a catalog are made in the first one.");
        reader.report(diagnostic, key.place);
    }
    catalogs
}

fn attachment(
    reader: &mut Reader<'_>,
    key: &Key,
    value: &Node,
    what: &str,
) -> Option<DuckDbAttachment> {
    let what = format!("{what}.catalogs.{}", key.name);
    let name = key.name.to_lowercase();
    let file = |path: String| Some(path).filter(|path| path != ":memory:" && !path.is_empty());
    if let Some(path) = value.scalar() {
        return Some(DuckDbAttachment {
            name,
            database: file(path),
            read_only: false,
        });
    }
    reader.section(value, &what, &KEYS, &UNSUPPORTED)?;
    let kind = reader.text(value, &what, "type");
    if let Some(kind) = kind.filter(|kind| !kind.eq_ignore_ascii_case("duckdb")) {
        let diagnostic = not_supported(&format!("a catalog of `type: {kind}`"))
            .help("Only DuckDB files can be attached: write `type: duckdb` and the `path`.");
        reader.report(diagnostic, Reader::place(value, "type"));
        return None;
    }
    let Some(path) = reader.text(value, &what, "path") else {
        let diagnostic = Diagnostic::error("missing-key", format!("`{what}` has no `path`"))
            .help("Write the path of a DuckDB file as `path`, or `:memory:`.");
        reader.report(diagnostic, value.place);
        return None;
    };
    let read_only = reader.bool(value, &what, "read_only").unwrap_or(false);
    Some(DuckDbAttachment {
        name,
        database: file(path),
        read_only,
    })
}
