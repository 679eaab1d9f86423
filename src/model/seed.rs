//! Rows that come with the project as a CSV file.

use std::fmt::Write;
use std::ops::Range;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Column;
use crate::sql::quote_identifier;
use crate::sql::quote_string;

/// How a seed's CSV file is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvSettings {
    /// Between the fields of a line; one ASCII character.
    pub delimiter: char,
    /// Around fields; one ASCII character.
    pub quote: char,
    /// Before a quote inside a field; `None` means that a quote is doubled.
    pub escape: Option<char>,
    /// Texts that mean NULL, besides those of `keep_default_na`.
    pub na_values: Vec<String>,
    /// Whether the empty field, `NULL`, `NA`, `nan` and their like mean NULL.
    #[serde(default = "yes")]
    pub keep_default_na: bool,
}

fn yes() -> bool {
    true
}

/// What means NULL unless `keep_default_na` is off.
///
/// Source: the `na_values` of pandas' `read_csv`, which the reference reads seeds with.
const DEFAULT_NA: [&str; 18] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan",
];

impl Default for CsvSettings {
    fn default() -> Self {
        Self {
            delimiter: ',',
            quote: '"',
            escape: None,
            na_values: Vec::new(),
            keep_default_na: true,
        }
    }
}

/// A CSV file of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// Relative to the project folder.
    pub path: String,
    /// How the file is written.
    pub csv: CsvSettings,
    /// The file's columns in order, each with the BLAKE3 hash (hex) of its name and content.
    pub column_hashes: Vec<(String, String)>,
    /// How many rows it has.
    #[serde(default)]
    pub row_count: usize,
    /// The file's text. Not kept in the state: only a plan loads seeds, and it has the files.
    #[serde(skip, default)]
    pub text: String,
}

/// Why a seed's file gives no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// A line that is no line of this CSV.
    #[error("{message}")]
    BadLine {
        /// Line in the file, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A declared column that the file lacks.
    #[error("the file has no column `{0}`")]
    MissingColumn(String),
    /// A column that the file has twice.
    #[error("the file has the column `{0}` twice")]
    DuplicateColumn(String),
    /// No header, or no text at all (a seed from the state has none).
    #[error("the file is empty")]
    Empty,
}

/// The rows of a seed: the header as written, and one value or NULL per column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedRows {
    /// Names of the columns, as written.
    pub columns: Vec<String>,
    /// One value per column; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// The line of the file that each row begins in, from 1.
    pub lines: Vec<usize>,
}

/// A query that gives some rows of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedQuery {
    /// To be run as `INSERT INTO … <query>`.
    pub sql: String,
    /// Which rows, counted from 0.
    pub rows: Range<usize>,
}

const ROWS_PER_STATEMENT: usize = 1000;

impl Seed {
    /// Reads `text`, the content of the file at `path`; `name_of` gives a column its name in the
    /// dialect's case.
    ///
    /// Also returns each column's type: whole numbers are `BIGINT`, or `DOUBLE` if one is NULL;
    /// other numbers `DOUBLE`; `true`/`false` without NULL `BOOLEAN`; all else `TEXT`.
    ///
    /// # Errors
    /// [`SeedError`] says which line or column.
    ///
    /// Source: spec surface.md 5.1, type inference of pandas.
    pub fn read(
        path: String,
        csv: CsvSettings,
        text: &str,
        name_of: &dyn Fn(&str) -> String,
    ) -> Result<(Self, Vec<Column>), SeedError> {
        let mut table = read_rows(text, &csv)?;
        let mut names: Vec<String> = Vec::with_capacity(table.columns.len());
        for column in &mut table.columns {
            let name = name_of(column);
            if name.is_empty() {
                let message = format!("column {} has no name", names.len() + 1);
                return Err(SeedError::BadLine { line: 1, message });
            }
            if names.contains(&name) {
                return Err(SeedError::DuplicateColumn(name));
            }
            names.push(name);
        }
        let mut column_hashes = Vec::with_capacity(names.len());
        let mut columns = Vec::with_capacity(names.len());
        for (index, name) in names.into_iter().enumerate() {
            let values = || table.rows.iter().map(|row| row[index].as_deref());
            column_hashes.push((name.clone(), column_hash(&name, values())));
            columns.push(Column {
                name,
                data_type: Some(infer(values()).to_owned()),
            });
        }
        let seed = Self {
            path,
            csv,
            column_hashes,
            row_count: table.rows.len(),
            text: text.to_owned(),
        };
        Ok((seed, columns))
    }

    /// The rows of the file.
    ///
    /// # Errors
    /// [`SeedError`] says which line.
    pub fn rows(&self) -> Result<SeedRows, SeedError> {
        read_rows(&self.text, &self.csv)
    }

    /// The line of the first row with a NUL byte.
    pub fn line_with_nul(&self) -> Option<usize> {
        let at = self.text.find('\0')?;
        let table = self.rows().ok()?;
        let has_nul = |row: &Vec<Option<String>>| {
            let mut values = row.iter().flatten();
            values.any(|value| value.contains('\0'))
        };
        let row = table.rows.iter().position(has_nul);
        let line = row.and_then(|row| table.lines.get(row).copied());
        // Otherwise it is in the header, or in a column that nobody reads.
        Some(line.unwrap_or_else(|| self.text[..at].matches('\n').count() + 1))
    }

    /// Queries that give the rows with `columns`, in that order and cast to their types: one for
    /// every 1,000 rows, and one without rows for an empty seed. To be run as `INSERT INTO … <query>`.
    ///
    /// # Errors
    /// [`SeedError::MissingColumn`] if the file lacks a column; otherwise as [`Self::rows`].
    pub fn insert_values(&self, columns: &[Column]) -> Result<Vec<SeedQuery>, SeedError> {
        let table = self.rows()?;
        if table.rows.is_empty() {
            return Ok(vec![self.query(&table, 0..0, columns)?]);
        }
        let starts = (0..table.rows.len()).step_by(ROWS_PER_STATEMENT);
        starts
            .map(|start| {
                let end = (start + ROWS_PER_STATEMENT).min(table.rows.len());
                self.query(&table, start..end, columns)
            })
            .collect()
    }

    /// A query that gives `rows` of `table`, which are this seed's, as [`Self::insert_values`] does.
    ///
    /// # Errors
    /// [`SeedError::MissingColumn`] if the file lacks a column.
    pub fn query(
        &self,
        table: &SeedRows,
        rows: Range<usize>,
        columns: &[Column],
    ) -> Result<SeedQuery, SeedError> {
        let mut indexes = Vec::with_capacity(columns.len());
        for column in columns {
            // The names of `column_hashes` are the file's, in the dialect's case.
            let index = self
                .column_hashes
                .iter()
                .position(|(name, _)| *name == column.name);
            indexes.push(index.ok_or_else(|| SeedError::MissingColumn(column.name.clone()))?);
        }
        let mut names = String::new();
        let mut casts = String::new();
        for (index, column) in columns.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let name = quote_identifier(&column.name);
            let _ = write!(names, "{separator}{name}");
            match &column.data_type {
                Some(data_type) => {
                    let _ = write!(casts, "{separator}CAST({name} AS {data_type}) AS {name}");
                }
                None => {
                    let _ = write!(casts, "{separator}{name}");
                }
            }
        }
        let found = table.rows.get(rows.clone()).unwrap_or_default();
        if found.is_empty() {
            let nulls = vec!["NULL"; columns.len()].join(", ");
            let sql = format!("SELECT {casts} FROM (VALUES ({nulls})) AS t({names}) WHERE 1 = 0");
            return Ok(SeedQuery { sql, rows });
        }
        let mut sql = format!("SELECT {casts} FROM (VALUES\n");
        for (number, row) in found.iter().enumerate() {
            sql.push_str(if number == 0 { "  (" } else { ",\n  (" });
            for (position, index) in indexes.iter().enumerate() {
                if position > 0 {
                    sql.push_str(", ");
                }
                match row.get(*index).and_then(Option::as_deref) {
                    Some(value) => sql.push_str(&quote_string(value)),
                    None => sql.push_str("NULL"),
                }
            }
            sql.push(')');
        }
        let _ = write!(sql, "\n) AS t({names})");
        Ok(SeedQuery { sql, rows })
    }
}

fn read_rows(text: &str, settings: &CsvSettings) -> Result<SeedRows, SeedError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = builder(settings).from_reader(text.as_bytes());
    let mut lines = Lines::of(text);
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(error) => return Err(bad_line(&error, &mut lines)),
    };
    if headers.is_empty() || (headers.len() == 1 && headers[0].is_empty()) {
        return Err(SeedError::Empty);
    }
    let columns: Vec<String> = headers.iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    let mut begins = Vec::new();
    let mut last = 0;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let start = error.position().map_or(last, start_of);
                let open = open_quote(text, start, settings);
                return Err(open.unwrap_or_else(|| bad_line(&error, &mut lines)));
            }
        };
        let values = record.iter().map(|field| {
            let is_null = (settings.keep_default_na
                && (DEFAULT_NA.contains(&field) || field == "null"))
                || settings.na_values.iter().any(|na| na == field);
            (!is_null).then(|| field.to_owned())
        });
        rows.push(values.collect());
        last = record.position().map_or(last, start_of);
        begins.push(lines.at(last));
    }
    if let Some(error) = open_quote(text, last, settings) {
        return Err(error);
    }
    Ok(SeedRows {
        columns,
        rows,
        lines: begins,
    })
}

fn builder(settings: &CsvSettings) -> csv::ReaderBuilder {
    let byte = |character: char| u8::try_from(character).unwrap_or(b',');
    let mut builder = csv::ReaderBuilder::new();
    builder
        .delimiter(byte(settings.delimiter))
        .quote(byte(settings.quote));
    if let Some(escape) = settings.escape {
        builder.escape(Some(byte(escape))).double_quote(false);
    }
    builder
}

fn start_of(position: &csv::Position) -> usize {
    usize::try_from(position.byte()).unwrap_or(usize::MAX)
}

/// The error of a file whose last record, which begins at the byte `start`, has a quote that nothing ends: everything behind
/// it would be one value.
fn open_quote(text: &str, start: usize, settings: &CsvSettings) -> Option<SeedError> {
    const END: &str = "end";
    let rest = format!("{}\n{END}", text.get(start..)?);
    let mut reader = builder(settings)
        .has_headers(false)
        .flexible(true)
        .from_reader(rest.as_bytes());
    let last = reader.records().last()?.ok()?;
    if last.len() == 1 && &last[0] == END {
        return None;
    }
    // It holds all lines from the one with the quote to the one that was added.
    let inside = last.iter().next_back()?.matches('\n').count();
    let line = text.get(..start)?.matches('\n').count() + rest.matches('\n').count() - inside + 1;
    Some(SeedError::BadLine {
        line,
        message: "a quote is opened here and closed nowhere".to_owned(),
    })
}

/// The lines of a text, asked for from its start to its end.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// The line of the record that begins at the byte `start`, or behind the ends of lines there: the crate may place it
    /// before them.
    fn at(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let ends = bytes.iter().skip(start);
        let ends = ends.take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let start = (start + ends.count()).min(bytes.len());
        let passed = bytes.get(self.at..start).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.at = self.at.max(start);
        self.line
    }
}

fn bad_line(error: &csv::Error, lines: &mut Lines<'_>) -> SeedError {
    let line = error
        .position()
        .map_or(1, |position| lines.at(start_of(position)));
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("the line has {len} fields, the header {expected_len}"),
        _ => "the line is no CSV".to_owned(),
    };
    SeedError::BadLine { line, message }
}

/// Length-prefixed, so that no two different columns read the same.
fn column_hash<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(name);
    for value in values {
        match value {
            Some(text) => {
                add("v");
                add(text);
            }
            None => add("n"),
        }
    }
    hasher.finalize().to_hex().to_string()
}

fn infer<'a>(values: impl Iterator<Item = Option<&'a str>>) -> &'static str {
    let (mut whole, mut number, mut boolean) = (true, true, true);
    let (mut nulls, mut some) = (false, false);
    for value in values {
        let Some(value) = value else {
            nulls = true;
            continue;
        };
        some = true;
        let value = value.trim();
        whole = whole && value.parse::<i64>().is_ok();
        let looks_numeric = value.bytes().any(|byte| byte.is_ascii_digit());
        number = number && looks_numeric && value.parse::<f64>().is_ok();
        boolean = boolean
            && matches!(
                value,
                "true" | "false" | "True" | "False" | "TRUE" | "FALSE"
            );
        if !number && !boolean {
            return "TEXT";
        }
    }
    match (some, nulls) {
        (true, false) if whole => "BIGINT",
        (true, false) if boolean => "BOOLEAN",
        (true, _) if number => "DOUBLE",
        (true, _) => "TEXT",
        // Nothing but NULL is a column of floats in the reference.
        (false, true) => "DOUBLE",
        (false, false) => "TEXT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(text: &str) -> Result<(Seed, Vec<Column>), SeedError> {
        let lower = |name: &str| name.to_lowercase();
        Seed::read(
            "seeds/x.csv".to_owned(),
            CsvSettings::default(),
            text,
            &lower,
        )
    }

    fn types(text: &str) -> Vec<String> {
        let (_, columns) = seed(text).unwrap();
        columns
            .into_iter()
            .filter_map(|column| column.data_type)
            .collect()
    }

    #[test]
    fn types_are_those_of_the_reference() {
        assert_eq!(
            types("a,b,c,d,e,f\n1,1,1.5,true,x,\n2,,2,False,2024-01-01,\n"),
            ["BIGINT", "DOUBLE", "DOUBLE", "BOOLEAN", "TEXT", "DOUBLE"]
        );
        assert_eq!(types("a\ntrue\n\"\"\n"), ["TEXT"]);
    }

    #[test]
    fn rows_are_one_query_with_casts() {
        let (seed, mut columns) = seed("Id,name\n1,O'Brien\n2,NULL\n").unwrap();
        columns.reverse();
        let queries = seed.insert_values(&columns).unwrap();
        let texts: Vec<String> = queries.into_iter().map(|query| query.sql).collect();
        assert_eq!(
            texts,
            [
                "SELECT CAST(\"name\" AS TEXT) AS \"name\", CAST(\"id\" AS BIGINT) AS \"id\" FROM (VALUES\n  \
              ('O''Brien', '1'),\n  (NULL, '2')\n) AS t(\"name\", \"id\")"
            ]
        );
    }

    #[test]
    fn a_thousand_rows_are_a_batch() {
        let mut text = String::from("a\n");
        for number in 0..2001 {
            text.push_str(&format!("{number}\n"));
        }
        let (seed, columns) = seed(&text).unwrap();
        assert_eq!(seed.insert_values(&columns).unwrap().len(), 3);
    }

    #[test]
    fn an_edit_changes_only_its_columns_hash() {
        let (old, _) = seed("a,b\n1,2\n").unwrap();
        let (new, _) = seed("a,b\n1,3\n").unwrap();
        assert_eq!(old.column_hashes[0], new.column_hashes[0]);
        assert_ne!(old.column_hashes[1], new.column_hashes[1]);
        let (null, _) = seed("a,b\n1,\n").unwrap();
        assert_ne!(null.column_hashes[1], new.column_hashes[1]);
    }

    #[test]
    fn a_quote_that_nothing_ends_is_named_and_one_that_ends_with_the_file_is_none() {
        let line_of = |text: &str| match seed(text) {
            Err(SeedError::BadLine { line, message }) => {
                assert!(message.contains("a quote is opened here"), "{message}");
                Some(line)
            }
            Ok(_) => None,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(line_of("a,b\n1,\"x\n2,y\n3,z\n"), Some(2));
        assert_eq!(line_of("a,b\r\n1,x\r\n2,\"y\r\n"), Some(3));
        assert_eq!(line_of("a,b\n1,\"p\nq\"\n\"2,y\n3,z"), Some(4));
        assert_eq!(line_of("\u{feff}a,b\n1,x\n\"2,"), Some(3));
        assert_eq!(line_of("a,b\n\"1\n2\",\"x\n"), Some(3));
        for closed in [
            "a,b\n1,\"x\"",
            "a,b\n1,\"x\ny\"\n\n",
            "a,b\n1,\"\"\"\"\n",
            "a\n\"\"",
        ] {
            assert_eq!(line_of(closed), None, "{closed}");
        }
    }

    #[test]
    fn each_row_knows_its_line() {
        let (seed, _) = seed("a,b\r\n1,\"x\r\ny\"\r\n\r\n2,z\r\n3,w").unwrap();
        assert_eq!(seed.rows().unwrap().lines, [2, 5, 6]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = seed("a,b\n1,2\n3\n").unwrap_err();
        assert_eq!(
            error,
            SeedError::BadLine {
                line: 3,
                message: "the line has 1 fields, the header 2".to_owned()
            }
        );
        assert_eq!(seed("").unwrap_err(), SeedError::Empty);
        assert_eq!(
            seed("a,,b\n1,2,3\n").unwrap_err(),
            SeedError::BadLine {
                line: 1,
                message: "column 2 has no name".to_owned()
            }
        );
        assert_eq!(
            seed("a,A\n1,2\n").unwrap_err(),
            SeedError::DuplicateColumn("a".to_owned())
        );
        let (file, mut columns) = seed("a\n1\n").unwrap();
        columns[0].name = "b".to_owned();
        assert_eq!(
            file.insert_values(&columns).unwrap_err(),
            SeedError::MissingColumn("b".to_owned())
        );
    }
}
