//! Checks an answer against the canister's certified data, as a client that trusts only the root key would.

use crate::{failure::Failure, web::message::Answer};
use axum::http::StatusCode;
use ic_http_certification::{HttpRequest, HttpResponse};
use ic_response_verification::{MIN_VERIFICATION_VERSION, types::VerificationInfo, verify_request_response_pair};
use mains_types::{CanisterId, UnixNanos};

/// How far the time of a certificate may be from ours, nanoseconds.
const CERTIFICATE_AGE_MAX_NANOS: u128 = 5 * 60 * 1_000_000_000;

/// What of an answer may be shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Certified {
    /// Version 1: the body.
    Body,
    /// Version 2: status, body, and these headers.
    Response(Vec<(String, String)>),
    /// Version 2: the canister certified that this path is not certified.
    Skipped,
}

/// What a check needs to know.
pub(crate) struct Authority<'a> {
    /// Who answered.
    pub(crate) canister: &'a CanisterId,
    /// The network's root key, DER.
    pub(crate) root_key: &'a [u8],
    /// The time.
    pub(crate) now: UnixNanos,
}

/// Checks that `answer`, whose body is complete, is what the canister certified for `request`.
///
/// # Errors
/// [`Failure::NotVerified`] with the reason; [`Failure::BadAnswer`] if the status is none.
pub(crate) fn verify(
    authority: &Authority<'_>,
    request: &HttpRequest<'static>,
    answer: &Answer,
) -> Result<Certified, Failure> {
    let status = StatusCode::from_u16(answer.status_code)
        .map_err(|_| Failure::bad_answer(format!("{} is no HTTP status", answer.status_code)))?;
    let response = HttpResponse::builder()
        .with_status_code(status)
        .with_headers(answer.headers.clone())
        .with_body(&answer.body[..])
        .build();
    let verified = verify_request_response_pair(
        request.clone(),
        response,
        authority.canister.as_slice(),
        authority.now.get().into(),
        CERTIFICATE_AGE_MAX_NANOS,
        authority.root_key,
        MIN_VERIFICATION_VERSION,
    )
    .map_err(|error| Failure::not_verified(error.to_string()))?;
    match verified {
        VerificationInfo { verification_version: 2, response: None } => Ok(Certified::Skipped),
        VerificationInfo { verification_version: 2, response: Some(response) } => {
            Ok(Certified::Response(response.headers))
        }
        // Version 1 certifies no status: a redirect would be the word of one replica.
        _ if status.is_redirection() => {
            Err(Failure::not_verified("version 1 of response verification does not certify redirects".into()))
        }
        _ => Ok(Certified::Body),
    }
}
