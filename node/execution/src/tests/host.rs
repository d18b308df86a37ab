//! A Wasm host for tests: "modules" are lists of exports, arguments are scripts.
//!
//! A module's words `canister_...` are hooks that it exports; `weighs N` are the instructions of compiling it; `start{SCRIPT}` and
//! `pre{SCRIPT}` are what its start function and `canister_pre_upgrade` do. A script is `;`-separated commands:
//! `inc` (a counter in the heap), `reply TEXT`, `reply_count`, `reply_data` (argument of a callback), `reject TEXT`, `trap TEXT`,
//! `spin N`, `accept N`, `burn N`, `timer NANOS`, `print TEXT`, `certify TEXT`, `grow N`, `stable TEXT`,
//! `call CALLEE METHOD CYCLES SCRIPT CALLBACK [TIMEOUT]`, where SCRIPT (the argument) and CALLBACK are indices of [`Host::scripts`].
//! In callbacks `on_reply` runs the script of the environment word, `on_reject` that script plus 1, cleanup plus 2.

use crate::{
    engine::{Engine, Entry, ModuleError, ModuleInfo, Ran, Run, Trap},
    system_api::{Mode, SystemApi},
};
use mains_state::{Heap, PAGE_BYTES};
use mains_types::{Digest32, Principal, RejectCode};
use serde_bytes::ByteBuf;
use std::sync::{Arc, Mutex};

pub(super) const HEAP_BYTES: u64 = 65_536;

#[derive(Default)]
pub(super) struct Host {
    pub(super) scripts: Vec<String>,
    /// Every run: canister's last byte, entry's kind, script.
    pub(super) trace: Mutex<Vec<String>>,
    /// Hints about modules to come, and modules that were asked for: what a compiler would have been told.
    pub(super) hints: Mutex<Vec<Digest32>>,
    pub(super) asked: Mutex<Vec<Digest32>>,
    /// The very bytes that it was told to hold.
    pub(super) held: Mutex<Vec<Arc<ByteBuf>>>,
}

impl Host {
    pub(super) fn new(scripts: &[&str]) -> Self {
        Self { scripts: scripts.iter().map(|script| (*script).to_owned()).collect(), ..Self::default() }
    }

    pub(super) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.trace.lock().unwrap())
    }
}

/// What stands in a module's text between `begin` and the next closing brace.
fn inner(module: &[u8], begin: &str) -> String {
    let text = String::from_utf8_lossy(module);
    let script = text.split_once(begin).and_then(|(_, rest)| rest.split_once('}'));
    script.map(|(script, _)| script.to_owned()).unwrap_or_default()
}

/// What a test module exports: hooks named in the "module" text.
pub(super) fn info(wasm: &[u8]) -> ModuleInfo {
    let text = String::from_utf8_lossy(wasm).into_owned();
    ModuleInfo {
        id: *blake3::hash(wasm).as_bytes(),
        updates: ["run".to_owned()].into(),
        queries: ["ask".to_owned()].into(),
        composite_queries: ["compose".to_owned()].into(),
        has_start: text.contains("start{"),
        hooks: text.split_whitespace().filter(|word| word.starts_with("canister_")).map(str::to_owned).collect(),
        compile_instructions: text
            .split_once("weighs ")
            .map_or(1_000, |(_, rest)| rest.split_whitespace().next().expect("a number").parse().expect("a number")),
        ..ModuleInfo::default()
    }
}

impl Engine for Host {
    fn module(&self, wasm: &[u8]) -> Result<Arc<ModuleInfo>, ModuleError> {
        let info = info(wasm);
        self.asked.lock().unwrap().push(info.id);
        Ok(Arc::new(info))
    }

    fn inspect(&self, wasm: &[u8]) -> Result<Arc<ModuleInfo>, ModuleError> {
        Ok(Arc::new(info(wasm)))
    }

    fn prepare(&self, id: &Digest32, wasm: &Arc<ByteBuf>) {
        assert_eq!(*id, info(wasm).id);
        self.hints.lock().unwrap().push(*id);
    }

    fn hold(&self, modules: &[Arc<ByteBuf>], _progress: &dyn Fn(usize, usize)) {
        self.held.lock().unwrap().extend_from_slice(modules);
    }

    fn instantiate(&self, _wasm: &[u8]) -> Result<Heap, Trap> {
        Ok(Heap { bytes: HEAP_BYTES, ..Heap::default() })
    }

    fn run(&self, run: Run<'_>) -> Ran {
        let mut api = run.api;
        let mut heap = run.code.heap.clone();
        let (kind, script) = self.script(&run.entry, &mut api, &run.code.wasm);
        let name = run.canister.as_slice().get(7).copied().unwrap_or(0);
        self.trace.lock().unwrap().push(format!("{name} {kind} {script}"));
        let mut machine =
            Machine { host: self, api: &mut api, heap: &mut heap, memory: vec![0; 1 << 16], used: run.waking + 10 };
        let mut outcome = if script == "missing" { Err(Trap::FunctionNotFound(7)) } else { Ok(()) };
        for command in script.split(';').filter(|command| !command.is_empty()) {
            if outcome.is_err() {
                break;
            }
            outcome = machine.step(command);
            machine.used += machine.api.take_charge();
            if machine.used > run.instructions {
                outcome = Err(Trap::OutOfInstructions);
            }
        }
        let used = machine.used.min(run.instructions);
        let keeps = outcome.is_ok() && run.commit;
        Ran { api, outcome, instructions: used, heap: if keeps { heap } else { run.code.heap.clone() } }
    }
}

impl Host {
    fn script(&self, entry: &Entry, api: &mut SystemApi, module: &[u8]) -> (&'static str, String) {
        let at = |index: u64| self.scripts.get(index as usize).cloned().unwrap_or_else(|| "missing".into());
        match (entry, api.mode()) {
            (Entry::Callback(continuation), Mode::Reply | Mode::CompositeReply) => {
                ("reply", at(continuation.environment))
            }
            (Entry::Callback(continuation), Mode::Reject | Mode::CompositeReject) => {
                ("reject", at(continuation.environment + 1))
            }
            (Entry::Callback(continuation), _) => ("cleanup", at(continuation.environment + 2)),
            (Entry::Export(name), Mode::Task) if name == "canister_heartbeat" => ("heartbeat", "inc".into()),
            (Entry::Export(name), Mode::Task) if name == "canister_on_low_wasm_memory" => ("low memory", "inc".into()),
            (Entry::Export(_), Mode::Task) => ("timer", "inc".into()),
            (Entry::Start, _) => ("start", inner(module, "start{")),
            (Entry::Export(_), Mode::PreUpgrade) => ("hook", inner(module, "pre{")),
            (Entry::Export(_), mode) => {
                let mut heap = vec![0; 1 << 16];
                let size = api.msg_arg_data_size().unwrap_or(0);
                if size > 0 {
                    api.msg_arg_data_copy(&mut heap, 0, 0, size).unwrap();
                }
                let text = String::from_utf8(heap[..size as usize].to_vec()).unwrap();
                let kind = match mode {
                    Mode::Update => "update",
                    Mode::Inspect => "inspect",
                    Mode::ReplicatedQuery | Mode::Query => "query",
                    Mode::CompositeQuery => "composite",
                    _ => "hook",
                };
                let is_script = text.is_ascii() && !text.starts_with("DIDL");
                (kind, if is_script { text } else { String::new() })
            }
        }
    }
}

struct Machine<'a> {
    host: &'a Host,
    api: &'a mut SystemApi,
    heap: &'a mut Heap,
    memory: Vec<u8>,
    used: u64,
}

impl Machine<'_> {
    fn put(&mut self, at: usize, bytes: &[u8]) -> (u64, u64) {
        self.memory[at..at + bytes.len()].copy_from_slice(bytes);
        (at as u64, bytes.len() as u64)
    }

    fn count(&self) -> u64 {
        let mut bytes = [0; 8];
        self.heap.pages.read(0, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn reply(&mut self, text: &[u8]) -> Result<(), Trap> {
        let (at, size) = self.put(0, text);
        self.api.msg_reply_data_append(&mut self.memory, at, size)?;
        self.api.msg_reply()
    }

    fn step(&mut self, command: &str) -> Result<(), Trap> {
        let mut words = command.split_whitespace();
        let name = words.next().unwrap_or("");
        let rest = command.strip_prefix(name).unwrap_or("").trim().to_owned();
        let number = || rest.parse::<u64>().expect("a number");
        match name {
            "inc" => {
                let count = self.count() + 1;
                self.heap.pages.write(0, &count.to_le_bytes());
                self.heap.pages.write(count % 16 * PAGE_BYTES as u64 + 8, b"x");
                Ok(())
            }
            "reply" => self.reply(rest.as_bytes()),
            "reply_count" => self.reply(self.count().to_string().as_bytes()),
            "reply_data" => {
                let size = self.api.msg_arg_data_size()?;
                self.api.msg_arg_data_copy(&mut self.memory, 0, 0, size)?;
                let data = self.memory[..size as usize].to_vec();
                self.reply(&data)
            }
            "reply_code" => {
                let code = self.api.msg_reject_code()?;
                assert!(RejectCode::from_number(code as u8).is_some());
                self.reply(code.to_string().as_bytes())
            }
            "reject" => {
                let (at, size) = self.put(0, rest.as_bytes());
                self.api.msg_reject(&mut self.memory, at, size)
            }
            "trap" => {
                let (at, size) = self.put(0, rest.as_bytes());
                self.api.trap(&mut self.memory, at, size)
            }
            "print" => {
                let (at, size) = self.put(0, rest.as_bytes());
                self.api.debug_print(&mut self.memory, at, size)
            }
            "certify" => {
                let (at, size) = self.put(0, rest.as_bytes());
                self.api.certified_data_set(&mut self.memory, at, size)
            }
            "spin" => {
                self.used += number();
                Ok(())
            }
            "accept" => self.api.msg_cycles_accept128(&mut self.memory, 0, number(), 0),
            "burn" => self.api.cycles_burn128(&mut self.memory, 0, number(), 0),
            "timer" => self.api.global_timer_set(number()).map(drop),
            "grow" => {
                self.heap.bytes += number() * 65_536;
                Ok(())
            }
            "stable" => {
                if self.api.stable64_size()? == 0 {
                    self.api.stable64_grow(1)?;
                }
                let (at, size) = self.put(0, rest.as_bytes());
                self.api.stable64_write(&mut self.memory, 0, at, size)
            }
            "ok" => self.api.accept_message(),
            "call" => self.call(&rest),
            other => panic!("no command {other}"),
        }
    }

    fn call(&mut self, rest: &str) -> Result<(), Trap> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let callee = Principal::from_text(words[0]).unwrap();
        let cycles: u64 = words[2].parse().unwrap();
        let script: usize = words[3].parse().unwrap();
        let callback: u64 = words[4].parse().unwrap();
        let argument = self.host.scripts.get(script).cloned().unwrap_or_default();
        let (callee_at, callee_size) = self.put(0, callee.as_slice());
        let (name_at, name_size) = self.put(100, words[1].as_bytes());
        self.api.call_new(&mut self.memory, callee_at, callee_size, name_at, name_size, 1, callback, 2, callback)?;
        self.api.call_on_cleanup(3, callback)?;
        let (at, size) = self.put(200, argument.as_bytes());
        self.api.call_data_append(&mut self.memory, at, size)?;
        if cycles > 0 {
            self.api.call_cycles_add128(0, cycles)?;
        }
        if let Some(timeout) = words.get(5) {
            self.api.call_with_best_effort_response(timeout.parse().unwrap())?;
        }
        let code = self.api.call_perform()?;
        if code == 0 { Ok(()) } else { Err(Trap::Called(format!("call_perform {code}"))) }
    }
}
