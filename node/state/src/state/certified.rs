//! The tree that certificates sign: the interface specification's paths and ours under `/mains`.
//!
//! Kept up to date leaf by leaf at every seal; planted whole at genesis and after decoding, with the same root. What it says
//! about the subnet and its built-in canisters stands in `state/subnet.rs`.

use super::{State, digest, modules::Modules, subnet::cbor_principals};
use crate::{Canister, IngressStatus, ingress::IngressEntry};
use mains_tree::Tree;
use mains_types::{CanisterId, Digest32, Height, RequestId, UnixNanos};
use std::{collections::BTreeSet, sync::Arc};

impl State {
    /// Ends a height: forgets what is due, brings the tree up to date, and returns its root.
    pub fn seal(&mut self, height: Height, time: UnixNanos, block: Digest32) -> Digest32 {
        (self.height, self.time, self.block) = (height, time, block);
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.requests.extend(self.ingress.prune(time));
        let metered: BTreeSet<CanisterId> = self.ledger.touched_canisters().copied().collect();
        for (id, indexed) in &dirty.canisters {
            if let Some(canister) = self.canisters.get_mut(id) {
                Arc::make_mut(canister).shed();
            }
            self.reindex(id, *indexed);
            self.certify_canister(id);
        }
        for id in &dirty.requests {
            self.certify_request(id);
        }
        for id in metered.iter().chain(dirty.canisters.keys()) {
            self.certify_account(id);
        }
        self.claimed_bytes = 0;
        self.ledger.close_journal();
        self.certify_chain();
        self.root()
    }

    /// Puts everything into an empty tree.
    pub(super) fn plant(&mut self) {
        self.tree = Tree::new();
        self.certify_subnet();
        for id in self.canisters.keys().copied().collect::<Vec<_>>() {
            self.certify_canister(&id);
            self.certify_account(&id);
        }
        for id in self.ingress.iter().map(|(id, _)| *id).collect::<Vec<_>>() {
            self.certify_request(&id);
        }
        for tariff in self.ledger.tariffs().cloned().collect::<Vec<_>>() {
            put(&mut self.tree, &[b"mains", b"tariff", &tariff.version.to_be_bytes()], tariff.encode());
        }
        self.certify_chain();
    }

    fn certify_chain(&mut self) {
        let scheduler = digest::of(&(
            (self.next_canister, self.next_turn, self.storage_cursor),
            (self.system_queue.summary(), self.preparing_summary(), self.preparing_place),
            &self.awake,
        ));
        put(&mut self.tree, &[b"time"], leb128(u128::from(self.time.get())));
        put(&mut self.tree, &[b"mains", b"height"], leb128(u128::from(self.height.get())));
        put(&mut self.tree, &[b"mains", b"version"], leb128(u128::from(self.protocol.version())));
        put(&mut self.tree, &[b"mains", b"state", b"protocol"], self.protocol.digest().to_vec());
        put(&mut self.tree, &[b"mains", b"state", b"block"], self.block.to_vec());
        let tariff = self.ledger.tariff();
        put(&mut self.tree, &[b"mains", b"tariff", &tariff.version.to_be_bytes()], tariff.encode());
        put(&mut self.tree, &[b"mains", b"journal"], self.ledger.journal_head().to_vec());
        put(&mut self.tree, &[b"mains", b"state", b"ledger"], self.ledger.digest().to_vec());
        put(&mut self.tree, &[b"mains", b"state", b"scheduler"], scheduler.to_vec());
        put(&mut self.tree, &[b"mains", b"state", b"metrics"], self.metrics.digest().to_vec());
        put(&mut self.tree, &[b"mains", b"state", b"epochs"], self.epochs.digest().to_vec());
        put(&mut self.tree, &[b"mains", b"state", b"proposals"], self.proposals.digest().to_vec());
        self.tree.insert_tree(&[&b"mains"[..], b"state", b"tokens"], self.tokens.tree().clone());
        self.certify_metrics();
        self.certify_settlements();
        self.certify_built_in();
    }

    /// The settlements that are kept. Those that are there already never change.
    fn certify_settlements(&mut self) {
        let path = |epoch: u64| [b"mains".to_vec(), b"settlement".to_vec(), epoch.to_be_bytes().to_vec()];
        for settled in self.epochs.settled().rev() {
            if self.tree.leaf(&path(settled.epoch)).is_some() {
                break;
            }
            self.tree.insert(&path(settled.epoch), settled.encode());
        }
        let oldest = self.epochs.settled().next().map_or(0, |settled| settled.epoch);
        if let Some(forgotten) = oldest.checked_sub(1) {
            self.tree.remove(&path(forgotten));
        }
    }

    fn certify_canister(&mut self, id: &CanisterId) {
        let label = id.as_slice();
        let Some(canister) = self.canisters.get(id) else {
            self.tree.remove(&[b"canister", label]);
            self.tree.remove::<&[u8]>(&[b"mains", b"state", b"canister", label]);
            self.tree.remove::<&[u8]>(&[b"mains", b"footprint", label]);
            return;
        };
        let (tree, modules) = (&mut self.tree, &self.modules);
        put(tree, &[b"mains", b"state", b"canister", label], digest::canister(canister).to_vec());
        put(tree, &[b"mains", b"footprint", label], canister.footprint().encode().to_vec());
        put(tree, &[b"canister", label, b"controllers"], cbor_principals(canister.settings.controllers.iter()));
        let created_at = leb128(u128::from(canister.created_at.get()));
        put(tree, &[b"canister", label, b"canister_creation_timestamp"], created_at);
        certify_code(tree, modules, label, canister);
    }

    fn certify_account(&mut self, id: &CanisterId) {
        let label = id.as_slice();
        match self.ledger.canister(id).filter(|_| self.canisters.contains_key(id)) {
            Some(account) => put(&mut self.tree, &[b"mains", b"account", label], account.encode()),
            None => {
                self.tree.remove::<&[u8]>(&[b"mains", b"account", label]);
            }
        }
    }

    fn certify_request(&mut self, id: &RequestId) {
        let path: [&[u8]; 2] = [b"request_status", &id.0];
        match self.ingress.get(id) {
            Some(entry) => self.tree.insert_tree(&path, request_tree(entry)),
            None => {
                self.tree.remove(&path);
            }
        }
    }
}

fn certify_code(tree: &mut Tree, modules: &Modules, label: &[u8], canister: &Canister) {
    let Some(code) = &canister.code else {
        for leaf in [&b"module_hash"[..], b"metadata", b"certified_data", b"last_install_timestamp"] {
            tree.remove(&[b"canister", label, leaf]);
        }
        return;
    };
    put(tree, &[b"canister", label, b"certified_data"], canister.certified_data.clone());
    if let Some(installed_at) = canister.installed_at {
        put(tree, &[b"canister", label, b"last_install_timestamp"], leb128(u128::from(installed_at.get())));
    }
    if tree.leaf(&[b"canister", label, b"module_hash"]) == Some(&code.module_hash[..]) {
        return;
    }
    tree.insert(&[b"canister", label, b"module_hash"], code.module_hash.to_vec());
    tree.insert_tree(&[b"canister", label, b"metadata"], modules.metadata(code));
}

fn request_tree(entry: &IngressEntry) -> Tree {
    let mut tree = Tree::new();
    tree.insert(&[b"status"], entry.status.name().as_bytes().to_vec());
    tree.insert(&[b"cost"], leb128(entry.cost.get()));
    tree.insert(&[b"entry"], digest::of(entry).to_vec());
    match &entry.status {
        IngressStatus::Replied(reply) => tree.insert(&[b"reply"], reply.to_vec()),
        IngressStatus::Rejected(reject) => {
            tree.insert(&[b"reject_code"], leb128(reject.code as u128));
            tree.insert(&[b"reject_message"], reject.message.as_bytes().to_vec());
            if let Some(code) = reject.error_code {
                tree.insert(&[b"error_code"], code.text().into_bytes());
            }
        }
        IngressStatus::Received | IngressStatus::Processing | IngressStatus::Done => {}
    }
    tree
}

/// Puts a leaf unless the same one is there: that would make its branch hash again.
pub(super) fn put(tree: &mut Tree, path: &[&[u8]], leaf: Vec<u8>) {
    if tree.leaf(path) != Some(&leaf[..]) {
        tree.insert(path, leaf);
    }
}

/// A natural number as the interface specification writes it: seven bits a byte, least first.
pub fn leb128(mut number: u128) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10);
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
