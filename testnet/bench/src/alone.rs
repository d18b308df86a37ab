//! One replica's execution without consensus and network: blocks one after another with the real Wasm host.

use anyhow::{Context as _, Result, bail};
use candid::{Decode, Encode, Nat};
use ic_management_canister_types as ic;
use mains_engine::WasmtimeEngine;
use mains_execution::{Block, Call, Executed, execute};
use mains_ledger::Entry;
use mains_state::{Genesis, IngressStatus, State};
use mains_types::{CanisterId, Principal, RequestId, UnixNanos};
use std::time::{Duration, Instant};

/// Cycles of each canister.
const CANISTER_CYCLES: u64 = 100_000_000_000_000_000;
/// Time between two blocks.
const BLOCK_NANOS: u64 = 30_000_000;
/// Calls that are handed to one block.
const CALLS: usize = 256;

/// A reply, or the text of a rejection.
type Outcome = std::result::Result<Vec<u8>, String>;

/// The replica.
pub(crate) struct Alone {
    engine: WasmtimeEngine,
    state: Option<State>,
    next_request: u64,
    /// What the ledger said in the blocks so far.
    pub(crate) journal: Vec<Entry>,
}

impl Alone {
    pub(crate) fn new() -> Result<Self> {
        let engine = WasmtimeEngine::new(None).map_err(|error| anyhow::anyhow!("{error}"))?;
        let state = State::genesis(&Genesis::rehearsal([user(); 4]));
        Ok(Self { engine, state: Some(state), next_request: 0, journal: Vec::new() })
    }

    /// Forgets all live instances and compiled modules, as a restart does.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.engine = WasmtimeEngine::new(None).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(())
    }

    pub(crate) fn state(&self) -> &State {
        self.state.as_ref().expect("present between blocks")
    }

    fn block(&mut self, calls: Vec<Call>) -> Duration {
        let state = self.state.take().expect("present between blocks");
        let height = state.height.next();
        let block = Block {
            height,
            time: state.time.saturating_add_nanos(BLOCK_NANOS),
            digest: [1; 32],
            proposer: user(),
            certified: state.height,
            newest_version: 1,
            randomness: [height.get() as u8; 32],
            calls,
            failed: Vec::new(),
            seen: Default::default(),
        };
        let began = Instant::now();
        let Executed { state, journal, .. } = execute(&self.engine, state, &block);
        let elapsed = began.elapsed();
        self.state = Some(state);
        self.journal.extend(journal);
        elapsed
    }

    /// A call that the next block may carry.
    pub(crate) fn call(&mut self, canister_id: CanisterId, method: &str, argument: Vec<u8>) -> Call {
        self.next_request += 1;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&self.next_request.to_be_bytes());
        Call {
            request_id: RequestId(id),
            sender: user(),
            canister_id,
            method: method.into(),
            bytes: argument.len() as u64 + 300,
            argument,
            caller_info: None,
            expires_at: self.state().time.saturating_add_nanos(240 * UnixNanos::SECOND),
        }
    }

    /// Runs calls until all have ended; their replies in order and the time of all blocks.
    pub(crate) fn run(&mut self, calls: Vec<Call>) -> Result<(Vec<Vec<u8>>, Duration)> {
        let (outcomes, elapsed) = self.attempt(calls)?;
        let replies =
            outcomes.into_iter().map(|outcome| outcome.map_err(|message| anyhow::anyhow!("rejected: {message}")));
        Ok((replies.collect::<Result<_>>()?, elapsed))
    }

    /// The same with their outcomes: some may be rejected.
    pub(crate) fn attempt(&mut self, calls: Vec<Call>) -> Result<(Vec<Outcome>, Duration)> {
        let ids: Vec<RequestId> = calls.iter().map(|call| call.request_id).collect();
        let mut elapsed = Duration::ZERO;
        let mut calls = calls.into_iter().peekable();
        while calls.peek().is_some() {
            let some = calls.by_ref().take(CALLS).collect();
            elapsed += self.block(some);
        }
        while self.state().has_work() {
            elapsed += self.block(vec![]);
        }
        Ok((ids.iter().map(|id| self.outcome(id)).collect::<Result<_>>()?, elapsed))
    }

    fn outcome(&self, id: &RequestId) -> Result<Outcome> {
        match self.state().ingress_status(id).context("the request is known")? {
            IngressStatus::Replied(reply) => Ok(Ok(reply.to_vec())),
            IngressStatus::Rejected(reject) => Ok(Err(reject.message.clone())),
            status => bail!("still {}", status.name()),
        }
    }

    /// Creates a canister and installs a module; how long each took.
    pub(crate) fn canister(&mut self, module: &[u8]) -> Result<(CanisterId, Duration, Duration)> {
        let (canister_id, creating) = self.create()?;
        Ok((canister_id, creating, self.install(canister_id, module)?))
    }

    /// Creates a canister; how long that took.
    pub(crate) fn create(&mut self) -> Result<(CanisterId, Duration)> {
        let amount = Some(Nat::from(CANISTER_CYCLES));
        let args = ic::ProvisionalCreateCanisterWithCyclesArgs { amount, ..Default::default() };
        let management = Principal::management_canister();
        let call = self.call(management, "provisional_create_canister_with_cycles", Encode!(&args)?);
        let (replies, elapsed) = self.run(vec![call])?;
        Ok((Decode!(&replies[0], ic::CanisterIdRecord)?.canister_id, elapsed))
    }

    /// Installs a module; how long that took.
    pub(crate) fn install(&mut self, canister_id: CanisterId, module: &[u8]) -> Result<Duration> {
        let args = ic::InstallCodeArgs {
            mode: ic::CanisterInstallMode::Install,
            canister_id,
            wasm_module: module.to_vec(),
            arg: Encode!()?,
            sender_canister_version: None,
        };
        let call = self.call(Principal::management_canister(), "install_code", Encode!(&args)?);
        Ok(self.run(vec![call])?.1)
    }
}

fn user() -> Principal {
    Principal::self_authenticating([1])
}
