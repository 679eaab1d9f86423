//! Batches of one model that failed.

use crate::engine::EngineError;
use crate::scheduler::AuditFailure;

/// What went wrong with one model's batches so far.
#[derive(Default)]
pub(super) struct Failures {
    first: Option<anyhow::Error>,
    count: usize,
    /// Whether no other batch is begun.
    pub(super) is_over: bool,
}

impl Failures {
    /// One more, after which the others need not be tried if it `is_over`. Such a one is what is told of.
    pub(super) fn add(&mut self, error: anyhow::Error, is_over: bool) {
        if self.first.is_none() || (is_over && !self.is_over) {
            self.first = Some(error);
        }
        self.count += 1;
        self.is_over |= is_over;
    }

    /// How all of `batches` went, of which `left` were not begun.
    pub(super) fn result(self, batches: usize, left: usize) -> anyhow::Result<()> {
        let Some(first) = self.first else {
            return Ok(());
        };
        let count = self.count;
        Err(match (count, left) {
            (1, 0) => first,
            (_, 0) => first.context(format!(
                "{count} of {batches} batches failed; the first one"
            )),
            (1, _) => first.context(format!(
                "{count} of {batches} batches failed, {left} not begun"
            )),
            _ => first.context(format!(
                "{count} of {batches} batches failed, {left} not begun; the first one"
            )),
        })
    }
}

/// Whether an error says something about the rows of its batch, and nothing about the next: an audit that found bad ones, a
/// statement that the engine refused.
pub(super) fn is_of_its_batch(error: &anyhow::Error) -> bool {
    error.is::<AuditFailure>()
        || error.chain().any(|cause| {
            matches!(
                cause.downcast_ref::<EngineError>(),
                Some(EngineError::Statement { .. })
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(errors: &[(&'static str, bool)], left: usize) -> String {
        let mut failures = Failures::default();
        for (error, is_over) in errors {
            failures.add(anyhow::anyhow!(*error), *is_over);
        }
        let result = failures.result(8, left);
        result.map_or_else(|error| format!("{error:#}"), |()| "fine".to_owned())
    }

    #[test]
    fn the_first_failure_is_told_with_how_many_there_were_and_how_many_were_left() {
        assert_eq!(after(&[], 0), "fine");
        assert_eq!(after(&[("bad", false)], 0), "bad");
        assert_eq!(
            after(&[("bad", false), ("worse", false)], 0),
            "2 of 8 batches failed; the first one: bad"
        );
        assert_eq!(
            after(&[("bad", true)], 4),
            "1 of 8 batches failed, 4 not begun: bad"
        );
        assert_eq!(
            after(&[("bad", false), ("gone", true), ("late", true)], 1),
            "3 of 8 batches failed, 1 not begun; the first one: gone"
        );
    }
}
