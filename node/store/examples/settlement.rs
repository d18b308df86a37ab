//! What keeping books costs: an executed message, the check of a height, a settlement, the readings after it.
//! `cargo run --release -p mains-store --example settlement`

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use mains_ledger::{Account, Ledger, Moment, OperatorWeight, Resource, Tariff};
use mains_types::{CanisterId, Cycles, Height, Principal, UnixNanos, ids::canister_id};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const CANISTERS: u64 = 10_000;
const OPERATORS: u8 = 40;
const ROUNDS: u32 = 20;
/// Messages of a block.
const MESSAGES: u64 = 1_000;

fn main() {
    let mut books = books();
    let mut heights = 0;
    let message = best(|| {
        heights += 1;
        time(|| block(&mut books, heights)) / MESSAGES as u32
    });
    let digest = best(|| {
        for index in 0..MESSAGES {
            execute(&mut books, &canister_id(index));
        }
        let took = time(|| black_box(books.digest()));
        books.take_journal();
        took / MESSAGES as u32
    });
    let check = best(|| time(|| (0..1_000).for_each(|_| black_box(&books).check().unwrap())) / 1_000);
    let check_full = best(|| time(|| books.check_full().unwrap()));
    let weights: Vec<_> = (0..OPERATORS)
        .map(|key| OperatorWeight {
            operator: Principal::self_authenticating([key]),
            weight: 15_000 + u64::from(key),
            weight_max: 20_000,
        })
        .collect();
    let mut readings = Duration::MAX;
    let settle = best(|| {
        block(&mut books, heights);
        let took = time(|| books.settle(&weights).unwrap());
        readings = readings.min(time(|| block(&mut books, heights)) / MESSAGES as u32);
        took
    });
    println!("{CANISTERS} canisters, {OPERATORS} operators; best of {ROUNDS}");
    println!("books of an executed message       {message:>10.0?}");
    println!("  the first one after a settlement {readings:>10.0?}");
    println!("digest, by message                 {digest:>10.0?}");
    println!("check of a height                  {check:>10.0?}");
    println!("full check                         {check_full:>10.1?}");
    println!("settlement                         {settle:>10.1?}");
}

fn books() -> Ledger {
    let mut books = Ledger::genesis(Tariff::for_nodes(40));
    for index in 0..CANISTERS {
        books.mint(&Account::Canister(canister_id(index)), Cycles(1 << 60)).unwrap();
    }
    books.take_journal();
    books
}

fn block(books: &mut Ledger, height: u64) {
    books.begin(Moment { height: Height(height), time: UnixNanos(height) });
    for index in 0..MESSAGES {
        execute(books, &canister_id(index * (CANISTERS / MESSAGES)));
    }
    books.take_journal();
}

/// What a client's message does to the books.
fn execute(books: &mut Ledger, id: &CanisterId) {
    books.charge(id, Resource::IngressMessages, 1).unwrap();
    books.charge(id, Resource::IngressBytes, 300).unwrap();
    books.charge(id, Resource::StorageByteSeconds, 1 << 24).unwrap();
    let most = 20_000_000_000;
    books.reserve(id, Cycles(most)).unwrap();
    let execution = books.charge_reserved(id, Resource::Execution, 1).get();
    let instructions = books.charge_reserved(id, Resource::Instructions, 1_000_000).get();
    books.release(&Account::Canister(*id), Cycles(most - execution - instructions));
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    black_box(work());
    began.elapsed()
}

fn best(mut round: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}
