//! Counting what members do, and closing an epoch: income goes to those who did the work. Spec: `specs/ledger.md`.

use crate::{execute::Block, system_canisters::cycles_ledger};
use mains_state::State;
use mains_types::{Cycles, Principal, UnixNanos};

/// Counts a block, and settles if the epoch's time is over and a window of blocks ends with it.
pub(crate) fn count_block(state: &mut State, block: &Block) {
    let subnet = state.subnet.clone();
    let members = subnet.nodes.keys().map(|node| (*node, subnet.operators.get(node).copied()));
    let ended = state.epochs.count_block(members, block.proposer, &block.failed, &block.seen);
    let epoch_nanos = state.ledger.tariff().epoch_seconds.saturating_mul(UnixNanos::SECOND);
    if ended && block.time >= state.epochs.began().saturating_add_nanos(epoch_nanos) {
        settle(state, block);
    }
}

/// Pays what operators earned in the epoch before, then settles the present one: so there is an epoch's time to look at a
/// settlement before its money moves.
fn settle(state: &mut State, block: &Block) {
    let payable: Vec<(Principal, Cycles)> = state.ledger.operators().map(|(id, amount)| (*id, amount)).collect();
    let earned_in = state.epochs.last_digest();
    for (operator, amount) in payable {
        cycles_ledger::pay_out(state, &operator, amount, &earned_in);
    }
    let weights = state.epochs.weights();
    let settlement = state.ledger.settle(&weights).expect("weights of one epoch add up");
    let settled = state.epochs.close(block.height, block.time, settlement);
    tracing::info!(
        epoch = settled.epoch,
        height = %block.height,
        income = %settled.settlement.income,
        "settled"
    );
    let (epoch, from) = (settled.epoch, block.height.next());
    if let Some(tariff) = state.proposals.end_epoch(epoch, state.ledger.tariff(), from) {
        let version = tariff.version;
        state.ledger.adopt_tariff(tariff, from).expect("an amended tariff follows the one in force");
        tracing::info!(version, %from, "a new tariff");
    }
}
