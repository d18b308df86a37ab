//! Snapshots of a canister that runs here: taken, loaded, carried to another canister in pieces, and uploads that must never
//! reach a live instance.

use super::harness::{engine, module, wasm};
use candid::{CandidType, Decode, Encode, Nat, Principal};
use ic_management_canister_types as ic;
use mains_execution::{Block, Call, QueryCall, execute, query};
use mains_state::{Genesis, IngressStatus, State};
use mains_types::{RequestId, UnixNanos};

/// Counts in globals of every type, in the heap and in the size of both memories; exports a global that cannot change.
const COUNTER: &str = r#"
    (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
    (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
    (import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
    (global $count (mut i64) (i64.const 5)) (global $float (mut f64) (f64.const 1.5)) (global $single (mut f32) (f32.const 2))
    (global $vector (mut v128) (v128.const i64x2 1 2)) (global $small (mut i32) (i32.const -3))
    (global (export "fixed") i32 (i32.const 9))
    (func $count_up
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (global.set $float (f64.mul (global.get $float) (f64.const 1.25)))
      (global.set $single (f32.neg (global.get $single)))
      (global.set $vector (i64x2.add (global.get $vector) (v128.const i64x2 3 -1)))
      (global.set $small (i32.add (global.get $small) (i32.const 7)))
      (i64.store (i32.const 4096) (i64.add (i64.load (i32.const 4096)) (global.get $count)))
      (drop (memory.grow (i32.const 1)))
      (drop (call $stable_grow (i64.const 1)))
      (call $stable_write (i64.const 60000) (i64.const 4096) (i64.const 8)))
    (func $sum
      (call $stable_read (i64.const 4096) (i64.const 60000) (i64.const 8))
      (i64.store (i32.const 0)
        (i64.add (i64.add (i64.load (i32.const 4096)) (i64.mul (i64.extend_i32_u (memory.size)) (i64.const 1000)))
          (i64.add (i64x2.extract_lane 1 (global.get $vector))
            (i64.add (i64.reinterpret_f64 (global.get $float))
              (i64.add (i64.extend_i32_s (global.get $small)) (i64.extend_i32_u (i32.reinterpret_f32 (global.get $single)))))))))
    (func (export "canister_update up") (call $count_up) (call $sum) (call $answer))
    (func (export "canister_query sum") (call $sum) (call $answer))"#;

/// The module: imports come before everything else.
fn counter() -> Vec<u8> {
    let (imports, rest): (Vec<&str>, Vec<&str>) =
        COUNTER.lines().partition(|line| line.trim_start().starts_with("(import"));
    wasm(&module(&rest.join("\n")).replacen("(memory 1)", &format!("{} (memory 1 40)", imports.join("\n")), 1))
}

struct Subnet {
    state: Option<State>,
    requests: u8,
}

impl Subnet {
    fn new() -> Self {
        let owner = Principal::self_authenticating([1]);
        let state = State::genesis(&Genesis::rehearsal([owner; 4]));
        Self { state: Some(state), requests: 0 }
    }

    /// Calls in a block of its own, on a state that was encoded and decoded before; the call must end there.
    fn call(&mut self, canister_id: Principal, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, String> {
        let state = State::decode(&self.state.take().unwrap().encode()).unwrap();
        self.requests += 1;
        let request_id = RequestId([self.requests; 32]);
        let call = Call {
            request_id,
            sender: Principal::self_authenticating([1]),
            canister_id,
            method: method.into(),
            bytes: argument.len() as u64,
            argument,
            caller_info: None,
            expires_at: state.time.saturating_add_nanos(100 * UnixNanos::SECOND),
        };
        let block = Block {
            height: state.height.next(),
            time: state.time.saturating_add_nanos(UnixNanos::SECOND),
            digest: [self.requests; 32],
            proposer: call.sender,
            failed: Vec::new(),
            seen: Default::default(),
            newest_version: 1,
            certified: state.height,
            randomness: [self.requests; 32],
            calls: vec![call],
        };
        let state = execute(engine(), state, &block).state;
        let outcome = match state.ingress_status(&request_id) {
            Some(IngressStatus::Replied(reply)) => Ok(reply.to_vec()),
            Some(IngressStatus::Rejected(reject)) => Err(reject.message.clone()),
            other => panic!("{method}: {other:?}"),
        };
        self.state = Some(state);
        outcome
    }

    fn manage<A: CandidType>(&mut self, method: &str, args: &A) -> Result<Vec<u8>, String> {
        self.call(Principal::management_canister(), method, Encode!(args).unwrap())
    }

    fn create(&mut self) -> Principal {
        let args = ic::ProvisionalCreateCanisterWithCyclesArgs {
            amount: Some(Nat::from(20_000_000_000_000u64)),
            ..Default::default()
        };
        let reply = self.manage("provisional_create_canister_with_cycles", &args).unwrap();
        Decode!(&reply, ic::CanisterIdRecord).unwrap().canister_id
    }

    fn up(&mut self, id: Principal) -> Vec<u8> {
        self.call(id, "up", Vec::new()).unwrap()
    }

    fn sum(&self, canister_id: Principal) -> Vec<u8> {
        let call = QueryCall {
            sender: Principal::anonymous(),
            caller_info: None,
            canister_id,
            method: "sum".into(),
            argument: Vec::new(),
        };
        query(engine(), self.state.as_ref().unwrap(), None, &call).unwrap()
    }

    fn take(&mut self, canister_id: Principal) -> Vec<u8> {
        let args = ic::TakeCanisterSnapshotArgs {
            canister_id,
            replace_snapshot: None,
            uninstall_code: None,
            sender_canister_version: None,
        };
        Decode!(&self.manage("take_canister_snapshot", &args).unwrap(), ic::Snapshot).unwrap().id
    }

    fn load(&mut self, canister_id: Principal, snapshot_id: &[u8]) -> Result<Vec<u8>, String> {
        let args = ic::LoadCanisterSnapshotArgs {
            canister_id,
            snapshot_id: snapshot_id.to_vec(),
            sender_canister_version: None,
        };
        self.manage("load_canister_snapshot", &args)
    }

    fn metadata(&mut self, canister_id: Principal, snapshot_id: &[u8]) -> ic::ReadCanisterSnapshotMetadataResult {
        let args = ic::ReadCanisterSnapshotMetadataArgs { canister_id, snapshot_id: snapshot_id.to_vec() };
        let reply = self.manage("read_canister_snapshot_metadata", &args).unwrap();
        Decode!(&reply, ic::ReadCanisterSnapshotMetadataResult).unwrap()
    }

    /// Uploads a snapshot with these metadata for `to`, its data read from `(from, snapshot)`.
    fn upload(
        &mut self,
        args: &ic::UploadCanisterSnapshotMetadataArgs,
        (from, snapshot): (Principal, &[u8]),
    ) -> Vec<u8> {
        let begun = self.manage("upload_canister_snapshot_metadata", args).unwrap();
        let copy = Decode!(&begun, ic::UploadCanisterSnapshotMetadataResult).unwrap().snapshot_id;
        let read = self.metadata(from, snapshot);
        let sizes = [read.wasm_module_size, read.wasm_memory_size, read.stable_memory_size];
        let ours = [args.wasm_module_size, args.wasm_memory_size, args.stable_memory_size];
        for (part, size) in sizes.into_iter().zip(ours).map(|(theirs, ours)| theirs.min(ours)).enumerate() {
            let (kind, place) = match part {
                0 => (
                    ic::SnapshotDataKind::WasmModule { offset: 0, size },
                    ic::SnapshotDataOffset::WasmModule { offset: 0 },
                ),
                1 => (
                    ic::SnapshotDataKind::WasmMemory { offset: 0, size },
                    ic::SnapshotDataOffset::WasmMemory { offset: 0 },
                ),
                _ => (
                    ic::SnapshotDataKind::StableMemory { offset: 0, size },
                    ic::SnapshotDataOffset::StableMemory { offset: 0 },
                ),
            };
            let args = ic::ReadCanisterSnapshotDataArgs { canister_id: from, snapshot_id: snapshot.to_vec(), kind };
            let read = self.manage("read_canister_snapshot_data", &args).unwrap();
            let chunk = Decode!(&read, ic::ReadCanisterSnapshotDataResult).unwrap().chunk;
            let canister_id = Principal::from_slice(&copy[8..]);
            let args =
                ic::UploadCanisterSnapshotDataArgs { canister_id, snapshot_id: copy.clone(), kind: place, chunk };
            self.manage("upload_canister_snapshot_data", &args).unwrap();
        }
        copy
    }
}

fn upload_args(
    canister_id: Principal,
    read: ic::ReadCanisterSnapshotMetadataResult,
) -> ic::UploadCanisterSnapshotMetadataArgs {
    ic::UploadCanisterSnapshotMetadataArgs {
        canister_id,
        replace_snapshot: None,
        wasm_module_size: read.wasm_module_size,
        globals: read.globals.into_iter().flatten().collect(),
        wasm_memory_size: read.wasm_memory_size,
        stable_memory_size: read.stable_memory_size,
        certified_data: read.certified_data,
        global_timer: read.global_timer,
        on_low_wasm_memory_hook_status: None,
    }
}

#[test]
fn a_snapshot_brings_everything_back_and_travels_but_no_broken_one_runs() {
    let mut subnet = Subnet::new();
    let (id, other) = (subnet.create(), subnet.create());
    let args = ic::InstallCodeArgs {
        mode: ic::CanisterInstallMode::Install,
        canister_id: id,
        wasm_module: counter(),
        arg: Vec::new(),
        sender_canister_version: None,
    };
    subnet.manage("install_code", &args).unwrap();
    subnet.up(id);
    let at_snapshot = subnet.up(id);
    let snapshot = subnet.take(id);
    let next = subnet.up(id);
    assert_ne!(next, at_snapshot);
    subnet.load(id, &snapshot).unwrap();
    assert_eq!(subnet.sum(id), at_snapshot, "memories shrink back");
    assert_eq!(subnet.up(id), next);

    let good = upload_args(other, subnet.metadata(id, &snapshot));
    assert_eq!((good.globals.len(), good.wasm_memory_size, good.stable_memory_size), (6, 3 * 65_536, 2 * 65_536));
    let copy = subnet.upload(&good, (id, &snapshot));
    subnet.load(other, &copy).unwrap();
    assert_eq!(subnet.sum(other), at_snapshot);
    assert_eq!(subnet.up(other), next);

    type Spoil = fn(&mut ic::UploadCanisterSnapshotMetadataArgs);
    let spoiled: [Spoil; 6] = [
        |args| drop(args.globals.pop()),
        |args| args.globals.push(ic::SnapshotMetadataGlobal::I64(1)),
        |args| args.globals.swap(0, 1),
        |args| args.globals[5] = ic::SnapshotMetadataGlobal::I32(10),
        |args| args.wasm_memory_size = 0,
        |args| args.wasm_memory_size = 41 * 65_536,
    ];
    for (number, spoil) in spoiled.into_iter().enumerate() {
        let mut args = good.clone();
        spoil(&mut args);
        let copy = subnet.upload(&args, (id, &snapshot));
        assert!(subnet.load(other, &copy).is_err(), "{number}");
        let delete = ic::DeleteCanisterSnapshotArgs { canister_id: other, snapshot_id: copy };
        subnet.manage("delete_canister_snapshot", &delete).unwrap();
    }
    let mut largest = good;
    largest.wasm_memory_size = 40 * 65_536;
    let copy = subnet.upload(&largest, (id, &snapshot));
    subnet.load(other, &copy).unwrap();
    subnet.up(other);
    subnet.state.unwrap().ledger.check_full().unwrap();
}
