//! A canister's bill since its creation, as of a state.

use mains_ledger::{Footprint, Moment, Reading, Statement};
use mains_state::{Canister, State};
use mains_types::CanisterId;

/// The statement of a canister over its whole life. One that never held or used anything has an empty one.
pub fn statement(state: &State, canister: CanisterId) -> Statement {
    let footprint = state.canister(&canister).map_or_else(Footprint::default, Canister::footprint);
    let at = Moment { height: state.height, time: state.time };
    state.ledger.statement(&canister, None, at, &footprint).unwrap_or_else(|| {
        let nothing = Reading { at, tariff_version: state.ledger.tariff().version, account: Default::default() };
        Statement::between(canister, &nothing, &nothing, state.ledger.tariff(), Some(&footprint))
    })
}
