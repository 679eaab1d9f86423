//! A query as words, marks and date variables.

use crate::model::Model;
use crate::model::RuntimeVariable;
use crate::model::TimeMoment;
use crate::model::macro_use::MacroUse;
use crate::model::macro_use::macro_uses;
use crate::sql::tokens::TokenKind;
use crate::sql::tokens::tokenize;

/// What a query is made of, without blanks and comments.
pub(super) enum Piece<'a> {
    /// A date variable.
    Time(TimeMoment),
    /// A word or a quoted name.
    Name(&'a str),
    /// Anything else, as written.
    Text(&'a str),
}

impl Piece<'_> {
    /// Whether it is one of `texts`, in any case.
    pub(super) fn is(&self, texts: &[&str]) -> bool {
        match self {
            Self::Time(_) => false,
            Self::Name(text) | Self::Text(text) => {
                texts.iter().any(|wanted| text.eq_ignore_ascii_case(wanted))
            }
        }
    }
}

/// `text`, the query of `model`, in pieces.
pub(super) fn pieces<'a>(model: &Model, text: &'a str) -> Vec<Piece<'a>> {
    let tokens = tokenize(text, model.dialect);
    let mut uses = macro_uses(text, &tokens).into_iter().peekable();
    let mut pieces = Vec::new();
    let mut covered = 0;
    for token in tokens.iter().filter(|token| !token.is_trivia()) {
        if token.span.start < covered {
            continue;
        }
        if let Some((span, used)) = uses.next_if(|(span, _)| span.start <= token.span.start) {
            covered = span.end;
            let time = match &used {
                MacroUse::Variable { name, .. } => RuntimeVariable::from_name(name),
                _ => used.names().find_map(RuntimeVariable::from_name),
            };
            pieces.push(match time {
                Some(RuntimeVariable::Time(moment, _)) => Piece::Time(moment),
                _ => Piece::Text(&text[span]),
            });
            continue;
        }
        let written = token.text(text);
        pieces.push(match token.kind {
            TokenKind::Word | TokenKind::QuotedIdentifier => Piece::Name(written),
            _ => Piece::Text(written),
        });
    }
    pieces
}
