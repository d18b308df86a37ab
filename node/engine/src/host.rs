//! What a store holds for the imports of its instance, and the imports themselves.

use crate::{
    imports::{self, system_interface},
    parked::Pause,
};
use mains_execution::{engine::Trap, system_api::SystemApi};
use mains_types::limits::{HEAP_BYTES_MAX, MODULE_TABLE_ENTRIES_MAX};
use wasmtime::{AsContextMut, Caller, Global, Linker, Memory, ResourceLimiter, Val};

/// The data of a store.
#[derive(Default)]
pub(crate) struct Host {
    /// The system interface of the run under way.
    pub(crate) api: Option<SystemApi>,
    /// Why the system interface ended the run.
    pub(crate) trap: Option<Trap>,
    /// Instructions that the run began with.
    pub(crate) instructions: u64,
    /// The instance's count of instructions left.
    pub(crate) gas: Option<Global>,
    /// The instance's mark: below so many instructions left, the hook is called.
    pub(crate) mark: Option<Global>,
    /// Instructions that the run may use until it waits or stops.
    pub(crate) allowance: u64,
    /// Where the run waits for its next slice; without, it stops.
    pub(crate) pause: Option<Pause>,
    /// Whether the run was stopped because its allowance is used up.
    pub(crate) is_stopped: bool,
    /// The instance's memory, if it has one.
    pub(crate) memory: Option<Memory>,
    /// Bytes beyond which growing the memory is a trap, if the run under way has such a limit.
    pub(crate) heap_limit_bytes: Option<u64>,
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = desired as u64;
        if bytes > HEAP_BYTES_MAX || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        match self.heap_limit_bytes {
            Some(limit) if bytes > limit => {
                self.trap = Some(Trap::HeapLimit { bytes, limit });
                Err(wasmtime::Error::msg("stopped by the canister's limit of its heap"))
            }
            _ => Ok(true),
        }
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired as u64 <= MODULE_TABLE_ENTRIES_MAX)
    }
}

/// A pointer-sized integer of a module: `u32` or `u64`.
pub(crate) trait Pointer: wasmtime::WasmTy + Into<u64> {
    /// From the system interface, whose sizes all fit a 32-bit module's memory.
    fn from_wide(value: u64) -> Self;
}

impl Pointer for u32 {
    fn from_wide(value: u64) -> Self {
        value as u32
    }
}

impl Pointer for u64 {
    fn from_wide(value: u64) -> Self {
        value
    }
}

/// Runs one function of the system interface and takes what it costs off the count.
///
/// The reason of a trap stays in the store: an error of the engine is only a signal.
fn call<T>(
    caller: &mut Caller<'_, Host>,
    function: impl FnOnce(&mut SystemApi, &mut [u8]) -> Result<T, Trap>,
) -> wasmtime::Result<T> {
    let (result, charge) = {
        let (heap, host) = match caller.data().memory {
            Some(memory) => memory.data_and_store_mut(caller.as_context_mut()),
            None => (&mut [][..], caller.data_mut()),
        };
        let api = host.api.as_mut().expect("a run is under way");
        let result = function(api, heap);
        (result, api.take_charge())
    };
    let left = gas(caller)?.saturating_sub_unsigned(charge);
    if let Some(gas) = caller.data().gas {
        gas.set(&mut *caller, Val::I64(left))?;
    }
    match result {
        Ok(value) if left >= 0 => Ok(value),
        Ok(_) => stop(caller, Trap::OutOfInstructions),
        Err(trap) => stop(caller, trap),
    }
}

fn stop<T>(caller: &mut Caller<'_, Host>, trap: Trap) -> wasmtime::Result<T> {
    caller.data_mut().trap = Some(trap);
    Err(wasmtime::Error::msg("stopped by the system interface"))
}

/// The hook that instances call when a run has used its allowance: waits for the next slice, or stops the run.
pub(crate) fn allowance_used(mut caller: Caller<'_, Host>) -> wasmtime::Result<()> {
    let heap_bytes = caller.data().memory.map_or(0, |memory| memory.data_size(&caller) as u64);
    let host = caller.data_mut();
    match host.pause.as_ref().and_then(|pause| pause.wait(heap_bytes)) {
        Some(allowance) => set_mark(&mut caller, allowance),
        None => {
            host.is_stopped = true;
            Err(wasmtime::Error::msg("stopped: its allowance is used up"))
        }
    }
}

/// Has the hook called once the run has used more than `allowance` instructions.
pub(crate) fn set_mark(mut store: impl AsContextMut<Data = Host>, allowance: u64) -> wasmtime::Result<()> {
    store.as_context_mut().data_mut().allowance = allowance;
    let host = store.as_context().data().mark.zip(Some(store.as_context().data().instructions));
    let (mark, instructions) = host.ok_or_else(|| wasmtime::Error::msg("an instance without a mark"))?;
    let left = i64::try_from(instructions.saturating_sub(allowance)).unwrap_or(i64::MAX);
    mark.set(store, Val::I64(left))
}

/// Instructions left.
fn gas(caller: &mut Caller<'_, Host>) -> wasmtime::Result<i64> {
    let gas = caller.data().gas.ok_or_else(|| wasmtime::Error::msg("an instance without a count"))?;
    gas.get(&mut *caller).i64().ok_or_else(|| wasmtime::Error::msg("a count of another type"))
}

/// Instructions used so far in this run.
fn used(caller: &mut Caller<'_, Host>) -> wasmtime::Result<u64> {
    let left = gas(caller)?.max(0) as u64;
    Ok(caller.data().instructions.saturating_sub(left))
}

/// Defines the system interface for modules whose pointers are `P`; those only for 32-bit modules are defined for all, validation
/// keeps other modules from importing them.
pub(crate) fn link<P: Pointer>(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    macro_rules! define {
        (@argument $argument:ident P) => { $argument.into() };
        (@argument $argument:ident $type:ident) => { $argument };
        (@result $result:ident P) => { P::from_wide($result) };
        (@result $result:ident $type:ident) => { $result };
        (@result $result:ident) => { $result };
        (@call plain $caller:ident $name:ident($($argument:expr),*)) => {
            call(&mut $caller, |api, _| api.$name($($argument),*))?
        };
        (@call heap $caller:ident $name:ident($($argument:expr),*)) => {
            call(&mut $caller, |api, heap| api.$name(heap, $($argument),*))?
        };
        (@call counter $caller:ident $name:ident($($argument:expr),*)) => {{
            let used = used(&mut $caller)?;
            call(&mut $caller, |api, _| api.$name($($argument,)* used))?
        }};
        (@type P) => { P };
        (@type $type:ident) => { $type };
        (@type) => { () };
        ($($width:ident $memory:ident fn $name:ident($($argument:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
            $(linker.func_wrap(
                imports::MODULE,
                stringify!($name),
                |mut caller: Caller<'_, Host> $(, $argument: define!(@type $type))*| -> wasmtime::Result<define!(@type $($result)?)> {
                    let result = define!(@call $memory caller $name($(define!(@argument $argument $type)),*));
                    Ok(define!(@result result $($result)?))
                },
            )?;)*
        };
    }
    system_interface!(define);
    Ok(())
}
