//! Money and meters of one subnet: accounts, tariff, charges, settlement, statements and their verification.
//!
//! Double entry in integers: every verb of [`Ledger`] moves an amount from one account to another, so the sum of all
//! accounts equals what was issued minus what was redeemed, at every height. Meters only grow, and what was charged is
//! reading times price, exactly. Never reads a clock, a socket or a disk; knows no Wasm. Spec: `specs/ledger.md`.

pub mod account;
pub mod alerts;
pub mod bill;
pub mod error;
pub mod income;
pub mod journal;
pub mod ledger;
pub mod readings;
pub mod settlement;
pub mod statement;
pub mod tariff;
#[cfg(test)]
mod testing;
pub mod wallet;
pub mod work;

pub use account::{Account, CanisterAccount, Member, Meter, Resource};
pub use alerts::{Alert, Health};
pub use bill::Bill;
pub use error::LedgerError;
pub use income::Income;
pub use journal::{Entry, TransferId};
pub use ledger::Ledger;
pub use settlement::{OperatorWeight, Settlement};
pub use statement::{Destination, Footprint, Line, Moment, Outlook, Reading, Statement, StatementError};
pub use tariff::{Price, Tariff};
