//! Canisters made by other people's compilers on the core alone: the real Wasm host under `execute`, no consensus, no network.
//!
//! Every block is executed by two replicas; the second one is restored from its encoding and has a host without live
//! instances before every block. Their roots must be equal, and the books must balance in full.

use candid::{CandidType, Decode, Encode, Nat, Principal};
use ic_management_canister_types as ic;
use mains_engine::WasmtimeEngine;
use mains_execution::{Block, Call, QueryCall, execute, query};
use mains_ledger::{Account, Resource};
use mains_state::{Genesis, IngressStatus, State};
use mains_types::{Cycles, Digest32, ErrorCode, Reject, RejectCode, RequestId, UnixNanos, limits};
use serde::Deserialize;

const COUNTER_RUST: &[u8] = include_bytes!("../../../sdk/examples/prebuilt/counter-rust.wasm");
const COUNTER_MOTOKO: &[u8] = include_bytes!("../../../sdk/examples/prebuilt/counter-motoko.wasm");
const PROBE: &[u8] = include_bytes!("../../../sdk/examples/prebuilt/probe-rust.wasm");

fn user(name: u8) -> Principal {
    Principal::self_authenticating([name])
}

struct Subnet {
    /// Compiled modules, so that a fresh host starts soon.
    compiled: tempfile::TempDir,
    engine: WasmtimeEngine,
    /// Of a replica that restarts now and then.
    restarts: WasmtimeEngine,
    state: Option<State>,
    next_request: u64,
}

impl Subnet {
    fn new() -> Self {
        let genesis = Genesis::rehearsal((0..4).map(user));
        let compiled = tempfile::tempdir().expect("a directory for compiled modules");
        let [engine, restarts] = [(); 2].map(|()| engine(&compiled));
        Self { engine, restarts, compiled, state: Some(State::genesis(&genesis)), next_request: 0 }
    }

    fn state(&self) -> &State {
        self.state.as_ref().expect("present between blocks")
    }

    /// Executes a block on both replicas, one of which was restarted before it; returns its root.
    fn block(&mut self, seconds: u64, calls: Vec<Call>) -> Digest32 {
        self.restarts = engine(&self.compiled);
        self.next_block(seconds, calls)
    }

    /// Executes a block on both replicas; returns its root.
    fn next_block(&mut self, seconds: u64, calls: Vec<Call>) -> Digest32 {
        let state = self.state.take().expect("present between blocks");
        let height = state.height.next();
        let block = Block {
            height,
            time: state.time.saturating_add_nanos(seconds * UnixNanos::SECOND),
            digest: [1; 32],
            proposer: user(0),
            failed: Vec::new(),
            seen: Default::default(),
            newest_version: 1,
            certified: state.height,
            randomness: [height.get() as u8; 32],
            calls,
        };
        let restored = State::decode(&state.encode()).expect("what was encoded decodes");
        let first = execute(&self.engine, state, &block);
        let second = execute(&self.restarts, restored, &block);
        assert_eq!(first.root, second.root, "a restarted replica differs at height {height}");
        assert_eq!(first.journal, second.journal);
        first.state.ledger.check_full().expect("the books balance");
        self.state = Some(first.state);
        first.root
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.block(1, vec![]);
        }
    }

    fn request(&mut self, canister_id: Principal, method: &str, argument: Vec<u8>) -> Call {
        self.next_request += 1;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&self.next_request.to_be_bytes());
        Call {
            request_id: RequestId(id),
            sender: user(1),
            canister_id,
            method: method.into(),
            bytes: argument.len() as u64 + 300,
            argument,
            caller_info: None,
            expires_at: self.state().time.saturating_add_nanos(200 * UnixNanos::SECOND),
        }
    }

    /// Calls and lets blocks pass until there is an outcome.
    fn update(&mut self, canister: Principal, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, Reject> {
        let call = self.request(canister, method, argument);
        let id = call.request_id;
        self.block(1, vec![call]);
        for waited in 1..=limits::UPDATE_INSTRUCTIONS_MAX / limits::SLICE_INSTRUCTIONS + 1 {
            match self.state().ingress_status(&id) {
                Some(IngressStatus::Replied(reply)) => return Ok(reply.to_vec()),
                Some(IngressStatus::Rejected(reject)) => return Err(reject.clone()),
                // Who restarts does a long message again from its beginning.
                _ if waited.is_power_of_two() => self.block(1, vec![]),
                _ => self.next_block(1, vec![]),
            };
        }
        panic!("{method} has not ended: {:?}", self.state().ingress_status(&id));
    }

    fn nat(&mut self, canister: Principal, method: &str) -> u64 {
        nat(&self.update(canister, method, none()).unwrap())
    }

    fn query(&self, canister_id: Principal, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, Reject> {
        let call = QueryCall { sender: user(1), caller_info: None, canister_id, method: method.into(), argument };
        query(&self.engine, self.state(), Some(b"certificate"), &call)
    }

    fn ask(&self, canister: Principal, method: &str) -> u64 {
        nat(&self.query(canister, method, none()).unwrap())
    }

    fn create(&mut self) -> Principal {
        let args = ic::ProvisionalCreateCanisterWithCyclesArgs {
            amount: Some(Nat::from(20_000_000_000_000u64)),
            ..Default::default()
        };
        let reply = self
            .update(
                Principal::management_canister(),
                "provisional_create_canister_with_cycles",
                Encode!(&args).unwrap(),
            )
            .unwrap();
        Decode!(&reply, ic::CanisterIdRecord).unwrap().canister_id
    }

    fn install(
        &mut self,
        canister_id: Principal,
        mode: ic::CanisterInstallMode,
        module: &[u8],
        arg: Vec<u8>,
    ) -> Result<(), Reject> {
        let args =
            ic::InstallCodeArgs { mode, canister_id, wasm_module: module.to_vec(), arg, sender_canister_version: None };
        self.update(Principal::management_canister(), "install_code", Encode!(&args).unwrap()).map(drop)
    }

    fn deploy(&mut self, module: &[u8], arg: Vec<u8>) -> Principal {
        let id = self.create();
        self.install(id, ic::CanisterInstallMode::Install, module, arg).unwrap();
        id
    }
}

fn engine(compiled: &tempfile::TempDir) -> WasmtimeEngine {
    WasmtimeEngine::new(Some(compiled.path().to_owned())).expect("this host runs Wasm")
}

fn none() -> Vec<u8> {
    Encode!().unwrap()
}

/// A natural number, whatever its Candid type.
fn nat(reply: &[u8]) -> u64 {
    Decode!(reply, Nat)
        .map(|value| u64::try_from(value.0).expect("small"))
        .or_else(|_| Decode!(reply, u64))
        .expect("a number")
}

fn upgrade(keeps_heap: bool) -> ic::CanisterInstallMode {
    ic::CanisterInstallMode::Upgrade(keeps_heap.then_some(ic::UpgradeFlags {
        skip_pre_upgrade: None,
        wasm_memory_persistence: Some(ic::WasmMemoryPersistence::Keep),
    }))
}

#[derive(CandidType, Deserialize, Debug, PartialEq)]
enum Outcome {
    Ok(serde_bytes::ByteBuf),
    Err(String),
}

#[test]
fn the_counters_count_trap_tick_and_survive_an_upgrade() {
    for (module, keeps_heap) in [(COUNTER_RUST, false), (COUNTER_MOTOKO, true)] {
        let mut subnet = Subnet::new();
        let id = subnet.deploy(module, none());
        assert_eq!((subnet.nat(id, "inc"), subnet.nat(id, "inc")), (1, 2));
        assert_eq!(subnet.ask(id, "get"), 2);
        let before = subnet.state().ledger.balance(&Account::Canister(id));
        let reject = subnet.update(id, "trap_after_write", none()).unwrap_err();
        assert_eq!(reject.code, RejectCode::CanisterError);
        assert!(subnet.state().ledger.balance(&Account::Canister(id)) < before);
        assert_eq!(subnet.ask(id, "get"), 2);
        let whoami = subnet.query(id, "whoami", none()).unwrap();
        assert_eq!(Decode!(&whoami, Principal).unwrap(), user(1));

        subnet.update(id, "tick_every", Encode!(&2u32).unwrap()).unwrap();
        subnet.wait(8);
        let ticks = subnet.ask(id, "ticks");
        assert!((2..=4).contains(&ticks), "{ticks} ticks");

        subnet.install(id, upgrade(keeps_heap), module, none()).unwrap();
        assert_eq!(subnet.nat(id, "inc"), 3);
        subnet.wait(8);
        assert!(subnet.ask(id, "ticks") > ticks, "the ticks survive the upgrade");
        let instructions = subnet.state().ledger.meter(&id, Resource::Instructions);
        assert!(instructions > 10_000, "{instructions} instructions");
    }
}

#[test]
fn canisters_call_each_other_and_themselves() {
    let mut subnet = Subnet::new();
    let (probe, other) =
        (subnet.deploy(PROBE, Encode!(&Some(Nat::from(5u8))).unwrap()), subnet.deploy(PROBE, none_opt()));
    let outcome = |reply: Vec<u8>| Decode!(&reply, Outcome).unwrap();
    let target = Encode!(&other, &"inc".to_string(), &serde_bytes::ByteBuf::from(none())).unwrap();
    for method in ["call", "call_bounded"] {
        let answer = outcome(subnet.update(probe, method, target.clone()).unwrap());
        assert!(matches!(answer, Outcome::Ok(_)), "{method}: {answer:?}");
    }
    assert_eq!(subnet.ask(other, "get"), 2);
    assert!(Decode!(&subnet.update(probe, "notify", target.clone()).unwrap(), bool).unwrap());
    subnet.block(1, vec![]);
    assert_eq!(subnet.ask(other, "get"), 3);
    assert_eq!(nat(&subnet.update(probe, "hop", Encode!(&50u64).unwrap()).unwrap()), 50);

    let missing = Encode!(&user(77), &"inc".to_string(), &serde_bytes::ByteBuf::from(none())).unwrap();
    assert!(matches!(outcome(subnet.update(probe, "call", missing).unwrap()), Outcome::Err(_)));
    let get = Encode!(&other, &"get".to_string(), &serde_bytes::ByteBuf::from(none())).unwrap();
    assert!(
        matches!(outcome(subnet.query(probe, "call_in_query", get).unwrap()), Outcome::Ok(reply) if nat(&reply) == 3)
    );
    assert!(matches!(
        outcome(subnet.update(probe, "call", Encode!(&other, &"refuse".to_string(), &serde_bytes::ByteBuf::from(Encode!(&"not now").unwrap())).unwrap()).unwrap()),
        Outcome::Err(text) if text.contains("not now")
    ));
    let (a, b) = (subnet.update(probe, "random", none()).unwrap(), subnet.update(probe, "random", none()).unwrap());
    assert_ne!(a, b);
}

fn none_opt() -> Vec<u8> {
    Encode!(&None::<Nat>).unwrap()
}

#[test]
fn cycles_travel_with_calls_and_come_back() {
    let mut subnet = Subnet::new();
    let (probe, other) = (subnet.deploy(PROBE, none_opt()), subnet.deploy(PROBE, none_opt()));
    let call = |method: &str| {
        let argument = serde_bytes::ByteBuf::from(none());
        Encode!(&other, &method.to_string(), &argument, &Nat::from(7_000_000_000_000u64)).unwrap()
    };
    let balance = |subnet: &Subnet, id| subnet.state().ledger.balance(&Account::Canister(id)).get();
    let before = (balance(&subnet, probe), balance(&subnet, other));
    subnet.update(probe, "call_with_cycles", call("accept_cycles")).unwrap();
    let after = (balance(&subnet, probe), balance(&subnet, other));
    assert!(after.1 > before.1 + 6_900_000_000_000 && after.0 < before.0 - 7_000_000_000_000, "{before:?} {after:?}");
    subnet.update(probe, "call_with_cycles", call("inc")).unwrap();
    let refunded = (balance(&subnet, probe), balance(&subnet, other));
    assert!(after.0 - refunded.0 < 100_000_000_000 && refunded.1 < after.1, "{refunded:?}");
    assert_eq!(subnet.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
}

#[test]
fn what_runs_without_end_is_stopped_charged_and_undone() {
    let mut subnet = Subnet::new();
    let probe = subnet.deploy(PROBE, none_opt());
    assert_eq!(subnet.nat(probe, "inc"), 1);
    let code = |subnet: &mut Subnet, method: &str| subnet.update(probe, method, none()).unwrap_err().error_code;
    assert_eq!(code(&mut subnet, "loop_forever"), Some(ErrorCode::CanisterInstructionLimitExceeded));
    assert_eq!(code(&mut subnet, "recurse_forever"), Some(ErrorCode::CanisterTrapped));
    code(&mut subnet, "allocate_forever").expect("a code");
    assert_eq!(subnet.nat(probe, "inc"), 2);
    assert!(subnet.state().ledger.meter(&probe, Resource::Instructions) > u128::from(limits::UPDATE_INSTRUCTIONS_MAX));

    assert_eq!(code(&mut subnet, "trap_before_await"), Some(ErrorCode::CanisterCalledTrap));
    assert_eq!(subnet.ask(probe, "get"), 2);
    assert_eq!(code(&mut subnet, "trap_after_await"), Some(ErrorCode::CanisterCalledTrap));
    assert_eq!(subnet.ask(probe, "get"), 3, "what came before the await stays");
}

#[test]
fn an_upgrade_that_traps_changes_nothing_and_stable_memory_survives_one_that_does_not() {
    let mut subnet = Subnet::new();
    let probe = subnet.deploy(PROBE, Encode!(&Some(Nat::from(40u8))).unwrap());
    subnet.update(probe, "put", Encode!(&"key", &"value").unwrap()).unwrap();
    assert_eq!(subnet.nat(probe, "inc"), 41);
    for (before, after) in [(true, false), (false, true)] {
        subnet.update(probe, "trap_in_upgrade", Encode!(&before, &after).unwrap()).unwrap();
        let hash = subnet.state().canister(&probe).unwrap().code.as_ref().unwrap().stable.digest();
        let reject = subnet.install(probe, upgrade(false), PROBE, none_opt()).unwrap_err();
        assert_eq!(reject.error_code, Some(ErrorCode::CanisterCalledTrap), "{reject}");
        assert_eq!(subnet.state().canister(&probe).unwrap().code.as_ref().unwrap().stable.digest(), hash);
        assert_eq!(subnet.ask(probe, "get"), 41);
    }
    subnet.update(probe, "trap_in_upgrade", Encode!(&false, &false).unwrap()).unwrap();
    subnet.install(probe, upgrade(false), PROBE, none_opt()).unwrap();
    assert_eq!(subnet.ask(probe, "get"), 41);
    let value = subnet.query(probe, "fetch", Encode!(&"key").unwrap()).unwrap();
    assert_eq!(Decode!(&value, Option<String>).unwrap().as_deref(), Some("value"));
    subnet.wait(2);
    assert!(subnet.ask(probe, "beats") > 0, "it has a heartbeat");
}
