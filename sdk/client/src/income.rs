//! An operator's bill: drawn from certified settlements and tariffs, and checked offline with nothing but the root key.

use crate::{
    Certificate, CertificateError, Client, ClientError,
    bill::{Unproven, difference},
    certificate::Shown,
};
use candid::Principal;
use ic_agent::hash_tree::Label;
use mains_ledger::{Income, Moment, Tariff, bill::Bound, income::FORMAT, work::Settled};
use mains_types::{Height, UnixNanos};

#[cfg(test)]
mod tests;

/// Settlements that a subnet keeps.
const EPOCHS_MAX: u32 = 60;

/// Checks everything offline: the threshold signature with `root_key` (DER), that the state is not older than `not_before`, that
/// every settlement of the period is there, that each follows from its facts, and every figure.
///
/// # Errors
/// The first thing that does not hold; see [`Unproven`].
pub fn verify(income: &Income, root_key: &[u8], not_before: Option<UnixNanos>) -> Result<(), Unproven> {
    if income.format != FORMAT {
        return Err(Unproven::Malformed(format!("its form is `{}`, this version reads `{FORMAT}`", income.format)));
    }
    let certificate = Certificate::from_hex(&income.certificate, root_key)?;
    let at = certificate.moment(not_before)?;
    let proven =
        draw(income.operator, &certificate, at, income.certificate.clone(), income.from_epoch..=income.to_epoch)?;
    Ok(difference::compare(income, &proven)?)
}

/// The bill of these epochs from what `certificate` shows.
fn draw(
    operator: Principal,
    certificate: &Certificate,
    at: Moment,
    encoded: String,
    epochs: std::ops::RangeInclusive<u64>,
) -> Result<Income, Unproven> {
    let mut settled = Vec::new();
    // Ends at the first that the certificate does not show, so that no range is too long.
    for epoch in epochs {
        let bytes = certificate.value(&[b"mains", b"settlement", &epoch.to_be_bytes()]);
        let bytes = bytes.ok_or(CertificateError::Missing("a settlement of the period"))?;
        let decoded = Settled::decode(bytes).filter(|settled| settled.epoch == epoch);
        settled.push(decoded.ok_or(Unproven::Unreadable("the settlement"))?);
    }
    Ok(Income::draw(operator, at, encoded, &settled, &tariffs(certificate)?)?)
}

/// All tariffs that ever were in force, oldest first.
fn tariffs(certificate: &Certificate) -> Result<Vec<Tariff>, Unproven> {
    let mut tariffs = Vec::new();
    for version in 1_u32.. {
        match certificate.shown(&[b"mains", b"tariff", &version.to_be_bytes()]) {
            Shown::Value(bytes) => {
                let tariff = Tariff::decode(bytes).filter(|tariff| tariff.version == version);
                tariffs.push(tariff.ok_or(Unproven::Unreadable("the tariff"))?);
            }
            Shown::Absent => break,
            Shown::Unknown => return Err(CertificateError::Missing("all tariffs").into()),
        }
    }
    Ok(tariffs)
}

impl Client {
    /// What `operator` earned in the epochs that ended between two bounds, with what proves it; verified.
    ///
    /// # Errors
    /// [`ClientError::Unexpected`] if there is no such epoch, or the node's answers do not hold.
    pub async fn income(
        &self,
        operator: Principal,
        from: Option<Bound>,
        to: Option<Bound>,
    ) -> Result<Income, ClientError> {
        let all = self.settlements(EPOCHS_MAX).await?;
        let ended = |settled: &crate::utility::Settlement| Moment {
            height: Height(settled.last_height),
            time: UnixNanos(settled.ended_nanos),
        };
        let wanted = all.iter().filter(|settled| {
            let end = ended(settled);
            !from.is_some_and(|from| from.covers(&end)) && to.is_none_or(|to| to.covers(&end))
        });
        let epochs: Vec<u64> = wanted.map(|settled| settled.epoch).collect();
        let (Some(first), Some(last)) = (epochs.iter().min(), epochs.iter().max()) else {
            return Err(self.unexpected("no settlement in this period: the newest 60 epochs are kept"));
        };
        let leaf = |labels: &[&[u8]]| labels.iter().map(|label| Label::from(label.to_vec())).collect::<Vec<_>>();
        let mut paths = vec![leaf(&[b"time"]), leaf(&[b"mains", b"height"]), leaf(&[b"mains", b"tariff"])];
        paths.extend((*first..=*last).map(|epoch| leaf(&[b"mains", b"settlement", &epoch.to_be_bytes()])));
        let encoded = self.certificate_of(paths).await?;
        let certificate = Certificate::from_hex(&encoded, self.root_key()).map_err(|error| self.unexpected(error))?;
        let at = certificate.moment(None).map_err(|error| self.unexpected(error))?;
        draw(operator, &certificate, at, encoded, *first..=*last).map_err(|error| self.unexpected(error))
    }
}
