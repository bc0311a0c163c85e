//! Hashes of another cost than the present one: made anew at a sign-in, in nobody's way.

use user_management::domain::error::Error;
use user_management::store::{Store, Tx};

use super::OTHER;
use crate::site::{PASSWORD, Site};
use crate::writes::bare::{hold, origin, queued};

#[tokio::test]
async fn a_hash_of_another_cost_is_made_anew_at_the_next_sign_in_and_no_earlier() {
    let mut site = Site::start().await;
    site.confirmed("ann@acme.test").await;
    let hash = async |site: &Site| {
        let row: (String,) =
            sqlx::query_as("select password from users").fetch_one(&mut site.database().await).await.expect("a user");
        row.0
    };
    let first = hash(&site).await;
    site.sign_in("ann@acme.test").await;
    assert_eq!(hash(&site).await, first, "of the present cost already");
    site.cost(128);
    site.restart(None).await;
    let refused = site.try_sign_in("ann@acme.test", OTHER).await.err();
    assert_eq!((refused.as_deref(), hash(&site).await), (Some("SIGN_IN_FAILED"), first.clone()));
    let person = site.sign_in("ann@acme.test").await;
    let second = hash(&site).await;
    assert!(second != first && second.contains("m=128"), "{second}");
    assert!(site.counts(&person).await);
    site.sign_in("ann@acme.test").await;
    assert_eq!(hash(&site).await, second);
}

#[tokio::test]
async fn sign_ins_at_once_all_succeed_although_the_first_makes_the_hash_anew() {
    let mut site = Site::start().await;
    site.confirmed("ann@acme.test").await;
    for (round, memory) in [128, 192, 256].into_iter().enumerate() {
        site.cost(memory);
        site.restart(None).await;
        let all = futures_util::future::join_all((0..6).map(|_| site.try_sign_in("ann@acme.test", PASSWORD))).await;
        let refused: Vec<_> = all.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused, Vec::<String>::new(), "round {round}");
    }
}

/// What a sign-in does to ann's hash where the cost was changed: it becomes another one of the same password, which bob's is.
const MADE_ANEW: &str =
    "update users set password = (select password from users where email = 'bob@acme.test') where email = 'ann@acme.test'";

async fn made_anew(store: &Store) -> Result<(), Error> {
    let job = async |tx: &mut Tx| {
        sqlx::query(MADE_ANEW).execute(tx.sql()).await?;
        Ok(())
    };
    store.write(origin(), job).await
}

#[tokio::test]
async fn a_password_is_changed_although_its_hash_is_made_anew_while_it_is_compared() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let bob = site.confirmed("bob@acme.test").await;
    let (release, held) = hold(site.app().store()).await;
    let anew = queued(made_anew(site.app().store()));
    let mut as_ann = site.bearer(&ann.token).await;
    let meanwhile = async {
        // by the time that so many others had their turn at hashing, ann's password was compared
        for _ in 0..10 {
            assert_eq!(site.try_sign_in(&bob.email, OTHER).await.err().as_deref(), Some("SIGN_IN_FAILED"));
        }
        release.send(()).expect("held");
        held.await.expect("done");
        anew.await.expect("done");
    };
    let (changed, ()) = tokio::join!(as_ann.change_password(PASSWORD, OTHER), meanwhile);
    changed.expect("changed, by the right password");
    site.try_sign_in(&ann.email, OTHER).await.expect("by the new one");
}

#[tokio::test]
async fn an_address_is_changed_although_the_hash_is_made_anew_while_the_password_is_compared() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    site.confirmed("bob@acme.test").await;
    site.bearer(&ann.token).await.change_email("ann@new.test", PASSWORD).await.expect("a link is on its way");
    let token = site.mailed_token("ann@new.test").await;
    // the try at the link is given back between the comparison and the change
    let meanwhile = format!(
        "create trigger meanwhile after update of tries on login_links when new.tries < old.tries begin {MADE_ANEW}; end"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(meanwhile)).execute(&mut site.database().await).await.expect("made");
    let user = site.nobody().await.confirm(&token, PASSWORD).await.expect("confirmed, by the right password");
    assert_eq!(user.email, "ann@new.test");
}
