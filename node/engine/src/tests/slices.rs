//! Runs that wait in their middle, run whole, or are done again after they were dropped: one result.

use super::harness::{Canister, engines, module};
use crate::WasmtimeEngine;
use mains_execution::{
    Block, Call,
    engine::{Engine, Entry, Ran, Trap},
    execute,
    system_api::Mode,
};
use mains_state::{Code, Exports, Genesis, IngressStatus, RunName, State};
use mains_types::{CanisterId, Principal, RequestId, UnixNanos, ids::canister_id};

/// Instructions of one slice here: more than what the engine tries without a thread.
const SLICE: u64 = 120_000_000;

/// `loops` (and `twice`, twice as long as a slice of the protocol) writes all over memory in one long loop, `recurses` has no loop at all, `grows` calls the system and grows.
/// The `_trap` ones end in a trap, `forever` does not end.
const LONG: &str = r#"
    (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
    (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
    (global $count (mut i64) (i64.const 0))
    (func $loops (param $left i32) (local $seed i64)
      (loop $next
        (local.set $seed (i64.mul (i64.xor (local.get $seed) (i64.extend_i32_u (local.get $left))) (i64.const 0xbf58476d1ce4e5b9)))
        (i64.store (i32.wrap_i64 (i64.shr_u (local.get $seed) (i64.const 49))) (local.get $seed))
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
    (func $recurses (param $depth i32) (result i32)
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (if (result i32) (i32.eqz (local.get $depth)) (then (i32.const 1))
        (else (i32.add (call $recurses (i32.sub (local.get $depth) (i32.const 1)))
                       (call $recurses (i32.sub (local.get $depth) (i32.const 1)))))))
    (func $grows (local $left i32)
      (local.set $left (i32.const 60))
      (drop (call $stable_grow (i64.const 400)))
      (loop $next
        (drop (memory.grow (i32.const 1)))
        (call $stable_write (i64.extend_i32_u (i32.mul (local.get $left) (i32.const 70000))) (i64.const 0) (i64.const 65536))
        (memory.fill (i32.const 70000) (local.get $left) (i32.mul (i32.const 65536) (i32.const 50)))
        (call $loops (i32.const 100000))
        (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
    (func $end (i64.store (i32.const 0) (global.get $count)) (call $answer))
    (func (export "canister_update loops") (call $loops (i32.const 25000000)) (call $end))
    (func (export "canister_update loops_trap") (call $loops (i32.const 25000000)) (call $loops (i32.const 7)) unreachable)
    (func (export "canister_update recurses") (drop (call $recurses (i32.const 23))) (call $end))
    (func (export "canister_update recurses_trap") (drop (call $recurses (i32.const 23))) (drop (i64.load (i32.const -1))))
    (func (export "canister_update grows") (drop (memory.grow (i32.const 60))) (call $grows) (call $end))
    (func (export "canister_update forever") (loop $l (drop (call $recurses (i32.const 3))) (br $l)))
    (func (export "canister_update twice") (call $loops (i32.const 5000000)) (call $end))
    (func (export "canister_update twice_trap") (call $loops (i32.const 5000000)) unreachable)
    (func (export "canister_update short") (call $loops (i32.const 10)) (call $end))"#;

const METHODS: [&str; 6] = ["loops", "loops_trap", "recurses", "recurses_trap", "grows", "forever"];

/// What shows of a run: heap, its size, globals, instructions, outcome, reply, stable memory.
type Fingerprint = ([u8; 32], u64, Vec<u64>, u64, Result<(), Trap>, Option<Result<Vec<u8>, String>>, [u8; 32]);

fn fingerprint(ran: Ran) -> Fingerprint {
    let (heap, instructions, outcome) = (ran.heap, ran.instructions, ran.outcome);
    // What it did besides counts only if it succeeded.
    let effects = outcome.is_ok().then(|| ran.api.into_effects());
    let stable = effects.as_ref().map(|effects| effects.stable.digest()).unwrap_or_default();
    let response = effects.and_then(|effects| effects.response);
    (heap.pages.digest(), heap.bytes, heap.globals, instructions, outcome, response, stable)
}

pub(super) fn text() -> String {
    // Imports come first in a module.
    let whole = module("");
    let (imports, rest) = whole.split_once("(memory 1)").expect("the frame has a memory");
    let (ours, body) = LONG.split_once("(global").expect("globals come behind imports");
    let rest = rest.trim_end().strip_suffix(')').expect("a module ends");
    format!("{imports}{ours}(memory 2){rest}(global{body})")
}

fn canister(engine: &WasmtimeEngine) -> Canister<'_> {
    Canister { instructions: 6 * SLICE, ..Canister::new(engine, &text()) }
}

fn entry(method: &str) -> Entry {
    Entry::Export(format!("canister_update {method}"))
}

fn name(number: u64) -> RunName {
    RunName { round: [1; 32], number, step: 0, tariff: 0 }
}

/// Gives it slice after slice; `between` sees every pause. The result, and how many slices it took.
fn in_slices(canister: &Canister<'_>, method: &str, number: u64, mut between: impl FnMut(u64)) -> (Fingerprint, u64) {
    for slices in 1.. {
        let run = canister.prepared(Mode::Update, entry(method), &[], true);
        if let Some(ran) = canister.engine.advance(run, &name(number), slices * SLICE) {
            return (fingerprint(ran), slices);
        }
        between(slices);
    }
    unreachable!("an instruction limit ends every run")
}

#[test]
fn a_run_in_slices_whole_and_done_again_is_one_and_the_same() {
    for engine in &engines() {
        let canister = canister(engine);
        for (number, method) in (0..).zip(METHODS) {
            let whole = fingerprint(canister.ran(Mode::Update, entry(method), &[], true));
            let (paused, slices) = in_slices(&canister, method, number, |_| ());
            assert_eq!(paused, whole, "{method}");
            assert_eq!(slices, whole.3.div_ceil(SLICE), "{method}");
            assert!(slices > 2, "{method} is long enough to be paused: {}", whole.3);
            let (again, slices_again) = in_slices(&canister, method, number + 100, |slice| {
                if slice % 2 == 1 {
                    assert_eq!(engine.forget_suspended(), 1);
                }
            });
            assert_eq!((again, slices_again), (whole, slices), "{method}");
        }
        assert_eq!(engine.forget_suspended(), 0);
    }
}

#[test]
fn runs_beyond_the_bound_are_done_again_with_the_same_result() {
    let engine = &engines()[0];
    let canisters: Vec<_> = (0..9).map(|index| Canister { id: canister_id(400 + index), ..canister(engine) }).collect();
    let whole = fingerprint(canisters[0].ran(Mode::Update, entry("recurses"), &[], true));
    let mut left: Vec<usize> = (0..canisters.len()).collect();
    for slices in 1..=whole.3.div_ceil(SLICE) {
        left.retain(|index| {
            let run = canisters[*index].prepared(Mode::Update, entry("recurses"), &[], true);
            let ran = engine.advance(run, &name(*index as u64), slices * SLICE);
            ran.is_none_or(|ran| {
                assert_eq!(fingerprint(ran), whole);
                false
            })
        });
    }
    assert!(left.is_empty(), "all ended in the same slice");
}

#[test]
fn a_canister_is_used_as_usual_while_and_after_its_run_waits() {
    let engine = &engines()[0];
    let mut canister = canister(engine);
    let count = |canister: &mut Canister<'_>| canister.update("short", &[]).number();
    assert_eq!(count(&mut canister), 10);
    let run = canister.prepared(Mode::Update, entry("loops"), &[], true);
    assert!(engine.advance(run, &name(1), SLICE).is_none());
    // Another fork, where it never began.
    assert_eq!(count(&mut canister), 20);
    let run = canister.prepared(Mode::Update, entry("short"), &[], true);
    let ran = engine.advance(run, &name(2), SLICE).expect("short");
    canister.code.heap = ran.heap;
    assert_eq!(count(&mut canister), 40);
    assert_eq!(engine.forget_suspended(), 1);
    assert_eq!(count(&mut canister), 50);
}

/// A subnet's state with this canister's code in a canister of its own.
pub(super) fn subnet(canister: &Canister<'_>) -> (State, CanisterId) {
    let user = Principal::self_authenticating([1]);
    let mut state = State::genesis(&Genesis { time: UnixNanos(1_000_000), ..Genesis::rehearsal([user]) });
    // `provisional_create_canister_with_cycles`; an empty record in Candid leaves everything to the defaults.
    let create = call(
        1,
        Principal::management_canister(),
        "provisional_create_canister_with_cycles",
        b"DIDL\x01\x6c\x00\x01\x00",
    );
    let next = block(&state, vec![create]);
    state = execute(canister.engine, state, &next).state;
    let id = *state.canister_ids_after(None, 1).first().expect("it was created");
    let info = canister.engine.module(&canister.code.wasm).expect("valid");
    let exports = Exports { updates: info.updates.clone(), ..Exports::default() };
    let code = &canister.code;
    let code = Code::new(code.wasm.clone(), [0; 32], code.heap.clone(), Default::default(), exports);
    state.canister_mut(&id).expect("it was created").code = Some(code);
    state.seal(state.height, state.time, [0; 32]);
    (state, id)
}

pub(super) fn call(number: u8, canister_id: CanisterId, method: &str, argument: &[u8]) -> Call {
    Call {
        request_id: RequestId([number; 32]),
        sender: Principal::self_authenticating([1]),
        canister_id,
        method: method.into(),
        argument: argument.to_vec(),
        caller_info: None,
        expires_at: UnixNanos(200 * UnixNanos::SECOND),
        bytes: 100,
    }
}

pub(super) fn block(state: &State, calls: Vec<Call>) -> Block {
    Block {
        height: state.height.next(),
        time: state.time.saturating_add_nanos(UnixNanos::SECOND),
        digest: [state.height.get() as u8; 32],
        proposer: Principal::self_authenticating([1]),
        failed: Vec::new(),
        seen: Default::default(),
        newest_version: 1,
        certified: state.height,
        randomness: [0; 32],
        calls,
    }
}

#[test]
fn replicas_that_keep_runs_lose_them_or_restart_agree_in_every_round() {
    let [keeps, loses, restarts] = [(); 3].map(|()| WasmtimeEngine::new(None).expect("an engine starts everywhere"));
    let canister = canister(&keeps);
    let (mut state, id) = subnet(&canister);
    let calls: Vec<Call> =
        (2..).zip(["twice", "short", "twice_trap"]).map(|(number, method)| call(number, id, method, &[])).collect();
    let ids: Vec<_> = calls.iter().map(|call| call.request_id).collect();
    let mut next = block(&state, calls);
    let mut lost = 0;
    while state.height.get() == 1 || state.has_work() {
        let again = State::decode(&state.encode()).expect("what was encoded");
        let whole = execute(&keeps, state.clone(), &next);
        lost += loses.forget_suspended();
        assert_eq!(execute(&loses, state, &next).root, whole.root, "{}", next.height);
        assert_eq!(execute(&restarts, again, &next).root, whole.root, "{}", next.height);
        state = whole.state;
        next = block(&state, Vec::new());
    }
    assert_eq!(
        (state.height.get(), lost),
        (4, 2),
        "two rounds for each long one, the second with the beginning of the next"
    );
    let status = |id| state.ingress_status(id).expect("it is kept");
    assert!(matches!(status(&ids[0]), IngressStatus::Replied(_)));
    assert!(matches!(status(&ids[1]), IngressStatus::Replied(reply) if reply[..] == 5_000_010u64.to_le_bytes()));
    assert!(matches!(status(&ids[2]), IngressStatus::Rejected(_)));
}
