//! The lane of calls whose modules are being compiled, one after the other.
//!
//! Senders share it fairly, by what their modules weigh: each call gets a place (a number) when it comes, its module's weight behind
//! the place that the sender's last one has, or behind the module whose turn it is. Least goes first. So a sender who has many
//! modules in the lane waits for himself, and nobody waits for more of another one's modules than his own weigh.

use super::{
    State,
    digest::{self, AcceptedSummary},
};
use crate::{
    message::{Hashed, SystemMessage},
    preparing::{Accepted, Preparing},
};
use mains_types::{CanisterId, Cycles, Digest32, Height, Principal, UnixNanos, limits};
use serde::Serialize;
use std::sync::Arc;

/// What of a call in the lane goes into the root: its module by the hashes that name it.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    about: &'a CanisterId,
    message: Digest32,
    module: AcceptedSummary<'a>,
    reserved: Cycles,
    place: (u64, u64),
    due: Option<(Height, UnixNanos)>,
}

impl State {
    /// Whether the lane takes one more call of this sender that holds so many bytes and whose module weighs so much.
    pub fn has_lane_room(&self, sender: &Principal, bytes: u64, weight: u64) -> bool {
        let own = || self.preparing.iter().filter(|entry| entry.message.sender == *sender);
        let weights = own().map(|entry| entry.weight).fold(weight, u64::saturating_add);
        let held = |entries: &mut dyn Iterator<Item = &Preparing>| entries.map(Preparing::bytes).sum::<u64>() + bytes;
        self.preparing.len() < limits::PREPARING_MAX
            && own().count() < limits::PREPARING_SENDER_MAX
            && nanos(weights) <= limits::PREPARING_NANOS_MAX
            && held(&mut own()) <= limits::PREPARING_SENDER_BYTES_MAX
            && held(&mut self.preparing.iter()) <= limits::PREPARING_BYTES_MAX
    }

    /// Puts a call into the lane.
    pub fn prepare(
        &mut self,
        about: CanisterId,
        message: SystemMessage,
        mut module: Accepted,
        reserved: Cycles,
        weight: u64,
    ) {
        let own = self.preparing.iter().filter(|entry| entry.message.sender == message.sender);
        let last = own.map(|entry| entry.place).max().unwrap_or_default().max(self.preparing_place);
        // A module that is in the lane already is compiled once.
        let twin = self.preparing.iter().find(|entry| entry.module.id == module.id);
        let due = twin.and_then(|twin| twin.due);
        if let Some(twin) = twin {
            module.wasm = twin.module.wasm.clone();
        }
        let message = Arc::new(Hashed::new(message));
        let place = last.saturating_add(weight);
        self.preparing.push_back(Preparing { about, message, module, reserved, weight, place, due });
        self.begin_next();
    }

    /// Gives the next module its time, if that of the one before is over.
    fn begin_next(&mut self) {
        if self.preparing.is_empty() {
            self.preparing_place = 0;
        }
        if self.preparing.iter().any(|entry| entry.due.is_some() && !self.is_due(entry)) {
            return;
        }
        let waiting = self.preparing.iter().filter(|entry| entry.due.is_none());
        let Some(next) = waiting.min_by_key(|entry| entry.place) else { return };
        let (id, weight) = (next.module.id, next.weight);
        self.preparing_place = next.place;
        let rounds = weight.div_ceil(limits::COMPILE_BLOCK_INSTRUCTIONS);
        let due = (Height(self.height.get().saturating_add(rounds)), self.time.saturating_add_nanos(nanos(weight)));
        self.preparing.iter_mut().filter(|entry| entry.module.id == id).for_each(|entry| entry.due = Some(due));
    }

    fn is_due(&self, entry: &Preparing) -> bool {
        entry.due.is_some_and(|(height, time)| height <= self.height && time <= self.time)
    }

    /// The calls in the lane in the order in which their modules will be asked for, as things stand.
    pub fn preparing_in_order(&self) -> Vec<&Preparing> {
        let mut entries: Vec<_> = self.preparing.iter().collect();
        entries.sort_by_key(|entry| (entry.due.is_none(), entry.due, entry.place));
        entries
    }

    /// The calls in the lane, oldest first.
    pub fn preparing(&self) -> impl Iterator<Item = &Preparing> {
        self.preparing.iter()
    }

    /// Whether a call about this canister is in the lane.
    pub fn is_preparing(&self, id: &CanisterId) -> bool {
        self.preparing.iter().any(|entry| entry.about == *id)
    }

    /// Takes the oldest call out of the lane that is due and whose canister is not paused. The caller runs it, and then
    /// [`State::unpause`] lets those go on that waited for it. To be asked in every block: it is what gives modules their turns.
    pub fn take_prepared(&mut self) -> Option<Preparing> {
        let is_paused = |id| self.canister(id).is_some_and(|canister| canister.paused.is_some());
        let index = self.preparing.iter().position(|entry| self.is_due(entry) && !is_paused(&entry.about));
        let entry = index.map(|index| self.preparing.remove(index));
        self.begin_next();
        entry
    }

    /// Whether a canister had the module with this hash, as it was uploaded, when the last block ended: replicas have it ready.
    pub fn is_installed(&self, module_hash: &Digest32) -> bool {
        self.installed.contains_key(module_hash)
    }

    /// Notes that one canister more, or one less, has a module.
    pub(super) fn count_module(&mut self, module_hash: &Digest32, is_more: bool) {
        let before = self.installed.get(module_hash).copied().unwrap_or_default();
        match if is_more { before + 1 } else { before - 1 } {
            0 => self.installed.remove(module_hash),
            count => self.installed.insert(*module_hash, count),
        };
    }

    pub(super) fn preparing_summary(&self) -> Vec<Summary<'_>> {
        self.preparing.iter().map(summarise).collect()
    }
}

fn summarise(entry: &Preparing) -> Summary<'_> {
    // No `..`: whoever adds a field decides here how the root covers it.
    let Preparing { about, message, module, reserved, weight, place, due } = entry;
    Summary {
        about,
        message: message.digest(),
        module: digest::accepted(module),
        reserved: *reserved,
        place: (*weight, *place),
        due: *due,
    }
}

/// The time that replicas are given to compile what weighs so much.
fn nanos(weight: u64) -> u64 {
    u64::try_from(u128::from(weight) * u128::from(limits::COMPILE_NANOS_PER_1000_INSTRUCTIONS) / 1_000)
        .unwrap_or(u64::MAX)
}
