//! What isn't even a message: frames that lie about their length, are compressed or cut off, and calls of what isn't there.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use prost_reflect::MethodDescriptor;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Service as _, ServiceExt as _};

use super::cast::Caller;
use super::check;
use crate::client::reason;
use crate::mutator::Dice;

/// Sends a request in frames that nobody would send. The connection outlives it, and the answer is a refusal of the contract's or is none.
pub(super) async fn send(dice: &mut Dice, caller: &Caller, method: &MethodDescriptor, request: &[u8]) {
    let length = u32::try_from(request.len()).expect("a small request");
    let frame = |flag: u8, length: u32, bytes: &[u8]| [&[flag][..], &length.to_be_bytes(), bytes].concat();
    let body = match dice.below(8) {
        0 => Vec::new(),
        1 => request.to_vec(),
        2 => frame(1, length, request),
        3 => frame(dice.any().to_be_bytes()[0], length, request),
        4 => frame(0, length.saturating_add(1), request),
        5 => frame(0, u32::MAX, request),
        6 => frame(0, length / 2, request),
        _ => frame(0, length, request).repeat(2),
    };
    let name = if dice.once_in(4) { format!("{}x", method.name()) } else { method.name().to_owned() };
    let path = format!("/{}/{name}", method.parent_service().full_name());
    let content = *dice.pick(&["application/grpc", "application/grpc", "application/grpc", "application/grpc+json", "text/html"]);
    let mut sent = Request::post(&path).header("content-type", content).header("te", "trailers");
    if let Some(token) = &caller.token {
        sent = sent.header("authorization", format!("Bearer {token}"));
    }
    if dice.once_in(4) {
        sent = sent.header("grpc-encoding", *dice.pick(&["gzip", "identity", "zstd", "x"]));
    }
    let told = format!("{path} by {} as {content}: {}", caller.name, body.escape_ascii());
    let sent = sent.body(Body::new(Full::new(Bytes::from(body)))).expect("a request");
    let mut channel = caller.channel.clone();
    let answer = channel.ready().await.expect("connected").call(sent).await;
    let answer = answer.unwrap_or_else(|error| panic!("{told}: the connection broke: {error:?}"));
    let (head, body) = answer.into_parts();
    let trailers =
        body.collect().await.unwrap_or_else(|error| panic!("{told}: {error:?}")).trailers().cloned().unwrap_or_default();
    let status = Status::from_header_map(&head.headers).or_else(|| Status::from_header_map(&trailers));
    match status {
        Some(status) if status.code() == Code::Unimplemented => assert_eq!(reason(&status), "PROTOCOL", "{told}"),
        Some(status) if status.code() != Code::Ok => check::refusal(&status, &told),
        Some(_) => {}
        None => assert!(head.status.is_client_error(), "{told}: {head:?}"),
    }
}
