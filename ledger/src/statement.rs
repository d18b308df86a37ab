//! Bills: differences of two meter readings times the published prices, and their verification.
//!
//! `opening + received - sent - charged = closing`, always. Whoever has a statement and the tariff can recompute every
//! line with [`verify`]; [`crate::bill`] adds the proof that the readings are the subnet's.

mod outlook;
#[cfg(test)]
mod tests;
mod text;
pub mod verification;

use crate::{
    account::{CanisterAccount, Resource},
    journal::Entry,
    settlement::proportion,
    tariff::{Price, SHARE_WHOLE, Tariff},
};
use mains_types::{CanisterId, Cycles, Height, UnixNanos};
use serde::{Deserialize, Serialize};

pub use outlook::{Footprint, Outlook};
pub use text::{columns, group, price, render_text};
pub use verification::{StatementError, verify};

/// A height and its block's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// The height.
    pub height: Height,
    /// The block's time.
    pub time: UnixNanos,
}

/// A canister's account as it stood at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When.
    pub at: Moment,
    /// The tariff in force.
    pub tariff_version: u32,
    /// The account.
    pub account: CanisterAccount,
}

impl Reading {
    /// The reading as it was before `entries`, which are all of this canister's journal since `at`, oldest first. Exact, fractions
    /// included, if `tariff` was in force all the time; `None` if the entries do not fit this reading.
    pub fn rewind(&self, canister: &CanisterId, entries: &[Entry], at: Moment, tariff: &Tariff) -> Option<Self> {
        use crate::account::Account::Canister;
        let mut account = self.account.clone();
        // Newest first: only then does each step lead to a carry that was there.
        for entry in entries.iter().rev() {
            match entry {
                Entry::Charge { canister: id, resource, quantity, amount, .. } if id == canister => {
                    let (price, meter) = (tariff.price(*resource), &mut account.meters[resource.index()]);
                    meter.reading = meter.reading.checked_sub(*quantity)?;
                    meter.charged = meter.charged.wrapping_sub(amount.get());
                    let fractions = amount.get().checked_mul(u128::from(price.denominator))?;
                    let fractions = fractions.checked_add(u128::from(meter.carry))?;
                    let carry = fractions.checked_sub(quantity.checked_mul(price.numerator)?)?;
                    meter.carry = u64::try_from(carry).ok().filter(|carry| *carry < price.denominator)?;
                }
                Entry::InCalls { canister: id, net } if id == canister => {
                    account.in_calls = account.in_calls.wrapping_sub(*net as u128);
                }
                Entry::Transfer { from, to, amount, .. } => {
                    if *from == Canister(*canister) {
                        account.sent = account.sent.wrapping_sub(amount.get());
                    }
                    if *to == Canister(*canister) {
                        account.received = account.received.wrapping_sub(amount.get());
                    }
                }
                _ => {}
            }
        }
        let net = account.received.wrapping_sub(account.sent).wrapping_sub(account.in_calls);
        account.balance = net.wrapping_sub(account.charged());
        (account.balance <= crate::ledger::SUPPLY_MAX).then_some(Self { at, tariff_version: tariff.version, account })
    }
}

/// One resource of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What was metered.
    pub resource: Resource,
    /// The meter at the beginning.
    #[serde(with = "decimal")]
    pub previous: u128,
    /// The meter at the end.
    #[serde(with = "decimal")]
    pub present: u128,
    /// Their difference.
    #[serde(with = "decimal")]
    pub quantity: u128,
    /// What one unit costs.
    pub price: Price,
    /// Fractions of a cycle brought forward: not yet paid at the beginning, over the price's denominator.
    pub carried: u64,
    /// What was charged: `(carried + quantity * price)`, rounded down to whole cycles.
    #[serde(with = "decimal_cycles")]
    pub amount: Cycles,
}

/// Where the money went that a canister was charged, by the shares of the tariff. What nodes did not earn of the operators'
/// share went on to the reserve; see [`crate::settlement`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// To those whose nodes did the work.
    #[serde(with = "decimal_cycles")]
    pub operators: Cycles,
    /// To the subnet's savings.
    #[serde(with = "decimal_cycles")]
    pub reserve: Cycles,
    /// To the community's fund.
    #[serde(with = "decimal_cycles")]
    pub commons: Cycles,
    /// What division leaves over.
    #[serde(with = "decimal_cycles")]
    pub rounding: Cycles,
}

impl Destination {
    /// The parts of `charged`, which they sum up to.
    pub fn of(charged: Cycles, tariff: &Tariff) -> Self {
        let share = |parts: u32| Cycles(proportion(charged.get(), u64::from(parts), u64::from(SHARE_WHOLE)));
        let (operators, reserve) = (share(tariff.operators_share), share(tariff.reserve_share));
        let commons = share(tariff.commons_share);
        let parts = operators.get() + reserve.get() + commons.get();
        Self { operators, reserve, commons, rounding: Cycles(charged.get() - parts) }
    }
}

/// The bill of one canister for one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Whose.
    pub canister: CanisterId,
    /// When the period began.
    pub from: Moment,
    /// When it ended.
    pub to: Moment,
    /// The tariff at the beginning; a statement can be verified only if it is the one at the end.
    pub tariff_version_from: u32,
    /// The tariff at the end: the one whose prices the lines show.
    pub tariff_version: u32,
    /// Nodes of the subnet, by which prices are scaled.
    pub nodes: u32,
    /// All resources, in the order of [`Resource::ALL`].
    pub lines: Vec<Line>,
    /// Balance at the beginning.
    #[serde(with = "decimal_cycles")]
    pub opening: Cycles,
    /// Transfers received, and net cycles that came with calls.
    #[serde(with = "decimal_cycles")]
    pub received: Cycles,
    /// Transfers sent, and net cycles that left with calls or are set aside.
    #[serde(with = "decimal_cycles")]
    pub sent: Cycles,
    /// The sum of the lines.
    #[serde(with = "decimal_cycles")]
    pub charged: Cycles,
    /// Balance at the end.
    #[serde(with = "decimal_cycles")]
    pub closing: Cycles,
    /// Where what was charged went.
    pub paid_to: Destination,
    /// What will become of it if it does nothing; only of a canister that exists at the end.
    pub outlook: Option<Outlook>,
}

impl Statement {
    /// The statement of the period between two readings of one canister.
    pub fn between(
        canister: CanisterId,
        opening: &Reading,
        closing: &Reading,
        tariff: &Tariff,
        footprint: Option<&Footprint>,
    ) -> Self {
        let (old, new) = (&opening.account, &closing.account);
        let line = |resource: Resource| {
            let (previous, present) = (old.meter(resource), new.meter(resource));
            Line {
                resource,
                previous: previous.reading,
                present: present.reading,
                quantity: present.reading.saturating_sub(previous.reading),
                price: tariff.price(resource),
                carried: previous.carry,
                amount: Cycles(present.charged.wrapping_sub(previous.charged)),
            }
        };
        // Differences are below the supply limit, so the sign of what went with calls can be read from the top bit.
        let with_calls = new.in_calls.wrapping_sub(old.in_calls) as i128;
        let (sent_with_calls, received_with_calls) = (with_calls.max(0) as u128, with_calls.min(0).unsigned_abs());
        let charged = Cycles(new.charged().wrapping_sub(old.charged()));
        Self {
            canister,
            from: opening.at,
            to: closing.at,
            tariff_version_from: opening.tariff_version,
            tariff_version: tariff.version,
            nodes: tariff.nodes,
            lines: Resource::ALL.map(line).into(),
            opening: old.balance(),
            received: Cycles(new.received.wrapping_sub(old.received).wrapping_add(received_with_calls)),
            sent: Cycles(new.sent.wrapping_sub(old.sent).wrapping_add(sent_with_calls)),
            charged,
            closing: new.balance(),
            paid_to: Destination::of(charged, tariff),
            outlook: footprint.map(|footprint| Outlook::of(tariff, footprint, new.balance())),
        }
    }

    /// Whether `opening + received - sent - charged = closing`.
    pub fn balances(&self) -> bool {
        let incoming = self.opening.checked_add(self.received);
        let outgoing = self.sent.checked_add(self.charged).and_then(|sum| sum.checked_add(self.closing));
        incoming.is_some() && incoming == outgoing
    }
}

/// Integers as decimal text in JSON (whose numbers lose digits beyond 2^53) and as themselves in binary forms.
pub mod decimal {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use std::{fmt::Display, str::FromStr};

    /// Writes an integer.
    pub fn serialize<T: Display + Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(value) } else { value.serialize(serializer) }
    }

    /// Reads an integer; only the form that [`serialize`] writes is accepted.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr + Display + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        if !deserializer.is_human_readable() {
            return T::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        let value = text.parse::<T>().map_err(|_| D::Error::custom(format_args!("`{text}` is no amount")))?;
        if value.to_string() == text {
            Ok(value)
        } else {
            Err(D::Error::custom(format_args!("write {value}, not {text}")))
        }
    }
}

/// [`decimal`] for [`Cycles`].
pub mod decimal_cycles {
    use mains_types::Cycles;
    use serde::{Deserializer, Serializer};

    /// Writes an amount.
    pub fn serialize<S: Serializer>(value: &Cycles, serializer: S) -> Result<S::Ok, S::Error> {
        super::decimal::serialize(&value.get(), serializer)
    }

    /// Reads an amount.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cycles, D::Error> {
        super::decimal::deserialize(deserializer).map(Cycles)
    }
}

/// [`decimal`] for numbers that may be absent.
pub mod decimal_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Number(#[serde(with = "super::decimal")] u128);

    /// Writes a number or nothing.
    pub fn serialize<S: Serializer>(value: &Option<u128>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Number).serialize(serializer)
    }

    /// Reads a number or nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u128>, D::Error> {
        Ok(Option::<Number>::deserialize(deserializer)?.map(|number| number.0))
    }
}
