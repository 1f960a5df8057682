//! gRPC types and services of `kerros.v1`, generated from `proto/`, and the one place where a
//! refusal becomes a status and is read back.
//!
//! Generated types are plain data: whoever receives them decodes fields with the checked
//! constructors of this crate.

#[allow(missing_docs, clippy::all, clippy::pedantic)]
mod generated {
    tonic::include_proto!("kerros.v1");
}
pub use generated::*;

use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// The encoded `FileDescriptorSet` of `kerros.v1`, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kerros.v1.bin"));

/// Metadata entry that repeats [`RejectionDetail::reason`].
pub const REASON_METADATA: &str = "kerros-reason";

const DETAIL_TYPE: &str = "type.googleapis.com/kerros.v1.RejectionDetail";

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

impl RejectionDetail {
    /// The status that carries this detail.
    pub fn into_status(self, code: Code) -> Status {
        let value = self.encode_to_vec();
        let any = Any { type_url: DETAIL_TYPE.to_owned(), value };
        let details =
            RpcStatus { code: code as i32, message: self.message.clone(), details: vec![any] };
        let mut status = Status::with_details(code, self.message, details.encode_to_vec().into());
        // A reason is SCREAMING_SNAKE_CASE, hence always a valid header value.
        if let Ok(reason) = MetadataValue::try_from(self.reason.as_str()) {
            status.metadata_mut().insert(REASON_METADATA, reason);
        }
        status
    }
    /// The detail a status carries; none if it comes from elsewhere (a proxy, the transport).
    pub fn from_status(status: &Status) -> Option<Self> {
        let details = RpcStatus::decode(status.details()).ok()?;
        let any = details.details.iter().find(|any| any.type_url == DETAIL_TYPE)?;
        Self::decode(any.value.as_slice()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_survives_the_way_through_a_status() {
        let detail = RejectionDetail {
            reason: "WRONG_NONCE".to_owned(),
            transient: true,
            retry_after_ms: 250,
            message: "nonce 4, account expects 3".to_owned(),
            values: [("have".to_owned(), "4".to_owned())].into(),
        };
        let status = detail.clone().into_status(Code::FailedPrecondition);
        assert_eq!(status.metadata().get(REASON_METADATA).expect("set"), "WRONG_NONCE");
        assert_eq!(RejectionDetail::from_status(&status), Some(detail));
        assert_eq!(RejectionDetail::from_status(&Status::internal("x")), None);
    }
}
