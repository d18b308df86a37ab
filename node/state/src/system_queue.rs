//! Calls to built-in canisters that wait, shared fairly by who sends them.
//!
//! Senders (users, or canisters that call) take turns, each with one call; the calls of one sender keep their order. A sender may
//! have as much waiting as a share of what is free of one half, so that one alone cannot take all of that and many take less each;
//! the other half is for the first calls of those who have none. Spec: `specs/execution.md`, "Built-in canisters".

use crate::message::{Hashed, SystemMessage};
use imbl::{OrdMap, Vector};
use mains_types::{CanisterId, Digest32, Height, Principal, limits};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

type Waiting = Arc<Hashed<SystemMessage>>;

/// All calls to built-in canisters that wait, but those whose modules are being compiled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SystemQueue {
    /// Whose turn it is: each sender with calls below, once.
    line: Vector<Principal>,
    /// Calls by sender, oldest first.
    calls: OrdMap<Principal, Vector<Waiting>>,
    /// Calls that wait for random bytes, with the height that asked: nobody could know these bytes then.
    random: Vector<(Height, Waiting)>,
    /// Calls about a canister that is paused or in the lane: they wait until it is not.
    put_off: Vector<(CanisterId, Waiting)>,
    /// What each sender has waiting, and all together. Derived.
    #[serde(skip)]
    loads: OrdMap<Principal, Load>,
    #[serde(skip)]
    total: Load,
}

/// Calls and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    calls: u64,
    bytes: u64,
}

/// What of the queue goes into the root: calls by their digests.
#[derive(Serialize)]
pub(crate) struct Summary<'a> {
    in_line: Vec<(&'a Principal, Vec<Digest32>)>,
    random: Vec<(Height, Digest32)>,
    put_off: Vec<(CanisterId, Digest32)>,
}

impl SystemQueue {
    /// Whether one more call of this sender finds room.
    pub fn has_room(&self, sender: &Principal) -> bool {
        let own = self.loads.get(sender).copied().unwrap_or_default();
        let is_first = own.calls == 0;
        let fits = |own: u64, all: u64, most: u64| {
            if is_first { all < most } else { own < (most / 2).saturating_sub(all) / limits::SYSTEM_QUEUE_SHARE }
        };
        fits(own.calls, self.total.calls, limits::SYSTEM_QUEUE_MAX)
            && fits(own.bytes, self.total.bytes, limits::SYSTEM_QUEUE_BYTES_MAX)
    }

    /// Whether a call waits for its turn or for random bytes.
    pub(crate) fn has_work(&self) -> bool {
        !self.line.is_empty() || !self.random.is_empty()
    }

    /// Puts a call behind the others of its sender, and the sender at the end of the line if it does not stand there yet.
    pub fn push(&mut self, message: SystemMessage) {
        let sender = message.sender;
        let message = self.load(message);
        let own = self.calls.entry(sender).or_default();
        if own.is_empty() {
            self.line.push_back(sender);
        }
        own.push_back(message);
    }

    /// Takes the oldest call of the sender whose turn it is; the sender goes to the end of the line if it has more.
    pub fn pop(&mut self) -> Option<SystemMessage> {
        let sender = self.line.pop_front()?;
        let own = self.calls.get_mut(&sender).expect("who stands in line has calls");
        let message = own.pop_front().expect("who stands in line has calls");
        if own.is_empty() {
            self.calls.remove(&sender);
        } else {
            self.line.push_back(sender);
        }
        Some(self.unload(message))
    }

    /// Keeps a call that asks for random bytes until this height is certified.
    pub fn push_random(&mut self, asked: Height, message: SystemMessage) {
        let message = self.load(message);
        self.random.push_back((asked, message));
    }

    /// Takes the oldest call that asked for random bytes at a height up to `certified`.
    pub fn pop_random(&mut self, certified: Height) -> Option<SystemMessage> {
        self.random.front().filter(|(asked, _)| *asked <= certified)?;
        let (_, message) = self.random.pop_front()?;
        Some(self.unload(message))
    }

    /// Keeps a call about a canister that is paused or in the lane until it is released.
    pub fn put_off(&mut self, about: CanisterId, message: SystemMessage) {
        let message = self.load(message);
        self.put_off.push_back((about, message));
    }

    /// Puts the calls about a canister that were put off before all others of their senders, and these senders first in line: one
    /// of the calls must run before the canister's next message, which might pause it again.
    pub(crate) fn release(&mut self, about: &CanisterId) {
        let (released, others) =
            std::mem::take(&mut self.put_off).into_iter().partition::<Vector<_>, _>(|(id, _)| id == about);
        self.put_off = others;
        let (mut first, mut senders) = (Vector::new(), BTreeSet::new());
        for (_, message) in &released {
            if senders.insert(message.sender) {
                first.push_back(message.sender);
            }
        }
        if first.is_empty() {
            return;
        }
        self.line.retain(|sender| !senders.contains(sender));
        first.append(std::mem::replace(&mut self.line, Vector::new()));
        self.line = first;
        for (_, message) in released.into_iter().rev() {
            self.calls.entry(message.sender).or_default().push_front(message);
        }
    }

    pub(crate) fn summary(&self) -> Summary<'_> {
        let digests = |sender| self.calls.get(sender).into_iter().flatten().map(|message| message.digest()).collect();
        Summary {
            in_line: self.line.iter().map(|sender| (sender, digests(sender))).collect(),
            random: self.random.iter().map(|(asked, message)| (*asked, message.digest())).collect(),
            put_off: self.put_off.iter().map(|(about, message)| (*about, message.digest())).collect(),
        }
    }

    /// Restores what is derived.
    ///
    /// # Errors
    /// Line and calls do not fit each other.
    pub(crate) fn rebuild(&mut self) -> Result<(), &'static str> {
        let senders: BTreeSet<&Principal> = self.line.iter().collect();
        let own = |(sender, calls): (&Principal, &Vector<Waiting>)| {
            !calls.is_empty() && calls.iter().all(|message| message.sender == *sender)
        };
        if senders.len() != self.line.len() || !senders.into_iter().eq(self.calls.keys()) || !self.calls.iter().all(own)
        {
            return Err("the line of who calls built-in canisters");
        }
        let in_line = self.calls.values().flatten();
        let random = self.random.iter().map(|(_, message)| message);
        let waiting = in_line.chain(random).chain(self.put_off.iter().map(|(_, message)| message));
        for (sender, bytes) in waiting.map(|message| (message.sender, message.bytes())).collect::<Vec<_>>() {
            self.count(sender, bytes);
        }
        Ok(())
    }

    fn count(&mut self, sender: Principal, bytes: u64) {
        for load in [self.loads.entry(sender).or_default(), &mut self.total] {
            load.calls += 1;
            load.bytes += bytes;
        }
    }

    fn load(&mut self, message: SystemMessage) -> Waiting {
        self.count(message.sender, message.bytes());
        Arc::new(Hashed::new(message))
    }

    fn unload(&mut self, message: Waiting) -> SystemMessage {
        let message = Arc::unwrap_or_clone(message).into_inner();
        let own = self.loads.get_mut(&message.sender).expect("it was counted");
        for load in [&mut *own, &mut self.total] {
            load.calls -= 1;
            load.bytes -= message.bytes();
        }
        if own.calls == 0 {
            self.loads.remove(&message.sender);
        }
        message
    }
}

#[cfg(test)]
mod tests;
