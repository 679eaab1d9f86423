//! Changes a text in places without touching the rest.

use std::ops::Range;

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Location;

/// Collects replacements of parts of a text.
pub(super) struct Splices<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Splices<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(index, _)| index + 1))
            .collect();
        Self {
            text,
            line_starts,
            edits: Vec::new(),
        }
    }

    /// The byte at a place of the parser, which counts lines and characters from one.
    pub(super) fn offset(&self, location: Location) -> Option<usize> {
        let line = usize::try_from(location.line.checked_sub(1)?).ok()?;
        let column = usize::try_from(location.column.checked_sub(1)?).ok()?;
        let start = *self.line_starts.get(line)?;
        let rest = self.text.get(start..)?;
        let length = rest
            .char_indices()
            .map(|(index, _)| index)
            .chain(std::iter::once(rest.len()))
            .nth(column)?;
        Some(start + length)
    }

    /// The bytes of a dotted name; `None` when the parser's places do not hold it.
    pub(super) fn name_range(&self, name: &[&Ident]) -> Option<Range<usize>> {
        let first = name.first()?;
        let last = name.last()?;
        let range = self.offset(first.span.start)?..self.offset(last.span.end)?;
        // A name that BigQuery quotes as a whole is cut by the parser into parts of one span.
        let one_span = name.len() > 1 && name.iter().all(|part| part.span == first.span);
        let all_there = name.iter().all(|part| self.holds(part));
        (one_span || all_there).then_some(range)
    }

    /// Where `TABLE` stands when it is the word before `offset`: `TABLE t`.
    pub(super) fn table_word_before(&self, offset: usize) -> Option<usize> {
        let before = self.text.get(..offset)?.trim_end();
        let start = before.len().checked_sub("TABLE".len())?;
        let is_table = before.get(start..)?.eq_ignore_ascii_case("TABLE");
        let part_of_name = |c: char| c.is_alphanumeric() || "_$.\"`".contains(c);
        (is_table && !before[..start].ends_with(part_of_name)).then_some(start)
    }

    fn holds(&self, ident: &Ident) -> bool {
        let range = self
            .offset(ident.span.start)
            .zip(self.offset(ident.span.end));
        let Some(slice) = range.and_then(|(start, end)| self.text.get(start..end)) else {
            return false;
        };
        match ident.quote_style {
            None => slice == ident.value,
            Some(open) => {
                let close = if open == '[' { ']' } else { open };
                let inner = slice
                    .strip_prefix(open)
                    .and_then(|rest| rest.strip_suffix(close));
                inner.is_some_and(|inner| {
                    inner.replace(&format!("{close}{close}"), &close.to_string()) == ident.value
                })
            }
        }
    }

    pub(super) fn replace(&mut self, range: Range<usize>, with: String) {
        self.edits.push((range, with));
    }

    /// The text with every change; of two changes that overlap the first wins.
    pub(super) fn finish(mut self) -> String {
        self.edits
            .sort_by_key(|(range, _)| (range.start, range.end));
        let mut changed = String::with_capacity(self.text.len());
        let mut done = 0;
        for (range, with) in self.edits {
            if range.start < done {
                continue;
            }
            changed.push_str(&self.text[done..range.start]);
            changed.push_str(&with);
            done = range.end;
        }
        changed.push_str(&self.text[done..]);
        changed
    }
}
