//! What calls hold of a share, and until when.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::stream;
use tokio::sync::mpsc;
use tonic::Code;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use super::apart;
use super::wire::{self, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, Wire};
use crate::harness::{LONG, Running, health_of, refusal_of, refusal_of_bytes};

fn begin(stream: u32, path: &str, flags: u8) -> Vec<u8> {
    wire::frame(HEADERS, END_HEADERS | flags, stream, &wire::call(path))
}

/// What comes on a new connection until the first of its calls is answered.
async fn answer(to: SocketAddr, calls: Vec<u8>) -> Vec<Frame> {
    apart(move || {
        let mut wire = Wire::open(to, Ipv4Addr::LOCALHOST, &[]);
        assert!(wire.send(&calls));
        wire.answered(LONG)
    })
    .await
}

/// An answer that is headers and their end is a refusal.
fn is_refused(frames: &[Frame]) -> bool {
    frames.iter().any(|(kind, flags)| *kind == HEADERS && flags & END_STREAM != 0)
}

#[tokio::test]
async fn a_request_is_given_on_when_it_is_whole_or_too_long_to_be_taken() {
    let server = Running::start("limits.message_bytes = 102400");
    let channel = server.tcp().connect().await.expect("connected");
    // more than a frame of HTTP/2 holds
    let told = refusal_of_bytes(channel, "/test.Test/Piece", 100_000).await;
    assert!(told.message().parse::<usize>().is_ok_and(|piece| piece > 100_000), "{told:?}");
    let server = Running::start("limits.message_bytes = 1024\nlimits.request_seconds = 3600");
    let without_end = wire::frame(DATA, 0, 1, &[&[0, 0, 0, 8, 0][..], &[0; 1100]].concat());
    let frames = answer(server.addresses.tcp[0], [begin(1, "/test.Test/Piece", 0), without_end].concat()).await;
    assert!(is_refused(&frames), "nobody waits for the rest: {frames:?}");
}

#[tokio::test]
async fn a_change_holds_room_for_its_answer_from_its_beginning() {
    for (path, share) in [("/test.Test/Hang", 2 * 4096), ("/test.Test/BatchHang", 4 << 20), ("/test.Test/BatchHang", 1024)] {
        let settings =
            format!("limits.message_bytes = 1024\nlimits.buffered_bytes_per_peer = {share}\nlimits.request_seconds = 3600");
        let server = Running::start(&settings);
        let calls = [1, 3, 5].map(|stream| begin(stream, path, END_STREAM)).concat();
        let frames = answer(server.addresses.tcp[0], calls).await;
        assert!(is_refused(&frames), "there is room for two: {path} of {share}");
    }
    // a share that is smaller than the room that answers usually take is no reason to refuse all of them
    let server = Running::start("limits.message_bytes = 1024\nlimits.buffered_bytes_per_peer = 1024");
    let channel = server.tcp().connect().await.expect("connected");
    assert_eq!(refusal_of(channel, "/test.Test/BatchPeer").await.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_request_whose_end_does_not_come_gives_its_place_back() {
    for path in ["/test.Test/Much", "/test.Test/CheckMuch"] {
        let server = Running::start("limits.calls_per_peer = 1\nlimits.request_seconds = 1");
        let (to, channel) = (server.addresses.tcp[0], server.tcp().connect().await.expect("connected"));
        let half = [begin(1, path, 0), wire::frame(DATA, 0, 1, &[&[0, 0, 0, 4, 0][..], &[0; 100]].concat())].concat();
        let (frames, wire) = apart(move || {
            let mut wire = Wire::open(to, Ipv4Addr::LOCALHOST, &[]);
            assert!(wire.send(&half));
            (wire.answered(LONG), wire)
        })
        .await;
        assert!(is_refused(&frames), "it is told when its time is over: {frames:?}");
        let again = async { while health_of(channel.clone(), "").await.is_err() {} };
        tokio::time::timeout(LONG, again).await.expect("there is room, though its connection stays open");
        drop(wire);
    }
}

#[tokio::test]
async fn a_change_keeps_its_place_when_its_caller_leaves_until_it_is_done() {
    let server = Running::start("limits.calls_per_peer = 1");
    let channel = server.tcp().connect().await.expect("connected");
    let refused = async || health_of(channel.clone(), "").await.is_err_and(|refused| refused.code() == Code::ResourceExhausted);
    let mut change = Box::pin(refusal_of(channel.clone(), "/test.Test/Hang"));
    let begun = async { while !refused().await {} };
    tokio::select! {
        // calls of one connection arrive in their order
        biased;
        _ = &mut change => panic!("it never ends"),
        begun = tokio::time::timeout(LONG, begun) => begun.expect("it began"),
    }
    drop(change);
    // on the same connection, so the server has heard that nobody waits
    for _ in 0..10 {
        assert!(refused().await, "else any number of changes could wait");
    }
}

#[tokio::test]
async fn an_answer_counts_in_the_place_of_its_request_and_what_was_changed_is_told_in_any_case() {
    let ask = |path: &str, bytes: usize| {
        let message = wire::message(&[&[0x7a, 0xe6, 7][..], &vec![0; bytes - 3]].concat());
        [begin(1, path, 0), wire::frame(DATA, END_STREAM, 1, &message)].concat()
    };
    let of_share = |share: usize| format!("limits.message_bytes = 1024\nlimits.buffered_bytes_per_peer = {share}");
    let is_answered = |frames: &[Frame]| frames.iter().any(|(kind, _)| *kind == DATA);
    let server = Running::start(&of_share(2048));
    let frames = answer(server.addresses.tcp[0], ask("/test.Test/GetMuch", 1001)).await;
    assert!(is_answered(&frames), "there isn't room for both, nor has to be: {frames:?}");
    let server = Running::start(&of_share(1024));
    let frames = answer(server.addresses.tcp[0], ask("/test.Test/GetMuch", 101)).await;
    assert!(is_refused(&frames) && !is_answered(&frames), "it can be asked again: {frames:?}");
    let frames = answer(server.addresses.tcp[0], ask("/test.Test/Much", 101)).await;
    assert!(is_answered(&frames), "it is done: {frames:?}");
}

#[tokio::test]
async fn a_conversation_rests_from_its_last_answer_on() {
    const LONGEST: Duration = Duration::from_secs(1);
    let server = Running::start("limits.request_seconds = 1");
    let channel = server.tcp().connect().await.expect("connected");
    let question =
        ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices(String::new())) };
    // again where it rested too long before it was asked
    for _ in 0..10 {
        let (questions, mut asked) = mpsc::unbounded_channel();
        let asked = stream::poll_fn(move |context| asked.poll_recv(context));
        let mut client = ServerReflectionClient::new(channel.clone());
        let mut answers = client.server_reflection_info(asked).await.expect("begun").into_inner();
        let begun = Instant::now();
        while begun.elapsed() < LONGEST / 2 {
            health_of(channel.clone(), "").await.expect("answered");
        }
        let last = Instant::now();
        questions.send(question.clone()).expect("it is open");
        if let Ok(answer) = answers.message().await {
            answer.expect("it goes on");
            let rested = tokio::time::timeout(LONG, answers.message()).await.expect("ended").expect_err("refused");
            assert_eq!(rested.code(), Code::DeadlineExceeded);
            assert!(last.elapsed() >= LONGEST);
            return;
        }
    }
    panic!("it never rested from its last answer on");
}
