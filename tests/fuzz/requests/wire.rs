//! Requests as whatever bytes.

use bytes::BufMut as _;
use http::uri::PathAndQuery;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::client::Identified;

/// Calls an RPC; of a stream, that it begins is the answer.
pub(super) async fn call(
    channel: Channel,
    identified: Identified,
    method: &MethodDescriptor,
    request: Vec<u8>,
) -> Result<DynamicMessage, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path).expect("a path");
    let mut client = tonic::client::Grpc::new(InterceptedService::new(channel, identified));
    client.ready().await.expect("connected");
    let (request, answer) = (Request::new(request), Bytes(method.output()));
    if method.is_server_streaming() {
        client.server_streaming(request, path, answer).await.map(|_| DynamicMessage::new(method.output()))
    } else {
        client.unary(request, path, answer).await.map(Response::into_inner)
    }
}

/// Requests are bytes, and answers messages of a type.
struct Bytes(MessageDescriptor);

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.clone(), buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
