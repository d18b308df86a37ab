//! What a run can learn through the system interface: decided before it starts.

use super::Mode;
use mains_state::{CallerInfo, Canister, PageTree, Subnet};
use mains_types::{Cycles, Principal, Reject, UnixNanos, limits};
use std::sync::Arc;

/// A price: `cycles` for every `per` units, rounded down for a quantity (in the payer's favour).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Cycles for `per` units.
    pub cycles: u128,
    /// Units; at least 1.
    pub per: u128,
}

impl Price {
    /// Free.
    pub const FREE: Self = Self { cycles: 0, per: 1 };

    /// What `quantity` units cost.
    pub fn of(self, quantity: u128) -> Cycles {
        Cycles(quantity.saturating_mul(self.cycles) / self.per.max(1))
    }
}

/// What an outgoing call costs, from the tariff in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallPrices {
    /// One call.
    pub message: Price,
    /// Its bytes: method name and argument.
    pub byte: Price,
    /// Set aside for the longest response and for executing the callback with the most instructions.
    pub response_reserve: Cycles,
    /// Creating a canister.
    pub canister_creation: Cycles,
}

impl CallPrices {
    /// Everything free, as in queries.
    pub const FREE: Self = Self {
        message: Price::FREE,
        byte: Price::FREE,
        response_reserve: Cycles::ZERO,
        canister_creation: Cycles::ZERO,
    };

    /// The fee of a call with this many bytes of method name and argument; the reserve comes on top.
    pub fn fee(&self, bytes: u64) -> Cycles {
        self.message.of(1).saturating_add(self.byte.of(u128::from(bytes)))
    }
}

/// What a run can learn, and its limits.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Where it begins.
    pub mode: Mode,
    /// Whether all replicas run it.
    pub replicated: bool,
    /// The canister as it was before the run: id, settings, version, status, timer.
    pub canister: Arc<Canister>,
    /// Stable memory before the run.
    pub stable: PageTree,
    /// Its size in Wasm pages.
    pub stable_pages: u64,
    /// The subnet: its id and key.
    pub subnet: Arc<Subnet>,
    /// Block time.
    pub time: UnixNanos,
    /// Who called. In callbacks the caller of the call at work, in tasks the management canister.
    pub caller: Principal,
    /// What a canister says about the caller; none about canisters.
    pub caller_info: Option<CallerInfo>,
    /// The method (only seen by `canister_inspect_message`).
    pub method: String,
    /// The argument, or in a reply callback the reply.
    pub argument: Arc<Vec<u8>>,
    /// The reject that a reject callback handles.
    pub reject: Option<Reject>,
    /// When the caller stops waiting, if it made a best-effort call.
    pub deadline: Option<UnixNanos>,
    /// Whether the call at work was answered before.
    pub responded: bool,
    /// Cycles of the call at work that can still be accepted.
    pub available: Cycles,
    /// Cycles that came back with the response; already part of `balance`.
    pub refunded: Cycles,
    /// What the canister owns, after everything reserved for this run.
    pub balance: Cycles,
    /// What it must keep so as not to freeze.
    pub frozen: Cycles,
    /// Instructions that earlier messages of the call at work used.
    pub call_instructions: u64,
    /// Most instructions that this run may use.
    pub instruction_limit: u64,
    /// The certificate that a query may read.
    pub certificate: Option<Vec<u8>>,
    /// How many more calls the canister may have open.
    pub calls_room: usize,
    /// What calls cost.
    pub prices: CallPrices,
}

impl Inputs {
    /// Inputs of a run of `canister` in `mode` with nothing special: its own stable memory, no argument, no money, free calls.
    pub fn new(mode: Mode, canister: Arc<Canister>, subnet: Arc<Subnet>, time: UnixNanos) -> Self {
        let (stable, stable_pages) =
            canister.code.as_ref().map(|code| (code.stable.clone(), code.stable_pages)).unwrap_or_default();
        Self {
            mode,
            replicated: mode.is_replicated(),
            stable,
            stable_pages,
            canister,
            subnet,
            time,
            caller: Principal::management_canister(),
            caller_info: None,
            method: String::new(),
            argument: Arc::default(),
            reject: None,
            deadline: None,
            responded: false,
            available: Cycles::ZERO,
            refunded: Cycles::ZERO,
            balance: Cycles::ZERO,
            frozen: Cycles::ZERO,
            call_instructions: 0,
            instruction_limit: limits::UPDATE_INSTRUCTIONS_MAX,
            certificate: None,
            calls_room: limits::CANISTER_CALLBACKS_MAX,
            prices: CallPrices::FREE,
        }
    }
}
