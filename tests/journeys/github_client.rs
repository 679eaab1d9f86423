//! Our GitHub client against the stand-in, whose every request and answer is checked with GitHub's own description.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;
use secrecy::SecretString;
use siding::github::App;
use siding::github::Event;
use siding::github::GithubError;
use siding::github::InstallationId;
use siding::github::MergeMethod;
use siding::github::MergeOutcome;
use siding::github::PrNumber;
use siding::github::PullState;
use siding::github::Repository;

use crate::fake_github::FakeGitHub;
use crate::fake_github::FakeOptions;

pub(crate) const MODEL: &str = "models/orders.sql";

/// A stand-in with its folder, and our client for its repository.
pub(crate) struct World {
    pub(crate) github: FakeGitHub,
    pub(crate) app: App,
    pub(crate) repository: Repository,
    _directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut FakeOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = FakeOptions::new(directory.path());
        change(&mut options);
        let github = FakeGitHub::start(options);
        let app = app(&github);
        let repository = app
            .repository(
                github.installation(),
                github.repository_id(),
                github.repository_name(),
            )
            .await
            .unwrap();
        Self {
            github,
            app,
            repository,
            _directory: directory,
        }
    }

    pub(crate) async fn pull(&self) -> PrNumber {
        self.github
            .open_pull(
                "add-currency",
                "Add a currency",
                "ada",
                &[(MODEL, Some("select 1"))],
            )
            .await
    }

    async fn merge(&self, pr: PrNumber) -> MergeOutcome {
        let head = self.github.pull(pr).head.parse().unwrap();
        self.repository
            .merge(pr, &head, MergeMethod::Merge)
            .await
            .unwrap()
    }

    fn requests_to(&self, path: &str) -> usize {
        self.github
            .requests()
            .iter()
            .filter(|request| request.path.contains(path))
            .count()
    }
}

fn app(github: &FakeGitHub) -> App {
    let key = SecretString::from(std::fs::read_to_string(github.private_key_file()).unwrap());
    App::new(&github.api_url(), github.app_id(), &key).unwrap()
}

// Who we are.

#[tokio::test]
async fn a_token_is_for_one_repository_and_is_asked_for_once() {
    let world = World::new().await;
    let work = world
        .app
        .installation_token(world.github.installation(), world.github.repository_id())
        .await
        .unwrap();
    let again = world
        .app
        .installation_token(world.github.installation(), world.github.repository_id())
        .await
        .unwrap();
    let fetch = world
        .app
        .fetch_token(world.github.installation(), world.github.repository_id())
        .await
        .unwrap();

    assert_eq!(work.expose_secret(), again.expose_secret());
    assert_ne!(work.expose_secret(), fetch.expose_secret());
    assert_eq!(world.requests_to("access_tokens"), 2);
    let asked = world.github.requests()[0].body.clone().unwrap();
    assert_eq!(
        asked["repository_ids"],
        serde_json::json!([world.github.repository_id()])
    );
    assert_eq!(asked["permissions"]["contents"], "write");
}

#[tokio::test]
async fn a_token_that_ends_within_five_minutes_is_not_given_out_again() {
    let world = World::new().await;
    let tokens_asked_for = async |lifetime: u64| {
        world
            .github
            .set_token_lifetime(Duration::from_secs(lifetime));
        let app = app(&world.github);
        let before = world.requests_to("access_tokens");
        for _ in 0..3 {
            app.installation_token(world.github.installation(), world.github.repository_id())
                .await
                .unwrap();
        }
        world.requests_to("access_tokens") - before
    };
    assert_eq!(tokens_asked_for(4 * 60).await, 3);
    assert_eq!(tokens_asked_for(60 * 60).await, 1);
}

#[tokio::test]
async fn an_ended_token_is_renewed_and_the_call_made_again_once() {
    let world = World::new().await;
    let pr = world.pull().await;
    world.github.advance(Duration::from_secs(2 * 3600));
    world.repository.create_comment(pr, "hello").await.unwrap();
    world.github.revoke_tokens();
    assert_eq!(world.repository.comments(pr).await.unwrap().len(), 1);

    assert_eq!(world.github.comments(pr).len(), 1);
    assert_eq!(world.requests_to("access_tokens"), 3);
}

#[tokio::test]
async fn an_installation_that_is_gone_is_a_404_that_names_no_secret() {
    let world = World::new().await;
    let gone = world.app.repository(
        InstallationId(7),
        world.github.repository_id(),
        world.github.repository_name(),
    );
    let error = gone.await.unwrap_err();
    assert_eq!(error.status(), Some(404));
    let text = format!("{error} {error:?} {:?}", world.app);
    assert!(
        text.contains("/app/installations/7/access_tokens"),
        "{text}"
    );
    assert!(
        !text.contains("ghs_") && !text.contains("eyJ") && !text.contains("PRIVATE"),
        "{text}"
    );
}

#[tokio::test]
async fn a_key_that_is_none_and_an_address_that_is_none_are_said_at_once() {
    let key = SecretString::from("not a key");
    let message = |url: &str, key: &SecretString| App::new(url, 1, key).unwrap_err().to_string();
    assert_eq!(
        message("https://api.example", &key),
        "the private key of the GitHub App cannot be used: it is not an RSA key in PEM",
    );
    assert!(message("api.example", &key).contains("`api.example` does not start with `https://`"));
}

#[tokio::test]
async fn an_owner_who_grants_no_writing_gets_everything_but_merges() {
    let world = World::with(|options| options.may_write_contents = false).await;
    let pr = world.pull().await;
    world
        .repository
        .create_comment(pr, "planned")
        .await
        .unwrap();
    let outcome = world.merge(pr).await;
    assert_eq!(
        outcome,
        MergeOutcome::Forbidden("Resource not accessible by integration".to_owned())
    );
    assert_eq!(world.github.merges(), 0);
}

// Pull requests.

#[tokio::test]
async fn whether_a_pull_request_can_be_merged_is_told_to_the_second_who_asks() {
    let world = World::new().await;
    let pr = world.pull().await;
    let first = world.repository.pull(pr).await.unwrap();
    let second = world.repository.pull(pr).await.unwrap();

    assert_eq!((first.mergeable, first.merge_commit_sha), (None, None));
    assert_eq!(second.mergeable, Some(true));
    assert!(second.merge_commit_sha.is_some());
    assert_eq!(
        (second.state, second.merged, second.user.login.as_str()),
        (PullState::Open, false, "ada")
    );
    assert_eq!(
        (second.base_ref.as_str(), second.head_ref.as_str()),
        ("main", "add-currency")
    );
    assert_eq!(
        second.head_repository_id,
        Some(world.github.repository_id())
    );
}

#[tokio::test]
async fn open_pull_requests_are_listed_over_all_pages() {
    let world = World::new().await;
    world.github.limit_pages(2);
    for number in 0..5 {
        world
            .github
            .open_pull(&format!("b{number}"), "One of many", "ada", &[])
            .await;
    }
    world.github.close(PrNumber(3)).await;
    let open = world.repository.open_pulls().await.unwrap();
    let numbers: Vec<u64> = open.iter().map(|pull| pull.number.0).collect();
    assert_eq!(numbers, [5, 4, 2, 1]);
    assert!(
        open.iter()
            .all(|pull| !pull.merged && pull.mergeable.is_none())
    );
}

#[tokio::test]
async fn a_merge_is_a_real_commit_on_main() {
    let world = World::new().await;
    let pr = world.pull().await;
    let MergeOutcome::Merged(commit) = world.merge(pr).await else {
        panic!("not merged");
    };
    assert_eq!(world.github.main_head(), commit);
    assert_eq!(
        world.github.file_on_main(MODEL).as_deref(),
        Some("select 1")
    );
    let pull = world.repository.pull(pr).await.unwrap();
    assert!(pull.merged);
    assert_eq!(
        (pull.state, pull.merge_commit_sha),
        (PullState::Closed, Some(commit))
    );
}

#[tokio::test]
async fn squash_and_rebase_put_one_parent_under_the_same_files() {
    let world = World::new().await;
    for (branch, method) in [
        ("squashed", MergeMethod::Squash),
        ("rebased", MergeMethod::Rebase),
    ] {
        let pr = world
            .github
            .open_pull(branch, "Change", "ada", &[(branch, Some("1"))])
            .await;
        let head = world.github.push(pr, &[(branch, Some("2"))]).await;
        world.github.commit_to_main(&[("elsewhere", Some(branch))]);
        let outcome = world.repository.merge(pr, &head, method).await.unwrap();
        assert!(matches!(outcome, MergeOutcome::Merged(_)), "{outcome:?}");
        assert_eq!(world.github.file_on_main(branch).as_deref(), Some("2"));
        assert!(!world.github.main_contains(&head));
    }
}

#[tokio::test]
async fn a_merge_of_a_branch_that_moved_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let pr = world.pull().await;
    let before = world.github.pull(pr).head.parse().unwrap();
    world.github.push(pr, &[(MODEL, Some("select 2"))]).await;
    let outcome = world
        .repository
        .merge(pr, &before, MergeMethod::Merge)
        .await
        .unwrap();
    assert!(matches!(outcome, MergeOutcome::HeadMoved(_)), "{outcome:?}");
    assert_eq!(world.github.merges(), 0);
}

#[tokio::test]
async fn drafts_conflicts_rules_and_closed_pull_requests_are_not_mergeable() {
    let world = World::new().await;
    let pr = world.pull().await;
    world
        .github
        .block_merges(Some("Required status check \"siding / gate\" is expected."));
    let rule = "Required status check \"siding / gate\" is expected.".to_owned();
    assert_eq!(world.merge(pr).await, MergeOutcome::NotMergeable(rule));

    world.github.block_merges(None);
    world
        .github
        .commit_to_main(&[(MODEL, Some("something else"))]);
    assert_eq!(
        world.merge(pr).await,
        MergeOutcome::NotMergeable("Merge conflict".to_owned())
    );
    world.repository.pull(pr).await.unwrap();
    assert_eq!(
        world.repository.pull(pr).await.unwrap().mergeable,
        Some(false)
    );

    world.github.close(pr).await;
    assert!(matches!(
        world.merge(pr).await,
        MergeOutcome::NotMergeable(_)
    ));
    assert_eq!(world.github.merges(), 0);
}

#[tokio::test]
async fn a_merge_whose_answer_is_lost_has_happened_and_is_not_repeated() {
    let world = World::new().await;
    let pr = world.pull().await;
    world.github.fail_next(1, 502, "PUT", "/merge", true);
    let head = world.github.pull(pr).head.parse().unwrap();
    let error = world
        .repository
        .merge(pr, &head, MergeMethod::Merge)
        .await
        .unwrap_err();

    assert!(error.may_have_taken_effect(), "{error}");
    assert!(world.repository.pull(pr).await.unwrap().merged);
    assert_eq!((world.github.merges(), world.requests_to("/merge")), (1, 1));
}

// When GitHub is not well.

#[tokio::test]
async fn a_rate_limit_is_told_with_its_time_and_nothing_is_sent_again() {
    let world = World::new().await;
    let pr = world.pull().await;
    world.github.rate_limit_next(17, "POST", "/comments");
    let error = world
        .repository
        .create_comment(pr, "hello")
        .await
        .unwrap_err();
    let GithubError::RateLimited { retry_after, .. } = error else {
        panic!("not a rate limit: {error}");
    };
    assert_eq!(retry_after, Duration::from_secs(17));
    assert_eq!(world.requests_to("/comments"), 1);
    assert!(world.github.comments(pr).is_empty());
}

#[tokio::test]
async fn a_read_is_tried_again_after_a_server_error_and_a_write_is_not() {
    let world = World::new().await;
    let pr = world.pull().await;
    world.github.fail_next(2, 503, "GET", "/pulls/", false);
    assert_eq!(world.repository.pull(pr).await.unwrap().number, pr);
    let asked = world.github.requests();
    let reads: Vec<u16> = asked
        .iter()
        .filter(|request| request.method == "GET")
        .map(|request| request.status)
        .collect();
    assert_eq!(reads, [503, 503, 200]);

    world.github.fail_next(1, 503, "POST", "/comments", false);
    let error = world
        .repository
        .create_comment(pr, "hello")
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(503));
    assert!(error.is_transient());
    assert_eq!(world.requests_to("/comments"), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let github = FakeGitHub::start(FakeOptions::new(directory.path()));
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let key = SecretString::from(github.private_key_pem());
    let app = App::new(&format!("http://127.0.0.1:{port}"), 1, &key).unwrap();
    let error = app
        .installation_token(InstallationId(1), 1)
        .await
        .unwrap_err();
    assert!(matches!(error, GithubError::NoAnswer { .. }), "{error}");
    assert!(error.may_have_taken_effect());
}

#[tokio::test]
async fn lost_deliveries_are_found_and_delivered_again() {
    let world = World::new().await;
    let start = chrono::DateTime::from_timestamp(0, 0).unwrap();
    let pr = world.pull().await;
    world.github.limit_pages(4);
    for number in 0..9 {
        world
            .github
            .comment(pr, "grace", &format!("comment {number}"))
            .await;
    }
    let lost = world.app.failed_deliveries(start).await.unwrap();
    assert_eq!(lost.len(), 10);
    assert_eq!(
        (lost[0].event.as_str(), lost[9].event.as_str()),
        ("pull_request", "issue_comment")
    );

    world.app.redeliver(lost[0].id).await.unwrap();
    let still_lost = world.app.failed_deliveries(start).await.unwrap();
    assert_eq!(still_lost.len(), 10);
    assert_eq!(
        still_lost
            .iter()
            .map(|delivery| &delivery.guid)
            .collect::<BTreeSet<_>>()
            .len(),
        10
    );
    let later = lost[0].delivered_at + Duration::from_secs(3600);
    assert_eq!(world.app.failed_deliveries(later).await.unwrap(), []);
    assert_eq!(
        world.app.redeliver(1).await.unwrap_err().status(),
        Some(404)
    );
}

// Webhooks.

#[test]
fn every_official_webhook_example_of_our_events_is_parsed() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks/examples");
    let mut read = BTreeSet::new();
    for event in std::fs::read_dir(examples).unwrap().map(Result::unwrap) {
        let name = event.file_name().into_string().unwrap();
        for example in std::fs::read_dir(event.path()).unwrap().map(Result::unwrap) {
            let body = std::fs::read(example.path()).unwrap();
            let parsed =
                Event::parse(&name, &body).unwrap_or_else(|error| panic!("{example:?}: {error}"));
            let kind = match parsed {
                Event::PullRequest(_) => "pull_request",
                Event::IssueComment(_) => "issue_comment",
                Event::PullRequestReview(_) => "pull_request_review",
                Event::Installation(_) => "installation",
                Event::Ping => "ping",
                Event::Unknown(_) => "unknown",
            };
            assert_eq!(kind, name, "{example:?}");
            read.insert((name.clone(), example.file_name()));
        }
    }
    assert_eq!(read.len(), 53);
}
