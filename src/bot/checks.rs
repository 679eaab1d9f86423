//! The three checks. Pure: the same view always gives the same check.

use std::fmt::Write;

use crate::bot::markdown::code;
use crate::bot::markdown::message;
use crate::bot::markdown::one_line;
use crate::bot::outbox::CheckKind;
use crate::bot::outbox::Desired;
use crate::bot::outbox::Status;
use crate::bot::outcome::Outcome;
use crate::bot::promotion::PromotionState;
use crate::bot::replies;
use crate::bot::report::View;
use crate::bot::store::PullStatus;
use crate::plan::ModelChange;
use crate::plan::Prepared;

/// What one of the checks says. A check that is required passes only with success; it never ends otherwise than with
/// success or failure while the pull request is open.
pub(crate) fn check(kind: CheckKind, view: &View) -> Desired {
    let (status, title) = match kind {
        CheckKind::Plan | CheckKind::Environment => of_outcome(kind, view),
        CheckKind::Gate => of_gate(view),
    };
    Desired::Check {
        status,
        title: short_title(&title),
        summary: summary(kind, view),
        text: text(kind, view),
    }
}

/// A title is no Markdown, but it is one line, and GitHub takes 255 characters.
fn short_title(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = one_line(&text.replace('`', ""));
    if line.chars().count() <= LONGEST {
        return line;
    }
    let cut: String = line.chars().take(LONGEST).collect();
    format!("{}…", cut.trim_end())
}

fn of_outcome(kind: CheckKind, view: &View) -> (Status, String) {
    let Some(plan) = &view.plan else {
        if view.pull.state != PullStatus::Open {
            return (Status::Cancelled, "The pull request is closed".to_owned());
        }
        return match kind {
            CheckKind::Plan => (Status::InProgress, "Planning".to_owned()),
            CheckKind::Environment | CheckKind::Gate => {
                (Status::Queued, "Waiting for the plan".to_owned())
            }
        };
    };
    match &plan.outcome {
        Outcome::Prepared { prepared, .. } => (Status::Success, ready(kind, prepared)),
        Outcome::Failed { message, .. } => (Status::Failure, message.clone()),
        Outcome::Conflict => (Status::Failure, "Conflicts with the base branch".to_owned()),
        Outcome::Fork => (Status::Failure, "The code of forks is not run".to_owned()),
        Outcome::Broken => (Status::Failure, "Failed on the server's side".to_owned()),
    }
}

fn ready(kind: CheckKind, prepared: &Prepared) -> String {
    if kind == CheckKind::Environment {
        return format!("{} is built and audited", prepared.environment);
    }
    let counts = replies::counts(&prepared.plan);
    if counts.is_empty() {
        "No model changes".to_owned()
    } else {
        counts
    }
}

fn of_gate(view: &View) -> (Status, String) {
    if let Some(promotion) = &view.promotion {
        match promotion.state {
            PromotionState::SwapFailed => {
                return (
                    Status::Failure,
                    "Merged, but production could not be switched".to_owned(),
                );
            }
            PromotionState::Swapped | PromotionState::Finalised => {
                return (Status::Success, "Deployed".to_owned());
            }
            PromotionState::Requested
            | PromotionState::Gated
            | PromotionState::Prepared
            | PromotionState::Merging
            | PromotionState::Merged
            | PromotionState::Swapping
            | PromotionState::Refused => {}
        }
    }
    match (&view.pull.gate, view.pull.state) {
        (Some(gate), _) if gate.passes() => (Status::Success, "May be deployed".to_owned()),
        (Some(gate), _) => (Status::Failure, gate.missing.join("; ")),
        (None, PullStatus::Open) => (Status::Queued, "Waiting for the environment".to_owned()),
        (None, PullStatus::Closed | PullStatus::Merged) => {
            (Status::Cancelled, "The pull request is closed".to_owned())
        }
    }
}

fn summary(kind: CheckKind, view: &View) -> String {
    let mut summary = replies::verdict(view);
    if kind == CheckKind::Gate
        && let Some(gate) = &view.pull.gate
    {
        summary.push_str("\n\n");
        for reason in &gate.missing {
            writeln!(summary, "- missing: {}", message(reason)).expect("a string takes all text");
        }
        for login in &gate.approved_by {
            writeln!(summary, "- approved by {}", code(login)).expect("a string takes all text");
        }
        if gate.passes() {
            summary.push_str("- prepared, allowed and up to date\n");
        }
    }
    summary
}

/// The long form: every model, every reason, every mistake.
fn text(kind: CheckKind, view: &View) -> Option<String> {
    let outcome = &view.plan.as_ref()?.outcome;
    match (kind, outcome) {
        (CheckKind::Plan, Outcome::Prepared { prepared, .. }) => {
            let mut text = replies::models(prepared, usize::MAX).unwrap_or_default();
            for model in prepared
                .plan
                .changed()
                .filter(|model| !model.reasons.is_empty())
            {
                write!(text, "\n{}\n\n", code(&model.name)).expect("a string takes all text");
                for reason in &model.reasons {
                    writeln!(text, "- {}", message(reason)).expect("a string takes all text");
                }
            }
            if let Some(mistakes) = replies::mistakes(&prepared.plan.diagnostics, usize::MAX) {
                write!(text, "\n{mistakes}").expect("a string takes all text");
            }
            Some(text).filter(|text| !text.is_empty())
        }
        (CheckKind::Environment, Outcome::Prepared { prepared, .. }) => {
            let mut text = String::new();
            for model in &prepared.plan.models {
                if model.change == ModelChange::Removed {
                    continue;
                }
                let Some(table) = &model.table else { continue };
                let how = if model.reused { "reused" } else { "built" };
                writeln!(text, "- {}: {} {how}", code(&model.name), code(table))
                    .expect("a string takes all text");
            }
            for warning in &prepared.warnings {
                writeln!(text, "- warning: {}", message(warning)).expect("a string takes all text");
            }
            Some(text).filter(|text| !text.is_empty())
        }
        (CheckKind::Plan | CheckKind::Environment, Outcome::Failed { diagnostics, .. }) => {
            replies::mistakes(diagnostics, usize::MAX)
        }
        (CheckKind::Gate, _)
        | (
            CheckKind::Plan | CheckKind::Environment,
            Outcome::Conflict | Outcome::Fork | Outcome::Broken,
        ) => None,
    }
}
