//! One block.

use crate::{
    calls::Random, charges, engine::Engine, induction, scheduler, settlement, system_calls,
    system_canisters::cycles_ledger, timers,
};
use mains_ledger::{Entry, Moment};
use mains_state::{Announcement, CallerInfo, State, epochs::Seen};
use mains_types::{CanisterId, Digest32, Height, NodeId, Principal, RequestId, UnixNanos, limits};
use std::collections::BTreeSet;

/// A finalized block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its height: the state's plus one.
    pub height: Height,
    /// Its time: later than the state's.
    pub time: UnixNanos,
    /// Its digest.
    pub digest: Digest32,
    /// Who proposed it.
    pub proposer: NodeId,
    /// Who led views since the block before it that ended without a block in the chain, and how many.
    pub failed: Vec<(NodeId, u64)>,
    /// The newest height whose certificate is in the chain up to this block.
    pub certified: Height,
    /// The beacon's value that this certificate made: what random bytes are made of.
    pub randomness: Digest32,
    /// What the proposer says to have seen of the other members lately.
    pub seen: Seen,
    /// The newest version of the protocol that the proposer's binary knows.
    pub newest_version: u32,
    /// Clients' calls in their order.
    pub calls: Vec<Call>,
}

/// A client's update call whose signature was verified.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id.
    pub request_id: RequestId,
    /// Who signed it.
    pub sender: Principal,
    /// What a canister says about who signed it.
    pub caller_info: Option<CallerInfo>,
    /// Who is called; `aaaaa-aa` for the management canister.
    pub canister_id: CanisterId,
    /// The method.
    pub method: String,
    /// The argument.
    pub argument: Vec<u8>,
    /// When it expires.
    pub expires_at: UnixNanos,
    /// Bytes of the message as it was sent: what its transport is charged by.
    pub bytes: u64,
}

/// What a block made of a state.
pub struct Executed {
    /// The next state, sealed.
    pub state: State,
    /// Its root.
    pub root: Digest32,
    /// What moved in the ledger.
    pub journal: Vec<Entry>,
}

/// The round that executes one block.
pub(crate) struct Round<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) state: State,
    pub(crate) random: Random,
    /// Instructions that canisters used in this round.
    pub(crate) instructions: u64,
    /// Instructions that built-in canisters used for others, for example in installs.
    pub(crate) system_instructions: u64,
    /// What the modules weigh that were compiled in this round.
    pub(crate) compiled: u64,
    /// Messages executed.
    pub(crate) messages: usize,
    /// Hashes of the modules that these ran.
    pub(crate) modules: BTreeSet<Digest32>,
    /// Names this round among all rounds of all forks.
    pub(crate) name: Digest32,
}

impl Round<'_> {
    /// Whether messages may still begin in it.
    pub(crate) fn takes_messages(&self) -> bool {
        self.instructions < limits::ROUND_INSTRUCTIONS_MAX && self.modules.len() < limits::ROUND_MODULES_MAX
    }

    /// Whether calls of built-in canisters may still begin in it.
    pub(crate) fn takes_system_calls(&self) -> bool {
        self.system_instructions < limits::ROUND_SYSTEM_INSTRUCTIONS_MAX
            && self.compiled < limits::COMPILE_ROUND_INSTRUCTIONS_MAX
    }
}

/// Executes a block: takes in its calls, runs canisters until the round is used up or nothing is left to do, unless the block is too
/// far ahead of what is certified, and seals.
/// The same arguments give the same result on every replica.
///
/// # Panics
/// If the ledger does not add up afterwards or the block does not follow the state: a replica must not sign that.
pub fn execute(engine: &dyn Engine, mut state: State, block: &Block) -> Executed {
    assert_eq!(block.height, state.height.next(), "blocks are executed in order");
    assert!(block.time > state.time, "block times grow");
    assert!(block.certified < block.height, "what is certified was executed before");
    state.protocol.enter(block.height);
    let name = blake3::hash(&[state.root(), block.digest].concat());
    let mut round = Round {
        engine,
        state,
        random: Random::new(block.randomness),
        instructions: 0,
        system_instructions: 0,
        compiled: 0,
        messages: 0,
        modules: BTreeSet::new(),
        name: *name.as_bytes(),
    };
    (round.state.height, round.state.time) = (block.height, block.time);
    round.state.ledger.begin(Moment { height: block.height, time: block.time });
    if block.height == Height(1) {
        cycles_ledger::log_genesis(&mut round.state);
    }
    while let Some(message) = round.state.system_queue.pop_random(block.certified) {
        system_calls::run(&mut round, &message);
    }
    // Execution is behind the chain: what is queued waits, so that it can catch up.
    let runs = block.height.get() - block.certified.get() <= limits::CERTIFICATION_DISTANCE_ROUND;
    if runs {
        timers::begin(&mut round.state);
    }
    for call in &block.calls {
        induction::induct(&mut round.state, call);
    }
    if runs {
        scheduler::run(&mut round);
    }
    for entry in round.state.preparing_in_order() {
        engine.prepare(&entry.module.id, &entry.module.wasm);
    }
    charges::settle_some(&mut round.state);

    let mut state = round.state;
    state.metrics.count_block(block.time, block.proposer, &block.failed);
    settlement::count_block(&mut state, block);
    count_version(&mut state, block);
    state.metrics.messages += round.messages as u64;
    let instructions = round.instructions.saturating_add(round.system_instructions);
    state.metrics.instructions = state.metrics.instructions.saturating_add(instructions);
    let root = state.seal(block.height, block.time, block.digest);
    if let Err(broken) = state.ledger.check_height() {
        panic!("the ledger does not add up at height {}: {broken}", block.height);
    }
    let journal = state.ledger.take_journal();
    tracing::debug!(
        height = %block.height,
        calls = block.calls.len(),
        messages = round.messages,
        instructions = round.instructions,
        "executed"
    );
    Executed { state, root, journal }
}

/// Counts which version of the protocol the proposer knows: once enough members know a newer one, the switch to it is fixed.
fn count_version(state: &mut State, block: &Block) {
    let subnet = state.subnet.clone();
    let Block { proposer, newest_version: newest, height, time, .. } = *block;
    if state.protocol.count(subnet.nodes.keys().copied(), Announcement { proposer, newest, height, time }) {
        let switch = state.protocol.switch().expect("it was fixed");
        tracing::info!(version = switch.version, at = %switch.height, "the switch to another version of the protocol is fixed");
    }
}
