//! A connection to one node: signed calls with certified outcomes, queries, certified reads, and the node's reports.

use crate::{
    ClientError, Outcome, Rejection, bill,
    fresh::{FreshHttp, Seen},
    identity::Identity,
    report::{CanisterReport, HeightReport, NodeReport},
};
use ic_agent::{Agent, hash_tree::Label};
use mains_ledger::{
    Bill, Statement,
    bill::{Bound, Certified},
};
use mains_types::{CanisterId, Height, Principal, RequestId, UnixNanos};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a call may take in all, waiting for room and for its outcome: a message may use 40 G instructions, and its
/// outcome is kept for as long.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long one HTTP exchange may take: above the gateway's own wait for a certificate.
const EXCHANGE: Duration = Duration::from_secs(30);
/// Pause between two looks at a request's status.
const POLL: Duration = Duration::from_millis(100);
/// Pause after a refusal for load that names no time.
const RETRY: Duration = Duration::from_millis(250);

/// A connection to one node. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    agent: Agent,
    identity: Arc<dyn Identity>,
    url: Arc<str>,
    root_key: Arc<[u8]>,
    seen: Arc<Seen>,
}

/// The answer to a synchronous call.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum CallReply {
    Replied { certificate: serde_bytes::ByteBuf },
    NonReplicatedRejection(Rejection),
}

#[derive(Deserialize)]
struct ReadStateReply {
    certificate: serde_bytes::ByteBuf,
}

#[derive(Deserialize)]
struct CanisterList {
    canisters: Vec<CanisterReport>,
    next: Option<String>,
}

impl Client {
    /// Connects to the node at `url` (such as `http://127.0.0.1:4950`) and takes its word for the root key: right for a
    /// network of one's own. For others use [`Client::trusting`].
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if nobody answers there.
    pub async fn connect(url: &str, identity: Arc<dyn Identity>) -> Result<Self, ClientError> {
        let client = Self::build(url, identity, Arc::default())?;
        client.agent.fetch_root_key().await.map_err(|error| client.unreachable(error))?;
        let root_key = client.agent.read_root_key();
        Ok(Self { root_key: root_key.into(), ..client })
    }

    /// Connects to the node at `url` and believes only what `root_key` (DER) signed.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if no HTTP client can be made for it; nobody is asked yet.
    pub fn trusting(url: &str, identity: Arc<dyn Identity>, root_key: &[u8]) -> Result<Self, ClientError> {
        let client = Self::build(url, identity, Arc::default())?;
        client.agent.set_root_key(root_key.to_vec());
        Ok(Self { root_key: root_key.into(), ..client })
    }

    /// The same client at another node of its network: queries there are not older than what was certified here, and the
    /// other way round.
    ///
    /// # Errors
    /// As [`Client::trusting`].
    pub fn at(&self, url: &str) -> Result<Self, ClientError> {
        let client = Self::build(url, self.identity.clone(), self.seen.clone())?;
        client.agent.set_root_key(self.root_key.to_vec());
        Ok(Self { root_key: self.root_key.clone(), ..client })
    }

    /// The newest block time that this client has seen certified: no query of it is answered from an older state.
    pub fn seen(&self) -> UnixNanos {
        self.seen.newest()
    }

    /// Remembers a block time that was seen certified elsewhere, for example by an earlier program.
    pub fn has_seen(&self, time: UnixNanos) {
        self.seen.certified(time);
    }

    fn build(url: &str, identity: Arc<dyn Identity>, seen: Arc<Seen>) -> Result<Self, ClientError> {
        let url: Arc<str> = url.trim_end_matches('/').into();
        let unreachable = |reason: String| ClientError::Unreachable { url: url.to_string(), reason };
        let mut http = reqwest::Client::builder().timeout(EXCHANGE).tcp_nodelay(true);
        if is_loopback(&url) {
            // A proxy named by the environment cannot reach this machine's loopback.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| unreachable(cause(&error)))?;
        let agent = Agent::builder()
            .with_url(url.to_string())
            .with_arc_identity(identity.clone())
            .with_arc_http_middleware(Arc::new(FreshHttp { http: http.clone(), seen: seen.clone() }))
            .build()
            .map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { http, agent, identity, url, root_key: Arc::new([]), seen })
    }

    /// The node's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The root key, DER.
    pub fn root_key(&self) -> &[u8] {
        &self.root_key
    }

    /// Who signs.
    ///
    /// # Errors
    /// [`ClientError::Agent`] if the identity has no principal.
    pub fn principal(&self) -> Result<Principal, ClientError> {
        self.agent
            .get_principal()
            .map_err(|reason| ClientError::Agent(Box::new(ic_agent::AgentError::SigningError(reason))))
    }

    /// The ic-agent underneath, for everything the interface specification offers.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Calls an update method and waits for the certified outcome; a certified rejection is an outcome too.
    ///
    /// The request is signed once and repeated as it is when the node is busy or the connection breaks: it runs at most once.
    ///
    /// # Errors
    /// No outcome that can be believed. [`ClientError::Rejected`] is a rejection by this node alone: nothing happened.
    pub async fn call(&self, canister: CanisterId, method: &str, argument: Vec<u8>) -> Result<Outcome, ClientError> {
        self.call_for(canister, canister, method, argument).await
    }

    /// [`Client::call`] with an effective canister id of its own, as management calls need one.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_for(
        &self,
        effective: CanisterId,
        canister: CanisterId,
        method: &str,
        argument: Vec<u8>,
    ) -> Result<Outcome, ClientError> {
        let began = Instant::now();
        let signed =
            self.agent.update(&canister, method).with_effective_canister_id(effective).with_arg(argument).sign()?;
        let request_id = RequestId(*signed.request_id);
        let envelope = signed.signed_update;
        let outcome = |certificate, envelope| {
            let outcome = Outcome::read(certificate, envelope, request_id, &self.root_key, || began.elapsed());
            if let Ok(Some(outcome)) = &outcome {
                self.seen.certified(outcome.time);
            }
            outcome
        };

        let path = format!("/api/v4/canister/{effective}/call");
        if let Some(body) = self.send_until_taken(&path, &envelope, began).await? {
            let reply = mains_wire::decode(&body).map_err(|error| self.unexpected(error))?;
            match reply {
                CallReply::NonReplicatedRejection(rejection) => return Err(ClientError::Rejected(rejection)),
                CallReply::Replied { certificate } => {
                    if let Some(outcome) = outcome(certificate.into_vec(), envelope.clone())? {
                        return Ok(outcome);
                    }
                }
            }
        }
        while began.elapsed() < PATIENCE {
            let certificate = self.request_status(effective, signed.request_id).await?;
            if let Some(outcome) = outcome(certificate, envelope.clone())? {
                return Ok(outcome);
            }
            tokio::time::sleep(POLL).await;
        }
        Err(ClientError::TimedOut { request_id, seconds: PATIENCE.as_secs() })
    }

    /// Runs a query on this node and verifies the node's signature; the answer is one node's word. A node that is behind
    /// what this client has seen certified, or that is catching up, is asked again for some seconds.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] by the canister; others if there is no answer.
    pub async fn query(&self, canister: CanisterId, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, ClientError> {
        self.query_for(canister, canister, method, argument).await
    }

    /// [`Client::query`] with an effective canister id of its own, as management queries need one.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn query_for(
        &self,
        effective: CanisterId,
        canister: CanisterId,
        method: &str,
        argument: Vec<u8>,
    ) -> Result<Vec<u8>, ClientError> {
        let query = self.agent.query(&canister, method).with_effective_canister_id(effective).with_arg(argument);
        Ok(query.call().await?)
    }

    /// A certified metadata section of a canister, such as `candid:service`; `None` if there is none.
    ///
    /// # Errors
    /// No certificate, or one that does not verify.
    pub async fn metadata(&self, canister: CanisterId, name: &str) -> Result<Option<Vec<u8>>, ClientError> {
        self.certified(canister, &["metadata", name]).await
    }

    /// The certified SHA-256 of a canister's module; `None` if it has none.
    ///
    /// # Errors
    /// No certificate, or one that does not verify.
    pub async fn module_hash(&self, canister: CanisterId) -> Result<Option<Vec<u8>>, ClientError> {
        self.certified(canister, &["module_hash"]).await
    }

    /// What the certified tree has below a canister.
    async fn certified(&self, canister: CanisterId, below: &[&str]) -> Result<Option<Vec<u8>>, ClientError> {
        use ic_agent::{AgentError, lookup_value};
        let mut path: Vec<Label<Vec<u8>>> = vec!["canister".into(), canister.as_slice().to_vec().into()];
        path.extend(below.iter().map(|label| Label::from(*label)));
        let certificate = self.agent.read_state_raw(vec![path.clone()], canister).await?;
        match lookup_value(&certificate, path) {
            Ok(value) => Ok(Some(value.to_vec())),
            Err(AgentError::LookupPathAbsent(_) | AgentError::LookupPathUnknown(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The node's own report.
    ///
    /// # Errors
    /// No answer, or none of this form.
    pub async fn report(&self) -> Result<NodeReport, ClientError> {
        self.json("/api/mains/v1/status").await
    }

    /// The newest certified heights that the node saw, newest first.
    ///
    /// # Errors
    /// No answer, or none of this form.
    pub async fn heights(&self, count: usize) -> Result<Vec<HeightReport>, ClientError> {
        self.json(&format!("/api/mains/v1/blocks?count={count}")).await
    }

    /// All canisters of the subnet, in the order of their ids.
    ///
    /// # Errors
    /// No answer, or none of this form.
    pub async fn canisters(&self) -> Result<Vec<CanisterReport>, ClientError> {
        let mut all = Vec::new();
        let mut path = "/api/mains/v1/canisters".to_owned();
        loop {
            let list: CanisterList = self.json(&path).await?;
            all.extend(list.canisters);
            match list.next {
                Some(next) => path = format!("/api/mains/v1/canisters?after={next}"),
                None => return Ok(all),
            }
        }
    }

    /// A canister's bill up to the newest certified height.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if there is no such canister.
    pub async fn bill(&self, canister: CanisterId) -> Result<Statement, ClientError> {
        self.json(&format!("/api/mains/v1/canister/{canister}/bill")).await
    }

    /// A canister's bill of the period between two bounds, with what proves it, and what its certificate shows: both are
    /// verified.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if there is no such canister or period; [`ClientError::Unexpected`] if the bill does not hold.
    pub async fn statement(
        &self,
        canister: CanisterId,
        from: Option<Bound>,
        to: Option<Bound>,
    ) -> Result<(Bill, Certified), ClientError> {
        let bound = |name: &str, bound: Option<Bound>| match bound {
            Some(Bound::Height(height)) => format!("{name}_height={height}&"),
            Some(Bound::Time(time)) => format!("{name}_nanos={}&", time.get()),
            None => String::new(),
        };
        let query = bound("from", from) + &bound("to", to);
        let bill: Bill = self.json(&format!("/api/mains/v1/canister/{canister}/statement?{query}")).await?;
        if bill.canister != canister {
            return Err(self.unexpected(format!("the bill of canister {}", bill.canister)));
        }
        let certified = bill::verify(&bill, &self.root_key, None).map_err(|error| self.unexpected(error))?;
        Ok((bill, certified))
    }

    /// Height of the newest certified state, and the head of the journal's hash chain then.
    ///
    /// # Errors
    /// No certificate, or one that does not verify.
    pub async fn journal_head(&self) -> Result<(Height, Vec<u8>), ClientError> {
        let path: Vec<Label<Vec<u8>>> = vec!["mains".into(), "journal".into()];
        let height: Vec<Label<Vec<u8>>> = vec!["mains".into(), "height".into()];
        let subnet = Principal::self_authenticating(&self.root_key);
        let certificate = self.agent.read_subnet_state_raw(vec![path.clone(), height.clone()], subnet).await?;
        let head = ic_agent::lookup_value(&certificate, path)?.to_vec();
        let number = crate::certificate::leb128(ic_agent::lookup_value(&certificate, height)?);
        let height = number.and_then(|number| u64::try_from(number).ok());
        Ok((Height(height.ok_or_else(|| self.unexpected("a height that is no number"))?), head))
    }

    /// The certificate that shows these paths of the subnet's state, in hex; the agent has verified it.
    pub(crate) async fn certificate_of(&self, paths: Vec<Vec<Label<Vec<u8>>>>) -> Result<String, ClientError> {
        let subnet = Principal::self_authenticating(&self.root_key);
        let certificate = self.agent.read_subnet_state_raw(paths, subnet).await?;
        Ok(hex::encode(mains_wire::encode(&certificate)))
    }

    async fn request_status(&self, effective: CanisterId, id: ic_agent::RequestId) -> Result<Vec<u8>, ClientError> {
        let signed = self.agent.sign_request_status(effective, id)?.signed_request_status;
        let path = format!("/api/v3/canister/{effective}/read_state");
        let Some(body) = self.send_until_taken(&path, &signed, Instant::now()).await? else {
            return Err(self.unexpected("an empty answer to read_state"));
        };
        let reply: ReadStateReply = mains_wire::decode(&body).map_err(|error| self.unexpected(error))?;
        Ok(reply.certificate.into_vec())
    }

    /// Posts CBOR until the node takes it; `None` if it answers 202.
    async fn send_until_taken(&self, path: &str, body: &[u8], began: Instant) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            let sent = self
                .http
                .post(format!("{}{path}", self.url))
                .header(reqwest::header::CONTENT_TYPE, "application/cbor")
                .body(body.to_vec())
                .send()
                .await;
            let pause = match sent {
                Ok(response) => match response.status().as_u16() {
                    200 => return Ok(Some(self.body(response).await?)),
                    202 => return Ok(None),
                    429 | 503 if began.elapsed() < PATIENCE => retry_after(&response).unwrap_or(RETRY),
                    _ => return Err(self.refusal(response).await),
                },
                // The node may have taken it: the same bytes again are the same request.
                Err(error) if !error.is_connect() && !error.is_timeout() && began.elapsed() < PATIENCE => RETRY,
                Err(error) => return Err(self.unreachable(cause(&error))),
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let response = self
            .http
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .map_err(|error| self.unreachable(cause(&error)))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.unexpected(error))
    }

    async fn body(&self, response: reqwest::Response) -> Result<Vec<u8>, ClientError> {
        Ok(response.bytes().await.map_err(|error| self.unreachable(cause(&error)))?.to_vec())
    }

    async fn refusal(&self, response: reqwest::Response) -> ClientError {
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap_or_default();
        ClientError::refused(status, &body)
            .unwrap_or_else(|| self.unexpected(format!("HTTP {status}; is this a Mains node?")))
    }

    fn unreachable(&self, reason: impl ToString) -> ClientError {
        ClientError::Unreachable { url: self.url.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn unexpected(&self, reason: impl ToString) -> ClientError {
        ClientError::Unexpected { url: self.url.to_string(), reason: reason.to_string() }
    }
}

/// The innermost cause: reqwest's own text only says that something failed.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds: u64 = response.headers().get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(PATIENCE.as_secs())))
}

fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    ["127.", "localhost", "[::1]"].iter().any(|prefix| host.starts_with(prefix))
}
