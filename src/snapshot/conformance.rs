//! Asks every question of `fixtures/conformance/intervals.jsonl` and compares the answers.

use std::num::NonZeroU32;

use chrono::DateTime;
use chrono::Utc;
use serde_json::Value;
use serde_json::json;

use crate::model::Cron;
use crate::model::DateExpr;
use crate::model::IntervalUnit;
use crate::model::Moment;
use crate::snapshot::Interval;
use crate::snapshot::IntervalRequest;
use crate::snapshot::Intervals;
use crate::snapshot::batches;
use crate::snapshot::missing_intervals;
use crate::snapshot::model_start;

const RECORDS: &str = include_str!("../../fixtures/conformance/intervals.jsonl");

/// Where our answer is another one, and why.
const DIFFERENCES: &[(&str, &[&str])] = &[
    (
        "the reference repeats only the interval at the exact distance of the lookback and leaves \
         those between it and the missing one stale",
        &[
            "missing/0045",
            "missing/0047",
            "missing_random/0031",
            "missing_random/0055",
            "missing_random/0061",
            "missing_random/0203",
            "missing_random/0227",
        ],
    ),
    (
        "the reference takes the midnight at which an end given as a date begins for the end, and so \
         finds nothing when the start is a later time of that day; the day is included",
        &[
            "missing_random/0070",
            "missing_random/0096",
            "missing_random/0116",
            "missing_random/0158",
            "missing_random/0201",
            "missing_random/0213",
            "add_interval/0022",
        ],
    ),
    (
        "the reference fills hours that are not over at the execution time",
        &["missing_random/0067"],
    ),
    (
        "whether a model may have this lookback, or an end without a start, is decided where it is \
         loaded, not here",
        &[
            "missing/0040",
            "missing_random/0003",
            "missing_random/0121",
            "missing_random/0168",
        ],
    ),
    (
        "what is restated is a plan's answer: the journey `what_is_not_filled_by_time_is_restated_whole` asks for it",
        &[
            "restatement/0004",
            "restatement/0008",
            "restatement/0013",
            "restatement/0015",
            "restatement/0017",
            "restatement/0018",
            "restatement/0019",
            "restatement/0020",
        ],
    ),
];

#[test]
fn every_recorded_answer_is_ours_or_a_listed_difference() {
    let mut problems = Vec::new();
    let mut met = Vec::new();
    for line in RECORDS.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let id = record["id"].as_str().unwrap();
        let listed = DIFFERENCES.iter().any(|(_, ids)| ids.contains(&id));
        met.push(id.to_owned());
        let expected = expected(&record);
        let ours = answer(&record);
        let same = ours.as_ref().unwrap_or(&json!("refused")) == &expected;
        if same && listed {
            problems.push(format!("{id} is listed as a difference, but there is none"));
        }
        if !same && !listed {
            problems.push(format!("{id}: expected {expected}, got {ours:?}"));
        }
    }
    for id in DIFFERENCES.iter().flat_map(|(_, ids)| *ids) {
        if !met.iter().any(|known| known == id) {
            problems.push(format!(
                "{id} is listed as a difference, but there is no such record"
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The recorded answer; `refused` for an error, nothing where the record itself says that it is wrong.
fn expected(record: &Value) -> Value {
    let mut result = record["result"].clone();
    if result.get("error").is_some() {
        return json!("refused");
    }
    if record.get("peer_defect").is_some() {
        for key in ["missing", "merged", "batches"] {
            result[key] = json!([]);
        }
    }
    result
}

/// Our answer in the form of the record, or why there is none.
fn answer(record: &Value) -> Result<Value, String> {
    let input = &record["input"];
    match record["type"].as_str().unwrap() {
        "missing" | "missing_random" => {
            let model = Declared::read(input["model_sql"].as_str().unwrap())?;
            let request = &input["request"];
            let execution_time = instant(&request["execution_time"]);
            let reference = match request["end"].as_str() {
                Some(end) => DateExpr::parse(end).unwrap().resolve(execution_time).at,
                None => execution_time,
            };
            // The reference counts a relative start from the clock, but a missing one from the end.
            let now = if model.start.is_some() {
                execution_time
            } else {
                reference
            };
            let start = model_start(model.start.as_ref(), [], &model.cron, now);
            let (cells, merged, batches) = model.missing(start, &filled(&input["filled"]), request);
            Ok(json!({
                "interval_unit": model.unit,
                "missing": cells,
                "merged": merged,
                "batches": batches,
            }))
        }
        "dag" => dag(input),
        "cron" => {
            let cron = in_zone(input["cron"].as_str().unwrap(), input["cron_tz"].as_str())?;
            let time = instant(&input["time"]);
            Ok(json!({
                "next": written(cron.next(time)),
                "prev": written(cron.prev(time)),
                "floor": written(cron.floor(time)),
                "interval_unit": cron.interval_unit().map_err(|error| error.to_string())?,
            }))
        }
        "unit_from_cron" => {
            let cron = in_zone(input["cron"].as_str().unwrap(), None)?;
            Ok(json!({ "interval_unit": cron.interval_unit().map_err(|error| error.to_string())? }))
        }
        "inclusive_exclusive" => {
            let unit: IntervalUnit = input["interval_unit"].as_str().unwrap().parse().unwrap();
            let asked = given(&input["start"], &input["end"]).ok_or("start after end")?;
            let on_grid = if input["allow_partial"] == true {
                Some(asked.start_on(unit))
            } else if input["expand"] == true {
                Some(asked.expand(unit))
            } else {
                asked.shrink(unit)
            };
            Ok(json!({ "interval": pair(on_grid.ok_or("no whole interval")?) }))
        }
        "merge" => {
            let merged: Intervals = numbers(&input["intervals"]).into_iter().collect();
            let mut inserted = Intervals::default();
            for interval in numbers(&input["intervals"]) {
                inserted.insert(interval);
            }
            assert_eq!(merged, inserted);
            Ok(json!({ "merged": merged }))
        }
        "remove" => {
            let mut left: Intervals = numbers(&input["intervals"]).into_iter().collect();
            left.remove(serde_json::from_value(input["remove"].clone()).unwrap());
            Ok(json!({ "left": left }))
        }
        "add_interval" => {
            let cron = in_zone(input["cron"].as_str().unwrap(), None)?;
            let unit = cron.interval_unit().unwrap();
            let mut filled = Intervals::default();
            for added in input["adds"].as_array().unwrap() {
                let added = given(&added[0], &added[1]);
                let recorded = if input["allow_partials"] == true {
                    added.map(|added| added.start_on(unit))
                } else {
                    added.and_then(|added| added.shrink(unit))
                };
                if let Some(recorded) = recorded {
                    filled.insert(recorded);
                }
            }
            Ok(json!({ "intervals": pairs(filled.as_slice()) }))
        }
        "restatement" => Err("a plan answers this".to_owned()),
        other => panic!("unknown question `{other}`"),
    }
}

/// What matters here of a `MODEL` block.
struct Declared {
    cron: Cron,
    unit: IntervalUnit,
    start: Option<DateExpr>,
    end: Option<DateExpr>,
    lookback: u32,
    batch_size: Option<NonZeroU32>,
    allow_partials: bool,
}

type Answers = (Vec<[String; 2]>, Vec<[String; 2]>, Vec<[String; 2]>);

impl Declared {
    fn read(sql: &str) -> Result<Self, String> {
        let date = |name| property(sql, name).map(|text| DateExpr::parse(text).unwrap());
        let cron = in_zone(
            property(sql, "cron").unwrap_or("@daily"),
            property(sql, "cron_tz"),
        )?;
        let from_cron = cron.interval_unit().map_err(|error| error.to_string())?;
        Ok(Self {
            unit: property(sql, "interval_unit").map_or(from_cron, |unit| unit.parse().unwrap()),
            cron,
            start: date("start"),
            end: date("end"),
            lookback: number(sql, "lookback").unwrap_or_default(),
            batch_size: number(sql, "batch_size").and_then(NonZeroU32::new),
            allow_partials: property(sql, "allow_partials").is_some(),
        })
    }

    /// The cells to fill, the same as ranges, and as batches.
    fn missing(&self, start: DateTime<Utc>, filled: &Intervals, request: &Value) -> Answers {
        let execution_time = instant(&request["execution_time"]);
        let moment = |value: &Value| {
            let text = value.as_str()?;
            Some(DateExpr::parse(text).unwrap().resolve(execution_time))
        };
        let ranges = missing_intervals(&IntervalRequest {
            unit: self.unit,
            cron: &self.cron,
            model_start: start,
            model_end: self.end.as_ref().map(|end| end.resolve(execution_time)),
            start: moment(&request["start"]).unwrap_or(Moment::instant(start)),
            end: moment(&request["end"]).unwrap_or(Moment::instant(execution_time)),
            execution_time,
            lookback_intervals: self.lookback,
            ignore_cron: request["ignore_cron"] == true,
            allow_partials: self.allow_partials,
            filled,
        });
        let cells: Vec<Interval> = ranges
            .iter()
            .flat_map(|range| range.units(self.unit))
            .collect();
        let batches = batches(&ranges, self.unit, self.batch_size);
        (pairs(&cells), pairs(&ranges), pairs(&batches))
    }
}

/// `m.a` and its child `m.b`.
fn dag(input: &Value) -> Result<Value, String> {
    let mut answers = serde_json::Map::new();
    let mut starts: Vec<DateTime<Utc>> = Vec::new();
    for (name, sql) in input["models"].as_object().unwrap() {
        let model = Declared::read(sql.as_str().unwrap())?;
        let now = instant(&input["request"]["execution_time"]);
        let start = model_start(model.start.as_ref(), starts.clone(), &model.cron, now);
        let filled = filled(&input["filled"][name.as_str()]);
        let (_, merged, batches) = model.missing(start, &filled, &input["request"]);
        let answer = json!({
            "start": written(start),
            "interval_unit": model.unit,
            "merged": merged,
            "batches": batches,
        });
        answers.insert(name.clone(), answer);
        starts.push(start);
    }
    Ok(Value::Object(answers))
}

/// What follows `name` on its own line of a `MODEL` block, without quotes.
fn property<'a>(sql: &'a str, name: &str) -> Option<&'a str> {
    sql.lines().find_map(|line| {
        let value = line.trim().strip_prefix(name)?.strip_prefix(' ')?;
        Some(value.trim_end_matches(',').trim_matches('\''))
    })
}

/// The number that follows `name` anywhere.
fn number(sql: &str, name: &str) -> Option<u32> {
    let (_, rest) = sql.split_once(&format!("{name} "))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn in_zone(cron: &str, zone: Option<&str>) -> Result<Cron, String> {
    let cron = Cron::parse(cron).map_err(|error| error.to_string())?;
    Ok(match zone {
        Some(zone) => cron.in_zone(zone.parse().unwrap()),
        None => cron,
    })
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// The slice between two dates as a user writes them.
fn given(start: &Value, end: &Value) -> Option<Interval> {
    let moment = |value: &Value| {
        let text = value.as_str().unwrap();
        DateExpr::parse(text).unwrap().resolve(DateTime::UNIX_EPOCH)
    };
    Interval::new(moment(start).as_start(), moment(end).as_end())
}

fn filled(value: &Value) -> Intervals {
    let pairs = value.as_array().map(Vec::as_slice).unwrap_or_default();
    pairs
        .iter()
        .map(|pair| Interval::new(instant(&pair[0]), instant(&pair[1])).unwrap())
        .collect()
}

fn numbers(value: &Value) -> Vec<Interval> {
    serde_json::from_value(value.clone()).unwrap()
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn pair(interval: Interval) -> [String; 2] {
    [written(interval.start()), written(interval.end())]
}

fn pairs(intervals: &[Interval]) -> Vec<[String; 2]> {
    intervals.iter().copied().map(pair).collect()
}
