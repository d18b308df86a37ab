//! Clients that append, pay and read, and write down what they were told.

use super::{
    ChaosError, Draw,
    canisters::{ENTRIES_MAX, Kind},
    history::{Entry, History, Operation, Reading},
};
use crate::Testnet;
use mains_client::{Client, ClientError, identity, management::Install};
use mains_types::{CanisterId, Cycles};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Clients; each goes round the replicas.
const CLIENTS: usize = 8;
/// Operations that are sent at most: the logs are read and checked at the end.
const OPERATIONS_MAX: u64 = 200_000;
/// How long a client waits for an answer before it counts the operation as unanswered.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause after a replica that does not answer.
const PAUSE: Duration = Duration::from_millis(50);
const CANISTER_CYCLES: Cycles = Cycles(500_000_000_000_000);

/// What all clients share.
struct Shared {
    began: Instant,
    is_over: AtomicBool,
    next: AtomicU64,
    /// When the newest answer came and the longest time between two, milliseconds.
    answered_at_ms: AtomicU64,
    silence_ms: AtomicU64,
    histories: [Mutex<History>; 2],
    canisters: [CanisterId; 2],
}

/// Load at work.
pub(super) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
    reader: Client,
}

/// Load that has ended.
pub(super) struct Ended {
    shared: Arc<Shared>,
    reader: Client,
}

impl Load {
    /// Makes the canisters and starts the clients.
    pub(super) async fn start(testnet: &Testnet, seed: u64) -> Result<Self, ChaosError> {
        let failed = |what| move |source| ChaosError::Client { what, source };
        let urls: Vec<String> = testnet.replicas().iter().map(|replica| replica.api.clone()).collect();
        let reader = Client::connect(&urls[0], identity::anonymous()).await.map_err(failed("the first replica"))?;
        let mut canisters = Vec::new();
        for kind in [Kind::List, Kind::Bank] {
            let (canister, _) = reader.create_canister(CANISTER_CYCLES).await.map_err(failed("a new canister"))?;
            let installed = reader.install(canister, Install::Fresh, &kind.module(), Vec::new()).await;
            installed.and_then(|outcome| outcome.reply()).map_err(failed("a module"))?;
            canisters.push(canister);
        }
        let shared = Arc::new(Shared {
            began: Instant::now(),
            is_over: AtomicBool::new(false),
            next: AtomicU64::new(1),
            answered_at_ms: AtomicU64::new(0),
            silence_ms: AtomicU64::new(0),
            histories: Default::default(),
            canisters: [canisters[0], canisters[1]],
        });
        let mut clients = JoinSet::new();
        for index in 0..CLIENTS {
            let homes = urls.iter().map(|url| reader.at(url)).collect::<Result<Vec<_>, _>>();
            let homes = homes.map_err(failed("a client"))?;
            clients.spawn(client(shared.clone(), homes, index, Draw::new(seed.wrapping_add(index as u64))));
        }
        Ok(Self { shared, clients, reader })
    }

    /// Lets every client finish what it has begun.
    pub(super) async fn stop(mut self) -> Ended {
        self.shared.is_over.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        Ended { shared: self.shared, reader: self.reader }
    }
}

impl Ended {
    /// Operations answered and unanswered, and the longest silence.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let count = |is_answered: bool| {
            let of = |history: &Mutex<History>| {
                let history = history.lock().expect("no holder panics");
                history.operations.values().filter(|operation| operation.answered.is_some() == is_answered).count()
            };
            self.shared.histories.iter().map(of).sum::<usize>() as u64
        };
        (count(true), count(false), self.shared.silence_ms.load(Ordering::Relaxed))
    }

    pub(super) fn history(&self, kind: Kind) -> History {
        self.shared.histories[kind as usize].lock().expect("no holder panics").clone()
    }

    /// A canister's whole log, read by updates.
    pub(super) async fn log(&self, kind: Kind) -> Result<Vec<Entry>, ChaosError> {
        let mut log = Vec::new();
        loop {
            let read = read(&self.reader, self.shared.canisters[kind as usize], log.len() as u32).await;
            let (count, entries) =
                read.map_err(|source| ChaosError::Client { what: "the log of a canister", source })?;
            log.extend(entries);
            if log.len() as u64 >= count {
                return Ok(log);
            }
        }
    }
}

/// The number of entries, and at most [`ENTRIES_MAX`] of them from `from` on.
async fn read(client: &Client, canister: CanisterId, from: u32) -> Result<(u64, Vec<Entry>), ClientError> {
    let reply = client.call(canister, "read", from.to_le_bytes().to_vec()).await?.reply()?;
    let words = words(&reply);
    let Some((count, words)) = words.split_first() else { return Ok((0, Vec::new())) };
    let entry = |words: &[u64]| Entry { id: words[0], word: words[1], result: words[2] };
    Ok((*count, words.chunks_exact(Kind::ENTRY_BYTES / 8).map(entry).take(ENTRIES_MAX).collect()))
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| word.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))).collect()
}

async fn client(shared: Arc<Shared>, homes: Vec<Client>, index: usize, mut draw: Draw) {
    let mut home = index % homes.len();
    while !shared.is_over.load(Ordering::Relaxed) {
        let kind = if draw.below(2) == 0 { Kind::List } else { Kind::Bank };
        let is_well = if draw.below(10) == 0 {
            reading(&shared, &homes[home], kind).await
        } else {
            operation(&shared, &homes[home], kind, &mut draw).await
        };
        if !is_well {
            home = (home + 1) % homes.len();
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn operation(shared: &Shared, client: &Client, kind: Kind, draw: &mut Draw) -> bool {
    let id = shared.next.fetch_add(1, Ordering::Relaxed);
    if id > OPERATIONS_MAX {
        tokio::time::sleep(PAUSE).await;
        return true;
    }
    let word = match kind {
        Kind::List => draw.below(u64::MAX),
        Kind::Bank => draw.below(8) | draw.below(8) << 8 | draw.below(400) << 32,
    };
    let history = &shared.histories[kind as usize];
    let sent = shared.began.elapsed();
    let unanswered = Operation { word, sent, answered: None };
    history.lock().expect("no holder panics").operations.insert(id, unanswered);
    let argument: [u8; Kind::OPERATION_BYTES] = {
        let mut bytes = [0; Kind::OPERATION_BYTES];
        bytes[..8].copy_from_slice(&id.to_le_bytes());
        bytes[8..].copy_from_slice(&word.to_le_bytes());
        bytes
    };
    let called = client.call(shared.canisters[kind as usize], "apply", argument.to_vec());
    let Ok(Ok(outcome)) = tokio::time::timeout(PATIENCE, called).await else { return false };
    let Ok(reply) = outcome.reply() else { return false };
    let [place, result] = words(&reply)[..] else { return false };
    shared.answered();
    let mut history = history.lock().expect("no holder panics");
    if let Some(operation) = history.operations.get_mut(&id) {
        operation.answered = Some((shared.began.elapsed(), place, result));
    }
    true
}

async fn reading(shared: &Shared, client: &Client, kind: Kind) -> bool {
    let sent = shared.began.elapsed();
    let read = read(client, shared.canisters[kind as usize], u32::MAX);
    let Ok(Ok((count, _))) = tokio::time::timeout(PATIENCE, read).await else { return false };
    let answered = shared.began.elapsed();
    shared.histories[kind as usize].lock().expect("no holder panics").readings.push(Reading { sent, answered, count });
    true
}

impl Shared {
    fn answered(&self) {
        let now = self.began.elapsed().as_millis() as u64;
        let before = self.answered_at_ms.fetch_max(now, Ordering::Relaxed);
        self.silence_ms.fetch_max(now.saturating_sub(before), Ordering::Relaxed);
    }
}
