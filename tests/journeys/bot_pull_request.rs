//! A pull request is opened and pushed to.

use serde_json::json;

use crate::bot_harness::Shop;
use crate::fake_github::NewPull;

#[tokio::test]
async fn an_opened_pull_request_gets_a_comment_and_three_checks() {
    let shop = Shop::open().await;
    shop.deploy_main();

    let pr = shop
        .open_pull("totals", "orders", "SELECT 1 AS id, 2 AS total\n")
        .await;

    let head = shop.fake.pull(pr).head[..7].to_owned();
    let base = shop.fake.main_head().as_str()[..7].to_owned();
    let comment = shop
        .sticky(pr)
        .replace(&head, "<head>")
        .replace(&base, "<base>");
    let plan = comment.rsplit("plan `").next().unwrap()[..12].to_owned();
    insta::assert_snapshot!(comment.replace(&plan, "<plan>"), @r"
    **Ready: merging changes 1 model (1 changed); 1 model built and audited, so production only switches views.**

    Gate: open.

    | Model | Change | Rows prod → PR | Schema | Missing intervals |
    |---|---|---|---|---|
    | `shop.orders` | changed, Breaking | 1,000 → 1,234 (+234) | +`total DOUBLE` | 2024-01-01 → 2024-01-03, now filled |

    Query this pull request's data in the environment `shop_1`:

    ```sql
    SELECT * FROM shop__shop_1.orders LIMIT 100;
    ```

    Next: comment `/deploy <head>` to merge and switch production; `/plan` builds and compares again.

    <sub>head `<head>` · base `<base>` · plan `<plan>` · built in 0.5 s</sub>
    ");
    let checks = shop.fake.check_runs(pr);
    let checks: Vec<String> = checks
        .into_iter()
        .map(|run| {
            format!(
                "{}: {}, {}",
                run.name,
                run.conclusion.unwrap(),
                run.title.unwrap()
            )
        })
        .collect();
    insta::assert_snapshot!(checks.join("\n"), @r"
    Siding / environment: success, shop_1 is built and audited
    Siding / gate: success, May be deployed
    Siding / plan: success, 1 changed
    ");
    shop.fake.assert_clean();
}

#[tokio::test]
async fn pushing_again_rewrites_the_one_comment() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("totals", "orders", "SELECT 2 AS id\n").await;
    let first = shop.fake.pull(pr).head;

    shop.push(pr, "orders", "SELECT 3 AS id\n").await;

    let second = shop.fake.pull(pr).head;
    assert_eq!(shop.bot_comments(pr).len(), 1);
    assert!(shop.sticky(pr).contains(&second[..7]));
    assert!(!shop.sticky(pr).contains(&first[..7]));
    assert_eq!(shop.gate(pr), "success");
}

#[tokio::test]
async fn a_mistake_is_shown_with_its_place_and_closes_the_gate() {
    let shop = Shop::open().await;

    let pr = shop.open_pull("broken", "orders", "SELECT BROKEN\n").await;

    let comment = shop.sticky(pr);
    assert!(
        comment.contains("Not ready: the project has an error."),
        "{comment}"
    );
    let mistake =
        "- error: `models/orders.sql:1:8`: column `amout` does not exist. Did you mean `amount`";
    assert!(comment.contains(mistake), "{comment}");
    assert!(
        shop.checks(pr)
            .values()
            .all(|conclusion| conclusion == "failure")
    );
}

#[tokio::test]
async fn a_job_that_dies_is_tried_three_times_and_then_apologised_for() {
    let shop = Shop::open().await;

    let pr = shop.open_pull("deadly", "orders", "SELECT DIE\n").await;

    assert_eq!(shop.log(), ["prepare shop_1"; 3]);
    let comment = shop.sticky(pr);
    assert!(
        comment.contains("Sorry, preparing this pull request failed on the server's side"),
        "{comment}"
    );
    assert_eq!(shop.gate(pr), "failure");
}

#[tokio::test]
async fn the_code_of_a_fork_is_not_run() {
    let shop = Shop::open().await;

    let files = [("models/orders.sql", Some("SELECT 9\n"))];
    let new = NewPull {
        branch: "evil",
        title: "Look at this",
        author: "mallory",
        files: &files,
        draft: false,
        from_fork: true,
    };
    let pr = shop.fake.open_pull_with(&new).await;
    shop.work().await;

    assert!(
        shop.sticky(pr)
            .contains("the code of forks is not run here")
    );
    assert_eq!(shop.gate(pr), "failure");
    assert!(shop.log().is_empty());
}

#[tokio::test]
async fn a_conflict_with_the_base_branch_is_said() {
    let shop = Shop::open().await;
    let pr = shop.open_pull("mine", "orders", "SELECT 'mine'\n").await;

    shop.fake
        .commit_to_main(&[("models/orders.sql", Some("SELECT 'theirs'\n"))]);
    shop.push(pr, "orders", "SELECT 'mine again'\n").await;

    assert!(
        shop.sticky(pr).contains("conflicts with `main`"),
        "{}",
        shop.sticky(pr)
    );
    assert_eq!(shop.gate(pr), "failure");
}

#[tokio::test]
async fn a_pull_request_cannot_change_the_policy_that_judges_it() {
    let shop = Shop::with_policy(json!({
        "enable_deploy_command": false, "merge_method": null, "command_namespace": null,
        "pr_environment_name": null, "prod_branches": ["main"],
        "invalidate_environment_after_deploy": true, "required_approvers": ["ada"]
    }))
    .await;

    let own = json!({
        "enable_deploy_command": true, "merge_method": "merge", "command_namespace": null,
        "pr_environment_name": "prod", "prod_branches": ["main"],
        "invalidate_environment_after_deploy": true, "required_approvers": []
    })
    .to_string();
    let files = [
        ("config.yaml", Some(own.as_str())),
        ("models/orders.sql", Some("SELECT 2\n")),
    ];
    let pr = shop
        .fake
        .open_pull("policy", "Let me in", "grace", &files)
        .await;
    shop.work().await;
    shop.comment(pr, "grace", "/deploy").await;

    assert_eq!((shop.fake.merges(), shop.swaps()), (0, 0));
    let comment = shop.sticky(pr);
    assert!(
        comment.contains("This pull request changes `config.yaml`"),
        "{comment}"
    );
    assert!(
        comment.contains("`enable_deploy_command` is off"),
        "{comment}"
    );
    assert!(comment.contains("`warehouse_1`"), "{comment}");
    assert_eq!(shop.gate(pr), "failure");
}

#[tokio::test]
async fn two_pull_requests_at_once_are_both_prepared() {
    let shop = Shop::open().await;

    let one = [("models/orders.sql", Some("SELECT 2 AS id\n"))];
    let two = [("models/customers.sql", Some("SELECT 2 AS id\n"))];
    let first = shop.fake.open_pull("one", "One", "grace", &one).await;
    let second = shop.fake.open_pull("two", "Two", "ada", &two).await;
    shop.work().await;

    for pr in [first, second] {
        assert_eq!(shop.bot_comments(pr).len(), 1);
        assert_eq!(shop.gate(pr), "success");
    }
    assert!(shop.sticky(first).contains("shop__shop_1.orders"));
    assert!(shop.sticky(second).contains("shop__shop_2.customers"));
}

#[tokio::test]
async fn a_pull_request_whose_event_was_lost_is_found() {
    let shop = Shop::open().await;
    shop.open_pull("known", "orders", "SELECT 2 AS id\n").await;
    shop.fake.pause_webhooks();
    let files = [("models/customers.sql", Some("SELECT 2 AS id\n"))];
    let lost = shop.fake.open_pull("lost", "Lost", "grace", &files).await;
    shop.work().await;
    assert!(shop.bot_comments(lost).is_empty());
    shop.fake.resume_webhooks();

    shop.bot().reconcile().await.unwrap();
    shop.work().await;

    assert_eq!(shop.bot_comments(lost).len(), 1);
    assert_eq!(shop.gate(lost), "success");
}

#[tokio::test]
async fn a_worker_and_the_reconciler_that_write_at_once_leave_one_comment() {
    let shop = Shop::open().await;
    shop.deploy_main();
    shop.fake.pause_webhooks();
    let pr = shop
        .fake
        .open_pull(
            "totals",
            "More totals",
            "grace",
            &[("models/orders.sql", Some("SELECT 1 AS id, 2 AS total\n"))],
        )
        .await;
    shop.fake.resume_webhooks();
    shop.bot().reconcile().await.unwrap();

    // Both send what the outbox holds, again and again while the other one does.
    let reconciling = async {
        for _ in 0..20 {
            shop.bot().reconcile().await.unwrap();
        }
    };
    let (worked, ()) = tokio::join!(shop.bot().drain(), reconciling);
    worked.unwrap();
    shop.work().await;

    assert_eq!(shop.bot_comments(pr).len(), 1);
    let checks = shop.fake.check_runs(pr);
    let names: std::collections::BTreeSet<_> = checks.iter().map(|run| &run.external_id).collect();
    assert_eq!(
        names.len(),
        checks.len(),
        "no check is created twice: {checks:?}"
    );
}
