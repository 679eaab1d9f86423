//! `/deploy`: prepare, merge, switch.

use serde_json::json;

use crate::bot_harness::Shop;
use crate::bot_harness::policy;

#[tokio::test]
async fn deploy_after_approval_merges_once_and_switches_once() {
    let mut policy = policy();
    policy["required_approvers"] = json!(["ada"]);
    let shop = Shop::with_policy(policy).await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    assert_eq!(shop.gate(pr), "failure");
    assert!(
        shop.sticky(pr).contains("`ada` must approve this commit"),
        "{}",
        shop.sticky(pr)
    );

    let early = shop.comment(pr, "grace", "/deploy").await;
    assert_eq!(early.reactions, ["eyes", "rocket", "-1"]);
    assert_eq!(shop.fake.merges(), 0);

    shop.fake.review(pr, "ada", "approved").await;
    shop.work().await;
    assert_eq!(shop.gate(pr), "success");
    let asked = shop.comment(pr, "grace", "/deploy").await;

    assert_eq!(asked.reactions, ["eyes", "rocket", "+1"]);
    assert_eq!((shop.fake.merges(), shop.swaps()), (1, 1));
    assert_eq!(shop.production()["shop.orders"], "SELECT 2 AS id\n");
    let comment = shop.sticky(pr);
    assert!(
        comment.contains("Deployed: 2 views switched in 1.5 ms, 1 table reused, nothing executed."),
        "{comment}"
    );
    assert!(!shop.warehouse("environment-shop_1").exists());
    shop.fake.assert_clean();
}

#[tokio::test]
async fn a_push_takes_the_approval_away() {
    let mut policy = policy();
    policy["required_approvers"] = json!(["ada"]);
    let shop = Shop::with_policy(policy).await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    let review = shop.fake.review(pr, "ada", "approved").await;
    shop.work().await;
    assert_eq!(shop.gate(pr), "success");

    shop.push(pr, "orders", "SELECT 3 AS id\n").await;
    assert_eq!(shop.gate(pr), "failure");

    shop.fake.review(pr, "ada", "approved").await;
    shop.work().await;
    assert_eq!(shop.gate(pr), "success");
    shop.fake.dismiss_review(review, "grace").await;
    shop.work().await;
    assert_eq!(shop.gate(pr), "success");
}

#[tokio::test]
async fn deploying_a_commit_that_is_not_the_newest_is_refused() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    let old = shop.fake.pull(pr).head;
    shop.push(pr, "orders", "SELECT 3 AS id\n").await;

    shop.comment(pr, "ada", &format!("/deploy {}", &old[..7]))
        .await;

    assert_eq!((shop.fake.merges(), shop.swaps()), (0, 0));
    let answer = shop.bot_comments(pr).pop().unwrap();
    assert!(
        answer.starts_with("Not done: the newest commit is"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_push_between_the_command_and_its_execution_stops_it() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    shop.fake.comment(pr, "ada", "/deploy").await;
    shop.push(pr, "orders", "SELECT 3 AS id\n").await;

    assert_eq!((shop.fake.merges(), shop.swaps()), (0, 0));
}

#[tokio::test]
async fn a_merge_that_github_refuses_changes_nothing_and_quotes_the_reason() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    shop.fake
        .block_merges(Some("Changes must be made through a queue"));

    let asked = shop.comment(pr, "ada", "/deploy").await;

    assert_eq!(asked.reactions, ["eyes", "rocket", "-1"]);
    assert_eq!((shop.fake.merges(), shop.swaps()), (0, 0));
    let comment = shop.sticky(pr);
    assert!(
        comment.contains("Not deployed: GitHub did not merge it"),
        "{comment}"
    );

    shop.fake.block_merges(None);
    shop.comment(pr, "ada", "/deploy").await;
    assert_eq!((shop.fake.merges(), shop.swaps()), (1, 1));
}

#[tokio::test]
async fn a_merge_whose_answer_is_lost_is_done_once() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    shop.fake.fail_next(1, 502, "PUT", "/merge", true);

    shop.comment(pr, "ada", "/deploy").await;

    assert_eq!((shop.fake.merges(), shop.swaps()), (1, 1));
    assert!(shop.sticky(pr).contains("Deployed"), "{}", shop.sticky(pr));
}

#[tokio::test]
async fn a_comment_whose_answer_is_lost_is_not_written_twice() {
    let shop = Shop::open().await;
    shop.fake
        .fail_next(1, 502, "POST", "/issues/1/comments", true);

    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    assert_eq!(shop.bot_comments(pr).len(), 1);
    assert!(shop.sticky(pr).contains("Ready"), "{}", shop.sticky(pr));
}

#[tokio::test]
async fn production_that_moved_is_planned_against_before_the_merge() {
    let shop = Shop::open().await;
    let first = shop.open_pull("one", "orders", "SELECT 2 AS id\n").await;
    let second = shop.open_pull("two", "customers", "SELECT 2 AS id\n").await;

    shop.comment(first, "ada", "/deploy").await;
    shop.comment(second, "ada", "/deploy").await;

    assert_eq!((shop.fake.merges(), shop.swaps()), (2, 2));
    let production = shop.production();
    assert_eq!(production["shop.orders"], "SELECT 2 AS id\n");
    assert_eq!(production["shop.customers"], "SELECT 2 AS id\n");
}

#[tokio::test]
async fn after_a_deployment_other_pull_requests_are_planned_again() {
    let shop = Shop::open().await;
    let first = shop.open_pull("one", "orders", "SELECT 2 AS id\n").await;
    let second = shop.open_pull("two", "customers", "SELECT 2 AS id\n").await;
    assert!(
        shop.sticky(second).contains("2 added"),
        "{}",
        shop.sticky(second)
    );

    shop.comment(first, "ada", "/deploy").await;

    assert!(
        shop.sticky(second).contains("1 changed"),
        "{}",
        shop.sticky(second)
    );
}

#[tokio::test]
async fn a_switch_that_fails_is_said_and_deploy_tries_again() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    std::fs::write(shop.warehouse("locked"), "").unwrap();
    shop.fake.merge_as_human(pr, "ada").await;
    shop.work().await;

    let comment = shop.sticky(pr);
    assert!(
        comment.contains("but production could not be switched: the database is locked"),
        "{comment}"
    );
    assert_eq!(shop.gate(pr), "failure");

    std::fs::remove_file(shop.warehouse("locked")).unwrap();
    shop.comment(pr, "ada", "/deploy").await;

    assert_eq!((shop.fake.merges(), shop.swaps()), (1, 1));
    assert!(shop.sticky(pr).contains("Deployed"), "{}", shop.sticky(pr));
    assert_eq!(shop.gate(pr), "success");
}
