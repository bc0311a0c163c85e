//! Users of this host: each is a peer of its own on the tools' socket.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use std::{fs, thread};

use rustix::process::{Uid, getuid};
use tonic::transport::{Endpoint, Uri};
use user_management::proto;

use super::{Reached, reached};
use crate::client::{Client, Identified, reason};
use crate::site::Site;

/// Nobody whom the service knows, connected by another user of the host: the kernel takes down whose thread it was that connected.
async fn connected_by(uid: Uid, socket: &Path) -> Client {
    let path = socket.to_owned();
    let connecting = thread::spawn(move || {
        if uid != getuid() {
            rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may be anybody");
        }
        UnixStream::connect(path).expect("anybody on the host may connect")
    });
    let stream = connecting.join().expect("connected");
    stream.set_nonblocking(true).expect("a socket");
    let once = Mutex::new(Some(tokio::net::UnixStream::from_std(stream).expect("a socket")));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = once.lock().expect("nobody panicked").take();
        async move { stream.map(hyper_util::rt::TokioIo::new).ok_or(std::io::Error::other("it is connected once")) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await.expect("the socket answers");
    Client::new(channel, Identified::default())
}

#[tokio::test]
async fn each_user_of_the_host_is_a_peer_with_limits_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).expect("others may pass through");
    let socket: PathBuf = directory.path().join("tools.sock");
    let limits = "limits.mails_per_peer = 1\nlimits.sign_in_failures_per_peer = 1\nlimits.sign_in_failures_per_device = 1";
    let site = Site::with(&format!("signup = 'open'\n{limits}\ngrpc.tools_socket = '{}'", socket.display())).await;
    let mut users = vec![getuid()];
    if getuid().is_root() {
        users.extend([60_001, 60_002].map(Uid::from_raw));
    } else {
        crate::skipped(
            "only root can connect as others: this shows of one user alone that they are another peer than one over TCP",
        );
    }
    for (number, uid) in users.into_iter().enumerate() {
        // another connection is no other peer
        for refused in [false, true] {
            let mut user = connected_by(uid, &socket).await;
            let request = proto::RequestPasswordResetRequest { email: "ann@acme.test".to_owned() };
            let asked = user.identity.request_password_reset(request).await;
            let guessed = user.try_password(&format!("person{number}@acme.test"), "not the password").await.expect_err("refused");
            if refused {
                let hour = Duration::from_hours(1);
                let limit = |reason: &str, limit: &str, subject: &str| Reached {
                    reason: reason.to_owned(),
                    limit: limit.to_owned(),
                    subject: subject.to_owned(),
                    retry: hour,
                };
                let asked = asked.expect_err("this user's are used up");
                assert_eq!(reached(&asked), limit("REQUESTS_EXHAUSTED", "mails_per_peer", "peer"), "{uid:?}");
                assert_eq!(reached(&guessed), limit("TRIES_EXHAUSTED", "sign_in_failures_per_device", "address"), "{uid:?}");
            } else {
                asked.unwrap_or_else(|refused| panic!("{uid:?} hasn't asked before: {refused:?}"));
                assert_eq!(reason(&guessed), "SIGN_IN_FAILED", "{uid:?}");
            }
        }
    }
    let request = proto::RequestPasswordResetRequest { email: "ann@acme.test".to_owned() };
    site.nobody().await.identity.request_password_reset(request).await.expect("over TCP comes somebody else");
}
