//! What people write.

use serde_json::json;

use crate::bot_harness::Shop;
use crate::bot_harness::policy;

#[tokio::test]
async fn help_lists_the_commands() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    let asked = shop.comment(pr, "linus", "What can I do?\n\n/help").await;

    assert_eq!(asked.reactions, ["eyes", "+1"]);
    let answer = shop.bot_comments(pr).pop().unwrap();
    assert!(
        answer.contains("/deploy  Merge this pull request and switch production to it"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_typo_gets_a_suggestion_and_talk_gets_nothing() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    let typo = shop.comment(pr, "grace", "/paln").await;
    let talk = shop
        .comment(
            pr,
            "grace",
            "`/deploy` would do it\n\n> /deploy\n\nor /usr/bin",
        )
        .await;

    assert_eq!(typo.reactions, ["eyes", "confused"]);
    assert!(talk.reactions.is_empty());
    let answers = shop.bot_comments(pr);
    assert_eq!(answers.len(), 2);
    assert!(
        answers[1].contains("a similar subcommand exists: 'plan'"),
        "{}",
        answers[1]
    );
    assert_eq!(shop.fake.merges(), 0);
}

#[tokio::test]
async fn plan_builds_again() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    let asked = shop.comment(pr, "grace", "/plan").await;

    assert_eq!(asked.reactions, ["eyes", "rocket", "+1"]);
    assert_eq!(shop.log(), ["prepare shop_1", "prepare shop_1"]);
    assert_eq!(shop.bot_comments(pr).len(), 1);
}

#[tokio::test]
async fn a_strangers_deploy_is_refused() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    for stranger in ["mallory", "linus"] {
        let asked = shop.comment(pr, stranger, "/deploy").await;
        assert_eq!(asked.reactions, ["eyes", "-1"]);
    }

    assert_eq!((shop.fake.merges(), shop.swaps()), (0, 0));
    let answer = shop.bot_comments(pr).pop().unwrap();
    assert!(
        answer.starts_with("Not done: `linus` may not do this here"),
        "{answer}"
    );
}

#[tokio::test]
async fn editing_a_comment_gives_no_orders() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    let comment = shop.comment(pr, "ada", "looks good").await;
    shop.fake.edit_comment(comment.id, "grace", "/deploy").await;
    shop.work().await;

    assert_eq!((shop.fake.merges(), shop.swaps()), (0, 0));
}

#[tokio::test]
async fn a_comment_that_is_delivered_twice_is_obeyed_once() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    shop.comment(pr, "grace", "/plan").await;

    let guids: Vec<String> = shop
        .fake
        .deliveries()
        .into_iter()
        .map(|attempt| attempt.guid)
        .collect();
    for guid in &guids {
        shop.fake.redeliver(guid).await;
    }
    shop.work().await;

    assert_eq!(shop.log(), ["prepare shop_1", "prepare shop_1"]);
    assert_eq!(shop.bot_comments(pr).len(), 1);
}

#[tokio::test]
async fn with_a_namespace_short_commands_belong_to_others() {
    let mut policy = policy();
    policy["command_namespace"] = json!("duck");
    let shop = Shop::with_policy(policy).await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    shop.comment(pr, "ada", "/deploy").await;
    assert_eq!(shop.fake.merges(), 0);
    shop.comment(pr, "ada", "/duck deploy").await;
    assert_eq!((shop.fake.merges(), shop.swaps()), (1, 1));
}

#[tokio::test]
async fn somebody_elses_comment_with_our_marker_is_left_alone() {
    let shop = Shop::open().await;
    shop.fake.pause_webhooks();
    let files = [("models/orders.sql", Some("SELECT 2 AS id\n"))];
    let pr = shop
        .fake
        .open_pull("totals", "Totals", "grace", &files)
        .await;
    let marker = format!(
        "<!-- siding v1 comment {}#{pr} -->\nmine",
        shop.fake.repository_id()
    );
    let planted = shop.fake.comment(pr, "mallory", &marker).await;
    shop.fake.resume_webhooks();

    shop.push(pr, "orders", "SELECT 3 AS id\n").await;

    let comments = shop.fake.comments(pr);
    assert_eq!(
        comments
            .iter()
            .find(|comment| comment.id == planted)
            .unwrap()
            .body,
        marker
    );
    assert_eq!(shop.bot_comments(pr).len(), 1);
}
