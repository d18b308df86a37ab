//! A seeded generator for property tests: every failing seed can be run again.

use crate::{Account, Ledger, Resource, Tariff};
use mains_types::{CanisterId, Cycles, Principal, ids::canister_id};

/// SplitMix64.
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number of any magnitude up to `bits` bits, small ones as likely as large ones.
    pub(crate) fn magnitude(&mut self, bits: u64) -> u128 {
        let shift = 64 - self.below(bits + 1).min(64);
        u128::from(self.next().checked_shr(shift as u32).unwrap_or(0))
    }

    pub(crate) fn canister(&mut self) -> CanisterId {
        canister_id(self.below(6))
    }

    pub(crate) fn account(&mut self) -> Account {
        match self.below(8) {
            0 => Account::Reserve,
            1 => Account::Commons,
            2 => Account::Operator(operator(self.below(3) as u8)),
            3 | 4 => Account::Member { owner: operator(9), subaccount: Some([self.below(2) as u8; 32]) },
            _ => Account::Canister(self.canister()),
        }
    }

    pub(crate) fn resource(&mut self) -> Resource {
        Resource::ALL[self.below(Resource::COUNT as u64) as usize]
    }
}

pub(crate) fn operator(number: u8) -> Principal {
    Principal::from_slice(&[number, 1, 2, 3])
}

/// Books for four nodes in which canisters 0..6 hold `amount` each.
pub(crate) fn funded(amount: u128) -> Ledger {
    let mut ledger = Ledger::genesis(Tariff::for_nodes(4));
    for index in 0..6 {
        ledger.mint(&Account::Canister(canister_id(index)), Cycles(amount)).unwrap();
    }
    ledger
}
