//! The management canister from outside: candid in, candid out.

mod offered;
mod publishers;

use super::bench::{Bench, CREDIT, LineEngine, alice, bob, codec, decode, reply};
use super::{ingress_target, inspect, query_target};
use crate::{calls::Outcome, engine::Engine};
use candid::Nat;
use ic_management_canister_types as ic;
use ic_management_canister_types::{CanisterIdRecord, CanisterInstallMode, InstallCodeArgs};
use mains_ledger::{Account, Resource};
use mains_state::{CallContext, CallOrigin, IngressStatus, NetworkKind, RunStatus, Stop};
use mains_types::{CanisterId, Cycles, ErrorCode, Principal, RejectCode, RequestId, ids::canister_id, limits};

const MANAGEMENT: Principal = Principal::management_canister();

fn create(bench: &mut Bench) -> CanisterId {
    let args =
        ic::ProvisionalCreateCanisterWithCyclesArgs { amount: Some(Nat::from(10 * CREDIT)), ..Default::default() };
    let reply = bench.manage(alice(), "provisional_create_canister_with_cycles", &args);
    decode::<CanisterIdRecord>(&reply).canister_id
}

fn install_args(canister_id: CanisterId, mode: CanisterInstallMode, module: &str) -> InstallCodeArgs {
    InstallCodeArgs {
        mode,
        canister_id,
        wasm_module: module.into(),
        arg: b"arg".to_vec(),
        sender_canister_version: None,
    }
}

fn install(bench: &mut Bench, id: CanisterId, mode: CanisterInstallMode, module: &str) {
    bench.manage(alice(), "install_code", &install_args(id, mode, module));
}

fn upgrade(skip_pre_upgrade: Option<bool>, keep: Option<ic::WasmMemoryPersistence>) -> CanisterInstallMode {
    CanisterInstallMode::Upgrade(Some(ic::UpgradeFlags { skip_pre_upgrade, wasm_memory_persistence: keep }))
}

fn status(bench: &mut Bench, id: CanisterId) -> ic::CanisterStatusResult {
    decode(&bench.manage(alice(), "canister_status", &CanisterIdRecord { canister_id: id }))
}

#[test]
fn a_canister_is_created_with_cycles_and_shown_with_the_newest_fields() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    assert_eq!(id, canister_id(0x100));
    let shown = status(&mut bench, id);
    assert_eq!(shown.status, ic::CanisterStatusType::Running);
    assert_eq!(shown.cycles, Nat::from(10 * CREDIT));
    assert_eq!(shown.settings.controllers, vec![alice()]);
    assert_eq!(shown.settings.freezing_threshold, Nat::from(2_592_000u64));
    assert_eq!(shown.module_hash, None);
    assert_eq!(shown.memory_metrics.log_memory_store_size, Nat::from(0u8));
    let queried = bench.query(alice(), MANAGEMENT, "canister_status", &CanisterIdRecord { canister_id: id }).unwrap();
    assert_eq!(decode::<ic::CanisterStatusResult>(&queried), shown);
}

#[test]
fn a_canister_is_made_by_another_from_the_cycles_it_sends() {
    let mut bench = Bench::new();
    let parent = create(&mut bench);
    let fee = bench.state.ledger.tariff().cost(Resource::CanisterCreation, 1).get();
    let args = ic::CreateCanisterArgs::default();
    let made = reply(bench.call_from(parent, CREDIT, MANAGEMENT, "create_canister", &args));
    let id = decode::<CanisterIdRecord>(&made).canister_id;
    assert_eq!(bench.state.canister(&id).unwrap().settings.controllers, [parent].into());
    assert_eq!(bench.state.ledger.canister_balance(&parent), Cycles(9 * CREDIT));
    let balance = bench.state.ledger.canister_balance(&id).get();
    assert!((CREDIT - fee..=CREDIT - fee + 1).contains(&balance), "{balance}");

    let poor = bench.call_from(parent, 1_000, MANAGEMENT, "create_canister", &args);
    let Outcome::Reject(reject) = poor else { panic!("created for nothing") };
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterOutOfCycles));
    assert_eq!(bench.state.ledger.canister_balance(&parent), Cycles(9 * CREDIT), "the cycles come back");
    assert_eq!(bench.state.canisters_count(), 2);
    assert_eq!(bench.refused(alice(), "create_canister", &args).code, RejectCode::CanisterReject);
}

#[test]
fn provisional_methods_are_for_test_networks() {
    let mut bench = Bench::of(NetworkKind::Public);
    let args = ic::ProvisionalCreateCanisterWithCyclesArgs::default();
    let reject = bench.refused(alice(), "provisional_create_canister_with_cycles", &args);
    assert!(reject.message.contains("test networks only"));
    assert!(inspect(&bench.state, &alice(), "provisional_create_canister_with_cycles", &codec(&args)).is_err());
}

#[test]
fn a_specified_id_must_be_free_and_in_range() {
    let mut bench = Bench::new();
    let with_id = |id| ic::ProvisionalCreateCanisterWithCyclesArgs { specified_id: Some(id), ..Default::default() };
    bench.manage(alice(), "provisional_create_canister_with_cycles", &with_id(canister_id(0x101)));
    for taken in [canister_id(0x101), canister_id(1 << 20), canister_id(4), alice()] {
        bench.refused(alice(), "provisional_create_canister_with_cycles", &with_id(taken));
    }
    assert_eq!(create(&mut bench), canister_id(0x100));
    assert_eq!(create(&mut bench), canister_id(0x102), "ids that are taken are passed over");
}

#[test]
fn only_controllers_manage_a_canister() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let record = CanisterIdRecord { canister_id: id };
    for method in [
        "start_canister",
        "stop_canister",
        "delete_canister",
        "uninstall_code",
        "clear_chunk_store",
        "stored_chunks",
        "canister_status",
    ] {
        assert_eq!(
            bench.refused(bob(), method, &record).error_code,
            Some(ErrorCode::CanisterInvalidController),
            "{method}"
        );
        assert!(inspect(&bench.state, &bob(), method, &codec(&record)).is_err(), "{method}");
        assert!(inspect(&bench.state, &alice(), method, &codec(&record)).is_ok(), "{method}");
    }
    let args = install_args(id, CanisterInstallMode::Install, "");
    assert_eq!(bench.refused(bob(), "install_code", &args).error_code, Some(ErrorCode::CanisterInvalidController));
    let missing = CanisterIdRecord { canister_id: canister_id(0x999) };
    assert_eq!(bench.refused(alice(), "start_canister", &missing).code, RejectCode::DestinationInvalid);
}

#[test]
fn settings_change_only_where_they_are_given() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let settings = ic::CanisterSettings {
        controllers: Some(vec![alice(), bob()]),
        wasm_memory_limit: Some(Nat::from(1u32 << 30)),
        log_visibility: Some(ic::LogVisibility::AllowedViewers(vec![bob()])),
        environment_variables: Some(vec![ic::EnvironmentVariable { name: "A".into(), value: "1".into() }]),
        ..Default::default()
    };
    let args = ic::UpdateSettingsArgs { canister_id: id, settings, sender_canister_version: None };
    bench.manage(alice(), "update_settings", &args);
    let mut second =
        ic::UpdateSettingsArgs { canister_id: id, settings: Default::default(), sender_canister_version: None };
    second.settings.freezing_threshold = Some(Nat::from(1u8));
    bench.manage(bob(), "update_settings", &second);
    let shown = status(&mut bench, id);
    assert_eq!(shown.settings.controllers.len(), 2);
    assert_eq!(shown.settings.freezing_threshold, Nat::from(1u8));
    assert_eq!(shown.settings.wasm_memory_limit, Nat::from(1u32 << 30));
    assert_eq!(shown.settings.log_visibility, ic::LogVisibility::AllowedViewers(vec![bob()]));
    assert_eq!(shown.settings.environment_variables[0].name, "A");
    assert_eq!(shown.version, 2);
}

#[test]
fn settings_that_do_not_fit_change_nothing() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let variable = |name: &str| ic::EnvironmentVariable { name: name.into(), value: String::new() };
    let bad = [
        ic::CanisterSettings { controllers: Some((0..11).map(canister_id).collect()), ..Default::default() },
        ic::CanisterSettings { compute_allocation: Some(Nat::from(101u8)), ..Default::default() },
        ic::CanisterSettings { freezing_threshold: Some(Nat::from(1u128 << 64)), ..Default::default() },
        ic::CanisterSettings { environment_variables: Some(vec![variable("A"), variable("A")]), ..Default::default() },
        ic::CanisterSettings { environment_variables: Some(vec![variable(&"x".repeat(129))]), ..Default::default() },
    ];
    for settings in bad {
        let args = ic::UpdateSettingsArgs { canister_id: id, settings, sender_canister_version: None };
        assert_eq!(
            bench.refused(alice(), "update_settings", &args).error_code,
            Some(ErrorCode::InvalidManagementPayload)
        );
    }
    assert_eq!(status(&mut bench, id).version, 0);
}

#[test]
fn an_install_runs_start_and_init_and_is_in_the_history() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    install(&mut bench, id, CanisterInstallMode::Install, "start init heartbeat");
    assert_eq!(bench.stable_text(&id), "start init ");
    assert_eq!(bench.instructions_used, 2_000);
    let code = bench.state.canister(&id).unwrap().code.clone().unwrap();
    assert!(code.has_hook("canister_heartbeat"));
    assert_eq!(code.module_hash, super::module::hash(b"start init heartbeat"));

    let info = ic::CanisterInfoArgs { canister_id: id, num_requested_changes: Some(1) };
    let info: ic::CanisterInfoResult = decode(&reply(bench.call_from(id, 0, MANAGEMENT, "canister_info", &info)));
    assert_eq!(info.total_num_changes, 2);
    assert_eq!(info.recent_changes.len(), 1, "the latest");
    assert!(matches!(info.recent_changes[0].details, Some(ic::ChangeDetails::CodeDeployment(_))));
    assert_eq!(info.module_hash, Some(code.module_hash.to_vec()));
}

#[test]
fn an_install_needs_an_empty_canister_and_an_upgrade_a_full_one() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let reject = bench.refused(alice(), "install_code", &install_args(id, upgrade(None, None), "post"));
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterWasmModuleNotFound));
    install(&mut bench, id, CanisterInstallMode::Install, "init");
    let reject = bench.refused(alice(), "install_code", &install_args(id, CanisterInstallMode::Install, "init"));
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterNonEmpty));
    install(&mut bench, id, CanisterInstallMode::Reinstall, "init");
    assert_eq!(bench.stable_text(&id), "init ", "a reinstall begins with empty stable memory");
}

#[test]
fn an_upgrade_keeps_stable_memory_and_drops_the_heap() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    install(&mut bench, id, CanisterInstallMode::Install, "init pre");
    install(&mut bench, id, upgrade(None, None), "start post");
    assert_eq!(bench.stable_text(&id), "init pre start post ");
    let heap = &bench.state.canister(&id).unwrap().code.as_ref().unwrap().heap;
    assert!(heap.pages.get(0).unwrap().starts_with(b"start post"));
    install(&mut bench, id, CanisterInstallMode::Reinstall, "init pre!");
    install(&mut bench, id, upgrade(Some(true), None), "post");
    assert_eq!(bench.stable_text(&id), "init post ", "a pre_upgrade that cannot succeed can be skipped");
}

#[test]
fn an_upgrade_that_traps_leaves_the_canister_as_it_was() {
    for (old, new) in [("init pre!", "post"), ("init pre", "post!"), ("init pre", "start!"), ("init pre", "invalid")] {
        let mut bench = Bench::new();
        let id = create(&mut bench);
        install(&mut bench, id, CanisterInstallMode::Install, old);
        let root = |bench: &Bench| format!("{:?}", bench.state.canister(&id));
        let before = root(&bench);
        let reject = bench.refused(alice(), "install_code", &install_args(id, upgrade(None, None), new));
        assert_eq!(reject.code, RejectCode::CanisterError, "{old} -> {new}");
        assert_eq!(root(&bench), before, "{old} -> {new}");
        if new != "invalid" {
            assert!(bench.instructions_used > 0, "work done is charged");
            assert!(!bench.kept_logs.is_empty(), "log lines are kept");
        }
    }
}

#[test]
fn a_heap_made_to_be_kept_is_never_dropped_unawares() {
    let keep = Some(ic::WasmMemoryPersistence::Keep);
    let mut bench = Bench::new();
    let id = create(&mut bench);
    install(&mut bench, id, CanisterInstallMode::Install, "eop one");
    for mode in [CanisterInstallMode::Upgrade(None), upgrade(None, None)] {
        let reject = bench.refused(alice(), "install_code", &install_args(id, mode, "eop two"));
        assert!(reject.message.contains("wasm_memory_persistence"), "{reject}");
    }
    let reject = bench.refused(alice(), "install_code", &install_args(id, upgrade(None, keep), "two"));
    assert!(reject.message.contains("enhanced-orthogonal-persistence"), "{reject}");

    install(&mut bench, id, upgrade(None, keep), "eop second");
    let heap = bench.state.canister(&id).unwrap().code.as_ref().unwrap().heap.clone();
    assert!(heap.pages.get(0).unwrap().starts_with(b"eop one"), "memory is the old one");
    assert_eq!(heap.globals, vec![b"eop second".len() as u64], "globals are the new module's");

    install(&mut bench, id, upgrade(None, Some(ic::WasmMemoryPersistence::Replace)), "eop third");
    let heap = bench.state.canister(&id).unwrap().code.as_ref().unwrap().heap.clone();
    assert!(heap.pages.get(0).unwrap().starts_with(b"eop third"));
}

#[test]
fn a_module_is_put_together_from_chunks() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let mut hashes = Vec::new();
    for chunk in ["init", " pre"] {
        let args = ic::UploadChunkArgs { canister_id: id, chunk: chunk.into() };
        hashes.push(decode::<ic::ChunkHash>(&bench.manage(alice(), "upload_chunk", &args)));
    }
    let stored: Vec<ic::ChunkHash> =
        decode(&bench.manage(alice(), "stored_chunks", &CanisterIdRecord { canister_id: id }));
    assert_eq!(stored.len(), 2);
    let mut args = ic::InstallChunkedCodeArgs {
        mode: CanisterInstallMode::Install,
        target_canister: id,
        store_canister: None,
        chunk_hashes_list: hashes.clone(),
        wasm_module_hash: vec![0; 32],
        arg: Vec::new(),
        sender_canister_version: None,
    };
    assert!(bench.refused(alice(), "install_chunked_code", &args).message.contains("wasm_module_hash"));
    args.wasm_module_hash = super::module::hash(b"init pre").to_vec();
    bench.manage(alice(), "install_chunked_code", &args);
    assert_eq!(bench.stable_text(&id), "init ");

    let too_large = ic::UploadChunkArgs { canister_id: id, chunk: vec![0; limits::CHUNK_BYTES_MAX + 1] };
    bench.refused(alice(), "upload_chunk", &too_large);
    bench.manage(alice(), "clear_chunk_store", &CanisterIdRecord { canister_id: id });
    args.mode = CanisterInstallMode::Reinstall;
    assert!(bench.refused(alice(), "install_chunked_code", &args).message.contains("lacks a chunk"));
}

#[test]
fn a_stop_waits_for_open_calls_and_a_start_cancels_it() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let record = CanisterIdRecord { canister_id: id };
    bench.manage(alice(), "stop_canister", &record);
    assert_eq!(bench.state.canister(&id).unwrap().status, RunStatus::Stopped, "nothing was open");
    bench.manage(alice(), "start_canister", &record);

    let context = CallContext {
        origin: CallOrigin::System,
        responded: true,
        available: Cycles::ZERO,
        outstanding: 1,
        instructions: 0,
        cost: Cycles::ZERO,
        started_at: bench.state.time,
    };
    bench.state.canister_mut(&id).unwrap().contexts.insert(0, context);
    assert_eq!(bench.call(alice(), MANAGEMENT, "stop_canister", &record), Outcome::Later);
    assert_eq!(status(&mut bench, id).status, ic::CanisterStatusType::Stopping);
    let RunStatus::Stopping(waiting) = bench.state.canister(&id).unwrap().status.clone() else { panic!("stops") };
    let [Stop { origin: CallOrigin::Ingress { request_id, .. }, .. }] = waiting.as_slice() else { panic!("one waits") };
    bench.manage(alice(), "start_canister", &record);
    assert!(matches!(bench.state.ingress_status(request_id), Some(IngressStatus::Rejected(_))));
    assert_eq!(bench.state.canister(&id).unwrap().status, RunStatus::Running);
}

#[test]
fn uninstalling_rejects_the_calls_that_the_canister_works_on() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    install(&mut bench, id, CanisterInstallMode::Install, "init");
    let request_id = RequestId([200; 32]);
    let entry = mains_state::IngressEntry {
        sender: bob(),
        receiver: id,
        expires_at: bench.state.time,
        status: IngressStatus::Processing,
        cost: Cycles::ZERO,
        due: None,
    };
    bench.state.insert_ingress(request_id, entry);
    let context = CallContext {
        origin: CallOrigin::Ingress { request_id, sender: bob(), info: None },
        responded: false,
        available: Cycles::ZERO,
        outstanding: 1,
        instructions: 0,
        cost: Cycles::ZERO,
        started_at: bench.state.time,
    };
    bench.state.canister_mut(&id).unwrap().contexts.insert(0, context);
    bench.manage(alice(), "uninstall_code", &CanisterIdRecord { canister_id: id });
    let canister = bench.state.canister(&id).unwrap();
    assert!(canister.code.is_none());
    assert!(canister.contexts.get(&0).unwrap().responded, "stays until its call is answered");
    assert!(matches!(bench.state.ingress_status(&request_id), Some(IngressStatus::Rejected(_))));
}

#[test]
fn a_stopped_canister_is_deleted_and_its_cycles_are_nobodys() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let record = CanisterIdRecord { canister_id: id };
    assert_eq!(bench.refused(alice(), "delete_canister", &record).error_code, Some(ErrorCode::CanisterNotStopped));
    bench.manage(alice(), "stop_canister", &record);
    let supply = |bench: &Bench| {
        (bench.state.ledger.balance(&Account::Issuance), bench.state.ledger.balance(&Account::member(alice())))
    };
    let (before, own) = supply(&bench);
    bench.manage(alice(), "delete_canister", &record);
    assert!(bench.state.canister(&id).is_none());
    assert_eq!(supply(&bench), (Cycles(before.get() - 10 * CREDIT), own));
    assert_eq!(bench.refused(alice(), "canister_status", &record).code, RejectCode::DestinationInvalid);
}

#[test]
fn deposited_cycles_arrive_whole() {
    let mut bench = Bench::new();
    let (from, to) = (create(&mut bench), create(&mut bench));
    reply(bench.call_from(from, CREDIT, MANAGEMENT, "deposit_cycles", &CanisterIdRecord { canister_id: to }));
    assert_eq!(bench.state.ledger.canister_balance(&to), Cycles(11 * CREDIT));
    assert_eq!(bench.state.ledger.canister_balance(&from), Cycles(9 * CREDIT));
}

#[test]
fn random_bytes_are_never_the_same_twice() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let mut draw = || decode::<serde_bytes::ByteBuf>(&reply(bench.call_from(id, 0, MANAGEMENT, "raw_rand", &())));
    let (first, second) = (draw(), draw());
    assert_eq!(first.len(), 32);
    assert_ne!(first, second);
}

#[test]
fn logs_are_for_those_who_may_read_them() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    install(&mut bench, id, CanisterInstallMode::Install, "start init");
    let all = ic::FetchCanisterLogsArgs { canister_id: id, filter: None };
    let logs: ic::FetchCanisterLogsResult =
        decode(&bench.query(alice(), MANAGEMENT, "fetch_canister_logs", &all).unwrap());
    let lines: Vec<_> =
        logs.canister_log_records.iter().map(|record| (record.idx, record.content.as_slice())).collect();
    assert_eq!(lines, [(0, &b"start"[..]), (1, b"init")]);
    let second = ic::CanisterLogFilter::ByIdx { start: 1, end: 9 };
    let filtered = ic::FetchCanisterLogsArgs { canister_id: id, filter: Some(second) };
    let logs: ic::FetchCanisterLogsResult =
        decode(&bench.query(alice(), MANAGEMENT, "fetch_canister_logs", &filtered).unwrap());
    assert_eq!(logs.canister_log_records.len(), 1);
    assert!(bench.query(bob(), MANAGEMENT, "fetch_canister_logs", &all).is_err());
    assert_eq!(bench.refused(alice(), "fetch_canister_logs", &all).code, RejectCode::CanisterReject, "a query");
}

#[test]
fn metadata_and_metrics_are_told() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    install(&mut bench, id, CanisterInstallMode::Install, "init");
    bench.state.ledger.charge(&id, Resource::IngressMessages, 1).unwrap();
    let metrics: ic::CanisterMetricsResult =
        decode(&bench.manage(alice(), "canister_metrics", &CanisterIdRecord { canister_id: id }));
    assert!(metrics.cycles_consumed.ingress_induction > 0u8);
    let args = ic::CanisterMetadataArgs { canister_id: id, name: "text".into() };
    let refused = bench.call_from(id, 0, MANAGEMENT, "canister_metadata", &args);
    assert!(matches!(refused, Outcome::Reject(_)), "a private section is for controllers");
}

#[test]
fn every_call_names_its_target_without_the_state() {
    let id = canister_id(0x123);
    let install = install_args(id, CanisterInstallMode::Install, "module");
    assert_eq!(ingress_target("install_code", &codec(&install)), Ok(Some(id)));
    let chunked = ic::InstallChunkedCodeArgs {
        mode: CanisterInstallMode::Install,
        target_canister: id,
        store_canister: Some(canister_id(1)),
        chunk_hashes_list: Vec::new(),
        wasm_module_hash: Vec::new(),
        arg: Vec::new(),
        sender_canister_version: None,
    };
    assert_eq!(ingress_target("install_chunked_code", &codec(&chunked)), Ok(Some(id)));
    let provisional = ic::ProvisionalCreateCanisterWithCyclesArgs::default();
    assert_eq!(ingress_target("provisional_create_canister_with_cycles", &codec(&provisional)), Ok(None));
    let record = codec(&CanisterIdRecord { canister_id: id });
    for method in ["create_canister", "raw_rand", "canister_info", "deposit_cycles", "sign_with_ecdsa", "nonsense"] {
        assert!(ingress_target(method, &record).is_err(), "{method}");
    }
    assert!(ingress_target("canister_status", b"DIDL").is_err());
    assert_eq!(query_target("fetch_canister_logs", &record), Ok(Some(id)));
    assert!(ingress_target("fetch_canister_logs", &record).is_err(), "by query only");
    assert!(query_target("raw_rand", &record).is_err());
}

#[test]
fn an_argument_as_large_as_a_message_decodes_and_a_bomb_does_not() {
    let id = canister_id(0x123);
    let mut install = install_args(id, CanisterInstallMode::Install, "");
    install.wasm_module = vec![7; limits::INGRESS_BYTES_MAX];
    let bytes = codec(&install);
    let (decoded,): (InstallCodeArgs,) = super::codec::decode("install_code", &bytes).unwrap();
    assert_eq!(decoded.wasm_module.len(), limits::INGRESS_BYTES_MAX);
    assert_eq!(ingress_target("install_code", &bytes), Ok(Some(id)));
    let chunk = codec(&ic::UploadChunkArgs { canister_id: id, chunk: vec![1; limits::CHUNK_BYTES_MAX] });
    assert_eq!(ingress_target("upload_chunk", &chunk), Ok(Some(id)));
    // vec null: five bytes of length claim a billion elements.
    let bomb = b"DIDL\x01\x6d\x7f\x01\x00\xff\xff\xff\xff\x03";
    assert!(super::codec::decode::<(Vec<candid::Reserved>,)>("bomb", bomb).is_err());
    assert!(ingress_target("canister_status", bomb).is_err());
}

#[test]
fn how_deep_an_argument_nests_is_decided_by_a_count_and_not_by_the_stack() {
    // type t = opt t; record { canister_id; deep : t }: the second field is not known and is skipped.
    let nested = |depth: usize| {
        let mut bytes = b"DIDL\x02\x6e\x00\x6c\x02".to_vec();
        let mut fields = [(candid::idl_hash("canister_id"), 0x68u8), (candid::idl_hash("deep"), 0x00)];
        fields.sort();
        for (hash, kind) in fields {
            leb128(&mut bytes, hash);
            bytes.push(kind);
        }
        bytes.extend_from_slice(b"\x01\x01");
        for (_, kind) in fields {
            if kind == 0x68 {
                bytes.extend_from_slice(&[1, 10]);
                bytes.extend_from_slice(canister_id(7).as_slice());
            } else {
                bytes.extend(std::iter::repeat_n(1, depth));
                bytes.push(0);
            }
        }
        bytes
    };
    assert_eq!(ingress_target("start_canister", &nested(1_000)), Ok(Some(canister_id(7))));
    assert!(ingress_target("start_canister", &nested(10_000)).is_err());
    assert!(ingress_target("start_canister", &nested(1_000_000)).is_err());
}

fn leb128(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[test]
fn the_largest_settings_and_chunk_lists_name_their_target() {
    let variable = |index: usize| ic::EnvironmentVariable { name: format!("{index:0>128}"), value: "v".repeat(128) };
    let settings = ic::CanisterSettings {
        controllers: Some((0..10).map(canister_id).collect()),
        environment_variables: Some((0..limits::ENVIRONMENT_VARIABLES_MAX).map(variable).collect()),
        ..Default::default()
    };
    let args = ic::UpdateSettingsArgs { canister_id: canister_id(9), settings, sender_canister_version: Some(1) };
    assert_eq!(ingress_target("update_settings", &codec(&args)), Ok(Some(canister_id(9))));
    let args = ic::InstallChunkedCodeArgs {
        mode: upgrade(Some(true), Some(ic::WasmMemoryPersistence::Keep)),
        target_canister: canister_id(9),
        store_canister: None,
        chunk_hashes_list: vec![ic::ChunkHash { hash: vec![1; 32] }; limits::CHUNKS_MAX],
        wasm_module_hash: vec![1; 32],
        arg: vec![1; 1 << 20],
        sender_canister_version: None,
    };
    assert_eq!(ingress_target("install_chunked_code", &codec(&args)), Ok(Some(canister_id(9))));
}

#[test]
fn what_is_not_offered_says_why() {
    let mut bench = Bench::new();
    let record = CanisterIdRecord { canister_id: canister_id(1) };
    let reject = bench.refused(alice(), "sign_with_ecdsa", &record);
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterMethodNotFound));
    assert!(reject.message.contains("threshold keys"));
    assert!(bench.refused(alice(), "nonsense", &record).message.contains("no method \"nonsense\""));
    assert!(bench.query(alice(), MANAGEMENT, "start_canister", &record).is_err());
}

#[test]
fn the_line_engine_is_an_engine() {
    // Guards the bench itself: a word it does not know must not become a hook.
    assert!(LineEngine.module(b"initial prefix").unwrap().hooks.is_empty());
}

#[test]
fn allocations_that_would_freeze_a_canister_are_refused() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let settings =
        |percent: u8| ic::CanisterSettings { compute_allocation: Some(percent.into()), ..Default::default() };
    let update = |percent| ic::UpdateSettingsArgs {
        canister_id: id,
        settings: settings(percent),
        sender_canister_version: None,
    };
    // A percent for the freezing threshold of 30 days is about 8 credits on four nodes; it has ten.
    assert_eq!(bench.refused(alice(), "update_settings", &update(2)).error_code, Some(ErrorCode::CanisterOutOfCycles));
    bench.manage(alice(), "update_settings", &update(1));
    bench.manage(alice(), "update_settings", &update(0));
    let args = ic::ProvisionalCreateCanisterWithCyclesArgs {
        amount: Some(Nat::from(CREDIT)),
        settings: Some(settings(1)),
        ..Default::default()
    };
    let reject = bench.refused(alice(), "provisional_create_canister_with_cycles", &args);
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterOutOfCycles));
}

#[test]
fn a_deleted_canisters_id_is_not_used_again() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    bench.manage(alice(), "stop_canister", &CanisterIdRecord { canister_id: id });
    bench.manage(alice(), "delete_canister", &CanisterIdRecord { canister_id: id });
    let args = ic::ProvisionalCreateCanisterWithCyclesArgs { specified_id: Some(id), ..Default::default() };
    let reject = bench.refused(alice(), "provisional_create_canister_with_cycles", &args);
    assert!(reject.message.contains("not used again"), "{}", reject.message);
}
