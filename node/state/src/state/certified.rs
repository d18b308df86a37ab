//! The tree that certificates sign: the interface specification's paths and ours under `/mains`.
//!
//! Kept up to date leaf by leaf at every seal; planted whole at genesis and after decoding, with the same root.

use super::{ED25519_DER_PREFIX, State, digest};
use crate::{Canister, IngressStatus, ingress::IngressEntry};
use mains_ledger::Resource;
use mains_tree::Tree;
use mains_types::{
    CanisterId, Digest32, Height, Principal, RequestId, UnixNanos,
    ids::{CANISTER_RANGE_LENGTH, canister_id},
};
use std::collections::BTreeSet;

/// The canister ids of this subnet: its own range, and the one of the cycles ledger.
pub const CANISTER_RANGES: [(u64, u64); 2] = [(0, CANISTER_RANGE_LENGTH - 1), (0x0210_0000, 0x021f_ffff)];

/// What the tree says about the kind of subnet.
const SUBNET_TYPE: &[u8] = b"application";

impl State {
    /// Ends a height: forgets what is due, brings the tree up to date, and returns its root.
    pub fn seal(&mut self, height: Height, time: UnixNanos, block: Digest32) -> Digest32 {
        (self.height, self.time, self.block) = (height, time, block);
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.requests.extend(self.ingress.prune(time));
        let metered: BTreeSet<CanisterId> = self.ledger.touched_canisters().copied().collect();
        for (id, indexed) in &dirty.canisters {
            self.reindex(id, *indexed);
            self.certify_canister(id);
        }
        for id in &dirty.requests {
            self.certify_request(id);
        }
        for id in metered.iter().chain(dirty.canisters.keys()) {
            self.certify_meters(id);
        }
        self.certify_chain();
        self.root()
    }

    /// Puts everything into an empty tree.
    pub(super) fn plant(&mut self) {
        self.tree = Tree::new();
        self.certify_subnet();
        for id in self.canisters.keys().copied().collect::<Vec<_>>() {
            self.certify_canister(&id);
            self.certify_meters(&id);
        }
        for id in self.ingress.iter().map(|(id, _)| *id).collect::<Vec<_>>() {
            self.certify_request(&id);
        }
        self.certify_chain();
    }

    fn certify_chain(&mut self) {
        let waiting: Vec<Digest32> = self.system_queue.iter().map(|message| message.digest()).collect();
        let random: Vec<(Height, Digest32)> =
            self.random_queue.iter().map(|(asked, message)| (*asked, message.digest())).collect();
        let put_off: Vec<(CanisterId, Digest32)> =
            self.put_off.iter().map(|(about, message)| (*about, message.digest())).collect();
        let scheduler =
            digest::of(&(self.next_canister, self.next_turn, waiting, random, put_off, self.storage_cursor));
        put(&mut self.tree, &[b"time"], leb128(u128::from(self.time.get())));
        put(&mut self.tree, &[b"mains", b"height"], leb128(u128::from(self.height.get())));
        put(&mut self.tree, &[b"mains", b"state", b"block"], self.block.to_vec());
        put(&mut self.tree, &[b"mains", b"state", b"ledger"], self.ledger.digest().to_vec());
        put(&mut self.tree, &[b"mains", b"state", b"scheduler"], scheduler.to_vec());
        self.tree.insert_tree(&[&b"mains"[..], b"state", b"tokens"], self.tokens.tree().clone());
    }

    fn certify_subnet(&mut self) {
        let subnet = self.subnet.clone();
        let id = subnet.id.as_slice();
        let ranges = CANISTER_RANGES.map(|(low, high)| (canister_id(low), canister_id(high)));
        let tree = &mut self.tree;
        put(tree, &[b"subnet", id, b"public_key"], subnet.public_key_der.clone());
        put(tree, &[b"subnet", id, b"type"], SUBNET_TYPE.to_vec());
        put(tree, &[b"subnet", id, b"canister_ranges"], cbor_ranges(&ranges));
        for (node, key) in &subnet.nodes {
            let der = [&ED25519_DER_PREFIX[..], key].concat();
            put(tree, &[b"subnet", id, b"node", node.as_slice(), b"public_key"], der);
        }
        for range in &ranges {
            put(tree, &[b"canister_ranges", id, range.0.as_slice()], cbor_ranges(std::slice::from_ref(range)));
        }
        put(tree, &[b"mains", b"state", b"subnet"], digest::of(&*subnet).to_vec());
    }

    fn certify_canister(&mut self, id: &CanisterId) {
        let label = id.as_slice();
        let Some(canister) = self.canisters.get(id) else {
            self.tree.remove(&[b"canister", label]);
            self.tree.remove::<&[u8]>(&[b"mains", b"state", b"canister", label]);
            return;
        };
        let tree = &mut self.tree;
        put(tree, &[b"mains", b"state", b"canister", label], digest::canister(canister).to_vec());
        put(tree, &[b"canister", label, b"controllers"], cbor_principals(canister.settings.controllers.iter()));
        certify_code(tree, label, canister);
    }

    fn certify_meters(&mut self, id: &CanisterId) {
        let label = id.as_slice();
        if !self.canisters.contains_key(id) {
            self.tree.remove(&[b"mains", b"meter", label]);
            return;
        }
        for resource in Resource::ALL {
            let reading = self.ledger.meter(id, resource);
            if reading != 0 {
                put(&mut self.tree, &[b"mains", b"meter", label, resource.name().as_bytes()], leb128(reading));
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

fn certify_code(tree: &mut Tree, label: &[u8], canister: &Canister) {
    let Some(code) = &canister.code else {
        for leaf in [&b"module_hash"[..], b"metadata", b"certified_data"] {
            tree.remove(&[b"canister", label, leaf]);
        }
        return;
    };
    put(tree, &[b"canister", label, b"certified_data"], canister.certified_data.clone());
    if tree.leaf(&[b"canister", label, b"module_hash"]) == Some(&code.module_hash[..]) {
        return;
    }
    tree.insert(&[b"canister", label, b"module_hash"], code.module_hash.to_vec());
    let mut sections = Tree::new();
    for (name, section) in code.sections.iter() {
        sections.insert(&[name.as_bytes()], section.content.to_vec());
    }
    tree.insert_tree(&[b"canister", label, b"metadata"], sections);
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
fn put(tree: &mut Tree, path: &[&[u8]], leaf: Vec<u8>) {
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

/// `[principal, ...]` in CBOR with the self-describing tag, as `/canister/<id>/controllers` has it.
fn cbor_principals<'a>(principals: impl ExactSizeIterator<Item = &'a Principal>) -> Vec<u8> {
    let mut bytes = vec![0xd9, 0xd9, 0xf7];
    cbor_head(&mut bytes, 0x80, principals.len());
    principals.for_each(|principal| cbor_blob(&mut bytes, principal));
    bytes
}

/// `[[low, high], ...]` in CBOR with the self-describing tag, as canister ranges are written.
fn cbor_ranges(ranges: &[(CanisterId, CanisterId)]) -> Vec<u8> {
    let mut bytes = vec![0xd9, 0xd9, 0xf7];
    cbor_head(&mut bytes, 0x80, ranges.len());
    for (low, high) in ranges {
        cbor_head(&mut bytes, 0x80, 2);
        cbor_blob(&mut bytes, low);
        cbor_blob(&mut bytes, high);
    }
    bytes
}

fn cbor_blob(bytes: &mut Vec<u8>, principal: &Principal) {
    cbor_head(bytes, 0x40, principal.as_slice().len());
    bytes.extend_from_slice(principal.as_slice());
}

/// Major type and length; nothing here is longer than 255.
fn cbor_head(bytes: &mut Vec<u8>, major: u8, length: usize) {
    if length < 24 {
        bytes.push(major | length as u8);
    } else {
        bytes.extend_from_slice(&[major | 24, u8::try_from(length).expect("short lists only")]);
    }
}
