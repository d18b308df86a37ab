//! What pages and bills ask the history for.

use super::{BlockRecord, chain, integer};
use crate::error::StoreError;
use mains_ledger::{Account, CanisterAccount, Entry};
use mains_types::{CanisterId, Digest32, Height, UnixNanos};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// One block as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRow {
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
    /// Head of the journal's hash chain after it, as the subnet certified it.
    pub journal: Digest32,
    /// Ties this row to the one before.
    pub chain: Digest32,
}

/// An entry of the journal with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The block's height.
    pub height: Height,
    /// The block's time.
    pub time: UnixNanos,
    /// Its place in the block's journal, from 0.
    pub position: u64,
    /// What moved.
    pub entry: Entry,
}

/// Reads a history while its writer writes.
#[derive(Debug)]
pub struct HistoryReader {
    path: PathBuf,
    connection: Mutex<Connection>,
}

const COLUMNS: &str = "height, time, digest, root, calls_count, calls_bytes, journal, chain";

impl HistoryReader {
    /// Opens a database that [`super::History::open`] has made.
    ///
    /// # Errors
    /// [`StoreError::History`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            Ok(connection)
        };
        let connection = open().map_err(StoreError::history(path))?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// The newest `limit` blocks, newest first.
    ///
    /// # Errors
    /// [`StoreError::History`].
    pub fn recent_blocks(&self, limit: usize) -> Result<Vec<BlockRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM blocks ORDER BY height DESC LIMIT ?1");
        self.read(|connection| connection.prepare_cached(&sql)?.query_map([integer(limit as u64)], block)?.collect())
    }

    /// The block at `height`.
    ///
    /// # Errors
    /// [`StoreError::History`].
    pub fn block(&self, height: Height) -> Result<Option<BlockRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM blocks WHERE height = ?1");
        self.read(|connection| connection.prepare_cached(&sql)?.query_row([integer(height.get())], block).optional())
    }

    /// The newest block that is not later than `time`: where a bill for a date begins.
    ///
    /// # Errors
    /// [`StoreError::History`].
    pub fn block_at(&self, time: UnixNanos) -> Result<Option<BlockRow>, StoreError> {
        let time = integer(time.get());
        let sql = format!("SELECT {COLUMNS} FROM blocks WHERE time <= ?1 ORDER BY time DESC LIMIT 1");
        self.read(|connection| connection.prepare_cached(&sql)?.query_row([time], block).optional())
    }

    /// What concerned an account between two heights, both included: at most `limit` entries, oldest first.
    ///
    /// # Errors
    /// [`StoreError::History`], [`StoreError::HistoryDamaged`].
    pub fn journal(
        &self,
        account: &Account,
        heights: RangeInclusive<Height>,
        limit: usize,
    ) -> Result<Vec<(Height, Entry)>, StoreError> {
        let (from, to) = (integer(heights.start().get()), integer(heights.end().get()));
        if from > to {
            return Ok(Vec::new());
        }
        let rows: Vec<(u64, Vec<u8>)> = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT height, entry FROM parties JOIN journal USING (height, position)
                 WHERE account = (SELECT number FROM accounts WHERE name = ?1) AND height BETWEEN ?2 AND ?3
                 ORDER BY height, position LIMIT ?4",
            )?;
            let rows = statement.query_map(params![account.to_string(), from, to, integer(limit as u64)], |row| {
                Ok((number(row, 0)?, row.get(1)?))
            })?;
            rows.collect()
        })?;
        rows.into_iter().map(|(height, bytes)| Ok((Height(height), self.decode(height, &bytes)?))).collect()
    }

    /// Everything that moved from a height and a place in its block on, oldest first, at most `limit` entries.
    ///
    /// # Errors
    /// [`StoreError::History`], [`StoreError::HistoryDamaged`].
    pub fn movements(&self, from: (Height, u64), to: Height, limit: usize) -> Result<Vec<Movement>, StoreError> {
        let (height, position, to) = (integer(from.0.get()), integer(from.1), integer(to.get()));
        let rows: Vec<(u64, u64, u64, Vec<u8>)> = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT height, time, position, entry FROM journal JOIN blocks USING (height)
                 WHERE (height, position) >= (?1, ?2) AND height <= ?3 ORDER BY height, position LIMIT ?4",
            )?;
            let rows = statement.query_map(params![height, position, to, integer(limit as u64)], |row| {
                Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?, row.get(3)?))
            })?;
            rows.collect()
        })?;
        let movement = |(height, time, position, bytes): (u64, u64, u64, Vec<u8>)| {
            let entry = self.decode(height, &bytes)?;
            Ok(Movement { height: Height(height), time: UnixNanos(time), position, entry })
        };
        rows.into_iter().map(movement).collect()
    }

    /// The newest `limit` readings of a canister at the ends of periods before `period`, oldest first.
    ///
    /// # Errors
    /// [`StoreError::History`].
    pub fn readings(
        &self,
        canister: &CanisterId,
        period: u64,
        limit: usize,
    ) -> Result<Vec<CanisterAccount>, StoreError> {
        let newest: Vec<Vec<u8>> = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT account FROM readings WHERE canister = ?1 AND period < ?2 ORDER BY period DESC LIMIT ?3",
            )?;
            let parameters = params![canister.as_slice(), integer(period), integer(limit as u64)];
            statement.query_map(parameters, |row| row.get(0))?.collect()
        })?;
        // One that is damaged ends the chain, as one that is missing does.
        let mut readings: Vec<CanisterAccount> =
            newest.iter().map_while(|bytes| CanisterAccount::decode(bytes)).collect();
        readings.reverse();
        Ok(readings)
    }

    /// Recomputes the chain of all rows, and the journal's wherever the block before is there. Returns how many there are.
    ///
    /// # Errors
    /// [`StoreError::HistoryDamaged`] with the first height that is not what was written, [`StoreError::History`].
    pub fn audit(&self) -> Result<u64, StoreError> {
        let (mut count, mut before, mut next) = (0, None::<BlockRow>, Some(Height(0)));
        while let Some(from) = next {
            let sql = format!("SELECT {COLUMNS} FROM blocks WHERE height >= ?1 ORDER BY height LIMIT 1");
            let row = self
                .read(|connection| connection.prepare_cached(&sql)?.query_row([integer(from.get())], block).optional());
            let Some(row) = row? else { break };
            let entries: Vec<Vec<u8>> = self.read(|connection| {
                let mut statement =
                    connection.prepare_cached("SELECT entry FROM journal WHERE height = ?1 ORDER BY position")?;
                statement.query_map([integer(row.height.get())], |row| row.get(0))?.collect()
            })?;
            let damaged = || StoreError::HistoryDamaged { path: self.path.clone(), height: row.height.get() };
            let entries = entries.iter().map(|bytes| self.decode(row.height.get(), bytes));
            let record = BlockRecord {
                height: row.height,
                time: row.time,
                digest: row.digest,
                root: row.root,
                calls_count: row.calls_count,
                calls_bytes: row.calls_bytes,
                journal: row.journal,
                entries: entries.collect::<Result<_, _>>()?,
            };
            let linked = before.as_ref().filter(|before| before.height.next() == row.height);
            let is = |before: Option<&Digest32>| chain(before, &record) == row.chain;
            if linked.is_some_and(|before| {
                mains_ledger::journal::append(&before.journal, row.height, &record.entries) != row.journal
            }) {
                return Err(damaged());
            }
            // A row may begin a chain although there is one before it, which was missing when it was written. The row
            // before the oldest may have been pruned: then the chain is taken up as it stands.
            let is_oldest = before.is_none() && row.height > Height(0);
            if !is_oldest && !linked.is_some_and(|before| is(Some(&before.chain))) && !is(None) {
                return Err(damaged());
            }
            (count, next) = (count + 1, row.height.get().checked_add(1).map(Height));
            before = Some(row);
        }
        Ok(count)
    }

    fn decode(&self, height: u64, bytes: &[u8]) -> Result<Entry, StoreError> {
        Entry::decode(bytes).ok_or_else(|| StoreError::HistoryDamaged { path: self.path.clone(), height })
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection: MutexGuard<'_, Connection> =
            self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        query(&connection).map_err(StoreError::history(&self.path))
    }
}

fn block(row: &Row<'_>) -> rusqlite::Result<BlockRow> {
    Ok(BlockRow {
        height: Height(number(row, 0)?),
        time: UnixNanos(number(row, 1)?),
        digest: row.get(2)?,
        root: row.get(3)?,
        calls_count: row.get(4)?,
        calls_bytes: number(row, 5)?,
        journal: row.get(6)?,
        chain: row.get(7)?,
    })
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}
