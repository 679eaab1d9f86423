//! Which SELECTs of a query see rows that no filter by time has thinned out yet.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::mem::take;

use crate::plan::reach::pieces::Piece;

const QUERY_BEGINS: [&str; 3] = ["SELECT", "WITH", "FROM"];
const SET_OPERATIONS: [&str; 3] = ["UNION", "EXCEPT", "INTERSECT"];
/// What may stand in a list of columns that are passed on as they are.
const PLAIN: [&str; 4] = [",", ".", "*", "AS"];
/// What makes one row of several, or leaves out rows because of others.
const MIXES: [&str; 6] = ["OVER", "GROUP", "DISTINCT", "LIMIT", "QUALIFY", "HAVING"];

/// Whether some SELECT computes something (a window, an aggregate, another time) of rows that are filtered by time
/// later or not at all.
pub(super) fn reads_beyond_filters(pieces: &[Piece<'_>]) -> bool {
    let queries = queries(pieces);
    let bounded = bounded_names(pieces, &queries);
    let is_unbounded = |branch: &Branch| {
        let mut after_windows = false;
        let filtered = branch.own.iter().any(|at| {
            after_windows |= pieces[*at].is(&["QUALIFY"]);
            matches!(pieces[*at], Piece::Time(_)) && !after_windows
        });
        let reads_filtered = branch.inner.iter().any(|start| {
            let inner = &queries[start];
            inner.name.is_none() && has_time(&pieces[*start..inner.end])
        });
        let names_filtered = branch
            .own
            .iter()
            .any(|at| !branch.names.contains(at) && is_one_of(&pieces[*at], &bounded));
        let reads = branch.own.iter().any(|at| pieces[*at].is(&["FROM"]));
        reads && !filtered && !reads_filtered && !names_filtered && !passes_on(pieces, &branch.own)
    };
    queries
        .iter()
        .flat_map(|(start, query)| branches(pieces, &queries, *start, query.end))
        .any(|branch| is_unbounded(&branch))
}

/// A query with or without a name, in brackets or the whole.
struct Query {
    /// Behind its last piece.
    end: usize,
    /// Where the name of a common table expression stands.
    name: Option<usize>,
}

/// One of the SELECTs that set operations combine, as places of pieces.
#[derive(Default)]
struct Branch {
    /// Without those of the queries in it.
    own: Vec<usize>,
    /// Where those begin.
    inner: Vec<usize>,
    /// Where they are given names.
    names: BTreeSet<usize>,
}

/// All of them by where they begin; the whole begins first.
fn queries(pieces: &[Piece<'_>]) -> BTreeMap<usize, Query> {
    let whole = Query {
        end: pieces.len(),
        name: None,
    };
    let mut found = BTreeMap::from([(0, whole)]);
    let mut open = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        if piece.is(&["("]) {
            open.push(at);
        } else if piece.is(&[")"])
            && let Some(bracket) = open.pop()
            && pieces[bracket + 1].is(&QUERY_BEGINS)
        {
            let name = name_before(pieces, bracket);
            found.insert(bracket + 1, Query { end: at, name });
        }
    }
    found
}

/// The name in `name AS [NOT] [MATERIALIZED] (`, whose bracket is at `bracket`; columns may be listed behind it.
fn name_before(pieces: &[Piece<'_>], bracket: usize) -> Option<usize> {
    let mut before = bracket.checked_sub(1)?;
    while pieces[before].is(&["MATERIALIZED", "NOT"]) {
        before = before.checked_sub(1)?;
    }
    if !pieces[before].is(&["AS"]) {
        return None;
    }
    before = before.checked_sub(1)?;
    if pieces[before].is(&[")"]) {
        let columns = (0..before).rev().find(|at| pieces[*at].is(&["("]))?;
        before = columns.checked_sub(1)?;
    }
    matches!(pieces[before], Piece::Name(_)).then_some(before)
}

/// The common table expressions that are filtered by time, or read one that is.
fn bounded_names(pieces: &[Piece<'_>], queries: &BTreeMap<usize, Query>) -> BTreeSet<String> {
    let mut bounded = BTreeSet::new();
    loop {
        let before = bounded.len();
        for (start, query) in queries {
            let Some(Piece::Name(name)) = query.name.map(|at| &pieces[at]) else {
                continue;
            };
            let own = &pieces[*start..query.end];
            if has_time(own) || own.iter().any(|piece| is_one_of(piece, &bounded)) {
                bounded.insert(plain(name));
            }
        }
        if bounded.len() == before {
            return bounded;
        }
    }
}

/// What the query between these places is made of.
fn branches(
    pieces: &[Piece<'_>],
    queries: &BTreeMap<usize, Query>,
    start: usize,
    end: usize,
) -> Vec<Branch> {
    let mut branches = Vec::new();
    let mut branch = Branch::default();
    let mut at = start;
    while at < end {
        if at != start
            && let Some(inner) = queries.get(&at)
        {
            branch.inner.push(at);
            branch.names.extend(inner.name);
            at = inner.end;
            continue;
        }
        if pieces[at].is(&SET_OPERATIONS) {
            branches.push(take(&mut branch));
        } else {
            branch.own.push(at);
        }
        at += 1;
    }
    branches.push(branch);
    branches
}

/// Whether it hands on rows and columns as they are.
fn passes_on(pieces: &[Piece<'_>], parts: &[usize]) -> bool {
    let mut is_list = false;
    parts.iter().all(|at| {
        let piece = &pieces[*at];
        if piece.is(&["SELECT"]) {
            is_list = true;
            return true;
        }
        is_list &= !piece.is(&["FROM"]);
        let is_number =
            matches!(piece, Piece::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()));
        let is_plain = matches!(piece, Piece::Name(_)) || piece.is(&PLAIN) || is_number;
        !piece.is(&MIXES) && (is_plain || !is_list)
    })
}

fn has_time(pieces: &[Piece<'_>]) -> bool {
    pieces.iter().any(|piece| matches!(piece, Piece::Time(_)))
}

fn is_one_of(piece: &Piece<'_>, names: &BTreeSet<String>) -> bool {
    matches!(piece, Piece::Name(name) if names.contains(&plain(name)))
}

/// A name as it is compared: without quotes, in small letters.
fn plain(name: &str) -> String {
    name.trim_matches(['"', '`', '[', ']']).to_ascii_lowercase()
}
