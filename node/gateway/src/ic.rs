//! The Internet Computer's HTTP interface (interface specification 0.66, "HTTPS Interface").
//!
//! v2, v3 and v4 of a path differ only in waiting: a v2 call is answered at once, a v3 or v4 call with its certificate.

use crate::{body, failure::Failure, server::Gateway};
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mains_crypto::{AuthError, VerifiedCall};
use mains_replica::{Effective, SubmitError};
use mains_types::{Principal, RequestId};
use mains_wire::Envelope;
use std::sync::Arc;

/// Above this many bytes, checking a request moves off the threads that serve sockets: hashing takes milliseconds.
const INLINE_CHECK_BYTES_MAX: usize = 128 << 10;

/// All routes of the interface.
pub(crate) fn routes() -> Router<Arc<Gateway>> {
    let mut router = Router::new().route("/api/v2/status", get(status));
    for version in ["v2", "v3"] {
        router = router
            .route(&format!("/api/{version}/canister/{{id}}/query"), post(query))
            .route(&format!("/api/{version}/canister/{{id}}/read_state"), post(read_canister_state))
            .route(&format!("/api/{version}/subnet/{{id}}/read_state"), post(read_subnet_state));
    }
    router
        .route("/api/v2/canister/{id}/call", post(call_at_once))
        .route("/api/v3/canister/{id}/call", post(call_and_wait))
        .route("/api/v4/canister/{id}/call", post(call_and_wait))
}

/// `GET /api/v2/status`: root key and health.
async fn status(State(gateway): State<Arc<Gateway>>) -> Response {
    let health = if gateway.replica.status().healthy { "healthy" } else { "waiting_for_certified_state" };
    cbor(mains_wire::status(&gateway.replica.identity().root_key_der, health, env!("CARGO_PKG_VERSION")))
}

/// `POST /api/v2/canister/<id>/call`: takes the call and answers 202 without waiting.
async fn call_at_once(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Failure> {
    Ok(match submit(&gateway, &id, body).await? {
        Submitted::Taken(_) => StatusCode::ACCEPTED.into_response(),
        Submitted::Refused(response) => response,
    })
}

/// `POST /api/v4/canister/<id>/call`: takes the call and waits for its certificate; 202 if that takes too long.
async fn call_and_wait(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Failure> {
    let _room = gateway.admission.call()?;
    let request_id = match submit(&gateway, &id, body).await? {
        Submitted::Taken(request_id) => request_id,
        Submitted::Refused(response) => return Ok(response),
    };
    let outcome = tokio::time::timeout(gateway.config.call_wait(), gateway.replica.outcome(&request_id)).await;
    Ok(match outcome {
        Ok(view) => {
            let path = vec![b"request_status".to_vec(), request_id.0.to_vec()];
            cbor(mains_wire::call_replied(&view.certificate(&[path])))
        }
        // The call is in the pool all the same: the client polls read_state, here or at another replica.
        Err(_) => StatusCode::ACCEPTED.into_response(),
    })
}

/// What became of a call at the door.
enum Submitted {
    /// It is on its way to a block.
    Taken(RequestId),
    /// This replica's view of the state says that it cannot succeed.
    Refused(Response),
}

async fn submit(gateway: &Gateway, id: &str, body: Body) -> Result<Submitted, Failure> {
    let effective = principal(id)?;
    let call: VerifiedCall = {
        let replica = gateway.replica.clone();
        checked(gateway, body, move |envelope| mains_crypto::verify_call(envelope, replica.now(), replica.trust()))
            .await?
    };
    match gateway.replica.submit(call, effective).await {
        Ok(request_id) => Ok(Submitted::Taken(request_id)),
        Err(SubmitError::Rejected(reject)) => Ok(Submitted::Refused(cbor(mains_wire::call_rejected(&reject)))),
        Err(error) => Err(error.into()),
    }
}

/// `POST /api/v3/canister/<id>/query`: runs a query here, signed by this node.
async fn query(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, body: Body) -> Result<Response, Failure> {
    let effective = principal(&id)?;
    let replica = gateway.replica.clone();
    let query =
        checked(&gateway, body, move |envelope| mains_crypto::verify_query(envelope, replica.now(), replica.trust()))
            .await?;
    let reply = gateway.replica.query(query, effective).await?;
    Ok(cbor(mains_wire::query_response(&reply.result, reply.timestamp, &reply.signature, &reply.node_id)))
}

/// `POST /api/v3/canister/<id>/read_state`.
async fn read_canister_state(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Failure> {
    let effective = Effective::Canister(principal(&id)?);
    read_state(&gateway, effective, body).await
}

/// `POST /api/v3/subnet/<id>/read_state`.
async fn read_subnet_state(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Failure> {
    let subnet = principal(&id)?;
    if subnet != gateway.replica.identity().subnet {
        return Err(Failure::WrongSubnet { asked: id });
    }
    read_state(&gateway, Effective::Subnet(subnet), body).await
}

async fn read_state(gateway: &Gateway, effective: Effective, body: Body) -> Result<Response, Failure> {
    let replica = gateway.replica.clone();
    let request = checked(gateway, body, move |envelope| {
        mains_crypto::verify_read_state(envelope, replica.now(), replica.trust())
    })
    .await?;
    Ok(cbor(mains_wire::read_state(&gateway.replica.read_state(&request, effective)?)))
}

/// Reads a body, parses its envelope, and checks that it is authentic and of the type that this path takes.
async fn checked<T: Send + 'static>(
    gateway: &Gateway,
    body: Body,
    check: impl FnOnce(Envelope) -> Result<T, AuthError> + Send + 'static,
) -> Result<T, Failure> {
    let raw = body::read(body, &gateway.admission, gateway.config.body_read()).await?;
    let is_large = raw.bytes.len() > INLINE_CHECK_BYTES_MAX;
    let parse_and_check = move || -> Result<T, Failure> { Ok(check(Envelope::from_bytes(raw.bytes.clone())?)?) };
    if is_large {
        tokio::task::spawn_blocking(parse_and_check).await.unwrap_or(Err(Failure::NotReady { retry_after_ms: 1_000 }))
    } else {
        parse_and_check()
    }
}

fn principal(text: &str) -> Result<Principal, Failure> {
    Principal::from_text(text).map_err(|_| Failure::NotAPrincipal { text: text.chars().take(100).collect() })
}

fn cbor(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/cbor")], bytes).into_response()
}
