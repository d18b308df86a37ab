//! A canister that follows a script, under a certificate of a key of its own.

use crate::{
    Config,
    admission::Admission,
    failure::Failure,
    web::{Canisters, Web, divert},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
    middleware,
    response::Response,
};
use candid::{CandidType, Decode, Encode};
use ic_http_certification::{HttpRequest, HttpResponse};
use ic_verify_bls_signature::PrivateKey;
use mains_tree::Tree;
use mains_types::{CanisterId, UnixNanos, ids::canister_id};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use tower::ServiceExt;

/// The scripted canister's number.
pub(super) const NUMBER: u64 = 5;
/// The time at which everything happens.
pub(super) const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);
/// Before the 96 bytes of a root key.
const DER_PREFIX: &str = "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100";

/// What the canister does: method and argument to reply.
pub(super) type Act = dyn Fn(&str, &[u8]) -> Result<Vec<u8>, Failure> + Send + Sync;

/// The canister.
pub(super) struct Script {
    act: Box<Act>,
    root_key: Vec<u8>,
    asked: Arc<Mutex<Vec<String>>>,
    updates_hang: Arc<AtomicBool>,
}

impl Script {
    async fn ask(&self, canister: CanisterId, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, Failure> {
        assert_eq!(canister, canister_id(NUMBER));
        self.asked.lock().unwrap().push(method.to_owned());
        (self.act)(method, &argument)
    }
}

impl Canisters for Script {
    fn root_key(&self) -> &[u8] {
        &self.root_key
    }
    fn now(&self) -> UnixNanos {
        NOW
    }
    async fn query(&self, canister: CanisterId, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.ask(canister, method, argument).await
    }
    async fn update(&self, canister: CanisterId, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, Failure> {
        if self.updates_hang.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.ask(canister, method, argument).await
    }
}

fn key() -> PrivateKey {
    let mut bytes = [0; 32];
    bytes[31] = 7;
    PrivateKey::deserialize(&bytes).expect("seven is a key")
}

/// What `ic0.data_certificate` hands to a canister at `time` if its certified data is `data`.
pub(super) fn certificate(canister: CanisterId, data: &[u8], time: UnixNanos) -> Vec<u8> {
    let mut leb128 = Vec::new();
    let mut rest = time.get();
    while rest >= 0x80 {
        leb128.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    leb128.push(rest as u8);
    let mut tree = Tree::new();
    tree.insert(&[b"time"], leb128);
    tree.insert(&[b"canister".as_slice(), canister.as_slice(), b"certified_data"], data);
    tree.insert(&[b"subnet".as_slice(), b"other"], b"pruned".as_slice());
    let signature = key().sign(&[b"\x0Dic-state-root".as_slice(), &tree.digest()].concat());
    let witness = tree.witness(&[
        vec![b"time".to_vec()],
        vec![b"canister".to_vec(), canister.as_slice().to_vec(), b"certified_data".to_vec()],
    ]);
    mains_wire::certificate(&witness, &signature.serialize())
}

/// A gateway in front of `act`. Requests that are not for canisters get the body `node`.
pub(super) struct Gateway {
    router: Router,
    /// The methods asked, in order.
    pub(super) asked: Arc<Mutex<Vec<String>>>,
    updates_hang: Arc<AtomicBool>,
}

impl Gateway {
    pub(super) fn new(act: impl Fn(&str, &[u8]) -> Result<Vec<u8>, Failure> + Send + Sync + 'static) -> Self {
        Self::with(Config::default(), act)
    }

    /// A canister that answers `http_request` only.
    pub(super) fn answering<A: CandidType>(
        answer: impl Fn(&HttpRequest<'static>) -> A + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |method, argument| {
            assert_eq!(method, "http_request");
            Ok(Encode!(&answer(&request_of(argument))).unwrap())
        })
    }

    pub(super) fn with(
        config: Config,
        act: impl Fn(&str, &[u8]) -> Result<Vec<u8>, Failure> + Send + Sync + 'static,
    ) -> Self {
        let (asked, updates_hang) = (Arc::default(), Arc::default());
        let root_key = [hex::decode(DER_PREFIX).unwrap(), key().public_key().serialize().to_vec()].concat();
        let web = Arc::new(Web {
            canisters: Script {
                act: Box::new(act),
                root_key,
                asked: Arc::clone(&asked),
                updates_hang: Arc::clone(&updates_hang),
            },
            admission: Arc::new(Admission::new(config.bodies_bytes_max, config.waiting_calls_max)),
            config,
        });
        let router =
            Router::new().fallback(|| async { "node" }).layer(middleware::from_fn_with_state(web, divert::<Script>));
        Self { router, asked, updates_hang }
    }

    /// From now on no update call is answered.
    pub(super) fn hang_updates(&self) {
        self.updates_hang.store(true, Ordering::Relaxed);
    }

    /// Sends a request to the canister's own host.
    pub(super) async fn get(&self, path: &str) -> Answered {
        self.send(Request::get(path).header(header::HOST, own_host())).await
    }

    pub(super) async fn send(&self, request: axum::http::request::Builder) -> Answered {
        self.send_body(request, Body::empty()).await
    }

    pub(super) async fn send_body(&self, request: axum::http::request::Builder, body: Body) -> Answered {
        let response = self.respond(request.body(body).unwrap()).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.ok().map(|body| body.to_vec());
        Answered { status: head.status, headers: head.headers, body }
    }

    pub(super) async fn respond(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }
}

/// A response with its whole body; `None` if it broke off.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
}

impl Answered {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone().expect("the body is whole")).unwrap()
    }

    /// The stable code of a failure.
    pub(super) fn code(&self) -> String {
        let text = self.text();
        let start = text.find("MAINS-").unwrap_or_else(|| panic!("no code in {text}"));
        text[start..start + "MAINS-nnnn".len()].to_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(super) fn own_host() -> String {
    format!("{}.localhost:4950", canister_id(NUMBER))
}

pub(super) fn raw_host() -> String {
    format!("{}.raw.localhost:4950", canister_id(NUMBER))
}

/// The request in an argument of `http_request`.
pub(super) fn request_of(argument: &[u8]) -> HttpRequest<'static> {
    Decode!(argument, HttpRequest<'static>).unwrap()
}

/// An answer that says nothing but these.
pub(super) fn plain(status: u16, fields: &[(&str, &str)], body: &[u8]) -> HttpResponse<'static> {
    HttpResponse::builder()
        .with_status_code(StatusCode::from_u16(status).unwrap())
        .with_headers(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        .with_body(body.to_vec())
        .build()
}
