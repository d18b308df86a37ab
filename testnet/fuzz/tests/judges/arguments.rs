//! Arguments of built-in canisters' methods: whatever the bytes, a call ends with an answer, the books balance, and two replicas agree.

use candid::{CandidType, Encode, Nat, Principal};
use ic_management_canister_types as ic;
use icrc_ledger_types::{icrc1, icrc2, icrc3};
use mains_engine::WasmtimeEngine;
use mains_execution::{Block, Call, QueryCall, execute, query};
use mains_fuzz::{Random, Target, fuzz, mutate};
use mains_state::{Genesis, IngressStatus, State};
use mains_types::{CanisterId, Cycles, RequestId, UnixNanos, ids};
use std::sync::LazyLock;

static ENGINE: LazyLock<WasmtimeEngine> =
    LazyLock::new(|| WasmtimeEngine::new(None).expect("an engine starts everywhere"));

fn alice() -> Principal {
    Principal::self_authenticating([1; 32])
}

/// A method with an argument that it takes.
type Example = (CanisterId, String, Vec<u8>);

/// A network where alice has money and a canister, and what to call there.
static BEGUN: LazyLock<(State, Vec<Example>)> = LazyLock::new(|| {
    let genesis = Genesis { accounts: vec![(alice(), Cycles(1_000_000_000_000_000))], ..Genesis::rehearsal([alice()]) };
    let state = State::genesis(&genesis);
    let create = ic::ProvisionalCreateCanisterWithCyclesArgs {
        amount: Some(Nat::from(500_000_000_000_000u64)),
        ..Default::default()
    };
    let method = "provisional_create_canister_with_cycles";
    let (state, outcome) = call(state, Principal::management_canister(), method, encoded(&create));
    let reply = outcome.expect("it is created");
    let id = candid::decode_one::<ic::CanisterIdRecord>(&reply).expect("an id").canister_id;
    (state, examples(id))
});

fn encoded<T: CandidType>(value: &T) -> Vec<u8> {
    Encode!(value).expect("it encodes")
}

fn examples(canister_id: CanisterId) -> Vec<Example> {
    let record = ic::CanisterIdRecord { canister_id };
    let wasm_module = wat::parse_str(r#"(module (memory 1) (func (export "canister_init")))"#).expect("written here");
    let settings = ic::CanisterSettings {
        controllers: Some(vec![alice(), canister_id]),
        freezing_threshold: Some(Nat::from(1_000u32)),
        ..Default::default()
    };
    let mut examples: Vec<Example> = Vec::new();
    let mut add = |callee: CanisterId, methods: &[&str], argument: Vec<u8>| {
        examples.extend(methods.iter().map(|method| (callee, (*method).to_owned(), argument.clone())));
    };
    let management = Principal::management_canister();
    add(
        management,
        &[
            "start_canister",
            "stop_canister",
            "canister_status",
            "uninstall_code",
            "delete_canister",
            "stored_chunks",
            "clear_chunk_store",
            "canister_info",
            "take_canister_snapshot",
            "list_canister_snapshots",
            "fetch_canister_logs",
            "deposit_cycles",
            "canister_metrics",
        ],
        encoded(&record),
    );
    let install = |mode| ic::InstallCodeArgs {
        mode,
        canister_id,
        wasm_module: wasm_module.clone(),
        arg: b"DIDL\0\0".to_vec(),
        sender_canister_version: Some(1),
    };
    add(management, &["install_code"], encoded(&install(ic::CanisterInstallMode::Install)));
    add(management, &["install_code"], encoded(&install(ic::CanisterInstallMode::Upgrade(None))));
    let update = ic::UpdateSettingsArgs { canister_id, settings: settings.clone(), sender_canister_version: None };
    add(management, &["update_settings"], encoded(&update));
    let create = ic::ProvisionalCreateCanisterWithCyclesArgs {
        amount: Some(Nat::from(1u32)),
        settings: Some(settings),
        ..Default::default()
    };
    add(management, &["provisional_create_canister_with_cycles", "create_canister"], encoded(&create));
    let top_up = ic::ProvisionalTopUpCanisterArgs { canister_id, amount: Nat::from(5u32) };
    add(management, &["provisional_top_up_canister"], encoded(&top_up));
    add(management, &["upload_chunk"], encoded(&ic::UploadChunkArgs { canister_id, chunk: vec![1; 100] }));
    add(management, &["raw_rand", "no_such_method"], Encode!().expect("nothing encodes"));

    let account = icrc1::account::Account { owner: alice(), subaccount: Some([3; 32]) };
    let transfer = icrc1::transfer::TransferArg {
        from_subaccount: None,
        to: account,
        fee: None,
        created_at_time: Some(1_700_000_000_000_000_000),
        memo: None,
        amount: Nat::from(1_000_000u32),
    };
    let approve = icrc2::approve::ApproveArgs {
        from_subaccount: None,
        spender: account,
        amount: Nat::from(77u32),
        expected_allowance: None,
        expires_at: None,
        fee: None,
        memo: None,
        created_at_time: None,
    };
    let blocks = vec![icrc3::blocks::GetBlocksRequest { start: Nat::from(0u32), length: Nat::from(5u32) }];
    for ledger in [ids::cycles_ledger_id(), ids::icp_ledger_id()] {
        add(ledger, &["icrc1_transfer"], encoded(&transfer));
        add(ledger, &["icrc2_approve"], encoded(&approve));
        add(ledger, &["icrc1_balance_of"], encoded(&account));
        add(ledger, &["icrc3_get_blocks", "query_blocks"], encoded(&blocks));
        add(ledger, &["create_canister", "deposit", "withdraw", "transfer", "account_balance"], encoded(&transfer));
    }
    add(
        ids::cycles_minting_id(),
        &["notify_top_up", "notify_create_canister", "get_icp_xdr_conversion_rate"],
        encoded(&top_up),
    );
    examples
}

/// Executes a block with one call of alice, and another, empty one.
fn call(state: State, canister_id: CanisterId, method: &str, argument: Vec<u8>) -> (State, Result<Vec<u8>, String>) {
    let request_id = RequestId([state.height.get() as u8 + 1; 32]);
    let call = Call {
        request_id,
        sender: alice(),
        canister_id,
        method: method.into(),
        bytes: argument.len() as u64,
        argument,
        caller_info: None,
        expires_at: state.time.saturating_add_nanos(200 * UnixNanos::SECOND),
    };
    let mut state = block(state, vec![call]);
    // Random bytes and stopping take a height or two more.
    for _ in 0..3 {
        if state.ingress_status(&request_id).is_none_or(IngressStatus::is_terminal) {
            break;
        }
        state = block(state, Vec::new());
    }
    let outcome = match state.ingress_status(&request_id) {
        Some(IngressStatus::Replied(reply)) => Ok(reply.to_vec()),
        Some(IngressStatus::Rejected(reject)) => Err(reject.to_string()),
        None => Err("it left no trace".into()),
        other => panic!("{method} has no answer: {other:?}"),
    };
    (state, outcome)
}

fn block(state: State, calls: Vec<Call>) -> State {
    let block = Block {
        height: state.height.next(),
        time: state.time.saturating_add_nanos(UnixNanos::SECOND),
        digest: [1; 32],
        proposer: alice(),
        certified: state.height,
        failed: Vec::new(),
        seen: Default::default(),
        newest_version: 1,
        randomness: [9; 32],
        calls,
    };
    let again = state.clone();
    let executed = execute(&*ENGINE, state, &block);
    assert_eq!(executed.root, execute(&*ENGINE, again, &block).root, "the same block gives another root");
    executed.state.ledger.check_full().expect("the books balance");
    executed.state
}

struct Arguments;

impl Arguments {
    /// An example's number, then the argument.
    fn encode(index: usize, argument: &[u8]) -> Vec<u8> {
        [&[index as u8], argument].concat()
    }
}

impl Target for Arguments {
    const NAME: &'static str = "system_methods_answer_whatever_the_argument";
    const CORPUS: &'static str = "arguments";

    fn input(&self, random: &mut Random, entries: &[Vec<u8>]) -> Vec<u8> {
        let examples = &BEGUN.1;
        let index = random.below(examples.len());
        match random.below(6) {
            0 => mutate(random, entries),
            // A well-formed argument of another method.
            1 => Self::encode(index, &random.pick(examples).2),
            2 => Self::encode(index, &examples[index].2),
            _ => Self::encode(index, &mutate(random, &[examples[index].2.clone()])),
        }
    }

    fn check(&self, input: &[u8]) -> bool {
        let (state, examples) = &*BEGUN;
        let Some((index, argument)) = input.split_first() else { return false };
        let (callee, method, _) = &examples[usize::from(*index) % examples.len()];
        let asked = QueryCall {
            sender: alice(),
            caller_info: None,
            canister_id: *callee,
            method: method.clone(),
            argument: argument.to_vec(),
        };
        let queried = query(&*ENGINE, state, Some(b"certificate"), &asked);
        let (_, outcome) = call(state.clone(), *callee, method, argument.to_vec());
        outcome.is_ok() || queried.is_ok()
    }
}

#[test]
fn system_methods_answer_whatever_the_argument() {
    fuzz(&Arguments);
}
