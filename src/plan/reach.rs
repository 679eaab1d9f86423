//! How far a batch looks: into its own interval only, or also at what its parents have before or behind it.
//!
//! A query is believed to stay within its interval where it compares a plain column with the plain start and end of it.
//! Everything else (`@start_ds - 6`, `date_trunc('week', @start_date)`, a window over all there is) may look further.

use crate::model::Model;
use crate::model::RuntimeVariable;
use crate::model::TimeMoment;
use crate::model::macro_use::MacroUse;
use crate::model::macro_use::macro_uses;
use crate::sql::tokens::TokenKind;
use crate::sql::tokens::tokenize;

/// Which rows of its parents may come into a batch besides those of its own interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Those from before it: rows of a parent may show in intervals behind their own.
    pub back: bool,
    /// Those from behind it.
    pub ahead: bool,
}

impl Reach {
    /// That of the query of `model`; both ways where there is no telling.
    pub fn of(model: &Model) -> Self {
        let mut reach = Self {
            back: true,
            ahead: true,
        };
        let Some(query) = &model.query else {
            return reach;
        };
        let pieces = pieces(model, query.text());
        for (at, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Time(TimeMoment::Start) => reach.back = false,
                Piece::Time(TimeMoment::End) => reach.ahead = false,
                Piece::Time(TimeMoment::Execution) | Piece::Text(_) | Piece::Name(_) => continue,
            }
            if !is_plain(&pieces, at) {
                return Self {
                    back: true,
                    ahead: true,
                };
            }
        }
        reach
    }

    /// Whether it is more than the batch's own interval.
    pub fn is_far(self) -> bool {
        self.back || self.ahead
    }
}

/// What a query is made of, without blanks and comments.
enum Piece<'a> {
    /// A date variable.
    Time(TimeMoment),
    /// A word or a quoted name.
    Name(&'a str),
    /// Anything else, as written.
    Text(&'a str),
}

impl Piece<'_> {
    fn is(&self, texts: &[&str]) -> bool {
        match self {
            Self::Time(_) => false,
            Self::Name(text) | Self::Text(text) => {
                texts.iter().any(|wanted| text.eq_ignore_ascii_case(wanted))
            }
        }
    }
}

fn pieces<'a>(model: &Model, text: &'a str) -> Vec<Piece<'a>> {
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

const COMPARISONS: [&str; 5] = ["=", "<", ">", "<=", ">="];
const CASTS: [&str; 2] = ["CAST", "TRY_CAST"];
/// What may follow a comparison that is over.
const ENDS: [&str; 17] = [
    ")",
    ";",
    "AND",
    "OR",
    "GROUP",
    "ORDER",
    "HAVING",
    "WINDOW",
    "QUALIFY",
    "LIMIT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "LEFT",
    "JOIN",
    "INNER",
    "WHERE",
];
/// What may come before a comparison.
const BEGINS: [&str; 7] = ["WHERE", "ON", "AND", "OR", "(", "HAVING", "QUALIFY"];

/// Whether the variable at `at` is one side of a comparison, or an end of BETWEEN, and the other side a plain column.
fn is_plain(pieces: &[Piece<'_>], at: usize) -> bool {
    let (first, last) = with_casts(pieces, at);
    let ends = pieces.get(last + 1).is_none_or(|next| next.is(&ENDS));
    let Some(before) = first.checked_sub(1) else {
        return false;
    };
    // The end of a BETWEEN counts if its start does, which is looked at by itself.
    let is_second = pieces[before].is(&["AND"]) && is_between(pieces, before);
    let compares = pieces[before].is(&COMPARISONS) || pieces[before].is(&["BETWEEN"]);
    is_second && ends || compares && ends && column_before(pieces, before)
}

/// Whether the AND at `and` is the one of a BETWEEN whose start is a date variable.
fn is_between(pieces: &[Piece<'_>], and: usize) -> bool {
    (0..and).rev().take(12).any(|at| {
        let starts = pieces[at].is(&["BETWEEN"]);
        starts && pieces[at + 1..and].iter().all(|piece| !piece.is(&["AND"]))
    })
}

/// From where to where a variable reaches with the casts around it.
fn with_casts(pieces: &[Piece<'_>], at: usize) -> (usize, usize) {
    let (mut first, mut last) = (at, at);
    loop {
        let before = |steps: usize| first.checked_sub(steps).map(|index| &pieces[index]);
        let is_before = |steps, texts: &[&str]| before(steps).is_some_and(|piece| piece.is(texts));
        let after = |steps: usize| pieces.get(last + steps);
        let is_after = |steps, texts: &[&str]| after(steps).is_some_and(|piece| piece.is(texts));
        if is_after(1, &["::"]) && matches!(after(2), Some(Piece::Name(_))) {
            last += 2;
        } else if is_before(1, &["("])
            && is_before(2, &CASTS)
            && is_after(1, &["AS"])
            && is_after(3, &[")"])
        {
            first -= 2;
            last += 3;
        } else if is_before(1, &["DATE", "TIMESTAMP", "TIMESTAMPTZ"]) {
            first -= 1;
        } else {
            return (first, last);
        }
    }
}

/// Whether a plain column, cast or not, stands before the comparison at `at`, and nothing else on its side.
fn column_before(pieces: &[Piece<'_>], at: usize) -> bool {
    let mut at = at;
    let mut step = |wanted: &dyn Fn(&Piece<'_>) -> bool| {
        let found = at.checked_sub(1).filter(|before| wanted(&pieces[*before]));
        if let Some(before) = found {
            at = before;
        }
        found.is_some()
    };
    let is_name = |piece: &Piece<'_>| matches!(piece, Piece::Name(_));
    let cast = step(&|piece| piece.is(&[")"]));
    if cast && !(step(&is_name) && step(&|piece| piece.is(&["AS"]))) {
        return false;
    }
    if !step(&is_name) {
        return false;
    }
    if !cast && step(&|piece| piece.is(&["::"])) && !step(&is_name) {
        return false;
    }
    while step(&|piece| piece.is(&["."])) {
        if !step(&is_name) {
            return false;
        }
    }
    if cast && !(step(&|piece| piece.is(&["("])) && step(&|piece| piece.is(&CASTS))) {
        return false;
    }
    at.checked_sub(1)
        .is_some_and(|before| pieces[before].is(&BEGINS))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::project::FileTree;
    use crate::project::LoadOptions;
    use crate::project::load;

    fn reach(query: &str) -> (bool, bool) {
        let mut files = FileTree::default();
        let config = "model_defaults: {dialect: duckdb, start: 2024-01-01}";
        files.insert("config.yaml", Arc::from(config));
        let head = "MODEL (name db.m, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));";
        files.insert("models/m.sql", Arc::from(format!("{head}\n{query}")));
        let (project, diagnostics) = load(&files, &LoadOptions::default());
        let model = project.models.get(&"db.m".parse().unwrap());
        let reach = Reach::of(model.unwrap_or_else(|| panic!("{diagnostics:?}")));
        (reach.back, reach.ahead)
    }

    #[test]
    fn a_plain_interval_is_all_that_a_batch_reads() {
        for filter in [
            "ds BETWEEN @start_ds AND @end_ds",
            "t.ds BETWEEN @start_date AND @end_date AND x > 1",
            "(t.ds >= @start_dt AND t.ds < @end_dt) OR (ds >= @start_ds AND ds <= @end_ds)",
            "CAST(t.ds AS DATE) BETWEEN CAST(@start_ds AS DATE) AND CAST(@end_ds AS DATE)",
            "ds::DATE BETWEEN @start_ds::DATE AND @end_ds::DATE GROUP BY 1",
            "ds BETWEEN DATE @start_ds AND DATE @end_ds",
        ] {
            let found = reach(&format!("SELECT ds FROM raw.t WHERE {filter}"));
            assert_eq!(found, (false, false), "{filter}");
        }
    }

    #[test]
    fn what_is_computed_from_its_ends_may_be_anywhere() {
        for filter in [
            "ds BETWEEN @start_date - 6 AND @end_date",
            "ds BETWEEN @start_date AND @end_date + INTERVAL 1 DAY",
            "ds >= date_trunc('month', @start_date) AND ds <= @end_date",
            "ds + 6 >= @start_date AND ds <= @end_date",
            "ds + INTERVAL 6 DAY >= @start_date AND ds <= @end_date",
            "ds BETWEEN CAST(@start_ds AS DATE) - 6 AND @end_date",
            "date_trunc('month', ds) = @start_date AND ds <= @end_date",
        ] {
            let found = reach(&format!("SELECT ds FROM raw.t WHERE {filter}"));
            assert_eq!(found, (true, true), "{filter}");
        }
    }

    #[test]
    fn an_end_that_is_not_named_is_open() {
        let from = "SELECT ds FROM raw.t";
        assert_eq!(reach(from), (true, true));
        assert_eq!(reach(&format!("{from} WHERE ds <= @end_ds")), (true, false));
        assert_eq!(
            reach(&format!("{from} WHERE ds >= @start_ds")),
            (false, true)
        );
    }
}
