//! The modules that canisters run, so that canisters with equal ones hold one. Derived, never encoded.

use super::State;
use crate::{Code, Exports, Section, snapshot::Content};
use imbl::OrdMap;
use mains_tree::Tree;
use mains_types::Digest32;
use serde_bytes::ByteBuf;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
};

/// Modules below which nobody looks whether some are no longer used.
const SWEEP_MIN: usize = 256;

/// All modules in use, by their digests.
#[derive(Clone, Debug, Default)]
pub(super) struct Modules {
    parts: OrdMap<Digest32, Parts>,
    /// How many there may be before unused ones are looked for.
    sweep_at: usize,
}

#[derive(Clone, Debug)]
struct Parts {
    wasm: Weak<ByteBuf>,
    sections: Weak<BTreeMap<String, Section>>,
    exports: Weak<Exports>,
    metadata: Tree,
}

impl Modules {
    /// Puts the parts that are held already in the place of equal ones, or remembers these.
    pub(super) fn share(&mut self, code: &mut Code) {
        if let Some(parts) = self.parts.get(&code.digest)
            && let (Some(wasm), Some(sections), Some(exports)) =
                (parts.wasm.upgrade(), parts.sections.upgrade(), parts.exports.upgrade())
        {
            (code.wasm, code.sections, code.exports) = (wasm, sections, exports);
            return;
        }
        if self.parts.len() >= self.sweep_at.max(SWEEP_MIN) {
            let used = |parts: &Parts| parts.wasm.strong_count() > 0;
            self.parts =
                self.parts.iter().filter(|(_, parts)| used(parts)).map(|(id, parts)| (*id, parts.clone())).collect();
            self.sweep_at = 2 * self.parts.len();
        }
        let parts = Parts {
            wasm: Arc::downgrade(&code.wasm),
            sections: Arc::downgrade(&code.sections),
            exports: Arc::downgrade(&code.exports),
            metadata: metadata(code),
        };
        self.parts.insert(code.digest, parts);
    }

    /// What stands at `/canister/<id>/metadata`.
    pub(super) fn metadata(&self, code: &Code) -> Tree {
        self.parts.get(&code.digest).map_or_else(|| metadata(code), |parts| parts.metadata.clone())
    }
}

impl State {
    /// All modules that may be run on this state without being installed first, each once: those of canisters, of snapshots taken
    /// of them, and of installs under way. Calls whose modules wait for their turn in the lane are not under way yet.
    pub fn modules(&self) -> Vec<Arc<ByteBuf>> {
        let mut met = BTreeSet::new();
        let mut modules = Vec::new();
        let mut meet = |wasm: &Arc<ByteBuf>| {
            // The address tells no more than which are one.
            if met.insert(Arc::as_ptr(wasm) as usize) {
                modules.push(wasm.clone());
            }
        };
        for canister in self.canisters.values() {
            let taken = canister.snapshots.values().filter_map(|snapshot| match &snapshot.content {
                Content::Taken(code) => Some(code),
                Content::Uploaded(_) => None,
            });
            let installing = canister.paused.as_ref().and_then(|paused| paused.installing.as_ref());
            let draft = installing.and_then(|installing| installing.draft.as_ref()).map(|draft| &draft.code);
            canister.code.iter().chain(taken).chain(draft).for_each(|code| meet(&code.wasm));
            installing.iter().for_each(|installing| meet(&installing.module.wasm));
        }
        self.preparing.iter().filter(|entry| entry.due.is_some()).for_each(|entry| meet(&entry.module.wasm));
        modules
    }
}

fn metadata(code: &Code) -> Tree {
    let mut tree = Tree::new();
    for (name, section) in code.sections.iter() {
        tree.insert(&[name.as_bytes()], section.content.to_vec());
    }
    tree
}
