//! What clients do: create and install a canister, then call it from several sides while faults come and go.

use crate::{
    canister,
    checks::replies::Certified,
    client::{Client, Outcome, Target, VALIDITY},
    log::{Log, Mark},
    options::{Options, Workload},
    subnet::Subnet,
};
use candid::{CandidType, Decode, Encode, Nat};
use mains_types::{CanisterId, Principal, ids};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Cycles of the simulated canister.
const CANISTER_CYCLES: u128 = 10_000_000_000_000;
/// How long a call is valid that is meant to expire now and then.
const SHORT: Duration = Duration::from_millis(1_500);

/// Forged calls that liars may use.
const FORGED: u64 = 8;
/// Nonce of a call that had expired when it was signed.
const EXPIRED_NONCE: u64 = 99;

/// Certified replies of increments.
pub type Replies = Arc<Mutex<Certified>>;

/// One step of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Increment,
    Trap,
    Give,
    /// Valid for so short a time that it may never run.
    Hasty,
}

impl Step {
    fn of(options: &Options, number: u32) -> Self {
        if !options.mixture || options.workload != Workload::TinyCounter {
            return Self::Increment;
        }
        match number % 6 {
            1 => Self::Trap,
            3 => Self::Give,
            5 => Self::Hasty,
            _ => Self::Increment,
        }
    }
}

/// Increments among a seed's calls.
pub fn increments(options: &Options) -> usize {
    (0..options.calls).filter(|number| Step::of(options, *number) == Step::Increment).count()
}

/// One of the clients: makes every `clients`-th call.
///
/// # Errors
/// A broken promise.
pub async fn calls(
    client: Client,
    options: Options,
    subnet: Arc<Subnet>,
    canister: CanisterId,
    worker: u32,
    replies: Replies,
    log: Arc<Log>,
) -> Result<(), String> {
    let mut turn = worker as usize;
    for number in (worker..options.calls).step_by(options.clients as usize) {
        let step = Step::of(&options, number);
        let (method, argument, validity) = match step {
            Step::Increment => ("inc", canister::argument(options.workload), VALIDITY),
            Step::Trap => ("boom", Vec::new(), VALIDITY),
            Step::Give => ("give", canister.as_slice().to_vec(), VALIDITY),
            Step::Hasty => ("boom", Vec::new(), SHORT),
        };
        let target = Target { canister, effective: canister, method };
        let request = client.request(&target, argument, 100 + u64::from(number), validity);
        let outcome = client.call(&subnet, &mut turn, &target, &request, validity).await?;
        match (step, outcome) {
            (Step::Increment, Some(Outcome { id, result: Ok(reply) })) => {
                replies.lock().expect("no holder panics").insert(id, reply);
            }
            (Step::Trap | Step::Hasty, Some(Outcome { result: Err(_), .. })) => log.mark(Mark::Trap),
            (Step::Hasty, None) => log.mark(Mark::Expired),
            (Step::Give, Some(Outcome { result: Ok(reply), .. })) => {
                if reply != canister::REFUND.to_le_bytes() {
                    return Err(format!("S5: {} cycles should come back, but {reply:?} did", canister::REFUND));
                }
                log.mark(Mark::Refund);
            }
            (step, Some(Outcome { result, .. })) => return Err(format!("S5: {step:?} ended with {result:?}")),
            (step, None) => return Err(format!("L: {step:?} has no certified outcome after {VALIDITY:?}")),
        }
    }
    Ok(())
}

/// Creates the canister through the cycles ledger and installs the workload's module.
///
/// # Errors
/// It was rejected or never answered.
pub async fn install(client: &Client, options: &Options, subnet: &Subnet) -> Result<CanisterId, String> {
    #[derive(CandidType)]
    struct CreateArgs {
        amount: Nat,
    }
    #[derive(CandidType, candid::Deserialize)]
    struct Created {
        canister_id: Principal,
    }
    #[derive(CandidType, candid::Deserialize)]
    enum CreateResult {
        Ok(Created),
    }
    #[derive(CandidType)]
    #[allow(non_camel_case_types)]
    enum Mode {
        install,
    }
    #[derive(CandidType)]
    struct InstallArgs {
        mode: Mode,
        canister_id: Principal,
        wasm_module: Vec<u8>,
        arg: Vec<u8>,
    }
    let mut turn = options.seed as usize;
    let ledger = ids::cycles_ledger_id();
    let argument = Encode!(&CreateArgs { amount: Nat::from(CANISTER_CYCLES) }).expect("encodes");
    let target = Target { canister: ledger, effective: ledger, method: "create_canister" };
    let reply = must(client, subnet, &mut turn, &target, argument, 1).await?;
    let CreateResult::Ok(Created { canister_id }) =
        Decode!(&reply, CreateResult).map_err(|error| format!("create_canister: {error}"))?;
    let argument = Encode!(&InstallArgs {
        mode: Mode::install,
        canister_id,
        wasm_module: canister::module(options.workload),
        arg: Encode!().expect("encodes"),
    })
    .expect("encodes");
    let management = Principal::management_canister();
    let target = Target { canister: management, effective: canister_id, method: "install_code" };
    must(client, subnet, &mut turn, &target, argument, 2).await?;
    let target = Target { canister: canister_id, effective: canister_id, method: "inc" };
    let forged = (0..FORGED).map(|nonce| client.forged(&target, canister::argument(options.workload), nonce).into());
    subnet.loot.forged.lock().expect("no holder panics").extend(forged);
    let expired = client.expired(&target, canister::argument(options.workload), EXPIRED_NONCE);
    let envelope = mains_wire::Envelope::parse(&expired).expect("our own request parses");
    subnet.findings.blocks.signed(envelope);
    subnet.loot.expired.lock().expect("no holder panics").push_back(expired.into());
    Ok(canister_id)
}

async fn must(
    client: &Client,
    subnet: &Subnet,
    turn: &mut usize,
    target: &Target,
    argument: Vec<u8>,
    nonce: u64,
) -> Result<Vec<u8>, String> {
    let request = client.request(target, argument, nonce, VALIDITY);
    let outcome = client.call(subnet, turn, target, &request, VALIDITY).await?;
    match outcome.map(|outcome| outcome.result) {
        Some(Ok(reply)) => Ok(reply),
        Some(Err(reject)) => Err(format!("{} was rejected: {reject}", target.method)),
        None => Err(format!("L: {} has no certified outcome after {VALIDITY:?}", target.method)),
    }
}
