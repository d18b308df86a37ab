//! A block of the cycles ledger as one account sees it.

use super::{Kind, Line};
use candid::Principal;
use icrc_ledger_types::{icrc::generic_value::ICRC3Value, icrc1::account::Account};
use mains_ledger::Member;
use mains_types::{Cycles, UnixNanos};
use std::collections::BTreeMap;

/// What block `index` did to `member`'s account, its balance left open; `None` if it is no such block.
pub(super) fn read(member: &Member, index: u64, block: ICRC3Value) -> Option<Line> {
    let ICRC3Value::Map(fields) = block else { return None };
    let ICRC3Value::Map(tx) = fields.get("tx")? else { return None };
    let ICRC3Value::Text(name) = fields.get("btype")? else { return None };
    let (from, to) = (party(tx, "from")?, party(tx, "to")?);
    let (is_from, is_to) = (from == Some(*member), to == Some(*member));
    let (kind, with) = match (name.as_str(), is_from, is_to) {
        ("1mint", false, true) => (Kind::Minted, None),
        ("1burn", true, false) => (Kind::Burned, None),
        ("1xfer" | "2xfer", true, true) => (Kind::Itself, None),
        ("1xfer" | "2xfer", true, false) => (Kind::Sent, to),
        ("1xfer" | "2xfer", false, true) => (Kind::Received, from),
        ("2approve", true, false) => (Kind::Approved, party(tx, "spender")?),
        _ => return None,
    };
    let fee = match tx.get("fee").or(fields.get("fee")) {
        Some(fee) if is_from => number(fee)?,
        _ => 0,
    };
    let memo = match tx.get("memo") {
        Some(ICRC3Value::Blob(bytes)) => Some(hex::encode(bytes)),
        _ => None,
    };
    Some(Line {
        block: index,
        time: UnixNanos(u64::try_from(number(fields.get("ts")?)?).ok()?),
        kind,
        with: with.map(|member| Account { owner: member.owner, subaccount: member.subaccount }.to_string()),
        amount: Cycles(number(tx.get("amt")?)?),
        fee: Cycles(fee),
        balance: Cycles::ZERO,
        memo,
    })
}

fn number(value: &ICRC3Value) -> Option<u128> {
    match value {
        ICRC3Value::Nat(number) => u128::try_from(&number.0).ok(),
        _ => None,
    }
}

/// The account in a field; `None` if it is none, `Some(None)` if there is no such field.
fn party(tx: &BTreeMap<String, ICRC3Value>, role: &str) -> Option<Option<Member>> {
    let Some(value) = tx.get(role) else { return Some(None) };
    let ICRC3Value::Array(parts) = value else { return None };
    let ICRC3Value::Blob(owner) = parts.first()? else { return None };
    let subaccount = match parts.get(1) {
        None => None,
        Some(ICRC3Value::Blob(bytes)) => Some(bytes.as_slice().try_into().ok()?),
        Some(_) => return None,
    };
    Some(Some(Member::new(Principal::try_from_slice(owner).ok()?, subaccount)))
}
