//! How work may be stopped, tried again, and told apart from that of other processes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use tokio::sync::watch;

use crate::scheduler::Around;
use crate::state::Holder;

/// Where the time comes from: leases need the real one, even where `now` is replaced.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What a command may do, and who it is.
#[derive(Clone)]
pub struct Control {
    /// The real time.
    pub clock: Clock,
    /// Who this is, for other processes.
    pub holder: Holder,
    /// Whether somebody wants it to end.
    pub stop: Stop,
    /// How long a running batch may take to finish once that is so; then it is rolled back.
    pub grace: Duration,
    /// What is tried again.
    pub retries: Retries,
    /// Statements of the project before and after everything else.
    pub around: Around,
    /// How long a lease lasts that is not renewed; it is renewed four times in that time.
    pub lease: Duration,
    /// How long to wait for somebody else at most.
    pub longest_wait: Duration,
}

impl fmt::Debug for Control {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Control")
            .field("holder", &self.holder)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// For `holder` by `clock`; never asked to stop, with the usual limits.
    pub fn new(holder: Holder, clock: Clock) -> Self {
        Self {
            clock,
            holder,
            stop: Stop::never(),
            grace: Duration::from_secs(10),
            retries: Retries::default(),
            around: Around::default(),
            lease: Duration::from_secs(60),
            longest_wait: Duration::from_secs(6 * 60 * 60),
        }
    }

    /// The real time.
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

/// How often a batch is tried again after an error that may pass, and how long to wait before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// After the first try.
    pub most: u32,
    /// Before the first one; each next waits twice as long, up to a minute.
    pub delay: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            most: 3,
            delay: Duration::from_secs(1),
        }
    }
}

impl Retries {
    /// How long to wait after `tried` failures; `None` when that was all.
    pub fn delay_after(self, tried: u32) -> Option<Duration> {
        let doubled = 1_u32
            .checked_shl(tried.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let delay = self.delay.saturating_mul(doubled);
        (tried <= self.most).then(|| delay.min(Duration::from_secs(60)))
    }
}

/// Whether somebody wants the work to end. Cloning gives the same.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Asks for the end of what has the [`Stop`].
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

impl Stop {
    /// Nobody ever asks.
    pub fn never() -> Self {
        Self(watch::channel(false).1)
    }

    /// A switch and what it stops.
    pub fn with_switch() -> (StopSwitch, Self) {
        let (sender, receiver) = watch::channel(false);
        (StopSwitch(sender), Self(receiver))
    }

    /// Whether somebody has asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once somebody asks.
    pub async fn asked(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl StopSwitch {
    /// Asks for the end.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }
}

/// The work ended because somebody wanted it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before it was done")]
pub struct Stopped;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_try_waits_twice_as_long_and_never_over_a_minute() {
        let retries = Retries {
            most: 40,
            delay: Duration::from_secs(1),
        };
        let seconds = |tried| retries.delay_after(tried).map(|delay| delay.as_secs());
        let some = [1, 2, 3, 7, 40, 41].map(seconds);
        assert_eq!(some, [Some(1), Some(2), Some(4), Some(60), Some(60), None]);
    }

    #[tokio::test]
    async fn a_stop_is_seen_by_all_that_watch() {
        let (switch, stop) = Stop::with_switch();
        let other = stop.clone();
        assert!(!stop.is_asked());
        switch.ask();
        other.asked().await;
        assert!(stop.is_asked());
    }
}
