//! Transactions that carry their time are done once: the same one again within a day is answered with the first one's block.

use mains_state::{Table, Tokens};
use mains_types::{CanisterId, Principal, UnixNanos};
use sha2::{Digest, Sha256};

/// How long a transaction is remembered: a day, as ledgers of the Internet Computer do.
const WINDOW_NANOS: u64 = 24 * 60 * 60 * UnixNanos::SECOND;
/// How far clocks may differ.
const DRIFT_NANOS: u64 = 2 * 60 * UnixNanos::SECOND;
/// Outdated transactions forgotten per new one.
const FORGET_COUNT: usize = 4;

/// Why a transaction is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotDone {
    /// Its time is more than a day ago.
    TooOld,
    /// Its time is ahead of the ledger's.
    CreatedInFuture,
    /// It was done already.
    Duplicate { block: u64, canister: Option<CanisterId> },
}

/// A transaction about to be done.
pub(super) struct Transaction {
    key: Option<Vec<u8>>,
}

impl Transaction {
    /// Checks the time that a transaction carries and that it is not done yet. One without a time is always new.
    pub(super) fn begin(
        tokens: &Tokens,
        now: UnixNanos,
        created_at: Option<u64>,
        (ledger, sender, method, argument): (&CanisterId, &Principal, &str, &[u8]),
    ) -> Result<Self, NotDone> {
        let Some(created_at) = created_at else { return Ok(Self { key: None }) };
        if created_at.saturating_add(WINDOW_NANOS + DRIFT_NANOS) < now.get() {
            return Err(NotDone::TooOld);
        }
        if created_at > now.get().saturating_add(DRIFT_NANOS) {
            return Err(NotDone::CreatedInFuture);
        }
        let mut hasher = Sha256::new();
        for part in [ledger.as_slice(), sender.as_slice(), method.as_bytes(), argument] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let key = [&created_at.to_be_bytes()[..], &hasher.finalize()].concat();
        match tokens.get(Table::Transactions, &key) {
            Some(value) => Err(duplicate(value)),
            None => Ok(Self { key: Some(key) }),
        }
    }

    /// Remembers that it was done, and forgets some that are outdated.
    pub(super) fn done(self, tokens: &mut Tokens, now: UnixNanos, block: u64, canister: Option<&CanisterId>) {
        let Some(key) = self.key else { return };
        for _ in 0..FORGET_COUNT {
            let Some(oldest) = tokens.first_key(Table::Transactions) else { break };
            let created_at = oldest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            if created_at.saturating_add(WINDOW_NANOS + DRIFT_NANOS) >= now.get() {
                break;
            }
            tokens.remove(Table::Transactions, &oldest);
        }
        let value = [&block.to_be_bytes()[..], canister.map_or(&[], |id| id.as_slice())].concat();
        tokens.put(Table::Transactions, &key, value);
    }
}

fn duplicate(value: &[u8]) -> NotDone {
    let (block, canister) =
        value.split_first_chunk().map_or((0, &[][..]), |(block, rest)| (u64::from_be_bytes(*block), rest));
    let canister = (!canister.is_empty()).then(|| Principal::try_from_slice(canister).ok()).flatten();
    NotDone::Duplicate { block, canister }
}
