use super::*;
use crate::{
    settlement::OperatorWeight,
    testing::{Seed, funded, operator},
};
use mains_types::ids::canister_id;
use std::collections::BTreeMap;

const BILLION: u128 = 1_000_000_000;

/// Random verbs, as execution might call them, checked against what every verb promises.
struct Run {
    seed: Seed,
    ledger: Ledger,
    /// What is reserved and by whom, as the caller has to remember it.
    reserved: Vec<(CanisterId, u128)>,
    /// What each open canister has used.
    used: BTreeMap<(CanisterId, Resource), u128>,
    /// What journals said was charged.
    journaled: BTreeMap<Resource, u128>,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            seed: Seed(seed),
            ledger: funded(1_000 * BILLION),
            reserved: Vec::new(),
            used: BTreeMap::new(),
            journaled: BTreeMap::new(),
        }
    }

    fn use_up(&mut self, canister: CanisterId, resource: Resource, quantity: u128) {
        *self.used.entry((canister, resource)).or_default() += quantity;
    }

    fn step(&mut self) {
        let (canister, resource, amount) =
            (self.seed.canister(), self.seed.resource(), Cycles(self.seed.magnitude(42)));
        let quantity = self.seed.magnitude(24);
        let before = self.ledger.clone();
        let refused = match self.seed.below(12) {
            0 => {
                let (from, to) = (self.seed.account(), self.seed.account());
                self.ledger.transfer(&from, &to, amount).is_err()
            }
            1 => {
                let to = self.seed.account();
                self.ledger.mint(&to, amount).is_err()
            }
            2 => {
                let from = self.seed.account();
                self.ledger.burn(&from, amount).is_err()
            }
            3..=5 => match self.ledger.reserve(&canister, amount) {
                Ok(()) => {
                    self.reserved.push((canister, amount.get()));
                    false
                }
                Err(_) => true,
            },
            6 | 7 => match self.ledger.charge(&canister, resource, quantity) {
                Ok(cost) => {
                    assert!(cost <= self.ledger.tariff().cost(resource, quantity));
                    self.use_up(canister, resource, quantity);
                    false
                }
                Err(_) => true,
            },
            8 | 9 => {
                self.end_a_reservation();
                false
            }
            10 => {
                let (metered, _) = self.ledger.charge_affordable(&canister, resource, quantity);
                assert!(metered <= quantity);
                self.use_up(canister, resource, metered);
                false
            }
            _ => self.seldom(canister),
        };
        if refused {
            assert_eq!(self.ledger.digest(), before.digest(), "a refused verb changed something");
        }
    }

    /// Part of a reservation is charged, part goes to another canister, the rest comes back.
    fn end_a_reservation(&mut self) {
        let Some((canister, mut rest)) = self.reserved.pop() else { return };
        for _ in 0..self.seed.below(3) {
            let (resource, quantity) = (self.seed.resource(), self.seed.magnitude(20));
            if self.ledger.tariff().cost(resource, quantity).get() <= rest {
                rest -= self.ledger.charge_reserved(&canister, resource, quantity).get();
                self.use_up(canister, resource, quantity);
            }
        }
        let gift = rest * u128::from(self.seed.below(3)) / 2;
        let to = self.seed.account();
        self.ledger.release(&to, Cycles(gift));
        self.ledger.release(&Account::Canister(canister), Cycles(rest - gift));
    }

    fn seldom(&mut self, canister: CanisterId) -> bool {
        match self.seed.below(4) {
            0 => {
                let to = self.seed.account();
                let closed = self.ledger.close_canister(&canister, &to);
                if closed.is_ok() {
                    self.used.retain(|(id, _), _| *id != canister);
                }
                closed.is_err()
            }
            1 => {
                let weight = |number| OperatorWeight { operator: operator(number), weight: 3, weight_max: 7 };
                self.ledger.settle(&[weight(0), weight(1), weight(0)]).unwrap();
                false
            }
            2 => {
                self.end_the_block();
                false
            }
            _ => {
                self.end_the_block();
                let bytes = postcard::to_allocvec(&self.ledger).unwrap();
                let (digest, head) = (self.ledger.digest(), self.ledger.journal_head());
                self.ledger = postcard::from_bytes(&bytes).unwrap();
                assert_eq!(self.ledger.digest(), digest, "a checkpoint changed the digest");
                assert_eq!(self.ledger.journal_head(), head, "a checkpoint changed the journal's head");
                assert_eq!(postcard::to_allocvec(&self.ledger).unwrap(), bytes);
                false
            }
        }
    }

    fn end_the_block(&mut self) {
        let digest = self.ledger.digest();
        self.ledger.close_journal();
        self.ledger.check_height().unwrap();
        for entry in self.ledger.take_journal() {
            if let Entry::Charge { resource, amount, quantity, reading, .. } = entry {
                assert!(quantity <= reading);
                *self.journaled.entry(resource).or_default() += amount.get();
            }
        }
        assert_eq!(self.ledger.digest(), digest, "taking the journal changed the digest");
    }

    fn check(&mut self) {
        self.end_the_block();
        for resource in Resource::ALL {
            let journaled = self.journaled.get(&resource).copied().unwrap_or_default();
            assert_eq!(self.ledger.charged(resource), Cycles(journaled), "{resource}");
        }
        self.ledger.check_full().unwrap();
        let reserved: u128 = self.reserved.iter().map(|(_, amount)| amount).sum();
        assert_eq!(self.ledger.balance(&Account::InFlight), Cycles(reserved));
        for ((canister, resource), quantity) in &self.used {
            let account = self.ledger.canister(canister).cloned().unwrap_or_default();
            let meter = account.meter(*resource);
            assert_eq!(meter.reading, *quantity);
            // Charges are reading times price exactly, however the reading came together.
            let (cycles, carry) = self.ledger.tariff().price(*resource).apply(*quantity, 0).unwrap();
            assert_eq!((meter.charged, meter.carry), (cycles, carry), "{resource}");
        }
    }
}

#[test]
fn charges_and_balances_always_sum_to_what_was_minted() {
    for seed in 0..60 {
        let mut run = Run::new(seed);
        for _ in 0..400 {
            run.step();
            run.ledger.check().unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        }
        run.check();
    }
}

#[test]
fn the_same_verbs_give_the_same_digest_and_other_verbs_another() {
    let digest = |seed: u64| {
        let mut run = Run::new(seed);
        (0..200).for_each(|_| run.step());
        run.ledger.digest()
    };
    assert_eq!(digest(7), digest(7));
    assert_ne!(digest(7), digest(8));
}

#[test]
fn the_digest_depends_on_content_and_not_on_the_way_to_it() {
    let (a, b) = (Account::Canister(canister_id(0)), Account::member(operator(1)));
    let mut forward = funded(BILLION);
    let mut backward = funded(BILLION);
    for index in 0..6 {
        forward.charge(&canister_id(index), Resource::Instructions, 100).unwrap();
        backward.charge(&canister_id(5 - index), Resource::Instructions, 100).unwrap();
        backward.take_journal();
    }
    assert_eq!(forward.digest(), backward.digest());
    forward.take_journal();
    assert_eq!(forward.digest(), backward.digest());
    forward.transfer(&a, &b, Cycles(1)).unwrap();
    assert_ne!(forward.digest(), backward.digest());
}

#[test]
fn what_work_does_not_use_up_comes_back() {
    let mut ledger = funded(BILLION);
    let canister = canister_id(0);
    ledger.reserve(&canister, Cycles(BILLION)).unwrap();
    assert_eq!(ledger.canister_balance(&canister), Cycles::ZERO);
    let cost = ledger.charge_reserved(&canister, Resource::Execution, 1);
    assert_eq!(cost, Cycles(5_000_000 * 4 / 13));
    ledger.release(&Account::Canister(canister), Cycles(BILLION - cost.get()));
    assert_eq!(ledger.canister_balance(&canister), Cycles(BILLION - cost.get()));
    assert_eq!(ledger.balance(&Account::Income(Resource::Execution)), cost);
    assert_eq!(ledger.balance(&Account::InFlight), Cycles::ZERO);
}

#[test]
fn many_charges_cost_no_more_than_one_of_the_sum_and_dust_creates_no_money() {
    let (mut often, mut once) = (funded(BILLION), funded(BILLION));
    let canister = canister_id(0);
    let sum: Cycles = (0..1_300)
        .map(|_| often.charge(&canister, Resource::Instructions, 1).unwrap())
        .fold(Cycles::ZERO, Cycles::saturating_add);
    assert_eq!(sum, Cycles(400));
    assert_eq!(once.charge(&canister, Resource::Instructions, 1_300).unwrap(), Cycles(400));
    assert_eq!(often.digest(), once.digest());
}

#[test]
fn a_refused_charge_meters_nothing() {
    let mut ledger = funded(10);
    let error = ledger.charge(&canister_id(0), Resource::Execution, 1).unwrap_err();
    let (account, needed) = (Account::Canister(canister_id(0)), Cycles(1_538_461));
    assert_eq!(error, LedgerError::InsufficientFunds { account, available: Cycles(10), needed });
    assert_eq!(ledger.meter(&canister_id(0), Resource::Execution), 0);
    let error = ledger.charge(&canister_id(0), Resource::Execution, u128::MAX).unwrap_err();
    assert_eq!(error, LedgerError::QuantityTooLarge { quantity: u128::MAX });
}

#[test]
fn what_is_affordable_is_charged_to_the_last_cycle() {
    for balance in 0..60 {
        for carry in 0..13 {
            let mut ledger = funded(BILLION);
            let canister = canister_id(0);
            ledger.charge(&canister, Resource::Instructions, carry).unwrap();
            let rest = ledger.canister_balance(&canister).get() - balance;
            ledger.burn(&Account::Canister(canister), Cycles(rest)).unwrap();
            let (metered, cost) = ledger.charge_affordable(&canister, Resource::Instructions, 1_000);
            assert_eq!(cost, Cycles(balance), "carry {carry}");
            assert!(metered >= balance * 13 / 4);
            // Not one instruction more would have been affordable.
            assert!(ledger.charge(&canister, Resource::Instructions, 4).is_err());
            ledger.check_full().unwrap();
        }
    }
}

#[test]
fn what_is_affordable_is_everything_while_there_is_money() {
    let mut ledger = funded(BILLION);
    let (metered, cost) = ledger.charge_affordable(&canister_id(0), Resource::Instructions, 13);
    assert_eq!((metered, cost), (13, Cycles(4)));
    let (metered, _) = ledger.charge_affordable(&canister_id(99), Resource::Instructions, 1_000);
    assert_eq!(metered, 3, "three instructions cost less than a cycle");
}

#[test]
#[should_panic(expected = "never reserved")]
fn charging_what_was_never_reserved_stops_the_replica() {
    funded(BILLION).charge_reserved(&canister_id(0), Resource::Execution, 1);
}

#[test]
#[should_panic(expected = "never reserved")]
fn releasing_what_was_never_reserved_stops_the_replica() {
    funded(BILLION).release(&Account::Canister(canister_id(0)), Cycles(1));
}

#[test]
fn only_accounts_of_owners_take_part_in_transfers() {
    let mut ledger = funded(BILLION);
    let member = Account::member(operator(1));
    for account in [Account::Issuance, Account::InFlight, Account::Income(Resource::Execution), Account::Rounding] {
        let refused = LedgerError::NotTransferable { account };
        assert_eq!(ledger.transfer(&account, &member, Cycles(0)), Err(refused.clone()));
        assert_eq!(ledger.transfer(&member, &account, Cycles(0)), Err(refused.clone()));
        assert_eq!(ledger.mint(&account, Cycles(1)), Err(refused.clone()));
        assert_eq!(ledger.burn(&account, Cycles(0)), Err(refused.clone()));
        assert_eq!(ledger.close_canister(&canister_id(0), &account), Err(refused));
    }
}

#[test]
fn a_transfer_to_itself_changes_no_balance() {
    let mut ledger = funded(BILLION);
    for account in [Account::Canister(canister_id(0)), Account::member(operator(1)), Account::Reserve] {
        ledger.mint(&account, Cycles(5)).unwrap();
        let before = ledger.balance(&account);
        ledger.transfer(&account, &account, Cycles(5)).unwrap();
        assert_eq!(ledger.balance(&account), before);
        ledger.check_full().unwrap();
    }
}

#[test]
fn the_default_subaccount_has_one_name() {
    let mut ledger = funded(BILLION);
    let zeroes = Account::Member { owner: operator(1), subaccount: Some([0; 32]) };
    ledger.mint(&zeroes, Cycles(5)).unwrap();
    assert_eq!(ledger.balance(&Account::member(operator(1))), Cycles(5));
    assert_eq!(ledger.members().count(), 1);
    ledger.burn(&Account::member(operator(1)), Cycles(5)).unwrap();
    assert_eq!(ledger.members().count(), 0, "an empty account leaves nothing behind");
    ledger.check_full().unwrap();
}

#[test]
fn the_supply_is_bounded() {
    let mut ledger = Ledger::genesis(Tariff::for_nodes(4));
    let member = Account::member(operator(1));
    assert!(matches!(ledger.mint(&member, Cycles::MAX), Err(LedgerError::SupplyExceeded { .. })));
    ledger.mint(&member, Cycles(SUPPLY_MAX)).unwrap();
    assert!(matches!(ledger.mint(&member, Cycles(1)), Err(LedgerError::SupplyExceeded { .. })));
    // Turnover beyond the range of its counters is no error: only differences matter.
    let canister = Account::Canister(canister_id(0));
    for _ in 0..9 {
        ledger.transfer(&member, &canister, Cycles(SUPPLY_MAX)).unwrap();
        ledger.transfer(&canister, &member, Cycles(SUPPLY_MAX)).unwrap();
        ledger.check_full().unwrap();
    }
}

#[test]
fn the_journal_sums_charges_and_lists_transfers_in_order() {
    let mut ledger = funded(BILLION);
    assert_eq!(ledger.take_journal().len(), 6, "one entry per mint");
    let (a, b) = (canister_id(0), canister_id(1));
    ledger.charge(&a, Resource::Instructions, 13).unwrap();
    ledger.reserve(&a, Cycles(100)).unwrap();
    ledger.charge_reserved(&a, Resource::Instructions, 13);
    ledger.release(&Account::Canister(b), Cycles(90));
    ledger.release(&Account::Canister(a), Cycles(6));
    let id = ledger.transfer(&Account::Canister(b), &Account::Canister(a), Cycles(1)).unwrap();
    let (resource, quantity, amount, reading) = (Resource::Instructions, 26, Cycles(8), 26);
    assert_eq!(
        ledger.take_journal(),
        [
            Entry::Transfer { id, from: Account::Canister(b), to: Account::Canister(a), amount: Cycles(1) },
            Entry::Charge { canister: a, resource, quantity, amount, reading },
            Entry::InCalls { canister: a, net: 90 },
            Entry::InCalls { canister: b, net: -90 },
        ]
    );
    assert_eq!(ledger.take_journal(), []);
}

#[test]
fn clones_share_nothing_they_change() {
    let mut ledger = funded(BILLION);
    let (before, digest) = (ledger.clone(), ledger.digest());
    ledger.charge(&canister_id(0), Resource::Execution, 1).unwrap();
    assert_eq!(before.digest(), digest);
    assert_eq!(before.canister_balance(&canister_id(0)), Cycles(BILLION));
}

#[test]
fn touched_canisters_are_those_that_changed_since_the_journal() {
    let mut ledger = funded(BILLION);
    ledger.take_journal();
    ledger.charge(&canister_id(3), Resource::Execution, 1).unwrap();
    ledger.close_canister(&canister_id(1), &Account::Commons).unwrap();
    assert_eq!(ledger.touched_canisters().copied().collect::<Vec<_>>(), [canister_id(1), canister_id(3)]);
}

#[test]
fn a_closed_canister_s_charges_stay_counted() {
    let mut ledger = funded(BILLION);
    let cost = ledger.charge(&canister_id(0), Resource::Execution, 1).unwrap();
    let rest = ledger.close_canister(&canister_id(0), &Account::Commons).unwrap();
    assert_eq!(rest.get() + cost.get(), BILLION);
    assert_eq!(ledger.balance(&Account::Commons), rest);
    assert_eq!(ledger.charged(Resource::Execution), cost);
    assert!(ledger.canister(&canister_id(0)).is_none());
    assert_eq!(ledger.close_canister(&canister_id(0), &Account::Commons), Ok(Cycles::ZERO));
    ledger.check_full().unwrap();
}

#[test]
fn an_account_opened_again_in_the_block_that_closed_it_begins_at_zero() {
    let (mut ledger, canister, resource) = (funded(BILLION), canister_id(0), Resource::Instructions);
    ledger.charge(&canister, resource, 1_300).unwrap();
    ledger.take_journal();
    ledger.charge(&canister, resource, 130).unwrap();
    ledger.close_canister(&canister, &Account::Commons).unwrap();
    ledger.mint(&Account::Canister(canister), Cycles(100)).unwrap();
    ledger.charge(&canister, resource, 13).unwrap();
    let charges: Vec<_> = ledger
        .take_journal()
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Charge { quantity, amount, reading, .. } => Some((quantity, amount.get(), reading)),
            _ => None,
        })
        .collect();
    assert_eq!(charges, [(130, 40, 1_430), (13, 4, 13)]);
    ledger.check_full().unwrap();
}

#[test]
fn a_tariff_follows_the_one_before_it() {
    let mut ledger = funded(BILLION);
    let next = Tariff { version: 2, effective_height: Height(10), ..Tariff::for_nodes(7) };
    assert!(matches!(ledger.adopt_tariff(next.clone(), Height(9)), Err(LedgerError::TariffOutOfOrder { .. })));
    let jump = Tariff { version: 3, ..next.clone() };
    assert!(matches!(ledger.adopt_tariff(jump, Height(10)), Err(LedgerError::TariffOutOfOrder { .. })));
    let generous = Tariff { operators_share: 9_000, ..next.clone() };
    assert!(matches!(ledger.adopt_tariff(generous, Height(10)), Err(LedgerError::TariffInvalid { .. })));
    ledger.charge(&canister_id(0), Resource::Instructions, 1).unwrap();
    ledger.adopt_tariff(next, Height(10)).unwrap();
    // 4/13 carried from before and 9 * 7/13 now: the carry keeps its meaning.
    assert_eq!(ledger.charge(&canister_id(0), Resource::Instructions, 9).unwrap(), Cycles(67 / 13));
    ledger.check_full().unwrap();
}

#[test]
fn a_damaged_checkpoint_never_becomes_books() {
    let mut ledger = funded(BILLION);
    ledger.charge(&canister_id(0), Resource::Instructions, 77).unwrap();
    ledger.mint(&Account::member(operator(1)), Cycles(5)).unwrap();
    let bytes = postcard::to_allocvec(&ledger).unwrap();
    for length in 0..bytes.len() {
        assert!(postcard::from_bytes::<Ledger>(&bytes[..length]).is_err());
    }
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1;
        // Some fields stand alone (prices, names); whatever loads must at least add up.
        if let Ok(loaded) = postcard::from_bytes::<Ledger>(&damaged) {
            loaded.check_full().unwrap();
            let all = |ledger: &Ledger| (ledger.digest(), ledger.journal_head());
            assert_ne!(all(&loaded), all(&ledger), "byte {position}");
        }
    }
}
