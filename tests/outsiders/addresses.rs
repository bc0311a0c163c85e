//! Anybody who names an address: whether it has a login, an invitation or a sign-up costs and says nothing.

use std::time::Duration;

use user_management::proto::{self, Privilege};

use crate::client::Identified;
use crate::ledger::{Cost, Ledger};
use crate::raw::{Heard, heard, method, request};
use crate::site::{PASSWORD, Site};

/// The calls that take an address from anybody. `SignIn` has a wrong password.
const CALLS: [&str; 4] = ["SignUp", "ResendConfirmation", "RequestPasswordReset", "SignIn"];

/// What nobody may tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    Mentioned,
    Erased,
    Login,
    Deactivated,
    WithoutPassword,
    SuperAdmin,
    Member,
    Invited,
    InvitedOnce,
    OneSignUp,
    AllSignUps,
}

const KINDS: [Kind; 12] = [
    Kind::Unknown,
    Kind::Mentioned,
    Kind::Erased,
    Kind::Login,
    Kind::Deactivated,
    Kind::WithoutPassword,
    Kind::SuperAdmin,
    Kind::Member,
    Kind::Invited,
    Kind::InvitedOnce,
    Kind::OneSignUp,
    Kind::AllSignUps,
];

impl Kind {
    /// An address of this kind, with a name of the same length for all.
    fn address(self) -> String {
        format!("{:a<15}@acme.test", format!("{self:?}").to_lowercase())
    }

    /// Makes an address be of this kind, before or after the invitations that expire did.
    async fn make(self, site: &Site, expired: bool) {
        let (address, mut operator) = (self.address(), site.operator().await);
        if expired != (self != Self::InvitedOnce) {
            return;
        }
        match self {
            Self::Unknown => {}
            Self::Mentioned => ask(site, &address, 1).await,
            Self::Login => drop(site.confirmed(&address).await),
            Self::Erased => {
                let user = site.confirmed(&address).await.id;
                operator.users.delete_user(proto::DeleteUserRequest { user, ..Default::default() }).await.expect("erased");
            }
            Self::Deactivated => {
                let user = site.confirmed(&address).await.id;
                let request = proto::DeactivateUserRequest { user, ..Default::default() };
                operator.users.deactivate_user(request).await.expect("deactivated");
            }
            Self::WithoutPassword => {
                let request = proto::CreateUserRequest { email: address, display_name: "Made".to_owned(), ..Default::default() };
                operator.users.create_user(request).await.expect("made");
            }
            Self::SuperAdmin => {
                let user = site.confirmed(&address).await.id;
                let request = proto::SetSuperAdminRequest { user, super_admin: true, ..Default::default() };
                operator.operations.set_super_admin(request).await.expect("marked");
            }
            Self::Member => drop(site.member("acme", &address, Privilege::Admin, &[]).await),
            Self::Invited | Self::InvitedOnce => drop(site.invited("acme", &address, Privilege::Normal, &[]).await),
            Self::OneSignUp => sign_up(site, &address, 1).await,
            Self::AllSignUps => sign_up(site, &address, 5).await,
        }
    }
}

async fn sign_up(site: &Site, address: &str, times: usize) {
    for _ in 0..times {
        let (email, password, display_name) = (address.to_owned(), PASSWORD.to_owned(), "Somebody".to_owned());
        let request = proto::SignUpRequest { email, password, display_name };
        site.nobody().await.identity.sign_up(request).await.expect("anybody may");
    }
}

async fn ask(site: &Site, address: &str, times: usize) {
    for _ in 0..times {
        let request = proto::RequestPasswordResetRequest { email: address.to_owned() };
        site.nobody().await.identity.request_password_reset(request).await.expect("anybody may");
    }
}

async fn all_kinds() -> Site {
    let site = Site::start().await;
    site.account("acme").await;
    Kind::InvitedOnce.make(&site, false).await;
    site.mails_settled().await;
    site.clock.advance(Duration::from_hours(8 * 24));
    for kind in KINDS {
        kind.make(&site, true).await;
    }
    site.mails_settled().await;
    site
}

/// What each of the calls costs and says for an address, in their order.
async fn all_calls(ledger: &mut Ledger, site: &Site, address: &str) -> Vec<(&'static str, Heard, Cost)> {
    some_calls(ledger, site, 1, &CALLS, address).await
}

/// The same of some calls, by the peer 127.0.0.`last`; the logins are known at the first.
async fn some_calls(
    ledger: &mut Ledger,
    site: &Site,
    last: u8,
    names: &[&'static str],
    address: &str,
) -> Vec<(&'static str, Heard, Cost)> {
    let (channel, nobody) = (site.channel_from(last).await, Identified::default());
    let mut all = Vec::new();
    for name in names.iter().copied() {
        let password = if name == "SignIn" { "not the password" } else { PASSWORD };
        let method = method(name);
        let request = request(&method, &[("email", address), ("password", password), ("display_name", "Somebody")]);
        let (heard, cost) = heard(ledger, &channel, &nobody, &method, &request).await;
        all.push((name, heard, cost));
    }
    site.mails_settled().await;
    all
}

async fn assert_that_kinds_can_not_be_told_apart(ledger: &mut Ledger, site: &Site) {
    // what a peer has used up of its limits has a row from the first call on
    all_calls(ledger, site, "first@acme.test").await;
    let unknown = all_calls(ledger, site, &Kind::Unknown.address()).await;
    // what is compared is there
    let counts = unknown.iter().map(|(name, heard, cost)| (*name, heard.status == "OK", cost.hashes.len(), cost.writes.len()));
    let expected = [
        ("SignUp", true, 1, 1),
        ("ResendConfirmation", true, 0, 1),
        ("RequestPasswordReset", true, 0, 1),
        ("SignIn", false, 1, 0),
    ];
    assert_eq!(counts.collect::<Vec<_>>(), expected);
    assert!(unknown.iter().all(|(_, _, cost)| cost.read.len() + cost.written.len() >= 2), "{unknown:#?}");
    for kind in KINDS.into_iter().skip(1) {
        let known = all_calls(ledger, site, &kind.address()).await;
        for (unknown, known) in unknown.iter().zip(&known) {
            assert_eq!(known, unknown, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn where_sign_up_is_open_no_call_tells_what_there_is_of_an_address() {
    let mut ledger = Ledger::open().await;
    let site = all_kinds().await;
    assert_that_kinds_can_not_be_told_apart(&mut ledger, &site).await;
}

#[tokio::test]
async fn where_sign_up_takes_an_invitation_no_call_tells_what_there_is_of_an_address() {
    let mut ledger = Ledger::open().await;
    let mut site = all_kinds().await;
    site.restart(Some("signup = \"invited\"")).await;
    assert_that_kinds_can_not_be_told_apart(&mut ledger, &site).await;
}

#[tokio::test]
async fn of_addresses_that_much_mail_goes_to_those_with_a_login_are_like_the_others() {
    let mut ledger = Ledger::open().await;
    let site = all_kinds().await;
    let mut all = Vec::new();
    for kind in [Kind::Unknown, Kind::Login, Kind::Deactivated, Kind::Member] {
        ask(&site, &kind.address(), 12).await;
        sign_up(&site, &kind.address(), 5).await;
        site.mails_settled().await;
        all.push(all_calls(&mut ledger, &site, &kind.address()).await);
    }
    let put_off =
        |(_, _, cost): &(_, _, Cost)| cost.written.iter().any(|(sql, rows)| sql.starts_with("update mails") && *rows == 1);
    assert!(all[0].iter().any(put_off), "mail that waits makes way: {:#?}", all[0]);
    assert!(all.iter().all(|calls| *calls == all[0]), "{all:#?}");
}

/// Guesses at an address of every kind by the peer 127.0.0.`last`; answers what all of them cost and said.
async fn guess_at_all(ledger: &mut Ledger, site: &Site, last: u8) -> (Heard, Cost) {
    let mut first = None;
    for kind in KINDS {
        let (_, heard, cost) = some_calls(ledger, site, last, &["SignIn"], &kind.address()).await.remove(0);
        let first = first.get_or_insert_with(|| (heard.clone(), cost.clone()));
        assert_eq!(&(heard, cost), first, "{kind:?} from 127.0.0.{last}");
    }
    first.expect("there are kinds")
}

async fn use_up(ledger: &mut Ledger, site: &Site, last: u8, tries: usize) {
    for number in 0..tries {
        some_calls(ledger, site, last, &["SignIn"], &format!("other{number}@acme.test")).await;
    }
}

fn says(heard: &Heard, key: &str) -> bool {
    heard.status.starts_with("ResourceExhausted") && heard.status.contains(&format!("\"limits.{key}\""))
}

#[tokio::test]
async fn of_addresses_whose_tries_are_used_up_those_that_are_known_here_are_like_the_others() {
    let mut ledger = Ledger::open().await;
    let mut site = all_kinds().await;
    let restart = async |site: &mut Site, limits: &str| site.restart(Some(&format!("signup = \"open\"\n{limits}"))).await;

    // of the address, by others
    restart(&mut site, "limits.sign_in_failures_per_address = 1").await;
    assert!(guess_at_all(&mut ledger, &site, 3).await.0.status.starts_with("Unauthenticated"));
    let beyond = guess_at_all(&mut ledger, &site, 1).await;
    assert!(says(&beyond.0, "sign_in_failures_per_address") && beyond.1.hashes.len() == 1, "{beyond:#?}");
    assert_eq!(guess_at_all(&mut ledger, &site, 2).await, beyond, "where nobody is known");

    // of the address, from here; elsewhere it can't be told from where it was tried
    restart(&mut site, "limits.sign_in_failures_per_device = 2\nlimits.sign_in_failures_per_address = 1").await;
    guess_at_all(&mut ledger, &site, 1).await;
    assert_eq!(guess_at_all(&mut ledger, &site, 1).await, beyond);
    let there = guess_at_all(&mut ledger, &site, 1).await;
    assert!(says(&there.0, "sign_in_failures_per_device") && there.1.hashes.is_empty(), "{there:#?}");
    assert_eq!(guess_at_all(&mut ledger, &site, 2).await, beyond);

    // of the peer: 5, and 15 of its reserve
    restart(&mut site, "limits.sign_in_failures_per_peer = 5").await;
    for last in [1, 2] {
        use_up(&mut ledger, &site, last, 5).await;
        let beyond = guess_at_all(&mut ledger, &site, last).await;
        assert!(says(&beyond.0, "sign_in_failures_per_peer") && beyond.1.hashes.len() == 1, "{beyond:#?}");
        use_up(&mut ledger, &site, last, 3).await;
        let beyond = guess_at_all(&mut ledger, &site, last).await;
        assert!(says(&beyond.0, "sign_in_failures_per_peer") && beyond.1.hashes.is_empty(), "{beyond:#?}");
    }
}

#[tokio::test]
async fn a_peer_that_has_had_its_mails_can_not_tell_what_there_is_of_an_address() {
    let mut ledger = Ledger::open().await;
    let mut site = all_kinds().await;
    site.restart(Some("signup = \"open\"\nlimits.mails_per_peer = 1")).await;
    let unknown = some_calls(&mut ledger, &site, 1, &CALLS[..3], &Kind::Unknown.address()).await;
    assert!(unknown.iter().all(|(_, heard, cost)| says(heard, "mails_per_peer") && cost.hashes.is_empty()), "{unknown:#?}");
    for kind in KINDS {
        assert_eq!(some_calls(&mut ledger, &site, 1, &CALLS[..3], &kind.address()).await, unknown, "{kind:?}");
    }
}

#[tokio::test]
async fn whoever_changes_their_address_can_not_tell_what_there_is_of_the_new_one() {
    let mut ledger = Ledger::open().await;
    let mut site = all_kinds().await;
    site.restart(Some("signup = \"open\"\nlimits.address_changes_per_user = 0")).await;
    let (me, channel) = (Identified::by(&site.person("mover@acme.test").await.token), site.tcp_channel().await);
    let change = async |ledger: &mut Ledger, address: &str| {
        let method = method("ChangeEmail");
        let request = request(&method, &[("email", address), ("password", PASSWORD)]);
        let answer = heard(ledger, &channel, &me, &method, &request).await;
        site.mails_settled().await;
        answer
    };
    // each ends the link of the one before
    change(&mut ledger, "first@acme.test").await;
    let unknown = change(&mut ledger, &Kind::Unknown.address()).await;
    assert_eq!((unknown.0.status.as_str(), unknown.1.hashes.len(), &unknown.1.writes[..]), ("OK", 1, &[true][..]));
    for kind in KINDS {
        assert_eq!(change(&mut ledger, &kind.address()).await, unknown, "{kind:?}");
    }
}
