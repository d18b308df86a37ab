//! The utility from outside, as operators, owners and canisters call it.

use super::types::ChangeArgument;
use crate::{
    Call,
    calls::Outcome,
    management::bench::{Bench, CREDIT, alice, bob, decode, reply},
};
use candid::{CandidType, Deserialize, Nat, Principal};
use mains_ledger::{Account, Resource};
use mains_state::{Canister, Settings};
use mains_types::{
    CanisterId, Cycles, Height, RequestId, UnixNanos,
    ids::{canister_id, utility_id},
};

// As a client writes them, independent of the types under test.
#[derive(CandidType, Default)]
struct Change {
    prices: Vec<(String, u64)>,
    shares: Option<Shares>,
    epoch_seconds: Option<u64>,
}

#[derive(CandidType)]
struct Policy {
    canister_id: Principal,
    cycles_per_hour: Option<Nat>,
    calls_per_caller_per_hour: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { canister_id: Principal::anonymous(), cycles_per_hour: None, calls_per_caller_per_hour: None }
    }
}

#[derive(CandidType)]
struct Shares {
    operators: u32,
    reserve: u32,
    commons: u32,
}

#[derive(CandidType, Deserialize, Debug, PartialEq)]
struct Price {
    resource: String,
    reference: u64,
    numerator: Nat,
    denominator: u64,
}

#[derive(CandidType, Deserialize, Debug, PartialEq)]
struct Tariff {
    version: u32,
    effective_height: u64,
    prices: Vec<Price>,
    epoch_seconds: u64,
}

#[derive(CandidType, Deserialize, Debug, PartialEq)]
struct Announced {
    in_force_after_epoch: u64,
    tariff: Tariff,
}

#[derive(CandidType, Deserialize, Debug)]
struct Health {
    balance: Nat,
    freezing_limit: Nat,
    runway_days: Option<Nat>,
    alerts: Vec<String>,
}

#[derive(CandidType, Deserialize, Debug)]
struct Work {
    voted: u64,
    amount: Nat,
}

#[derive(CandidType, Deserialize, Debug)]
struct Epoch {
    epoch: u64,
    amount: Nat,
    amount_max: Nat,
    nodes: Vec<Work>,
}

#[derive(CandidType, Deserialize, Debug)]
struct Earnings {
    nodes: u64,
    accrued: Nat,
    epochs: Vec<Epoch>,
}

#[derive(CandidType, Deserialize, Debug)]
struct Settlement {
    epoch: u64,
    income: Nat,
    operators: Nat,
    reserve: Nat,
    commons: Nat,
    rounding: Nat,
    nodes: Vec<Work>,
}

/// Operators of the bench's nodes, in the order of these, each once.
fn operators(bench: &Bench) -> Vec<Principal> {
    let mut operators: Vec<_> = bench.state.subnet.operators.values().copied().collect();
    operators.sort_unstable();
    operators.dedup();
    operators
}

/// A subnet of four nodes that these run: the first has two.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let mut subnet = (*bench.state.subnet).clone();
    let nodes = [1, 2, 3, 4].map(|key| (Principal::self_authenticating([key; 32]), [key; 32]));
    subnet.nodes = nodes.into_iter().collect();
    let run_by = [alice(), alice(), bob(), canister_id(0x100)];
    subnet.operators = nodes.iter().zip(run_by).map(|((node, _), operator)| (*node, operator)).collect();
    bench.state.subnet = subnet.into();
    bench
}

fn two(first: &impl CandidType, second: &impl CandidType) -> Vec<u8> {
    candid::encode_args((first, second)).unwrap()
}

/// A canister that has paid for its creation and has so much left.
fn create(bench: &mut Bench, index: u64, cycles: u128) -> CanisterId {
    let (id, state) = (canister_id(index), &mut bench.state);
    state.insert_canister(Canister::new(id, Settings::default(), state.time));
    let fee = state.ledger.tariff().cost(Resource::CanisterCreation, 1);
    state.ledger.mint(&Account::Canister(id), Cycles(cycles).saturating_add(fee)).unwrap();
    state.ledger.charge(&id, Resource::CanisterCreation, 1).unwrap();
    id
}

fn ask<T: for<'de> Deserialize<'de> + CandidType>(bench: &Bench, method: &str, argument: &impl CandidType) -> T {
    decode(&bench.query(Principal::anonymous(), utility_id(), method, argument).unwrap())
}

fn tariff(bench: &Bench) -> Tariff {
    let bytes = candid::encode_args(()).unwrap();
    decode(&crate::system_canisters::query(&bench.state, None, &utility_id(), "tariff", &bytes).unwrap())
}

fn nothing<T: for<'de> Deserialize<'de> + CandidType>(bench: &Bench, method: &str) -> T {
    let bytes = candid::encode_args(()).unwrap();
    decode(&crate::system_canisters::query(&bench.state, None, &utility_id(), method, &bytes).unwrap())
}

fn propose(bench: &mut Bench, sender: Principal, change: Change) -> Result<u64, String> {
    decode(&reply(bench.call_encoded(sender, utility_id(), "propose_tariff", &two(&change, &"costs"))))
}

fn vote(bench: &mut Bench, sender: Principal, id: u64, is_for: bool) -> Result<(), String> {
    decode(&reply(bench.call_encoded(sender, utility_id(), "vote", &two(&id, &is_for))))
}

fn dearer() -> Change {
    Change { prices: vec![("execution".into(), 6_000_000)], ..Change::default() }
}

fn end_epoch(bench: &mut Bench) {
    let state = &mut bench.state;
    let height = Height(state.epochs.number() * 10);
    let settlement = state.ledger.settle(&state.epochs.weights()).unwrap();
    let epoch = state.epochs.close(height, UnixNanos(height.get()), settlement).epoch;
    if let Some(tariff) = state.proposals.end_epoch(epoch, state.ledger.tariff(), height.next()) {
        state.ledger.adopt_tariff(tariff, height.next()).unwrap();
    }
}

#[test]
fn prices_are_told_as_they_are_and_costs_as_the_ledger_has_them() {
    let bench = bench();
    let told = tariff(&bench);
    let ledger = bench.state.ledger.tariff().clone();
    assert_eq!((told.version, told.epoch_seconds, told.prices.len()), (1, ledger.epoch_seconds, Resource::COUNT));
    for (resource, price) in Resource::ALL.into_iter().zip(&told.prices) {
        let expected = ledger.price(resource);
        assert_eq!((price.resource.as_str(), price.denominator), (resource.name(), expected.denominator));
        assert_eq!(price.numerator, Nat::from(expected.numerator));
    }
    let uses = vec![("execution".to_owned(), Nat::from(3_u8)), ("instructions".to_owned(), Nat::from(1_000_000_u32))];
    let cost: Result<Nat, String> = ask(&bench, "cost", &uses);
    let expected = ledger.cost(Resource::Execution, 3).get() + ledger.cost(Resource::Instructions, 1_000_000).get();
    assert_eq!(cost, Ok(Nat::from(expected)));
    let unknown: Result<Nat, String> = ask(&bench, "cost", &vec![("love".to_owned(), Nat::from(1_u8))]);
    assert!(unknown.unwrap_err().contains("love"));
    let absurd: Result<Nat, String> = ask(&bench, "cost", &vec![("execution".to_owned(), Nat::from(u128::MAX))]);
    assert_eq!(absurd, Ok(Nat::from(Cycles::MAX.get())));
}

#[test]
fn operators_change_a_price_with_notice_and_a_canister_can_be_one_of_them() {
    let mut bench = bench();
    assert_eq!(operators(&bench).len(), 3);
    assert!(propose(&mut bench, Principal::anonymous(), dearer()).is_err());
    let absurd = Change { prices: vec![("execution".into(), 50_000_000)], ..Change::default() };
    assert!(propose(&mut bench, alice(), absurd).unwrap_err().contains("2500000 to 10000000"));
    assert_eq!(propose(&mut bench, alice(), dearer()), Ok(1));
    assert!(nothing::<Option<Announced>>(&bench, "announced_tariff").is_none(), "half of the nodes");
    let canister = create(&mut bench, 0x100, 10 * CREDIT);
    let voted = bench.call_from_encoded(canister, 0, utility_id(), "vote", &two(&1_u64, &true));
    assert_eq!(decode::<Result<(), String>>(&reply(voted)), Ok(()));
    let announced: Announced = nothing::<Option<Announced>>(&bench, "announced_tariff").unwrap();
    assert_eq!((announced.in_force_after_epoch, announced.tariff.version), (8, 2));
    assert!(vote(&mut bench, bob(), 1, false).is_err(), "it is decided");
    for _ in 0..7 {
        end_epoch(&mut bench);
        assert_eq!(tariff(&bench).version, 1);
    }
    end_epoch(&mut bench);
    let told = tariff(&bench);
    assert_eq!((told.version, told.effective_height, told.prices[0].reference), (2, 81, 6_000_000));
    assert_eq!(nothing::<Vec<Tariff>>(&bench, "tariffs").len(), 2);
}

#[test]
fn nobody_but_operators_gets_a_call_into_a_block() {
    let bench = bench();
    let inspect = |sender, method: &str, argument: Vec<u8>| {
        let call = Call {
            request_id: RequestId([0; 32]),
            sender,
            caller_info: None,
            canister_id: utility_id(),
            method: method.into(),
            argument,
            expires_at: UnixNanos(0),
            bytes: 100,
        };
        super::inspect(&bench.state, &call)
    };
    assert!(inspect(alice(), "vote", Vec::new()).is_ok());
    assert!(inspect(Principal::anonymous(), "vote", Vec::new()).is_err());
    let policy = |id| candid::encode_one(Policy { canister_id: id, ..Policy::default() }).unwrap();
    assert!(inspect(alice(), "set_call_policy", policy(canister_id(0xfff))).is_err(), "no canister, no controller");
    assert!(inspect(alice(), "set_call_policy", Vec::new()).is_err());
}

#[test]
fn a_change_is_given_once_a_resource_and_shares_as_a_whole() {
    let twice = Change { prices: vec![("execution".into(), 6_000_000); 2], ..Change::default() };
    let mut bench = bench();
    assert!(propose(&mut bench, alice(), twice).unwrap_err().contains("twice"));
    let shares = Shares { operators: 8_400, reserve: 800, commons: 800 };
    assert_eq!(propose(&mut bench, alice(), Change { shares: Some(shares), ..Change::default() }), Ok(1));
    let stored = bench.state.proposals.iter().next().unwrap();
    let again = ChangeArgument::from(&stored.amendment);
    assert_eq!(mains_ledger::tariff::Amendment::try_from(again).as_ref(), Ok(&stored.amendment));
}

#[test]
fn owners_are_warned_and_operators_see_what_they_earned() {
    let mut bench = bench();
    let rich = create(&mut bench, 0x101, 50 * CREDIT);
    let poor = create(&mut bench, 0x102, 0);
    let told = |bench: &Bench, id: CanisterId| ask::<Option<Health>>(bench, "alerts", &id);
    assert_eq!(told(&bench, rich).unwrap().alerts, Vec::<String>::new());
    bench.state.canister_mut(&poor).unwrap().settings.compute_allocation = 1;
    let rest = bench.state.ledger.canister_balance(&poor);
    assert!(rest <= Cycles(1));
    let health = told(&bench, poor).unwrap();
    assert_eq!((health.alerts, health.balance), (vec!["frozen".to_owned()], Nat::from(rest.get())));
    assert!(health.freezing_limit > 0_u8 && health.runway_days == Some(Nat::from(0_u8)));
    assert!(told(&bench, canister_id(0xfff)).is_none());

    let members: Vec<_> = bench.state.subnet.operators.iter().map(|(node, by)| (*node, Some(*by))).collect();
    let all: std::collections::BTreeSet<_> = members.iter().map(|(node, _)| *node).collect();
    let seen = mains_state::epochs::Seen { voted: all.clone(), certified: all };
    for block in 0..mains_state::epochs::WINDOW_BLOCKS {
        let leader = members[block as usize % members.len()].0;
        bench.state.epochs.count_block(members.clone(), leader, &[], &seen);
    }
    end_epoch(&mut bench);
    let earnings: Earnings = ask(&bench, "earnings", &alice());
    assert_eq!((earnings.nodes, earnings.epochs.len(), earnings.epochs[0].epoch), (2, 1, 1));
    assert!(earnings.accrued > 0_u8, "creating canisters was paid for");
    assert_eq!(earnings.accrued, earnings.epochs[0].amount);
    assert_eq!(earnings.epochs[0].amount_max, earnings.epochs[0].amount);
    assert!(earnings.epochs[0].nodes.iter().all(|work| work.voted == 1 && work.amount > 0_u8));

    #[derive(CandidType)]
    struct Range {
        up_to_epoch: Option<u64>,
        count: Option<u32>,
    }
    end_epoch(&mut bench);
    let settlements: Vec<Settlement> = ask(&bench, "settlements", &Range { up_to_epoch: Some(1), count: None });
    let [settlement] = &settlements[..] else { panic!("one up to epoch 1: {settlements:?}") };
    let parts = [&settlement.operators, &settlement.reserve, &settlement.commons, &settlement.rounding];
    let sum = parts.iter().fold(Nat::from(0_u8), |sum, part| sum + (*part).clone());
    assert_eq!((settlement.epoch, sum, settlement.nodes.len()), (1, settlement.income.clone(), 4));
    let newest: Vec<Settlement> = ask(&bench, "settlements", &Range { up_to_epoch: None, count: Some(1) });
    assert_eq!(newest[0].epoch, 2);
}

#[test]
fn what_does_not_decode_is_refused() {
    let mut bench = bench();
    for method in ["vote", "propose_tariff", "cost", "earnings", "no_such_method"] {
        let refused = bench.call(alice(), utility_id(), method, &7_u8);
        assert!(matches!(refused, Outcome::Reject(_)), "{method}");
    }
}
