//! What checkpoints cost: `cargo run --release -p mains-store --example checkpoints [mebibytes ...]`.
//!
//! Prints time and bytes of a checkpoint for some numbers of pages that changed since the one before, beside what writing the
//! same bytes to a file and syncing it takes, and how long a restart takes.

#![allow(clippy::print_stdout, reason = "it is there to print")]

use mains_state::{
    Canister, CheckpointStore as _, Code, Exports, Genesis, Heap, Memo, PAGE_BYTES, Settings, State, checkpoint,
};
use mains_store::FileCheckpoints;
use mains_types::{Principal, UnixNanos, ids::canister_id};
use std::{
    collections::BTreeMap,
    error::Error,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn Error>> {
    let asked: Vec<u64> = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<_, _>>()?;
    let sizes = if asked.is_empty() { vec![1, 1_024] } else { asked };
    println!("state MiB | pages changed | objects | bytes written | time | same bytes to one file");
    sizes.into_iter().try_for_each(measure)
}

fn measure(mebibytes: u64) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let place = directory.path().join("checkpoints");
    let store = FileCheckpoints::open(&place)?;
    let (mut state, mut memo) = (state(mebibytes), Memo::default());
    let pages = mebibytes << 8;
    let first = save(mebibytes, pages, &store, &state, &mut memo, directory.path())?;
    for changed in [0, 1, 100, 10_000].into_iter().filter(|changed| *changed < pages) {
        state = next(&state, pages, changed);
        save(mebibytes, changed, &store, &state, &mut memo, directory.path())?;
    }
    let kept = store.bytes();
    drop(store);
    let began = Instant::now();
    let store = FileCheckpoints::open(&place)?;
    let opened = began.elapsed();
    let again = checkpoint::newest(&store, &mut |_, error| println!("damaged: {error}"))?.ok_or("no checkpoint")?;
    let read = began.elapsed();
    if again.root() != state.root() {
        return Err("another state came back".into());
    }
    let rate = first as f64 / 1e6 / read.as_secs_f64();
    println!(
        "{mebibytes} MiB: restart {read:.2?} (opening {opened:.2?}), {rate:.0} MB/s; {} MB on disk, {} checkpoints",
        kept / 1_000_000,
        store.manifests()?.len()
    );
    Ok(())
}

fn save(
    mebibytes: u64,
    changed: u64,
    store: &FileCheckpoints,
    state: &State,
    memo: &mut Memo,
    directory: &Path,
) -> Result<u64, Box<dyn Error>> {
    let began = Instant::now();
    let saved = checkpoint::save(store, state, memo)?;
    let took = began.elapsed();
    let floor = floor(directory, saved.bytes)?;
    println!("{mebibytes} | {changed} | {} | {} | {took:.2?} | {floor:.2?}", saved.objects, saved.bytes);
    Ok(saved.bytes)
}

/// How long it takes to write so many bytes to a file and sync it.
fn floor(directory: &Path, bytes: u64) -> Result<Duration, Box<dyn Error>> {
    let path = directory.join("floor");
    let block = vec![7; 1 << 20];
    let began = Instant::now();
    let mut file = std::fs::File::create(&path)?;
    for from in (0..bytes).step_by(block.len()) {
        file.write_all(&block[..(bytes - from).min(block.len() as u64) as usize])?;
    }
    file.sync_all()?;
    let took = began.elapsed();
    std::fs::remove_file(path)?;
    Ok(took)
}

fn state(mebibytes: u64) -> State {
    let mut state = State::genesis(&Genesis::rehearsal([Principal::anonymous()]));
    let mut heap = Heap { bytes: mebibytes << 20, ..Heap::default() };
    let mut bytes = vec![0; PAGE_BYTES];
    for page in 0..mebibytes << 8 {
        blake3::Hasher::new().update(&page.to_le_bytes()).finalize_xof().fill(&mut bytes);
        heap.pages.write(page * PAGE_BYTES as u64, &bytes);
    }
    let mut canister = Canister::new(canister_id(0x100), Settings::default(), state.time);
    let module = std::sync::Arc::new(vec![7; 300_000].into());
    canister.code = Some(Code::new(module, [3; 32], heap, BTreeMap::new(), Exports::default()));
    state.insert_canister(canister);
    next(&state, 1, 0)
}

/// The state a height later, with so many pages changed, spread evenly.
fn next(state: &State, pages: u64, changed: u64) -> State {
    let mut state = state.clone();
    let height = state.height.next();
    let canister = state.canister_mut(&canister_id(0x100)).expect("it is there");
    for number in 0..changed {
        let page = number * pages / changed;
        let heap = &mut canister.code.as_mut().expect("it has code").heap;
        heap.pages.write(page * PAGE_BYTES as u64 + 8, &height.get().to_le_bytes());
    }
    state.seal(height, UnixNanos(1 + height.get()), [0; 32]);
    state
}
