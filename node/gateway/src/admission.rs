//! How much work the gateway takes on at a time: bytes of bodies in memory and calls that wait for a certificate.

use crate::failure::Failure;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one unit of the body budget stands for.
const UNIT_BYTES: usize = 4 << 10;
/// What a client that was turned away is told to wait.
const RETRY_AFTER_MS: u64 = 1_000;

/// Room that a request holds until it is answered.
pub(crate) type Permit = OwnedSemaphorePermit;

/// The two budgets.
pub(crate) struct Admission {
    bodies: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Admission {
    /// Budgets of this many bytes of bodies and this many waiting calls.
    pub(crate) fn new(bodies_bytes_max: usize, waiting_calls_max: usize) -> Self {
        let units = bodies_bytes_max.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            bodies: Arc::new(Semaphore::new(units)),
            waiting: Arc::new(Semaphore::new(waiting_calls_max.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Room for a body of at most `bytes`.
    pub(crate) fn body(&self, bytes: usize) -> Result<Permit, Failure> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).unwrap_or(u32::MAX);
        Arc::clone(&self.bodies)
            .try_acquire_many_owned(units)
            .map_err(|_| Failure::OutOfBodyMemory { retry_after_ms: RETRY_AFTER_MS })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_beyond_the_budget_are_turned_away_until_one_is_done() {
        let admission = Admission::new(64 << 10, 1);
        let first = admission.body(60 << 10).expect("room for the first");
        assert!(matches!(admission.body(8 << 10), Err(Failure::OutOfBodyMemory { .. })));
        drop(first);
        assert!(admission.body(8 << 10).is_ok());
    }

    #[test]
    fn a_call_beyond_the_budget_is_told_to_retry() {
        let admission = Admission::new(1 << 20, 1);
        let _first = admission.call().expect("room for the first");
        assert!(matches!(admission.call(), Err(Failure::TooManyCalls { retry_after_ms: 1_000 })));
        assert_eq!(admission.calls_left(), 0);
    }
}
