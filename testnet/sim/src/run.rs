//! Plays one scenario: clients call while faults come and go; then everything heals and the checks are made.

use crate::{
    canister,
    client::Client,
    network::Subnet,
    record::{Certified, Roots},
    scenario::{REPLICAS, Scenario, Window},
};
use candid::{CandidType, Decode, Encode, Nat};
use commonware_runtime::{Clock as _, Runner as _, Spawner as _, Supervisor as _, deterministic};
use mains_engine::WasmtimeEngine;
use mains_replica::{ReplicaHandle, View};
use mains_types::{CanisterId, Height, Principal, ids};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

/// Simulated time after which a run counts as stuck.
const TIME_MAX: Duration = Duration::from_secs(900);
/// How long replicas may take to agree once everything is healed.
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// Cycles of the simulated canister.
const CANISTER_CYCLES: u128 = 10_000_000_000_000;

/// What a run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was played.
    pub scenario: Scenario,
    /// Heights finalized and executed.
    pub height: u64,
    /// Calls with a certified reply.
    pub replies: usize,
    /// Hash over every event of the runtime, every block and every root: equal for equal seeds.
    pub trace: String,
    /// Simulated time.
    pub simulated: Duration,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: {what}\nreplay it with: cargo run --release -p mains-sim -- --seed {seed}")]
pub struct Failure {
    /// The seed that shows it.
    pub seed: u64,
    /// What was broken.
    pub what: String,
}

/// Plays the scenario of `seed` and checks every promise.
///
/// # Errors
/// The first broken promise.
pub fn run(seed: u64, engine: &Arc<WasmtimeEngine>) -> Result<Report, Failure> {
    let scenario = Scenario::of(seed);
    let config = deterministic::Config::new().with_seed(seed).with_timeout(Some(TIME_MAX));
    let engine = engine.clone();
    deterministic::Runner::new(config)
        .start(|context| async move {
            let began = context.current();
            let auditor = context.auditor();
            let outcome = play(&context, &scenario, engine).await;
            outcome.map(|(height, replies, roots)| {
                let mut trace = blake3::Hasher::new();
                trace.update(auditor.state().as_bytes());
                roots.trace(&mut trace);
                Report {
                    scenario,
                    height: height.get(),
                    replies,
                    trace: trace.finalize().to_hex().to_string(),
                    simulated: context.current().duration_since(began).unwrap_or_default(),
                }
            })
        })
        .map_err(|what| Failure { seed, what })
}

type Shared<T> = Arc<Mutex<T>>;

async fn play(
    context: &deterministic::Context,
    scenario: &Scenario,
    engine: Arc<WasmtimeEngine>,
) -> Result<(Height, usize, Arc<Roots>), String> {
    let client = Client::new([9; 32], context.child("client"));
    let mut subnet = Subnet::start(context.child("subnet"), scenario, engine, client.principal()).await;
    let replicas: Shared<Vec<Option<ReplicaHandle>>> = Arc::default();
    publish(&subnet, &replicas);
    let canister = install(&client, scenario, &replicas).await?;

    let certified: Shared<Certified> = Arc::default();
    let began = context.current();
    let workers: Vec<_> = (0..scenario.clients)
        .map(|worker| {
            let work =
                increments(client.clone(), scenario.clone(), canister, worker, replicas.clone(), certified.clone());
            context.child("worker").with_attribute("index", worker).spawn(move |_| work)
        })
        .collect();
    faults(context, scenario, &mut subnet, &replicas, began).await;
    for worker in workers {
        worker.await.map_err(|error| format!("a client died: {error}"))??;
    }

    let views = settle(context, &subnet).await?;
    let certified = certified.lock().expect("no holder panics").clone();
    check(scenario, &subnet, &views, &certified)?;
    Ok((subnet.roots.newest(), certified.len(), subnet.roots.clone()))
}

fn publish(subnet: &Subnet, replicas: &Shared<Vec<Option<ReplicaHandle>>>) {
    *replicas.lock().expect("no holder panics") = (0..REPLICAS).map(|index| subnet.replica(index).cloned()).collect();
}

fn pick(replicas: &Shared<Vec<Option<ReplicaHandle>>>, turn: &mut usize) -> Option<ReplicaHandle> {
    *turn += 1;
    let replicas = replicas.lock().expect("no holder panics");
    replicas[*turn % replicas.len()].clone()
}

async fn call(
    client: &Client,
    replicas: &Shared<Vec<Option<ReplicaHandle>>>,
    turn: &mut usize,
    to: (CanisterId, CanisterId),
    method: &str,
    argument: Vec<u8>,
    nonce: u64,
) -> Result<crate::client::Outcome, String> {
    let request = client.request(to.0, method, argument, nonce);
    let outcome =
        client.call(&request, to.1, || pick(replicas, turn)).await.map_err(|expired| format!("{method}: {expired}"))?;
    match &outcome.result {
        Ok(_) => Ok(outcome),
        Err(reject) => Err(format!("{method} was rejected: {reject}")),
    }
}

/// Creates the canister through the cycles ledger and installs the workload's module.
async fn install(
    client: &Client,
    scenario: &Scenario,
    replicas: &Shared<Vec<Option<ReplicaHandle>>>,
) -> Result<CanisterId, String> {
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
    let mut turn = scenario.seed as usize;
    let ledger = ids::cycles_ledger_id();
    let argument = Encode!(&CreateArgs { amount: Nat::from(CANISTER_CYCLES) }).expect("encodes");
    let created = call(client, replicas, &mut turn, (ledger, ledger), "create_canister", argument, 1).await?;
    let reply = created.result.expect("checked");
    let CreateResult::Ok(Created { canister_id }) =
        Decode!(&reply, CreateResult).map_err(|error| format!("create_canister: {error}"))?;
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
    let argument = Encode!(&InstallArgs {
        mode: Mode::install,
        canister_id,
        wasm_module: canister::module(scenario.workload),
        arg: Encode!().expect("encodes"),
    })
    .expect("encodes");
    let management = Principal::management_canister();
    call(client, replicas, &mut turn, (management, canister_id), "install_code", argument, 2).await?;
    Ok(canister_id)
}

async fn increments(
    client: Client,
    scenario: Scenario,
    canister: CanisterId,
    worker: u32,
    replicas: Shared<Vec<Option<ReplicaHandle>>>,
    certified: Shared<Certified>,
) -> Result<(), String> {
    let mut turn = worker as usize;
    for step in (worker..scenario.increments).step_by(scenario.clients as usize) {
        let argument = canister::argument(scenario.workload);
        let nonce = 100 + u64::from(step);
        let outcome = call(&client, &replicas, &mut turn, (canister, canister), "inc", argument, nonce).await?;
        let reply = outcome.result.expect("checked");
        certified.lock().expect("no holder panics").insert(outcome.id, reply);
    }
    Ok(())
}

/// Lets the scenario's faults come and go.
async fn faults(
    context: &deterministic::Context,
    scenario: &Scenario,
    subnet: &mut Subnet,
    replicas: &Shared<Vec<Option<ReplicaHandle>>>,
    began: SystemTime,
) {
    enum Event {
        Split,
        Heal,
        Kill(usize),
        Restart(usize),
    }
    let mut events = Vec::new();
    if let Some(Window { from, to }) = scenario.partition {
        events.push((from, Event::Split));
        events.push((to, Event::Heal));
    }
    if let Some((replica, Window { from, to })) = scenario.crash {
        events.push((from, Event::Kill(replica)));
        events.push((to, Event::Restart(replica)));
    }
    events.sort_by_key(|(at, _)| *at);
    for (at, event) in events {
        context.sleep_until(began + at).await;
        match event {
            Event::Split => subnet.split().await,
            Event::Heal => subnet.heal().await,
            Event::Kill(replica) => subnet.kill(replica),
            Event::Restart(replica) => subnet.restart(replica).await,
        }
        publish(subnet, replicas);
    }
}

/// Waits until all replicas certified a common height above everything executed when this began.
async fn settle(context: &deterministic::Context, subnet: &Subnet) -> Result<Vec<Arc<View>>, String> {
    let target = subnet.roots.newest();
    let deadline = context.current() + SETTLE_MAX;
    while context.current() < deadline {
        let views: Vec<Arc<View>> = subnet.running().filter_map(ReplicaHandle::view).collect();
        if views.len() == REPLICAS && views.iter().all(|view| view.height() > target) {
            return Ok(views);
        }
        context.sleep(Duration::from_millis(100)).await;
    }
    let heights: Vec<u64> = subnet.running().map(|replica| replica.status().certified_height).collect();
    Err(format!("replicas did not come together above height {target} in {SETTLE_MAX:?}: certified {heights:?}"))
}

fn check(scenario: &Scenario, subnet: &Subnet, views: &[Arc<View>], certified: &Certified) -> Result<(), String> {
    if let Some(fork) = subnet.roots.forks().into_iter().next() {
        return Err(format!("fork: {fork}"));
    }
    if certified.len() != scenario.increments as usize {
        return Err(format!("{} of {} calls have a certified reply", certified.len(), scenario.increments));
    }
    let mut values: Vec<u64> = Vec::new();
    for reply in certified.values() {
        values.push(canister::value(scenario.workload, reply).ok_or("a reply is no number")?);
    }
    values.sort_unstable();
    if values != (1..=u64::from(scenario.increments)).collect::<Vec<_>>() {
        return Err(format!("each increment must run exactly once, but the replies were {values:?}"));
    }
    for view in views {
        let seen = subnet.roots.root(view.height());
        if seen != Some(view.root) {
            return Err(format!("the certified root of height {} was not computed by all", view.height()));
        }
        view.state.ledger.check_full().map_err(|broken| format!("money at height {}: {broken}", view.height()))?;
        for (id, reply) in certified {
            match view.state.ingress_status(id) {
                Some(mains_state::IngressStatus::Replied(held)) if held.as_slice() == reply => {}
                other => return Err(format!("a certified reply was lost: request {id} is {other:?}")),
            }
        }
    }
    Ok(())
}
