//! The chunk store: parts of modules that are too large for one message.

use super::{codec, lifecycle, module, refusal, status};
use crate::{calls::SystemCall, charges};
use ic_management_canister_types as ic;
use mains_types::{CanisterId, Cycles, Principal, Reject, limits};
use std::sync::Arc;

/// `upload_chunk`: keeps a chunk under its SHA-256; one that is there already costs no place.
pub(super) fn upload_chunk(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (ic::UploadChunkArgs { canister_id, chunk },) = codec::decode(call.method, call.argument)?;
    require_access(call, &canister_id)?;
    if chunk.len() > limits::CHUNK_BYTES_MAX {
        return Err(refusal::chunk_too_large(chunk.len()));
    }
    let hash = module::hash(&chunk);
    let canister = lifecycle::find_mut(call.state, &canister_id)?;
    if !canister.chunks.contains_key(&hash) && canister.chunks.len() >= limits::CHUNKS_MAX {
        return Err(refusal::payload(format!(
            "The chunk store of canister {canister_id} is full; clear_chunk_store empties it."
        )));
    }
    canister.chunks.insert(hash, Arc::new(chunk.into()));
    charges::require_liquid(call.state, &canister_id, Cycles::ZERO)?;
    Ok(codec::encode(&ic::ChunkHash { hash: hash.to_vec() }))
}

/// `stored_chunks`: the hashes of all chunks.
pub(super) fn stored_chunks(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterIdRecord { canister_id },) = codec::decode(call.method, call.argument)?;
    require_access(call, &canister_id)?;
    let canister = status::find(call.state, &canister_id)?;
    let hashes: Vec<_> = canister.chunks.keys().map(|hash| ic::ChunkHash { hash: hash.to_vec() }).collect();
    Ok(codec::encode(&hashes))
}

/// `clear_chunk_store`.
pub(super) fn clear_chunk_store(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterIdRecord { canister_id },) = codec::decode(call.method, call.argument)?;
    require_access(call, &canister_id)?;
    lifecycle::find_mut(call.state, &canister_id)?.chunks.clear();
    Ok(codec::encode_nothing())
}

/// The module that a list of chunks makes.
///
/// # Errors
/// A chunk is missing, all together are too large, or they do not hash to what was promised.
pub(super) fn assemble(
    call: &SystemCall<'_>,
    store: &CanisterId,
    args: &ic::InstallChunkedCodeArgs,
) -> Result<Vec<u8>, Reject> {
    let canister = status::find(call.state, store)?;
    let mut module = Vec::new();
    for ic::ChunkHash { hash } in &args.chunk_hashes_list {
        let chunk = <[u8; 32]>::try_from(hash.as_slice()).ok().and_then(|hash| canister.chunks.get(&hash));
        let Some(chunk) = chunk else {
            return Err(refusal::payload(format!(
                "The chunk store of canister {store} lacks a chunk that the list names."
            )));
        };
        if module.len() + chunk.len() > limits::MODULE_BYTES_MAX {
            return Err(refusal::invalid_module(format!("it has more than {} bytes", limits::MODULE_BYTES_MAX)));
        }
        module.extend_from_slice(chunk);
    }
    if args.wasm_module_hash != module::hash(&module) {
        return Err(refusal::payload("The chunks do not make a module with the hash given as wasm_module_hash."));
    }
    Ok(module)
}

/// Controllers and the canister itself use a chunk store.
fn require_access(call: &SystemCall<'_>, id: &CanisterId) -> Result<(), Reject> {
    require_store_access(call, id, &call.sender)
}

/// Whether `user` may use the chunk store of `id`.
pub(super) fn require_store_access(call: &SystemCall<'_>, id: &CanisterId, user: &Principal) -> Result<(), Reject> {
    let canister = status::find(call.state, id)?;
    if user == id || canister.is_controlled_by(user) {
        return Ok(());
    }
    Err(refusal::not_controller(id, user, call.method))
}
