//! What our GitHub client writes for people and asks about them: comments, reviews, permissions, checks.

use siding::github::CheckRun;
use siding::github::CheckStatus;
use siding::github::Conclusion;
use siding::github::MAX_OUTPUT_CHARS;
use siding::github::Permission;
use siding::github::Reaction;
use siding::github::ReviewState;

use crate::github_client::MODEL;
use crate::github_client::World;

fn check(head: &str, status: CheckStatus) -> CheckRun {
    CheckRun {
        name: "siding / plan".to_owned(),
        head_sha: head.parse().unwrap(),
        external_id: "plan:1".to_owned(),
        status,
        title: "1 model changes".to_owned(),
        summary: "`db.orders` gets a column.".to_owned(),
        text: Some("select 1\n".repeat(10_000)),
        details_url: Some("https://siding.example/plans/1".to_owned()),
    }
}

// Comments, reviews, permissions.

#[tokio::test]
async fn comments_are_read_over_all_pages_in_order() {
    let world = World::new().await;
    let pr = world.pull().await;
    world.github.limit_pages(10);
    for number in 0..25 {
        world
            .github
            .comment(pr, "grace", &format!("comment {number}"))
            .await;
    }
    let comments = world.repository.comments(pr).await.unwrap();
    let bodies: Vec<&str> = comments
        .iter()
        .map(|comment| comment.body.as_str())
        .collect();
    assert_eq!(
        bodies,
        (0..25)
            .map(|number| format!("comment {number}"))
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_comment_of_ours_carries_the_app_and_is_changed_in_place() {
    let world = World::new().await;
    let pr = world.pull().await;
    let asked = world.github.comment(pr, "grace", "/plan").await;
    world.repository.react(asked, Reaction::Eyes).await.unwrap();
    world.repository.react(asked, Reaction::Eyes).await.unwrap();
    world
        .repository
        .react(asked, Reaction::ThumbsUp)
        .await
        .unwrap();
    let ours = world
        .repository
        .create_comment(pr, "planning")
        .await
        .unwrap();
    world
        .repository
        .update_comment(ours.id, "planned")
        .await
        .unwrap();

    let comments = world.repository.comments(pr).await.unwrap();
    assert_eq!(
        (comments[0].app_id, comments[1].app_id),
        (None, Some(world.app.id()))
    );
    assert_eq!(
        (comments[1].body.as_str(), comments[1].user.login.as_str()),
        ("planned", "siding[bot]")
    );
    let shown = world.github.comments(pr);
    assert_eq!(shown[0].reactions, ["eyes", "+1"]);
    assert_eq!(
        (
            shown[1].id,
            shown[1].author.as_str(),
            shown[1].body.as_str()
        ),
        (ours.id, "siding[bot]", "planned")
    );
    assert_eq!(
        world
            .repository
            .comment(ours.id)
            .await
            .unwrap()
            .unwrap()
            .body,
        "planned"
    );
    assert_eq!(world.repository.comment(1).await.unwrap(), None);
}

#[tokio::test]
async fn a_comment_that_is_too_long_fails_the_test_that_writes_it() {
    let world = World::new().await;
    let pr = world.pull().await;
    let error = world
        .repository
        .create_comment(pr, &"x".repeat(65_537))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(422));
    assert!(!error.may_have_taken_effect());
    let violations = world.github.take_violations();
    assert!(
        violations[0].contains("a comment of 65537 characters"),
        "{violations:?}"
    );
}

#[tokio::test]
async fn reviews_tell_who_said_what_about_which_commit() {
    let world = World::new().await;
    let pr = world.pull().await;
    let approval = world.github.review(pr, "grace", "approved").await;
    world.github.dismiss_review(approval, "ada").await;
    let head = world.github.push(pr, &[(MODEL, Some("select 2"))]).await;
    world.github.review(pr, "grace", "changes_requested").await;

    let reviews = world.repository.reviews(pr).await.unwrap();
    let states: Vec<ReviewState> = reviews.iter().map(|review| review.state).collect();
    assert_eq!(
        states,
        [ReviewState::Dismissed, ReviewState::ChangesRequested]
    );
    assert_ne!(reviews[0].commit_id, Some(head.clone()));
    assert_eq!(
        (&reviews[1].commit_id, reviews[1].user.login.as_str()),
        (&Some(head), "grace")
    );
}

#[tokio::test]
async fn a_permission_is_asked_from_github_and_a_stranger_has_none() {
    let world = World::new().await;
    world.github.set_permission("mia", "maintain");
    world.github.set_permission("theo", "triage");
    world.github.set_permission("rosa", "release-manager");
    let expected = [
        ("ada", Permission::Admin),
        ("mia", Permission::Maintain),
        ("grace", Permission::Write),
        ("theo", Permission::Triage),
        ("linus", Permission::Read),
        ("mallory", Permission::None),
        ("nobody-by-this-name", Permission::None),
        ("renovate[bot]", Permission::None),
    ];
    for (login, permission) in expected {
        assert_eq!(
            world.repository.permission(login).await.unwrap(),
            permission,
            "{login}"
        );
    }
}

// Checks.

#[tokio::test]
async fn a_check_run_goes_from_queued_to_its_conclusion() {
    let world = World::new().await;
    let pr = world.pull().await;
    let head = world.github.pull(pr).head;
    let id = world
        .repository
        .create_check_run(&check(&head, CheckStatus::Queued))
        .await
        .unwrap();
    world
        .repository
        .update_check_run(id, &check(&head, CheckStatus::InProgress))
        .await
        .unwrap();
    let done = check(&head, CheckStatus::Completed(Conclusion::Failure));
    world.repository.update_check_run(id, &done).await.unwrap();

    let shown = &world.github.check_runs(pr)[0];
    assert_eq!(
        (shown.status.as_str(), shown.conclusion.as_deref()),
        ("completed", Some("failure"))
    );
    assert_eq!(shown.summary.as_deref(), Some("`db.orders` gets a column."));
    let text = shown.text.as_deref().unwrap();
    assert!(text.len() <= MAX_OUTPUT_CHARS && text.ends_with("select 1\n(cut)"));
    let records = world.repository.check_runs(&done.head_sha).await.unwrap();
    assert_eq!(
        (records.len(), records[0].id, records[0].app_id),
        (1, id, Some(world.app.id()))
    );
    assert_eq!(records[0].external_id.as_deref(), Some("plan:1"));
    assert_eq!(records[0].conclusion, Some(Conclusion::Failure));
}

#[tokio::test]
async fn a_check_is_repeated_by_a_new_run_and_both_are_listed() {
    let world = World::new().await;
    let pr = world.pull().await;
    let head = world.github.pull(pr).head;
    let first = check(&head, CheckStatus::Completed(Conclusion::Failure));
    let first_id = world.repository.create_check_run(&first).await.unwrap();
    let second_id = world
        .repository
        .create_check_run(&check(&head, CheckStatus::Queued))
        .await
        .unwrap();
    let ids: Vec<u64> = world
        .repository
        .check_runs(&first.head_sha)
        .await
        .unwrap()
        .iter()
        .map(|run| run.id)
        .collect();
    assert_eq!(ids, [first_id, second_id]);
}

#[tokio::test]
async fn taking_a_completed_check_run_back_fails_the_test_that_does_it() {
    let world = World::new().await;
    let pr = world.pull().await;
    let head = world.github.pull(pr).head;
    let done = check(&head, CheckStatus::Completed(Conclusion::Success));
    let id = world.repository.create_check_run(&done).await.unwrap();
    let back = world
        .repository
        .update_check_run(id, &check(&head, CheckStatus::InProgress))
        .await;
    assert!(back.is_err());
    assert!(world.github.take_violations()[0].contains("is taken back"));
}
