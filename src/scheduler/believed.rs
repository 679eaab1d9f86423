//! What was found out a moment ago and is not asked again for each small batch.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// How long an answer is believed, and how long a written batch waits for its record at most.
pub(super) const MOMENT: Duration = Duration::from_millis(100);

/// When something was last seen to be as it should; never, by default.
#[derive(Default)]
pub(super) struct Believed(Mutex<Option<Instant>>);

impl Believed {
    /// Whether that was a moment ago.
    pub(super) fn still(&self) -> bool {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|seen| seen.elapsed() < MOMENT)
    }

    /// It was asked at `asked`, and was as it should be.
    pub(super) fn since(&self, asked: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_believed_from_when_it_was_asked_for_and_for_a_moment() {
        let believed = Believed::default();
        assert!(!believed.still());
        believed.since(Instant::now());
        assert!(believed.still());
        believed.since(Instant::now().checked_sub(MOMENT).unwrap());
        assert!(!believed.still());
    }
}
