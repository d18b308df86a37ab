//! Entry points, and which system calls may be made from which (interface specification, "Overview of imports").

/// Where a run began. The letters are the interface specification's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// `I`: `canister_init` and `canister_post_upgrade`.
    Init,
    /// `G`: `canister_pre_upgrade`.
    PreUpgrade,
    /// `U`: an update method.
    Update,
    /// `RQ`: a query method, called as an update or by a canister's update.
    ReplicatedQuery,
    /// `NRQ`: a query method, called as a query.
    Query,
    /// `TQ`: a query method, called to transform an HTTP response.
    Transform,
    /// `CQ`: a composite query method.
    CompositeQuery,
    /// `Ry`: the callback for a reply.
    Reply,
    /// `Rt`: the callback for a reject.
    Reject,
    /// `CRy`: the callback for a reply in a composite query.
    CompositeReply,
    /// `CRt`: the callback for a reject in a composite query.
    CompositeReject,
    /// `C`: the callback that cleans up after a trap in another callback.
    Cleanup,
    /// `CC`: the same in a composite query.
    CompositeCleanup,
    /// `F`: `canister_inspect_message`.
    Inspect,
    /// `T`: `canister_heartbeat`, `canister_global_timer`, `canister_on_low_wasm_memory`.
    Task,
    /// `s`: the module's start function.
    Start,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Init,
        Self::PreUpgrade,
        Self::Update,
        Self::ReplicatedQuery,
        Self::Query,
        Self::Transform,
        Self::CompositeQuery,
        Self::Reply,
        Self::Reject,
        Self::CompositeReply,
        Self::CompositeReject,
        Self::Cleanup,
        Self::CompositeCleanup,
        Self::Inspect,
        Self::Task,
        Self::Start,
    ];

    /// What messages call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "canister_init or canister_post_upgrade",
            Self::PreUpgrade => "canister_pre_upgrade",
            Self::Update => "an update method",
            Self::ReplicatedQuery => "a query method in replicated mode",
            Self::Query => "a query method",
            Self::Transform => "a transform function",
            Self::CompositeQuery => "a composite query method",
            Self::Reply => "a reply callback",
            Self::Reject => "a reject callback",
            Self::CompositeReply => "a reply callback of a composite query",
            Self::CompositeReject => "a reject callback of a composite query",
            Self::Cleanup => "a cleanup callback",
            Self::CompositeCleanup => "a cleanup callback of a composite query",
            Self::Inspect => "canister_inspect_message",
            Self::Task => "a heartbeat, timer or low-memory task",
            Self::Start => "the start function",
        }
    }

    /// Whether all replicas run it on the same state. The start function may be either; its caller says.
    pub const fn is_replicated(self) -> bool {
        Modes::REPLICATED.contains(self)
    }
}

/// A set of modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes(u16);

impl Modes {
    const I: Self = Self::one(Mode::Init);
    const G: Self = Self::one(Mode::PreUpgrade);
    const U: Self = Self::one(Mode::Update);
    const RQ: Self = Self::one(Mode::ReplicatedQuery);
    const NRQ: Self = Self::one(Mode::Query);
    const TQ: Self = Self::one(Mode::Transform);
    const CQ: Self = Self::one(Mode::CompositeQuery);
    const RY: Self = Self::one(Mode::Reply);
    const RT: Self = Self::one(Mode::Reject);
    const CRY: Self = Self::one(Mode::CompositeReply);
    const CRT: Self = Self::one(Mode::CompositeReject);
    const C: Self = Self::one(Mode::Cleanup);
    const F: Self = Self::one(Mode::Inspect);
    const T: Self = Self::one(Mode::Task);
    const S: Self = Self::one(Mode::Start);

    /// Everywhere.
    pub const EVERYWHERE: Self = Self(u16::MAX);
    /// Everywhere but in the start function (`*`).
    pub const NOT_START: Self = Self(!Self::S.0);
    /// Where there is an argument.
    pub const ARGUMENT: Self =
        Self::I.or(Self::U).or(Self::RQ).or(Self::NRQ).or(Self::TQ).or(Self::CQ).or(Self::RY).or(Self::CRY).or(Self::F);
    /// Where a reject code is known.
    pub const REJECT_CODE: Self = Self::RY.or(Self::RT).or(Self::CRY).or(Self::CRT).or(Self::C);
    /// Where a reject message is known.
    pub const REJECT_MESSAGE: Self = Self::RT.or(Self::CRT);
    /// Where a call can be answered.
    pub const ANSWER: Self = Self::U
        .or(Self::RQ)
        .or(Self::NRQ)
        .or(Self::TQ)
        .or(Self::CQ)
        .or(Self::RY)
        .or(Self::RT)
        .or(Self::CRY)
        .or(Self::CRT);
    /// Where the deadline of the call at work is known.
    pub const DEADLINE: Self =
        Self::U.or(Self::RQ).or(Self::NRQ).or(Self::CQ).or(Self::RY).or(Self::RT).or(Self::CRY).or(Self::CRT);
    /// Where cycles of the call at work can be accepted.
    pub const CYCLES_AVAILABLE: Self = Self::U.or(Self::RQ).or(Self::RY).or(Self::RT);
    /// Where cycles come back from a call that was made.
    pub const CYCLES_REFUNDED: Self = Self::RY.or(Self::RT);
    /// Where cycles can be given to a call.
    pub const CYCLES_ADD: Self = Self::U.or(Self::RY).or(Self::RT).or(Self::T);
    /// Where cycles can be burned.
    pub const CYCLES_BURN: Self =
        Self::I.or(Self::G).or(Self::U).or(Self::RQ).or(Self::RY).or(Self::RT).or(Self::C).or(Self::T);
    /// Where ingress is inspected.
    pub const INSPECT: Self = Self::F;
    /// Where calls can be made.
    pub const CALL: Self = Self::U.or(Self::CQ).or(Self::RY).or(Self::RT).or(Self::CRY).or(Self::CRT).or(Self::T);
    /// Where the root key may be read.
    pub const ROOT_KEY: Self =
        Self::I.or(Self::G).or(Self::U).or(Self::RQ).or(Self::RY).or(Self::RT).or(Self::C).or(Self::T);
    /// Where certified data can be set.
    pub const CERTIFY: Self = Self::I.or(Self::G).or(Self::U).or(Self::RY).or(Self::RT).or(Self::T);
    /// Where a certificate can be read.
    pub const CERTIFICATE: Self = Self::NRQ.or(Self::CQ);
    /// Where the timer can be set.
    pub const TIMER: Self = Self::I.or(Self::G).or(Self::U).or(Self::RY).or(Self::RT).or(Self::C).or(Self::T);
    /// Where the controllers' limit on the heap holds.
    pub const HEAP_LIMITED: Self = Self::I.or(Self::U).or(Self::S);
    /// What all replicas run.
    pub const REPLICATED: Self = Self::ROOT_KEY.or(Self::S);

    const fn one(mode: Mode) -> Self {
        Self(1 << mode as u16)
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `mode` is in the set.
    pub const fn contains(self, mode: Mode) -> bool {
        self.0 & (1 << mode as u16) != 0
    }
}
