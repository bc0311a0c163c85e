//! Clients that write without a pause, and remember what they were answered.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::{Response, Status};
use tonic_types::StatusExt as _;
use user_management::proto::{self, Privilege, Role};

use crate::client::Client;
use crate::program::{LONG, bearer, data, operator};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A write that was answered, by what can be read of it.
#[derive(Clone, Debug)]
pub(crate) enum Answered {
    Account(proto::Account),
    Invited(proto::Invitation),
    Withdrawn(proto::Invitation),
    Changed(proto::Member),
    SignedIn { token: String, user: String },
}

/// What the clients share.
#[derive(Clone, Default)]
pub(crate) struct Journal {
    entries: Arc<Mutex<Vec<Answered>>>,
    /// Answers that a kill swallowed; their requests were sent again under the same `request_id`.
    pub(crate) lost: Arc<AtomicU64>,
    pub(crate) done: Arc<AtomicBool>,
}

impl Journal {
    fn add(&self, answered: Answered) {
        self.entries.lock().expect("the journal").push(answered);
    }

    pub(crate) fn entries(&self) -> Vec<Answered> {
        self.entries.lock().expect("the journal").clone()
    }

    /// Sends a request until it is answered, through any number of kills.
    pub(crate) async fn answer<R, T, F>(&self, client: &Client, request: R, call: impl Fn(Client, R) -> F) -> T
    where
        R: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut before = Instant::now();
        let mut lost = false;
        loop {
            let refused = match call(client.clone(), request.clone()).await {
                Ok(answer) => return answer.into_inner(),
                Err(status) => status,
            };
            // what the service itself refuses has a reason; without one the connection broke
            assert!(refused.get_details_error_info().is_none(), "refused: {refused:?}");
            if !std::mem::replace(&mut lost, true) {
                self.lost.fetch_add(1, Ordering::Relaxed);
                before = Instant::now();
            }
            assert!(before.elapsed() < LONG, "it doesn't come back: {refused:?}");
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// One that writes.
struct Writer {
    number: u64,
    journal: Journal,
    operator: Client,
    directory: PathBuf,
}

/// Starts the clients; they end, with nothing unanswered, once the journal says that it is done.
pub(crate) async fn start(directory: &Path, journal: &Journal, people: &[(String, String)]) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for number in 0..8 {
        let operator = operator(directory).await;
        let writer = Writer { number, journal: journal.clone(), operator, directory: directory.to_owned() };
        let (user, email) = people.get(usize::try_from(number).expect("small") % people.len()).expect("somebody").clone();
        writers.spawn(async move {
            let nobody = bearer(&writer.directory, "").await;
            for round in 0_u64.. {
                if writer.journal.done.load(Ordering::Relaxed) {
                    return;
                }
                match writer.number {
                    0..3 => writer.creates(round).await,
                    3..5 => writer.invites(round).await,
                    5..7 => writer.changes(round, &user).await,
                    _ => writer.signs_in(&nobody, &email).await,
                }
            }
        });
    }
    writers
}

impl Writer {
    /// The same whenever the same request is sent again.
    fn request_id(&self, round: u64, step: u64) -> String {
        format!("00000000-0000-4{step:03x}-8{:03x}-{round:012x}", self.number)
    }

    async fn creates(&self, round: u64) {
        let (name, request_id) = (format!("account-{}-{round}", self.number), self.request_id(round, 0));
        let request = proto::CreateAccountRequest { name, request_id, ..Default::default() };
        let made = self
            .journal
            .answer(&self.operator, request, |mut operator, request| async move { operator.users.create_account(request).await })
            .await;
        self.journal.add(Answered::Account(made.account.expect("an account")));
    }

    /// Invites, and takes every third invitation back.
    async fn invites(&self, round: u64) {
        let account = "acme".to_owned();
        let request = proto::InviteUserRequest {
            account: account.clone(),
            email: format!("invited-{}-{round}@acme.test", self.number),
            privilege: Privilege::Normal.into(),
            request_id: self.request_id(round, 1),
            ..Default::default()
        };
        let made = self
            .journal
            .answer(&self.operator, request, |mut operator, request| async move { operator.users.invite_user(request).await })
            .await;
        let made = made.invitation.expect("an invitation");
        self.journal.add(Answered::Invited(made.clone()));
        if round.is_multiple_of(3) {
            let (invitation, request_id) = (made.id, self.request_id(round, 2));
            let request = proto::WithdrawInvitationRequest { account, invitation, request_id, ..Default::default() };
            let withdrawn = self
                .journal
                .answer(&self.operator, request, |mut operator, request| async move {
                    operator.users.withdraw_invitation(request).await
                })
                .await;
            self.journal.add(Answered::Withdrawn(withdrawn.invitation.expect("an invitation")));
        }
    }

    async fn changes(&self, round: u64, user: &str) {
        let role = [Role::Alerts, Role::Data, Role::Trending].into_iter().cycle().nth((round % 3) as usize);
        let request = proto::AssignRolesRequest {
            account: "acme".to_owned(),
            user: user.to_owned(),
            roles: role.into_iter().map(Into::into).collect(),
            request_id: self.request_id(round, 3),
            ..Default::default()
        };
        let changed = self
            .journal
            .answer(&self.operator, request, |mut operator, request| async move { operator.users.assign_roles(request).await })
            .await;
        self.journal.add(Answered::Changed(changed.member.expect("a member")));
    }

    async fn signs_in(&self, nobody: &Client, email: &str) {
        let request = proto::SignInRequest { email: email.to_owned(), password: PASSWORD.to_owned() };
        let answer = self
            .journal
            .answer(nobody, request, |mut nobody, request| async move { nobody.identity.sign_in(request).await })
            .await;
        self.journal.add(Answered::SignedIn { token: answer.session_token, user: answer.user.expect("a user").id });
    }
}

/// Makes an account with members; answers their ids and addresses.
pub(crate) async fn prepare(directory: &Path) -> Vec<(String, String)> {
    let (mut operator, mut nobody) = (operator(directory).await, bearer(directory, "").await);
    let request = proto::CreateAccountRequest { name: "acme".to_owned(), ..Default::default() };
    operator.users.create_account(request).await.expect("an account");
    let mut people = Vec::new();
    for number in 0..3 {
        let email = format!("person-{number}@acme.test");
        let (password, display_name) = (PASSWORD.to_owned(), "Person".to_owned());
        let request = proto::SignUpRequest { email: email.clone(), password: password.clone(), display_name };
        nobody.identity.sign_up(request).await.expect("signed up");
        let request = proto::ConfirmEmailRequest { token: mailed_token(directory, &email).await, password: password.clone() };
        let user = nobody.identity.confirm_email(request).await.expect("confirmed").into_inner().user.expect("a user").id;
        let request = proto::SignInRequest { email: email.clone(), password };
        let session = nobody.identity.sign_in(request).await.expect("signed in").into_inner().session_token;
        let request = proto::InviteUserRequest {
            account: "acme".to_owned(),
            email: email.clone(),
            privilege: Privilege::Normal.into(),
            ..Default::default()
        };
        let invited = operator.users.invite_user(request).await.expect("invited").into_inner().invitation.expect("an invitation");
        let request = proto::AcceptInvitationRequest { invitation: invited.id, ..Default::default() };
        bearer(directory, &session).await.identity.accept_invitation(request).await.expect("accepted");
        people.push((user, email));
    }
    people
}

/// The token of the mail to an address, once it is there.
async fn mailed_token(directory: &Path, email: &str) -> String {
    let to = format!("\r\nTo: {email}\r\n");
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        for file in std::fs::read_dir(data(directory).join("mail")).expect("the mails") {
            // half a file has another name
            let path = file.expect("a file").path();
            let mail = std::fs::read_to_string(&path).unwrap_or_default();
            let token =
                |line: &&str| line.len() == 71 && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            if path.extension().is_some_and(|extension| extension == "eml")
                && mail.contains(&to)
                && let Some(token) = mail.lines().find(token)
            {
                return token.to_owned();
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("no mail to {email}");
}
