//! How the gateway (and the simulator's clients) talk to a replica.

mod status;

pub use status::{EvidenceStatus, PeerStatus, Status, SwitchStatus, SyncStatus};

use crate::{
    clocks::Clocks,
    disk::{Disk, Room},
    pool::{Pool, PoolFull},
    threads::{Busy, Threads},
    view::{View, Views},
};
use mains_consensus::{Attendance, Block, Certificate, EvidenceBook, Seen};
use mains_crypto::{NodeKey, RootOfTrust, VerifiedCall, VerifiedQuery, VerifiedReadState};
use mains_execution::engine::Engine;
use mains_ledger::CanisterAccount;
use mains_state::{Genesis, IngressStatus, State, VersionMark};
use mains_types::{CanisterId, Digest32, Height, NodeId, Principal, Reject, RequestId, SubnetId, UnixNanos, Versions};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// Who this replica is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node.
    pub node_id: NodeId,
    /// The network's name.
    pub network: String,
    /// The subnet.
    pub subnet: SubnetId,
    /// The root key (DER, 133 bytes): all a client needs to verify anything.
    pub root_key_der: Vec<u8>,
    /// The committee.
    pub members: Vec<NodeId>,
    /// Signatures that a certificate takes.
    pub threshold: u32,
}

/// Why a call or query was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// This replica's own view says that it cannot succeed.
    #[error("{0}")]
    Rejected(Reject),
    /// Too much is under way.
    #[error("the replica has too much to do: try again in {retry_after_ms} ms")]
    Busy {
        /// When to come back.
        retry_after_ms: u64,
    },
    /// Nothing is certified yet, or not for long.
    #[error("the replica is catching up: try again in {retry_after_ms} ms")]
    NotReady {
        /// When to come back.
        retry_after_ms: u64,
    },
    /// The disk is full or fails: queries are answered, calls are not taken.
    #[error("the replica's disk takes no more: try another replica, or this one in {retry_after_ms} ms")]
    NoRoom {
        /// When to come back.
        retry_after_ms: u64,
    },
    /// The effective canister id of the URL does not belong to the request.
    #[error("the effective canister id does not fit the request")]
    WrongEffectiveCanister,
}

/// What a read_state request was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effective {
    /// `/canister/<id>/`.
    Canister(CanisterId),
    /// `/subnet/<id>/`.
    Subnet(SubnetId),
}

/// Why a read_state request gets no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadStateError {
    /// The sender may not read one of the paths, or they are malformed.
    #[error("{0}")]
    Forbidden(String),
    /// Nothing is certified yet, or nothing as new as before a restart.
    #[error("the replica is catching up: try again in a second")]
    NotReady,
}

/// A query's answer with this node's signature.
#[derive(Clone, Debug)]
pub struct QueryReply {
    /// The reply or why there is none.
    pub result: Result<Vec<u8>, Reject>,
    /// Block time of the state it ran on.
    pub timestamp: UnixNanos,
    /// ed25519 over the response, as the interface specification says.
    pub signature: Vec<u8>,
    /// Who signed.
    pub node_id: NodeId,
}

/// Sends an admitted call to the other members; never blocks.
pub type Push = Box<dyn Fn(bytes::Bytes) + Send + Sync>;
/// Tells the time of the runtime.
pub type Now = Box<dyn Fn() -> UnixNanos + Send + Sync>;

/// Looks up the readings of a canister at the ends of periods before the given one.
pub type Readings = Box<dyn Fn(&CanisterId, u64) -> Vec<CanisterAccount> + Send + Sync>;

/// What only the process around the replica knows.
pub struct Surroundings {
    /// The other members.
    pub peers: Box<dyn Fn() -> Vec<PeerStatus> + Send + Sync>,
    /// Prometheus text of the runtime's registry.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Readings of a canister at the ends of periods before the given one, as far as this node kept them, oldest first.
    /// Reads a file.
    pub readings: Readings,
}

pub(crate) struct Inner {
    pub(crate) identity: Identity,
    pub(crate) trust: RootOfTrust,
    pub(crate) key: NodeKey,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) queries: Threads,
    pub(crate) views: Views,
    pub(crate) finalized: AtomicU64,
    pub(crate) executed: AtomicU64,
    /// Newest height that may have been served before a restart, here or (on a new disk) by others: clients get nothing older.
    pub(crate) served: AtomicU64,
    pub(crate) latest: Mutex<Option<State>>,
    pub(crate) certificate: Mutex<Option<Certificate>>,
    pub(crate) progress: Notify,
    /// Whether a state is being fetched: no checkpoint is saved meanwhile.
    pub(crate) syncing: AtomicBool,
    /// Whether this replica cannot go on without a state from the others.
    pub(crate) needs_state: AtomicBool,
    /// Whether it is not known yet how far the others are, and what was served here before is forgotten: a new disk.
    pub(crate) is_disoriented: AtomicBool,
    /// The versions of the protocol that this binary has.
    pub(crate) versions: Versions,
    /// Remembers which version the data were changed by.
    pub(crate) version_mark: Arc<dyn VersionMark>,
    /// Why this replica goes no further, in a sentence.
    pub(crate) halted: OnceLock<String>,
    /// How far catching up is.
    pub(crate) catching_up: Mutex<Option<SyncStatus>>,
    /// How far compiling what its state holds is, in a sentence.
    pub(crate) compiling: Mutex<Option<String>>,
    pub(crate) push: Push,
    pub(crate) now: Now,
    pub(crate) surroundings: OnceLock<Surroundings>,
    pub(crate) clocks: Clocks,
    pub(crate) disk: Arc<Disk>,
    pub(crate) evidence: OnceLock<EvidenceBook>,
    pub(crate) attendance: OnceLock<Attendance>,
    /// Members that signed states lately, see [`crate::shares`].
    pub(crate) signed: Mutex<u128>,
}

impl Inner {
    /// The newest certificate that this replica holds.
    pub(crate) fn newest_certificate(&self) -> Option<Certificate> {
        *self.certificate.lock().expect("no holder panics")
    }

    /// What this replica saw of the members lately.
    pub(crate) fn seen(&self) -> Seen {
        let voted = self.attendance.get().map_or(0, Attendance::voted);
        Seen { voted, certified: *self.signed.lock().expect("no holder panics") }
    }

    /// This replica goes no further. Whoever says so ends; the process around the replica ends then, too.
    pub(crate) fn halt(&self, why: String) {
        tracing::error!("{why}");
        let _ = self.halted.set(why);
    }

    /// Remembers a newer certificate.
    pub(crate) fn certified(&self, certificate: Certificate) {
        *self.certificate.lock().expect("no holder panics") = Some(certificate);
        self.progress.notify_waiters();
    }

    /// Whether the newest executed state knows the request: it was in a block before.
    pub(crate) fn is_known(&self, id: &RequestId) -> bool {
        let latest = self.latest.lock().expect("no holder panics");
        latest.as_ref().is_some_and(|state| state.ingress_status(id).is_some())
    }

    /// Puts a call into the pool unless it waits there or was in a block; whether it did.
    pub(crate) fn admit(&self, call: VerifiedCall) -> Result<bool, PoolFull> {
        let id = call.request_id();
        if self.is_known(&id) || !self.pool.insert(call)? {
            return Ok(false);
        }
        // It may have been executed meanwhile; then nobody would ever take it out.
        let is_late = self.is_known(&id);
        if is_late {
            self.pool.forget(&[id], UnixNanos(0));
        }
        Ok(!is_late)
    }

    /// The newest executed state, if it is the one after `height`: then what waits in it needs the next block.
    pub(crate) fn latest_executed(&self, height: Height) -> Option<State> {
        let latest = self.latest.lock().expect("no holder panics");
        latest.as_ref().filter(|state| state.height == height).cloned()
    }

    /// The version of the protocol that the next height is executed by; 0 before anything is executed here.
    pub(crate) fn next_version(&self) -> u32 {
        let latest = self.latest.lock().expect("no holder panics");
        latest.as_ref().map_or(0, |state| state.protocol.version_at(state.height.next()))
    }

    /// The calls that are in these blocks already.
    pub(crate) fn taken(&self, blocks: &[Block]) -> HashSet<RequestId> {
        blocks.iter().flat_map(|block| self.request_ids(block)).collect()
    }

    /// The ids of a block's calls.
    fn request_ids(&self, block: &Block) -> Vec<RequestId> {
        let id = |raw: &bytes::Bytes| match self.pool.verified(raw) {
            Some(call) => Some(call.request_id()),
            None => mains_wire::Envelope::from_bytes(raw.clone()).ok().map(|envelope| envelope.request_id),
        };
        block.ingress().iter().filter_map(id).collect()
    }
}

/// A replica, as seen from outside. Cheap to clone.
#[derive(Clone)]
pub struct ReplicaHandle(pub(crate) Arc<Inner>);

/// When to come back if a queue is full: about two blocks.
const RETRY_AFTER_MS: u64 = 250;
/// When to come back if the disk takes no more: somebody has to make room.
const NO_ROOM_RETRY_MS: u64 = 5_000;

impl ReplicaHandle {
    /// Who this replica is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// What canister signatures are checked against, by gateways and in blocks alike.
    pub fn trust(&self) -> &RootOfTrust {
        &self.0.trust
    }

    /// The time of the runtime.
    pub fn now(&self) -> UnixNanos {
        (self.0.now)()
    }

    /// The newest certified version.
    pub fn view(&self) -> Option<Arc<View>> {
        self.0.views.newest()
    }

    /// Waits for a certified version above `height`; versions in between may be skipped.
    pub async fn view_above(&self, height: Height) -> Arc<View> {
        self.0.views.above(height).await
    }

    /// Lets the process around the replica add what only it knows. The first call counts.
    pub fn surround(&self, surroundings: Surroundings) {
        let _ = self.0.surroundings.set(surroundings);
    }

    /// Tells how much room is left for the replica's files.
    pub fn has_room(&self, room: Room) {
        self.0.disk.has(room);
    }

    /// Whether executed blocks wait to be written to the history, and why: then execution waits, too, sooner or later.
    pub fn history_waits(&self, failure: Option<String>) {
        self.0.disk.history(failure);
    }

    /// Why this replica goes no further, if so: its binary does not have the rules of the next height.
    pub fn halted(&self) -> Option<String> {
        self.0.halted.get().cloned()
    }

    /// Every proof that is held, as [`mains_consensus::Evidence::verify`] takes them.
    pub fn proofs(&self) -> Vec<bytes::Bytes> {
        let all = self.0.evidence.get().map(EvidenceBook::all).unwrap_or_default();
        all.into_iter().map(|evidence| evidence.proof).collect()
    }

    /// Takes proofs from before a restart; only those that verify count.
    pub fn remember(&self, proofs: &[bytes::Bytes], genesis: &Genesis, genesis_digest: &Digest32) {
        let participants: Vec<[u8; 32]> = genesis.nodes.iter().map(|node| node.public_key).collect();
        if let Some(book) = self.0.evidence.get() {
            for proof in proofs {
                book.remember(proof, &participants, &genesis.network, genesis_digest);
            }
        }
    }

    /// Prometheus text: the runtime's registry, the engine's included.
    pub fn metrics(&self) -> String {
        self.0.surroundings.get().map(|around| (around.metrics)()).unwrap_or_default()
    }

    /// The readings of a canister before the present one, oldest first, as far as this node kept them: those that `account` names,
    /// and perhaps older ones. Reads a file.
    pub fn readings(&self, canister: &CanisterId, account: &CanisterAccount) -> Vec<CanisterAccount> {
        self.0.surroundings.get().map(|around| (around.readings)(canister, account.period)).unwrap_or_default()
    }

    /// Takes a call into the pool and shows it to the other members.
    ///
    /// # Errors
    /// [`SubmitError::Rejected`] by this replica's own view (unknown canister, not accepted, …), busy, not ready, or no room.
    /// Nothing was kept in any of these cases. A call that is already known is taken again without effect.
    pub async fn submit(&self, call: VerifiedCall, effective: CanisterId) -> Result<RequestId, SubmitError> {
        let view = self.ready()?;
        if self.0.disk.refusal().is_some() {
            return Err(SubmitError::NoRoom { retry_after_ms: NO_ROOM_RETRY_MS });
        }
        let target = || mains_execution::management::ingress_target(call.method_name(), call.argument());
        check_effective(call.canister_id(), target, effective)?;
        let id = call.request_id();
        if self.0.pool.contains(&id) || view.state.ingress_status(&id).is_some() {
            return Ok(id);
        }
        let engine = self.0.engine.clone();
        let input = crate::pool::execution_call(&call);
        self.0
            .queries
            .run(move || mains_execution::inspect(&*engine, &view.state, &input))
            .await?
            .map_err(SubmitError::Rejected)?;
        let raw = call.raw().clone();
        if self.0.admit(call)? {
            (self.0.push)(raw);
        }
        Ok(id)
    }

    /// Runs a query on the newest certified version and signs the answer.
    ///
    /// # Errors
    /// Busy, not ready, or a URL that does not fit; a canister's own reject is an answer, not an error.
    pub async fn query(&self, query: VerifiedQuery, effective: CanisterId) -> Result<QueryReply, SubmitError> {
        let view = self.ready()?;
        let target = || mains_execution::management::query_target(query.method_name(), query.argument());
        check_effective(query.canister_id(), target, effective)?;
        let engine = self.0.engine.clone();
        let request_id = query.request_id();
        let timestamp = view.time();
        let result = self
            .0
            .queries
            .run(move || {
                let input = mains_execution::QueryCall {
                    sender: query.sender(),
                    caller_info: query.sender_info().cloned().map(crate::pool::caller_info),
                    canister_id: query.canister_id(),
                    method: query.method_name().to_owned(),
                    argument: query.argument().to_vec(),
                };
                let certificate = view.certificate(&[vec![
                    b"canister".to_vec(),
                    input.canister_id.as_slice().to_vec(),
                    b"certified_data".to_vec(),
                ]]);
                mains_execution::query(&*engine, &view.state, Some(&certificate), &input)
            })
            .await?;
        let signature = self.0.key.sign_query_response(&request_id, &result, timestamp);
        Ok(QueryReply { result, timestamp, signature, node_id: self.0.identity.node_id })
    }

    /// Cuts the certificate that a read_state request asks for.
    ///
    /// # Errors
    /// Paths that the sender may not read; nothing certified yet.
    pub fn read_state(&self, request: &VerifiedReadState, effective: Effective) -> Result<Vec<u8>, ReadStateError> {
        let view = self.view().filter(|view| !self.is_outdated(view)).ok_or(ReadStateError::NotReady)?;
        let canister = match effective {
            Effective::Canister(id) => Some(id),
            Effective::Subnet(_) => None,
        };
        mains_execution::read_state::authorize(&view.state, request.sender(), canister, request.paths())
            .map_err(|reject| ReadStateError::Forbidden(reject.to_string()))?;
        Ok(view.certificate(request.paths()))
    }

    /// Waits for a certified version in which the request has ended. Waits for ever if it never does: add a timeout.
    pub async fn outcome(&self, id: &RequestId) -> Arc<View> {
        let mut seen = Height::ZERO;
        loop {
            let view = self.view_above(seen).await;
            if view.state.ingress_status(id).is_some_and(IngressStatus::is_final) {
                return view;
            }
            seen = view.height();
        }
    }

    fn ready(&self) -> Result<Arc<View>, SubmitError> {
        let view = self.view();
        match (self.unhealthy(view.as_deref()), view) {
            (None, Some(view)) => Ok(view),
            _ => Err(SubmitError::NotReady { retry_after_ms: 1_000 }),
        }
    }

    /// Whether clients may have seen a newer version before this replica restarted.
    fn is_outdated(&self, view: &View) -> bool {
        view.height().get() < self.0.served.load(Ordering::Relaxed)
    }
}

impl From<Busy> for SubmitError {
    fn from(_: Busy) -> Self {
        Self::Busy { retry_after_ms: RETRY_AFTER_MS }
    }
}

impl From<PoolFull> for SubmitError {
    fn from(_: PoolFull) -> Self {
        Self::Busy { retry_after_ms: RETRY_AFTER_MS }
    }
}

/// Management calls are sent to the canister they are about (or to any id, when they create one), all others to their callee.
fn check_effective(
    callee: CanisterId,
    management_target: impl FnOnce() -> Result<Option<CanisterId>, Reject>,
    effective: CanisterId,
) -> Result<(), SubmitError> {
    let fits = if callee == Principal::management_canister() {
        match management_target() {
            Ok(Some(target)) => target == effective,
            Ok(None) => true,
            Err(reject) => return Err(SubmitError::Rejected(reject)),
        }
    } else {
        callee == effective
    };
    if fits { Ok(()) } else { Err(SubmitError::WrongEffectiveCanister) }
}
