//! `mains node journal …`: everything that moved in the ledger, as a node kept it.

use crate::{
    args::{JournalCommand, Output},
    moment,
    terminal::{self, Colour},
};
use anyhow::{Context as _, Result, bail, ensure};
use mains_client::{Client, identity};
use mains_ledger::{Entry, bill::Bound};
use mains_operator::{
    NodeDir, RunFile, doctor,
    journal::{self, HistoryReader, Movement},
};
use mains_types::{Height, UnixNanos};
use serde::Serialize;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Entries read at a time.
const PAGE: usize = 10_000;
/// How long the node may take to write what was certified.
const WRITTEN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run(command: JournalCommand, output: Output) -> Result<()> {
    match command {
        JournalCommand::Export { dir, from, to } => export(&dir, from, to, output),
        JournalCommand::Audit { dir } => audit(&dir, output).await,
        JournalCommand::Rebuild { dir } => rebuild(&dir, output),
    }
}

fn rebuild(dir: &Path, output: Output) -> Result<()> {
    let from = journal::rebuild(dir)?;
    if output == Output::Json {
        terminal::json(&serde_json::json!({ "complete_from": from.next() }));
        return Ok(());
    }
    terminal::line(format_args!("the journal will hold everything after height {from}"));
    terminal::note(format_args!("It is filled when the node starts: mains node up --dir {}", dir.display()));
    Ok(())
}

/// Exports from one bound to another, both included.
fn export(dir: &Path, from: Option<String>, to: Option<String>, output: Output) -> Result<()> {
    let reader = journal::open(dir)?;
    let bound = |text: Option<String>, default: Height, is_end: bool| -> Result<Height> {
        Ok(match text.map(|text| moment::parse(&text)).transpose()? {
            None => default,
            Some(Bound::Height(height)) => height,
            Some(Bound::Time(time)) => match reader.block_at(time)? {
                Some(block) if is_end => block.height,
                Some(block) => {
                    if block.time < time {
                        block.height.next()
                    } else {
                        block.height
                    }
                }
                None if is_end => bail!("the journal begins later"),
                None => Height::ZERO,
            },
        })
    };
    let (mut next, to) = ((bound(from, Height::ZERO, false)?, 0), bound(to, Height::MAX, true)?);
    if output == Output::Csv {
        terminal::line("height,time,position,kind,from,to,canister,resource,quantity,cycles,reading");
    }
    loop {
        let page = reader.movements(next, to, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        next = (last.height, last.position + 1);
        for movement in &page {
            match output {
                Output::Csv => terminal::line(csv(movement)),
                _ => terminal::line(serde_json::to_string(&Line::of(movement))?),
            }
        }
    }
}

/// An entry as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    height: Height,
    time: UnixNanos,
    position: u64,
    #[serde(flatten)]
    entry: &'a Entry,
}

impl<'a> Line<'a> {
    fn of(movement: &'a Movement) -> Self {
        let Movement { height, time, position, entry } = movement;
        Self { height: *height, time: *time, position: *position, entry }
    }
}

/// An entry as comma-separated values; no field ever holds a comma or a quote.
fn csv(movement: &Movement) -> String {
    let Movement { height, time, position, entry } = movement;
    let rest = match entry {
        Entry::Transfer { from, to, amount, .. } => format!("transfer,{from},{to},,,,{amount},"),
        Entry::Charge { canister, resource, quantity, amount, reading } => {
            format!("charge,canister:{canister},income:{resource},{canister},{resource},{quantity},{amount},{reading}")
        }
        Entry::InCalls { canister, net } => format!("in_calls,canister:{canister},in_flight,{canister},,,{net},"),
        Entry::Reading { canister, account } => {
            format!("reading,,,{canister},,,{},{}", account.balance(), hex::encode(account.encode()))
        }
    };
    format!("{height},{},{position},{rest}", moment::show(*time))
}

/// What an audit found.
#[derive(Serialize)]
struct Audited {
    blocks: u64,
    newest_height: Option<Height>,
    journal_head: Option<String>,
    /// The height at which the head was compared with a certificate.
    certified_height: Option<Height>,
}

async fn audit(dir: &Path, output: Output) -> Result<()> {
    let reader = journal::open(dir)?;
    let certified_height = match doctor::running(&NodeDir::new(dir)) {
        Some(process) => Some(compare(&reader, &process).await?),
        None => None,
    };
    let blocks = reader.audit()?;
    let newest = reader.recent_blocks(1)?.pop();
    let found = Audited {
        blocks,
        newest_height: newest.as_ref().map(|row| row.height),
        journal_head: newest.map(|row| hex::encode(row.journal)),
        certified_height,
    };
    if output == Output::Json {
        terminal::json(&found);
        return Ok(());
    }
    let text = format!("{} the hash chain of {blocks} blocks holds", terminal::coloured(Colour::Green, "✓"));
    terminal::line(text);
    match found.certified_height {
        Some(height) => terminal::line(format_args!("and ends in what the subnet certified, at height {height}")),
        None => terminal::note("The node does not run: its head was not compared with a certificate."),
    }
    Ok(())
}

/// Compares the journal of a running node with what the subnet certified; returns the height.
async fn compare(reader: &HistoryReader, process: &RunFile) -> Result<Height> {
    let root_key = hex::decode(&process.root_key).context("the node's run file has no root key")?;
    let client = Client::trusting(&process.api, identity::anonymous(), &root_key)?;
    let (height, head) = client.journal_head().await?;
    let began = Instant::now();
    let row = loop {
        if let Some(row) = reader.block(height)? {
            break row;
        }
        ensure!(began.elapsed() < WRITTEN, "the journal has no height {height}, which is certified");
        tokio::time::sleep(PAUSE).await;
    };
    ensure!(row.journal[..] == head[..], "the journal is not what the subnet certified at height {height}");
    Ok(height)
}
