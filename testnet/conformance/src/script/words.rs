//! What scripts say.

use super::{Bytes, Function as F, Number, Script, ask, copied, operations as op, system, written};

/// Replies.
pub fn reply(bytes: impl Into<Bytes>) -> Script {
    append(bytes) + answer()
}

/// Replies a number, eight bytes.
pub fn reply_number(number: impl Into<Number>) -> Script {
    reply(number.into().bytes(8))
}

/// Appends to the reply.
pub fn append(bytes: impl Into<Bytes>) -> Script {
    system(F::msg_reply_data_append, [bytes.into().into()])
}

/// Replies with what was appended.
pub fn answer() -> Script {
    system(F::msg_reply, [])
}

/// Rejects.
pub fn reject(text: impl Into<Bytes>) -> Script {
    system(F::msg_reject, [text.into().into()])
}

/// Gives up.
pub fn trap(text: impl Into<Bytes>) -> Script {
    system(F::trap, [text.into().into()])
}

/// Prints.
pub fn print(text: impl Into<Bytes>) -> Script {
    system(F::debug_print, [text.into().into()])
}

/// Sets certified data.
pub fn certify(data: impl Into<Bytes>) -> Script {
    system(F::certified_data_set, [data.into().into()])
}

/// Sets the timer.
pub fn set_timer(at: impl Into<Number>) -> Script {
    system(F::global_timer_set, [at.into().into()])
}

/// The argument, in a reply callback the reply.
pub fn argument() -> Bytes {
    copied(F::msg_arg_data_size, F::msg_arg_data_copy)
}

/// The caller.
pub fn caller() -> Bytes {
    copied(F::msg_caller_size, F::msg_caller_copy)
}

/// The canister itself.
pub fn myself() -> Bytes {
    copied(F::canister_self_size, F::canister_self_copy)
}

/// The subnet.
pub fn subnet() -> Bytes {
    copied(F::subnet_self_size, F::subnet_self_copy)
}

/// The root key, DER.
pub fn root_key() -> Bytes {
    copied(F::root_key_size, F::root_key_copy)
}

/// The certificate of certified data.
pub fn certificate() -> Bytes {
    copied(F::data_certificate_size, F::data_certificate_copy)
}

/// The inspected method's name.
pub fn method_name() -> Bytes {
    copied(F::msg_method_name_size, F::msg_method_name_copy)
}

/// Why the call was rejected.
pub fn reject_message() -> Bytes {
    copied(F::msg_reject_msg_size, F::msg_reject_msg_copy)
}

/// Reject code.
pub fn reject_code() -> Number {
    ask(F::msg_reject_code, [])
}

/// Block time.
pub fn time() -> Number {
    ask(F::time, [])
}

/// The canister's version.
pub fn version() -> Number {
    ask(F::canister_version, [])
}

/// Name of the environment variable with this index.
pub fn variable_name(index: u64) -> Bytes {
    let size = ask(F::env_var_name_size, [index.into()]);
    written(F::env_var_name_copy, size.clone(), |place| [index.into(), place.into(), 0.into(), size.into()])
}

/// An environment variable's value.
pub fn variable(name: &str) -> Bytes {
    let size = ask(F::env_var_value_size, [name.into()]);
    written(F::env_var_value_copy, size.clone(), |place| [name.into(), place.into(), 0.into(), size.into()])
}

/// Sixteen bytes that a function writes about cycles.
fn amount(function: F) -> Bytes {
    written(function, 16, |place| [place.into()])
}

/// The balance, sixteen bytes.
pub fn balance() -> Bytes {
    amount(F::canister_cycle_balance128)
}

/// The part of the balance that can be spent, sixteen bytes.
pub fn liquid() -> Bytes {
    amount(F::canister_liquid_cycle_balance128)
}

/// Cycles that can be accepted, sixteen bytes.
pub fn available() -> Bytes {
    amount(F::msg_cycles_available128)
}

/// Cycles that came back, sixteen bytes.
pub fn refunded() -> Bytes {
    amount(F::msg_cycles_refunded128)
}

/// Accepts up to so many cycles; how many it were, sixteen bytes.
pub fn accept(most: u128) -> Bytes {
    let (high, low) = halves(most);
    written(F::msg_cycles_accept128, 16, |place| [high.into(), low.into(), place.into()])
}

/// Burns up to so many cycles; how many it were, sixteen bytes.
pub fn burn(most: u128) -> Bytes {
    let (high, low) = halves(most);
    written(F::cycles_burn128, 16, |place| [high.into(), low.into(), place.into()])
}

/// Attaches cycles to the call that was begun.
pub fn add_cycles(amount: u128) -> Script {
    let (high, low) = halves(amount);
    system(F::call_cycles_add128, [high.into(), low.into()])
}

fn halves(amount: u128) -> (u64, u64) {
    ((amount >> 64) as u64, amount as u64)
}

/// Evaluates an expression and forgets it.
pub fn forget(bytes: Bytes) -> Script {
    Script([bytes.0, vec![op::DROP]].concat())
}

/// The same for a number.
pub fn ignore(number: Number) -> Script {
    Script([number.0, vec![op::DROP]].concat())
}

/// Does the one if the condition is not 0, else the other.
pub fn when(condition: impl Into<Number>, then: Script, otherwise: Script) -> Script {
    Script([condition.into().0, Bytes::from(then).0, Bytes::from(otherwise).0, vec![op::IF]].concat())
}

/// Does it so many times.
pub fn repeat(times: impl Into<Number>, script: Script) -> Script {
    Script([times.into().0, Bytes::from(script).0, vec![op::REPEAT]].concat())
}

/// Runs bytes as a script.
pub fn run(script: impl Into<Bytes>) -> Script {
    Script([script.into().0, vec![op::RUN]].concat())
}

/// Sets the bytes that the heap keeps.
pub fn keep(bytes: impl Into<Bytes>) -> Script {
    Script([bytes.into().0, vec![op::KEEP]].concat())
}

/// The bytes that the heap keeps.
pub fn kept() -> Bytes {
    Bytes(vec![op::KEPT])
}

/// What a hook (see [`op`]) does from now on.
pub fn on(hook: u8, script: Script) -> Script {
    Script([Bytes::from(script).0, vec![op::HOOK, hook]].concat())
}

/// Grows the heap by pages; its former size, or all ones.
pub fn grow(pages: u64) -> Number {
    Number([Number::from(pages).0, vec![op::GROW]].concat())
}

/// Reads the heap, wherever.
pub fn load(from: u64, count: u64) -> Bytes {
    Bytes([Number::from(from).0, Number::from(count).0, vec![op::LOAD]].concat())
}

/// Breaks a rule of Wasm (see [`op`]).
pub fn fault(kind: u8) -> Script {
    Script(vec![op::FAULT, kind])
}

/// Goes round a loop so many times.
pub fn spin(times: u64) -> Script {
    Script([Number::from(times).0, vec![op::SPIN]].concat())
}

/// Keeps a value until the run ends.
pub fn set(register: u8, bytes: impl Into<Bytes>) -> Script {
    Script([bytes.into().0, vec![op::SET, register]].concat())
}

/// The same for a number.
pub fn set_number(register: u8, number: impl Into<Number>) -> Script {
    Script([number.into().0, vec![op::SET, register]].concat())
}

/// What [`set`] kept.
pub fn get(register: u8) -> Bytes {
    Bytes(vec![op::GET, register])
}

/// What [`set_number`] kept.
pub fn get_number(register: u8) -> Number {
    Number(vec![op::GET, register])
}

/// Stable memory by the 64-bit functions: writes.
pub fn stable_write(offset: u64, bytes: impl Into<Bytes>) -> Script {
    // The function wants the offset before the place: the pair that bytes become comes last.
    system(F::stable64_write, [offset.into(), bytes.into().into()])
}

/// Stable memory by the 64-bit functions: reads.
pub fn stable_read(offset: u64, count: u64) -> Bytes {
    written(F::stable64_read, count, |place| [place.into(), offset.into(), count.into()])
}

/// Stable memory by the 64-bit functions: grows; its former size, or all ones.
pub fn stable_grow(pages: u64) -> Number {
    ask(F::stable64_grow, [pages.into()])
}

/// Stable memory by the 64-bit functions: its size in pages.
pub fn stable_size() -> Number {
    ask(F::stable64_size, [])
}
