//! Verified calls that wait to be proposed, oldest first. Bounded in count and bytes.

use bytes::Bytes;
use mains_crypto::VerifiedCall;
use mains_state::CallerInfo;
use mains_types::{
    CanisterId, RequestId, UnixNanos,
    ids::is_unpaid,
    limits,
    planted::{self, Defect},
};
use mains_wire::SenderInfo;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::{Notify, futures::Notified};

/// Calls in the pool: ten seconds at the highest rate this design aims at.
pub const CALLS_MAX: usize = 50_000;
/// Bytes of all calls in the pool.
const BYTES_MAX: usize = 64 << 20;
/// Share of the pool that calls to one canister may take (one in this many), so that none crowds out the others.
const CANISTER_SHARE: usize = 2;

/// The pool is full, or this canister's share of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pool of waiting calls is full")]
pub struct PoolFull;

struct Waiting {
    call: Arc<VerifiedCall>,
    raw: Bytes,
    turn: u64,
}

#[derive(Default)]
struct Calls {
    by_id: HashMap<RequestId, Waiting>,
    by_turn: BTreeMap<u64, RequestId>,
    by_raw: HashMap<Bytes, RequestId>,
    by_expiry: BTreeSet<(UnixNanos, RequestId)>,
    per_canister: HashMap<CanisterId, usize>,
    next_turn: u64,
    bytes: usize,
}

/// Verified calls that wait to be proposed.
pub struct Pool {
    calls_max: usize,
    calls: Mutex<Calls>,
    arrived: Notify,
}

impl Pool {
    /// An empty pool for this many calls.
    pub fn of(calls_max: usize) -> Self {
        Self { calls_max, calls: Mutex::default(), arrived: Notify::new() }
    }

    /// Takes a call; `false` if it is already there.
    ///
    /// # Errors
    /// [`PoolFull`]: nothing was kept.
    pub fn insert(&self, call: VerifiedCall) -> Result<bool, PoolFull> {
        let mut calls = self.lock();
        let id = call.request_id();
        if calls.by_id.contains_key(&id) {
            return Ok(false);
        }
        let raw = call.raw().clone();
        let of_canister = calls.per_canister.get(&call.canister_id()).copied().unwrap_or(0);
        if calls.by_id.len() >= self.calls_max
            || calls.bytes + raw.len() > BYTES_MAX
            || of_canister >= self.calls_max / CANISTER_SHARE
        {
            return Err(PoolFull);
        }
        let turn = calls.next_turn;
        calls.next_turn += 1;
        calls.bytes += raw.len();
        *calls.per_canister.entry(call.canister_id()).or_default() += 1;
        calls.by_turn.insert(turn, id);
        calls.by_raw.insert(raw.clone(), id);
        calls.by_expiry.insert((call.ingress_expiry(), id));
        calls.by_id.insert(id, Waiting { call: Arc::new(call), raw, turn });
        drop(calls);
        self.arrived.notify_waiters();
        Ok(true)
    }

    /// Whether the call waits here.
    pub fn contains(&self, id: &RequestId) -> bool {
        self.lock().by_id.contains_key(id)
    }

    /// The verified form of exactly these bytes, if the call waits here: saves a second signature check.
    pub fn verified(&self, raw: &Bytes) -> Option<Arc<VerifiedCall>> {
        let calls = self.lock();
        let id = calls.by_raw.get(raw)?;
        calls.by_id.get(id).map(|waiting| waiting.call.clone())
    }

    /// Calls to propose, oldest first: none of `taken`, none that expires by `time`, within the block's limits; no more than
    /// `bytes_max` bytes, or one call.
    pub fn select(&self, taken: &HashSet<RequestId>, time: UnixNanos, bytes_max: usize) -> Vec<Bytes> {
        let calls = self.lock();
        let mut chosen = Vec::new();
        let (mut bytes, mut signature_units, mut unpaid) = (0, 0, 0);
        for id in calls.by_turn.values() {
            let waiting = &calls.by_id[id];
            let expired = waiting.call.check_at_block(time).is_err() && !planted::is(Defect::ExpiredProposed);
            let is_unpaid = is_unpaid(&waiting.call.canister_id());
            if taken.contains(id) || expired || (is_unpaid && unpaid == limits::BLOCK_UNPAID_CALLS_MAX) {
                continue;
            }
            if !chosen.is_empty() && bytes + waiting.raw.len() > bytes_max.min(limits::BLOCK_INGRESS_BYTES_MAX) {
                break;
            }
            signature_units += waiting.call.signature_units();
            if signature_units > limits::BLOCK_SIGNATURE_UNITS_MAX {
                break;
            }
            bytes += waiting.raw.len();
            unpaid += usize::from(is_unpaid);
            chosen.push(waiting.raw.clone());
            if chosen.len() == limits::BLOCK_INGRESS_COUNT_MAX {
                break;
            }
        }
        chosen
    }

    /// Whether [`Pool::select`] would choose something.
    pub fn has_any(&self, taken: &HashSet<RequestId>, time: UnixNanos) -> bool {
        let calls = self.lock();
        calls.by_turn.values().any(|id| !taken.contains(id) && calls.by_id[id].call.check_at_block(time).is_ok())
    }

    /// Ends with the next arrival after this call, polled or not.
    pub fn arrival(&self) -> Notified<'_> {
        self.arrived.notified()
    }

    /// Forgets calls that are in a finalized block, and those that expired by `time`.
    pub fn forget(&self, finalized: &[RequestId], time: UnixNanos) {
        let mut calls = self.lock();
        for id in finalized {
            calls.remove(id);
        }
        while let Some((expiry, id)) = calls.by_expiry.first().copied()
            && expiry <= time
        {
            calls.remove(&id);
        }
    }

    /// Calls that wait.
    pub fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().expect("no holder of the pool panics")
    }
}

impl Calls {
    fn remove(&mut self, id: &RequestId) {
        let Some(waiting) = self.by_id.remove(id) else { return };
        self.by_turn.remove(&waiting.turn);
        self.by_raw.remove(&waiting.raw);
        self.by_expiry.remove(&(waiting.call.ingress_expiry(), *id));
        self.bytes -= waiting.raw.len();
        let canister = waiting.call.canister_id();
        if let Some(count) = self.per_canister.get_mut(&canister) {
            *count -= 1;
            if *count == 0 {
                self.per_canister.remove(&canister);
            }
        }
    }
}

/// What a canister says about the sender, as execution takes it: the signature was checked.
pub fn caller_info(SenderInfo { info, signer, .. }: SenderInfo) -> CallerInfo {
    CallerInfo { info, signer }
}

/// The same call as execution takes it.
pub fn execution_call(call: &VerifiedCall) -> mains_execution::Call {
    mains_execution::Call {
        request_id: call.request_id(),
        sender: call.sender(),
        caller_info: call.sender_info().cloned().map(caller_info),
        canister_id: call.canister_id(),
        method: call.method_name().to_owned(),
        argument: call.argument().to_vec(),
        expires_at: call.ingress_expiry(),
        bytes: call.raw().len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_crypto::{RootOfTrust, verify_call};
    use mains_types::{
        Principal,
        ids::{canister_id, cycles_ledger_id},
    };
    use mains_wire::{Call, Envelope, encode_call};

    const NOW: UnixNanos = UnixNanos(1_000 * UnixNanos::SECOND);

    fn call(callee: CanisterId, number: usize) -> VerifiedCall {
        let call = Call {
            canister_id: callee,
            method_name: "icrc1_transfer".into(),
            arg: Vec::new(),
            sender: Principal::anonymous(),
            ingress_expiry: NOW.saturating_add_nanos(60 * UnixNanos::SECOND),
            nonce: Some(number.to_be_bytes().to_vec()),
            sender_info: None,
        };
        let envelope = Envelope::parse(&encode_call(&call, None)).expect("our own request parses");
        verify_call(envelope, NOW, &RootOfTrust::new([0; 96])).expect("anybody may be nobody")
    }

    #[test]
    fn calls_for_which_nobody_pays_leave_the_other_places_of_a_block() {
        const UNPAID: usize = limits::BLOCK_UNPAID_CALLS_MAX;
        let pool = Pool::of(10_000);
        (0..4 * UNPAID).for_each(|number| assert_eq!(pool.insert(call(cycles_ledger_id(), number)), Ok(true)));
        let paid: Vec<_> = (0..10).map(|number| call(canister_id(0x100), number)).collect();
        let raw: HashSet<Bytes> = paid.iter().map(|call| call.raw().clone()).collect();
        paid.into_iter().for_each(|call| assert_eq!(pool.insert(call), Ok(true)));
        let chosen = pool.select(&HashSet::new(), NOW, usize::MAX);
        assert_eq!(chosen.len(), UNPAID + 10);
        assert_eq!(chosen.iter().filter(|call| raw.contains(*call)).count(), 10, "though all others came before them");
    }
}
