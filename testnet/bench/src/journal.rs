//! How a node's journal fares with many entries: `mains-bench --journal COUNT`.

use crate::report::{Line, time};
use anyhow::Result;
use mains_ledger::{Account, CanisterAccount, Entry, Resource, TransferId, journal};
use mains_store::{BlockRecord, History, HistoryReader};
use mains_types::{CanisterId, Cycles, Height, Principal, UnixNanos, ids::canister_id};
use std::time::{Duration, Instant};

/// Entries of a block, and blocks of a transaction.
const ENTRIES: u64 = 200;
const BLOCKS: u64 = 100;
/// Canisters and members; half of all entries are about the first hundred.
const CANISTERS: u64 = 10_000;
const MEMBERS: u64 = 1_000;
/// Queries of each kind.
const QUERIES: u64 = 2_000;
/// Entries that a query asks for at most.
const PAGE: usize = 100;

pub(crate) fn measure(count: u64) -> Result<Vec<Line>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("history.sqlite");
    let mut history = History::open(&path)?;
    let blocks = count.div_ceil(ENTRIES);
    let (mut numbers, mut head) = (Numbers(1), [0; 32]);
    let began = Instant::now();
    for first in (0..blocks).step_by(BLOCKS as usize) {
        let some: Vec<BlockRecord> = (first..(first + BLOCKS).min(blocks))
            .map(|height| {
                let entries: Vec<Entry> = (0..ENTRIES).map(|place| numbers.entry(height, place)).collect();
                head = journal::append(&head, Height(height), &entries);
                block(height, head, entries)
            })
            .collect();
        history.record_all(&some)?;
    }
    let writing = began.elapsed();
    let reader = history.reader()?;
    drop(history);
    let bytes: u64 = std::fs::read_dir(directory.path())?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .collect::<Result<Vec<_>>>()?
        .iter()
        .sum();
    let entries = blocks * ENTRIES;
    let mut lines = vec![
        Line {
            name: format!("journal of {entries} entries in {blocks} blocks: written"),
            figure: format!("{:.2} us an entry", writing.as_secs_f64() * 1e6 / entries as f64),
            floor: format!("{} in all", time(writing)),
            ratio: "-".into(),
            target: "-",
        },
        Line {
            name: "the same on disk".into(),
            figure: format!("{:.1} bytes an entry", bytes as f64 / entries as f64),
            floor: format!("{:.2} GB in all", bytes as f64 / 1e9),
            ratio: "-".into(),
            target: "-",
        },
    ];
    let busy = |numbers: &mut Numbers| Account::Canister(canister_id(numbers.below(100)));
    let quiet = |numbers: &mut Numbers| Account::Canister(canister_id(100 + numbers.below(CANISTERS - 100)));
    let member = |numbers: &mut Numbers| member_account(numbers.below(MEMBERS));
    lines.push(query(&reader, "100 entries of a busy canister, from any height", blocks, &mut numbers, busy)?);
    lines.push(query(
        &reader,
        "all entries of a quiet canister in a tenth of the blocks",
        blocks,
        &mut numbers,
        quiet,
    )?);
    lines.push(query(&reader, "100 entries of a member, from any height", blocks, &mut numbers, member)?);
    lines.push(times("all readings of a canister", QUERIES, |_| {
        let canister = canister_id(numbers.below(100));
        Ok(reader.readings(&canister, u64::MAX, 4_096).map(|readings| readings.len())?)
    })?);
    lines.push(times("a page of everything, from any height", QUERIES / 10, |_| {
        let from = (Height(numbers.below(blocks)), 0);
        Ok(reader.movements(from, Height::MAX, 1_000).map(|movements| movements.len())?)
    })?);
    Ok(lines)
}

fn query(
    reader: &HistoryReader,
    name: &str,
    blocks: u64,
    numbers: &mut Numbers,
    account: impl Fn(&mut Numbers) -> Account,
) -> Result<Line> {
    times(name, QUERIES, |_| {
        let from = numbers.below(blocks);
        let heights = Height(from)..=Height(from + blocks / 10);
        Ok(reader.journal(&account(numbers), heights, PAGE)?.len())
    })
}

/// Median and 99th percentile of some queries, and what they found.
fn times(name: &str, count: u64, mut query: impl FnMut(u64) -> Result<usize>) -> Result<Line> {
    let (mut each, mut found) = (Vec::new(), 0);
    for index in 0..count {
        let began = Instant::now();
        found += query(index)?;
        each.push(began.elapsed());
    }
    each.sort_unstable();
    let at = |part: usize| each.get(each.len() * part / 100).copied().unwrap_or(Duration::ZERO);
    Ok(Line {
        name: format!("{name}, p50"),
        figure: time(at(50)),
        floor: format!("p99 {}", time(at(99))),
        ratio: format!("{:.1} found", found as f64 / count as f64),
        target: "-",
    })
}

fn block(height: u64, journal: [u8; 32], entries: Vec<Entry>) -> BlockRecord {
    BlockRecord {
        height: Height(height),
        time: UnixNanos(height * UnixNanos::SECOND),
        digest: [1; 32],
        root: [2; 32],
        calls_count: 100,
        calls_bytes: 30_000,
        journal,
        entries,
    }
}

fn member_account(number: u64) -> Account {
    Account::member(Principal::self_authenticating(number.to_be_bytes()))
}

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }

    fn canister(&mut self) -> CanisterId {
        let among = if self.below(2) == 0 { 100 } else { CANISTERS };
        canister_id(self.below(among))
    }

    /// Of ten entries eight are charges, one is a transfer, one cycles in calls; now and then a reading.
    fn entry(&mut self, height: u64, place: u64) -> Entry {
        let canister = self.canister();
        let quantity = u128::from(self.below(1 << 30));
        match (place % 10, self.below(500)) {
            (0, _) => Entry::Transfer {
                id: TransferId(height * ENTRIES + place),
                from: member_account(self.below(MEMBERS)),
                to: Account::Canister(canister),
                amount: Cycles(quantity << 20),
            },
            (1, 0) => {
                let account = CanisterAccount { period: height, balance: quantity << 30, ..Default::default() };
                Entry::Reading { canister, account: Box::new(account) }
            }
            (1, _) => Entry::InCalls { canister, net: -(quantity as i128) },
            _ => Entry::Charge {
                canister,
                resource: Resource::ALL[self.below(Resource::COUNT as u64) as usize],
                quantity,
                amount: Cycles(quantity * 4 / 13),
                reading: quantity << 24,
            },
        }
    }
}
