//! A subnet of one replica without consensus: blocks are executed one after another with the real Wasm host.

use crate::Result;
use candid::{Decode, Encode, Nat};
use ic_management_canister_types as ic;
use mains_engine::WasmtimeEngine;
use mains_execution::{Block, Call, execute};
use mains_state::{Genesis, IngressStatus, State};
use mains_types::{CanisterId, Principal, RequestId, UnixNanos};
use std::time::{Duration, Instant};

/// Cycles of each canister.
const CANISTER_CYCLES: u64 = 20_000_000_000_000;
/// Time between two blocks.
const BLOCK_NANOS: u64 = 30_000_000;
/// Calls that are handed to one block.
const CALLS: usize = 256;

/// The subnet.
pub(crate) struct Subnet {
    pub(crate) engine: WasmtimeEngine,
    pub(crate) state: Option<State>,
    next_request: u64,
}

impl Subnet {
    /// A fresh one. Compiled modules are kept in memory only.
    ///
    /// # Errors
    /// The Wasm host cannot start.
    pub(crate) fn new() -> Result<Self> {
        let genesis = Genesis::rehearsal([user(); 4]);
        let engine = WasmtimeEngine::new(None)?;
        Ok(Self { engine, state: Some(State::genesis(&genesis)), next_request: 0 })
    }

    pub(crate) fn state(&self) -> &State {
        self.state.as_ref().expect("present between blocks")
    }

    /// Executes one block and tells how long it took.
    pub(crate) fn block(&mut self, calls: Vec<Call>) -> Duration {
        let state = self.state.take().expect("present between blocks");
        let height = state.height.next();
        let block = Block {
            height,
            time: state.time.saturating_add_nanos(BLOCK_NANOS),
            digest: [1; 32],
            proposer: user(),
            certified: state.height,
            randomness: [height.get() as u8; 32],
            calls,
            failed: Vec::new(),
            seen: Default::default(),
            newest_version: 1,
        };
        let began = Instant::now();
        let executed = execute(&self.engine, state, &block);
        let elapsed = began.elapsed();
        self.state = Some(executed.state);
        elapsed
    }

    /// A call that the next block may carry.
    pub(crate) fn call(&mut self, canister_id: CanisterId, method: &str, argument: Vec<u8>) -> Call {
        self.next_request += 1;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&self.next_request.to_be_bytes());
        Call {
            request_id: RequestId(*blake3::hash(&id).as_bytes()),
            sender: user(),
            canister_id,
            method: method.into(),
            bytes: argument.len() as u64 + 300,
            argument,
            caller_info: None,
            expires_at: self.state().time.saturating_add_nanos(240 * UnixNanos::SECOND),
        }
    }

    /// Runs calls until all have ended; hands back their replies in order and the time of all blocks.
    ///
    /// # Errors
    /// One was rejected.
    pub(crate) fn run(&mut self, calls: Vec<Call>) -> Result<(Vec<Vec<u8>>, Duration)> {
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
        let replies = ids.iter().map(|id| self.reply(id)).collect::<Result<_>>()?;
        Ok((replies, elapsed))
    }

    fn reply(&self, id: &RequestId) -> Result<Vec<u8>> {
        match self.state().ingress_status(id).ok_or("the request is known")? {
            IngressStatus::Replied(reply) => Ok(reply.to_vec()),
            IngressStatus::Rejected(reject) => Err(format!("rejected: {}", reject.message).into()),
            status => Err(format!("still {}", status.name()).into()),
        }
    }

    /// Creates canisters.
    ///
    /// # Errors
    /// The subnet refuses.
    pub(crate) fn create(&mut self, count: usize) -> Result<Vec<CanisterId>> {
        let args = ic::ProvisionalCreateCanisterWithCyclesArgs {
            amount: Some(Nat::from(CANISTER_CYCLES)),
            ..Default::default()
        };
        let args = Encode!(&args)?;
        let management = Principal::management_canister();
        let calls = (0..count)
            .map(|_| self.call(management, "provisional_create_canister_with_cycles", args.clone()))
            .collect();
        let (replies, _) = self.run(calls)?;
        replies.iter().map(|reply| Ok(Decode!(reply, ic::CanisterIdRecord)?.canister_id)).collect()
    }

    /// Installs a module, one call for each canister; hands back the time that it took.
    ///
    /// # Errors
    /// A canister refuses.
    pub(crate) fn install(&mut self, canisters: &[CanisterId], module: &[u8]) -> Result<Duration> {
        let mut elapsed = Duration::ZERO;
        for some in canisters.chunks(64) {
            let calls = some
                .iter()
                .map(|id| {
                    let args = ic::InstallCodeArgs {
                        mode: ic::CanisterInstallMode::Install,
                        canister_id: *id,
                        wasm_module: module.to_vec(),
                        arg: Encode!()?,
                        sender_canister_version: None,
                    };
                    Ok(self.call(Principal::management_canister(), "install_code", Encode!(&args)?))
                })
                .collect::<Result<_>>()?;
            elapsed += self.run(calls)?.1;
        }
        Ok(elapsed)
    }
}

/// Who sends everything.
fn user() -> Principal {
    Principal::self_authenticating([1])
}
