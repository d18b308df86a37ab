//! Recomputing a bill from its readings and the tariff, without trusting whoever wrote it.

use crate::{
    account::Resource,
    statement::{Destination, Outlook, Statement},
    tariff::Tariff,
};
use mains_types::Cycles;

/// What is wrong with a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The statement was made with other prices.
    #[error("the statement is for tariff versions {from} to {to}, the tariff given is version {tariff}")]
    OtherTariff {
        /// The version at its beginning.
        from: u32,
        /// The version at its end.
        to: u32,
        /// The version to verify with.
        tariff: u32,
    },
    /// The period ends before it begins.
    #[error("the period ends before it begins")]
    PeriodReversed,
    /// A resource is missing, doubled or out of order.
    #[error("line {position} should be {expected}")]
    LineMissing {
        /// Which line, counted from 0.
        position: usize,
        /// What belongs there.
        expected: Resource,
    },
    /// There are more lines than resources.
    #[error("{actual} lines, there are {} resources", Resource::COUNT)]
    TooManyLines {
        /// How many lines there are.
        actual: usize,
    },
    /// A meter ran backwards or the quantity is not the difference of its readings.
    #[error("{resource}: the quantity is not the difference of the readings")]
    Quantity {
        /// Which one.
        resource: Resource,
    },
    /// A price is not the tariff's.
    #[error("{resource}: the price is not the tariff's")]
    Price {
        /// Which one.
        resource: Resource,
    },
    /// An amount is not quantity times price.
    #[error("{resource}: {stated} cycles charged, quantity times price is {expected}")]
    Amount {
        /// Which one.
        resource: Resource,
        /// What the statement says.
        stated: Cycles,
        /// What it should say.
        expected: Cycles,
    },
    /// The sum of the lines is not what was charged.
    #[error("{stated} cycles charged, the lines sum up to {expected}")]
    Sum {
        /// What the statement says.
        stated: Cycles,
        /// What the lines say.
        expected: Cycles,
    },
    /// The parts of what was charged are not those that the tariff's shares make.
    #[error("where the charged cycles went is not what the tariff's shares say")]
    Destination,
    /// Cost of doing nothing, limit or runway do not follow from memory, allocation and balance.
    #[error("cost per day, freezing limit or runway do not follow from footprint and closing balance")]
    Outlook,
    /// Opening + received - sent - charged is not closing.
    #[error("opening + received - sent - charged is not closing")]
    Balance,
}

/// Recomputes every line and the balance of `statement` under `tariff`.
///
/// This proves the arithmetic. That the readings are the subnet's is what [`crate::bill::Bill::verify`] proves.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(statement: &Statement, tariff: &Tariff) -> Result<(), StatementError> {
    let (from, to) = (statement.tariff_version_from, statement.tariff_version);
    if from != tariff.version || to != tariff.version || statement.nodes != tariff.nodes {
        return Err(StatementError::OtherTariff { from, to, tariff: tariff.version });
    }
    if statement.from.height > statement.to.height || statement.from.time > statement.to.time {
        return Err(StatementError::PeriodReversed);
    }
    if statement.lines.len() > Resource::COUNT {
        return Err(StatementError::TooManyLines { actual: statement.lines.len() });
    }
    let mut sum = Cycles::ZERO;
    for (position, resource) in Resource::ALL.into_iter().enumerate() {
        let Some(line) = statement.lines.get(position).filter(|line| line.resource == resource) else {
            return Err(StatementError::LineMissing { position, expected: resource });
        };
        if line.present.checked_sub(line.previous) != Some(line.quantity) {
            return Err(StatementError::Quantity { resource });
        }
        let price = tariff.price(resource);
        if line.price != price || line.carried >= price.denominator {
            return Err(StatementError::Price { resource });
        }
        let expected = price.apply(line.quantity, line.carried).map_or(Cycles::MAX, |(cycles, _)| Cycles(cycles));
        if line.amount != expected {
            return Err(StatementError::Amount { resource, stated: line.amount, expected });
        }
        sum = sum.saturating_add(line.amount);
    }
    if sum != statement.charged {
        return Err(StatementError::Sum { stated: statement.charged, expected: sum });
    }
    if !statement.balances() {
        return Err(StatementError::Balance);
    }
    if statement.paid_to != Destination::of(statement.charged, tariff) {
        return Err(StatementError::Destination);
    }
    let follows = |outlook: &Outlook| *outlook == Outlook::of(tariff, &outlook.footprint, statement.closing);
    if statement.outlook.as_ref().is_some_and(|outlook| !follows(outlook)) {
        return Err(StatementError::Outlook);
    }
    Ok(())
}
