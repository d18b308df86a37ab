//! Calls of the management canister and between canisters.

use super::{Measured, charged, shortest};
use crate::{alone::Alone, canisters};
use anyhow::Result;
use candid::{CandidType, Decode, Encode, Nat};
use ic_management_canister_types as ic;
use mains_ledger::Resource;
use mains_types::{CanisterId, Principal, ids::cycles_ledger_id};
use std::time::Duration;

/// Calls that a built-in ledger refuses: whoever sends them has nothing.
pub(super) const FAILING_TRANSFERS: &str = "256 transfers that fail, by somebody who has nothing";

/// Calls between two canisters in one message.
const RELAYED: u32 = 1_000;
/// Calls of one method of the management canister in a round.
const CALLS: usize = 64;
/// Grows by as many Wasm pages as its argument says and reads a word of each new page of 4 KiB.
const FRESH: &str = r#"(module
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (func $grow (result i32)
    (call $copy (i32.const 0) (i32.const 0) (i32.const 4))
    (i32.shl (memory.grow (i32.load (i32.const 0))) (i32.const 16)))
  (func (export "canister_update grow") (drop (call $grow)) (call $reply))
  (func (export "canister_update read") (local $at i32) (local $end i32) (local $sum i32)
    (local.set $at (call $grow))
    (local.set $end (i32.shl (memory.size) (i32.const 16)))
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (i32.store (i32.const 0) (local.get $sum)) (call $reply)))"#;

/// Charged to the canister that they are about, or to its first cycles.
pub(super) fn measure(alone: &mut Alone, canister: CanisterId, works: &[u8]) -> Result<Vec<Measured>> {
    let mut all = creating(alone, works)?;
    for (name, method, pages) in [
        ("heap grown by 250 Wasm pages", "grow", 250u32),
        ("heap grown by 250 Wasm pages, a word of each 4 KiB read", "read", 250),
    ] {
        let (fresh, _, _) = alone.canister(&wat::parse_str(FRESH)?)?;
        all.push(super::repeated(alone, fresh, name, method, pages, 1)?);
    }
    all.push(calls(alone)?);
    all.push(failing_transfers(alone)?);
    let bytes = alone.state().canister(&canister).map_or(0, |canister| canister.memory_bytes()) / 1_000_000;
    let name = format!("snapshot of a canister of {bytes} MB");
    all.push(managed(alone, canister, &name, "take_canister_snapshot", 1, |_| snapshot_of(canister))?);
    let call = alone.call(Principal::management_canister(), "take_canister_snapshot", snapshot_of(canister)?);
    let snapshot = Decode!(&alone.run(vec![call])?.0[0], ic::Snapshot)?.id;
    all.push(managed(alone, canister, "2,000,000 bytes of it downloaded", "read_canister_snapshot_data", 1, |_| {
        let kind = ic::SnapshotDataKind::WasmMemory { offset: 1 << 20, size: 2_000_000 };
        Ok(Encode!(&ic::ReadCanisterSnapshotDataArgs { canister_id: canister, snapshot_id: snapshot.clone(), kind })?)
    })?);
    Ok(all)
}

/// Creating and installing; then what small calls about the canister cost.
fn creating(alone: &mut Alone, works: &[u8]) -> Result<Vec<Measured>> {
    let fee = alone.state().ledger.tariff().cost(Resource::CanisterCreation, 1);
    let tiny = wat::parse_str("(module)")?;
    let mut round = 0u8;
    let mut fresh = |wasm: &[u8]| {
        // Another module each time: one that is known is not compiled again.
        round += 1;
        [wasm, &[0, 3, 1, b'n', round]].concat()
    };
    let (mut created, mut all) = (Vec::new(), Vec::new());
    // On test networks anybody gets a canister; the work is that of one that was paid for.
    all.push(shortest("creating a canister", || {
        let (id, elapsed) = alone.create()?;
        created.push(id);
        Ok((fee.get(), elapsed))
    })?);
    for (name, wasm) in [("installing the least module", &tiny[..]), ("installing this benchmark's module", works)] {
        all.push(shortest(name, || {
            let (id, _) = alone.create()?;
            let elapsed = alone.install(id, &fresh(wasm))?;
            Ok((charged(alone, &id), elapsed))
        })?);
    }
    let known = fresh(&tiny);
    all.push(shortest("installing a module that is known", || {
        let (id, _) = alone.create()?;
        alone.install(id, &known)?;
        let (other, _) = alone.create()?;
        let elapsed = alone.install(other, &known)?;
        Ok((charged(alone, &other), elapsed))
    })?);
    let Some(id) = created.first().copied() else { return Ok(all) };
    all.push(managed(alone, id, "`update_settings`", "update_settings", CALLS, |number| {
        let settings = ic::CanisterSettings { freezing_threshold: Some(number.into()), ..Default::default() };
        Ok(Encode!(&ic::UpdateSettingsArgs { canister_id: id, settings, sender_canister_version: None })?)
    })?);
    all.push(managed(alone, id, "`canister_status`", "canister_status", CALLS, |_| {
        Ok(Encode!(&ic::CanisterIdRecord { canister_id: id })?)
    })?);
    all.push(managed(alone, id, "`upload_chunk` of 1 MiB", "upload_chunk", 4, |number| {
        Ok(Encode!(&ic::UploadChunkArgs { canister_id: id, chunk: vec![number as u8; 1 << 20] })?)
    })?);
    Ok(all)
}

/// A call, its answer and the callback, charged to both canisters.
fn calls(alone: &mut Alone) -> Result<Measured> {
    let module = canisters::relay();
    let [(caller, _, _), (callee, _, _)] = [alone.canister(&module)?, alone.canister(&module)?];
    shortest("1,000 calls to another canister, with answer and callback", || {
        let before = charged(alone, &caller) + charged(alone, &callee);
        let argument = [&RELAYED.to_le_bytes()[..], callee.as_slice()].concat();
        let call = alone.call(caller, "run", argument);
        let elapsed = alone.run(vec![call])?.1;
        Ok((charged(alone, &caller) + charged(alone, &callee) - before, elapsed))
    })
}

#[derive(CandidType)]
struct Owner {
    owner: Principal,
}

#[derive(CandidType)]
struct Transfer {
    to: Owner,
    amount: Nat,
}

fn failing_transfers(alone: &mut Alone) -> Result<Measured> {
    shortest(FAILING_TRANSFERS, || {
        let to = Owner { owner: Principal::anonymous() };
        let argument = Encode!(&Transfer { to, amount: Nat::from(1u64 << 60) })?;
        let calls = (0..256).map(|_| alone.call(cycles_ledger_id(), "icrc1_transfer", argument.clone())).collect();
        Ok((0, alone.run(calls)?.1))
    })
}

fn snapshot_of(canister_id: CanisterId) -> Result<Vec<u8>> {
    Ok(Encode!(&ic::TakeCanisterSnapshotArgs {
        canister_id,
        replace_snapshot: None,
        uninstall_code: None,
        sender_canister_version: None,
    })?)
}

/// Some calls of one method about a canister.
fn managed(
    alone: &mut Alone,
    canister: CanisterId,
    name: &str,
    method: &str,
    count: usize,
    argument: impl Fn(usize) -> Result<Vec<u8>>,
) -> Result<Measured> {
    shortest(name, || {
        let before = charged(alone, &canister);
        let call = |number| Ok(alone.call(Principal::management_canister(), method, argument(number)?));
        let calls = (0..count).map(call).collect::<Result<Vec<_>>>()?;
        let (_, elapsed): (_, Duration) = alone.run(calls)?;
        Ok((charged(alone, &canister) - before, elapsed))
    })
}
