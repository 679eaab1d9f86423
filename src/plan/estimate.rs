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
use crate::plan::units::is_built_whole;

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
    /// Says so where nothing at all is known about what is filled.
    pub fn unknown_in_words(&self) -> Option<String> {
        let any = self.models.values().next()?;
        (self.unknown == self.models.len())
            .then(|| format!("How long that takes is not known: {}.", any.basis))
    }

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
        if time.likely < 100 {
            let most = if time.high < 100 {
                String::new()
            } else {
                format!(" (up to {})", seconds(time.high))
            };
            let likely = seconds(time.likely);
            return Some(format!("Work of {likely}{most}{price}{unknown}."));
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
    /// The latest batches of all models of the warehouse.
    pub latest: Vec<PastBatch>,
    /// How many rows the busiest step handles, as the engine expects, when all intervals of a model are filled.
    pub expected_rows: BTreeMap<ModelName, u64>,
    /// Whether the engine was asked.
    pub asked: bool,
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
    let mut nanos = Spread::default();
    let mut price: Option<Spread> = None;
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
        let guess = guess(definition, units, known, &rates, &model);
        match guess.time {
            Some(time) => nanos = nanos.plus(time),
            None => total.unknown += 1,
        }
        let own = known.past.get(&item.name).map(Vec::as_slice);
        let own = own.unwrap_or_default();
        let one = Estimate {
            units,
            milliseconds: guess.time.map(in_millis),
            rows: rows_of(own, units),
            price_millionths: None,
            runs: own.len(),
            basis: guess.basis,
        };
        let one = priced(one, guess.time, bytes_of(own, units), prices);
        if let Some(its) = one.price_millionths {
            price = Some(price.unwrap_or_default().plus(its));
        }
        total.models.insert(item.name.to_string(), one);
    }
    total.milliseconds = in_millis(nanos);
    total.price_millionths = price;
    total
}

/// Batches say how long a row takes only if they wrote many and took long enough to be measured.
pub const ENOUGH: (u64, Duration) = (1_000, Duration::from_millis(50));

/// Nanoseconds that a million rows take in this warehouse, sorted; empty where no batch tells.
fn rates(known: &Known) -> Vec<u64> {
    let mut rates: Vec<u64> = known
        .latest
        .iter()
        .filter_map(|batch| {
            let rows = batch.rows.filter(|rows| *rows >= ENOUGH.0)?;
            let tells = batch.took >= ENOUGH.1;
            tells.then(|| scaled(nanos(batch.took), 1_000_000, rows))
        })
        .collect();
    rates.sort_unstable();
    rates
}

/// How long something takes, in nanoseconds, and how that is known.
struct Guess {
    time: Option<Spread>,
    basis: String,
}

fn guess<'a>(
    model: &Model,
    units: u64,
    known: &Known,
    rates: &[u64],
    find: &impl Fn(&ModelName) -> Option<&'a Model>,
) -> Guess {
    let count = counted(model, units);
    let own = known.past.get(&model.name).map(Vec::as_slice);
    let own = own.unwrap_or_default();
    if let Some(time) = spread(&per_unit(own, is_built_whole(model))) {
        let runs = if own.len() == 1 { "run" } else { "runs" };
        return Guess {
            time: Some(time.map(|one| one.saturating_mul(units))),
            basis: format!("{count} × {}, from {} {runs}", pace(time.likely), own.len()),
        };
    }
    let expected = known.expected_rows.get(&model.name).copied();
    if let (Some(expected), Some(rate)) = (expected, spread(rates)) {
        let time = rate.map(|rate| scaled(rate, expected, 1_000_000));
        return Guess {
            time: Some(unsure(time)),
            basis: format!(
                "{expected} rows by the engine's plan × {} for a million",
                pace(rate.likely)
            ),
        };
    }
    let parents = model.depends_on.iter();
    let mut near: Vec<(&ModelName, bool, Spread)> = parents
        .filter_map(|parent| {
            let whole = find(parent).is_some_and(is_built_whole);
            let time = spread(&per_unit(known.past.get(parent)?, whole))?;
            Some((parent, whole, time))
        })
        .collect();
    let times = |whole: bool| if whole { 1 } else { units };
    near.sort_by_key(|(_, whole, time)| {
        std::cmp::Reverse(time.likely.saturating_mul(times(*whole)))
    });
    if let Some((parent, whole, time)) = near.first() {
        let count = if *whole { "once".to_owned() } else { count };
        return Guess {
            time: Some(unsure(time.map(|one| one.saturating_mul(times(*whole))))),
            basis: format!(
                "{count} × {}, as `{parent}` takes, which it reads",
                pace(time.likely)
            ),
        };
    }
    let basis = if known.asked {
        "nothing like it was filled before"
    } else {
        "nothing like it was filled before, and the warehouse was not asked"
    };
    Guess {
        time: None,
        basis: basis.to_owned(),
    }
}

/// Nanoseconds that each of `batches` took for one interval, sorted.
fn per_unit(batches: &[PastBatch], whole: bool) -> Vec<u64> {
    let units = |batch: &PastBatch| if whole { 1 } else { batch.units.max(1) };
    let times = batches.iter().map(|batch| nanos(batch.took) / units(batch));
    let mut times: Vec<u64> = times.collect();
    times.sort_unstable();
    times
}

/// What others tell is often wrong by a factor of several either way.
fn unsure(time: Spread) -> Spread {
    Spread {
        low: time.low / 3,
        likely: time.likely,
        high: time.high.saturating_mul(3),
    }
}

/// `estimate` with what it costs if it takes `time`, in nanoseconds.
fn priced(
    mut estimate: Estimate,
    time: Option<Spread>,
    bytes: Option<u64>,
    prices: &Prices,
) -> Estimate {
    let by_time = prices.per_second.zip(time);
    let by_time = by_time.map(|(price, time)| time.map(|one| scaled(one, price, 1_000_000_000)));
    let by_bytes = prices.per_gigabyte.zip(bytes);
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
    if is_built_whole(model) {
        return "once".to_owned();
    }
    let unit = interval_unit(model).name().replace('_', " ");
    if units == 1 {
        format!("1 {unit}")
    } else {
        format!("{units} {unit}s")
    }
}

/// Milliseconds as people read them, rounded: `4.1 s`, `12.0 min`, `3.5 h`.
pub fn seconds(millis: u64) -> String {
    match millis {
        0..100 => "under 0.1 s".to_owned(),
        100..120_000 => tenths(millis, 1_000, "s"),
        120_000..7_200_000 => tenths(millis, 60_000, "min"),
        _ => tenths(millis, 3_600_000, "h"),
    }
}

/// Nanoseconds that one thing of many takes: `4.1 s`, `76 ms`, `810 µs`.
fn pace(nanos: u64) -> String {
    match nanos {
        0..1_000 => "under 1 µs".to_owned(),
        1_000..1_000_000 => format!("{} µs", nanos / 1_000),
        1_000_000..100_000_000 => format!("{} ms", nanos / 1_000_000),
        _ => seconds(nanos / 1_000_000),
    }
}

/// `amount` in a unit, rounded to a tenth.
fn tenths(amount: u64, unit: u64, name: &str) -> String {
    let tenths = scaled(amount, 20, unit).saturating_add(1) / 2;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// Millionths of a currency as people read them: `0.35 EUR`.
pub fn money(millionths: u64, currency: Option<&str>) -> String {
    let cents = millionths.div_ceil(10_000);
    let currency = currency.unwrap_or("").trim();
    format!("{}.{:02} {currency}", cents / 100, cents % 100)
        .trim_end()
        .to_owned()
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds in milliseconds, rounded.
fn in_millis(nanos: Spread) -> Spread {
    nanos.map(|nanos| nanos.saturating_add(500_000) / 1_000_000)
}

/// `one` × `times` ÷ `per`, as far as that can be counted.
fn scaled(one: u64, times: u64, per: u64) -> u64 {
    let product = u128::from(one) * u128::from(times) / u128::from(per.max(1));
    u64::try_from(product).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use chrono::TimeDelta;

    use super::*;
    use crate::project::FileTree;
    use crate::project::LoadOptions;
    use crate::project::load;
    use crate::snapshot::Interval;
    use crate::snapshot::Version;

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
            latest: vec![batch(10, 5_000, 50_000)],
            ..Known::default()
        };
        assert_eq!(rates(&known), [10_000_000_000_000]);
    }

    #[test]
    fn times_and_prices_are_written_as_people_read_them() {
        for (millis, text) in [
            (40, "under 0.1 s"),
            (4_130, "4.1 s"),
            (692, "0.7 s"),
            (119_000, "119.0 s"),
            (150_000, "2.5 min"),
            (12_600_000, "3.5 h"),
        ] {
            assert_eq!(seconds(millis), text);
        }
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
            price_millionths: None,
            runs: 0,
            basis: String::new(),
        };
        let prices = Prices {
            per_second: Some(500),
            per_gigabyte: Some(2_000_000),
            currency: None,
        };
        let time = estimate
            .milliseconds
            .map(|time| time.map(|ms| ms * 1_000_000));
        let price = priced(estimate, time, Some(500_000_000), &prices).price_millionths;
        let price = price.unwrap();
        assert_eq!(
            (price.low, price.likely, price.high),
            (1_000_500, 1_001_000, 1_002_000)
        );
    }

    /// The models of a project whose default cron fires every five minutes.
    fn models(files: &[(&str, &str)]) -> BTreeMap<ModelName, Arc<Model>> {
        let mut tree = FileTree::default();
        let config = "model_defaults: {dialect: duckdb, start: 2023-01-01, cron: '*/5 * * * *'}";
        tree.insert("config.yaml", Arc::from(config));
        for (path, text) in files {
            tree.insert(*path, Arc::from(*text));
        }
        let (project, diagnostics) = load(&tree, &LoadOptions::default());
        assert_eq!(
            project.models.len(),
            files
                .iter()
                .filter(|(path, _)| path.ends_with(".sql"))
                .count(),
            "{diagnostics:?}"
        );
        project.models
    }

    const SLICED: &str = "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column ts));
        SELECT ts FROM raw.t WHERE ts BETWEEN @start_ts AND @end_ts";

    fn work(name: &str, days: i64) -> Work {
        let start = DateTime::UNIX_EPOCH;
        let range = Interval::new(start, start + TimeDelta::days(days)).unwrap();
        let name: ModelName = name.parse().unwrap();
        Work {
            table: name.table_name(),
            name,
            version: Version("v".to_owned()),
            ranges: vec![range],
            batches: vec![range],
            base: None,
            hollow: false,
        }
    }

    #[test]
    fn many_short_intervals_do_not_come_to_nothing() {
        let models = models(&[("models/a.sql", SLICED)]);
        let known = Known {
            past: BTreeMap::from([("db.a".parse().unwrap(), vec![batch(105_696, 10, 8_000)])]),
            ..Known::default()
        };
        let prices = Prices {
            per_second: Some(2_500_000),
            ..Prices::default()
        };
        let work = [work("db.a", 367)];
        let found = estimate(
            &work,
            |name| models.get(name).map(|m| &**m),
            &known,
            &prices,
        );
        let one = &found.models["db.a"];
        assert_eq!(one.units, 105_696);
        assert_eq!(one.milliseconds.unwrap().likely, 8_000);
        assert_eq!(one.basis, "105696 five minutes × 75 µs, from 1 run");
        assert_eq!(found.price_millionths.unwrap().likely / 10_000, 1_999);
        assert_eq!(
            found.in_words().unwrap(),
            "Work of about 8.0 s (8.0 s to 8.0 s), 20.00 (20.00 to 20.00)."
        );
    }

    #[test]
    fn a_seed_is_loaded_once_and_what_reads_it_reads_it_once() {
        let models = models(&[
            ("seeds/s.csv", "x\n1\n"),
            (
                "models/s.sql",
                "MODEL (name db.s, kind SEED (path '../seeds/s.csv'));",
            ),
            (
                "models/b.sql",
                "MODEL (name db.b, kind INCREMENTAL_BY_TIME_RANGE (time_column x)); SELECT x FROM db.s",
            ),
        ]);
        // Seeds were counted by their days once.
        let known = Known {
            past: BTreeMap::from([("db.s".parse().unwrap(), vec![batch(733, 50_000, 1_000)])]),
            ..Known::default()
        };
        let work = [work("db.s", 733), work("db.b", 733)];
        let find = |name: &ModelName| models.get(name).map(|model| &**model);
        let found = estimate(&work, find, &known, &Prices::default());
        assert_eq!(found.models["db.s"].milliseconds.unwrap().likely, 1_000);
        assert_eq!(found.models["db.s"].basis, "once × 1.0 s, from 1 run");
        assert_eq!(found.models["db.b"].milliseconds.unwrap().likely, 1_000);
    }

    #[test]
    fn tables_of_one_row_tell_nothing_and_all_other_tables_of_the_warehouse_do() {
        let models = models(&[("models/a.sql", SLICED)]);
        let find = |name: &ModelName| models.get(name).map(|model| &**model);
        let work = [work("db.a", 1)];
        let mut known = Known {
            latest: vec![batch(1, 1, 2_000), batch(1, 10_000_000, 49)],
            expected_rows: BTreeMap::from([("db.a".parse().unwrap(), 3_000_000)]),
            asked: true,
            ..Known::default()
        };
        let price = Prices {
            per_second: Some(1),
            ..Prices::default()
        };
        let found = estimate(&work, find, &known, &price);
        assert_eq!((found.unknown, found.price_millionths), (1, None));
        known.latest.push(batch(1, 1_000_000, 400));
        let found = estimate(&work, find, &known, &price);
        assert_eq!(found.models["db.a"].milliseconds.unwrap().likely, 1_200);
        assert_eq!(
            found.models["db.a"].basis,
            "3000000 rows by the engine's plan × 0.4 s for a million"
        );
    }
}
