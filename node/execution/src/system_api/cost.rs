//! What things cost, asked by canisters before they do them.

use super::{Modes, SystemApi, heap};
use crate::engine::Trap;
use mains_types::Cycles;

/// The answer of `cost_sign_*` for a curve or algorithm that the specification does not have.
const UNKNOWN_CURVE: u32 = 1;
/// The answer for a key that this subnet does not hold: it holds none.
const UNKNOWN_KEY: u32 = 2;

impl SystemApi {
    /// What a call costs beyond the cycles attached: its fee and what is set aside for its response.
    pub fn cost_call(
        &mut self,
        heap: &mut [u8],
        method_name_size: u64,
        payload_size: u64,
        dst: u64,
    ) -> Result<(), Trap> {
        self.enter("cost_call", Modes::EVERYWHERE)?;
        let prices = self.inputs.prices;
        let fee = prices.fee(method_name_size.saturating_add(payload_size));
        heap::write_cycles(heap, dst, fee.saturating_add(prices.response_reserve))
    }

    /// What creating a canister costs.
    pub fn cost_create_canister(&mut self, heap: &mut [u8], dst: u64) -> Result<(), Trap> {
        self.enter("cost_create_canister", Modes::EVERYWHERE)?;
        heap::write_cycles(heap, dst, self.inputs.prices.canister_creation)
    }

    /// What an HTTP request costs: nothing, the management canister rejects it.
    pub fn cost_http_request(
        &mut self,
        heap: &mut [u8],
        _request_size: u64,
        _max_response_bytes: u64,
        dst: u64,
    ) -> Result<(), Trap> {
        self.enter("cost_http_request", Modes::EVERYWHERE)?;
        heap::write_cycles(heap, dst, Cycles::ZERO)
    }

    /// What a threshold ECDSA signature costs: this subnet has no such key.
    pub fn cost_sign_with_ecdsa(
        &mut self,
        heap: &mut [u8],
        src: u64,
        size: u64,
        curve: u32,
        _dst: u64,
    ) -> Result<u32, Trap> {
        self.enter("cost_sign_with_ecdsa", Modes::EVERYWHERE)?;
        key_price(heap, src, size, curve == 0)
    }

    /// What a threshold Schnorr signature costs: this subnet has no such key.
    pub fn cost_sign_with_schnorr(
        &mut self,
        heap: &mut [u8],
        src: u64,
        size: u64,
        algorithm: u32,
        _dst: u64,
    ) -> Result<u32, Trap> {
        self.enter("cost_sign_with_schnorr", Modes::EVERYWHERE)?;
        key_price(heap, src, size, algorithm <= 1)
    }

    /// What a verifiably encrypted key costs: this subnet has no such key.
    pub fn cost_vetkd_derive_key(
        &mut self,
        heap: &mut [u8],
        src: u64,
        size: u64,
        curve: u32,
        _dst: u64,
    ) -> Result<u32, Trap> {
        self.enter("cost_vetkd_derive_key", Modes::EVERYWHERE)?;
        key_price(heap, src, size, curve == 0)
    }
}

fn key_price(heap: &[u8], src: u64, size: u64, curve_is_known: bool) -> Result<u32, Trap> {
    heap::read(heap, src, size)?;
    Ok(if curve_is_known { UNKNOWN_KEY } else { UNKNOWN_CURVE })
}
