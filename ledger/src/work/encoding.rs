//! The canonical bytes of a settlement, as certified under `/mains/settlement/<epoch>`.

use super::{Earned, NodeWork, Settled};
use crate::{
    Settlement,
    readings::{leb128, number},
};
use mains_types::{Cycles, Height, Principal, UnixNanos};
use std::collections::BTreeMap;

impl Settled {
    /// Its bytes: LEB128 numbers, one after another: epoch, first and last height, the times (nanoseconds) of its begin and
    /// end, income, what went to reserve, commons and rounding, count of nodes; then for each node in the order of their ids
    /// node and operator (a byte of length and the principal), windows, voted, certified, proposed, failed, amount.
    pub fn encode(&self) -> Vec<u8> {
        let Self { epoch, first, last, began, ended, nodes, settlement } = self;
        // What operators got stands in the nodes' lines.
        let Settlement { income, operators: _, reserve, commons, rounding } = settlement;
        let mut bytes = Vec::with_capacity(64 + 96 * nodes.len());
        for number in [*epoch, first.get(), last.get(), began.get(), ended.get()] {
            leb128(&mut bytes, u128::from(number));
        }
        for amount in [income, reserve, commons, rounding] {
            leb128(&mut bytes, amount.get());
        }
        leb128(&mut bytes, nodes.len() as u128);
        for (node, Earned { operator, work, amount }) in nodes {
            for principal in [node, operator] {
                bytes.push(principal.as_slice().len() as u8);
                bytes.extend_from_slice(principal.as_slice());
            }
            let NodeWork { windows, voted, certified, proposed, failed } = work;
            for number in [windows, voted, certified, proposed, failed] {
                leb128(&mut bytes, u128::from(*number));
            }
            leb128(&mut bytes, *amount);
        }
        bytes
    }

    /// Reads what [`Settled::encode`] writes; `None` for anything else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let (epoch, first, last) = (short(bytes)?, Height(short(bytes)?), Height(short(bytes)?));
        let (began, ended) = (UnixNanos(short(bytes)?), UnixNanos(short(bytes)?));
        let mut settlement = Settlement { income: Cycles(number(bytes)?), ..Settlement::default() };
        for amount in [&mut settlement.reserve, &mut settlement.commons, &mut settlement.rounding] {
            *amount = Cycles(number(bytes)?);
        }
        let mut nodes = BTreeMap::new();
        for _ in 0..short(bytes)? {
            let (node, operator) = (principal(bytes)?, principal(bytes)?);
            let mut work = NodeWork::default();
            let NodeWork { windows, voted, certified, proposed, failed } = &mut work;
            for count in [windows, voted, certified, proposed, failed] {
                *count = short(bytes)?;
            }
            let amount = number(bytes)?;
            settlement.operators.push((operator, Cycles(amount)));
            if nodes.last_key_value().is_some_and(|(before, _)| *before >= node) {
                return None;
            }
            nodes.insert(node, Earned { operator, work, amount });
        }
        bytes.is_empty().then_some(Self { epoch, first, last, began, ended, nodes, settlement })
    }
}

fn short(bytes: &mut &[u8]) -> Option<u64> {
    u64::try_from(number(bytes)?).ok()
}

fn principal(bytes: &mut &[u8]) -> Option<Principal> {
    let (length, rest) = bytes.split_first()?;
    let (principal, rest) = rest.split_at_checked(usize::from(*length))?;
    *bytes = rest;
    Principal::try_from_slice(principal).ok()
}
