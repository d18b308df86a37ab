//! Snapshots in pieces: read from one network, uploaded to the same or another one.

use super::{find, id_of, insert, visible, work};
use crate::{
    calls::SystemCall,
    charges,
    engine::{GlobalInfo, GlobalType},
    management::{codec, lifecycle, module, refusal},
};
use candid::{Nat, Reserved};
use ic_management_canister_types as ic;
use mains_state::{
    Code, PageTree, Snapshot,
    snapshot::{Content, Global, HookStatus, Upload},
};
use mains_types::{Cycles, Reject, UnixNanos, limits};
use std::sync::Arc;

/// `read_canister_snapshot_metadata`.
pub(in crate::management) fn read_canister_snapshot_metadata(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::ReadCanisterSnapshotMetadataArgs,)>(call.method, call.argument)?;
    let (_, snapshot) = find(visible(call, &args.canister_id)?, &args.snapshot_id)?;
    let (source, sizes, globals) = match &snapshot.content {
        Content::Taken(code) => (
            ic::SnapshotSource::TakenFromCanister(Reserved),
            [code.wasm.len() as u64, code.heap.bytes, code.stable_pages * limits::WASM_PAGE_BYTES],
            globals_of(call, code)?,
        ),
        Content::Uploaded(upload) => (
            ic::SnapshotSource::MetadataUpload(Reserved),
            [upload.module_bytes, upload.heap_bytes, upload.stable_pages * limits::WASM_PAGE_BYTES],
            upload.globals.clone(),
        ),
    };
    let reply = codec::encode(&ic::ReadCanisterSnapshotMetadataResult {
        source: Some(source),
        taken_at_timestamp: snapshot.taken_at.get(),
        wasm_module_size: sizes[0],
        globals: globals.into_iter().map(|global| Some(show_global(global))).collect(),
        wasm_memory_size: sizes[1],
        stable_memory_size: sizes[2],
        wasm_chunk_store: snapshot.chunks.keys().map(|hash| ic::ChunkHash { hash: hash.to_vec() }).collect(),
        canister_version: snapshot.canister_version,
        certified_data: snapshot.certified_data.clone(),
        global_timer: snapshot.global_timer.map(|timer| match timer {
            None => ic::CanisterTimer::Inactive,
            Some(due) => ic::CanisterTimer::Active(due.get()),
        }),
        on_low_wasm_memory_hook_status: snapshot.low_memory_hook.map(|status| match status {
            HookStatus::ConditionNotSatisfied => ic::OnLowWasmMemoryHookStatus::ConditionNotSatisfied,
            HookStatus::Ready => ic::OnLowWasmMemoryHookStatus::Ready,
            HookStatus::Executed => ic::OnLowWasmMemoryHookStatus::Executed,
        }),
    });
    work(call, 0)?;
    Ok(reply)
}

/// `read_canister_snapshot_data`.
pub(in crate::management) fn read_canister_snapshot_data(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::ReadCanisterSnapshotDataArgs,)>(call.method, call.argument)?;
    let (_, snapshot) = find(visible(call, &args.canister_id)?, &args.snapshot_id)?;
    let chunk = match args.kind {
        ic::SnapshotDataKind::WasmModule { offset, size } => match &snapshot.content {
            Content::Taken(code) => {
                check_range(offset, size, code.wasm.len() as u64)?;
                code.wasm[offset as usize..][..size as usize].to_vec()
            }
            Content::Uploaded(upload) => read(&upload.module, upload.module_bytes, offset, size)?,
        },
        ic::SnapshotDataKind::WasmMemory { offset, size } => match &snapshot.content {
            Content::Taken(code) => read(&code.heap.pages, code.heap.bytes, offset, size)?,
            Content::Uploaded(upload) => read(&upload.heap, upload.heap_bytes, offset, size)?,
        },
        ic::SnapshotDataKind::StableMemory { offset, size } => {
            let (stable, pages) = match &snapshot.content {
                Content::Taken(code) => (&code.stable, code.stable_pages),
                Content::Uploaded(upload) => (&upload.stable, upload.stable_pages),
            };
            read(stable, pages * limits::WASM_PAGE_BYTES, offset, size)?
        }
        ic::SnapshotDataKind::WasmChunk { hash } => {
            let chunk = <[u8; 32]>::try_from(hash.as_slice()).ok().and_then(|hash| snapshot.chunks.get(&hash));
            chunk.ok_or_else(|| refusal::payload("The snapshot has no chunk with this hash."))?.to_vec()
        }
    };
    work(call, chunk.len() as u64)?;
    Ok(codec::encode(&ic::ReadCanisterSnapshotDataResult { chunk }))
}

/// `upload_canister_snapshot_metadata`: begins a snapshot whose data follow.
pub(in crate::management) fn upload_canister_snapshot_metadata(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::UploadCanisterSnapshotMetadataArgs,)>(call.method, call.argument)?;
    let id = args.canister_id;
    let mut draft = lifecycle::controlled(call, &id)?.clone();
    if args.certified_data.len() > limits::CERTIFIED_DATA_BYTES_MAX {
        let most = limits::CERTIFIED_DATA_BYTES_MAX;
        return Err(refusal::payload(format!("certified_data has at most {most} bytes.")));
    }
    if args.globals.len() > limits::MODULE_GLOBALS_MAX {
        return Err(refusal::payload(format!("A module has at most {} globals.", limits::MODULE_GLOBALS_MAX)));
    }
    let upload = Upload {
        module_bytes: size("wasm_module_size", args.wasm_module_size, 1, limits::MODULE_BYTES_MAX as u64)?,
        globals: args.globals.into_iter().map(read_global).collect::<Result<_, _>>()?,
        heap_bytes: size("wasm_memory_size", args.wasm_memory_size, limits::WASM_PAGE_BYTES, limits::HEAP_BYTES_MAX)?,
        stable_pages: size(
            "stable_memory_size",
            args.stable_memory_size,
            limits::WASM_PAGE_BYTES,
            limits::STABLE_BYTES_MAX,
        )? / limits::WASM_PAGE_BYTES,
        ..Upload::default()
    };
    let content = Content::Uploaded(upload);
    let mut snapshot = Snapshot::new(call.state.time, draft.version, content, args.certified_data);
    snapshot.global_timer = args.global_timer.map(|timer| match timer {
        ic::CanisterTimer::Inactive => None,
        ic::CanisterTimer::Active(due) => Some(UnixNanos(due)),
    });
    snapshot.low_memory_hook = args.on_low_wasm_memory_hook_status.map(|status| match status {
        ic::OnLowWasmMemoryHookStatus::ConditionNotSatisfied => HookStatus::ConditionNotSatisfied,
        ic::OnLowWasmMemoryHookStatus::Ready => HookStatus::Ready,
        ic::OnLowWasmMemoryHookStatus::Executed => HookStatus::Executed,
    });
    work(call, 0)?;
    let number = insert(&mut draft, snapshot, args.replace_snapshot.as_deref())?;
    call.state.replace_canister(draft);
    charges::require_liquid(call.state, &id, Cycles::ZERO)?;
    Ok(codec::encode(&ic::UploadCanisterSnapshotMetadataResult { snapshot_id: id_of(&id, number) }))
}

/// `upload_canister_snapshot_data`.
pub(in crate::management) fn upload_canister_snapshot_data(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::UploadCanisterSnapshotDataArgs,)>(call.method, call.argument)?;
    let id = args.canister_id;
    let (number, _) = find(lifecycle::controlled(call, &id)?, &args.snapshot_id)?;
    work(call, args.chunk.len() as u64)?;
    let canister = lifecycle::find_mut(call.state, &id)?;
    let snapshot = canister.snapshots.get_mut(&number).map(Arc::make_mut);
    let snapshot = snapshot.ok_or_else(|| refusal::no_snapshot(&args.snapshot_id))?;
    let Content::Uploaded(upload) = &mut snapshot.content else {
        return Err(refusal::payload("Data can only be uploaded to a snapshot whose metadata were uploaded."));
    };
    match args.kind {
        ic::SnapshotDataOffset::WasmModule { offset } => {
            write(&mut upload.module, upload.module_bytes, offset, &args.chunk)?;
        }
        ic::SnapshotDataOffset::WasmMemory { offset } => {
            write(&mut upload.heap, upload.heap_bytes, offset, &args.chunk)?;
        }
        ic::SnapshotDataOffset::StableMemory { offset } => {
            let bytes = upload.stable_pages * limits::WASM_PAGE_BYTES;
            write(&mut upload.stable, bytes, offset, &args.chunk)?;
        }
        ic::SnapshotDataOffset::WasmChunk => {
            let hash = module::hash(&args.chunk);
            if args.chunk.len() > limits::CHUNK_BYTES_MAX {
                return Err(refusal::chunk_too_large(args.chunk.len()));
            }
            if !snapshot.chunks.contains_key(&hash) && snapshot.chunks.len() >= limits::CHUNKS_MAX {
                return Err(refusal::payload(format!("A chunk store has at most {} chunks.", limits::CHUNKS_MAX)));
            }
            snapshot.insert_chunk(hash, Arc::new(args.chunk.into()));
            charges::require_liquid(call.state, &id, Cycles::ZERO)?;
        }
    }
    Ok(codec::encode_nothing())
}

/// A size that fits its limit and is made of whole units.
fn size(what: &str, bytes: u64, unit: u64, most: u64) -> Result<u64, Reject> {
    if bytes <= most && bytes.is_multiple_of(unit) {
        return Ok(bytes);
    }
    Err(refusal::payload(format!("{what} is a multiple of {unit} and at most {most}.")))
}

fn check_range(offset: u64, length: u64, bytes: u64) -> Result<(), Reject> {
    if offset.checked_add(length).is_none_or(|end| end > bytes) {
        return Err(refusal::payload(format!("{length} bytes from {offset} on are not within its {bytes} bytes.")));
    }
    if length > limits::PAYLOAD_BYTES_MAX as u64 {
        return Err(refusal::payload(format!("At most {} bytes are read at once.", limits::PAYLOAD_BYTES_MAX)));
    }
    Ok(())
}

fn read(memory: &PageTree, bytes: u64, offset: u64, length: u64) -> Result<Vec<u8>, Reject> {
    check_range(offset, length, bytes)?;
    let mut chunk = vec![0; length as usize];
    memory.read(offset, &mut chunk);
    Ok(chunk)
}

fn write(memory: &mut PageTree, bytes: u64, offset: u64, chunk: &[u8]) -> Result<(), Reject> {
    check_range(offset, chunk.len() as u64, bytes)?;
    memory.write(offset, chunk);
    Ok(())
}

/// The globals of a canister's code by their types, which only its module tells.
fn globals_of(call: &SystemCall<'_>, code: &Code) -> Result<Vec<Global>, Reject> {
    let module = call.engine.module(&code.wasm).map_err(refusal::invalid_module)?;
    let mut words = code.heap.globals.iter().copied();
    let mut next = || words.next().unwrap_or_default();
    let value = |GlobalInfo { ty, constant }: &GlobalInfo| {
        let bits = constant.unwrap_or_else(|| {
            let low = u128::from(next());
            if *ty == GlobalType::V128 { low | u128::from(next()) << 64 } else { low }
        });
        match ty {
            GlobalType::I32 => Global::I32(bits as u32),
            GlobalType::I64 => Global::I64(bits as u64),
            GlobalType::F32 => Global::F32(bits as u32),
            GlobalType::F64 => Global::F64(bits as u64),
            GlobalType::V128 => Global::V128(bits),
        }
    };
    Ok(module.globals.iter().map(value).collect())
}

#[allow(clippy::disallowed_types, reason = "bits as the interface writes them: nothing is computed with floats")]
fn show_global(global: Global) -> ic::SnapshotMetadataGlobal {
    match global {
        Global::I32(bits) => ic::SnapshotMetadataGlobal::I32(bits as i32),
        Global::I64(bits) => ic::SnapshotMetadataGlobal::I64(bits as i64),
        Global::F32(bits) => ic::SnapshotMetadataGlobal::F32(f32::from_bits(bits)),
        Global::F64(bits) => ic::SnapshotMetadataGlobal::F64(f64::from_bits(bits)),
        Global::V128(bits) => ic::SnapshotMetadataGlobal::V128(Nat::from(bits)),
    }
}

fn read_global(global: ic::SnapshotMetadataGlobal) -> Result<Global, Reject> {
    Ok(match global {
        ic::SnapshotMetadataGlobal::I32(value) => Global::I32(value as u32),
        ic::SnapshotMetadataGlobal::I64(value) => Global::I64(value as u64),
        ic::SnapshotMetadataGlobal::F32(value) => Global::F32(value.to_bits()),
        ic::SnapshotMetadataGlobal::F64(value) => Global::F64(value.to_bits()),
        ic::SnapshotMetadataGlobal::V128(value) => {
            let bits = u128::try_from(&value.0);
            Global::V128(bits.map_err(|_| refusal::payload("A global does not fit in 128 bits."))?)
        }
    })
}
