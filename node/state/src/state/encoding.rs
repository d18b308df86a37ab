//! A whole state as objects: what checkpoints hold and what a replica that joins is sent.

use super::{Indexed, State, indexed_as};
use crate::{
    Canister, Code,
    blob::{Blob, ReadError},
    objects::{self, Kept, ObjectSink, ObjectSource, Part},
    paused::Work,
    shared::{self, Memo, Tables},
    snapshot::Content,
};
use imbl::OrdMap;
use mains_types::{
    CanisterId, Digest32, Height,
    planted::{self, Defect},
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Names a state that is kept as objects. Equal states have equal manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The state's height.
    pub height: Height,
    /// The state's root: what a certificate signs.
    pub root: Digest32,
    /// What is shared within it.
    tables: Blob,
    /// Everything else.
    body: Blob,
}

impl Manifest {
    /// The encoding, of a fixed form.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a manifest has an encoding")
    }

    /// Reads what [`Manifest::encode`] wrote; `None` if it is nothing of the kind.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::take_from_bytes(bytes).ok().filter(|(_, rest)| rest.is_empty()).map(|(manifest, _)| manifest)
    }

    /// The two objects below which the tables and the body lie.
    pub fn tops(&self) -> [Part; 2] {
        [self.tables.part(), self.body.part()]
    }

    /// The objects below which all modules and memories lie; known once the tables are there.
    ///
    /// # Errors
    /// An object of the tables is missing or damaged, or they have no proper form.
    pub fn shared(&self, source: &dyn ObjectSource) -> Result<Vec<Part>, EncodingError> {
        Ok(self.tables(source)?.parts().collect())
    }

    fn tables(&self, source: &dyn ObjectSource) -> Result<Tables, EncodingError> {
        let bytes = self.tables.read(source)?;
        postcard::from_bytes(&bytes).map_err(|error| EncodingError::Malformed(error.to_string()))
    }

    /// Adds the digests of all objects of this state to `live`.
    ///
    /// # Errors
    /// An object that refers to others is missing or damaged.
    pub fn mark(&self, source: &dyn ObjectSource, live: &mut BTreeSet<Digest32>) -> Result<(), EncodingError> {
        let mut open: Vec<Part> = self.tops().to_vec();
        open.extend(self.shared(source)?);
        while let Some(part) = open.pop() {
            if live.insert(*part.digest()) && !matches!(part, Part::Leaf(_)) {
                let bytes = objects::read(source, part.digest()).map_err(EncodingError::Object)?;
                open.extend(part.children(&bytes).map_err(EncodingError::Malformed)?);
            }
        }
        Ok(())
    }
}

/// Why there is no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// An object is missing or damaged.
    #[error("object {} is missing or damaged", blake3::Hash::from(*.0).to_hex())]
    Object(Digest32),
    /// The bytes do not have the form of a state of this version.
    #[error("not an encoded state: {0}")]
    Malformed(String),
    /// There is more after the state.
    #[error("{0} bytes follow the encoded state")]
    TrailingBytes(usize),
    /// A replicated rule does not hold in it.
    #[error("the encoded state contradicts itself: {0}")]
    Inconsistent(String),
    /// It is whole, but another state than its manifest says.
    #[error("the state has another root or height than its manifest")]
    OtherRoot,
}

impl From<ReadError> for EncodingError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Object(digest) => Self::Object(digest),
            ReadError::Malformed(what) => Self::Malformed(what),
        }
    }
}

/// A state in one piece.
#[derive(Serialize, Deserialize)]
struct Whole {
    manifest: Manifest,
    objects: Vec<ByteBuf>,
}

/// Remembers which objects were asked for.
struct Counted<'a>(&'a Kept, RefCell<BTreeSet<Digest32>>);

impl ObjectSource for Counted<'_> {
    fn object(&self, digest: &Digest32) -> Option<Vec<u8>> {
        self.1.borrow_mut().insert(*digest);
        self.0.object(digest)
    }
}

impl State {
    /// Puts whatever of this state is not kept yet, children first. What is shared is put once. Costs the encoding of everything
    /// but modules that `memo` knows and parts of memories that are kept.
    pub fn write(&self, memo: &mut Memo, sink: &mut dyn ObjectSink) -> Manifest {
        let torn = planted::is(Defect::CheckpointSkipsPage).then(|| self.without_memory());
        let (body, tables) = shared::write(torn.as_ref().unwrap_or(self), memo, sink).expect("a state has an encoding");
        let tables = Blob::write(&tables, sink).expect("tables have an encoding");
        let newer = u64::from(planted::is(Defect::CheckpointMislabelled));
        Manifest { height: Height(self.height.get() + newer), root: self.root(), tables, body }
    }

    /// Restores a state with its tree and checks everything but who vouches for its root.
    ///
    /// # Errors
    /// An object is missing or damaged, the objects are not what [`State::write`] puts, the ledger does not add up, or it is
    /// another state than the manifest says.
    pub fn read(manifest: &Manifest, source: &dyn ObjectSource) -> Result<Self, EncodingError> {
        let mut state = Self::read_any(manifest, source)?;
        if state.height == manifest.height && state.root() == manifest.root {
            if planted::is(Defect::DedupLostOnRestart) {
                state.ingress = Default::default();
            }
            Ok(state)
        } else {
            Err(EncodingError::OtherRoot)
        }
    }

    fn read_any(manifest: &Manifest, source: &dyn ObjectSource) -> Result<Self, EncodingError> {
        let mut state: Self = shared::read(&manifest.body, &manifest.tables(source)?, source)?;
        state.ledger.check_full().map_err(EncodingError::Inconsistent)?;
        state.rebuild()?;
        Ok(state)
    }

    /// What one of the planted defects saves.
    fn without_memory(&self) -> Self {
        let mut torn = self.clone();
        let ids: Vec<_> = torn.canisters().map(|canister| canister.id).collect();
        for id in ids {
            if let Some(code) = torn.canister_mut(&id).and_then(|canister| canister.code.as_mut()) {
                code.heap.pages = Default::default();
            }
        }
        torn
    }

    /// The whole state in one piece, canonical: equal states have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut kept = Kept::default();
        let manifest = self.write(&mut Memo::default(), &mut kept);
        let objects = kept.0.into_values().map(ByteBuf::from).collect();
        postcard::to_stdvec(&Whole { manifest, objects }).expect("a state has an encoding")
    }

    /// Restores an encoded state with its tree. Compare its [`State::root`] with a certified one before use.
    ///
    /// # Errors
    /// The bytes are not what [`State::encode`] makes, or the ledger in them does not add up.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        let (whole, rest) =
            postcard::take_from_bytes::<Whole>(bytes).map_err(|error| EncodingError::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(EncodingError::TrailingBytes(rest.len()));
        }
        let kept = whole.objects.into_iter().map(|bytes| (*blake3::hash(&bytes).as_bytes(), bytes.into_vec()));
        let source = Counted(&Kept(kept.collect()), RefCell::default());
        let state = Self::read_any(&whole.manifest, &source)?;
        if source.1.into_inner().len() != source.0.0.len() {
            return Err(EncodingError::Malformed("there are objects that nothing refers to".into()));
        }
        Ok(state)
    }

    /// Restores what is derived: indexes and tree.
    fn rebuild(&mut self) -> Result<(), EncodingError> {
        let mut checked = CheckedModules::new();
        for (id, canister) in &self.canisters {
            let Indexed { timer, stop, has_heartbeat, bytes, module } = indexed_as(canister);
            self.canisters_bytes = self.canisters_bytes.saturating_add(bytes);
            if let Some(module) = module {
                *self.installed.entry(module).or_default() += 1;
            }
            check(id, canister, &mut checked)
                .map_err(|what| EncodingError::Inconsistent(format!("canister {id}: {what}")))?;
            self.ready.extend(canister.turn.map(|turn| (turn, *id)));
            self.paused.extend(canister.paused.as_ref().and_then(|paused| Some((paused.place?, *id))));
            self.timers.extend(timer.map(|timer| (timer, *id)));
            self.stops.extend(stop.map(|stop| (stop, *id)));
            self.heartbeats.extend(has_heartbeat.then_some(*id));
            let deadlines =
                canister.callbacks.iter().filter_map(|(call, callback)| Some((callback.deadline?, *id, *call)));
            self.deadlines.extend(deadlines);
        }
        self.system_queue.rebuild().map_err(|what| EncodingError::Inconsistent(what.into()))?;
        self.awake.rebuild().map_err(|what| EncodingError::Inconsistent(what.into()))?;
        let installing = self.canisters.values().filter_map(|canister| canister.paused.as_ref()?.installing.as_ref());
        let mut accepted = self.preparing.iter().map(|entry| &entry.module).chain(installing.map(|it| &it.module));
        if accepted.any(|module| module.id != *blake3::hash(&module.wasm).as_bytes()) {
            return Err(EncodingError::Inconsistent("digest of a module that is being installed".into()));
        }
        for code in checked.into_values() {
            self.modules.share(&mut code.clone());
        }
        self.ingress.rebuild();
        self.plant();
        Ok(())
    }
}

/// Modules that were found to have the digest that they should have, by where their parts are.
type CheckedModules<'a> = BTreeMap<(usize, usize, usize), &'a Code>;

/// Checks what the root does not cover because it follows from what it does cover.
fn check<'a>(id: &CanisterId, canister: &'a Canister, checked: &mut CheckedModules<'a>) -> Result<(), &'static str> {
    let taken = canister.snapshots.values().filter_map(|snapshot| match &snapshot.content {
        Content::Taken(code) => Some(code),
        Content::Uploaded(_) => None,
    });
    let installing = canister.paused.as_ref().map(|paused| (&**paused.work, paused.installing.as_ref()));
    let draft = installing.and_then(|(_, installing)| installing?.draft.as_ref()).map(|draft| &draft.code);
    let fits = [
        (*id == canister.id, "stands under another id"),
        (
            canister.turn.is_some() == (canister.paused.is_none() && !canister.queue.is_empty()),
            "its turn does not fit its queue",
        ),
        (canister.paused.as_ref().is_none_or(|paused| paused.place.is_some()), "its paused message has no place"),
        (
            installing.is_none_or(|(work, installing)| matches!(work, Work::Install(_)) == installing.is_some()),
            "its paused message does not fit what it installs",
        ),
        (
            canister.queue.iter().map(|message| message.bytes()).sum::<u64>() == canister.queue_bytes,
            "bytes of its queue",
        ),
        (canister.code.iter().chain(taken).chain(draft).all(|code| is_module(code, checked)), "digest of a module"),
        (are_hashed(&canister.chunks), "hash of a chunk"),
        (canister.snapshots.values().all(|snapshot| are_hashed(&snapshot.chunks)), "hash of a snapshot's chunk"),
        (canister.snapshots.values().all(|snapshot| snapshot.bytes() == snapshot.counted()), "bytes of a snapshot"),
        (canister.snapshots.keys().all(|number| *number < canister.next_snapshot), "the next snapshot's number"),
    ];
    fits.into_iter().find(|(fits, _)| !fits).map_or(Ok(()), |(_, what)| Err(what))
}

/// Whether code has the digest that its module has. Decoding puts one value wherever parts are equal, so a module is hashed
/// once, however many canisters have it.
fn is_module<'a>(code: &'a Code, checked: &mut CheckedModules<'a>) -> bool {
    let parts =
        (Arc::as_ptr(&code.wasm) as usize, Arc::as_ptr(&code.sections) as usize, Arc::as_ptr(&code.exports) as usize);
    match checked.get(&parts) {
        Some(known) => known.digest == code.digest,
        None => code.digest == code.module_digest() && checked.insert(parts, code).is_none(),
    }
}

/// Whether each chunk stands under its SHA-256.
fn are_hashed(chunks: &OrdMap<Digest32, Arc<ByteBuf>>) -> bool {
    chunks.iter().all(|(hash, chunk)| Sha256::digest(&chunk[..])[..] == hash[..])
}
