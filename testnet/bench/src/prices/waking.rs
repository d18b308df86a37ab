//! Messages that wake canisters: their heaps, all of it pages that are held whole, are in no live instance.

use super::{Measured, call, charged, shortest};
use crate::alone::Alone;
use anyhow::{Result, ensure};
use mains_types::{CanisterId, limits::AWAKE_CANISTERS_MAX};

/// MiB of the heaps: what is charged must not fall behind what it costs where there is more.
const HEAPS_MIB: [u32; 2] = [64, 512];

/// Runs a message of each of many others, so that the canister sleeps.
const IDLE: &str =
    r#"(module (import "ic0" "msg_reply" (func $reply)) (func (export "canister_update nothing") (call $reply)))"#;

/// Fills every page.
fn filled(mib: u32) -> String {
    format!(
        r#"(module
  (import "ic0" "msg_reply" (func $reply))
  (memory {})
  (func (export "canister_update fill") (local $at i32)
    (loop $next
      (memory.fill (local.get $at) (i32.or (i32.const 1) (i32.shr_u (local.get $at) (i32.const 16))) (i32.const 65536))
      (local.set $at (i32.add (local.get $at) (i32.const 65536)))
      (br_if $next (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))))
    (call $reply))
  (func (export "canister_update nothing") (call $reply)))"#,
        mib * 16
    )
}

/// Charged to the canister that is woken.
pub(super) fn measure(alone: &mut Alone) -> Result<Vec<Measured>> {
    let idle = wat::parse_str(IDLE)?;
    let others = (0..AWAKE_CANISTERS_MAX).map(|_| Ok(alone.canister(&idle)?.0)).collect::<Result<Vec<_>>>()?;
    HEAPS_MIB.into_iter().map(|mib| wake(alone, &others, mib)).collect()
}

fn wake(alone: &mut Alone, others: &[CanisterId], mib: u32) -> Result<Measured> {
    let module = wat::parse_str(filled(mib))?;
    let [(canister, _, _), (twin, _, _)] = [alone.canister(&module)?, alone.canister(&module)?];
    let fill = call(alone, canister, "fill", 0);
    alone.run(vec![fill])?;
    shortest(&format!("message that wakes a heap of {mib} MiB"), || {
        let calls = others.iter().map(|other| call(alone, *other, "nothing", 0)).collect();
        alone.run(calls)?;
        ensure!(!alone.state().awake.has(&canister), "the canister is awake");
        alone.restart()?;
        // Compiles the module again.
        let first = call(alone, twin, "nothing", 0);
        alone.run(vec![first])?;
        let before = charged(alone, &canister);
        let waking = call(alone, canister, "nothing", 0);
        let (_, elapsed) = alone.run(vec![waking])?;
        Ok((charged(alone, &canister) - before, elapsed))
    })
}
