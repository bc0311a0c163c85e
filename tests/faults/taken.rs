//! Killed between the relay's word that it took a mail and the commit that says so.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::time::{Instant, sleep};
use user_management::proto::{self, Delivery, DeliveryState, Privilege};

use crate::client::Client;
use crate::dice::Dice;
use crate::program::{LONG, Place};
use crate::run::number;
use crate::smtp_sink::{Answer, At, Message, Script, SmtpSink};

/// The mail goes once more under the same Message-ID, and its row ends as sent.
///
/// The relay gives its word while somebody else holds the database's write lock, so that no commit can come before the kill.
pub(crate) async fn by_the_relay_is_sent_again_under_the_same_id() {
    let kills = number("TAKEN", 50);
    let mut dice = Dice::new("taken");
    let directory = tempfile::tempdir().expect("a temporary directory");
    for round in 0..kills {
        let relay = SmtpSink::start(Script::accepting().at(At::Content, Answer::Hold("250 2.0.0 taken".to_owned())));
        let place = Place::new(directory.path()).mailing_to(relay.address());
        let mut program = place.start();
        let mut operator = place.operator().await;
        if round == 0 {
            let request = proto::CreateAccountRequest { name: "acme".to_owned(), ..Default::default() };
            operator.users.create_account(request).await.expect("an account");
        }
        let invitation = invite(&mut operator, &format!("p{round}@acme.test")).await;
        relay.wait_for_silence(1);
        let options = SqliteConnectOptions::new().filename(place.database()).busy_timeout(LONG);
        let mut other = SqliteConnection::connect_with(&options).await.expect("the database opens");
        let lock = other.begin_with("begin immediate").await.expect("nobody else writes");
        relay.release();
        sleep(Duration::from_millis(dice.throw(40))).await;
        program.kill();
        lock.rollback().await.expect("it wrote nothing");
        other.close().await.expect("closed");
        let first = relay.wait_for(1);

        let relay = SmtpSink::start(Script::accepting());
        let place = Place::new(directory.path()).mailing_to(relay.address());
        let program = place.start();
        let delivery = sent(&mut place.operator().await, &invitation).await;
        assert_eq!(delivery.attempts, 2, "{delivery:?}");
        let second = relay.wait_for(1);
        assert_eq!((first.len(), second.len(), id(&first[0])), (1, 1, id(&second[0])));
        program.stop().await;
    }
    println!(
        "taken: killed {kills} times between the relay's 250 and the commit, each sent again under its Message-ID and then sent"
    );
}

async fn invite(operator: &mut Client, email: &str) -> String {
    let (account, email) = ("acme".to_owned(), email.to_owned());
    let request = proto::InviteUserRequest { account, email, privilege: Privilege::Normal.into(), ..Default::default() };
    operator.users.invite_user(request).await.expect("invited").into_inner().invitation.expect("an invitation").id
}

/// How an invitation's mail was delivered, once it was.
async fn sent(operator: &mut Client, invitation: &str) -> Delivery {
    let request = proto::GetInvitationRequest { account: "acme".to_owned(), invitation: invitation.to_owned() };
    let end = Instant::now() + LONG;
    loop {
        let answer = operator.users.get_invitation(request.clone()).await.expect("told").into_inner();
        let delivery = answer.invitation.and_then(|invitation| invitation.delivery).expect("a delivery");
        if delivery.state() == DeliveryState::Sent {
            return delivery;
        }
        assert!(Instant::now() < end, "it stays owed: {delivery:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn id(message: &Message) -> String {
    message.header("Message-ID").expect("a mail has an id")
}
