//! Canisters that are awake: those that ran last. Waking any other one, the copy of its heap into a live instance, is paid for.
//!
//! Which instances a replica really has decides nothing: one that was restarted has none. So all replicas hold this alike, within
//! bounds in which each keeps the instances too. A canister whose heap was replaced, or that is gone, keeps its place and its weight
//! until others have taken them, because its instance does. Spec: `specs/execution.md`, "Waking a canister".

use crate::PAGE_BYTES;
use imbl::OrdMap;
use mains_types::{
    CanisterId,
    limits::{AWAKE_BYTES_MAX, AWAKE_CANISTERS_MAX},
};
use serde::{Deserialize, Serialize};

/// Canisters by when they ran last. Costs O(log n) for each run, and next to nothing if the same one ran before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awake {
    /// By the moment of their last run.
    line: OrdMap<u64, Place>,
    /// The next moment.
    next: u64,
    /// Each one's moment. Derived.
    #[serde(skip)]
    moments: OrdMap<CanisterId, u64>,
    /// Pages of all of them. Derived.
    #[serde(skip)]
    pages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    canister: CanisterId,
    /// Pages of its heap, those of zeroes not counted.
    pages: u64,
    /// Whether its heap is what that run left.
    is_awake: bool,
}

impl Awake {
    /// Whether the canister's next message finds its heap in a live instance.
    pub fn has(&self, canister: &CanisterId) -> bool {
        self.place(canister).is_some_and(|(_, place)| place.is_awake)
    }

    /// The canister has run, in a block and not for a query; its heap has so many pages now.
    pub fn ran(&mut self, canister: &CanisterId, pages: u64) {
        let place = Place { canister: *canister, pages, is_awake: true };
        if self.line.get_max().is_some_and(|(_, newest)| *newest == place) {
            return;
        }
        if let Some(moment) = self.moments.get(canister).copied() {
            self.remove(moment);
        }
        self.line.insert(self.next, place);
        self.moments.insert(*canister, self.next);
        self.pages += pages;
        self.next += 1;
        while self.is_too_much()
            && let Some(oldest) = self.line.get_min().map(|(moment, _)| *moment)
        {
            self.remove(oldest);
        }
    }

    /// The canister's heap is not what its last run left: its next message has to copy it.
    pub fn sleep(&mut self, canister: &CanisterId) {
        self.mark(canister, false);
    }

    /// The canister's heap is what its last run left, after all.
    pub fn wake(&mut self, canister: &CanisterId) {
        self.mark(canister, true);
    }

    /// Restores what is derived.
    ///
    /// # Errors
    /// A canister has two places, one lies in the future, or there are too many.
    pub(crate) fn rebuild(&mut self) -> Result<(), &'static str> {
        self.moments = self.line.iter().map(|(moment, place)| (place.canister, *moment)).collect();
        self.pages = self.line.values().fold(0, |sum: u64, place| sum.saturating_add(place.pages));
        let is_past = self.line.get_max().is_none_or(|(moment, _)| *moment < self.next);
        if self.moments.len() == self.line.len() && is_past && !self.is_too_much() {
            Ok(())
        } else {
            Err("canisters that are awake")
        }
    }

    fn place(&self, canister: &CanisterId) -> Option<(u64, Place)> {
        let moment = *self.moments.get(canister)?;
        self.line.get(&moment).map(|place| (moment, *place))
    }

    fn mark(&mut self, canister: &CanisterId, is_awake: bool) {
        if let Some((moment, place)) = self.place(canister) {
            self.line.insert(moment, Place { is_awake, ..place });
        }
    }

    fn remove(&mut self, moment: u64) {
        if let Some(place) = self.line.remove(&moment) {
            self.moments.remove(&place.canister);
            self.pages -= place.pages;
        }
    }

    /// The one that ran last stays, however large it is.
    fn is_too_much(&self) -> bool {
        let bytes = self.pages.saturating_mul(PAGE_BYTES as u64);
        self.line.len() > AWAKE_CANISTERS_MAX || (self.line.len() > 1 && bytes > AWAKE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_types::ids::canister_id;

    const MOST: u64 = AWAKE_CANISTERS_MAX as u64;

    fn awake(state: &Awake, indices: impl IntoIterator<Item = u64>) -> Vec<u64> {
        indices.into_iter().filter(|index| state.has(&canister_id(*index))).collect()
    }

    #[test]
    fn those_that_ran_last_are_awake() {
        let mut state = Awake::default();
        (0..MOST).for_each(|index| state.ran(&canister_id(index), 3));
        state.ran(&canister_id(0), 4);
        state.ran(&canister_id(MOST), 1);
        assert_eq!(awake(&state, 0..=MOST), [&[0][..], &(2..=MOST).collect::<Vec<_>>()].concat(), "1 ran first");
        assert_eq!(state.pages, 3 * (MOST - 2) + 4 + 1);
    }

    #[test]
    fn heaps_together_are_bounded_and_the_latest_stays_whatever_it_has() {
        let most = AWAKE_BYTES_MAX / PAGE_BYTES as u64;
        let mut state = Awake::default();
        state.ran(&canister_id(1), most / 2);
        state.ran(&canister_id(2), most / 2);
        assert_eq!(awake(&state, 1..3), [1, 2]);
        state.ran(&canister_id(2), most / 2 + 1);
        assert_eq!(awake(&state, 1..3), [2], "it has grown");
        state.ran(&canister_id(3), 2 * most);
        assert_eq!(awake(&state, 1..4), [3]);
        state.ran(&canister_id(4), 0);
        assert_eq!(awake(&state, 1..5), [4]);
    }

    #[test]
    fn what_was_replaced_sleeps_and_keeps_its_place() {
        let mut state = Awake::default();
        (0..MOST).for_each(|index| state.ran(&canister_id(index), 1));
        state.sleep(&canister_id(0));
        state.sleep(&canister_id(MOST + 7));
        assert!(!state.has(&canister_id(0)) && state.has(&canister_id(1)));
        state.wake(&canister_id(0));
        assert!(state.has(&canister_id(0)));
        state.sleep(&canister_id(0));
        state.ran(&canister_id(MOST), 1);
        assert_eq!(awake(&state, 0..=MOST).len() as u64, MOST, "its place was the oldest");
        state.wake(&canister_id(0));
        assert!(!state.has(&canister_id(0)), "it has none any more");
    }

    #[test]
    fn it_comes_back_from_its_encoding_and_forgeries_do_not() {
        let mut state = Awake::default();
        (0..40).for_each(|index| state.ran(&canister_id(index % 30), index));
        state.sleep(&canister_id(7));
        let back = |state: &Awake| {
            let mut again: Awake = postcard::from_bytes(&postcard::to_stdvec(state).unwrap()).unwrap();
            again.rebuild().map(|()| again)
        };
        assert_eq!(back(&state), Ok(state.clone()));
        let place = |index| Place { canister: canister_id(index), pages: 1, is_awake: true };
        let forgeries: [fn(&mut Awake, Place); 3] = [
            |state, twin| {
                state.line.insert(state.next - 1, twin);
            },
            |state, _| state.next -= 1,
            |state, place| {
                (0..MOST).for_each(|index| {
                    let canister = canister_id(1_000 + index);
                    state.line.insert(state.next + index, Place { canister, ..place });
                });
                state.next += MOST;
            },
        ];
        for (number, forge) in forgeries.into_iter().enumerate() {
            let mut forged = state.clone();
            forge(&mut forged, place(20));
            assert!(back(&forged).is_err(), "forgery {number}");
        }
    }
}
