//! What a kind says about changes of the model: `forward_only`, `on_destructive_change` and their like.

use crate::diagnostic::Diagnostic;
use crate::model::ChangePolicy;
use crate::model::Cron;
use crate::model::OnChange;
use crate::project::kind::Problems;
use crate::project::value::Value;

/// The properties that every incremental kind may have; this file reads them.
pub(super) const PROPERTIES: [&str; 5] = [
    "forward_only",
    "disable_restatement",
    "on_destructive_change",
    "on_additive_change",
    "auto_restatement_cron",
];

/// Reads them from `NAME (key value, …)`, where `defaults` say what it does not; what else stands there is for others to
/// read.
pub(super) fn read(kind: Value<'_>, defaults: &ChangePolicy) -> (ChangePolicy, Problems) {
    let mut policy = defaults.clone();
    let mut problems = Problems::new();
    let Some((_, rest)) = kind.tokens.split_first() else {
        return (policy, problems);
    };
    let rest = Value {
        tokens: rest,
        ..kind
    };
    for part in rest.inside().map(Value::split).unwrap_or_default() {
        let Some((key, value)) = part.tokens.split_first() else {
            continue;
        };
        let key = key.text(part.text).to_ascii_lowercase();
        let value = match value {
            [equals, rest @ ..] if equals.is_mark(part.text, "=") => rest,
            _ => value,
        };
        let value = Value {
            tokens: value,
            ..part
        };
        let mut must = |expected: &str| {
            let problem = Diagnostic::error("wrong-value", format!("`{key}` must be {expected}"));
            problems.push((problem, value.span()));
        };
        let boolean = value.boolean();
        let choice: Option<OnChange> = value.scalar().and_then(|text| text.parse().ok());
        match (key.as_str(), boolean, choice) {
            ("forward_only", Some(yes), _) => policy.forward_only = Some(yes),
            ("disable_restatement", Some(yes), _) => policy.disable_restatement = Some(yes),
            ("on_destructive_change", _, Some(choice)) => policy.on_destructive_change = choice,
            ("on_additive_change", _, Some(choice)) => policy.on_additive_change = choice,
            ("auto_restatement_cron", _, _) => match value.scalar() {
                Some(text) => match Cron::parse(&text) {
                    Ok(_) => policy.auto_restatement_cron = Some(text),
                    Err(error) => {
                        let message = format!("`auto_restatement_cron`: {error}");
                        let problem = Diagnostic::error("wrong-value", message).help(error.help());
                        problems.push((problem, value.span()));
                    }
                },
                None => must("a cron such as `'@weekly'`"),
            },
            ("auto_restatement_intervals", _, _) => {
                let count = value.scalar().and_then(|text| text.parse().ok());
                if count.is_none() {
                    must("a whole number above 0");
                }
                policy.auto_restatement_intervals = count;
            }
            ("forward_only" | "disable_restatement", None, _) => must("`true` or `false`"),
            ("on_destructive_change" | "on_additive_change", _, None) => {
                must("`error`, `warn`, `allow` or `ignore`");
            }
            _ => {}
        }
    }
    if policy.auto_restatement_intervals.is_some() && policy.auto_restatement_cron.is_none() {
        let problem = Diagnostic::error(
            "missing-value",
            "`auto_restatement_intervals` needs an `auto_restatement_cron`, which says when",
        );
        problems.push((problem, kind.span()));
    }
    if policy.auto_restatement_cron.is_some() && policy.disable_restatement == Some(true) {
        let problem = Diagnostic::error(
            "wrong-value",
            "a model with `disable_restatement` is never filled again by an `auto_restatement_cron`",
        );
        problems.push((problem.help("Remove one of them."), kind.span()));
    }
    (policy, problems)
}
