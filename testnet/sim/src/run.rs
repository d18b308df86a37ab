//! Plays one seed: clients call while faults come and go (safety); then everything heals, and all must come together
//! (liveness); then the rest of the checks.

use crate::{
    checks::{blame, bounds, exactly_once, liveness, money, replies},
    client::Client,
    faults,
    log::{Entry, Hearing, Log, Mark, Marks},
    options::Options,
    subnet::Subnet,
    upgrade, work,
};
use commonware_runtime::{Clock as _, Runner as _, Spawner as _, Supervisor as _, deterministic};
use mains_engine::WasmtimeEngine;
use mains_types::Height;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

/// Simulated time after which a run counts as stuck.
const TIME_MAX: Duration = Duration::from_secs(900);
/// Simulated time that clients may take after everything healed.
const CALLS_MAX: Duration = Duration::from_secs(250);
/// When every run begins: some day, so that a clock can be behind.
const BEGINNING: Duration = Duration::from_secs(1_800_000_000);

/// What a run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was played.
    pub options: Options,
    /// Heights finalized and executed.
    pub height: u64,
    /// Increments with a certified reply.
    pub replies: usize,
    /// Hash over every event of the runtime, every block and every root: equal for equal seeds.
    pub trace: String,
    /// Simulated time.
    pub simulated: Duration,
    /// What was reached.
    pub marks: Marks,
    /// The events, if all of them were wanted.
    pub events: Vec<Entry>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was played.
    pub options: Options,
    /// What was broken.
    pub what: String,
    /// The last events before it, or all of them.
    pub events: Vec<Entry>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "seed {}: {}", self.options.seed, self.what)?;
        write!(formatter, "replay it with: {}", command(&self.options))
    }
}

/// The command that plays exactly these options.
pub fn command(options: &Options) -> String {
    let mut command = format!("cargo run --release -p mains-sim -- --seed {}", options.seed);
    if !options.without.is_empty() {
        let names: Vec<String> = options.without.iter().map(|fault| fault.name()).collect();
        command.push_str(&format!(" --without {}", names.join(",")));
    }
    if options.calls != Options::without(options.seed, &options.without).calls {
        command.push_str(&format!(" --calls {}", options.calls));
    }
    command
}

/// Plays a seed and checks every promise.
///
/// # Errors
/// The first broken promise.
pub fn run(seed: u64, engine: &Arc<WasmtimeEngine>) -> Result<Report, Box<Failure>> {
    play(&Options::of(seed), engine, false)
}

/// Plays these options and checks every promise; keeps all events if they are wanted.
///
/// # Errors
/// The first broken promise.
pub fn play(options: &Options, engine: &Arc<WasmtimeEngine>, events: bool) -> Result<Report, Box<Failure>> {
    let config = deterministic::Config::new()
        .with_seed(options.seed)
        .with_start_time(UNIX_EPOCH + BEGINNING)
        .with_timeout(Some(TIME_MAX))
        .with_catch_panics(true);
    let kept: Arc<std::sync::Mutex<Option<Arc<Log>>>> = Arc::default();
    let (slot, engine) = (kept.clone(), engine.clone());
    let played = catch_unwind(AssertUnwindSafe(|| {
        deterministic::Runner::new(config).start(|context| async move {
            let log = Log::new(context.child("log"), events);
            *slot.lock().expect("no holder panics") = Some(log.clone());
            let hearing = Hearing::of(log.clone());
            let outcome = scene(&context, options, engine, &log).await;
            drop(hearing);
            let simulated = context.current().duration_since(UNIX_EPOCH + BEGINNING).unwrap_or_default();
            (outcome, context.auditor().state(), simulated, log.close())
        })
    }));
    let failure = |what, events| Box::new(Failure { options: options.clone(), what, events });
    match played {
        Ok((Ok(done), auditor, simulated, events)) => Ok(Report {
            options: options.clone(),
            height: done.height.get(),
            replies: done.replies,
            trace: done.trace(&auditor),
            simulated,
            marks: done.marks,
            events,
        }),
        Ok((Err(what), _, _, events)) => Err(failure(what, events)),
        Err(panic) => {
            let events = kept.lock().expect("no holder panics").take().map(|log| log.close()).unwrap_or_default();
            Err(failure(format!("the run panicked: {}", words(&*panic)), events))
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "without a word".into())
}

struct Done {
    height: Height,
    replies: usize,
    blocks: blake3::Hasher,
    marks: Marks,
}

impl Done {
    fn trace(&self, auditor: &str) -> String {
        let mut trace = self.blocks.clone();
        trace.update(auditor.as_bytes());
        trace.finalize().to_hex().to_string()
    }
}

async fn scene(
    context: &deterministic::Context,
    options: &Options,
    engine: Arc<WasmtimeEngine>,
    log: &Arc<Log>,
) -> Result<Done, String> {
    let client = Client::new([9; 32], context.child("client"), log.clone());
    let subnet = Subnet::start(context.child("subnet"), options, engine, client.principal(), log.clone()).await;
    let subnet = Arc::new(subnet);
    let canister = work::install(&client, options, &subnet).await?;

    log.note(|| format!("clients begin: {options:?}"));
    let replies = work::Replies::default();
    let workers: Vec<_> = (0..options.clients)
        .map(|worker| {
            let (client, options, subnet) = (client.clone(), options.clone(), subnet.clone());
            let work = work::calls(client, options, subnet, canister, worker, replies.clone(), log.clone());
            context.child("worker").with_attribute("index", worker).spawn(move |_| work)
        })
        .collect();
    faults::play(context, options, &subnet, log).await;
    subnet.heal().await;
    upgrade::finish(options, &subnet, log).await?;
    for member in 0..subnet.members() {
        subnet.restart(member).await;
    }
    let deadline = context.current() + CALLS_MAX;
    for worker in workers {
        tokio::select! {
            biased;
            ended = worker => ended.map_err(|error| format!("a client died: {error}"))??,
            () = context.sleep_until(deadline) => {
                let state = liveness::state_of(&subnet, options).await;
                return Err(format!("L: calls have no outcome {CALLS_MAX:?} after everything healed{state}"));
            }
        }
    }
    let views = liveness::settle(context, &subnet, options, log).await?;
    upgrade::go_back(context, options, &subnet, log).await?;
    subnet.findings.binaries.check(&subnet.findings.agreement)?;
    blame::check(&subnet, options, log).await?;
    if let Some(broken) = log.first_broken() {
        return Err(broken);
    }
    let replies = replies.lock().expect("no holder panics").clone();
    exactly_once::check(options.workload, &replies, work::increments(options))?;
    replies::check(&views, &replies, &subnet.findings, subnet.genesis())?;
    money::check(&views)?;
    bounds::at_rest(&views)?;
    match options.members {
        1 => log.mark(Mark::SingleMember),
        13 => log.mark(Mark::ThirteenMembers),
        _ => {}
    }
    let mut blocks = blake3::Hasher::new();
    subnet.findings.agreement.trace(&mut blocks);
    Ok(Done { height: subnet.findings.agreement.newest(), replies: replies.len(), blocks, marks: log.marks() })
}
