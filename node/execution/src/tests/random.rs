//! Random scripts over several canisters: conservation, equal roots on replicas, and a restart in the middle of everything.

use super::{
    lane::{heavy, install_args},
    network::{CREDIT, Network, block},
};
use crate::{Call, engine::Engine, execute};
use ic_management_canister_types::{CanisterIdRecord, CanisterInstallMode};
use mains_state::{CallPolicy, Canister, IngressStatus, State};
use mains_types::{Cycles, Principal, RequestId, UnixNanos, ids::canister_id, limits::SLICE_INSTRUCTIONS};
use std::sync::Arc;

struct Dice(u64);
impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

const CANISTERS: u64 = 5;

/// A script of random commands; calls name scripts of `scripts` so that chains of calls arise.
fn script(dice: &mut Dice) -> String {
    let mut commands = Vec::new();
    for _ in 0..1 + dice.roll(4) {
        commands.push(match dice.roll(14) {
            0 | 1 => "inc".into(),
            2 => {
                let most = 1 + 4_000_000_000 / (1 + dice.roll(20));
                format!("spin {}", dice.roll(most))
            }
            3 => format!("accept {}", dice.roll(5_000)),
            4 => format!("burn {}", dice.roll(5_000)),
            5 => format!("timer {}", (1_000 + dice.roll(60)) * UnixNanos::SECOND),
            6 => "stable some text".into(),
            7 => "trap unlucky".into(),
            8 => "print line".into(),
            _ => {
                let callee = canister_id(0x100 + dice.roll(CANISTERS + 1));
                let timeout = if dice.roll(4) == 0 { " 2" } else { "" };
                format!("call {callee} run {} {} {}{timeout}", dice.roll(100_000), dice.roll(40), dice.roll(40))
            }
        });
    }
    match dice.roll(4) {
        0 => {}
        1 => commands.push("reject because".into()),
        _ => commands.push("reply ok".into()),
    }
    commands.join(";")
}

/// An install of a module of any weight, or another call about a canister.
fn manage(network: &mut Network, dice: &mut Dice, script: &str) -> Call {
    let id = canister_id(0x100 + dice.roll(CANISTERS));
    let mut call = |method, argument: &[u8]| network.call(1, Principal::management_canister(), method, argument);
    let record = candid::encode_one(CanisterIdRecord { canister_id: id }).unwrap();
    match dice.roll(12) {
        0 => call("stop_canister", &record),
        1 | 2 => call("start_canister", &record),
        3 => call("canister_status", &record),
        4 => call("uninstall_code", &record),
        kind => {
            let module = heavy(
                dice.roll(3 * SLICE_INSTRUCTIONS),
                ["m", "canister_heartbeat canister_pre_upgrade"][dice.roll(2) as usize],
            );
            let long = format!("inc;burn 700;spin {};stable left", dice.roll(3 * SLICE_INSTRUCTIONS));
            let script = [script, "inc", "stable text;inc;print line", &long, &long][dice.roll(5) as usize];
            let mode = if kind < 8 { CanisterInstallMode::Reinstall } else { CanisterInstallMode::Upgrade(None) };
            call("install_code", &install_args(id, mode, &module, script))
        }
    }
}

#[test]
fn replicas_agree_books_balance_and_a_restart_changes_nothing() {
    let (mut prepared, mut paused, mut installed, mut refused) = (0, 0, 0, 0);
    for seed in 1..=12u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let scripts: Vec<String> = (0..44).map(|_| script(&mut dice)).collect();
        let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
        let mut network = Network::new(&scripts);
        for index in 0..CANISTERS {
            let module = ["m", "canister_heartbeat", "canister_global_timer"][dice.roll(3) as usize];
            let id = network.install(0x100 + index, module, CREDIT / 10 + u128::from(dice.roll(1 << 36)));
            let mut policy = Box::<CallPolicy>::default();
            policy.set(Some(Cycles(3_000_000 << index)), (index % 2 == 0).then_some(3));
            network.state_mut().canister_mut(&id).unwrap().call_policy = Some(policy).filter(|_| index > 0);
        }
        network.block(vec![]);
        network.host.hold(&network.state().modules(), &|_, _| {});
        let mut installs = Vec::new();
        for _ in 0..25 {
            let calls = (0..dice.roll(6))
                .map(|number| {
                    let callee = canister_id(0x100 + dice.roll(CANISTERS + 1));
                    let script = scripts[dice.roll(40) as usize];
                    network.call(1 + number as u8 % 3, callee, "run", script.as_bytes())
                })
                .collect::<Vec<_>>();
            let script = scripts[dice.roll(40) as usize];
            let managed = if dice.roll(2) == 0 { Some(manage(&mut network, &mut dice, script)) } else { None };
            installs.extend(managed.as_ref().filter(|call| call.method == "install_code").map(|call| call.request_id));
            let calls: Vec<_> = calls.into_iter().chain(managed).collect();
            let ids: Vec<_> = calls.iter().map(|call| call.request_id).collect();
            let state = network.state.take().unwrap();
            prepared += state.preparing().count();
            let is_paused =
                |canister: &&Canister| canister.paused.as_ref().is_some_and(|paused| paused.installing.is_some());
            paused += state.canisters().filter(is_paused).count();
            let next = block(&state, 1 + dice.roll(5 * UnixNanos::SECOND), calls);
            let restarted = State::decode(&state.encode()).unwrap();
            assert_eq!(restarted.root(), state.root());
            let executed = execute(&network.host, state, &next);
            executed.state.ledger.check_full().unwrap();
            let again = execute(&network.host, restarted, &next);
            assert_eq!(again.root, executed.root, "seed {seed}, height {}", next.height);
            assert_eq!(again.journal, executed.journal);
            network.state = Some(executed.state);
            let text = |id: &RequestId| match network.state().ingress_status(id) {
                Some(IngressStatus::Rejected(reject)) => reject.message.clone(),
                _ => String::new(),
            };
            refused += ids.iter().filter(|id| text(id).contains("calls from outside")).count();
            let waits = |wasm: &Arc<_>| network.state().preparing().any(|entry| Arc::ptr_eq(&entry.module.wasm, wasm));
            let held = network.host.held.lock().unwrap();
            let is_held = |wasm: &Arc<_>| held.iter().any(|held| Arc::ptr_eq(held, wasm)) || waits(wasm);
            assert!(network.state().modules().iter().all(is_held), "what is in the state is held");
        }
        let is_done = |id| matches!(network.state().ingress_status(id), Some(IngressStatus::Replied(_)));
        installed += installs.iter().filter(|id| is_done(id)).count();
    }
    assert!(
        prepared > 50 && installed > 20 && paused > 20 && refused > 20,
        "{prepared} calls found in the lane, {paused} paused, {installed} modules installed, {refused} calls refused"
    );
}
