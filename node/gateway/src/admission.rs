//! How much work the gateway takes on at a time: bytes of bodies and of replies in memory, and calls that wait for a
//! certificate.
//!
//! Room for a body is taken as its bytes arrive, never for what was only announced, and small bodies have room of their
//! own: whoever sends large ones slowly keeps out nobody but his like.

use crate::failure::Failure;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one unit of a budget stands for.
const UNIT_BYTES: usize = 4 << 10;
/// Bodies up to this size are small: nearly all calls and all queries but a few.
pub(crate) const SMALL_BODY_BYTES: usize = 64 << 10;
/// Share of the room for bodies that small ones have to themselves (one in this many).
const SMALL_SHARE: usize = 4;
/// What a client that was turned away is told to wait.
const RETRY_AFTER_MS: u64 = 1_000;

/// Room that a request holds until it is answered.
pub(crate) type Permit = OwnedSemaphorePermit;

/// The budgets.
pub(crate) struct Admission {
    small_bodies: Arc<Semaphore>,
    large_bodies: Arc<Semaphore>,
    replies: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Admission {
    /// Budgets of this many bytes of bodies, as many of replies, and this many waiting calls.
    pub(crate) fn new(bodies_bytes_max: usize, waiting_calls_max: usize) -> Self {
        let small = bodies_bytes_max / SMALL_SHARE;
        let budget = |bytes: usize| Arc::new(Semaphore::new(bytes.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS)));
        Self {
            small_bodies: budget(small),
            large_bodies: budget(bodies_bytes_max - small),
            replies: budget(bodies_bytes_max),
            waiting: Arc::new(Semaphore::new(waiting_calls_max.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Room for a body that has `bytes` so far; `held` is what it had before.
    pub(crate) fn grow_body(&self, held: &mut Option<Permit>, bytes: usize) -> Result<(), Failure> {
        let is_small = bytes <= SMALL_BODY_BYTES;
        let budget = if is_small { &self.small_bodies } else { &self.large_bodies };
        // On growing out of the small ones it gives that room back.
        let had = held.as_ref().filter(|permit| Arc::ptr_eq(permit.semaphore(), budget)).map_or(0, Permit::num_permits);
        let more = bytes.div_ceil(UNIT_BYTES).max(1).saturating_sub(had);
        if more == 0 {
            return Ok(());
        }
        let permit = acquire(budget, more).ok_or(Failure::OutOfBodyMemory { retry_after_ms: RETRY_AFTER_MS })?;
        match held {
            Some(held) if had > 0 => held.merge(permit),
            _ => *held = Some(permit),
        }
        Ok(())
    }

    /// Room for a body or a piece of one of `bytes` that is here already.
    pub(crate) fn body(&self, bytes: usize) -> Result<Permit, Failure> {
        let mut held = None;
        self.grow_body(&mut held, bytes)?;
        Ok(held.expect("a body has at least one unit"))
    }

    /// Room for a reply of `bytes`.
    pub(crate) fn reply(&self, bytes: usize) -> Result<Permit, Failure> {
        acquire(&self.replies, bytes.div_ceil(UNIT_BYTES).max(1))
            .ok_or(Failure::OutOfReplyMemory { retry_after_ms: RETRY_AFTER_MS })
    }

    /// Room for one more call that waits for its certificate.
    pub(crate) fn call(&self) -> Result<Permit, Failure> {
        Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| Failure::TooManyCalls { retry_after_ms: RETRY_AFTER_MS })
    }

    /// Calls that may still begin to wait.
    pub(crate) fn calls_left(&self) -> usize {
        self.waiting.available_permits()
    }
}

fn acquire(budget: &Arc<Semaphore>, units: usize) -> Option<Permit> {
    Arc::clone(budget).try_acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_beyond_the_budget_are_turned_away_until_one_is_done() {
        let admission = Admission::new(1 << 20, 1);
        let first = admission.body(700 << 10).unwrap_or_else(|_| panic!("room for the first"));
        assert!(matches!(admission.body(80 << 10), Err(Failure::OutOfBodyMemory { .. })));
        drop(first);
        assert!(admission.body(80 << 10).is_ok());
    }

    #[test]
    fn large_bodies_leave_small_ones_their_room() {
        let admission = Admission::new(1 << 20, 1);
        let _large = admission.body(768 << 10).unwrap_or_else(|_| panic!("all room of large ones"));
        let small: Vec<_> = (0..4).map(|_| admission.body(64 << 10)).collect();
        assert!(small.iter().all(Result::is_ok));
        assert!(admission.body(1).is_err(), "and no more than that");
    }

    #[test]
    fn a_body_that_grows_holds_what_it_has_and_gives_small_room_back() {
        let admission = Admission::new(1 << 20, 1);
        let mut held = None;
        for bytes in [1, 4 << 10, 10 << 10, 64 << 10] {
            admission.grow_body(&mut held, bytes).unwrap_or_else(|_| panic!("room for {bytes}"));
            assert_eq!(held.as_ref().map(Permit::num_permits), Some(bytes.div_ceil(UNIT_BYTES)));
        }
        admission.grow_body(&mut held, 700 << 10).unwrap_or_else(|_| panic!("room as a large one"));
        assert_eq!(admission.small_bodies.available_permits(), (256 << 10) / UNIT_BYTES);
        drop(held);
        assert_eq!(admission.large_bodies.available_permits(), (768 << 10) / UNIT_BYTES);
    }

    #[test]
    fn a_call_beyond_the_budget_is_told_to_retry() {
        let admission = Admission::new(1 << 20, 1);
        let _first = admission.call().unwrap_or_else(|_| panic!("room for the first"));
        assert!(matches!(admission.call(), Err(Failure::TooManyCalls { retry_after_ms: 1_000 })));
        assert_eq!(admission.calls_left(), 0);
    }
}
