//! A bill: statements of a canister from one reading to another, with what proves them.
//!
//! The certified account names all its past readings by a hash chain, each reading is of one tariff, and tariffs are
//! certified too. So a bill can be drawn again, figure by figure, from what a certificate shows and the readings: that is how
//! it is made ([`Bill::draw`]) and how it is verified ([`Bill::verify`]). Signatures are checked by whoever reads the
//! certificate, before; see `sdk/client`. Spec: `specs/ledger.md`, "Statements".

mod comparison;
#[cfg(test)]
mod tests;
mod witnesses;

use crate::{
    account::CanisterAccount,
    readings,
    statement::{Footprint, Moment, Reading, Statement, StatementError, verify},
    tariff::Tariff,
};
use mains_types::{CanisterId, Height, UnixNanos};
use serde::{Deserialize, Serialize};

pub use witnesses::Witnesses;

/// The form that this version writes and reads.
pub const FORMAT: &str = "mains-bill-1";

/// What a certificate shows about a canister's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Height and time of the state that was certified.
    pub at: Moment,
    /// The account then.
    pub account: CanisterAccount,
    /// What the canister costs while it does nothing.
    pub footprint: Footprint,
    /// The tariffs that the certificate shows.
    pub tariffs: Vec<Tariff>,
}

impl Certified {
    fn tariff(&self, version: u32) -> Result<&Tariff, BillError> {
        self.tariffs.iter().find(|tariff| tariff.version == version).ok_or(BillError::TariffNotShown { version })
    }
}

/// A bound of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A height.
    Height(Height),
    /// A block time.
    Time(UnixNanos),
}

impl Bound {
    /// Whether `moment` is not later.
    pub fn covers(&self, moment: &Moment) -> bool {
        match self {
            Self::Height(height) => moment.height <= *height,
            Self::Time(time) => moment.time <= *time,
        }
    }
}

/// Why a bill cannot be drawn, or does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BillError {
    /// Another program's or release's file.
    #[error("the format is `{actual}`, this version reads `{FORMAT}`")]
    OtherFormat {
        /// What the bill says.
        actual: String,
    },
    /// The certificate is of another state than the bill says.
    #[error("the certificate is of height {shown}, the bill says {stated}")]
    OtherHeight {
        /// What the certificate shows.
        shown: Height,
        /// What the bill says.
        stated: Height,
    },
    /// The certificate is older than what it should prove.
    #[error("the certificate is stale: it is of {certified}, the statement ends at {ends}")]
    Stale {
        /// The certificate's height.
        certified: Height,
        /// The statement's end.
        ends: Height,
    },
    /// A reading that the one after it, or the account, does not name.
    #[error("reading {position} is not the one that the next one, or the certified account, names")]
    Reading {
        /// Which one, counted from 0, the oldest.
        position: usize,
    },
    /// It should begin with the account, but there were readings before.
    #[error("the bill says to begin with the account, but readings of before are missing")]
    NotFromTheBeginning,
    /// No reading to begin with, or none after it.
    #[error("nothing was metered in this period: it has no two readings")]
    Empty,
    /// Readings of before that time are not at hand.
    #[error("the readings at hand begin at height {oldest}")]
    NotAtHand {
        /// The oldest one's height.
        oldest: Height,
    },
    /// A tariff of the period is not in the certificate.
    #[error("the certificate does not show tariff {version}")]
    TariffNotShown {
        /// Which one.
        version: u32,
    },
    /// A statement is missing, or there is one too many.
    #[error("{stated} statements, the readings make {proven}")]
    Count {
        /// How many there are.
        stated: usize,
        /// How many there should be.
        proven: usize,
    },
    /// A figure is not what readings and tariff make it.
    #[error("statement {statement}, {line}: stated {stated}, proven {proven}")]
    Differs {
        /// Which statement, counted from 1.
        statement: usize,
        /// Which line of it.
        line: String,
        /// What it says.
        stated: String,
        /// What it should say.
        proven: String,
    },
    /// The subnet itself did not charge quantity times price.
    #[error("statement {statement}: {error}")]
    Arithmetic {
        /// Which statement, counted from 1.
        statement: usize,
        /// What does not add up.
        error: StatementError,
    },
}

/// A bill of a canister.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bill {
    /// [`FORMAT`].
    pub format: String,
    /// Whose.
    pub canister: CanisterId,
    /// Height and time of the certificate.
    pub certified: Moment,
    /// One for each tariff of the period, oldest first; each begins where the one before ends.
    pub statements: Vec<Statement>,
    /// The certificate over account, footprint and tariffs: CBOR, in hex.
    pub certificate: String,
    /// The readings from the beginning of the period up to the certified account.
    pub witnesses: Witnesses,
}

impl Bill {
    /// The bill of the period that `witnesses` span.
    ///
    /// # Errors
    /// See [`BillError`].
    pub fn draw(
        canister: CanisterId,
        certified: &Certified,
        certificate: String,
        witnesses: Witnesses,
    ) -> Result<Self, BillError> {
        let statements = statements(canister, certified, &witnesses)?;
        Ok(Self { format: FORMAT.into(), canister, certified: certified.at, statements, certificate, witnesses })
    }

    /// Draws the bill again from what its certificate shows and compares every figure, then checks that the subnet charged
    /// quantity times price. Who calls this has verified the certificate and read `certified` out of it.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn verify(&self, certified: &Certified) -> Result<(), BillError> {
        if self.format != FORMAT {
            return Err(BillError::OtherFormat { actual: self.format.clone() });
        }
        if let Some(end) = self.statements.last().map(|last| last.to.height).filter(|end| *end > certified.at.height) {
            return Err(BillError::Stale { certified: certified.at.height, ends: end });
        }
        if self.certified != certified.at {
            return Err(BillError::OtherHeight { shown: certified.at.height, stated: self.certified.height });
        }
        let proven = statements(self.canister, certified, &self.witnesses)?;
        comparison::compare(&self.statements, &proven)?;
        for (number, statement) in (1..).zip(&proven) {
            let tariff = certified.tariff(statement.tariff_version)?;
            verify(statement, tariff).map_err(|error| BillError::Arithmetic { statement: number, error })?;
        }
        Ok(())
    }

    /// What was charged between each two readings of the period, oldest first, with the moment of the later one: what a
    /// chart of use shows.
    pub fn uses(&self, account: Option<&CanisterAccount>) -> Vec<(Moment, mains_types::Cycles)> {
        let Ok(points) = self.witnesses.points(account) else { return Vec::new() };
        let uses = points.windows(2).map(|pair| {
            let charged = pair[1].charged().wrapping_sub(pair[0].charged());
            (pair[1].changed, mains_types::Cycles(charged))
        });
        uses.collect()
    }
}

/// The statements of a period: consecutive readings of one tariff make one.
fn statements(canister: CanisterId, certified: &Certified, witnesses: &Witnesses) -> Result<Vec<Statement>, BillError> {
    let held = readings::verify(&witnesses.readings, &certified.account);
    if held < witnesses.readings.len() {
        return Err(BillError::Reading { position: witnesses.readings.len() - held - 1 });
    }
    let points = witnesses.points(Some(&certified.account))?;
    let present = witnesses.end.is_none().then_some(&certified.footprint);
    let last = points.len() - 1;
    let mut made: Vec<Statement> = Vec::new();
    let mut begins = 0;
    for later in 1..=last {
        let version = points[later].tariff_version;
        if later < last && points[later + 1].tariff_version == version {
            continue;
        }
        let tariff = certified.tariff(version)?;
        // The present account stands as it is up to the certified height.
        let at = if later == last && present.is_some() { certified.at } else { points[later].changed };
        let opens_at = made.last().map_or(points[begins].changed, |before| before.to);
        let reading = |at, account: &CanisterAccount| Reading { at, tariff_version: version, account: account.clone() };
        let (opening, closing) = (reading(opens_at, points[begins]), reading(at, points[later]));
        let footprint = present.filter(|_| later == last);
        made.push(Statement::between(canister, &opening, &closing, tariff, footprint));
        begins = later;
    }
    Ok(made)
}
