//! The functions a canister may import from `ic0`, as data: validation and linker read the same table.
//!
//! Source: Internet Computer interface specification 0.66, "System imports" (74 functions), and the two `mint_cycles`
//! functions that its reference tests' canister imports (they trap unless the cycles minting canister calls them).

/// Hands every function of the system interface to the macro `$with`, one row each:
///
/// `width memory fn name(parameters) -> result;`
/// - width: `any` module may import it, or only `narrow` ones (with 32-bit memory or none);
/// - memory: whether the method of `SystemApi` gets the `heap`, nothing (`plain`), or the instructions used so far (`counter`);
/// - types: `P` is pointer-sized, `u32` an `i32`, `u64` an `i64`.
macro_rules! system_interface {
    ($with:ident) => {
        $with! {
            any plain fn msg_arg_data_size() -> P;
            any heap fn msg_arg_data_copy(dst: P, offset: P, size: P);
            any plain fn msg_caller_size() -> P;
            any heap fn msg_caller_copy(dst: P, offset: P, size: P);
            any plain fn msg_caller_info_data_size() -> P;
            any heap fn msg_caller_info_data_copy(dst: P, offset: P, size: P);
            any plain fn msg_caller_info_signer_size() -> P;
            any heap fn msg_caller_info_signer_copy(dst: P, offset: P, size: P);
            any plain fn msg_reject_code() -> u32;
            any plain fn msg_reject_msg_size() -> P;
            any heap fn msg_reject_msg_copy(dst: P, offset: P, size: P);
            any plain fn msg_deadline() -> u64;
            any heap fn msg_reply_data_append(src: P, size: P);
            any plain fn msg_reply();
            any heap fn msg_reject(src: P, size: P);
            any plain fn msg_method_name_size() -> P;
            any heap fn msg_method_name_copy(dst: P, offset: P, size: P);
            any plain fn accept_message();

            any heap fn msg_cycles_available128(dst: P);
            any heap fn msg_cycles_refunded128(dst: P);
            any heap fn msg_cycles_accept128(max_high: u64, max_low: u64, dst: P);
            any heap fn cycles_burn128(amount_high: u64, amount_low: u64, dst: P);
            any heap fn canister_cycle_balance128(dst: P);
            any heap fn canister_liquid_cycle_balance128(dst: P);
            narrow plain fn msg_cycles_available() -> u64;
            narrow plain fn msg_cycles_refunded() -> u64;
            narrow plain fn msg_cycles_accept(max: u64) -> u64;
            narrow plain fn canister_cycle_balance() -> u64;
            any plain fn mint_cycles(amount: u64) -> u64;
            any heap fn mint_cycles128(amount_high: u64, amount_low: u64, dst: P);

            any plain fn canister_self_size() -> P;
            any heap fn canister_self_copy(dst: P, offset: P, size: P);
            any plain fn canister_status() -> u32;
            any plain fn canister_version() -> u64;
            any plain fn subnet_self_size() -> P;
            any heap fn subnet_self_copy(dst: P, offset: P, size: P);
            any heap fn is_controller(src: P, size: P) -> u32;
            any plain fn in_replicated_execution() -> u32;

            any heap fn call_new(
                callee_src: P, callee_size: P, name_src: P, name_size: P,
                reply_fun: P, reply_env: P, reject_fun: P, reject_env: P
            );
            any plain fn call_on_cleanup(fun: P, env: P);
            any heap fn call_data_append(src: P, size: P);
            any plain fn call_with_best_effort_response(timeout_seconds: u32);
            narrow plain fn call_cycles_add(amount: u64);
            any plain fn call_cycles_add128(amount_high: u64, amount_low: u64);
            any plain fn call_perform() -> u32;

            any plain fn stable64_size() -> u64;
            any plain fn stable64_grow(new_pages: u64) -> u64;
            any heap fn stable64_read(dst: u64, offset: u64, size: u64);
            any heap fn stable64_write(offset: u64, src: u64, size: u64);
            narrow plain fn stable_size() -> u32;
            narrow plain fn stable_grow(new_pages: u32) -> u32;
            narrow heap fn stable_read(dst: u32, offset: u32, size: u32);
            narrow heap fn stable_write(offset: u32, src: u32, size: u32);

            any plain fn root_key_size() -> P;
            any heap fn root_key_copy(dst: P, offset: P, size: P);
            any heap fn certified_data_set(src: P, size: P);
            any plain fn data_certificate_present() -> u32;
            any plain fn data_certificate_size() -> P;
            any heap fn data_certificate_copy(dst: P, offset: P, size: P);

            any plain fn time() -> u64;
            any plain fn global_timer_set(timestamp: u64) -> u64;
            any counter fn performance_counter(counter_type: u32) -> u64;

            any plain fn env_var_count() -> P;
            any plain fn env_var_name_size(index: P) -> P;
            any heap fn env_var_name_copy(index: P, dst: P, offset: P, size: P);
            any heap fn env_var_name_exists(name_src: P, name_size: P) -> u32;
            any heap fn env_var_value_size(name_src: P, name_size: P) -> P;
            any heap fn env_var_value_copy(name_src: P, name_size: P, dst: P, offset: P, size: P);

            any heap fn cost_call(method_name_size: u64, payload_size: u64, dst: P);
            any heap fn cost_create_canister(dst: P);
            any heap fn cost_http_request(request_size: u64, max_response_bytes: u64, dst: P);
            any heap fn cost_sign_with_ecdsa(src: P, size: P, curve: u32, dst: P) -> u32;
            any heap fn cost_sign_with_schnorr(src: P, size: P, algorithm: u32, dst: P) -> u32;
            any heap fn cost_vetkd_derive_key(src: P, size: P, curve: u32, dst: P) -> u32;

            any heap fn debug_print(src: P, size: P);
            any heap fn trap(src: P, size: P);
        }
    };
}
pub(crate) use system_interface;

/// The module that canisters import from.
pub(crate) const MODULE: &str = "ic0";

/// A parameter's or result's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// As wide as the module's addresses.
    Pointer,
    /// `i32`.
    I32,
    /// `i64`.
    I64,
}

/// One function of the system interface.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name in `ic0`.
    pub(crate) name: &'static str,
    /// Whether modules with 64-bit memory may not import it.
    pub(crate) narrow: bool,
    /// Its parameters.
    pub(crate) parameters: &'static [Type],
    /// Its results, at most one.
    pub(crate) results: &'static [Type],
}

macro_rules! table {
    (@width any) => { false };
    (@width narrow) => { true };
    (@type P) => { Type::Pointer };
    (@type u32) => { Type::I32 };
    (@type u64) => { Type::I64 };
    ($($width:ident $memory:ident fn $name:ident($($parameter:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        &[$(Function {
            name: stringify!($name),
            narrow: table!(@width $width),
            parameters: &[$(table!(@type $type)),*],
            results: &[$(table!(@type $result))?],
        }),*]
    };
}

/// All functions of the system interface.
pub(crate) const FUNCTIONS: &[Function] = system_interface!(table);

/// The function of that name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_specifications_functions_once_each_and_minting() {
        let mut names: Vec<_> = FUNCTIONS.iter().map(|function| function.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FUNCTIONS.len());
        assert_eq!(names.len(), 74 + 2);
    }
}
