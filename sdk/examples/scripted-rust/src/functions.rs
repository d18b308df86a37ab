// The system interface as the script's operation SYSTEM names it: number, name, parameters, result. P is as wide as the
// module's addresses. Those with an attribute exist for 32-bit modules only. Numbers never change: scripts carry them.
macro_rules! functions {
    ($with:ident) => {
        $with! {
            0 msg_arg_data_size() -> P;
            1 msg_arg_data_copy(dst: P, offset: P, size: P);
            2 msg_caller_size() -> P;
            3 msg_caller_copy(dst: P, offset: P, size: P);
            4 msg_caller_info_data_size() -> P;
            5 msg_caller_info_data_copy(dst: P, offset: P, size: P);
            6 msg_caller_info_signer_size() -> P;
            7 msg_caller_info_signer_copy(dst: P, offset: P, size: P);
            8 msg_reject_code() -> u32;
            9 msg_reject_msg_size() -> P;
            10 msg_reject_msg_copy(dst: P, offset: P, size: P);
            11 msg_deadline() -> u64;
            12 msg_reply_data_append(src: P, size: P);
            13 msg_reply();
            14 msg_reject(src: P, size: P);
            15 msg_method_name_size() -> P;
            16 msg_method_name_copy(dst: P, offset: P, size: P);
            17 accept_message();
            18 msg_cycles_available128(dst: P);
            19 msg_cycles_refunded128(dst: P);
            20 msg_cycles_accept128(max_high: u64, max_low: u64, dst: P);
            21 cycles_burn128(amount_high: u64, amount_low: u64, dst: P);
            22 canister_cycle_balance128(dst: P);
            23 canister_liquid_cycle_balance128(dst: P);
            #[cfg(target_pointer_width = "32")]
            24 msg_cycles_available() -> u64;
            #[cfg(target_pointer_width = "32")]
            25 msg_cycles_refunded() -> u64;
            #[cfg(target_pointer_width = "32")]
            26 msg_cycles_accept(max: u64) -> u64;
            #[cfg(target_pointer_width = "32")]
            27 canister_cycle_balance() -> u64;
            28 mint_cycles128(amount_high: u64, amount_low: u64, dst: P);
            29 canister_self_size() -> P;
            30 canister_self_copy(dst: P, offset: P, size: P);
            31 canister_status() -> u32;
            32 canister_version() -> u64;
            33 subnet_self_size() -> P;
            34 subnet_self_copy(dst: P, offset: P, size: P);
            35 is_controller(src: P, size: P) -> u32;
            36 in_replicated_execution() -> u32;
            37 call_new(callee_src: P, callee_size: P, name_src: P, name_size: P, reply_fun: P, reply_env: P, reject_fun: P, reject_env: P);
            38 call_on_cleanup(fun: P, env: P);
            39 call_data_append(src: P, size: P);
            40 call_with_best_effort_response(timeout_seconds: u32);
            #[cfg(target_pointer_width = "32")]
            41 call_cycles_add(amount: u64);
            42 call_cycles_add128(amount_high: u64, amount_low: u64);
            43 call_perform() -> u32;
            44 stable64_size() -> u64;
            45 stable64_grow(new_pages: u64) -> u64;
            46 stable64_read(dst: u64, offset: u64, size: u64);
            47 stable64_write(offset: u64, src: u64, size: u64);
            #[cfg(target_pointer_width = "32")]
            48 stable_size() -> u32;
            #[cfg(target_pointer_width = "32")]
            49 stable_grow(new_pages: u32) -> u32;
            #[cfg(target_pointer_width = "32")]
            50 stable_read(dst: u32, offset: u32, size: u32);
            #[cfg(target_pointer_width = "32")]
            51 stable_write(offset: u32, src: u32, size: u32);
            52 root_key_size() -> P;
            53 root_key_copy(dst: P, offset: P, size: P);
            54 certified_data_set(src: P, size: P);
            55 data_certificate_present() -> u32;
            56 data_certificate_size() -> P;
            57 data_certificate_copy(dst: P, offset: P, size: P);
            58 time() -> u64;
            59 global_timer_set(timestamp: u64) -> u64;
            60 performance_counter(counter_type: u32) -> u64;
            61 env_var_count() -> P;
            62 env_var_name_size(index: P) -> P;
            63 env_var_name_copy(index: P, dst: P, offset: P, size: P);
            64 env_var_name_exists(name_src: P, name_size: P) -> u32;
            65 env_var_value_size(name_src: P, name_size: P) -> P;
            66 env_var_value_copy(name_src: P, name_size: P, dst: P, offset: P, size: P);
            67 cost_call(method_name_size: u64, payload_size: u64, dst: P);
            68 cost_create_canister(dst: P);
            69 cost_http_request(request_size: u64, max_response_bytes: u64, dst: P);
            70 cost_sign_with_ecdsa(src: P, size: P, curve: u32, dst: P) -> u32;
            71 cost_sign_with_schnorr(src: P, size: P, algorithm: u32, dst: P) -> u32;
            72 cost_vetkd_derive_key(src: P, size: P, curve: u32, dst: P) -> u32;
            73 debug_print(src: P, size: P);
            74 trap(src: P, size: P);
        }
    };
}
