//! Who may see nothing of an account, whatever there is in it: every RPC that names one, and tokens of links.

use prost_reflect::MethodDescriptor;
use user_management::proto::{self, Privilege};

use crate::client::Identified;
use crate::ledger::{Cost, Ledger};
use crate::matrix_call::methods;
use crate::raw::{Heard, heard, method, request};
use crate::site::Site;

/// An id of the same kind that nothing has.
fn unknown(id: &str) -> String {
    let (start, last) = id.split_at(id.len() - 1);
    format!("{start}{}", if last == "2" { "3" } else { "2" })
}

/// Fails unless all requests cost and say the same.
async fn assert_alike(
    ledger: &mut Ledger,
    site: &Site,
    who: &Identified,
    method: &MethodDescriptor,
    asked: &[Vec<(&str, &str)>],
) {
    let channel = site.tcp_channel().await;
    let mut first: Option<(Heard, Cost)> = None;
    for texts in asked {
        let now = heard(ledger, &channel, who, method, &request(method, texts)).await;
        let first = first.get_or_insert_with(|| now.clone());
        assert_eq!(&now, first, "{} with {texts:?}", method.name());
    }
}

#[tokio::test]
async fn refusing_a_stranger_costs_the_same_whatever_is_there() {
    let mut ledger = Ledger::open().await;
    let site = Site::start().await;
    site.account("acme").await;
    site.account("mine").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let (here, _) = site.invited("acme", "ivy@acme.test", Privilege::Normal, &[]).await;
    let eve = site.member("mine", "eve@evil.test", Privilege::Admin, &[]).await;
    let scopes = ["users.read", "users.write", "users.act_as", "access.check", "access.watch", "operations.read"];
    let (bound, all) = (site.service("bound", &scopes, "mine").await, site.service("all", &scopes, "").await);
    let token = proto::CreateApiTokenRequest { account: "mine".to_owned(), name: "program".to_owned(), ..Default::default() };
    let token = site.bearer(&eve.token).await.identity.create_api_token(token).await.expect("a member may").into_inner().token;
    let callers = [
        Identified::by(&eve.token),
        Identified::by(&bound),
        Identified::by(&all).with("x-act-as", &eve.id),
        Identified::by(&token),
    ];
    let (nobody, nothing) = (unknown(&ann.id), unknown(&here.id));
    let accounts = ["acme", "gone"];
    let people = [ann.id.as_str(), nobody.as_str(), "ann@acme.test", "ivy@acme.test", "non@acme.test"];
    let invitations = [here.id.as_str(), nothing.as_str(), here.id.as_str(), nothing.as_str(), here.id.as_str()];
    let mut asked = Vec::new();
    for account in accounts {
        for (user, invitation) in people.into_iter().zip(invitations) {
            asked.push(vec![("account", account), ("user", user), ("invitation", invitation), ("email", user)]);
        }
    }
    for who in &callers {
        for method in methods().iter().filter(|method| method.input().get_field_by_name("account").is_some()) {
            assert_alike(&mut ledger, &site, who, method, &asked).await;
        }
    }
}

#[tokio::test]
async fn what_is_somebody_elses_costs_what_is_not_there_costs() {
    let mut ledger = Ledger::open().await;
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let (invitation, _) = site.invited("acme", "ivy@acme.test", Privilege::Normal, &[]).await;
    let session = site.bearer(&ann.token).await.identity.list_sessions(proto::ListSessionsRequest::default()).await;
    let session = session.expect("a person may").into_inner().sessions.remove(0).id;
    let token = proto::CreateApiTokenRequest { account: "acme".to_owned(), name: "program".to_owned(), ..Default::default() };
    let token = site.bearer(&ann.token).await.identity.create_api_token(token).await.expect("a member may").into_inner();
    let token = token.api_token.expect("a token").id;
    let eve = Identified::by(&site.person("eve@evil.test").await.token);
    for (rpc, field, id) in [
        ("AcceptInvitation", "invitation", &invitation.id),
        ("IgnoreInvitation", "invitation", &invitation.id),
        ("RevokeSession", "session", &session),
        ("RevokeApiToken", "api_token", &token),
        ("LeaveAccount", "account", &"acme".to_owned()),
        ("GetUser", "user", &ann.id),
        ("GetUser", "user", &ann.email),
    ] {
        let none = if id.contains('_') { unknown(id) } else { id.replace("ac", "no") };
        assert_alike(&mut ledger, &site, &eve, &method(rpc), &[vec![(field, id)], vec![(field, &none)]]).await;
    }
}

#[tokio::test]
async fn a_token_of_a_link_that_is_made_up_costs_the_same_whatever_it_names() {
    let mut ledger = Ledger::open().await;
    let site = Site::start().await;
    site.account("acme").await;
    let (_, invitation) = site.invited("acme", "ivy@acme.test", Privilege::Normal, &[]).await;
    let request = proto::SignUpRequest {
        email: "ivy@acme.test".to_owned(),
        password: crate::site::PASSWORD.to_owned(),
        display_name: "Ivy".to_owned(),
    };
    site.nobody().await.identity.sign_up(request).await.expect("anybody may");
    let sign_up = site.mailed_token("ivy@acme.test").await;
    let request = proto::CreateUserRequest {
        email: "made@acme.test".to_owned(),
        display_name: "Made".to_owned(),
        return_link: true,
        ..Default::default()
    };
    let made = site.operator().await.users.create_user(request).await.expect("the operator may").into_inner();
    let password = made.link.expect("a link").token;
    let eve = site.person("eve@evil.test").await;
    let request = proto::ChangeEmailRequest { email: "eve@other.test".to_owned(), password: crate::site::PASSWORD.to_owned() };
    site.bearer(&eve.token).await.identity.change_email(request).await.expect("her password");
    let address = site.mailed_token("eve@other.test").await;
    let (nobody, eve) = (Identified::default(), Identified::by(&eve.token));
    for (who, rpc, token) in [
        (&nobody, "PreviewInvitation", &invitation),
        (&nobody, "ConfirmEmail", &sign_up),
        (&nobody, "ConfirmEmail", &address),
        (&nobody, "ResetPassword", &password),
        (&eve, "AcceptInvitation", &invitation),
        (&eve, "IgnoreInvitation", &invitation),
    ] {
        // another code for what is there, and for what isn't
        let other = |at: usize| {
            let (before, after) = (&token[..at], &token[at + 1..]);
            format!("{before}{}{after}", if token[at..].starts_with('A') { "B" } else { "A" })
        };
        let (other_code, other_object) = (other(40), other(24));
        let asked =
            [&other_code, &other_object].map(|token| vec![("token", token.as_str()), ("password", "three purple otters")]);
        assert_alike(&mut ledger, &site, who, &method(rpc), &asked).await;
    }
}
