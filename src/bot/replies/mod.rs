//! The text of comments. Pure: the same view always gives the same Markdown.

mod table;

use std::fmt::Write;

use crate::bot::markdown::code;
use crate::bot::markdown::fenced;
use crate::bot::markdown::message;
use crate::bot::markdown::text;
use crate::bot::outcome::Outcome;
use crate::bot::promotion::Promotion;
use crate::bot::promotion::PromotionState;
use crate::bot::report::View;
use crate::bot::store::PullStatus;
use crate::diagnostic::Diagnostic;
use crate::github::CommitSha;
use crate::plan::PlanEstimate;
use crate::plan::Policy;
use crate::plan::Prepared;
use crate::plan::Promoted;

pub(crate) use table::counts;
pub(crate) use table::models;

/// Most bytes of a comment; GitHub takes 65,536 characters.
const MAX_BYTES: usize = 60_000;

/// Most rows of the table in the comment; the check shows all.
const MAX_ROWS: usize = 30;

/// Most mistakes that the comment lists; the check shows all.
const MAX_DIAGNOSTICS: usize = 20;

/// Most views that are named as examples to query.
const MAX_EXAMPLES: usize = 3;

/// The comment that is rewritten: verdict, gate, models, how to query, next steps.
pub(crate) fn comment(view: &View) -> String {
    let mut sections = vec![format!("**{}**", verdict(view))];
    sections.extend(refusal(view));
    sections.extend(gate(view));
    if let Some(plan) = &view.plan {
        match &plan.outcome {
            Outcome::Prepared {
                prepared,
                changes_policy,
            } => sections.extend(prepared_sections(view, prepared, *changes_policy)),
            Outcome::Failed { diagnostics, .. } => {
                sections.extend(mistakes(diagnostics, MAX_DIAGNOSTICS));
            }
            Outcome::Conflict | Outcome::Fork | Outcome::Broken => {}
        }
    }
    sections.extend(next_steps(view));
    let footer = footer(view);
    join(sections, &footer)
}

/// As many whole sections as fit, then the footer.
fn join(sections: Vec<String>, footer: &str) -> String {
    let mut body = String::new();
    for section in sections {
        if body.len() + section.len() + footer.len() + 100 > MAX_BYTES {
            body.push_str("Part of this is left out: the checks show all of it.\n\n");
            break;
        }
        body.push_str(section.trim_end());
        body.push_str("\n\n");
    }
    body.push_str(footer);
    body
}

/// One sentence: what merging does, or what was done.
pub(crate) fn verdict(view: &View) -> String {
    if let Some(promotion) = &view.promotion
        && let Some(sentence) = promotion_verdict(promotion)
    {
        return sentence;
    }
    match view.pull.state {
        PullStatus::Closed => return closed_verdict(view),
        PullStatus::Merged => {
            return format!(
                "Merged into {}, which does not deploy to production.",
                code(&view.pull.base_ref)
            );
        }
        PullStatus::Open => {}
    }
    let Some(plan) = &view.plan else {
        return format!(
            "Building an environment for {}…",
            code(view.pull.head.short())
        );
    };
    match &plan.outcome {
        Outcome::Prepared { prepared, .. } => prepared_verdict(prepared),
        Outcome::Failed { message: reason, .. } => format!("Not ready: {}.", message(reason)),
        Outcome::Conflict => format!(
            "Not ready: this pull request conflicts with {}. Merge or rebase, and push again.",
            code(&view.pull.base_ref)
        ),
        Outcome::Fork => "Not prepared: the code of forks is not run here.".to_owned(),
        Outcome::Broken => {
            "Sorry, preparing this pull request failed on the server's side; its log has the details.".to_owned()
        }
    }
}

fn promotion_verdict(promotion: &Promotion) -> Option<String> {
    let merge = || {
        promotion
            .merge
            .as_ref()
            .map_or_else(String::new, |sha| format!(" as {}", code(sha.short())))
    };
    match promotion.state {
        PromotionState::Requested
        | PromotionState::Gated
        | PromotionState::Prepared
        | PromotionState::Refused => None,
        PromotionState::Merging => Some("Merging…".to_owned()),
        PromotionState::Merged | PromotionState::Swapping => {
            Some(format!("Merged{}; switching production…", merge()))
        }
        PromotionState::Swapped | PromotionState::Finalised => {
            promotion.detail.promoted.as_ref().map(deployed)
        }
        PromotionState::SwapFailed => Some(format!(
            "Merged{}, but production could not be switched: {}.",
            merge(),
            message(
                promotion
                    .detail
                    .message
                    .as_deref()
                    .unwrap_or("the reason is in the server's log")
            )
        )),
    }
}

/// What the switch did.
pub(crate) fn deployed(promoted: &Promoted) -> String {
    if promoted.already {
        return "Deployed: production showed this already.".to_owned();
    }
    let executed = if promoted.models_executed.is_empty() {
        "nothing executed".to_owned()
    } else {
        format!("{} executed", some(promoted.models_executed.len(), "model"))
    };
    let dropped = match promoted.views_dropped {
        0 => String::new(),
        views => format!(
            ", {} dropped",
            some(usize::try_from(views).unwrap_or(usize::MAX), "view")
        ),
    };
    format!(
        "Deployed: {} switched in {:.1} ms{dropped}, {} reused, {executed}.",
        some(
            usize::try_from(promoted.views_switched).unwrap_or(usize::MAX),
            "view"
        ),
        promoted.switch_milliseconds,
        some(promoted.tables_reused.len(), "table"),
    )
}

fn closed_verdict(view: &View) -> String {
    match &view.pull.environment {
        Some(environment) => format!(
            "Closed; removing the environment {}…",
            code(environment.as_str())
        ),
        None => "Closed; its environment is removed.".to_owned(),
    }
}

fn prepared_verdict(prepared: &Prepared) -> String {
    let changed = prepared.plan.changed().count();
    if changed == 0 {
        return "Ready: merging changes no model.".to_owned();
    }
    let built = prepared
        .plan
        .models
        .iter()
        .filter(|model| !model.backfill.is_empty())
        .count();
    let how = if built == 0 {
        "every table exists already".to_owned()
    } else {
        format!("{} built and audited", some(built, "model"))
    };
    if prepared.missing_for_prod.is_empty() {
        format!(
            "Ready: merging changes {} ({}); {how}, so production only switches views.",
            some(changed, "model"),
            counts(&prepared.plan)
        )
    } else {
        format!(
            "Almost ready: merging changes {} ({}); {how}, but history is missing.",
            some(changed, "model"),
            counts(&prepared.plan)
        )
    }
}

/// `3 models`, `1 model`.
fn some(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn refusal(view: &View) -> Option<String> {
    let promotion = view.promotion.as_ref()?;
    match promotion.state {
        PromotionState::Requested | PromotionState::Gated | PromotionState::Prepared => {
            Some(format!(
                "{} asked to deploy {}.",
                code(&promotion.requested_by),
                code(promotion.head.short())
            ))
        }
        PromotionState::Refused if promotion.head == view.pull.head => Some(format!(
            "Not deployed: {}.",
            message(promotion.detail.message.as_deref().unwrap_or_default())
        )),
        PromotionState::Merging
        | PromotionState::Merged
        | PromotionState::Swapping
        | PromotionState::Swapped
        | PromotionState::Finalised
        | PromotionState::Refused
        | PromotionState::SwapFailed => None,
    }
}

fn gate(view: &View) -> Option<String> {
    if view.pull.state != PullStatus::Open {
        return None;
    }
    let gate = view.pull.gate.as_ref()?;
    if !gate.passes() {
        let missing: Vec<String> = gate.missing.iter().map(|reason| message(reason)).collect();
        return Some(format!("Gate: closed, because {}.", missing.join("; ")));
    }
    let approved = match gate.approved_by.as_slice() {
        [] => String::new(),
        logins => {
            let logins: Vec<String> = logins.iter().map(|login| code(login)).collect();
            format!(" Approved by {}.", logins.join(", "))
        }
    };
    Some(format!("Gate: open.{approved}"))
}

fn prepared_sections(view: &View, prepared: &Prepared, changes_policy: bool) -> Vec<String> {
    let mut sections = Vec::new();
    if changes_policy {
        sections.push(
            "This pull request changes `config.yaml`. Its policy, users and connections count after the merge; until then \
             those of the base branch do."
                .to_owned(),
        );
    }
    sections.extend(models(prepared, MAX_ROWS));
    let estimate = prepared.plan.estimate.as_ref();
    if let Some(words) = estimate.and_then(PlanEstimate::in_words) {
        sections.push(format!(
            "Estimated before it was built: {}",
            message(&words)
        ));
    }
    for (model, intervals) in prepared.missing_for_prod.iter().take(MAX_ROWS) {
        sections.push(format!(
            "Missing in production's history of {}: {}.",
            code(model),
            table::intervals(intervals)
        ));
    }
    for warning in prepared.warnings.iter().take(MAX_ROWS) {
        sections.push(format!("Warning: {}", message(warning)));
    }
    sections.extend(mistakes(&prepared.plan.diagnostics, MAX_DIAGNOSTICS));
    if view.pull.environment.is_some() && view.pull.state == PullStatus::Open {
        sections.extend(how_to_query(prepared));
    }
    sections
}

fn how_to_query(prepared: &Prepared) -> Option<String> {
    let queries: Vec<String> = prepared
        .comparisons
        .iter()
        .filter(|comparison| comparison.rows_environment.is_some())
        .take(MAX_EXAMPLES)
        .map(|comparison| {
            format!(
                "SELECT * FROM {} LIMIT 100;",
                comparison.view.replace('\n', " ")
            )
        })
        .collect();
    if queries.is_empty() {
        return None;
    }
    Some(format!(
        "Query this pull request's data in the environment {}:\n\n{}",
        code(&prepared.environment),
        fenced("sql", &queries.join("\n"))
    ))
}

/// The list of what is to be fixed or known; `None` when there is nothing.
pub(crate) fn mistakes(diagnostics: &[Diagnostic], most: usize) -> Option<String> {
    if diagnostics.is_empty() {
        return None;
    }
    let mut list = String::new();
    for diagnostic in diagnostics.iter().take(most) {
        let word = if diagnostic.is_error() {
            "error"
        } else {
            "warning"
        };
        let place = match (diagnostic.file.as_str(), diagnostic.line) {
            ("", _) => String::new(),
            (file, 0) => format!("{}: ", code(file)),
            (file, line) => format!(
                "{}: ",
                code(&format!("{file}:{line}:{}", diagnostic.column))
            ),
        };
        write!(list, "- {word}: {place}{}", message(&diagnostic.message))
            .expect("a string takes all text");
        if let Some(help) = &diagnostic.help {
            write!(list, ". {}", message(help)).expect("a string takes all text");
        }
        list.push('\n');
    }
    if diagnostics.len() > most {
        writeln!(list, "- and {} more", diagnostics.len() - most).expect("a string takes all text");
    }
    Some(list)
}

/// How a command is written under a policy.
fn command(policy: Option<&Policy>, word: &str) -> String {
    match policy.and_then(|policy| policy.command_namespace.as_deref()) {
        Some(namespace) if !namespace.is_empty() => {
            code(&format!("/{} {word}", namespace.trim_start_matches('/')))
        }
        _ => code(&format!("/{word}")),
    }
}

fn next_steps(view: &View) -> Option<String> {
    let policy = view.pull.policy.as_ref();
    if let Some(promotion) = &view.promotion
        && promotion.state == PromotionState::SwapFailed
    {
        return Some(format!(
            "Next: comment {} to try again.",
            command(policy, "deploy")
        ));
    }
    if view.pull.state != PullStatus::Open {
        return None;
    }
    let plan = view.plan.as_ref()?;
    let again = format!("{} builds and compares again", command(policy, "plan"));
    let can_deploy = policy.is_some_and(|policy| {
        policy.enable_deploy_command
            && policy.merge_method.is_some()
            && policy.prod_branches.contains(&view.pull.base_ref)
    });
    let step = match &plan.outcome {
        Outcome::Prepared { .. } if can_deploy => format!(
            "Next: comment {} to merge and switch production; {again}.",
            command(policy, &format!("deploy {}", view.pull.head.short()))
        ),
        Outcome::Prepared { .. } => format!("Next: merge, and production follows; {again}."),
        Outcome::Failed { .. } => format!("Next: push a fix; {again}."),
        Outcome::Broken => format!("Next: {again}."),
        Outcome::Conflict | Outcome::Fork => return None,
    };
    Some(step)
}

fn footer(view: &View) -> String {
    let mut parts = vec![format!("head {}", code(view.pull.head.short()))];
    if let Some(plan) = &view.plan {
        parts.push(format!("base {}", code(plan.base.short())));
        if let Some(prepared) = plan.outcome.prepared() {
            parts.push(format!("plan {}", code(&prepared.plan.plan_id)));
            parts.push(format!("built in {:.1} s", prepared.seconds));
        }
    }
    format!("<sub>{}</sub>\n", parts.join(" · "))
}

/// The answer to `/help`.
pub(crate) fn help(commands: &str, namespace: Option<&str>) -> String {
    let start = match namespace {
        Some(namespace) if !namespace.is_empty() => {
            format!("/{} ", namespace.trim_start_matches('/'))
        }
        _ => "/".to_owned(),
    };
    let lines: Vec<String> = commands
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| format!("{start}{line}"))
        .collect();
    format!(
        "Commands, each on a line of its own:\n\n{}",
        fenced("text", &lines.join("\n"))
    )
}

/// The answer to a command that cannot be understood.
pub(crate) fn misunderstood(reason: &str) -> String {
    format!("This is not understood:\n\n{}", fenced("text", reason))
}

/// The answer to someone who may not give a command.
pub(crate) fn not_allowed(login: &str) -> String {
    format!(
        "Not done: {} may not do this here; it takes the right to write.",
        code(login)
    )
}

/// The answer to a command that needs an open pull request.
pub(crate) fn not_open() -> String {
    "Not done: this pull request is not open.".to_owned()
}

/// The answer to a command for a commit that is not the newest.
pub(crate) fn moved(head: &CommitSha) -> String {
    format!(
        "Not done: the newest commit is {} now. Look at it, and ask again.",
        code(head.short())
    )
}

/// The answer to a second `/deploy`.
pub(crate) fn already_going_on(login: &str) -> String {
    format!("{} asked for this already; it goes on.", code(login))
}

/// The answer to a promotion that was refused.
pub(crate) fn refused(reason: &str) -> String {
    format!("Not deployed: {}.", message(reason))
}

/// The answer to a command that we failed to obey.
pub(crate) fn apology() -> String {
    text("Sorry, this failed on the server's side; its log has the details.")
}

#[cfg(test)]
mod tests;
