//! A snapshot of a canister: its code and memories and what belongs to them, as they were at one moment or as somebody
//! uploaded them.
//!
//! Memories are page trees, so a snapshot shares with its canister (and with other snapshots) every page that is equal.
//! Source: interface specification, "IC method take_canister_snapshot".

use crate::{Code, PageTree};
use imbl::OrdMap;
use mains_types::{Digest32, UnixNanos, limits};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How far the hook that warns of low memory has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookStatus {
    /// There is memory enough.
    #[default]
    ConditionNotSatisfied,
    /// It is to run.
    Ready,
    /// It ran, and memory is still low.
    Executed,
}

/// A global of a module by its type, as raw bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Global {
    /// 32-bit integer.
    I32(u32),
    /// 64-bit integer.
    I64(u64),
    /// 32-bit float.
    F32(u32),
    /// 64-bit float.
    F64(u64),
    /// 128-bit vector.
    V128(u128),
}

/// What was uploaded for a snapshot so far. What is missing is zero; whether all of it fits together is found out when it is
/// loaded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Upload {
    /// The module's bytes.
    pub module: PageTree,
    /// How many they are.
    pub module_bytes: u64,
    /// Values of globals that are mutable or exported, in the order of their indices.
    pub globals: Vec<Global>,
    /// The heap's content.
    pub heap: PageTree,
    /// The heap's size.
    pub heap_bytes: u64,
    /// Stable memory's content.
    pub stable: PageTree,
    /// Stable memory's size in Wasm pages.
    pub stable_pages: u64,
}

impl Upload {
    /// Bytes of module and memories, whether they were sent yet or not.
    pub fn bytes(&self) -> u64 {
        self.module_bytes + self.heap_bytes + self.stable_pages * limits::WASM_PAGE_BYTES
    }
}

/// Code and memories of a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Content {
    /// The canister's own.
    Taken(Code),
    /// Sent by a controller.
    Uploaded(Upload),
}

/// One snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was taken, or its upload begun.
    pub taken_at: UnixNanos,
    /// The canister's version then.
    pub canister_version: u64,
    /// Code and memories.
    pub content: Content,
    /// Chunks of the canister's store by SHA-256.
    pub chunks: OrdMap<Digest32, Arc<serde_bytes::ByteBuf>>,
    /// Certified data.
    #[serde(with = "serde_bytes")]
    pub certified_data: Vec<u8>,
    /// The timer, set or not; `None` if the upload does not say.
    pub global_timer: Option<Option<UnixNanos>>,
    /// The hook that warns of low memory; `None` if the upload does not say.
    pub low_memory_hook: Option<HookStatus>,
    /// Bytes that are paid for.
    bytes: u64,
}

impl Snapshot {
    /// A snapshot without chunks; `certified_data` has at most 32 bytes.
    pub fn new(taken_at: UnixNanos, canister_version: u64, content: Content, certified_data: Vec<u8>) -> Self {
        let mut snapshot = Self {
            taken_at,
            canister_version,
            content,
            chunks: OrdMap::new(),
            certified_data,
            global_timer: None,
            low_memory_hook: None,
            bytes: 0,
        };
        snapshot.bytes = snapshot.counted();
        snapshot
    }

    /// The same with these chunks.
    pub fn with_chunks(mut self, chunks: OrdMap<Digest32, Arc<serde_bytes::ByteBuf>>) -> Self {
        self.chunks = chunks;
        self.bytes = self.counted();
        self
    }

    /// Bytes that are paid for: module, memories, chunks, certified data.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it was uploaded.
    pub const fn is_upload(&self) -> bool {
        matches!(self.content, Content::Uploaded(_))
    }

    /// Adds a chunk under its SHA-256.
    pub fn insert_chunk(&mut self, hash: Digest32, chunk: Arc<serde_bytes::ByteBuf>) {
        let length = chunk.len() as u64;
        if self.chunks.insert(hash, chunk).is_none() {
            self.bytes += length;
        }
    }

    /// What [`Snapshot::bytes`] must be.
    pub(crate) fn counted(&self) -> u64 {
        let content = match &self.content {
            Content::Taken(code) => code.memory_bytes(),
            Content::Uploaded(upload) => upload.bytes(),
        };
        let chunks: u64 = self.chunks.values().map(|chunk| chunk.len() as u64).sum();
        content + chunks + self.certified_data.len() as u64
    }
}
