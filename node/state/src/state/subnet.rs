//! What the certified tree says about the subnet as a whole and about its built-in canisters.

use super::{ED25519_DER_PREFIX, State, certified::put, digest};
use crate::{built_in::BuiltIn, tokens::Table};
use mains_ledger::Resource;
use mains_types::{
    CanisterId, Principal,
    ids::{CANISTER_RANGE_LENGTH, canister_id},
};

/// The canister ids of this subnet: its own range, and the one of the cycles ledger.
pub const CANISTER_RANGES: [(u64, u64); 2] = [(0, CANISTER_RANGE_LENGTH - 1), (0x0210_0000, 0x021f_ffff)];

/// What the tree says about the kind of subnet.
const SUBNET_TYPE: &[u8] = b"application";

impl State {
    /// What does not change: keys, ranges, interfaces of built-in canisters.
    pub(super) fn certify_subnet(&mut self) {
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
        for built_in in BuiltIn::all(&subnet) {
            let canister = built_in.id();
            let interface = built_in.interface().as_bytes().to_vec();
            put(tree, &[b"canister", canister.as_slice(), b"metadata", b"candid:service"], interface);
            put(tree, &[b"canister", canister.as_slice(), b"controllers"], cbor_principals([].iter()));
        }
        put(tree, &[b"mains", b"state", b"subnet"], digest::of(&*subnet).to_vec());
    }

    /// What built-in canisters certify.
    pub(super) fn certify_built_in(&mut self) {
        for built_in in BuiltIn::all(&self.subnet.clone()) {
            let id = built_in.id();
            if let Some(data) = self.tokens.get(Table::CertifiedData, id.as_slice()) {
                let data = data.to_vec();
                put(&mut self.tree, &[b"canister", id.as_slice(), b"certified_data"], data);
            }
        }
    }

    /// `/subnet/<id>/metrics` (interface specification, "Subnet information").
    pub(super) fn certify_metrics(&mut self) {
        let consumed: u128 = Resource::ALL.iter().map(|resource| self.ledger.charged(*resource).get()).sum();
        let mut bytes = vec![0xd9, 0xd9, 0xf7, 0xa4];
        cbor_text(&mut bytes, "num_canisters");
        cbor_number(&mut bytes, self.canisters.len() as u64);
        cbor_text(&mut bytes, "canister_state_bytes");
        cbor_number(&mut bytes, self.canisters_bytes);
        cbor_text(&mut bytes, "consumed_cycles_total");
        // A low and a high half; the latter is null while it is zero.
        bytes.extend([0xa2, 0x00]);
        cbor_number(&mut bytes, consumed as u64);
        bytes.push(0x01);
        match (consumed >> 64) as u64 {
            0 => bytes.push(0xf6),
            high => cbor_number(&mut bytes, high),
        }
        cbor_text(&mut bytes, "update_transactions_total");
        cbor_number(&mut bytes, self.metrics.messages);
        let subnet = self.subnet.id;
        put(&mut self.tree, &[b"subnet", subnet.as_slice(), b"metrics"], bytes);
    }
}

/// `[principal, ...]` in CBOR with the self-describing tag, as `/canister/<id>/controllers` has it.
pub(super) fn cbor_principals<'a>(principals: impl ExactSizeIterator<Item = &'a Principal>) -> Vec<u8> {
    let mut bytes = vec![0xd9, 0xd9, 0xf7];
    cbor_head(&mut bytes, 0x80, principals.len() as u64);
    principals.for_each(|principal| cbor_blob(&mut bytes, principal));
    bytes
}

/// `[[low, high], ...]` in CBOR with the self-describing tag, as canister ranges are written.
fn cbor_ranges(ranges: &[(CanisterId, CanisterId)]) -> Vec<u8> {
    let mut bytes = vec![0xd9, 0xd9, 0xf7];
    cbor_head(&mut bytes, 0x80, ranges.len() as u64);
    for (low, high) in ranges {
        cbor_head(&mut bytes, 0x80, 2);
        cbor_blob(&mut bytes, low);
        cbor_blob(&mut bytes, high);
    }
    bytes
}

fn cbor_blob(bytes: &mut Vec<u8>, principal: &Principal) {
    cbor_head(bytes, 0x40, principal.as_slice().len() as u64);
    bytes.extend_from_slice(principal.as_slice());
}

fn cbor_text(bytes: &mut Vec<u8>, text: &str) {
    cbor_head(bytes, 0x60, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn cbor_number(bytes: &mut Vec<u8>, number: u64) {
    cbor_head(bytes, 0x00, number);
}

/// Major type and length or number, in the shortest form.
fn cbor_head(bytes: &mut Vec<u8>, major: u8, number: u64) {
    match number {
        0..24 => bytes.push(major | number as u8),
        24..0x100 => bytes.extend([major | 24, number as u8]),
        0x100..0x1_0000 => {
            bytes.push(major | 25);
            bytes.extend((number as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            bytes.push(major | 26);
            bytes.extend((number as u32).to_be_bytes());
        }
        _ => {
            bytes.push(major | 27);
            bytes.extend(number.to_be_bytes());
        }
    }
}
