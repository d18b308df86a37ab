//! Whose turn it is: canisters with messages, paused messages. Calls to built-in canisters wait in the [`crate::SystemQueue`].

use super::State;
use crate::{Message, Paused, message::Hashed};
use mains_types::{CanisterId, UnixNanos, limits};
use std::sync::Arc;

impl State {
    /// Puts a message at the end of a canister's queue and the canister in line. False and no change if it does not exist.
    pub fn enqueue(&mut self, id: &CanisterId, message: Message) -> bool {
        let Some(canister) = self.canister_mut(id) else { return false };
        canister.queue_bytes += message.bytes();
        canister.queue.push_back(Arc::new(Hashed::new(message)));
        self.line_up(id);
        true
    }

    /// Puts a message before all others of a canister's queue and the canister in line. Does nothing if it does not exist.
    pub fn enqueue_first(&mut self, id: &CanisterId, message: Message) {
        let Some(canister) = self.canister_mut(id) else { return };
        canister.queue_bytes += message.bytes();
        canister.queue.push_front(Arc::new(Hashed::new(message)));
        self.line_up(id);
    }

    /// Puts a canister at the end of the line if it has messages, is not paused and does not stand there yet.
    fn line_up(&mut self, id: &CanisterId) {
        let turn = self.next_turn;
        let waits = |canister: &crate::Canister| {
            canister.turn.is_none() && canister.paused.is_none() && !canister.queue.is_empty()
        };
        if let Some(canister) =
            self.canisters.get(id).is_some_and(|canister| waits(canister)).then(|| self.canister_mut(id)).flatten()
        {
            canister.turn = Some(turn);
            self.ready.insert((turn, *id));
            self.next_turn += 1;
        }
    }

    /// Takes the oldest message of the canister whose turn it is; the canister goes to the end of the line if it has more.
    pub fn dequeue(&mut self) -> Option<(CanisterId, Message)> {
        let (turn, id) = self.ready.remove_min()?;
        let canister = self.canister_mut(&id).expect("a canister in line exists");
        assert_eq!(canister.turn.take(), Some(turn), "a canister stands in line once");
        let message = canister.queue.pop_front().expect("a canister in line has a message");
        canister.queue_bytes -= message.bytes();
        self.line_up(&id);
        Some((id, Arc::unwrap_or_clone(message).into_inner()))
    }

    /// Keeps a canister's message for later rounds; until then it runs nothing else. Keeps its place if it has one.
    ///
    /// # Panics
    /// If the canister does not exist.
    pub fn pause(&mut self, id: &CanisterId, mut paused: Paused) {
        let turn = self.next_turn;
        self.next_turn += 1;
        let place = *paused.place.get_or_insert(turn);
        paused.turn = turn;
        let canister = self.canister_mut(id).expect("it has just run");
        canister.paused = Some(paused);
        let stood = canister.turn.take();
        if let Some(turn) = stood {
            self.ready.remove(&(turn, *id));
        }
        self.paused.insert((place, *id));
    }

    /// Takes the paused message that has waited longest for its next slice, among those that began first. The caller runs it and
    /// then calls [`State::pause`] or [`State::unpause`].
    pub fn resume(&mut self) -> Option<(CanisterId, Paused)> {
        let active = self.paused.iter().take(limits::PAUSED_ACTIVE_MAX);
        let turn_of =
            |id| self.canisters.get(id).and_then(|canister| canister.paused.as_ref()).map(|paused| paused.turn);
        let (place, id) = *active.min_by_key(|(_, id)| turn_of(id))?;
        self.paused.remove(&(place, id));
        let paused = self.canister_mut(&id).and_then(|canister| canister.paused.take());
        Some((id, paused.expect("what is indexed exists")))
    }

    /// The canister's paused message, or a call about it in the lane, has ended: it stands in line again, and calls about it that
    /// were put off go first in theirs.
    pub fn unpause(&mut self, id: &CanisterId) {
        self.line_up(id);
        self.system_queue.release(id);
    }

    /// When the next best-effort call stops waiting.
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        self.deadlines.get_min().map(|(deadline, ..)| *deadline)
    }

    /// Whether something waits to be run.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.paused.is_empty() || self.system_queue.has_work()
    }

    /// Takes all messages out of a canister's queue, for whoever answers them.
    pub fn drain_queue(&mut self, id: &CanisterId) -> Vec<Message> {
        let Some(canister) = self.canister_mut(id) else { return Vec::new() };
        let messages = std::mem::take(&mut canister.queue);
        let messages = messages.into_iter().map(|message| Arc::unwrap_or_clone(message).into_inner()).collect();
        (canister.queue_bytes, canister.heartbeat_waits) = (0, false);
        if let Some(turn) = canister.turn.take() {
            self.ready.remove(&(turn, *id));
        }
        messages
    }
}
