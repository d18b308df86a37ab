use super::*;
use mains_ledger::{Account, CanisterAccount, Resource, TransferId};
use mains_types::{Cycles, Principal, ids::canister_id};
use std::{fs, ops::RangeInclusive};

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.sqlite");
    (directory, path)
}

fn charge(index: u64, amount: u128) -> Entry {
    let (canister, quantity) = (canister_id(index), u128::MAX);
    Entry::Charge { canister, resource: Resource::Instructions, quantity, amount: Cycles(amount), reading: quantity }
}

fn block(height: u64, entries: Vec<Entry>) -> BlockRecord {
    BlockRecord {
        height: Height(height),
        time: UnixNanos(1_000 + height * 10),
        digest: [height as u8; 32],
        root: [!(height as u8); 32],
        calls_count: 3,
        calls_bytes: 300,
        journal: [0; 32],
        entries,
    }
}

/// Blocks from height 0 on whose journal heads are chained as the ledger chains them.
fn chain_of(entries: impl IntoIterator<Item = Vec<Entry>>) -> Vec<BlockRecord> {
    let mut head = [0; 32];
    let record = |(height, entries): (u64, Vec<Entry>)| {
        head = mains_ledger::journal::append(&head, Height(height), &entries);
        BlockRecord { journal: head, ..block(height, entries) }
    };
    (0..).zip(entries).map(record).collect()
}

fn all() -> RangeInclusive<Height> {
    Height(0)..=Height::MAX
}

#[test]
fn blocks_come_back_newest_first() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    for height in 0..5 {
        assert!(history.record(&block(height, Vec::new())).unwrap());
    }
    let reader = history.reader().unwrap();
    let heights: Vec<u64> = reader.recent_blocks(3).unwrap().iter().map(|row| row.height.get()).collect();
    assert_eq!(heights, [4, 3, 2]);
    let row = reader.block(Height(4)).unwrap().unwrap();
    assert_eq!((row.time, row.digest, row.root), (UnixNanos(1_040), [4; 32], [!4; 32]));
    assert_eq!((row.calls_count, row.calls_bytes), (3, 300));
    assert_eq!(reader.block(Height(5)).unwrap(), None);
}

#[test]
fn recording_a_height_twice_changes_nothing() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    assert!(history.record(&block(1, vec![charge(7, 5)])).unwrap());
    assert!(!history.record(&block(1, vec![charge(7, 99), charge(8, 1)])).unwrap());
    let reader = history.reader().unwrap();
    let journal = reader.journal(&Account::Canister(canister_id(7)), all(), 10).unwrap();
    assert_eq!(journal, [(Height(1), charge(7, 5))]);
    assert!(reader.journal(&Account::Canister(canister_id(8)), all(), 10).unwrap().is_empty());
}

#[test]
fn a_journal_has_the_account_s_entries_between_two_heights() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    let (canister, member) = (Account::Canister(canister_id(7)), Account::member(Principal::anonymous()));
    let transfer =
        |id: u64| Entry::Transfer { id: TransferId(id), from: member, to: canister, amount: Cycles(u128::MAX) };
    let in_calls = Entry::InCalls { canister: canister_id(7), net: -3 };
    let blocks = [
        block(1, vec![transfer(0), charge(7, 5)]),
        block(2, vec![charge(8, 1)]),
        block(3, vec![transfer(1), charge(7, 6), in_calls.clone()]),
    ];
    assert_eq!(history.record_all(&blocks).unwrap(), 3);
    let reader = history.reader().unwrap();
    let entries = |account: &Account, from: u64, to: u64| -> Vec<Entry> {
        let journal = reader.journal(account, Height(from)..=Height(to), 100).unwrap();
        journal.into_iter().map(|(_, entry)| entry).collect()
    };
    assert_eq!(entries(&canister, 0, 9), [transfer(0), charge(7, 5), transfer(1), charge(7, 6), in_calls]);
    assert_eq!(entries(&canister, 2, 2), []);
    assert_eq!(entries(&canister, 3, 1), []);
    assert_eq!(entries(&member, 3, 3), [transfer(1)]);
    assert_eq!(reader.journal(&canister, all(), 2).unwrap().len(), 2);
}

#[test]
fn the_block_at_a_time_is_the_newest_not_later() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    history.record_all(&[block(1, vec![]), block(2, vec![]), block(3, vec![])]).unwrap();
    let reader = history.reader().unwrap();
    let height = |time: u64| reader.block_at(UnixNanos(time)).unwrap().map(|row| row.height.get());
    assert_eq!([height(1_009), height(1_010), height(1_029), height(u64::MAX)], [None, Some(1), Some(2), Some(3)]);
}

#[test]
fn a_history_survives_its_writer() {
    let (_directory, path) = place();
    History::open(&path).unwrap().record(&block(1, vec![charge(7, 5)])).unwrap();
    let history = History::open(&path).unwrap();
    assert_eq!(history.reader().unwrap().recent_blocks(9).unwrap().len(), 1);
}

#[test]
fn a_damaged_or_foreign_file_is_set_aside_and_a_new_one_begun() {
    for content in [b"not a database, but long enough to be looked at as one".repeat(100), vec![0; 4096]] {
        let (_directory, path) = place();
        fs::write(&path, &content).unwrap();
        let mut history = History::open(&path).unwrap();
        assert!(history.record(&block(1, Vec::new())).unwrap());
        assert_eq!(fs::read(path.with_extension("sqlite.corrupt")).unwrap(), content);
    }
    let (_directory, path) = place();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE x (y); PRAGMA user_version = 7;").unwrap();
    assert!(History::open(&path).unwrap().record(&block(1, Vec::new())).unwrap());
}

#[test]
fn a_gap_does_not_stop_recording_or_auditing() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    let after = |height: u64| BlockRecord { journal: [9; 32], ..block(height, vec![]) };
    let gap = BlockRecord { entries: vec![charge(7, 1)], ..after(1_000) };
    history.record_all(&[block(0, vec![]), block(1, vec![]), gap, after(1_001)]).unwrap();
    assert_eq!(history.reader().unwrap().audit().unwrap(), 4);
}

#[test]
fn a_gap_that_is_filled_later_is_no_damage() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    let blocks = chain_of((0..5).map(|_| vec![charge(7, 5)]));
    for height in [0, 1, 3, 4, 2] {
        history.record(&blocks[height]).unwrap();
    }
    assert_eq!(history.reader().unwrap().audit().unwrap(), 5);
}

#[test]
fn an_audit_names_the_first_height_that_was_changed() {
    for (sql, height) in [
        ("UPDATE blocks SET calls_count = 4 WHERE height = 2", 2),
        ("UPDATE journal SET entry = (SELECT entry FROM journal WHERE height = 2) WHERE height = 1", 1),
        ("UPDATE blocks SET journal = zeroblob(32) WHERE height = 2", 2),
        ("DELETE FROM journal WHERE height = 3", 3),
    ] {
        let (_directory, path) = place();
        let mut history = History::open(&path).unwrap();
        history.record_all(&chain_of((0..5).map(|height| vec![charge(7, height)]))).unwrap();
        assert_eq!(history.reader().unwrap().audit().unwrap(), 5);
        history.connection.execute(sql, []).unwrap();
        let error = history.reader().unwrap().audit().unwrap_err();
        assert!(matches!(error, StoreError::HistoryDamaged { height: found, .. } if found == height), "{sql}");
    }
}

#[test]
fn pruning_forgets_old_blocks_whole_but_no_readings() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    let canister = canister_id(7);
    let reading = |period: u64| {
        let account = Box::new(CanisterAccount { period, balance: 5, ..CanisterAccount::default() });
        Entry::Reading { canister, account }
    };
    let entries = (0..10).map(|height| vec![charge(7, 5), reading(height)]);
    history.record_all(&chain_of(entries)).unwrap();
    assert_eq!(history.prune(UnixNanos(1_055)).unwrap(), 6);
    assert_eq!(history.prune(UnixNanos(1_055)).unwrap(), 0);
    let reader = history.reader().unwrap();
    assert_eq!(reader.audit().unwrap(), 4);
    assert_eq!(reader.journal(&Account::Canister(canister), all(), 100).unwrap().len(), 8);
    let parties: i64 = history.connection.query_row("SELECT count(*) FROM parties", [], |row| row.get(0)).unwrap();
    assert_eq!(parties, 8);
    let periods = |before: u64, limit: usize| -> Vec<u64> {
        let readings = reader.readings(&canister, before, limit).unwrap();
        readings.iter().map(|account| account.period).collect()
    };
    assert_eq!(periods(4, 100), [0, 1, 2, 3]);
    assert_eq!(periods(9, 2), [7, 8], "the newest, oldest first");
    assert!(reader.readings(&canister_id(8), 9, 100).unwrap().is_empty());
}

#[test]
fn everything_that_moved_can_be_read_in_pages() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    history.record_all(&chain_of((0..4).map(|height| vec![charge(7, height), charge(8, height)]))).unwrap();
    let reader = history.reader().unwrap();
    let mut seen = Vec::new();
    let mut next = (Height(1), 0);
    loop {
        let page = reader.movements(next, Height(2), 3).unwrap();
        let Some(last) = page.last() else { break };
        next = (last.height, last.position + 1);
        seen.extend(page.into_iter().map(|movement| (movement.height.get(), movement.position, movement.time.get())));
    }
    assert_eq!(seen, [(1, 0, 1_010), (1, 1, 1_010), (2, 0, 1_020), (2, 1, 1_020)]);
}

#[test]
fn a_damaged_entry_is_an_error_with_its_height() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    history.record(&block(1, vec![charge(7, 5)])).unwrap();
    history.connection.execute("UPDATE journal SET entry = x'ff'", []).unwrap();
    let error = history.reader().unwrap().journal(&Account::Canister(canister_id(7)), all(), 9).unwrap_err();
    assert!(matches!(error, StoreError::HistoryDamaged { height: 1, .. }));
}

#[test]
fn what_finds_no_room_is_undone_whole_and_written_when_there_is_room() {
    let (_directory, path) = place();
    let mut history = History::open(&path).unwrap();
    assert!(history.record(&block(0, vec![charge(0, 1)])).unwrap());
    let pages: i64 = history.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let room = |history: &History, pages: i64| {
        history.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    room(&history, pages);
    let crowd: Vec<Entry> = (1..400).map(|index| charge(index, 1)).collect();
    let error = history.record(&block(1, crowd.clone())).unwrap_err();
    assert!(error.may_pass(), "{error}");
    assert_eq!(history.reader().unwrap().block(Height(1)).unwrap(), None);
    room(&history, 1 << 20);
    // Others come first now: numbers that were given to the crowd are not theirs.
    assert!(history.record(&block(1, crowd.into_iter().rev().collect())).unwrap());
    let reader = history.reader().unwrap();
    for index in [0, 1, 200, 399] {
        let account = Account::Canister(canister_id(index));
        assert_eq!(reader.journal(&account, all(), 9).unwrap().len(), 1, "canister {index}");
    }
}
