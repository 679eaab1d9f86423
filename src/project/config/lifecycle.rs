//! The parts of a configuration that are about carrying out: `run`, `estimates`.

use std::time::Duration;

use chrono::DateTime;

use crate::diagnostic::Diagnostic;
use crate::model::RuntimeValues;
use crate::model::Template;
use crate::project::config::reader::Reader;
use crate::project::config::reader::Unsupported;
use crate::project::yaml::Node;
use crate::sql::Dialect;

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

/// A statement of `before_all` or `after_all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedStatement {
    /// As it is written.
    pub text: String,
    /// The line of the configuration that it begins in, from 1.
    pub line: usize,
}

/// `before_all` or `after_all`. Macros other than `@this_env`, `@runtime_stage` and the execution time are errors.
pub(super) fn statements(
    reader: &mut Reader<'_>,
    root: &Node,
    key: &str,
    dialect: Dialect,
) -> Vec<PlacedStatement> {
    let values = RuntimeValues {
        range: None,
        execution_time: DateTime::UNIX_EPOCH,
        this_model: None,
        runtime_stage: "loading",
    };
    let texts = reader.texts(root, "", key);
    for (text, place) in &texts {
        let known = Template::new(text.replace("@this_env", "''"));
        if let Err(error) = known.render(&values, dialect) {
            let diagnostic = Diagnostic::error("not-supported-yet", format!("`{key}`: {error}"))
                .help("Statements may use `@this_env`, `@runtime_stage` and the execution time.");
            reader.report(diagnostic, *place);
        }
    }
    let placed = texts.into_iter().map(|(text, place)| PlacedStatement {
        text,
        line: place.line,
    });
    placed.collect()
}

/// `estimates`: what things cost, so that plans can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EstimateConfig {
    /// `price_per_second` of a batch, in millionths of the currency.
    pub price_per_second: Option<u64>,
    /// `currency`: its name.
    pub currency: Option<String>,
}

const ESTIMATE_KEYS: [&str; 2] = ["price_per_second", "currency"];
/// No engine that there is says of every statement how many bytes it reads.
const NO_ESTIMATE_KEYS: [(&str, Unsupported); 1] = [("price_per_gigabyte", Unsupported::Harmless)];

/// `estimates`.
pub(super) fn estimates(reader: &mut Reader<'_>, root: &Node) -> EstimateConfig {
    const WHAT: &str = "estimates";
    let section = root
        .get(WHAT)
        .and_then(|node| reader.section(node, WHAT, &ESTIMATE_KEYS, &NO_ESTIMATE_KEYS));
    let Some(node) = section else {
        return EstimateConfig::default();
    };
    EstimateConfig {
        price_per_second: price(reader, node, WHAT, "price_per_second"),
        currency: reader.text(node, WHAT, "currency"),
    }
}

fn price(reader: &mut Reader<'_>, node: &Node, what: &str, key: &str) -> Option<u64> {
    let text = reader.text(node, what, key)?;
    let price = millionths(&text);
    if price.is_none() {
        let message = format!("`{what}.{key}: {text}` is no price");
        let diagnostic = Diagnostic::error("wrong-value", message)
            .help("Write a number such as `0.0005`, with six decimals at most.");
        reader.report(diagnostic, Reader::place(node, key));
    }
    price
}

/// `0.0005` as 500.
fn millionths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !is_number(whole) || !is_number(part) {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?;
    whole.checked_add(format!("{part:0<6}").parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_six_decimals_at_most() {
        let read = ["2", "0.0005", "1.5", "0.0000001", "-1", "1e3", ""].map(millionths);
        let expected = [
            Some(2_000_000),
            Some(500),
            Some(1_500_000),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(read, expected);
    }
}
