//! Sockets in front of the server's that lose answers.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use crate::site::Site;

/// A socket that loses one answer, of the call behind the first so many, and passes on what is asked afterwards.
pub(super) fn losing_the_answer_after(site: &Site, answers: usize) -> (PathBuf, thread::JoinHandle<()>) {
    lossy(site, answers, |listener, server| {
        let (client, _) = listener.accept().expect("another connection");
        pass_on(client, UnixStream::connect(server).expect("connected"));
    })
}

/// A socket that loses the answer of the call behind the first so many, and is closed from then on.
pub(super) fn gone_after(site: &Site, answers: usize) -> (PathBuf, thread::JoinHandle<()>) {
    lossy(site, answers, |listener, _| drop(listener))
}

fn lossy(
    site: &Site,
    answers: usize,
    after: impl FnOnce(UnixListener, &Path) + Send + 'static,
) -> (PathBuf, thread::JoinHandle<()>) {
    let path = site.data_dir().join("lossy.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let server = site.data_dir().join("grpc.sock");
    let relay = thread::spawn(move || {
        // the command looks first whether anybody is there
        drop(listener.accept().expect("a look"));
        let (client, _) = listener.accept().expect("a first connection");
        lose_the_answer_after(answers, client, UnixStream::connect(&server).expect("connected"));
        after(listener, &server);
    });
    (path, relay)
}

const HEADERS: u8 = 1;

/// Passes all on to the server, and back to the client until so many calls were answered; closes at the answer to the next.
fn lose_the_answer_after(answers: usize, client: UnixStream, server: UnixStream) {
    let (mut from_client, mut to_server) = (client.try_clone().expect("cloned"), server.try_clone().expect("cloned"));
    thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    let (mut from_server, mut to_client) = (server, client);
    // an answer has them in front of the message and behind it
    let mut headers = 2 * answers;
    loop {
        let mut head = [0; 9];
        from_server.read_exact(&mut head).expect("a frame");
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        from_server.read_exact(&mut payload).expect("its payload");
        if head[3] == HEADERS {
            let Some(left) = headers.checked_sub(1) else {
                return to_client.shutdown(std::net::Shutdown::Both).expect("closed");
            };
            headers = left;
        }
        to_client.write_all(&[&head[..], &payload].concat()).expect("passed on");
    }
}

fn pass_on(client: UnixStream, server: UnixStream) {
    let (mut from_client, mut to_server) = (client.try_clone().expect("cloned"), server.try_clone().expect("cloned"));
    let upward = thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Both);
    });
    let (mut from_server, mut to_client) = (server, client);
    let _ = std::io::copy(&mut from_server, &mut to_client);
    let _ = upward.join();
}
