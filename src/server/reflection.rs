//! Server reflection, v1 and v1alpha: grpcurl 1.8 speaks only the older, buf only the newer.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

/// A question names one thing, and is copied some times before it is answered.
const QUESTION_BYTES: usize = 4 * 1024;

/// Adds both, with the contract, the error details (else clients can't show them decoded) and the health service.
pub(super) fn add(routes: Routes) -> Result<Routes, Error> {
    let (newer, older) = (builder().build_v1()?, builder().build_v1alpha()?);
    let newer = newer.max_decoding_message_size(QUESTION_BYTES);
    Ok(routes.add_service(newer).add_service(older.max_decoding_message_size(QUESTION_BYTES)))
}

fn builder() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(crate::proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
