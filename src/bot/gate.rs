//! Whether a pull request may be deployed.

use serde::Deserialize;
use serde::Serialize;

use crate::bot::outcome::Outcome;
use crate::github::CommitSha;
use crate::github::Review;
use crate::github::ReviewState;
use crate::plan::Policy;

/// What still stands in the way; nothing means that it may be deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gate {
    /// One sentence each, names in backticks.
    pub missing: Vec<String>,
    /// Who approved this commit, sorted.
    pub approved_by: Vec<String>,
}

impl Gate {
    /// Whether nothing is missing.
    pub(crate) fn passes(&self) -> bool {
        self.missing.is_empty()
    }
}

/// What is known about a pull request when its gate is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// Its newest commit.
    pub head: &'a CommitSha,
    /// GitHub's number of its author.
    pub author: u64,
    /// Whether it is a draft.
    pub draft: bool,
    /// What came out of preparing that commit; `None` while that is not known.
    pub outcome: Option<&'a Outcome>,
    /// The base branch's policy; `None` while that is not known.
    pub policy: Option<&'a Policy>,
    /// All reviews, oldest first.
    pub reviews: &'a [Review],
}

/// Judges the gate. The same facts always give the same gate.
pub(crate) fn judge(facts: &Facts<'_>) -> Gate {
    let mut missing = Vec::new();
    match facts.outcome {
        None => missing.push("this commit is not prepared yet".to_owned()),
        Some(Outcome::Prepared { prepared, .. }) => {
            if !prepared.missing_for_prod.is_empty() {
                let models: Vec<String> = prepared
                    .missing_for_prod
                    .keys()
                    .map(|name| format!("`{name}`"))
                    .collect();
                missing.push(format!(
                    "history that production has is not built for {}",
                    models.join(", ")
                ));
            }
        }
        Some(Outcome::Failed { .. }) => {
            missing.push("the environment could not be built".to_owned());
        }
        Some(Outcome::Conflict) => missing.push("it conflicts with its base branch".to_owned()),
        Some(Outcome::Fork) => missing.push("pull requests from forks are not prepared".to_owned()),
        Some(Outcome::Broken) => {
            missing.push("preparing it failed on the server's side".to_owned());
        }
    }
    if facts.draft {
        missing.push("it is a draft".to_owned());
    }
    let approved_by = approvals(facts);
    if let Some(policy) = facts.policy
        && !policy.required_approvers.is_empty()
    {
        let is_required = |login: &String| {
            policy
                .required_approvers
                .iter()
                .any(|required| required.eq_ignore_ascii_case(login))
        };
        if !approved_by.iter().any(is_required) {
            let names: Vec<String> = policy
                .required_approvers
                .iter()
                .map(|login| format!("`{login}`"))
                .collect();
            missing.push(format!("{} must approve this commit", names.join(" or ")));
        }
    }
    Gate {
        missing,
        approved_by,
    }
}

/// Who approves the newest commit: the latest opinion of each reviewer counts, the author's own does not.
///
/// A comment is no opinion, and a dismissed one is gone, so that the one before it counts again.
fn approvals(facts: &Facts<'_>) -> Vec<String> {
    let mut latest: Vec<&Review> = Vec::new();
    for review in facts.reviews {
        match review.state {
            ReviewState::Approved | ReviewState::ChangesRequested => {
                latest.retain(|other| other.user.id != review.user.id);
                latest.push(review);
            }
            ReviewState::Commented
            | ReviewState::Dismissed
            | ReviewState::Pending
            | ReviewState::Other => {}
        }
    }
    let mut logins: Vec<String> = latest
        .into_iter()
        .filter(|review| review.state == ReviewState::Approved)
        .filter(|review| review.user.id != facts.author)
        .filter(|review| review.commit_id.as_ref() == Some(facts.head))
        .map(|review| review.user.login.clone())
        .collect();
    logins.sort();
    logins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::Account;
    use crate::github::AccountKind;

    const AUTHOR: u64 = 1;
    const BOSS: u64 = 2;

    fn sha(digit: char) -> CommitSha {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn review(user: u64, state: ReviewState, commit: char) -> Review {
        Review {
            id: 0,
            user: Account {
                id: user,
                login: if user == BOSS { "Boss" } else { "author" }.to_owned(),
                kind: AccountKind::User,
            },
            state,
            commit_id: Some(sha(commit)),
            submitted_at: None,
        }
    }

    fn policy() -> Policy {
        Policy {
            enable_deploy_command: true,
            merge_method: None,
            command_namespace: None,
            pr_environment_name: None,
            prod_branches: vec!["main".to_owned()],
            invalidate_environment_after_deploy: true,
            required_approvers: vec!["boss".to_owned(), "author".to_owned()],
        }
    }

    fn is_approved(reviews: &[Review]) -> bool {
        let policy = policy();
        let gate = judge(&Facts {
            head: &sha('b'),
            author: AUTHOR,
            draft: false,
            outcome: None,
            policy: Some(&policy),
            reviews,
        });
        !gate
            .missing
            .iter()
            .any(|reason| reason.contains("must approve"))
    }

    #[test]
    fn an_approval_counts_for_the_commit_that_was_looked_at() {
        assert!(is_approved(&[review(BOSS, ReviewState::Approved, 'b')]));
        assert!(!is_approved(&[review(BOSS, ReviewState::Approved, 'a')]));
        assert!(!is_approved(&[]));
    }

    #[test]
    fn nobody_approves_their_own_work() {
        assert!(!is_approved(&[review(AUTHOR, ReviewState::Approved, 'b')]));
    }

    #[test]
    fn the_latest_opinion_counts_and_a_comment_is_none() {
        let approved = review(BOSS, ReviewState::Approved, 'b');
        let rejected = review(BOSS, ReviewState::ChangesRequested, 'b');
        let comment = review(BOSS, ReviewState::Commented, 'b');
        let dismissed = review(BOSS, ReviewState::Dismissed, 'b');
        assert!(!is_approved(&[approved.clone(), rejected.clone()]));
        assert!(is_approved(&[rejected, approved.clone(), comment]));
        assert!(is_approved(&[approved, dismissed.clone()]));
        assert!(!is_approved(&[dismissed]));
    }

    #[test]
    fn the_gate_says_everything_that_is_missing() {
        let policy = policy();
        let gate = judge(&Facts {
            head: &sha('b'),
            author: AUTHOR,
            draft: true,
            outcome: None,
            policy: Some(&policy),
            reviews: &[],
        });
        assert_eq!(
            gate.missing,
            [
                "this commit is not prepared yet",
                "it is a draft",
                "`boss` or `author` must approve this commit"
            ]
        );
    }
}
