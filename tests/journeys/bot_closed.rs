//! A pull request ends without the bot.

use crate::bot_harness::Shop;

#[tokio::test]
async fn closing_removes_the_environment_and_reopening_builds_it_again() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    assert!(shop.warehouse("environment-shop_1").exists());

    shop.fake.close(pr).await;
    shop.work().await;

    assert!(!shop.warehouse("environment-shop_1").exists());
    assert!(
        shop.sticky(pr)
            .contains("Closed; its environment is removed."),
        "{}",
        shop.sticky(pr)
    );
    assert_eq!(shop.swaps(), 0);

    shop.fake.reopen(pr).await;
    shop.work().await;

    assert!(shop.warehouse("environment-shop_1").exists());
    assert_eq!(shop.bot_comments(pr).len(), 1);
    assert!(shop.sticky(pr).contains("Ready"), "{}", shop.sticky(pr));
}

#[tokio::test]
async fn a_merge_by_a_person_is_promoted_without_building() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;

    shop.fake.merge_as_human(pr, "ada").await;
    shop.work().await;

    assert_eq!(shop.swaps(), 1);
    assert_eq!(shop.production()["shop.orders"], "SELECT 2 AS id\n");
    let comment = shop.sticky(pr);
    assert!(
        comment.contains("Deployed: 2 views switched in 1.5 ms, 1 table reused, nothing executed."),
        "{comment}"
    );
    assert_eq!(shop.bot_comments(pr).len(), 1);
    assert!(!shop.warehouse("environment-shop_1").exists());
}

#[tokio::test]
async fn a_merge_that_was_never_prepared_is_promoted_from_the_base_branch() {
    let mut shop = Shop::open().await;
    shop.stop().await;
    let files = [("models/orders.sql", Some("SELECT 3 AS id\n"))];
    let pr = shop.fake.open_pull("fast", "Fast", "ada", &files).await;
    shop.start().await;

    shop.fake.merge_as_human(pr, "ada").await;
    shop.work().await;

    assert_eq!(shop.swaps(), 1);
    assert_eq!(shop.production()["shop.orders"], "SELECT 3 AS id\n");
}

#[tokio::test]
async fn two_merges_end_with_the_newest_base_branch_in_production() {
    let shop = Shop::open().await;
    let first = shop.open_pull("one", "orders", "SELECT 2 AS id\n").await;
    let second = shop.open_pull("two", "customers", "SELECT 2 AS id\n").await;

    shop.fake.merge_as_human(first, "ada").await;
    shop.fake.merge_as_human(second, "ada").await;
    shop.work().await;

    let production = shop.production();
    assert_eq!(production["shop.orders"], "SELECT 2 AS id\n");
    assert_eq!(production["shop.customers"], "SELECT 2 AS id\n");
    for pr in [first, second] {
        assert!(shop.sticky(pr).contains("Deployed"), "{}", shop.sticky(pr));
    }
}
