//! The chart of accounts, the resources that are metered, and what is kept for each canister.

use crate::statement::Moment;
use mains_types::{CanisterId, Cycles, Digest32, Principal};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A member's account as ICRC-1 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// Who owns it.
    pub owner: Principal,
    /// Which of the owner's accounts; `None` is the default one and the same as 32 zero bytes.
    pub subaccount: Option<[u8; 32]>,
}

impl Member {
    /// The account with the default subaccount written in its only form.
    pub fn new(owner: Principal, subaccount: Option<[u8; 32]>) -> Self {
        Self { owner, subaccount: subaccount.filter(|bytes| *bytes != [0; 32]) }
    }
}

/// Where money can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Where cycles come from and go to when they are redeemed; its balance is what the network owes.
    Issuance,
    /// A person's or a program's money.
    Member {
        /// Who owns it.
        owner: Principal,
        /// Which of the owner's accounts; `None` is the default one.
        subaccount: Option<[u8; 32]>,
    },
    /// What a canister spends.
    Canister(CanisterId),
    /// Set aside for work under way or attached to calls under way.
    InFlight,
    /// Earned by one resource since the last settlement.
    Income(Resource),
    /// Earned by an operator, not yet paid out.
    Operator(Principal),
    /// The subnet's savings.
    Reserve,
    /// The community's fund.
    Commons,
    /// What integer division leaves over.
    Rounding,
}

impl Account {
    /// The default account of `owner`.
    pub fn member(owner: Principal) -> Self {
        Self::Member { owner, subaccount: None }
    }

    /// Whether plain transfers may take from it and give to it.
    pub fn is_transferable(&self) -> bool {
        matches!(self, Self::Member { .. } | Self::Canister(_) | Self::Operator(_) | Self::Reserve | Self::Commons)
    }
}

impl From<Member> for Account {
    fn from(member: Member) -> Self {
        Self::Member { owner: member.owner, subaccount: member.subaccount }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuance => f.write_str("issuance"),
            Self::Member { owner, subaccount: None } => write!(f, "member:{owner}"),
            Self::Member { owner, subaccount: Some(bytes) } => {
                write!(f, "member:{owner}:")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Canister(id) => write!(f, "canister:{id}"),
            Self::InFlight => f.write_str("in_flight"),
            Self::Income(resource) => write!(f, "income:{}", resource.name()),
            Self::Operator(id) => write!(f, "operator:{id}"),
            Self::Reserve => f.write_str("reserve"),
            Self::Commons => f.write_str("commons"),
            Self::Rounding => f.write_str("rounding"),
        }
    }
}

/// What is metered and charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Messages executed (the base price of each).
    Execution,
    /// Instructions executed.
    Instructions,
    /// Messages from clients.
    IngressMessages,
    /// Bytes of messages from clients.
    IngressBytes,
    /// Calls to canisters.
    CallMessages,
    /// Bytes of calls to canisters and of their responses.
    CallBytes,
    /// Bytes kept, times the seconds they were kept.
    StorageByteSeconds,
    /// Canisters created.
    CanisterCreation,
    /// Instructions of compiling modules.
    CompileInstructions,
    /// Percent of a core promised, times seconds.
    ComputeAllocation,
    /// Bytes pushed to subscribers.
    StreamBytes,
}

impl Resource {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// All of them, in the order of bills; the position is [`Resource::index`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Execution,
        Self::Instructions,
        Self::IngressMessages,
        Self::IngressBytes,
        Self::CallMessages,
        Self::CallBytes,
        Self::StorageByteSeconds,
        Self::CanisterCreation,
        Self::CompileInstructions,
        Self::ComputeAllocation,
        Self::StreamBytes,
    ];

    /// Its position in [`Resource::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in journals and bills.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Execution => "execution",
            Self::Instructions => "instructions",
            Self::IngressMessages => "ingress_messages",
            Self::IngressBytes => "ingress_bytes",
            Self::CallMessages => "call_messages",
            Self::CallBytes => "call_bytes",
            Self::StorageByteSeconds => "storage_byte_seconds",
            Self::CanisterCreation => "canister_creation",
            Self::CompileInstructions => "compile_instructions",
            Self::ComputeAllocation => "compute_allocation",
            Self::StreamBytes => "stream_bytes",
        }
    }

    /// What one unit of its meter is.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Execution | Self::IngressMessages | Self::CallMessages => "message",
            Self::Instructions | Self::CompileInstructions => "instruction",
            Self::IngressBytes | Self::CallBytes | Self::StreamBytes => "byte",
            Self::StorageByteSeconds => "byte second",
            Self::CanisterCreation => "canister",
            Self::ComputeAllocation => "percent second",
        }
    }

    /// The resource with this [`Resource::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One meter of one canister.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// Everything ever metered, in the resource's unit.
    pub reading: u128,
    /// Cycles ever charged for it.
    pub charged: u128,
    /// What is owed beyond `charged`: this many fractions of a cycle, each one over the price's denominator. Always
    /// below one cycle, so nobody ever pays a cycle that was not used up.
    pub carry: u64,
}

/// What the ledger keeps for one canister.
///
/// `balance = received - sent - in_calls - sum of charged`, where the turnover counters wrap: only their differences
/// mean anything, and these stay below the supply limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanisterAccount {
    /// Cycles it can spend.
    pub balance: u128,
    /// Cycles ever received by transfers.
    pub received: u128,
    /// Cycles ever sent by transfers.
    pub sent: u128,
    /// Cycles ever set aside or sent with calls, minus those that came back or came with calls; two's complement.
    pub in_calls: u128,
    /// Meters, by [`Resource::index`].
    pub meters: [Meter; Resource::COUNT],
    /// When it changed last.
    pub changed: Moment,
    /// The period of account ([`crate::Ledger::period`]) in which it changed last.
    pub period: u64,
    /// The tariff under which it changed last.
    pub tariff_version: u32,
    /// Cycles charged before that period began for what recurs, see [`crate::alerts`].
    pub charged_before: u128,
    /// Cycles that are usual for what recurs in a whole period.
    pub charged_usually: u128,
    /// Hash chain over its readings at the ends of past periods, see [`crate::readings`]; zeroes while there are none.
    pub chain: Digest32,
}

impl CanisterAccount {
    /// Its balance.
    pub fn balance(&self) -> Cycles {
        Cycles(self.balance)
    }

    /// The meter of `resource`.
    pub fn meter(&self, resource: Resource) -> &Meter {
        &self.meters[resource.index()]
    }

    /// Cycles ever charged, over all resources (wraps, see above).
    pub fn charged(&self) -> u128 {
        self.meters.iter().fold(0u128, |sum, meter| sum.wrapping_add(meter.charged))
    }

    /// The part of [`Self::charged`] for what recurs: all but being created and having code compiled.
    pub(crate) fn charged_recurring(&self) -> u128 {
        let once = [Resource::CanisterCreation, Resource::CompileInstructions];
        once.iter().fold(self.charged(), |sum, resource| sum.wrapping_sub(self.meter(*resource).charged))
    }

    /// Whether the balance is what the turnover says.
    pub(crate) fn is_consistent(&self) -> bool {
        let net = self.received.wrapping_sub(self.sent).wrapping_sub(self.in_calls);
        net.wrapping_sub(self.charged()) == self.balance
    }
}
