//! What became of clients' requests: kept until they expire so that none runs twice.
//!
//! An entry without an outcome stays; one with an outcome keeps it for [`limits::REPLY_RETENTION_NANOS`], then is `done`
//! until the request could no longer be sent again, then forgotten. Spec: `specs/state.md`, "Ingress history".

use imbl::{OrdMap, OrdSet};
use mains_types::{CanisterId, Cycles, Principal, Reject, RequestId, UnixNanos, limits};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How far a request has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IngressStatus {
    /// In a queue.
    Received,
    /// Started, waits for other canisters.
    Processing,
    /// Replied.
    Replied(Arc<serde_bytes::ByteBuf>),
    /// Rejected.
    Rejected(Reject),
    /// Ended, the outcome is no longer kept.
    Done,
}

impl IngressStatus {
    /// The text that certificates carry.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processing => "processing",
            Self::Replied(_) => "replied",
            Self::Rejected(_) => "rejected",
            Self::Done => "done",
        }
    }

    /// Whether nothing more will come.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Self::Received | Self::Processing)
    }

    fn payload_bytes(&self) -> u64 {
        match self {
            Self::Replied(reply) => reply.len() as u64,
            Self::Rejected(reject) => reject.message.len() as u64,
            _ => 0,
        }
    }
}

impl IngressStatus {
    /// Whether nothing more will happen to the request.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Received | Self::Processing => false,
            Self::Replied(_) | Self::Rejected(_) | Self::Done => true,
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressEntry {
    /// Who signed it; only they may read its status.
    pub sender: Principal,
    /// Whom it was for (the effective canister id).
    pub receiver: CanisterId,
    /// When it expires.
    pub expires_at: UnixNanos,
    /// How far it has come.
    pub status: IngressStatus,
    /// What it cost so far, without storage: ingress fee, executions and calls on its behalf.
    pub cost: Cycles,
    /// When the outcome or the whole entry is forgotten; `None` until there is an outcome.
    pub due: Option<UnixNanos>,
}

/// All requests that have not expired.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IngressHistory {
    /// By request id.
    entries: OrdMap<RequestId, IngressEntry>,
    /// Kept outcomes, by when they are forgotten. Derived.
    #[serde(skip)]
    outcomes: OrdSet<(UnixNanos, RequestId)>,
    /// Requests that are `done`, by when they are forgotten. Derived.
    #[serde(skip)]
    done: OrdSet<(UnixNanos, RequestId)>,
    /// Bytes of all outcomes kept. Derived.
    #[serde(skip)]
    outcome_bytes: u64,
}

impl IngressHistory {
    /// How many requests are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The request with this id.
    pub fn get(&self, id: &RequestId) -> Option<&IngressEntry> {
        self.entries.get(id)
    }

    /// Remembers a request, or what is new about it; `now` is the block's time.
    pub(crate) fn put(&mut self, id: RequestId, mut entry: IngressEntry, now: UnixNanos) {
        if entry.status.is_terminal() && entry.due.is_none() {
            entry.due = Some(now.saturating_add_nanos(limits::REPLY_RETENTION_NANOS));
        }
        self.index(id, &entry);
        if let Some(old) = self.entries.insert(id, entry) {
            self.unindex(&id, &old);
        }
    }

    /// Forgets what is due at `now`, and the oldest outcomes while all together are too large. Returns whose.
    pub(crate) fn prune(&mut self, now: UnixNanos) -> Vec<RequestId> {
        let mut touched = Vec::new();
        while let Some(&(due, id)) = self.outcomes.get_min()
            && (due <= now || self.outcome_bytes > limits::INGRESS_OUTCOME_BYTES_MAX)
        {
            if let Some(mut entry) = self.take(&id) {
                entry.status = IngressStatus::Done;
                entry.due = Some(entry.expires_at);
                self.index(id, &entry);
                self.entries.insert(id, entry);
            }
            touched.push(id);
        }
        while let Some(&(due, id)) = self.done.get_min()
            && due <= now
        {
            self.take(&id);
            touched.push(id);
        }
        touched
    }

    /// Restores what is derived from the entries.
    pub(crate) fn rebuild(&mut self) {
        (self.outcomes, self.done, self.outcome_bytes) = (OrdSet::new(), OrdSet::new(), 0);
        let entries = self.entries.clone();
        entries.iter().for_each(|(id, entry)| self.index(*id, entry));
    }

    /// All requests, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RequestId, &IngressEntry)> {
        self.entries.iter()
    }

    fn take(&mut self, id: &RequestId) -> Option<IngressEntry> {
        let entry = self.entries.remove(id)?;
        self.unindex(id, &entry);
        Some(entry)
    }

    /// Forgets when something is due for an entry that was in the index. Entries change only until they have an outcome, so
    /// the new one is never indexed under the same moment.
    fn unindex(&mut self, id: &RequestId, entry: &IngressEntry) {
        self.outcome_bytes -= entry.status.payload_bytes();
        if let Some(due) = entry.due {
            self.outcomes.remove(&(due, *id));
            self.done.remove(&(due, *id));
        }
    }

    fn index(&mut self, id: RequestId, entry: &IngressEntry) {
        self.outcome_bytes += entry.status.payload_bytes();
        if let Some(due) = entry.due {
            let set = if entry.status == IngressStatus::Done { &mut self.done } else { &mut self.outcomes };
            set.insert((due, id));
        }
    }
}
