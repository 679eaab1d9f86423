//! Types as people write them: `decimal(10,2)`, `TEXT[]`, `STRUCT<a INT64>`, `a map(int, text)`.

use std::str::FromStr;
use std::sync::Arc;

use sqlparser::ast;

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::names;

/// How many types may stand within each other.
const DEEPEST: usize = 64;

/// The type that `text` names in `dialect`, such as `INT`, `decimal(10,2)` or `TEXT[]`.
///
/// A name that the dialect does not have is [`DataType::Other`]: a user can define types. `None` is
/// for text that cannot be a type.
pub fn parse_type(text: &str, dialect: Dialect) -> Option<DataType> {
    read(text, Some(dialect))
}

/// The type that a cast or a definition names.
pub fn of_ast(data_type: &ast::DataType, dialect: Dialect) -> Option<DataType> {
    // What nearly every cast names, without a detour over its text.
    match data_type {
        ast::DataType::Date => Some(DataType::Date),
        ast::DataType::Boolean | ast::DataType::Bool => named("boolean", dialect),
        ast::DataType::Int(None) | ast::DataType::Integer(None) => named("integer", dialect),
        ast::DataType::BigInt(None) => named("bigint", dialect),
        ast::DataType::Varchar(None) => named("varchar", dialect),
        ast::DataType::Text => named("text", dialect),
        ast::DataType::Double(ast::ExactNumberInfo::None) => named("double", dialect),
        ast::DataType::Timestamp(None, ast::TimezoneInfo::None) => named("timestamp", dialect),
        other => parse_type(&other.to_string(), dialect),
    }
}

fn named(name: &str, dialect: Dialect) -> Option<DataType> {
    names::known(name, &[], Some(dialect))?
}

/// What [`DataType`]'s `Display` wrote is read back as the same type.
impl FromStr for DataType {
    type Err = NotAType;

    fn from_str(text: &str) -> Result<Self, NotAType> {
        read(text, None).ok_or_else(|| NotAType(text.to_owned()))
    }
}

/// A text that is no type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a type")]
pub struct NotAType(pub String);

fn read(text: &str, dialect: Option<Dialect>) -> Option<DataType> {
    let mut reader = Reader {
        rest: text,
        dialect,
        depth: 0,
    };
    let data_type = reader.data_type()?;
    reader.rest.trim().is_empty().then_some(data_type)
}

/// What stands between the parentheses of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Number(i64),
    /// A text in quotes, or a word such as `MAX`.
    Text(String),
}

struct Reader<'a> {
    rest: &'a str,
    /// `None` reads what `Display` writes.
    dialect: Option<Dialect>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn data_type(&mut self) -> Option<DataType> {
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let mut data_type = self.base()?;
        // Values of these types are dropped level by level, so their depth has a limit, too.
        for _ in 0..DEEPEST {
            if self.takes("[") {
                let size = self.number();
                if !self.takes("]") {
                    return None;
                }
                data_type = self.list_of(data_type, size)?;
            } else if self.takes_word("array") {
                let mut size = None;
                if self.takes("[") {
                    size = self.number();
                    if !self.takes("]") {
                        return None;
                    }
                }
                data_type = self.list_of(data_type, size)?;
            } else {
                self.depth -= 1;
                return Some(data_type);
            }
        }
        None
    }

    fn list_of(&self, element: DataType, size: Option<i64>) -> Option<DataType> {
        match (size, self.dialect) {
            // PostgreSQL reads the size and forgets it, and its arrays have no fixed depth either.
            (_, Some(Dialect::Postgres)) => match element {
                DataType::List(_) => Some(element),
                element => Some(DataType::list(element)),
            },
            (None, _) => Some(DataType::list(element)),
            (Some(size), _) => {
                let size = u32::try_from(size).ok().filter(|size| *size > 0)?;
                Some(DataType::Array(Arc::new(element), size))
            }
        }
    }

    fn base(&mut self) -> Option<DataType> {
        let (first, is_quoted) = self.word()?;
        if self.takes(".") {
            return self.qualified(&first);
        }
        let name = first.to_ascii_lowercase();
        match name.as_str() {
            "struct" | "row" | "object" | "tuple" if self.opens() => {
                Some(DataType::Struct(self.fields()?))
            }
            "union" | "uniontype" if self.opens() => Some(DataType::Union(self.fields()?)),
            "map" if self.opens() => {
                let close = self.open()?;
                let key = self.data_type()?;
                if !self.takes(",") {
                    return None;
                }
                let value = self.data_type()?;
                self.takes(close).then(|| DataType::map(key, value))
            }
            "array" | "list" if self.opens() => {
                let close = self.open()?;
                let element = self.data_type()?;
                self.takes(close).then(|| DataType::list(element))
            }
            "nullable" | "lowcardinality" if self.opens() => {
                let close = self.open()?;
                let inner = self.data_type()?;
                self.takes(close).then_some(inner)
            }
            _ => self.scalar(first, name, is_quoted),
        }
    }

    /// A type with a schema before its name.
    fn qualified(&mut self, schema: &str) -> Option<DataType> {
        let (name, is_quoted) = self.word()?;
        if schema.eq_ignore_ascii_case("pg_catalog") {
            let lower = name.to_ascii_lowercase();
            return self.scalar(name, lower, is_quoted);
        }
        let full = format!("{schema}.{name}");
        Some(DataType::Other(full.to_ascii_uppercase().into()))
    }

    /// A type of one or more words with parameters: `TIMESTAMP(3) WITH TIME ZONE`.
    fn scalar(&mut self, written: String, mut name: String, is_quoted: bool) -> Option<DataType> {
        if is_quoted && written == "char" && self.dialect == Some(Dialect::Postgres) {
            // One byte, and not the type `char`.
            return Some(DataType::Other("\"CHAR\"".into()));
        }
        self.more_words(&mut name);
        let mut parameters = Vec::new();
        if self.takes("(") {
            while !self.takes(")") {
                parameters.push(self.parameter()?);
                self.takes(",");
            }
        }
        self.more_words(&mut name);
        if name.starts_with("interval") {
            return Some(DataType::Interval);
        }
        if name == "enum" && !parameters.is_empty() {
            let texts = parameters.into_iter().map(|parameter| match parameter {
                Parameter::Text(text) => Some(text),
                Parameter::Number(_) => None,
            });
            return Some(DataType::Enum(texts.collect::<Option<_>>()?));
        }
        if let Some(known) = names::known(&name, &parameters, self.dialect) {
            return known;
        }
        let mut other = if is_quoted && !is_plain(&written) {
            written
        } else {
            name.to_ascii_uppercase()
        };
        for (at, parameter) in parameters.iter().enumerate() {
            other.push(if at == 0 { '(' } else { ',' });
            match parameter {
                Parameter::Number(number) => other.push_str(&number.to_string()),
                Parameter::Text(text) => other.push_str(text),
            }
        }
        if !parameters.is_empty() {
            other.push(')');
        }
        Some(DataType::Other(other.into()))
    }

    /// Appends the words that belong to a name that consists of several.
    fn more_words(&mut self, name: &mut String) {
        while let Some(word) = self.next_word().filter(|word| names::continues(name, word)) {
            self.takes_word(&word);
            name.push(' ');
            name.push_str(&word);
        }
    }

    /// The next word in lower case; it stays where it is.
    fn next_word(&mut self) -> Option<String> {
        self.skip();
        let length = word_length(self.rest);
        (length > 0).then(|| self.rest[..length].to_ascii_lowercase())
    }

    fn fields(&mut self) -> Option<Arc<[(String, DataType)]>> {
        let close = self.open()?;
        let mut fields = Vec::new();
        while !self.takes(close) {
            fields.push(self.field()?);
            if !self.takes(",") && !self.at(close) {
                return None;
            }
        }
        Some(fields.into())
    }

    /// `name type`, `name: type` or only `type`.
    fn field(&mut self) -> Option<(String, DataType)> {
        let start = self.rest;
        let (name, is_quoted) = self.word()?;
        let has_colon = self.takes(":");
        let is_name = has_colon
            || is_quoted
            || self.at_word()
                && !self
                    .next_word()
                    .is_some_and(|word| names::continues(&name.to_ascii_lowercase(), &word));
        let field = if is_name && self.at_word() {
            (name, self.data_type()?)
        } else {
            self.rest = start;
            (String::new(), self.data_type()?)
        };
        if self.takes_word("not") && !self.takes_word("null") {
            return None;
        }
        Some(field)
    }

    fn parameter(&mut self) -> Option<Parameter> {
        self.skip();
        if let Some(text) = self.quoted('\'') {
            return Some(Parameter::Text(text));
        }
        if let Some(number) = self.number() {
            // `VARCHAR(10 CHARACTERS)`
            let _unit = self.takes_word("characters") || self.takes_word("char");
            return Some(Parameter::Number(number));
        }
        let (word, _) = self.word()?;
        Some(Parameter::Text(word))
    }

    fn number(&mut self) -> Option<i64> {
        self.skip();
        let sign = usize::from(self.rest.starts_with('-'));
        let digits = self.rest[sign..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let number = self.rest[..sign + digits].parse().ok()?;
        self.rest = &self.rest[sign + digits..];
        Some(number)
    }

    /// A name, and whether it stood in quotes.
    fn word(&mut self) -> Option<(String, bool)> {
        self.skip();
        for quote in ['"', '`'] {
            if let Some(word) = self.quoted(quote) {
                return Some((word, true));
            }
        }
        let length = word_length(self.rest);
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        (length > 0).then(|| (word.to_owned(), false))
    }

    /// What stands between two `quote`s; a doubled one is one.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut characters = self.rest.strip_prefix(quote)?.chars();
        let mut text = String::new();
        loop {
            let character = characters.next()?;
            if character == quote {
                if !characters.as_str().starts_with(quote) {
                    self.rest = characters.as_str();
                    return Some(text);
                }
                characters.next();
            }
            text.push(character);
        }
    }

    fn opens(&mut self) -> bool {
        self.at("(") || self.at("<")
    }

    /// Takes the bracket that opens and gives the one that closes.
    fn open(&mut self) -> Option<&'static str> {
        if self.takes("(") {
            return Some(")");
        }
        self.takes("<").then_some(">")
    }

    fn at(&mut self, text: &str) -> bool {
        self.skip();
        self.rest.starts_with(text)
    }

    fn at_word(&mut self) -> bool {
        self.skip();
        word_length(self.rest) > 0 || self.rest.starts_with(['"', '`'])
    }

    fn takes(&mut self, text: &str) -> bool {
        self.skip();
        let Some(rest) = self.rest.strip_prefix(text) else {
            return false;
        };
        self.rest = rest;
        true
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_there = self.next_word().is_some_and(|next| next == word);
        if is_there {
            self.rest = &self.rest[word.len()..];
        }
        is_there
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

/// How many bytes of `text` are one word.
fn word_length(text: &str) -> usize {
    let starts = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
    if starts { end.unwrap_or(text.len()) } else { 0 }
}

/// Whether `name` can stand without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duckdb(text: &str) -> Option<String> {
        parse_type(text, Dialect::DuckDb).map(|data_type| data_type.to_string())
    }

    #[test]
    fn spellings_of_one_type_are_one_type() {
        for (text, expected) in [
            ("INT", "INTEGER"),
            ("int4", "INTEGER"),
            ("\"integer\"", "INTEGER"),
            ("Decimal( 10 , 2 )", "DECIMAL(10,2)"),
            ("numeric", "DECIMAL(18,3)"),
            ("text", "VARCHAR"),
            ("character varying(10)", "VARCHAR"),
            ("double precision", "DOUBLE"),
            ("timestamp with time zone", "TIMESTAMP WITH TIME ZONE"),
            ("timestamp without time zone", "TIMESTAMP"),
            ("timestamp(3)", "TIMESTAMP_MS"),
            ("INT[][3]", "INTEGER[][3]"),
            ("int array[3]", "INTEGER[3]"),
            ("MAP(text, int[])", "MAP(VARCHAR, INTEGER[])"),
            (
                "STRUCT(\"a b\" int, C text)",
                "STRUCT(\"a b\" INTEGER, C VARCHAR)",
            ),
            ("STRUCT(b varchar, t time)", "STRUCT(b VARCHAR, t TIME)"),
            ("ENUM('a', 'b''c')", "ENUM('a', 'b''c')"),
            ("UNION(n int, s text)", "UNION(n INTEGER, s VARCHAR)"),
            ("interval year to month", "INTERVAL"),
            ("mood", "MOOD"),
            ("main.mood", "MAIN.MOOD"),
        ] {
            assert_eq!(duckdb(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_type_is_none() {
        let deep = "INT".to_owned() + &"[]".repeat(100_000);
        let nested = "STRUCT(a ".repeat(100_000);
        for text in [
            "",
            "1",
            "int int2 int3",
            "decimal(5,7)",
            "decimal(39)",
            "int[0]",
            "map(int)",
        ] {
            assert_eq!(duckdb(text), None, "{text}");
        }
        assert_eq!(duckdb(&nested), None);
        assert_eq!(duckdb(&deep), None);
    }

    #[test]
    fn duckdb_agrees_on_every_name_that_it_knows() {
        let connection = ::duckdb::Connection::open_in_memory().unwrap();
        let names = "SELECT DISTINCT type_name FROM duckdb_types() WHERE type_name NOT IN \
            ('array', 'list', 'map', 'struct', 'row', 'union', 'enum', 'type', 'null')";
        let mut statement = connection.prepare(names).unwrap();
        let names = statement
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        let mut spellings: Vec<String> = names.map(Result::unwrap).collect();
        assert!(spellings.len() > 70);
        let more = [
            "DECIMAL(10,2)",
            "NUMERIC(5)",
            "TIMESTAMP(0)",
            "TIMESTAMP(4)",
            "TIMESTAMP(9)",
            "FLOAT(10)",
            "FLOAT(30)",
            "VARCHAR(10)",
            "CHARACTER VARYING(3)",
            "DOUBLE PRECISION",
            "TIMESTAMP WITHOUT TIME ZONE",
            "INT[]",
            "TEXT[3][]",
            "STRUCT(a INT, \"b c\" VARCHAR[])",
            "MAP(TEXT, DECIMAL(4,1))",
            "UNION(a INT, b TIME)",
            "ENUM('a', 'b''c')",
        ];
        spellings.extend(more.map(str::to_owned));
        for spelling in spellings {
            let query = format!("SELECT typeof(NULL::{spelling})");
            let theirs: String = connection.query_row(&query, [], |row| row.get(0)).unwrap();
            let theirs = parse_type(&theirs, Dialect::DuckDb);
            assert!(theirs.is_some());
            assert_eq!(parse_type(&spelling, Dialect::DuckDb), theirs, "{spelling}");
            let dialect = sqlparser::dialect::DuckDbDialect {};
            let parser = sqlparser::parser::Parser::new(&dialect).try_with_sql(&spelling);
            // What the parser does not read makes the whole query opaque.
            if let Ok(tree) = parser.unwrap().parse_data_type() {
                assert_eq!(of_ast(&tree, Dialect::DuckDb), theirs, "{spelling}");
            }
        }
    }

    #[test]
    fn each_dialect_has_names_of_its_own() {
        for (dialect, text, expected) in [
            (Dialect::Snowflake, "NUMBER", "DECIMAL(38,0)"),
            (Dialect::Snowflake, "INT", "DECIMAL(38,0)"),
            (Dialect::Snowflake, "FLOAT", "DOUBLE"),
            (Dialect::Snowflake, "TIMESTAMP_NTZ", "TIMESTAMP_NS"),
            (Dialect::Snowflake, "VARIANT", "VARIANT"),
            (Dialect::BigQuery, "INT64", "BIGINT"),
            (Dialect::BigQuery, "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
            (Dialect::BigQuery, "DATETIME", "TIMESTAMP"),
            (
                Dialect::BigQuery,
                "ARRAY<STRUCT<a INT64, STRING>>",
                "STRUCT(a BIGINT, VARCHAR)[]",
            ),
            (
                Dialect::Spark,
                "array<struct<a:int,b:timestamp>>",
                "STRUCT(a INTEGER, b TIMESTAMP WITH TIME ZONE)[]",
            ),
            (Dialect::Spark, "decimal", "DECIMAL(10,0)"),
            (
                Dialect::Trino,
                "row(a bigint, b varchar)",
                "STRUCT(a BIGINT, b VARCHAR)",
            ),
            (Dialect::Trino, "timestamp", "TIMESTAMP_MS"),
            (Dialect::Redshift, "varchar", "CHARACTER VARYING(256)"),
            (Dialect::Postgres, "int[][]", "INTEGER[]"),
            (Dialect::Postgres, "pg_catalog.int4", "INTEGER"),
            (Dialect::Postgres, "numeric(3,5)", "DECIMAL(3,5)"),
            (Dialect::ClickHouse, "Array(Nullable(UInt64))", "UBIGINT[]"),
            (Dialect::ClickHouse, "Int8", "TINYINT"),
            (Dialect::MySql, "int(11) unsigned", "UINTEGER"),
            (Dialect::Tsql, "nvarchar(max)", "VARCHAR"),
            (Dialect::Tsql, "bit", "BOOLEAN"),
        ] {
            let data_type = parse_type(text, dialect).map(|data_type| data_type.to_string());
            assert_eq!(data_type.as_deref(), Some(expected), "{dialect} {text}");
        }
    }
}
