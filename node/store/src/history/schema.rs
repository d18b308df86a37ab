//! The tables, and how the file is opened.

use crate::error::StoreError;
use rusqlite::{Connection, ErrorCode};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

/// `MAIN` in ASCII: says whose database it is.
const APPLICATION: i32 = 0x4d41_494e;
const VERSION: i32 = 2;

/// An account is named once and a number elsewhere; entries are [`mains_ledger::Entry::encode`], readings
/// [`mains_ledger::CanisterAccount::encode`]. Readings outlive the journal that they were in: bills need them.
const TABLES: &str = "
    CREATE TABLE blocks (
        height      INTEGER PRIMARY KEY,
        time        INTEGER NOT NULL,
        digest      BLOB NOT NULL,
        root        BLOB NOT NULL,
        calls_count INTEGER NOT NULL,
        calls_bytes INTEGER NOT NULL,
        journal     BLOB NOT NULL,
        chain       BLOB NOT NULL
    ) STRICT;
    CREATE INDEX blocks_time ON blocks (time);
    CREATE TABLE journal (
        height   INTEGER NOT NULL,
        position INTEGER NOT NULL,
        entry    BLOB NOT NULL,
        PRIMARY KEY (height, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE accounts (
        number INTEGER PRIMARY KEY,
        name   TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE parties (
        account  INTEGER NOT NULL,
        height   INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (account, height, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE readings (
        canister BLOB NOT NULL,
        period   INTEGER NOT NULL,
        account  BLOB NOT NULL,
        PRIMARY KEY (canister, period)
    ) STRICT, WITHOUT ROWID;
";

/// Opens the file for writing, with tables.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // Derived data: a power cut may cost the newest rows, never the file.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    let transaction = connection.transaction()?;
    let number = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION, VERSION) => {}
        (0, 0) => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        _ => return Err(other_format()),
    }
    transaction.commit()?;
    Ok(connection)
}

/// Whether the file itself is of no use, as opposed to not being available now.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Renames the file to `*.corrupt` and removes what belongs to it.
pub(super) fn set_aside(path: &Path) -> Result<(), StoreError> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    fs::rename(path, beside(".corrupt")).map_err(StoreError::file("rename", path))?;
    for path in [beside("-wal"), beside("-shm")] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::file("remove", &path)(error)),
            _ => {}
        }
    }
    Ok(())
}

fn other_format() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
    rusqlite::Error::SqliteFailure(code, Some("another program's or release's database".into()))
}
