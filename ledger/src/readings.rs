//! The readings of a canister's account at the ends of past periods, as a hash chain.
//!
//! An account names, by [`CanisterAccount::chain`], all its readings at the ends of past periods. The account is certified,
//! so whoever holds it and the readings since some period can prove each of them: [`verify`]. A reading goes into the chain
//! when the account changes for the first time after a period ended, so accounts that rest cost nothing.

#[cfg(test)]
mod tests;

use crate::account::{CanisterAccount, Meter};
use mains_types::Digest32;

/// Separates this hash from all others.
const CONTEXT: &str = "mains 2026 chain of readings v1";

/// What the chain is after `reading`: it covers the reading and, by the chain in it, all before.
pub fn append(reading: &CanisterAccount) -> Digest32 {
    *blake3::Hasher::new_derive_key(CONTEXT).update(&reading.encode()).finalize().as_bytes()
}

/// Whether `readings`, oldest first, are the newest that `account` names: each is named by the one after it, the last by
/// the account. Tells how many of the newest hold; all do if that is their number.
pub fn verify(readings: &[CanisterAccount], account: &CanisterAccount) -> usize {
    let mut named = account.chain;
    let newest_first = readings.iter().rev();
    newest_first
        .take_while(|reading| {
            let holds = append(reading) == named;
            named = reading.chain;
            holds
        })
        .count()
}

impl CanisterAccount {
    /// Its canonical bytes, as certified under `/mains/account/<canister>`: LEB128 numbers, one after another: height and
    /// time (nanoseconds) of its last change, period, tariff version, balance, received, sent, in calls, then for each
    /// resource in the order of [`crate::Resource::ALL`] reading, charged and carry, then what was charged before the period and
    /// what is usual in one, then the 32 bytes of the chain.
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            balance,
            received,
            sent,
            in_calls,
            meters,
            changed,
            period,
            tariff_version,
            charged_before,
            charged_usually,
            chain,
        } = self;
        let mut bytes = Vec::with_capacity(160);
        let numbers = [
            u128::from(changed.height.get()),
            u128::from(changed.time.get()),
            u128::from(*period),
            u128::from(*tariff_version),
            *balance,
            *received,
            *sent,
            *in_calls,
        ];
        numbers.into_iter().for_each(|number| leb128(&mut bytes, number));
        for Meter { reading, charged, carry } in meters {
            [*reading, *charged, u128::from(*carry)].into_iter().for_each(|number| leb128(&mut bytes, number));
        }
        [*charged_before, *charged_usually].into_iter().for_each(|number| leb128(&mut bytes, number));
        bytes.extend_from_slice(chain);
        bytes
    }

    /// Reads what [`CanisterAccount::encode`] writes; `None` for anything else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let (height, time) = (u64::try_from(number(bytes)?).ok()?, u64::try_from(number(bytes)?).ok()?);
        let mut account = Self {
            changed: crate::Moment { height: mains_types::Height(height), time: mains_types::UnixNanos(time) },
            period: u64::try_from(number(bytes)?).ok()?,
            tariff_version: u32::try_from(number(bytes)?).ok()?,
            balance: number(bytes)?,
            received: number(bytes)?,
            sent: number(bytes)?,
            in_calls: number(bytes)?,
            ..Self::default()
        };
        for meter in &mut account.meters {
            let carry = |bytes| u64::try_from(number(bytes)?).ok();
            *meter = Meter { reading: number(bytes)?, charged: number(bytes)?, carry: carry(bytes)? };
        }
        (account.charged_before, account.charged_usually) = (number(bytes)?, number(bytes)?);
        account.chain = (*bytes).try_into().ok()?;
        Some(account)
    }
}

/// Appends a number: seven bits a byte, least first.
pub fn leb128(bytes: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The number at the front of `bytes`, in the only form that [`leb128`] writes.
pub fn number(bytes: &mut &[u8]) -> Option<u128> {
    let mut number = 0u128;
    for (place, byte) in bytes.iter().enumerate() {
        let (part, shift) = (u128::from(byte & 0x7f), 7 * place as u32);
        let shifted = part.checked_shl(shift)?;
        if shifted >> shift != part {
            return None;
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            *bytes = &bytes[place + 1..];
            return (place == 0 || *byte != 0).then_some(number);
        }
    }
    None
}
