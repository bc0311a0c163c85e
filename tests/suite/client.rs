//! Callers: the four services over one connection, with what identifies the caller on every request.

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;
use user_management::proto::access_client::AccessClient;
use user_management::proto::identity_client::IdentityClient;
use user_management::proto::operations_client::OperationsClient;
use user_management::proto::user_management_client::UserManagementClient;

/// Headers that go with every request.
#[derive(Clone, Default)]
pub(crate) struct Identified {
    headers: Vec<(&'static str, String)>,
}

impl Identified {
    /// By a bearer token.
    pub(crate) fn by(token: &str) -> Self {
        Self::default().with("authorization", &format!("Bearer {token}"))
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Interceptor for Identified {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in &self.headers {
            let value = MetadataValue::try_from(value).map_err(|_| Status::internal("a header that can't be sent"))?;
            request.metadata_mut().append(*name, value);
        }
        Ok(request)
    }
}

type Calls = InterceptedService<Channel, Identified>;

/// One caller.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) users: UserManagementClient<Calls>,
    pub(crate) access: AccessClient<Calls>,
    pub(crate) identity: IdentityClient<Calls>,
    pub(crate) operations: OperationsClient<Calls>,
}

impl Client {
    /// A caller on a connection.
    pub(crate) fn new(channel: Channel, identified: Identified) -> Self {
        Self {
            users: UserManagementClient::with_interceptor(channel.clone(), identified.clone()),
            access: AccessClient::with_interceptor(channel.clone(), identified.clone()),
            identity: IdentityClient::with_interceptor(channel.clone(), identified.clone()),
            operations: OperationsClient::with_interceptor(channel, identified),
        }
    }
}

/// The reason of a refusal, as its `ErrorInfo` says.
pub(crate) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("an error without ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "usermanagement.circonus");
    assert!(info.metadata.contains_key("trace_id"), "an error without a trace id: {status:?}");
    info.reason.clone()
}

/// What a refusal's `ErrorInfo` says under a key.
pub(crate) fn metadata(status: &Status, key: &str) -> String {
    status.get_error_details().error_info().and_then(|info| info.metadata.get(key).cloned()).unwrap_or_default()
}

/// The fields that a refusal names, in order.
pub(crate) fn violations(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let bad = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    bad.into_iter().map(|violation| violation.field).collect()
}
