//! The replicated state of one subnet as a value: canisters, queues, memories as page maps, ingress history, ledger, roots.
//!
//! Cheap to clone (persistent maps, shared pages): queries read one height while the next executes. Nothing here
//! reads a clock, a socket or a disk; everything iterated is ordered. Spec: `specs/state.md`.

mod awake;
pub mod blob;
pub mod built_in;
pub mod call_policy;
pub mod canister;
pub mod checkpoint;
pub mod epochs;
pub mod genesis;
pub mod ingress;
pub mod memory;
pub mod message;
pub mod metrics;
pub mod objects;
pub mod paused;
pub mod preparing;
pub mod proposals;
pub mod protocol;
mod shared;
pub mod snapshot;
pub mod state;
mod system_queue;
pub mod tokens;

pub use awake::Awake;
pub use built_in::BuiltIn;
pub use call_policy::CallPolicy;
pub use canister::{
    Canister, Change, ChangeKind, Code, Exports, LogRecord, LogVisibility, PUBLISHER_SECTION, RunStatus, Section,
    Settings, Stop,
};
pub use checkpoint::{CheckpointStore, StorageFailure};
pub use epochs::Epochs;
pub use genesis::{Genesis, GenesisNode, NetworkKind, RequiredSignature};
pub use ingress::{IngressEntry, IngressHistory, IngressStatus};
pub use memory::{Heap, PAGE_BYTES, PageTree};
pub use message::{
    CallContext, CallOrigin, Callback, CallerInfo, Continuation, Hashed, Message, Response, SystemMessage, Task,
};
pub use metrics::Metrics;
pub use objects::{ObjectSink, ObjectSource, Part};
pub use paused::{Beginning, Draft, Installing, Paused, RunName, Work};
pub use preparing::{Accepted, Preparing};
pub use proposals::Proposals;
pub use protocol::{Announcement, Protocol, Switch, SwitchRules, VersionMark};
pub use shared::Memo;
pub use snapshot::Snapshot;
pub use state::{EncodingError, Manifest, State, Subnet};
pub use system_queue::SystemQueue;
pub use tokens::{Table, Tokens};
