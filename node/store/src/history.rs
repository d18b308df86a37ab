//! Blocks and money movements in SQLite, for bills and pages: derived from blocks, lost without harm, filled again by
//! replay.
//!
//! One writer ([`History`]), any number of readers ([`HistoryReader`]). Recording a height twice changes nothing. Each
//! row is chained to the one before by BLAKE3, so a copy of the file shows what was changed in it.

mod reader;
mod schema;
#[cfg(test)]
mod tests;

use crate::error::StoreError;
use mains_ledger::Entry;
use mains_types::{Digest32, Height, UnixNanos};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};

pub use reader::{BlockRow, HistoryReader};

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
    /// What moved in the ledger.
    pub entries: Vec<Entry>,
}

/// The history as its one writer sees it.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    connection: Connection,
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
        Ok(Self { path: path.to_owned(), connection })
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
        self.write(blocks).map_err(StoreError::history(&self.path))
    }

    /// Forgets blocks below `height`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError::History`]: nothing was forgotten.
    pub fn prune(&mut self, height: Height) -> Result<usize, StoreError> {
        let mut prune = || {
            let transaction = self.connection.transaction()?;
            transaction.execute("DELETE FROM parties WHERE height < ?1", [integer(height.get())])?;
            transaction.execute("DELETE FROM journal WHERE height < ?1", [integer(height.get())])?;
            let count = transaction.execute("DELETE FROM blocks WHERE height < ?1", [integer(height.get())])?;
            transaction.commit()?;
            Ok(count)
        };
        prune().map_err(StoreError::history(&self.path))
    }

    fn write(&mut self, blocks: &[BlockRecord]) -> rusqlite::Result<usize> {
        let transaction = self.connection.transaction()?;
        let mut count = 0;
        {
            let mut previous = transaction.prepare_cached("SELECT chain FROM blocks WHERE height = ?1")?;
            let mut insert_block = transaction.prepare_cached(
                "INSERT OR IGNORE INTO blocks (height, time, digest, root, calls_count, calls_bytes, chain)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            let mut insert_entry =
                transaction.prepare_cached("INSERT INTO journal (height, position, entry) VALUES (?1, ?2, ?3)")?;
            let mut insert_party =
                transaction.prepare_cached("INSERT INTO parties (account, height, position) VALUES (?1, ?2, ?3)")?;
            for block in blocks {
                let height = integer(block.height.get());
                let entries: Vec<String> = block.entries.iter().map(encode).collect::<rusqlite::Result<_>>()?;
                let before: Option<Digest32> = previous.query_row([height - 1], |row| row.get(0)).optional()?;
                let chain = chain(before.as_ref(), block, entries.iter().map(String::as_str));
                let (digest, root) = (block.digest, block.root);
                let (time, bytes) = (integer(block.time.get()), integer(block.calls_bytes));
                if insert_block.execute(params![height, time, digest, root, block.calls_count, bytes, chain])? == 0 {
                    continue;
                }
                count += 1;
                for (position, (entry, text)) in (0i64..).zip(block.entries.iter().zip(&entries)) {
                    insert_entry.execute(params![height, position, text])?;
                    for account in entry.accounts() {
                        insert_party.execute(params![account.to_string(), height, position])?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(count)
    }
}

/// A number as SQLite has them; heights and times stay below 2^63.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn encode(entry: &Entry) -> rusqlite::Result<String> {
    serde_json::to_string(entry).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Chains a block to the row before it; a row without one (the first, or the first after a gap) begins a new chain.
fn chain<'a>(before: Option<&Digest32>, block: &BlockRecord, entries: impl Iterator<Item = &'a str>) -> Digest32 {
    let mut hasher = blake3::Hasher::new_derive_key("mains 2026 history chain v1");
    hasher.update(before.unwrap_or(&[0; 32]));
    hasher.update(&block.height.get().to_le_bytes()).update(&block.time.get().to_le_bytes());
    hasher.update(&block.digest).update(&block.root);
    hasher.update(&block.calls_count.to_le_bytes()).update(&block.calls_bytes.to_le_bytes());
    for entry in entries {
        hasher.update(&(entry.len() as u64).to_le_bytes()).update(entry.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
