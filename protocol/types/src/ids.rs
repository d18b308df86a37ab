//! Who is who: principals of canisters, nodes, subnets and the ids of requests.

pub use candid::Principal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A canister's principal (opaque class, 10 bytes: index as u64 big endian, then `01 01`).
pub type CanisterId = Principal;
/// A node's principal: self-authenticating over the DER form of its ed25519 key.
pub type NodeId = Principal;
/// A subnet's principal: self-authenticating over the DER form of its BLS key.
pub type SubnetId = Principal;

/// How many canister ids a subnet's range holds.
pub const CANISTER_RANGE_LENGTH: u64 = 1 << 20;

/// Index of the first canister id that a subnet hands out; the ids below belong to built-in system canisters.
pub const FIRST_CANISTER_INDEX: u64 = 0x100;

/// The canister id with this index: the index as eight big-endian bytes, then `01 01`.
pub fn canister_id(index: u64) -> CanisterId {
    let mut bytes = [1u8; 10];
    bytes[..8].copy_from_slice(&index.to_be_bytes());
    Principal::from_slice(&bytes)
}

/// The index of a canister id made by [`canister_id`], or `None` for any other principal.
pub fn canister_index(id: &CanisterId) -> Option<u64> {
    match id.as_slice() {
        [index @ .., 1, 1] if index.len() == 8 => Some(u64::from_be_bytes(index.try_into().ok()?)),
        _ => None,
    }
}

/// The ICP-ledger surface of test networks: `ryjl3-tyaaa-aaaaa-aaaba-cai`.
pub fn icp_ledger_id() -> CanisterId {
    canister_id(2)
}

/// The cycles minting canister's surface: `rkp4c-7iaaa-aaaaa-aaaca-cai`.
pub fn cycles_minting_id() -> CanisterId {
    canister_id(4)
}

/// The utility (tariff, settlements, alerts): `nsrxe-iiaaa-aaaaa-aacaa-cai`. Mains' own; the Internet Computer has nothing at this id.
pub fn utility_id() -> CanisterId {
    canister_id(0x80)
}

/// The cycles ledger: `um5iw-rqaaa-aaaaq-qaaba-cai`.
pub fn cycles_ledger_id() -> CanisterId {
    canister_id(0x0210_0002)
}

/// Whether nobody pays for a client's call to this canister: it is one of the built-in ledgers, whose callers have no canister.
pub fn is_unpaid(callee: &CanisterId) -> bool {
    [cycles_ledger_id(), cycles_minting_id(), icp_ledger_id(), utility_id()].contains(callee)
}

/// The id of a request: the representation-independent SHA-256 hash of its content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub [u8; 32]);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_canisters_carry_their_known_texts() {
        assert_eq!(icp_ledger_id().to_text(), "ryjl3-tyaaa-aaaaa-aaaba-cai");
        assert_eq!(cycles_minting_id().to_text(), "rkp4c-7iaaa-aaaaa-aaaca-cai");
        assert_eq!(cycles_ledger_id().to_text(), "um5iw-rqaaa-aaaaq-qaaba-cai");
        assert_eq!(utility_id().to_text(), "nsrxe-iiaaa-aaaaa-aacaa-cai");
    }

    #[test]
    fn an_index_survives_the_round_trip_through_an_id() {
        for index in [0, 1, FIRST_CANISTER_INDEX, CANISTER_RANGE_LENGTH, u64::MAX] {
            assert_eq!(canister_index(&canister_id(index)), Some(index));
        }
        assert_eq!(canister_index(&Principal::anonymous()), None);
        assert_eq!(canister_index(&Principal::management_canister()), None);
    }
}
