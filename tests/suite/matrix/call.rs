//! Calls of any RPC of the contract, by its descriptor.

use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use user_management::proto;

use crate::client::Identified;

/// The package that the matrix is about: health and reflection are open to all.
const PACKAGE: &str = "circonus.usermanagement.v1";

/// Every RPC of the contract, in its order.
pub(crate) fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).expect("the descriptors of the contract");
    let services = pool.services().filter(|service| service.package_name() == PACKAGE);
    services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// Calls an RPC with a request in its encoded form; of a stream, the beginning is the answer.
pub(crate) async fn call(
    channel: Channel,
    identified: Identified,
    method: &MethodDescriptor,
    request: &[u8],
) -> Result<(), Status> {
    let request = DynamicMessage::decode(method.input(), request).expect("a request of the RPC");
    assert!(request.unknown_fields().next().is_none(), "{} takes another request: {request}", method.full_name());
    assert!(!method.is_client_streaming(), "{} takes a stream, which this can't send", method.full_name());
    if method.is_server_streaming() {
        let (mut client, path) = client(channel, identified, method).await;
        client.server_streaming(Request::new(request), path, Dynamic(method.output())).await.map(|_| ())
    } else {
        answer(channel, identified, method, request).await.map(|_| ())
    }
}

/// Calls an RPC that takes and answers one message.
pub(crate) async fn answer(
    channel: Channel,
    identified: Identified,
    method: &MethodDescriptor,
    request: DynamicMessage,
) -> Result<DynamicMessage, Status> {
    let (mut client, path) = client(channel, identified, method).await;
    client.unary(Request::new(request), path, Dynamic(method.output())).await.map(Response::into_inner)
}

type Client = tonic::client::Grpc<InterceptedService<Channel, Identified>>;

async fn client(channel: Channel, identified: Identified, method: &MethodDescriptor) -> (Client, PathAndQuery) {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let mut client = tonic::client::Grpc::new(InterceptedService::new(channel, identified));
    client.ready().await.expect("connected");
    (client, PathAndQuery::try_from(path).expect("a path"))
}

/// Messages whose type is known at run time: requests know it themselves, answers are of this one.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
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

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.clone(), buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
