//! A subnet under one deterministic runtime: the same value that ships, on simulated machines and a simulated network.

use crate::{
    adversary::{Liar, Loot, Tools},
    checkpoints::MemoryCheckpoints,
    checks::{Findings, blame},
    disk::{Disk, Loss},
    host::Host,
    log::{Log, Mark},
    options::{Options, Shape},
    record::Watcher,
    upgrade::{MemoryMark, OLD, RULES},
    wire::{Tap, Wire},
};
use commonware_p2p::simulated::{self, Link, Oracle};
use commonware_runtime::{Clock as _, Handle, Spawner as _, Supervisor as _, deterministic::Context};
use commonware_utils::{NZUsize, Probability};
use mains_consensus::{ChainKey, Committee, PublicKey, channels, committee};
use mains_crypto::NodeKey;
use mains_engine::WasmtimeEngine;
use mains_replica::{Continuity, Network as ReplicaNetwork, ReplicaHandle, Waiting};
use mains_state::{Genesis, GenesisNode, NetworkKind, genesis::ChainKeyOrigin};
use mains_types::{
    Cycles, Digest32, Principal, UnixNanos, Versions, limits,
    planted::{self, Defect},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Bytes of a simulated message at most.
const MESSAGE_BYTES_MAX: u32 = 8 << 20;
/// What each funded principal starts with.
const FUNDS: Cycles = Cycles(1_000_000_000_000_000_000);
/// The network's name and the digest of its genesis file.
pub const NETWORK: &str = "simulation";
/// See [`NETWORK`].
pub const GENESIS_DIGEST: Digest32 = [7; 32];
/// How slow a clogged link is.
const CLOGGED: Duration = Duration::from_secs(2);

/// A member's process, as far as it runs.
#[derive(Default)]
struct Process {
    task: Option<Handle<()>>,
    /// Somebody starts it at this moment.
    is_starting: bool,
    handle: Option<ReplicaHandle>,
    /// Why it stopped by itself.
    ended: Option<String>,
    starts: u64,
}

struct Node {
    key: NodeKey,
    share: Vec<u8>,
    consensus_key: PublicKey,
    checkpoints: Arc<MemoryCheckpoints>,
    disk: Disk,
    /// Whether its disk holds all votes that it ever sent.
    holds_votes: Arc<AtomicBool>,
    versions: Mutex<Versions>,
    version_mark: Arc<MemoryMark>,
    tap: Arc<Mutex<Tap>>,
    process: Arc<Mutex<Process>>,
}

/// Links that do not work as they should: from, to.
#[derive(Default)]
struct Broken {
    cut: BTreeSet<(usize, usize)>,
    clogged: BTreeSet<(usize, usize)>,
    healed: bool,
}

/// The simulated subnet.
pub struct Subnet {
    context: Context,
    began: SystemTime,
    oracle: Oracle<PublicKey, Context>,
    genesis: Genesis,
    engine: Arc<WasmtimeEngine>,
    nodes: Vec<Node>,
    options: Options,
    broken: Mutex<Broken>,
    /// Calls that liars take from.
    pub loot: Loot,
    /// What members did.
    pub findings: Arc<Findings>,
    log: Arc<Log>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

impl Subnet {
    /// Makes keys and genesis from the seed and starts all members. `funded` has cycles from the start.
    ///
    /// # Panics
    /// If the simulated network is gone.
    pub async fn start(
        context: Context,
        options: &Options,
        engine: Arc<WasmtimeEngine>,
        funded: Principal,
        log: Arc<Log>,
    ) -> Self {
        let seed = |what: u8, index: u64| {
            let mut bytes = [what; 32];
            bytes[..8].copy_from_slice(&options.seed.to_be_bytes());
            bytes[8..16].copy_from_slice(&index.to_be_bytes());
            bytes
        };
        let mut keys: Vec<NodeKey> =
            (0..options.members as u64).map(|index| NodeKey::from_seed(seed(1, index))).collect();
        keys.sort_by_key(NodeKey::public);
        let (sharing, shares) = ChainKey::deal(options.members as u32, seed(2, 0));
        let began = context.current();
        let genesis = Genesis {
            network: NETWORK.into(),
            kind: NetworkKind::Test,
            time: UnixNanos(began.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64),
            nodes: keys.iter().map(|key| GenesisNode { public_key: key.public(), operator: key.node_id() }).collect(),
            chain_key_origin: ChainKeyOrigin::TrustedDealer,
            chain_key: sharing.public_key().to_vec(),
            chain_key_sharing: sharing.encode(),
            accounts: vec![(Principal::anonymous(), FUNDS), (funded, FUNDS)],
            heartbeat_ms: 600,
            leader_timeout_ms: 1_200,
            require_publisher_signature: Default::default(),
            storage_bytes_max: limits::SUBNET_STORAGE_BYTES,
        };
        let public: Vec<PublicKey> =
            keys.iter().map(|key| committee::public_key(&key.public()).expect("a key")).collect();
        let loot = Loot::default();
        let honest = (0..options.members).filter(|member| options.is_honest(*member));
        log.expect_honest(honest.map(|member| (member as u64, public[member].to_string())), options.rotten.is_none());
        let findings = Findings::new(options, &genesis, log.clone());
        let nodes = keys
            .into_iter()
            .zip(shares)
            .enumerate()
            .map(|(member, (key, share))| {
                let tools = |rng| tools(&genesis, &key, &share, &public, member, rng, loot.clone());
                let lies = options.byzantine.iter().filter(|(liar, _)| *liar == member);
                let liar: Vec<Box<dyn Liar>> = lies.map(|(_, how)| how.liar()).collect();
                let tap = Tap {
                    context: context.child("tap"),
                    member,
                    log: log.clone(),
                    findings: findings.clone(),
                    votes: options.is_honest(member).then(|| findings.votes.clone()),
                    duplicated_percent: options.duplicated_percent,
                    rng: StdRng::from_seed(seed(3, member as u64)),
                    liar: (!liar.is_empty()).then(|| (liar, tools(StdRng::from_seed(seed(4, member as u64))))),
                    senders: Vec::new(),
                };
                let disk = Disk::new(context.child("disk"));
                if planted::is(Defect::VoteBeforeSync) {
                    disk.lie_about("-voting");
                }
                Node {
                    consensus_key: public[member].clone(),
                    key,
                    share,
                    checkpoints: Arc::default(),
                    disk,
                    holds_votes: Arc::new(AtomicBool::new(true)),
                    versions: Mutex::new(OLD),
                    version_mark: Arc::default(),
                    tap: Arc::new(Mutex::new(tap)),
                    process: Arc::default(),
                }
            })
            .collect();
        let (network, oracle) = simulated::Network::new_with_peers(
            context.child("network"),
            simulated::Config {
                max_size: MESSAGE_BYTES_MAX,
                max_peers_per_set: NZUsize!(16),
                disconnect_on_block: true,
                tracked_peer_sets: NZUsize!(2),
            },
            public,
        )
        .await;
        network.start();
        let options = options.clone();
        let broken = Mutex::default();
        let subnet = Self { context, began, oracle, genesis, engine, nodes, options, broken, loot, findings, log };
        for from in 0..subnet.nodes.len() {
            for to in 0..subnet.nodes.len() {
                subnet.relink(from, to).await;
            }
        }
        for member in 0..subnet.nodes.len() {
            subnet.restart(member).await;
        }
        subnet
    }

    /// Members, running or not.
    pub fn members(&self) -> usize {
        self.nodes.len()
    }

    /// How the subnet began.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The member's replica, if it runs.
    pub fn replica(&self, member: usize) -> Option<ReplicaHandle> {
        lock(&self.nodes[member].process).handle.clone()
    }

    /// Why a member stopped by itself.
    pub fn ended(&self, member: usize) -> Option<String> {
        lock(&self.nodes[member].process).ended.clone()
    }

    /// A member's disk.
    pub fn disk(&self, member: usize) -> &Disk {
        &self.nodes[member].disk
    }

    /// A member's disk takes nothing more, or does again.
    pub fn fill(&self, member: usize, is_full: bool) {
        self.log.note(|| format!("the disk of member {member} {}", if is_full { "is full" } else { "has room" }));
        self.nodes[member].disk.fill(is_full);
        self.nodes[member].checkpoints.fill(is_full);
    }

    /// Every sync of a member's disk takes this much longer.
    pub fn slow_down(&self, member: usize, by: Duration) {
        self.log.note(|| format!("the disk of member {member} takes {by:?} more for a sync"));
        self.nodes[member].disk.slow_down(by);
    }

    /// Puts a new disk into a member that does not run, or takes its checkpoints away.
    pub fn empty(&self, member: usize) {
        self.nodes[member].checkpoints.empty();
        if !self.options.keeps_votes {
            self.nodes[member].disk.empty();
            self.nodes[member].holds_votes.store(false, Ordering::Relaxed);
            self.findings.monotone.forget(member);
        }
    }

    /// A member's checkpoints.
    pub fn checkpoints(&self, member: usize) -> &MemoryCheckpoints {
        &self.nodes[member].checkpoints
    }

    /// What a member's binary knows.
    pub fn versions(&self, member: usize) -> Versions {
        *lock(&self.nodes[member].versions)
    }

    /// Gives a member that does not run another binary; says why the one before stopped by itself, if it did.
    pub fn change_binary(&self, member: usize, versions: Versions) -> Option<String> {
        self.log.note(|| format!("member {member} gets a binary that runs {versions}"));
        *lock(&self.nodes[member].versions) = versions;
        lock(&self.nodes[member].process).ended.take()
    }

    /// How often a member was started.
    pub fn starts(&self, member: usize) -> u64 {
        lock(&self.nodes[member].process).starts
    }

    /// Kills a member at once; its disk loses unsynced changes as `loss` says. `false` if it does not run.
    pub fn kill(&self, member: usize, loss: Loss, seed: u64) -> bool {
        let node = &self.nodes[member];
        let mut process = lock(&node.process);
        let Some(task) = process.task.take() else { return false };
        task.abort();
        let replica = process.handle.take();
        drop(process);
        if let Some(replica) = replica.filter(|_| self.options.is_honest(member))
            && let Err(broken) = blame::evidence(member, &replica, &self.genesis, &self.options, &self.log)
        {
            self.log.broken(|| broken);
        }
        node.disk.crash(loss, seed);
        self.log.mark(Mark::Crash);
        self.log.note(|| format!("member {member} dies"));
        true
    }

    /// Starts a member on its disk, unless it runs.
    ///
    /// # Panics
    /// If the simulated network is gone.
    pub async fn restart(&self, member: usize) {
        let node = &self.nodes[member];
        {
            let mut process = lock(&node.process);
            if process.task.is_some() || process.is_starting {
                return;
            }
            process.is_starting = true;
        }
        let control = self.oracle.control(node.consensus_key.clone());
        let mut senders = Vec::new();
        let mut channels = Vec::new();
        for (number, quota) in channels::all() {
            let (sender, receiver) = control.register(number, quota).await.expect("the network runs");
            channels.push((Wire::new(sender.clone(), number, node.tap.clone()), receiver));
            senders.push(sender);
        }
        lock(&node.tap).senders = senders;
        let network = ReplicaNetwork { channels, blocker: control, provider: self.oracle.manager() };
        let config = self.config(member);
        self.findings.binaries.starts(member, config.versions);
        let name = self.context.child("replica").with_attribute("index", member);
        let (process, log) = (node.process.clone(), self.log.clone());
        let continuity = continuity(&node.holds_votes);
        let (began, skew, disk) = (self.began, self.options.skew(member), node.disk.clone());
        let torn = disk.torn_files();
        log.note(|| format!("member {member} starts"));
        let task = name.spawn(move |context| async move {
            let host = Host::new(context, began, skew, disk);
            let ended = match mains_replica::resume(host, config, network, continuity).await {
                Ok(running) => {
                    lock(&process).handle = Some(running.handle.clone());
                    if torn > 0 {
                        log.mark(Mark::TornWriteRecovered);
                    }
                    let (ended, _, _) = futures::future::select_all(running.tasks).await;
                    running.handle.halted().unwrap_or_else(|| format!("one of its parts ended: {ended:?}"))
                }
                Err(error) => error.to_string(),
            };
            log.note(|| format!("member {member} stopped by itself: {ended}"));
            let mut process = lock(&process);
            process.handle = None;
            process.ended = Some(ended);
        });
        let mut process = lock(&node.process);
        process.task = Some(task);
        process.is_starting = false;
        process.starts += 1;
    }

    fn config(&self, member: usize) -> mains_replica::Config {
        let node = &self.nodes[member];
        let (checkpoint_interval, pool_calls) =
            if self.options.small { (5, 4) } else { (40, mains_replica::POOL_CALLS_MAX) };
        mains_replica::Config {
            replay: false,
            genesis: self.genesis.clone(),
            genesis_digest: GENESIS_DIGEST,
            key: node.key.clone(),
            chain_share: node.share.clone().into(),
            engine: self.engine.clone(),
            checkpoints: node.checkpoints.clone(),
            observer: Arc::new(Watcher { member, findings: self.findings.clone() }),
            waiting: Waiting::Blocking,
            query_threads: 1,
            partition: format!("replica-{member}"),
            backing: None,
            checkpoint_interval,
            pool_calls,
            versions: self.versions(member),
            switch_rules: RULES,
            version_mark: node.version_mark.clone(),
        }
    }

    /// Cuts links as `shape` says.
    pub async fn cut(&self, shape: Shape) {
        let members = self.members();
        let leader = self.findings.votes.leader_of_next_view(members);
        let side = |member: usize| match shape {
            Shape::Halves | Shape::OneWay => member < members / 2,
            Shape::Isolate(one) => member == one,
            Shape::IsolateLeader => member == leader,
            Shape::Random(bits) => bits >> member & 1 == 1,
        };
        self.log.mark(Mark::Partition);
        self.log
            .note(|| format!("partition {shape:?}: {:?}", (0..members).filter(|one| side(*one)).collect::<Vec<_>>()));
        for from in 0..members {
            for to in 0..members {
                if side(from) != side(to) && (shape != Shape::OneWay || side(from)) {
                    lock(&self.broken).cut.insert((from, to));
                    self.relink(from, to).await;
                }
            }
        }
    }

    /// Ends every partition.
    pub async fn join(&self) {
        let cut = std::mem::take(&mut lock(&self.broken).cut);
        self.log.note(|| "partitions end".into());
        for (from, to) in cut {
            self.relink(from, to).await;
        }
    }

    /// Makes a link slow, or fast again.
    pub async fn clog(&self, from: usize, to: usize, clogged: bool) {
        if clogged {
            self.log.mark(Mark::Clog);
            lock(&self.broken).clogged.insert((from, to));
        } else {
            lock(&self.broken).clogged.remove(&(from, to));
        }
        self.log.note(|| format!("link {from} to {to} is {}", if clogged { "clogged" } else { "free" }));
        self.relink(from, to).await;
    }

    /// From now on every link is sound.
    pub async fn heal(&self) {
        *lock(&self.broken) = Broken { healed: true, ..Broken::default() };
        for from in 0..self.members() {
            for to in 0..self.members() {
                self.relink(from, to).await;
            }
        }
        self.log.note(|| "everything heals".into());
    }

    async fn relink(&self, from: usize, to: usize) {
        if from == to {
            return;
        }
        let (cut, clogged, healed) = {
            let broken = lock(&self.broken);
            (broken.cut.contains(&(from, to)), broken.clogged.contains(&(from, to)), broken.healed)
        };
        let keys = [from, to].map(|member| self.nodes[member].consensus_key.clone());
        let [from, to] = keys;
        let _ = self.oracle.remove_link(from.clone(), to.clone()).await;
        if cut {
            return;
        }
        let delay = Duration::from_millis(self.options.delay_ms);
        let loss = if healed { 0 } else { self.options.loss_percent };
        let link = Link {
            latency: if clogged { CLOGGED } else { delay },
            jitter: delay / 4,
            success_rate: Probability::new(u64::from(100 - loss), 100).expect("at most one"),
        };
        self.oracle.add_link(from, to, link).await.expect("the network runs");
    }

    /// Who keeps out whom.
    ///
    /// # Panics
    /// If the simulated network is gone.
    pub async fn blocked(&self) -> Vec<(usize, usize)> {
        let place = |key: &PublicKey| self.nodes.iter().position(|node| node.consensus_key == *key);
        let pairs = self.oracle.blocked().await.expect("the network runs");
        pairs.iter().filter_map(|(from, to)| Some((place(from)?, place(to)?))).collect()
    }
}

/// What is known about a member's votes: as in production, a mark beside the data that is gone with them.
fn continuity(holds_votes: &Arc<AtomicBool>) -> Continuity {
    if holds_votes.load(Ordering::Relaxed) {
        return Continuity::Proven;
    }
    let holds_votes = holds_votes.clone();
    Continuity::Unproven(Box::new(move || holds_votes.store(true, Ordering::Relaxed)))
}

fn tools(
    genesis: &Genesis,
    key: &NodeKey,
    share: &[u8],
    public: &[PublicKey],
    member: usize,
    mut rng: StdRng,
    loot: Loot,
) -> Tools {
    let participants: Vec<[u8; 32]> = genesis.nodes.iter().map(|node| node.public_key).collect();
    let committee = Committee::new(&participants).expect("a committee");
    let scheme = |digest: &Digest32| {
        let namespace = committee::namespace(NETWORK, digest);
        committee.signer(&namespace, committee::private_key(&key.seed())).expect("a member")
    };
    let chain_key = ChainKey::decode(participants.clone(), &genesis.chain_key_sharing, Some(share)).expect("a share");
    let others = public.iter().enumerate().filter(|(place, _)| *place != member).map(|(_, key)| key.clone()).collect();
    let foreign = scheme(&rng.random());
    Tools { scheme: scheme(&GENESIS_DIGEST), foreign, chain_key: Arc::new(chain_key), place: member, others, rng, loot }
}
