//! The parts of a configuration that are about carrying out: `run`.

use std::time::Duration;

use crate::project::config::reader::Reader;
use crate::project::config::reader::Unsupported;
use crate::project::yaml::Node;

/// `run`: how work is carried out, in plans too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunConfig {
    /// `retries`: how often a batch is tried again after an error that may pass; 3 unless set.
    pub retries: u32,
    /// `retry_delay_seconds`: before the first of them; each next waits twice as long. 1 second unless set.
    pub retry_delay: Duration,
    /// `environment_check_max_wait` in seconds: how long to wait for another process; 6 hours unless set.
    pub longest_wait: Duration,
    /// `stop_grace_seconds`: how long the running batch may go on after the first signal; 10 seconds unless set.
    pub stop_grace: Duration,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            retries: 3,
            retry_delay: Duration::from_secs(1),
            longest_wait: Duration::from_secs(6 * 60 * 60),
            stop_grace: Duration::from_secs(10),
        }
    }
}

const RUN_KEYS: [&str; 4] = [
    "retries",
    "retry_delay_seconds",
    "environment_check_max_wait",
    "stop_grace_seconds",
];

/// `run`.
pub(super) fn run(reader: &mut Reader<'_>, root: &Node) -> RunConfig {
    const WHAT: &str = "run";
    let defaults = RunConfig::default();
    // Siding looks several times a second.
    let unsupported = [("environment_check_interval", Unsupported::Harmless)];
    let section = root
        .get(WHAT)
        .and_then(|node| reader.section(node, WHAT, &RUN_KEYS, &unsupported));
    let Some(node) = section else {
        return defaults;
    };
    let mut seconds = |key, default| {
        reader
            .whole(node, WHAT, key)
            .map_or(default, |seconds| Duration::from_secs(u64::from(seconds)))
    };
    let retry_delay = seconds("retry_delay_seconds", defaults.retry_delay);
    let longest_wait = seconds("environment_check_max_wait", defaults.longest_wait);
    let stop_grace = seconds("stop_grace_seconds", defaults.stop_grace);
    RunConfig {
        retries: reader
            .whole(node, WHAT, "retries")
            .unwrap_or(defaults.retries),
        retry_delay,
        longest_wait,
        stop_grace,
    }
}
