//! A load generator: signed requests made beforehand, keep-alive connections, certificates checked.
//!
//! A certificate's signature costs 600 us to check, so it is checked once per (root, signature); that the request's
//! reply is in the tree under that root is checked for every single one.

use bytes::Bytes;
use ic_certification::LookupResult;
use ic_ed25519::PrivateKey;
use ic_transport_types::{Envelope, EnvelopeContent};
use mains_types::{CanisterId, Principal, RequestId};
use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long a request is valid: a measurement takes far less.
const VALIDITY: Duration = Duration::from_secs(240);

/// A signed request and where it goes.
#[derive(Clone)]
pub(crate) struct Request {
    /// Path below a node's URL.
    pub(crate) path: String,
    /// The envelope.
    pub(crate) body: Bytes,
    /// Its id.
    pub(crate) id: RequestId,
}

/// Signs requests.
pub(crate) struct Signer {
    key: PrivateKey,
    public_der: Vec<u8>,
    nonce: AtomicU64,
}

impl Signer {
    /// A signer with this seed.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let key = PrivateKey::deserialize_raw_32(&seed);
        let public_der = key.public_key().serialize_rfc8410_der();
        Self { key, public_der, nonce: AtomicU64::new(0) }
    }

    /// An update call.
    pub(crate) fn update(&self, canister: CanisterId, method: &str, arg: &[u8]) -> Request {
        let nonce = self.nonce.fetch_add(1, Ordering::Relaxed);
        self.sign(
            format!("/api/v4/canister/{canister}/call"),
            EnvelopeContent::Call {
                nonce: Some(nonce.to_be_bytes().to_vec()),
                ingress_expiry: expiry(),
                sender: self.principal(),
                canister_id: canister,
                method_name: method.into(),
                arg: arg.to_vec(),
                sender_info: None,
            },
        )
    }

    /// A query.
    pub(crate) fn query(&self, canister: CanisterId, method: &str, arg: &[u8]) -> Request {
        self.sign(
            format!("/api/v3/canister/{canister}/query"),
            EnvelopeContent::Query {
                nonce: None,
                ingress_expiry: expiry(),
                sender: self.principal(),
                canister_id: canister,
                method_name: method.into(),
                arg: arg.to_vec(),
                sender_info: None,
            },
        )
    }

    fn principal(&self) -> Principal {
        Principal::self_authenticating(&self.public_der)
    }

    fn sign(&self, path: String, content: EnvelopeContent) -> Request {
        let id = content.to_request_id();
        let envelope = Envelope {
            content: Cow::Owned(content),
            sender_pubkey: Some(self.public_der.clone()),
            sender_sig: Some(self.key.sign_message(&id.signable()).to_vec()),
            sender_delegation: None,
        };
        Request { path, body: envelope.encode_bytes().into(), id: RequestId(*id) }
    }
}

fn expiry() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now + VALIDITY).as_nanos() as u64
}

/// What a measurement of many requests showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Time of each successful request, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Requests that failed, with the first reason.
    pub(crate) failures: Option<(usize, String)>,
}

impl Measured {
    /// Successful requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
    /// The latency that a share `quantile` of requests stays below.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        let index = ((self.latencies.len().max(1) - 1) as f64 * quantile).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// Signatures that were checked.
#[derive(Clone)]
pub(crate) struct Checker {
    chain_key: [u8; 96],
    seen: Arc<Mutex<HashSet<Vec<u8>>>>,
}

impl Checker {
    /// Checks against this root key (DER), or `None` if it is none.
    pub(crate) fn new(root_key: &[u8]) -> Option<Self> {
        Some(Self { chain_key: mains_crypto::chain_key_from_der(root_key)?, seen: Arc::default() })
    }

    /// How many different certificates were checked.
    pub(crate) fn certificates_count(&self) -> usize {
        self.seen.lock().expect("no holder panics").len()
    }

    /// Whether `body` proves a reply to the request.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn reply(&self, id: &RequestId, body: &[u8]) -> Result<(), String> {
        #[derive(serde::Deserialize)]
        struct Reply {
            status: String,
            #[serde(default, with = "serde_bytes")]
            certificate: Vec<u8>,
            reject_message: Option<String>,
        }
        let reply: Reply = mains_wire::decode(body).map_err(|error| error.to_string())?;
        if reply.status != "replied" {
            return Err(reply.reject_message.unwrap_or(reply.status));
        }
        let certificate: ic_certification::Certificate =
            mains_wire::decode(&reply.certificate).map_err(|error| error.to_string())?;
        let root = certificate.tree.digest();
        let signed = [&root[..], &certificate.signature].concat();
        if !self.seen.lock().expect("no holder panics").contains(&signed) {
            let signature = certificate.signature.as_slice().try_into().map_err(|_| "no signature")?;
            if !mains_crypto::verify_chain_signature(&root, signature, &self.chain_key) {
                return Err("the certificate's signature does not verify".into());
            }
            self.seen.lock().expect("no holder panics").insert(signed);
        }
        match certificate.tree.lookup_path([&b"request_status"[..], &id.0, b"status"]) {
            LookupResult::Found(b"replied") => Ok(()),
            _ => Err("the certificate does not show a reply".into()),
        }
    }
}

/// Sends `requests` over `clients` connections spread over `nodes`, at most until `deadline`, and checks each answer.
pub(crate) async fn run(
    nodes: &[String],
    requests: Vec<Request>,
    clients: usize,
    duration: Duration,
    check: impl Fn(&RequestId, &[u8]) -> Result<(), String> + Send + Sync + 'static,
) -> Measured {
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let check = Arc::new(check);
    let began = Instant::now();
    let workers: Vec<_> = (0..clients)
        .map(|client| {
            let (requests, next, check) = (requests.clone(), next.clone(), check.clone());
            let node = nodes[client % nodes.len()].clone();
            tokio::spawn(async move {
                let http = reqwest::Client::builder().pool_max_idle_per_host(1).build().expect("a client");
                let mut latencies = Vec::new();
                let mut failures: Option<(usize, String)> = None;
                while began.elapsed() < duration {
                    let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let sent = Instant::now();
                    match send(&http, &node, request, &*check).await {
                        Ok(()) => latencies.push(sent.elapsed()),
                        Err(reason) => failures.get_or_insert((0, reason)).0 += 1,
                    }
                }
                (latencies, failures)
            })
        })
        .collect();
    let mut measured = Measured::default();
    for worker in workers {
        let (latencies, failures) = worker.await.expect("a worker does not panic");
        measured.latencies.extend(latencies);
        if let Some((count, reason)) = failures {
            measured.failures.get_or_insert((0, reason)).0 += count;
        }
    }
    measured.elapsed = began.elapsed();
    measured.latencies.sort_unstable();
    measured
}

pub(crate) async fn send(
    http: &reqwest::Client,
    node: &str,
    request: &Request,
    check: &(impl Fn(&RequestId, &[u8]) -> Result<(), String> + Send + Sync),
) -> Result<(), String> {
    let answer = http
        .post(format!("{node}{}", request.path))
        .header("content-type", "application/cbor")
        .body(request.body.clone())
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| error.to_string())?;
    if status.as_u16() != 200 {
        return Err(format!("HTTP {status}: {}", String::from_utf8_lossy(&body)));
    }
    check(&request.id, &body)
}
