//! The engine's wiring: block dissemination, the archive of finalized blocks with its backfill, and simplex voting,
//! over any runtime and any network. Non-generic above runtime and network, because every instantiation costs minutes
//! to compile: one is in `operator`, one in `sim`.

use crate::{
    Block, Committee, ConsensusError, Digest, Parameters, PublicKey, Scheme,
    application::{Application, deliver},
    attendance::{Attendance, Register},
    committee,
    evidence::{EvidenceBook, Recorder},
    floor,
    gate::{Gate, Gated},
    pace::RETRY,
    payloads::Payloads,
    standing::{Heard, Kind, Standing, Timely},
};
use commonware_broadcast::buffered;
use commonware_consensus::{
    Reporters,
    marshal::{
        self, Identifier, Start,
        core::Actor,
        resolver::p2p as backfill,
        standard::{Deferred, Standard},
    },
    simplex::{
        self, SkipBudget,
        config::{Floor, ForwardPolicy, SkipPolicy},
        elector::{Config as ElectorConfig, Elector as _, RoundRobin},
    },
    types::{Epoch, FixedEpocher, Height as EngineHeight, Round, View, ViewDelta},
};
use commonware_cryptography::{
    Digested, Sha256, Signer as _,
    certificate::{ConstantProvider, Scheme as _, Verifier as _},
};
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Handle, Metrics, Spawner, Storage, buffer::paged::CacheRef};
use commonware_storage::{archive::prunable, translator::TwoCap};
use commonware_utils::{NZDuration, NZU16, NZU64, NZUsize, channel::mpsc};
use mains_types::{Digest32, Height, UnixNanos};
use rand_core::CryptoRng;
use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

/// Blocks handed to the replica before it acknowledged them. The engine holds twice as many in memory.
pub const UNEXECUTED_BLOCKS_MAX: usize = 8;
/// Messages between the engine's own parts: enough for several views of a full committee.
const MAILBOX: NonZeroUsize = NZUsize!(512);
/// Messages between the parts of voting: one view's. Of what is above it a newer finalization takes the place, so that a member
/// whose disk is slow goes on from where the others are instead of making every view durable that is over long ago.
const VOTING_MAILBOX: NonZeroUsize = NZUsize!(4);
/// New blocks kept per sender until they are finalized. A sender that makes more than it may only evicts its own; the
/// bound on memory is this times the greatest block times the members.
const BLOCKS_PER_SENDER: usize = 6;
/// Views behind the finalized one whose votes and blocks are still kept for peers.
const VIEW_RETENTION: ViewDelta = ViewDelta::new(256);
/// Bytes of a page and pages of the cache in front of the journals (4 MiB).
const PAGE_BYTES: std::num::NonZeroU16 = NZU16!(4084);
const PAGES: NonZeroUsize = NZUsize!(1024);
/// Bytes buffered per journal before a write, and while a journal is replayed at start.
const WRITE_BUFFER: NonZeroUsize = NZUsize!(256 << 10);
const REPLAY_BUFFER: NonZeroUsize = NZUsize!(1 << 20);
/// Heights per file of the archives: what pruning removes at once.
const HEIGHTS_PER_SECTION: NonZeroU64 = NZU64!(512);
/// Missing blocks asked for at once.
const REPAIR: NonZeroUsize = NZUsize!(16);
/// How long a peer may take to answer a request, and the pause before another is asked.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const FETCH_RETRY: Duration = Duration::from_millis(100);

/// What consensus needs to know.
#[derive(Clone, Debug)]
pub struct Config<B, P> {
    /// Seed of this node's ed25519 key.
    pub identity: [u8; 32],
    /// The committee's public keys, in any order.
    pub participants: Vec<[u8; 32]>,
    /// The network's name.
    pub network: String,
    /// Digest of the genesis file.
    pub genesis_digest: Digest32,
    /// When the chain began.
    pub genesis_time: UnixNanos,
    /// Cuts off peers that prove to be faulty.
    pub blocker: B,
    /// Knows who the peers are.
    pub provider: P,
    /// Prefix of everything that is stored, unique per subnet.
    pub partition: String,
    /// The pace.
    pub parameters: Parameters,
    /// Which of this member's votes go out.
    pub gate: Gate,
}

/// A sender and a receiver for each of the engine's channels; see [`crate::channels`].
#[derive(Debug)]
pub struct Channels<S, R> {
    /// Channel 0.
    pub vote: (S, R),
    /// Channel 1.
    pub certificate: (S, R),
    /// Channel 2.
    pub resolver: (S, R),
    /// Channel 3.
    pub backfill: (S, R),
    /// Channel 4.
    pub broadcast: (S, R),
}

/// Consensus at work.
pub struct Running {
    /// One per part; each runs until the runtime stops, so a handle that ends means that this part failed.
    pub handles: Vec<Handle<()>>,
    /// Reads the chain.
    pub mailbox: Mailbox,
    /// Checks what a chain may go on from.
    pub floors: floor::Floors,
    /// Members that voted twice, with proof.
    pub evidence: EvidenceBook,
    /// Members that voted lately.
    pub attendance: Attendance,
}

/// The chain of finalized blocks, as far as this node holds it. Clones are cheap.
#[derive(Clone)]
pub struct Mailbox(marshal::core::Mailbox<Scheme, Standard<Block>>);

impl Mailbox {
    /// The finalized block at `height`, or `None` if this node does not hold it.
    pub async fn block_at(&self, height: Height) -> Option<Block> {
        let height: Identifier<Digest> = EngineHeight::new(height.get()).into();
        self.0.get_block(height).await.map(|block| block.inner().clone())
    }

    /// The newest height that was acknowledged, durably: delivery begins above it after a restart. `None` if consensus
    /// has stopped.
    pub async fn processed_height(&self) -> Option<Height> {
        self.0.get_processed().await.map(|processed| Height(processed.height().get()))
    }

    /// The newest finalized height and its block's digest.
    pub async fn tip(&self) -> Option<(Height, Digest32)> {
        self.0.get_info(Identifier::Latest).await.map(|(height, digest)| (Height(height.get()), digest.0))
    }

    /// The view of the newest finalized block; 0 if there is none.
    pub async fn newest_view(&self) -> u64 {
        let newest = self.0.get_block(Identifier::Latest).await;
        newest.map_or(0, |block| block.inner().view())
    }

    /// Proof that the block at `height` is finalized, if there is one for this very block: for most there is, others are
    /// finalized by one that follows.
    pub async fn floor_at(&self, height: Height) -> Option<floor::Floor> {
        self.0.get_finalization(EngineHeight::new(height.get())).await.map(floor::Floor)
    }

    /// Goes on from a finalized block that lies ahead: everything before it is forgotten, it and what follows is delivered.
    /// The state before it must be durable.
    pub fn set_floor(&self, floor: floor::Floor) {
        self.0.set_floor(floor.0);
    }

    /// Forgets finalized blocks below `height`: only what no replay and no peer needs any more.
    pub fn prune(&self, height: Height) {
        self.0.prune(EngineHeight::new(height.get()));
    }
}

impl<B, P> Config<B, P> {
    /// Whether consensus can start on this.
    ///
    /// # Errors
    /// A committee that is none or does not hold this node, or a pace that cannot work.
    pub fn check(&self) -> Result<(), ConsensusError> {
        self.parameters.check()?;
        self.scheme().map(|_| ())
    }

    fn scheme(&self) -> Result<Scheme, ConsensusError> {
        let namespace = committee::namespace(&self.network, &self.genesis_digest);
        Committee::new(&self.participants)?.signer(&namespace, committee::private_key(&self.identity))
    }
}

/// Starts consensus on what is stored, or at genesis.
///
/// # Panics
/// If [`Config::check`] fails, or if the storage cannot be read.
pub async fn start<E, B, P, A, S, R>(context: E, config: Config<B, P>, payloads: A, channels: Channels<S, R>) -> Running
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    B: Blocker<PublicKey = PublicKey>,
    P: Provider<PublicKey = PublicKey>,
    A: Payloads,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let scheme = config.check().and_then(|()| config.scheme()).expect("a checked configuration");
    let members = config.participants.len() as u32;
    let me = committee::private_key(&config.identity).public_key();
    let genesis = Block::genesis(config.genesis_digest, config.genesis_time);
    let genesis_digest = genesis.digest();
    let page_cache = CacheRef::new(PAGE_BYTES, PAGES);

    let missing = backfill::init(
        context.child("backfill"),
        backfill::Config {
            public_key: me.clone(),
            peer_provider: config.provider.clone(),
            blocker: config.blocker.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY,
            priority_requests: false,
            priority_responses: false,
        },
        channels.backfill,
    );
    let (broadcast, buffer) = buffered::Engine::new(
        context.child("broadcast"),
        buffered::Config {
            public_key: me,
            mailbox_size: MAILBOX,
            deque_size: BLOCKS_PER_SENDER,
            priority: false,
            codec_config: (),
            peer_provider: config.provider,
            strategy: Sequential,
        },
    );
    let certificates = Scheme::certificate_codec_config_unbounded();
    let finalizations = archive(&config.partition, "finalizations", page_cache.clone(), certificates);
    let blocks = archive(&config.partition, "blocks", page_cache.clone(), ());
    let (archive, mailbox, floor) = Actor::<_, Standard<Block>, _, _, _, _, _>::init(
        context.child("archive"),
        prunable::Archive::init(context.child("finalizations"), finalizations).await.expect("readable finalizations"),
        prunable::Archive::init(context.child("blocks"), blocks).await.expect("readable blocks"),
        marshal::Config {
            provider: ConstantProvider::new(scheme.clone()),
            epocher: one_epoch(),
            start: Start::Genesis(Digested::precomputed(genesis, genesis_digest)),
            partition_prefix: format!("{}-archive", config.partition),
            mailbox_size: MAILBOX,
            view_retention: VIEW_RETENTION,
            prunable_items_per_section: HEIGHTS_PER_SECTION,
            page_cache: page_cache.clone(),
            replay_buffer: REPLAY_BUFFER,
            key_write_buffer: WRITE_BUFFER,
            value_write_buffer: WRITE_BUFFER,
            block_codec_config: (),
            max_repair: REPAIR,
            max_pending_acks: NZUsize!(UNEXECUTED_BLOCKS_MAX),
            strategy: Sequential,
        },
    )
    .await;

    let executed = floor.processed().map_or(Height::ZERO, |processed| Height(processed.height().get()));
    let (sender, deliveries) = mpsc::channel(4 * UNEXECUTED_BLOCKS_MAX);
    let application = Application::new(payloads.clone(), executed, sender);
    let floors = floor::Floors(scheme.clone());
    let clock = context.child("standing");
    let leaders = ElectorConfig::<Scheme>::build(RoundRobin::<Sha256>::default(), scheme.participants());
    let place = scheme.me().map(|member| member.index());
    let leads = move |view| Some(leaders.elect(Round::new(Epoch::zero(), View::new(view)), ())) == place;
    let standing = Standing::new(move || clock.current(), leads, members, config.parameters.late_after());
    let (votes, vote_receiver) = timely(channels.vote, Kind::Vote, &standing);
    let votes = Gated { sender: votes, gate: config.gate };
    let certificate_channel = timely(channels.certificate, Kind::Certificate, &standing);
    let evidence = EvidenceBook::default();
    let committee = Committee::new(&config.participants).expect("a checked configuration");
    let recorder = Recorder::new(committee, scheme.clone(), evidence.clone());
    let attendance = Attendance::new(members);
    let register = Register::new(scheme.clone(), attendance.clone());
    let automaton = Deferred::new(context.child("automaton"), application.clone(), mailbox.clone(), one_epoch());
    let voting = simplex::Engine::new(
        context.child("voting"),
        simplex::Config {
            scheme,
            elector: RoundRobin::<Sha256>::default(),
            blocker: config.blocker,
            automaton: automaton.clone(),
            relay: automaton.clone(),
            reporter: Reporters::from((automaton, Reporters::from((recorder, register)))),
            strategy: Sequential,
            partition: format!("{}-voting", config.partition),
            mailbox_size: VOTING_MAILBOX,
            epoch: Epoch::zero(),
            floor: Floor::Genesis(genesis_digest),
            replay_buffer: REPLAY_BUFFER,
            write_buffer: WRITE_BUFFER,
            page_cache,
            leader_timeout: config.parameters.leader_timeout,
            certification_timeout: config.parameters.certification_timeout(members),
            timeout_retry: RETRY,
            view_retention: VIEW_RETENTION,
            skip: SkipPolicy::Enabled {
                timeout: config.parameters.skip_timeout(members),
                budget: SkipBudget::Participants,
            },
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY,
            forward: ForwardPolicy::Disabled,
            track_historical_votes: false,
        },
    );
    let handles = vec![
        context.child("deliver").spawn(move |_| deliver(payloads, deliveries)),
        broadcast.start(channels.broadcast),
        archive.start(application, buffer, missing),
        voting.start((votes, vote_receiver), certificate_channel, channels.resolver),
    ];
    Running { handles, mailbox: Mailbox(mailbox), evidence, attendance, floors }
}

/// A channel that says whether this member is in time, and keeps to it.
fn timely<S, R>((sender, receiver): (S, R), kind: Kind, standing: &Standing) -> (Timely<S>, Heard<R>) {
    (Timely { sender, kind, standing: standing.clone() }, Heard { receiver, kind, standing: standing.clone() })
}

/// One epoch without end: committees do not change yet.
fn one_epoch() -> FixedEpocher {
    FixedEpocher::new(NZU64!(u64::MAX))
}

fn archive<C>(partition: &str, name: &str, page_cache: CacheRef, codec_config: C) -> prunable::Config<TwoCap, C> {
    prunable::Config {
        translator: TwoCap,
        metadata_partition: format!("{partition}-{name}-metadata"),
        key_partition: format!("{partition}-{name}-key"),
        key_page_cache: page_cache,
        value_partition: format!("{partition}-{name}-value"),
        compression: None,
        codec_config,
        items_per_section: HEIGHTS_PER_SECTION,
        key_write_buffer: WRITE_BUFFER,
        value_write_buffer: WRITE_BUFFER,
        replay_buffer: REPLAY_BUFFER,
    }
}
