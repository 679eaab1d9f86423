//! All tests of this process share one PostgreSQL; a story that makes it crash waits until nobody else needs it.

use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// How many use the server; `None` while one has it alone.
static USERS: Mutex<Option<usize>> = Mutex::new(Some(0));
static CHANGED: Condvar = Condvar::new();

fn users() -> MutexGuard<'static, Option<usize>> {
    USERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server may be used until this is dropped.
pub(crate) struct Turn {
    is_alone: bool,
}

impl Turn {
    /// With others.
    pub(crate) fn shared() -> Self {
        let waiting = CHANGED.wait_while(users(), |users| users.is_none());
        let mut users = waiting.unwrap_or_else(PoisonError::into_inner);
        *users = users.map(|count| count + 1);
        Self { is_alone: false }
    }

    /// With nobody else.
    pub(crate) fn alone() -> Self {
        let waiting = CHANGED.wait_while(users(), |users| *users != Some(0));
        *waiting.unwrap_or_else(PoisonError::into_inner) = None;
        Self { is_alone: true }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut users = users();
        *users = if self.is_alone {
            Some(0)
        } else {
            users.map(|count| count - 1)
        };
        drop(users);
        CHANGED.notify_all();
    }
}
