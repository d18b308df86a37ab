//! Snapshots: taken, loaded, listed, deleted. `snapshots/transfer.rs` reads and uploads them, `snapshots/upload.rs` decides
//! whether an uploaded one can run.
//!
//! An id is the snapshot's number, 8 bytes, and the id of its canister, as on the Internet Computer.

#[cfg(test)]
mod tests;
pub(super) mod transfer;
mod upload;

use super::{Halt, codec, lifecycle, refusal, settings, status};
use crate::{calls::SystemCall, charges, low_memory};
use ic_management_canister_types as ic;
use mains_state::{Canister, ChangeKind, Settings, Snapshot, snapshot::Content};
use mains_types::{CanisterId, Cycles, Principal, Reject, limits};
use std::sync::Arc;

/// `take_canister_snapshot`, and `uninstall_code` with it if that is asked for.
pub(super) fn take_canister_snapshot(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::TakeCanisterSnapshotArgs,)>(call.method, call.argument)?;
    let id = args.canister_id;
    let mut draft = lifecycle::controlled(call, &id)?.clone();
    let code = draft.code.clone().ok_or_else(|| refusal::no_code(&id))?;
    let content = Content::Taken(code);
    let mut snapshot = Snapshot::new(call.state.time, draft.version, content, draft.certified_data.clone())
        .with_chunks(draft.chunks.clone());
    snapshot.global_timer = Some(draft.global_timer);
    snapshot.low_memory_hook = Some(low_memory::status(&draft));
    work(call, snapshot.bytes() / limits::SNAPSHOT_BYTES_PER_INSTRUCTION)?;
    let number = insert(&mut draft, snapshot, args.replace_snapshot.as_deref())?;
    let reply = codec::encode(&shown(&id, number, &draft.snapshots[&number]));
    call.state.replace_canister(draft);
    if args.uninstall_code == Some(true) {
        lifecycle::uninstall(call.state, &id, (call.sender, args.sender_canister_version));
    }
    charges::require_liquid(call.state, &id, Cycles::ZERO)?;
    Ok(reply)
}

/// `load_canister_snapshot`, also one of another canister with the same controller.
pub(super) fn load_canister_snapshot(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Halt> {
    let (args,) = codec::decode::<(ic::LoadCanisterSnapshotArgs,)>(call.method, call.argument)?;
    let id = args.canister_id;
    let mut draft = lifecycle::controlled(call, &id)?.clone();
    let (owner, number) = parse(&args.snapshot_id).ok_or_else(|| refusal::no_snapshot(&args.snapshot_id))?;
    let snapshot = lifecycle::controlled(call, &owner)?.snapshots.get(&number).cloned();
    let snapshot = snapshot.ok_or_else(|| refusal::no_snapshot(&args.snapshot_id))?;
    work(call, snapshot.bytes() / limits::SNAPSHOT_BYTES_PER_INSTRUCTION)?;
    draft.code = Some(match &snapshot.content {
        Content::Taken(code) => code.clone(),
        Content::Uploaded(upload) => {
            draft.global_timer = snapshot.global_timer.unwrap_or(draft.global_timer);
            draft.low_memory = snapshot.low_memory_hook.unwrap_or(draft.low_memory);
            upload::code(call, &draft, (&args.snapshot_id, upload), snapshot.low_memory_hook)?
        }
    });
    draft.chunks = snapshot.chunks.clone();
    draft.certified_data = snapshot.certified_data.clone();
    draft.version += 1;
    draft.installed_at = Some(call.state.time);
    let change = ChangeKind::SnapshotLoaded {
        from: Some(owner).filter(|owner| *owner != id),
        snapshot: args.snapshot_id,
        canister_version: snapshot.canister_version,
        taken_at: snapshot.taken_at,
        is_upload: snapshot.is_upload(),
    };
    draft.record_change(call.state.time, (call.sender, args.sender_canister_version), change);
    call.state.replace_canister(draft);
    call.state.awake.sleep(&id);
    charges::require_liquid(call.state, &id, Cycles::ZERO)?;
    Ok(codec::encode_nothing())
}

/// `list_canister_snapshots`, oldest first.
pub(super) fn list_canister_snapshots(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterIdRecord { canister_id },) = codec::decode(call.method, call.argument)?;
    let canister = visible(call, &canister_id)?;
    let list: Vec<ic::Snapshot> =
        canister.snapshots.iter().map(|(number, snapshot)| shown(&canister_id, *number, snapshot)).collect();
    Ok(codec::encode(&list))
}

/// `delete_canister_snapshot`.
pub(super) fn delete_canister_snapshot(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::DeleteCanisterSnapshotArgs,)>(call.method, call.argument)?;
    let (number, _) = find(lifecycle::controlled(call, &args.canister_id)?, &args.snapshot_id)?;
    lifecycle::find_mut(call.state, &args.canister_id)?.snapshots.remove(&number);
    Ok(codec::encode_nothing())
}

/// Whether `caller` may list and read the snapshots of a canister with these settings.
pub(super) fn may_read(settings: &Settings, caller: &Principal) -> bool {
    settings::may_read(settings, &settings.snapshot_visibility, caller)
}

/// Adds a snapshot, in the place of another one if that is asked for; returns its number.
///
/// # Errors
/// The other one does not exist, or there are as many as there may be.
fn insert(draft: &mut Canister, snapshot: Snapshot, replaced: Option<&[u8]>) -> Result<u64, Reject> {
    if let Some(replaced) = replaced {
        let (number, _) = find(draft, replaced)?;
        draft.snapshots.remove(&number);
    }
    if draft.snapshots.len() >= limits::SNAPSHOTS_MAX {
        return Err(refusal::too_many_snapshots(&draft.id));
    }
    let number = draft.next_snapshot;
    draft.next_snapshot += 1;
    draft.snapshots.insert(number, Arc::new(snapshot));
    Ok(number)
}

/// The canister, if the sender may read its snapshots.
fn visible<'a>(call: &'a SystemCall<'_>, id: &CanisterId) -> Result<&'a Canister, Reject> {
    let canister = status::find(call.state, id)?;
    if may_read(&canister.settings, &call.sender) {
        Ok(canister)
    } else {
        Err(refusal::not_visible(id, &call.sender, "snapshots"))
    }
}

/// The canister's own snapshot with this id, with its number.
fn find<'a>(canister: &'a Canister, id: &[u8]) -> Result<(u64, &'a Snapshot), Reject> {
    let number = parse(id).filter(|(owner, _)| *owner == canister.id).map(|(_, number)| number);
    let snapshot = number.and_then(|number| Some((number, canister.snapshots.get(&number)?.as_ref())));
    snapshot.ok_or_else(|| refusal::no_snapshot(id))
}

fn id_of(canister: &CanisterId, number: u64) -> Vec<u8> {
    [&number.to_be_bytes()[..], canister.as_slice()].concat()
}

fn parse(id: &[u8]) -> Option<(CanisterId, u64)> {
    let (number, canister) = id.split_first_chunk()?;
    Some((Principal::try_from_slice(canister).ok()?, u64::from_be_bytes(*number)))
}

fn shown(canister: &CanisterId, number: u64, snapshot: &Snapshot) -> ic::Snapshot {
    ic::Snapshot {
        id: id_of(canister, number),
        taken_at_timestamp: snapshot.taken_at.get(),
        total_size: snapshot.bytes(),
    }
}

/// Counts work on a snapshot, for the canister to pay.
///
/// # Errors
/// More than such a call may use.
fn work(call: &mut SystemCall<'_>, instructions: u64) -> Result<(), Reject> {
    let instructions = limits::SNAPSHOT_BASE_INSTRUCTIONS + instructions;
    if instructions > call.instructions_left() {
        return Err(refusal::payload(format!(
            "{} would take {instructions} instructions, {} are allowed.",
            call.method,
            call.instructions_left()
        )));
    }
    call.instructions_used += instructions;
    Ok(())
}
