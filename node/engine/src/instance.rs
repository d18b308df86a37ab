//! A live instance: a module with a memory that equals one heap of the state. Between runs it is nothing but a cache of that.

mod ending;

use crate::{
    host::{self, Host},
    instrument::{self, FAR, GAS, HOOK, MARK, MEMORY, STACK, START, TABLE, global_export},
    modules::Module,
    outcome,
    parked::Pause,
    tracker::Tracker,
};
use mains_execution::{
    engine::{Entry, Ran, Trap},
    system_api::SystemApi,
};
use mains_state::{Continuation, Heap, PAGE_BYTES, PageTree, memory::Page};
use mains_types::limits::{STACK_SLOTS_MAX, WASM_PAGE_BYTES};
use std::{collections::HashMap, ops::Range, sync::Arc};
use wasmtime::{Func, Global, Instance, Memory, Ref, Store, Table, TypedFunc, Val};

/// Bytes of host memory of an instance beside its pages, about: page tables, store, globals, tables.
pub(crate) const INSTANCE_BYTES: u64 = 32 << 10;
/// Pages that are copied into an instance before somebody looks whether a slice is used up: about 5 ms of work.
const PAGES_AT_ONCE: u64 = 1_024;

const ZEROES: Page = [0; PAGE_BYTES];

/// A live instance. Memory and globals equal `heap` whenever nothing runs.
pub(crate) struct Live {
    pub(crate) module: Arc<Module>,
    store: Store<Host>,
    instance: Instance,
    gas: Global,
    stack: Global,
    far: Global,
    globals: Vec<Global>,
    memory: Option<Memory>,
    table: Option<Table>,
    entries: HashMap<String, TypedFunc<(), ()>>,
    heap: Heap,
    tracker: Arc<Tracker>,
}

impl Live {
    /// A fresh instance: memory all zeroes, without data segments.
    ///
    /// # Errors
    /// An element segment that does not fit the table.
    pub(crate) fn new(module: Arc<Module>, tracker: Arc<Tracker>) -> Result<Self, Trap> {
        let mut store = Store::new(module.pre.module().engine(), Host::default());
        store.limiter(|host| host);
        let instance = module.pre.instantiate(&mut store).map_err(|error| outcome::trap_of(&error))?;
        let mut global = |name: &str| instance.get_global(&mut store, name).expect("the pass exports it");
        let (gas, stack, mark, far) = (global(GAS), global(STACK), global(MARK), global(FAR));
        let globals = module.globals.iter().map(|index| global(&global_export(*index))).collect();
        let memory = instance.get_memory(&mut store, MEMORY);
        let table = instance.get_table(&mut store, TABLE);
        let hook = instance.get_table(&mut store, HOOK).expect("the pass exports it");
        let allowance_used = Func::wrap(&mut store, host::allowance_used);
        hook.set(&mut store, 0, Ref::Func(Some(allowance_used))).expect("the pass made it a table of one function");
        store.data_mut().gas = Some(gas);
        store.data_mut().mark = Some(mark);
        store.data_mut().memory = memory;
        let mut live = Self {
            module,
            store,
            instance,
            gas,
            stack,
            far,
            globals,
            memory,
            table,
            entries: HashMap::new(),
            heap: Heap::default(),
            tracker,
        };
        live.heap = Heap { pages: PageTree::default(), bytes: live.bytes(), globals: live.read_globals() };
        Ok(live)
    }

    /// The heap that it equals.
    pub(crate) fn into_heap(self) -> Heap {
        self.heap
    }

    /// Pages of its memory that are not all zeroes.
    pub(crate) fn pages_count(&self) -> u64 {
        self.heap.pages.len()
    }

    /// Bytes of host memory that it takes, about.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.heap.pages.len() * PAGE_BYTES as u64 + INSTANCE_BYTES
    }

    /// Whether [`Live::become_heap`] can make it equal a heap of that size: memories do not shrink.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.bytes() <= bytes
    }

    /// Makes memory and globals equal `heap`, touching only what differs.
    ///
    /// # Panics
    /// If the heap is no heap of this module.
    pub(crate) fn become_heap(&mut self, heap: &Heap) {
        let _is_done = self.become_heap_while(heap, &mut |_| true);
    }

    /// The same, asking now and then whether to go on, with how many pages were copied. If the answer is no, so is this one's,
    /// and the instance is of no more use.
    ///
    /// # Panics
    /// If the heap is no heap of this module.
    #[must_use]
    pub(crate) fn become_heap_while(&mut self, heap: &Heap, goes_on: &mut dyn FnMut(u64) -> bool) -> bool {
        if let Some(missing) = heap.bytes.checked_sub(self.bytes()).filter(|bytes| *bytes > 0) {
            let memory = self.memory.expect("a heap with bytes belongs to a module with memory");
            memory
                .grow(&mut self.store, missing / WASM_PAGE_BYTES)
                .expect("a heap of the state fits its module's memory");
        }
        if let Some(memory) = self.memory
            && !heap.pages.same(&self.heap.pages)
        {
            let bytes = memory.data_mut(&mut self.store);
            let (start, length) = (bytes.as_ptr() as usize, bytes.len());
            // What was copied since a portion began, at this offset, counts as written still.
            let (mut copied, mut begun, mut is_wanted) = (0, 0, true);
            heap.pages.diff(&self.heap.pages, &mut |index, page: Option<&Page>| {
                if !is_wanted {
                    return;
                }
                bytes[span(index)].copy_from_slice(page.map_or(&ZEROES[..], |page| &page[..]));
                copied += 1;
                if copied % PAGES_AT_ONCE == 0 {
                    let end = span(index).end;
                    self.tracker.forget(start + begun, end - begun);
                    begun = end;
                    is_wanted = goes_on(copied);
                }
            });
            if !is_wanted {
                return false;
            }
            self.tracker.forget(start + begun, length - begun);
        }
        if heap.globals != self.heap.globals {
            self.write_globals(&heap.globals);
        }
        self.heap = heap.clone();
        true
    }

    /// Runs one entry point to its end. Afterwards the instance equals the heap that is handed back, unless `fits` says otherwise.
    pub(crate) fn run(&mut self, entry: &Entry, api: SystemApi, instructions: u64, commit: bool) -> Ran {
        let (ran, _) = self.run_within(entry, api, instructions, commit, instructions, None);
        ran
    }

    /// Runs one entry point; once it has used more than `allowance` instructions, it waits at `pause` for more or, without
    /// one, is stopped and undone. The flag says whether it was; then there is no outcome.
    pub(crate) fn run_within(
        &mut self,
        entry: &Entry,
        api: SystemApi,
        instructions: u64,
        commit: bool,
        allowance: u64,
        pause: Option<Pause>,
    ) -> (Ran, bool) {
        let limit = i64::try_from(instructions).unwrap_or(i64::MAX);
        let host = self.store.data_mut();
        host.heap_limit_bytes = api.heap_limit_bytes();
        host.api = Some(api);
        host.trap = None;
        host.pause = pause;
        host.is_stopped = false;
        host.instructions = limit as u64;
        self.set(self.gas, limit);
        self.set(self.stack, STACK_SLOTS_MAX);
        self.set(self.far, instrument::far(self.bytes() / WASM_PAGE_BYTES));
        host::set_mark(&mut self.store, allowance).expect("the pass made it a mutable i64");
        let result = self.invoke(entry);
        let (gas, stack) = (self.get(self.gas), self.get(self.stack));
        let used = (limit - gas.max(0)) as u64;
        let host = self.store.data_mut();
        host.heap_limit_bytes = None;
        let api = host.api.take().expect("nobody else takes it");
        let (trap, is_stopped) = (host.trap.take(), host.is_stopped);
        let slices = Slices { allowance: host.allowance, pause: host.pause.take() };
        let ended = (!is_stopped).then(|| outcome::outcome(result, trap, gas, stack));
        let (outcome, instructions) = self.end(ended, used, limit as u64, &api, commit, slices);
        if commit && outcome == Some(Ok(())) {
            self.share(entry);
        }
        let is_stopped = outcome.is_none();
        let outcome = outcome.unwrap_or(Err(Trap::OutOfInstructions));
        (Ran { api, outcome, instructions, heap: self.heap.clone() }, is_stopped)
    }

    fn invoke(&mut self, entry: &Entry) -> Result<(), Failure> {
        match entry {
            Entry::Export(name) => self.export(name)?.call(&mut self.store, ())?,
            Entry::Start => self.export(START)?.call(&mut self.store, ())?,
            Entry::Callback(Continuation { function, environment }) => {
                let missing = || Failure::Trap(Trap::FunctionNotFound(*function));
                let table = self.table.ok_or_else(missing)?;
                let element = table.get(&mut self.store, *function).ok_or_else(missing)?;
                let callback = element.as_func().flatten().ok_or_else(missing)?;
                if self.module.info.memory64 {
                    let callback = callback.typed::<u64, ()>(&self.store).map_err(|_| missing())?;
                    callback.call(&mut self.store, *environment)?;
                } else {
                    let callback = callback.typed::<u32, ()>(&self.store).map_err(|_| missing())?;
                    // A 32-bit module made the environment, so it fits.
                    callback.call(&mut self.store, *environment as u32)?;
                }
            }
        }
        Ok(())
    }

    fn export(&mut self, name: &str) -> Result<TypedFunc<(), ()>, Failure> {
        if let Some(function) = self.entries.get(name) {
            return Ok(function.clone());
        }
        let missing = |_| Failure::Trap(Trap::Contract(format!("the module has no entry point {name:?}")));
        let function = self.instance.get_typed_func::<(), ()>(&mut self.store, name).map_err(missing)?;
        self.entries.insert(name.into(), function.clone());
        Ok(function)
    }

    /// Lets a canister that has just begun share with others of its module what came out equal.
    fn share(&mut self, entry: &Entry) {
        if let Some(image) = self.module.image(entry) {
            self.heap.pages.share_with(image.get_or_init(|| self.heap.pages.clone()));
        }
    }

    fn bytes(&self) -> u64 {
        self.memory.map_or(0, |memory| memory.data_size(&self.store) as u64)
    }

    fn get(&mut self, global: Global) -> i64 {
        global.get(&mut self.store).i64().expect("the pass made it an i64")
    }

    fn set(&mut self, global: Global, value: i64) {
        global.set(&mut self.store, Val::I64(value)).expect("the pass made it a mutable i64");
    }

    fn read_globals(&mut self) -> Vec<u64> {
        let mut words = Vec::with_capacity(self.globals.len());
        for global in &self.globals {
            match global.get(&mut self.store) {
                Val::I32(value) => words.push(u64::from(value as u32)),
                Val::I64(value) => words.push(value as u64),
                Val::F32(bits) => words.push(u64::from(bits)),
                Val::F64(bits) => words.push(bits),
                Val::V128(value) => words.extend([value.as_u128() as u64, (value.as_u128() >> 64) as u64]),
                _ => panic!("validation refuses mutable globals with references"),
            }
        }
        words
    }

    fn write_globals(&mut self, words: &[u64]) {
        let mut words = words.iter().copied();
        let mut next = || words.next().expect("a heap has a word for every global of its module");
        for global in &self.globals {
            let value = match global.get(&mut self.store) {
                Val::I32(_) => Val::I32(next() as i32),
                Val::I64(_) => Val::I64(next() as i64),
                Val::F32(_) => Val::F32(next() as u32),
                Val::F64(_) => Val::F64(next()),
                Val::V128(_) => Val::V128((u128::from(next()) | u128::from(next()) << 64).into()),
                _ => panic!("validation refuses mutable globals with references"),
            };
            global.set(&mut self.store, value).expect("the pass exports mutable globals only");
        }
        assert!(words.next().is_none(), "a heap has no more words than its module's globals");
    }
}

/// Why an entry point did not come to its end.
pub(crate) enum Failure {
    /// It could not begin.
    Trap(Trap),
    /// The engine stopped it.
    Engine(wasmtime::Error),
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error)
    }
}

/// How far a run may go, and where it waits for more.
struct Slices {
    allowance: u64,
    pause: Option<Pause>,
}

/// The bytes of page `index`.
fn span(index: u64) -> Range<usize> {
    let start = index as usize * PAGE_BYTES;
    start..start + PAGE_BYTES
}

/// The pages that a range of bytes touches. Memories and what trackers report are whole pages.
fn indices(bytes: Range<usize>) -> Range<u64> {
    (bytes.start / PAGE_BYTES) as u64..bytes.end.div_ceil(PAGE_BYTES) as u64
}
