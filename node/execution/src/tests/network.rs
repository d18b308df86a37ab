//! A subnet of one test host: blocks are made from lists of calls.

use super::host::{HEAP_BYTES, Host, info};
use crate::{Block, Call, execute};
use mains_ledger::Account;
use mains_state::{Canister, Code, Exports, Genesis, Heap, IngressStatus, Settings, State};
use mains_types::{CanisterId, Cycles, Height, Principal, Reject, RequestId, UnixNanos, ids::canister_id};
use std::{collections::BTreeSet, sync::Arc};

pub(super) const CREDIT: u128 = 1_000_000_000_000;

pub(super) fn user(name: u8) -> Principal {
    Principal::self_authenticating([name])
}

pub(super) fn genesis() -> Genesis {
    Genesis {
        time: UnixNanos(1_000 * UnixNanos::SECOND),
        accounts: vec![(user(9), Cycles(100 * CREDIT))],
        ..Genesis::rehearsal((0..4).map(user))
    }
}

pub(super) struct Network {
    pub(super) host: Host,
    pub(super) state: Option<State>,
    next_request: u64,
}

impl Network {
    pub(super) fn new(scripts: &[&str]) -> Self {
        Self { host: Host::new(scripts), state: Some(State::genesis(&genesis())), next_request: 0 }
    }

    pub(super) fn state(&self) -> &State {
        self.state.as_ref().unwrap()
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        self.state.as_mut().unwrap()
    }

    /// Installs a canister with this index, module text and cycles, controlled by user 1.
    pub(super) fn install(&mut self, index: u64, module: &str, cycles: u128) -> CanisterId {
        let id = canister_id(index);
        let info = info(module.as_bytes());
        let state = self.state_mut();
        let settings = Settings { controllers: BTreeSet::from([user(1)]), ..Settings::default() };
        let mut canister = Canister::new(id, settings, state.time);
        let exports = Exports {
            updates: info.updates,
            queries: info.queries,
            composite_queries: info.composite_queries,
            hooks: info.hooks,
        };
        let hash = *blake3::hash(module.as_bytes()).as_bytes();
        let heap = Heap { bytes: HEAP_BYTES, ..Heap::default() };
        canister.code =
            Some(Code::new(Arc::new(module.as_bytes().to_vec().into()), hash, heap, Default::default(), exports));
        state.insert_canister(canister);
        state.ledger.mint(&Account::Canister(id), Cycles(cycles)).unwrap();
        id
    }

    pub(super) fn call(&mut self, sender: u8, canister_id: CanisterId, method: &str, argument: &[u8]) -> Call {
        self.next_request += 1;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&self.next_request.to_be_bytes());
        Call {
            request_id: RequestId(id),
            sender: user(sender),
            canister_id,
            method: method.to_owned(),
            argument: argument.to_vec(),
            caller_info: None,
            expires_at: self.state().time.saturating_add_nanos(240 * UnixNanos::SECOND),
            bytes: argument.len() as u64 + 200,
        }
    }

    /// Executes a block that is a second later and checks the books.
    pub(super) fn block(&mut self, calls: Vec<Call>) {
        self.block_after(UnixNanos::SECOND, calls);
    }

    pub(super) fn block_after(&mut self, nanos: u64, calls: Vec<Call>) {
        let block = block(self.state(), nanos, calls);
        self.execute(&block);
    }

    /// Executes a block that is a second later and ahead of what is certified.
    pub(super) fn block_ahead(&mut self, certified: Height, calls: Vec<Call>) {
        let block = Block { certified, ..block(self.state(), UnixNanos::SECOND, calls) };
        self.execute(&block);
    }

    fn execute(&mut self, block: &Block) {
        let state = self.state.take().unwrap();
        let executed = execute(&self.host, state, block);
        executed.state.ledger.check_full().unwrap();
        assert_eq!(executed.root, executed.state.root());
        self.state = Some(executed.state);
    }

    /// Executes empty blocks until nothing waits to be run.
    pub(super) fn block_until_idle(&mut self) {
        for _ in 0..1_000 {
            if !self.state().has_work() {
                return;
            }
            self.block(vec![]);
        }
        panic!("it never ends");
    }

    /// Calls `run` with a script as user 1 and returns what became of it after one block.
    pub(super) fn run(&mut self, canister: CanisterId, script: &str) -> Result<String, Reject> {
        let call = self.call(1, canister, "run", script.as_bytes());
        let id = call.request_id;
        self.block(vec![call]);
        self.outcome(&id)
    }

    pub(super) fn outcome(&self, id: &RequestId) -> Result<String, Reject> {
        match self.state().ingress_status(id) {
            Some(IngressStatus::Replied(reply)) => Ok(String::from_utf8_lossy(reply).into_owned()),
            Some(IngressStatus::Rejected(reject)) => Err(reject.clone()),
            other => panic!("no outcome: {other:?}"),
        }
    }

    pub(super) fn balance(&self, id: &CanisterId) -> u128 {
        self.state().ledger.canister_balance(id).get()
    }
}

pub(super) fn block(state: &State, nanos: u64, calls: Vec<Call>) -> Block {
    let height = state.height.next();
    Block {
        height,
        time: state.time.saturating_add_nanos(nanos),
        digest: *blake3::hash(&height.get().to_be_bytes()).as_bytes(),
        proposer: user(0),
        failed: vec![(user(1), 2)],
        certified: state.height,
        seen: Default::default(),
        newest_version: 1,
        randomness: *blake3::hash(&[7, height.get() as u8]).as_bytes(),
        calls,
    }
}
