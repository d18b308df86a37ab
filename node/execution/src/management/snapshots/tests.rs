//! Snapshots from outside: candid in, candid out.

use crate::{
    calls::Outcome,
    management::{
        bench::{Bench, CREDIT, alice, bob, decode, reply},
        inspect,
    },
};
use candid::{CandidType, Nat};
use ic_management_canister_types as ic;
use mains_ledger::Account;
use mains_state::RequiredSignature;
use mains_types::{CanisterId, Cycles, ErrorCode, Principal, RejectCode, limits};
use std::sync::Arc;

const MANAGEMENT: Principal = Principal::management_canister();

fn create(bench: &mut Bench, sender: Principal) -> CanisterId {
    let args =
        ic::ProvisionalCreateCanisterWithCyclesArgs { amount: Some(Nat::from(10 * CREDIT)), ..Default::default() };
    let reply = bench.manage(sender, "provisional_create_canister_with_cycles", &args);
    decode::<ic::CanisterIdRecord>(&reply).canister_id
}

fn install(bench: &mut Bench, canister_id: CanisterId, mode: ic::CanisterInstallMode, module: &str) {
    let args = ic::InstallCodeArgs {
        mode,
        canister_id,
        wasm_module: module.into(),
        arg: Vec::new(),
        sender_canister_version: None,
    };
    bench.manage(alice(), "install_code", &args);
}

fn take(canister_id: CanisterId) -> ic::TakeCanisterSnapshotArgs {
    ic::TakeCanisterSnapshotArgs {
        canister_id,
        replace_snapshot: None,
        uninstall_code: None,
        sender_canister_version: None,
    }
}

fn load(canister_id: CanisterId, snapshot_id: &[u8]) -> ic::LoadCanisterSnapshotArgs {
    ic::LoadCanisterSnapshotArgs { canister_id, snapshot_id: snapshot_id.to_vec(), sender_canister_version: None }
}

fn record(canister_id: CanisterId) -> ic::CanisterIdRecord {
    ic::CanisterIdRecord { canister_id }
}

fn list(bench: &mut Bench, id: CanisterId) -> Vec<ic::Snapshot> {
    decode(&bench.manage(alice(), "list_canister_snapshots", &record(id)))
}

fn taken(bench: &mut Bench, id: CanisterId) -> ic::Snapshot {
    decode(&bench.manage(alice(), "take_canister_snapshot", &take(id)))
}

fn metadata(bench: &mut Bench, canister_id: CanisterId, id: &[u8]) -> ic::ReadCanisterSnapshotMetadataResult {
    let args = ic::ReadCanisterSnapshotMetadataArgs { canister_id, snapshot_id: id.to_vec() };
    decode(&bench.manage(alice(), "read_canister_snapshot_metadata", &args))
}

fn read(bench: &mut Bench, canister_id: CanisterId, id: &[u8], kind: ic::SnapshotDataKind) -> Vec<u8> {
    let args = ic::ReadCanisterSnapshotDataArgs { canister_id, snapshot_id: id.to_vec(), kind };
    decode::<ic::ReadCanisterSnapshotDataResult>(&bench.manage(alice(), "read_canister_snapshot_data", &args)).chunk
}

fn upload_args(
    canister_id: CanisterId,
    read: &ic::ReadCanisterSnapshotMetadataResult,
) -> ic::UploadCanisterSnapshotMetadataArgs {
    ic::UploadCanisterSnapshotMetadataArgs {
        canister_id,
        replace_snapshot: None,
        wasm_module_size: read.wasm_module_size,
        globals: read.globals.iter().flatten().cloned().collect(),
        wasm_memory_size: read.wasm_memory_size,
        stable_memory_size: read.stable_memory_size,
        certified_data: read.certified_data.clone(),
        global_timer: read.global_timer.clone(),
        on_low_wasm_memory_hook_status: read.on_low_wasm_memory_hook_status.clone(),
    }
}

fn begin_upload(bench: &mut Bench, args: &ic::UploadCanisterSnapshotMetadataArgs) -> Vec<u8> {
    let reply = bench.manage(alice(), "upload_canister_snapshot_metadata", args);
    decode::<ic::UploadCanisterSnapshotMetadataResult>(&reply).snapshot_id
}

fn data(canister_id: CanisterId, id: &[u8], kind: ic::SnapshotDataOffset, chunk: &[u8]) -> impl CandidType {
    ic::UploadCanisterSnapshotDataArgs { canister_id, snapshot_id: id.to_vec(), kind, chunk: chunk.to_vec() }
}

#[test]
fn a_snapshot_restores_what_came_after_it() {
    let mut bench = Bench::new();
    let id = create(&mut bench, alice());
    install(&mut bench, id, ic::CanisterInstallMode::Install, "init post one");
    let before = bench.state.canister(&id).unwrap().clone();
    let snapshot = taken(&mut bench, id);
    assert_eq!(list(&mut bench, id), std::slice::from_ref(&snapshot));
    assert_eq!(snapshot.total_size, bench.state.canister(&id).unwrap().snapshots_bytes());
    install(&mut bench, id, ic::CanisterInstallMode::Upgrade(None), "init post two");
    assert_eq!(bench.stable_text(&id), "init post ");

    bench.manage(alice(), "load_canister_snapshot", &load(id, &snapshot.id));
    let after = bench.state.canister(&id).unwrap();
    let (old, new) = (before.code.as_ref().unwrap(), after.code.as_ref().unwrap());
    assert_eq!((new.module_hash, &new.heap.pages, &new.stable), (old.module_hash, &old.heap.pages, &old.stable));
    assert_eq!(after.version, before.version + 2, "the upgrade and the load");
    let change = after.history.last().unwrap();
    assert_eq!((change.version, change.origin), (after.version, alice()));
    let status: ic::CanisterStatusResult = decode(&bench.manage(alice(), "canister_status", &record(id)));
    assert_eq!(status.memory_metrics.snapshots_size, Nat::from(snapshot.total_size));
    let info = ic::CanisterInfoArgs { canister_id: id, num_requested_changes: Some(1) };
    let info: ic::CanisterInfoResult = decode(&reply(bench.call_from(id, 0, MANAGEMENT, "canister_info", &info)));
    let Some(ic::ChangeDetails::LoadSnapshot(loaded)) = &info.recent_changes[0].details else {
        panic!("{info:?}");
    };
    assert_eq!((&loaded.snapshot_id, loaded.from_canister_id), (&snapshot.id, None));
    assert_eq!(loaded.canister_version, before.version);
}

#[test]
fn snapshots_are_counted_charged_replaced_and_deleted() {
    let mut bench = Bench::new();
    let id = create(&mut bench, alice());
    assert_eq!(
        bench.refused(alice(), "take_canister_snapshot", &take(id)).error_code,
        Some(ErrorCode::CanisterWasmModuleNotFound)
    );
    install(&mut bench, id, ic::CanisterInstallMode::Install, "init");
    let bytes = bench.state.canister(&id).unwrap().memory_bytes();
    let first = taken(&mut bench, id);
    assert_eq!(bench.state.canister(&id).unwrap().memory_bytes(), bytes + first.total_size);
    let work = first.total_size / limits::SNAPSHOT_BYTES_PER_INSTRUCTION;
    assert_eq!(bench.instructions_used, limits::SNAPSHOT_BASE_INSTRUCTIONS + work);
    (1..limits::SNAPSHOTS_MAX).for_each(|_| drop(taken(&mut bench, id)));
    assert!(bench.refused(alice(), "take_canister_snapshot", &take(id)).message.contains("10 snapshots"));

    let replacing =
        |id, snapshot: &[u8]| ic::TakeCanisterSnapshotArgs { replace_snapshot: Some(snapshot.to_vec()), ..take(id) };
    let new: ic::Snapshot = decode(&bench.manage(alice(), "take_canister_snapshot", &replacing(id, &first.id)));
    assert_eq!(list(&mut bench, id).len(), limits::SNAPSHOTS_MAX);
    bench.refused(alice(), "take_canister_snapshot", &replacing(id, &first.id));
    let delete = ic::DeleteCanisterSnapshotArgs { canister_id: id, snapshot_id: new.id.clone() };
    bench.manage(alice(), "delete_canister_snapshot", &delete);
    assert!(bench.refused(alice(), "delete_canister_snapshot", &delete).message.contains("no snapshot"));
    assert!(bench.refused(alice(), "load_canister_snapshot", &load(id, &new.id)).message.contains("no snapshot"));
}

#[test]
fn a_canister_may_be_uninstalled_with_its_snapshot_and_comes_back() {
    let mut bench = Bench::new();
    let id = create(&mut bench, alice());
    install(&mut bench, id, ic::CanisterInstallMode::Install, "init");
    let args = ic::TakeCanisterSnapshotArgs { uninstall_code: Some(true), ..take(id) };
    let snapshot: ic::Snapshot = decode(&bench.manage(alice(), "take_canister_snapshot", &args));
    assert!(bench.state.canister(&id).unwrap().code.is_none());
    bench.manage(alice(), "load_canister_snapshot", &load(id, &snapshot.id));
    assert_eq!(bench.stable_text(&id), "init ");
}

#[test]
fn a_snapshot_moves_to_another_canister_of_the_same_controller() {
    let mut bench = Bench::new();
    let (id, other, foreign) = (create(&mut bench, alice()), create(&mut bench, alice()), create(&mut bench, bob()));
    install(&mut bench, id, ic::CanisterInstallMode::Install, "init");
    let snapshot = taken(&mut bench, id);
    bench.manage(alice(), "load_canister_snapshot", &load(other, &snapshot.id));
    assert_eq!(bench.stable_text(&other), "init ");
    let controllers = |reject: mains_types::Reject| reject.error_code == Some(ErrorCode::CanisterInvalidController);
    assert!(controllers(bench.refused(bob(), "load_canister_snapshot", &load(foreign, &snapshot.id))));
    assert!(controllers(bench.refused(alice(), "load_canister_snapshot", &load(foreign, &snapshot.id))));
}

#[test]
fn a_snapshot_is_read_in_pieces_and_uploaded_to_another_canister() {
    let mut bench = Bench::new();
    let (id, other) = (create(&mut bench, alice()), create(&mut bench, alice()));
    let module = "init post two";
    install(&mut bench, id, ic::CanisterInstallMode::Install, module);
    let chunk = ic::UploadChunkArgs { canister_id: id, chunk: b"chunk".to_vec() };
    let hash = decode::<ic::ChunkHash>(&bench.manage(alice(), "upload_chunk", &chunk)).hash;
    bench.state.canister_mut(&id).unwrap().certified_data = b"certified".to_vec();
    bench.state.canister_mut(&id).unwrap().global_timer = Some(mains_types::UnixNanos(77));
    let snapshot = taken(&mut bench, id);

    let shown = metadata(&mut bench, id, &snapshot.id);
    assert!(matches!(shown.source, Some(ic::SnapshotSource::TakenFromCanister(_))));
    assert!(matches!(
        shown.globals[..],
        [Some(ic::SnapshotMetadataGlobal::I32(7)), Some(ic::SnapshotMetadataGlobal::I64(13))]
    ));
    assert!(matches!(shown.global_timer, Some(ic::CanisterTimer::Active(77))));
    assert_eq!(shown.wasm_chunk_store, [ic::ChunkHash { hash: hash.clone() }]);
    let size = shown.wasm_module_size;
    let wasm = read(&mut bench, id, &snapshot.id, ic::SnapshotDataKind::WasmModule { offset: 0, size });
    assert_eq!(wasm, module.as_bytes());
    let stable = read(&mut bench, id, &snapshot.id, ic::SnapshotDataKind::StableMemory { offset: 0, size: 65_536 });
    let heap = read(&mut bench, id, &snapshot.id, ic::SnapshotDataKind::WasmMemory { offset: 1, size: 9 });
    assert_eq!(heap, module.as_bytes()[1..10]);
    assert_eq!(read(&mut bench, id, &snapshot.id, ic::SnapshotDataKind::WasmChunk { hash }), b"chunk");

    let upload = begin_upload(&mut bench, &upload_args(other, &shown));
    let (first, rest) = wasm.split_at(5);
    for (kind, chunk) in [
        (ic::SnapshotDataOffset::WasmModule { offset: 5 }, rest),
        (ic::SnapshotDataOffset::WasmModule { offset: 0 }, first),
        (ic::SnapshotDataOffset::WasmMemory { offset: 1 }, &heap[..]),
        (ic::SnapshotDataOffset::StableMemory { offset: 0 }, &stable[..]),
        (ic::SnapshotDataOffset::WasmChunk, b"chunk"),
    ] {
        bench.manage(alice(), "upload_canister_snapshot_data", &data(other, &upload, kind, chunk));
    }
    bench.manage(alice(), "load_canister_snapshot", &load(other, &upload));
    let (from, to) = (bench.state.canister(&id).unwrap(), bench.state.canister(&other).unwrap());
    let (old, new) = (from.code.as_ref().unwrap(), to.code.as_ref().unwrap());
    assert_eq!((&new.wasm, new.module_hash, &new.stable), (&old.wasm, old.module_hash, &old.stable));
    assert_eq!(new.heap.globals, old.heap.globals);
    assert_eq!(bench.stable_text(&other), "init ");
    assert_eq!((&to.certified_data, to.global_timer), (&from.certified_data, from.global_timer));
    assert_eq!(to.chunks.len(), 1);
    assert!(matches!(metadata(&mut bench, other, &upload).source, Some(ic::SnapshotSource::MetadataUpload(_))));
    let taken_is_fixed = data(id, &snapshot.id, ic::SnapshotDataOffset::WasmModule { offset: 0 }, b"x");
    bench.refused(alice(), "upload_canister_snapshot_data", &taken_is_fixed);
}

#[test]
fn an_upload_is_no_way_around_signatures_that_the_subnet_asks_for() {
    let mut bench = Bench::new();
    let id = create(&mut bench, alice());
    install(&mut bench, id, ic::CanisterInstallMode::Install, "init");
    let snapshot = taken(&mut bench, id);
    let args = upload_args(id, &metadata(&mut bench, id, &snapshot.id));
    let upload = begin_upload(&mut bench, &args);
    let kind = ic::SnapshotDataOffset::WasmModule { offset: 0 };
    bench.manage(alice(), "upload_canister_snapshot_data", &data(id, &upload, kind, b"init"));
    Arc::make_mut(&mut bench.state.subnet).require_publisher_signature = RequiredSignature::Anybody;
    let reject = bench.refused(alice(), "load_canister_snapshot", &load(id, &upload));
    assert!(reject.message.contains("require_publisher_signature"), "{reject:?}");
}

#[test]
fn an_upload_that_does_not_fit_its_module_is_not_loaded() {
    let mut bench = Bench::new();
    let id = create(&mut bench, alice());
    install(&mut bench, id, ic::CanisterInstallMode::Install, "init");
    let snapshot = taken(&mut bench, id);
    let good = upload_args(id, &metadata(&mut bench, id, &snapshot.id));
    type Spoil = fn(&mut ic::UploadCanisterSnapshotMetadataArgs);
    let spoiled: [(Spoil, &str); 7] = [
        (|args| drop(args.globals.pop()), "1 are given, it has 2"),
        (|args| args.globals[1] = ic::SnapshotMetadataGlobal::F64(1.0), "number 1 is F64"),
        (|args| args.globals[0] = ic::SnapshotMetadataGlobal::I32(8), "number 0 cannot change"),
        (|args| args.wasm_memory_size = 0, "heap has 0 bytes"),
        (|args| args.wasm_memory_size = 11 * 65_536, "heap has 720896 bytes"),
        (|args| args.wasm_module_size = 7, "not valid"),
        (
            |args| args.on_low_wasm_memory_hook_status = Some(ic::OnLowWasmMemoryHookStatus::Executed),
            "on_low_wasm_memory_hook_status",
        ),
    ];
    for (spoil, expected) in spoiled {
        let mut args = good.clone();
        spoil(&mut args);
        let upload = begin_upload(&mut bench, &args);
        let module: &[u8] = if args.wasm_module_size == 7 { b"invalid" } else { b"init" };
        let kind = ic::SnapshotDataOffset::WasmModule { offset: 0 };
        bench.manage(alice(), "upload_canister_snapshot_data", &data(id, &upload, kind, module));
        let before = bench.state.canister(&id).unwrap().version;
        let reject = bench.refused(alice(), "load_canister_snapshot", &load(id, &upload));
        assert!(reject.message.contains(expected), "{expected}: {}", reject.message);
        assert_eq!(bench.state.canister(&id).unwrap().version, before);
        let delete = ic::DeleteCanisterSnapshotArgs { canister_id: id, snapshot_id: upload };
        bench.manage(alice(), "delete_canister_snapshot", &delete);
    }
    let odd: [Spoil; 5] = [
        |args| args.wasm_memory_size = 1,
        |args| args.stable_memory_size = limits::STABLE_BYTES_MAX + 65_536,
        |args| args.wasm_module_size = u64::MAX,
        |args| args.certified_data = vec![0; 33],
        |args| args.globals = vec![ic::SnapshotMetadataGlobal::V128(Nat::from(u128::MAX) * 2u8)],
    ];
    for (number, spoil) in odd.into_iter().enumerate() {
        let mut args = good.clone();
        spoil(&mut args);
        let reject = bench.refused(alice(), "upload_canister_snapshot_metadata", &args);
        assert_eq!(reject.code, RejectCode::CanisterReject, "{number}");
    }
}

#[test]
fn what_is_beyond_a_snapshots_sizes_is_neither_read_nor_written() {
    let mut bench = Bench::new();
    let id = create(&mut bench, alice());
    install(&mut bench, id, ic::CanisterInstallMode::Install, "init");
    let snapshot = taken(&mut bench, id);
    for kind in [
        ic::SnapshotDataKind::WasmModule { offset: 0, size: 5 },
        ic::SnapshotDataKind::WasmMemory { offset: u64::MAX, size: 2 },
        ic::SnapshotDataKind::StableMemory { offset: 65_536, size: 1 },
        ic::SnapshotDataKind::WasmChunk { hash: vec![1] },
    ] {
        let args = ic::ReadCanisterSnapshotDataArgs { canister_id: id, snapshot_id: snapshot.id.clone(), kind };
        bench.refused(alice(), "read_canister_snapshot_data", &args);
    }
    let args = upload_args(id, &metadata(&mut bench, id, &snapshot.id));
    let upload = begin_upload(&mut bench, &args);
    let kind = ic::SnapshotDataOffset::WasmModule { offset: 2 };
    bench.refused(alice(), "upload_canister_snapshot_data", &data(id, &upload, kind, b"xyz"));
    let large = vec![0; limits::CHUNK_BYTES_MAX + 1];
    let kind = ic::SnapshotDataOffset::WasmChunk;
    bench.refused(alice(), "upload_canister_snapshot_data", &data(id, &upload, kind, &large));
}

#[test]
fn who_may_see_snapshots_is_a_setting() {
    let mut bench = Bench::new();
    let id = create(&mut bench, alice());
    install(&mut bench, id, ic::CanisterInstallMode::Install, "init");
    taken(&mut bench, id);
    bench.refused(bob(), "list_canister_snapshots", &record(id));
    bench.refused(bob(), "take_canister_snapshot", &take(id));
    let argument = crate::management::bench::codec(&record(id));
    assert!(inspect(&bench.state, &bob(), "list_canister_snapshots", &argument).is_err());
    let viewers = ic::SnapshotVisibility::AllowedViewers(vec![bob()]);
    let settings = ic::CanisterSettings { snapshot_visibility: Some(viewers), ..Default::default() };
    let args = ic::UpdateSettingsArgs { canister_id: id, settings, sender_canister_version: None };
    bench.manage(alice(), "update_settings", &args);
    assert!(inspect(&bench.state, &bob(), "list_canister_snapshots", &argument).is_ok());
    let list: Vec<ic::Snapshot> = decode(&bench.manage(bob(), "list_canister_snapshots", &record(id)));
    assert_eq!(list.len(), 1);
    bench.refused(bob(), "take_canister_snapshot", &take(id));
}

#[test]
fn a_canister_cannot_take_a_snapshot_that_would_freeze_it() {
    let mut bench = Bench::new();
    let id = create(&mut bench, alice());
    install(&mut bench, id, ic::CanisterInstallMode::Install, "init");
    let canister = bench.state.canister_mut(&id).unwrap();
    canister.code.as_mut().unwrap().stable_pages = (10 << 30) / limits::WASM_PAGE_BYTES;
    let limit = crate::charges::freezing_limit(&bench.state, bench.state.canister(&id).unwrap()).get();
    let spare = bench.state.ledger.canister_balance(&id).get() - limit * 3 / 2;
    bench.state.ledger.burn(&Account::Canister(id), Cycles(spare)).unwrap();
    let reject = bench.refused(alice(), "take_canister_snapshot", &take(id));
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterOutOfCycles));
    let args = ic::TakeCanisterSnapshotArgs { uninstall_code: Some(true), ..take(id) };
    assert!(matches!(bench.call(alice(), MANAGEMENT, "take_canister_snapshot", &args), Outcome::Reply(_)));
}
