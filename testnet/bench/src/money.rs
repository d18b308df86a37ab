//! What the ledger costs: `mains-bench --ledger`. One process, no network; shortest of many rounds.

use crate::{
    alone::Alone,
    report::{Line, ratio, time},
};
use anyhow::{Result, anyhow};
use ic_verify_bls_signature::PrivateKey;
use mains_client::bill;
use mains_ledger::{
    Account, Bill, CanisterAccount, Entry, Footprint, Ledger, Moment, OperatorWeight, Resource, Tariff,
    bill::{Certified, Witnesses},
};
use mains_tree::Tree;
use mains_types::{CanisterId, Cycles, Height, Principal, UnixNanos, ids::canister_id};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const ROUNDS: usize = 20;
/// Messages of a block.
const MESSAGES: u64 = 256;
/// Canisters that a busy height changes.
const CHANGED: u64 = 1_000;
/// Canisters of a large subnet, and its operators.
const CANISTERS: u64 = 10_000;
const OPERATORS: u8 = 40;
/// Readings of a year.
const READINGS: u64 = 365;

const NOTHING: &str = r#"(module (import "ic0" "msg_reply" (func $reply)) (memory 1)
  (func (export "canister_update nothing") (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (call $reply)))"#;

pub(crate) fn measure() -> Result<Vec<Line>> {
    let mut lines = messages()?;
    lines.extend(settlement()?);
    lines.extend(statements()?);
    Ok(lines)
}

fn line(name: &str, figure: String, floor: String, ratio: String) -> Line {
    Line { name: name.into(), figure, floor, ratio, target: "-" }
}

/// The shortest of some rounds.
fn shortest(mut work: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| work()).min().unwrap_or_default()
}

fn books(canisters: u64) -> Result<Ledger> {
    let mut ledger = Ledger::genesis(Tariff::for_nodes(40));
    for index in 0..canisters {
        ledger.mint(&Account::Canister(canister_id(index)), Cycles(1 << 80)).map_err(|error| anyhow!(error))?;
    }
    ledger.begin(at(1));
    ledger.take_journal();
    Ok(ledger)
}

fn at(height: u64) -> Moment {
    Moment { height: Height(height), time: UnixNanos(height * UnixNanos::SECOND) }
}

/// What execution asks of the ledger for one message of a client.
fn one_message(ledger: &mut Ledger, canister: &CanisterId) {
    black_box(ledger.charge(canister, Resource::IngressMessages, 1)).ok();
    black_box(ledger.charge(canister, Resource::IngressBytes, 300)).ok();
    black_box(ledger.charge_affordable(canister, Resource::StorageByteSeconds, 1 << 30));
    let most = Cycles(40_000_000_000);
    if ledger.reserve(canister, most).is_ok() {
        let message = ledger.charge_reserved(canister, Resource::Execution, 1);
        let work = ledger.charge_reserved(canister, Resource::Instructions, 12_345);
        let rest = most.saturating_sub(message).saturating_sub(work);
        ledger.release(&Account::Canister(*canister), rest);
    }
}

/// The ledger's part of a message, and the bytes that the journal keeps of it.
fn messages() -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for canisters in [1, MESSAGES] {
        let mut alone = Alone::new()?;
        let module = wat::parse_str(NOTHING)?;
        let ids = (0..canisters).map(|_| Ok(alone.canister(&module)?.0)).collect::<Result<Vec<_>>>()?;
        let mut total = Duration::MAX;
        alone.journal.clear();
        for _ in 0..ROUNDS {
            let calls = (0..MESSAGES).map(|index| {
                let id = ids[(index % canisters) as usize];
                alone.call(id, "nothing", vec![0; 8])
            });
            let calls = calls.collect();
            total = total.min(alone.run(calls)?.1 / MESSAGES as u32);
        }
        let bytes: usize = alone.journal.iter().map(|entry| entry.encode().len()).sum();
        let entries = alone.journal.len() as f64 / (ROUNDS as u64 * MESSAGES) as f64;
        let mut ledger = books(canisters)?;
        let mut height = 1;
        let own = shortest(|| {
            height += 1;
            let began = Instant::now();
            ledger.begin(at(height));
            for index in 0..MESSAGES {
                one_message(&mut ledger, &canister_id(index % canisters));
            }
            ledger.close_journal();
            black_box(ledger.digest());
            black_box(ledger.check_height()).ok();
            black_box(ledger.take_journal());
            began.elapsed() / MESSAGES as u32
        });
        lines.push(line(
            &format!("ledger per message, {MESSAGES} of a block to {canisters} canisters"),
            time(own),
            format!("whole message {}", time(total)),
            format!("{:.1} %", own.as_secs_f64() / total.as_secs_f64() * 100.0),
        ));
        lines.push(line(
            "journal per message, the same",
            format!("{:.1} bytes", bytes as f64 / (ROUNDS as u64 * MESSAGES) as f64),
            format!("{entries:.2} entries"),
            "-".into(),
        ));
    }
    Ok(lines)
}

fn settlement() -> Result<Vec<Line>> {
    let mut ledger = books(CANISTERS)?;
    let operator = |number: u8| Principal::self_authenticating([number]);
    let weights: Vec<OperatorWeight> = (0..OPERATORS)
        .map(|number| OperatorWeight { operator: operator(number), weight: 90, weight_max: 100 })
        .collect();
    let charge_all = |ledger: &mut Ledger| {
        let began = Instant::now();
        for index in 0..CANISTERS {
            black_box(ledger.charge(&canister_id(index), Resource::Instructions, 1_000_000)).ok();
        }
        let elapsed = began.elapsed();
        ledger.take_journal();
        elapsed
    };
    let (mut settling, mut first, mut later) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        first = first.min(charge_all(&mut ledger));
        later = later.min(charge_all(&mut ledger));
        let began = Instant::now();
        ledger.settle(&weights).map_err(|error| anyhow!(error))?;
        settling = settling.min(began.elapsed());
        ledger.take_journal();
    }
    let idle = shortest(|| {
        let began = Instant::now();
        for _ in 0..1_000 {
            black_box(ledger.check_height()).ok();
        }
        began.elapsed() / 1_000
    });
    for canister in 0..CHANGED {
        ledger.charge(&canister_id(canister), Resource::Instructions, 1_000_000).map_err(|error| anyhow!(error))?;
    }
    ledger.close_journal();
    let check = shortest(|| {
        let began = Instant::now();
        black_box(ledger.check_height()).ok();
        began.elapsed()
    });
    ledger.check_height().map_err(|broken| anyhow!(broken))?;
    ledger.take_journal();
    let full = shortest(|| {
        let began = Instant::now();
        black_box(ledger.check_full()).ok();
        began.elapsed()
    });
    let each = |all: Duration| all / CANISTERS as u32;
    Ok(vec![
        line(
            "settlement, 10,000 canisters, 40 operators",
            time(settling),
            "one charge of each canister ".to_owned() + &time(later),
            ratio(settling.as_secs_f64(), later.as_secs_f64()),
        ),
        line(
            "first charge of a canister after it, its reading chained",
            time(each(first)),
            "any other charge ".to_owned() + &time(each(later)),
            ratio(first.as_secs_f64(), later.as_secs_f64()),
        ),
        line(
            "invariants at a height that changed 1,000 of 10,000 canisters",
            time(check),
            format!("nothing changed {}, all sums anew {}", time(idle), time(full)),
            ratio(check.as_secs_f64(), full.as_secs_f64()),
        ),
    ])
}

/// A canister's account after a year of daily settlements, and its readings.
fn year() -> Result<(Ledger, Vec<CanisterAccount>)> {
    let mut ledger = books(1)?;
    let mut readings = Vec::new();
    for height in 2..READINGS + 3 {
        ledger.begin(at(height));
        for resource in Resource::ALL {
            ledger.charge(&canister_id(0), resource, 1_000_000).map_err(|error| anyhow!(error))?;
        }
        ledger.settle(&[]).map_err(|error| anyhow!(error))?;
        readings.extend(ledger.take_journal().into_iter().filter_map(|entry| match entry {
            Entry::Reading { account, .. } => Some(*account),
            _ => None,
        }));
    }
    Ok((ledger, readings))
}

fn statements() -> Result<Vec<Line>> {
    let (ledger, readings) = year()?;
    let (id, at) = (canister_id(0), at(READINGS + 3));
    let account = ledger.canister(&id).cloned().unwrap_or_default();
    let footprint = Footprint { memory_bytes: 1 << 24, compute_allocation_percent: 0, freezing_threshold_s: 2_592_000 };
    let mut tree = Tree::new();
    tree.insert(&[&b"time"[..]], leb128(at.time.get()));
    tree.insert(&[&b"mains"[..], b"height"], leb128(at.height.get()));
    tree.insert(&[&b"mains"[..], b"account", id.as_slice()], account.encode());
    tree.insert(&[&b"mains"[..], b"footprint", id.as_slice()], footprint.encode().to_vec());
    tree.insert(&[&b"mains"[..], b"tariff", &1u32.to_be_bytes()], ledger.tariff().encode());
    let key = PrivateKey::deserialize(&[7; 32]).map_err(|_| anyhow!("no key"))?;
    let signature = key.sign(&[b"\x0dic-state-root", &tree.digest()[..]].concat()).serialize();
    let root_key = bill::root_key(&key.public_key().serialize())?;
    let all: [[&[u8]; 1]; 2] = [[b"time"], [b"mains"]];
    let certified = Certified { at, account: account.clone(), footprint, tariffs: vec![ledger.tariff().clone()] };

    let mut made = None;
    let mut failed = None;
    let drawing = shortest(|| {
        let readings = readings.clone();
        let began = Instant::now();
        let certificate = hex::encode(mains_wire::certificate(&tree.witness(&all), &signature));
        let bill = Witnesses::select(readings, &account, None, None)
            .and_then(|witnesses| Bill::draw(id, &certified, certificate, witnesses));
        let elapsed = began.elapsed();
        match bill {
            Ok(bill) => made = Some(bill),
            Err(error) => failed = Some(error),
        }
        elapsed
    });
    let bill = made.ok_or_else(|| anyhow!("no bill: {failed:?}"))?;
    let bytes = serde_json::to_vec(&bill)?.len();
    let mut unproven = None;
    let verifying = shortest(|| {
        let began = Instant::now();
        unproven = bill::verify(&bill, &root_key, None).err();
        began.elapsed()
    });
    if let Some(error) = unproven {
        return Err(error.into());
    }
    let signing = shortest(|| {
        let began = Instant::now();
        black_box(key.public_key().verify(b"x", &key.sign(b"x"))).ok();
        began.elapsed()
    });
    Ok(vec![
        line("bill of a year: made, of 365 readings", time(drawing), format!("{bytes} bytes of JSON"), "-".into()),
        line(
            "the same verified, threshold signature included",
            time(verifying),
            format!("a signature made and checked {}", time(signing)),
            ratio(verifying.as_secs_f64(), signing.as_secs_f64()),
        ),
    ])
}

fn leb128(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
