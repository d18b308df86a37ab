//! Changes of a tariff and how far one may go: prices move in small steps, so that nobody who sees a change announced is
//! ruined before the next one can be announced.

use super::{SHARE_WHOLE, Tariff};
use crate::account::Resource;
use mains_types::Height;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A price may become so many times what it was, or one part in so many.
pub const PRICE_STEP: u64 = 2;
/// The least price: what is free is used up for nothing.
pub const PRICE_MIN: u64 = 1;
/// The greatest: ten credits a unit. Above it, 136 years of 8 TiB on 128 nodes would not fit into 128 bits.
pub const PRICE_MAX: u64 = 10_000_000_000_000;
/// The least share of income for those who run the machines: they must live on it.
pub const OPERATORS_SHARE_MIN: u32 = 5_000;
/// The greatest: some savings must come together.
pub const OPERATORS_SHARE_MAX: u32 = 9_500;
/// How far one change may move a share, in parts of [`SHARE_WHOLE`].
pub const SHARE_STEP: u32 = 500;
/// The shortest epoch in seconds: below it, settling costs more than it tells.
pub const EPOCH_SECONDS_MIN: u64 = 60;
/// The longest: operators wait for their pay at most a month and as much again.
pub const EPOCH_SECONDS_MAX: u64 = 30 * super::DAY_SECONDS;

/// What is to be changed; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// New reference prices.
    pub prices: BTreeMap<Resource, u64>,
    /// New shares of operators, reserve and commons, in parts of [`SHARE_WHOLE`].
    pub shares: Option<[u32; 3]>,
    /// Another length of an epoch, in seconds.
    pub epoch_seconds: Option<u64>,
}

/// Why an amendment goes too far.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmendmentError {
    /// It changes nothing.
    #[error("it changes nothing")]
    Empty,
    /// A price outside of what one step allows.
    #[error("the price of {resource} may become {least} to {greatest} in one step, not {given}")]
    Price {
        /// Whose.
        resource: Resource,
        /// What was asked for.
        given: u64,
        /// The least that is allowed.
        least: u64,
        /// The greatest that is allowed.
        greatest: u64,
    },
    /// Shares that do not make a whole.
    #[error("shares must sum up to {SHARE_WHOLE}")]
    SharesSum,
    /// A share that moves too far.
    #[error("a share may move by at most {SHARE_STEP} of {SHARE_WHOLE} in one step")]
    SharesStep,
    /// The operators' share is too small or too great.
    #[error("the operators' share must stay between {OPERATORS_SHARE_MIN} and {OPERATORS_SHARE_MAX}")]
    OperatorsShare,
    /// An epoch outside of what one step allows.
    #[error("an epoch may last {least} to {greatest} seconds after one step, not {given}")]
    EpochSeconds {
        /// What was asked for.
        given: u64,
        /// The least that is allowed.
        least: u64,
        /// The greatest that is allowed.
        greatest: u64,
    },
}

impl Tariff {
    /// The next version of this tariff with these changes, in force from a height on.
    ///
    /// # Errors
    /// The first change that goes too far.
    pub fn amended(&self, amendment: &Amendment, effective_height: Height) -> Result<Self, AmendmentError> {
        let mut next = Self { version: self.version.saturating_add(1), effective_height, ..self.clone() };
        for (resource, given) in &amendment.prices {
            let price = &mut next.reference[resource.index()];
            let (least, greatest) = step(*price, PRICE_MIN, PRICE_MAX);
            if !(least..=greatest).contains(given) {
                return Err(AmendmentError::Price { resource: *resource, given: *given, least, greatest });
            }
            *price = *given;
        }
        if let Some(shares) = amendment.shares {
            next.set_shares(shares)?;
        }
        if let Some(given) = amendment.epoch_seconds {
            let (least, greatest) = step(self.epoch_seconds, EPOCH_SECONDS_MIN, EPOCH_SECONDS_MAX);
            if !(least..=greatest).contains(&given) {
                return Err(AmendmentError::EpochSeconds { given, least, greatest });
            }
            next.epoch_seconds = given;
        }
        let same = Self { version: next.version, effective_height, ..self.clone() };
        if next == same { Err(AmendmentError::Empty) } else { Ok(next) }
    }

    fn set_shares(&mut self, shares: [u32; 3]) -> Result<(), AmendmentError> {
        let present = [self.operators_share, self.reserve_share, self.commons_share];
        if shares.iter().map(|share| u64::from(*share)).sum::<u64>() != u64::from(SHARE_WHOLE) {
            return Err(AmendmentError::SharesSum);
        }
        if present.iter().zip(&shares).any(|(old, new)| old.abs_diff(*new) > SHARE_STEP) {
            return Err(AmendmentError::SharesStep);
        }
        if !(OPERATORS_SHARE_MIN..=OPERATORS_SHARE_MAX).contains(&shares[0]) {
            return Err(AmendmentError::OperatorsShare);
        }
        [self.operators_share, self.reserve_share, self.commons_share] = shares;
        Ok(())
    }
}

/// What a number may become in one step.
fn step(present: u64, least: u64, greatest: u64) -> (u64, u64) {
    let low = present.div_ceil(PRICE_STEP).clamp(least, greatest);
    (low, present.saturating_mul(PRICE_STEP).clamp(low, greatest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(resource: Resource, given: u64) -> Amendment {
        Amendment { prices: [(resource, given)].into(), ..Amendment::default() }
    }

    fn amend(tariff: &Tariff, amendment: &Amendment) -> Result<Tariff, AmendmentError> {
        tariff.amended(amendment, Height(9))
    }

    #[test]
    fn a_price_at_most_doubles_or_halves_and_is_never_nothing() {
        let tariff = Tariff::for_nodes(4);
        for given in [2_500_000, 4_000_000, 10_000_000] {
            let next = amend(&tariff, &price(Resource::Execution, given)).unwrap();
            assert_eq!((next.version, next.effective_height, next.nodes), (2, Height(9), 4));
            assert_eq!(next.reference[Resource::Execution.index()], given);
            assert_eq!(next.reference[1..], tariff.reference[1..]);
            next.validate().unwrap();
        }
        for given in [0, 2_499_999, 10_000_001, u64::MAX] {
            assert!(matches!(amend(&tariff, &price(Resource::Execution, given)), Err(AmendmentError::Price { .. })));
        }
        assert!(amend(&tariff, &price(Resource::Instructions, 0)).is_err(), "one cycle is the least");
        assert!(amend(&tariff, &price(Resource::Instructions, 2)).is_ok());
        let mut dear = tariff.clone();
        dear.reference[0] = PRICE_MAX;
        assert!(amend(&dear, &price(Resource::Execution, PRICE_MAX + 1)).is_err());
    }

    #[test]
    fn shares_move_slowly_and_make_a_whole() {
        let tariff = Tariff::for_nodes(4);
        let shares = |shares| amend(&tariff, &Amendment { shares: Some(shares), ..Amendment::default() });
        assert_eq!(shares([8_500, 1_000, 500]).unwrap().operators_share, 8_500);
        assert_eq!(shares([8_500, 1_000, 501]), Err(AmendmentError::SharesSum));
        assert_eq!(shares([u32::MAX, u32::MAX, 10_002]), Err(AmendmentError::SharesSum));
        assert_eq!(shares([8_501, 999, 500]), Err(AmendmentError::SharesStep));
        let low = Tariff { operators_share: 5_200, reserve_share: 2_400, commons_share: 2_400, ..tariff };
        let too_low = Amendment { shares: Some([4_900, 2_600, 2_500]), ..Amendment::default() };
        assert_eq!(amend(&low, &too_low), Err(AmendmentError::OperatorsShare));
    }

    #[test]
    fn epochs_have_bounds_and_an_amendment_changes_something() {
        let tariff = Tariff { epoch_seconds: 100, ..Tariff::for_nodes(4) };
        let epoch = |given| amend(&tariff, &Amendment { epoch_seconds: Some(given), ..Amendment::default() });
        assert_eq!(epoch(200).unwrap().epoch_seconds, 200);
        assert!(epoch(59).is_err() && epoch(201).is_err());
        assert_eq!(epoch(100), Err(AmendmentError::Empty));
        assert_eq!(amend(&tariff, &Amendment::default()), Err(AmendmentError::Empty));
    }

    #[test]
    fn what_the_greatest_price_costs_still_fits() {
        let mut tariff = Tariff::for_nodes(128);
        tariff.reference = [PRICE_MAX; Resource::COUNT];
        let byte_seconds = (8_u128 << 40) * (1 << 32);
        assert_ne!(tariff.cost(Resource::StorageByteSeconds, byte_seconds), mains_types::Cycles::MAX);
    }
}
