//! The canonical form of a whole state: what checkpoints hold and what a replica that joins is sent.

use super::{Indexed, State, indexed_as};
use crate::{Canister, Code, shared, snapshot::Content};
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

impl State {
    /// The whole state, canonical: equal states have equal bytes. Modules, pages and parts of memories that are equal stand in
    /// it once.
    pub fn encode(&self) -> Vec<u8> {
        shared::encode(self).expect("a state has an encoding")
    }

    /// Restores an encoded state with its tree. Compare its [`State::root`] with a certified one before use.
    ///
    /// # Errors
    /// The bytes are not what [`State::encode`] makes, or the ledger in them does not add up.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        let (mut state, rest) = shared::decode::<Self>(bytes).map_err(EncodingError::Malformed)?;
        if !rest.is_empty() {
            return Err(EncodingError::TrailingBytes(rest.len()));
        }
        state.ledger.check_full().map_err(EncodingError::Inconsistent)?;
        state.rebuild()?;
        Ok(state)
    }

    /// Restores what is derived: indexes and tree.
    fn rebuild(&mut self) -> Result<(), EncodingError> {
        let mut checked = CheckedModules::new();
        for (id, canister) in &self.canisters {
            let Indexed { timer, has_heartbeat, bytes } = indexed_as(canister);
            self.canisters_bytes = self.canisters_bytes.saturating_add(bytes);
            check(id, canister, &mut checked)
                .map_err(|what| EncodingError::Inconsistent(format!("canister {id}: {what}")))?;
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
        for code in checked.into_values() {
            self.modules.share(&mut code.clone());
        }
        self.ingress.rebuild();
        self.plant();
        Ok(())
    }
}

/// Modules that were found to have the digest that they should have, by where their parts are.
type CheckedModules<'a> = BTreeMap<(usize, usize, usize), &'a Code>;

/// Checks what the root does not cover because it follows from what it does cover.
fn check<'a>(id: &CanisterId, canister: &'a Canister, checked: &mut CheckedModules<'a>) -> Result<(), &'static str> {
    let taken = canister.snapshots.values().filter_map(|snapshot| match &snapshot.content {
        Content::Taken(code) => Some(code),
        Content::Uploaded(_) => None,
    });
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
        (canister.code.iter().chain(taken).all(|code| is_module(code, checked)), "digest of a module"),
        (are_hashed(&canister.chunks), "hash of a chunk"),
        (canister.snapshots.values().all(|snapshot| are_hashed(&snapshot.chunks)), "hash of a snapshot's chunk"),
        (canister.snapshots.values().all(|snapshot| snapshot.bytes() == snapshot.counted()), "bytes of a snapshot"),
        (canister.snapshots.keys().all(|number| *number < canister.next_snapshot), "the next snapshot's number"),
    ];
    fits.into_iter().find(|(fits, _)| !fits).map_or(Ok(()), |(_, what)| Err(what))
}

/// Whether code has the digest that its module has. Decoding puts one value wherever parts are equal, so a module is hashed
/// once, however many canisters have it.
fn is_module<'a>(code: &'a Code, checked: &mut CheckedModules<'a>) -> bool {
    let parts =
        (Arc::as_ptr(&code.wasm) as usize, Arc::as_ptr(&code.sections) as usize, Arc::as_ptr(&code.exports) as usize);
    match checked.get(&parts) {
        Some(known) => known.digest == code.digest,
        None => code.digest == code.module_digest() && checked.insert(parts, code).is_none(),
    }
}

/// Whether each chunk stands under its SHA-256.
fn are_hashed(chunks: &OrdMap<Digest32, Arc<ByteBuf>>) -> bool {
    chunks.iter().all(|(hash, chunk)| Sha256::digest(&chunk[..])[..] == hash[..])
}
