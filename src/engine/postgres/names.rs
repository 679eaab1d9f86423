//! Names longer than PostgreSQL keeps.
//!
//! It cuts identifiers after 63 bytes and says so only in a notice, so two long names that begin alike would be one
//! table. Each longer name in a statement is replaced by its beginning with a hash of all of it, everywhere alike.

use std::borrow::Cow;

use crate::engine::statement::token_length;
use crate::sql::quote_identifier;

/// Most bytes of a name.
const LONGEST: usize = 63;

/// Hexadecimal digits of a hash: 64 bits.
const HASH: usize = 16;

/// `name` as PostgreSQL stores it: whole, or its beginning, `_` and a hash.
pub(super) fn short(name: &str) -> Cow<'_, str> {
    if name.len() <= LONGEST {
        return Cow::Borrowed(name);
    }
    let mut end = LONGEST - HASH - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    Cow::Owned(format!("{}_{}", &name[..end], &hash[..HASH]))
}

/// `sql` with every longer name replaced by its [`short`] form.
pub(super) fn shortened(sql: &str) -> Cow<'_, str> {
    let mut done = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < sql.len() {
        // Where nobody can say what is a name, PostgreSQL has the last word.
        let Some(length) = token_length(&sql[at..]) else {
            break;
        };
        if length > LONGEST
            && let Some(name) = name(&sql[at..at + length])
            && name.len() > LONGEST
        {
            done.push_str(&sql[copied..at]);
            done.push_str(&quote_identifier(&short(&name)));
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(sql);
    }
    done.push_str(&sql[copied..]);
    Cow::Owned(done)
}

/// The name that a token stands for, as PostgreSQL folds it; `None` if it is no name.
fn name(token: &str) -> Option<String> {
    if let Some(quoted) = token.strip_prefix('"') {
        return Some(quoted.strip_suffix('"')?.replace("\"\"", "\""));
    }
    let first = token.chars().next()?;
    (first.is_alphabetic() || first == '_').then(|| token.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_that_begin_alike_stay_apart_and_others_stay_as_they_are() {
        let [one, two] = ["a", "b"].map(|end| format!("{}{end}", "x".repeat(80)));
        assert_eq!(short(&one).len(), LONGEST);
        assert_ne!(short(&one), short(&two));
        let longest = "é".repeat(31) + "e";
        assert_eq!(short(&longest), longest);
        assert!(short(&"é".repeat(40)).len() <= LONGEST);
    }

    #[test]
    fn a_long_name_is_the_same_however_it_is_written() {
        let long = "a".repeat(70);
        let name = quote_identifier(&short(&long));
        let sql = format!(
            "SELECT '{long}', \"{long}\".x -- {long}\nFROM s.{} AS {long}",
            long.to_uppercase()
        );
        assert_eq!(
            shortened(&sql),
            format!("SELECT '{long}', {name}.x -- {long}\nFROM s.{name} AS {name}")
        );
        assert!(matches!(shortened("SELECT 1"), Cow::Borrowed(_)));
    }
}
