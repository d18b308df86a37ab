//! A bill checked offline, with nothing but the root key.

use crate::{
    certificate::{Certificate, CertificateError, ROOT_KEY_PREFIX},
    wallet::WalletError,
};
use mains_ledger::{
    Bill, CanisterAccount, Footprint, Moment, Tariff,
    bill::{BillError, Certified},
    income::IncomeError,
};
use mains_types::UnixNanos;
use serde::{Deserialize, de::DeserializeOwned};

pub(crate) mod difference;
#[cfg(test)]
mod tests;

pub use difference::Difference;

/// Why a bill proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Not JSON, or not of this form.
    #[error("not a bill: {0}")]
    Malformed(String),
    /// The certificate does not hold.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certificate shows something that cannot be read.
    #[error("the certificate shows {0} in a form that this version does not read")]
    Unreadable(&'static str),
    /// The certificate is older than what was asked for.
    #[error(
        "the certificate is stale: its state is of {certified}, not before {not_before} was asked for (nanoseconds)"
    )]
    Stale {
        /// When the state was certified.
        certified: u64,
        /// What was asked for.
        not_before: u64,
    },
    /// A line does not hold.
    #[error(transparent)]
    Line(#[from] BillError),
    /// A line of an operator's bill does not hold.
    #[error(transparent)]
    Income(#[from] IncomeError),
    /// A member's blocks do not hold.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// A figure is not what the proof makes it.
    #[error(transparent)]
    Differs(#[from] Difference),
}

impl Certificate {
    /// Height and time of the state, which is not older than `not_before`.
    ///
    /// # Errors
    /// [`Unproven::Stale`], [`Unproven::Certificate`].
    pub(crate) fn moment(&self, not_before: Option<UnixNanos>) -> Result<Moment, Unproven> {
        let at = Moment { height: self.height()?, time: self.time()? };
        match not_before.filter(|not_before| at.time < *not_before) {
            Some(not_before) => Err(Unproven::Stale { certified: at.time.get(), not_before: not_before.get() }),
            None => Ok(at),
        }
    }
}

/// Reads a bill, of whomever, from its JSON.
///
/// # Errors
/// [`Unproven::Malformed`].
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Unproven> {
    serde_json::from_str(json).map_err(|error| Unproven::Malformed(error.to_string()))
}

/// Of which form a bill says to be.
///
/// # Errors
/// [`Unproven::Malformed`].
pub fn format(json: &str) -> Result<String, Unproven> {
    #[derive(Deserialize)]
    struct Form {
        format: String,
    }
    parse::<Form>(json).map(|form| form.format)
}

/// The root key in DER form, from that or from its 96 bytes.
///
/// # Errors
/// [`CertificateError::MalformedRootKey`].
pub fn root_key(bytes: &[u8]) -> Result<Vec<u8>, CertificateError> {
    match bytes.len() {
        96 => Ok([&ROOT_KEY_PREFIX, bytes].concat()),
        133 if bytes.starts_with(&ROOT_KEY_PREFIX) => Ok(bytes.to_vec()),
        _ => Err(CertificateError::MalformedRootKey),
    }
}

/// Checks everything offline: the threshold signature with `root_key` (DER), that the state is not older than `not_before`,
/// and every figure. Returns what the certificate shows.
///
/// # Errors
/// The first thing that does not hold; see [`Unproven`].
pub fn verify(bill: &Bill, root_key: &[u8], not_before: Option<UnixNanos>) -> Result<Certified, Unproven> {
    let certificate = Certificate::from_hex(&bill.certificate, root_key)?;
    let at = certificate.moment(not_before)?;
    let id = bill.canister.as_slice();
    let leaf = |kind: &[u8], label: &[u8], name| {
        certificate.value(&[b"mains", kind, label]).ok_or(CertificateError::Missing(name))
    };
    let account = CanisterAccount::decode(leaf(b"account", id, "the canister's account")?);
    let footprint = Footprint::decode(leaf(b"footprint", id, "the canister's footprint")?);
    let account = account.ok_or(Unproven::Unreadable("the account"))?;
    let mut tariffs = Vec::new();
    for version in bill.witnesses.tariff_versions(&account)? {
        let bytes = leaf(b"tariff", &version.to_be_bytes(), "the tariff of a statement")?;
        let tariff = Tariff::decode(bytes).filter(|tariff| tariff.version == version);
        tariffs.push(tariff.ok_or(Unproven::Unreadable("the tariff"))?);
    }
    let footprint = footprint.ok_or(Unproven::Unreadable("the footprint"))?;
    let certified = Certified { at, account, footprint, tariffs };
    bill.verify(&certified)?;
    Ok(certified)
}
