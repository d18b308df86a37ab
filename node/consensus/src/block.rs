//! The block: what the committee orders. Encoded with the engine's codec, identified by SHA-256 over its encoding.

use crate::{Digest, PublicKey, committee};
use bytes::{BufMut, Bytes, BytesMut};
use commonware_codec::{
    Buf, BufsMut, EncodeSize, Error, FixedSize, MaxEncodeSize, RangeCfg, Read, ReadExt, Write, varint::UInt,
};
use commonware_consensus::{
    Block as EngineBlock, BoundedBlock, CertifiableBlock, Heightable,
    types::{Epoch, Height as EngineHeight, Round, View},
};
use commonware_cryptography::{Digest as _, Digestible, Hasher as _, Sha256};
use mains_types::{
    Digest32, Height, NodeId, UnixNanos, limits,
    planted::{self, Defect},
};
use std::sync::Arc;

/// The engine's context of a proposal: round, leader, parent.
pub type Context = commonware_consensus::simplex::types::Context<Digest, PublicKey>;

/// Bytes of a block's part for later protocol versions (key resharing, registry events, streams between subnets).
pub const RESERVED_BYTES_MAX: usize = 128 << 10;
/// Bytes of the longest varint of 64 and of 32 bits.
const VARINT64_BYTES_MAX: usize = 10;
const VARINT32_BYTES_MAX: usize = 5;

/// A state root signed by the chain key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The height whose state it certifies.
    pub height: Height,
    /// The state root.
    pub root: Digest32,
    /// The chain key's signature over the root (`ic-state-root`).
    pub signature: [u8; 48],
}

/// What the proposer saw of the members lately: bit i stands for the member at place i of the committee, in the order of
/// the keys. What it says of itself counts for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Votes to finalize of these.
    pub voted: u128,
    /// Valid partial signatures over states of these.
    pub certified: u128,
}

/// What the proposer knows about the chain itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    certificate: Option<Certificate>,
    seen: Seen,
    /// The newest version of the protocol that the proposer's binary knows.
    newest_version: u32,
    reserved: Bytes,
}

/// A block. Cheap to clone, and immutable, so that its digest stays true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block(Arc<Content>);

#[derive(Debug, PartialEq, Eq)]
struct Content {
    context: Context,
    parent: Digest,
    height: EngineHeight,
    time: UnixNanos,
    certified: Height,
    randomness: Digest32,
    control: Control,
    ingress: Vec<Bytes>,
    digest: Digest,
}

impl Block {
    /// The block before the first one; its parent is the digest of the genesis file, so chains of different geneses
    /// differ from the start.
    pub fn genesis(genesis: Digest32, time: UnixNanos) -> Self {
        let context = Context {
            round: Round::new(Epoch::zero(), View::zero()),
            leader: committee::public_key_of(&[0; 32]),
            parent: (View::zero(), Digest::EMPTY),
        };
        Self::new(Content {
            context,
            parent: Digest::from(genesis),
            height: EngineHeight::zero(),
            time,
            certified: Height::ZERO,
            randomness: genesis,
            control: Control::default(),
            ingress: Vec::new(),
            digest: Digest::EMPTY,
        })
    }

    /// The block that follows `parent` in the proposal described by `context`. Its time is `time`, or just above the
    /// parent's if that is later.
    pub fn child(context: Context, parent: &Self, time: UnixNanos, control: Control, ingress: Vec<Bytes>) -> Self {
        Self::new(Content {
            context,
            parent: parent.digest(),
            height: parent.0.height.next(),
            time: time.max(parent.time().saturating_add_nanos(1)),
            certified: certified(parent, &control),
            randomness: randomness(parent, &control),
            control,
            ingress,
            digest: Digest::EMPTY,
        })
    }

    fn new(mut content: Content) -> Self {
        content.digest = content.compute_digest();
        Self(Arc::new(content))
    }

    /// Whether this block's header is a child's of `parent`. That the digest and height fit was checked by the engine.
    ///
    /// # Errors
    /// The rule it breaks, for ever.
    pub fn follows(&self, parent: &Self) -> Result<(), String> {
        if self.time() <= parent.time() && !planted::is(Defect::TimeUnchecked) {
            return Err(format!("its time {} is not after its parent's {}", self.time(), parent.time()));
        }
        if let Some(certificate) = self.control().certificate() {
            let (height, known) = (certificate.height, parent.certified());
            if height <= known || height >= self.height() {
                return Err(format!("its certificate of height {height} is not above {known} and below its own"));
            }
        }
        if self.certified() != certified(parent, self.control()) {
            return Err(format!("it claims {} to be certified", self.certified()));
        }
        if self.randomness() != randomness(parent, self.control()) {
            return Err("its randomness does not come from its parent's and its certificate".into());
        }
        if !self.control().reserved.is_empty() {
            return Err("it uses a part that is reserved for later protocol versions".into());
        }
        Ok(())
    }

    /// The engine's context.
    pub fn context(&self) -> &Context {
        &self.0.context
    }
    /// The key of its proposer.
    pub fn leader(&self) -> &PublicKey {
        &self.0.context.leader
    }
    /// Who proposed it.
    pub fn proposer(&self) -> NodeId {
        committee::node_id(self.leader())
    }
    /// The view it was proposed in.
    pub fn view(&self) -> u64 {
        self.0.context.round.view().get()
    }
    /// Who of `members` (by place in the committee) led views since the parent's that ended without a block of this chain,
    /// and how many. Members lead in turn, see the elector of the engine; the cost does not depend on the number of views.
    pub fn failures(&self, members: u32) -> Vec<(u32, u64)> {
        let members_wide = u64::from(members.max(1));
        let (first, own) = (self.0.context.parent.0.get().saturating_add(1), self.view());
        let count = |place: u32| {
            let turn = first.saturating_add((u64::from(place) + members_wide - first % members_wide) % members_wide);
            if turn < own { (own - 1 - turn) / members_wide + 1 } else { 0 }
        };
        (0..members).map(|place| (place, count(place))).filter(|(_, count)| *count > 0).collect()
    }
    /// The digest of the block before it.
    pub fn parent(&self) -> Digest {
        self.0.parent
    }
    /// Its position in the chain.
    pub fn height(&self) -> Height {
        Height(self.0.height.get())
    }
    /// The proposer's time, later than the parent's.
    pub fn time(&self) -> UnixNanos {
        self.0.time
    }
    /// The newest height that is certified inside the chain: by this block's certificate or an ancestor's.
    pub fn certified(&self) -> Height {
        self.0.certified
    }
    /// Changes with every certificate in the chain, in a way that nobody knew before a quorum had signed it. Its
    /// proposer knows it before it orders this block's ingress: answer with it only what was asked in an earlier block.
    pub fn randomness(&self) -> Digest32 {
        self.0.randomness
    }
    /// What the proposer knew about the chain itself.
    pub fn control(&self) -> &Control {
        &self.0.control
    }
    /// Signed requests as their senders encoded them.
    pub fn ingress(&self) -> &[Bytes] {
        &self.0.ingress
    }
    /// Its identity.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }
    /// Its identity as plain bytes.
    pub fn digest_bytes(&self) -> Digest32 {
        self.0.digest.0
    }
}

fn certified(parent: &Block, control: &Control) -> Height {
    control.certificate.map_or(parent.certified(), |certificate| certificate.height)
}

fn randomness(parent: &Block, control: &Control) -> Digest32 {
    match &control.certificate {
        Some(certificate) => Sha256::hash(&[b"mains/randomness/1", &parent.0.randomness, &certificate.signature]).0,
        None => parent.0.randomness,
    }
}

impl Control {
    /// Bytes of the greatest control part.
    const BYTES_MAX: usize =
        1 + VARINT64_BYTES_MAX + 32 + 48 + Seen::BYTES + 2 * VARINT32_BYTES_MAX + RESERVED_BYTES_MAX;

    /// With the newest certificate the proposer holds, unless the chain has it already.
    pub fn new(certificate: Option<Certificate>) -> Self {
        Self { certificate, ..Self::default() }
    }

    /// The same, with what the proposer saw of the members.
    pub fn with_seen(self, seen: Seen) -> Self {
        Self { seen, ..self }
    }

    /// The same of a proposer whose binary knows versions of the protocol up to this one.
    pub fn knowing(self, newest_version: u32) -> Self {
        Self { newest_version, ..self }
    }

    /// The newest version of the protocol that the proposer's binary knows.
    pub fn newest_version(&self) -> u32 {
        self.newest_version
    }

    /// The newest certificate the proposer held.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// What the proposer saw of the members.
    pub fn seen(&self) -> Seen {
        self.seen
    }
}

impl Seen {
    /// Bytes of its encoding.
    const BYTES: usize = 32;

    /// Whether it names nobody who is not among this many members.
    pub fn fits(&self, members: u32) -> bool {
        (self.voted | self.certified).checked_shr(members).unwrap_or(0) == 0
    }
}

impl Certificate {
    /// Appends its encoding.
    pub fn write(&self, buffer: &mut impl BufMut) {
        Write::write(self, buffer);
    }

    /// Reads one from the front of `buffer`; `None` if there is none, then the rest of `buffer` is undefined.
    pub fn read(buffer: &mut Bytes) -> Option<Self> {
        <Self as ReadExt>::read(buffer).ok()
    }
}

impl Content {
    fn write_header(&self, buffer: &mut impl BufMut) {
        self.context.write(buffer);
        self.parent.write(buffer);
        self.height.write(buffer);
        UInt(self.time.get()).write(buffer);
        UInt(self.certified.get()).write(buffer);
        self.randomness.write(buffer);
        self.control.write(buffer);
    }

    fn header_size(&self) -> usize {
        self.context.encode_size()
            + self.parent.encode_size()
            + self.height.encode_size()
            + UInt(self.time.get()).encode_size()
            + UInt(self.certified.get()).encode_size()
            + self.randomness.encode_size()
            + self.control.encode_size()
    }

    /// SHA-256 over the encoding, without copying the ingress.
    fn compute_digest(&self) -> Digest {
        let mut scratch = BytesMut::with_capacity(self.header_size() + VARINT32_BYTES_MAX);
        let mut hasher = Sha256::default();
        self.write_header(&mut scratch);
        self.ingress.len().write(&mut scratch);
        hasher.update(&scratch);
        for message in &self.ingress {
            scratch.clear();
            message.len().write(&mut scratch);
            hasher.update(&scratch).update(message);
        }
        hasher.finalize().1
    }
}

/// Whether these messages fit into one block.
pub fn ingress_fits(ingress: &[Bytes]) -> bool {
    ingress.len() <= limits::BLOCK_INGRESS_COUNT_MAX
        && ingress.iter().all(|message| message.len() <= limits::INGRESS_BYTES_MAX)
        && ingress.iter().map(Bytes::len).sum::<usize>() <= limits::BLOCK_INGRESS_BYTES_MAX
}

impl Write for Block {
    fn write(&self, buffer: &mut impl BufMut) {
        self.0.write_header(buffer);
        self.0.ingress.write(buffer);
    }
    fn write_bufs(&self, buffer: &mut impl BufsMut) {
        self.0.write_header(buffer);
        self.0.ingress.write_bufs(buffer);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        self.0.header_size() + self.0.ingress.encode_size()
    }
    fn encode_inline_size(&self) -> usize {
        self.0.header_size() + self.0.ingress.encode_inline_size()
    }
}

impl Read for Block {
    type Cfg = ();

    fn read_cfg(buffer: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let context = Context::read(buffer)?;
        let parent = Digest::read(buffer)?;
        let height = EngineHeight::read(buffer)?;
        let time = UnixNanos(UInt::read(buffer)?.into());
        let certified = Height(UInt::read(buffer)?.into());
        let randomness = <[u8; 32]>::read(buffer)?;
        let control = Control::read(buffer)?;
        let count = RangeCfg::from(..=limits::BLOCK_INGRESS_COUNT_MAX);
        let bytes = RangeCfg::from(..=limits::INGRESS_BYTES_MAX);
        let ingress = Vec::<Bytes>::read_cfg(buffer, &(count, bytes))?;
        if !ingress_fits(&ingress) {
            return Err(Error::Invalid("Block", "more ingress than a block holds"));
        }
        let digest = Digest::EMPTY;
        Ok(Self::new(Content { context, parent, height, time, certified, randomness, control, ingress, digest }))
    }
}

impl Digestible for Block {
    type Digest = Digest;
    fn digest(&self) -> Digest {
        self.0.digest
    }
}

impl Heightable for Block {
    fn height(&self) -> EngineHeight {
        self.0.height
    }
}

impl EngineBlock for Block {
    fn parent(&self) -> Digest {
        self.0.parent
    }
}

impl CertifiableBlock for Block {
    type Context = Context;
    fn context(&self) -> Context {
        self.0.context.clone()
    }
}

impl BoundedBlock for Block {
    fn max_encode_size((): &()) -> usize {
        Context::MAX_ENCODE_SIZE
            + Digest::SIZE
            + EngineHeight::MAX_ENCODE_SIZE
            + 2 * VARINT64_BYTES_MAX
            + 32
            + Control::BYTES_MAX
            + limits::BLOCK_INGRESS_BYTES_MAX
            + (limits::BLOCK_INGRESS_COUNT_MAX + 1) * VARINT32_BYTES_MAX
    }
}

impl Write for Control {
    fn write(&self, buffer: &mut impl BufMut) {
        self.certificate.write(buffer);
        self.seen.voted.write(buffer);
        self.seen.certified.write(buffer);
        UInt(self.newest_version).write(buffer);
        self.reserved.write(buffer);
    }
}

impl EncodeSize for Control {
    fn encode_size(&self) -> usize {
        self.certificate.encode_size()
            + Seen::BYTES
            + UInt(self.newest_version).encode_size()
            + self.reserved.encode_size()
    }
}

impl Read for Control {
    type Cfg = ();
    fn read_cfg(buffer: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            certificate: Option::<Certificate>::read(buffer)?,
            seen: Seen { voted: u128::read(buffer)?, certified: u128::read(buffer)? },
            newest_version: UInt::read(buffer)?.into(),
            reserved: Bytes::read_cfg(buffer, &RangeCfg::from(..=RESERVED_BYTES_MAX))?,
        })
    }
}

impl Write for Certificate {
    fn write(&self, buffer: &mut impl BufMut) {
        UInt(self.height.get()).write(buffer);
        self.root.write(buffer);
        self.signature.write(buffer);
    }
}

impl EncodeSize for Certificate {
    fn encode_size(&self) -> usize {
        UInt(self.height.get()).encode_size() + 32 + 48
    }
}

impl Read for Certificate {
    type Cfg = ();
    fn read_cfg(buffer: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            height: Height(UInt::read(buffer)?.into()),
            root: <[u8; 32]>::read(buffer)?,
            signature: <[u8; 48]>::read(buffer)?,
        })
    }
}

#[cfg(test)]
mod tests;
