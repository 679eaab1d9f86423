//! Where macros stand in SQL text.

use std::ops::Range;

use crate::sql::tokens::Token;
use crate::sql::tokens::TokenKind;

/// One macro in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MacroUse<'a> {
    /// `@name`.
    Variable {
        /// Without `@`.
        name: &'a str,
        /// Whether it is a part of a dotted name, as in `@name.table`.
        dotted: bool,
    },
    /// A name with `@{name}` or a trailing `@name` in it, such as `y_@{x}_z`.
    Identifier { pieces: Vec<Piece<'a>> },
    /// `@'…'`.
    Text {
        /// What stands between the quotes, as written.
        body: &'a str,
    },
    /// `@name(…)`.
    Call {
        /// Without `@`.
        name: &'a str,
        /// Index of the opening bracket among the tokens.
        open: usize,
    },
}

/// A part of a name or of a string template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Stands for itself.
    Text(&'a str),
    /// A variable's name, from `@name`.
    Name(&'a str),
    /// A variable's name, from `@{name}` in a string template.
    Braced(&'a str),
}

impl Piece<'_> {
    /// The piece as the text has it, but for `@@`.
    pub(crate) fn as_written(&self) -> String {
        match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Name(name) => format!("@{name}"),
            Self::Braced(name) => format!("@{{{name}}}"),
        }
    }
}

impl<'a> MacroUse<'a> {
    /// Every variable that it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        let (one, pieces) = match self {
            Self::Variable { name, .. } => (Some(*name), Vec::new()),
            Self::Identifier { pieces } => (None, pieces.clone()),
            Self::Text { body } => (None, template_pieces(body)),
            Self::Call { .. } => (None, Vec::new()),
        };
        let names = pieces.into_iter().filter_map(|piece| match piece {
            Piece::Name(name) | Piece::Braced(name) => Some(name),
            Piece::Text(_) => None,
        });
        one.into_iter().chain(names)
    }
}

/// The macros of `text` in order, with the bytes that each covers; `tokens` are the tokens of `text`.
///
/// A call covers only `@name`, so the macros among its arguments follow by themselves.
pub(crate) fn macro_uses<'a>(text: &'a str, tokens: &[Token]) -> Vec<(Range<usize>, MacroUse<'a>)> {
    let mut uses = Vec::new();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        if token.kind != TokenKind::At {
            index += 1;
            continue;
        }
        if let Some(string) = tokens.get(index + 1).filter(|next| is_template(text, next)) {
            let body = string.text(text);
            let body = &body[1..body.len() - 1];
            uses.push((token.span.start..string.span.end, MacroUse::Text { body }));
            index += 2;
            continue;
        }
        let Some((first, after)) = variable_at(text, tokens, index) else {
            index += 1;
            continue;
        };
        let before = index
            .checked_sub(1)
            .map(|before| &tokens[before])
            .filter(|before| before.kind == TokenKind::Word);
        let braced = tokens[index + 1].kind != TokenKind::Word;
        let glued = tokens.get(after).is_some_and(|next| {
            next.kind == TokenKind::Word
                || next.kind == TokenKind::Number
                || variable_at(text, tokens, after).is_some()
        });
        if !braced && before.is_none() && !glued {
            let end = tokens[after - 1].span.end;
            let span = token.span.start..end;
            let next = tokens.get(after);
            let use_ = if next.is_some_and(|next| next.is_mark(text, "(")) {
                MacroUse::Call {
                    name: first,
                    open: after,
                }
            } else {
                let dot_before = index
                    .checked_sub(1)
                    .is_some_and(|before| tokens[before].is_mark(text, "."));
                let dot_after = next.is_some_and(|next| next.is_mark(text, "."));
                MacroUse::Variable {
                    name: first,
                    dotted: dot_before || dot_after,
                }
            };
            uses.push((span, use_));
            index = after;
            continue;
        }
        let start = before.map_or(token.span.start, |before| before.span.start);
        let mut pieces: Vec<Piece<'a>> = before
            .map(|before| Piece::Text(before.text(text)))
            .into_iter()
            .collect();
        pieces.push(Piece::Name(first));
        index = after;
        while let Some(next) = tokens.get(index) {
            if let Some((name, after)) = variable_at(text, tokens, index) {
                pieces.push(Piece::Name(name));
                index = after;
            } else if matches!(next.kind, TokenKind::Word | TokenKind::Number) {
                pieces.push(Piece::Text(next.text(text)));
                index += 1;
            } else {
                break;
            }
        }
        let end = tokens[index - 1].span.end;
        uses.push((start..end, MacroUse::Identifier { pieces }));
    }
    uses
}

fn is_template(text: &str, token: &Token) -> bool {
    token.kind == TokenKind::String && token.terminated && token.text(text).starts_with('\'')
}

/// The name after the `@` at `index` and the index of the token behind it.
fn variable_at<'a>(text: &'a str, tokens: &[Token], index: usize) -> Option<(&'a str, usize)> {
    if tokens.get(index)?.kind != TokenKind::At {
        return None;
    }
    let next = tokens.get(index + 1)?;
    if next.kind == TokenKind::Word {
        return Some((next.text(text), index + 2));
    }
    let word = tokens.get(index + 2)?;
    let close = tokens.get(index + 3)?;
    let braced =
        next.is_mark(text, "{") && word.kind == TokenKind::Word && close.is_mark(text, "}");
    braced.then(|| (word.text(text), index + 4))
}

/// The parts of a string template: `@name`, `@{name}`, `@@` for one `@`; a lone `@` stands for itself.
pub(crate) fn template_pieces(body: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find('@') {
        let after = &rest[at + 1..];
        let name_length = |text: &str| {
            let starts = text
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            let end = text
                .bytes()
                .position(|byte| !byte.is_ascii_alphanumeric() && byte != b'_')
                .unwrap_or(text.len());
            if starts { end } else { 0 }
        };
        if let Some(after) = after.strip_prefix('@') {
            pieces.push(Piece::Text(&rest[..=at]));
            rest = after;
            continue;
        }
        if let Some(inner) = after.strip_prefix('{') {
            let length = name_length(inner);
            if length > 0 && inner[length..].starts_with('}') {
                pieces.push(Piece::Text(&rest[..at]));
                pieces.push(Piece::Braced(&inner[..length]));
                rest = &inner[length + 1..];
                continue;
            }
        }
        let length = name_length(after);
        if length > 0 {
            pieces.push(Piece::Text(&rest[..at]));
            pieces.push(Piece::Name(&after[..length]));
            rest = &after[length..];
        } else {
            pieces.push(Piece::Text(&rest[..=at]));
            rest = after;
        }
    }
    pieces.push(Piece::Text(rest));
    pieces.retain(|piece| *piece != Piece::Text(""));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;
    use crate::sql::tokens::tokenize;

    fn uses(text: &str) -> Vec<(&str, MacroUse<'_>)> {
        let tokens = tokenize(text, Dialect::DuckDb);
        macro_uses(text, &tokens)
            .into_iter()
            .map(|(span, use_)| (&text[span], use_))
            .collect()
    }

    #[test]
    fn every_form_is_found() {
        let found = uses("@a q_@b y_@{c}_z @d.t @F(@e) @'x @{g}' mail @ 3");
        let spans: Vec<&str> = found.iter().map(|(span, _)| *span).collect();
        assert_eq!(
            spans,
            ["@a", "q_@b", "y_@{c}_z", "@d", "@F", "@e", "@'x @{g}'"]
        );
        assert_eq!(
            found[2].1,
            MacroUse::Identifier {
                pieces: vec![Piece::Text("y_"), Piece::Name("c"), Piece::Text("_z")]
            }
        );
        assert_eq!(
            found[3].1,
            MacroUse::Variable {
                name: "d",
                dotted: true
            }
        );
    }

    #[test]
    fn doubled_signs_are_one_sign() {
        assert_eq!(
            template_pieces("a@@b @x@"),
            [
                Piece::Text("a@"),
                Piece::Text("b "),
                Piece::Name("x"),
                Piece::Text("@")
            ]
        );
    }
}
