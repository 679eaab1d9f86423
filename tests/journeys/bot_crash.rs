//! The server dies in the middle.

use std::os::unix::process::ExitStatusExt;

use siding::bot::FailPoint;

use crate::bot_harness::Shop;

const SIGABRT: i32 = 6;

/// Whatever the point, the end is the same: one merge, one switch, one comment.
async fn dies_at(point: FailPoint) {
    let mut shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    shop.stop().await;

    let mut server = shop.start_to_die(point).await;
    shop.fake.comment(pr, "ada", "/deploy").await;
    let status = tokio::task::spawn_blocking(move || server.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        status.signal(),
        Some(SIGABRT),
        "the server did not die at `{point}`: {}",
        shop.last_words()
    );

    shop.start().await;
    shop.work().await;
    shop.work().await;

    assert_eq!(
        (shop.fake.merges(), shop.swaps()),
        (1, 1),
        "died at `{point}`"
    );
    assert_eq!(shop.production()["shop.orders"], "SELECT 2 AS id\n");
    let comments = shop.bot_comments(pr);
    assert_eq!(comments.len(), 1, "died at `{point}`: {comments:?}");
    assert!(
        comments[0].contains("Deployed"),
        "died at `{point}`: {}",
        comments[0]
    );
    assert_eq!(shop.gate(pr), "success");
    shop.fake.assert_clean();
}

#[tokio::test]
async fn before_the_merge_nothing_is_lost() {
    for point in [
        FailPoint::Requested,
        FailPoint::Gated,
        FailPoint::Prepared,
        FailPoint::Merging,
    ] {
        dies_at(point).await;
    }
}

#[tokio::test]
async fn after_the_merge_it_is_not_merged_again() {
    for point in [
        FailPoint::MergeCalled,
        FailPoint::Merged,
        FailPoint::Swapping,
    ] {
        dies_at(point).await;
    }
}

#[tokio::test]
async fn after_the_switch_it_is_not_switched_again() {
    for point in [
        FailPoint::SwapCalled,
        FailPoint::Swapped,
        FailPoint::Finalised,
    ] {
        dies_at(point).await;
    }
}

#[tokio::test]
async fn a_comment_that_was_written_is_found_again() {
    dies_at(FailPoint::CommentSent).await;
}

#[tokio::test]
async fn the_first_comment_is_not_written_twice() {
    let mut shop = Shop::open().await;
    shop.stop().await;

    let mut server = shop.start_to_die(FailPoint::CommentSent).await;
    let files = [("models/orders.sql", Some("SELECT 2 AS id\n"))];
    let pr = shop
        .fake
        .open_pull("totals", "Totals", "grace", &files)
        .await;
    let status = tokio::task::spawn_blocking(move || server.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.signal(), Some(SIGABRT));
    assert_eq!(shop.bot_comments(pr).len(), 1);

    shop.start().await;
    shop.work().await;

    assert_eq!(shop.bot_comments(pr).len(), 1);
    assert!(shop.sticky(pr).contains("Ready"), "{}", shop.sticky(pr));
}
