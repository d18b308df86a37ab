//! Messages that wait in queues, and what a canister remembers about calls that are under way.

use mains_types::{CanisterId, Cycles, Digest32, Principal, Reject, RequestId, UnixNanos};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{ops::Deref, sync::OnceLock};

/// What a canister says about a client, as it signed it: `sender_info` of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerInfo {
    /// What it says.
    #[serde(with = "serde_bytes")]
    pub info: Vec<u8>,
    /// Which canister says it.
    pub signer: CanisterId,
}

/// One message in a canister's input queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A client's update call.
    Ingress {
        /// The request's id; its status is in the ingress history.
        request_id: RequestId,
        /// Who signed it.
        sender: Principal,
        /// What a canister says about who signed it.
        info: Option<CallerInfo>,
        /// The method.
        method: String,
        /// The argument.
        #[serde(with = "serde_bytes")]
        argument: Vec<u8>,
    },
    /// A call from another canister (or from itself).
    Request {
        /// Who called.
        sender: CanisterId,
        /// The caller's callback that waits for the response.
        callback: u64,
        /// The method.
        method: String,
        /// The argument.
        #[serde(with = "serde_bytes")]
        argument: Vec<u8>,
        /// Cycles that travel with the call (held in flight).
        cycles: Cycles,
        /// When a best-effort call stops waiting.
        deadline: Option<UnixNanos>,
    },
    /// The answer to a call that this canister made.
    Response(Response),
    /// Something that the canister does of its own accord.
    Task(Task),
}

impl Message {
    /// Bytes that it holds in a queue: names and payloads.
    pub fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Ingress { method, argument, info, .. } => {
                method.len() + argument.len() + info.as_ref().map_or(0, |info| info.info.len())
            }
            Self::Request { method, argument, .. } => method.len() + argument.len(),
            Self::Response(Response { result: Ok(reply), .. }) => reply.len(),
            Self::Response(Response { result: Err(reject), .. }) => reject.message.len(),
            Self::Task(_) => 0,
        };
        bytes as u64
    }
}

/// A value that waits, with its digest once somebody asked for it: what stays in a queue is hashed once, not in every block.
#[derive(Clone, Debug)]
pub struct Hashed<T> {
    value: T,
    digest: OnceLock<Digest32>,
}

impl<T: Serialize> Hashed<T> {
    /// The value; nothing is hashed yet.
    pub fn new(value: T) -> Self {
        Self { value, digest: OnceLock::new() }
    }

    /// BLAKE3 of its canonical encoding.
    pub fn digest(&self) -> Digest32 {
        *self.digest.get_or_init(|| crate::state::digest_of(&self.value))
    }

    /// The value alone.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Hashed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> Serialize for Hashed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Serialize + Deserialize<'de>> Deserialize<'de> for Hashed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

/// What a canister does of its own accord, by exporting a function for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// `canister_heartbeat`: every block.
    Heartbeat,
    /// `canister_global_timer`: once, when it is due.
    GlobalTimer,
    /// `canister_on_low_wasm_memory`: once, when its heap has come close to its limit.
    LowMemory,
}

/// A call to the management canister or to a built-in system canister.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemMessage {
    /// Who waits for the answer.
    pub origin: CallOrigin,
    /// Who calls.
    pub sender: Principal,
    /// Who is called.
    pub callee: CanisterId,
    /// The method.
    pub method: String,
    /// The argument.
    #[serde(with = "serde_bytes")]
    pub argument: Vec<u8>,
    /// Cycles that travel with the call (held in flight).
    pub cycles: Cycles,
}

impl SystemMessage {
    /// Bytes that it holds in a queue.
    pub fn bytes(&self) -> u64 {
        (self.method.len() + self.argument.len()) as u64
    }
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The callback of the canister that called.
    pub callback: u64,
    /// The reply, or why there is none.
    pub result: Result<serde_bytes::ByteBuf, Reject>,
    /// Attached cycles that were not accepted (held in flight until delivered).
    pub refund: Cycles,
}

/// Who waits for the outcome of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallOrigin {
    /// A client.
    Ingress {
        /// The request.
        request_id: RequestId,
        /// Who signed it.
        sender: Principal,
        /// What a canister says about who signed it.
        info: Option<CallerInfo>,
    },
    /// Another canister.
    Canister {
        /// Who called.
        sender: CanisterId,
        /// Its callback.
        callback: u64,
        /// When its best-effort call stops waiting.
        deadline: Option<UnixNanos>,
    },
    /// Nobody: heartbeat, timer, low-memory hook.
    System,
}

impl CallOrigin {
    /// What a canister says about the caller.
    pub fn caller_info(&self) -> Option<&CallerInfo> {
        match self {
            Self::Ingress { info, .. } => info.as_ref(),
            Self::Canister { .. } | Self::System => None,
        }
    }
}

/// A message that was started and has calls outstanding or no answer yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallContext {
    /// Who waits.
    pub origin: CallOrigin,
    /// Whether it replied or rejected.
    pub responded: bool,
    /// Cycles of the call not yet accepted (held in flight).
    pub available: Cycles,
    /// Callbacks that have not run yet.
    pub outstanding: u32,
    /// Instructions of all its messages so far (performance counter 1).
    pub instructions: u64,
    /// When it began.
    pub started_at: UnixNanos,
    /// What it cost so far, without storage: message fees, executions in this context, calls made by it.
    pub cost: Cycles,
}

/// A function reference to continue at: an index of the module's table and a word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuation {
    /// Index into the function table.
    pub function: u64,
    /// The environment word handed to it.
    pub environment: u64,
}

/// What runs when the response to an outgoing call arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The call context that made the call.
    pub context: u64,
    /// Who was called.
    pub callee: CanisterId,
    /// Runs on a reply.
    pub on_reply: Continuation,
    /// Runs on a reject.
    pub on_reject: Continuation,
    /// Runs if one of the former traps.
    pub on_cleanup: Option<Continuation>,
    /// Cycles attached to the call.
    pub cycles: Cycles,
    /// Set aside for executing the callback and for the response's bytes (held in flight, the rest is refunded).
    pub reserved: Cycles,
    /// When a best-effort call stops waiting.
    pub deadline: Option<UnixNanos>,
}
