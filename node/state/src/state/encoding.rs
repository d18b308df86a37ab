//! The canonical form of a whole state: what checkpoints hold and what a replica that joins is sent.

use super::{State, indexed_as};
use crate::Canister;
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

impl State {
    /// The whole state, canonical: equal states have equal bytes. A module that many canisters run stands in it once.
    pub fn encode(&self) -> Vec<u8> {
        let mut modules = BTreeMap::new();
        let mut state = self.clone();
        for id in self.canisters.keys() {
            let canister = state.canisters.get_mut(id).map(Arc::make_mut);
            if let Some(code) = canister.and_then(|canister| canister.code.as_mut()) {
                let name = *blake3::hash(&code.wasm).as_bytes();
                let module = std::mem::replace(&mut code.wasm, Arc::new(ByteBuf::from(name)));
                modules.insert(name, module);
            }
        }
        postcard::to_stdvec(&(modules, state)).expect("a state has an encoding")
    }

    /// Restores an encoded state with its tree. Compare its [`State::root`] with a certified one before use.
    ///
    /// # Errors
    /// The bytes are not what [`State::encode`] makes, or the ledger in them does not add up.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        type Modules = BTreeMap<Digest32, Arc<ByteBuf>>;
        let ((modules, mut state), rest) = postcard::take_from_bytes::<(Modules, Self)>(bytes).map_err(malformed)?;
        if !rest.is_empty() {
            return Err(EncodingError::TrailingBytes(rest.len()));
        }
        let ids: Vec<CanisterId> = state.canisters.keys().copied().collect();
        for id in ids {
            let canister = state.canisters.get_mut(&id).map(Arc::make_mut);
            if let Some(code) = canister.and_then(|canister| canister.code.as_mut()) {
                let module = Digest32::try_from(&code.wasm[..]).ok().and_then(|name| modules.get(&name));
                let missing = || EncodingError::Inconsistent(format!("canister {id}: its module is missing"));
                code.wasm = module.ok_or_else(missing)?.clone();
            }
        }
        state.ledger.check_full().map_err(EncodingError::Inconsistent)?;
        state.rebuild()?;
        Ok(state)
    }

    /// Restores what is derived: indexes and tree.
    fn rebuild(&mut self) -> Result<(), EncodingError> {
        for (id, canister) in &self.canisters {
            let (timer, has_heartbeat) = indexed_as(canister);
            check(id, canister).map_err(|what| EncodingError::Inconsistent(format!("canister {id}: {what}")))?;
            self.ready.extend(canister.turn.map(|turn| (turn, *id)));
            self.timers.extend(timer.map(|timer| (timer, *id)));
            self.heartbeats.extend(has_heartbeat.then_some(*id));
            let deadlines =
                canister.callbacks.iter().filter_map(|(call, callback)| Some((callback.deadline?, *id, *call)));
            self.deadlines.extend(deadlines);
        }
        let waiting = self.system_queue.iter().chain(self.random_queue.iter().map(|(_, message)| message));
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
        (canister.turn.is_some() != canister.queue.is_empty(), "its turn does not fit its queue"),
        (
            canister.queue.iter().map(|message| message.bytes()).sum::<u64>() == canister.queue_bytes,
            "bytes of its queue",
        ),
        (canister.code.as_ref().is_none_or(|code| code.digest == code.module_digest()), "digest of its module"),
        (canister.chunks.iter().all(|(hash, chunk)| Sha256::digest(&chunk[..])[..] == hash[..]), "hash of a chunk"),
    ];
    fits.into_iter().find(|(fits, _)| !fits).map_or(Ok(()), |(_, what)| Err(what))
}

fn malformed(error: postcard::Error) -> EncodingError {
    EncodingError::Malformed(error.to_string())
}
