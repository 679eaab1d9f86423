//! A thread that runs one piece of work after the other.
//!
//! The runtime's own threads for what blocks take turns, so each statement of a connection would run on another one than
//! the one before: what DuckDB keeps for a thread, memory above all, would move from core to core each time.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::mpsc;

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// The way to a thread, which ends when nobody has it any more.
#[derive(Clone)]
pub(super) struct Worker {
    queue: mpsc::Sender<Work>,
}

impl Worker {
    /// A thread of its own; the runtime that this is called in waits for its end when it ends itself.
    pub(super) fn start() -> Self {
        let (queue, work) = mpsc::channel::<Work>();
        tokio::task::spawn_blocking(move || {
            for work in work {
                // Whoever waits for it hears of a panic; the next one has nothing to do with it.
                catch_unwind(AssertUnwindSafe(work)).ok();
            }
        });
        Self { queue }
    }

    /// What `work` returns, which begins at once, waited for or not; `None` when it panics.
    pub(super) fn run<T, W>(&self, work: W) -> impl Future<Output = Option<T>> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (done, given) = oneshot::channel();
        let work = move || {
            // Nobody waits any more.
            done.send(work()).ok();
        };
        let sent = self.queue.send(Box::new(work)).is_ok();
        async move {
            match sent {
                true => given.await.ok(),
                false => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn all_work_runs_on_one_thread_in_its_order() {
        let worker = Worker::start();
        let first = worker.run(|| thread::current().id());
        let second = worker.run(|| thread::current().id());
        let (first, second) = (first.await, second.await);
        assert!(first.is_some() && first == second);
        assert_ne!(first, Some(thread::current().id()));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_does_not_end_the_thread() {
        let worker = Worker::start();
        let failed: Option<()> = worker.run(|| panic!("on purpose")).await;
        assert_eq!(failed, None);
        assert_eq!(worker.run(|| 1).await, Some(1));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_done() {
        let worker = Worker::start();
        let (done, given) = oneshot::channel();
        drop(worker.run(move || done.send(7)));
        assert_eq!(given.await, Ok(7));
    }
}
