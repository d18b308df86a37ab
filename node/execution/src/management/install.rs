//! Installing, reinstalling and upgrading: all hooks run on a draft that takes the canister's place if they succeed.

use super::{Halt, chunks, codec, lifecycle, module, publisher, refusal};
use crate::{
    calls::SystemCall,
    charges,
    engine::{INSPECT_INSTRUCTIONS_PER_BYTE, MODULE_INSTRUCTIONS, ModuleInfo, SectionVisibility},
    hooks::{self, Hook, run_hook},
    traps,
};
use candid::{CandidType, Deserialize};
use ic_management_canister_types as ic;
use mains_state::{Accepted, Canister, ChangeKind, Code, Exports, Heap, PUBLISHER_SECTION, PageTree, Section};
use mains_types::{CanisterId, Cycles, Digest32, Principal, Reject, limits};
use std::{borrow::Cow, sync::Arc};

/// The arguments of `install_code` with the module read in one piece: byte by byte, as [`ic::InstallCodeArgs`] has it, takes
/// longer than all else about a module that is known.
#[derive(CandidType, Deserialize)]
pub(super) struct InstallCode {
    mode: ic::CanisterInstallMode,
    canister_id: CanisterId,
    #[serde(with = "serde_bytes")]
    wasm_module: Vec<u8>,
    #[serde(with = "serde_bytes")]
    arg: Vec<u8>,
    pub(super) sender_canister_version: Option<u64>,
}

/// `install_code`.
pub(super) fn install_code(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Halt> {
    let (args,) = codec::decode::<(InstallCode,)>(call.method, call.argument)?;
    lifecycle::controlled(call, &args.canister_id)?;
    let by = (call.sender, args.sender_canister_version);
    install(call, &args.canister_id, by, args.mode, |_| Ok(Cow::Borrowed(&args.wasm_module)), &args.arg)
}

/// `install_chunked_code`.
pub(super) fn install_chunked_code(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Halt> {
    let (args,) = codec::decode::<(ic::InstallChunkedCodeArgs,)>(call.method, call.argument)?;
    lifecycle::controlled(call, &args.target_canister)?;
    let store = args.store_canister.unwrap_or(args.target_canister);
    if store != args.target_canister {
        chunks::require_store_access(call, &store, &call.sender)?;
    }
    let by = (call.sender, args.sender_canister_version);
    let uploaded = |call: &SystemCall<'_>| chunks::assemble(call, &store, &args).map(Cow::Owned);
    install(call, &args.target_canister, by, args.mode, uploaded, &args.arg)
}

/// A module that the engine has accepted.
pub(super) struct Module {
    wasm: Arc<serde_bytes::ByteBuf>,
    hash: Digest32,
    pub(super) info: Arc<ModuleInfo>,
    /// Who signed it.
    publisher: Option<Principal>,
}

fn install<'a>(
    call: &mut SystemCall<'_>,
    id: &CanisterId,
    by: (Principal, Option<u64>),
    mode: ic::CanisterInstallMode,
    uploaded: impl FnOnce(&SystemCall<'_>) -> Result<Cow<'a, [u8]>, Reject>,
    argument: &[u8],
) -> Result<Vec<u8>, Halt> {
    let mut draft = lifecycle::controlled(call, id)?.clone();
    match (&mode, &draft.code) {
        (ic::CanisterInstallMode::Install, Some(_)) => return Err(refusal::not_empty(id).into()),
        (ic::CanisterInstallMode::Upgrade(_), None) => return Err(refusal::no_code(id).into()),
        _ => {}
    }
    let bytes_before = draft.memory_bytes();
    let module = accept_module(call, uploaded)?;
    let mode = match mode {
        ic::CanisterInstallMode::Install => install_fresh(call, &mut draft, &module, argument).map(|()| "install"),
        ic::CanisterInstallMode::Reinstall => install_fresh(call, &mut draft, &module, argument).map(|()| "reinstall"),
        ic::CanisterInstallMode::Upgrade(flags) => {
            upgrade(call, &mut draft, &module, flags.unwrap_or_default(), argument).map(|()| "upgrade")
        }
    }?;
    hooks::burn(call, &mut draft)?;
    draft.version += 1;
    draft.installed_at = Some(call.state.time);
    draft.record_change(call.state.time, by, ChangeKind::Deployment(mode.into(), module.hash));
    let has_grown = draft.memory_bytes() > bytes_before;
    call.state.replace_canister(draft);
    if call.steps.is_awake {
        call.state.awake.wake(id);
    } else {
        call.state.awake.sleep(id);
    }
    if has_grown {
        charges::require_liquid(call.state, id, Cycles::ZERO)?;
    }
    Ok(codec::encode_nothing())
}

/// The module of a call: compiled in this round if that is little work, or some canister has it already, so that replicas have
/// it ready; else the call is halted until there was time to do it.
pub(super) fn accept_module<'a>(
    call: &mut SystemCall<'_>,
    uploaded: impl FnOnce(&SystemCall<'_>) -> Result<Cow<'a, [u8]>, Reject>,
) -> Result<Module, Halt> {
    let accepted = match &call.steps.module {
        Some(accepted) => accepted.clone(),
        None => {
            let uploaded = uploaded(call)?;
            let (accepted, weight) = look(call, &uploaded)?;
            let is_known = call.state.is_installed(&accepted.hash);
            if weight > limits::COMPILE_AT_ONCE_INSTRUCTIONS_MAX && !is_known {
                return Err(Halt::Prepare(accepted, weight));
            }
            let apart = if is_known { 0 } else { MODULE_INSTRUCTIONS };
            call.compiled = call.compiled.saturating_add(weight).saturating_add(apart);
            let counted = if is_known { &mut call.known } else { &mut call.compiled_here };
            *counted = counted.saturating_add(weight);
            call.steps.module = Some(accepted.clone());
            accepted
        }
    };
    let Accepted { wasm, hash, publisher, .. } = accepted;
    let info = call.engine.module(&wasm).map_err(refusal::invalid_module)?;
    call.engine.hold(std::slice::from_ref(&wasm), &|_, _| {});
    Ok(Module { wasm, hash, info, publisher })
}

/// Unpacks a module, sees who published it, has the engine check it, and tells what compiling it costs.
fn look(call: &mut SystemCall<'_>, uploaded: &[u8]) -> Result<(Accepted, u64), Reject> {
    let hash = module::hash(uploaded);
    // Charged before the work is done, so that what fails costs the same.
    charge_inspection(call, uploaded.len());
    let wasm = module::unpack(uploaded)?.into_owned();
    charge_inspection(call, wasm.len());
    let publisher = publisher::of(&call.state.subnet, &wasm)?;
    let info = call.engine.inspect(&wasm).map_err(refusal::invalid_module)?;
    if info.sections.contains_key(PUBLISHER_SECTION) {
        return Err(refusal::invalid_module(format!(
            "it has a custom section \"{PUBLISHER_SECTION}\", which only a signature makes"
        )));
    }
    let id = *blake3::hash(&wasm).as_bytes();
    Ok((Accepted { wasm: Arc::new(wasm.into()), id, hash, publisher }, info.compile_instructions))
}

fn charge_inspection(call: &mut SystemCall<'_>, bytes: usize) {
    call.compiled = call.compiled.saturating_add(INSPECT_INSTRUCTIONS_PER_BYTE.saturating_mul(bytes as u64));
}

/// The module on empty memories; then start function and `canister_init`.
fn install_fresh(
    call: &mut SystemCall<'_>,
    draft: &mut Canister,
    module: &Module,
    argument: &[u8],
) -> Result<(), Halt> {
    let heap = instantiate(call, draft, module)?;
    draft.code = Some(code(module, heap, PageTree::default(), 0));
    draft.certified_data.clear();
    draft.global_timer = None;
    run_hook(call, draft, Hook::Start, &[])?;
    run_hook(call, draft, Hook::Init, argument)
}

/// `canister_pre_upgrade` of the old module; then start function and `canister_post_upgrade` of the new one, on the stable
/// memory that the old one left and on its heap too if that is asked for.
fn upgrade(
    call: &mut SystemCall<'_>,
    draft: &mut Canister,
    module: &Module,
    flags: ic::UpgradeFlags,
    argument: &[u8],
) -> Result<(), Halt> {
    let keeps_heap = keeps_heap(call, draft, module, flags)?;
    if flags.skip_pre_upgrade != Some(true) {
        run_hook(call, draft, Hook::PreUpgrade, &[])?;
    }
    let mut heap = instantiate(call, draft, module)?;
    let Some(old) = draft.code.take() else { return Err(refusal::no_code(&draft.id).into()) };
    if keeps_heap {
        heap = Heap { bytes: heap.bytes.max(old.heap.bytes), pages: old.heap.pages, globals: heap.globals };
    }
    draft.code = Some(code(module, heap, old.stable, old.stable_pages));
    draft.global_timer = None;
    run_hook(call, draft, Hook::Start, &[])?;
    run_hook(call, draft, Hook::PostUpgrade, argument)
}

/// Whether the upgrade keeps the heap. A canister whose heap is made to be kept is not upgraded unless the request says
/// what becomes of it, so that no tool drops it unawares.
fn keeps_heap(
    call: &SystemCall<'_>,
    draft: &Canister,
    module: &Module,
    flags: ic::UpgradeFlags,
) -> Result<bool, Reject> {
    match flags.wasm_memory_persistence {
        Some(ic::WasmMemoryPersistence::Keep) if module.info.orthogonal_persistence => Ok(true),
        Some(ic::WasmMemoryPersistence::Keep) => Err(refusal::invalid_module(
            "an upgrade that keeps the heap needs a module with the private custom section enhanced-orthogonal-persistence",
        )),
        Some(ic::WasmMemoryPersistence::Replace) => Ok(false),
        None => {
            let old = draft.code.as_ref().and_then(|code| call.engine.module(&code.wasm).ok());
            if old.is_some_and(|info| info.orthogonal_persistence) {
                return Err(refusal::payload(
                    "Missing upgrade option: enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade option.",
                ));
            }
            Ok(false)
        }
    }
}

/// The heap that the module begins with.
pub(super) fn instantiate(call: &SystemCall<'_>, draft: &Canister, module: &Module) -> Result<Heap, Reject> {
    let heap = call.engine.instantiate(&module.wasm).map_err(|trap| traps::reject(&draft.id, &trap))?;
    let limit = draft.settings.wasm_memory_limit;
    if limit != 0 && heap.bytes > limit {
        return Err(refusal::heap_too_large(&draft.id, heap.bytes, limit));
    }
    Ok(heap)
}

/// The module with these memories.
pub(super) fn code(module: &Module, heap: Heap, stable: PageTree, stable_pages: u64) -> Code {
    let section = |(name, (visibility, content)): (&String, &(SectionVisibility, Vec<u8>))| {
        let is_public = *visibility == SectionVisibility::Public;
        (name.clone(), Section { is_public, content: Arc::new(content.clone().into()) })
    };
    let exports = Exports {
        updates: module.info.updates.clone(),
        queries: module.info.queries.clone(),
        composite_queries: module.info.composite_queries.clone(),
        hooks: module.info.hooks.clone(),
    };
    let published = module.publisher.map(|publisher| {
        let content = Arc::new(publisher.to_text().into_bytes().into());
        (PUBLISHER_SECTION.to_owned(), Section { is_public: true, content })
    });
    let sections = module.info.sections.iter().map(section).chain(published).collect();
    let mut code = Code::new(module.wasm.clone(), module.hash, heap, sections, exports);
    (code.stable, code.stable_pages) = (stable, stable_pages);
    code
}
