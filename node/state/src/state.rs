//! The whole value, and the doors through which it changes.
//!
//! `state/certified.rs` keeps the tree that certificates sign, `state/digest.rs` what of a canister goes into it,
//! `state/encoding.rs` the form in checkpoints, `state/scheduling.rs` whose turn it is.

mod certified;
mod digest;
mod encoding;
mod modules;
mod preparing;
mod scheduling;
mod subnet;
#[cfg(test)]
mod tests;

pub use certified::leb128;
pub(crate) use digest::of as digest_of;
pub use encoding::{EncodingError, Manifest};
pub use subnet::CANISTER_RANGES;

use crate::{
    Awake, Callback, Canister, Genesis, IngressHistory, IngressStatus, NetworkKind, RequiredSignature, RunStatus, Stop,
    checkpoint::CHECKPOINT_INTERVAL,
    epochs::Epochs,
    ingress::IngressEntry,
    metrics::Metrics,
    preparing::Preparing,
    proposals::Proposals,
    protocol::{Protocol, SwitchRules},
    system_queue::SystemQueue,
    tokens::Tokens,
};
use imbl::{OrdMap, OrdSet, Vector};
use mains_ledger::{Account, Ledger};
use mains_types::{
    CanisterId, Cycles, Digest32, Height, NodeId, Principal, RequestId, SubnetId, UnixNanos, ids::FIRST_CANISTER_INDEX,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// DER of a BLS12-381 public key in G2, before its 96 bytes (interface specification, "Certificate delegations").
const BLS_DER_PREFIX: [u8; 37] = [
    0x30, 0x81, 0x82, 0x30, 0x1d, 0x06, 0x0d, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03, 0x01, 0x02,
    0x01, 0x06, 0x0c, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03, 0x02, 0x01, 0x03, 0x61, 0x00,
];
/// DER of an ed25519 public key, before its 32 bytes (RFC 8410).
const ED25519_DER_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What never changes within an epoch: who this subnet is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id: self-authenticating over `public_key_der`.
    pub id: SubnetId,
    /// Its BLS key as the Internet Computer encodes it (133 bytes).
    #[serde(with = "serde_bytes")]
    pub public_key_der: Vec<u8>,
    /// Its members and their ed25519 keys (32 bytes).
    pub nodes: OrdMap<NodeId, [u8; 32]>,
    /// Who is paid for a member's work.
    pub operators: OrdMap<NodeId, Principal>,
    /// Whether `provisional_*` methods exist and anonymous is pre-funded.
    pub is_test: bool,
    /// Whose modules are installed.
    pub require_publisher_signature: RequiredSignature,
    /// Bytes of storage that canisters take together at most.
    pub storage_bytes_max: u64,
}

impl Subnet {
    /// The subnet that a genesis file describes.
    pub fn from_genesis(genesis: &Genesis) -> Self {
        let public_key_der = [&BLS_DER_PREFIX[..], &genesis.chain_key].concat();
        let node = |key: &[u8; 32]| Principal::self_authenticating([&ED25519_DER_PREFIX[..], key].concat());
        Self {
            id: Principal::self_authenticating(&public_key_der),
            public_key_der,
            nodes: genesis.nodes.iter().map(|member| (node(&member.public_key), member.public_key)).collect(),
            operators: genesis.nodes.iter().map(|member| (node(&member.public_key), member.operator)).collect(),
            is_test: genesis.kind == NetworkKind::Test,
            require_publisher_signature: genesis.require_publisher_signature.clone(),
            storage_bytes_max: genesis.storage_bytes_max,
        }
    }
}

/// The replicated state of one subnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Who we are.
    pub subnet: Arc<Subnet>,
    /// The last executed block's height.
    pub height: Height,
    /// The last executed block's time; while a block executes, its time.
    pub time: UnixNanos,
    /// The last executed block's digest: ties state to chain.
    pub block: Digest32,
    /// Change one only through [`State::canister_mut`], which marks it for the next root.
    canisters: OrdMap<CanisterId, Arc<Canister>>,
    /// Index of the next canister id to hand out.
    pub next_canister: u64,
    ingress: IngressHistory,
    /// Money and meters.
    pub ledger: Ledger,
    /// What the built-in token ledgers keep beside balances.
    pub tokens: Tokens,
    /// What the subnet and its nodes did.
    pub metrics: Metrics,
    /// What members do for the subnet, and what they were paid.
    pub epochs: Epochs,
    /// Changes of the tariff that are proposed or announced.
    pub proposals: Proposals,
    /// Which rules blocks are executed by.
    pub protocol: Protocol,
    /// The next turn number.
    next_turn: u64,
    /// Calls to built-in canisters that wait.
    pub system_queue: SystemQueue,
    /// Canisters that ran last.
    pub awake: Awake,
    /// Calls whose modules are being compiled, oldest first.
    preparing: Vector<Preparing>,
    /// The place of the module whose turn came last; 0 if no call waits.
    preparing_place: u64,
    /// Where the round of charging idle canisters for their storage goes on.
    pub storage_cursor: Option<CanisterId>,

    // Derived from the canisters, restored by decoding.
    /// Canisters with messages to run, in the order in which they get their turn.
    #[serde(skip)]
    ready: OrdSet<(u64, CanisterId)>,
    /// Canisters with a paused message, in the order in which these began.
    #[serde(skip)]
    paused: OrdSet<(u64, CanisterId)>,
    /// Canisters with a timer, by due time, as of the last seal.
    #[serde(skip)]
    timers: OrdSet<(UnixNanos, CanisterId)>,
    /// Canisters that somebody waits for to be stopped, by when the first of them gives up, as of the last seal.
    #[serde(skip)]
    stops: OrdSet<(UnixNanos, CanisterId)>,
    /// Canisters that export a heartbeat and run, as of the last seal.
    #[serde(skip)]
    heartbeats: OrdSet<CanisterId>,
    /// The certified tree of the last sealed height.
    #[serde(skip)]
    tree: mains_tree::Tree,
    #[serde(skip)]
    dirty: Dirty,
    #[serde(skip)]
    modules: modules::Modules,
    /// Best-effort calls by when they stop waiting, with caller and callback.
    #[serde(skip)]
    deadlines: OrdSet<(UnixNanos, CanisterId, u64)>,
    /// Bytes of all canisters, as of the last seal.
    #[serde(skip)]
    canisters_bytes: u64,
    /// Bytes by which canisters have grown since the last seal; what others gave back meanwhile does not count against it.
    #[serde(skip)]
    claimed_bytes: u64,
    /// Modules that canisters have, by their hashes as uploaded, and how many have each, as of the last seal.
    #[serde(skip)]
    installed: OrdMap<Digest32, u64>,
}

/// What the indexes know about a canister.
#[derive(Clone, Copy, Debug, Default)]
struct Indexed {
    /// Its timer, only while it runs and has code.
    timer: Option<UnixNanos>,
    /// When the first who waits for it to be stopped gives up.
    stop: Option<UnixNanos>,
    /// Whether it has heartbeats, likewise.
    has_heartbeat: bool,
    /// Bytes of its storage.
    bytes: u64,
    /// The hash of its module.
    module: Option<Digest32>,
}

/// What changed since the last seal.
#[derive(Clone, Debug, Default)]
struct Dirty {
    /// Canisters with what they are indexed as.
    canisters: BTreeMap<CanisterId, Indexed>,
    requests: BTreeSet<RequestId>,
}

impl State {
    /// The state before the first block. Its tree is sealed: it has a root.
    pub fn genesis(genesis: &Genesis) -> Self {
        Self::begin(genesis, SwitchRules::of(CHECKPOINT_INTERVAL))
    }

    /// As [`State::genesis`], with other rules for changes of the protocol: for simulations.
    pub fn begin(genesis: &Genesis, rules: SwitchRules) -> Self {
        let subnet = Subnet::from_genesis(genesis);
        let mut ledger = Ledger::genesis(genesis.tariff());
        for (owner, amount) in &genesis.accounts {
            ledger.mint(&Account::member(*owner), *amount).expect("a genesis file is checked before it is used");
        }
        ledger.take_journal();
        let mut state = Self {
            subnet: Arc::new(subnet),
            height: Height::ZERO,
            time: genesis.time,
            block: [0; 32],
            canisters: OrdMap::new(),
            next_canister: FIRST_CANISTER_INDEX,
            ingress: IngressHistory::default(),
            ledger,
            tokens: Tokens::default(),
            metrics: Metrics::default(),
            epochs: Epochs::begin(genesis.time),
            proposals: Proposals::default(),
            protocol: Protocol::begin(rules),
            next_turn: 0,
            system_queue: SystemQueue::default(),
            awake: Awake::default(),
            preparing: Vector::new(),
            preparing_place: 0,
            storage_cursor: None,
            ready: OrdSet::new(),
            paused: OrdSet::new(),
            timers: OrdSet::new(),
            stops: OrdSet::new(),
            heartbeats: OrdSet::new(),
            tree: mains_tree::Tree::new(),
            dirty: Dirty::default(),
            modules: modules::Modules::default(),
            deadlines: OrdSet::new(),
            canisters_bytes: 0,
            claimed_bytes: 0,
            installed: OrdMap::new(),
        };
        state.plant();
        state.seal(Height::ZERO, genesis.time, [0; 32]);
        state
    }

    /// The version of the rules that the newest height was executed by; while a block executes, its own.
    pub fn version(&self) -> u32 {
        self.protocol.version()
    }

    /// The canister with this id.
    pub fn canister(&self, id: &CanisterId) -> Option<&Canister> {
        self.canisters.get(id).map(Arc::as_ref)
    }

    /// The canister with this id as a value that stays as it is now.
    pub fn canister_shared(&self, id: &CanisterId) -> Option<Arc<Canister>> {
        self.canisters.get(id).cloned()
    }

    /// The canister with this id, to be changed. Marks it for the next root.
    pub fn canister_mut(&mut self, id: &CanisterId) -> Option<&mut Canister> {
        let canister = self.canisters.get_mut(id)?;
        self.dirty.canisters.entry(*id).or_insert_with(|| indexed_as(canister));
        Some(Arc::make_mut(canister))
    }

    /// Puts a new canister. The caller has taken care that its id is free.
    pub fn insert_canister(&mut self, mut canister: Canister) {
        canister.code.iter_mut().for_each(|code| self.modules.share(code));
        self.dirty.canisters.entry(canister.id).or_default();
        self.canisters.insert(canister.id, Arc::new(canister));
    }

    /// Puts a changed copy of a canister in its place.
    ///
    /// # Panics
    /// If it is not there any more.
    pub fn replace_canister(&mut self, mut canister: Canister) {
        canister.code.iter_mut().for_each(|code| self.modules.share(code));
        let place = self.canister_mut(&canister.id).expect("replaces what is there");
        *place = canister;
    }

    /// Takes a canister away. Its account in the ledger is the caller's to close, its messages the caller's to answer.
    pub fn remove_canister(&mut self, id: &CanisterId) -> Option<Arc<Canister>> {
        let canister = self.canisters.remove(id)?;
        self.dirty.canisters.entry(*id).or_insert_with(|| indexed_as(&canister));
        if let Some(turn) = canister.turn {
            self.ready.remove(&(turn, *id));
        }
        if let Some(place) = canister.paused.as_ref().and_then(|paused| paused.place) {
            self.paused.remove(&(place, *id));
        }
        for (call, callback) in &canister.callbacks {
            callback.deadline.map(|deadline| self.deadlines.remove(&(deadline, *id, *call)));
        }
        Some(canister)
    }

    /// All canisters, in the order of their ids.
    pub fn canisters(&self) -> impl Iterator<Item = &Canister> {
        self.canisters.values().map(Arc::as_ref)
    }

    /// The ids of up to `count` canisters after `cursor`, in order.
    pub fn canister_ids_after(&self, cursor: Option<CanisterId>, count: usize) -> Vec<CanisterId> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = cursor.map_or(Unbounded, Excluded);
        self.canisters.range((from, Unbounded)).take(count).map(|(id, _)| *id).collect()
    }

    /// How many canisters there are.
    pub fn canisters_count(&self) -> usize {
        self.canisters.len()
    }

    /// How far a request has come, or `None` if it is not known (any more).
    pub fn ingress_status(&self, id: &RequestId) -> Option<&IngressStatus> {
        self.ingress.get(id).map(|entry| &entry.status)
    }

    /// Everything kept about a request.
    pub fn ingress_entry(&self, id: &RequestId) -> Option<&IngressEntry> {
        self.ingress.get(id)
    }

    /// How many requests are remembered.
    pub fn ingress_count(&self) -> usize {
        self.ingress.len()
    }

    /// Remembers a request that was not known.
    pub fn insert_ingress(&mut self, id: RequestId, entry: IngressEntry) {
        self.dirty.requests.insert(id);
        self.ingress.put(id, entry, self.time);
    }

    /// Sets how far a request has come. Does nothing if it is not known or has ended.
    pub fn set_ingress_status(&mut self, id: &RequestId, status: IngressStatus) {
        self.change_ingress(id, |entry| entry.status = status);
    }

    /// Adds to what a request costs. Does nothing if it is not known or has ended.
    pub fn add_ingress_cost(&mut self, id: &RequestId, cost: Cycles) {
        self.change_ingress(id, |entry| entry.cost = entry.cost.saturating_add(cost));
    }

    /// Remembers a call that a canister made; returns the callback's id. `None` and no change if it does not exist.
    pub fn insert_callback(&mut self, id: &CanisterId, callback: Callback) -> Option<u64> {
        let deadline = callback.deadline;
        let canister = self.canister_mut(id)?;
        let number = canister.next_callback;
        canister.next_callback += 1;
        canister.callbacks.insert(number, callback);
        self.deadlines.extend(deadline.map(|deadline| (deadline, *id, number)));
        Some(number)
    }

    /// Takes a callback away: its response has come or nobody waits for it any more.
    pub fn take_callback(&mut self, id: &CanisterId, number: u64) -> Option<Callback> {
        let callback = self.canister_mut(id)?.callbacks.remove(&number)?;
        if let Some(deadline) = callback.deadline {
            self.deadlines.remove(&(deadline, *id, number));
        }
        Some(callback)
    }

    /// The best-effort call whose deadline `now` has reached first, caller and callback; it has no deadline any more.
    pub fn take_overdue(&mut self, now: UnixNanos) -> Option<(CanisterId, u64)> {
        let (_, id, number) = *self.deadlines.get_min().filter(|(deadline, ..)| *deadline <= now)?;
        self.deadlines.remove_min();
        let callback = self.canister_mut(&id).and_then(|canister| canister.callbacks.get_mut(&number));
        callback.expect("what is indexed exists").deadline = None;
        Some((id, number))
    }

    /// The calls of `stop_canister` that have waited until `now`, with their canisters; they are taken away.
    pub fn take_overdue_stops(&mut self, now: UnixNanos) -> Vec<(CanisterId, Stop)> {
        let due: Vec<_> = self.stops.iter().take_while(|(until, _)| *until <= now).map(|(_, id)| *id).collect();
        let mut overdue = Vec::new();
        for id in due {
            if let Some(RunStatus::Stopping(waiting)) = self.canister_mut(&id).map(|canister| &mut canister.status) {
                let count = waiting.iter().take_while(|stop| stop.until <= now).count();
                overdue.extend(waiting.drain(..count).map(|stop| (id, stop)));
            }
        }
        overdue
    }

    /// When the next call of `stop_canister` gives up, as of the last seal.
    pub fn next_stop(&self) -> Option<UnixNanos> {
        self.stops.get_min().map(|(until, _)| *until)
    }

    /// Canisters whose timer was due at `now` when the last block ended, earliest first.
    pub fn due_timers(&self, now: UnixNanos) -> impl Iterator<Item = CanisterId> {
        self.timers.iter().take_while(move |(due, _)| *due <= now).map(|(_, id)| *id)
    }

    /// When the next timer is due.
    pub fn next_timer(&self) -> Option<UnixNanos> {
        self.timers.get_min().map(|(due, _)| *due)
    }

    /// Canisters that had a heartbeat when the last block ended, in the order of their ids.
    pub fn heartbeats(&self) -> impl Iterator<Item = CanisterId> {
        self.heartbeats.iter().copied()
    }

    /// The tree of the last sealed height.
    pub fn tree(&self) -> &mains_tree::Tree {
        &self.tree
    }

    /// The root of the last sealed height: what replicas sign.
    pub fn root(&self) -> Digest32 {
        self.tree.digest()
    }

    fn change_ingress(&mut self, id: &RequestId, change: impl FnOnce(&mut IngressEntry)) {
        let Some(entry) = self.ingress.get(id).filter(|entry| !entry.status.is_terminal()) else { return };
        let mut entry = entry.clone();
        change(&mut entry);
        self.insert_ingress(*id, entry);
    }

    /// Bytes of all canisters' storage, as of the last seal.
    pub fn canisters_bytes(&self) -> u64 {
        self.canisters_bytes
    }

    /// Gives a canister that grows this many bytes of the subnet's storage.
    ///
    /// # Errors
    /// Only as many are left as are returned; none was given.
    pub fn claim_storage(&mut self, bytes: u64) -> Result<(), u64> {
        let taken = self.canisters_bytes.saturating_add(self.claimed_bytes);
        let left = self.subnet.storage_bytes_max.saturating_sub(taken);
        if bytes > left {
            return Err(left);
        }
        self.claimed_bytes += bytes;
        Ok(())
    }

    /// Brings the indexes up to date for a canister that they knew as `before`.
    fn reindex(&mut self, id: &CanisterId, before: Indexed) {
        if let Some(timer) = before.timer {
            self.timers.remove(&(timer, *id));
        }
        if let Some(stop) = before.stop {
            self.stops.remove(&(stop, *id));
        }
        if before.has_heartbeat {
            self.heartbeats.remove(id);
        }
        before.module.iter().for_each(|module| self.count_module(module, false));
        let now = self.canister(id).map(indexed_as).unwrap_or_default();
        now.module.iter().for_each(|module| self.count_module(module, true));
        if let Some(timer) = now.timer {
            self.timers.insert((timer, *id));
        }
        if let Some(stop) = now.stop {
            self.stops.insert((stop, *id));
        }
        if now.has_heartbeat {
            self.heartbeats.insert(*id);
        }
        self.canisters_bytes = self.canisters_bytes.saturating_sub(before.bytes).saturating_add(now.bytes);
    }
}

/// What the indexes should know about a canister. One that is paused has neither timer nor heartbeat.
fn indexed_as(canister: &Canister) -> Indexed {
    let module = canister.code.as_ref().map(|code| code.module_hash);
    let mut indexed = Indexed { bytes: canister.memory_bytes(), module, ..Indexed::default() };
    match (&canister.code, &canister.status, &canister.paused) {
        (Some(code), RunStatus::Running, None) => {
            indexed.timer = canister.global_timer;
            indexed.has_heartbeat = code.has_hook("canister_heartbeat");
        }
        (_, RunStatus::Stopping(waiting), _) => indexed.stop = waiting.first().map(|stop| stop.until),
        _ => {}
    }
    indexed
}
