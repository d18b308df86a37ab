//! A state and a Wasm host small enough to see through, for the tests of built-in canisters.
//!
//! A "module" is a line of words. `init`, `pre`, `post`, `start`, `heartbeat` export that hook, `init!` one that traps; `eop`
//! carries the section of orthogonal persistence, `forged` one that names a publisher, `invalid` is refused. Each hook writes its name to the log and to stable
//! memory; the heap begins as the module's text.

use crate::{
    calls::{Outcome, Random, SystemCall},
    engine::{Engine, Entry, GlobalInfo, GlobalType, ModuleError, ModuleInfo, Ran, Run, SectionVisibility, Trap},
    hooks::Steps,
    management, system_canisters,
};
use candid::CandidType;
use mains_ledger::Account;
use mains_state::{
    Beginning, CallOrigin, Genesis, Heap, IngressEntry, IngressStatus, NetworkKind, PAGE_BYTES, PUBLISHER_SECTION,
    RunName, State,
};
use mains_types::{CanisterId, Cycles, Principal, Reject, RequestId, limits};
use std::sync::Arc;

/// A person with 1000 credits on the cycles ledger.
pub(crate) fn alice() -> Principal {
    Principal::self_authenticating([1; 32])
}

/// A person with nothing.
pub(crate) fn bob() -> Principal {
    Principal::self_authenticating([2; 32])
}

pub(crate) const CREDIT: u128 = 1_000_000_000_000;

pub(crate) struct LineEngine;

impl Engine for LineEngine {
    fn module(&self, wasm: &[u8]) -> Result<Arc<ModuleInfo>, ModuleError> {
        let line = String::from_utf8_lossy(wasm);
        if line.contains("invalid") {
            return Err(ModuleError { rule: "imports unknown function ic0.foo".into(), offset: None });
        }
        let mut info = ModuleInfo { compile_instructions: wasm.len() as u64, ..ModuleInfo::default() };
        info.memory_bytes_max = 10 * limits::WASM_PAGE_BYTES;
        info.globals = vec![
            GlobalInfo { ty: GlobalType::I32, constant: Some(7) },
            GlobalInfo { ty: GlobalType::I64, constant: None },
        ];
        for word in line.split(' ') {
            match word.trim_end_matches('!') {
                "init" => info.hooks.insert("canister_init".into()),
                "pre" => info.hooks.insert("canister_pre_upgrade".into()),
                "post" => info.hooks.insert("canister_post_upgrade".into()),
                "heartbeat" => info.hooks.insert("canister_heartbeat".into()),
                "start" => std::mem::replace(&mut info.has_start, true),
                "eop" => std::mem::replace(&mut info.orthogonal_persistence, true),
                _ => false,
            };
        }
        if line.contains("forged") {
            info.sections.insert(PUBLISHER_SECTION.into(), (SectionVisibility::Public, b"aaaaa-aa".to_vec()));
        }
        info.sections.insert("text".into(), (SectionVisibility::Private, wasm.to_vec()));
        Ok(Arc::new(info))
    }

    fn instantiate(&self, wasm: &[u8]) -> Result<Heap, Trap> {
        let mut page = [0; PAGE_BYTES];
        page[..wasm.len()].copy_from_slice(wasm);
        let mut heap = Heap { bytes: limits::WASM_PAGE_BYTES, globals: vec![wasm.len() as u64], ..Heap::default() };
        heap.pages.set(0, &page);
        Ok(heap)
    }

    fn run(&self, mut run: Run<'_>) -> Ran {
        let hook = match &run.entry {
            Entry::Start => "start",
            Entry::Export(name) if name == "canister_init" => "init",
            Entry::Export(name) if name == "canister_pre_upgrade" => "pre",
            Entry::Export(name) if name == "canister_post_upgrade" => "post",
            other => panic!("no hook of installing: {other:?}"),
        };
        let mut memory = format!("{hook} ").into_bytes();
        let size = memory.len() as u64;
        run.api.debug_print(&mut memory, 0, size - 1).unwrap();
        if run.api.stable64_size().unwrap() == 0 {
            run.api.stable64_grow(1).unwrap();
        }
        let mut written = vec![0; 64];
        run.api.stable64_read(&mut written, 0, 0, 64).unwrap();
        let end = written.iter().position(|byte| *byte == 0).unwrap() as u64;
        run.api.stable64_write(&mut memory, end, 0, size).unwrap();
        let traps = String::from_utf8_lossy(&run.code.wasm).contains(&format!("{hook}!"));
        let outcome = if traps { Err(Trap::Called("as told".into())) } else { Ok(()) };
        Ran { api: run.api, outcome, instructions: 1_000, heap: run.code.heap.clone() }
    }
}

pub(crate) struct Bench {
    pub(crate) state: State,
    random: Random,
    requests: u8,
    /// Of the last call.
    pub(crate) instructions_used: u64,
    pub(crate) kept_logs: Vec<(CanisterId, Vec<Vec<u8>>)>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(NetworkKind::Test)
    }

    pub(crate) fn of(kind: NetworkKind) -> Self {
        let state = State::genesis(&Genesis {
            kind,
            accounts: vec![(alice(), Cycles(1_000 * CREDIT))],
            ..Genesis::rehearsal([bob(); 4])
        });
        Self { state, random: Random::new([7; 32]), requests: 0, instructions_used: 0, kept_logs: Vec::new() }
    }

    /// A client's call; the request id is new each time.
    pub(crate) fn call<A: CandidType>(
        &mut self,
        sender: Principal,
        callee: CanisterId,
        method: &str,
        argument: &A,
    ) -> Outcome {
        self.call_encoded(sender, callee, method, &codec(argument))
    }

    /// The same with an argument that is encoded already.
    pub(crate) fn call_encoded(
        &mut self,
        sender: Principal,
        callee: CanisterId,
        method: &str,
        argument: &[u8],
    ) -> Outcome {
        self.requests += 1;
        let request_id = RequestId([self.requests; 32]);
        let entry = IngressEntry {
            sender,
            receiver: callee,
            expires_at: self.state.time.saturating_add_nanos(1),
            status: IngressStatus::Received,
            cost: Cycles::ZERO,
            due: None,
        };
        self.state.insert_ingress(request_id, entry);
        let origin = CallOrigin::Ingress { request_id, sender, info: None };
        self.run(sender, origin, callee, method, argument, Cycles::ZERO)
    }

    /// A canister's call with cycles; what is not accepted comes back.
    pub(crate) fn call_from<A: CandidType>(
        &mut self,
        sender: CanisterId,
        cycles: u128,
        callee: CanisterId,
        method: &str,
        argument: &A,
    ) -> Outcome {
        self.call_from_encoded(sender, cycles, callee, method, &codec(argument))
    }

    /// The same with an argument that is encoded already.
    pub(crate) fn call_from_encoded(
        &mut self,
        sender: CanisterId,
        cycles: u128,
        callee: CanisterId,
        method: &str,
        argument: &[u8],
    ) -> Outcome {
        self.state.ledger.reserve(&sender, Cycles(cycles)).unwrap();
        let origin = CallOrigin::Canister { sender, callback: 0, deadline: None };
        self.run(sender, origin, callee, method, argument, Cycles(cycles))
    }

    pub(crate) fn query<A: CandidType>(
        &self,
        sender: Principal,
        callee: CanisterId,
        method: &str,
        argument: &A,
    ) -> Result<Vec<u8>, Reject> {
        if callee == Principal::management_canister() {
            management::query(&self.state, sender, method, &codec(argument))
        } else {
            system_canisters::query(&self.state, Some(b"certificate"), &callee, method, &codec(argument))
        }
    }

    /// A call of the management canister that must be answered.
    pub(crate) fn manage<A: CandidType>(&mut self, sender: Principal, method: &str, argument: &A) -> Vec<u8> {
        reply(self.call(sender, Principal::management_canister(), method, argument))
    }

    /// A call of the management canister that must be refused.
    pub(crate) fn refused<A: CandidType>(&mut self, sender: Principal, method: &str, argument: &A) -> Reject {
        match self.call(sender, Principal::management_canister(), method, argument) {
            Outcome::Reject(reject) => reject,
            other => panic!("expected a refusal of {method}, got {other:?}"),
        }
    }

    /// The stable memory of a canister as the text that hooks wrote.
    pub(crate) fn stable_text(&self, id: &CanisterId) -> String {
        let code = self.state.canister(id).unwrap().code.as_ref().unwrap();
        let page = code.stable.get(0).map(|page| page.to_vec()).unwrap_or_default();
        String::from_utf8(page.into_iter().take_while(|byte| *byte != 0).collect()).unwrap()
    }

    fn run(
        &mut self,
        sender: Principal,
        origin: CallOrigin,
        callee: CanisterId,
        method: &str,
        argument: &[u8],
        cycles: Cycles,
    ) -> Outcome {
        let before = self.state.clone();
        let name = RunName { round: [0; 32], number: 0, step: 0, tariff: 0 };
        let balance = Cycles(10 * CREDIT);
        let beginning = Beginning { name, time: self.state.time, balance, frozen: Cycles::ZERO, waking: 0 };
        let mut call = SystemCall {
            state: &mut self.state,
            engine: &LineEngine,
            sender,
            origin: origin.clone(),
            callee,
            method,
            argument,
            cycles,
            random: &mut self.random,
            instructions_max: limits::INSTALL_INSTRUCTIONS_MAX,
            instructions_used: 0,
            compiled: 0,
            compiled_here: 0,
            known: 0,
            steps: Steps::first(beginning, None),
            kept_logs: Vec::new(),
        };
        let outcome = if callee == Principal::management_canister() {
            management::call(&mut call)
        } else {
            system_canisters::call(&mut call)
        };
        let mut left = call.cycles;
        (self.instructions_used, self.kept_logs) = (call.instructions_used, call.kept_logs);
        if matches!(outcome, Outcome::Reject(_)) {
            (self.state, left) = (before, cycles);
        }
        if let (CallOrigin::Canister { sender, .. }, true) = (origin, outcome != Outcome::Later) {
            self.state.ledger.release(&Account::Canister(sender), left);
        }
        self.state.ledger.check_full().unwrap();
        outcome
    }
}

/// Encoded as an argument.
pub(crate) fn codec<A: CandidType>(argument: &A) -> Vec<u8> {
    candid::encode_args((argument,)).unwrap()
}

/// The reply of a call that must be answered.
pub(crate) fn reply(outcome: Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Reply(reply) => reply,
        other => panic!("expected a reply, got {other:?}"),
    }
}

/// A reply's value.
pub(crate) fn decode<T: CandidType + for<'de> candid::Deserialize<'de>>(reply: &[u8]) -> T {
    candid::decode_args::<(T,)>(reply).unwrap().0
}
