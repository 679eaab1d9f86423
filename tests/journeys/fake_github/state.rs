//! What the stand-in knows. Handlers and tests read and write it under one lock.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use chrono::DateTime;
use chrono::Utc;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::fake_github::git::Git;

pub(crate) const APP_ID: u64 = 4242;
pub(crate) const APP_SLUG: &str = "siding";
pub(crate) const INSTALLATION_ID: u64 = 99;
pub(crate) const REPOSITORY_ID: u64 = 186_853_002;
/// Where forks of the repository live.
pub(crate) const FORK_ID: u64 = 186_853_777;
pub(crate) const OWNER: &str = "acme";
pub(crate) const NAME: &str = "warehouse";
/// The account that the app acts as.
pub(crate) const BOT: &str = "siding[bot]";

pub(crate) struct State {
    pub(crate) git: Git,
    pub(crate) api_url: String,
    pub(crate) granted: BTreeMap<String, String>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) pulls: BTreeMap<u64, Pull>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) reviews: BTreeMap<u64, Review>,
    pub(crate) check_runs: BTreeMap<u64, CheckRun>,
    pub(crate) reactions: Vec<Reaction>,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) attempts: BTreeMap<u64, Attempt>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) blocked: Option<String>,
    pub(crate) merges: usize,
    pub(crate) violations: Vec<String>,
    pub(crate) requests: Vec<Request>,
    pub(crate) hook_url: Option<String>,
    pub(crate) hook_secret: String,
    pub(crate) paused: bool,
    pub(crate) page_size: usize,
    pub(crate) token_lifetime: Duration,
    pub(crate) clock_ahead: Duration,
    pub(crate) postbox: UnboundedSender<Post>,
    last_id: u64,
}

/// What the postman is asked to do, in order.
pub(crate) enum Post {
    Deliver(u64),
    /// Answer once everything before it is done.
    Tell(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) login: String,
    /// `User` or `Bot`.
    pub(crate) kind: &'static str,
    /// `admin`, `maintain`, `write`, `triage`, `read` or `none`.
    pub(crate) role: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) author: String,
    pub(crate) branch: String,
    pub(crate) from_fork: bool,
    pub(crate) draft: bool,
    pub(crate) open: bool,
    pub(crate) head: String,
    pub(crate) base: String,
    /// `None` until somebody has asked.
    pub(crate) mergeable: Option<bool>,
    /// GitHub's test merge; `None` when it conflicts.
    pub(crate) test_merge: Option<String>,
    /// The commit on `main`, once merged.
    pub(crate) merge_commit: Option<String>,
    pub(crate) merged_by: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) pull: u64,
    pub(crate) author: String,
    pub(crate) body: String,
    pub(crate) by_app: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

#[derive(Clone)]
pub(crate) struct Review {
    pub(crate) id: u64,
    pub(crate) pull: u64,
    pub(crate) author: String,
    /// Lower case, as in webhooks.
    pub(crate) state: String,
    pub(crate) commit: String,
    pub(crate) submitted_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) head_sha: String,
    pub(crate) external_id: Option<String>,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) details_url: Option<String>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
}

#[derive(Clone)]
pub(crate) struct Reaction {
    pub(crate) id: u64,
    pub(crate) comment: u64,
    pub(crate) author: String,
    pub(crate) content: String,
}

pub(crate) struct Token {
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) repositories: Vec<u64>,
    pub(crate) permissions: BTreeMap<String, String>,
}

/// One attempt to deliver a webhook, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) id: u64,
    pub(crate) guid: String,
    pub(crate) event: String,
    pub(crate) action: Option<String>,
    pub(crate) body: String,
    pub(crate) delivered_at: DateTime<Utc>,
    pub(crate) redelivery: bool,
    /// What our server answered; 502 or 504 if it could not be reached.
    pub(crate) status_code: u16,
    pub(crate) status: String,
}

/// How the next fitting request goes wrong.
pub(crate) struct Fault {
    pub(crate) times: usize,
    pub(crate) method: String,
    pub(crate) path_contains: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) message: &'static str,
    pub(crate) after_effect: bool,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// What the stand-in answered.
    pub(crate) status: u16,
}

impl State {
    pub(crate) fn new(
        git: Git,
        hook_secret: String,
        may_write_contents: bool,
        postbox: UnboundedSender<Post>,
    ) -> Self {
        let contents = if may_write_contents { "write" } else { "read" };
        let granted = [
            ("metadata", "read"),
            ("contents", contents),
            ("pull_requests", "write"),
            ("issues", "write"),
            ("checks", "write"),
        ];
        let mut state = Self {
            git,
            api_url: String::new(),
            granted: granted
                .iter()
                .map(|(name, level)| ((*name).to_owned(), (*level).to_owned()))
                .collect(),
            users: BTreeMap::new(),
            pulls: BTreeMap::new(),
            comments: BTreeMap::new(),
            reviews: BTreeMap::new(),
            check_runs: BTreeMap::new(),
            reactions: Vec::new(),
            tokens: BTreeMap::new(),
            attempts: BTreeMap::new(),
            faults: Vec::new(),
            blocked: None,
            merges: 0,
            violations: Vec::new(),
            requests: Vec::new(),
            hook_url: None,
            hook_secret,
            paused: false,
            page_size: 100,
            token_lifetime: Duration::from_secs(3600),
            clock_ahead: Duration::ZERO,
            postbox,
            last_id: 1000,
        };
        for (login, role) in [
            ("acme", "admin"),
            ("ada", "admin"),
            ("grace", "write"),
            ("linus", "read"),
            ("mallory", "none"),
        ] {
            state.set_role(login, role);
        }
        let id = state.next_id();
        let bot = User {
            id,
            login: BOT.to_owned(),
            kind: "Bot",
            role: "none".to_owned(),
        };
        state.users.insert(BOT.to_owned(), bot);
        state
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The stand-in's time, in whole seconds as GitHub writes it. A test can turn it ahead.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let now = DateTime::<Utc>::from(UNIX_EPOCH + self.clock_ahead + real_time());
        DateTime::from_timestamp(now.timestamp(), 0).expect("the present fits")
    }

    pub(crate) fn set_role(&mut self, login: &str, role: &str) {
        let known = self.users.get(login).map(|user| user.id);
        let id = known.unwrap_or_else(|| self.next_id());
        let user = User {
            id,
            login: login.to_owned(),
            kind: "User",
            role: role.to_owned(),
        };
        self.users.insert(login.to_owned(), user);
    }

    pub(crate) fn user(&self, login: &str) -> &User {
        self.users
            .get(login)
            .unwrap_or_else(|| panic!("nobody is called `{login}`; use set_permission first"))
    }

    pub(crate) fn pull(&self, number: u64) -> &Pull {
        self.pulls
            .get(&number)
            .unwrap_or_else(|| panic!("there is no pull request {number}"))
    }

    pub(crate) fn pull_mut(&mut self, number: u64) -> &mut Pull {
        let now = self.now();
        let pull = self
            .pulls
            .get_mut(&number)
            .unwrap_or_else(|| panic!("there is no pull request {number}"));
        pull.updated_at = now;
        pull
    }

    pub(crate) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    /// A token of about the length that GitHub's have.
    pub(crate) fn issue_token(
        &mut self,
        repositories: Vec<u64>,
        permissions: BTreeMap<String, String>,
    ) -> (String, DateTime<Utc>) {
        let id = self.next_id();
        let token = format!("ghs_{id}_{}", "0123456789abcdef".repeat(8));
        let expires_at = self.now() + self.token_lifetime;
        self.tokens.insert(
            token.clone(),
            Token {
                expires_at,
                repositories,
                permissions,
            },
        );
        (token, expires_at)
    }

    /// Makes GitHub's test merge again, for instance after a push. Whether it worked is told only when someone asks.
    pub(crate) fn test_merge(&mut self, number: u64) {
        let pull = self.pull(number).clone();
        let merged = self.git.merge(
            &pull.base,
            &pull.head,
            &format!("Merge {} into {}", pull.head, pull.base),
            &crate::fake_github::git::NOBODY,
        );
        let reference = format!("refs/pull/{number}/merge");
        match &merged {
            Some(commit) => self.git.set_ref(&reference, commit),
            None => self.git.delete_ref(&reference),
        }
        let pull = self.pulls.get_mut(&number).expect("read above");
        pull.test_merge = merged;
        pull.mergeable = None;
    }

    /// What changes for open pull requests when `main` moves.
    pub(crate) fn main_moved(&mut self) {
        let main = self.git.main();
        let open: Vec<u64> = self
            .pulls
            .values()
            .filter(|pull| pull.open)
            .map(|pull| pull.number)
            .collect();
        for number in open {
            self.pulls
                .get_mut(&number)
                .expect("listed above")
                .base
                .clone_from(&main);
            self.test_merge(number);
        }
    }
}

/// Time since 1970 by the machine's clock.
pub(crate) fn real_time() -> Duration {
    UNIX_EPOCH.elapsed().expect("the machine's clock is set")
}
