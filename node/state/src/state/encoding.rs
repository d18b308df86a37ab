//! The canonical form of a whole state: what checkpoints hold and what a replica that joins is sent.

mod snapshots;

use super::{Indexed, State, indexed_as};
use crate::Canister;
use imbl::OrdMap;
use mains_types::{CanisterId, Digest32};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Why bytes are not a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// They do not have the form of a state of this version.
    #[error("not an encoded state: {0}")]
    Malformed(String),
    /// There is more after the state.
    #[error("{0} bytes follow the encoded state")]
    TrailingBytes(usize),
    /// A replicated rule does not hold in it.
    #[error("the encoded state contradicts itself: {0}")]
    Inconsistent(String),
}

/// Modules by the BLAKE3 of their bytes: one that many canisters run stands in the form once.
type Modules = BTreeMap<Digest32, Arc<ByteBuf>>;
/// Snapshots of canisters that have some, in the order of their ids.
type Snapshots = Vec<(CanisterId, Vec<snapshots::Packed>)>;

impl State {
    /// The whole state, canonical: equal states have equal bytes. A module that many canisters run stands in it once.
    pub fn encode(&self) -> Vec<u8> {
        let (mut modules, mut snapshots) = (Modules::new(), Snapshots::new());
        let mut state = self.clone();
        for id in self.canisters.keys() {
            let Some(canister) = state.canisters.get_mut(id).map(Arc::make_mut) else { continue };
            if !canister.snapshots.is_empty() {
                snapshots.push((*id, snapshots::pack(canister, &mut modules)));
            }
            if let Some(code) = canister.code.as_mut() {
                code.wasm = name_module(&mut modules, &code.wasm);
            }
        }
        postcard::to_stdvec(&(modules, state, snapshots)).expect("a state has an encoding")
    }

    /// Restores an encoded state with its tree. Compare its [`State::root`] with a certified one before use.
    ///
    /// # Errors
    /// The bytes are not what [`State::encode`] makes, or the ledger in them does not add up.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        let (parts, rest) = postcard::take_from_bytes::<(Modules, Self, Snapshots)>(bytes).map_err(malformed)?;
        let (modules, mut state, snapshots) = parts;
        if !rest.is_empty() {
            return Err(EncodingError::TrailingBytes(rest.len()));
        }
        let ids: Vec<CanisterId> = state.canisters.keys().copied().collect();
        for id in ids {
            let canister = state.canisters.get_mut(&id).map(Arc::make_mut);
            if let Some(code) = canister.and_then(|canister| canister.code.as_mut()) {
                let missing = || inconsistent(&id, "its module is missing");
                code.wasm = named_module(&modules, &code.wasm).ok_or_else(missing)?;
            }
        }
        if !snapshots.is_sorted_by(|(id, _), (next, _)| id < next) {
            return Err(EncodingError::Inconsistent("snapshots are not in order".into()));
        }
        for (id, packed) in snapshots {
            let canister = state.canisters.get_mut(&id).map(Arc::make_mut);
            let canister = canister.ok_or_else(|| inconsistent(&id, "has snapshots and does not exist"))?;
            let snapshots = snapshots::unpack(canister.code.as_ref(), packed, &modules);
            canister.snapshots = snapshots.map_err(|what| inconsistent(&id, what))?;
        }
        state.ledger.check_full().map_err(EncodingError::Inconsistent)?;
        state.rebuild()?;
        Ok(state)
    }

    /// Restores what is derived: indexes and tree.
    fn rebuild(&mut self) -> Result<(), EncodingError> {
        for (id, canister) in &self.canisters {
            let Indexed { timer, has_heartbeat, bytes } = indexed_as(canister);
            self.canisters_bytes = self.canisters_bytes.saturating_add(bytes);
            check(id, canister).map_err(|what| inconsistent(id, what))?;
            self.ready.extend(canister.turn.map(|turn| (turn, *id)));
            self.paused.extend(canister.paused.as_ref().and_then(|paused| Some((paused.place?, *id))));
            self.timers.extend(timer.map(|timer| (timer, *id)));
            self.heartbeats.extend(has_heartbeat.then_some(*id));
            let deadlines =
                canister.callbacks.iter().filter_map(|(call, callback)| Some((callback.deadline?, *id, *call)));
            self.deadlines.extend(deadlines);
        }
        let random = self.random_queue.iter().map(|(_, message)| message);
        let waiting = self.system_queue.iter().chain(random).chain(self.put_off.iter().map(|(_, message)| message));
        if waiting.map(|message| message.bytes()).sum::<u64>() != self.system_queue_bytes {
            return Err(EncodingError::Inconsistent("bytes of the built-in canisters' queues".into()));
        }
        self.ingress.rebuild();
        self.plant();
        Ok(())
    }
}

/// Checks what the root does not cover because it follows from what it does cover.
fn check(id: &CanisterId, canister: &Canister) -> Result<(), &'static str> {
    let fits = [
        (*id == canister.id, "stands under another id"),
        (
            canister.turn.is_some() == (canister.paused.is_none() && !canister.queue.is_empty()),
            "its turn does not fit its queue",
        ),
        (canister.paused.as_ref().is_none_or(|paused| paused.place.is_some()), "its paused message has no place"),
        (
            canister.queue.iter().map(|message| message.bytes()).sum::<u64>() == canister.queue_bytes,
            "bytes of its queue",
        ),
        (canister.code.as_ref().is_none_or(|code| code.digest == code.module_digest()), "digest of its module"),
        (are_hashed(&canister.chunks), "hash of a chunk"),
        (canister.snapshots.keys().all(|number| *number < canister.next_snapshot), "the next snapshot's number"),
    ];
    fits.into_iter().find(|(fits, _)| !fits).map_or(Ok(()), |(_, what)| Err(what))
}

/// Whether each chunk stands under its SHA-256.
fn are_hashed(chunks: &OrdMap<Digest32, Arc<ByteBuf>>) -> bool {
    chunks.iter().all(|(hash, chunk)| Sha256::digest(&chunk[..])[..] == hash[..])
}

/// Keeps a module and returns its name, which takes its place.
fn name_module(modules: &mut Modules, wasm: &Arc<ByteBuf>) -> Arc<ByteBuf> {
    let name = *blake3::hash(wasm).as_bytes();
    modules.entry(name).or_insert_with(|| wasm.clone());
    Arc::new(ByteBuf::from(name))
}

fn named_module(modules: &Modules, name: &[u8]) -> Option<Arc<ByteBuf>> {
    modules.get(&Digest32::try_from(name).ok()?).cloned()
}

fn inconsistent(id: &CanisterId, what: &str) -> EncodingError {
    EncodingError::Inconsistent(format!("canister {id}: {what}"))
}

fn malformed(error: postcard::Error) -> EncodingError {
    EncodingError::Malformed(error.to_string())
}
