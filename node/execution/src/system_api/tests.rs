//! The table of which function may be called from where, and what each does at its edges.

use super::*;
use mains_state::{Canister, Genesis, Settings, Subnet};
use mains_types::{Reject, RejectCode, ids::canister_id, limits};
use std::{collections::BTreeSet, sync::Arc};

fn canister() -> Canister {
    let settings = Settings {
        controllers: BTreeSet::from([canister_id(7)]),
        wasm_memory_limit: 1 << 20,
        environment_variables: [("A", "first"), ("B", "")].map(|(name, value)| (name.into(), value.into())).into(),
        ..Settings::default()
    };
    let mut canister = Canister::new(canister_id(300), settings, UnixNanos(1));
    canister.version = 9;
    canister.global_timer = Some(UnixNanos(77));
    canister
}

fn inputs(mode: Mode) -> Inputs {
    let subnet = Subnet::from_genesis(&Genesis::rehearsal([]));
    let mut inputs = Inputs::new(mode, Arc::new(canister()), Arc::new(subnet), UnixNanos(1_000));
    inputs.argument = Arc::new(b"argument".to_vec());
    inputs.method = "method".into();
    inputs.certificate = Some(b"certificate".to_vec());
    inputs.balance = Cycles(1_000_000);
    inputs.available = Cycles(500);
    inputs.refunded = Cycles(30);
    inputs
}

fn api(mode: Mode) -> SystemApi {
    SystemApi::new(inputs(mode))
}

fn assert_contract<T: std::fmt::Debug>(outcome: Result<T, Trap>, text: &str) {
    match outcome {
        Err(Trap::Contract(message)) if message.contains(text) => {}
        other => panic!("expected a contract violation about {text:?}, got {other:?}"),
    }
}

/// Begins a call so that the functions that complete one can be tried.
fn begin_call(api: &mut SystemApi, heap: &mut [u8]) -> Result<(), Trap> {
    heap[..10].copy_from_slice(canister_id(5).as_slice());
    heap[10..12].copy_from_slice(b"go");
    api.call_new(heap, 0, 10, 10, 2, 1, 2, 3, 4)
}

type Try = fn(&mut SystemApi, &mut [u8]) -> Result<(), Trap>;

/// Every function, the letters of the interface specification's table, and a call of it.
const TABLE: &[(&str, &str, Try)] = &[
    ("msg_arg_data_size", "I U RQ NRQ TQ CQ Ry CRy F", |api, _| api.msg_arg_data_size().map(drop)),
    ("msg_arg_data_copy", "I U RQ NRQ TQ CQ Ry CRy F", |api, heap| api.msg_arg_data_copy(heap, 0, 0, 1)),
    ("msg_caller_size", "*", |api, _| api.msg_caller_size().map(drop)),
    ("msg_caller_copy", "*", |api, heap| api.msg_caller_copy(heap, 0, 0, 0)),
    ("msg_caller_info_data_size", "*", |api, _| api.msg_caller_info_data_size().map(drop)),
    ("msg_caller_info_data_copy", "*", |api, heap| api.msg_caller_info_data_copy(heap, 0, 0, 0)),
    ("msg_caller_info_signer_size", "*", |api, _| api.msg_caller_info_signer_size().map(drop)),
    ("msg_caller_info_signer_copy", "*", |api, heap| api.msg_caller_info_signer_copy(heap, 0, 0, 0)),
    ("msg_reject_code", "Ry Rt CRy CRt C", |api, _| api.msg_reject_code().map(drop)),
    ("msg_reject_msg_size", "Rt CRt", |api, _| api.msg_reject_msg_size().map(drop)),
    ("msg_reject_msg_copy", "Rt CRt", |api, heap| api.msg_reject_msg_copy(heap, 0, 0, 0)),
    ("msg_deadline", "U RQ NRQ CQ Ry Rt CRy CRt", |api, _| api.msg_deadline().map(drop)),
    ("msg_reply_data_append", "U RQ NRQ TQ CQ Ry Rt CRy CRt", |api, heap| api.msg_reply_data_append(heap, 0, 1)),
    ("msg_reply", "U RQ NRQ TQ CQ Ry Rt CRy CRt", |api, _| api.msg_reply()),
    ("msg_reject", "U RQ NRQ TQ CQ Ry Rt CRy CRt", |api, heap| api.msg_reject(heap, 0, 1)),
    ("msg_cycles_available128", "U RQ Rt Ry", |api, heap| api.msg_cycles_available128(heap, 0)),
    ("msg_cycles_refunded128", "Rt Ry", |api, heap| api.msg_cycles_refunded128(heap, 0)),
    ("msg_cycles_accept128", "U RQ Rt Ry", |api, heap| api.msg_cycles_accept128(heap, 0, 1, 0)),
    ("cycles_burn128", "I G U RQ Ry Rt C T", |api, heap| api.cycles_burn128(heap, 0, 1, 0)),
    ("canister_self_size", "*", |api, _| api.canister_self_size().map(drop)),
    ("canister_self_copy", "*", |api, heap| api.canister_self_copy(heap, 0, 0, 10)),
    ("canister_cycle_balance128", "*", |api, heap| api.canister_cycle_balance128(heap, 0)),
    ("canister_liquid_cycle_balance128", "*", |api, heap| api.canister_liquid_cycle_balance128(heap, 0)),
    ("canister_status", "*", |api, _| api.canister_status().map(drop)),
    ("canister_version", "*", |api, _| api.canister_version().map(drop)),
    ("subnet_self_size", "*", |api, _| api.subnet_self_size().map(drop)),
    ("subnet_self_copy", "*", |api, heap| api.subnet_self_copy(heap, 0, 0, 29)),
    ("msg_method_name_size", "F", |api, _| api.msg_method_name_size().map(drop)),
    ("msg_method_name_copy", "F", |api, heap| api.msg_method_name_copy(heap, 0, 0, 6)),
    ("accept_message", "F", |api, _| api.accept_message()),
    ("call_new", "U CQ Ry Rt CRy CRt T", begin_call),
    ("call_on_cleanup", "U CQ Ry Rt CRy CRt T", |api, heap| {
        begin_call(api, heap)?;
        api.call_on_cleanup(1, 2)
    }),
    ("call_data_append", "U CQ Ry Rt CRy CRt T", |api, heap| {
        begin_call(api, heap)?;
        api.call_data_append(heap, 0, 1)
    }),
    ("call_with_best_effort_response", "U CQ Ry Rt CRy CRt T", |api, heap| {
        begin_call(api, heap)?;
        api.call_with_best_effort_response(1)
    }),
    ("call_perform", "U CQ Ry Rt CRy CRt T", |api, heap| {
        begin_call(api, heap)?;
        api.call_perform().map(drop)
    }),
    ("call_cycles_add128", "U Ry Rt T", |api, heap| {
        if Modes::CALL.contains(api.mode()) {
            begin_call(api, heap)?;
        }
        api.call_cycles_add128(0, 1)
    }),
    ("stable64_size", "* s", |api, _| api.stable64_size().map(drop)),
    ("stable64_grow", "* s", |api, _| api.stable64_grow(1).map(drop)),
    ("stable64_write", "* s", |api, heap| api.stable64_write(heap, 0, 0, 0)),
    ("stable64_read", "* s", |api, heap| api.stable64_read(heap, 0, 0, 0)),
    ("root_key_size", "I G U RQ Ry Rt C T", |api, _| api.root_key_size().map(drop)),
    ("root_key_copy", "I G U RQ Ry Rt C T", |api, heap| api.root_key_copy(heap, 0, 0, 133)),
    ("certified_data_set", "I G U Ry Rt T", |api, heap| api.certified_data_set(heap, 0, 32)),
    ("data_certificate_present", "*", |api, _| api.data_certificate_present().map(drop)),
    ("data_certificate_size", "NRQ CQ", |api, _| api.data_certificate_size().map(drop)),
    ("data_certificate_copy", "NRQ CQ", |api, heap| api.data_certificate_copy(heap, 0, 0, 11)),
    ("time", "*", |api, _| api.time().map(drop)),
    ("global_timer_set", "I G U Ry Rt C T", |api, _| api.global_timer_set(5).map(drop)),
    ("performance_counter", "* s", |api, _| api.performance_counter(0, 5).map(drop)),
    ("is_controller", "* s", |api, heap| api.is_controller(heap, 0, 10).map(drop)),
    ("in_replicated_execution", "* s", |api, _| api.in_replicated_execution().map(drop)),
    ("cost_call", "* s", |api, heap| api.cost_call(heap, 3, 4, 0)),
    ("cost_create_canister", "* s", |api, heap| api.cost_create_canister(heap, 0)),
    ("cost_http_request", "* s", |api, heap| api.cost_http_request(heap, 1, 1, 0)),
    ("cost_sign_with_ecdsa", "* s", |api, heap| api.cost_sign_with_ecdsa(heap, 0, 1, 0, 0).map(drop)),
    ("cost_sign_with_schnorr", "* s", |api, heap| api.cost_sign_with_schnorr(heap, 0, 1, 0, 0).map(drop)),
    ("cost_vetkd_derive_key", "* s", |api, heap| api.cost_vetkd_derive_key(heap, 0, 1, 0, 0).map(drop)),
    ("env_var_count", "*", |api, _| api.env_var_count().map(drop)),
    ("env_var_name_size", "*", |api, _| api.env_var_name_size(0).map(drop)),
    ("env_var_name_copy", "*", |api, heap| api.env_var_name_copy(heap, 0, 0, 0, 1)),
    ("env_var_name_exists", "*", |api, heap| api.env_var_name_exists(heap, 0, 0).map(drop)),
    ("env_var_value_size", "*", |api, heap| {
        heap[0] = b'A';
        api.env_var_value_size(heap, 0, 1).map(drop)
    }),
    ("env_var_value_copy", "*", |api, heap| {
        heap[0] = b'A';
        api.env_var_value_copy(heap, 0, 1, 0, 0, 5)
    }),
    ("debug_print", "* s", |api, heap| api.debug_print(heap, 0, 1)),
    ("trap", "* s", |api, heap| match api.trap(heap, 0, 1) {
        Err(Trap::Called(_)) => Ok(()),
        other => other,
    }),
    ("msg_cycles_available", "U RQ Rt Ry", |api, _| api.msg_cycles_available().map(drop)),
    ("msg_cycles_refunded", "Rt Ry", |api, _| api.msg_cycles_refunded().map(drop)),
    ("msg_cycles_accept", "U RQ Rt Ry", |api, _| api.msg_cycles_accept(1).map(drop)),
    ("canister_cycle_balance", "*", |api, _| api.canister_cycle_balance().map(drop)),
    ("call_cycles_add", "U Ry Rt T", |api, heap| {
        if Modes::CALL.contains(api.mode()) {
            begin_call(api, heap)?;
        }
        api.call_cycles_add(1)
    }),
    ("stable_size", "* s", |api, _| api.stable_size().map(drop)),
    ("stable_grow", "* s", |api, _| api.stable_grow(1).map(drop)),
    ("stable_write", "* s", |api, heap| api.stable_write(heap, 0, 0, 0)),
    ("stable_read", "* s", |api, heap| api.stable_read(heap, 0, 0, 0)),
];

const fn letters(mode: Mode) -> &'static str {
    match mode {
        Mode::Init => "I",
        Mode::PreUpgrade => "G",
        Mode::Update => "U",
        Mode::ReplicatedQuery => "RQ",
        Mode::Query => "NRQ",
        Mode::Transform => "TQ",
        Mode::CompositeQuery => "CQ",
        Mode::Reply => "Ry",
        Mode::Reject => "Rt",
        Mode::CompositeReply => "CRy",
        Mode::CompositeReject => "CRt",
        Mode::Cleanup => "C",
        Mode::CompositeCleanup => "CC",
        Mode::Inspect => "F",
        Mode::Task => "T",
        Mode::Start => "s",
    }
}

#[test]
fn every_function_works_exactly_where_the_specification_allows_it() {
    assert_eq!(TABLE.len(), 74);
    for (name, allowed, attempt) in TABLE {
        for mode in Mode::ALL {
            let listed = allowed.split(' ').any(|word| word == letters(mode) || (word == "*" && mode != Mode::Start));
            let (mut api, mut heap) = (api(mode), vec![0; 256]);
            match attempt(&mut api, &mut heap) {
                Ok(()) => assert!(listed, "{name} must not work in {mode:?}"),
                Err(Trap::Contract(text)) if text.contains("cannot be called from") => {
                    assert!(!listed, "{name} must work in {mode:?}: {text}");
                }
                Err(other) => panic!("{name} in {mode:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_pointer_outside_the_heap_traps_also_when_its_end_overflows() {
    let mut heap = vec![0; 64];
    for (dst, size) in [(64, 1), (0, 65), (u64::MAX, 1), (u64::MAX, u64::MAX), (1, u64::MAX)] {
        let mut inputs = inputs(Mode::Update);
        inputs.instruction_limit = u64::MAX;
        inputs.argument = Arc::new(vec![0; 100]);
        let mut api = SystemApi::new(inputs);
        let read = api.msg_arg_data_copy(&mut heap, dst, 0, size);
        assert!(matches!(read, Err(Trap::HeapOutOfBounds | Trap::Contract(_))), "{dst} {size} {read:?}");
        let write = api.msg_reply_data_append(&mut heap, dst, size);
        assert_eq!(write, Err(Trap::HeapOutOfBounds), "{dst} {size}");
        assert_eq!(api.msg_cycles_available128(&mut heap, dst.max(49)), Err(Trap::HeapOutOfBounds));
    }
    assert_eq!(
        api(Mode::Update).msg_arg_data_copy(&mut heap, 64, 0, 0),
        Ok(()),
        "an empty copy to the very end is fine"
    );
}

#[test]
fn an_offset_outside_the_argument_traps() {
    let mut heap = vec![0; 64];
    for (offset, size) in [(0, 9), (8, 1), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        let mut inputs = inputs(Mode::Update);
        inputs.instruction_limit = u64::MAX;
        assert_contract(SystemApi::new(inputs).msg_arg_data_copy(&mut heap, 0, offset, size), "exceed the 8 bytes");
    }
}

#[test]
fn a_copy_that_cannot_be_paid_is_not_made() {
    let mut inputs = inputs(Mode::Update);
    inputs.instruction_limit = CALL_INSTRUCTIONS + 3;
    let (mut api, mut heap) = (SystemApi::new(inputs), vec![0; 64]);
    assert_eq!(api.msg_arg_data_copy(&mut heap, 0, 0, 8), Err(Trap::OutOfInstructions));
    assert_eq!(heap, vec![0; 64]);
}

#[test]
fn bytes_copied_are_charged_once() {
    let (mut api, mut heap) = (api(Mode::Update), vec![0; 64]);
    api.msg_arg_data_copy(&mut heap, 0, 0, 8).unwrap();
    assert_eq!(api.take_charge(), CALL_INSTRUCTIONS + 8 * BYTE_INSTRUCTIONS);
    assert_eq!(api.take_charge(), 0);
}

#[test]
fn a_reply_is_what_was_appended_and_ends_the_call() {
    let (mut api, mut heap) = (api(Mode::Update), b"hello world".to_vec());
    api.msg_reply_data_append(&mut heap, 0, 6).unwrap();
    api.msg_reply_data_append(&mut heap, 6, 5).unwrap();
    api.msg_reply().unwrap();
    assert_contract(api.msg_reply(), "already answered");
    assert_contract(api.msg_reject(&mut heap, 0, 1), "already answered");
    assert_contract(api.msg_reply_data_append(&mut heap, 0, 1), "already answered");
    assert_eq!(api.msg_cycles_accept(10), Ok(0), "what was not accepted goes back with the answer");
    assert_eq!(api.into_effects().response, Some(Ok(b"hello world".to_vec())));
}

#[test]
fn a_call_answered_earlier_cannot_be_answered_again() {
    let mut inputs = inputs(Mode::Reply);
    inputs.responded = true;
    assert_contract(SystemApi::new(inputs).msg_reply(), "already answered");
}

#[test]
fn a_reject_message_is_cut_at_a_characters_boundary() {
    let mut heap = "ü".repeat(REJECT_MESSAGE_BYTES_MAX).into_bytes();
    let size = heap.len() as u64 - 1;
    assert_contract(api(Mode::Update).msg_reject(&mut heap, 0, size), "not valid UTF-8");
    let mut api = api(Mode::Update);
    api.msg_reject(&mut heap, 0, size + 1).unwrap();
    let Some(Err(text)) = api.into_effects().response else { panic!("a reject") };
    assert_eq!(text.len(), REJECT_MESSAGE_BYTES_MAX);
}

#[test]
fn a_reject_is_seen_by_its_callback() {
    let mut inputs = inputs(Mode::Reject);
    inputs.reject = Some(Reject { code: RejectCode::CanisterReject, message: "no".into(), error_code: None });
    let (mut api, mut heap) = (SystemApi::new(inputs), vec![0; 8]);
    assert_eq!(api.msg_reject_code(), Ok(4));
    assert_eq!(api.msg_reject_msg_size(), Ok(2));
    api.msg_reject_msg_copy(&mut heap, 1, 0, 2).unwrap();
    assert_eq!(&heap[1..3], b"no");
}

#[test]
fn accepted_cycles_are_in_the_balance_and_never_more_than_available() {
    let mut api = api(Mode::Update);
    assert_eq!(api.msg_cycles_accept(200), Ok(200));
    assert_eq!(api.msg_cycles_accept(u64::MAX), Ok(300));
    assert_eq!(api.msg_cycles_available(), Ok(0));
    assert_eq!(api.canister_cycle_balance(), Ok(1_000_500));
    let effects = api.into_effects();
    assert_eq!((effects.accepted, effects.balance), (Cycles(500), Cycles(1_000_500)));
}

#[test]
fn amounts_beyond_64_bits_need_the_128_bit_functions() {
    let mut inputs = inputs(Mode::Update);
    inputs.balance = Cycles(1 << 70);
    let (mut api, mut heap) = (SystemApi::new(inputs), vec![0; 16]);
    assert_contract(api.canister_cycle_balance(), "canister_cycle_balance128");
    api.canister_cycle_balance128(&mut heap, 0).unwrap();
    assert_eq!(heap, (1u128 << 70).to_le_bytes());
}

#[test]
fn cycles_that_keep_a_canister_from_freezing_cannot_be_spent() {
    let mut inputs = inputs(Mode::Update);
    inputs.frozen = Cycles(999_990);
    let (mut api, mut heap) = (SystemApi::new(inputs), vec![0; 64]);
    begin_call(&mut api, &mut heap).unwrap();
    assert_contract(api.call_cycles_add(11), "11 cycles are more than the 10");
    api.cycles_burn128(&mut heap, 0, 100, 0).unwrap();
    assert_eq!(heap[..16], 10u128.to_le_bytes());
    let effects = api.into_effects();
    assert_eq!((effects.burned, effects.balance), (Cycles(10), Cycles(999_990)));
}

#[test]
fn a_call_takes_its_cycles_fee_and_reserve_from_the_balance() {
    let mut inputs = inputs(Mode::Update);
    inputs.prices = CallPrices {
        message: Price { cycles: 100, per: 1 },
        byte: Price { cycles: 10, per: 2 },
        response_reserve: Cycles(1_000),
        canister_creation: Cycles::ZERO,
    };
    let (mut api, mut heap) = (SystemApi::new(inputs), vec![7; 64]);
    begin_call(&mut api, &mut heap).unwrap();
    api.call_data_append(&mut heap, 20, 3).unwrap();
    api.call_on_cleanup(8, 9).unwrap();
    assert_contract(api.call_on_cleanup(8, 9), "has a cleanup callback");
    api.call_cycles_add128(0, 50).unwrap();
    api.call_with_best_effort_response(10_000).unwrap();
    assert_eq!(api.call_perform(), Ok(0));
    assert_contract(api.call_perform(), "no call was begun");
    api.cost_call(&mut heap, 2, 3, 0).unwrap();
    assert_eq!(heap[..16], 1_125u128.to_le_bytes());

    let effects = api.into_effects();
    let call = &effects.calls[0];
    assert_eq!((call.callee, call.method.as_str(), call.argument.as_slice()), (canister_id(5), "go", &[7u8; 3][..]));
    assert_eq!((call.bytes, call.fee, call.reserve, call.cycles), (5, Cycles(125), Cycles(1_000), Cycles(50)));
    assert_eq!(call.on_cleanup.map(|cleanup| (cleanup.function, cleanup.environment)), Some((8, 9)));
    assert_eq!(call.deadline, Some(UnixNanos(1_000 + 300 * UnixNanos::SECOND)), "waits five minutes at most");
    assert_eq!(effects.balance, Cycles(1_000_000 - 1_175));
}

#[test]
fn a_call_of_the_management_canister_tells_no_version_but_its_own() {
    let perform = |claimed: Option<u64>| {
        let (mut api, mut heap) = (api(Mode::Update), vec![0; 1_024]);
        let args = ic_management_canister_types::UninstallCodeArgs {
            canister_id: canister_id(5),
            sender_canister_version: claimed,
        };
        let argument = candid::encode_one(args).unwrap();
        heap[..14].copy_from_slice(b"uninstall_code");
        heap[100..100 + argument.len()].copy_from_slice(&argument);
        api.call_new(&mut heap, 50, 0, 0, 14, 1, 2, 3, 4).unwrap();
        api.call_data_append(&mut heap, 100, argument.len() as u64).unwrap();
        api.call_perform()
    };
    assert_eq!((perform(None), perform(Some(9))), (Ok(0), Ok(0)));
    assert_contract(perform(Some(8)), "sender_canister_version is 8, this canister's version is 9");
}

#[test]
fn a_call_that_cannot_be_sent_gives_its_cycles_back() {
    let mut full = inputs(Mode::Update);
    full.calls_room = 0;
    let mut poor = inputs(Mode::Update);
    poor.prices.response_reserve = Cycles(999_999);
    for inputs in [full, poor] {
        let (mut api, mut heap) = (SystemApi::new(inputs), vec![0; 64]);
        begin_call(&mut api, &mut heap).unwrap();
        api.call_cycles_add(5).unwrap();
        assert_eq!(api.call_perform(), Ok(2));
        let effects = api.into_effects();
        assert!(effects.calls.is_empty());
        assert_eq!(effects.balance, Cycles(1_000_000));
    }
}

#[test]
fn beginning_another_call_forgets_the_one_before() {
    let (mut api, mut heap) = (api(Mode::Update), vec![0; 64]);
    begin_call(&mut api, &mut heap).unwrap();
    api.call_cycles_add(5).unwrap();
    begin_call(&mut api, &mut heap).unwrap();
    assert_eq!(api.canister_cycle_balance(), Ok(1_000_000));
    assert!(api.into_effects().calls.is_empty(), "a call not performed is not made");
}

#[test]
fn a_call_checks_names_principals_and_sizes() {
    let (mut api, mut heap) = (api(Mode::Update), vec![0xff; 40_000]);
    assert_contract(api.call_new(&mut heap, 0, 30, 0, 0, 0, 0, 0, 0), "not a principal");
    assert_contract(api.call_new(&mut heap, 0, 10, 0, 2, 0, 0, 0, 0), "UTF-8");
    assert_contract(api.call_new(&mut heap, 0, 10, 0, 20_001, 0, 0, 0, 0), "at most 20000 bytes");
    assert_contract(api.call_data_append(&mut heap, 0, 1), "no call was begun");
    begin_call(&mut api, &mut heap).unwrap();
    let mut large = vec![0; limits::PAYLOAD_BYTES_MAX + 1];
    let size = large.len() as u64;
    assert_contract(api.call_data_append(&mut large, 0, size), "an argument has at most");
}

#[test]
fn stable_memory_is_kept_only_with_the_effects() {
    let mut tree = mains_state::PageTree::default();
    tree.set(0, &[1; mains_state::PAGE_BYTES]);
    let mut inputs = inputs(Mode::Update);
    (inputs.stable, inputs.stable_pages) = (tree.clone(), 1);
    let (mut api, mut heap) = (SystemApi::new(inputs), vec![0; 8192]);
    heap[..3].copy_from_slice(b"abc");

    api.stable64_write(&mut heap, 4094, 0, 3).unwrap();
    api.stable64_read(&mut heap, 10, 4093, 5).unwrap();
    assert_eq!(&heap[10..15], b"\x01abc\x00");
    assert_eq!(tree.get(1), None, "the memory before the run is untouched");

    let effects = api.into_effects();
    assert_eq!(effects.stable_pages, 1);
    assert_eq!(effects.stable.get(0).unwrap()[4094..], *b"ab");
    assert_eq!(effects.stable.get(1).unwrap()[0], b'c');
}

#[test]
fn stable_memory_has_bounds() {
    let (mut api, mut heap) = (api(Mode::Update), vec![0; 64]);
    let most = limits::STABLE_BYTES_MAX / limits::WASM_PAGE_BYTES;
    assert_eq!(api.stable64_grow(1), Ok(0));
    for (offset, size) in [(65_536, 1), (65_535, 2), (u64::MAX, 1), (u64::MAX, 0)] {
        assert_contract(api.stable64_read(&mut heap, 0, offset, size), "exceed the 65536 bytes");
        assert_contract(api.stable64_write(&mut heap, offset, 0, size), "exceed the 65536 bytes");
    }
    assert_eq!(api.stable64_write(&mut heap, 0, 60, 5), Err(Trap::HeapOutOfBounds));
    assert_eq!(api.stable64_read(&mut heap, 0, 65_536, 0), Ok(()));
    assert_eq!(api.stable64_grow(u64::MAX), Ok(u64::MAX));
    assert_eq!(api.stable64_grow(most), Ok(u64::MAX));
    assert_eq!(api.stable_grow(1 << 16), Ok(u32::MAX), "32 bits address 4 GiB");
    assert_eq!(api.stable64_grow(most - 1), Ok(1));
    assert_contract(api.stable_size(), "larger than 4 GiB");
}

#[test]
fn each_stable_page_is_charged_when_it_is_written_first() {
    let (mut api, mut heap) = (api(Mode::Update), vec![0; 8192]);
    api.stable64_grow(1).unwrap();
    api.take_charge();
    api.stable64_write(&mut heap, 4000, 0, 200).unwrap();
    assert_eq!(api.take_charge(), CALL_INSTRUCTIONS + 200 + 2 * STABLE_PAGE_INSTRUCTIONS);
    api.stable64_write(&mut heap, 0, 0, 8192).unwrap();
    assert_eq!(api.take_charge(), CALL_INSTRUCTIONS + 8192);
}

#[test]
fn the_timer_answers_what_was_set_before() {
    let mut api = api(Mode::Update);
    assert_eq!(api.global_timer_set(5), Ok(77));
    assert_eq!(api.global_timer_set(0), Ok(5));
    assert_eq!(api.global_timer_set(0), Ok(0));
    assert_eq!(api.into_effects().global_timer, Some(None));
}

#[test]
fn the_log_keeps_the_latest_lines() {
    let (mut api, mut heap) = (api(Mode::Query), vec![b'x'; 10_000]);
    api.debug_print(&mut heap, 0, 10).unwrap();
    api.debug_print(&mut heap, 0, 10_000).unwrap();
    assert_eq!(api.into_log(), vec![vec![b'x'; limits::LOG_BYTES_MAX]]);
}

#[test]
fn certified_data_has_at_most_32_bytes() {
    let (mut api, mut heap) = (api(Mode::Update), vec![3; 64]);
    assert_contract(api.certified_data_set(&mut heap, 0, 33), "at most 32 bytes");
    api.certified_data_set(&mut heap, 0, 32).unwrap();
    assert_eq!(api.into_effects().certified_data, Some(vec![3; 32]));
}

#[test]
fn a_certificate_is_there_only_in_queries() {
    assert_eq!(api(Mode::Query).data_certificate_present(), Ok(1));
    assert_eq!(api(Mode::Update).data_certificate_present(), Ok(0));
    let mut inputs = inputs(Mode::Query);
    inputs.certificate = None;
    assert_contract(SystemApi::new(inputs).data_certificate_size(), "no certificate");
}

#[test]
fn environment_variables_are_read_by_index_and_by_name() {
    let (mut api, mut heap) = (api(Mode::Update), vec![0; 256]);
    assert_eq!(api.env_var_count(), Ok(2));
    assert_eq!(api.env_var_name_size(1), Ok(1));
    assert_contract(api.env_var_name_size(2), "index 2");
    api.env_var_name_copy(&mut heap, 1, 0, 0, 1).unwrap();
    assert_eq!(heap[0], b'B');
    assert_eq!(api.env_var_value_size(&mut heap, 0, 1), Ok(0));
    heap[0] = b'A';
    api.env_var_value_copy(&mut heap, 0, 1, 8, 1, 3).unwrap();
    assert_eq!(&heap[8..11], b"irs");
    heap[0] = b'C';
    assert_eq!(api.env_var_name_exists(&mut heap, 0, 1), Ok(0));
    assert_contract(api.env_var_value_size(&mut heap, 0, 1), "no environment variable \"C\"");
    assert_contract(api.env_var_name_exists(&mut heap, 0, 129), "at most 128 bytes");
}

#[test]
fn controllers_are_recognised() {
    let (mut api, mut heap) = (api(Mode::Update), vec![0; 64]);
    heap[..10].copy_from_slice(canister_id(7).as_slice());
    assert_eq!(api.is_controller(&mut heap, 0, 10), Ok(1));
    assert_eq!(api.is_controller(&mut heap, 0, 0), Ok(0));
    assert_contract(api.is_controller(&mut heap, 0, 30), "not a principal");
}

#[test]
fn counters_count_the_run_and_the_whole_call() {
    let mut inputs = inputs(Mode::Reply);
    inputs.call_instructions = 1_000;
    let mut api = SystemApi::new(inputs);
    assert_eq!(api.performance_counter(0, 7), Ok(7));
    assert_eq!(api.performance_counter(1, 7), Ok(1_007));
    assert_contract(api.performance_counter(2, 7), "no counter type 2");
}

#[test]
fn the_heap_limit_of_the_settings_does_not_keep_a_canister_from_saving_or_answering() {
    for mode in [Mode::Update, Mode::Init, Mode::Start] {
        assert_eq!(api(mode).heap_limit_bytes(), Some(1 << 20));
    }
    for mode in [Mode::PreUpgrade, Mode::Query, Mode::Reply, Mode::Cleanup, Mode::Task] {
        assert_eq!(api(mode).heap_limit_bytes(), None);
    }
}

#[test]
fn a_message_is_accepted_once() {
    let mut api = api(Mode::Inspect);
    api.accept_message().unwrap();
    assert_contract(api.accept_message(), "accepted before");
    assert!(api.into_effects().message_accepted);
}

#[test]
fn keys_that_the_subnet_does_not_hold_have_no_price() {
    let (mut api, mut heap) = (api(Mode::Update), vec![0; 64]);
    assert_eq!(api.cost_sign_with_ecdsa(&mut heap, 0, 5, 0, 0), Ok(2));
    assert_eq!(api.cost_sign_with_ecdsa(&mut heap, 0, 5, 9, 0), Ok(1));
    assert_eq!(api.cost_vetkd_derive_key(&mut heap, 60, 5, 0, 0), Err(Trap::HeapOutOfBounds));
}

#[test]
fn what_a_canister_says_about_the_caller_is_read_whole() {
    let mut inputs = inputs(Mode::Update);
    let signer = mains_types::ids::canister_id(7);
    inputs.caller_info = Some(mains_state::CallerInfo { info: b"an editor".to_vec(), signer });
    let (mut api, mut heap) = (SystemApi::new(inputs), vec![0; 64]);
    assert_eq!((api.msg_caller_info_data_size(), api.msg_caller_info_signer_size()), (Ok(9), Ok(10)));
    api.msg_caller_info_data_copy(&mut heap, 0, 3, 6).unwrap();
    api.msg_caller_info_signer_copy(&mut heap, 6, 0, 10).unwrap();
    assert_eq!(heap[..16], [b"editor", signer.as_slice()].concat());
    assert_contract(api.msg_caller_info_data_copy(&mut heap, 0, 3, 7), "exceed");
}
