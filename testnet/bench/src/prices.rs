//! Whether any operation is priced below what it costs: `mains-bench --prices`.
//!
//! An instruction has a price, and this core executes so many instructions of ordinary code in a second; so a nanosecond of it is
//! worth so many cycles. Every operation is measured in one replica without consensus: what the payer was charged, against
//! the time it took, worth that many cycles. Below 1 an operation would buy time cheaper than ordinary code does.

use crate::{
    alone::Alone,
    report::{Line, time},
};
use anyhow::{Result, ensure};
use candid::Encode;
use ic_management_canister_types as ic;
use mains_types::CanisterId;
use std::time::Duration;

/// Rounds; the shortest time of each operation counts.
const ROUNDS: usize = 5;

/// Everything that is tried. Each method reads how often it shall do its work from its argument (4 bytes, little endian).
const WORKS: &str = r#"(module
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "time" (func $time (result i64)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (import "ic0" "canister_cycle_balance128" (func $balance (param i32)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
  (memory 1040)
  (table 4 funcref)
  (elem (i32.const 0) $leaf $leaf $leaf $leaf)
  (type $plain (func (param i32) (result i32)))
  (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $count (result i32)
    (call $copy (i32.const 0) (i32.const 0) (i32.const 4))
    (i32.load (i32.const 0)))
  (func (export "canister_update nothing") (call $reply))
  (func (export "canister_update argument") (call $copy (i32.const 0) (i32.const 0) (call $size)) (call $reply))
  (func (export "canister_update mix") (local $left i32) (local $at i32) (local $a i32) (local $b i32)
    (local.set $left (call $count)) (local.set $a (i32.const 0x6a09e667)) (local.set $b (i32.const 0xbb67ae85))
    (loop $round
      (local.set $at (i32.shl (i32.and (local.get $left) (i32.const 15)) (i32.const 2)))
      (local.set $a (i32.add
        (i32.xor (i32.xor (i32.rotr (local.get $a) (i32.const 6)) (i32.rotr (local.get $a) (i32.const 11))) (i32.rotr (local.get $a) (i32.const 25)))
        (i32.add (i32.load offset=64 (local.get $at)) (local.get $b))))
      (local.set $b (i32.xor (i32.and (local.get $a) (local.get $b)) (i32.and (i32.xor (local.get $a) (i32.const -1)) (i32.const 0x428a2f98))))
      (i32.store offset=64 (local.get $at) (i32.add (local.get $a) (i32.rotl (local.get $b) (i32.const 15))))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.store (i32.const 0) (i32.xor (local.get $a) (local.get $b))) (call $reply))
  (func (export "canister_update divide") (local $left i32) (local $x i64)
    (local.set $left (call $count)) (local.set $x (i64.const -1))
    (loop $round
      (local.set $x (i64.add (i64.rem_u (i64.sub (i64.const -3) (local.get $x)) (i64.or (local.get $x) (i64.const 3))) (i64.div_s (local.get $x) (i64.const 7))))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i64.store (i32.const 0) (local.get $x)) (call $reply))
  (func (export "canister_update root") (local $left i32) (local $x f64)
    (local.set $left (call $count)) (local.set $x (f64.const 1e300))
    (loop $round
      (local.set $x (f64.add (f64.sqrt (local.get $x)) (f64.div (f64.const 1) (local.get $x))))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (f64.store (i32.const 0) (local.get $x)) (call $reply))
  (func (export "canister_update indirect") (local $left i32) (local $x i32)
    (local.set $left (call $count))
    (loop $round
      (local.set $x (call_indirect (type $plain) (local.get $x) (i32.and (local.get $left) (i32.const 3))))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.store (i32.const 0) (local.get $x)) (call $reply))
  (func (export "canister_update miss") (local $left i32) (local $at i32)
    (local.set $left (call $count))
    (loop $round
      (local.set $at (i32.and (i32.add (i32.mul (local.get $at) (i32.const 1664525)) (i32.add (i32.load (local.get $at)) (i32.const 1013904223))) (i32.const 0x3fffffc)))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  (func (export "canister_update fill") (local $left i32)
    (local.set $left (call $count))
    (loop $round
      (memory.fill (i32.const 65536) (local.get $left) (i32.const 1048576))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  (func (export "canister_update touch") (local $left i32) (local $at i32)
    (local.set $left (call $count))
    (loop $round
      (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1)))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  (func (export "canister_update system") (local $left i32)
    (local.set $left (call $count))
    (loop $round
      (drop (call $time))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  (func (export "canister_update balance") (local $left i32)
    (local.set $left (call $count))
    (loop $round
      (call $balance (i32.const 64))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  (func (export "canister_update print") (local $left i32)
    (local.set $left (call $count))
    (loop $round
      (call $print (i32.const 65536) (i32.const 1024))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  (func (export "canister_update certify") (local $left i32)
    (local.set $left (call $count))
    (loop $round
      (call $certify (i32.const 0) (i32.const 32))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  (func (export "canister_update grow") (drop (call $grow (i64.extend_i32_u (call $count)))) (call $reply))
  (func (export "canister_update stable_write") (local $left i32) (local $at i64)
    (local.set $left (call $count))
    (loop $round
      (call $write (local.get $at) (i64.const 65536) (i64.const 65536))
      (local.set $at (i64.add (local.get $at) (i64.const 65536)))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  (func (export "canister_update stable_scatter") (local $left i32) (local $at i64)
    (local.set $left (call $count))
    (loop $round
      (call $write (local.get $at) (i64.extend_i32_u (local.get $left)) (i64.const 1))
      (local.set $at (i64.add (local.get $at) (i64.const 4096)))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  (func (export "canister_update stable_read") (local $left i32) (local $at i64)
    (local.set $left (call $count))
    (loop $round
      (call $read (i64.const 65536) (local.get $at) (i64.const 65536))
      (local.set $at (i64.add (local.get $at) (i64.const 65536)))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply)))"#;

/// An operation: how often the method does its work in one message, and how many messages.
const OPERATIONS: [(&str, &str, u32, usize); 17] = [
    ("message without work", "nothing", 0, 256),
    ("argument of 1 MiB, copied", "argument", 1 << 18, 8),
    ("divisions of 64 bits", "divide", 20_000_000, 1),
    ("square roots and divisions of doubles", "root", 20_000_000, 1),
    ("calls through a table", "indirect", 20_000_000, 1),
    ("loads all over 64 MiB", "miss", 20_000_000, 1),
    ("memory.fill of 1 MiB", "fill", 200, 1),
    ("one word written in each of 16,000 pages", "touch", 16_000, 1),
    ("the same, 10 pages in a message", "touch", 10, 256),
    ("system call `time`", "system", 2_000_000, 1),
    ("system call `canister_cycle_balance128`", "balance", 2_000_000, 1),
    ("`debug_print` of 1 KiB", "print", 20_000, 1),
    ("`certified_data_set`, 256 messages", "certify", 1, 256),
    ("stable memory, 64 MiB written", "stable_write", 1_000, 1),
    ("stable memory, a byte in each of 16,000 pages", "stable_scatter", 16_000, 1),
    ("stable memory, 64 MiB read", "stable_read", 1_000, 1),
    ("stable memory grown by 1 page, 64 messages", "grow", 1, 64),
];

/// What an operation was charged and how long it took.
struct Measured {
    name: String,
    charged: u128,
    elapsed: Duration,
}

pub(crate) fn measure() -> Result<Vec<Line>> {
    let works = wat::parse_str(WORKS)?;
    let mut alone = Alone::new()?;
    let (canister, _, _) = alone.canister(&works)?;
    let room = alone_call(&mut alone, canister, "grow", 2_000);
    alone.run(vec![room])?;
    let unit = repeated(&mut alone, canister, "ordinary code", "mix", 20_000_000, 1)?;
    let worth = unit.charged as f64 / unit.elapsed.as_nanos() as f64;
    let mut all = Vec::new();
    for (name, method, work, messages) in OPERATIONS {
        all.push(repeated(&mut alone, canister, name, method, work, messages)?);
    }
    all.extend(managed(&mut alone, canister, &works)?);
    let again = repeated(&mut alone, canister, "ordinary code, again", "mix", 20_000_000, 1)?;
    all.insert(0, unit);
    all.push(again);
    let line = |measured: &Measured| Line {
        name: measured.name.clone(),
        figure: format!("{} cycles", measured.charged),
        floor: format!("{}, worth {:.0} cycles", time(measured.elapsed), worth * measured.elapsed.as_nanos() as f64),
        ratio: format!("{:.2}x", measured.charged as f64 / (worth * measured.elapsed.as_nanos() as f64)),
        target: "1x",
    };
    Ok(all.iter().map(line).collect())
}

fn alone_call(alone: &mut Alone, canister: CanisterId, method: &str, work: u32) -> mains_execution::Call {
    let bytes = if method == "argument" { vec![1; 4 * work as usize] } else { work.to_le_bytes().to_vec() };
    alone.call(canister, method, bytes)
}

/// Runs an operation some times; per message, the shortest time and what was charged then.
fn repeated(
    alone: &mut Alone,
    canister: CanisterId,
    name: &str,
    method: &str,
    work: u32,
    messages: usize,
) -> Result<Measured> {
    let mut best: Option<Measured> = None;
    for _ in 0..ROUNDS {
        let calls = (0..messages).map(|_| alone_call(alone, canister, method, work)).collect();
        let before = alone.balance(&canister);
        let elapsed = alone.run(calls)?.1;
        let charged = before.checked_sub(alone.balance(&canister));
        ensure!(charged.is_some(), "a canister cannot earn by work");
        if best.as_ref().is_none_or(|best| elapsed < best.elapsed) {
            best = Some(Measured { name: name.into(), charged: charged.unwrap_or(0), elapsed });
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

/// Creating, installing, snapshots: charged to the canister that they are about, or to its first cycles.
fn managed(alone: &mut Alone, canister: CanisterId, works: &[u8]) -> Result<Vec<Measured>> {
    let mut all: Vec<Measured> = Vec::new();
    for round in 0..ROUNDS {
        // Another module each time: one that is known is not compiled again.
        let mut module = works.to_vec();
        module.extend([0, 3, 1, b'n', round as u8]);
        let (id, creating, installing) = alone.canister(&module)?;
        let account = alone.state().ledger.canister(&id).cloned().unwrap_or_default();
        let creation = account.meter(mains_ledger::Resource::CanisterCreation).charged;
        all.push(Measured { name: "creating a canister".into(), charged: creation, elapsed: creating });
        let rest = account.charged() - creation;
        let name = format!("installing a module of {} bytes", works.len());
        all.push(Measured { name, charged: rest, elapsed: installing });
    }
    for _ in 0..ROUNDS {
        let before = alone.balance(&canister);
        let args = ic::TakeCanisterSnapshotArgs {
            canister_id: canister,
            replace_snapshot: None,
            uninstall_code: None,
            sender_canister_version: None,
        };
        let elapsed = alone.manage("take_canister_snapshot", Encode!(&args)?)?;
        let charged = before - alone.balance(&canister);
        all.push(Measured { name: "snapshot of a canister of 200 MB".into(), charged, elapsed });
    }
    let mut best: Vec<Measured> = Vec::new();
    for one in all {
        match best.iter_mut().find(|best| best.name == one.name) {
            Some(best) if best.elapsed <= one.elapsed => {}
            Some(best) => *best = one,
            None => best.push(one),
        }
    }
    Ok(best)
}
