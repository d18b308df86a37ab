//! What calls from outside may cost a canister: limits that its controllers set, and how much of them is used up.
//!
//! Both count within windows of an hour of block time. A window begins with the first call after the one before has ended.
//! Spec: `specs/ledger.md`, "Limits on calls from outside".

use imbl::OrdMap;
use mains_types::{Cycles, Principal, UnixNanos, limits};
use serde::{Deserialize, Serialize};

/// Bytes that a policy is paid for as storage, apart from its callers.
const BASE_BYTES: u64 = 128;
/// Bytes of a caller that is remembered.
const CALLER_BYTES: u64 = 48;

/// Limits for calls of clients that are not controllers, and what is used up of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPolicy {
    /// Cycles that such calls may cost the canister in a window, all together.
    pub cycles_per_hour: Option<Cycles>,
    /// Calls that each caller may make in a window.
    pub calls_per_caller_per_hour: Option<u32>,
    window: Window,
}

/// What was used up since a window began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    began: Option<UnixNanos>,
    spent: Cycles,
    /// Calls of the first callers.
    callers: OrdMap<Principal, u32>,
    /// Calls of all other callers together.
    others: u64,
}

/// Which limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// The cycles.
    Cycles,
    /// The caller's calls.
    Caller,
    /// The calls that all but the first callers may make together.
    Others,
}

impl CallPolicy {
    /// Sets the limits. What is used up stays used up until the window ends.
    pub fn set(&mut self, cycles_per_hour: Option<Cycles>, calls_per_caller_per_hour: Option<u32>) {
        (self.cycles_per_hour, self.calls_per_caller_per_hour) = (cycles_per_hour, calls_per_caller_per_hour);
        if calls_per_caller_per_hour.is_none() {
            (self.window.callers, self.window.others) = (OrdMap::new(), 0);
        }
    }

    /// Whether a call of this caller may be taken in that costs so much to take in.
    ///
    /// # Errors
    /// The limit that stands against it.
    pub fn check(&self, now: UnixNanos, caller: &Principal, fee: Cycles) -> Result<(), Exhausted> {
        let nothing = Window::default();
        let window = if self.is_over(now) { &nothing } else { &self.window };
        if self.cycles_per_hour.is_some_and(|most| window.spent.saturating_add(fee) > most) {
            return Err(Exhausted::Cycles);
        }
        let Some(most) = self.calls_per_caller_per_hour else { return Ok(()) };
        match window.callers.get(caller) {
            Some(made) if *made >= most => Err(Exhausted::Caller),
            Some(_) => Ok(()),
            None if most == 0 => Err(Exhausted::Caller),
            None if window.callers.len() < limits::CALL_POLICY_CALLERS_MAX => Ok(()),
            None if window.others < others_max(most) => Ok(()),
            None => Err(Exhausted::Others),
        }
    }

    /// Whether a call that was taken in may begin.
    ///
    /// # Errors
    /// The cycles are used up.
    pub fn check_begin(&self, now: UnixNanos) -> Result<(), Exhausted> {
        let is_spent = self.cycles_per_hour.is_some_and(|most| self.spent(now) >= most);
        if is_spent { Err(Exhausted::Cycles) } else { Ok(()) }
    }

    /// Counts a call that is taken in and what that cost.
    pub fn admit(&mut self, now: UnixNanos, caller: &Principal, fee: Cycles) {
        self.spend(now, fee);
        if self.calls_per_caller_per_hour.is_none() {
            return;
        }
        let window = &mut self.window;
        let has_room = window.callers.len() < limits::CALL_POLICY_CALLERS_MAX;
        match window.callers.get_mut(caller) {
            Some(made) => *made = made.saturating_add(1),
            None if has_room => drop(window.callers.insert(*caller, 1)),
            None => window.others = window.others.saturating_add(1),
        }
    }

    /// Counts what a call cost.
    pub fn spend(&mut self, now: UnixNanos, cost: Cycles) {
        if self.is_over(now) {
            self.window = Window { began: Some(now), ..Window::default() };
        }
        self.window.spent = self.window.spent.saturating_add(cost);
    }

    /// Cycles spent in the present window.
    pub fn spent(&self, now: UnixNanos) -> Cycles {
        if self.is_over(now) { Cycles::ZERO } else { self.window.spent }
    }

    /// Callers that are remembered in the present window.
    pub fn callers_count(&self, now: UnixNanos) -> usize {
        if self.is_over(now) { 0 } else { self.window.callers.len() }
    }

    /// When the present window ends; `None` if none has begun.
    pub fn ends_at(&self, now: UnixNanos) -> Option<UnixNanos> {
        let began = self.window.began.filter(|_| !self.is_over(now))?;
        Some(began.saturating_add_nanos(limits::CALL_POLICY_WINDOW_NANOS))
    }

    /// Bytes that it is paid for as storage: with room for all callers that may be remembered, so that callers change nothing.
    pub fn bytes(&self) -> u64 {
        let callers = if self.calls_per_caller_per_hour.is_some() { limits::CALL_POLICY_CALLERS_MAX as u64 } else { 0 };
        BASE_BYTES + callers * CALLER_BYTES
    }

    fn is_over(&self, now: UnixNanos) -> bool {
        self.window.began.is_none_or(|began| now.nanos_since(began) >= limits::CALL_POLICY_WINDOW_NANOS)
    }
}

/// Calls that all but the first callers may make together: as many as these may.
fn others_max(calls_per_caller: u32) -> u64 {
    u64::from(calls_per_caller).saturating_mul(limits::CALL_POLICY_CALLERS_MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = limits::CALL_POLICY_WINDOW_NANOS;
    const START: UnixNanos = UnixNanos(10 * HOUR);

    fn user(name: u32) -> Principal {
        Principal::self_authenticating(name.to_be_bytes())
    }

    fn policy(cycles: Option<u128>, calls: Option<u32>) -> CallPolicy {
        let mut policy = CallPolicy::default();
        policy.set(cycles.map(Cycles), calls);
        policy
    }

    #[test]
    fn a_window_begins_with_the_first_call_and_lasts_an_hour() {
        let mut policy = policy(Some(100), None);
        assert_eq!((policy.check(START, &user(1), Cycles(100)), policy.ends_at(START)), (Ok(()), None));
        assert_eq!(policy.check(START, &user(1), Cycles(101)), Err(Exhausted::Cycles));
        policy.admit(START, &user(1), Cycles(60));
        let last = START.saturating_add_nanos(HOUR - 1);
        policy.spend(last, Cycles(40));
        assert_eq!(policy.check(last, &user(2), Cycles(1)), Err(Exhausted::Cycles));
        assert_eq!((policy.check_begin(last), policy.spent(last)), (Err(Exhausted::Cycles), Cycles(100)));
        let next = START.saturating_add_nanos(HOUR);
        assert_eq!((policy.check(next, &user(2), Cycles(100)), policy.spent(next)), (Ok(()), Cycles::ZERO));
        policy.admit(next, &user(2), Cycles(7));
        assert_eq!((policy.spent(next), policy.ends_at(next)), (Cycles(7), Some(next.saturating_add_nanos(HOUR))));
    }

    #[test]
    fn limits_that_are_changed_leave_what_is_used_up() {
        let mut policy = policy(Some(100), Some(1));
        policy.admit(START, &user(1), Cycles(60));
        policy.set(Some(Cycles(50)), Some(2));
        assert_eq!(policy.check(START, &user(1), Cycles::ZERO), Err(Exhausted::Cycles));
        policy.set(None, Some(1));
        assert_eq!(policy.check(START, &user(1), Cycles::ZERO), Err(Exhausted::Caller));
        policy.set(None, None);
        assert_eq!((policy.check(START, &user(1), Cycles::ZERO), policy.callers_count(START)), (Ok(()), 0));
    }

    #[test]
    fn callers_beyond_those_remembered_have_as_many_calls_together() {
        let count = limits::CALL_POLICY_CALLERS_MAX as u32;
        let mut policy = policy(None, Some(2));
        for name in 0..count {
            policy.admit(START, &user(name), Cycles(1));
        }
        assert_eq!(policy.check(START, &user(0), Cycles(1)), Ok(()), "it has one left");
        for name in 0..2 * count {
            assert_eq!(policy.check(START, &user(count + name), Cycles(1)), Ok(()), "{name}");
            policy.admit(START, &user(count + name), Cycles(1));
        }
        assert_eq!(policy.check(START, &user(count), Cycles(1)), Err(Exhausted::Others));
        policy.admit(START, &user(0), Cycles(1));
        assert_eq!(policy.check(START, &user(0), Cycles(1)), Err(Exhausted::Caller));
        assert_eq!(policy.callers_count(START), limits::CALL_POLICY_CALLERS_MAX);
        assert_eq!(policy.bytes(), BASE_BYTES + u64::from(count) * CALLER_BYTES);
        assert_eq!(policy.check(START.saturating_add_nanos(HOUR), &user(0), Cycles(1)), Ok(()));
    }

    #[test]
    fn nothing_at_all_is_a_limit_too() {
        assert_eq!(policy(Some(0), None).check(START, &user(1), Cycles(1)), Err(Exhausted::Cycles));
        assert_eq!(policy(Some(0), None).check_begin(START), Err(Exhausted::Cycles));
        assert_eq!(policy(None, Some(0)).check(START, &user(1), Cycles(1)), Err(Exhausted::Caller));
    }
}
