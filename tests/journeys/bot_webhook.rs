//! What comes in at the door.

use crate::bot_harness::Shop;

const GUID: (&str, &str) = ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_forged_delivery_changes_nothing() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    shop.comment(pr, "grace", "hello").await;
    let body = shop
        .fake
        .deliveries()
        .last()
        .unwrap()
        .body
        .replace("hello", "/deploy");
    let event = ("x-github-event", "issue_comment");

    let unsigned = shop
        .fake
        .deliver_raw(&[event, GUID, JSON], body.as_bytes())
        .await;
    let signature = shop.fake.sign(b"something else");
    let wrong = [
        event,
        GUID,
        JSON,
        ("x-hub-signature-256", signature.as_str()),
    ];
    let forged = shop.fake.deliver_raw(&wrong, body.as_bytes()).await;
    shop.work().await;

    assert_eq!((unsigned, forged), (401, 401));
    assert_eq!((shop.fake.merges(), shop.swaps()), (0, 0));
    assert_eq!(shop.bot_comments(pr).len(), 1);
}

#[tokio::test]
async fn a_replayed_delivery_changes_nothing() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    shop.comment(pr, "ada", "/deploy").await;
    let before = shop.log();

    for attempt in shop.fake.deliveries() {
        let signature = shop.fake.sign(attempt.body.as_bytes());
        let guids = [attempt.guid.clone(), format!("{}-replayed", attempt.guid)];
        for guid in &guids {
            let headers = [
                ("x-github-event", attempt.event.as_str()),
                ("x-github-delivery", guid.as_str()),
                JSON,
                ("x-hub-signature-256", signature.as_str()),
            ];
            shop.fake
                .deliver_raw(&headers, attempt.body.as_bytes())
                .await;
        }
    }
    shop.work().await;

    assert_eq!(shop.log(), before);
    assert_eq!(shop.fake.merges(), 1);
    assert_eq!(shop.bot_comments(pr).len(), 1);
}

#[tokio::test]
async fn each_kind_of_nonsense_has_its_answer() {
    let shop = Shop::open().await;
    let fake = &shop.fake;
    let send = async |event: &str, kind: &str, body: &[u8]| {
        let signature = fake.sign(body);
        let headers = [
            ("x-github-event", event),
            GUID,
            ("content-type", kind),
            ("x-hub-signature-256", signature.as_str()),
        ];
        fake.deliver_raw(&headers, body).await
    };

    assert_eq!(send("star", "application/json", b"{}").await, 204);
    assert_eq!(send("ping", "application/json", b"{}").await, 204);
    assert_eq!(
        send(
            "pull_request",
            "application/x-www-form-urlencoded",
            b"payload=x"
        )
        .await,
        415
    );
    assert_eq!(
        send("pull_request", "application/json", b"{\"action\":").await,
        400
    );
    assert_eq!(
        send(
            "pull_request",
            "application/json",
            &vec![b' '; 26 * 1024 * 1024]
        )
        .await,
        413
    );
    let no_names = [JSON, ("x-hub-signature-256", &fake.sign(b"{}"))];
    assert_eq!(fake.deliver_raw(&no_names, b"{}").await, 400);
}

#[tokio::test]
async fn events_may_come_in_any_order() {
    let shop = Shop::open().await;
    shop.fake.pause_webhooks();
    let files = |sql| [("models/orders.sql", Some(sql))];
    let open = shop
        .fake
        .open_pull("one", "One", "grace", &files("SELECT 2\n"))
        .await;
    let closed = shop
        .fake
        .open_pull("two", "Two", "grace", &files("SELECT 3\n"))
        .await;
    shop.fake.push(open, &files("SELECT 4\n")).await;
    shop.fake.push(closed, &files("SELECT 5\n")).await;
    shop.fake.close(closed).await;
    shop.fake.resume_webhooks();

    let guids: Vec<String> = shop
        .fake
        .deliveries()
        .into_iter()
        .map(|attempt| attempt.guid)
        .collect();
    for guid in guids.iter().rev() {
        shop.fake.redeliver(guid).await;
        shop.work().await;
    }

    assert_eq!(shop.bot_comments(open).len(), 1);
    assert!(shop.sticky(open).contains(&shop.fake.pull(open).head[..7]));
    assert_eq!(shop.gate(open), "success");
    assert!(shop.warehouse("environment-shop_1").exists());
    assert!(!shop.warehouse("environment-shop_2").exists());
}
