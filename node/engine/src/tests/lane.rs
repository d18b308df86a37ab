//! Modules that are compiled beside execution.

use super::{
    harness::{Canister, module, wasm},
    slices::{block, call, subnet},
};
use crate::WasmtimeEngine;
use ic_management_canister_types::{CanisterInstallMode, InstallCodeArgs};
use mains_execution::{engine::Engine, execute};
use mains_state::{IngressStatus, State};
use mains_types::{CanisterId, Principal, limits::SLICE_INSTRUCTIONS};
use serde_bytes::ByteBuf;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

fn engine() -> WasmtimeEngine {
    WasmtimeEngine::new(None).expect("an engine starts everywhere")
}

/// A module that weighs more than a slice and compiles in no time.
fn heavy() -> Vec<u8> {
    let nested = ["(loop ".repeat(400), ")".repeat(400)].concat();
    wasm(&module(&format!("(func {nested})").repeat(3)))
}

fn install_args(canister_id: CanisterId, mode: CanisterInstallMode, wasm_module: Vec<u8>) -> Vec<u8> {
    let args = InstallCodeArgs { mode, canister_id, wasm_module, arg: Vec::new(), sender_canister_version: None };
    candid::encode_one(args).expect("it has a form")
}

#[test]
fn a_module_is_compiled_after_a_hint_and_the_same_as_without() {
    let (engine, wasm) = (engine(), Arc::new(ByteBuf::from(heavy())));
    let info = engine.inspect(&wasm).expect("it is valid");
    assert!(info.compile_instructions > SLICE_INSTRUCTIONS);
    assert!(!engine.is_ready(&info.id));
    for _ in 0..3 {
        engine.prepare(&info.id, &wasm);
    }
    let began = Instant::now();
    while !engine.is_ready(&info.id) {
        assert!(began.elapsed() < Duration::from_secs(120), "nobody compiles it");
        std::thread::yield_now();
    }
    let prepared = engine.module(&wasm).expect("it is valid");
    assert_eq!((prepared.id, prepared.compile_instructions), (info.id, info.compile_instructions));
    // Whoever needs it before it is ready waits for it, or compiles it.
    let other = self::engine();
    other.prepare(&info.id, &wasm);
    assert_eq!(other.instantiate(&wasm).expect("it fits").bytes, engine.instantiate(&wasm).expect("it fits").bytes);
}

#[test]
fn replicas_with_and_without_hints_agree_in_every_round_and_the_old_code_answers_meanwhile() {
    let keeps = engine();
    let canister = Canister::new(&keeps, &super::slices::text());
    let (mut state, id) = subnet(&canister);
    let wasm = heavy();
    let argument = install_args(id, CanisterInstallMode::Reinstall, wasm.clone());
    let install = call(100, Principal::management_canister(), "install_code", &argument);
    let request = install.request_id;
    let mut calls = vec![install];
    let mut rounds = 0;
    while state.ingress_status(&request).is_none_or(|status| *status == IngressStatus::Processing) {
        let short = call(101 + rounds, id, "short", &[]);
        let short_id = short.request_id;
        calls.push(short);
        let next = block(&state, std::mem::take(&mut calls));
        let restarted = State::decode(&state.encode()).expect("what was encoded");
        let done = execute(&keeps, state, &next);
        assert_eq!(execute(&engine(), restarted, &next).root, done.root, "{}", next.height);
        state = done.state;
        let is_new = state.ingress_status(&request).is_some_and(IngressStatus::is_terminal);
        let answer = state.ingress_status(&short_id);
        assert_eq!(matches!(answer, Some(IngressStatus::Replied(_))), !is_new, "{answer:?}");
        rounds += 1;
    }
    // Two slices of weight, begun in the first round: their time is over two blocks and a bit later.
    assert_eq!(rounds, 4);
    assert!(matches!(state.ingress_status(&request), Some(IngressStatus::Replied(_))));
    let code = state.canister(&id).and_then(|canister| canister.code.as_ref()).expect("it has code");
    assert_eq!(code.wasm[..], wasm[..]);
}

#[test]
fn replicas_that_keep_the_hooks_of_an_install_or_restart_agree_in_every_round() {
    let keeps = engine();
    let hooks = r#"(func (export "canister_pre_upgrade") (call $loops (i32.const 45000000)))
        (func (export "canister_post_upgrade") (call $loops (i32.const 45000000)))"#;
    let text = super::slices::text();
    let (before, after) = text.split_once("(func (export").expect("it exports");
    let canister = Canister::new(&keeps, &format!("{before}{hooks}(func (export{after}"));
    let (mut state, id) = subnet(&canister);
    let wasm = canister.code.wasm.to_vec();
    let [first, second] = [CanisterInstallMode::Reinstall, CanisterInstallMode::Upgrade(None)]
        .map(|mode| call(100, Principal::management_canister(), "install_code", &install_args(id, mode, wasm.clone())));
    let next = block(&state, vec![first]);
    state = execute(&keeps, state, &next).state;
    let second = mains_execution::Call { request_id: mains_types::RequestId([101; 32]), ..second };
    let (request, mut calls, mut rounds) = (second.request_id, vec![second], 0);
    while state.ingress_status(&request).is_none_or(|status| !status.is_terminal()) {
        let next = block(&state, std::mem::take(&mut calls));
        let restarted = State::decode(&state.encode()).expect("what was encoded");
        let done = execute(&keeps, state, &next);
        assert_eq!(execute(&engine(), restarted, &next).root, done.root, "{}", next.height);
        state = done.state;
        rounds += 1;
    }
    assert!(rounds > 2, "{rounds}");
    assert!(matches!(state.ingress_status(&request), Some(IngressStatus::Replied(_))));
    let short = call(102, id, "short", &[]);
    let short_id = short.request_id;
    let next = block(&state, vec![short]);
    let state = execute(&keeps, state, &next).state;
    let Some(IngressStatus::Replied(count)) = state.ingress_status(&short_id) else { panic!("it answers") };
    assert_eq!(count[..], 45_000_010u64.to_le_bytes(), "what post_upgrade counted, and this");
}
