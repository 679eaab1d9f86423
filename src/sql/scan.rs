//! What can be said about a query that has no tree: a scan over its words.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::fold;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Quoted,
    Text,
    Number,
    Symbol,
    Blank,
}

#[derive(Clone, Debug)]
struct Piece {
    kind: Kind,
    at: Range<usize>,
}

/// A table that a scan found.
#[derive(Debug)]
pub(super) struct Reference {
    /// The bytes of its name.
    pub(super) at: Range<usize>,
    /// The parts of its name, folded.
    pub(super) parts: Vec<String>,
    /// Whether an alias follows.
    pub(super) aliased: bool,
}

/// The text with every run of whitespace and comments as one space; `None` when a quote stays open.
/// The text of what has no tree: whitespace and comments outside of quotes become one space. Where quoting rules are
/// not certain the text stays as it is.
pub(super) fn squeezed(text: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::DuckDb | Dialect::Postgres | Dialect::Redshift => {
            squeeze(text, dialect).unwrap_or_else(|| text.to_owned())
        }
        _ => text.to_owned(),
    }
}

pub(super) fn squeeze(text: &str, dialect: Dialect) -> Option<String> {
    let mut squeezed = String::with_capacity(text.len());
    for piece in pieces(text, dialect)? {
        if piece.kind == Kind::Blank {
            squeezed.push(' ');
        } else {
            squeezed.push_str(&text[piece.at]);
        }
    }
    Some(squeezed.trim().to_owned())
}

/// The tables after FROM, JOIN and their commas that are no CTE, in the order of the text.
pub(super) fn tables(text: &str, dialect: Dialect) -> BTreeSet<TableName> {
    references(text, dialect)
        .into_iter()
        .filter_map(|reference| fold::table_from_parts(reference.parts))
        .collect()
}

/// Every reference to a table that the scan can see; none when a quote stays open.
pub(super) fn references(text: &str, dialect: Dialect) -> Vec<Reference> {
    let mut pieces = pieces(text, dialect).unwrap_or_default();
    pieces.retain(|piece| piece.kind != Kind::Blank);
    let scan = Scan {
        text,
        lower: text.to_ascii_lowercase(),
        dialect,
        pieces,
    };
    let groups = scan.groups();
    let ctes = scan.ctes(&groups);
    scan.references(&ctes)
}

struct Scan<'a> {
    text: &'a str,
    /// The same in lower case, with every piece at its place.
    lower: String,
    dialect: Dialect,
    pieces: Vec<Piece>,
}

/// A CTE name and the pieces that see it.
struct Cte {
    name: String,
    visible: Range<usize>,
}

impl Scan<'_> {
    /// The word at `index` in lower case; empty for everything that is no unquoted word.
    fn word(&self, index: usize) -> &str {
        match self.pieces.get(index) {
            Some(piece) if piece.kind == Kind::Word => &self.lower[piece.at.clone()],
            _ => "",
        }
    }

    fn symbol(&self, index: usize) -> &str {
        match self.pieces.get(index) {
            Some(piece) if piece.kind == Kind::Symbol => &self.text[piece.at.clone()],
            _ => "",
        }
    }

    /// For each piece the index of the bracket that closes the group which it opens or stands in.
    fn groups(&self) -> Vec<usize> {
        let mut ends = vec![self.pieces.len(); self.pieces.len()];
        let mut open = vec![self.pieces.len()];
        for index in (0..self.pieces.len()).rev() {
            match self.symbol(index) {
                ")" => open.push(index),
                "(" if open.len() > 1 => {
                    ends[index] = open.pop().unwrap_or(self.pieces.len());
                    continue;
                }
                _ => {}
            }
            ends[index] = open.last().copied().unwrap_or(self.pieces.len());
        }
        ends
    }

    /// `WITH [RECURSIVE] name [(…)] AS [[NOT] MATERIALIZED] (`, then `, name …`.
    fn ctes(&self, groups: &[usize]) -> Vec<Cte> {
        let mut ctes = Vec::new();
        for start in 0..self.pieces.len() {
            if self.word(start) != "with" {
                continue;
            }
            let scope_end = groups[start];
            let recursive = self.word(start + 1) == "recursive";
            let mut index = start + 1 + usize::from(recursive);
            while let Some(name) = self.name_part(index) {
                index += 1;
                if self.symbol(index) == "(" {
                    index = groups[index] + 1;
                }
                if self.word(index) != "as" {
                    break;
                }
                index += 1;
                while matches!(self.word(index), "not" | "materialized") {
                    index += 1;
                }
                if self.symbol(index) != "(" {
                    break;
                }
                let end = groups[index].min(scope_end);
                let from = if recursive { index } else { end };
                ctes.push(Cte {
                    name,
                    visible: from..scope_end,
                });
                index = end + 1;
                if self.symbol(index) != "," {
                    break;
                }
                index += 1;
            }
        }
        ctes
    }

    /// A piece that can be part of a name, folded.
    fn name_part(&self, index: usize) -> Option<String> {
        let piece = self.pieces.get(index)?;
        let text = &self.text[piece.at.clone()];
        match piece.kind {
            Kind::Word => Some(fold::fold(self.dialect, text, false)),
            Kind::Quoted => {
                let close = text.chars().last()?;
                let inner = &text[1..text.len() - 1];
                let inner = inner.replace(&format!("{close}{close}"), &close.to_string());
                Some(fold::fold(self.dialect, &inner, true))
            }
            Kind::Text | Kind::Number | Kind::Symbol | Kind::Blank => None,
        }
    }

    fn references(&self, ctes: &[Cte]) -> Vec<Reference> {
        struct Group {
            /// A SELECT, WITH or leading FROM stood here: FROM names tables.
            query: bool,
            /// Commas separate tables.
            from: bool,
            /// The next name is a table.
            wanted: bool,
            start: usize,
        }
        let group = |wanted, start| Group {
            query: false,
            from: wanted,
            wanted,
            start,
        };
        let mut open = vec![group(false, 0)];
        let mut found = Vec::new();
        let mut index = 0;
        while index < self.pieces.len() {
            let outermost = open.len() == 1;
            let current = open.last_mut().expect("the outermost group never closes");
            match self.symbol(index) {
                "(" => {
                    let wanted = std::mem::take(&mut current.wanted);
                    open.push(group(wanted, index + 1));
                    index += 1;
                    continue;
                }
                ")" => {
                    if !outermost {
                        open.pop();
                    }
                    index += 1;
                    continue;
                }
                "," => {
                    current.wanted = current.from;
                    index += 1;
                    continue;
                }
                "" => {}
                _ => {
                    current.wanted = false;
                    index += 1;
                    continue;
                }
            }
            match self.word(index) {
                "select" | "with" | "values" | "pivot" | "unpivot" | "table" | "summarize"
                | "describe"
                    if !(current.from && self.word(index) == "with") =>
                {
                    let names_table = !matches!(self.word(index), "select" | "with" | "values");
                    current.query = true;
                    current.from = false;
                    current.wanted = names_table;
                    index += 1;
                    continue;
                }
                "from" => {
                    // `IS DISTINCT FROM`, `extract(day FROM …)`
                    let distinct = index > 1
                        && self.word(index - 1) == "distinct"
                        && matches!(self.word(index - 2), "is" | "not");
                    let leading = index == current.start;
                    if !distinct && (current.query || leading || outermost) {
                        current.query = true;
                        current.from = true;
                        current.wanted = true;
                    }
                    index += 1;
                    continue;
                }
                "join" => {
                    current.from = true;
                    current.wanted = true;
                    index += 1;
                    continue;
                }
                "lateral" | "only" => {
                    index += 1;
                    continue;
                }
                "where" | "group" | "order" | "having" | "qualify" | "window" | "limit"
                | "union" | "except" | "intersect" | "minus" | "offset" | "fetch" => {
                    current.from = false;
                    current.wanted = false;
                    index += 1;
                    continue;
                }
                _ => {}
            }
            if !current.wanted {
                index += 1;
                continue;
            }
            current.wanted = false;
            let Some(first) = self.name_part(index) else {
                index += 1;
                continue;
            };
            let start = index;
            let mut parts = vec![first];
            index += 1;
            while self.symbol(index) == "."
                && let Some(part) = self.name_part(index + 1)
            {
                parts.push(part);
                index += 2;
            }
            let is_function = self.symbol(index) == "(" || self.symbol(index) == ":";
            let is_cte = parts.len() == 1
                && ctes
                    .iter()
                    .any(|cte| cte.name == parts[0] && cte.visible.contains(&start));
            if !is_function && !is_cte {
                let at = self.pieces[start].at.start..self.pieces[index - 1].at.end;
                found.push(Reference {
                    at,
                    parts,
                    aliased: self.is_alias(index),
                });
            }
        }
        found
    }

    fn is_alias(&self, index: usize) -> bool {
        match self.pieces.get(index).map(|piece| piece.kind) {
            Some(Kind::Quoted) => true,
            Some(Kind::Word) => !NO_ALIAS.contains(&self.word(index)),
            Some(Kind::Text | Kind::Number | Kind::Symbol | Kind::Blank) | None => false,
        }
    }
}

/// Words that go on after a table without an alias.
const NO_ALIAS: &[&str] = &[
    "where",
    "group",
    "order",
    "having",
    "qualify",
    "window",
    "limit",
    "offset",
    "fetch",
    "union",
    "except",
    "intersect",
    "minus",
    "join",
    "inner",
    "left",
    "right",
    "full",
    "cross",
    "natural",
    "positional",
    "asof",
    "semi",
    "anti",
    "on",
    "using",
    "select",
    "tablesample",
    "sample",
    "lateral",
    "pivot",
    "unpivot",
    "at",
    "for",
    "with",
    "outer",
    "global",
    "any",
    "array",
    "group",
    "match_recognize",
    "cluster",
    "distribute",
    "sort",
    "prewhere",
    "final",
    "format",
    "settings",
];

/// Cuts the text into pieces; `None` when a quote or comment stays open.
fn pieces(text: &str, dialect: Dialect) -> Option<Vec<Piece>> {
    let bytes = text.as_bytes();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let rest = &text[start..];
        let first = rest.chars().next()?;
        let (kind, length) = if first.is_whitespace() {
            let length = rest.find(|c: char| !c.is_whitespace());
            (Kind::Blank, length.unwrap_or(rest.len()))
        } else if rest.starts_with("--") || (first == '#' && hash_comments(dialect)) {
            (Kind::Blank, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (Kind::Blank, block_comment(rest, dialect)?)
        } else if first == '\'' {
            let previous = pieces.last().filter(|piece| piece.at.end == start);
            let escapes = backslashes(dialect)
                || previous.is_some_and(|piece| text[piece.at.clone()].eq_ignore_ascii_case("e"));
            (Kind::Text, quoted(rest, '\'', escapes)?)
        } else if first == '"' {
            let text = matches!(dialect, Dialect::BigQuery | Dialect::MySql);
            let kind = if text { Kind::Text } else { Kind::Quoted };
            (kind, quoted(rest, '"', text)?)
        } else if first == '`' {
            (Kind::Quoted, quoted(rest, '`', false)?)
        } else if first == '[' && dialect == Dialect::Tsql {
            (Kind::Quoted, quoted(rest, ']', false)?)
        } else if first == '$'
            && let Some(tag) = dollar_tag(rest)
        {
            let close = rest[tag.len()..].find(tag)?;
            (Kind::Text, close + 2 * tag.len())
        } else if first.is_alphabetic() || first == '_' || first == '@' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "_$@".contains(c)));
            (Kind::Word, end.unwrap_or(rest.len()))
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            (Kind::Number, end.unwrap_or(rest.len()))
        } else {
            (Kind::Symbol, first.len_utf8())
        };
        let at = start..start + length;
        match pieces.last_mut() {
            Some(last) if last.kind == Kind::Blank && kind == Kind::Blank => last.at.end = at.end,
            _ => pieces.push(Piece {
                kind,
                at: at.clone(),
            }),
        }
        start = at.end;
    }
    Some(pieces)
}

fn hash_comments(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::MySql | Dialect::BigQuery)
}

fn backslashes(dialect: Dialect) -> bool {
    match dialect {
        Dialect::Snowflake
        | Dialect::BigQuery
        | Dialect::Databricks
        | Dialect::Spark
        | Dialect::ClickHouse
        | Dialect::MySql => true,
        Dialect::DuckDb
        | Dialect::Postgres
        | Dialect::Redshift
        | Dialect::Trino
        | Dialect::Athena
        | Dialect::Tsql => false,
    }
}

/// The length of a comment that may hold others.
fn block_comment(text: &str, dialect: Dialect) -> Option<usize> {
    let nests = matches!(dialect, Dialect::DuckDb | Dialect::Postgres | Dialect::Tsql);
    let mut depth = 1;
    let mut at = 2;
    while depth > 0 {
        let rest = text.get(at..)?;
        if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else if nests && rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
    Some(at)
}

/// The length of a quoted piece; a doubled quote stands for itself.
fn quoted(text: &str, close: char, escapes: bool) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((index, character)) = characters.next() {
        if escapes && character == '\\' {
            characters.next();
        } else if character == close && characters.next_if(|(_, next)| *next == close).is_none() {
            return Some(index + close.len_utf8());
        }
    }
    None
}

/// `$$` or `$tag$` at the start of the text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 1;
    let tag = &text[1..end];
    let is_tag = tag.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !tag.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        tables(text, Dialect::DuckDb)
            .iter()
            .map(TableName::plain)
            .collect()
    }

    #[test]
    fn tables_stand_after_from_join_and_their_commas() {
        assert_eq!(
            found(
                "SELECT extract(day FROM d), x FROM a.b, c AS q LEFT JOIN \"D E\" USING (z) WHERE f IN (SELECT 1 FROM g)"
            ),
            ["c", "d e", "g", "a.b"]
        );
    }

    #[test]
    fn a_cte_hides_a_table_only_where_it_is_visible() {
        assert_eq!(found("WITH a AS (SELECT * FROM a) SELECT * FROM a"), ["a"]);
        assert_eq!(
            found("WITH x AS (SELECT * FROM a), y AS (FROM x) FROM y, z"),
            ["a", "z"]
        );
        assert!(found("WITH RECURSIVE a AS (SELECT * FROM a) FROM a").is_empty());
    }

    #[test]
    fn texts_comments_and_functions_hold_no_tables() {
        assert!(found("SELECT ' FROM a' /* FROM b */ FROM range(3) -- FROM c").is_empty());
        assert!(found("SELECT a IS DISTINCT FROM b").is_empty());
        assert_eq!(found("PIVOT cities ON year USING sum(n)"), ["cities"]);
    }

    #[test]
    fn only_what_stands_outside_of_quotes_is_squeezed() {
        let text = "SELECT 'a  b' -- c\n  ,  $$x  y$$ /* d /* e */ */ FROM \"t  u\"";
        assert_eq!(
            squeeze(text, Dialect::DuckDb).as_deref(),
            Some("SELECT 'a  b' , $$x  y$$ FROM \"t  u\"")
        );
        assert_eq!(squeeze("SELECT 'open", Dialect::DuckDb), None);
    }
}
