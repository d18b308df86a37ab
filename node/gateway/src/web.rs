//! Canisters' pages: `http_request` over HTTP, as the Internet Computer's HTTP gateway protocol says.
//!
//! A request that names a canister becomes a query (or, if the canister asks for it, a call) by the anonymous principal;
//! the answer is checked against the canister's certified data before a byte of it is sent. Nothing here is trusted to
//! the replica that it runs on except to answer at all. Spec: `specs/interface.md`, "Canisters' pages".

mod body;
mod canisters;
mod failure_page;
mod headers;
mod message;
mod range;
mod target;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use canisters::Canisters;

use crate::{Config, admission::Admission, body as request_body, failure::Failure};
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use candid::Encode;
use ic_http_certification::{HttpRequest, HttpUpdateRequest};
use ic_response_verification::MAX_VERIFICATION_VERSION;
use mains_types::{CanisterId, ErrorCode, Reject, RejectCode, limits::INGRESS_BYTES_MAX};
use message::{Answer, StreamingStrategy};
use std::sync::Arc;
use target::Target;
use verify::{Authority, Certified};

/// Bytes of a request's head and of its body that a canister can be sent. Together with what Candid and the envelope
/// add, they fit into a call, so that a canister can always ask for one.
const REQUEST_HEAD_BYTES_MAX: usize = 64 << 10;
const REQUEST_BODY_BYTES_MAX: usize = INGRESS_BYTES_MAX - 2 * REQUEST_HEAD_BYTES_MAX;
/// How long browsers may remember that cross-origin requests are allowed, seconds.
const PREFLIGHT_AGE_SECONDS: u32 = 7_200;
/// Marks answers that come from a canister, for tools.
const CANISTER_HEADER: HeaderName = HeaderName::from_static("x-ic-canister-id");
/// A browser's announcement that it will run the answer in front of a whole origin.
const SERVICE_WORKER_HEADER: &str = "service-worker";

/// What serving canisters' pages takes.
pub(crate) struct Web<C> {
    /// Asks canisters.
    pub(crate) canisters: C,
    /// Memory and waiting calls, shared with the interface.
    pub(crate) admission: Arc<Admission>,
    /// Bounds and patience.
    pub(crate) config: Config,
}

/// Marks a response as one to a canister's page, for metrics.
#[derive(Clone, Copy)]
pub(crate) struct ForCanister;

/// Answers requests that name a canister; all others go on to the node.
pub(crate) async fn divert<C: Canisters>(State(web): State<Arc<Web<C>>>, request: Request, next: Next) -> Response {
    let target = match target::target(request.headers(), request.uri(), &web.config.domains) {
        Ok(None) => return next.run(request).await,
        Ok(Some(target)) => Ok(target),
        Err(failure) => Err(failure),
    };
    let wants_html = failure_page::wants_html(request.headers());
    let served = match target {
        Ok(target) => match preflight(&request) {
            Some(response) => Ok(response),
            None => serve(&web, target, request).await.map_err(|failure| for_people(failure, &target)),
        },
        Err(failure) => Err(failure),
    };
    let mut response = match served {
        Ok(response) => response,
        Err(failure) if wants_html => failure_page::page(failure),
        Err(failure) => failure.into_response(),
    };
    for name in [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_EXPOSE_HEADERS] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static("*"));
    }
    response.extensions_mut().insert(ForCanister);
    response
}

/// Whatever a page of another origin wants to send may be sent: a canister knows who calls by signatures, and the
/// gateway adds no credentials of its own.
fn preflight(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let is_preflight = request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    is_preflight.then(|| {
        let names = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let allowed = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, names.unwrap_or(HeaderValue::from_static("*"))),
            (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(PREFLIGHT_AGE_SECONDS)),
        ];
        (StatusCode::NO_CONTENT, HeaderMap::from_iter(allowed)).into_response()
    })
}

async fn serve<C: Canisters>(web: &Arc<Web<C>>, target: Target, request: Request) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    if target.is_shared && head.headers.contains_key(SERVICE_WORKER_HEADER) {
        return Err(Failure::ServiceWorkerOnSharedOrigin);
    }
    let headers = headers::for_canister(&head.headers, target.is_shared)?;
    let url = url(&head);
    let head_bytes = url.len() + headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
    if head_bytes > REQUEST_HEAD_BYTES_MAX {
        return Err(Failure::HeadTooLarge { limit: REQUEST_HEAD_BYTES_MAX });
    }
    let received = request_body::read(body, &web.admission, web.config.body_read()).await?;
    if received.bytes.len() > REQUEST_BODY_BYTES_MAX {
        return Err(Failure::BodyTooLarge { limit: REQUEST_BODY_BYTES_MAX });
    }
    // A HEAD is answered as a GET would be, and canisters certify what they answer to that.
    let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
    let request = HttpRequest::builder()
        .with_method(method)
        .with_url(url)
        .with_headers(headers)
        .with_body(received.bytes.to_vec())
        .with_certificate_version(MAX_VERIFICATION_VERSION.into())
        .build();
    drop(received);
    let answer = web.ask(target.canister, &request).await?;
    let shown = if answer.upgrade == Some(true) {
        web.call(target.canister, &request).await?
    } else {
        web.shown(target, request, answer, is_range_request(&head.headers)).await?
    };
    respond(&head.method, &target, shown)
}

/// Path and query, as the client sent them.
fn url(head: &Parts) -> String {
    head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned()
}

/// Whether the client itself asked for a part of the body.
fn is_range_request(headers: &HeaderMap) -> bool {
    headers.contains_key(header::RANGE) || headers.contains_key(header::IF_RANGE)
}

/// An answer that may be shown, as far as `certified` says.
struct Shown {
    status: u16,
    headers: Vec<(String, String)>,
    /// `None`: all of it, without proof (raw) or by consensus (a call).
    certified: Option<Certified>,
    body: Body,
    /// Bytes of the whole body, if that is known before it is sent.
    length: Option<u64>,
}

impl Shown {
    fn whole(answer: Answer, certified: Option<Certified>) -> Self {
        let length = Some(answer.body.len() as u64);
        let Answer { status_code: status, headers, body, .. } = answer;
        Self { status, headers, certified, body: Body::from(body), length }
    }
}

fn respond(method: &Method, target: &Target, shown: Shown) -> Result<Response, Failure> {
    let status = StatusCode::from_u16(shown.status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| Failure::bad_answer(format!("{} is no final HTTP status", shown.status)))?;
    let mut headers = headers::for_client(&shown.headers, shown.certified.as_ref(), target.is_shared)?;
    headers.insert(CANISTER_HEADER, HeaderValue::try_from(target.canister.to_text()).expect("ids are ASCII"));
    let has_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    let mut body = shown.body;
    if has_body && let Some(length) = shown.length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if !has_body || method == Method::HEAD {
        body = Body::empty();
    }
    Ok((status, headers, body).into_response())
}

impl<C: Canisters> Web<C> {
    /// Asks `http_request`.
    async fn ask(&self, canister: CanisterId, request: &HttpRequest<'static>) -> Result<Answer, Failure> {
        let argument = Encode!(request).map_err(|error| Failure::bad_answer(error.to_string()))?;
        message::decode(&self.canisters.query(canister, "http_request", argument).await?)
    }

    /// Calls `http_request_update`: its reply is certified by consensus and needs no other proof.
    async fn call(&self, canister: CanisterId, request: &HttpRequest<'static>) -> Result<Shown, Failure> {
        let _room = self.admission.call()?;
        let request: HttpUpdateRequest<'_> = request.clone().into();
        let argument = Encode!(&request).map_err(|error| Failure::bad_answer(error.to_string()))?;
        let patience = self.config.call_wait();
        let reply = tokio::time::timeout(patience, self.canisters.update(canister, "http_request_update", argument))
            .await
            .map_err(|_| Failure::CallTooSlow { patience_ms: patience.as_millis() as u64 })?;
        let answer: Answer = message::decode(&reply.map_err(without_update_method)?)?;
        if answer.streaming_strategy.is_some() {
            return Err(Failure::not_verified("the rest of an answer to a call would come from one replica".into()));
        }
        Ok(Shown::whole(answer, None))
    }

    /// Checks a query's answer and says how its body is sent.
    async fn shown(
        self: &Arc<Self>,
        target: Target,
        request: HttpRequest<'static>,
        mut answer: Answer,
        is_range_request: bool,
    ) -> Result<Shown, Failure> {
        if let Some(StreamingStrategy::Callback(callback)) = answer.streaming_strategy.take() {
            return body::streamed(self, target, request, answer, callback).await;
        }
        let (answer, certified) = self.checked(target, &request, answer).await?;
        if answer.status_code == StatusCode::PARTIAL_CONTENT && !is_range_request {
            return range::assembled(self, target, request, answer, certified);
        }
        Ok(Shown::whole(answer, certified))
    }

    /// Checks an answer whose body is complete; on the raw path there is nothing to check.
    async fn checked(
        self: &Arc<Self>,
        target: Target,
        request: &HttpRequest<'static>,
        answer: Answer,
    ) -> Result<(Answer, Option<Certified>), Failure> {
        if target.is_raw {
            return Ok((answer, None));
        }
        let (web, request) = (self.clone(), request.clone());
        // A pairing takes milliseconds: not on the threads that serve sockets.
        tokio::task::spawn_blocking(move || {
            let authority =
                Authority { canister: &target.canister, root_key: web.canisters.root_key(), now: web.canisters.now() };
            let certified = verify::verify(&authority, &request, &answer)?;
            Ok((answer, Some(certified)))
        })
        .await
        .unwrap_or(Err(Failure::NotReady { retry_after_ms: 1_000 }))
    }
}

/// A canister that asks for a call must take it.
fn without_update_method(failure: Failure) -> Failure {
    match failure {
        Failure::Rejected(reject) if reject.error_code == Some(ErrorCode::CanisterMethodMissing) => {
            Failure::bad_answer("it asks for an update call and has no method `http_request_update`".into())
        }
        other => other,
    }
}

/// A reject in the words of somebody who wanted to see a page.
fn for_people(failure: Failure, target: &Target) -> Failure {
    let id = target.canister.to_text();
    match failure {
        Failure::Rejected(reject) => match reject {
            Reject { error_code: Some(ErrorCode::CanisterNotFound), .. } => Failure::NoSuchCanister { id },
            Reject { error_code: Some(ErrorCode::CanisterStopped | ErrorCode::CanisterStopping), .. } => {
                Failure::CanisterStopped { id }
            }
            Reject { error_code: Some(ErrorCode::CanisterOutOfCycles), .. } => Failure::CanisterFrozen { id },
            Reject { error_code: Some(ErrorCode::CanisterWasmModuleNotFound), .. } => Failure::CanisterEmpty { id },
            Reject {
                error_code: Some(ErrorCode::CanisterMethodMissing | ErrorCode::CanisterMethodNotFound), ..
            } => Failure::CanisterWithoutPages { id },
            Reject { code: RejectCode::SysTransient, .. } => Failure::Busy { retry_after_ms: 1_000 },
            reject => Failure::CanisterFailed(reject),
        },
        other => other,
    }
}

/// Bytes as a body in pieces that a slow client takes one by one; `held` is kept until the last one is taken.
fn pieces<T: Send + 'static>(bytes: Bytes, held: T) -> Body {
    const PIECE_BYTES: usize = 256 << 10;
    let pieces = futures::stream::unfold((bytes, held), |(mut rest, held)| async move {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        (!piece.is_empty()).then_some((Ok::<_, std::convert::Infallible>(piece), (rest, held)))
    });
    Body::from_stream(pieces)
}
