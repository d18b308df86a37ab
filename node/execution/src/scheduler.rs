//! The order of a round: canisters take turns, one message each; calls they make are delivered in the same round.
//!
//! One paused message gets its next slice first, whatever else waits. A message that was not begun yet gets one slice in its
//! turn. So long messages cannot keep others from running, and others cannot keep them.
//!
//! Built-in canisters take a turn before each canister's and have a budget of their own, so that long installs and canisters
//! cannot starve each other. Installs whose modules had their time to be compiled go first, then senders take turns. What does not
//! fit stays in its queue for the next block, in its order.

use crate::{execute::Round, run, slices, system_calls};
use mains_types::limits;

/// Runs messages until the round is used up or nothing is left to do.
pub(crate) fn run(round: &mut Round<'_>) {
    slices::next(round);
    while round.messages < limits::ROUND_MESSAGES_MAX {
        let before = round.messages;
        // First: a call about a canister that was paused must not find it paused by its next message.
        if round.takes_system_calls() {
            let has_run = if let Some(prepared) = round.state.take_prepared() {
                system_calls::run_prepared(round, prepared);
                true
            } else if let Some(message) = round.state.system_queue.pop() {
                system_calls::run_or_put_off(round, message);
                true
            } else {
                false
            };
            round.messages += usize::from(has_run);
        }
        if round.takes_messages()
            && let Some((canister, message)) = round.state.dequeue()
        {
            let code = round.state.canister(&canister).and_then(|canister| canister.code.as_ref());
            round.modules.extend(code.map(|code| code.module_hash));
            run::message(round, &canister, message);
            round.messages += 1;
        }
        if round.messages == before {
            return;
        }
    }
}
