//! Starting one data directory with another edition changes effects, and no data.

mod preview;

use sqlx::Row as _;
use user_management::app::{App, StartError};
use user_management::config::Config;
use user_management::domain::clock::Clock;
use user_management::proto::{self, Edition, EventKind, HeldReason, Permission, Privilege, Role};
use user_management::store::Tuning;

use crate::acme::ACME;
use crate::site::{BEGINNING, Site};

const INSIDE: &str = "signup = \"open\"\nedition = \"inside\"";
const SAAS: &str = "signup = \"open\"\nedition = \"saas\"";
const UNSAID: &str = "signup = \"open\"";

/// Every row that says who may do what, as it is stored.
async fn stored(site: &Site) -> Vec<String> {
    let rows = sqlx::query(
        "select 'member', hex(account), hex(user), privilege, roles, hex(invitation), version from members
         union all select 'invitation', hex(account), hex(id), privilege, roles, hex(nonce) || state || expires, version from invitations
         union all select 'service', hex(account), hex(id), scopes, revoked, hex(token), version from services
         union all select 'session', hex(user), hex(id), authenticated, ended, hex(token), expires from sessions
         union all select 'account', hex(id), name, closed, has_manager, '', version from accounts
         order by 1, 2, 3",
    )
    .fetch_all(&mut site.database().await)
    .await
    .expect("read");
    rows.iter()
        .map(|row| (0..7).map(|at| row.try_get_unchecked::<String, _>(at).unwrap_or_default()).collect::<Vec<_>>().join(" "))
        .collect()
}

async fn edition(site: &Site) -> Edition {
    let info = site.operator().await.operations.get_server_info(proto::GetServerInfoRequest {}).await.expect("answered");
    info.into_inner().edition()
}

#[tokio::test]
async fn switching_to_saas_and_back_changes_effects_and_no_data() {
    let mut site = Site::with(INSIDE).await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    let cy = site.member(ACME, "cy@acme.test", Privilege::ReadOnly, &[Role::Admin, Role::Data]).await;
    let (plain, token) = site.invited(ACME, "dee@acme.test", Privilege::Normal, &[]).await;
    let (with_role, _) = site.invited(ACME, "eli@acme.test", Privilege::Normal, &[Role::Trending]).await;
    let service = site.service("tool", &["users.read"], ACME).await;
    site.mails_settled().await;
    let mut operator = site.operator().await;
    let (before, members) = (stored(&site).await, operator.members().await);
    assert!(before.len() >= 10, "{before:?}");
    let last = operator.last_event().await;

    site.restart(Some(SAAS)).await;
    assert_eq!(edition(&site).await, Edition::Saas);
    assert_eq!(stored(&site).await, before);
    let mut operator = site.operator().await;
    let permissions = async |user: &str| site.operator().await.member(user).await.expect("a member");
    let normal = permissions(&bob.id).await;
    assert_eq!((normal.roles.len(), normal.dormant_roles().collect::<Vec<_>>()), (0, vec![Role::Alerts]));
    assert!(normal.permissions().any(|permission| permission == Permission::ModifyGraphs), "the whole column");
    let manager = permissions(&cy.id).await;
    assert_eq!((manager.roles, manager.dormant_roles), (vec![Role::Admin.into()], vec![Role::Data.into()]));
    assert_eq!(manager.permissions, [Permission::View as i32, Permission::ManageUsers as i32]);
    let admin = members.iter().find(|member| member.user == ann.id).expect("listed");
    assert_eq!(permissions(&ann.id).await, *admin, "an Admin without roles is the same in both");
    assert_eq!(operator.invitation(&plain.id).await.held_reason(), HeldReason::Unspecified);
    assert_eq!(operator.invitation(&with_role.id).await.held_reason(), HeldReason::RoleOffInEdition);
    site.bearer(&service).await.member(&bob.id).await.expect("tokens stay");
    site.bearer(&bob.token).await.member(&bob.id).await.expect("sessions stay");
    site.nobody().await.preview(&token).await.expect("links stay");

    site.restart(Some(INSIDE)).await;
    assert_eq!(stored(&site).await, before);
    let mut operator = site.operator().await;
    assert_eq!(operator.members().await, members, "every effect is back, with the same etags");
    assert_eq!(operator.invitation(&with_role.id).await.held_reason(), HeldReason::Unspecified);
    let events = operator.events_after(last).await;
    let set: Vec<_> = events.iter().map(|event| (event.kind(), event.edition(), event.actor.as_str())).collect();
    let expected = [(EventKind::EditionSet, Edition::Saas, "server"), (EventKind::EditionSet, Edition::Inside, "server")];
    assert_eq!(set, expected, "one event each, and nothing else");
}

#[tokio::test]
async fn the_recorded_edition_stays_when_none_is_configured_and_starting_again_appends_nothing() {
    let mut site = Site::with(UNSAID).await;
    assert_eq!(edition(&site).await, Edition::Inside, "a fresh directory is Inside");
    let fresh = site.operator().await.events_after(0).await;
    assert_eq!(
        fresh.iter().map(|event| (event.kind(), event.edition())).collect::<Vec<_>>(),
        [(EventKind::EditionSet, Edition::Inside)]
    );
    for (settings, expected, events) in [
        (INSIDE, Edition::Inside, 1),
        (SAAS, Edition::Saas, 2),
        (SAAS, Edition::Saas, 2),
        (UNSAID, Edition::Saas, 2),
        (UNSAID, Edition::Saas, 2),
    ] {
        site.restart(Some(settings)).await;
        assert_eq!(edition(&site).await, expected, "{settings}");
        assert_eq!(site.operator().await.last_event().await, events, "{settings}");
    }
}

#[tokio::test]
async fn who_may_sign_up_follows_the_edition_unless_it_is_configured() {
    for (settings, mails) in
        [("edition = \"inside\"", 0), ("edition = \"saas\"", 1), ("edition = \"saas\"\nsignup = \"invited\"", 0)]
    {
        let site = Site::with(settings).await;
        let request = proto::SignUpRequest {
            email: "ann@acme.test".to_owned(),
            password: crate::site::PASSWORD.to_owned(),
            display_name: "Ann".to_owned(),
        };
        site.nobody().await.identity.sign_up(request).await.expect("the answer is the same");
        site.mails_settled().await;
        assert_eq!(site.mails_to("ann@acme.test").len(), mails, "{settings}");
    }
}

#[tokio::test]
async fn a_start_that_fails_switches_no_edition() {
    let mut site = Site::with(INSIDE).await;
    let seq = site.app().view().seq();
    site.stop().await;
    let text = format!(
        "data_dir = '{}'\nedition = \"saas\"\nweb.public_url = \"http://acme.test\"\n[mail]\nfrom = \"a@acme.test\"\n\
         transport = \"smtp\"\n[mail.smtp]\nhost = \"localhost\"\nca_file = \"/nowhere\"",
        site.data_dir().display()
    );
    let config = Config::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
    let refused = App::open(&config, Clock::set_to(BEGINNING), Tuning::default()).await;
    assert!(matches!(refused, Err(StartError::Mail(_))));
    site.restart(Some(UNSAID)).await;
    assert_eq!((edition(&site).await, site.app().view().seq()), (Edition::Inside, seq));
}
