//! Each column that history tells of, changed behind its back.

use user_management::proto::{CreateServiceRequest, HistoryFault};

use super::tampering::verified;
use super::whole;
use crate::acme::ACME;

#[tokio::test]
async fn no_column_that_history_tells_of_is_changed_unseen() {
    let site = whole().await;
    site.account("other").await;
    site.person("zoe@acme.test").await;
    site.service("tool", &["users.read"], "").await;
    let certified = CreateServiceRequest {
        name: "certified".to_owned(),
        scopes: vec!["access.check".to_owned()],
        certificate_name: "spiffe://acme/alerts".to_owned(),
        ..Default::default()
    };
    site.operator().await.operations.create_service(certified).await.expect("made");
    let ann = site.sign_in("ann@acme.test").await;
    site.api_token(&ann, ACME, None).await;
    assert_eq!(verified(&site, &[]).await.differences, []);
    let zoe = "(select id from users where email = 'zoe@acme.test')";
    let columns = [
        ("services", "token", "iif(token is null, null, randomblob(32))"),
        ("sessions", "token", "randomblob(32)"),
        ("api_tokens", "token", "randomblob(32)"),
        ("services", "certificate", "iif(certificate is null, null, 'spiffe://evil/alerts')"),
        ("services", "account", "(select id from accounts where name = 'other')"),
        ("services", "expires", "4102444800000000"),
        ("sessions", "user", zoe),
        ("api_tokens", "user", zoe),
        ("api_tokens", "expires", "expires + 1"),
        ("invitations", "email", "'eve@evil.test'"),
        ("invitations", "address", "(select address from users where email = 'zoe@acme.test')"),
        ("invitations", "grantor_user", zoe),
        ("invitations", "grantor_service", "(select id from services where name = 'tool')"),
        ("invitations", "expires", "expires + 1"),
        ("server", "epoch", "randomblob(16)"),
    ];
    let mut database = site.database().await;
    for (table, column, value) in columns {
        let key = if table == "server" { "one" } else { "id" };
        let edit = format!("create temp table kept as select * from {table}; update {table} set {column} = {value}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(edit)).execute(&mut database).await.expect("it runs");
        let found = verified(&site, &[]).await;
        assert_eq!((found.first_broken, found.fault()), (0, HistoryFault::Unspecified), "{table}.{column}");
        assert!(!found.differences.is_empty(), "{table}.{column}");
        let back = format!(
            "update {table} set {column} = (select kept.{column} from temp.kept where kept.{key} = {table}.{key}); drop table temp.kept"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(back)).execute(&mut database).await.expect("it runs");
        assert_eq!(verified(&site, &[]).await.differences, [], "{table}.{column} is put back");
    }
}
