//! What filling takes, as far as the past tells: time and rows per interval, with a range and with what it is based on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Model;
use crate::model::ModelName;
use crate::plan::Work;
use crate::plan::interval_unit;
use crate::plan::unit_counter;

/// What a plan's backfill takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEstimate {
    /// By model; only those that are filled.
    pub models: BTreeMap<String, Estimate>,
    /// All of them one after another, as far as they are known.
    pub milliseconds: Spread,
    /// The same in millionths of `currency`; `None` where no price is configured.
    pub price_millionths: Option<Spread>,
    /// Of the price.
    pub currency: Option<String>,
    /// How many models nothing is known about.
    pub unknown: usize,
}

impl PlanEstimate {
    /// All of it together; `None` where nothing is known.
    pub fn in_words(&self) -> Option<String> {
        let known = self.models.len().checked_sub(self.unknown)?;
        if known == 0 {
            return None;
        }
        let time = self.milliseconds;
        let price = self.price_millionths.map_or_else(String::new, |price| {
            let currency = self.currency.as_deref();
            format!(
                ", {} ({} to {})",
                money(price.likely, currency),
                money(price.low, currency),
                money(price.high, currency)
            )
        });
        let unknown = match self.unknown {
            0 => String::new(),
            1 => ", and 1 model about which nothing is known".to_owned(),
            some => format!(", and {some} models about which nothing is known"),
        };
        if time.high < 100 {
            return Some(format!("Work of {}{price}{unknown}.", seconds(time.high)));
        }
        Some(format!(
            "Work of about {} ({} to {}){price}{unknown}.",
            seconds(time.likely),
            seconds(time.low),
            seconds(time.high)
        ))
    }
}

/// What filling one model takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// How many intervals are filled; 1 for a model that is built whole.
    pub units: u64,
    /// Time; `None` where nothing is known.
    pub milliseconds: Option<Spread>,
    /// Rows, where known.
    pub rows: Option<u64>,
    /// Bytes that are read from where the data are kept, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// In millionths of the currency; `None` where the time is not known or no price is configured.
    pub price_millionths: Option<Spread>,
    /// How many batches of its own past it is based on.
    pub runs: usize,
    /// What it is based on, such as `31 days × 4.1 s, from 12 runs`.
    pub basis: String,
}

/// A value that is not known exactly: of ten times, eight are between `low` and `high`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Seldom less.
    pub low: u64,
    /// As often less as more.
    pub likely: u64,
    /// Seldom more.
    pub high: u64,
}

impl Spread {
    fn map(self, convert: impl Fn(u64) -> u64) -> Self {
        Self {
            low: convert(self.low),
            likely: convert(self.likely),
            high: convert(self.high),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            low: self.low.saturating_add(other.low),
            likely: self.likely.saturating_add(other.likely),
            high: self.high.saturating_add(other.high),
        }
    }
}

/// One batch of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastBatch {
    /// How many intervals it covered.
    pub units: u64,
    /// Rows written, where known.
    pub rows: Option<u64>,
    /// Bytes processed, where known.
    pub bytes: Option<u64>,
    /// Time.
    pub took: Duration,
}

/// What things cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Millionths of the currency for a second.
    pub per_second: Option<u64>,
    /// Millionths of the currency for 1,000,000,000 bytes.
    pub per_gigabyte: Option<u64>,
    /// Its name.
    pub currency: Option<String>,
}

/// What is known about the past and about the engine's plans.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The latest batches of each model, of whichever version.
    pub past: BTreeMap<ModelName, Vec<PastBatch>>,
    /// How many rows the engine expects of all intervals of a model together.
    pub expected_rows: BTreeMap<ModelName, u64>,
}

/// What filling `work` takes; `model` finds a model's definition.
pub fn estimate<'a>(
    work: &[Work],
    model: impl Fn(&ModelName) -> Option<&'a Model>,
    known: &Known,
    prices: &Prices,
) -> PlanEstimate {
    let rates = rates(known);
    let mut total = PlanEstimate {
        currency: prices.currency.clone(),
        ..PlanEstimate::default()
    };
    let has_price = prices.per_second.is_some() || prices.per_gigabyte.is_some();
    let mut price = Spread::default();
    for item in work.iter().filter(|item| !item.batches.is_empty()) {
        let Some(definition) = model(&item.name) else {
            continue;
        };
        let units: u64 = item
            .batches
            .iter()
            .copied()
            .map(unit_counter(definition))
            .sum();
        let one = of_model(definition, units, known, &rates, prices);
        match one.milliseconds {
            Some(time) => total.milliseconds = total.milliseconds.plus(time),
            None => total.unknown += 1,
        }
        price = price.plus(one.price_millionths.unwrap_or_default());
        total.models.insert(item.name.to_string(), one);
    }
    total.price_millionths = has_price.then_some(price);
    total
}

/// Milliseconds that a million rows take in this warehouse, sorted; empty where no batch has told its rows.
fn rates(known: &Known) -> Vec<u64> {
    let batches = known.past.values().flatten();
    let mut rates: Vec<u64> = batches
        .filter_map(|batch| {
            let rows = batch.rows.filter(|rows| *rows > 0)?;
            Some(millis(batch.took).saturating_mul(1_000_000) / rows)
        })
        .collect();
    rates.sort_unstable();
    rates
}

fn of_model(model: &Model, units: u64, known: &Known, rates: &[u64], prices: &Prices) -> Estimate {
    let times = |batches: &[PastBatch]| -> Vec<u64> {
        let per_unit = batches
            .iter()
            .map(|batch| millis(batch.took) / batch.units.max(1));
        let mut times: Vec<u64> = per_unit.collect();
        times.sort_unstable();
        times
    };
    let count = counted(model, units);
    let whole = model.kind.only_execution_time();
    let own = known.past.get(&model.name).map(Vec::as_slice);
    let own = own.unwrap_or_default();
    let mut rows = rows_of(own, units);
    let (per_unit, basis) = if let Some(time) = spread(&times(own)) {
        let runs = if own.len() == 1 { "run" } else { "runs" };
        let basis = format!(
            "{count} × {}, from {} {runs}",
            seconds(time.likely),
            own.len()
        );
        (Some(time), basis)
    } else if let (Some(expected), Some(rate)) =
        (known.expected_rows.get(&model.name), spread(rates))
    {
        rows = Some(*expected);
        let all = rate.map(|rate| rate.saturating_mul(*expected) / 1_000_000);
        // What the engine expects is often wrong by a factor of ten either way.
        let guess = Spread {
            low: all.low / 3,
            likely: all.likely,
            high: all.high.saturating_mul(3),
        };
        let basis = format!(
            "{expected} rows by the engine's plan × {} for a million",
            seconds(rate.likely)
        );
        return priced(
            Estimate {
                units,
                milliseconds: Some(guess),
                rows,
                bytes: None,
                price_millionths: None,
                runs: 0,
                basis,
            },
            prices,
        );
    } else {
        let parents = model.depends_on.iter();
        let mut near: Vec<(&ModelName, Spread)> = parents
            .filter_map(|parent| {
                let batches = known.past.get(parent)?;
                Some((parent, spread(&times(batches))?))
            })
            .collect();
        near.sort_by_key(|(_, time)| std::cmp::Reverse(time.likely));
        match near.first() {
            Some((parent, time)) => {
                let guess = Spread {
                    low: time.low / 3,
                    likely: time.likely,
                    high: time.high.saturating_mul(3),
                };
                let basis = format!(
                    "{count} × {}, as `{parent}` takes, which it reads",
                    seconds(time.likely)
                );
                (Some(guess), basis)
            }
            None => (None, "nothing like it was filled before".to_owned()),
        }
    };
    let times = if whole { 1 } else { units };
    let estimate = Estimate {
        units,
        milliseconds: per_unit.map(|time| time.map(|one| one.saturating_mul(times))),
        rows,
        bytes: bytes_of(own, units),
        price_millionths: None,
        runs: own.len(),
        basis,
    };
    priced(estimate, prices)
}

fn priced(mut estimate: Estimate, prices: &Prices) -> Estimate {
    let by_time = prices.per_second.zip(estimate.milliseconds);
    let by_time = by_time.map(|(price, time)| time.map(|ms| ms.saturating_mul(price) / 1_000));
    let by_bytes = prices.per_gigabyte.zip(estimate.bytes);
    let by_bytes = by_bytes.map(|(price, bytes)| bytes.saturating_mul(price) / 1_000_000_000);
    estimate.price_millionths = match (by_time, by_bytes) {
        (None, None) => None,
        (time, bytes) => {
            let bytes = bytes.unwrap_or(0);
            let time = time.unwrap_or_default();
            Some(time.map(|time| time.saturating_add(bytes)))
        }
    };
    estimate
}

/// Rows of `units` intervals, by the median of those that told theirs.
fn rows_of(past: &[PastBatch], units: u64) -> Option<u64> {
    let per_unit = past
        .iter()
        .filter_map(|batch| Some(batch.rows? / batch.units.max(1)));
    let mut per_unit: Vec<u64> = per_unit.collect();
    per_unit.sort_unstable();
    Some(spread(&per_unit)?.likely.saturating_mul(units))
}

fn bytes_of(past: &[PastBatch], units: u64) -> Option<u64> {
    let per_unit = past
        .iter()
        .filter_map(|batch| Some(batch.bytes? / batch.units.max(1)));
    let mut per_unit: Vec<u64> = per_unit.collect();
    per_unit.sort_unstable();
    Some(spread(&per_unit)?.likely.saturating_mul(units))
}

/// The tenth, fifth and ninth tenth of sorted values; `None` without any.
fn spread(sorted: &[u64]) -> Option<Spread> {
    let last = sorted.len().checked_sub(1)?;
    Some(Spread {
        low: sorted[last / 10],
        likely: sorted[last / 2],
        high: sorted[last - last / 10],
    })
}

/// `31 days`, or `once`.
fn counted(model: &Model, units: u64) -> String {
    if model.kind.only_execution_time() {
        return "once".to_owned();
    }
    let unit = interval_unit(model).name().replace('_', " ");
    if units == 1 {
        format!("1 {unit}")
    } else {
        format!("{units} {unit}s")
    }
}

/// Milliseconds as people read them: `4.1 s`, `12 min`, `3.5 h`.
pub fn seconds(millis: u64) -> String {
    let tenths = |unit: u64, name: &str| {
        let tenths = millis.saturating_mul(10) / unit;
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    };
    match millis {
        1..100 => "under 0.1 s".to_owned(),
        0..120_000 => tenths(1_000, "s"),
        120_000..7_200_000 => tenths(60_000, "min"),
        _ => tenths(3_600_000, "h"),
    }
}

/// Bytes as people read them: `1.5 GB`.
pub fn gigabytes(bytes: u64) -> String {
    let tenths = |unit: u64, name: &str| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..1_000_000 => tenths(1_000, "kB"),
        1_000_000..1_000_000_000 => tenths(1_000_000, "MB"),
        _ => tenths(1_000_000_000, "GB"),
    }
}

/// Millionths of a currency as people read them: `0.35 EUR`.
pub fn money(millionths: u64, currency: Option<&str>) -> String {
    let cents = millionths.div_ceil(10_000);
    let currency = currency.unwrap_or("").trim();
    format!("{}.{:02} {currency}", cents / 100, cents % 100)
        .trim_end()
        .to_owned()
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(units: u64, rows: u64, millis: u64) -> PastBatch {
        PastBatch {
            units,
            rows: Some(rows),
            bytes: None,
            took: Duration::from_millis(millis),
        }
    }

    #[test]
    fn of_many_runs_the_middle_counts_and_the_extremes_make_the_range() {
        let sorted: Vec<u64> = (0..=100).collect();
        let found = spread(&sorted).unwrap();
        assert_eq!((found.low, found.likely, found.high), (10, 50, 90));
        let one = spread(&[7]).unwrap();
        assert_eq!((one.low, one.likely, one.high), (7, 7, 7));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_batch_of_ten_days_tells_what_one_day_takes() {
        assert_eq!(rows_of(&[batch(10, 1_000, 5_000)], 31), Some(3_100));
        let known = Known {
            past: BTreeMap::from([("db.a".parse().unwrap(), vec![batch(10, 500, 5_000)])]),
            ..Known::default()
        };
        assert_eq!(rates(&known), [10_000_000]);
    }

    #[test]
    fn times_and_prices_are_written_as_people_read_them() {
        for (millis, text) in [
            (40, "under 0.1 s"),
            (4_130, "4.1 s"),
            (119_000, "119.0 s"),
            (150_000, "2.5 min"),
            (12_600_000, "3.5 h"),
        ] {
            assert_eq!(seconds(millis), text);
        }
        assert_eq!(gigabytes(1_000), "1.0 kB");
        assert_eq!(gigabytes(1_550_000_000), "1.5 GB");
        assert_eq!(money(345_000, Some("EUR")), "0.35 EUR");
        assert_eq!(money(12_000_000, None), "12.00");
    }

    #[test]
    fn a_price_is_of_time_and_of_bytes() {
        let estimate = Estimate {
            units: 1,
            milliseconds: Some(Spread {
                low: 1_000,
                likely: 2_000,
                high: 4_000,
            }),
            rows: None,
            bytes: Some(500_000_000),
            price_millionths: None,
            runs: 0,
            basis: String::new(),
        };
        let prices = Prices {
            per_second: Some(500),
            per_gigabyte: Some(2_000_000),
            currency: None,
        };
        let price = priced(estimate, &prices).price_millionths;
        let price = price.unwrap();
        assert_eq!(
            (price.low, price.likely, price.high),
            (1_000_500, 1_001_000, 1_002_000)
        );
    }
}
