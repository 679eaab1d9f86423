//! What a user of PostgreSQL must be allowed, and that it is enough.

use crate::cluster;
use crate::postgres::Team;
use crate::postgres::config;
use crate::postgres::shop;

/// The shop as a user who owns nothing, is no superuser, and may do this.
async fn shop_of_a_user_who(may: &str) -> Team {
    let shop = shop().await;
    let name = &shop.database.name;
    let role = format!("builder_of_{name}");
    let set_up = format!("CREATE ROLE {role} LOGIN; GRANT {may} ON DATABASE {name} TO {role}");
    shop.database.execute(&set_up).await;
    let own = config(&shop.database, "");
    let own = own.replace(
        &format!("user: {}", cluster::USER),
        &format!("user: {role}"),
    );
    shop.workspace.write("config.yaml", &own);
    shop
}

#[tokio::test]
pub(crate) async fn a_user_that_may_only_make_schemas_does_everything() {
    let shop = shop_of_a_user_who("CREATE").await;
    let workspace = &shop.workspace;
    let sales = async |schema: &str| {
        shop.rows(&format!("SELECT sales FROM {schema}.totals"))
            .await
    };

    workspace.apply("prod", "2024-01-03");
    workspace.edit("models/totals.sql", "count(*)", "10 + count(*)");
    workspace.apply("dev", "2024-01-03");
    assert_eq!(
        [sales("shop").await, sales("shop__dev").await],
        [[["2"]], [["12"]]]
    );
    workspace.apply("prod", "2024-01-03");
    let run = ["run", "--execution-time", "2024-01-04"];
    workspace.run(&run).fine();
    assert_eq!(sales("shop").await, [["13"]]);
    let restate = ["plan", "--restate-model", "shop.sales", "--auto-apply"];
    workspace
        .run(&[&restate[..], &["--execution-time", "2024-01-04"]].concat())
        .fine();
    workspace.run(&["rollback", "prod"]).fine();
    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    workspace.run(&["janitor"]).fine();
    assert_eq!(shop.rows("SELECT count(*) FROM shop.sales").await, [["3"]]);

    workspace.run(&["destroy", "--yes"]).fine();
    assert_eq!(
        [shop.objects("v").await, shop.objects("r").await],
        [[""; 0]; 2]
    );
}

#[tokio::test]
async fn a_user_that_may_not_make_schemas_is_told_so_and_nothing_is_begun() {
    let shop = shop_of_a_user_who("CONNECT").await;
    let ended = shop.workspace.run(&["plan", "--auto-apply"]).failed();
    let said = &ended.stderr;
    assert!(said.contains("permission denied for database"), "{said}");
    assert_eq!(
        [shop.objects("v").await, shop.objects("r").await],
        [[""; 0]; 2]
    );
}
