//! Whether what was uploaded for a snapshot can run: a valid module, and memories and globals that fit it.
//!
//! The engine takes heaps of the state as they are, so whatever does not fit its module must stop here.

use crate::{
    calls::SystemCall,
    engine::{GlobalInfo, GlobalType},
    low_memory,
    management::{Halt, install, module, refusal},
};
use mains_state::{
    Canister, Code, Heap,
    snapshot::{Global, HookStatus, Upload},
};
use mains_types::Reject;
use std::borrow::Cow;

/// The uploaded code with its memories.
///
/// # Errors
/// The first thing that does not fit.
pub(super) fn code(
    call: &mut SystemCall<'_>,
    canister: &Canister,
    (id, upload): (&[u8], &Upload),
    hook: Option<HookStatus>,
) -> Result<Code, Halt> {
    let mut bytes = vec![0; upload.module_bytes as usize];
    upload.module.read(0, &mut bytes);
    if call.steps.module.as_ref().is_some_and(|prepared| prepared.hash != module::hash(&bytes)) {
        return Err(refusal::changed_meanwhile(id).into());
    }
    let module = install::accept_module(call, |_| Ok(Cow::Owned(bytes)))?;
    let fresh = install::instantiate(call, canister, &module)?;
    let (least, most) = (fresh.bytes, module.info.memory_bytes_max);
    if !(least..=most.max(least)).contains(&upload.heap_bytes) {
        return Err(refusal::payload(format!(
            "The snapshot's heap has {} bytes, its module's has {least} to {most}.",
            upload.heap_bytes
        ))
        .into());
    }
    let globals = words(&module.info.globals, &upload.globals)?;
    if let Some(hook) = hook
        && (hook != HookStatus::ConditionNotSatisfied) != low_memory::is_low(&canister.settings, upload.heap_bytes)
    {
        return Err(refusal::payload(
            "The snapshot's on_low_wasm_memory_hook_status does not fit its heap and the canister's settings.",
        )
        .into());
    }
    let heap = Heap { pages: upload.heap.clone(), bytes: upload.heap_bytes, globals };
    Ok(install::code(&module, heap, upload.stable.clone(), upload.stable_pages))
}

/// The values of the mutable globals, as a heap has them.
fn words(expected: &[GlobalInfo], given: &[Global]) -> Result<Vec<u64>, Reject> {
    let failed = |what: String| Err(refusal::payload(format!("The snapshot's globals do not fit its module: {what}.")));
    if expected.len() != given.len() {
        return failed(format!("{} are given, it has {}", given.len(), expected.len()));
    }
    let mut words = Vec::new();
    for (index, (info, global)) in expected.iter().zip(given).enumerate() {
        let (ty, bits) = match *global {
            Global::I32(bits) => (GlobalType::I32, u128::from(bits)),
            Global::I64(bits) => (GlobalType::I64, u128::from(bits)),
            Global::F32(bits) => (GlobalType::F32, u128::from(bits)),
            Global::F64(bits) => (GlobalType::F64, u128::from(bits)),
            Global::V128(bits) => (GlobalType::V128, bits),
        };
        if ty != info.ty {
            return failed(format!("number {index} is {ty:?}, it should be {:?}", info.ty));
        }
        match info.constant {
            Some(constant) if constant != bits => return failed(format!("number {index} cannot change")),
            Some(_) => {}
            None => {
                words.push(bits as u64);
                words.extend((ty == GlobalType::V128).then_some((bits >> 64) as u64));
            }
        }
    }
    Ok(words)
}
