//! A member's bill: what came into its account in the cycles ledger and what left it, block by block, drawn from the certified row
//! of the account and its own ICRC-3 blocks, and checked offline with nothing but the root key.

use crate::{
    Certificate, CertificateError,
    bill::{Unproven, difference},
};
use candid::{Decode, Principal};
use icrc_ledger_types::icrc::generic_value::ICRC3Value;
use mains_ledger::{
    CanisterAccount, Member, Moment,
    bill::Bound,
    statement::decimal_cycles,
    wallet::{MemberRecord, PATH},
};
use mains_types::{CanisterId, Cycles, UnixNanos};
use serde::{Deserialize, Serialize};

mod block;
mod fetch;
#[cfg(test)]
mod tests;

/// The form that this version writes and reads.
pub const FORMAT: &str = "mains-wallet-1";
const DAY_NANOS: u128 = 86_400 * UnixNanos::SECOND as u128;

/// What a block did to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Cycles came into being: bought, deposited by a canister, or earned by an operator.
    Minted,
    /// From another member.
    Received,
    /// To another member.
    Sent,
    /// To a canister: withdrawn, or for a new one.
    Burned,
    /// To itself: only the fee left.
    Itself,
    /// Somebody may spend: only the fee left.
    Approved,
}

impl Kind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minted => "minted",
            Self::Received => "received",
            Self::Sent => "sent",
            Self::Burned => "to canisters",
            Self::Itself => "to itself",
            Self::Approved => "approved",
        }
    }
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its index in the ledger's log.
    pub block: u64,
    /// Its time.
    pub time: UnixNanos,
    /// What it did.
    pub kind: Kind,
    /// The other account, as ICRC-1 writes it.
    pub with: Option<String>,
    /// What came or left, without the fee; for an approval what may be spent.
    #[serde(with = "decimal_cycles")]
    pub amount: Cycles,
    /// What the account paid for it.
    #[serde(with = "decimal_cycles")]
    pub fee: Cycles,
    /// What was in the account afterwards.
    #[serde(with = "decimal_cycles")]
    pub balance: Cycles,
    /// The memo, in hex.
    pub memo: Option<String>,
}

/// A canister that the member is said to control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controlled {
    /// Which one.
    pub canister: CanisterId,
    /// What it has: certified.
    #[serde(with = "decimal_cycles")]
    pub balance: Cycles,
    /// What it ever was charged: certified.
    #[serde(with = "decimal_cycles")]
    pub charged: Cycles,
}

/// The sums of a period: `opening + minted + received - sent - burned - fees = closing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// What was there.
    #[serde(with = "decimal_cycles")]
    pub opening: Cycles,
    /// What came into being.
    #[serde(with = "decimal_cycles")]
    pub minted: Cycles,
    /// What other members sent.
    #[serde(with = "decimal_cycles")]
    pub received: Cycles,
    /// What went to other members.
    #[serde(with = "decimal_cycles")]
    pub sent: Cycles,
    /// What went to canisters.
    #[serde(with = "decimal_cycles")]
    pub burned: Cycles,
    /// What went to the commons.
    #[serde(with = "decimal_cycles")]
    pub fees: Cycles,
    /// What is there.
    #[serde(with = "decimal_cycles")]
    pub closing: Cycles,
    /// What left on an average day of the period.
    #[serde(with = "decimal_cycles")]
    pub spent_per_day: Cycles,
    /// Days that the closing balance lasts if as much leaves; `None` if nothing left.
    pub runway_days: Option<u64>,
}

/// What proves a member's bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witnesses {
    /// The account's row before the oldest block, in hex.
    pub before: String,
    /// The account's blocks from the beginning of the period up to the certificate, oldest first: index and Candid of the ICRC-3
    /// value, in hex.
    pub blocks: Vec<(u64, String)>,
    /// How many of them are in the period; the rest came later.
    pub in_period: usize,
}

/// A member's bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wallet {
    /// [`FORMAT`].
    pub format: String,
    /// Whose.
    pub owner: Principal,
    /// Which of its accounts, in hex; absent: the default one.
    pub subaccount: Option<String>,
    /// Height and time of the certificate.
    pub certified: Moment,
    /// Whether the period begins with the account.
    pub from_the_beginning: bool,
    /// Every block of the period, oldest first.
    pub lines: Vec<Line>,
    /// What they make.
    pub sums: Sums,
    /// Canisters that the node says this member controls; their figures are certified, who controls them is not.
    pub canisters: Vec<Controlled>,
    /// The certificate over the account's row and those of the canisters: CBOR, in hex.
    pub certificate: String,
    /// The account's blocks.
    pub witnesses: Witnesses,
}

/// Why a member's bill does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// The ledger's form of a block that nobody knows.
    #[error("block {index} is none that moves this account's money, or not of a form that this version reads")]
    Block {
        /// Which one.
        index: u64,
    },
    /// More left than was there.
    #[error("block {index} takes more than the account had")]
    Overdrawn {
        /// Which one.
        index: u64,
    },
    /// The chain does not end where the certificate says.
    #[error("the blocks are not all those that the certified account names: one was changed, left out or put in")]
    Chain,
}

/// What a certificate shows about the account and its canisters.
struct Certified {
    at: Moment,
    row: MemberRecord,
    canisters: Vec<Controlled>,
}

impl Wallet {
    /// The account.
    pub fn member(&self) -> Option<Member> {
        let subaccount = match &self.subaccount {
            None => None,
            Some(text) => Some(hex::decode(text).ok()?.try_into().ok()?),
        };
        Some(Member::new(self.owner, subaccount))
    }
}

/// Checks everything offline: the threshold signature with `root_key` (DER), that the state is not older than `not_before`, that
/// the blocks are those that the certified account names, and every figure.
///
/// # Errors
/// The first thing that does not hold; see [`Unproven`].
pub fn verify(wallet: &Wallet, root_key: &[u8], not_before: Option<UnixNanos>) -> Result<(), Unproven> {
    if wallet.format != FORMAT {
        return Err(Unproven::Malformed(format!("its form is `{}`, this version reads `{FORMAT}`", wallet.format)));
    }
    let member = wallet.member().ok_or_else(|| Unproven::Malformed("a subaccount is 32 bytes in hex".into()))?;
    let certificate = Certificate::from_hex(&wallet.certificate, root_key)?;
    let at = certificate.moment(not_before)?;
    let canisters: Vec<CanisterId> = wallet.canisters.iter().map(|controlled| controlled.canister).collect();
    let certified = read(&certificate, at, &member, &canisters)?;
    let proven = draw(member, certified, wallet.certificate.clone(), wallet.witnesses.clone())?;
    Ok(difference::compare(wallet, &proven)?)
}

/// What `certificate` shows; an account that it shows to be absent never had anything.
fn read(
    certificate: &Certificate,
    at: Moment,
    member: &Member,
    canisters: &[CanisterId],
) -> Result<Certified, Unproven> {
    use crate::certificate::Shown;
    let label = member.label();
    let path: Vec<&[u8]> = PATH.into_iter().chain([&label[..]]).collect();
    let row = match certificate.shown(&path) {
        Shown::Value(bytes) => MemberRecord::decode(bytes).ok_or(Unproven::Unreadable("the account"))?,
        Shown::Absent => MemberRecord::default(),
        Shown::Unknown => return Err(CertificateError::Missing("the account").into()),
    };
    let controlled = |id: &CanisterId| {
        let bytes = certificate.value(&[b"mains", b"account", id.as_slice()]);
        let account = CanisterAccount::decode(bytes.ok_or(CertificateError::Missing("a canister's account"))?);
        let account = account.ok_or(Unproven::Unreadable("a canister's account"))?;
        Ok(Controlled { canister: *id, balance: account.balance(), charged: Cycles(account.charged()) })
    };
    Ok(Certified { at, row, canisters: canisters.iter().map(controlled).collect::<Result<_, Unproven>>()? })
}

/// The bill that certificate and blocks make.
fn draw(member: Member, certified: Certified, certificate: String, witnesses: Witnesses) -> Result<Wallet, Unproven> {
    let before = hex::decode(&witnesses.before).ok().and_then(|bytes| MemberRecord::decode(&bytes));
    let before = before.ok_or(Unproven::Unreadable("the account before the period"))?;
    let from_the_beginning = before.count == 0;
    if from_the_beginning && (before.balance, before.chain) != (0, [0; 32]) {
        return Err(WalletError::Chain.into());
    }
    let mut row = before;
    let mut lines = Vec::with_capacity(witnesses.blocks.len());
    for (index, text) in &witnesses.blocks {
        let wrong = WalletError::Block { index: *index };
        let bytes = hex::decode(text).map_err(|_| wrong.clone())?;
        let block = Decode!(&bytes, ICRC3Value).map_err(|_| wrong.clone())?;
        let hash = block.clone().hash();
        let mut line = block::read(&member, *index, block).ok_or(wrong)?;
        let balance = line.after(row.balance).ok_or(WalletError::Overdrawn { index: *index })?;
        line.balance = Cycles(balance);
        row = row.next(*index, &hash, balance);
        lines.push(line);
    }
    if (row.balance, row.count, row.chain) != (certified.row.balance, certified.row.count, certified.row.chain) {
        return Err(WalletError::Chain.into());
    }
    let is_whole = witnesses.in_period >= lines.len();
    lines.truncate(witnesses.in_period);
    let ends = if is_whole { certified.at.time } else { lines.last().map_or(certified.at.time, |line| line.time) };
    Ok(Wallet {
        format: FORMAT.into(),
        owner: member.owner,
        subaccount: member.subaccount.map(hex::encode),
        certified: certified.at,
        from_the_beginning,
        sums: Sums::of(before.balance, &lines, ends),
        lines,
        canisters: certified.canisters,
        certificate,
        witnesses,
    })
}

impl Line {
    /// The balance after this line, from that before.
    fn after(&self, before: u128) -> Option<u128> {
        let (amount, fee) = (self.amount.get(), self.fee.get());
        match self.kind {
            Kind::Minted | Kind::Received => before.checked_add(amount),
            Kind::Sent | Kind::Burned => before.checked_sub(amount)?.checked_sub(fee),
            Kind::Itself | Kind::Approved => before.checked_sub(fee),
        }
    }
}

impl Sums {
    /// The sums of `lines`, of a period that ends at `ends`.
    fn of(opening: u128, lines: &[Line], ends: UnixNanos) -> Self {
        let sum = |kind: Kind| {
            let amounts = lines.iter().filter(|line| line.kind == kind).map(|line| line.amount);
            amounts.fold(Cycles::ZERO, Cycles::saturating_add)
        };
        let fees = lines.iter().map(|line| line.fee).fold(Cycles::ZERO, Cycles::saturating_add);
        let (sent, burned) = (sum(Kind::Sent), sum(Kind::Burned));
        let closing = lines.last().map_or(Cycles(opening), |line| line.balance);
        let spent = sent.saturating_add(burned).saturating_add(fees);
        let began = lines.first().map_or(ends, |line| line.time);
        // A period shorter than a day is counted as one.
        let nanos = u128::from(ends.get().saturating_sub(began.get())).max(DAY_NANOS);
        let spent_per_day = Cycles(spent.get().saturating_mul(DAY_NANOS) / nanos);
        Self {
            opening: Cycles(opening),
            minted: sum(Kind::Minted),
            received: sum(Kind::Received),
            sent,
            burned,
            fees,
            closing,
            spent_per_day,
            runway_days: closing.get().checked_div(spent_per_day.get()).and_then(|days| u64::try_from(days).ok()),
        }
    }
}

/// Whether a block at `time` lies after the beginning, or before the end, of a period. Blocks know no heights.
fn lies_before(bound: Bound, time: UnixNanos) -> bool {
    bound.covers(&Moment { height: mains_types::Height(0), time })
}
