//! The readings that prove a bill, and which of them it begins and ends with.

use super::{BillError, Bound};
use crate::{account::CanisterAccount, readings};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The account that every canister begins with.
static NOTHING: std::sync::LazyLock<CanisterAccount> = std::sync::LazyLock::new(CanisterAccount::default);

/// The readings from the beginning of a period up to the certified account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witnesses {
    /// Whether the bill begins with the account; else with the oldest reading.
    pub from_the_beginning: bool,
    /// The reading that the bill ends with; `None`: the certified account.
    pub end: Option<usize>,
    /// Oldest first: [`CanisterAccount::encode`], in hex.
    #[serde(with = "hex_readings")]
    pub readings: Vec<CanisterAccount>,
}

impl Witnesses {
    /// Those for the period between two bounds, of `readings` (oldest first; older ones that are not the account's are left
    /// out). A bill begins with the newest reading that is not later than `from`, and ends with the newest, or the account,
    /// not later than `to`. Without bounds: the whole life, as far as readings are at hand.
    ///
    /// # Errors
    /// [`BillError::NotAtHand`], [`BillError::Empty`].
    pub fn select(
        mut readings: Vec<CanisterAccount>,
        account: &CanisterAccount,
        from: Option<Bound>,
        to: Option<Bound>,
    ) -> Result<Self, BillError> {
        let held = readings::verify(&readings, account);
        readings.drain(..readings.len() - held);
        let is_complete = readings.first().unwrap_or(account).chain == [0; 32];
        let newest = |bound: Bound| readings.iter().rposition(|reading| bound.covers(&reading.changed));
        let not_at_hand = || BillError::NotAtHand { oldest: readings.first().unwrap_or(account).changed.height };
        let end = match to.filter(|to| !to.covers(&account.changed)) {
            None => None,
            Some(to) => Some(newest(to).ok_or(if is_complete { BillError::Empty } else { not_at_hand() })?),
        };
        if from.is_some_and(|from| from.covers(&account.changed)) {
            return Err(BillError::Empty);
        }
        let begin = match from {
            None if is_complete => None,
            None if readings.is_empty() => return Err(not_at_hand()),
            None => Some(0),
            Some(from) => match newest(from) {
                None if is_complete => None,
                None => return Err(not_at_hand()),
                found => found,
            },
        };
        let cut = begin.unwrap_or(0);
        let end = end.map(|end| end.checked_sub(cut).ok_or(BillError::Empty)).transpose()?;
        readings.drain(..cut);
        let witnesses = Self { from_the_beginning: begin.is_none(), end, readings };
        witnesses.points(Some(account))?;
        Ok(witnesses)
    }

    /// The versions of the account that the bill goes through, oldest first, at least two. Without `account` as far as the
    /// readings go.
    pub(super) fn points<'a>(
        &'a self,
        account: Option<&'a CanisterAccount>,
    ) -> Result<Vec<&'a CanisterAccount>, BillError> {
        let mut points: Vec<&CanisterAccount> = Vec::with_capacity(self.readings.len() + 2);
        if self.from_the_beginning {
            if self.readings.first().or(account).is_some_and(|oldest| oldest.chain != [0; 32]) {
                return Err(BillError::NotFromTheBeginning);
            }
            points.push(&NOTHING);
        }
        match self.end {
            Some(end) => points.extend(self.readings.get(..=end).ok_or(BillError::Empty)?),
            None => points.extend(self.readings.iter().chain(account)),
        }
        if points.len() < 2 { Err(BillError::Empty) } else { Ok(points) }
    }

    /// The versions of tariffs that the bill needs, each once, oldest first.
    ///
    /// # Errors
    /// As [`Witnesses::select`].
    pub fn tariff_versions(&self, account: &CanisterAccount) -> Result<Vec<u32>, BillError> {
        let points = self.points(Some(account))?;
        let mut versions: Vec<u32> = points[1..].iter().map(|point| point.tariff_version).collect();
        versions.dedup();
        Ok(versions)
    }
}

/// Readings as their bytes in hex.
mod hex_readings {
    use super::*;

    pub(super) fn serialize<S: Serializer>(readings: &[CanisterAccount], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(readings.iter().map(|reading| hex::encode(reading.encode())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CanisterAccount>, D::Error> {
        let reading = |(position, text): (usize, String)| {
            let bytes = hex::decode(&text).ok().filter(|bytes| hex::encode(bytes) == text);
            let reading = bytes.and_then(|bytes| CanisterAccount::decode(&bytes));
            reading.ok_or_else(|| D::Error::custom(format_args!("reading {position} is no account")))
        };
        Vec::<String>::deserialize(deserializer)?.into_iter().enumerate().map(reading).collect()
    }
}
