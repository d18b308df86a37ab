//! Blocks and money movements in SQLite, for bills and pages: derived from blocks, lost without harm, filled again by
//! replay.
//!
//! One writer ([`History`]), any number of readers ([`HistoryReader`]). Recording a height twice changes nothing. Each row
//! has the head of the journal's hash chain that the subnet certifies, and is chained to the one before by BLAKE3, so a copy
//! of the file shows what was changed in it.

mod reader;
mod schema;
#[cfg(test)]
mod tests;

use crate::error::StoreError;
use mains_ledger::{Account, Entry};
use mains_types::{Digest32, Height, UnixNanos};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use reader::{BlockRow, HistoryReader, Movement};

/// What one executed block did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: UnixNanos,
    /// Its digest.
    pub digest: Digest32,
    /// The state root after it.
    pub root: Digest32,
    /// Calls in it.
    pub calls_count: u32,
    /// Bytes of these calls.
    pub calls_bytes: u64,
    /// Head of the journal's hash chain after it, as certified under `/mains/journal`.
    pub journal: Digest32,
    /// What moved in the ledger.
    pub entries: Vec<Entry>,
}

/// Blocks forgotten in one transaction: others wait meanwhile.
const PRUNED_MAX: u32 = 256;
/// Accounts whose numbers are remembered.
const NUMBERS_MAX: usize = 1 << 16;

/// The history as its one writer sees it.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    connection: Connection,
    numbers: BTreeMap<Account, i64>,
}

impl History {
    /// Opens the database at `path`, creates it if need be. A file that is damaged, or of another format, is renamed to
    /// `*.corrupt` and a new one begun.
    ///
    /// # Errors
    /// [`StoreError::History`], [`StoreError::File`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = match schema::open(path) {
            Ok(connection) => connection,
            Err(error) if schema::is_damage(&error) => {
                tracing::warn!(path = %path.display(), %error, "set a damaged history aside and begin a new one");
                schema::set_aside(path)?;
                schema::open(path).map_err(StoreError::history(path))?
            }
            Err(error) => return Err(StoreError::history(path)(error)),
        };
        Ok(Self { path: path.to_owned(), connection, numbers: BTreeMap::new() })
    }

    /// A reader of the same file, for another thread.
    ///
    /// # Errors
    /// [`StoreError::History`].
    pub fn reader(&self) -> Result<HistoryReader, StoreError> {
        HistoryReader::open(&self.path)
    }

    /// Adds a block. Returns whether it was new; a height that is there already stays as it is.
    ///
    /// # Errors
    /// [`StoreError::History`]: nothing of the block was added.
    pub fn record(&mut self, block: &BlockRecord) -> Result<bool, StoreError> {
        self.record_all(std::slice::from_ref(block)).map(|count| count > 0)
    }

    /// Adds blocks in one transaction. Returns how many were new.
    ///
    /// # Errors
    /// [`StoreError::History`]: nothing was added.
    pub fn record_all(&mut self, blocks: &[BlockRecord]) -> Result<usize, StoreError> {
        let written = self.write(blocks);
        if written.is_err() || self.numbers.len() > NUMBERS_MAX {
            // Numbers that were given in a transaction that was undone may be given to others.
            self.numbers.clear();
        }
        written.map_err(StoreError::history(&self.path))
    }

    /// Renames the file to `*.corrupt`, if there is one: the next [`History::open`] begins a new one.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn set_aside(path: &Path) -> Result<(), StoreError> {
        if path.exists() { schema::set_aside(path) } else { Ok(()) }
    }

    /// Forgets blocks that are older than `time`, a bounded number at once; readings stay. Returns how many.
    ///
    /// # Errors
    /// [`StoreError::History`]: nothing was forgotten.
    pub fn prune(&mut self, time: UnixNanos) -> Result<usize, StoreError> {
        let removed = self.remove(time);
        if removed.is_err() {
            self.numbers.clear();
        }
        removed.map_err(StoreError::history(&self.path))
    }

    fn remove(&mut self, time: UnixNanos) -> rusqlite::Result<usize> {
        let transaction = self.connection.transaction()?;
        let last: Option<i64> = transaction.query_row(
            "SELECT max(height) FROM (SELECT height FROM blocks WHERE time < ?1 ORDER BY height LIMIT ?2)",
            params![integer(time.get()), PRUNED_MAX],
            |row| row.get(0),
        )?;
        let Some(last) = last else { return Ok(0) };
        let old: Vec<(i64, i64, Vec<u8>)> = transaction
            .prepare_cached("SELECT height, position, entry FROM journal WHERE height <= ?1")?
            .query_map([last], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (height, position, entry) in old {
            for account in Entry::decode(&entry).iter().flat_map(Entry::accounts) {
                let number = number(&transaction, &mut self.numbers, &account)?;
                transaction
                    .prepare_cached("DELETE FROM parties WHERE account = ?1 AND height = ?2 AND position = ?3")?
                    .execute(params![number, height, position])?;
            }
        }
        transaction.execute("DELETE FROM journal WHERE height <= ?1", [last])?;
        let count = transaction.execute("DELETE FROM blocks WHERE height <= ?1", [last])?;
        transaction.commit()?;
        Ok(count)
    }

    fn write(&mut self, blocks: &[BlockRecord]) -> rusqlite::Result<usize> {
        let transaction = self.connection.transaction()?;
        let mut count = 0;
        for block in blocks {
            count += usize::from(insert(&transaction, &mut self.numbers, block)?);
        }
        transaction.commit()?;
        Ok(count)
    }
}

/// Adds a block unless its height is there. Returns whether it was new.
fn insert(
    transaction: &Connection,
    numbers: &mut BTreeMap<Account, i64>,
    block: &BlockRecord,
) -> rusqlite::Result<bool> {
    let height = integer(block.height.get());
    let before: Option<Digest32> = transaction
        .prepare_cached("SELECT chain FROM blocks WHERE height = ?1")?
        .query_row([height - 1], |row| row.get(0))
        .optional()?;
    let BlockRecord { digest, root, calls_count, journal, .. } = block;
    let (time, bytes) = (integer(block.time.get()), integer(block.calls_bytes));
    let inserted = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO blocks (height, time, digest, root, calls_count, calls_bytes, journal, chain)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![height, time, digest, root, calls_count, bytes, journal, chain(before.as_ref(), block)])?;
    if inserted == 0 {
        return Ok(false);
    }
    for (position, entry) in (0i64..).zip(&block.entries) {
        transaction
            .prepare_cached("INSERT INTO journal (height, position, entry) VALUES (?1, ?2, ?3)")?
            .execute(params![height, position, entry.encode()])?;
        for account in entry.accounts() {
            let number = number(transaction, numbers, &account)?;
            transaction
                .prepare_cached("INSERT INTO parties (account, height, position) VALUES (?1, ?2, ?3)")?
                .execute(params![number, height, position])?;
        }
        if let Entry::Reading { canister, account } = entry {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO readings (canister, period, account) VALUES (?1, ?2, ?3)")?
                .execute(params![canister.as_slice(), integer(account.period), account.encode()])?;
        }
    }
    Ok(true)
}

/// The number of an account, given to it if it has none.
fn number(connection: &Connection, numbers: &mut BTreeMap<Account, i64>, account: &Account) -> rusqlite::Result<i64> {
    if let Some(number) = numbers.get(account) {
        return Ok(*number);
    }
    let name = account.to_string();
    connection.prepare_cached("INSERT OR IGNORE INTO accounts (name) VALUES (?1)")?.execute([&name])?;
    let number = connection
        .prepare_cached("SELECT number FROM accounts WHERE name = ?1")?
        .query_row([&name], |row| row.get(0))?;
    numbers.insert(*account, number);
    Ok(number)
}

/// A number as SQLite has them; heights and times stay below 2^63.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Chains a block to the row before it; a row without one (the first, or the first after a gap) begins a new chain.
fn chain(before: Option<&Digest32>, block: &BlockRecord) -> Digest32 {
    let mut hasher = blake3::Hasher::new_derive_key("mains 2026 history chain v2");
    hasher.update(before.unwrap_or(&[0; 32]));
    hasher.update(&block.height.get().to_le_bytes()).update(&block.time.get().to_le_bytes());
    hasher.update(&block.digest).update(&block.root).update(&block.journal);
    hasher.update(&block.calls_count.to_le_bytes()).update(&block.calls_bytes.to_le_bytes());
    *hasher.finalize().as_bytes()
}
