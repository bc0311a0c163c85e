//! Calls whose answers are looked at byte by byte.

use std::collections::{BTreeMap, HashMap};

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::client::Identified;
use crate::ledger::{Cost, Ledger};
use crate::matrix_call::methods;

/// What came back: everything but the id of the trace, which is of the same length each time, and the server's time of day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The status and what it says.
    pub(crate) status: String,
    /// Names and values of headers and trailers.
    pub(crate) headers: Vec<(String, String)>,
    /// The message's bytes.
    pub(crate) message: Vec<u8>,
}

/// The method of a name.
pub(crate) fn method(name: &str) -> MethodDescriptor {
    methods().into_iter().find(|method| method.name() == name).expect("an RPC of the contract")
}

/// A request that has these texts in those of its fields that have these names.
pub(crate) fn request(method: &MethodDescriptor, texts: &[(&str, &str)]) -> Vec<u8> {
    let mut request = DynamicMessage::new(method.input());
    for (name, text) in texts {
        if method.input().get_field_by_name(name).is_some() {
            request.set_field_by_name(name, Value::String((*text).to_owned()));
        }
    }
    request.encode_to_vec()
}

/// Makes a call; answers what was heard and what it cost.
pub(crate) async fn heard(
    ledger: &mut Ledger,
    channel: &Channel,
    identified: &Identified,
    method: &MethodDescriptor,
    request: &[u8],
) -> (Heard, Cost) {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = http::uri::PathAndQuery::try_from(path).expect("a path");
    let mut client = tonic::client::Grpc::new(InterceptedService::new(channel.clone(), identified.clone()));
    client.ready().await.expect("connected");
    let call = async {
        if method.is_server_streaming() {
            let answer = client.server_streaming(Request::new(request.to_vec()), path, Raw).await;
            answer.map(|_| panic!("{} begins a stream for an outsider", method.name()))
        } else {
            client.unary(Request::new(request.to_vec()), path, Raw).await
        }
    };
    let (answer, cost) = ledger.cost_of(method.name(), call).await;
    let heard = match answer {
        Ok(answer) => {
            let (headers, message, _) = answer.into_parts();
            Heard { status: "OK".to_owned(), headers: listed(&headers), message }
        }
        Err(status) => Heard { status: said(&status), headers: listed(status.metadata()), message: Vec::new() },
    };
    (heard, cost)
}

/// All that a status says, and how many bytes its details have: the order in which it tells metadata is another each time.
fn said(status: &Status) -> String {
    let mut details = status.get_error_details();
    let info = details.error_info().cloned().expect("an ErrorInfo");
    let metadata: BTreeMap<_, _> = info.metadata.into_iter().collect();
    details.set_error_info(info.reason, info.domain, HashMap::new());
    let length = status.details().len();
    masked(&format!("{:?} {} {length} bytes of {metadata:?} {details:?}", status.code(), status.message()))
}

/// Headers with their values; of the time of day its length.
fn listed(headers: &MetadataMap) -> Vec<(String, String)> {
    let headers = headers.clone().into_headers();
    let value = |name: &str, value: &[u8]| {
        if name == "date" { value.len().to_string() } else { masked(&String::from_utf8_lossy(value)) }
    };
    let mut listed: Vec<_> =
        headers.iter().map(|(name, bytes)| (name.to_string(), value(name.as_str(), bytes.as_bytes()))).collect();
    listed.sort();
    listed
}

/// A text with the id of its trace crossed out.
fn masked(text: &str) -> String {
    let mut masked = text.to_owned();
    let mut from = 0;
    while let Some(at) = masked[from..].find("trc_") {
        let id = from + at + 4;
        let end = masked[id..].find(|letter: char| !letter.is_ascii_hexdigit()).map_or(masked.len(), |length| id + length);
        masked.replace_range(id..end, &"x".repeat(end - id));
        from = end;
    }
    masked
}

/// Messages as the bytes that they are.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(Bytes::from(item));
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}
