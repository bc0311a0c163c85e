//! What a relay says: all its replies, whatever it is asked.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use user_management::config::mail::{MailTransport, SmtpSecurity, SmtpSettings};
use user_management::domain::clock::Timestamp;
use user_management::domain::email::Email;
use user_management::mail::{Letter, Rendered, Renderer, SendFault, Transport};
use user_management::ownership::own_or_root;

struct Place {
    runtime: Runtime,
    listener: TcpListener,
    transport: Transport,
    mail: Rendered,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let settings = SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().expect("an address").port(),
        security: SmtpSecurity::Plaintext,
        credentials: None,
        ca_file: None,
        timeout: Duration::from_mins(1),
    };
    let transport = Transport::open(&MailTransport::Smtp(settings), &own_or_root()).expect("a way");
    let (renderer, now) = (Renderer::new("https://site.test", "no-reply@site.test").expect("valid"), Timestamp::from_micros(0));
    let to = Email::parse("ann@acme.test").expect("valid");
    let mail = renderer.render(&Letter::Test { at: now }, &to, "mail_1@site.test", now).expect("rendered");
    Place { runtime, listener, transport, mail }
});

pub(super) fn holds(bytes: &[u8]) -> bool {
    let Place { runtime, listener, transport, mail } = &*PLACE;
    let relay = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        // who has heard enough hangs up, and what is said after that is lost
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (outcome, ()) = runtime.block_on(async { tokio::join!(transport.send(mail), relay) });
    let starts = |digit: u8| bytes.split(|byte| *byte == b'\n').any(|line| line.first() == Some(&digit));
    let said = match &outcome {
        Ok(reply) => {
            assert!(reply.starts_with('2') && starts(b'3'), "taken when it said so, after it asked for the content: {reply}");
            reply
        }
        Err(SendFault::Refused(reply)) => {
            assert!(reply.starts_with('5') && starts(b'5'), "{reply}");
            reply
        }
        Err(SendFault::Deferred(reply)) => {
            // after the content it may have been taken, whatever it says
            let out_of_turn = reply.contains("answered out of turn") && starts(b'3');
            assert!(out_of_turn || reply.starts_with('4') && starts(b'4'), "{reply}");
            reply
        }
        Err(SendFault::Deployment(fault)) => fault,
    };
    assert!(!said.is_empty() && said.chars().count() <= 200, "{said:?}");
    assert!(
        !said.contains(|c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')),
        "{said:?}"
    );
    let run = said.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').map(str::len).max();
    assert!(run <= Some(64), "the token of a link would have room in it: {said}");
    outcome.is_ok()
}
