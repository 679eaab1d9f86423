//! Comments as people see them.

use pulldown_cmark::Event;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;
use pulldown_cmark::TagEnd;

use super::*;
use crate::bot::promotion::Detail;
use crate::bot::store::Plan;
use crate::bot::store::Pull;
use crate::bot::store::PullKey;
use crate::github::PrNumber;
use crate::plan::ColumnChanges;
use crate::plan::ModelChange;
use crate::plan::ModelComparison;
use crate::plan::ModelSummary;
use crate::plan::PlanSummary;

const HOSTILE: &str = "a`b``c | d\n\n</details><script>alert(1)</script> <!-- @acme/all #12 ![x](https://evil.example) **bold**";

fn sha(digit: char) -> CommitSha {
    digit.to_string().repeat(40).parse().unwrap()
}

fn model(name: &str) -> ModelSummary {
    ModelSummary {
        name: name.to_owned(),
        kind: "FULL".to_owned(),
        change: ModelChange::Direct,
        category: serde_json::from_str("\"non_breaking\"").unwrap(),
        reasons: vec![format!("column `{name}` changed")],
        columns: ColumnChanges::default(),
        schema: None,
        snapshot: "1".to_owned(),
        table: Some(name.to_owned()),
        reused: false,
        backfill: vec![(
            "2024-01-01T00:00:00Z".parse().unwrap(),
            "2024-01-03T06:00:00Z".parse().unwrap(),
        )],
        batches: 1,
        forward_only: false,
        preview: false,
        copied_from: None,
        hollow: false,
        signals: Vec::new(),
        diff: None,
    }
}

fn comparison(name: &str) -> ModelComparison {
    ModelComparison {
        name: name.to_owned(),
        view: name.to_owned(),
        rows_prod: Some(1_234_567),
        rows_environment: Some(1_234_000),
        columns_added: vec![format!("{name} DOUBLE")],
        columns_removed: Vec::new(),
        columns_changed: Vec::new(),
    }
}

fn view(names: &[&str]) -> View {
    let prepared = Prepared {
        plan: PlanSummary {
            version: 1,
            environment: "shop_1".to_owned(),
            compared_with: "prod".to_owned(),
            plan_id: "p1".to_owned(),
            virtual_update_only: false,
            models: names.iter().map(|name| model(name)).collect(),
            estimate: None,
            restated: Vec::new(),
            stages: Vec::new(),
            diagnostics: names
                .iter()
                .map(|name| {
                    Diagnostic::warning("r", format!("`{name}` is odd, {name}"))
                        .in_file(name)
                        .help(*name)
                })
                .collect(),
        },
        environment: "shop_1".to_owned(),
        comparisons: names.iter().map(|name| comparison(name)).collect(),
        project_digest: "d".to_owned(),
        prod_plan: None,
        missing_for_prod: std::collections::BTreeMap::new(),
        warnings: names.iter().map(|name| (*name).to_owned()).collect(),
        seconds: 1.25,
    };
    View {
        pull: Pull {
            head: sha('a'),
            base_ref: "main".to_owned(),
            state: PullStatus::Open,
            environment: Some("shop_1".parse().unwrap()),
            policy: None,
            gate: None,
        },
        plan: Some(Plan {
            head: sha('a'),
            base: sha('b'),
            tree: String::new(),
            outcome: Outcome::Prepared {
                prepared: Box::new(prepared),
                changes_policy: false,
            },
        }),
        promotion: None,
    }
}

fn parse(markdown: &str) -> Vec<Event<'_>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    Parser::new_ext(markdown, options).collect()
}

#[test]
fn hostile_names_stay_in_their_cells() {
    let markdown = comment(&view(&[HOSTILE, "db.orders"]));

    let events = parse(&markdown);
    let rows = events
        .iter()
        .filter(|event| matches!(event, Event::Start(Tag::TableRow)))
        .count();
    let cells = events
        .iter()
        .filter(|event| matches!(event, Event::Start(Tag::TableCell)))
        .count();
    assert_eq!((rows, cells), (2, 15), "{markdown}");
    let mut in_block = false;
    for event in &events {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_block = true,
            Event::End(TagEnd::CodeBlock) => in_block = false,
            Event::Html(html) | Event::InlineHtml(html) => {
                assert!(["<sub>", "</sub>"].contains(&html.trim()), "{html}");
            }
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Emphasis) => {
                panic!("{event:?} in {markdown}")
            }
            Event::Text(text) if !in_block => {
                assert!(!text.contains("@acme") && !text.contains("https://"));
            }
            _ => {}
        }
    }
}

#[test]
fn a_thousand_models_fit_into_a_comment() {
    let names: Vec<String> = (0..1_000)
        .map(|index| format!("db.{}_{index}", "x".repeat(250)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let markdown = comment(&view(&names));

    assert!(markdown.len() <= MAX_BYTES);
    assert!(markdown.contains("and 970 more: the check `Siding / plan` lists them."));
    assert!(
        markdown.ends_with("built in 1.2 s</sub>\n"),
        "{}",
        &markdown[markdown.len() - 200..]
    );
    let fences = markdown
        .lines()
        .filter(|line| line.starts_with("```"))
        .count();
    assert_eq!(fences % 2, 0);
}

#[test]
fn rows_columns_and_intervals_are_shown_side_by_side() {
    let markdown = comment(&view(&["db.orders"]));
    let row = markdown
        .lines()
        .find(|line| line.starts_with("| `db.orders`"))
        .unwrap();
    insta::assert_snapshot!(row, @"| `db.orders` | changed, Non-breaking | 1,234,567 → 1,234,000 (−567) | +`db.orders DOUBLE` | 2024-01-01 → 2024-01-03T06:00:00Z, now filled |");
}

#[test]
fn a_switch_that_failed_says_how_to_try_again() {
    let mut view = view(&["db.orders"]);
    view.pull.state = PullStatus::Merged;
    view.promotion = Some(Promotion {
        id: 1,
        pull: PullKey {
            repository: 1,
            number: PrNumber(1),
        },
        head: sha('a'),
        state: PromotionState::SwapFailed,
        requested_by: "ada".to_owned(),
        command: None,
        merge: Some(sha('c')),
        detail: Detail {
            message: Some("the database is locked".to_owned()),
            ..Detail::default()
        },
    });
    let markdown = comment(&view);
    assert!(markdown.starts_with(
        "**Merged as `ccccccc`, but production could not be switched: the database is locked.**"
    ));
    assert!(markdown.contains("Next: comment `/deploy` to try again."));
}
