use super::*;
use crate::{Account, Entry, Ledger, Resource, testing::Seed};
use mains_types::{Cycles, ids::canister_id};
use serde_json::Value;

fn id() -> CanisterId {
    canister_id(1)
}

fn at(height: u64) -> Moment {
    Moment { height: Height(height), time: UnixNanos(height * 1_000) }
}

/// Books of 40 blocks of random work with a settlement after every fourth and a new tariff at 18, and all readings of [`id`].
fn books(seed: u64) -> (Ledger, Vec<CanisterAccount>) {
    let (mut seed, mut ledger) = (Seed(seed), Ledger::genesis(Tariff::for_nodes(4)));
    let mut readings = Vec::new();
    for height in 1..=40 {
        ledger.begin(at(height));
        if height == 1 {
            ledger.mint(&Account::Canister(id()), Cycles(1 << 70)).unwrap();
        }
        if height == 18 {
            let dearer = Tariff { version: 2, effective_height: Height(18), ..Tariff::for_nodes(7) };
            ledger.adopt_tariff(dearer, Height(18)).unwrap();
        }
        for _ in 0..seed.below(4) {
            drop(ledger.charge(&id(), seed.resource(), seed.magnitude(20)));
            drop(ledger.transfer(&Account::Canister(id()), &seed.account(), Cycles(seed.magnitude(20))));
            drop(ledger.reserve(&id(), Cycles(seed.magnitude(10))));
        }
        if height % 4 == 0 {
            ledger.settle(&[]).unwrap();
        }
        readings.extend(ledger.take_journal().into_iter().filter_map(|entry| match entry {
            Entry::Reading { canister, account } if canister == id() => Some(*account),
            _ => None,
        }));
    }
    (ledger, readings)
}

fn certified(ledger: &Ledger) -> Certified {
    Certified {
        at: at(50),
        account: ledger.canister(&id()).unwrap().clone(),
        footprint: Footprint { memory_bytes: 1 << 30, compute_allocation_percent: 1, freezing_threshold_s: 1_000 },
        tariffs: ledger.tariffs().cloned().collect(),
    }
}

fn drawn(seed: u64, from: Option<u64>, to: Option<u64>) -> Result<(Bill, Certified), BillError> {
    let (ledger, readings) = books(seed);
    let certified = certified(&ledger);
    let bound = |height: Option<u64>| height.map(|height| Bound::Height(Height(height)));
    let witnesses = Witnesses::select(readings, &certified.account, bound(from), bound(to))?;
    Ok((Bill::draw(id(), &certified, String::new(), witnesses)?, certified))
}

#[test]
fn a_bill_goes_from_reading_to_reading_and_verifies() {
    for seed in 0..30 {
        for (from, to) in [(None, None), (Some(9), None), (None, Some(30)), (Some(9), Some(30)), (Some(21), Some(30))] {
            let (bill, certified) = drawn(seed, from, to).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            bill.verify(&certified).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let versions: Vec<u32> = bill.statements.iter().map(|statement| statement.tariff_version).collect();
            assert_eq!(versions, if from == Some(21) { vec![2] } else { vec![1, 2] });
            for pair in bill.statements.windows(2) {
                assert_eq!((pair[0].closing, pair[0].to), (pair[1].opening, pair[1].from));
            }
            let (first, last) = (&bill.statements[0], bill.statements.last().unwrap());
            assert_eq!(first.opening == Cycles::ZERO, from.is_none());
            assert!(from.is_none_or(|from| first.from.height <= Height(from)));
            assert!(to.is_none_or(|to| last.to.height <= Height(to)));
            assert_eq!(last.outlook.is_some(), to.is_none(), "who looks back sees no outlook");
            let charged: u128 = bill.statements.iter().map(|statement| statement.charged.get()).sum();
            let account = to.is_none().then_some(&certified.account);
            let used: u128 = bill.uses(account).iter().map(|(_, charged)| charged.get()).sum();
            assert_eq!(charged, used, "the chart shows what is billed");
            let json = serde_json::to_string(&bill).unwrap();
            assert_eq!(serde_json::from_str::<Bill>(&json).unwrap(), bill);
        }
    }
}

#[test]
fn the_whole_life_is_opening_zero_and_closing_balance() {
    let (bill, certified) = drawn(3, None, None).unwrap();
    assert_eq!(bill.statements.last().unwrap().closing, certified.account.balance());
    assert_eq!(bill.statements.last().unwrap().to, at(50), "up to the certified height");
}

#[test]
fn a_period_without_two_readings_or_before_those_at_hand_is_refused() {
    assert_eq!(drawn(1, Some(60), None).unwrap_err(), BillError::Empty);
    assert_eq!(drawn(1, None, Some(0)).unwrap_err(), BillError::Empty);
    let (ledger, readings) = books(1);
    let account = ledger.canister(&id()).unwrap();
    let late = readings[2..].to_vec();
    let oldest = late[0].changed.height;
    let from = Some(Bound::Height(Height(1)));
    assert_eq!(Witnesses::select(late.clone(), account, from, None).unwrap_err(), BillError::NotAtHand { oldest });
    let witnesses = Witnesses::select(late, account, None, None).unwrap();
    assert!(!witnesses.from_the_beginning, "as far as they are at hand");
    // Those of another account of the same name, closed before, are left out.
    let mut foreign = readings.clone();
    foreign.insert(0, CanisterAccount { balance: 7, ..readings[0].clone() });
    let witnesses = Witnesses::select(foreign, account, None, None).unwrap();
    assert_eq!((witnesses.from_the_beginning, witnesses.readings), (true, readings));
}

#[test]
fn what_is_forged_missing_stale_or_swapped_is_named() {
    let (good, certified) = drawn(5, Some(9), None).unwrap();
    let instructions = Resource::Instructions.index();
    type Change = fn(&mut Bill, &mut Certified);
    let changes: [(Change, &str); 15] = [
        (|bill, _| bill.statements[1].lines[1].amount.0 += 1, "statement 2, instructions, amount: stated"),
        (|bill, _| bill.statements[0].lines[6].present += 1, "statement 1, storage_byte_seconds, present reading"),
        (|bill, _| bill.statements[0].lines.truncate(10), "statement 1, stream_bytes: stated no such line"),
        (|bill, _| bill.statements[0].lines.rotate_left(1), "statement 1, execution, resource"),
        (|bill, _| bill.statements.truncate(1), "1 statements, the readings make 2"),
        (|bill, _| bill.statements[1].closing.0 += 1, "statement 2, closing"),
        (|bill, _| bill.statements[1].paid_to.operators.0 -= 1, "statement 2, to operators"),
        (|bill, _| bill.statements[1].outlook = None, "statement 2, outlook"),
        (
            |bill, _| {
                bill.witnesses.readings.remove(1);
            },
            "reading 0 is not the one",
        ),
        (|bill, _| bill.witnesses.readings[1].meters[1].charged -= 1, "reading 1 is not the one"),
        (|bill, _| bill.witnesses.from_the_beginning = true, "begin with the account"),
        (|_, certified| certified.account.balance -= 1, "statement 2, closing"),
        (|_, certified| certified.at = at(30), "the certificate is stale"),
        (|_, certified| certified.tariffs[1].reference[1] += 1, "statement 2, instructions, price, numerator"),
        (|_, certified| certified.tariffs.truncate(1), "does not show tariff 2"),
    ];
    assert!(good.statements[1].lines[instructions].quantity > 0);
    good.verify(&certified).unwrap();
    for (change, reason) in changes {
        let (mut bill, mut certified) = (good.clone(), certified.clone());
        change(&mut bill, &mut certified);
        let error = bill.verify(&certified).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}, not {reason}");
    }
}

#[test]
fn a_subnet_that_overcharges_is_found_out_by_its_own_readings() {
    let (ledger, readings) = books(5);
    let mut certified = certified(&ledger);
    // As if the subnet had certified an account that paid a cycle more than was metered.
    certified.account.meters[1].charged += 1;
    certified.account.balance -= 1;
    let witnesses = Witnesses::select(readings, &certified.account, None, None).unwrap();
    let bill = Bill::draw(id(), &certified, String::new(), witnesses).unwrap();
    let error = bill.verify(&certified).unwrap_err().to_string();
    assert!(error.starts_with("statement 2: instructions: "), "{error}");
}

/// Every value in `json` that is no object or array, changed one at a time.
fn mutations(json: &Value) -> Vec<(String, Value)> {
    fn walk(path: String, value: &Value, whole: &Value, found: &mut Vec<(String, Value)>) {
        let mut change = |with: Value| {
            let mut changed = whole.clone();
            *changed.pointer_mut(&path).unwrap() = with;
            found.push((path.clone(), changed));
        };
        match value {
            Value::Object(fields) => {
                for name in fields.keys() {
                    let mut changed = whole.clone();
                    changed.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(name);
                    found.push((format!("{path}/{name} removed"), changed));
                }
                for (name, value) in fields {
                    walk(format!("{path}/{name}"), value, whole, found);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    let mut changed = whole.clone();
                    changed.pointer_mut(&path).unwrap().as_array_mut().unwrap().remove(index);
                    found.push((format!("{path}/{index} removed"), changed));
                    walk(format!("{path}/{index}"), value, whole, found);
                }
            }
            Value::String(text) => {
                let digit = |digit: char| char::from_digit((digit.to_digit(16).unwrap() + 1) % 16, 16).unwrap();
                for place in [0, text.len() / 2, text.len().saturating_sub(1)] {
                    let flip = |(at, letter): (usize, char)| match letter {
                        letter if at == place && letter.is_ascii_hexdigit() => digit(letter),
                        letter => letter,
                    };
                    change(Value::String(text.chars().enumerate().map(flip).collect()));
                }
                change(Value::String(format!("{text}0")));
                change(Value::String(String::new()));
            }
            Value::Number(number) => {
                let number = number.as_u64().unwrap();
                [number ^ 1, number + 1_000, u64::MAX].into_iter().for_each(|number| change(number.into()));
            }
            Value::Bool(is) => change(Value::Bool(!is)),
            Value::Null => [Value::from(0), Value::from("1")].into_iter().for_each(change),
        }
    }
    let mut found = Vec::new();
    walk(String::new(), json, json, &mut found);
    found
}

#[test]
fn a_change_of_any_single_field_is_caught() {
    for (seed, from, to) in [(5, None, None), (6, Some(9), Some(30))] {
        let (bill, certified) = drawn(seed, from, to).unwrap();
        let json = serde_json::to_value(&bill).unwrap();
        let mutations = mutations(&json);
        assert!(mutations.len() > 1_000, "{}", mutations.len());
        for (path, changed) in mutations {
            // The certificate itself is checked by its signature, elsewhere.
            if changed == json || path == "/certificate" {
                continue;
            }
            if let Ok(changed) = serde_json::from_value::<Bill>(changed) {
                // Nothing left out may stand for what was there, unless it is what it stands for.
                assert!(changed == bill || changed.verify(&certified).is_err(), "{path} was not noticed");
            }
        }
    }
}

#[test]
fn an_unknown_field_is_refused() {
    let (bill, _) = drawn(5, None, None).unwrap();
    for path in ["", "/statements/0", "/statements/0/lines/3", "/statements/0/paid_to", "/witnesses", "/certified"] {
        let mut json = serde_json::to_value(&bill).unwrap();
        let place = json.pointer_mut(path).unwrap().as_object_mut().unwrap();
        place.insert("discount".into(), "5".into());
        assert!(serde_json::from_value::<Bill>(json).is_err(), "{path}");
    }
}
