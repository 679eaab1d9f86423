//! How far a batch looks: into its own interval only, or also at what its parents have before or behind it.
//!
//! A query is believed to stay within its interval where it compares a plain column with the plain start and end of it.
//! Everything else (`@start_ds - 6`, `date_trunc('week', @start_date)`, a window over all there is) may look further. What
//! is joined or selected as it is without any filter by time (a dimension) is believed not to change with time.

mod pieces;
mod scopes;

use crate::model::Model;
use crate::model::TimeMoment;
use crate::plan::reach::pieces::Piece;
use crate::plan::reach::pieces::pieces;
use crate::plan::reach::scopes::reads_beyond_filters;

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
        let far = Self {
            back: true,
            ahead: true,
        };
        let mut reach = far;
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
                return far;
            }
        }
        if reads_beyond_filters(&pieces) {
            far
        } else {
            reach
        }
    }

    /// Whether it is more than the batch's own interval.
    pub fn is_far(self) -> bool {
        self.back || self.ahead
    }
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
    fn what_is_made_of_rows_before_they_are_filtered_may_be_made_of_any() {
        let filter = "WHERE ds BETWEEN @start_ds AND @end_ds";
        let running = "SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM raw.t";
        let first = "SELECT id, min(ds) AS ds FROM raw.t GROUP BY id";
        for query in [
            format!("WITH r AS ({running}) SELECT ds, s FROM r {filter}"),
            format!("SELECT ds, s FROM ({running}) AS r {filter}"),
            format!("SELECT ds, id FROM ({first}) AS f {filter}"),
            format!("SELECT ds FROM (SELECT ds + 1 AS ds FROM raw.t) AS f {filter}"),
            format!("SELECT ds, x FROM raw.t {filter} UNION ALL {running}"),
            format!("WITH src AS (SELECT ds, x FROM raw.t {filter}) {running}"),
            "SELECT ds, x FROM raw.t QUALIFY lag(x) OVER (ORDER BY ds) = 1 AND ds BETWEEN @start_ds AND @end_ds"
                .to_owned(),
            format!(
                "SELECT ds, x - (SELECT avg(x) FROM raw.t) AS x FROM raw.t AS u {filter}"
            ),
        ] {
            assert_eq!(reach(&query), (true, true), "{query}");
        }
    }

    #[test]
    fn what_is_made_of_filtered_rows_stays_in_its_interval() {
        let filter = "WHERE ds BETWEEN @start_ds AND @end_ds";
        let running = "ds, sum(x) OVER (ORDER BY ds) AS s";
        for query in [
            format!("SELECT {running} FROM raw.t {filter}"),
            format!("WITH src AS (SELECT * FROM raw.t {filter}) SELECT {running} FROM src"),
            format!(
                "WITH src AS (SELECT ds, x FROM raw.t {filter}), w AS (SELECT {running} FROM src), v AS (SELECT {running} FROM w) SELECT ds FROM v"
            ),
            format!("WITH src AS (SELECT * FROM raw.t) SELECT {running} FROM src {filter}"),
            format!(
                "WITH src AS (SELECT t.ds, x AS x FROM raw.t AS t) SELECT {running} FROM src {filter}"
            ),
            format!("SELECT {running} FROM (SELECT * FROM raw.t {filter}) AS src"),
            format!(
                "SELECT ds, x FROM raw.t AS t {filter} AND EXISTS (SELECT 1 FROM raw.d WHERE d.id = t.id)"
            ),
            format!(
                "SELECT ds, x FROM raw.t {filter} QUALIFY row_number() OVER (PARTITION BY id) = 1"
            ),
        ] {
            assert_eq!(reach(&query), (false, false), "{query}");
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
